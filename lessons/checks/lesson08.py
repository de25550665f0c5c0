"""Checks of lesson 8: the module of a low-rank correction, its insertion, its memory, and
the line of full tuning at equal forgetting."""

import copy  # noqa: F401  what a learner's module may use

import numpy as np  # noqa: F401
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from checks import by_hand, call
from common.lora import LoRA
from model import GPT, GPTConfig

IN, OUT = 7, 11  # of the layers below; no other size is one of these


def same(result, expected, tolerance=1e-5):
    return result.shape == expected.shape and torch.allclose(
        result, expected, atol=tolerance, rtol=1e-5
    )


def numbers(part):
    """Return the numbers of A or B: an nn.Parameter, or the weight of an nn.Linear (as in PEFT)."""
    return part.weight if isinstance(part, nn.Linear) else part


def layer(bias=True, inputs=IN, outputs=OUT):
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs, bias=bias)


class LargeResults(TorchDispatchMode):
    """Notice a matrix of the size of W, other than W itself."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.materialized = weight.untyped_storage().data_ptr(), False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for item in result if isinstance(result, (tuple, list)) else (result,):
            if torch.is_tensor(item) and sorted(item.shape[-2:]) == sorted((IN, OUT)):
                self.materialized |= item.untyped_storage().data_ptr() != self.weight
        return result


@by_hand("common.lora.LoRA")
def low_rank(learner):
    linear = layer()
    adapter = call(learner, linear, 2, 6)
    assert isinstance(adapter, nn.Module), "return a module"
    assert not isinstance(adapter, LoRA), "that is the project's own: write it yourself"
    check_start(adapter, linear)
    wide = numbers(call(learner, layer(inputs=256), 8, 8).A)
    spread = wide.std().item() * 16
    assert 0.2 < spread < 3, (
        f"A's numbers are about {wide.std().item():.2g}; with 256 inputs they should be about 256"
        " ** -0.5 = 0.06"
    )
    x = torch.randn(3, 5, IN, generator=torch.Generator().manual_seed(1))
    check_forward(adapter, linear, x)
    check_steps(call(learner, layer(), 2, 6), x)
    check_merge(adapter, linear, x)
    bare = layer(bias=False)
    adapter = call(learner, bare, 2, 6)
    numbers(adapter.B).data.fill_(0.1)
    out, plain = call(adapter, x), call(adapter.merge)
    assert same(
        out, F.linear(x, bare.weight) + 3 * (x @ numbers(adapter.A).T) @ numbers(adapter.B).T
    ), "wrong for a layer without a bias"
    assert plain.bias is None and same(
        plain(x), out
    ), "a layer without a bias stays one when it is merged"
    print(
        "Right: the old layer, a thin correction beside it, and one plain layer again when it is"
        " merged."
    )


def check_start(adapter, linear):
    for name, shape in (("linear", None), ("A", (2, IN)), ("B", (OUT, 2))):
        assert hasattr(adapter, name), f"there is no self.{name}"
        part = numbers(getattr(adapter, name)) if shape else None
        assert shape is None or torch.is_tensor(part), (
            f"self.{name} is a {type(part).__name__}: make it an nn.Parameter, or an nn.Linear"
            " without a bias"
        )
        layer_bias = getattr(getattr(adapter, name), "bias", None) if shape else None
        assert layer_bias is None, f"self.{name} has a bias; the correction has none: bias=False"
        assert (
            shape is None or tuple(part.shape) == shape
        ), f"self.{name} has shape {tuple(part.shape)}, expected {shape}"
    parameters = dict(adapter.named_parameters())
    assert (
        {"A", "A.weight"} & {*parameters} and {"B", "B.weight"} & {*parameters}
    ), "A and B must be nn.Parameter: a plain tensor is found by no optimizer"
    A, B = numbers(adapter.A), numbers(adapter.B)
    assert A.requires_grad and B.requires_grad, "A and B are frozen; they are what is trained"
    assert not any(
        p.requires_grad for p in adapter.linear.parameters()
    ), "the old layer is not frozen: its weight and bias must not require a gradient"
    assert A.any() or B.any(), (
        "A and B are both zero: then neither ever moves, since each one's gradient has the other as"
        " a factor"
    )
    assert not B.any(), "B must start at zero, or the first prediction is not the base's"
    assert len(A.unique()) > IN, "A's numbers are not random"
    x = torch.ones(2, IN)
    assert same(
        call(adapter, x), F.linear(x, linear.weight, linear.bias)
    ), "with B = 0 it must answer as the old layer"


@torch.no_grad()
def check_forward(adapter, linear, x):
    A, B = numbers(adapter.A), numbers(adapter.B)
    B.copy_(torch.randn(OUT, 2, generator=torch.Generator().manual_seed(2)))
    old, bias = F.linear(x, linear.weight, linear.bias), linear.bias
    change = (x @ A.T) @ B.T  # alpha / rank is 3
    with LargeResults(linear.weight) as large:
        result = call(adapter, x)
    assert (
        torch.is_tensor(result) and result.shape == old.shape
    ), "forward: return (..., out) for x (..., in)"
    assert not same(result, old), "forward: the correction is missing: only the old layer answers"
    assert not same(
        result, 3 * change
    ), "forward: the old layer is missing: y = W x + bias + correction"
    assert not same(result, old - bias + 3 * change), "forward: the bias is missing"
    assert not same(
        result, old + bias + 3 * change
    ), "forward: the bias is there twice; the correction has none"
    assert not same(result, old + change), "forward: the correction is not scaled: alpha / rank"
    assert not same(
        result, old + 6 * change
    ), "forward: scaled by alpha alone; it is alpha / rank, and the rank is 2"
    assert not same(result, old + change / 3), "forward: scaled by rank / alpha; it is alpha / rank"
    assert same(result, old + 3 * change), "forward: this is not W x + bias + (alpha / rank) B A x"
    assert not large.materialized, (
        f"forward: right numbers, but a matrix of {OUT} x {IN} numbers was made, as large as W:"
        " that is B A in full. Multiply x by A first, and the result by B"
    )


def check_steps(adapter, x):
    """Make two steps of plain gradient descent: what moves, and when?"""
    before = {name: p.detach().clone() for name, p in adapter.named_parameters()}
    for step in (1, 2):
        adapter.zero_grad()
        loss = call(adapter, x).square().sum()
        assert (
            loss.requires_grad
        ), "no gradient reaches A and B: no .data, detach() or no_grad() in forward"
        loss.backward()
        gradients = numbers(adapter.A).grad, numbers(adapter.B).grad
        assert (
            gradients[0] is not None and gradients[1] is not None
        ), "no gradient reaches A and B: no .data, detach() or no_grad() in forward"
        with torch.no_grad():
            for p in adapter.parameters():
                p -= 0 if p.grad is None else 0.001 * p.grad
        moved = sorted(
            name.removesuffix(".weight")
            for name, p in adapter.named_parameters()
            if not torch.equal(p, before[name])
        )
        assert moved == (
            ["B"] if step == 1 else ["A", "B"]
        ), f"after step {step} these have moved: {moved}"


@torch.no_grad()
def check_merge(adapter, linear, x):
    original, beside = linear.weight.clone(), adapter(x)
    product = numbers(adapter.B) @ numbers(adapter.A)
    merged = call(adapter.merge)
    assert torch.equal(linear.weight, original), (
        "merge: the old weight was changed in place; make a new layer, the old one is needed to"
        " undo it"
    )
    assert isinstance(merged, nn.Linear), "merge: return a plain nn.Linear"
    assert (
        merged.weight is not linear.weight and merged is not linear
    ), "merge: return a new layer, not the old one"
    weight = merged.weight
    assert (
        weight.shape == original.shape
    ), f"merge: the weight has shape {tuple(weight.shape)}, expected {tuple(original.shape)}"
    assert not same(weight, original), "merge: the correction is missing"
    assert not same(weight, original + product), "merge: the correction is not scaled: alpha / rank"
    assert not same(weight, 3 * product), "merge: W itself is missing"
    assert not same(
        weight, original - 3 * product
    ), "merge: the correction is added, not taken away"
    assert merged.bias is not None and same(merged.bias, linear.bias), "merge: the bias is lost"
    assert same(merged(x), beside), "merge: merged and unmerged differ by more than 0.00001"


def small():
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=13, block_size=8, n_layer=2, n_head=2, n_embd=8)).eval()


NAMES = ("c_attn", "c_proj", "c_fc")


def injected(learner, names):
    """Run the learner's function on a small GPT. Returns it, the layers passed to wrap, and the
    function's result."""
    model, layers = small(), []

    def wrap(linear):
        assert isinstance(
            linear, nn.Linear
        ), f"a {type(linear).__name__} was wrapped; only nn.Linear can be"
        assert id(linear) not in map(
            id, layers
        ), "one layer was wrapped twice: collect all in a list before you replace any"
        layers.append(linear)
        adapter = LoRA(linear, 2, 4)
        return adapter

    count = call(learner, model, names, wrap)
    return model, layers, count


