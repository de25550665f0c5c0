# %% [markdown]
# # 7. Did it work?
#
# You write the evaluation of a tuned model: questions that it cannot have seen, a score with an
# interval, a checker, a baseline that gets every advantage. Then you read the errors. The second
# part shows how a leak inflates a score and how a biased judge is fooled.
#
# *Part 1: 20 minutes of reading, 30 of exercises. Part 2 (optional): 10 and 15. Computing: 3
# minutes on one core. Needs `out/base.pt` and `out/tuned.pt` from `python train_sft.py`, and
# lessons 4 and 5.*

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson07 as checks
from experiments import lesson07 as experiments

import math
import random
import re

import world
from common.table import wilson
from data import Row, Turn
from extras.rules import RuleBaseline
from generate import Sampling, load_three

# %% [markdown]
# ## Three kinds of unseen question
#
# A *held-out* question was never tuned on. There are three kinds. *Unseen inputs*: a known kind of
# question about something that no pair asked about. *Unseen phrasings*: a way of asking that is in
# no pair. *Unseen tasks*: a kind of question that was never tuned on. The base has read the facts
# behind all of them, and never a question beside its answer.

# %%
rows, splits = lab.load_world()
for name, held_out in splits.items():
    instruction, context, output = held_out[0].turns[0]
    print(f"{name}, {len(held_out)} rows\n  {instruction} {context}\n  -> {output}")

# %% [markdown]
# ## How sure is a share?
#
# A model is asked ten questions and is right nine times. Would it be right as often among a
# thousand? A 95% *interval* contains the true shares that agree with the observed one. The
# textbook's p ± 1.96 · sqrt(p(1-p)/n) fails just where we need it: if no answer is right, its width
# is zero. Wilson (1927) takes all true shares from which the observed one is at most 1.96 standard
# deviations away. With z = 1.96:
#
#     middle = (p + z²/2n) / (1 + z²/n)          spread = z · sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)
#
# ### Exercise 7.1: an honest interval (rebuild, ★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Compute p, then middle and spread. Return (middle - spread, middle + spread), clipped to the range
# from 0 to 1.
#
# </details>


# %%
def wilson_interval(correct, n):
    """Return the 95% interval (low, high) of a share, with z = 1.96.

    9 of 10 -> about (0.596, 0.982); 0 of 10 -> about (0.0, 0.278)"""
    ### BEGIN SOLUTION
    z = 1.96
    p = correct / n
    scale = 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    root = math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    spread = z * root / scale
    return max(0.0, middle - spread), min(1.0, middle + spread)
    ### END SOLUTION


# %%
checks.wilson_interval(wilson_interval)
experiments.print_intervals(((0, 10), (9, 10), (90, 100), (900, 1000)))

# %% [markdown]
# Ten times as many questions make the interval about three times as narrow. Remember that when you
# read of a small gain on few questions.
#
# ## The evaluation
#
# ### Exercise 7.2: evaluate a model (rebuild, ★★, 10 minutes)
#
# `assistant.answers(rows, Sampling())` returns (text, stopped by itself) for every row, greedily.
# An answer that never ends is no answer: count it as wrong, even if the checker likes its text.
#
# <details><summary>Hint</summary>
#
# Go through `zip(rows, replies)`. Add `(row, text)` to the errors unless `stopped and
# is_right(row, text)`. The number of right ones is what is left.
#
# </details>


# %%
def evaluate(assistant, rows, is_right):
    """Ask every row. is_right(row, text) says whether a text answers the row.

    Returns {"right": share, "stopped": share, "interval": (low, high) of "right" (wilson),
    "errors": [(row, text), ...] in order}."""
    ### BEGIN SOLUTION
    replies = assistant.answers(rows, Sampling())
    errors = []
    for row, (text, stopped) in zip(rows, replies):
        if not (stopped and is_right(row, text)):
            errors.append((row, text))
    n, n_right = len(rows), len(rows) - len(errors)
    return {
        "right": n_right / n,
        "stopped": sum(stopped for _, stopped in replies) / n,
        "interval": wilson(n_right, n),
        "errors": errors,
    }
    ### END SOLUTION


# %%
checks.evaluate(evaluate)

# %% [markdown]
# A tuned model differs from its base in two ways: it was tuned, and it is asked with a template. To
# know which one made the difference you need a *control* between them: the base with the template.
# `load_three` loads your own `tuned.pt` and makes all three models. *Predict* two of the scores.

# %%
lab.predict("7: unseen tasks, base with the template", ...)
lab.predict("7: unseen tasks, tuned", ...)


# %%
def is_right(row, text):
    return world.check(row.task, row.turns[0].output, text)


