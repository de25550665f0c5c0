"""Text to tokens to masked batches: the prompt format and its mask, byte pairs, batches.

The one idea is the mask. We render a conversation as text, and only the marked part has a loss:

    ### Instruction:
    What is the capital of Italy?

    ### Response:
    The capital of Italy is Rome.<|endoftext|>
    =========================================

For ids = prompt + answer + [eos], the inputs are ids[:-1] and the targets are ids[1:]. Only the
targets in the answer, and the eos after it, are supervised.

    python data.py my_pairs.jsonl        audit a file of pairs, and see it as the model will
"""

import random
import re
import runpy
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import common  # noqa: F401  tells if a package is missing
import numpy as np
import tiktoken
import torch

from model import IGNORE

# --------------------------------------------------------------------------------------------------
# The format and the mask: a conversation -> render -> encode -> ids and mask -> shift -> targets


class Turn(NamedTuple):
    """A question and its answer. `input` is the text that the question is about, "" for none."""

    instruction: str
    input: str = ""
    output: str | None = None  # None: not answered yet


@dataclass(frozen=True)
class Row:
    """A conversation from a data set, and what we know about it."""

    turns: tuple[Turn, ...]
    task: str = ""  # for the report, and for mixing
    source: str = ""  # file:line
    system: str = ""  # the system prompt of a chat
    format: str = ""  # the file format it came in
    notes: tuple[str, ...] = ()  # for the audit: fields that are not read, ...
    check: dict | None = field(default=None, compare=False)  # how an answer is judged

    @classmethod
    def from_dict(cls, pair: dict) -> "Row":
        """Read {"instruction", "output"}, and "input" and "task" if there, as in Alpaca's files."""
        turn = Turn(pair["instruction"], pair.get("input", ""), pair["output"])
        return cls((turn,), pair.get("task", ""))


@dataclass(frozen=True)
class Template:
    """The text around the parts of a turn; {} is the part."""

    instruction: str
    input: str  # used only if the turn has an input
    response: str
    preamble: str = ""
    preamble_with_input: str = ""  # used instead of `preamble` if the first turn has an input
    system: str = "{}\n\n"  # used only if there is a system prompt
    between: str = "\n\n"  # after the eos of a turn, before the next turn


# Nine published formats. Their control tokens (<|im_start|>, <s>) are ordinary text here, except
# for the one that ends an answer (<|im_end|>, </s>, <|eot_id|>): that is our eos.
BELOW = "Below is an instruction that describes a task"
WRITE = "Write a response that appropriately completes the request.\n\n"
PAIRED = f"{BELOW}, paired with an input that provides further context. {WRITE}"
HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
USER, ASSISTANT = HEADER.format("user") + "{}", "<|eot_id|>" + HEADER.format("assistant")
ALPACA = "### Instruction:\n{}\n\n", "### Input:\n{}\n\n", "### Response:\n"
TEMPLATES = {  # instruction, input, response
    "alpaca": Template(*ALPACA),
    "alpaca_preamble": Template(*ALPACA, f"{BELOW}. {WRITE}", PAIRED),
    "plain": Template("Question: {}\n", "Text: {}\n", "Answer: "),
    "chatml": Template("<|im_start|>user\n{}", "\n\n{}", "<|im_end|>\n<|im_start|>assistant\n",
                       system="<|im_start|>system\n{}<|im_end|>\n", between="\n"),
    "llama2": Template("{}", "\n\n{}", " [/INST] ", preamble="<s>[INST] ", between="<s>[INST] ",
                       system="<<SYS>>\n{}\n<</SYS>>\n\n"),
    "llama3": Template(USER, "\n\n{}", ASSISTANT, preamble="<|begin_of_text|>", between="",
                       system=HEADER.format("system") + "{}<|eot_id|>"),
    "mistral": Template("{}", "\n\n{}", " [/INST] ", preamble="<s>[INST] ", between="[INST] "),
    "zephyr": Template("<|user|>\n{}", "\n\n{}", "</s>\n<|assistant|>\n",
                       system="<|system|>\n{}</s>\n", between="\n"),
    "tulu": Template("<|user|>\n{}", "\n\n{}", "\n<|assistant|>\n",
                     system="<|system|>\n{}\n", between="\n"),
}  # fmt: skip


def render(turns: Iterable[Turn], template: str, system: str = "") -> list[tuple[str, str]]:
    """Render a conversation as pieces of (text, kind).

    A kind is frame, system, instruction, input or answer. If the last turn has no output yet, the
    result is a prompt: it ends where the answer begins."""
    t = TEMPLATES[template]
    pieces = []

    def fill(pattern: str, text: str, kind: str) -> None:
        before, after = pattern.split("{}")
        pieces.extend([(before, "frame"), (text, kind), (after, "frame")])

    for i, turn in enumerate(turns):
        # the text before the instruction
        preamble = (turn.input and t.preamble_with_input) or t.preamble
        pieces.append((t.between if i else preamble, "frame"))
        if system and i == 0:
            fill(t.system, system, "system")

        # the turn itself
        fill(t.instruction, turn.instruction, "instruction")
        if turn.input:
            fill(t.input, turn.input, "input")
        pieces.append((t.response, "frame"))
        if turn.output is not None:
            pieces.append((turn.output, "answer"))
    return pieces


