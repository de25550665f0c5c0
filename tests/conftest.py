"""One thread for all tests: their models are so small that threads would only wait for each other."""

import os

import pytest
import torch
from helpers import TRAINING_TEXT

from data import Tokenizer, train_bpe

os.environ["OMP_NUM_THREADS"] = "1"  # for train_sft.main, which else tries how many are fastest
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(train_bpe(TRAINING_TEXT, 400))


@pytest.fixture(scope="session")
def byte_tokenizer():
    """One token a byte: the length of a text in tokens can be read off the text."""
    return Tokenizer([bytes([byte]) for byte in range(256)])
