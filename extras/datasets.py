"""Other people's data: what it adds is files of pairs in the usual formats, other prompt templates, mixing, big texts.

You can skip this: the built-in world needs none of it. A row is JSON with `instruction`, `output` and perhaps `input`;
the other formats below are recognised row by row. A row that cannot be used is counted with its reason and its place
(file:line; in a JSON array file:number of the element) and left out.
"""

import gzip
import hashlib
import json
import os
import random
import re
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from data import ALPACA, Row, Template, Turn, UserError
from extras.audit import prompt_key

# As published. What those models have as single control tokens (<|im_start|>, <s>) is ordinary text here, except for
# the one that ends an answer (<|im_end|>, </s>, <|eot_id|>): that is the tokenizer's eos.
BELOW = "Below is an instruction that describes a task"
WRITE = "Write a response that appropriately completes the request.\n\n"
PAIRED = f"{BELOW}, paired with an input that provides further context. {WRITE}"
START, END = "<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"
TEMPLATES = {  # instruction, input, response
    "alpaca": ALPACA,
    "alpaca_preamble": Template(ALPACA.instruction, ALPACA.input, ALPACA.response, f"{BELOW}. {WRITE}", PAIRED),
    "plain": Template("Question: {}\n", "Text: {}\n", "Answer: "),
    "chatml": Template("<|im_start|>user\n{}", "\n\n{}", "<|im_end|>\n<|im_start|>assistant\n",
                       system="<|im_start|>system\n{}<|im_end|>\n", between="\n"),
    "llama2": Template("{}", "\n\n{}", " [/INST] ", preamble="<s>[INST] ", between="<s>[INST] ",
                       system="<<SYS>>\n{}\n<</SYS>>\n\n"),
    "llama3": Template(START.format("user") + "{}", "\n\n{}", END + START.format("assistant"), between="",
                       preamble="<|begin_of_text|>", system=START.format("system") + "{}" + END),
    "mistral": Template("{}", "\n\n{}", " [/INST] ", preamble="<s>[INST] ", between="[INST] "),
    "zephyr": Template("<|user|>\n{}", "\n\n{}", "</s>\n<|assistant|>\n", system="<|system|>\n{}</s>\n", between="\n"),
    "tulu": Template("<|user|>\n{}", "\n\n{}", "\n<|assistant|>\n", system="<|system|>\n{}\n", between="\n"),
}

# ----------------------------------------------------------------------------------------------------------------
# Formats of rows. A reader is a function: row -> [(system, [(instruction, input, output), ...]), ...]


class BadRow(Exception):
    """One row that cannot be used; the message is the reason."""


def pair_reader(instruction, input, output):
    """For rows of one question and its answer."""
    return lambda row: [("", [(row[instruction], "" if row.get(input) is None else row[input], row[output])])]


def chat_reader(key, role, text, user, assistant):
    """For rows that hold a list of messages. A leading system message becomes Row.system; with no user message after
    it, it is taken as the instruction."""

    def read(row):
        system, question, turns = [], [], []
        for message in row[key]:
            if message[role] in assistant:
                question, system = (question, system) if question else (system, [])
                turns.append(("\n\n".join(question), "", message[text]))
                question = []
            elif message[role] == "system" and not turns and not question:
                system.append(message[text])
            elif message[role] in (*user, "system"):
                question.append(message[text])
            else:
                raise BadRow(f"unknown role {message[role]!r}")
        return [("\n\n".join(system), turns)]

    return read


def instances_reader(definition, instances):
    """For rows that hold one instruction and many instances of it. A list of texts stands for its first."""

    def first(text):
        return text[0] if isinstance(text, list) and text else text

    return lambda row: [("", [(first(row[definition]), i["input"], first(i["output"]))]) for i in row[instances]]


HUMAN = ["human", "user"]
FORMATS = {  # name: (fields that a row must have, its reader). The first that fits is taken.
    "alpaca": (("instruction", "output"), pair_reader("instruction", "input", "output")),  # and this project's own
    "dolly": (("instruction", "response"), pair_reader("instruction", "context", "response")),
    "flan": (("inputs", "targets"), pair_reader("inputs", "", "targets")),
    "messages": (("messages",), chat_reader("messages", "role", "content", ["user"], ["assistant"])),
    "sharegpt": (("conversations",), chat_reader("conversations", "from", "value", HUMAN, ["gpt", "assistant"])),
    "natural_instructions": (("Definition", "Instances"), instances_reader("Definition", "Instances")),
    "self_instruct": (("instruction", "instances"), instances_reader("instruction", "instances")),
}
NO_INPUT = {"noinput", "noinputs", "noinpute", "noinputrequired", "noinputneeded", "na", "none"}
NO_OUTPUT = {"nooutput", "nooutputrequired"}


