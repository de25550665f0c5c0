"""What teachers need: the first cell, the notebooks for a class, hand-ins, examinations. No base is needed here."""

import importlib
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "lessons"), str(ROOT / "tests")]

import build  # noqa: E402
import exam  # noqa: E402
import hand_in  # noqa: E402
import start  # noqa: E402

SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in build.sources()}
PLANTED = [(kind, bug, k) for kind in exam.KINDS for bug, k in exam.choices(kind)]


# ------------------------------------------------------------------------------------------------------------
# The first cell.


@pytest.mark.parametrize("lesson", SOURCES)
def test_every_lesson_begins_with_the_same_cell(lesson):
    code = [text for kind, text in build.read_cells(SOURCES[lesson]) if kind == "code"]
    assert code[0] == build.START
    assert "import lab" in code[1] and not re.search(r"^root = |^sys\.path", "\n".join(code[1:]), re.M)


def first_cell(folder, **variables):
    """Run it in a folder, as a hosted notebook would -> (exit code, output)"""
    code = build.START.replace("import start\n\nstart.ready()", 'import start\n\nprint("found", root)')
    env = {name: value for name, value in os.environ.items() if name != "LESSON_PROJECT"} | variables
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_the_first_cell_finds_the_project_above_it_or_says_in_one_line_what_to_do(tmp_path):
    inside = tmp_path / "sft" / "course" / "04"
    inside.mkdir(parents=True)
    (tmp_path / "sft" / "train_sft.py").write_text("")
    (tmp_path / "sft" / "lessons").mkdir()
    (tmp_path / "sft" / "lessons" / "start.py").write_text("")
    assert first_cell(inside) == (0, f"found {tmp_path / 'sft'}\n")
    code, said = first_cell(tmp_path)
    assert code == 1 and said.count("\n") == 1 and "Open this notebook inside its folder" in said
    assert first_cell(tmp_path, LESSON_PROJECT=str(tmp_path / "sft"))[0] == 0, "a folder is used where it lies"


def test_the_first_cell_fetches_the_project_once(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    here.mkdir()
    (there / "lessons").mkdir(parents=True)
    for name in ("train_sft.py", "lessons/start.py"):
        (there / name).write_text("")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(there)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    address = there.as_uri()
    assert first_cell(here, LESSON_PROJECT=address) == (0, f"found {here / 'project'}\n")
    (here / "project" / "mine").write_text("")
    assert first_cell(here, LESSON_PROJECT=address)[0] == 0 and (here / "project" / "mine").exists()
    code, said = first_cell(tmp_path, LESSON_PROJECT=(tmp_path / "nothing").as_uri())
    assert code == 1 and said.splitlines()[-1].startswith("The project is not here.")


def test_only_what_is_missing_is_installed_and_torch_is_held(tmp_path, monkeypatch):
    (tmp_path / "base.pt").write_text("")
    monkeypatch.setenv("LESSON_OUT", str(tmp_path))
    asked, there = [], object()
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None if name == "tiktoken" else there)

    def run(*command):
        asked.append((command, Path(command[command.index("--constraint") + 1]).read_text()))
        return 0

    monkeypatch.setattr(start, "run", run)
    start.ready()
    ((command, held),) = asked
    assert command[-1] == start.PACKAGES["tiktoken"] and not any("torch" in str(part) for part in command)
    assert re.search(r"^torch==\d", held, re.M) and "--upgrade" not in command
    monkeypatch.setattr(start, "run", lambda *command: 1)
    with pytest.raises(SystemExit, match="pip could not install tiktoken"):
        start.ready()
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None if name == "torch" else there)
    with pytest.raises(SystemExit, match="torch is missing in"):
        start.ready()


def test_a_base_that_is_missing_is_made_where_the_lesson_looks(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LESSON_OUT", str(tmp_path / "new"))
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: True)

    def run(*command):
        assert command[1] == ROOT / "train_sft.py" and command[2:] == ("--out", (tmp_path / "new").resolve())
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "base.pt").write_text("")
        return 0

    monkeypatch.setattr(start, "run", run)
    start.ready()
    assert "two to three minutes" in capsys.readouterr().out
    start.ready()
    assert capsys.readouterr().out == ""
    (tmp_path / "new" / "base.pt").unlink()
    monkeypatch.setattr(start, "run", lambda *command: 1)
    with pytest.raises(SystemExit, match="train_sft.py stopped"):
        start.ready()


