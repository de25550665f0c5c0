"""The claims of lesson 15, and how each can fail (tests/test_claims.py)."""

PREDICTED = {"core-seconds of tuning": 50.0, "GB in tuning": 2.0}


def columns(before, after):
    """How many of 24 answers stopped, of the base and of the tuned model."""
    return {"base+template": {"stopped": before}, "tuned": {"stopped": after}}


GOOD = {
    "heldout": [None] * 24,
    "columns": columns(1, 24),
    "predicted": PREDICTED,
    "bound": 8.0,
    "measured": {"core-seconds of tuning": 65.0, "GB in tuning": 2.4},
    "same": 240,
    "pairs": [None] * 240,
    "first_share": 0.8,
}
CLAIMS = [
    {
        "sentence": (
            "tuning took no less than its FLOPs at the best rate, and not many times what was"
            " predicted"
        ),
        "condition": "measured above the bound, and below five times the prediction",
        "refuted_by": (
            "a machine faster than its own best rate, or a prediction that misses the order"
        ),
        "faults": [
            {"measured": {"core-seconds of tuning": 7.0, "GB in tuning": 2.4}},
            {"measured": {"core-seconds of tuning": 300.0, "GB in tuning": 2.4}},
        ],
    },
    {
        "sentence": (
            "the bytes that tuning keeps (weights and activations counted, the adapter's states"
            " computed) were predicted within a factor of two"
        ),
        "condition": "measured over predicted above 0.5 and below 2",
        "refuted_by": "half of the bytes, or twice as many",
        "faults": [
            {"measured": {"core-seconds of tuning": 65.0, "GB in tuning": 0.9}},
            {"measured": {"core-seconds of tuning": 65.0, "GB in tuning": 4.5}},
        ],
    },
    {
        "sentence": "the mask made by hand is the project's in every pair",
        "condition": "as many equal examples as pairs",
        "refuted_by": "one pair with another mask",
        "faults": [{"same": 239}],
    },
    {
        "sentence": "a few steps make a base that seldom stops stop nearly always",
        "condition": "nine in ten tuned answers stop, at most one in five of the base's",
        "refuted_by": "a tuned model that goes on, or a base that stops",
        "faults": [{"columns": columns(1, 12)}, {"columns": columns(10, 24)}],
    },
    {
        "sentence": "most tokens of the tuned answers are the base's first choice, too",
        "condition": "more than half of them",
        "refuted_by": "tuned answers made of tokens that the base ranks lower",
        "faults": [{"first_share": 0.3}],
    },
]
