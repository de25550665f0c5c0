# %% [markdown]
# # 1. It continues
#
# A language model that has only read text does one thing: it continues. You train a very small one
# and watch noise become words. Then you meet the base model of this project, which has read far
# more. What does it do when you ask it for the capital of France? At the end you test that on
# several hundred facts.
#
# *15 minutes of reading, 25 of exercises, half a minute of computing on one core. Needs
# `out/base.pt` from `python train_sft.py`. [START.md](START.md) says, on half a page, what you
# should know first.*

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson01 as checks
from experiments import lesson01 as experiments

import torch

import world
from common.table import wilson
from data import encode_corpus
from generate import Assistant, Sampling, generate

base, tokenizer = lab.load_base()
base_assistant = Assistant(base, tokenizer, None)  # without a template: it reads raw text

# %% [markdown]
# ## What it reads
#
# The *corpus* is the text that a model is trained on. Ours describes a tiny, true world (the
# package `world`). It has pages of facts, short texts with statements about them (*texts*,
# *retold*), worksheets (*questions*), small stories about invented things (*stories*, *tales*), and
# spelling exercises. Here are four pages.

# %%
corpus = world.build(seed=1, size=0.1).corpus
for page in corpus[:4]:
    print(repr(page), end="\n\n")
print("kinds of pages, in percent:", world.PAGES)

# %% [markdown]
# Two things were done on purpose, because so small a model learns nothing useful from ordinary
# books. The worksheets contain many of the questions that you will ask later, but none of the kinds
# that are held out of tuning. And the base has never seen any question followed by its answer.
#
# A model doesn't read letters. Text is cut into *tokens*, pieces from a fixed list, the
# *vocabulary*. Each token is replaced by its number in that list, its *id*. (Lesson 2 makes a
# vocabulary.) The space before a word usually belongs to the word's token.

# %%
ids = tokenizer.encode("The capital of France is Paris.")
print(ids, "of", tokenizer.vocab_size)
print([tokenizer.decode([i]) for i in ids])

# %% [markdown]
# ## What it learns from
#
# Pretraining needs no labels. At every position the *target* is simply the next token. So all pages
# become one long stream of ids, with an *eos* (end of sequence) after each page. The stream is cut
# into windows, and inputs and targets are the same ids, one position apart:
#
#     stream   10 11 12 13 14 15 16 17 18 19
#     inputs  [10 11 12 13] [14 15 16 17]
#     targets [11 12 13 14] [15 16 17 18]
#
# ### Exercise 1.1: cut the stream into batches (rebuild, ★★, 10 minutes)
#
# A *batch* is the set of rows that the model sees in one step. Batch 0 is the first `batch_size`
# windows, batch 1 the next ones, and so on. After the last window comes window 0 again. A window
# needs one id more than its length, for its last target. Ids that don't fill a window are left out.
#
# <details><summary>Hint</summary>
#
# There are (len(stream) - 1) // window windows. Row i of batch `step` is window number (step *
# batch_size + i), modulo that number of windows. Collect slices in two lists and end with
# `torch.stack`.
#
# </details>


# %%
def read_windows(stream, step, batch_size, window):
    """Cut a stream into inputs and targets, each (batch_size, window).

    arange(10), step 0, batch_size 2, window 4
    -> [[0, 1, 2, 3], [4, 5, 6, 7]], [[1, 2, 3, 4], [5, 6, 7, 8]]"""
    ### BEGIN SOLUTION
    n_windows = (len(stream) - 1) // window
    inputs = []
    targets = []
    for i in range(batch_size):
        start = (step * batch_size + i) % n_windows * window
        inputs.append(stream[start : start + window])
        targets.append(stream[start + 1 : start + 1 + window])
    return torch.stack(inputs), torch.stack(targets)
    ### END SOLUTION


# %%
checks.read_windows(read_windows)

# %% [markdown]
# ## Noise becomes words
#
# *Predict*: a new model has random weights. What does it write? And what comes first while it
# learns: right words, right sentences, or right facts? The model below is smaller than the base and
# reads for a few seconds. Every next token is drawn with the probability that the model gives it.

