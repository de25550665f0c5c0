"""The smallest run there is: sixty pairs and a page of text, a second for all of it."""

import functools
import json

import pytest

import train_sft
from common import pairs, run
from common.log import read_log
from generate import Sampling

SIZES = "--n-layer 1 --n-embd 16 --n-head 2 --vocab-size 300 --block-size 64 --pretrain-steps 6"
TUNING = "--tune-epochs 1 --tune-batch 20 --replay 0.1 --dtype float32"
SENTENCE = "One two three four, five. "


@pytest.fixture(scope="module", autouse=True)
def short_answers():
    """Answers of two tokens: what a model this small says is no matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "PROBE_TOKENS", 1)
        patch.setattr(pairs, "VAL_BATCHES", 1)
        patch.setattr(train_sft, "Sampling", functools.partial(Sampling, max_new_tokens=2))
        yield


def write_pairs(path, answer="{}", n=60):
    """Write n pairs whose answer is their number, in the form `answer`."""
    rows = [{"instruction": f"Say {i}.", "output": answer.format(i)} for i in range(n)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")


def write_files(folder):
    """Write pairs.jsonl and text.txt. Returns the flags of a run on them, without --out."""
    write_pairs(folder / "pairs.jsonl")
    (folder / "text.txt").write_text((SENTENCE * 8 + "\n\n") * 40, encoding="utf-8")
    files = ["--corpus", folder / "text.txt", "--data", folder / "pairs.jsonl"]
    return [*SIZES.split(), *TUNING.split(), *map(str, files)]


def run_main(*options, code=0):
    """Run the main job in this process."""
    assert train_sft.main(list(map(str, options))) == code


def refusal(capsys, *options, main=train_sft.main):
    """Run a command that must be refused. Returns its one line."""
    capsys.readouterr()
    assert main(list(map(str, options))) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    return error


def files_of(folder):
    """Return the bytes of every file in a folder, but the lock and what every run makes anew."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in files if path.name not in (".lock", "corpus.tokens")]
    return {path.relative_to(folder): path.read_bytes() for path in kept}


def losses(out, stages=("pretrain", "tune", "lora")):
    """Return the losses in the log: [(stage, step, loss)]."""
    records = [record for record in read_log(out / "log.jsonl") if "loss" in record]
    return [(r["stage"], r["step"], r["loss"]) for r in records if r["stage"] in stages]
