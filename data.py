"""Text -> tokens -> masked batches: a byte-pair tokenizer, the instruction formatter, the file loader and its audit.

What it is: everything between a file and the integers that a model is trained on.
What it is not: it contains no model and no training.

    python data.py my_pairs.jsonl            audit a file of instruction pairs and show how the model will see it

The contract of the mask, in one sentence: for ids = prompt + answer + [end], the inputs are ids[:-1], the targets
ids[1:], and exactly those targets that are answer tokens or the end token are learned.
"""

import argparse
import codecs
import gzip
import hashlib
import heapq
import http.client
import json
import random
import re
import sys
import urllib.request
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tiktoken
import torch
from tqdm import tqdm

from model import IGNORE, UserError

# ----------------------------------------------------------------------------------------------------------------
# Byte pairs. Text is first cut into words (a word keeps the space before it), so no token spans two words.

WORD = r" ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+"  # letters | digits | other signs | white space
END = "<|endoftext|>"


def train_bpe(text, vocab_size):
    """Byte-pair encoding (Sennrich et al. 2016; on bytes: GPT-2) -> list of tokens as bytes, ids in order of merging.

    Start from the 256 bytes; again and again join the most frequent neighbouring pair into a new token. Words are
    counted once, and only those that hold the joined pair are touched. Ties go to the smaller pair of ids."""
    words = Counter(re.findall(WORD, text))
    counts = list(words.values())
    parts = [list(word.encode()) for word in words]  # every word as a list of token ids
    pairs = Counter()  # (id, id) -> how often it stands in the text
    where = defaultdict(set)  # (id, id) -> the words that hold it
    for w, part in enumerate(parts):
        for pair in zip(part, part[1:]):
            pairs[pair] += counts[w]
            where[pair].add(w)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)

    tokens = [bytes([byte]) for byte in range(256)]
    while len(tokens) < vocab_size - 1 and heap:  # one id is kept for the end token
        count, pair = heapq.heappop(heap)
        if -count != pairs[pair]:  # the pair became rarer since it was put here
            if pairs[pair]:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        new = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        grown = set()
        for w in where.pop(pair):
            for old in zip(parts[w], parts[w][1:]):
                pairs[old] -= counts[w]
            parts[w] = join(parts[w], pair, new)
            for fresh in zip(parts[w], parts[w][1:]):
                pairs[fresh] += counts[w]
                where[fresh].add(w)
                grown.add(fresh)
        for fresh in grown:
            heapq.heappush(heap, (-pairs[fresh], fresh))
    return tokens


def join(ids, pair, new):
    """Replace every `pair` by `new`: [1, 2, 3, 1, 2], (1, 2), 9 -> [9, 3, 9]"""
    out, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


class Tokenizer:
    """Byte-pair tokens, run by tiktoken. `end` is the id of the end token; no text is ever encoded to it."""

    def __init__(self, tokens, pattern=WORD):
        self.tokens, self.pattern = tokens, pattern
        self.end = len(tokens)
        self.vocab_size = len(tokens) + 1
        ranks = {token: i for i, token in enumerate(tokens)}
        self._bpe = tiktoken.Encoding("bpe", pat_str=pattern, mergeable_ranks=ranks, special_tokens={END: self.end})

    def encode(self, text):
        return self._bpe.encode_ordinary(text)

    def decode(self, ids):
        """Bytes that are not UTF-8 become U+FFFD."""
        return self._bpe.decode(ids)

    def token_bytes(self, token):
        """The bytes of one token; some are a part of a character only."""
        return self._bpe.decode_single_token_bytes(token)

    def state(self):
        """For a checkpoint: plain strings only."""
        return {"pattern": self.pattern, "tokens": [token.decode("latin-1") for token in self.tokens]}

    @classmethod
    def from_state(cls, state):
        return cls([token.encode("latin-1") for token in state["tokens"]], state["pattern"])