def test_a_program_is_shown_line_by_line(capsys):
    assert start.run(sys.executable, "-c", "print('one'); print('two'); raise SystemExit(3)") == 3
    assert capsys.readouterr().out == "one\ntwo\n"


# ------------------------------------------------------------------------------------------------------------
# Points, and the formats of other systems.


def test_minutes_are_points():
    assert build.minutes_of("text\n### Exercise 4.1: the mask (rebuild, ★, 5 minutes)\nmore, 3 minutes") == 5
    assert build.minutes_of("### Exercise 16.1 (3 minutes)") == 3
    assert build.minutes_of("### Exercise 9.1 (extend): rates with a cap, 12 minutes") == 12
    assert build.minutes_of("### Exercise 1.1: no time") is None and build.minutes_of("two minutes") is None
    for name, source in SOURCES.items():
        cells = build.read_cells(source)
        found = build.exercises(cells)
        assert all(1 <= minutes <= 60 for *_, minutes in found), name
        graded = build.notebook(cells, str, name, graded=True)["cells"]
        marks = [cell["metadata"]["nbgrader"] for cell in graded if cell["metadata"]]
        assert [mark["points"] for mark in marks if mark["grade"]] == [minutes for *_, minutes in found]
        assert len({mark["grade_id"] for mark in marks}) == len(marks) == 2 * len(found)


@pytest.mark.parametrize("lesson", SOURCES)
def test_otter_gets_a_question_for_each_exercise(lesson):
    cells = build.read_cells(SOURCES[lesson])
    made = hand_in.otter(cells, lesson)["cells"]
    raw = [cell["source"] for cell in made if cell["cell_type"] == "raw"]
    assert "".join(raw[0]).startswith("# ASSIGNMENT CONFIG") and all("outputs" not in c for c in made if c["cell_type"] == "raw")
    asked = re.findall(r"name: (\w+)\npoints: (\d+)", "\n".join("".join(text) for text in raw))
    assert asked == [(name, str(minutes)) for _, name, minutes in build.exercises(cells)]
    code = "\n".join("".join(cell["source"]) for cell in made if cell["cell_type"] == "code")
    assert len(re.findall(r"^def test_\w+\(env\)", code, re.M)) == len(asked)
    assert "### BEGIN" not in code and code.count("# BEGIN SOLUTION") == SOURCES[lesson].count("### BEGIN SOLUTION")


def test_notebooks_for_a_class_are_blank_only_where_asked(tmp_path):
    build.for_class(tmp_path, ["1", "4.2"])
    assert sorted(path.name[:2] for path in tmp_path.iterdir()) == ["01", "04"]
    blank = {path.name[:2]: path.read_text(encoding="utf-8").count("your turn") for path in tmp_path.iterdir()}
    assert blank == {"01": 0, "04": 1}
    cells = json.loads(next(tmp_path.glob("04*")).read_text(encoding="utf-8"))["cells"]
    (text,) = ["".join(cell["source"]) for cell in cells if "your turn" in "".join(cell["source"])]
    assert "def " + build.exercises(build.read_cells(SOURCES[next(n for n in SOURCES if n[:2] == "04")]))[1][1] in text


# ------------------------------------------------------------------------------------------------------------
# Hand-ins, on a small lesson of their own.

LESSON = '''# %% [markdown]
# # 98. Small
# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

from checks import lesson98 as checks
# %% [markdown]
# ### Exercise 98.1: one more (rebuild, ★, 3 minutes)
# %%
def more(number):
    ### BEGIN SOLUTION
    return number + STEP
    ### END SOLUTION
# %%
checks.more(more)
# %% [markdown]
# ### Exercise 98.2: twice (rebuild, ★, 7 minutes)
# %%
def twice(number):
    ### BEGIN SOLUTION
    return 2 * number
    ### END SOLUTION
# %%
checks.twice(twice)
'''.replace("from checks", "STEP = 1\nfrom checks")
CHECKS = '''
def more(f):
    assert f(1) == 2, "expected 2"

def twice(f):
    assert f(4) == 8, "expected 8"
'''


