# %% [markdown]
# # 7. Did it work?
#
# You will score a base and a tuned model on three kinds of unseen question, put intervals on the
# scores with your own hands, see two checkers disagree about the same answers, look for the prompt
# that suits the base best, measure how much a leak flatters, and see how a biased judge is fooled.
#
# About two minutes of computing on a laptop CPU with two cores, about 45 minutes with the
# exercises. It needs `out/base.pt`, which `python train_sft.py` makes. Lesson 6 (rules) is used
# once.

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
from common.audit import prompt_key
from common.table import wilson
from data import Row, Turn
from extras.rules import RuleBaseline
from generate import Assistant, Sampling, generate, three_models
from world import facts

# %% [markdown]
# ## Three kinds of unseen question
#
# *Unseen inputs*: a known kind of question about something that no pair asked about. *Unseen
# phrasings*: a way of asking that stands in no pair. *Unseen tasks*: a kind of question that was
# never tuned on. The base has read the facts behind all of them, and never a question beside its
# answer. One row of each:

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
for name, held_out in splits.items():
    instruction, context, output = held_out[0].turns[0]
    print(
        f"{name}, {len(held_out)} rows\n  asked:  {instruction} {context and '[' + context + ']'}\n"
        f"  answer: {output}"
    )

# %% [markdown]
# ## How sure is a share?
#
# Say that a model is asked ten questions and is right nine times. Would it be right as often among
# a thousand? Ten other questions might have given fewer. An interval says which true shares agree
# with what was seen. The textbook's p ± 1.96 · sqrt(p(1-p)/n) fails just where we need it: if no
# answer is right its width is zero, as if ten questions proved that the model can never answer.
# Wilson (1927) takes those true shares from which the observed one lies at most 1.96 standard
# deviations away. With z = 1.96 that gives
#
#     middle = (p + z²/2n) / (1 + z²/n)          spread = z · sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)
#
# <details><summary>Hint</summary>
#
# Compute p, then middle and spread, then return (middle - spread, middle + spread), cut to 0 and 1.
#
# </details>
#
# ### Exercise 7.1: an honest interval (rebuild, ★, 6 minutes)


# %%
def wilson_interval(correct, n):
    """Return the 95% interval (low, high) of a share, with z = 1.96.

    9 of 10 -> about (0.596, 0.982); 0 of 10 -> about (0.0, 0.278)"""
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
    print(f"{correct:>4} of {n:<5} {correct / n:6.1%}   95%: {low:5.1%} to {high:5.1%}")

# %% [markdown]
# Ten times as many questions make the interval about three times as narrow. Remember that when
# somebody reports a small gain on few questions. From here on the lesson uses the project's
# `wilson()`.
#
# ## Three columns
#
# A tuned model differs from its base in two ways: it was tuned, and it is asked with a template. To
# know which one did it, there must be a column in between: *base, raw prompt | base, with the
# template | tuned*.
#
# *Predict* all nine numbers before you run the cell. The tuned models here see only 600 pairs, for
# a short time, because you will tune in three ways below, with several seeds.

# %%
STEPS = 6 if lab.FAST else 60
few = lab.subset(rows, 600)
clean = [lab.tune(base, tokenizer, few, seed, STEPS) for seed in lab.SEEDS]
columns = three_models(Assistant(base, tokenizer, None), clean[0])

# %%
questions = {name: lab.subset(held_out, 200) for name, held_out in splits.items()}
accuracies = {
    (split, column): lab.accuracy(assistant, part)
    for split, part in questions.items()
    for column, assistant in columns.items()
}
for (split, column), (share, low, high) in accuracies.items():
    print(f"{split:<17} {column:<14} {share:6.1%}   95%: {low:5.1%} to {high:5.1%}")

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
labels = ("base, raw prompt", "base, with the template", "tuned")
for i, (column, color) in enumerate(zip(columns, ("C7", "C1", "C0"))):
    for j, split in enumerate(questions):
        share, low, high = accuracies[split, column]
        y = -j + 0.2 * (1 - i)
        ax.plot([low, high], [y, y], color=color, lw=2)
        ax.plot(share, y, "o", color=color, label=labels[i] if j == 0 else None)
