# %% [markdown]
# # 3. The GPT, by hand
#
# How does a token come to know about the tokens before it? Only by attention. You will compute it
# by hand, look at it in the base model, make sure that nothing can see the future, rotate (turn)
# vectors so that distance counts and not position, and work out the loss at one position with
# numbers.
#
# Under a minute of computing on a laptop CPU (2 cores), 45 minutes with the exercises if you leave
# 3.3 for another day (10 more). It needs `out/base.pt`, which `python train_sft.py` leaves behind.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson03 as checks

import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import world
from common.table import wilson
from model import apply_rotary, rotary_cos_sin

base, tokenizer = lab.load_base()
base = base.requires_grad_(False)

# %% [markdown]
# ## From ids to ids
#
# One forward pass: a batch of ids (B, T) goes in. Each id becomes a vector of C numbers, blocks
# rewrite the vectors, and at the end each vector is compared with the embedding of every token: V
# scores (*logits*) for what comes next, at every position.

# %%
text = "What is the capital of France? The capital of"
ids = torch.tensor([[tokenizer.eos_id] + tokenizer.encode(text)])
hidden, logits = base.hidden(ids), base(ids)
print(f"ids {tuple(ids.shape)} -> hidden {tuple(hidden.shape)} -> logits {tuple(logits.shape)}")
print([tokenizer.decode([i]) for i in ids[0].tolist()])
p, best = logits[0, -1].softmax(-1).topk(2)
print(
    "next:",
    [f"{tokenizer.decode([i])!r} {share:.0%}" for i, share in zip(best.tolist(), p.tolist())],
)

# %% [markdown]
# ## Attention, with three tokens
#
# (Vaswani et al. 2017.) Every position asks with a *query* q, offers a *key* k, and holds a *value*
# v. How much position t takes from position s is decided by the dot product of q[t] and k[s],
# divided by the root of their length; softmax makes weights of it that sum to 1. A position may
# only look at itself and backwards: a later score is set to minus infinity, so its weight is 0.
#
# *Predict* the weights of position 0. (You need no calculator.) And which position looks back the
# most?

# %%
q = torch.tensor([[1.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
k = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
v = torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]])
print("q . k / sqrt(2):\n", q @ k.T / math.sqrt(2))

# %% [markdown]
# ### Exercise 3.1: causal attention of one head (rebuild, ★★, 15 minutes)
#
# <details><summary>Hint</summary>
# `scores.masked_fill(later, -torch.inf)`, with `later` True where the column is greater than the
# row: `torch.ones(T, T, dtype=torch.bool).triu(1)`. Fill before the softmax, which goes over the
# last dimension.
# </details>


# %%
def attention(q, k, v):
    """Compute one head of attention from q, k, v (T, hs). Returns the weights (T, T), with rows
    that sum to 1 and zeros to the right of the diagonal, and the weighted values (T, hs)."""
    ### BEGIN SOLUTION
    T, hs = q.shape
    scores = q @ k.T / math.sqrt(hs)  # (T, T)
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(later, -torch.inf).softmax(-1)
    return weights, weights @ v
    ### END SOLUTION


# %%
checks.attention(attention)
weights, y = attention(q, k, v)
print(weights, y, sep="\n")
print(
    "PyTorch's own says the same:",
    torch.allclose(y, F.scaled_dot_product_attention(q, k, v, is_causal=True)),
)

# %% [markdown]
# ## Attention in the base
#
# The base has several layers with several heads, each with queries, keys and values of its own. The
# cell below catches what goes into every attention layer and computes the weights as you did, for
# all heads at once. As a proof it also computes each layer's output from them, and compares.


# %%
def look(ids):
    """Run ids (1, T). Returns the weights of all heads (layers, heads, T, T), and the greatest
    difference from the project's output."""
    caught, weights, worst = [], [], 0.0
    hooks = [
        block.attn.register_forward_hook(lambda _, x, y: caught.append((x[0], y)))
        for block in base.h
    ]
    base(ids)
    for hook in hooks:
        hook.remove()
    T, nh, hs = ids.shape[1], base.config.n_head, base.config.n_embd // base.config.n_head
    rotary = base.cos[:T, None], base.sin[:T, None]  # each (T, 1, hs): see below
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    for block, (x, y) in zip(base.h, caught):
        q, k, v = block.attn.c_attn(x)[0].view(T, 3, nh, hs).unbind(1)  # each (T, nh, hs)
        scores = torch.einsum(
            "tnh,snh->nts", apply_rotary(q, *rotary), apply_rotary(k, *rotary)
        ) / math.sqrt(hs)
        weights.append(scores.masked_fill(later, -torch.inf).softmax(-1))  # (nh, T, T)
        taken = torch.einsum("nts,snh->tnh", weights[-1], v).flatten(1)  # (T, C)
        worst = max(worst, (block.attn.c_proj(taken) - y[0]).abs().max().item())
    return torch.stack(weights), worst


