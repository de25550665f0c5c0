# %% [markdown]
# # 13. Making things up
#
# *Under two minutes on a laptop CPU (2 cores), 45 minutes with the exercises. Needs `out/base.pt`
# from `python train_sft.py`.*
#
# A tuned model answers. It also answers what it cannot know, in the same form of sentence. Here you
# will
#
# * ask about things that the model never read, and see where its answers come from,
# * tune on made-up answers and count what that does to the questions it could answer before,
# * teach it to say "I do not know ...", and count both ways to be wrong: a false answer and a false
#   refusal,
# * find out what it learned to recognise, which is not quite what you wanted.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson13 as checks

import random
from collections import Counter, defaultdict, namedtuple

import matplotlib.pyplot as plt
import torch

import world
from common.table import wilson
from data import IGNORE, Row, Turn, collate
from world import facts

base, tokenizer = lab.load_base()

# %% [markdown]
# ## Known and unknown
#
# Everything that the base has read of facts is in the tables of `world/facts.py`. In this lesson
# such a fact is **known** (whether the model remembers it is another matter). A `-` in a table is
# an **empty cell**: the thing stands in the corpus, this property of it does not. Here is the table
# of jobs, in full.

# %%
for row in facts.JOBS:
    print(f"{row['x']:<14}{row['workplace']:<16}{row['tool']}")

# %% [markdown]
# There is a second way not to know: a **new name**, which stands nowhere in the corpus. Some of
# these exist and some do not. For the model there is no difference.

# %%
NEW = {
    "countries": (
        "Turkey, Finland, Chile, Cuba, Nigeria, Nepal, Ireland, Austria, Belgium, Morocco, Narnia,"
        " Atlantis"
    ),
    "animals": "a zebra, a giraffe, a whale, a penguin, a unicorn, a dragon, a camel, a turtle",
    "elements": "sulfur, calcium, iodine, uranium, adamantium, boron, cobalt, argon",
    "jobs": "a lawyer, a dentist, a plumber, a wizard, a barista, a soldier",
}
TABLES = {
    "countries": facts.COUNTRIES,
    "animals": facts.ANIMALS,
    "elements": facts.ELEMENTS,
    "jobs": facts.JOBS,
}
KINDS = ("known", "empty cell", "new name")
Question = namedtuple("Question", "name task value kind")  # value is "" where nothing is known

# %%
questions = []
for group, rows in TABLES.items():
    for row in rows:
        for task, value in list(row.items())[1:]:
            known = value != "-"
            questions.append(
                Question(row["x"], task, value if known else "", "known" if known else "empty cell")
            )
    for name in NEW[group].split(", "):
        questions += [Question(name, task, "", "new name") for task in list(rows[0])[1:]]
print(Counter(q.kind for q in questions))

# %% [markdown]
# ## A fair split
#
# We will tune on some questions and test on others. If the model is tuned to refuse the capital of
# Narnia and then tested on the language of Narnia, it may pass by having learned one word. So whole
# names are held out.
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
    """Split questions. Returns (questions to tune on, held-out questions). All questions about
    n_held names, drawn with random.Random(seed), are held out. Both lists keep the order.

    names a, a, b with n_held=1 -> either ([a, a], [b]) or ([b], [a, a])"""
    ### BEGIN SOLUTION
    names = sorted({q.name for q in questions})
    held = set(random.Random(seed).sample(names, n_held))
    return [q for q in questions if q.name not in held], [q for q in questions if q.name in held]
    ### END SOLUTION


# %%
checks.split_by_name(split_by_name)
N_NAMES = len({q.name for q in questions})

# %% [markdown]
# A question becomes a row with the project's own phrasings. What stands in the answer where nothing
# is known is up to us: a refusal, or something made up (any value of the same column).

# %%
VALUES = defaultdict(list)
for q in questions:
    VALUES[q.task] += [q.value] if q.value else []


