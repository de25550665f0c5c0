# %% [markdown]
# # 5. Tuning: the same loop, different batches
#
# You write the step and the loop of instruction tuning, and watch a base model that continues
# become a model that answers. Then you see which tokens changed, how many epochs and which learning
# rate are right, and what happens if no loss teaches the model where to stop.
#
# *25 minutes of reading, 35 of exercises, 3 of computing on one core. Needs `out/base.pt` from
# `python train_sft.py`, and lesson 4 (the mask). If you have never trained a network, first read
# *Optimizing Model Parameters* in PyTorch's "Learn the Basics".*

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson05 as checks
from experiments import lesson05 as experiments

import torch

from common.audit import audit
from data import IGNORE, collate, epoch_batches, prepare

# %% [markdown]
# ## Different batches
#
# In pretraining a batch is a piece of the corpus, and every token is a target. In *supervised
# fine-tuning* (SFT) a batch is a few pairs, and the loss looks only at the *supervised* tokens: the
# answer and its *eos* (end of sequence). All other targets are `IGNORE`. Here is one pair as the
# model gets it.

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
block_size = base.config.block_size
examples, truncated, too_long = prepare(rows, tokenizer, "alpaca", block_size)
experiments.print_targets(tokenizer, *collate(examples[:1], tokenizer.eos_id))
print(*audit(rows, examples, truncated, too_long).lines(), sep="\n")

# %% [markdown]
# Nothing else differs. Both stages do the same with `inputs` and `targets`: forward pass, loss,
# backward pass, a small change to the weights.
#
# ### Exercise 5.1: one step (rebuild, ★★, 8 minutes)
#
# `model(inputs, targets)` returns the *sum* of -log p over the supervised targets and skips
# `IGNORE`. `model(inputs)` returns logits, (B, T, V), if you prefer `F.cross_entropy`.
#
# <details><summary>Hint</summary>
#
# Divide by the number of supervised targets (in `F.cross_entropy`, `ignore_index` does that), call
# `backward()`, let the optimizer step, and zero the gradients.
#
# </details>


# %%
def sft_step(model, optimizer, inputs, targets):
    """Make one optimizer step on inputs and targets (B, T). Returns the mean loss over the
    supervised targets before the step, as a float.

    With targets [[IGNORE, IGNORE, 7, 3]] the mean is over two tokens, not four. Don't add the
    gradients of one step to those of the next."""
    ### BEGIN SOLUTION
    n_supervised = (targets != IGNORE).sum().clamp(min=1)
    loss = model(inputs, targets) / n_supervised
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
    ### END SOLUTION


# %%
checks.sft_step(sft_step)

# %% [markdown]
# ### Exercise 5.2: the loop (rebuild, ★★, 8 minutes)
#
# An *epoch* is one pass over all pairs. `epoch_batches(examples, batch_size, seed)` shuffles the
# examples and returns lists of them, and `collate(batch, pad)` makes the tensors. Give every epoch
# its own order, or the model sees the same batches again and again.
#
# <details><summary>Hint</summary>
#
# Two loops, one inside the other. The outer one counts epochs and uses the epoch's number as the
# seed. The inner one calls `step` and collects the losses in a list that is empty at the start of
# each epoch.
#
# </details>


# %%
def tune_loop(step, examples, epochs, batch_size, pad, on_epoch):
    """Tune for some epochs. After each, call on_epoch(number of epochs done, mean loss of its
    steps).

    step(inputs, targets) makes one optimizer step and returns its loss. 5 examples, 2 epochs,
    batch_size 2 -> 3 steps, on_epoch(1, ...), 3 steps in another order, on_epoch(2, ...)"""
    ### BEGIN SOLUTION
    for epoch in range(epochs):
        losses = []
        for batch in epoch_batches(examples, batch_size, seed=epoch):
            losses.append(step(*collate(batch, pad)))
        on_epoch(epoch + 1, sum(losses) / len(losses))
    ### END SOLUTION


# %%
checks.tune_loop(tune_loop)

# %% [markdown]
# The project's `train()` is this loop too. It adds a *learning rate* (the size of a step) that
# rises and then falls to zero, clips large gradients, and can resume after a crash. Against
# forgetting, the main job also mixes in documents of the corpus and keeps the embeddings fixed.
#
# ## From continuing to answering
#
# *Predict.* A batch has 32 pairs. After how few batches does the model answer *held-out* questions,
# which it was never tuned on? We tune three copies, each on pairs drawn with a different seed, and
# ask the same questions before tuning and four times along the way.

