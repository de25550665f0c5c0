"""Checkpoints: one file for a model or an adapter, never half written, never run as code.

A model is saved with its tokenizer, its template, and what it was trained on. A tuned model also
knows the fingerprint of its base, so that no two files are mixed that don't belong together. A file
is written beside the old one and then renamed, so you always find the old one or the new one."""

import hashlib
import json
import os
import zipfile
from dataclasses import asdict
from pathlib import Path

import torch

from common.cli import UserError, require
from common.lora import add_lora
from data import TEMPLATES, Tokenizer
from model import GPT, GPTConfig

FORMAT = 3
ADAPTER = (".lora_A", ".lora_B")  # endings of the names of an adapter's own weights
BASE_SETTINGS = (  # the flags that make a base; a later run takes them from its checkpoint
    "seed", "hold_out", "quick", "base", "corpus", "vocab_size", "block_size", "n_layer", "n_head",
    "n_embd", "smear", "pretrain_steps", "pretrain_batch", "pretrain_lr", "seq_len",
)  # fmt: skip

# ---- Files ---------------------------------------------------------------------------------------


def atomic_write(path, write) -> None:
    """Call write(file) on a new file, which then replaces `path`. On an error the old one stays."""
    temporary = f"{path}.tmp"
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # never replace /dev/stdout
            with open(path, "wb") as file:
                return write(file)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # PyTorch's message for a full disk is not readable
        if os.path.isfile(temporary):
            os.remove(temporary)
        reason = getattr(error, "strerror", None) or "No space left on device"
        remedy = "Free some space or choose another path."
        raise UserError(f"{path}: can't be written: {reason}. {remedy}") from None


def save_checkpoint(path, **content) -> None:
    """Save plain values and tensors."""
    atomic_write(path, lambda file: torch.save({"format": FORMAT, **content}, file))


def save_json(path, content) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=1)
    atomic_write(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def load_checkpoint(path) -> dict:
    """Load what was saved. Nothing in a file is ever run: weights_only refuses all but data."""
    try:
        with zipfile.ZipFile(path) as file:
            require(file.testzip() is None)  # the checksums; PyTorch doesn't look at them
        content = torch.load(path, map_location="cpu", weights_only=True)
        require(content["format"] == FORMAT)
        return content
    except OSError as error:
        remedy = "Run `python train_sft.py` to make one."
        raise UserError(f"{path}: can't be read: {error.strerror}. {remedy}") from None
    except Exception:
        remedy = "Delete it and run again."
        raise UserError(f"{path}: not a checkpoint of this version, or damaged. {remedy}") from None


# ---- Does this belong to that? -------------------------------------------------------------------


def hash_tensors(*parts) -> str:
    """Hash tensors, arrays and texts. Equal hashes mean equal content."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, torch.Tensor):
            part = part.detach().cpu().contiguous().numpy()
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()[:16]


def fingerprint(model) -> str:
    """Hash the weights of a base, with or without an adapter on it."""
    if hasattr(model, "fingerprint"):  # a base that is read from a file has that of the file
        return model.fingerprint
    parts = [repr(asdict(model.config))]
    for name, weight in sorted(base_state(model).items()):
        parts += [name, weight.float()]
    return hash_tensors(*parts)


def must_match(actual, expected, message: str) -> None:
    """Refuse two things that don't belong together."""
    if actual != expected:
        raise UserError(message)


def inherit_config(path, given: dict) -> dict:
    """Return the settings that made the base at `path`. Flags that were given must agree."""
    remedy = f"Give --fresh to make {path} anew, or another --out."
    made_with = load_checkpoint(path).get("trained_on")
    if not isinstance(made_with, dict) or not set(BASE_SETTINGS) <= set(made_with):
        raise UserError(f"{path}: doesn't say what made it. {remedy}")
    made_with = {name: made_with[name] for name in BASE_SETTINGS}
    for name, value in given.items():
        if name in made_with and name != "corpus":  # a corpus is compared by its hash
            flag = name.replace("_", "-")
            message = f"--{flag} {value}: {path} was made with {made_with[name]}. {remedy}"
            must_match(value, made_with[name], message)
    return made_with


# ---- Models --------------------------------------------------------------------------------------


def load_weights(model, weights: dict, strict=True) -> None:
    """Put saved weights into a model. Any that are not finite are refused: its answers would be
    nonsense without a word."""
    require(all(bool(weight.isfinite().all()) for weight in weights.values()))
    model.load_state_dict(weights, strict=strict)


def build_model(content: dict, path="the checkpoint") -> GPT:
    """Build the GPT of a loaded checkpoint."""
    try:
        model = GPT(GPTConfig(**content["config"]))
        load_weights(model, content["model"])
        return model
    except Exception:
        remedy = "Delete it and run again."
        raise UserError(f"{path}: its weights don't fit its config. {remedy}") from None


def base_path(path, content: dict) -> Path:
    """Find the base of a tuned checkpoint, which names it relative to its own folder.

    Raises UserError if the checkpoint is a base itself."""
    if "fingerprint" not in content:
        raise UserError(f"{path}: is a base, not a tuned model. Give its tuned.pt or lora.pt.")
    return Path(path).parent / str(content.get("base", "base.pt"))


def load_model(path):
    """Load a checkpoint. Returns (model, tokenizer, content). An adapter finds its base."""
    content = load_checkpoint(path)
    try:
        require(content["template"] in (None, *TEMPLATES))
        # the tokenizer of Gemma is in the file of its weights
        in_file = "adapter" in content and content["tokenizer"] is None
        tokenizer = None if in_file else Tokenizer.from_state(content["tokenizer"])
    except Exception:
        remedy = "Delete it and run again."
        raise UserError(f"{path}: its tokenizer or template is damaged. {remedy}") from None

    if "adapter" not in content:
        model = build_model(content, path)
    elif in_file:
        from gemma.load import load_gemma

        model, tokenizer = load_gemma(str(content["base"]))
        load_adapter(model, content, path, content["base"])
    else:
        base = base_path(path, content)
        model = build_model(load_checkpoint(base), base)
        load_adapter(model, content, path, base)
    if tokenizer.vocab_size != model.config.vocab_size:
        raise UserError(f"{path}: its tokenizer doesn't fit its weights. Delete it and run again.")
    return model, tokenizer, content


def lora_state(model) -> dict:
    """Return only the adapter's own weights."""
    return {name: w for name, w in model.state_dict().items() if name.endswith(ADAPTER)}


def base_state(model) -> dict:
    """Return the weights below an adapter, by the names they have without it."""
    state = {}
    for name, weight in model.state_dict().items():
        if not name.endswith(ADAPTER):
            state[name.replace(".linear.", ".")] = weight
    return state


def load_adapter(model, content: dict, path="the adapter", base="its base") -> None:
    """Put a saved adapter on the base that it was trained on. Any other base is refused."""
    remedy = "Put the right one there, or tune it again."
    message = f"{path}: was trained on another base than {base}. {remedy}"
    must_match(content.get("fingerprint"), fingerprint(model), message)
    try:
        add_lora(model, **content["lora"])
        require(content["adapter"].keys() == lora_state(model).keys())
        load_weights(model, content["adapter"], strict=False)
    except Exception:
        remedy = "Tune it again with --lora."
        raise UserError(f"{path}: its weights don't fit its rank or targets. {remedy}") from None
