"""Decoding gives the same tokens however it is done: with a cache, in a batch, padded, or as a stream."""

import time
import unicodedata

import pytest
import torch
from helpers import encode_turns

import data
import generate
from data import Turn
from common import table
from extras import chat, rules
from extras.datasets import TEMPLATES
from model import GPT, GPTConfig

TOKENIZER = data.Tokenizer(data.train_bpe("the cat sat on the mat. 고양이는 매트 위에 앉았다. " * 9, 300))


def assistant(position="rotary", block_size=48, template="alpaca", seed=0):
    torch.manual_seed(seed)
    config = GPTConfig(TOKENIZER.vocab_size, block_size, n_layer=2, n_head=2, n_embd=32, position=position)
    return generate.Assistant(GPT(config).eval(), TOKENIZER, template)


def naive(model, prompt, n):
    """The plainest decoder: the whole text through the model again for every token, no cache, no batch."""
    ids = list(prompt)
    for _ in range(n):
        if len(ids) > model.config.block_size:
            break
        with torch.inference_mode():
            chosen = model(torch.tensor([ids]))[0, -1].argmax().item()
        ids.append(chosen)
        if chosen == TOKENIZER.eos_id:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("position", ["rotary", "learned"])
def test_cached_padded_batches_decode_like_the_plainest_loop(position):
    b = assistant(position)
    prompts = [TOKENIZER.encode(text) for text in ("the", "the cat sat on", "고양이", "mat mat mat mat the cat sat")]
    found = generate.generate(b.model, prompts, TOKENIZER.eos_id, generate.Sampling(max_new_tokens=12))
    for prompt, (ids, stopped) in zip(prompts, found):
        expected = naive(b.model, prompt, 12)
        assert ids + [TOKENIZER.eos_id] * stopped == expected


def test_a_stream_gives_the_same_text_and_never_half_a_character():
    for seed in range(6):
        b = assistant(seed=seed)
        how = generate.Sampling(max_new_tokens=20, temperature=1.0, seed=seed)
        (ids, _), *_ = generate.generate(b.model, [b.prompt([Turn("고양이?")])], TOKENIZER.eos_id, how)
        pieces = list(b.stream([Turn("고양이?")], how))
        assert "".join(pieces) == TOKENIZER.decode(ids)


@pytest.mark.parametrize("position", ["rotary", "learned"])
def test_a_longer_neighbour_in_the_batch_changes_no_answer(position):
    b = assistant(position, block_size=40)
    prompts = [TOKENIZER.encode("the cat sat on the mat. " * 9)[:n] for n in (3, 39, 12, 40, 5)]
    how = generate.Sampling(max_new_tokens=30)
    together = generate.generate(b.model, prompts, TOKENIZER.eos_id, how)
    alone = [generate.generate(b.model, [prompt], TOKENIZER.eos_id, how)[0] for prompt in prompts]
    assert together == alone
    assert [len(ids) + stopped for ids, stopped in alone] == [30, 2, 29, 1, 30] or any(stopped for _, stopped in alone)


def test_as_many_rows_go_together_as_have_room_with_their_answers(monkeypatch):
    b, sizes, real = assistant(block_size=200), [], generate.generate
    rows = [data.Row((Turn("the cat " * n),)) for n in (1, 9, 30, 2, 25, 8, 3, 4)]

    def spy(model, prompts, *rest):
        sizes.append([len(prompt) for prompt in prompts])
        return real(model, prompts, *rest)

    monkeypatch.setattr(generate, "generate", spy)
    how = generate.Sampling(max_new_tokens=10)
    found = b.answers(rows, how, batch_tokens=200)
    assert all(len(batch) == 1 or len(batch) * (max(batch) + 10) <= 200 for batch in sizes) and max(map(len, sizes)) > 1
    assert found == [b.answers([row], how, batch_tokens=1)[0] for row in rows], "in the order of the rows"


@pytest.mark.parametrize("threads", (1, 3))
def test_models_asked_at_the_same_time_answer_as_they_do_alone(threads):
    models = {f"m{seed}": assistant(seed=seed) for seed in range(3)}
    splits = {name: [data.Row((Turn(f"the {word}?", output="x"),), task="") for word in words.split()]
              for name, words in (("a", "cat sat mat on"), ("b", "on the"))}
    before, how = torch.get_num_threads(), generate.Sampling(max_new_tokens=12)
    torch.set_num_threads(threads)
    try:
        scores, answers = table.score_models(models, splits, how)
        assert torch.get_num_threads() == threads, "as before"
    finally:
        torch.set_num_threads(before)
    for split, rows in splits.items():
        assert list(scores[split]) == ["n", *models] and scores[split]["n"] == len(rows) and list(answers[split]) == list(models)
        for name, model in models.items():
            assert [(text, stopped) for text, stopped, _ in answers[split][name]] == model.answers(rows, how)


