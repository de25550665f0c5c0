"""Every claim of a lesson can fail. lessons/checks/claims/lessonNN.py has a made-up measurement,
GOOD, under which all claims hold. For each claim it has a sentence, its condition, a measurement
that would refute it, and for each part of the condition a fault: a change of GOOD that refutes
just that part."""

import ast
import importlib
import json

import pytest
from test_lessons import LESSONS, ROOT, build, table

lab = importlib.import_module("lab")  # test_lessons has put lessons/ on the path
claims = importlib.import_module("claims")  # and lessons/teaching/


def last_cell(lesson):
    """The code of the last cell and, for each lab.claim in it, the parts of its condition."""
    text = build.solved_cell(LESSONS[lesson][-1][1])
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    calls = [call for call in calls if ast.unparse(call.func) == "lab.claim"]
    conditions = []
    for call in sorted(calls, key=lambda call: call.lineno):
        node = call.args[1]
        joined = isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And)
        conditions.append([ast.unparse(part) for part in (node.values if joined else [node])])
    return text, conditions


@pytest.fixture(autouse=True)
def not_strict(monkeypatch):
    """Claims start empty, and a claim that doesn't hold goes on."""
    monkeypatch.setattr(lab, "claims", [])
    monkeypatch.setattr(lab, "FAST", False)
    monkeypatch.delenv("CLAIMS", raising=False)


def run_cell(text, measured):
    """Run a last cell. Returns whether each claim holds, and the namespace it leaves behind."""
    lab.claims.clear()
    space = {"lab": lab, **measured}
    exec(text, space)
    return [holds for _, holds in lab.claims], space


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_claim_can_fail(lesson, capsys):
    module = table("claims", lesson)
    text, conditions = last_cell(lesson)
    assert len(module.CLAIMS) == len(conditions), "one entry for each claim"
    holds, _ = run_cell(text, module.GOOD)
    assert all(holds), f"with GOOD every claim holds: {holds}"
    for i, (claim, parts) in enumerate(zip(module.CLAIMS, conditions)):
        assert set(claim) == {"sentence", "condition", "refuted_by", "faults"}
        assert all(claim.values())
        assert not any(char.isdigit() or char == "%" for char in claim["sentence"]), "no numbers"
        assert len(claim["faults"]) == len(parts), f"one fault for each of the conditions {parts}"
        for part, fault in zip(parts, claim["faults"]):
            assert set(fault) <= set(module.GOOD), "a fault changes a measurement"
            holds, space = run_cell(text, module.GOOD | fault)
            assert not holds[i], f"{claim['sentence']}: still holds with {fault}"
            assert not eval(part, space), f"{fault} does not refute the condition {part}"
    assert "THIS RUN DISAGREES" in capsys.readouterr().out


def test_a_claim_that_does_not_hold_goes_on_in_class_and_stops_when_strict(monkeypatch, capsys):
    lab.claim("water is wet", True)
    lab.claim("fire is cold", 1 > 2, "the fire was out.")
    assert lab.claims == [("water is wet", True), ("fire is cold", False)]
    message = "THIS RUN DISAGREES: fire is cold\n  Why it may be: the fire was out."
    assert message in capsys.readouterr().out
    monkeypatch.setenv("CLAIMS", "strict")
    lab.claim("water is wet", True)
    with pytest.raises(AssertionError, match="fire is cold"):
        lab.claim("fire is cold", False)


def test_a_prediction_is_saved_and_compared(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(lab, "OUT", tmp_path)
    monkeypatch.setattr(lab, "predictions", {})
    lab.predict("a")
    lab.compare("a", 0.5)
    assert capsys.readouterr().out == "a: 50%\n"
    assert not list(tmp_path.iterdir())
    lab.predict("a", 0.25)
    lab.compare("a", 0.5)
    message = "predicted 25%, measured 50%: your prediction was 25 points too low"
    assert message in capsys.readouterr().out
    stored = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert stored == {"a": {"guess": 0.25, "measured": 0.5}}
    with pytest.raises(AssertionError, match="40% as 0.4"):
        lab.predict("a", 40)


def test_a_finding_is_chosen_by_the_interval(capsys):
    for low, high in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1)):
        lab.finding(low, high, "more", "less", "cannot be told")
    assert capsys.readouterr().out == "Found: more\nFound: less\nFound: cannot be told\n"


def test_no_interval_of_flags_has_the_width_zero():
    for flag, expected in ((0, (0, 0.1611)), (1, (0.8389, 1))):  # Wilson, 0 and 20 of 20
        mean, *interval = lab.bootstrap([[flag] * 20] * 3)
        assert mean == flag
        assert interval == pytest.approx(expected, abs=1e-4)
    assert lab.bootstrap([[1 / 3] * 20]) == pytest.approx((1 / 3,) * 3)  # shares, not flags
    same, different = [[True] * 20], [[False] * 20]
    assert lab.difference(same, same) == pytest.approx((0, -0.1611, 0.1611), abs=1e-4)
    assert lab.difference(same, different) == pytest.approx((1, 0.8389, 1), abs=1e-4)
    assert lab.difference(different, same) == pytest.approx((-1, -1, -0.8389), abs=1e-4)


def test_the_page_counts_the_bases_on_which_a_claim_held(tmp_path):
    for name, holds in (("one", True), ("two", False), ("three", True)):
        (tmp_path / name).mkdir()
        claims.save_result(tmp_path / name, "02", [["a", True], ["b", holds], ["c", True]])
    bases = [tmp_path / name for name in ("one", "two", "three", "not_run")]
    page = claims.make_page(["02", "03"], bases)
    assert "The bases: one, two, three, not_run." in page
    assert "## Lesson 2" in page
    words = " ".join(page.split())
    assert f"- {table('claims', '03').CLAIMS[0]['sentence']} (not run)" in words
    claim = table("claims", "02").CLAIMS[1]
    entry = f"- {claim['sentence']} (2 of 3 ✓ ✗ ✓ -) *Refuted by:* {claim['refuted_by']}."
    assert entry in words


def test_the_published_page_has_every_claim():
    page = claims.PAGE.read_text(encoding="utf-8")
    assert page.startswith(claims.HEAD)
    words = " ".join(page.split())
    for lesson in LESSONS:
        for claim in table("claims", lesson).CLAIMS:
            assert f"- {claim['sentence']} (" in words
            assert f"*Refuted by:* {claim['refuted_by']}." in words
    assert claims.PAGE == ROOT / "docs" / "CLAIMS.md"
