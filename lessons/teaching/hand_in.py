"""Run the checks of notebooks that learners hand in, and count their points.

    python lessons/teaching/hand_in.py FILE.ipynb ...    (with FAST=1: the same checks, less data)

Only the learner's functions are taken out of a notebook. All other cells are the lesson's own, so
a wrong answer costs only its own points, and a changed check changes nothing. This runs code that
others wrote: use an account, or a machine, that has nothing to lose.
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

LIMIT = 120  # seconds for one answer and its check
DEFINITIONS = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def lesson_of(path: Path | str, cells: list[dict]) -> Path:
    """Find the source of a hand-in's lesson, by the number in the file's name (kim_04.ipynb) or
    else by the ids of its cells. Exits if neither names a lesson."""
    ids = [cell.get("id", "")[:2] for cell in cells]
    most_common = max(ids, key=ids.count, default="")
    numbers = re.findall(r"(?<!\d)(\d\d)(?!\d)", Path(path).stem)
    for number in [*numbers, most_common]:
        sources = build.source_paths([number])
        if sources:
            return sources[0]
    sys.exit(f"{path}: no lesson has this number. Name the file like 04_format_and_mask.ipynb.")


def definitions(text: str) -> str:
    """Extract the functions, classes, imports and constants of a cell, nothing that runs or draws.
    Returns "" if the cell is not valid Python."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return ""
    nodes = []
    for node in body:
        is_constant = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        if is_constant or isinstance(node, DEFINITIONS):
            nodes.append(node)
    return ast.unparse(ast.Module(nodes, []))


def collect_answers(submitted: list[str], lesson: list) -> tuple[dict, list[str]]:
    """Sort the code cells of a hand-in. Returns {exercise: its cell} and the cells that the
    learner added. If an exercise is there twice, the last cell counts."""
    names = [name for _, name, _ in build.exercises(lesson)]
    lesson_code = [text for kind, text in lesson if kind == "code"]
    originals = {build.blank_cell(text) for text in lesson_code}
    originals |= {build.solved_cell(text) for text in lesson_code}
    answers = {}
    additions = []
    for text in submitted:
        defined = [name for name in names if re.search(rf"^def {name}\(", text, re.M)]
        answers |= dict.fromkeys(defined, text)
        if not defined and text.strip() not in originals:
            additions.append(text)
    return answers, additions


@contextlib.contextmanager
def time_limit(seconds: int):
    """Stop an endless answer, on systems that have alarms (not on Windows)."""

    def stop(*_):
        raise TimeoutError(f"stopped after {seconds} seconds")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    handler = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


def grade(name: str, text: str | None, additions: list[str], space: dict, checks):
    """Test one answer with the project's own check. Returns a state, "passed", "not done" or
    "failed", and the message of the check."""
    if text is None:
        return "not done", "its cell is missing"
    space = dict(space)
    try:
        with contextlib.redirect_stdout(io.StringIO()), time_limit(LIMIT):
            for cell in additions:
                with contextlib.suppress(Exception):
                    exec(definitions(cell), space)
            exec(text, space)
            getattr(checks, name)(space[name])
    except NotImplementedError:
        return "not done", ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an answer may raise anything, even SystemExit
        kind = "" if isinstance(error, AssertionError) else type(error).__name__ + ": "
        return "failed", f"{kind}{error}".strip().replace("\n", " ")
    return "passed", ""


def read_notebook(path: Path | str) -> list[dict] | None:
    """Read the cells of a notebook. Returns None if the file isn't one."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run_lesson_cell(text: str, space: dict) -> None:
    """Run a cell of the lesson, solved and silent. Exits if it stops with an error."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(build.solved_cell(text), space)
    except Exception:
        sys.exit(f"The lesson itself stopped, not the answer:\n{traceback.format_exc()}")


def check(path: Path | str) -> bool:
    """Run the checks of one notebook and print its points. Returns True if all are passed."""
    content = read_notebook(path)
    if content is None:
        print(f"{path}\n  cannot be read as a notebook: 0 points")
        return False

    # the lesson's own cells and checks, and the learner's answers
    source = lesson_of(path, content)
    lesson = build.read_cells(source.read_text(encoding="utf-8"))
    checks = importlib.import_module(f"checks.lesson{source.name[:2]}")
    submitted = ["".join(cell["source"]) for cell in content if cell["cell_type"] == "code"]
    answers, additions = collect_answers(submitted, lesson)

    # run the lesson, and grade each answer where its exercise is
    exercises = {i: (name, points) for i, name, points in build.exercises(lesson)}
    print(f"{path}: lesson {source.stem}")
    space = {"__name__": "__main__"}
    total = 0
    for i, (kind, text) in enumerate(lesson[: max(exercises) + 1]):
        if i in exercises:
            name, points = exercises[i]
            state, message = grade(name, answers.get(name), additions, space, checks)
            earned = points if state == "passed" else 0
            total += earned
            line = f"  {state:<9}{earned:>3} of {points:>2}  {name}"
            print(f"{line}: {message}" if message else line)
        if kind == "code":
            run_lesson_cell(text, space)
    possible = sum(points for _, points in exercises.values())
    print(f"  {total} of {possible} points", flush=True)
    return total == possible


def main() -> None:
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.path[:0] = [str(build.LESSONS.parent), str(build.LESSONS)]
    results = [check(path) for path in sys.argv[1:]]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
