# %% [markdown]
# # 4. The format and the mask
#
# *Instruction tuning* is the training that you know from lesson 1, *supervised* by pairs of an
# instruction and its answer (SFT, supervised fine-tuning). It turns a *base model* into an
# *instruct model*. Two things change. The text has a fixed format, and the loss looks only at the
# answer. You build the small functions behind that, then measure what happens when the mask is
# missing or one position off.
#
# *12 minutes of reading, 30 of exercises, 2 of computing.*

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
import torch
import torch.nn.functional as F
from checks import lesson04 as checks
from common.audit import audit, show_mask
from data import IGNORE, Turn, collate, prepare, render, shift
from experiments import lesson04

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()

# %% [markdown]
# ## The format
#
# A model that continues text needs a sign that the question ends here and an answer follows. Any
# header will do if it is always the same. The text around question and answer is a *template*. For
# conversations it is called a *chat template*, and it may begin with a *system prompt*, an
# instruction for the whole conversation (lesson 12). The headers below are Alpaca's (Taori et al.
# 2023), without Alpaca's opening sentence. `### Input:` appears only if the question is about a
# text.

# %%
short = Turn("Name the capital of Italy.", "", "The capital of Italy is Rome.")
long = Turn("Give the name in the note.", "Ann bought a cup.", "The name in the note is Ann.")
print(*render([long], "alpaca"), sep="\n", end="\n\n")  # pieces of text, and what each one is

prompts = [lab.prompt_ids(tokenizer, "alpaca", *turn[:2]) for turn in (short, long)]
answers = [tokenizer.encode(turn.output) for turn in (short, long)]
print(tokenizer.decode(prompts[1]) + "-" * 40)
print(prompts[0], "+", answers[0], "+ the eos", [tokenizer.eos_id])

# %% [markdown]
# ## The mask
#
# One example is `ids = prompt + answer + [eos]`. The *eos* (end of sequence) is a token of its own:
# a model stops by predicting it. Beside the ids is the mask: 1 for a token that is supervised, so
# that the model learns to output it, and 0 for a token that it only reads.
#
# ### Exercise 4.1: an example with its mask (rebuild, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# The eos is supervised too, or the model would never stop. Lists can be added and multiplied: `[0]
# * 3`.
#
# </details>


# %%
def with_mask(prompt, answer, eos):
    """Join lists of ids and the eos id. Returns (ids, mask), two lists of the same length.

    [5, 6], [7], 9 -> [5, 6, 7, 9], [0, 0, 1, 1]"""
    ### BEGIN SOLUTION
    ids = prompt + answer + [eos]
    mask = [0] * len(prompt) + [1] * (len(answer) + 1)
    return ids, mask
    ### END SOLUTION


# %%
checks.with_mask(with_mask)

# %% [markdown]
# ## The shift
#
# The model reads a token and predicts the *next* one. So the inputs are all ids but the last, the
# targets all but the first, and the mask must move along with the targets. A target that is not
# supervised is replaced by IGNORE (-100), which PyTorch's cross entropy skips.

# %%
lesson04.draw_shift(tokenizer, prompts[0], answers[0])

# %% [markdown]
# The last prompt token predicts the first answer token. So the first supervised *position* is one
# before the answer.
#
# ### Exercise 4.2: inputs and targets (rebuild, ★★, 10 minutes)
#
# <details><summary>Hint</summary>
#
# The mask of a *target* decides whether it is supervised, not the mask of the token being read: zip
# `ids[1:]` with `mask[1:]`.
#
# </details>


# %%
def inputs_and_targets(ids, mask):
    """Shift an example. Returns inputs and targets, two lists, one shorter than ids.

    [5, 6, 7, 9], [0, 0, 1, 1] -> [5, 6, 7], [IGNORE, 7, 9]"""
    ### BEGIN SOLUTION
    inputs = ids[:-1]
    targets = []
    for token, supervised in zip(ids[1:], mask[1:]):
        targets.append(token if supervised else IGNORE)
    return inputs, targets
    ### END SOLUTION


# %%
checks.inputs_and_targets(inputs_and_targets)

