# %% [markdown]
# # 16. Break it: ten bugs that raise no error
#
# *Under a minute of computing on a laptop CPU (2 cores), about 45 minutes with the exercises. Needs
# `out/base.pt` from `python train_sft.py`.*
#
# Often the loss goes down, the model is saved, and something is quietly wrong. Nine of these bugs
# have an issue thread of a real project: five are the thread's own bug in small (1, 2, 3, 5 and 8),
# four are only modelled on a similar one (4, 6, 7 and 9), and the last has no thread. The functions
# stand in `lessons/bugs.py`, under names that say nothing. For each:
#
# 1. run the cell that shows the **symptom**;
# 2. **guess**: write your suspicion in one sentence into `guesses`;
# 3. only then run the cell that shows the **source**, and compare;
# 4. **repair** it: write the function right.
#
# At the end your guesses stand beside the causes.

# %%
import copy
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson16 as checks

import inspect
import random
import re

import matplotlib.pyplot as plt
import torch

import bugs
import world
from data import IGNORE, collate, epoch_batches, prepare, shift
from generate import Sampling, generate
from train_sft import adamw, train

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
eos = tokenizer.eos_id
guesses = {}

# %% [markdown]
# One row is our toy for most of what follows. This is all of it: the prompt's ids, the answer's
# ids, the eos.

# %%
prompt = lab.prompt_ids(tokenizer, "alpaca", "Name the capital of France.")
answer = tokenizer.encode("The capital of France is Paris.") + [eos]
names = [tokenizer.decode([token]) for token in prompt + answer]
print(prompt, answer, names, sep="\n")

# %% [markdown]
# ## Bug 1. It does not stop in time
#
# Two models were tuned on the same rows with the same settings; only the function that fills up the
# targets differs. *Predict*: what does one see of such a bug, in the loss and in the answers?

# %%
STEPS = 8 if lab.FAST else 60
examples, _, _ = prepare(rows, tokenizer, "alpaca", base.config.block_size)
test_rows = lab.subset(splits["unseen_inputs"], 120)


def tune_with(padded_targets):
    """Tune an Assistant with the targets that this function pads."""
    torch.manual_seed(0)
    model, batches = copy.deepcopy(base), epoch_batches(examples, 32, 0)

    def batch_at(step):
        return collate(batches[step], eos)[0], padded_targets(
            [shift(*e)[1] for e in batches[step]], eos
        )

    train(model, batch_at, STEPS, [adamw(model.parameters(), 8e-4)])
    return lab.Assistant(model, tokenizer, "alpaca")


def ending_right(assistant):
    """Count the test answers that ended right after the right statement."""
    return lab.score(assistant, test_rows, Sampling())["correct"]


broken = tune_with(bugs.case_1)
sound = lab.tune(base, tokenizer, rows, steps=STEPS, examples=examples)  # the project's own way
for name, assistant in (("first", broken), ("second", sound)):
    print(
        f"{name}: {ending_right(assistant)} of {len(test_rows)} answers end where they should."
        f" {lab.ask(assistant, 'Name the capital of France.')}"
    )

# %%
guesses[1] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_1))

# %% [markdown]
# This is the bug of *huggingface/trl#976*.
#
# ### Exercise 16.1: padding that is no token (rebuild, ★★, 3 minutes)
#
# <details><summary>Hint</summary>
#
# Which token has the same id as the padding, and must be supervised? Pad with something that no
# token is.
#
# </details>


# %%
def padded_targets(targets, eos):
    """Pad lists of targets on the right with IGNORE, (B, T). A real eos stays a target.

    [[7, 9], [9]], eos=9 -> [[7, 9], [9, IGNORE]]"""
    ### BEGIN SOLUTION
    out = torch.full((len(targets), max(map(len, targets))), IGNORE)
    for i, row in enumerate(targets):
        out[i, : len(row)] = torch.tensor(row)
    return out
    ### END SOLUTION


# %%
checks.padded_targets(padded_targets)
targets = [shift(*example)[1] for example in examples[:4]]
for name, f in (("bug 1", bugs.case_1), ("repaired", padded_targets)):
    print(f"{name}: {int((f(targets, eos) == eos).sum())} eos tokens are supervised in 4 rows")

# %% [markdown]
# ## Bug 2. A number in the audit
#
# The symptom: what fraction of the targets is supervised? *Predict* that number for rows whose
# prompts are longer than their answers.


