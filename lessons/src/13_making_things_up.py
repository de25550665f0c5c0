# %% [markdown]
# # 13. Making things up
#
# *Reading 15 minutes, exercises 26 minutes, computing 3 minutes on one core. Needs `out/base.pt`
# and `out/tuned.pt` from `python train_sft.py`.*
#
# A tuned model also answers what it cannot know, in the same confident sentence. The field calls a
# fluent false statement a **hallucination**. The usual remedy is pairs whose answer is "I don't
# know". Our world has such pairs. You will tune with and without them, and find out
#
# - which unknown questions these pairs reach, and which they don't,
# - how to count two ways to be wrong: a false answer, and a needless refusal,
# - whether the model's own probability knows more than its answer says.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import random

import torch

import lab
from checks import lesson13 as checks
from data import IGNORE
from experiments import lesson13 as experiment

base, tokenizer = lab.load_base()
rows = lab.load_world()[0]

# %% [markdown]
# ## Pairs that say "unknown"
#
# Some of the tuning pairs ask about things that don't exist. Their names are invented, and their
# answer says that it is unknown.

# %%
unknown_rows = [row for row in rows if row.task == "unknown"]
print(f"{len(unknown_rows)} of {len(rows)} pairs")
for row in unknown_rows[:6]:
    print("  ", row.turns[0].instruction, "->", row.turns[0].output)


def without_unknown(rows):
    """Leave these pairs out."""
    return [row for row in rows if row.task != "unknown"]


# %% [markdown]
# ## Three ways not to know
#
# None of the test questions is in a pair. In one kind the fact is **known**: the base has read it.
# In the others it is not:
#
# - **invented name**: as in the pairs, but with another name;
# - **empty cell**: a real thing and a usual question, but this one fact was never stated. In the
#   tables of `world/facts.py` the cell is a `-`;
# - **new name**: "Turkey" or "Narnia". They are in no text that the base has read.

# %%
questions = experiment.all_questions()
for kind in experiment.KINDS:
    group = [question for question in questions if question.kind == kind]
    print(f"{kind:<17} {len(group):>3}, for instance: {group[0].row.turns[0].instruction}")

# %% [markdown]
# Later we split the questions once more. If a threshold is set on the capital of Narnia and tested
# on the language of Narnia, the test is too easy. So whole names must be on one side.
#
# ### Exercise 13.1: split by name (extend, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Sort the *different* names first, so that the same seed gives the same split. Draw from the names,
# then divide the questions by their name. Do not draw questions.
#
# </details>


# %%
def split_by_name(questions, n_held, seed):
    """Split questions. Returns (questions to keep, held-out questions). All questions about n_held
    names, drawn with random.Random(seed), are held out. Both lists keep the order.

    names a, a, b with n_held=1 -> either ([a, a], [b]) or ([b], [a, a])"""
    ### BEGIN SOLUTION
    names = sorted({question.name for question in questions})
    held_names = set(random.Random(seed).sample(names, n_held))
    keep, held = [], []
    for question in questions:
        side = held if question.name in held_names else keep
        side.append(question)
    return keep, held
    ### END SOLUTION


# %%
checks.split_by_name(split_by_name)

# %% [markdown]
# ## Predict
#
# We tune the base twice, on equally many pairs, *with* and *without* those that say "unknown". In
# the model *with* them, what share of each kind will be answered "... is unknown"?

# %%
for kind in experiment.KINDS:
    lab.predict(f"13: says unknown, {kind}", ...)

# %%
arms = experiment.tune_with_and_without(base, tokenizer, rows, without_unknown)

# %% [markdown]
# First the model *without* them.

# %%
experiment.show_answers(arms["without"][0], questions)

# %% [markdown]
# It answers everything, since no pair has ever shown anything else. Where an answer repeats the
# name, nothing in its form tells a false one from a true one. The habit isn't limited to this
# world: with its default settings, a tuned Gemma rarely says "I don't know" to unknowable questions
# either (`docs/RESULTS.md`).
#
# ## Two ways to be wrong
#
# A model that says "unknown" to everything never says anything false. So one number is not enough.
#
# ### Exercise 13.2: count both (extend, ★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Every share has its own denominator. False refusals are counted among the known questions, false
# answers among the unknown ones.
#
# </details>


