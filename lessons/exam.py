"""An examination from a seed: small functions of the project with a bug in each, their symptoms, and checks.

    python lessons/exam.py --seed 7391 FOLDER                     writes exam.ipynb (for students) and key.md (for you)
    python lessons/exam.py --seed 7391 --mark FILE.ipynb ...      marks what comes back, with cases that nobody has seen

The seed decides which functions are asked, which bug each one has, and on which numbers it is checked. So it is the secret:
take a long one, and keep it with the key. The notebook needs torch and nothing else. It holds no solution: its checks compare
with what the project's own functions gave when the examination was made. Sit it where the project's files are not at hand,
since the right functions stand in them.
"""

import argparse
import ast
import contextlib
import inspect
import io
import json
import math
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import build  # noqa: E402
import hand_in  # noqa: E402
import torch  # noqa: E402

import data  # noqa: E402
import model  # noqa: E402
import train_sft  # noqa: E402

QUESTIONS = 6
MINUTES = 8  # for each


@dataclass
class Kind:
    """A function of the project that can be spoiled."""

    name: str
    module: object
    bugs: tuple  # of (what is in the source, what the bug puts there, the cause in words); text {k} is drawn from `ks`
    case: object  # random.Random -> a list of arguments
    symptom: object  # the function, and what goes before or after it -> a line that says what is seen
    use: str = "def use(f, *args):\n    return f(*args)\n"  # how the function is called
    needs: tuple = ()  # names in the project that the notebook needs as well
    ks: tuple = ()


def numbers(rng, *shape):
    """A tensor of rounded normal numbers."""
    generator = torch.Generator().manual_seed(rng.randrange(10**9))
    return (torch.randn(*shape, generator=generator) * 100).round() / 100


def ids_and_mask(rng):
    n, m = rng.randint(2, 5), rng.randint(2, 4)
    return [rng.randint(10, 99) for _ in range(n + m)], [0] * n + [1] * m


def conversation(rng):
    names = ["capital", "colour", "river", "animal", "number"]
    text = rng.choice(["", "", "Ann has a cat.", "It rains."])
    return [[f"Name the {rng.choice(names)}.", text, rng.choice(["Paris.", "A frog.", "It is red."])]]


def curve(f):
    return [round(f(step, 40), 2) for step in (0, 1, 2, 20, 39)]


def attention_case(rng):
    T, hs = rng.randint(3, 4), 4
    mask = torch.ones(T, T).tril().log()  # 0 where a position may look, -inf where not
    return [numbers(rng, 1, 2, T, hs), numbers(rng, 1, 2, T, hs), numbers(rng, 1, 2, T, hs), mask]


def rotary_case(rng):
    hs, T = 8, rng.randint(3, 5)
    cos, sin = model.rotary_cos_sin(T, hs)
    return [numbers(rng, 1, 2, T, hs), cos, sin]


def merge_case(rng):
    a, b = rng.sample(range(1, 6), 2)
    return [[rng.choice([a, b, b, 7]) for _ in range(3)] + [a, b, a, b, 7, a, b] + rng.choice([[a], [7], [], [7, a, b]]), (a, b), 9]


def encode_case(rng):
    text = [["Instruction: ", "frame"], ["Name it. ", "instruction"], ["A long text about many things. "[: rng.randint(12, 30)], "input"],
            ["Response: ", "frame"], [rng.choice(["Paris.", "A frog."]), "answer"]]
    return [text, rng.choice([36, 39, 40, 44, 60, 90])]


def lora_case(rng):
    rank = rng.choice([2, 4])
    return [numbers(rng, 5, 6), numbers(rng, 5), numbers(rng, rank, 6), numbers(rng, 5, rank), 2 * rank + rng.randint(1, 3), numbers(rng, 3, 6)]