def test_a_thousand_turns_are_trimmed_in_a_moment():
    b = assistant(block_size=150)
    history = [Turn("the cat sat on the mat?", "", "the cat sat.")] * 1000
    start = time.process_time()
    prompts = [b.prompt([*history[: 9 * n], Turn("the?")], "Be brief.") for n in range(1, 111)]
    assert time.process_time() - start < 5 and len(set(map(tuple, prompts))) == 1


def test_chat_shows_control_characters_and_does_not_send_them(monkeypatch, capsys):
    b, lines = assistant(), iter(["hello\x1b]0;title\x07", "/quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    b.stream = lambda *_, **__: iter(["a\x1b[2J", "b\r\x9b c\n"])
    chat.chat({"tuned": b}, generate.Sampling())
    assert "a\\x1b[2Jb\\r\\x9b c\n" in capsys.readouterr().out
    row = data.Row((Turn("\x1b]0;title\x07", "\x08", "x"),))
    b.answers = lambda *_: [("\x1b[31m\x7f", True)]
    table.side_by_side({"tuned": b}, [row], generate.Sampling())
    assert "\x1b" not in (said := capsys.readouterr().out) and "\\x1b]0;title\\x07 [\\x08]" in said and "\\x1b[31m\\x7f" in said


def test_a_full_context_ends_the_answer_instead_of_failing():
    b = assistant(block_size=20)
    prompt = TOKENIZER.encode("the cat sat on the mat. " * 3)[:18]
    (ids, stopped), *_ = generate.generate(b.model, [prompt], TOKENIZER.eos_id, generate.Sampling(max_new_tokens=50))
    assert len(ids) + stopped <= 3


def test_a_prompt_that_is_too_long_keeps_its_end_and_fits():
    b = assistant(block_size=100)
    history = [Turn("the cat sat on the mat?", "", "the cat sat.")] * 9
    conversations = [Turn("the cat " * 99)], [Turn("the?", "cat " * 99)], [*history, Turn("the?")]
    for prompt in [b.prompt(turns) for turns in conversations] + [b.prompt([Turn("the?")], system="mat " * 99)]:
        assert len(prompt) <= b.model.config.block_size - 1
        assert TOKENIZER.decode(prompt).endswith("### Response:\n")


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("system", ["", "Be brief."])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_prompt_is_what_training_shows_with_its_history_and_system_text(template, system, n):
    b = assistant(block_size=800, template=template)
    turns = [Turn(f"the cat {i}?", "mat" * (i % 2), "sat") for i in range(n)]
    ids, mask, _ = encode_turns(TOKENIZER, template, turns, 800, system)
    answer = TOKENIZER.encode("sat") + [TOKENIZER.eos_id]
    assert ids == b.prompt(turns, system) + answer and mask[-len(answer) :] == [1] * len(answer)


def test_a_shortened_history_keeps_the_system_text():
    b = assistant(block_size=150)
    history = [Turn("the cat sat on the mat?", "", "the cat sat.")] * 9
    prompt = TOKENIZER.decode(b.prompt([*history, Turn("the?")], "Be brief."))
    assert prompt.startswith("Be brief.\n\n### Instruction:\nthe cat sat on the mat?")
    assert prompt.count("### Instruction:") in range(2, 9), "the oldest turns are gone"


def distribution(how, n=4000):
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log().expand(n, 4)
    chosen = generate.sample_next(logits, how, torch.Generator().manual_seed(0))
    return (torch.bincount(chosen, minlength=4) / n).tolist()


@pytest.mark.parametrize(
    "how, expected",
    [
        (generate.Sampling(temperature=0), [1, 0, 0, 0]),
        (generate.Sampling(temperature=1), [0.5, 0.25, 0.15, 0.1]),
        (generate.Sampling(temperature=1, top_k=2), [2 / 3, 1 / 3, 0, 0]),
        (generate.Sampling(temperature=1, top_p=0.7), [2 / 3, 1 / 3, 0, 0]),
        (generate.Sampling(temperature=1, top_p=1e-6), [1, 0, 0, 0]),
        (generate.Sampling(temperature=0.5), [0.7246, 0.1812, 0.0652, 0.0290]),
    ],
)
def test_sampling_follows_the_distribution_it_promises(how, expected):
    assert distribution(how) == pytest.approx(expected, abs=0.03)


def test_wilson_intervals_are_the_published_ones():
    assert table.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert table.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert table.wilson(10, 10)[1] == 1.0


def columns_of(text):
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


@pytest.mark.parametrize("width", [12, 30, 60])
def test_wrapped_lines_fit_the_column_and_lose_no_word(width):
    text = "The Korean word for cat is 고양이 and 나는 고양이를 좋아해요.\nA new line."
    wrapped = table.wrap(text, width)
    lines = [line.replace("\0", "") for line in wrapped]
    assert [len(line) for line in wrapped] == [columns_of(line) for line in lines], "so that cells can be filled up"
    assert all(columns_of(line) <= width for line in lines)
    assert " ".join(lines).split() == text.split()


def test_the_middle_column_is_the_base_model_with_the_tuned_models_template():
    base, tuned = assistant(template=None), assistant(seed=1)
    models = generate.three_models(base, tuned)
    assert models["base_raw"].template is None and models["base_template"].template == "alpaca"
    assert models["base_raw"].model is models["base_template"].model is base.model
    raw, template, tuned_prompt = (model.prompt([Turn("the?")]) for model in models.values())
    assert template == tuned_prompt != raw


def test_the_rules_begin_and_end_as_they_say_and_the_copying_ones_take_only_words_of_the_instruction():
    tokenizer = data.Tokenizer(data.train_bpe("Here\nThe\nA is : the cat sat on a mat. It is so!\n" * 9, 330))
    torch.manual_seed(0)
    model = GPT(GPTConfig(tokenizer.vocab_size, 64, n_layer=2, n_head=2, n_embd=32)).eval()
    raw, template = generate.Assistant(model, tokenizer, None), generate.Assistant(model, tokenizer, "alpaca")
    columns = rules.with_rules({"base_raw": raw, "base_template": template, "tuned": template})
    assert list(columns) == ["base_raw", "base_template", "base_rules", "base_copy", "tuned"]
    rows = [data.Row((Turn(text, output="x"),)) for text in ("Cat on a mat?", "Name the cat.", "the mat")]
    for name in ("base_rules", "base_copy"):
        for row, (text, _) in zip(rows, columns[name].answers(rows, generate.Sampling(max_new_tokens=12))):
            ids = tokenizer.encode(text)
            assert tokenizer.decode(ids[:1]) in (("The",) if name == "base_copy" else ("The", "A", "Here"))
            assert not any(mark in text[:-1] for mark in ".!?;")
            before = next((i for i, token in enumerate(ids) if tokenizer.decode([token]) == " is"), len(ids))
            asked = row.turns[0].instruction
            known = set(tokenizer.encode(f" {asked}") + tokenizer.encode(f" {asked[0].lower()}{asked[1:]}"))
            assert name == "base_rules" or set(ids[1:before]) <= known


@pytest.mark.parametrize("copies", (False, True))
def test_the_rules_compute_where_the_model_is(copies, monkeypatch):
    """No GPU is needed: tensors on the device "meta" hold no numbers, and refuse to meet those of another device."""
    rows = [data.Row((Turn(text, output="x"),)) for text in ("the cat?", "the mat")]
    monkeypatch.setattr(rules, "generate", lambda model, prompts, eos_id, sampling, choose: choose)
    model, size = assistant().model.to("meta"), TOKENIZER.vocab_size
    choose = rules.Ruled(model, TOKENIZER, None, copies=copies).generate(rows, None, None)
    for _ in range(2):
        assert choose(torch.empty(2, size, device="meta"), None, None).device.type == "meta"


def test_begins_right_is_lenient_at_the_end_only():
    right = "The capital of France is Paris."
    for text, expected in ((right, True), (f" {right} And so on", True), ("The capital of France is Paris, I think", True),
                           ("Paris is the capital of France. Once more.", True), ("Once more. " + right, False),
                           ("The capital of France is Rome.", False), ("", False)):
        assert table.begins_right("capital", right, text) == expected, text
