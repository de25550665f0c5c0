"""Judging: what it adds is `generate.py --judge A.pt B.pt`, blind, by a person or a program, and answers as a file.

You can skip this: the built-in world has exact checkers. It is for data where only a reader can tell what is better.
"""

import hashlib
import json
import random
import subprocess
import textwrap
from pathlib import Path

from data import UserError
from common.checkpoint import fingerprint, save_json
from extras.datasets import read_json
from common.cli import visible
from common.table import wilson

VERDICTS = ("1", "2", "tie")


def save_answers(path, assistant, name, rows, sampling):
    """In the form that AlpacaEval and other judges read."""
    prompts = ["\n\n".join(filter(None, row.turns[0][:2])) for row in rows]
    texts = [text for text, _ in assistant.answers(rows, sampling)]
    lines = [{"instruction": prompt, "output": text, "generator": name} for prompt, text in zip(prompts, texts)]
    save_json(path, lines)
    print(f"{len(lines)} answers are in {path}")


def ask_person(pair):
    """Show two answers in an order that says nothing of where they come from -> "1", "2", "tie" or "quit"."""
    pair = {name: visible(text) for name, text in pair.items()}
    print(f"\n> {pair['instruction']}" + (f" [{pair['input']}]" if pair["input"] else ""))
    for number in "12":
        print(textwrap.fill(pair[f"output_{number}"], 90, initial_indent=f"{number}) ", subsequent_indent="   "))
    while True:
        try:
            verdict = input("Which is better? 1, 2, tie or quit: ").strip()
        except (EOFError, KeyboardInterrupt):
            return "quit"
        if verdict in (*VERDICTS, "quit"):
            return verdict


def ask_command(command):
    """Any program can be the judge: it reads the pair as JSON and prints 1, 2 or tie."""

    def ask(pair):
        done = subprocess.run(command, shell=True, input=json.dumps(pair), capture_output=True, encoding="utf-8", errors="replace")
        if done.stdout.strip() not in VERDICTS:
            said = (done.stdout or done.stderr).strip()[:60]
            raise UserError(f"--judge-command {command}: said {said!r}. It must print 1, 2 or tie.")
        return done.stdout.strip()

    return ask


def identity(assistant, sampling):
    """Tells one way to answer from another: weights, template, sampling."""
    weights = fingerprint(assistant.model, assistant.model.state_dict())
    return hashlib.sha256(f"{weights} {assistant.template} {sampling}".encode()).hexdigest()[:16]


def read_verdicts(path):
    """[{"instruction", "input", "models", "better", ...}, ...], none if there is no such file."""
    verdicts = list(read_json(path)) if Path(path).exists() and Path(path).stat().st_size else []
    for number, verdict in verdicts:
        try:
            texts = [verdict["instruction"], verdict["input"], verdict["better"], *verdict["models"]]
            assert all(isinstance(text, str) for text in texts)
        except (AssertionError, KeyError, TypeError):
            raise UserError(f"{path}:{number}: no verdict of --judge. Delete that line or choose other --verdicts.") from None
    return [verdict for _, verdict in verdicts]


def judge(assistants, names, rows, sampling, ask, path, seed):
    """Two assistants answer; `ask` says of every pair which is better. Verdicts are added to a JSON Lines file, so one
    can stop and continue; they count for these two models only. Equal answers are ties unasked. Prints the share of the
    decided pairs that the first won."""
    models = [identity(assistant, sampling) for assistant in assistants]
    verdicts = [verdict for verdict in read_verdicts(path) if sorted(verdict["models"]) == sorted(models)]
    known = {(verdict["instruction"], verdict["input"]) for verdict in verdicts}
    rows = [row for row in rows if row.turns[0][:2] not in known]
    rng = random.Random(f"{seed} {len(known)}")
    answers = [[text for text, _ in assistant.answers(rows, sampling)] for assistant in assistants]
    for row, *texts in zip(rows, *answers):
        order = rng.sample((0, 1), 2)  # who is shown first: people, and models more so, prefer a position
        pair = {"instruction": row.turns[0].instruction, "input": row.turns[0].input}
        pair |= {f"output_{n + 1}": texts[i] for n, i in enumerate(order)}
        verdict = "tie" if texts[0] == texts[1] else ask(pair)
        if verdict == "quit":
            break
        better = verdict if verdict == "tie" else models[order[int(verdict) - 1]]
        verdicts.append(pair | {"models": models, "shown_first": names[order[0]], "better": better})
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(verdicts[-1], ensure_ascii=False) + "\n")
    wins = [sum(verdict["better"] == model for verdict in verdicts) for model in models]
    decided, ties = sum(wins), sum(verdict["better"] == "tie" for verdict in verdicts)
    print(f"{len(verdicts)} pairs: {names[0]} better {wins[0]}, {names[1]} better {wins[1]}, ties {ties}")
    if decided:
        interval = "{:.0%} to {:.0%}".format(*wilson(wins[0], decided))
        print(f"{names[0]} wins {wins[0] / decided:.0%} of the decided ones ({interval})")
