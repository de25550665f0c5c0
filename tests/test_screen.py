"""The edge of a program: it ends in one line, whatever the terminal, and says what it cannot do."""

import json
import os
import resource
import subprocess
import sys
import threading

import pytest
import torch
from helpers import ROOT, TINY, run

import train_sft
from data import UserError
from common import flags
from common.checkpoint import load_checkpoint, save_checkpoint, save_json
from common.run import Run
from common.cli import program, visible


def test_control_characters_are_shown():
    assert visible("a\tb\n\u00e9 \uae00 \U0001f600") == "a\tb\n\u00e9 \uae00 \U0001f600"
    assert visible("\x1b[2J\r\x00\x7f\x9b\u202e") == r"\x1b[2J\r\x00\x7f\x9b\u202e"


ENDS = [(UserError("a: b. Do c."), 2, "a: b. Do c."), (OSError(28, "No space left on device"), 2, "No space left"),
        (MemoryError(), 2, "not enough memory"), (RuntimeError("can't allocate memory"), 2, "not enough memory"),
        (KeyboardInterrupt(), 130, "stopped"), (UserError("a\x1b[2J\nb"), 2, r"a\x1b[2J b"), (BrokenPipeError(), 1, "")]


@pytest.mark.parametrize(("error", "status", "said"), ENDS, ids=repr)
def test_a_program_ends_in_one_line(error, status, said, capsys, monkeypatch):
    def fail(argv):
        raise error

    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back afterwards
    assert program(fail)() == status
    shown = capsys.readouterr().err
    assert said in shown and shown.count("\n") == bool(said)


def test_a_defect_of_the_program_is_not_hidden():
    with pytest.raises(RuntimeError, match="shape"):
        program(lambda argv: (_ for _ in ()).throw(RuntimeError("shape")))()


def shell(command, **env):
    env = os.environ | {"OMP_NUM_THREADS": "1"} | env
    return subprocess.run(command, shell=True, cwd=ROOT, env=env, capture_output=True, timeout=120)


@pytest.fixture
def korean(tmp_path):
    path = tmp_path / "ko.jsonl"
    path.write_text(json.dumps({"instruction": "\uace0\uc591\uc774?", "output": "\uac15 \x1b]0;t\x07"}, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"},
                                 {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}], ids=str)
def test_a_screen_that_cannot_show_korean_shows_question_marks(korean, env):
    done = shell(f"{sys.executable} data.py {korean}", **env)
    assert done.returncode == 0 and b"1 of 1 rows kept" in done.stdout and b"??" in done.stdout
    assert b"\x1b" not in done.stdout and b"\\x1b]" in done.stdout and b"\\x07" in done.stdout


@pytest.mark.parametrize(("ending", "status"), [(">&-", 0), ("> /dev/full", 2), ("| head -c 1; exit ${PIPESTATUS[0]}", 1),
                                               (">&- 2>&- <&-", 0)])
def test_a_closed_or_full_screen_is_no_traceback(korean, ending, status):
    done = shell(f"bash -c '{sys.executable} data.py {' '.join([str(korean)] * 400)} --show 9 {ending}'")
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr and done.stderr.count(b"\n") <= 1


def test_world_help_makes_no_folder(tmp_path):
    env = {"PYTHONPATH": str(ROOT)}
    for word in ("--help", "-x"):
        done = subprocess.run([sys.executable, ROOT / "world.py", word], cwd=tmp_path, env=os.environ | env, capture_output=True)
        assert b"usage:" in done.stdout + done.stderr and not list(tmp_path.iterdir())


def test_a_report_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.json"
    save_json(path, {"name": "\udcff \uae00"})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match="report.json: cannot be written"):
            save_json(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    save_json(pipe, [1])
    reader.join(timeout=10)
    assert got == ["[\n 1\n]"] and [path.name for path in tmp_path.iterdir()] == ["pipe"] and not pipe.is_file()


def test_a_full_disk_under_the_log_is_named(tmp_path):
    job = Run(flags.train([*TINY, "--out", str(tmp_path)]))
    (tmp_path / "log.jsonl").unlink()
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match="log.jsonl: cannot be written"):
        job.log("x" * 100_000)


