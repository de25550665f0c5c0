"""Packing: what it adds is several pairs in one row of a tuning batch, instead of padding (`--pack`).

You can skip this: the gradient is the same as with padding. Each pair has positions of its own from 0 on and sees only
itself, so it is as if it were alone in its row.
"""

import torch

from data import shift
from model import IGNORE


def pack(examples, block_size):
    """Examples -> lists of examples that fit in one row of block_size tokens together: the longest first, each where
    there is room."""
    rows = []
    for example in sorted(examples, key=lambda example: len(example[0]), reverse=True):
        size = len(example[0]) - 1
        row = next((row for row in rows if row["size"] + size <= block_size), None)
        if row is None:
            row = {"size": 0, "examples": []}
            rows.append(row)
        row["size"] += size
        row["examples"].append(example)
    return [row["examples"] for row in rows]


def collate_packed(examples, pad, block_size):
    """Examples -> inputs, targets, positions, each (B, T), and mask (B, 1, T, T): as collate, with many in one row."""
    rows = pack(examples, block_size)
    longest = max(sum(len(ids) - 1 for ids, _ in row) for row in rows)
    inputs = torch.full((len(rows), longest), pad)
    targets = torch.full((len(rows), longest), IGNORE)
    positions = torch.zeros((len(rows), longest), dtype=torch.long)
    owner = torch.full((len(rows), longest), -1)  # which example of its row a token belongs to
    for i, row in enumerate(rows):
        start = 0
        for n, (ids, mask) in enumerate(row):
            x, y = shift(ids, mask)
            at = slice(start, start + len(x))
            inputs[i, at], targets[i, at] = torch.tensor(x), torch.tensor(y)
            positions[i, at], owner[i, at] = torch.arange(len(x)), n
            start += len(x)
    causal = torch.ones(longest, longest, dtype=torch.bool).tril()
    mask = (owner[:, None, :] == owner[:, :, None]) & causal  # (B, T, T)
    return inputs, targets, positions, mask.unsqueeze(1)
