"""The claims of lesson 16, and how each can fail (tests/test_claims.py)."""

GOOD = {
    "ends": {"first": 2, "second": 100},
    "n_chat": 0,
    "n_repaired_chat": 35,
    "leaked": 6.2,
    "repaired_leak": 0.0,
}
CLAIMS = [
    {
        "sentence": "with the eos masked less than half as many answers end where they should",
        "condition": "right answers that stop: with the bug below half of those without it",
        "refuted_by": "a model that never learned the eos and stops in time all the same",
        "faults": [{"ends": {"first": 60, "second": 100}}],
    },
    {
        "sentence": "with another prompt than in tuning less than half as many answers are right",
        "condition": (
            "right answers: with the other prompt below half of those with the prompt of the tuning"
        ),
        "refuted_by": (
            "a model that does not mind the spaces, or one that answers nothing with either prompt"
        ),
        "faults": [{"n_chat": 30}],
    },
    {
        "sentence": (
            "with a wrong mask one document changes the logits of another, with the right one it"
            " does not"
        ),
        "condition": (
            "greatest change of a logit: wrong mask above a hundredth, right mask below a"
            " thousandth"
        ),
        "refuted_by": (
            "a model that does not look at what comes before, or a mask that lets something"
            " through"
        ),
        "faults": [{"leaked": 0.001}, {"repaired_leak": 0.4}],
    },
]