# %%
STEPS = 4 if lab.FAST else 32
held_out = [row for split in splits.values() for row in lab.subset(split, 40)]
lab.predict("5: exactly right after 8 steps", ...)
lab.predict("5: exactly right after 32 steps", ...)

# %%
watched = [
    experiments.watch_tuning(base, tokenizer, examples, held_out, STEPS, seed) for seed in lab.SEEDS
]
tuned, looks = zip(*watched)
before, early, after = experiments.describe_watch(looks)
lab.compare("5: exactly right after 8 steps", early[0])
lab.compare("5: exactly right after 32 steps", after[0])
experiments.plot_watch(looks)

# %% [markdown]
# Each line is one seed. There are only a few seeds, so a single one can move the mean.
#
# So few pairs cannot have taught the facts. The capital of a held-out country is in the corpus but
# in no pair. Tuning brings out knowledge that the base already has. This is the *superficial
# alignment hypothesis* (Zhou et al. 2023, "LIMA"). *Alignment* means making a model do what people
# want of it. For large models and harder tasks it is debated: Raghavendra et al. (2024) find that
# answers to hard problems go on improving with more tuning data. Lesson 6 measures how far the
# hypothesis goes here.
#
# Stopping is one thing. Stopping *after the right answer* is another. A base may stop early and
# answer nothing, because it has read an eos after every page.
#
# ## Which tokens changed?
#
# A score says how often a model is right. To find *where* two models differ, give both the same
# prompt and the same right answer, and read log p of every answer token. Zero is certainty, and -7
# is about one in a thousand. (The unit is the *nat*: natural logarithms.)
#
# ### Exercise 5.3: log-probability of an answer (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# Run the model once on prompt + answer. The logits at position t predict the token at position
# t + 1, so the last *prompt* position predicts the first answer token. `log_softmax(-1)` turns
# logits into log p.
#
# </details>


# %%
@torch.no_grad()
def answer_logprobs(model, prompt, answer):
    """Score an answer. Returns log p of each token of `answer` (a list of floats), given `prompt`
    and the answer's earlier tokens.

    prompt [5, 6], answer [7, 8] -> [log p(7 | 5 6), log p(8 | 5 6 7)]"""
    ### BEGIN SOLUTION
    ids = torch.tensor([prompt + answer])  # (1, T)
    logp = model(ids)[0].log_softmax(-1)  # (T, V)
    scores = []
    for i, token in enumerate(answer):
        position = len(prompt) - 1 + i  # predicts answer token i
        scores.append(logp[position, token].item())
    return scores
    ### END SOLUTION


# %%
checks.answer_logprobs(answer_logprobs)
experiments.print_logps(base, tuned[0], answer_logprobs)

# %% [markdown]
# One example can mislead. Most held-out answers are a name, *is* and a value ("The capital of
# France" is "Paris."). We put their tokens into five groups: the very first token, the rest of the
# name, *is*, the value, and the eos. *Predict*: in which group will log p rise most, and in which
# least?

# %%
gains = experiments.compare_groups(base, tuned, tokenizer, held_out, answer_logprobs)

# %% [markdown]
# Given "The capital of France is", the base mostly knows how to go on. By itself it would not have
# repeated the name from the question, and above all it would not have stopped after the answer. Lin
# et al. (2023, "The Unlocking Spell on Base LLMs") report the same kind of result for large models:
# tuning changes few tokens, mostly stylistic ones. In this world the result is this clear by
# construction, because no page of the corpus answers a question and none ends right after a
# statement of a fact.
#
# ## How many epochs, which rate?
#
# Now a whole tuning run, with your step and your loop, on 240 pairs for four epochs at three rates.
# After each epoch we take four measurements:
#
# * *train loss*: on the pairs, while the model trains on them;
# * *held-out loss* (also called *validation loss*): on the answers to held-out questions;
# * *held-out accuracy*: the share of these questions that the model answers right;
# * *loss on new pages*: text like the corpus. Its rise shows *forgetting*.
#
# If train loss falls while held-out loss rises, the model is *overfitting*: it learns these pairs
# by heart instead of what they have in common. In practice one stops there.
#
# ### Exercise 5.4: early stopping (extend, ★, 6 minutes)
#
# The future is unknown, so training ends once held-out loss has not improved on its best for
# `patience` epochs. Then you go back to the weights of the best epoch, which were saved.
#
# <details><summary>Hint</summary>
#
# Keep the number of the best epoch. Go through the losses in order. Is this one lower? Then it is
# the best. If not, and `patience` epochs have passed since the best, leave the loop.
#
# </details>