def read_conversations(row):
    """A parsed JSON row -> (name of its format, [(system, turns, had a placeholder), ...]), or BadRow."""
    if isinstance(row, list):  # a bare list of messages
        row = {"messages": row}
    if not isinstance(row, dict):
        raise BadRow("not an object with fields")
    name = next((name for name in FORMATS if all(field in row for field in FORMATS[name][0])), None)
    if name is None:
        raise BadRow("missing fields: instruction and output (or those of another known format)")
    try:
        conversations = FORMATS[name][1](row)
    except (AttributeError, KeyError, TypeError):
        raise BadRow("a turn without its role or text") from None
    return name, [check_turns(system, turns) for system, turns in conversations]


def check_turns(system, turns):
    """Every part is text and says something -> (system, turns, had a placeholder), or BadRow."""

    def means(text, placeholders):  # "<No input>" -> "noinput"
        return len(text) < 40 and re.sub(r"[\W_]+", "", text).lower() in placeholders

    if not turns:
        raise BadRow("no answer in it")
    placeholder, checked = False, []
    for instruction, input, output in turns:
        if not all(isinstance(text, str) for text in (instruction, input, output)):
            raise BadRow("a field that is not text")
        if means(input, NO_INPUT):
            input, placeholder = "", True
        if not (system + instruction + input).strip():
            raise BadRow("empty instruction")
        if not output.strip():
            raise BadRow("empty answer")
        if means(output, NO_OUTPUT):
            raise BadRow("a placeholder for an answer")
        checked.append(Turn(instruction, input, output))
    return system, tuple(checked), placeholder


# ----------------------------------------------------------------------------------------------------------------
# Files. Bytes that are not UTF-8 are decoded to lone surrogates ("surrogateescape"), so that only their row is lost.

NOT_UTF8 = re.compile("[\udc80-\udcff]")


def read_lines(path):
    """A text file of any size, .gz or not -> its lines, one by one (one longer than a million letters in pieces)."""
    opener = gzip.open if str(path).endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
            while line := file.readline(2**20):
                yield line
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read: {reason}. Give the path of a text file.") from None


def read_documents(path):
    """A UTF-8 text file of any size -> its documents, one by one; blank lines stand between them."""
    lines, size, number = [], 0, 1
    for line in read_lines(path):
        if NOT_UTF8.search(line):
            raise UserError(f"{path}:{number}: not UTF-8. Save the file as UTF-8 and try again.")
        number += line.endswith("\n")
        lines.append(line)
        size += len(line)
        if not line.strip() or size > 2**20:  # a document without an end is cut, so that memory stays small
            yield from filter(None, ["".join(lines).strip()])
            lines, size = [], 0
    yield from filter(None, ["".join(lines).strip()])


def parse_json(text):
    """What the JSON says, or a BadRow: a value like others, so that a bad line does not end the file."""
    try:
        return BadRow("not UTF-8") if NOT_UTF8.search(text) else json.loads(text)
    except (ValueError, RecursionError):
        return BadRow("not JSON")


def read_json(path):
    """JSON Lines, one JSON array, or one object -> [(number of the line or of the element, value or BadRow), ...]"""
    text = "".join(read_lines(path))
    if not text.strip():
        raise UserError(f"{path}: the file is empty. It should hold text.")
    first, _, rest = text.lstrip().partition("\n")
    try:
        whole = json.loads(text)
        elements = whole if isinstance(whole, list) else [whole]
        if NOT_UTF8.search(text):
            elements = [parse_json(json.dumps(element, ensure_ascii=False)) for element in elements]
        return list(enumerate(elements, 1))
    except RecursionError:
        pass
    except ValueError as error:
        lists = rest.lstrip().startswith("[") and not isinstance(parse_json(first), BadRow)  # one on every line
        if first.startswith("[") and not lists:
            number, what = getattr(error, "lineno", 1), getattr(error, "msg", "a number that is too long")
            raise UserError(f"{path}:{number}: not JSON: {what}. Correct it, or use JSON Lines.") from None
    return [(n, parse_json(line)) for n, line in enumerate(text.split("\n"), 1) if line.strip()]


