# %% [markdown]
# # 14. After tuning: preferences
#
# *Under three minutes on a laptop CPU (2 cores), 40 minutes with the exercises. Needs `out/base.pt`
# from `python train_sft.py`.*
#
# Instruction tuning shows right answers and says: write like this. Often several answers are right,
# and people like one better. "Better" needs two answers to compare. Here you will
#
# * make preferences, between right answers and between the model's own,
# * write the loss of DPO (Rafailov et al. 2023), a pure function of four numbers,
# * compare it with plain tuning on the chosen answers, see how far the model moves, and how `beta`
#   holds it back.

# %%
import copy
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson14 as checks

import random

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import world
from common.table import wilson
from data import IGNORE, Row, Turn, collate
from generate import Sampling
from train_sft import adamw

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()

# %% [markdown]
# ## Several right answers
#
# Our world has three right stories for every hero and place. Here they are for one:

# %%
stories = [case for case in world.table_facts() if case.task.name == "story"]
for i in range(3):
    print(len(stories[0].answer(i).split()), "words:", stories[0].answer(i))

# %% [markdown]
# Tuning saw all three about equally often, so all three are there to be learned. Say that our
# reader is in a hurry: of two right stories she prefers the **shorter**, and any right story to a
# wrong one. Of 64 pairs of a hero and a place, half are for training, the others for the test (the
# same heroes and places occur in both).

# %%
random.Random(0).shuffle(stories)
stories = lab.subset(stories, 64)
train_cases, test_cases = stories[::2], stories[1::2]


def question_about(case, rng):
    return world.make_question(rng.choice(world.generic_templates(case.task)), case)


def story_rows(cases, seed):
    rng = random.Random(seed)
    return [
        Row((Turn(question_about(c, rng), "", c.answer()),), "story")
        for c in cases
    ]


tuned = {
    seed: lab.tune(base, tokenizer, rows, seed=seed, steps=20 if lab.FAST else 80)
    for seed in lab.SEEDS
}
for row in story_rows(test_cases[:3], 0):
    for seed in range(2):
        print(tuned[0].answers([row], Sampling(temperature=1.0, seed=seed))[0][0])

# %% [markdown]
# ## A preference is a pair
#
# ### Exercise 14.1: which one is preferred? (extend, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# `world.check(row.task, row.turns[0].output, text)` says whether a text is right. Where neither is
# right, or both are right and equally long, the reader has no preference.
#
# </details>


# %%
def prefer(row, a, b):
    """Compare two answers to a row. Returns (chosen, rejected), or None if there is no preference.

    Right is better than wrong. Of two right ones the one with fewer words (text.split()) is better.
    """
    ### BEGIN SOLUTION
    right_a, right_b = (world.check(row.task, row.turns[0].output, text) for text in (a, b))
    if right_a != right_b:
        return (a, b) if right_a else (b, a)
    if not right_a or len(a.split()) == len(b.split()):
        return None
    return (a, b) if len(a.split()) < len(b.split()) else (b, a)
    ### END SOLUTION


# %%
checks.prefer(prefer)


def sampled(assistant, rows, seed):
    return [
        text
        for text, _ in assistant.answers(
            rows, Sampling(temperature=1.0, seed=seed, max_new_tokens=40)
        )
    ]


def preferences(assistant, times=4):
    """Collect [(row, chosen, rejected)]: two of the world's right answers, or two of the model's
    own."""
    pairs = []
    for seed in range(times):
        rows, rng = story_rows(train_cases, seed), random.Random(seed)
        written = [rng.sample([case.answer(i) for i in range(3)], 2) for case in train_cases]
        own_answers = zip(
            sampled(assistant, rows, 2 * seed), sampled(assistant, rows, 2 * seed + 1)
        )
        for row, answers in [*zip(rows, written), *zip(rows, own_answers)]:
            preference = prefer(row, *answers)
            pairs += [(row, *preference)] if preference else []
    return pairs


pairs = {seed: preferences(assistant) for seed, assistant in tuned.items()}
print(
    {seed: len(group) for seed, group in pairs.items()}, *pairs[0][0][1:], *pairs[0][-1][1:],
    sep="\n",
)

# %% [markdown]
# ## The probability of a whole answer
#
# DPO needs log p(answer | prompt): the logarithms of the tokens' probabilities, **summed** over the
# answer and its end token. This is our loss without the minus sign and without the mean.
#
# ### Exercise 14.2: one number an answer (extend, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# `log_softmax`, then `gather` at the targets. IGNORE is no index: clamp it to 0 first and take its
# positions out after.
#
# </details>