def backward_case(rng):
    table = numbers(rng, 6, 6)
    targets = [[-100, -100, 2, 3], [-100, rng.randint(0, 5), -100, -100], [1, 4, 5, rng.randint(0, 5)]]
    inputs = [[rng.randint(0, 5) for _ in row] for row in targets]
    return [table, torch.tensor(inputs), torch.tensor(targets), rng.choice([1, 2])]


def smear_case(rng):
    return [numbers(rng, 4), numbers(rng, 2, 4, 4), torch.arange(4)[None]]


ENCODE_USE = '''class Letters:
    """A tokenizer for the examination: one token a letter."""
    eos_id = 0

    def encode(self, text):
        return list(map(ord, text))


def use(f, pieces, block_size):
    return f([tuple(piece) for piece in pieces], Letters(), block_size)
'''
RENDER_USE = '''def use(f, turns):
    return f([Turn(*turn) for turn in turns], "alpaca")
'''
MERGE_USE = '''def use(f, ids, pair, new):
    changes = sorted(f(ids, tuple(pair), new))  # what it yields; `ids` is changed in place
    return ids, changes
'''
LORA_USE = '''def use(f, W, bias, A, B, alpha, x):
    linear = nn.Linear(W.shape[1], W.shape[0])
    layer = f(linear, len(A), alpha)
    with torch.no_grad():
        for parameter, value in ((linear.weight, W), (linear.bias, bias), (layer.lora_A, A), (layer.lora_B, B)):
            parameter.copy_(value)
        before = layer(x)
        return before, layer.merge()(x)
'''
BACKWARD_USE = '''class Table(nn.Module):
    """A model for the examination: the logits after a token are a row of a table. It gives the summed loss."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(table.clone())

    def forward(self, inputs, targets):
        return F.cross_entropy(self.table[inputs].flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")


def use(f, table, inputs, targets, micro_batch):
    model = Table(table)
    loss = f(model, (inputs, targets), micro_batch, contextlib.nullcontext())
    return loss, model.table.grad
'''
SMEAR_USE = '''class Model:
    pass


def use(f, smear, x, positions):
    model = Model()
    model.smear = smear
    return f(model, x, positions, None)
'''


