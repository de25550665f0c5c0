"""Seconds to an assistant: the draw, the row and the rules of bench/record.py. Its long commands
are replaced by short ones."""

import json
import statistics
import sys
from pathlib import Path

import pytest
from helpers import ROOT

import world

sys.path.insert(0, str(ROOT / "bench"))
import record  # noqa: E402

TABLE = (ROOT / "docs" / "RECORD.md").read_text(encoding="utf-8")
SPLITS = [f"unseen_{name}" for name in record.SCORES]


def test_ten_tasks_are_drawn_and_each_has_its_turn():
    drawn = [record.draw(clock) for clock in range(200)]
    for seeds, tasks in drawn:
        assert len(set(seeds)) == 3 and len(set(tasks)) == 10
        assert set(tasks) <= set(world.TASKS)
    assert {task for _, tasks in drawn for task in tasks} == set(world.TASKS)
    assert record.draw(7) == record.draw(7) != record.draw(8)


def test_the_world_can_be_built_with_what_is_drawn():
    for clock in range(3):
        seeds, tasks = record.draw(clock)
        splits = world.build(seeds[0], tasks, size=0).splits
        assert set(SPLITS) <= set(splits) and all(len(rows) >= 50 for rows in splits.values())
        assert {row["task"] for row in splits["unseen_tasks"]} == set(tasks)


def test_medians_are_of_each_type_and_the_scores_of_the_first():
    def one(dtype, seconds, tasks):
        return {
            "dtype": dtype,
            "seconds": seconds,
            "inputs": 90,
            "phrasings": 80,
            "tasks": tasks,
            "words": 0,
        }

    runs = [
        one("bfloat16", 50, 70),
        one("float32", 90, 1),
        one("bfloat16", 40, 95),
        one("float32", 80, 2),
        one("bfloat16", 999.04, 61),
        one("float32", 70, 3),
    ]
    row = record.summary(runs)
    assert (row["s bfloat16"], row["s float32"], row["tasks"], row["least on tasks"]) == (
        50,
        80,
        70,
        61,
    )
    assert row["tasks"] == statistics.median([70, 95, 61])
    row = record.summary(runs[::2])
    assert row["s float32"] is None and row["s bfloat16"] == 50


def a_row(**changes):
    row = (
        dict.fromkeys(record.COLUMNS, "x")
        | dict.fromkeys(record.NUMBERS, 50.0)
        | {"date": "2026-01-02", "commit": "abc"}
    )
    return row | {"record": "yes", "machine": "A processor; 2 threads"} | changes


def test_a_row_comes_back_with_the_same_numbers():
    rows = [
        a_row(**{"s bfloat16": 61.3, "tasks": 87.5, "what changed": "first"}),
        a_row(**{"s float32": None, "words": 0.0}),
    ]
    text = TABLE + "".join(record.line(row) + "\n" for row in rows)
    assert record.read_rows(text)[-2:] == rows
    odd = record.read_rows(TABLE + record.line(a_row(**{"what changed": "a | b\nand c"})))[-1]
    assert odd["what changed"] == "a / b and c" and odd["s bfloat16"] == 50


def test_the_table_has_the_columns_of_the_program():
    header = next(line for line in TABLE.splitlines() if line.startswith("| date"))
    assert header == "| " + " | ".join(record.COLUMNS) + " |"
    record.read_rows(TABLE)  # every row that is there can be read


@pytest.mark.parametrize(
    "changes, reasons",
    [
        ({"s bfloat16": 49.9}, []),
        ({"s bfloat16": 50.0}, ["s bfloat16: 50.0 is not below 50.0"]),
        ({"s bfloat16": 40.0, "tasks": 48.0}, []),
        ({"s bfloat16": 40.0, "tasks": 47.9}, ["tasks fell from 50.0 to 47.9 %"]),
        ({"s bfloat16": 40.0, "least on tasks": 1.0}, []),
        ({"s bfloat16": None, "s float32": 49.0}, []),
        ({"s bfloat16": 80.0, "machine": "Another; 2 threads"}, []),  # its first
    ],
)
def test_a_record_is_faster_and_no_median_falls_by_more_than_two_points(changes, reasons):
    no_record = a_row(record="no", **{"s bfloat16": 1.0, "tasks": 1.0})
    assert record.against(a_row(**changes), [a_row(), no_record]) == reasons
    assert record.against(a_row(**changes), [no_record]) == []  # the first one