# %%
def answer_logps(logits, targets):
    """Return the sum of log p(target) over the supervised targets of each row, (B,), from logits
    (B, T, V) and targets (B, T) with IGNORE."""
    ### BEGIN SOLUTION
    log_p = logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
    return log_p.masked_fill(targets == IGNORE, 0.0).sum(1)
    ### END SOLUTION


# %%
checks.answer_logps(answer_logps)


def logps(model, rows, answers):
    """Return log p of each answer to its row, (B,)."""
    examples = []
    for row, text in zip(rows, answers):
        prompt, answer = tuned[0].prompt(row.turns), tokenizer.encode(text) + [tokenizer.eos_id]
        examples.append((prompt + answer, [0] * len(prompt) + [1] * len(answer)))
    inputs, targets = collate(examples, tokenizer.eos_id)
    return answer_logps(model(inputs), targets)


# %% [markdown]
# ## The loss
#
# Keep a frozen copy of the tuned model, the **reference**. How much more probable than the
# reference the model makes an answer, log p(answer) - log p_ref(answer), times beta, is called its
# *implicit reward*. The loss (equation 7 of the paper) says that the chosen answer's reward should
# be higher than the rejected one's:
#
#     loss = -log sigmoid( beta * ((chosen - ref_chosen) - (rejected - ref_rejected)) )
#
# ### Exercise 14.3: DPO's loss (extend, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# All four are tensors (B,). `F.logsigmoid` is stable where `log(sigmoid(x))` is not. The mean over
# the pairs.
#
# </details>


# %%
def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
    """Return the mean loss of the pairs from four tensors (B,) of summed log-probabilities.

    all equal -> log 2 = 0.693, whatever beta: the model has not moved yet"""
    ### BEGIN SOLUTION
    return -F.logsigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected))).mean()
    ### END SOLUTION


# %%
checks.dpo_loss(dpo_loss)

# %% [markdown]
# ## Predict
#
# 30 steps on these pairs, and as a comparison 30 steps of plain tuning (SFT) on the chosen answers
# alone, with the same optimizer. Of the stories that each model writes: which fraction is right,
# and which is right *and* of the shortest form? What will happen to the log-probability of the
# *chosen* answers, which DPO's loss wants higher than the rejected ones? To questions that have
# nothing to do with stories?

# %%
lab.predict("14: right, after DPO", ...)
lab.predict("14: right and shortest, tuned", ...)
lab.predict("14: right and shortest, after DPO", ...)
lab.predict("14: right and shortest, SFT on chosen", ...)

# %%
STEPS = 6 if lab.FAST else 30


def dpo(assistant, pairs, beta, seed=0, lr=1e-4):
    """Tune with DPO. Returns an Assistant and [(change of log p(chosen), change of log p(rejected))
    at every step]."""
    model, rng, history = copy.deepcopy(assistant.model), random.Random(seed), []
    optimizer = adamw(model.parameters(), lr)
    rows, chosen, rejected = zip(*pairs)
    with torch.no_grad():  # the reference never moves, so it is asked once
        before = logps(assistant.model, rows * 2, chosen + rejected).view(2, -1)
    for step in range(STEPS):
        picks = rng.choices(range(len(pairs)), k=8)
        texts = [chosen[i] for i in picks] + [rejected[i] for i in picks]
        now = logps(model, [rows[i] for i in picks] * 2, texts).view(2, 8)
        loss = dpo_loss(*now, *before[:, picks], beta)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        history.append((now - before[:, picks]).mean(1).tolist())
    return lab.Assistant(model.eval(), tokenizer, assistant.template), history


