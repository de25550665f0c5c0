"""Text -> tokens -> masked batches: the prompt format with its mask, a byte-pair tokenizer, and the batches.

What it is: everything between a conversation and the integers that a model is trained on.
What it is not: it contains no model and no training. Files are read by `extras/datasets.py`.

    python data.py my_pairs.jsonl            audit a file of instruction pairs and show how a model will see it

The one idea is the mask. A conversation is rendered as text, and the loss looks only at the marked part:

    ### Instruction:
    What is the capital of Italy?

    ### Response:
    The capital of Italy is Rome.<|endoftext|>
    =========================================

In one sentence: for ids = prompt + answer + [eos], the inputs are ids[:-1], the targets ids[1:], and exactly those
targets that are answer tokens or the eos after them are supervised.
"""

import heapq
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tiktoken
import torch

from model import IGNORE


class UserError(Exception):
    """A mistake that the user can correct. The message is one line: what, where, and what to do."""


# ----------------------------------------------------------------------------------------------------------------
# The format and the mask: a conversation -> render -> pieces of text -> encode -> ids and mask -> shift -> targets.


class Turn(NamedTuple):
    """One question and its answer. `input` is the text that the question is about, "" for none."""

    instruction: str
    input: str = ""
    output: str | None = None  # None: still to be answered


@dataclass(frozen=True)
class Row:
    """A conversation from a data set, and what is known about it."""

    turns: tuple  # of Turn
    task: str = ""  # for the report and for mixing
    where: str = ""  # file:line
    system: str = ""  # what a chat says before its first turn
    format: str = ""  # which of extras/datasets.py's formats it was in
    notes: tuple = ()  # what the audit counts of it: fields that are not read, a placeholder for an input, ...

    @classmethod
    def from_dict(cls, pair):
        """{"instruction", "output"} and perhaps "input" and "task", as in Alpaca's files -> Row"""
        return cls((Turn(pair["instruction"], pair.get("input", ""), pair["output"]),), pair.get("task", ""))


@dataclass(frozen=True)
class Template:
    """What stands around the parts of a turn; {} is the part. `input` stands only where a turn has one, `system` only
    where the conversation begins with a system text."""

    instruction: str
    input: str
    response: str
    preamble: str = ""
    preamble_with_input: str = ""  # the same, where the first turn has an input and this differs
    system: str = "{}\n\n"
    between: str = "\n\n"  # after the eos of a turn, before the next turn


ALPACA = Template("### Instruction:\n{}\n\n", "### Input:\n{}\n\n", "### Response:\n")


def get_template(name):
    """A Template by its name. Those of other projects stand in extras/datasets.py."""
    if name == "alpaca":
        return ALPACA
    from extras.datasets import TEMPLATES

    if name not in TEMPLATES:
        raise UserError(f"template {name!r}: unknown. Known: {', '.join(TEMPLATES)}.")
    return TEMPLATES[name]


def render(turns, template, system=""):
    """A conversation -> pieces of text, each with its kind: frame, system, instruction, input or answer.

    If the last turn has no output yet, this is a prompt: it ends where the answer begins."""
    t, pieces = get_template(template), []

    def fill(pattern, text, kind):
        before, after = pattern.split("{}")
        pieces.extend([(before, "frame"), (text, kind), (after, "frame")])

    for i, turn in enumerate(turns):
        opening = (turn.input and t.preamble_with_input) or t.preamble
        pieces.append((opening if i == 0 else t.between, "frame"))
        if system and i == 0:
            fill(t.system, system, "system")
        fill(t.instruction, turn.instruction, "instruction")
        if turn.input:
            fill(t.input, turn.input, "input")
        pieces.append((t.response, "frame"))
        if turn.output is not None:
            pieces.append((turn.output, "answer"))
    return pieces


