"""Pictures and measurements of lesson 0: the whole way in one drawing, and what tuning did."""

import json
import textwrap

import lab
import matplotlib.pyplot as plt

from data import encode, render
from generate import Sampling

# The drawing: boxes from left to right, and the step between each two.
BOXES = [
    ("text", "millions of words\n\nThe capital of\nFrance is Paris."),
    ("base model", "continues\n\nWhat is ...? ->\nmore questions"),
    ("tuned model", "answers, and stops\n\nWhat is ...? ->\nThe capital ..."),
    ("held-out check", "unseen questions,\na baseline,\nan interval"),
]
STEPS = [
    "pretraining:\nevery token\nhas a loss",
    "instruction\ntuning: the\nsame loop",
    "evaluation",
]
PAIRS = "pairs: instruction -> answer.\nOnly the answer has a loss (the mask)."
SAMPLED = 0.8  # temperature of the base; greedily it soon repeats itself


def draw_way() -> None:
    """Draw text -> base -> tuned model -> check, with the pairs that come in from below."""
    figure, ax = plt.subplots(figsize=(12, 3.6))
    style = {"boxstyle": "round,pad=0.5", "facecolor": "#eef3fb", "edgecolor": "C0"}
    for i, (title, body) in enumerate(BOXES):
        ax.text(3 * i, 0, body, ha="center", va="center", bbox=style, fontsize=10)
        ax.text(3 * i, 1.05, title, ha="center", va="bottom", fontsize=12, weight="bold")
    arrow = {"arrowstyle": "->", "color": "C1", "lw": 2}
    for i, text in enumerate(STEPS):
        ax.annotate("", (3 * i + 1.95, 0), (3 * i + 1.05, 0), arrowprops=arrow)
        ax.text(3 * i + 1.5, 0.2, text, ha="center", va="bottom", fontsize=9)
    ax.annotate("", (4.5, -0.1), (4.5, -1.0), arrowprops=arrow)
    ax.text(4.5, -1.05, PAIRS, ha="center", va="top", fontsize=10,
            bbox=style | {"facecolor": "#fff4e5", "edgecolor": "C1"})
    ax.set(xlim=(-1.3, 10.3), ylim=(-2.1, 1.6))
    ax.axis("off")
    ax.set_title("Text makes a model that continues. Pairs make it answer.")
    figure.tight_layout()
    plt.show()


def pick_questions(splits: dict) -> list:
    """Pick four held-out questions: a fact, two of unseen tasks, and a story. Returns rows."""
    rows = [row for split in splits.values() for row in split]
    tasks = ("capital", "young", "color", "story")
    return [next(row for row in rows if row.task == task) for task in tasks]


def print_side_by_side(base, tuned, questions: list) -> None:
    """Ask both models the same questions, rows, and print their answers. Marks wrong ones."""
    n_right = 0
    for row in questions:
        turn = row.turns[0]
        text, _ = base.ask(turn, temperature=SAMPLED, max_new_tokens=24)
        answer, stopped = tuned.ask(turn)
        (right,) = lab.right_flags([row], [(answer, stopped)])
        n_right += right
        base_line = textwrap.shorten(text, 90, placeholder="") + " ..."
        print(f"> {turn.instruction}")
        print(f"  base    {base_line}")
        wrong = "" if right else f"  (wrong: {turn.output})"
        print(f"  tuned   {answer}{'' if stopped else ' ...'}{wrong}\n")
    print(f"The tuned model answers {n_right} of these {len(questions)} questions right.")


def print_pair(row, tokenizer, block_size: int) -> None:
    """Print one pair as the model reads it, with = under each supervised token."""
    ids, mask, _ = encode(render(row.turns, "alpaca"), tokenizer, block_size)
    line = marks = ""
    for token, supervised in zip(ids, mask):
        text = tokenizer.decode([token])
        line += text.replace("\n", "")
        marks += ("=" if supervised else " ") * len(text.replace("\n", ""))
        if text.endswith("\n"):
            print_marked(line, marks)
            line = marks = ""
    print_marked(line, marks)
    print(f"\n{sum(mask)} of {len(mask)} tokens have a loss")


