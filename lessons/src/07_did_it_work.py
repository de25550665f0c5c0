# %% [markdown]
# # 7. Did it work?
#
# You will score a base and a tuned model on three kinds of unseen question, put intervals on the scores with your
# own hands, see two checkers disagree about the same answers, measure how much a leak flatters, and let a biased
# judge be fooled by the order of two answers.
#
# Under two minutes of computing on a laptop CPU with two cores, about 50 minutes with the exercises. It needs
# `out/base.pt`, which `python train_sft.py` makes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson07 as checks

import math
import random
import re

import matplotlib.pyplot as plt

import world
from extras.audit import prompt_key
from extras.table import wilson
from generate import Assistant, Sampling, three_models

# %% [markdown]
# ## Three kinds of unseen question
#
# *Unseen inputs*: a known kind of question about something that no pair asked about. *Unseen phrasings*: a way of
# asking that stands in no pair. *Unseen tasks*: a kind of question that was never tuned on. (The main job also asks
# unseen tasks in unseen words.) One row of each:

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
for name, held_out in splits.items():
    instruction, context, output = held_out[0].turns[0]
    print(
        f"{name}, {len(held_out)} rows\n  asked:  {instruction} {context and '[' + context + ']'}\n  answer: {output}"
    )

# %% [markdown]
# ## How sure is a share?
#
# Say 9 of 10 answers are right. Is the model right nine times in ten? Ten other questions might have given 7. An
# interval says which true shares agree with what was seen. The textbook's p ± 1.96 · sqrt(p(1-p)/n) fails just where
# we need it: at 0 of 10 its width is zero, as if ten questions proved that the model can never answer. Wilson (1927)
# asks instead: for which true shares would the count seen be no surprise? With z = 1.96 that gives
#
#     middle = (p + z²/2n) / (1 + z²/n)          spread = z · sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)
#
# <details><summary>Hint</summary>
#
# Compute p, then middle and spread, then return (middle - spread, middle + spread), cut to 0 and 1. The square root
# holds both terms; both middle and spread are divided by 1 + z²/n.
#
# </details>
#
# ### Exercise 7.1: an honest interval (rebuild, 8 minutes)


# %%
def wilson_interval(correct, n):
    """95 % interval (low, high) of a share, z = 1.96. 9 of 10 -> about (0.596, 0.982); 0 of 10 -> about (0.0, 0.278)"""
    ### BEGIN SOLUTION
    z, p = 1.96, correct / n
    scale = 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    return max(0.0, middle - spread), min(1.0, middle + spread)
    ### END SOLUTION


# %%
checks.wilson_interval(wilson_interval)

# %%
for correct, n in ((0, 10), (9, 10), (90, 100), (900, 1000)):
    low, high = wilson(correct, n)
    print(f"{correct:>4} of {n:<5} {correct / n:6.1%}   95 %: {low:5.1%} to {high:5.1%}")

# %% [markdown]
# Ten times as many questions make the interval about three times as narrow. Remember that when somebody reports a
# gain of two points on a hundred questions. From here on the lesson uses the project's `wilson()`.
#
# ## Three columns
#
# A tuned model differs from its base in two ways: it was tuned, and it is asked with a template. To know which one
# did it, there must be a column in between: *base, raw prompt | base, with the template | tuned*.
#
# *Predict* all nine numbers before you run the cell. The tuned models here see only some 600 pairs, for a short time,
# with several seeds, because you will tune three ways below.

# %%
STEPS = 6 if lab.FAST else 60
few = lab.some(rows, 600)
clean = [lab.tune(base, tokenizer, few, seed, STEPS) for seed in lab.SEEDS]
columns = three_models(Assistant(base, tokenizer, None), clean[0])

