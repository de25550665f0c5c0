"""Overlap: what it adds is `python data.py train.jsonl --against eval.jsonl`: how much of one file stands in another.

You can skip this: it reads and counts. A question that was trained on says nothing about what a model can do with new
ones, so look before you believe a score.
"""

import math
import re
from collections import Counter, defaultdict

from common.audit import prompt_key

NEAR = 0.7  # share of common runs of words from which two prompts count as nearly the same (Jaccard)


def prompt(row):
    return "\n".join(part for turn in row.turns for part in turn[:2] if part)


def runs(key):
    """A normalised prompt -> the set of its runs of three words; shorter ones are one run."""
    words = key.split()
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def near_matches(ours, others):
    """Normalised prompts, twice -> how many of `ours` have a nearly equal one in `others`.

    Two sets with a share t of common runs have one in common among the rarest (1 - t) n + 1 of either (prefix filter,
    Chaudhuri et al. 2006), so that only few pairs are compared."""
    sets = [runs(key) for key in set(others)]
    often = Counter(run for one in sets for run in one)

    def rarest(one):
        order = sorted(one, key=lambda run: (often[run], run))
        return order[: len(one) - math.ceil(NEAR * len(one)) + 1]

    where = defaultdict(list)  # run -> the sets that have it among their rarest
    for i, one in enumerate(sets):
        for run in rarest(one):
            where[run].append(i)
    found = 0
    for one in map(runs, ours):
        near = {i for run in rarest(one) for i in where[run]}
        found += any(len(one & sets[i]) >= NEAR * len(one | sets[i]) for i in near)
    return found


def compare(rows, others):
    """Two lists of rows -> {what: how many of `rows`}, each kind of match without the ones before it."""
    exact, same = {prompt(row) for row in others}, {prompt_key(row) for row in others}
    left = [row for row in rows if prompt(row) not in exact]
    unlike = [row for row in left if prompt_key(row) not in same]
    pairs = {(prompt_key(row), row.turns[-1].output.strip()) for row in others}
    return {
        "exact": len(rows) - len(left),
        "but for spaces, case and marks": len(left) - len(unlike),
        "nearly": near_matches([prompt_key(row) for row in unlike], same),
        "with the answer": sum((prompt_key(row), row.turns[-1].output.strip()) in pairs for row in rows),
    }


def habits(rows):
    """What makes a file weaker than its number of rows says -> {what: how many}"""
    turns = [turn for row in rows for turn in row.turns]
    return {
        "unique prompts": len({prompt_key(row) for row in rows}),
        "answers that break off (no mark at their end)": sum(not re.search(r"\W\s*$", turn.output) for turn in turns),
        "conversations that hold a turn twice": sum(len(set(row.turns)) < len(row.turns) for row in rows),
    }


def tell(file, rows, asked, against):
    """Print both for one file and its rows; `asked` are the rows of the file `against`."""
    print(f"\n{file}: {len(rows):,} rows; " + ", ".join(f"{n:,} {what}" for what, n in habits(rows).items()))
    print(f"Of the {len(asked):,} prompts of {against}, these stand in it:")
    for what, n in compare(asked, rows).items():
        print(f"  {n:>7,}  {n / max(1, len(asked)):>6.1%}  {what}")
