# %% [markdown]
# # 10. Quality or quantity
#
# You will spoil thousands of pairs in three ways, tune on them, and compare with a few hundred clean pairs, at the
# same number of steps. Then you will build a detector for the spoiled ones and tune on what it keeps.
#
# About 2 minutes of computing on a laptop CPU (2 cores), 25 minutes of yours. Needs `out/base.pt`, which
# `python train_sft.py` writes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson10 as checks

import random

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import world
from data import Row, Turn, collate, prepare
from model import IGNORE

# %% [markdown]
# ## Three data sets, one argument
#
# Alpaca (Taori et al., 2023) is 52,000 pairs written by a model, cheap and with many errors. Dolly (Conover et al.,
# 2023) is 15,000 pairs written by people. LIMA (Zhou et al., 2023) is 1,000 pairs chosen with great care, and its
# authors argued that little more is needed: what a model knows comes from pretraining. AlpaGasus (Chen et al., 2023)
# let a model grade Alpaca's pairs, kept the best sixth or so, and did better with them.
#
# Here we can spoil the data ourselves, so we know exactly which pairs are bad. The first eight, in full:

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
rows = [row for row in rows if row.task in world.TASKS]  # the practice about invented things is left out
splits = {name: lab.some(splits[name], 150) for name in ("unseen_inputs", "unseen_tasks")}
for row in rows[:8]:
    print(f"{row.task:<14}", row.turns[0])

# %% [markdown]
# ## Three ways to be bad
#
# *Swapped*: a good answer to another question of the same task. *Cut*: the second half is missing, as when an answer
# ran into a length limit. *Empty*: a full stop and nothing else. Rows are never changed; a bad row is a new one.
#
# ### Exercise 10.1 (extend): a wrong answer that looks right, 6 minutes
#
# <details><summary>Hint</summary>List the answers of the rows with the same <code>task</code> that are not equal to this
# row's answer. The fields of a row are <code>turns</code>, <code>task</code>, <code>place</code>.</details>


# %%
def swapped(rows, i, rng):
    """Returns a new Row: rows[i] with the answer of another row of its task, drawn by rng.choice from all answers that differ
    from its own; rows[i] itself if there is none. (q1, x1, a1), (q2, x2, a2) -> for i = 0: (q1, x1, a2)"""
    ### BEGIN SOLUTION
    row = rows[i]
    question, context, answer = row.turns[0]
    others = [other.turns[0].output for other in rows if other.task == row.task and other.turns[0].output != answer]
    return Row((Turn(question, context, rng.choice(others)),), row.task, row.where) if others else row
    ### END SOLUTION


# %%
checks.swapped(swapped)
print(swapped(rows, 0, random.Random(0)).turns[0])


# %%
def with_answer(row, answer):
    return Row((Turn(*row.turns[0][:2], answer),), row.task)


