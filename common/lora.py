"""LoRA (Hu et al. 2021, "Low-Rank Adaptation"): keep W, and train a small correction of it.

y = W x + (alpha / rank) B A x

    x ──> W (out, in), frozen ───────────────────────────────────────────> + ──> y
    └───> A (rank, in), random ──> B (out, rank), zero ──> alpha / rank ───┘

`add_lora` works on any model that is made of nn.Linear: the GPT in model.py, or Gemma."""

import torch
import torch.nn.functional as F
from torch import nn


class LoRA(nn.Module):
    """Wraps a linear layer. B starts at zero, so training starts at exactly the old layer."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, generator=None):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.scale = alpha / rank
        self.enabled = True
        A = torch.empty(rank, linear.in_features)
        A.normal_(std=linear.in_features**-0.5, generator=generator)
        self.lora_A = nn.Parameter(A)
        self.lora_B = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.to(linear.weight.device)

    def forward(self, x):
        y = self.linear(x)
        if self.enabled:
            y = y + F.linear(F.linear(x, self.lora_A), self.lora_B * self.scale)
        return y

    def merge(self) -> nn.Linear:
        """Add the correction to W for good. Returns the plain linear layer."""
        self.linear.weight.data += self.scale * (self.lora_B @ self.lora_A).detach()
        return self.linear


LORA_TARGETS = ("c_attn", "c_proj", "c_fc")  # every linear layer of a block


def children_of_type(model: nn.Module, kind: type) -> list:
    """List all (parent, name, child) where the child is of that type."""
    children = []
    for parent in model.modules():
        children += [(parent, name, child) for name, child in parent.named_children()]
    return [child for child in children if isinstance(child[2], kind)]


def add_lora(model, rank: int, alpha: float, targets=LORA_TARGETS, seed: int = 0) -> None:
    """Freeze the model and wrap its linear layers called `targets`. Now only A and B train."""
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)  # its own, so earlier draws change nothing
    for parent, name, linear in children_of_type(model, nn.Linear):
        if name in targets:
            setattr(parent, name, LoRA(linear, rank, alpha, generator))
    model.lora = {"rank": rank, "alpha": alpha, "targets": list(targets)}


def enable_lora(model: nn.Module, enabled: bool) -> None:
    """Switch all LoRA layers on or off. Off, the model is its base."""
    for _, _, lora in children_of_type(model, LoRA):
        lora.enabled = enabled


def merge_lora(model: nn.Module) -> None:
    """Merge and unwrap every LoRA layer. The result is a plain model again."""
    for parent, name, lora in children_of_type(model, LoRA):
        setattr(parent, name, lora.merge())
    model.lora = None
