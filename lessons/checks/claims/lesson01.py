"""The claims of lesson 1, and how each can fail (tests/test_claims.py)."""

from common.table import wilson


def shares(right):
    return [True] * right + [False] * (500 - right)


STATEMENT, QUESTION = "1. statement completed", "2. question answered, lenient"
GOOD = {
    "facts": [None] * 500,
    "wilson": wilson,
    "shares": {STATEMENT: shares(480), QUESTION: shares(5)},
}
CLAIMS = [
    {
        "sentence": (
            "a base completes the statement of most facts and answers their questions almost never,"
            " leniently counted"
        ),
        "condition": (
            "lower end of the interval above 0.8 for statements; upper end below 0.1 for questions"
        ),
        "refuted_by": (
            "it completes fewer than four in five statements, or answers a tenth of the questions"
        ),
        "faults": [
            {"shares": {STATEMENT: shares(390), QUESTION: shares(5)}},
            {"shares": {STATEMENT: shares(480), QUESTION: shares(60)}},
        ],
    }
]