# %% [markdown]
# ## The batch
#
# Examples differ in length, and a tensor is a rectangle. Shorter examples are padded on the right.
# (Examples longer than the context are *truncated*: the input is cut, never the answer.) *Predict*:
# which token should the padding be, and what harm can it do?
#
# ### Exercise 4.3: collate (rebuild, ★★, 10 minutes)
#
# <details><summary>Hint</summary>
#
# Shift each example first. Start from `torch.full((B, longest), pad)` for inputs and the same with
# IGNORE for targets, and copy each shifted example into the beginning of its row.
#
# </details>


# %%
def batch_of(examples, pad):
    """Collate [(ids, mask), ...]. Returns inputs and targets, each a tensor (B, T), where T is the
    length of the longest inputs. Pads on the right: `pad` in inputs, IGNORE in targets."""
    ### BEGIN SOLUTION
    shifted = [shift(ids, mask) for ids, mask in examples]
    longest = max(len(inputs) for inputs, _ in shifted)
    inputs = torch.full((len(examples), longest), pad)
    targets = torch.full((len(examples), longest), IGNORE)
    for i, (x, y) in enumerate(shifted):
        inputs[i, : len(x)] = torch.tensor(x)
        targets[i, : len(y)] = torch.tensor(y)
    return inputs, targets
    ### END SOLUTION


# %%
checks.batch_of(batch_of)

# %% [markdown]
# The padding may even be the eos. It comes last, and *attention*, by which a token reads others,
# only looks back. So no token sees it, and it is never a target. With IGNORE the mean loss is the
# mean over the supervised positions alone:

# %%
examples = [with_mask(p, a, tokenizer.eos_id) for p, a in zip(prompts, answers)]
inputs, targets = collate(examples, tokenizer.eos_id)  # the project's own
with torch.inference_mode():
    logits = base(inputs).flatten(0, 1)  # (B * T, V)
flat = targets.flatten()
skipped = F.cross_entropy(logits, flat, ignore_index=IGNORE)
alone = F.cross_entropy(logits[flat != IGNORE], flat[flat != IGNORE])
print(f"mean loss: {skipped:.4f} with IGNORE, {alone:.4f} over the"
      f" {(flat != IGNORE).sum()} supervised of {flat.numel()} positions")

# %% [markdown]
# ## The x-ray
#
# First we print one example as text, with supervised tokens in brackets. Then we draw twelve as a
# picture. The project puts examples of similar length in one batch, which saves most of the
# padding.

# %%
tuning, truncated, too_long = prepare(rows, tokenizer, "alpaca", base.config.block_size)
print(show_mask(tokenizer, *tuning[0], color=False), "\n")
print(*audit(rows, tuning, truncated, too_long).lines(), sep="\n")
lesson04.draw_batch(tuning[:12], tokenizer.eos_id)

# %% [markdown]
# ## Does it matter?
#
# Four masks for the same examples, all else equal. *Right* is the mask you built. *Off* supervises
# the prompt too. *Late* is one position too far right, so the first answer token is not supervised.
# *Early* is one position too far left, so the last prompt token is supervised and the eos is not.
# The last two happen if the mask is shifted once too often, or isn't shifted along with the
# targets.
#
# ### Exercise 4.4: three wrong masks (extend, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# Add a 0 at one end and drop one number at the other. The length stays the same.
#
# </details>


# %%
def masked(mask, how):
    """Change a mask. Returns a new list of the same length, where the gap is filled with 0.

    [0, 0, 1, 1] -> right [0, 0, 1, 1], off [1, 1, 1, 1], late [0, 0, 0, 1], early [0, 1, 1, 0]"""
    ### BEGIN SOLUTION
    if how == "off":
        return [1] * len(mask)
    if how == "late":
        return [0] + mask[:-1]
    if how == "early":
        return mask[1:] + [0]
    return list(mask)
    ### END SOLUTION


# %%
checks.masked(masked)
lesson04.show_masks(tokenizer, examples[0], masked)

