# %% [markdown]
# # 3. The GPT, by hand
#
# How does a token come to know about the tokens before it? You build the parts of a GPT by hand:
# attention, layer norm, a block, and the loss. You look into the base model, make sure that nothing
# sees the future, and hide a name to prove that attention carries it.
#
# Reading 15 minutes, exercises 40 (10 more with the optional one), computing 1.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import math

import lab
import torch
import torch.nn.functional as F
from checks import lesson03 as checks
from common.table import wilson
from experiments import lesson03

base, tokenizer = lab.load_base()
base = base.requires_grad_(False)

# %% [markdown]
# ## From ids to scores
#
# One forward pass reads a batch of ids (B, T), B rows of T positions. The *embedding*, a table,
# turns each id into a vector of C numbers. Blocks change the vectors. At the end each vector is
# compared with the embedding of all V tokens. That gives V scores, the *logits*, for what comes
# next at every position.

# %%
text = "What is the capital of France? The capital of"
ids = torch.tensor([[tokenizer.eos_id] + tokenizer.encode(text)])
tokens = [repr(tokenizer.decode([i])) for i in ids[0].tolist()]
logits = base(ids)
print(f"ids {tuple(ids.shape)} -> embedding {tuple(base.wte(ids).shape)}"
      f" -> logits {tuple(logits.shape)}")
for share, i in zip(*logits[0, -1].softmax(-1).topk(3)):
    print(f"next: {tokenizer.decode([i.item()])!r} {share:.0%}")

# %% [markdown]
# ## Attention, with three tokens
#
# In a standard GPT attention (Vaswani et al. 2017) is the only part in which positions exchange
# anything. Every position has three vectors: a *query* q, a *key* k and a *value* v. The dot
# product of q[t] and k[s], divided by the root of their length, is the score of position s for
# position t. Softmax turns the scores of a row into weights that sum to 1, and position t receives
# the weighted sum of the values. A position may look only at itself and at earlier ones (*causal*):
# a later score is set to minus infinity, so its weight is 0.
#
# *Predict* the weights of position 0. You need no calculator.

# %%
q = torch.tensor([[1.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
k = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
v = torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]])
print("q . k / sqrt(2):\n", q @ k.T / math.sqrt(2))

# %% [markdown]
# ### Exercise 3.1: causal attention of one head (rebuild, ★★, 15 minutes)
#
# <details><summary>Hint</summary>
#
# `scores.masked_fill(later, -torch.inf)`, with `later` True where the column is greater than the
# row: `torch.ones(T, T, dtype=torch.bool).triu(1)`. Fill before the softmax, which goes over the
# last dimension.
#
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
theirs = F.scaled_dot_product_attention(q, k, v, is_causal=True)
print("PyTorch's own gives the same:", torch.allclose(y, theirs))

# %% [markdown]
# ## The block
#
# A block has two layers. Attention gathers from earlier positions. The *MLP* then works on each
# position alone: a linear layer to 4 C numbers, a nonlinearity (GELU), and a linear layer back.
#
# Neither replaces the vector of a position. Each *adds* to it. This sum that runs through the whole
# model is called the *residual* stream, and `x + layer(x)` a residual connection (He et al. 2016).
# What an early block has written can be read by every later one, and the gradient has a straight
# way back.

# %%
lesson03.draw_block()

# %% [markdown]
# The sum grows from block to block. So each layer first looks at it through a *layer norm* (Ba et
# al. 2016), which brings every vector to mean 0 and variance 1. Then it scales and shifts each
# number by a trained weight and bias.
#
# ### Exercise 3.2: layer norm (rebuild, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# `x.mean(-1, keepdim=True)`. The variance here is the mean of the squared differences. PyTorch's
# `var` divides by C - 1 unless you give `correction=0`.
#
# </details>


# %%
def layer_norm(x, weight, bias):
    """Normalize the last dimension of x (..., C): subtract its mean, divide by the root of
    (variance + 1e-5), multiply by the weight (C,), add the bias (C,).

    [1, 3], weight [1, 1], bias [0, 0] -> about [-1, 1]"""
    ### BEGIN SOLUTION
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    normal = (x - mean) / (variance + 1e-5).sqrt()
    return weight * normal + bias
    ### END SOLUTION


# %%
checks.layer_norm(layer_norm)

# %% [markdown]
# ### Exercise 3.3: the block (rebuild, ★, 5 minutes)
#
# Follow the drawing, from bottom to top.
#
# <details><summary>Hint</summary>
#
# The MLP reads the sum *after* attention was added.
#
# </details>


