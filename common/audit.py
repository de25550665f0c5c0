"""The audit: what it adds is a look at the data before training: what is kept, dropped and why, how it is masked.

You can skip this: it counts, and changes nothing. `python data.py FILE` runs it on a file of pairs.
"""

import re
from collections import Counter
from dataclasses import dataclass

from data import EOS
from common.cli import cli_main, escape_control_chars

# What the templates and the eos are made of, where it stands in somebody's text.
MARKS = r"<\|\w+\|>|</?s>|<</?SYS>>|\[/?INST\]|### (?:Instruction|Input|Response):"


def show_mask(tokenizer, ids, mask, color):
    """Every token as the model sees it. Supervised ones are green, or [in brackets] without colors."""
    out = []
    for token, supervised in zip(ids, mask):
        text = EOS if token == tokenizer.eos_id else escape_control_chars(tokenizer.decode([token])).replace("\n", "\\n\n")
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

    def to_dict(self):
        counted = {reason: len(places) for reason, places in self.dropped.items()}
        return vars(self) | {"trimmed": len(self.trimmed), "dropped": counted}

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
        dropped["does not fit in the context"] = [row.source for row in too_long]
    for row in rows:
        key, texts = row.key, "\n".join([row.system, *(text for turn in row.turns for text in turn)])
        notes["repeat the prompt of an earlier row"] += key in seen
        notes["hold text that looks like a control token; it stays text"] += re.search(MARKS, texts) is not None
        notes.update(row.notes)
        seen.add(key)
    n_rows, formats = len(examples) + sum(map(len, dropped.values())), Counter(row.format for row in rows)
    tokens, learned = sum(len(ids) for ids, _ in examples), sum(sum(mask) for _, mask in examples)
    answers = sum(len(row.turns) for row in rows) - sum(len(row.turns) for row in too_long)
    ends = sum(token == ids[-1] for ids, mask in examples for token, on in zip(ids, mask) if on)  # the last is an eos
    trimmed = [row.source for row in shortened]
    return Audit(n_rows, len(examples), trimmed, dropped, tokens, learned, answers, ends, formats, notes)
