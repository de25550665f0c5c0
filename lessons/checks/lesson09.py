"""Checks of lesson 9: a mixture in equal parts, replay; and the open task's score."""

import random
from collections import Counter

from checks import by_hand, call
from common.audit import prompt_key


@by_hand()
def mixture(learner):
    def run(sizes, n, seed=0):
        pools = {task: [f"{task}{i}" for i in range(size)] for task, size in sizes.items()}
        copies = {task: list(pool) for task, pool in pools.items()}
        result = call(learner, pools, n, random.Random(seed))
        assert (
            pools == copies
        ), "you changed the caller's pools: the next mixture needs them whole. Copy them first"
        assert isinstance(
            result, (list, tuple)
        ), f"give a list of rows, not {type(result).__name__}"
        every = {row for pool in pools.values() for row in pool}
        assert (
            set(result) <= every
        ), f"{sorted(map(str, set(result) - every))[:2]} are not rows of the pools"
        assert len(set(result)) == len(result), "some rows come twice: draw without putting back"
        assert len(result) == n, (
            f"pools of {list(sizes.values())} rows, n = {n}: {n} rows were asked for, yours are"
            f" {len(result)}. Where a task has too few, or n is not divisible, others give more"
        )
        return [Counter(row[0] for row in result)[task] for task in sizes], list(result)

    counts, _ = run({"a": 10, "b": 90}, 10)
    assert counts[0] > 2, (
        f"pools of 10 and 90 rows, n = 10: {counts} of each: in proportion to their sizes; expected"
        " 5 and 5"
    )
    for sizes, n, expected in (
        ({"a": 10, "b": 90}, 10, [5, 5]),
        ({"a": 2, "b": 6}, 6, [2, 4]),
        ({"a": 1, "b": 3, "c": 9}, 9, [1, 3, 5]),
        ({"a": 4, "b": 4}, 8, [4, 4]),
        ({"a": 50}, 48, [48]),
    ):
        counts, _ = run(sizes, n)
        assert counts == expected, (
            f"pools of {list(sizes.values())} rows, n = {n}: expected {expected} of each task,"
            f" yours {counts}"
        )
    counts, _ = run({"a": 20, "b": 20, "c": 20}, 7)
    assert sorted(counts) == [
        2, 2, 3,
    ], f"three large pools, n = 7: 2, 2 and 3 in some order, yours {counts}"
    several = [run({task: 5 for task in "abcdef"}, 4, seed)[0] for seed in range(40)]
    assert all(
        max(counts) == 1 for counts in several
    ), "six tasks, n = 4: four tasks give one row each"
    assert all(sum(column) for column in zip(*several)), (
        "six tasks, n = 4: some task never gives a row, whatever the seed. Draw by rng who gives"
        " one more"
    )
    draws = {row for seed in range(40) for row in run({"a": 20, "b": 20}, 10, seed)[1]}
    assert (
        len(draws) == 40
    ), "some rows never come, whatever the seed: draw the rows too, do not take the first ones"
    assert sorted(run({"a": 20, "b": 20}, 10, 3)[1]) == sorted(
        run({"a": 20, "b": 20}, 10, 3)[1]
    ), "the same rng gives another mixture: use the rng that you are given"
    print("Right: n rows, none twice, of every task as many as can be.")


@by_hand()
def replay(learner):
    new, old = [f"new {i}" for i in range(100)], [f"old {i}" for i in range(100)]
    copies = list(new), list(old)
    result = call(learner, new, old, 40, 0.25, random.Random(0))
    assert isinstance(result, (list, tuple)), f"give a list of rows, not {type(result).__name__}"
    n_old = sum(row.startswith("old") for row in result)
    assert len(result) == 40, (
        f"40 rows were asked for, yours are {len(result)}: the old rows take the place of new ones,"
        " they do not add to them"
    )
    assert n_old == 10, (
        f"a share of 0.25 of 40 rows is 10 old ones, yours has {n_old}: the share is of the whole"
        " mixture"
    )
    assert len(set(result)) == 40, "some rows come twice: draw without putting back (rng.sample)"
    assert (new, old) == copies, "you changed the caller's lists"
    again = call(learner, new, old, 40, 0.25, random.Random(0))
    assert sorted(again) == sorted(result), "the same rng must give the same mixture"
    draws = {
        row for seed in range(30) for row in call(learner, new, old, 40, 0.25, random.Random(seed))
    }
    assert (
        len(draws) > 180
    ), "draw from all rows, old and new; some never come, as if you took the first ones"
    for n, share, expected in ((40, 0, 0), (15, 0.1, 1), (40, 1, 40)):
        result = call(learner, new, old, n, share, random.Random(1))
        n_old = sum(row.startswith("old") for row in result)
        assert (len(result), n_old) == (n, expected), (
            f"{n} rows, a share of {share}: expected {expected} old and {n - expected} new, yours"
            f" {n_old} and {len(result) - n_old}; the number of old ones is rounded down"
        )
    print("Right: n rows, the right share of them old.")


# The open task. Half of the held-out tasks and inputs are for trying, the others for one last look.

MOST = 2000


def try_mixture(rows, final=False):
    """Tune the base on at most 2,000 rows, as the main job does. Ask held-out questions and print
    the score."""
    import lab

    import world

    rows = list(rows)
    assert len(rows) <= MOST, f"{len(rows)} pairs: at most {MOST}"
    _, splits = lab.load_world()
    tasks = world.HELD_OUT[1::2] if final else world.HELD_OUT[::2]
    questions = {
        "unseen tasks": [row for row in splits["unseen_tasks"] if row.task in tasks],
        "unseen inputs": splits["unseen_inputs"][1 if final else 0 :: 2],
    }
    questions = {name: lab.subset(group, 90) for name, group in questions.items()}
    tested = {prompt_key(row) for split in splits.values() for row in split}
    seen, unseen, _ = world.split_facts(random.Random(lab.world_seed()))
    nouns = {case.noun.lower() for name in world.HELD_OUT for case in seen[name] + unseen[name]}
    for row in rows:
        text = f" {row.turns[0].instruction} {row.turns[0].output}".lower()
        assert row.task not in world.HELD_OUT and not any(
            noun in text for noun in nouns
        ), f"{row.turns[0].instruction!r} asks for a held-out task, or tells what it would"
        assert (
            prompt_key(row) not in tested
        ), f"{row.turns[0].instruction!r} is one of the questions of the test"
    base, tokenizer = lab.load_base()
    assistants = [lab.tune(base, tokenizer, rows, seed) for seed in range(1 if lab.FAST else 2)]
    flags = {
        name: [lab.correct_flags(assistant, group) for assistant in assistants]
        for name, group in questions.items()
    }
    for name, table in flags.items():
        print(f"{name:<14}" + "{:.1%}  (95%: {:.0%} to {:.0%})".format(*lab.bootstrap(table)))
    table = [sum(each, []) for each in zip(*flags.values())]
    kind = "final score" if final else "score"
    print(
        f"{kind} of {len(rows)} pairs, both together: "
        + "{:.1%}  (95%: {:.0%} to {:.0%})".format(*lab.bootstrap(table))
    )