@by_hand("common.lora.add_lora")
def inject(learner):
    model, layers, count = injected(learner, NAMES)
    base = small()
    assert layers, "no layer was wrapped: are the children of the blocks reached, too?"
    dotted = [name for module in model.modules() for name in module._modules if "." in name]
    assert not dotted, (
        f"setattr with the dotted name {dotted[0]!r} puts a layer beside the others, and nothing"
        " uses it: find its parent"
    )
    wrapped = [module for module in model.modules() if isinstance(module, LoRA)]
    assert wrapped, (
        "the wrapped layers were made, but the model still has the old ones: setattr(parent,"
        " name, new)"
    )
    assert len(wrapped) == 8, (
        f"{len(wrapped)} of 8 layers are wrapped in a GPT of 2 blocks: c_proj is in the"
        " attention and in the MLP"
    )
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    expected = {name for name, _ in model.named_parameters() if name.endswith(("lora_A", "lora_B"))}
    assert names, "nothing is trained any more: freeze the model before you wrap, not after"
    assert (
        names >= expected
    ), "some adapters are frozen: freeze the model before you wrap, not after"
    assert (
        names == expected
    ), f"{sorted(names - expected)[:3]} are still trained: freeze the whole model first"
    assert isinstance(count, int), f"return how many layers were replaced; {count!r} came back"
    assert count == 8, f"{count} came back, but 8 layers were replaced"
    ids = torch.tensor([[1, 2, 3, 4, 5, 6]])
    assert torch.equal(model(ids), base(ids)), "at the start the model must answer as the base does"
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(2):
        model(ids, ids.roll(-1)).backward()
        optimizer.step()
        optimizer.zero_grad()
    old = dict(base.named_parameters())
    for name, p in model.named_parameters():
        if name not in expected:
            assert torch.equal(
                p, old[name.replace(".linear.", ".")]
            ), f"{name} has moved in training"
    assert not same(
        model(ids), base(ids)
    ), "after two steps the model still answers as the base: it uses the old layers"
    model, _, count = injected(learner, ("c_fc", "ln_1", "h"))
    wrapped = [name for name, module in model.named_modules() if isinstance(module, LoRA)]
    assert wrapped == [
        "h.0.mlp.c_fc",
        "h.1.mlp.c_fc",
    ], f'names ("c_fc", "ln_1", "h") wrapped {wrapped}: only nn.Linear, only these names'
    assert count == 2, f"{count} came back, but 2 layers were replaced"
    print("Right: only A and B are trained, and at the start it is the base.")