ax.set_yticks([0, -1, -2], [split.replace("_", " ") for split in questions])
ax.set_xlabel("answered exactly right, with 95% interval")
ax.set_xlim(-0.02, 1.02)
ax.legend(loc="center")
plt.show()

# %% [markdown]
# ## Who decides what is right?
#
# The checker above is strict: the whole statement and nothing after it. Perhaps the base knew the
# answer and only said it differently? A lenient checker asks: does the right *value* stand anywhere
# in the answer? Build one. Whole words only: an answer "12" does not mention 2.
#
# <details><summary>Hint</summary>
#
# `re.search` with the value made harmless by `re.escape`. Before it there must be no letter or
# digit of any script, `(?<!\w)`, and after it none, `(?!\w)`. The usual `\b` goes wrong where the
# value itself ends with a mark, as SQL does.
#
# </details>
#
# ### Exercise 7.2: a lenient checker (extend, ★, 5 minutes)


# %%
def mentions(value, text):
    """Test whether `text` has `value` as whole words, with the same capitals.

    "2", "It is 12." -> False"""
    ### BEGIN SOLUTION
    return re.search(r"(?<!\w)" + re.escape(value) + r"(?!\w)", text) is not None
    ### END SOLUTION


# %%
checks.mentions(mentions)

# %% [markdown]
# *By chance* below: how often the same replies mention the value of *another* question of their
# task.


# %%
one_answer = [row for part in questions.values() for row in part if row.task not in lab.OPEN_TASKS]
values = [lab.statement_of(row)[1].rstrip(".!;") for row in one_answer]
others = [
    next((v for other, v in zip(one_answer, values) if other.task == row.task and v != value), None)
    for row, value in zip(one_answer, values)
]


def strictly(texts):
    """Say for each question of one_answer whether the text is the right statement and nothing else.
    """
    return [
        world.check(row.task, row.turns[0].output, text) for row, text in zip(one_answer, texts)
    ]


def leniently(texts, targets=values):
    """Say for each text whether it mentions the wanted value."""
    return [value is not None and mentions(value, text) for value, text in zip(targets, texts)]


def percent(flags):
    return f"{sum(flags) / len(flags):6.1%}"


replies = {
    column: [text for text, _ in assistant.answers(one_answer, Sampling())]
    for column, assistant in columns.items()
}
for column, texts in replies.items():
    cells = percent(strictly(texts)), percent(leniently(texts)), percent(leniently(texts, others))
    print(f"{column:<14} strict {cells[0]}   lenient {cells[1]}   by chance {cells[2]}")

# %% [markdown]
# A number alone does not tell which checker is at fault. Read where they disagree.

