"""What a stranger meets in the first hour: README's length and commands, the packages, the CPU as the device."""

import re

import pytest
from helpers import ROOT

import world
from common import flags

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")


def test_readme_has_at_most_150_lines_and_says_first_what_the_prose_holds():
    assert len(README.splitlines()) <= 150
    assert "What was put into the prose, and what was left out" in "".join(README.splitlines(True)[:24])


def test_every_file_that_a_text_names_is_there():
    for text in (README, RESULTS, *((ROOT / name).read_text(encoding="utf-8") for name in ("TROUBLE.md", "AGENTS.md"))):
        links = re.findall(r"\]\(([\w./-]+)", re.sub("<!--.*?-->", "", text))
        scripts = re.findall(r"python (?:-m )?((?:lessons|bench|tests)?/?\w+\.py)", text)
        assert not [name for name in links + scripts if not (ROOT / name).exists()]


def test_every_flag_that_readme_types_is_one():
    known = {action.dest for action in flags.train_parser()._actions}
    typed = re.findall(r"python train_sft\.py(.*)", README + RESULTS)
    names = {flag.replace("-", "_") for line in typed for flag in re.findall(r"--([a-z][\w-]*)", line.split("`")[0])}
    assert names <= known, names - known


def test_what_was_measured_lies_within_the_ranges():
    ranges = {}
    files = [(ROOT / folder / "requirements.txt").read_text() for folder in ("", "lessons")]
    for line in "".join(files).splitlines():
        name, low, high = re.match(r"(\w+)>=([\d.]+),<([\d.]+)", line).groups()
        ranges[name] = [tuple(map(int, end.split("."))) for end in (low, high)]
    pins = re.findall(r"^(\w+)==([\d.]+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert dict(pins).keys() == ranges.keys() and ("torch", "2.13.0") in pins
    for name, version in pins:
        low, high = ranges[name]
        assert low <= tuple(map(int, version.split("."))) < high, name


def test_the_workflow_is_valid_and_tries_the_ends_of_readmes_range():
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert [f"Python {matrix['python'][0]} to {matrix['python'][1]}"] == re.findall(r"Python [\d.]+ to \d\.\d+", README)
    assert len(matrix["os"]) == 3 and job["runs-on"] == "${{ matrix.os }}"


def test_auto_takes_the_cpu_but_for_a_large_base(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert flags.train([]).device == "cpu"
    assert flags.train(["--device", "mps"]).device == "mps"
    assert flags.train(["--base", "gpt2"]).device == "mps"


def test_a_world_with_a_fact_of_ones_own_is_checked_by_what_it_shows():
    """Words that the tables do not hold: the answer shown is right, another one is not, and nothing fails."""
    cases = {"three": "a list of three cities: Lyonville, Tokyo, Lima.", "sentence": "a sentence with the word yurt: I see the yurt.",
             "story": "a story about a yak and a bog: A yak came.", "poem": "a poem about the yurt: O yurt."}
    for task, said in cases.items():
        assert world.check(task, f"Here is {said}", f"Here is {said}")
        assert not world.check(task, f"Here is {said}", f"Here is {said[:-1]} again.")
