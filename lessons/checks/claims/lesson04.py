"""The claims of lesson 4, and how each can fail (tests/test_claims.py)."""

MEASURED = {  # (mask, metric) -> mean, low, high
    ("right", "exactly right"): (0.8, 0.7, 0.9),
    ("off", "exactly right"): (0.6, 0.5, 0.7),
    ("late", "exactly right"): (0.05, 0.0, 0.1),
    ("early", "exactly right"): (0.01, 0.0, 0.02),
    ("early", "begins right"): (0.75, 0.65, 0.85),
}
GOOD = {"table": MEASURED}


def but(mask, metric, *interval):
    return {"table": MEASURED | {(mask, metric): interval}}


CLAIMS = [
    {
        "sentence": "with the right mask most held-out questions are answered exactly right",
        "condition": "lower end of the interval above a half",
        "refuted_by": "half of the questions or fewer",
        "faults": [but("right", "exactly right", 0.5, 0.4, 0.6)],
    },
    {
        "sentence": (
            "a mask one position too early leaves a model that begins right and almost never ends"
            " right"
        ),
        "condition": "begins right: lower end above 0.4; exactly right: upper end below a fifth",
        "refuted_by": "answers that begin wrong, or that end all the same",
        "faults": [
            but("early", "begins right", 0.5, 0.3, 0.6),
            but("early", "exactly right", 0.2, 0.1, 0.3),
        ],
    },
    {
        "sentence": "supervising the prompts too costs less than a mask one position too early",
        "condition": "lower end of off above the upper end of early",
        "refuted_by": "off answers as few as early",
        "faults": [but("off", "exactly right", 0.1, 0.01, 0.2)],
    },
]