columns = load_three(lab.OUT / "tuned.pt")
base, tokenizer = columns["base_raw"].model, columns["base_raw"].tokenizer
questions = {name: lab.subset(held_out, 150) for name, held_out in splits.items()}
results = {
    (split, column): evaluate(assistant, part, is_right)
    for split, part in questions.items()
    for column, assistant in columns.items()
}
experiments.describe_columns(results)
control, tuned = (results["unseen_tasks", name] for name in ("base_template", "tuned"))
lab.compare("7: unseen tasks, base with the template", control["right"])
lab.compare("7: unseen tasks, tuned", tuned["right"])
experiments.plot_columns(results)

# %% [markdown]
# ## Read ten errors
#
# A score doesn't say what is wrong. Sort these errors of the tuned model into kinds, and write two
# sentences. Which kind would more pairs repair, and which only a better base?

# %%
experiments.print_errors(results)

# %% [markdown]
# <details><summary>What you may have written</summary>
#
# "Some wrong answers name the thing that was asked for and give a wrong value: a fact that the base
# does not know well, or another word of the text. Others answer another question than the one
# asked, about another thing or of another kind. More pairs, of more kinds, may repair those." In
# the field a fluent false statement is called a *hallucination* (lesson 13).
#
# </details>
#
# ## Who decides what is right?
#
# The checker above is *strict*: the whole statement and nothing after it. Perhaps the base knew the
# answer and only said it differently? A *lenient* checker asks whether the right value is anywhere
# in the answer. (Lesson 1 looked for the whole statement.)
#
# ### Exercise 7.3: a lenient checker (extend, ★, 5 minutes)
#
# Whole words only: an answer "12" does not mention 2.
#
# <details><summary>Hint</summary>
#
# `re.search` with `re.escape(value)`. Before it there must be no letter or digit of any script,
# `(?<!\w)`, and after it none, `(?!\w)`. The usual `\b` fails where the value itself ends with a
# punctuation mark, as SQL does.
#
# </details>


# %%
def mentions(value, text):
    """Test whether `text` has `value` as whole words, with the same capitals.

    "2", "It is 12." -> False"""
    ### BEGIN SOLUTION
    pattern = r"(?<!\w)" + re.escape(value) + r"(?!\w)"
    return re.search(pattern, text) is not None
    ### END SOLUTION


# %%
checks.mentions(mentions)
one_answer = [row for part in questions.values() for row in part if row.task not in lab.OPEN_TASKS]
judged = experiments.Checkers(one_answer, mentions)
for column, assistant in columns.items():
    judged.add(column, [text for text, _ in assistant.answers(one_answer, Sampling())])
judged.describe()

# %% [markdown]
# The last number is the lenient checker's chance rate: how often the same replies mention the value
# of *another* question of their task. Not everything above it is knowledge: a reply that repeats
# its question may mention the value too. Neither checker is right. The lenient one counts a value
# that is there by chance or in a wrong sentence, and the strict one rejects right answers that are
# worded differently. So report both, and read. Where no checker can be written, people or a strong
# model give grades by a *rubric*, a list of what a good answer needs.
#
# ## A fair baseline
#
# A base doesn't know your template and was never taught where to stop. A fair comparison gives it
# the best prompt that you can find, and scores it kindly. The usual help is *few-shot* prompting:
# some questions with their answers ("shots") before the question (Brown et al. 2020). We try four
# forms. Each has a question, a question about a text, and an answer.

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


toy = Row((Turn("What is the sum of 1 and 2?", "", "The sum of 1 and 2 is 3."),))
print(question_part("labels", toy) + answer_part("labels", toy))

# %% [markdown]
# ### Exercise 7.4: a few-shot prompt that fits (extend, ★★, 9 minutes)
#
# The prompt is the eos (a document begins after one), the shots with their answers, and the
# question without one. If it is too long for the *context*, leave out whole shots, starting with
# the first: half an example teaches the wrong pattern. The question always stays.
#
# <details><summary>Hint</summary>
#
# Build the text for `shots` and encode it. As long as it is too long and there are shots left, try
# again with `shots[1:]`.
#
# </details>


# %%
def few_shot(tokenizer, form, shots, row, limit):
    """Build a prompt of at most `limit` ids: [eos], then the shots (question_part and answer_part
    of each), then the row's question_part."""
    ### BEGIN SOLUTION
    while True:
        text = ""
        for shot in shots:
            text += question_part(form, shot) + answer_part(form, shot)
        text += question_part(form, row)
        ids = [tokenizer.eos_id] + tokenizer.encode(text)
        if len(ids) <= limit or not shots:
            return ids
        shots = shots[1:]
    ### END SOLUTION


