"""Checkpoints: what it adds is one file for a model or an adapter, never half written, never run as code.

You can skip this: to understand tuning it is enough to know that a model is saved with its tokenizer and its template.
A file is written beside the old one and renamed, so that a reader finds the old one or the new one. It is a zip file
with a checksum (CRC-32) of every part, and what it says of sizes is believed only where it holds such weights.
"""

import hashlib
import json
import math
import os
import zipfile
from dataclasses import asdict
from pathlib import Path

import torch

from data import WORD, Tokenizer, UserError, get_template
from model import GPT, LORA_TARGETS, GPTConfig, add_lora

ADAPTER = (".lora_A", ".lora_B")  # how the names of an adapter's own weights end
GPT2_WORD = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LARGEST = {"vocab_size": 2**17, "block_size": 2**13, "n_layer": 96, "n_head": 96, "n_embd": 2**13, "smear": 1}
TEXT, NUMBERS = (str, type(None)), ("seed", "vocab_size", "block_size", "n_layer", "n_head", "n_embd", "smear",
                                    "pretrain_steps", "pretrain_batch", "pretrain_lr", "seq_len")
MADE_WITH = {"quick": bool, "hold_out": list, "corpus": TEXT, "base": TEXT} | dict.fromkeys(NUMBERS, (int, float))


def write_whole(path, write):
    """write(file) into a new file, which then takes the place of `path`. UserError where that is not possible; the old
    file then stays."""
    temporary = f"{path}.tmp"
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # /dev/stdout: nothing may take the place of a device
            with open(path, "wb") as file:
                return write(file)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # of a full disk torch says something that is not for people
        if os.path.isfile(temporary):
            os.remove(temporary)
        reason = getattr(error, "strerror", None) or "No space left on device"
        raise UserError(f"{path}: cannot be written: {reason}. Free some space or choose another place.") from None


def save_checkpoint(path, **content):
    """Plain values and tensors."""
    write_whole(path, lambda file: torch.save({"format": 2, **content}, file))


def save_json(path, content):
    text = json.dumps(content, ensure_ascii=False, indent=1)
    write_whole(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def load_checkpoint(path):
    """The dict that was saved. Nothing in a file is ever run: weights_only refuses everything but data."""
    try:
        with zipfile.ZipFile(path) as file:
            assert sum(part.file_size for part in file.infolist()) <= os.path.getsize(path), "nothing is compressed"
            assert file.testzip() is None, "a checksum differs"
        content = torch.load(path, map_location="cpu", weights_only=True)
        assert content["format"] == 2
        return content
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}. Run `python train_sft.py` to make one.") from None
    except Exception:
        raise UserError(f"{path}: not a checkpoint of this project, or damaged. Delete it and run again.") from None


def check_weights(weights, like):
    """Exactly the names and shapes of `like`, finite, and every number really in the file."""
    assert {name: weight.shape for name, weight in weights.items()} == {name: w.shape for name, w in like.items()}
    stored = {weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes() for weight in weights.values()}
    assert sum(stored.values()) >= sum(4 * weight.numel() for weight in weights.values())
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in weights.values())


def build_model(content, path="the checkpoint"):
    """A loaded checkpoint -> GPT with its weights."""
    try:
        sizes = {name: content["config"][name] for name in LARGEST}
        assert all(type(size) is int and 0 <= size <= LARGEST[name] for name, size in sizes.items())
        with torch.device("meta"):  # takes no memory
            check_weights(content["model"], GPT(GPTConfig(**content["config"])).state_dict())
        model = GPT(GPTConfig(**content["config"]))
        model.load_state_dict(content["model"])
        return model
    except Exception:
        raise UserError(f"{path}: its weights do not fit its config. Delete it and run again.") from None


def load_model(path):
    """A checkpoint's path -> (model, tokenizer, content). An adapter finds its base beside it."""
    content = load_checkpoint(path)
    if "adapter" in content:
        base = Path(path).parent / Path(str(content.get("base"))).name  # never in another folder
        model = build_model(load_checkpoint(base), base)
        load_adapter(model, content, path, base)
    else:
        model = build_model(content, path)
    try:
        tokens, about = [token.encode("latin-1") for token in content["tokenizer"]["tokens"]], content["trained_on"]
        assert len(set(tokens)) == len(tokens) and {bytes([byte]) for byte in range(256)} <= set(tokens)
        assert content["tokenizer"]["pattern"] in (WORD, GPT2_WORD)
        tokenizer = Tokenizer.from_state(content["tokenizer"])
        assert tokenizer.vocab_size == model.config.vocab_size
        assert type(about.get("seed", 0)) is int and all(type(name) is str for name in about.get("hold_out", ()))
        assert isinstance(content["template"], (str, type(None)))
    except Exception:
        raise UserError(f"{path}: its tokenizer, template or origin is damaged. Delete it and run again.") from None
    if content["template"]:
        get_template(content["template"])
    return model, tokenizer, content


def lora_state(model):
    """Only the adapter's own weights."""
    return {name: weight for name, weight in model.state_dict().items() if name.endswith(ADAPTER)}


def base_state(model):
    """The weights under an adapter, by the names they have without it."""
    state = {name: weight for name, weight in model.state_dict().items() if not name.endswith(ADAPTER)}
    return {name.replace(".linear.", "."): weight for name, weight in state.items()}


def fingerprint(model, weights=None):
    """Tells one set of weights from another; without `weights` those of the base, with or without an adapter on it."""
    digest = hashlib.sha256(repr(asdict(model.config)).encode())
    for name, weight in sorted((weights or base_state(model)).items()):
        digest.update(name.encode() + weight.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def load_adapter(model, content, path="the adapter", base="its base"):
    """Put a saved adapter on the base that it was trained on; any other base is refused."""
    if content.get("fingerprint") != fingerprint(model):
        raise UserError(f"{path}: was trained on another base than {base}. Put the right one there, or tune it again.")
    try:
        rank, alpha, targets = (content["lora"][name] for name in ("rank", "alpha", "targets"))
        assert type(rank) is int and 0 < rank <= 1024 and math.isfinite(alpha) and set(targets) <= set(LORA_TARGETS)
        add_lora(model, rank, alpha, tuple(targets))
        check_weights(content["adapter"], lora_state(model))
        model.load_state_dict(content["adapter"], strict=False)
    except Exception:
        raise UserError(f"{path}: its weights do not fit its rank and targets. Tune it again with --lora.") from None


def digest(stream):
    """Tells one corpus from another, by its tokens."""
    return hashlib.sha256(stream.numpy() if isinstance(stream, torch.Tensor) else stream).hexdigest()[:16]


def another(flag, path):
    """The error for a base that was made otherwise than the flags say."""
    return UserError(f"{flag}. Give --fresh to make {path} anew, or another --out.")


def take_over(config, content, path):
    """A base knows what made it: a flag that was given must say the same; the others become those of the base."""
    made = content.get("trained_on")
    try:
        made = {name: made[name] for name in MADE_WITH}
        assert all(isinstance(made[name], kind) for name, kind in MADE_WITH.items())
    except (AssertionError, KeyError, TypeError):
        raise another(f"{path}: does not say what made it", path) from None
    for name, asked in (config.given | {"quick": config.quick}).items():
        if name in made and name != "corpus" and asked != made[name]:  # a corpus is told by its digest
            raise another(f"--{name.replace('_', '-')} {asked}: {path} was made with {made[name]}", path)
    vars(config).update({name: value for name, value in made.items() if name not in config.given})
