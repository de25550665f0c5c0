# %% [markdown]
# # 6. What did tuning teach?
#
# *Under a minute on a laptop CPU (2 cores), 45 minutes with the exercises. Needs
# `out/base.pt` from `python train_sft.py`.*
#
# Lesson 5 found that tuning moves above all the eos. A sceptic concludes: then it taught nothing
# but a format, and a few rules could do the same. Here you write such rules, tune on answers that
# do not belong to their questions, and see what is left for tuning proper.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson06 as checks

import random
import re
from dataclasses import dataclass
from typing import Callable

import matplotlib.pyplot as plt
import torch

import world
from data import Row, Turn
from generate import Assistant, Sampling, generate

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
questions = {name: lab.subset(held, 120) for name, held in splits.items()}

# %% [markdown]
# ## What others found
#
# Zhou et al. (2023, "LIMA") tuned a large model on a thousand good pairs and proposed that
# knowledge comes from pretraining and tuning teaches the format. Lin et al. (2023, "The Unlocking
# Spell on Base LLMs") compared base and tuned models token by token: most choices are the same, and
# those that move are mostly of style. Kung and Peng (2023, "Do Models Really Learn to Follow
# Instructions?") left in the task descriptions they tuned on only which outputs are possible, and
# the models did about as well; with few pairs, no better than guessing among these outputs. Hewitt
# et al. (2024, "Instruction Following without Instruction Tuning") tuned on answers *without* any
# instruction, which they call response tuning, and also wrote three rules for the decoding of an
# untuned model (end sooner, do not repeat, favour or avoid fifteen tokens). In both cases a base of
# seven billion parameters followed instructions, though people's preferences, as a judge model
# guessed them, went to the tuned one more often.
#
# How the facts were told matters too. Allen-Zhu and Li (2023, "Physics of Language Models: Part
# 3.1") pretrained on invented biographies. Tuned on questions about some people, a model answered
# about the others only if each fact had been told in several ways, or if questions with answers had
# stood in the pretraining. Our base has read each fact in several ways, and questions without
# answers.
#
# So rules and response tuning are two baselines. Tuning taught, at least, what is above them.
#
# ## A rule
#
# A rule says, at each position, which tokens may come next. The model takes the likeliest of these.
# No weight is changed. This one does not look at the instruction: begin with the first token of
# *The*, *A* or *Here*, and end after a mark.


# %%
def begins_and_ends(tokenizer, reply, question):
    """Return the ids that may come next, given the reply so far and the instruction. None: any."""
    if re.search(r"[.!?;]", reply):
        return {tokenizer.eos_id}
    return None if reply else {tokenizer.encode(word)[0] for word in ("The", "A", "Here")}


@dataclass
class Ruled(Assistant):
    """Take the likeliest of the tokens that a rule allows."""

    rule: Callable = begins_and_ends

    def complete(self, rows, prompts, sampling):
        replies = [[] for _ in rows]

        def choose(logits, sampling, generator):
            for line, ids, row in zip(logits, replies, rows):  # line (V,)
                allowed = self.rule(
                    self.tokenizer, self.tokenizer.decode(ids), row.turns[0].instruction
                )
                if allowed is not None:
                    forbidden = torch.ones(len(line), dtype=torch.bool)
                    forbidden[sorted(allowed)] = False
                    line.masked_fill_(forbidden, -torch.inf)
                ids.append(line.argmax().item())
            return torch.tensor([ids[-1] for ids in replies])  # (B,)

        return generate(self.model, prompts, self.tokenizer.eos_id, sampling, choose)


# %%
for name, assistant in (
    ("base", Assistant(base, tokenizer, "alpaca")),
    ("ruled", Ruled(base, tokenizer, "alpaca")),
):
    for question in ("What is the capital of France?", "Name the opposite of long."):
        print(f"{name:<6} {question} -> {lab.ask(assistant, question, max_new=16)}")

# %% [markdown]
# ### Exercise 6.1: a rule that looks at the instruction (rebuild, ★★★, 12 minutes)
#
# 1. Once the reply has a mark (`.`, `!`, `?`, `;`): only the eos.
# 2. At the beginning: only the first token of *The*, *A* or *Here*, as above.
# 3. Once it has a *link*, the word "is" or a colon: anything.
# 4. Between: the tokens of the instruction, written with a space before it, once as it is and once
#    with a small first letter; and the two links, the first tokens of `" is"` and `":"`. But no
#    token that holds a mark.
#
# <details><summary>Hint</summary>
# `re.search(r"\bis\b|:", reply)` finds a link. `tokenizer.decode([i])` is the text of token i. The
# four cases in the order in which they stand above, with 1 first.
# </details>


