"""The edge of a program: it ends in one line, whatever the terminal and whatever you typed."""

import argparse
import os
import resource
import subprocess
import sys
import threading

import pytest
import torch
from helpers import ROOT, noisy_gpt
from small import short_answers, write_files  # noqa: F401

import train_sft
from common import flags, table
from common.checkpoint import save_json
from common.cli import UserError, cli_main, escape_control_chars
from data import Row, Tokenizer, Turn
from extras import evaluate
from generate import Assistant, Sampling, sample_next

BYTES = Tokenizer([bytes([byte]) for byte in range(256)])


def test_control_characters_are_shown():
    plain = "a\tb\n\u00e9 \uae00 \U0001f600"
    assert escape_control_chars(plain) == plain
    assert escape_control_chars("\x1b[2J\r\x00\x7f\x9b\u202e") == r"\x1b[2J\r\x00\x7f\x9b\u202e"


ENDS = [
    (UserError("a: b. Do c."), 2, "a: b. Do c."),
    (UserError("a\x1b[2J\nb"), 2, r"a\x1b[2J b"),
    (OSError(28, "No space left on device"), 2, "No space left"),
    (MemoryError(), 2, "not enough memory"),
    (RuntimeError("can't allocate memory"), 2, "not enough memory"),
    (KeyboardInterrupt(), 130, "stopped"),
    (BrokenPipeError(), 1, ""),
]


@pytest.mark.parametrize(("error", "status", "message"), ENDS, ids=repr)
def test_a_program_ends_in_one_line(error, status, message, capsys, monkeypatch):
    def fail(argv):
        raise error

    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back afterwards
    assert cli_main(fail)() == status
    line = capsys.readouterr().err
    assert message in line and line.count("\n") == bool(message)


def test_a_defect_of_the_program_is_not_hidden():
    def fail(argv):
        raise RuntimeError("shape")

    with pytest.raises(RuntimeError, match="shape"):
        cli_main(fail)()


# --------------------------------------------------------------------------------------------------
# Terminals. A program without torch starts fifty times as fast as one with it.

PROGRAM = """
import sys
from common.cli import cli_main, escape_control_chars
def main(argv):
    for _ in range({lines}):
        print(escape_control_chars("\\uae00 \\x1b[2J"))
    sys.stdin.read()
sys.exit(cli_main(main)())
"""


def shell(ending="", lines=1, **env):
    """Run a program that prints Korean and a control character. Returns the finished process."""
    command = [sys.executable, "-c", PROGRAM.format(lines=lines)]
    script = f'"$0" "$@" {ending}'
    return subprocess.run(
        ["bash", "-c", script, *command], cwd=ROOT, env=os.environ | env, capture_output=True
    )


