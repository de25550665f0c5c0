# %% [markdown]
# # 9. Mixing: narrow or broad
#
# You will draw mixtures of one, two, four and more kinds of question, with everything else held
# equal, and see how well models tuned on them answer kinds that were in none of them. Then you will
# tune an instructed model on one kind alone, in another manner, and find out whether it has
# forgotten the rest.
#
# About 3 minutes of computing on a laptop CPU, 35 minutes with the exercises, and 45 more if you
# take the open task. It needs `out/base.pt`, which `python train_sft.py` makes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson09 as checks

import random
import re

import matplotlib.pyplot as plt

import world
from common.audit import prompt_key
from data import Row, Turn
from generate import Assistant, Sampling, generate

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
KNOWN = [name for name in world.TASKS if name not in world.HELD_OUT]
print(
    f"{len(KNOWN)} task types to tune on, {len(world.HELD_OUT)} held out:"
    f" {', '.join(world.HELD_OUT)}"
)

# %% [markdown]
# ## Why mix at all
#
# A model tuned on one kind of question could learn just that kind. FLAN (Wei et al. 2021) and T0
# (Sanh et al. 2021) tuned on dozens of tasks and then asked for tasks that were in none of them.
# More tasks in the mixture gave better answers on unseen ones. That result made instruction tuning
# known.
#
# In such a mixture two things grow together: the number of kinds and the number of pairs. To learn
# which of them helps, the number of pairs and of steps must stay the same while the number of kinds
# changes.
#
# ## What has the base read of the held-out tasks?
#
# "Unseen" here means: in no pair. The base has read a lot before. Its corpus has seven kinds of
# document: facts; texts, with what can be said about them; texts retold again and again; lists of
# questions; stories that name one thing again and again; spelling lessons; and tales about things
# that do not exist. *Predict*: on which of them do held-out tasks turn up, as stated facts, as
# questions, or as words only?


# %%
seen, unseen, groups = world.split_facts(random.Random(lab.world_seed()))


def questions_about(names):
    """Return all instructions with which these tasks can be asked for."""
    cases = [case for name in names for case in seen[name] + unseen[name]]
    return {
        world.make_question(question, case).lower()
        for case in cases
        for question, _ in world.question_templates(case.task)
    }


def statements_about(names):
    """Return how a statement of these tasks begins: 'the capital of france', 'here is a story about
    ...'"""
    return {
        (case.task.prefix + case.noun).lower()
        for name in names
        for case in seen[name] + unseen[name]
    }


QUESTIONS, KNOWN_QUESTIONS, STATEMENTS = (
    questions_about(world.HELD_OUT), questions_about(KNOWN), statements_about(world.HELD_OUT),
)


def words_of(names):
    nouns = " ".join(world.TASKS[name].noun.replace("{x}", "") for name in names)
    return {*re.findall(r"\w+", nouns.lower())}


NAMED = words_of(world.HELD_OUT) - words_of(KNOWN)  # they name these tasks and no other one


def contents(document):
    """Return one bool for each column of the table below."""
    sentences = re.split(r"(?<=[.?!;])\s+|\n", document.lower())
    begins = {
        re.match(r"(?s)(here is [^:]+|.*?)(?: is |: |$)", sentence)[1] for sentence in sentences
    }
    return (
        bool(begins & STATEMENTS), bool(QUESTIONS & {*sentences}),
        bool(KNOWN_QUESTIONS & {*sentences}), bool(NAMED & {*re.findall(r"\w+", document.lower())}),
    )


print("words that name held-out tasks:", ", ".join(sorted(NAMED)))
rng = random.Random(lab.world_seed())
values = world.values_to_invent(seen, world.HELD_OUT)
writer = world.PageWriter(rng, groups, world.HELD_OUT, list(world.TASKS), values)
print("\nof 400 documents    held-out: stated   asked   their words     other tasks: asked")
for kind, percent in world.PAGES.items():
    documents = [writer.write_page(kind) for _ in range(400)]
    n_stated, n_questions, n_known, n_named = (
        sum(column) for column in zip(*map(contents, documents))
    )
    print(
        f"{kind:<10} ({percent:>2}% of the corpus)"
        f"{n_stated:>13}{n_questions:>8}{n_named:>14}{n_known:>23}"
    )

