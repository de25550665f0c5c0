# %% [markdown]
# # 8. LoRA by hand
#
# Fine-tuning changes every weight of a model. LoRA leaves them all as they are, trains a small
# addition, and still works. You write the module of a low-rank adapter, put it into every linear
# layer, count what training keeps in memory, and find out whether an adapter forgets less than full
# tuning.
#
# Reading 15 minutes, exercises 39, computing 3. The open task takes another 30.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import copy

import lab
import numpy as np
import torch
from checks import lesson08 as checks
from common.lora import children_of_type
from data import prepare
from experiments import lesson08
from experiments.lesson09 import show_errors
from generate import Assistant
from torch import nn

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()

# %% [markdown]
# ## A thin correction
#
# Hu et al. (2021, "LoRA") keep a weight matrix W as it is, *frozen*, and learn a correction that is
# the product of two thin matrices: B (out, rank) times A (rank, in). Here with rank 1:

# %%
A = torch.tensor([[1.0, 3.0, 2.0, 0.5]])  # (rank 1, in 4)
B = torch.tensor([[1.0], [0.0], [2.0]])  # (out 3, rank 1)
print(B @ A)  # (out 3, in 4)
print(f"{B.numel() + A.numel()} numbers instead of {(B @ A).numel()}")
lesson08.draw_lora()

# %% [markdown]
# Each row of the product is a multiple of A. That is little freedom. The bet is that tuning needs
# only a few directions. For a square matrix of width 128 a correction of rank 8 has an eighth of
# W's numbers, and at width 4096 one 256th.
#
# The layer becomes `y = W x + bias + (alpha / rank) B A x`. Alpha sets the strength of the
# correction. Dividing by the rank is meant to spare you a new learning rate when you try another
# rank. A starts random and B at zero, so the first prediction is exactly the base's.
#
# *Predict.* Why not both at zero? And which of the two has moved after the first step?
#
# ### Exercise 8.1: the module (rebuild, ★★, 14 minutes)
#
# In `forward` go through the thin matrices one after the other. Building B A first gives the same
# numbers, but it costs a matrix as large as W, and its gradient too. Only `merge` builds it, once.
#
# <details><summary>Hint</summary>
#
# `nn.Parameter` makes a tensor trainable and lets the optimizer find it. `x` has the inputs in its
# last dimension, so W x is `x @ W.T` and A x is `x @ A.T`. (A and B may also be `nn.Linear` layers
# without a bias, as the library PEFT writes them.) For `merge`, `copy.deepcopy(self.linear)` is a
# new layer, with a bias or without.
#
# </details>


# %%
class LowRank(nn.Module):
    """Wrap a frozen linear layer with a correction: y = W x + bias + (alpha / rank) B A x."""

    def __init__(self, linear, rank, alpha):
        """Create self.linear (the old layer), self.A (rank, in), random, of size about in ** -0.5,
        and self.B (out, rank), zero."""
        super().__init__()
        ### BEGIN SOLUTION
        self.linear = linear.requires_grad_(False)
        self.scale = alpha / rank
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) * linear.in_features**-0.5)
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        ### END SOLUTION

    def forward(self, x):
        """x (..., in) -> (..., out)"""
        ### BEGIN SOLUTION
        thin = x @ self.A.T  # (..., rank)
        return self.linear(x) + self.scale * (thin @ self.B.T)  # (..., out)
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
# With both at zero nothing would ever move, since each one's gradient has the other as a factor.
# For the same reason only B moves in the first step, apart from AdamW's weight decay.
#
# ## Into the model
#
# A block of our GPT has four linear layers: `c_attn` and `c_proj` in the attention, `c_fc` and
# another `c_proj` in the MLP. Dettmers et al. (2023, "QLoRA") found that an adapter belongs in all
# of them. You replace each one by your module, without touching the code of the model.

# %%
print(base.h[0])

# %% [markdown]
# ### Exercise 8.2: put it in (rebuild, ★★★, 12 minutes)
#
# <details><summary>Hint</summary>
#
# Freeze first: what is wrapped later brings its own trainable A and B. Then collect all `(parent,
# name, child)` in a *list* before you replace any: `model.modules()` gives the parents,
# `parent.named_children()` their children. `setattr(parent, name, new)` replaces one. A name with
# dots, as `named_modules` gives it, is not an attribute.
#
# </details>


# %%
def inject(model, names, wrap):
    """Freeze the model, then replace every nn.Linear whose name is in `names`, wherever it is, by
    wrap(that layer). Returns how many were replaced.

    A GPT of 3 blocks with names ("c_attn", "c_proj", "c_fc") -> 12"""
    ### BEGIN SOLUTION
    model.requires_grad_(False)
    layers = []
    for parent in model.modules():
        for name, child in parent.named_children():
            if name in names and isinstance(child, nn.Linear):
                layers.append((parent, name, child))
    for parent, name, child in layers:
        setattr(parent, name, wrap(child))
    return len(layers)
    ### END SOLUTION


