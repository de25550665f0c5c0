"""Muon: what it adds is an optimizer that pretrains this model in about half the tokens that AdamW needs.

You can skip this: `train()` takes any optimizers, and tuning uses AdamW. torch ships a Muon too; it always multiplies
in bfloat16, for which few processors have instructions.
"""

import torch

LR = 0.02 / 3e-3  # Muon's peak learning rate, as a multiple of AdamW's
WEIGHT_DECAY = 0.1  # its updates all have the same size, so unused weights never shrink without it (Liu et al. 2025)


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal (Jordan et al. 2024): every direction of a weight matrix is moved equally far. For
    matrices (out, in) inside the blocks only; c_attn's weight is three matrices."""

    def __init__(self, matrices, lr, weight_decay, momentum=0.95):
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        (group,) = self.param_groups
        by_shape = {}  # products of many small matrices at once are faster than one by one
        for weight in group["params"]:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            average = self.state[weight].setdefault("average", torch.zeros_like(weight))
            average.lerp_(weight.grad, 1 - group["momentum"])
            update = weight.grad.lerp(average, group["momentum"])
            thirds = 3 if weight.shape[0] == 3 * weight.shape[1] else 1
            for pair in zip(weight.chunk(thirds), update.chunk(thirds)):
                by_shape.setdefault(pair[0].shape, []).append(pair)
        for (n_out, n_in), pairs in by_shape.items():
            weights, updates = zip(*pairs)
            for weight, update in zip(weights, orthogonalize(torch.stack(updates))):  # (number of matrices, out, in)
                weight.sub_(update, alpha=group["lr"] * max(1, n_out / n_in) ** 0.5)


def orthogonalize(matrices, steps=5):
    """(n, out, in) -> the nearest matrices whose singular values are all about 1. Quintic Newton-Schulz iteration, which
    needs matrix products only."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT.contiguous() if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT  # next: x <- 3.4445 x + (-4.7750 square + 2.0315 square @ square) @ x
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.mT if tall else x


def muon_and_adamw(model, lr, adamw):
    """Muon for the matrices of the blocks, `adamw` (a function of parameters and learning rate) for everything else."""
    matrices = [p for p in model.h.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if all(p is not matrix for matrix in matrices)]
    return [adamw(rest, lr), Muon(matrices, lr * LR, WEIGHT_DECAY)]
