"""model.py and common/lora.py, against oracles that share no code with it.

The transformer: its logits are those of an implementation in plain Python (lists, loops, rotary
positions as complex numbers); attention is causal; rotary positions are relative.
The loss: it is PyTorch's cross-entropy over the full logits, and splits and padding don't matter.
Decoding: the cache and left padding change nothing.
LoRA: it starts as the identity, trains only A and B, can be switched off, and merges.
"""

import cmath
import copy
import math

import pytest
import torch
import torch.nn.functional as F
from helpers import (
    both_positions,
    close,
    gpt_config,
    is_adapter,
    logits_of,
    noisy_gpt,
    random_ids,
    same_bits,
    snapshot,
    with_lora,
)

import model as m
from common import lora
from common.checkpoint import base_state
from model import IGNORE


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# --------------------------------------------------------------------------------------------------
# An independent GPT: one row, lists of floats, no torch.


def dot(a, b):
    return sum(u * v for u, v in zip(a, b))


def matvec(x, W, b):
    return [dot(row, x) + v for row, v in zip(W, b)]


def plus(a, b):
    return [u + v for u, v in zip(a, b)]


def layer_norm(x, gain, bias):
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    return [(v - mean) / math.sqrt(variance + 1e-5) * g + b for v, g, b in zip(x, gain, bias)]


def gelu(v, approximate):
    if approximate == "none":
        return 0.5 * v * (1 + math.erf(v / math.sqrt(2)))
    return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


def turn(x, position):
    """Rotary: pair i is the complex number x[i] + j x[i + half], times e^(j position 100^(-4i/hs))
    for the first half of the pairs. The others don't turn."""
    hs, half = len(x), len(x) // 2
    angles = [position * 100.0 ** (-4 * i / hs) if i < half / 2 else 0.0 for i in range(half)]
    z = [complex(x[i], x[i + half]) * cmath.exp(1j * angle) for i, angle in enumerate(angles)]
    return [c.real for c in z] + [c.imag for c in z]


def attend(query, keys, values):
    scores = [dot(query, key) / math.sqrt(len(query)) for key in keys]
    weights = [math.exp(s - max(scores)) for s in scores]
    total = sum(weights)
    return [sum(w * v[i] for w, v in zip(weights, values)) / total for i in range(len(query))]


def apply(f, weights, name, x):
    return f(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def oracle_logits(gpt, ids):
    """Compute logits, a list of lists, of ids, a list."""
    w = {name: weight.tolist() for name, weight in gpt.state_dict().items()}
    c = gpt.config
    hs = c.n_embd // c.n_head
    xs = [w["wte.weight"][token] for token in ids]
    if c.smear:
        mixed = [[v + g * u for v, g, u in zip(x, w["smear"], p)] for p, x in zip(xs, xs[1:])]
        xs = xs[:1] + mixed
    if c.position == "learned":
        xs = [plus(x, w["wpe.weight"][t]) for t, x in enumerate(xs)]
    for layer in range(c.n_layer):
        block = {name.removeprefix(f"h.{layer}."): value for name, value in w.items()}
        qkv = [apply(matvec, block, "attn.c_attn", apply(layer_norm, block, "ln_1", x)) for x in xs]
        mixed = [[] for _ in xs]
        for head in range(c.n_head):
            q, k, v = ([x[part * c.n_embd + head * hs :][:hs] for x in qkv] for part in range(3))
            if c.position == "rotary":
                q, k = ([turn(x, t) for t, x in enumerate(vectors)] for vectors in (q, k))
            for t in range(len(ids)):
                mixed[t] += attend(q[t], k[: t + 1], v[: t + 1])
        xs = [plus(x, apply(matvec, block, "attn.c_proj", y)) for x, y in zip(xs, mixed)]
        inner = [apply(matvec, block, "mlp.c_fc", apply(layer_norm, block, "ln_2", x)) for x in xs]
        inner = [[gelu(v, c.gelu) for v in x] for x in inner]
        xs = [plus(x, apply(matvec, block, "mlp.c_proj", y)) for x, y in zip(xs, inner)]
    xs = [apply(layer_norm, w, "ln_f", x) for x in xs]
    return [[dot(row, x) for row in w["wte.weight"]] for x in xs]


# --------------------------------------------------------------------------------------------------
# The transformer.


@both_positions
@pytest.mark.parametrize("n_head, smear, gelu", [(1, 1, "none"), (2, 0, "tanh")])
def test_logits_equal_a_plain_python_gpt(position, n_head, smear, gelu):
    gpt = noisy_gpt(position=position, n_head=n_head, smear=smear, gelu=gelu)
    ids = random_ids(2, 7)
    expected = torch.tensor([oracle_logits(gpt, row) for row in ids.tolist()])
    for logits in (gpt(ids), logits_of(gpt, ids)):  # training and inference compute differently
        assert close(logits, expected)
    assert close(gpt(ids, last_only=True), expected[:, -1])
    gpt.config.gelu = "tanh" if gelu == "none" else "none"
    other = torch.tensor([oracle_logits(gpt, row) for row in ids.tolist()])
    assert not close(other, expected, atol=3e-5), "the approximation must show"


@both_positions
def test_attention_is_causal_and_reaches_every_later_position(position):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 8)
    before = gpt.hidden(ids)
    for t in range(8):
        changed = ids.clone()
        changed[:, t] = (ids[:, t] + 1) % 50
        after = gpt.hidden(changed)
        assert close(after[:, :t], before[:, :t], atol=1e-6)
        change = (after[:, t:] - before[:, t:]).abs().amax(-1)
        assert (change > 1e-5).all()


