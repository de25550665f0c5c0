"""Notebooks that come back from learners: run their checks and count the points.

    python lessons/teaching/hand_in.py FILE.ipynb ...    (FAST=1: the same checks, with less data around them)
"""

import ast
import contextlib
import importlib
import io
import json
import os
import re
import signal
import sys
import traceback
from pathlib import Path

import build

LIMIT = 120  # seconds that one answer and its check may take


def lesson_of(path, cells):
    """The source of a hand-in's lesson: by its name, 04_format_and_mask.ipynb or kim_04.ipynb, else by its cells' ids."""
    ids = [cell.get("id", "")[:2] for cell in cells]
    numbers = re.findall(r"(?<!\d)(\d\d)(?!\d)", Path(path).stem) + [max(ids, key=ids.count, default="")]
    for number in numbers:
        if found := build.sources([number]):
            return found[0]
    sys.exit(f"{path}: which lesson is it? Its name should hold the lesson's number, as 04_format_and_mask.ipynb does.")


def definitions(text):
    """The functions, classes, imports and constants of a cell, as code; nothing that runs or draws. A cell that is not
    Python has none."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return ""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    constants = [node for node in body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
    return ast.unparse(ast.Module([node for node in body if isinstance(node, kinds) or node in constants], []))


def answers(submitted, lesson):
    """Code cells that came back -> ({exercise: its cell}, the cells that the learner added)"""
    names = [name for _, name, _ in build.exercises(lesson)]
    given = {render(text) for kind, text in lesson if kind == "code" for render in (build.blanked, build.solved)}
    found, added = {}, []
    for text in submitted:
        defined = [name for name in names if re.search(rf"^def {name}\(", text, re.M)]
        for name in defined:
            found[name] = text  # the last one counts
        if not defined and text.strip() not in given:
            added.append(text)
    return found, added


@contextlib.contextmanager
def time_limit(seconds):
    """Stops an endless answer, where the system has alarms (not on Windows)."""

    def stop(*_):
        raise TimeoutError(f"stopped after {seconds} seconds")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def verdict(name, text, added, space, checks):
    """One answer against the project's own check -> ("passed", "not done" or "failed", what the check said)"""
    if text is None:
        return "not done", "its cell is missing"
    space = dict(space)
    try:
        with contextlib.redirect_stdout(io.StringIO()), time_limit(LIMIT):
            for cell in added:
                with contextlib.suppress(Exception):
                    exec(definitions(cell), space)
            exec(text, space)
            getattr(checks, name)(space[name])
    except NotImplementedError:
        return "not done", ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an answer may raise anything, SystemExit too
        kind = "" if isinstance(error, AssertionError) else type(error).__name__ + ": "
        return "failed", f"{kind}{error}".strip().replace("\n", " ")
    return "passed", ""


def check(path):
    """Run the checks of one notebook -> are all passed? All other cells are the lesson's own, so a wrong answer costs its own
    points only, and a changed check is not used."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.path[:0] = [str(build.HERE.parent), str(build.HERE)]
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        print(f"{path}\n  cannot be read as a notebook: 0 points")
        return False
    source = lesson_of(path, content)
    lesson = build.read_cells(source.read_text(encoding="utf-8"))
    submitted = ["".join(cell["source"]) for cell in content if cell["cell_type"] == "code"]
    found, added = answers(submitted, lesson)
    checks = importlib.import_module(f"checks.lesson{source.name[:2]}")
    exercises = {i: (name, points) for i, name, points in build.exercises(lesson)}
    print(f"{path}: lesson {source.stem}")
    space, got, total = {"__name__": "__main__"}, 0, 0
    for i, (kind, text) in enumerate(lesson[: max(exercises) + 1]):
        if kind != "code":
            continue
        if i in exercises:
            name, points = exercises[i]
            state, said = verdict(name, found.get(name), added, space, checks)
            got, total = got + points * (state == "passed"), total + points
            print(f"  {state:<9}{points * (state == 'passed'):>3} of {points:>2}  {name}" + (f": {said}" if said else ""))
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(build.solved(text), space)
        except Exception:
            sys.exit(f"The lesson itself stopped, not the answer:\n{traceback.format_exc()}")
    print(f"  {got} of {total} points", flush=True)
    return got == total


if __name__ == "__main__":
    sys.exit(int(not all([check(path) for path in sys.argv[1:]])))
