# %% [markdown]
# # 8. LoRA by hand
#
# You will build a low-rank adapter out of two thin matrices, count what it saves, try several ranks and places beside
# full tuning, melt the adapter into the model and take it out again, and measure what each way of tuning forgets.
#
# Under two minutes of computing on a laptop CPU with two cores, about 45 minutes with the exercises. It needs
# `out/base.pt`, which `python train_sft.py` makes.

# %%
import copy
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson08 as checks

import random

import matplotlib.pyplot as plt
import torch

import world
from data import collate, encode_corpus, epoch_batches, prepare
from generate import Assistant
from model import LORA_TARGETS, LoRA, add_lora, merge_lora, unmerge_lora
from train_sft import adamw, train, val_loss

# %% [markdown]
# ## A thin correction
#
# Full tuning moves every number of a weight matrix W. Hu et al. (2021, "LoRA") keep W as it is and learn a
# *correction* that is the product of two thin matrices: B (out, rank) times A (rank, in). Here with rank 1:

# %%
A = torch.tensor([[1.0, 3.0, 2.0, 0.5]])  # (rank 1, in 4)
B = torch.tensor([[1.0], [0.0], [2.0]])  # (out 3, rank 1)
print(B @ A)  # (out 3, in 4)
print(f"{B.numel() + A.numel()} numbers instead of {(B @ A).numel()}")

# %% [markdown]
# Each row is a multiple of A. That is little freedom, and it is the point: the bet is that tuning needs few
# directions. For a square matrix of width 128 a correction of rank 8 has one eighth of W's numbers; at width 4096,
# one 256th.
#
# The correction is multiplied by alpha / rank. Alpha is a volume knob; dividing by the rank keeps the volume about
# the same when you try another rank.
#
# <details><summary>Hint</summary>
#
# `x` holds one input in each row, so W x is `x @ W.T`. Go through the thin matrices one after the other: first A,
# then B; never build B A. The rank is the number of rows of A.
#
# </details>
#
# ### Exercise 8.1: forward with a correction (rebuild, 6 minutes)


# %%
def lora_forward(x, W, bias, A, B, alpha):
    """W x + bias + (alpha / rank) B A x for every row x of the input -> (n, out)

    x (n, in), W (out, in), A (rank, in), B (out, rank). With B = 0 this is the old layer, x @ W.T + bias."""
    ### BEGIN SOLUTION
    return x @ W.T + bias + (x @ A.T) @ B.T * (alpha / len(A))
    ### END SOLUTION


# %%
checks.lora_forward(lora_forward)

# %% [markdown]
# The project's `LoRA` wraps a linear layer in the same way. A starts random and B at zero, so the first prediction is
# exactly the base's. (With both at zero nothing would ever move: each one's gradient has the other as a factor.)

# %%
base, tokenizer = lab.load_base()
wrapped = LoRA(copy.deepcopy(base).h[0].mlp.c_fc, rank=4, alpha=8)
x = torch.randn(5, base.config.n_embd, generator=torch.Generator().manual_seed(0))
print("at the start the same:", torch.equal(wrapped(x), base.h[0].mlp.c_fc(x)))
wrapped.lora_B.data.normal_(generator=torch.Generator().manual_seed(1))
mine = lora_forward(x, wrapped.linear.weight, wrapped.linear.bias, wrapped.lora_A, wrapped.lora_B, 8)
print("largest difference between yours and the project's:", (mine - wrapped(x)).abs().max().item())

# %% [markdown]
# ## What it saves
#
# Training holds three things for weights: the weights, their gradients, and the optimizer's state. AdamW keeps two
# averages for each trained number. A frozen weight needs neither gradient nor state.
#
# *Predict.* In full tuning, what share of this memory is the weights? And what share of all parameters does an
# adapter of rank 8 train?
#
# <details><summary>Hint</summary>
#
# Add up `p.numel() * p.element_size()` over `model.parameters()`, and once more over those with `p.requires_grad`.
#
# </details>
#
# ### Exercise 8.2: bytes in training (extend, 6 minutes)


# %%
def training_bytes(model):
    """Returns (weights, gradients, AdamW's state) in bytes.

    26 trained 32-bit numbers: (104, 104, 208). With 16 of them frozen: (104, 40, 80)."""
    ### BEGIN SOLUTION
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return weights, trained, 2 * trained
    ### END SOLUTION


# %%
checks.training_bytes(training_bytes)