# ----------------------------------------------------------------------------------------------------------------
# GPT-2's vocabulary and files, for those who go on to the real thing.

GPT2_WORD = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT2_URL = "https://huggingface.co/openai-community/{}/resolve/main/{}"
GPT2_SIZES = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
CHECKSUMS = {  # sha256; the files of the larger ones are checked for their length only
    "gpt2/model.safetensors": "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
    "vocab.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
}


def gpt2_tokenizer(folder):
    """GPT-2's tokenizer, from vocab.json (or encoder.json, as OpenAI called it) in the folder, else by tiktoken, which
    fetches it once."""
    folder = Path(folder)
    file = next((folder / name for name in ("vocab.json", "encoder.json") if (folder / name).exists()), None)
    if file is None:
        try:
            bpe = tiktoken.get_encoding("gpt2")
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{folder}: no vocab.json, and GPT-2's cannot be fetched: {reason:.80}. Put it there."
            ) from None
        return Tokenizer([bpe.decode_single_token_bytes(i) for i in range(bpe.eot_token)], GPT2_WORD)
    try:
        ids = json.loads(file.read_text(encoding="utf-8"))
        byte_of = {letter: byte for byte, letter in byte_letters().items()}
        tokens = [bytes(byte_of[letter] for letter in token) for token in sorted(ids, key=ids.get) if token != END]
        return Tokenizer(tokens, GPT2_WORD)
    except (AttributeError, KeyError, ValueError):
        raise UserError(f"{file}: not GPT-2's vocabulary. Fetch it again.") from None


def byte_letters():
    """GPT-2's files write every byte as one visible letter: those that are visible as themselves, the others as the
    letters from 256 on."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}


def fetch(url, path, checksum=""):
    """Download a file once, with a progress bar. A broken download goes on where it stopped."""
    path, part = Path(path), Path(f"{path}.part")
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            have = have if answer.status == 206 else 0  # 206: the server goes on where we stopped
            size = have + int(answer.headers.get("Content-Length", 0))
            with open(part, "ab" if have else "wb") as file:
                with tqdm(total=size, initial=have, desc=path.name, unit="B", unit_scale=True, ncols=78) as bar:
                    while piece := answer.read(2**20):
                        file.write(piece)
                        bar.update(len(piece))
        if part.stat().st_size < size:
            raise OSError("the connection was cut")
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"{url}: cannot be fetched: {error}. Run again to go on, or fetch it elsewhere and give --base FILE."
        ) from None
    found = hashlib.sha256()
    with open(part, "rb") as file:
        while piece := file.read(2**20):
            found.update(piece)
    if checksum and found.hexdigest() != checksum:
        part.unlink()
        raise UserError(f"{url}: what came is damaged (its checksum differs). Run again.")
    part.replace(path)


def fetch_gpt2(name, folder):
    """GPT-2's weights, sizes and vocabulary -> the folder that holds them."""
    for file in ("config.json", "vocab.json", "model.safetensors"):
        fetch(
            GPT2_URL.format(name, file), Path(folder) / file, CHECKSUMS.get(f"{name}/{file}", CHECKSUMS.get(file, ""))
        )
    return Path(folder)


# ----------------------------------------------------------------------------------------------------------------
# The formatter. A conversation is a list of turns, a turn is (instruction, input, output).


@dataclass(frozen=True)
class Template:
    """What stands around the parts of a turn; {} is the part. `context` stands only where a turn has an input, `system`
    only where a conversation begins with such a text."""

    instruction: str
    context: str
    response: str
    preamble: str = ""
    preamble_with_input: str = ""  # the same, where the first turn has an input and this differs
    system: str = "{}\n\n"
    between: str = "\n\n"  # after the end token of a turn, before the next turn


