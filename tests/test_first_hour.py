"""What a stranger meets in the first hour: README's length and commands, the files and flags that
pages name, the packages, the CPU as the device."""

import re

import pytest
from helpers import ROOT

from common import flags

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "AGENTS.md", "docs/TROUBLE.md", "lessons/README.md", "lessons/START.md")
MAX_LINES, MAX_COLUMNS = 110, 100
MODULES = {"generate.py": flags.generate_parser, "train_sft.py": flags.train_parser}


def test_readme_is_short_and_begins_with_the_contrast():
    lines = README.splitlines()
    assert len(lines) <= MAX_LINES and max(map(len, lines)) <= MAX_COLUMNS
    assert any(line.strip().startswith("tuned") for line in lines[:12])


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_names_exists(name):
    path = ROOT / name
    text = re.sub("<!--.*?-->", "", path.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([\w./-]+)", text)
    scripts = re.findall(r"python ((?:\w+/)*\w+\.py)", text)
    assert not [link for link in links if not (path.parent / link).exists()]
    assert not [script for script in scripts if not (ROOT / script).exists()]
    modules = re.findall(r"python -m ((?:extras|common|world|gemma)[\w.]*)", text)
    files = [ROOT / module.replace(".", "/") for module in modules]
    assert not [file for file in files if not (file.is_dir() or file.with_suffix(".py").exists())]


@pytest.mark.parametrize("script", MODULES)
def test_every_flag_that_a_page_types_is_one(script):
    known = {action.dest for action in MODULES[script]()._actions}
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        for line in re.findall(rf"python {re.escape(script)}([^`#\n]*)", text):
            typed = {flag.replace("-", "_") for flag in re.findall(r"--([a-z][\w-]*)", line)}
            assert typed <= known, f"{name}: {typed - known}"


def test_what_was_measured_is_within_the_ranges():
    ranges = {}
    files = [(ROOT / folder / "requirements.txt").read_text() for folder in ("", "lessons")]
    for line in "".join(files).splitlines():
        name, low, high = re.match(r"(\w+)>=([\d.]+),<([\d.]+)", line).groups()
        ranges[name] = [tuple(map(int, end.split("."))) for end in (low, high)]
    pins = dict(re.findall(r"^(\w+)==([\d.]+)$", constraints(), re.M))
    assert pins.keys() == ranges.keys()
    for name, version in pins.items():
        low, high = ranges[name]
        assert low <= tuple(map(int, version.split("."))) < high, name


def constraints():
    return (ROOT / ".ci" / "constraints.txt").read_text()


def test_the_workflow_tries_the_ends_of_readmes_range():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    low, high = re.search(r'python: \["([\d.]+)", "([\d.]+)"\]', workflow).groups()
    assert f"Python {low} to {high}" in README
    assert "os: [ubuntu-latest, macos-latest, windows-latest]" in workflow


def test_auto_takes_the_cpu_but_for_a_large_base(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert flags.parse_train([]).device == "cpu"
    assert flags.parse_train(["--device", "mps"]).device == "mps"
    assert flags.parse_train(["--base", "gpt2"]).device == "mps"
