"""The reader: rows of six formats become the right turns, a bad row costs that row only, and what
is not read is named."""

import gzip
import json
from collections import Counter

import pytest
from helpers import BOM, SHARED, audited, row_of, supervised_answers

from common.audit import prompt_key
from common.cli import UserError
from common.flags import split_name
from data import Tokenizer, encode_corpus, shift, train_bpe
from extras.corpus import MAX_DOCUMENT, open_corpus, read_documents
from extras.datasets import RowError, load_mixture, load_rows, mix, read_row

PAIR = {"instruction": "i", "input": "x", "output": "o"}
PAIR_TURNS = (("i", "x", "o"),)
NO_INPUT = (("i", "", "o"),)
TWO_TURNS = (("i1", "", "o1"), ("i2", "", "o2"))
TWO_PAIRS = [("user", "i1"), ("assistant", "o1"), ("user", "i2"), ("assistant", "o2")]


def write(folder, content, name="pairs.jsonl"):
    """Write a file, and return its path."""
    path = folder / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return path


def lines(*rows, end="\n"):
    return end.join(json.dumps(row) for row in rows) + end


def pair(number):
    return {"instruction": f"i{number}", "output": f"o{number}"}


def messages(*turns, **fields):
    return {"messages": [{"role": role, "content": text} for role, text in turns]} | fields


def sharegpt(*turns):
    return {"id": "7", "conversations": [{"from": role, "value": text} for role, text in turns]}


def answer(**fields):
    """A conversation whose answer has these fields."""
    question = {"role": "user", "content": "i"}
    return {"messages": [question, {"role": "assistant", "content": "o"} | fields]}


def read_one(folder, row):
    """Read a row beside a good one. Returns (the row or None, the reason why it was dropped)."""
    path = write(folder, lines(PAIR) + "\n" + (row if isinstance(row, str) else lines(row)))
    rows, dropped = load_rows(path)
    assert rows[0].turns == PAIR_TURNS
    if not dropped:
        assert rows[1].source == f"{path}:3"
        return rows[1], ""
    ((reason, sources),) = dropped.items()
    assert sources == [f"{path}:3"] and len(rows) == 1
    return None, reason


# ------------------------------------------------------------------------------------------------
# What is read

ODD = {"instruction": " i\r\n", "input": "\tx", "output": "\no "}
TWO_QUESTIONS = [("user", "a"), ("user", "b"), ("assistant", "o")]
READ = {
    "Alpaca": (PAIR, PAIR_TURNS),
    "Alpaca without input": ({"instruction": "i", "output": "o"}, NO_INPUT),
    "Alpaca with an input of null": (PAIR | {"input": None}, NO_INPUT),
    "Alpaca with a blank input": (PAIR | {"input": " \n"}, NO_INPUT),
    "a placeholder for an input": (PAIR | {"input": "<No input>"}, NO_INPUT),
    "an answer of None": (PAIR | {"output": "None"}, (("i", "x", "None"),)),
    "Dolly": ({"instruction": "i", "context": "x", "response": "o"}, PAIR_TURNS),
    "prompt and completion": ({"prompt": "i", "completion": "o"}, NO_INPUT),
    "FLAN": ({"inputs": "i", "targets": "o"}, NO_INPUT),
    "messages": (messages(*TWO_PAIRS), TWO_TURNS),
    "messages with a system text": (messages(("system", "S"), *TWO_PAIRS), TWO_TURNS),
    "no question": (messages(("system", "i"), ("assistant", "o")), NO_INPUT),
    "two questions": (messages(*TWO_QUESTIONS), (("a\n\nb", "", "o"),)),
    "ShareGPT": (sharegpt(("human", "i"), ("gpt", "o")), NO_INPUT),
    "both pairs of names": (answer(content=None, value="o", **{"from": None}), NO_INPUT),
    "white space is kept": (ODD, ((" i\r\n", "\tx", "\no "),)),
    "half an emoji": (PAIR | {"output": "a\ude00"}, (("i", "x", "a\ufffd"),)),
}


