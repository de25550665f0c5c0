"""How fast this is, and how much memory it takes, next to the usual tools, on your machine.

Every contender runs in a process of its own, so its memory is its own. They take turns for several
rounds, so a slow minute of the machine hits them all. Numbers are medians. A ratio is taken within
a round, and we show the median of those. All train on the same numbers, with the same optimizer,
schedule and clipping. This is no verdict on the others, which are made for far larger models.

    python bench/benchmark.py                               half an hour with the others installed
    python bench/benchmark.py --only pretrain --sizes S     one part; --rounds 2 is rougher
    pip install transformers peft                           the others; else they are skipped
"""

import argparse
import functools
import importlib.util
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import train_sft
from common.lora import add_lora
from common.speed import peak_memory_mb, supports_bf16, tune_malloc
from data import collate, corpus_batch, epoch_batches
from generate import Sampling, stream_ids
from model import GPT, IGNORE, GPTConfig
from train_sft import adamw, lr_multiplier

SIZES = {
    "S": dict(n_layer=4, n_head=4, n_embd=128, vocab_size=2048, block_size=128),
    "M": dict(n_layer=6, n_head=6, n_embd=384, vocab_size=8192, block_size=256),
}
BATCH = {"S": 32, "M": 16}  # rows of pretraining
STEPS = {"S": 20, "M": 7}
WARM_UP = 2  # steps that are not counted
N_PAIRS, TUNE_BATCH, TUNE_LR, LORA_LR, RANK, ALPHA = 2000, 32, 1e-3, 5e-3, 8, 16
PROMPT, ANSWER = 20, 100  # tokens, in sampling
DTYPES = ["bfloat16"] * supports_bf16("cpu") + ["float32"]
EOS = SIZES["S"]["vocab_size"] - 1  # ends the answers, and pads

# --------------------------------------------------------------------------------------------------
# What all contenders are given.


def random_stream(vocab_size: int, n: int = 200_000):
    return torch.randint(vocab_size, (n,), generator=torch.Generator().manual_seed(0))


def random_pairs() -> list:
    """Make examples (ids, mask): many short, a few long. Some tokens are common, as in prose."""
    rng = random.Random(0)
    weights = [1 / (i + 10) for i in range(EOS)]
    examples = []
    for _ in range(N_PAIRS):
        prompt = min(90, 10 + int(rng.expovariate(1 / 20)))
        answer = min(37, 3 + int(rng.expovariate(1 / 7)))
        ids = rng.choices(range(EOS), weights, k=prompt + answer) + [EOS]
        examples.append((ids, [0] * prompt + [1] * (answer + 1)))
    return examples


def shuffled(examples) -> list:
    """Batch rows of any length together, which is the first thing that one writes."""
    order = random.Random(0).sample(examples, len(examples))
    return [order[i : i + TUNE_BATCH] for i in range(0, len(order), TUNE_BATCH)]


def our_model(size: str, lora: bool = False):
    torch.manual_seed(0)
    model = GPT(GPTConfig(**SIZES[size]))
    if lora:
        add_lora(model, RANK, ALPHA)
    return model


def their_model(size: str, lora: bool = False):
    """Make transformers' GPT-2 with our starting weights. It keeps its own positions."""
    from transformers import GPT2Config, GPT2LMHeadModel

    # the same shape, and our activation, as theirs is slower on a CPU
    shape = dict(SIZES[size])
    shape["n_positions"] = shape.pop("block_size")
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0)
    more = dict(activation_function="gelu", use_cache=False, bos_token_id=None, eos_token_id=None)
    model = GPT2LMHeadModel(GPT2Config(**shape, **dropout, **more))

    # our weights; theirs are (in, out) in the products of a block
    weights = our_model(size).state_dict()
    weights.pop("smear")
    for name, weight in weights.items():
        if ".c_" in name and weight.dim() == 2:
            weights[name] = weight.T
    missing, unexpected = model.transformer.load_state_dict(weights, strict=False)
    assert missing == ["wpe.weight"] and not unexpected, (missing, unexpected)
    if lora:
        from peft import LoraConfig, get_peft_model

        targets = dict(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)
        model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, **targets))
    return model


