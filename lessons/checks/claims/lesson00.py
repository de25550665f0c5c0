"""The claim of lesson 0, and how it can fail (tests/test_claims.py)."""

GOOD = {"result": (0.9, 0.82, 0.95), "control": (0.0, 0.0, 0.05)}
CLAIMS = [
    {
        "sentence": (
            "the tuned model answers most questions of kinds that it was never tuned on, and its"
            " base with the same template hardly any"
        ),
        "condition": "lower end of the interval above a half; upper end of the base's below 0.1",
        "refuted_by": (
            "a tuned model that answers only kinds of question that it knows, or a template that"
            " makes a base answer"
        ),
        "faults": [{"result": (0.5, 0.4, 0.6)}, {"control": (0.2, 0.1, 0.3)}],
    }
]