# %%
def block(x, norm_1, attention, norm_2, mlp):
    """Return x (B, T, C) after one block. Each of the four functions keeps the shape."""
    ### BEGIN SOLUTION
    x = x + attention(norm_1(x))
    x = x + mlp(norm_2(x))
    return x
    ### END SOLUTION


# %%
checks.block(block)
by_hand = lesson03.forward_by_hand(base, ids, block)
gap = (by_hand - logits).abs().max().item()
print(f"the whole base, with your block: no logit differs by more than {gap:.0e}")

# %% [markdown]
# That was the model: an embedding, the blocks, one more norm, and the product with the embedding.
#
# ## Attention in the base
#
# Each layer has several heads with queries, keys and values of their own. The next cell computes
# all their weights, as you did for one. The last position is ` of`. To continue with the country
# from the question, the model has to find ` France`. *Predict*: does some head look there?

# %%
weights, difference = lesson03.look(base, ids)
print(f"{weights.shape[0]} layers of {weights.shape[1]} heads")
lesson03.draw_looks(weights, tokens, " France")

# %% [markdown]
# How could ` of` find that position? The vector at ` France` must encode that the previous token
# was ` of`. Then the query "what followed ` of` before?" matches its key. A head that does this is
# an *induction head* (Olsson et al. 2022).
#
# > **Not standard.** In GPT-2 and similar models, an earlier layer writes the previous token into
# > the stream. This project adds to every token a part of the token before it (`shift_mix` in
# > `model.py`), so that a model of few layers can copy.
#
# ## Hide a name
#
# A picture of weights is a hint, not a proof. An experiment is better. Keep all later positions
# from looking at the name in the question and at what follows it, and count how often the base
# still repeats the name. (Removing a part to see what it does is called an *ablation*.) *Predict*
# the fraction with the name visible and with it hidden, for questions that end in a name.

# %%
lab.predict("3: name repeated, visible", ...)
lab.predict("3: name repeated, hidden", ...)

# %%
facts = lesson03.named_facts(400)
flags = lesson03.repeat_names(base, tokenizer, facts)
repeated = {key: sum(values) for key, values in flags.items()}
for key, n in repeated.items():
    low, high = wilson(n, len(facts))
    print(f"name {key:<8} repeated in {n} of {len(facts)} ({low:.0%} to {high:.0%})")
    lab.compare(f"3: name repeated, {key}", n / len(facts))
_, low, high = lab.difference([flags["visible"]], [flags["hidden"]])
lab.finding(
    low, high,
    rose="with the name hidden it is repeated less often: attention carried it.",
    fell="with the name hidden it is repeated more often.",
    unclear="hiding the name changes nothing that this run can show.",
)

# %% [markdown]
# **Read the ten names** that were visible and not repeated. Sort them, and write two sentences.
#
# <details><summary>A model answer</summary>
#
# "I looked for two kinds. Another thing of the same type, as on a worksheet that asks about one
# thing after the other: that is no failure of attention, because to go on to the *next* name the
# model must know which one was there. And anything else: there the base lost the thread." Count
# both.
#
# </details>
#
# With the name hidden, the base can only guess. Some guesses are right, since some tasks are about
# few things.
#
# ## Nothing sees the future
#
# Training asks every position for its next token, all at once. If a position could see even one
# token ahead, it would copy. The loss would be wonderful and the model worthless. So test it:
# change one token, and find the first position whose scores change.
#
# ### Exercise 3.4: who notices a change? (extend, ★★, 10 minutes)
#
# <details><summary>Hint</summary>
#
# Clone the ids before you change one. Compare the two results with a tolerance of 1e-5 (floating
# point is not exact): the largest absolute difference over the last dimension, for each position.
# Where is it first above?
#
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
print("Found: the base notices a change at 3 at position", first_change(base, ids, 3))
causal = checks.all_causal(base, ids)
print("Found: a change at t moves", "nothing" if causal else "SOMETHING", "before t, for every t.")

# %% [markdown]
# ## The loss at one position
#
# At each position softmax turns the logits into probabilities. The *loss* is minus the logarithm of
# the probability of the right next token, its *cross entropy*, in *nats*. With three tokens and
# scores 2, 1, 0: e^2 = 7.39, e^1 = 2.72, e^0 = 1, sum 11.11. If token 0 comes next, p = 7.39 /
# 11.11 = 0.665 and the loss is 0.408. If token 2 comes, p = 0.090. Its score is two lower:
# *predict* its loss.
#
# ### Exercise 3.5: cross entropy by hand (rebuild, ★, 5 minutes)
#
# <details><summary>Hint</summary>
#
# -log(e^a / sum) = log(sum) - a. Scores may be as large as 1000, and e^1000 is infinite: subtract
# the largest score from all of them first. That changes no probability.
#
# </details>


