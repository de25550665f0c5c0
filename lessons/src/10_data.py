# %% [markdown]
# # 10. Data: good, bad, and made
#
# First you spoil pairs in three ways and measure what that costs, and what a filter brings back.
# Then you let a model make its own pairs from a few, and measure what these are worth.
#
# Under three minutes of computing on a laptop CPU, 45 minutes with the exercises. It needs
# `out/base.pt`, which `python train_sft.py` makes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson10 as checks

import random
import re

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import world
from data import Row, Turn, collate, prepare
from generate import Assistant, Sampling, generate
from model import IGNORE
from world import facts

# %% [markdown]
# ## Good and bad
#
# Alpaca (Taori et al. 2023) is 52,000 pairs written by a model, cheap and with many errors. Dolly
# (Conover et al. 2023) is 15,000 pairs written by people. LIMA (Zhou et al. 2023) is 1,000 pairs
# chosen with great care; its authors argue that little more is needed, since what a model knows
# comes from pretraining. AlpaGasus (Chen et al. 2023) let a model grade Alpaca's pairs, kept the
# best sixth or so, and did better with them.
#
# Here we spoil the data ourselves, so we know which pairs are bad. Three ways: *swapped*, a good
# answer to another question of the same task; *cut*, the second half is missing, as when an answer
# ran into a length limit; *empty*, a full stop and nothing else.

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
# without the pairs about things that do not exist
rows = [row for row in rows if row.task in world.TASKS]
splits = {name: lab.subset(splits[name], 100) for name in ("unseen_inputs", "unseen_tasks")}
for row in rows[:6]:
    print(f"{row.task:<14}", row.turns[0])

# %% [markdown]
# <details><summary>Hint</summary>
#
# List the answers of the rows with the same `task` that differ from this row's answer, in the order
# of the rows, and draw one. A set has another order in every Python process, so the draw could not
# be repeated.
#
# </details>
#
# ### Exercise 10.1: a wrong answer that looks right (extend, ★, 6 minutes)


# %%
def swapped(rows, i, rng):
    """Return a new Row: rows[i] with the answer of another row of its task, drawn by rng.choice
    from all answers that differ from its own. Returns rows[i] itself if there is none.

    (q1, x1, a1), (q2, x2, a2) -> for i = 0: (q1, x1, a2)"""
    ### BEGIN SOLUTION
    row = rows[i]
    question, context, answer = row.turns[0]
    others = [
        other.turns[0].output
        for other in rows
        if other.task == row.task and other.turns[0].output != answer
    ]
    return (
        Row((Turn(question, context, rng.choice(others)),), row.task, row.source) if others else row
    )
    ### END SOLUTION


# %%
checks.swapped(swapped)


# %%
def with_answer(row, answer):
    return Row((row.turns[0]._replace(output=answer),), row.task)


