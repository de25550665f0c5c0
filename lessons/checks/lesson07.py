"""Checks of lesson 7: an interval, an evaluation, a checker, a few-shot prompt, leaks, a judge."""

import random
import re

from checks import by_hand, call
from common.table import wilson
from data import Row, Turn
from generate import Sampling


@by_hand("common.table.wilson")
def wilson_interval(learner):
    def pair(correct, n):
        result = learner(correct, n)
        assert hasattr(result, "__len__") and len(result) == 2, "return a pair (low, high)"
        return [float(end) for end in result]

    result = pair(4, 10)
    low, high, scale = 0.1682, 0.6873, 1 + 1.96**2 / 10  # by hand, to four places
    middle, spread = (result[0] + result[1]) / 2, (result[1] - result[0]) / 2
    assert (
        abs(middle - 0.4) > 2e-3
    ), "this is an interval around p, as in textbooks; its middle must move towards one half"
    assert abs(middle - scale * (low + high) / 2) > 2e-3, "the middle is not divided by 1 + z²/n"
    assert abs(spread - scale * (high - low) / 2) > 2e-3, "the spread is not divided by 1 + z²/n"
    assert (
        abs(spread - (high - low) / 2 / 1.96) > 2e-3
    ), "too narrow: z = 1.96 belongs before the root"
    for correct, n, low, high in (
        (4, 10, low, high),
        (9, 10, 0.5958, 0.9821),
        (0, 10, 0.0, 0.2775),
        (90, 100, 0.8256, 0.9448),
    ):
        result = pair(correct, n)
        assert (
            result[0] >= 0 and result[1] <= 1
        ), f"{correct} of {n}: {result} leaves the range from 0 to 1; cut it there"
        assert abs(result[0] - low) < 2e-3 and abs(result[1] - high) < 2e-3, (
            f"{correct} of {n}: ({result[0]:.4f}, {result[1]:.4f}), expected about ({low}, {high});"
            " look at the term under the root"
        )
    # what defines it: at each end, the count seen is 1.96 deviations of *that* share away
    for end in pair(
        37, 120
    ):
        away = abs(37 / 120 - end) / (end * (1 - end) / 120) ** 0.5
        assert (
            abs(away - 1.96) < 0.01
        ), f"at the end {end:.3f} the count is {away:.2f} deviations away, expected 1.96"
    print("Right: narrow with many questions, never of width zero.")


class ToyAssistant:
    """Answer question i with a text that is right for even i. The last two don't stop."""

    def answers(self, rows, sampling):
        assert isinstance(sampling, Sampling), "answers takes the rows and a Sampling()"
        assert sampling.temperature == 0, "ask greedily, Sampling(): a drawn answer is luck"
        replies = []
        for row in rows:
            i = int(row.turns[0].instruction)
            replies.append((f"a{i}" if i % 2 == 0 else "wrong", i < 8))
        return replies


@by_hand("common.table.score")
def evaluate(learner):
    rows = [Row((Turn(str(i), "", f"a{i}"),)) for i in range(10)]  # 8 looks right, doesn't stop

    def is_right(row, text):
        return text == row.turns[0].output

    result = call(learner, ToyAssistant(), list(rows), is_right)
    assert isinstance(result, dict), 'return a dict with "right", "stopped", "interval", "errors"'
    missing = {"right", "stopped", "interval", "errors"} - set(result)
    assert not missing, f"the dict has no {sorted(missing)}"
    right, stopped, errors = result["right"], result["stopped"], list(result["errors"])
    assert right <= 1 and stopped <= 1, "right and stopped are shares, not counts"
    n_errors = len(errors)
    assert right != 0.5 or n_errors == 6, (
        "5 texts are right, but one of them never stops: an answer counts only if it stopped"
    )
    assert right != 0.5, "divide by all questions, not only by those that stopped"
    assert abs(right - 0.4) < 1e-9, f"4 of 10 are right and stopped: right is 0.4, yours {right}"
    assert abs(stopped - 0.8) < 1e-9, f"8 of 10 stopped: stopped is 0.8, yours {stopped}"
    low, high = (float(end) for end in result["interval"])
    assert abs(low - wilson(4, 10)[0]) < 1e-3 and abs(high - wilson(4, 10)[1]) < 1e-3, (
        f"the interval of 4 of 10 is about (0.168, 0.687), yours ({low:.3f}, {high:.3f}): wilson"
        " takes the count of right answers and the number of questions"
    )
    asked = [int(row.turns[0].instruction) for row, _ in errors]
    assert 8 in asked, "question 8 never stops, so it is an error too"
    assert asked == [1, 3, 5, 7, 8, 9], f"the errors are questions 1, 3, 5, 7, 8, 9, yours {asked}"
    assert errors[0][1] == "wrong", "an error is (row, text): the row and the model's own reply"
    print("Right: a share, its interval, and the errors to read.")


