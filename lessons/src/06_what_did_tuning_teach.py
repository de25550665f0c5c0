# %% [markdown]
# # 6. What did tuning teach?
#
# Lesson 5 found that tuning moves the eos far more than the facts. A skeptic concludes that it
# teaches a format, and that a person could write this format down. Here you are the skeptic. You
# write a decoder that makes the *untuned* base answer, tune on answers without their questions, and
# measure how much real tuning adds to that.
#
# *20 minutes of reading, 30 of exercises, 3 of computing on one core. Needs `out/base.pt` and
# `out/tuned.pt` from `python train_sft.py`, and lessons 4, 5 and 7.*

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson06 as checks
from experiments import lesson06 as experiments

import random
import re

from data import Row, Turn
from extras.rules import RuleBaseline
from generate import Assistant, load_assistant

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
held_out, split_of = experiments.draw(splits, 36 if lab.FAST else 90)  # so many of each

# %% [markdown]
# ## What others found
#
# * Zhou et al. (2023, "LIMA") tuned a large model on a thousand good pairs. Their *superficial
#   alignment hypothesis*: knowledge comes from pretraining, and tuning teaches the format.
# * Lin et al. (2023, "The Unlocking Spell on Base LLMs") compared base and tuned models token by
#   token. Most choices are the same, and those that differ are mostly of style.
# * Hewitt et al. (2024, "Instruction Following without Instruction Tuning") tuned on answers
#   *without any instruction*, which they call *response tuning*. They also wrote three rules for
#   decoding an untuned model. In both cases a base of seven billion parameters followed
#   instructions, though a judge preferred the tuned model more often.
# * Kung and Peng (2023, "Do Models Really Learn to Follow Instructions?") removed the meaning from
#   the task descriptions and kept only the possible outputs. The tuned models did about as well.
#
# So hand-written decoders and response tuning are *baselines*. Tuning gets credit only for what
# goes beyond them.
#
# ## A decoder by hand
#
# The base completes statements (lesson 1). So turn the question into the beginning of a statement:
#
#     Could you say what the capital of Spain is?      the question
#     the capital of Spain                             the thing that it asks for
#     The capital of Spain is                          the beginning of a statement
#     The capital of Spain is Madrid.                  completed, up to the first full stop
#
# ### Exercise 6.1: the thing that is asked for (extend, ★★, 10 minutes)
#
# 1. Cut the end off: an *is*, then spaces, commas and colons, then *please*, *thanks* or *what is
#    it*, then the punctuation at the end. Each of these may be there or not, in this order.
# 2. Of the rest take everything from the first article (*the*, *a* or *an*, a whole word, also with
#    a capital). Without an article take all of it.
#
# <details><summary>Hint</summary>
#
# Two regular expressions. `re.sub(r"(?i)( is)?[ ,:]*(please|thanks|what is it)?\W*$", "", text)`
# does the first step. `re.search(r"(?i)\b...` finds the article, and `.*` takes what follows.
#
# </details>


# %%
def asked_for(instruction):
    """Return the thing that an instruction asks for.

    "Kindly name the sea of Oz, please." -> "the sea of Oz"; "Triple of 5?" -> "Triple of 5" """
    ### BEGIN SOLUTION
    ending = r"(?i)( is)?[ ,:]*(please|thanks|what is it)?\W*$"
    text = re.sub(ending, "", instruction)
    found = re.search(r"(?i)\b(the|an?) .*", text)
    if found is None:
        return text
    return found[0]
    ### END SOLUTION


# %%
checks.asked_for(asked_for)
plain = lab.subset(splits["unseen_tasks"], 6)
for row in plain:
    print(f"{row.turns[0].instruction!r:>60} -> {asked_for(row.turns[0].instruction)}")

# %% [markdown]
# ### Exercise 6.2: answer without tuning (extend, ★★, 10 minutes)
#
# Statements of this world begin in two ways: `The capital of Spain is` or `Here is the capital of
# Spain:`. Let the base choose. Take the beginning that it finds more probable, and let it complete
# that one. If the question is about a text, the base reads the text first.
#
# <details><summary>Hint</summary>
#
# Make both beginnings from `noun`, one with a capital first letter, one with a small one. `before`
# is the text and a space, or `""`. `max(beginnings, key=...)` needs a function of a beginning.
#
# </details>