# As published. What those models have as single control tokens (<|im_start|>, <s>) is ordinary text here, but for the
# one that ends an answer (<|im_end|>, </s>, <|eot_id|>): that is the tokenizer's end token.
TEMPLATES = {
    "alpaca": Template("### Instruction:\n{}\n\n", "### Input:\n{}\n\n", "### Response:\n"),
    "alpaca_preamble": Template(
        "### Instruction:\n{}\n\n",
        "### Input:\n{}\n\n",
        "### Response:\n",
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n",
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n",
    ),
    "plain": Template("Question: {}\n", "Text: {}\n", "Answer: "),
    "chatml": Template(
        "<|im_start|>user\n{}",
        "\n\n{}",
        "<|im_end|>\n<|im_start|>assistant\n",
        system="<|im_start|>system\n{}<|im_end|>\n",
        between="\n",
    ),
    "llama2": Template(
        "{}", "\n\n{}", " [/INST] ", "<s>[INST] ", system="<<SYS>>\n{}\n<</SYS>>\n\n", between="<s>[INST] "
    ),
    "llama3": Template(
        "<|start_header_id|>user<|end_header_id|>\n\n{}",
        "\n\n{}",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|begin_of_text|>",
        system="<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
        between="",
    ),
    "mistral": Template("{}", "\n\n{}", " [/INST] ", "<s>[INST] ", between="[INST] "),
    "zephyr": Template("<|user|>\n{}", "\n\n{}", "</s>\n<|assistant|>\n", system="<|system|>\n{}</s>\n", between="\n"),
    "tulu": Template("<|user|>\n{}", "\n\n{}", "\n<|assistant|>\n", system="<|system|>\n{}\n", between="\n"),
}


def encode_around(tokenizer, pattern, text):
    """The text in its pattern -> ids before it, ids of it, ids after it."""
    before, after = pattern.split("{}")
    return tokenizer.encode(before), tokenizer.encode(text), tokenizer.encode(after)


def encode_prompt(tokenizer, template, instruction, input="", first=True, system=""):
    """One turn up to where the answer begins -> (ids before the input, ids of the input, ids after it).

    In three parts, so that the input can be shortened. Headers and contents are tokenized separately: a word of the
    user's can never melt into a header, nor the last token of the prompt into the answer."""
    t = TEMPLATES[template]
    opening = (input and t.preamble_with_input) or t.preamble
    head = tokenizer.encode(opening if first else t.between)
    if system:
        head = head + sum(encode_around(tokenizer, t.system, system), [])
    head = head + sum(encode_around(tokenizer, t.instruction, instruction), [])
    if not input:
        return head, [], tokenizer.encode(t.response)
    before, context, after = encode_around(tokenizer, t.context, input)
    return head + before, context, after + tokenizer.encode(t.response)


def encode_example(tokenizer, template, turns, block_size, system=""):
    """A conversation -> (ids, mask, trimmed); mask is 1 where the token is an answer's or the end token after it.

    What does not fit in block_size + 1 tokens (the model reads all but the last) loses the ends of its inputs, never
    a token of an answer. ids is None where even that is not enough."""
    parts = [(encode_prompt(tokenizer, template, q, x, i == 0, system if i == 0 else ""),
              tokenizer.encode(y) + [tokenizer.end]) for i, (q, x, y) in enumerate(turns)]  # fmt: skip
    excess = sum(len(h) + len(x) + len(t) + len(y) for (h, x, t), y in parts) - (block_size + 1)
    trimmed = excess > 0
    ids, mask = [], []
    for (head, context, tail), answer in parts:
        cut = min(max(excess, 0), max(len(context) - 1, 0))  # leave one token, so that the header keeps its sense
        excess -= cut
        prompt = head + context[: len(context) - cut] + tail
        ids += prompt + answer
        mask += [0] * len(prompt) + [1] * len(answer)
    return (None, None, True) if excess > 0 else (ids, mask, trimmed)


def shift(ids, mask):
    """The one place where targets are shifted: position t learns to predict token t + 1.

    [5, 6, 7, 8], [0, 0, 1, 1] -> inputs [5, 6, 7], targets [IGNORE, 7, 8]"""
    return ids[:-1], [token if learned else IGNORE for token, learned in zip(ids[1:], mask[1:])]


