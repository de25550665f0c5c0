"""The claims of lesson 10, and how each can fail (tests/test_claims.py)."""

SPLITS = ("unseen_inputs", "unseen_tasks")
N = 40  # made-up questions in each split
RIGHT = {  # right replies of each arm
    "few, clean": 24,
    "many, 90% bad": 2,
    "90% bad, filtered": 16,
    "full: many, 90% bad": 3,
}


def measured(changed={}):
    """The flags of three seeds in both splits, where each arm has so many right replies."""
    results = {}
    for arm, n in (RIGHT | changed).items():
        results[arm] = {split: [[True] * n + [False] * (N - n)] * 3 for split in SPLITS}
    return {"results": results}


GOOD = measured()
CLAIMS = [
    {
        "sentence": (
            "a few clean pairs beat four times as many that are mostly bad, in equal steps"
        ),
        "condition": "the lower end of the difference is above 0, on both splits",
        "refuted_by": "a model tuned on mostly bad pairs that answers nearly as much",
        "faults": [measured({"many, 90% bad": 24})],
    },
    {
        "sentence": (
            "a few clean pairs beat a whole epoch over four times as many that are mostly bad"
        ),
        "condition": "the lower end of the difference is above 0, on both splits",
        "refuted_by": "an epoch of mostly bad pairs after which the model answers nearly as much",
        "faults": [measured({"full: many, 90% bad": 24})],
    },
    {
        "sentence": "a filter built from the few trusted pairs brings right answers back",
        "condition": "the lower end of the difference is above 0, on both splits",
        "refuted_by": "filtered pairs that do no better than unfiltered ones",
        "faults": [measured({"90% bad, filtered": 2})],
    },
]