# %%
checks.few_shot(few_shot)

# %% [markdown]
# Now the search, with 0, 1 and 3 shots. They are short pairs of the question's own family of tasks,
# because this context has room for little: the table prints how many fit. We choose the best prompt
# on *tuning* questions, because the held-out ones are for the report.

# %%
pairs = [row for row in rows if row.task in world.TASKS and row.task not in lab.OPEN_TASKS]
few = experiments.FewShot(base, tokenizer, pairs, few_shot)
choose_on = lab.subset(pairs, 80, seed=1)
tries = experiments.search_prompts(few, FORMS, (0, 1, 3), choose_on, mentions, answer_part)
best = max(tries, key=lambda prompt: sum(tries[prompt]))
print(f"best prompt: {best[0]}, {best[1]} shots")
experiments.describe_shots(tries, FORMS)

# %% [markdown]
# Large bases gain much from shots, because the web has many questions with answers. This corpus has
# none, and its context is short. So a result on shots from this base says nothing about large ones.
# Now all baselines against the tuned model. If an earlier row of the base scores as high as the
# chosen prompt, it replaces that prompt, in the base's favor. The *copying rule*
# (`extras/rules.py`) lets the base only copy words of the question until it says *is*.

# %%
rule = RuleBaseline(base, tokenizer, "alpaca", copies=True)
judged.add("best_prompt", few.complete(one_answer, *best, answer_part))
judged.add("copy_rule", [text for text, _ in rule.answers(one_answer, Sampling())])
prompt_lead, rule_lead = judged.describe_baselines()

# %% [markdown]
# The best-known comparisons are between models of different sizes. Tuned FLAN-T5 models did better
# on several benchmarks than untuned ones many times their size (Chung et al. 2022). People
# preferred InstructGPT with 1.3 billion parameters to an untuned model with 175 billion (Ouyang et
# al. 2022).
#
# ## Part 2: a leak
#
# If test questions are among the tuning rows, the test measures memory. Such leaks (*test-set
# contamination*) happen easily when pairs come from many sources. So compare prompts before you
# believe a score, and not letter by letter: spacing, capitals and punctuation change on the way.
#
# ### Exercise 7.5: find the leaks (rebuild, ★★, 7 minutes)
#
# <details><summary>Hint</summary>
#
# Make a key of each prompt: instruction and input, lower case, its words in order
# (`re.findall(r"\w+", text)`). Collect the keys of the tuning rows in a set.
#
# </details>


# %%
def leaked(tuning_rows, test_rows):
    """Return the test rows whose prompt is among the tuning rows too, but for spacing, capitals and
    punctuation.

    tuned on "Name the sum of 1 and 2.": "name the sum of 1 and 2" leaked, "Name the sum of 2 and
    2." did not"""

    ### BEGIN SOLUTION
    def key(row):
        question = row.turns[0]
        return " ".join(re.findall(r"\w+", f"{question.instruction} | {question.input}".lower()))

    known = {key(row) for row in tuning_rows}
    return [row for row in test_rows if key(row) in known]
    ### END SOLUTION


# %%
checks.leaked(leaked)

# %% [markdown]
# Now leak on purpose. To see memory and nothing else, the test must be one that *cannot* be passed
# honestly: invented facts about twelve people, which are in no document. (A lucky guess stays
# possible.) One arm leaks the test rows, another the same questions in other words, both several
# times, as happens in data from the web. *Predict* the three scores.

# %%
for arm in ("clean", "leak in other words", "leak"):
    lab.predict(f"7: invented facts, {arm}", ...)

# %%
STEPS = 6 if lab.FAST else 40
honest = lab.subset(rows, 200)
test, other_words = experiments.invented_tests()
arms = {
    "clean": honest,
    "leak in other words": honest + 8 * other_words,
    "leak": honest + 8 * test,
}
tests = {"invented facts": test, "unseen tasks": lab.subset(questions["unseen_tasks"], 80)}
scores = {}
for arm, part in arms.items():
    print(f"{arm}: {len(leaked(part, test))} of {len(test)} test prompts found among its rows")
    group = [lab.tune(base, tokenizer, part, seed, STEPS) for seed in lab.SEEDS]
    for name, asked in tests.items():
        flags = [lab.correct_flags(assistant, asked) for assistant in group]
        scores[arm, name] = flags
for arm in arms:
    share, *_ = lab.bootstrap(scores[arm, "invented facts"])
    lab.compare(f"7: invented facts, {arm}", share)
