# %% [markdown]
# # 9. Mixing: narrow or broad
#
# Does a model learn more from many kinds of question or from few? You draw mixtures of one, four,
# sixteen and all task types, hold everything else equal, and ask about tasks that were in none of
# them. Then you fine-tune a finished model on one task alone, find out whether it forgets the
# others, and test three remedies.
#
# Reading 15 minutes, exercises 40, computing 3. The open task takes another 30.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import random
import re

import lab
import world
from checks import lesson09 as checks
from experiments import lesson09
from generate import Assistant

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
pools = lesson09.make_pools()  # {task: all its pairs}
print(f"{len(pools)} task types to tune on. Held out: {', '.join(world.HELD_OUT)}")

# %% [markdown]
# ## Why mix at all
#
# *Fine-tuning* goes on training a pretrained model on a smaller set. Fine-tune on one task and you
# get a specialist. FLAN (Wei et al. 2021) and T0 (Sanh et al. 2021) fine-tuned on dozens of tasks
# at once, each phrased as an instruction, and then asked about tasks that were *held out*, in no
# pair at all. More tasks in the mixture gave better answers on unseen ones. That result made
# *instruction tuning* known.
#
# Two things grow together in such a mixture: the number of task types and the number of pairs. To
# learn which of them helps, we keep pairs and steps equal and change only the number of types.
#
# ## What has the base read?
#
# "Unseen" means in no pair. The base has read a lot before. *Predict*: does its corpus state facts
# of the held-out tasks? Does it ask for them?

# %%
n_asked = lesson09.show_reading(40 if lab.FAST else 300)
if n_asked == 0:
    print("\nFound: the corpus states the facts of held-out tasks and never asks for one.")
else:
    print(f"\nFound: {n_asked} documents ask for a fact of a held-out task.")

# %% [markdown]
# So the base knows these facts and has seen questions of other tasks, mostly of the same form
# ("What is the ... of ...?"). Tuning has to carry over *answering* from the tasks in the mixture to
# the others.
#
# ## Proportions and caps
#
# Real mixtures join data sets of very different sizes. Two simple rules fail. In proportion to
# size, one huge set drowns the others. In equal parts, a tiny set is repeated until the model has
# learned it by heart. That is *overfitting*: training loss falls while held-out answers get worse.
#
# FLAN takes a middle way, examples-proportional mixing (Raffel et al. 2020, "T5"). A set's *rate*
# is its size, but sizes above a cap count as the cap. FLAN took at most 30,000 examples of each
# data set, and set the cap of the rates to 3,000. So no set is drawn more often than one with 3,000
# examples. The project's world does the simplest form of this: it limits the pairs of each task.
#
# ### Exercise 9.1: mixing rates (extend, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# Cut every size with `min(size, cap)`. Divide by the sum of the cut sizes, not of the full ones.
#
# </details>


# %%
def rates(sizes, cap):
    """Return {name: share of the mixture} from {name: number of examples}. A size above the cap
    counts as the cap. The shares sum to 1.

    {"a": 100, "b": 300, "c": 9000}, 600 -> {"a": 0.1, "b": 0.3, "c": 0.6}"""
    ### BEGIN SOLUTION
    counted = {}
    for name, size in sizes.items():
        counted[name] = min(size, cap)
    total = sum(counted.values())
    return {name: size / total for name, size in counted.items()}
    ### END SOLUTION


# %%
checks.rates(rates)
sizes = {"translation": 30_000, "questions": 8_000, "sentiment": 2_000, "stories": 400}  # made up
for cap in (30_000, 3_000, 400):
    shares = rates(sizes, cap)
    print(f"cap {cap:>6,}: " + "  ".join(f"{name} {share:5.1%}" for name, share in shares.items()))

