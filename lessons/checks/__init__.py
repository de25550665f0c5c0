"""What several lessons' checks need."""

import contextlib
import functools
import importlib
import inspect

import torch

from model import IGNORE


def called(function, *args):
    """The function's result; a crash inside it becomes a failed check. An empty exercise stays NotImplementedError."""
    try:
        return function(*args)
    except (NotImplementedError, AssertionError):
        raise
    except Exception as error:
        raise AssertionError(f"your function stopped with {type(error).__name__}: {error}") from error


def by_hand(*names):
    """For a check: while the learner's function runs, these functions refuse to work, because the exercise is to write
    what they do. by_hand("data.shift", "torch.logsumexp"); by_hand() where nothing else does the same job."""

    def wrap(check):
        @functools.wraps(check)
        def guarded(function, *more):
            @functools.wraps(function)
            def alone(*args, **kwargs):
                with refused(names):
                    return function(*args, **kwargs)

            return check(alone, *more)

        guarded.by_hand = names
        return guarded

    return wrap


def find(name):
    """ "torch.Tensor.log_softmax" -> (its owner, "log_softmax")"""
    path, _, last = name.rpartition(".")
    try:
        return importlib.import_module(path), last
    except ModuleNotFoundError:
        owner, attribute = find(path)
        return getattr(owner, attribute), last


def write_it_yourself(*args, **kwargs):
    raise AssertionError("this function does the whole job, so it is switched off here: write it yourself")


def generate_it_yourself(*args, **kwargs):
    """The same body for a generator; it finds no name of this file, since it runs as part of another one."""
    raise AssertionError("this function does the whole job, so it is switched off here: write it yourself")
    yield


@contextlib.contextmanager
def refused(names):
    """A Python function gets another body for as long, so that it refuses however it was imported. A function of torch
    has no such body; it is replaced where it lives, and so is the method with which a class makes its objects."""
    with contextlib.ExitStack() as undo:
        for owner, name in map(find, names):
            function = inspect.unwrap(getattr(owner, name))
            if inspect.isclass(function):  # what cannot be made, or inherited from, does no job
                owner, name, function = function, "__init__", function.__init__
            if hasattr(function, "__code__") and not function.__closure__:
                undo.callback(setattr, function, "__code__", function.__code__)
                generator = inspect.isgeneratorfunction(function)
                function.__code__ = (generate_it_yourself if generator else write_it_yourself).__code__
            else:
                own = name in vars(owner)  # a method may be inherited: then there is nothing to put back
                undo.callback(*((setattr, owner, name, function) if own else (delattr, owner, name)))
                setattr(owner, name, write_it_yourself)
        yield


def tensor(result, what):
    """A tensor, or lists that can become one."""
    try:
        return result if torch.is_tensor(result) else torch.as_tensor(result)
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{what}: expected a tensor, you have a {type(result).__name__}") from None


def on_some_targets(function, seed):
    """Random logits (3, 5, 7) and targets (3, 5), some of them IGNORE -> logits, targets, what the function says: (3,)."""
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(seed))
    targets = torch.tensor([[IGNORE, 2, 3, 6, IGNORE], [IGNORE, IGNORE, 1, 0, 4], [IGNORE, 5, IGNORE, IGNORE, IGNORE]])
    kept = targets.clone()
    found = called(function, logits, targets)
    assert torch.equal(targets, kept), "the targets that were given have changed; IGNORE must stay IGNORE in them"
    if isinstance(found, (list, tuple)):  # one number a row, as floats or as tensors
        found = torch.stack(list(found)) if found and torch.is_tensor(found[0]) else tensor(found, "the result")
    assert torch.is_tensor(found) and found.shape == (3,), "give one number a row: a tensor of shape (B,)"
    return logits, targets, found
