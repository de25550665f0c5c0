"""Text -> tokens -> masked batches: a byte-pair tokenizer, the instruction formatter, the file loader and its audit.

What it is: everything between a file and the integers that a model is trained on.
What it is not: it contains no model and no training.

    python data.py my_pairs.jsonl            audit a file of instruction pairs and show how the model will see it

The contract of the mask, in one sentence: for ids = prompt + answer + [end], the inputs are ids[:-1], the targets
ids[1:], and exactly those targets that are answer tokens or the end token are learned.
"""

import argparse
import gzip
import heapq
import json
import random
import re
import sys
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import tiktoken
import torch

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
# The formatter. A conversation is a list of turns, a turn is (instruction, input, output).


@dataclass(frozen=True)
class Template:
    """What stands around a turn's parts. The context stands only where a turn has an input."""

    instruction: str
    context: str
    response: str
    preamble: str = ""
    between: str = "\n\n"  # after the end token of a turn, before the next turn


TEMPLATES = {
    "alpaca": Template("### Instruction:\n{}\n\n", "### Input:\n{}\n\n", "### Response:\n"),
    "alpaca_preamble": Template(
        "### Instruction:\n{}\n\n",
        "### Input:\n{}\n\n",
        "### Response:\n",
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n",
    ),
    "plain": Template("Question: {}\n", "Text: {}\n", "Answer: "),
}


def encode_prompt(tokenizer, template, instruction, input="", first=True):
    """One turn up to where the answer begins -> (ids before the input, ids of the input, ids after it).

    In three parts, so that the input can be shortened. Headers and contents are tokenized separately: a word of the
    user's can never melt into a header, nor the last token of the prompt into the answer."""
    t, encode = TEMPLATES[template], tokenizer.encode
    before, after = t.instruction.split("{}")
    head = encode(t.preamble if first else t.between) + encode(before) + encode(instruction) + encode(after)
    if not input:
        return head, [], encode(t.response)
    before, after = t.context.split("{}")
    return head + encode(before), encode(input), encode(after) + encode(t.response)


def encode_example(tokenizer, template, turns, block_size):
    """A conversation -> (ids, mask, trimmed); mask is 1 where the token is an answer's or the end token after it.

    What does not fit in block_size + 1 tokens (the model reads all but the last) loses the ends of its inputs, never
    a token of an answer. ids is None where even that is not enough."""
    parts = [(encode_prompt(tokenizer, template, q, x, i == 0), tokenizer.encode(y) + [tokenizer.end])
             for i, (q, x, y) in enumerate(turns)]  # fmt: skip
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
    examples, audit = [], Audit(rows=len(rows))
    for reason, places in (dropped or {}).items():
        audit.dropped[reason] += places
        audit.rows += len(places)
    for row in rows:
        ids, mask, trimmed = encode_example(tokenizer, template, row.turns, block_size)
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
    audit.kept = len(examples)
    return examples, audit


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
# Files of pairs. Every row becomes turns; a row that cannot is counted with its reason and line, and left out.


@dataclass(frozen=True)
class Row:
    turns: tuple  # ((instruction, input, output), ...)
    task: str = ""  # for the report
    place: str = ""  # file:line


@dataclass
class Audit:
    rows: int = 0
    kept: int = 0
    trimmed: list = field(default_factory=list)  # places
    dropped: dict = field(default_factory=lambda: defaultdict(list))  # reason -> places
    tokens: int = 0
    learned: int = 0

    def lines(self):
        """What a person wants to know, one fact a line."""
        share = 100 * self.learned / max(1, self.tokens)
        yield f"{self.kept} of {self.rows} rows kept, {len(self.trimmed)} of them with a shortened input"
        yield f"{self.learned:,} of {self.tokens:,} tokens are learned ({share:.0f} %): the answers and their end tokens"
        for reason, places in self.dropped.items():
            yield f"{len(places)} dropped, {reason}: {', '.join(places[:3])}{' ...' if len(places) > 3 else ''}"


def instruction_row(instruction, input, output):
    return lambda row: [(row[instruction], "" if row.get(input) is None else row[input], row[output])]


def chat_row(key, role, text, user, assistant):
    """Rows that hold a list of turns. Text before the first answer (a system prompt, say) joins the first question."""

    def turns_of(row):
        turns, question = [], []
        for message in row[key]:
            if message[role] in assistant:
                turns.append(("\n\n".join(question), "", message[text]))
                question = []
            elif message[role] in user:
                question.append(message[text])
            else:
                raise BadRow(f"unknown role {message[role]!r}")
        return turns

    return turns_of


FORMATS = {  # fields that a row must have -> how to read it. The first that fits is taken.
    ("instruction", "output"): instruction_row("instruction", "input", "output"),  # Alpaca, and this project
    ("instruction", "response"): instruction_row("instruction", "context", "response"),  # Dolly
    ("inputs", "targets"): instruction_row("inputs", "", "targets"),  # FLAN, T0
    ("messages",): chat_row("messages", "role", "content", ("system", "user"), ("assistant",)),  # OpenAI, Tulu
    ("conversations",): chat_row("conversations", "from", "value", ("system", "human", "user"), ("gpt", "assistant")),
}


