"""Build the notebooks from their sources. src/NN_name.py becomes NN_name.ipynb, where the exercises
are blank, and solutions/NN_name.ipynb, where they are solved.

    python lessons/teaching/build.py                       all lessons
    python lessons/teaching/build.py --execute 04 07       run these solved ones, store outputs
    python lessons/teaching/build.py --nbgrader FOLDER     the instructor's version for nbgrader
    python lessons/teaching/build.py --class FOLDER 1 4.2  for a class: only exercise 4.2 is blank

A source is plain Python with cells that begin with `# %%` or `# %% [markdown]`. The lines between
`### BEGIN SOLUTION` and `### END SOLUTION` are left to the learner. The lines from `import sys` to
`sys.path` become the first cell, START. Once PROJECT is set, it also fetches the project.
"""

import argparse
import json
import os
import re
import time
from pathlib import Path

LESSONS = Path(__file__).resolve().parents[1]
PROJECT = ""  # the address to clone the project from; set it here once, then build the notebooks
FETCH = f"""
import os
if not (os.path.exists("../train_sft.py") or os.path.exists("project")):
    os.system("git clone -q {PROJECT} project")"""
START = f"""# Finds the project, installs what is missing, and makes the base if there is none.
import sys; sys.path[:0] = ["..", "../lessons", "lessons", "project/lessons"]{FETCH * bool(PROJECT)}
import start; start.ready()"""
FIND_PROJECT = re.compile(
    r"^import sys\nfrom pathlib import Path\n\nroot = .*\nsys\.path.*\n+", re.M
)
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION\n?", re.M | re.S)
MARKER = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.M)
STUB = r'\1# YOUR CODE HERE\n\1raise NotImplementedError("your turn")' + "\n"
DEFAULT_MINUTES = 5


def source_paths(numbers: tuple | list = ()) -> list[Path]:
    """Find the lessons' sources, all of them or those with these numbers ("04")."""
    paths = sorted((LESSONS / "src").glob("*.py"))
    return [path for path in paths if not numbers or path.name[:2] in numbers]


def read_cells(source: str) -> list[tuple[str, str]]:
    """Split a source into cells, (kind, text), where kind is "markdown" or "code"."""
    cells = []
    for part in re.split(r"^# %%", source, flags=re.M)[1:]:
        header, _, body = part.partition("\n")
        body = body.strip("\n")
        if "[markdown]" in header:
            cells.append(("markdown", re.sub(r"^# ?", "", body, flags=re.M)))
        else:
            cells.append(("code", body))
    return add_start(cells)


def add_start(cells: list) -> list:
    """Replace the lines that find the project, in the first code cell, by the cell START."""
    first = next((i for i, (kind, _) in enumerate(cells) if kind == "code"), None)
    if first is None or not FIND_PROJECT.search(cells[first][1]):
        return cells
    rest = FIND_PROJECT.sub("", cells[first][1], count=1).strip("\n")
    return [*cells[:first], ("code", START), ("code", rest), *cells[first + 1 :]]


def blank_cell(code: str) -> str:
    """Replace each solution by a line that says whose turn it is."""
    return SOLUTION.sub(STUB, code + "\n").rstrip("\n")


def solved_cell(code: str) -> str:
    """Remove the markers around the solutions."""
    return MARKER.sub("", code + "\n").rstrip("\n")


def minutes_of(text: str) -> int | None:
    """Read the minutes in a heading: "### Exercise 4.1: the mask (rebuild, ★, 5 minutes)" -> 5."""
    minutes = re.findall(r"^#+ Exercise .*?(\d+) minutes?\b", text, re.M)
    return int(minutes[-1]) if minutes else None


def exercises(cells: list) -> list[tuple[int, str, int]]:
    """List the exercises of a lesson: (number of the cell, name of the function, minutes)."""
    result = []
    minutes = None
    for i, (kind, text) in enumerate(cells):
        if kind == "markdown":
            minutes = minutes_of(text) or minutes
        elif "### BEGIN SOLUTION" in text:
            name = re.findall(r"^def (\w+)", text, re.M)[-1]
            result.append((i, name, minutes or DEFAULT_MINUTES))
            minutes = None
    return result


