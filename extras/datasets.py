"""Read your own pairs: files in the usual formats, alone or mixed.

A file of pairs is JSON Lines or one JSON array. These rows are read, and with them the fields
`system`, `task` (or `category`) and `check`:

    {"instruction": ..., "input": ..., "output": ...}          Alpaca; `input` is optional
    {"instruction": ..., "context": ..., "response": ...}      Dolly
    {"prompt": ..., "completion": ...}
    {"inputs": ..., "targets": ...}                            FLAN
    {"messages": [{"role": ..., "content": ...}, ...]}
    {"conversations": [{"from": ..., "value": ...}, ...]}      ShareGPT

Nothing is ignored silently. A row that can't be used is dropped and counted, with its reason and
its source (file:line, in an array file:element). A field that isn't read is noted.
"""

import gzip
import json
import random
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from common.audit import prompt_key
from common.checks import validate
from common.cli import UserError
from common.flags import split_name
from data import Row, Turn

FORMATS = {  # the fields of the question, its input and the answer; or the field of the messages
    "alpaca": ("instruction", "input", "output"),
    "dolly": ("instruction", "context", "response"),
    "completion": ("prompt", None, "completion"),
    "flan": ("inputs", None, "targets"),
    "messages": ("messages",),
    "sharegpt": ("conversations",),
}
ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "developer": "system"}
# Fields that can say "don't train on this answer", and the values that say no and yes.
TRAIN_FIELDS = {"weight", "loss_weight", "loss_mask", "trainable", "train", "label", "kto_tag"}
NO = ("0", "0.0", "false", "no")
YES = ("1", "1.0", "true", "yes", "none")
# Texts that only say that there is none, such as "<No input>".
NO_INPUT = re.compile(r"\W*(no[\W_]?input\w?([\W_]?(required|needed))?|n\W?a|none)\W*", re.I)
NO_OUTPUT = re.compile(r"\W*no[\W_]?output([\W_]?required)?\W*", re.I)

# Bad bytes are decoded to lone surrogates. A NUL appears where UTF-16 is read as UTF-8.
NOT_UTF8 = re.compile("[\udc80-\udcff\0]")
MAX_HELD_OUT = 200  # prompts


class RowError(Exception):
    """The reason why a row can't be used. `line` is the line of the fault, counted from 1."""

    def __init__(self, reason: str, line: int = 1):
        super().__init__(reason)
        self.line = line


# ---- Files of JSON -------------------------------------------------------------------------------


def read_lines(path: str | Path, max_chars: int = -1) -> Iterator[str]:
    """Read a text file of any size, .gz or not. Yields its lines, longer ones in pieces."""
    opener = gzip.open if str(path).endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="surrogateescape") as file:
            while line := file.readline(max_chars):
                yield line
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"{path}: cannot be read: {reason}. Give the path of a text file."
        raise UserError(message) from None


def unique_fields(fields: list[tuple]) -> dict | RowError:
    """Make a JSON object of its fields. If one is given twice, we can't know which counts."""
    row = dict(fields)
    return row if len(row) == len(fields) else RowError("a field that is given twice")


def parse(text: str) -> object:
    """Parse JSON. Returns a RowError if that fails, so that the next row can be read."""
    if bad := NOT_UTF8.search(text):
        return RowError("not UTF-8", text.count("\n", 0, bad.start()) + 1)
    try:
        return json.loads(text, object_pairs_hook=unique_fields)
    except (ValueError, RecursionError) as error:
        return RowError("not JSON", getattr(error, "lineno", 1))


def read_json(path: str | Path) -> Iterator[tuple[int, object]]:
    """Read JSON Lines or one array. Yields (number of the line or element, value or RowError)."""
    lines = list(read_lines(path))
    text = "".join(lines)
    if not text.strip():
        raise UserError(f"{path}: the file is empty. It should contain pairs.")
    if not text.lstrip().startswith("["):
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, parse(line)
        return

    # a fault in an array is the end of it
    array = parse(text)
    if isinstance(array, RowError):
        raise UserError(f"{path}:{array.line}: {array}. Correct it, or use JSON Lines.")
    yield from enumerate(array, 1)


