"""Pretrain on your own text, a UTF-8 file of any size.

    python train_sft.py --corpus my_text.txt
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch.distributed as dist

from common.checkpoint import atomic_write
from common.cli import UserError
from data import EOS, Tokenizer
from extras.datasets import NOT_UTF8, read_lines

MAX_DOCUMENT = 2**20  # characters; longer documents are cut
MAX_SAMPLE = 20_000_000  # characters to train the tokenizer on


def split_lines(path: str | Path) -> Iterator[str]:
    """Cut a text at blank lines and at every <|endoftext|>. Some of the parts may be blank."""
    lines, size = [], 0
    for number, line in enumerate(read_lines(path, MAX_DOCUMENT), 1):
        if NOT_UTF8.search(line):
            raise UserError(f"{path}:{number}: not UTF-8. Save the file as UTF-8 and try again.")
        lines.append(line)
        size += len(line)
        if EOS in line:
            *documents, rest = "".join(lines).split(EOS)
            yield from documents
            lines, size = [rest], len(rest)
        if not line.strip() or size >= MAX_DOCUMENT:
            yield "".join(lines)
            lines, size = [], 0
    yield "".join(lines)


def read_documents(path: str | Path) -> Iterator[str]:
    """Read a text. Yields its documents, which end at a blank line or an <|endoftext|>."""
    return filter(None, map(str.strip, split_lines(path)))


def open_corpus(path: str | Path, out: str | Path) -> tuple[list[str], Callable]:
    """Read the beginning of a corpus, to train the tokenizer on. Returns these documents and a
    function that does for the whole corpus what data.encode_corpus does, but in a file of `out`."""
    documents, size = [], 0
    for document in read_documents(path):
        documents.append(document)
        size += len(document)
        if size > MAX_SAMPLE:
            break
    if not documents:
        raise UserError(f"{path}: the file is empty. It should contain text.")

    def encode_all(tokenizer: Tokenizer) -> np.ndarray:
        eos = [tokenizer.eos_id]
        dtype = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
        ids = (np.array(tokenizer.encode(text) + eos, dtype) for text in read_documents(path))
        file_of_tokens = Path(out) / "corpus.tokens"
        is_distributed = dist.is_initialized()
        if not is_distributed or dist.get_rank() == 0:
            atomic_write(file_of_tokens, lambda file: file.writelines(ids))
        if is_distributed:
            dist.barrier()  # the other processes wait for the file
        return np.memmap(file_of_tokens, dtype, "r")

    return documents, encode_all