def fake_runs(monkeypatch, tmp_path, dtype=None):
    """Let record.py write reports instead of training. Returns its commands and its table."""
    commands, table = [], tmp_path / "RECORD.md"
    table.write_text(TABLE.partition("| --- |")[0] + "| --- |\n", encoding="utf-8")

    def timed(command):
        commands.append(command)
        if command[0] == "train_sft.py":
            options = dict(zip(command[2::2], command[3::2]))
            got = dtype or {"auto": "bfloat16"}.get(options["--dtype"], options["--dtype"])
            columns = {"n": 200, "tuned": {"correct": 180}}
            report = {
                "held_out": dict.fromkeys(SPLITS, columns),
                "machine": "cpu, 2 threads",
                "config": {"dtype": got},
            }
            (Path(options["--out"]) / "report.json").write_text(json.dumps(report))
        return 60.04

    monkeypatch.setattr(record, "timed", timed)
    monkeypatch.setattr(record, "two_cores", lambda: None)
    monkeypatch.setattr(record, "load", lambda: 0.1)
    monkeypatch.setattr(record, "commit", lambda: "abcdef")
    monkeypatch.setattr(record, "changed_questions", lambda rows: "")
    monkeypatch.setattr(record, "TABLE", table)
    return commands, table


def test_one_command_makes_one_row_that_can_be_repeated(monkeypatch, tmp_path, capsys):
    commands, table = fake_runs(monkeypatch, tmp_path)
    record.main(["nothing"])
    (row,) = record.read_rows(table.read_text(encoding="utf-8"))
    assert (row["s bfloat16"], row["s float32"], row["tasks"]) == (60.0, 60.0, 90.0)
    assert (
        row["record"] == "first" and row["what changed"] == "nothing" and row["commit"] == "abcdef"
    )
    assert commands[0][-1] == "tests/test_world.py"
    runs = [dict(zip(command[2::2], command[3::2])) for command in commands[1:]]
    assert [run["--dtype"] for run in runs] == ["auto", "float32"] * 3  # in turn
    assert all(command[1] == "--fresh" for command in commands[1:]) and {
        run["--hold-out"] for run in runs
    } == {row["held out"]}
    assert [run["--seed"] for run in runs[::2]] == row["seeds"].split(",")
    printed = capsys.readouterr().out.splitlines()[0].split()
    commands.clear()
    record.main(["again", *printed, "--dtypes", "auto"])
    assert [command[command.index("--seed") + 1] for command in commands[1:]] == row["seeds"].split(
        ","
    )
    again = record.read_rows(table.read_text(encoding="utf-8"))[1]
    assert (
        again["held out"] == row["held out"]
        and again["record"] == "no"
        and again["s float32"] is None
    )


def test_a_processor_without_bfloat16_runs_float32_once(monkeypatch, tmp_path):
    commands, table = fake_runs(monkeypatch, tmp_path, dtype="float32")
    record.main(["slow"])
    (row,) = record.read_rows(table.read_text(encoding="utf-8"))
    assert len(commands) == 1 + 3 and row["s bfloat16"] is None and row["s float32"] == 60.0


@pytest.mark.parametrize("name, value", [("load", 3.0), ("commit", "abcdef+")])
def test_a_busy_machine_or_a_changed_file_makes_no_record(
    name, value, monkeypatch, tmp_path, capsys
):
    _, table = fake_runs(monkeypatch, tmp_path)
    monkeypatch.setattr(record, name, lambda: value)
    record.main(["x"])
    assert record.read_rows(table.read_text(encoding="utf-8"))[0]["record"] == "no"
    assert "no record: " in capsys.readouterr().out


def test_a_failed_command_leaves_no_row(monkeypatch, tmp_path):
    real = record.timed
    _, table = fake_runs(monkeypatch, tmp_path)
    before = table.read_text(encoding="utf-8")
    monkeypatch.setattr(
        record, "timed", lambda command: real(["-c", "raise ValueError('two is not one')"])
    )
    with pytest.raises(SystemExit, match="(?s)two is not one.*no row"):
        record.main(["x"])
    assert table.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    "wrong",
    [
        ["--seeds", "1,2"],
        ["--hold-out", "half,city"],
        ["--hold-out", "no_such_task"],
        ["--hold-out", ",".join(["half"] * 10)],
    ],
)
def test_a_wrong_draw_is_refused(wrong, capsys):
    with pytest.raises(SystemExit):
        record.main(["x", *wrong])
    assert "needed" in capsys.readouterr().err