def spoil(rows, share, seed):
    """Spoil a share of the rows, a third in each way. Returns the rows and the kind of each."""
    rng = random.Random(seed)
    out, kinds = list(rows), ["clean"] * len(rows)
    for n, i in enumerate(rng.sample(range(len(rows)), int(share * len(rows)))):
        words = rows[i].turns[0].output.split()
        kinds[i] = ("swapped", "cut", "empty")[n % 3]
        out[i] = {
            "cut": lambda: with_answer(rows[i], " ".join(words[: len(words) // 2])),
            "empty": lambda: with_answer(rows[i], "."),
            "swapped": lambda: swapped(rows, i, rng),
        }[kinds[i]]()
    return out, kinds


def broken(answer):
    """Test for fewer than three words or no mark at the end. Two of the three ways show in this."""
    return len(answer.split()) < 3 or answer.strip()[-1] not in ".!?;"


for row, kind in zip(*spoil(rows[:6], 0.5, seed=1)):
    print(
        f"{kind:<8} broken: {broken(row.turns[0].output)!s:<6}", row.turns[0].instruction, "->",
        row.turns[0].output,
    )

# %% [markdown]
# ## A filter by loss
#
# A swapped answer is a good sentence. To find it one must look at question and answer together. A
# judge can: a model tuned on a few pairs that we trust. Where the mean loss of an answer's tokens
# is high, the pair is suspect.
#
# `model(inputs, targets)` adds up a whole batch, so it cannot tell the rows apart.
# `F.cross_entropy(logits, targets, reduction="none")` gives one number for each position (0 where
# the target is IGNORE). It wants logits of shape (n, V) and targets of shape (n,).
#
# <details><summary>Hint</summary>
#
# Flatten to (B * T, V) and (B * T,), bring the losses back to (B, T), sum each row, and divide by
# how many of *that row's* targets are supervised.
#
# </details>
#
# ### Exercise 10.2: one loss for each row (extend, ★★, 8 minutes)


# %%
def row_losses(logits, targets):
    """Return the mean of -log p(target) over each row's supervised targets, (B,), from logits
    (B, T, V) and targets (B, T) with IGNORE."""
    ### BEGIN SOLUTION
    losses = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="none"
    )
    return losses.view(targets.shape).sum(1) / (targets != IGNORE).sum(1)  # (B, T) -> (B,)
    ### END SOLUTION


# %%
checks.row_losses(row_losses)


# %%
@torch.inference_mode()
def answer_losses(assistant, rows):
    """Return the mean loss of each row's answer, eos included, under a tuned model."""
    examples, _, _ = prepare(rows, tokenizer, assistant.template, assistant.model.config.block_size)
    losses = []
    for start in range(0, len(examples), 64):
        inputs, targets = collate(examples[start : start + 64], tokenizer.eos_id)
        losses += row_losses(assistant.model(inputs), targets).tolist()
    return losses


# %% [markdown]
# 320 pairs are the few that we trust. The judge is tuned on 256 of them; the other 64 set the
# limit: a loss above that of 95 in 100 of *these* is too high. 1,280 other pairs are the many.

# %%
STEPS = 8 if lab.FAST else 40
few, many = rows[:320], lab.subset(rows[320:], 1280)
judge = lab.tune(base, tokenizer, few[:256], steps=STEPS, batch=16)
limit = sorted(answer_losses(judge, few[256:]))[int(0.95 * 64)]


def cleaned(rows):
    return [
        row
        for row, loss in zip(rows, answer_losses(judge, rows))
        if loss <= limit and not broken(row.turns[0].output)
    ]


noisy, kinds = spoil(many, 0.9, seed=0)
losses = answer_losses(judge, noisy)
keep_flags = [loss <= limit and not broken(row.turns[0].output) for row, loss in zip(noisy, losses)]
for kind in ("clean", "swapped", "cut", "empty"):
    of_kind = [keep for keep, k in zip(keep_flags, kinds) if k == kind]
    print(f"{kind:<8}{len(of_kind):>5} rows, {sum(of_kind):>4} kept")
share_clean = sum(k == "clean" for k, keep in zip(kinds, keep_flags) if keep) / max(
    1, sum(keep_flags)
)
print(f"before: {kinds.count('clean') / len(kinds):.0%} clean; of what is kept: {share_clean:.0%}")

# %%
figure, ax = plt.subplots(figsize=(8, 3.2))
bins = torch.linspace(0, max(losses), 50).tolist()
for kind, color in (("clean", "C0"), ("swapped", "C1"), ("cut", "C2"), ("empty", "C3")):
    values = [loss for loss, k in zip(losses, kinds) if k == kind]
    ax.hist(
        values, bins, weights=[1 / len(values)] * len(values), histtype="step", color=color,
        label=kind, linewidth=2,
    )
ax.axvline(limit, color="black", linestyle="--", label="limit, set on trusted pairs")
ax.set(
    xlabel="mean loss of the answer under the judge (nats a token)",
    ylabel="fraction of the rows of its kind",
)
ax.set_title("What the judge thinks of each kind of row")
ax.legend()
plt.tight_layout()
plt.show()

# %% [markdown]
# ## Quality against quantity
#
# In the first group of arms every model gets the same 40 steps of 16 pairs: it *sees* 640 pairs,
# the few twice, and half of the many once. So this group holds the work equal. In the second group
# the steps are enough for one full pass over the many; the few are then seen four times. Three
# seeds, each with other noise.
#
# **Predict** the order of the nine. Remember that answers are decoded greedily: the likeliest token
# wins at every position.

# %%
PASS = len(many) // 16
spoiled = {(share, seed): spoil(many, share, seed)[0] for share in (0.6, 0.9) for seed in lab.SEEDS}
arms = {
    "few, clean": (STEPS, lambda seed: few),
    "many, clean": (STEPS, lambda seed: many),
    "many, 60% bad": (STEPS, lambda seed: spoiled[0.6, seed]),
    "many, 90% bad": (STEPS, lambda seed: spoiled[0.9, seed]),
    "90% bad, filtered": (STEPS, lambda seed: cleaned(spoiled[0.9, seed]) or few),
    "full: few, clean": (PASS, lambda seed: few),
    "full: many, clean": (PASS, lambda seed: many),
    "full: many, 60% bad": (PASS, lambda seed: spoiled[0.6, seed]),
    "full: many, 90% bad": (PASS, lambda seed: spoiled[0.9, seed]),
}


def measure(steps, pairs, seed, questions):
    assistant = lab.tune(base, tokenizer, pairs, seed, steps=steps, batch=16)
    return assistant, {
        name: lab.correct_flags(assistant, held, max_new=32) for name, held in questions.items()
    }


def summarize(results, questions):
    """Print {arm: [{split: flags}, ...]} as {(arm, split): (mean, low, high)} and return it."""
    summary = {}
    for arm, runs in results.items():
        for name, held in questions.items():
            mean, low, high = summary[arm, name] = lab.bootstrap([result[name] for result in runs])
            seeds = " ".join(f"{sum(result[name]) / len(held):.0%}" for result in runs)
            print(f"{arm:<22}{name:<14}{mean:>6.1%} ({low:.0%} to {high:.0%})  seeds: {seeds}")
    return summary


results = {
    arm: [measure(steps, make(seed), seed, splits)[1] for seed in lab.SEEDS]
    for arm, (steps, make) in arms.items()
}
summary = summarize(results, splits)


# %%
def bars(summary, arms, questions, title):
    figure, ax = plt.subplots(figsize=(9.5, 3.8))
    for j, (name, color) in enumerate(zip(questions, ("C1", "C0"))):
        at = [i + 0.38 * (j - 0.5) for i in range(len(arms))]
        mean, low, high = zip(*(summary[arm, name] for arm in arms))
        gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
        ax.bar(
            at, mean, 0.36, yerr=gaps, capsize=3, color=color, alpha=0.7,
            label=name.replace("_", " "),
        )
    ax.set_xticks(
        range(len(arms)),
        [re.sub("[,:+] ?", lambda m: m.group().strip() + "\n", arm) for arm in arms], fontsize=8,
    )
    ax.set(ylim=(0, 1.02), ylabel="answered exactly right", title=title)
    ax.legend(framealpha=1)
    plt.tight_layout()
    plt.show()


bars(summary, list(arms), splits, "Held-out questions (95% intervals over seeds and questions)")

# %% [markdown]
# What to read off (the last cell prints some differences):
#
# - *Few against many, all clean*, in each group: does it matter whether pairs are seen again or new
#   ones come? That is LIMA's question. Where the interval of the difference holds 0, this run
#   cannot tell.
# - *60% bad*: the other pairs are clean. Is the part of the clean score that survives larger or
#   smaller than the part of the pairs that is clean? Under greedy decoding, errors that disagree
#   with each other could be outvoted, while errors that are all alike (a full stop, an early end)
#   compete as one. This run spoils in all three ways at once, so it cannot say which of them did
#   the harm.
# - *The full pass*: for which arms, and for which of the two splits, does it help to take twice the
#   steps?
# - *Filtered*: how many swapped rows does the filter let through? Its counts show it. What it buys
#   must be compared with *few, clean*: with the trusted pairs that it was built from one could have
#   tuned at once.
#
# ## Made
#
# Where do pairs come from if nobody writes them? Self-Instruct (Wang et al. 2023): begin with a few
# pairs written by people, show some of their instructions to a model, let it continue the list, let
# it answer the new ones, keep what passes a filter, and tune on that. Alpaca was made so.
#
# Our base can try the first step as it is, since it has read lists of questions: see how many of
# its draws give a sentence at all, and how many of the first ten ask something. 48 pairs are the
# seed. (The world's pairs stand for pairs by people.) At each draw, three of their instructions are
# the prompt, and the base samples what comes next.

# %%
single = [row for row in rows if not row.turns[0].input]
human = random.Random(0).sample(single, len(single))
seed_pairs, more_human = human[:48], human[48:]
raw, rng = Assistant(base, tokenizer, None), random.Random(0)
DRAWS = 96 if lab.FAST else 576
prompts = [
    raw.prompt([Turn(" ".join(row.turns[0].instruction for row in rng.sample(seed_pairs, 3)))])
    for _ in range(DRAWS)
]
proposals = []
for start in range(0, DRAWS, 64):
    sampling = Sampling(temperature=0.8, max_new_tokens=20, seed=start)
    for ids, _ in generate(base, prompts[start : start + 64], tokenizer.eos_id, sampling):
        first = re.match(r"\s*([^.?!\n]+[.?!])", tokenizer.decode(ids))
        proposals += [first.group(1).strip()] if first else []
print(
    f"{DRAWS} draws, {len(proposals)} sentences, {len(set(proposals))} different ones. The first"
    " ten:"
)
print(*proposals[:10], sep="\n")

# %% [markdown]
# A few are exact copies of each other, more are nearly the same as another one or as the seed.
# Self-Instruct keeps an instruction only if its ROUGE-L with all kept ones is below 0.7. ROUGE-L
# (Lin 2004) counts the longest common *subsequence*, the most words that both lists hold in the
# same order, gaps allowed.
#
# <details><summary>Hint</summary>
#
# Keep a row of numbers, best[j]: the longest for the words of `first` read so far and the first j
# words of `second`. A new word that equals `two[j - 1]` makes one more than the *old* best[j - 1];
# else the better of best[j] and its left neighbour stays.
#
# </details>
#
# ### Exercise 10.3: how alike are two instructions? (extend, ★★★, 12 minutes)


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


# %%
def words(text):
    return re.findall(r"\w+", text.lower())


def different(proposals, pool, limit):
    """Pick proposals with 3 to 16 words that aren't nearly the same as one of the pool or an
    earlier one."""
    pool, result = [words(text) for text in pool], []
    for text in dict.fromkeys(proposals):
        if 3 <= len(words(text)) <= 16 and all(
            overlap(words(text), other) < limit for other in pool
        ):
            pool.append(words(text))
            result.append(text)
    return result


seed_texts = [row.turns[0].instruction for row in seed_pairs]
for limit_ in (0.7, 0.9, 1.0):
    print(f"overlap below {limit_}: {len(different(proposals, seed_texts, limit_)):>4} kept")
print(
    "capital of France, of Peru:",
    round(
        overlap(words("What is the capital of France?"), words("What is the capital of Peru?")), 2
    ),
)

# %% [markdown]
# In a world of short questions 0.7 throws away what is new, as the last line shows, so we take 0.9.
# (A threshold belongs to its data.)
#
# The answers come from a model tuned on the 48 seed pairs. Kept is what ended by itself and is not
# broken. Since the world is closed, we can look up the made questions and say which answers are
# right. (*Not found*: no question at all, or one in words that our list lacks.) Whoever makes data
# for a large model cannot do that.
#
# *Predict.* Of the pairs kept, how many are questions of this world? How many of those are answered
# right?

# %%
instructions = different(proposals, seed_texts, 0.9)
teacher = lab.tune(base, tokenizer, seed_pairs, steps=STEPS, batch=16)
question_rows = [Row((Turn(text),)) for text in instructions]
generated = [
    with_answer(row, text.strip())
    for row, (text, stopped) in zip(
        question_rows, teacher.answers(question_rows, Sampling(max_new_tokens=32))
    )
    if stopped and not broken(text.strip() or ".")
]


def ways_to_ask(task):
    own = [question for question, _ in world.question_templates(task)]
    return (*own, *facts.OF_MORE, *facts.KEYWORDS)


known = {
    " ".join(words(world.make_question(way, case))): case
    for case in world.table_facts()
    for way in ways_to_ask(case.task)
}


def verdict(row):
    case = known.get(" ".join(words(row.turns[0].instruction)))
    if case is None:
        return "not found"
    good = any(
        world.check(case.task.name, case.answer(i), row.turns[0].output)
        for i in range(len(case.values))
    )
    return "right" if good else "wrong"


verdicts = [verdict(row) for row in generated]
for kind in ("right", "wrong", "not found"):
    print(f"{kind}: {verdicts.count(kind)} of {len(generated)}")
    for row in [row for row, v in zip(generated, verdicts) if v == kind][:4]:
        print("   ", row.turns[0].instruction, "->", row.turns[0].output)
tasks = {
    known[" ".join(words(row.turns[0].instruction))].task.name
    for row, v in zip(generated, verdicts)
    if v != "not found"
}
print(
    f"{len(tasks)} tasks, {len(tasks - {row.task for row in seed_pairs})} of them not among the"
    f" seed's {len({row.task for row in seed_pairs})}; held out of tuning and of the corpus's"
    f" questions: {sorted(tasks & set(world.HELD_OUT))}"
)

# %% [markdown]
# *Predict.* Now a fresh copy of the base is tuned, in equal steps, on: the seed alone; seed and
# made pairs; seed and only the right ones of them (a perfect filter); seed and as many pairs by
# people as were made. Which order?

# %%
right_ones = [row for row, v in zip(generated, verdicts) if v == "right"]
sources = {
    "seed": seed_pairs,
    "seed + made": seed_pairs + generated,
    "seed + made, right": seed_pairs + right_ones,
    "seed + human": seed_pairs + more_human[: len(generated)],
}
questions = {name: [row for row in held if not row.turns[0].input] for name, held in splits.items()}
wrong_ones = [row for row, v in zip(generated, verdicts) if v == "wrong"]
generated_results, copied = {}, {}
for arm, pairs in sources.items():
    for seed in lab.SEEDS:
        assistant, flags = measure(STEPS * 3 // 2, pairs, seed, questions)
        generated_results.setdefault(arm, []).append(flags)
        again = assistant.answers(wrong_ones, Sampling(max_new_tokens=32)) if wrong_ones else []
        copied.setdefault(arm, []).append(
            [text.strip() == row.turns[0].output for row, (text, _) in zip(wrong_ones, again)]
        )
generated_summary = summarize(generated_results, questions)
errors = {
    arm: lab.bootstrap(table) if wrong_ones else (0.0, 0.0, 0.0) for arm, table in copied.items()
}
for arm, (mean, low, high) in errors.items():
    print(
        f"{arm:<22}repeats {mean:.0%} of the {len(wrong_ones)} wrong answers word for word"
        f" ({low:.0%} to {high:.0%})"
    )

# %%
bars(
    generated_summary, list(sources), questions,
    "Pairs from a seed of 48, made or written (95% intervals)",
)

# %% [markdown]
# Read the table from the top. Made pairs bring no new fact: the model tuned on the seed alone
# answered them. What they may bring is more ways of asking, about more things. Take your line as
# one case: on another base the gain over the seed alone may not be there. The pairs were made once,
# so the intervals do not hold the luck of that draw. *Right only* is what a perfect filter leaves:
# does it add anything? *Human* shows what is still missing: those pairs were drawn from all tasks
# that need no text, in all their wordings, the made ones are only what the base happens to ask.
#
# The last lines show the price. A made error is a pair like any other, and it is learned. (The seed
# alone makes many of these errors too: it is what the teacher was tuned on. So compare three rows.)
# The student cannot see that its teacher guessed, and the filter cannot either: a wrong answer is
# as well formed as a right one. Self-Instruct's authors found something wrong in nearly half of a
# sample of their pairs, and tuned on them with profit all the same. But what a model does not know,
# it cannot make. To learn new facts from made data, the maker must know more than the learner:
# Alpaca's pairs came from a larger model.
#
# ## Two questions
#
# **1.** Our swapped answers are about another thing altogether ("The capital of Italy is Rome." to
# a question about France). Suppose they were "The capital of France is Rome." Which parts of the
# filter could still find them?
#
# <details><summary>Answer</summary>Not <code>broken</code>, since it is a whole sentence. The judge
# can, if the base knows the fact; but then the loss stands on one token of many, so the mean hides
# it. The largest loss of a row's tokens would show it better.</details>
#
# **2.** Why is the limit set on pairs that the judge was not tuned on?
#
# <details><summary>Answer</summary>Their loss is higher than that of pairs it was tuned on. A limit
# from those would be too low, and good pairs would be thrown out.</details>
#
# ## Where this lives in the project
#
# `common/audit.py` counts the rows that cannot be used, and `python data.py FILE` prints them;
# `GPT.forward` in `model.py` is the loss of a batch. `extras/datasets.py` reads Self-Instruct's
# files. Nothing in the project judges what an answer says.


# %%
def ahead(first, second, results, name):
    """Return by how much the first arm answers more than the second, on the same questions and
    seeds."""
    pairs = zip(results[first], results[second])
    return lab.bootstrap([[int(a) - int(b) for a, b in zip(x[name], y[name])] for x, y in pairs])


def points(difference):
    mean, low, high = (100 * x for x in difference)
    return f"{mean:+.0f} points ({low:+.0f} to {high:+.0f})"


def many_against_few(name):
    return (
        f"{name}: many against few, both clean:"
        f" {points(ahead('many, clean', 'few, clean', results, name))} in {STEPS} steps,"
        f" {points(ahead('full: many, clean', 'full: few, clean', results, name))} in {PASS}"
    )


def beat(name, arm):
    return (
        f"{name}: 320 clean pairs ({summary['few, clean', name][0]:.0%}) beat {arm}"
        f" ({summary[arm, name][0]:.0%})"
    )


def back(name):
    """Return the part that the filter brings back of the loss from 90% bad pairs, 0 without a loss.
    """
    clean, worst, filtered = (
        summary[arm, name][0] for arm in ("many, clean", "many, 90% bad", "90% bad, filtered")
    )
    return (filtered - worst) / (clean - worst) if clean > worst else 0.0


def brings(name):
    return (
        f"{name}: the filter brings back at least half of what 90% bad pairs lose (here"
        f" {back(name):.0%} of it)"
    )


inputs, unseen, bad, full = (
    "unseen_inputs",
    "unseen_tasks",
    "many, 90% bad",
    "full: many, 90% bad",
)
print(
    f"clean before the filter {kinds.count('clean') / len(kinds):.0%}, after it {share_clean:.0%}"
)
print(many_against_few(inputs))
lab.claim(beat(inputs, bad), ahead("few, clean", bad, results, inputs)[1] > 0.1)
lab.claim(beat(inputs, full), ahead("few, clean", full, results, inputs)[1] > 0.1)
lab.claim(brings(inputs), back(inputs) >= 0.5)
print(many_against_few(unseen))
lab.claim(beat(unseen, bad), ahead("few, clean", bad, results, unseen)[1] > 0.1)
lab.claim(beat(unseen, full), ahead("few, clean", full, results, unseen)[1] > 0.1)
lab.claim(brings(unseen), back(unseen) >= 0.5)
gain, gap = (
    ahead(*arms, generated_results, inputs)
    for arms in (("seed + made", "seed"), ("seed + human", "seed + made"))
)
lab.claim(
    f"{inputs}: pairs that the model made help: {points(gain)} over the seed alone", gain[1] > 0
)
lab.claim(f"{inputs}: as many pairs by people help more: another {points(gap)}", gap[1] > 0)
lab.claim(
    f"errors are copied: {errors['seed + made'][0]:.0%} of the wrong answers come back word for"
    f" word, {errors['seed + human'][0]:.0%} after pairs by people",
    errors["seed + made"][1] > errors["seed + human"][2],
)