def encode(pieces, tokenizer, block_size, may_shorten=("input",)):
    """Rendered pieces -> (ids, mask, shortened); mask is 1 where a token belongs to an answer or is the eos after it.

    Each piece is tokenized by itself, so no word of a user can melt into a header, nor the prompt into the answer. What
    does not fit in block_size + 1 tokens (the model reads all but the last) loses the ends of its inputs, never a token
    of an answer. ids is None where even that is not enough."""
    parts = [(tokenizer.encode(text) + [tokenizer.eos_id] * (kind == "answer"), kind) for text, kind in pieces]
    excess = sum(len(part) for part, _ in parts) - (block_size + 1)
    shortened = excess > 0
    for kind in may_shorten:
        for part, its_kind in parts:
            if its_kind == kind and excess > 0:
                cut = min(excess, max(len(part) - 1, 0))  # leave one token, so that the header keeps its sense
                del part[len(part) - cut :]
                excess -= cut
    if excess > 0:
        return None, None, True
    ids = [token for part, _ in parts for token in part]
    mask = [int(kind == "answer") for part, kind in parts for _ in part]
    return ids, mask, shortened


def shift(ids, mask):
    """The one place where targets are shifted: position t learns to predict token t + 1.

    [5, 6, 7, 8], [0, 0, 1, 1] -> inputs [5, 6, 7], targets [IGNORE, 7, 8]"""
    return ids[:-1], [token if supervised else IGNORE for token, supervised in zip(ids[1:], mask[1:])]


def prepare(rows, tokenizer, template, block_size):
    """Rows -> (examples, shortened rows, rows that do not fit). An example is (ids, mask).

    What the mask lets through is checked for every row: it must be the answers, each with its eos, and nothing else."""
    examples, shortened, too_long = [], [], []
    for row in rows:
        ids, mask, cut = encode(render(row.turns, template, row.system), tokenizer, block_size)
        if ids is None:
            too_long.append(row)
            continue
        supervised = [token for token in shift(ids, mask)[1] if token != IGNORE]
        answers = [tokenizer.encode(turn.output) + [tokenizer.eos_id] for turn in row.turns]
        assert supervised == sum(answers, []), f"{row.where}: the mask lets through something else than the answer"
        examples.append((ids, mask))
        shortened += [row] * cut
    return examples, shortened, too_long


# ----------------------------------------------------------------------------------------------------------------
# Byte pairs. Text is first cut into words (a word keeps the space before it), so no token spans two words.

WORD = r" ?[^\W\d_]{1,32}| ?\d{1,32}| ?(?:[^\s\w]|_){1,32}|\s{1,32}(?!\S)|\s{1,32}"
# letters | digits | other signs | white space: 32 at most, since text without spaces would be one long word
EOS = "<|endoftext|>"  # end of sequence: after every answer, and after every document of the corpus


def train_bpe(text, vocab_size):
    """Byte-pair encoding (Sennrich et al. 2016; on bytes: GPT-2) -> list of tokens as bytes, ids in order of merging.

    Start from the 256 bytes; again and again merge the most frequent pair of neighbours into a new token. Words are
    counted once, and only those that hold the merged pair are touched. Ties go to the smaller pair of ids."""
    words = Counter(word[0] for word in re.finditer(WORD, text))
    counts = list(words.values())
    parts = [list(word.encode()) for word in words]  # every word as a list of token ids
    pairs = Counter()  # (id, id) -> how often it stands in the text
    where = defaultdict(set)  # (id, id) -> the words that hold it
    for w, part in enumerate(parts):
        for pair in zip(part, part[1:]):
            pairs[pair] += counts[w]
            where[pair].add(w)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)

    tokens = [bytes([byte]) for byte in range(256)]
    while len(tokens) < vocab_size - 1 and heap:  # one id is kept for the eos
        count, pair = heapq.heappop(heap)
        if count == 0 or -count != pairs[pair]:  # the pair became rarer since it was put here
            if pairs[pair]:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        new = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        grown = set()
        for w in where.pop(pair):
            for neighbours, change in merge(parts[w], pair, new):
                pairs[neighbours] += change * counts[w]
                if change > 0:
                    where[neighbours].add(w)
                    grown.add(neighbours)
        for fresh in grown:
            heapq.heappush(heap, (-pairs[fresh], fresh))
    return tokens


