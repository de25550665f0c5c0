"""Plausible wrong answers to lesson 10's exercises, and what the checks must say of each."""

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
    which="other.task == row.task and other.turns[0].output != a",
    choose="rng.choice(others)",
    give="Row((Turn(q, x, other.turns[0].output),), row.task, row.where)",
)


def swap(**changed):
    return SWAP.format(**(RIGHT | changed))


LOSSES = """
def row_losses(logits, targets):
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction='none')
    losses, learned = losses.view(targets.shape), targets != IGNORE
    return {give}
"""

WRONG = {
    "swapped": [
        (swap(which="other.turns[0].output != a"), "another task"),
        (swap(which="other is not row and other.task == row.task"), "still a1"),
        (swap(give="other"), "the question must stay"),
        (swap(give="Row((Turn(q, '', other.turns[0].output),), row.task, row.where)"), "the input must stay"),
        (swap(give="Row((Turn(q, x, other.turns[0].output),))"), "keep the task"),
        (swap(choose="others[0]"), "draw from all answers"),
        (
            swap(give="rows.__setitem__(i, Row((Turn(q, x, other.turns[0].output),), row.task, row.where)) or rows[i]"),
            "the caller's list",
        ),
    ],
    "broken": [
        ("def broken(answer):\n    return answer[-1] not in '.!?;' or len(answer.split()) < 3", "it has no last sign"),
        ("def broken(answer):\n    return len(answer.split()) < 3", "the end is missing"),
        ("def broken(answer):\n    return len(answer.split()) < 3 or answer.strip()[-1] != '.'", "semicolon"),
        ("def broken(answer):\n    return len(answer.split()) < 3 or answer[-1] not in '.!?;'", "spaces around"),
        (
            "def broken(answer):\n    return len(answer.split()) <= 3 or answer.strip()[-1] not in '.!?;'",
            "three words are enough",
        ),
        (
            "def broken(answer):\n    return not any(m in answer for m in '.!?;') or len(answer.split()) < 3",
            "the middle",
        ),
        ("def broken(answer):\n    return len(answer) < 3 or answer.strip()[-1:] not in tuple('.!?;')", "two words"),
    ],
    "row_losses": [
        (LOSSES.format(give="losses.sum(1)"), "these are sums"),
        (LOSSES.format(give="losses.mean(1)"), "all 4 places"),
        (LOSSES.format(give="losses.sum(1) / learned.sum()"), "the whole batch"),
        (LOSSES.format(give="losses.sum() / learned.sum()"), "one number for each"),
        (LOSSES.format(give="losses"), "one number for each"),
        (LOSSES.format(give="-losses.sum(1) / learned.sum(1)"), "the sign"),
        (
            "def row_losses(logits, targets):\n    learned = targets != IGNORE\n    targets[~learned] = 0\n"
            "    p = logits.log_softmax(-1).gather(2, targets[..., None])[..., 0]\n"
            "    return -(p * learned).sum(1) / learned.sum(1)",
            "the caller's targets",
        ),
    ],
}
