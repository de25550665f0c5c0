# %% [markdown]
# # 11. Sampling: how an answer is drawn
#
# A model does not write text. It gives a probability to every token of its vocabulary, and somebody
# else chooses. In this lesson that somebody is you: you write the rules by which one token is
# chosen (each is a few lines), measure what they cost and what they bring, and build the loop that
# makes the choosing fast.
#
# About a minute of computing on a laptop CPU (2 cores), 45 minutes with the exercises; one open
# task at the end is extra. It needs `out/base.pt`, which `python train_sft.py` makes, and takes the
# tuned model beside it.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson11 as checks

import math
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import world
from data import shift
from generate import Sampling, generate, load_assistant
from model import KVCache

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
path = lab.OUT / "tuned.pt"
assistant = load_assistant(path) if path.exists() else lab.tune(base, tokenizer, rows)
model, eos = assistant.model.eval(), tokenizer.eos_id

# %% [markdown]
# ## What the model gives
#
# Two positions in two answers. In the first the story may begin in several ways. In the second
# there is one right value. `logits` are the model's scores for the next token; `softmax` makes
# probabilities of them.

# %%
hero, capital = "a horse and a forest", "France"
POSITIONS = {
    "a story begins": (f"Write a story about {hero}.", f"Here is a story about {hero}:"),
    "a capital": (f"What is the capital of {capital}?", f"The capital of {capital} is"),
}


@torch.inference_mode()
def next_logits(instruction, begun):
    """Return the logits (1, V) of the next token of an answer that has begun."""
    ids = lab.prompt_ids(tokenizer, "alpaca", instruction) + tokenizer.encode(begun)
    return model(torch.tensor([ids]), last_only=True)


logits_at = {position: next_logits(*words) for position, words in POSITIONS.items()}
for position, logits in logits_at.items():
    most, which = logits.softmax(-1)[0].topk(5)
    print(
        f"{position:<15}",
        *(f"{tokenizer.decode([i])} {p:.1%}  " for p, i in zip(most.tolist(), which.tolist())),
    )

# %% [markdown]
# The simplest rule is **greedy**: always take the most probable token. It always says the same. To
# draw from the probabilities instead is **sampling**, and the **temperature** T stands between the
# two: divide the logits by T, then take the softmax. T = 1 leaves the model's own probabilities.
# The limit T = 0 is greedy.
#
# *Predict.* Does T = 2 make the top token's probability half as large? What will it do to "a
# capital"?
#
# <details><summary>Hint</summary>
#
# Nobody can divide by zero, so T = 0 is a case of its own: all of the probability goes to `argmax`.
# `F.one_hot` makes a row of zeros with a single one. Use torch's `softmax`: `exp` of a large logit
# is infinite.
# </details>
#
# ### Exercise 11.1: temperature (rebuild, ★, 4 minutes)


# %%
def with_temperature(logits, temperature):
    """Turn logits (B, V) into probabilities (B, V), floats.

    [[0, log 3]] with 1 -> [[0.25, 0.75]], with 0.5 -> [[0.1, 0.9]], with 0 -> [[0, 1]]"""
    ### BEGIN SOLUTION
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    return (logits / temperature).softmax(-1)
    ### END SOLUTION


# %%
checks.with_temperature(with_temperature)


# %% [markdown]
# How much is left open is measured by the **entropy**, the mean of -log p: 0 if one token has
# everything, log V if all tokens of the vocabulary are equally probable.


# %%
def entropy(probabilities):
    """Return the entropy of each row, (B, V) -> (B,), in nats."""
    return torch.special.entr(probabilities).sum(-1)


figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), width_ratios=(1, 1, 1.1))
for ax, (position, logits) in zip(axes, logits_at.items()):
    order = logits[0].argsort(descending=True)[:8]
    for i, temperature in enumerate((0.5, 1, 2)):
        p = with_temperature(logits, temperature)
        ax.bar(torch.arange(8) + 0.27 * (i - 1), p[0, order], 0.25, label=f"T = {temperature}")
        print(
            f"{position:<15} T = {temperature:<4} entropy {entropy(p).item():5.2f}, all outside the"
            f" top eight {1 - p[0, order].sum():.0%}"
        )
    ax.set_xticks(
        range(8), [tokenizer.decode([i]).strip() for i in order.tolist()], rotation=45, ha="right"
    )
    ax.set(title=position, ylabel="probability", ylim=(0, 1.04))