def notebook(cells: list, render, name: str, graded: bool = False) -> dict:
    """Make a notebook. `render` turns the code of a cell into what the notebook shows.

    A cell's id is the lesson's number and the cell's own, so it survives a rebuild."""
    points = {function: minutes for _, function, minutes in exercises(cells)}
    out = []
    for i, (kind, text) in enumerate(cells):
        metadata = grading(text, f"{name}-{i}", points) if graded else {}
        cell = {"cell_type": kind, "id": f"{name[:2]}-{i:03}", "metadata": metadata}
        if kind == "code":
            text = render(text)
            cell["execution_count"] = None
            cell["outputs"] = []
        cell["source"] = text.splitlines(True)
        out.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": out, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def grading(text: str, grade_id: str, points: dict) -> dict:
    """Make a cell's metadata for nbgrader. The learner writes solution cells. Check cells are
    locked and worth one point a minute."""
    base = {"schema_version": 3, "grade_id": grade_id, "task": False}
    if "### BEGIN SOLUTION" in text:
        return {"nbgrader": base | {"solution": True, "grade": False, "locked": False}}
    check = re.match(r"checks\.(\w+)\(", text)
    if check and check[1] in points:
        locked = {"solution": False, "grade": True, "locked": True, "points": points[check[1]]}
        return {"nbgrader": base | locked}
    return {}


def write_for_class(folder: Path | str, wanted: list[str]) -> None:
    """Write notebooks for a class. ["1", "4.2"]: lessons 1 and 4, all solved but exercise 4.2."""
    for number in sorted({word.partition(".")[0].zfill(2) for word in wanted}):
        (source,) = source_paths([number])
        cells = read_cells(source.read_text(encoding="utf-8"))

        # solve every exercise that isn't named
        for n, (i, _, _) in enumerate(exercises(cells), 1):
            if f"{int(number)}.{n}" not in wanted:
                cells[i] = ("code", solved_cell(cells[i][1]))

        path = Path(folder) / f"{source.stem}.ipynb"
        write(path, notebook(cells, blank_cell, source.stem))
        print(f"{path}: written")


def write(path: Path, content: dict) -> None:
    """Write a notebook as a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def keep_outputs(content: dict, path: Path) -> dict:
    """Copy the outputs of the notebook at `path` to every cell whose code is unchanged."""
    if not path.exists():
        return content
    old_cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    stored = {"".join(cell["source"]): cell for cell in old_cells if cell["cell_type"] == "code"}
    for cell in content["cells"]:
        old = stored.get("".join(cell["source"]))
        if cell["cell_type"] == "code" and old:
            cell["outputs"] = old["outputs"]
            cell["execution_count"] = old["execution_count"]
    return content


def execute(content: dict) -> dict:
    """Run a notebook in a fresh kernel, in the lessons' folder. Returns it with its outputs."""
    import nbformat  # optional packages, needed only here
    from nbclient import NotebookClient

    os.environ["CLAIMS"] = "strict"  # a published notebook stops at a claim that doesn't hold
    node = nbformat.reads(json.dumps(content), as_version=4)
    resources = {"metadata": {"path": str(LESSONS)}}
    NotebookClient(node, timeout=1200, kernel_name="python3", resources=resources).execute()
    for cell in node.cells:
        cell.metadata = {}  # the times of execution would change at every run
    return json.loads(nbformat.writes(node))


def build(source: Path, run: bool) -> None:
    """Write the blank and the solved notebook of one lesson, and run the solved one if asked to."""
    name = source.stem
    cells = read_cells(source.read_text(encoding="utf-8"))
    write(LESSONS / f"{name}.ipynb", notebook(cells, blank_cell, name))

    path = LESSONS / "solutions" / f"{name}.ipynb"
    content = keep_outputs(notebook(cells, solved_cell, name), path)
    start = time.perf_counter()
    write(path, execute(content) if run else content)
    seconds = f", run in {time.perf_counter() - start:.0f} s" if run else ""
    print(f"{name}: written{seconds}", flush=True)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("lessons", nargs="*", help="numbers of lessons (04) or, with --class, of exercises (4.2)")
    add("--execute", action="store_true", help="run the solved notebooks and store their outputs")
    add("--class", dest="class_folder", metavar="FOLDER", help="write notebooks for a class there")
    add("--nbgrader", metavar="FOLDER", help="write the instructor's version for nbgrader there")
    args = parser.parse_args()

    if args.class_folder:
        write_for_class(args.class_folder, args.lessons)
        return
    for source in source_paths(args.lessons):
        if args.nbgrader:
            cells = read_cells(source.read_text(encoding="utf-8"))
            path = Path(args.nbgrader) / f"{source.stem}.ipynb"
            write(path, notebook(cells, str, source.stem, graded=True))
        else:
            build(source, args.execute)


if __name__ == "__main__":
    main()