# %%
for column in ("base_raw", "tuned"):
    strict, lenient = strictly(replies[column]), leniently(replies[column])
    odd = [i for i in range(len(one_answer)) if lenient[i] and not strict[i]]
    for i in odd[:: max(1, len(odd) // 4)][:4]:
        instruction, context, output = one_answer[i].turns[0]
        print(
            f"{column}: {instruction} {context}\n  wanted: {output}\n  reply: "
            f" {replies[column][i].strip()[:150]}\n"
        )

# %% [markdown]
# Sort them by hand. Sometimes the base states the fact among other sentences, and does not stop: it
# knows, and does not answer. Sometimes the value stands there by chance, or because the text was
# repeated. And a wrong answer can mention the right value elsewhere. The strict checker has the
# opposite fault: it refuses what is right in words that it does not know. Report both, and read.
#
# ## A fair baseline
#
# A base does not know your template and was never taught where to stop. A comparison is fair when
# it gets the best prompt that you can find, and its answers are scored kindly. The usual help is
# *few-shot*: some questions with their answers before the question (Brown et al. 2020). Four forms,
# each with three parts: the question, the question about a text, and the answer with what separates
# it from the next example.

# %%
FORMS = {
    "question": ("{q}", "{q} {x}", " {a} "),
    "lines": ("{q}\n", "{q} {x}\n", "{a}\n\n"),
    "labels": ("Question: {q}\nAnswer:", "Text: {x}\nQuestion: {q}\nAnswer:", " {a}\n\n"),
    "template": (
        "### Instruction:\n{q}\n\n### Response:\n",
        "### Instruction:\n{q}\n\n### Input:\n{x}\n\n### Response:\n",
        "{a}\n\n",
    ),
}


def question_part(form, row):
    q, x, _ = row.turns[0]
    return FORMS[form][1 if x else 0].format(q=q, x=x)


def answer_part(form, row):
    return FORMS[form][2].format(a=row.turns[0].output)


toy = [
    Row((Turn("What is the sum of 1 and 2?", "", "The sum of 1 and 2 is 3."),)),
    Row(
        (Turn("Name the city in the note.", "Ann came to Oslo.", "The city in the note is Oslo."),)
    ),
]
print(
    question_part("labels", toy[1])
    + answer_part("labels", toy[1])
    + question_part("labels", toy[0])
)

# %% [markdown]
# The prompt is the eos (a document of the corpus begins after one), then the examples ("shots")
# with their answers, then the question without one. What does not fit into the context is left out:
# whole shots, the first ones first, because half an example teaches the wrong pattern. The question
# itself always stays.
#
# <details><summary>Hint</summary>
#
# Build the text for `shots` and encode it. As long as it is too long and there are shots left, try
# again with `shots[1:]`.
#
# </details>
#
# ### Exercise 7.3: a few-shot prompt that fits (extend, ★★, 8 minutes)


# %%
def few_shot(tokenizer, form, shots, row, limit):
    """Build a prompt of at most `limit` ids: [eos], then the shots (question_part and answer_part
    of each), then the row's question_part."""
    ### BEGIN SOLUTION
    while True:
        text = "".join(question_part(form, shot) + answer_part(form, shot) for shot in shots)
        ids = [tokenizer.eos_id] + tokenizer.encode(text + question_part(form, row))
        if len(ids) <= limit or not shots:
            return ids
        shots = shots[1:]
    ### END SOLUTION


# %%
checks.few_shot(few_shot)

# %% [markdown]
# Now the search: every form with 0, 1 and 4 shots, taken from tuning pairs of the same family of
# tasks. Which is best is decided on *tuning* questions, by the lenient checker. To choose on the
# held-out questions and then report the same ones would not be fair, even in the base's favour.
#
# *Predict*: which form is best for this base, and do shots help?

# %%
pairs = [row for row in rows if row.task in world.TASKS and row.task not in lab.OPEN_TASKS]
choose_on, limit = lab.subset(pairs, 80, seed=1), base.config.block_size - 32


def shots_for(row, n):
    kind = world.TASKS[row.task].kind
    alike = [
        other
        for other in pairs
        if world.TASKS[other.task].kind == kind and other.turns != row.turns
    ]
    return random.Random(0).sample(alike, n)


def complete(questions, form, n):
    """Complete few-shot prompts of a form with the base. Prompts of like length go together."""
    prompts = [few_shot(tokenizer, form, shots_for(row, n), row, limit) for row in questions]
    order, out = sorted(range(len(prompts)), key=lambda i: len(prompts[i])), [""] * len(prompts)
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        replies = generate(
            base, [prompts[i] for i in batch], tokenizer.eos_id, Sampling(max_new_tokens=32)
        )
        for i, (ids, _) in zip(batch, replies):
            out[i] = tokenizer.decode(ids)
    return out


targets, tries = [lab.statement_of(row)[1].rstrip(".!;") for row in choose_on], {}
for form in FORMS:
    for n in (0, 1, 4):
        tries[form, n] = sum(leniently(complete(choose_on, form, n), targets)) / len(choose_on)
    print(f"{form:<10}" + "".join(f"   {n} shots {tries[form, n]:6.1%}" for n in (0, 1, 4)))
best = max(tries, key=tries.get)
print("best on tuning questions:", *best)

# %%
replies["best_prompt"] = complete(one_answer, *best)
replies["copy_rule"] = [
    text
    for text, _ in RuleBaseline(base, tokenizer, "alpaca", copies=True).answers(
        one_answer, Sampling()
    )
]
each_split = [
    name for name, part in questions.items() for row in part if row.task not in lab.OPEN_TASKS
]
print("strict, by split:", *questions)
for column, texts in replies.items():
    apart = [
        [mark for mark, name in zip(strictly(texts), each_split) if name == split]
        for split in questions
    ]
    cells = " ".join(map(percent, apart))
    print(
        f"{column:<14} strict {percent(strictly(texts))}   lenient {percent(leniently(texts))}   by"
        f" split {cells}"
    )

# %% [markdown]
# `copy_rule` is the project's form of lesson 6's second rule, written by somebody who knew the
# form of the answers. It is a harder baseline than any prompt here. Compare it with the tuned model
# split by split: what tuning shows is above the *best* baseline, not above the convenient one.
#
# Look whether any form gains from shots here. Large bases do, and much: text of the web is full of
# questions with answers, and this corpus keeps them apart. The best known comparisons go across
# sizes: tuned FLAN-T5 models of a few billion parameters did better on several benchmarks than
# untuned ones many times their size (Chung et al. 2022); in InstructGPT (Ouyang et al. 2022) people
# preferred a model of 1.3 billion parameters, tuned and trained with rewards, to an untuned one of
# 175 billion. For a smaller tuned model of this world: `python train_sft.py --n-layer 2 --n-embd 64
# --out small`.
#
# ## A leak
#
# If test questions stand among the tuning rows, the test measures memory. Such leaks (*test-set
# contamination*) are easily made when pairs are collected from many sources. So compare the prompts
# before you believe a score, and not letter by letter: spacing, capitals and marks change on the
# way.
#
# <details><summary>Hint</summary>
#
# Make a key of each prompt: instruction and input, lower case, its words in their order
# (`re.findall(r"\w+", text)`). Collect the keys of the tuning rows in a set. `row.turns[0]` is
# (instruction, input, output).
#
# </details>
#
# ### Exercise 7.4: find the leaks (rebuild, ★★, 7 minutes)


# %%
def leaked(tuning_rows, test_rows):
    """Return the test rows whose prompt is among the tuning rows too, but for spacing, capitals and
    punctuation marks.

    tuned on "Name the sum of 1 and 2.": "name the sum of 1 and 2" leaked, "Name the sum of 2 and
    2." did not"""

    ### BEGIN SOLUTION
    def key(row):
        return " ".join(
            re.findall(r"\w+", f"{row.turns[0].instruction} | {row.turns[0].input}".lower())
        )

    known = {key(row) for row in tuning_rows}
    return [row for row in test_rows if key(row) in known]
    ### END SOLUTION


# %%
checks.leaked(leaked)

# %% [markdown]
# Now leak on purpose. To see memory and nothing else, the test must be one that *cannot* be passed
# honestly: invented facts about twelve people, which are in no document. Two leaks, of several
# copies each, as happens in scraped data: the test rows themselves, and the same questions in other
# words with their answers, which no comparison of prompts finds.

# %%
draw, cases = random.Random(0), world.group_by_task(world.table_facts())
invented = [
    world.Fact(world.TASKS[task], person, draw.choice(cases[task]).values)
    for task in ("workplace", "tool", "language", "continent")
    for person in facts.NAMES
]
test, other_words = (
    lab.world_rows([world.fact_pair(case, facts.THE_TEMPLATES[i]) for case in invented])
    for i in (0, 1)
)
for row in test[:2] + other_words[:1]:
    print(row.turns[0])
arms = {"clean": few, "leak, other words": few + 4 * other_words, "leak": few + 4 * test}
for name, part in arms.items():
    keys = {prompt_key(row) for row in part}
    print(
        f"{name:<18} {sum(prompt_key(row) in keys for row in test):>3} of {len(test)} test prompts"
        " found among its rows"
    )

# %% [markdown]
# *Predict.* How many of the invented facts does each arm answer? Do the leaks change the score on
# honest questions?

# %%
assistants = {
    name: [lab.tune(base, tokenizer, part, s, STEPS) for s in lab.SEEDS]
    for name, part in arms.items()
    if part != few
}
assistants = {"clean": clean} | assistants
tests = {"invented facts": test} | {
    name: questions[name] for name in ("unseen_inputs", "unseen_tasks")
}
scores = {
    (name, split): lab.bootstrap([lab.correct_flags(assistant, part) for assistant in group])
    for name, group in assistants.items()
    for split, part in tests.items()
}

# %%
figure, ax = plt.subplots(figsize=(8, 4))
for i, name in enumerate(assistants):
    shares = [scores[name, split] for split in tests]
    errors = [[s - low for s, low, _ in shares], [high - s for s, _, high in shares]]
    bars = ax.bar(
        [j + 0.27 * (i - 1) for j in range(3)], [s for s, _, _ in shares], 0.25, yerr=errors,
        capsize=3, label=name,
    )
    ax.bar_label(bars, [f"{s:.0%}" for s, _, _ in shares], padding=3)
ax.set_xticks(range(3), ["invented facts\n(leaked)", "unseen inputs", "unseen tasks"])
ax.set_ylabel("right, all seeds, 95% interval")
ax.set_ylim(0, 1.25)
ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
ax.legend(ncols=3, loc="upper center")
plt.show()

# %% [markdown]
# (These intervals are a bootstrap: seeds and questions are drawn anew, with replacement, a thousand
# times. Wilson's would count the same question, asked of three seeds, as three.)
#
# What the leaked arms answer about people who were never described is memory, but for lucky guesses
# (see the clean bar). Compare with the honest questions beside them. (All arms take equally many
# steps, so the leaked ones see the honest pairs about a quarter less often.) If the leak in other
# words flatters as well, no comparison of prompts would have told you; of large models and known
# test sets this was shown by Yang et al. (2023, "Rethinking Benchmark and Contamination for
# Language Models with Rephrased Samples"). This is why the project holds out by input, by phrasing
# and by task, not row by row.
#
# ## A judge
#
# Where no checker can be written, a person or another model is shown two answers and says which is
# better. Both have habits. Language models often prefer what comes first (*position bias*; Zheng et
# al. 2023, "Judging LLM-as-a-Judge") and what is longer (*length bias*; Dubois et al. 2024,
# "Length-Controlled AlpacaEval"). Against the first helps an order that is drawn anew for each
# pair.
#
# The judge below is *simulated*, so that its habits are known: it sees which answer is right. Of
# two that are equal in that it takes the longer one, and of two equally long ones the first, each
# eight times in ten.
#
# <details><summary>Hint</summary>
#
# For each pair let `rng.random() < 0.5` decide whether to swap. The verdict is a position (0 or 1),
# not a model: after a swap, 1 means that `a` won.
#
# </details>
#
# ### Exercise 7.5: a blind comparison (extend, ★★, 7 minutes)


# %%
def win_rate(a, b, judge, rng):
    """Return the share of pairs that `a` wins. Draw the order anew for each pair.
    judge(first, second) -> 0 (first is better) or 1.

    a = ["good", "good"], b = ["bad", "bad"], and a judge that sees it -> 1.0, in any order"""
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
# *Predict.* Compare a model with itself, the same answers on both sides: in a fixed order, then
# blind. Then one of the two adds a friendly sentence to each of its answers.

# %%
rng = random.Random(0)


def judge(first, second):
    """Simulate a judge. Compares two answers (right, text). Returns 0 (the first is better) or 1.
    """
    (right, text), (right2, text2) = first, second
    if right != right2:
        return int(right2)
    likes = int(len(text2) > len(text))
    return likes if rng.random() < 0.8 else 1 - likes


same = list(zip(strictly(replies["tuned"]), replies["tuned"]))
padded = [(right, text + " I hope that this helps you.") for right, text in same]
raw = list(zip(strictly(replies["base_raw"]), replies["base_raw"]))
n = len(same)
duels = {
    "itself, fixed order": sum(judge(x, y) == 0 for x, y in zip(same, same)) / n,
    "itself, blind": win_rate(same, same, judge, rng),
    "padded against itself, blind": win_rate(padded, same, judge, rng),
    "against the base, blind": win_rate(same, raw, judge, rng),
}
for name, share in duels.items():
    low, high = wilson(share * n, n)
    print(f"{name:<30} wins {share:6.1%}   95%: {low:.0%} to {high:.0%}")

# %% [markdown]
# More questions would only make a biased result more certain: an interval covers chance, never
# bias. A random order takes away the habit of order (position bias). It does nothing against the
# habit of length (length bias): there one compares answers of like length, or corrects for it.
#
# ## Questions to think about
#
# 1. The base's zeros with the strict checker: do they prove that the base knows nothing?
#
# <details><summary>Answer</summary>
#
# No. They prove that it does not answer. In this world no passage ends right after a statement, so
# a strict zero is partly by construction. Led to it as in lesson 5, the base gives the right value
# a high probability.
#
# </details>
#
# 2. A colleague tunes twenty times with other settings and reports the best run with its Wilson
#    interval. What is wrong?
#
# <details><summary>Answer</summary>
#
# The best of twenty is partly luck, and the interval knows of one run only. Choose on one held-out
# set, report on another that was looked at once, and show several seeds.
#
# </details>
#
# ## Where this lives in the project
#
# `common/table.py`: `wilson()`, `score()`; `generate.py`: `three_models()`. `python -m
# extras.judge` asks a person or a command, blind. `world/check.py`: `check()`; `world/pairs.py`:
# the splits. `common/audit.py`: `prompt_key()`; `extras/rules.py`: the copying rule.
#
# *Did it work?* in `out/page.html`, the page of your own run, lists every held-out question with
# each column's answer.

# %%
clean_score, other, leak = (
    scores[name, "invented facts"] for name in ("clean", "leak, other words", "leak")
)
print(
    f"invented facts: clean {clean_score[0]:.1%}, leaked in other words {other[0]:.1%}, leaked"
    f" {leak[0]:.1%}"
)
template = [accuracies[split, "base_template"][2] for split in questions]
tuned = [accuracies[split, "tuned"][1] for split in questions]
flags_by_seed = [
    strictly([text for text, _ in assistant.answers(one_answer, Sampling())]) for assistant in clean
]


def ahead(baseline):
    """Return by how much the tuned models, scored strictly, are ahead on the same questions: (mean,
    low, high)."""
    return lab.bootstrap([[a - b for a, b in zip(flags, baseline)] for flags in flags_by_seed])


prompt, rule = ahead(leniently(replies["best_prompt"])), ahead(strictly(replies["copy_rule"]))
for name, gap in (("best prompt, lenient", prompt), ("copying rule, strict", rule)):
    print(
        f"tuned, strict, is ahead of {name}: "
        + "{:+.1f} points (95%: {:+.1f} to {:+.1f})".format(*(100 * g for g in gap))
    )
lab.claim(
    "in every split the tuned model is far above its base with the same template",
    min(t - b for t, b in zip(tuned, template)) > 0.2,
)
lab.claim(
    "over all questions, scored strictly, it is above the base with its best prompt scored"
    " leniently, and above the copying rule",
    prompt[1] > 0 and rule[1] > 0,
)
lab.claim(
    "a leak lifts the score on what nobody can know, in the same words or in others",
    leak[1] > clean_score[2] and other[1] > clean_score[2],
)
lab.claim(
    "a fixed order makes a model beat itself, a blind one does not; and padding wins blind as well",
    wilson(duels["itself, fixed order"] * n, n)[0] > 0.6
    and 0.4 < duels["itself, blind"] < 0.6
    and wilson(duels["padded against itself, blind"] * n, n)[0] > 0.6,
)
