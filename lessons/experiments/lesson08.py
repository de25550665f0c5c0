"""Measuring code of lesson 8: a drawing of LoRA, bytes in training, and what is learned and
forgotten at several learning rates."""

import copy
import random

import lab
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import world
from data import collate, corpus_batch, encode_corpus, epoch_batches
from generate import Assistant
from train_sft import adamw, train

STEPS = 6 if lab.FAST else 28
BATCH = 32
# rank (0: full tuning): learning rates
RATES = {0: (3e-4, 8e-4, 2e-3), 16: (1.5e-3, 5e-3), 2: (5e-3, 2e-2)}
COLORS = {0: "black", 16: "C0", 2: "C1"}
CLOSE = 0.05  # three seeds cannot tell a smaller difference
N_DOCUMENTS = 150  # to measure forgetting
UNREAD_SEED = 1000  # of the world they are from


def name_of(rank: int) -> str:
    return f"rank {rank}" if rank else "full"


def matrix(part) -> torch.Tensor:
    """Return the numbers of A or B, whether it is an nn.Parameter or an nn.Linear."""
    return part.weight if isinstance(part, nn.Linear) else part


def draw_lora() -> None:
    """Draw a layer with its correction: what is frozen, what is trained, and the shapes."""
    figure, ax = plt.subplots(figsize=(8, 3.2))
    boxes = [  # x, y, width, height, color, text
        (2.2, 1.9, 2.6, 1.5, "lightsteelblue", "W (out, in)\nfrozen"),
        (2.1, 0.35, 1.1, 0.9, "moccasin", "A\n(rank, in)"),
        (3.7, 0.35, 1.2, 0.9, "moccasin", "B\n(out, rank)"),
        (5.3, 0.35, 1.2, 0.9, "white", "× alpha\n/ rank"),
    ]
    for x, y, width, height, color, text in boxes:
        ax.add_patch(plt.Rectangle((x, y), width, height, facecolor=color, edgecolor="gray"))
        ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=10)
    arrows = [  # from, to
        ((0.7, 2.65), (2.2, 2.65)), ((4.8, 2.65), (7.1, 2.65)), ((1.4, 2.65), (1.4, 0.8)),
        ((1.4, 0.8), (2.1, 0.8)), ((3.2, 0.8), (3.7, 0.8)), ((4.9, 0.8), (5.3, 0.8)),
        ((6.5, 0.8), (7.3, 0.8)), ((7.3, 0.8), (7.3, 2.45)), ((7.5, 2.65), (8.4, 2.65)),
    ]
    for start, end in arrows:
        style = "-" if end in ((1.4, 0.8), (7.3, 0.8)) else "-|>"
        ax.annotate("", end, start, arrowprops={"arrowstyle": style, "color": "black"})
    for x, y, text in ((0.5, 2.65, "x"), (7.3, 2.65, "+"), (8.6, 2.65, "y")):
        ax.text(x, y, text, ha="center", va="center", fontsize=14)
    ax.text(3.5, 0.05, "thin: only these two are trained", ha="center", fontsize=9, color="gray")
    title = "LoRA: the old layer stays, a thin correction is added"
    ax.set(xlim=(0, 9), ylim=(-0.1, 3.7), title=title)
    ax.axis("off")
    plt.show()