axes[0].legend()
temperatures = [0.02 * 1.15**i for i in range(45)]
for position, logits in logits_at.items():
    axes[2].plot(
        temperatures, [entropy(with_temperature(logits, t)).item() for t in temperatures],
        label=position,
    )
axes[2].axhline(math.log(tokenizer.vocab_size), color="gray", ls="--", label="log V: all equal")
axes[2].set(
    xscale="log", xlabel="temperature", ylabel="entropy (nats)", title="Entropy only rises"
), axes[2].legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# Temperature never changes the order of the tokens, and a higher one never lowers the entropy. Look
# at what lies outside the top eight at T = 2: each of these tokens is improbable, but there are
# very many. One of them is enough to spoil an answer. So people cut the tail off.
#
# ## Cutting the tail
#
# **Top-k** keeps the k most probable tokens. Both rules below take probabilities and set the others
# to 0. What is left is *not* divided by its sum: `torch.multinomial`, which draws, does that by
# itself.
#
# <details><summary>Hint</summary>
#
# `topk` gives values and positions, `scatter` puts values at positions. Ties: a threshold ("at
# least as probable as the k-th") keeps too many. `topk` complains when k is larger than V.
# </details>
#
# ### Exercise 11.2: top-k (rebuild, ★, 5 minutes)


# %%
def top_k(probabilities, k):
    """Keep the k >= 1 most probable tokens of each row (B, V) as they are and set all others to 0.
    Returns a new tensor.

    Exactly k stay, even if several are equally probable (then any of these may stay). All stay if
    k is larger than V. [[0.1, 0.6, 0.3]] with 2 -> [[0, 0.6, 0.3]]"""
    ### BEGIN SOLUTION
    values, which = probabilities.topk(min(k, probabilities.shape[-1]))  # (B, k) each
    return torch.zeros_like(probabilities).scatter(-1, which, values)
    ### END SOLUTION


# %%
checks.top_k(top_k)

# %% [markdown]
# A fixed k is too large where the model is sure and too small where many words will do. **Top-p**,
# or nucleus sampling (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"), lets
# the model decide: go down from the most probable token until those passed have more than p
# together. The token that crosses p is kept.
#
# *Predict.* With p = 0.9, how many tokens stay at each of the two positions above?
#
# <details><summary>Hint</summary>
#
# Sort each row downwards (`sort` gives the positions, too). A token stays if *those before it* have
# not passed p yet: `cumsum` minus the token itself. The first has nothing before it, so it always
# stays. Then put them back.
# </details>
#
# ### Exercise 11.3: top-p (rebuild, ★★, 8 minutes)


# %%
def top_p(probabilities, p):
    """Keep each row's most probable tokens, (B, V), down to the one that crosses p, as they are,
    and set all others to 0. Returns a new tensor. 0 <= p <= 1.

    [[0.1, 0.6, 0.3]] with 0.7 -> [[0, 0.6, 0.3]]; with 0 -> [[0, 0.6, 0]]; with 1 -> all"""
    ### BEGIN SOLUTION
    ordered, positions = probabilities.sort(-1, descending=True)  # (B, V) each
    before = ordered.cumsum(-1) - ordered
    ordered[before > p] = 0
    return torch.zeros_like(ordered).scatter(-1, positions, ordered)
    ### END SOLUTION


# %%
checks.top_p(top_p)
for position, logits in logits_at.items():
    n_kept = (top_p(logits.softmax(-1), 0.9) > 0).sum().item()
    print(f"{position:<15} top-p 0.9 keeps {n_kept} of {tokenizer.vocab_size} tokens")


# %% [markdown]
# That was all of `sample_next` in `generate.py`. Is it the same? The check takes the distribution
# from which the project draws, and compares it with yours: random logits, equal logits, extreme
# ones, k larger than V, T = 0 with every cut.


