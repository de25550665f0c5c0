"""Measuring code of lesson 2: vocabularies of several sizes, borders that a token spans, and a
space at the end of a prompt."""

import re

import lab
from checks.lesson01 import begins_with  # lesson 1's rule: whole words at the beginning

import world
from common.audit import show_mask
from common.table import wilson
from data import Row, Tokenizer, Turn, train_bpe
from generate import Assistant, Sampling

SIZES = (257, 280, 320, 400, 600, 1000, 1800)  # of vocabularies; 257: bytes and the eos
N_WORDS = 8  # shown


def show_words(text: str, words, parts: list, counts: list) -> None:
    """Print each word of a text with its count and its bytes."""
    print(repr(text))
    for word, part, count in zip(words, parts, counts):
        print(f"{count} x {word!r:<10} {part}")


def show_sizes(corpus: list[str], largest: int, sentence: str) -> None:
    """Train vocabularies of several sizes. Print bytes a token and a sentence in each."""
    text = "\n".join(corpus)
    sample = text[: len(text) // 4]
    for size in (*SIZES, largest):
        tokenizer = Tokenizer(train_bpe(text, size))
        pieces = [tokenizer.decode([i]) for i in tokenizer.encode(sentence)]
        per_token = len(sample.encode()) / len(tokenizer.encode(sample))
        print(f"{tokenizer.vocab_size:>5}  {per_token:.2f} bytes a token  " + "|".join(pieces))


def share_of_words(tokenizer, corpus: list[str]) -> float:
    """Return the share of the corpus's words that are one token, and print some that are not."""
    words = sorted(set(re.findall(r"[^\W\d_]+", " ".join(corpus))))
    several = [word for word in words if len(tokenizer.encode(" " + word)) > 1]
    print(f"{len(words) - len(several)} of {len(words)} words are one token. Some that are not:")
    for word in lab.spread(several, N_WORDS):
        print(f"  {word:<14}", [tokenizer.decode([i]) for i in tokenizer.encode(" " + word)])
    return 1 - len(several) / len(words)


def spanned_borders(tokenizer, rows: list[Row], template: str, border) -> int:
    """Count pairs in which a token spans the border of prompt and answer.

    border(tokenizer, prompt, answer) returns (n, clean)."""
    spanned = 0
    for row in rows:
        turn = row.turns[0]
        ids = lab.prompt_ids(tokenizer, template, turn.instruction, turn.input)
        _, clean = border(tokenizer, tokenizer.decode(ids), turn.output)
        spanned += not clean
    return spanned


def show_mask_of_text(tokenizer, prompt: str, answer: str) -> None:
    """Print the mask of an example whose parts were tokenized together, and apart."""
    hidden = len(tokenizer.encode(prompt))
    together = tokenizer.encode(prompt + answer)
    apart = tokenizer.encode(prompt) + tokenizer.encode(answer)
    for name, ids in (("together", together), ("apart", apart)):
        ids = [*ids, tokenizer.eos_id]
        mask = [0] * hidden + [1] * (len(ids) - hidden)
        print(f"{name}:\n{show_mask(tokenizer, ids, mask, color=False)}\n")


def space_at_the_end(base, tokenizer) -> dict[str, list[bool]]:
    """Let the base complete facts, without and with a space at the end of the prompt. Returns
    {"without": flags, "with": flags}."""
    cases = [case for case in world.table_facts() if len(case.values) == 1]
    facts = lab.subset([case for case in cases if not case.task.prefix], 400)
    assistant = Assistant(base, tokenizer, None)
    right = {}
    for name, last in (("without", ""), ("with", " ")):
        prompts = []
        for fact in facts:
            text = f"{world.upper_first(fact.noun)} is{last}"
            prompts.append(Row((Turn(text, "", ""),)))
        texts = [text for text, _ in assistant.answers(prompts, Sampling(max_new_tokens=8))]
        right[name] = [begins_with(text, fact.values[0]) for text, fact in zip(texts, facts)]
        examples = [f"{prompt.turns[0].instruction!r} -> {text!r}"
                    for prompt, text in lab.spread(list(zip(prompts, texts)), 10)]
        n = sum(right[name])
        low, high = wilson(n, len(facts))
        print(f"{name:<8} a space: {n} of {len(facts)} right ({low:.0%} to {high:.0%})")
    print("\nTen completions after a space:", *examples, sep="\n")
    return right
