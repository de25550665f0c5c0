"""Plausible wrong answers to the exercises of lesson 9, each with words its check must say."""

WRONG = {
    "mixture": [
        (
            (
                "def mixture(pools, n, rng):\n    every = [row for pool in pools.values() for row"
                " in pool]\n    return rng.sample(every, n)"
            ),
            "in proportion to their sizes",
        ),
        (
            (
                "def mixture(pools, n, rng):\n    total = sum(map(len, pools.values()))\n    return"
                " [row for pool in pools.values() for row in rng.sample(pool, n * len(pool) //"
                " total)]"
            ),
            "in proportion to their sizes",
        ),
        (
            (
                "def mixture(pools, n, rng):\n    k = n // len(pools)\n    return [row for pool in"
                " pools.values() for row in rng.sample(pool, min(k, len(pool)))]"
            ),
            "others give more",
        ),
        (
            (
                "def mixture(pools, n, rng):\n    k = n // len(pools)\n"
                "    return [row for pool in pools.values() for row in rng.sample(pool, k)]"
            ),
            "your function stopped with ValueError",
        ),
        (
            (
                "def mixture(pools, n, rng):\n    k = n // len(pools)\n"
                "    return [row for pool in pools.values() for row in rng.choices(pool, k=k)]"
            ),
            "come twice",
        ),
        (
            (
                "def mixture(pools, n, rng):\n    draws = []\n    while len(draws) < n:\n       "
                " for pool in pools.values():\n            rng.shuffle(pool)\n            if pool"
                " and len(draws) < n:\n                draws.append(pool.pop())\n    return draws"
            ),
            "the caller's pools",
        ),
        (
            (
                "def mixture(pools, n, rng):\n    left, draws = [rng.sample(p, len(p)) for p in"
                " pools.values()], []\n    while len(draws) < n:\n        for pool in left:\n      "
                "      if pool and len(draws) < n:\n                draws.append(pool.pop())\n   "
                " return draws"
            ),
            "who gives one more",
        ),
        (
            (
                "def mixture(pools, n, rng):\n    left, draws = [list(p) for p in pools.values()],"
                " []\n    while len(draws) < n:\n        for pool in rng.sample(left, len(left)):\n"
                "            if pool and len(draws) < n:\n               "
                " draws.append(pool.pop())\n    return draws"
            ),
            "do not take the first ones",
        ),
        (
            (
                "def mixture(pools, n, rng):\n    left, draws = [random.sample(p, len(p)) for p in"
                " pools.values()], []\n    while len(draws) < n:\n        for pool in"
                " random.sample(left, len(left)):\n            if pool and len(draws) < n:\n       "
                "         draws.append(pool.pop())\n    return draws"
            ),
            "use the rng",
        ),
    ],
    "replay": [
        (
            (
                "def replay(new, old, n, share, rng):\n    return rng.sample(new, n) +"
                " rng.sample(old, int(share * n))"
            ),
            "do not add to them",
        ),
        (
            (
                "def replay(new, old, n, share, rng):\n    k = int(n * share / (1 + share))\n"
                "    return rng.sample(new, n - k) + rng.sample(old, k)"
            ),
            "of the whole mixture",
        ),
        (
            (
                "def replay(new, old, n, share, rng):\n    k = int(share * n)\n    return old[:k] +"
                " new[: n - k]"
            ),
            "the first ones",
        ),
        (
            (
                "def replay(new, old, n, share, rng):\n    k = int(share * n)\n"
                "    return rng.choices(old, k=k) + rng.choices(new, k=n - k)"
            ),
            "come twice",
        ),
        (
            (
                "def replay(new, old, n, share, rng):\n    k = int(share * n)\n"
                "    return random.sample(old, k) + random.sample(new, n - k)"
            ),
            "the same rng",
        ),
        (
            (
                "def replay(new, old, n, share, rng):\n    rng.shuffle(new)\n    rng.shuffle(old)\n"
                "    k = int(share * n)\n    return old[:k] + new[: n - k]"
            ),
            "the caller's lists",
        ),
        (
            (
                "def replay(new, old, n, share, rng):\n    k = round(share * n)\n"
                "    return rng.sample(old, k) + rng.sample(new, n - k)"
            ),
            "rounded down",
        ),
        (
            (
                "def replay(new, old, n, share, rng):\n    k = math.ceil(share * n)\n"
                "    return rng.sample(old, k) + rng.sample(new, n - k)"
            ),
            "rounded down",
        ),
    ],
}
