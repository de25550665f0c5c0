# %% [markdown]
# # 4. The format and the mask
#
# Instruction tuning is the training that you know from lesson 1, with two changes: the text has a
# fixed format, and the loss looks only at the answer. You will build the three small functions
# behind that, look through a batch as with x-rays, and then measure what happens if the mask is
# missing or is one position too far left or right.
#
# A minute and a half of computing on a laptop CPU (2 cores), 40 minutes with the exercises. It
# needs `out/base.pt`, which `python train_sft.py` leaves behind.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson04 as checks

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import world
from common.audit import audit, show_mask
from data import IGNORE, Turn, collate, prepare, render, shift
from generate import Sampling

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()

# %% [markdown]
# ## The format
#
# A model that continues text needs something that says: here the question ends, now an answer
# follows. Any header will do if it is always the same. The headers below are Alpaca's (Taori et al.
# 2023), without Alpaca's opening sentence. `### Input:` stands only where there is a text that the
# question is about.

# %%
short = Turn("Name the capital of Italy.", "", "The capital of Italy is Rome.")
long = Turn("Give the name in the note.", "Ann bought a cup.", "The name in the note is Ann.")
print(*render([long], "alpaca"), sep="\n", end="\n\n")  # pieces of text, and what each one is
prompts = [
    lab.prompt_ids(tokenizer, "alpaca", turn.instruction, turn.input) for turn in (short, long)
]
answers = [tokenizer.encode(turn.output) for turn in (short, long)]
for prompt in prompts:
    print(tokenizer.decode(prompt) + "-" * 40)
print(prompts[0], "+", answers[0], "+ the eos", [tokenizer.eos_id])

# %% [markdown]
# ## The mask
#
# One example is `ids = prompt + answer + [eos]`. Beside it stands the mask: 1 for a token that is
# supervised (the model should say it), 0 for one that it only reads.
#
# ### Exercise 4.1: an example with its mask (rebuild, ★, 5 minutes)
#
# <details><summary>Hint</summary>
# The eos is part of what the model should say: without it, it would never stop. Lists can be added
# and multiplied: `[0] * 3`.
# </details>


# %%
def with_mask(prompt, answer, eos):
    """Join lists of ids and the eos id. Returns (ids, mask), two lists of the same length.

    [5, 6], [7], 9 -> [5, 6, 7, 9], [0, 0, 1, 1]"""
    ### BEGIN SOLUTION
    ids = prompt + answer + [eos]
    return ids, [0] * len(prompt) + [1] * (len(answer) + 1)
    ### END SOLUTION


# %%
checks.with_mask(with_mask)

# %% [markdown]
# ## The shift
#
# The model reads a token and predicts the *next* one. So inputs are all ids but the last, targets
# all but the first, and the mask must move along with the targets. A target that is not supervised
# is replaced by IGNORE (-100), which PyTorch's cross entropy skips.
#
#     ids      5  6  7  9          inputs   5  6  7
#     mask     0  0  1  1          targets  -  7  9
#
# Position 1 reads 6, the *last prompt token*, and predicts 7. So the first supervised position is
# one before the answer.
#
# ### Exercise 4.2: inputs and targets (rebuild, ★★, 10 minutes)
#
# <details><summary>Hint</summary>
# Whether a target is supervised is decided by the mask of *that token*, not by the mask of the
# token being read: zip `ids[1:]` with `mask[1:]`.
# </details>


# %%
def inputs_and_targets(ids, mask):
    """Shift an example. Returns inputs and targets, two lists, one shorter than ids.

    [5, 6, 7, 9], [0, 0, 1, 1] -> [5, 6, 7], [IGNORE, 7, 9]"""
    ### BEGIN SOLUTION
    return ids[:-1], [
        token if supervised else IGNORE for token, supervised in zip(ids[1:], mask[1:])
    ]
    ### END SOLUTION


# %%
checks.inputs_and_targets(inputs_and_targets)

# %% [markdown]
# The project's own is `shift`. Here is the first toy example, position by position:

# %%
examples = [
    (p + a + [tokenizer.eos_id], [0] * len(p) + [1] * (len(a) + 1))
    for p, a in zip(prompts, answers)
]
inputs, targets = shift(*examples[0])
for t, (x, y) in enumerate(zip(inputs, targets)):
    print(
        f"{t:>3}  reads {tokenizer.decode([x])!r:<16} predicts"
        f" {'-' if y == IGNORE else repr(tokenizer.decode([y]))}"
    )

