"""What several lessons' checks need."""

import torch

from model import IGNORE


def called(function, *args):
    """The function's result; a crash inside it becomes a failed check. An empty exercise stays NotImplementedError."""
    try:
        return function(*args)
    except NotImplementedError:
        raise
    except Exception as error:
        raise AssertionError(f"your function stopped with {type(error).__name__}: {error}") from error


def on_some_targets(function, seed):
    """Random logits (3, 5, 7) and targets (3, 5), some of them IGNORE -> logits, targets, what the function says: (3,)."""
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(seed))
    targets = torch.tensor([[IGNORE, 2, 3, 6, IGNORE], [IGNORE, IGNORE, 1, 0, 4], [IGNORE, 5, IGNORE, IGNORE, IGNORE]])
    kept = targets.clone()
    found = function(logits, targets)
    assert torch.equal(targets, kept), "the targets that were given have changed; IGNORE must stay IGNORE in them"
    assert torch.is_tensor(found) and found.shape == (3,), "give one number a row: a tensor of shape (B,)"
    return logits, targets, found
