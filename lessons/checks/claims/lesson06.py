"""The claims of lesson 6, and how each can fail (tests/test_claims.py)."""

MEASURED = {  # column -> over all questions: right, a true statement. (mean, low, high) each
    "rule: begin and end": ((0.09, 0.06, 0.12), (0.3, 0.25, 0.35)),
    "rule: copy": ((0.63, 0.58, 0.68), (0.44, 0.4, 0.5)),
    "response tuning": ((0.0, 0.0, 0.01), (0.99, 0.97, 1.0)),
    "tuning": ((0.79, 0.75, 0.83), (0.5, 0.45, 0.55)),
}


def measured(**changed):
    """Return the variables of the last cell. A change is column="..." with right= or true=."""
    table = {name: list(values) for name, values in MEASURED.items()}
    if changed:
        column = table[changed.pop("column")]
        for metric, value in changed.items():
            column[("right", "true").index(metric)] = value
    return {
        "assistants": table,
        "questions": {},
        "share": lambda name, splits, which=0: table[name][which],
        "gain": (0.3, 0.1, 0.5),
    }


GOOD = measured()
CLAIMS = [
    {
        "sentence": (
            "a rule that copies from the instruction does more than one that does not look at it,"
            " and tuning more"
        ),
        "condition": "the intervals, over all questions, do not touch",
        "refuted_by": "copying brings nothing, or copying brings all that tuning does",
        "faults": [
            measured(column="rule: begin and end", right=(0.6, 0.55, 0.65)),
            measured(column="tuning", right=(0.66, 0.6, 0.7)),
        ],
    },
    {
        "sentence": (
            "asked in other words than the answer's, tuning answers more than the copying rule"
        ),
        "condition": (
            "question by question, over all held-out ones that do not hold the beginning of their"
            " answer: the interval of the difference is above 0"
        ),
        "refuted_by": "tuning can only copy too",
        "faults": [{"gain": (0.05, -0.05, 0.15)}],
    },
    {
        "sentence": (
            "tuned on other people's questions the model says true things and seldom what was asked"
        ),
        "condition": "right: upper end below 0.25; true statements: lower end above that",
        "refuted_by": "response tuning answers questions, or says things that are not true",
        "faults": [
            measured(column="response tuning", right=(0.4, 0.35, 0.45)),
            measured(column="response tuning", true=(0.01, 0.0, 0.02)),
        ],
    },
]
