"""A GPT in one file: the transformer, its cache for decoding, and LoRA.

The one idea: every token is a vector; block after block adds to it what attention finds in the tokens before it and
what an MLP makes of that, until a product with the table of all tokens says how probable each is to come next.

What it is: GPT-2's architecture (Radford et al. 2019: pre-norm blocks, GELU, tied embeddings) with two aids that a
model this small needs in order to learn to copy: rotary positions (Su et al. 2021, "RoFormer") and a smear (Olsson et
al. 2022), which adds to every token the token before it. Three config fields (position, smear, gelu) make it GPT-2.
What it is not: it knows nothing of text, instructions, files or training.

Shapes: B rows in a batch, T positions, C = n_embd, V = vocab_size, nh = n_head, hs = C / nh, S = positions attended to.

    model = GPT(GPTConfig(vocab_size=1024))
    logits = model(ids)                        # (B, T) -> (B, T, V)
    loss = model(ids, targets)                 # the sum over all targets that are not IGNORE
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import nn

IGNORE = -100  # a target without a loss; PyTorch's cross_entropy skips it by default
FUSED_FROM = 512  # positions from which torch's fused attention is faster in training, too


@dataclass
class GPTConfig:
    vocab_size: int
    block_size: int = 128  # the longest context
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    position: str = "rotary"  # or "learned", as in GPT-2
    smear: int = 1  # or 0, as in GPT-2
    gelu: str = "none"  # how it is approximated; GPT-2 has "tanh", which takes four times as long on a CPU

    def __post_init__(self):
        assert self.position in ("rotary", "learned"), self.position
        assert self.gelu in ("none", "tanh"), self.gelu
        assert self.n_head > 0 and self.n_embd % (2 * self.n_head) == 0, "n_embd must be a multiple of 2 * n_head"


# ----------------------------------------------------------------------------------------------------------------
# The transformer, leaf to root.


def rotary_cos_sin(block_size, hs):
    """Cosine and sine of the angle position * 100^(-4i/hs), for i < hs/4 (RoFormer, eq. 15), each (block_size, hs).

    Only half of the pairs turn (a quarter in "GPT-NeoX", Black et al. 2022); the angle of the others is 0: they compare
    what the words are, wherever they stand, and the model learns to copy sooner. Both are repeated for the two halves, and
    the sine is negated in the first half, as apply_rotary needs them. The base is 100, not 10000: our contexts are short."""
    frequencies = 100.0 ** (-torch.arange(0, hs, 4) / hs)  # (hs/4,)
    frequencies = F.pad(frequencies, (0, hs // 2 - len(frequencies)))  # (hs/2,)
    angles = torch.arange(block_size)[:, None] * frequencies  # (block_size, hs/2)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def apply_rotary(x, cos, sin):
    """Rotate every pair (a, b) = (x[i], x[i + hs/2]) by its position's angle: (a cos - b sin, b cos + a sin). A dot
    product of two vectors rotated like this depends only on the distance of their positions. x (B, heads, T, hs);
    cos, sin (B or 1, 1, T, hs)."""
    cos, sin = cos.type_as(x), sin.type_as(x)
    swapped = x.roll(x.shape[-1] // 2, dims=-1)  # the two halves change places
    return torch.addcmul(x * cos, swapped, sin)  # x cos + swapped sin


def attend(q, k, v, attn_mask):
    """softmax(q k^T / sqrt(hs) + attn_mask) v (Vaswani et al. 2017, eq. 1). q (B, nh, T, hs); k, v (B, nh, S, hs); the
    mask is 0 where a position may look and -inf where it may not."""
    if torch.is_grad_enabled() and q.shape[2] < FUSED_FROM:
        scores = q * q.shape[-1] ** -0.5 @ k.mT + attn_mask  # (B, nh, T, S)
        return scores.softmax(-1) @ v  # (B, nh, T, hs)
    return F.scaled_dot_product_attention(q, k, v, attn_mask.type_as(q))  # the same in one call, with less memory


class Attention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.n_head, self.layer = config.n_head, layer
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)  # queries, keys and values in one product
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x, rotary, attn_mask, cache):
        B, T, C = x.shape
        qkv = self.c_attn(x).view(B, T, 3 * self.n_head, C // self.n_head).transpose(1, 2)  # (B, 3 nh, T, hs)
        qk, v = qkv.split((2 * self.n_head, self.n_head), dim=1)  # (B, 2 nh, T, hs), (B, nh, T, hs)
        if rotary is not None:
            qk = apply_rotary(qk, *rotary)
        q, k = qk.chunk(2, dim=1)  # each (B, nh, T, hs)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)  # each (B, nh, S, hs)
        y = attend(q, k, v, attn_mask)  # (B, nh, T, hs)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))  # (B, T, C)


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)
        self.gelu = nn.GELU(config.gelu)

    def forward(self, x):
        return self.c_proj(self.gelu(self.c_fc(x)))  # (B, T, C)


class Block(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x, rotary, attn_mask, cache):
        x = x + self.attn(self.ln_1(x), rotary, attn_mask, cache)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)  # also the output head: tied weights
        self.wpe = nn.Embedding(config.block_size, config.n_embd) if config.position == "learned" else None
        self.smear = nn.Parameter(torch.full((config.n_embd,), 0.5)) if config.smear else None
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.lora = None  # what add_lora did: rank, alpha, targets
        self.recompute = False  # True: gradient checkpointing, less memory for more time
        cos, sin = rotary_cos_sin(config.block_size, config.n_embd // config.n_head)
        causal = torch.ones(config.block_size, config.block_size, dtype=torch.bool).tril()  # no looking ahead
        self.register_buffer("causal", causal, persistent=False)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(self._init)

    def _init(self, module):
        """`apply` visits children first, so MLP and Attention correct what their Linear layers just drew."""
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)
        if isinstance(module, nn.Linear):  # keeps the size of a signal, whatever the width
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            nn.init.zeros_(module.bias)
        if isinstance(module, MLP):  # GPT-2: the residual stream must not grow with depth
            module.c_proj.weight.data /= math.sqrt(2 * self.config.n_layer)
        if isinstance(module, Attention):  # c_proj starts as half the transpose of W_v: attention copies from step 0
            value = module.c_attn.weight.data.chunk(3)[2]
            module.c_proj.weight.data.copy_(0.5 * value.T)

    def add_smear(self, x, positions, cache):
        """x[t] + smear * x[t - 1]. To continue "Ann ... Ann" a model looks for a position *after* an earlier Ann. With
        each token's predecessor at hand that takes one layer of attention; without it two, which are learned much later
        (Olsson et al. 2022, "In-context Learning and Induction Heads": smeared keys). x (B, T, C)"""
        before = cache.last if cache else torch.zeros_like(x[:, :1])  # (B, 1, C)
        previous = torch.cat((before, x[:, :-1]), dim=1)  # (B, T, C)
        if cache:
            cache.last = x[:, -1:]
        return x + self.smear * previous * (positions > 0).unsqueeze(2)  # the first token of a text has none before it

    def hidden(self, ids, positions=None, mask=None, cache=None):
        """ids (B, T) -> hidden states (B, T, C).

        positions (B, T), default 0, 1, 2, ...; mask (B, 1, T, S), True where attention is allowed, default causal;
        cache: a KVCache of earlier positions, extended here."""
        T = ids.shape[1]
        assert T <= self.config.block_size, f"{T} tokens do not fit in {self.config.block_size}"
        if positions is None:
            positions = torch.arange(T, device=ids.device)[None]  # (1, T)
        if mask is None:
            start = cache.length if cache else 0
            mask = self.causal[start : start + T, : start + T]  # (T, S)
        attn_mask, rotary = torch.where(mask, 0.0, -torch.inf), None
        x = self.wte(ids)  # (B, T, C)
        if self.smear is not None:
            x = self.add_smear(x, positions, cache)
        if self.wpe is not None:
            x = x + self.wpe(positions)
        else:
            rotary = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)  # each (B or 1, 1, T, hs)
        for block in self.h:
            if self.recompute and self.training:
                x = torch.utils.checkpoint.checkpoint(block, x, rotary, attn_mask, None, use_reentrant=False)
            else:
                x = block(x, rotary, attn_mask, cache)
        if cache:
            cache.length += T
        return self.ln_f(x)

    def forward(self, ids, targets=None, positions=None, mask=None, cache=None, last=False):
        """ids (B, T) -> logits (B, T, V), with last=True only those of the last position (B, V).

        With targets (B, T): the sum of -log p(target) in nats over the supervised targets, those that are not IGNORE.
        Logits are then computed only there. positions, mask and cache as in `hidden`."""
        x = self.hidden(ids, positions, mask, cache)  # (B, T, C)
        if targets is None:
            return F.linear(x[:, -1] if last else x, self.wte.weight)
        supervised = (targets.flatten() != IGNORE).nonzero()[:, 0]  # (n,): their indices among the B * T
        more = -len(supervised) % 128  # rounded up: a CPU has to make its kernels anew for each size
        x = x.flatten(0, 1).index_select(0, F.pad(supervised, (0, more)))  # (n, C)
        targets = F.pad(targets.flatten()[supervised], (0, more), value=IGNORE)  # (n,)
        chunks = zip(x.split(512), targets.split(512))  # logits are large: some at a time
        return sum(F.cross_entropy(F.linear(h, self.wte.weight), t, reduction="sum") for h, t in chunks)

    def device(self):
        return self.wte.weight.device


class KVCache:
    """What decoding keeps of the positions already read, so that each is computed once: keys and values of all layers,
    (layers, 2, B, nh, size, hs), and the last embedding for the smear, (B, 1, C)."""

    def __init__(self, model, batch_size, size):
        c, weight = model.config, model.wte.weight
        self.kv = weight.new_empty(c.n_layer, 2, batch_size, c.n_head, size, c.n_embd // c.n_head)
        self.last = weight.new_zeros(batch_size, 1, c.n_embd)
        self.length = 0  # positions kept; the model moves it on when all layers are done

    def keep(self, rows):
        """Go on with some rows of the batch only: `rows` (B,) is True for them."""
        self.kv, self.last = self.kv[:, :, rows], self.last[rows]

    def extend(self, layer, k, v):
        """Append one layer's keys and values, (B, nh, T, hs) each -> all so far, (2, B, nh, S, hs)."""
        kept = self.kv[layer, ..., : self.length + k.shape[2], :]  # (2, B, nh, S, hs)
        kept[..., self.length :, :] = torch.stack((k, v))
        return kept