# %%
small = experiments.small_model(tokenizer)
for name, model in (("small", small), ("base", base)):
    print(f"{name}: {sum(p.numel() for p in model.parameters()):,} parameters")
stream = encode_corpus(tokenizer, corpus)
losses = experiments.read_and_show(small, tokenizer, stream, 40 if lab.FAST else 240)
experiments.plot_losses(losses, tokenizer.vocab_size)

# %% [markdown]
# The *loss* is -log of the probability that the model gave to the right next token, averaged. Its
# unit is the *nat*. A model that knows nothing gives all V tokens of the vocabulary the same
# probability and has the loss log V, the dashed line. The loss falls steeply while the model learns
# which tokens are common, then slowly, while it learns which token follows which. The lines above
# show the same order: first words, then pieces of sentences. True statements need far more reading.
#
# ## The base model
#
# The base read more text in the same way. *Predict*: which of these lines will it answer?

# %%
lines = (
    "What is the capital of France?", "Name the home of a dog.",
    "How many legs does a horse have?", "The capital of France is",
)
for line in lines:
    print(f"{line}\n    -> {lab.ask(base_assistant, line, max_new=32)}\n")

# %% [markdown]
# After a question the base writes more lines of the same kind, or some statement. It is not
# stubborn. In all that it has read, such lines came after a question, so this *is* the likeliest
# text. The last line is not a question, and completing it is what the base does best.
#
# ### Exercise 1.2: continue, by hand (rebuild, ★★, 10 minutes)
#
# Continuing is a loop. The model gives scores (*logits*) for the next token at every position. Only
# the last position matters: take its best token, append it, repeat. This is *greedy* decoding.
#
# <details><summary>Hint</summary>
#
# `model(torch.tensor([ids]))` is (1, T, V). `.argmax().item()` of the last position's row is the
# next id. Work on a copy of the list and return only the new ids.
#
# </details>


# %%
def continue_greedily(model, ids, n):
    """Continue `ids` (a list). Returns the list of the n new ids, each the model's likeliest after
    all ids before it."""
    ### BEGIN SOLUTION
    seen = list(ids)
    with torch.inference_mode():
        for _ in range(n):
            logits = model(torch.tensor([seen]))  # (1, T, V)
            best = logits[0, -1].argmax().item()
            seen.append(best)
    return seen[len(ids) :]
    ### END SOLUTION


# %%
checks.continue_greedily(continue_greedily)
prompt = [tokenizer.eos_id] + tokenizer.encode("What is the capital of France?")
by_hand = continue_greedily(base, prompt, 12)
((cached, _),) = generate(base, [prompt], tokenizer.eos_id, Sampling(max_new_tokens=12))
print(tokenizer.decode(by_hand), "| the same as the project's:", by_hand[: len(cached)] == cached)

# %% [markdown]
# The project's `generate` works in batches, and stores what it has computed, so that it need not
# read the whole text again for every token.
#
# ## The knowledge is there
#
# Instead of the one token it chose, we now plot the probabilities of the next token after three
# prompts. The second and third differ by one word. *Predict* the likeliest token after each.

# %%
question = "What is the capital of France?"
prompts = [
    "The capital of France is", f"{question} The capital of France",
    f"{question} The capital of France is",
]
experiments.plot_next_tokens(base, tokenizer, prompts)

# %% [markdown]
# The word *is* leads the base into a statement, and it can complete one. So after a bare question
# the base doesn't lack knowledge. It lacks the step from a question to a statement.
#
# ## All facts
#
# One example proves little. So we take every fact in the world's tables that is stated with *is*
# and has one right answer, and ask for it in three ways:
#
# 1. complete the statement: `The capital of France is`
# 2. answer the question: `What is the capital of France?`
# 3. both: `What is the capital of France? The capital of France is`
#
# In 1 and 3 a continuation is right if it begins with the value.
#
# ### Exercise 1.3: does it begin with the value? (extend, ★, 5 minutes)
#
# " Paris. The teacher" begins with "Paris". " Parisian" does not, nor does " 12." begin with "1".
#
# <details><summary>Hint</summary>
#
# Strip the space on the left, compare the beginning, then test the one character after it: it must
# not be a letter or a digit (`str.isalnum`). The value may be the whole text.
#
# </details>


