# %% [markdown]
# # 8. LoRA by hand
#
# You will write the module of a low-rank adapter, put it into every linear layer of the model,
# count what training then keeps in memory, and measure, at several learning rates, what an adapter
# and full tuning learn and what they forget.
#
# About three minutes of computing on a laptop CPU with two cores, about 45 minutes with the
# exercises (the open task at the end comes on top). It needs `out/base.pt`, which `python
# train_sft.py` makes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson08 as checks

import copy
import random

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import world
from common.lora import children_of_type
from data import collate, corpus_batch, encode_corpus, epoch_batches, prepare
from generate import Assistant
from train_sft import adamw, train

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()

# %% [markdown]
# ## A thin correction
#
# Full tuning moves every number of a weight matrix W. Hu et al. (2021, "LoRA") keep W as it is and
# learn a *correction* that is the product of two thin matrices: B (out, rank) times A (rank, in).
# Here with rank 1:

# %%
A = torch.tensor([[1.0, 3.0, 2.0, 0.5]])  # (rank 1, in 4)
B = torch.tensor([[1.0], [0.0], [2.0]])  # (out 3, rank 1)
print(B @ A)  # (out 3, in 4)
print(f"{B.numel() + A.numel()} numbers instead of {(B @ A).numel()}")

# %% [markdown]
# Each row is a multiple of A. That is little freedom, and it is the point: the bet is that tuning
# needs few directions. For a square matrix of width 128 a correction of rank 8 has an eighth of W's
# numbers; at width 4096, one 256th.
#
# The layer becomes `y = W x + bias + (alpha / rank) B A x`. W and bias are frozen. Alpha sets how
# strong the correction is; dividing by the rank is meant to spare you a new learning rate when you
# try another rank. A starts random and B at zero, so the first prediction is exactly the base's.
#
# *Predict.* Why not both at zero? And after the very first step of training, which of the two has
# moved?
#
# At each forward pass go through the thin matrices one after the other. Building B A first gives
# the same numbers, but it costs a matrix as large as W in every layer, and its gradient too; then
# little is saved. Only `merge` builds it, once.
#
# <details><summary>Hint</summary>
#
# `nn.Parameter` makes a tensor trainable and lets the optimizer find it. `x` holds inputs in its
# last dimension, so W x is `x @ W.T`, and A x is `x @ A.T`. For `merge`,
# `copy.deepcopy(self.linear)` is a new layer, with a bias or without.
#
# </details>
#
# ### Exercise 8.1: the module (rebuild, ★★, 14 minutes)


# %%
class LowRank(nn.Module):
    """Wrap a frozen linear layer with a correction: y = W x + bias + (alpha / rank) B A x."""

    def __init__(self, linear, rank, alpha):
        """Create self.linear (the old layer), self.A (rank, in), random, of size about in ** -0.5,
        and self.B (out, rank), zero."""
        super().__init__()
        ### BEGIN SOLUTION
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) * linear.in_features**-0.5)
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        ### END SOLUTION

    def forward(self, x):
        """x (..., in) -> (..., out)"""
        ### BEGIN SOLUTION
        return self.linear(x) + (x @ self.A.T) @ self.B.T * self.scale
        ### END SOLUTION

    def merge(self):
        """Return a new nn.Linear that alone does the work of layer and correction. Leave the old
        layer as it is.

        W [[1, 0]], A [[1, 3]], B [[1]], rank 1, alpha 2 -> a layer with the weight [[3, 6]]"""
        ### BEGIN SOLUTION
        merged = copy.deepcopy(self.linear)
        merged.weight.data += self.scale * (self.B @ self.A).detach()  # (out, in)
        return merged
        ### END SOLUTION


def low_rank(linear, rank, alpha):
    """Make the module for the check: low_rank(nn.Linear(7, 11), 2, 6) has A (2, 7) and B (11, 2).
    """
    return LowRank(linear, rank, alpha)


