"""Plausible wrong answers to the exercises of lesson 10, each with words its check must say."""

SWAP = """
def swapped(rows, i, rng):
    row = rows[i]
    q, x, a = row.turns[0]
    others = [other for other in rows if {which}]
    if not others:
        return row
    other = {choose}
    return {give}
"""
RIGHT = dict(
    which="other.task == row.task and other.turns[0].output != a", choose="rng.choice(others)",
    give="Row((Turn(q, x, other.turns[0].output),), row.task, row.source)",
)


def swap(**changed):
    return SWAP.format(**(RIGHT | changed))


LOSSES = """
def row_losses(logits, targets):
    losses = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="none"
    )
    losses, supervised = losses.view(targets.shape), targets != IGNORE
    return {give}
"""

LCS = """
def overlap(one, two):
    best = [0] * (len(two) + 1)
    for word in one:
        new = [0]
        for j, other in enumerate(two):
            new.append(best[j] + 1 if word == other else max(best[j + 1], new[j]))
        best = new
    return {give}
"""

COMPLAINTS = """
def complaints(row):
    answer, names = row["output"], set()
    if {link}:
        names.add("link")
    text = {text}
    if {copied}:
        names.add("copied")
    if {bare}:
        names.add("bare")
    if {brackets}:
        names.add("brackets")
    return {result}
"""
COMPLAINTS_RIGHT = dict(
    link='row["instruction"].startswith("http")',
    text='re.sub(r"\\[\\d+\\]", "", row["input"])',
    copied="text.split() and text.split() == answer.split()",
    bare="len(answer.split()) < 3",
    brackets='answer.count("(") != answer.count(")")',
    result="names",
)


def complain(**changed):
    return COMPLAINTS.format(**(COMPLAINTS_RIGHT | changed))


WRONG = {
    "complaints": [
        (complain(link='"http" in row["instruction"]'), "a link inside is fine"),
        (complain(text='row["input"]'), "the mark [1] doesn't count"),
        (complain(text='re.sub(r"\\[\\d\\]", "", row["input"])'), "two digits"),
        (complain(copied="text.strip() == answer.strip()"), "spaces don't count"),
        (complain(copied="text.split() == answer.split()"), "no input"),
        (complain(copied="answer and answer in text"), "two digits"),
        (complain(bare="len(answer.split()) <= 3"), "three words are enough"),
        (complain(bare="len(answer) < 3"), "expected ['bare', 'copied']"),
        (complain(brackets='"(" in answer and ")" not in answer'), "more closed than opened"),
        (complain(result='", ".join(names)'), "return a set of names"),
    ],
    "swapped": [
        (swap(which="other.turns[0].output != a"), "another task"),
        (swap(which="other is not row and other.task == row.task"), "still a1"),
        (swap(give="other"), "the question must stay"),
        (
            swap(give="Row((Turn(q, '', other.turns[0].output),), row.task, row.source)"),
            "the input must stay",
        ),
        (swap(give="Row((Turn(q, x, other.turns[0].output),))"), "keep the task"),
        (swap(choose="others[0]"), "draw from all answers"),
        (
            (
                "def swapped(rows, i, rng):\n    row = rows[i]\n    q, x, a = row.turns[0]\n   "
                " others = {other.turns[0].output for other in rows if other.task == row.task} -"
                " {a}\n    return Row((Turn(q, x, rng.choice(list(others))),), row.task,"
                " row.source) if others else row"
            ),
            "order of a set",
        ),
        (
            swap(
                give=(
                    "rows.__setitem__(i, Row((Turn(q, x, other.turns[0].output),), row.task,"
                    " row.source)) or rows[i]"
                )
            ),
            "the caller's list",
        ),
    ],
    "row_losses": [
        (LOSSES.format(give="losses.sum(1)"), "these are sums"),
        (LOSSES.format(give="losses.mean(1)"), "all 4 positions"),
        (LOSSES.format(give="losses.sum(1) / supervised.sum()"), "the whole batch"),
        (LOSSES.format(give="losses.sum() / supervised.sum()"), "one number for each"),
        (LOSSES.format(give="losses"), "one number for each"),
        (LOSSES.format(give="-losses.sum(1) / supervised.sum(1)"), "the sign"),
        (
            (
                "def row_losses(logits, targets):\n    supervised = targets != IGNORE\n   "
                " targets[~supervised] = 0\n    p = logits.log_softmax(-1).gather(2, targets[...,"
                " None])[..., 0]\n    return -(p * supervised).sum(1) / supervised.sum(1)"
            ),
            "the caller's targets",
        ),
    ],
    "overlap": [
        (
            (
                "def overlap(one, two):\n    return 2 * len(set(one) & set(two)) / max(1, len(one)"
                " + len(two))"
            ),
            "the order counts",
        ),
        (
            (
                "def overlap(one, two):\n    common = sum(a == b for a, b in zip(one, two))\n"
                "    return 2 * common / max(1, len(one) + len(two))"
            ),
            "words between may be left out",
        ),
        (LCS.format(give="best[-1] / max(1, len(one))"), "the words in common"),
        (LCS.format(give="2 * best[-1] / (len(one) + len(two))"), "no division by zero"),
        (
            LCS.format(give="2 * best[-1] / max(1, len(one) + len(two))").replace(
                "best[j] + 1", "new[j] + 1"
            ),
            "matched once",
        ),
        (
            (
                "def overlap(one, two):\n    at, n = 0, 0\n    for word in one:\n        if word in"
                " two[at:]:\n            at, n = two.index(word, at) + 1, n + 1\n    return 2 * n /"
                " max(1, len(one) + len(two))"
            ),
            "expected",
        ),
        (
            (
                "def overlap(one, two):\n    import difflib\n    match ="
                " difflib.SequenceMatcher(None, one, two, autojunk=False)\n    return match.ratio()"
            ),
            "expected",
        ),
    ],
}
