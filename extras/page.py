"""Make the page of a tuned checkpoint: one HTML file in which base and tuned model answer.

    python -m extras.page my_page.html
    python -m extras.page --tuned out/lora.pt --data my_questions.jsonl my_page.html

The main job writes out/page.html by itself. Use this for an adapter, or for your own questions."""

import sys
from pathlib import Path

from common import page, table
from common.cli import cli_main
from common.flags import Parser
from data import Row
from extras.evaluate import held_out
from generate import Sampling, load_three


@cli_main
def main(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("file", help="the page, an HTML file")
    parser.add_argument("--tuned", default="out/tuned.pt", help="a tuned checkpoint or an adapter")
    parser.add_argument("--data", metavar="FILE", help="held-out questions (JSON Lines)")
    args = parser.parse_args(argv)

    # ask the held-out questions
    models = load_three(args.tuned)
    splits = held_out(models["tuned"], args.data)
    scores, answers = table.score_models(models, splits, Sampling())

    # show the pairs of the built-in world, or else these questions
    trained_on = models["tuned"].trained_on
    built_in = trained_on.get("data") == "world"
    rows = [row for split in splits.values() for row in split]
    if built_in:
        built = table.build_world(trained_on["seed"], trained_on["hold_out"], trained_on["quick"])
        rows = [Row.from_dict(pair) for pair in built.pairs]
    about = (models, splits, scores, answers, rows, Path(args.tuned).parent, Sampling(), built_in)
    page.write(args.file, *about)


if __name__ == "__main__":
    sys.exit(main())