# %%
def copying(tokenizer, reply, question):
    """Return the set of ids that may come next, given the reply so far and the instruction. None:
    any.

    reply "The", question "Name the sea."
    -> the ids of " Name", " name", " the", " sea", " is", ":" (not of ".")"""
    ### BEGIN SOLUTION
    if re.search(r"[.!?;]", reply):
        return {tokenizer.eos_id}
    if not reply:
        return {tokenizer.encode(word)[0] for word in ("The", "A", "Here")}
    if re.search(r"\bis\b|:", reply):
        return None
    words = tokenizer.encode(f" {question}") + tokenizer.encode(
        f" {question[:1].lower()}{question[1:]}"
    )
    words = {i for i in words if not re.search(r"[.!?;]", tokenizer.decode([i]))}
    return words | {tokenizer.encode(" is")[0], tokenizer.encode(":")[0]}
    ### END SOLUTION


# %%
checks.copying(copying)
copier = Ruled(base, tokenizer, "alpaca", rule=copying)
for question in (
    "What is the capital of France?",
    "Name the opposite of long.",
    "Tell me the sound of a dog.",
):
    print(f"{question} -> {lab.ask(copier, question, max_new=16)}")

# %% [markdown]
# ## Response tuning
#
# The other baseline, in a form of our own: tune as usual, on the same answers, but under
# instructions that do not belong to them. (Hewitt et al. leave the instructions away. Here every
# prompt looks as it will when it is asked.) Nobody can learn from these pairs what an instruction
# has to do with its answer.
#
# ### Exercise 6.2: other people's questions (rebuild, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
# Make one shuffled copy of the rows, `rng.sample(rows, len(rows))`, and zip it with them. An
# instruction keeps its own input.
# </details>


# %%
def others_questions(rows, rng):
    """Return new rows with the answers and tasks of these, in their order, each under the
    instruction and input of some row. Every row's question is used once.

    (q1, x1, a1), (q2, x2, a2) -> perhaps (q2, x2, a1), (q1, x1, a2)"""
    ### BEGIN SOLUTION
    shuffled = rng.sample(rows, len(rows))
    return [
        Row((Turn(*other.turns[0][:2], row.turns[0].output),), row.task)
        for row, other in zip(rows, shuffled)
    ]
    ### END SOLUTION


# %%
checks.others_questions(others_questions)
for row in others_questions(rows[:40], random.Random(0))[:4]:
    print(row.turns[0])

# %% [markdown]
# (A random order leaves about one row in its place, however many there are. One among all the pairs
# teaches nothing.)
#
# ## The measurement
#
# Four columns on the same held-out questions: the base with the template under the two rules; tuned
# for some steps on other people's questions; tuned for the same steps on the right ones.
#
# The questions are new inputs, new phrasings (of facts that pairs may have asked for in other
# words) and new tasks. Beside *right* stands how often what was said is a *true statement* of the
# tables, whatever was asked. *Predict* the fraction of right answers of all four, over all three
# kinds of question, and for response tuning also the fraction of true statements.

# %%
COLUMNS = ("rule: begin and end", "rule: copy", "response tuning", "tuning")
for name in COLUMNS:
    lab.predict(f"6: right, {name}", ...)
lab.predict("6: a true statement, response tuning", ...)

# %%
STEPS = 8 if lab.FAST else 32
assistants = {
    "rule: begin and end": [Ruled(base, tokenizer, "alpaca")],
    "rule: copy": [Ruled(base, tokenizer, "alpaca", rule=copying)],
    "response tuning": [
        lab.tune(base, tokenizer, others_questions(rows, random.Random(s)), s, STEPS)
        for s in lab.SEEDS
    ],
    "tuning": [lab.tune(base, tokenizer, rows, s, STEPS) for s in lab.SEEDS],
}
question = questions["unseen_inputs"][0].turns[0]
print("asked:", question.instruction, question.input)
for name, group in assistants.items():
    print(f"{name:<20} {lab.ask(group[0], question.instruction, question.input, max_new=32)}")