# %%
def distribution(logits, sampling):
    """Return the probabilities (B, V) from which the next token is drawn, given logits (B, V) and
    the project's Sampling."""
    p = with_temperature(logits, sampling.temperature)
    if sampling.top_k:
        p = top_k(p, sampling.top_k)
    p = top_p(p, sampling.top_p)
    return p / p.sum(-1, keepdim=True)


checks.against_the_project(distribution)

# %% [markdown]
# Here p counts in the model's probabilities as they were (at this temperature), so it makes no
# difference which cut comes first. Some programs divide by the sum after top-k. Then each
# probability is larger, p is crossed sooner, and fewer tokens stay: the same three numbers mean
# different things in two programs.
#
# ## The trade-off
#
# Two kinds of held-out prompts. Most questions have one answer; what matters is **accuracy**.
# Stories may differ; we ask for each story many times and count **different** ones, and different
# ones that are also *right*: one of the three that the world tells of this hero and this place
# (`world.check` compares letter by letter).
#
# *Predict.* Accuracy at T = 0, 0.5, 1, 2. Where will there be most *different right* stories?

# %%
held = [row for split in splits.values() for row in split]
questions = lab.subset([row for row in held if row.task not in lab.OPEN_TASKS], 80)
stories = lab.subset([row for row in held if row.task == "story"], 8)
DRAWS = 4 if lab.FAST else 16
RULES = {f"T = {t}": Sampling(t) for t in (0.0, 0.5, 1.0, 1.5, 2.0)}
RULES |= {
    f"T = {t}, {name}": Sampling(t, **cut)
    for t in (1.0, 1.5)
    for name, cut in (("top-k 5", dict(top_k=5)), ("top-p 0.9", dict(top_p=0.9)))
}


def sample_answers(rows, how, seed):
    """Return (text, stopped by itself, right?) for each row."""
    how = Sampling(how.temperature, how.top_k, how.top_p, seed=seed)
    return lab.score(assistant, rows, how)["answers"]


def story_variety(row, how):
    """Draw DRAWS stories for one prompt. Returns the share that differ, and the share that differ
    and are right."""
    answers = sample_answers([row] * DRAWS, how, seed=0)
    return (
        len({text for text, *_ in answers}) / DRAWS,
        len({text for text, _, right in answers if right}) / DRAWS,
    )


# %%
table = {}
print(
    f"{len(questions)} questions, each drawn {len(lab.SEEDS)} times; {len(stories)} stories, each"
    f" drawn {DRAWS} times\n"
)
print(f"{'':<20}{'accuracy':>19}{'different stories':>23}{'different and right':>23}")
for name, how in RULES.items():
    flags = [[right for *_, right in sample_answers(questions, how, seed)] for seed in lab.SEEDS]
    different, useful = zip(*(story_variety(row, how) for row in stories))
    table[name] = lab.bootstrap(flags), lab.bootstrap([different]), lab.bootstrap([useful])
    print(f"{name:<20}" + "     ".join(f"{m:6.1%} ({a:.0%} to {b:.0%})" for m, a, b in table[name]))

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4))
plain = [name for name in RULES if "," not in name]
heat = [RULES[name].temperature for name in plain]
for i, label in enumerate(
    ("questions: accuracy", "stories: different", "stories: different and right")
):
    mean, low, high = zip(*(table[name][i] for name in plain))
    axes[0].plot(heat, mean, "o-", label=label)
    axes[0].fill_between(heat, low, high, alpha=0.2)
axes[0].set(
    xlabel="temperature", ylabel="fraction", ylim=(-0.03, 1.03),
    title="Temperature alone (95% intervals)",
)
axes[0].legend(loc="center left", fontsize=9)
axes[1].plot(
    [table[name][2][0] for name in plain], [table[name][0][0] for name in plain], "o-",
    label="temperature alone",
)
for cut, marker in (("top-k 5", "s"), ("top-p 0.9", "^")):
    names = [name for name in RULES if cut in name]
    axes[1].plot(
        [table[name][2][0] for name in names], [table[name][0][0] for name in names], marker, ms=8,
        label=cut,
    )
for name in RULES:
    side = (-6, -12) if name in plain else (7, -3)
    axes[1].annotate(
        f"{RULES[name].temperature:g}", (table[name][2][0], table[name][0][0]), side,
        textcoords="offset points", ha="right" if name in plain else "left",
    )