# %%
def where_to_stop(losses, patience):
    """Return the epoch whose weights to keep. losses[i] is the held-out loss after epoch i.

    [1.6, 0.4, 0.5, 0.6, 0.3], patience 2 -> 1: training ended after epoch 3; patience 3 -> 4"""
    ### BEGIN SOLUTION
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best
    ### END SOLUTION


# %%
checks.where_to_stop(where_to_stop)

# %% [markdown]
# *Predict*: at which of the three rates will held-out loss stop falling first, and at which will
# the model forget most?

# %%
RATES = (1e-4, 8e-4, 3.2e-3)
EPOCHS = 1 if lab.FAST else 4
few = lab.subset(rows, 240)
measure = experiments.Measure(base, tokenizer, few, held_out)
epoch_curves = {lr: measure.curve(lr, EPOCHS, sft_step, tune_loop) for lr in RATES}
experiments.print_curves(epoch_curves, where_to_stop)
experiments.plot_curves(epoch_curves)

# %% [markdown]
# How to read such curves, at any size:
#
# * Train loss alone tells you nothing about new questions. It falls at every rate that works at
#   all.
# * Compare directions, not heights. The pairs are asked less tidily than the held-out questions
#   (typos, greetings), so their loss can be the higher one.
# * Stop where held-out loss is lowest. If it still falls in the last epoch, train longer or a
#   little faster.
# * A higher rate forgets more of the text. Loss and accuracy may disagree, as one counts every
#   token and the other only whole answers. So watch both, and the old abilities too.
#
# Here are common settings, from the papers and their code. Models with billions of parameters use
# far smaller rates than ours, but among those models size alone doesn't decide the rate. LoRA
# (lesson 8) uses rates about ten times larger.
#
# | model | size | pairs | learning rate | epochs |
# | --- | --- | --- | --- | --- |
# | this project | 0.001 B | 10,000 | 8e-4 | 1.5 |
# | this project, Gemma 3 with LoRA | 0.27 B | 380 | 1e-3 | 1 |
# | InstructGPT, SFT (Ouyang et al. 2022) | 1.3 B and 6 B | 13,000 | 9.65e-6 | 16 |
# | Alpaca (Taori et al. 2023) | 7 B | 52,000 | 2e-5 | 3 |
# | Tulu 3, SFT (Lambert et al. 2024) | 8 B | 939,000 | 5e-6 | 2 |
# | Guanaco, QLoRA (Dettmers et al. 2023) | 7 B, 13 B | 9,800 | 2e-4 | 3 |
# | Guanaco, QLoRA | 33 B, 65 B | 9,800 | 1e-4 | 3 |
# | LIMA (Zhou et al. 2023) | 65 B | 1,000 | 1e-5 | 15, kept one of 5 to 10 |
# | Llama 2-Chat, SFT (Touvron et al. 2023) | 7 to 70 B | 27,540 | 2e-5 | 2 |
# | Tulu 2 (Ivison et al. 2023) | 70 B | 326,000 | 1e-5 | 2 |
#
# InstructGPT and LIMA trained past the lowest held-out loss on purpose, because the answers went on
# improving. The lowest loss is only a rule of thumb. What decides is how the answers are judged.
#
# ## The most common bug
#
# A model stops because the eos becomes the likeliest next token, and for no other reason. Many
# programs have this habit: *pad* the shorter rows of a batch with the eos, and tell the loss to
# ignore all padding *by its id*. Every real eos disappears with the padding. This project pads with
# the eos too, but its mask goes by position. Make the bug yourself.
#
# ### Exercise 5.5: hide the eos (extend, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# Keep `ids` as they are. The new mask is 0 where the token is the eos and the old mask's value
# elsewhere. Make new lists.
#
# </details>