# %%
asked = {name: lab.some(held_out, 200) for name, held_out in splits.items()}
found = {(split, column): lab.right(bot, some) for split, some in asked.items() for column, bot in columns.items()}
for (split, column), (share, low, high) in found.items():
    print(f"{split:<17} {column:<14} {share:6.1%}   95 %: {low:5.1%} to {high:5.1%}")

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
labels = ("base, raw prompt", "base, with the template", "tuned")
for i, (column, color) in enumerate(zip(columns, ("C7", "C1", "C0"))):
    for j, split in enumerate(asked):
        share, low, high = found[split, column]
        place = -j + 0.2 * (1 - i)
        ax.plot([low, high], [place, place], color=color, lw=2)
        ax.plot(share, place, "o", color=color, label=labels[i] if j == 0 else None)
ax.set_yticks([0, -1, -2], [split.replace("_", " ") for split in asked])
ax.set_xlabel("answered exactly right, with 95 % interval")
ax.set_xlim(-0.02, 1.02)
ax.legend(loc="center")
plt.show()

# %% [markdown]
# ## Who decides what is right?
#
# The checker above is strict: the whole statement and nothing after it. Perhaps the base knew the answer and only
# said it differently? A lenient checker asks: does the right *value* stand anywhere in the answer? Build one. Whole
# words only: an answer "12" does not mention 2, and the symbol He is not the word he.
#
# <details><summary>Hint</summary>
#
# `re.search` with the value made harmless by `re.escape`, no word character before it, `(?<!\w)`, and none after it,
# `(?!\w)`.
#
# </details>
#
# ### Exercise 7.2: a lenient checker (extend, 6 minutes)


# %%
def mentions(value, text):
    """Does `value` stand in `text` as whole words, with the same capitals? "2", "It is 12." -> False"""
    ### BEGIN SOLUTION
    return re.search(r"(?<!\w)" + re.escape(value) + r"(?!\w)", text) is not None
    ### END SOLUTION


# %%
checks.mentions(mentions)


# %%
one_answer = [row for some in asked.values() for row in some if row.task not in world.RULES]
said = {column: [text for text, _ in bot.answers(one_answer, Sampling())] for column, bot in columns.items()}
strict = {c: [world.check(r.task, r.turns[0].output, t) for r, t in zip(one_answer, said[c])] for c in said}
lenient = {c: [mentions(lab.statement_of(r)[1].rstrip(".!"), t) for r, t in zip(one_answer, said[c])] for c in said}
for c in said:
    print(f"{c:<14} strict {sum(strict[c]) / len(one_answer):6.1%}   lenient {sum(lenient[c]) / len(one_answer):6.1%}")

# %% [markdown]
# A number alone does not tell which checker is at fault. Read where they disagree.

