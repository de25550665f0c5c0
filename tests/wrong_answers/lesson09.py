"""Plausible wrong answers to lesson 9's exercises, and what the checks must say of each."""

WRONG = {
    "mixing_rates": [
        (
            "def mixing_rates(sizes, cap):\n    total = sum(sizes.values())\n    return {k: n / total for k, n in sizes.items()}",
            "you kept the proportions",
        ),
        (
            "def mixing_rates(sizes, cap):\n    total = sum(sizes.values())\n"
            "    return {k: min(n, cap) / total for k, n in sizes.items()}",
            "not to 1",
        ),
        ("def mixing_rates(sizes, cap):\n    return {k: min(n, cap) for k, n in sizes.items()}", "not to 1"),
        ("def mixing_rates(sizes, cap):\n    return {k: 1 / len(sizes) for k in sizes}", "limits nothing"),
        (
            "def mixing_rates(sizes, cap):\n    for k in sizes:\n        sizes[k] = min(sizes[k], cap)\n"
            "    total = sum(sizes.values())\n    return {k: n / total for k, n in sizes.items()}",
            "the caller's dict",
        ),
        (
            "def mixing_rates(sizes, cap):\n    low = {k: max(n, cap) for k, n in sizes.items()}\n"
            "    total = sum(low.values())\n    return {k: n / total for k, n in low.items()}",
            "limits nothing",
        ),
    ],
    "share_out": [
        ("def share_out(rates, n):\n    return {k: round(r * n) for k, r in rates.items()}", "Rounding each by itself"),
        ("def share_out(rates, n):\n    return {k: int(r * n) for k, r in rates.items()}", "Rounding each by itself"),
        ("def share_out(rates, n):\n    return {k: r * n for k, r in rates.items()}", "whole numbers"),
        (
            "def share_out(rates, n):\n    out = {k: int(r * n) for k, r in rates.items()}\n"
            "    out[next(iter(out))] += n - sum(out.values())\n    return out",
            "largest fraction",
        ),
        (
            "def share_out(rates, n):\n    out = {k: int(r * n) for k, r in rates.items()}\n"
            "    for k in sorted(rates, key=rates.get, reverse=True)[: n - sum(out.values())]:\n        out[k] += 1\n    return out",
            "largest fraction",
        ),
    ],
    "split_by_prompt": [
        (
            "def split_by_prompt(rows, share, seed):\n    import random\n    rng = random.Random(seed)\n"
            "    held = set(rng.sample(range(len(rows)), int(share * len(rows))))\n"
            "    return [r for i, r in enumerate(rows) if i not in held], [r for i, r in enumerate(rows) if i in held]",
            "stand on both sides",
        ),
        (
            "def split_by_prompt(rows, share, seed):\n    import random\n    key = lambda r: r.turns[0][:2]\n    keys = sorted({key(r) for r in rows})\n"
            "    held = set(random.Random(seed).sample(keys, int(share * len(keys))))\n"
            "    return [r for r in rows if key(r) not in held], [r for r in rows if key(r) in held]",
            "stand on both sides",
        ),
        (
            "def split_by_prompt(rows, share, seed):\n    import random\n    key = lambda r: prompt_key(Row((Turn(r.turns[0].instruction, '', ''),)))\n"
            "    keys = sorted({key(r) for r in rows})\n"
            "    held = set(random.Random(seed).sample(keys, int(share * len(keys))))\n"
            "    return [r for r in rows if key(r) not in held], [r for r in rows if key(r) in held]",
            "The input is part of the prompt",
        ),
        (
            "def split_by_prompt(rows, share, seed):\n    import random\n    once = {prompt_key(r): r for r in rows}\n    keys = sorted(once)\n"
            "    held = set(random.Random(seed).sample(keys, int(share * len(keys))))\n"
            "    return [r for k, r in once.items() if k not in held], [r for k, r in once.items() if k in held]",
            "none is dropped",
        ),
        (
            "def split_by_prompt(rows, share, seed):\n    import random\n    keys = sorted({prompt_key(r) for r in rows})\n"
            "    held = set(random.Random(seed).sample(keys, int(share * len(keys))))\n"
            "    return [r for r in rows if prompt_key(r) in held], [r for r in rows if prompt_key(r) not in held]",
            "did you swap",
        ),
        (
            "def split_by_prompt(rows, share, seed):\n    import random\n    keys = sorted({prompt_key(r) for r in rows})\n"
            "    held = set(random.sample(keys, int(share * len(keys))))\n"
            "    return [r for r in rows if prompt_key(r) not in held], [r for r in rows if prompt_key(r) in held]",
            "the same seed must give",
        ),
        (
            "def split_by_prompt(rows, share, seed):\n    import random\n    keys = sorted({prompt_key(r) for r in rows})\n"
            "    held = set(keys[: int(share * len(keys))])\n"
            "    return [r for r in rows if prompt_key(r) not in held], [r for r in rows if prompt_key(r) in held]",
            "the seed is not used",
        ),
    ],
}
