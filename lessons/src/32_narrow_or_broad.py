# %% [markdown]
# # 32. Narrow or broad
#
# You will take a model that follows instructions of many kinds, tune it further on translation alone, and measure what
# it gains and what it forgets. Then you will try what is said to help: a low-rank adapter, and mixing old pairs in.
#
# About 2 minutes of computing on a laptop CPU (2 cores), 25 minutes of yours. Needs `out/base.pt`, which
# `python train_sft.py` writes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson32 as checks

import random
import re

import matplotlib.pyplot as plt

import world
from data import Row, Turn
from generate import Assistant, Sampling

# %% [markdown]
# ## Three things people call fine-tuning
#
# | | it learns from | to |
# | --- | --- | --- |
# | fine-tuning (narrow) | pairs of one task | do that task |
# | instruction tuning | pairs of many tasks | do what the instruction says |
# | RLHF (Ouyang et al., 2022) | a reward for its own answers | say what is preferred |
#
# That a network tuned on something new may lose something old is called catastrophic forgetting (McCloskey and Cohen,
# 1989). Below, every row of the table is run, the last one in a tiny form.
#
# The model that all start from: the base, tuned on all kinds of pairs.

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
STEPS = 8 if lab.FAST else 40
instructed = lab.tune(base, tokenizer, rows, steps=10 if lab.FAST else 80)
print(
    lab.ask(instructed, "What is the Korean word for moon?"), "|", lab.ask(instructed, "What is the capital of France?")
)

# %% [markdown]
# ## The narrow data
#
# Two versions of the same translation pairs. In the first the answers are statements, as in all other pairs. In the second
# they are *short*: "It is", and the translation. A service for one task would rather have those.


# %%
def is_translation(row):
    return row.task in world.TASKS and world.TASKS[row.task].kind == "translation"


def short(row):
    """'The Korean word for moon is 달.' -> 'It is 달.'"""
    question, context, _ = row.turns[0]
    return Row((Turn(question, context, "It is " + lab.statement_of(row)[1]),), row.task)


# %%
narrow = [row for row in rows if is_translation(row)]
narrow_short = [short(row) for row in narrow]
print(len(narrow), "pairs, such as")
for one, other in list(zip(narrow, narrow_short))[:4]:
    print(f"  {one.turns[0].instruction:<42} {one.turns[0].output:<62}{other.turns[0].output}")

# %% [markdown]
# Four groups of held-out questions. The first is translation, with the statement or the short answer counted as right, whichever
# the model was last tuned on. The other three are what may be forgotten.

# %%
held = splits["unseen_inputs"] + splits["unseen_phrasings"]
others = [row for row in held if not is_translation(row)]
groups = {
    "translation": [row for row in held if is_translation(row)],
    "texts": lab.some([row for row in others if row.turns[0].input], 100),
    "facts and forms": lab.some([row for row in others if not row.turns[0].input], 100),
    "unseen tasks": lab.some([row for row in splits["unseen_tasks"] if not is_translation(row)], 100),
}
print({name: len(asked) for name, asked in groups.items()})


# %%
def measure(bot, short_answers=False):
    """Returns {group: [answered right?, ...]}"""
    asked = groups | ({"translation": [short(row) for row in groups["translation"]]} if short_answers else {})
    return {name: lab.marks(bot, some) for name, some in asked.items()}


before = measure(instructed)
print({name: f"{sum(marks) / len(marks):.0%}" for name, marks in before.items()})

# %% [markdown]
# ## Replay
#
# The oldest remedy is to go on showing some of the old. Scialom et al. (2022) kept instruction-tuned models able
# to do their old tasks by mixing a small share of old examples into the new ones.
#
# ### Exercise 32.1 (extend): mix old rows in, 6 minutes
#
# `share` is of the whole mixture, not of the new rows: with 100 rows and a share of 0.1, 10 are old and 90 new. They must be
# shuffled, or the model ends on whichever came last.
#
# <details><summary>Hint</summary><code>rng.sample(rows, k)</code> draws k different rows. <code>rng.sample(both,
# len(both))</code> is a shuffled copy.</details>


# %%
def replay(new, old, n, share, rng):
    """Returns n different rows in random order: int(share * n) of the old, the others of the new ones."""
    ### BEGIN SOLUTION
    n_old = int(share * n)
    both = rng.sample(old, n_old) + rng.sample(new, n - n_old)
    return rng.sample(both, len(both))
    ### END SOLUTION


# %%
checks.replay(replay)
old = [row for row in rows if not is_translation(row)]
for row in replay(narrow_short, old, 6, 0.34, random.Random(0)):
    print(f"{row.task:<16}{row.turns[0].instruction:<52}{row.turns[0].output}")