# %%
def learned_share(targets_of, n=200):
    targets = [t for ids, mask in examples[:n] for t in targets_of(ids, mask)]
    return sum(t != IGNORE for t in targets) / len(targets)


print(f"{learned_share(bugs.case_2):.0%} of the targets are supervised")

# %%
guesses[2] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_2))

# %% [markdown]
# This is the bug of *karpathy/nanochat PR#582*: after a rewrite the mask was computed and then not
# used.
#
# ### Exercise 16.2: targets under the mask (rebuild, ★, 3 minutes)
#
# <details><summary>Hint</summary>
#
# A target is the *next* token, so it needs the *next* token's mask.
#
# </details>


# %%
def targets_of(ids, mask):
    """Return the targets of ids[:-1]: the next token if the mask of that token is 1, else IGNORE.

    [5, 6, 7, 8], [0, 0, 1, 1] -> [IGNORE, 7, 8]"""
    ### BEGIN SOLUTION
    return [token if supervised else IGNORE for token, supervised in zip(ids[1:], mask[1:])]
    ### END SOLUTION


# %%
checks.targets_of(targets_of)
print(f"{learned_share(targets_of):.0%} of the targets are supervised")

# %% [markdown]
# ## Bug 3. Two brackets are wrong
#
# The symptom is an x-ray: supervised tokens stand in brackets. Which one should not, and which one
# is missing?


# %%
def x_ray(mask):
    print("".join(f"[{name!r}]" if supervised else " . " for name, supervised in zip(names, mask)))


x_ray(bugs.case_3(len(prompt), len(answer)))

# %%
guesses[3] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_3))

# %% [markdown]
# This is the bug of *verl-project/verl PR#3287 and #3562*: a fix moved the mask by one position.
#
# ### Exercise 16.3: the mask of a row (rebuild, ★, 2 minutes)
#
# <details><summary>Hint</summary>
#
# The mask marks tokens, not the positions that predict them. Shifting is done in one place only,
# later.
#
# </details>


# %%
def answer_mask(n_prompt, n_answer):
    """Return the mask of a row: n_prompt tokens that are not supervised, then n_answer (the eos
    counted) that are.

    2, 3 -> [0, 0, 1, 1, 1]"""
    ### BEGIN SOLUTION
    return [0] * n_prompt + [1] * n_answer
    ### END SOLUTION


# %%
checks.answer_mask(answer_mask)
x_ray(answer_mask(len(prompt), len(answer)))

# %% [markdown]
# ## Bug 4. A row that is too long
#
# A row with a long input is cut to the context. *Predict* what can become of its loss. The mean
# loss of its supervised tokens is:


# %%
story = tokenizer.encode("Ann lost a ball in the garden. " * 8)
whole = lab.prompt_ids(tokenizer, "alpaca", "Summarize the story.", tokenizer.decode(story))
start = next(i for i in range(len(whole)) if whole[i : i + len(story)] == story)
head, context, tail = whole[:start], story, whole[start + len(story) :]
ids = bugs.case_4(head, context, tail, answer, 64)
# pretend that every answer token costs 1
losses = torch.ones(len(ids))[
    len(head + context + tail) :
]
print(f"{len(losses)} of {len(answer)} answer tokens are left, mean loss {losses.mean():.2f}")

# %%
guesses[4] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_4))

# %% [markdown]
# Modelled on *karpathy/nanochat#590*: there a whole micro-batch held no target, and its mean was
# nan as well.
#
# ### Exercise 16.4: cut the context only (rebuild, ★★, 4 minutes)
#
# <details><summary>Hint</summary>
#
# How many tokens of the context have room once everything else is in? A negative number means that
# nothing helps.
#
# </details>


# %%
def fit(head, context, tail, answer, limit):
    """Join head + context + tail + answer in at most `limit` tokens. Only the context is truncated,
    at its end. Returns None if even an empty context leaves too many.

    [1], [2, 3, 4], [5], [6, 7], limit 5 -> [1, 2, 5, 6, 7];  limit 3 -> None"""
    ### BEGIN SOLUTION
    room = limit - len(head + tail + answer)
    return None if room < 0 else head + context[:room] + tail + answer
    ### END SOLUTION


# %%
checks.fit(fit)
print(tokenizer.decode(fit(head, context, tail, answer[:-1], 64)))

