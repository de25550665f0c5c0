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
    if not args.save:
        models = with_rules(models) if args.controls else models
        table.print_table(table.score_models(models, splits, Sampling())[0])
        return

    # write answers in the form that AlpacaEval and other judges read
    rows = [row for split in splits.values() for row in split]
    answers = []
    for row, (text, _) in zip(rows, models["tuned"].answers(rows, Sampling())):
        prompt = "\n\n".join(filter(None, row.turns[-1][:2]))
        answers.append({"instruction": prompt, "output": text, "generator": args.tuned})
    save_json(args.save, answers)
    print(f"{len(answers)} answers are in {args.save}")


if __name__ == "__main__":
    sys.exit(main())