def merge(ids, pair, new):
    """Replace every `pair` by `new` in place, [1, 2, 3, 1, 2], (1, 2), 9 -> [9, 3, 9], and yield what that changes: a
    pair of neighbours that goes (-1) or comes (1)."""
    i = 0
    while i < len(ids) - 1:
        if (ids[i], ids[i + 1]) == pair:
            old = ids[max(i - 1, 0) : i + 3]  # the pair and the token on either side
            ids[i : i + 2] = [new]
            around = ids[max(i - 1, 0) : i + 2]
            yield from ((neighbours, -1) for neighbours in zip(old, old[1:]))
            yield from ((neighbours, 1) for neighbours in zip(around, around[1:]))
        i += 1


class Tokenizer:
    """Byte-pair tokens, run by tiktoken. `eos_id` is the id of the end-of-sequence token; no text is encoded to it."""

    def __init__(self, tokens, pattern=WORD):
        self.tokens, self.pattern = tokens, pattern
        self.eos_id = len(tokens)
        self.vocab_size = len(tokens) + 1
        ranks = {token: i for i, token in enumerate(tokens)}
        self._bpe = tiktoken.Encoding("bpe", pat_str=pattern, mergeable_ranks=ranks, special_tokens={EOS: self.eos_id})

    def encode(self, text):
        return self._bpe.encode_ordinary(text)

    def decode(self, ids):
        """Bytes that are not UTF-8 become U+FFFD."""
        return self._bpe.decode(ids)

    def token_bytes(self, token):
        """The bytes of one token; some are only a part of a character."""
        return self._bpe.decode_single_token_bytes(token)

    def state(self):
        """For a checkpoint: plain strings only."""
        return {"pattern": self.pattern, "tokens": [token.decode("latin-1") for token in self.tokens]}

    @classmethod
    def from_state(cls, state):
        return cls([token.encode("latin-1") for token in state["tokens"]], state["pattern"])


# ----------------------------------------------------------------------------------------------------------------
# Batches. All are functions of (data, seed, step), so a run can be resumed anywhere.


def encode_corpus(tokenizer, documents):
    """Documents -> one stream of ids, an eos after each document. (number of tokens,)"""
    return torch.tensor([token for text in documents for token in tokenizer.encode(text) + [tokenizer.eos_id]])


def corpus_batch(stream, step, batch_size, seq_len):
    """Inputs and targets, each (batch_size, seq_len). The stream is read in order: batch 0 is its beginning. Documents
    may be cut at the edges of a sequence."""
    sequences = (len(stream) - 1) // seq_len
    first = (step * batch_size + np.arange(batch_size)) % sequences * seq_len
    rows = stream[first[:, None] + np.arange(seq_len + 1)]  # (batch_size, seq_len + 1)
    rows = torch.as_tensor(rows).long()
    return rows[:, :-1], rows[:, 1:]


def collate(examples, pad, multiple=1):
    """Examples -> inputs, targets, each (B, T). Padding stands on the right and is never supervised; T is rounded up."""
    shifted = [shift(ids, mask) for ids, mask in examples]
    longest = max(len(inputs) for inputs, _ in shifted)
    longest += -longest % multiple
    inputs = torch.full((len(examples), longest), pad)
    targets = torch.full((len(examples), longest), IGNORE)
    for i, (x, y) in enumerate(shifted):
        inputs[i, : len(x)] = torch.tensor(x)
        targets[i, : len(y)] = torch.tensor(y)
    return inputs, targets


def epoch_batches(examples, batch_size, seed):
    """One epoch -> list of batches of examples. Rows of similar length go together, which saves padding. Which of them,
    and the order of the batches, is drawn anew for every seed."""
    rng = random.Random(seed)
    order = rng.sample(examples, len(examples))
    pool = 8 * batch_size
    batches = []
    for start in range(0, len(order), pool):
        rows = sorted(order[start : start + pool], key=lambda example: len(example[0]))
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    rng.shuffle(batches)
    return batches


if __name__ == "__main__":
    from common.audit import main

    raise SystemExit(main())
