"""Seconds to an assistant: measures the project as it stands, from nothing to the held-out scores, and adds one row to
docs/RECORD.md, which has the rules.

What it is: `python train_sft.py --fresh` as whole processes, three seeds, in bfloat16 and in float32 in turn; medians.
The seeds and ten held-out task types are drawn from the clock, so that nobody can choose settings for them.
What it is not: a test, nor a proof: three seeds and one choice of held-out tasks move the scores by several points.

    python bench/record.py "what changed"                    a row, from six whole runs
    python bench/record.py "what changed" --dtypes auto      without float32: three runs
    python bench/record.py "again" --seeds 1,2,3 --hold-out currency,young,...       the draw of another row
"""

import argparse
import datetime
import json
import os
import platform
import random
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import world  # noqa: E402

TABLE = Path(__file__).resolve().parent.parent / "docs" / "RECORD.md"
SECONDS = ("s bfloat16", "s float32")
SCORES = ("inputs", "phrasings", "tasks", "words")  # of the tuned model, percent
COLUMNS = ("date", "what changed", *SECONDS, *SCORES, "least on tasks", "record", "machine", "commit",
           "seeds", "held out")
NUMBERS = (*SECONDS, *SCORES, "least on tasks")
MAY_FALL = 2  # points
QUIET = 0.5  # the load average of a machine on which nothing else runs is below that

# ----------------------------------------------------------------------------------------------------------------
# The draw.


def tasks_that_can_be_held_out():
    return list(world.TASKS)


def draw(clock):
    """A number -> three seeds, ten task types to hold out."""
    rng = random.Random(clock)
    return rng.sample(range(1, 10_000), 3), rng.sample(tasks_that_can_be_held_out(), 10)


# ----------------------------------------------------------------------------------------------------------------
# The machine.


def two_cores():
    """This process and those that it starts may use two cores; where the system cannot say so, torch decides."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


def load():
    """How many programs ran or waited to run in the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def processor():
    try:
        return re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def git(*command, folder=ROOT):
    """What git prints; None where it fails."""
    try:
        done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit():
    """The commit of the code that runs; with a + behind it where a file was changed since."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{TABLE.relative_to(ROOT)}")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+" if changed else "")


# ----------------------------------------------------------------------------------------------------------------
# The runs.


def timed(command):
    """Runs it from the project's folder -> wall-clock seconds of the whole process."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{(done.stdout + done.stderr)[-2000:]}\nfailed, no row: python {shlex.join(command)}")
    return seconds


def one_run(seed, hold_out, dtype):
    """-> {"seconds", "dtype", "machine", and each score in percent}"""
    with tempfile.TemporaryDirectory() as out:
        command = ["train_sft.py", "--fresh", "--seed", str(seed), "--hold-out", ",".join(hold_out), "--dtype", dtype]
        seconds = timed([*command, "--out", out])
        report = json.loads((Path(out) / "report.json").read_text(encoding="utf-8"))
    held_out = report["held_out"]

    def percent(split, column):
        found = held_out[split]
        return 100 * found[column]["correct"] / found["n"]

    scores = {name: percent(f"unseen_{name}", "tuned") for name in SCORES}
    return {"seconds": seconds, "dtype": report["config"]["dtype"], "machine": report["machine"]} | scores


def all_runs(seeds, hold_out, dtypes):
    """Every seed with every type in turn. A processor without bfloat16 takes float32 for auto: that is run once."""
    runs = []
    for seed in seeds:
        seen = set()
        for dtype in dtypes:
            if dtype not in seen:
                runs.append(one_run(seed, hold_out, dtype))
                seen.add(runs[-1]["dtype"])
                said = ", ".join(f"{name} {runs[-1][name]:.1f} %" for name in SCORES)
                print(f"  seed {seed}, {runs[-1]['dtype']}: {runs[-1]['seconds']:.1f} s; {said}", flush=True)
    return runs


def summary(runs):
    """Runs -> the numbers of a row. The scores are those of the type that comes first."""
    row, first = {}, [run for run in runs if run["dtype"] == runs[0]["dtype"]]
    for name in SECONDS:
        found = [run["seconds"] for run in runs if run["dtype"] == name.split()[1]]
        row[name] = round(statistics.median(found), 1) if found else None
    for name in SCORES:
        row[name] = round(statistics.median(run[name] for run in first), 1)
    row["least on tasks"] = round(min(run["tasks"] for run in first), 1)
    return row