# %%
checks.low_rank(low_rank)

# %% [markdown]
# (With both at zero nothing would ever move: each one's gradient has the other as a factor. For the
# same reason only B moves in the first step, but for AdamW's weight decay, which shrinks A a
# little.)
#
# ## Into the model
#
# A block of our GPT has four linear layers: `c_attn` and `c_proj` in the attention, `c_fc` and
# another `c_proj` in the MLP. Dettmers et al. (2023, "QLoRA") found that an adapter should sit in
# all of them. You replace each by your module, without touching the code of the model.

# %%
print(base.h[0])

# %% [markdown]
# <details><summary>Hint</summary>
#
# Freeze first: what is wrapped later brings its own trainable A and B. Then collect all `(parent,
# name, child)` in a *list* before you replace any: `model.modules()` gives the parents,
# `parent.named_children()` their children. `setattr(parent, name, new)` replaces one. A name with
# dots, as `named_modules` gives it, is not an attribute.
#
# </details>
#
# ### Exercise 8.2: put it in (rebuild, ★★★, 12 minutes)


# %%
def inject(model, names, wrap):
    """Freeze the model, then replace every nn.Linear whose name is in `names`, wherever it is, by
    wrap(that layer). Returns how many were replaced.

    A GPT of 3 blocks with names ("c_attn", "c_proj", "c_fc") -> 12"""
    ### BEGIN SOLUTION
    model.requires_grad_(False)
    layers = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
    ]
    layers = [
        (parent, name, child)
        for parent, name, child in layers
        if name in names and isinstance(child, nn.Linear)
    ]
    for parent, name, child in layers:
        setattr(parent, name, wrap(child))
    return len(layers)
    ### END SOLUTION


# %%
checks.inject(inject)


# %%
ALL = ("c_attn", "c_proj", "c_fc")


def adapted(rank, seed=0, names=ALL):
    """Return a copy of the base with your adapters in it."""
    torch.manual_seed(seed)
    model = copy.deepcopy(base)
    inject(model, names, lambda layer: low_rank(layer, rank, 2 * rank))
    return model


ids = torch.tensor([tokenizer.encode("The capital of France is")])
model = adapted(8)
print("replaced:", len(children_of_type(model, LowRank)), "layers")
print("at the start the base's logits, to the bit:", torch.equal(model(ids), base(ids)))

# %% [markdown]
# ## What training keeps in memory
#
# Training keeps the weights, the gradients, and the optimizer's state. AdamW has two averages for
# each trained number. A frozen weight needs neither gradient nor state.
#
# *Predict.* In full tuning, which fraction of this memory is the weights? And which fraction of all
# parameters does an adapter of rank 8 train?
#
# <details><summary>Hint</summary>
#
# Add up `p.numel() * p.element_size()` over `model.parameters()`, and once more over those with
# `p.requires_grad`.
#
# </details>
#
# ### Exercise 8.3: bytes in training (extend, ★, 5 minutes)


# %%
def training_bytes(model):
    """Return (weights, gradients, AdamW's state) in bytes.

    26 trained 32-bit numbers: (104, 104, 208). With 16 of them frozen: (104, 40, 80)."""
    ### BEGIN SOLUTION
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return weights, trained, 2 * trained
    ### END SOLUTION


# %%
checks.training_bytes(training_bytes)

# %%
examples, _, _ = prepare(rows, tokenizer, "alpaca", base.config.block_size)
for rank in (0, 1, 8, 64):
    model = adapted(rank) if rank else copy.deepcopy(base)
    counted = training_bytes(model)
    optimizer = adamw(model.parameters(), 8e-4)
    model(*collate(examples[:8], tokenizer.eos_id)).backward()
    optimizer.step()  # now gradients and state are really there: compare them with your count
    gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    state = sum(t.nbytes for s in optimizer.state.values() for t in s.values() if t.numel() > 1)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    name = f"rank {rank}" if rank else "full"
    print(
        f"{name:>8}: {trained:>9,} trained; weights, gradients, state in kB"
        f" {[n // 1000 for n in counted]}, found {[gradients // 1000, state // 1000]}"
    )

