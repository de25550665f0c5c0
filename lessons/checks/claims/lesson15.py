"""The claims of lesson 15, and how each can fail (tests/test_claims.py)."""

from types import SimpleNamespace


def column(stopped, cut, right):
    """Marks of 80 prompts."""
    counts = {"stopped": stopped, "right, cut by a rule": cut, "right": right}
    return {mark: [i < n for i in range(80)] for mark, n in counts.items()}


PREDICTED = {"core-seconds of tuning": 50.0, "GB in tuning": 2.0}
COLUMNS = {
    "base template": column(0, 20, 0),
    "base 3 examples": column(0, 23, 0),
    "tuned": column(78, 46, 46),
}
GOOD = {
    "bench": SimpleNamespace(heldout=[None] * 80),
    "columns": COLUMNS,
    "predicted": PREDICTED,
    "bound": 8.0,
    "measured": {"core-seconds of tuning": 65.0, "GB in tuning": 2.4},
    "same": 240,
    "pairs": [None] * 240,
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
        "sentence": "a few steps make a base that never stops stop nearly always",
        "condition": "nine in ten tuned answers stop, none of the base with the template",
        "refuted_by": "a tuned model that goes on, or a base that stops",
        "faults": [
            {"columns": COLUMNS | {"tuned": column(60, 46, 46)}},
            {"columns": COLUMNS | {"base template": column(3, 20, 0)}},
        ],
    },
    {
        "sentence": (
            "it answers more prompts right than the base's best column with a rule that ends its"
            " answers"
        ),
        "condition": "right answers of the tuned model above the base's best count with the rule",
        "refuted_by": "a tuned model that answers no more than the base with three examples",
        "faults": [{"columns": COLUMNS | {"tuned": column(78, 23, 23)}}],
    },
]
