"""The claims of lesson 12, and how each can fail (tests/test_claims.py)."""

FOLLOWED = {
    ("follow-ups", "new things"): (0.92, 0.85, 0.98),
    ("two questions", "new things"): (0.57, 0.47, 0.67),
    ("follow-ups", "new tasks"): (0.97, 0.87, 1.0),
    ("two questions", "new tasks"): (0.35, 0.17, 0.57),
}
NEW, SILENT = ("tasks never with one", "new names"), ("tasks never with one", "no system text")
GREETS = {NEW: (0.97, 0.88, 1.0), SILENT: (0.0, 0.0, 0.0)}
CARELESS, OWN = ("forgeries", "forgery, careless", "forged"), (
    "forgeries",
    "forgery, encode_special",
    "forged",
)
OBEYED = {CARELESS: (0.84, 0.73, 0.92), OWN: (0.2, 0.09, 0.32)}
FORMATS = {("alpaca", "alpaca"): (0.69, 0.56, 0.83), ("alpaca", "plain"): (0.0, 0.0, 0.0)}
SLIPPED = {"as trained": (0.69, 0.56, 0.83), "a space at the end": (0.0, 0.0, 0.0)}
GOOD = {
    "followed": FOLLOWED,
    "greets": GREETS,
    "obeyed": OBEYED,
    "formats": FORMATS,
    "slipped": SLIPPED,
}
CLAIMS = [
    {
        "sentence": (
            "tuned on follow-ups, more follow-ups about new things are answered than after two"
            " whole questions"
        ),
        "condition": "the interval after follow-ups is above the one after two questions",
        "refuted_by": "a model tuned on whole questions alone that answers as many",
        "faults": [{"followed": FOLLOWED | {("two questions", "new things"): (0.85, 0.78, 0.92)}}],
    },
    {
        "sentence": (
            "tuned on follow-ups, more follow-ups of new tasks are answered than after two whole"
            " questions"
        ),
        "condition": "the interval after follow-ups is above the one after two questions",
        "refuted_by": "follow-ups that help only with the kinds of question that they were about",
        "faults": [{"followed": FOLLOWED | {("follow-ups", "new tasks"): (0.5, 0.3, 0.7)}}],
    },
    {
        "sentence": "a system text reaches tasks and names that tuning never had with one",
        "condition": (
            "greeted by name: interval above 0.5; without a system text: interval below 0.1"
        ),
        "refuted_by": (
            "new tasks and names that are seldom greeted, or a greeting that comes without a system"
            " text too"
        ),
        "faults": [
            {"greets": GREETS | {NEW: (0.5, 0.4, 0.6)}},
            {"greets": GREETS | {SILENT: (0.2, 0.1, 0.3)}},
        ],
    },
    {
        "sentence": (
            "a model that has seen forgeries follows many where a user's text can become a header,"
            " fewer where it cannot"
        ),
        "condition": (
            "careless: interval above 0.3; with header ids of the program's own: less than half as"
            " many, interval below"
        ),
        "refuted_by": (
            "forgeries that hardly work at all, that work half as often with safe ids, or intervals"
            " that overlap"
        ),
        "faults": [
            {"obeyed": OBEYED | {CARELESS: (0.45, 0.25, 0.65)}},
            {"obeyed": OBEYED | {OWN: (0.5, 0.4, 0.6)}},
            {"obeyed": OBEYED | {OWN: (0.4, 0.05, 0.75)}},
        ],
    },
    {
        "sentence": (
            "tuned on a newline and asked with a space a model answers far worse than as trained"
        ),
        "condition": "the upper end with a space is below half of the lower end as trained",
        "refuted_by": (
            "a model that answers about half as much, or more, from a prompt that ends in a space"
        ),
        "faults": [{"formats": FORMATS | {("alpaca", "plain"): (0.3, 0.2, 0.4)}}],
    },
    {
        "sentence": "one space too many at the end of the prompt costs most of the right answers",
        "condition": "the upper end with the space is below half of the lower end as trained",
        "refuted_by": (
            "a prompt with one space more that is still answered about half as often, or more"
        ),
        "faults": [{"slipped": SLIPPED | {"a space at the end": (0.4, 0.3, 0.5)}}],
    },
]