# %%
weights, difference = look(ids)
tokens = [repr(tokenizer.decode([i])) for i in ids[0].tolist()]
print(
    f"{weights.shape[0]} layers of {weights.shape[1]} heads; greatest difference to the project:"
    f" {difference:.0e}"
)

# %% [markdown]
# The text is `What is the capital of France? The capital of`. The likeliest next tokens,
# printed above, are usually the country that was named and others that follow it on worksheets. The
# last position is the token ` of`. *Predict*: where in the text must some head look from there?

# %%
heads = [
    f"layer {i + 1}, head {j + 1}" for i in range(weights.shape[0]) for j in range(weights.shape[1])
]
figure, ax = plt.subplots(figsize=(8, 3.8))
picture = ax.imshow(weights[:, :, -1].flatten(0, 1), vmin=0, vmax=1, cmap="Blues", aspect="auto")
ax.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right")
ax.set_yticks(range(len(heads)), heads)
ax.set(xlabel="token looked at", title="Where the last position looks")
figure.colorbar(picture, label="weight")
plt.tight_layout()
plt.show()

# %% [markdown]
# For these next tokens the model has to know ` France`, and usually some head looks there. How can
# ` of` know that this is the place? A head that finds what followed the last time is called an
# induction head (Olsson et al. 2022). It needs ` France` to carry the mark "I come after ` of`".
#
# > **Not standard.** In GPT-2 and its like an earlier layer writes that mark. This project adds to
# > every token a part of the token before it (the *smear* in `model.py`), so that a model of few
# > layers can copy. Other GPTs have no smear.
#
# Here is one head in full: each row is a position, and sums to 1.

# %%
spot = tokens.index("' France'")
best = weights[:, :, -1, spot].flatten().argmax().item()
plt.figure(figsize=(5.6, 5))
plt.imshow(weights.flatten(0, 1)[best], vmin=0, vmax=1, cmap="Blues")
plt.xticks(range(len(tokens)), tokens, rotation=60, ha="right"), plt.yticks(
    range(len(tokens)), tokens
)
(
    plt.xlabel("token looked at"), plt.ylabel("position that looks"),
    plt.title(f"{heads[best]}: nothing above the diagonal"),
)
plt.tight_layout()
plt.show()

# %% [markdown]
# ## Take the look away
#
# A picture of weights is a hint, no proof. An experiment is better: forbid all later positions to
# look at the name in the question and at what follows it (the model takes a mask), and see whether
# the base can still repeat the name.
#
# *Predict* in which fraction the name is repeated, over facts that are asked for by a name without
# an article. (That the next token after "the young of" is "a" can be guessed without looking.)

# %%
lab.predict("3: name repeated, visible", ...)
lab.predict("3: name repeated, hidden", ...)

# %%
facts = [
    fact for fact in world.table_facts() if fact.task.noun.endswith("{x}") and len(fact.values) == 1
]
facts = lab.subset([fact for fact in facts if not fact.x.startswith(("a ", "an "))], 400)
repeated = {"visible": 0, "hidden": 0}
for fact in facts:
    before = fact.task.noun.removesuffix("{x}").rstrip()
    question = [tokenizer.eos_id] + tokenizer.encode(f"What is {fact.noun}?")
    name = len([tokenizer.eos_id] + tokenizer.encode(f"What is {before}"))  # where the name begins
    prompt = torch.tensor([question + tokenizer.encode(f" {world.upper_first(before)}")])
    mask = torch.ones(prompt.shape[1], prompt.shape[1], dtype=torch.bool).tril()
    for key in repeated:
        if key == "hidden":
            mask[len(question) :, name : len(question)] = False
        guess = base(prompt, mask=mask[None, None], last_only=True).argmax().item()
        repeated[key] += guess == tokenizer.encode(f" {fact.x}")[0]
