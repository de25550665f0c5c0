"""Decoding gives the same tokens however it is done: with a cache, in a batch, padded, or as a stream."""

import pytest
import torch

import data
import generate
from model import GPT, GPTConfig

TOKENIZER = data.Tokenizer(data.train_bpe("the cat sat on the mat. 고양이는 매트 위에 앉았다. " * 9, 300))


def bot(position="rotary", block_size=48, template="alpaca", seed=0):
    torch.manual_seed(seed)
    config = GPTConfig(TOKENIZER.vocab_size, block_size, n_layer=2, n_head=2, n_embd=32, position=position)
    return generate.Bot(GPT(config).eval(), TOKENIZER, template)


def naive(model, prompt, n):
    """The plainest decoder: the whole text through the model again for every token, no cache, no batch."""
    ids = list(prompt)
    for _ in range(n):
        if len(ids) > model.config.block_size:
            break
        with torch.inference_mode():
            chosen = model.logits(model(torch.tensor([ids])))[0, -1].argmax().item()
        ids.append(chosen)
        if chosen == TOKENIZER.end:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("position", ["rotary", "learned"])
def test_cached_padded_batches_decode_like_the_plainest_loop(position):
    b = bot(position)
    prompts = [TOKENIZER.encode(text) for text in ("the", "the cat sat on", "고양이", "mat mat mat mat the cat sat")]
    found = generate.generate(b.model, prompts, TOKENIZER.end, generate.Sampling(max_new=12))
    for prompt, (ids, stopped) in zip(prompts, found):
        expected = naive(b.model, prompt, 12)
        assert ids + [TOKENIZER.end] * stopped == expected


def test_a_stream_gives_the_same_text_and_never_half_a_character():
    for seed in range(6):
        b = bot(seed=seed)
        how = generate.Sampling(max_new=20, temperature=1.0, seed=seed)
        (ids, _), *_ = generate.generate(b.model, [b.prompt("고양이?")], TOKENIZER.end, how)
        pieces = list(b.stream("고양이?", how))
        assert "".join(pieces) == TOKENIZER.decode(ids)


def test_a_full_context_ends_the_answer_instead_of_failing():
    b = bot(block_size=20)
    prompt = TOKENIZER.encode("the cat sat on the mat. " * 3)[:18]
    (ids, stopped), *_ = generate.generate(b.model, [prompt], TOKENIZER.end, generate.Sampling(max_new=50))
    assert len(ids) + stopped <= 3


def test_a_prompt_that_is_too_long_keeps_its_end_and_fits():
    b = bot()
    history = [("the cat sat on the mat?", "", "the cat sat.")] * 9
    for prompt in (b.prompt("the cat " * 99), b.prompt("the?", "cat " * 99), b.prompt("the?", history=history)):
        assert len(prompt) <= b.model.config.block_size - 1
        assert TOKENIZER.decode(prompt).endswith("### Response:\n")


def test_the_template_of_the_prompt_is_the_template_of_training():
    b = bot(block_size=128)
    ids, mask, _ = data.encode_example(TOKENIZER, "alpaca", (("the cat?", "mat", "sat"),), 128)
    assert b.prompt("the cat?", "mat") == ids[: mask.index(1)]


def distribution(how, n=4000):
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log().expand(n, 4)
    chosen = generate.pick(logits, how, torch.Generator().manual_seed(0))
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
    assert generate.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert generate.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert generate.wilson(10, 10)[1] == 1.0


@pytest.mark.parametrize("width", [12, 30, 60])
def test_wrapped_lines_fit_the_column_and_lose_no_word(width):
    text = "The Korean word for cat is 고양이 and 나는 고양이를 좋아해요.\nA new line."
    lines = generate.wrapped(text, width)
    assert all(used <= width for _, used in lines)
    assert " ".join(line for line, _ in lines).split() == text.split()


def test_the_middle_column_is_the_base_model_with_the_tuned_models_template():
    base, tuned = bot(template=None), bot(seed=1)
    columns = generate.three_columns(base, tuned)
    assert columns["base_raw"].template is None and columns["base_template"].template == "alpaca"
    assert columns["base_raw"].model is columns["base_template"].model is base.model
    assert (
        columns["base_template"].prompt("the?") == columns["tuned"].prompt("the?") != columns["base_raw"].prompt("the?")
    )
