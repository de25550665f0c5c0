"""The claims of lesson 3, and how each can fail (tests/test_claims.py)."""

from common.table import wilson

GOOD = {
    "facts": [None] * 400,
    "wilson": wilson,
    "difference": 1e-6,
    "causal": True,
    "spread": 1e-5,
    "gap": 1e-6,
    "loss_gap": 1e-5,
    "repeated": {"visible": 260, "hidden": 40},
}
CLAIMS = [
    {
        "sentence": (
            "attention, the block and the loss by hand are the project's, no position sees the"
            " future, and scores depend on distance"
        ),
        "condition": (
            "differences below one in ten thousand or in a thousand, and no earlier hidden state"
            " moves"
        ),
        "refuted_by": (
            "another scaling or mask, a position that sees a later one, an angle that is not linear"
            " in the position"
        ),
        "faults": [
            {"difference": 0.1},
            {"gap": 0.1},
            {"causal": False},
            {"spread": 0.5},
            {"loss_gap": 0.1},
        ],
    },
    {
        "sentence": "the base repeats a name far less often when it may not look at it",
        "condition": "the intervals are more than 15 points apart",
        "refuted_by": "the name is repeated as often without looking, as if it were guessed",
        "faults": [{"repeated": {"visible": 260, "hidden": 200}}],
    },
]
