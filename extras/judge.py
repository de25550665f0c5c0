"""Compare two models blind: a person or a program says which answer is better.

    python -m extras.judge A.pt B.pt --data rows.jsonl                 you judge
    python -m extras.judge A.pt B.pt --data rows.jsonl --command CMD   a program judges

The built-in world has exact checkers. This is for data where only a reader can tell."""

import json
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from common.checkpoint import hash_tensors
from common.cli import UserError, cli_main, escape_control_chars
from common.flags import Parser
from common.table import wilson
from extras.datasets import load_rows, parse
from generate import Sampling, load_assistant

VERDICTS = ("1", "2", "tie")
FIELDS = {"instruction", "input", "models", "better"}  # of a line in the file of verdicts


def ask_person(pair: dict) -> str:
    """Show two answers in random order. Returns "1", "2", "tie" or "quit"."""
    pair = {name: escape_control_chars(text) for name, text in pair.items()}
    print(f"\n> {pair['instruction']}" + (f" [{pair['input']}]" if pair["input"] else ""))
    for number in "12":
        text = pair[f"output_{number}"]
        print(textwrap.fill(text, 80, initial_indent=f"{number}) ", subsequent_indent="   "))
    while True:
        try:
            verdict = input("Which is better? 1, 2, tie or quit: ").strip()
        except (EOFError, KeyboardInterrupt):
            return "quit"
        if verdict in (*VERDICTS, "quit"):
            return verdict


def ask_command(command: str) -> Callable:
    """Let any program judge: it reads the pair as JSON and prints 1, 2 or tie."""

    def ask(pair: dict) -> str:
        how = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
        done = subprocess.run(command, shell=True, input=json.dumps(pair), **how)
        verdict = done.stdout.strip()
        if verdict not in VERDICTS:
            message = (done.stdout or done.stderr).strip()[:60]
            raise UserError(f"--command {command}: said {message!r}. It must print 1, 2 or tie.")
        return verdict

    return ask


def identity(assistant, sampling) -> str:
    """Hash a way to answer: weights, template, sampling."""
    weights = [weight.float() for _, weight in sorted(assistant.model.state_dict().items())]
    return hash_tensors(*weights, f"{assistant.template} {sampling}")


def read_verdicts(path) -> list[dict]:
    """Read verdicts, as `judge` writes them."""
    text = Path(path).read_text(encoding="utf-8", errors="replace") if Path(path).exists() else ""
    verdicts = [parse(line) for line in text.splitlines()]
    for number, verdict in enumerate(verdicts, 1):
        if not isinstance(verdict, dict) or not FIELDS <= verdict.keys():
            remedy = "Delete that line or choose other --verdicts."
            raise UserError(f"{path}:{number}: not a verdict. {remedy}")
    return verdicts


def judge(assistants, names, rows, sampling, ask: Callable, path) -> None:
    """Let two assistants answer and `ask` judge each pair. Prints who wins.

    Verdicts are added to a JSON Lines file, so you can stop and continue. They count for these two
    models only. Equal answers are ties without asking."""
    # what is judged already
    models = [identity(assistant, sampling) for assistant in assistants]
    verdicts = [v for v in read_verdicts(path) if sorted(v["models"]) == sorted(models)]
    known = {(verdict["instruction"], verdict["input"]) for verdict in verdicts}
    rows = [row for row in rows if row.turns[-1][:2] not in known]

    # judge the rest, in random order: people prefer a position, and models even more
    rng = random.Random(f"0 {len(known)}")
    answers = []
    for assistant in assistants:
        answers.append([text for text, _ in assistant.answers(rows, sampling)])
    for row, *texts in zip(rows, *answers):
        order = rng.sample((0, 1), 2)
        pair = {"instruction": row.turns[-1].instruction, "input": row.turns[-1].input}
        pair |= {f"output_{n + 1}": texts[i] for n, i in enumerate(order)}
        verdict = "tie" if texts[0] == texts[1] else ask(pair)
        if verdict == "quit":
            break
        better = verdict if verdict == "tie" else models[order[int(verdict) - 1]]
        about = {"models": models, "shown_first": names[order[0]], "better": better}
        verdicts.append(pair | about)
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(verdicts[-1], ensure_ascii=False) + "\n")

    # the result
    wins = [sum(verdict["better"] == model for verdict in verdicts) for model in models]
    ties = sum(verdict["better"] == "tie" for verdict in verdicts)
    decided = sum(wins)
    pairs = f"{len(verdicts)} pairs"
    print(f"{pairs}: {names[0]} better {wins[0]}, {names[1]} better {wins[1]}, ties {ties}")
    if decided:
        low, high = wilson(wins[0], decided)
        share = f"{wins[0] / decided:.0%} of the decided pairs ({low:.0%} to {high:.0%})"
        print(f"{names[0]} wins {share}")


@cli_main
def main(argv=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("models", nargs=2, metavar="CHECKPOINT", help="two tuned checkpoints")
    add("--data", metavar="FILE", required=True, help="prompts to ask")
    add("--command", metavar="CMD", help="a program that judges")
    add("--verdicts", default="verdicts.jsonl", help="file of verdicts (verdicts.jsonl)")
    args = parser.parse_args(argv)
    assistants = [load_assistant(path) for path in args.models]
    rows, _ = load_rows(args.data)
    ask = ask_command(args.command) if args.command else ask_person
    judge(assistants, args.models, rows, Sampling(), ask, args.verdicts)


if __name__ == "__main__":
    sys.exit(main())
