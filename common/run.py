"""One run of the main job: what it adds is the progress bar, the log, the report, stopping by Ctrl-C, and --resume.

You can skip this: `train()` works without it. `Run.stage()` makes the on_step that goes into `train()`.
"""

import contextlib
import json
import platform
import signal
import sys
import textwrap
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
from tqdm import tqdm

from data import Row, Turn, UserError
from common.audit import prompt_key
from common.checkpoint import check_weights, load_checkpoint, save_checkpoint, save_json, take_over
from common.cli import visible
from common.speed import peak_memory_mb
from generate import Sampling

SHOWN = "What is the capital of France?"
BAR = "{desc} {percentage:3.0f} % |{bar}| {postfix}, {remaining} left"


class Run:
    """Where one run writes: the screen, the log, the report, and what is needed to continue after a stop."""

    def __init__(self, config):
        self.config, self.out, self.start = config, Path(config.out), time.perf_counter()
        self.rank = dist.get_rank() if dist.is_initialized() else 0  # of several processes the first speaks and writes
        machine = f"{config.device}, {platform.machine()}, {torch.get_num_threads()} threads, "
        machine += f"torch {torch.__version__}, Python {platform.python_version()}"
        self.report = {"config": vars(config), "stages": {}, "machine": machine}
        self.log("", "a" if config.resume else "w")
        self.same = {k: v for k, v in vars(config).items() if k not in ("resume", "fresh", "out", "device", "given")}
        self.resume_file, self.partial, self.shown = self.out / "resume.pt", None, Turn(SHOWN)
        if config.resume and self.resume_file.exists():
            self.partial = load_checkpoint(self.resume_file)
            if self.partial.get("config") != self.same:
                remedy = "Give the same flags, or --fresh without --resume."
                raise UserError(f"{self.resume_file}: made with other settings. {remedy}")
        elif config.resume and not (self.out / "base.pt").exists():
            raise UserError(f"{self.resume_file}: nothing to resume. Run without --resume.")
        self.base_file = self.out / "base.pt"
        self.reuses = self.base_file.exists() and not self.starts_over()
        if self.reuses:
            take_over(config, load_checkpoint(self.base_file), self.base_file)
        given = ", ".join(f"{name}={value}" for name, value in config.given.items()) or "as it is"
        self.say_wrapped(f"Configuration: {given}")
        self.say_wrapped(f"Machine: {machine}")

    def say(self, text=""):
        if self.rank == 0:
            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

    def say_wrapped(self, text):
        self.say(textwrap.fill(visible(text), 80, subsequent_indent="  ", break_on_hyphens=False))

    def log(self, text, mode="a"):
        """A text into log.jsonl."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if self.rank == 0:
                with open(self.out / "log.jsonl", mode, encoding="utf-8") as file:
                    file.write(text)
        except OSError as error:
            raise UserError(f"{self.out}/log.jsonl: cannot be written: {error.strerror}. Choose another --out.") from None

    def wait(self):
        """Until all processes are here."""
        if dist.is_initialized():
            dist.barrier()

    def starts_over(self):
        """Is a base.pt that is there to be ignored?"""
        pretraining = self.partial and self.partial.get("stage") == "pretrain"
        return pretraining or (self.config.fresh and not self.config.resume)

    @contextlib.contextmanager
    def stage(self, name, assistant, optimizers):
        """Around one call of pretrain() or tune(): gives it keywords for train(), with an on_step that logs, saves and
        stops, and eight times on the way shows what the assistant says."""
        model, tokens, several = assistant.model, 0, dist.is_initialized()
        first = self.restore(name, model, optimizers)
        options = {"start": first, "micro_batch": self.config.micro_batch, "dtype": self.config.dtype}
        if several:
            from extras import parallel

            options["backward"] = parallel.backward
        bar = tqdm(initial=first, desc=name, file=sys.stdout, mininterval=0.5, ncols=78, leave=False, bar_format=BAR,
                   disable=self.rank > 0 or None)  # None: shown on a terminal only

        def show(step):
            text, stopped = assistant.answers([Row((self.shown,))], Sampling(max_new_tokens=16))[0]
            self.say(f"  step {step:>5}: {text!r:.54}{' and stops' if stopped else ' ...'}")
            record = {"stage": name, "step": step, "prompt": self.shown.instruction, "answer": text, "stopped": stopped}
            self.log(json.dumps(record) + "\n")

        def on_step(done, steps, loss, new_tokens):
            nonlocal tokens, start
            tokens += new_tokens
            speed = round(tokens / (time.perf_counter() - start))
            bar.total = steps
            bar.set_postfix_str(f"loss {loss:.3f}, {speed:,} tokens/s", refresh=False)
            bar.update()
            if done % 10 == 1 or done == steps:
                lr = optimizers[0].param_groups[0]["lr"]
                record = {"stage": name, "step": done - 1, "loss": loss, "lr": lr, "tokens_per_second": speed}
                self.log(json.dumps(record) + "\n")
            stopping = parallel.total(len(pressed), model.device()) if several else pressed  # all at one step
            if self.rank == 0 and (stopping or done % self.config.save_every == 0):
                states = [optimizer.state_dict() for optimizer in optimizers]
                state = {"step": done, "model": model.state_dict(), "optimizers": states, "threads": torch.get_num_threads()}
                save_checkpoint(self.resume_file, stage=name, config=self.same, state=state)
            if stopping:
                raise KeyboardInterrupt
            if done == steps or done % max(1, steps // 8) == 0:
                pause = time.perf_counter()
                show(done)
                start += time.perf_counter() - pause  # showing is not training

        self.say(visible(f"  {' '.join(self.shown.instruction.split()):.76}"))
        show(first)
        start, pressed = time.perf_counter(), []
        handler = signal.signal(signal.SIGINT, lambda *_: pressed.append("Ctrl-C"))  # first the step is finished
        try:
            yield options | {"on_step": on_step}
        finally:
            bar.close()
            signal.signal(signal.SIGINT, handler)
        if pressed:  # after the last step
            raise KeyboardInterrupt
        seconds = time.perf_counter() - start
        speed = round(tokens / seconds)
        self.report["stages"][name] = {"seconds": round(seconds, 2), "tokens": tokens, "tokens_per_second": speed}
        self.say(f"  measured: {seconds:.0f} s, {speed:,} tokens/s")

    def restore(self, name, model, optimizers):
        """The step to start from: that of the stop, if it was in this stage, with everything as it was; else 0."""
        if not self.partial or self.partial.get("stage") != name:
            return 0
        try:
            state = self.partial["state"]
            check_weights(state["model"], model.state_dict())
            model.load_state_dict(state["model"])
            for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            torch.set_num_threads(int(state["threads"]))  # the same bits as without the stop
            return int(state["step"])
        except Exception:
            raise UserError(f"{self.resume_file}: damaged. Delete it and run again without --resume.") from None

    def save_model(self, name, model, tokenizer, template, trained_on, **content):
        if self.rank == 0:
            content = content or {"model": model.state_dict()}
            content |= {"trained_on": trained_on, "template": template, "torch": str(torch.__version__)}
            save_checkpoint(self.out / f"{name}.pt", config=asdict(model.config), tokenizer=tokenizer.state(), **content)
            if name == "base":
                self.resume_file.unlink(missing_ok=True)

    def tell_audit(self, found, rows, splits):
        """An Audit on the screen and in the report."""
        trained_on = {prompt_key(row) for row in rows}
        overlap = sum(prompt_key(row) in trained_on for split in splits.values() for row in split)
        for line in (*found.lines(), f"{overlap} of the held-out prompts stand in the tuning data"):
            self.say(visible(f"  {line}"))
        counted = {reason: len(where) for reason, where in found.dropped.items()}
        counts = {"trimmed": len(found.trimmed), "dropped": counted, "overlap": overlap}
        self.report["audit"] = vars(found) | counts

    def finish(self, scores, losses):
        """Write the report; nothing is left to resume."""
        seconds, memory = round(time.perf_counter() - self.start, 1), peak_memory_mb()
        self.report |= {"held_out": scores, "corpus_loss": losses, "seconds": seconds, "peak_memory_mb": memory}
        save_json(self.out / "report.json", self.report)
        self.resume_file.unlink(missing_ok=True)
        self.say(f"\n{seconds:.0f} s in all, {memory} MB at most. Written to the folder {self.out}:")
        self.say("base.pt, tuned.pt, report.json, log.jsonl; page.html, to be opened in a browser")
        ask = "python generate.py"
        if str(self.out) != "out":
            ask += f" --base {self.out}/base.pt --tuned {self.out}/tuned.pt"
        self.say(f"Try next, with a question in quotes or, to chat, without:\n  {ask}")
