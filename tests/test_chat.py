"""The chat: what is typed does what the help says, unsure answers are not shown, and the threshold is the measured one."""

import builtins
import math
import sys

import pytest
import torch
from helpers import ROOT, tiny_model

import world
from data import Row, Tokenizer, Turn, train_bpe
from extras import chat
from generate import Assistant, Sampling, three_models

sys.path.insert(0, str(ROOT / "bench"))
import outside  # noqa: E402

TOKENIZER = Tokenizer(train_bpe("the cat sat on the mat. " * 9, 280))


def models(data="world"):
    model = tiny_model(vocab_size=TOKENIZER.vocab_size, block_size=64)
    tuned = Assistant(model, TOKENIZER, "alpaca", {"data": data})
    return three_models(Assistant(model, TOKENIZER, None), tuned)


def talk(monkeypatch, capsys, *lines, data="world", sampling=Sampling(max_new_tokens=9), sure=chat.SURE):
    """What the chat prints when these lines are typed; then the keyboard is at its end."""
    typed = iter(lines)

    def type_in(prompt):
        line = next(typed, None)
        if line is None:
            raise EOFError
        if isinstance(line, type):
            raise line
        return line

    monkeypatch.setattr(builtins, "input", type_in)
    monkeypatch.setattr(chat, "SURE", sure)
    chat.chat(models(data), sampling)
    assert next(typed, None) is None, "it left too early"
    return capsys.readouterr().out


@pytest.mark.parametrize("word", ["exit", "quit", "/exit", "/quit", KeyboardInterrupt])
def test_it_leaves_when_asked(monkeypatch, capsys, word):
    talk(monkeypatch, capsys, word)


def test_an_unsure_answer_is_a_hint_until_it_is_asked_for(monkeypatch, capsys):
    said = talk(monkeypatch, capsys, "the cat?", sure=1.1)  # nothing is as sure as that
    hint = said[said.index("(I do not know") :]
    assert "% sure" in hint and hint.rstrip().endswith(")")
    with_guess = talk(monkeypatch, capsys, "the cat?", "/guess", sure=1.1)
    plain = talk(monkeypatch, capsys, "the cat?", sure=0.0)
    answer = plain.removeprefix(said[: said.index("(I do not know")])
    assert len(answer.strip()) > 3 and with_guess == said[:-1] + answer  # the last line is the end of the keyboard
    assert "(I do not know" not in plain


def test_no_hint_where_the_threshold_was_not_measured(monkeypatch, capsys):
    assert "(I do not know" not in talk(monkeypatch, capsys, "the?", data=["my.jsonl"], sure=1.1)
    assert "(I do not know" not in talk(monkeypatch, capsys, "/base", "the?", sure=1.1)
    assert "(I do not know" not in talk(monkeypatch, capsys, "the?", sampling=Sampling(1.0, max_new_tokens=9), sure=1.1)


def prompts_of(monkeypatch):
    """Every conversation that is asked"""
    seen, real = [], Assistant.prompt

    def prompt(self, turns, system=""):
        seen.append([(turn.instruction, turn.input) for turn in turns])
        return real(self, turns, system)

    monkeypatch.setattr(Assistant, "prompt", prompt)
    return seen


def test_input_stays_until_it_is_taken_away_and_new_forgets(monkeypatch, capsys):
    seen = prompts_of(monkeypatch)
    lines = ["/input the mat", "a?", "b?", "/input", "c?", "/new", "d?", "/nonsense", ""]
    assert chat.HELP in talk(monkeypatch, capsys, *lines, data=["my.jsonl"])
    a, b, c = ("a?", "the mat"), ("b?", "the mat"), ("c?", "")
    assert seen == [[a], [a, b], [a, b, c], [("d?", "")]]


def test_the_built_in_worlds_model_is_asked_each_question_alone(monkeypatch, capsys):
    seen = prompts_of(monkeypatch)
    talk(monkeypatch, capsys, "a?", "b?", sure=0.0)
    talk(monkeypatch, capsys, "a?", "b?", sure=1.1)
    assert seen == [[("a?", "")], [("b?", "")]] * 2


def test_ctrl_c_ends_the_answer_and_not_the_chat(monkeypatch, capsys):
    real, pressed = Assistant.stream, []

    def stream(self, turns, *args, **kwargs):
        for n, piece in enumerate(real(self, turns, *args, **kwargs)):
            if turns[-1].instruction == "a?" and n == 2:
                pressed.append(n)
                raise KeyboardInterrupt
            yield piece

    monkeypatch.setattr(Assistant, "stream", stream)
    seen = prompts_of(monkeypatch)
    said = talk(monkeypatch, capsys, "a?", "b?", data=["my.jsonl"])
    assert pressed and "stopped" in said and seen[-1] == [("b?", "")], "half an answer is not part of the conversation"


def test_how_sure_it_is_is_the_product_of_the_first_probabilities():
    """Against the plainest count: the whole text through the model once, softmax, multiply."""
    assistant = models()["tuned"]
    turns = [Turn("the cat?")]
    text, sure = chat.answer(assistant, turns, Sampling(max_new_tokens=12), 2.0)
    prompt = assistant.prompt(turns)
    ((ids, stopped),) = assistant.generate([Row(tuple(turns))], [prompt], Sampling(max_new_tokens=12))
    assert TOKENIZER.decode(ids).startswith(text) and text
    ids += [TOKENIZER.eos_id] * stopped
    with torch.inference_mode():
        probabilities = assistant.model(torch.tensor([(prompt + ids)[:-1]]))[0].softmax(-1)
    first = range(min(chat.FIRST, len(ids)))
    assert sure == pytest.approx(math.prod(probabilities[len(prompt) - 1 + i, ids[i]].item() for i in first), rel=1e-3)
    ((_, measured),) = outside.ask(assistant, [Row(tuple(turns))])
    assert measured == pytest.approx(sure, rel=1e-3)


def test_what_it_prints_fits_in_80_columns():
    for text in (chat.ABOUT, chat.HELP, chat.HINT.format(sure=0.05)):
        assert max(map(len, text.splitlines())) <= 80


def test_the_curve_counts_each_share_of_its_own():
    persons = [(True, 0.1), (True, 0.9), (False, 0.2), (False, 0.8), (False, 0.1)]
    assert outside.shares(0.3, [0.2, 0.4, -1.0, 0.3], [0.1, 0.5], persons) == (0.5, 0.5, 0.5, 2 / 3)


def test_the_messages_are_200_different_ones_and_none_is_a_question_of_the_world():
    messages = outside.read("outside.jsonl")
    assert len({one["message"].lower() for one in messages}) == len(messages) == 200
    built = world.build(0, world.HELD_OUT, size=0)
    asked = {row["instruction"].lower() for rows in (built.pairs, *built.splits.values()) for row in rows}
    assert not [one["message"] for one in messages if one["message"].lower() in asked]