def prepare(rows, tokenizer, template, block_size, dropped=None):
    """Rows -> (examples, Audit). An example is (ids, mask). What the mask lets through is checked for every row.

    dropped: {reason: places} of rows that the loader left out; the audit counts them too."""
    examples, audit, seen = [], Audit(rows=len(rows)), set()
    for reason, places in (dropped or {}).items():
        audit.dropped[reason] += places
        audit.rows += len(places)
    controls = control_texts()
    for row in rows:
        ids, mask, trimmed = encode_example(tokenizer, template, row.turns, block_size, row.system)
        if ids is None:
            audit.dropped["does not fit in the context"].append(row.place)
            continue
        learned = [token for token in shift(ids, mask)[1] if token != IGNORE]
        answers = [tokenizer.encode(output) + [tokenizer.end] for _, _, output in row.turns]
        assert learned == sum(answers, []), f"{row.place}: the mask lets through something else than the answer"
        examples.append((ids, mask))
        audit.trimmed += [row.place] if trimmed else []
        audit.tokens += len(ids)
        audit.learned += len(learned)
        key, texts = prompt_key(row), "\n".join(sum(row.turns, (row.system,)))
        audit.notes["repeat the prompt of an earlier row"] += key in seen
        audit.notes["hold text that looks like a control token; it stays text"] += controls.search(texts) is not None
        audit.notes["had a placeholder for an input, taken as none"] += row.placeholder
        audit.formats[row.format] += 1
        seen.add(key)
    audit.kept = len(examples)
    return examples, audit


MARKS = r"<[|/<\w].*?>+|\[/?INST\]|### \w+:"  # what a header is made of


def control_texts():
    """A pattern for what the templates and the end token are made of, where it stands in somebody's text."""
    marks = {END, "<|im_end|>", "</s>", "<|eot_id|>"}
    for t in TEMPLATES.values():
        marks.update(re.findall(MARKS, t.preamble + t.system + t.instruction + t.context + t.response))
    return re.compile("|".join(map(re.escape, sorted(marks))))


def show_mask(tokenizer, ids, mask, color):
    """The x-ray: every token as the model sees it. Learned ones are green, or [in brackets] without colors."""
    out = []
    for token, learned in zip(ids, mask):
        text = END if token == tokenizer.end else tokenizer.decode([token]).replace("\n", "\\n\n")
        if color:
            out.append(f"\033[{'32;7' if learned else '2'}m{text}\033[0m")
        else:
            out.append(f"[{text}]" if learned else text)
    return "".join(out)


# ----------------------------------------------------------------------------------------------------------------
# Files of pairs. Every row becomes conversations; a row that cannot is counted with its reason and line, and left out.


@dataclass(frozen=True)
class Row:
    turns: tuple  # ((instruction, input, output), ...)
    task: str = ""  # for the report and for the mixture
    place: str = ""  # file:line
    system: str = ""  # what a chat says before its first turn
    format: str = ""  # what its fields were recognised as
    placeholder: bool = False  # its input was "No input" or the like