def print_marked(line: str, marks: str) -> None:
    print(("  " + line).rstrip())
    if marks.strip():
        print("  " + marks.rstrip())


def read_log() -> list[dict]:
    """Read the log of the main job's tuning, one entry a line."""
    path = lab.OUT / "log.jsonl"
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [entry for entry in entries if entry["stage"] == "tune"]


def loss_curve(log: list[dict]) -> tuple[list[int], list[float]]:
    """Return steps and losses of a log."""
    entries = [entry for entry in log if "loss" in entry]
    return [entry["step"] for entry in entries], [entry["loss"] for entry in entries]


def smooth(losses: list[float]) -> list[float]:
    """Average each loss with its neighbors, up to two on each side: a batch is a small sample."""
    windows = [losses[max(0, i - 2) : i + 3] for i in range(len(losses))]
    return [sum(window) / len(window) for window in windows]


def early_share(losses: list[float]) -> float:
    """Return the share of the fall of a loss that is in the first tenth of its steps."""
    smoothed = smooth(losses)
    early, end = smoothed[len(losses) // 10], sum(smoothed[-10:]) / 10
    return (losses[0] - early) / (losses[0] - end)


def plot_loss(log: list[dict]) -> None:
    """Draw the loss of tuning over its steps."""
    steps, losses = loss_curve(log)
    plt.figure(figsize=(7, 3))
    plt.plot(steps, losses, alpha=0.3, label="a batch")
    plt.plot(steps, smooth(losses), color="C0", label="average of neighbors")
    plt.legend()
    plt.title(f"The first tenth of the steps brings {early_share(losses):.0%} of the fall")
    plt.xlabel("step")
    plt.ylabel("loss (nats a token)")
    plt.ylim(bottom=0)
    plt.tight_layout()
    plt.show()


def describe_loss(log: list[dict]) -> None:
    """Print from where to where the loss fell."""
    steps, losses = loss_curve(log)
    end = sum(smooth(losses)[-10:]) / 10
    print(f"\nFound: the loss fell from {losses[0]:.2f} to about {end:.2f} nats a token in"
          f" {steps[-1]} steps, {early_share(losses):.0%} of it in the first tenth of them.")


def print_progress(log: list[dict]) -> None:
    """Print how the model answered one question during its tuning."""
    for entry in log:
        if "answer" in entry:
            answer = textwrap.shorten(entry["answer"], 70, placeholder="")
            end = "and stops" if entry["stopped"] else "..."
            print(f"step {entry['step']:>4}: {answer} {end}")


def held_out_scores(models: dict, splits: dict) -> dict:
    """Score each model on each split. Returns {(model, split): (share, low, high)}."""
    return {
        (name, split): lab.accuracy(assistant, rows, Sampling().max_new_tokens)
        for name, assistant in models.items()
        for split, rows in splits.items()
    }


def plot_scores(scores: dict, splits: dict) -> None:
    """Draw the tuned model's shares of right answers. The title compares them with the base's."""
    means, lows, highs = zip(*(scores["tuned", split] for split in splits))
    error = [[m - low for m, low in zip(means, lows)], [h - m for m, h in zip(means, highs)]]
    figure, ax = plt.subplots(figsize=(7.5, 3.2))
    bars = ax.bar([split.replace("_", " ") for split in splits], means, 0.5, yerr=error, capsize=3)
    ax.bar_label(bars, [f"{mean:.0%}" for mean in means], padding=3)
    best = max(share for (name, _), (share, *_) in scores.items() if name != "tuned")
    ax.set_title(f"Tuned: at least {min(means):.0%} right in each split."
                 f" Its base, with the template or without: at most {best:.0%}.", fontsize=11)
    ax.set(ylabel="right (95% interval)", ylim=(0, 1.15), yticks=[0, 0.5, 1])
    figure.tight_layout()
    plt.show()