@by_hand()
def training_bytes(learner):
    # 12 + 4 and 8 + 2 numbers, 4 bytes each
    model = nn.Sequential(
        nn.Linear(3, 4), nn.Linear(4, 2)
    )
    model.register_buffer("table", torch.zeros(100))  # not a parameter: a constant
    result = call(learner, model)
    assert (
        isinstance(result, (tuple, list)) and len(result) == 3
    ), "return (weights, gradients, optimizer state)"
    assert tuple(result) != (26, 26, 52), "these are counts of numbers; a 32-bit number has 4 bytes"
    assert result[0] != 504, "buffers are not parameters: use model.parameters()"
    assert (
        result[2] != 104
    ), "AdamW keeps two averages for each trained number, of the gradient and of its square"
    assert tuple(result) == (104, 104, 208), f"all trained: {result}, expected (104, 104, 208)"
    model[0].requires_grad_(False)
    result = call(learner, model)
    assert result[0] != 40, "frozen weights are in memory too: the forward pass needs them"
    assert result[1] != 104, "a frozen weight has no gradient: look at requires_grad"
    assert result[2] != 208, "the optimizer keeps nothing for frozen weights: look at requires_grad"
    assert tuple(result) == (104, 40, 80), f"first layer frozen: {result}, expected (104, 40, 80)"
    result = call(learner, nn.Linear(3, 4).to(torch.bfloat16))
    assert tuple(result) == (
        32, 32, 64,
    ), f"16-bit numbers: {result}, expected (32, 32, 64): use p.element_size(), not 4"
    print("Right: frozen weights cost their own bytes, and nothing more.")


@by_hand()
def at_equal_forgetting(learner):
    cases = [  # rises, rights, start, rise, expected, why
        ([0.2, 0.1], [0.6, 0.4], 0.0, 0.15, 0.5, "halfway between two points; sort them by rise"),
        ([0.1, 0.2], [0.4, 0.6], 0.0, 0.05, 0.2, "halfway between the base and the first point"),
        ([0.1, 0.2], [0.4, 0.6], 0.2, 0.05, 0.3, "the line begins at (0, start)"),
        ([0.1, 0.2], [0.4, 0.6], 0.0, 0.1, 0.4, "at a point"),
        ([0.1, 0.2, 0.4], [0.4, 0.6, 0.3], 0.0, 0.3, 0.6, "past the best point it stays level"),
        ([0.1, 0.2], [0.4, 0.6], 0.0, 0.9, 0.6, "after the last point it stays level"),
        ([0.1, 0.2, 0.3], [0.4, 0.3, 0.8], 0.0, 0.25, 0.6, "a point below the best counts as it"),
    ]
    for rises, rights, start, rise, expected, why in cases:
        copies = list(rises), list(rights)
        result = call(learner, *copies, start, rise)
        assert copies == (rises, rights), "you changed the caller's lists; make new ones"
        assert isinstance(result, float), f"return a float, not {type(result).__name__}"
        assert abs(result - expected) < 1e-9, (
            f"rises {rises}, rights {rights}, start {start}, rise {rise}: expected {expected:.2f},"
            f" you have {result:.2f} ({why})"
        )
    print("Right: what full tuning answers for the same price.")
