"""A GPT in one file: the transformer, and its cache for decoding.

The one idea: every token is a vector. Each block adds to it what attention finds in the tokens
before it, and what an MLP makes of that. In the end, its product with the embedding of a token says
how probable that token is to come next.

This is GPT-2's architecture (Radford et al. 2019: pre-norm blocks, GELU, tied embeddings) with two
aids that a model this small needs to learn to copy: rotary positions (Su et al. 2021, "RoFormer")
and a token shift, which adds to every token the one before it. Three config fields make it GPT-2.

Shapes: B rows of a batch, T positions, S positions attended to, C = n_embd, V = vocab_size,
nh = n_head, hs = C / nh.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

IGNORE = -100  # a target without a loss; PyTorch's cross_entropy skips it by default
LOSS_ROWS = 512  # rows of logits at a time
LOSS_MULTIPLE = 128  # rows are padded to a multiple of this


@dataclass
class GPTConfig:
    vocab_size: int
    block_size: int = 128  # the longest context
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    position: str = "rotary"  # or "learned", as in GPT-2
    smear: int = 1  # 1: token shift; 0: none, as in GPT-2
    gelu: str = "none"  # its approximation; GPT-2 has "tanh", four times as slow on a CPU

    def __post_init__(self):
        assert self.position in ("rotary", "learned"), self.position
        assert self.gelu in ("none", "tanh"), self.gelu
        assert self.n_head > 0 and self.n_embd % (2 * self.n_head) == 0

    @property
    def n_kv_head(self) -> int:
        return self.n_head

    @property
    def head_size(self) -> int:
        return self.n_embd // self.n_head


# ---- The transformer, leaf to root ---------------------------------------------------------------


def rotary_cos_sin(block_size: int, hs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine of position * 100^(-4i/hs), i < hs/4 (RoFormer, eq. 15), (block_size, hs).

    Only half of the pairs turn (as in "GPT-NeoX", Black et al. 2022). The others have angle 0: they
    compare words regardless of positions, and the model learns to copy sooner. The base is 100, not
    10000, since our contexts are short."""
    frequencies = 100.0 ** (-torch.arange(0, hs, 4) / hs)  # (hs/4,)
    frequencies = F.pad(frequencies, (0, hs // 2 - len(frequencies)))  # (hs/2,)
    angles = torch.arange(block_size)[:, None] * frequencies  # (block_size, hs/2)
    cos, sin = angles.cos(), angles.sin()
    # one value for each of the two halves; the sine is negated in the first, see apply_rotary
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def apply_rotary(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate every pair (a, b) = (x[i], x[i + hs/2]) to (a cos - b sin, b cos + a sin).

    A dot product of two rotated vectors depends only on the distance of their positions.
    x (B, nh, T, hs); cos, sin (B or 1, 1, T, hs)."""
    cos, sin = cos.type_as(x), sin.type_as(x)
    swapped = x.roll(x.shape[-1] // 2, dims=-1)  # swap the two halves
    return torch.addcmul(x * cos, swapped, sin)  # x cos + swapped sin


def attend(q, k, v, attn_mask) -> torch.Tensor:
    """Compute softmax(q k^T / sqrt(hs) + attn_mask) v (Vaswani et al. 2017, eq. 1).

    q (B, nh, T, hs); k, v (B, nh, S, hs). The mask is 0 where a position may look and -inf where it
    may not; None allows everything."""
    if torch.is_grad_enabled():  # faster in training, at our lengths
        scores = q * q.shape[-1] ** -0.5 @ k.mT  # (B, nh, T, S)
        if attn_mask is not None:
            scores = scores + attn_mask
        return scores.softmax(-1) @ v  # (B, nh, T, hs)
    attn_mask = None if attn_mask is None else attn_mask.type_as(q)
    return F.scaled_dot_product_attention(q, k, v, attn_mask)  # the same in one call


class Attention(nn.Module):
    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.n_head, self.layer = config.n_head, layer
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)  # queries, keys, values at once
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x, rotary, attn_mask, cache):
        B, T, C = x.shape
        nh, hs = self.n_head, C // self.n_head

        # project and split into heads
        qkv = self.c_attn(x).view(B, T, 3 * nh, hs).transpose(1, 2)  # (B, 3 nh, T, hs)
        qk, v = qkv.split((2 * nh, nh), dim=1)  # (B, 2 nh, T, hs), (B, nh, T, hs)
        if rotary is not None:
            qk = apply_rotary(qk, *rotary)
        q, k = qk.chunk(2, dim=1)  # each (B, nh, T, hs)

        # attend to all positions so far, then join the heads again
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)  # each (B, nh, S, hs)
        y = attend(q, k, v, attn_mask)  # (B, nh, T, hs)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))  # (B, T, C)


class MLP(nn.Module):
    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)
        self.approximate = config.gelu

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate=self.approximate))  # (B, T, C)


class Block(nn.Module):
    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x, rotary, attn_mask, cache):
        x = x + self.attn(self.ln_1(x), rotary, attn_mask, cache)
        return x + self.mlp(self.ln_2(x))


def summed_loss(x, targets, wte) -> torch.Tensor:
    """Sum -log p(target) over the supervised positions. Logits are computed only there.

    x (B, T, C), targets (B, T), wte (V, C)."""
    # keep the supervised positions; oneDNN compiles kernels for every shape, so have few shapes
    supervised = (targets.flatten() != IGNORE).nonzero()[:, 0]  # (n,) indices among the B * T
    padding = -len(supervised) % LOSS_MULTIPLE
    x = x.flatten(0, 1).index_select(0, F.pad(supervised, (0, padding)))  # (n, C)
    targets = F.pad(targets.flatten()[supervised], (0, padding), value=IGNORE)  # (n,)

    # cross-entropy, a few rows at a time: all logits (n, V) would need too much memory
    loss = 0
    for h, t in zip(x.split(LOSS_ROWS), targets.split(LOSS_ROWS)):
        loss = loss + F.cross_entropy(F.linear(h, wte), t, reduction="sum")
    return loss


class GPT(nn.Module):
    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.lora = None  # what add_lora did: rank, alpha, targets

        # the weights
        learned = config.position == "learned"
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)  # also the output: tied weights
        self.wpe = nn.Embedding(config.block_size, config.n_embd) if learned else None
        self.smear = nn.Parameter(torch.full((config.n_embd,), 0.5)) if config.smear else None
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.apply(self._init)

        # constants: no looking ahead, and the rotary angles
        cos, sin = rotary_cos_sin(config.block_size, config.head_size)
        causal = torch.ones(config.block_size, config.block_size, dtype=torch.bool).tril()
        for name, buffer in (("causal", causal), ("cos", cos), ("sin", sin)):
            self.register_buffer(name, buffer, persistent=False)

    def _init(self, module: nn.Module) -> None:
        """Initialize a module. apply() visits children first, so MLP and Attention override."""
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)
        if isinstance(module, nn.Linear):  # keep the size of a signal at any width
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            nn.init.zeros_(module.bias)
        if isinstance(module, MLP):  # GPT-2: the residual stream must not grow with depth
            module.c_proj.weight.data /= math.sqrt(2 * self.config.n_layer)
        if isinstance(module, Attention):  # half the transpose of W_v: it copies from step 0
            value = module.c_attn.weight.data.chunk(3)[2]
            module.c_proj.weight.data.copy_(0.5 * value.T)

    def shift_mix(self, x, positions, cache):
        """Add smear * x[t - 1] to x[t], (B, T, C): the token shift of RWKV (Peng et al. 2023).

        To continue "Ann ... Ann", a model looks for the position *after* an earlier Ann. If a token
        knows its predecessor, that takes one layer of attention, not two (Olsson et al. 2022)."""
        before = cache.last if cache else torch.zeros_like(x[:, :1])  # (B, 1, C)
        previous = torch.cat((before, x[:, :-1]), dim=1)  # (B, T, C)
        if cache:
            cache.last = x[:, -1:]
        # the first token of a text has none before it
        return x + self.smear * previous * (positions > 0).unsqueeze(2)

    def hidden(self, ids, positions=None, mask=None, cache=None) -> torch.Tensor:
        """Compute the hidden states (B, T, C) of ids (B, T).

        positions (B, T), default 0, 1, 2, ...; mask (B, 1, T, S), True where attention is allowed,
        default causal; cache: a KVCache of the positions before, extended here."""
        # where the tokens are, and which of them may look where
        T = ids.shape[1]
        assert T <= self.config.block_size, f"{T} tokens don't fit in {self.config.block_size}"
        if positions is None:
            positions = torch.arange(T, device=ids.device)[None]  # (1, T)
        if mask is None and T > 1:  # a single token may look at everything before it
            start = cache.length if cache else 0
            mask = self.causal[start : start + T, : start + T]  # (T, S)
        attn_mask = None if mask is None else torch.where(mask, 0.0, -torch.inf)

        # embed
        x = self.wte(ids)  # (B, T, C)
        if self.smear is not None:
            x = self.shift_mix(x, positions, cache)
        if self.wpe is not None:
            x, rotary = x + self.wpe(positions), None
        else:  # each (B or 1, 1, T, hs)
            rotary = [table[positions].unsqueeze(1) for table in (self.cos, self.sin)]

        # the blocks
        for block in self.h:
            x = block(x, rotary, attn_mask, cache)
        if cache:
            cache.length += T
        return self.ln_f(x)

    def forward(self, ids, targets=None, positions=None, mask=None, cache=None, last_only=False):
        """Compute logits (B, T, V) of ids (B, T); with last_only those of the last position (B, V).

        With targets (B, T): the summed loss, -log p(target) in nats, over the supervised targets,
        which are those that are not IGNORE. positions, mask and cache as in `hidden`."""
        x = self.hidden(ids, positions, mask, cache)  # (B, T, C)
        if targets is None:
            return F.linear(x[:, -1] if last_only else x, self.wte.weight)
        return summed_loss(x, targets, self.wte.weight)

    def device(self) -> torch.device:
        return self.wte.weight.device


class KVCache:
    """Keys and values of the positions that were read already, so that each is computed once.

    kv: of every layer [keys, values], (B, n_kv_head, size, hs); last: for the shift, (B, 1, C)."""

    def __init__(self, model: nn.Module, batch_size: int, size: int):
        c, like = model.config, model.wte.weight
        shape = (batch_size, c.n_kv_head, size, c.head_size)
        self.kv = [[like.new_empty(shape), like.new_empty(shape)] for _ in range(c.n_layer)]
        self.last = like.new_zeros(batch_size, 1, c.n_embd)
        self.length = 0  # positions so far; the model updates it when all layers are done

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows of the batch but those where `rows` (B,) is True."""
        self.kv = [[keys[rows], values[rows]] for keys, values in self.kv]
        self.last = self.last[rows]

    def extend(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> list[torch.Tensor]:
        """Append k and v of one layer, (B, nh, T, hs). Returns all so far, (B, nh, S, hs) each."""
        end = self.length + k.shape[2]
        assert end <= self.kv[layer][0].shape[2], "the cache is full"
        for stored, new in zip(self.kv[layer], (k, v)):
            stored[:, :, self.length : end] = new
        return [stored[:, :, :end] for stored in self.kv[layer]]