axes[1].set(
    xlabel="different and right stories", ylabel="accuracy on questions", ylim=(-0.03, 1.06),
    title="Both at once (the number is T)",
)
axes[1].legend(loc="lower right", fontsize=9)
figure.tight_layout()
plt.show()

# %% [markdown]
# The intervals of stories are those of few prompts, drawn once; read them widely. Three things to
# look at:
#
# - *Different* alone rewards noise: a garbled story differs from every other one. Any measure of
#   diversity needs a measure of quality beside it.
# - Where one answer is right, drawing mostly loses: it leaves the most probable token, which is
#   right more often than others.
# - Does a cut at T = 1.5 give back what the temperature took? Compare the points in the right
#   picture with the line. A rule that is above the line and to the right of it is better at both.
#
# ## Drawing fast: the KV cache
#
# To choose token 100, a plain loop reads all 99 before it again, and did so for token 99. Is that
# needed? No position sees later ones (lesson 3), so what a layer computed for a position cannot
# change when tokens follow. Look:

# %%
prompt = lab.prompt_ids(tokenizer, "alpaca", POSITIONS["a story begins"][0])
ids = torch.tensor([prompt + tokenizer.encode(POSITIONS["a story begins"][1])])
seen = []
hook = model.h[-1].attn.c_attn.register_forward_hook(lambda module, args, qkv: seen.append(qkv))
with torch.inference_mode():
    model(ids[:, :-1]), model(ids)
hook.remove()
# queries, keys and values of the last layer: (1, T - 1, 3 C) and (1, T, 3 C)
shorter, longer = seen
print(f"largest change of a query, key or value: {(longer[:, :-1] - shorter).abs().max():.1e}")

# %% [markdown]
# The new token needs its own query, and the *keys and values* of all positions before it. Queries
# of earlier positions are never used again. So keep keys and values: `KVCache` in `model.py`. The
# model does the keeping; it has to be told one thing, at which position the new token stands,
# because one token alone looks like the first of a text.
#
#     cache = KVCache(model, batch_size, size)               # size: room for all positions
#     model(ids, positions=(1, T), cache=cache, last_only=True)  # ids (B, T) -> logits (B, V)
#     cache.length                                           # positions kept so far
#
# *Predict.* A prompt of about 20 tokens and 100 new ones: how many positions go through the model
# without and with the cache?
#
# <details><summary>Hint</summary>
#
# The first call reads the whole prompt, positions 0, 1, 2, ...; each later one reads one token per
# row, (B, 1). `torch.arange(start, end)[None]` are positions. The last token chosen need not be
# read.
# </details>
#
# ### Exercise 11.4: decode with the cache (rebuild, ★★, 10 minutes)


# %%
@torch.inference_mode()
def decode(model, ids, n):
    """Continue prompts of equal length, ids (B, P). Returns n greedy tokens (B, n) and the logits
    they were chosen from (B, n, V).

    Each position goes through the model once: first the P of the prompt, then one a call."""
    ### BEGIN SOLUTION
    cache = KVCache(model, len(ids), ids.shape[1] + n)
    chosen, scores = [], []
    while len(chosen) < n:
        positions = torch.arange(cache.length, cache.length + ids.shape[1])[None]  # (1, T)
        scores.append(model(ids, positions=positions, cache=cache, last_only=True))  # (B, V)
        chosen.append(scores[-1].argmax(-1))  # (B,)
        ids = chosen[-1][:, None]  # (B, 1)
    return torch.stack(chosen, 1), torch.stack(scores, 1)
    ### END SOLUTION


# %%
checks.decode(decode)


# %%
@torch.inference_mode()
def decode_plainly(model, ids, n):
    """Do the same without a cache."""
    scores, P = [], ids.shape[1]
    for _ in range(n):
        scores.append(model(ids, last_only=True))  # (B, V)
        ids = torch.cat((ids, scores[-1].argmax(-1)[:, None]), 1)
    return ids[:, P:], torch.stack(scores, 1)


prompts = torch.tensor([prompt] * 8)  # (8, P)
(fast, fast_logits), (plain_ids, plain_logits) = (
    way(model, prompts, 60) for way in (decode, decode_plainly)
)
print(
    "same tokens:", torch.equal(fast, plain_ids),
    f"| largest difference of logits {(fast_logits - plain_logits).abs().max():.1e}",
)

