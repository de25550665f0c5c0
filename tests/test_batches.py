"""Batches: every token and every row is read, in the promised order."""

import random
from itertools import pairwise

import pytest
import torch

import data

# --------------------------------------------------------------------------------------------------
# The corpus


def test_a_corpus_is_its_documents_with_an_eos_after_each(tokenizer):
    documents = ["the cat sat", "한국의\n\n수도", "<|endoftext|>"]
    stream = data.encode_corpus(tokenizer, documents)
    assert stream.dtype == torch.long and stream.ndim == 1
    ends = [i for i, token in enumerate(stream.tolist()) if token == tokenizer.eos_id]
    starts = [0] + [i + 1 for i in ends]
    texts = [tokenizer.decode(stream[a:b].tolist()) for a, b in zip(starts, ends)]
    assert texts == documents and ends[-1] == len(stream) - 1


@pytest.mark.parametrize("length", [41, 42, 45, 49])
def test_a_stream_is_read_in_order_and_from_the_start_again(length):
    seq_len, stream = 4, torch.arange(length) + 1000
    once = list(range(1000, 1000 + (length - 1) // seq_len * seq_len))
    for batch_size in (1, 3, 5, 15):  # 15: larger than the stream
        tokens = []
        for step in range(30):
            inputs, targets = data.corpus_batch(stream, step, batch_size, seq_len)
            assert inputs.shape == (batch_size, seq_len)
            assert torch.equal(targets, inputs + 1)  # the stream counts up
            tokens += inputs.flatten().tolist()
        assert tokens == (once * (len(tokens) // len(once) + 1))[: len(tokens)]


def test_a_batch_depends_on_its_step_alone():
    stream = torch.randint(0, 50, (200,), generator=torch.Generator().manual_seed(0))
    first = data.corpus_batch(stream, 11, 3, 8)
    data.corpus_batch(stream, 2, 3, 8)
    again = data.corpus_batch(stream, 11, 3, 8)
    assert all(torch.equal(a, b) for a, b in zip(first, again))


# --------------------------------------------------------------------------------------------------
# Epochs


def numbered_examples(n):
    """Make examples of random lengths whose first id is their number."""
    rng = random.Random(0)
    return [([i] + [7] * rng.randint(1, 100), [0, 1]) for i in range(n)]


@pytest.mark.parametrize("batch_size", [1, 8, 400])
def test_an_epoch_has_every_example_once(batch_size):
    for n in (1, 7, 8, 9, 64, 65, 333):
        rows = numbered_examples(n)
        batches = data.epoch_batches(rows, batch_size, 0)
        assert rows == numbered_examples(n), "the caller's list must not change"
        assert sorted(row for batch in batches for row in batch) == rows
        full, rest = divmod(n, batch_size)
        sizes = [batch_size] * full + [rest] * (rest > 0)
        assert sorted(map(len, batches), reverse=True) == sizes


def test_an_epoch_depends_on_its_seed_alone():
    rows = numbered_examples(200)
    first = data.epoch_batches(rows, 8, 3)
    random.random()  # the global generator doesn't matter
    assert data.epoch_batches(rows, 8, 3) == first
    assert data.epoch_batches(rows, 8, 4) != first


def test_another_seed_puts_other_rows_together():
    rows = [([i] + [7] * i, [0, 1]) for i in range(200)]  # all lengths differ

    def together(seed):
        batches = data.epoch_batches(rows, 8, seed)
        return {frozenset(ids[0] for ids, _ in batch) for batch in batches}

    assert not together(3) & together(4)


def padding(batches):
    total = 0
    for batch in batches:
        lengths = [len(ids) for ids, _ in batch]
        total += max(lengths) * len(lengths) - sum(lengths)
    return total


def test_rows_of_similar_length_go_together_but_not_in_order_of_length():
    rows = numbered_examples(640)
    shuffled = random.Random(1).sample(rows, len(rows))
    at_random = [shuffled[i : i + 16] for i in range(0, len(shuffled), 16)]
    batches = data.epoch_batches(rows, 16, 0)
    assert padding(batches) < padding(at_random) / 3
    longest = [max(len(ids) for ids, _ in batch) for batch in batches]
    n_up = sum(a < b for a, b in pairwise(longest))
    assert 8 < n_up < len(longest) - 8
