"""Ten small functions, each with a bug: the material of lesson 16. Look here only after you have written down your guess."""

import random

import torch

from model import IGNORE


def case_1(targets, end):
    """Lists of targets, filled up to one length -> (B, T)"""
    out = torch.full((len(targets), max(map(len, targets))), end)
    for i, row in enumerate(targets):
        out[i, : len(row)] = torch.tensor(row)
    out[out == end] = IGNORE
    return out


def case_2(ids, mask):
    """A row's ids and mask -> the targets of its positions"""
    return ids[1:]


def case_3(n_prompt, n_answer):
    """How many tokens -> the mask of the row"""
    return [0] * (n_prompt - 1) + [1] * n_answer + [0]


def case_4(head, context, tail, answer, limit):
    """The parts of a row -> at most `limit` tokens"""
    return (head + context + tail + answer)[:limit]


def case_5(parts):
    """The losses of every micro-batch's tokens -> the loss of the step"""
    return sum(part.mean() for part in parts) / len(parts)


def case_6(instruction):
    """An instruction -> the prompt"""
    return f"""
    ### Instruction:
    {instruction}

    ### Response:
    """


def case_7(padding, length):
    """How much padding stands on the left of each row -> (B, length, length), who may look at whom"""
    return torch.ones(length, length).tril().bool().expand(len(padding), -1, -1)


def case_8(B, A, alpha):
    """LoRA's two matrices -> the correction of the weight"""
    return alpha * B @ A


def case_9(lengths):
    """The lengths of the documents in one row -> (T, T), who may look at whom"""
    return torch.ones(sum(lengths), sum(lengths)).tril().bool()


def case_10(prompts, n_test, seed):
    """Prompts -> those to tune on, those to test on"""
    order = random.Random(seed).sample(prompts, len(prompts))
    return order[n_test:], order[:n_test]


CAUSES = {
    1: "padding is the eos, and is hidden by its id: the real eos tokens go with it",
    2: "the mask is given and not used",
    3: "the mask is one position too early",
    4: "the row is cut at its end, where the answer is",
    5: "a mean of means: tokens of short micro-batches weigh more",
    6: "the prompt has spaces and an empty line that tuning did not have",
    7: "the padding may be looked at",
    8: "alpha is not divided by the rank",
    9: "the second document may look at the first",
    10: "the same prompt, written another way, stands on both sides",
}
