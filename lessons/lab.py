"""What every lesson needs: the base model, one line that tunes it, scores with intervals, predictions, claims.

Nothing here is new: it calls the project's own functions, so that a lesson's cells can be about one idea. With FAST=1
in the environment everything is small (one seed, few questions), so what a claim says then is no verdict.
"""

import copy
import functools
import json
import os
import random
import sys
from pathlib import Path

import torch

places = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
ROOT = next(place for place in places if (place / "train_sft.py").exists())
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "lessons")) if path not in sys.path]

import train_sft  # noqa: E402
import world  # noqa: E402
from data import Row, Tokenizer, Turn, encode, prepare, render  # noqa: E402
from common.checkpoint import build_model, load_checkpoint  # noqa: E402
from common.speed import tune_malloc  # noqa: E402
from common.table import score  # noqa: E402
from generate import Assistant, Sampling  # noqa: E402
from model import add_lora  # noqa: E402

FAST = os.environ.get("FAST") == "1"
SEEDS = range(1 if FAST else 3)
SPLITS = ("unseen_inputs", "unseen_phrasings", "unseen_tasks")  # the main job also asks unseen tasks in unseen words
OUT = Path(os.environ.get("LESSON_OUT", ROOT / "out"))  # where the main job left base.pt
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
torch.set_flush_denormal(True)
tune_malloc()


def load_base():
    """(model, tokenizer) of the main job. A fresh copy at every call."""
    path = OUT / "base.pt"
    assert path.exists(), f"{path} is not there. Run `python train_sft.py` once (minutes), then this lesson again."
    saved = load_checkpoint(path)
    return build_model(saved, path).eval(), Tokenizer.from_state(saved["tokenizer"])


def load_world(**kwargs):
    """(rows to tune on, {split: held-out rows}) of the world that the base has read."""
    built = world.build(world_seed(), size=0, **kwargs)
    return world_rows(built.pairs), {name: world_rows(built.splits[name]) for name in SPLITS}


def world_seed():
    return load_checkpoint(OUT / "base.pt")["trained_on"]["seed"]


@functools.cache
def pages():
    """Some pages of the base's prose, to be replayed in tuning."""
    return world.build(world_seed(), size=0.1).corpus


def world_rows(pairs):
    return [Row.from_dict(pair) for pair in pairs]


def statement_of(row):
    """A held-out row -> its answer as a statement in two parts: 'People in Peru speak Spanish.' -> ('The language of
    Peru is', 'Spanish.')"""
    task, answer = world.TASKS[row.task], row.turns[0].output
    begins = (world.HERE, world.capitalize(task.noun.partition("{x}")[0]))
    tellings = [answer, *world.other_tellings(task, answer)]
    said = next((text for text in tellings if text.startswith(begins)), answer)
    start, between, value = said.partition(": ") if task.start else said.rpartition(" is ")
    return start + between.rstrip(), value


def prompt_ids(tokenizer, template, instruction, input=""):
    """The ids of a question in a template, up to where the answer begins."""
    return encode(render([Turn(instruction, input)], template), tokenizer, block_size=10_000)[0]


