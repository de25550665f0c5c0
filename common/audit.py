"""The audit: what it adds is a look at the data before training: what is kept, dropped and why, how it is masked.

You can skip this: it counts, and changes nothing. `python data.py FILE` runs it on a file of pairs.
"""

import argparse
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass

from data import EOS, Tokenizer, prepare, train_bpe
from common.cli import program, visible

# What the templates and the eos are made of, where it stands in somebody's text.
MARKS = r"<\|\w+\|>|</?s>|<</?SYS>>|\[/?INST\]|### (?:Instruction|Input|Response):"


def prompt_key(row):
    """What makes two prompts the same: letters and digits, not spacing, case or marks."""
    asked = " | ".join(f"{turn.instruction} {turn.input}" for turn in row.turns)
    return re.sub(r"\W+", " ", row.system + asked).strip().lower()


def show_mask(tokenizer, ids, mask, color):
    """Every token as the model sees it. Supervised ones are green, or [in brackets] without colors."""
    out = []
    for token, supervised in zip(ids, mask):
        text = EOS if token == tokenizer.eos_id else visible(tokenizer.decode([token])).replace("\n", "\\n\n")
        if color:
            out.append(f"\033[{'32;7' if supervised else '2'}m{text}\033[0m")
        else:
            out.append(f"[{text}]" if supervised else text)
    return "".join(out)


@dataclass
class Audit:
    rows: int  # read, the dropped ones included
    kept: int
    trimmed: list  # where inputs were shortened
    dropped: dict  # reason -> [where]
    tokens: int
    learned: int  # supervised tokens
    answers: int  # of the rows kept: their assistant turns
    ends: int  # supervised eos
    formats: Counter
    notes: Counter

    def lines(self):
        """What a person wants to know, one fact a line."""
        known = ", ".join(f"{name} {n}" for name, n in self.formats.items() if name)
        formats = f" (formats: {known})" if known else ""
        yield f"{self.kept} of {self.rows} rows kept, {len(self.trimmed)} of them with a shortened input{formats}"
        share = 100 * self.learned / max(1, self.tokens)
        yield f"{self.learned:,} of {self.tokens:,} tokens are supervised ({share:.0f} %): the answers with their eos"
        yield f"{self.answers:,} answers (assistant turns), {self.ends:,} supervised eos"
        for reason, places in self.dropped.items():
            shown = ", ".join(filter(None, places[:3]))  # rows of the built-in world have no place
            yield f"{len(places)} dropped, {reason}" + (f": {shown}{' ...' * (len(places) > 3)}" if shown else "")
        yield from (f"{n} {note}" for note, n in self.notes.items() if n)


def audit(rows, examples, shortened, too_long, dropped=()):
    """What prepare() gave, and {reason: [where]} of rows that were left out before -> Audit"""
    dropped, notes, seen = dict(dropped), Counter(), set()
    if too_long:
        dropped["does not fit in the context"] = [row.where for row in too_long]
    for row in rows:
        key, texts = prompt_key(row), "\n".join([row.system, *(text for turn in row.turns for text in turn)])
        notes["repeat the prompt of an earlier row"] += key in seen
        notes["hold text that looks like a control token; it stays text"] += re.search(MARKS, texts) is not None
        notes.update(row.notes)
        seen.add(key)
    n_rows, formats = len(examples) + sum(map(len, dropped.values())), Counter(row.format for row in rows)
    tokens, learned = sum(len(ids) for ids, _ in examples), sum(sum(mask) for _, mask in examples)
    answers = sum(len(row.turns) for row in rows) - sum(len(row.turns) for row in too_long)
    ends = sum(token == ids[-1] for ids, mask in examples for token, on in zip(ids, mask) if on)  # the last is an eos
    trimmed = [row.where for row in shortened]
    return Audit(n_rows, len(examples), trimmed, dropped, tokens, learned, answers, ends, formats, notes)


@program
def main(argv=None):
    from extras.overlap import tell
    from extras.datasets import TEMPLATES, load_rows

    parser = argparse.ArgumentParser(description="Audit files of instruction pairs and show how a model will see them.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="JSON Lines or a JSON array, .gz or not")
    parser.add_argument("--template", default="alpaca", choices=TEMPLATES, help="prompt format (default: alpaca)")
    parser.add_argument("--show", type=int, default=2, help="how many rows of each file to show (default: 2)")
    parser.add_argument("--block-size", type=int, default=1024, help="context in tokens (default: 1024, as GPT-2)")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad row")
    parser.add_argument("--json", action="store_true", help="print the audit for programs, and nothing else")
    parser.add_argument("--against", metavar="FILE", help="how much of this file's prompts stands in the others")
    args, audits = parser.parse_args(argv), {}
    if args.json and args.against:
        parser.error("--against is for persons. Leave out --json.")
    asked = load_rows(args.against)[0] if args.against else []
    for file in args.files:
        rows, dropped = load_rows(file, args.strict)
        sample = "\n".join(" ".join(turn) for row in rows[:5000] for turn in row.turns)
        tokenizer = Tokenizer(train_bpe(sample[:1_000_000], 4096))  # of the file itself: nothing is fetched
        examples, shortened, too_long = prepare(rows, tokenizer, args.template, args.block_size)
        audits[file] = audit(rows, examples, shortened, too_long, dropped)
        if not args.json:
            for ids, mask in examples[: args.show]:
                print(show_mask(tokenizer, ids, mask, sys.stdout.isatty()) + "\n")
            print(visible("\n  ".join([f"{file}:", *audits[file].lines()])))
            print(f"  (in tokens of this file's own, {args.block_size} at most; train_sft.py counts with its base's)")
        if args.against:
            tell(file, rows, asked, args.against)
    if args.json:
        print(json.dumps({file: vars(found) for file, found in audits.items()}, indent=1))
