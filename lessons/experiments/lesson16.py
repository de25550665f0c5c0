"""The measuring code of lesson 16: a symptom for each bug. A function takes the buggy code or the
learner's repair, and returns or prints the number that shows the difference."""

import copy
import re

import lab
import torch

from data import IGNORE, collate, epoch_batches, shift
from generate import Assistant, Sampling, generate
from train_sft import adamw, train

STEPS = 8 if lab.FAST else 60
LIMIT = 64  # tokens of a row, bug 4
RANKS = (2, 8, 32, 128)
SIZES = (1, 2, 4, 8)  # rows of a micro-batch

# ---- Bugs 1 and 6: the models --------------------------------------------------------------------


def tune_with(base, tokenizer, examples: list, padded_targets) -> Assistant:
    """Tune with the targets that this function pads."""
    torch.manual_seed(0)
    model, batches = copy.deepcopy(base), epoch_batches(examples, 32, 0)
    eos = tokenizer.eos_id

    def batch_at(step):
        inputs, _ = collate(batches[step], eos)
        targets = [shift(*example)[1] for example in batches[step]]
        return inputs, padded_targets(targets, eos)

    train(model, batch_at, STEPS, [adamw(model.parameters(), 8e-4)])
    return Assistant(model, tokenizer, "alpaca")


def ending_right(assistant: Assistant, rows: list) -> int:
    """Count the answers that are right and end there."""
    return lab.score(assistant, rows, Sampling())["correct"]


def show_ends(assistant: Assistant, rows: list, n: int = 10) -> None:
    """Print the end of n answers, and whether the model stopped by itself."""
    rows = lab.spread(rows, n)
    for text, stopped in assistant.answers(rows, Sampling(max_new_tokens=48)):
        print(f"{'stopped' if stopped else 'cut off'}: {text.strip()[:88]}")


def right_with(assistant: Assistant, rows: list, prompt_text) -> int:
    """Count the answers that are right and end there, if this function makes the prompt."""
    tokenizer = assistant.tokenizer
    prompts = [tokenizer.encode(prompt_text(row.turns[0].instruction)) for row in rows]
    completions = generate(assistant.model, prompts, tokenizer.eos_id, Sampling())
    answers = [(tokenizer.decode(ids), stopped) for ids, stopped in completions]
    return sum(lab.right_flags(rows, answers))


# ---- Bugs 2 to 5: the rows -----------------------------------------------------------------------


def supervised_share(examples: list, targets_of, n: int = 200) -> float:
    """Compute the share of the targets that are supervised."""
    targets = [target for ids, mask in examples[:n] for target in targets_of(ids, mask)]
    return sum(target != IGNORE for target in targets) / len(targets)


def x_ray(names: list[str], mask) -> None:
    """Print a row with its supervised tokens in brackets."""
    shown = [f"[{name!r}]" if is_on else " . " for name, is_on in zip(names, mask)]
    print("".join(shown))


def long_row(tokenizer) -> tuple[list, list, list]:
    """Make the prompt of a row with a long input. Returns its head, context and tail."""
    story = tokenizer.encode("Ann lost a ball in the garden. " * 8)
    whole = lab.prompt_ids(tokenizer, "alpaca", "Summarize the story.", tokenizer.decode(story))
    start = next(i for i in range(len(whole)) if whole[i : i + len(story)] == story)
    return whole[:start], story, whole[start + len(story) :]


def answer_left(fit, head: list, context: list, tail: list, answer: list) -> int:
    """Count the answer tokens that are left, and print their mean loss if each costs 1."""
    ids = fit(head, context, tail, answer, LIMIT)
    n = len(answer)
    while n and ids[-n:] != answer[:n]:
        n -= 1
    print(f"{n} of {len(answer)} answer tokens are left, mean loss {torch.ones(n).mean():.2f}")
    return n


def in_micro_batches(size: int) -> list[torch.Tensor]:
    """Make the losses of eight answers' tokens in micro-batches of this size."""
    lengths, losses = (2, 3, 2, 3, 20, 25, 22, 30), (4, 4, 3, 5, 1, 1, 2, 1)
    rows = [torch.full((n,), float(loss)) for n, loss in zip(lengths, losses)]
    return [torch.cat(rows[i : i + size]) for i in range(0, len(rows), size)]


def loss_by_size(step_loss) -> list[float]:
    """Compute the loss of the same step for all sizes of a micro-batch."""
    losses = [float(step_loss(in_micro_batches(size))) for size in SIZES]
    print(", ".join(f"{size} rows: {loss:.2f}" for size, loss in zip(SIZES, losses)))
    return losses


# ---- Bugs 7 to 10: masks, LoRA, the split --------------------------------------------------------


@torch.inference_mode()
def moved(assistant: Assistant, prompt: list, batch_mask, n: int = 6) -> float:
    """Measure the greatest change of a logit when n tokens of padding come before the prompt."""
    eos = assistant.tokenizer.eos_id
    ids = torch.tensor([[eos] * n + prompt])
    mask = batch_mask([n], len(ids[0]))[:, None]  # (B, 1, T, T)
    positions = (torch.arange(len(ids[0])) - n).clamp(min=0)[None]
    padded = assistant.model(ids, None, positions, mask, last_only=True)
    alone = assistant.model(torch.tensor([prompt]), last_only=True)
    return float((padded - alone).abs().max())


def first_steps(correction) -> list[float]:
    """Compute for each rank how much the first step of AdamW changes the loss, to first order.

    The step moves every number of B equally far, and B was zero."""
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(128, 128, generator=generator)
    changes = []
    for rank in RANKS:
        A = torch.randn(rank, 128, generator=generator) / 128**0.5
        B = -1e-5 * (gradient @ A.T).sign()
        changes.append(float((gradient * correction(B, A, 16)).sum()))
    print(", ".join(f"rank {rank}: {change:.2f}" for rank, change in zip(RANKS, changes)))
    return changes


@torch.inference_mode()
def leak(assistant: Assistant, prompt: list, packed_mask) -> float:
    """Measure the greatest change of the second document's logits if the first is another one."""
    tokenizer, logits = assistant.tokenizer, []
    for text in ("Oslo is in Norway.", "A frog lives in a pond."):
        first = tokenizer.encode(text)[:4] + [tokenizer.eos_id]
        lengths = [len(first), len(prompt)]
        positions = torch.cat([torch.arange(n) for n in lengths])[None]
        mask = packed_mask(lengths)[None, None]
        both = assistant.model(torch.tensor([first + prompt]), None, positions, mask)
        logits.append(both[:, -len(prompt) :])
    return float((logits[0] - logits[1]).abs().max())


def key(prompt: str) -> str:
    """Normalize a prompt: two are the same if their words are, whatever spaces, capitals, dots."""
    return re.sub(r"\W+", " ", prompt).strip().lower()


def dictionary_score(rows: list, split) -> int:
    """Count the test prompts that a dictionary of the tuning prompts contains."""
    texts = [row.turns[0].instruction for row in rows[:300]]
    lower, spaced = [text.lower() for text in texts[:150]], [text + " " for text in texts[150:]]
    to_tune, to_test = split(texts + lower + spaced, 100, 0)
    known = {key(prompt) for prompt in to_tune}
    n = sum(key(prompt) in known for prompt in to_test)
    print(f"the dictionary knows {n} of {len(to_test)} test prompts")
    return n
