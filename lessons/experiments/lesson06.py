"""Measurements and pictures of lesson 6: what do baselines without tuning answer?"""

import re

import matplotlib.pyplot as plt
import torch

import lab
import world
from data import Row
from generate import Sampling, generate

MAX_NEW = 40
MARK = re.compile(r"[.!?;]")
Table = list[list[tuple]]  # table[assistant][question] = (text, right)


# --------------------------------------------------------------------------------------------------
# The two things that the decoder asks of the base


class RawBase:
    """A base that scores and continues plain text, without a template."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.room = model.config.block_size - MAX_NEW  # tokens of text that it reads

    @torch.inference_mode()
    def score(self, before: str, after: str) -> float:
        """Return log p of the text `after` following the text `before`."""
        first = [self.tokenizer.eos_id] + self.tokenizer.encode(before)
        second = self.tokenizer.encode(after)
        logp = self.model(torch.tensor([first + second]))[0].log_softmax(-1)  # (T, V)
        positions = range(len(first) - 1, len(first) - 1 + len(second))
        return sum(logp[at, token].item() for at, token in zip(positions, second))

    def complete(self, text: str) -> str:
        """Continue a text up to and with its first mark: . ! ? or ;"""
        ids = ([self.tokenizer.eos_id] + self.tokenizer.encode(text))[-self.room :]
        sampling = Sampling(max_new_tokens=MAX_NEW)
        ((new, _),) = generate(self.model, [ids], self.tokenizer.eos_id, sampling)
        continuation = self.tokenizer.decode(new)
        mark = MARK.search(continuation)
        return continuation[: mark.end()] if mark else continuation


# --------------------------------------------------------------------------------------------------
# Tables of replies


def judge(rows: list[Row], replies) -> list[tuple]:
    """Judge replies, (text, stopped by itself) each. Returns [(text, right), ...]."""
    return [
        (text.strip(), stopped and world.check(row.task, row.turns[0].output, text))
        for row, (text, stopped) in zip(rows, replies)
    ]


def ask_all(assistants: list, rows: list[Row]) -> Table:
    """Ask every assistant every row."""
    return [judge(rows, a.answers(rows, Sampling(max_new_tokens=MAX_NEW))) for a in assistants]


def right(table: Table, keep=None) -> list[list[bool]]:
    """Return the flags alone, of all questions or of those with keep[question]."""
    keep = keep or [True] * len(table[0])
    return [[good for (_, good), wanted in zip(line, keep) if wanted] for line in table]


def share(table: Table, keep=None) -> tuple[float, float, float]:
    """Average over assistants and questions. Returns (mean, low, high)."""
    return lab.bootstrap(right(table, keep))


def lead(a: Table, b: Table, keep=None) -> tuple[float, float, float]:
    """Average, question by question, right of a minus right of b. Returns (mean, low, high)."""
    flags, other = right(a, keep), right(b, keep)
    rounds = max(len(flags), len(other))
    return lab.bootstrap([
        [x - y for x, y in zip(flags[i % len(flags)], other[i % len(other)])]
        for i in range(rounds)
    ])


def n_different(table: Table) -> float:
    """Return the mean number of different replies of an assistant."""
    return sum(len({text for text, _ in line}) for line in table) / len(table)


def print_columns(tables: dict[str, Table], split_of: list[str]) -> None:
    """Print each column's share of right replies by split, and its different replies."""
    splits = list(dict.fromkeys(split_of))
    print(f"{'right (95%)':<24}" + "".join(f"{name[7:]:>17}" for name in splits)
          + f"{'different replies':>20}")
    for name, table in tables.items():
        cells = ""
        for split in splits:
            mean, low, high = share(table, [other == split for other in split_of])
            cells += f"{f'{mean:.0%} ({low:.0%}-{high:.0%})':>17}"
        print(f"{name:<24}{cells}{n_different(table):>13.0f} of {len(split_of)}")


def plot_columns(tables: dict[str, Table], title: str) -> None:
    """Draw each column's share of right replies over all questions."""
    figure, ax = plt.subplots(figsize=(8, 3))
    names = list(tables)[::-1]
    for y, name in enumerate(names):
        mean, low, high = share(tables[name])
        ax.barh(y, mean, 0.6, xerr=[[mean - low], [high - mean]], capsize=3,
                color="C1" if name == "decoder by hand" else "C0")
        ax.text(high + 0.02, y, f"{mean:.0%}", va="center")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(0, 1.12), xlabel="held-out questions answered right (95% interval)", title=title)
    figure.tight_layout()
    plt.show()


def names_its_answer(row: Row) -> bool:
    """Does the instruction have the words with which the answer begins, up to "is" or a colon?"""
    start = re.sub(r"^Here is | is$|:$", "", lab.statement_of(row)[0])
    return start.partition(" ")[2].lower() in row.turns[0].instruction.lower()


def print_errors(name: str, rows: list[Row], line: list[tuple], n: int = 10) -> None:
    """Print wrong replies of one assistant, spread over the questions."""
    errors = [(row, text) for row, (text, good) in zip(rows, line) if not good]
    print(f"{name}: {len(errors)} of {len(rows)} are wrong")
    for row, text in errors[:: max(1, len(errors) // n)][:n]:
        print(f"  {row.turns[0].instruction} {row.turns[0].input}\n      -> {text}")
