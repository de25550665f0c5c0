"""Measuring code of lesson 4: drawings of the mask, the shift and a batch, and models tuned with
four masks."""

import lab
import matplotlib.pyplot as plt
import torch

import world
from common.audit import show_mask
from data import IGNORE, collate
from generate import Sampling

READ, SUPERVISED, PADDING = "lightsteelblue", "seagreen", "whitesmoke"
MASKS = ("right", "off", "late", "early")
LABELS = ("right", "off\n(all supervised)", "late\n(first token not)", "early\n(eos not)")
N_PROMPT = 4  # tokens of the prompt in the drawing of the shift
METRICS = ("begins right", "exactly right", "stopped")
STEPS = 8 if lab.FAST else 50


# --------------------------------------------------------------------------------------------------
# Drawings


def draw_cells(ax, y: float, texts: list[str], colors: list[str], start: int = 0) -> None:
    """Draw a row of boxes with texts in them, from column `start` on."""
    for i, (text, color) in enumerate(zip(texts, colors), start):
        ax.add_patch(plt.Rectangle((i, y), 0.94, 0.7, facecolor=color, edgecolor="gray"))
        shade = "white" if color == SUPERVISED else "black"
        ax.text(i + 0.47, y + 0.35, text, ha="center", va="center", fontsize=8, color=shade)


def draw_shift(tokenizer, prompt: list[int], answer: list[int]) -> None:
    """Draw the end of one example: ids with their mask, and below them inputs and targets."""
    # the last tokens of the prompt, the answer and the eos
    ids = prompt[-N_PROMPT:] + answer
    tokens = [repr(tokenizer.decode([i]))[1:-1] for i in ids] + ["eos"]
    mask = [0] * N_PROMPT + [1] * (len(answer) + 1)

    # four rows of boxes
    colors = [SUPERVISED if supervised else READ for supervised in mask]
    figure, ax = plt.subplots(figsize=(9, 3.6))
    draw_cells(ax, 3, tokens, colors)
    draw_cells(ax, 2.25, [str(supervised) for supervised in mask], ["white"] * len(mask))
    draw_cells(ax, 1, tokens[:-1], [READ] * (len(tokens) - 1))
    targets = [token if supervised else "-100" for token, supervised in zip(tokens[1:], mask[1:])]
    shades = [SUPERVISED if supervised else "white" for supervised in mask[1:]]
    draw_cells(ax, 0, targets, shades)
    for i in range(len(tokens) - 1):
        arrow = {"arrowstyle": "-|>", "color": "gray"}
        ax.annotate("", (i + 0.47, 0.7), (i + 0.47, 1), arrowprops=arrow)
    for y, name in ((3, "ids"), (2.25, "mask"), (1, "inputs"), (0, "targets")):
        ax.text(-0.2, y + 0.35, name, ha="right", va="center")
    ax.set(xlim=(-1.6, len(tokens)), ylim=(-0.1, 3.9))
    ax.set_title("Each input predicts the next id. The mask moves with the targets")
    ax.axis("off")
    plt.show()


def draw_batch(examples: list, pad: int) -> None:
    """Draw what each position of a batch is: only read, supervised, or padding."""
    _, targets = collate(examples, pad)
    lengths = torch.tensor([len(ids) - 1 for ids, _ in examples])
    padding = torch.arange(targets.shape[1]) >= lengths[:, None]
    kind = (targets != IGNORE).long() + 2 * padding  # 0 read, 1 supervised, 2 padding
    colors = plt.matplotlib.colors.ListedColormap([READ, SUPERVISED, PADDING])
    plt.figure(figsize=(8, 3))
    plt.imshow(kind, cmap=colors, vmin=0, vmax=2, aspect="auto")
    for color, label in ((READ, "only read"), (SUPERVISED, "supervised"), (PADDING, "padding")):
        plt.plot([], [], "s", color=color, label=label, markeredgecolor="gray")
    plt.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    supervised = (targets != IGNORE).float().mean()
    plt.title(f"Twelve examples in one batch: {supervised:.0%} of the positions have a loss")
    plt.xlabel("position"), plt.ylabel("row")
    plt.show()


# --------------------------------------------------------------------------------------------------
# Four masks


def show_masks(tokenizer, example: tuple, masked) -> None:
    """Print one example under each mask, with supervised tokens in brackets."""
    ids, mask = example
    for how in MASKS:
        print(f"{how}:\n{show_mask(tokenizer, ids, masked(mask, how), color=False)}\n")


