# %% [markdown]
# # 1. It continues
#
# A language model that has only read text does one thing: it continues. You will train a very small
# one and watch noise become words, then meet the base model of this project, which has read far
# more. What will it do when it is asked for the capital of France? At the end you measure it on
# several hundred facts.
#
# Under a minute of computing on a laptop CPU (2 cores), 40 minutes with the exercises. It needs
# `out/base.pt`, which `python train_sft.py` leaves behind. What you should know before, and five
# objects that all lessons use, stand on half a page: [START.md](START.md).

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson01 as checks

import matplotlib.pyplot as plt
import torch

import world
from common.muon import muon_and_adamw
from common.table import wilson
from data import Row, Turn, corpus_batch, encode_corpus
from generate import Assistant, Sampling, generate
from model import GPT, GPTConfig
from train_sft import adamw, train

base, tokenizer = lab.load_base()
# a model to be asked; no template: it is given raw text
base_assistant = Assistant(
    base, tokenizer, None
)

# %% [markdown]
# ## What it reads
#
# The corpus is text about a tiny true world (the package `world`). Here are four passages. Look
# for a question, and for what comes after it: never its answer.

# %%
corpus = world.build(seed=1, size=0.1).corpus
for passage in corpus[:4]:
    print(repr(passage), end="\n\n")
print("kinds of documents, in percent:", world.PAGES)

# %% [markdown]
# *facts* and *texts* state things, *retold* says of a text what is in it. The rest was put in on
# purpose, because so small a model cannot learn it from whatever is in books: *questions* are
# worksheets without answers, mostly in words in which the model will later be asked (some ask for
# invented things); *stories* name one invented thing again and again, since so small a model copies
# only words that it has once copied; *tales* state something invented twice; *spelling* lessons
# show that a word at the start of a line is the same word. So this base has met many of its
# questions (none of the tasks that are held out of tuning), and not one that was answered.
#
# A model reads no letters. Text is cut into *tokens*, pieces that stand in a list of fixed length,
# the *vocabulary*. Each token is replaced by its position in that list, its *id*. (Lesson 2 makes a
# vocabulary.) The space before a word usually belongs to the word's token.

# %%
ids = tokenizer.encode("The capital of France is Paris.")
print(ids, "of", tokenizer.vocab_size)
print([tokenizer.decode([i]) for i in ids])

# %% [markdown]
# ## What it learns from
#
# Nobody writes labels. At every position the *target* is simply the token that comes next. So all
# passages are put in one long stream of ids (an eos after each), the stream is cut into windows,
# and inputs and targets are the same ids, one position apart:
#
#     stream   10 11 12 13 14 15 16 17 18 19
#     inputs  [10 11 12 13] [14 15 16 17]
#     targets [11 12 13 14] [15 16 17 18]
#
# ### Exercise 1.1: cut the stream into batches (rebuild, ★★, 10 minutes)
#
# Batch 0 is the first `batch_size` windows, batch 1 the windows after those, and so on. After the
# last window comes window 0 again. A window needs one id more than its length, for its last target;
# ids that do not fill a window are left out.
#
# <details><summary>Hint</summary>
# There are (len(stream) - 1) // window windows. Row i of batch `step` is window number (step *
# batch_size + i), modulo that. Collect slices in two lists and end with `torch.stack`.
# </details>


# %%
def read_windows(stream, step, batch_size, window):
    """Cut a stream into inputs and targets, each (batch_size, window).

    arange(10), step 0, batch_size 2, window 4
    -> [[0, 1, 2, 3], [4, 5, 6, 7]], [[1, 2, 3, 4], [5, 6, 7, 8]]"""
    ### BEGIN SOLUTION
    n_windows = (len(stream) - 1) // window
    inputs, targets = [], []
    for i in range(batch_size):
        start = (step * batch_size + i) % n_windows * window
        inputs.append(stream[start : start + window])
        targets.append(stream[start + 1 : start + 1 + window])
    return torch.stack(inputs), torch.stack(targets)
    ### END SOLUTION


