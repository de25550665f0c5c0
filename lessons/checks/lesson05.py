"""Checks of lesson 5: a step and the loop of tuning, log p, early stopping, a hidden eos."""

import copy
import math

import torch

from checks import by_hand, call
from data import collate, epoch_batches  # noqa: F401  an answer uses them
from model import GPT, IGNORE, GPTConfig


def tiny():
    """Make a GPT small enough to check by hand, the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = GPT(GPTConfig(vocab_size=11, block_size=8, n_layer=1, n_head=1, n_embd=8)).eval()
    # strong opinions, so that different mistakes give different numbers
    model.wte.weight.data *= 10
    return model


def naive_logps(model, ids):
    """Return log p of each next token, one prefix at a time:
    [5, 6, 7] -> [log p(. | 5), log p(. | 5 6), log p(. | 5 6 7)]"""
    prefixes = [torch.tensor([ids[: t + 1]]) for t in range(len(ids))]
    return [torch.log_softmax(model(prefix)[0, -1], 0) for prefix in prefixes]


def naive_losses(model, inputs, targets):
    """Return -log p of every supervised target, in one list."""
    losses = []
    for x, y in zip(inputs.tolist(), targets.tolist()):
        logps = naive_logps(model, x)
        losses += [-logps[t][target] for t, target in enumerate(y) if target != IGNORE]
    return losses


def ignored(targets):
    """Make targets of this shape without any supervised one."""
    return torch.full_like(targets, IGNORE)


def moved(before, after):
    return max((a - b).abs().max().item() for a, b in zip(before, after))


@by_hand("train_sft.train", "train_sft.backward", "train_sft.tune")
def sft_step(learner):
    I = IGNORE  # noqa: E741
    batches = [
        (torch.tensor([[1, 2, 3, 4], [5, 6, 7, 0]]), torch.tensor([[I, I, 4, 9], [I, 7, I, I]])),
        (torch.tensor([[2, 2, 8, 1]]), torch.tensor([[I, 8, 1, 9]])),
    ]
    model = tiny()
    twin = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    by_hand = torch.optim.SGD(twin.parameters(), lr=0.1)
    for number, (inputs, targets) in enumerate(batches):
        losses = naive_losses(twin, inputs, targets)
        expected = torch.stack(losses).mean()
        shifted = naive_losses(twin, inputs[:, :-1], targets[:, 1:])
        before = [p.detach().clone() for p in model.parameters()]
        result = call(learner, model, optimizer, inputs.clone(), targets.clone())
        expected.backward()
        by_hand.step()
        by_hand.zero_grad()
        assert result is not None, "nothing was returned: return the loss as a float"
        assert not torch.is_tensor(
            result
        ), "you returned a tensor, which keeps the whole graph alive: use loss.item()"
        total = expected.item() * len(losses)
        assert not math.isclose(
            result, total, rel_tol=1e-3
        ), "you returned the sum; divide by the number of supervised targets"
        everywhere = total / targets.numel()
        assert not math.isclose(
            result, everywhere, rel_tol=1e-3
        ), "you divided by all positions; positions that are IGNORE do not count"
        again = sum(x.item() for x in shifted) / max(1, len(shifted))
        assert not math.isclose(
            result, again, rel_tol=1e-3
        ), "targets are already shifted; you shifted them once more"
        assert math.isclose(result, expected.item(), rel_tol=1e-3), (
            f"the loss is {result:.4f}, expected {expected.item():.4f}: "
            "the mean of -log p over the supervised targets, before the step"
        )
        after = [p.detach() for p in model.parameters()]
        assert (
            moved(before, after) > 0
        ), "the weights did not move: backward(), then optimizer.step(), then zero_grad()"
        assert moved(after, [p.detach() for p in twin.parameters()]) < 1e-4, (
            "the first step moved the weights by another gradient than that of the mean loss"
            if number == 0
            else (
                "the second step went wrong: the gradients of the first are still there,"
                " zero_grad() is missing"
            )
        )
    nothing = call(learner, copy.deepcopy(model), optimizer, inputs.clone(), ignored(targets))
    print("Right: the mean over the supervised targets, one step, and gradients of its own.")
    if nothing is None or math.isnan(nothing):
        print(
            "  Note: a batch without any supervised target gives nan (0 / 0). The project divides"
            " by at least 1."
        )


class LoopRecorder:
    """Record what a loop does: the batches of each epoch, and the losses that it reports."""

    def __init__(self):
        self.epochs = []  # (number of the epoch, mean loss, [batches, as lists of inputs])
        self.batches = []

    def step(self, inputs, targets):
        assert torch.is_tensor(inputs) and torch.is_tensor(targets), (
            "step takes two tensors, inputs and targets: collate(batch, pad) makes them"
        )
        self.batches.append(inputs.tolist())
        return 10.0 * len(self.epochs) + len(self.batches)  # 1 to 4, then 11 to 14, ...

    def on_epoch(self, epoch, loss):
        self.epochs.append((epoch, loss, self.batches))
        self.batches = []


@by_hand("train_sft.train", "train_sft.tune")
def tune_loop(learner):
    examples = [([i, i, i, 9], [0, 0, 1, 1]) for i in range(7)]  # inputs [i, i, i]
    recorder = LoopRecorder()
    call(learner, recorder.step, list(examples), 3, 2, 9, recorder.on_epoch)
    assert not recorder.batches, "on_epoch was not called after the steps of the last epoch"
    numbers = [epoch for epoch, _, _ in recorder.epochs]
    assert numbers, "on_epoch was never called: call it after each epoch"
    assert numbers != [0, 1, 2], (
        "on_epoch was called with 0, 1, 2: it takes the number of epochs that are done"
    )
    assert numbers == [1, 2, 3], (
        f"3 epochs: on_epoch should be called with 1, 2, 3, yours with {numbers}"
    )
    orders = []
    for epoch, _, batches in recorder.epochs:
        assert batches, f"epoch {epoch}: no step was made before on_epoch"
        seen = [row[0] for batch in batches for row in batch]
        assert len(batches) == 4, (
            f"epoch {epoch}: 7 examples in batches of 2 are 4 steps, yours {len(batches)}; the last"
            " batch may be smaller"
        )
        assert sorted(seen) == list(range(7)), f"epoch {epoch}: an epoch uses every example once"
        orders.append(seen)
    assert orders[0] != orders[1] and orders[1] != orders[2], (
        "two epochs have the same order: give epoch_batches another seed in each"
    )
    losses = [float(loss) for _, loss, _ in recorder.epochs]
    measure = "on_epoch takes the mean loss of the epoch's steps"
    assert losses[0] != 4, f"{measure}, not the last"
    assert losses[0] != 10, f"{measure}, not their sum"
    assert losses == [2.5, 12.5, 22.5], (
        f"{measure}: 2.5, 12.5 and 22.5 here, yours {losses}; begin each epoch with an empty list"
    )
    print("Right: every pair once an epoch, each epoch in its own order.")


@by_hand()
def where_to_stop(learner):
    cases = [
        ([1.6, 0.4, 0.3, 0.35, 0.4], 1, 2, "the lowest loss is the best epoch"),
        ([1.6, 0.4, 0.5, 0.6, 0.3], 2, 1, "training had ended before it saw the 0.3"),
        ([1.6, 0.4, 0.5, 0.6, 0.3], 3, 4, "a longer patience sees the 0.3"),
        ([1.6, 0.9, 0.5, 0.4], 1, 3, "if it falls to the end, the last epoch is the best"),
        ([0.4, 0.6, 0.5, 0.7, 0.1], 3, 0, "compare with the best loss, not with the one before"),
        ([0.4, 0.5, 0.6], 1, 0, "epoch 0, before tuning, may be the best"),
        ([1.6, 0.4, 0.4, 0.2], 1, 1, "an equal loss is no improvement"),
    ]
    for losses, patience, expected, why in cases:
        result = call(learner, list(losses), patience)
        case = f"losses {losses}, patience {patience}"
        assert result is not None, f"{case}: nothing was returned"
        assert result != losses[expected] or result == expected, (
            f"{case}: return the number of the epoch, not its loss"
        )
        assert result == expected, f"{case}: keep epoch {expected}, yours {result} ({why})"
    print("Right: the best epoch, without a look at the future.")


@by_hand()
def answer_logprobs(learner):
    model = tiny()
    prompt, answer = [5, 6, 2], [7, 8, 10, 1]
    with torch.no_grad():
        logps = naive_logps(model, prompt + answer)
        expected = [logps[len(prompt) - 1 + i][token].item() for i, token in enumerate(answer)]
        late = [logps[len(prompt) + i][token].item() for i, token in enumerate(answer)]
        blind = [naive_logps(model, answer)[i][token].item() for i, token in enumerate(answer[1:])]
        raw = model(torch.tensor([prompt + answer]))[0]
    given_prompt, given_answer = list(prompt), list(answer)
    result = call(learner, model, given_prompt, given_answer)
    assert (
        given_prompt == prompt and given_answer == answer
    ), "you changed the lists that you were given; make new ones"
    assert result is not None, "nothing was returned: return a list of floats"
    assert not isinstance(
        result, (int, float)
    ), "one number came back; return one log p for each answer token"
    result = [float(x) for x in result]

    def is_like(other):
        return len(result) == len(other) and all(
            math.isclose(a, b, abs_tol=1e-4) for a, b in zip(result, other)
        )

    assert (
        len(result) != len(prompt) + len(answer) - 1
    ), "the prompt's tokens are among them; keep the answer's only"
    assert not is_like(
        blind
    ), "the model saw the answer without the prompt: run it on prompt + answer"
    assert len(result) == len(
        answer
    ), f"{len(result)} numbers came back for {len(answer)} answer tokens"
    assert not is_like(late), (
        "off by one: the logits at a token's own position speak of the token after it; look one"
        " position earlier"
    )
    assert not is_like(
        [math.exp(x) for x in expected]
    ), "these are probabilities; take their logarithm"
    assert not is_like(
        [-x for x in expected]
    ), "the sign is wrong: log p is at most 0, this is the loss"
    picked = [raw[len(prompt) - 1 + i, token].item() for i, token in enumerate(answer)]
    assert not is_like(picked), "these are raw logits; log_softmax(-1) turns them into log p"
    assert is_like(
        expected
    ), f"{[round(x, 3) for x in result]} came back, expected {[round(x, 3) for x in expected]}"
    print("Right: each answer token is judged by the logits one position before it.")


@by_hand()
def hide_end(learner):
    end = 9
    examples = [
        ([5, 6, 7, 9], [0, 0, 1, 1]),
        ([4, 7, 9, 5, 8, 9], [0, 1, 1, 0, 1, 1]),
        ([9, 3, 9], [0, 1, 1]),
    ]
    expected = [[0, 0, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 0]]
    copies = copy.deepcopy(examples)
    result = call(learner, copies, end)
    assert (
        copies == examples
    ), "you changed the old examples; they are needed again, so make new lists"
    assert result is not None and len(result) == len(
        examples
    ), "return one (ids, mask) for every example"
    for (ids, mask), (new_ids, new_mask), right in zip(examples, result, expected):
        new_mask = [int(m) for m in new_mask]
        assert (
            list(new_ids) == ids
        ), "the ids changed: the eos stays in the row, it is only not supervised"
        assert len(new_mask) == len(mask), "the mask must stay as long as the ids"
        assert new_mask != mask, "nothing was hidden: the mask must be 0 at the eos"
        early = [0 if i + 1 < len(ids) and ids[i + 1] == end else m for i, m in enumerate(mask)]
        assert (
            new_mask != early
        ), "off by one: mask[i] belongs to ids[i] itself; the shift comes later"
        last_only = mask[:-1] + [0]
        if right != last_only:
            assert (
                new_mask != last_only
            ), "only the last eos was hidden; a conversation has one after every answer"
        assert not any(
            n > m for n, m in zip(new_mask, mask)
        ), "a prompt token became supervised; only ever take away"
        assert new_mask == right, f"for ids {ids} the mask is {new_mask}, expected {right}"
    print("Right: the eos tokens are still read, and never supervised. Now see what that does.")
