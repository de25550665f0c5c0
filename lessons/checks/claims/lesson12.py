"""The claims of lesson 12, and how each can fail (tests/test_claims.py)."""

FOLLOWED = {("two questions", "new things"): (0.74, 0.61, 0.85)}
GREETS = {("tasks never with one", "no system prompt"): (0.0, 0.0, 0.0)}
GOOD = {
    "followed": FOLLOWED,
    "greets": GREETS,
    "near": (0.97, 0.88, 1.0),
    "safe": (0.2, 0.09, 0.32),
    "open_door": (0.84, 0.73, 0.92),
    "own": (0.9, 0.8, 0.95),
    "worst": (0.0, 0.0, 0.05),
}
CLAIMS = [
    {
        "sentence": (
            "tuned on whole questions only, many follow-ups are answered: an earlier turn is text"
            " to copy from"
        ),
        "condition": "lower end of the interval above a quarter, after two whole questions",
        "refuted_by": "a model tuned on whole questions that answers fewer than a quarter of them",
        "faults": [{"followed": {("two questions", "new things"): (0.3, 0.2, 0.4)}}],
    },
    {
        "sentence": "a system prompt reaches tasks and names that tuning never had with one",
        "condition": (
            "greeted by name: more than half; without a system prompt: less than one in five"
        ),
        "refuted_by": (
            "new tasks and names that are seldom greeted, or a greeting that comes without a"
            " system prompt too"
        ),
        "faults": [
            {"near": (0.4, 0.3, 0.5)},
            {"greets": {("tasks never with one", "no system prompt"): (0.3, 0.2, 0.4)}},
        ],
    },
    {
        "sentence": (
            "a model that has seen forgeries obeys fewer of them where a user's text cannot become"
            " a header"
        ),
        "condition": "more than ten points fewer with header ids of the program's own",
        "refuted_by": "forgeries that work as often with safe ids",
        "faults": [{"safe": (0.8, 0.7, 0.9)}],
    },
    {
        "sentence": (
            "in the worst template a model answers less than half of what it answers in its own"
        ),
        "condition": "the smallest share of all templates below half of the share in its own",
        "refuted_by": "a model that answers about as well in any template",
        "faults": [{"worst": (0.6, 0.5, 0.7)}],
    },
]
