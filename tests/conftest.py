"""One thread for all tests: their models are so small that threads would wait for each other."""

import contextlib
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import TRAINING_TEXT, write_own_files

from data import Tokenizer, train_bpe

LESSONS = Path(__file__).parents[1] / "lessons"
sys.path[:0] = [str(LESSONS / "teaching"), str(LESSONS)]  # the lessons' own modules
os.environ["OMP_NUM_THREADS"] = "1"  # for train_sft.main, which else tries how many are fastest
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(train_bpe(TRAINING_TEXT, 400))


@pytest.fixture(scope="session")
def byte_tokenizer():
    """Make a tokenizer of one token a byte: you can count the tokens of a text."""
    return Tokenizer([bytes([byte]) for byte in range(256)])


@pytest.fixture(scope="session")
def own_flags(tmp_path_factory):
    """Flags of a tiny run on own files, without --out."""
    return write_own_files(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="session")
def tiny_run(own_flags, tmp_path_factory):
    """Run the main job once, with an adapter. Don't change the files in `tiny_run.out`."""
    import train_sft

    out = tmp_path_factory.mktemp("run")
    flags = [*own_flags, "--lora", "2"]
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen):
        assert train_sft.main([*flags, "--out", str(out)]) == 0
    return SimpleNamespace(out=out, screen=screen.getvalue(), flags=flags)
