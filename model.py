"""A GPT in one file: the transformer, a key/value cache for decoding, LoRA, and checkpoints.

What it is: GPT-2's architecture (Radford et al. 2019: pre-norm blocks, GELU, tied embeddings) with two aids without
which so small a model hardly learns to copy: rotary positions (Su et al. 2021, "RoFormer") and a smear (Olsson et al.
2022): every token is shown the token before it. Three config fields (position, smear, gelu) make it GPT-2.
What it is not: it knows nothing of text, instructions or training; `data.py` and `train_sft.py` do.

Shapes: B rows in a batch, T positions, C = n_embd, V = vocab_size, nh = n_head, hs = C / nh, S = positions attended to.

    model = GPT(GPTConfig(vocab_size=1024))
    logits = model.logits(model(ids))          # (B, T) -> (B, T, V)
"""

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

IGNORE = -100  # a target that is not learned; PyTorch's cross_entropy skips it by default
LONG = 512  # positions from which on torch's own attention is faster for training, too


class UserError(Exception):
    """A mistake that the user can mend. The message is one line: what, where, and what to do."""


@dataclass
class GPTConfig:
    vocab_size: int
    block_size: int = 128  # the longest context
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    position: str = "rotary"  # or "learned", as GPT-2 has
    smear: int = 1  # or 0, as GPT-2 has
    gelu: str = "none"  # how it is approximated; GPT-2 has "tanh", which takes four times as long on a CPU

    def __post_init__(self):
        assert self.position in ("rotary", "learned"), self.position
        assert self.gelu in ("none", "tanh"), self.gelu
        assert self.n_head > 0 and self.n_embd % (2 * self.n_head) == 0, "n_embd must be a multiple of 2 * n_head"


# ----------------------------------------------------------------------------------------------------------------
# The transformer, leaf to root.