# %%
def decode(model, text, noun):
    """Answer a question that asks for `noun`. `text` is what it is about, or "".

    model.score(before, after) returns log p of a text after another one. model.complete(text)
    continues it up to the first full stop. Returns the answer: beginning and completion."""
    ### BEGIN SOLUTION
    before = text + " " if text else ""
    capital = noun[:1].upper() + noun[1:]
    small = noun[:1].lower() + noun[1:]
    statement = f"{capital} is"
    listing = f"Here is {small}:"
    beginning = max((statement, listing), key=lambda text: model.score(before, text))
    completion = model.complete(before + beginning)
    return beginning + completion
    ### END SOLUTION


# %%
checks.decode(decode)
raw_base = experiments.RawBase(base, tokenizer)


def answer_by_hand(row):
    return decode(raw_base, row.turns[0].input, asked_for(row.turns[0].instruction))


for row in plain:
    print(f"{row.turns[0].instruction} {row.turns[0].input}\n   -> {answer_by_hand(row)}")

# %% [markdown]
# ## Answers without their questions
#
# The other baselines are tuned as usual, on the same answers. In *response tuning* every
# instruction is empty. In *shuffled pairs*, a control of our own, every answer is paired with
# another row's question. The two differ: shuffled pairs train the model to *ignore* the question,
# while response tuning says nothing about it.
#
# ### Exercise 6.3: response tuning (rebuild, ★, 4 minutes)
#
# <details><summary>Hint</summary>
#
# `Row((Turn("", "", output),), task)` is a row. `row.turns[0].output` is its answer.
#
# </details>


# %%
def without_questions(rows):
    """Return new rows with the answers and tasks of these, in order. Instructions and inputs are
    empty.

    (q, x, a) -> ("", "", a)"""
    ### BEGIN SOLUTION
    new_rows = []
    for row in rows:
        turn = Turn("", "", row.turns[0].output)
        new_rows.append(Row((turn,), row.task))
    return new_rows
    ### END SOLUTION


# %%
checks.without_questions(without_questions)

# %% [markdown]
# ### Exercise 6.4: shuffled pairs (rebuild, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Make one shuffled copy of the rows, `rng.sample(rows, len(rows))`, and zip it with them. An
# instruction keeps its own input.
#
# </details>


# %%
def others_questions(rows, rng):
    """Return new rows with the answers and tasks of these, in order, each under the instruction and
    input of some row. Every row's question is used once.

    (q1, x1, a1), (q2, x2, a2) -> perhaps (q2, x2, a1), (q1, x1, a2)"""
    ### BEGIN SOLUTION
    shuffled = rng.sample(rows, len(rows))
    new_rows = []
    for row, other in zip(rows, shuffled):
        instruction, input, _ = other.turns[0]
        output = row.turns[0].output
        turn = Turn(instruction, input, output)
        new_rows.append(Row((turn,), row.task))
    return new_rows
    ### END SOLUTION


# %%
checks.others_questions(others_questions)

# %% [markdown]
# ## The measurement
#
# Seven models, one per row, answer the same held-out questions: new inputs, new phrasings and new
# kinds of question (*tasks*).
#
# * *base*: with the template.
# * *copying rule*: `extras/rules.py`. The base may only copy words of the question until it says
#   *is*.
# * *decoder by hand*: yours.
# * *shuffled pairs*, *response tuning*, *tuning*: the same few steps.
# * *tuned.pt*: the model that your main job tuned, on all pairs.
#
# *Predict* the share of right answers of these four.

# %%
for name in ("decoder by hand", "shuffled pairs", "response tuning", "tuning"):
    lab.predict(f"6: right, {name}", ...)

# %%
STEPS = 4 if lab.FAST else 32


def tune_on(make_rows):
    return [lab.tune(base, tokenizer, make_rows(seed), seed, STEPS) for seed in lab.SEEDS]


full = load_assistant(lab.OUT / "tuned.pt")
shuffled = tune_on(lambda seed: others_questions(rows, random.Random(seed)))
responses = tune_on(lambda seed: without_questions(rows))
tuned = tune_on(lambda seed: rows)
ask = lambda assistants: experiments.ask_all(assistants, held_out)  # noqa: E731
replies = {
    "base": ask([Assistant(base, tokenizer, "alpaca")]),
    "copying rule": ask([RuleBaseline(base, tokenizer, "alpaca", copies=True)]),
    "decoder by hand": experiments.decode_all(answer_by_hand, held_out),
    "shuffled pairs": ask(shuffled),
    "response tuning": ask(responses),
    "tuning": ask(tuned),
    "tuned.pt": ask([full]),
}
experiments.print_columns(replies, split_of)
for name in ("decoder by hand", "shuffled pairs", "response tuning", "tuning"):
    lab.compare(f"6: right, {name}", experiments.share(replies[name])[0])

