"""The claims of lesson 9, and how each can fail (tests/test_claims.py)."""

SCORES = {
    ("sure", "right"): (0.02, 0.0, 0.05),
    ("sure", "completed"): (0.95, 0.9, 0.99),
    ("short", "right"): (0.0, 0.0, 0.0),
    ("short, replay", "right"): (0.27, 0.1, 0.41),
}
GOOD = {
    "one_type": (0.04, 0.0, 0.12),
    "all_types": (0.72, 0.64, 0.8),
    "scores": SCORES,
}
CLAIMS = [
    {
        "sentence": (
            "at equal pairs and steps, one task type answers fewer unseen tasks than all of them"
        ),
        "condition": "the interval of one type is below that of all types",
        "refuted_by": "one type that answers as much as all of them",
        "faults": [{"one_type": (0.66, 0.55, 0.75)}],
    },
    {
        "sentence": (
            'after "Sure!" hardly an old question is exactly right, but most statements are still'
            " completed: a changed habit"
        ),
        "condition": "right: interval below a quarter; completed: interval above a half",
        "refuted_by": "a strict score that stays, or statements that are not completed any more",
        "faults": [
            {"scores": SCORES | {("sure", "right"): (0.3, 0.2, 0.4)}},
            {"scores": SCORES | {("sure", "completed"): (0.5, 0.4, 0.6)}},
        ],
    },
    {
        "sentence": "a quarter of old pairs brings back a part of what short answers cost",
        "condition": "right with old pairs: interval above that without",
        "refuted_by": "replay that brings nothing back",
        "faults": [{"scores": SCORES | {("short, replay", "right"): (0.02, 0.0, 0.05)}}],
    },
]