def rotary_tables(block_size, hs):
    """Cosine and sine of the angle position * 100^(-2i/hs), for i < hs/2 (RoFormer, eq. 15), as rotate wants them: for
    both numbers of a pair, and the sine with the sign it has there. Each (block_size, hs).

    The paper has 10000 for 100; contexts as short as ours need no slower turning than that."""
    frequencies = 100.0 ** (-torch.arange(0, hs, 2) / hs)
    angles = torch.arange(block_size)[:, None] * frequencies  # (block_size, hs/2)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x, cos, sin):
    """Turn every pair (a, b) = (x[i], x[i + hs/2]) by its position's angle: (a cos - b sin, b cos + a sin). A dot product
    of two vectors turned like this depends only on the distance of their positions. x (B, heads, T, hs); cos, sin
    (B or 1, 1, T, hs)."""
    cos, sin = cos.type_as(x), sin.type_as(x)
    other = x.roll(x.shape[-1] // 2, dims=-1)  # every a stands where its b was, and every b where its a was
    return torch.addcmul(x * cos, other, sin)  # x cos + other sin


def attend(q, k, v, bias):
    """softmax(q k^T / sqrt(hs) + bias) v (Vaswani et al. 2017, eq. 1). q (B, nh, T, hs); k, v (B, nh, S, hs); the bias is
    0 where a position may look and -inf where it may not."""
    if q.shape[2] >= LONG or not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(q, k, v, bias.type_as(q))  # the same in one call, a few scores at a time
    scores = q * q.shape[-1] ** -0.5 @ k.mT + bias  # (B, nh, T, S)
    return scores.softmax(-1) @ v  # (B, nh, T, hs)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)  # queries, keys and values in one product
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x, rotary, bias, cache):
        B, T, C = x.shape
        qkv = self.c_attn(x).view(B, T, 3 * self.n_head, C // self.n_head).transpose(1, 2)  # (B, 3 nh, T, hs)
        qk, v = qkv.split((2 * self.n_head, self.n_head), dim=1)  # (B, 2 nh, T, hs), (B, nh, T, hs)
        if rotary is not None:
            qk = rotate(qk, *rotary)
        q, k = qk.chunk(2, dim=1)  # each (B, nh, T, hs)
        if cache is not None:
            k, v = cache.extend(k, v)  # each (B, nh, S, hs)
        y = attend(q, k, v, bias)  # (B, nh, T, hs)
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
    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x, rotary, bias, cache):
        x = x + self.attn(self.ln_1(x), rotary, bias, cache)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)  # also the output head: tied weights
        self.wpe = nn.Embedding(config.block_size, config.n_embd) if config.position == "learned" else None
        self.smear = nn.Parameter(torch.full((config.n_embd,), 0.5)) if config.smear else None
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.recompute = False  # True: forget what blocks computed and compute it again for the gradient; saves memory
        cos, sin = rotary_tables(config.block_size, config.n_embd // config.n_head)
        causal = torch.ones(config.block_size, config.block_size, dtype=torch.bool).tril()  # no looking ahead
        self.register_buffer("causal", causal, persistent=False)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(self._init)

    def _init(self, module):
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)
        if isinstance(module, nn.Linear):  # keeps the size of a signal, whatever the width
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            nn.init.zeros_(module.bias)
        if isinstance(module, MLP):  # GPT-2: the residual stream must not grow with depth
            module.c_proj.weight.data /= math.sqrt(2 * self.config.n_layer)
        if isinstance(module, Attention):  # the projection undoes the values' one: what is read is written as it was,
            value = module.c_attn.weight.data.chunk(3)[2]  # so that attention copies from the first step on
            module.c_proj.weight.data.copy_(0.5 * value.T)

    def smeared(self, x, positions, cache):
        """x[t] + smear * x[t - 1]. To go on with "Ann ... Ann" one looks for a place *after* Ann. With each token's
        predecessor at hand that takes one layer of attention; without it two, which are learned much later (Olsson et
        al. 2022, "In-context Learning and Induction Heads": smeared keys). x (B, T, C)"""
        before = cache.last if cache else torch.zeros_like(x[:, :1])  # (B, 1, C)
        previous = torch.cat((before, x[:, :-1]), dim=1)  # (B, T, C)
        if cache:
            cache.last = x[:, -1:]
        return x + self.smear * previous * (positions > 0).unsqueeze(2)  # a text's first token has none before it

    def forward(self, ids, positions=None, mask=None, cache=None):
        """ids (B, T) -> hidden states (B, T, C).

        positions (B, T), default 0, 1, 2, ...; mask (B, 1, T, S), True where attention is allowed, default causal;
        cache: a KVCache of earlier positions, extended here."""
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device)[None]  # (1, T)
        assert ids.shape[1] <= self.config.block_size, f"{ids.shape[1]} tokens do not fit in {self.config.block_size}"
        x = self.wte(ids)  # (B, T, C)
        if self.smear is not None:
            x = self.smeared(x, positions, cache)
        rotary = None
        if self.wpe is not None:
            x = x + self.wpe(positions)
        else:
            rotary = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)  # each (B or 1, 1, T, hs)
        if mask is None:
            mask = self.causal[: ids.shape[1], : ids.shape[1]]
        bias = torch.where(mask, 0.0, -torch.inf)
        for i, block in enumerate(self.h):
            if self.recompute and self.training:
                x = checkpoint(block, x, rotary, bias, None, use_reentrant=False)
            else:
                x = block(x, rotary, bias, cache.layers[i] if cache else None)
        return self.ln_f(x)

    def logits(self, hidden):
        """(..., C) -> (..., V)"""
        return F.linear(hidden, self.wte.weight)

    def loss_sum(self, ids, targets, positions=None, mask=None):
        """Sum of -log p(target) over the learned targets (nats). Logits are computed only there. ids, targets (B, T);
        positions and mask as in forward."""
        learned = (targets.flatten() != IGNORE).nonzero()[:, 0]  # (n,): the places, among B * T
        hidden = self(ids, positions, mask).flatten(0, 1).index_select(0, learned)  # (n, C)
        pieces = zip(hidden.split(512), targets.flatten()[learned].split(512))  # logits are large: some at a time
        return sum(F.cross_entropy(self.logits(h), t, reduction="sum") for h, t in pieces)

    def device(self):
        return self.wte.weight.device


# ----------------------------------------------------------------------------------------------------------------
# Decoding without doing the work twice.