# ---- Rows ----------------------------------------------------------------------------------------


def read_text(value: object) -> str:
    """Read a text. Half an emoji, which JSON can contain, becomes U+FFFD."""
    if not isinstance(value, str):
        raise RowError("a field that is not text")
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_optional(fields: dict, *names: str | None) -> str:
    """Read the first of these fields that isn't null, or ""."""
    return read_text(next((fields[name] for name in names if fields.get(name) is not None), ""))


def check_trainable(fields: dict) -> None:
    """Raise RowError if a field says that this answer must not be trained on."""
    for name in sorted(TRAIN_FIELDS & fields.keys()):
        if str(fields[name]).lower() in NO:
            raise RowError(f"not to be trained on: {name!r} is {fields[name]!r}")


def unread_fields(fields: dict, known: set) -> list[str]:
    """Note the fields that aren't read, whatever their values. A yes to training is no news."""
    names = fields.keys() - known
    agreed = {name for name in TRAIN_FIELDS & names if str(fields[name]).lower() in YES}
    return [f"has a field {name!r:.40} that is not read" for name in sorted(names - agreed)]


def read_pair(row: dict, question: str, context: str | None, answer: str) -> tuple[Turn, list[str]]:
    """Read a question with its answer. Returns a turn and notes."""
    text, notes = read_optional(row, context), []
    if NO_INPUT.fullmatch(text):
        text, notes = "", ["had a placeholder for an input, taken as none"]
    text = text if text.strip() else ""
    return Turn(read_text(row[question]), text, read_text(row[answer])), notes


def read_message(message: object) -> tuple[str, str, list[str]]:
    """Read a message. Returns its role, its text and notes."""
    if not isinstance(message, dict):
        raise RowError("a message that is not an object")
    role = read_optional(message, "role", "from")
    role = ROLES.get(role, role)
    known = {"role", "from", "content", "value"}
    if role == "assistant":
        check_trainable(message)
    elif role in ("system", "user"):
        known |= TRAIN_FIELDS  # only answers are trained on
    else:
        raise RowError(f"unknown role {role!r:.40}")
    return role, read_optional(message, "content", "value"), unread_fields(message, known)


def read_chat(messages: object) -> tuple[str, list[Turn], list[str]]:
    """Read a list of messages. Returns the system text, the turns and notes."""
    if not isinstance(messages, list):
        raise RowError("messages that are not a list")
    system, turns, question, notes = [], [], [], []
    for role, text, message_notes in map(read_message, messages):
        notes += message_notes
        if role == "assistant":
            if not question and not turns:
                question, system = system, []  # the system text is all there is
            if not question:
                raise RowError("an answer without a question")
            turns.append(Turn("\n\n".join(question), "", text))
            question = []
        elif role == "system" and not turns and not question:
            system.append(text)
        else:
            question.append(text)
            if role == "system":
                notes.append("has a later system message, read as part of a question")
    if not turns:
        raise RowError("no answer in it")
    if question:
        notes.append("ends with a message that has no answer and is not read")
    return "\n\n".join(system), turns, notes


def read_row(row: object, source: str = "", label: str = "") -> Row:
    """Read a parsed JSON value, or raise RowError. `label` goes before the name of its task."""
    # find its format
    if isinstance(row, RowError):
        raise row
    if not isinstance(row, dict):
        raise RowError("not an object with fields")
    formats = [name for name, names in FORMATS.items() if names[0] in row and names[-1] in row]
    if not formats:
        raise RowError("missing fields: instruction and output (or those of another known format)")
    if row.get("history"):
        raise RowError("has a history, which is not read")
    check_trainable(row)

    # read its texts
    names = FORMATS[formats[0]]
    system = read_optional(row, "system")
    if len(names) == 1:
        chat_system, turns, notes = read_chat(row[names[0]])
        system = "\n\n".join(filter(None, [system, chat_system]))
    else:
        turn, notes = read_pair(row, *names)
        turns = [turn]
    for turn in turns:
        if not (turn.instruction + turn.input).strip():
            raise RowError("empty instruction")
        if not turn.output.strip():
            raise RowError("empty answer")
        if NO_OUTPUT.fullmatch(turn.output):
            raise RowError("a placeholder for an answer")

    # read what else it says; each note counts once
    task_field = "task" if "task" in row else "category"
    own_task = read_text(str(row.get(task_field) or ""))
    task = ": ".join(filter(None, [label, own_task]))
    check = row["check"] if isinstance(row.get("check"), dict) else None
    if check is not None:
        validate(check, source)
    known = {*names, "system", task_field} | ({"check"} if check is not None else set())
    notes = tuple(dict.fromkeys(notes + unread_fields(row, known)))
    return Row(tuple(turns), task, source, system, formats[0], notes, check)