# %% [markdown]
# The largest cap is "in proportion to size", and a cap at the smallest set is "equal parts".
#
# ### Exercise 9.2: draw a mixture (extend, ★★, 10 minutes)
#
# Our experiment needs equal parts: as many pairs of each type as possible. Types differ in size,
# and n need not be divisible by the number of types.
#
# <details><summary>Hint</summary>
#
# Shuffle copies of the pools (`rng.sample(pool, len(pool))`). Then deal them like cards: one row of
# each pool that still has some, again and again, until there are n. In each round take the pools in
# a new random order, or the last tasks always lose.
#
# </details>


# %%
def mixture(pools, n, rng):
    """Draw n rows from {task: rows}, none twice, as many of every task as possible: numbers differ
    by at most one, unless a task has no more rows. rng draws the rows, and who gives one more.

    {"a": [1, 2], "b": [3, 4, 5, 6, 7, 8]}, 6 -> for example [1, 5, 2, 7, 3, 8]: two of a, four of b
    """
    ### BEGIN SOLUTION
    left = [rng.sample(pool, len(pool)) for pool in pools.values()]
    result = []
    while len(result) < n:
        for pool in rng.sample(left, len(left)):
            if pool and len(result) < n:
                result.append(pool.pop())
    return result
    ### END SOLUTION


# %%
checks.mixture(mixture)
for row in mixture({name: pools[name] for name in ("capital", "sum")}, 4, random.Random(0)):
    print(f"{row.task:<8} {row.turns[0].instruction}  ->  {row.turns[0].output}")

# %% [markdown]
# ## The curve
#
# One *draw* puts the task types in a random order. Then a fresh copy of the base is tuned on 48
# pairs of the first type, another on 48 pairs of the first four, and so on. All get the same number
# of steps. We repeat the draw five times, because it may matter which types come first.
#
# ### Exercise 9.3: the breadth loop (extend, ★★, 10 minutes)
#
# <details><summary>Hint</summary>
#
# Draw the order once, before the loop: `random.Random(seed).sample(list(pools), len(pools))`.
# Inside the loop make a smaller dictionary of pools. n stays the same for every k.
#
# </details>


# %%
def breadth(pools, kinds, n, seed, mix, tune, ask):
    """Tune one model for each number k of task types. Returns {k: what `ask` returns}.

    All k use one random order of the tasks, and take the first k of it. mix(pools, n, rng) draws n
    rows, with random.Random(seed) for every k. tune(rows, seed) returns a new model and
    ask(model) its results.

    kinds (1, 4) -> {1: ask(model tuned on n rows of one task), 4: ask(... of four tasks)}"""
    ### BEGIN SOLUTION
    order = random.Random(seed).sample(list(pools), len(pools))
    results = {}
    for k in kinds:
        chosen = {name: pools[name] for name in order[:k]}
        rows = mix(chosen, n, random.Random(seed))
        results[k] = ask(tune(rows, seed))
    return results
    ### END SOLUTION


# %%
checks.breadth(breadth)

# %% [markdown]
# This is little tuning, so that twenty models fit into a lesson. *Predict* before you go on: the
# fraction of unseen tasks answered right with one type, and with all types.

# %%
lab.predict("9: unseen tasks, one type", ...)
lab.predict("9: unseen tasks, all types", ...)

# %%
KINDS = (1, 4, 16, len(pools))
held = lab.subset(splits["unseen_tasks"], 100)
curve = lesson09.run_curve(base, tokenizer, pools, KINDS, held, breadth, mixture)
untuned = lab.accuracy(Assistant(base, tokenizer, "alpaca"), held)[0]
lesson09.show_curve(curve, untuned)

# %%
one_type, all_types = (lab.bootstrap(curve[k]) for k in (1, KINDS[-1]))
lab.compare("9: unseen tasks, one type", one_type[0])
lab.compare("9: unseen tasks, all types", all_types[0])
lesson09.curve_findings(curve)