for key, n in repeated.items():
    print(
        f"name {key:<8} repeated in {n} of {len(facts)}"
        f" ({'{:.0%} to {:.0%}'.format(*wilson(n, len(facts)))})"
    )
    lab.compare(f"3: name repeated, {key}", n / len(facts))

# %% [markdown]
# What is left with the name hidden is guessing; some tasks are about few things. And one reason why
# not all visible names are repeated: a worksheet asks about one thing after the other, so the base
# may go on to the next thing. (Other bases of this size look at the name in other layers and heads.
# The experiment does not care which.)
#
# ## Nothing sees the future
#
# Training asks every position for its next token, all at once. If a position could see even one
# token ahead, it would copy, the loss would be wonderful and the model worthless. So test it:
# change one token, and find the first hidden state that moves.
#
# ### Exercise 3.2: who notices a change? (extend, ★★, 10 minutes)
#
# <details><summary>Hint</summary>
# Clone the ids before you change one. Compare the two results with a tolerance of 1e-5 (floating
# point is not exact): the largest absolute difference over the last dimension, for each position.
# Where is it first above?
# </details>


# %%
def first_change(model, ids, at):
    """Replace ids[0, at] by another id (0, or 1 if it is 0). Returns the first position whose
    scores change, or None.

    model(ids) is (1, T, V). ids (1, T) stay as they are. For a causal model the result is `at`."""
    ### BEGIN SOLUTION
    other = ids.clone()
    other[0, at] = 1 if ids[0, at] == 0 else 0
    moved = (model(ids) - model(other)).abs().amax(-1)[0] > 1e-5  # (T,)
    return moved.nonzero()[0].item() if moved.any() else None
    ### END SOLUTION


# %%
checks.first_change(first_change)
print("the base notices a change at 3 at position", first_change(base, ids, 3))
causal = checks.all_causal(base, ids)
print("a change at t moves nothing before t, for every t:", causal)

# %% [markdown]
# ## Where, without saying where
#
# Dot products do not know positions. Rotary embedding (Su et al. 2021) turns each query and key by
# an angle that grows with its position. A dot product of two turned vectors depends only on the
# difference of the angles: on the distance. Different pairs of numbers turn at different speeds,
# and here only half of the pairs turn at all (in GPT-NeoX, Black et al. 2022, a quarter). The
# others stay as they are, so they can compare *what* two words are, wherever they stand.
#
# ### Exercise 3.3: turn a vector (rebuild, ★★, 10 minutes)
#
# The vector has hs numbers, so hs/2 pairs; pair number i is (x[i], x[i + hs/2]). Its angle is
# position * 100^(-4i/hs) for i < hs/4, and 0 for the pairs after those.
#
# <details><summary>Hint</summary>
# `first, second = x.chunk(2)`. Turning (a, b) by an angle gives (a cos - b sin, a sin + b cos).
# Start with an angle of zero for every pair (`torch.zeros`) and fill in the first half. Put the
# halves together with `torch.cat`.
# </details>