# %%
rows, splits = lab.load_world()
examples, _, _ = prepare(rows, tokenizer, "alpaca", base.config.block_size)
for rank in (0, 1, 8, 64):
    model = copy.deepcopy(base)
    if rank:
        add_lora(model, rank, 2 * rank)
    counted = training_bytes(model)
    optimizer = adamw(model.parameters(), 8e-4)
    model(*collate(examples[:8], tokenizer.eos_id)).backward()
    optimizer.step()  # now the state is really there: compare it with your count
    state = sum(t.nbytes for s in optimizer.state.values() for t in s.values() if t.numel() > 1)
    name = f"rank {rank}" if rank else "full"
    print(f"{name:>8}: weights, gradients, state in kB {[n // 1000 for n in counted]}, state found {state // 1000}")

# %% [markdown]
# Not counted: activations, which LoRA needs about as much as full tuning. In a model of seven billion 32-bit weights
# your formula gives 28 + 28 + 56 GB for full tuning, and little more than the 28 with an adapter. On a small model
# like ours it saves nothing that matters; we use it because it can be seen through.
#
# ## Rank, place and full tuning
#
# *Predict.* How large must the rank be? And is it better placed in the attention (`c_attn`), in the MLP (`c_fc`), or
# in all linear layers? Dettmers et al. (2023, "QLoRA") found that it should be in all.
#
# All runs see the same pairs for the same number of steps. Learning rates are the project's: 8e-4 for full tuning,
# 5e-3 for an adapter. One arm has a lower rate, because rate and method are easily confused.
#
# Two things are measured for each: held-out questions answered right, and the loss on prose that was never read
# (drawn from the same world with another seed). The second is what tuning *forgot*.

# %%
STEPS = 6 if lab.FAST else 32
held_out = [row for split in splits.values() for row in lab.some(split, 40)]
prose = random.Random(0).sample(world.build(1000, size=0.05).corpus, 300)
stream = encode_corpus(tokenizer, prose)
ARMS = {  # name: (learning rate, rank, places)
    "full": (8e-4, 0, ()),
    "rank 1": (5e-3, 1, LORA_TARGETS),
    "rank 4": (5e-3, 4, LORA_TARGETS),
    "rank 16": (5e-3, 16, LORA_TARGETS),
    "rank 4, c_attn": (5e-3, 4, ("c_attn",)),
    "rank 4, c_fc": (5e-3, 4, ("c_fc",)),
    "rank 4, lower rate": (1e-3, 4, LORA_TARGETS),
}


# %%
def tune(seed, lr, rank, places):
    """Returns a tuned copy of the base"""
    model = copy.deepcopy(base)
    if rank:
        add_lora(model, rank, 2 * rank, places, seed)
    batches = epoch_batches(examples, 32, seed)
    train(model, lambda step: collate(batches[step], tokenizer.eos_id), STEPS, [adamw(model.parameters(), lr)])
    return model


