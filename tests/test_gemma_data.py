"""The pairs and the held-out prompts for a real base model, and the checks of their answers."""

import json
import re
from collections import Counter, defaultdict
from types import SimpleNamespace

import pytest
from helpers import ROOT

from common.audit import prompt_key
from common.checks import judge, validate
from common.checks.wording import list_members, says_unknown
from common.cli import UserError
from extras import evaluate
from extras.datasets import load_rows

FOLDER = ROOT / "gemma"
PAIRS, DROPPED = load_rows(FOLDER / "pairs.jsonl")
HELDOUT, DROPPED_HELDOUT = load_rows(FOLDER / "heldout.jsonl")
RECORDS = [json.loads(line) for line in (FOLDER / "heldout.jsonl").read_text("utf-8").splitlines()]
ROUND = 19  # rows of the pairs in which every family has its turn
KEPT_OUT = {  # family: what its questions have in common
    "opposite": r"opposite|antonym", "continent": r"continent", "plural": r"plural|\.\.\. what",
    "calendar": r"(day|month) (that )?(comes|is it|before|after)|tomorrow\?",
    "job": r"person who|job of|profession", "fill": r"___|missing word|word is missing"}
AMERICAN = re.compile(
    r"\b(colors?|favorites?|neighbors?|harbors?|gray|centers?|meters?|mom|traveled|traveling|movie"
    r"|(summar|apolog|organ|recogn|real|memor)iz(e|ed|es|ing))\b", re.I)


def share_of_words(a, b):
    """Measure how alike two texts are: common words by all words, 0 to 1."""
    a, b = set(a.split()), set(b.split())
    return len(a & b) / len(a | b)


# ------------------------------------------------------------------------------------------------
# The pairs


def test_the_pairs_are_380_of_sixteen_families_and_every_round_has_them_all():
    counts = Counter(row.task for row in PAIRS)
    assert len(PAIRS) == 380 and not DROPPED
    assert counts["conversation"] == 60 and counts["unknown"] == 30
    assert len(counts) == 16 and min(counts.values()) == 20
    for start in range(0, len(PAIRS), ROUND):
        assert {row.task for row in PAIRS[start : start + ROUND]} == set(counts)


def test_a_tuned_gemma_is_asked_its_own_held_out_prompts():
    tuned = SimpleNamespace(trained_on={"data": "gemma"})
    splits = evaluate.held_out(tuned, None)
    assert len(splits["follow_ups"]) == len(splits["follow_ups_alone"]) == 15
    assert all(len(row.turns) > 1 for row in splits["follow_ups"])


def test_conversations_have_two_or_three_questions():
    talks = [row for row in PAIRS if row.task == "conversation"]
    assert {len(row.turns) for row in talks} == {2, 3}
    assert all(len(row.turns) == 1 for row in PAIRS if row.task != "conversation")


def test_questions_that_cannot_be_answered_are_answered_so_and_no_others():
    for row in PAIRS:
        unknown = says_unknown(row.turns[-1].output)
        assert unknown == (row.task == "unknown"), row.turns[-1]


def test_no_prompt_and_no_answer_is_repeated():
    assert len({prompt_key(row) for row in PAIRS}) == len(PAIRS)
    answers = Counter(row.turns[-1].output for row in PAIRS)
    assert max(answers.values()) == 1, answers.most_common(3)


