"""The claims of lesson 16, and how each can fail (tests/test_claims.py)."""

from types import SimpleNamespace

NAMES = SimpleNamespace(case_6="case 6", case_9="case 9")
RIGHT, LEAK = {"case 6": 0, "repaired": 35}, {"case 9": 6.2, "repaired": 0.0}
GOOD = {
    "bugs": NAMES,
    "ending_right": {"broken": 2, "sound": 100}.get,
    "broken": "broken",
    "sound": "sound",
    "prompt_text": "repaired",
    "packed_mask": "repaired",
    "right_with": RIGHT.get,
    "leak": LEAK.get,
}
CLAIMS = [
    {
        "sentence": "with the eos masked less than half as many answers end where they should",
        "condition": "right answers that stop: with the bug below half of those without it",
        "refuted_by": "a model that never learned the eos and stops in time all the same",
        "faults": [{"ending_right": {"broken": 60, "sound": 100}.get}],
    },
    {
        "sentence": "with another prompt than in tuning less than half as many answers are right",
        "condition": (
            "right answers: with the other prompt below half of those with the prompt of the tuning"
        ),
        "refuted_by": (
            "a model that does not mind the spaces, or one that answers nothing with either prompt"
        ),
        "faults": [{"right_with": {"case 6": 30, "repaired": 35}.get}],
    },
    {
        "sentence": (
            "with a wrong mask one document changes the logits of another, with the right one it"
            " does not"
        ),
        "condition": (
            "greatest change of a logit: wrong mask above a hundredth, right mask below a"
            " ten-thousandth"
        ),
        "refuted_by": (
            "a model that does not look at what comes before, or a mask that lets something"
            " through"
        ),
        "faults": [
            {"leak": (LEAK | {"case 9": 0.001}).get},
            {"leak": (LEAK | {"repaired": 0.4}).get},
        ],
    },
]
