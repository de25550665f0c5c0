"""Measuring code of lesson 10: real rows and their grades, spoiled pairs, the filter by loss, and
models tuned on all of these."""

import json
import random
import re
import textwrap
from pathlib import Path

import lab
import matplotlib.pyplot as plt
import torch

from data import Row, collate, prepare
from generate import Assistant

ROWS = Path(__file__).with_name("lesson10_rows.jsonl")
WIDTH = 92  # of printed text
POOR = 1  # the lowest grade
COLORS = {"clean": "C0", "swapped": "C1", "cut": "C2", "empty": "C3"}
MIN_WORDS = 3  # of an answer that is not broken
LABELS = re.compile(r"(, |: )")


# --------------------------------------------------------------------------------------------------
# Real rows


def read_rows() -> list[dict]:
    """Read the twenty real rows (see DATA.md)."""
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]


def show_rows(rows: list[dict]) -> None:
    """Print rows with their numbers, without grades."""
    for i, row in enumerate(rows):
        print(f"{i}  [{row['task']}]  {row['source']}")
        for name in ("instruction", "input", "output"):
            text = row[name].replace("\n", " / ")
            if text:
                indent = " " * 15
                print(textwrap.fill(f"   {name:<12}{text}", WIDTH, subsequent_indent=indent))


def show_grades(rows: list[dict], mine: dict[int, int]) -> None:
    """Print our grade of every row and the reason, beside the learner's."""
    for i, row in enumerate(rows):
        yours = f", yours {mine[i]}" if i in mine else ""
        print(f"{i:>2}  grade {row['grade']}{yours}: {row['why']}")
    if mine:
        same = sum(rows[i]["grade"] == grade for i, grade in mine.items())
        print(f"\nFound: you and we agree on {same} of {len(mine)} rows.")


def show_complaints(rows: list[dict], complaints) -> None:
    """Print what complaints(row) says, beside the grades, and how many poor rows it names."""
    for i, row in enumerate(rows):
        names = ", ".join(sorted(complaints(row)))
        if names or row["grade"] == POOR:
            print(f"{i:>2}  grade {row['grade']}  {names or '-':<16} {row['output'][:60]!r}")
    poor = [row for row in rows if row["grade"] == POOR]
    named = sum(bool(complaints(row)) for row in poor)
    good = sum(bool(complaints(row)) for row in rows if row["grade"] != POOR)
    print(f"\nFound: the rules name {named} of {len(poor)} poor rows, and {good} of the others.")


def show_alike(texts: list[str], overlap, n: int = 5, limit: float = 0.7) -> None:
    """Print the n pairs of texts that overlap most, and how many texts come too close to an
    earlier one. overlap(words, words) is between 0 and 1."""
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    pairs = []
    for j in range(len(words)):
        for i in range(j):
            if set(words[i]) & set(words[j]):
                pairs.append((overlap(words[i], words[j]), i, j))
    pairs.sort(reverse=True)
    for value, i, j in pairs[:n]:
        print(f"{value:.2f}  {texts[i]}  |  {texts[j]}")
    close = {j for value, _, j in pairs if value >= limit}
    print(f"\nFound: a limit of {limit} drops {len(close)} of these {len(texts)} instructions.")


# --------------------------------------------------------------------------------------------------
# Spoiled pairs and the filter