# %% [markdown]
# ## Bug 5. The loss depends on the memory you have
#
# The same eight answers, in micro-batches of different sizes. The loss of the step should be one
# number. *Predict*: four answers are short and have a high loss, four are long and have a low one.
# With which size is the loss right, and is it too high or too low with the others?

# %%
token_losses = [
    torch.full((n,), float(x))
    for n, x in zip((2, 3, 2, 3, 20, 25, 22, 30), (4, 4, 3, 5, 1, 1, 2, 1))
]


def in_micro_batches(size):
    """Return a list of 1-D tensors, the losses of every micro-batch's supervised tokens."""
    return [torch.cat(token_losses[i : i + size]) for i in range(0, 8, size)]


print([f"{size} rows: {bugs.case_5(in_micro_batches(size)):.2f}" for size in (1, 2, 4, 8)])

# %%
guesses[5] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_5))

# %% [markdown]
# This is the bug that *huggingface/transformers PR#34191* repairs.
#
# ### Exercise 16.5: one loss for any micro-batch (rebuild, ★, 3 minutes)
#
# <details><summary>Hint</summary>
#
# Every supervised token of the step counts alike: sum first, divide once. A micro-batch may hold
# none.
#
# </details>


# %%
def step_loss(parts):
    """Return the mean over all tokens, from the losses of the supervised tokens of every
    micro-batch (1-D tensors, some perhaps empty).

    [tensor([1., 1., 1.]), tensor([5.])] -> 2.0"""
    ### BEGIN SOLUTION
    return sum(part.sum() for part in parts) / sum(len(part) for part in parts)
    ### END SOLUTION


# %%
checks.step_loss(step_loss)
sizes = (1, 2, 4, 8)
fig, ax = plt.subplots(figsize=(5, 2.8))
for f, label in ((bugs.case_5, "mean of means"), (step_loss, "mean over tokens")):
    ax.plot(sizes, [float(f(in_micro_batches(size))) for size in sizes], "o-", label=label)
ax.set(xlabel="rows in a micro-batch", ylabel="loss of the same step", xticks=sizes, ylim=(0, None))
ax.legend()
plt.show()

# %% [markdown]
# ## Bug 6. Good in the evaluation, poor in the chat
#
# The second model of bug 1, asked the same questions by two programs. *Predict*: where would you
# look first?


# %%
questions = [row for row in test_rows if not row.turns[0].input]


def right_with(prompt_text):
    """Count the right answers if this function makes the prompt."""
    prompts = [tokenizer.encode(prompt_text(row.turns[0].instruction)) for row in questions]
    texts = [tokenizer.decode(ids) for ids, _ in generate(sound.model, prompts, eos, Sampling())]
    return sum(
        world.check(row.task, row.turns[0].output, text) for row, text in zip(questions, texts)
    )


print(f"evaluation: {lab.score(sound, questions, Sampling())['correct']} of {len(questions)} right")
print(f"chat:       {right_with(bugs.case_6)} of {len(questions)} right")

# %%
guesses[6] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_6))

# %% [markdown]
# Modelled on *axolotl-ai-cloud/axolotl#1832*, where an exported template had other spaces than the
# one of training.
#
# ### Exercise 16.6: the prompt of the tuning (rebuild, ★, 2 minutes)
#
# <details><summary>Hint</summary>
#
# Print `repr` of what `bugs.case_6` returns, and compare it with the decoded prompt at the top.
#
# </details>


# %%
def prompt_text(instruction):
    """Return the prompt that the model was tuned with, letter by letter (no input).

    "Hi." -> "### Instruction:\\nHi.\\n\\n### Response:\\n"
    """
    ### BEGIN SOLUTION
    return f"### Instruction:\n{instruction}\n\n### Response:\n"
    ### END SOLUTION


# %%
checks.prompt_text(prompt_text)
print(f"chat:       {right_with(prompt_text)} of {len(questions)} right")

# %% [markdown]
# ## Bug 7. The neighbours in the batch change the answer
#
# The same prompt alone, and on the left of it padding, as a longer neighbour would cause. Symptom:
# how far the logits of its last token move. *Predict* what that number is in a sound program.


# %%
@torch.inference_mode()
def moved(batch_mask, n=6):
    """Return the greatest change of a logit when n tokens of padding come before the prompt."""
    ids = torch.tensor([[eos] * n + prompt])
    mask = batch_mask([n], len(ids[0]))[:, None]  # (B, 1, T, T)
    positions = (torch.arange(len(ids[0])) - n).clamp(min=0)[None]
    padded = sound.model(ids, None, positions, mask, last_only=True)
    return float((padded - sound.model(torch.tensor([prompt]), last_only=True)).abs().max())


