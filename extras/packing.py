"""Packing: several pairs in one row of a tuning batch, instead of padding (`--pack`).

The gradient is the same as with padding. Each pair counts positions from 0 and sees only itself, so
it is as if it were alone in its row."""

from collections.abc import Callable

import torch
from torch.nn.utils.rnn import pad_sequence

from data import shift
from model import IGNORE


def pack(examples: list, block_size: int) -> list[list]:
    """Group examples into rows of at most block_size tokens: longest first, each where it fits."""
    groups = []
    room = []  # free tokens of each group
    for example in sorted(examples, key=lambda example: len(example[0]), reverse=True):
        size = len(example[0]) - 1
        i = next((i for i, free in enumerate(room) if free >= size), len(groups))
        if i == len(groups):
            groups.append([])
            room.append(block_size)
        groups[i].append(example)
        room[i] -= size
    return groups


def collate_packed(examples: list, pad: int, block_size: int):
    """Collate with many examples in one row.

    Returns inputs, targets and positions, each (B, T), and a mask (B, 1, T, T)."""
    columns = {"inputs": [], "targets": [], "positions": [], "owner": []}
    for group in pack(examples, block_size):
        row = {name: [] for name in columns}
        for n, (ids, mask) in enumerate(group):
            inputs, targets = shift(ids, mask)
            row["inputs"] += inputs
            row["targets"] += targets
            row["positions"] += range(len(inputs))
            row["owner"] += [n] * len(inputs)  # which example a token belongs to
        for name, values in row.items():
            columns[name].append(torch.tensor(values))

    padding = {"inputs": pad, "targets": IGNORE, "positions": 0, "owner": -1}
    batch = {}
    for name, rows in columns.items():
        batch[name] = pad_sequence(rows, batch_first=True, padding_value=padding[name])  # (B, T)
    owner = batch["owner"]
    same_example = owner[:, None, :] == owner[:, :, None]  # (B, T, T)
    mask = same_example.tril().unsqueeze(1)  # (B, 1, T, T)
    return batch["inputs"], batch["targets"], batch["positions"], mask


def packer(block_size: int) -> Callable:
    """Make a collate function for `tune`."""
    return lambda examples, pad, multiple: collate_packed(examples, pad, block_size)
