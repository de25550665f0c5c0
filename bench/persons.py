"""Questions as persons type them: how many does the tuned model answer?

480 questions about the built-in world, written without a look at its ways of asking. `persons_a.jsonl` and
`persons_b.jsonl` were looked at while those were chosen, `persons_c.jsonl` was not. Right is a reply that holds the value.
The kinds: a plain question, lower case, polite, chatty, keywords only, one typing error, another sentence that names the
thing, a verb or an everyday expression instead of its name.

    python bench/persons.py [out/tuned.pt]
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.table import wilson  # noqa: E402
from data import Row, Turn  # noqa: E402
from generate import Sampling, load_assistant  # noqa: E402


def answered(row, text):
    """Does the reply hold the value?"""
    return re.search(rf"(?<!\w){re.escape(row['value'])}(?!\w)", text) is not None


def main():
    assistant = load_assistant(sys.argv[1] if len(sys.argv) > 1 else "out/tuned.pt")
    for path in sorted(Path(__file__).parent.glob("persons_*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        answers = assistant.answers([Row((Turn(row["instruction"]),)) for row in rows], Sampling())
        right, asked, said = Counter(), Counter(row["kind"] for row in rows), 0
        for row, (text, _) in zip(rows, answers):
            right[row["kind"]] += answered(row, text)
            said += "unknown" in text
        total = sum(right.values())
        low, high = wilson(total, len(rows))
        kinds = ", ".join(f"{kind} {right[kind]}/{n}" for kind, n in asked.items())
        print(f"{path.name}: {total} of {len(rows)} right ({total / len(rows):.0%}, {low:.0%} to {high:.0%}), "
              f"{said} said to be unknown; {kinds}")


if __name__ == "__main__":
    main()
