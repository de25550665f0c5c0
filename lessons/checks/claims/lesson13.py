"""The claims of lesson 13, and how each can fail (tests/test_claims.py)."""

MEASURED = {
    ("known only", "known", "wrong"): 0.17,
    ("made up", "known", "wrong"): 0.31,
    ("refusals", "new name", "refused"): 0.17,
    ("refusals", "empty cell", "refused"): 0.0,
    ("rule", "empty cell"): 0.57,
    ("rule", "known"): 0.13,
    ("taught", "empty cell"): 0.0,
}


def measured(changes=()):
    table = MEASURED | dict(changes)
    share = lambda *key: (table[key], 0.0, 1.0)  # noqa: E731
    return {"share": share, "refused": share, "rule": "rule", "taught": "taught"}


GOOD = measured()
CLAIMS = [
    {
        "sentence": (
            "tuned on made-up answers too, the model is wrong more often about what is known"
        ),
        "condition": "more than two points more wrong answers to known questions",
        "refuted_by": "invented answers about other things cost nothing",
        "faults": [measured({("made up", "known", "wrong"): 0.18})],
    },
    {
        "sentence": "taught refusals reach new names more often than empty cells",
        "condition": "more than five points more refusals",
        "refuted_by": "refusals of held-out empty cells are as frequent as those of new names",
        "faults": [measured({("refusals", "empty cell", "refused"): 0.17})],
    },
    {
        "sentence": (
            "a threshold on the model's own probability catches more empty cells than taught"
            " refusals do, at few known"
        ),
        "condition": (
            "more than ten points more empty cells refused, and less than three in ten of the known"
        ),
        "refuted_by": "the model is as sure of what it makes up as of what it knows",
        "faults": [measured({("rule", "empty cell"): 0.05}), measured({("rule", "known"): 0.4})],
    },
]
