"""Test the lessons' claims on other bases. Runs lessons in full on each base and writes
docs/CLAIMS.md.

    python lessons/teaching/claims.py --bases out other/out third/out            all lessons
    python lessons/teaching/claims.py --bases out other/out --lessons 02 05      some of them
    python lessons/teaching/claims.py --bases out other/out third/out --stored   only the page

A base is the folder in which `python train_sft.py --seed N --out FOLDER` left base.pt. Results are
saved there after each lesson, in claims.json, so you can interrupt a run.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import build

sys.path[:0] = [str(build.LESSONS.parent), str(build.LESSONS)]
PAGE = build.LESSONS.parent / "docs" / "CLAIMS.md"
MARKER = "\n@"  # separates what a lesson prints from its result
HEAD = """# The claims, on other bases

For each lesson its claims, without their numbers. A claim is followed by the number of bases on
which it held, one sign for each base (✓ held, ✗ did not, - not run), and a measurement that would
refute it. `python lessons/teaching/claims.py` makes this page. `tests/test_claims.py` shows for
each claim a measurement under which it fails.
"""
WIDTH = 100


def run_lesson(number: str) -> list:
    """Run every code cell of a solved lesson in one namespace. Returns [[claim, holds], ...]."""
    os.chdir(build.LESSONS)
    (path,) = build.source_paths([number])
    space = {"__name__": "__main__"}
    for kind, text in build.read_cells(path.read_text(encoding="utf-8")):
        if kind == "code":
            exec(build.solved_cell(text), space)
    return space["lab"].claims


def run(base: Path, number: str) -> list | None:
    """Run a lesson on a base, in its own process. Returns [[claim, holds], ...], or None if the
    lesson stopped with an error."""
    settings = {
        "LESSON_OUT": str(base), "MPLBACKEND": "Agg", "PYTHONUTF8": "1", "CLAIMS": "", "FAST": ""
    }
    command = [sys.executable, str(Path(__file__).resolve()), "--one", number]
    process = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, encoding="utf-8"
    )
    if process.returncode:
        message = process.stderr[-2000:]
        print(f"{base}, lesson {number}: stopped with an error\n{message}", flush=True)
        return None
    return json.loads(process.stdout.rpartition(MARKER)[2])


def load_results(base: Path) -> dict:
    """Read the results stored beside a base, {lesson: [[claim, holds], ...]}."""
    path = base / "claims.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save_result(base: Path, number: str, claims: list) -> None:
    """Add the result of one lesson to those stored beside a base."""
    results = load_results(base) | {number: claims}
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (base / "claims.json").write_text(text + "\n", encoding="utf-8")


def base_title(base: Path) -> str:
    """Name a base by the seed in its report.json ("seed 9"), or else by its folder."""
    path = base / "report.json"
    if not path.exists():
        return base.name
    return f"seed {json.loads(path.read_text(encoding='utf-8'))['config']['seed']}"


def make_page(numbers: list[str], bases: list[Path]) -> str:
    """Describe the stored results of these lessons on these bases, as Markdown."""
    titles = ", ".join(base_title(base) for base in bases)
    lines = [HEAD, f"The bases: {titles or 'none yet'}."]
    results = [load_results(base) for base in bases]
    for number in numbers:
        per_base = [result.get(number) for result in results]
        lines += ["", f"## Lesson {int(number)}", ""]
        table = importlib.import_module(f"checks.claims.lesson{number}").CLAIMS
        for i, claim in enumerate(table):
            lines += describe(claim, [sign(claims, i) for claims in per_base])
    return "\n".join(lines) + "\n"


def describe(claim: dict, signs: list[str]) -> list[str]:
    """Make the lines of one claim."""
    n_run = len(signs) - signs.count("-")
    held = f"{signs.count('✓')} of {n_run} {' '.join(signs)}" if n_run else "not run"
    text = f"{claim['sentence']} ({held})"
    refuted = f"*Refuted by:* {claim['refuted_by']}."
    return [
        *textwrap.wrap(text, WIDTH, initial_indent="- ", subsequent_indent="  "),
        *textwrap.wrap(refuted, WIDTH, initial_indent="  ", subsequent_indent="  "),
    ]


def sign(claims: list | None, i: int) -> str:
    """Say whether claim i held: ✓, ✗, or - if the lesson was not run."""
    if claims is None:
        return "-"
    return "✓" if claims[i][1] else "✗"


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("--bases", nargs="+", type=Path, default=[], help="folders that contain a base.pt")
    add("--lessons", nargs="+", default=[], help="numbers, as 04 (default: all lessons)")
    add("--stored", action="store_true", help="run nothing, show the stored results")
    add("--write", action="store_true", help="write the page even if only some lessons ran")
    add("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()

    # the process of one lesson
    if args.one:
        print(MARKER + json.dumps(run_lesson(args.one)))
        return

    bases = [base.resolve() for base in args.bases]
    missing = [str(base) for base in bases if not (base / "base.pt").exists()]
    if missing or not bases and not args.stored:
        parser.error(f"no base.pt in {', '.join(missing) or 'any folder: give --bases'}")

    # run the lessons on each base
    numbers = [path.name[:2] for path in build.source_paths(args.lessons)]
    for base in [] if args.stored else bases:
        for number in numbers:
            claims = run(base, number)
            if claims is not None:
                save_result(base, number, claims)
            print(f"{base}, lesson {number}: {[holds for _, holds in claims or []]}", flush=True)

    page = make_page(numbers, bases)
    print(page)
    if args.write or not args.lessons:
        PAGE.write_text(page, encoding="utf-8")
        print(f"{PAGE}: written")


if __name__ == "__main__":
    main()