@by_hand()
def mentions(learner):
    cases = (
        ("Paris", "The capital of France is Paris.", True, "it is there"),
        (
            "Paris", "Paris is the capital of France", True,
            "at the beginning of a text there is nothing before it",
        ),
        (
            "2", "The half of 24 is 12.", False,
            "2 is a part of 24 and 12, not a word: look for whole words",
        ),
        ("He", "what did he say", False, "He and he differ: keep the capitals"),
        ("A+B", "the sum A+B is here", True, "signs like + are meant as they are: re.escape"),
        ("A+B", "the sum is AAB", False, "signs like + are meant as they are: re.escape"),
        (
            "SELECT * FROM cars;",
            "Write: SELECT * FROM cars;",
            True,
            (
                "the value ends with a mark. \\b finds no border between a mark and the end or a"
                " space, and a list of words has no marks. Look around the value: no word"
                " character before it, (?<!\\w), and none after it, (?!\\w)"
            ),
        ),
        ("a kitten", "It is a kitten.", True, "a value may have several words"),
        ("바다", "The Korean word for sea is 바다.", True, "values need not be English"),
        (
            "달",
            "The Korean word for egg is 달걀.",
            False,
            (
                "it is only the beginning of another word: letters of every script count, as in"
                " \\w, not only a to z"
            ),
        ),
        (
            "달",
            "The Korean word for half moon is 반달.",
            False,
            (
                "it is only the end of another word: letters of every script count, as in \\w, not"
                " only a to z"
            ),
        ),
        (
            "a cat", "I see a cathedral.", False,
            "a cat is only the beginning of a cathedral: look for whole words",
        ),
        ("four", "It is not five.", False, "it is not there"),
    )
    for value, text, expected, why in cases:
        result = learner(value, text)
        assert (
            result in (True, False) and result is not None
        ), f"{result!r} came back: return True or False"
        assert (
            bool(result) == expected
        ), f"mentions({value!r}, {text!r}) is {bool(result)}, expected {expected}: {why}"
    print("Right: whole words, as they are.")


# A toy tokenizer, one token a letter, and the lesson's own way to write questions: no model needed.


class Letters:
    prefix = ()
    eos_id = 1_000_000

    def encode(self, text):
        return [ord(letter) for letter in text]


def plain(ids):
    return "".join("|" if i == Letters.eos_id else chr(i) for i in ids)


def example(i, input=""):
    return Row((Turn(f"q{i}?", input, f"a{i}."),))


@by_hand()
def few_shot(learner):
    # The lesson's form "lines": a question "q\n" or "q x\n", an answer "a\n\n".
    shots, row = [example(1), example(2), example(3, "xx")], example(9, "zz")
    whole = "|q1?\na1.\n\nq2?\na2.\n\nq3? xx\na3.\n\nq9? zz\n"
    original = list(shots)

    def run(limit, shots=shots):
        return plain(learner(Letters(), "lines", shots, row, limit))

    result = run(1000)
    assert (
        result[:1] == "|"
    ), "the prompt must begin with the eos: a document of the corpus begins after one"
    assert result.count("|") == 1, "only the first id is the eos; the shots are one running text"
    assert (
        "a9" not in result
    ), "the question's own answer is in your prompt: the model must find it"
    assert result == whole, f"three shots that fit: expected {whole!r}, yours {result!r}"
    assert (
        run(len(whole)) == whole
    ), f"{len(whole)} ids fit in a limit of {len(whole)}: nothing is to be left out"
    two = "|q2?\na2.\n\nq3? xx\na3.\n\nq9? zz\n"
    result = run(len(whole) - 1)
    assert (
        len(result) <= len(whole) - 1
    ), f"the limit was {len(whole) - 1} ids, yours are {len(result)}; the eos counts as well"
    assert (
        result[:1] == "|"
    ), f"where it does not fit, your prompt must begin with the eos too; yours {result!r}"
    assert result[:3] in (
        "|q1",
        "|q2",
        "|q3",
        "|q9",
    ), f"leave out whole shots, not single ids: {result!r}"
    assert result == two, (
        f"too long by one: leave out the first shot, keep the others; expected {two!r}, yours"
        f" {result!r}"
    )
    assert (
        run(15) == "|q9? zz\n"
    ), f"a limit of 15 leaves room for the question alone; yours {run(15)!r}"
    assert (
        run(3) == "|q9? zz\n"
    ), "the question always stays whole, even where it is longer than the limit"
    assert run(50, []) == "|q9? zz\n", "no shots: the eos and the question"
    assert (
        shots == original
    ), "you changed the caller's list of shots: the next question needs it whole"
    print("Right: whole shots, the first ones left out first, and the question last.")


