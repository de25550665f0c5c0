"""The claims of lesson 8, and how each can fail (tests/test_claims.py)."""

import torch

LINES = {
    0: ([0.1, 0.3, 0.6], [0.2, 0.5, 0.7]),
    16: ([0.1, 0.4, 0.7], [0.3, 0.5, 0.7]),
    2: ([0.1, 0.4, 0.8], [0.2, 0.4, 0.6]),
}
WEIGHT = torch.ones(2, 2)
GOOD = {
    "lines": LINES,
    "above": {(16, 0.005): -0.02, (2, 0.02): -0.1},
    "difference": 1e-6,
    "torch": torch,
    "W": WEIGHT,
    "back": WEIGHT + 1e-7,
}
CLAIMS = [
    {
        "sentence": (
            "an adapter of rank sixteen answers most of what full tuning does, at their best rates"
        ),
        "condition": "the adapter's best accuracy is above two thirds of that of full tuning",
        "refuted_by": "full tuning at its best rate answers half as much again",
        "faults": [{"lines": LINES | {16: ([0.1, 0.4, 0.7], [0.3, 0.4, 0.45])}}],
    },
    {
        "sentence": (
            "for both methods the lowest rate forgets less and learns less than the next one"
        ),
        "condition": (
            "rise and accuracy of the first rate below those of the second, for each method"
        ),
        "refuted_by": "a method that forgets as much, or learns as much, at its lowest rate",
        "faults": [
            {"lines": LINES | {16: ([0.5, 0.4, 0.7], [0.3, 0.5, 0.7])}},
            {"lines": LINES | {0: ([0.1, 0.3, 0.6], [0.6, 0.5, 0.7])}},
        ],
    },
    {
        "sentence": "no adapter is clearly above full tuning that forgot as much",
        "condition": "the greatest distance above the line of full tuning is below 0.1",
        "refuted_by": "an adapter that answers more than full tuning at the same rise of the loss",
        "faults": [{"above": {(16, 0.005): 0.12, (2, 0.02): -0.1}}],
    },
    {
        "sentence": (
            "merging changes logits by rounding only, and subtracting does not give all bits back"
        ),
        "condition": (
            "difference of logits below 0.001; the weights after subtracting are not the old ones"
            " to the bit"
        ),
        "refuted_by": "a merge that forgets the scale; arithmetic without rounding",
        "faults": [{"difference": 0.5}, {"back": WEIGHT.clone()}],
    },
]
