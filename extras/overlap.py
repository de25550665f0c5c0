"""Compare two files of pairs: how many prompts of an evaluation are among the training pairs?

    python -m extras.audit train.jsonl --against eval.jsonl

The score on a prompt that was trained on says nothing about new prompts. So look at the overlap
before you believe a score.
"""

import re
from collections import Counter, defaultdict

from common.audit import prompt_key
from common.cli import escape_control_chars
from data import Row

NEAR = 0.7  # Jaccard similarity from which two prompts are nearly the same
# Thai, Lao, Burmese, Khmer, Japanese, Chinese: without spaces, each character counts as a word.
NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
)
WORDS = re.compile(f"[{NO_SPACES}]|[^\\s{NO_SPACES}]+")


def full_prompt(row: Row) -> str:
    """Join all texts of a row that are no answers."""
    questions = [part for turn in row.turns for part in (turn.instruction, turn.input)]
    return "\n".join(filter(None, [row.system, *questions]))


def trigrams(key: str) -> set[str]:
    """Cut a prompt's key into all runs of three words. A shorter one is a single run."""
    words = WORDS.findall(key)
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def count_near(keys: list[str], others: set[str]) -> int:
    """Count the keys that have a nearly equal one in `others`."""
    # in which of the others a trigram is
    sizes = []  # trigrams of each
    index = defaultdict(list)
    for i, grams in enumerate(map(trigrams, others)):
        sizes.append(len(grams))
        for trigram in grams:
            index[trigram].append(i)

    # compare each key with those that share one: the union has as many as both, less the shared
    count = 0
    for grams in map(trigrams, keys):
        shared = Counter(i for trigram in grams for i in index.get(trigram, ()))
        count += any(n >= NEAR * (len(grams) + sizes[i] - n) for i, n in shared.items())
    return count


def compare(rows: list[Row], others: list[Row]) -> dict[str, int]:
    """Count the rows whose prompt is in `others`. Each kind of match excludes those before it."""
    # the same text, then the same key
    prompts = {full_prompt(row) for row in others}
    keys = {prompt_key(row) for row in others}
    unlike = [row for row in rows if full_prompt(row) not in prompts]
    new = [row for row in unlike if prompt_key(row) not in keys]

    # nearly the same; and, of all rows, those that have the same answer as well
    def with_answer(row: Row) -> tuple[str, str]:
        return prompt_key(row), row.turns[-1].output.strip()

    pairs = set(map(with_answer, others))
    return {
        "exact": len(rows) - len(unlike),
        "but for spaces, case and punctuation": len(unlike) - len(new),
        "nearly": count_near([prompt_key(row) for row in new], keys),
        "with the answer": sum(with_answer(row) in pairs for row in rows),
    }


def weaknesses(rows: list[Row]) -> dict[str, int]:
    """Count what makes a file weaker than its number of rows suggests."""
    answers = [turn.output.rstrip() for row in rows for turn in row.turns]
    repeated = [row for row in rows if len(set(row.turns)) < len(row.turns)]
    return {
        "unique prompts": len({prompt_key(row) for row in rows}),
        "answers without punctuation at their end": sum(text[-1].isalnum() for text in answers),
        "conversations that repeat a turn": len(repeated),
    }


def print_overlap(file: str, rows: list[Row], eval_file: str, eval_rows: list[Row]) -> None:
    """Print the weaknesses of a training file and its overlap with an evaluation."""
    counts = ", ".join(f"{n:,} {name}" for name, n in weaknesses(rows).items())
    print(escape_control_chars(f"\n{file}: {len(rows):,} rows; {counts}"))
    print(escape_control_chars(f"Of the {len(eval_rows):,} prompts of {eval_file}, it contains:"))
    for name, n in compare(eval_rows, rows).items():
        print(f"  {n:>7,}  {n / max(1, len(eval_rows)):>6.1%}  {name}")
