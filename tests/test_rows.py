"""The reader: known formats become the right turns; a bad row costs that row; what is refused is named in one line."""

import gzip
import json
import re

import pytest
from helpers import BOM, SHARED, audited, row_of, supervised_answers

from data import Turn, UserError, encode, prepare, render, shift
from extras import datasets
from extras.datasets import load_rows, read_documents

# ------------------------------------------------------------------------------------------------------------
# The loader: what is read

PAIR = {"instruction": "i", "input": "x", "output": "o"}
PAIR_TURNS = (("i", "x", "o"),)


def write(folder, content, name="pairs.jsonl"):
    path = folder / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return path


def lines(*rows, end="\n", **options):
    return end.join(json.dumps(row, **options) for row in rows) + end


def pair(number):
    return {"instruction": f"i{number}", "input": "", "output": f"o{number}"}


def found(path):
    """Returns {line number: turns} of the rows kept"""
    rows, _ = load_rows(path)
    assert all(row.where.startswith(f"{path}:") for row in rows)
    return {int(row.where.rpartition(":")[2]): row.turns for row in rows}


def messages(*turns):
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def conversation(*turns):
    return {"id": "identity_0", "conversations": [{"from": role, "value": text} for role, text in turns]}


NO_INPUT = (("i", "", "o"),)
TWO_PAIRS = [("user", "i1"), ("assistant", "o1"), ("user", "i2"), ("assistant", "o2")]
ODD = {"instruction": " i\r\n", "input": "\tx", "output": "\no "}

