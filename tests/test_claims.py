"""Every claim of a lesson can fail: claim_faults/lessonNN.py names its condition, what would refute it, and a made-up measurement
under which it is refuted. A claim is in most cases several conditions joined by `and`; each needs such a fault.

To add a lesson: one file, with GOOD (values of the variables that its last cell uses, under which all its claims hold) and
CLAIMS, one entry for each `lab.claim` in order."""

import ast
import importlib
import json

import pytest
from test_lessons import LESSONS, build

lab = importlib.import_module("lab")  # from the lessons' folder, which test_lessons has put on the path


def last_cell(lesson):
    """(its text, the lab.claim calls in it, each with the conditions that must all be true)"""
    text = build.solved(LESSONS[lesson][-1][1])
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    found = [call for call in calls if ast.unparse(call.func) == "lab.claim"]
    holds = [call.args[1] for call in sorted(found, key=lambda call: call.lineno)]
    joined = [node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) else [node] for node in holds]
    return text, [[ast.unparse(part) for part in parts] for parts in joined]


def verdicts(text, space, monkeypatch):
    """Run a last cell -> [did claim i hold?], and the namespace it leaves behind."""
    monkeypatch.setattr(lab, "claims", [])
    monkeypatch.setattr(lab, "FAST", False)
    monkeypatch.delenv("CLAIMS", raising=False)
    space = {"lab": lab, **space}
    exec(text, space)
    return [holds for _, holds in lab.claims], space


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_claim_can_fail(lesson, monkeypatch, capsys):
    table = importlib.import_module(f"claim_faults.lesson{lesson[:2]}")
    text, conditions = last_cell(lesson)
    assert len(table.CLAIMS) == len(conditions), "one entry for each claim"
    held, _ = verdicts(text, table.GOOD, monkeypatch)
    assert all(held), f"with GOOD every claim holds: {held}"
    for i, (claim, parts) in enumerate(zip(table.CLAIMS, conditions)):
        assert set(claim) == {"sentence", "condition", "refuted_by", "faults"} and all(claim.values())
        assert not any(char.isdigit() or char == "%" for char in claim["sentence"]), "the sentence has no numbers"
        assert len(claim["faults"]) == len(parts), f"one fault for each of the conditions {parts}"
        for part, fault in zip(parts, claim["faults"]):
            assert set(fault) <= set(table.GOOD), "a fault changes what was measured"
            held, left = verdicts(text, table.GOOD | fault, monkeypatch)
            assert not held[i], f"{claim['sentence']}: still held with {fault}"
            assert not eval(part, left), f"{fault} does not refute the condition {part}"
    assert "THIS RUN DISAGREES" in capsys.readouterr().out


def test_a_claim_that_does_not_hold_goes_on_in_class_and_stops_when_strict(monkeypatch, capsys):
    monkeypatch.setattr(lab, "claims", [])
    monkeypatch.setattr(lab, "FAST", False)
    monkeypatch.delenv("CLAIMS", raising=False)
    lab.claim("water is wet", True)
    lab.claim("fire is cold", 1 > 2, "the fire was out.")
    assert lab.claims == [("water is wet", True), ("fire is cold", False)]
    assert "THIS RUN DISAGREES: fire is cold\n  Why it may be: the fire was out." in capsys.readouterr().out
    monkeypatch.setenv("CLAIMS", "strict")
    lab.claim("water is wet", True)
    with pytest.raises(AssertionError, match="fire is cold"):
        lab.claim("fire is cold", False)


def test_a_prediction_is_kept_and_compared(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(lab, "OUT", tmp_path)
    monkeypatch.setattr(lab, "predictions", {})
    lab.predict("a")
    lab.compare("a", 0.5)
    assert "no prediction was written" in capsys.readouterr().out and not list(tmp_path.iterdir())
    lab.predict("a", 0.25)
    lab.compare("a", 0.5)
    assert "predicted 25%, measured 50%: your prediction was 25 points too low" in capsys.readouterr().out
    assert (tmp_path / "predictions.json").read_text().split() == '{ "a": { "guess": 0.25, "measured": 0.5 } }'.split()
    with pytest.raises(AssertionError, match="40 % as 0.4"):
        lab.predict("a", 40)


def test_the_table_says_on_how_many_bases_a_claim_held(tmp_path):
    claims = importlib.import_module("claims")
    for name, holds in (("one", True), ("two", False), ("three", True)):
        (tmp_path / name).mkdir()
        kept = {"02": [["a", True], ["b", holds], ["c", True]]}
        (tmp_path / name / "claims.json").write_text(json.dumps(kept))
    lines = claims.table(["02", "03"], [tmp_path / name for name in ("one", "two", "three", "not_run")])
    assert len(lines) == 2 + 3 and lines[3].startswith("| 02 | tokenized together, a token spans the border in every pair")
    assert lines[3].endswith("| 2 of 3 | ✓ | ✗ | ✓ | - |") and "one pair on the other side" in lines[3]
    assert claims.without_numbers("in 12 % of them (3 to 20 %), of 577") == "in ... of them, of ..."
