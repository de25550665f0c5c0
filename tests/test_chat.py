"""The chat: its commands do what the help says, and an unsure answer is not shown."""

import builtins
import json
import math

import pytest
import torch
from helpers import ROOT, tiny_model

import world
from common import chat
from data import Tokenizer, Turn, train_bpe
from generate import Assistant, Sampling, three_models

TOKENIZER = Tokenizer(train_bpe("the cat sat on the mat. " * 9, 280))
SHORT = Sampling(max_new_tokens=9)


def models(data="world"):
    model = tiny_model(vocab_size=TOKENIZER.vocab_size, block_size=64)
    tuned = Assistant(model, TOKENIZER, "alpaca", {"data": data})
    return three_models(Assistant(model, TOKENIZER, None), tuned)


@pytest.fixture
def talk(monkeypatch, capsys):
    """Type lines into the chat. Returns its output. An exception is a key, such as Ctrl-C."""

    def talk(*lines, data="world", sampling=SHORT, threshold=chat.THRESHOLD):
        keyboard = iter(lines)

        def type_in(prompt):
            line = next(keyboard, EOFError)
            if isinstance(line, type):
                raise line
            return line

        monkeypatch.setattr(builtins, "input", type_in)
        monkeypatch.setattr(chat, "THRESHOLD", threshold)
        chat.chat(models(data), sampling)
        assert next(keyboard, None) is None, "it left too early"
        return capsys.readouterr().out

    return talk


@pytest.fixture
def prompts(monkeypatch):
    """Every conversation that a model answers, as [(instruction, input), ...]."""
    conversations, real = [], Assistant.stream

    def stream(self, turns, *args):
        conversations.append([(turn.instruction, turn.input) for turn in turns])
        return real(self, turns, *args)

    monkeypatch.setattr(Assistant, "stream", stream)
    return conversations


@pytest.mark.parametrize("word", ["exit", "quit", "/exit", "/quit", KeyboardInterrupt, EOFError])
def test_it_leaves(talk, word):
    talk(word)


def test_an_unsure_answer_is_a_hint_until_you_ask_for_it(talk):
    hinted = talk("the cat?", threshold=1.1)  # no answer is as sure as that
    before = hinted[: hinted.index(chat.HINT)]
    plain = talk("the cat?", threshold=0.0)
    answer = plain.removeprefix(before)
    assert chat.HINT not in plain and len(answer.strip()) > 3
    guessed = talk("the cat?", "/guess", threshold=1.1)
    near = chat.NEAR.format(chat.near_question("the cat?"))
    assert guessed == f"{before}{chat.HINT}\n{near}\n{answer}"


def test_there_is_no_hint_where_the_threshold_was_not_measured(talk):
    assert chat.HINT not in talk("the?", data=["my.jsonl"], threshold=1.1)
    assert chat.HINT not in talk("/base", "the?", threshold=1.1)
    assert chat.HINT not in talk("the?", sampling=Sampling(1.0, max_new_tokens=9), threshold=1.1)


def test_input_stays_until_it_is_removed_and_new_forgets(talk, prompts):
    lines = ["/input the mat", "a?", "b?", "/input", "c?", "/new", "d?", "/nonsense", ""]
    assert chat.HELP in talk(*lines, data=["my.jsonl"])
    a, b, c = ("a?", "the mat"), ("b?", "the mat"), ("c?", "")
    assert prompts == [[a], [a, b], [a, b, c], [("d?", "")]]


def test_a_model_of_the_built_in_world_is_asked_each_question_alone(talk, prompts):
    for threshold in (0.0, 1.1):
        talk("a?", "b?", threshold=threshold)
    assert prompts == [[("a?", "")], [("b?", "")]] * 2


def test_ctrl_c_ends_the_answer_and_not_the_chat(talk, prompts, monkeypatch):
    real = Assistant.stream

    def stream(self, turns, *args):
        for n, piece in enumerate(real(self, turns, *args)):
            if turns[-1].instruction == "a?" and n == 2:
                raise KeyboardInterrupt
            yield piece

    monkeypatch.setattr(Assistant, "stream", stream)
    screen = talk("a?", "b?", data=["my.jsonl"])
    assert "stopped" in screen and prompts[-1] == [("b?", "")], "half an answer is forgotten"