# %%
LENGTHS, WAYS = (10, 40, 100), {"without a cache": decode_plainly, "with it": decode}


def cpu_seconds(way, n):
    """Return the shortest of three runs, in seconds of CPU time."""
    times = []
    for _ in range(3):
        start = time.process_time()
        way(model, prompts, n)
        times.append(time.process_time() - start)
    return min(times)


seconds = {name: [cpu_seconds(way, n) for n in LENGTHS] for name, way in WAYS.items()}
P = prompts.shape[1]
read = {
    "without a cache": [sum(P + i for i in range(n)) for n in LENGTHS],
    "with it": [P + n - 1 for n in LENGTHS],
}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
every = range(1, max(LENGTHS) + 1)
axes[0].plot(every, [n * P + n * (n - 1) // 2 for n in every], color="C0")
for ax, values, label in (
    (axes[0], read, "positions read, each row"),
    (axes[1], seconds, "seconds of CPU time, 8 rows"),
):
    for color, name in zip(("C0", "C1"), WAYS):
        ax.plot(
            LENGTHS, values[name], "o" if ax is axes[0] and color == "C0" else "o-", color=color,
            label=name,
        )
    ax.set(xticks=LENGTHS, xlabel="new tokens", ylabel=label, ylim=(0, None)), ax.legend()
axes[0].set_title("Quadratic against linear"), axes[1].set_title("Measured")
figure.tight_layout()
plt.show()
gain = [slow / quick for slow, quick in zip(*seconds.values())]
for i, n in enumerate(LENGTHS):
    print(
        f"{n:>4} tokens: {read['without a cache'][i]:>5} and {read['with it'][i]:>4} positions,"
        f" {seconds['without a cache'][i]:.3f} s and {seconds['with it'][i]:.3f} s: {gain[i]:.1f}"
        " times faster"
    )

# %% [markdown]
# Compare with the positions, which fall by a larger factor: each call has a cost of its own,
# however few tokens it reads. (One part stays quadratic with a cache, too: every new token still
# looks at all earlier ones. At this length it is small.) The price is memory: two vectors for every
# layer and position.
#
# ## Best of n
#
# One more way to use probabilities: draw n whole answers and keep one. By what? The model itself
# can say how probable it finds each answer (the sum of its tokens' log p, lesson 5). Or a *checker*
# says which one is right, if there is one. The second is often reported as **pass@k** (Chen et al.
# 2021, on programs; here k is n): is any of n answers right?
#
# *Predict.* At T = 1, how does accuracy go from one draw to the best of eight, chosen either way?
# Which of the two, if any, ends above greedy?
#
# <details><summary>Hint</summary>
#
# `max` with a `key` gives the first of those that are equal. Log-probabilities are negative: -2 is
# better than -5, and both are "true" for Python.
# </details>
#
# ### Exercise 11.5: the best of n (extend, ★, 6 minutes)


# %%
def best_of(questions, candidates, reward, above):
    """Return for each question the first of its answers with the highest reward, or None if that is
    not above `above`. candidates: [[answers to question 0], ...]; reward(question, answer) is a
    number.

    answers "a" and "b" with rewards -2 and -1: above=0 -> None, above=-5 -> "b"
    """
    ### BEGIN SOLUTION
    best = [max(answers, key=lambda a: reward(q, a)) for q, answers in zip(questions, candidates)]
    return [a if reward(q, a) > above else None for q, a in zip(questions, best)]
    ### END SOLUTION


# %%
checks.best_of(best_of)

# %% [markdown]
# Here a question is its number in the list, and an answer is a tuple of ids. Three ways to choose
# one of n draws: the first (that is: no choice, the control), the one most probable to the model,
# and one that the checker accepts. Greedy is the other control.

# %%
TRIES = (1, 2, 4, 8)
question_ids = [assistant.prompt(row.turns) for row in questions]
known = {}


def draws(seed, temperature=1.0, n=max(TRIES)):
    """Draw n answers to each question: [[n answers to question 0], ...]."""
    prompts, answers = [prompt for prompt in question_ids for _ in range(n)], []
    for start in range(0, len(prompts), 64):
        sampling = Sampling(temperature, seed=1000 * seed + start)
        answers += [
            tuple(ids) for ids, _ in generate(model, prompts[start : start + 64], eos, sampling)
        ]
    return [answers[i : i + n] for i in range(0, len(answers), n)]


@torch.inference_mode()
def log_probability(i, answer):
    """Return log p of an answer with its eos, given question i."""
    if (i, answer) not in known:
        inputs, targets = shift(
            question_ids[i] + [*answer, eos], [0] * len(question_ids[i]) + [1] * (len(answer) + 1)
        )
        known[i, answer] = -model(torch.tensor([inputs]), torch.tensor([targets])).item()
    return known[i, answer]


def is_right(i, answer):
    row = questions[i]
    return float(world.check(row.task, row.turns[0].output, tokenizer.decode(answer)))


numbers = range(len(questions))
for i in numbers[:1]:
    print(questions[i].turns[0].instruction, questions[i].turns[0].input)
    for answer in sorted(set(draws(0)[i]), key=lambda a: -log_probability(i, a)):
        print(f"  log p {log_probability(i, answer):6.2f}  {tokenizer.decode(answer)}")

# %%
CHOOSERS = {
    "the first draw": lambda samples: [answers[0] for answers in samples],
    "the most probable": lambda samples: best_of(numbers, samples, log_probability, -math.inf),
    "the checker's": lambda samples: best_of(numbers, samples, is_right, 0),
}
pool = [draws(seed) for seed in lab.SEEDS]
chosen = {}
for name, choose in CHOOSERS.items():
    for n in TRIES:
        choices = [choose([answers[:n] for answers in samples]) for samples in pool]
        flags = [
            [a is not None and is_right(i, a) for i, a in enumerate(choice)] for choice in choices
        ]
        chosen[name, n] = flags, lab.bootstrap(flags)
greedy_marks = [is_right(i, answers[0]) for i, answers in enumerate(draws(0, temperature=0.0, n=1))]
greedy = lab.bootstrap([greedy_marks])
for name in CHOOSERS:
    print(
        f"{name:<20}"
        + "   ".join(
            f"n={n}: {m:.1%} ({a:.0%} to {b:.0%})"
            for n in TRIES
            for m, a, b in [chosen[name, n][1]]
        )
    )
print(f"{'greedy':<20}" + "{:.1%} ({:.0%} to {:.0%})".format(*greedy))

# %%
plt.figure(figsize=(6.5, 3.8))
for offset, name in zip((-0.04, 0, 0.04), CHOOSERS):
    mean, low, high = zip(*(chosen[name, n][1] for n in TRIES))
    at = [n * 2**offset for n in TRIES]
    plt.errorbar(
        at, mean, [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]],
        fmt="o-", capsize=3, label=name,
    )
plt.axhline(greedy[0], color="gray", ls="--", label="greedy, one answer")
plt.xscale("log", base=2), plt.xticks(TRIES, TRIES), plt.xlabel(
    "n answers drawn at T = 1"
), plt.ylabel("accuracy")
plt.ylim(0, 1.05), plt.title("Best of n, by what? (95% intervals)"), plt.legend(
    fontsize=9, loc="lower center", ncols=2
)
plt.show()

# %% [markdown]
# If the most probable of eight ends near greedy, that is no wonder: greedy looks for a probable
# answer directly, at the price of one. The model's own probability cannot find an answer that the
# model does not believe in.
#
# The checker's line can only rise, however good or bad the model is: more draws are more chances.
# **It is no skill that one can use:** it chose with the right answer in hand. It is worth something
# where a checker exists *when the question is asked*, as with tests for a program; or to make new
# pairs to tune on from the model's own right answers. A table of pass@k beside another model's
# single answers compares nothing. `None` stands where no draw was accepted; to take "some answer"
# there would be a mistake in the data.
#
# ## Questions to think about
#
# 1. At "a capital", would top-k 5 at T = 2 be a good rule? And at the beginning of the story?
# 2. The sum of log p prefers short answers. When does that hurt, and what could one divide by?
#
# <details><summary>Answers</summary>
#
# 1. At the first it lets four wrong tokens in, and T = 2 makes them probable. At the second, k
#    should be the number of good beginnings (first picture), and one token later another number.
#    Top-p follows the model, but here only after the temperature has flattened it.
# 2. Where right answers differ in length: an empty or cut one wins. The mean over the tokens is
#    common; it prefers long answers full of sure tokens instead. Neither is "the" probability of
#    being right.
# </details>
#
# ## Where this lives in the project
#
# `generate.py`: `Sampling` and `sample_next` (the rules), `stream_ids` (the loop with the cache,
# many prompts at once). `model.py`: `KVCache`. Try `python generate.py --temperature 1 --top-p 0.9
# "Write a story about a dog and a lake."`
#
# ## Open task, not needed to go on
#
# ### Exercise 11.6: generate, whole (rebuild, ★★★, 45 minutes)
#
# Greedy decoding for prompts of *different* lengths, in one batch, with a cache, stopping row by
# row. Pad on the left, so that all rows continue at the same position; then the padding must be
# hidden by a mask, and every row has its own positions. The check compares with `generate.py`,
# letter by letter on 16 prompts, and prints both speeds. (If you leave it, run the last cell by
# itself.)
#
# <details><summary>Hint</summary>
#
# `mask` is (B, 1, T, S), True where position t may look at s: s is not padding, and not later than
# t. A row of the mask that is False everywhere gives NaN: let padding look at itself. Positions
# count from each row's first real token; padding gets 0.
# </details>


# %%
@torch.inference_mode()
def generate_all(model, prompts, eos, max_new):
    """Continue prompts, lists of ids, greedily. Returns for each the ids of its answer without the
    eos, at most max_new, and whether it stopped by itself.

    All prompts go through the model together. Once all have stopped, it isn't called again."""
    ### BEGIN SOLUTION
    B, longest = len(prompts), max(map(len, prompts))
    padding = torch.tensor([[longest - len(prompt)] for prompt in prompts])  # (B, 1)
    ids = torch.tensor(
        [[eos] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    )  # (B, longest)
    cache = KVCache(model, B, longest + max_new)
    answers, stopped = [[] for _ in prompts], [False] * B
    for _ in range(max_new):
        now = torch.arange(cache.length, cache.length + ids.shape[1])  # (T,)
        all_so_far = torch.arange(now[-1] + 1)  # (S,)
        mask = (all_so_far >= padding)[:, None] & (all_so_far <= now[:, None])  # (B, T, S)
        mask |= all_so_far == now[:, None]
        positions = (now - padding).clamp(min=0)  # (B, T)
        logits = model(ids, None, positions, mask[:, None], cache, last_only=True)  # (B, V)
        chosen = logits.argmax(-1)  # (B,)
        for row, token in enumerate(chosen.tolist()):
            stopped[row] |= token == eos
            if not stopped[row]:
                answers[row].append(token)
        if all(stopped):
            break
        ids = chosen[:, None]  # (B, 1)
    return list(zip(answers, stopped))
    ### END SOLUTION


# %%
checks.generate_all(generate_all, assistant, lab.subset(held, 16))

# %%
T0, T1, T2 = table["T = 0.0"], table["T = 1.0"], table["T = 2.0"]
between = max(table[f"T = {t}"][2][0] for t in (0.5, 1.0, 1.5))
lab.claim(
    "a higher temperature costs accuracy where one answer is right and makes more stories differ",
    T0[0][1] > T2[0][2] and T1[0][0] < T0[0][0] and T2[1][1] > T0[1][2],
)
lab.claim(
    "most different right stories come at a temperature between the ends",
    between > T0[2][2] and between > T2[2][2],
)
lab.claim(
    "the cache gives the same logits, and saves more the longer the answer is",
    torch.allclose(fast_logits, plain_logits, atol=1e-4) and gain[-1] > 2 and gain[-1] > gain[0],
)
n = max(TRIES)
lab.claim(
    "of eight draws the most probable to the model is right more often than one draw, and hardly"
    " more often than greedy",
    chosen["the most probable", n][1][0] > chosen["the first draw", n][1][2]
    and chosen["the most probable", n][1][0] < greedy[0] + 0.03,
)