def sft(assistant, pairs, seed=0, lr=1e-4):
    """Make as many steps on as many answers, all of them chosen, with the loss of lesson 5. Returns
    an Assistant."""
    model, rng = copy.deepcopy(assistant.model), random.Random(seed)
    optimizer = adamw(model.parameters(), lr)
    for step in range(STEPS):
        rows, chosen, _ = zip(*rng.choices(pairs, k=16))
        loss = -logps(model, rows, chosen).sum() / sum(
            len(tokenizer.encode(text)) + 1 for text in chosen
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return lab.Assistant(model.eval(), tokenizer, assistant.template)


# %%
SHORTEST = len(stories[0].answer(1).split())  # every story of this form has as many words


def test_answers(assistant, seeds=2):
    """Sample [(row, reply), ...] of the test questions."""
    out = []
    for seed in range(seeds):
        rows = story_rows(test_cases, 50 + seed)
        out += zip(rows, sampled(assistant, rows, 100 + seed))
    return out


def share_of(test, answers):
    """Return the fraction of the answers that pass the test, and its interval (low, high)."""
    k = sum(test(row, text) for row, text in answers)
    return k / len(answers), *wilson(k, len(answers))


def right(row, text):
    return world.check("story", row.turns[0].output, text)


def shortest(row, text):
    return right(row, text) and len(text.split()) <= SHORTEST


# %%
BETA = 0.1
after, histories, imitated = {}, {}, {}
for seed in lab.SEEDS:
    after[seed], histories[seed] = dpo(tuned[seed], pairs[seed], BETA, seed)
    imitated[seed] = sft(tuned[seed], pairs[seed], seed)
assistants = {"tuned": tuned, "after DPO": after, "SFT on chosen": imitated}
replies = {
    name: [answer for assistant in of_seed.values() for answer in test_answers(assistant)]
    for name, of_seed in assistants.items()
}

for name, answers in replies.items():
    shares = [share_of(test, answers) for test in (right, shortest)]
    print(
        f"{name:<14} right {shares[0][0]:.0%} ({shares[0][1]:.0%} to {shares[0][2]:.0%}), "
        f"right and shortest {shares[1][0]:.0%} ({shares[1][1]:.0%} to {shares[1][2]:.0%})"
    )
print()
lab.compare("14: right, after DPO", share_of(right, replies["after DPO"])[0])
for name, answers in replies.items():
    lab.compare(f"14: right and shortest, {name}", share_of(shortest, answers)[0])

# %% [markdown]
# The field's usual measure is the **win rate**: the same prompts to both models, and the reader
# picks. Look at all three outcomes: a win rate without its ties hides how often there was nothing
# to prefer.


# %%
def duels(new, old):
    """Count wins, ties and losses of the first model's answers against the second's."""
    outcomes = [(prefer(row, a, b), a) for (row, a), (_, b) in zip(replies[new], replies[old])]
    wins, ties = sum(pair is not None and pair[0] == a for pair, a in outcomes), sum(
        pair is None for pair, _ in outcomes
    )
    return wins, ties, len(outcomes) - wins - ties


for new, old in (
    ("after DPO", "tuned"),
    ("SFT on chosen", "tuned"),
    ("after DPO", "SFT on chosen"),
):
    wins, ties, losses = duels(new, old)
    low, high = wilson(wins, wins + losses) if wins + losses else (0.0, 1.0)
    print(
        f"{new} against {old}: {wins} wins, {ties} ties, {losses} losses; "
        f"wins without the ties: {wins / max(1, wins + losses):.0%} ({low:.0%} to {high:.0%})"
    )

# %%
other = lab.subset(splits["unseen_inputs"], 120)
other_scores = {
    name: lab.bootstrap([lab.correct_flags(assistant, other) for assistant in of_seed.values()])
    for name, of_seed in assistants.items()
}
for name, interval in other_scores.items():
    print(f"other held-out questions, {name}: " + "{:.1%} ({:.1%} to {:.1%})".format(*interval))

# %% [markdown]
# Sampled at temperature 1, the tuned model may write any of the three forms, and often something
# that is not right (see *right* in the first line). It had seen right stories only, all alike to
# the loss. Read the first table in two columns: the form that is preferred, and whether stories are
# *right* at all (the pairs hold the model's own mistakes, so DPO could teach to avoid them; it
# could also damage right stories). Then read the third line: how much of it does plain tuning on
# the chosen answers do? It has seen the same preference, without the rejected halves. At last the
# other questions: nothing in either loss asks to keep them, and what they lose differs much between
# bases.
#
# Now see *how* DPO learned it.

# %%
fig, ax = plt.subplots(figsize=(7, 3))
for seed, history in histories.items():
    for i, (name, color) in enumerate((("chosen", "tab:green"), ("rejected", "tab:red"))):
        label = f"{name} answers" if seed == 0 else None
        ax.plot([changes[i] for changes in history], color=color, label=label, alpha=0.7)
ax.axhline(0, color="black", linewidth=0.5)
ax.set(xlabel="DPO step", ylabel="change of log p(answer), nats")
ax.legend()
plt.show()

# %% [markdown]
# The loss sees only the *difference* of the two curves. Lowering the rejected answers serves it as
# well as raising the chosen ones, and there is more room below. Nothing stops the chosen answers
# from becoming less probable too: Pal et al. (2024, "Smaug") and Razin et al. (2024, "Unintentional
# Unalignment") describe that in large models; the latter call it *likelihood displacement*.
#
# ## Beta, the leash
#
# The larger beta, the smaller the move that satisfies the loss. Predict for beta = 0.03, 0.1 and 3:
# how far does the model go from the reference? Its distance: the mean of log p - log p_ref over
# answers that the *new* model gives (an estimate of the KL divergence). The reward margin: beta
# times the gap between the curves above.


# %%
@torch.inference_mode()
def distance(assistant, reference):
    rows = story_rows(test_cases, 7) * 2
    texts = sampled(assistant, rows, 8)
    return (logps(assistant.model, rows, texts) - logps(reference.model, rows, texts)).mean().item()


BETAS = (0.1, 3.0) if lab.FAST else (0.03, 0.1, 3.0)
# for each beta and seed: distance, margin, fraction of the shortest form, fraction of right stories
runs = []
for beta in BETAS:
    for seed in lab.SEEDS:
        assistant, history = (
            (after[seed], histories[seed])
            if beta == BETA
            else dpo(tuned[seed], pairs[seed], beta, seed)
        )
        chosen, rejected = (sum(part) / len(part) for part in zip(*history[-5:]))
        answers = test_answers(assistant, seeds=1)
        tests = [share_of(test, answers)[0] for test in (shortest, right)]
        runs.append((distance(assistant, tuned[seed]), beta * (chosen - rejected), *tests))
n = len(lab.SEEDS)
means = [[sum(values) / n for values in zip(*runs[i : i + n])] for i in range(0, len(runs), n)]
for beta, (far, margin, short, good) in zip(BETAS, means):
    print(
        f"beta {beta:<5} distance {far:6.2f}   margin {margin:6.2f}   shortest {short:4.0%}   right"
        f" {good:4.0%}"
    )

# %%
fig, axes = plt.subplots(1, 4, figsize=(12, 2.8))
NAMES = ("distance, nats an answer", "reward margin", "right and shortest", "right")
for ax, values, every, name in zip(axes, zip(*means), zip(*runs), NAMES):
    ax.plot(BETAS, values, "-")
    ax.plot([beta for beta in BETAS for _ in lab.SEEDS], every, "o", color="C0", alpha=0.6)
    ax.set(xscale="log", xlabel="beta", title=name)
    ax.set_ylim(min(0, *every), 1.1 * max(every) + 0.01)
fig.tight_layout()
plt.show()

# %% [markdown]
# The margin holds beta as a factor, so compare the distances. (A dot is a seed, the line their
# mean.) A short leash should keep the model near. How clearly the distances part after so short a
# training may differ between bases, so the lesson claims only that a much larger beta does not take
# the model further away. Does the leash cost the preference, or save right stories? See the last
# two panels.
#
# ## Where this stands
#
# | | tuning (SFT) | DPO | RLHF with PPO (Ouyang et al. 2022) |
# | --- | --- | --- | --- |
# | learns from | right answers | pairs of answers | a reward model, itself trained on pairs |
# | models in memory | 1 | 2 (one frozen) | 4 (policy, reference, reward, value) |
# | writes answers while training | no | no (pairs are made before) | yes, at every step |
# | held near the start by | few steps | beta | a KL penalty |
# | code | one loop | one more loss | a system |
#
# What this lesson does not show: our reader is a rule of one line. People disagree, tire, and like
# long answers; a model pleases whatever was measured. DPO is also no proof that sampling during
# training is useless: its pairs are the old model's, and the further the new one goes, the less
# they say about it.
#
# ## Questions to think about
#
# 1. Why not simply tune on the chosen answers?
#
# <details><summary>Answer</summary>
#
# The lines *SFT on chosen* above say how far that goes here, where many chosen answers are right
# stories that the model did not write itself. Where one has such answers, plain tuning is the
# baseline that a preference method has to beat. It says nothing about what to avoid, though, and it
# needs chosen answers that are good in themselves. A pair only needs one to be better than the
# other.
#
# </details>
#
# 2. The reader prefers shorter stories. What would happen if wrong stories counted as right?
#
# <details><summary>Answer</summary>
#
# The shortest text wins: no story at all. A preference is only as good as what it looks at.
#
# </details>
#
# ## Where this lives in the project
#
# The project stops at tuning. `world.check` is the judge, `model.py`:
# `GPT.forward` is the sum of log-probabilities for one batch, `copy.deepcopy` makes the reference.

# %%
wins, ties, losses = duels("after DPO", "tuned")
lab.claim(
    "after DPO the preferred form comes clearly more often, and more answers win than lose against"
    " the tuned model",
    share_of(shortest, replies["after DPO"])[1] > share_of(shortest, replies["tuned"])[2]
    and wins > losses,
    "a tuned model that hardly writes right stories gives DPO pairs of mistakes; look at the column"
    " 'right'.",
)
lab.claim(
    "thirty times the beta takes the model no further from the reference (a quarter for noise)",
    means[-1][0] < 1.25 * means[BETAS.index(BETA)][0],
    "thirty steps are few; look at the dots of the first panel.",
)
lab.claim(
    "the gap between chosen and rejected grew for every seed",
    all(history[-1][0] > history[-1][1] for history in histories.values()),
    "the last batch of a seed was unlucky; look at the curves.",
)
