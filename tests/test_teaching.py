"""Teachers' tools: the first cell, notebooks for a class, points, hand-ins. No base is needed."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import hand_in
import pytest
import start
from test_lessons import LESSONS, ROOT, build

TEACHERS = (ROOT / "lessons" / "teaching" / "TEACHERS.md").read_text(encoding="utf-8")
README = (ROOT / "lessons" / "README.md").read_text(encoding="utf-8")

# ----------------------------------------------------------------------------------------------
# The first cell


@pytest.mark.parametrize("lesson", LESSONS)
def test_only_the_first_cell_finds_the_project(lesson):
    code = [text for kind, text in LESSONS[lesson] if kind == "code"]
    assert code[0] == build.START
    assert "import lab" in code[1]
    assert not re.search(r"^root = |^sys\.path", "\n".join(code[1:]), re.M)


def first_cell(folder, code=build.START):
    """Run it in a folder, as a notebook would. Returns (exit code, output)."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )
    return process.returncode, process.stdout + process.stderr


def make_project(folder):
    """A project whose start.py only says where it is."""
    (folder / "lessons" / "solutions").mkdir(parents=True)
    (folder / "train_sft.py").write_text("")
    code = 'def ready():\n    print("ready", __import__("pathlib").Path(__file__).resolve().parents[1].name)\n'
    (folder / "lessons" / "start.py").write_text(code)
    return folder


def test_the_first_cell_finds_the_project_from_each_of_its_folders(tmp_path):
    project = make_project(tmp_path / "sft")
    (project / "class").mkdir()
    for name in ("lessons", "lessons/solutions", "class", "."):
        assert first_cell(project / name) == (0, "ready sft\n"), name
    assert build.START.count("\n") == 2, "three lines"


def test_once_its_address_is_set_the_first_cell_fetches_the_project_once(tmp_path):
    there, here = make_project(tmp_path / "there"), tmp_path / "here"
    here.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(there)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    source = Path(build.__file__).read_text(encoding="utf-8")
    source = source.replace('PROJECT = ""', f'PROJECT = "{there.as_uri()}"')
    space = {"__file__": build.__file__, "__name__": "build"}
    exec(source, space)
    for _ in range(2):
        code, output = first_cell(here, space["START"])
        assert (code, output.splitlines()[-1]) == (0, "ready project")
        (here / "project" / "mine").write_text("")  # it would not be there after another clone


def test_a_blank_exercise_and_a_failed_check_end_in_one_line(capsys):
    class Shell:
        def set_custom_exc(self, kinds, handler):
            self.kinds, self.handler = kinds, handler

    shell = Shell()
    start.shorten_errors(shell)
    for error in (NotImplementedError("your turn"), AssertionError("expected 3, you have 4")):
        assert isinstance(error, shell.kinds)
        shell.handler(shell, type(error), error, None)
    assert capsys.readouterr().err == "Stopped here: your turn.\nexpected 3, you have 4\n"


def test_only_missing_packages_are_installed_and_torch_is_pinned(tmp_path, monkeypatch):
    for name in ("base.pt", "tuned.pt"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("LESSON_OUT", str(tmp_path))
    installed = object()
    commands = []

    def without(name):
        spec = lambda package: None if package == name else installed  # noqa: E731
        monkeypatch.setattr(start.importlib.util, "find_spec", spec)

    def run(*command):
        pins = Path(command[command.index("--constraint") + 1]).read_text()
        commands.append((command, pins))
        return 0

    without("tiktoken")
    monkeypatch.setattr(start, "run", run)
    start.ready()
    ((command, pins),) = commands
    assert command[-1] == start.PACKAGES["tiktoken"]
    assert not any("torch" in str(part) for part in command)
    assert re.search(r"^torch==\d", pins, re.M)
    assert "--upgrade" not in command
    monkeypatch.setattr(start, "run", lambda *command: 1)
    with pytest.raises(SystemExit, match="pip could not install tiktoken"):
        start.ready()
    without("torch")
    with pytest.raises(SystemExit, match="torch is missing in"):
        start.ready()


def test_missing_models_are_made_where_the_lesson_looks(tmp_path, monkeypatch, capsys):
    out = tmp_path / "new"
    monkeypatch.setenv("LESSON_OUT", str(out))
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: True)

    def run(*command):
        assert command[1:] == (ROOT / "train_sft.py", "--out", out.resolve())
        out.mkdir(exist_ok=True)
        for name in ("base.pt", "tuned.pt"):
            (out / name).write_text("")
        return 0

    monkeypatch.setattr(start, "run", run)
    start.ready()
    assert "minutes" in capsys.readouterr().out
    start.ready()
    assert capsys.readouterr().out == ""
    (out / "tuned.pt").unlink()
    monkeypatch.setattr(start, "run", lambda *command: 1)
    with pytest.raises(SystemExit, match="train_sft.py stopped"):
        start.ready()


