"""The claims of lesson 2, and how each can fail (tests/test_claims.py)."""

GOOD = {
    "same": True,
    "spanned": {"alpaca": 0, "plain": 100},
    "rows": [None] * 100,
    "lost": (0.8, 0.75, 0.85),
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
        "sentence": "a space at the end of the prompt costs the base facts",
        "condition": "without minus with: the lower end of the difference is above 0.1",
        "refuted_by": "nearly as many facts come out right after the space",
        "faults": [{"lost": (0.05, 0.0, 0.1)}],
    },
]
