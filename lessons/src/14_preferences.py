# %% [markdown]
# # 14. After tuning: preferences
#
# *Reading 15 minutes, exercises 25 minutes, computing 3 minutes on one core. Needs `out/base.pt`
# and `out/tuned.pt` from `python train_sft.py`.*
#
# So far we did **supervised fine-tuning** (SFT): show right answers, and train on them. Often
# several answers are right and people like one better. **Alignment** is the field's word for making
# a model behave as people want, and preferences are its usual second step.
#
# - **RLHF** (reinforcement learning from human feedback, Ouyang et al. 2022) collects pairs of
#   answers in which a person prefers one. It trains a **reward model** on them, a network that
#   gives each answer a score. Then it lets the model write answers and trains it, with the
#   algorithm **PPO**, so that the reward rises.
# - **DPO** (direct preference optimization, Rafailov et al. 2023) trains on the pairs directly. It
#   needs no reward model and writes no answers while training.
#
# You will write DPO's loss and step, and compare it with SFT on the chosen answers.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import functools

import torch
import torch.nn.functional as F

import lab
from checks import lesson14 as checks
from data import IGNORE
from experiments import lesson14 as experiment
from experiments.lesson14 import is_right

start = lab.load_tuned()  # the model that we go on from
splits = lab.load_world()[1]
train_cases, test_cases = experiment.story_cases()

# %% [markdown]
# ## Several right answers
#
# Our world has three right stories for every hero and place. Here they are for one.

# %%
texts = [train_cases[0].answer(i) for i in range(3)]
print(*[f"{len(text.split())} words: {text}" for text in texts], sep="\n")
SHORTEST = min(len(text.split()) for text in texts)  # every story of this form has as many

# %% [markdown]
# Tuning saw all three forms about equally often. Our reader is in a hurry. Of two right stories she
# prefers the **shorter**, and she prefers any right story to a wrong one. Half of the heroes with
# their places are for training, the others are held out for the test.
#
# ### Exercise 14.1: which one is preferred? (extend, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# `is_right(row, text)` says whether a story is right. Where neither is right, or both are right and
# equally long, the reader has no preference.
#
# </details>


# %%
def prefer(row, a, b):
    """Compare two answers to a row. Returns (chosen, rejected), or None if there is no preference.

    Right is better than wrong. Of two right ones the one with fewer words (text.split()) is better.
    """
    ### BEGIN SOLUTION
    right_a = is_right(row, a)
    right_b = is_right(row, b)
    if right_a != right_b:
        return (a, b) if right_a else (b, a)
    words_a = len(a.split())
    words_b = len(b.split())
    if not right_a or words_a == words_b:
        return None
    return (a, b) if words_a < words_b else (b, a)
    ### END SOLUTION


# %%
checks.prefer(prefer)

# %% [markdown]
# For every training prompt we compare two of the world's right stories, and two that the tuned
# model writes at *temperature 1*: each token is drawn with the model's own probability. One pair of
# each kind:

# %%
pairs = [experiment.collect_pairs(start, train_cases, prefer, seed) for seed in lab.SEEDS]
print(f"pairs, by seed: {[len(group) for group in pairs]}")
for row, chosen, rejected in (pairs[0][0], pairs[0][-1]):
    print(f"\n{row.turns[0].instruction}\n  chosen:   {chosen}\n  rejected: {rejected}")

# %% [markdown]
# ## The probability of a whole answer
#
# DPO needs log p(answer | prompt). It is the sum of the log-probabilities of the answer's tokens,
# with the eos (the token that ends an answer). This is our loss without the minus sign and without
# the mean.
#
# ### Exercise 14.2: one number an answer (extend, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# `log_softmax`, then `gather` at the targets. IGNORE is no index, so clamp it to 0 first. Set its
# positions to zero before the sum.
#
# </details>


# %%
def answer_logps(logits, targets):
    """Return the sum of log p(target) over the supervised targets of each row, (B,), from logits
    (B, T, V) and targets (B, T) with IGNORE."""
    ### BEGIN SOLUTION
    log_p = logits.log_softmax(-1)  # (B, T, V)
    log_p = log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]  # (B, T)
    log_p = log_p.masked_fill(targets == IGNORE, 0.0)
    return log_p.sum(1)
    ### END SOLUTION


# %%
checks.answer_logps(answer_logps)


def logps(model, rows, answers):
    """Return log p of each answer to its row, (B,)."""
    inputs, targets = experiment.batch(start, rows, answers)
    return answer_logps(model(inputs), targets)


# %% [markdown]
# ## The loss
#
# A reward model is trained on pairs with the loss `-log sigmoid(r(chosen) - r(rejected))`, so that
# the chosen answer gets the higher reward (Bradley & Terry 1952). DPO uses this very loss, but
# takes the reward from the model itself. Keep a frozen copy of the tuned model, the **reference**.
# The *implicit reward* of an answer is how much more probable the model makes it than the reference
# does, times a constant **beta**:
#
#     r(answer) = beta * (log p(answer) - log p_ref(answer))
#
# ### Exercise 14.3: DPO's loss (extend, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# All four are tensors (B,). `F.logsigmoid` is stable where `log(sigmoid(x))` is not. Take the mean
# over the pairs.
#
# </details>


