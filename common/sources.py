"""Where the pairs and the text of a run come from: the built-in world, or your own files."""

from collections.abc import Callable
from dataclasses import dataclass, field

import world
from common.cli import UserError
from common.table import world_rows
from data import TEMPLATES, Row, Tokenizer, encode_corpus, train_bpe

VAL_TOKENS = 20_000  # held back from the end of the corpus, for the validation loss
WORLD_TOKENS = 2_068_000  # tokens of the built-in world's corpus at size 1
HEADER_COUNT = 300  # times the tokenizer sees the template, so that a header is few tokens


@dataclass
class Pairs:
    """Rows to tune on, held-out rows by split, and why rows of a file were dropped."""

    rows: list[Row]
    splits: dict[str, list[Row]]
    dropped: dict[str, list[str]] = field(default_factory=dict)  # reason -> [file:line]


def world_pairs(config) -> Pairs:
    """Make the pairs of the built-in world."""
    built = world.build(config.seed, config.hold_out, size=0)
    return Pairs([Row.from_dict(pair) for pair in built.pairs], world_rows(built))


def world_corpus(config) -> tuple[list[str], Callable]:
    """Make the world's documents, as many as will be read, and a function that tokenizes them."""
    n_tokens = config.pretrain_steps * config.pretrain_batch * config.seq_len + VAL_TOKENS
    documents = world.build(config.seed, config.hold_out, n_tokens / WORLD_TOKENS).corpus
    return documents, lambda tokenizer: encode_corpus(tokenizer, documents)


def train_tokenizer(documents: list[str], config) -> Tokenizer:
    """Learn the byte pairs of the corpus and of the template."""
    t = TEMPLATES[config.template]
    headers = "".join((t.preamble, t.instruction, t.input, t.response))
    text = "\n".join(documents) + headers * HEADER_COUNT
    return Tokenizer(train_bpe(text, config.vocab_size))


def split_off_validation(config, tokens):
    """Split the corpus into training and validation tokens."""
    if len(tokens) < 3 * config.seq_len:
        reason = f"{len(tokens)} tokens are fewer than three times {config.seq_len}"
        raise UserError(f"{config.corpus}: {reason}. Add text.")
    n_val = max(config.seq_len + 1, min(VAL_TOKENS, len(tokens) // 20))
    return tokens[:-n_val], tokens[-n_val:]