# %% [markdown]
# Not counted: the activations, which an adapter needs about as much as full tuning (lesson 15
# counts them). In a model of seven billion 32-bit weights your formula gives 28 + 28 + 56 GB for
# full tuning, and little more than the 28 with an adapter. On a model as small as ours it saves
# nothing that matters; we use it because it can be seen through.
#
# ## Does it forget less?
#
# Biderman et al. (2024, "LoRA Learns Less and Forgets Less") found in large models what their title
# says. But whoever turns down the learning rate of *full* tuning also learns less and forgets less.
# So one rate for each method proves nothing: both must be tried at several rates, and what they
# learn be plotted against what they forget. Such a line, up to its best point, is called a frontier
# (Pareto frontier). Is an adapter's line above that of full tuning, below it, or the same line?
#
# *Learned*: held-out questions answered exactly right. *Forgotten* (catastrophic forgetting): the
# rise of the loss on documents that were never read (drawn from the same world with another seed).
# At each seed all methods see the same pairs in the same order, for the same number of steps; no
# documents are replayed (the main job does that, to forget less).
#
# *Predict.* At equal forgetting, which answers more: full tuning, rank 16, rank 2, or is there no
# difference?

# %%
@torch.inference_mode()
def val_loss(model, stream, batch_size=16, seq_len=128):
    """Measure the loss on a stream of documents, in nats per token."""
    n_batches = (len(stream) - 1) // (batch_size * seq_len)
    batches = [corpus_batch(stream, i, batch_size, seq_len) for i in range(n_batches)]
    loss = sum(model(*batch).item() for batch in batches)
    return loss / (n_batches * batch_size * seq_len)


STEPS = 6 if lab.FAST else 32
held_out = [row for split in splits.values() for row in lab.subset(split, 40)]
documents = random.Random(0).sample(world.build(1000, size=0.05).corpus, 300)
stream = encode_corpus(tokenizer, documents)
# rank (0: full): rates
RATES = {
    0: (1e-4, 3e-4, 8e-4, 2e-3),
    16: (5e-4, 1.5e-3, 5e-3),
    2: (1.5e-3, 5e-3, 2e-2),
}


def tuned(model, lr, seed):
    """Tune a model in place, on the same pairs in the order of this seed. Returns an Assistant."""
    batches = epoch_batches(examples, 32, seed)
    train(
        model, lambda step: collate(batches[step], tokenizer.eos_id), STEPS,
        [adamw(model.parameters(), lr)],
    )
    return Assistant(model, tokenizer, "alpaca")


# %%
base_loss = val_loss(base, stream)
print(f"the base: loss on documents {base_loss:.3f}")
runs, rank16 = {}, None  # (rank, rate): (marks of every seed, rises of every seed)
for rank, rates in RATES.items():
    for lr in rates:
        assistants = [
            tuned(adapted(rank, seed) if rank else copy.deepcopy(base), lr, seed)
            for seed in lab.SEEDS
        ]
        flags = [lab.correct_flags(assistant, held_out) for assistant in assistants]
        rises = [val_loss(assistant.model, stream) - base_loss for assistant in assistants]
        runs[rank, lr] = flags, rises
        rank16 = assistants[0] if (rank, lr) == (16, 5e-3) else rank16
        share, low, high = lab.bootstrap(flags)
        print(
            f"{f'rank {rank}' if rank else 'full':<8} rate {lr:<7g} right {share:5.1%} ({low:.0%}"
            f" to {high:.0%})  loss on documents +{sum(rises) / len(rises):.3f}  (seeds:"
            f" {', '.join(f'{rise:.3f}' for rise in rises)})"
        )

