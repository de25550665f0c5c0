"""Checks of lesson 6: a decoder by hand, answers without questions, shuffled questions."""

import random
import re  # noqa: F401  an answer uses it

from checks import by_hand, call
from data import Row, Turn

ASKED = (
    ("Name the sea.", "the sea", "the last mark is cut off"),
    ("The moon of the sea?", "The moon of the sea", "an article may have a capital"),
    ("Kindly name the sea of Oz, please.", "the sea of Oz", "a final 'please' is cut off"),
    ("Please name the sea of Oz.", "the sea of Oz", "only a 'please' at the end is cut off"),
    ("The sea of Oz: what is it?", "The sea of Oz", "a final 'what is it' is cut off"),
    ("Could you say what the sea of Oz is?", "the sea of Oz", "a final 'is' is cut off"),
    ("I need an apple, thanks!", "an apple", "a final 'thanks' is cut off"),
    ("Write a poem about the sea.", "a poem about the sea", "take the first article, not the last"),
    ("Triple of 5?", "Triple of 5", "without an article, all of it is asked for"),
    ("What in China is an opera??", "an opera", "'China' has no article: look for whole words"),
    ("Is this the isle of Iris", "the isle of Iris", "'Iris' is no 'is': it is a whole word"),
)


@by_hand()
def asked_for(function):
    for instruction, expected, why in ASKED:
        result = call(function, instruction)
        assert isinstance(result, str), f"{result!r} came back: return a text"
        assert result == expected, (
            f"{instruction!r}: expected {expected!r}, yours {result!r} ({why})"
        )
    print("Right: two steps, and most questions have become a noun.")


class ToyBase:
    """Stand in for a base: it likes one beginning, and completes every text with a number."""

    def __init__(self, likes):
        self.likes, self.scored, self.completed = likes, [], []

    def score(self, before, after):
        self.scored.append((before, after))
        return -1.0 if after.startswith(self.likes) else -2.0

    def complete(self, text):
        self.completed.append(text)
        return " 7."


@by_hand()
def decode(function):
    for likes, text, noun, before, expected in (
        ("The", "", "the sum of 3 and 4", "", "The sum of 3 and 4 is 7."),
        ("Here", "", "The sum of 3 and 4", "", "Here is the sum of 3 and 4: 7."),
        ("The", "It has 7 cups.", "the number", "It has 7 cups. ", "The number is 7."),
    ):
        model = ToyBase(likes)
        result = call(function, model, text, noun)
        scored = sorted(after for _, after in model.scored)
        assert scored, "score was not called: let the model choose between the two beginnings"
        wanted = sorted((
            noun[:1].upper() + noun[1:] + " is", "Here is " + noun[:1].lower() + noun[1:] + ":"
        ))
        assert scored == wanted, f"the beginnings to score are {wanted}, yours {scored}"
        befores = {prefix for prefix, _ in model.scored}
        assert befores == {before}, (
            f"with the text {text!r} the model reads {before!r} before each beginning, yours"
            f" {sorted(befores)}"
        )
        assert model.completed, "complete was not called: the base knows the value"
        start = expected.removesuffix(" 7.")
        assert len(model.completed) == 1 and model.completed[0].endswith(start), (
            f"the model prefers {start!r}; complete that one, yours {model.completed}"
        )
        assert model.completed == [before + start], (
            f"the model must read the text while it completes: {before + start!r}, yours"
            f" {model.completed[0]!r}"
        )
        assert result == expected, (
            f"the answer is the beginning and its completion, without the text: {expected!r}, yours"
            f" {result!r}"
        )
    print("Right: the base chooses the beginning and knows the rest.")


def toy_rows():
    return [Row((Turn(f"q{i}", f"x{i}" if i % 2 else "", f"a{i}"),), f"t{i}") for i in range(40)]


def check_answers(result):
    """Answers and tasks must be those of toy_rows, in order. Returns the turns."""
    is_list = isinstance(result, (list, tuple)) and len(result) == 40
    assert is_list, "return a list with as many rows as came in"
    assert all(isinstance(row, Row) for row in result), "return rows: Row((turn,), task)"
    turns = [row.turns[0] for row in result]
    answers = [turn.output for turn in turns]
    assert answers == [f"a{i}" for i in range(40)], "the answers stay in their order"
    tasks = [row.task for row in result]
    assert tasks == [f"t{i}" for i in range(40)], "the task belongs to the answer and stays with it"
    return turns


@by_hand()
def without_questions(function):
    rows = toy_rows()
    turns = check_answers(call(function, rows))
    assert rows == toy_rows(), "you changed the rows passed in; make new ones"
    assert all(turn.instruction == "" for turn in turns), "every instruction is empty"
    assert all(turn.input == "" for turn in turns), "an input is a part of the question: empty too"
    print("Right: only answers are left.")


@by_hand()
def others_questions(function):
    rows = toy_rows()
    result = call(function, rows, random.Random(0))
    assert rows == toy_rows(), (
        "you changed the rows passed in; make a copy (rng.sample), do not shuffle them in place"
    )
    turns = check_answers(result)
    instructions = [turn.instruction for turn in turns]
    assert instructions != [f"q{i}" for i in range(40)], "every answer still has its own question"
    assert len(set(instructions)) == 40, (
        "some instruction is used twice: shuffle, do not draw each by itself"
    )
    with_input = {turn.instruction: turn.input for turn in (row.turns[0] for row in rows)}
    assert all(with_input[turn.instruction] == turn.input for turn in turns), (
        "an instruction keeps its own input"
    )
    again = [row.turns[0].instruction for row in call(function, rows, random.Random(1))]
    assert again != instructions, "another rng must give another order: use the rng passed in"
    print("Right: the same answers, under questions that say nothing about them.")
