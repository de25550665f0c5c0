"""One run of the main job: the screen, the log, the report, Ctrl-C and --resume.

`train()` works without it. `Run.track()` makes the on_step that goes into `train()`."""

import contextlib
import json
import os
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

from common import checkpoint, page, table
from common.audit import audit, prompt_key, show_mask
from common.cli import UserError, escape_control_chars
from common.log import STAGES, read_log
from common.page.trace import describe_shift
from common.speed import peak_memory_mb
from data import Turn

PROBE = Turn("What is the capital of France?")  # shown on the way, and at the end
PROBES = 8  # times it is shown in a stage
PROBE_TOKENS = 16
N_TRACED = 40  # answers whose tokens are compared with the base's choices
LOG_EVERY = 10  # steps
BAR = "{desc} {percentage:3.0f}% |{bar}| {postfix} {remaining} left"
NOT_COMPARED = (  # no weight depends on these
    "resume", "fresh", "out", "device", "save_every", "given", "base_file", "reuse_base",
)  # fmt: skip


class Run:
    """Where one run writes, and what it needs to continue after a stop.

    Everything is checked first. Nothing is written before `start()`."""

    def __init__(self, config):
        self.config = config
        self.out = Path(config.out)
        self.resume_file = self.out / "resume.pt"
        self.start_time = time.perf_counter()
        self.rank = dist.get_rank() if dist.is_initialized() else 0  # rank 0 prints and saves
        threads = torch.get_num_threads()
        machine = (
            f"{config.device}, {platform.machine()}, {threads} thread{'s' * (threads > 1)}, "
            f"torch {torch.__version__}, Python {platform.python_version()}"
        )
        self.report = {"config": vars(config), "stages": {}, "machine": machine}
        self.probes = [PROBE]  # the first is shown on the way
        self.fixed = {k: v for k, v in vars(config).items() if k not in NOT_COMPARED}
        self.resume_state = self.load_resume_state()

        # a stop in pretraining leaves no base; --resume then pretrains on
        pretraining = self.resume_state and self.resume_state.get("stage") == "pretrain"
        self.reuse_base = config.reuse_base and not pretraining

    def load_resume_state(self) -> dict | None:
        """Load the state of an interrupted run, if this one shall continue it."""
        if not self.resume_file.exists():
            if self.config.resume and not self.config.reuse_base:
                raise UserError(f"{self.resume_file}: nothing to resume. Run without --resume.")
            return None
        if not self.config.resume:
            if self.config.fresh:
                return None
            remedy = "Continue with --resume, or start over with --fresh."
            raise UserError(f"{self.resume_file}: a run was interrupted here. {remedy}")
        state = checkpoint.load_checkpoint(self.resume_file)
        remedy = "Give the same flags, or --fresh without --resume."
        message = f"{self.resume_file}: made with other settings. {remedy}"
        checkpoint.must_match(state.get("config"), self.fixed, message)
        return state

    # ---- The screen and the log ------------------------------------------------------------------

    def print(self, text: str = "") -> None:
        if self.rank == 0:
            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

    def print_wrapped(self, text: str) -> None:
        text = escape_control_chars(text)
        self.print(textwrap.fill(text, 80, subsequent_indent="  ", break_on_hyphens=False))

    def start(self) -> None:
        """Make the folder and lock it. From here on, files may change."""
        if self.rank > 0:
            return
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self.lock = lock_folder(self.out)
        except OSError as error:
            remedy = "Choose another --out."
            raise UserError(f"{self.out}: can't be written: {error.strerror}. {remedy}") from None

    def begin_log(self, stage: str, first: int) -> None:
        """Keep the records of the stages before this one, and of its steps before `first`."""
        if self.rank > 0:
            return
        path = self.out / "log.jsonl"
        lines = []
        for record in read_log(path):
            place = (STAGES.index(record["stage"]), record["step"])
            if place < (STAGES.index(stage), first):
                lines.append(json.dumps(record) + "\n")
        checkpoint.atomic_write(path, lambda file: file.write("".join(lines).encode()))

    def log(self, **record) -> None:
        """Add a line to log.jsonl."""
        if self.rank == 0:
            with open(self.out / "log.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    # ---- A stage of training ---------------------------------------------------------------------

    @contextlib.contextmanager
    def track(self, stage: str, assistant, optimizers, data_hash: str):
        """Wrap one call of pretrain() or tune(). Yields keywords for train().

        Its on_step logs, saves, stops after Ctrl-C, and shows some answers on the way."""
        model = assistant.model
        first = self.restore(stage, model, optimizers, data_hash)
        self.begin_log(stage, first)
        options = {
            "start": first,
            "micro_batch": self.config.micro_batch,
            "dtype": self.config.dtype,
        }
        several = dist.is_initialized()
        if several:
            from extras import parallel

            options["backward"] = parallel.backward
        disable = True if self.rank > 0 else None  # None: only on a terminal
        bar = tqdm(initial=first, desc=stage, file=sys.stdout, mininterval=0.5, ncols=78,
                   leave=False, bar_format=BAR, disable=disable)  # fmt: skip
        probe = self.probes[0]
        n_tokens = 0
        interrupted = []

        def show(step: int) -> None:
            """Show how the model answers the probe now."""
            text, stopped = assistant.ask(probe, max_new_tokens=PROBE_TOKENS)
            end = " and stops" if stopped else " ..."
            self.print(f"  step {step:>5}: {text!r:.54}{end}")
            prompt = probe.instruction
            self.log(stage=stage, step=step, prompt=prompt, answer=text, stopped=stopped)

        def save(step: int) -> None:
            state = {
                "step": step,
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "threads": torch.get_num_threads(),
            }
            about = {"stage": stage, "config": self.fixed, "data_hash": data_hash}
            checkpoint.save_checkpoint(self.resume_file, **about, state=state)

        def on_step(step: int, steps: int, loss: float, new_tokens: int) -> None:
            nonlocal n_tokens, start
            # the bar and the log
            n_tokens += new_tokens
            speed = round(n_tokens / (time.perf_counter() - start))
            bar.total = steps
            bar.set_postfix_str(f"loss {loss:.3f}, {speed:,} tokens/s,", refresh=False)
            bar.update()
            if step % LOG_EVERY == 1 or step == steps:
                lr = optimizers[0].param_groups[0]["lr"]
                self.log(stage=stage, step=step - 1, loss=loss, lr=lr, tokens_per_second=speed)

            # save, and stop if asked to; all processes at the same step
            stopping = bool(interrupted)
            if several:
                stopping = parallel.total(len(interrupted), model.device()) > 0
            if self.rank == 0 and (stopping or step % self.config.save_every == 0):
                save(step)
            if stopping:
                raise KeyboardInterrupt

            # show an answer; don't count sampling as training time
            if step == steps or step % max(1, steps // PROBES) == 0:
                pause = time.perf_counter()
                show(step)
                start += time.perf_counter() - pause

        self.print(escape_control_chars(f"  {' '.join(probe.instruction.split()):.76}"))
        show(first)
        start = time.perf_counter()
        # after Ctrl-C, finish the current step
        handler = signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
        try:
            yield options | {"on_step": on_step}
        finally:
            bar.close()
            signal.signal(signal.SIGINT, handler)
        if interrupted:  # after the last step
            raise KeyboardInterrupt
        seconds = time.perf_counter() - start
        speed = round(n_tokens / seconds)
        about = {"seconds": round(seconds, 2), "tokens": n_tokens, "tokens_per_second": speed}
        self.report["stages"][stage] = about
        self.print(f"  {seconds:.0f} s, {speed:,} tokens/s")

    def restore(self, stage: str, model, optimizers, data_hash: str) -> int:
        """Restore the state of a stop in this stage. Returns the step to start from."""
        saved = self.resume_state
        if not saved or (saved.get("stage") == "pretrain") != (stage == "pretrain"):
            return 0
        changed = self.config.corpus if stage == "pretrain" else ", ".join(self.config.data)
        remedy = "Put the old one back, or start over with --fresh."
        message = f"{changed or 'the built-in world'}: changed since the run was stopped. {remedy}"
        checkpoint.must_match(saved.get("data_hash"), data_hash, message)
        if saved.get("stage") != stage:
            return 0
        try:
            state = saved["state"]
            checkpoint.load_weights(model, state["model"])
            for optimizer, optimizer_state in zip(optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(optimizer_state)
            torch.set_num_threads(state["threads"])  # for the same bits
            return state["step"]
        except Exception:
            remedy = "Delete it and run again without --resume."
            raise UserError(f"{self.resume_file}: damaged. {remedy}") from None

    # ---- The data, the checkpoints, the report ---------------------------------------------------

    def show_data(self, tokenizer, prepared, pairs) -> None:
        """Show one example with its mask, then the audit of all."""
        examples, truncated, too_long = prepared
        if not examples:
            remedy = "Use shorter rows, or --fresh and a larger --block-size."
            raise UserError(f"no row fits in the context. {remedy}")
        if table.LEARNED in pairs.splits:  # your own pairs: show one of theirs on the way, too
            question = pairs.rows[0].turns[0]
            self.probes.insert(0, question._replace(output=None))
        self.print("\n2. One pair as the model sees it. Only the marked tokens have a loss:\n")
        self.print(show_mask(tokenizer, *examples[0], color=sys.stdout.isatty()) + "\n")

        # the audit, and held-out prompts that are in the tuning data
        results = audit(pairs.rows, examples, truncated, too_long, pairs.dropped)
        keys = {prompt_key(row) for row in pairs.rows}
        overlap = 0
        for name, split in pairs.splits.items():
            if name != table.LEARNED:
                overlap += sum(prompt_key(row) in keys for row in split)
        for line in (*results.lines(), f"{overlap} held-out prompts are in the tuning data"):
            self.print(escape_control_chars(f"  {line}"))
        self.report["audit"] = results.to_dict() | {"overlap": overlap}

    def check_base(self, base, corpus) -> None:
        """Refuse a base that was pretrained on another text. Save one that came from elsewhere."""
        if self.config.base:
            if self.config.base != self.config.base_file:
                self.save_base(base, corpus.hash)
            return
        base = self.config.base_file
        made_with = checkpoint.load_checkpoint(base)["trained_on"]
        remedy = f"Give --fresh to make {base} anew, or another --out."
        message = f"{corpus.name}: {base} was made from another text. {remedy}"
        checkpoint.must_match(made_with.get("corpus_hash"), corpus.hash, message)

    def save_base(self, base, corpus_hash: str) -> None:
        """Save a base that was just pretrained, with the settings that made it."""
        made_with = {name: getattr(self.config, name) for name in checkpoint.BASE_SETTINGS}
        made_with["corpus_hash"] = corpus_hash
        self.save_model(self.config.base_file, base, made_with)
        if self.rank == 0:
            self.resume_file.unlink(missing_ok=True)

    def save_tuned(self, assistant, base_model, data_hash: str) -> None:
        """Save a tuned model, or an adapter. Both name their base and its fingerprint."""
        config, model = self.config, assistant.model
        trained_on = {
            "seed": config.seed,
            "hold_out": config.hold_out,
            "quick": config.quick,
            "data": config.data or ("gemma" if config.adapter_only else "world"),
            "data_hash": data_hash,
        }
        base = config.base_file
        if not config.adapter_only:  # a path, seen from the folder of the results
            base = os.path.relpath(base, self.out).replace(os.sep, "/")
        content = {"base": base, "fingerprint": checkpoint.fingerprint(base_model)}
        if model.lora:
            content |= {"lora": model.lora, "adapter": checkpoint.lora_state(model)}
        name = "lora.pt" if model.lora else "tuned.pt"
        self.save_model(self.out / name, assistant, trained_on, **content)

    def save_model(self, path, assistant, trained_on, **content) -> None:
        if self.rank > 0:
            return
        if "adapter" not in content:
            content["model"] = assistant.model.state_dict()
        content |= {
            "config": asdict(assistant.model.config),
            "tokenizer": None if self.config.adapter_only else assistant.tokenizer.state(),
            "template": assistant.template,
            "trained_on": trained_on,
            "torch": str(torch.__version__),
        }
        checkpoint.save_checkpoint(path, **content)

    def print_contrast(self, models: dict) -> None:
        """Print the probes, the answers of the base, and those of the tuned model."""
        if self.rank == 0:
            for probe in self.probes:
                table.print_contrast(models, probe)

    def finish(self, models, pairs, scores, answers, losses, sampling) -> None:
        """Write the report and the page. Nothing is left to resume."""
        self.report["held_out"] = scores
        self.report["corpus_loss"] = losses
        self.report["seconds"] = round(time.perf_counter() - self.start_time, 1)
        self.report["peak_memory_mb"] = peak_memory_mb()
        checkpoint.save_json(self.out / "report.json", self.report)
        self.resume_file.unlink(missing_ok=True)
        built_in = not self.config.data and not self.config.adapter_only
        about = (models, pairs.splits, scores, answers, pairs.rows, self.out, sampling, built_in)
        page.write(self.out / "page.html", *about)

        # of a real base, say which tokens tuning changed (the little one's are on its page)
        if self.config.adapter_only:
            rows = next(iter(pairs.splits.values()))[:N_TRACED]
            about = (models["base_template"], models["tuned"], rows, sampling)
            self.print_wrapped(describe_shift(*about))

        # say what was written, and what to do next
        seconds, memory = self.report["seconds"], self.report["peak_memory_mb"]
        names = ("base.pt", "tuned.pt", "lora.pt", "report.json", "log.jsonl", "page.html")
        files = ", ".join(name for name in names if (self.out / name).exists())
        self.print_wrapped(f"{seconds:.0f} s, {memory} MB at most. In {self.out}: {files}.")
        ask = "python generate.py"
        if str(self.out) != "out":
            tuned = "lora.pt" if self.config.adapter_only else "tuned.pt"
            ask += f" --tuned {self.out}/{tuned}"
        self.print(f"Open {self.out}/page.html in a browser, or chat:\n  {ask}")
        self.print_contrast(models)


def lock_folder(folder: Path):
    """Lock a folder for this process. Returns the open file; the system unlocks it at the end."""
    file = open(folder / ".lock", "w")
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        remedy = "Wait for it, or choose another --out."
        raise UserError(f"{folder}: another run is writing there. {remedy}") from None
    return file