@dataclass
class Audit:
    rows: int = 0
    kept: int = 0
    trimmed: list = field(default_factory=list)  # places
    dropped: dict = field(default_factory=lambda: defaultdict(list))  # reason -> places
    tokens: int = 0
    learned: int = 0
    formats: Counter = field(default_factory=Counter)
    notes: Counter = field(default_factory=Counter)

    def lines(self):
        """What a person wants to know, one fact a line."""
        share = 100 * self.learned / max(1, self.tokens)
        known = ", ".join(f"{name} {n}" for name, n in self.formats.items() if name)
        yield f"{self.kept} of {self.rows} rows kept, {len(self.trimmed)} of them with a shortened input" + (
            f" (formats: {known})" if known else ""
        )
        yield f"{self.learned:,} of {self.tokens:,} tokens are learned ({share:.0f} %): the answers and their end tokens"
        for reason, places in self.dropped.items():
            yield f"{len(places)} dropped, {reason}: {', '.join(places[:3])}{' ...' if len(places) > 3 else ''}"
        yield from (f"{n} {note}" for note, n in self.notes.items() if n)

    def as_json(self):
        """The same for programs; places as numbers of lines (of instances, where one row holds many)."""

        def numbers(places):
            return [int(place.rpartition(":")[2]) for place in places]

        return {"rows": self.rows, "kept": self.kept, "trimmed": numbers(self.trimmed),
                "dropped": {reason: numbers(places) for reason, places in self.dropped.items()},
                "tokens": self.tokens, "learned": self.learned, "formats": dict(self.formats),
                "notes": dict(self.notes)}  # fmt: skip


class BadRow(Exception):
    """One row that cannot be used; the message is the reason."""


def read_pair(instruction, input, output):
    """Fields of one question and its answer -> how to read them: row -> [(system, turns), ...]"""
    return lambda row: [("", [(row[instruction], "" if row.get(input) is None else row[input], row[output])])]


def read_chat(key, role, text, user, assistant):
    """Rows that hold a list of turns. What the system says before the first question is kept apart; where no question
    follows, it is the question."""

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


def read_instances(definition, instances):
    """Rows that hold one instruction and many instances of it. A list of texts stands for its first."""

    def first(text):
        return text[0] if isinstance(text, list) and text else text

    def read(row):
        return [("", [(first(row[definition]), one["input"], first(one["output"]))]) for one in row[instances]]

    return read


FORMATS = {  # name: (fields that a row must have, how to read it). The first that fits is taken.
    "alpaca": (("instruction", "output"), read_pair("instruction", "input", "output")),  # and this project's own
    "dolly": (("instruction", "response"), read_pair("instruction", "context", "response")),
    "flan": (("inputs", "targets"), read_pair("inputs", "", "targets")),
    "messages": (("messages",), read_chat("messages", "role", "content", ("user",), ("assistant",))),
    "sharegpt": (("conversations",), read_chat("conversations", "from", "value", ("human", "user"), ("gpt", "assistant"))),
    "natural_instructions": (("Definition", "Instances"), read_instances("Definition", "Instances")),
    "self_instruct": (("instruction", "instances"), read_instances("instruction", "instances")),
}  # fmt: skip
NO_INPUT = {"noinput", "noinputs", "noinpute", "noinputrequired", "noinputneeded", "na", "none"}
NO_OUTPUT = {"nooutput", "nooutputrequired"}


def letters(text):
    """Only the letters and digits, small: "<No input>" -> "noinput" """
    return re.sub(r"[\W_]+", "", text).lower() if len(text) < 40 else text


def read_conversations(row, format=""):
    """A parsed JSON row -> (name of its format, [(system, turns, had a placeholder), ...]), or BadRow."""
    if isinstance(row, list):  # a bare list of turns
        row = {"messages": row}
    if not isinstance(row, dict):
        raise BadRow("not an object with fields")
    names = [format] if format else FORMATS
    name = next((name for name in names if all(field in row for field in FORMATS[name][0])), None)
    if name is None:
        raise BadRow(
            f"missing fields: {' and '.join(FORMATS[format][0])}"
            if format
            else "missing fields: instruction and output (or those of another known format)"
        )
    try:
        found = FORMATS[name][1](row)
    except (AttributeError, KeyError, TypeError):
        raise BadRow("a turn without its role or text") from None
    return name, [checked(system, turns) for system, turns in found]