@pytest.fixture
def handed_in(tmp_path, monkeypatch):
    """A function: cells of code that come back -> what is said of them. The blank notebook's cells stand around them."""
    monkeypatch.setattr(build, "HERE", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "98_small.py").write_text(LESSON, encoding="utf-8")
    checks = importlib.util.module_from_spec(importlib.util.spec_from_loader("checks.lesson98", None))
    exec(CHECKS, vars(checks))
    monkeypatch.setitem(sys.modules, "checks.lesson98", checks)
    monkeypatch.setattr(importlib.import_module("checks"), "lesson98", checks, raising=False)
    monkeypatch.setattr(build, "START", "import sys")
    monkeypatch.setattr(hand_in, "LIMIT", 1)
    monkeypatch.chdir(ROOT)

    def hand(*cells, name="kim_98.ipynb", capsys=None):
        blank = build.notebook(build.read_cells(LESSON), build.blanked, "98_small")
        for text in cells:
            blank["cells"].append({"cell_type": "code", "id": "own", "source": text.splitlines(True), "outputs": []})
        build.write(tmp_path / name, blank)
        return hand_in.check(tmp_path / name)

    return hand


def test_points_of_a_blank_a_solved_and_a_wrong_notebook(handed_in, capsys):
    assert not handed_in()
    assert capsys.readouterr().out.count("not done   0 of") == 2
    solved = ("def more(number):\n    return number + STEP", "def twice(number):\n    return 2 * number")
    assert handed_in(*solved)
    assert "10 of 10 points" in capsys.readouterr().out
    assert not handed_in("def more(number):\n    return 5", solved[1])
    said = capsys.readouterr().out
    assert "failed     0 of  3  more: expected 2" in said and "7 of 10 points" in said


def test_hand_ins_of_every_kind(handed_in, capsys):
    helper = "import math\n\nDELTA = 1\n\ndef helper(number):\n    return number + DELTA\n\nprint(1 / 0)"
    assert not handed_in(helper, "def more(number):\n    return helper(number)")
    assert "passed     3 of  3  more" in capsys.readouterr().out
    handed_in("checks.more = lambda f: None", "def more(number):\n    return 7")
    assert "failed     0 of  3  more" in capsys.readouterr().out
    handed_in("def more(number):\n    raise SystemExit", "def twice(number:\n    return")
    said = capsys.readouterr().out
    assert "more: SystemExit" in said and "twice: SyntaxError" in said
    if hasattr(hand_in.signal, "SIGALRM"):
        handed_in("def more(number):\n    while True:\n        pass")
        assert "more: TimeoutError: stopped after 1 seconds" in capsys.readouterr().out
    handed_in("def more(number):\n    return 0", "def more(number):\n    return number + 1", name="homework.ipynb")
    assert "3 of 10 points" in capsys.readouterr().out, "the lesson is found by the cells' ids, and the last answer counts"


def test_a_file_that_is_no_notebook_gets_no_points(tmp_path, capsys):
    (tmp_path / "04.ipynb").write_text("hello")
    assert not hand_in.check(tmp_path / "04.ipynb")
    assert "cannot be read as a notebook: 0 points" in capsys.readouterr().out


def test_the_workflow_for_hand_ins_uses_what_there_is():
    text = (ROOT / ".github" / "hand_in" / "check.yml").read_text(encoding="utf-8")
    assert "contents: read" in text and "secrets" not in text and build.PROJECT in text
    for path in re.findall(r"project/([\w/]+\.(?:py|txt))", text):
        assert (ROOT / path).exists(), path
    assert "--check hand_in/*.ipynb" in text and "timeout-minutes" in text
    assert "TEACHERS.md" in {path.name for path in (ROOT / "lessons").iterdir()}
    assert ".github/hand_in/check.yml" in (ROOT / "lessons" / "TEACHERS.md").read_text(encoding="utf-8")