# %%
TRUE = {case.answer(i) for case in world.table_facts() for i in range(len(case.values))}
# (column, split) -> one list for each assistant: for every question (right, a true statement)
results = {}
for name, group in assistants.items():
    for split, held in questions.items():
        answers = [assistant.answers(held, Sampling(max_new_tokens=32)) for assistant in group]
        results[name, split] = [
            [
                (done and world.check(row.task, row.turns[0].output, text), text.strip() in TRUE)
                for row, (text, done) in zip(held, texts)
            ]
            for texts in answers
        ]


def share(name, splits, which=0):
    """Average a column over its assistants and the questions of some splits. Returns (mean, low,
    high). which: 0 right, 1 a true statement."""
    table = [
        [pair[which] for split in splits for pair in texts[split]] for texts in by_assistant(name)
    ]
    return lab.bootstrap(table)


def by_assistant(name):
    return [
        {split: results[name, split][i] for split in questions}
        for i in range(len(assistants[name]))
    ]


for name in assistants:
    cells = [
        f"{split.removeprefix('unseen_')} "
        + "{:4.0%} ({:.0%} to {:.0%})".format(*share(name, [split]))
        for split in questions
    ]
    print(
        f"{name:<20} right: "
        + "   ".join(cells)
        + f"   a true statement: {share(name, questions, 1)[0]:.0%}"
    )
print()
for name in COLUMNS:
    lab.compare(f"6: right, {name}", share(name, questions)[0])
lab.compare("6: a true statement, response tuning", share("response tuning", questions, 1)[0])
for split in questions:
    rule, full = share("rule: copy", [split]), share("tuning", [split])
    print(
        f"{split}: the intervals of the copying rule and of tuning"
        f" {'overlap' if rule[2] >= full[1] and full[2] >= rule[1] else 'do not overlap'}"
    )

# %%
figure, ax = plt.subplots(figsize=(8, 3.6))
for i, name in enumerate(assistants):
    mean, low, high = zip(*(share(name, [split]) for split in questions))
    error = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
    ax.bar(
        [j + 0.2 * (i - 1.5) for j in range(len(questions))], mean, 0.18, yerr=error, capsize=3,
        label=name,
    )
ax.set_xticks(range(len(questions)), [split.replace("_", " ") for split in questions])
ax.set(
    ylim=(0, 1.05), ylabel="answered exactly right",
    title="What rules do, and what tuning does (95% intervals)",
)
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4, fontsize=9)
figure.tight_layout()
plt.show()

# %% [markdown]
# The rule can only copy. So look apart at the questions that hold the words with which their answer
# begins ("Which city is the capital of Italy?"), and at those that ask in other words ("What
# language do they speak in Japan?"). The latter are few, so all held-out ones are asked. *Predict*
# the fraction of them that the tuned models answer right.

# %%
lab.predict("6: right in other words, tuning", ...)


# %%
def named(row):
    """Test whether the instruction has the words with which the answer begins, up to its link and
    without "The" or "Here is the"."""
    start = re.sub(r"^Here is | is$|:$", "", lab.statement_of(row)[0])
    return start.partition(" ")[2].lower() in row.turns[0].instruction.lower()


def held_beginning(name):
    """Return right or not, for each assistant of a column and each of the questions above that
    contain the beginning of their answer."""
    return [
        [
            pair[0]
            for split, held in questions.items()
            for row, pair in zip(held, texts[split])
            if named(row)
        ]
        for texts in by_assistant(name)
    ]


n_named = sum(named(row) for held in questions.values() for row in held)
print(
    f"{n_named} of {sum(map(len, questions.values()))} questions hold the beginning of their answer"
)
worded = [row for held in splits.values() for row in held if not named(row)]
print(
    f"{len(worded)} of all {sum(map(len, splits.values()))} held-out questions ask in other words"
)
other = {
    name: [lab.correct_flags(assistant, worded, 32) for assistant in group]
    for name, group in assistants.items()
}
for name in assistants:
    cells = [
        "{:4.0%} ({:.0%} to {:.0%})".format(*lab.bootstrap(table))
        for table in (held_beginning(name), other[name])
    ]
    print(f"{name:<20} right, beginning held: {cells[0]}   in other words: {cells[1]}")

