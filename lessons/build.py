"""Notebooks from sources: src/NN_name.py (percent format) -> NN_name.ipynb (blank) and solutions/NN_name.ipynb (solved).

    python lessons/build.py                      write both, blank ones without outputs (solved ones keep theirs)
    python lessons/build.py --execute            also run the solved ones and store outputs and pictures
    python lessons/build.py --execute 04 07      only these lessons
    python lessons/build.py --nbgrader FOLDER    the instructor's version, with nbgrader's cell metadata
    python lessons/build.py --otter FOLDER       the instructor's version for otter assign
    python lessons/build.py --class FOLDER 1 4.2 lessons 1 and 4 for a class: all solved but the second exercise of 4
    python lessons/build.py --check FILE.ipynb   run the checks of notebooks that were handed in, and count points
    python lessons/build.py --new 17 name        skeletons of a new lesson: source, checks, answers, faults

A source is cells that begin with `# %%` or `# %% [markdown]`. Lines between `### BEGIN SOLUTION` and `### END SOLUTION`
are what the blank notebook leaves to the learner. The lines from `import sys` to `sys.path` at the beginning of a source
become the cell START, which also works where the project is not there yet.
"""

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = "https://github.com/OWNER/NAME"  # where the project can be fetched from; set it once it is known, and build
START = f'''# The same cell in every lesson: it finds the project or fetches it, and makes ready what is missing.
import os
import subprocess
import sys
from pathlib import Path

PROJECT = os.environ.get("LESSON_PROJECT", "{PROJECT}")  # an address for git, or a folder
places = [Path.cwd(), *Path.cwd().parents, Path(PROJECT), Path("project")]
root = next((p.resolve() for p in places if (p / "train_sft.py").exists()), Path("project").resolve())
if not root.exists() and "OWNER" not in PROJECT:
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", PROJECT, str(root)])
if not (root / "train_sft.py").exists():
    sys.exit("The project is not here. Open this notebook inside its folder, or write its address behind PROJECT, above.")
sys.path[:0] = [str(root), str(root / "lessons")]

import start

start.ready()'''
OLD_START = re.compile(r"^import sys\nfrom pathlib import Path\n\nroot = .*\nsys\.path.*\n+", re.M)
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION\n?", re.M | re.S)


def read_cells(source):
    """Percent-format text -> [(kind, text), ...], kind "markdown" or "code"."""
    cells = []
    for part in re.split(r"^# %%", source, flags=re.M)[1:]:
        header, _, body = part.partition("\n")
        if "[markdown]" in header:
            cells.append(("markdown", re.sub(r"^# ?", "", body.strip("\n"), flags=re.M)))
        else:
            cells.append(("code", body.strip("\n")))
    return with_start(cells)


def with_start(cells):
    """The lines that find the project, in the first code cell, become the cell START before it."""
    first = next((i for i, (kind, _) in enumerate(cells) if kind == "code"), None)
    if first is None or not OLD_START.search(cells[first][1]):
        return cells
    rest = OLD_START.sub("", cells[first][1], count=1).strip("\n")
    return [*cells[:first], ("code", START), ("code", rest), *cells[first + 1 :]]


def blanked(code):
    """What stands between the markers becomes the learner's place."""
    return SOLUTION.sub(r'\1# YOUR CODE HERE\n\1raise NotImplementedError("your turn")\n', code + "\n").rstrip("\n")


def solved(code):
    """The solution stays, the markers go."""
    return re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", code + "\n", flags=re.M).rstrip("\n")


def notebook(cells, render, name, graded=False):
    """Cells -> a notebook as a dict. Ids are the lesson's name and the cell's number, so that they stay the same."""
    out, points = [], {function: minutes for _, function, minutes in exercises(cells)}
    for i, (kind, text) in enumerate(cells):
        metadata = grading(text, f"{name}-{i}", points) if graded else {}
        text = render(text) if kind == "code" else text
        cell = {"cell_type": kind, "id": f"{name[:2]}-{i:03}", "metadata": metadata, "source": text.splitlines(True)}
        out.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": out, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def minutes_of(text):
    """The minutes in an exercise's heading, "### Exercise 4.1: the mask (rebuild, ★, 5 minutes)" -> 5; None without."""
    found = re.findall(r"^#+ Exercise .*?(\d+) minutes?\b", text, re.M)
    return int(found[-1]) if found else None