def row(instruction, context="", output="x"):
    return Row((Turn(instruction, context, output),))


@by_hand("common.audit.prompt_key")
def leaked(learner):
    tuning = [
        row("Name the sum of 1 and 2."),
        row("Give the name in the note.", "On Monday Ann bought a cup in Rome."),
        row("What is the plural of ox?", "", "The plural of ox is oxen."), row("Is 1 more than 2?"),
    ]
    exact = row("What is the plural of ox?", "", "another answer")
    cases = (
        (exact, True, "the same prompt, whatever the answer: compare prompts, not answers"),
        (row("name the  sum of 1 and 2"), True, "it differs only in capitals, spaces and marks"),
        (row("What is the plural of ox", "", "x"), True, "it differs only in a mark"),
        (row("Name the sum of 2 and 2."), False, "it is another question: digits count"),
        (
            row("Give the name in the note.", "On Friday Tom bought a hat in Oslo."), False,
            "the same question about another text: the input is a part of the prompt",
        ),
        (
            row("Give the name in the note", "on monday Ann bought a cup in Rome"), True,
            "it differs only in capitals and marks, in the input too",
        ),
        (
            row("What is the plural of fox?", "", "The plural of ox is oxen."), False,
            "another question with the same answer is no leak of the prompt",
        ),
        (
            row("Is 2 more than 1?"), False,
            "the same words in another order are another question: keep their order",
        ),
        (row("Name the sum."), False, "a part of a prompt is not the prompt"),
    )
    for test, expected, why in cases:
        result = learner(list(tuning), [test])
        assert isinstance(
            result, list
        ), f"{type(result).__name__} came back: return the list of leaked test rows"
        question = " | ".join(filter(None, test.turns[0][:2]))
        assert (
            len(result) > 0
        ) == expected, (
            f"{question!r} was {'found' if result else 'not found'} among the tuning prompts: {why}"
        )
    tests = [test for test, _, _ in cases]
    result = learner(tuning, tests)
    assert all(isinstance(row, Row) for row in result), "return the rows themselves"
    assert result == [
        test for test, expected, _ in cases if expected
    ], "return the leaked test rows, each once, in their order"
    print("Right: same prompt, whatever its spacing, capitals and marks.")


@by_hand()
def win_rate(learner):
    n = 2000
    a, b = ["good"] * n, ["bad"] * n

    def sees(first, second):
        return 0 if first == "good" else 1

    firsts = []

    def always_first(first, second):
        firsts.append(first)
        return 0

    result = learner(a, b, sees, random.Random(1))
    assert isinstance(result, (int, float)), f"{result!r} came back: return the share that a wins"
    assert result <= 1, f"{result} came back: a share, not a count"
    assert result != 0, "0.0 for a model that is better every time: this is the share of b"
    assert (
        not 0.3 < result < 0.7
    ), "a is better every time and wins half: after a swap the verdict must be turned back"
    assert result == 1, f"a is better every time, but wins {result:.0%}"
    result = learner(a, b, always_first, random.Random(1))
    swaps = sum(x != y for x, y in zip(firsts, firsts[1:]))
    assert (
        len(set(firsts)) == 2
    ), "the order never changes: a judge that always says 'the first' is believed"
    assert swaps > 10, "the order was drawn once for all; draw it anew for each pair"
    assert not re.fullmatch(
        "(gb)+g?|(bg)+b?", "".join(x[0] for x in firsts[:40])
    ), "the order goes to and fro by rule, which a judge can learn; draw it at random"
    assert (
        0.45 < result < 0.55
    ), f"a judge that always says 'the first' should give about one half, got {result:.0%}"
    again = [learner(a, b, always_first, random.Random(seed)) for seed in (3, 3)]
    assert again[0] == again[1], "another result with the same rng: use the rng that you are given"
    mixed = learner(
        ["good", "bad", "good", "good"], ["bad", "good", "bad", "bad"], sees, random.Random(2)
    )
    assert mixed == 0.75, f"a is better in 3 of 4 pairs, got {mixed}"
    print("Right: the judge cannot tell who is who, and the verdict finds its way back.")
