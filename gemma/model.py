"""Gemma 3 270M, a real base model with the interface of `model.GPT`.

Each method below explains one difference from GPT-2. The source is the report
"Gemma 3" (Gemma Team 2025, arXiv 2503.19786) unless another one is named.

Five of six layers look at the last 512 positions only. The context here is 512, so they see all of
it, and the sliding window falls away. No layer has a bias. Shapes are named as in model.py, but
hs = head_size, which is not C / nh.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from model import IGNORE, apply_rotary

LORA_TARGETS = ("attn_q", "attn_k", "attn_v", "attn_output")  # attention's four matrices
NEAR_BASE, FAR_EVERY = 10_000, 6  # the rotary base of most layers; each sixth layer has another
KEPT_ROWS = 256  # rows whose logits are kept for the gradient
LOGIT_ROWS = 128  # a row has 262,144 logits, 1 MB: so many rows at a time


@dataclass
class GemmaConfig:
    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    n_inner: int  # width of the MLP
    head_size: int
    far_base: float  # the rotary base of each sixth layer
    n_kv_head: int = 1
    block_size: int = 512


def linear(n_in, n_out):
    """A matrix that has no numbers, and takes no memory, before it is loaded."""
    return nn.Linear(n_in, n_out, bias=False, device="meta")


class RMSNorm(nn.Module):
    """Divides a vector by its root mean square (Zhang & Sennrich 2019) and, unlike LayerNorm,
    subtracts no mean. GGUF files contain the gain; Google's contain gain - 1."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, device="meta"))

    def forward(self, x):
        return F.rms_norm(x.float(), x.shape[-1:], self.weight.float(), eps=1e-6)


class Block(nn.Module):
    """There is a norm before *and* after attention and MLP, so that neither can flood the stream.
    Layers have the names that they have in GGUF files."""

    def __init__(self, config, layer):
        super().__init__()
        self.layer, self.n_head, self.hs = layer, config.n_head, config.head_size
        C, inner, hs, all_heads = config.n_embd, config.n_inner, self.hs, self.n_head * self.hs
        self.attn_norm, self.post_attention_norm = RMSNorm(C), RMSNorm(C)
        self.attn_q, self.attn_k, self.attn_v = linear(C, all_heads), linear(C, hs), linear(C, hs)
        self.attn_q_norm, self.attn_k_norm = RMSNorm(hs), RMSNorm(hs)
        self.attn_output = linear(all_heads, C)
        self.ffn_norm, self.post_ffw_norm = RMSNorm(C), RMSNorm(C)
        self.ffn_gate, self.ffn_up = linear(C, inner), linear(C, inner)
        self.ffn_down = linear(inner, C)

    def attention(self, x, rotary, attn_mask, cache):
        """All heads share the keys and values of one ("multi-query", Shazeer 2019), which makes the
        cache a quarter of its size. Queries and keys are normed, so that scores cannot grow without
        bounds (Dehghani et al. 2023). x (B, T, C) -> (B, T, C)"""
        B, T, _ = x.shape
        q = self.attn_q(x).view(B, T, self.n_head, self.hs).transpose(1, 2)  # (B, nh, T, hs)
        k, v = self.attn_k(x).unsqueeze(1), self.attn_v(x).unsqueeze(1)  # each (B, 1, T, hs)
        q = apply_rotary(self.attn_q_norm(q), *rotary) * self.hs**-0.5
        k = apply_rotary(self.attn_k_norm(k), *rotary)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)  # each (B, 1, S, hs)

        # The queries of all heads in one product: for the shared keys they are nh * T positions.
        scores = q.reshape(B, 1, self.n_head * T, self.hs) @ k.type_as(q).mT  # (B, 1, nh * T, S)
        weights = (scores.view(B, self.n_head, T, -1) + attn_mask).softmax(-1)  # (B, nh, T, S)
        y = weights.view(B, 1, self.n_head * T, -1) @ v.type_as(weights)  # (B, 1, nh * T, hs)
        y = y.view(B, self.n_head, T, self.hs).transpose(1, 2)  # (B, T, nh, hs)
        return self.attn_output(y.reshape(B, T, self.n_head * self.hs))  # (B, T, C)

    def mlp(self, x):
        """One matrix makes features and a second one gates them, says how much of each passes
        ("GEGLU", Shazeer 2020). x (B, T, C) -> (B, T, C)"""
        gate = F.gelu(self.ffn_gate(x), approximate="tanh")  # (B, T, inner)
        return self.ffn_down(gate * self.ffn_up(x))

    def forward(self, x, rotary, attn_mask, cache):
        y = self.attention(self.attn_norm(x), rotary, attn_mask, cache)
        x = x + self.post_attention_norm(y)
        return x + self.post_ffw_norm(self.mlp(self.ffn_norm(x)))


