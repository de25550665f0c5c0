"""The claims of lesson 13, and how each can fail (tests/test_claims.py)."""


def interval(mean):
    return mean, mean - 0.05, mean + 0.05


REFUSED = {
    ("with", "invented name"): interval(0.8),
    ("with", "empty cell"): interval(0.05),
    ("without", "invented name"): interval(0.0),
}
RULE = {
    ("rule", "empty cell"): 0.7,
    ("rule", "known"): 0.15,
    ("taught", "empty cell"): 0.02,
}
GOOD = {"refused": REFUSED, "rule": RULE}
CLAIMS = [
    {
        "sentence": (
            "with the pairs that say unknown, a model says it for new questions of their kinds;"
            " without them it does not"
        ),
        "condition": "more than thirty points more often, for invented names",
        "refuted_by": "a model that says unknown as often without the pairs, or hardly with them",
        "faults": [{"refused": REFUSED | {("with", "invented name"): interval(0.2)}}],
    },
    {
        "sentence": "the pairs reach empty cells less than half as often as invented names",
        "condition": "the share that says unknown: empty cells below half of invented names",
        "refuted_by": "a model that finds empty cells as it finds invented names",
        "faults": [{"refused": REFUSED | {("with", "empty cell"): interval(0.6)}}],
    },
    {
        "sentence": (
            "a threshold on the model's own probability catches more empty cells than the pairs"
            " do, at few known"
        ),
        "condition": (
            "more than ten points more empty cells refused, and less than four in ten of the known"
        ),
        "refuted_by": "the model is as sure of what it makes up as of what it knows",
        "faults": [
            {"rule": RULE | {("rule", "empty cell"): 0.05}},
            {"rule": RULE | {("rule", "known"): 0.5}},
        ],
    },
]
