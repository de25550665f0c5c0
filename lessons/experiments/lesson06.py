"""Measurements and pictures of lesson 6: what do baselines without tuning answer?"""

import re

import lab
import matplotlib.pyplot as plt
import torch

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


def draw(splits: dict[str, list[Row]], n: int) -> tuple[list[Row], list[str]]:
    """Draw n rows of each split. Returns all of them, and the split of each."""
    rows, names = [], []
    for name, split in splits.items():
        part = lab.subset(split, n)
        rows += part
        names += [name] * len(part)
    return rows, names


def judge(rows: list[Row], replies) -> list[tuple]:
    """Judge replies, (text, stopped by itself) each. Returns [(text, right), ...]."""
    flags = lab.right_flags(rows, replies)
    return [(text.strip(), good) for (text, _), good in zip(replies, flags)]


def ask_all(assistants: list, rows: list[Row]) -> Table:
    """Ask every assistant every row."""
    return [judge(rows, a.answers(rows, Sampling(max_new_tokens=MAX_NEW))) for a in assistants]


def decode_all(answer_by_hand, rows: list[Row]) -> Table:
    """Answer every row by the learner's decoder, which always ends its answers."""
    return [judge(rows, [(answer_by_hand(row), True) for row in rows])]


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
    rounds = range(max(len(flags), len(other)))
    ours = [flags[i % len(flags)] for i in rounds]
    return lab.difference(ours, [other[i % len(other)] for i in rounds])


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


def describe_columns(tables: dict[str, Table], split_of: list[str]) -> dict[str, float]:
    """Print what the columns show. Returns the number of different replies of each."""
    new_tasks = [split == "unseen_tasks" for split in split_of]
    ahead = lead(tables["tuned.pt"], tables["decoder by hand"], new_tasks)
    lab.finding(
        *ahead[1:],
        rose=f"on new kinds of question, tuned.pt is {100 * ahead[0]:.0f} points ahead of two"
        " regular expressions and the untuned base.",
        fell="on new kinds of question, two regular expressions and the untuned base are"
        f" {-100 * ahead[0]:.0f} points ahead of tuned.pt.",
        unclear="on new kinds of question, two regular expressions and the untuned base do as well"
        " as tuned.pt: the difference is within chance.",
    )
    gain = lead(tables["response tuning"], tables["shuffled pairs"])
    lab.finding(
        *gain[1:],
        rose=f"response tuning answers {100 * gain[0]:.0f} points more than shuffled pairs, which"
        " train the model to ignore the question.",
        fell="response tuning answers less than shuffled pairs.",
        unclear="response tuning answers no more than shuffled pairs.",
    )
    different = {name: n_different(table) for name, table in tables.items()}
    print(f"Found: to {len(split_of)} questions the shuffled models give"
          f" {different['shuffled pairs']:.0f} different replies, response tuning"
          f" {different['response tuning']:.0f}, tuning {different['tuning']:.0f}.")
    return different


def describe_other_words(tables: dict[str, Table]) -> tuple[float, float, float]:
    """Print what the questions in other words show. Returns the lead of tuned.pt."""
    for name, table in tables.items():
        mean, low, high = share(table)
        print(f"{name:<16} right: {mean:.0%} (95%: {low:.0%} to {high:.0%})")
    gap = lead(tables["tuned.pt"], tables["decoder by hand"])
    lab.finding(
        *gap[1:],
        rose=f"asked in other words, tuned.pt is {100 * gap[0]:.0f} points ahead: it has learned"
        " from pairs which words ask for which statement.",
        fell="asked in other words, the decoder is ahead.",
        unclear="asked in other words, the two cannot be told apart.",
    )
    return gap


def plot_columns(tables: dict[str, Table]) -> None:
    """Draw each column's share of right replies over all questions."""
    figure, ax = plt.subplots(figsize=(8, 3))
    names = list(tables)[::-1]
    for y, name in enumerate(names):
        mean, low, high = share(tables[name])
        ax.barh(y, mean, 0.6, xerr=[[mean - low], [high - mean]], capsize=3,
                color="C1" if name == "decoder by hand" else "C0")
        ax.text(high + 0.02, y, f"{mean:.0%}", va="center")
    hand, full = (share(tables[name])[0] for name in ("decoder by hand", "tuned.pt"))
    ax.set_title(f"Without tuning, a decoder by hand answers {hand:.0%}. tuned.pt: {full:.0%}.")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(0, 1.12), xlabel="held-out questions answered right (95% interval)")
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
    for row, text in lab.spread(errors, n):
        print(f"  {row.turns[0].instruction} {row.turns[0].input}\n      -> {text}")