KINDS = (
    Kind("shift", data, (
        ("zip(ids[1:], mask[1:])", "zip(ids[1:], mask)", "the mask of the token that is read, not of the one that is predicted"),
        ("zip(ids[1:], mask[1:])", "zip(ids[1:], [0] * {k} + mask[1:])", "the mask stands too far right, by {k}"),
        ("zip(ids[1:], mask[1:])", "zip(ids, mask)", "the targets are not shifted"),
        ("zip(ids[1:], mask[1:])", "zip(ids[2:] + ids[:1], mask[1:])", "the targets are shifted by two"),
        ("else IGNORE", "else 0", "token 0 stands where there should be no loss"),
    ), lambda rng: list(ids_and_mask(rng)),
         lambda f: f"For a prompt 11 12 13 and its answer 21 22 23 the targets read {f([11, 12, 13, 21, 22, 23], [0, 0, 0, 1, 1, 1])[1]}.",
         needs=("IGNORE",), ks=(1, 2)),
    Kind("collate", data, (
        ("inputs[i, : len(x)] = torch.tensor(x)", "inputs[i, longest - len(x) :] = torch.tensor(x)", "the inputs are padded on the left, the targets on the right"),
        ("targets = torch.full((len(examples), longest), IGNORE)", "targets = torch.full((len(examples), longest), pad)", "the padding is learned"),
        ("targets[i, : len(y)] = torch.tensor(y)", "targets[i, longest - len(y) :] = torch.tensor(y)", "the targets are padded on the left, the inputs on the right"),
        ("longest += -longest % multiple", "longest += longest % multiple", "the length is not rounded up to a multiple: the sign is wrong"),
        ("inputs = torch.full((len(examples), longest), pad)", "inputs = torch.full((len(examples), longest), {k})", "the padding is token {k}, not `pad`"),
    ), lambda rng: [[ids_and_mask(rng), ids_and_mask(rng), ([1, 2], [0, 1])], rng.choice([96, 97]), rng.choice([3, 4])],
         lambda f: symptom_of_collate(f), needs=("IGNORE", "shift"), ks=(0, 5)),
    Kind("encode", data, (
        ("mask = [int(kind == \"answer\")", "mask = [int(kind != \"frame\")", "the instruction and the input are learned too"),
        ("* (kind == \"answer\"), kind)", "* (kind == \"input\"), kind)", "the end token stands after the input, not after the answer"),
        ("excess = sum(len(part) for part, _ in parts) - (block_size + 1)", "excess = sum(len(part) for part, _ in parts) - (block_size + {k})", "the limit is {k} instead of 1 above the block size"),
        ("del part[len(part) - cut :]", "del part[:cut]", "a text that is too long loses its beginning, not its end"),
        ("cut = min(excess, max(len(part) - 1, 0))", "cut = min(excess, len(part))", "a text may be lost as a whole; one token should stay"),
        ("if excess > 0:\n        return", "if excess > 9:\n        return", "rows that do not fit are kept"),
    ), encode_case, lambda f: symptom_of_encode(f), use=ENCODE_USE, ks=(-1, 0, 3)),
    Kind("render", data, (
        ("pieces.append((t.response, \"frame\"))", "pieces.append((t.response.strip(), \"frame\"))", "the newline after the response's header is lost"),
        ("pieces.append((t.response, \"frame\"))", "pieces.append((t.response + \" \", \"frame\"))", "a space stands after the response's header"),
        ("if turn.input:", "if True:", "the input's header stands where there is no input"),
        ("fill(t.input, turn.input, \"input\")", "fill(t.input, turn.instruction, \"input\")", "the instruction stands where the input should"),
        ("pieces.append((turn.output, \"answer\"))", "pieces.append((turn.output, \"frame\"))", "the answer is marked as frame, so it is not learned"),
    ), lambda rng: [conversation(rng)],
         lambda f: symptom_of_render(f),
         use=RENDER_USE, needs=("Turn", "Template", "ALPACA", "get_template")),
    Kind("corpus_batch", data, (
        ("rows[:, :-1], rows[:, 1:]", "rows[:, :-1], rows[:, :-1]", "the targets are the inputs"),
        ("rows[:, :-1], rows[:, 1:]", "rows[:, 1:], rows[:, :-1]", "inputs and targets have changed places: it predicts the token before"),
        ("sequences = (len(stream) - 1) // seq_len", "sequences = (len(stream) - 1) // seq_len - {k}", "the last sequences are never read: {k} too few"),
        ("step * batch_size + np.arange(batch_size)", "step + np.arange(batch_size)", "each batch repeats most of the one before"),
        ("% sequences * seq_len", "% sequences", "the sequences begin one token apart: they overlap"),
    ), lambda rng: [torch.arange(100, 100 + rng.randint(19, 27)), rng.randint(1, 4), 2, 4],
         lambda f: "From the stream 0, 1, 2, ... 12, batches of two sequences of three: " + "; ".join(
             f"step {step}: inputs {f(torch.arange(13), step, 2, 3)[0].tolist()}, targets {f(torch.arange(13), step, 2, 3)[1].tolist()}" for step in (0, 1)) + ".",
         needs=("np",), ks=(1, 2)),
    Kind("merge", data, (
        ("while i < len(ids) - 1:", "while i < len(ids) - 2:", "a pair at the very end is not merged"),
        ("ids[i : i + 2] = [new]", "ids[i : i + 1] = [new]", "the second of the pair stays"),
        ("        i += 1", "        i += {k}", "it moves on by {k} and jumps over pairs"),
        ("((neighbours, -1) for neighbours in zip(old, old[1:]))", "((neighbours, 1) for neighbours in zip(old, old[1:]))", "the old neighbours are counted as new"),
        ("old = ids[max(i - 1, 0) : i + 3]", "old = ids[i : i + 3]", "the neighbour on the left keeps its old count"),
    ), merge_case, lambda f: symptom_of_merge(f), use=MERGE_USE, ks=(2, 3)),
    Kind("lr_multiplier", train_sft, (
        ("(step + 1) / warm_up", "step / warm_up", "the first step has a learning rate of 0"),
        ("min((step + 1)", "max((step + 1)", "the larger of rise and fall instead of the smaller"),
        ("(steps - warm_up + 1)", "steps", "the fall begins too low"),
        ("(steps - step) / ", "(steps - step + {k}) / ", "the fall ends above zero, later by {k} steps"),
        ("steps // 10", "steps // {k}", "the warm-up takes one step in {k} instead of one in ten"),
    ), lambda rng: [rng.randint(0, 59), 60], lambda f: f"Of 40 steps, those with the numbers 0, 1, 2, 20 and 39 have the multipliers {curve(f)}.", ks=(3, 5)),
    Kind("backward", train_sft, (
        ("/ n_supervised", "/ (rows[1] != IGNORE).sum().clamp(min=1)", "each part is divided by its own tokens: the loss depends on the size of the parts"),
        ("/ n_supervised", "/ len(batch[1])", "divided by the rows, not by the supervised tokens"),
        ("(batch[1] != IGNORE).sum()", "(batch[1] == IGNORE).sum()", "divided by the tokens that are not supervised"),
        ("(batch[1] != IGNORE).sum()", "(batch[1] != {k}).sum()", "counts all targets but those that are token {k}, the padding too"),
        ("loss += part.item()", "loss = part.item()", "the loss that is shown is that of the last part"),
    ), backward_case, lambda f: symptom_of_backward(f), use=BACKWARD_USE, needs=("IGNORE",), ks=(0, 1)),
    Kind("apply_rotary", model, (
        ("x.shape[-1] // 2", "{k}", "the partners are not the two halves: everything is rolled by {k}"),
        ("dims=-1", "dims=-2", "rolled along the positions, not within the vector"),
        ("x * cos, swapped, sin", "x * sin, swapped, cos", "cosine and sine have changed places"),
        ("x * cos, swapped, sin", "x * cos, swapped, -sin", "it turns the other way"),
        ("x * cos, swapped, sin", "x * cos, x, sin", "nothing is swapped: a vector is scaled, not turned"),
    ), rotary_case, lambda f: symptom_of_rotary(f), ks=(1, 2)),
    Kind("attend", model, (
        ("** -0.5", "** -{k}", "the scores are divided by another number than the root of the head's size (power -{k})"),
        ("scores.softmax(-1)", "scores.softmax(-2)", "the softmax runs over the positions that look, not over those looked at"),
        ("k.mT + attn_mask", "k.mT + attn_mask.mT", "the mask is transposed: positions look ahead"),
        ("k.mT + attn_mask", "k.mT", "the mask is not used"),
        ("@ k.mT", "@ v.mT", "queries are compared with values, not with keys"),
    ), attention_case, lambda f: symptom_of_attend(f), needs=("FUSED_FROM",), ks=(0, 1, 0.25)),
    Kind("LoRA", model, (
        ("alpha / rank", "alpha", "alpha is not divided by the rank"),
        ("alpha / rank", "rank / alpha", "rank / alpha instead of alpha / rank"),
        ("self.lora_B * self.scale)", "self.lora_B)", "the scale is missing in the forward pass, not when merged"),
        ("self.linear.weight.data += self.scale *", "self.linear.weight.data += {k} * self.scale *", "merging adds {k} times the correction"),
    ), lora_case, lambda f: symptom_of_lora(f), use=LORA_USE, ks=(-1, 2)),
    Kind("add_smear", model, (
        ("torch.cat((before, x[:, :-1]), dim=1)", "torch.cat((x[:, 1:], before), dim=1)", "each token gets the one after it: the future is seen"),
        ("torch.cat((before, x[:, :-1]), dim=1)", "x.roll({k}, dims=1)", "rolled round by {k}: the wrong token, and the end reaches the beginning"),
        ("torch.cat((before, x[:, :-1]), dim=1)", "x.roll(1, dims=0)", "the same place of the neighbouring row, not the token before"),
        ("x + self.smear * previous", "self.smear * previous", "the token itself is lost"),
        ("x + self.smear * previous", "x * self.smear + previous", "the wrong one of the two is scaled"),
    ), smear_case, lambda f: symptom_of_smear(f), use=SMEAR_USE, ks=(2, 3)),
)


