# %% [markdown]
# # 12. The wrong format
#
# You will tune one model for each prompt template, ask each of them with every template, and see the result as a heat
# map: trained with one, asked with another. Then you make smaller slips, a newline here, a space there, and build the
# tool that finds them.
#
# Under two minutes of computing on a laptop CPU with two cores, about 40 minutes with the exercises. It needs
# `out/base.pt`, which `python train_sft.py` makes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson12 as checks

import matplotlib.pyplot as plt

import world
from data import encode, render
from extras.datasets import TEMPLATES
from extras.table import wilson
from generate import Assistant, Sampling, generate

# %% [markdown]
# ## One question, many dresses
#
# A template says what stands around the parts of a prompt: before the instruction, before the input (if there is
# one), and before the answer. Each family of models has its own. Their special tokens (`<|im_start|>` and so on) are
# ordinary text here. These are the pieces of two of them:

# %%
for name in ("plain", "alpaca"):
    print(name, TEMPLATES[name], "\n")

# %% [markdown]
# Put the pieces together. A template's `{}` is where your text goes. Some templates open with a preamble, and some of
# these have another preamble for prompts with an input.
#
# <details><summary>Hint</summary>
#
# Fill each piece by itself, `piece.format(text)`, and then join them: preamble, instruction, input (only with an
# one), response. If you join first and fill later, a user who writes `{}` breaks your prompt.
#
# </details>
#
# ### Exercise 12.1: the prompt as text (rebuild, 8 minutes)


# %%
def prompt_text(t, instruction, input=""):
    """A Template (of data.py) and one question -> the text of the prompt, up to where the answer begins.

    plain: "Add 1 and 2." -> "Question: Add 1 and 2.\\nAnswer: " """
    ### BEGIN SOLUTION
    opening = (input and t.preamble_with_input) or t.preamble
    context = t.input.format(input) if input else ""
    return opening + t.instruction.format(instruction) + context + t.response
    ### END SOLUTION


# %%
checks.prompt_text(prompt_text)

# %%
names = [name for name in TEMPLATES if not (lab.FAST and name in ("llama3", "alpaca_preamble"))]
for name in names:
    print(f"--- {name}\n{prompt_text(TEMPLATES[name], 'Negate the line.', 'Ann opens the box.')}")

# %% [markdown]
# ## Every pair
#
# Fill a table: one row for each template trained with, one column for each template asked with. `ask` does the
# asking; your part is not to mix up rows and columns, and to leave the models as they were.
#
# <details><summary>Hint</summary>
#
# An `Assistant` holds model, tokenizer and template. Make a new one for each asking,
# `Assistant(bot.model, bot.tokenizer, template)`, and do not write into the old one.
#
# </details>
#
# ### Exercise 12.2: trained with, asked with (extend, 5 minutes)


# %%
def cross(bots, templates, ask):
    """bots: {template trained with: Assistant} -> table; table[i][j] = ask(Assistant of the i-th model, j-th template)

    Rows in the order of `bots`, columns in the order of `templates`."""
    ### BEGIN SOLUTION
    return [[ask(Assistant(bot.model, bot.tokenizer, template)) for template in templates] for bot in bots.values()]
    ### END SOLUTION


# %%
checks.cross(cross)

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()


def fits(row):
    """Is there room for an answer, whatever the template?"""
    longest = max(len(Assistant(base, tokenizer, name).prompt(row.turns)) for name in names)
    return longest <= base.config.block_size - 32


held_out = [row for split in splits.values() for row in split if row.task not in world.RULES and fits(row)]
asked = lab.some(held_out, 32)
for name in names:
    length = len(Assistant(base, tokenizer, name).prompt(asked[0].turns))
    print(f"{name:<16} the first question is {length} tokens long")

# %% [markdown]
# One model for each template, each with its own seed, all with the same number of steps. Every question is held out.
#
# *Predict.* What will the diagonal look like (asked as trained)? And the rest? Which strangers will understand each
# other?

