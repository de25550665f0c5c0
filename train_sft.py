"""From nothing to a model that answers: pretrain a tiny GPT on prose, tune it on instructions, show that it worked.

The one idea: pretraining and instruction tuning are the same loop with the same loss, `train()` below. Only two
things change: what the batches hold, and which positions the loss looks at.

    python train_sft.py                    the whole story, about a minute on a laptop CPU
    python train_sft.py --quick            the same in seconds, with a model too small to be good
    python train_sft.py --lora 8           tune a low-rank adapter as well, and compare
    python train_sft.py --data my.jsonl    tune on your own pairs
    python train_sft.py --base gpt2 --data alpaca_data.json --lora 8         the real thing
    torchrun --nproc_per_node=2 train_sft.py                                  the same on several processes
"""

import argparse
import contextlib
import ctypes
import hashlib
import json
import math
import os
import platform
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

import world
from data import (
    FORMATS,
    GPT2_SIZES,
    IGNORE,
    TEMPLATES,
    Row,
    Tokenizer,
    collate,
    collate_packed,
    corpus_batch,
    encode_corpus,
    encode_corpus_to,
    epoch_batches,
    fetch_gpt2,
    gpt2_tokenizer,
    load_rows,
    mix,
    prepare,
    prompt_key,
    read_passages,
    show_mask,
    split_weight,
    train_bpe,
)  # fmt: skip
from generate import Bot, Sampling, print_table, score_columns, side_by_side, three_columns, world_rows
from model import (
    GPT,
    GPTConfig,
    UserError,
    add_lora,
    build_model,
    fingerprint,
    load_checkpoint,
    load_gpt2,
    lora_state,
    save_checkpoint,
)  # fmt: skip


def flag(default, help):
    return field(default=default, metadata={"help": help})


@dataclass
class Config:
    out: str = flag("out", "folder for checkpoints, the report and the log")
    corpus: str = flag("", "pretrain on this text file instead of the built-in world (passages apart by blank lines)")
    data: list = flag((), "tune on this file of pairs; FILE:0.3 takes three of ten rows; may be given again, to mix")
    task_cap: int = flag(0, "take no more rows than this of a task of --data (0: all)")
    format: str = flag("", f"how to read --data: {', '.join(FORMATS)}; else it is recognised row by row")
    base: str = flag("", f"begin with {', '.join(GPT2_SIZES)} (fetched once), or with such weights in a file or folder")
    template: str = flag("alpaca", f"prompt format: {', '.join(TEMPLATES)}")
    hold_out: str = flag(",".join(world.HELD_OUT), "tasks never tuned on, names apart by commas")
    without: str = flag("", f"leave out of the prose: {', '.join((*world.PASSAGES, world.HELD_OUT_QUESTIONS))}")
    ways: int = flag(0, "tune on so many phrasings of a task (0: all)")
    bare: bool = flag(False, "answer with the value alone instead of a whole sentence")
    seed: int = flag(0, "seed of the weights, the data and their order")
    device: str = flag("auto", "cpu, cuda, mps, or auto")
    threads: int = flag(2, "CPU threads; as many as there are cores is usually best")
    dtype: str = flag(
        "auto", "matrix products of training in float32, bfloat16, or auto: bfloat16 if the processor knows it"
    )

    vocab_size: int = flag(2560, "byte-pair tokens; nearly every word of the built-in world is one")
    block_size: int = flag(128, "longest context in tokens")
    n_layer: int = flag(4, "transformer blocks")
    n_head: int = flag(2, "attention heads")
    n_embd: int = flag(128, "width of the residual stream")
    position: str = flag("rotary", "rotary or learned")
    smear: int = flag(1, "1: every token is shown the one before it; 0: not, as in GPT-2")

    pretrain_steps: int = flag(1200, "optimizer steps of pretraining")
    pretrain_batch: int = flag(8, "windows in a pretraining batch")
    window: int = flag(128, "tokens in a window; a passage that begins in another window is read without its beginning")
    pretrain_lr: float = flag(3e-3, "peak learning rate of pretraining")
    muon_lr: float = flag(0.02, "peak learning rate of Muon in pretraining (0: AdamW alone)")
    muon_decay: float = flag(0.1, "weight decay of Muon: lets go of what is no longer needed")
    tune_epochs: float = flag(1.0, "how often every pair is seen; more makes unseen facts worse")
    tune_batch: int = flag(32, "pairs in a tuning batch")
    tune_lr: float = flag(3e-4, "peak learning rate of tuning; a higher one is better for known tasks only")
    micro_batch: int = flag(
        64, "rows that go through the model at once; fewer need less memory, the result is the same"
    )
    pack: bool = flag(False, "fill the rows of a tuning batch with several pairs, instead of padding them")
    recompute: bool = flag(False, "gradient checkpointing: compute activations twice instead of keeping them")
    lora: int = flag(0, "also tune an adapter of this rank (0: none)")
    lora_alpha: float = flag(16.0, "the adapter's correction is scaled by alpha / rank")
    lora_lr: float = flag(5e-3, "peak learning rate of the adapter")

    price: float = flag(0.0, "what an hour of this machine costs, for the estimate")
    save_every: int = flag(250, "steps between two saves of the state that --resume goes on from")
    fresh: bool = flag(False, "pretrain again even if out/base.pt is there")
    resume: bool = flag(False, "go on with a run that was interrupted")
    quick: bool = flag(False, "tiny settings for a look at everything in seconds")
    strict: bool = flag(False, "make the first bad row of --data an error instead of skipping it")


