"""GPT-2's own weights (Radford et al. 2019): what it adds is `--base gpt2`, and the way back by `generate.py --export`.

You can skip this: GPT-2 has the same parts under nearly the same names, in the files of the transformers library.
"""

import contextlib
import hashlib
import http.client
import json
import math
import shutil
import urllib.request
from itertools import chain
from pathlib import Path

import torch
from tqdm import tqdm

from data import EOS, Tokenizer, UserError
from common.checkpoint import GPT2_WORD, save_json, write_whole
from model import GPT, GPTConfig

SIZES = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
FILES = ("config.json", "vocab.json", "model.safetensors")
URL = "https://huggingface.co/openai-community/{}/resolve/main/{}"
CHECKSUMS = {  # sha256; the weights of the larger ones are checked for their length only
    "gpt2/model.safetensors": "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
    "vocab.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
}

# Their names and ours, for both ways. They keep the weights TRANSPOSED as (in, out), we as (out, in).
FIELDS = {"vocab_size": "vocab_size", "n_positions": "block_size"} | {n: n for n in ("n_layer", "n_head", "n_embd")}
GELU = {"gelu_pytorch_tanh": "tanh", "gelu_new": "tanh", "gelu": "none"}
KNOWN = {  # what config.json may say; anything else would be another model
    "model_type": ("gpt2",), "activation_function": tuple(GELU), "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,), "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
}
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def load_base(name, folder):
    """One of SIZES (fetched once into the folder), or a file or folder with such weights -> (model, tokenizer)."""
    source = Path(folder) / name if name in SIZES else Path(name)
    for file in FILES if name in SIZES else ():
        fetch(URL.format(name, file), source / file, CHECKSUMS.get(f"{name}/{file}", CHECKSUMS.get(file)))
    model, tokenizer = load_gpt2(source), gpt2_tokenizer(source if source.is_dir() else source.parent)
    if tokenizer.vocab_size != model.config.vocab_size:
        sizes = f"weights for {model.config.vocab_size} tokens, but a vocabulary of {tokenizer.vocab_size}"
        raise UserError(f"{source}: {sizes}. Fetch both again.")
    return model, tokenizer


def fetch(url, path, checksum=None):
    """Download a file once, with a progress bar. A broken download continues where it stopped."""
    path, part = Path(path), Path(f"{path}.part")
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(part, "ab") as file:
            request = urllib.request.Request(url, headers={"Range": f"bytes={file.tell()}-"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                if answer.status != 206:  # the server does not continue, it begins anew
                    file.truncate(0)
                size = file.tell() + int(answer.headers.get("Content-Length", 0))
                look = {"total": size, "initial": file.tell(), "desc": path.name, "ncols": 78}
                with tqdm.wrapattr(answer, "read", **look) as pieces:
                    shutil.copyfileobj(pieces, file)
        if part.stat().st_size < size:
            raise OSError("the connection was cut")
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = (getattr(error, "headers", None) or {}).get("Content-Range")
        if said != f"bytes */{part.stat().st_size if part.exists() else 0}":  # else all is here already
            remedy = "Run again to continue, or fetch it elsewhere and give --base FOLDER."
            raise UserError(f"{url}: cannot be fetched: {error}. {remedy}") from None
    if checksum and hashlib.sha256(part.read_bytes()).hexdigest() != checksum:
        part.unlink()
        raise UserError(f"{url}: what came is damaged (its checksum differs). Run again.")
    part.replace(path)


@contextlib.contextmanager
def reading(path):
    """Around the reading of one of GPT-2's files: a file that is missing or damaged is the user's to mend."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read. Put {', '.join(FILES)} in one folder.") from None
    except Exception:  # there is no end to what a damaged file makes its reader raise
        raise UserError(f"{path}: not GPT-2's, or cut off. Fetch it again.") from None


def byte_letters():
    """GPT-2's files write every byte as one visible letter: those that are visible as themselves, the others as the
    letters from 256 on."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    invisible = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(invisible)}


def gpt2_tokenizer(folder):
    """GPT-2's tokenizer, from the vocab.json in the folder."""
    file, byte_of = Path(folder) / "vocab.json", {letter: byte for byte, letter in byte_letters().items()}
    with reading(file):
        ids = json.loads(file.read_text(encoding="utf-8"))
        return Tokenizer([bytes(byte_of[c] for c in token) for token in sorted(ids, key=ids.get) if token != EOS], GPT2_WORD)


def read_safetensors(path):
    """{name: tensor}. The file is eight bytes with the length of a JSON header, the header, the numbers."""
    raw = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:start]).items():
        if entry.get("dtype") in DTYPES:
            where = {"count": math.prod(entry["shape"]), "offset": start + entry["data_offsets"][0]}
            tensors[name] = torch.frombuffer(raw, dtype=DTYPES[entry["dtype"]], **where).view(entry["shape"])
    return tensors


def write_safetensors(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, at + 4 * tensor.numel()]}
        at += 4 * tensor.numel()
    text = json.dumps(header).encode()
    numbers = (tensor.contiguous().numpy().tobytes() for tensor in tensors.values())
    write_whole(path, lambda file: file.writelines(chain([len(text).to_bytes(8, "little"), text], numbers)))


def load_gpt2(path):
    """A folder with config.json and weights (model.safetensors or pytorch_model.bin), or that file of weights -> GPT"""
    path = Path(path)
    path = next((path / name for name in (FILES[2], "pytorch_model.bin") if (path / name).exists()), path)
    with reading(path):
        is_bin = path.suffix != ".safetensors"
        weights = torch.load(path, map_location="cpu", weights_only=True) if is_bin else read_safetensors(path)
        weights = {name.removeprefix("transformer."): weight for name, weight in weights.items()}
        about = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
        for name, values in KNOWN.items():
            if about.get(name, values[0]) not in values:
                said = f"{name} {about[name]!r}, and only {' or '.join(map(str, values))} is known"
                raise UserError(f"{path.parent / 'config.json'}: {said} here. Give a model of GPT-2's shape.")
        sizes = {ours: about[theirs] for theirs, ours in FIELDS.items()}
        model = GPT(GPTConfig(**sizes, position="learned", smear=0, gelu=GELU[about.get("activation_function", "gelu_new")]))
        ours = {name: weights[name].T if name.endswith(TRANSPOSED) else weights[name] for name in model.state_dict()}
        model.load_state_dict(ours)
        return model


def export_gpt2(model, folder):
    """The way back: config.json and model.safetensors, as the transformers library reads them. Merge LoRA before."""
    c, folder = model.config, Path(folder)
    if c.position != "learned" or c.smear:
        raise UserError(f"{folder}: only a model of GPT-2's shape can be exported. Tune one with --base gpt2.")
    about = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    about |= {theirs: getattr(c, ours) for theirs, ours in FIELDS.items()}
    about |= {"activation_function": theirs for theirs, ours in GELU.items() if ours == c.gelu}
    about |= {"bos_token_id": c.vocab_size - 1, "eos_token_id": c.vocab_size - 1}
    save_json(folder / FILES[0], about)
    theirs = {f"transformer.{n}": w.T if n.endswith(TRANSPOSED) else w for n, w in model.state_dict().items()}
    write_safetensors(folder / FILES[2], theirs)