# %%
for c in ("base_raw", "tuned"):
    odd = [i for i in range(len(one_answer)) if lenient[c][i] and not strict[c][i]]
    for i in odd[:: max(1, len(odd) // 4)][:4]:
        instruction, context, output = one_answer[i].turns[0]
        print(f"{c}: {instruction} {context}\n  wanted: {output}\n  said:   {said[c][i].strip()[:150]}\n")

# %% [markdown]
# Sort them by hand: sometimes the base states the fact among other sentences, and does not stop (it knows, and does
# not answer). Sometimes the value stands there by chance, because the text or the question was repeated. And a wrong
# answer of the tuned model can mention the right value elsewhere ("The taller of Zoe and Mia is ..." mentions both).
# The strict checker has the opposite fault: it refuses what is right in words that it does not
# know. Here tuning teaches few forms of answer, so little is lost. Report both, and read.
#
# ## A leak
#
# If test questions stand among the tuning rows, the test measures memory. Such leaks are easily made, for instance
# when pairs are collected from many places and the test was in one of them. So compare the prompts before you believe
# a score, and not letter by letter: spacing, capitals and marks change on the way.
#
# <details><summary>Hint</summary>
#
# Make a key of each prompt: instruction and input together, lower case, everything that is not a letter or digit
# turned into one space. Collect the keys of the tuning rows in a set. `row.turns[0]` is (instruction, input, output).
#
# </details>
#
# ### Exercise 7.3: find the leaks (rebuild, 8 minutes)


# %%
def leaked(tuning_rows, test_rows):
    """Returns the test rows whose prompt stands in the tuning rows too, but for spacing, capitals and punctuation marks.

    tuned on "Name the sum of 1 and 2.": "name the sum of 1 and 2" leaked, "Name the sum of 2 and 2." did not"""

    ### BEGIN SOLUTION
    def key(row):
        return " ".join(re.findall(r"\w+", f"{row.turns[0].instruction} | {row.turns[0].input}".lower()))

    known = {key(row) for row in tuning_rows}
    return [row for row in test_rows if key(row) in known]
    ### END SOLUTION


# %%
checks.leaked(leaked)

# %% [markdown]
# Now leak on purpose. To see memory and nothing else, the test must be one that *cannot* be passed honestly: invented
# facts about twelve people, which stand in no prose. (Where a model knows the answers anyway, a leak has little left
# to lift.) Two leaks, of several copies each, as happens in scraped data: the test rows themselves, and the same
# questions in other words with their answers, which the project's key cannot find.

# %%
draw, facts = random.Random(0), world.by_task(world.fact_cases())
invented = [
    world.Case(world.TASKS[task], person, draw.choice(facts[task]).values)
    for task in ("workplace", "tool", "language", "continent")
    for person in world.NAMES
]
test, other_words = (lab.world_rows([world.case_pair(case, world.THE_FRAMES[i]) for case in invented]) for i in (0, 1))
for row in test[:2] + other_words[:1]:
    print(row.turns[0])
arms = {"clean": few, "leak, other words": few + 4 * other_words, "leak": few + 4 * test}
for name, some in arms.items():
    keys = {prompt_key(row) for row in some}
    print(
        f"{name:<18} {sum(prompt_key(row) in keys for row in test):>3} of {len(test)} test prompts found among its rows"
    )

# %% [markdown]
# *Predict.* How many of the invented facts does each arm answer? And do the leaks change the score on unseen inputs
# and tasks?

# %%
bots = {
    name: [lab.tune(base, tokenizer, some, s, STEPS) for s in lab.SEEDS] for name, some in arms.items() if some != few
}
bots = {"clean": clean} | bots
tests = {"invented facts": test} | {name: asked[name] for name in ("unseen_inputs", "unseen_tasks")}
scores = {
    (name, split): lab.bootstrap([lab.marks(bot, some) for bot in group])
    for name, group in bots.items()
    for split, some in tests.items()
}

# %%
figure, ax = plt.subplots(figsize=(8, 4))
for i, name in enumerate(bots):
    shares = [scores[name, split] for split in tests]
    errors = [[s - low for s, low, _ in shares], [high - s for s, _, high in shares]]
    bars = ax.bar(
        [j + 0.27 * (i - 1) for j in range(3)], [s for s, _, _ in shares], 0.25, yerr=errors, capsize=3, label=name
    )
    ax.bar_label(bars, [f"{s:.0%}" for s, _, _ in shares], padding=3)
ax.set_xticks(range(3), ["invented facts\n(leaked)", "unseen inputs", "unseen tasks"])
ax.set_ylabel("right, all seeds, 95 % interval")
ax.set_ylim(0, 1.25)
ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
ax.legend(ncols=3, loc="upper center")
plt.show()

# %% [markdown]
# (These intervals are a bootstrap: seeds and questions are drawn anew, with replacement, a thousand times. Wilson's would
# count the same question, asked of three seeds, as three.)
#
# What the leaked arms answer about people who were never described is memory. On honest questions the same models are
# no better. And the leak in other words flatters too, although no comparison of prompts finds it; of large models and
# famous test sets this was shown by Yang et al. (2023, "Rethinking Benchmark and Contamination for Language Models
# with Rephrased Samples"). This is why the project holds out by input, by phrasing and by task, not row by row.
#
# ## A judge
#
# Where no checker can be written, a person or another model is shown two answers and says which is better. Both are
# biased by order; language models often prefer what comes first (Zheng et al. 2023, "Judging LLM-as-a-Judge"). So the
# judge must be blind, and the order drawn anew for each pair. Here is a simulated judge: it sees which answer is
# right, but where both are equally good it says "the first" eight times in ten.
#
# <details><summary>Hint</summary>
#
# For each pair let `rng.random() < 0.5` decide whether to swap. The verdict is a place (0 or 1), not a model: after a
# swap, 1 means that `a` won.
#
# </details>
#
# ### Exercise 7.4: a blind comparison (extend, 8 minutes)


# %%
def win_rate(a, b, judge, rng):
    """Share of pairs that `a` wins; order drawn anew for each pair. judge(first, second) -> 0 (first is better) or 1.

    a = ["good", "good"], b = ["bad", "bad"], and a judge that sees it -> 1.0, whatever the order was"""
    ### BEGIN SOLUTION
    wins = 0
    for x, y in zip(a, b):
        swapped = rng.random() < 0.5
        verdict = judge(y, x) if swapped else judge(x, y)
        wins += verdict == swapped
    return wins / len(a)
    ### END SOLUTION


# %%
checks.win_rate(win_rate)

# %% [markdown]
# *Predict.* Compare a model with itself, the same answers on both sides: first with a fixed order, then blind.

# %%
rng = random.Random(0)


def judge(first, second):
    return int(second > first) if first != second else int(rng.random() < 0.2)


same, base_side = strict["tuned"], strict["base_template"]
n = len(same)
fixed = sum(judge(x, y) == 0 for x, y in zip(same, same)) / n
blind = win_rate(same, same, judge, rng)
for name, share in (
    ("fixed order", fixed),
    ("blind", blind),
    ("blind, against the base", win_rate(same, base_side, judge, rng)),
):
    low, high = wilson(share * n, n)
    print(f"{name:<24} first model wins {share:6.1%}   95 %: {low:.0%} to {high:.0%}")

# %% [markdown]
# With the fixed order a model beats itself clearly, and more questions would only make the wrong result more certain.
# An interval covers chance, never bias.
#
# ## Questions to think about
#
# 1. The base's zeros with the strict checker: do they prove that the base knows nothing?
#
# <details><summary>Answer</summary>
#
# No. They prove that it does not answer. In this world no passage ends right after a statement, so a strict zero is
# partly by construction. Lesson 5 shows that the base gives the right value a high probability once it is led to it.
#
# </details>
#
# 2. A colleague tunes twenty times with other settings and reports the best run with its Wilson interval. What is
#    wrong?
#
# <details><summary>Answer</summary>
#
# The best of twenty is partly luck, and the interval knows of one run only. Choose on one held-out set, report on
# another that was looked at once, and show several seeds.
#
# </details>
#
# ## Where this lives in the project
#
# `generate.py`: `wilson()`, `score()`, `three_models()`, `print_table()`; `--save` writes answers for a judge.
# `world.py`: `check()` and the splits in `build()`. `data.py`: `prompt_key()`; `train_sft.py` counts the overlap at
# each run (`show_data()`).
#
# Part 4 of `out/page.html`, the page of your own run, lists every held-out question with each column's answer.

# %%
clean_score, other, leak = (scores[name, "invented facts"] for name in ("clean", "leak, other words", "leak"))
print(f"invented facts: clean {clean_score[0]:.1%}, leaked in other words {other[0]:.1%}, leaked {leak[0]:.1%}")
template = [found[split, "base_template"][2] for split in asked]
tuned = [found[split, "tuned"][1] for split in asked]
lab.claim("in every split the tuned model is far above its base with the same template",
          min(t - b for t, b in zip(tuned, template)) > 0.2)
lab.claim("a leak lifts the score on what nobody can know, in the same words or in others",
          min(leak[1], other[1]) > clean_score[2])
lab.claim("a fixed order makes a model beat itself, a blind one does not",
          wilson(fixed * n, n)[0] > 0.6 and 0.4 < blind < 0.6)
