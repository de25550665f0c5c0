"""The claims of lesson 9, and how each can fail (tests/test_claims.py)."""


def curve(one_type, four_types, all_types):
    """k -> its interval (mean, low, high), and the fraction of each draw"""
    return {1: one_type, 4: four_types, 52: all_types}


def summary_of(points):
    return lambda k, split: points[k]


ONE = ((0.04, 0.0, 0.12), [0.16, 0.0, 0.04, 0.0, 0.0])
FOUR = ((0.39, 0.17, 0.63), [0.6, 0.08, 0.62, 0.1, 0.57])
EVERY = ((0.72, 0.64, 0.8), [0.73, 0.76, 0.67, 0.69, 0.75])
SCORES = {
    ("before", "begun"): (0.97, 0.93, 1.0),
    ("sure", "right"): (0.0, 0.0, 0.0),
    ("sure", "value"): (0.44, 0.35, 0.54),
    ("sure", "begun"): (0.95, 0.9, 0.99),
    ("short", "right"): (0.0, 0.0, 0.0),
    ("short", "value"): (0.02, 0.0, 0.05),
    ("short, 25% old", "right"): (0.27, 0.1, 0.41),
    ("short, 25% old", "value"): (0.29, 0.13, 0.42),
}
GOOD = {"KNOWN": [""] * 52, "summary": summary_of(curve(ONE, FOUR, EVERY)), "scores": SCORES}
CLAIMS = [
    {
        "sentence": (
            "at equal pairs and steps, one task type answers few unseen tasks, all of them answer"
            " most"
        ),
        "condition": (
            "the interval of one type is below that of all types; with all types more than half"
        ),
        "refuted_by": (
            "one type that answers as much as all of them, or all of them answering half or less"
        ),
        "faults": [
            {"summary": summary_of(curve(((0.66, 0.55, 0.75), ONE[1]), FOUR, EVERY))},
            {"summary": summary_of(curve(ONE, FOUR, ((0.45, 0.35, 0.55), EVERY[1])))},
        ],
    },
    {
        "sentence": (
            "breadth guards against an unlucky choice: the draws are closer together and the worst"
            " one is better"
        ),
        "condition": (
            "the draws of all types spread less than those of four, and their lowest is above the"
            " lowest of four"
        ),
        "refuted_by": (
            "draws of all types that spread as much, or draws of four types none of which is bad"
        ),
        "faults": [
            {"summary": summary_of(curve(ONE, FOUR, (EVERY[0], [0.2, 0.95, 0.67, 0.69, 0.75])))},
            {"summary": summary_of(curve(ONE, (FOUR[0], [0.7, 0.95, 0.8, 0.75, 0.9]), EVERY))},
        ],
    },
    {
        "sentence": (
            'after "Sure!" hardly an old question is exactly right, but the value is in many'
            " replies: a changed habit"
        ),
        "condition": (
            "right: interval below 0.1; value: interval above 0.1; completed statements at most"
            " 0.15 fewer than before"
        ),
        "refuted_by": (
            "a strict score that stays, values that are gone, or statements that are not completed"
            " any more"
        ),
        "faults": [
            {"scores": SCORES | {("sure", "right"): (0.3, 0.2, 0.4)}},
            {"scores": SCORES | {("sure", "value"): (0.05, 0.0, 0.1)}},
            {"scores": SCORES | {("sure", "begun"): (0.5, 0.4, 0.6)}},
        ],
    },
    {
        "sentence": "short answers cost more, and a quarter of old pairs saves a part",
        "condition": (
            'value after short answers: interval below that after "Sure!"; right with old pairs:'
            " interval above that without"
        ),
        "refuted_by": (
            "values that stand in as many short replies, or replay that brings nothing back"
        ),
        "faults": [
            {"scores": SCORES | {("short", "value"): (0.4, 0.3, 0.5)}},
            {"scores": SCORES | {("short, 25% old", "right"): (0.02, 0.0, 0.05)}},
        ],
    },
]
