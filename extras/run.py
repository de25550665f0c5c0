"""One run of the main job: what it adds is the progress bar, the log, the report, stopping by Ctrl-C, and --resume.

You can skip this: `train()` works without it. `Run.stage()` makes the on_step that goes into `train()`.
"""

import contextlib
import json
import os
import platform
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
from tqdm import tqdm

from data import Row, Turn, UserError
from extras.audit import prompt_key
from extras.checkpoint import load_checkpoint, save_checkpoint
from extras.speed import peak_memory_mb
from generate import Sampling

SHOWN = "What is the capital of France?"


class Interrupted(Exception):
    """Ctrl-C was pressed; everything is saved."""


class Run:
    """Where one run writes: the screen, the log, the report, and what is needed to continue after a stop."""

    def __init__(self, config):
        self.config, self.out, self.start = config, Path(config.out), time.perf_counter()
        self.rank = dist.get_rank() if dist.is_initialized() else 0  # of several processes the first speaks and writes
        machine = f"{config.device}, {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        machine += f"torch {torch.__version__}, Python {platform.python_version()}"
        self.report = {"config": vars(config), "stages": {}, "machine": machine}
        self.resume_file, self.partial = self.out / "resume.pt", None
        self.same = {k: v for k, v in vars(config).items() if k not in ("resume", "fresh", "out", "device")}
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            log = os.devnull if self.rank else self.out / "log.jsonl"
            self.log_file = open(log, "a" if config.resume else "w", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{config.out}: cannot be written: {error.strerror}. Choose another --out.") from None
        if config.resume and self.resume_file.exists():
            self.partial = load_checkpoint(self.resume_file)
            if self.partial["config"] != self.same:
                remedy = "Give the same flags, or --fresh without --resume."
                raise UserError(f"{self.resume_file}: made with other settings. {remedy}")
        elif config.resume and not (self.out / "base.pt").exists():
            raise UserError(f"{self.resume_file}: nothing to resume. Run without --resume.")
        given = {k: v for k, v in vars(config).items() if v is not None and v is not False and v != []}
        self.say("Configuration: " + ", ".join(f"{k}={v}" for k, v in given.items()))
        self.say(f"Machine: {machine}")

    def say(self, text=""):
        if self.rank == 0:
            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

    def wait(self):
        """Until all processes are here."""
        if dist.is_initialized():
            dist.barrier()

    def starts_over(self):
        """Is a base.pt that is there to be ignored?"""
        pretraining = self.partial and self.partial["stage"] == "pretrain"
        return pretraining or (self.config.fresh and not self.config.resume)

    @contextlib.contextmanager
    def stage(self, name, assistant, optimizers):
        """Around one call of pretrain() or tune(): gives it keywords for train(), with an on_step that logs, saves and
        stops, and eight times on the way shows what the assistant says."""
        model = assistant.model
        first = self.restore(name, model, optimizers)
        options = {"start": first, "micro_batch": self.config.micro_batch, "dtype": self.config.dtype}
        if dist.is_initialized():
            from extras import parallel

            options["backward"] = parallel.backward
        look = "{desc} {percentage:3.0f} % |{bar}| {postfix}, {remaining} left"
        bar = tqdm(initial=first, desc=name, file=sys.stdout, mininterval=0.5, ncols=78, leave=False, bar_format=look,
                   disable=self.rank > 0 or not sys.stdout.isatty())
        stop = []  # something, when Ctrl-C was pressed: finish the step, then save

        def show(step):
            text, stopped = assistant.answers([Row((Turn(SHOWN),))], Sampling(max_new_tokens=16))[0]
            self.say(f"  step {step:>4}: {SHOWN} -> {text!r:.60}{' and stops' if stopped else ' ...'}")
            record = {"stage": name, "step": step, "prompt": SHOWN, "answer": text, "stopped": stopped}
            print(json.dumps(record), file=self.log_file, flush=True)

        def on_step(done, steps, loss, tokens):
            clock["tokens"] += tokens
            speed = clock["tokens"] / (time.perf_counter() - clock["start"])
            bar.total = steps
            bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s", refresh=False)
            bar.update()
            if (done - 1) % 10 == 0 or done == steps:
                lr = optimizers[0].param_groups[0]["lr"]
                record = {"stage": name, "step": done - 1, "loss": loss, "lr": lr, "tokens_per_second": round(speed)}
                print(json.dumps(record), file=self.log_file, flush=True)
            stopping = parallel.total(len(stop), model.device()) if dist.is_initialized() else stop  # all at one step
            if self.rank == 0 and (stopping or done % self.config.save_every == 0):
                states = [optimizer.state_dict() for optimizer in optimizers]
                state = {"step": done, "model": model.state_dict(), "optimizers": states}
                save_checkpoint(self.resume_file, stage=name, config=self.same, state=state)
            if stopping:
                raise Interrupted
            if done == steps or done % max(1, steps // 8) == 0:
                pause = time.perf_counter()
                show(done)
                clock["start"] += time.perf_counter() - pause  # showing is not training

        show(first)
        clock = {"start": time.perf_counter(), "tokens": 0}
        handler = signal.signal(signal.SIGINT, lambda *_: stop.append(True))
        try:
            yield options | {"on_step": on_step}
        finally:
            bar.close()
            signal.signal(signal.SIGINT, handler)
        if stop:  # pressed after the last step
            raise KeyboardInterrupt
        seconds = time.perf_counter() - clock["start"]
        tokens, per_second = clock["tokens"], round(clock["tokens"] / seconds)
        self.report["stages"][name] = {"seconds": round(seconds, 2), "tokens": tokens, "tokens_per_second": per_second}
        self.say(f"  measured: {seconds:.0f} s, {per_second:,} tokens/s")

    def restore(self, name, model, optimizers):
        """The step to start from: that of the stop, if it was in this stage, with everything as it was; else 0."""
        if not self.partial or self.partial["stage"] != name:
            return 0
        state = self.partial["state"]
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        return state["step"]

    def save_model(self, name, model, tokenizer, template, trained_on, **content):
        if self.rank == 0:
            content = (content or {"model": model.state_dict()}) | {"trained_on": trained_on, "template": template}
            config, version = asdict(model.config), str(torch.__version__)
            path = self.out / f"{name}.pt"
            save_checkpoint(path, config=config, tokenizer=tokenizer.state(), torch=version, **content)
            if name == "base":
                self.resume_file.unlink(missing_ok=True)

    def tell_audit(self, found, rows, splits):
        """An Audit on the screen and in the report."""
        trained_on = {prompt_key(row) for row in rows}
        overlap = sum(prompt_key(row) in trained_on for split in splits.values() for row in split)
        for line in (*found.lines(), f"{overlap} of the held-out prompts stand in the tuning data"):
            self.say(f"  {line}")
        counts = {name: getattr(found, name) for name in ("rows", "kept", "tokens", "learned")}
        dropped = {reason: len(where) for reason, where in found.dropped.items()}
        self.report["audit"] = counts | {"trimmed": len(found.trimmed), "dropped": dropped, "overlap": overlap}

    def finish(self, scores, losses):
        """Write the report; nothing is left to resume."""
        seconds, memory, out = round(time.perf_counter() - self.start, 1), peak_memory_mb(), self.out
        self.report |= {"held_out": scores, "corpus_loss": losses, "seconds": seconds, "peak_memory_mb": memory}
        try:
            (out / "report.json").write_text(json.dumps(self.report, indent=1, ensure_ascii=False), encoding="utf-8")
        except OSError as error:
            raise UserError(f"{out}/report.json: cannot be written: {error.strerror}. Choose another --out.") from None
        self.resume_file.unlink(missing_ok=True)
        files = ", ".join(f"{out}/{name}" for name in ("base.pt", "tuned.pt", "report.json", "log.jsonl", "page.html"))
        self.say(f"\n{seconds:.0f} s in all, {memory} MB at most. Files: {files}")
        self.say('Try next:  python generate.py "What is the capital of France?"\n           python generate.py')
