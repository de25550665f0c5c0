"""Decoding gives the same tokens however it is done, prompts are those of training, and the table
counts right."""

import unicodedata

import pytest
import torch
from helpers import EOS, HEADER, encode_turns, row_of

import data
import generate
from common import table
from common.cli import UserError
from data import TEMPLATES, Turn
from extras import rules
from generate import Assistant, Sampling, load_assistant, load_three, three_models
from model import GPT, GPTConfig

TEXT = "the cat sat on the mat. 고양이는 매트 위에 앉았다. "
TOKENIZER = data.Tokenizer(data.train_bpe(TEXT * 9, 300))
EOS_ID = TOKENIZER.eos_id


def assistant(position="rotary", block_size=48, template="alpaca", seed=0):
    torch.manual_seed(seed)
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 16, "position": position}
    config = GPTConfig(TOKENIZER.vocab_size, block_size, **shape)
    return Assistant(GPT(config).eval(), TOKENIZER, template)


# --------------------------------------------------------------------------------------------------
# Decoding


def naive(model, prompt, n):
    """The plainest greedy loop: the whole text for every token, no cache, no batch, no eos."""
    ids = list(prompt)
    while len(ids) < len(prompt) + n and len(ids) <= model.config.block_size:
        with torch.inference_mode():
            ids.append(model(torch.tensor([ids]))[0, -1].argmax().item())
    return ids[len(prompt) :]


@pytest.mark.parametrize("position", ["rotary", "learned"])
def test_padded_batches_with_a_cache_decode_like_the_plainest_loop(position):
    """Also rows that end because their context is full, and those that go on without them."""
    model = assistant(position, block_size=40).model
    text = TOKENIZER.encode("고양이 the cat sat on the mat. " * 9)
    prompts = [text[:n] for n in (3, 39, 12, 40, 38)]
    endless = [naive(model, prompt, 25) for prompt in prompts]
    assert [len(ids) for ids in endless] == [25, 2, 25, 1, 3]

    # rows that have ended are not computed for long
    sizes = []
    model.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))

    # a token that the model does say plays the eos, so that a row ends by itself
    for eos_id in (EOS_ID, endless[0][4], endless[2][9]):
        answers = generate.generate(model, prompts, eos_id, Sampling(max_new_tokens=25))
        for ids, expected in zip(answers, endless):
            stopped = eos_id in expected
            n = expected.index(eos_id) if stopped else len(expected)
            assert ids == (expected[:n], stopped)
        assert sizes[-1] < len(prompts)


def test_a_stream_is_the_same_text_and_never_half_a_character():
    for seed in range(4):
        model = assistant(seed=seed)
        how = Sampling(max_new_tokens=20, temperature=1.0, seed=seed)
        prompts = [model.prompt([Turn("고양이?")])]
        ((ids, _),) = generate.generate(model.model, prompts, EOS_ID, how)
        pieces = [text for text, _ in model.stream([Turn("고양이?")], how)]
        assert "".join(pieces) == TOKENIZER.decode(ids)


def test_as_many_rows_go_together_as_have_room_with_their_answers(monkeypatch):
    model, batches, real = assistant(block_size=200), [], generate.generate
    rows = [row_of(("the cat " * n,)) for n in (1, 9, 30, 2, 25, 8, 3, 4)]
    how = Sampling(max_new_tokens=10)
    expected = [model.answers([row], how)[0] for row in rows]

    def spy(model, prompts, *rest):
        batches.append([len(prompt) for prompt in prompts])
        return real(model, prompts, *rest)

    monkeypatch.setattr(generate, "generate", spy)
    monkeypatch.setattr(generate, "BATCH_TOKENS", 200)
    assert model.answers(rows, how) == expected, "in the order of the rows"
    assert max(map(len, batches)) > 1 and sum(map(len, batches)) == len(rows)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(batch) + 10) <= 200


# --------------------------------------------------------------------------------------------------
# Sampling


