"""From nothing to a model that answers: pretrain a tiny GPT on prose, tune it on instructions, show that it worked.

The one idea: pretraining and instruction tuning are the same loop with the same loss, `train()` below. Only two
things change: what the batches hold, and which positions the loss looks at.

    python train_sft.py                    the whole story, a few minutes on a laptop CPU
    python train_sft.py --quick            the same in seconds, with a model too small to be good
    python train_sft.py --lora 8           tune a low-rank adapter as well, and compare
    python train_sft.py --data my.jsonl    tune on your own pairs
"""

import argparse
import json
import math
import platform
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from tqdm import tqdm

import world
from data import (
    IGNORE,
    TEMPLATES,
    Row,
    Tokenizer,
    collate,
    corpus_batch,
    encode_corpus,
    epoch_batches,
    load_rows,
    prepare,
    prompt_key,
    read_text,
    show_mask,
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
    lora_state,
    save_checkpoint,
)  # fmt: skip


def flag(default, help):
    return field(default=default, metadata={"help": help})


@dataclass
class Config:
    out: str = flag("out", "folder for checkpoints, the report and the log")
    corpus: str = flag("", "pretrain on this text file instead of the built-in world (passages apart by blank lines)")
    data: str = flag("", "tune on this file of pairs (JSON Lines or a JSON array) instead of the built-in ones")
    template: str = flag("alpaca", f"prompt format: {', '.join(TEMPLATES)}")
    hold_out: str = flag(",".join(world.HELD_OUT), "tasks never tuned on, names apart by commas")
    seed: int = flag(0, "seed of the weights, the data and their order")
    device: str = flag("auto", "cpu, cuda, mps, or auto")
    threads: int = flag(2, "CPU threads; as many as there are cores is usually best")

    vocab_size: int = flag(
        2560, "tokens in the byte-pair vocabulary; nearly every word of the built-in world is one token"
    )
    block_size: int = flag(128, "longest context in tokens")
    n_layer: int = flag(4, "transformer blocks")
    n_head: int = flag(2, "attention heads")
    n_embd: int = flag(128, "width of the residual stream")
    position: str = flag("rotary", "rotary or learned")
    smear: int = flag(1, "1: every token is shown the one before it; 0: not, as in GPT-2")

    pretrain_steps: int = flag(1250, "optimizer steps of pretraining")
    pretrain_batch: int = flag(16, "windows in a pretraining batch")
    window: int = flag(64, "tokens in a window; short ones teach facts in fewer tokens")
    pretrain_lr: float = flag(3e-3, "peak learning rate of pretraining")
    muon_lr: float = flag(0.02, "peak learning rate of Muon in pretraining (0: AdamW alone)")
    tune_epochs: float = flag(1.0, "how often every pair is seen; more makes unseen facts worse")
    tune_batch: int = flag(32, "pairs in a tuning batch")
    tune_lr: float = flag(
        3e-4, "peak learning rate of tuning; a higher one answers known tasks better and unseen ones worse"
    )
    micro_batch: int = flag(
        64, "rows that go through the model at once; less needs less memory, the result is the same"
    )
    lora: int = flag(0, "also tune an adapter of this rank (0: none)")
    lora_alpha: float = flag(16.0, "the adapter's correction is scaled by alpha / rank")
    lora_lr: float = flag(5e-3, "peak learning rate of the adapter")

    save_every: int = flag(250, "steps between two saves of the state that --resume goes on from")
    fresh: bool = flag(False, "pretrain again even if out/base.pt is there")
    resume: bool = flag(False, "go on with a run that was interrupted")
    quick: bool = flag(False, "tiny settings for a look at everything in seconds")
    strict: bool = flag(False, "make the first bad row of --data an error instead of skipping it")