def spoil(rows: list[Row], share: float, seed: int, swapped, ways=("swapped", "cut", "empty")):
    """Spoil a share of the rows, as many in each way. Returns the rows and the kind of each.

    swapped(rows, i, rng) returns row i with the answer of another one."""
    rng = random.Random(seed)
    out, kinds = list(rows), ["clean"] * len(rows)
    for n, i in enumerate(rng.sample(range(len(rows)), int(share * len(rows)))):
        kinds[i] = ways[n % len(ways)]
        words = rows[i].turns[0].output.split()
        if kinds[i] == "swapped":
            out[i] = swapped(rows, i, rng)
        else:
            answer = " ".join(words[: len(words) // 2]) if kinds[i] == "cut" else "."
            out[i] = Row((rows[i].turns[0]._replace(output=answer),), rows[i].task)
    return out, kinds


def is_broken(row: Row) -> bool:
    """Does the answer have fewer than three words, or no punctuation at its end?"""
    answer = row.turns[0].output.strip()
    return len(answer.split()) < MIN_WORDS or answer[-1] not in ".!?;"


@torch.inference_mode()
def answer_losses(assistant: Assistant, rows: list[Row], row_losses) -> list[float]:
    """Return the mean loss of each row's answer, eos included. row_losses(logits, targets) returns
    one loss a row."""
    block = assistant.model.config.block_size
    examples, _, _ = prepare(rows, assistant.tokenizer, assistant.template, block)
    losses = []
    for start in range(0, len(examples), 64):
        batch = collate(examples[start : start + 64], assistant.tokenizer.eos_id)
        inputs, targets = batch
        losses += row_losses(assistant.model(inputs), targets).tolist()
    return losses


def show_filter(losses: list[float], kinds: list[str], kept: list[bool], limit: float) -> None:
    """Print how many rows of each kind the filter keeps, and draw their losses."""
    share = {}
    figure, ax = plt.subplots(figsize=(8, 3.2))
    bins = torch.linspace(0, max(losses), 50).tolist()
    for kind, color in COLORS.items():
        flags = [keep for keep, k in zip(kept, kinds) if k == kind]
        values = [loss for loss, k in zip(losses, kinds) if k == kind]
        share[kind] = sum(flags) / len(flags)
        print(f"{kind:<8}{len(flags):>5} rows, {sum(flags):>4} kept ({share[kind]:.0%})")
        weights = [1 / len(values)] * len(values)
        ax.hist(values, bins, weights=weights, histtype="step", color=color, label=kind, lw=2)
    clean = sum(k == "clean" for k, keep in zip(kinds, kept) if keep) / max(1, sum(kept))
    before = kinds.count("clean") / len(kinds)
    word = "raises" if clean > before else "does not raise"
    print(f"Found: the filter {word} the share of clean rows, from {before:.0%} to {clean:.0%}.")

    ax.axvline(limit, color="black", linestyle="--", label="limit, from trusted pairs")
    ax.set(xlabel="mean loss of the answer (nats a token)", ylabel="fraction of its kind")
    ax.set_title(f"The filter keeps {share['clean']:.0%} of the clean rows, and of the swapped ones"
                 f" {share['swapped']:.0%}")
    ax.legend()
    plt.tight_layout()
    plt.show()


# --------------------------------------------------------------------------------------------------
# Quality against quantity


def run_arms(base, tokenizer, arms: dict, splits: dict) -> tuple[dict, dict]:
    """Tune and ask one model for each arm and seed. arms: {name: (steps, pairs of a seed)}.

    Returns {arm: {split: flags of every seed}} and the last model of each arm."""
    results, models = {}, {}
    for arm, (steps, pairs_of) in arms.items():
        results[arm] = {name: [] for name in splits}
        for seed in lab.SEEDS:
            pairs = pairs_of(seed)
            models[arm] = lab.tune(base, tokenizer, pairs, seed, steps=steps, batch=16)
            for name, held in splits.items():
                flags = lab.correct_flags(models[arm], held, max_new=32)
                results[arm][name].append(flags)
    return results, models


def show_arms(results: dict) -> dict:
    """Print and draw the arms. Returns {(arm, split): (mean, low, high)}."""
    summary = {}
    for arm, splits in results.items():
        for name, table in splits.items():
            mean, low, high = summary[arm, name] = lab.bootstrap(table)
            seeds = " ".join(f"{sum(flags) / len(flags):.0%}" for flags in table)
            print(f"{arm:<22}{name:<14}{mean:>6.1%} ({low:.0%} to {high:.0%})  seeds: {seeds}")

    figure, ax = plt.subplots(figsize=(9.5, 3.8))
    names = list(next(iter(results.values())))
    for j, (name, color) in enumerate(zip(names, ("C1", "C0"))):
        at = [i + 0.38 * (j - 0.5) for i in range(len(results))]
        mean, low, high = zip(*(summary[arm, name] for arm in results))
        gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
        ax.bar(at, mean, 0.36, yerr=gaps, capsize=3, color=color, label=name.replace("_", " "))
    labels = [LABELS.sub(lambda match: match[0].strip() + "\n", arm) for arm in results]
    ax.set_xticks(range(len(results)), labels, fontsize=8)
    few, bad = (summary[arm, names[0]][0] for arm in ("few, clean", "many, 90% bad"))
    ax.set(ylim=(0, 1.02), ylabel="answered exactly right")
    ax.set_title(f"320 clean pairs: {few:.0%}. Four times as many, 90% bad: {bad:.0%}")
    ax.legend(framealpha=1)
    plt.tight_layout()
    plt.show()
    return summary


def verdicts(results: dict) -> None:
    """Say what each comparison found, on both splits."""
    comparisons = [  # first, second, if more, if fewer, if unclear
        ("many, clean", "few, clean", "new clean pairs answer more than the same ones again",
         "new clean pairs answer less than the same ones again",
         "this run cannot tell new clean pairs from the same ones again"),
        ("full: many, clean", "full: few, clean",
         "in twice the steps, many clean pairs answer more",
         "in twice the steps, many clean pairs answer less",
         "in twice the steps, this run still cannot tell few clean pairs from many"),
        ("few, clean", "many, 90% bad", "few clean pairs beat four times as many, mostly bad ones",
         "four times as many, mostly bad pairs beat few clean ones",
         "this run cannot tell few clean pairs from many bad ones"),
        ("few, clean", "full: many, 90% bad", "twice the steps do not save the bad pairs",
         "with twice the steps, bad pairs beat few clean ones",
         "with twice the steps, this run cannot tell bad pairs from few clean ones"),
        ("60% swapped", "60% cut", "errors that disagree cost less than errors that are alike",
         "errors that disagree cost more than errors that are alike",
         "this run cannot tell errors that disagree from errors that are alike"),
        ("90% bad, filtered", "many, 90% bad", "the filter brings right answers back",
         "the filter costs right answers", "the filter changes nothing that can be seen"),
        ("90% bad, filtered", "few, clean", "filtered pairs beat the trusted pairs alone",
         "the trusted pairs alone beat the filtered ones",
         "this run cannot tell filtered pairs from the trusted ones alone"),
    ]
    for first, second, more, fewer, unclear in comparisons:
        for name in results[first]:
            mean, low, high = lab.difference(results[first][name], results[second][name])
            text = more if low > 0 else fewer if high < 0 else unclear
            numbers = f"{100 * mean:+.0f} points, {100 * low:+.0f} to {100 * high:+.0f}"
            print(f"Found ({name.replace('_', ' ')}): {text} ({numbers}).")