def test_confidence_is_the_product_of_the_first_probabilities(capsys):
    """The oracle: the whole text through the model once, softmax, multiply."""
    assistant, turns = models()["tuned"], [Turn("the cat?")]
    text, confidence = chat.answer(assistant, turns, Sampling(max_new_tokens=12), 0.0)
    assert capsys.readouterr().out == f"{text}\n"
    prompt = assistant.prompt(turns)
    ((ids, stopped),) = assistant.complete(None, [prompt], Sampling(max_new_tokens=12))
    assert TOKENIZER.decode(ids) == text and len(ids) > chat.N_FIRST
    with torch.inference_mode():
        probabilities = assistant.model(torch.tensor([prompt + ids]))[0].softmax(-1)
    first = range(len(prompt), len(prompt) + chat.N_FIRST)
    logs = [math.log(probabilities[i - 1, ids[i - len(prompt)]]) for i in first]
    assert math.log(confidence) == pytest.approx(sum(logs), rel=1e-3)


def test_control_characters_of_an_answer_are_shown_and_not_sent(talk, monkeypatch):
    pieces = [("a\x1b[2J", 0.0), ("b\r\x9b c\n", 0.0)]
    monkeypatch.setattr(Assistant, "stream", lambda *_: iter(pieces))
    assert "a\\x1b[2Jb\\r\\x9b c\n" in talk("hello\x1b]0;title\x07")


@pytest.mark.parametrize("message", ["hi", "Hello there!", "thanks!", "who are you?", "Bonjour"])
def test_a_greeting_is_answered_by_the_program(talk, prompts, message):
    assert chat.GREETING in talk(message) and not prompts


@pytest.mark.parametrize("message", ["a?", "???", "Hi! What is the capital of Peru?", "hot"])
def test_a_question_is_not_taken_for_a_greeting(talk, prompts, message):
    assert chat.GREETING not in talk(message) and len(prompts) == 1


@pytest.mark.parametrize("message, near", [
    ("whats the capital of germany", "What is the capital of Germany?"),
    ("What noise do COWS make", "What is the sound of a cow?"),
    ("germany?", "What is the capital of Germany?"),
    ("xyzzy", None),
    ("한국의 수도는 어디입니까?", None),
])
def test_a_near_question_is_one_that_the_world_asks(message, near):
    assert chat.near_question(message) == near


def test_an_empty_line_asks_the_near_question_once(talk, prompts):
    talk("germany?", "", "", "", threshold=1.1)
    asked = [turns[-1][0] for turns in prompts]
    assert asked[:2] == ["germany?", "What is the capital of Germany?"]
    talk("xyzzy", "", threshold=1.1)
    assert prompts[-1] == [("xyzzy", "")]


def test_the_list_of_kinds_has_a_question_for_each_task(talk):
    lines = talk("/kinds").splitlines()
    nouns = {task.noun.partition("{x}")[0] for task in world.TASKS.values()}
    assert all(any(noun in line for line in lines) for noun in nouns)
    assert not [line for line in lines if "{" in line]
    assert len(chat.list_kinds(world.QUICK_TASKS).splitlines()) < 20  # of a --quick run


def test_capitals_are_read_as_small_letters_and_a_long_message_is_said_to_be_cut(talk, prompts):
    screen = talk("THE CAT?", "the cat " * 99)
    assert prompts[0] == [("the cat?", "")] and screen.count(chat.CUT) == 1


def test_its_texts_fit_in_80_columns():
    for text in (chat.ABOUT, chat.HELP, chat.HINT, chat.KINDS, chat.GREETING, chat.CUT):
        assert max(map(len, text.splitlines())) <= 80


def test_no_message_that_the_threshold_is_measured_on_is_a_question_of_the_world():
    lines = (ROOT / "bench" / "outside.jsonl").read_text(encoding="utf-8").splitlines()
    messages = {json.loads(line)["message"].lower() for line in lines}
    assert len(messages) == len(lines) == 200
    built = world.build(0, world.HELD_OUT, size=0)
    rows = [row for rows in (built.pairs, *built.splits.values()) for row in rows]
    assert not messages & {row["instruction"].lower() for row in rows}
