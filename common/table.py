"""The proof on the screen: what it adds is held-out scores with intervals, their table, and answers side by side.

You can skip this: it asks models questions and counts. The checkers themselves are in `world.py`.
"""

import itertools
import math
import re
import shutil
import textwrap
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import torch

import world
from data import Row
from common.cli import visible


def wilson(correct, n):
    """95 % interval of a share (Wilson 1927), (low, high)."""
    z, p = 1.96, correct / n
    middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n))


def begins_right(task, expected, text):
    """Lenient: does the text begin with a right answer, whatever comes after it?"""
    text = text.strip()
    pieces = [text[: mark.end()] for mark in re.finditer(r"[.!?;]", text)]
    return text.startswith(expected.rstrip(".!;")) or any(world.check(task, expected, piece) for piece in pieces)


def score(assistant, rows, sampling):
    """Rows of a held-out split -> how many were right (strictly), began right, and stopped; right also by task."""
    tasks, answers, begins = {}, [], 0
    for row, (text, stopped) in zip(rows, assistant.answers(rows, sampling)):
        expected, task = row.turns[0].output, tasks.setdefault(row.task, {"n": 0, "correct": 0})
        right = stopped and world.check(row.task, expected, text)
        begins += right or begins_right(row.task, expected, text)
        task["n"] += 1
        task["correct"] += right
        answers.append((text, stopped, right))
    stopped, correct = (sum(answer[i] for answer in answers) for i in (1, 2))
    return {"n": len(rows), "correct": correct, "interval": [round(x, 4) for x in wilson(correct, len(rows))],
            "begins": begins, "stopped": stopped, "tasks": tasks, "answers": answers}


def score_models(models, splits, sampling):
    """{name: Assistant}, {split: rows} -> {split: {"n", name: score}}, {split: {name: [(text, stopped, right)]}}"""
    jobs, threads = [(split, name) for split in splits for name in models], torch.get_num_threads()
    # On a CPU models are asked at the same time: a batch of short answers is too little work for several threads.
    at_once = min(4, threads) if all(one.model.device().type == "cpu" for one in models.values()) else 1
    with ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(threads // at_once,)) as pool:
        found = dict(zip(jobs, pool.map(lambda job: score(models[job[1]], splits[job[0]], sampling), jobs)))
    torch.set_num_threads(threads)  # setting it in one thread sets a part of it in all
    answers = {split: {name: found[split, name].pop("answers") for name in models} for split in splits}
    scores = {split: {"n": len(rows)} | {name: found[split, name] for name in models} for split, rows in splits.items()}
    return scores, answers


def goes_on(answers, splits):
    """Share of the held-out questions after which the base, given nothing but the question, goes on with another
    question and puts none twice in a row."""
    found = []
    for split, rows in splits.items():
        for row, (text, _, _) in zip(rows, answers[split]["base_raw"]):
            question = row.turns[0].instruction
            if question.endswith("?") and not row.turns[0].input:
                said = [sentence.strip() for sentence in re.findall(r"[^.!?]+[.!?]", question + text)]
                found.append(len(said) > 1 and said[1].endswith("?") and all(a != b for a, b in itertools.pairwise(said)))
    return sum(found) / max(1, len(found))


def print_table(scores):
    """Held-out splits down, models across. It fits in 80 columns with six models."""

    def line(title, cells):
        print(f"  {title:<22}" + "".join(f"{cell:>9}" for cell in cells))

    names = [name for name in next(iter(scores.values()), {}) if name != "n"]
    line("", [name.partition("_")[0] if "_" in name else "" for name in names])
    line("held-out questions", [name.rpartition("_")[2] for name in names])
    for split, found in scores.items():
        n, columns = found["n"], [found[name] for name in names]
        line(visible(f"{split.replace('_', ' '):<17}{n:>5}"), [f"{one['correct'] / n:.1%}" for one in columns])
        line("  95 % interval", ["{:.0f}-{:.0f} %".format(*(100 * end for end in one["interval"])) for one in columns])
        line("  begins right", [f"{one['begins'] / n:.1%}" for one in columns])
        line("  stopped", [f"{one['stopped'] / n:.0%}" for one in columns])


def world_splits(trained_on):
    """The held-out splits of the built-in world that a checkpoint was trained beside."""
    splits = world.build(trained_on.get("seed", 0), trained_on.get("hold_out", world.HELD_OUT), size=0).splits
    return {name: [Row.from_dict(pair) for pair in pairs] for name, pairs in splits.items()}


def shown_rows(splits):
    """Eight held-out prompts that show what instruction tuning is known for."""
    rows = [row for split in splits.values() for row in split]
    words = ("capital of France", "Summar", "Korean", "SQL", "sum of", "story about", "name in", "opposite")
    found = [next((row for row in rows if word in row.turns[0].instruction), None) for word in words]
    return list(dict.fromkeys([row for row in found if row] + rows))[: len(words)]


def wrap(text, width):
    """Text -> lines of at most `width` columns. A Korean letter, say, takes two: a \0 after it makes up for that."""
    text = "".join(letter + "\0" * (unicodedata.east_asian_width(letter) in "WF") for letter in text)
    return [part for line in text.split("\n") for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]]


def side_by_side(models, rows, sampling):
    """Print questions and what every model says to them, in columns that fit the terminal."""
    total = min(shutil.get_terminal_size((80, 24)).columns, 140)
    width = (total - 2 - 3 * (len(models) - 1)) // len(models)
    for row, *found in zip(rows, *(assistant.answers(rows, sampling) for assistant in models.values())):
        columns = [[name.replace("_", " ")] for name in models]
        for column, (text, stopped) in zip(columns, found):
            column += wrap(visible(text.strip()) + ("" if stopped else " ..."), width)
        lines = [" | ".join(cell.ljust(width) for cell in cells) for cells in itertools.zip_longest(*columns, fillvalue="")]
        turn = row.turns[0]
        question = wrap(visible(f"> {turn.instruction}" + (f" [{turn.input}]" if turn.input else "")), total)
        print("\n" + "\n".join([*question, *("  " + line.rstrip() for line in lines)]).replace("\0", ""))
