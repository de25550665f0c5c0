"""The claims of lesson 1, and how each can fail (tests/test_claims.py)."""

from common.table import wilson

N = 500  # of made-up facts


def flags(right):
    """So many right facts, then wrong ones."""
    return [True] * right + [False] * (N - right)


STATEMENT, QUESTION = "1. statement", "2. question, anywhere"
GOOD = {"wilson": wilson, "facts": [None] * N, "right": {STATEMENT: flags(480), QUESTION: flags(5)}}
CLAIMS = [
    {
        "sentence": (
            "a base completes the statement of most facts and answers their questions almost never,"
            " even if the statement may be anywhere"
        ),
        "condition": (
            "lower end of the interval above 0.8 for statements; upper end below 0.1 for questions"
        ),
        "refuted_by": (
            "it completes fewer than four in five statements, or answers a tenth of the questions"
        ),
        "faults": [
            {"right": {STATEMENT: flags(390), QUESTION: flags(5)}},
            {"right": {STATEMENT: flags(480), QUESTION: flags(60)}},
        ],
    }
]
