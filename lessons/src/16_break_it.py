# %% [markdown]
# # 16. Break it: ten bugs that raise no error
#
# *Reading 15 minutes, exercises 33 minutes, computing 1 minute on one core. Needs `out/base.pt`
# from `python train_sft.py`.*
#
# Often the loss goes down, the model is saved, and something is quietly wrong. Nine of these bugs
# have an issue thread in a real project. Five reproduce the thread's own bug on a small scale (1,
# 2, 3, 5 and 8), four are modeled on a similar one (4, 6, 7 and 9), and the last has no thread.
# The functions are in `lessons/bugs.py`, under names that say nothing. For each:
#
# 1. run the cell that shows the **symptom**;
# 2. **guess**: write your suspicion in one sentence into `guesses`;
# 3. only then run the cell that shows the **source**, and compare;
# 4. **repair** it: write the function correctly.
#
# At the end your guesses are printed beside the causes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import inspect
import random

import torch

import bugs
import lab
from checks import lesson16 as checks
from data import IGNORE, prepare, shift
from experiments import lesson16 as experiment
from experiments.lesson16 import key

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
examples, _, _ = prepare(rows, tokenizer, "alpaca", base.config.block_size)
test_rows = lab.subset(splits["unseen_inputs"], 120)
eos = tokenizer.eos_id
guesses = {}

# %% [markdown]
# One row is our toy for most of what follows: the prompt's ids, the answer's ids, and the **eos**,
# the token that ends an answer.

# %%
prompt = lab.prompt_ids(tokenizer, "alpaca", "Name the capital of France.")
answer = tokenizer.encode("The capital of France is Paris.") + [eos]
names = [tokenizer.decode([token]) for token in prompt + answer]
print(prompt, answer, names, sep="\n")

# %% [markdown]
# ## Bug 1. It does not stop in time
#
# Two models were tuned on the same rows with the same settings. Only the function that pads the
# targets differs. *Predict*: where does such a bug show, in the loss or in the answers?

# %%
broken = experiment.tune_with(base, tokenizer, examples, bugs.case_1)
sound = lab.tune(base, tokenizer, rows, steps=experiment.STEPS, examples=examples)
ends = {
    "first": experiment.ending_right(broken, test_rows),
    "second": experiment.ending_right(sound, test_rows),
}
print(f"answers of {len(test_rows)} that are right and end there: {ends}")

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
# Which token has the same id as the padding, and must be supervised? Pad with a value that is no
# token's id.
#
# </details>


# %%
def padded_targets(targets, eos):
    """Pad lists of targets on the right to one length, (B, T). Only real targets have a loss.

    [[7, 9], [5, 6, 9]], eos=9: two rows of three"""
    ### BEGIN SOLUTION
    longest = max(len(row) for row in targets)
    out = torch.full((len(targets), longest), IGNORE)
    for i, row in enumerate(targets):
        out[i, : len(row)] = torch.tensor(row)
    return out
    ### END SOLUTION


# %%
checks.padded_targets(padded_targets)
targets = [shift(*example)[1] for example in examples[:4]]
n_eos = {
    "bug 1": int((bugs.case_1(targets, eos) == eos).sum()),
    "repaired": int((padded_targets(targets, eos) == eos).sum()),
}
print(f"Found: supervised eos tokens in 4 rows: {n_eos}")

# %% [markdown]
# **Read ten answers** of the first model. Sort them (stopped, or went on with what?) and write two
# sentences.

# %%
experiment.show_ends(broken, test_rows)

# %% [markdown]
# <details><summary>A model answer</summary>
#
# The model answers, so the loss of the answers is fine. Then nothing tells it to stop, and it goes
# on as its base does, until the limit or until the base's own habit ends the text.
#
# </details>
#
# ## Bug 2. A number in the audit
#
# The symptom: what share of the targets is supervised? *Predict* that number for rows whose prompts
# are longer than their answers.

# %%
share = experiment.supervised_share(examples, bugs.case_2)
print(f"{share:.0%} of the targets are supervised")

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
    """Return the targets of the inputs ids[:-1], a list of tokens or IGNORE. mask has a 1 for each
    supervised token."""
    ### BEGIN SOLUTION
    targets = []
    for token, supervised in zip(ids[1:], mask[1:]):
        targets.append(token if supervised else IGNORE)
    return targets
    ### END SOLUTION