# %%
lines = {}  # rank: (rises, accuracies), the means over seeds, in the order of the rates
plt.figure(figsize=(8, 4.6))
for color, (rank, rates) in zip(("black", "C0", "C1"), RATES.items()):
    name = f"adapter, rank {rank}" if rank else "full tuning"
    for lr in rates:
        flags, rises = runs[rank, lr]
        plt.scatter(rises, [np.mean(values) for values in flags], color=color, alpha=0.35, s=18)
    lines[rank] = [np.mean(runs[rank, lr][1]) for lr in rates], [
        np.mean(runs[rank, lr][0]) for lr in rates
    ]
    plt.plot(*lines[rank], "o-", color=color, label=name)
    for lr, x, y in zip(rates, *lines[rank]):
        plt.annotate(
            f"{lr:g}", (x, y), (5, -11), textcoords="offset points", fontsize=8, color=color
        )
plt.xlabel("forgotten: rise of the loss on documents (nats a token)")
plt.ylabel("learned: accuracy, held-out")
plt.title("Learned and forgotten, at several learning rates (small dots: seeds)")
plt.legend(loc="lower right")
plt.show()

# %% [markdown]
# To compare at *equal forgetting*, read the line of full tuning at the rise of each adapter. (It
# begins at the base, with no rise; past its last useful rate it stays at its best.)

# %%
base_right = np.mean(lab.correct_flags(Assistant(base, tokenizer, "alpaca"), held_out))
order = sorted(zip(*lines[0]))
xs, ys = [0, *(x for x, _ in order)], [base_right, *(y for _, y in order)]
best_so_far = np.maximum.accumulate(ys)
above = {}  # (rank, rate): accuracy minus that of full tuning at the same rise
for rank in (16, 2):
    for lr, rise, right in zip(RATES[rank], *lines[rank]):
        above[rank, lr] = right - np.interp(rise, xs, best_so_far)
        print(
            f"rank {rank:<3} rate {lr:<7g} right {right:5.1%}; full tuning with as much forgotten "
            f"{np.interp(rise, xs, best_so_far):5.1%}: {100 * above[rank, lr]:+.0f} points"
        )

# %% [markdown]
# Look first along each line: up to its best rate a lower rate learns less *and* forgets less,
# whichever the method; past it (look at the highest rate of full tuning) one forgets more and
# answers less. So a single dot of an adapter to the left of a single dot of full tuning shows
# nothing yet. Then look across: the last column tells whether an adapter gets more for the same
# price (plus) or less (minus). If it is within a few points of zero (three seeds tell no more), the
# adapter lies on the frontier of full tuning; if it is clearly negative, it pays more for the same
# answers. Where an adapter's line still rises at its highest rate, its best rate may lie beyond.
# The last cell says what this run shows. It is one base, one small world and few steps; the main
# job takes many times the steps and replays documents (compare with `python train_sft.py --lora
# 16`); Biderman et al. tuned far larger models for far longer, and on text that was farther from
# what they had read.
#
# ## Merge
#
# While an adapter is separate, one base can carry many of them (compare its trained numbers,
# printed above, with those of full tuning). At the end it can be added to W: plain layers again, as
# fast as the base.
#
# *Predict.* Merge, then subtract the same correction from W: do you get W back, bit for bit?

# %%
beside = rank16.model(ids)
before = lab.ask(rank16, "What is the capital of France?")
layer = rank16.model.h[0].attn.c_attn  # yours: a LowRank
for parent, name, adapter in children_of_type(rank16.model, LowRank):
    setattr(parent, name, adapter.merge())
difference = (rank16.model(ids) - beside).abs().max().item()
print(
    f"largest difference of any logit {difference:.1e}, of logits up to"
    f" {beside.abs().max().item():.0f}"
)
print(f"adapter: {before}\nmerged:  {lab.ask(rank16, 'What is the capital of France?')}")