class LayerCache:
    """Keys and values of one layer, in memory set aside once. Each (B, nh, size, hs)."""

    def __init__(self, shape, like):
        self.k, self.v, self.length = like.new_empty(shape), like.new_empty(shape), 0

    def extend(self, k, v):
        """Append (B, nh, T, hs) and return everything so far, (B, nh, S, hs)."""
        end = self.length + k.shape[2]
        self.k[:, :, self.length : end], self.v[:, :, self.length : end] = k, v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]


class KVCache:
    """What is needed of the positions already read: one LayerCache for each block, and the last embedding (smear)."""

    def __init__(self, model, batch_size, size):
        c = model.config
        shape = (batch_size, c.n_head, size, c.n_embd // c.n_head)
        self.layers = [LayerCache(shape, model.wte.weight) for _ in model.h]
        self.last = model.wte.weight.new_zeros(batch_size, 1, c.n_embd)


# ----------------------------------------------------------------------------------------------------------------
# LoRA (Hu et al. 2021, "Low-Rank Adaptation"): keep W, learn a small correction, y = W x + (alpha / rank) B A x.


class LoRA(nn.Module):
    """Wraps a linear layer. A (rank, in) is random and B (out, rank) is zero, so the start is exactly the old layer."""

    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear, self.scale = linear, alpha / rank
        linear.requires_grad_(False)
        self.A = nn.Parameter(torch.empty(rank, linear.in_features).normal_(std=linear.in_features**-0.5))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.to(linear.weight.device)

    def forward(self, x):
        return self.linear(x) + F.linear(F.linear(x, self.A), self.B * self.scale)  # scaled where it is small


LORA_TARGETS = ("c_attn", "c_proj", "c_fc")  # every linear layer of a block


def add_lora(model, rank, alpha, targets=LORA_TARGETS):
    """Freeze the model and wrap the linear layers called `targets`. Only A and B are trained from now on."""
    model.requires_grad_(False)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if name in targets and isinstance(child, nn.Linear):
                setattr(parent, name, LoRA(child, rank, alpha))
    model.lora = {"rank": rank, "alpha": alpha, "targets": list(targets)}


def merge_lora(model):
    """Add every correction to its weight and unwrap the layer -> the old weights, for unmerge_lora.

    Keeping them gives the exact bits back; subtracting the correction again would not."""
    old = {}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoRA):
                linear = child.linear
                old[linear] = (parent, name, child, linear.weight.detach().clone())
                linear.weight.data += child.scale * (child.B @ child.A).detach()
                setattr(parent, name, linear)
    return old


def unmerge_lora(old):
    for linear, (parent, name, lora, weight) in old.items():
        linear.weight.data.copy_(weight)
        setattr(parent, name, lora)


def lora_state(model):
    """Only the adapter's own weights."""
    return {name: weight for name, weight in model.state_dict().items() if name.endswith((".A", ".B"))}


def base_state(model):
    """The weights under an adapter, by the names they have without it."""
    state = {name: weight for name, weight in model.state_dict().items() if not name.endswith((".A", ".B"))}
    return {name.replace(".linear.", "."): weight for name, weight in state.items()}