def rotary_table(base, config):
    """Cosine and sine of the angle position * base^(-2i/hs) (RoFormer, eq. 15) as `apply_rotary`
    wants them, (2, block_size, hs). Two bases: with 1,000,000 a layer turns its vectors so slowly
    that it can compare positions that are far apart, with 10,000 only near ones."""
    frequencies = base ** (-torch.arange(0, config.head_size, 2) / config.head_size)  # (hs/2,)
    angles = torch.arange(config.block_size)[:, None] * frequencies  # (block_size, hs/2)
    cos, sin = angles.cos(), angles.sin()
    return torch.stack((torch.cat((cos, cos), dim=1), torch.cat((-sin, sin), dim=1)))


class Gemma(nn.Module):
    """Has no weights before `load_state_dict(weights, assign=True)`. With weights in bfloat16 its
    products are computed in bfloat16, and norms, stream and loss in float32."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        table = torch.empty(config.vocab_size, config.n_embd, device="meta")
        self.wte = nn.Embedding.from_pretrained(table, freeze=False)  # also the output head
        self.blk = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.output_norm = RMSNorm(config.n_embd)
        self.lora = None  # as in GPT
        self.lora_targets = LORA_TARGETS
        causal = torch.ones(config.block_size, config.block_size, dtype=torch.bool).tril()
        self.register_buffer("causal", causal, persistent=False)
        self.register_buffer("near", rotary_table(NEAR_BASE, config), persistent=False)
        self.register_buffer("far", rotary_table(config.far_base, config), persistent=False)

    def device(self):
        return self.wte.weight.device

    def hidden(self, ids, positions=None, mask=None, cache=None):
        """ids (B, T) -> hidden states (B, T, C) in float32. Arguments as in `GPT.hidden`."""
        T = ids.shape[1]
        assert T <= self.config.block_size, f"{T} tokens do not fit in {self.config.block_size}"
        if positions is None:
            positions = torch.arange(T, device=ids.device)[None]  # (1, T)
        if mask is None:
            start = cache.length if cache else 0
            mask = self.causal[start : start + T, : start + T]  # (T, S)
        attn_mask = torch.where(mask, 0.0, -torch.inf)
        near = self.near[:, positions].unsqueeze(2)  # (2, B or 1, 1, T, hs)
        far = self.far[:, positions].unsqueeze(2)  # (2, B or 1, 1, T, hs)

        # Embeddings are multiplied by sqrt(C), since rows of the head are too small for the stream.
        x = self.wte(ids).float() * math.sqrt(self.config.n_embd)  # (B, T, C)
        for layer, block in enumerate(self.blk, start=1):
            rotary = far if layer % FAR_EVERY == 0 else near
            x = block(x, rotary, attn_mask, cache)
        if cache:
            cache.length += T
        return self.output_norm(x)

    def forward(self, ids, targets=None, positions=None, mask=None, cache=None, last_only=False):
        """Compute logits (B, T, V), or with targets (B, T) the summed loss, as `GPT.forward`."""
        in_bf16 = self.wte.weight.dtype == torch.bfloat16
        with torch.autocast(self.device().type, torch.bfloat16, enabled=in_bf16):
            x = self.hidden(ids, positions, mask, cache)  # (B, T, C)
            if targets is not None:
                supervised = targets != IGNORE  # (B, T)
                return self.loss(x[supervised], targets[supervised])
            if not last_only:
                return F.linear(x, self.wte.weight).float()
            x = x[:, -1].type_as(self.wte.weight)  # (B, C)
            return (self.wte.weight @ x.T).T.float()  # (B, V); for few rows the quicker order

    def loss(self, x, targets):
        """Sum the loss of hidden states (n, C) and targets (n,), a few rows at a time.

        The logits of many rows are computed again for the gradient, since they would need too much
        memory."""

        def of_rows(x, targets):
            return F.cross_entropy(F.linear(x, self.wte.weight).float(), targets, reduction="sum")

        recompute = self.training and len(targets) > KEPT_ROWS
        loss = x.sum() * 0  # without a target, the gradient is 0
        for rows in zip(x.split(LOGIT_ROWS), targets.split(LOGIT_ROWS)):
            if recompute:
                loss = loss + checkpoint(of_rows, *rows, use_reentrant=False)
            else:
                loss = loss + of_rows(*rows)
        return loss
