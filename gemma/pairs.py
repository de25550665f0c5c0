"""The pairs that Gemma is tuned on by default, and the prompts that it is asked afterwards.

DATA.md describes them. Their checks are data, see common/checks."""

import json
from pathlib import Path

import torch

from common.pairs import Corpus, Pairs
from data import Row, Turn

HERE = Path(__file__).parent
SPLITS = {  # group of heldout.jsonl -> split
    "tuned": "tuned_families",
    "kept_out": "kept_out_families",
    "follow_up": "follow_ups",
    "unknowable": "unknowable",
    "known": "known_things",
}
PART = "test"  # settings were chosen on the other part, "dev"


def read_lines(name: str) -> list[dict]:
    text = (HERE / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def to_row(fields: dict) -> Row:
    """Turn a line of the files into a Row. A conversation has messages, user first."""
    turns = []
    if "messages" in fields:
        texts = [message["content"] for message in fields["messages"]]
        for question, answer in zip(texts[::2], texts[1::2]):
            turns.append(Turn(question, "", answer))
    else:
        turns.append(Turn(fields["instruction"], fields["input"], fields["output"]))
    return Row(tuple(turns), fields["task"], check=fields.get("check"))


def load_pairs(part: str = PART) -> Pairs:
    """Load the pairs, and the held-out rows of one part.

    Follow-ups are asked twice: with their history, and, as a control, without it."""
    splits = {split: [] for split in SPLITS.values()}
    for fields in read_lines("heldout.jsonl"):
        if fields["part"] == part:
            splits[SPLITS[fields["group"]]].append(to_row(fields))
    alone = []
    for row in splits["follow_ups"]:
        alone.append(Row(row.turns[-1:], row.task, check=row.check))
    splits["follow_ups_alone"] = alone
    return Pairs([to_row(fields) for fields in read_lines("pairs.jsonl")], splits)


def load_corpus() -> Corpus:
    """Load a page of prose that was written for this: does the model still know its language?"""
    text = (HERE / "prose.txt").read_text(encoding="utf-8")

    def encode_all(tokenizer) -> torch.Tensor:
        return torch.tensor([tokenizer.bos_id, *tokenizer.encode(text)])

    return Corpus("gemma/prose.txt", [], encode_all, pretrains=False)