DTYPES = ("auto", "float32", "bfloat16")
WORLD_TOKENS = 1_430_000  # what the built-in world tells in one reading
QUICK = dict(n_layer=2, n_embd=64, pretrain_steps=60, tune_epochs=0.1)
LIMITS = {  # what a number may be
    "vocab_size": (257, 65536), "block_size": (16, 8192), "n_layer": (1, 96), "n_head": (1, 96), "n_embd": (8, 8192),
    "smear": (0, 1), "pretrain_steps": (1, 10**7), "pretrain_batch": (1, 4096), "window": (8, 8192),
    "pretrain_lr": (1e-8, 1), "muon_lr": (0, 1), "muon_decay": (0, 10), "task_cap": (0, 10**9), "ways": (0, 100), "tune_epochs": (0.001, 1000),
    "tune_batch": (1, 4096), "tune_lr": (1e-8, 1), "micro_batch": (1, 4096), "lora": (0, 1024), "lora_lr": (1e-8, 1),
    "lora_alpha": (1e-3, 4096), "price": (0, 10**6), "threads": (1, 256), "save_every": (1, 10**7), "seed": (0, 2**31),
}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------
# The loop. Both stages are this.


def processes():
    """-> how many processes train together, and which of them this is"""
    return (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)


class Loss(torch.nn.Module):
    """The sum of the learned tokens' losses, as a module, because DistributedDataParallel watches a module's forward."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *batch):
        return self.model.loss_sum(*batch)


def share_of(batch, ranks, rank):
    """The rows of a batch that this process takes: every ranks-th. Where there are too few, one with nothing to learn."""
    if rank < len(batch[0]):
        return [tensor[rank::ranks] for tensor in batch]
    inputs, targets, *where = [tensor[:1] for tensor in batch]
    return [inputs, torch.full_like(targets, IGNORE), *where]


def keep_memory():
    """Linux gives a large block back as soon as it is freed, and fetching it anew, page by page, takes a fifth of a step:
    here its C library, if it is glibc, is told to keep them. torch, for its part, keeps ready-made code for the last 1,024
    shapes of bfloat16 products, a quarter of all memory: here it is told to keep 128."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: so many bytes of free memory are kept
        libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD: larger blocks only are given back (32 MB, its limit)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


class Interrupted(Exception):
    """Ctrl-C was pressed; everything is saved."""


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal (Jordan et al. 2024): every direction of a weight matrix is moved equally far.

    Newton-Schulz steps push the singular values of the momentum towards 1 with matrix products only. A small model
    learns to copy in about half the tokens that AdamW needs. For matrices (out, in) inside the blocks only; c_attn's
    weight is three matrices. All moves being equally long, a weight that nothing needs would never shrink: the decay sees
    to that (Liu et al. 2025). (torch ships a Muon too; it always multiplies bfloat16, which few processors know.)"""

    def __init__(self, matrices, lr, weight_decay, momentum=0.95):
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        (group,) = self.param_groups
        by_shape = {}  # products of many small matrices at once are faster than one by one
        for weight in group["params"]:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            average = self.state[weight].setdefault("average", torch.zeros_like(weight))
            average.lerp_(weight.grad, 1 - group["momentum"])
            update = weight.grad.lerp(average, group["momentum"])
            thirds = 3 if weight.shape[0] == 3 * weight.shape[1] else 1
            for w, u in zip(weight.chunk(thirds), update.chunk(thirds)):
                by_shape.setdefault(w.shape, []).append((w, u))
        for shape, some in by_shape.items():
            updates = orthogonal(torch.stack([u for _, u in some]))  # (number of matrices, out, in)
            for (w, _), update in zip(some, updates):
                w.sub_(update, alpha=group["lr"] * max(1, shape[0] / shape[1]) ** 0.5)


def orthogonal(matrices, steps=5):
    """(n, out, in) -> the nearest matrices whose singular values are all about 1. Quintic Newton-Schulz iteration."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT.contiguous() if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT  # next: x <- 3.4445 x + (-4.7750 square + 2.0315 square @ square) @ x
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.mT if tall else x


