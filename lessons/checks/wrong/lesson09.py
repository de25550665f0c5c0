"""Plausible wrong answers to the exercises of lesson 9, each with words its check must say."""

RATES = """
def rates(sizes, cap):
    counted = {name: min(size, cap) for name, size in sizes.items()}
    total = {total}
    return {result}
"""
RATES_RIGHT = dict(
    total="sum(counted.values())", result="{name: n / total for name, n in counted.items()}"
)


def rated(**changed):
    source = RATES
    for name, text in (RATES_RIGHT | changed).items():
        source = source.replace("{" + name + "}", text)
    return source


BREADTH = """
def breadth(pools, kinds, n, seed, mix, tune, ask):
    order = {order}
    results = {}
    for k in kinds:
        chosen = {chosen}
        rows = mix(chosen, {n}, {rng})
        results[k] = ask(tune(rows, {seed}))
    return {results}
"""
BREADTH_RIGHT = dict(
    order="random.Random(seed).sample(list(pools), len(pools))",
    chosen="{name: pools[name] for name in order[:k]}",
    n="n",
    rng="random.Random(seed)",
    seed="seed",
    results="results",
)


def loop(**changed):
    source = BREADTH
    for name, text in (BREADTH_RIGHT | changed).items():
        source = source.replace("{" + name + "}", text)
    return source


SCORES = """
def reply_scores(row, text, stopped, value, opening):
    text = {text}
    right = {right}
    new = {new}
    return {"right": right, "new style": new, "value": {value}}
"""
SCORES_RIGHT = dict(
    text="text.strip()",
    right="stopped and world.check(row.task, row.turns[0].output, text)",
    new='opening != "" and text.startswith(opening)',
    value='bool(re.search(rf"(?<!\\w){re.escape(value)}(?!\\w)", text))',
)


def scored(**changed):
    source = SCORES
    for name, text in (SCORES_RIGHT | changed).items():
        source = source.replace("{" + name + "}", text)
    return source


WRONG = {
    "rates": [
        (rated(total="sum(sizes.values())"), "divide by the sum of the cut sizes"),
        (rated(result="{name: 1 / len(sizes) for name in sizes}"), "cut with min(size, cap)"),
        (
            "def rates(sizes, cap):\n    total = sum(sizes.values())\n"
            "    return {name: size / total for name, size in sizes.items()}",
            "shares of the full sizes",
        ),
        (
            rated(result="{name: n / total for name, n in counted.items() if n < cap}"),
            "every set has a rate",
        ),
        (rated(result="counted"), "the shares sum to"),
        (rated(result="[n / total for n in counted.values()]"), "return a dictionary"),
        (
            "def rates(sizes, cap):\n    for name in sizes:\n"
            "        sizes[name] = min(sizes[name], cap)\n    total = sum(sizes.values())\n"
            "    return {name: size / total for name, size in sizes.items()}",
            "the caller's sizes",
        ),
    ],
    "breadth": [
        (loop(chosen="dict(list(pools.items())[:k])"), "shuffle by the seed"),
        (
            loop(chosen="{name: pools[name] for name in random.sample(list(pools), k)}"),
            "draw the order once",
        ),
        (
            loop(order="random.sample(list(pools), len(pools))"),
            "the same seed must give the same order",
        ),
        (loop(n="n * k"), "pairs must be equal for every k"),
        (loop(chosen="pools"), "task types, expected"),
        (loop(seed="k"), "the seed of this draw"),
        (loop(rng="random.Random(k)"), "a fresh random.Random(seed) for every k"),
        (loop(results="list(results.values())"), "return a dictionary"),
        (
            loop().replace("    for k in kinds:", "    model = None\n    for k in kinds:").replace(
                "results[k] = ask(tune(rows, seed))",
                "model = model or tune(rows, seed)\n        results[k] = ask(model)",
            ),
            "each k has its own",
        ),
    ],
    "reply_scores": [
        (scored(right="world.check(row.task, row.turns[0].output, text)"), "it did not stop"),
        (scored(right="stopped and text == row.turns[0].output"), "use world.check"),
        (scored(new="text.startswith(opening)"), "no opening"),
        (scored(value="value in text"), "no whole word"),
        (scored(value='bool(re.search(rf"(?<!\\w){value}(?!\\w)", text))'), "re.escape"),
        (scored(text="text", new='opening != "" and text.startswith(opening)'), "another fact"),
        (scored(new="opening in text and right"), "new style"),
    ],
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