def test_answers_are_of_many_lengths():
    lengths = sorted(len(turn.output.split()) for row in PAIRS for turn in row.turns)
    assert lengths[0] == 1 and lengths[-1] == 48 and lengths[len(lengths) // 2] == 8
    assert sum(length >= 20 for length in lengths) >= 50


def test_the_spelling_is_british():
    texts = [" ".join(turn) for row in PAIRS + HELDOUT for turn in row.turns]
    assert not [text for text in texts if AMERICAN.search(text)]


# ------------------------------------------------------------------------------------------------
# The held-out prompts


def test_every_record_is_read_as_a_row_and_both_parts_have_half_of_each_family():
    assert len(RECORDS) == len(HELDOUT) and not DROPPED_HELDOUT
    parts = defaultdict(Counter)
    for record in RECORDS:
        parts[record["group"], record["task"]][record["part"]] += 1
    for counts in parts.values():
        assert set(counts) == {"dev", "test"} and 0 <= counts["dev"] - counts["test"] <= 1


def test_the_groups_have_their_sizes():
    groups = Counter(record["group"] for record in RECORDS)
    assert groups == {"tuned": 80, "kept_out": 120, "follow_up": 30, "unknowable": 30, "known": 30}
    kept_out = Counter(record["task"] for record in RECORDS if record["group"] == "kept_out")
    assert kept_out == dict.fromkeys(KEPT_OUT, 20)


def test_no_pair_is_of_a_family_that_is_kept_out():
    texts = [turn.instruction for row in PAIRS for turn in row.turns]
    for family, shape in KEPT_OUT.items():
        own = [record["instruction"] for record in RECORDS if record["task"] == family]
        assert own and all(re.search(shape, text, re.I) for text in own)
        assert not [text for text in texts if re.search(shape, text, re.I)], family


def test_no_held_out_prompt_is_among_the_pairs_not_even_nearly():
    keys = [prompt_key(row) for row in PAIRS]
    assert len({prompt_key(row) for row in HELDOUT}) == len(HELDOUT)
    for row in HELDOUT:
        nearest = max(keys, key=lambda other: share_of_words(prompt_key(row), other))
        assert share_of_words(prompt_key(row), nearest) < 0.7, (prompt_key(row), nearest)


def test_no_first_question_of_a_held_out_row_is_a_question_of_the_pairs():
    questions = {turn.instruction.lower() for row in PAIRS for turn in row.turns if not turn.input}
    for row in HELDOUT:
        assert row.turns[0].input or row.turns[0].instruction.lower() not in questions


def test_a_follow_up_has_a_history():
    talks = [record["messages"] for record in RECORDS if record["group"] == "follow_up"]
    for talk in talks:
        roles = [message["role"] for message in talk]
        assert roles == ["user", "assistant"] * (len(talk) // 2) and len(talk) >= 4


# ------------------------------------------------------------------------------------------------
# The checks


@pytest.mark.parametrize("record", RECORDS, ids=range(1, len(RECORDS) + 1))
def test_a_check_agrees_with_the_examples_of_its_row(record):
    reference = record["output"] if "output" in record else record["messages"][-1]["content"]
    validate(record["check"], "heldout.jsonl")
    for answer in [reference, *record["right"]]:
        assert judge(record["check"], answer) is True, answer
    for answer in [*record["wrong"], "", " \n"]:
        assert judge(record["check"], answer) is False, answer


def test_no_check_takes_a_copy_of_the_prompt():
    for record in RECORDS:
        messages = [message["content"] for message in record.get("messages", ())][:-1]
        question, text = record.get("instruction", ""), record.get("input", "")
        for copy in [*messages, question, text, f"{question} {text}", f"{question}\n\n{text}"]:
            assert judge(record["check"], copy) is not True, copy


@pytest.mark.parametrize("check, answer, verdict", [
    ({"has": ["Paris"]}, "It is Paris.", True), ({"has": ["Paris"]}, "It isn't Paris.", False),
    ({"has": ["Paris|the city"]}, "In the city", True), ({"has": ["a", "b"]}, "a", False),
    ({"has": ["pie"]}, "Not soup, pie.", True), ({"has": ["pie"]}, "He did not order pie.", False),
    ({"has": ["Sunday"]}, "Every day except Sunday", False),
    ({"has": ["Ms. Hart"]}, "Ms. Hart leads it.", True),
    ({"has": ["Mrs. Hart"]}, "It is not Mrs. Hart.", False),
    ({"has": ["pie"]}, "He is not from Adams. Pie!", True),
    ({"has": ["a@b.org"]}, "Write to a@b.org.", True), ({"has": ["12"]}, "twelve", True),
    ({"lacks": ["Lyon"]}, "Paris, not Lyon", True), ({"lacks": ["Lyon"]}, "Lyon", False),
    ({"choose": ["odd", "even"]}, "It is not even, it is odd.", True),
    ({"choose": ["odd", "even"]}, "odd or even", False),
    ({"same": ["Is it late?"], "question": True}, "question: is it late", True),
    ({"same": ["Is it late?"]}, "Is it late?", False), ({"letters": "AB"}, "'AB'", True),
    ({"letters": "AB"}, "ab", False), ({"number": {"value": 12}}, "7 + 5 = 12", True),
    ({"number": {"value": 12}}, "12 or 13", False), ({"number": {"value": 2.5}}, "2.5 m", True),
    ({"number": {"value": 40, "given": [4]}}, "forty oranges in 4 bags", True),
    ({"number": {"value": 12, "units": []}}, "12 months", False),
    ({"number": {"value": 1000}}, "1,000", True), ({"number": {"value": 12}}, "= 12 + 1", False),
    ({"yes_no": "no"}, "A fish can't.", True), ({"yes_no": "no"}, "No.", True),
    ({"yes_no": "yes"}, "It can.", True), ({"yes_no": "yes"}, "It can, but no.", None),
    ({"within": "the new pool"}, "A new pool!", True), ({"within": "pool"}, "Old pool", None),
    ({"words": [2, 3]}, "one two three", True), ({"words": [2, 3]}, "one", False),
    ({"sentences": [2, 2]}, "It is 2.5 m. Yes!", True), ({"sentences": [1, 1]}, "A. B.", False),
    ({"lines": [2, 2]}, "a\n\nb", True), ({"lines": [2, 2]}, "rain\nRain!", False),
    ({"list": {"count": 2, "of": ["cherry", "fig"]}}, "1. Figs\n2. Cherries", True),
    ({"list": {"count": 2, "of": ["cherry", "fig"]}}, "fig and pomelo", None),
    ({"list": {"count": 2, "of": ["cherry", "fig"]}}, "fig, figs", False),
    ({"list": {"count": 2, "of": ["fig"], "not": ["ham"]}}, "fig, ham", False),
    ({"unknown": True}, "I'm afraid I can't know that.", True),
    ({"unknown": True}, "I don't know, probably soup.", False),
    ({"unknown": False}, "Nobody can say.", False), ({"unknown": False}, "Soup.", True),
    ({"has": ["cold"]}, "What is the opposite of cold?", False)])
def test_a_condition_judges_by_its_rule(check, answer, verdict):
    validate(check, "here")
    assert judge(check, answer) is verdict


@pytest.mark.parametrize("text, members", [
    ("1. Red\n2. Green", ["red", "green"]), ("Red, green and blue", ["red", "green", "blue"]),
    ("Here are two:\n- Red\n- Blue", ["red", "blue"]), ("They are: a dog, the cat", ["dog", "cat"]),
    ("Figs and plums are fruits.", ["fig", "plum"]), ("1. Ant: an insect\n2. Bee", ["ant", "bee"])])
def test_the_members_of_a_list_are_found(text, members):
    assert list_members(text) == members


def test_code_is_run_but_reaches_nothing_outside():
    check = {"python": "assert f(2) == 4"}
    assert judge(check, "Sure:\n```python\ndef f(x):\n    return 2 * x\n```\nDone.") is True
    for code in ("def f(x):\n    import os\n    return 4", "def f(x): return eval('4')",
                 "def f(x) return", "def f(x): return (4).__class__(4)",
                 "def f(x):\n    while True: pass"):
        assert judge(check, code) is False
    check = {"sql": {"query": "SELECT * FROM t", "setup": "CREATE TABLE t (a);"}}
    endless = "WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT * FROM n"
    for query in ("DROP TABLE t", endless, "SELECT * FROM u", "SELECT"):
        assert judge(check, query) is False


@pytest.mark.parametrize("check, word", [
    ({"hass": ["Paris"]}, "'hass'"), ({"has": "Paris"}, "'Paris'"), ({"has": []}, "[]"),
    ({"has": ["..."]}, "'...'"), ({"words": [1]}, "[1]"), ({"number": 12}, "12"),
    ({"number": {"given": [1]}}, "given"), ({"number": {"value": "12"}}, "'12'"),
    ({"list": {"count": 2, "from": ["a"]}}, "from"), ({"unknown": "yes"}, "'yes'"),
    ({"python": "assert f(2) = 4"}, "python"), ({"sql": {"query": "SELECT", "setup": ""}}, "sql"),
    (["has"], "has")])
def test_a_mistake_in_a_check_is_named_in_one_line_with_its_place(check, word):
    with pytest.raises(UserError) as error:
        validate(check, "my.jsonl:3")
    message = str(error.value)
    assert message.startswith("my.jsonl:3: ") and word in message and "\n" not in message


def test_a_row_without_a_check_is_not_judged():
    assert judge({}, "Paris") is None and judge(None, "Paris") is None
