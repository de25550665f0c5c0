"""What every lesson needs: the base model, one line that tunes it, scores with intervals, claims that are checked.

Nothing here is new: it calls the project's own functions, so that a lesson's cells can be about one idea. With FAST=1
in the environment the numbers are small (one seed, few questions) and claims are shown but not enforced.
"""

import os
import sys
from pathlib import Path

import torch

ROOT = next(
    p for p in [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents] if (p / "train_sft.py").exists()
)
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "lessons")) if path not in sys.path]

import world  # noqa: E402
from data import Row, Tokenizer, collate, epoch_batches, prepare  # noqa: E402
from generate import Bot, Sampling, score, wilson, world_rows  # noqa: E402
from model import add_lora, build_model, load_checkpoint  # noqa: E402
from train_sft import clone, keep_memory, train  # noqa: E402

FAST = os.environ.get("FAST") == "1"
SEEDS = range(1 if FAST else 3)
OUT = Path(os.environ.get("LESSON_OUT", ROOT / "out"))  # where the main job left base.pt
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
torch.set_flush_denormal(True)
keep_memory()


def load_base():
    """-> (model, tokenizer) of the main job. A fresh copy at every call."""
    path = OUT / "base.pt"
    assert path.exists(), f"{path} is not there. Run `python train_sft.py` once (minutes), then this lesson again."
    checkpoint = load_checkpoint(path)
    return build_model(checkpoint, path).eval(), Tokenizer.from_state(checkpoint["tokenizer"])


def load_world(**kwargs):
    """-> (rows to tune on, {split: held-out rows}) of the world that the base has read."""
    seed = load_checkpoint(OUT / "base.pt")["trained_on"]["seed"]
    built = world.build(seed, size=0, **kwargs)
    return world_rows(built.pairs), {name: world_rows(rows) for name, rows in built.splits.items()}


def tune(base, tokenizer, rows, seed=0, steps=None, lr=3e-4, batch=32, template="alpaca", lora=0, examples=None):
    """A copy of the base, tuned -> Bot. One pass over the rows, or as many `steps` as asked; lora: an adapter's rank.

    `examples`, [(ids, mask), ...], takes the place of rows where a lesson makes its own."""
    torch.manual_seed(seed)
    model = clone(base)
    if lora:
        add_lora(model, lora, 2 * lora)
    if examples is None:
        examples, _ = prepare(rows, tokenizer, template, model.config.block_size)
    one_pass = len(epoch_batches(examples, batch, seed))
    steps = steps or one_pass
    batches = [b for e in range(-(-steps // one_pass)) for b in epoch_batches(examples, batch, seed + 1000 * e)]
    train(model, lambda step: collate(batches[step], tokenizer.end), steps, lr)
    return Bot(model, tokenizer, template)


def some(rows, n, seed=0):
    """n of the rows (all in order if there are fewer), the same at every call; a quarter of that when FAST."""
    n = max(8, n // 4) if FAST else n
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    return [rows[i] for i in sorted(order[:n])]


def right(bot, rows, max_new=48):
    """-> (share answered exactly right, low, high) with its 95 % Wilson interval."""
    found = score(bot, rows, Sampling(max_new=max_new))
    return found["correct"] / found["n"], *found["interval"]


def pooled(results, n):
    """Shares of several seeds, each of n questions -> (mean, low, high), the interval of all questions together."""
    mean = sum(results) / len(results)
    return mean, *wilson(mean * n * len(results), n * len(results))


def ask(bot, instruction, input="", max_new=48):
    """-> what the Bot says, with " ..." where it did not stop by itself."""
    text, stopped = bot.answers([Row(((instruction, input, ""),))], Sampling(max_new=max_new))[0]
    return text.strip() + ("" if stopped else " ...")


def claim(text, holds):
    """A lesson's claim, checked. With FAST there is too little data to judge, so it is only shown."""
    print(("This run agrees: " if holds else "THIS RUN DISAGREES: ") + text)
    assert holds or FAST, "the claim did not hold; look at the numbers above"