@both_positions
def test_rotary_positions_are_relative_and_learned_ones_are_not(position):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 10)
    for shift in (1, 22):
        moved = gpt.hidden(ids, positions=torch.arange(10)[None] + shift)
        assert close(moved, gpt.hidden(ids), atol=1e-4) == (position == "rotary")


@both_positions
def test_positions_default_to_0_1_2_and_can_differ_by_row(position):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 5)
    positions = torch.tensor([[0, 1, 2, 3, 4], [0, 3, 4, 8, 20]])
    together = gpt.hidden(ids, positions=positions)
    assert close(together[:1], gpt.hidden(ids[:1])), "rows of a batch don't see each other"
    assert close(together[1:], gpt.hidden(ids[1:], positions=positions[1:]))
    assert not close(together[1:], gpt.hidden(ids[1:]), atol=1e-3)


def test_more_tokens_than_the_block_are_refused():
    gpt = noisy_gpt()
    gpt(random_ids(1, 32))
    with pytest.raises(AssertionError):
        gpt(random_ids(1, 33))


def test_weights_start_with_the_promised_sizes():
    gpt = m.GPT(gpt_config(n_layer=8, n_embd=64))
    depth = math.sqrt(2 * 8)  # only the MLP's way back to the residual stream is smaller
    sizes = {"attn.c_attn": 1 / 8, "mlp.c_fc": 1 / 8, "mlp.c_proj": 1 / 16 / depth}
    for name, expected in sizes.items():
        weights = torch.stack([block.get_submodule(name).weight for block in gpt.h])
        # 8 * 64 * 64 draws or more: the standard error of a standard deviation is below 0.4%
        assert weights.std().item() == pytest.approx(expected, rel=0.02), name


@torch.no_grad()
def test_a_new_attention_layer_writes_what_it_reads():
    """The output of a token that sees only itself must be similar to its input, and no other."""
    attn = m.GPT(gpt_config(n_embd=64)).h[0].attn
    x, other = torch.randn(200, 64), torch.randn(200, 64)
    y = attn(x[:, None], None, torch.zeros(1, 1), None)[:, 0]  # (200, 64), texts of one token
    assert F.cosine_similarity(y, x).min() > 0.5
    assert F.cosine_similarity(y, other).mean().abs() < 0.05


# --------------------------------------------------------------------------------------------------
# The loss.


def random_targets(*shape):
    return torch.where(torch.rand(shape) < 0.5, random_ids(*shape), IGNORE)


def gradients(gpt, loss):
    gpt.zero_grad(set_to_none=True)
    loss.backward()
    return {name: weight.grad.clone() for name, weight in gpt.named_parameters()}


def test_the_loss_is_the_sum_of_cross_entropy_over_the_full_logits(monkeypatch):
    gpt, ids, targets = noisy_gpt(), random_ids(3, 9), random_targets(3, 9)
    logits = gpt(ids).view(-1, 50)
    full = F.cross_entropy(logits, targets.view(-1), ignore_index=IGNORE, reduction="sum")
    expected = gradients(gpt, full)
    for multiple, rows in ((128, 512), (5, 512), (1, 2)):  # other padding, other pieces
        monkeypatch.setattr(m, "LOSS_MULTIPLE", multiple)
        monkeypatch.setattr(m, "LOSS_ROWS", rows)
        loss = gpt(ids, targets)
        assert loss.item() == pytest.approx(full.item(), rel=1e-5)
        for name, gradient in gradients(gpt, loss).items():
            assert close(gradient, expected[name]), name


