# %% [markdown]
# # 10. Data: good and bad
#
# Which pairs should you fine-tune on, and how many? You read and grade twenty real ones, write
# rules that find bad rows, spoil pairs on purpose and measure the cost, and build a filter that
# needs no rules.
#
# Reading 15 minutes, grading and exercises 45, computing 4.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import re

import lab
import torch.nn.functional as F
import world
from checks import lesson10 as checks
from data import Row, Turn
from experiments import lesson10
from experiments.lesson09 import show_errors
from model import IGNORE

base, tokenizer = lab.load_base()

# %% [markdown]
# ## Where pairs come from
#
# - **FLAN** (Wei et al. 2021): public data sets, each row put into one of about ten instruction
#   templates of its set. Cheap and large, but many answers are bare labels.
# - **InstructGPT** (Ouyang et al. 2022): prompts written mostly by about forty hired people, the
#   others sent by users. These people also wrote the answers, following guidelines.
# - **Alpaca** (Taori et al. 2023): 52,000 pairs written by OpenAI's text-davinci-003, from 175 seed
#   tasks by people. Cheap, with many errors. The data may not be used commercially.
# - **Dolly** (Conover et al. 2023): 15,000 pairs written by the employees of a company, under a
#   free license.
# - **LIMA** (Zhou et al. 2023): 1,000 pairs chosen with great care. Its authors argue that a
#   model's knowledge comes from pretraining, so that tuning needs few but good examples.
# - **AlpaGasus** (Chen et al. 2023): a model graded Alpaca's pairs, and the best sixth or so did
#   better than all of them.
#
# "Dolly against Alpaca" is often described as quality against quantity. It tests no such thing,
# because the two differ in authors, tasks and size at once. Wang et al. (2023, "How Far Can Camels
# Go?") tuned equal models on twelve sets, and no set was best at everything. Below we change one
# thing at a time.
#
# ## Read twenty pairs
#
# The first ten are from Dolly, unchanged (CC BY-SA 3.0, see `lessons/experiments/DATA.md`). We
# picked good and bad ones, so they say nothing about the share of errors. The other ten are this
# project's own, from `gemma/pairs.jsonl`.
#
# **Read them all.** Grade each one: 3 good, 2 fair, 1 poor. Would you want a model to answer like
# this, a thousand times?

# %%
real = lesson10.read_rows()
lesson10.show_rows(real)

# %%
my_grades = {}  # number of a row: your grade, for example {0: 3, 1: 2}
lesson10.show_grades(real, my_grades)

# %% [markdown]
# Now sort the poor ones by reason, and write two sentences.
#
# <details><summary>A model answer</summary>
#
# "The poor rows fail in form (a field in the wrong place, an answer that is the input), or in
# content (a doubtful fact, an opinion without a reason). Form can be seen without knowing anything,
# content cannot." The own pairs also differ from Dolly in one voice: nearly all are short whole
# sentences. A model imitates the voice as well as the facts.
#
# </details>
#
# ### Exercise 10.1: complaints (extend, ★★, 10 minutes)
#
# Write the rules that need no knowledge.
#
# <details><summary>Hint</summary>
#
# `re.sub(r"\[\d+\]", "", text)` removes the marks of citations. Compare the words, `text.split()`,
# so that spaces do not count.
#
# </details>


# %%
def complaints(row):
    """Return a set of names of what is wrong with a row, a dict with "instruction", "input" and
    "output": "link" if the instruction begins with "http", "copied" if the answer is the input
    (apart from spaces and marks of citations like [2]), "bare" if the answer has fewer than three
    words, "brackets" if the answer has not as many "(" as ")".

    "When?", "In 1861. [1]", "In 1861." -> {"bare", "copied"}"""
    ### BEGIN SOLUTION
    answer, names = row["output"], set()
    if row["instruction"].startswith("http"):
        names.add("link")
    text = re.sub(r"\[\d+\]", "", row["input"])
    if text.split() and text.split() == answer.split():
        names.add("copied")
    if len(answer.split()) < 3:
        names.add("bare")
    if answer.count("(") != answer.count(")"):
        names.add("brackets")
    return names
    ### END SOLUTION


# %%
checks.complaints(complaints)
lesson10.show_complaints(real, complaints)

# %% [markdown]
# Rules are cheap and see only form. A doubtful fact passes, and a label that is right for its task
# is called bare.
#
# ## Too alike
#
# Alpaca was made by *Self-Instruct* (Wang et al. 2023): show a large model a few instructions, let
# it continue the list, let it answer its own instructions, and keep what passes a filter. A new
# instruction is kept only if its ROUGE-L with all kept ones is below 0.7. ROUGE-L (Lin 2004) counts
# the longest common *subsequence*: the most words that both have in the same order, gaps allowed.
# The same measure finds test questions that leaked into training data.
#
# ### Exercise 10.2: how alike are two instructions? (extend, ★★★, 12 minutes)
#
# <details><summary>Hint</summary>
#
# Keep a row of numbers: best[j] is the length of the longest common subsequence of the words of
# `first` read so far and the first j words of `second`. A new word that equals `second[j - 1]`
# gives one more than the *old* best[j - 1]. Otherwise keep the larger of best[j] and its left
# neighbor.
#
# </details>


