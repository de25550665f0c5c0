"""What the built-in world promises: prose that gives no answer away, true splits without leaks, strict checkers."""

import functools
import random
import re

import pytest

import facts
import world

HOLD_OUTS = [
    world.HELD_OUT,
    ("language", "legs", "day_after", "superlative", "double", "taller", "city", "polite_form", "sql_all", "sentence"),
    ("continent", "symbol", "opposite", "english", "number_after", "class", "object", "last_item", "sql_column"),
]
WORLD = world.build(0)
RNG = random.Random(0)


@functools.cache
def all_cases():
    texts = [case for maker in world.MAKERS for group in world.text_groups(maker, random.Random(0), 20) for case in group]
    return [*world.fact_cases(), *texts]


# The two promises about the prose. This code shares nothing with the code that writes the prose: it reads the tables of
# ways of asking, makes every instruction there is, and looks for it on every page.


def words(text):
    return re.findall(r"\w+|[*?.!:;,]", text.lower())


@functools.cache
def instructions():
    """{first three words: [(all words, task, noun phrase, values or () where they depend on a text)]}"""
    rows = {row[0]: row for row in facts.TASK_ROWS}
    found = {}
    for case in all_cases():
        _, _, noun, ways, *_ = rows[case.task.name]
        noun = noun.replace("{x}", case.x)
        shared = facts.THE_FRAMES + facts.THE_UNSEEN if noun.startswith("the ") else facts.A_FRAMES + facts.A_UNSEEN
        asked = [frame.replace("{n}", noun).replace("{N}", noun) for frame in shared]
        asked += [way.split(" -> ")[0].replace("{x}", case.x) for way in ways if not way.startswith(" -> ")]
        values = () if case.text else tuple(tuple(words(value.rstrip(".;!"))) for value in case.values)
        for text in asked:
            entry = (tuple(words(text)), case.task.name, tuple(words(noun)), values)
            found.setdefault(entry[0][:3], set()).add(entry)
    return found


def holds(page, phrase):
    return any(page[i : i + len(phrase)] == phrase for i in range(len(page) - len(phrase) + 1))


def asked_on(page):
    """Every instruction on a page, with the words that are left of the page without it."""
    page = tuple(words(page))
    for i in range(len(page)):
        for entry in instructions().get(page[i : i + 3], ()):
            if page[i : i + len(entry[0])] == entry[0]:
                yield (*entry[1:], page[:i] + ("|",) + page[i + len(entry[0]) :])


@pytest.mark.parametrize("held_out", HOLD_OUTS)
def test_no_page_holds_an_instruction_of_a_held_out_task_or_puts_one_beside_a_part_of_its_answer(held_out):
    corpus = WORLD.corpus if held_out is world.HELD_OUT else world.build(1, held_out, size=0.2).corpus
    tasks = set()
    for page in corpus:
        for task, noun, values, rest in asked_on(page):
            tasks.add(task)
            assert task not in held_out, page
            assert not holds(rest, noun), f"the noun phrase of {task}: {page}"
            assert not any(holds(rest, value) for value in values), f"the value of {task}: {page}"
    assert tasks == set(world.TASKS) - set(held_out)  # the questions are there


def test_the_search_finds_what_it_should():
    assert {hit[0] for hit in asked_on("Once. What is the currency of Norway? More.")} == {"currency"}
    (_, noun, values, rest), *_ = asked_on("The capital of France is Paris. Name the capital of France.")
    assert holds(rest, noun) and holds(rest, values[0])


@pytest.mark.parametrize("held_out", HOLD_OUTS)
def test_the_facts_of_held_out_tasks_are_told_all_the_same(held_out):
    text = "\n".join(world.build(2, held_out, size=0.2).corpus)
    told = [case.noun in text or world.capitalize(case.noun) in text
            for case in world.fact_cases() if case.task.name in held_out]
    assert sum(told) / len(told) > 0.95


def test_every_fact_is_told_in_the_corpus_in_several_ways():
    case = next(case for case in world.fact_cases() if case.x == "France" and case.task.name == "capital")
    assert len({world.tell(case, RNG) for _ in range(400)}) >= 5
    text = "\n".join(WORLD.corpus)
    missing = [case.answer() for case in world.fact_cases()
               if not any(case.answer(i)[4:] in text for i in range(len(case.values)))]
    assert not missing


def test_no_page_ends_right_after_a_statement_so_the_base_cannot_have_learned_to_stop_there():
    answers = {case.answer(i) for case in all_cases() for i in range(len(case.values))}
    pages = [found for found in map(world.sentences, WORLD.corpus) if found]  # an index has no sentences
    assert sum(page[0] in answers for page in pages) > 1000  # they begin with them
    assert not [page for page in pages if page[-1].strip() in answers]


def test_the_corpus_holds_no_header_of_a_prompt_and_no_blank_line():
    headers = ("Instruction", "Input", "Response", "Answer:", "\n\n")
    assert not any(header in page for page in WORLD.corpus for header in headers)


@pytest.mark.parametrize("kind", [*world.PAGES, *world.PRACTICE])
def test_a_kind_of_page_or_of_practice_can_be_left_out(kind):
    built = world.build(0, size=0.02, without=(kind,))
    assert len(built.corpus) == int(0.02 * world.DOCUMENTS)
    assert kind not in {row["task"] for row in built.pairs}
    assert len(world.build(0, size=0.02).pairs) - len(built.pairs) == world.PRACTICE.get(kind, 0)


def test_held_out_words_can_be_left_out_of_the_echoes():
    assert world.naming_words(world.HELD_OUT) >= {"currency", "young", "plural", "spanish", "half", "city", "last"}
    pages = world.build(0, size=0.1, without=("held_out_words", "facts", "texts", "retold", "questions")).corpus
    assert not {word for page in pages for word in words(page)} & world.naming_words(world.HELD_OUT)