def rows_of(questions, unknown, rng, times=1):
    """Turn questions into rows, each in `times` phrasings. unknown: "refuse" or "make up"."""
    rows = []
    for q in questions:
        case = world.Fact(world.TASKS[q.task], q.name, (q.value or rng.choice(VALUES[q.task]),))
        answer = case.answer() if q.value or unknown == "make up" else f"I do not know {case.noun}."
        for phrasing in rng.sample(world.generic_templates(case.task), times):
            rows.append(Row((Turn(world.make_question(phrasing, case), "", answer),), q.task))
    return rows


for row in rows_of(questions[:1] + questions[-1:], "refuse", random.Random(0)):
    print(row.turns[0].instruction, "->", row.turns[0].output)

# %% [markdown]
# ## Predict
#
# Three tunings of the same base, equally long, on the same half of the names:
#
# * **known only**: the questions whose answers stand in the corpus;
# * **made up**: those, and unknown questions with an invented answer;
# * **refusals**: those, and the same unknown questions with "I do not know ...".
#
# What will *known only* say about a held-out empty cell, "Name the tool of a doctor"? Will the
# invented answers hurt known questions? Will refusals carry over to held-out names? Fractions,
# between 0 and 1:

# %%
lab.predict("13: known only, wrong among the known", ...)
lab.predict("13: made up, wrong among the known", ...)
lab.predict("13: refusals, refused among the empty cells", ...)
lab.predict("13: refusals, refused among the new names", ...)

# %%
STEPS = 20 if lab.FAST else 100


def tuned(way, seed):
    """Tune a model. Returns the Assistant and the held-out questions."""
    keep, held = split_by_name(questions, N_NAMES // 2, seed)
    keep = [q for q in keep if q.value or way != "known only"]
    rows = rows_of(keep, "make up" if way == "made up" else "refuse", random.Random(seed), times=3)
    return lab.tune(base, tokenizer, rows, seed=seed, steps=STEPS), held


def ask_all(assistant, questions, seed=0):
    """Ask all questions. Returns the rows and the replies."""
    rows = rows_of(questions, "refuse", random.Random(seed))
    return rows, [
        text.strip() for text, _ in assistant.answers(rows, lab.Sampling(max_new_tokens=24))
    ]


# %%
WAYS = ("known only", "made up", "refusals")
assistants = {(way, seed): tuned(way, seed) for way in WAYS for seed in lab.SEEDS}

# %%
assistant, held = assistants["known only", 0]
for kind in KINDS:
    rows, texts = ask_all(assistant, [q for q in held if q.kind == kind][::6][:7])
    print(
        f"{kind}:", *[f"   {row.turns[0].instruction} -> {text}" for row, text in zip(rows, texts)],
        sep="\n",
    )

# %% [markdown]
# Look at where the answers come from. For an empty cell the model may borrow the same property of
# another thing, and then nothing in the sentence warns you; or it takes a word that fits nowhere.
# Look whether it can repeat a new name at all: where it cannot, it slides to something that it has
# read, and the sentence gives it away. The training never held a question whose right answer was
# silence, so *that* it will answer was never in doubt; only *what*.
#
# ## Two ways to be wrong
#
# A model that refuses everything never says anything false. So one number is not enough.
#
# ### Exercise 13.2: count both (extend, ★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Every fraction has its own denominator. False refusals are counted among the known questions,
# false answers among the unknown ones.
#
# </details>


# %%
def error_rates(verdicts):
    """Turn [(known, verdict), ...] into {"false answers", "false refusals", "wrong"}, three
    fractions.

    known is a bool; verdict is "right", "wrong" or "refused".
    false answers: unknown and not refused, among the unknown;
    false refusals: known and refused, among the known;
    wrong: known and wrong, among the known.

    [(True, "right"), (True, "refused"), (False, "wrong")]
    -> false answers 1.0, false refusals 0.5, wrong 0.0"""
    ### BEGIN SOLUTION
    known = [verdict for is_known, verdict in verdicts if is_known]
    unknown = [verdict for is_known, verdict in verdicts if not is_known]
    return {
        "false answers": sum(verdict != "refused" for verdict in unknown) / len(unknown),
        "false refusals": known.count("refused") / len(known),
        "wrong": known.count("wrong") / len(known),
    }
    ### END SOLUTION


# %%
checks.error_rates(error_rates)


def verdict(row, text):
    """Judge an answer, generously: "I do not know the capital of Sweden" is a refusal, even if the
    question was about Finland."""
    return (
        "refused"
        if text.startswith("I do not know")
        else "right" if text == row.turns[0].output else "wrong"
    )


# %%
seen = {}  # (way, kind) -> verdicts over all seeds
for (way, seed), (assistant, held) in assistants.items():
    for q, row, text in zip(held, *ask_all(assistant, held)):
        seen.setdefault((way, q.kind), []).append(verdict(row, text))

for way in WAYS:
    rates = error_rates([(kind == "known", v) for kind in KINDS for v in seen[way, kind]])
    print(f"{way:<11}" + "  ".join(f"{name} {share:.1%}" for name, share in rates.items()))

# %%
COLORS = {"right": "tab:green", "refused": "tab:blue", "wrong": "tab:red"}
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True)
for ax, kind in zip(axes, KINDS):
    for y, way in enumerate(WAYS):
        left, verdicts = 0, seen[way, kind]
        for name, color in COLORS.items():
            ax.barh(y, verdicts.count(name) / len(verdicts), left=left, color=color, label=name)
            left += verdicts.count(name) / len(verdicts)
    ax.set(
        title=f"{kind} (n = {len(verdicts)})", xlabel="fraction of the questions", yticks=range(3),
        yticklabels=WAYS,
    )