# question by question, what a tuned model gets right and the rule does not, minus the reverse
gain = lab.bootstrap(
    [[t - r for t, r in zip(tuned, other["rule: copy"][0])] for tuned in other["tuning"]]
)
print(
    f"in other words, tuning is ahead of the copying rule by {100 * gain[0]:.0f} points"
    f" ({100 * gain[1]:.0f} to {100 * gain[2]:.0f})"
)
lab.compare("6: right in other words, tuning", lab.bootstrap(other["tuning"])[0])

# %% [markdown]
# (A right answer about a text is no statement of the tables, so what a model that answers well says
# is in part no such statement.)
#
# The first rule says how to begin and when to end, and leaves the rest to the base, which goes on
# as its corpus does. The second makes the base name what the instruction names; from there on it
# needs only the fact, which it mostly knows. Where its interval overlaps with that of tuning, this
# run cannot tell the two apart, and the sceptic is not refuted: as much could have been written
# down by a person. How large this part is depends on the base. The questions in other words, which
# do not hold the beginning of their answer, are few, so their intervals are wide.
#
# Response tuning shows the format alone. Look at what the model says, at its true statements, and
# at its right answers: the end and the format can be learned without any link between question and
# answer. What is missing is the way from the instruction to what it asks for. Somebody wrote a part
# of that way down as a rule; tuning on the right pairs teaches it.
#
# What LIMA says of *knowledge* does hold here: the facts that unseen inputs and tasks ask for stand
# in no pair; they were read before. And what Hewitt et al. found is about bases that have met very
# many questions with their answers.
#
# ## Open task: a better rule (★★★, 30 minutes, no check)
#
# Change `my_rule` until the base answers as many *tuning* questions as you can make it. Only then
# look at the held-out ones, once. Ideas: other beginnings; a word of the instruction at most once;
# after "of" only a name; for questions with a text, words of the text. Nothing about single facts,
# or it is no rule.


# %%
def my_rule(tokenizer, reply, question):
    return copying(tokenizer, reply, question)


sample = lab.subset([row for row in rows if row.task in world.TASKS], 120, seed=1)
print(
    "{:.0%} right of tuning questions ({:.0%} to {:.0%})".format(
        *lab.accuracy(Ruled(base, tokenizer, "alpaca", rule=my_rule), sample, 32)
    )
)

# %% [markdown]
# (Tuning questions are asked in far more ways than the held-out ones, and with typing errors, so
# the share is lower.)
#
# ## Two questions to think about
#
# 1. The rules here were written by somebody who had seen the answers of this world. Is the
#    comparison fair?
# 2. Response tuning does well in Hewitt et al. Why can it hardly do so here?
#
# <details><summary>Answers</summary>
#
# 1. It favours the rules. (The project's own, in `extras/rules.py`, are of the same kinds.) That is
#    the direction in which a sceptic's baseline should err. It would be unfair to call the gap
#    *all* that tuning teaches: a better rule would make it smaller.
# 2. A large base has read questions that are followed by their answers, so it knows already that
#    the answer should fit the question. No document of this corpus answers a question, so this base
#    has no such habit to fall back on. (Ours also shows it wrong pairs, where theirs shows none.)
# </details>
#
# ## Where this lives in the project
#
# `extras/rules.py` contains two rules of the same kinds as columns of a table (`base_rules`,
# without the template; `base_copy`, which begins with "The" only); `python -m extras.evaluate`
# prints it (`--controls`).

# %%
rule, copied, response, tuned = (share(name, questions) for name in assistants)
lab.claim(
    f"a rule that copies from the instruction does more ({copied[0]:.0%}) than one that does not"
    f" look at it ({rule[0]:.0%}), and tuning ({tuned[0]:.0%}) more than both",
    copied[1] > rule[2] and tuned[1] > copied[2],
    "how much copying does depends on the corpus that the base has read; look at the three splits"
    " apart.",
)
lab.claim(
    "asked in other words than the answer's, tuning answers more than the copying rule (ahead by"
    f" {100 * gain[0]:.0f} points)",
    gain[1] > 0,
    "these questions are few and the intervals wide; look at their number.",
)
lab.claim(
    "tuned on other people's questions the model says true things"
    f" ({share('response tuning', questions, 1)[0]:.0%}) and seldom what was asked"
    f" ({response[0]:.0%})",
    response[2] < 0.25 and share("response tuning", questions, 1)[1] > response[2],
    "a base that has met many answered questions may answer all the same; look at what it says"
    " above.",
)