def test_nbgraders_settings_leave_time_for_the_longest_cell():
    class Settings:
        def __getattr__(self, name):
            setattr(self, name, Settings())
            return vars(self)[name]

    settings = Settings()
    exec((ROOT / "lessons" / "nbgrader_config.py").read_text(encoding="utf-8"), {"get_config": lambda: settings})
    assert settings.Execute.timeout >= 900 and "your turn" in settings.ClearSolutions.code_stub["python"]


# ------------------------------------------------------------------------------------------------------------
# Examinations.


@pytest.mark.parametrize("kind", exam.KINDS, ids=lambda kind: kind.name)
def test_the_projects_own_function_passes(kind):
    right = exam.source_of(exam.original(kind))
    for seed in range(3):
        assert exam.passes(right, kind, exam.record(kind, random.Random(seed), 12)) == (True, "")
    assert kind.symptom(exam.space_of(right, kind)[kind.name])


@pytest.mark.parametrize("kind, bug, k", PLANTED, ids=[f"{kind.name}-{i}" for i, (kind, *_) in enumerate(PLANTED)])
def test_every_planted_bug_is_caught_and_seen(kind, bug, k):
    source, cause = exam.plant(kind, bug, k)
    right = exam.source_of(exam.original(kind))
    cases = exam.catching(source, kind, random.Random(0), 6)
    passed, said = exam.passes(source, kind, cases)
    assert not passed and said.startswith("AssertionError: case") and exam.passes(right, kind, cases)[0]
    assert cause and "{k}" not in cause + source
    symptoms = [kind.symptom(exam.space_of(text, kind)[kind.name]) for text in (source, right)]
    assert symptoms[0] != symptoms[1], "the symptom shows nothing"


def test_a_seed_is_an_examination_and_another_seed_another():
    assert len(exam.KINDS) >= 8
    made = [json.dumps(exam.exam(exam.questions(seed))) for seed in ("a", "a", "b")]
    assert made[0] == made[1] != made[2]
    sets = {tuple(source for _, source, *_ in exam.questions(seed, 3)) for seed in range(8)}
    assert len(sets) == 8
    for seed in range(8):
        asked = exam.questions(seed)
        names = {kind.name for kind, *_ in asked}
        assert len(names) == exam.QUESTIONS and not any(names & set(kind.needs) for kind, *_ in asked)


def test_the_students_notebook_runs_without_the_project_and_holds_no_solution(tmp_path):
    asked = exam.questions(11)
    cells = ["".join(cell["source"]) for cell in exam.exam(asked)["cells"] if cell["cell_type"] == "code"]
    texts = "\n".join(cells)
    for kind, source, cause, *_ in asked:
        assert exam.source_of(exam.original(kind)) not in texts and cause not in texts
    script = "\n".join(
        "try:\n" + "\n".join("    " + line for line in text.splitlines())
        + "\nexcept AssertionError as error:\n    print('caught', str(error)[:6])" if "# How it is called" in text else text
        for text in (re.sub(r'"""(.|\n)*?"""', '""', text) for text in cells)
    )
    (tmp_path / "run.py").write_text(script, encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", "run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.count("caught case") == len(asked), done.stdout + done.stderr


def test_marking_an_examination(tmp_path, capsys):
    asked = exam.questions(11)
    content = exam.exam(asked)
    path = tmp_path / "kim.ipynb"
    build.write(path, content)
    assert exam.mark(path, asked) == 0
    for kind, source, *_ in asked:
        for cell in content["cells"]:
            if "".join(cell["source"]) == source.rstrip():
                cell["source"] = [exam.source_of(exam.original(kind))]
    build.write(path, content)
    assert exam.mark(path, asked) == 3 * len(asked)
    kind = asked[0][0]
    right = exam.source_of(exam.original(kind))
    for cell in content["cells"]:
        if "".join(cell["source"]) == right:
            cell["source"] = ["def " + kind.name + "(*args):\n    return 'something'"]
    build.write(path, content)
    capsys.readouterr()
    assert exam.mark(path, asked) == 3 * (len(asked) - 1)
    assert "case 1" in capsys.readouterr().out


def test_the_key_names_every_cause():
    asked = exam.questions(11)
    text = exam.key(asked, 11)
    assert all(f"Cause: {cause}." in text for _, _, cause, *_ in asked) and text.count("# right") == len(asked)
