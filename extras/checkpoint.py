"""Checkpoints: what it adds is one file for a model or an adapter, never half written, never run as code.

You can skip this: to understand tuning it is enough to know that a model is saved with its tokenizer and its template.
A file is written beside the old one and renamed, so that a reader finds the old one or the new one.
"""

import hashlib
import os
from dataclasses import asdict

import torch

from data import UserError
from model import GPT, GPTConfig, add_lora

ADAPTER = (".lora_A", ".lora_B")  # how the names of an adapter's own weights end


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
    """The dict that was saved. Nothing in a file is ever run: weights_only refuses everything but data."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        assert content["format"] == 1
        return content
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}. Run `python train_sft.py` to make one.") from None
    except Exception:
        raise UserError(f"{path}: not a checkpoint of this project, or cut off. Delete it and run again.") from None


def build_model(content, path="the checkpoint"):
    """A loaded checkpoint -> GPT with its weights."""
    try:
        model = GPT(GPTConfig(**content["config"]))
        model.load_state_dict(content["model"])
    except (AssertionError, KeyError, RuntimeError, TypeError):
        raise UserError(f"{path}: its weights do not fit its config. Delete it and run again.") from None
    return model


def lora_state(model):
    """Only the adapter's own weights."""
    return {name: weight for name, weight in model.state_dict().items() if name.endswith(ADAPTER)}


def base_state(model):
    """The weights under an adapter, by the names they have without it."""
    state = {name: weight for name, weight in model.state_dict().items() if not name.endswith(ADAPTER)}
    return {name.replace(".linear.", "."): weight for name, weight in state.items()}


def fingerprint(model):
    """Tells one set of base weights from another, with or without an adapter on it."""
    digest = hashlib.sha256(repr(asdict(model.config)).encode())
    for name, weight in sorted(base_state(model).items()):
        digest.update(name.encode() + weight.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def load_adapter(model, content, path="the adapter", base="its base"):
    """Put a saved adapter on the base that it was trained on; any other base is refused."""
    if content.get("fingerprint") != fingerprint(model):
        raise UserError(f"{path}: was trained on another base than {base}. Put the right one there, or tune it again.")
    try:
        lora = content["lora"]
        add_lora(model, lora["rank"], lora["alpha"], tuple(lora["targets"]))
        missing, unknown = model.load_state_dict(content["adapter"], strict=False)
        assert not unknown and not any(name.endswith(ADAPTER) for name in missing)
    except (AssertionError, KeyError, RuntimeError, TypeError):
        raise UserError(f"{path}: its weights do not fit its rank and targets. Tune it again with --lora.") from None
