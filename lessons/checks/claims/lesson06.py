"""The claims of lesson 6, and how each can fail (tests/test_claims.py)."""

from types import SimpleNamespace

SHARES = {  # column -> right over all questions: (mean, low, high)
    "base": (0.0, 0.0, 0.01),
    "decoder by hand": (0.85, 0.8, 0.9),
    "shuffled pairs": (0.0, 0.0, 0.01),
    "response tuning": (0.1, 0.07, 0.13),
    "tuning": (0.79, 0.75, 0.83),
}
DIFFERENT = {"shuffled pairs": 3.0, "tuning": 250.0}


def shares(**changed):
    """Return the variables of the last cell. An underscore in a column's name is a space."""
    table = SHARES | {name.replace("_", " "): share for name, share in changed.items()}
    return {"replies": table, "experiments": SimpleNamespace(share=lambda share: share)}


GOOD = shares() | {"gap": (0.3, 0.1, 0.5), "different": DIFFERENT}
CLAIMS = [
    {
        "sentence": (
            "without tuning, a decoder by hand answers far more than the base with the template"
        ),
        "condition": (
            "over all questions, the lower end of its interval is 30 points above the upper end of"
            " the base's"
        ),
        "refuted_by": "a base that lacks the facts, or that answers with the template alone",
        "faults": [shares(decoder_by_hand=(0.2, 0.15, 0.25))],
    },
    {
        "sentence": "asked in other words, tuned.pt is ahead of the decoder",
        "condition": (
            "question by question, over all held-out ones that do not contain the beginning of"
            " their answer: the interval of the difference is above 0"
        ),
        "refuted_by": "tuning can only copy too",
        "faults": [{"gap": (0.05, -0.05, 0.15)}],
    },
    {
        "sentence": (
            "tuning on right pairs answers more than response tuning and shuffled pairs, which give"
            " fewer different replies"
        ),
        "condition": (
            "the intervals, over all questions, do not touch; shuffled pairs give less than half as"
            " many different replies"
        ),
        "refuted_by": "answers alone, or answers under wrong questions, that teach as much",
        "faults": [
            shares(response_tuning=(0.78, 0.7, 0.85)),
            shares(shuffled_pairs=(0.78, 0.7, 0.85)),
            {"different": DIFFERENT | {"shuffled pairs": 200.0}},
        ],
    },
]