def show_bytes(models: dict, examples: list, pad: int, training_bytes) -> None:
    """Print training_bytes(model) of every model beside the bytes that one step of AdamW leaves."""
    print("thousand bytes        weights   gradients   optimizer's state   found after one step")
    for name, model in models.items():
        counted = training_bytes(model)
        optimizer = adamw(model.parameters(), 8e-4)
        model(*collate(examples[:8], pad)).backward()
        optimizer.step()
        gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
        state = 0
        for averages in optimizer.state.values():
            state += sum(t.nbytes for t in averages.values() if t.numel() > 1)
        weights, expected, averages = (n // 1000 for n in counted)
        found = f"{gradients // 1000} + {state // 1000}"
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        print(f"{name:<8}{weights:>21,}{expected:>12,}{averages:>20,}{found:>23}")
        print(f"         ({trained:,} numbers are trained)")


# --------------------------------------------------------------------------------------------------
# Learned and forgotten


def unread_documents(tokenizer) -> torch.Tensor:
    """Return the ids of documents that no base has read, from a world of another seed."""
    corpus = world.build(UNREAD_SEED, size=0.05).corpus
    return encode_corpus(tokenizer, random.Random(0).sample(corpus, N_DOCUMENTS))


@torch.inference_mode()
def val_loss(model, stream, batch_size=16, seq_len=128) -> float:
    """Measure the loss on a stream of documents, in nats a token."""
    n_batches = (len(stream) - 1) // (batch_size * seq_len)
    loss = 0.0
    for i in range(n_batches):
        loss += model(*corpus_batch(stream, i, batch_size, seq_len)).item()
    return loss / (n_batches * batch_size * seq_len)


def tuned(model, examples, tokenizer, lr: float, seed: int) -> Assistant:
    """Tune a model in place, on the same pairs in the order of this seed."""
    batches = epoch_batches(examples, BATCH, seed)

    def batch(step):
        return collate(batches[step], tokenizer.eos_id)

    train(model, batch, STEPS, [adamw(model.parameters(), lr)])
    return Assistant(model, tokenizer, "alpaca")


def run_frontier(base, tokenizer, examples, adapted, questions) -> tuple[dict, Assistant]:
    """Tune with every rank and rate. adapted(rank, seed) returns a copy of the base with adapters.

    Returns {(rank, rate): (flags of every seed, rises of every seed)} and a model of rank 16."""
    stream = unread_documents(tokenizer)
    base_loss = val_loss(base, stream)
    print(f"loss of the base on unread documents: {base_loss:.3f} nats a token")
    runs = {}
    for rank, rates in RATES.items():
        for lr in rates:
            flags, rises = [], []
            for seed in lab.SEEDS:
                model = adapted(rank, seed) if rank else copy.deepcopy(base)
                assistant = tuned(model, examples, tokenizer, lr, seed)
                flags.append(lab.correct_flags(assistant, questions))
                rises.append(val_loss(model, stream) - base_loss)
            if rank == 16:
                rank16 = assistant  # in the end, that of the highest rate
            runs[rank, lr] = flags, rises
            share, low, high = lab.bootstrap(flags)
            seeds = ", ".join(f"{rise:.3f}" for rise in rises)
            print(f"{name_of(rank):<8} rate {lr:<7g} right {share:5.1%} ({low:.0%} to {high:.0%})"
                  f"   loss +{np.mean(rises):.3f} (seeds: {seeds})")
    return runs, rank16


def lines_of(runs: dict) -> dict:
    """Return {rank: (rises, accuracies)}, means over seeds, in the order of the rates."""
    lines = {}
    for rank, rates in RATES.items():
        rises = [float(np.mean(runs[rank, lr][1])) for lr in rates]
        lines[rank] = rises, [float(np.mean(runs[rank, lr][0])) for lr in rates]
    return lines


def draw_frontier(runs: dict, lines: dict) -> None:
    """Draw what is learned against what is forgotten. Small dots are seeds."""
    plt.figure(figsize=(8, 4.4))
    for rank, rates in RATES.items():
        name = f"adapter, rank {rank}" if rank else "full tuning"
        for lr in rates:
            flags, rises = runs[rank, lr]
            rights = [np.mean(values) for values in flags]
            plt.scatter(rises, rights, color=COLORS[rank], alpha=0.35, s=18)
        plt.plot(*lines[rank], "o-", color=COLORS[rank], label=name)
        for lr, x, y in zip(rates, *lines[rank]):
            offset = {"xytext": (5, -11), "textcoords": "offset points", "fontsize": 8}
            plt.annotate(f"{lr:g}", (x, y), color=COLORS[rank], **offset)
    plt.xlabel("forgotten: rise of the loss on documents (nats a token)")
    plt.ylabel("learned: held-out questions right")
    best = {rank: max(rights) for rank, (_, rights) in lines.items()}
    word = more_or_less(best[16] - best[0])
    plt.title(f"At their best rates, rank 16 answers {word} full tuning")
    plt.legend(loc="upper left", bbox_to_anchor=(1, 1))
    plt.tight_layout()
    plt.show()


def more_or_less(difference: float) -> str:
    """Say how two accuracies compare."""
    if abs(difference) <= CLOSE:
        return "about as much as"
    return "more than" if difference > 0 else "less than"


def compare_lines(lines: dict, start: float, at_equal_forgetting) -> dict:
    """Print every adapter beside full tuning that forgot as much. Returns {(rank, rate):
    difference}. start: what the base answers."""
    above = {}
    for rank in (16, 2):
        for lr, rise, right in zip(RATES[rank], *lines[rank]):
            full = at_equal_forgetting(*lines[0], start, rise)
            above[rank, lr] = right - full
            points = 100 * above[rank, lr]
            print(f"rank {rank:<3} rate {lr:<7g} right {right:5.1%}, full tuning that forgot as"
                  f" much {full:5.1%}: {points:+.0f} points")
    for rank in (16, 2):
        rights = lines[rank][1]
        lr = RATES[rank][rights.index(max(rights))]
        print(f"Found: at its best rate, rank {rank} answers {more_or_less(above[rank, lr])} full"
              " tuning that forgot as much.")
    return above


def show_merge(assistant: Assistant, adapters: list, ids: torch.Tensor) -> tuple:
    """Merge all adapters [(parent, name, adapter)], and print what changed. Returns the largest
    difference of a logit, the first layer's old weight, and that after subtracting."""
    model = assistant.model
    before = model(ids)
    for parent, name, adapter in adapters:
        setattr(parent, name, adapter.merge())
    difference = (model(ids) - before).abs().max().item()
    top = before.abs().max().item()
    print(f"Found: merged, no logit changes by more than {difference:.0e} (of up to {top:.0f}).")

    _, _, layer = adapters[0]
    W = layer.linear.weight
    back = layer.merge().weight - 2 * (matrix(layer.B) @ matrix(layer.A))  # alpha / rank is 2
    same = (back == W).float().mean().item()
    print(f"Found: after subtracting, {same:.1%} of the numbers are the old ones to the bit.")
    return difference, W, back
