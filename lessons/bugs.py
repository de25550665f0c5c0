"""Ten small functions, each with a bug, for lesson 16. Write down your guess before you look."""

import random

import torch

from model import IGNORE


def case_1(targets, eos):
    """Pad lists of targets to one length, (B, T)."""
    out = torch.full((len(targets), max(map(len, targets))), eos)
    for i, row in enumerate(targets):
        out[i, : len(row)] = torch.tensor(row)
    out[out == eos] = IGNORE
    return out


def case_2(ids, mask):
    """Return the targets of a row's positions."""
    return ids[1:]


def case_3(n_prompt, n_answer):
    """Return the mask of a row of n_prompt and n_answer tokens."""
    return [0] * (n_prompt - 1) + [1] * n_answer + [0]


def case_4(head, context, tail, answer, limit):
    """Join the parts of a row in at most `limit` tokens."""
    return (head + context + tail + answer)[:limit]


def case_5(parts):
    """Return the loss of a step from the losses of every micro-batch's tokens."""
    return sum(part.mean() for part in parts) / len(parts)


def case_6(instruction):
    """Return the prompt for an instruction."""
    return f"""
    ### Instruction:
    {instruction}

    ### Response:
    """


def case_7(padding, length):
    """Return which position may attend to which, (B, T, T), of rows padded on the left."""
    return torch.ones(length, length).tril().bool().expand(len(padding), -1, -1)


def case_8(B, A, alpha):
    """Return the correction of the weight from LoRA's two matrices."""
    return alpha * B @ A


def case_9(lengths):
    """Return which position may attend to which, (T, T), of documents of these lengths in a row."""
    return torch.ones(sum(lengths), sum(lengths)).tril().bool()


def case_10(prompts, n_test, seed):
    """Split prompts. Returns those to tune on and those to test on."""
    order = random.Random(seed).sample(prompts, len(prompts))
    return order[n_test:], order[:n_test]


CAUSES = {
    1: "padding is the eos, and is hidden by its id: the real eos tokens go with it",
    2: "the mask is given and not used",
    3: "the mask is one position too early",
    4: "the row is truncated at its end, where the answer is",
    5: "a mean of means: tokens of short micro-batches weigh more",
    6: "the prompt has spaces and an empty line that tuning did not have",
    7: "the model attends to the padding",
    8: "alpha is not divided by the rank",
    9: "the second document attends to the first",
    10: "the same prompt, written another way, is on both sides",
}
