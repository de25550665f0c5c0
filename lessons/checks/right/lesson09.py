"""Right answers to the exercises of lesson 9 in other forms than the solution's."""

RIGHT = {
    "mixture": [
        """
def mixture(pools, n, rng):
    left = {task: rng.sample(pool, len(pool)) for task, pool in pools.items()}
    taken, draws = dict.fromkeys(pools, 0), []
    while len(draws) < n:
        fewest = min(taken[task] for task in pools if left[task])
        task = rng.choice([task for task in pools if left[task] and taken[task] == fewest])
        taken[task] += 1
        draws.append(left[task].pop())
    return draws
""",
        """
def mixture(pools, n, rng):
    # how many of each first, the smallest pools first; then the rows
    tasks = sorted(pools, key=lambda task: (len(pools[task]), rng.random()))
    draws, missing = [], n
    for i, task in enumerate(tasks):
        share = missing // (len(tasks) - i)
        k = min(len(pools[task]), share)
        draws += rng.sample(pools[task], k)
        missing -= k
    return draws
""",
        """
def mixture(pools, n, rng):
    dealt = []
    for rows in pools.values():
        rows = list(rows)
        rng.shuffle(rows)
        dealt += [(place, rng.random(), row) for place, row in enumerate(rows)]
    return tuple(row for _, _, row in sorted(dealt)[:n])
""",
    ],
    "replay": [
        """
def replay(new, old, n, share, rng):
    new, old = list(new), list(old)
    rng.shuffle(new)
    rng.shuffle(old)
    k = int(n * share)
    return (*old[:k], *new[: n - k])
""",
        """
def replay(new, old, n, share, rng):
    k = int(n * share // 1)
    rows = [new[i] for i in rng.sample(range(len(new)), n - k)]
    for i in rng.sample(range(len(old)), k):
        rows.insert(rng.randrange(len(rows) + 1), old[i])
    return rows
""",
        """
def replay(new, old, n, share, rng):
    rows, pools = [], {True: list(old), False: list(new)}
    for i in range(n):
        pool = pools[i < math.floor(share * n)]
        rows.append(pool.pop(rng.randrange(len(pool))))
    rng.shuffle(rows)
    return rows
""",
    ],
}
