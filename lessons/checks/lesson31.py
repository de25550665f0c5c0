"""Checks of lesson 31: parameters from a config, a few-shot prompt that fits, a lenient checker."""

from data import Row, Turn
from model import GPT, GPTConfig


def n_parameters(learner):
    tiny = learner(GPTConfig(10, n_layer=1, n_head=1, n_embd=4))
    hints = {
        336: "you counted the embedding twice: the output head is the same matrix",
        292: "you forgot the smear, C numbers",
        288: "you forgot the LayerNorm after the blocks, or gave it no bias and no smear: 2 * C + C numbers",
        260: "you forgot the biases of the linear layers: 3C + C + 4C + C of them in a block",
        280: "you forgot the two LayerNorms in the block: 2 * 2 * C numbers",
        256: "the embedding is missing: V * C numbers",
    }
    assert tiny == 296, f"V=10, C=4, one layer: 296 parameters, yours {tiny}. " + hints.get(
        tiny, "count every matrix, every bias and every LayerNorm once"
    )
    for config in (
        GPTConfig(100, n_layer=3, n_head=2, n_embd=8),
        GPTConfig(50, n_layer=3, n_head=1, n_embd=8),
        GPTConfig(100, n_layer=5, n_head=4, n_embd=16),
    ):
        expected = sum(p.numel() for p in GPT(config).parameters())
        found = learner(config)
        assert found == expected, (
            f"V={config.vocab_size}, C={config.n_embd}, {config.n_layer} layers: expected {expected}, yours {found}. "
            "Is everything that stands in a block counted once for every layer, and nothing else?"
        )
    print("Right: every number is counted once.")


# A toy tokenizer and the lesson's own way to write questions, so that the check needs no model. One token a letter.


class Letters:
    eos_id = 1_000_000

    def encode(self, text):
        return [ord(letter) for letter in text]


def plain(ids):
    return "".join("|" if i == Letters.eos_id else chr(i) for i in ids)


def example(i, input=""):
    return Row((Turn(f"q{i}?", input, f"a{i}."),))


def few_shot(learner):
    # The lesson's form "lines": a question "q\n" or "q x\n", an answer "a\n\n".
    shots, row = [example(1), example(2), example(3, "xx")], example(9, "zz")
    whole = "|q1?\na1.\n\nq2?\na2.\n\nq3? xx\na3.\n\nq9? zz\n"
    given = list(shots)

    def run(limit, shots=shots):
        return plain(learner(Letters(), "lines", shots, row, limit))

    found = run(1000)
    assert found[:1] == "|", "the prompt must begin with the end token: a passage of the prose begins after one"
    assert found.count("|") == 1, "only the first id is the end token; the shots are one running text"
    assert "a9" not in found, "the question's own answer stands in your prompt: the model must find it"
    assert found == whole, f"three shots that fit: expected {whole!r}, yours {found!r}"
    assert run(len(whole)) == whole, f"{len(whole)} ids fit in a limit of {len(whole)}: nothing is to be left out"
    two = "|q2?\na2.\n\nq3? xx\na3.\n\nq9? zz\n"
    found = run(len(whole) - 1)
    assert len(found) <= len(whole) - 1, (
        f"the limit was {len(whole) - 1} ids, yours are {len(found)}; the end token counts as well"
    )
    assert found[:1] == "|", f"where it does not fit, your prompt must begin with the end token too; yours {found!r}"
    assert found[:3] in ("|q1", "|q2", "|q3", "|q9"), f"leave out whole shots, not single ids: {found!r}"
    assert found == two, (
        f"too long by one: leave out the first shot, keep the others; expected {two!r}, yours {found!r}"
    )
    assert run(15) == "|q9? zz\n", f"a limit of 15 leaves room for the question alone; yours {run(15)!r}"
    assert run(3) == "|q9? zz\n", "the question always stays whole, even where it is longer than the limit"
    assert run(50, []) == "|q9? zz\n", "no shots: the end token and the question"
    assert shots == given, "you changed the caller's list of shots: the next question needs it whole"
    print("Right: whole shots, the first ones left out first, and the question last.")


def lenient(learner):
    fact = ("capital", "The capital of Italy is Rome.")
    sql = ("sql_all", "A SQL query that shows all rows of the table cars is: SELECT * FROM cars;")
    story = "A story about a fox and a river is: "
    tale = story + "One day a fox came to a river. The fox was very happy. It stayed at the river for ever."
    cases = [
        (*fact, fact[1], True, "the exact statement is right"),
        (*fact, f"  {fact[1]} The capital of", True, "what it says after a right beginning must not count against it"),
        (*fact, "The capital of Italy is Rome", False, "a beginning must reach the mark that ends the sentence"),
        (*fact, "The capital of Italy is Romeo.", False, "the statement must be there exactly, not as a part of words"),
        (*fact, "The capital of Italy is Paris. The end.", False, "a wrong statement is wrong"),
        (*fact, "The capital of Italy. The capital of Italy is Rome.", False, "only a beginning counts, not the middle"),
        (*fact, "Rome.", False, "the whole statement is asked for, not the name alone"),
        (*fact, "", False, "an empty output is wrong"),
        (*sql, sql[1] + " A SQL query", True, "SQL ends with a semicolon"),
        ("story", tale, tale + " A story about", True, "an answer may have several sentences: try every mark, not the first"),
        ("story", tale, tale[: len(story) + 30], False, "a third of a story is not a story"),
        (
            "story",
            tale,
            story + "Once a fox lived near a river. Every day the fox sat there. It loved the river. The end",
            True,
            "some tasks have many right answers: ask world.check, do not compare with the expected one",
        ),
    ]
    for task, expected, output, right, why in cases:
        found = learner(task, expected, output)
        assert bool(found) == right, f"{output!r}: should be {right}, yours {bool(found)}: {why}"
    print("Right: some beginning that ends with a mark, judged by the strict checker.")