# ----------------------------------------------------------------------------------------------------------------
# Symptoms: what one sees of a bug, in a line that does not name it.


def symptom_of_collate(f):
    inputs, targets = f([([11, 12, 13, 14], [0, 0, 1, 1]), ([21, 22, 23], [0, 1, 1])], 99, 4)
    return f"Two rows, 11 12 13 14 and 21 22 23 (the first two and the first token are prompt), with pad 99 and multiple 4: inputs {inputs.tolist()}, targets {targets.tolist()}."


def symptom_of_render(f):
    without, with_input = ("".join(text for text, _ in f([turn], "alpaca")) for turn in (data.Turn("Name it."), data.Turn("Name it.", "A cat.")))
    kinds = ", ".join(kind for _, kind in f([data.Turn("Name it.", "A cat.", "Cat.")], "alpaca"))
    return f"Two prompts, without an input and with one: {without!r} and {with_input!r}. With its answer the second has the pieces {kinds}."


def symptom_of_encode(f):
    space = {}
    exec(ENCODE_USE, space)
    said = []
    for block_size in (14, 9, 5):
        ids, mask, _ = space["use"](f, [["I:", "frame"], ["Go", "instruction"], ["abcdef", "input"], ["R:", "frame"], ["Yes", "answer"]], block_size)
        shown = "dropped" if ids is None else "".join(f"[{chr(i) if i else '<end>'}]" if m else chr(i) if i else "<end>" for i, m in zip(ids, mask))
        said.append(f"block size {block_size}: {shown}")
    return "An instruction Go, an input abcdef and an answer Yes; what is learned stands in brackets. " + "; ".join(said) + "."


