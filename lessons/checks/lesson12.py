"""Checks of lesson 12: a prompt as text, a table of pairs, the first place where two prompts differ."""

from data import Template
from generate import Assistant

OPEN = Template("Q: {}\n", "T: {}\n", "A: ")
POLITE = Template("<u>{}", "|{}", "</u><a>", preamble="Hello.\n", preamble_with_input="Hello, a text.\n")


def prompt_text(learner):
    cases = (
        (OPEN, "Add.", "", "Q: Add.\nA: ", "a prompt without input"),
        (OPEN, "Add.", "1 and 2", "Q: Add.\nT: 1 and 2\nA: ", "a prompt with input"),
        (POLITE, "Add.", "", "Hello.\n<u>Add.</u><a>", "a preamble, no input"),
        (POLITE, "Add.", "1", "Hello, a text.\n<u>Add.|1</u><a>", "another preamble where there is an input"),
        (OPEN, "What is {}?", "a {b}", "Q: What is {}?\nT: a {b}\nA: ", "braces of the user's"),
        (Template("{}", "{}", "A", preamble="P"), "x", "y", "PxyA", "one preamble for both"),
    )
    for t, instruction, input, expected, what in cases:
        try:
            found = learner(t, instruction, input) if input else learner(t, instruction)
        except (IndexError, KeyError, ValueError) as error:
            raise AssertionError(f"{what}: {error!r}; fill each piece by itself, before you join them") from None
        assert isinstance(found, str), f"{type(found).__name__} came back: return text"
        if found == expected:
            continue
        said = f"{what}: {found!r} came back, expected {expected!r}"
        assert input or t.input.split("{}")[0] not in found or t is not OPEN, (
            f"an input's header without an input. {said}"
        )
        assert found.strip() != expected.strip(), f"white space at an end is a part of the template. {said}"
        assert not expected.endswith(found) or found == expected, f"the preamble is missing. {said}"
        assert "{}" not in found or "{}" in instruction, f"a {{}} was not filled. {said}"
        assert t.response in found, f"the header before the answer is missing. {said}"
        if t is POLITE and input:
            assert "Hello.\n" not in found, f"with an input preamble_with_input comes in place of the preamble. {said}"
        raise AssertionError(said)
    print("Right: piece by piece, and the user's braces stay the user's.")


class Named:
    """Stands for a model."""

    def __init__(self, name):
        self.name = name


def cross(learner):
    bots = {name: Assistant(Named(name), "tokenizer", name) for name in "abc"}
    asked = []

    def ask(bot):
        assert isinstance(bot, Assistant), "ask wants an Assistant: Assistant(model, tokenizer, template)"
        assert bot.tokenizer == "tokenizer", "the tokenizer is that of the model's own Assistant"
        asked.append((bot.model.name, bot.template))
        return bot.model.name + bot.template

    found = learner(bots, ["b", "d"], ask)
    assert all(bot.template == name for name, bot in bots.items()), (
        "the bots' own templates were changed; make a new Assistant for each asking"
    )
    expected = [["ab", "ad"], ["bb", "bd"], ["cb", "cd"]]
    assert isinstance(found, (list, tuple)) and all(isinstance(line, (list, tuple)) for line in found), (
        "return a table: a list of rows, one for each model"
    )
    found = [list(line) for line in found]
    assert found != [list(line) for line in zip(*expected)], (
        "rows and columns are exchanged: table[i][j] is model i asked with template j"
    )
    assert found != [["aa", "aa"], ["bb", "bb"], ["cc", "cc"]], "each model was asked with its own template only"
    assert len(found) == 3 and all(len(line) == 2 for line in found), (
        "3 models and 2 templates make 3 rows of 2: take the columns from `templates`, not from `bots`"
    )
    assert found == expected, f"{found} came back, expected {expected}"
    assert len(asked) == 6, f"asked {len(asked)} times, 6 are needed"
    print("Right: models down, templates across, and every model keeps its own template.")


def first_difference(learner):
    ids, mask = [5, 6, 7, 8, 9], [0, 0, 0, 1, 1]
    cases = (
        ([5, 6, 7], None, "the prompts are the same; the answer is not a part of what is sent"),
        ([4, 6, 7], 0, "they part at the very first token"),
        ([5, 9, 7], 1, "the second token differs"),
        ([5, 9, 1], 1, "two tokens differ; the first is asked for"),
        ([5, 6], 2, "what is sent is too short; it parts where it ends"),
        (
            [5, 6, 7, 8],
            3,
            "what is sent goes on too long; it parts where the example's prompt ends, even if an answer begins so",
        ),
        ([5, 6, 7, 1], 3, "what is sent goes on too long"),
        ([], 0, "nothing is sent"),
    )
    for prompt, expected, why in cases:
        given = list(ids), list(mask), list(prompt)
        found = learner(*given)
        assert found is not False and found is not True, "return a position or None, not True or False"
        assert (found is None) == (expected is None) and found == expected, (
            f"prompt {prompt} against ids {ids}, mask {mask}: {found}, expected {expected}: {why}"
        )
        assert given == (ids, mask, prompt), "a list was changed"
    two_turns = learner([5, 6, 9, 7, 9], [0, 0, 1, 0, 1], [5, 6])
    assert two_turns is None, "in a conversation the first prompt ends at the first learned token, mask.index(1)"
    print("Right: the first place where they part, or None.")
