"""What several tests need."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import data
from data import Row, Turn
from common.audit import audit
from common.lora import add_lora
from model import GPT, GPTConfig

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
BOM = b"\xef\xbb\xbf"
EOS = "<|endoftext|>"
HEADER = "### Response:\n"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # three emoji held together by zero width joiners
TRAINING_TEXT = 3 * """### Instruction:
Name the capital of France.

### Input:
A map.

### Response:
The capital is Paris.

the cat sat on the mat, the rat ran



한국의 수도는 서울이다. 한국어 😀😀 café 1234 aaaa <|endoftext|>
"""
TINY = "--quick --n-embd 16 --n-head 2 --pretrain-steps 12 --tune-epochs 0.03 --vocab-size 300".split()

# ------------------------------------------------------------------------------------------------------------
# Conversations


def turns_of(turns):
    return tuple(Turn(*turn) for turn in turns)


def row_of(*turns, **more):
    """Tuples (instruction, input, output) -> Row"""
    return Row(turns_of(turns), **more)


def alpaca(instruction, input):
    """The published prompt."""
    if input:
        return f"### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
    return f"### Instruction:\n{instruction}\n\n### Response:\n"


def plain(instruction, input):
    return f"Question: {instruction}\n" + (f"Text: {input}\n" if input else "") + "Answer: "


def flat(parts):
    return [token for part in parts for token in part]


def encode_turns(tokenizer, template, turns, block_size, system=""):
    return data.encode(data.render(turns_of(turns), template, system), tokenizer, block_size)


def prompt_ids(tokenizer, template, instruction, input=""):
    return data.encode(data.render([Turn(instruction, input)], template), tokenizer, 10_000)[0]


def supervised_answers(tokenizer, targets):
    """The supervised targets, cut behind every eos and decoded; a rest without an eos stands last."""
    answers, ids = [], []
    for token in targets:
        if token != data.IGNORE:
            ids.append(token)
            if token == tokenizer.eos_id:
                answers.append(tokenizer.decode(ids))
                ids = []
    return answers + ([tokenizer.decode(ids)] if ids else [])


def audited(rows, tokenizer, template, block_size, dropped=()):
    """(examples, Audit)"""
    prepared = data.prepare(rows, tokenizer, template, block_size)
    return prepared[0], audit(rows, *prepared, dict(dropped))


# ------------------------------------------------------------------------------------------------------------
# Models

both_positions = pytest.mark.parametrize("position", ["rotary", "learned"])


def gpt_config(**changes):
    return GPTConfig(**{"vocab_size": 50, "block_size": 32, "n_layer": 2, "n_head": 2, "n_embd": 16, **changes})


def noisy_gpt(**changes):
    """A model with noise on every weight: a fresh bias is 0, a fresh gain 1, and nobody would miss them."""
    gpt = GPT(gpt_config(**changes))
    with torch.no_grad():
        for weight in gpt.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return gpt


def with_lora(base, rank=3, alpha=6.0, **kwargs):
    """A copy of the base with an adapter that does something: a fresh B is 0."""
    gpt = copy.deepcopy(base)
    add_lora(gpt, rank, alpha, **kwargs)
    with torch.no_grad():
        for name, weight in gpt.named_parameters():
            if name.endswith("lora_B"):
                weight.normal_(std=0.3)
    return gpt


def random_ids(*shape):
    return torch.randint(0, 50, shape)


def close(a, b, atol=1e-5):
    return a.shape == b.shape and torch.allclose(a, b, atol=atol, rtol=0)


def snapshot(gpt):
    return {name: weight.clone() for name, weight in gpt.state_dict().items()}


def same_bits(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def logits_of(gpt, ids):
    with torch.no_grad():
        return gpt(ids)


def is_adapter(name):
    return name.endswith(("lora_A", "lora_B"))


def tiny_model(seed=0, vocab_size=60, block_size=40, **shape):
    torch.manual_seed(seed)
    return GPT(GPTConfig(vocab_size, block_size, n_layer=2, n_head=2, n_embd=16, **shape))


def examples(n=12):
    """Rows of different lengths, (ids, mask), for a vocabulary of 60 whose last token is the padding."""
    generator = torch.Generator().manual_seed(1)
    out = []
    for i in range(n):
        ids = torch.randint(0, 59, (6 + i,), generator=generator).tolist()
        out.append((ids, [0] * (2 + i // 2) + [1] * (4 + i - i // 2)))
    return out


def gradient(model, *batches, n=1):
    """All of a model's gradients of the summed loss of these batches, divided by n, as one vector."""
    model.zero_grad()
    for batch in batches:
        (model(*batch) / n).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# ------------------------------------------------------------------------------------------------------------
# Programs


def run(*command, cwd=ROOT, code=0, **kwargs):
    """A script of the project -> what it printed; with another exit code, what it printed as an error."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *map(str, command)]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, **kwargs)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout if code == 0 else done.stderr
