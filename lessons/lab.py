"""Shared by all lessons: the base model, one line that tunes it, scores with intervals, predictions
and claims.

It calls the project's own functions, so that a lesson's cells can be about one idea. With FAST=1 in
the environment everything is small (one seed, few questions). Claims mean nothing then.
"""

import copy
import functools
import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path

import torch

folders = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
ROOT = next(folder for folder in folders if (folder / "train_sft.py").exists())
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "lessons")) if path not in sys.path]

import train_sft  # noqa: E402
import world  # noqa: E402
from common.checkpoint import build_model, load_checkpoint  # noqa: E402
from common.lora import add_lora  # noqa: E402
from common.speed import tune_malloc  # noqa: E402
from common.table import score, wilson  # noqa: E402
from data import Row, Tokenizer, Turn, encode, prepare, render  # noqa: E402
from generate import Assistant, Sampling, load_assistant  # noqa: E402
from model import GPT  # noqa: E402

FAST = os.environ.get("FAST") == "1"
SEEDS = range(1 if FAST else 3)
SPLITS = ("unseen_inputs", "unseen_phrasings", "unseen_tasks")
OPEN_TASKS = ("story", "poem", "sentence", "three")  # more than one answer is right
REPLAY = 0.3  # documents for each pair, as in the main job
OUT = Path(os.environ.get("LESSON_OUT", ROOT / "out"))  # the folder of the main job's base.pt
MIN_FAST_ROWS = 8
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
torch.set_flush_denormal(True)
tune_malloc()

# --------------------------------------------------------------------------------------------------
# The base and its world


def model_path(name: str) -> Path:
    """Find a model of the main job."""
    path = OUT / name
    remedy = "Run `python train_sft.py` once (minutes), then this lesson again."
    assert path.exists(), f"{path} does not exist. {remedy}"
    return path


def load_base() -> tuple[GPT, Tokenizer]:
    """Load the main job's base model and its tokenizer. Returns a new copy at every call."""
    path = model_path("base.pt")
    checkpoint = load_checkpoint(path)
    tokenizer = Tokenizer.from_state(checkpoint["tokenizer"])
    return build_model(checkpoint, path).eval(), tokenizer


def load_tuned() -> Assistant:
    """Load the main job's tuned model."""
    return load_assistant(model_path("tuned.pt"))


def world_seed() -> int:
    """Read the seed of the world that the base has read."""
    return load_checkpoint(OUT / "base.pt")["trained_on"]["seed"]


def world_rows(pairs: list[dict]) -> list[Row]:
    """Convert the world's pairs to rows that the world judges."""
    return judged([Row.from_dict(pair) for pair in pairs])


def load_world(hold_out=world.HELD_OUT) -> tuple[list[Row], dict[str, list[Row]]]:
    """Build the base's world. Returns the rows to tune on and {split: held-out rows}."""
    built = world.build(world_seed(), hold_out, size=0)
    return world_rows(built.pairs), {name: world_rows(built.splits[name]) for name in SPLITS}


@functools.cache
def documents() -> list[str]:
    """Return some documents of the base's corpus, for replay in tuning."""
    return world.build(world_seed(), size=0.02 if FAST else 0.2).corpus


def statement_of(row: Row) -> tuple[str, str]:
    """Split a held-out row's answer, as a statement, before its value.

    "People in Peru speak Spanish." -> ("The language of Peru is", "Spanish.")"""
    task = world.TASKS[row.task]
    answer = row.turns[0].output

    # of the ways to state the answer, prefer the one that begins with the task's noun
    begins = (world.LIST_PREFIX, world.upper_first(task.noun.partition("{x}")[0]))
    texts = [answer, *sorted(world.restate(row.task, answer))]
    text = next((text for text in texts if text.startswith(begins)), answer)

    start, link, value = text.partition(": ") if task.prefix else text.rpartition(" is ")
    return start + link.rstrip(), value


def prompt_ids(tokenizer: Tokenizer, template: str, instruction: str, input: str = "") -> list[int]:
    """Tokenize a question in a template, up to the beginning of the answer."""
    return encode(render([Turn(instruction, input)], template), tokenizer, block_size=10_000)[0]