# %%
checks.targets_of(targets_of)
repaired_share = experiment.supervised_share(examples, targets_of)
print(f"Found: {repaired_share:.0%} of the targets are supervised, {share:.0%} with the bug")

# %% [markdown]
# ## Bug 3. Two brackets are wrong
#
# The symptom is an x-ray: supervised tokens are in brackets. Which one should not be, and which one
# is missing?

# %%
experiment.x_ray(names, bugs.case_3(len(prompt), len(answer)))

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
# The mask marks tokens, not the positions that predict them. The shift is done in one place only,
# later.
#
# </details>


# %%
def answer_mask(n_prompt, n_answer):
    """Return the mask, a list, of a row of n_prompt prompt tokens and n_answer answer tokens (the
    eos is counted): 1 where a token is supervised."""
    ### BEGIN SOLUTION
    prompt_part = [0] * n_prompt
    answer_part = [1] * n_answer
    return prompt_part + answer_part
    ### END SOLUTION


# %%
checks.answer_mask(answer_mask)
experiment.x_ray(names, answer_mask(len(prompt), len(answer)))

# %% [markdown]
# ## Bug 4. A row that is too long
#
# A row with a long input must fit into the context, so it is truncated. *Predict* what can happen
# to its loss. Here is the mean loss of its supervised tokens:

# %%
head, context, tail = experiment.long_row(tokenizer)
n_left = experiment.answer_left(bugs.case_4, head, context, tail, answer)

# %%
guesses[4] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_4))

# %% [markdown]
# Modeled on *karpathy/nanochat#590*. There a whole micro-batch had no target, and its mean was nan
# (not a number), too.
#
# ### Exercise 16.4: truncate the context only (rebuild, ★★, 4 minutes)
#
# <details><summary>Hint</summary>
#
# How many tokens of the context fit once everything else is in? If that is negative, nothing helps.
#
# </details>


# %%
def fit(head, context, tail, answer, limit):
    """Join head + context + tail + answer in at most `limit` tokens. Only the context is truncated,
    at its end. Returns None if even an empty context leaves too many.

    [1], [2, 3, 4], [5], [6, 7], limit 5 -> [1, 2, 5, 6, 7];  limit 3 -> None"""
    ### BEGIN SOLUTION
    room = limit - len(head) - len(tail) - len(answer)
    if room < 0:
        return None
    return head + context[:room] + tail + answer
    ### END SOLUTION


# %%
checks.fit(fit)
n_fitted = experiment.answer_left(fit, head, context, tail, answer)
print(f"Found: {n_left} answer tokens with the bug, {n_fitted} without it")

# %% [markdown]
# ## Bug 5. The loss depends on the memory you have
#
# The same eight answers, in micro-batches (parts of a batch that fit into memory) of different
# sizes. The loss of the step should be one number. *Predict*: four answers are short and have a
# high loss, four are long and have a low one. With which size is the loss right, and is it too high
# or too low with the others?

# %%
losses = experiment.loss_by_size(bugs.case_5)

# %%
guesses[5] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_5))

# %% [markdown]
# This is the bug of *huggingface/transformers PR#34191*.
#
# ### Exercise 16.5: one loss for any micro-batch (rebuild, ★, 3 minutes)
#
# <details><summary>Hint</summary>
#
# Every supervised token of the step counts alike: sum first, divide once. A micro-batch may have no
# supervised token.
#
# </details>


# %%
def step_loss(parts):
    """Return the mean over all tokens, from the losses of the supervised tokens of every
    micro-batch (1-D tensors, some perhaps empty).

    [tensor([1., 1., 1.]), tensor([5.])] -> 2.0"""
    ### BEGIN SOLUTION
    total = sum(part.sum() for part in parts)
    n_tokens = sum(len(part) for part in parts)
    return total / n_tokens
    ### END SOLUTION


# %%
checks.step_loss(step_loss)
repaired_losses = experiment.loss_by_size(step_loss)
wrong, right = (len({f"{loss:.2f}" for loss in group}) for group in (losses, repaired_losses))
print(f"Found: the same step has {wrong} different losses with the bug, {right} without it")

