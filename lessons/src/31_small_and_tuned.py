# %% [markdown]
# # 31. Small and tuned beats big and untuned
#
# You will pretrain a model of less than a third of the base's size, tune it, and ask it the held-out questions. The
# big untuned base answers the same ones with the best few-shot prompt of five forms.
#
# About 2 minutes of computing on a laptop CPU (2 cores), 25 minutes of yours. Needs `out/base.pt`, which
# `python train_sft.py` writes.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson31 as checks

import random
import re

import matplotlib.pyplot as plt
import torch

import world
from data import Row, Turn, encode_corpus
from extras import flags
from extras.checkpoint import load_checkpoint
from extras.optim import muon_and_adamw
from extras.table import wilson
from generate import Assistant, Sampling, generate
from model import GPT, GPTConfig
from train_sft import WORLD_TOKENS, adamw, pretrain

# %% [markdown]
# ## The finding
#
# FLAN-T5 (Chung et al., 2022) is tuned on very many tasks; its versions of a few billion parameters did better on several
# benchmarks than untuned models many times their size. InstructGPT (Ouyang et al., 2022) found that people preferred the
# answers of a tuned model with 1.3 billion parameters to those of the untuned GPT-3 with 175 billion.
#
# Such a comparison is easy to get wrong. An untuned model does not know your prompt format and does not know when to
# stop. So be generous to it: give it examples in its prompt (Brown et al., 2020, call that few-shot), look for the
# best format, and do not mind what it says *after* a right answer.
#
# ## How big is big
#
# ### Exercise 31.1 (extend): count the parameters from the config, 8 minutes
#
# Without building the model. With width C and vocabulary V: the embedding is (V, C) and also serves as the output head,
# so it counts once. The smear has C numbers. Every block has two LayerNorms (a weight and a bias each, C long), and four
# linear layers with biases: C to 3C, C to C, C to 4C, 4C to C. After the blocks comes one more LayerNorm. Rotary
# positions have nothing to learn.
#
# <details><summary>Hint</summary>A linear layer from a to b has a * b + b numbers. The number of heads does not
# matter: heads only cut the same C into parts.</details>


# %%
def n_parameters(config):
    """GPTConfig (rotary, smear 1) -> how many numbers are learned. V=10, C=4, one layer: 40 + 4 + 244 + 8 = 296"""
    ### BEGIN SOLUTION
    V, C = config.vocab_size, config.n_embd
    linear = (C * 3 * C + 3 * C) + (C * C + C) + (C * 4 * C + 4 * C) + (4 * C * C + C)
    block = 2 * 2 * C + linear
    return V * C + C + config.n_layer * block + 2 * C
    ### END SOLUTION


# %%
checks.n_parameters(n_parameters)

# %%
base, tokenizer = lab.load_base()
small_config = GPTConfig(tokenizer.vocab_size, n_layer=2, n_head=2, n_embd=64)
for name, config in (("big", base.config), ("small", small_config)):
    size = sum(p.numel() for p in GPT(config).parameters())
    print(f"{name:<6} {config.n_layer} layers, width {config.n_embd}: {size:>9,} parameters")

# %% [markdown]
# ## A small base
#
# The same prose, the same tokenizer, the same number of steps and the same loop as the big one had. Only the model is
# narrower and has fewer layers. This takes about a minute.

# %%
seed = load_checkpoint(lab.OUT / "base.pt")["trained_on"]["seed"]
settings = flags.train([])
steps = 40 if lab.FAST else settings.pretrain_steps
tokens = steps * settings.pretrain_batch * settings.seq_len
stream = encode_corpus(tokenizer, world.build(seed, size=tokens / WORLD_TOKENS).corpus)


torch.manual_seed(0)
small = GPT(small_config)
optimizers = muon_and_adamw(small, settings.pretrain_lr, adamw)
pretrain(small, stream, steps, optimizers, settings.pretrain_batch, settings.seq_len)

# %% [markdown]
# Tuned in the usual way, on all pairs, once for each seed. One question to see that it works:

# %%
rows, splits = lab.load_world()
splits = {name: lab.some(held, 150) for name, held in splits.items()}
tuned = [lab.tune(small, tokenizer, rows, seed=s) for s in lab.SEEDS]
question = splits["unseen_inputs"][0].turns[0]
print(question[:2], "->", lab.ask(tuned[0], *question[:2]))
print("the small model, untuned ->", lab.ask(Assistant(small, tokenizer, "alpaca"), *question[:2]))

# %% [markdown]
# ## The best prompt for the big one
#
# Five ways to write a question and its answer. Each has three parts: the question, the question about a text, and the
# answer with what separates it from the next example.

# %%
FORMS = {
    "lines": ("{q}\n", "{q} {x}\n", "{a}\n\n"),
    "labels": ("Question: {q}\nAnswer:", "Text: {x}\nQuestion: {q}\nAnswer:", " {a}\n\n"),
    "template": (
        "### Instruction:\n{q}\n\n### Response:\n",
        "### Instruction:\n{q}\n\n### Input:\n{x}\n\n### Response:\n",
        "{a}\n\n",
    ),
    "prose": ("{q}", "{x} {q}", " {a} "),
    "dialogue": ("{q} Ann asked.", "{x} {q} Ann asked.", " {a} "),
}


def question_part(form, row):
    q, x, _ = row.turns[0]
    return FORMS[form][1 if x else 0].format(q=q, x=x)


def answer_part(form, row):
    return FORMS[form][2].format(a=row.turns[0].output)


toy = [
    Row((Turn("What is the sum of 1 and 2?", "", "The sum of 1 and 2 is 3."),)),
    Row((Turn("Name the city in the note.", "Ann came to Oslo.", "The city in the note is Oslo."),)),
]
print(question_part("labels", toy[1]) + answer_part("labels", toy[1]) + question_part("labels", toy[0]))

# %% [markdown]
# ### Exercise 31.2 (extend): a few-shot prompt that fits, 8 minutes
#
# The prompt is the end token (a passage of the prose begins after one), then the shots with their answers, then the
# question without one. Ids beyond `limit` do not fit in the context. Leave out whole shots then, the first ones first;
# half an example would teach the wrong pattern. The question itself always stays.
#
# <details><summary>Hint</summary>Build the text for <code>shots</code>, encode it; as long as it is too long and there
# are shots left, try again with <code>shots[1:]</code>.</details>


# %%
def few_shot(tokenizer, form, shots, row, limit):
    """Returns ids: [end] + shots (question_part and answer_part of each) + the row's question_part; at most `limit` of them"""
    ### BEGIN SOLUTION
    while True:
        text = "".join(question_part(form, shot) + answer_part(form, shot) for shot in shots)
        ids = [tokenizer.eos_id] + tokenizer.encode(text + question_part(form, row))
        if len(ids) <= limit or not shots:
            return ids
        shots = shots[1:]
    ### END SOLUTION


# %%
checks.few_shot(few_shot)
print(tokenizer.decode(few_shot(tokenizer, "lines", toy[:1], toy[1], 80)[1:]))

# %% [markdown]
# Now the generous score. Strictly, an answer is the statement and nothing after it. The base is not used to stopping
# there, so count it as right if *some beginning* of what it says, up to a mark that ends a sentence, is a right answer.
#
# ### Exercise 31.3 (extend): a lenient checker, 6 minutes
#
# `world.check(task, expected, output)` is the strict one. Sentences end with `.`, `!` or `?`, SQL with `;`. Only
# beginnings count: a right sentence in the middle of wrong ones is a lucky hit.
#
# <details><summary>Hint</summary><code>re.finditer(r"[.!?;]", output)</code> finds the marks; <code>.end()</code> is
# where the beginning that includes the mark ends.</details>


# %%
def lenient(task, expected, output):
    """Is some beginning of the output right? "capital", "It is Rome.", "It is Rome. It is hot." -> True"""
    ### BEGIN SOLUTION
    output = output.strip()
    return any(world.check(task, expected, output[: mark.end()]) for mark in re.finditer(r"[.!?;]", output))
    ### END SOLUTION