# %%
different = experiments.describe_columns(replies, split_of)
experiments.plot_columns(replies)

# %% [markdown]
# Here is the hypothesis, measured. **For kinds of question, tuning finds from examples a rule that
# a person could write in two lines, and the base knows the facts.** You wrote that rule after you
# had seen how this world's answers look, and tuning did not need you. But the knowledge was there
# before, and so was the ability to complete a sentence.
#
# A model that was tuned on shuffled pairs learns the form of an answer and when to stop, and has no
# reason to read the question. So it falls back on very few replies. What tuning on right pairs adds
# is the step from the question to the statement.
#
# ## Where the rule ends
#
# Your rule needs a question that contains the beginning of its answer ("Name the capital of
# Spain."). Some questions don't: "What language do they speak in Japan?" Below we ask all held-out
# questions of this second kind. Your rule must fail on nearly all of them, so watch `tuned.pt`.
# *Predict* the share that each of two models answers right.

# %%
lab.predict("6: in other words, decoder by hand", ...)
lab.predict("6: in other words, tuned.pt", ...)

# %%
questions = [row for split in splits.values() for row in split]
other_words = [row for row in questions if not experiments.names_its_answer(row)]
print(f"{len(other_words)} of {len(questions)} held-out questions ask in other words")
other_words = lab.subset(other_words, len(other_words))  # all of them, but with FAST=1
worded = {
    "decoder by hand": experiments.decode_all(answer_by_hand, other_words),
    "tuned.pt": experiments.ask_all([full], other_words),
}
gap = experiments.describe_other_words(worded)
for name, table in worded.items():
    lab.compare(f"6: in other words, {name}", experiments.share(table)[0])

# %% [markdown]
# ## Read ten errors
#
# Ten errors of your decoder, and ten of tuned.pt. Sort each list, and write two sentences: which
# errors could a third regular expression repair, and which not?

# %%
for name in ("decoder by hand", "tuned.pt"):
    experiments.print_errors(name, held_out, replies[name][0])

# %% [markdown]
# <details><summary>What you may have written</summary>
#
# "The decoder mostly fails before it asks the base: it takes the wrong words as the thing asked
# for, and one more expression for each way of asking would repair that. A wrong value after a right
# beginning would be an error of the base, which no rule repairs. tuned.pt fails in other ways.
# Sometimes it gives such a wrong value. Sometimes it answers another question than the one asked:
# about another thing, or of a kind that is alike."
#
# </details>
#
# ## Questions to think about
#
# 1. The decoder was written by a person who had seen the answers of this world. Is the comparison
#    fair?
# 2. Response tuning does well in Hewitt et al. Why does it do so much worse than tuning here?
#
# <details><summary>Answers</summary>
#
# 1. It favors the decoder, and that is the direction in which a skeptic's baseline should err. It
#    would be unfair to call the gap *all* that tuning teaches: a better decoder would make the gap
#    smaller.
# 2. A large base has read very many questions that are followed by their answers, so it knows
#    already that an answer should fit its question. No page of our corpus answers a question.
# </details>
#
# > **What to remember**
# >
# > * Before you praise tuning, build the best baseline without it. Here two regular expressions and
# >   the untuned base answer a large part of the held-out questions.
# > * Knowledge comes from pretraining. Tuning on right pairs teaches the way from a question to
# >   the statement that answers it, in more wordings than a person would list.
# > * Answers without questions teach a form and a stop. Answers under wrong questions teach the
# >   model to ignore the question.
#
# ## In the project
#
# `extras/rules.py` has two more rules for decoding, and `python -m extras.evaluate --controls`
# prints them as columns of the table.

# %%
share_of = {name: experiments.share(table) for name, table in replies.items()}
hand, control = share_of["decoder by hand"], share_of["base"]
lab.claim(
    f"without tuning, a decoder by hand answers far more ({hand[0]:.0%}) than the base with the"
    f" template ({control[0]:.0%})",
    hand[1] > control[2] + 0.3,
)
lab.claim(
    f"asked in other words, tuned.pt is ahead of the decoder ({100 * gap[0]:.0f} points)",
    gap[1] > 0,
)
mean, low, _ = share_of["tuning"]
response, shuffled = share_of["response tuning"], share_of["shuffled pairs"]
lab.claim(
    f"tuning on right pairs ({mean:.0%}) answers more than response tuning ({response[0]:.0%}) and"
    f" shuffled pairs ({shuffled[0]:.0%}), which give fewer different replies",
    low > response[2]
    and low > shuffled[2]
    and different["shuffled pairs"] < different["tuning"] / 2,
)