# %% [markdown]
# ## Bug 6. Good in the evaluation, poor in the chat
#
# The second model of bug 1. Two programs ask it the test questions that have no input. *Predict*:
# where would you look first?

# %%
asked = [row for row in test_rows if not row.turns[0].input]
n_evaluated = experiment.right_with(sound, asked, lambda text: tokenizer.decode(
    lab.prompt_ids(tokenizer, "alpaca", text)))  # fmt: skip
n_chat = experiment.right_with(sound, asked, bugs.case_6)
print(f"of {len(asked)}, right in the evaluation {n_evaluated}, in the chat {n_chat}")

# %%
guesses[6] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_6))

# %% [markdown]
# Modeled on *axolotl-ai-cloud/axolotl#1832*, where an exported template had different spaces from
# the one used in training.
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
    """Return the prompt that the model was tuned with, letter by letter (no input)."""
    ### BEGIN SOLUTION
    header = "### Instruction:\n"
    end = "\n\n### Response:\n"
    return header + instruction + end
    ### END SOLUTION


# %%
checks.prompt_text(prompt_text)
n_repaired_chat = experiment.right_with(sound, asked, prompt_text)
print(f"Found: of {len(asked)}, right in the chat {n_chat} with the bug, {n_repaired_chat} without")

# %% [markdown]
# ## Bug 7. The neighbors in the batch change the answer
#
# A position *attends to* (gathers from) itself and earlier ones (lesson 3). Here is one prompt,
# alone and with padding on its left, as a longer neighbor in the batch would cause. The symptom is
# how far the logits of its last token move. *Predict* that number for a program without a bug.

# %%
move = experiment.moved(sound, prompt, bugs.case_7)
print(f"greatest change of a logit: {move:.5f}")

# %%
guesses[7] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_7))

# %% [markdown]
# Modeled on *huggingface/transformers#25790*: answers in a batch differed from those alone, with
# the eos as padding.
#
# ### Exercise 16.7: a mask for padding on the left (rebuild, ★★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# Causal *and* not padding. Rows of padding would then see nothing, and softmax of nothing is nan,
# so let every position attend to itself.
#
# </details>


# %%
def batch_mask(padding, length):
    """Return a bool mask (B, length, length) for rows with padding[b] tokens of padding on the
    left. It is True where position t (dimension 1) may attend to position s (dimension 2): s <= t
    and s is no padding. Every position attends to itself.

    [1], 3 -> [[[1, 0, 0], [0, 1, 0], [0, 1, 1]]]"""
    ### BEGIN SOLUTION
    at = torch.arange(length)
    causal = at[None, :] <= at[:, None]  # (T, T)
    real = at[None, :] >= torch.tensor(padding)[:, None]  # (B, T)
    itself = torch.eye(length, dtype=torch.bool)
    return causal & real[:, None, :] | itself  # (B, T, T)
    ### END SOLUTION


# %%
checks.batch_mask(batch_mask)
repaired_move = experiment.moved(sound, prompt, batch_mask)
print(f"Found: a logit moves by {move:.5f} with the bug, by {repaired_move:.5f} without it")

# %% [markdown]
# ## Bug 8. A higher rank needs another learning rate
#
# LoRA adds B A, times a factor, to a frozen weight. Its *rank* is the width that B and A share, and
# *alpha* sets the factor (lesson 8). You raise the rank, and the training blows up. Symptom: how
# much the very first step changes the loss, for four ranks and the same learning rate, alpha = 16.
# *Predict*: how should the four numbers differ?

# %%
changes = experiment.first_steps(bugs.case_8)

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
# same sign. Hu et al. (2021) scale the correction by alpha / rank.
#
# </details>


# %%
def correction(B, A, alpha):
    """Return LoRA's correction of the weight, (out, in), from B (out, rank) and A (rank, in). The
    first step must not depend on the rank."""
    ### BEGIN SOLUTION
    rank = A.shape[0]
    scale = alpha / rank
    return scale * B @ A
    ### END SOLUTION


# %%
checks.correction(correction)
repaired_changes = experiment.first_steps(correction)
print(f"Found: the largest rank's first step is {changes[-1] / changes[0]:.0f} times the smallest's"
      f" with the bug, {repaired_changes[-1] / repaired_changes[0]:.1f} times without")  # fmt: skip

