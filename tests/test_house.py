"""The house: imports go one way, the default run loads only what it uses, and the code stays
readable."""

import ast
import functools
import graphlib
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest
from helpers import ROOT, TINY, run

from common import flags

STORY = ("data.py", "model.py", "train_sft.py", "generate.py")
MAX_STORY = 1150  # lines of these four together
MAX_FUNCTION = 40  # lines of a function of train_sft.py
MAX_COLUMNS = 100
MAX_FLAGS = 30

# A file may import its own layer and those before it, also inside functions.
LAYERS = ("model", "data", "common", "generate", "extras", "train_sft", "lessons and bench")
BESIDE = {  # name -> (layers that it may import, the first layer that may import it)
    "world": ((), "common"),
    "gemma": (("model", "data", "common"), "common"),
}
PROSE = ("README.md", "AGENTS.md", "docs/RESULTS.md", "docs/TROUBLE.md", "gemma/DATA.md")
OPENERS = ("common/sources.py", "common/run.py")  # open what a flag names, inside a function

# Words that have a better one: the field's term, or a verb. Left: a pattern, right: an example.
WORDS = {
    r"\bstands?\b": "is",
    r"\bwhat it adds\b": "name the feature",
    r"\b(un)?learned (tokens?|targets?|positions)\b": "supervised",
    r"\bbots?\b": "assistant",
    r"\bend tokens?\b": "eos",
    r"\btellings?\b": "statement",
    r"\bgives? away\b": "leak",
    r"\d %": "99%, without a space",
}

# --------------------------------------------------------------------------------------------------
# Files


def is_product(path: Path) -> bool:
    top = path.relative_to(ROOT).parts[0]
    return top not in ("tests", "lessons", "bench", "out") and not top.startswith(".")


def tracked(pattern: str) -> list[Path]:
    """List files, but not those of hidden folders, virtual environments and results."""
    paths = []
    for path in sorted(ROOT.rglob(pattern)):
        folders = path.relative_to(ROOT).parts[:-1]
        ignored = any(name.startswith(".") or name in ("out", "venv") for name in folders)
        if not ignored and not path.name.startswith("LICENSE"):
            paths.append(path)
    return paths


PRODUCT = [path for path in tracked("*.py") if is_product(path)]
TOOLS = []  # of lessons and bench; exercises and their solutions belong to the learner
for path in tracked("*.py"):
    parts = path.relative_to(ROOT).parts
    if parts[0] in ("lessons", "bench") and not {"src", "solutions", "checks"} & set(parts):
        TOOLS.append(path)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in (*PRODUCT, *TOOLS)}
