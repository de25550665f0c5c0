"""Helpers for the checks of several lessons."""

import contextlib
import functools
import importlib
import inspect
from collections.abc import Callable

import torch

from model import IGNORE


def call(function: Callable, *args):
    """Call the learner's function. A crash in it becomes a failed check, and an empty exercise
    stays NotImplementedError."""
    try:
        return function(*args)
    except (NotImplementedError, AssertionError):
        raise
    except Exception as error:
        message = f"your function stopped with {type(error).__name__}: {error}"
        raise AssertionError(message) from error


def by_hand(*names: str):
    """Decorate a check. While the learner's function runs, these functions refuse to work, because
    the exercise is to write them: by_hand("data.shift", "torch.logsumexp")."""

    def wrap(check):
        @functools.wraps(check)
        def guarded(function, *more):
            @functools.wraps(function)
            def alone(*args, **kwargs):
                with switch_off(names):
                    return function(*args, **kwargs)

            return check(alone, *more)

        guarded.by_hand = names
        return guarded

    return wrap


def find(path: str) -> tuple:
    """Find an object: "torch.Tensor.log_softmax" -> (torch.Tensor, "log_softmax")."""
    parent, _, name = path.rpartition(".")
    try:
        return importlib.import_module(parent), name
    except ModuleNotFoundError:
        owner, attribute = find(parent)
        return getattr(owner, attribute), name


def refuse(*args, **kwargs):
    message = "this function does the whole job, so it is switched off here: write it yourself"
    raise AssertionError(message)


def refuse_generator(*args, **kwargs):
    # its code runs as part of another function, so it can use no name of this file
    message = "this function does the whole job, so it is switched off here: write it yourself"
    raise AssertionError(message)
    yield


@contextlib.contextmanager
def switch_off(names: tuple[str, ...]):
    """Make these functions refuse to work inside a `with` block.

    A Python function gets another code object, so it refuses however it was imported. A function of
    torch has none, so we replace it in its module. For a class we replace __init__."""
    with contextlib.ExitStack() as undo:
        for owner, name in map(find, names):
            function = inspect.unwrap(getattr(owner, name))
            if inspect.isclass(function):
                owner, name, function = function, "__init__", function.__init__
            if hasattr(function, "__code__") and not function.__closure__:
                is_generator = inspect.isgeneratorfunction(function)
                undo.callback(setattr, function, "__code__", function.__code__)
                function.__code__ = (refuse_generator if is_generator else refuse).__code__
            elif name in vars(owner):
                undo.callback(setattr, owner, name, function)
                setattr(owner, name, refuse)
            else:  # an inherited method: remove ours afterwards
                undo.callback(delattr, owner, name)
                setattr(owner, name, refuse)
        yield


def tensor(result, name: str) -> torch.Tensor:
    """Return a tensor, made from lists if need be. `name` is used in the message if it fails."""
    try:
        return result if torch.is_tensor(result) else torch.as_tensor(result)
    except (TypeError, ValueError, RuntimeError):
        message = f"{name}: expected a tensor, you have a {type(result).__name__}"
        raise AssertionError(message) from None


def call_on_targets(function: Callable, seed: int) -> tuple:
    """Call a function of logits and targets on random logits (3, 5, 7) and targets (3, 5), partly
    IGNORE. Returns logits, targets and the result, one number a row: (3,)."""
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(seed))
    i = IGNORE
    targets = torch.tensor([[i, 2, 3, 6, i], [i, i, 1, 0, 4], [i, 5, i, i, i]])
    original = targets.clone()
    result = call(function, logits, targets)
    message = "the targets passed in have changed; IGNORE must stay IGNORE in them"
    assert torch.equal(targets, original), message
    if isinstance(result, (list, tuple)):  # one number a row, as floats or as tensors
        is_tensors = len(result) > 0 and torch.is_tensor(result[0])
        result = torch.stack(list(result)) if is_tensors else tensor(result, "the result")
    is_vector = torch.is_tensor(result) and result.shape == (3,)
    assert is_vector, "return one number a row: a tensor of shape (B,)"
    return logits, targets, result