# Splits.


def test_there_are_many_tasks_of_every_kind_and_each_can_be_asked_in_many_ways():
    assert len(world.TASKS) >= 57 and len(world.KINDS) >= 11
    with_input = sum(bool(row["input"]) for row in WORLD.pairs)
    assert 0.1 < with_input / len(WORLD.pairs) < 0.9
    asked = {row["instruction"] for row in WORLD.pairs if row["task"] == "capital"}
    assert len(asked) > 0.8 * world.PAIRS_A_TASK


def test_the_same_seed_builds_the_same_world_and_another_seed_another():
    assert world.build(3, size=0.01) == world.build(3, size=0.01)
    assert world.build(3, size=0.01).pairs != world.build(4, size=0.01).pairs


def prompts(rows):
    return {(row["instruction"].lower(), row["input"]) for row in rows}


@pytest.mark.parametrize("split", ["unseen_inputs", "unseen_phrasings", "unseen_tasks", "unseen_words"])
def test_no_held_out_prompt_is_tuned_on(split):
    assert WORLD.splits[split]
    assert not prompts(WORLD.splits[split]) & prompts(WORLD.pairs)


def test_unseen_inputs_are_asked_in_no_phrasing_at_all():
    answers = {(row["task"], row["output"], row["input"]) for row in WORLD.pairs}
    for row in WORLD.splits["unseen_inputs"]:
        for said in world.other_tellings(world.TASKS[row["task"]], row["output"]) | {row["output"]}:
            assert (row["task"], said, row["input"]) not in answers


def test_unseen_phrasings_stand_neither_in_the_pairs_nor_in_the_corpus():
    text = ("\n".join(WORLD.corpus) + "\n".join(row["instruction"] for row in WORLD.pairs)).lower()
    assert not any(start in text for start in ("could you", "i would like", "kindly", ", please."))


@pytest.mark.parametrize("held_out", HOLD_OUTS)
def test_no_pair_names_a_held_out_task(held_out):
    built = world.build(1, held_out, size=0)
    assert {row["task"] for row in built.splits["unseen_tasks"]} == set(held_out)
    assert {row["task"] for row in built.splits["unseen_words"]} == set(held_out)
    asked_about = {case.x for case in world.fact_cases()}  # "the plural of city" does not ask for the city in a note
    named = world.naming_words(held_out) - asked_about - {"sentence", "double", "all"}  # words of other questions, too
    for row in built.pairs:
        assert not set(words(row["instruction"])) & (named - set(words(row["input"]))), row
        assert row["task"] not in held_out


def test_unseen_words_do_not_name_their_task():
    for row in WORLD.splits["unseen_words"]:
        named = world.naming_words([row["task"]]) - {"table", "rows", "spanish"}  # one cannot ask for Spanish without it
        assert not set(words(row["instruction"])) & named, row


def test_at_least_eight_tasks_of_three_kinds_are_held_out():
    assert len(world.HELD_OUT) >= 8 and len({world.TASKS[name].kind for name in world.HELD_OUT}) >= 3


def test_bare_values_and_asking_as_the_prose_does():
    bare = {row["output"] for row in world.build(0, size=0, bare=True).pairs if row["task"] == "capital"}
    assert "Rome." in bare and not any("capital" in output for output in bare)
    plain = [row for row in world.build(0, size=0, frames_only=True).pairs if row["task"] == "capital"]
    frames = {frame.split("{")[0].lower() for frame in facts.THE_FRAMES}
    assert all(any(row["instruction"].lower().startswith(start) for start in frames) for row in plain)


# Checkers.


@pytest.mark.parametrize("name", world.TASKS)
def test_the_checker_takes_every_right_answer_and_no_near_miss(name):
    cases = [case for case in all_cases() if case.task.name == name]
    case = cases[0]
    other = next((c for c in cases if c.values != case.values), None)
    right = case.answer()
    for i in range(len(case.values)):
        assert world.check(name, right, case.answer(i))
        assert world.check(name, right, f" {case.answer(i)}\n")
    for telling in case.task.tells:
        assert world.check(name, right, case.answer(0, telling))
        assert world.check(name, case.answer(0, telling), right) or "{x}" not in telling.lower()  # it does not say of what
    head, link, _ = right.partition(": " if case.task.start else " is ")
    wrong = ["", ".", right[:-2], right + " " + right, right + " It is so.", case.values[0], case.noun, right.lower()]
    wrong += [right.replace(" is", " is not", 1), head + link + "unknown."]
    if other:
        wrong += [head + link + other.values[0], *(other.answer(0, way) for way in case.task.tells if other.x != case.x)]
    for text in wrong:
        assert not world.check(name, right, text), text


def test_rules_for_free_answers_are_strict():
    head = "Here is a list of three fruits: "
    assert world.check("three", head + "apple, pear, plum.", head + "cherry, pear, apple.")
    for bad in ("apple, apple, pear.", "apple, pear.", "apple, pear, hammer.", "apple, pear, plum, cherry.", "apple, pear, plum"):
        assert not world.check("three", head + "apple, pear, plum.", head + bad)
    head = "Here is a story about a fox and a river: "
    story = head + "One day a fox came to a river. The fox was very happy. It stayed at the river for ever."
    assert not world.check("story", story, story.replace("river.", "cave.").replace("river for", "cave for"))
    assert not world.check("story", story, head + "A fox. A fox. A river.")
    assert world.check("somebody's own task", "Yes.", "Yes.") and not world.check("somebody's own task", "Yes.", "No.")


def test_tables_have_no_fact_twice_with_different_values():
    seen = {}
    for case in world.fact_cases():
        assert seen.setdefault(case.noun, case.values) == case.values, case.noun