def optimizers_for(model, lr, muon_lr=0.0, muon_decay=0.0):
    """AdamW for everything that is learned, or Muon for the matrices of the blocks and AdamW for the rest. Weight decay
    only on matrices (GPT-2's habit)."""
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = [p for name, p in learned.items() if muon_lr and name.startswith("h.") and p.dim() == 2]
    rest = [p for p in learned.values() if not any(p is matrix for matrix in matrices)]
    groups = [
        {"params": [p for p in rest if p.dim() >= 2], "weight_decay": 0.01},
        {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=(0.9, 0.99), fused=True)
    return [adamw] + ([Muon(matrices, muon_lr, muon_decay)] if matrices else [])


def schedule(step, steps):
    """The share of the peak learning rate: warm up over the first steps, then decay in a straight line to zero."""
    warm_up = max(1, min(50, steps // 10))
    return min((step + 1) / warm_up, (steps - step) / (steps - warm_up + 1))


def train(model, batch_at, steps, peak_lr, *, name="train", muon_lr=0.0, muon_decay=Config.muon_decay, micro_batch=64,
          dtype="float32", watch=None, log=None, save=None, save_every=250, state=None):  # fmt: skip
    """Next-token training, for both stages.

    batch_at(step) -> inputs, targets, each (B, T), and perhaps positions and mask; targets are IGNORE where nothing is
    learned. It is the batch of all processes together, and each takes its share, so their number changes nothing.
    dtype "bfloat16": mixed precision (Micikevicius et al. 2017); weights, sums and averages keep their four bytes.
    watch(step) is called now and then to show how the model speaks; log(dict) at every tenth step; save(dict) with all
    that is needed to go on, now and then and at Ctrl-C; state is such a dict. Raises UserError if the loss is not
    finite, Interrupted at Ctrl-C. Returns seconds and tokens."""
    device, (ranks, rank) = model.device(), processes()
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16")
    learner = DistributedDataParallel(Loss(model)) if ranks > 1 else Loss(model)
    optimizers = optimizers_for(model, peak_lr, muon_lr, muon_decay)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    first = 0
    if state:
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        first = state["step"]
    stop = []
    before = signal.signal(signal.SIGINT, lambda *_: stop.append(True))  # finish the step, then save
    bar = tqdm(total=steps, initial=first, desc=name, file=sys.stdout, mininterval=0.5, ncols=78, leave=False,
               bar_format="{desc} {percentage:3.0f} % |{bar}| {postfix}, {remaining} left", disable=rank > 0 or not sys.stdout.isatty())  # fmt: skip
    tokens, start, watched = 0, time.perf_counter(), 0.0
    try:
        for step in range(first, steps):
            if watch and step % max(1, steps // 8) == 0:
                pause = time.perf_counter()
                model.eval()
                watch(step)
                watched += time.perf_counter() - pause
            model.train()
            batch = batch_at(step)
            n_learned = (batch[1] != IGNORE).sum().clamp(min=1)  # of the whole step: every learned token counts alike
            parts = list(zip(*(tensor.split(micro_batch) for tensor in share_of(batch, ranks, rank))))
            loss = 0.0
            for i, part in enumerate(parts):
                wait = contextlib.nullcontext() if ranks == 1 or i == len(parts) - 1 else learner.no_sync()
                with wait:
                    with mixed:
                        some = learner(*(tensor.to(device) for tensor in part)) / n_learned.to(device)
                    (some * ranks).backward()  # processes average their gradients; we want their sum
                loss += some.item()
            if ranks > 1:
                both = torch.tensor([loss, len(stop)], device=device)
                dist.all_reduce(both)
                loss, stop_all = both.tolist()
            if not math.isfinite(loss):
                raise UserError(f"{name}: the loss is {loss} at step {step}. Lower the learning rate.")
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, peak in zip(optimizers, peaks):
                for group, lr in zip(optimizer.param_groups, peak):
                    group["lr"] = lr * schedule(step, steps)
                with mixed:
                    optimizer.step()
                optimizer.zero_grad()
            tokens += batch[0].numel()
            seconds = time.perf_counter() - start - watched
            bar.set_postfix_str(f"loss {loss:.3f}, {tokens / seconds:,.0f} tokens/s", refresh=False)
            bar.update()
            if log and (step % 10 == 0 or step == steps - 1):
                lr = optimizers[0].param_groups[0]["lr"]
                log({"stage": name, "step": step, "loss": loss, "lr": lr, "tokens_per_second": round(tokens / seconds)})
            stopping = stop if ranks == 1 else stop_all  # all processes must stop at the same step
            if save and (stopping or (step + 1) % save_every == 0):
                save(
                    {"step": step + 1, "model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers]}
                )
            if stopping:
                raise Interrupted
    finally:
        bar.close()
        signal.signal(signal.SIGINT, before)
    model.eval()
    seconds = time.perf_counter() - start - watched
    return {"seconds": round(seconds, 2), "tokens": tokens, "tokens_per_second": round(tokens / seconds)}


# ----------------------------------------------------------------------------------------------------------------
# What the two stages put into it.


KEPT_BACK = 20_000  # tokens at the end of the prose that are never trained on


def build_world(config, size):
    """The built-in world as the flags want it."""
    return world.build(
        config.seed, config.hold_out.split(","), size, config.without.split(","), config.ways, config.bare
    )


def corpus_of(config):
    """-> a function that gives the passages of prose, from the first one, whenever it is called"""
    if config.corpus:
        if next(read_passages(config.corpus), None) is None:
            raise UserError(f"{config.corpus}: the file is empty. It should hold text.")
        return lambda: read_passages(config.corpus)
    tokens = config.pretrain_steps * config.pretrain_batch * config.window + KEPT_BACK  # as many as will be read
    corpus = build_world(config, tokens / WORLD_TOKENS).corpus
    return lambda: corpus


def prose(config, passages, tokenizer, run):
    """-> the stream to train on, the stream kept back. A file's tokens are kept beside the checkpoints, and made again
    when the file or the tokenizer is another."""
    if config.corpus:
        about = os.stat(config.corpus)
        key = hashlib.sha256(
            repr((config.corpus, about.st_size, about.st_mtime_ns, tokenizer.state())).encode()
        ).hexdigest()
        path = run.out / f"corpus-{key[:12]}.tokens"
        if run.first:
            for old in set(run.out.glob("corpus-*.tokens")) - {path}:
                old.unlink()
            encode_corpus_to(path, tokenizer, passages())
        run.wait()
        stream = encode_corpus_to(path, tokenizer, ())
    else:
        stream = encode_corpus(tokenizer, passages())
    if len(stream) < 3 * config.window:
        raise UserError(
            f"{config.corpus}: only {len(stream)} tokens, fewer than three windows of {config.window}. Add text."
        )
    cut = len(stream) - max(config.window + 1, min(KEPT_BACK, len(stream) // 20))
    return stream[:cut], stream[cut:]


def corpus_loss(model, stream, config):
    """Mean loss (nats a token) on prose kept back from pretraining: how well the model still knows its language."""
    total = count = 0
    with torch.inference_mode():
        for step in range(8):
            inputs, targets = corpus_batch(stream, step, config.pretrain_batch, config.window)
            total += model.loss_sum(inputs.to(model.device()), targets.to(model.device())).item()
            count += targets.numel()
    return total / count


SAMPLE = 20_000_000  # letters of a corpus that the byte pairs are learned from


def tokenizer_for(passages, config):
    """Byte pairs of the corpus. The headers of the prompt count as common words, so that they are a few tokens each."""
    some, size = [], 0
    for passage in passages:
        some.append(passage)
        size += len(passage)
        if size > SAMPLE:
            break
    t = TEMPLATES[config.template]
    headers = "".join((t.preamble, t.instruction, t.context, t.response))
    return Tokenizer(train_bpe("\n".join(some) + headers * 300, config.vocab_size))


def pretrain(config, tokenizer, stream, run):
    """A new model learns to continue prose."""
    torch.manual_seed(config.seed)
    sizes = {name: getattr(config, name) for name in ("block_size", "n_layer", "n_head", "n_embd", "position", "smear")}
    model = GPT(GPTConfig(tokenizer.vocab_size, **sizes)).to(config.device)
    run.say(f"  {sum(p.numel() for p in model.parameters()):,} parameters, {len(stream):,} tokens of prose")

    def watch(step):
        bot = Bot(model, tokenizer, None)
        text = bot.answers([run.shown], Sampling(max_new=16))[0][0]
        run.say(f"  step {step:>4}: {run.shown.turns[0][0]} ->{text!r:.60}")

    def batch_at(step):
        return corpus_batch(stream, step, config.pretrain_batch, config.window)

    speed = train(model, batch_at, config.pretrain_steps, config.pretrain_lr, name="pretrain", muon_lr=config.muon_lr,
                  muon_decay=config.muon_decay, micro_batch=config.micro_batch, dtype=config.dtype, watch=watch, log=run.log,
                  save=run.saver("pretrain"), save_every=config.save_every, state=run.state("pretrain"))  # fmt: skip
    watch(config.pretrain_steps)
    run.report["stages"]["pretrain"] = speed
    return model


def knows_bfloat16(device):
    """Does the processor itself multiply bfloat16? Then it does so two to four times as fast as float32; one that has to
    imitate it, a hundred times slower."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities()
    return device == "cpu" and bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def matrix_rate(device, dtype):
    """Operations a second in products of square matrices, measured."""
    square = torch.randn(1024, 1024, device=device).to(getattr(torch, dtype))
    (square @ square).sum().item()
    start = time.perf_counter()
    for _ in range(4):
        (square @ square).sum().item()  # asking for a number waits until a GPU is done
    return 4 * 2 * 1024**3 / (time.perf_counter() - start)


def estimate(config, model, batches, steps):
    """What tuning will take -> a line of text. Kaplan et al. 2020: a token costs 2 operations for each weight forward, 2
    backward, and 2 more for each weight that is learned; attention 12 for each layer, width and position. A weight is
    4 bytes, a learned one 12 more (gradient and AdamW's two averages); of the activations only the order is right."""
    c, shapes = model.config, [batch[0].shape for batch in batches]
    longest = max(length for _, length in shapes)
    tokens = sum(rows * length for rows, length in shapes) / len(shapes) * steps
    weights = sum(p.numel() for p in model.parameters())
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    operations = tokens * (4 * weights + 2 * learned + 12 * c.n_layer * c.n_embd * longest)
    block = 2 * c.n_embd if config.recompute else 18 * c.n_embd + c.n_head * longest  # numbers kept for a token
    kept = c.n_layer * block + 2 * c.vocab_size
    kept *= min(config.micro_batch, config.tune_batch) * longest
    share = 0.7 if config.dtype == "float32" else 0.3  # of that rate, about what a whole step reaches
    seconds = operations / (share * matrix_rate(model.device(), config.dtype))
    cost = f", {seconds / 3600 * config.price:.2f} at {config.price} an hour" if config.price else ""
    return (f"  estimate: {learned:,} of {weights:,} weights learned, {4 * (weights + 3 * learned + kept) / 1e9:.2f} GB, "
            f"{operations / 1e12:.2f} TFLOP, {seconds:.0f} s{cost}")  # fmt: skip


def tune(config, model, tokenizer, examples, run, name="tune", lr=None):
    """The same loop on instruction pairs: the loss looks only at the answers and at the end token after them."""
    epochs = [epoch_batches(examples, config.tune_batch, config.seed + e) for e in range(int(config.tune_epochs) + 1)]
    batches = [batch for epoch in epochs for batch in epoch]
    steps = max(1, int(len(epochs[0]) * config.tune_epochs))

    def watch(step):
        text, stopped = Bot(model, tokenizer, config.template).answers([run.shown], Sampling(max_new=16))[0]
        run.say(f"  step {step:>4}: {run.shown.turns[0][0]} -> {text!r:.50}{' and stops' if stopped else ' ...'}")

    def batch_at(step):
        if config.pack:
            return collate_packed(batches[step], tokenizer.end, model.config.block_size)
        return collate(batches[step], tokenizer.end)

    model.recompute = config.recompute
    run.say(estimate(config, model, [batch_at(step) for step in range(min(steps, 50))], steps))
    speed = train(model, batch_at, steps, lr or config.tune_lr, name=name, micro_batch=config.micro_batch, dtype=config.dtype,
                  watch=watch, log=run.log, save=run.saver(name), save_every=config.save_every, state=run.state(name))  # fmt: skip
    watch(steps)
    run.say(f"  measured: {speed['seconds']:.0f} s, {speed['tokens_per_second']:,} tokens/s")
    run.report["stages"][name] = speed


# ----------------------------------------------------------------------------------------------------------------
# The main job: both stages, the proof, the files.


class Run:
    """Where one run writes: the screen, the log, the report, and what is needed to go on after a stop."""

    def __init__(self, config):
        self.config, self.out = config, Path(config.out)
        self.resume_file, self.partial = self.out / "resume.pt", None
        self.first = processes()[1] == 0  # of several processes one speaks and writes
        self.shown = Row((("What is the capital of France?", "", ""),))
        self.report = {"config": asdict(config), "stages": {}, "machine": machine(config)}
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            log = self.out / "log.jsonl" if self.first else os.devnull
            self.log_file = open(log, "a" if config.resume else "w", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{config.out}: cannot be written: {error.strerror}. Choose another --out.") from None
        if config.resume and not self.resume_file.exists() and not (self.out / "base.pt").exists():
            raise UserError(f"{self.resume_file}: nothing to resume. Run without --resume.")
        if config.resume and self.resume_file.exists():
            self.partial = load_checkpoint(self.resume_file)
            if self.partial["config"] != resumable(config):
                raise UserError(
                    f"{self.resume_file}: was made with other settings. Give the same flags, or start --fresh."
                )

    def say(self, text=""):
        if self.first:
            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

    def wait(self):
        """Until all processes are here."""
        if dist.is_initialized():
            dist.barrier()

    def log(self, record):
        self.log_file.write(json.dumps(record) + "\n")
        self.log_file.flush()

    def saver(self, stage):
        return lambda state: self.save(self.resume_file, stage=stage, config=resumable(self.config), state=state)

    def save(self, path, **content):
        if self.first:
            save_checkpoint(path, **content)

    def state(self, stage):
        """What an interrupted run saved of this stage, if it is this stage that was interrupted."""
        return self.partial["state"] if self.partial and self.partial["stage"] == stage else None


def resumable(config):
    """The settings that must be the same for a run to go on."""
    return {
        k: v
        for k, v in asdict(config).items()
        if k not in ("resume", "fresh", "out", "device", "threads", "strict", "price")
    }


def machine(config):
    cpu = platform.processor() or platform.machine()
    return f"{config.device}, {cpu}, {config.threads} threads, torch {torch.__version__}, Python {platform.python_version()}"


def peak_memory_mb():
    """The most memory this process ever held; None on Windows, which has no such count in Python."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1024**2)


def base_model(config, run):
    """The base: reused if it is there, GPT-2 if that is asked for, else pretrained. -> model, tokenizer, prose kept back"""
    path = run.out / "base.pt"
    start = time.perf_counter()
    passages = corpus_of(config)
    fresh = config.fresh and not config.resume
    if path.exists() and not fresh and not (run.partial and run.partial["stage"] == "pretrain"):
        checkpoint = load_checkpoint(path)
        run.say(f"\n1. Base model: {path} is there and is used again (--fresh starts over).")
        tokenizer = Tokenizer.from_state(checkpoint["tokenizer"])
        model = build_model(checkpoint, path).to(config.device)
        return model, tokenizer, prose(config, passages, tokenizer, run)[1]
    if config.base:
        run.say(f"\n1. Base model: {config.base}.")
        source = fetch_gpt2(config.base, run.out / config.base) if config.base in GPT2_SIZES else Path(config.base)
        model = load_gpt2(source).to(config.device)
        tokenizer = gpt2_tokenizer(source if source.is_dir() else source.parent)
        if tokenizer.vocab_size != model.config.vocab_size:
            raise UserError(
                f"{source}: weights for {model.config.vocab_size} tokens, but a vocabulary of {tokenizer.vocab_size}."
            )
        kept_back = prose(config, passages, tokenizer, run)[1]
    else:
        run.say("\n1. No base model yet: pretraining one. It reads prose and learns to continue it.")
        tokenizer = tokenizer_for(passages(), config)
        stream, kept_back = prose(config, passages, tokenizer, run)
        run.report["stages"]["prepare"] = {
            "seconds": round(time.perf_counter() - start, 2),
            "corpus_tokens": len(stream),
        }
        model = pretrain(config, tokenizer, stream, run)
    trained_on = {"seed": config.seed, "corpus": config.corpus or config.base or "world"}
    run.save(path, config=asdict(model.config), model=model.state_dict(), tokenizer=tokenizer.state(), template=None,
             trained_on=trained_on, torch=str(torch.__version__))  # fmt: skip
    if run.first:
        run.resume_file.unlink(missing_ok=True)
    return model, tokenizer, kept_back


def tuning_rows(config, run):
    """-> rows to tune on, {reason: places} of rows left out, {split: held-out rows}"""
    if not config.data:
        built = build_world(config, size=0)
        return world_rows(built.pairs), {}, {name: world_rows(split) for name, split in built.splits.items()}
    files, dropped = [], {}
    for name in config.data:
        path, weight = split_weight(name)
        rows, left_out = load_rows(path, config.strict, config.format)
        files.append((path, [(prompt_key(row), row) for row in rows], weight))
        for reason, places in left_out.items():
            dropped[reason] = dropped.get(reason, []) + places
    prompts = sorted({key for _, rows, _ in files for key, _ in rows})  # by prompt, so that no prompt leaks
    kept_back = set(random.Random(config.seed).sample(prompts, min(200, len(prompts) // 10)))
    test = [row for _, rows, _ in files for key, row in rows if key in kept_back]
    left = [([row for key, row in rows if key not in kept_back], weight) for _, rows, weight in files]
    mixed = mix(left, config.task_cap, config.seed)
    run.report["mixture"] = {path: {"rows": len(rows), "weight": weight} for path, rows, weight in files}
    run.report["mixture"]["taken"] = dict(Counter(row.task for row in mixed).most_common(50))
    biggest = ", ".join(f"{task} {n}" for task, n in Counter(row.task for row in mixed).most_common(8))
    run.say(
        f"Mixture: {', '.join(f'{path} x {weight:g}' for path, _, weight in files)}: {len(mixed):,} rows ({biggest})"
    )
    return mixed, dropped, {"unseen_inputs": test} if test else {}


def show_data(run, tokenizer, rows, examples, audit, splits):
    run.say("\n2. One pair as the model will see it; the loss looks at the marked tokens only:\n")
    run.say(show_mask(tokenizer, *examples[0], color=sys.stdout.isatty()) + "\n")
    trained_on = {prompt_key(row) for row in rows}
    overlap = sum(prompt_key(row) in trained_on for split in splits.values() for row in split)
    for line in audit.lines():
        run.say(f"  {line}")
    run.say(f"  {overlap} of the held-out prompts stand in the tuning data")
    run.report["audit"] = {"rows": audit.rows, "kept": audit.kept, "trimmed": len(audit.trimmed), "tokens": audit.tokens,
                           "learned": audit.learned, "dropped": {k: len(v) for k, v in audit.dropped.items()},
                           "overlap": overlap}  # fmt: skip


def save_tuned(config, run, model, tokenizer, name="tuned", **content):
    content = content or {"model": model.state_dict()}
    trained_on = {
        "seed": config.seed,
        "hold_out": config.hold_out.split(","),
        "data": list(config.data) or "world",
        "bare": config.bare,
    }
    run.save(run.out / f"{name}.pt", config=asdict(model.config), tokenizer=tokenizer.state(),
                    template=config.template, trained_on=trained_on, torch=str(torch.__version__), **content)  # fmt: skip


def clone(model):
    copy = GPT(model.config).to(model.device())
    copy.load_state_dict(model.state_dict())
    return copy


def main_job(config):
    started = time.perf_counter()
    run = Run(config)
    run.say(
        "Configuration: "
        + ", ".join(f"{k}={v}" for k, v in asdict(config).items() if v not in ("", []) and v is not False)
    )
    run.say(f"Machine: {run.report['machine']}")
    rows, dropped, splits = tuning_rows(
        config, run
    )  # first, so that a mistake in a file is found before minutes of work
    base, tokenizer, kept_back = base_model(config, run)
    examples, audit = prepare(rows, tokenizer, config.template, base.config.block_size, dropped)
    if not examples:
        raise UserError(
            f"{', '.join(config.data)}: no row fits in {base.config.block_size} tokens. Use shorter rows or --block-size."
        )
    show_data(run, tokenizer, rows, examples, audit, splits)

    run.say("\n3. Tuning: the same loop, other batches.")
    tuned = clone(base)
    tune(config, tuned, tokenizer, examples, run)
    save_tuned(config, run, tuned, tokenizer)
    bot = Bot(tuned, tokenizer, config.template)
    columns = three_columns(Bot(base, tokenizer, None), bot)
    losses = {"base": corpus_loss(base, kept_back, config), "tuned": corpus_loss(tuned, kept_back, config)}
    if config.lora:
        adapted = clone(base)
        add_lora(adapted, config.lora, config.lora_alpha)
        n, total = (
            sum(p.numel() for p in adapted.parameters() if p.requires_grad),
            sum(p.numel() for p in base.parameters()),
        )
        run.say(f"\n   LoRA, rank {config.lora}: {n:,} numbers are learned, {n / total:.1%} of the base's {total:,}.")
        tune(config, adapted, tokenizer, examples, run, "lora", config.lora_lr)
        save_tuned(config, run, adapted, tokenizer, "lora", adapter=lora_state(adapted), lora=adapted.lora,
                   fingerprint=fingerprint(base), base="base.pt")  # fmt: skip
        columns["lora"] = Bot(adapted, tokenizer, config.template)
        losses["lora"] = corpus_loss(adapted, kept_back, config)

    if not run.first:
        return
    run.say("\n4. Did it work? Questions that were never tuned on, answered exactly right:\n")
    checking = time.perf_counter()
    if config.quick:
        splits = {name: rows[:: max(1, len(rows) // 16)] for name, rows in splits.items()}
    scores = score_columns(columns, splits, Sampling())
    if scores:
        print_table(scores)
    run.say("\n  What tuning cost: loss on prose kept back, " + ", ".join(f"{k} {v:.3f}" for k, v in losses.items()))
    run.say("\n5. Side by side, all held out:")
    for row in shown_rows(splits):
        side_by_side(columns, row, Sampling())
    run.report["stages"]["evaluate"] = {"seconds": round(time.perf_counter() - checking, 2)}
    finish(run, scores, losses, started)


def shown_rows(splits):
    """Eight held-out prompts that show what instruction tuning is known for."""
    rows = [row for split in splits.values() for row in split]
    words = ("capital of France", "Summar", "Korean", "SQL", "sum of", "story about", "name in", "opposite")
    found = [next((row for row in rows if word in row.turns[0][0]), None) for word in words]
    return list(dict.fromkeys(row for row in found if row)) or rows[:8]


def finish(run, scores, losses, started):
    run.report |= {"held_out": scores, "corpus_loss": losses, "seconds": round(time.perf_counter() - started, 1),
                   "peak_memory_mb": peak_memory_mb()}  # fmt: skip
    try:
        (run.out / "report.json").write_text(json.dumps(run.report, indent=1, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{run.out}/report.json: cannot be written: {error.strerror}.") from None
    run.resume_file.unlink(missing_ok=True)
    out = run.out
    run.say(f"\n{run.report['seconds']:.0f} s in all, {run.report['peak_memory_mb']} MB at most. Files: {out}/base.pt, {out}/tuned.pt, "
            f"{out}/report.json, {out}/log.jsonl")  # fmt: skip
    run.say('Try next:  python generate.py "What is the capital of France?"\n           python generate.py')


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for f in fields(Config):
        name = "--" + f.name.replace("_", "-")
        if f.type in (bool, list):
            kind = (
                {"action": "store_true"} if f.type is bool else {"action": "append", "default": [], "metavar": "FILE"}
            )
            parser.add_argument(name, help=f.metadata["help"], **kind)
        else:
            parser.add_argument(name, type=f.type, default=f.default, metavar=f.type.__name__.upper(),
                                help=f"{f.metadata['help']} (default: {f.default or 'none'})")  # fmt: skip
    given = vars(parser.parse_args(argv))
    if given["quick"]:
        given |= {k: v for k, v in QUICK.items() if given[k] == parser.get_default(k)}
    return check_config(Config(**given))


def check_config(config):
    """Every flag is in its range, or UserError; `device` becomes one that is there."""
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(config, name) <= high:
            raise UserError(f"--{name.replace('_', '-')} {getattr(config, name)}: choose from {low} to {high}.")
    named = {"template": TEMPLATES, "position": ("rotary", "learned"), "format": ("", *FORMATS), "dtype": DTYPES}
    for name, known in named.items():
        if getattr(config, name) not in known:
            raise UserError(f"--{name} {getattr(config, name)}: unknown. Known: {', '.join(known)}.")
    for name in filter(None, config.without.split(",")):
        if name not in (*world.PASSAGES, world.HELD_OUT_QUESTIONS):
            raise UserError(
                f"--without {name}: no such passages. Known: {', '.join(world.PASSAGES)}, {world.HELD_OUT_QUESTIONS}."
            )
    for name in config.hold_out.split(","):
        if name not in world.TASKS:
            raise UserError(f"--hold-out {name}: no such task. Known: {', '.join(world.TASKS)}.")
    if config.n_embd % (2 * config.n_head):
        raise UserError(f"--n-embd {config.n_embd}: must be a multiple of {2 * config.n_head}, twice --n-head.")
    if config.window > config.block_size:
        raise UserError(f"--window {config.window}: must not be longer than --block-size {config.block_size}.")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if config.device == "auto":
        config.device = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there.get(config.device.partition(":")[0]):
        found = ", ".join(name for name, yes in there.items() if yes)
        raise UserError(f"--device {config.device}: not there on this machine. There is: {found}.")
    if config.dtype == "auto":
        config.dtype = "bfloat16" if knows_bfloat16(config.device) else "float32"
    return config


def join_processes(config):
    """Started by torchrun: one of several processes, each with a device of its own."""
    if "RANK" in os.environ:
        if config.device == "cuda":
            config.device = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(config.device)
        dist.init_process_group("nccl" if config.device.startswith("cuda") else "gloo")


def main(argv=None):
    try:
        config = parse(argv)
        join_processes(config)
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
        keep_memory()
        main_job(config)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt):
        kept = any((Path(config.out) / name).exists() for name in ("resume.pt", "base.pt"))
        print(
            "\nStopped"
            + (", and saved. Go on with the same command and --resume." if kept else ": nothing to keep yet.")
        )
        return 130
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