axes[0].invert_yaxis()
axes[2].legend(
    *[part[:3] for part in axes[2].get_legend_handles_labels()], bbox_to_anchor=(1, 1),
    title="answer",
)
plt.show()

# %% [markdown]
# All names are held out. Read the picture column by column.
#
# **Known.** Compare the red parts of the first two bars; the numbers with their intervals follow.
# Gekhman et al. (2024) found in a large model that tuning on facts that are new to it (true ones)
# makes it answer wrongly more often what it did know, the more so as these facts are learned in
# longer tuning. Ours are made up. What it is here, the next cell prints. (What *known only* gets
# wrong itself is the price of a short tuning on few pairs.)


# %%
def share(way, kind, name):
    """Return (share, low, high) over all seeds."""
    verdicts = seen[way, kind]
    return verdicts.count(name) / len(verdicts), *wilson(verdicts.count(name), len(verdicts))


for way in WAYS:
    print(
        f"{way:<11} known and wrong: "
        + "{:.1%} ({:.1%} to {:.1%})".format(*share(way, "known", "wrong"))
    )
for way in WAYS[:2]:
    lab.compare(f"13: {way}, wrong among the known", share(way, "known", "wrong")[0])

# %%
for kind in KINDS[1:]:
    print(
        f"refusals    {kind:<11} refused: "
        + "{:.1%} ({:.1%} to {:.1%})".format(*share("refusals", kind, "refused"))
    )
    lab.compare(f"13: refusals, refused among the {kind}s", share("refusals", kind, "refused")[0])

# %% [markdown]
# (The intervals take all answers as independent. Names recur between the seeds, so they are
# somewhat too narrow.)
#
# **New name** and **empty cell.** Tuning held many refusals of both kinds, and all that is tested
# here are names that it did not hold. What can be learned of "I do not know" is "this name looks
# strange", as far as that can be seen in the tokens; that a *cell* is empty can be seen nowhere in
# the question. How many new names the refusals reach differs very much from base to base, so take
# the line above as one case: compare it with that of somebody who has another base.
#
# ## Does it know that it does not know?
#
# Perhaps the model has the knowledge and only lacks the habit. A cheap way to look: how probable is
# the answer that it gave, in its own eyes? That is the product of its tokens' probabilities.
# (Kadavath et al. 2022 ask large models the same question, but let the model itself judge its
# answer.) Take *known only*, the model that never saw a refusal.
#
# ### Exercise 13.3: the probability of an answer (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# `log_softmax` over the last axis; `gather` at the targets (IGNORE is -100, which is no index:
# replace it by 0 first); set the positions of IGNORE to zero; sum over the row; `exp`.
#
# </details>


