"""Do the lessons' claims hold on other bases? Runs lessons in full on each, and writes a table: claim x base.

    python lessons/teaching/claims.py --bases out other/out third/out              all lessons; writes docs/CLAIMS.md
    python lessons/teaching/claims.py --bases out other/out --lessons 02 05        some; nothing is written without --write
    python lessons/teaching/claims.py --bases out other/out third/out --stored     only the table, of what was run before

A base is the folder in which `python train_sft.py --seed N --out FOLDER` left its base.pt. What was found is kept there,
in claims.json, lesson by lesson, so that an interrupted run is not lost.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import build

sys.path.insert(0, str(build.HERE.parent))  # for the tables in lessons/checks/claims
TABLE = build.HERE.parent / "docs" / "CLAIMS.md"
HEAD = """# The claims, on other bases

Each line: the lesson; its claim, without numbers; what would refute it; on how many of the bases it held (✓ held, ✗ did not,
in the order of the bases; - not run). `python lessons/teaching/claims.py` makes this page; `tests/test_claims.py` shows for each
claim a measurement under which it fails.

"""


def run_lesson(number):
    """Every code cell of the solved lesson, in one namespace -> [[claim, holds], ...]. In a process of its own."""
    os.chdir(build.HERE)
    (path,) = build.sources([number])
    space = {"__name__": "__main__"}
    for kind, text in build.read_cells(path.read_text(encoding="utf-8")):
        if kind == "code":
            exec(build.solved(text), space)
    return space["lab"].claims


def run(base, number):
    """A lesson on a base -> [[claim, holds], ...], or None if it stopped with an error."""
    settings = {"LESSON_OUT": str(base), "MPLBACKEND": "Agg", "PYTHONUTF8": "1", "CLAIMS": "", "FAST": ""}
    command = [sys.executable, str(Path(__file__).resolve()), "--one", number]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        print(f"{base}, lesson {number}: stopped with an error\n{done.stderr[-2000:]}", flush=True)
        return None
    return json.loads(done.stdout.rpartition("\n@")[2])


def stored(base):
    path = base / "claims.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def described(number):
    """[(sentence without numbers, what would refute it)] of a lesson's claims, or [] if no table names them yet"""
    path = build.HERE / "checks" / "claims" / f"lesson{number}.py"
    if not path.exists():
        return []
    spec = importlib.util.spec_from_file_location(f"claims{number}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [(claim["sentence"], claim["refuted_by"]) for claim in module.CLAIMS]


def without_numbers(text):
    """ "in 12 % of them (3 to 20 %)" -> "in ... of them" """
    return re.sub(r"\s*\d[\d.,]*\s?%?", " ...", re.sub(r"\s*\([^)]*\d[^)]*\)", "", text))


def title(base):
    """ "seed 9", by the report that the main job left beside the base"""
    path = base / "report.json"
    return f"seed {json.loads(path.read_text(encoding='utf-8'))['config']['seed']}" if path.exists() else base.name


def table(numbers, bases):
    """Lines of the page."""
    lines = ["| lesson | claim | refuted by | held | " + " | ".join(map(title, bases)) + " |"]
    lines += ["| --- " * (4 + len(bases)) + "|"]
    found = [stored(base) for base in bases]
    for number in numbers:
        per_base = [one.get(number) for one in found]
        names = described(number)
        first = next((claims for claims in per_base if claims), [])
        for i, (text, _) in enumerate(first):
            sentence, refuted_by = names[i] if i < len(names) else (without_numbers(text), "")
            marks = ["-" if claims is None else "✓" if claims[i][1] else "✗" for claims in per_base]
            ran = len(marks) - marks.count("-")
            cells = [number, sentence, refuted_by, f"{marks.count('✓')} of {ran}", *marks]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", nargs="+", type=Path, default=[], help="folders that hold a base.pt")
    parser.add_argument("--lessons", nargs="+", default=[], help="numbers, as 04; all if none is given")
    parser.add_argument("--stored", action="store_true", help="run nothing, show what was found before")
    parser.add_argument("--write", action="store_true", help="write CLAIMS.md even if only some lessons were asked for")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print("\n@" + json.dumps(run_lesson(args.one)))
        return
    bases = [base.resolve() for base in args.bases]
    missing = [base for base in bases if not (base / "base.pt").exists()]
    if missing or not bases:
        parser.error(f"no base.pt in {missing or 'any folder: give --bases'}")
    numbers = [path.name[:2] for path in build.sources(args.lessons)]
    for base in bases * (not args.stored):
        for number in numbers:
            claims = run(base, number)
            kept = stored(base) | ({number: claims} if claims is not None else {})
            (base / "claims.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(f"{base}, lesson {number}: {[holds for _, holds in claims or []]}", flush=True)
    lines = table(numbers, bases)
    print(*lines, sep="\n")
    if args.write or not args.lessons:
        TABLE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
        print(f"{TABLE}: written")


if __name__ == "__main__":
    main()