def test_no_supervised_token_gives_zero_loss_and_zero_gradients():
    gpt = noisy_gpt()
    loss = gpt(random_ids(2, 5), torch.full((2, 5), IGNORE))
    assert loss.item() == 0.0
    assert all((gradient == 0).all() for gradient in gradients(gpt, loss).values())


@both_positions
def test_any_split_with_any_right_padding_gives_the_same_gradient(position):
    gpt = noisy_gpt(position=position)
    rows = [(random_ids(n), random_targets(n)) for n in (9, 4, 12, 7)]
    rows[1] = rows[1][0], torch.full((4,), IGNORE)  # a row without a supervised token
    n_supervised = sum((targets != IGNORE).sum().item() for _, targets in rows)

    def mean_gradient(split, extra, filler):
        """split: row numbers of each batch; extra: padding beyond the longest row."""
        total = {name: torch.zeros_like(weight) for name, weight in gpt.named_parameters()}
        for batch in split:
            T = max(len(rows[i][0]) for i in batch) + extra
            ids = torch.full((len(batch), T), filler)
            targets = torch.full((len(batch), T), IGNORE)
            for row, i in enumerate(batch):
                ids[row, : len(rows[i][0])] = rows[i][0]
                targets[row, : len(rows[i][1])] = rows[i][1]
            for name, gradient in gradients(gpt, gpt(ids, targets)).items():
                total[name] += gradient
        return {name: gradient / n_supervised for name, gradient in total.items()}

    expected = mean_gradient([[0], [1], [2], [3]], extra=0, filler=0)
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-2
    for split in ([[0, 1, 2, 3]], [[3, 1], [2, 0]], [[1], [0, 2, 3]]):
        gradient = mean_gradient(split, extra=5, filler=17)
        assert all(close(gradient[name], expected[name]) for name in expected), split


# --------------------------------------------------------------------------------------------------
# Decoding: the cache and left padding.


@both_positions
@torch.no_grad()
def test_a_cache_in_any_chunks_equals_no_cache(position):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 10)
    for chunks in ([10], [4, 6], [1] * 10, [3, 1, 4, 2]):
        cache = m.KVCache(gpt, 2, 13)
        for keys, values in cache.kv:  # memory that was never written must not show
            keys.fill_(math.nan)
            values.fill_(math.nan)
        outputs, start = [], 0
        for length in chunks:
            end = start + length
            positions = torch.arange(start, end)[None]
            outputs.append(gpt.hidden(ids[:, start:end], positions, cache=cache))
            start = end
        assert close(torch.cat(outputs, dim=1), gpt.hidden(ids)) and cache.length == 10


@torch.no_grad()
def test_a_full_cache_refuses_tokens_instead_of_dropping_them():
    gpt, ids = noisy_gpt(), random_ids(1, 6)
    for extra in (1, 2):
        cache = m.KVCache(gpt, 1, 4)
        gpt.hidden(ids[:, :4], cache=cache)
        with pytest.raises(AssertionError):
            gpt.hidden(ids[:, 4 : 4 + extra], torch.arange(4, 4 + extra)[None], cache=cache)


@both_positions
@torch.no_grad()
def test_left_padded_rows_equal_single_rows_also_while_decoding(position):
    gpt, lengths, T, new = noisy_gpt(position=position), (9, 5, 1), 9, 3
    rows = [random_ids(n + new) for n in lengths]
    pad = torch.tensor([T - n for n in lengths])[:, None]
    ids = torch.stack([torch.cat((torch.full((T - n,), 49), x)) for n, x in zip(lengths, rows)])
    slots = torch.arange(T + new)
    positions = (slots - pad).clamp(min=0)
    # padding sees itself: PyTorch promises nothing for a query that sees nothing
    mask = (slots <= slots[:, None]) & ((slots >= pad[:, None]) | (slots == slots[:, None]))
    mask = mask[:, None]  # (B, 1, T + new, T + new)

    cache = m.KVCache(gpt, 3, T + new)
    outputs = [gpt.hidden(ids[:, :T], positions[:, :T], mask[:, :, :T, :T], cache)]
    for t in range(T, T + new):
        step = slice(t, t + 1)
        allowed = mask[:, :, step, : t + 1]
        outputs.append(gpt.hidden(ids[:, step], positions[:, step], allowed, cache))
    together = torch.cat(outputs, dim=1)
    for i, row in enumerate(rows):
        assert close(together[i, T - lengths[i] :], gpt.hidden(row[None])[0])


