"""Tune Gemma with other settings, and score only the tuned model: one line a setting.

    python bench/real_model.py --part dev                     the development part, to choose settings
    python bench/real_model.py --part dev --epochs 2 --mlp    two passes, an adapter on the MLP, too
    python bench/real_model.py --seeds 0,1,2                  the test part, three seeds
    python bench/real_model.py --pairs 120                    fewer pairs
    python bench/real_model.py --unmasked                     the loss is on the prompt, too
    python bench/real_model.py --untuned                      the base with its best prompts

A row of the table has the shares of right answers by split, and how often the model stopped."""

import argparse
import math
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from common.flags import GEMMA  # noqa: E402
from common.lora import add_lora  # noqa: E402
from common.table import score  # noqa: E402
from data import Row, prepare  # noqa: E402
from gemma.load import load_gemma  # noqa: E402
from gemma.pairs import load_pairs  # noqa: E402
from generate import Assistant, Sampling  # noqa: E402
from train_sft import adamw, tune  # noqa: E402

MLP = ("ffn_gate", "ffn_up", "ffn_down")
SHOTS = 4


def make_examples(rows, tokenizer, unmasked: bool) -> list:
    """Tokenize pairs. Unmasked, every token has a loss."""
    examples = prepare(rows, tokenizer, "alpaca", 512)[0]
    if unmasked:
        return [(ids, [1] * len(ids)) for ids, _ in examples]
    return examples


def tune_gemma(args, seed: int, rows: list[Row]) -> tuple[Assistant, int]:
    """Tune an adapter. Returns the Assistant and its steps."""
    model, tokenizer = load_gemma()
    targets = (*model.lora_targets, *MLP) if args.mlp else model.lora_targets
    add_lora(model, GEMMA["lora"], 2 * GEMMA["lora"], targets, seed=seed)
    examples = make_examples(rows, tokenizer, args.unmasked)
    batch = GEMMA["tune_batch"]
    steps = args.steps or math.ceil(args.epochs * len(examples) / batch)
    optimizers = [adamw(model.parameters(), args.lr)]
    options = {"micro_batch": GEMMA["micro_batch"]}
    tune(model, examples, steps, optimizers, batch, seed, tokenizer.eos_id, **options)
    return Assistant(model, tokenizer, "alpaca"), steps


class Prompted(Assistant):
    """The untuned base with a few pairs before the question. Its answer is cut by a rule."""

    shots: tuple = ()

    def answers(self, rows, sampling):
        longer = [Row((*self.shots, *row.turns), row.task) for row in rows]
        answers = super().answers(longer, sampling)
        return [(cut(text), True) for text, _ in answers]


def cut(text: str) -> str:
    """Keep the first paragraph, up to the next header or question."""
    for end in ("\n\n", "###", "\nQuestion:", "<end"):
        text = text.strip().split(end)[0]
    return text.strip()


def report(name: str, assistant, splits: dict) -> None:
    """Print one row of the table."""
    start = time.process_time()
    parts, stopped, n = [], 0, 0
    for split, rows in splits.items():
        scores = score(assistant, rows, Sampling())
        parts.append(f"{split} {scores['correct']}/{scores['judged']}")
        stopped += scores["stopped"]
        n += scores["n"]
    seconds = time.process_time() - start
    print(f"{name}: {', '.join(parts)}, stopped {stopped}/{n}, {seconds:.0f} CPU s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--part", default="test", choices=("dev", "test"))
    add("--seeds", default="0", help="separated by commas")
    add("--epochs", type=float, default=1.0)
    add("--steps", type=int, default=0)
    add("--pairs", type=int, default=0, help="as many pairs, drawn by the seed; 0: all")
    add("--lr", type=float, default=GEMMA["lora_lr"])
    for flag in ("--mlp", "--unmasked", "--untuned"):
        add(flag, action="store_true")
    args = parser.parse_args()
    pairs = load_pairs(args.part)

    if args.untuned:
        model, tokenizer = load_gemma()
        single = [row.turns[0] for row in pairs.rows if len(row.turns) == 1 and not row.turns[0].input]
        for template in ("plain", "alpaca"):
            for n in (0, SHOTS):
                base = Prompted(model, tokenizer, template)
                base.shots = tuple(random.Random(0).sample(single, n))
                report(f"base, {template}, {n} shots, cut", base, pairs.splits)
        return
    for seed in map(int, args.seeds.split(",")):
        rows = pairs.rows
        if args.pairs:
            rows = random.Random(seed).sample(rows, args.pairs)
        start = time.process_time()
        assistant, steps = tune_gemma(args, seed, rows)
        seconds = time.process_time() - start
        name = f"seed {seed}, {len(rows)} pairs, {steps} steps, {seconds:.0f} CPU s"
        report(name, assistant, pairs.splits)


if __name__ == "__main__":
    main()