# %%
checks.inject(inject)


# %%
def adapted(rank, seed=0, names=("c_attn", "c_proj", "c_fc")):
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
# Training keeps the weights, the gradients and the optimizer's state. AdamW has two averages for
# each trained number. A frozen weight needs neither gradient nor state.
#
# *Predict.* In full tuning, what fraction of this memory is the weights?
#
# ### Exercise 8.3: bytes in training (extend, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# Add up `p.numel() * p.element_size()` over `model.parameters()`, and once more over those with
# `p.requires_grad`.
#
# </details>


# %%
def training_bytes(model):
    """Return (weights, gradients, AdamW's state) in bytes.

    26 trained 32-bit numbers: (104, 104, 208). With 16 of them frozen: (104, 40, 80)."""
    ### BEGIN SOLUTION
    weights = trained = 0
    for p in model.parameters():
        size = p.numel() * p.element_size()
        weights += size
        trained += size if p.requires_grad else 0
    return weights, trained, 2 * trained
    ### END SOLUTION


# %%
checks.training_bytes(training_bytes)
examples, _, _ = prepare(rows, tokenizer, "alpaca", base.config.block_size)
models = {"full": copy.deepcopy(base)} | {f"rank {rank}": adapted(rank) for rank in (1, 8, 64)}
lesson08.show_bytes(models, examples, tokenizer.eos_id, training_bytes)

# %% [markdown]
# Not counted are the activations, which an adapter needs about as much as full tuning. In a model
# of seven billion 32-bit weights your formula gives 28 + 28 + 56 GB for full tuning, and little
# more than the 28 with an adapter. That is why LoRA is so common. On a model as small as ours it
# saves nothing that matters. We use it because it is small enough to inspect.
#
# ## Does it forget less?
#
# Biderman et al. (2024, "LoRA Learns Less and Forgets Less") found in large models what their title
# says. But if you lower the *learning rate*, the size of a step, full tuning also learns less and
# forgets less. So one rate for each method proves nothing. Try several, and plot what is learned
# against what is forgotten. Such a line, up to its best point, is a *frontier*.
#
# *Learned*: held-out questions answered exactly right. *Forgotten*: the rise of the *validation
# loss*, here the loss on documents that no model has read, in *nats* a token (minus the natural
# logarithm of a probability). All methods see the same pairs in the same order, for the same number
# of steps, and no documents are replayed.
#
# *Predict.* At equal forgetting, which answers more: full tuning, rank 16, or rank 2?

# %%
held_out = [row for split in splits.values() for row in lab.subset(split, 40)]
runs, rank16 = lesson08.run_frontier(base, tokenizer, examples, adapted, held_out)
lines = lesson08.lines_of(runs)  # rank: (rises, accuracies), in the order of the rates
lesson08.draw_frontier(runs, lines)

# %% [markdown]
# If an adapter's dot is to the left of a dot of full tuning, that proves nothing yet, because the
# rates differ.
#
# ### Exercise 8.4: at equal forgetting (extend, ★★, 8 minutes)
#
# Read the line of full tuning at the rise of an adapter. The line begins at the base, with no rise.
# You can always stop at the best point, so we draw the line so that it never falls.
#
# <details><summary>Hint</summary>
#
# Sort the points by their rise. `np.maximum.accumulate(ys)` is the best so far, and
# `np.interp(rise, xs, ys)` reads a line of straight pieces. It stays level after the last point.
#
# </details>


# %%
def at_equal_forgetting(rises, rights, start, rise):
    """Return what full tuning answers when the loss has risen by `rise`, as a float: straight lines
    between the point (0, start) and the points (rises[i], rights[i]), best so far.

    [0.2, 0.1], [0.6, 0.4], 0.0, 0.15 -> 0.5, halfway between 0.4 at 0.1 and 0.6 at 0.2"""
    ### BEGIN SOLUTION
    xs, ys = [0.0], [start]
    for x, y in sorted(zip(rises, rights)):
        xs.append(x)
        ys.append(y)
    best_so_far = np.maximum.accumulate(ys)
    return float(np.interp(rise, xs, best_so_far))
    ### END SOLUTION


# %%
checks.at_equal_forgetting(at_equal_forgetting)
start = lab.accuracy(Assistant(base, tokenizer, "alpaca"), held_out)[0]
above = lesson08.compare_lines(lines, start, at_equal_forgetting)

