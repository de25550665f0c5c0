"""Proof that model.py keeps its promises, against oracles that share no code with it.

The transformer: attention is causal; the logits are those of an implementation in plain Python (lists, loops,
and rotary positions as complex numbers); rotary positions are relative; residual projections start small.
The loss: it is PyTorch's cross entropy over the full logits; splitting rows into batches and padding them
changes no gradient; a batch with nothing to learn gives zeros.
Decoding: the cache and left padding change nothing.
LoRA: starts as the identity, trains only A and B, and merging, unmerging, saving and loading lose nothing.
Checkpoints: a file is whole or refused, is never run as code, and survives errors and kill -9.
"""

import cmath
import copy
import math
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import model as m
from model import IGNORE, GPTConfig, UserError

both_positions = pytest.mark.parametrize("position", ["rotary", "learned"])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="module")
def one_thread():  # models this small lose time to a second one
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def config(**changes):
    return GPTConfig(**{"vocab_size": 50, "block_size": 32, "n_layer": 2, "n_head": 2, "n_embd": 16, **changes})


def tiny(**changes):
    """A model with noise on every weight: a fresh bias is 0, a fresh gain 1, and nobody would miss them."""
    gpt = m.GPT(config(**changes))
    with torch.no_grad():
        for weight in gpt.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return gpt


def with_lora(base, rank=3, alpha=6.0, **kwargs):
    """A copy of the base with an adapter that does something: a fresh B is 0."""
    gpt = copy.deepcopy(base)
    m.add_lora(gpt, rank, alpha, **kwargs)
    with torch.no_grad():
        for name, weight in gpt.named_parameters():
            if name.endswith(".B"):
                weight.normal_(std=0.3)
    return gpt


def random_ids(*shape):
    return torch.randint(0, 50, shape)


def logits(gpt, ids):
    with torch.no_grad():
        return gpt.logits(gpt(ids))


def close(a, b, atol=1e-5):
    return a.shape == b.shape and torch.allclose(a, b, atol=atol, rtol=0)


def snapshot(gpt):
    return {name: weight.clone() for name, weight in gpt.state_dict().items()}