def grading(text, grade_id, points):
    """nbgrader's metadata: solution cells are the learner's, check cells are locked and worth a point a minute."""
    base = {"schema_version": 3, "grade_id": grade_id, "task": False}
    if "### BEGIN SOLUTION" in text:
        return {"nbgrader": base | {"solution": True, "grade": False, "locked": False}}
    if (checked := re.match(r"checks\.(\w+)\(", text)) and checked[1] in points:
        return {"nbgrader": base | {"solution": False, "grade": True, "locked": True, "points": points[checked[1]]}}
    return {}


def exercises(cells):
    """Cells -> [(number of the exercise's cell, its function's name, its minutes)]; 5 where the heading says nothing"""
    found, minutes = [], None
    for i, (kind, text) in enumerate(cells):
        minutes = minutes_of(text) or minutes if kind == "markdown" else minutes
        if kind == "code" and "### BEGIN SOLUTION" in text:
            found.append((i, re.findall(r"^def (\w+)", text, re.M)[-1], minutes or 5))
            minutes = None
    return found


def for_class(folder, wanted):
    """["1", "4.2"]: the notebooks of these lessons, without outputs, where only the exercises that are named are blank."""
    for number in sorted({word.partition(".")[0].zfill(2) for word in wanted}):
        (source,) = sources([number])
        cells = read_cells(source.read_text(encoding="utf-8"))
        for n, (i, _, _) in enumerate(exercises(cells), 1):
            if f"{int(number)}.{n}" not in wanted:
                cells[i] = ("code", solved(cells[i][1]))
        write(Path(folder) / f"{source.stem}.ipynb", notebook(cells, blanked, source.stem))
        print(f"{Path(folder) / source.stem}.ipynb: written")


SOURCE = '''# %% [markdown]
# # {n}. {title}
#
# *About a minute on a laptop CPU (2 cores). Needs `out/base.pt` from `python train_sft.py`.*
#
# One idea. Say what the learner will see, and what nearly everybody expects instead.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson{n} as checks

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()

# %% [markdown]
# Ask for a guess before every measurement.

# %%
lab.predict("what will be measured", ...)
'''
EXERCISE = '''
# %% [markdown]
# <details><summary>Hint</summary>
#
# What to look at, not what to write.
# </details>
#
# ### Exercise {n}.{i}: what it is (rebuild, ★, 5 minutes)


# %%
def {name}(number):
    """What comes in -> what comes out. {name}(1) -> {answer}"""
    ### BEGIN SOLUTION
    return number + {i}
    ### END SOLUTION


# %%
checks.{name}({name})
'''
CLAIM = '''
# %%
measured = 0.5
lab.compare("what will be measured", measured)
lab.claim("the idea of the lesson, in a sentence, holds in this run", measured > 0.4)
'''
CHECKS = '''"""Checks of lesson {n}: what the two functions do."""

from checks import by_hand, called


@by_hand()
def one(function):
    found = called(function, 1)
    assert found is not None, "nothing came back; return the number"
    assert found != 1, "the number is as it was"
    assert found > 0, f"expected 2, you have {{found}}: added with the wrong sign"
    assert found == 2, f"expected 2, you have {{found}}"
    print("right: what it shows")


@by_hand()
def two(function):
    found = called(function, 1)
    assert found is not None, "nothing came back; return the number"
    assert found != 1, "the number is as it was"
    assert found > 0, f"expected 3, you have {{found}}: added with the wrong sign"
    assert found == 3, f"expected 3, you have {{found}}"
    print("right: what it shows")
'''
WRONG = '''"""Plausible wrong answers to the exercises of lesson {n}, and what the check must say to each."""

WRONG = {{
    "one": [
        ("def one(number):\\n    number + 1", "nothing came back"),
        ("def one(number):\\n    return number", "as it was"),
        ("def one(number):\\n    return number - 2", "wrong sign"),
        ("def one(number):\\n    return number + 9", "expected 2, you have 10"),
    ],
    "two": [
        ("def two(number):\\n    number + 2", "nothing came back"),
        ("def two(number):\\n    return number", "as it was"),
        ("def two(number):\\n    return number - 2", "wrong sign"),
        ("def two(number):\\n    return number + 9", "expected 3, you have 10"),
    ],
}}
'''
RIGHT = '''"""Right answers to the exercises of lesson {n} in other forms than the solution's: each check must accept them."""

RIGHT = {{
    "one": ["def one(number):\\n    return 1 + number", "one = lambda number: sum([number, 1])"],
    "two": ["def two(number):\\n    return 2 + number", "two = lambda number: sum([number, 2])"],
}}
'''
FAULTS = '''"""The claims of lesson {n}, and how each can fail (see test_claims.py)."""

GOOD = {{"measured": 0.5}}
CLAIMS = [
    {{
        "sentence": "the idea of the lesson, in a sentence without numbers",
        "condition": "measured: above 0.4",
        "refuted_by": "what would have to come for it to be wrong",
        "faults": [{{"measured": 0.3}}],
    }},
]
'''


