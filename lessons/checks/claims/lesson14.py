"""The claims of lesson 14, and how each can fail (tests/test_claims.py)."""


def shortest(row, text):
    return text == "short"


def share_of(test, answers):
    share = sum(test(row, text) for row, text in answers) / len(answers)
    return share, share - 0.06, share + 0.06


def stories(short):
    return [(None, "short")] * short + [(None, "long")] * (100 - short)


HISTORIES = {0: [(0.0, 0.0), (-1.0, -9.0)], 1: [(0.0, 0.0), (0.5, -8.0)]}
GOOD = {
    "shortest": shortest,
    "share_of": share_of,
    "replies": {"after DPO": stories(40), "tuned": stories(13)},
    "duels": lambda new, old: (60, 90, 40),
    "means": [(11.0,), (5.4,), (2.0,)],
    "BETA": 0.1,
    "BETAS": (0.03, 0.1, 3.0),
    "histories": HISTORIES,
}
CLAIMS = [
    {
        "sentence": (
            "after DPO the preferred form comes clearly more often, and more answers win than lose"
        ),
        "condition": "the intervals of the shortest form do not touch; wins above losses",
        "refuted_by": "the preferred form is as frequent as before, or the new answers lose",
        "faults": [
            {"replies": {"after DPO": stories(20), "tuned": stories(13)}},
            {"duels": lambda new, old: (40, 90, 60)},
        ],
    },
    {
        "sentence": "a far larger beta takes the model no further from the reference",
        "condition": "the distance at the largest beta below that at the usual one plus a quarter",
        "refuted_by": "a larger beta moves the model further",
        "faults": [{"means": [(11.0,), (5.4,), (8.0,)]}],
    },
    {
        "sentence": "the gap between chosen and rejected grew for every seed",
        "condition": (
            "at the last step of every seed log p rose more (or fell less) for chosen than for"
            " rejected answers"
        ),
        "refuted_by": "one seed whose rejected answers gained as much",
        "faults": [{"histories": HISTORIES | {1: [(0.0, 0.0), (-1.0, -0.5)]}}],
    },
]
