"""The flags of train_sft.py and generate.py: what it adds is their defaults, ranges and help texts, in one place.

You can skip this, or read it with --help: each flag is named once, here.
"""

import argparse
import contextlib

import torch

import world
from data import UserError, get_template
from common.speed import supports_bf16

SEQ_LEN = 128  # tokens of a pretraining sequence, if the context is not shorter
QUICK = {"n_layer": 2, "n_embd": 64, "pretrain_steps": 60, "tune_epochs": 0.1, "replay": 0.0,
         "out": "out/quick"}  # a look must not leave its base to the real run
NEW_BASE = ("vocab_size", "block_size", "n_layer", "n_head", "n_embd", "smear", "pretrain_steps", "pretrain_lr")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UserError(message)


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


def number(low, high):
    """The type of a flag: a number of low's type, from low to high."""

    def parse(text):
        with contextlib.suppress(ValueError):
            if low <= (value := type(low)(text)) <= high:
                return value
        raise argparse.ArgumentTypeError(f"{text}: choose from {low} to {high}")

    return parse


def task_names(text):
    for name in text.split(","):
        if name not in world.TASKS:
            raise argparse.ArgumentTypeError(f"{name}: no such task. Known: {', '.join(world.TASKS)}")
    return text.split(",")


def train_parser(about=""):
    parser = Parser(description=about, formatter_class=Help)
    add = parser.add_argument_group("data and files").add_argument
    add("--out", default="out", help="folder for checkpoints, the report and the log")
    add("--corpus", metavar="FILE", help="pretrain on this text file instead of the built-in world")
    add("--data", metavar="FILE", action="append", default=[], help="tune on these pairs, or a folder of world.py's; "
        "FILE:0.3 is three of ten rows, FILE:1:500 at most 500 of a task; give it again, to mix")
    add("--base", metavar="MODEL", help="gpt2, gpt2-medium, gpt2-large, gpt2-xl (fetched once), or such weights")
    add("--template", default="alpaca", help="prompt format; extras/datasets.py has more of them")
    add("--hold-out", metavar="TASKS", type=task_names, default=",".join(world.HELD_OUT), help="tasks never tuned on")
    add("--fresh", action="store_true", help="pretrain again even if out/base.pt is there")
    add("--resume", action="store_true", help="continue a run that was interrupted")
    add("--save-every", type=number(1, 10**7), default=250, help=argparse.SUPPRESS)  # steps; for tests of --resume

    add = parser.add_argument_group("machine").add_argument
    add("--seed", type=number(0, 2**31), default=0, help="of the weights, the data and their order")
    add("--device", default="auto", help="cpu, cuda, mps, or auto: the CPU, and with --base a GPU if there is one")
    add("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="of matrix products in training")
    add("--quick", action="store_true", help="tiny settings for a look at everything in seconds, in out/quick")

    add = parser.add_argument_group("size of a new base model").add_argument
    add("--vocab-size", type=number(257, 65536), default=2560, help="byte-pair tokens")
    add("--block-size", type=number(16, 8192), default=128, help="longest context in tokens")
    add("--n-layer", type=number(1, 96), default=3, help="transformer blocks")
    add("--n-head", type=number(1, 96), default=2, help="attention heads")
    add("--n-embd", type=number(8, 8192), default=128, help="width of the residual stream")
    add("--smear", type=number(0, 1), default=1, help="1: every token is shown the one before it; 0: not, as in GPT-2")

    add = parser.add_argument_group("pretraining").add_argument
    add("--pretrain-steps", type=number(1, 10**7), default=1000, help="optimizer steps")
    add("--pretrain-batch", type=number(1, 4096), default=16, help="sequences in a batch")
    add("--pretrain-lr", type=number(1e-8, 1), default=6e-3, help="peak learning rate; Muon's moves with it")

    add = parser.add_argument_group("tuning").add_argument
    add("--tune-epochs", type=number(0.001, 1000), default=1.0, help="how often every pair is seen")
    add("--tune-batch", type=number(1, 4096), default=32, help="pairs in a batch")
    add("--tune-lr", type=number(1e-8, 1), default=8e-4, help="peak learning rate")
    add("--replay", type=number(0.0, 10.0), default=0.6, help="documents of the corpus among the pairs, for each pair")
    add("--micro-batch", type=number(1, 4096), default=64, help="rows at once; fewer need less memory")
    add("--pack", action="store_true", help="several pairs in a row instead of padding")
    add("--recompute", action="store_true", help="gradient checkpointing: less memory, more time")
    add("--lora", type=number(0, 1024), default=0, help="also tune an adapter of this rank")
    add("--lora-lr", type=number(1e-8, 1), default=3e-3, help="peak learning rate of the adapter")
    return parser


def train(argv=None, about=""):
    """The flags as a namespace; `device` and `dtype` become ones that this machine has. `given`: what was typed."""
    config, asked = vars(train_parser(about).parse_args(argv)), train_parser()
    asked.set_defaults(**dict.fromkeys(config))
    given = {name: value for name, value in vars(asked.parse_args(argv)).items() if value is not None}
    config = argparse.Namespace(**config | (QUICK if "quick" in given else {}) | given, given=given)
    get_template(config.template)
    wrong = [name for name in NEW_BASE if config.base and name in config.given]
    if wrong:
        flag = wrong[0].replace("_", "-")
        raise UserError(f"--{flag}: is of a new base, and --base {config.base} is none. Leave one of them out.")
    if config.n_embd % (2 * config.n_head):
        raise UserError(f"--n-embd {config.n_embd}: must be a multiple of {2 * config.n_head}, twice --n-head.")
    if config.block_size % 16:
        raise UserError(f"--block-size {config.block_size}: must be a multiple of 16.")
    config.seq_len = min(SEQ_LEN, config.block_size)
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    there = [*(["cuda"] if gpus else []), *(["mps"] if torch.backends.mps.is_available() else []), "cpu", *gpus]
    if config.device == "auto":
        config.device = there[0] if config.base else "cpu"  # how long a GPU takes for so small a model was not timed
    if config.device not in there:
        raise UserError(f"--device {config.device}: not on this machine. There is: {', '.join(there)}.")
    if config.dtype == "auto":
        config.dtype = "bfloat16" if supports_bf16(config.device) else "float32"
    return config


def generate(argv=None, about=""):
    parser = Parser(description=about, formatter_class=Help)
    add = parser.add_argument
    add("question", nargs="?", help="ask this of the base and of the tuned model; without it: chat")
    add("--input", default="", help="the text that the question is about (the ### Input: part)")
    add("--tuned", default="out/tuned.pt", help="a tuned checkpoint or an adapter")
    add("--base", default="out/base.pt", help="the base checkpoint to compare it with")
    add("--eval", action="store_true", help="print the held-out table of --tuned")
    add("--data", help="with --eval or --save: ask the prompts of this file (JSON Lines) instead")
    add("--save", metavar="FILE", help="write the tuned model's answers as JSON, for a person or a model to judge")
    add("--page", metavar="FILE", help="write one HTML file in which both models answer, with their held-out table")
    add("--template-at-inference", help="ask with another template than the one tuned with, to see the mismatch")
    add("--judge", nargs=2, metavar=("A", "B"), help="compare two checkpoints blind on --data")
    add("--judge-command", metavar="CMD", help="a program that judges: reads a pair as JSON, prints 1, 2 or tie")
    add("--verdicts", default="verdicts.jsonl", help="with --judge: where verdicts are kept, to continue later")
    add("--export", metavar="FOLDER", help="write --tuned, of GPT-2's shape, for transformers (LoRA merged)")
    add("--temperature", type=number(0.0, 10.0), default=0.0, help="0 takes the most probable token")
    add("--top-k", type=number(0, 10**6), default=0, help="sample among the k most probable tokens; 0: all")
    add("--top-p", type=number(1e-6, 1), default=1.0, help="sample among the tokens that have this probability together")
    add("--max-new", type=number(1, 4096), default=48, help="longest answer in tokens")
    add("--seed", type=number(0, 2**31), default=0, help="seed of the sampling")
    args = parser.parse_args(argv)
    if args.judge and not args.data:
        raise UserError("--judge: needs prompts. Give --data FILE.")
    return args