def subset(rows: list, n: int, seed: int = 0) -> list:
    """Pick n of the rows, the same at every call and in order. With FAST, pick a quarter."""
    n = max(MIN_FAST_ROWS, n // 4) if FAST else n
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    return [rows[i] for i in sorted(order[:n])]


def spread(items: list, n: int) -> list:
    """Pick n of the items, at even distances."""
    return items[:: max(1, len(items) // n)][:n]


# --------------------------------------------------------------------------------------------------
# Tuning


def tune(
    base: GPT,
    tokenizer: Tokenizer,
    rows: list[Row],
    seed: int = 0,
    steps: int | None = None,
    lr: float = 8e-4,
    batch: int = 32,
    template: str = "alpaca",
    lora: int = 0,
    examples: list | None = None,
) -> Assistant:
    """Tune a copy of the base. Returns an Assistant.

    Without `steps` it makes one pass over the rows and over replayed documents; the main job makes
    one and a half, in batches of 16. Unlike the main job, it trains the embeddings too. With
    `steps` it takes that many batches of the rows, without replay. `lora` is a rank. `examples`,
    [(ids, mask), ...], are used instead of the rows if a lesson makes its own."""
    model = copy.deepcopy(base)
    if lora:
        add_lora(model, lora, 2 * lora, seed=seed)

    # tokenize the rows
    block = model.config.block_size
    if not examples:
        examples = prepare(rows, tokenizer, template, block)[0]
        if not steps:
            examples += replayed(int(REPLAY * len(rows)), tokenizer, block, seed)

    # one step for each batch, rounded up
    steps = steps or -(-len(examples) // batch)
    optimizers = [train_sft.adamw(model.parameters(), lr)]
    train_sft.tune(model, examples, steps, optimizers, batch, seed, tokenizer.eos_id)
    return Assistant(model, tokenizer, template)


def replayed(n: int, tokenizer: Tokenizer, block: int, seed: int) -> list:
    """Draw documents of the corpus as examples (ids, mask). Every token is supervised."""
    drawn = random.Random(seed).sample(documents(), min(n, len(documents())))
    examples = []
    for text in drawn:
        ids = [tokenizer.start_id, *tokenizer.encode(text), tokenizer.eos_id][: block + 1]
        examples.append((ids, [1] * len(ids)))
    return examples


# --------------------------------------------------------------------------------------------------
# Asking and measuring


def ask(assistant: Assistant, instruction: str, input: str = "", max_new: int = 48) -> str:
    """Ask one question. The answer ends in " ..." if the model did not stop by itself."""
    rows = [Row((Turn(instruction, input),))]
    text, stopped = assistant.answers(rows, Sampling(max_new_tokens=max_new))[0]
    return text.strip() + ("" if stopped else " ...")


def judged(rows: list[Row]) -> list[Row]:
    """Let the world judge these rows, also those that a lesson made itself."""
    return [replace(row, check={"world": row.task}) for row in rows]


def accuracy(assistant: Assistant, rows: list[Row], max_new: int = 48) -> tuple:
    """Measure the share of exactly right answers. Returns (share, low, high), with its 95% Wilson
    interval."""
    scores = score(assistant, judged(rows), Sampling(max_new_tokens=max_new))
    return scores["correct"] / scores["n"], *scores["interval"]


def right_flags(rows: list[Row], answers: list[tuple[str, bool]]) -> list[bool]:
    """Judge answers to the last turns. Right is the statement alone, and the model stopped."""
    flags = []
    for row, (text, stopped) in zip(rows, answers):
        flags.append(stopped and world.check(row.task, row.turns[-1].output, text))
    return flags


def correct_flags(assistant: Assistant, rows: list[Row], max_new: int = 48) -> list[bool]:
    """Say for each row whether the answer is exactly right and the model stopped."""
    scores = score(assistant, judged(rows), Sampling(max_new_tokens=max_new))
    return [correct for _, _, correct in scores["answers"]]


def show_share(interval: tuple[float, float, float]) -> str:
    """Format (share, low, high): (0.5, 0.4, 0.6) -> "50% (40% to 60%)"."""
    return "{:.0%} ({:.0%} to {:.0%})".format(*interval)


def bootstrap(table: list, draws: int = 1000, least: float = 0.0) -> tuple[float, float, float]:
    """Average table[seed][question]. Returns (mean, low, high), a 95% percentile interval.

    Each draw takes seeds, and for each the same number of questions, with replacement (Efron &
    Tibshirani 1993). So the interval contains the spread of both. If all flags agree, draws do,
    too, so we take the width of Wilson's interval. No number is below `least` or above 1."""
    table = torch.tensor(table, dtype=torch.float)  # (S, Q)
    n_seeds, n_questions = table.shape
    mean = table.mean().item()
    if table.min() == table.max() and abs(mean) in (0, 1):
        width = wilson(0, n_questions)[1]
        return mean, max(least, mean - width), min(1.0, mean + width)

    generator = torch.Generator().manual_seed(0)
    questions = torch.randint(n_questions, (draws, n_questions), generator=generator)
    seeds = torch.randint(n_seeds, (draws, n_seeds), generator=generator)
    samples = table[seeds[:, :, None], questions[:, None, :]]  # (draws, S, Q)
    means = samples.mean((1, 2))  # (draws,)
    return mean, *means.quantile(torch.tensor([0.025, 0.975])).tolist()


def difference(first: list, second: list) -> tuple[float, float, float]:
    """Average first[seed][question] - second[seed][question]. Returns (mean, low, high), as
    `bootstrap` does. The two were asked the same questions, so chance counts once."""
    table = []
    for ours, theirs in zip(first, second):
        table.append([float(a) - float(b) for a, b in zip(ours, theirs)])
    return bootstrap(table, least=-1.0)


# --------------------------------------------------------------------------------------------------
# Predictions and claims

predictions = {}  # name -> {"guess": the learner's number, "measured": the result}


def predict(name: str, guess=...) -> None:
    """Record a guess, a number between 0 and 1, before the measurement."""
    predictions.pop(name, None)
    if guess is ... or guess is None:  # not filled in
        return
    is_share = isinstance(guess, (int, float)) and 0 <= guess <= 1
    assert is_share, f"{guess!r}: write a number between 0 and 1, 40% as 0.4"
    predictions[name] = {"guess": guess}
    save_predictions()
    print(f"{name}: you predict {guess:.0%}")


def compare(name: str, value: float) -> None:
    """Print a result beside the prediction of the same name."""
    prediction = predictions.get(name)
    if prediction is None:
        print(f"{name}: {value:.0%}")
        return
    prediction["measured"] = round(value, 4)
    save_predictions()
    guess = prediction["guess"]
    points = round(100 * (guess - value))
    distance = "exactly right"
    if points:
        direction = "high" if points > 0 else "low"
        distance = f"your prediction was {abs(points)} points too {direction}"
    print(f"{name}: predicted {guess:.0%}, measured {value:.0%}: {distance}")


def save_predictions() -> None:
    """Save the predictions beside the base, among those of the other lessons."""
    path = OUT / "predictions.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(stored | predictions, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def finding(low: float, high: float, rose: str, fell: str, unclear: str) -> None:
    """Say what was found: one of three sentences, by the 95% interval of a difference."""
    print("Found: " + (rose if low > 0 else fell if high < 0 else unclear))


claims = []  # (text, holds), in the order of this process; lessons/teaching/claims.py reads it
UNLUCKY = "chance: another base or few questions can do this. Look at the intervals above."


def claim(text: str, holds: bool, otherwise: str = UNLUCKY) -> None:
    """Check and record a lesson's claim.

    If it doesn't hold, this prints a possible reason and the notebook goes on, since a base can be
    unlucky. With CLAIMS=strict in the environment it raises an AssertionError instead."""
    claims.append((text, bool(holds)))
    print(("This run agrees: " if holds else "THIS RUN DISAGREES: ") + text)
    if not holds:
        reason = "with FAST there is too little data to judge." if FAST else otherwise
        print(f"  Why it may be: {reason}")
        strict = os.environ.get("CLAIMS") == "strict" and not FAST
        assert not strict, f"the claim did not hold: {text}"
