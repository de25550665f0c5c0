"""Judge free answers by checks that are data, in the rows of a held-out .jsonl file.

A check names conditions, and an answer is right if all are true: {"has": ["Paris"]}.
The table CONDITIONS has an example of each. One that can't judge an answer gives None, which is
never right. Answers about the built-in world are compared letter by letter instead."""

import re

import world
from common.checks.code import find_mistake, python, sql
from common.checks.wording import (
    first_sentence,
    list_members,
    normal,
    plain,
    says,
    says_unknown,
    within,
)
from common.cli import UserError

RANGES = ("words", "sentences", "lines")  # at least and at most
SENTENCE_END = r"[.!?]+[\"'”)]*(?:\s|$)"
AFTER_A_NUMBER = "is as and so of because since in if when now altogether left".split()


def choose(answer: str, names: list) -> bool:
    """Require the first of the names and none of the others."""
    return says(answer, names[0]) and not any(says(answer, name) for name in names[1:])


def same(answer: str, texts: list) -> bool:
    """Compare the whole answer, or its part after a colon, with the right ones, without marks."""
    allowed = [normal(text) for text in texts]
    return normal(answer) in allowed or normal(answer.rpartition(":")[2]) in allowed


def number(answer: str, wanted: dict) -> bool:
    """Require the value after the last "=", beside no numbers but given ones, with a known unit."""
    tail = plain(answer).rpartition("=")[2]
    numbers = {float(digits) for digits in re.findall(r"(?<![\d.])\d+(?:\.\d+)?", tail)}
    if wanted["value"] not in numbers or numbers - {wanted["value"], *wanted.get("given", ())}:
        return False

    # "12 months" is no answer to "What is 7 + 5?".
    spot = re.search(rf"(?<![\d.]){wanted['value']:.15g}(?!\d)(?: more)? *([a-z]*)", tail)
    unit = spot[1] if spot else ""
    return "units" not in wanted or unit in ["", *AFTER_A_NUMBER, *wanted["units"]]


def yes_no(answer: str, wanted: str) -> bool | None:
    """Read yes or no at the beginning, or else a denial. None if a "but" may turn it round."""
    words = normal(first_sentence(answer)).split()
    if words[:1] in (["yes"], ["no"]):
        return words[0] == wanted
    if "but" in words:
        return None
    return wanted == ("no" if {"no", "not", "never"} & set(words) else "yes")


def words(answer: str, low_high: list) -> bool:
    """Count the words between spaces."""
    return low_high[0] <= len(answer.split()) <= low_high[1]


def sentences(answer: str, low_high: list) -> bool:
    """Count the sentences. A full stop within a number or an address ends none."""
    parts = [part for part in re.split(SENTENCE_END, answer) if part.strip()]
    return low_high[0] <= len(parts) <= low_high[1]


def lines(answer: str, low_high: list) -> bool:
    """Count the lines. A line that is repeated makes no poem."""
    texts = [normal(line) for line in answer.splitlines() if line.strip()]
    return low_high[0] <= len(texts) <= low_high[1] and len(set(texts)) == len(texts)


def list_of(answer: str, wanted: dict) -> bool | None:
    """Count different members. None if one is neither among the right ones nor the wrong ones."""
    names = list_members(answer)
    known = set(list_members("\n".join(wanted["of"])))
    wrong = set(list_members("\n".join(wanted.get("not", ()))))
    if len(names) != wanted["count"] or len(set(names)) != len(names) or wrong & set(names):
        return False
    return True if all({name, name.split()[-1]} & known for name in names) else None


CONDITIONS = {  # name: (function of the answer and the value, an example of the value)
    "has": (lambda answer, texts: all(says(answer, text) for text in texts), ["Paris|the city"]),
    "lacks": (lambda answer, texts: not any(says(answer, text) for text in texts), ["Lyon"]),
    "choose": (choose, ["right name", "wrong name"]),
    "same": (same, ["Is the shop closed?"]),
    "letters": (lambda answer, text: answer.strip().strip("\"'.") == text, "NO ENTRY"),
    "number": (number, {"value": 12, "given": [7, 5], "units": ["apples"]}),
    "within": (within, "the city built a new swimming pool"),
    "yes_no": (yes_no, "no"),
    "words": (words, [1, 20]),
    "sentences": (sentences, [2, 2]),
    "lines": (lines, [4, 4]),
    "list": (list_of, {"count": 3, "of": ["apple", "pear"], "not": ["carrot"]}),
    "python": (python, "assert double(4) == 8"),
    "sql": (sql, {"query": "SELECT * FROM books", "setup": "CREATE TABLE books (year);"}),
    "unknown": (lambda answer, wanted: says_unknown(answer) == wanted, True),
    "question": (lambda answer, allowed: allowed or not first_sentence(answer).endswith("?"), True),
}


def judge(check: dict | None, answer: str) -> bool | None:
    """Judge an answer. Returns True, False, or None where the check is empty or cannot tell.

    An answer that begins with a question is wrong, unless the check has "question": true.
    """
    if not check:
        return None
    if not answer.strip():
        return False
    check = {"question": False, **check}
    verdicts = [CONDITIONS[name][0](answer, value) for name, value in check.items()]
    return False if False in verdicts else None if None in verdicts else True


def fits(value: object, example: object) -> bool:
    """Tell whether a value has the form of the example. The first field of a dict is required."""
    if isinstance(example, dict) and isinstance(value, dict):
        known = value.keys() <= example.keys() and next(iter(example)) in value
        return known and all(fits(value[name], example[name]) for name in value)
    if isinstance(example, list) and isinstance(value, list):
        return all(fits(member, example[0]) for member in value)
    if isinstance(example, str) and isinstance(value, str):
        return normal(value) != ""  # it would be in every answer
    if type(example) is int:
        return type(value) in (int, float)
    return type(value) is type(example)


def validate(check: dict, where: str) -> None:
    """Raise a UserError if a check cannot be read. `where` is its place, as "heldout.jsonl:3"."""
    if not isinstance(check, dict):
        raise UserError(f"{where}: write a check like {{\"has\": [\"Paris\"]}}, not {check!r:.40}.")
    for name, value in check.items():
        if name == "world" and value in world.TASKS:  # see common/table.py
            continue
        if name not in CONDITIONS:
            raise UserError(f"{where}: no check {name!r:.40}. Use one of: {', '.join(CONDITIONS)}.")
        example = CONDITIONS[name][1]
        if value == [] or not fits(value, example) or (name in RANGES and len(value) != 2):
            raise UserError(f"{where}: check {name!r}: write {example!r}, not {value!r:.60}.")
        mistake = find_mistake(name, value)
        if mistake:
            raise UserError(f"{where}: check {name!r} cannot be run: {mistake}. Correct it.")