# %%
def answer_probability(logits, targets):
    """Return for every row the product of the probabilities of its supervised targets, (B,), from
    logits (B, T, V) and targets (B, T), IGNORE where nothing is supervised.

    a row whose two supervised targets have 0.5 and 0.4 -> 0.2"""
    ### BEGIN SOLUTION
    supervised = targets != IGNORE
    log_p = logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
    return (log_p * supervised).sum(1).exp()
    ### END SOLUTION


# %%
checks.answer_probability(answer_probability)


@torch.inference_mode()
def confidence(assistant, questions):
    """Return how probable the Assistant finds its own answers, one number a question."""
    rows, texts = ask_all(assistant, questions)
    examples = []
    for row, text in zip(rows, texts):
        prompt, answer = assistant.prompt(row.turns), tokenizer.encode(text) + [tokenizer.eos_id]
        examples.append((prompt + answer, [0] * len(prompt) + [1] * len(answer)))
    inputs, targets = collate(examples, tokenizer.eos_id)
    return answer_probability(assistant.model(inputs), targets).tolist()


# %% [markdown]
# *Predict*: will the empty cells be as sure as the known ones? How sure is each on average?

# %%
for kind in KINDS:
    lab.predict(f"13: mean probability, {kind}", ...)

# %%
confidences = defaultdict(list)
for seed in lab.SEEDS:
    for way in WAYS[:2]:
        assistant, held = assistants[way, seed]
        for q, p in zip(held, confidence(assistant, held)):
            confidences[way, q.kind].append(p)

for kind in KINDS:
    means = [sum(confidences[way, kind]) / len(confidences[way, kind]) for way in WAYS[:2]]
    print(
        f"{kind:<11} mean probability of its own answer: known only {means[0]:.2f}, made up"
        f" {means[1]:.2f}"
    )
    lab.compare(f"13: mean probability, {kind}", means[0])

fig, ax = plt.subplots(figsize=(7, 3))
for kind in KINDS:
    values = sorted(confidences["known only", kind])
    ax.plot(values, torch.linspace(0, 1, len(values)), label=f"{kind} (n = {len(values)})")
ax.set(
    xlabel="probability of the model's own answer", ylabel="fraction of the questions below it",
    xlim=(0, 1),
)
ax.set_title("How sure the model tuned on known questions is")
ax.legend()
plt.show()

# %% [markdown]
# How far do the curves stand apart, and how much do they overlap? (*Made up*, in the second number:
# is a model that was tuned on inventions surer of new ones? Compare.) As far as they stand apart, a
# rule can do what tuning did not: answer only if the probability reaches a threshold, else refuse.
# The threshold must not be chosen on the questions it is tested on, so the held-out names are split
# once more.
#
# ### Exercise 13.4: choose the threshold (extend, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Only the numbers you were given are worth trying. For each candidate: the fraction of the known
# below it, plus the fraction of the unknown at or above it. Take the least sum; `min` with a `key`
# does it.
#
# </details>


# %%
def choose_threshold(known, unknown):
    """Choose from two lists of probabilities the number t with the least
    (fraction of known < t) + (fraction of unknown >= t), the smallest if there are several.

    [0.9, 0.6, 0.2], [0.1, 0.3] -> 0.6: one third of false refusals, no false answer"""

    ### BEGIN SOLUTION
    def cost(t):
        return sum(p < t for p in known) / len(known) + sum(p >= t for p in unknown) / len(unknown)

    return min(sorted([*known, *unknown]), key=cost)
    ### END SOLUTION