# %% [markdown]
# Three seeds can't resolve a difference of a few points. Where the difference is near zero, the
# adapter is on the frontier of full tuning. Where it is clearly below zero, the adapter forgets
# more for the same answers. This is one small world and few steps. Biderman et al. tuned far larger
# models for far longer, on text that was farther from what they had read.
#
# **Read ten errors** of the adapter of rank 16. Sort them, and write two sentences. Does it fail in
# the form or in the facts?

# %%
show_errors(rank16, held_out)

# %% [markdown]
# <details><summary>A model answer</summary>
#
# "I looked for three kinds. The right statement with a wrong value points to knowledge. The
# statement of another task, or about another thing, shows that the model misread the question. A
# reply that breaks off or does not stop has lost the form. Only the first kind is about facts."
# Your counts will differ, and a kind may be empty.
#
# </details>
#
# ## Merge
#
# While an adapter is separate, one base can carry many of them. At the end it can be added to W:
# plain layers again, as fast as the base.
#
# *Predict.* Merge, then subtract the same correction from W. Do you get W back, bit for bit?

# %%
adapters = children_of_type(rank16.model, LowRank)
difference, W, back = lesson08.show_merge(rank16, adapters, ids)

# %% [markdown]
# Rounding cannot be undone. To take an adapter out again, keep the old layer, as you did.
#
# > **What to remember**
# >
# > - LoRA freezes W and trains a thin correction B A. Gradients and optimizer state nearly vanish.
# > - Compare methods at several learning rates, and at equal forgetting. One rate proves nothing.
# > - An adapter can be merged, swapped or switched off. It is cheap above all. It is a remedy for
# >   forgetting only if you measure that it is.
#
# ## Open task: the fewest trained numbers (★★★, 30 minutes, no check)
#
# How few trained numbers come within 0.05 of the accuracy of full tuning at its best rate? Here is
# a first try, rank 1 everywhere. Change rank, alpha, layers and rate, freeze A and train B alone,
# train biases only (Ben Zaken et al. 2022, "BitFit"), or think of something else. Leave pairs and
# steps as they are. When you have chosen, ask `lab.subset(splits["unseen_tasks"], 60, seed=1)`
# once.


# %%
def thrifty(seed):
    """Return a copy of the base in which few numbers are trained, and the learning rate."""
    return adapted(1, seed), 5e-3


model, lr = thrifty(0)
n_trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
assistant = lesson08.tuned(model, examples, tokenizer, lr, 0)
right = lab.accuracy(assistant, held_out)[0]
print(f"{n_trained:,} trained numbers: {right:.1%} right (full tuning {max(lines[0][1]):.1%})")

# %% [markdown]
# ## Two questions
#
# 1. A colleague sets rank 64 in place of 8, leaves alpha at 16, and finds that the adapter learns
#    more slowly. Why?
#
# <details><summary>Answer</summary>
#
# The factor alpha / rank was 2 and is now a quarter. The very first step is about equal, because
# the sum has eight times the terms (lesson 16 measures it). Over a whole training the terms stop
# pulling together, and the small factor wins. Kalajdzievski (2023, "rsLoRA") divides by the root of
# the rank instead. Tune the rate anew, or move alpha with the rank.
#
# </details>
#
# 2. An adapter was trained on one base and is put on another of the same shape. It loads without an
#    error. What happens?
#
# <details><summary>Answer</summary>
#
# Its correction was fitted to other weights and pushes in senseless directions. The shapes show
# nothing. So the project stores a fingerprint of the base with each adapter and refuses any other.
#
# </details>
#
# ## Where this lives in the project
#
# `common/lora.py`: `LoRA`, `add_lora()`, `enable_lora()` (off, the model is its base),
# `merge_lora()`. `common/checkpoint.py`: `lora_state()`, `fingerprint()`. `train_sft.py`: `--lora`.
# The measuring code is in `lessons/experiments/lesson08.py`.

# %%
full_right, wide_right, wide_above = max(lines[0][1]), max(lines[16][1]), max(above.values())
ends = {rank: [(lines[rank][way][0], lines[rank][way][1]) for way in (0, 1)] for rank in lines}
lab.claim(
    "an adapter of rank 16, with far fewer numbers, answers at least two thirds of what full tuning"
    " answers, each at its best rate",
    wide_right > full_right * 2 / 3,
)
lab.claim(
    "for both methods, the lowest rate forgets less and learns less than the next one",
    all(forgot[0] < forgot[1] for forgot, _ in ends.values())
    and all(right[0] < right[1] for _, right in ends.values()),
)
lab.claim(
    "at no rate is an adapter more than ten points above full tuning that forgot as much",
    wide_above < 0.1,
)
lab.claim(
    "merging changes logits by rounding only, and subtracting does not give all bits back",
    difference < 1e-3 and not torch.equal(back, W),
)