def symptom_of_merge(f):
    ids = [1, 2, 3, 1, 2, 1, 2]
    changes = list(f(ids, (1, 2), 9))
    return f"[1, 2, 3, 1, 2, 1, 2] with the pair (1, 2) becomes {ids}, and the counts change by {dict_of(changes)}."


def dict_of(changes):
    total = {}
    for pair, change in changes:
        total[pair] = total.get(pair, 0) + change
    return {pair: total[pair] for pair in sorted(total)}


def symptom_of_backward(f):
    space = {"nn": torch.nn, "F": torch.nn.functional, "torch": torch, "IGNORE": model.IGNORE, "contextlib": contextlib}
    exec(BACKWARD_USE, space)
    table = torch.eye(4) * 2
    inputs, targets = torch.tensor([[0, 1, 2], [3, 0, 1]]), torch.tensor([[-100, -100, 3], [3, 0, 1]])
    said = []
    for size in (1, 2):
        loss, gradient = space["use"](f, table, inputs, targets, size)
        said.append(f"{size} at a time: {loss:.3f}, and the gradient has the length {gradient.norm():.3f}")
    mean = torch.nn.functional.cross_entropy(table[inputs].flatten(0, 1), targets.flatten(), ignore_index=-100)
    return f"Two rows with one and three supervised tokens, whose mean loss is {mean:.3f}. The function says, " + "; ".join(said) + "."


