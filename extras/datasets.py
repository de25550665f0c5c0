"""Other people's data: what it adds is files of pairs in the usual formats, other prompt templates, mixing, big texts.

You can skip this: the built-in world needs none of it. A row is JSON with `instruction`, `output` and perhaps `input`;
the other formats below are recognised row by row. A row that cannot be used is left out and counted, with its reason
and its place: file:line, in a JSON array file:number of the element, with .i for the i-th of many in one row.
"""

import gzip
import json
import random
import re
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from common.cli import UserError
from data import Row, Turn
from common.checkpoint import atomic_write as write_whole

# ----------------------------------------------------------------------------------------------------------------
# Rows. In whatever format, a row is read as messages, (role, text), and these as turns.


class BadRow(Exception):
    """One row that cannot be used; the message is the reason."""


FORMATS = {  # name: the fields with the question, its input, the answer. The first is taken whose fields are all there.
    "alpaca": ("instruction", "input", "output"), "dolly": ("instruction", "context", "response"),
    "flan": ("inputs", "", "targets"), "completion": ("prompt", "", "completion"),
    "preference": ("prompt", "", "chosen"), "alpaca preference": ("instruction", "input", "chosen"),
    "messages preference": ("messages", "", "chosen"), "sharegpt preference": ("conversations", "", "chosen"),
    "messages": ("messages", "", ""), "sharegpt": ("conversations", "", ""), "chosen conversation": ("chosen", "", ""),
    "input and output": ("input", "", "output"),
}
INSTANCES = (("Definition", "Instances"), ("instruction", "instances"))  # Natural Instructions, self-instruct
ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "developer": "system"}  # the others as they are
TASK = ("task", "category", "task_name")
READ = {*TASK, "system", "history", "label", "kto_tag"}, {"role", "from", "content", "value", "weight", "loss_weight"}
NO_INPUT = {"noinput", "noinputs", "noinpute", "noinputrequired", "noinputneeded", "na", "none"}
NO_OUTPUT = {"nooutput", "nooutputrequired"}
LONGEST = 2**22, 2**26  # letters of a row; of a line, or of a file that is one array


def is_message(value):
    return isinstance(value, dict) and ("role" in value or "from" in value)


def first(text):
    return text[0] if isinstance(text, list) and text else text


def expand(value):
    """A list of rows -> these rows; one instruction with many instances -> a row for each, with the first of its
    answers; any other row -> [row]"""
    if isinstance(value, list) and value and all(isinstance(row, dict) and not is_message(row) for row in value):
        return value
    for definition, instances in INSTANCES if isinstance(value, dict) else ():
        if definition in value and instances in value:
            rest = {key: value[key] for key in value if key not in (definition, instances)}
            rest["instruction"], some = first(value[definition]), value[instances]
            some = some if isinstance(some, list) and some else [None]
            return [rest | i | one_answer(i.get("output")) if isinstance(i, dict) else i for i in some]
    return [value]


def one_answer(output):
    return {"output": first(output), "other outputs": output[1:] if isinstance(output, list) else []}


def text_of(content):
    """A text, or a list of its parts -> text. Half an emoji, which JSON can hold, becomes U+FFFD."""
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        content = "".join(text_of(part.get("text", part.get("value"))) for part in content)
    if not isinstance(content, str):
        raise BadRow("a field that is not text")
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def messages_of(value, role):
    """What a field holds, a text of that role or messages -> [(role, text), ...]"""
    if not is_message(value) and not (isinstance(value, list) and any(map(is_message, value))):
        return [(role, text_of(value))]
    messages = []
    for message in [value] if isinstance(value, dict) else value:
        role = message.get("role", message.get("from"))
        role = ROLES.get(role, role)
        if role not in ("system", "user", "assistant"):
            raise BadRow(f"unknown role {role!r:.40}")
        if role == "assistant" and message.get("weight", message.get("loss_weight", 1)) == 0:
            role = "unlearned"
        messages.append((role, text_of(message.get("content", message.get("value")))))
    return messages