def test_a_program_is_shown_line_by_line(capsys):
    code = "print('one'); print('two'); raise SystemExit(3)"
    assert start.run(sys.executable, "-c", code) == 3
    assert capsys.readouterr().out == "one\ntwo\n"


# ----------------------------------------------------------------------------------------------
# Points and notebooks for a class


def test_minutes_are_read_from_the_heading():
    heading = "text\n### Exercise 4.1: the mask (rebuild, ★, 5 minutes)\nmore, 3 minutes"
    assert build.minutes_of(heading) == 5
    assert build.minutes_of("### Exercise 16.1 (3 minutes)") == 3
    assert build.minutes_of("### Exercise 9.1 (extend): rates with a cap, 12 minutes") == 12
    assert build.minutes_of("### Exercise 1.1: no time") is None
    assert build.minutes_of("two minutes") is None


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_point_is_a_minute_in_nbgrader_too(lesson):
    cells = LESSONS[lesson]
    graded = build.notebook(cells, str, lesson, graded=True)["cells"]
    metadata = [cell["metadata"]["nbgrader"] for cell in graded if cell["metadata"]]
    points = [entry["points"] for entry in metadata if entry["grade"]]
    assert points == [minutes for _, _, minutes in build.exercises(cells)]
    ids = {entry["grade_id"] for entry in metadata}
    assert len(ids) == len(metadata) == 2 * len(points)


def test_notebooks_for_a_class_are_blank_only_where_asked(tmp_path):
    build.write_for_class(tmp_path, ["1", "4.2"])
    texts = {path.name[:2]: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert {name: text.count("your turn") for name, text in texts.items()} == {"01": 0, "04": 1}
    cells = ["".join(cell["source"]) for cell in json.loads(texts["04"])["cells"]]
    (blank,) = [text for text in cells if "your turn" in text]
    (lesson,) = [lesson for lesson in LESSONS if lesson[:2] == "04"]
    _, second, _ = build.exercises(LESSONS[lesson])[1]
    assert f"def {second}(" in blank


# ----------------------------------------------------------------------------------------------
# Hand-ins, with a small lesson of their own

LESSON = '''# %% [markdown]
# # 98. Small
# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

STEP = 1
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
'''
CHECKS = '''
def more(f):
    assert f(1) == 2, "expected 2"

def twice(f):
    assert f(4) == 8, "expected 8"
'''
MORE = "def more(number):\n    return number + STEP"
TWICE = "def twice(number):\n    return 2 * number"


@pytest.fixture
def submit(tmp_path, monkeypatch, capsys):
    """A function: code cells that a learner adds to the blank notebook -> (all passed?, output)."""
    monkeypatch.setattr(build, "LESSONS", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "98_small.py").write_text(LESSON, encoding="utf-8")
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("checks.lesson98", None)
    )
    exec(CHECKS, vars(module))
    monkeypatch.setitem(sys.modules, "checks.lesson98", module)
    monkeypatch.setattr(importlib.import_module("checks"), "lesson98", module, raising=False)
    monkeypatch.setattr(build, "START", "import sys")
    monkeypatch.setattr(hand_in, "LIMIT", 1)
    monkeypatch.chdir(ROOT)

    def submit_cells(*cells, name="kim_98.ipynb"):
        blank = build.notebook(build.read_cells(LESSON), build.blank_cell, "98_small")
        for text in cells:
            cell = {"cell_type": "code", "id": "own", "source": text.splitlines(True)}
            blank["cells"].append(cell)
        build.write(tmp_path / name, blank)
        passed = hand_in.check(tmp_path / name)
        return passed, capsys.readouterr().out

    return submit_cells


