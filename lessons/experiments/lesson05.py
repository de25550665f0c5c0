"""Measurements and pictures of lesson 5: tuning watched, token by token, over epochs."""

import copy

import lab
import matplotlib.pyplot as plt
import torch

import world
from data import IGNORE, Turn, collate, corpus_batch, encode_corpus, epoch_batches, prepare
from generate import Assistant, Sampling
from train_sft import adamw, train

QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
MEASURES = ("stopped by itself", "exactly right", "begins with the right answer")
LOOKS = 4  # times that we ask during a short tuning, after the look before it
NEW_PAGES = 0.001 if lab.FAST else 0.003  # of a corpus, 0.003 are about 130 pages
GROUPS = ("first", "name", "is", "value", "eos")
Curve = list[dict]  # one entry an epoch, 0 before tuning


def print_targets(tokenizer, inputs, targets) -> None:
    """Print the tokens of one row, (1, T) each, beside the token that each should predict."""
    for token, target in zip(inputs[0].tolist(), targets[0].tolist()):
        label = "IGNORE" if target == IGNORE else repr(tokenizer.decode([target]))
        print(f"{tokenizer.decode([token])!r:>18} -> {label}")


def watch_tuning(base, tokenizer, examples, held_out, steps: int, seed: int):
    """Tune a copy and ask the held-out questions on the way.

    Returns the Assistant and [(step, flags right, share stopped), ...]."""
    assistant = Assistant(copy.deepcopy(base), tokenizer, "alpaca")
    batches = epoch_batches(examples, 32, seed)
    looks = []

    def look(step):
        answers = assistant.answers(held_out, Sampling())
        looks.append((step, lab.right_flags(held_out, answers), mean([s for _, s in answers])))

    def on_step(done, steps, loss, tokens):
        if done % (steps // LOOKS) == 0:
            look(done)

    look(0)
    batch_at = lambda step: collate(batches[step], tokenizer.eos_id)  # noqa: E731
    optimizers = [adamw(assistant.model.parameters(), 8e-4)]
    train(assistant.model, batch_at, steps, optimizers, on_step=on_step)
    return assistant, looks


def mean(values) -> float:
    return sum(values) / len(values)


def describe_watch(curves) -> list[tuple]:
    """Print what the looks of all seeds found. Returns (mean, low, high) of right answers before
    tuning, at the first look and at the last."""
    shares = [lab.bootstrap(tables) for tables in zip(*[[f for _, f, _ in c] for c in curves])]
    for i, (step, _, _) in enumerate(curves[0]):
        stopped = mean([looks[i][2] for looks in curves])
        right = shares[i][0]
        print(f"step {step:>3}: exactly right {right:6.1%}, stopped by itself {stopped:6.1%}")
    before, after = shares[0], shares[-1]
    print()
    lab.finding(
        after[1] - before[2], after[2] - before[1],
        rose=f"{32 * step} pairs turn a base that answers {before[0]:.0%} into a model that answers"
        f" {after[0]:.0%} of the held-out questions.",
        fell="tuning took answers away.",
        unclear="so few steps change too little to tell.",
    )
    return [before, shares[1], after]


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


def print_logps(base, tuned, answer_logprobs) -> None:
    """Print log p of each token of one right answer under both models."""
    tokenizer = tuned.tokenizer
    prompt = tuned.prompt([Turn(QUESTION)])
    answer = tokenizer.encode(ANSWER) + [tokenizer.eos_id]
    columns = [answer_logprobs(model, prompt, answer) for model in (base, tuned.model)]
    print("log p of          base    tuned")
    for token, base_logp, tuned_logp in zip(answer, *columns):
        text = "eos" if token == tokenizer.eos_id else repr(tokenizer.decode([token]))
        print(f"{text:>12} {base_logp:9.2f} {tuned_logp:8.2f}")


def compare_groups(base, tuned: list, tokenizer, held_out, answer_logprobs) -> dict[str, float]:
    """Print and draw log p of each group before and after. Returns the gains of the groups."""
    rows = statement_rows(held_out)
    models = [base] + [assistant.model for assistant in tuned]
    logps = [group_logps(model, tokenizer, rows, answer_logprobs) for model in models]
    before, after = logps[0], sum(logps[1:]) / len(tuned)
    gains = dict(zip(GROUPS, (after - before).tolist()))
    for group, old, new in zip(GROUPS, before, after):
        print(f"{group:<6} log p {old:6.2f} -> {new:6.2f}   gain {gains[group]:5.2f} nats")
    ranked = sorted(gains, key=gains.get, reverse=True)
    print(f"\nFound: over {len(rows)} answers the gain is largest for: {ranked[0]}, then"
          f" {ranked[1]}. It is smallest for: {ranked[-1]}.")
    plot_groups(before, after)
    return gains


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


class Measure:
    """Tune copies of a base on some rows, and measure each epoch."""

    def __init__(self, base, tokenizer, rows, held_out):
        self.base, self.tokenizer, self.held_out = base, tokenizer, held_out
        block_size = base.config.block_size
        self.examples = prepare(rows, tokenizer, "alpaca", block_size)[0]
        self.held_examples = prepare(held_out, tokenizer, "alpaca", block_size)[0]
        self.pages = new_pages(tokenizer)

    def curve(self, lr: float, epochs: int, sft_step, tune_loop) -> Curve:
        """Tune a copy at one rate with the learner's step and loop. Returns one entry an epoch."""
        model, eos_id = copy.deepcopy(self.base), self.tokenizer.eos_id
        optimizer = adamw(model.parameters(), lr)
        assistant = Assistant(model, self.tokenizer, "alpaca")
        curve = []

        def look(epoch, train_loss=None):
            curve.append({
                "epoch": epoch,
                "train loss": train_loss,
                "held-out loss": loss_on_answers(model, self.held_examples, eos_id),
                "held-out accuracy": lab.accuracy(assistant, self.held_out)[0],
                "loss on new pages": loss_on_pages(model, self.pages),
            })

        look(0)
        step = lambda inputs, targets: sft_step(model, optimizer, inputs, targets)  # noqa: E731
        tune_loop(step, self.examples, epochs, 32, eos_id, look)
        return curve


def best_epoch(curve: Curve) -> int:
    """Return the epoch with the lowest held-out loss."""
    return min(curve, key=lambda entry: entry["held-out loss"])["epoch"]


def print_curves(curves: dict[float, Curve], where_to_stop) -> None:
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
        kept = where_to_stop([entry["held-out loss"] for entry in curve], 1)
        print(f"Found: rate {lr:g}: {describe(curve)} Early stopping keeps epoch {kept}.")


def describe(curve: Curve) -> str:
    """Say in a sentence what the losses of one rate did."""
    best, last = best_epoch(curve), curve[-1]["epoch"]
    forgotten = curve[-1]["loss on new pages"] - curve[0]["loss on new pages"]
    cost = f"The loss on new pages rose by {forgotten:.2f} nats."
    if best == last:
        return f"held-out loss was lowest after the last epoch. {cost}"
    if curve[-1]["train loss"] >= curve[best or 1]["train loss"]:
        return f"neither loss fell after epoch {best}: the rate is too high. {cost}"
    return (f"held-out loss never fell below that of epoch {best}, while train loss still fell."
            f" {cost}")


def plot_curves(curves: dict[float, Curve]) -> None:
    """Draw losses, accuracy and forgetting over the epochs, one color a rate."""
    best = max(curves, key=lambda lr: curves[lr][-1]["held-out accuracy"])
    stuck = [f"{lr:g}" for lr, c in curves.items() if best_epoch(c) < c[-1]["epoch"]]
    where = f"no longer falls at rate {', '.join(stuck)}" if stuck else "still falls at every rate"
    panels = {
        "loss on pairs": f"held-out loss {where}\n(dashed: train loss)",
        "held-out accuracy": f"most right at the end: rate {best:g}",
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


def compare_eos(tuned, endless, held_out) -> tuple[list, list]:
    """Print shares with and without the eos in the loss. Returns the (mean, low, high) of
    MEASURES, of both."""
    print("with the eos:", lab.ask(tuned[0], QUESTION))
    print("eos hidden:  ", lab.ask(endless[0], QUESTION), "\n")
    with_eos, without_eos = (count_answers(group, held_out) for group in (tuned, endless))
    for name, *pair in zip(MEASURES, with_eos, without_eos):
        for label, (share, low, high) in zip(("with the eos", "eos hidden"), pair):
            print(f"{name:>29}, {label:<12} {share:6.1%}  (95%: {low:.0%} to {high:.0%})")
    print(f"\nFound: without the eos in the loss {without_eos[2][0]:.0%} of the answers still begin"
          f" right, and {without_eos[1][0]:.0%} are exactly right: the model does not know where to"
          " stop.")
    return with_eos, without_eos


def count_answers(assistants, held_out) -> list:
    """Return (mean, low, high) over seeds and questions of: stopped, exactly right, begins right.
    """
    stopped_table, right_table, begins_table = [], [], []
    for assistant in assistants:
        answers = assistant.answers(held_out, Sampling())
        right = lab.right_flags(held_out, answers)
        begins = []
        for row, (text, _), good in zip(held_out, answers, right):
            begins.append(good or text.strip().startswith(row.turns[0].output))
        stopped_table.append([stopped for _, stopped in answers])
        right_table.append(right)
        begins_table.append(begins)
    return [lab.bootstrap(table) for table in (stopped_table, right_table, begins_table)]


def print_errors(assistant, held_out, n: int = 10) -> None:
    """Print the first wrong answers of a model."""
    answers = assistant.answers(held_out, Sampling())
    flags = lab.right_flags(held_out, answers)
    errors = [(row, text) for row, (text, _), good in zip(held_out, answers, flags) if not good]
    print(f"{len(errors)} of {len(held_out)} are wrong")
    for row, text in lab.spread(errors, n):
        question = row.turns[0]
        print(f"{question.instruction} {question.input}\n  wanted: {question.output}\n"
              f"  answer: {text}")