@pytest.mark.parametrize("env", [
    {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"},
    {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
], ids=str)  # fmt: skip
def test_a_terminal_that_cannot_show_korean_shows_question_marks(env):
    done = shell("< /dev/null", **env)
    assert (done.returncode, done.stdout) == (0, rb"? \x1b[2J" + b"\n")


@pytest.mark.parametrize(("ending", "status"), [
    (">&- < /dev/null", 0), ("> /dev/full < /dev/null", 2), (">&- 2>&- <&-", 0),
    ("< /dev/null | head -c 1; exit ${PIPESTATUS[0]}", 1),
])  # fmt: skip
def test_a_closed_or_full_terminal_is_no_traceback(ending, status):
    done = shell(ending, lines=100_000)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr
    assert done.stderr.count(b"\n") <= 1


PROGRAMS = ("train_sft.py", "generate.py", "data.py", "-m extras.evaluate", "-m extras.judge")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_missing_package_is_one_line(program):
    done = subprocess.run(
        [sys.executable, "-S", *program.split()], cwd=ROOT, capture_output=True, text=True
    )  # -S: without the packages of the environment
    assert done.returncode == 2
    assert done.stderr.startswith("error: PyTorch is not installed for this Python (")
    assert sys.executable in done.stderr or os.path.realpath(sys.executable) in done.stderr
    assert "pip install -r requirements.txt" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("columns", [1, 10, 200])
def test_answers_side_by_side_fit_any_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    torch.manual_seed(0)
    model = Assistant(noisy_gpt(vocab_size=257, block_size=128), BYTES, "plain")
    models = dict.fromkeys(("base_raw", "base_template", "tuned"), model)
    question = Turn("\ud55c\uad6d\uc758 supercalifragilistic\uae00?", "an input")
    table.print_side_by_side(models, [Row((question,))], Sampling(max_new_tokens=20))
    lines = capsys.readouterr().out.splitlines()
    assert "supercalifragilistic" in "".join(lines)
    narrowest = len("  ab | cd | ef")
    assert max(map(len, lines)) <= max(columns, narrowest)


# --------------------------------------------------------------------------------------------------
# Files.


def test_a_report_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.json"
    save_json(path, {"name": "\udcff \uae00"})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match="report.json: can't be written"):
            save_json(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    pipe, content = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: content.append(pipe.read_text()))
    reader.start()
    save_json(pipe, [1])
    reader.join(timeout=10)
    assert content == ["[\n 1\n]"] and not pipe.is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


# --------------------------------------------------------------------------------------------------
# Flags.

PARSERS = {"train": flags.train_parser, "generate": flags.generate_parser}
RANGES = []
for _name, _make in PARSERS.items():
    for _action in _make()._actions:
        if _action.type and _action.type is not flags.task_names:
            RANGES.append((_name, _action.option_strings[0], _action.type))


def ends_of(kind):
    """Return the ends of a flag's range, (low, high), from the message about a wrong value."""
    with pytest.raises(argparse.ArgumentTypeError) as error:
        kind("nonsense")
    low, high = str(error.value).split("choose from ")[1].split(" to ")
    return low, high


@pytest.mark.parametrize(("parser", "flag", "kind"), RANGES, ids=lambda value: str(value)[:20])
def test_a_range_ends_where_the_message_says(parser, flag, kind):
    low, high = ends_of(kind)
    make, name = PARSERS[parser], flag[2:].replace("-", "_")
    for end in (low, high):
        assert make().parse_given([flag, end])[name] == float(end)
    below, above = float(low) - abs(float(low)) / 2 - 1e-9, float(high) * 1.01 + 1
    if "." not in low and "e" not in low:
        below, above = int(low) - 1, int(high) + 1
    for outside in (below, above, "nan", "inf", "1" * 400, "", "1,5"):
        with pytest.raises(UserError, match="choose from"):
            make().parse_given([f"{flag}={outside}"])


LOWEST = "vocab_size n_head tune_epochs tune_batch replay micro_batch pretrain_steps save_every"
HIGHEST = "pretrain_lr tune_lr lora_lr lora seed save_every tune_batch micro_batch"


@pytest.mark.slow
@pytest.mark.parametrize("end, names", [(0, LOWEST), (1, HIGHEST)])
def test_the_ends_of_ranges_train_or_are_refused_in_one_line(end, names, tmp_path, capsys):
    """Those that would take hours or more memory than there is, as of --n-layer, are not tried."""
    kinds = {flag: kind for parser, flag, kind in RANGES if parser == "train"}
    options = write_files(tmp_path)
    for name in names.split():
        flag = f"--{name.replace('_', '-')}"
        options.append(f"{flag}={ends_of(kinds[flag])[end]}")
    status = train_sft.main([*options, "--out", str(tmp_path / "out")])
    assert status == 0 or "the loss is" in capsys.readouterr().err


WITHOUT_EFFECT = [
    (flags.parse_train, "--base gpt2 --n-embd 64", "--n-embd"),
    (flags.parse_train, "--base gpt2 --corpus text.txt", "--corpus"),
    (flags.parse_train, "--lora-lr 0.01", "--lora-lr"),
    (flags.parse_train, "--base gemma --tune-lr 0.1", "--tune-lr"),
    (flags.parse_train, "--data a.jsonl --corpus a.txt --hold-out legs", "--hold-out"),
    (flags.parse_train, "--fresh --resume", "--fresh"),
    (flags.parse_generate, "--input text", "--input"),
    (flags.parse_generate, "--seed 3", "--seed"),
    (flags.parse_generate, "--top-k 3 --temperature 0", "--top-k"),
    (evaluate.main.__wrapped__, "--save a.json --controls", "--controls"),
]


@pytest.mark.parametrize("parse, options, flag", WITHOUT_EFFECT)
def test_a_flag_that_has_no_effect_is_named(parse, options, flag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{flag}: "):
        parse(options.split())


def test_quick_gives_way_to_what_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert flags.parse_train([]).out == "out" and flags.parse_train(["--quick"]).out == "out/quick"
    config = flags.parse_train(["--quick", "--vocab-size", "300", "--out", "mine"])
    assert (config.vocab_size, config.pretrain_steps, config.out) == (300, 400, "mine")
    assert config.given == {"quick": True, "vocab_size": 300, "out": "mine"}


def test_results_of_own_pairs_get_a_folder_of_their_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my.jsonl", "my.jsonl:0.3", "my.jsonl:1:500", "C:/pairs/my.jsonl"):
        assert flags.parse_train(["--data", name]).out == "out/my"


def test_wrong_values_are_named_with_what_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = {
        "--device cpu:1": "not on this machine", "--device meta": "not on this machine",
        "--n-embd 36 --n-head 5": "multiple of 10", "--block-size 50": "multiple of 16",
        "--hold-out nope": "no such task", "--hold-out ": "no such task",
        "--hold-out " + ",".join(flags.world.TASKS): "every task is held out",
        "--template nope": "chatml", "--nonsense": "--help lists all flags",
    }  # fmt: skip
    for options, message in wrong.items():
        with pytest.raises(UserError, match=message):
            flags.parse_train(options.split(" "))


def test_sampling_at_its_ends_is_greedy():
    logits = torch.tensor([[0.0, 2.0, 2.0, 1.0]])
    generator = torch.Generator().manual_seed(0)
    greedy = [
        {"temperature": 1e-40},
        {"temperature": 1e-7},
        {"temperature": 1e-6, "top_k": 1},
        {"temperature": 1.0, "top_k": 1},
        {"temperature": 10.0, "top_p": 1e-6},
    ]
    for how in greedy:
        for _ in range(5):
            assert sample_next(logits, Sampling(**how), generator).item() == 1, how
    for how in ({"temperature": 10.0, "top_k": 10**6}, {"temperature": 1e-6}):
        assert 0 <= sample_next(logits, Sampling(**how), generator).item() <= 3