# %%
def overlap(first, second):
    """Compare two lists of words. Returns 2 * (length of their longest common subsequence) /
    (len(first) + len(second)), 0 if both are empty.

    [a, b, c, d], [a, x, c] -> the subsequence is [a, c]: 4 / 7"""
    ### BEGIN SOLUTION
    best = [0] * (len(second) + 1)
    for word in first:
        new = [0]
        for j, other in enumerate(second):
            new.append(best[j] + 1 if word == other else max(best[j + 1], new[j]))
        best = new
    return 2 * best[-1] / max(1, len(first) + len(second))
    ### END SOLUTION


# %%
checks.overlap(overlap)
rows, splits = lab.load_world()
rows = [row for row in rows if row.task in world.TASKS]
lesson10.show_alike([row.turns[0].instruction for row in rows[:100]], overlap)

# %% [markdown]
# In a world of short questions, similar wording may ask for different things, so a limit of 0.7
# throws away good rows. A threshold belongs to its data.
#
# ## Spoil the data
#
# Now we spoil pairs of the built-in world ourselves, so we know which are bad. There are three
# ways. *Swapped* is a good answer to another question of the same task. *Cut* lacks its second
# half, as when an answer runs into a length limit. *Empty* is a full stop and nothing else.
#
# ### Exercise 10.3: a wrong answer that looks right (extend, ★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# List the answers of the rows with the same `task` that differ from this row's answer, in the order
# of the rows, and draw one. A set has a different order in every Python process, so a draw from it
# could not be repeated.
#
# </details>


# %%
def swapped(rows, i, rng):
    """Return a new Row: rows[i] with the answer of another row of its task, drawn by rng.choice
    from all answers that differ from its own. Returns rows[i] itself if there is none.

    (q1, x1, a1), (q2, x2, a2) -> for i = 0: (q1, x1, a2)"""
    ### BEGIN SOLUTION
    row = rows[i]
    question, context, answer = row.turns[0]
    others = []
    for other in rows:
        if other.task == row.task and other.turns[0].output != answer:
            others.append(other.turns[0].output)
    if not others:
        return row
    return Row((Turn(question, context, rng.choice(others)),), row.task, row.source)
    ### END SOLUTION


# %%
checks.swapped(swapped)
spoiled_rows, kinds = lesson10.spoil(rows, 0.5, 1, swapped)
for row, kind in list(zip(spoiled_rows, kinds))[:6]:
    print(f"{kind:<8} {row.turns[0].instruction}  ->  {row.turns[0].output}")

# %% [markdown]
# ## A filter by loss
#
# A rule finds cut and empty answers. A swapped answer is a good sentence: to find it you must look
# at question and answer together. A *judge* can, here a model tuned on a few pairs that we trust.
# Where the mean loss of an answer's tokens is high, the pair is suspect.
#
# `model(inputs, targets)` adds up a whole batch, so it cannot tell the rows apart.
# `F.cross_entropy(logits, targets, reduction="none")` gives one number for each position (0 where
# the target is IGNORE). It wants logits of shape (n, V) and targets of shape (n,).
#
# ### Exercise 10.4: one loss for each row (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# Flatten to (B * T, V) and (B * T,), bring the losses back to (B, T), sum each row, and divide by
# how many of *that row's* targets are supervised.
#
# </details>


# %%
def row_losses(logits, targets):
    """Return the mean of -log p(target) over each row's supervised targets, (B,), from logits
    (B, T, V) and targets (B, T) with IGNORE."""
    ### BEGIN SOLUTION
    losses = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="none"
    )  # (B * T,)
    losses = losses.view(targets.shape)  # (B, T)
    n_supervised = (targets != IGNORE).sum(1)  # (B,)
    return losses.sum(1) / n_supervised  # (B,)
    ### END SOLUTION


# %%
checks.row_losses(row_losses)

# %% [markdown]
# We trust 320 pairs: *the few*. The judge is tuned on 256 of them. The other 64 set the limit: a
# loss above that of 95 in 100 of *these* is too high. *The many* are 1,280 other pairs.

# %%
STEPS = 8 if lab.FAST else 40
few, many = rows[:320], lab.subset(rows[320:], 1280)
judge = lab.tune(base, tokenizer, few[:256], steps=STEPS, batch=16)
limit = sorted(lesson10.answer_losses(judge, few[256:], row_losses))[int(0.95 * 64)]


def spoiled(share, seed, *ways):
    return lesson10.spoil(many, share, seed, swapped, ways or ("swapped", "cut", "empty"))


def filtered(rows):
    losses = lesson10.answer_losses(judge, rows, row_losses)
    keep = [loss <= limit and not lesson10.is_broken(row) for row, loss in zip(rows, losses)]
    return losses, keep


