"""Plausible wrong answers to lesson 32's exercises, and what the checks must say of each."""

BEST = """
def keep_best(rows, candidates, reward):
    out = []
    for row, answers in zip(rows, candidates):
        q, x, a = row.turns[0]
        best = {best}
        if {keep}:
            out.append(Row((Turn(q, {x}, {answer}),), {task}))
    return out
"""
RIGHT = dict(
    best="max(answers, key=lambda answer: reward(row, answer))",
    keep="reward(row, best) > 0",
    x="x",
    answer="best",
    task="row.task",
)


def best(**changed):
    return BEST.format(**(RIGHT | changed))


WRONG = {
    "replay": [
        (
            "def replay(new, old, n, share, rng):\n    both = rng.sample(new, n) + rng.sample(old, int(share * n))\n"
            "    return rng.sample(both, len(both))",
            "do not add to them",
        ),
        (
            "def replay(new, old, n, share, rng):\n    k = int(n * share / (1 + share))\n"
            "    both = rng.sample(new, n - k) + rng.sample(old, k)\n    return rng.sample(both, len(both))",
            "of the whole mixture",
        ),
        (
            "def replay(new, old, n, share, rng):\n    k = int(share * n)\n"
            "    return rng.sample(old, k) + rng.sample(new, n - k)",
            "stand apart",
        ),
        (
            "def replay(new, old, n, share, rng):\n    k = int(share * n)\n    both = old[:k] + new[: n - k]\n"
            "    return rng.sample(both, n)",
            "the first ones",
        ),
        (
            "def replay(new, old, n, share, rng):\n    k = int(share * n)\n"
            "    both = rng.choices(old, k=k) + rng.choices(new, k=n - k)\n    return rng.sample(both, n)",
            "come twice",
        ),
        (
            "def replay(new, old, n, share, rng):\n    k = int(share * n)\n"
            "    both = random.sample(old, k) + random.sample(new, n - k)\n    return random.sample(both, n)",
            "the same rng",
        ),
        (
            "def replay(new, old, n, share, rng):\n    rng.shuffle(new)\n    rng.shuffle(old)\n    k = int(share * n)\n"
            "    return rng.sample(old[:k] + new[: n - k], n)",
            "the caller's lists",
        ),
    ],
    "keep_best": [
        (best(keep="True"), "leave that row out"),
        (best(answer="a"), "the model's own ones"),
        (
            best(best="next((b for b in answers if reward(row, b) > 0), '')", keep="best"),
            "not the first with any reward",
        ),
        (best(best="max(reversed(answers), key=lambda b: reward(row, b))"), "take the first"),
        (best(x="''"), "the input of the question"),
        (best(task="''"), "keep the task"),
        (best(keep="reward(row, best) >= 1"), "expected rows for q0, q2, q3"),
    ],
}
