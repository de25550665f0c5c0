# %% [markdown]
# # 9. Mixing many tasks
#
# You will see how well a tuned model answers kinds of questions that it was never tuned on, drawn against the number
# of task types and of phrasings it *was* tuned on, with everything else held equal.
#
# About 2 minutes of computing on a laptop CPU (2 cores), 25 minutes of yours. Needs `out/base.pt`, which
# `python train_sft.py` writes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson09 as checks

import math
import random

import matplotlib.pyplot as plt

import world
from data import Row, Turn
from extras.audit import prompt_key
from extras.checkpoint import load_checkpoint
from generate import Assistant

# %% [markdown]
# ## Why mix at all
#
# A model tuned on one kind of question could learn just that kind. FLAN (Wei et al., 2021) and T0 (Sanh et al., 2021)
# tuned on dozens of tasks, each worded in several ways, and then asked for tasks that were in none of them. More tasks
# in the mixture gave better answers on unseen ones. That result made instruction tuning famous.
#
# Two things grow together in such a mixture: the number of kinds and the number of pairs. To learn which of them
# helps, keep the number of pairs and the number of steps the same while the number of kinds changes.
#
# ## Three chores of a mixture
#
# Real mixtures are lopsided. Here are three sources of very different size, all printed.

# %%
sizes = {"translation": 30000, "question answering": 3000, "SQL": 300}
for name, n in sizes.items():
    print(f"{name:<20}{n:>7} pairs {n / sum(sizes.values()):>7.1%} of all")

# %% [markdown]
# Drawing pairs in proportion to the sizes, nine of ten would be translations. Drawing from all sources equally, the
# three hundred SQL pairs would be repeated again and again. The middle way of T5 (Raffel et al., 2020), also FLAN's:
# in proportion to the size, but no source counts for more than a *cap*. FLAN's cap was 3,000.
#
# ### Exercise 9.1 (extend): rates with a cap, 5 minutes
#
# The rates say how often each source is drawn, so they must sum to one.
#
# <details><summary>Hint</summary>First limit every size, then divide by the sum of the <em>limited</em> sizes.</details>


# %%
def mixing_rates(sizes, cap):
    """{name: number of pairs} -> {name: share of the draws}. {"a": 900, "b": 100}, cap 300 -> {"a": 0.75, "b": 0.25}"""
    ### BEGIN SOLUTION
    limited = {name: min(n, cap) for name, n in sizes.items()}
    total = sum(limited.values())
    return {name: n / total for name, n in limited.items()}
    ### END SOLUTION


# %%
checks.mixing_rates(mixing_rates)
for cap in (100_000, 3000, 300):
    print(f"cap {cap:>7}:", ", ".join(f"{name} {rate:.0%}" for name, rate in mixing_rates(sizes, cap).items()))

# %% [markdown]
# A rate is a share; a batch holds whole pairs. Rounding each share by itself can give one pair too many or too few.
#
# ### Exercise 9.2 (extend): from rates to whole numbers, 7 minutes
#
# Give every source the whole part of `rate * n`. Then give what is left, one pair each, to the sources that lost the
# largest fractions. The numbers must sum to exactly `n`.
#
# <details><summary>Hint</summary><code>math.floor</code> gives the whole parts. Sort the names by the fraction that
# was cut off, largest first, and add one to the first few.</details>


# %%
def share_out(rates, n):
    """{name: share}, n -> {name: whole number}, n in all. {"a": 0.4, "b": 0.35, "c": 0.25}, 7 -> a 3, b 2, c 2"""
    ### BEGIN SOLUTION
    counts = {name: math.floor(rate * n) for name, rate in rates.items()}
    left = n - sum(counts.values())
    for name in sorted(rates, key=lambda name: counts[name] - rates[name] * n)[:left]:
        counts[name] += 1
    return counts
    ### END SOLUTION


# %%
checks.share_out(share_out)
print("one batch of 32:", share_out(mixing_rates(sizes, 3000), 32))

# %% [markdown]
# The third chore is the test set. Mixtures are collected from many places, so the same prompt comes twice, sometimes
# with another answer or other spacing. Six rows, in full:

# %%
toy = [
    Row((Turn("What is the capital of Peru?", "", "The capital of Peru is Lima."),)),
    Row((Turn("what is the capital of Peru", "", "Lima."),)),
    Row((Turn("Name the sum of 2 and 3.", "", "The sum of 2 and 3 is 5."),)),
    Row((Turn("Name the sum of 2 and 3.", "", "5."),)),
    Row((Turn("Who is in the note?", "Ann bought a cup.", "The name in the note is Ann."),)),
    Row((Turn("Who is in the note?", "Tom bought a hat.", "The name in the note is Tom."),)),
]
for row in toy:
    print(f"{prompt_key(row):<40} -> {row.turns[0].output}")

# %% [markdown]
# `prompt_key` keeps letters and digits of instruction and input, not case or marks. Rows with the same key are the
# same question: if one is tuned on, the other is no test any more.
#
# ### Exercise 9.3 (rebuild): split by prompt, not by row, 8 minutes
#
# The project does this for your own data in `load_mixture` (`extras/datasets.py`).
#
# <details><summary>Hint</summary>Draw from the sorted list of <em>different</em> keys; then send every row to the side
# of its key. Sorted, because the order of a set changes from one run of Python to the next.</details>