# %% [markdown]
# ## What is lost
#
# Every arm goes on from the same instructed model for 40 steps of 16 rows, drawn from 200, with the project's learning
# rates. Three seeds.
#
# **Predict.** Which loses more, the statements or the short answers? What does the model say to "What is the
# capital of France?" after the short ones? Order the remedies: LoRA, a tenth of old pairs, a quarter of old pairs.

# %%
arms = {
    "statements": dict(new=narrow),
    "short": dict(new=narrow_short),
    "short, LoRA": dict(new=narrow_short, lora=8, lr=5e-3),
    "short, 10 % old": dict(new=narrow_short, share=0.1),
    "short, 25 % old": dict(new=narrow_short, share=0.25),
}
results, says, values = {arm: [] for arm in arms}, {}, {arm: [] for arm in arms}
old_facts = [row for row in groups["facts and forms"] + groups["unseen tasks"] if row.task not in world.RULES]


# %%
def go_on(model, seed, new, share=0.0, **how):
    """Tune a model further on 200 rows, a share of them old -> Assistant"""
    mixed = replay(new, old, 200, share, random.Random(seed))
    return lab.tune(model, tokenizer, mixed, seed, steps=STEPS, batch=16, **how)


def holds_value(bot):
    """One bool for each old question about a fact: does the right value stand in the reply, in whatever words?"""
    said = bot.answers(old_facts, Sampling())
    values = [lab.statement_of(row)[1].rstrip(".!") for row in old_facts]
    return [re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None for value, (text, _) in zip(values, said)]


# %%
for arm, how in arms.items():
    for seed in lab.SEEDS:
        bot = go_on(instructed.model, seed, **how)
        results[arm].append(measure(bot, short_answers="short" in arm))
        values[arm].append(holds_value(bot))
    says[arm] = lab.ask(bot, "What is the capital of France?")
    print(f"{arm:<16}{says[arm]}")


# %%
def show(name, found):
    cells = []
    for group in groups:
        mean, low, high = lab.bootstrap([result[group] for result in found])
        cells.append(f"{mean:>5.0%} ({low:.0%} to {high:.0%})")
    print(f"{name:<24}" + "".join(f"{cell:>19}" for cell in cells))


# %%
print(" " * 24 + "".join(f"{group:>19}" for group in groups))
show("before", [before])
for arm, found in results.items():
    show(arm, found)
print("\nThe right value stands in the reply to old facts, in whatever words:")
for arm, marks in ({"before": [holds_value(instructed)]} | values).items():
    print(f"{arm:<24}" + "{:>5.0%} ({:.0%} to {:.0%})".format(*lab.bootstrap(marks)))

# %%
figure, ax = plt.subplots(figsize=(9, 4))
for j, group in enumerate(groups):
    at = [i + 0.2 * (j - 1.5) for i in range(1 + len(arms))]
    found = [[before]] + list(results.values())
    mean, low, high = zip(*(lab.bootstrap([result[group] for result in some]) for some in found))
    gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
    ax.bar(at, mean, 0.18, color=f"C{j}", alpha=0.7, label=group)
    ax.errorbar(at, mean, gaps, fmt="none", color="black", capsize=2)
ax.set(xticks=range(1 + len(arms)), ylim=(0, 1.04), ylabel="answered exactly right")
ax.set_xticklabels(["before", *arms], fontsize=9)
ax.set_title("After further tuning on translation alone (bars: 95 % intervals)")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=4)
plt.tight_layout()
plt.show()

# %% [markdown]
# ## A reward in place of answers
#
# RLHF trains a reward model on people's preferences and then moves the language model towards answers with a high reward
# by reinforcement learning. We have neither people nor a reward model, but an exact checker. And in place of reinforcement
# learning we take the simplest thing that learns from rewards: let the model answer each question several times, keep its
# best answer, and tune on that. It is called best-of-n or rejection sampling; WebGPT (Nakano et al., 2021) compared
# it with reinforcement learning, and Llama 2 (Touvron et al., 2023) used it before its reinforcement learning.
#
# ### Exercise 32.2 (extend): keep the best, 7 minutes
#
# No written answer is used here. Where no answer has a reward above 0 there is nothing good to learn from.
#
# <details><summary>Hint</summary><code>max</code> with a <code>key</code> gives the first of those that are equal.
# A row is <code>Row((Turn(question, input, answer),), task)</code>.</details>


# %%
def keep_best(rows, candidates, reward):
    """rows, [[answers of the model to row 0], ...], reward(row, answer) -> number
    -> for each row with a reward above 0: a Row of its question and the first of its answers with the highest reward"""
    ### BEGIN SOLUTION
    out = []
    for row, answers in zip(rows, candidates):
        question, context, _ = row.turns[0]
        best = max(answers, key=lambda answer: reward(row, answer))
        if reward(row, best) > 0:
            out.append(Row((Turn(question, context, best),), row.task))
    return out
    ### END SOLUTION


# %%
checks.keep_best(keep_best)


# %%
def reward(row, answer):
    return float(world.check(row.task, row.turns[0].output, answer))


