"""The flags of train_sft.py and generate.py. All settings of a run are decided here, in
`parse_train`, from the defaults, a preset, the base that is used again, and what you typed."""

import argparse
import contextlib
import re
from pathlib import Path

import torch

import world
from common.checkpoint import inherit_config
from common.cli import UserError
from common.speed import supports_bf16
from data import TEMPLATES

SEQ_LEN = 128  # tokens of a pretraining sequence, if the context is not shorter
GEMMA_SEQ_LEN = 256  # tokens of the text that its loss is measured on
QUICK = {"vocab_size": 1024, "pretrain_steps": 400, "replay": 0.2}
GEMMA = {"lora": 8, "lora_lr": 1e-3, "tune_batch": 8, "micro_batch": 4, "replay": 0.0,
         "tune_epochs": 1.0}  # fmt: skip
OWN_DATA = {"replay": 2.0, "tune_epochs": 1.0, "tune_batch": 32,
            "min_rows": 3600}  # rows at least, for few pairs  # fmt: skip
OWN_DATA_GEMMA = {"replay": 0.5, "min_rows": 600}
NEW_BASE = (  # flags that only make sense if a base is pretrained
    "vocab_size", "block_size", "n_layer", "n_head", "n_embd", "smear", "pretrain_steps",
    "pretrain_batch", "pretrain_lr", "corpus",
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Reports mistakes as UserError."""

    def __init__(self, about: str):
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(description=about, formatter_class=formatter, allow_abbrev=False)

    def error(self, message):
        raise UserError(f"{message}. --help lists all flags.")

    def parse_given(self, argv) -> dict:
        """Return only the flags that were typed."""
        unset = argparse.Namespace(**{action.dest: None for action in self._actions})
        values = vars(self.parse_args(argv, unset))
        return {name: value for name, value in values.items() if value is not None}

    def defaults(self) -> dict:
        return {a.dest: a.default for a in self._actions if a.dest != "help"}


def number(low, high):
    """Make the type of a flag: a number of low's type, from low to high."""

    def parse(text: str):
        with contextlib.suppress(ValueError, OverflowError):
            value = type(low)(text)
            if low <= value <= high:
                return value
        raise argparse.ArgumentTypeError(f"{text}: choose from {low} to {high}")

    return parse


def split_name(name: str) -> tuple[str, float, int]:
    """Split "pairs.jsonl:0.3:500" into the path, its weight (or 1) and its cap (or 0, none)."""
    path, weight, cap = re.fullmatch(r"(.*?)(?::(\d*\.?\d+))?(?::(\d+))?", name, re.S).groups()
    if not 0 < float(weight or 1) <= 100:
        raise UserError(f"--data {name}: the weight {weight} is not in range. Give 0.001 to 100.")
    return path, float(weight or 1), int(cap or 0)


def task_names(text: str) -> list[str]:
    """Read the names of tasks or families of tasks."""
    try:
        names = world.expand_names(text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if set(names) >= set(world.TASKS):
        raise argparse.ArgumentTypeError("every task is held out. Leave some to tune on")
    return list(names)


def train_parser(about: str = "") -> Parser:
    parser = Parser(about)

    add = parser.add_argument_group("data and files").add_argument
    add("--out", default=None, help="folder for the results (out)")
    add("--corpus", metavar="FILE", help="pretrain on this text instead of the built-in world")
    add("--data", metavar="FILE", action="append", default=[], help="tune on these pairs; "
        "FILE:0.3 takes three of ten rows, FILE:1:500 at most 500 of a task; repeat it to mix")
    add("--base", metavar="MODEL", help="gemma, a .gguf file, GPT-2's folder, or base.pt")
    add("--template", default="alpaca", choices=TEMPLATES, help="prompt format (alpaca)")
    held_out = list(world.expand_names(world.HELD_OUT))
    add("--hold-out", metavar="TASKS", type=task_names, default=held_out,
        help="tasks or families that are never tuned on, separated by commas")
    add("--fresh", action="store_true", default=False, help="pretrain again")
    add("--resume", action="store_true", default=False, help="continue an interrupted run")
    add("--save-every", type=number(1, 10**7), default=250, help=argparse.SUPPRESS)  # for tests

    add = parser.add_argument_group("machine").add_argument
    add("--seed", type=number(0, 2**31), default=0, help="random seed for weights, data, order (0)")
    add("--device", default="auto", help="cpu, cuda, mps, auto: the CPU, or a GPU with --base")
    add("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="of matmuls")
    add("--quick", action="store_true", default=False, help="ten tasks, in out/quick")

    add = parser.add_argument_group("size of a new base").add_argument
    add("--vocab-size", type=number(257, 65536), default=2560, help="byte-pair tokens (2560)")
    add("--block-size", type=number(16, 8192), default=128, help="longest context (128)")
    add("--n-layer", type=number(1, 96), default=3, help="transformer blocks (3)")
    add("--n-head", type=number(1, 96), default=2, help="attention heads (2)")
    add("--n-embd", type=number(8, 8192), default=128, help="width (128)")
    add("--smear", type=number(0, 1), default=1, help="1: token shift; 0: none, as in GPT-2 (1)")

    add = parser.add_argument_group("pretraining").add_argument
    add("--pretrain-steps", type=number(1, 10**7), default=1000, help="optimizer steps (1000)")
    add("--pretrain-batch", type=number(1, 4096), default=16, help="sequences in a batch (16)")
    add("--pretrain-lr", type=number(1e-8, 1.0), default=6e-3, help="peak learning rate (0.006)")

    add = parser.add_argument_group("tuning").add_argument
    add("--tune-epochs", type=number(0.001, 1000.0), default=1.5, help="passes over pairs (1.5)")
    add("--tune-batch", type=number(1, 4096), default=16, help="pairs in a batch (16)")
    add("--tune-lr", type=number(1e-8, 1.0), default=8e-4, help="peak learning rate (0.0008)")
    add("--replay", type=number(0.0, 10.0), default=0.3, help="corpus documents per pair (0.3)")
    add("--micro-batch", type=number(1, 4096), default=64, help="rows computed at once (64)")
    add("--pack", action="store_true", default=False, help="pack pairs into rows, no padding")
    add("--lora", type=number(0, 1024), default=0, help="also tune a LoRA adapter of this rank")
    add("--lora-lr", type=number(1e-8, 1.0), default=3e-3, help="its peak learning rate (0.003)")
    return parser


def parse_train(argv=None, about: str = "") -> argparse.Namespace:
    """Decide all settings. `given` has the flags that were typed."""
    parser = train_parser(about)
    given = parser.parse_given(argv)
    settings = parser.defaults() | {"min_rows": 0} | choose_preset(given) | given
    config = argparse.Namespace(**settings, given=given)
    choose_files(config)
    config.seq_len = GEMMA_SEQ_LEN if config.adapter_only else min(SEQ_LEN, config.block_size)
    check_flags(config)

    # a base that is there already brings its own settings
    if config.reuse_base and config.base_file != config.base:
        inherited = inherit_config(config.base_file, given)
        vars(config).update({k: v for k, v in inherited.items() if k not in given})

    # "auto" becomes what this machine has
    config.device = choose_device(config)
    if config.dtype == "auto":
        config.dtype = "bfloat16" if supports_bf16(config.device) else "float32"
    return config


def is_gemma(base: str | None) -> bool:
    """Is this base read by gemma/, and tuned with an adapter only?"""
    return base == "gemma" or str(base).endswith(".gguf")


def choose_preset(given: dict) -> dict:
    """Return the settings that differ from the defaults for this kind of run."""
    gemma = is_gemma(given.get("base"))
    preset = QUICK if "quick" in given else {}
    if gemma:
        preset = preset | GEMMA
    if "data" in given and "corpus" not in given:
        preset = preset | (OWN_DATA_GEMMA if gemma else OWN_DATA)
    if "tune_epochs" in given:
        preset = preset | {"min_rows": 0}
    return preset


def choose_files(config) -> None:
    """Decide the folder of the results, and the file of the base.

    Own pairs get a folder of their own and take the base from the folder above, so that they never
    replace the results of the main job."""
    config.adapter_only = is_gemma(config.base)
    home = Path("out/quick" if config.quick else "out")
    if config.adapter_only:
        home = home / "gemma"
    elif config.base:
        home = home / Path(config.base).stem
    out = home
    if config.data:
        path, _, _ = split_name(config.data[0])
        out = home / Path(path).stem
    if config.out:
        home = out = Path(config.out)
    elif config.corpus:
        home = out
    config.out = str(out)

    # the base: from elsewhere, or the one of the folder
    config.base_file = str(home / "base.pt")
    if config.adapter_only or str(config.base).endswith(".pt"):
        config.base_file = config.base
    there = Path(config.base_file).is_file()
    config.reuse_base = there and not config.fresh and not config.adapter_only


def check_flags(config) -> None:
    """Refuse flags that contradict each other."""
    unused = [name for name in NEW_BASE if config.base and name in config.given]
    if unused:
        flag = unused[0].replace("_", "-")
        raise UserError(f"--{flag}: has no effect with --base {config.base}. Leave one out.")
    if "lora_lr" in config.given and not config.lora:
        raise UserError("--lora-lr: has no effect without --lora RANK. Leave it out, or add that.")
    if "tune_lr" in config.given and config.adapter_only:
        raise UserError("--tune-lr: has no effect, only an adapter is tuned. Give --lora-lr.")
    if "hold_out" in config.given and config.data and (config.corpus or config.base):
        reason = "has no effect here: neither text nor pairs are the built-in world's"
        raise UserError(f"--hold-out: {reason}. Leave it out.")
    if config.resume and config.fresh:
        raise UserError("--fresh: contradicts --resume. Leave one of them out.")
    multiple = 2 * config.n_head
    if config.n_embd % multiple:
        reason = f"must be a multiple of {multiple}, 2 * --n-head"
        raise UserError(f"--n-embd {config.n_embd}: {reason}.")
    if config.block_size % 16:
        raise UserError(f"--block-size {config.block_size}: must be a multiple of 16.")


def choose_device(config) -> str:
    """Return the device to use; "auto" is the CPU, but for a base from elsewhere a GPU."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    devices = ["cuda"] * bool(gpus) + ["mps"] * torch.backends.mps.is_available() + ["cpu", *gpus]
    if config.device == "auto":
        return devices[0] if config.base else "cpu"
    if config.device not in devices:
        known = ", ".join(devices)
        raise UserError(f"--device {config.device}: not on this machine. There is: {known}.")
    return config.device


def generate_parser(about: str = "") -> Parser:
    parser = Parser(about)
    add = parser.add_argument
    add("question", nargs="?", help="a question for base and tuned model; without one, chat")
    add("--input", default="", help="the text that the question is about")
    add("--tuned", default="out/tuned.pt", help="a tuned checkpoint or adapter (out/tuned.pt)")
    add("--temperature", type=number(0.0, 10.0), default=0.0, help="0: most probable token (0)")
    add("--top-k", type=number(0, 10**6), default=0, help="sample among the k likeliest; 0: all")
    add("--top-p", type=number(1e-6, 1.0), default=1.0, help="sample within this probability (1)")
    add("--max-new-tokens", type=number(1, 4096), default=48, help="longest answer (48)")
    add("--seed", type=number(0, 2**31), default=0, help="random seed for sampling (0)")
    return parser


def parse_generate(argv=None, about: str = "") -> argparse.Namespace:
    parser = generate_parser(about)
    given = parser.parse_given(argv)
    args = argparse.Namespace(**parser.defaults() | given)
    if args.input and not args.question:
        raise UserError("--input: needs a question about it. In the chat, use /input TEXT.")
    for name in ("top_k", "top_p", "seed"):
        if name in given and not args.question and not args.temperature:
            flag = name.replace("_", "-")
            raise UserError(f"--{flag}: has no effect in a chat without --temperature. Add it.")
    if args.question is not None and not args.question.strip():
        raise UserError("the question is empty. Leave it out to chat.")
    return args