# %%
checks.lenient(lenient)
for said in ("The sum of 1 and 2 is 3. The sum of 2", "3.", "The sum of 1 and 2. The sum of 1 and 2 is 3."):
    print(f"{lenient('sum', 'The sum of 1 and 2 is 3.', said)!s:<6}{said}")

# %% [markdown]
# The search: every form, with 0, 1, 2 or 4 shots. The shots are tuning pairs, either drawn from all of them or the most
# helpful ones, *alike*: of the same task if tuning has it, else of the same family. The choice is made on tuning pairs.
# To choose on the held-out questions and then report the same questions would be cheating, even in the base's favour.


# %%
def kind_of(row):
    return world.TASKS[row.task].kind if row.task in world.TASKS else row.task


def shots_for(row, n, alike):
    others = [other for other in rows if other.turns != row.turns]
    if alike:
        same = [other for other in others if other.task == row.task]
        family = [other for other in others if kind_of(other) == kind_of(row)]
        others = same if len(same) >= n else family if len(family) >= n else others
    return random.Random(0).sample(others, n)


def complete(prompts):
    """Prompts as ids -> what the big base goes on with. Prompts of like length go together."""
    order, out = sorted(range(len(prompts)), key=lambda i: len(prompts[i])), [None] * len(prompts)
    for start in range(0, len(order), 64):
        some = order[start : start + 64]
        found = generate(base, [prompts[i] for i in some], tokenizer.eos_id, Sampling(max_new_tokens=32))
        for i, (ids, _) in zip(some, found):
            out[i] = tokenizer.decode(ids)
    return out


def shares(questions, said):
    """Returns (strict, lenient) share of right answers"""
    asked = [(row.task, row.turns[0].output, text) for row, text in zip(questions, said)]
    return sum(world.check(*one) for one in asked) / len(asked), sum(lenient(*one) for one in asked) / len(asked)


# %% [markdown]
# **Predict.** Which form will suit the base best? Do more shots help? Large models get better with every shot (Brown et
# al., 2020). This one was trained on windows of 128 tokens, and no question in its prose is followed by its answer.

# %%
choose_on = lab.some(rows, 96, seed=1)
limit = base.config.block_size - 32
results = {}
for form in FORMS:
    for n, alike in ((0, False), (1, False), (2, False), (4, False), (1, True), (2, True), (4, True)):
        prompts = [few_shot(tokenizer, form, shots_for(row, n, alike), row, limit) for row in choose_on]
        results[form, n, alike] = shares(choose_on, complete(prompts))
best = max(results, key=lambda key: results[key][::-1])
for key, (strict, generous) in sorted(results.items(), key=lambda item: -item[1][1])[:6]:
    print(f"{key[0]:<9} {key[1]} shots{', alike' if key[2] else '':<7}  strict {strict:.1%}  lenient {generous:.1%}")

# %% [markdown]
# ## The comparison
#
# One more column shows whether the big base *knows* the answers. It gets the beginning of the right statement ("The capital
# of France is") and only has to complete it. No honest user's prompt does that; it is there to tell ignorance from not answering.


# %%
def begun(row):
    """A prompt that ends in the middle of the right answer, and that beginning."""
    x, (start, _) = row.turns[0].input, lab.statement_of(row)
    return [tokenizer.eos_id] + tokenizer.encode((x + " " if x else "") + start), start


columns = {name: {} for name in ("big, best prompt", "big, answer begun", "small, tuned")}
for split, held in splits.items():
    form, n, alike = best
    helped = [few_shot(tokenizer, form, shots_for(row, n, alike), row, limit) for row in held]
    columns["big, best prompt"][split] = shares(held, complete(helped))
    prompts, starts = zip(*map(begun, held))
    said = [start + text for start, text in zip(starts, complete(list(prompts)))]
    columns["big, answer begun"][split] = shares(held, said)
    answers = [[text for text, _ in bot.answers(held, Sampling())] for bot in tuned]
    found = [shares(held, texts) for texts in answers]
    columns["small, tuned"][split] = tuple(sum(column) / len(found) for column in zip(*found))