def same_bits(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def refused(call, *args, names=None):
    """The call raises UserError, and its message is one line (that names the file)."""
    with pytest.raises(UserError) as error:
        call(*args)
    message = str(error.value)
    assert message and "\n" not in message
    assert names is None or str(names) in message


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
    """Rotary: pair i is the complex number x[i] + j x[i + half], times e^(j position 100^(-2i/hs))."""
    hs, half = len(x), len(x) // 2
    z = [complex(x[i], x[i + half]) * cmath.exp(1j * position * 100.0 ** (-2 * i / hs)) for i in range(half)]
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
    gpt, ids = tiny(position=position, n_head=n_head, smear=smear, gelu=gelu), random_ids(2, 7)
    expected = torch.tensor([oracle_logits(gpt, row) for row in ids.tolist()])
    assert close(logits(gpt, ids), expected, atol=1e-5)
    gpt.config.gelu = "tanh" if gelu == "none" else "none"
    other = torch.tensor([oracle_logits(gpt, row) for row in ids.tolist()])
    assert not close(other, expected, atol=3e-5), "the approximation must be seen"


@both_positions
def test_long_texts_take_another_way_to_the_same_logits_and_gradients(position, monkeypatch):
    gpt, ids = tiny(position=position), random_ids(2, 12)
    mask = torch.ones(2, 1, 12, 12, dtype=torch.bool).tril()
    mask[1, :, :, :3] = False  # a row padded on the left, its padding sees only itself
    mask |= torch.eye(12, dtype=torch.bool)

    def learn():
        gpt.zero_grad()
        gpt.loss_sum(ids, ids.roll(-1, 1), mask=mask).backward()
        scores = gpt.logits(gpt(ids, mask=mask))  # with gradients: without them all texts take that way
        return scores.detach(), [weight.grad.clone() for weight in gpt.parameters()]

    short, gradients = learn()
    monkeypatch.setattr(m, "LONG", 12)
    monkeypatch.setattr(torch.Tensor, "softmax", lambda *_: pytest.fail("the scores were held"))
    long, others = learn()
    assert close(long, short) and all(close(a, b, atol=1e-4) for a, b in zip(others, gradients))


@both_positions
def test_attention_is_causal(position):
    gpt, ids = tiny(position=position), random_ids(2, 8)
    before = gpt(ids)
    for t in range(8):
        changed = ids.clone()
        changed[:, t] = (ids[:, t] + 1) % 50
        after = gpt(changed)
        assert close(after[:, :t], before[:, :t], atol=1e-6)
        moved = (after[:, t:] - before[:, t:]).abs().amax(-1)
        assert (moved > 1e-5).all(), "a token must reach itself and every later position"


def test_rows_of_a_batch_do_not_see_each_other():
    gpt, ids = tiny(), random_ids(3, 6)
    assert close(gpt(ids), torch.cat([gpt(row[None]) for row in ids]))


@both_positions
@pytest.mark.parametrize("shift", [1, 7, 22])
def test_rotary_positions_are_relative_and_learned_ones_are_not(position, shift):
    gpt, ids = tiny(position=position), random_ids(2, 10)
    positions = torch.arange(10)[None]
    moved = gpt(ids, positions=positions + shift)
    assert close(moved, gpt(ids), atol=1e-4) == (position == "rotary")


@both_positions
def test_positions_default_to_0_1_2_and_can_differ_by_row(position):
    gpt, ids = tiny(position=position), random_ids(2, 5)
    rows = torch.tensor([[0, 1, 2, 3, 4], [0, 3, 4, 8, 20]])
    together = gpt(ids, positions=rows)
    assert close(together[:1], gpt(ids[:1]))
    assert close(together[1:], gpt(ids[1:], positions=rows[1:]))
    assert not close(together[1:], gpt(ids[1:]), atol=1e-3), "distances between positions must matter"


def test_more_tokens_than_the_block_are_refused():
    gpt = tiny()
    gpt(random_ids(1, 32))
    with pytest.raises(AssertionError):
        gpt(random_ids(1, 33))


def test_residual_projections_start_smaller_by_the_root_of_twice_the_depth():
    gpt = m.GPT(config(n_layer=8, n_embd=64))
    for name in ("attn.c_attn", "mlp.c_fc", "mlp.c_proj"):
        weights = torch.stack([block.get_submodule(name).weight for block in gpt.h])
        expected = weights.shape[-1] ** -0.5 / (math.sqrt(2 * 8) if name.endswith("c_proj") else 1)
        # 8 * 64 * 64 draws or more: the standard error of a standard deviation is below 0.4 %
        assert weights.std().item() == pytest.approx(expected, rel=0.02), name


def test_a_new_attention_layer_writes_back_what_it_reads():
    """A token that looks at one place only must move towards what stands there, and towards nothing else."""
    attn = m.GPT(config(n_embd=64)).h[0].attn
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


def test_loss_sum_is_cross_entropy_over_the_full_logits():
    gpt, ids, targets = tiny(), random_ids(3, 9), random_targets(3, 9)
    every = gpt.logits(gpt(ids)).view(-1, 50)
    full = F.cross_entropy(every, targets.view(-1), ignore_index=IGNORE, reduction="sum")
    loss = gpt.loss_sum(ids, targets)
    assert loss.item() == pytest.approx(full.item(), rel=1e-5)
    expected, got = gradients(gpt, full), gradients(gpt, loss)
    assert all(close(got[name], expected[name]) for name in expected)


def test_loss_sum_equals_the_plain_python_gpt():
    gpt, ids, targets = tiny(), random_ids(1, 6), torch.tensor([[IGNORE, 3, IGNORE, 0, 49, IGNORE]])
    expected = 0.0
    for row, target in zip(oracle_logits(gpt, ids[0].tolist()), targets[0].tolist()):
        if target != IGNORE:
            expected += math.log(sum(math.exp(v) for v in row)) - row[target]
    assert gpt.loss_sum(ids, targets).item() == pytest.approx(expected, abs=1e-4)


def test_nothing_to_learn_gives_zero_loss_and_zero_gradients():
    gpt = tiny()
    loss = gpt.loss_sum(random_ids(2, 5), torch.full((2, 5), IGNORE))
    assert loss.item() == 0.0
    assert all((gradient == 0).all() for gradient in gradients(gpt, loss).values())


@both_positions
def test_any_split_into_batches_with_any_right_padding_gives_the_same_gradient(position):
    gpt = tiny(position=position)
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
            for name, gradient in gradients(gpt, gpt.loss_sum(ids, targets)).items():
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
        out.append(gpt(ids[:, start:end], positions=positions, mask=causal(start, end), cache=cache))
        start = end
    return torch.cat(out, dim=1)


@both_positions
@pytest.mark.parametrize("chunks", [[10], [4, 6], [1] * 10, [3, 1, 4, 2]], ids=str)
@pytest.mark.parametrize("size", [10, 25])
@torch.no_grad()
def test_cache_in_any_chunks_equals_no_cache(position, chunks, size):
    gpt, ids = tiny(position=position), random_ids(2, 10)
    assert close(feed(gpt, ids, chunks, size), gpt(ids))


@torch.no_grad()
def test_a_first_chunk_needs_neither_mask_nor_positions():
    gpt, ids = tiny(), random_ids(2, 6)
    assert close(gpt(ids, cache=m.KVCache(gpt, 2, 8)), gpt(ids))


@torch.no_grad()
def test_a_cache_does_not_show_memory_that_was_never_written():
    gpt, ids = tiny(), random_ids(1, 5)
    cache = m.KVCache(gpt, 1, 16)
    for layer in cache.layers:
        layer.k.fill_(math.nan), layer.v.fill_(math.nan)
    assert close(gpt(ids, cache=cache), gpt(ids))


@pytest.mark.parametrize("extra", [1, 2])
@torch.no_grad()
def test_a_full_cache_refuses_tokens_instead_of_dropping_them(extra):
    gpt, ids = tiny(), random_ids(1, 4 + extra)
    with pytest.raises((AssertionError, RuntimeError, UserError)):
        feed(gpt, ids, [4, extra], size=4)


@both_positions
@torch.no_grad()
def test_left_padded_rows_equal_single_rows_also_while_decoding(position):
    gpt, lengths, T, new = tiny(position=position), (9, 5, 1), 9, 3
    rows = [random_ids(n + new) for n in lengths]
    pad = torch.tensor([T - n for n in lengths])[:, None]
    ids = torch.stack([torch.cat((torch.full((T - n,), 49), row)) for n, row in zip(lengths, rows)])
    at = torch.arange(T + new)
    positions = (at - pad).clamp(min=0)
    # a padding query sees itself: PyTorch promises nothing for one that sees nothing
    mask = (at <= at[:, None]) & ((at >= pad[:, None]) | (at == at[:, None]))
    mask = mask[:, None]  # (B, 1, T + new, T + new)

    cache = m.KVCache(gpt, 3, T + new)
    out = [gpt(ids[:, :T], positions=positions[:, :T], mask=mask[:, :, :T, :T], cache=cache)]
    for t in range(T, T + new):
        step = slice(t, t + 1)
        seen = mask[:, :, step, : t + 1]
        out.append(gpt(ids[:, step], positions=positions[:, step], mask=seen, cache=cache))
    out = torch.cat(out, dim=1)

    whole = gpt(ids, positions=positions, mask=mask)
    for i, row in enumerate(rows):
        alone = gpt(row[None])[0]
        assert close(out[i, T - lengths[i] :], alone)
        assert close(whole[i, T - lengths[i] :], alone)


# ------------------------------------------------------------------------------------------------------------
# LoRA.


def is_adapter(name):
    return name.split(".")[-1] in ("A", "B")


def test_lora_starts_as_the_identity_to_the_bit():
    base, ids = tiny(), random_ids(2, 8)
    gpt = copy.deepcopy(base)
    m.add_lora(gpt, rank=4, alpha=8)
    assert torch.equal(logits(gpt, ids), logits(base, ids))


def test_lora_output_is_w_x_plus_scaled_b_a_x():
    linear, x = torch.nn.Linear(6, 10), torch.randn(4, 6)
    lora = m.LoRA(linear, rank=2, alpha=5.0)
    assert lora.A.shape == (2, 6) and lora.B.shape == (10, 2) and (lora.B == 0).all() and (lora.A != 0).all()
    assert not any(weight.requires_grad for weight in linear.parameters())
    lora.B.data.normal_()
    W = linear.weight + 5.0 / 2 * torch.einsum("or,ri->oi", lora.B, lora.A)
    assert close(lora(x), torch.einsum("oi,bi->bo", W, x) + linear.bias)


def test_lora_training_moves_only_a_and_b():
    base, ids, targets = tiny(), random_ids(4, 8), random_ids(4, 8)
    gpt = copy.deepcopy(base)
    m.add_lora(gpt, rank=2, alpha=4)
    assert all(weight.requires_grad == is_adapter(name) for name, weight in gpt.named_parameters())
    before = snapshot(gpt)
    # every parameter, and weight decay: only requires_grad keeps the base out of it
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=0.05, weight_decay=0.1)
    for _ in range(2):  # in the first step A has no gradient yet, because B is 0
        optimizer.zero_grad()
        gpt.loss_sum(ids, targets).backward()
        optimizer.step()
    for name, weight in gpt.named_parameters():
        assert (weight.grad is not None) == is_adapter(name), name
        assert torch.equal(weight, before[name]) != is_adapter(name), name
        assert weight.grad is None or weight.grad.abs().max() > 0, name
    assert same_bits(m.base_state(gpt), base.state_dict())