def symptom_of_rotary(f):
    cos, sin = model.rotary_cos_sin(6, 8)
    x, y = (numbers(random.Random(i), 1, 1, 1, 8).expand(1, 1, 6, 8) for i in (0, 1))
    a, b = f(x, cos, sin)[0, 0], f(y, cos, sin)[0, 0]
    dots = [round(float(a[t] @ b[t + 2]), 2) for t in range(4)]
    first = f(torch.eye(8)[:1].expand(1, 1, 6, 8), cos, sin)[0, 0, 1]
    return (f"One vector at the positions 0 to 5 has the lengths {[round(float(v.norm()), 2) for v in a]} after turning. Its dot products with "
            f"another vector, each time two positions on, are {dots}. The vector 1 0 0 0 0 0 0 0 at position 1, with an angle whose cosine is "
            f"{cos[1, 0]:.2f}, becomes {[round(float(v), 2) for v in first]}.")


def symptom_of_attend(f):
    q, k, mask = numbers(random.Random(3), 1, 1, 3, 3), numbers(random.Random(4), 1, 1, 3, 3), torch.ones(3, 3).tril().log()
    weights = f(q, k, torch.eye(3)[None, None], mask)[0, 0]  # with such values the weights themselves come out
    rows = [[[round(float(v), 2) for v in row] for row in matrix] for matrix in ((q @ k.mT)[0, 0], weights)]
    return f"A head of size 3 at three positions. The products of queries (rows) and keys (columns) are {rows[0]}; its weights are {rows[1]}."


def symptom_of_lora(f):
    space = {"nn": torch.nn, "torch": torch}
    exec(LORA_USE, space)
    said = []
    for rank in (1, 4):
        one = torch.ones(1, 1)
        before, merged = space["use"](f, one, torch.zeros(1), torch.ones(rank, 1), torch.ones(1, rank), 8, one)
        said.append(f"rank {rank}: {before.item():g} before merging and {merged.item():g} after")
    return "W, A and B hold ones only, alpha is 8, x is 1. It gives, with " + "; with ".join(said) + "."


def symptom_of_smear(f):
    space = {}
    exec(SMEAR_USE, space)
    x = torch.tensor([[[1.0], [10.0], [100.0]], [[2.0], [20.0], [200.0]]])
    found = space["use"](f, torch.tensor([0.5]), x, torch.arange(3)[None])
    return f"Two texts of three one-number tokens, 1 10 100 and 2 20 200, smear 0.5: {[[round(v, 1) for v in row] for row in found[..., 0].tolist()]}."


# ----------------------------------------------------------------------------------------------------------------
# Planting, and recording what is right.

IMPORTS = """import contextlib
import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn"""


def original(kind):
    owner = model.GPT if kind.name == "add_smear" else kind.module
    return getattr(owner, kind.name)


def source_of(thing):
    """Its source as it stands in the project; a method as a function."""
    text = inspect.getsource(thing)
    indent = len(text) - len(text.lstrip(" "))
    return re.sub(rf"^ {{{indent}}}", "", text, flags=re.M)


def needed(kind):
    """What else of the project the function uses, as source."""
    parts = []
    for name in kind.needs:
        thing = getattr(kind.module, name, None)
        if name == "np":
            continue
        if name == "get_template":
            parts.append("def get_template(name):\n    return ALPACA\n")
        elif name == "ALPACA":
            t = data.ALPACA
            parts.append(f"ALPACA = Template({t.instruction!r}, {t.input!r}, {t.response!r})\n")
        elif isinstance(thing, (int, float)):
            parts.append(f"{name} = {thing!r}\n")
        else:
            parts.append(source_of(thing))
    return "\n\n".join(parts)


def plant(kind, bug, k=None):
    """The function's source with a bug in it, and the cause in words."""
    old, new, cause = bug
    text = source_of(original(kind))
    assert text.count(old) == 1, f"{kind.name}: {old!r} stands {text.count(old)} times in the project's source"
    return text.replace(old, new.replace("{k}", str(k))), cause.replace("{k}", str(k))


def space_of(source, kind):
    """A namespace as the notebook has it, with the function of this source and how it is used."""
    space = {}
    for text in (IMPORTS, CHECKER, needed(kind), source, kind.use):
        exec(text, space)
    return space