@pytest.mark.parametrize(
    "how, expected",
    [
        (Sampling(temperature=0), [1, 0, 0, 0]),
        (Sampling(temperature=1), [0.5, 0.25, 0.15, 0.1]),
        (Sampling(temperature=1, top_k=2), [2 / 3, 1 / 3, 0, 0]),
        (Sampling(temperature=1, top_p=0.7), [2 / 3, 1 / 3, 0, 0]),
        (Sampling(temperature=1, top_p=1e-6), [1, 0, 0, 0]),
        (Sampling(temperature=0.5), [0.7246, 0.1812, 0.0652, 0.0290]),
    ],
)
def test_sampling_follows_the_promised_distribution(how, expected):
    n = 4000
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log().expand(n, 4)
    ids = generate.sample_next(logits, how, torch.Generator().manual_seed(0))
    shares = torch.bincount(ids, minlength=4) / n
    assert shares.tolist() == pytest.approx(expected, abs=0.03)


def test_a_tiny_temperature_and_top_k_1_are_greedy_also_on_ties():
    """1e-9 would overflow if logits were divided by it."""
    logits = torch.randint(0, 3, (200, 20), generator=torch.Generator().manual_seed(0)).float()
    first = torch.tensor([row.index(max(row)) for row in logits.tolist()])
    for how in (Sampling(), Sampling(1e-9), Sampling(9.9e-7), Sampling(1.0, top_k=1)):
        ids = generate.sample_next(1e30 * logits, how, torch.Generator().manual_seed(1))
        assert torch.equal(ids, first), how


# --------------------------------------------------------------------------------------------------
# Prompts


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_prompt_is_the_one_of_training(template):
    model = assistant(block_size=800, template=template)
    for system in ("", "Be brief."):
        for n in (1, 2, 3):
            turns = [Turn(f"the cat {i}?", "mat" * (i % 2), "sat") for i in range(n)]
            ids = encode_turns(TOKENIZER, template, turns, 800, system)[0]
            assert ids == model.prompt(turns, system) + TOKENIZER.encode("sat") + [EOS_ID]


def test_a_prompt_that_is_too_long_keeps_its_end_and_leaves_room():
    model = assistant(block_size=100)
    history = [Turn("the cat sat on the mat?", "", "the cat sat.")] * 9
    long = [[Turn("the cat " * 99)], [Turn("the?", "cat " * 99)], [*history, Turn("the?")]]
    prompts = [model.prompt(turns) for turns in long]
    prompts.append(model.prompt([Turn("the?")], system="mat " * 99))
    for prompt in prompts:
        assert len(prompt) <= 100 - 16 and TOKENIZER.decode(prompt).endswith(HEADER)
    raw = assistant(block_size=100, template=None).prompt(long[0])
    assert len(raw) <= 100 - 15 and TOKENIZER.decode(raw).startswith(EOS)


def test_old_turns_are_dropped_first_and_the_system_prompt_stays(monkeypatch):
    model, calls, real = assistant(block_size=150), [], generate.encode
    monkeypatch.setattr(generate, "encode", lambda *args: calls.append(1) or real(*args))
    history = [Turn("the cat sat on the mat?", "", "the cat sat.")] * 1000
    prompt = TOKENIZER.decode(model.prompt([*history, Turn("the?")], "Be brief."))
    assert prompt.startswith("Be brief.\n\n### Instruction:\nthe cat sat on the mat?")
    assert prompt.count("### Instruction:") in range(2, 9)
    assert len(calls) < 10, "a thousand turns cost no more than those that fit"


# --------------------------------------------------------------------------------------------------
# Three models


def test_the_middle_column_is_the_base_with_the_tuned_models_template():
    base, tuned = assistant(template=None), assistant(seed=1)
    models = three_models(base, tuned)
    assert models["base_raw"].model is models["base_template"].model is base.model
    raw, template, tuned_prompt = (model.prompt([Turn("the?")]) for model in models.values())
    assert template == tuned_prompt != raw