print(f"greatest change of a logit: {moved(bugs.case_7):.5f}")

# %%
guesses[7] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_7))

# %% [markdown]
# Modelled on *huggingface/transformers#25790*: answers in a batch differed from those alone, with
# the eos as padding.
#
# ### Exercise 16.7: a mask for padding on the left (rebuild, ★★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# Causal *and* not padding. Rows of padding would then see nothing, and softmax of nothing is nan:
# let every position see itself.
#
# </details>


# %%
def batch_mask(padding, length):
    """Return a bool mask (B, length, length) for rows with padding[b] tokens of padding on the
    left. It is True where position t (dimension 1) may look at position s (dimension 2): s <= t and
    s is no padding. Every position sees itself.

    [1], 3 -> [[[1, 0, 0], [0, 1, 0], [0, 1, 1]]]"""
    ### BEGIN SOLUTION
    at = torch.arange(length)
    real = at[None, :] >= torch.tensor(padding)[:, None]  # (B, length)
    return (at[None, :] <= at[:, None]) & real[:, None, :] | torch.eye(length, dtype=torch.bool)
    ### END SOLUTION


# %%
checks.batch_mask(batch_mask)
print(f"greatest change of a logit: {moved(batch_mask):.5f}")

# %% [markdown]
# ## Bug 8. A higher rank needs another learning rate
#
# You raise the rank, and the training blows up. Symptom: how much the very first step changes the
# loss (to first order), for four ranks and the same learning rate, alpha = 16. *Predict*: how
# should the four numbers differ?


# %%
def first_step(correction):
    """Return for four ranks how much the first step of AdamW changes the loss. The step moves every
    number of B equally far."""
    g = torch.Generator().manual_seed(0)
    gradient, out = torch.randn(128, 128, generator=g), []
    for rank in (2, 8, 32, 128):
        A = torch.randn(rank, 128, generator=g) / 128**0.5
        B = -1e-5 * (gradient @ A.T).sign()  # B was zero
        out.append(f"rank {rank}: {(gradient * correction(B, A, 16)).sum():.2f}")
    return out


print(first_step(bugs.case_8))

# %%
guesses[8] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_8))

# %% [markdown]
# This is the bug of *rasbt/LLMs-from-scratch#821*.
#
# ### Exercise 16.8: the correction, scaled (rebuild, ★, 2 minutes)
#
# <details><summary>Hint</summary>
#
# The sum over the rank has more terms where the rank is higher, and in the first step all have the
# same sign. Hu et al. (2021) scale the correction so that this does not matter.
#
# </details>


# %%
def correction(B, A, alpha):
    """Return LoRA's correction of the weight, (out, in), from B (out, rank) and A (rank, in),
    scaled by alpha / rank."""
    ### BEGIN SOLUTION
    return (alpha / A.shape[0]) * B @ A
    ### END SOLUTION


# %%
checks.correction(correction)
print(first_step(correction))

# %% [markdown]
# ## Bug 9. Two documents in one row
#
# Short rows are packed one after another to waste no padding. Symptom: we change the *first*
# document and watch the logits of the *second*. *Predict* what a sound program shows.


# %%
@torch.inference_mode()
def leak(packed_mask):
    """Return the greatest change of the second document's logits when the first is another one."""
    out = []
    for first in ("Oslo is in Norway.", "A frog lives in a pond."):
        first = tokenizer.encode(first)[:4] + [eos]
        lengths = [len(first), len(prompt)]
        positions = torch.cat([torch.arange(n) for n in lengths])[None]
        logits = sound.model(
            torch.tensor([first + prompt]), None, positions, packed_mask(lengths)[None, None]
        )
        out.append(logits[:, -len(prompt) :])
    return float((out[0] - out[1]).abs().max())


print(f"greatest change of a logit: {leak(bugs.case_9):.5f}")

# %%
guesses[9] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_9))

# %% [markdown]
# Modelled on *huggingface/trl#805*, which asks how packed rows are kept apart, and learns that only
# an eos stands between them.
#
# ### Exercise 16.9: a mask for packed documents (rebuild, ★★, 4 minutes)
#
# <details><summary>Hint</summary>
#
# Give every position the number of its document (`torch.repeat_interleave`). Two positions may meet
# if these are equal.
#
# </details>