# %%
def loss_at(logits, target):
    """Return -log p(target) as a float, in nats, from logits (V,) and an id. Use only exp, log, sum
    and max: cross_entropy, log_softmax and logsumexp are switched off.

    [2, 1, 0], 0 -> 0.4076"""
    ### BEGIN SOLUTION
    logits = logits - logits.max()
    log_sum = logits.exp().sum().log()
    return (log_sum - logits[target]).item()
    ### END SOLUTION


# %%
checks.loss_at(loss_at)
loss_gap = lesson03.show_losses(base, tokenizer, "The capital of France is Paris.")

# %% [markdown]
# A token that follows from the words before it costs little. What the sentence will be about cannot
# be known, so the mean loss has a floor. *Predict* the probability of ` Rome` after "The capital of
# Italy is".

# %%
lab.predict("3: p of Rome", ...)

# %%
line = torch.tensor([[tokenizer.eos_id] + tokenizer.encode("The capital of Italy is")])
rome = tokenizer.encode(" Rome")[0]
lab.compare("3: p of Rome", math.exp(-loss_at(base(line)[0, -1], rome)))

# %% [markdown]
# ## Positions, without numbering them (optional)
#
# A dot product does not know where its vectors are. *Rotary* position embedding (Su et al. 2021)
# turns each query and key by an angle that grows with its position. The dot product of two turned
# vectors then depends only on the difference of the angles, which is the distance. A vector of hs
# numbers has hs/2 pairs (x[i], x[i + hs/2]), and each pair turns at its own speed. In most models,
# such as Llama, all pairs turn, pair i by position * 10000^(-2i/hs).
#
# This project's contexts are short, so the base is 100. And only the first half of the pairs turns
# (as in GPT-NeoX, Black et al. 2022): the others compare two words wherever they are.
#
# ### Exercise 3.6: turn a vector (rebuild, ★★, 10 minutes)
#
# The angle of pair i is position * 100^(-4i/hs) for i < hs/4, and 0 for the pairs after those.
#
# <details><summary>Hint</summary>
#
# `first, second = x.chunk(2)`. Turning (a, b) by an angle gives (a cos - b sin, a sin + b cos).
# Start with an angle of zero for every pair (`torch.zeros`) and fill in the first half. Put the
# halves together with `torch.cat`.
#
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
    a, b = x.chunk(2)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((a * cos - b * sin, a * sin + b * cos))
    ### END SOLUTION


# %%
checks.turn(turn)

# %% [markdown]
# *Predict*: which numbers in the table below are equal?

# %%
spread = lesson03.show_distances(base.config.head_size)
print(f"Found: at equal distance the scores differ by at most {spread:.0e}.")

# %% [markdown]
# > **What to remember**
# >
# > - In a standard GPT only attention moves information between positions. A position reads itself
# >   and earlier ones.
# > - A block adds to the residual stream: x + attention(norm(x)), then x + mlp(norm(x)).
# > - The loss at a position is minus the logarithm of the probability of the right next token.
#
# ## Two questions to think about
#
# 1. Why is the score divided by the root of the length of q and k?
# 2. Remove the residual connections: x = attention(norm(x)), x = mlp(norm(x)). What gets harder?
#
# <details><summary>Answers</summary>
#
# 1. A dot product of hs independent numbers grows like the root of hs. Without the division softmax
#    would start out nearly one-hot, with hardly any gradient.
# 2. Every layer would have to pass on all that later layers need, the token itself included. And
#    the gradient would have to pass through every layer, where it shrinks or grows.
#
# </details>
#
# ## Where this lives in the project
#
# All in `model.py`: `Attention`, `MLP`, `Block`, `rotary_cos_sin`, `apply_rotary`, `GPT.shift_mix`,
# `GPT.forward`. The drawings and experiments are in `lessons/experiments/lesson03.py`.

# %%
n = len(facts)
lab.claim(
    "attention, the block and the loss by hand are the project's, no position sees the future, and"
    " scores depend on distance alone",
    difference < 1e-4 and gap < 1e-3 and causal and spread < 1e-3 and loss_gap < 1e-3,
    "rounding differs between machines; look at the differences printed above.",
)
lab.claim(
    "the base repeats a name far less often when it may not look at it",
    wilson(repeated["visible"], n)[0] > wilson(repeated["hidden"], n)[1] + 0.15,
    "this base may prefer the next name of a worksheet; look at how often it repeats a visible"
    " name.",
)
