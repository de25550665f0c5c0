"""Proof that model.py keeps its promises, against oracles that share no code with it.

The transformer: attention is causal; the logits are those of an implementation in plain Python (lists, loops,
and rotary positions as complex numbers); rotary positions are relative; residual projections start small.
The loss: it is PyTorch's cross entropy over the full logits; splitting rows into batches and padding them
changes no gradient; a batch with nothing to learn gives zeros.
Decoding: the cache and left padding change nothing.
LoRA: starts as the identity, trains only A and B, and merging and unmerging lose nothing.
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
from common.checkpoint import base_state
from model import IGNORE


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# ------------------------------------------------------------------------------------------------------------
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
    """Rotary: pair i is the complex number x[i] + j x[i + half], times e^(j position 100^(-4i/hs)) for the first half of
    the pairs; the others stay as they are."""
    hs, half = len(x), len(x) // 2
    angles = [position * 100.0 ** (-4 * i / hs) if i < half / 2 else 0.0 for i in range(half)]
    z = [complex(x[i], x[i + half]) * cmath.exp(1j * angle) for i, angle in enumerate(angles)]
    return [c.real for c in z] + [c.imag for c in z]


def attend(query, keys, values):
    scores = [dot(query, key) / math.sqrt(len(query)) for key in keys]
    weights = [math.exp(s - max(scores)) for s in scores]
    return [sum(w * v[i] for w, v in zip(weights, values)) / sum(weights) for i in range(len(query))]


def apply(f, weights, name, x):
    return f(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def oracle_logits(gpt, ids):
    """ids, a list -> logits, a list of lists."""
    w = {name: weight.tolist() for name, weight in gpt.state_dict().items()}
    c = gpt.config
    hs = c.n_embd // c.n_head
    xs = [w["wte.weight"][token] for token in ids]
    if c.smear:
        xs = xs[:1] + [[v + g * u for v, g, u in zip(x, w["smear"], last)] for last, x in zip(xs, xs[1:])]
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
    return [[dot(row, x) for row in w["wte.weight"]] for x in (apply(layer_norm, w, "ln_f", x) for x in xs)]


# ------------------------------------------------------------------------------------------------------------
# The transformer.


@both_positions
@pytest.mark.parametrize("n_head, smear, gelu", [(1, 1, "none"), (2, 1, "none"), (2, 0, "tanh")])
def test_logits_equal_a_plain_python_gpt(position, n_head, smear, gelu):
    gpt, ids = noisy_gpt(position=position, n_head=n_head, smear=smear, gelu=gelu), random_ids(2, 7)
    expected = torch.tensor([oracle_logits(gpt, row) for row in ids.tolist()])
    assert close(logits_of(gpt, ids), expected, atol=1e-5)
    gpt.config.gelu = "tanh" if gelu == "none" else "none"
    other = torch.tensor([oracle_logits(gpt, row) for row in ids.tolist()])
    assert not close(other, expected, atol=3e-5), "the approximation must be seen"


@both_positions
def test_long_texts_take_another_way_to_the_same_logits_and_gradients(position, monkeypatch):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 12)
    mask = torch.ones(2, 1, 12, 12, dtype=torch.bool).tril()
    mask[1, :, :, :3] = False  # a row padded on the left, its padding sees only itself
    mask |= torch.eye(12, dtype=torch.bool)

    def learn():
        gpt.zero_grad()
        gpt(ids, ids.roll(-1, 1), mask=mask).backward()
        scores = gpt(ids, mask=mask)  # with gradients: without them all texts take that way
        return scores.detach(), [weight.grad.clone() for weight in gpt.parameters()]

    short, gradients = learn()
    monkeypatch.setattr(m, "FUSED_FROM", 12)
    monkeypatch.setattr(torch.Tensor, "softmax", lambda *_: pytest.fail("the scores were held"))
    long, others = learn()
    assert close(long, short) and all(close(a, b, atol=1e-4) for a, b in zip(others, gradients))


@both_positions
def test_attention_is_causal(position):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 8)
    before = gpt.hidden(ids)
    for t in range(8):
        changed = ids.clone()
        changed[:, t] = (ids[:, t] + 1) % 50
        after = gpt.hidden(changed)
        assert close(after[:, :t], before[:, :t], atol=1e-6)
        moved = (after[:, t:] - before[:, t:]).abs().amax(-1)
        assert (moved > 1e-5).all(), "a token must reach itself and every later position"


def test_rows_of_a_batch_do_not_see_each_other():
    gpt, ids = noisy_gpt(), random_ids(3, 6)
    assert close(gpt.hidden(ids), torch.cat([gpt.hidden(row[None]) for row in ids]))


@both_positions
@pytest.mark.parametrize("shift", [1, 7, 22])
def test_rotary_positions_are_relative_and_learned_ones_are_not(position, shift):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 10)
    positions = torch.arange(10)[None]
    moved = gpt.hidden(ids, positions=positions + shift)
    assert close(moved, gpt.hidden(ids), atol=1e-4) == (position == "rotary")


@both_positions
def test_positions_default_to_0_1_2_and_can_differ_by_row(position):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 5)
    rows = torch.tensor([[0, 1, 2, 3, 4], [0, 3, 4, 8, 20]])
    together = gpt.hidden(ids, positions=rows)
    assert close(together[:1], gpt.hidden(ids[:1]))
    assert close(together[1:], gpt.hidden(ids[1:], positions=rows[1:]))
    assert not close(together[1:], gpt.hidden(ids[1:]), atol=1e-3), "distances between positions must matter"


def test_more_tokens_than_the_block_are_refused():
    gpt = noisy_gpt()
    gpt(random_ids(1, 32))
    with pytest.raises(AssertionError):
        gpt(random_ids(1, 33))


def test_residual_projections_start_smaller_by_the_root_of_twice_the_depth():
    gpt = m.GPT(gpt_config(n_layer=8, n_embd=64))
    for name in ("attn.c_attn", "mlp.c_fc", "mlp.c_proj"):
        weights = torch.stack([block.get_submodule(name).weight for block in gpt.h])
        expected = weights.shape[-1] ** -0.5 / (math.sqrt(2 * 8) if name.endswith("c_proj") else 1)
        # 8 * 64 * 64 draws or more: the standard error of a standard deviation is below 0.4 %
        assert weights.std().item() == pytest.approx(expected, rel=0.02), name


def test_a_new_attention_layer_writes_back_what_it_reads():
    """A token that looks at one place only must move towards what stands there, and towards nothing else."""
    attn = m.GPT(gpt_config(n_embd=64)).h[0].attn
    read, other = torch.randn(200, 64), torch.randn(200, 64)
    with torch.no_grad():
        alone = attn(read[:, None], None, torch.zeros(1, 1), None)  # (200, 1, 64): a text of one token sees itself
        written = alone[:, 0]
    assert F.cosine_similarity(written, read).min() > 0.5
    assert F.cosine_similarity(written, other).mean().abs() < 0.05


# ------------------------------------------------------------------------------------------------------------
# The loss.


def random_targets(*shape):
    return torch.where(torch.rand(shape) < 0.5, random_ids(*shape), IGNORE)


def gradients(gpt, loss):
    gpt.zero_grad(set_to_none=True)
    loss.backward()
    return {name: weight.grad.clone() for name, weight in gpt.named_parameters()}


def test_the_loss_is_the_sum_of_cross_entropy_over_the_full_logits():
    gpt, ids, targets = noisy_gpt(), random_ids(3, 9), random_targets(3, 9)
    every = gpt(ids).view(-1, 50)
    full = F.cross_entropy(every, targets.view(-1), ignore_index=IGNORE, reduction="sum")
    loss = gpt(ids, targets)
    assert loss.item() == pytest.approx(full.item(), rel=1e-5)
    expected, got = gradients(gpt, full), gradients(gpt, loss)
    assert all(close(got[name], expected[name]) for name in expected)


def test_the_loss_equals_the_plain_python_gpt():
    gpt, ids, targets = noisy_gpt(), random_ids(1, 6), torch.tensor([[IGNORE, 3, IGNORE, 0, 49, IGNORE]])
    expected = 0.0
    for row, target in zip(oracle_logits(gpt, ids[0].tolist()), targets[0].tolist()):
        if target != IGNORE:
            expected += math.log(sum(math.exp(v) for v in row)) - row[target]
    assert gpt(ids, targets).item() == pytest.approx(expected, abs=1e-4)


def test_no_supervised_token_gives_zero_loss_and_zero_gradients():
    gpt = noisy_gpt()
    loss = gpt(random_ids(2, 5), torch.full((2, 5), IGNORE))
    assert loss.item() == 0.0
    assert all((gradient == 0).all() for gradient in gradients(gpt, loss).values())


@both_positions
def test_any_split_into_batches_with_any_right_padding_gives_the_same_gradient(position):
    gpt = noisy_gpt(position=position)
    rows = [(random_ids(n), random_targets(n)) for n in (9, 4, 12, 7)]
    rows[1] = rows[1][0], torch.full((4,), IGNORE)  # a row with nothing to learn, alone in some of the splits
    learned = sum((targets != IGNORE).sum().item() for _, targets in rows)

    def mean_gradient(split, extra, filler):
        """split: row numbers for each batch; extra: padding beyond the longest row."""
        total = {name: torch.zeros_like(weight) for name, weight in gpt.named_parameters()}
        for batch in split:
            T = max(len(rows[i][0]) for i in batch) + extra
            ids, targets = torch.full((len(batch), T), filler), torch.full((len(batch), T), IGNORE)
            for row, i in enumerate(batch):
                ids[row, : len(rows[i][0])], targets[row, : len(rows[i][1])] = rows[i]
            for name, gradient in gradients(gpt, gpt(ids, targets)).items():
                total[name] += gradient
        return {name: gradient / learned for name, gradient in total.items()}

    expected = mean_gradient([[0], [1], [2], [3]], extra=0, filler=0)
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-2
    for split in ([[0, 1, 2, 3]], [[3, 1], [2, 0]], [[1], [0, 2, 3]], [[0], [1], [2], [3]]):
        for extra, filler in ((0, 0), (5, 17)):
            got = mean_gradient(split, extra, filler)
            assert all(close(got[name], expected[name]) for name in expected), (split, extra, filler)


# ------------------------------------------------------------------------------------------------------------
# Decoding: the cache and left padding.


def causal(start, end):
    """Mask for the positions start .. end - 1 over everything up to them, (1, 1, T, S)."""
    return (torch.arange(end)[None, :] <= torch.arange(start, end)[:, None])[None, None]


def feed(gpt, ids, chunks, size):
    cache, out, start = m.KVCache(gpt, ids.shape[0], size), [], 0
    for length in chunks:
        end = start + length
        positions = torch.arange(start, end)[None]
        out.append(gpt.hidden(ids[:, start:end], positions=positions, mask=causal(start, end), cache=cache))
        start = end
    return torch.cat(out, dim=1)


@both_positions
@pytest.mark.parametrize("chunks", [[10], [4, 6], [1] * 10, [3, 1, 4, 2]], ids=str)
@pytest.mark.parametrize("size", [10, 25])
@torch.no_grad()
def test_cache_in_any_chunks_equals_no_cache(position, chunks, size):
    gpt, ids = noisy_gpt(position=position), random_ids(2, 10)
    assert close(feed(gpt, ids, chunks, size), gpt.hidden(ids))


@torch.no_grad()
def test_a_first_chunk_needs_neither_mask_nor_positions():
    gpt, ids = noisy_gpt(), random_ids(2, 6)
    assert close(gpt.hidden(ids, cache=m.KVCache(gpt, 2, 8)), gpt.hidden(ids))


@pytest.mark.parametrize("first", (1, 3, 7))
@torch.no_grad()
def test_without_a_mask_a_cache_is_causal_too(first):
    gpt, ids = noisy_gpt(), random_ids(2, 10)
    cache = m.KVCache(gpt, 2, 10)
    out = [gpt.hidden(ids[:, :first], cache=cache)]
    out.append(gpt.hidden(ids[:, first:], positions=torch.arange(first, ids.shape[1])[None], cache=cache))
    assert close(torch.cat(out, 1), gpt.hidden(ids))


@torch.no_grad()
def test_a_cache_does_not_show_memory_that_was_never_written():
    gpt, ids = noisy_gpt(), random_ids(1, 5)
    cache = m.KVCache(gpt, 1, 16)
    cache.kv.fill_(math.nan)
    assert close(gpt.hidden(ids, cache=cache), gpt.hidden(ids))


@pytest.mark.parametrize("extra", [1, 2])
@torch.no_grad()
def test_a_full_cache_refuses_tokens_instead_of_dropping_them(extra):
    gpt, ids = noisy_gpt(), random_ids(1, 4 + extra)
    with pytest.raises(RuntimeError):
        feed(gpt, ids, [4, extra], size=4)


@both_positions
@torch.no_grad()
def test_left_padded_rows_equal_single_rows_also_while_decoding(position):
    gpt, lengths, T, new = noisy_gpt(position=position), (9, 5, 1), 9, 3
    rows = [random_ids(n + new) for n in lengths]
    pad = torch.tensor([T - n for n in lengths])[:, None]
    ids = torch.stack([torch.cat((torch.full((T - n,), 49), row)) for n, row in zip(lengths, rows)])
    at = torch.arange(T + new)
    positions = (at - pad).clamp(min=0)
    # a padding query sees itself: PyTorch promises nothing for one that sees nothing
    mask = (at <= at[:, None]) & ((at >= pad[:, None]) | (at == at[:, None]))
    mask = mask[:, None]  # (B, 1, T + new, T + new)

    cache = m.KVCache(gpt, 3, T + new)
    out = [gpt.hidden(ids[:, :T], positions=positions[:, :T], mask=mask[:, :, :T, :T], cache=cache)]
    for t in range(T, T + new):
        step = slice(t, t + 1)
        seen = mask[:, :, step, : t + 1]
        out.append(gpt.hidden(ids[:, step], positions=positions[:, step], mask=seen, cache=cache))
    out = torch.cat(out, dim=1)

    whole = gpt.hidden(ids, positions=positions, mask=mask)
    for i, row in enumerate(rows):
        alone = gpt.hidden(row[None])[0]
        assert close(out[i, T - lengths[i] :], alone)
        assert close(whole[i, T - lengths[i] :], alone)


# ------------------------------------------------------------------------------------------------------------
# LoRA.


def test_lora_starts_as_the_identity_to_the_bit():
    base, ids = noisy_gpt(), random_ids(2, 8)
    gpt = copy.deepcopy(base)
    m.add_lora(gpt, rank=4, alpha=8)
    assert torch.equal(logits_of(gpt, ids), logits_of(base, ids))


def test_lora_output_is_w_x_plus_scaled_b_a_x():
    linear, x = torch.nn.Linear(6, 10), torch.randn(4, 6)
    lora = m.LoRA(linear, rank=2, alpha=5.0)
    assert lora.lora_A.shape == (2, 6) and lora.lora_B.shape == (10, 2) and (lora.lora_B == 0).all() and (lora.lora_A != 0).all()
    assert not any(weight.requires_grad for weight in linear.parameters())
    lora.lora_B.data.normal_()
    W = linear.weight + 5.0 / 2 * torch.einsum("or,ri->oi", lora.lora_B, lora.lora_A)
    assert close(lora(x), torch.einsum("oi,bi->bo", W, x) + linear.bias)


def test_lora_training_moves_only_a_and_b():
    base, ids, targets = noisy_gpt(), random_ids(4, 8), random_ids(4, 8)
    gpt = copy.deepcopy(base)
    m.add_lora(gpt, rank=2, alpha=4)
    assert all(weight.requires_grad == is_adapter(name) for name, weight in gpt.named_parameters())
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
        assert weight.grad is None or weight.grad.abs().max() > 0, name
    assert same_bits(base_state(gpt), base.state_dict())


@both_positions
def test_merged_equals_adapter_and_unmerging_gives_the_exact_bits_back(position):
    base, ids = noisy_gpt(position=position), random_ids(2, 8)
    gpt = with_lora(base)
    adapted, weights = logits_of(gpt, ids), snapshot(gpt)
    assert not close(adapted, logits_of(base, ids), atol=1e-2), "the adapter must do something"
    old = m.merge_lora(gpt)
    assert gpt.state_dict().keys() == base.state_dict().keys(), "a merged model is a plain one"
    assert close(logits_of(gpt, ids), adapted)
    m.unmerge_lora(old)
    assert same_bits(gpt.state_dict(), weights)
    assert same_bits(base_state(gpt), base.state_dict())
    assert torch.equal(logits_of(gpt, ids), adapted)
    assert all(weight.requires_grad == is_adapter(name) for name, weight in gpt.named_parameters())


def test_lora_and_merging_leave_the_tied_embedding_alone():
    base = noisy_gpt()
    gpt = with_lora(base)
    assert type(gpt.wte) is torch.nn.Embedding and not gpt.wte.weight.requires_grad
    m.merge_lora(gpt)
    assert torch.equal(gpt.wte.weight, base.wte.weight)
    assert same_bits(gpt.wte.state_dict(), base.wte.state_dict()) and not hasattr(gpt, "head"), "it is the head as well"
    before, after = base.state_dict(), gpt.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    linears = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert changed == {f"h.{i}.{name}.weight" for i in range(2) for name in linears}


@pytest.mark.parametrize(
    "targets, widths",  # in + out, in units of C, of the layers wrapped in one block
    [(m.LORA_TARGETS, 4 + 2 + 5 + 5), (("c_attn",), 4), (("c_proj",), 2 + 5), (("c_fc", "c_attn"), 5 + 4)],
)
def test_lora_parameter_count(targets, widths):
    gpt, rank = noisy_gpt(), 3
    m.add_lora(gpt, rank, alpha=6, targets=targets)
    trained = sum(weight.numel() for weight in gpt.parameters() if weight.requires_grad)
    assert trained == rank * widths * gpt.config.n_embd * gpt.config.n_layer