def test_rows_of_all_formats_in_one_file_become_their_turns(tmp_path):
    rows, dropped = load_rows(write(tmp_path, lines(*(row for row, _ in READ.values()))))
    assert not dropped
    for row, (name, (_, turns)) in zip(rows, READ.items(), strict=True):
        assert row.turns == turns, name


def test_system_task_and_check_are_read(tmp_path):
    check = {"has": ["o"]}
    row, _ = read_one(tmp_path, PAIR | {"system": "S", "category": "sums", "check": check})
    assert (row.system, row.task, row.check, row.notes) == ("S", "sums", check, ())
    row, _ = read_one(tmp_path, messages(("system", "S"), *TWO_PAIRS))
    assert (row.system, row.format) == ("S", "messages")
    row, _ = read_one(tmp_path, PAIR | {"system": None})
    assert (row.system, row.task, row.check) == ("", "", None)


LATER_SYSTEM = messages(*TWO_PAIRS[:2], ("system", "S"), *TWO_PAIRS[2:])
NOTES = {  # a row, and the field that is not read or its note
    "an unknown field": (PAIR | {"id": 3}, "id"),
    "an unknown field that says no": (PAIR | {"masked": False}, "masked"),
    "a weight that is not whole": (answer(weight=0.5), "weight"),
    "a field of a message": (answer(tool_calls=[]), "tool_calls"),
    "a column called role": (PAIR | {"role": "teacher"}, "role"),
    "a second name of the task": (PAIR | {"task": "a", "category": "b"}, "category"),
    "a check that is no object": (PAIR | {"check": "x"}, "check"),
    "a last question": (messages(*TWO_PAIRS, ("user", "i3")), "ends with a message that has no"),
    "a later system text": (LATER_SYSTEM, "has a later system message, read as part of a question"),
    "a placeholder": (PAIR | {"input": "N/A"}, "had a placeholder for an input, taken as none"),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_is_not_read_is_noted(tmp_path, name):
    row, expected = NOTES[name]
    (note,) = read_one(tmp_path, row)[0].notes
    assert note == f"has a field {expected!r} that is not read" or note.startswith(expected)


def test_a_yes_to_training_needs_no_note(tmp_path):
    for row in (answer(weight=1, train=True), PAIR | {"label": "true", "weight": None}):
        assert read_one(tmp_path, row)[0].notes == ()


# ------------------------------------------------------------------------------------------------
# What is dropped

TWICE = '{"instruction": "i", "output": "a", "output": "b"}'
FIELD = "a field that is not text"
MISSING = "missing fields"
DROPPED = {
    "cut off": ('{"instruction": "i", "outp', "not JSON"),
    "too deep": ('{"a":' * 100_000, "not JSON"),
    "a field given twice": (TWICE, "a field that is given twice"),
    "a number": (5, "not an object"),
    "no fields": ({}, MISSING),
    "no instruction": ({"input": "x", "output": "o"}, MISSING),
    "a preference": ({"prompt": "i", "chosen": "o", "rejected": "r"}, MISSING),
    "instruction is null": (PAIR | {"instruction": None}, FIELD),
    "input is an empty list": (PAIR | {"input": []}, FIELD),
    "output is a list": (PAIR | {"output": ["o"]}, FIELD),
    "blank instruction": ({"instruction": " \n", "output": "o"}, "empty instruction"),
    "blank answer": (PAIR | {"output": " \n"}, "empty answer"),
    "a placeholder for an answer": (PAIR | {"output": "<nooutput>"}, "a placeholder for an answer"),
    "a history": (PAIR | {"history": ["ok", "no"]}, "has a history"),
    "messages is null": ({"messages": None}, "messages that are not a list"),
    "messages without an answer": (messages(("user", "i")), "no answer in it"),
    "an empty second answer": (messages(*TWO_PAIRS[:3], ("assistant", "")), "empty answer"),
    "a null answer": (answer(content=None), "empty answer"),
    "an unknown role": (messages(("user", "i"), ("tool", "{}")), "unknown role 'tool'"),
    "two answers in a row": (messages(*TWO_PAIRS[:2], ("assistant", "o")), "an answer without"),
}
NOT_TRAINED = [
    answer(weight=0),
    answer(loss_weight=0.0),
    answer(weight="0"),
    answer(trainable=False),
    answer(train="No"),
    answer(loss_mask=0),
    {"prompt": "i", "completion": "o", "label": 0},
    PAIR | {"kto_tag": "false"},
]


@pytest.mark.parametrize("name", DROPPED)
def test_a_bad_row_is_dropped_with_its_reason_and_source(tmp_path, name):
    row, expected = DROPPED[name]
    row, reason = read_one(tmp_path, row)
    assert row is None and reason.startswith(expected)


@pytest.mark.parametrize("row", NOT_TRAINED)
def test_a_row_that_says_no_to_training_is_dropped(tmp_path, row):
    row, reason = read_one(tmp_path, row)
    assert row is None and reason.startswith("not to be trained on: ")


def test_the_audit_counts_reasons_notes_and_rows(tmp_path, tokenizer):
    odd = [PAIR, PAIR | {"id": 1}, PAIR | {"instruction": "a [INST] b"}, answer(weight=0), 5]
    rows, dropped = load_rows(write(tmp_path, lines(*odd)))
    _, audit = audited(rows, tokenizer, "alpaca", 4096, dropped)
    assert (audit.rows, audit.kept, audit.answers, audit.n_eos) == (5, 3, 3, 3)
    assert list(audit.to_dict()["dropped"].values()) == [1, 1]
    assert list(audit.notes.values()) == [1, 1, 1]
    output = "\n".join(audit.lines())
    assert "3 of 5 rows kept, 0 truncated (formats: alpaca 3)" in output
    assert "has a field 'id' that is not read (rows: 1)" in output
    assert f"1 dropped, not to be trained on: 'weight' is 0: {tmp_path}/pairs.jsonl:4" in output


# ------------------------------------------------------------------------------------------------
# Files

THREE = {n: ((f"i{n}", "", f"o{n}"),) for n in (1, 2, 3)}
LF = lines(*map(pair, THREE)).encode()
CRLF = LF.replace(b"\n", b"\r\n")
ARRAY = json.dumps([pair(n) for n in THREE]).encode()
FILES = {
    "LF": LF,
    "CRLF": CRLF,
    "CR": LF.replace(b"\n", b"\r"),
    "no newline at the end": LF[:-1],
    "BOM and CRLF": BOM + CRLF,
    "blank lines at the end": LF + b"\n  \n\t\r\n",
    "array": ARRAY,
    "array over many lines, BOM": BOM + b"\n" + json.dumps(json.loads(ARRAY), indent=2).encode(),
}


@pytest.mark.parametrize("content", FILES)
@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.json.gz"])
def test_rows_are_read_with_their_numbers(tmp_path, content, name):
    rows, _ = load_rows(write(tmp_path, FILES[content], name))
    assert {int(row.source.rpartition(":")[2]): row.turns for row in rows} == THREE


def test_line_separators_inside_a_text_are_no_line_ends(tmp_path):
    odd = {"instruction": "a\u2028b", "output": "c\u0085\u2029"}
    for content in (json.dumps(odd, ensure_ascii=False), json.dumps([odd], ensure_ascii=False)):
        (row,), _ = load_rows(write(tmp_path, content))
        assert row.turns == (("a\u2028b", "", "c\u0085\u2029"),)


@pytest.mark.parametrize("bad", [b'"caf\xe9"', b"\xed\xa0\x80", "{}".encode("utf-16-le")])
@pytest.mark.parametrize("number", [1, 3])
def test_bytes_that_are_not_utf8_cost_one_row(tmp_path, bad, number):
    content = LF.splitlines()
    content[number - 1] = bad
    path = write(tmp_path, b"\n".join(content))
    rows, dropped = load_rows(path)
    assert len(rows) == 2 and dropped == {"not UTF-8": [f"{path}:{number}"]}


ROW = json.dumps(PAIR)
REFUSED = {  # content, the number of the line, and what the message says
    "empty": ("", None, "empty"),
    "no row": ("[]", None, "no row is left"),
    "no usable row": ("hello\nworld\n", 1, "no row is left: not JSON"),
    "a word in an array": (f"[\n{ROW},\nnonsense,\n{ROW}]", 3, "not JSON"),
    "no comma": (f"[{ROW}\n{ROW}]", 2, "not JSON"),
    "text after an array": (f"[\n{ROW}]\nnonsense", 3, "not JSON"),
    "a number that is too long": ("[" + "1" * 5000 + "]", 1, "not JSON"),
    "a bad byte in an array": (b"[\n" + ROW.encode() + b',\n"\xff"]', 3, "not UTF-8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_read_is_an_error_of_one_line(tmp_path, name):
    content, number, message = REFUSED[name]
    path = write(tmp_path, content)
    with pytest.raises(UserError) as caught:
        load_rows(path)
    assert str(caught.value).startswith(f"{path}:{number or ''}") and message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


GZ = gzip.compress(LF * 60, mtime=0)


@pytest.mark.parametrize("content", [LF, GZ[:5], GZ[:-1], GZ[:10] + b"\xff" * 40, None])
def test_a_damaged_or_missing_gz_is_named(tmp_path, content):
    path = tmp_path / "pairs.jsonl.gz"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read: .*Give the path of a text file"):
        load_rows(path)


TEXTS = {
    "blank lines": b"\xef\xbb\xbfone\nline\n\n\n  two \r\n\r\nthree",
    "end tokens": b"one\nline\n<|endoftext|>\ntwo<|endoftext|>three\n<|endoftext|>\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_documents_of_a_text(tmp_path, name):
    path = write(tmp_path, TEXTS[name], "text.txt")
    assert list(read_documents(path)) == ["one\nline", "two", "three"]


@pytest.mark.parametrize("bad", [b"caf\xe9", "café".encode("utf-16-le")])
def test_a_text_that_is_not_utf8_is_named_with_its_line(tmp_path, bad):
    path = write(tmp_path, b"one\n\n" + bad, "text.txt")
    with pytest.raises(UserError, match=f"^{path}:3: not UTF-8"):
        list(read_documents(path))


def test_a_corpus_is_tokenized_to_a_file_again_for_every_run(tmp_path):
    tokenizer = Tokenizer(train_bpe("abc abd " * 50, 300))
    for text in ("abc\n\nabd abd\n\n가", "abd\n\nabc"):
        documents, encode_all = open_corpus(write(tmp_path, text, "text.txt"), tmp_path)
        tokens = encode_all(tokenizer)
        assert documents == text.split("\n\n") and tokens.dtype == "uint16"
        assert tokens.tolist() == encode_corpus(tokenizer, documents).tolist()


def test_a_text_without_blank_lines_comes_in_pieces_and_loses_nothing(tmp_path):
    path = write(tmp_path, "가나다 " * 600_000, "text.txt")
    documents = list(read_documents(path))
    assert len(documents) == 3 and max(map(len, documents)) <= MAX_DOCUMENT
    assert "".join(documents).replace(" ", "") == "가나다" * 600_000


# ------------------------------------------------------------------------------------------------
# Mixtures


def test_weight_and_cap_follow_the_path():
    assert split_name("a.json") == ("a.json", 1, 0)
    assert split_name("a.json:0.3") == ("a.json", 0.3, 0)
    assert split_name("a.json:.5:500") == ("a.json", 0.5, 500)
    assert split_name("C:\\a.json") == ("C:\\a.json", 1, 0)
    assert split_name("a:b:2") == ("a:b", 2, 0)


@pytest.mark.parametrize("weight", ["0", "1000", "-0.5", "nan", "1:2.5", "0.01"])
def test_a_weight_that_makes_no_sense_is_refused(tmp_path, weight):
    with pytest.raises(UserError, match="Give|Choose"):
        load_mixture([f"{write(tmp_path, lines(PAIR))}:{weight}"], 0)


def test_a_mixture_takes_shares_and_caps_its_tasks():
    a = [row_of((f"a {i}", "", "o"), task="a") for i in range(100)]
    b = [row_of((f"b {i}", "", "o"), task="b") for i in range(10)]
    assert mix([(a, 1, 0), (b, 1, 0)], 0) == a + b
    mixed = mix([(a, 0.3, 0), (b, 2, 0)], 0)
    assert len(set(mixed) & set(a)) == 30 and sum(row in b for row in mixed) == 20
    capped = Counter(row.task for row in mix([(a + b, 1, 25), (b, 1, 25)], 0))
    assert capped == {"a": 25, "b": 20}
    assert mix([(a, 1, 25)], 0) != mix([(a, 1, 25)], 1), "the seed decides which rows are taken"


def test_tasks_of_files_are_told_apart_and_are_never_those_of_the_world(tmp_path):
    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        rows = [PAIR, PAIR | {"category": "poem"}]
        paths.append(str(write(tmp_path / folder, lines(*rows), "poem.jsonl")))
    rows, _, _ = load_mixture(paths, 0)
    one, two = paths
    assert [row.task for row in rows] == [one, f"{one}: poem", two, f"{two}: poem"]


def test_held_out_prompts_are_on_one_side_and_counted_once(tmp_path):
    rows = [pair(n % 50) | {"output": f"o{n}"} for n in range(100)]
    path = str(write(tmp_path, lines(*rows)))
    rows, _, splits = load_mixture([path, path], 0)
    assert len(splits["unseen_inputs"]) == 2 * 5 and len(rows) == 2 * 90
    assert not {prompt_key(row) for row in rows} & {prompt_key(row) for row in splits["unseen_inputs"]}


def test_a_folder_of_the_world_has_its_own_held_out_splits_and_task_names(tmp_path):
    for name in ("pairs", "unseen_inputs", "unseen_tasks"):
        rows = [{"instruction": f"{name} {n}", "output": "o", "task": "poem"} for n in range(30)]
        write(tmp_path, lines(*rows), f"{name}.jsonl")
    rows, _, splits = load_mixture([str(tmp_path)], 0)
    assert splits.keys() == {"unseen_inputs", "unseen_tasks"}
    assert len(rows) == 30 and {row.task for row in rows} == {"poem"}


# ------------------------------------------------------------------------------------------------
# Public files, where this machine has them. The numbers are from their READMEs.


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip("no shared data here")
    return path


def test_dolly_loads_whole():
    rows, dropped = load_rows(shared("dolly/databricks-dolly-15k.jsonl.gz"))
    assert (len(rows), dropped) == (15_015, {})
    assert sum(not row.turns[0].input for row in rows) == 10_418  # one of them is "N/A"
    assert len(rows[1868].turns[0].output) == 26_097 and rows[1868].source.endswith(":1869")


def test_alpaca_has_empty_answers_and_placeholders():
    all_rows = json.loads(shared("alpaca/alpaca_data.json").read_text("utf-8"))
    reasons = Counter()
    for row in all_rows:
        if len(row["output"]) < 40:
            try:
                read_row(row)
            except RowError as reason:
                reasons[str(reason)] += 1
    assert reasons.keys() == {"empty answer", "a placeholder for an answer"}
    assert reasons["empty answer"] == 28
    assert 23 <= reasons["a placeholder for an answer"] <= 53  # "<nooutput>" and its spellings


def test_public_chats_keep_the_mask_contract(tokenizer):
    rows, _ = load_rows(shared("chat/dummy_conversation.json"))
    toy_rows, _ = load_rows(shared("chat/toy_chat_fine_tuning.jsonl"))
    assert (len(rows), [len(row.turns) for row in toy_rows]) == (500, [1, 4, 1, 1, 1])
    rows = rows[::10] + toy_rows[:4]  # the fifth answer is longer than this context
    examples, audit = audited(rows, tokenizer, "alpaca_preamble", 16_384)
    assert audit.kept == len(rows) and not audit.truncated
    for row, (ids, mask) in zip(rows, examples):
        answers = [f"{turn.output}<|endoftext|>" for turn in row.turns]
        assert supervised_answers(tokenizer, shift(ids, mask)[1]) == answers