def our_loop(model, batch_at, steps: int, lr: float, dtype: str = "float32") -> None:
    train_sft.train(model, batch_at, steps, [adamw(model.parameters(), lr)], dtype=dtype)


def their_loop(model, batch_at, steps: int, lr: float, dtype: str = "float32") -> None:
    """Run the same loop around a model of transformers."""
    optimizer = adamw(model.parameters(), lr)
    model.train()
    for step in range(steps):
        inputs, targets = batch_at(step)
        padded = (targets == IGNORE).any()
        masks = {"attention_mask": (inputs != EOS).long()} if padded else {}
        targets = targets.contiguous()  # or its loss fails
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = model(input_ids=inputs, labels=targets, shift_labels=targets, **masks).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = lr * lr_multiplier(step, steps)
        optimizer.step()
        optimizer.zero_grad()


# --------------------------------------------------------------------------------------------------
# The work of a contender, in its own process. Each returns {"seconds", "tokens", ...}.


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def pretraining(make_model, loop, size: str) -> dict:
    """Measure the median step. The clock is read where the loop asks for a batch."""
    block_size, clock = SIZES[size]["block_size"], []
    stream = random_stream(SIZES[size]["vocab_size"])

    def batch_at(step):
        clock.append(time.perf_counter())
        return corpus_batch(stream, step, BATCH[size], block_size)

    loop(make_model(size), batch_at, STEPS[size] + WARM_UP + 1, 1e-3)
    durations = [end - start for start, end in itertools.pairwise(clock)][WARM_UP:]
    seconds = statistics.median(durations)
    return {"seconds": seconds, "tokens": BATCH[size] * block_size}


def tuning(make_model, batches_of, loop, lora: bool) -> dict:
    """Measure one epoch, batching included; then the loss on all answers, which should agree."""
    model, examples = make_model("S", lora), random_pairs()
    lr = LORA_LR if lora else TUNE_LR

    def epoch():
        batches = batches_of(examples)
        loop(model, lambda step: collate(batches[step], EOS), len(batches), lr)

    tokens = sum(len(ids) - 1 for ids, _ in examples)
    results = {"seconds": timed(epoch), "tokens": tokens}
    return results | {"peak_mb": peak_memory_mb(), "loss": answer_loss(model, examples)}


@torch.inference_mode()
def answer_loss(model, examples) -> float:
    """Compute the mean loss on the answers, in nats per token."""
    model.eval()
    total = count = 0
    for batch in epoch_batches(examples, TUNE_BATCH, 0):
        inputs, targets = collate(batch, EOS)
        logits = model(inputs) if isinstance(model, GPT) else model(input_ids=inputs).logits
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
        count += (targets != IGNORE).sum().item()
    return total / count


def sampling(decode, n: int) -> dict:
    """Measure greedy answers to n prompts: the median of five, after one to warm up."""
    ids = random_stream(EOS, PROMPT * n).view(n, PROMPT)  # (n, PROMPT)
    decode(ids)
    seconds = statistics.median(timed(lambda: decode(ids)) for _ in range(5))
    return {"seconds": seconds, "tokens": ANSWER * n}


def sampling_ours(n: int) -> dict:
    model = our_model("S").eval()
    how = Sampling(max_new_tokens=ANSWER)

    def decode(ids):
        steps = stream_ids(model, ids.tolist(), -1, how)  # no token is -1, so it never stops
        assert len(list(itertools.islice(steps, ANSWER))) == ANSWER

    return sampling(decode, n)


def sampling_theirs(n: int) -> dict:
    model = their_model("S").eval()
    how = dict(max_new_tokens=ANSWER, do_sample=False, use_cache=True, pad_token_id=EOS)

    def decode(ids):
        ids = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **how)
        assert ids.shape[1] == PROMPT + ANSWER

    return sampling(decode, n)


# --------------------------------------------------------------------------------------------------
# Who takes part: {part: {contender: (packages it needs, its work)}}. The first one is ours.


