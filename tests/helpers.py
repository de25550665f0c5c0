"""Small things that several tests need: conversations, tiny models, and programs of the project."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import data
from common.audit import audit
from common.lora import add_lora
from data import Row, Turn
from model import GPT, GPTConfig

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
BOM = b"\xef\xbb\xbf"
EOS = "<|endoftext|>"
HEADER = "### Response:\n"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # three emoji in one, with joiners
TRAINING_TEXT = 3 * """### Instruction:
Name the capital of France.

### Input:
A map.

### Response:
The capital is Paris.

the cat sat on the mat, the rat ran



한국의 수도는 서울이다. 한국어 😀😀 café 1234 aaaa <|endoftext|>
"""

# A run on the built-in world, and the flags of one on own files (see write_own_files): a second.
SMALL = "--quick --n-layer 1 --n-embd 16 --n-head 2 --vocab-size 300".split()
TINY = [*SMALL, *"--pretrain-steps 6 --tune-epochs 0.02".split()]
OWN = [*SMALL, *"--pretrain-steps 6 --pretrain-batch 2 --tune-epochs 1".split()]


def write_own_files(folder: Path) -> list[str]:
    """Write a corpus and 40 pairs. Returns the flags of a tiny run on them."""
    corpus, pairs = [], []
    for animal in ("cat", "dog", "rat", "bird", "fish", "horse", "cow", "fox"):
        for color in ("red", "blue", "green", "black", "white"):
            answer = f"The {animal} is {color}."
            corpus += [f"{answer} The {color} {animal} sat on the mat. " * 3] * 3
            pairs.append({"instruction": f"Is the {animal} {color}?", "output": answer})
    text, rows = folder / "corpus.txt", folder / "pairs.jsonl"
    text.write_text("\n\n".join(corpus), encoding="utf-8")
    rows.write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    return [*OWN, "--corpus", str(text), "--data", str(rows)]


# --------------------------------------------------------------------------------------------------
# Conversations


def row_of(*turns, **fields) -> Row:
    """Make a row of tuples (instruction, input, output)."""
    return Row(tuple(Turn(*turn) for turn in turns), **fields)


def alpaca(instruction: str, input: str) -> str:
    """Write the published prompt."""
    if input:
        return f"### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
    return f"### Instruction:\n{instruction}\n\n### Response:\n"


def encode_turns(tokenizer, template, turns, block_size, system=""):
    turns = [Turn(*turn) for turn in turns]
    return data.encode(data.render(turns, template, system), tokenizer, block_size)


def supervised_answers(tokenizer, targets) -> list[str]:
    """Decode the supervised targets, split after every eos. A rest without an eos comes last."""
    answers, ids = [], []
    for token in targets:
        if token != data.IGNORE:
            ids.append(token)
            if token == tokenizer.eos_id:
                answers.append(tokenizer.decode(ids))
                ids = []
    return answers + ([tokenizer.decode(ids)] if ids else [])


def audited(rows, tokenizer, template, block_size, dropped=()):
    """Prepare rows. Returns (examples, their audit)."""
    prepared = data.prepare(rows, tokenizer, template, block_size)
    return prepared[0], audit(rows, *prepared, dict(dropped))


# --------------------------------------------------------------------------------------------------
# Models

both_positions = pytest.mark.parametrize("position", ["rotary", "learned"])


def gpt_config(**changes) -> GPTConfig:
    sizes = {"vocab_size": 50, "block_size": 32, "n_layer": 2, "n_head": 2, "n_embd": 16}
    return GPTConfig(**{**sizes, **changes})


def noisy_gpt(**changes) -> GPT:
    """Make a model with noise on every weight.

    A fresh bias is 0 and a fresh gain is 1, so a test would not miss them."""
    gpt = GPT(gpt_config(**changes))
    with torch.no_grad():
        for weight in gpt.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return gpt


def with_lora(base, rank=3, alpha=6.0, **options):
    """Copy the base and add an adapter that does something; a fresh B is 0."""
    gpt = copy.deepcopy(base)
    add_lora(gpt, rank, alpha, **options)
    with torch.no_grad():
        for name, weight in gpt.named_parameters():
            if name.endswith("lora_B"):
                weight.normal_(std=0.3)
    return gpt


def random_ids(*shape):
    return torch.randint(0, 50, shape)


def close(a, b, atol=1e-5) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, atol=atol, rtol=0)


def snapshot(gpt) -> dict:
    return {name: weight.clone() for name, weight in gpt.state_dict().items()}


def same_bits(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def logits_of(gpt, ids):
    with torch.no_grad():
        return gpt(ids)


def is_adapter(name: str) -> bool:
    return name.endswith(("lora_A", "lora_B"))


def tiny_model(seed=0, vocab_size=60, block_size=40, **shape) -> GPT:
    torch.manual_seed(seed)
    return GPT(GPTConfig(vocab_size, block_size, n_layer=2, n_head=2, n_embd=16, **shape))


def examples(n=12) -> list:
    """Make (ids, mask) of different lengths for 60 tokens. The last token is the padding."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for i in range(n):
        ids = torch.randint(0, 59, (6 + i,), generator=generator).tolist()
        rows.append((ids, [0] * (2 + i // 2) + [1] * (4 + i - i // 2)))
    return rows


def gradient(model, *batches, n=1):
    """Return the gradient of the summed loss of these batches, divided by n, as one vector."""
    model.zero_grad()
    for batch in batches:
        (model(*batch) / n).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# --------------------------------------------------------------------------------------------------
# Programs


def run(*command, cwd=ROOT, code=0, **options) -> str:
    """Run a script of the project. Returns its output; with an exit code, its error output."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    options = {"cwd": cwd, "env": env, "capture_output": True, "text": True, **options}
    result = subprocess.run([sys.executable, *map(str, command)], timeout=300, **options)
    assert result.returncode == code, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout if code == 0 else result.stderr
