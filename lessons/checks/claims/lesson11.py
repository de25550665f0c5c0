"""The claims of lesson 11, and how each can fail (tests/test_claims.py)."""

import torch


def interval(mean):
    return mean, mean - 0.05, mean + 0.05


def row(accuracy, different, useful):
    return tuple(map(interval, (accuracy, different, useful)))


TABLE = {
    "T = 0.0": row(0.9, 0.1, 0.05),
    "T = 0.5": row(0.88, 0.2, 0.12),
    "T = 1.0": row(0.7, 0.4, 0.2),
    "T = 1.5": row(0.3, 0.9, 0.12),
    "T = 2.0": row(0.05, 1.0, 0.05),
}
LOGITS = torch.zeros(1, 2, 3)
CHOSEN = {
    ("the first draw", 8): ([], interval(0.7)),
    ("the most probable", 8): ([], interval(0.91)),
}
GOOD = {
    "torch": torch,
    "TRIES": (1, 2, 4, 8),
    "table": TABLE,
    "fast_logits": LOGITS,
    "plain_logits": LOGITS + 1e-6,
    "gain": [1.8, 3.0, 6.0],
    "chosen": CHOSEN,
    "greedy": interval(0.92),
}
CLAIMS = [
    {
        "sentence": (
            "a higher temperature costs accuracy where one answer is right and makes more stories"
            " differ"
        ),
        "condition": (
            "accuracy: interval at T = 0 above that at 2, mean at 1 below that at 0; different"
            " stories: more at 2 than at 0"
        ),
        "refuted_by": (
            "an accuracy that does not fall, or stories that are as alike at a high temperature"
        ),
        "faults": [
            {"table": TABLE | {"T = 2.0": row(0.88, 1.0, 0.05)}},
            {"table": TABLE | {"T = 1.0": row(0.92, 0.4, 0.2)}},
            {"table": TABLE | {"T = 2.0": row(0.05, 0.12, 0.05)}},
        ],
    },
    {
        "sentence": "most different right stories come at a temperature between the ends",
        "condition": "the best mean between the ends is above the intervals of both ends",
        "refuted_by": (
            "as many different right stories at one of the ends: greedy, or the highest temperature"
        ),
        "faults": [
            {"table": TABLE | {"T = 0.0": row(0.9, 0.1, 0.3)}},
            {"table": TABLE | {"T = 2.0": row(0.05, 1.0, 0.3)}},
        ],
    },
    {
        "sentence": "the cache gives the same logits, and saves more the longer the answer is",
        "condition": (
            "logits within rounding; the longest answers over 2 times faster, and by more than the"
            " shortest"
        ),
        "refuted_by": (
            "a cache that changes what the model says, saves little, or saves as much on short"
            " answers"
        ),
        "faults": [
            {"plain_logits": LOGITS + 0.1},
            {"gain": [1.1, 1.3, 1.6]},
            {"gain": [6.0, 4.0, 3.0]},
        ],
    },
    {
        "sentence": (
            "of eight draws the most probable is right more often than one draw, and hardly more"
            " often than greedy"
        ),
        "condition": "its mean is above the interval of the first draw, and below greedy plus 0.03",
        "refuted_by": "a choice by probability that helps nothing, or that finds more than greedy",
        "faults": [
            {"chosen": CHOSEN | {("the most probable", 8): ([], interval(0.72))}},
            {"greedy": interval(0.8)},
        ],
    },
]
