"""The claims of lesson 11, and how each can fail (tests/test_claims.py)."""

import torch


def interval(mean):
    return mean, mean - 0.05, mean + 0.05


def row(accuracy, different, found):
    return {
        "accuracy": interval(accuracy),
        "different": interval(different),
        "found": interval(found),
    }


TABLE = {
    "T = 0.0": row(0.9, 0.1, 0.3),
    "T = 1.0": row(0.8, 0.3, 0.9),
    "T = 2.0": row(0.1, 1.0, 0.1),
}
LOGITS = torch.zeros(1, 2, 3)
GOOD = {
    "torch": torch,
    "table": TABLE,
    "fast_logits": LOGITS,
    "plain_logits": LOGITS + 1e-6,
    "gain": [1.8, 3.0, 6.0],
    "probable": interval(0.9),
    "greedy": interval(0.92),
}
CLAIMS = [
    {
        "sentence": (
            "a higher temperature costs accuracy where one answer is right and makes more stories"
            " differ"
        ),
        "condition": (
            "from the lowest to the highest temperature: over ten points less accuracy, over ten"
            " points more different stories"
        ),
        "refuted_by": (
            "an accuracy that does not fall, or stories that are as alike at a high temperature"
        ),
        "faults": [
            {"table": TABLE | {"T = 2.0": row(0.88, 1.0, 0.1)}},
            {"table": TABLE | {"T = 2.0": row(0.1, 0.12, 0.1)}},
        ],
    },
    {
        "sentence": "most right stories are found at a temperature between the ends",
        "condition": "more of the three at the middle temperature than at either end",
        "refuted_by": "as many right stories at one of the ends",
        "faults": [
            {"table": TABLE | {"T = 0.0": row(0.9, 0.1, 0.95)}},
            {"table": TABLE | {"T = 2.0": row(0.1, 1.0, 0.95)}},
        ],
    },
    {
        "sentence": "the cache gives the same logits, and saves more the longer the answer is",
        "condition": (
            "logits within rounding; the longest answers over one and a half times faster, and by"
            " more than the shortest"
        ),
        "refuted_by": (
            "a cache that changes the answer, saves little, or saves as much on short answers"
        ),
        "faults": [
            {"plain_logits": LOGITS + 0.1},
            {"gain": [1.1, 1.2, 1.3]},
            {"gain": [6.0, 4.0, 3.0]},
        ],
    },
    {
        "sentence": "of eight draws the most probable is hardly more often right than greedy",
        "condition": "its mean is below greedy plus five points",
        "refuted_by": "a choice by probability that finds more than greedy",
        "faults": [{"greedy": interval(0.8)}],
    },
]
