"""Checks of lesson 32: a mixture with old rows in it, the best of several answers."""

import random

from data import Row, Turn


def replay(learner):
    new, old = [f"new {i}" for i in range(100)], [f"old {i}" for i in range(100)]
    given = list(new), list(old)
    found = learner(new, old, 40, 0.25, random.Random(0))
    assert isinstance(found, list), f"give a list of rows, not {type(found).__name__}"
    n_old = sum(row.startswith("old") for row in found)
    assert len(found) == 40, (
        f"40 rows were asked for, yours are {len(found)}: the old rows take the place of new ones, they do not add to them"
    )
    assert n_old == 10, (
        f"a share of 0.25 of 40 rows is 10 old ones, yours has {n_old}: the share is of the whole mixture"
    )
    assert len(set(found)) == 40, "some rows come twice: draw without putting back (rng.sample)"
    first = [row.startswith("old") for row in found]
    assert first not in (sorted(first), sorted(first, reverse=True)), (
        "old and new stand apart, one block after the other: shuffle, or the model ends on whichever came last"
    )
    assert (new, old) == given, "you changed the caller's lists"
    assert learner(new, old, 40, 0.25, random.Random(0)) == found, "the same rng must give the same mixture"
    drawn = {row for seed in range(30) for row in learner(new, old, 40, 0.25, random.Random(seed))}
    assert len(drawn) > 180, "draw from all rows, old and new; some never come, as if you took the first ones"
    assert not any(row.startswith("old") for row in learner(new, old, 40, 0, random.Random(1))), (
        "a share of 0 means no old row at all"
    )
    assert len(learner(new, old, 15, 0.1, random.Random(1))) == 15, "15 rows, a share of 0.1: 1 old and 14 new"
    print("Right: n rows, the right share of them old, well mixed.")


def keep_best(learner):
    rows = [Row((Turn(f"q{i}", f"x{i}", f"right {i}"),), "capital", f"file:{i}") for i in range(4)]
    given = list(rows)
    candidates = [["bad", "good", "best"], ["bad", "bad", "bad"], ["good", "bad", "good too"], ["fine", "bad", "bad"]]
    rewards = {"bad": 0.0, "fine": 0.5, "good": 1.0, "good too": 1.0, "best": 2.0}
    calls = []

    def reward(row, answer):
        calls.append((row.where, answer))
        return rewards[answer]

    found = learner(rows, [list(answers) for answers in candidates], reward)
    assert isinstance(found, list) and all(isinstance(row, Row) for row in found), "give a list of Rows"
    questions = [row.turns[0].instruction for row in found]
    assert "q1" not in questions, "all answers to q1 have reward 0: leave that row out, there is nothing good to learn"
    assert questions == ["q0", "q2", "q3"], f"expected rows for q0, q2, q3 in this order, yours {questions}"
    answers = [row.turns[0].output for row in found]
    assert not any(answer.startswith("right") for answer in answers), (
        "these are the written answers of the data: learn from the model's own ones, that is the point"
    )
    assert answers[0] == "best", (
        f"q0: 'best' has the highest reward, yours is {answers[0]!r}: not the first with any reward"
    )
    assert answers[1] == "good", f"q2: 'good' and 'good too' are equal, take the first; yours is {answers[1]!r}"
    assert answers[2] == "fine", f"q3: 'fine' has a reward of 0.5, more than 0; yours is {answers[2]!r}"
    assert [row.turns[0].input for row in found] == ["x0", "x2", "x3"], "the input of the question got lost"
    assert all(row.task == "capital" for row in found), "keep the task of the row"
    assert rows == given, "you changed the caller's list"
    assert {place for place, _ in calls} == {row.where for row in rows}, "call reward with the row that was asked"
    print("Right: the model's best own answer to each question, if it has a good one.")