for path in TOOLS:  # they put their own folder into the path
    MODULES.setdefault(path.stem, path)


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports(path: Path) -> set[Path]:
    """Find the files of the project that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            folder = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*folder, *filter(None, [node.module])])
            names.add(module)
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return {MODULES[name] for name in names if name in MODULES} - {path}


# --------------------------------------------------------------------------------------------------
# Imports


def test_no_files_import_each_other_in_a_circle():
    graph = {path: imports(path) for path in (*PRODUCT, *TOOLS)}
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError names the circle


def layer_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in ("lessons", "bench"):
        return "lessons and bench"
    if parts[0] == "facts":
        return "world"
    return "gemma" if "gemma" in parts else parts[0]


def may_import(layer: str, other: str) -> bool:
    if layer == other:
        return True
    if layer in BESIDE:
        return other in BESIDE[layer][0]
    if other in BESIDE:
        other = BESIDE[other][1]
    return LAYERS.index(other) <= LAYERS.index(layer)


def test_imports_go_one_way():
    assert {layer_of(path) for path in PRODUCT} <= {*LAYERS, *BESIDE}, "a file without a layer"
    wrong = []
    for path in (*PRODUCT, *TOOLS):
        for other in imports(path):
            if str(path.relative_to(ROOT)) in OPENERS and layer_of(other) == "extras":
                continue
            if other == ROOT / "common" / "__init__.py":  # tells if a package is missing
                continue
            if not may_import(layer_of(path), layer_of(other)):
                wrong.append(f"{path.relative_to(ROOT)} imports {other.relative_to(ROOT)}")
    assert wrong == []


@pytest.mark.parametrize("path", sorted((ROOT / "bench").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_measurement_imports_is_there(path, monkeypatch):
    monkeypatch.syspath_prepend(path.parent)
    importlib.import_module(path.stem)


IMPORTS = """
import sys, train_sft
status = train_sft.main(sys.argv[1:])
print("STATUS", status, *sorted(name for name in sys.modules if name.split(".")[0] == "extras"))
"""


@pytest.mark.slow
def test_the_default_run_imports_nothing_of_extras(tmp_path):
    screen = run("-c", IMPORTS, *TINY, "--out", tmp_path / "out")
    assert screen.splitlines()[-1] == "STATUS 0"


def test_a_function_imports_only_what_a_flag_or_an_optional_package_needs():
    """Imports are at the top; inside a function is only extras, or a package you may lack."""
    wrong = []
    for path in PRODUCT:
        for function in ast.walk(tree_of(path)):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                name = ""
                if isinstance(node, ast.ImportFrom):
                    name = node.module or "."
                elif isinstance(node, ast.Import):
                    name = node.names[0].name
                if name and (name in MODULES or name.split(".")[0] in ("common", "data", "model")):
                    if layer_of(path) == "extras" or not name.startswith(("extras", "gemma")):
                        wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
    assert wrong == []


# --------------------------------------------------------------------------------------------------
# Size


def test_the_four_files_stay_an_evenings_reading():
    lines = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in STORY}
    assert sum(lines.values()) <= MAX_STORY, lines


def test_no_function_of_train_sft_is_longer_than_a_screen():
    nodes = ast.walk(tree_of(ROOT / "train_sft.py"))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    sizes = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert {name: n for name, n in sizes.items() if n > MAX_FUNCTION} == {}


def test_no_line_is_longer_than_100_columns():
    wrong = []
    for path in PRODUCT:
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > MAX_COLUMNS:
                wrong.append(f"{path.relative_to(ROOT)}:{n}")
    assert wrong == []


def test_there_are_at_most_30_flags_and_help_shows_them_all():
    parser = flags.train_parser("about")
    actions = [action for action in parser._actions if action.dest not in ("help", "save_every")]
    assert len(actions) <= MAX_FLAGS
    text = parser.format_help()
    assert all(action.help and action.option_strings[0] in text for action in actions)


# --------------------------------------------------------------------------------------------------
# Words


def test_every_module_says_what_it_is_and_the_four_say_their_idea():
    docstrings = {}
    for path in (*PRODUCT, *TOOLS):
        name = str(path.relative_to(ROOT))
        docstrings[name] = ast.get_docstring(tree_of(path)) or ""
    assert [name for name, text in docstrings.items() if len(text) < 30] == []
    assert [name for name in STORY if "The one idea" not in docstrings[name]] == []


def prose(path: Path) -> str:
    """Return what a person reads: all of a page, or comments and strings of a program.

    Strings of the world are its data, so there it's only the docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    in_world = layer_of(path) == "world"
    parts = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        # Python 3.12 splits f-strings into tokens of their own
        is_string = tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE")
        if token.type == tokenize.COMMENT:
            parts.append(token.string)
        elif is_string and (not in_world or token.string.startswith('"""')):
            parts.append(token.string)
    return "\n".join(parts)


def test_words_that_have_a_better_one_do_not_come_back():
    wrong = []
    for path in (*PRODUCT, *(ROOT / name for name in PROSE)):
        text = re.sub(r"\s+", " ", prose(path))
        for pattern, better in WORDS.items():
            for match in re.finditer(pattern, text, re.IGNORECASE):
                around = text[max(0, match.start() - 20) : match.end() + 20]
                wrong.append(f"{path.relative_to(ROOT)}: '{around}' ({better})")
    assert wrong == []