def new_lesson(n, name):
    """Write the five files of a lesson that runs and passes its tests, to be filled. Nothing is overwritten."""
    exercises = [EXERCISE.format(n=n, i=i, name=word, answer=1 + i) for i, word in ((1, "one"), (2, "two"))]
    source = SOURCE.format(n=n, title=name.replace("_", " ")) + "".join(exercises) + CLAIM
    files = {HERE / "src" / f"{n}_{name}.py": source, HERE / "checks" / f"lesson{n}.py": CHECKS.format(n=n)}
    for folder, text in (("wrong_answers", WRONG), ("right_answers", RIGHT), ("claim_faults", FAULTS)):
        files[HERE.parent / "tests" / folder / f"lesson{n}.py"] = text.format(n=n)
    for path, text in files.items():
        assert not path.exists(), f"{path} is there already"
        path.write_text(text, encoding="utf-8")
        print(f"{path}: written")


def sources(numbers=()):
    """Paths of the lessons' sources, all or those with these numbers."""
    return [path for path in sorted((HERE / "src").glob("*.py")) if not numbers or path.name[:2] in numbers]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def with_old_outputs(new, path):
    """A solved notebook keeps the outputs of every cell whose code is the same."""
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))["cells"]
        stored = {"".join(cell["source"]): cell for cell in old if cell["cell_type"] == "code"}
        for cell in new["cells"]:
            if kept := cell["cell_type"] == "code" and stored.get("".join(cell["source"])):
                cell["outputs"], cell["execution_count"] = kept["outputs"], kept["execution_count"]
    return new


def execute(content):
    """Run a notebook in a fresh kernel, from the lessons' folder -> the same with its outputs."""
    import nbformat
    from nbclient import NotebookClient

    os.environ["CLAIMS"] = "strict"  # what is published must hold
    node = nbformat.reads(json.dumps(content), as_version=4)
    NotebookClient(node, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}).execute()
    for cell in node.cells:
        cell.metadata = {}  # times of execution would change at every run
    return json.loads(nbformat.writes(node))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", help="numbers of lessons, as 04; all if none is given")
    parser.add_argument("--class", dest="lesson", metavar="FOLDER", help="notebooks for a class: only these exercises blank")
    parser.add_argument("--execute", action="store_true", help="run the solved notebooks and store their outputs")
    parser.add_argument("--nbgrader", metavar="FOLDER", help="write the instructor's version for nbgrader there")
    parser.add_argument("--otter", metavar="FOLDER", help="write the instructor's version for otter assign there")
    parser.add_argument("--check", nargs="+", metavar="FILE", help="notebooks that were handed in: run their checks")
    parser.add_argument("--new", nargs=2, metavar=("NUMBER", "NAME"), help="write the skeletons of a new lesson")
    args = parser.parse_args()
    if args.check:
        from hand_in import check

        return int(not all([check(path) for path in args.check]))
    if args.lesson:
        return for_class(args.lesson, args.lessons)
    if args.new:
        new_lesson(*args.new)
    for source in sources(args.lessons):
        cells, name = read_cells(source.read_text(encoding="utf-8")), source.stem
        if args.nbgrader:
            write(Path(args.nbgrader) / f"{name}.ipynb", notebook(cells, str, name, graded=True))
        if args.otter:
            from hand_in import otter

            write(Path(args.otter) / f"{name}.ipynb", otter(cells, name))
        if args.nbgrader or args.otter:
            continue
        write(HERE / f"{name}.ipynb", notebook(cells, blanked, name))
        path = HERE / "solutions" / f"{name}.ipynb"
        content = with_old_outputs(notebook(cells, solved, name), path)
        start = time.perf_counter()
        write(path, execute(content) if args.execute else content)
        print(
            f"{name}: written" + (f", run in {time.perf_counter() - start:.0f} s" if args.execute else ""), flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