sorted_batches = functools.partial(epoch_batches, batch_size=TUNE_BATCH, seed=0)


def contenders(sizes) -> dict:
    parts = {f"pretrain {size}": {} for size in sizes} | {"tune": {}, "lora": {}}
    for dtype in DTYPES:
        ours = functools.partial(our_loop, dtype=dtype)
        theirs = functools.partial(their_loop, dtype=dtype)
        for size in sizes:
            add = parts[f"pretrain {size}"]
            work = functools.partial(pretraining, our_model, ours, size)
            add[f"ours, {dtype}"] = ("", work)
            work = functools.partial(pretraining, their_model, theirs, size)
            add[f"transformers, {dtype}"] = ("transformers", work)
        for part, lora in (("tune", False), ("lora", True)):
            need = "peft transformers" if lora else "transformers"
            for name, batches in (("by length", sorted_batches), ("padded", shuffled)):
                work = functools.partial(tuning, our_model, batches, ours, lora)
                parts[part][f"ours, {name}, {dtype}"] = ("", work)
            work = functools.partial(tuning, their_model, shuffled, theirs, lora)
            parts[part][f"{need.split()[0]}, padded, {dtype}"] = (need, work)
    for n in (1, 64):
        ours, theirs = functools.partial(sampling_ours, n), functools.partial(sampling_theirs, n)
        parts[f"sample {n}"] = {"ours": ("", ours), "transformers": ("transformers", theirs)}
    return parts


# --------------------------------------------------------------------------------------------------
# Processes and rounds.


def child(part: str, name: str, threads: int) -> None:
    """Do the work in this process, after the preparations of train_sft.py; print it as JSON."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    tune_malloc()
    results = contenders(SIZES)[part][name][1]()
    print("\n" + json.dumps({"peak_mb": peak_memory_mb()} | results))


def run_child(part: str, name: str, threads: int) -> dict | None:
    """Return what a contender measured, or None after saying what failed."""
    quiet = {"TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
    env = os.environ | quiet | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--child", part, name, "--threads", str(threads)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        print(f"  {part}, {name}: failed: {reason}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def compare(part: str, cases: dict, args) -> None:
    """Run one part and print its table."""
    # everybody in turn; nobody always comes after the same one
    rounds = {}
    for name, (packages, _) in cases.items():
        if all(map(importlib.util.find_spec, packages.split())):
            rounds[name] = []
    names = list(rounds)
    for number in range(args.rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            rounds[name].append(run_child(part, name, args.threads))

    print(f"\n{part:<28} seconds   tokens/s  peak MB    loss   the first is faster")
    first = rounds[names[0]]
    for name, results in rounds.items():
        if None in results + first:
            continue
        middle = {key: statistics.median(r[key] or 0 for r in results) for key in results[0]}
        speed = middle["tokens"] / middle["seconds"]
        line = f"  {name:<26}{middle['seconds']:>8.3f}{speed:>11,.0f}{middle['peak_mb']:>9.0f}"
        line += f"{middle['loss']:>8.3f}" if "loss" in middle else " " * 8
        ratios = sorted(b["seconds"] / a["seconds"] for a, b in zip(first, results))
        share = f"{statistics.median(ratios):.2f} x ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(line + ("" if name == names[0] else f"   {share}"), flush=True)
    for name in cases.keys() - rounds.keys():
        print(f"  {name:<26} skipped: needs {cases[name][0]}")


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    add = parser.add_argument
    add("--sizes", default="S,M", help="sizes to pretrain (S,M)")
    add("--only", default="pretrain,tune,lora,sample", help="parts to run (all)")
    add("--rounds", type=int, default=5, help="how often everybody has a turn (5)")
    add("--threads", type=int, default=2, help="CPU threads of every contender (2)")
    add("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(*args.child, args.threads)
    print(f"{os.cpu_count()} cores, {args.threads} threads, torch {torch.__version__}")
    for part, cases in contenders(args.sizes.split(",")).items():
        if part.split()[0] in args.only.split(","):
            compare(part, cases, args)


if __name__ == "__main__":
    main()