# %% [markdown]
# Each model is asked *held-out* questions, which are in no pair. We count how often the reply
# *begins* with the right statement, how often it is *exactly* right (the statement, then the eos),
# and how often it *stopped* by itself. *Predict* the fraction that is exactly right with each mask,
# and for *early* also the fraction that begins right.

# %%
for how in lesson04.MASKS:
    lab.predict(f"4: exactly right, mask {how}", ...)
lab.predict("4: begins right, mask early", ...)

# %%
questions = lab.subset(splits["unseen_inputs"] + splits["unseen_phrasings"], 120)
flags, replies = lesson04.run_masks(base, tokenizer, rows, tuning, questions, masked)
table = lesson04.show_table(flags)

# %%
for how in lesson04.MASKS:
    lab.compare(f"4: exactly right, mask {how}", table[how, "exactly right"][0])
lab.compare("4: begins right, mask early", table["early", "begins right"][0])
lesson04.findings(flags, questions, replies)

# %% [markdown]
# The intervals come from a *bootstrap*: seeds and questions are drawn again, with replacement, a
# thousand times, and 95% of the means are inside the interval. Where all replies score the same,
# its width is that of Wilson's interval (lesson 7).
#
# One position off, and no error message. *Early* never supervised the eos, so it stops only where
# the base does by habit. *Late* never trained the first answer token, so there the base's habits
# decide, and the rest of the reply follows from it. If this base likes to begin with the right word
# anyway, late costs little. A base with another habit is ruined. The lines above say which kind
# yours is.
#
# *Off* also learns to write questions and headers. Whether that costs much depends on the data. Shi
# et al. (2024, "Instruction Tuning With Loss Over Instructions") found that it even helps where
# long instructions have short answers, or where examples are few. The mask is the cleaner choice:
# with it, the loss measures only how well the model *answers*.
#
# **Read ten errors** of a model tuned with the mask *late*. Sort them, and write two sentences.

# %%
lesson04.show_errors(questions, replies["late"])

# %% [markdown]
# <details><summary>A model answer</summary>
#
# "I sorted the replies by how they begin: with the right word, with another word, or not at all,
# because the eos came first. The mask can be at fault only in the last two kinds, because only the
# first token was never trained." Count the kinds in your run.
#
# </details>
#
# > **What to remember**
# >
# > - An example is prompt + answer + eos. The mask is 1 exactly on the answer and the eos.
# > - The mask moves with the targets. One position off can ruin a model, without an error message.
# > - Look at the mask of real rows before you train.
#
# ## Two questions
#
# 1. The training loss with mask *off* cannot be compared with that of *right*. Why, and which is
#    lower at the end?
# 2. A conversation has several turns. What should the mask of the first answer be while the second
#    is trained?
#
# <details><summary>Answers</summary>
#
# 1. They average over different tokens. Headers are the same in every example and soon cost
#    nothing, which lowers the mean. What a question asks about cannot be guessed, which raises it.
#    So you cannot say beforehand, and neither loss tells which model answers better.
# 2. The project supervises all answers of a conversation at once: every answer and its eos has mask
#    1. Each answer is predicted from exactly what came before it.
#
# </details>
#
# ## Where this lives in the project
#
# `data.py`: `Template`, `render` (pieces of text), `encode` (ids and mask), `shift` (the only
# shift), `collate`, and `prepare`, which checks that every row supervises the answer and the eos.
# `common/audit.py`: `show_mask`, `audit`. `python data.py FILE` shows the x-ray of your own file.
# The measuring code is in `lessons/experiments/lesson04.py`.

# %%
lab.claim(
    "with the right mask most held-out questions are answered exactly right",
    table["right", "exactly right"][1] > 0.5,
    "this base may need more steps; look at how often it begins right.",
)
lab.claim(
    "a mask one position too early leaves a model that begins right and almost never ends right",
    table["early", "begins right"][1] > 0.4 and table["early", "exactly right"][2] < 0.2,
    "a base whose documents often end after one sentence stops by habit; see 'stopped, early'.",
)
lab.claim(
    "supervising the prompts too costs less than a mask one position too early",
    table["off", "exactly right"][1] > table["early", "exactly right"][2],
    "few steps are spread over all tokens; look at the intervals of off and early.",
)
