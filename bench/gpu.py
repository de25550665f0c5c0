"""On one GPU: tokens a second, the share of its bfloat16 rate, memory, next to the transformers library.

What it is: shapes S and M of bench/benchmark.py and GPT-2's, random tokens, bfloat16, AdamW, the median step of a few;
both libraries take turns. What it is not: a test. Nobody needs a GPU for this project: `--device auto` takes the CPU
for the small base.

    pip install transformers
    python bench/gpu.py
"""

import functools
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench import benchmark as b
from model import GPT, GPTConfig
from train_sft import adamw, train

GPT2 = dict(n_layer=12, n_head=12, n_embd=768, vocab_size=50257, block_size=1024, position="learned", smear=0,
            gelu="tanh")
SHAPES = b.SIZES | {"GPT-2": GPT2}
ROWS = {"S": 128, "M": 64, "GPT-2": 8}  # of a batch
STEPS, WARM_UP, ROUNDS = 12, 4, 3


def bf16_rate(device):
    """Operations a second in products of two 8192-square matrices."""
    x, y = torch.randn(2, 8192, 8192, device=device, dtype=torch.bfloat16)
    x @ y
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        x @ y
    torch.cuda.synchronize()
    return 10 * 2 * 8192**3 / (time.perf_counter() - start)


def ours(shape):
    return GPT(GPTConfig(**SHAPES[shape]))


def theirs(shape):
    return b.gpt2_of(SHAPES[shape])


def their_loop(model, batch_at, steps, optimizer):
    model.train()
    for step in range(steps):
        inputs, targets = (t.cuda() for t in batch_at(step))
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(input_ids=inputs, labels=targets, shift_labels=targets).loss
        loss.backward()
        loss.item()  # ours reads it at each step, too
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def measure(shape, make, loop):
    """-> seconds of the median step, MB at most"""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(0)
    model, s, clock = make().cuda(), SHAPES[shape], []
    stream = b.random_stream(s["vocab_size"], 2 * ROWS[shape] * s["block_size"])

    def batch_at(step):
        torch.cuda.synchronize()
        clock.append(time.perf_counter())
        return b.corpus_batch(stream, step, ROWS[shape], s["block_size"])

    loop(model, batch_at, STEPS, adamw(model.parameters(), 1e-4))
    lasted = [after - before for before, after in zip(clock, clock[1:])][WARM_UP:]
    return statistics.median(lasted), torch.cuda.max_memory_allocated() / 1e6


def our_loop(model, batch_at, steps, optimizer):
    train(model, batch_at, steps, [optimizer], dtype="bfloat16", micro_batch=10**6)


def main():
    if not torch.cuda.is_available():
        sys.exit("bench/gpu.py needs a GPU that torch reaches by CUDA.")
    torch.set_float32_matmul_precision("high")
    rate = bf16_rate("cuda")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, bfloat16 {rate / 1e12:.0f} TFLOP/s")
    for shape, s in SHAPES.items():
        tokens = ROWS[shape] * s["block_size"]
        cases = {"ours": (functools.partial(ours, shape), our_loop),
                 "transformers": (functools.partial(theirs, shape), their_loop)}
        found = {name: [] for name in cases}
        for round_ in range(ROUNDS):
            for name, case in list(cases.items())[:: 1 if round_ % 2 == 0 else -1]:
                found[name].append(measure(shape, *case))
        for name, rounds in found.items():
            seconds, mb = (statistics.median(values) for values in zip(*rounds))
            share = tokens / seconds * b.work_per_token(s, s["block_size"]) / rate
            ratios = [t[0] / o[0] for o, t in zip(found["ours"], rounds)]
            print(f"  {shape:<6}{name:<13}{tokens / seconds:>12,.0f} tokens/s{share:>7.1%} of the rate{mb:>9,.0f} MB"
                  f"   {statistics.median(ratios):.2f} x", flush=True)


if __name__ == "__main__":
    main()
