"""Overlap of two files: which prompts are the same, and the near matches by a plain count."""

import json
import random
import runpy
import sys
import unicodedata

import pytest
from helpers import ROOT, row_of

from extras import audit
from extras.overlap import NEAR, compare, count_near, weaknesses

HANGUL = "수도는 어디입니까?"
QUESTION = "Wie heißt der Fluss in Köln?"
SAME = {  # another form of a prompt, and the kind of match
    "the same text": (QUESTION, QUESTION, "exact"),
    "spaces and case": (QUESTION, "wie  heißt der\nFLUSS in Köln?", "but for"),
    "punctuation": ("Say “go”, please!", "Say go, please", "but for"),
    "decomposed accents": (QUESTION, unicodedata.normalize("NFD", QUESTION), "but for"),
    "Hangul as jamo": (HANGUL, unicodedata.normalize("NFD", HANGUL), "but for"),
    "Chinese punctuation": ("你好吗？", "你好吗", "but for"),
    "one of nine words": (
        "What is the largest of all the rivers in Africa?",
        "What is the largest of all the rivers in Asia?",
        "nearly",
    ),
    "one of twenty Chinese characters": (
        "请问明天北京的天气怎么样需要带雨伞出门吗",
        "请问明天北京的天气怎么样需要带雨衣出门吗",
        "nearly",
    ),
}
DIFFERENT = {
    "operators": ("What is 5 - 3?", "What is 5 + 3?"),
    "brackets": ("2 - (3 - 1)", "(2 - 3) - 1"),
    "decimal point": ("Double 1.5", "Double 15"),
    "only emoji": ("\U0001f600", "\U0001f622"),
    "only punctuation": ("?", "!"),
    "vowel signs": ("किला", "कली"),
    "languages": ("Use C++.", "Use C#."),
}


def compare_prompts(one, other):
    """Return the kinds of match of two prompts."""
    counts = compare([row_of((one, "", "x"))], [row_of((other, "", "y"))])
    return [name for name, n in counts.items() if n]


@pytest.mark.parametrize("name", SAME)
def test_a_prompt_is_found_in_another_form(name):
    one, other, kind = SAME[name]
    matches = compare_prompts(one, other)
    assert len(matches) == 1 and matches[0].startswith(kind)


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_prompt_is_not_taken_for_the_same(name):
    assert compare_prompts(*DIFFERENT[name]) == []


def test_the_input_and_the_answer_count():
    others = [row_of(("Read this.", "A text", "ok"))]
    rows = [row_of(("Read this.", "Another text", "ok")), row_of(("Read this", "a text.", "ok"))]
    assert list(compare(rows, others).values()) == [0, 1, 0, 1]


def test_near_matches_are_those_of_the_plainest_count():
    rng = random.Random(0)
    all_keys = [" ".join(rng.choices("abcd", k=rng.randint(1, 12))) for _ in range(300)]
    keys = [f"{key} {' '.join(rng.choices('abcd', k=rng.randint(0, 2)))}" for key in all_keys[:150]]
    others = all_keys[100:]

    def trigrams(key):
        words = key.split()
        return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}

    def similarity(one, other):
        a, b = trigrams(one), trigrams(other)
        return len(a & b) / len(a | b)

    expected = sum(any(similarity(key, other) >= NEAR for other in others) for key in keys)
    assert 20 < expected < 150
    assert count_near(keys, set(others)) == expected


def test_weaknesses_of_a_file():
    rows = [
        row_of(("a?", "", "An end.")),
        row_of(("A", "", "no punctuation")),
        row_of(("b", "", "x!"), ("b", "", "x!")),
    ]
    assert list(weaknesses(rows).values()) == [2, 1, 1]


def test_the_command_prints_both(tmp_path, monkeypatch, capsys):
    for name, questions in (("train", "ab"), ("eval", "bc")):
        rows = [{"instruction": question, "output": "x."} for question in questions]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = [f"{tmp_path}/train.jsonl", "--show", "0", "--against", f"{tmp_path}/eval.jsonl"]

    # python -m extras.audit, and data.py as the short way to it
    assert audit.main(arguments) == 0
    output = capsys.readouterr().out
    assert "2 unique prompts" in output and "1   50.0%  exact" in output
    monkeypatch.delitem(sys.modules, "extras.audit")
    monkeypatch.setattr(sys, "argv", ["data.py", *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "data.py"), run_name="__main__")
    assert end.value.code == 0 and capsys.readouterr().out == output