def encode(pieces, tokenizer, block_size: int, truncatable=("input",)):
    """Tokenize rendered pieces. Returns (ids, mask, truncated).

    The mask is 1 for tokens of an answer and for the eos after it. Each piece is tokenized by
    itself, so a user's words can't merge into a header, nor the prompt into the answer. The model
    reads all tokens but the last, so block_size + 1 fit. If there are more, we truncate the inputs,
    never an answer; if that is not enough, ids and mask are None."""
    # tokenize
    parts = []
    for text, kind in pieces:
        ids = tokenizer.encode(text)
        parts.append((ids + [tokenizer.eos_id] if kind == "answer" else ids, kind))

    # truncate, but leave one token, so that the header before it keeps its sense
    excess = len(tokenizer.prefix) + sum(len(part) for part, _ in parts) - (block_size + 1)
    truncated = excess > 0
    for wanted in truncatable:
        for part, kind in parts:
            if kind == wanted and excess > 0:
                n_cut = min(excess, max(len(part) - 1, 0))
                del part[len(part) - n_cut :]
                excess -= n_cut
    if excess > 0:
        return None, None, True

    # one list of ids, one of the mask
    ids = list(tokenizer.prefix)
    mask = [0] * len(ids)
    for part, kind in parts:
        ids += part
        mask += [int(kind == "answer")] * len(part)
    return ids, mask, truncated


def shift(ids: list[int], mask: list[int]) -> tuple[list[int], list[int]]:
    """Shift targets by one: position t learns to predict token t + 1. This happens only here.

    [5, 6, 7, 8], [0, 0, 1, 1] -> inputs [5, 6, 7], targets [IGNORE, 7, 8]"""
    targets = [token if supervised else IGNORE for token, supervised in zip(ids[1:], mask[1:])]
    return ids[:-1], targets


def prepare(rows: Iterable[Row], tokenizer, template: str, block_size: int):
    """Tokenize rows. Returns (examples, truncated rows, rows that don't fit).

    An example is (ids, mask). We check of every row that the mask lets through its answers, each
    with its eos, and nothing else."""
    examples, truncated, too_long = [], [], []
    for row in rows:
        ids, mask, was_cut = encode(render(row.turns, template, row.system), tokenizer, block_size)
        if ids is None:
            too_long.append(row)
            continue
        supervised = [token for token in shift(ids, mask)[1] if token != IGNORE]
        answers = [tokenizer.encode(turn.output) + [tokenizer.eos_id] for turn in row.turns]
        assert supervised == sum(answers, []), f"{row.source}: the mask is not the answers"
        examples.append((ids, mask))
        if was_cut:
            truncated.append(row)
    return examples, truncated, too_long


# --------------------------------------------------------------------------------------------------
# Byte pairs. Text is first cut into words (a word keeps the space before it); no token spans two.

# Python cuts the words to train on, tiktoken those to encode. Their \w, \d and \s differ, so the
# classes are spelled out. A letter is any other character: the combining marks of Hindi, Thai and
# Arabic belong to their word. At most 32 characters, or text without spaces is one long word.
SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
SIGN = (
    "!-/:-@\\[-`{-~\xa1-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7"  # ASCII and Latin-1
    "\u060c\u061b\u061f\u0964\u0965\u3001-\u3011\uff01-\uff0f\uff1a-\uff20"  # other scripts
    "\u2010-\u2027\u2030-\u205e\u20a0-\u20cf\u2190-\u22ff"  # quotes, currencies, mathematics
)
LETTERS = f" ?[^0-9{SIGN}{SPACE}]{{1,32}}"
SPACES = f"[{SPACE}]{{1,32}}(?![^{SPACE}])|[{SPACE}]{{1,32}}"  # not the space before a word
WORD = f"{LETTERS}| ?[0-9]{{1,32}}| ?[{SIGN}]{{1,32}}|{SPACES}"
EOS = "<|endoftext|>"  # end of sequence: after every answer, and after every document of the corpus


def train_bpe(text: str, vocab_size: int) -> list[bytes]:
    """Learn byte-pair tokens (Sennrich et al. 2016; on bytes: GPT-2), in the order of their ids.

    Start from the 256 bytes. Then, again and again, merge the most frequent pair of neighbors into
    a new token. Ties go to the smaller pair of ids."""
    # words as lists of ids, and how often each occurs
    words = Counter(match[0] for match in re.finditer(WORD, text))
    counts = list(words.values())
    parts = [list(word.encode()) for word in words]

    # pairs of neighbors: how often they occur, and in which words
    pairs = Counter()  # (id, id) -> count
    words_with = defaultdict(set)  # (id, id) -> indices of words
    for w, part in enumerate(parts):
        for pair in zip(part, part[1:]):
            pairs[pair] += counts[w]
            words_with[pair].add(w)

    tokens = [bytes([byte]) for byte in range(256)]
    while len(tokens) < vocab_size - 1 and pairs:  # one id is left for the eos
        # mint a new token
        most = max(pairs.values())
        best = min(pair for pair, count in pairs.items() if count == most)
        new_id = len(tokens)
        tokens.append(tokens[best[0]] + tokens[best[1]])

        # update the counts of the pairs that go and come
        for w in words_with.pop(best):
            for pair, change in merge(parts[w], best, new_id):
                pairs[pair] += change * counts[w]
                if change > 0:
                    words_with[pair].add(w)
                if pairs[pair] == 0:
                    del pairs[pair]
    return tokens