# %%
def hide_end(examples, end):
    """Hide every eos of examples [(ids, mask), ...]. Returns new examples in which no eos is
    supervised. The old ones stay as they are.

    end = 9: [([5, 7, 9], [0, 1, 1])] -> [([5, 7, 9], [0, 1, 0])]"""
    ### BEGIN SOLUTION
    hidden = []
    for ids, mask in examples:
        new_mask = [m * (token != end) for token, m in zip(ids, mask)]
        hidden.append((ids, new_mask))
    return hidden
    ### END SOLUTION


# %%
checks.hide_end(hide_end)

# %% [markdown]
# *Predict.* The same pairs, steps and seeds, but the eos is not supervised. What share of the
# answers will end within 48 tokens, and what share will be exactly right?

# %%
lab.predict("5: eos hidden, stopped by itself", ...)
lab.predict("5: eos hidden, exactly right", ...)

# %%
endless_examples = hide_end(examples, tokenizer.eos_id)
endless = [
    lab.tune(base, tokenizer, rows, seed, STEPS, examples=endless_examples) for seed in lab.SEEDS
]
with_eos, without_eos = experiments.compare_eos(tuned, endless, held_out)
lab.compare("5: eos hidden, stopped by itself", without_eos[0][0])
lab.compare("5: eos hidden, exactly right", without_eos[1][0])

# %% [markdown]
# The loss could not warn you, because it never looked there. Counting how many answers stop could.
#
# ## Read ten errors
#
# Here are ten wrong answers from the model tuned for so few steps. Sort them into kinds, and write
# two sentences on what the model does wrong.

# %%
experiments.print_errors(tuned[0], held_out)

# %% [markdown]
# <details><summary>What you may have written</summary>
#
# "Most wrong answers have the right form: one statement, then a stop. They name another thing or
# another relation than the question, or they name the right one with a wrong value. So the model
# learns the format before it learns to read the question."
#
# </details>
#
# ## Questions to think about
#
# 1. What would the first curve look like if tuning had to teach the facts as well?
# 2. A colleague repairs the endless model by cutting each answer after its first full stop. When
#    does this help, and when not?
#
# <details><summary>Answers</summary>
#
# 1. Each fact would need its own pairs, several times each. Questions about facts that are in no
#    pair would stay wrong, so the curve of held-out inputs could not rise.
# 2. It repairs one-sentence answers. But a story of three sentences is cut short, an abbreviation
#    ends an answer early, and SQL ends with a semicolon.
#
# </details>
#
# > **What to remember**
# >
# > * Tuning is the pretraining loop with different batches: only answers and their eos have a loss.
# > * A few hundred pairs suffice to answer, because the base has the knowledge. They change the eos
# >   far more than the value.
# > * Watch held-out loss, not train loss, and stop where it is lowest. A rate that is too high
# >   fits its pairs more closely than new answers, and forgets. Without a loss on the eos,
# >   the model doesn't learn where its answer ends.
#
# ## In the project
#
# `train_sft.py`: `train()` is the loop, `tune()` gives it pairs, `pretrain()` the corpus.
# `data.py`: `encode()` puts the eos after the answer and supervises it, `collate()` pads. In
# `out/page.html`, the page of your own run, *What tuning changed* shows how the base ranks every
# token of a tuned answer.

# %%
high = epoch_curves[RATES[-1]][-1]
low = epoch_curves[RATES[0]][-1]
others = max(gain for group, gain in gains.items() if group != "eos")
lab.claim(
    "a few steps turn a base that answers nothing into one that answers many held-out questions"
    f" ({before[0]:.0%} -> {after[0]:.0%})",
    before[2] < 0.1 and after[1] > 0.4,
)
lab.claim(
    f"tuning lifts the eos ({gains['eos']:+.1f} nats) far more than any other token"
    f" ({others:+.1f} at most), and the value ({gains['value']:+.1f}) less than the name",
    gains["eos"] > others + 1 and gains["value"] < gains["name"],
)
lab.claim(
    "the highest rate forgets more than the lowest (loss on new pages"
    f" {high['loss on new pages']:.2f} against {low['loss on new pages']:.2f}), and fits its pairs"
    " more closely than new answers",
    high["loss on new pages"] > low["loss on new pages"] + 0.2
    and high["held-out loss"] > high["train loss"] + 0.1,
)
lab.claim(
    "without the eos in the loss hardly any answer is exactly right",
    without_eos[1][2] < with_eos[1][1] / 2,
)