@both_positions
def test_merged_equals_adapter_and_unmerging_gives_the_exact_bits_back(position):
    base, ids = tiny(position=position), random_ids(2, 8)
    gpt = with_lora(base)
    adapted, weights = logits(gpt, ids), snapshot(gpt)
    assert not close(adapted, logits(base, ids), atol=1e-2), "the adapter must do something"
    old = m.merge_lora(gpt)
    assert gpt.state_dict().keys() == base.state_dict().keys(), "a merged model is a plain one"
    assert close(logits(gpt, ids), adapted)
    m.unmerge_lora(old)
    assert same_bits(gpt.state_dict(), weights)
    assert same_bits(m.base_state(gpt), base.state_dict())
    assert torch.equal(logits(gpt, ids), adapted)
    assert all(weight.requires_grad == is_adapter(name) for name, weight in gpt.named_parameters())


def test_lora_and_merging_leave_the_tied_embedding_alone():
    base = tiny()
    gpt = with_lora(base)
    assert type(gpt.wte) is torch.nn.Embedding and not gpt.wte.weight.requires_grad
    m.merge_lora(gpt)
    assert torch.equal(gpt.wte.weight, base.wte.weight)
    assert torch.equal(gpt.logits(torch.eye(16)), base.wte.weight.T), "the head is still the embedding"
    before, after = base.state_dict(), gpt.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    linears = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert changed == {f"h.{i}.{name}.weight" for i in range(2) for name in linears}