# %%
STEPS = 4 if lab.FAST else 40
bots = {name: lab.tune(base, tokenizer, rows, i, STEPS, batch=16, template=name) for i, name in enumerate(names)}

# %%
marks = cross(bots, names, lambda bot: lab.marks(bot, asked, max_new=32))
table = [[sum(some) / len(some) for some in line] for line in marks]

# %%
figure, ax = plt.subplots(figsize=(8, 6.5))
image = ax.imshow(table, vmin=0, vmax=1, cmap="viridis")
ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
ax.set_yticks(range(len(names)), names)
ax.set_xlabel("asked with")
ax.set_ylabel("trained with")
for i, line in enumerate(table):
    for j, share in enumerate(line):
        ax.text(j, i, f"{100 * share:.0f}", ha="center", va="center", color="black" if share > 0.6 else "white")
ax.set_title(f"right of {len(asked)} held-out questions, in %")
figure.colorbar(image, ax=ax, fraction=0.04)
figure.tight_layout()
plt.show()

# %% [markdown]
# Read it in four steps. The diagonal first: asked as trained. What is missing *there* is no matter of a wrong format but
# of the few steps of this lesson. (Each row is one run, and 32 questions are few: do not rank neighbours.)
#
# Then pairs that understand each other fully. `llama2` and `mistral` are the same text as long as nobody gives a
# system prompt. Others are alike where it matters: shortly before the answer.
#
# Then look for dark columns, and for pairs that work in one direction only. Compare the *last character* of the
# templates, printed above. Some end in a newline, some in a space. In this tokenizer words carry the space before
# them, so a lone space hardly ever stands before a word. Count:

# %%
prose = [token for text in world.build(1000, size=0.02).corpus for token in tokenizer.encode(text)]
for character in ("\n", " "):
    (token,) = tokenizer.encode(character)
    enders = [name for name in names if TEMPLATES[name].response.endswith(character)]
    print(f"{character!r} as a token: {prose.count(token)} times in {len(prose):,} tokens of prose; it ends {enders}")

# %% [markdown]
# Only a model that was tuned on the lone space knows what comes after it (and not always: look at `llama2`
# asked with `plain`); a newline, everybody has seen. What a stranger says, looks like this:

# %%
worst = min((share, i, j) for i, line in enumerate(table) for j, share in enumerate(line) if i != j)
bot = bots[names[worst[1]]]
stranger = Assistant(bot.model, tokenizer, names[worst[2]])
print(f"trained with {bot.template}, asked with {stranger.template}:")
for row in asked[:4]:
    instruction, context, output = row.turns[0]
    print(f"  {instruction} {context}\n    {lab.ask(stranger, instruction, context, 24)!r}")

# %% [markdown]
# ## Small slips
#
# Nobody asks a Llama with an Alpaca prompt for long; it is noticed. What goes unnoticed is small: a newline lost by
# `strip()`, a space after the header, a header written twice, once by the template and once by the code around it.
#
# *Predict.* Which of these slips hurts?

# %%
trained = bots["alpaca"]
slips = {
    "as trained": lambda ids: ids,
    "last newline lost": lambda ids: ids[:-1],
    "a space at the end": lambda ids: ids + tokenizer.encode(" "),
    "a newline more": lambda ids: ids + tokenizer.encode("\n"),
    "no header before the answer": lambda ids: ids[: -len(tokenizer.encode(TEMPLATES["alpaca"].response))],
    "header twice": lambda ids: ids + tokenizer.encode(TEMPLATES["alpaca"].response),
}
questions = lab.some(held_out, 120)
slipped = {}
for name, slip in slips.items():
    prompts = [slip(trained.prompt(row.turns)) for row in questions]
    answers = generate(trained.model, prompts, tokenizer.eos_id, Sampling(max_new_tokens=32))
    right = sum(world.check(row.task, row.turns[0].output, tokenizer.decode(ids)) and stopped
                for row, (ids, stopped) in zip(questions, answers))
    slipped[name] = (right / len(questions), *wilson(right, len(questions)))
    print(f"{name:<28} {slipped[name][0]:6.1%}   95 %: {slipped[name][1]:.0%} to {slipped[name][2]:.0%}")

