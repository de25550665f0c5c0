"""The held-out table of a tuned model, again, or on your own questions.

    python -m extras.evaluate                                     the questions of its own run
    python -m extras.evaluate --tuned X.pt --data rows.jsonl      other questions
    python -m extras.evaluate --controls                          with two rules instead of tuning
    python -m extras.evaluate --save answers.json                 write the answers, for a judge

A row of --data counts as right or wrong only if it says how it is judged (its field "check")."""

import sys
from pathlib import Path

from common import table
from common.checkpoint import save_json
from common.cli import UserError, cli_main
from common.flags import Parser
from extras.datasets import load_rows
from extras.rules import with_rules
from gemma.pairs import load_pairs
from generate import Sampling, load_three


def held_out(tuned, data: str | None) -> dict:
    """Return the held-out splits to ask: those of --data, or of the model's own run."""
    if data:
        return {Path(data).name: load_rows(data)[0]}
    if tuned.trained_on.get("data") == "gemma":
        return load_pairs().splits
    if tuned.trained_on.get("data") != "world":
        raise UserError("the model was tuned on your own pairs. Give held-out rows as --data.")
    return table.world_splits(tuned.trained_on)


def save_answers(path, assistant, name: str, rows, sampling) -> None:
    """Write answers in the form that AlpacaEval and other judges read."""
    lines = []
    for row, (text, _) in zip(rows, assistant.answers(rows, sampling)):
        prompt = "\n\n".join(filter(None, row.turns[-1][:2]))
        lines.append({"instruction": prompt, "output": text, "generator": name})
    save_json(path, lines)
    print(f"{len(lines)} answers are in {path}")


@cli_main
def main(argv=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--tuned", default="out/tuned.pt", help="a tuned checkpoint or adapter (out/tuned.pt)")
    add("--data", metavar="FILE", help="ask these questions")
    add("--controls", action="store_true", help="add two columns of rules instead of tuning")
    add("--save", metavar="FILE", help="write the tuned model's answers as JSON, and no table")
    args = parser.parse_args(argv)
    if args.save and args.controls:
        raise UserError("--controls: has no effect with --save. Leave one of them out.")

    models = load_three(args.tuned)
    splits = held_out(models["tuned"], args.data)
    if args.save:
        rows = [row for split in splits.values() for row in split]
        return save_answers(args.save, models["tuned"], args.tuned, rows, Sampling())
    if args.controls:
        models = with_rules(models)
    table.print_table(table.score_models(models, splits, Sampling())[0])


if __name__ == "__main__":
    sys.exit(main())
