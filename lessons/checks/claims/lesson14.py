"""The claims of lesson 14, and how each can fail (tests/test_claims.py)."""

from types import SimpleNamespace


def experiment(*outcome):
    """Make a stand-in for experiments/lesson14.py, whose duel ends so."""
    return SimpleNamespace(duel=lambda new, old, prefer: outcome)


ENDS = [(-1.0, -9.0), (0.5, -8.0)]
SLOW = {"distance": 0.9}
FAST = {"distance": 6.0}
FIRM = {"distance": 0.7}
TRIED = {"as above": SLOW, "5 times the rate": FAST, "30 times the beta": FIRM}
GOOD = {
    "experiment": experiment(70, 40, 18),
    "replies": {"after DPO": [], "tuned": []},
    "prefer": None,
    "gained_low": 0.4,
    "tried": TRIED,
    "ends": ENDS,
}
CLAIMS = [
    {
        "sentence": (
            "after DPO the preferred form comes clearly more often, and more answers win than lose"
        ),
        "condition": "the interval of the difference is above zero; wins above losses",
        "refuted_by": "the preferred form is as frequent as before, or the new answers lose",
        "faults": [{"gained_low": -0.02}, {"experiment": experiment(18, 40, 70)}],
    },
    {
        "sentence": "a far larger beta takes the model no further from the reference",
        "condition": "the distance at the largest beta below that at the usual one plus a quarter",
        "refuted_by": "a larger beta moves the model further",
        "faults": [{"tried": TRIED | {"30 times the beta": FAST}}],
    },
    {
        "sentence": "the gap between chosen and rejected grew for every seed",
        "condition": (
            "in the last steps of every seed log p rose more (or fell less) for chosen than for"
            " rejected answers"
        ),
        "refuted_by": "one seed whose rejected answers gained as much",
        "faults": [{"ends": [ENDS[0], (-1.0, -0.5)]}],
    },
]
