"""The claims of lesson 2, and how each can fail (tests/test_claims.py)."""

from common.table import wilson

GOOD = {
    "same": True,
    "spanned": {"alpaca": 0, "plain": 100},
    "rows": [None] * 100,
    "facts": [None] * 500,
    "right": {"without": 480, "with": 10},
    "wilson": wilson,
}
CLAIMS = [
    {
        "sentence": "the slow trainer and the project's agree token by token",
        "condition": "both lists of tokens are equal",
        "refuted_by": "any token that differs",
        "faults": [{"same": False}],
    },
    {
        "sentence": (
            "tokenized together, a token spans the border in every pair of one template and in none"
            " of the other"
        ),
        "condition": (
            "no pair with the template that ends in a newline, all pairs with the one that ends in"
            " a space"
        ),
        "refuted_by": "one pair on the other side",
        "faults": [
            {"spanned": {"alpaca": 1, "plain": 100}},
            {"spanned": {"alpaca": 0, "plain": 99}},
        ],
    },
    {
        "sentence": (
            "a space at the end of the prompt costs the base at least nine in ten of its facts"
        ),
        "condition": (
            "upper end of the interval with the space below a tenth of the lower end without"
        ),
        "refuted_by": "more than a tenth of the facts survive the space",
        "faults": [{"right": {"without": 480, "with": 60}}],
    },
]