def test_points_of_a_blank_a_solved_and_a_wrong_notebook(submit):
    passed, output = submit()
    assert not passed
    assert output.count("not done   0 of") == 2
    passed, output = submit(MORE, TWICE)
    assert passed
    assert "10 of 10 points" in output
    passed, output = submit("def more(number):\n    return 5", TWICE)
    assert not passed
    assert "failed     0 of  3  more: expected 2" in output
    assert "7 of 10 points" in output


def test_helpers_count_but_nothing_else_runs(submit):
    helper = "DELTA = 1\n\ndef helper(number):\n    return number + DELTA\n\nprint(1 / 0)"
    _, output = submit(helper, "def more(number):\n    return helper(number)")
    assert "passed     3 of  3  more" in output


def test_a_changed_check_changes_nothing(submit):
    _, output = submit("checks.more = lambda f: None", "def more(number):\n    return 7")
    assert "failed     0 of  3  more" in output


def test_an_answer_may_exit_or_be_no_python(submit):
    _, output = submit("def more(number):\n    raise SystemExit", "def twice(number:\n    return")
    assert "more: SystemExit" in output
    assert "twice: SyntaxError" in output


@pytest.mark.skipif(not hasattr(hand_in.signal, "SIGALRM"), reason="this system has no alarms")
def test_an_endless_answer_is_stopped(submit):
    _, output = submit("def more(number):\n    while True:\n        pass")
    assert "more: TimeoutError: stopped after 1 seconds" in output


def test_ids_name_the_lesson_and_the_last_answer_counts(submit):
    _, output = submit("def more(number):\n    return 0", MORE, name="homework.ipynb")
    assert "3 of 10 points" in output


def test_a_file_that_is_no_notebook_gets_no_points(tmp_path, capsys):
    (tmp_path / "04.ipynb").write_text("hello")
    assert not hand_in.check(tmp_path / "04.ipynb")
    assert "cannot be read as a notebook: 0 points" in capsys.readouterr().out


# ----------------------------------------------------------------------------------------------
# Pages and settings


def test_the_workflow_for_hand_ins_uses_files_that_exist():
    text = (ROOT / ".github" / "hand_in" / "check.yml").read_text(encoding="utf-8")
    assert "contents: read" in text
    assert "secrets" not in text
    paths = re.findall(r"project/([\w./]+\.(?:py|txt))", text)
    assert not [path for path in paths if not (ROOT / path).exists()]
    assert "lessons/teaching/hand_in.py" in paths
    assert ".ci/constraints.txt" in paths
    assert ".github/hand_in/check.yml" in TEACHERS


@pytest.mark.parametrize("text", [README, TEACHERS], ids=["README", "TEACHERS"])
def test_every_file_and_flag_that_a_page_names_exists(text):
    folder = ROOT / "lessons" / ("teaching" if text is TEACHERS else "")
    links = re.findall(r"\]\(([\w./-]+)\)", text) + re.findall(r"^\[\w+\]: (.+)$", text, re.M)
    assert not [link for link in links if not (folder / link).exists()]
    paths = re.findall(r"\b((?:lessons|docs|tests)/[\w/]+\.(?:py|md|txt))", text)
    assert not [path for path in paths if not (ROOT / path).exists()]
    source = (ROOT / "lessons" / "teaching" / "build.py").read_text(encoding="utf-8")
    flags = re.findall(r"build\.py (--\w+)", text)
    assert not [flag for flag in flags if f'"{flag}"' not in source]


def test_nbgraders_settings_leave_time_for_the_longest_cell():
    class Settings:
        def __getattr__(self, name):
            setattr(self, name, Settings())
            return vars(self)[name]

    settings = Settings()
    path = ROOT / "lessons" / "teaching" / "nbgrader_config.py"
    exec(path.read_text(encoding="utf-8"), {"get_config": lambda: settings})
    assert settings.Execute.timeout >= 900
    assert "your turn" in settings.ClearSolutions.code_stub["python"]