# ----------------------------------------------------------------------------------------------------------------
# LoRA (Hu et al. 2021, "Low-Rank Adaptation"): keep W, learn a small correction, y = W x + (alpha / rank) B A x.
#
#         x ──> W (out, in), frozen ───────────────────────────────────────────> + ──> y
#         └───> A (rank, in), random ──> B (out, rank), zero ──> alpha / rank ───┘


class LoRA(nn.Module):
    """Wraps a linear layer. B starts at zero, so the start is exactly the old layer."""

    def __init__(self, linear, rank, alpha, generator=None):
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        A = torch.empty(rank, linear.in_features).normal_(std=linear.in_features**-0.5, generator=generator)
        self.lora_A, self.lora_B = nn.Parameter(A), nn.Parameter(torch.zeros(linear.out_features, rank))
        self.to(linear.weight.device)

    def forward(self, x):
        return self.linear(x) + F.linear(F.linear(x, self.lora_A), self.lora_B * self.scale)  # scaled where it is small

    def merge(self):
        """Add the correction to W -> the plain linear layer. Subtracting would not give W's bits back, so W is kept."""
        self.unmerged = self.linear.weight.detach().clone()
        self.linear.weight.data += self.scale * (self.lora_B @ self.lora_A).detach()
        return self.linear

    def unmerge(self):
        self.linear.weight.data.copy_(self.unmerged)


LORA_TARGETS = ("c_attn", "c_proj", "c_fc")  # every linear layer of a block


def children_of_type(model, kind):
    """All (parent, name, child) of a model in which the child is of that type; a list, so that they can be replaced."""
    named = [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()]
    return [(parent, name, child) for parent, name, child in named if isinstance(child, kind)]


def add_lora(model, rank, alpha, targets=LORA_TARGETS, seed=0):
    """Freeze the model and wrap the linear layers called `targets`. Only A and B are trained from now on."""
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)  # of its own: what was drawn before changes nothing
    for parent, name, linear in children_of_type(model, nn.Linear):
        if name in targets:
            setattr(parent, name, LoRA(linear, rank, alpha, generator))
    model.lora = {"rank": rank, "alpha": alpha, "targets": list(targets)}


def merge_lora(model):
    """Merge every LoRA layer and unwrap it: a plain model again -> what unmerge_lora needs to undo it."""
    wrapped = children_of_type(model, LoRA)
    for parent, name, lora in wrapped:
        setattr(parent, name, lora.merge())
    return wrapped


def unmerge_lora(wrapped):
    for parent, name, lora in wrapped:
        lora.unmerge()
        setattr(parent, name, lora)
