"""Questions as persons type them: how many does the tuned model answer?

760 questions about the built-in world. Lists a and b were in view when its ways to ask were chosen,
and so was d, a stranger's first hour: capitals, plurals, contractions, sums with a sign. List c was
written without looking at the world, and its errors were read later. Lists e (as a to c) and f (as
d) were written without looking, and their errors have not been read. A reply that contains the
value is right.

The kinds: a plain question, lower case, polite, chatty, keywords only, one typing error, another
sentence that names the thing, a verb or an everyday expression instead of its name, and others.

    python bench/persons.py [out/tuned.pt]
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.chat import lower_capitals  # noqa: E402
from common.table import wilson  # noqa: E402
from data import Row, Turn  # noqa: E402
from generate import Sampling, load_assistant  # noqa: E402


def answered(row: dict, text: str) -> bool:
    """Does the reply contain the value?"""
    return re.search(rf"(?<!\w){re.escape(row['value'])}(?!\w)", text) is not None


def load_rows(path: Path) -> tuple[list[dict], list[Row]]:
    """Read questions as the chat would."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return lines, [Row((Turn(lower_capitals(line["instruction"])),)) for line in lines]


def main():
    assistant = load_assistant(sys.argv[1] if len(sys.argv) > 1 else "out/tuned.pt")
    for path in sorted(Path(__file__).parent.glob("persons_*.jsonl")):
        lines, rows = load_rows(path)
        right, asked = Counter(), Counter(line["kind"] for line in lines)
        for line, (text, _) in zip(lines, assistant.answers(rows, Sampling())):
            right[line["kind"]] += answered(line, text)
        total, n = sum(right.values()), len(lines)
        low, high = wilson(total, n)
        print(f"{path.name}: {total} of {n} right ({total / n:.0%}, {low:.0%} to {high:.0%})")
        print("  " + ", ".join(f"{kind} {right[kind]}/{n}" for kind, n in asked.items()))


if __name__ == "__main__":
    main()