def checked(system, turns):
    """Every part is text and says something -> (system, turns, had a placeholder), or BadRow."""
    if not turns:
        raise BadRow("no answer in it")
    placeholder, clean = False, []
    for instruction, context, output in turns:
        if not all(isinstance(text, str) for text in (instruction, context, output)):
            raise BadRow("a field that is not text")
        if letters(context) in NO_INPUT:
            context, placeholder = "", True
        if not (system + instruction + context).strip():
            raise BadRow("empty instruction")
        if not output.strip():
            raise BadRow("empty answer")
        if letters(output) in NO_OUTPUT:
            raise BadRow("a placeholder for an answer")
        clean.append((instruction, context, output))
    return system, tuple(clean), placeholder


def read_lines(path):
    """A UTF-8 file of any size, .gz or not -> its lines, one by one (one longer than a megabyte in pieces)."""
    decoder, number = codecs.getincrementaldecoder("utf-8-sig")(), 1
    try:
        with gzip.open(path) if str(path).endswith(".gz") else open(path, "rb") as file:
            while piece := file.readline(2**20):
                yield decoder.decode(piece)
                number += piece.endswith(b"\n")
            decoder.decode(b"", final=True)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read: {reason}. Give the path of a text file.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}:{number}: not UTF-8. Save the file as UTF-8 and try again.") from None


def read_text(path):
    """A UTF-8 file, .gz or not -> str. Errors name the file and the line."""
    text = "".join(read_lines(path))
    if not text.strip():
        raise UserError(f"{path}: the file is empty. It should hold text.")
    return text


def parse_rows(text, path):
    """JSON Lines, one JSON array, or one object over many lines -> (physical line number, parsed row or BadRow)."""
    first, _, others = text.lstrip().partition("\n")
    if first.startswith("[") and not (others.lstrip().startswith("[") and is_json(parsed(first))):
        yield from parse_array(text, path)
        return
    if first.startswith("{") and others and not is_json(parsed(first)) and is_json(whole := parsed(text)):
        yield 1, whole
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, parsed(line)


def parsed(text):
    """-> what the JSON says, or BadRow"""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return BadRow("not JSON")


def is_json(value):
    return not isinstance(value, BadRow)


def parse_array(text, path):
    """The elements of a JSON array, each with the line on which it begins."""
    space, decoder = re.compile(r"\s*"), json.JSONDecoder()
    at, number = text.index("[") + 1, 1 + text.count("\n", 0, text.index("["))

    def skip(at, number):
        after = space.match(text, at).end()
        return after, number + text.count("\n", at, after)

    def wrong(number, what):
        return UserError(f"{path}:{number}: not JSON: {what}. Mend the file, or use one row a line.")

    at, number = skip(at, number)
    while text[at : at + 1] != "]":
        try:
            row, after = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise wrong(getattr(error, "lineno", number), getattr(error, "msg", "nested too deeply")) from None
        yield number, row
        at, number = skip(after, number + text.count("\n", at, after))
        if text[at : at + 1] == ",":
            at, number = skip(at + 1, number)
            if text[at : at + 1] == "]":
                raise wrong(number, "a comma before the ]")
        elif text[at : at + 1] != "]":
            raise wrong(number, "a comma or ] is missing")
    at, number = skip(at + 1, number)
    if at < len(text):
        raise wrong(number, "more text after the ]")


def load_rows(path, strict=False, format=""):
    """A file of instruction pairs -> (rows, {reason: places}). With `strict` the first bad row is an error.

    `format` is one of FORMATS, or "" to recognise it row by row. A row's task is what it says of it, else the file's
    name. Where one row holds many instances, a place is the file and the instance's number."""
    rows, dropped = [], defaultdict(list)
    for number, parsed in parse_rows(read_text(path), path):
        place = f"{path}:{number}"
        try:
            if isinstance(parsed, BadRow):
                raise parsed
            name, found = read_conversations(parsed, format)
        except BadRow as reason:
            if strict:
                raise UserError(f"{place}: {reason}. Mend the row, or leave out --strict to skip it.") from None
            dropped[str(reason)].append(place)
            continue
        fields = parsed if isinstance(parsed, dict) else {}
        task = next((str(fields[key]) for key in ("task", "category", "task_name") if fields.get(key)), Path(path).stem)
        for i, (system, turns, placeholder) in enumerate(found):
            where = f"{path}:{i + 1}" if len(found) > 1 else place
            rows.append(Row(turns, task, where, system, name, placeholder))
    if not rows:
        reason, places = next(iter(dropped.items()), ("there is none in it", [path]))
        raise UserError(f"{places[0]}: no row is left: {reason}. A row needs an instruction and an output.")
    return rows, dropped


