"""Look at the data before training: count the rows and tokens, and show the mask.

It changes nothing. `python -m extras.audit FILE` audits a file of pairs.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from common.cli import escape_control_chars
from data import EOS, Row, Tokenizer

# The marks of the templates and of the eos, if they appear in a user's text.
CONTROL_TOKENS = re.compile(
    r"<\|\w+\|>|</?s>|<</?SYS>>|\[/?INST\]|### (?:Instruction|Input|Response):"
)
TOO_LONG = "does not fit in the context"
REPEATED = "repeats the prompt of an earlier row"
LOOKS_SPECIAL = "contains text that looks like a control token; it stays text"


# Punctuation that makes no other prompt: ASCII's at the end of a word, quotes and other scripts'
# anywhere. All other signs stay: "5 - 3" and "5 + 3" are two prompts.
PUNCTUATION = re.compile(r"""(?<=\S)[.,;:!?]+(?=\s|$)|["'‘’“”„«»¿¡…،؛؟।。、，；：！？]""")


def normalize(text: str) -> str:
    """Fold away what doesn't change a prompt: case, spaces, punctuation at the end of a word and
    the form of an accent (one character or two, Unicode's NFC and NFD)."""
    text = unicodedata.normalize("NFC", text.casefold())
    words = PUNCTUATION.sub(" ", text).split()
    return " ".join(words or text.split())


def prompt_key(row: Row) -> str:
    """Normalize the prompt of a row. Rows with the same key ask the same thing."""
    prompts = [f"{turn.instruction} {turn.input}" for turn in row.turns]
    return normalize(" | ".join(filter(None, [row.system, *prompts])))


@dataclass
class Audit:
    """The counts of one data set. Rows are named by their source, file:line."""

    rows: int  # all, with the dropped ones
    kept: int
    truncated: list[str]  # rows whose input was truncated
    dropped: dict[str, list[str]]  # reason -> rows
    tokens: int
    n_supervised: int  # tokens
    answers: int  # assistant turns of the rows kept
    n_eos: int  # supervised eos; equal to `answers`
    formats: dict[str, int]
    notes: dict[str, int]  # what is odd -> number of rows

    def to_dict(self) -> dict:
        """Return the counts for the report, without the names of the rows."""
        dropped = {reason: len(sources) for reason, sources in self.dropped.items()}
        return vars(self) | {"truncated": len(self.truncated), "dropped": dropped}

    def lines(self) -> Iterator[str]:
        """Describe the data, one fact a line."""
        # rows and tokens
        known = ", ".join(f"{name} {n}" for name, n in self.formats.items() if name)
        formats = f" (formats: {known})" if known else ""
        yield f"{self.kept} of {self.rows} rows kept, {len(self.truncated)} truncated{formats}"
        share = self.n_supervised / max(1, self.tokens)
        yield f"{self.n_supervised:,} of {self.tokens:,} tokens are supervised ({share:.0%})"
        yield f"{self.answers:,} answers (assistant turns), {self.n_eos:,} supervised eos"

        # each reason, with the first sources; rows of the built-in world have none
        for reason, sources in self.dropped.items():
            examples = ", ".join(filter(None, sources[:3]))
            more = ", ..." if len(sources) > 3 else ""
            yield f"{len(sources)} dropped, {reason}" + (f": {examples}{more}" if examples else "")
        for note, n in self.notes.items():
            yield f"{note} (rows: {n})"


def audit(rows: list[Row], examples: list, truncated: list, too_long: list, dropped=()) -> Audit:
    """Count what prepare() returned for these rows.

    dropped: {reason: sources} of the rows that were never read."""
    # rows
    dropped = dict(dropped)
    if too_long:
        dropped[TOO_LONG] = [row.source for row in too_long]
    n_dropped = sum(len(sources) for sources in dropped.values())
    answers = sum(len(row.turns) for row in rows) - sum(len(row.turns) for row in too_long)

    # tokens; the last one of an example is always an eos
    tokens = n_supervised = n_eos = 0
    for ids, mask in examples:
        tokens += len(ids)
        n_supervised += sum(mask)
        n_eos += sum(mask[i] for i, token in enumerate(ids) if token == ids[-1])

    # what is odd: what the reader noted, repeated prompts, control tokens
    notes = Counter()
    keys = set()
    for row in rows:
        texts = [row.system, *(text for turn in row.turns for text in turn)]
        key = prompt_key(row)
        if key in keys:
            notes[REPEATED] += 1
        if any(CONTROL_TOKENS.search(text) for text in texts):
            notes[LOOKS_SPECIAL] += 1
        notes.update(row.notes)
        keys.add(key)

    return Audit(
        rows=len(examples) + n_dropped,
        kept=len(examples),
        truncated=[row.source for row in truncated],
        dropped=dropped,
        tokens=tokens,
        n_supervised=n_supervised,
        answers=answers,
        n_eos=n_eos,
        formats=Counter(row.format for row in rows),
        notes=notes,
    )


def show_mask(tokenizer: Tokenizer, ids: list[int], mask: list[int], color: bool) -> str:
    """Show every token. Supervised ones are green, or [in brackets] without color."""
    parts = []
    for token, supervised in zip(ids, mask):
        text = EOS if token == tokenizer.eos_id else tokenizer.decode([token])
        text = escape_control_chars(text).replace("\n", "\\n\n")
        if color:
            parts.append(f"\033[{'32;7' if supervised else '2'}m{text}\033[0m")
        else:
            parts.append(f"[{text}]" if supervised else text)
    return "".join(parts)