# %%
def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
    """Return the mean loss of the pairs from four tensors (B,) of summed log-probabilities
    (equation 7 of the paper).

    all equal -> log 2 = 0.693, whatever beta: the model has not moved yet"""
    ### BEGIN SOLUTION
    reward_chosen = beta * (chosen - ref_chosen)
    reward_rejected = beta * (rejected - ref_rejected)
    return -F.logsigmoid(reward_chosen - reward_rejected).mean()
    ### END SOLUTION


# %%
checks.dpo_loss(dpo_loss)

# %% [markdown]
# ## The step
#
# A step of DPO is the step from lesson 5 with a different loss. The model reads B chosen and B
# rejected answers as one batch of 2B rows.
#
# ### Exercise 14.4: a step of DPO (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# `now.chunk(2)` splits (2B,) into chosen and rejected, and so does `before.chunk(2)`. Then come the
# lines of lesson 5's step, and one more, the clipping: reset the gradients, `backward`, clip them
# (`torch.nn.utils.clip_grad_norm_`, at most 1.0), step.
#
# </details>


# %%
def dpo_step(model, optimizer, logps_of, before, loss_of):
    """Make one step. Returns how much log p differs from the reference's before the step, as two
    floats: the mean over the chosen answers, and over the rejected ones.

    logps_of(model) returns log p, (2B,), of B chosen and then of B rejected answers. `before` (2B,)
    has the reference's. loss_of(chosen, rejected, ref_chosen, ref_rejected) returns the loss."""
    ### BEGIN SOLUTION
    now = logps_of(model)
    chosen, rejected = now.chunk(2)
    ref_chosen, ref_rejected = before.chunk(2)
    loss = loss_of(chosen, rejected, ref_chosen, ref_rejected)

    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

    change_chosen = (chosen - ref_chosen).mean().item()
    change_rejected = (rejected - ref_rejected).mean().item()
    return change_chosen, change_rejected
    ### END SOLUTION


# %%
checks.dpo_step(dpo_step)

# %% [markdown]
# ## Predict
#
# We take thirty steps of DPO on these pairs. The **learning rate** (the size of a step) is 2e-5, a
# fraction of the rate of tuning. For comparison we take equally many steps of SFT on the chosen
# answers alone. Of the stories that each model writes, what share is right? What share is right
# *and* shortest?

# %%
lab.predict("14: right, after DPO", ...)
lab.predict("14: right and shortest, tuned", ...)
lab.predict("14: right and shortest, after DPO", ...)
lab.predict("14: right and shortest, SFT on chosen", ...)

# %%
BETA = 0.1


def after_dpo(beta=BETA, rate=2e-5):
    """Tune with DPO once a seed. Returns the Assistants and their histories."""
    loss_of = functools.partial(dpo_loss, beta=beta)
    return experiment.dpo_all(start, pairs, logps, dpo_step, loss_of, rate)


arms = {"tuned": [start for _ in lab.SEEDS]}
arms["after DPO"], histories = after_dpo()
arms["SFT on chosen"] = experiment.sft_all(start, pairs, logps)

# %%
replies = experiment.replies_of(arms, test_cases)


def is_shortest(row, text):
    """Is this story right, and of the form that the reader prefers?"""
    return is_right(row, text) and len(text.split()) <= SHORTEST


right = experiment.flags(is_right, replies)
short = experiment.flags(is_shortest, replies)
others = experiment.other_answers(arms, splits["unseen_inputs"])
shares = experiment.report(right, short, others)
lab.compare("14: right, after DPO", shares["after DPO"][0][0])
for arm in arms:
    lab.compare(f"14: right and shortest, {arm}", shares[arm][1][0])

# %% [markdown]
# The intervals come from a bootstrap over seeds and stories (lesson 7). The next cell takes the
# differences and says what was found.

# %%
gained_low = experiment.report_gains(right, short, others)

# %% [markdown]
# ## Who wins?
#
# The field's usual measure is the **win rate**. Both models get the same prompts, and the reader
# picks. Ties are part of the result, since a win rate without them hides how often there was
# nothing to prefer.

# %%
experiment.report_duel(replies, "after DPO", "tuned", prefer)
experiment.report_duel(replies, "SFT on chosen", "tuned", prefer)
experiment.report_duel(replies, "after DPO", "SFT on chosen", prefer)
experiment.report_winner("after DPO", "SFT on chosen", right, "right stories")
experiment.report_winner("after DPO", "SFT on chosen", short, "the preferred form")