@pytest.mark.parametrize(
    "targets, widths",  # in + out, in units of C, of the layers wrapped in one block
    [(m.LORA_TARGETS, 4 + 2 + 5 + 5), (("c_attn",), 4), (("c_proj",), 2 + 5), (("c_fc", "c_attn"), 5 + 4)],
)
def test_lora_parameter_count(targets, widths):
    gpt, rank = tiny(), 3
    m.add_lora(gpt, rank, alpha=6, targets=targets)
    trained = sum(weight.numel() for weight in gpt.parameters() if weight.requires_grad)
    assert trained == rank * widths * gpt.config.n_embd * gpt.config.n_layer


def test_lora_state_is_only_a_and_b_and_base_state_is_the_rest():
    base = tiny()
    gpt = with_lora(base)
    assert all(is_adapter(name) for name in m.lora_state(gpt))
    assert len(m.lora_state(gpt)) == 2 * 4 * 2  # A and B, for four layers of two blocks
    assert m.lora_state(gpt).keys() == {name for name, weight in gpt.named_parameters() if weight.requires_grad}
    assert same_bits(m.base_state(gpt), base.state_dict())
    assert m.lora_state(base) == {}


def saved_adapter(path, gpt):
    m.save_checkpoint(path, lora=gpt.lora, adapter=m.lora_state(gpt), fingerprint=m.fingerprint(gpt))
    return m.load_checkpoint(path)


@pytest.mark.parametrize("targets", [m.LORA_TARGETS, ("c_attn",)], ids=str)
def test_an_adapter_comes_back_from_its_file_on_its_base(tmp_path, targets):
    base, ids = tiny(), random_ids(2, 8)
    gpt = with_lora(base, targets=targets)
    checkpoint = saved_adapter(tmp_path / "adapter.pt", gpt)
    m.load_adapter(base, checkpoint)
    assert torch.equal(logits(base, ids), logits(gpt, ids))
    assert base.lora == gpt.lora


def test_an_adapter_is_refused_by_another_base_which_stays_as_it_was(tmp_path):
    base = tiny()
    checkpoint = saved_adapter(tmp_path / "adapter.pt", with_lora(base))
    other = copy.deepcopy(base)
    other.h[1].mlp.c_fc.bias.data[3] += 1e-3
    weights, path = snapshot(other), "runs/adapter.pt"
    refused(m.load_adapter, other, checkpoint, path, names=path)
    assert same_bits(other.state_dict(), weights)
    no_adapter = saved_model(tmp_path / "model.pt", base)
    refused(m.load_adapter, base, no_adapter, path, names=path)