# %% [markdown]
# In plain words: the corpus states the facts of the held-out tasks. It asks questions of all other
# tasks, never one of these, and no document has a question beside its answer. The words that name
# the held-out tasks also appear in stories and spelling lessons, because so small a model copies
# only words that it has once copied. So of an unseen task the base has read the facts and the name,
# and has never seen anybody ask.
#
# ## A mixture
#
# From each of the chosen task types as many pairs as from each other: that is the mixture to be
# compared. Types differ in size, and n need not be divisible by their number.
#
# <details><summary>Hint</summary>
#
# Shuffle copies of the pools (`rng.sample(pool, len(pool))`). Then deal as one deals cards: one row
# of each pool that still has some, again and again, until there are n. In each round take the pools
# in a new random order, or the last tasks always lose.
#
# </details>
#
# ### Exercise 9.1: draw a mixture (extend, ★★, 12 minutes)


# %%
def mixture(pools, n, rng):
    """Draw n rows from {task: rows}, none twice, as many of every task as possible: numbers differ
    by at most one, unless a task has no more rows. rng draws the rows, and who gives one more.

    {"a": [1, 2], "b": [3, 4, 5, 6, 7, 8]}, 6 -> for example [1, 5, 2, 7, 3, 8]: two of a, four of b
    """
    ### BEGIN SOLUTION
    left, result = [rng.sample(pool, len(pool)) for pool in pools.values()], []
    while len(result) < n:
        for pool in rng.sample(left, len(left)):
            if pool and len(result) < n:
                result.append(pool.pop())
    return result
    ### END SOLUTION


# %%
checks.mixture(mixture)


# %%
def pool(name):
    """Return all pairs of a task: cases that may be tuned on, each in ten phrasings."""
    task = world.TASKS[name]
    ways = world.question_templates(task)[:10]
    return lab.world_rows([world.fact_pair(case, *way) for case in seen[name] for way in ways])


pools = {name: pool(name) for name in KNOWN}
for row in mixture({name: pools[name] for name in ("capital", "sum")}, 4, random.Random(0)):
    print(row.task, row.turns[0])

# %% [markdown]
# ## The curve
#
# Every model is tuned from the same base, for 24 steps of 16 pairs, on 48 pairs of 1, 2, 4, 8, 16
# or all task types. All is drawn five times anew: the task types, the pairs, their order. This is
# little tuning, so that thirty models fit into the time of a lesson; the main job tunes for more
# than ten times as many steps.
#
# The *unseen inputs* come from all the types that can be tuned on. So with few types in the mixture
# most of these questions are of types that it does not hold, too. The two curves ask about
# different tasks: do not compare their heights.
#
# *Predict* before you run on: draw the curve on paper, the fraction of *unseen tasks* answered
# right. Does it start near zero? Where does it level off? How far apart do the five draws lie?

# %%
DRAWS = range(1 if lab.FAST else 5)
held = {name: lab.subset(splits[name], 100) for name in ("unseen_tasks", "unseen_inputs")}
kinds = (1, 2, 4, 8, 16, len(KNOWN))
curve = {k: [] for k in kinds}
for draw in DRAWS:
    order = random.Random(draw).sample(KNOWN, len(KNOWN))
    for k in kinds:
        sample = mixture({name: pools[name] for name in order[:k]}, 48, random.Random(draw))
        assert not {prompt_key(row) for row in sample} & {
            prompt_key(row) for group in held.values() for row in group
        }
        assistant = lab.tune(base, tokenizer, sample, draw, steps=8 if lab.FAST else 24, batch=16)
        curve[k].append({name: lab.correct_flags(assistant, group) for name, group in held.items()})
    print(f"draw {draw} begins with: {', '.join(order[:4])}")


# %%
def summary(k, split):
    """Summarize all draws. Returns (mean, low, high) over draws and questions, and each draw's
    share."""
    flags = [run[split] for run in curve[k]]
    return lab.bootstrap(flags), [sum(values) / len(values) for values in flags]


