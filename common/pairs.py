"""The pairs and the text of a run, and how they are mixed for tuning."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from common.checkpoint import hash_tensors
from common.cli import UserError
from common.table import LEARNED
from data import TEMPLATES, Row, Tokenizer, corpus_batch, prepare, train_bpe

VAL_BATCHES = 8
VAL_TOKENS = 20_000  # held back from the end of the corpus, for the validation loss
HEADER_COUNT = 300  # times the tokenizer sees the template, so that a header is few tokens
N_ASKED = 100  # questions of a kind that are asked after tuning on your own pairs


@dataclass
class Pairs:
    """Rows to tune on, held-out rows by split, and why rows of a file were dropped."""

    rows: list[Row]
    splits: dict[str, list[Row]]
    dropped: dict[str, list[str]] = field(default_factory=dict)  # reason -> [file:line]
    replay: list[Row] = field(default_factory=list)  # other pairs, to mix in


@dataclass
class Corpus:
    """Documents, and a function that tokenizes all of them as one stream."""

    name: str
    documents: list[str]
    encode_all: Callable
    pretrains: bool = True  # False: all of it is held back, to measure the loss

    def tokenize(self, tokenizer, seq_len: int) -> None:
        """Tokenize, and hold the end back. Sets train_tokens, val_tokens and hash."""
        tokens = self.encode_all(tokenizer)
        self.hash = hash_tensors(tokens)
        if not self.pretrains:
            self.val_tokens = tokens
            return
        if len(tokens) < 3 * seq_len:
            reason = f"{len(tokens)} tokens are fewer than three times {seq_len}"
            raise UserError(f"{self.name}: {reason}. Add text.")
        n_val = max(seq_len + 1, min(VAL_TOKENS, len(tokens) // 20))
        self.train_tokens, self.val_tokens = tokens[:-n_val], tokens[-n_val:]

    @torch.inference_mode()
    def val_loss(self, assistant, config) -> float:
        """Compute the loss on the held-back text, in nats per token.

        It tells how well a model still knows its corpus."""
        assistant.set_lora()
        model, device = assistant.model, assistant.model.device()
        seq_len = min(config.seq_len, model.config.block_size)
        n_sequences = (len(self.val_tokens) - 1) // seq_len
        batch_size = min(config.pretrain_batch, n_sequences)
        total = count = 0
        for step in range(min(VAL_BATCHES, n_sequences // batch_size)):
            batch = corpus_batch(self.val_tokens, step, batch_size, seq_len)
            inputs, targets = (part.to(device) for part in batch)
            total += model(inputs, targets).item()
            count += targets.numel()
        return total / count


def train_tokenizer(documents: list[str], config) -> Tokenizer:
    """Learn the byte pairs of the corpus and of the template."""
    t = TEMPLATES[config.template]
    headers = "".join((t.preamble, t.instruction, t.input, t.response))
    text = "\n".join(documents) + headers * HEADER_COUNT
    return Tokenizer(train_bpe(text, config.vocab_size))


def own_pairs(own: Pairs, known: Pairs) -> Pairs:
    """Tune on your own pairs, with a share of the pairs that the base is usually tuned on.

    Afterwards we ask three kinds of questions: your own pairs (are they learned?), those of your
    prompts that were held out, and the usual held-out ones (what was forgotten?)."""
    asked = own.rows[:N_ASKED]
    learned = [replace(row, check={"same": [row.turns[-1].output]}) for row in asked]
    usual = [row for split in known.splits.values() for row in split]
    usual = random.Random(0).sample(usual, min(N_ASKED, len(usual)))
    held_out = [row for split in own.splits.values() for row in split]
    splits = {LEARNED: learned, "your_held_out": held_out, "other_questions": usual}
    splits = {name: rows for name, rows in splits.items() if rows}
    return Pairs(own.rows, splits, own.dropped, known.rows)


def with_replay(config, examples, pairs: Pairs, corpus: Corpus, tokenizer, block_size) -> list:
    """Mix in `config.replay` examples per pair of what the base knows: documents of its corpus, and
    with your own pairs, other pairs. Tuning then forgets less (Scialom et al. 2022).

    Few pairs are repeated until there are `config.min_rows`."""
    rng = random.Random(config.seed)
    examples = examples * max(1, math.ceil(config.min_rows / len(examples)))
    n_replay = round(config.replay * len(examples))

    # other pairs, three quarters of it if there are documents, too
    n_pairs = 0
    if pairs.replay:
        n_pairs = n_replay * 3 // 4 if corpus.documents else n_replay
        rows = rng.sample(pairs.replay, min(n_pairs, len(pairs.replay)))
        examples = examples + prepare(rows, tokenizer, config.template, block_size)[0]

    # documents, every token supervised
    n_documents = min(len(corpus.documents), n_replay - n_pairs)
    replay = []
    for text in rng.sample(corpus.documents, n_documents):
        ids = [tokenizer.start_id, *tokenizer.encode(text), tokenizer.eos_id][: block_size + 1]
        replay.append((ids, [1] * len(ids)))
    return examples + replay