def spoil(rows, share, seed):
    """Returns (rows, the share of them spoiled, a third in each way), and what was done to each."""
    rng = random.Random(seed)
    chosen = rng.sample(range(len(rows)), int(share * len(rows)))
    out, kinds = list(rows), ["clean"] * len(rows)
    for n, i in enumerate(chosen):
        words = rows[i].turns[0][2].split()
        kinds[i] = ("swapped", "cut", "empty")[n % 3]
        bad = {"cut": lambda: with_answer(rows[i], " ".join(words[: len(words) // 2])),
               "empty": lambda: with_answer(rows[i], "."), "swapped": lambda: swapped(rows, i, rng)}
        out[i] = bad[kinds[i]]()
    return out, kinds


# %%
for row, kind in zip(*spoil(rows[:6], 0.5, seed=1)):
    print(f"{kind:<8}", row.turns[0].instruction, "->", row.turns[0].output)

# %% [markdown]
# ## A detector
#
# Two of the three can be seen without knowing the answer.
#
# ### Exercise 10.2 (extend): broken on the face of it, 4 minutes
#
# Broken is an answer with fewer than three words (apart by white space), or one whose last sign, spaces aside, is none of
# `.`, `!`, `?`, `;`.
#
# <details><summary>Hint</summary><code>text.split()</code> of an empty text is an empty list, so test the number of words
# before you look at the last sign.</details>


# %%
def broken(answer):
    """ "The capital of" -> True, "." -> True, "The capital of Peru is Lima." -> False"""
    ### BEGIN SOLUTION
    answer = answer.strip()
    return len(answer.split()) < 3 or answer[-1] not in ".!?;"
    ### END SOLUTION


# %%
checks.broken(broken)

# %% [markdown]
# A swapped answer is a good sentence. To find it one must look at question and answer together, and we have a judge
# for that: a model that was tuned on a few pairs that we trust. A pair whose answer surprises it is suspect. The measure
# is the mean loss of the answer's tokens, for every row by itself.
#
# ### Exercise 10.3 (extend): one loss for each row, 8 minutes
#
# `model(inputs, targets)` adds up a whole batch, so it cannot tell the rows apart. `F.cross_entropy(logits, targets,
# reduction="none")` gives one number for each place (and 0 where the target is IGNORE). It wants logits of shape (n, V) and
# targets of shape (n,).
#
# <details><summary>Hint</summary>Flatten to (B * T, V) and (B * T,), bring the losses back to (B, T), sum each row, and
# divide by how many of <em>that row's</em> targets are learned.</details>


# %%
def row_losses(logits, targets):
    """logits (B, T, V), targets (B, T) with IGNORE -> (B,): the mean of -log p(target) over each row's learned targets"""
    ### BEGIN SOLUTION
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="none")
    return losses.view(targets.shape).sum(1) / (targets != IGNORE).sum(1)
    ### END SOLUTION


# %%
checks.row_losses(row_losses)


# %%
@torch.inference_mode()
def surprise(bot, rows):
    """Returns mean loss of each row's answer, end token included, under a tuned model."""
    examples, _, _ = prepare(rows, tokenizer, bot.template, bot.model.config.block_size)
    found = []
    for start in range(0, len(examples), 64):
        inputs, targets = collate(examples[start : start + 64], tokenizer.eos_id)
        found += row_losses(bot.model(inputs), targets).tolist()
    return found


# %% [markdown]
# Three hundred and twenty pairs are the few that we trust. The judge is tuned on most of them; the last 64 set
# the limit: what surprises it more than 95 in 100 of *those* is thrown out. All other pairs are the many, and nine of
# ten of them are spoiled.

# %%
STEPS = 10 if lab.FAST else 40
few, many = rows[:320], lab.some(rows[320:], len(rows))
judge = lab.tune(base, tokenizer, few[:256], steps=STEPS, batch=16)
limit = sorted(surprise(judge, few[256:]))[int(0.95 * 64)]
noisy, kinds = spoil(many, 0.9, seed=0)
losses = surprise(judge, noisy)

# %%
kept = [loss <= limit and not broken(row.turns[0].output) for row, loss in zip(noisy, losses)]
for kind in ("clean", "swapped", "cut", "empty"):
    of_kind = [keep for keep, k in zip(kept, kinds) if k == kind]
    print(f"{kind:<8}{len(of_kind):>5} rows, {sum(of_kind):>4} kept")
share_clean = sum(k == "clean" for k, keep in zip(kinds, kept) if keep) / max(1, sum(kept))
print(f"before: {kinds.count('clean') / len(kinds):.0%} clean; of what is kept: {share_clean:.0%}")

# %%
figure, ax = plt.subplots(figsize=(8, 3.5))
bins = torch.linspace(0, max(losses), 50).tolist()
for kind, color in (("clean", "C0"), ("swapped", "C1"), ("cut", "C2"), ("empty", "C3")):
    of_kind = [loss for loss, k in zip(losses, kinds) if k == kind]
    ax.hist(
        of_kind, bins, weights=[1 / len(of_kind)] * len(of_kind), histtype="step", color=color, label=kind, linewidth=2
    )
ax.axvline(limit, color="black", linestyle="--", label="limit, set on trusted pairs")
ax.set(xlabel="how the answer surprises the judge (nats a token)", ylabel="share of the rows of its kind")
ax.set_title("What the judge thinks of each kind of row")
ax.legend()
plt.tight_layout()
plt.show()

# %% [markdown]
# ## The measurement
#
# All models are tuned for the same 40 steps of 16 pairs, so all see 640 pairs: the few clean ones twice, less than
# a tenth of the many once. Three seeds each, each with other noise; the seed also draws which rows come in.
#
# **Predict** the order: few clean; many with 0, 30, 60 and 90 % spoiled; the 90 % after your filter. At
# which share does it break? Remember that the answers are decoded greedily: at every place the likeliest token wins.


# %%
def cleaned(rows):
    return [row for row, loss in zip(rows, surprise(judge, rows)) if loss <= limit and not broken(row.turns[0].output)]


arms = {
    "few, clean": lambda seed: few,
    "many, clean": lambda seed: many,
    "many, 30 % bad": lambda seed: spoil(many, 0.3, seed)[0],
    "many, 60 % bad": lambda seed: spoil(many, 0.6, seed)[0],
    "many, 90 % bad": lambda seed: spoil(many, 0.9, seed)[0],
    "90 % bad, filtered": lambda seed: cleaned(spoil(many, 0.9, seed)[0]) or few,
}

# %%
results = {arm: [] for arm in arms}
for arm, make in arms.items():
    for seed in lab.SEEDS:
        bot = lab.tune(base, tokenizer, make(seed), seed, steps=STEPS, batch=16)
        results[arm].append({split: lab.marks(bot, held) for split, held in splits.items()})

# %%
summary = {}
for arm, found in results.items():
    for split, held in splits.items():
        shares = [sum(result[split]) / len(held) for result in found]
        summary[arm, split] = lab.bootstrap([result[split] for result in found])
        mean, low, high = summary[arm, split]
        print(f"{arm:<20}{split:<15}{mean:>6.1%} ({low:.0%} to {high:.0%})  seeds:", *(f"{s:.0%}" for s in shares))

# %%
figure, ax = plt.subplots(figsize=(9, 4))
for j, (split, color) in enumerate(zip(splits, ("C1", "C0"))):
    at = [i + 0.38 * (j - 0.5) for i in range(len(arms))]
    mean, low, high = zip(*(summary[arm, split] for arm in arms))
    gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
    ax.bar(at, mean, 0.36, color=color, alpha=0.6, label=split.replace("_", " "))
    ax.errorbar(at, mean, gaps, fmt="none", color="black", capsize=3)
    for x, arm in zip(at, arms):
        ax.plot([x] * len(results[arm]), [sum(result[split]) / len(result[split]) for result in results[arm]], "k.", alpha=0.6)
ax.set(xticks=range(len(arms)), ylim=(0, 1.02), ylabel="answered exactly right")
ax.set_xticklabels([arm.replace(", ", ",\n") for arm in arms], fontsize=9)
ax.set_title("Held-out questions, same number of steps (bars: 95 % intervals, dots: seeds)")
ax.legend(loc="lower left", framealpha=1)
plt.tight_layout()
plt.show()

# %% [markdown]
# ## What it says
#
# The few clean pairs do as well as as many drawn from thousands of clean ones: at equal steps, 320 pairs seen twice and
# 640 seen once are alike. That is near to LIMA's point (its thousand pairs stood against fifty times as many, all of
# them seen): the base already knows, so few pairs go far. With *more steps* the thousands would go on helping, as the
# main job does.
#
# With three in ten spoiled about a quarter of the right answers is lost, with six in ten more than half. That it is no more
# has a reason: the spoiled answers disagree with each other, and greedy decoding takes the likeliest token, which the clean
# ones still decide. This helps only while errors are scattered; a mistake that is always the same would be learned like
# any other rule. Where nine in ten are spoiled, nearly all is lost, and the judge, tuned on a few hundred trusted pairs,
# brings more than half of it back. But look at what it buys: of what it keeps, more than half is still swapped, and the
# filtered model answers less than the one tuned on the trusted pairs alone.
#
# ## Two questions
#
# **1.** Our swapped answers are about another thing altogether ("The capital of Italy is Rome." to a question about
# France). Suppose they were "The capital of France is Rome." Which parts of the detector could still find them?
#
# <details><summary>Answer</summary>Not <code>broken</code>, since it is a whole sentence. The judge can, if the base
# knows the fact; but then the loss stands on one token of many, so the mean hides it. The largest loss of a row's
# tokens would show it better.</details>
#
# **2.** Why is the limit set on pairs that the judge was not tuned on?
#
# <details><summary>Answer</summary>Those it was tuned on surprise it less than other good pairs do. The limit would be
# too low, and good pairs would be thrown out.</details>
#
# ## Where this lives in the project
#
# `load_rows` and `Audit` in `data.py` drop and count the rows that cannot be used, and `python data.py FILE` prints them;
# `GPT.forward` in `model.py` is the loss of a batch. Nothing in the project judges what an answer says: that is up to
# whoever makes the data.

# %%
print(f"clean before the filter {kinds.count('clean') / len(kinds):.0%}, after it {share_clean:.0%}")
for split in splits:
    few_clean, many_clean, worst = (summary[arm, split] for arm in ("few, clean", "many, clean", "many, 90 % bad"))
    lab.claim(
        f"{split}: a few hundred clean pairs ({few_clean[0]:.0%}) beat thousands of which nine in ten are bad ({worst[0]:.0%})",
        few_clean[1] > worst[2],
    )
    lab.claim(
        f"{split}: they are as good as thousands of clean ones ({many_clean[0]:.0%}), less than 8 points apart",
        abs(few_clean[0] - many_clean[0]) < 0.08,
    )
    filtered = summary["90 % bad, filtered", split]
    lab.claim(
        f"{split}: the filter brings most of it back ({filtered[0]:.0%})",
        filtered[1] > worst[2] and filtered[0] - worst[0] > 0.5 * (many_clean[0] - worst[0]),
    )
