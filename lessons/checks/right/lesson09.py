"""Right answers to the exercises of lesson 9 in other forms than the solution's."""

RIGHT = {
    "rates": [
        """
def rates(sizes, cap):
    total = sum(min(size, cap) for size in sizes.values())
    shares = {}
    for name in sizes:
        shares[name] = (cap if sizes[name] > cap else sizes[name]) / total
    return shares
""",
        """
def rates(sizes, cap):
    counted = np.minimum(list(sizes.values()), cap)
    return dict(zip(sizes, (counted / counted.sum()).tolist()))
""",
    ],
    "breadth": [
        """
def breadth(pools, kinds, n, seed, mix, tune, ask):
    names = list(pools)
    random.Random(seed).shuffle(names)
    results = dict.fromkeys(kinds)
    for k in results:
        rows = mix({name: pools[name] for name in names[:k]}, n, random.Random(seed))
        model = tune(rows, seed)
        results[k] = ask(model)
    return results
""",
        """
def breadth(pools, kinds, n, seed, mix, tune, ask):
    order = sorted(pools, key=lambda name: random.Random(f"{seed} {name}").random())

    def one(k):
        chosen = dict((name, list(pools[name])) for name in order[:k])
        return ask(tune(mix(chosen, n, random.Random(seed)), seed))

    return {k: one(k) for k in kinds}
""",
    ],
    "reply_scores": [
        """
def reply_scores(row, text, stopped, value, opening):
    reply = text.strip()
    is_word = re.compile(r"(?<![^\\W])" + re.escape(value) + r"(?![^\\W])")
    scores = {"right": False, "new style": False, "value": is_word.search(reply) is not None}
    if stopped:
        scores["right"] = world.check(row.task, row.turns[0].output, reply)
    if opening:
        scores["new style"] = reply[: len(opening)] == opening
    return scores
""",
        """
def reply_scores(row, text, stopped, value, opening):
    text = text.strip()
    padded, found = f" {text} ", False
    at = padded.find(value)
    while at >= 0:
        before, after = padded[at - 1], padded[at + len(value)]
        found = found or not (before.isalnum() or after.isalnum())
        at = padded.find(value, at + 1)
    right = all((stopped, world.check(row.task, row.turns[0].output, text)))
    return {"value": found, "right": right, "new style": bool(opening) and text.startswith(opening)}
""",
    ],
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
