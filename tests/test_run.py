"""A folder of results: it goes on where it stopped, belongs together, and is never lost unasked."""

import json
import shutil

import pytest
import torch
from small import (
    files_of,
    losses,
    refusal,
    run_main,
    short_answers,  # noqa: F401  a fixture
    write_files,
    write_pairs,
)

import generate
import train_sft
from common import sources
from common.checkpoint import hash_tensors, load_checkpoint, save_checkpoint
from common.pairs import Pairs
from common.run import Run, lock_folder, read_log
from extras import evaluate


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the files of a run, its flags, and its results in `out`."""
    folder = tmp_path_factory.mktemp("finished")
    flags = write_files(folder)
    run_main(*flags, "--lora", 2, "--out", folder / "out")
    return folder, flags


@pytest.fixture
def job(finished, tmp_path):
    """Copy the finished folder. Returns it, and flags with its files and its --out."""
    folder, flags = finished
    shutil.copytree(folder, tmp_path / "job")
    flags = [flag.replace(str(folder), str(tmp_path / "job")) for flag in flags]
    return tmp_path / "job", [*flags, "--lora", "2", "--out", str(tmp_path / "job" / "out")]


def stop(monkeypatch, flags, stage, step=3):
    """Run until that step of a stage, and stop there as Ctrl-C does, but without saving."""
    track, multiplier = Run.track, train_sft.lr_multiplier
    stages = []

    def tracking(run, stage, *rest):
        stages.append(stage)
        return track(run, stage, *rest)

    def stopping(now, steps):
        if stages[-1] == stage and now == step:
            raise KeyboardInterrupt
        return multiplier(now, steps)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "track", tracking)
        patch.setattr(train_sft, "lr_multiplier", stopping)
        run_main(*flags, "--save-every", 1, code=130)


def weights(out):
    """Return the numbers of all checkpoints in a folder."""
    parts = {}
    for name, part in (("base", "model"), ("tuned", "model"), ("lora", "adapter")):
        for key, weight in load_checkpoint(out / f"{name}.pt")[part].items():
            parts[name, key] = weight
    return parts


# --------------------------------------------------------------------------------------------------
# Going on.


@pytest.mark.parametrize("stage", ["pretrain", "tune", "lora"])
def test_a_stopped_run_ends_with_the_same_bits(finished, tmp_path, monkeypatch, stage):
    folder, flags = finished
    flags = [*flags, "--lora", "2", "--out", str(tmp_path / "out")]
    stop(monkeypatch, flags, stage, step=2)
    run_main(*flags, "--resume")
    expected, actual = weights(folder / "out"), weights(tmp_path / "out")
    assert expected.keys() == actual.keys()
    assert all(torch.equal(actual[name], weight) for name, weight in expected.items())
    assert not (tmp_path / "out" / "resume.pt").exists()

    # the log has every step once
    if stage != "lora":  # a stop there tunes the other model again, which begins the log anew
        assert losses(tmp_path / "out") == losses(folder / "out")


def test_a_stopped_run_is_not_thrown_away(job, monkeypatch, capsys):
    folder, flags = job
    stop(monkeypatch, [*flags, "--fresh"], "pretrain")
    before = files_of(folder)
    assert "resume.pt: a run was interrupted here" in refusal(capsys, *flags)
    assert files_of(folder) == before
    run_main(*flags, "--fresh")


@pytest.mark.parametrize(
    "stage, changed",
    [
        ("pretrain", "text.txt"),
        ("tune", "text.txt"),
        ("tune", "pairs.jsonl"),
        ("lora", "pairs.jsonl"),
    ],
)
def test_a_run_does_not_go_on_with_other_data(job, monkeypatch, capsys, stage, changed):
    folder, flags = job
    stop(monkeypatch, [*flags, "--fresh"], stage, step=2)
    if changed == "text.txt":
        (folder / changed).write_text("Six seven, eight nine ten. \n\n" * 300)
    else:
        write_pairs(folder / changed, answer="It is {}.")
    before = files_of(folder)
    line = refusal(capsys, *flags, "--resume")
    assert changed in line and "--fresh" in line
    assert files_of(folder) == before


def test_a_damaged_state_is_named(job, monkeypatch, capsys):
    folder, flags = job
    stop(monkeypatch, [*flags, "--fresh"], "pretrain")
    path = folder / "out" / "resume.pt"
    content = load_checkpoint(path)
    content.pop("format")
    for state in ({"step": 3}, None, {"model": {}, "optimizers": [], "step": 1, "threads": 1}):
        save_checkpoint(path, **content | {"state": state})
        assert "resume.pt: damaged" in refusal(capsys, *flags, "--resume")


def test_equal_hashes_mean_equal_content():
    tokens = torch.arange(5)
    assert hash_tensors(tokens) == hash_tensors(tokens.clone()) != hash_tensors(tokens + 1)
    assert hash_tensors("a") == hash_tensors("a") != hash_tensors("b")


# --------------------------------------------------------------------------------------------------
# What is there stays there.

REFUSED = [
    "--n-layer 6", "--seed 5", "--smear 0", "--hold-out legs", "--pretrain-steps 13",
    "--base missing", "--lora-lr 7", "--data nowhere.jsonl", "--data FOLDER/long.jsonl",
    "--corpus FOLDER/other.txt",
]  # fmt: skip


def test_a_refused_command_changes_no_file(job, capsys):
    folder, flags = job
    (folder / "other.txt").write_text("Another text, of other words. " * 500)
    (folder / "long.jsonl").write_text('{"instruction": "a", "output": "%s"}\n' % ("x " * 999))
    before = files_of(folder)
    for wrong in REFUSED:
        name, value = wrong.replace("FOLDER", str(folder)).split()
        options = [*flags]
        if name in ("--data", "--corpus"):
            place = options.index(name)
            del options[place : place + 2]
        line = refusal(capsys, *options, name, value)
        assert any(word in line for word in (name, value.split("/")[-1], "--block-size")), line
        assert files_of(folder) == before, wrong


def test_two_runs_do_not_share_a_folder(job, capsys):
    folder, flags = job
    before = files_of(folder)
    lock = lock_folder(folder / "out")
    line = refusal(capsys, *flags)
    assert f"{folder / 'out'}: another run is writing there" in line
    assert files_of(folder) == before
    lock.close()
    run_main(*flags)


def test_a_log_with_half_a_line_goes_on(job):
    folder, flags = job
    log = folder / "out" / "log.jsonl"
    records, before = read_log(log), losses(folder / "out", ["pretrain"])
    broken = b'{"stage": "pretrain", "st\n\0\0\n\xff\n'
    log.write_bytes(broken + log.read_bytes())
    assert read_log(log) == records
    run_main(*flags, "--resume")
    assert losses(folder / "out", ["pretrain"]) == before


# --------------------------------------------------------------------------------------------------
# What does not belong together.


def test_a_tuned_model_beside_a_new_base_is_named(job, monkeypatch, capsys):
    folder, flags = job
    stop(monkeypatch, [*flags, "--fresh", "--seed", "5"], "tune", step=2)
    for name in ("tuned.pt", "lora.pt"):
        tuned = folder / "out" / name
        line = refusal(capsys, "--tuned", tuned, "Say 1.", main=generate.main)
        assert f"{tuned}: was t" in line and "another base" in line


def test_what_is_not_typed_is_that_of_the_base(job, capsys):
    folder, flags = job
    options = [flag for flag in flags if flag not in ("--n-embd", "16")]
    run_main(*options)
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["config"]["n_embd"] == 16


def test_a_base_that_does_not_say_what_made_it_is_not_used(job, capsys):
    folder, flags = job
    path = folder / "out" / "base.pt"
    content = load_checkpoint(path)
    content.pop("format")
    for origin in ({"seed": 0}, None, []):
        save_checkpoint(path, **content | {"trained_on": origin})
        assert "doesn't say what made it" in refusal(capsys, *flags)


def test_a_held_out_task_that_is_not_in_the_world_is_named(job, capsys):
    folder, _ = job
    path = folder / "out" / "tuned.pt"
    content = load_checkpoint(path)
    content.pop("format")
    about = {"data": "world", "seed": 0, "hold_out": ["no such task"]}
    save_checkpoint(path, **content | {"trained_on": about})
    assert "held-out tasks" in refusal(capsys, "--tuned", path, main=evaluate.main)


def test_embeddings_are_tuned_only_on_own_pairs(finished, tmp_path, monkeypatch):
    own = weights(finished[0] / "out")
    assert not torch.equal(own["base", "wte.weight"], own["tuned", "wte.weight"])
    trained = []

    def note(config, run, base, examples, lora=0):
        trained.append(base.model.wte.weight.requires_grad)
        raise KeyboardInterrupt

    usual_pairs = sources.usual_pairs
    few = lambda config: Pairs(usual_pairs(config).rows[::200], {})  # noqa: E731
    monkeypatch.setattr(sources, "usual_pairs", few)
    monkeypatch.setattr(train_sft, "tune_base", note)
    sizes = "--quick --n-layer 1 --n-embd 16 --pretrain-steps 1 --vocab-size 300".split()
    run_main(*sizes, "--out", tmp_path, code=130)
    assert trained == [False]