def turns_of(messages):
    """[(role, text), ...] -> (system, [Turn, ...], a note on what is not read). A leading system message is the system
    text; with no user message after it, it is the instruction. Before an answer of weight 0 a conversation is cut: no
    template has a way to show an answer that is not supervised."""
    system, question, turns = [], [], []
    for role, text in messages:
        if role == "unlearned" and not turns:
            raise BadRow("an answer of weight 0")
        if role == "unlearned":
            return "\n\n".join(system), turns, "go on with an answer of weight 0, from which on nothing is read"
        if role == "assistant":
            if turns and not question:
                raise BadRow("two answers in a row")
            question, system = (question, system) if question else (system, [])
            turns.append(Turn("\n\n".join(question), "", text))
            question = []
        elif role == "system" and not turns and not question:
            system.append(text)
        else:
            question.append(text)
    return "\n\n".join(system), turns, "end with a message that has no answer and is not read" if question else ""


def means(text, placeholders):
    """"<No input>" means "noinput"."""
    return len(text) < 40 and re.sub(r"[\W_]+", "", text).lower() in placeholders


def read_row(row, where, task):
    """A parsed JSON row -> Row, or BadRow. Its notes say what of it is not read."""
    row = {"messages": row} if isinstance(row, list) else row
    if not isinstance(row, dict):
        raise row if isinstance(row, BadRow) else BadRow("not an object with fields")
    name = next((name for name, (q, _, a) in FORMATS.items() if q in row and (not a or a in row)), None)
    if name is None:
        raise BadRow("missing fields: instruction and output (or those of another known format)")
    if row.get("label") is False or row.get("kto_tag") is False:
        raise BadRow("an answer labelled as bad")
    question, input, answer = FORMATS[name]
    try:
        start = messages_of(row["system"], "system") if row.get("system") else []
        for asked, said in row.get("history") or ():
            start += [("user", text_of(asked)), ("assistant", text_of(said))]
        asked, said = messages_of(row[question], "user"), messages_of(row[answer], "assistant") if answer else []
        said = said if said[: len(asked)] == asked else asked + said  # some repeat the prompt with the answer
        system, turns, rest = turns_of(start + said)
        input = "" if row.get(input) is None else text_of(row[input])
    except (AttributeError, TypeError, ValueError):
        raise BadRow("a turn without its role or text") from None
    if not turns:
        raise BadRow("no answer in it")
    placeholder = means(input, NO_INPUT)
    turns[-1] = turns[-1]._replace(input="" if placeholder or not input.strip() else input)
    for turn in turns:
        if not (system + turn.instruction + turn.input).strip():
            raise BadRow("empty instruction")
        if not turn.output.strip() or means(turn.output, NO_OUTPUT):
            raise BadRow("a placeholder for an answer" if turn.output.strip() else "empty answer")
    if sum(map(len, sum(turns, (system,)))) > LONGEST[0]:
        raise BadRow(f"longer than {LONGEST[0]:,} letters")
    messages = [message for field in row.values() if isinstance(field, list) for message in filter(is_message, field)]
    unread = {key for part in messages for key in part if part[key]} - READ[1]
    unread |= {key for key in row if row[key]} - READ[0] - {*FORMATS[name]}
    notes = [f"have a field {key!r} that is not read" for key in sorted(unread)]
    notes += ["had a placeholder for an input, taken as none"] * placeholder
    notes += [rest] if rest else []
    notes += ["say an answer twice in one conversation"] * (len({turn.output for turn in turns}) < len(turns))
    task = next((text_of(str(row[key]))[:99] for key in TASK if row.get(key)), task)
    return Row(tuple(turns), task, where, system, name, tuple(notes))


# ----------------------------------------------------------------------------------------------------------------
# Files. Bytes that are not UTF-8 are decoded to lone surrogates ("surrogateescape"), so that only their row is lost.

NOT_UTF8 = re.compile("[\udc80-\udcff]")


def read_lines(path, longest=2**20):
    """A text file of any size, .gz or not -> its lines, one by one, longer ones in pieces."""
    opener = gzip.open if str(path).endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="surrogateescape") as file:
            while line := file.readline(longest):
                yield line
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read: {reason}. Give the path of a text file.") from None