def test_three_models_are_loaded_from_a_tuned_model_or_an_adapter(tiny_run):
    rows, how = [row_of(("Is the cat red?",)), row_of(("Is the fox?",))], Sampling(max_new_tokens=6)
    base = load_assistant(tiny_run.out / "base.pt")
    base_template = Assistant(base.model, base.tokenizer, "alpaca")
    for name in ("tuned.pt", "lora.pt"):
        tuned = load_assistant(tiny_run.out / name)
        expected = [model.answers(rows, how) for model in (base, base_template, tuned)]
        models = load_three(tiny_run.out / name)
        for _ in range(2):  # an adapter is switched on and off
            assert [model.answers(rows, how) for model in models.values()] == expected
        prompt = torch.tensor([models["base_template"].prompt(rows[0].turns)])
        models["base_template"].set_lora()
        with torch.inference_mode():
            assert torch.equal(models["base_raw"].model(prompt), base.model(prompt))


def test_a_base_is_no_tuned_model(tiny_run):
    with pytest.raises(UserError, match="base.pt: is a base, not a tuned model. Give its tuned.pt"):
        load_three(tiny_run.out / "base.pt")


# --------------------------------------------------------------------------------------------------
# The table


def test_a_split_that_a_small_world_lacks_is_no_split():
    splits = table.world_rows(table.build_world(0, ["sql_all"], True))
    assert "unseen_inputs" in splits and "unseen_tasks" not in splits and all(splits.values())


@pytest.mark.parametrize("threads", (1, 3))
def test_models_asked_at_the_same_time_answer_as_they_do_alone(threads):
    models = {f"m{seed}": assistant(seed=seed) for seed in range(3)}
    splits = {"a": [row_of((f"the {word}?", "", "x")) for word in ("cat", "sat", "mat")]}
    splits["b"] = splits["a"][:2]
    before, how = torch.get_num_threads(), Sampling(max_new_tokens=8)
    torch.set_num_threads(threads)
    try:
        scores, answers = table.score_models(models, splits, how)
        assert torch.get_num_threads() == threads, "as before"
    finally:
        torch.set_num_threads(before)
    for split, rows in splits.items():
        assert list(scores[split]) == ["n", *models] and scores[split]["n"] == len(rows)
        for name, model in models.items():
            columns = [(text, stopped) for text, stopped, _ in answers[split][name]]
            assert columns == model.answers(rows, how)
            assert scores[split][name]["judged"] == 0, "rows without a check are never judged"


def test_wilson_intervals_are_the_published_ones():
    assert table.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert table.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert table.wilson(10, 10)[1] == 1.0


def test_only_a_right_answer_that_stops_is_correct_and_begins_right_is_lenient():
    right = "The capital of France is Paris."
    row = row_of(("Q?", "", right), task="capital", check={"world": "capital"})
    cases = {  # text -> (strict, lenient)
        right: (1, 1),
        f" {right} And so on": (0, 1),
        "The capital of France is Paris, I think": (0, 1),
        "Paris is the capital of France. Once more.": (0, 1),
        f"Once more. {right}": (0, 0),
        "The capital of France is Rome.": (0, 0),
        "": (0, 0),
    }
    for text, expected in cases.items():
        for stopped in (True, False):
            model = assistant()
            model.answers = lambda rows, sampling: [(text, stopped)]
            score = table.score(model, [row], Sampling())
            assert score["correct"] == expected[0] * stopped, text
            assert (score["begins"], score["stopped"]) == (expected[1], stopped), text


def n_columns(text):
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def test_wrapped_lines_fit_the_column_and_lose_no_word():
    text = "The Korean word for cat is 고양이 and 나는 고양이를 좋아해요.\nA new line."
    for width in (12, 30, 60):
        wrapped = table.wrap(text, width)
        lines = [line.replace("\0", "") for line in wrapped]
        assert [len(line) for line in wrapped] == list(map(n_columns, lines)), "for ljust"
        assert max(map(n_columns, lines)) <= width
        assert " ".join(lines).split() == text.split()


