"""Batches: every token and every row is read, in the promised order."""

import random
from itertools import pairwise

import pytest
import torch

import data

# ------------------------------------------------------------------------------------------------------------
# Batches


def test_a_corpus_is_its_passages_with_an_end_after_each(tokenizer):
    passages = ["the cat sat", "한국의\n\n수도", "<|endoftext|>"]
    stream = data.encode_corpus(tokenizer, passages)
    assert stream.dtype == torch.long and stream.ndim == 1
    ends = [i for i, token in enumerate(stream.tolist()) if token == tokenizer.eos_id]
    starts = [0] + [i + 1 for i in ends]
    assert [tokenizer.decode(stream[a:b].tolist()) for a, b in zip(starts, ends)] == passages
    assert ends[-1] == len(stream) - 1


@pytest.mark.parametrize("length", [41, 42, 45, 49])
@pytest.mark.parametrize("batch_size", [1, 3, 5])
def test_a_stream_is_read_in_order_and_from_the_start_again(length, batch_size):
    window, stream = 4, torch.arange(length) + 1000
    read = []
    for step in range(40):
        inputs, targets = data.corpus_batch(stream, step, batch_size, window)
        assert inputs.shape == targets.shape == (batch_size, window)
        assert torch.equal(targets, inputs + 1)  # the stream counts up, so one later is one more
        read += inputs.flatten().tolist()
    once = list(range(1000, 1000 + (length - 1) // window * window))
    assert read == (once * (len(read) // len(once) + 1))[: len(read)]


def test_a_batch_larger_than_the_stream_goes_round():
    inputs, targets = data.corpus_batch(torch.arange(5), 0, 7, 2)
    assert inputs.tolist() == [[0, 1], [2, 3]] * 3 + [[0, 1]]
    assert targets.tolist() == [[1, 2], [3, 4]] * 3 + [[1, 2]]


def test_a_batch_depends_on_its_step_alone():
    stream = torch.randint(0, 50, (200,), generator=torch.Generator().manual_seed(0))
    first = data.corpus_batch(stream, 11, 3, 8)
    data.corpus_batch(stream, 2, 3, 8)
    assert all(torch.equal(a, b) for a, b in zip(first, data.corpus_batch(stream, 11, 3, 8)))


def some_examples(n, seed=0):
    """Every one has another first id, so that it can be told apart."""
    rng = random.Random(seed)
    return [([i] + [7] * rng.randint(1, 100), [0, 1]) for i in range(n)]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 64, 65, 333])
@pytest.mark.parametrize("batch_size", [1, 8, 400])
def test_an_epoch_has_every_example_once(n, batch_size):
    examples = some_examples(n)
    before = list(examples)
    batches = data.epoch_batches(examples, batch_size, 0)
    assert sorted(example[0][0] for batch in batches for example in batch) == list(range(n))
    assert all(example == examples[example[0][0]] for batch in batches for example in batch)
    assert sorted(map(len, batches), reverse=True)[: n // batch_size] == [batch_size] * (n // batch_size)
    assert len(batches) == -(-n // batch_size)
    assert examples == before  # and the caller's list is left as it was


def test_an_epoch_is_fixed_by_its_seed():
    examples = some_examples(200)
    first = data.epoch_batches(examples, 8, 3)
    random.random()  # the global generator has no say in it
    assert data.epoch_batches(examples, 8, 3) == first
    assert data.epoch_batches(examples, 8, 4) != first


def test_another_seed_puts_other_rows_together():
    examples = [([i] + [7] * i, [0, 1]) for i in range(200)]  # no two of one length, so sorting alone decides all

    def together(seed):
        return {frozenset(ids[0] for ids, _ in batch) for batch in data.epoch_batches(examples, 8, seed)}

    assert not together(3) & together(4)


def padding(batches):
    return sum(max(len(ids) for ids, _ in batch) * len(batch) - sum(len(ids) for ids, _ in batch) for batch in batches)


def test_rows_of_like_length_go_together():
    examples = some_examples(640)
    shuffled = random.Random(1).sample(examples, len(examples))
    at_random = [shuffled[i : i + 16] for i in range(0, len(shuffled), 16)]
    assert padding(data.epoch_batches(examples, 16, 0)) < padding(at_random) / 3


def test_batches_do_not_come_in_the_order_of_their_length():
    longest = [max(len(ids) for ids, _ in batch) for batch in data.epoch_batches(some_examples(640), 16, 0)]
    upward = sum(a < b for a, b in pairwise(longest))
    assert 8 < upward < len(longest) - 8