def merge(ids: list[int], pair: tuple[int, int], new_id: int) -> Iterator:
    """Replace every `pair` by `new_id` in place: [1, 2, 3, 1, 2], (1, 2), 9 -> [9, 3, 9].

    Yields each pair of neighbors that goes, with -1, and each that comes, with 1."""
    i = 0
    while i < len(ids) - 1:
        if (ids[i], ids[i + 1]) == pair:
            before = ids[max(i - 1, 0) : i + 3]  # the pair, and the token on either side
            ids[i : i + 2] = [new_id]
            after = ids[max(i - 1, 0) : i + 2]
            yield from ((neighbors, -1) for neighbors in zip(before, before[1:]))
            yield from ((neighbors, 1) for neighbors in zip(after, after[1:]))
        i += 1


class Tokenizer:
    """Byte-pair tokens, run by tiktoken. No text is ever encoded to `eos_id`."""

    prefix = ()  # ids at the beginning of every prompt; some models have a token for that

    def __init__(self, tokens: list[bytes], pattern: str = WORD):
        self.tokens = tokens
        self.pattern = pattern
        self.eos_id = len(tokens)
        self.start_id = self.eos_id  # a document begins after an eos
        self.vocab_size = len(tokens) + 1
        ranks = {token: i for i, token in enumerate(tokens)}
        self._bpe = tiktoken.Encoding(
            "bpe", pat_str=pattern, mergeable_ranks=ranks, special_tokens={EOS: self.eos_id}
        )

    def encode(self, text: str) -> list[int]:
        return self._bpe.encode_ordinary(text)

    def decode(self, ids: list[int]) -> str:
        """Decode ids. Bytes that are not UTF-8 become U+FFFD."""
        return self._bpe.decode(ids)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token; some are only a part of a character."""
        return self._bpe.decode_single_token_bytes(token)

    def state(self) -> dict:
        """Return plain strings for a checkpoint."""
        return {"pattern": self.pattern, "tokens": [t.decode("latin-1") for t in self.tokens]}

    @classmethod
    def from_state(cls, state: dict) -> "Tokenizer":
        return cls([token.encode("latin-1") for token in state["tokens"]], state["pattern"])


# ---- Batches. Each is a function of (data, seed, step), so a run can be resumed anywhere ---------


def encode_corpus(tokenizer, documents: Iterable[str]) -> torch.Tensor:
    """Tokenize documents as one stream, with an eos after each. Returns (number of tokens,)."""
    stream = []
    for text in documents:
        stream += tokenizer.encode(text) + [tokenizer.eos_id]
    return torch.tensor(stream)


def corpus_batch(stream, step: int, batch_size: int, seq_len: int):
    """Cut batch `step` out of the stream. Returns inputs and targets, both (batch_size, seq_len).

    The stream is read in order. A sequence may begin or end in the middle of a document."""
    n_sequences = (len(stream) - 1) // seq_len
    starts = (step * batch_size + np.arange(batch_size)) % n_sequences * seq_len
    rows = torch.as_tensor(stream[starts[:, None] + np.arange(seq_len + 1)]).long()
    return rows[:, :-1], rows[:, 1:]


def collate(examples, pad: int, multiple: int = 1):
    """Pad examples on the right. Returns inputs and targets, both (B, T). Padding has no loss.

    T is rounded up to a multiple, so that a CPU can reuse its compiled kernels."""
    shifted = [shift(ids, mask) for ids, mask in examples]
    longest = max(len(inputs) for inputs, _ in shifted)
    T = -(-longest // multiple) * multiple
    inputs = torch.full((len(examples), T), pad)
    targets = torch.full((len(examples), T), IGNORE)
    for i, (x, y) in enumerate(shifted):
        inputs[i, : len(x)] = torch.tensor(x)
        targets[i, : len(y)] = torch.tensor(y)
    return inputs, targets


def epoch_batches(examples: list, batch_size: int, seed: int) -> list[list]:
    """Shuffle one epoch into batches; deterministic for a given seed.

    Rows of similar length go together, which saves padding."""
    rng = random.Random(seed)
    order = rng.sample(examples, len(examples))
    pool_size = 8 * batch_size  # rows that are sorted by length together
    batches = []
    for start in range(0, len(order), pool_size):
        pool = sorted(order[start : start + pool_size], key=lambda example: len(example[0]))
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    rng.shuffle(batches)
    return batches


if __name__ == "__main__":
    runpy.run_module("extras.audit", run_name="__main__")  # short for `python -m extras.audit`
