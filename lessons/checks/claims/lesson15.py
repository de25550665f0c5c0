"""The claims of lesson 15, and how each can fail (tests/test_claims.py)."""


def stopped(n):
    """Make the result of 24 answers, n of which stopped."""
    return {"stopped": [True] * n + [False] * (24 - n)}


SHARES = {"first": 0.4, "middle": 0.8, "last": 0.1}
GOOD = {
    "same": 320,
    "pairs": [None] * 320,
    "held_out": [None] * 24,
    "before": stopped(0),
    "after": stopped(23),
    "shares": SHARES,
    "bound": 20.0,
    "seconds": 110.0,
}
CLAIMS = [
    {
        "sentence": "your mask is the project's in every pair",
        "condition": "as many examples are equal as there are pairs",
        "refuted_by": "one pair whose ids or mask differ",
        "faults": [{"same": 319}],
    },
    {
        "sentence": "a few minutes of tuning make a base that seldom stops stop nearly always",
        "condition": "at least three quarters stop after tuning, at most a quarter before",
        "refuted_by": "a base that stops by itself, or a tuned model that does not",
        "faults": [{"after": stopped(12)}, {"before": stopped(12)}],
    },
    {
        "sentence": (
            "in the middle of the answers most tokens are the base's first choice, of the ends"
            " fewer"
        ),
        "condition": "more than half in the middle; a smaller share of the ends",
        "refuted_by": "answers in new words, or ends that the base would have chosen, too",
        "faults": [
            {"shares": SHARES | {"middle": 0.4}},
            {"shares": SHARES | {"last": 0.9}},
        ],
    },
    {
        "sentence": "tuning took no less than its FLOPs at the machine's best rate",
        "condition": "the seconds at the best rate are below those that were measured",
        "refuted_by": "a formula that counts work that is never done",
        "faults": [{"bound": 150.0}],
    },
]