# ------------------------------------------------------------------------------------------------------------
# A base knows what made it.


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    assert train_sft.main([*TINY, "--out", str(out)]) == 0
    return out


MISMATCHES = ["--seed 1", "--n-embd 64", "--n-layer 3", "--vocab-size 301", "--block-size 64", "--pretrain-lr 1e-3", "--smear 0",
              "--hold-out legs", "--base gpt2", "--pretrain-steps 13"]


@pytest.mark.parametrize("flag", MISMATCHES)
def test_a_flag_that_is_not_that_of_the_base_stops_the_run(made, flag, capsys):
    name, value = flag.split()
    options = ["--quick", "--out", str(made), name, value]
    before = (made / "base.pt").read_bytes()
    assert train_sft.main(options) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {name} ") and "was made with" in said and "--fresh" in said and "another --out" in said
    assert (made / "base.pt").read_bytes() == before


def test_what_is_not_said_is_taken_from_the_base_and_reported(made, capsys):
    assert train_sft.main(["--quick", "--tune-epochs", "0.01", "--out", str(made)]) == 0
    report = json.loads((made / "report.json").read_text())
    assert report["model"]["n_embd"] == report["config"]["n_embd"] == 16 and report["config"]["pretrain_steps"] == 12
    assert train_sft.main(["--out", str(made)]) == 2, "the base of a quick look is not for the real run"
    assert "was made with" in capsys.readouterr().err


def test_a_base_of_another_text_or_of_unknown_origin_is_not_used(made, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("one two three four, five. " * 2000)
    assert train_sft.main(["--quick", "--corpus", str(text), "--out", str(made)]) == 2
    assert f"--corpus {text}: " in capsys.readouterr().err
    content = load_checkpoint(made / "base.pt")
    content.pop("format")
    for change in ({"seed": 0}, None, content["trained_on"] | {"n_embd": "16"}):
        save_checkpoint(tmp_path / "base.pt", **content | {"trained_on": change})
        assert train_sft.main(["--quick", "--out", str(tmp_path)]) == 2
        assert "does not say what made it" in capsys.readouterr().err


def test_a_killed_fresh_run_is_not_resumed_with_the_old_base(made, capsys):
    assert train_sft.main([*TINY, "--seed", "1", "--resume", "--out", str(made)]) == 2
    assert "--seed 1" in capsys.readouterr().err


def test_the_same_command_twice_gives_the_same_adapter(made):
    bits = []
    for _ in range(2):
        assert train_sft.main([*TINY, "--lora", "2", "--out", str(made)]) == 0
        bits.append(load_checkpoint(made / "lora.pt")["adapter"])
        torch.rand(5)
    assert all(torch.equal(bits[0][name], bits[1][name]) for name in bits[0])


def test_quick_has_a_folder_of_its_own_and_gives_way_to_what_is_asked():
    assert flags.train(["--quick"]).out == "out/quick" and flags.train([]).out == "out"
    assert flags.train(["--quick", "--out", "out"]).out == "out"
    assert flags.train(["--quick", "--n-layer", "3"]).n_layer == 3
    with pytest.raises(UserError, match="--n-embd: is of a new base"):
        flags.train(["--base", "gpt2", "--n-embd", "64"])
    for device in ("cpu:abc", "cpu:1", "cuda:99", "meta"):
        with pytest.raises(UserError, match="not on this machine"):
            flags.train(["--device", device])


def test_an_incomplete_resume_file_is_named(made, tmp_path, capsys):
    config = Run(flags.train([*TINY, "--out", str(tmp_path)])).same
    for state in ({"step": 3}, None, {"model": {}, "optimizers": [], "step": 1}):
        save_checkpoint(tmp_path / "resume.pt", stage="pretrain", config=config, state=state)
        assert train_sft.main([*TINY, "--resume", "--out", str(tmp_path)]) == 2
        assert "resume.pt: damaged" in capsys.readouterr().err


def test_generate_with_a_closed_keyboard_ends(made):
    done = shell(f"{sys.executable} generate.py --base {made}/base.pt --tuned {made}/tuned.pt <&-")
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert "usage" in run("generate.py", "--help")