def load_rows(path: str | Path, label: str = "") -> tuple[list[Row], dict[str, list[str]]]:
    """Read a file of pairs. Returns its rows, and {reason: sources} of the rows it drops."""
    rows, dropped = [], defaultdict(list)
    for number, value in read_json(path):
        source = f"{path}:{number}"
        try:
            rows.append(read_row(value, source, label))
        except RowError as reason:
            dropped[str(reason)].append(source)
    if not rows:
        reason, sources = next(iter(dropped.items()), ("there is none in it", [path]))
        message = f"{sources[0]}: no row is left: {reason}."
        raise UserError(f"{message} A row needs an instruction and an output.")
    return rows, dict(dropped)


# ---- Mixtures of files ---------------------------------------------------------------------------


def mix(files: list[tuple[list[Row], float, int]], seed: int) -> list[Row]:
    """Mix files of (rows, weight, cap). A weight of 0.3 takes three of ten rows, 2 takes all rows
    twice. No task gives more than `cap` rows, so that a big one can't drown the others (as in
    FLAN, Wei et al. 2021)."""
    rng = random.Random(seed)
    mixed = []
    for rows, weight, cap in files:
        # as many rows as the weight says
        whole, fraction = divmod(weight, 1)
        chosen = rows * int(whole) + rng.sample(rows, round(fraction * len(rows)))
        if not cap:
            mixed += chosen
            continue

        # in random order, until their tasks are full
        counts = Counter()
        for row in rng.sample(chosen, len(chosen)):
            if counts[row.task] < cap:
                mixed.append(row)
                counts[row.task] += 1
    return mixed


def load_mixture(names: list[str], seed: int) -> tuple[list[Row], dict, dict]:
    """Read what --data names. Returns the rows to tune on, {reason: sources} of the rows that were
    dropped, and {split: held-out rows}.

    A folder of the built-in world has its own held-out splits. Of files we hold out some prompts.
    Rows with the same prompt stay together, so that none is on both sides."""
    # read all files
    files, dropped, splits = [], defaultdict(list), {}
    for path, weight, cap in map(split_name, names):
        label = path  # so that tasks of different files never share a name
        if Path(path).is_dir():
            held_out_files = sorted(Path(path).glob("un*.jsonl"))
            splits |= {file.stem: load_rows(file)[0] for file in held_out_files}
            label = "" if held_out_files else path  # the world's tasks keep their names
            path = f"{path}/pairs.jsonl"
        rows, dropped_here = load_rows(path, label)
        files.append((rows, weight, cap))
        for reason, sources in dropped_here.items():
            dropped[reason] += sources

    # hold out a tenth of the prompts; a file that is given twice must not be asked twice
    if not splits:
        all_rows = [row for rows, _, _ in files for row in rows]
        keys = sorted({prompt_key(row) for row in all_rows})
        n = min(MAX_HELD_OUT, len(keys) // 10)
        keys = set(random.Random(seed).sample(keys, n))
        held_out_rows = {row.turns: row for row in all_rows if prompt_key(row) in keys}
        splits = {"unseen_inputs": list(held_out_rows.values())} if keys else {}
        kept = []
        for rows, *rest in files:
            kept.append(([row for row in rows if prompt_key(row) not in keys], *rest))
        files = kept

    # mix
    mixed = mix(files, seed)
    if not mixed:
        raise UserError(f"--data {' '.join(names)}: no row is left. Choose a larger weight.")
    return mixed, dict(dropped), splits
