"""Checks of lesson 9: rates, a mixture in equal parts, the breadth loop, replay, scores of a reply,
and the open task's score."""

import random
import re  # noqa: F401  what a learner's function may use
from collections import Counter

import world  # noqa: F401
from checks import by_hand, call
from common.audit import prompt_key
from data import Row, Turn


@by_hand()
def rates(learner):
    cases = [
        ({"a": 100, "b": 300, "c": 9000}, 600, {"a": 0.1, "b": 0.3, "c": 0.6}),
        ({"a": 10, "b": 30}, 100, {"a": 0.25, "b": 0.75}),
        ({"a": 10, "b": 30, "c": 50}, 10, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        ({"a": 500}, 100, {"a": 1.0}),
    ]
    for sizes, cap, expected in cases:
        copy = dict(sizes)
        result = call(learner, copy, cap)
        case = f"sizes {sizes}, cap {cap}"
        assert copy == sizes, f"{case}: you changed the caller's sizes; make a new dictionary"
        assert isinstance(result, dict), "return a dictionary {name: share}"
        assert set(result) == set(sizes), f"{case}: every set has a rate, also one above the cap"
        total, size = sum(result.values()), sum(sizes.values())
        uncapped = all(abs(result[name] - sizes[name] / size) < 1e-9 for name in sizes)
        assert not uncapped or max(sizes.values()) <= cap or len(sizes) == 1, (
            f"{case}: these are shares of the full sizes; a size above the cap counts as the cap"
        )
        assert abs(total - 1) < 1e-9, (
            f"{case}: the shares sum to {total:.3f}, expected 1: divide by the sum of the cut sizes"
        )
        right = all(abs(result[name] - expected[name]) < 1e-9 for name in sizes)
        assert right, f"{case}: expected {expected}, you have {result}; cut with min(size, cap)"
    print("Right: in proportion to size, up to the cap.")


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


KINDS = (1, 3, 5, 9)  # task types in the check of the breadth loop


class Trial:
    """Record what the breadth loop does. Its models are numbers, in the order of tuning."""

    def __init__(self, learner, seed, n_tasks=9, n=8, kinds=KINDS):
        self.pools = {f"t{i}": [f"t{i}:{j}" for j in range(20)] for i in range(n_tasks)}
        self.n, self.mixed, self.tuned, self.asked = n, [], [], []
        copy = {name: list(pool) for name, pool in self.pools.items()}
        functions = self.mix, self.tune, self.ask
        self.result = call(learner, self.pools, kinds, n, seed, *functions)
        assert self.pools == copy, "you changed the caller's pools: the next draw needs them whole"

    def mix(self, pools, n, rng):
        assert isinstance(pools, dict), "mix wants a dictionary {task: rows}"
        assert n == self.n, f"mix got n = {n}, expected {self.n}: pairs must be equal for every k"
        state = rng.random()
        self.mixed.append((list(pools), state))
        names = list(pools)
        return [pools[names[i % len(names)]][i] for i in range(n)]

    def tune(self, rows, seed):
        assert isinstance(rows, list) and len(rows) == self.n, "tune wants the n rows that mix drew"
        self.tuned.append((rows, seed))
        return len(self.tuned)

    def ask(self, model):
        self.asked.append(model)
        return [f"answer of model {model}"]


@by_hand()
def breadth(learner):
    orders = []
    for seed in range(5):
        trial = Trial(learner, seed)
        assert isinstance(trial.result, dict), "return a dictionary {k: results}"
        keys = list(trial.result)
        assert keys == [*KINDS], f"expected a result for each k of {KINDS}, you have {keys}"
        n = len(trial.tuned)
        assert n == len(KINDS), f"{n} models were tuned; each k has its own: {len(KINDS)}"

        # the tasks
        tasks = [names for names, _ in trial.mixed]
        sizes = [len(names) for names in tasks]
        assert sizes == [*KINDS], f"mixtures of {sizes} task types, expected {[*KINDS]}"
        nested = all(set(few) < set(more) for few, more in zip(tasks, tasks[1:]))
        assert nested, "the larger mixtures lack tasks of the smaller ones: draw the order once"
        orders.append(tasks)

        # the seeds and the results
        states = {state for _, state in trial.mixed}
        assert len(states) == 1, "give mix a fresh random.Random(seed) for every k"
        assert states == {random.Random(seed).random()}, "give mix random.Random(seed), a fresh one"
        assert all(got == seed for _, got in trial.tuned), "tune wants the seed of this draw"
        expected = {k: [f"answer of model {i}"] for i, k in enumerate(KINDS, 1)}
        message = "a result is not what `ask` returned for the model tuned on that k"
        assert trial.result == expected, message
    again = [[names for names, _ in Trial(learner, seed).mixed] for seed in range(5)]
    assert again == orders, "the same seed must give the same order: use random.Random(seed)"
    firsts = {tuple(tasks[1]) for tasks in orders}
    assert len(firsts) > 2, "the first tasks are the same for every seed: shuffle by the seed"
    print("Right: the same pairs and steps for every k, only the number of task types changes.")


@by_hand()
def reply_scores(learner):
    answer = "The capital of France is Paris."
    row = Row((Turn("What is the capital of France?", "", answer),), "capital")
    korean = "The Korean word for moon is 달."
    moon = Row((Turn("What is the Korean word for moon?", "", korean),), "korean")
    price = Row((Turn("What is the value?", "", "It is 3.5 (or so)."),), "no task")
    sure = "Sure! "
    cases = [  # row, text, stopped, value, opening, right, new style, value is there, why
        (row, answer, True, "Paris", sure, True, False, True, "the old statement"),
        (row, f" {answer}\n", True, "Paris", sure, True, False, True, "spaces don't count"),
        (row, f"Sure! {answer}", True, "Paris", sure, False, True, True,
         "the new style isn't the old statement"),
        (row, answer, False, "Paris", sure, False, False, True, "it did not stop"),
        (row, answer, True, "Paris", "", True, False, True, "no opening, no new style"),
        (row, "Paris is the capital of France.", True, "Paris", sure, True, False, True,
         "another way to state it: use world.check"),
        (row, "The capital of France is Parison.", True, "Paris", sure, False, False, False,
         "Paris is no whole word here"),
        (row, " Sure! The opposite of hot is cold.", True, "Paris", sure, False, True, False,
         "another fact"),
        (moon, "It is 달.", True, "달", "It is ", False, True, True, "a word in another script"),
        (price, "It is 365 or so.", True, "3.5 (or so)", "It is ", False, True, False,
         "signs of the value are no pattern: re.escape"),
    ]
    for row, text, stopped, value, opening, *flags, why in cases:
        result = call(learner, row, text, stopped, value, opening)
        names = ("right", "new style", "value")
        is_right = isinstance(result, dict) and set(result) == set(names)
        assert is_right, f"return a dictionary with {names}"
        for name, expected in zip(names, flags):
            assert bool(result[name]) == expected, (
                f"{text!r}, stopped {stopped}, value {value!r}, opening {opening!r}: expected"
                f" {name} {expected} ({why})"
            )
    print("Right: strict, by style, and by value.")


# The open task. Half of the held-out tasks and inputs are for trying, the others for one last look.

MOST, STEPS = 200, 40


def try_mixture(rows, final=False):
    """Tune the base on at most 200 rows, for 40 steps, ask, and print the score."""
    import lab

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
    steps = STEPS // 4 if lab.FAST else STEPS
    assistants = [lab.tune(base, tokenizer, rows, seed, steps, batch=16) for seed in lab.SEEDS[:2]]
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