# %%
checks.read_windows(read_windows)

# %% [markdown]
# The project's own is `corpus_batch`, and the lesson goes on with it.
#
# ## Noise becomes words
#
# *Predict*: a new model has random weights. What does it write? And what comes first while it
# learns: right words, right sentences, or right facts?
#
# The model below is smaller than the base and reads for seconds only. What you see is sampled:
# every next token is drawn with the probability that the model gives it.

# %%
torch.manual_seed(0)
small = GPT(GPTConfig(tokenizer.vocab_size, n_layer=2, n_head=2, n_embd=64))
for name, model in (("small", small), ("base", base)):
    print(
        f"{name}: {model.config.n_layer} layers, width {model.config.n_embd},"
        f" {sum(p.numel() for p in model.parameters()):,} parameters"
    )
stream = encode_corpus(tokenizer, corpus)
losses = []


def show(step):
    sampling = Sampling(temperature=1, max_new_tokens=18, seed=3)
    text = Assistant(small, tokenizer, None).answers([Row((Turn("The"),))], sampling)
    print(f"step {step:>3}: The{text[0][0]!r:.100}")


def on_step(done, steps, loss, tokens):
    """Show how far training is. The loop calls this after each step."""
    if done % 10 == 1 or done == steps:
        losses.append({"step": done - 1, "loss": loss})
    if done % (steps // 8) == 0:
        show(done)


# %%
steps = 40 if lab.FAST else 240
show(0)
train(
    small, lambda step: corpus_batch(stream, step, 16, 64), steps,
    muon_and_adamw(small, 3e-3, adamw), on_step=on_step,
)

# %% [markdown]
# The loss is -log of the probability that the model gave to the right next token, averaged. A model
# that knows nothing and gives every token the same probability has log V, with V tokens in the
# vocabulary.

# %%
plt.figure(figsize=(7, 3))
plt.plot([entry["step"] for entry in losses], [entry["loss"] for entry in losses])
plt.axhline(
    torch.tensor(tokenizer.vocab_size).log(), ls="--", color="gray",
    label="log V: every token equally likely",
)
plt.xlabel("step"), plt.ylabel("loss (nats a token)"), plt.ylim(bottom=0)
plt.legend(), plt.title("A very small model reads"), plt.tight_layout()
plt.show()

# %% [markdown]
# It begins near the dashed line: random weights know nothing. It falls steeply while the model
# learns which tokens are common at all, then slowly, while it learns what follows what. Read the
# lines above again: words come first, then pieces of sentences. True statements need more reading
# than this.
#
# ## The base model
#
# The base read far more text in the same way. *Predict*: what does it write after each line below?
# Which of them will it answer?

# %%
for line in (
    "What is the capital of France?",
    "Name the home of a dog.",
    "Hello!",
    "The capital of France is",
):
    print(f"{line}\n    -> {lab.ask(base_assistant, line)}\n")

# %% [markdown]
# It goes on with more questions, as the worksheets in the corpus do, or with statements about
# something else. It is not stubborn. It has read questions, and after them came such lines, so this
# *is* the likeliest text.
#
# ### Exercise 1.2: continue, by hand (rebuild, ★★, 10 minutes)
#
# Continuing is a loop. The model gives scores (*logits*) for the next token at every position. Only
# the last position matters: take its best token, append it, go round again.
#
# <details><summary>Hint</summary>
# `model(torch.tensor([ids]))` is (1, T, V). `.argmax().item()` of the last position's row is the
# next id. Work on a copy of the list, return only what is new.
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
            seen.append(logits[0, -1].argmax().item())
    return seen[len(ids) :]
    ### END SOLUTION


# %%
checks.continue_greedily(continue_greedily)
# a passage begins after an eos
prompt = [tokenizer.eos_id] + tokenizer.encode(
    "What is the capital of France?"
)
by_hand = continue_greedily(base, prompt, 12)
((cached, _),) = generate(base, [prompt], tokenizer.eos_id, Sampling(max_new_tokens=12))
print(tokenizer.decode(by_hand), "| the same as the project's:", by_hand[: len(cached)] == cached)

# %% [markdown]
# The project's `generate` does the same in batches, and remembers what it has computed instead of
# reading the whole text again for every token.
#
# ## The knowledge is in there
#
# Instead of one choice, look at the probabilities of the next token after three prompts.
# *Predict* the likeliest one for each. The second and third differ in one word.

# %%
question = "What is the capital of France?"
prompts = [
    "The capital of France is", question + " The capital of France",
    question + " The capital of France is",
]


def likeliest(text, n=5):
    """Return the n likeliest next tokens as text, and their probabilities."""
    with torch.inference_mode():
        logits = base(torch.tensor([[tokenizer.eos_id] + tokenizer.encode(text)]))  # (1, T, V)
        p, best = logits[0, -1].softmax(-1).topk(n)
    return [repr(tokenizer.decode([i])) for i in best.tolist()], p.tolist()


# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 2.8))
for ax, text in zip(axes, prompts):
    words, p = likeliest(text)
    ax.barh(words[::-1], p[::-1])
    ax.set(
        title=text.replace("? ", "?\n") + " ...", xlabel="probability of the next token",
        xlim=(0, 1),
    )
plt.tight_layout()
plt.show()

# %% [markdown]
# Compare the second panel with the third. With the word *is* the base is led into a statement and
# can complete it. So what a question lacks is not the knowledge. It is the step from a question to
# a statement.
#
# ## All facts
#
# One example proves little. Take every fact of the tables that is told with *is* and has one right
# answer, and ask for it in three ways:
#
# 1. complete the statement: `The capital of France is`
# 2. answer the question: `What is the capital of France?`
# 3. both: `What is the capital of France? The capital of France is`
#
# For 1 and 3, right means that the continuation begins with the value. For that you need a rule
# that cannot be fooled.
#
# ### Exercise 1.3: does it begin with the value? (extend, ★, 5 minutes)
#
# " Paris. The teacher" begins with "Paris". " Parisian" does not, nor does " 12." begin with "1".
#
# <details><summary>Hint</summary>
# Cut the space off the left, compare the beginning, then look at the one character after it: it
# must not be a letter or a digit (`str.isalnum`). The value may be all there is.
# </details>


# %%
def completes(continuation, value):
    """Test whether the continuation begins with the value as whole words.

    " Paris. The", "Paris" -> True"""
    ### BEGIN SOLUTION
    text = continuation.lstrip()
    after = text[len(value) : len(value) + 1]
    return text.startswith(value) and not after.isalnum()
    ### END SOLUTION


# %%
checks.completes(completes)

# %% [markdown]
# For 2 there is a strict rule (exactly the statement, then stop) and a lenient one: the statement
# stands *anywhere* in the next 48 tokens. The lenient one matters. No passage of this corpus ends
# right after a statement, so the strict rule would be lost by construction. (For 1 and 3 the lesson
# goes on with its own rule, `begins_with` in `checks/lesson01.py`.)
#
# *Predict* three fractions. Write each, a number between 0 and 1, instead of the dots. The lesson
# keeps it and sets it beside the result.

# %%
lab.predict("1: statements completed", ...)
lab.predict("1: questions answered, lenient", ...)
lab.predict("1: question, then statement", ...)

# %%
facts = [case for case in world.table_facts() if len(case.values) == 1 and not case.task.prefix]
facts = lab.subset(facts, len(facts))


def continuations(prompts, max_new):
    rows = [Row((Turn(prompt, "", ""),)) for prompt in prompts]
    return [text for text, _ in base_assistant.answers(rows, Sampling(max_new_tokens=max_new))]


questions = [f"What is {fact.noun}?" for fact in facts]
starts = [f"{world.upper_first(fact.noun)} is" for fact in facts]
answers = continuations(questions, 48)
completed = [
    checks.begins_with(text, fact.values[0]) for text, fact in zip(continuations(starts, 8), facts)
]
both = continuations([f"{q} {s}" for q, s in zip(questions, starts)], 8)

# %%
shares = {
    "1. statement completed": completed,
    "2. question answered, strict": [
        text.strip() == fact.answer() for text, fact in zip(answers, facts)
    ],
    "2. question answered, lenient": [
        fact.answer().rstrip(".") in text for text, fact in zip(answers, facts)
    ],
    "3. question, then statement": [
        checks.begins_with(text, fact.values[0]) for text, fact in zip(both, facts)
    ],
}
for name, hits in shares.items():
    low, high = wilson(sum(hits), len(facts))
    print(
        f"{name:<30} {sum(hits):>3} of {len(facts)}  {sum(hits) / len(facts):6.1%}  ({low:.0%} to"
        f" {high:.0%})"
    )
print()
lab.compare("1: statements completed", sum(completed) / len(facts))
lab.compare(
    "1: questions answered, lenient", sum(shares["2. question answered, lenient"]) / len(facts)
)
lab.compare("1: question, then statement", sum(shares["3. question, then statement"]) / len(facts))

# %%
kinds = list(dict.fromkeys(fact.task.kind for fact in facts))
columns = [name for name in shares if "strict" not in name]
for offset, name in zip((0.3, 0, -0.3), columns):
    groups = [
        [good for good, fact in zip(shares[name], facts) if fact.task.kind == kind]
        for kind in kinds
    ]
    plt.barh(
        [i + offset for i in range(len(kinds))], [sum(g) / len(g) for g in groups], height=0.27,
        label=name,
    )
labels = [f"{kind} (n = {sum(fact.task.kind == kind for fact in facts)})" for kind in kinds]
plt.yticks(range(len(kinds)), labels), plt.xlim(0, 1), plt.xlabel(
    "fraction of the facts that came out right"
)
plt.legend(loc="upper center", bbox_to_anchor=(0.4, -0.15), ncols=3, fontsize=8)
plt.title("The same facts, by kind of task (no bar: none)")
plt.show()

# %% [markdown]
# Be careful with the meaning of such a zero. These are facts of the tables. Asked about a short
# text that stands beside the question, the base does begin with the right statement now and then;
# the main job's table counts that (*begins right*). And in this corpus no question is followed by
# its answer, so the base had nothing to learn that step from. The web does hold questions with
# answers, and a large base answers some. What is the same at every size: it continues, and you
# steer it by choosing what it continues (GPT-2's report, Radford et al. 2019, did translation and
# summaries that way). After instruction tuning a question is enough.
#
# ## Two questions to think about
#
# 1. Where would you expect the base to know least, and does the picture agree?
# 2. Could you make it answer without any training, by writing the right text before the question?
#
# <details><summary>Answers</summary>
#
# 1. Many expect numbers, which all look alike: see in the picture whether that is so on your base.
#    One that misses hardly any fact shows little of it.
# 2. With a large base, yes: a few questions with answers as a pattern to continue (few-shot
#    prompting, Brown et al. 2020). Try it with this one; the lesson does not promise that so small
#    a model picks it up.
# </details>
#
# ## Where this lives in the project
#
# `world/corpus.py` writes the corpus (`write_corpus`); `data.py` makes the stream and its windows
# (`encode_corpus`, `corpus_batch`); `train_sft.py` pretrains (`pretrain`, `train`); `generate.py`
# continues (`stream_ids`, `generate`), and its column *base, raw prompt* is what you saw here.
#
# Open `out/page.html`, the page of your own run, in a browser: the column *base, raw prompt*
# continues what you type.

# %%
n = len(facts)
lab.claim(
    "the base completes the statement for most facts and answers the same facts' questions almost"
    " never, however leniently they are counted",
    wilson(sum(shares["1. statement completed"]), n)[0] > 0.8
    and wilson(sum(shares["2. question answered, lenient"]), n)[1] < 0.1,
    "a base that has read less completes fewer statements; look at the first and the third line of"
    " the table.",
)