def sampled(bot, asked, seed, n=4):
    """Returns for each row n answers at temperature 1"""
    draws = [bot.answers(asked, Sampling(temperature=1.0, seed=n * seed + i)) for i in range(n)]
    return [[text.strip() for text, _ in answers] for answers in zip(*draws)]


table = {
    "base, untuned": [measure(Assistant(base, tokenizer, "alpaca"))],
    "narrow fine-tuning": [],
    "instruction tuning": [before],
}
table["instructed, then narrow"], table["instructed, then best-of-4"] = results["statements"], []
chance = []  # the share of sampled answers that get the reward, before and after
for seed in lab.SEEDS:
    table["narrow fine-tuning"].append(measure(go_on(base, seed, narrow)))
    asked = lab.some(rows, 160, seed)
    candidates = sampled(instructed, asked, seed)
    best = keep_best(asked, candidates, reward)
    rewarded = lab.tune(instructed.model, tokenizer, best or asked, seed, steps=STEPS, batch=16)
    table["instructed, then best-of-4"].append(measure(rewarded))
    again = sampled(rewarded, asked, seed + 10)
    chance.append(
        [sum(reward(r, a) for r, some in zip(asked, c) for a in some) / (4 * len(asked)) for c in (candidates, again)]
    )

# %% [markdown]
# **Predict** the table before you run the next cell. Can a model that learned only from its own answers get better?

# %%
print(" " * 24 + "".join(f"{group:>19}" for group in groups))
for name, found in table.items():
    show(name.replace("instructed, then ", "instructed + "), found)
earlier, later = (sum(column) / len(chance) for column in zip(*chance))
print(f"\nsampled at temperature 1, right on the questions it was rewarded on: {earlier:.1%} before, {later:.1%} after")

# %% [markdown]
# ## What it says
#
# *Manner, not subject.* Tuned on translation with the same kind of statement as before, the model loses a good part. Tuned on
# the short manner it says "It is" and some word, whatever it is asked. That is not only a form which the checker refuses:
# the right value hardly ever stands in the reply. One reason may be that "The capital of France is" repeats what was asked
# before the value is due, and "It is" does not. Translation, too, comes out far worse than with whole statements.
#
# *Remedies.* A tenth of old pairs is not enough here; a quarter brings back a part, and how much differs widely between the
# seeds. Replay has to outweigh what the new pairs seem to say, which is "always answer like this". The adapter saved
# nothing. Biderman et al. (2024) found that LoRA learns less and forgets less; at this learning rate this adapter learned as
# much as full tuning and forgot as much. (Lesson 8 shows the whole curve.) What LoRA always offers is another thing: taken
# off, the old model is back, exactly.
#
# *The table.* Narrow tuning of the base, in the manner of statements, answers some questions about texts and next to
# nothing else that is not translation; instruction tuning answers most. Best-of-4 makes right answers likelier when
# the model samples. With greedy decoding nothing is gained, and some is lost in this run: the likeliest answer was
# mostly right before, and the model's own samples hold nothing that it could not say already.
#
# ## Two questions
#
# **1.** A customer wants only short translations. Would you tune with replay, or use an adapter?
#
# <details><summary>Answer</summary>An adapter of its own, put on for this customer only: the other questions never meet
# it, so nothing is forgotten. Replay is for one model that must do both.</details>
#
# **2.** Our reward is an exact checker. What changes when the reward is a model of what people prefer?
#
# <details><summary>Answer</summary>It can be wrong, and the tuned model will find out where: answers get better by the
# reward and worse in truth. That is why RLHF keeps the model near the one that it started from (Ouyang et al.,
# 2022).</details>
#
# ## Where this lives in the project
#
# `add_lora` in `model.py`, `python train_sft.py --lora 8`; `Sampling` and `pick` in `generate.py` draw the answers;
# `world.check` is the reward. Replay and best-of-n are not in the project, nor is RLHF.

# %%
old_groups = [group for group in groups if group != "translation"]


def kept(found):
    """All questions that may be forgotten, all seeds together -> (mean, low, high)"""
    return lab.bootstrap([sum((result[group] for group in old_groups), []) for result in found])


# %%
for arm, found in ({"before": [before]} | results).items():
    print(f"{arm:<16} old questions still answered: {'{:.0%} ({:.0%} to {:.0%})'.format(*kept(found))}")
lab.claim("another manner, learned on one task, is answered everywhere: more is lost than with statements",
          kept(results["short"])[2] < kept(results["statements"])[1])
lab.claim("a quarter of old pairs saves a part of it", kept(results["short, 25 % old"])[1] > kept(results["short"])[2])
lab.claim("the adapter alone, at the project's learning rate, does not save as much as that replay",
          kept(results["short, LoRA"])[2] < kept(results["short, 25 % old"])[1])
lab.claim("best-of-4 makes right answers likelier in sampling", later > earlier)