def split_weight(name):
    """ "pairs.jsonl:0.3" -> ("pairs.jsonl", 0.3); without a weight it is 1."""
    path, _, weight = name.rpartition(":")
    try:
        return (path, float(weight)) if path else (name, 1.0)
    except ValueError:
        return name, 1.0  # a colon of the path itself


def mix(files, cap, seed):
    """[(rows, weight), ...] -> one list. A weight of 0.3 takes three of ten rows, 2 takes all of them twice; of no task
    more than `cap` rows are taken (0: all), so that a big one does not drown the others (Wei et al. 2021, FLAN)."""
    rng, mixed, taken = random.Random(seed), [], Counter()
    for rows, weight in files:
        whole, part = divmod(weight, 1)
        chosen = rows * int(whole) + rng.sample(rows, round(part * len(rows)))
        for row in rng.sample(chosen, len(chosen)) if cap else chosen:
            if not cap or taken[row.task] < cap:
                mixed.append(row)
                taken[row.task] += 1
    return mixed


def prompt_key(row):
    """What makes two prompts the same: letters and digits, not spacing, case or marks."""
    return re.sub(r"\W+", " ", row.system + " | ".join(f"{q} {x}" for q, x, _ in row.turns)).strip().lower()


# ----------------------------------------------------------------------------------------------------------------
# Batches. All are functions of (data, seed, step), so a run can be resumed anywhere.


def read_passages(path):
    """A text file of any size -> its passages one by one; blank lines stand between them."""
    lines, size = [], 0
    for line in read_lines(path):
        lines.append(line)
        size += len(line)
        if not line.strip() or size > 2**20:  # a passage without an end is cut, so that memory stays small
            if passage := "".join(lines).strip():
                yield passage
            lines, size = [], 0
    if passage := "".join(lines).strip():
        yield passage


def encode_corpus(tokenizer, passages):
    """Passages of prose -> one stream of ids, an end token after each passage. (number of tokens,)"""
    return torch.tensor([token for text in passages for token in tokenizer.encode(text) + [tokenizer.end]])


def encode_corpus_to(path, tokenizer, passages):
    """The same, but the stream is a file that is read where it lies and needs no memory. (number of tokens,)"""
    kind = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
    if not Path(path).exists():
        with open(f"{path}.tmp", "wb") as file:
            for text in passages:
                file.write(np.array(tokenizer.encode(text) + [tokenizer.end], kind).tobytes())
        Path(f"{path}.tmp").replace(path)
    return np.memmap(path, kind, "r")


def corpus_batch(stream, step, batch_size, window):
    """The stream is read in order: batch 0 is its first windows. -> inputs, targets, each (batch_size, window)"""
    windows = (len(stream) - 1) // window
    first = (step * batch_size + np.arange(batch_size)) % windows * window
    rows = stream[first[:, None] + np.arange(window + 1)]  # (batch_size, window + 1)
    rows = torch.as_tensor(rows).long()
    return rows[:, :-1], rows[:, 1:]


def collate(examples, pad):
    """Examples -> inputs, targets, each (B, T). Padding stands on the right and is never learned."""
    shifted = [shift(ids, mask) for ids, mask in examples]
    longest = max(len(inputs) for inputs, _ in shifted)
    inputs = torch.full((len(examples), longest), pad)
    targets = torch.full((len(examples), longest), IGNORE)
    for i, (x, y) in enumerate(shifted):
        inputs[i, : len(x)] = torch.tensor(x)
        targets[i, : len(y)] = torch.tensor(y)
    return inputs, targets