# %% [markdown]
# Where the curve rises, breadth alone did it, since pairs and steps never changed. In FLAN more
# groups of tasks also brought more pairs. Each dot is a draw, of pairs and (except with all) of
# types. Five draws say little about the spread. What all types share is the form: take from the
# instruction what it asks for, and state it. FLAN's tasks were further apart, and its models had to
# be large before unseen tasks gained.
#
# **Read ten errors** of a model tuned on four types. Sort them, and write two sentences about what
# goes wrong.

# %%
four = {name: pools[name] for name in random.Random(0).sample(list(pools), 4)}
print("tuned on:", ", ".join(four), "\n")
model = lesson09.tune(base, tokenizer, mixture(four, 48, random.Random(0)), 0)
lesson09.show_errors(model, held)

# %% [markdown]
# <details><summary>A model answer</summary>
#
# "I sorted the errors by the first place where a reply leaves the right one: the statement of a
# task that the model was tuned on, the right beginning with a wrong value, or the right statement
# that goes on. The first and the last are about *how* to answer, which other tasks can teach. Only
# the second can be missing knowledge, and I would test it by letting the base complete the same
# statement." Your kinds and counts will differ. The point is to separate form from knowledge.
#
# </details>
#
# ## Narrow tuning
#
# Now the other way round. The main job's tuned model answers all types. We go on tuning it on
# translation alone, in three styles: the same statements as before, statements that begin with
# "Sure!", and short answers. A network that learns something new may lose something old. This is
# *catastrophic forgetting* (McCloskey and Cohen 1989).

# %%
translations = [row for row in rows if lesson09.is_translation(row)]
others = [row for row in rows if row.task in pools and not lesson09.is_translation(row)]
print(translations[0].turns[0].instruction)
for style in lesson09.STYLES:
    print(f"{style:<6} -> {lesson09.restyle(translations[0], style).turns[0].output}")

# %% [markdown]
# Three remedies. *Replay* goes on showing some old pairs: Scialom et al. (2022) kept old abilities
# by replaying a hundredth of the old examples. *LoRA* (lesson 8) trains a small correction and
# leaves the weights alone, and people often recommend it against forgetting. And an adapter can be
# switched off.
#
# ### Exercise 9.4: replay (extend, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# `rng.sample(rows, k)` draws k different rows. The share is of the whole mixture, not of the new
# rows, and `int` rounds down.
#
# </details>


# %%
def replay(new, old, n, share, rng):
    """Draw a list of n different rows: int(share * n) of the old ones, the others of the new ones.

    n = 40, share = 0.25 -> 10 old, 30 new"""
    ### BEGIN SOLUTION
    n_old = int(share * n)
    return rng.sample(old, n_old) + rng.sample(new, n - n_old)
    ### END SOLUTION


# %%
checks.replay(replay)

# %% [markdown]
# "Is it still right?" is too coarse. A model that says "Sure! The capital of France is Paris." gets
# zero from a strict checker. So the old questions, which no pair asks, are scored in four ways. You
# write three of them:
#
# - **right**: exactly the old statement, and the model stopped.
# - **new style**: the reply begins as the new pairs do.
# - **value**: the right value is somewhere in the reply, as a whole word.
# - **completed**: we write the beginning of the right statement after the template ("The capital of
#   France is"), and the model completes it. That asks what it *knows*, not what it does when asked.
#
# ### Exercise 9.5: three scores of a reply (extend, ★★, 10 minutes)
#
# <details><summary>Hint</summary>
#
# `world.check(row.task, answer, text)` compares strictly. For a whole word that may contain spaces
# or signs use `re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text)`. Every text starts with `""`,
# so a style without an opening needs a test of its own.
#
# </details>


# %%
def reply_scores(row, text, stopped, value, opening):
    """Score a reply to row.turns[0]. Returns {"right": bool, "new style": bool, "value": bool}.
    If `opening` is "", nothing is in the new style.

    "Sure! The capital of France is Paris.", True, "Paris", "Sure! " -> False, True, True"""
    ### BEGIN SOLUTION
    text = text.strip()
    right = stopped and world.check(row.task, row.turns[0].output, text)
    new_style = opening != "" and text.startswith(opening)
    whole_word = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text)
    return {"right": right, "new style": new_style, "value": whole_word is not None}
    ### END SOLUTION