class BadRow(Exception):
    """One row that cannot be used; the message is the reason."""


def read_turns(row):
    """A parsed JSON row -> ((instruction, input, output), ...), or BadRow."""
    if not isinstance(row, dict):
        raise BadRow("not an object with fields")
    for fields, read in FORMATS.items():
        if all(name in row for name in fields):
            break
    else:
        raise BadRow("missing fields: instruction and output (or those of another known format)")
    try:
        turns = read(row)
    except (KeyError, TypeError):
        raise BadRow("a turn without its role or text") from None
    if not turns:
        raise BadRow("no answer in it")
    for instruction, context, output in turns:
        if not all(isinstance(text, str) for text in (instruction, context, output)):
            raise BadRow("a field that is not text")
        if not (instruction + context).strip():
            raise BadRow("empty instruction")
        if not output.strip():
            raise BadRow("empty answer")
    return tuple(turns)


def read_text(path):
    """A UTF-8 file, .gz or not -> str. Errors name the file and the line."""
    path = Path(path)
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read: {reason}. Give the path of a text file.") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1  # without a byte-order mark
        raise UserError(f"{path}:{line}: not UTF-8. Save the file as UTF-8 and try again.") from None
    if not text.strip():
        raise UserError(f"{path}: the file is empty. It should hold text.")
    return text


def parse_rows(text, path):
    """JSON Lines or one JSON array -> (physical line number, parsed row or BadRow), one by one."""
    if text.lstrip().startswith("["):
        yield from parse_array(text, path)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, BadRow("not JSON")


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


def load_rows(path, strict=False):
    """A file of instruction pairs -> (rows, {reason: places}). With `strict` the first bad row is an error."""
    rows, dropped = [], defaultdict(list)
    for number, parsed in parse_rows(read_text(path), path):
        place = f"{path}:{number}"
        try:
            if isinstance(parsed, BadRow):
                raise parsed
            turns = read_turns(parsed)
        except BadRow as reason:
            if strict:
                raise UserError(f"{place}: {reason}. Mend the row, or leave out --strict to skip it.") from None
            dropped[str(reason)].append(place)
            continue
        rows.append(Row(turns, str(parsed.get("task") or ""), place))
    if not rows:
        reason, places = next(iter(dropped.items()), ("there is none in it", [path]))
        raise UserError(f"{places[0]}: no row is left: {reason}. A row needs an instruction and an output.")
    return rows, dropped


def prompt_key(row):
    """What makes two prompts the same: letters and digits, not spacing, case or marks."""
    return re.sub(r"\W+", " ", " | ".join(f"{q} {x}" for q, x, _ in row.turns)).strip().lower()


# ----------------------------------------------------------------------------------------------------------------
# Batches. All are functions of (data, seed, step), so a run can be resumed anywhere.


def encode_corpus(tokenizer, passages):
    """Passages of prose -> one stream of ids, an end token after each passage. (number of tokens,)"""
    return torch.tensor([token for text in passages for token in tokenizer.encode(text) + [tokenizer.end]])


def corpus_batch(stream, step, batch_size, window):
    """The stream is read in order: batch 0 is its first windows. -> inputs, targets, each (batch_size, window)"""
    windows = (len(stream) - 1) // window
    first = torch.tensor([(step * batch_size + i) % windows for i in range(batch_size)]) * window
    at = first[:, None] + torch.arange(window + 1)  # (batch_size, window + 1)
    return stream[at[:, :-1]], stream[at[:, 1:]]


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


# ----------------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description="Audit a file of instruction pairs and show how a model will see it.")
    parser.add_argument("file", help="JSON Lines or a JSON array, .gz or not")
    parser.add_argument("--template", default="alpaca", choices=TEMPLATES, help="prompt format (default: alpaca)")
    parser.add_argument("--show", type=int, default=2, help="how many rows to show (default: 2)")
    parser.add_argument("--block-size", type=int, default=1024, help="context in tokens (default: 1024, as GPT-2)")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad row")
    args = parser.parse_args()
    try:
        rows, dropped = load_rows(args.file, args.strict)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    some = "\n".join(" ".join(turn) for row in rows[:5000] for turn in row.turns)
    tokenizer = Tokenizer(train_bpe(some, 4096))  # of the file itself: nothing is fetched
    examples, audit = prepare(rows, tokenizer, args.template, args.block_size, dropped)
    for ids, mask in examples[: args.show]:
        print(show_mask(tokenizer, ids, mask, sys.stdout.isatty()) + "\n")
    print(*audit.lines(), sep="\n")
    prompts = Counter(map(prompt_key, rows))
    print(f"{sum(n - 1 for n in prompts.values())} rows repeat the prompt of an earlier one")


if __name__ == "__main__":
    main()