def test_control_characters_are_shown_and_not_sent_to_the_terminal(capsys):
    model = assistant()
    model.answers = lambda *_: [("\x1b[31m\x7f", True)]
    row = row_of(("\x1b]0;title\x07", "\x08", "x"))
    table.print_side_by_side({"tuned": model}, [row], Sampling())
    screen = capsys.readouterr().out
    assert "\x1b" not in screen and "\\x1b[31m\\x7f" in screen
    assert "\\x1b]0;title\\x07 [\\x08]" in screen


# --------------------------------------------------------------------------------------------------
# Rules instead of tuning


def test_rules_choose_only_the_words_that_they_promise():
    text = "Here\nThe\nA is : the cat sat on a mat. It is so!\n" * 9
    tokenizer = data.Tokenizer(data.train_bpe(text, 330))
    torch.manual_seed(0)
    model = GPT(GPTConfig(tokenizer.vocab_size, 64, n_layer=1, n_head=2, n_embd=16)).eval()
    raw, base = Assistant(model, tokenizer, None), Assistant(model, tokenizer, "alpaca")
    columns = rules.with_rules({"base_raw": raw, "base_template": base, "tuned": base})
    assert list(columns) == ["base_raw", "base_template", "base_rules", "base_copy", "tuned"]
    rows = [row_of((text,)) for text in ("Cat on a mat?", "Name the cat.", "the mat")]
    starts = {"base_rules": ("The", "A", "Here"), "base_copy": ("The",)}
    for name, words in starts.items():
        for row, (text, _) in zip(rows, columns[name].answers(rows, Sampling(max_new_tokens=12))):
            assert not any(mark in text[:-1] for mark in ".!?;")
            tokens = [tokenizer.decode([token]) for token in tokenizer.encode(text)]
            assert tokens[0] in words
            before = tokens[1 : tokens.index(" is") if " is" in tokens else None]
            question = row.turns[0].instruction
            lower = question[0].lower() + question[1:]
            known = tokenizer.encode(f" {question}") + tokenizer.encode(f" {lower}")
            known = {tokenizer.decode([token]) for token in known}
            assert name == "base_rules" or set(before) <= known


def test_rules_end_at_the_first_mark(monkeypatch):
    """The logits prefer a mark to everything, then " is"; the rules allow it only in time."""
    monkeypatch.setattr(rules, "generate", lambda model, prompts, eos_id, how, choose: choose)
    mark, link = TOKENIZER.encode(".")[0], TOKENIZER.encode(" is")[0]
    logits = torch.zeros(1, TOKENIZER.vocab_size)
    logits[0, mark], logits[0, link] = 9, 5
    for copies, expected in ((False, [mark, EOS_ID]), (True, [link, mark, EOS_ID])):
        baseline = rules.RuleBaseline(assistant().model, TOKENIZER, None, copies=copies)
        choose = baseline.complete([row_of(("the cat?",))], None, None)
        ids = [choose(logits, None, None).item() for _ in range(1 + len(expected))]
        assert ids[1:] == expected


def test_rules_compute_where_the_model_is(monkeypatch):
    """No GPU is needed: tensors on the device "meta" refuse to meet those of another device."""
    rows = [row_of(("the cat?",)), row_of(("the mat",))]
    monkeypatch.setattr(rules, "generate", lambda model, prompts, eos_id, how, choose: choose)
    model = assistant().model.to("meta")
    for copies in (False, True):
        baseline = rules.RuleBaseline(model, TOKENIZER, None, copies=copies)
        choose = baseline.complete(rows, None, None)
        for _ in range(2):
            logits = torch.empty(2, TOKENIZER.vocab_size, device="meta")
            assert choose(logits, None, None).device.type == "meta"