def run_masks(base, tokenizer, rows, examples, questions, masked) -> tuple[dict, dict]:
    """Tune with each mask and seed, and ask. masked(mask, how) changes a mask.

    Returns {(mask, metric): flags of every seed} and {mask: its replies, of the last seed}."""
    flags, replies = {}, {}
    for how in MASKS:
        variant = [(ids, masked(mask, how)) for ids, mask in examples]
        for seed in lab.SEEDS:
            assistant = lab.tune(base, tokenizer, rows, seed, STEPS, examples=variant)
            replies[how] = assistant.answers(questions, Sampling())
            each = {metric: [] for metric in METRICS}
            for row, (text, stopped) in zip(questions, replies[how]):
                answer = row.turns[0].output
                exact = stopped and world.check(row.task, answer, text)
                each["exactly right"].append(exact)
                each["begins right"].append(exact or text.strip().startswith(answer))
                each["stopped"].append(stopped)
            for metric in METRICS:
                flags.setdefault((how, metric), []).append(each[metric])
    return flags, replies


def show_table(flags: dict) -> dict:
    """Print and draw the results. Returns {(mask, metric): (mean, low, high)}."""
    table = {key: lab.bootstrap(values) for key, values in flags.items()}
    for metric in METRICS:
        for how in MASKS:
            mean, low, high = table[how, metric]
            seeds = [sum(values) for values in flags[how, metric]]
            n = len(flags[how, metric][0])
            interval = f"{mean:6.1%} ({low:.0%} to {high:.0%})"
            print(f"{metric:<14} {how:<6} {interval}  seeds: {seeds} of {n}")

    plt.figure(figsize=(7.5, 3.6))
    for offset, metric in zip((-0.26, 0, 0.26), METRICS):
        mean, low, high = zip(*(table[how, metric] for how in MASKS))
        below = [max(0, m - bound) for m, bound in zip(mean, low)]
        above = [max(0, bound - m) for m, bound in zip(mean, high)]
        at = [i + offset for i in range(len(MASKS))]
        plt.bar(at, mean, 0.24, yerr=[below, above], capsize=3, label=metric)
    plt.xticks(range(len(MASKS)), LABELS)
    plt.ylim(0, 1.08), plt.ylabel("fraction of held-out questions")
    plt.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    right = {how: table[how, "exactly right"][0] for how in MASKS}
    plt.title(f"One position decides: {right['right']:.0%} right, late {right['late']:.0%}, early"
              f" {right['early']:.0%}")
    plt.show()
    return table


def same_first_word(questions: list, replies: list) -> float:
    """Return the share of replies that begin with the first word of the right answer."""
    same = 0
    for row, (text, _) in zip(questions, replies):
        same += text.split()[:1] == row.turns[0].output.split()[:1]
    return same / len(questions)


def findings(flags: dict, questions: list, replies: dict) -> None:
    """Say what each wrong mask costs, and how the replies begin."""
    names = {"off": "supervising the prompts too", "late": "one position too late",
             "early": "one position too early"}
    for how, name in names.items():
        exact = [flags[mask, "exactly right"] for mask in ("right", how)]
        mean, low, high = lab.difference(*exact)
        numbers = f"({100 * low:.0f} to {100 * high:.0f})"
        lab.finding(
            low, high,
            rose=f"{name} costs {100 * mean:.0f} points {numbers} of exactly right answers.",
            fell=f"{name} gains {-100 * mean:.0f} points of exactly right answers here.",
            unclear=f"{name} makes no difference in exactly right answers that this run can show.",
        )
    late, right = (same_first_word(questions, replies[how]) for how in ("late", "right"))
    print(f"Found: with late {late:.0%} of the replies begin with the right word, with right"
          f" {right:.0%}.")


def show_errors(questions: list, replies: list, n: int = 10) -> None:
    """Print the first n replies that are not exactly right."""
    wrong = 0
    for row, (text, stopped) in zip(questions, replies):
        answer = row.turns[0].output
        if stopped and world.check(row.task, answer, text):
            continue
        wrong += 1
        if wrong <= n:
            print(f"asked   {row.turns[0].instruction}  {row.turns[0].input}".rstrip())
            print(f"reply   {text.strip()[:90]!r}{'' if stopped else ' ... did not stop'}")
            print(f"right   {answer!r}\n")
    print(f"{wrong} of {len(questions)} replies are not exactly right.")