# %% [markdown]
# A header that is missing or stands there twice costs little. One character at the very end costs everything, whether it
# is one too many (the space) or one too few (the newline). What counts is the last token before the answer: from there
# the model was tuned to begin, and it has never begun an answer anywhere else. Another newline is the same token once
# more.
#
# ## The tool that finds it
#
# Reading two prompts side by side finds few of these slips; comparing *ids* finds all. Take a training example, the
# prompt that is really sent for the same question, and look for the first place where they part.
#
# <details><summary>Hint</summary>
#
# The prompt of an example is what stands before its first learned token: `ids[: mask.index(1)]`. Walk along both
# lists. If one is the beginning of the other, they part where the shorter one ends.
#
# </details>
#
# ### Exercise 12.3: where do they part? (extend, 8 minutes)


# %%
def first_difference(ids, mask, prompt):
    """An example (ids, mask) and the ids that are sent -> the first position where its prompt and they differ, or None.

    ids [5, 6, 7, 8], mask [0, 0, 1, 1]; prompt [5, 6] -> None, [5, 9] -> 1, [5] -> 1, [5, 6, 4] -> 2"""
    ### BEGIN SOLUTION
    expected = ids[: mask.index(1)]
    for i, (one, other) in enumerate(zip(expected, prompt)):
        if one != other:
            return i
    return None if len(expected) == len(prompt) else min(len(expected), len(prompt))
    ### END SOLUTION


# %%
checks.first_difference(first_difference)

# %%
example = asked[0]
ids, mask, _ = encode(render(example.turns, "alpaca"), tokenizer, base.config.block_size)
for name, slip in slips.items():
    sent = slip(trained.prompt(example.turns))
    at = first_difference(ids, mask, sent)
    print(f"{name:<28}", "the same" if at is None else f"parts at {at}: ...{tokenizer.decode(sent[:at])[-24:]!r} then "
          f"{tokenizer.decode(sent[at : at + 1])!r}, trained with {tokenizer.decode(ids[at : at + 1])!r}")

# %% [markdown]
# ## Questions to think about
#
# 1. Why does the project store the template's name in the checkpoint (`out/tuned.pt`) and give `generate.py` no flag
#    for it?
#
# <details><summary>Answer</summary>
#
# The template is a part of the model, as its vocabulary is. What has one right value should not be asked for, or
# somebody will give another.
#
# </details>
#
# 2. Could one tune on all templates at once? What would be gained and lost?
#
# <details><summary>Answer</summary>
#
# The model would then answer in every format it saw, and probably in similar ones. Each format gets fewer steps, and
# it becomes harder to tell a conversation's parts apart, which matters for safety when a user writes headers into a
# question.
#
# </details>
#
# ## Where this lives in the project
#
# `data.py`: `Template`, `render()`, the one function that both training and asking call. `generate.py`:
# `Assistant.prompt()` and `load_assistant()`, which takes the template from the checkpoint.

# %%
n = len(names)
diagonal = [marks[i][i] for i in range(n)]
texts = [prompt_text(TEMPLATES[name], "x", "y") for name in names]
others = [marks[i][j] for i in range(n) for j in range(n) if texts[i] != texts[j]]
same, other = lab.bootstrap(diagonal), lab.bootstrap(others)
print(f"asked as trained {same[0]:.1%} ({same[1]:.0%} to {same[2]:.0%}), "
      f"with another template {other[0]:.1%} ({other[1]:.0%} to {other[2]:.0%})")
lab.claim("asked with another template than it was trained with, a model answers worse", other[2] < same[1])
space, right = slipped["a space at the end"], slipped["as trained"]
lab.claim("one space too many at the end of the prompt costs most of the right answers", space[2] < right[1] / 2)