# %% [markdown]
# This makes the *first* step equal. Over many steps the ranks can still differ, as lesson 8 shows.
#
# ## Bug 9. Two documents in one row
#
# Short rows are packed one after another to save padding. Symptom: we change the *first* document,
# and measure the logits of the *second*. *Predict* the change in a program without a bug.

# %%
leaked = experiment.leak(sound, prompt, bugs.case_9)
print(f"greatest change of a logit: {leaked:.5f}")

# %%
guesses[9] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_9))

# %% [markdown]
# Modeled on *huggingface/trl#805*, which asks how packed rows are kept apart. There, only an eos
# separates them.
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
    position t may attend to s: s <= t, and both are in the same document.

    [1, 2] -> [[1, 0, 0], [0, 1, 0], [0, 1, 1]]"""
    ### BEGIN SOLUTION
    numbers = torch.arange(len(lengths))
    document = torch.repeat_interleave(numbers, torch.tensor(lengths))  # (T,)
    same = document[:, None] == document[None, :]  # (T, T)
    return same.tril()
    ### END SOLUTION


# %%
checks.packed_mask(packed_mask)
repaired_leak = experiment.leak(sound, prompt, packed_mask)
print(f"Found: a logit moves by {leaked:.5f} with the bug, by {repaired_leak:.5f} without it")

# %% [markdown]
# ## Bug 10. Too good
#
# The "model" below is a dictionary of the tuning prompts. It knows nothing else, and yet it does
# well on the test prompts. *Predict*: what should it score? (`key` makes prompts with the same
# words equal, whatever their spaces, capitals and punctuation.)

# %%
n_known = experiment.dictionary_score(rows, bugs.case_10)

# %%
guesses[10] = ""  # your guess, in one sentence, before you go on

# %%
print(inspect.getsource(bugs.case_10))

# %% [markdown]
# There is no thread for this one, since nobody complains about a good score. Real data repeats its
# prompts, with different spaces or capitals.
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
    keys = sorted({key(text) for text in prompts})
    chosen = set(random.Random(seed).sample(keys, n_test))
    to_tune, to_test = [], []
    for text in prompts:
        side = to_test if key(text) in chosen else to_tune
        side.append(text)
    return to_tune, to_test
    ### END SOLUTION


# %%
checks.split(split)
n_repaired = experiment.dictionary_score(rows, split)
print(f"Found: the dictionary knows {n_known} test prompts with the bug, {n_repaired} without it")

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
# 2. What do the repairs have in common?
#
# <details><summary>Answers</summary>
#
# 1. Perhaps the nan of bug 4 and the blow-up of bug 8. Bugs 6, 7 and 10 are outside the training
#    loop, and a curve of the others may fall as smoothly as a right one.
# 2. Each has an exact statement that a test can check. Supervised tokens are the answer and its
#    eos. The loss is the same for any micro-batch. Alone is the same as in a batch. No test prompt
#    is in the tuning data. Write that statement down as an assertion, and the bug can't hide.
#
# </details>
#
# ## Where this is in the project
#
# 1 `data.py`: `collate`; 2 `shift`; 3 and 4 `encode` and the assertion in `prepare`; 5
# `train_sft.py`: `backward` (`n_supervised`); 6 `data.py`: `Template`, stored in the checkpoint; 7
# `generate.py`: `stream_ids`; 8 `common/lora.py`: `LoRA`; 9 `extras/packing.py`: `collate_packed`;
# 10 `extras/datasets.py`: `load_mixture`.
#
# > **What to remember**
# >
# > - The worst bugs raise no error, and the loss still falls.
# > - Look at one row as the model gets it: ids, mask, targets, and its end.
# > - Turn what must be true into a test: alone as in a batch, one loss for any micro-batch.

# %%
lab.claim(
    "with the eos masked less than half as many answers end where they should",
    ends["first"] < ends["second"] / 2,
)
lab.claim(
    "with another prompt than in tuning less than half as many answers are right",
    n_chat < n_repaired_chat / 2,
)
lab.claim(
    "with a wrong mask one document changes the logits of another, with the right one it does not",
    leaked > 0.01 and repaired_leak < 1e-3,
)