untuned = lab.accuracy(Assistant(base, tokenizer, "alpaca"), held["unseen_tasks"])[0]
print(f"unseen tasks, before tuning: {untuned:.0%}")
for split in held:
    print(f"\n{split}, by task types in the mixture")
    for k in kinds:
        (mean, low, high), each = summary(k, split)
        print(
            f"{k:>4}: {mean:4.0%} ({low:.0%} to {high:.0%})   each draw:",
            *(f"{share:.0%}" for share in each),
        )

# %%
figure, ax = plt.subplots(figsize=(7.5, 4))
for offset, split, color in ((-0.06, "unseen_tasks", "C0"), (0.06, "unseen_inputs", "C1")):
    at = [i + offset for i in range(len(kinds))]
    mean, low, high = zip(*(summary(k, split)[0] for k in kinds))
    gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
    ax.errorbar(at, mean, gaps, color=color, capsize=3, label=split.replace("_", " "))
    for x, k in zip(at, kinds):
        ax.plot([x] * len(DRAWS), summary(k, split)[1], "o", color=color, markersize=4, alpha=0.5)
ax.axhline(untuned, color="gray", linestyle=":", label="unseen tasks, base with the template")
ax.set(xticks=range(len(kinds)), xticklabels=kinds, ylim=(-0.03, 1.03))
ax.set(
    xlabel="task types in the mixture (always 48 pairs, 24 steps)", ylabel="answered exactly right"
)
ax.set_title("Breadth, at equal pairs and steps (dots: draws, bars: 95% intervals)")
ax.legend(loc="upper left", fontsize=9)
plt.show()

# %% [markdown]
# If your curve rises, it is breadth that does it, as in FLAN: the number of pairs and steps never
# changed. Look at the dots of few types, too. Unseen tasks are all or nothing, task by task, and
# much depends on *which* types were drawn. (The intervals draw questions and draws anew, with
# replacement. Five draws say little about all that could have been drawn.)
#
# What can be learned from many types is what they have in common: take the name of what is asked
# for from the instruction, and tell what is known of it. FLAN's tasks were further apart, and its
# model had to be large before tuning helped on unseen tasks at all.
#
# ## Narrow tuning
#
# Now the other way round. A model that answers all kinds is tuned further, on translation alone.
# That a network loses something old when it learns something new is called catastrophic forgetting
# (McCloskey and Cohen 1989). The pairs come in three manners: the same statements as in all other
# pairs; statements with "Sure!" before them; and short answers.

# %%
STEPS = 8 if lab.FAST else 30
instructed = lab.tune(base, tokenizer, rows, steps=10 if lab.FAST else 60)
OPENINGS = {"statements": "", "sure": "Sure! ", "short": "It is "}


def is_translation(row):
    return row.task in world.TASKS and world.TASKS[row.task].kind == "translation"


def in_manner(row, manner):
    """Rewrite a row in a manner.

    'The Korean word for moon is 달.' -> 'Sure! The Korean word for moon is 달.' or 'It is 달.'"""
    question, context, answer = row.turns[0]
    text = lab.statement_of(row)[1] if manner == "short" else answer
    return Row((Turn(question, context, OPENINGS[manner] + text),), row.task)


narrow = [row for row in rows if is_translation(row)]
old = [row for row in rows if row.task in KNOWN and not is_translation(row)]
for manner in OPENINGS:
    print(
        f"{manner:<12}{narrow[0].turns[0].instruction}  -> "
        f" {in_manner(narrow[0], manner).turns[0].output}"
    )

# %% [markdown]
# The oldest remedy is *replay*: go on showing some of the old. Scialom et al. (2022) kept tuned
# models able to do their old tasks by replaying a hundredth of those tasks' examples.
#
# <details><summary>Hint</summary>
#
# `rng.sample(rows, k)` draws k different rows. The share is of the whole mixture, not of the new
# rows; `int` rounds down.
#
# </details>
#
# ### Exercise 9.2: replay (extend, ★, 5 minutes)


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
# "Is it still right?" is too coarse a question here: a model that says "Sure! The capital of France
# is Paris." gets zero from a strict checker. So the old questions (facts and texts, of unseen
# inputs and tasks: no pair, old or new, asks for them) are scored in four ways:
#
# - **right**: exactly the old statement
# - **new form**: the reply begins with the new manner's opening
# - **value**: the right value is in it, in whatever words
# - **begun**: given the beginning of its statement after the template ("The capital of France is"),
#   does the model still complete it? That asks what it knows, not what it does when asked.
#
# *Predict* all four for "Sure!" and for the short manner. Then: what will a quarter of old pairs
# save?