W, there = layer.linear.weight, layer.merge().weight
back = there - 2 * (layer.B @ layer.A)  # alpha / rank is 2 in all of these
print(
    f"after subtracting, {(back == W).float().mean().item():.1%} of the numbers are the old ones"
    " bit for bit"
)

# %% [markdown]
# Rounding cannot be undone; whoever wants to take an adapter out again keeps the old layer, as you
# did.
#
# ## Open task: the fewest trained numbers (★★★, 30 minutes, no check)
#
# How few trained numbers come within 0.05 of the accuracy of full tuning at its best rate? Here is
# a first try, rank 1 everywhere. You may change rank, alpha, layers and rate, freeze A and train B
# alone, train biases only (Ben Zaken et al. 2022, "BitFit"), or think of something else; pairs and
# steps stay. Choose on the questions of the plot. The second column is of other questions: look at
# it once.


# %%
def thrifty(seed):
    """Return a copy of the base in which few numbers are trained, and the learning rate."""
    return adapted(1, seed), 5e-3


others = [
    row
    for split in splits.values()
    for row in lab.subset([row for row in split if row not in held_out], 40, seed=1)
]
best_rate = RATES[0][int(np.argmax(lines[0][1]))]
for name, (model, lr) in {"full": (copy.deepcopy(base), best_rate), "thrifty": thrifty(0)}.items():
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assistant = tuned(model, lr, 0)
    shares = [np.mean(lab.correct_flags(assistant, group)) for group in (held_out, others)]
    print(
        f"{name:<8} {trained:>9,} trained: {shares[0]:.1%} of the plot's questions, {shares[1]:.1%}"
        " of others"
    )

# %% [markdown]
# ## Questions to think about
#
# 1. A colleague sets rank 64 in place of 8, leaves alpha at 16, and finds that the adapter learns
#    more slowly. Why?
#
# <details><summary>Answer</summary>
#
# The factor alpha / rank was 2 and is now a quarter. The sum has more terms, but in practice that
# does not make up for it (Kalajdzievski 2023, "rsLoRA", divides by the root of the rank instead).
# Tune the rate anew, or move alpha with the rank. (The LoRA paper sets alpha to the first rank it
# tries and leaves it there.)
#
# </details>
#
# 2. An adapter was trained on one base and is put on another of the same shape. It loads without an
#    error. What happens?
#
# <details><summary>Answer</summary>
#
# Its correction was fitted to other weights and pushes in senseless directions. Nothing in the
# shapes tells. The project therefore stores a fingerprint of the base with each adapter and refuses
# any other.
#
# </details>
#
# ## Where this lives in the project
#
# `common/lora.py`: `LoRA`, `add_lora()`, `enable_lora()` (off, the model is its base),
# `merge_lora()`. `common/checkpoint.py`: `lora_state()`, `fingerprint()`. `train_sft.py`: `--lora`.

# %%
full_right, wide_right, wide_above = max(lines[0][1]), max(lines[16][1]), max(above.values())
ends = {rank: [(lines[rank][way][0], lines[rank][way][1]) for way in (0, 1)] for rank in lines}
lab.claim(
    "an adapter of rank 16, with far fewer numbers, answers within ten points of full tuning at its"
    " best rate",
    wide_right > full_right - 0.1,
)
lab.claim(
    "for both methods, the lowest rate forgets less and learns less than the next one",
    all(forgot[0] < forgot[1] for forgot, _ in ends.values())
    and all(right[0] < right[1] for _, right in ends.values()),
)
lab.claim(
    "at no rate is an adapter more than five points above full tuning that forgot as much: none"
    " leaves the frontier upwards",
    wide_above < 0.05,
)
lab.claim(
    "merged and unmerged give the same logits but for rounding, and subtracting does not give all"
    " bits back",
    difference < 1e-3 and not torch.equal(back, W),
)