def plain(value):
    """Tensors and tuples -> lists, for JSON; floats that are not finite -> text."""
    if torch.is_tensor(value):
        value = value.detach().tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def packed(args):
    """Arguments -> JSON: a tensor is {"tensor": lists}"""
    return [{"tensor": plain(a), "dtype": str(a.dtype)[6:]} if torch.is_tensor(a) else plain(a) for a in args]


CHECKER = '''def unpacked(value):
    """A recorded argument -> a fresh one: a tensor or a list."""
    if not isinstance(value, dict):
        return json.loads(json.dumps(value))
    return torch.tensor(numbers(value["tensor"]), dtype=getattr(torch, value["dtype"]))


def numbers(value):
    """Lists with "inf" and the like as text -> with numbers."""
    if isinstance(value, list):
        return [numbers(v) for v in value]
    return float(value) if value in ("inf", "-inf", "nan") else value


def plain(value):
    """Tensors and tuples -> lists."""
    if torch.is_tensor(value):
        value = value.detach().tolist()
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def same(found, wanted):
    """Equal, up to the rounding of numbers?"""
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return abs(found - wanted) <= 1e-4 + 1e-4 * abs(wanted)
    return found == wanted


def check(function, use, cases):
    """Compares with what the right function gave for the same arguments."""
    for n, (args, wanted) in enumerate(json.loads(cases), 1):
        try:
            found = plain(use(function, *map(unpacked, args)))
        except Exception as error:
            raise AssertionError(f"case {n}: it stopped with {type(error).__name__}: {error}") from error
        assert same(found, numbers(wanted)), f"case {n} of {len(json.loads(cases))}\\ngiven:    {args}\\nwanted:   {wanted}\\nyou have: {found}"
    print("right in all cases")
'''


def record(kind, rng, n=6):
    """Cases and what the project's function gives for them, as JSON."""
    space, cases = space_of(source_of(original(kind)), kind), []
    for _ in range(n):
        args = kind.case(rng)
        fresh = packed(args)  # before the call, which may change a list
        cases.append((fresh, plain(space["use"](space[kind.name], *args))))
    return json.dumps(cases)


def passes(source, kind, cases):
    """Does a function pass these cases? -> (bool, what the check said)"""
    try:
        with contextlib.redirect_stdout(io.StringIO()), hand_in.time_limit(hand_in.LIMIT):
            space = space_of(source, kind)
            space["check"](space[kind.name], space["use"], cases)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an answer may raise anything
        return False, f"{type(error).__name__}: {error}"
    return True, ""


def choices(kind):
    """Every bug of a kind with every number it can have."""
    return [(bug, k) for bug in kind.bugs for k in (kind.ks if "{k}" in bug[1] else (None,))]


def catching(source, kind, rng, n):
    """Cases by which this bug shows."""
    for _ in range(100):
        cases = record(kind, rng, n)
        if not passes(source, kind, cases)[0]:
            return cases
    raise AssertionError(f"{kind.name}: no case catches this bug:\n{source}")


def questions(seed, n=QUESTIONS):
    """A seed -> [(kind, spoiled source, cause, cases for students, cases for marking)]. No question needs another's function,
    which would stand there without its bug."""
    rng, out, names = random.Random(f"examination {seed}"), [], set()
    for kind in rng.sample(KINDS, len(KINDS)):
        if len(out) == n or names & set(kind.needs) or any(kind.name in other.needs for other, *_ in out):
            continue
        source, cause = plant(kind, *rng.choice(choices(kind)))
        out.append((kind, source, cause, catching(source, kind, rng, 6), catching(source, kind, rng, 12)))
        names.add(kind.name)
    return out


# ----------------------------------------------------------------------------------------------------------------
# The files.