def load_rows(path, strict=False):
    """A file of instruction pairs -> (rows, {reason: [where]}). With `strict` the first bad row is an error.

    A row's task is what it says of it, else the file's name. Where one row holds many instances, `where` has the
    instance's number."""
    rows, dropped = [], defaultdict(list)
    for number, value in read_json(path):
        where = f"{path}:{number}"
        try:
            if isinstance(value, BadRow):
                raise value
            name, conversations = read_conversations(value)
        except BadRow as reason:
            if strict:
                raise UserError(f"{where}: {reason}. Correct the row, or leave out --strict to skip it.") from None
            dropped[str(reason)].append(where)
            continue
        fields = value if isinstance(value, dict) else {}
        task = next((str(fields[key]) for key in ("task", "category", "task_name") if fields.get(key)), Path(path).stem)
        for i, (system, turns, placeholder) in enumerate(conversations, 1):
            rows.append(Row(turns, task, f"{path}:{i}" if len(conversations) > 1 else where, system, name, placeholder))
    if not rows:
        reason, places = next(iter(dropped.items()), ("there is none in it", [path]))
        raise UserError(f"{places[0]}: no row is left: {reason}. A row needs an instruction and an output.")
    return rows, dropped


# ----------------------------------------------------------------------------------------------------------------
# What train_sft.py takes: pairs of several files, and a corpus of any size.


def split_name(name):
    """ "pairs.jsonl:0.3:500" -> ("pairs.jsonl", weight 0.3, at most 500 rows of a task); both may be left out."""
    path, weight, cap = re.fullmatch(r"(.+?)(?::(\d*\.?\d+))?(?::(\d+))?", name).groups()
    return path, float(weight or 1), int(cap or 0)


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
        files.append(([(prompt_key(row), row) for row in rows], weight, cap))
        mixture[path] = {"rows": len(rows), "weight": weight}
        for reason, places in left_out.items():
            dropped[reason] += places
    prompts = sorted({key for rows, _, _ in files for key, _ in rows})
    held_out = set() if splits else set(random.Random(seed).sample(prompts, min(200, len(prompts) // 10)))
    test = [row for rows, _, _ in files for key, row in rows if key in held_out]
    mixed = mix([([row for key, row in rows if key not in held_out], *how) for rows, *how in files], seed)
    mixture["taken"] = dict(Counter(row.task for row in mixed).most_common(50))
    return mixed, dropped, splits or ({"unseen_inputs": test} if test else {}), mixture


def encode_corpus_to(path, tokenizer, documents):
    """Same as data.encode_corpus, but memory-mapped from a file on disk. (number of tokens,)"""
    kind = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
    if not Path(path).exists():
        with open(f"{path}.tmp", "wb") as file:
            for text in documents:
                file.write(np.array(tokenizer.encode(text) + [tokenizer.eos_id], kind).tobytes())
        Path(f"{path}.tmp").replace(path)
    return np.memmap(path, kind, "r")


def open_corpus(path, run, sample=20_000_000):
    """What train_sft.load_corpus gives, for a file: documents of so many letters, and a function that encodes all. The
    tokens are kept beside the checkpoints, and made again when the file or the tokenizer is another."""
    documents, size = [], 0
    for document in read_documents(path):
        documents.append(document)
        size += len(document)
        if size > sample:
            break
    if not size:
        raise UserError(f"{path}: the file is empty. It should hold text.")

    def encode_all(tokenizer):
        about = os.stat(path)
        key = repr((path, about.st_size, about.st_mtime_ns, tokenizer.state())).encode()
        tokens = run.out / f"corpus-{hashlib.sha256(key).hexdigest()[:12]}.tokens"
        if run.rank == 0:
            for old in set(run.out.glob("corpus-*.tokens")) - {tokens}:
                old.unlink()
            encode_corpus_to(tokens, tokenizer, read_documents(path))
        run.wait()
        return encode_corpus_to(tokens, tokenizer, ())

    return documents, encode_all
