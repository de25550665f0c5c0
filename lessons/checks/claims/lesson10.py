"""The claims of lesson 10, and how each can fail (tests/test_claims.py)."""

SPLITS = ("unseen_inputs", "unseen_tasks")
N = 40  # made-up questions in each split


def seeds(right):
    """Three seeds, each with so many right replies in both splits"""
    return [{split: [True] * right + [False] * (N - right) for split in SPLITS}] * 3


def arms(**changed):
    """What the arms of the first part measured, by how many replies are right."""
    right = {
        "few, clean": 24,
        "many, clean": 24,
        "many, 90% bad": 2,
        "90% bad, filtered": 16,
        "full: few, clean": 30,
        "full: many, clean": 32,
        "full: many, 90% bad": 3,
    } | {FULL_NAMES[name]: n for name, n in changed.items()}
    mean = {
        (arm, split): (n / N, n / N - 0.05, n / N + 0.05)
        for arm, n in right.items()
        for split in SPLITS
    }
    return {"results": {arm: seeds(n) for arm, n in right.items()}, "summary": mean}


def generated(seed=16, generated=23, human=30):
    return {
        "generated_results": {
            "seed": seeds(seed),
            "seed + made": seeds(generated),
            "seed + human": seeds(human),
        }
    }


FULL_NAMES = {
    "bad": "many, 90% bad",
    "full_bad": "full: many, 90% bad",
    "filtered": "90% bad, filtered",
}
ERRORS = {"seed + made": (0.97, 0.91, 1.0), "seed + human": (0.08, 0.0, 0.18)}
GOOD = (
    arms() | generated() | {
        "errors": ERRORS,
        "kinds": ["clean"] + ["cut"] * 9,
        "share_clean": 0.38,
        "STEPS": 40,
        "PASS": 80,
    }
)


def of_split(split):
    return [
        {
            "sentence": (
                f"{split}: a few clean pairs beat four times as many that are mostly bad, in equal"
                " steps"
            ),
            "condition": "the lower end of the difference, question by question, is above 0.1",
            "refuted_by": "a model tuned on mostly bad pairs that answers nearly as much",
            "faults": [arms(bad=21)],
        },
        {
            "sentence": (
                f"{split}: a few clean pairs beat a full pass over four times as many that are"
                " mostly bad"
            ),
            "condition": "the lower end of the difference, question by question, is above 0.1",
            "refuted_by": (
                "a full pass over mostly bad pairs after which the model answers nearly as much"
            ),
            "faults": [arms(full_bad=23)],
        },
        {
            "sentence": (
                f"{split}: the filter brings back at least half of what mostly bad pairs lose"
            ),
            "condition": (
                "(filtered - bad) / (clean - bad) is at least 0.5; it is 0 where bad pairs lose"
                " nothing"
            ),
            "refuted_by": (
                "filtered pairs that are hardly better than unfiltered ones, or bad pairs that lose"
                " nothing"
            ),
            "faults": [arms(filtered=8)],
        },
    ]


CLAIMS = [
    *of_split("unseen inputs"),
    *of_split("unseen tasks"),
    {
        "sentence": "unseen inputs: pairs that the model made help, over the seed alone",
        "condition": "the interval of the difference, question by question, is above 0",
        "refuted_by": "made pairs after which the model answers no more than after the seed",
        "faults": [generated(generated=16)],
    },
    {
        "sentence": "unseen inputs: as many pairs by people help more than made ones",
        "condition": "the interval of the difference, question by question, is above 0",
        "refuted_by": "pairs by people after which the model answers no more than after made pairs",
        "faults": [generated(human=22)],
    },
    {
        "sentence": (
            "errors are copied: wrong answers among the made pairs come back word for word, more"
            " than after pairs by people"
        ),
        "condition": "the interval after made pairs is above the one after pairs by people",
        "refuted_by": "made errors that come back as rarely as after pairs by people",
        "faults": [{"errors": ERRORS | {"seed + made": (0.2, 0.1, 0.3)}}],
    },
]
