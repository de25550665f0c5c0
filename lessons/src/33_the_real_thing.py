# %% [markdown]
# # 33. The real thing, and what it costs
#
# *About a minute on a laptop CPU (2 cores). Needs `out/base.pt` from `python train_sft.py`.*
#
# Everything so far was small. Would the same loop work on a real model and real data, and how long would it take? You
# need not guess: four short formulas tell you. Here you will write them, hold them against what this machine really
# does, and then ask them about GPT-2, Alpaca and Dolly.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson33 as checks

import time
from collections import namedtuple

import matplotlib.pyplot as plt
import torch

from data import IGNORE, collate, epoch_batches, prepare
from model import GPT, GPTConfig
from train_sft import adamw

base, tokenizer = lab.load_base()
rows, _ = lab.load_world()

# %% [markdown]
# ## Numbers of a model
#
# V tokens in the vocabulary, `block` positions, L blocks, C wide. GPT-2's four sizes differ only in L and C:

# %%
Shape = namedtuple("Shape", "V block L C")
GPT2 = {"124M": Shape(50257, 1024, 12, 768), "355M": Shape(50257, 1024, 24, 1024),
        "774M": Shape(50257, 1024, 36, 1280), "1.5B": Shape(50257, 1024, 48, 1600)}
c = base.config
tiny = Shape(c.vocab_size, c.block_size, c.n_layer, c.n_embd)
print(tiny, f"{sum(p.numel() for p in base.parameters()):,} parameters")

# %% [markdown]
# ### Exercise 33.1 (extend): count the parameters (8 minutes)
#
# GPT-2's form: token and position embeddings (the output head is tied to the first, so it costs nothing more); per
# block two LayerNorms, and four linear layers with biases; a last LayerNorm.
#
# <details><summary>Hint</summary>
#
# The weights of a block's linear layers: C to 3C, C to C, C to 4C, 4C to C. A LayerNorm has 2C numbers.
#
# </details>


# %%
def count_parameters(V, block, L, C):
    """How many numbers a GPT-2 of this shape holds. The smallest has 124,439,808."""
    ### BEGIN SOLUTION
    linear = (C * 3 * C + 3 * C) + (C * C + C) + (C * 4 * C + 4 * C) + (4 * C * C + C)
    return V * C + block * C + L * (linear + 2 * 2 * C) + 2 * C
    ### END SOLUTION


# %%
checks.count_parameters(count_parameters)
for name, shape in GPT2.items():
    print(f"{name}: {count_parameters(*shape):,}")

# %% [markdown]
# ## Work
#
# A matrix with n numbers does n multiplications and n additions for one token: 2n FLOPs. Going back it is used twice
# more, once for the gradient of its input and once for its own: 6n in all. Hence the rule of thumb **6 N D** for N
# parameters and D tokens (Kaplan et al. 2020). Three refinements matter for us:
#
# * only *matrices* count: the blocks' 12 C² each, and the head's V C. Looking up an embedding is free.
# * in the loss the head works at the **learned** positions only.
# * attention compares every token with T others, twice (scores, and the sum of values): 12 C T a block and token,
#   forward and backward (Chowdhery et al. 2022, appendix B; nothing is saved here for the causal half).
#
# ### Exercise 33.2 (extend): FLOPs of training (6 minutes)
#
# <details><summary>Hint</summary>
#
# Three terms: 6 * (numbers in the blocks' matrices) * tokens, 6 * (numbers in the head) * learned tokens, and the
# attention of all L blocks.
#
# </details>


# %%
def training_flops(shape, tokens, learned, T):
    """FLOPs to train on `tokens` tokens in rows of T, `learned` of them with a loss. shape has V, L and C.

    V=10, L=1, C=2, 6 tokens, 3 learned, T=3 -> 6*48*6 + 6*20*3 + 12*1*2*3*6 = 2520"""
    ### BEGIN SOLUTION
    V, L, C = shape.V, shape.L, shape.C
    return 6 * 12 * L * C * C * tokens + 6 * V * C * learned + 12 * L * C * T * tokens
    ### END SOLUTION


# %%
checks.training_flops(training_flops)

# %% [markdown]
# ## Predict, then measure
#
# How fast is this machine? Large matrix products show its best.


# %%
def best_seconds(f, times=5):
    """Returns the shortest of some runs: what else the machine does can only make it slower"""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        f()
        found.append(time.perf_counter() - start)
    return min(found)


def matrix_rate(n):
    a = torch.randn(n, n)
    return 2 * n**3 / best_seconds(lambda: torch.mm(a, a), 3 if lab.FAST else 8)


