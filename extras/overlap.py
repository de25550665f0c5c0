"""Compare two files of pairs: how many prompts of an evaluation are among the training pairs?

    python -m extras.audit train.jsonl --against eval.jsonl

The score on a prompt that was trained on says nothing about new prompts. So look at the overlap
before you believe a score.
"""

import math
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


def pair_key(row: Row) -> tuple[str, str]:
    """Normalise the prompt and its last answer."""
    return prompt_key(row), row.turns[-1].output.strip()


def trigrams(key: str) -> set[str]:
    """Cut a prompt's key into all runs of three words. A shorter one is a single run."""
    words = WORDS.findall(key)
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def count_near(keys: list[str], others: set[str]) -> int:
    """Count the keys that have a nearly equal one in `others`.

    Two sets of n and m trigrams with a similarity t share at least one of their rarest trigrams:
    of the (1 - t) n + 1 rarest of one and the (1 - t) m + 1 of the other (prefix filter,
    Chaudhuri et al. 2006). So only a few pairs of prompts are compared."""
    sets = [trigrams(key) for key in others]
    frequency = Counter(trigram for grams in sets for trigram in grams)

    def rarest(grams):
        order = sorted(grams, key=lambda trigram: (frequency[trigram], trigram))
        return order[: len(grams) - math.ceil(NEAR * len(grams)) + 1]

    # index the others by their rarest trigrams
    index = defaultdict(list)
    for i, grams in enumerate(sets):
        for trigram in rarest(grams):
            index[trigram].append(i)

    # compare each key with those that share one
    count = 0
    for grams in map(trigrams, keys):
        candidates = {i for trigram in rarest(grams) for i in index[trigram]}
        count += any(len(grams & sets[i]) >= NEAR * len(grams | sets[i]) for i in candidates)
    return count


def compare(rows: list[Row], others: list[Row]) -> dict[str, int]:
    """Count the rows whose prompt is in `others`. Each kind of match excludes those before it."""
    # the same text, then the same key
    prompts = {full_prompt(row) for row in others}
    keys = {prompt_key(row) for row in others}
    unlike = [row for row in rows if full_prompt(row) not in prompts]
    new = [row for row in unlike if prompt_key(row) not in keys]

    # nearly the same; and, of all rows, those that have the same answer as well
    pairs = {pair_key(row) for row in others}
    return {
        "exact": len(rows) - len(unlike),
        "but for spaces, case and punctuation": len(unlike) - len(new),
        "nearly": count_near([prompt_key(row) for row in new], keys),
        "with the answer": sum(pair_key(row) in pairs for row in rows),
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