hidden, leak = experiments.describe_leak(scores)
experiments.plot_leak(scores, arms, tests)

# %% [markdown]
# These intervals are a *bootstrap*: seeds and questions are drawn again, with replacement, a
# thousand times. Wilson's interval would count one question, asked of three seeds, as three
# questions. Yang et al. (2023) found such rephrased leaks in real training sets. That is why this
# project holds out by input, phrasing and task, not row by row.
#
# ## A judge
#
# Where no checker exists, a person or another model sees two answers and says which is better. Both
# have habits. Language models often prefer the first answer (*position bias*, Zheng et al. 2023)
# and the longer one (*length bias*, Dubois et al. 2024). Randomizing the order for every pair
# removes position bias. Our judge is *simulated*, so that its habits are known: right beats wrong,
# then it mostly prefers the longer answer, then the first one.
#
# ### Exercise 7.6: a blind comparison (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# For each pair let `rng.random() < 0.5` decide whether to swap. The verdict is a position (0 or 1),
# not a model: after a swap, 1 means that `a` won.
#
# </details>


# %%
def win_rate(a, b, judge, rng):
    """Return the share of pairs that `a` wins. Draw the order of each pair.
    judge(first, second) -> 0 (first is better) or 1.

    a = ["good", "good"], b = ["bad", "bad"], and a judge that sees it -> 1.0, in any order"""
    ### BEGIN SOLUTION
    wins = 0
    for x, y in zip(a, b):
        swapped = rng.random() < 0.5
        if swapped:
            wins += judge(y, x) == 1
        else:
            wins += judge(x, y) == 0
    return wins / len(a)
    ### END SOLUTION


# %%
checks.win_rate(win_rate)

# %% [markdown]
# *Predict.* The tuned model is compared with itself: in a fixed order, then blind. Then one side
# adds a friendly sentence to each of its answers. Which of the three gives one half?

# %%
rng = random.Random(0)
judge = experiments.simulated_judge(rng)
same, padded = judged.padded("tuned")
n = len(same)
duels = {
    "itself, fixed order": sum(judge(x, y) == 0 for x, y in zip(same, same)) / n,
    "itself, blind": win_rate(same, same, judge, rng),
    "padded against itself, blind": win_rate(padded, same, judge, rng),
}
experiments.describe_duels(duels, n)

# %% [markdown]
# More questions would only make a biased result more certain. An interval covers chance, never
# bias.
#
# ## Questions to think about
#
# 1. The base's score with the strict checker is near zero. Does it prove that the base knows
#    nothing?
# 2. A colleague tunes twenty times with other settings and reports the best run with its Wilson
#    interval. What is wrong?
#
# <details><summary>Answers</summary>
#
# 1. No. It proves that the base doesn't answer. Led to the value (lesson 1), it gives the right one
#    a high probability.
# 2. The best of twenty is partly luck, and the interval knows of one run only. Choose on one
#    held-out set, report on another that was used once, and show several seeds.
# </details>
#
# > **What to remember**
# >
# > * Report a score on held-out questions, with an interval, beside a control (the base with the
# >   template) and the best baseline without tuning.
# > * A checker, a leak or a judge can be wrong in a way that no interval shows. Read errors.
# > * Choose settings on one set and report on another.
#
# ## In the project
#
# `common/table.py`: `wilson()`, `score()`. `generate.py`: `three_models()`. `extras/judge.py`: a
# blind judge. `common/audit.py`: `prompt_key()`. *Did it work?* in `out/page.html`, the page of
# your own run, lists every held-out question with each column's answer.

# %%
lab.claim(
    "in every split the tuned model is far above its base with the same template",
    all(
        results[split, "tuned"]["interval"][0]
        > results[split, "base_template"]["interval"][1] + 0.2
        for split in questions
    ),
)
lab.claim(
    "scored strictly, it is above the base with its best prompt scored leniently"
    f" ({100 * prompt_lead[0]:.0f} points), and above the copying rule"
    f" ({100 * rule_lead[0]:.0f} points)",
    prompt_lead[1] > 0 and rule_lead[1] > 0,
)
lab.claim(
    f"a leak lifts the score on unknowable facts, in the same words ({100 * leak[0]:.0f} points) or"
    f" in others ({100 * hidden[0]:.0f} points)",
    leak[1] > 0 and hidden[1] > 0,
)
fixed, blind, longer = (wilson(share * n, n) for share in duels.values())
lab.claim(
    "a fixed order makes a model beat itself, a blind one does not, and padding wins blind as well",
    fixed[0] > 0.6 and 0.4 < duels["itself, blind"] < 0.6 and longer[0] > 0.6,
)