def read_documents(path):
    """A UTF-8 text file of any size -> its documents, one by one; blank lines stand between them."""
    lines, size = [], 0
    for number, line in enumerate(read_lines(path), 1):
        if NOT_UTF8.search(line):
            raise UserError(f"{path}:{number}: not UTF-8. Save the file as UTF-8 and try again.")
        lines.append(line)
        size += len(line)
        if not line.strip() or size > 2**20:  # a document without an end is cut, so that memory stays small
            yield from filter(None, ["".join(lines).strip()])
            lines, size = [], 0
    yield from filter(None, ["".join(lines).strip()])


def keep_last(pairs):
    """The fields of an object; where one is given twice, its note says so (the last counts, as usual in JSON)."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else found | {"an earlier one of the same name": True}


def parse_json(text):
    """What the JSON says, or a BadRow: a value like others, so that a bad line does not end the file."""
    try:
        if NOT_UTF8.search(text):
            return BadRow("not UTF-8")
        return json.loads(text.lstrip("\ufeff"), object_pairs_hook=keep_last)
    except (ValueError, RecursionError):
        return BadRow("not JSON")


def read_json(path):
    """JSON Lines, or JSON values over many lines, or an array of them -> (number of line or value, value or BadRow), one
    by one. The file is JSON Lines if its first line is a value and not all there is."""
    lines, size = [], 0
    for line in read_lines(path, LONGEST[1]):
        lines.append(line)
        size += len(line)
        if len(line) == LONGEST[1] or (size > LONGEST[1] and lines[0].lstrip().startswith("[")):
            raise UserError(f"{path}:{len(lines)}: longer than {LONGEST[1]:,} letters. Use JSON Lines of shorter rows.")
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not filled:
        raise UserError(f"{path}: the file is empty. It should hold text.")
    first = filled[0][1]
    if size <= LONGEST[1] and (len(filled) == 1 or isinstance(parse_json(first), BadRow)):
        try:
            return enumerate(parse_values("".join(lines)), 1)
        except (ValueError, RecursionError) as error:
            if first.lstrip().startswith("["):
                number, what = getattr(error, "lineno", 1), getattr(error, "msg", "a number that is too long")
                raise UserError(f"{path}:{number}: not JSON: {what}. Correct it, or use JSON Lines.") from None
    return ((number, parse_json(line)) for number, line in filled)


def parse_values(text):
    """JSON values one after another, or the elements of the one array that there is, if it is no conversation."""
    values, at, space, decoder = [], 0, re.compile(r"\s*"), json.JSONDecoder(object_pairs_hook=keep_last)
    while (at := space.match(text, at).end()) < len(text):
        value, at = decoder.raw_decode(text, at)
        values.append(value)
    alone = len(values) == 1 and isinstance(values[0], list) and not any(map(is_message, values[0]))
    values = values[0] if alone else values
    return [parse_json(json.dumps(value, ensure_ascii=False)) for value in values] if NOT_UTF8.search(text) else values


def load_rows(path, strict=False):
    """A file of instruction pairs -> (rows, {reason: [where]}). With `strict` the first bad row is an error.

    A row's task is what it says of it, else the file's name."""
    rows, dropped = [], defaultdict(list)
    for number, value in read_json(path):
        some = expand(value)
        for i, row in enumerate(some, 1):
            where = f"{path}:{number}" + (f".{i}" if len(some) > 1 else "")
            try:
                rows.append(read_row(row, where, Path(path).stem))
            except BadRow as reason:
                if strict:
                    raise UserError(f"{where}: {reason}. Correct the row, or leave out --strict to skip it.") from None
                dropped[str(reason)].append(where)
    if not rows:
        reason, places = next(iter(dropped.items()), ("there is none in it", [path]))
        raise UserError(f"{places[0]}: no row is left: {reason}. A row needs an instruction and an output.")
    return rows, dropped


# ----------------------------------------------------------------------------------------------------------------
# What train_sft.py takes: pairs of several files, and a corpus of any size.


def split_name(name):
    """ "pairs.jsonl:0.3:500" -> ("pairs.jsonl", weight 0.3, at most 500 rows of a task); both may be left out."""
    number = r"(?::([+-]?(?:nan|inf|\.?\d[\d.]*(?:e[+-]?\d+)?)))?"
    path, weight, cap = re.fullmatch(f"(.*?){number}{number}", name, re.I | re.S).groups()
    try:
        weight, cap = float(weight or 1), int(cap or 0)
        assert 0 < weight <= 100 and cap >= 0
    except (AssertionError, ValueError):
        raise UserError(f"--data {name}: choose a weight from 0.001 to 100 and a whole number as the cap.") from None
    return path, weight, cap


def mix(files, seed):
    """[(rows, weight, cap), ...] -> one list. A weight of 0.3 takes three of ten rows, 2 takes all of them twice. No
    task gives more than `cap` rows (0: all), so that a big one does not drown the others (Wei et al. 2021, FLAN)."""
    rng, mixed = random.Random(seed), []
    for rows, weight, cap in files:
        whole, part = divmod(weight, 1)
        chosen, taken = rows * int(whole) + rng.sample(rows, round(part * len(rows))), Counter()
        for row in rng.sample(chosen, len(chosen)) if cap else chosen:
            if not cap or taken[row.task] < cap:
                mixed.append(row)
                taken[row.task] += 1
    return mixed


def load_mixture(names, seed):
    """What --data names -> (rows to tune on, {reason: [where]}, {split: held-out rows}, what was mixed).

    A folder that world.py wrote brings its own held-out splits. Of files a tenth of the prompts, at most 200, is held
    out: by prompt and not by row, so that no prompt is on both sides."""
    files, dropped, splits, mixture = [], defaultdict(list), {}, {}
    for path, weight, cap in map(split_name, names):
        if Path(path).is_dir():
            splits |= {file.stem: load_rows(file)[0] for file in sorted(Path(path).glob("unseen_*.jsonl"))}
            path = f"{path}/pairs.jsonl"
        rows, left_out = load_rows(path)
        files.append((rows, weight, cap))
        mixture[path] = {"rows": len(rows), "weight": weight}
        for reason, places in left_out.items():
            dropped[reason] += places
    prompts = sorted({row.key for rows, _, _ in files for row in rows})
    held_out = set() if splits else set(random.Random(seed).sample(prompts, min(200, len(prompts) // 10)))
    test = [row for rows, _, _ in files for row in rows if row.key in held_out]
    mixed = mix([([row for row in rows if row.key not in held_out], *how) for rows, *how in files], seed)
    if not mixed:
        raise UserError(f"--data {' '.join(names)}: no row is left at this weight. Choose a larger one.")
    mixture["taken"] = dict(Counter(row.task for row in mixed).most_common(50))
    return mixed, dropped, splits or ({"unseen_inputs": test} if test else {}), mixture


def encode_corpus_to(path, tokenizer, documents):
    """Same as data.encode_corpus, but memory-mapped from a file on disk. (number of tokens,)"""
    kind = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
    if not Path(path).exists():
        tokens = (np.array(tokenizer.encode(text) + [tokenizer.eos_id], kind) for text in documents)
        write_whole(path, lambda file: file.writelines(tokens))
    return np.memmap(path, kind, "r")


def open_corpus(path, run, sample=20_000_000):
    """What train_sft.load_corpus gives, for a file: documents of so many letters, and a function that encodes all. The
    tokens are kept beside the checkpoints."""
    documents, size = [], 0
    for document in read_documents(path):
        documents.append(document)
        size += len(document)
        if size > sample:
            break
    if not size:
        raise UserError(f"{path}: the file is empty. It should hold text.")

    def encode_all(tokenizer):
        tokens = run.out / "corpus.tokens"
        if run.rank == 0:
            tokens.unlink(missing_ok=True)
            encode_corpus_to(tokens, tokenizer, read_documents(path))
        run.wait()
        return encode_corpus_to(tokens, tokenizer, ())

    return documents, encode_all
