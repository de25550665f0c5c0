"""The claims of lesson 7, and how each can fail (tests/test_claims.py)."""

from common.table import wilson
from generate import Sampling

SPLITS = ("unseen_inputs", "unseen_phrasings", "unseen_tasks")
N = 40  # made-up questions


def texts(right):
    """So many right replies, then wrong ones."""
    return ["right"] * right + ["wrong"] * (N - right)


def strictly(texts):
    return [text == "right" for text in texts]


class FakeAssistant:
    """A tuned model that answers so many questions right."""

    def __init__(self, right):
        self.right = right

    def answers(self, rows, sampling):
        return [(text, True) for text in texts(self.right)]


def shares(template, tuned):
    """The same (share, low, high) for all splits"""
    return {
        (split, name): share
        for split in SPLITS
        for name, share in (("base_template", template), ("tuned", tuned))
    }


def leaks(clean, other, leak):
    return {
        (name, "invented facts"): share
        for name, share in (("clean", clean), ("leak, other words", other), ("leak", leak))
    }


ACCURACIES = shares((0.0, 0.0, 0.02), (0.8, 0.75, 0.85))
CLEAN, LEAKED = (0.01, 0.0, 0.03), (0.4, 0.3, 0.5)
REPLIES = {"best_prompt": texts(10), "copy_rule": texts(20)}
DUELS = {"itself, fixed order": 0.78, "itself, blind": 0.5, "padded against itself, blind": 0.8}
GOOD = {
    "wilson": wilson,
    "Sampling": Sampling,
    "strictly": strictly,
    "leniently": strictly,
    "one_answer": [None] * N,
    "questions": dict.fromkeys(SPLITS),
    "accuracies": ACCURACIES,
    "scores": leaks(CLEAN, LEAKED, LEAKED),
    "clean": [FakeAssistant(36)] * 3,
    "replies": REPLIES,
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
        "faults": [
            {"accuracies": ACCURACIES | {("unseen_tasks", "base_template"): (0.6, 0.55, 0.65)}}
        ],
    },
    {
        "sentence": (
            "scored strictly, it is above the base with its best prompt scored leniently, and above"
            " the copying rule"
        ),
        "condition": "both differences, question by question, have intervals above 0",
        "refuted_by": "a prompt or a rule that is right as often as the tuned model",
        "faults": [
            {"replies": REPLIES | {"best_prompt": texts(36)}},
            {"replies": REPLIES | {"copy_rule": texts(36)}},
        ],
    },
    {
        "sentence": (
            "a leak lifts the score on what nobody can know, in the same words or in others"
        ),
        "condition": "the intervals of both leaked arms lie above that of the clean one",
        "refuted_by": "a leak that changes nothing, in the same words or in others",
        "faults": [
            {"scores": leaks(CLEAN, LEAKED, CLEAN)},
            {"scores": leaks(CLEAN, CLEAN, LEAKED)},
        ],
    },
    {
        "sentence": (
            "a fixed order makes a model beat itself, a blind one does not; and padding wins blind"
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