noisy, kinds = spoiled(0.9, 0)
losses, keep = filtered(noisy)
lesson10.show_filter(losses, kinds, keep, limit)

# %% [markdown]
# ## Quality against quantity
#
# In the first group every model gets 40 steps of 16 pairs: it sees the few twice, or half of the
# many once. So the work is equal. In the group "full" the steps are enough for one *epoch* of the
# many, a pass over all of them. Each *arm*, one variant of the experiment, has three seeds, each
# with different noise. Answers are decoded greedily: the likeliest token wins.
#
# *Predict* the fraction of unseen inputs answered right, of three arms.

# %%
lab.predict("10: few, clean", ...)
lab.predict("10: many, 90% bad", ...)
lab.predict("10: 90% bad, filtered", ...)


# %%
def kept(seed):
    """Return what the filter keeps of the pairs of which 90% are bad."""
    rows = spoiled(0.9, seed)[0]
    return [row for row, good in zip(rows, filtered(rows)[1]) if good] or few


EPOCH = len(many) // 16
arms = {  # steps, the pairs of a seed
    "few, clean": (STEPS, lambda seed: few),
    "many, clean": (STEPS, lambda seed: many),
    "60% swapped": (STEPS, lambda seed: spoiled(0.6, seed, "swapped")[0]),
    "60% cut": (STEPS, lambda seed: spoiled(0.6, seed, "cut")[0]),
    "many, 90% bad": (STEPS, lambda seed: spoiled(0.9, seed)[0]),
    "90% bad, filtered": (STEPS, kept),
    "full: few, clean": (EPOCH, lambda seed: few),
    "full: many, clean": (EPOCH, lambda seed: many),
    "full: many, 90% bad": (EPOCH, lambda seed: spoiled(0.9, seed)[0]),
}
held = {name: lab.subset(splits[name], 60) for name in ("unseen_inputs", "unseen_tasks")}
results, models = lesson10.run_arms(base, tokenizer, arms, held)
summary = lesson10.show_arms(results)

# %%
for arm in ("few, clean", "many, 90% bad", "90% bad, filtered"):
    lab.compare(f"10: {arm}", summary[arm, "unseen_inputs"][0])
lesson10.verdicts(results)

# %% [markdown]
# *Swapped against cut* asks whether greedy decoding forgives errors. Wrong answers that disagree
# share no likeliest token, so the right one can still win. Errors that are all alike, such as an
# early end, add up. The verdict says whether that shows here. *Filtered against few* is the honest
# test of a filter: it was built from trusted pairs, and you could have tuned on those directly.
#
# **Read ten errors** of a model that was tuned on mostly bad pairs. Sort them, and write two
# sentences.

# %%
show_errors(models["many, 90% bad"], held["unseen_inputs"])

# %% [markdown]
# <details><summary>A model answer</summary>
#
# "The model makes the errors of its data: replies that are empty, that end too early, or that state
# another fact. One kind may crowd out the others. The first two are form, and a rule finds them in
# the data. The third needs a judge."
#
# </details>
#
# > **What to remember**
# >
# > - Read your data. Rules find broken form, and a wrong fact looks like a right one.
# > - A few hundred clean pairs beat four times as many that are mostly bad, also with more steps.
# > - A filter needs something trusted. Compare it with tuning on the trusted pairs alone.
#
# ## Two questions
#
# **1.** Our swapped answers are about another thing ("The capital of Italy is Rome." to a question
# about France). Suppose they were "The capital of France is Rome." Which parts of the filter could
# still find them?
#
# <details><summary>Answer</summary>
#
# Not the rule, since the answer is a whole sentence. The judge can, if the base knows the fact. But
# the loss is high at one token of many, so the mean hides it. The largest loss of a row's tokens
# would show it better.
#
# </details>
#
# **2.** Why is the limit set on pairs that the judge was not tuned on?
#
# <details><summary>Answer</summary>
#
# Their loss is higher than that of pairs it was tuned on. A limit from those would be too low, and
# good pairs would be thrown out.
#
# </details>
#
# ## Where this lives in the project
#
# `common/audit.py` counts the rows that cannot be used, and `python data.py FILE` prints them.
# `extras/overlap.py` finds rows that are too alike. `extras/datasets.py` reads the files of Alpaca,
# Dolly and others. The measuring code is in `lessons/experiments/lesson10.py`.


# %%
def ahead(first, second):
    """Return the lower end of the difference between two arms, the lower of both splits."""
    names = results[first]
    return min(lab.difference(results[first][name], results[second][name])[1] for name in names)


lab.claim(
    "a few clean pairs beat four times as many that are mostly bad, in equal steps",
    ahead("few, clean", "many, 90% bad") > 0,
)
lab.claim(
    "a few clean pairs beat a whole epoch over four times as many that are mostly bad",
    ahead("few, clean", "full: many, 90% bad") > 0,
)
lab.claim(
    "a filter built from the few trusted pairs brings right answers back",
    ahead("90% bad, filtered", "many, 90% bad") > 0,
)
