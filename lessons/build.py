"""Notebooks from sources: src/NN_name.py (percent format) -> NN_name.ipynb (blank) and solutions/NN_name.ipynb (solved).

    python lessons/build.py                      write both, blank ones without outputs (solved ones keep theirs)
    python lessons/build.py --execute            also run the solved ones and store outputs and pictures
    python lessons/build.py --execute 04 07      only these lessons
    python lessons/build.py --nbgrader FOLDER    the instructor's version, with nbgrader's cell metadata
    python lessons/build.py --new 17 name        skeletons of a new lesson: source, checks, wrong answers

A source is cells that begin with `# %%` or `# %% [markdown]`. Lines between `### BEGIN SOLUTION` and `### END SOLUTION`
are what the blank notebook leaves to the learner.
"""

import argparse
import json
import os
import re
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
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
    return cells


def blanked(code):
    """What stands between the markers becomes the learner's place."""
    return SOLUTION.sub(r'\1# YOUR CODE HERE\n\1raise NotImplementedError("your turn")\n', code + "\n").rstrip("\n")


def solved(code):
    """The solution stays, the markers go."""
    return re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", code + "\n", flags=re.M).rstrip("\n")


def notebook(cells, render, name, graded=False):
    """Cells -> a notebook as a dict. Ids are the lesson's name and the cell's number, so that they stay the same."""
    out = []
    for i, (kind, text) in enumerate(cells):
        metadata = grading(text, f"{name}-{i}") if graded else {}
        text = render(text) if kind == "code" else text
        cell = {"cell_type": kind, "id": f"{name[:2]}-{i:03}", "metadata": metadata, "source": text.splitlines(True)}
        out.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": out, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def grading(text, grade_id):
    """nbgrader's metadata: solution cells are the learner's, check cells are locked and worth a point."""
    base = {"schema_version": 3, "grade_id": grade_id, "task": False}
    if "### BEGIN SOLUTION" in text:
        return {"nbgrader": base | {"solution": True, "grade": False, "locked": False}}
    if re.match(r"checks\.", text):
        return {"nbgrader": base | {"solution": False, "grade": True, "locked": True, "points": 1}}
    return {}


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
# *Predict.* Ask for a guess on paper before every measurement.
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
lab.claim("the idea of the lesson, in a sentence, holds in this run", True)
'''
CHECKS = '''"""Checks of lesson {n}: what the two functions do."""

from checks import called


def one(function):
    found = called(function, 1)
    assert found is not None, "nothing came back; return the number"
    assert found != 1, "the number is as it was"
    assert found > 0, f"expected 2, you have {{found}}: added with the wrong sign"
    assert found == 2, f"expected 2, you have {{found}}"
    print("right: what it shows")


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


def new_lesson(n, name):
    """Write the three files of a lesson that runs and passes its tests, to be filled. Nothing is overwritten."""
    exercises = [EXERCISE.format(n=n, i=i, name=word, answer=1 + i) for i, word in ((1, "one"), (2, "two"))]
    source = SOURCE.format(n=n, title=name.replace("_", " ")) + "".join(exercises) + CLAIM
    wrong_answers = HERE.parent / "tests" / "wrong_answers"
    files = {HERE / "src" / f"{n}_{name}.py": source, HERE / "checks" / f"lesson{n}.py": CHECKS.format(n=n)}
    for path, text in (files | {wrong_answers / f"lesson{n}.py": WRONG.format(n=n)}).items():
        assert not path.exists(), f"{path} is there already"
        path.write_text(text, encoding="utf-8")
        print(f"{path}: written")


def sources(numbers=()):
    """Paths of the lessons' sources, all or those with these numbers."""
    return [path for path in sorted((HERE / "src").glob("*.py")) if not numbers or path.name[:2] in numbers]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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
    parser.add_argument("--execute", action="store_true", help="run the solved notebooks and store their outputs")
    parser.add_argument("--nbgrader", metavar="FOLDER", help="write the instructor's version for nbgrader there")
    parser.add_argument("--new", nargs=2, metavar=("NUMBER", "NAME"), help="write the skeletons of a new lesson")
    args = parser.parse_args()
    if args.new:
        new_lesson(*args.new)
    for source in sources(args.lessons):
        cells, name = read_cells(source.read_text(encoding="utf-8")), source.stem
        if args.nbgrader:
            write(Path(args.nbgrader) / f"{name}.ipynb", notebook(cells, str, name, graded=True))
            continue
        write(HERE / f"{name}.ipynb", notebook(cells, blanked, name))
        path = HERE / "solutions" / f"{name}.ipynb"
        content = with_old_outputs(notebook(cells, solved, name), path)
        start = time.perf_counter()
        write(path, execute(content) if args.execute else content)
        print(
            f"{name}: written" + (f", run in {time.perf_counter() - start:.0f} s" if args.execute else ""), flush=True
        )


if __name__ == "__main__":
    main()