# %% [markdown]
# Why not simply tune on the chosen answers? If they are good, do it: SFT is the baseline that a
# preference method has to beat, and here the world wrote many of them. But SFT never sees what the
# reader does *not* want. A longer right story was chosen in some pairs and rejected in others, and
# SFT learns it where it was chosen. DPO sees both halves, so it learns the difference. That matters
# most where nobody can write a good answer, but anybody can say which of two is better.
#
# ## Read ten of them
#
# Here are ten stories after DPO, starting with those that the reader would not choose. Sort them
# (right but not shortest, a wrong story, something else), and write two sentences.

# %%
experiment.show_worst(replies["after DPO"][0], is_shortest)

# %% [markdown]
# <details><summary>A model answer</summary>
#
# A wrong story is mostly made of parts that are right elsewhere: the wrong hero or place, two forms
# mixed, a right story that goes on, or an answer to another kind of question. DPO learns only which
# of two answers is better. So it learns to avoid a mistake where the tuned model made it beside a
# right story.
#
# </details>
#
# ## How the model moves

# %%
experiment.plot_moves(histories)
ends = experiment.report_moves(histories)

# %% [markdown]
# The loss sees only the *gap* between the two curves. Lowering the rejected answers widens the gap
# just as raising the chosen ones does, and log p can fall further than it can rise. Pal et al.
# (2024, "Smaug") and Razin et al. (2024) describe how, in large models, even the chosen answers can
# lose probability. Razin et al. call it *likelihood displacement*.
#
# ## Rate and beta
#
# Two settings decide how far the model goes: the learning rate, and beta. *Predict*: what does five
# times the rate do to the stories, and what does thirty times the beta?
#
# Distance is the mean of log p - log p_ref over answers that the *new* model writes. It estimates
# the KL divergence, a measure of how different two distributions are.

# %%
models = {"as above": arms["after DPO"]}
models["5 times the rate"] = after_dpo(rate=1e-4)[0]
models["30 times the beta"] = after_dpo(beta=30 * BETA)[0]
tried = experiment.measure_settings(models, start, test_cases, logps)
lab.finding(
    *lab.difference(tried["5 times the rate"]["right"], tried["as above"]["right"])[1:],
    "five times the rate wrote more right stories.",
    "five times the rate broke stories: fewer are right.",
    "five times the rate changed nothing that we can measure.",
)

# %% [markdown]
# A preference step moves a model that is already good, so its rate must be small. Published DPO
# runs use about a tenth to a hundredth of the rate of SFT. With a larger beta a smaller gap already
# satisfies the loss, so the model need not go as far from the reference.
#
# ## SFT, DPO and RLHF
#
# | | SFT | DPO | RLHF with PPO |
# | --- | --- | --- | --- |
# | learns from | right answers | pairs of answers | a reward model, trained on pairs |
# | models in memory | 1 | 2 (one frozen) | 4 (also a reward model and one that predicts rewards) |
# | writes answers while training | no | no (pairs are made before) | yes, at every step |
# | held near the start by | few steps | beta, a small rate | a KL penalty |
# | code | one loop | one more loss | a system |
#
# Our reader is a rule of one line. People disagree, get tired, and like long answers, and a model
# learns to please whatever was measured.
#
# ## Questions to think about
#
# 1. The reader prefers shorter stories. What would happen if wrong stories counted as right?
# 2. DPO's pairs were written by the old model. Why does that matter after many steps?
#
# <details><summary>Answers</summary>
#
# 1. The shortest text would win, in the end no story at all. A preference is only as good as what
#    it looks at.
# 2. The further the new model goes, the less the pairs say about the answers that it gives now. PPO
#    avoids that, because it writes new answers at every step.
#
# </details>
#
# ## Where this is in the project
#
# The project stops at tuning. `world.check` is the judge, and `model.py`: `GPT.forward` computes
# the sum of log-probabilities of a batch.
#
# > **What to remember**
# >
# > - A preference is a pair of answers. DPO makes the gap between them larger, measured against a
# >   frozen reference.
# > - SFT on chosen answers teaches the model to write like them. DPO also teaches what to avoid.
# > - Too high a learning rate can cost right answers. Measure what else DPO changed.

# %%
wins, ties, losses = experiment.duel(replies["after DPO"], replies["tuned"], prefer)
lab.claim(
    "after DPO the preferred form comes clearly more often, and more answers win than lose against"
    " the tuned model",
    gained_low > 0 and wins > losses,
    "a tuned model that hardly writes right stories gives DPO pairs of mistakes.",
)
lab.claim(
    "thirty times the beta takes the model no further from the reference (a quarter for noise)",
    tried["30 times the beta"]["distance"] < 1.25 * tried["as above"]["distance"],
    "thirty steps are few.",
)
lab.claim(
    "the gap between chosen and rejected grew for every seed",
    all(chosen > rejected for chosen, rejected in ends),
    "the last batches of a seed were unlucky; look at the curves.",
)