# %%
def turn(x, position):
    """Rotate x (hs,) for its position. Returns a new vector (hs,).

    [1, 2, 0, 0] at position 1 -> [cos 1, 2, sin 1, 0]: pair 0 turns by 1, pair 1 stays"""
    ### BEGIN SOLUTION
    hs = len(x)
    angle = torch.zeros(hs // 2)
    speeds = 100.0 ** (-torch.arange(0, hs, 4) / hs)  # (hs/4,)
    angle[: len(speeds)] = position * speeds
    first, second = x.chunk(2)
    return torch.cat(
        (first * angle.cos() - second * angle.sin(), first * angle.sin() + second * angle.cos())
    )
    ### END SOLUTION


# %%
checks.turn(turn)

# %% [markdown]
# *Predict*: which numbers in the table below are equal?

# %%
torch.manual_seed(0)
hs = base.config.n_embd // base.config.n_head
query, key = torch.randn(hs), torch.randn(hs)
cos, sin = rotary_cos_sin(128, hs)
at = [
    apply_rotary(x.expand(1, 128, 1, hs), cos[None, :, None], sin[None, :, None])[0, :, 0]
    for x in (query, key)
]
scores = at[0] @ at[1].T  # (128, 128): query at its row's position, key at its column's
print("distance   " + "".join(f"{d:>8}" for d in (0, 1, 2, 5, 10)))
for p in (20, 21, 50, 120):
    print(
        f"query at {p:>3}" + "".join(f"{scores[p, p - d].item():>8.3f}" for d in (0, 1, 2, 5, 10))
    )
spread = max((scores.diagonal(-d).max() - scores.diagonal(-d).min()).item() for d in range(100))
print(f"greatest difference at equal distance: {spread:.0e}")

# %% [markdown]
# ## The loss at one position
#
# At each position the model gives V scores. Softmax makes probabilities of them; the loss is -log
# of the target's. With three tokens and scores 2, 1, 0: e^2 = 7.39, e^1 = 2.72, e^0 = 1, sum 11.11.
# If token 0 comes next, p = 7.39 / 11.11 = 0.665, loss 0.408. If token 2 comes, p = 0.090. Its
# score is two lower than token 0's: *predict* its loss.
#
# ### Exercise 3.4: cross entropy by hand (rebuild, ★, 5 minutes)
#
# <details><summary>Hint</summary>
# -log(e^a / sum) = log(sum) - a. Scores may be as great as 1000, and e^1000 is infinite: take the
# greatest score off all of them first. That changes no probability.
# </details>


# %%
def loss_at(logits, target):
    """Return -log p(target) as a float, in nats, from logits (V,) and an id. Use only exp, log, sum
    and max: cross_entropy, log_softmax and logsumexp are switched off.

    [2, 1, 0], 0 -> 0.4076"""
    ### BEGIN SOLUTION
    logits = logits - logits.max()
    return (logits.exp().sum().log() - logits[target]).item()
    ### END SOLUTION


# %%
checks.loss_at(loss_at)

# %%
line = torch.tensor([[tokenizer.eos_id] + tokenizer.encode("The capital of France is Paris.")])
logits, targets = base(line[:, :-1])[0], line[0, 1:]
p = logits.softmax(-1).gather(1, targets[:, None])[:, 0]
for i, share in zip(targets.tolist(), p.tolist()):
    print(f"{tokenizer.decode([i])!r:<12} p {share:6.3f}   loss {-math.log(share):6.3f}")
whole = base(line[:, :-1], line[:, 1:]).item()
print(f"sum {-p.log().sum().item():.4f}, the project's loss {whole:.4f}")

# %% [markdown]
# Look where the loss is small (what follows from the words before) and where it is large (what will
# be told, and of which country?). No model can know the latter, so the mean loss has a floor.
#
# *Predict* the probability of ` Rome` after "The capital of Italy is", before you run the next
# cell.

# %%
lab.predict("3: p of Rome", ...)

# %%
line = torch.tensor([[tokenizer.eos_id] + tokenizer.encode("The capital of Italy is")])
rome = tokenizer.encode(" Rome")[0]
lab.compare("3: p of Rome", base(line)[0, -1].softmax(-1)[rome].item())
print(f"its loss: {loss_at(base(line)[0, -1], rome):.3f}")

# %% [markdown]
# ## Two questions to think about
#
# 1. Why is the score divided by the root of the length of q and k?
# 2. The rotary tables have 128 rows here. What would happen at position 5,000, if there were more?
#
# <details><summary>Answers</summary>
#
# 1. A dot product of hs independent numbers grows like the root of hs. Without the division softmax
#    would start out nearly one-hot, with hardly any gradient.
# 2. The formula works anywhere, but the model has never met such distances. What it does there was
#    never learned.
# </details>
#
# ## Where this lives in the project
#
# All in `model.py`: `Attention`, `rotary_cos_sin`, `apply_rotary`, `GPT.shift_mix`, `GPT.forward`.
# What is hidden from whom is the argument `mask` of `GPT.forward`.

# %%
n = len(facts)
lab.claim(
    "attention and loss by hand are the project's, no position sees the future, and scores depend"
    " on distance alone",
    difference < 1e-4 and causal and spread < 1e-3 and abs(whole + p.log().sum().item()) < 1e-3,
    "rounding differs between machines; look at the four differences printed above.",
)
lab.claim(
    "the base repeats a name far less often when it may not look at it",
    wilson(repeated["visible"], n)[0] > wilson(repeated["hidden"], n)[1] + 0.3,
    "this base may prefer the next name of a worksheet; look at how often it repeats a visible"
    " name.",
)