ROWS = {
    "Alpaca": (PAIR, PAIR_TURNS),
    "Alpaca without input": ({"instruction": "i", "output": "o"}, NO_INPUT),
    "Alpaca with an empty input": ({"instruction": "i", "input": "", "output": "o"}, NO_INPUT),
    "Alpaca with an input of null": ({"instruction": "i", "input": None, "output": "o"}, NO_INPUT),
    "Alpaca with more fields": (PAIR | {"id": 7, "tags": []}, PAIR_TURNS),
    "Dolly": ({"instruction": "i", "context": "x", "response": "o", "category": "open_qa"}, PAIR_TURNS),
    "Dolly without context": ({"instruction": "i", "context": "", "response": "o"}, NO_INPUT),
    "FLAN": ({"inputs": "i", "targets": "o", "task": "cola"}, NO_INPUT),
    "messages": (messages(("user", "i"), ("assistant", "o")), NO_INPUT),
    "messages, two turns": (messages(*TWO_PAIRS), (("i1", "", "o1"), ("i2", "", "o2"))),
    "messages, system": (messages(("system", "S"), *TWO_PAIRS), (("i1", "", "o1"), ("i2", "", "o2"))),
    "messages, system and no question": (messages(("system", "S"), ("assistant", "o")), (("S", "", "o"),)),
    "messages, two questions": (messages(("user", "a"), ("user", "b"), ("assistant", "o")), (("a\n\nb", "", "o"),)),
    "a placeholder for an input": (PAIR | {"input": "<No input>"}, NO_INPUT),
    "self-instruct": ({"instruction": "i", "instances": [{"input": "x", "output": "o"}]}, PAIR_TURNS),
    "natural instructions": ({"Definition": ["i"], "Instances": [{"input": "x", "output": ["o", "p"]}]}, PAIR_TURNS),
    "ShareGPT": (conversation(("human", "i"), ("gpt", "o")), NO_INPUT),
    "ShareGPT, two turns": (
        conversation(("human", "i1"), ("gpt", "o1"), ("human", "i2"), ("gpt", "o2")),
        (("i1", "", "o1"), ("i2", "", "o2")),
    ),
    "white space is kept": (ODD, ((" i\r\n", "\tx", "\no "),)),
    "an input of blanks is none": (PAIR | {"input": " \n"}, NO_INPUT),
    "prompt and completion": ({"prompt": "i", "completion": "o"}, NO_INPUT),
    "prompt and completion as messages": (
        {"prompt": messages(("user", "i"))["messages"], "completion": messages(("assistant", "o"))["messages"]}, NO_INPUT),
    "input and output": ({"input": "i", "output": "o"}, NO_INPUT),
    "content as parts": ({"messages": [{"role": "user", "content": [{"type": "text", "text": "i"}]}, {"role": "assistant",
                         "content": [{"type": "text", "value": "o"}, {"type": "text", "value": "p"}]}]}, (("i", "", "op"),)),
    "an alpaca row with its history": (PAIR | {"history": [["a", "b"]]}, (("a", "", "b"), *PAIR_TURNS)),
    "preference": ({"prompt": "i", "chosen": "o", "rejected": "r"}, NO_INPUT),
    "preference with an input": ({"instruction": "i", "input": "x", "chosen": "o", "rejected": "r"}, PAIR_TURNS),
    "preference after a conversation": (conversation(*[("human", "i1"), ("gpt", "o1"), ("human", "i2")]) | {
        "chosen": {"from": "gpt", "value": "o2"}, "rejected": {"from": "gpt", "value": "r"}},
        (("i1", "", "o1"), ("i2", "", "o2"))),
    "preference of whole conversations": ({"chosen": messages(("user", "i"), ("assistant", "o"))["messages"],
                                           "rejected": []}, NO_INPUT),
    "preference that repeats the prompt": ({"prompt": "i", "chosen": messages(("user", "i"), ("assistant", "o"))["messages"],
                                            "rejected": []}, NO_INPUT),
    "a label that says good": ({"prompt": "i", "completion": "o", "label": True}, NO_INPUT),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_every_known_format_becomes_its_turns(tmp_path, name):
    row, turns = ROWS[name]
    assert found(write(tmp_path, lines(row, PAIR))) == {1: turns, 2: PAIR_TURNS}


def test_formats_can_be_mixed_in_one_file(tmp_path):
    rows = [row for row, _ in ROWS.values()]
    assert list(found(write(tmp_path, lines(*rows))).values()) == [turns for _, turns in ROWS.values()]


def test_the_task_of_a_row_is_kept(tmp_path):
    rows, _ = load_rows(write(tmp_path, lines(PAIR | {"task": "sums"}, PAIR)))
    assert [row.task for row in rows] == ["sums", "pairs"], "else it is the file's name"


def test_a_system_text_is_kept_apart_and_its_row_says_what_it_was(tmp_path):
    (row,), _ = load_rows(write(tmp_path, lines(messages(("system", "S"), *TWO_PAIRS))))
    assert (row.system, row.format, row.turns[0].instruction) == ("S", "messages", "i1")


def test_a_task_file_over_many_lines_gives_a_row_for_every_instance(tmp_path):
    task = {"Definition": ["Add."], "Instances": [{"input": f"1 {n}", "output": [str(n + 1)]} for n in range(3)]}
    rows, _ = load_rows(write(tmp_path, json.dumps(task, indent=2), "task7_add.json"))
    assert [row.turns for row in rows] == [(("Add.", f"1 {n}", str(n + 1)),) for n in range(3)]
    assert {row.task for row in rows} == {"task7_add"} and rows[2].where.endswith("task7_add.json:1.3")


def test_a_bad_instance_costs_that_instance(tmp_path):
    some = [{"input": "x", "output": "o"}, {"input": "x", "output": ""}, {"input": "x"}, 5, {"input": "", "output": "o"}]
    task = {"instruction": "i", "instances": some}
    path = write(tmp_path, lines(PAIR, task, {"instruction": "i", "instances": []}))
    rows, dropped = load_rows(path)
    assert [row.where for row in rows] == [f"{path}:1", f"{path}:2.1", f"{path}:2.5"]
    assert sorted(sum(dropped.values(), [])) == [f"{path}:2.2", f"{path}:2.3", f"{path}:2.4", f"{path}:3"]


def test_a_file_that_is_one_bare_conversation_and_objects_one_after_another(tmp_path):
    turns = messages(*TWO_PAIRS)["messages"]
    (row,), _ = load_rows(write(tmp_path, json.dumps(turns, indent=1)))
    assert row.turns == (("i1", "", "o1"), ("i2", "", "o2"))
    content = "\n".join(json.dumps(pair(n), indent=2) for n in THREE)
    assert found(write(tmp_path, content)) == THREE
    assert found(write(tmp_path, lines(*map(pair, THREE), end="\r"))) == THREE, "the line ends of old Macs"
    rows, dropped = load_rows(write(tmp_path, lines([pair(1), pair(2)], [], [pair(3), 5])))
    assert [row.where.rpartition(":")[2] for row in rows] == ["1.1", "1.2"] and len(sum(dropped.values(), [])) == 2


def test_the_system_text_of_a_row_is_read_and_none_is_never_the_word_none(tmp_path):
    rows = [PAIR | {"system": "S"}, messages(*TWO_PAIRS) | {"system": "S"}, conversation(("human", "i"), ("gpt", "o")),
            PAIR | {"system": None}, messages(("developer", "S"), *TWO_PAIRS)]
    rows, _ = load_rows(write(tmp_path, lines(*rows)))
    assert [row.system for row in rows] == ["S", "S", "", "", "S"]
    texts = ["".join(text for text, _ in render(row.turns, "chatml", row.system)) for row in rows]
    assert [text.startswith("<|im_start|>system\nS<|im_end|>\n") for text in texts] == [True, True, False, False, True]


def test_what_is_not_to_be_learned_is_left_out_and_what_is_not_read_is_counted(tmp_path, tokenizer):
    weighed = [{"role": "user", "content": "i"}, {"role": "assistant", "content": "o", "weight": 0}]
    odd = [{"messages": weighed}, {"prompt": "i", "completion": "o", "label": False}, PAIR | {"tools": "[]", "id": 3},
           PAIR | {"images": ["a.png"], "rejected": "r", "empty": ""}, messages(*TWO_PAIRS[:2], ("assistant", "again")),
           {"messages": weighed[:1] + [{"role": "assistant", "content": "o", "tool_calls": [1]}]},
           messages(*TWO_PAIRS[:2], ("user", "more"), ("assistant", "o1"))]
    rows, dropped = load_rows(write(tmp_path, lines(*odd)))
    assert {reason: len(places) for reason, places in dropped.items()} == {
        "an answer of weight 0": 1, "an answer labelled as bad": 1, "two answers in a row": 1}
    _, found = audited(rows, tokenizer, "alpaca", 4096, dropped)
    said = "\n".join(found.lines())
    for field in ("tools", "id", "images", "rejected", "tool_calls"):
        assert f"1 have a field '{field}' that is not read" in said
    assert "'empty'" not in said and "1 say an answer twice in one conversation" in said
    assert "5 answers (assistant turns), 5 supervised eos" in said and "4 of 7 rows kept" in said


def test_a_conversation_is_kept_up_to_an_answer_of_weight_0(tmp_path, tokenizer):
    """It cannot be context only: in every template an answer ends with a supervised eos."""
    rows = [messages(*TWO_PAIRS, ("user", "i3"), ("assistant", "o3")) for _ in range(4)]
    for n, row in enumerate(rows[:3]):
        row["messages"][2 * n + 1]["weight"] = 0
    rows, dropped = load_rows(write(tmp_path, lines(*rows)))
    assert [[turn.output for turn in row.turns] for row in rows] == [["o1"], ["o1", "o2"], ["o1", "o2", "o3"]]
    assert {reason: len(places) for reason, places in dropped.items()} == {"an answer of weight 0": 1}
    said = "\n".join(audited(rows, tokenizer, "alpaca", 4096, dropped)[1].lines())
    assert "2 go on with an answer of weight 0, from which on nothing is read" in said
    assert "1 dropped, an answer of weight 0" in said and "3 of 4 rows kept" in said and "has no answer" not in said


def test_what_is_read_in_part_is_counted(tmp_path):
    task = {"Definition": ["Add."], "Instances": [{"input": "1", "output": ["2", "two"]}, {"input": "2", "output": ["3"]}]}
    odd = [task, messages(*TWO_PAIRS, ("user", "and?"))]
    path = write(tmp_path, lines(*odd) + '{"instruction": "i", "output": "a", "output": "b"}\n')
    rows, dropped = load_rows(path)
    assert not dropped and [row.notes for row in rows] == [
        ("have a field 'other outputs' that is not read",), (), ("end with a message that has no answer and is not read",),
        ("have a field 'an earlier one of the same name' that is not read",)]
    assert rows[3].turns[0].output == "b"


@pytest.mark.parametrize("template", datasets.TEMPLATES)
def test_every_turn_begins_with_all_the_tokens_of_the_turns_before_it(tokenizer, template):
    turns = [Turn(f"ask {n}", "cat" * (n % 2), "sat") for n in range(4)]
    seen = []
    for n in range(1, 5):
        prompt, _, _ = encode(render([*turns[: n - 1], turns[n - 1]._replace(output=None)], template, "S"), tokenizer, 999)
        whole, mask, _ = encode(render(turns[:n], template, "S"), tokenizer, 999)
        assert prompt[: len(seen)] == seen and whole[: len(prompt)] == prompt
        assert 0 < sum(mask) < len(mask) and sum(mask[len(prompt) :]) == len(whole) - len(prompt)
        seen = whole


def test_lists_of_turns_line_by_line_and_as_one_array(tmp_path):
    turns = messages(*TWO_PAIRS)["messages"]
    for content in (lines(turns, turns), json.dumps([turns, turns])):
        assert [len(row.turns) for row in load_rows(write(tmp_path, content))[0]] == [2, 2]


def test_a_placeholder_for_an_answer_is_no_answer(tmp_path):
    rows, dropped = load_rows(write(tmp_path, lines(PAIR, PAIR | {"output": "<nooutput>"}, PAIR | {"output": "None"})))
    assert len(rows) == 2 and list(dropped) == ["a placeholder for an answer"]


def rows_of(task, n):
    return [row_of((f"{task} {i}", "", "o"), task=task) for i in range(n)]


def test_a_mixture_takes_shares_and_caps_its_tasks():
    a, b = rows_of("a", 100), rows_of("b", 10)
    assert datasets.mix([(a, 1, 0), (b, 1, 0)], 0) == a + b
    mixed = datasets.mix([(a, 0.3, 0), (b, 2, 0)], 0)
    assert len(set(mixed) & set(a)) == 30 and sum(row in b for row in mixed) == 20
    capped = datasets.mix([(a + b, 1, 25), (b, 1, 25)], 0)
    assert sum(row.task == "a" for row in capped) == 25 and sum(row.task == "b" for row in capped) == 20
    assert datasets.mix([(a, 1, 25)], 0) != datasets.mix([(a, 1, 25)], 1), "which rows are taken is drawn"


NAMES = {"a.json:0.3": ("a.json", 0.3, 0), "a.json": ("a.json", 1, 0), "C:\\a.json": ("C:\\a.json", 1, 0),
         "a:b:2": ("a:b", 2, 0), "a.json:.5:500": ("a.json", 0.5, 500), "out/": ("out/", 1, 0)}


@pytest.mark.parametrize("weight", ["-0.5", "0", "nan", "inf", "-inf", "1e9", "1000000000", "1:-3", "1:2.5", "1.2.3"])
def test_a_weight_that_makes_no_sense_is_refused(weight):
    with pytest.raises(UserError, match="choose a weight from"):
        datasets.split_name(f"a.json:{weight}")


def test_a_weight_that_leaves_nothing_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(UserError, match="no row is left at this weight"):
        datasets.load_mixture([f"{write(tmp_path, lines(PAIR))}:0.01"], 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_and_a_cap_stand_behind_the_last_colons(name):
    assert datasets.split_name(name) == NAMES[name]


def test_a_folder_of_the_world_brings_its_own_held_out_splits(tmp_path):
    for name in ("pairs", "unseen_inputs", "unseen_tasks"):
        write(tmp_path, lines(*({"instruction": f"{name} {n}", "output": "o"} for n in range(30))), f"{name}.jsonl")
    rows, _, splits, _ = datasets.load_mixture([str(tmp_path)], 0)
    assert len(rows) == 30 and {name: len(split) for name, split in splits.items()} == {"unseen_inputs": 30, "unseen_tasks": 30}
    rows, _, splits, _ = datasets.load_mixture([f"{tmp_path}/pairs.jsonl"], 0)
    assert len(rows) == 27 and len(splits["unseen_inputs"]) == 3, "a file is split by prompt"


def test_the_audit_notes_what_looks_odd(tmp_path, tokenizer):
    odd = [PAIR, PAIR, PAIR | {"instruction": "a [INST] b"}, PAIR | {"input": "n/a"}, PAIR | {"output": "x </s>"}]
    rows, dropped = load_rows(write(tmp_path, lines(*odd)))
    _, audit = audited(rows, tokenizer, "alpaca", 4096, dropped)
    assert list(audit.notes.values()) == [2, 2, 1], audit.notes
    assert audit.formats == {"alpaca": 5} and audit.dropped == {}


THREE = {n: ((f"i{n}", "", f"o{n}"),) for n in (1, 2, 3)}
LF, CRLF = (lines(*map(pair, THREE), end=end).encode() for end in ("\n", "\r\n"))

FILES = {
    "LF": LF,
    "CRLF": CRLF,
    "no newline at the end": LF[:-1],
    "no CRLF at the end": CRLF[:-2],
    "BOM": BOM + LF,
    "BOM and CRLF": BOM + CRLF,
    "blank lines at the end": LF + b"\n  \n\t\r\n",
    "array": b"[" + LF[:-1].replace(b"\n", b",\n") + b"]",
    "array, BOM and CRLF": BOM + b"[" + CRLF[:-2].replace(b"\r", b",\r") + b"]\r\n",
    "array, commas first": b"[" + LF.replace(b"\n{", b"\n, {") + b"]\n\n",
}


@pytest.mark.parametrize("content", FILES)
@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz", "pairs.json"])
def test_rows_are_read_with_their_line_numbers(tmp_path, content, name):
    assert found(write(tmp_path, FILES[content], name)) == THREE


def test_blank_lines_count_as_lines(tmp_path):
    content = "\n\n" + lines(pair(1)) + "  \n\t\n" + lines(pair(2)) + "\r\n" + lines(pair(3))
    assert found(write(tmp_path, content)) == {3: THREE[1], 6: THREE[2], 8: THREE[3]}


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_line_separators_inside_a_text_are_no_line_ends(tmp_path, mark):
    odd = {"instruction": f"a{mark}b", "input": f"{mark}x", "output": f"{mark}c"}
    turns = ((f"a{mark}b", f"{mark}x", f"{mark}c"),)
    assert found(write(tmp_path, lines(odd, pair(2), ensure_ascii=False))) == {1: turns, 2: THREE[2]}
    array = json.dumps([odd, pair(2)], ensure_ascii=False, indent=0)
    assert found(write(tmp_path, array)) == {1: turns, 2: THREE[2]}


def test_an_array_over_many_lines_counts_its_elements(tmp_path):
    content = json.dumps([pair(1), pair(2), pair(3)], indent=4)
    assert found(write(tmp_path, content)) == found(write(tmp_path, "\n \n" + content)) == THREE


def test_brackets_and_commas_inside_texts_do_not_end_an_array(tmp_path):
    odd = {"instruction": "], [", "input": '"},\n{', "output": ",]"}
    rows, _ = load_rows(write(tmp_path, json.dumps([odd, pair(2)])))
    assert [row.turns for row in rows] == [(("], [", '"},\n{', ",]"),), THREE[2]]


def test_a_half_character_from_an_escape_does_not_stop_the_run(tmp_path, tokenizer):
    rows, _ = load_rows(write(tmp_path, lines({"instruction": "\ud83d?", "output": "a\ude00"})))
    examples, _, _ = prepare(rows, tokenizer, "alpaca", 4096)
    assert supervised_answers(tokenizer, shift(*examples[0])[1]) == ["a\ufffd<|endoftext|>"]
    assert "\ud83d" not in rows[0].turns[0].instruction


def test_a_line_too_long_for_the_memory_is_refused_with_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "LONGEST", (50, 300))
    rows, dropped = load_rows(write(tmp_path, lines(PAIR, PAIR | {"output": "o" * 60}, *map(pair, THREE), *map(pair, THREE))))
    assert len(rows) == 7 and list(dropped) == ["longer than 50 letters"]
    for content in (lines(PAIR | {"output": "o" * 400}), json.dumps([pair(n) for n in range(20)], indent=1)):
        assert "longer than 300 letters" in user_error(write(tmp_path, content))


# ------------------------------------------------------------------------------------------------------------
# The loader: what is refused


BAD_ROWS = {
    "cut off": '{"instruction": "i", "outp',
    "plain text": "hello",
    "two rows on a line": json.dumps(PAIR) * 2,
    "single quotes": str(PAIR),
    "a number": 5,
    "a text": "text",
    "null": None,
    "a list": ["i", "x", "o"],
    "true": True,
    "no fields": {},
    "no instruction": {"context": "x", "output": "o"},
    "no output": {"instruction": "i", "input": "x"},
    "other fields": {"question": "i", "answer": "o"},
    "instruction is a number": PAIR | {"instruction": 5},
    "instruction is null": PAIR | {"instruction": None},
    "instruction is a list": PAIR | {"instruction": ["i"]},
    "input is a number": PAIR | {"input": 5},
    "input is zero": PAIR | {"input": 0},
    "input is false": PAIR | {"input": False},
    "input is a list": PAIR | {"input": ["x"]},
    "input is an empty list": PAIR | {"input": []},
    "input is an object": PAIR | {"input": {"x": 1}},
    "output is a number": PAIR | {"output": 5},
    "output is null": PAIR | {"output": None},
    "output is a list": PAIR | {"output": ["o"]},
    "output is true": PAIR | {"output": True},
    "empty instruction": {"instruction": "", "output": "o"},
    "blank instruction": {"instruction": " \n\t", "input": " ", "output": "o"},
    "empty answer": PAIR | {"output": ""},
    "blank answer": PAIR | {"output": " \n"},
    "Dolly with a null response": {"instruction": "i", "context": "", "response": None},
    "FLAN with empty targets": {"inputs": "i", "targets": ""},
    "messages is null": {"messages": None},
    "messages is a text": {"messages": "i"},
    "messages is empty": {"messages": []},
    "messages without an answer": messages(("system", "S"), ("user", "i")),
    "messages with an empty second answer": messages(*TWO_PAIRS[:3], ("assistant", "")),
    "messages with a null answer": messages(("user", "i"), ("assistant", None)),
    "messages with a number as question": messages(("user", 5), ("assistant", "o")),
    "messages with a picture": messages(("user", [{"type": "image_url", "image_url": "i"}]), ("assistant", "o")),
    "messages with an unknown role": messages(("user", "i"), ("tool", "{}"), ("assistant", "o")),
    "messages without a question": messages(("assistant", "o")),
    "messages of texts": {"messages": ["i", "o"]},
    "a message without its role": {"messages": [{"content": "i"}, {"role": "assistant", "content": "o"}]},
    "a message without its text": {"messages": [{"role": "user"}, {"role": "assistant", "content": "o"}]},
    "ShareGPT without an answer": {"conversations": [{"from": "human", "value": "i"}]},
}
NOT_JSON = ["cut off", "plain text", "two rows on a line", "single quotes"]


def as_line(name):
    return BAD_ROWS[name] if name in NOT_JSON else json.dumps(BAD_ROWS[name])


def user_error(path, **options):
    """Returns the message, which is one line and names the file"""
    with pytest.raises(UserError) as caught:
        load_rows(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}:"), message
    assert message.splitlines() == [message]
    return message


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_left_out_and_counted_with_its_place(tmp_path, name):
    path = write(tmp_path, lines(pair(1)) + "\n" + as_line(name) + "\n" + lines(pair(2)))
    rows, dropped = load_rows(path)
    assert [row.turns for row in rows] == [THREE[1], THREE[2]]
    assert list(dropped.values()) == [[f"{path}:3"]]
    assert all(reason.strip() for reason in dropped)


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_an_error_at_its_place_when_strict(tmp_path, name):
    path = write(tmp_path, lines(pair(1)) + "\n" + as_line(name) + "\n" + lines(pair(2)))
    assert user_error(path, strict=True).startswith(f"{path}:3: ")


@pytest.mark.parametrize("name", [name for name in BAD_ROWS if name not in NOT_JSON])
def test_a_bad_row_in_an_array_is_left_out_and_counted_with_its_place(tmp_path, name):
    content = f"[\n{json.dumps(pair(1))},\n{as_line(name)},\n\n{json.dumps(pair(2))}\n]"
    path = write(tmp_path, content, "pairs.json")
    rows, dropped = load_rows(path)
    assert [row.where for row in rows] == [f"{path}:1", f"{path}:3"]
    assert list(dropped.values()) == [[f"{path}:2"]]
    assert user_error(path, strict=True).startswith(f"{path}:2: ")


def test_bad_rows_are_counted_by_reason(tmp_path):
    bad = [PAIR | {"output": ""}, 5, PAIR | {"output": "\n"}, PAIR, None, {"instruction": "", "output": "o"}]
    path = write(tmp_path, lines(*bad) + "nonsense\n")
    _, dropped = load_rows(path)
    assert sorted(dropped.values()) == [[f"{path}:{n}" for n in group] for group in ([1, 3], [2, 5], [6], [7])]
    assert dropped["empty answer"] == [f"{path}:1", f"{path}:3"]
    assert dropped["empty instruction"] == [f"{path}:6"]


def test_good_rows_are_no_error_when_strict(tmp_path):
    rows, dropped = load_rows(write(tmp_path, lines(*(row for row, _ in ROWS.values()))), strict=True)
    assert len(rows) == len(ROWS) and not dropped


@pytest.mark.parametrize("name", ["no.jsonl", "no.jsonl.gz", "no/such/folder.json"])
def test_a_missing_file_is_named(tmp_path, name):
    user_error(tmp_path / name)
    user_error(str(tmp_path / name))


@pytest.mark.parametrize("name", ["folder", "folder.gz"])
def test_a_folder_is_not_a_file(tmp_path, name):
    (tmp_path / name).mkdir()
    user_error(tmp_path / name)


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
@pytest.mark.parametrize("content", [b"", BOM, b"\n", b" \r\n\t\n", BOM + b"\n \n"])
def test_a_file_without_text_is_named(tmp_path, content, name):
    assert "empty" in user_error(write(tmp_path, content, name))


BAD_BYTES = b'{"instruction": "caf\xe9", "output": "o"}'


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
@pytest.mark.parametrize("bom", [b"", BOM], ids=["", "BOM"])
@pytest.mark.parametrize("bad", [BAD_BYTES, b"\xff", b"\xed\x95", BAD_BYTES[:-2] + b"\xed\xa0\x80\"}"], ids=str)
def test_a_bad_byte_costs_one_row(tmp_path, bad, bom, name):
    good = lines(pair(1)).encode()
    path = write(tmp_path, bom + good + bad + b"\n" + good, name)
    rows, dropped = load_rows(path)
    assert [row.turns for row in rows] == [THREE[1]] * 2 and dict(dropped) == {"not UTF-8": [f"{path}:2"]}
    assert user_error(path, strict=True).startswith(f"{path}:2: not UTF-8")


@pytest.mark.parametrize("bom", [b"", BOM], ids=["", "BOM"])
def test_a_bad_byte_in_an_array_costs_one_row(tmp_path, bom):
    good = json.dumps(pair(1)).encode()
    path = write(tmp_path, bom + b"[" + good + b",\n" + BAD_BYTES + b", " + good + b"]")
    rows, dropped = load_rows(path)
    assert len(rows) == 2 and dict(dropped) == {"not UTF-8": [f"{path}:2"]}


NOT_UTF8 = [(b"\xff", 1), (b"a\n\xff", 2), (b"a\n\n\xff\n", 3), (b"a\nab\xff\n", 2), (b"a\n\nabcdefgh \xed\x95", 3)]


@pytest.mark.parametrize(("content", "line"), NOT_UTF8)
def test_a_text_that_is_not_utf8_is_named_with_the_line(tmp_path, content, line):
    path = write(tmp_path, content, "text.txt")
    with pytest.raises(UserError, match=re.escape(f"{path}:{line}: not UTF-8")):
        list(read_documents(path))


GZ = gzip.compress(LF * 60, mtime=0)


@pytest.mark.parametrize("length", [1, 5, 12, len(GZ) // 2, len(GZ) - 9, len(GZ) - 4, len(GZ) - 1])
def test_a_gz_that_was_cut_off_is_named(tmp_path, length):
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(GZ[:length])
    user_error(path)


@pytest.mark.parametrize("content", [LF, GZ[:10] + b"\xff" * 40], ids=["plain text", "damaged"])
def test_a_gz_that_is_none_or_is_damaged_is_named(tmp_path, content):
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(content)
    user_error(path)


ROW = json.dumps(PAIR)
BAD_ARRAYS = {
    "not closed": (f"[\n{ROW},\n{ROW}\n", None),
    "closed inside a row": (f"[\n{ROW},\n{ROW[:-9]}\n]", 3),
    "cut off after a comma": (f"[{ROW},", 1),
    "nothing but a bracket": ("[", 1),
    "a word in it": (f"[\n{ROW},\nnonsense,\n{ROW}]", 3),
    "single quotes": (f"[\n\n{PAIR}]", 3),
    "a brace that is not closed": ('[\n{"instruction": "i",\n"output": "o"\n', None),
    "no comma between rows": (f"[{ROW}\n{ROW}]", None),
    "two commas between rows": (f"[{ROW},\n,{ROW}]", None),
    "text after it on many lines": (f"[\n{ROW}]\nnonsense", 3),
    "too deep": ("[" * 100_000, 1),
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_an_array_that_is_not_json_is_named(tmp_path, name, strict):
    content, line = BAD_ARRAYS[name]
    with pytest.raises((ValueError, RecursionError)):  # Python's reader of whole files refuses it
        json.loads(content)
    path = write(tmp_path, content, "pairs.json")
    message = user_error(path, strict=strict)
    assert message.startswith(f"{path}:{line}: " if line else f"{path}:")


def test_a_row_that_is_too_deep_is_a_bad_row(tmp_path):
    path = write(tmp_path, lines(PAIR) + '{"a":' * 100_000 + "\n")
    rows, dropped = load_rows(path)
    assert len(rows) == 1 and list(dropped.values()) == [[f"{path}:2"]]


NO_ROWS = ["[]", " [ ]\n", "{}", "[{}]", "hello\nworld\n", lines(PAIR | {"output": ""}), "5"]


@pytest.mark.parametrize("content", NO_ROWS)
def test_a_file_without_a_usable_row_is_named(tmp_path, content):
    user_error(write(tmp_path, content))
    user_error(write(tmp_path, content), strict=True)


# ------------------------------------------------------------------------------------------------------------
# Public files, where this machine has them. The numbers are from their READMEs, or read here by json alone.


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip("no shared data here")
    return path


def test_dolly_loads_whole():
    path = shared("dolly/databricks-dolly-15k.jsonl.gz")
    rows, dropped = load_rows(path, strict=True)
    assert (len(rows), dict(dropped)) == (15_015, {})
    assert sum(not row.turns[0][1] for row in rows) == 10_418  # and one "N/A"
    assert len(rows[1868].turns[0][2]) == 26_097 and rows[1868].where == f"{path}:1869"
    assert rows[266].turns == rows[7681].turns


def test_alpaca_loads_but_for_its_empty_outputs():
    path = shared("alpaca/alpaca_data.json")
    rows, dropped = load_rows(path)
    empty = [
        284, 1223, 1347, 1736, 7723, 9038, 11263, 11355, 11471, 14634, 15015, 23488, 24322, 24449, 24541,
        25034, 28250, 30605, 31653, 32425, 35802, 44274, 45538, 46258, 46811, 49181, 49248, 51388,
    ]
    nothing = len(dropped["a placeholder for an answer"])  # "<nooutput>" and its spellings
    assert len(rows) == 52_002 - 28 - nothing and 23 <= nothing <= 53
    assert dropped["empty answer"] == [f"{path}:{n + 1}" for n in empty]
    assert sum("had a placeholder for an input, taken as none" in row.notes for row in rows) > 600
    assert rows[-1].where == f"{path}:52002"


def test_the_book_set_loads_whole():
    rows, dropped = load_rows(shared("rasbt_ch07/instruction-data.json"), strict=True)
    assert (len(rows), sum(not row.turns[0][1] for row in rows), dict(dropped)) == (1_100, 775, {})


def test_seed_tasks_load_by_their_instances():
    rows, dropped = load_rows(shared("alpaca/seed_tasks.jsonl"))
    assert len(rows) + sum(map(len, dropped.values())) == 175 and {row.format for row in rows} == {"alpaca"}


def test_sharegpt_conversations_load_turn_by_turn():
    path = shared("chat/dummy_conversation.json")
    rows, dropped = load_rows(path, strict=True)
    expected = []
    for row in json.loads(path.read_text("utf-8")):
        values = [message["value"] for message in row["conversations"]]
        expected.append(tuple((q, "", a) for q, a in zip(values[::2], values[1::2])))
    assert [row.turns for row in rows] == expected and len(rows) == 500 and not dropped


def test_openai_messages_load_with_all_their_turns(tokenizer):
    path = shared("chat/toy_chat_fine_tuning.jsonl")
    rows, _ = load_rows(path, strict=True)
    system = "You are a happy assistant that puts a positive spin on everything."
    assert [len(row.turns) for row in rows] == [1, 4, 1, 1, 1]
    assert (rows[0].system, rows[0].turns[0][0]) == (system, "I fell off my bike today.")
    assert rows[1].system == system and not any(system in turn[0] for turn in rows[1].turns)
    assert rows[2].turns[0][0] == "I lost my book today."  # no system text
    assert rows[3].turns == ((system, "", "You're great!"),)  # no question: the system text is all there is
    assert rows[4].turns[0][2] == "Eat a banana!" * 2000

    examples, audit = audited(rows, tokenizer, "alpaca", 1024)
    assert dict(audit.dropped) == {"does not fit in the context": [f"{path}:5"]}
    assert examples[1][0].count(tokenizer.eos_id) == 4


def test_public_rows_keep_the_mask_contract(tokenizer):
    rows, _ = load_rows(shared("chat/dummy_conversation.json"))
    rows += load_rows(shared("rasbt_ch07/instruction-data.json"))[0]
    for template in ("alpaca", "alpaca_preamble", "plain"):
        examples, audit = audited(rows[::10], tokenizer, template, 4096)
        assert audit.kept == len(rows[::10]) and not audit.trimmed
        for row, (ids, mask) in zip(rows[::10], examples):
            assert supervised_answers(tokenizer, shift(ids, mask)[1]) == [y + "<|endoftext|>" for _, _, y in row.turns]
