"""GPT-2's own weights (Radford et al. 2019): `--base FOLDER`.

The folder has config.json, vocab.json and model.safetensors or pytorch_model.bin, as the
transformers library keeps them. GPT-2 has the same parts as our model, under similar names."""

import contextlib
import json
import math
from pathlib import Path

import torch

from common.cli import UserError
from data import EOS, Tokenizer
from model import GPT, GPTConfig

# What GPT-2 takes for a word, as data.WORD does for our own tokenizer.
GPT2_WORD = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GELU = {"gelu_pytorch_tanh": "tanh", "gelu_new": "tanh", "gelu": "none"}
# They keep some weights as (in, out), we as (out, in).
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
KNOWN = {  # what config.json may say; anything else would be another model
    "model_type": ("gpt2",),
    "activation_function": tuple(GELU),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
}


def load_base(folder) -> tuple[GPT, Tokenizer]:
    """Load a folder with GPT-2's files."""
    folder = Path(folder)
    if not folder.is_dir():
        known = "gemma, a .gguf file, a base.pt, or a folder with GPT-2's files"
        raise UserError(f"--base {folder}: not found. Give {known}.")
    model, tokenizer = load_gpt2(folder), gpt2_tokenizer(folder)
    if tokenizer.vocab_size != model.config.vocab_size:
        sizes = f"{model.config.vocab_size} tokens in the weights, {tokenizer.vocab_size} in vocab"
        raise UserError(f"{folder}: {sizes}.json. Take both from one model.")
    return model, tokenizer


@contextlib.contextmanager
def reading(path):
    """Turn every error while a file is read into one line: missing, or damaged."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        files = "config.json, vocab.json and model.safetensors"
        raise UserError(f"{error.filename}: can't be read. Put {files} in one folder.") from None
    except Exception:  # there is no end to what a damaged file makes its reader raise
        raise UserError(f"{path}: not GPT-2's, or cut off. Get it again.") from None


def byte_letters() -> dict[int, str]:
    """Map each byte to the visible letter that GPT-2's files write for it.

    Visible bytes are their own letters, the others become the letters from 256 on."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    invisible = [byte for byte in range(256) if byte not in visible]
    letters = {byte: chr(byte) for byte in visible}
    return letters | {byte: chr(256 + i) for i, byte in enumerate(invisible)}


def gpt2_tokenizer(folder: Path) -> Tokenizer:
    """Read GPT-2's tokenizer from vocab.json."""
    file = folder / "vocab.json"
    byte_of = {letter: byte for byte, letter in byte_letters().items()}
    with reading(file):
        ids = json.loads(file.read_text(encoding="utf-8"))
        tokens = [token for token in sorted(ids, key=ids.get) if token != EOS]
        tokens = [bytes(byte_of[letter] for letter in token) for token in tokens]
        return Tokenizer(tokens, GPT2_WORD)


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of eight bytes with the length of a JSON header, the header, and the numbers."""
    raw = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:start]).items():
        if entry.get("dtype") in DTYPES:
            count, offset = math.prod(entry["shape"]), start + entry["data_offsets"][0]
            dtype = DTYPES[entry["dtype"]]
            numbers = torch.frombuffer(raw, dtype=dtype, count=count, offset=offset)
            tensors[name] = numbers.view(entry["shape"])
    return tensors


def load_gpt2(folder: Path) -> GPT:
    """Read config.json and the weights."""
    path = folder / "model.safetensors"
    if not path.exists():
        path = folder / "pytorch_model.bin"
    with reading(path):
        # the sizes; anything unknown is another model
        about = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
        for name, values in KNOWN.items():
            if about.get(name, values[0]) not in values:
                known = " or ".join(map(str, values))
                reason = f"{name} is {about[name]!r}, and we only know {known}"
                raise UserError(f"{path.parent}/config.json: {reason}. Give a GPT-2.")
        sizes = {name: about[name] for name in ("vocab_size", "n_layer", "n_head", "n_embd")}
        sizes["block_size"] = about["n_positions"]
        gelu = GELU[about.get("activation_function", "gelu_new")]
        model = GPT(GPTConfig(**sizes, position="learned", smear=0, gelu=gelu))

        # the weights
        if path.suffix == ".bin":
            theirs = torch.load(path, map_location="cpu", weights_only=True)
        else:
            theirs = read_safetensors(path)
        theirs = {name.removeprefix("transformer."): weight for name, weight in theirs.items()}
        weights = {}
        for name in model.state_dict():
            weights[name] = theirs[name].T if name.endswith(TRANSPOSED) else theirs[name]
        model.load_state_dict(weights)
        return model