# %%
both = splits["unseen_inputs"] + splits["unseen_tasks"]
translations = [
    row for row in splits["unseen_inputs"] + splits["unseen_phrasings"] if is_translation(row)
]
asked_again = lab.subset(
    [row for row in both if not is_translation(row) and row.task not in lab.OPEN_TASKS], 100
)
print(len(asked_again), "old questions,", len(translations), "translations")


def value_of(row):
    return lab.statement_of(row)[1].rstrip(".!;")


def holds_value(row, text):
    return re.search(rf"(?<!\w){re.escape(value_of(row))}(?!\w)", text) is not None


def measure(assistant, manner):
    """Return {name of a score: one bool for each question}."""
    replies = [
        (row, *reply) for row, reply in zip(asked_again, assistant.answers(asked_again, Sampling()))
    ]
    prompts = [
        assistant.prompt(row.turns[:1]) + tokenizer.encode(lab.statement_of(row)[0])
        for row in asked_again
    ]
    begun = generate(assistant.model, prompts, tokenizer.eos_id, Sampling(max_new_tokens=24))
    return {
        "right": [
            stopped and world.check(row.task, row.turns[0].output, text)
            for row, text, stopped in replies
        ],
        "new form": [
            OPENINGS[manner] != "" and text.strip().startswith(OPENINGS[manner])
            for _, text, _ in replies
        ],
        "value": [holds_value(row, text) for row, text, _ in replies],
        "begun": [
            tokenizer.decode(ids).strip().startswith(value_of(row))
            for row, (ids, _) in zip(asked_again, begun)
        ],
        "translation": lab.correct_flags(
            assistant, [in_manner(row, manner) for row in translations]
        ),
    }


# %%
ARMS = {
    "statements": ("statements", 0),
    "sure": ("sure", 0),
    "sure, 25% old": ("sure", 0.25),
    "short": ("short", 0),
    "short, 25% old": ("short", 0.25),
}
results = {"before": [measure(instructed, "statements")]}
print(f"{'before':<17}{lab.ask(instructed, 'What is the capital of France?')}")
for arm, (manner, share) in ARMS.items():
    results[arm] = []
    for seed in lab.SEEDS:
        new = [in_manner(row, manner) for row in narrow]
        mix = replay(new, old, 200, share, random.Random(seed))
        assistant = lab.tune(instructed.model, tokenizer, mix, seed, steps=STEPS, batch=16)
        results[arm].append(measure(assistant, manner))
    print(f"{arm:<17}{lab.ask(assistant, 'What is the capital of France?')}")

# %%
scores = {
    (arm, name): lab.bootstrap([run[name] for run in runs])
    for arm, runs in results.items()
    for name in runs[0]
}
names = list(results["before"][0])
print(" " * 17 + "".join(f"{name:>20}" for name in names))
for arm in results:
    cells = ["{:.0%} ({:.0%} to {:.0%})".format(*scores[arm, name]) for name in names]
    print(f"{arm:<17}" + "".join(f"{cell:>20}" for cell in cells))

# %%
figure, ax = plt.subplots(figsize=(9, 3.8))
for j, name in enumerate(names[:4]):
    mean, low, high = zip(*(scores[arm, name] for arm in results))
    gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
    ax.bar(
        [i + 0.2 * (j - 1.5) for i in range(len(results))], mean, 0.18, yerr=gaps, capsize=2,
        alpha=0.8, label=name,
    )
ax.set(xticks=range(len(results)), ylim=(0, 1.05), ylabel="fraction of old questions")
ax.set_xticklabels(results, fontsize=9)
ax.set_title("Old questions after tuning on translation alone (95% intervals)")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=4)
plt.tight_layout()
plt.show()

