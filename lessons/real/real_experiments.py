"""The measurements of REAL_RESULTS.md, one command each; every one prints a table in Markdown.

What it is: `real_model.py` again and again with one thing changed.
What it is not: needed to understand it.

    python lessons/real/real_experiments.py seeds       the base's columns, then tuned with seeds 0, 1, 2
    python lessons/real/real_experiments.py steps       asked after 5, 10, 20 and 40 steps of one run (--steps 80: of 80)
    python lessons/real/real_experiments.py mask        without the mask: the loss on the prompts too
    python lessons/real/real_experiments.py pairs       60 and 120 pairs, the same number of steps
    python lessons/real/real_experiments.py families    one family left out of tuning at a time, and asked
    python lessons/real/real_experiments.py format      SmolLM2-Instruct in its own format and in others, then tuned to another
    python lessons/real/real_experiments.py judge       how far a model can be believed that judges answers
"""

import argparse
import random
import sys
import time

import real_model
import torch
from real_model import Bench, marks, prose_loss, take_off

import world
from data import Row, Turn, render
from extras.datasets import load_rows
from extras.judge import ask_command
from common.cli import program
from common.table import wilson

MARKS = ("stopped", "another header", "right", "right, cut by a rule")


def head(*names):
    print("| " + " | ".join(names) + " |\n|" + " --- |" * len(names), flush=True)


def line(name, found, *more):
    """One row of a table: shares of all prompts, each with its 95 % interval."""
    shares = []
    for mark in MARKS:
        k, n = sum(found[mark]), len(found[mark])
        shares.append("{:.1%} ({:.0f}-{:.0f})".format(k / n, *(100 * x for x in wilson(k, n))))
    print("| " + " | ".join([name, *shares, *more]) + " |", flush=True)


def together(several):
    """The marks of several runs or families as one list."""
    return {mark: sum((found[mark] for found in several), []) for mark in MARKS}


def tuned_marks(bench, **changes):
    """Tune, ask, take the adapter off -> (marks, loss on prose, seconds of tuning of all processor cores together)"""
    start = time.process_time()
    assistant = bench.tuned(**changes)
    seconds, loss = time.process_time() - start, prose_loss(bench.model, bench.tokenizer)
    found = bench.marks(bench.answers(assistant))
    take_off(bench.model)
    return found, loss, seconds


def seeds(config):
    bench, tuned = Bench(config), []
    loss = prose_loss(bench.model, bench.tokenizer)
    head("", *MARKS, "prose loss", "CPU seconds of tuning")
    for name, answers in bench.base_answers().items():
        line(name, bench.marks(answers), f"{loss:.3f}", "")
    for seed in config.seeds:
        found, loss, seconds = tuned_marks(bench, seed=seed)
        tuned.append(found)
        line(f"tuned, seed {seed}", found, f"{loss:.3f}", f"{seconds:.0f}")
    line("tuned, all seeds", together(tuned), "", "")


def steps(config):
    """One run, asked on the way. Step 0 is the base with the template, in the table of `seeds`."""
    bench = Bench(config)
    head("steps", *MARKS, "prose loss")

    def look(done):
        if done in (5, 10, 20, 40, 80):
            found = bench.marks(bench.answers(bench.asking(config.template)))
            line(str(done), found, f"{prose_loss(bench.model, bench.tokenizer):.3f}")

    bench.tuned(watch=look)


def mask(config):
    """Beside the table of `seeds`, whose loss looks at the answers only."""
    changed(config, "the prompts too", mask=False)


def pairs(config):
    """Beside the table of `seeds`, which has all 240."""
    for n in (60, 120):
        changed(config, f"{n} pairs", rows=load_rows(config.data)[0][:n])


def changed(config, name, **changes):
    bench = Bench(config)
    head("", *MARKS, "prose loss")
    tuned = [tuned_marks(bench, seed=seed, **changes)[:2] for seed in config.seeds]
    mean = sum(loss for _, loss in tuned) / len(tuned)
    line(f"{name}, seeds {', '.join(map(str, config.seeds))}", together([found for found, _ in tuned]), f"{mean:.3f}")


