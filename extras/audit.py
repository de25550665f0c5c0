"""Audit files of pairs: which rows are kept or dropped and why, and how a model will see them.

    python -m extras.audit pairs.jsonl
    python -m extras.audit pairs.jsonl --against eval.jsonl    which prompts are in both
    python -m extras.audit pairs.jsonl --json                  for programs
"""

import argparse
import json
import sys

from common.audit import audit, show_mask
from common.cli import cli_main, escape_control_chars
from data import TEMPLATES, Tokenizer, prepare, train_bpe
from extras.datasets import load_rows
from extras.overlap import print_overlap

VOCAB_SIZE = 4096
SAMPLE_ROWS = 5000  # to train the tokenizer on
SAMPLE_CHARS = 1_000_000


@cli_main
def main(argv=None):
    # read the command line
    parser = argparse.ArgumentParser(description="Audit files of instruction pairs.")
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="JSON Lines or a JSON array, .gz or not")
    add("--template", default="alpaca", choices=TEMPLATES, help="prompt format (default: alpaca)")
    add("--show", type=int, default=2, help="how many rows of each file to show (default: 2)")
    add("--block-size", type=int, default=1024, help="context in tokens (default: 1024)")
    add("--json", action="store_true", help="print the audit for programs, and nothing else")
    add("--against", metavar="FILE", help="count how many prompts of this file are in the others")
    args = parser.parse_args(argv)
    if args.json and args.against:
        parser.error("--against prints text. Leave out --json.")
    eval_rows = load_rows(args.against)[0] if args.against else []

    # audit each file by itself, with a tokenizer of its own: nothing has to be downloaded
    results = {}
    for file in args.files:
        rows, dropped = load_rows(file)
        sample = "\n".join(" ".join(turn) for row in rows[:SAMPLE_ROWS] for turn in row.turns)
        tokenizer = Tokenizer(train_bpe(sample[:SAMPLE_CHARS], VOCAB_SIZE))
        examples, truncated, too_long = prepare(rows, tokenizer, args.template, args.block_size)
        results[file] = audit(rows, examples, truncated, too_long, dropped)
        if args.json:
            continue

        # for persons
        for ids, mask in examples[: args.show]:
            print(show_mask(tokenizer, ids, mask, sys.stdout.isatty()) + "\n")
        print(escape_control_chars("\n  ".join([f"{file}:", *results[file].lines()])))
        tokens = f"Tokens of this file's own tokenizer, {args.block_size} at most."
        print(f"  ({tokens} train_sft.py counts\n  those of its base.)")
        if args.against:
            print_overlap(file, rows, args.against, eval_rows)

    # for programs
    if args.json:
        print(json.dumps({file: vars(result) for file, result in results.items()}, indent=1))


if __name__ == "__main__":
    raise SystemExit(main())