RATE = matrix_rate(1024)
print(f"{RATE / 1e9:.0f} GFLOP/s with {torch.get_num_threads()} threads")

# %% [markdown]
# Now one tuning step of the tiny model on a batch of 32 pairs: FLOPs divided by this rate. Before you run the next
# cell, predict: will the real step take as long, twice as long, five times as long?

# %%
examples, _, _ = prepare(rows, tokenizer, "alpaca", c.block_size)
batches = [collate(batch, tokenizer.eos_id) for batch in epoch_batches(examples, 32, 0)[:6]]


Timing = namedtuple("Timing", "name predicted gradient update tokens")
timings = []


def measure(name, model, shape, inputs, targets, times):
    """Appends to timings: seconds predicted, measured for the gradient (forward and backward), and for AdamW's update"""
    learned = int((targets != IGNORE).sum())
    predicted = training_flops(shape, inputs.numel(), learned, inputs.shape[1]) / RATE
    optimizer = adamw(model.parameters(), 1e-5)

    def gradient():
        optimizer.zero_grad()
        (model(inputs, targets) / learned).backward()

    gradient()
    optimizer.step()  # the first ones set memory aside
    seconds = best_seconds(gradient, times), best_seconds(optimizer.step, times)
    timings.append(Timing(name, predicted, *seconds, inputs.numel()))


# %%
measure("the tiny model", base, tiny, *batches[0], 4 if lab.FAST else 12)

# %% [markdown]
# The same at real size: GPT-2's smallest shape with random weights, on a short batch (speed does not depend on what
# the weights are). With FAST=1 this takes a quarter of the width.

# %%
real = Shape(50257, 64, 12, 768) if not lab.FAST else Shape(8192, 64, 4, 192)
config = GPTConfig(real.V, real.block, real.L, n_head=12, n_embd=real.C, position="learned", smear=0)
torch.manual_seed(0)
model = GPT(config)
ids = torch.randint(0, real.V, (4, 65))
inputs, targets = ids[:, :-1], ids[:, 1:].clone()
targets[:, :30] = IGNORE  # about the share that is learned in Alpaca
measure("GPT-2's shape", model, real, inputs, targets, 2)
del model

# %%
fig, ax = plt.subplots(figsize=(7, 2.6))
for y, t in enumerate(timings):
    gradient, update = t.gradient / t.predicted, t.update / t.predicted
    ax.barh(y - 0.18, 1, 0.36, color="tab:blue", label="predicted" * (y == 0))
    ax.barh(y + 0.18, gradient, 0.36, color="tab:orange", label="measured: forward and backward" * (y == 0))
    ax.barh(y + 0.18, update, 0.36, gradient, color="tab:green", label="measured: AdamW" * (y == 0))
    print(f"{t.name}, {t.tokens} tokens: predicted {t.predicted:.3f} s, measured {t.gradient:.3f} + {t.update:.3f} s, "
          f"{t.tokens / (t.gradient + t.update):,.0f} tokens/s, {t.predicted / t.gradient:.0%} of the rate")
