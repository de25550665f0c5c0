"""Notebooks from sources: src/NN_name.py (percent format) -> NN_name.ipynb (blank) and solutions/NN_name.ipynb (solved).

    python lessons/teaching/build.py                      write both, blank ones without outputs (solved ones keep theirs)
    python lessons/teaching/build.py --execute            also run the solved ones and store outputs and pictures
    python lessons/teaching/build.py --execute 04 07      only these lessons
    python lessons/teaching/build.py --nbgrader FOLDER    the instructor's version, with nbgrader's cell metadata
    python lessons/teaching/build.py --class FOLDER 1 4.2 lessons 1 and 4 for a class: all solved but the second exercise of 4

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

HERE = Path(__file__).resolve().parents[1]  # the folder of the lessons
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
    args = parser.parse_args()
    if args.lesson:
        return for_class(args.lesson, args.lessons)
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