# %% [markdown]
# ## The batch
#
# Examples differ in length, a tensor is a rectangle. Shorter ones are filled up on the right.
# *Predict*: which token should the padding be, and what harm can it do?
#
# ### Exercise 4.3: collate (rebuild, ★★, 10 minutes)
#
# <details><summary>Hint</summary>
# Shift each example first. Start from `torch.full((B, longest), pad)` for inputs and the same with
# IGNORE for targets, and write each row over the beginning.
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
# The toy batch in full. The padding may even be the eos: it stands behind everything, no token
# before it can see it (attention looks back only), and no target names it.

# %%
torch.set_printoptions(linewidth=160)
inputs, targets = collate(examples, tokenizer.eos_id)
print(inputs, targets, sep="\n")

# %% [markdown]
# What does IGNORE do, in numbers? The mean loss with it is the mean over the supervised positions
# alone:

# %%
with torch.inference_mode():
    logits = base(inputs).flatten(0, 1)  # (B * T, V)
flat = targets.flatten()
skipped = F.cross_entropy(logits, flat, ignore_index=IGNORE)
alone = F.cross_entropy(logits[flat != IGNORE], flat[flat != IGNORE])
print(
    f"{skipped:.4f} with IGNORE, {alone:.4f} over {(flat != IGNORE).sum()} of {flat.numel()}"
    " positions"
)

# %% [markdown]
# ## The x-ray
#
# First as text: what is in brackets is supervised. Then twelve examples as a picture. (The project
# puts examples of like length in one batch, which saves most of the padding: `epoch_batches`.)

# %%
tuning, truncated, too_long = prepare(rows, tokenizer, "alpaca", base.config.block_size)
print(show_mask(tokenizer, *tuning[0], color=False), "\n")
print(*audit(rows, tuning, truncated, too_long).lines(), sep="\n")

# %%
batch = tuning[:12]
_, targets = collate(batch, tokenizer.eos_id)
lengths = torch.tensor([len(ids) - 1 for ids, _ in batch])
padding = torch.arange(targets.shape[1]) >= lengths[:, None]
kind = (targets != IGNORE).long() + 2 * padding  # 0 read, 1 supervised, 2 padding
plt.figure(figsize=(8, 3))
plt.imshow(
    kind, cmap=plt.matplotlib.colors.ListedColormap(["lightsteelblue", "seagreen", "whitesmoke"]),
    vmin=0, vmax=2, aspect="auto",
)
for color, label in (
    ("lightsteelblue", "only read"),
    ("seagreen", "supervised"),
    ("whitesmoke", "padding"),
):
    plt.plot([], [], "s", color=color, label=label, markeredgecolor="gray")
plt.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.25)), plt.title(
    "Twelve examples in one batch"
)
plt.xlabel("position"), plt.ylabel("row")
plt.show()

# %% [markdown]
# ## Does it matter?
#
# Four masks for the same examples, all else alike:
#
# - **right**: as above
# - **off**: everything is supervised, the prompt too
# - **late**: one position too far right, so the first answer token is not supervised
# - **early**: one position too far left, so the last prompt token is supervised and the eos is not
#
# The last two are what comes out if the mask is shifted once too often, or not at all, when the
# targets are. (*early* changes two things, and the prompt token hardly matters: nobody asks the
# model to write it. Lesson 5 hides the eos alone.)


# %%
def masked(mask, how):
    """Change a mask: [0, 0, 1, 1] -> off [1, 1, 1, 1], late [0, 0, 0, 1], early [0, 1, 1, 0]."""
    return {
        "right": mask,
        "off": [1] * len(mask),
        "late": [0] + mask[:-1],
        "early": mask[1:] + [0],
    }[how]


for how in ("right", "off", "late", "early"):
    ids, mask = examples[0]
    print(f"{how}:\n{show_mask(tokenizer, ids, masked(mask, how), color=False)}\n")

# %% [markdown]
# Each model is asked questions of the first two held-out splits. Three numbers: the reply *begins*
# with the right statement; it is *exactly* right (the statement, then the end); it *stopped* by
# itself. *Predict* the fraction that is exactly right with each mask, and for *early* also the
# fraction that begins right.

# %%
for how in ("right", "off", "late", "early"):
    lab.predict(f"4: exactly right, mask {how}", ...)
lab.predict("4: begins right, mask early", ...)

# %%
HOW = ("right", "off", "late", "early")
steps = 8 if lab.FAST else 50
questions = lab.subset(splits["unseen_inputs"] + splits["unseen_phrasings"], 120)
replies = {}
for how in HOW:
    variant = [(ids, masked(mask, how)) for ids, mask in tuning]
    for seed in lab.SEEDS:
        assistant = lab.tune(base, tokenizer, rows, seed, steps, examples=variant)
        replies[how, seed] = []
        for row, (text, stopped) in zip(questions, assistant.answers(questions, Sampling())):
            exact = stopped and world.check(row.task, row.turns[0].output, text)
            begins = exact or text.strip().startswith(row.turns[0].output)
            replies[how, seed].append(
                {"begins right": begins, "exactly right": exact, "stopped": stopped}
            )
    print(f"{how:<6} {lab.ask(assistant, 'What is the capital of Spain?')}")

