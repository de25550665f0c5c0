"""Packing: what it adds is several pairs in one row of a tuning batch, instead of padding (`--pack`).

You can skip this: the gradient is the same as with padding. Each pair has positions of its own from 0 on and sees only
itself, so it is as if it were alone in its row.
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from data import shift
from model import IGNORE


def pack(examples, block_size):
    """Examples -> lists of examples that fit in one row of block_size tokens together: the longest first, each where
    there is room."""
    rows = []  # [free tokens, examples]
    for example in sorted(examples, key=lambda example: len(example[0]), reverse=True):
        size = len(example[0]) - 1
        row = next((row for row in rows if row[0] >= size), None)
        if row is None:
            rows.append(row := [block_size, []])
        row[0] -= size
        row[1].append(example)
    return [examples for _, examples in rows]


def collate_packed(examples, pad, block_size):
    """Examples -> inputs, targets, positions, each (B, T), and mask (B, 1, T, T): as collate, with many in one row."""
    rows = [[shift(ids, mask) for ids, mask in row] for row in pack(examples, block_size)]

    def joined(part, padding):
        """part(n, inputs, targets) of the n-th example of a row, end to end -> (B, T)"""
        lists = [[token for n, example in enumerate(row) for token in part(n, *example)] for row in rows]
        return pad_sequence([torch.tensor(one) for one in lists], batch_first=True, padding_value=padding)

    inputs, targets = joined(lambda n, x, y: x, pad), joined(lambda n, x, y: y, IGNORE)
    positions, owner = joined(lambda n, x, y: range(len(x)), 0), joined(lambda n, x, y: [n] * len(x), -1)
    same_example = owner[:, None, :] == owner[:, :, None]  # (B, T, T)
    return inputs, targets, positions, same_example.tril().unsqueeze(1)