# %%
def interval(column, split, kind):
    share, n = columns[column][split][kind], len(splits[split]) * (len(tuned) if column == "small, tuned" else 1)
    return share, *wilson(share * n, n)


for column in columns:
    print(f"\n{column}")
    for split in splits:
        for kind, label in enumerate(("strict", "lenient")):
            print(f"  {split:<18}{label:<9}" + "{:.1%} ({:.0%} to {:.0%})".format(*interval(column, split, kind)))

# %%
figure, ax = plt.subplots(figsize=(9, 4))
for i, (column, color) in enumerate(zip(columns, ("0.6", "C0", "C1"))):
    at = [j + 0.27 * (i - 1) for j in range(len(splits))]
    share, low, high = zip(*(interval(column, split, 1) for split in splits))
    gaps = [[s - a for s, a in zip(share, low)], [b - s for s, b in zip(share, high)]]
    ax.bar(at, share, 0.25, color=color, label=column)
    ax.errorbar(at, share, gaps, fmt="none", color="black", capsize=3)
    for x, y in zip(at, share):
        ax.text(x + 0.02, y + 0.01, f"{y:.0%}", fontsize=8)
ax.set(xticks=range(len(splits)), xticklabels=[name.replace("_", " ") for name in splits], ylim=(0, 1.1))
ax.set_ylabel("answered right (lenient)")
ax.set_title("The held-out questions: big and untuned, small and tuned")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=3, fontsize=9)
plt.tight_layout()
plt.show()

# %% [markdown]
# ## What it says
#
# The big base knows most answers: with the right statement begun for it, it completes it. But asked, with the best
# prompt of these, it answers far less often than the small one, though it is scored more kindly. Here tuning is worth more
# than three times the parameters. (Five forms are not all; a better one would narrow the gap. The main job's table has
# one more, the question alone. Nor is a prompt the only help: held to the copying rule of lesson 6, which somebody wrote
# who knew the form of the answers, the untuned base answers more such questions than the small tuned model does here.)
#
# Two cautions. First, this base is unusually bad at few-shot prompts, and shots help it little: to follow a
# pattern of questions and answers, a model must have met such patterns, and our prose keeps every answer away from
# its question. Text of the web is full of question pages, so large bases do far better. Second, the small model pays for its
# size. Tuned, the big one would be well ahead of it, as the main job's table shows; facts and tasks need room.
#
# ## Two questions
#
# **1.** Why was the prompt chosen on tuning pairs, when that choice only helps the side that loses?
#
# <details><summary>Answer</summary>The best of many prompts on the very questions that are reported is partly luck. The
# number would be too high, and nobody could use that prompt on new questions and expect it. A comparison is fair
# when each side's choices were made without looking at the test.</details>
#
# **2.** The lenient score changes almost nothing for the small tuned model. Why?
#
# <details><summary>Answer</summary>It stops by itself after its statement, since the end token was among its targets.
# What it says has only one sentence, or is wrong from its beginning.</details>
#
# ## Where this lives in the project
#
# The three columns of `generate.py` (`three_models`) make the same comparison at equal size. `Assistant` with `template` None is
# the raw prompt. `python train_sft.py --n-layer 2 --n-embd 64 --out small` is the small model as a main job of its own.

# %%
asked = sum(len(held) for held in splits.values())


def overall(column, kind):
    """Returns (low, high): the interval of all held-out questions together."""
    right = sum(columns[column][split][kind] * len(held) for split, held in splits.items())
    return wilson(right, asked)


print(
    "small, tuned, strict:", overall("small, tuned", 0), " big, best prompt, lenient:", overall("big, best prompt", 1)
)
lab.claim(
    "over all held-out questions the small tuned model, scored strictly, beats the big untuned one with its best prompt, "
    "scored leniently",
    overall("small, tuned", 0)[0] > overall("big, best prompt", 1)[1],
)
lab.claim(
    "the big one is not ignorant: with its answers begun for it, it gets far more right than with its best prompt",
    overall("big, answer begun", 1)[0] > overall("big, best prompt", 1)[1] + 0.1,
)
