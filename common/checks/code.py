"""Judge code: run a model's Python or SQL, safely enough for a small model.

Python runs in a process of its own, without imports, files or endless loops. SQL can only read a
database in memory."""

import ast
import re
import sqlite3
import subprocess
import sys

OUTSIDE = {"open", "exec", "eval", "input", "compile", "globals", "getattr", "breakpoint"}
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
SECONDS = 5
INSTRUCTIONS = 10**6  # of SQLite, after which a query is ended


def code_in(answer: str, start: str) -> str:
    """Take the code out of Markdown, or begin at the first match of the regular expression."""
    fenced = re.search(r"```\w*\n(.*?)(?:```|$)", answer, re.S) or re.search(r"`([^`]+)`", answer)
    code = fenced[1] if fenced else answer
    first = re.search(start, code, re.M | re.I)
    return code[first.start() :] if first else code


def python(answer: str, test: str) -> bool:
    """Run the code and then the test, in a process of its own, if it asks for nothing outside."""
    # The code ends before a line that begins with neither a space nor another function.
    code = re.split(r"\n(?!def |[\s#@])", code_in(answer, "^def "))[0]
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError):
        return False

    # Imports, endless loops and names that reach outside are not run.
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in nodes}
    if names & OUTSIDE or any("__" in name for name in names):
        return False
    if any(isinstance(node, (ast.Import, ast.ImportFrom, ast.While)) for node in nodes):
        return False

    # A failed assertion, as any other error, ends the process with a code that is not 0.
    command = [sys.executable, "-I", "-c", f"{code}\n{test}"]
    try:
        return subprocess.run(command, capture_output=True, timeout=SECONDS).returncode == 0
    except (ValueError, subprocess.TimeoutExpired):
        return False


def right_rows(database: sqlite3.Connection, wanted: dict) -> list[tuple]:
    """Set up the tables of a check and return the rows of its query."""
    database.executescript(wanted["setup"])
    return database.execute(wanted["query"]).fetchall()


def sql(answer: str, wanted: dict) -> bool:
    """Compare the rows that the query finds with the right ones. Their order does not count."""
    database = sqlite3.connect(":memory:")
    expected = right_rows(database, wanted)
    database.set_authorizer(lambda action, *names: 0 if action in READING else 1)
    database.set_progress_handler(lambda: 1, INSTRUCTIONS)

    # The query ends with a semicolon or an empty line. Prose behind it is not run.
    query = re.split(r";|\n\s*\n", code_in(answer, r"\bselect\b"))[0]
    try:
        rows = database.execute(query).fetchall()
    except (sqlite3.Error, sqlite3.Warning):
        return False
    return sorted(rows, key=repr) == sorted(expected, key=repr)


def find_mistake(name: str, value: str | dict) -> str:
    """Return the error of a test or a query that can never be run, "" for none."""
    try:
        if name == "python":
            ast.parse(value)
        if name == "sql":
            right_rows(sqlite3.connect(":memory:"), value)
    except (SyntaxError, ValueError, sqlite3.Error, sqlite3.Warning) as error:
        return str(error)
    return ""
