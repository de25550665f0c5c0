"""Muon, an optimizer that pretrains this model in about half the tokens that AdamW needs.

Tuning uses AdamW. PyTorch ships a Muon, too, but it always multiplies in bfloat16, for which few
processors have instructions."""

from collections import defaultdict

import torch

LR = 0.02 / 3e-3  # Muon's peak learning rate, as a multiple of AdamW's
WEIGHT_DECAY = 0.1  # unused weights never shrink without it (Liu et al. 2025)
MOMENTUM = 0.95
A, B, C = 3.4445, -4.7750, 2.0315  # coefficients of the iteration below (Jordan et al. 2024)


class Muon(torch.optim.Optimizer):
    """Orthogonalized momentum (Jordan et al. 2024): moves every direction of a matrix equally far.

    Only for matrices (out, in) inside the blocks. The weight of c_attn is three matrices."""

    def __init__(self, matrices, lr: float, weight_decay: float):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        (group,) = self.param_groups

        # momentum; matrices of equal shape are collected, since one product of many is faster
        by_shape = defaultdict(list)
        for weight in group["params"]:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            average = self.state[weight].setdefault("average", torch.zeros_like(weight))
            average.lerp_(weight.grad, 1 - MOMENTUM)
            update = weight.grad.lerp(average, MOMENTUM)
            thirds = 3 if weight.shape[0] == 3 * weight.shape[1] else 1
            for pair in zip(weight.chunk(thirds), update.chunk(thirds)):
                by_shape[pair[0].shape].append(pair)

        # orthogonalize and update
        for (n_out, n_in), pairs in by_shape.items():
            weights, updates = zip(*pairs)
            scale = group["lr"] * max(1, n_out / n_in) ** 0.5
            for weight, update in zip(weights, orthogonalize(torch.stack(updates))):
                weight.sub_(update, alpha=scale)


def orthogonalize(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return the nearest matrices whose singular values are all about 1; (n, out, in) both.

    This is a quintic Newton-Schulz iteration. It needs only matrix products."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT.contiguous() if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT  # next: x <- A x + (B square + C square @ square) @ x
        polynomial = torch.baddbmm(square, square, square, beta=B, alpha=C)
        x = torch.baddbmm(x, polynomial, x, beta=A)
    return x.mT if tall else x


def muon_and_adamw(model, lr: float, adamw) -> list:
    """Use Muon for the matrices of the blocks, and adamw(parameters, lr) for everything else."""
    matrices = [p for p in model.h.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if all(p is not matrix for matrix in matrices)]
    return [adamw(rest, lr), Muon(matrices, lr * LR, WEIGHT_DECAY)]