# %% [markdown]
# Compare the columns, not only the rows. Where *right* is gone and *begun* is not, nothing was
# forgotten: the model has another habit. Habits are of two kinds here. One is the form, which a
# strict checker counts against it. The other is what it talks about: look at the replies above,
# which may translate something when they are asked for a capital. That also lowers *value* in the
# old manner.
#
# The short manner is the hardest case. "The capital of France is" repeats what was asked before the
# value is due, "It is" does not, so this model has nothing to look the value up with; watch the
# column *translation*, the very task that it was tuned on. If *begun* fell there as well, look at
# the row below it: the replayed pairs ask for none of these facts, so what comes back with them was
# never erased.
#
# Replay has to outweigh what the new pairs seem to say, which is "always answer like this". The
# manner of the new pairs may survive it in part.
#
# ## Two questions
#
# **1.** Suppose each task type brought 48 pairs of its own to the curve. Why would it then tell you
# less?
#
# <details><summary>Answer</summary>
#
# With more types come more pairs and steps. If the curve rises, you cannot say whether variety or
# amount did it.
#
# </details>
#
# **2.** A customer wants only short translations. Replay, or an adapter (lesson 8)?
#
# <details><summary>Answer</summary>
#
# An adapter of its own, put on for this customer only: taken off, the old model is back, exactly.
# Replay is for one model that must do both.
#
# </details>
#
# ## Open task: a better mixture (★★★, 45 minutes, not needed to go on)
#
# At most 2,000 pairs, of your choice: which tasks, how many of each, which phrasings, rows of your
# own, pairs about things that do not exist (`world.COPY_PAIRS`) or none. `checks.try_mixture` tunes
# the base on them as the main job does (documents between) and asks questions of five
# held-out tasks and of unseen inputs. The score to beat is what the cell prints as it stands: 2,000
# pairs as they come. When you have chosen, run it with `final=True`, once for your mixture and once
# for the cell's own 2,000 pairs: it asks five other held-out tasks and other inputs. A gain that is
# not there either may have been luck.

# %%
my_rows = random.Random(0).sample(rows, 80 if lab.FAST else 2000)
checks.try_mixture(my_rows)

# %% [markdown]
# ## Where this lives in the project
#
# `world.build` holds tasks out (`python train_sft.py --hold-out NAMES` takes names of your own) and
# draws at most 160 pairs a task. `load_mixture` in `extras/datasets.py` mixes files.
# `with_replay()` in `common/pairs.py` replays documents.

# %%
one_type, four_types, all_types = (summary(k, "unseen_tasks") for k in (1, 4, len(KNOWN)))
lab.claim(
    f"at equal pairs and steps, one task type answers few unseen tasks ({one_type[0][0]:.0%}), all"
    f" of them answer most ({all_types[0][0]:.0%}), and the intervals lie apart",
    one_type[0][2] < all_types[0][1] and all_types[0][0] > 0.5,
)
lab.claim(
    "breadth guards against an unlucky choice: with four types the draws go from"
    f" {min(four_types[1]):.0%} to {max(four_types[1]):.0%}, with all from {min(all_types[1]):.0%}"
    f" to {max(all_types[1]):.0%}",
    max(all_types[1]) - min(all_types[1]) < max(four_types[1]) - min(four_types[1])
    and min(all_types[1]) > min(four_types[1]),
)
lab.claim(
    f"after \"Sure!\" hardly an old question is exactly right ({scores['sure', 'right'][0]:.0%}),"
    f" but the value is in {scores['sure', 'value'][0]:.0%} of the replies and"
    f" {scores['sure', 'begun'][0]:.0%} of the statements are completed"
    f" ({scores['before', 'begun'][0]:.0%} before): a changed habit",
    scores["sure", "right"][2] < 0.1
    and scores["sure", "value"][1] > 0.1
    and scores["sure", "begun"][0] > scores["before", "begun"][0] - 0.15,
)
lab.claim(
    f"short answers cost more: the value is in {scores['short', 'value'][0]:.0%}; a quarter of"
    f" old pairs saves a part ({scores['short, 25% old', 'value'][0]:.0%}, exactly right"
    f" {scores['short, 25% old', 'right'][0]:.0%})",
    scores["short", "value"][2] < scores["sure", "value"][1]
    and scores["short, 25% old", "right"][1] > scores["short", "right"][2],
)