# %%
def split_by_prompt(rows, share, seed):
    """Returns (rows to tune on, held-out rows), both in the old order. `share` of the different prompts is held out (rounded
    down), drawn by random.Random(seed). Rows with the same prompt_key stay together."""
    ### BEGIN SOLUTION
    keys = sorted({prompt_key(row) for row in rows})
    held = set(random.Random(seed).sample(keys, int(share * len(keys))))
    return [row for row in rows if prompt_key(row) not in held], [row for row in rows if prompt_key(row) in held]
    ### END SOLUTION


# %%
checks.split_by_prompt(split_by_prompt)
for name, side in zip(("tune on", "held out"), split_by_prompt(toy, 0.5, seed=1)):
    print(f"{name:<9}", [row.turns[0].instruction for row in side])

# %% [markdown]
# ## The measurement
#
# Now the question of FLAN and T0, at the size of this project. The world has 52 task types to tune on and ten more
# that are held out. `pool` makes all pairs of one task, from the cases that may be tuned on and the phrasings at the
# given positions of the task's list. `mixture` takes the same number from every task, without repeating a pair.

# %%
base, tokenizer = lab.load_base()
splits = {name: lab.some(rows, 150) for name, rows in lab.load_world()[1].items()}
seen, _, _ = world.split_cases(random.Random(load_checkpoint(lab.OUT / "base.pt")["trained_on"]["seed"]))
tasks = [name for name in world.TASKS if name not in world.HELD_OUT]
print(f"{len(tasks)} task types to choose from, {len(world.HELD_OUT)} held out: {', '.join(world.HELD_OUT)}")


# %%
def ways(name):
    """All phrasings of a task that may be tuned on, each with the telling that answers it."""
    return [(frame, "") for frame in world.frames(world.TASKS[name])] + world.TASKS[name].asks


WAYS = min(len(ways(name)) for name in tasks)  # so many every task has


def pool(name, positions):
    return [world.case_pair(case, *ways(name)[i]) for case in seen[name] for i in positions]


def mixture(names, positions, n, rng):
    """n pairs of these tasks, as many of each as there are, one task after the other in turn."""
    pools = [rng.sample(pairs, len(pairs)) for pairs in (pool(name, positions) for name in names)]
    deepest = max(map(len, pools))
    dealt = [pairs[i] for i in range(deepest) for pairs in rng.sample(pools, len(pools)) if i < len(pairs)]
    return lab.world_rows(dealt[:n])


for row in mixture(["capital", "sum"], [0, 1], 4, random.Random(0)):
    print(row.task, row.turns[0])

# %% [markdown]
# Every model below is tuned from the same base for 32 steps of 16 pairs. In the first series there are 48 pairs, in the
# first ten phrasings, from 1, 2, 4, 8, 16 or all task types; in the second 320 pairs from all task types, in 1, 2, 4, 8
# or ten phrasings (so many every task has). Each seed draws other tasks, or other positions in the lists of phrasings.
#
# The base, with the template, scores this before any tuning:

# %%
untuned = {split: lab.right(Assistant(base, tokenizer, "alpaca"), rows)[0] for split, rows in splits.items()}
print(untuned)


# %%
def measure(names, positions, n, seed):
    """Tune on a mixture -> {split: [answered right?, ...]}"""
    rows = mixture(names, positions, n, random.Random(seed))
    assert not {prompt_key(row) for row in rows} & {prompt_key(row) for split in splits.values() for row in split}
    bot = lab.tune(base, tokenizer, rows, seed, steps=8 if lab.FAST else 32, batch=16)
    return {split: lab.marks(bot, held) for split, held in splits.items()}


# %% [markdown]
# **Predict** before you run on. Draw the curve on paper: share of *unseen tasks* answered right, with 1, 2, 4, 8, 16 and
# all task types. Does it start near zero? Where does it level off? And is the second curve, over phrasings, steeper?

# %%
by_tasks = {k: [] for k in (1, 2, 4, 8, 16, len(tasks))}
for seed in lab.SEEDS:
    order = random.Random(seed).sample(tasks, len(tasks))
    for k, found in by_tasks.items():
        found.append(measure(order[:k], range(WAYS), 48, seed))
    print(f"choice {seed} begins with: {', '.join(order[:4])}")

# %%
by_phrasings = {k: [] for k in (1, 2, 4, 8, WAYS)}
for seed in lab.SEEDS:
    order = random.Random(seed).sample(range(WAYS), WAYS)
    for k, found in by_phrasings.items():
        found.append(measure(tasks, order[:k], 320, seed))


# %%
def summary(found, split):
    """Results of all choices -> (mean, low, high), and the single shares."""
    marks = [result[split] for result in found]
    return lab.bootstrap(marks), [sum(some) / len(some) for some in marks]