WORLD_TOKENS = 1_420_000  # what the built-in world tells in one reading, without what is kept back
QUICK = dict(n_layer=2, n_embd=64, pretrain_steps=60, tune_epochs=0.1)
LIMITS = {  # what a number may be
    "vocab_size": (257, 65536), "block_size": (16, 8192), "n_layer": (1, 96), "n_head": (1, 96), "n_embd": (8, 8192),
    "pretrain_steps": (1, 10**7), "pretrain_batch": (1, 4096), "window": (8, 8192), "pretrain_lr": (1e-8, 1), "muon_lr": (0, 1),
    "tune_epochs": (0.001, 1000), "tune_batch": (1, 4096), "tune_lr": (1e-8, 1), "micro_batch": (1, 4096),
    "smear": (0, 1), "lora": (0, 1024), "lora_alpha": (1e-3, 4096), "lora_lr": (1e-8, 1), "threads": (1, 256), "save_every": (1, 10**7), "seed": (0, 2**31),
}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------
# The loop. Both stages are this.


class Interrupted(Exception):
    """Ctrl-C was pressed; everything is saved."""


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal (Jordan et al. 2024): every direction of a weight matrix is moved equally far.

    Newton-Schulz steps push the singular values of the momentum towards 1 with matrix products only. A small model
    learns to copy in about half the tokens that AdamW needs. For matrices (out, in) inside the blocks only; c_attn's
    weight is three matrices. (torch ships a Muon too; its bfloat16 products are very slow on a CPU.)"""

    def __init__(self, matrices, lr, momentum=0.95):
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        (group,) = self.param_groups
        by_shape = {}  # products of many small matrices at once are faster than one by one
        for weight in group["params"]:
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
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x


def optimizers_for(model, lr, muon_lr=0.0):
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
    return [adamw] + ([Muon(matrices, muon_lr)] if matrices else [])


def schedule(step, steps):
    """The share of the peak learning rate: warm up over the first steps, then decay in a straight line to zero."""
    warm_up = max(1, min(50, steps // 10))
    return min((step + 1) / warm_up, (steps - step) / (steps - warm_up + 1))


def train(model, batch_at, steps, peak_lr, *, name="train", muon_lr=0.0, micro_batch=64, watch=None, log=None, save=None,
          save_every=250, state=None):  # fmt: skip
    """Next-token training, for both stages.

    batch_at(step) -> inputs, targets, each (B, T); targets are IGNORE where nothing is learned.
    watch(step) is called now and then to show how the model speaks; log(dict) at every tenth step; save(dict) with all
    that is needed to go on, now and then and at Ctrl-C; state is such a dict. Raises UserError if the loss is not
    finite, Interrupted at Ctrl-C. Returns seconds and tokens."""
    device = model.device()
    optimizers = optimizers_for(model, peak_lr, muon_lr)
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
               bar_format="{desc} {percentage:3.0f} % |{bar}| {postfix}, {remaining} left", disable=not sys.stdout.isatty())  # fmt: skip
    tokens, start, watched = 0, time.perf_counter(), 0.0
    try:
        for step in range(first, steps):
            if watch and step % max(1, steps // 8) == 0:
                pause = time.perf_counter()
                model.eval()
                watch(step)
                watched += time.perf_counter() - pause
            model.train()
            inputs, targets = batch_at(step)
            n_learned = (targets != IGNORE).sum().clamp(min=1)  # of the whole step: every learned token counts alike
            loss = 0.0
            for x, y in zip(inputs.split(micro_batch), targets.split(micro_batch)):
                with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                    part = model.loss_sum(x.to(device), y.to(device)) / n_learned.to(device)
                part.backward()
                loss += part.item()
            if not math.isfinite(loss):
                raise UserError(f"{name}: the loss is {loss} at step {step}. Lower the learning rate.")
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, peak in zip(optimizers, peaks):
                for group, lr in zip(optimizer.param_groups, peak):
                    group["lr"] = lr * schedule(step, steps)
                optimizer.step()
                optimizer.zero_grad()
            tokens += inputs.numel()
            seconds = time.perf_counter() - start - watched
            bar.set_postfix_str(f"loss {loss:.3f}, {tokens / seconds:,.0f} tokens/s", refresh=False)
            bar.update()
            if log and (step % 10 == 0 or step == steps - 1):
                lr = optimizers[0].param_groups[0]["lr"]
                log({"stage": name, "step": step, "loss": loss, "lr": lr, "tokens_per_second": round(tokens / seconds)})
            if save and (stop or (step + 1) % save_every == 0):
                save(
                    {"step": step + 1, "model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers]}
                )
            if stop:
                raise Interrupted
    finally:
        bar.close()
        signal.signal(signal.SIGINT, before)
    model.eval()
    seconds = time.perf_counter() - start - watched
    return {"seconds": round(seconds, 2), "tokens": tokens, "tokens_per_second": round(tokens / seconds)}


# ----------------------------------------------------------------------------------------------------------------
# What the two stages put into it.


def corpus_of(config):
    """-> passages of prose"""
    if config.corpus:
        return [passage.strip() for passage in read_text(config.corpus).split("\n\n") if passage.strip()]
    size = config.pretrain_steps * config.pretrain_batch * config.window / WORLD_TOKENS  # as much as will be read
    return world.build(config.seed, config.hold_out.split(","), size).corpus


def corpus_loss(model, stream, config):
    """Mean loss (nats a token) on prose kept back from pretraining: how well the model still knows its language."""
    total = count = 0
    with torch.inference_mode():
        for step in range(8):
            inputs, targets = corpus_batch(stream, step, config.pretrain_batch, config.window)
            total += model.loss_sum(inputs.to(model.device()), targets.to(model.device())).item()
            count += targets.numel()
    return total / count


def tokenizer_for(passages, config):
    """Byte pairs of the corpus. The headers of the prompt count as common words, so that they are a few tokens each."""
    t = TEMPLATES[config.template]
    headers = "".join((t.preamble, t.instruction, t.context, t.response))
    return Tokenizer(train_bpe("\n".join(passages) + headers * 300, config.vocab_size))


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

    speed = train(model, batch_at, config.pretrain_steps, config.pretrain_lr, name="pretrain", muon_lr=config.muon_lr, watch=watch,
                  micro_batch=config.micro_batch, log=run.log, save_every=config.save_every, save=run.saver("pretrain"),
                  state=run.state("pretrain"))  # fmt: skip
    watch(config.pretrain_steps)
    run.report["stages"]["pretrain"] = speed
    return model


def tune(config, model, tokenizer, examples, run, name="tune", lr=None):
    """The same loop on instruction pairs: the loss looks only at the answers and at the end token after them."""
    epochs = [epoch_batches(examples, config.tune_batch, config.seed + e) for e in range(int(config.tune_epochs) + 1)]
    batches = [batch for epoch in epochs for batch in epoch]
    steps = max(1, int(len(epochs[0]) * config.tune_epochs))

    def watch(step):
        text, stopped = Bot(model, tokenizer, config.template).answers([run.shown], Sampling(max_new=16))[0]
        run.say(f"  step {step:>4}: {run.shown.turns[0][0]} -> {text!r:.50}{' and stops' if stopped else ' ...'}")

    def batch_at(step):
        return collate(batches[step], tokenizer.end)

    speed = train(model, batch_at, steps, lr or config.tune_lr, name=name, watch=watch,
                  micro_batch=config.micro_batch, log=run.log, save_every=config.save_every, save=run.saver(name),
                  state=run.state(name))  # fmt: skip
    watch(steps)
    run.report["stages"][name] = speed


# ----------------------------------------------------------------------------------------------------------------
# The main job: both stages, the proof, the files.


class Run:
    """Where one run writes: the screen, the log, the report, and what is needed to go on after a stop."""

    def __init__(self, config):
        self.config, self.out = config, Path(config.out)
        self.resume_file, self.partial = self.out / "resume.pt", None
        self.shown = Row((("What is the capital of France?", "", ""),))
        self.report = {"config": asdict(config), "stages": {}, "machine": machine(config)}
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self.log_file = open(self.out / "log.jsonl", "a" if config.resume else "w", encoding="utf-8")
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
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()

    def log(self, record):
        self.log_file.write(json.dumps(record) + "\n")
        self.log_file.flush()

    def saver(self, stage):
        return lambda state: save_checkpoint(self.resume_file, stage=stage, config=resumable(self.config), state=state)

    def state(self, stage):
        """What an interrupted run saved of this stage, if it is this stage that was interrupted."""
        return self.partial["state"] if self.partial and self.partial["stage"] == stage else None


def resumable(config):
    """The settings that must be the same for a run to go on."""
    return {
        k: v for k, v in asdict(config).items() if k not in ("resume", "fresh", "out", "device", "threads", "strict")
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
    """The base: reused if it is there, pretrained if not. -> model, tokenizer, prose kept back"""
    path = run.out / "base.pt"
    start = time.perf_counter()
    passages = corpus_of(config)
    kept_back = passages[:: max(2, len(passages) // 300)][-300:]
    fresh = config.fresh and not config.resume
    if path.exists() and not fresh and not (run.partial and run.partial["stage"] == "pretrain"):
        checkpoint = load_checkpoint(path)
        run.say(f"\n1. Base model: {path} is there and is used again (--fresh starts over).")
        tokenizer = Tokenizer.from_state(checkpoint["tokenizer"])
        model = build_model(checkpoint, path).to(config.device)
        return model, tokenizer, encode_corpus(tokenizer, kept_back)
    run.say("\n1. No base model yet: pretraining one. It reads prose and learns to continue it.")
    chosen = set(kept_back)
    passages = [passage for passage in passages if passage not in chosen]
    tokenizer = tokenizer_for(passages, config)
    stream = encode_corpus(tokenizer, passages)
    check_stream(config, stream)
    run.report["stages"]["prepare"] = {"seconds": round(time.perf_counter() - start, 2), "corpus_tokens": len(stream)}
    model = pretrain(config, tokenizer, stream, run)
    save_checkpoint(path, config=asdict(model.config), model=model.state_dict(), tokenizer=tokenizer.state(), template=None,
                    trained_on={"seed": config.seed, "corpus": config.corpus or "world"}, torch=str(torch.__version__))  # fmt: skip
    run.resume_file.unlink(missing_ok=True)
    return model, tokenizer, encode_corpus(tokenizer, kept_back)


def check_stream(config, stream):
    if len(stream) <= config.window:
        raise UserError(
            f"{config.corpus}: only {len(stream)} tokens, fewer than a window of {config.window}. Add text."
        )


def tuning_rows(config):
    """-> rows to tune on, {reason: places} of rows left out, {split: held-out rows}"""
    if not config.data:
        built = world.build(config.seed, config.hold_out.split(","), size=0)
        return world_rows(built.pairs), {}, {name: world_rows(split) for name, split in built.splits.items()}
    rows, dropped = load_rows(config.data, config.strict)
    prompts = sorted({prompt_key(row) for row in rows})  # held out by prompt, not by row, so that no prompt leaks
    kept_back = set(random.Random(config.seed).sample(prompts, min(200, len(prompts) // 10)))
    test = [row for row in rows if prompt_key(row) in kept_back]
    return [row for row in rows if prompt_key(row) not in kept_back], dropped, {"unseen_inputs": test} if test else {}


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
    trained_on = {"seed": config.seed, "hold_out": config.hold_out.split(","), "data": config.data or "world"}
    save_checkpoint(run.out / f"{name}.pt", config=asdict(model.config), tokenizer=tokenizer.state(),
                    template=config.template, trained_on=trained_on, torch=str(torch.__version__), **content)  # fmt: skip


def clone(model):
    copy = GPT(model.config).to(model.device())
    copy.load_state_dict(model.state_dict())
    return copy


def main_job(config):
    started = time.perf_counter()
    run = Run(config)
    run.say("Configuration: " + ", ".join(f"{k}={v}" for k, v in asdict(config).items() if v not in ("", False)))
    run.say(f"Machine: {run.report['machine']}")
    rows, dropped, splits = tuning_rows(config)  # first, so that a mistake in a file is found before minutes of work
    base, tokenizer, kept_back = base_model(config, run)
    examples, audit = prepare(rows, tokenizer, config.template, base.config.block_size, dropped)
    if not examples:
        raise UserError(
            f"{config.data}: no row fits in {base.config.block_size} tokens. Use shorter rows or --block-size."
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
        if f.type is bool:
            parser.add_argument(name, action="store_true", help=f.metadata["help"])
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
    for name, known in (("template", TEMPLATES), ("position", ("rotary", "learned"))):
        if getattr(config, name) not in known:
            raise UserError(f"--{name} {getattr(config, name)}: unknown. Known: {', '.join(known)}.")
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
    if not there.get(config.device):
        found = ", ".join(name for name, yes in there.items() if yes)
        raise UserError(f"--device {config.device}: not there on this machine. There is: {found}.")
    return config


def main(argv=None):
    try:
        config = parse(argv)
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
