"""Checks of lesson 6: a rule that copies from the instruction, and shuffled questions."""

import random
from functools import cache

from checks import by_hand, call
from data import Row, Tokenizer, Turn, train_bpe

TEXT = (
    "The sea is A name: Here is the sea. Tell me the sea of a name. What is a name? the Name of the"
    " Sea! "
    * 20
)


@cache
def toy():
    return Tokenizer(train_bpe(TEXT, 400))


@by_hand()
def copying(function):
    tokenizer = toy()
    ids = {
        text: tokenizer.encode(text)[0]
        for text in ("The", "A", "Here", " is", ":", " Name", " name", " the", " sea")
    }
    starts = {ids["The"], ids["A"], ids["Here"]}
    between = {ids[text] for text in (" Name", " name", " the", " sea", " is", ":")}
    result = call(function, tokenizer, "", "Name the sea.")
    assert (
        result is not None
    ), "at the beginning only the first tokens of The, A and Here are allowed; you allow any"
    assert set(result) == starts, f"at the beginning expected {starts}, you have {set(result)}"
    for reply in ("The sea is the name.", "The sea.", "Here: name;", "The sea is?", "A name!"):
        result = call(function, tokenizer, reply, "Name the sea.")
        assert (
            result is not None
        ), f"{reply!r} ends with a mark, so only the eos is allowed; you allow any"
        assert set(result) == {
            tokenizer.eos_id
        }, f"{reply!r} ends with a mark: expected the eos alone, you have {result}"
    for reply in ("The sea is", "Here:", "The sea is a"):
        assert (
            call(function, tokenizer, reply, "Name the sea.") is None
        ), f"{reply!r} has a link, so anything may come: None"
    result = call(function, tokenizer, "The", "Name the sea.")
    assert result is not None, "before a link not everything is allowed; look at case 4"
    result = set(result)
    texts = {i: tokenizer.decode([i]) for i in result}
    assert not any(
        set(text) & set(".!?;") for text in texts.values()
    ), "before a link no token that has a mark is allowed"
    assert {
        ids[" is"],
        ids[":"],
    } <= result, "the links themselves are missing: without them it never gets to the value"
    assert ids[" Name"] in result, "the instruction as it is, with a space before it, is missing"
    assert ids[" name"] in result, "the instruction with a small first letter is missing"
    assert result == between, (
        f"expected {[tokenizer.decode([i]) for i in sorted(between)]}, you have"
        f" {sorted(texts.values())}"
    )
    result = call(function, tokenizer, "This sea", "Name the sea.")
    assert result is not None, "the link is the *word* is, not the letters: 'This' has none"
    print("right: it may only say what it was asked, until it comes to the point")


@by_hand()
def others_questions(function):
    rows = [Row((Turn(f"q{i}", f"x{i}" if i % 2 else "", f"a{i}"),), f"t{i}") for i in range(40)]
    original = list(rows)
    result = call(function, rows, random.Random(0))
    assert rows == original, (
        "you changed the rows that were given; make a copy (rng.sample), do not shuffle them in"
        " place"
    )
    assert (
        isinstance(result, (list, tuple)) and len(result) == 40
    ), "return a list with as many rows as came in"
    turns = [row.turns[0] for row in result]
    assert [turn.output for turn in turns] == [
        f"a{i}" for i in range(40)
    ], "the answers stay in their order"
    assert [row.task for row in result] == [
        f"t{i}" for i in range(40)
    ], "the task belongs to the answer and stays with it"
    instructions = [turn.instruction for turn in turns]
    assert instructions != [f"q{i}" for i in range(40)], "every answer still has its own question"
    assert (
        len(set(instructions)) == 40
    ), "some instruction is used twice: shuffle, do not draw each by itself"
    with_input = {f"q{i}": f"x{i}" if i % 2 else "" for i in range(40)}
    assert all(
        with_input[turn.instruction] == turn.input for turn in turns
    ), "an instruction keeps its own input"
    again = [row.turns[0].instruction for row in call(function, rows, random.Random(1))]
    assert (
        again != instructions
    ), "another rng must give another order: use the rng that you were given"
    print("right: the same answers, under questions that say nothing about them")