# %%
def packed_mask(lengths):
    """Return a bool mask (T, T) for documents of these lengths in one row. It is True where
    position t may look at s: s <= t, and both are in the same document.

    [1, 2] -> [[1, 0, 0], [0, 1, 0], [0, 1, 1]]"""
    ### BEGIN SOLUTION
    document = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    return (document[:, None] == document[None, :]).tril()
    ### END SOLUTION


# %%
checks.packed_mask(packed_mask)
print(f"greatest change of a logit: {leak(packed_mask):.5f}")

# %% [markdown]
# ## Bug 10. Too good
#
# The "model" below is a dictionary of the tuning prompts. It knows nothing else, and yet it does
# well on the test prompts. *Predict*: what should it score?

# %%
texts = [row.turns[0].instruction for row in rows[:300]]
repeated = texts + [text.lower() for text in texts[:150]] + [text + " " for text in texts[150:]]


def key(prompt):
    """Normalize a prompt: two are the same if their words are, whatever spacing, capitals or marks.
    """
    return re.sub(r"\W+", " ", prompt).strip().lower()


def dictionary_score(split):
    to_tune, to_test = split(repeated, 100, 0)
    known = {key(prompt) for prompt in to_tune}
    return (
        f"the dictionary answers {sum(key(p) in known for p in to_test)} of {len(to_test)} test"
        " prompts"
    )


print(dictionary_score(bugs.case_10))

# %%
guesses[10] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_10))

# %% [markdown]
# No thread for this one: nobody complains about a good score. Real data repeats its prompts, with
# other spacing or capitals.
#
# ### Exercise 16.10: a split by prompt (extend, ★★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# Draw from the sorted set of keys. Then every prompt goes to the side of its key.
#
# </details>


# %%
def split(prompts, n_test, seed):
    """Split prompts. Returns (prompts to tune on, prompts to test on). n_test different keys, drawn
    with random.Random(seed), are tested. All prompts with such a key go there. Both lists keep the
    order."""
    ### BEGIN SOLUTION
    keys = random.Random(seed).sample(sorted({key(p) for p in prompts}), n_test)
    chosen = set(keys)
    return [p for p in prompts if key(p) not in chosen], [p for p in prompts if key(p) in chosen]
    ### END SOLUTION


# %%
checks.split(split)
print(dictionary_score(split))

# %% [markdown]
# ## Your guesses

# %%
for n, cause in bugs.CAUSES.items():
    print(f"{n:>2}  you:   {guesses.get(n) or '-'}\n    cause: {cause}")

# %% [markdown]
# Count your hits. A guess that names the spot (the padding, the mask, the prompt) is a hit, even in
# other words.
#
# ## Questions to think about
#
# 1. Which of the ten would you have noticed from the loss curve alone?
#
# <details><summary>Answer</summary>
#
# Perhaps the nan of bug 4 and the blow-up of bug 8. Bugs 6, 7 and 10 are outside the training loop,
# and a curve of the others may fall as smoothly as a right one.
#
# </details>
#
# 2. What have the repairs in common?
#
# <details><summary>Answer</summary>
#
# Each has an exact statement that a test can check: supervised tokens are the answer and its eos;
# the loss is the same for any micro-batch; alone is the same as in a batch; no test prompt stands
# in the tuning data. Write that statement down as an assertion, and the bug has nowhere to hide.
#
# </details>
#
# ## Where this lives in the project
#
# 1 `data.py`: `collate`; 2 `shift`; 3 and 4 `encode` and the assertion in `prepare`; 5
# `train_sft.py`: `backward` (`n_supervised`); 6 `data.py`: `Template`, stored in the checkpoint; 7
# `generate.py`: `stream_ids`; 8 `common/lora.py`: `LoRA`; 9 `extras/packing.py`: `collate_packed`;
# 10 `extras/datasets.py`: `load_mixture`.

# %%
lab.claim(
    "with the eos masked less than half as many answers end where they should",
    ending_right(broken) < ending_right(sound) / 2,
)
lab.claim(
    "with another prompt than in tuning less than half as many answers are right",
    right_with(bugs.case_6) < right_with(prompt_text) / 2,
)
lab.claim(
    "with a wrong mask one document changes the logits of another, with the right one it does not",
    leak(bugs.case_9) > 0.01 and leak(packed_mask) < 1e-4,
)