def exam(asked):
    """Questions -> the students' notebook."""
    minutes = MINUTES * len(asked)
    cells = [("markdown", f"""# Examination: what is wrong here?

{len(asked)} small functions of a program that pretrains and tunes a language model. Each has **one** bug; none raises an error. For each:
look at the symptom, write down your guess (1 point), repair the function (3 points). The docstring and the comments are right. The check compares with
the right function. {minutes} minutes. Points are given for functions that pass on other numbers than those shown, too.

Run the next cell first. Do not rename functions; what you add for a function stands in its cell."""), ("code", IMPORTS + "\n\n\n" + CHECKER.rstrip())]
    given = set()
    for n, (kind, source, _, shown, _) in enumerate(asked, 1):
        symptom = kind.symptom(space_of(source, kind)[kind.name])
        cells.append(("markdown", f"## Question {n}: `{kind.name}`\n\n**Symptom.** {symptom}"))
        cells.append(("markdown", "**Your guess**, in one sentence (double-click here and write):"))
        extra = needed(kind)
        if extra and extra not in given:
            given.add(extra)
            cells.append(("code", "# What the function uses. There is no bug here.\n" + extra.rstrip()))
        cells.append(("code", source.rstrip()))
        cells.append(("code", f"# How it is called, and its check. There is no bug here.\n{kind.use.rstrip()}\n\n\ncheck({kind.name}, use, {shown!r})"))
    return build.notebook(cells, str, "ex")


def key(asked, seed):
    """Questions -> the teacher's key, as text."""
    lines = [f"# Key of the examination with the seed {seed}", "", f"{len(asked)} questions of 4 points: 1 for the guess, 3 for the repair "
             f"(`python lessons/exam.py --seed {seed} --mark FILE.ipynb` counts the repairs).", ""]
    for n, (kind, source, cause, _, _) in enumerate(asked, 1):
        before, after = source_of(original(kind)).splitlines(), source.splitlines()
        wrong = [line for line in after if line not in before]
        right = [line for line in before if line not in after]
        lines += [f"## Question {n}: `{kind.name}` (`{kind.module.__name__}.py`)", "", f"Cause: {cause}.", "", "```python"]
        lines += ["# with the bug"] + wrong + ["# right"] + right + ["```", ""]
    return "\n".join(lines)


def mark(path, asked):
    """A notebook that came back -> prints its points."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    got = 0
    print(path)
    for n, (kind, _, _, shown, hidden) in enumerate(asked, 1):
        mine = [text for text in code if defines(text, kind.name)]
        if not mine:
            print(f"  question {n} {kind.name:<14} 0 of 3   no function of this name")
            continue
        (first, _), (all_, said) = passes(mine[-1], kind, shown), passes(mine[-1], kind, hidden)
        got += 3 * (first and all_)
        note = "" if first and all_ else "right only on the numbers shown" if first else said.splitlines()[0] if said else ""
        print(f"  question {n} {kind.name:<14} {3 * (first and all_)} of 3   {note}".rstrip())
    print(f"  {got} of {3 * len(asked)} points for repairs; the guesses (1 point each) are yours to read", flush=True)
    return got


def defines(text, name):
    with contextlib.suppress(SyntaxError):
        return any(getattr(node, "name", None) == name for node in ast.parse(text).body)
    return bool(re.search(rf"^(def|class) {name}\b", text, re.M))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="where exam.ipynb and key.md are written")
    parser.add_argument("--seed", required=True, help="the secret: a number or a word")
    parser.add_argument("--questions", type=int, default=QUESTIONS, choices=range(1, len(KINDS)), metavar="N")
    parser.add_argument("--mark", nargs="+", metavar="FILE", help="notebooks that came back")
    args = parser.parse_args()
    if not args.folder and not args.mark:
        parser.error("give a FOLDER to write to, or --mark FILE")
    asked = questions(args.seed, args.questions)
    for path in args.mark or ():
        mark(path, asked)
    if args.folder:
        folder = Path(args.folder)
        build.write(folder / "exam.ipynb", exam(asked))
        (folder / "key.md").write_text(key(asked, args.seed), encoding="utf-8")
        print(f"{folder / 'exam.ipynb'}: hand it out. {folder / 'key.md'}: keep it, and keep the seed.")


if __name__ == "__main__":
    main()