@pytest.mark.parametrize("damage", ["one weight missing", "one name wrong", "another rank", "no rank"])
def test_an_adapter_that_does_not_fit_its_own_description_is_refused(tmp_path, damage):
    base = tiny()
    checkpoint = saved_adapter(tmp_path / "adapter.pt", with_lora(base))
    name = next(iter(checkpoint["adapter"]))
    if damage == "one weight missing":
        del checkpoint["adapter"][name]
    elif damage == "one name wrong":
        checkpoint["adapter"]["x" + name] = checkpoint["adapter"].pop(name)
    elif damage == "another rank":
        checkpoint["lora"]["rank"] += 1
    else:
        del checkpoint["lora"]["rank"]
    refused(m.load_adapter, base, checkpoint, "a.pt", names="a.pt")


def test_fingerprint_is_the_same_with_an_adapter_and_tells_one_changed_weight():
    base = tiny()
    mark = m.fingerprint(base)
    gpt = with_lora(base)
    assert m.fingerprint(gpt) == mark
    m.unmerge_lora(m.merge_lora(gpt))
    assert m.fingerprint(gpt) == mark == m.fingerprint(copy.deepcopy(base))
    for name in base.state_dict():
        changed = copy.deepcopy(base)
        changed.state_dict()[name].view(-1)[-1] += 1e-4
        assert m.fingerprint(changed) != mark, name


def test_fingerprint_tells_two_configs_with_the_same_weights():
    base = tiny(n_head=2)
    other = m.GPT(config(n_head=4))
    other.load_state_dict(base.state_dict())
    assert m.fingerprint(other) != m.fingerprint(base)


# ------------------------------------------------------------------------------------------------------------
# Checkpoints.


def saved_model(path, gpt):
    m.save_checkpoint(path, config=vars(gpt.config), model=gpt.state_dict(), step=7, name="Zoë")
    return m.load_checkpoint(path)


@both_positions
def test_a_model_comes_back_from_its_file_to_the_bit(tmp_path, position):
    gpt, ids, path = tiny(position=position), random_ids(2, 8), tmp_path / "new" / "folder" / "model.pt"
    checkpoint = saved_model(path, gpt)
    assert checkpoint["step"] == 7 and checkpoint["name"] == "Zoë"
    again = m.build_model(checkpoint)
    assert again.config == gpt.config
    assert same_bits(again.state_dict(), gpt.state_dict())
    assert torch.equal(logits(again, ids), logits(gpt, ids))
    assert os.listdir(path.parent) == ["model.pt"], "no temporary file stays"


def test_saving_again_replaces_the_old_content(tmp_path):
    path = tmp_path / "c.pt"
    m.save_checkpoint(path, old=torch.zeros(1000))
    m.save_checkpoint(path, new=1)
    assert m.load_checkpoint(path) == {"format": 1, "new": 1}
    assert os.listdir(tmp_path) == ["c.pt"]


def test_a_reader_of_the_old_file_still_finds_all_of_it_while_a_new_one_is_saved(tmp_path):
    path = tmp_path / "c.pt"
    m.save_checkpoint(path, old=torch.zeros(1000))
    before = path.read_bytes()
    with open(path, "rb") as reader:
        m.save_checkpoint(path, new=1)
        assert reader.read() == before
    assert path.read_bytes() != before


def test_a_bare_file_name_is_saved_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    m.save_checkpoint("c.pt", step=1)
    assert m.load_checkpoint("c.pt")["step"] == 1