# %%
results, models = {}, {}
base_loss = val_loss(base, stream)
print(f"{'base':<19} loss on prose {base_loss:.3f}")
for name, arm in ARMS.items():
    runs = [tune(seed, *arm) for seed in lab.SEEDS]
    marks = [lab.marks(Assistant(model, tokenizer, "alpaca"), held_out) for model in runs]
    shares = [sum(some) / len(some) for some in marks]
    losses = [val_loss(model, stream) for model in runs]
    learned = sum(p.numel() for p in runs[0].parameters() if p.requires_grad)
    models[name], results[name] = runs[0], (learned, lab.bootstrap(marks), losses, shares)
    share, low, high = results[name][1]
    print(f"{name:<19} learned {learned:>9,}  right {share:5.1%} ({low:.0%} to {high:.0%})  "
          f"loss on prose {', '.join(f'{loss:.3f}' for loss in losses)}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
for i, (name, (learned, (share, low, high), losses, shares)) in enumerate(results.items()):
    left.errorbar(learned * 1.05**i, share, [[share - low], [high - share]], fmt="o", color=f"C{i}", capsize=3)
    right.scatter(losses, shares, color=f"C{i}", label=name)
left.set_xscale("log")
left.set_xlabel("numbers learned (log scale, dots moved apart a little)")
left.set_ylabel("held-out questions right, 95 % interval")
left.set_ylim(0, 1.02)
right.axvline(base_loss, color="gray", linestyle=":", label="base")
right.set_xlabel("loss on prose never read, one dot a seed")
right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
figure.tight_layout()
plt.show()

# %% [markdown]
# Read the left panel first. A tenth of the numbers (rank 16) is enough to answer as well as full tuning. Rank 4, a
# fortieth, stays more than ten points behind in so few steps; on another base it did not. Rank 1 is too thin. For the
# place, mind the counts: rank 1 everywhere and rank 4 in `c_attn` learn equally many numbers, and only such a
# comparison is about the place. These two are close together here, so the run does not show that all layers are the
# better place.
#
# Then the right panel. In large models LoRA was found to learn less and forget less (Biderman et al. 2024, "LoRA Learns
# Less and Forgets Less"). Here all arms lie near *one* curve: whatever learns less forgets less. The thin adapters and
# the lower rate do, as Biderman et al. say. The adapter that answers as well as full tuning has forgotten no less, in
# this run a little more. So an adapter chooses a place on the curve; it does not leave it. (Full tuning has only one
# rate here, so its own curve was not drawn; this is one setting, three seeds and one base. The main job mixes pages of
# prose among its pairs, which is left out here; it forgets far less.)
#
# ## Merge and unmerge
#
# At the end the correction can be added to W: one matrix again, as fast as the base, and nothing left of the adapter.
# While it is separate, one base can carry many adapters of a few kilobytes each.
#
# <details><summary>Hint</summary>
#
# For a column vector x the correction is (alpha / rank) B (A x) = ((alpha / rank) B A) x. What stands in the brackets
# has the shape of W. Do not use `+=`: it writes into the matrix that you were given.
#
# </details>
#
# ### Exercise 8.3: merge (rebuild, 5 minutes)


# %%
def merged(W, A, B, alpha):
    """W and its correction as one new matrix; W itself stays. W (out, in), A (rank, in), B (out, rank) -> (out, in)

    [[1, 0]], A [[1, 3]], B [[1]], alpha 2 -> [[3, 6]]"""
    ### BEGIN SOLUTION
    return W + alpha / len(A) * (B @ A)
    ### END SOLUTION


# %%
checks.merged(merged)

# %% [markdown]
# *Predict.* Merge, then subtract the same correction: do you get W back, bit for bit?

# %%
layer = models["rank 4"].h[0].attn.c_attn
W, A, B = layer.linear.weight.data, layer.lora_A.data, layer.lora_B.data
there = merged(W, A, B, 8)
subtracted = merged(there, A, -B, 8)
print(f"the layer changed by {((there - W).norm() / W.norm()).item():.1%} of its size")
print(f"after subtracting, {(subtracted == W).float().mean().item():.1%} of the numbers are the old ones bit for bit")
print("largest difference:", (subtracted - W).abs().max().item())

# %%
bot = Assistant(models["rank 4"], tokenizer, "alpaca")
before = {name: weight.clone() for name, weight in bot.model.state_dict().items()}
print("adapter:", lab.ask(bot, "What is the capital of France?"))
old = merge_lora(bot.model)
print("merged: ", lab.ask(bot, "What is the capital of France?"))
unmerge_lora(old)
same = all(torch.equal(weight, before[name]) for name, weight in bot.model.state_dict().items())
print("unmerged by the project, bit for bit the same:", same)

# %% [markdown]
# The project keeps the old weights while an adapter is merged, because rounding cannot be undone.
#
# ## Questions to think about
#
# 1. A colleague sets rank 64 in place of 8, leaves alpha at 16, and finds that the adapter learns more slowly. Why?
#
# <details><summary>Answer</summary>
#
# The correction is multiplied by alpha / rank. That was 2 and is now a quarter, as if the volume had been turned
# down. Move alpha with the rank, or the comparison is about the volume. (The LoRA paper keeps alpha fixed and tunes
# the learning rate.)
#
# </details>
#
# 2. An adapter was trained on one base and is put on another of the same shape. It loads without an error. What
#    happens?
#
# <details><summary>Answer</summary>
#
# Its correction was fitted to other weights and pushes in senseless directions. Nothing in the shapes tells. The
# project therefore stores a fingerprint of the base with each adapter and refuses any other.
#
# </details>
#
# ## Where this lives in the project
#
# `model.py`: `LoRA`, `add_lora()`, `merge_lora()`, `unmerge_lora()`, `lora_state()`, `fingerprint()`. `train_sft.py`:
# `--lora`, `val_loss()`.

# %%
full, wide, low_rank, slower = (results[name] for name in ("full", "rank 16", "rank 4", "rank 4, lower rate"))
lab.claim("an adapter that learns a ninth of the numbers or less answers within ten points of full tuning",
          wide[0] < full[0] / 9 and wide[1][0] > full[1][0] - 0.1)
lab.claim("tuning costs prose, with an adapter too, and a lower rate costs less",
          min(full[2] + low_rank[2]) > base_loss and max(slower[2]) < min(low_rank[2]))
lab.claim("unmerging with kept weights gives the exact bits, subtracting does not",
          same and not torch.equal(subtracted, W))