for title, series in (("task types", by_tasks), ("phrasings", by_phrasings)):
    for split in ("unseen_tasks", "unseen_inputs", "unseen_phrasings"):
        print(f"\n{split} by {title}")
        for k, found in series.items():
            (mean, low, high), shares = summary(found, split)
            print(f"{k:>4}: {mean:.1%} ({low:.0%} to {high:.0%})   each choice:", *(f"{s:.0%}" for s in shares))

# %% [markdown]
# ## The picture
#
# Dots are single choices, lines are means, and bars are 95 % intervals, a bootstrap over choices and questions. Three
# choices say little about all that could have been drawn, so look at the dots as well.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
shown = (("unseen_tasks", "C0", "o"), ("unseen_inputs", "C1", "s"), ("unseen_phrasings", "C2", "^"))
for ax, series, title in zip(axes, (by_tasks, by_phrasings), ("task types, 48 pairs", "phrasings a task, 320 pairs")):
    for j, (split, color, marker) in enumerate(shown):
        at = [i + 0.15 * (j - 1) for i in range(len(series))]
        summaries = [summary(found, split) for found in series.values()]
        mean, low, high = zip(*(interval for interval, _ in summaries))
        gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
        ax.errorbar(at, mean, gaps, color=color, capsize=3, label=split.replace("_", " "))
        for x, (_, shares) in zip(at, summaries):
            ax.plot([x] * len(shares), shares, marker, color=color, markersize=5, alpha=0.5)
    ax.axhline(untuned["unseen_tasks"], color="gray", linestyle=":", label="base with the template, unseen tasks")
    ax.set(xticks=range(len(series)), xticklabels=series, xlabel=title, ylim=(-0.03, 1.03))
axes[0].set_ylabel("answered exactly right")
axes[1].legend(loc="center right")
figure.suptitle("Held-out questions against the breadth of the mixture (equal pairs, equal steps)")
plt.tight_layout()
plt.show()

# %% [markdown]
# ## What the curve says
#
# It rises, as FLAN's does, with the pairs and the steps held equal. Tuned on one task type the model answers next to no
# unseen task: it has learned to say *those* statements, whatever is asked. With two types the dots lie far apart: much
# depends on which ones were drawn. Four types bring more than half of the unseen tasks; from there on the curve rises
# slowly. Where it bends hangs on the base: an earlier one needed sixteen types to come nearly as far. With all of them
# most unseen tasks are answered, from the same 48 pairs. Over phrasings, with all task types in the mixture, the curve
# of unseen tasks is flat. (Asked in unseen phrasings it may rise a little with eight or ten; three choices lie too far
# apart to say.)
#
# What is learned from many types is what they have in common: take the name of what is asked for from the instruction,
# and tell what is known of it. The facts themselves the base has read, those of the held-out tasks too. FLAN's tasks
# were further apart, and its model had to be large before tuning helped on unseen tasks at all.
#
# ## Two questions
#
# **1.** In the left series the pairs were held at 48. Suppose each task brought 48 pairs of its own. Why would the
# curve then tell you less?
#
# <details><summary>Answer</summary>With more tasks come more pairs. If the curve rises, you cannot say whether the
# variety or the amount did it. One has to be held still.</details>
#
# **2.** Unseen inputs of all types are asked, even of the model tuned on one type. Does the left curve for unseen
# inputs then show how well a model does on inputs that are new *within its task*?
#
# <details><summary>Answer</summary>No. On the left of the picture most of these questions are of task types that
# this model was not tuned on. Only at the last point are all their types in the mixture.</details>
#
# ## Where this lives in the project
#
# `world.build` holds tasks out and draws at most 160 pairs a task, which is a cap; `world.frames` and
# `world.unseen_frames` are the two lists; `load_mixture` in `extras/datasets.py` splits by `prompt_key`. Try
# `python train_sft.py --hold-out NAMES` with names of your own.

# %%
means = {k: summary(found, "unseen_tasks")[0][0] for k, found in by_tasks.items()}
worst = {k: min(summary(found, "unseen_tasks")[1]) for k, found in by_tasks.items()}
phrased = [summary(found, "unseen_tasks")[0][0] for found in by_phrasings.values()]
lab.claim(
    f"at equal pairs and steps one task type brings little on unseen tasks ({untuned['unseen_tasks']:.0%} to {means[1]:.0%}), "
    f"all of them bring most of the answers ({means[len(tasks)]:.0%}, more than 30 points above)",
    means[1] < 0.25 and means[len(tasks)] > max(0.5, means[1] + 0.3),
)
lab.claim(
    f"the first four types bring most of it ({means[1]:.0%} to {means[4]:.0%}), all the others some more "
    f"({means[len(tasks)]:.0%}, more than 5 points)",
    means[4] - means[1] > means[len(tasks)] - means[4] > 0.05,
)
lab.claim(
    f"it guards against an unlucky choice: the worst with four types {worst[4]:.0%}, with all {worst[len(tasks)]:.0%}",
    worst[len(tasks)] > worst[4] + 0.1,
)
lab.claim(
    f"over phrasings the curve is flat: {min(phrased):.0%} to {max(phrased):.0%} (less than 10 points)",
    max(phrased) - min(phrased) < 0.10,
)