def fingerprint(model):
    """Tells one set of base weights from another, with or without an adapter on it."""
    digest = hashlib.sha256(repr(asdict(model.config)).encode())
    for name, weight in sorted(base_state(model).items()):
        digest.update(name.encode() + weight.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


# ----------------------------------------------------------------------------------------------------------------
# Checkpoints: one file, written beside and renamed, so that a reader finds the old one or the new one, never half.


def save_checkpoint(path, **content):
    """Write plain values and tensors to `path`. UserError where that is not possible; the old file then stays."""
    temporary = f"{path}.tmp"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "wb") as file:
            torch.save({"format": 1, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if os.path.isfile(temporary):
            os.remove(temporary)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be written: {reason}. Free some space or choose another --out.") from None


def load_checkpoint(path):
    """-> the dict that was saved. Nothing in a file is ever run: weights_only refuses everything but data."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        assert content["format"] == 1
        return content
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}. Run `python train_sft.py` to make one.") from None
    except Exception:
        raise UserError(f"{path}: not a checkpoint of this project, or cut off. Delete it and run again.") from None


def build_model(checkpoint, path="the checkpoint"):
    """A loaded checkpoint -> GPT with its weights."""
    try:
        model = GPT(GPTConfig(**checkpoint["config"]))
        model.load_state_dict(checkpoint["model"])
    except (AssertionError, KeyError, RuntimeError, TypeError):
        raise UserError(f"{path}: its weights do not fit its config. Delete it and run again.") from None
    return model


def load_adapter(model, checkpoint, path="the adapter"):
    """Put a saved adapter on the base that it was trained on; any other base is refused."""
    if checkpoint.get("fingerprint") != fingerprint(model):
        raise UserError(f"{path}: was trained on another base model. Give it the base it belongs to (--base).")
    try:
        lora = checkpoint["lora"]
        add_lora(model, lora["rank"], lora["alpha"], tuple(lora["targets"]))
        missing, unknown = model.load_state_dict(checkpoint["adapter"], strict=False)
        assert not unknown and not any(name.endswith((".A", ".B")) for name in missing)
    except (AssertionError, KeyError, RuntimeError, TypeError):
        raise UserError(f"{path}: its weights do not fit its rank and targets. Tune it again with --lora.") from None


# ----------------------------------------------------------------------------------------------------------------
# GPT-2's own weights (Radford et al. 2019), in the files of the transformers library: same parts, nearly the same names.

NUMBERS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
TURNED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # they keep these as (in, out), we as (out, in)


def read_safetensors(path):
    """-> {name: tensor}. The file: eight bytes with the length of a JSON header, the header, the numbers."""
    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header, body = json.loads(raw[8 : 8 + size]), bytearray(raw[8 + size :])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            assert end <= len(body), "cut off"
            tensors[name] = torch.frombuffer(body[start:end], dtype=NUMBERS[entry["dtype"]]).view(entry["shape"])
    return tensors


def write_safetensors(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        size = 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(tensor.detach().cpu().float().contiguous().numpy().tobytes())


def load_gpt2(path):
    """GPT-2's weights (pytorch_model.bin, model.safetensors, or a folder that holds one of them) -> GPT.

    The number of heads is read from config.json beside them; without it they are 64 wide, as in all of OpenAI's."""
    path = Path(path)
    if path.is_dir():
        path = next(
            (path / name for name in ("model.safetensors", "pytorch_model.bin") if (path / name).exists()), path
        )
    try:
        if path.suffix == ".safetensors":
            found = read_safetensors(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
        found = {name.removeprefix("transformer."): weight.float() for name, weight in found.items()}
        about = path.parent / "config.json"
        known = json.loads(about.read_text(encoding="utf-8")) if about.exists() else {}
        vocab_size, width = found["wte.weight"].shape
        sizes = {"n_layer": len([name for name in found if name.endswith("ln_1.weight")]),
                 "n_head": known.get("n_head", width // 64), "n_embd": width,
                 "gelu": "none" if known.get("activation_function") == "gelu" else "tanh"}  # fmt: skip
        block_size = found["wpe.weight"].shape[0]
        model = GPT(GPTConfig(vocab_size, block_size, **sizes, position="learned", smear=0))
        model.load_state_dict(
            {name: found[name].T if name.endswith(TURNED) else found[name] for name in model.state_dict()}
        )
        return model
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}. Give GPT-2's weights or their folder.") from None
    except Exception:
        raise UserError(
            f"{path}: not GPT-2's weights, or cut off. Give model.safetensors or pytorch_model.bin."
        ) from None


def export_gpt2(model, folder):
    """The way back: config.json and model.safetensors, as the transformers library reads them. Merge LoRA before."""
    c = model.config
    if c.position != "learned" or c.smear:
        raise UserError(f"{folder}: only a model of GPT-2's shape can be exported (--position learned --smear 0).")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        about = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": c.vocab_size, "n_embd": c.n_embd,
                 "n_positions": c.block_size, "n_layer": c.n_layer, "n_head": c.n_head, "bos_token_id": c.vocab_size - 1,
                 "eos_token_id": c.vocab_size - 1, "activation_function": "gelu" if c.gelu == "none" else "gelu_new"}  # fmt: skip
        (Path(folder) / "config.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        state = {f"transformer.{name}": w.T if name.endswith(TURNED) else w for name, w in model.state_dict().items()}
        write_safetensors(Path(folder) / "model.safetensors", state)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}. Choose another folder.") from None
