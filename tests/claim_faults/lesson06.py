"""The claims of lesson 6, and how each can fail (see test_claims.py)."""

from types import SimpleNamespace

MEASURED = {  # column -> over all questions: right, a true statement; asked in other words: right. (mean, low, high) each
    "rule: begin and end": ((0.09, 0.06, 0.12), (0.3, 0.25, 0.35), (0.12, 0.0, 0.25)),
    "rule: copy": ((0.63, 0.58, 0.68), (0.44, 0.4, 0.5), (0.12, 0.0, 0.25)),
    "response tuning": ((0.0, 0.0, 0.01), (0.99, 0.97, 1.0), (0.0, 0.0, 0.0)),
    "tuning": ((0.79, 0.75, 0.83), (0.5, 0.45, 0.55), (0.5, 0.31, 0.68)),
}


def measured(**changed):
    """The variables of the last cell. A change is column="..." with right=, true= or other= in its place."""
    table = {name: list(values) for name, values in MEASURED.items()}
    if changed:
        column = table[changed.pop("column")]
        for what, value in changed.items():
            column[("right", "true", "other").index(what)] = value
    functions = SimpleNamespace(
        share=lambda name, splits, which=0: tuple(table[name][which]), apart=lambda name, held: tuple(table[name][2])
    )
    return {"bots": table, "asked": {}, **vars(functions)}


GOOD = measured()
CLAIMS = [
    {
        "sentence": "a rule that copies from the instruction does more than one that does not look at it, and tuning more",
        "condition": "the intervals, over all questions, do not touch",
        "refuted_by": "copying brings nothing, or copying brings all that tuning does",
        "faults": [
            measured(column="rule: begin and end", right=(0.6, 0.55, 0.65)),
            measured(column="tuning", right=(0.66, 0.6, 0.7)),
        ],
    },
    {
        "sentence": "asked in other words than the answer's, the rule answers few and tuning more",
        "condition": "the intervals do not touch, over the questions that do not hold the beginning of their answer",
        "refuted_by": "tuning can only copy too",
        "faults": [measured(column="tuning", other=(0.2, 0.1, 0.35))],
    },
    {
        "sentence": "tuned on other people's questions the model says true things and seldom what was asked",
        "condition": "right: upper end below 0.25; true statements: lower end above that",
        "refuted_by": "response tuning answers questions, or says things that are not true",
        "faults": [
            measured(column="response tuning", right=(0.4, 0.35, 0.45)),
            measured(column="response tuning", true=(0.01, 0.0, 0.02)),
        ],
    },
]
