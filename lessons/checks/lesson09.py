"""Checks of lesson 9: mixing rates with a cap, whole numbers from rates, a split by prompt."""

from data import Row, Turn
from extras.audit import prompt_key


def mixing_rates(learner):
    sizes = {"a": 900, "b": 100}
    found = learner(dict(sizes), 300)
    assert isinstance(found, dict) and list(found) == ["a", "b"], "give a dict with the same names in the same order"
    assert abs(sum(found.values()) - 1) < 1e-9, (
        f"the rates sum to {sum(found.values()):.3f}, not to 1: divide by the sum of the limited sizes"
    )
    plain = learner({"a": 900, "b": 100}, 5000)
    assert abs(plain["a"] - 0.9) < 1e-9, (
        f"with a cap that limits nothing, a has 900 of 1000 pairs, so its rate is 0.9; yours is {plain['a']:.3f}"
    )
    assert abs(found["a"] - 0.9) > 1e-9, "you kept the proportions of the full sizes: the cap of 300 limits a to 300"
    assert abs(found["a"] - 0.75) < 1e-9, (
        f"a counts as 300 and b as 100, so a's rate is 0.75; yours is {found['a']:.3f}"
    )
    three = learner({"a": 30000, "b": 3000, "c": 300}, 3000)
    expected = {"a": 3000 / 6300, "b": 3000 / 6300, "c": 300 / 6300}
    assert all(abs(three[name] - expected[name]) < 1e-9 for name in expected), (
        f"sizes 30000, 3000, 300 with cap 3000 count as 3000, 3000, 300; yours are {three}"
    )
    learner(sizes, 300)
    assert sizes == {"a": 900, "b": 100}, "you changed the caller's dict: make a new one"
    print("Right: the rates are capped and sum to one.")


def share_out(learner):
    cases = [
        ({"a": 0.5, "b": 0.3, "c": 0.2}, 10, {"a": 5, "b": 3, "c": 2}),
        ({"a": 0.4, "b": 0.35, "c": 0.25}, 7, {"a": 3, "b": 2, "c": 2}),
        ({"a": 0.25, "b": 0.35, "c": 0.4}, 7, {"a": 2, "b": 2, "c": 3}),
        ({"a": 0.9, "b": 0.1}, 3, {"a": 3, "b": 0}),
        ({"a": 0.55, "b": 0.25, "c": 0.2}, 2, {"a": 1, "b": 1, "c": 0}),
        ({"a": 0.49, "b": 0.26, "c": 0.25}, 1, {"a": 1, "b": 0, "c": 0}),
    ]
    for rates, n, expected in cases:
        found = learner(dict(rates), n)
        assert isinstance(found, dict) and list(found) == list(rates), (
            "give a dict with the same names in the same order"
        )
        assert all(isinstance(count, int) for count in found.values()), (
            f"{found}: these must be whole numbers; nobody can draw half a pair"
        )
        total = sum(found.values())
        assert total == n, (
            f"rates {rates}, n = {n}: your numbers sum to {total}. Rounding each by itself loses or adds pairs"
        )
        assert found == expected, (
            f"rates {rates}, n = {n}: expected {expected}, yours {found}. "
            "What is left goes, one each, to those that lost the largest fraction"
        )
    for n in range(1, 40):
        found = learner({name: 1 / 7 for name in "abcdefg"}, n)
        assert sum(found.values()) == n, f"seven equal rates, n = {n}: your numbers sum to {sum(found.values())}"
        assert max(found.values()) - min(found.values()) <= 1, f"seven equal rates, n = {n}: at most one apart, please"
    print("Right: whole numbers that sum to n, as near to the rates as can be.")


def example_rows():
    rows = []
    for i in range(40):
        rows.append(Row((Turn(f"Name the sum of {i} and 1.", "", f"The sum is {i + 1}."),), where=f"first {i}"))
        if i % 2:
            rows.append(Row((Turn(f"name the  sum of {i} and 1", "", f"{i + 1}."),), where=f"again {i}"))
        rows.append(Row((Turn("Who is in the note?", f"Person {i} came.", f"Person {i}."),), where=f"note {i}"))
    return rows


def split_by_prompt(learner):
    rows = example_rows()
    given = list(rows)
    result = learner(rows, 0.25, 3)
    assert isinstance(result, tuple) and len(result) == 2, "give two lists: (rows to tune on, held-out rows)"
    kept, held = result
    assert rows == given, "you changed the caller's list: make new ones"
    assert len(kept) + len(held) == len(rows), (
        f"{len(rows)} rows came in, {len(kept) + len(held)} went out: rows with the same prompt all stay, none is dropped"
    )
    assert len(kept) > len(held), "a quarter is held out, so the first list is the longer one; did you swap the two?"
    keys, held_keys = {prompt_key(row) for row in kept}, {prompt_key(row) for row in held}
    leaked = sorted(keys & held_keys)
    assert not leaked, (
        f"{len(leaked)} prompts stand on both sides, such as {leaked[0]!r}: split the different prompt keys, not the rows"
    )
    n = len(keys | held_keys)
    assert len(held_keys) == int(0.25 * n), (
        f"{n} different prompts, a share of 0.25: {int(0.25 * n)} prompts are held out, yours are {len(held_keys)}. "
        "The input is part of the prompt"
    )
    places = {row.where: i for i, row in enumerate(given)}
    for side in (kept, held):
        order = [places[row.where] for row in side]
        assert order == sorted(order), "keep the rows in their old order; only the sides are drawn"
    assert learner(rows, 0.25, 3) == (kept, held), (
        "the same seed must give the same split: use random.Random(seed), not the global random"
    )
    others = [learner(rows, 0.25, seed)[1] for seed in (4, 5, 6)]
    assert any(other != held for other in others), "other seeds must give other splits: the seed is not used"
    print("Right: no prompt stands on both sides, and nothing is lost.")