ax.set(xlabel="time of a step, the prediction is 1", yticks=range(len(timings)))
ax.set_yticklabels([t.name for t in timings])
ax.legend(bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# The prediction is a lower bound: it counts matrix products at their best rate, and nothing else. The share that a
# run reaches is its **utilisation**. Small matrices, LayerNorm, GELU and copies all take time that the formula does not
# see. AdamW is not in it either: its work depends on the number of parameters, not of tokens, so the longer the batch,
# the less it weighs.
#
# ## Bytes
#
# In float32 a number has 4 bytes. Training holds: the weights (4 bytes each); for every number that is **trained** a
# gradient (4) and AdamW's two averages (8); and the activations kept for the way back. Of these, one block keeps
# *about* 17 C numbers a token and the loss *about* 2 V for each learned token.
#
# ### Exercise 33.3 (extend): memory of training (5 minutes)
#
# <details><summary>Hint</summary>
#
# All weights are there, trained or not. Gradient and averages exist only for the trained ones: that is what LoRA
# saves. Activations are of one micro-batch.
#
# </details>


# %%
def training_bytes(n, trained, shape, tokens, learned):
    """Bytes to train `trained` of n parameters in float32 with AdamW on a micro-batch of `tokens` tokens, `learned` of
    them with a loss: weights + gradients + AdamW's two averages + activations (17 C a block and token, 2 V a learned
    token).

    n=100, trained=10, V=10, L=1, C=2, 6 tokens, 3 learned -> 400 + 40 + 80 + 4 * (17*1*2*6 + 2*10*3) = 1576"""
    ### BEGIN SOLUTION
    activations = 17 * shape.L * shape.C * tokens + 2 * shape.V * learned
    return 4 * n + 4 * trained + 8 * trained + 4 * activations
    ### END SOLUTION


# %%
checks.training_bytes(training_bytes)

# %% [markdown]
# The activations are the rough part. PyTorch lets us see every tensor that is kept for the way back:


# %%
def kept_bytes(model, inputs, targets):
    """Bytes of all that a forward pass keeps, without the weights themselves."""
    kept, weights = {}, {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held on to, so that no place is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(inputs, targets)
    return sum(tensor.untyped_storage().nbytes() for at, tensor in kept.items() if at not in weights)


inputs, targets = batches[0]
learned = int((targets != IGNORE).sum())
counted, predicted = kept_bytes(base, inputs, targets), training_bytes(0, 0, tiny, inputs.numel(), learned)
print(f"activations: predicted {predicted / 1e6:.1f} MB, kept {counted / 1e6:.1f} MB")

# %% [markdown]
# Good enough to know whether it fits. Our model also rotates and smears, which GPT-2 does not.
#
# ## How cost grows
#
# Change one number of the tiny shape, leave the others: what do the formulas say, and what is true? Before you run the
# cell: which of the three lines of seconds is the steepest, and which number is still missing from the formula for bytes?

# %%
GROWS = {
    "width": {C: tiny._replace(C=C) for C in (64, 128, 256, 512)},
    "depth": {L: tiny._replace(L=L) for L in (2, 4, 8, 16)},
    "context": {T: tiny._replace(block=T) for T in (64, 128, 256, 512)},
}


def cost(shape, rows=4):
    """Returns (milliseconds, MB) of one gradient as the formulas say, the same as measured"""
    model = GPT(GPTConfig(shape.V, shape.block, shape.L, n_head=4, n_embd=shape.C, position="learned", smear=0))
    ids, tokens = torch.randint(0, shape.V, (rows, shape.block + 1)), rows * shape.block
    seconds = best_seconds(lambda: model(ids[:, :-1], ids[:, 1:]).backward(), 3)
    flops, kept = training_flops(shape, tokens, tokens, shape.block), training_bytes(0, 0, shape, tokens, tokens)
    return (1e3 * flops / RATE, kept / 1e6), (1e3 * seconds, kept_bytes(model, ids[:, :-1], ids[:, 1:]) / 1e6)


fig, axes = plt.subplots(2, 3, figsize=(9, 4.6), sharex="col")
for column, (what, shapes) in enumerate(GROWS.items()):
    sizes = list(shapes)[: 3 if lab.FAST else 4]
    costs = [cost(shapes[size]) for size in sizes]
    for ax, unit, one in zip(axes[:, column], ("ms a step", "MB kept"), (0, 1)):
        for name, marks, way in (("predicted", "--", 0), ("measured", "o-", 1)):
            ax.loglog(sizes, [found[way][one] for found in costs], marks, label=name)
        ticks = [found[1][one] for found in costs]
        ax.set(ylabel=unit if column == 0 else "", xticks=sizes, xticklabels=sizes)
        ax.set(yticks=ticks, yticklabels=[f"{tick:.0f}" for tick in ticks])
        ax.minorticks_off()
    axes[1, column].set_xlabel(what)
    print(f"{what:<8}", *(f"{n}: {ms:.0f} ms, {mb:.0f} MB;" for n, (_, (ms, mb)) in zip(sizes, costs)))
axes[0, 0].legend()
plt.tight_layout()
plt.show()

# %% [markdown]
# Both axes are logarithmic, so a power is a straight line, and its *slope* tells which: wider is the steepest, since the
# weights of a block grow with the square of the width; deeper has a slope of about one at most. A longer context is
# nearly so too, until the scores of attention, T for every token and head, are no longer small; they are what the formula
# for bytes leaves out. From 512 positions on the project takes PyTorch's own attention (`LONG` in `model.py`), which
# makes a few scores at a time and keeps none: the last measured point lies *below* the line. Nothing else grows faster
# than its formula: twice the data is twice the time.
# `python bench/benchmark.py --grow` measures the rest: byte pairs, the audit, batches.
#
# ## Time and money
#
# ### Exercise 33.4 (extend): what does it cost? (3 minutes)
#
# <details><summary>Hint</summary>
#
# A machine of `rate` FLOP/s does `rate * utilisation` useful ones. 3600 seconds are an hour.
#
# </details>


# %%
def hours_and_money(flops, rate, utilisation, price):
    """Returns (hours, money) for this many FLOPs, rate in FLOP/s, price per hour.

    7.2e15 FLOPs, 1e12 FLOP/s, utilisation 0.5, 3 an hour -> (4.0, 12.0)"""
    ### BEGIN SOLUTION
    hours = flops / (rate * utilisation) / 3600
    return hours, hours * price
    ### END SOLUTION


# %%
checks.hours_and_money(hours_and_money)

# %% [markdown]
# The data, counted with GPT-2's tokens and Alpaca's prompt: Alpaca has 52,002 rows and Dolly 15,015. Alpaca was tuned
# for 3 epochs (Taori et al. 2023).
#
# The machines: a laptop as fast as the one you sit at, at the utilisation just measured for GPT-2's shape (without
# AdamW, as if batches were long); and a GPU. **The GPU's rate,
# utilisation and price are assumptions, not measurements.** Put your own there.

# %%
DATA = {"Alpaca": (5_647_131, 0.538, 109), "Dolly": (3_131_177, 0.385, 209)}  # tokens, share learned, tokens a row
EPOCHS = 3
LAPTOP = (RATE, timings[1].predicted / timings[1].gradient, 0.0)
GPU = (100e12, 0.3, 2.0)  # FLOP/s, utilisation, price of an hour: set these yourself

print(f"{'':<14}{'FLOPs':>10}{'laptop':>12}{'GPU':>10}{'price':>8}")
for data, (tokens, share, T) in DATA.items():
    for name, shape in GPT2.items():
        flops = EPOCHS * training_flops(shape, tokens, share * tokens, T)
        hours, (fast, money) = hours_and_money(flops, *LAPTOP)[0], hours_and_money(flops, *GPU)
        print(f"{data:<7}{name:>7}{flops:>10.1e}{hours:>10.0f} h{60 * fast:>6.0f} min{money:>8.2f}")

# %% [markdown]
# One row longer than the average costs more attention than the average row; that term is small here, so we leave it.
# Padding is not in the count either; rows of like length in one batch keep it low.
#
# Does it fit? Full tuning against LoRA of rank 8 on every linear layer, 512 tokens in a micro-batch. LoRA's numbers:
# rank times (inputs + outputs) of each layer, 18 C per block and rank.

# %%
print(f"{'':<6}{'full':>10}{'LoRA, rank 8':>15}")
for name, shape in GPT2.items():
    n, lora = count_parameters(*shape), 8 * 18 * shape.C * shape.L
    full, small = (training_bytes(n + extra, trained, shape, 512, 275) for extra, trained in ((0, n), (lora, lora)))
    print(f"{name:<6}{full / 1e9:>7.1f} GB{small / 1e9:>12.1f} GB")

# %% [markdown]
# LoRA saves memory much more than time: the gradient must still travel back through every frozen matrix. Only the
# gradients of the frozen weights themselves fall away, so 6 N D becomes about 4 N D. With the weights of GPT-2 at
# hand the command is `python train_sft.py --base gpt2 --data alpaca_data.json --lora 8`.
#
# ## Questions to think about
#
# 1. Alpaca's authors paid more for the *data* than for the tuning. Is that plausible from your table?
#
# <details><summary>Answer</summary>
#
# Yes. Even with a much larger model than GPT-2 a few million tokens are few: tuning sees millions of tokens, where
# pretraining sees billions or trillions. Writing or buying tens of thousands of answers costs more.
#
# </details>
#
# 2. Twice as many tokens, or a model twice as large: which of the two needs more memory?
#
# <details><summary>Answer</summary>
#
# The model. More tokens take more time, but memory holds one micro-batch only. FLOPs grow alike in both.
#
# </details>
#
# ## Where this lives in the project
#
# `model.py`: `GPT.forward` (logits only where something is learned), `add_lora`. `data.py`: `epoch_batches` (little
# padding). `train_sft.py`: `train` prints tokens a second, `--micro-batch` sets what is in memory at once.

# %%
use = [t.predicted / t.gradient for t in timings]
lab.claim("the formula is a lower bound of the time (10 % for noise)", all(share < 1.1 for share in use))
lab.claim("and the real time is less than five times as long", all(share > 0.2 for share in use))
lab.claim("the activations are predicted within a factor of two", 0.5 < predicted / counted < 2)
