"""Notebooks from sources: src/NN_name.py (percent format) -> NN_name.ipynb (blank) and solutions/NN_name.ipynb (solved).

    python lessons/build.py                      write both, blank ones without outputs (solved ones keep theirs)
    python lessons/build.py --execute            also run the solved ones and store outputs and pictures
    python lessons/build.py --execute 04 07      only these lessons
    python lessons/build.py --nbgrader FOLDER    the instructor's version, with nbgrader's cell metadata

A source is cells that begin with `# %%` or `# %% [markdown]`. Lines between `### BEGIN SOLUTION` and `### END SOLUTION`
are what the blank notebook leaves to the learner.
"""

import argparse
import json
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


def sources(numbers=()):
    """-> paths of the lessons' sources, all or those with these numbers."""
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
    args = parser.parse_args()
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