# %%
def completes(continuation, value):
    """Test whether the continuation begins with the value as whole words.

    " Paris. The", "Paris" -> True"""
    ### BEGIN SOLUTION
    text = continuation.lstrip()
    if not text.startswith(value):
        return False
    after = text[len(value) : len(value) + 1]
    return not after.isalnum()
    ### END SOLUTION


# %%
checks.completes(completes)

# %% [markdown]
# For way 2 there are two rules: *strict* (the statement and nothing else) and *anywhere* (the
# statement is somewhere in the next 48 tokens). We need the second one, because no page of this
# corpus ends right after a statement of a fact. So the base cannot pass the strict test, whatever
# it knows.
#
# *Predict* three shares. Replace the dots with a number between 0 and 1. The lesson prints your
# guess beside the result.

# %%
lab.predict("1: statements completed", ...)
lab.predict("1: questions answered, anywhere", ...)
lab.predict("1: question, then statement", ...)

# %%
facts = experiments.table_facts()
right = experiments.ask_facts(base_assistant, facts)
statement, _, anywhere, both = experiments.describe_ways(right)
lab.compare("1: statements completed", statement)
lab.compare("1: questions answered, anywhere", anywhere)
lab.compare("1: question, then statement", both)

# %% [markdown]
# The numbers in brackets are 95% *intervals*: the true shares that fit a result on so many
# questions (lesson 7).
#
# Be careful with a zero. It says that the base doesn't answer, not that it doesn't know. And it
# says so only for *this* corpus, where no question is followed by its answer. The web has many
# questions with answers, and a large base answers some. But a base of any size continues, and you
# steer it by choosing the text that comes first. GPT-2 translated and summarized that way (Radford
# et al. 2019). After instruction tuning a question is enough.
#
# ## Read ten errors
#
# Here are facts that the base does not complete. Sort them into kinds, and write two sentences on
# what so small a model finds hard.

# %%
experiments.print_missed(base_assistant, facts, right)

# %% [markdown]
# <details><summary>What you may have written</summary>
#
# "Some wrong values belong to the right thing and state something else about it. Others are of the
# right kind and belong to something else, mostly where many facts look alike. So the model has
# learned which words go together, and confuses some of the facts that share them."
#
# </details>
#
# ## A question to think about
#
# Could you make the base answer without any training, by writing the right text before the
# question?
#
# <details><summary>Answer</summary>
#
# With a large base, yes: a few questions with answers are a pattern to continue (*few-shot*
# prompting, Brown et al. 2020). Lesson 7 tries it with this one.
# </details>
#
# > **What to remember**
# >
# > * A base model continues with the likeliest text. After a question that may be another question.
# > * It completes most facts that it doesn't answer. The knowledge is there. Only the step from a
# >   question to a statement is missing.
# > * Pretraining needs no labels: the target is the next token.
#
# ## In the project
#
# `world/corpus.py` writes the corpus. `data.py` makes the stream and its windows (`encode_corpus`,
# `corpus_batch`). `train_sft.py` pretrains (`pretrain`, `train`). `generate.py` continues
# (`stream_ids`, `generate`). In `out/page.html`, the page of your own run, the column *base raw*
# shows what you saw here.

# %%
n = len(facts)
completed, _ = wilson(sum(right["1. statement"]), n)
_, answered = wilson(sum(right["2. question, anywhere"]), n)
lab.claim(
    f"a base completes the statement of most facts ({completed:.0%} or more) and answers their"
    f" questions almost never ({answered:.0%} or less), even if the statement may be anywhere",
    completed > 0.8 and answered < 0.1,
)
