"""The claims of lesson 5, and how each can fail (tests/test_claims.py)."""


def curve(before, after):
    """Of one seed: flags of 40 questions at the first and at the last look."""
    return [
        (step, [True] * right + [False] * (40 - right), 1.0)
        for step, right in ((0, before), (32, after))
    ]


GAINS = {"name": 1.9, "is": 0.3, "value": -0.1, "end": 7.5}
GOOD = {
    "STEPS": 32,
    "curves": [curve(0, 33)] * 3,
    "gains": GAINS,
    "with_eos": [(0.99, 0.98, 1.0), (0.82, 0.76, 0.88)],
    "without_eos": [(0.25, 0.2, 0.3), (0.01, 0.0, 0.02)],
}
CLAIMS = [
    {
        "sentence": (
            "a few steps turn a base that answers nothing into one that answers most held-out"
            " questions"
        ),
        "condition": "before: below 0.05; after: lower end of the interval above a half",
        "refuted_by": (
            "a base that answers already, or half of the questions or fewer after the steps"
        ),
        "faults": [{"curves": [curve(8, 33)] * 3}, {"curves": [curve(0, 20)] * 3}],
    },
    {
        "sentence": (
            "tuning lifts the end by far more than all else, and the name more than the value,"
            " which it moves little"
        ),
        "condition": (
            "gain in log p of the end 3 nats above all others; name 0.3 above value; value within"
            " 0.6 of no change"
        ),
        "refuted_by": (
            "knowledge learned in tuning (the value gains), a name that gains no more, or no change"
            " at the end"
        ),
        "faults": [
            {"gains": GAINS | {"end": 2.0}},
            {"gains": GAINS | {"name": 0.1}},
            {"gains": GAINS | {"value": 1.5}},
        ],
    },
    {
        "sentence": (
            "without the eos in the loss far fewer answers stop and hardly any is exactly right"
        ),
        "condition": (
            "stopped: intervals 20 points apart; exactly right: below a fifth of what it is with"
            " the eos"
        ),
        "refuted_by": "the model stops after its answers all the same",
        "faults": [
            {"without_eos": [(0.9, 0.85, 0.95), (0.01, 0.0, 0.02)]},
            {"without_eos": [(0.25, 0.2, 0.3), (0.4, 0.3, 0.5)]},
        ],
    },
]