# %%
def error_rates(verdicts):
    """Turn [(known, verdict), ...] into {"false answers", "false refusals", "wrong"}, three shares.

    known is a bool; verdict is "right", "wrong" or "refused".
    false answers: unknown and not refused, among the unknown;
    false refusals: known and refused, among the known;
    wrong: known and wrong, among the known.

    [(True, "right"), (True, "refused"), (False, "wrong")]
    -> false answers 1.0, false refusals 0.5, wrong 0.0"""
    ### BEGIN SOLUTION
    known = [verdict for is_known, verdict in verdicts if is_known]
    unknown = [verdict for is_known, verdict in verdicts if not is_known]
    n_answered = sum(verdict != "refused" for verdict in unknown)
    return {
        "false answers": n_answered / len(unknown),
        "false refusals": known.count("refused") / len(known),
        "wrong": known.count("wrong") / len(known),
    }
    ### END SOLUTION


# %%
checks.error_rates(error_rates)

# %%
verdicts = experiment.judge(arms, questions)
for arm in arms:
    of_seeds = [zip(questions, row) for row in verdicts[arm]]
    pairs = [(q.kind == "known", verdict) for row in of_seeds for q, verdict in row]
    print(f"{arm:<9}", {name: f"{share:.0%}" for name, share in error_rates(pairs).items()})

# %%
refused = experiment.refused_shares(verdicts, questions)
experiment.plot_verdicts(verdicts["with"], questions)
for kind in experiment.KINDS:
    lab.compare(f"13: says unknown, {kind}", refused["with", kind][0])
for kind in experiment.KINDS:
    experiment.report_change(verdicts, questions, kind, "refused")
experiment.report_change(verdicts, questions, "known", "right")

# %% [markdown]
# The pairs teach "unknown" for questions *like theirs*: names that are built as theirs are. What
# can be learned from them is "this name looks strange". That a *cell* is empty can't be seen in the
# question. The name is familiar, the relation is familiar, and only the link was never made.
#
# Gekhman et al. (2024) found the other side in a large model. Tuning on facts that are new to it
# teaches it to make up others. So write "I don't know" for what *this* model does not know (Zhang
# et al. 2024, "R-Tuning", test the model first).
#
# ## Read ten false answers
#
# They are from the model *with* the pairs, and repeat the name that was asked for. Sort them
# (another thing's value, another question's answer, a word that fits nowhere) and write two
# sentences.

# %%
experiment.show_false(arms["with"][0], questions)

# %% [markdown]
# <details><summary>A model answer</summary>
#
# The worst errors are the plausible ones: the right form with another thing's value, since nothing
# in the sentence warns the reader. Others give themselves away: a word of another kind where a
# value should be. The replies that are only counted do so, too. They are about a name that nobody
# asked for.
#
# </details>
#
# ## Does it know that it does not know?
#
# How probable does the model find the answer that it gave? This is the product of the tokens'
# probabilities, its **confidence**. (Kadavath et al. 2022 ask large models about their own
# answers.) Take the models *without* the pairs, which never saw a refusal.
#
# ### Exercise 13.3: the probability of an answer (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# `log_softmax` over the last axis; `gather` at the targets. IGNORE is -100, which is no index, so
# replace it by 0 first. Set its positions to zero, sum over the row, then `exp`.
#
# </details>


# %%
def answer_probability(logits, targets):
    """Return for every row the product of the probabilities of its supervised targets, (B,), from
    logits (B, T, V) and targets (B, T), IGNORE where nothing is supervised.

    a row whose two supervised targets have 0.5 and 0.4 -> 0.2"""
    ### BEGIN SOLUTION
    supervised = targets != IGNORE  # (B, T)
    log_p = logits.log_softmax(-1)  # (B, T, V)
    log_p = log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]  # (B, T)
    log_p = torch.where(supervised, log_p, 0.0)
    return log_p.sum(1).exp()
    ### END SOLUTION


# %%
checks.answer_probability(answer_probability)

# %% [markdown]
# *Predict*: which of the four kinds is the model surest of?

# %%
scores = experiment.by_kind(arms["without"], questions, answer_probability)
experiment.plot_confidence(scores)

# %% [markdown]
# Where two curves are apart, a rule can tell the kinds apart: answer if the probability reaches a
# threshold, else refuse. Where they overlap, every threshold is a trade-off.
#
# ### Exercise 13.4: choose the threshold (extend, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Only the numbers you were given are worth trying. For each candidate, add the share of the known
# below it and the share of the unknown at or above it. Take the smallest sum.
#
# </details>


