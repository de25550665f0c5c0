"""The audit: what it adds is a look at the data before training: what is kept, dropped and why, how it is masked.

You can skip this: it counts, and changes nothing. `python data.py FILE` runs it on a file of pairs.
"""

import argparse
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass

from data import EOS, Tokenizer, UserError, prepare, train_bpe

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
        text = EOS if token == tokenizer.eos_id else tokenizer.decode([token]).replace("\n", "\\n\n")
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
    formats: Counter
    notes: Counter

    def lines(self):
        """What a person wants to know, one fact a line."""
        known = ", ".join(f"{name} {n}" for name, n in self.formats.items() if name)
        formats = f" (formats: {known})" if known else ""
        yield f"{self.kept} of {self.rows} rows kept, {len(self.trimmed)} of them with a shortened input{formats}"
        share = 100 * self.learned / max(1, self.tokens)
        yield f"{self.learned:,} of {self.tokens:,} tokens are supervised ({share:.0f} %): the answers with their eos"
        for reason, places in self.dropped.items():
            yield f"{len(places)} dropped, {reason}: {', '.join(places[:3])}{' ...' if len(places) > 3 else ''}"
        yield from (f"{n} {note}" for note, n in self.notes.items() if n)

    def as_json(self, places=lambda where: [int(place.rpartition(":")[2]) for place in where]):
        """The same for programs; places as numbers of lines (of instances, where one row holds many)."""
        dropped = {reason: places(where) for reason, where in self.dropped.items()}
        return vars(self) | {"trimmed": places(self.trimmed), "dropped": dropped}


def audit(rows, examples, shortened, too_long, dropped=()):
    """What prepare() gave, and {reason: [where]} of rows that were left out before -> Audit"""
    dropped, tokens, notes, seen = dict(dropped), Counter(), Counter(), set()
    if too_long:
        dropped["does not fit in the context"] = [row.where for row in too_long]
    for row in rows:
        key, texts = prompt_key(row), "\n".join([row.system, *(text for turn in row.turns for text in turn)])
        notes["repeat the prompt of an earlier row"] += key in seen
        notes["hold text that looks like a control token; it stays text"] += re.search(MARKS, texts) is not None
        notes["had a placeholder for an input, taken as none"] += row.placeholder
        seen.add(key)
    for ids, mask in examples:
        tokens.update(all=len(ids), supervised=sum(mask))
    n_rows = len(examples) + sum(map(len, dropped.values()))
    formats = Counter(row.format for row in rows)
    trimmed = [row.where for row in shortened]
    return Audit(n_rows, len(examples), trimmed, dropped, tokens["all"], tokens["supervised"], formats, notes)


def main():
    from extras.datasets import TEMPLATES, load_rows

    parser = argparse.ArgumentParser(description="Audit files of instruction pairs and show how a model will see them.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="JSON Lines or a JSON array, .gz or not")
    parser.add_argument("--template", default="alpaca", choices=TEMPLATES, help="prompt format (default: alpaca)")
    parser.add_argument("--show", type=int, default=2, help="how many rows of each file to show (default: 2)")
    parser.add_argument("--block-size", type=int, default=1024, help="context in tokens (default: 1024, as GPT-2)")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad row")
    parser.add_argument("--json", action="store_true", help="print the audit for programs, and nothing else")
    parser.add_argument("--against", metavar="FILE", help="how much of this file's prompts stands in the others")
    args = parser.parse_args()
    if args.json and args.against:
        parser.error("--against is for persons. Leave out --json.")
    audits = {}
    try:
        for file in args.files:
            rows, dropped = load_rows(file, args.strict)
            sample = "\n".join(" ".join(turn) for row in rows[:5000] for turn in row.turns)
            tokenizer = Tokenizer(train_bpe(sample, 4096))  # of the file itself: nothing is fetched
            prepared = prepare(rows, tokenizer, args.template, args.block_size)
            audits[file] = audit(rows, *prepared, dropped)
            if not args.json:
                for ids, mask in prepared[0][: args.show]:
                    print(show_mask(tokenizer, ids, mask, sys.stdout.isatty()) + "\n")
                print(f"{file}:", *audits[file].lines(), sep="\n  ")
        if args.against:
            from extras.against import tell

            tell(args.files, args.against)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if args.json:
        print(json.dumps({file: found.as_json() for file, found in audits.items()}, indent=1))