def epoch_batches(examples, batch_size, seed):
    """One epoch -> list of batches of examples. Rows of like length go together, which saves padding; which rows, and
    the order of the batches, is drawn anew for every seed."""
    rng = random.Random(seed)
    order = rng.sample(examples, len(examples))
    pool = 8 * batch_size
    batches = []
    for start in range(0, len(order), pool):
        rows = sorted(order[start : start + pool], key=lambda example: len(example[0]))
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    rng.shuffle(batches)
    return batches


def pack(examples, block_size):
    """Examples -> lists of examples that fit in one row of block_size tokens together: the longest first, each where
    there is room."""
    rows = []
    for example in sorted(examples, key=lambda example: len(example[0]), reverse=True):
        size = len(example[0]) - 1
        row = next((row for row in rows if row["size"] + size <= block_size), None)
        if row is None:
            row = {"size": 0, "examples": []}
            rows.append(row)
        row["size"] += size
        row["examples"].append(example)
    return [row["examples"] for row in rows]


def collate_packed(examples, pad, block_size):
    """Examples -> inputs, targets, positions, each (B, T), and mask (B, 1, T, T): as collate, with many in one row.

    Each example has positions of its own from 0 on and sees only itself, so it is as if it were alone."""
    rows = pack(examples, block_size)
    longest = max(sum(len(ids) - 1 for ids, _ in row) for row in rows)
    inputs = torch.full((len(rows), longest), pad)
    targets = torch.full((len(rows), longest), IGNORE)
    positions = torch.zeros((len(rows), longest), dtype=torch.long)
    owner = torch.full((len(rows), longest), -1)  # which example of its row a token is of
    for i, row in enumerate(rows):
        start = 0
        for n, (ids, mask) in enumerate(row):
            x, y = shift(ids, mask)
            at = slice(start, start + len(x))
            inputs[i, at], targets[i, at] = torch.tensor(x), torch.tensor(y)
            positions[i, at], owner[i, at] = torch.arange(len(x)), n
            start += len(x)
    causal = torch.ones(longest, longest, dtype=torch.bool).tril()
    mask = (owner[:, None, :] == owner[:, :, None]) & causal  # (B, T, T)
    return inputs, targets, positions, mask.unsqueeze(1)


# ----------------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description="Audit files of instruction pairs and show how a model will see them.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="JSON Lines or a JSON array, .gz or not")
    parser.add_argument("--format", default="", choices=["", *FORMATS], help="how to read rows (default: recognise it)")
    parser.add_argument("--template", default="alpaca", choices=TEMPLATES, help="prompt format (default: alpaca)")
    parser.add_argument("--show", type=int, default=2, help="how many rows of each file to show (default: 2)")
    parser.add_argument("--block-size", type=int, default=1024, help="context in tokens (default: 1024, as GPT-2)")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad row")
    parser.add_argument("--json", action="store_true", help="print the audit for programs, and nothing else")
    args = parser.parse_args()
    audits = {}
    try:
        for file in args.files:
            rows, dropped = load_rows(file, args.strict, args.format)
            some = "\n".join(" ".join(turn) for row in rows[:5000] for turn in row.turns)
            tokenizer = Tokenizer(train_bpe(some, 4096))  # of the file itself: nothing is fetched
            examples, audits[file] = prepare(rows, tokenizer, args.template, args.block_size, dropped)
            if not args.json:
                for ids, mask in examples[: args.show]:
                    print(show_mask(tokenizer, ids, mask, sys.stdout.isatty()) + "\n")
                print(f"{file}:", *audits[file].lines(), sep="\n  ")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if args.json:
        print(json.dumps({file: audit.as_json() for file, audit in audits.items()}, indent=1))


if __name__ == "__main__":
    main()