def families(config):
    """Every family's held-out prompts, asked of a model that was tuned on the other families only; beside it the base,
    and a model that was tuned on as many pairs of all families."""
    bench = Bench(config)
    names = config.families or sorted({row.task for row in bench.heldout})
    asked = {name: [i for i, row in enumerate(bench.heldout) if row.task == name] for name in names}

    def part(found, name):
        return {mark: [found[mark][i] for i in asked[name]] for mark in MARKS}

    base = bench.marks(bench.base_answers()["base 3 examples"])
    rng = random.Random(config.seed)
    everything = tuned_marks(bench, rows=rng.sample(bench.rows, len(bench.rows) * 11 // 12))[0]
    without = {}
    head("family", "base 3 examples: right, cut by a rule", "never tuned on: stopped", "never tuned on: right", "tuned on all: right")
    for name in names:
        rows = [row for row in bench.rows if row.task != name]
        assistant = bench.tuned(rows=rows)
        chosen = [bench.heldout[i] for i in asked[name]]
        without[name] = marks(bench.answers(assistant, chosen), [bench.checks[i] for i in asked[name]])
        take_off(bench.model)
        b, w, e = part(base, name), without[name], part(everything, name)
        counts = sum(b["right, cut by a rule"]), sum(w["stopped"]), sum(w["right"]), sum(e["right"])
        print(f"| {name} | " + " | ".join(f"{k} of {len(chosen)}" for k in counts) + " |", flush=True)
    print()
    head("all of these", *MARKS)
    line("base 3 examples", together([part(base, name) for name in names]))
    line("their family never tuned on", together(list(without.values())))
    line("tuned on all families", together([part(everything, name) for name in names]))


# ----------------------------------------------------------------------------------------------------------------
# Somebody else's assistant: SmolLM2-135M-Instruct.

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"  # what its makers put first
FORMATS = {  # name: (template, system text, what is added to the end of the prompt)
    "its own (chatml)": ("chatml", SYSTEM, ""),
    "its own and a space": ("chatml", SYSTEM, " "),
    "chatml, no system text": ("chatml", "", ""),
    "alpaca": ("alpaca", "", ""),
    "alpaca and a space": ("alpaca", "", " "),
    "llama2": ("llama2", "", ""),
    "raw": (None, "", ""),
}


class Slipped(real_model.Asked):
    """Asks with something added to the end of every prompt."""

    added = ""

    def prompt(self, turns, system=""):
        return super().prompt(turns, system) + self.tokenizer.encode(self.added)


def formats(config):
    config.model = "smollm2" if config.model == "gemma" else config.model
    bench = Bench(config)

    def ask(title, names):
        model = bench.asking(None).model
        for name in names:
            template, system, added = FORMATS[name]
            assistant = Slipped(model, bench.tokenizer, template)
            assistant.added = added
            rows = [Row(row.turns, system=system) for row in bench.heldout]
            line(f"{title}: {name}", marks(bench.answers(assistant, rows), bench.checks))

    head("SmolLM2-135M-Instruct", *MARKS)
    ask("as it comes", FORMATS)
    bench.tuned()
    ask("tuned to " + config.template, ("its own (chatml)", "alpaca", "raw"))


# ----------------------------------------------------------------------------------------------------------------
# A judge, judged: pairs of answers of which the little world's exact checkers know the better one.

QUESTION = "{instruction}\n\nAnswer 1: {output_1}\nAnswer 2: {output_2}\n\nWhich answer is correct? Say only 1 or 2."
PADDING = " I hope that this helps you. Please ask me again at any time if there is anything else that you want to know."


def known_pairs(n, seed):
    """[(row, right answer, wrong answer)]: the wrong one is right for another question of the same task."""
    rows = [Row.from_dict(pair) for pair in world.build(seed, size=0).splits["unseen_inputs"]]
    rng, found = random.Random(seed), []
    for row in rng.sample(rows, len(rows)):
        others = [other.turns[0].output for other in rows if other.task == row.task]
        wrong = [text for text in others if not world.check(row.task, row.turns[0].output, text)]
        if wrong and len(found) < n:
            found.append((row, row.turns[0].output, rng.choice(wrong)))
    return found


def model_judge(config):
    """A model as a judge: the more probable of "1" and "2" where its answer begins."""
    model, tokenizer = real_model.load("smollm2" if config.model == "gemma" else config.model)
    model = real_model.asking(model, tokenizer, "chatml", config.dtype).model
    one, two = (tokenizer.encode(number)[-1] for number in "12")

    def ask(pair):
        instruction = " ".join(filter(None, (pair["instruction"], pair["input"])))
        question = Turn(QUESTION.format(**pair | {"instruction": instruction}))
        text = "".join(text for text, _ in render([question], "chatml", SYSTEM))
        with torch.inference_mode():
            ids = torch.tensor([model.bos + tokenizer.encode(text)])  # (1, T)
            logits = model.model(ids, logits_to_keep=1).logits[0, -1]  # (V,)
        return "1" if logits[one] > logits[two] else "2"

    return ask


def judge(config):
    """Every pair is shown in both orders; then again with the right or the wrong answer made longer."""
    ask = ask_command(config.judge_command) if config.judge_command else model_judge(config)
    found = known_pairs(8 if config.quick else 100, config.seed)
    head("pairs of answers", "shown", "the right one chosen", "the first chosen", "the other way round in the other order")
    for name, right_adds, wrong_adds in (("as they are", "", ""), ("the right one longer", PADDING, ""),
                                         ("the wrong one longer", "", PADDING)):
        right = first = flipped = 0
        for row, good, bad in found:
            asked = {"instruction": row.turns[0].instruction, "input": row.turns[0].input}
            good, bad = good + right_adds, bad + wrong_adds
            verdicts = ask(asked | {"output_1": good, "output_2": bad}), ask(asked | {"output_1": bad, "output_2": good})
            right += (verdicts[0] == "1") + (verdicts[1] == "2")
            first += verdicts.count("1")
            flipped += verdicts[0] == verdicts[1]
        n = len(found)
        low, high = (100 * x for x in wilson(right, 2 * n))
        print(f"| {name} | {2 * n} | {right / (2 * n):.1%} ({low:.0f}-{high:.0f}) | {first / (2 * n):.1%} | {flipped / n:.1%} |")


EXPERIMENTS = {"seeds": seeds, "steps": steps, "mask": mask, "pairs": pairs, "families": families, "format": formats,
               "judge": judge}


@program
def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    real_model.flags(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="for seeds, mask and pairs")
    parser.add_argument("--families", nargs="+", help="which are left out, one at a time; all if not given")
    parser.add_argument("--judge-command", help="judge by a program: it reads a pair as JSON and prints 1 or 2")
    config = real_model.settle(parser.parse_args(argv))
    EXPERIMENTS[config.experiment](config)


if __name__ == "__main__":
    sys.exit(main())