def test_a_cut_file_is_refused_at_any_length(tmp_path):
    path = tmp_path / "c.pt"
    saved_model(path, tiny(n_layer=1))
    whole = path.read_bytes()
    n = len(whole)
    for length in (0, 1, 2, 4, 100, n // 4, n // 2, 3 * n // 4, n - 100, n - 22, n - 1):
        path.write_bytes(whole[:length])
        refused(m.load_checkpoint, path, names=path)


@pytest.mark.parametrize(
    "content",
    [
        b"just some text\n" * 50,
        b"\0" * 500,
        b'{"format": 1}',
        b"PK\x03\x04",
        pickle.dumps(None, protocol=2),
        bytes(range(256)),
    ],
    ids=["text", "zeros", "json", "zip head", "pickle", "bytes"],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    refused(m.load_checkpoint, path, names=path)


@pytest.mark.parametrize("content", [{}, {"format": 2}, {"model": {}}, [1], 1, "format", None], ids=repr)
def test_a_torch_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "c.pt"
    torch.save(content, path)
    refused(m.load_checkpoint, path, names=path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    refused(m.load_checkpoint, tmp_path / "none.pt", names=tmp_path / "none.pt")
    refused(m.load_checkpoint, tmp_path, names=tmp_path)


class Bomb:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, writer, legacy):
    path, crater = tmp_path / "c.pt", tmp_path / "crater"
    content = {"format": 1, "config": Bomb(crater)}
    if writer == "torch":
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    else:
        path.write_bytes(pickle.dumps(content, protocol=0 if legacy else 2))
    refused(m.load_checkpoint, path, names=path)
    assert not crater.exists()
    torch.load(path, weights_only=False) if writer == "torch" else pickle.loads(path.read_bytes())
    assert crater.exists(), "otherwise the bomb is a dud and this test proves nothing"


@pytest.mark.parametrize(
    "change",
    [
        {"n_embd": 32},
        {"n_layer": 1},
        {"n_layer": 3},
        {"vocab_size": 51},
        {"position": "learned"},
        {"position": "sinus"},
        {"n_head": 3},
        {"n_head": 0},
        {"n_embd": -16},
        {"vocab_size": "fifty"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_config_that_does_not_fit_the_weights_is_refused(tmp_path, change):
    checkpoint = saved_model(tmp_path / "c.pt", tiny())
    checkpoint["config"].update(change)
    refused(m.build_model, checkpoint, "runs/c.pt", names="runs/c.pt")


@pytest.mark.parametrize(
    "change", [{"config": None}, {"config": {}}, {"model": None}, {"model": {"wte.weight": 1}}], ids=str
)
def test_a_checkpoint_without_a_model_in_it_is_refused(tmp_path, change):
    checkpoint = saved_model(tmp_path / "c.pt", tiny())
    refused(m.build_model, {**checkpoint, **change}, "runs/c.pt", names="runs/c.pt")
    for key in change:
        del checkpoint[key]
    refused(m.build_model, checkpoint, "runs/c.pt", names="runs/c.pt")


def save(path, content=2):
    m.save_checkpoint(path, content=content)


def test_an_unwritable_place_is_refused_and_nothing_is_lost(tmp_path):
    old = tmp_path / "c.pt"
    m.save_checkpoint(old, step=1)
    before = old.read_bytes()
    for path in (old / "below.pt", old / "far" / "below.pt"):  # under a file: root may not write there either
        refused(save, path, names=path)
    assert old.read_bytes() == before
    assert os.listdir(tmp_path) == ["c.pt"]


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "c.pt").mkdir()
    refused(save, tmp_path / "c.pt", names=tmp_path / "c.pt")
    assert os.listdir(tmp_path) == ["c.pt"], "no temporary file stays"


@pytest.mark.parametrize("room", [0, 1000, 100_000])
def test_no_space_left_is_refused_and_the_old_file_stays(tmp_path, room):
    path = tmp_path / "c.pt"
    m.save_checkpoint(path, step=1)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = torch.zeros(100_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))  # stands for a full disk: a write beyond `room` fails
    try:
        refused(save, path, big, names=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c.pt"], "no temporary file stays"


KILLER = """
import os, random, signal, sys, time
import torch, model
path = sys.argv[1]

def load():
    content = model.load_checkpoint(path)
    assert (content["weights"]["w"] == content["step"]).all()

torch.set_num_threads(1)  # a fork loses the other threads and would wait for them
for round in range(3):
    if os.path.exists(path):
        os.remove(path)
    parent, child = os.getpid(), os.fork()  # a fork spares two imports of torch
    if child == 0:
        step = 0
        while os.getppid() == parent:
            step += 1
            model.save_checkpoint(path, step=step, weights={"w": torch.full((200_000,), float(step))})
        os._exit(1)
    while not os.path.exists(path):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer has died by itself"
        time.sleep(0.001)
    end = time.time() + random.uniform(0, 0.2)
    while time.time() < end:
        load()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    load()
    print("loaded")
"""


def test_the_file_loads_at_any_moment_of_saving_and_after_kill_9(tmp_path):
    root = Path(m.__file__).parent
    command = [sys.executable, "-c", KILLER, str(tmp_path / "c.pt")]
    done = subprocess.run(command, check=False, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loaded") == 3
