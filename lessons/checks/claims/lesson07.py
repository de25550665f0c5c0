"""The claims of lesson 7, and how each can fail (tests/test_claims.py)."""

from common.table import wilson

SPLITS = ("unseen_inputs", "unseen_phrasings", "unseen_tasks")


def results(**template):
    """Return intervals of both columns. A change is a split's interval of the control."""
    table = {}
    for split in SPLITS:
        table[split, "base_template"] = {"interval": template.get(split, (0.0, 0.02))}
        table[split, "tuned"] = {"interval": (0.75, 0.85)}
    return table


UNCLEAR, LEAKED = (0.02, -0.02, 0.06), (0.4, 0.3, 0.5)
DUELS = {"itself, fixed order": 0.78, "itself, blind": 0.5, "padded against itself, blind": 0.8}
GOOD = {
    "wilson": wilson,
    "questions": dict.fromkeys(SPLITS),
    "results": results(),
    "prompt_lead": (0.6, 0.5, 0.7),
    "rule_lead": (0.3, 0.2, 0.4),
    "leak": LEAKED,
    "hidden": LEAKED,
    "duels": DUELS,
    "n": 500,
}
CLAIMS = [
    {
        "sentence": "in every split the tuned model is far above its base with the same template",
        "condition": (
            "in each split the lower end of the tuned interval is 0.2 above the upper end of the"
            " base's"
        ),
        "refuted_by": "one split in which the base with the template answers nearly as much",
        "faults": [{"results": results(unseen_tasks=(0.55, 0.65))}],
    },
    {
        "sentence": (
            "scored strictly, it is above the base with its best prompt scored leniently, and above"
            " the copying rule"
        ),
        "condition": "both differences, question by question, have intervals above 0",
        "refuted_by": "a prompt or a rule that is right as often as the tuned model",
        "faults": [{"prompt_lead": (0.02, -0.02, 0.06)}, {"rule_lead": (0.02, -0.02, 0.06)}],
    },
    {
        "sentence": "a leak lifts the score on unknowable facts, in the same words or in others",
        "condition": "question by question, both differences have intervals above 0",
        "refuted_by": "a leak that changes nothing, in the same words or in others",
        "faults": [{"leak": UNCLEAR}, {"hidden": UNCLEAR}],
    },
    {
        "sentence": (
            "a fixed order makes a model beat itself, a blind one does not, and padding wins blind"
            " as well"
        ),
        "condition": (
            "fixed order: interval above 0.6; blind: between 0.4 and 0.6; padded: interval"
            " above 0.6"
        ),
        "refuted_by": (
            "a judge without a habit of order, a blind order that helps one side, a judge without a"
            " habit of length"
        ),
        "faults": [
            {"duels": DUELS | {"itself, fixed order": 0.5}},
            {"duels": DUELS | {"itself, blind": 0.8}},
            {"duels": DUELS | {"padded against itself, blind": 0.5}},
        ],
    },
]