def tune(base, tokenizer, rows, seed=0, steps=None, lr=8e-4, batch=32, template="alpaca", lora=0, examples=None):
    """A copy of the base, tuned -> Assistant. One pass over the rows much as in the main job: the world's practice first,
    some pages of prose replayed throughout (half as many, and here the table of tokens is tuned too). With `steps`, so
    many batches of the rows as they are. lora: a rank.

    `examples`, [(ids, mask), ...], takes the place of rows where a lesson makes its own."""
    model, first = copy.deepcopy(base), []
    if lora:
        add_lora(model, lora, 2 * lora, seed=seed)
    block = model.config.block_size
    if not examples and not steps:
        kinds = [[row for row in rows if (row.task in world.PRACTICE) == wanted] for wanted in (True, False)]
        rng = random.Random(seed)
        first, examples = (
            prepare(some, tokenizer, template, block)[0]
            + train_sft.replayed(pages(), tokenizer, len(some) * 3 // 10, block, rng)
            for some in kinds
        )
    examples = examples or prepare(rows, tokenizer, template, block)[0]
    steps = steps or -(-len(first) // batch) - (-len(examples) // batch)
    train_sft.tune(
        model, examples, steps, [train_sft.adamw(model.parameters(), lr)], batch, seed, tokenizer.eos_id, first=first
    )
    return Assistant(model, tokenizer, template)


def some(rows, n, seed=0):
    """n of the rows (all in order if there are fewer), the same at every call; a quarter of that when FAST."""
    n = max(8, n // 4) if FAST else n
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    return [rows[i] for i in sorted(order[:n])]


def right(assistant, rows, max_new=48):
    """(share answered exactly right, low, high) with its 95 % Wilson interval."""
    found = score(assistant, rows, Sampling(max_new_tokens=max_new))
    return found["correct"] / found["n"], *found["interval"]


def marks(assistant, rows, max_new=48):
    """One bool for each row: answered exactly right, and stopped?"""
    return [right for _, _, right in score(assistant, rows, Sampling(max_new_tokens=max_new))["answers"]]


def bootstrap(table, draws=1000):
    """Shares over seeds and questions, table[seed][question] -> (mean, low, high), a 95 % percentile interval.

    Each draw takes seeds, and of each the same questions, with replacement (Efron & Tibshirani 1993): a question that
    all seeds get wrong, or a seed that is bad at all, moves it as a whole, as it should."""
    table = torch.tensor(table, dtype=torch.float)  # (S, Q)
    generator = torch.Generator().manual_seed(0)
    questions = torch.randint(table.shape[1], (draws, table.shape[1]), generator=generator)
    seeds = torch.randint(len(table), (draws, len(table)), generator=generator)
    means = torch.stack([table[s][:, q].mean() for s, q in zip(seeds, questions)])
    return table.mean().item(), *means.quantile(torch.tensor([0.025, 0.975])).tolist()


def ask(assistant, instruction, input="", max_new=48):
    """What the Assistant says, with " ..." where it did not stop by itself."""
    rows = [Row((Turn(instruction, input),))]
    text, stopped = assistant.answers(rows, Sampling(max_new_tokens=max_new))[0]
    return text.strip() + ("" if stopped else " ...")


predictions = {}  # name -> {"guess": what the learner wrote, "measured": what came}


def predict(name, guess=...):
    """Write down a guess, a number between 0 and 1, before the measurement. Left at `...` there is none."""
    predictions.pop(name, None)
    if guess is ... or guess is None:
        print(f"{name}: no prediction yet. Put a number between 0 and 1 in the place of the dots.")
        return
    assert isinstance(guess, (int, float)) and 0 <= guess <= 1, f"{guess!r}: write a number between 0 and 1, 40 % as 0.4"
    predictions[name] = {"guess": guess}
    keep_predictions()
    print(f"{name}: you predict {guess:.0%}")


def compare(name, value):
    """The result beside the prediction of that name, with the distance."""
    said = predictions.get(name)
    if said is None:
        print(f"{name}: measured {value:.0%}, no prediction was written")
        return
    said["measured"] = round(value, 4)
    keep_predictions()
    points = round(100 * (said["guess"] - value))
    distance = "just so" if not points else f"your prediction was {abs(points)} points too {'high' if points > 0 else 'low'}"
    print(f"{name}: predicted {said['guess']:.0%}, measured {value:.0%}: {distance}")


def keep_predictions():
    """Beside the base, for the learner to look back at: those of the other lessons stay as they are."""
    path = OUT / "predictions.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept | predictions, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


claims = []  # (text, holds) of this process, for lessons/teaching/claims.py
UNLUCKY = "a base of another seed, or few questions, can do this; look at the intervals printed above."


def claim(text, holds, otherwise=UNLUCKY):
    """A lesson's claim, checked and recorded. One that does not hold says so and what to look at, and the notebook goes
    on: a base can be unlucky. With CLAIMS=strict in the environment it stops instead."""
    claims.append((text, bool(holds)))
    print(("This run agrees: " if holds else "THIS RUN DISAGREES: ") + text)
    if not holds:
        print("  Why it may be: " + ("with FAST there is too little data to judge." if FAST else otherwise))
        strict = os.environ.get("CLAIMS") == "strict" and not FAST
        assert not strict, f"the claim did not hold: {text}"
