"""Measurements and pictures of lesson 5: tuning watched, token by token, over epochs."""

import copy

import matplotlib.pyplot as plt
import torch

import lab
import world
from data import IGNORE, Turn, collate, corpus_batch, encode_corpus, epoch_batches
from generate import Assistant, Sampling
from train_sft import adamw, train

LOOKS = 4  # times that we ask during a short tuning, after the look before it
NEW_PAGES = 0.003  # of a corpus, about 130 pages
GROUPS = ("first", "name", "is", "value", "eos")
Curve = list[dict]  # one entry an epoch, 0 before tuning


def watch_tuning(base, tokenizer, examples, held_out, steps: int, seed: int):
    """Tune a copy and ask the held-out questions on the way.

    Returns the Assistant and [(step, flags right, share stopped), ...]."""
    assistant = Assistant(copy.deepcopy(base), tokenizer, "alpaca")
    batches = epoch_batches(examples, 32, seed)
    looks = []

    def look(step):
        answers = assistant.answers(held_out, Sampling())
        looks.append((step, right_flags(held_out, answers), mean([s for _, s in answers])))

    def on_step(done, steps, loss, tokens):
        if done % (steps // LOOKS) == 0:
            look(done)

    look(0)
    batch_at = lambda step: collate(batches[step], tokenizer.eos_id)  # noqa: E731
    optimizers = [adamw(assistant.model.parameters(), 8e-4)]
    train(assistant.model, batch_at, steps, optimizers, on_step=on_step)
    return assistant, looks


def right_flags(rows, answers) -> list[bool]:
    """Judge answers, (text, stopped by itself) each. Right: the statement alone, and stopped."""
    flags = []
    for row, (text, stopped) in zip(rows, answers):
        flags.append(stopped and world.check(row.task, row.turns[0].output, text))
    return flags


def mean(values) -> float:
    return sum(values) / len(values)


def plot_watch(curves) -> None:
    """Draw right and stopped over the steps, one line a seed."""
    for looks in curves:
        steps = [step for step, _, _ in looks]
        plt.plot(steps, [mean(flags) for _, flags, _ in looks], "o-", color="C0", alpha=0.7)
        plt.plot(steps, [stopped for _, _, stopped in looks], "--", color="C1", alpha=0.7)
    plt.plot([], [], "o-", color="C0", label="answered exactly right")
    plt.plot([], [], "--", color="C1", label="stopped by itself")
    last = mean([mean(looks[-1][1]) for looks in curves])
    plt.title(f"After {curves[0][-1][0]} steps: {last:.0%} of held-out questions right")
    plt.xlabel("tuning steps, 32 pairs each")
    plt.ylabel("share of held-out questions")
    plt.ylim(-0.03, 1.03)
    plt.legend()
    plt.show()


# --------------------------------------------------------------------------------------------------
# Which tokens changed


def statement_rows(rows) -> list:
    """Keep the rows whose answer is a name, "is" and a value: "The capital of Peru is Lima." """
    kept = []
    for row in rows:
        text = row.turns[0].output
        if text == " ".join(lab.statement_of(row)) and world.LIST_PREFIX not in text:
            kept.append(row)
    return kept


def group_logps(model, tokenizer, rows, answer_logprobs) -> torch.Tensor:
    """Average log p over the tokens of each group in GROUPS. Returns (5,)."""
    is_token = tokenizer.encode("x is")[-1]
    assistant = Assistant(model, tokenizer, "alpaca")
    logps = {group: [] for group in GROUPS}
    for row in rows:
        question = row.turns[0]
        answer = tokenizer.encode(question.output) + [tokenizer.eos_id]
        at = answer.index(is_token)
        groups = ["first"] + ["name"] * (at - 1) + ["is"]
        groups += ["value"] * (len(answer) - at - 2) + ["eos"]
        prompt = assistant.prompt([Turn(question.instruction, question.input)])
        for group, logp in zip(groups, answer_logprobs(model, prompt, answer)):
            logps[group].append(logp)
    return torch.tensor([mean(values) for values in logps.values()])


def plot_groups(base, tuned) -> None:
    """Draw the (geometric) mean probability of each group, before and after."""
    x = torch.arange(len(GROUPS))
    plt.figure(figsize=(8, 3.4))
    plt.bar(x - 0.2, base.exp(), 0.4, label="base, with the template")
    plt.bar(x + 0.2, tuned.exp(), 0.4, label="tuned")
    plt.xticks(x, ("first token", "rest of the name", "is", "value", "eos"))
    gains = tuned - base
    most, least = GROUPS[gains.argmax()], GROUPS[gains.argmin()]
    plt.title(f"log p gains most at: {most}. It gains least at: {least}.")
    plt.ylabel("p of the right token")
    plt.ylim(0, 1.25)
    plt.legend(loc="upper right", ncols=2)
    plt.show()


# --------------------------------------------------------------------------------------------------
# Epochs and learning rates


def new_pages(tokenizer) -> torch.Tensor:
    """Write pages of the same kinds as the base's corpus, which it has not read. Returns one
    stream of ids."""
    pages = world.build(lab.world_seed() + 1, size=NEW_PAGES).corpus
    return encode_corpus(tokenizer, pages)


@torch.inference_mode()
def loss_on_pages(model, stream, seq_len: int = 128) -> float:
    """Compute the mean loss on text, in nats a token. Its rise is the forgetting."""
    batch_size = (len(stream) - 1) // seq_len
    inputs, targets = corpus_batch(stream, 0, batch_size, seq_len)  # (B, T) each
    return model(inputs, targets).item() / targets.numel()


@torch.inference_mode()
def loss_on_answers(model, examples, eos_id: int) -> float:
    """Compute the mean loss over the supervised tokens of examples."""
    total = n = 0
    for start in range(0, len(examples), 32):
        inputs, targets = collate(examples[start : start + 32], eos_id)  # (B, T) each
        total += model(inputs, targets).item()
        n += (targets != IGNORE).sum().item()
    return total / n


def epoch_curve(base, tokenizer, examples, held_out, held_examples, pages, lr, epochs,
                sft_step, tune_loop) -> Curve:  # fmt: skip
    """Tune a copy at one rate with the learner's step and loop. Returns one entry an epoch."""
    model = copy.deepcopy(base)
    optimizer = adamw(model.parameters(), lr)
    assistant = Assistant(model, tokenizer, "alpaca")
    curve = []

    def look(epoch, train_loss=None):
        curve.append({
            "epoch": epoch,
            "train loss": train_loss,
            "held-out loss": loss_on_answers(model, held_examples, tokenizer.eos_id),
            "held-out accuracy": lab.accuracy(assistant, held_out)[0],
            "loss on new pages": loss_on_pages(model, pages),
        })

    look(0)
    step = lambda inputs, targets: sft_step(model, optimizer, inputs, targets)  # noqa: E731
    tune_loop(step, examples, epochs, 32, tokenizer.eos_id, look)
    return curve


def best_epoch(curve: Curve) -> int:
    """Return the epoch with the lowest held-out loss."""
    return min(curve, key=lambda entry: entry["held-out loss"])["epoch"]


def print_curves(curves: dict[float, Curve]) -> None:
    """Print one line a rate and epoch, then what was found for each rate."""
    columns = ("train loss", "held-out loss", "held-out accuracy", "loss on new pages")
    print(f"{'rate':>7} epoch" + "".join(f"{name:>20}" for name in columns))
    for lr, curve in curves.items():
        for entry in curve:
            train_loss = entry["train loss"]
            first = "" if train_loss is None else f"{train_loss:.3f}"
            print(f"{lr:>7g} {entry['epoch']:>5}{first:>20}{entry['held-out loss']:>20.3f}"
                  f"{entry['held-out accuracy']:>20.0%}{entry['loss on new pages']:>20.2f}")
    print()
    for lr, curve in curves.items():
        print(f"Found: rate {lr:g}: {describe(curve)}")


def describe(curve: Curve) -> str:
    """Say in a sentence what the losses of one rate did."""
    best, last = best_epoch(curve), curve[-1]["epoch"]
    forgotten = curve[-1]["loss on new pages"] - curve[0]["loss on new pages"]
    cost = f"The loss on new pages rose by {forgotten:.2f} nats."
    if best == last:
        return f"held-out loss was still falling after epoch {last}, so no overfitting yet. {cost}"
    rise = curve[-1]["held-out loss"] - curve[best]["held-out loss"]
    if curve[-1]["train loss"] >= curve[best or 1]["train loss"]:
        return f"neither loss fell after epoch {best}: the rate is too high. {cost}"
    return (f"held-out loss was lowest after epoch {best} and {rise:.3f} higher at the end, while"
            f" train loss went on falling: overfitting, so stop after epoch {best}. {cost}")


def plot_curves(curves: dict[float, Curve]) -> None:
    """Draw losses, accuracy and forgetting over the epochs, one color a rate."""
    best = min((min(e["held-out loss"] for e in c), lr) for lr, c in curves.items())[1]
    panels = {
        "loss on pairs": "train (dashed) against held-out loss",
        "held-out accuracy": f"the lowest held-out loss: rate {best:g}",
        "loss on new pages": "a higher rate forgets more" if forgets_more(curves)
        else "forgetting, by rate",
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6))
    for ax, (name, title) in zip(axes, panels.items()):
        for i, (lr, curve) in enumerate(curves.items()):
            epochs = [entry["epoch"] for entry in curve]
            key = "held-out loss" if name == "loss on pairs" else name
            ax.plot(epochs, [e[key] for e in curve], "o-", color=f"C{i}", label=f"rate {lr:g}")
            if name == "loss on pairs":
                ax.plot(epochs[1:], [e["train loss"] for e in curve[1:]], "--", color=f"C{i}")
        ax.set(title=title, xlabel="epoch", ylabel=name, xticks=epochs)
        ax.set_ylim(bottom=0)
    axes[0].legend()
    figure.tight_layout()
    plt.show()


def forgets_more(curves: dict[float, Curve]) -> bool:
    """Does the loss on new pages at the end rise with the rate?"""
    ends = [curve[-1]["loss on new pages"] for _, curve in sorted(curves.items())]
    return ends == sorted(ends)


# --------------------------------------------------------------------------------------------------
# Without the eos


def count_answers(assistants, held_out) -> list:
    """Return (mean, low, high) over seeds and questions of: stopped, exactly right, begins right.
    """
    stopped_table, right_table, begins_table = [], [], []
    for assistant in assistants:
        answers = assistant.answers(held_out, Sampling())
        right = right_flags(held_out, answers)
        begins = []
        for row, (text, _), good in zip(held_out, answers, right):
            begins.append(good or text.strip().startswith(row.turns[0].output))
        stopped_table.append([stopped for _, stopped in answers])
        right_table.append(right)
        begins_table.append(begins)
    return [lab.bootstrap(table) for table in (stopped_table, right_table, begins_table)]