# %%
checks.choose_threshold(choose_threshold)

# %%
rule, taught = [], []  # (kind, refused?) of the same test questions, over all seeds
for seed in lab.SEEDS:
    assistant, held = assistants["known only", seed]
    test, calibrate = split_by_name(held, N_NAMES // 5, seed)
    p = confidence(assistant, calibrate)
    known, unknown = (
        [x for x, q in zip(p, calibrate) if bool(q.value) == is_known] for is_known in (True, False)
    )
    t = choose_threshold(known or [1.0], unknown or [0.0])
    rule += [(q.kind, x < t) for q, x in zip(test, confidence(assistant, test))]
    rows, texts = ask_all(assistants["refusals", seed][0], test)
    taught += [(q.kind, verdict(row, text) == "refused") for q, row, text in zip(test, rows, texts)]
    print(f"seed {seed}: refuse below {t:.2f}")


# %%
def refused(refusals, kind):
    flags = [no for k, no in refusals if k == kind]
    return sum(flags) / len(flags), *wilson(sum(flags), len(flags))


print(
    "refused"
    + "".join(f"{f'{kind} (n = {sum(k == kind for k, _ in rule)})':>24}" for kind in KINDS)
)
for name, refusals in (("taught", taught), ("rule", rule)):
    print(
        f"{name:<7}"
        + "".join(f"{'{:.0%} ({:.0%} to {:.0%})'.format(*refused(refusals, k)):>24}" for k in KINDS)
    )

# %% [markdown]
# In the first column every refusal is a false one; in the others every missing refusal is a false
# answer. Compare the two lines column by column, with their intervals. A trade-off is what you get,
# not a cure.
#
# ## Questions to think about
#
# 1. Refusals are usually written by people or by a larger model, without looking at what *this*
#    model knows. What will that teach?
#
# <details><summary>Answer</summary>
#
# Where the model does know, it teaches false refusals; where it does not and an answer was written,
# it teaches to make things up. Zhang et al. (2024, "R-Tuning") therefore first test the model and
# write refusals for what it gets wrong.
#
# </details>
#
# 2. Why is "the capital of Narnia" easier to refuse than "the tool of a doctor", although a doctor
#    surely has tools?
#
# <details><summary>Answer</summary>
#
# The model has no world beyond its corpus. Narnia is made of tokens that it hardly ever saw, which
# shows at once. For the doctor every word is familiar; only the link between two of them was never
# made, and that shows only while the answer is being looked up.
#
# </details>
#
# ## Where this lives in the project
#
# `world/facts.py`: the tables with their `-`. `world/tasks.py`: `Fact.answer`, `generic_templates`.
# `data.py`: `collate`, which gives the targets for the probability. `common/chat.py`: `confidence`,
# a rule like the one above. Among the main job's own pairs are some about things that do not exist,
# whose answer is "... is unknown" (`unknown_pair` in `world/pairs.py`).

# %%
before, after = (share(way, "known", "wrong")[0] for way in ("known only", "made up"))
lab.claim(
    f"tuned on made-up answers too, the model is wrong more often about what is known ({before:.0%}"
    f" to {after:.0%})",
    after > before + 0.02,
    "a base that is very sure of its facts keeps them; look at the intervals, and try more steps.",
)
lab.claim(
    "taught refusals reach new names more often than empty cells",
    share("refusals", "new name", "refused")[0]
    > share("refusals", "empty cell", "refused")[0] + 0.05,
    "a base that has read many invented names sees nothing strange in a new one; look at what it"
    " says to them.",
)
lab.claim(
    "a threshold on the model's own probability catches more empty cells than taught refusals do,"
    " and refuses less than 30% of the known",
    refused(rule, "empty cell")[0] > refused(taught, "empty cell")[0] + 0.1
    and refused(rule, "known")[0] < 0.3,
    "empty cells are few; look at their number and at the threshold of each seed.",
)
