"""The proof on the screen: held-out scores with intervals, their table, answers side by side.

`check` says whether an answer is right. A row says how it is judged in `row.check`; a row without
that is never counted as right or wrong."""

import itertools
import math
import random
import re
import shutil
import textwrap
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch

import world
from common import checks
from common.cli import UserError, escape_control_chars
from data import Row

SAMPLED = 0.8  # temperature at which a base is shown; greedy, it soon repeats itself
AT_ONCE = 4  # models that are asked at the same time
BY_TASK = ("unseen_tasks", "unseen_words")  # splits whose tasks, not questions, were drawn
LEARNED = "your_pairs"  # a split of pairs that were tuned on
DRAWS = 1000  # of the bootstrap
CONTRAST_WIDTH = 66  # columns
LABELS = {"base_raw": "base", "base_template": "base+template"}
SHOWN = ("capital of France", "Korean", "opposite")  # prompts that everybody understands

# ---- Scores --------------------------------------------------------------------------------------


def check(row: Row, text: str) -> bool | None:
    """Is `text` a right answer to the last turn of the row? None if nothing can tell."""
    if row.check is None:
        return None
    if "world" in row.check:
        return world.check(row.check["world"], row.turns[-1].output, text)
    return checks.judge(row.check, text)


def begins_right(row: Row, text: str) -> bool:
    """Lenient: does the text begin with a right answer, whatever comes after it?"""
    text = text.strip()
    if text.startswith(row.turns[-1].output.rstrip(".!;")):
        return True
    ends = [match.end() for match in re.finditer(r"[.!?;]", text)]
    return any(check(row, text[:end]) for end in ends)


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Compute the 95% interval of a share (Wilson 1927), (low, high)."""
    z, p = 1.96, correct / n
    middle = p + z * z / (2 * n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def bootstrap_tasks(tasks: dict) -> tuple[float, float]:
    """Compute the 95% interval of a share if the tasks are the sample (Efron & Tibshirani 1993)."""
    rng = random.Random(0)
    counts = list(tasks.values())
    shares = []
    for _ in range(DRAWS):
        drawn = rng.choices(counts, k=len(counts))
        shares.append(sum(task["correct"] for task in drawn) / sum(task["n"] for task in drawn))
    shares.sort()
    return shares[int(0.025 * DRAWS)], shares[int(0.975 * DRAWS)]


def score(assistant, rows: list[Row], sampling, by_task: bool = False) -> dict:
    """Ask every row of a held-out split. Returns counts, overall and by task, and the answers.

    "correct" is strict: the answer is right and the model stopped by itself. "judged" rows are
    those whose answers can be checked."""
    tasks, answers = {}, []
    n_begins = 0
    for row, (text, stopped) in zip(rows, assistant.answers(rows, sampling)):
        verdict = check(row, text)
        correct = verdict if verdict is None else verdict and stopped
        answers.append((text, stopped, correct))
        if verdict is None:
            continue
        task = tasks.setdefault(row.task, {"n": 0, "correct": 0})
        task["n"] += 1
        task["correct"] += correct
        n_begins += correct or begins_right(row, text)

    n_judged = sum(task["n"] for task in tasks.values())
    n_correct = sum(task["correct"] for task in tasks.values())
    interval = (0.0, 1.0)
    if n_judged:
        interval = bootstrap_tasks(tasks) if by_task else wilson(n_correct, n_judged)
    return {
        "n": len(rows),
        "judged": n_judged,
        "correct": n_correct,
        "interval": [round(end, 4) for end in interval],
        "begins": n_begins,
        "stopped": sum(stopped for _, stopped, _ in answers),
        "tasks": tasks,
        "answers": answers,
    }


def score_models(models: dict, splits: dict[str, list[Row]], sampling) -> tuple[dict, dict]:
    """Score every model on every split.

    Returns {split: {"n", model: score}} and {split: {model: [(text, stopped, correct)]}}."""
    # Small models on a CPU are asked at the same time: a batch of short answers is too little work
    # for several threads. A model with an adapter is shared by its columns, so they take turns.
    threads = torch.get_num_threads()
    shared = any(assistant.model.lora and not assistant.lora for assistant in models.values())
    on_cpu = all(assistant.model.device().type == "cpu" for assistant in models.values())
    at_once = min(AT_ONCE, threads) if on_cpu and not shared else 1

    def one(job):
        split, name = job
        return score(models[name], splits[split], sampling, split in BY_TASK)

    jobs = list(itertools.product(splits, models))
    set_threads = {"initializer": torch.set_num_threads, "initargs": (threads // at_once,)}
    with ThreadPoolExecutor(at_once, **set_threads) as pool:
        results = dict(zip(jobs, pool.map(one, jobs)))
    torch.set_num_threads(threads)  # setting it in one thread sets a part of it in all

    # sort into {split: {model: ...}}
    scores, answers = {}, {}
    for split, rows in splits.items():
        answers[split] = {name: results[split, name].pop("answers") for name in models}
        scores[split] = {"n": len(rows)} | {name: results[split, name] for name in models}
    return scores, answers


def continues_with_question(answers: dict, splits: dict[str, list[Row]]) -> float:
    """Compute the share of held-out questions that the raw base continues with another question.

    It must not say the same sentence twice in a row."""
    results = []
    for split, rows in splits.items():
        for row, (text, _, _) in zip(rows, answers[split]["base_raw"]):
            question = row.turns[0].instruction
            if not question.endswith("?") or row.turns[0].input:
                continue
            sentences = re.findall(r"[^.!?]+[.!?]", question + text)
            sentences = [sentence.strip() for sentence in sentences]
            repeats = any(a == b for a, b in itertools.pairwise(sentences))
            goes_on = len(sentences) > 1 and sentences[1].endswith("?")
            results.append(goes_on and not repeats)
    return sum(results) / max(1, len(results))


def build_world(seed: int, hold_out, quick: bool, size: float = 0.0):
    """Build the world; with `quick`, a small one of ten tasks."""
    return world.build(seed, hold_out, size, world.QUICK_TASKS if quick else None)


def world_splits(trained_on: dict) -> dict[str, list[Row]]:
    """Build the held-out splits of the world that a checkpoint was trained on."""
    hold_out = trained_on.get("hold_out", world.HELD_OUT)
    quick = trained_on.get("quick", False)
    try:
        return world_rows(build_world(trained_on.get("seed", 0), hold_out, quick))
    except (KeyError, ValueError, IndexError):
        reason = f"the held-out tasks {', '.join(hold_out)} are not those of this world"
        raise UserError(f"{reason}. Tune the model again, or give --data.") from None


def world_rows(built) -> dict[str, list[Row]]:
    """Turn the splits of a built world into rows that its checkers judge, but for empty splits: a
    small world may have none of the tasks that are held out."""
    splits = {}
    for name, pairs in built.splits.items():
        rows = [Row.from_dict(pair) for pair in pairs]
        if rows:
            splits[name] = [replace(row, check={"world": row.task}) for row in rows]
    return splits


# ---- The screen ----------------------------------------------------------------------------------


def print_table(scores: dict) -> None:
    """Print splits down and models across: right answers, their interval, and how many stopped."""
    names = [name for name in next(iter(scores.values()), {}) if name != "n"]

    def line(title: str, cells: list[str]) -> None:
        print(f"  {title:<22}" + "".join(f"{cell:>14}" for cell in cells))

    line("right, 95% interval", [LABELS.get(name, name) for name in names])
    for split, columns in scores.items():
        cells = [share_of(columns[name]) for name in names]
        title = f"{split.replace('_', ' '):<17}{columns['n']:>5}"
        line(escape_control_chars(title), cells)
    n = max(1, sum(columns["n"] for columns in scores.values()))
    stopped = [sum(columns[name]["stopped"] for columns in scores.values()) for name in names]
    line("stopped by itself", [f"{count / n:.0%}" for count in stopped])


def share_of(column: dict) -> str:
    """Format one cell: the share of right answers, and its 95% interval."""
    if not column["judged"]:
        return "not judged"
    low, high = column["interval"]
    return f"{column['correct'] / column['judged']:.1%} {100 * low:.0f}-{100 * high:.0f}"


def shown_rows(splits: dict[str, list[Row]], prompts=SHOWN) -> list[Row]:
    """Pick held-out rows that show the contrast, one for each of `prompts` if there is one."""
    if LEARNED in splits:  # after tuning on your own pairs, show yours
        splits = {name: rows for name, rows in splits.items() if name.startswith("your")}
    rows = list(itertools.chain(*splits.values()))
    picked = []
    for prompt in prompts:
        picked += [row for row in rows if prompt in row.turns[0].instruction][:1]
    return (picked or rows)[: len(prompts)]


def wrap(text: str, width: int) -> list[str]:
    """Wrap text into lines of at most `width` columns."""
    # A Korean letter takes two columns; a \0 after it makes up for that while we count.
    wide = [letter + "\0" * (unicodedata.east_asian_width(letter) in "WF") for letter in text]
    lines = []
    for line in "".join(wide).split("\n"):
        lines += textwrap.wrap(line, max(2, width), break_on_hyphens=False) or [""]
    return lines


def print_side_by_side(models: dict, rows: list[Row], sampling) -> None:
    """Print questions and the answers of every model, in columns that fit the terminal.

    A raw base is sampled; every other model answers with `sampling`."""
    total = min(shutil.get_terminal_size((80, 24)).columns, 140)
    width = (total - 2 - 3 * (len(models) - 1)) // len(models)
    answers = []
    for name, assistant in models.items():
        raw = name == "base_raw" and sampling.temperature == 0
        how = replace(sampling, temperature=SAMPLED) if raw else sampling
        answers.append(assistant.answers(rows, how))

    for i, row in enumerate(rows):
        # one column for each model
        columns = []
        for name, column in zip(models, answers):
            text, stopped = column[i]
            text = escape_control_chars(text.strip()) + ("" if stopped else " ...")
            columns.append(wrap(LABELS.get(name, name), width) + wrap(text, width))
        lines = itertools.zip_longest(*columns, fillvalue="")

        turn = row.turns[-1]
        question = f"> {turn.instruction}" + (f" [{turn.input}]" if turn.input else "")
        print("\n" + "\n".join(wrap(escape_control_chars(question), total)).replace("\0", ""))
        for cells in lines:
            text = " | ".join(cell.ljust(width) for cell in cells)
            print("  " + text.rstrip().replace("\0", ""))


def print_contrast(models: dict, turn) -> None:
    """Print one question, what the base says, and what the tuned model says."""
    question = textwrap.shorten(turn.instruction, CONTRAST_WIDTH, placeholder=" ...")
    print(f"\n  > {escape_control_chars(question)}")
    for label, name in (("base", "base_raw"), ("tuned", "tuned")):
        temperature = SAMPLED if name == "base_raw" else 0.0
        text, stopped = models[name].ask(turn, temperature=temperature, max_new_tokens=24)
        text = textwrap.shorten(text, CONTRAST_WIDTH, placeholder="")
        print(f"  {label:<6} {escape_control_chars(text)}{'' if stopped else ' ...'}")
