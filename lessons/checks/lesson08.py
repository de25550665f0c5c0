"""Checks of lesson 8: a low-rank correction, merging it, counting memory."""

import torch
from torch import nn

# rank 1, 2 inputs, 3 outputs, small whole numbers, so that everything can be followed with a pencil
W = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
A = torch.tensor([[1.0, 3.0]])
B = torch.tensor([[1.0], [0.0], [2.0]])
BIAS = torch.tensor([10.0, 20.0, 30.0])


def same(found, expected):
    return found.shape == expected.shape and torch.allclose(found, expected, atol=1e-4)


def lora_forward(learner):
    x = torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    old = torch.tensor([[11.0, 21.0, 31.0], [12.0, 20.0, 34.0]])  # x W^T + bias
    # A x is 4 for the first row and 2 for the second; B spreads it as (1, 0, 2); alpha / rank is 6
    change = 6 * torch.tensor([[4.0, 0.0, 8.0], [2.0, 0.0, 4.0]])
    found = learner(x, W, BIAS, A, B, 6)
    assert torch.is_tensor(found), "return a tensor, one row for each row of x"
    assert found.shape == old.shape, f"the shape is {tuple(found.shape)}, expected {tuple(old.shape)}: (rows, outputs)"
    assert not same(found, old), "the correction is missing: only the old layer answers"
    assert not same(found, change), "the old layer is missing: y = W x + bias + correction"
    assert not same(found, old - BIAS + change), "the bias is missing"
    assert not same(found, old + BIAS + change), "the bias is there twice; the correction has none"
    assert not same(found, old + change / 6), "the correction is not scaled: alpha / rank"
    assert not same(found, old + change / 36), "scaled by rank / alpha; it is alpha / rank"
    assert not same(found, old + change + 6 * BIAS), "the bias is in the correction too; the correction has none"
    assert same(found, old + change), f"{found.tolist()} came back, expected {(old + change).tolist()}"
    # rank 2: alpha / rank differs from alpha now
    A2, B2 = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    change = torch.tensor([[1.0, 1.0, 2.0], [2.0, 0.0, 2.0]])
    found = learner(x, W, BIAS, A2, B2, 6)
    assert not same(found, old + 6 * change), "scaled by alpha alone; it is alpha / rank, and the rank here is 2"
    assert same(found, old + 3 * change), f"rank 2, alpha 6: {found.tolist()}, expected {(old + 3 * change).tolist()}"
    start = learner(x, W, BIAS, A, torch.zeros_like(B), 6)
    assert same(start, old), "with B = 0 the answer must be that of the old layer"
    print("Right: the old layer, and a small correction beside it.")


def merged(learner):
    weight = W.clone()
    # B A = (1, 0, 2)^T (1, 3); alpha / rank = 2
    product = torch.tensor([[1.0, 3.0], [0.0, 0.0], [2.0, 6.0]])
    found = learner(weight, A.clone(), B.clone(), 2)
    assert torch.equal(weight, W), "the old weight was changed in place; return a new one, the old is needed to unmerge"
    assert torch.is_tensor(found) and found.shape == W.shape, (
        "return one matrix of the shape of W: that is B A, not A B"
    )
    assert not same(found, W + product), "the correction is not scaled: alpha / rank"
    assert not same(found, 2 * product), "W itself is missing"
    assert not same(found, W - 2 * product), "the correction is added, not taken away"
    assert same(found, W + 2 * product), f"{found.tolist()} came back, expected {(W + 2 * product).tolist()}"
    A2, B2 = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    product = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
    found = learner(W.clone(), A2, B2, 6)
    assert not same(found, W + 6 * product), "scaled by alpha alone; it is alpha / rank, and the rank here is 2"
    assert same(found, W + 3 * product), f"rank 2, alpha 6: {found.tolist()}, expected {(W + 3 * product).tolist()}"
    x = torch.tensor([[0.5, -2.0]])
    slow = x @ W.T + 3 * (x @ A2.T) @ B2.T
    assert same(x @ found.T, slow), "the merged layer does not do what layer and correction do together"
    print("Right: one matrix again, as fast as before, and nothing was overwritten.")


def training_bytes(learner):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))  # 12 + 4 and 8 + 2 numbers, 4 bytes each
    model.register_buffer("table", torch.zeros(100))  # not a parameter: a constant
    found = learner(model)
    assert isinstance(found, tuple) and len(found) == 3, "return (weights, gradients, optimizer state)"
    assert tuple(found) != (26, 26, 52), "these are counts of numbers; a 32-bit number has 4 bytes"
    assert found[0] != 504, "buffers are not parameters: use model.parameters()"
    assert found[2] != 104, "AdamW keeps two averages for each trained number, of the gradient and of its square"
    assert tuple(found) == (104, 104, 208), f"all trained: {found}, expected (104, 104, 208)"
    model[0].requires_grad_(False)
    found = learner(model)
    assert found[0] != 40, "frozen weights are in memory too: the forward pass needs them"
    assert found[1] != 104, "a frozen weight has no gradient: look at requires_grad"
    assert found[2] != 208, "the optimizer keeps nothing for frozen weights: look at requires_grad"
    assert tuple(found) == (104, 40, 80), f"first layer frozen: {found}, expected (104, 40, 80)"
    found = learner(nn.Linear(3, 4).to(torch.bfloat16))
    assert tuple(found) == (32, 32, 64), f"16-bit numbers: {found}, expected (32, 32, 64): use p.element_size(), not 4"
    print("Right: frozen weights cost their place, and nothing more.")
