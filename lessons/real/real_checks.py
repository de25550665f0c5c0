"""Is an answer right? The checkers of the 80 held-out prompts of `real_heldout.jsonl`.

What it is: a row's "check" names conditions ({"has": ["Paris"], "words": [1, 8]}); an answer is right if all hold.
What it is not: a judge of taste. A story passes if it has what was asked for (two sentences, a dog, a cave), however
dull it is. Models' Python is run in a process of its own, for five seconds at most, and only if it imports nothing.

The one idea: every condition is a function (answer, what is wanted) -> bool in CONDITIONS below.
"""

import re
import sqlite3
import subprocess
import sys


def normal(text):
    """Case, marks and spacing do not count: 'Is the shop closed?' -> 'is the shop closed'"""
    return " ".join(re.sub(r"[^\w\s']|_", " ", text.replace("’", "'").lower()).split())


def says(answer, words):
    """Do these words stand in the answer, as whole words?"""
    return f" {normal(words)} " in f" {normal(answer)} "


def has(answer, wanted):
    """Of every "this|or that" one stands there. What has marks of its own (an address) is looked for letter by letter."""
    return all(any(says(answer, one) or ("@" in one and one in answer) for one in each.split("|")) for each in wanted)


def lacks(answer, unwanted):
    return not any(says(answer, words) for words in unwanted)


def exact(answer, wanted):
    return normal(answer) in map(normal, wanted)


def letters(answer, wanted):
    """The same letters, large and small ones told apart."""
    return answer.strip().strip("\"'.") == wanted


def starts(answer, wanted):
    return any(f"{normal(answer)} ".startswith(f"{normal(words)} ") for words in wanted)


def numbers(answer):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", answer))]


def number(answer, wanted):
    """The last number is the result: "7 + 5 = 12"."""
    return numbers(answer)[-1:] == [wanted]


def starts_number(answer, wanted):
    return numbers(answer)[:1] == [wanted]


def words(answer, low_high):
    return low_high[0] <= len(answer.split()) <= low_high[1]


def sentences(answer, low_high):
    found = [part for part in re.split(r"[.!?]+[\"'”]?(?:\s|$)", answer) if part.strip()]
    return low_high[0] <= len(found) <= low_high[1]


def lines(answer, low_high):
    return low_high[0] <= len([line for line in answer.splitlines() if line.strip()]) <= low_high[1]


def label(answer, names):
    """The first of the names is said and none of the others."""
    return says(answer, names[0]) and not any(says(answer, name) for name in names[1:])


def listed(answer):
    """The members of a list, one a line or with commas: "1. Red\\n2. Blue", "Red and blue" -> ["red", "blue"]"""
    found = [line for line in answer.splitlines() if line.strip() and not line.rstrip().endswith(":")]
    if len(found) == 1:
        found = re.split(r",|;|\band\b|&", found[0].rpartition(":")[2])
    return [name for name in (re.sub(r"^(\d+|an?|the) ", "", normal(part)) for part in found) if name]


def items(answer, n):
    return len(listed(answer)) == len(set(listed(answer))) == n


def among(answer, known):
    """Every member is a known one, alone ("apple", "apples")."""
    return all({name, name.removesuffix("s"), name.removesuffix("es")} & set(known) for name in listed(answer))


def code_of(answer):
    """Without the fence: "```python\\n...\\n```" -> "...\""""
    fenced = re.search(r"```\w*\n(.*?)(?:```|$)", answer, re.S)
    return fenced.group(1) if fenced else answer


def python(answer, test):
    """Run what was written, then the test."""
    code = code_of(answer)
    if re.search(r"import|open|exec|eval|input|__|while", code):
        return False
    try:
        command = [sys.executable, "-I", "-c", f"{code}\n{test}"]
        return subprocess.run(command, capture_output=True, timeout=5, check=False).returncode == 0
    except (subprocess.TimeoutExpired, ValueError):
        return False


BOOKS = [("Old Roads", 1987, 12.0), ("Green Tea", 2004, 8.5), ("The Well", 2000, 20.0), ("Nine Keys", 2015, 15.0)]


def sql(answer, wanted):
    """The query finds the same rows of a small table as the wanted one."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE books (title TEXT, year INTEGER, price REAL)")
    database.executemany("INSERT INTO books VALUES (?, ?, ?)", BOOKS)
    expected = database.execute(wanted).fetchall()
    try:
        return database.execute(code_of(answer).strip().rstrip(";")).fetchall() == expected
    except (sqlite3.Error, sqlite3.Warning):
        return False


KINDS = (has, lacks, exact, letters, starts, number, starts_number, words, sentences, lines, label, items, among, python,
         sql)
CONDITIONS = {condition.__name__: condition for condition in KINDS}


def right(check, answer):
    """{"has": [...], ...}, an answer -> do all conditions hold? An empty answer is never right."""
    answer = answer.strip()
    return bool(answer) and all(CONDITIONS[name](answer, wanted) for name, wanted in check.items())
