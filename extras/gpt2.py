"""GPT-2's own weights (Radford et al. 2019): what it adds is `--base gpt2`, and the way back by `generate.py --export`.

You can skip this: GPT-2 has the same parts under nearly the same names, in the files of the transformers library.
"""

import hashlib
import http.client
import json
import urllib.request
from pathlib import Path

import tiktoken
import torch
from tqdm import tqdm

from data import EOS, Tokenizer, UserError
from extras.checkpoint import GPT2_WORD
from model import GPT, GPTConfig

URL = "https://huggingface.co/openai-community/{}/resolve/main/{}"
SIZES = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
CHECKSUMS = {  # sha256; the weights of the larger ones are checked for their length only
    "gpt2/model.safetensors": "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
    "vocab.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
}
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
KNOWN = {  # what config.json may say; anything else would be another model
    "model_type": ("gpt2",), "activation_function": ("gelu_new", "gelu_pytorch_tanh", "gelu"),
    "layer_norm_epsilon": (1e-5,), "scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,), "tie_word_embeddings": (True,),
}
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # they keep these as (in, out), we as (out, in)


def load_base(name, folder):
    """One of SIZES (fetched once into the folder), or a file or folder with such weights -> (model, tokenizer)."""
    source = fetch_gpt2(name, Path(folder) / name) if name in SIZES else Path(name)
    model = load_gpt2(source)
    tokenizer = gpt2_tokenizer(source if source.is_dir() else source.parent)
    if tokenizer.vocab_size != model.config.vocab_size:
        sizes = f"weights for {model.config.vocab_size} tokens, but a vocabulary of {tokenizer.vocab_size}"
        raise UserError(f"{source}: {sizes}. Fetch both again.")
    return model, tokenizer


def byte_letters():
    """GPT-2's files write every byte as one visible letter: those that are visible as themselves, the others as the
    letters from 256 on."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    invisible = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(invisible)}


def gpt2_tokenizer(folder):
    """GPT-2's tokenizer, from vocab.json (or encoder.json, as OpenAI called it) in the folder, else by tiktoken, which
    fetches it once."""
    files = [Path(folder) / name for name in ("vocab.json", "encoder.json")]
    file = next((file for file in files if file.exists()), None)
    if file is None:
        try:
            bpe = tiktoken.get_encoding("gpt2")
        except Exception as error:
            reason = str(error).splitlines()[0][:80]
            raise UserError(f"{folder}: no vocab.json, and it cannot be fetched: {reason}. Put it there.") from None
        return Tokenizer([bpe.decode_single_token_bytes(i) for i in range(bpe.eot_token)], GPT2_WORD)
    try:
        ids = json.loads(file.read_text(encoding="utf-8"))
        byte_of = {letter: byte for byte, letter in byte_letters().items()}
        return Tokenizer([bytes(byte_of[c] for c in token) for token in sorted(ids, key=ids.get) if token != EOS], GPT2_WORD)
    except (AttributeError, KeyError, ValueError):
        raise UserError(f"{file}: not GPT-2's vocabulary. Fetch it again.") from None


def fetch(url, path, checksum=""):
    """Download a file once, with a progress bar. A broken download continues where it stopped."""
    path, part = Path(path), Path(f"{path}.part")
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            have = have if answer.status == 206 else 0  # 206: the server continues where we stopped
            size = have + int(answer.headers.get("Content-Length", 0))
            bar = tqdm(total=size, initial=have, desc=path.name, unit="B", unit_scale=True, ncols=78)
            with open(part, "ab" if have else "wb") as file, bar:
                while piece := answer.read(2**20):
                    file.write(piece)
                    bar.update(len(piece))
        if part.stat().st_size < size:
            raise OSError("the connection was cut")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if (getattr(error, "headers", None) or {}).get("Content-Range") != f"bytes */{have}":  # else all is here already
            remedy = "Run again to continue, or fetch it elsewhere and give --base FILE."
            raise UserError(f"{url}: cannot be fetched: {error}. {remedy}") from None
    if checksum and hashlib.sha256(part.read_bytes()).hexdigest() != checksum:
        part.unlink()
        raise UserError(f"{url}: what came is damaged (its checksum differs). Run again.")
    part.replace(path)


def fetch_gpt2(name, folder):
    """GPT-2's weights, sizes and vocabulary -> the folder that holds them."""
    for file in ("config.json", "vocab.json", "model.safetensors"):
        checksum = CHECKSUMS.get(f"{name}/{file}", CHECKSUMS.get(file, ""))
        fetch(URL.format(name, file), Path(folder) / file, checksum)
    return Path(folder)


def read_safetensors(path):
    """{name: tensor}. The file is eight bytes with the length of a JSON header, the header, the numbers."""
    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header, body = json.loads(raw[8 : 8 + size]), bytearray(raw[8 + size :])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in DTYPES:  # the others are masks, not weights
            start, end = entry["data_offsets"]
            assert end <= len(body), "cut off"
            tensors[name] = torch.frombuffer(body[start:end], dtype=DTYPES[entry["dtype"]]).view(entry["shape"])
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
    names = ("model.safetensors", "pytorch_model.bin")
    path = next((path / name for name in names if (path / name).exists()), path)
    try:
        is_bin = path.suffix != ".safetensors"
        weights = torch.load(path, map_location="cpu", weights_only=True) if is_bin else read_safetensors(path)
        weights = {name.removeprefix("transformer."): weight.float() for name, weight in weights.items()}
        about = path.parent / "config.json"
        known = json.loads(about.read_text(encoding="utf-8")) if about.exists() else {}
        for name, values in KNOWN.items():
            if known.get(name, values[0]) not in values:
                said = f"{name} {known[name]!r}, and only {' or '.join(map(str, values))} is known"
                raise UserError(f"{about}: {said} here. Give a model of GPT-2's shape.")
        (vocab_size, n_embd), block_size = weights["wte.weight"].shape, len(weights["wpe.weight"])
        n_layer = sum(name.endswith("ln_1.weight") for name in weights)
        gelu = "none" if known.get("activation_function") == "gelu" else "tanh"
        shape = (vocab_size, block_size, n_layer, known.get("n_head", n_embd // 64), n_embd)
        model = GPT(GPTConfig(*shape, position="learned", smear=0, gelu=gelu))
        ours = {name: weights[name].T if name.endswith(TRANSPOSED) else weights[name] for name in model.state_dict()}
        model.load_state_dict(ours)
        return model
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}. Give GPT-2's weights or their folder.") from None
    except Exception:
        raise UserError(f"{path}: not GPT-2's weights, or cut off. Give {' or '.join(names)}.") from None


def export_gpt2(model, folder):
    """The way back: config.json and model.safetensors, as the transformers library reads them. Merge LoRA before."""
    c, folder = model.config, Path(folder)
    if c.position != "learned" or c.smear:
        raise UserError(f"{folder}: only a model of GPT-2's shape can be exported. Tune one with --base gpt2.")
    about = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": c.vocab_size}
    about |= {"n_embd": c.n_embd, "n_positions": c.block_size, "n_layer": c.n_layer, "n_head": c.n_head}
    about |= {"bos_token_id": c.vocab_size - 1, "eos_token_id": c.vocab_size - 1}
    about |= {"activation_function": "gelu" if c.gelu == "none" else "gelu_new"}
    state = {f"transformer.{name}": w.T if name.endswith(TRANSPOSED) else w for name, w in model.state_dict().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        write_safetensors(folder / "model.safetensors", state)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}. Choose another folder.") from None