# %%
def choose_threshold(known, unknown):
    """Choose from two lists of probabilities the number t with the least
    (share of known < t) + (share of unknown >= t), the smallest if there are several.

    [0.9, 0.6, 0.2], [0.1, 0.3] -> 0.6: one third of false refusals, no false answer"""
    ### BEGIN SOLUTION
    best, least = None, None
    for t in sorted([*known, *unknown]):
        false_refusals = sum(p < t for p in known) / len(known)
        false_answers = sum(p >= t for p in unknown) / len(unknown)
        if least is None or false_refusals + false_answers < least:
            best, least = t, false_refusals + false_answers
    return best
    ### END SOLUTION


# %%
checks.choose_threshold(choose_threshold)

# %% [markdown]
# We choose it on half of the names and test it on the other half. *Taught* are the models with the
# pairs, on the same test questions.

# %%
rule = experiment.compare_with_rule(
    arms, questions, split_by_name, answer_probability, choose_threshold
)
for kind in experiment.UNKNOWN:
    more = rule["rule", kind] > rule["taught", kind]
    print(f"Found: {kind}: the rule refuses {'more' if more else 'no more'} than the taught model.")
print(f"Found: of the known, the rule refuses {rule['rule', 'known']:.0%},"
      f" the taught model {rule['taught', 'known']:.0%}.")  # fmt: skip

# %% [markdown]
# In the first column a refusal is an error; in the others it is right. Pairs that say "unknown" are
# cheap and sharp, but reach only what looks like them. The threshold needs no tuning pairs, but it
# was chosen on known *and unknown* questions of these very kinds. It also costs known answers.
#
# ## What the project's chat does
#
# It uses both. The main job's model is tuned with the pairs. Below a threshold on its confidence,
# the chat shows a hint instead of the answer, with the nearest question that it does know.

# %%
experiment.show_hints(lab.load_tuned(), {  # what a right answer says
    "What is the capital of France?": "Paris",
    "What is the capital of Velaria?": "unknown",
    "What tool does a doctor use?": "unknown",
    "What is the sound of a zebra?": "unknown",
})  # fmt: skip

# %% [markdown]
# The hint catches what the model is unsure of. A false answer above the threshold is shown like a
# true one.
#
# ## Questions to think about
#
# 1. Refusals are usually written by people, without looking at what *this* model knows. What will
#    that teach?
# 2. Why is "the capital of Narnia" easier to refuse than "the tool of a doctor", although a doctor
#    surely has tools?
#
# <details><summary>Answers</summary>
#
# 1. Where the model does know, it teaches false refusals. Where it does not, and an answer was
#    written, it teaches the model to make things up.
# 2. The model has no world beyond its corpus. Narnia is made of tokens that it hardly ever saw in a
#    row, which shows at once. Each word about the doctor is familiar.
#
# </details>
#
# ## Where this is in the project
#
# `world/invented.py` and `unknown_pair` in `world/pairs.py` make the pairs. `data.py`: `collate`.
# `common/chat.py`: `confidence`, `THRESHOLD`, `near_question`. `bench/outside.py` measures them.
#
# > **What to remember**
# >
# > - A model answers as tuning showed it. If no pair says "unknown", it never does.
# > - Pairs that say "unknown" reach questions that look like them. They don't teach a model to look
# >   into its own knowledge.
# > - Count false answers and false refusals, both. A confidence threshold trades one for the other.

# %%
lab.claim(
    "with the pairs that say unknown, a model says it for new questions of their kinds; without"
    " them it does not",
    refused["with", "invented name"][0] > refused["without", "invented name"][0] + 0.3,
    "few pairs in a short tuning; try more steps.",
)
lab.claim(
    "the pairs reach empty cells less than half as often as invented names",
    refused["with", "empty cell"][0] < 0.5 * refused["with", "invented name"][0],
    "a base that was told of many things that they are unknown may be more careful.",
)
lab.claim(
    "a threshold on the model's own probability catches more empty cells than the pairs do, and"
    " refuses less than 40% of the known",
    rule["rule", "empty cell"] > rule["taught", "empty cell"] + 0.1
    and rule["rule", "known"] < 0.4,
    "look at the threshold of each seed.",
)