@torch.no_grad()
def test_a_cache_keeps_the_rows_that_go_on():
    gpt, ids = noisy_gpt(), random_ids(3, 6)
    cache = m.KVCache(gpt, 3, 6)
    gpt.hidden(ids[:, :4], cache=cache)
    cache.keep(torch.tensor([True, False, True]))
    rest = gpt.hidden(ids[[0, 2], 4:], torch.arange(4, 6)[None], cache=cache)
    assert close(rest, gpt.hidden(ids)[[0, 2], 4:])


# --------------------------------------------------------------------------------------------------
# LoRA.


def test_lora_output_is_w_x_plus_scaled_b_a_x():
    linear, x = torch.nn.Linear(6, 10), torch.randn(4, 6)
    layer = lora.LoRA(linear, rank=2, alpha=5.0)
    assert layer.lora_A.shape == (2, 6) and (layer.lora_A != 0).all()
    assert layer.lora_B.shape == (10, 2) and (layer.lora_B == 0).all()
    assert not any(weight.requires_grad for weight in linear.parameters())
    layer.lora_B.data.normal_()
    W = linear.weight + 5.0 / 2 * torch.einsum("or,ri->oi", layer.lora_B, layer.lora_A)
    assert close(layer(x), torch.einsum("oi,bi->bo", W, x) + linear.bias)


def test_lora_starts_as_the_base_to_the_bit_and_trains_only_a_and_b():
    base, ids, targets = noisy_gpt(), random_ids(4, 8), random_ids(4, 8)
    gpt = copy.deepcopy(base)
    lora.add_lora(gpt, rank=2, alpha=4)
    assert torch.equal(logits_of(gpt, ids), logits_of(base, ids))
    for name, weight in gpt.named_parameters():
        assert weight.requires_grad == is_adapter(name), name
    before = snapshot(gpt)
    # every parameter, and weight decay: only requires_grad keeps the base out of it
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=0.05, weight_decay=0.1)
    for _ in range(2):  # in the first step A has no gradient yet, because B is 0
        optimizer.zero_grad()
        gpt(ids, targets).backward()
        optimizer.step()
    for name, weight in gpt.named_parameters():
        assert (weight.grad is not None) == is_adapter(name), name
        assert torch.equal(weight, before[name]) != is_adapter(name), name
    assert same_bits(base_state(gpt), base.state_dict())


def test_an_adapter_that_is_off_is_the_base_to_the_bit():
    base, ids = noisy_gpt(), random_ids(2, 8)
    gpt = with_lora(base)
    adapted = logits_of(gpt, ids)
    assert not close(adapted, logits_of(base, ids), atol=1e-2), "the adapter must do something"
    lora.enable_lora(gpt, False)
    assert torch.equal(logits_of(gpt, ids), logits_of(base, ids))
    lora.enable_lora(gpt, True)
    assert torch.equal(logits_of(gpt, ids), adapted)


@both_positions
def test_a_merged_model_is_a_plain_one_with_the_same_logits(position):
    base, ids = noisy_gpt(position=position), random_ids(2, 8)
    gpt = with_lora(base)
    adapted = logits_of(gpt, ids)
    lora.merge_lora(gpt)
    assert close(logits_of(gpt, ids), adapted) and gpt.lora is None
    before, after = base.state_dict(), gpt.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    linears = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert changed == {f"h.{i}.{name}.weight" for i in range(2) for name in linears}


@pytest.mark.parametrize(
    "targets, widths",  # in + out, in units of C, of the layers wrapped in one block
    [(lora.LORA_TARGETS, 4 + 2 + 5 + 5), (("c_proj",), 2 + 5), (("c_fc", "c_attn"), 5 + 4)],
)
def test_lora_parameter_count(targets, widths):
    gpt, rank = noisy_gpt(), 3
    lora.add_lora(gpt, rank, alpha=6, targets=targets)
    n_trained = sum(weight.numel() for weight in gpt.parameters() if weight.requires_grad)
    assert n_trained == rank * widths * gpt.config.n_embd * gpt.config.n_layer