# %%
table = {}
for metric in ("begins right", "exactly right", "stopped"):
    for how in HOW:
        each = [[reply[metric] for reply in replies[how, seed]] for seed in lab.SEEDS]
        mean, low, high = table[how, metric] = lab.bootstrap(each)
        print(
            f"{metric:<14} {how:<6} {mean:6.1%}  ({low:.0%} to {high:.0%})   seeds:"
            f" {[*map(sum, each)]} of {len(questions)}"
        )
print()
for how in HOW:
    lab.compare(f"4: exactly right, mask {how}", table[how, "exactly right"][0])
lab.compare("4: begins right, mask early", table["early", "begins right"][0])
for how in HOW[1:]:
    cost = table["right", "exactly right"][0] - table[how, "exactly right"][0]
    print(f"in this run {how} costs {100 * cost:.0f} points of exactly right answers")

# %%
plt.figure(figsize=(7.5, 3.6))
for offset, metric in ((-0.26, "begins right"), (0, "exactly right"), (0.26, "stopped")):
    mean, low, high = zip(*(table[how, metric] for how in HOW))
    error = [
        [max(0, m - lo) for m, lo in zip(mean, low)],
        [max(0, hi - m) for m, hi in zip(mean, high)],
    ]
    plt.bar([i + offset for i in range(4)], mean, 0.24, yerr=error, capsize=3, label=metric)
plt.xticks(
    range(4), ["right", "off\n(all supervised)", "late\n(first token not)", "early\n(eos not)"]
)
plt.ylim(0, 1.08), plt.xlabel("mask"), plt.ylabel("fraction of held-out questions")
plt.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=3), plt.title(
    "Four masks (95% intervals)"
)
plt.show()

# %% [markdown]
# *Early* was never told to end an answer: compare how it begins and how it ends. One position, and
# no error message.
#
# *Late* leaves one token to the base's habits, the first, and these are to begin a question, or
# with some other word of its corpus. The reply goes on from there. (The line printed above may be a
# right one all the same; the table counts.)
#
# *Off* also learns to write headers. What it costs is printed above; it depends on the base and on
# the number of steps, and the literature goes both ways: Shi et al. (2024, "Instruction Tuning With
# Loss Over Instructions") find that supervising the prompts even helps where long instructions have
# short answers or examples are few; compare with what it cost here. The mask is the cleaner
# contract, and it makes the loss mean what you want to know: how well the model *answers*. (The
# intervals are a bootstrap: seeds and questions are drawn anew, with replacement, a thousand
# times.)
#
# ## Two questions to think about
#
# 1. Training loss with mask *off* is not comparable with that of *right*. Why, and which would you
#    expect to be lower at the end?
# 2. A conversation has several turns. What should the mask of the first answer be while the second
#    is trained?
#
# <details><summary>Answers</summary>
#
# 1. They average over different tokens. Headers are the same in every example and soon cost
#    nothing, which lowers the mean; the things asked about cannot be guessed, which raises it. So
#    one cannot say beforehand, and neither tells which model answers better.
# 2. The project supervises all answers of a conversation at once: every answer and its eos has mask
#    1. Each is seen with exactly what came before it.
# </details>
#
# ## Where this lives in the project
#
# `data.py`: `Template`, `render` (pieces of text), `encode` (ids and mask), `shift` (the one place
# where targets are shifted), `collate`, and `prepare`, which checks every row: what is supervised
# must be the answer and the eos. `common/audit.py`: `show_mask`, `audit`. `python data.py FILE`
# shows the x-ray of your own file.

# %%
lab.claim(
    "with the right mask most held-out questions are answered exactly right",
    table["right", "exactly right"][1] > 0.5,
    "this base may need more steps; look at how often it begins right.",
)
lab.claim(
    "a mask one position too early leaves a model that begins right and almost never ends right",
    table["early", "begins right"][1] > 0.5 and table["early", "exactly right"][2] < 0.1,
    "a base whose corpus often ends after one sentence stops by habit; look at the row 'stopped,"
    " early'.",
)
lab.claim(
    "a mask one position too late costs at least 30 points",
    table["late", "exactly right"][2] < table["right", "exactly right"][1] - 0.3,
    "a base that likes to begin with 'The' gets the first token right by itself; look at what it"
    " says above.",
)
lab.claim(
    "supervising the prompts too costs less than either shift",
    table["off", "exactly right"][1]
    > max(table["late", "exactly right"][2], table["early", "exactly right"][2]),
    "few steps are spread over all tokens; look at the intervals of off and late.",
)