# ----------------------------------------------------------------------------------------------------------------
# The table.


def line(row):
    cells = ["-" if row[name] is None else str(row[name]) for name in COLUMNS]
    return "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |"


def read_rows(text):
    """The text of RECORD.md -> its rows, numbers as numbers."""
    lines = [some.strip().strip("|").split(" | ") for some in text.splitlines() if some.startswith("| 20")]
    rows = [dict(zip(COLUMNS, map(str.strip, cells), strict=True)) for cells in lines]
    for row in rows:
        row |= {name: None if row[name] == "-" else float(row[name]) for name in NUMBERS}
    return rows


def against(row, rows):
    """Why a row is no record beside the rows above it: reasons, none if it is one. Machines are told apart by the name of
    their processor."""
    records = [one for one in rows if one["record"] in ("first", "yes")]
    reasons = [f"{name} fell from {records[-1][name]} to {row[name]} %" for name in SCORES
               if records and row[name] < records[-1][name] - MAY_FALL]
    same = [one for one in records if one["machine"].split(";")[0] == row["machine"].split(";")[0]]
    name = next(name for name in SECONDS if row[name] is not None)
    best = min((one[name] for one in same if one[name] is not None), default=None)
    if best is not None and row[name] >= best:
        reasons.append(f"{name}: {row[name]} is not below {best}")
    return reasons


def changed_questions(rows):
    """A warning where the world's files are not those of the last record: nobody but a reader sees what changed."""
    before = next((one["commit"] for one in reversed(rows) if one["record"] in ("first", "yes")), None)
    if before is None:
        return ""
    changed = git("diff", "--name-only", before.rstrip("+"), "--", "world", "common/table.py")
    if changed is None:
        return f"commit {before} is not here: look for yourself whether questions and checkers are the same."
    return f"changed since {before}: {', '.join(changed.split())}. Are questions and checkers the same?" if changed else ""


def names(text):
    found = text.split(",")
    wrong = [name for name in found if name not in tasks_that_can_be_held_out()]
    if wrong or len(set(found)) != 10:
        raise argparse.ArgumentTypeError(f"ten different tasks are needed; unknown: {', '.join(wrong) or 'none'}")
    return found


def three(text):
    if not re.fullmatch(r"\d+,\d+,\d+", text):
        raise argparse.ArgumentTypeError("three numbers with commas are needed")
    return [int(seed) for seed in text.split(",")]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", help="what changed since the row before, in a few words")
    parser.add_argument("--seeds", type=three, help="instead of drawing them; such a row is no record")
    parser.add_argument("--hold-out", type=names, help="the same for the ten tasks")
    parser.add_argument("--dtypes", default="auto,float32", choices=("auto,float32", "auto"))
    args = parser.parse_args(argv)
    before, busy, rows = commit(), load(), read_rows(TABLE.read_text(encoding="utf-8"))
    seeds, hold_out = draw(time.time_ns())
    seeds, hold_out = args.seeds or seeds, args.hold_out or hold_out
    print(f"--seeds {','.join(map(str, seeds))} --hold-out {','.join(hold_out)}")
    two_cores()
    print("tests/test_world.py ...", flush=True)
    timed(["-m", "pytest", "-q", "tests/test_world.py"])
    runs = all_runs(seeds, hold_out, args.dtypes.split(","))
    machine = f"{processor()}; {runs[0]['machine']}" + (f"; load {busy:.1f}" if busy >= QUIET else "")
    row = summary(runs) | {"date": f"{datetime.date.today()}", "what changed": args.what, "machine": machine,
                           "commit": before, "seeds": ",".join(map(str, seeds)), "held out": ",".join(hold_out)}
    reasons = against(row, rows)
    reasons += ["the seeds or tasks were given, not drawn"] * bool(args.seeds or args.hold_out)
    reasons += [f"the machine was not quiet: load {busy:.1f}"] * (busy >= QUIET)
    reasons += ["files were changed since the commit"] * (before.endswith("+") or commit() != before)
    first = not any(one["record"] in ("first", "yes") for one in rows)
    row["record"] = "no" if reasons else "first" if first else "yes"
    with open(TABLE, "a", encoding="utf-8") as file:
        file.write(line(row) + "\n")
    print(line(row))
    print("no record: " + "; ".join(reasons) if reasons else "counts as a record, by what this program can check")
    if warning := changed_questions(rows):
        print(warning)


if __name__ == "__main__":
    main()