# %%
checks.reply_scores(reply_scores)

# %% [markdown]
# *Predict*, after tuning with "Sure!": what fraction is right, and what fraction is completed?

# %%
lab.predict("9: Sure!, right", ...)
lab.predict("9: Sure!, completed", ...)

# %%
ARMS = {  # style, share of old pairs, rank of the adapter (0: full tuning)
    "same": ("same", 0, 0),
    "sure": ("sure", 0, 0),
    "sure, replay": ("sure", 0.25, 0),
    "sure, LoRA": ("sure", 0, 8),
    "short": ("short", 0, 0),
    "short, replay": ("short", 0.25, 0),
}
tuned = lesson09.load_tuned()
results = lesson09.run_arms(tuned, ARMS, translations, others, splits, replay, reply_scores)
scores = lesson09.show_scores(results)

# %%
lab.compare("9: Sure!, right", scores["sure", "right"][0])
lab.compare("9: Sure!, completed", scores["sure", "completed"][0])
lesson09.narrow_findings(results)

# %% [markdown]
# Five old questions, and what two of the narrow models reply:

# %%
lesson09.show_replies(results, splits)

# %% [markdown]
# Where *right* is gone and *completed* has hardly fallen, the model has forgotten little: it has
# another habit. A strict checker counts the form against it. Do the replies above still answer the
# question?
#
# Replay has to outweigh what the new pairs seem to say, "always answer like this". An adapter is
# trained on the same pairs, so it learns the same habit. What it offers is a switch: turn it off,
# and you have the old weights.
#
# > **What to remember**
# >
# > - At equal pairs and steps, the number of task types matters. Mix many.
# > - In a mixture of data sets cap the large ones, or they drown the small ones.
# > - Narrow tuning changes habits first. Test knowledge and form apart, replay old pairs, or keep
# >   the change in an adapter that you can switch off.
#
# ## Two questions
#
# **1.** Suppose each task type brought 48 pairs of its own to the curve. Why would the curve tell
# you less?
#
# <details><summary>Answer</summary>
#
# With more types come more pairs and steps. If the curve rises, you cannot say whether variety or
# amount did it.
#
# </details>
#
# **2.** A customer wants only short translations. Replay, or an adapter?
#
# <details><summary>Answer</summary>
#
# An adapter, switched on for this customer only. Replay is for one model that must do both.
#
# </details>
#
# ## Open task: a better mixture (★★★, 30 minutes, not needed to go on)
#
# You have 200 pairs and 40 steps. Choose the tasks, how many pairs of each, and their phrasings, or
# write rows of your own. The score to beat is that of the unchanged cell. When you have chosen, run
# your mixture and the cell's own with `final=True`, which asks other questions. A gain that
# disappears there may have been luck.

# %%
my_rows = random.Random(0).sample(rows, 200)
checks.try_mixture(my_rows)

# %% [markdown]
# ## Where this lives in the project
#
# `world.build` holds tasks out (`python train_sft.py --hold-out NAMES` takes names of your own).
# `load_mixture` in `extras/datasets.py` mixes files. The measuring code of this lesson is in
# `lessons/experiments/lesson09.py`.

# %%
lab.claim(
    "at equal pairs and steps, one task type answers fewer unseen tasks than all of them, and the"
    " intervals do not overlap",
    one_type[2] < all_types[1],
)
lab.claim(
    'after "Sure!" hardly an old question is exactly right, but most statements are still'
    " completed: a changed habit",
    scores["sure", "right"][2] < 0.25 and scores["sure", "completed"][1] > 0.5,
)
lab.claim(
    "a quarter of old pairs brings back a part of what short answers cost",
    scores["short, replay", "right"][1] > scores["short", "right"][2],
)
