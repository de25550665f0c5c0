"""Judging: what it adds is `generate.py --judge A.pt B.pt`, blind, by a person or a program, and answers as a file.

You can skip this: the built-in world has exact checkers. It is for data where only a reader can tell what is better.
"""

import json
import random
import subprocess
import textwrap
from pathlib import Path

from data import UserError
from extras.table import wilson

VERDICTS = ("1", "2", "tie")


def write(path, mode, text, remedy):
    try:
        with open(path, mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}. {remedy}") from None


def save_answers(path, assistant, name, rows, sampling):
    """In the form that AlpacaEval and other judges read."""
    prompts = ["\n\n".join(filter(None, row.turns[0][:2])) for row in rows]
    texts = [text for text, _ in assistant.answers(rows, sampling)]
    lines = [{"instruction": prompt, "output": text, "generator": name} for prompt, text in zip(prompts, texts)]
    write(path, "w", json.dumps(lines, ensure_ascii=False, indent=1), "Choose another place.")
    print(f"{len(lines)} answers are in {path}")


def ask_person(pair):
    """Show two answers in an order that says nothing of where they come from -> "1", "2", "tie" or "quit"."""
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
        done = subprocess.run(command, shell=True, input=json.dumps(pair), capture_output=True, text=True)
        if done.stdout.strip() not in VERDICTS:
            said = (done.stdout or done.stderr).strip()[:60]
            raise UserError(f"--judge-command {command}: said {said!r}. It must print 1, 2 or tie.")
        return done.stdout.strip()

    return ask


def judge(assistants, names, rows, sampling, ask, path, seed):
    """Two assistants answer; `ask` says of every pair which is better. Verdicts are added to a JSON Lines file, so one
    can stop and continue; equal answers are ties unasked. Prints the share of the decided pairs that the first won."""
    old = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
    verdicts = [json.loads(line) for line in old]
    known = {(v["instruction"], v["input"]) for v in verdicts}
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
        better = verdict if verdict == "tie" else names[order[int(verdict) - 1]]
        verdicts.append(pair | {"shown_first": names[order[0]], "better": better})
        write(path, "a", json.dumps(verdicts[-1], ensure_ascii=False) + "\n", "Choose another --verdicts.")
    wins = [sum(v["better"] == name for v in verdicts) for name in names]
    decided, ties = sum(wins), len(verdicts) - sum(wins)
    print(f"{len(verdicts)} pairs: {names[0]} better {wins[0]}, {names[1]} better {wins[1]}, ties {ties}")
    if decided:
        interval = "{:.0%} to {:.0%}".format(*wilson(wins[0], decided))
        print(f"{names[0]} wins {wins[0] / decided:.0%} of the decided ones ({interval})")
