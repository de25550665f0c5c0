"""Overlap of two files: against a plain count of every pair, and on rows made to overlap in a known way."""

import json
import random

from helpers import row_of, run

from extras import overlap as against


def test_each_kind_of_match_is_counted_once():
    others = [row_of(("Name the capital of France.", "", "Paris.")),
              row_of(("What is the largest of all the rivers in Africa?", "", "The Nile.")),
              row_of(("Read this.", "A text", "ok"))]
    rows = [row_of(("Name the capital of France.", "", "Paris.")),  # exact, with its answer
            row_of(("name the  capital of FRANCE", "", "Lyon.")),  # the same but for case, spaces, marks
            row_of(("What is the largest of all the rivers in Asia?", "", "x")),  # 7 of 9 runs in common: 7/9
            row_of(("Read this.", "Another text", "ok")), row_of(("Bake a cake.", "", "No."))]
    found = against.compare(rows, others)
    assert found == {"exact": 1, "but for spaces, case and marks": 1, "nearly": 1, "with the answer": 1}


def test_near_matches_are_those_of_the_plainest_count():
    rng = random.Random(0)
    keys = [" ".join(rng.choices("a b c d".split(), k=rng.randint(1, 12))) for _ in range(300)]
    words = [key.split() + rng.choices("a b c d".split(), k=rng.randint(0, 2)) for key in keys[:150]]
    ours, others = [" ".join(some) for some in words], keys[100:]

    def share(one, other):
        a, b = ({tuple(key.split()[i : i + 3]) for i in range(max(1, len(key.split()) - 2))} for key in (one, other))
        return len(a & b) / len(a | b)

    expected = sum(any(share(one, other) >= against.NEAR for other in others) for one in ours)
    assert 20 < expected < 150 and against.near_matches(ours, others) == expected


def test_habits_of_a_file():
    rows = [row_of(("a?", "", "An end.")), row_of(("A", "", "breaks off")), row_of(("b", "", "x!"), ("b", "", "x!"))]
    assert list(against.habits(rows).values()) == [2, 1, 1]


def test_the_command_prints_both(tmp_path):
    for name, asked in (("train", "ab"), ("eval", "bc")):
        lines = [json.dumps({"instruction": word, "output": "x."}) for word in asked]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    said = run("data.py", tmp_path / "train.jsonl", "--show", "0", "--against", tmp_path / "eval.jsonl")
    assert "2 unique prompts" in said and "1   50.0%  exact" in said
