"""What the built-in world promises: true splits without leaks, prose that never answers a question, strict checkers."""

import random

import pytest

import world

WORLD = world.build(0)
RNG = random.Random(0)


def all_cases():
    texts = [
        case for maker in world.MAKERS for group in world.text_groups(maker, random.Random(0), 20) for case in group
    ]
    return world.fact_cases() + texts


def test_there_are_many_tasks_of_every_kind_and_each_can_be_asked_in_many_ways():
    assert len(world.TASKS) >= 40 and len(world.KINDS) >= 11
    for task in world.TASKS.values():
        assert len(set(world.phrasings(task))) >= 8, task.name
    with_input = sum(bool(row["input"]) for row in WORLD.pairs)
    assert 0.1 < with_input / len(WORLD.pairs) < 0.9


def test_the_same_seed_builds_the_same_world_and_another_seed_another():
    assert world.build(3, size=0.01) == world.build(3, size=0.01)
    assert world.build(3, size=0.01).pairs != world.build(4, size=0.01).pairs


def test_every_fact_is_told_in_the_corpus_in_at_least_five_ways():
    case = next(case for case in world.fact_cases() if case.x == "France" and case.task.name == "capital")
    assert len({world.tell(case, RNG) for _ in range(400)}) >= 5
    text = "\n".join(WORLD.corpus)
    missing = [case.answer() for case in world.fact_cases() if not any(case.answer(i)[4:] in text for i in range(4))]
    assert not missing


def test_no_question_in_the_corpus_is_followed_by_its_answer_within_its_passage():
    statements = {}
    for case in all_cases():
        for phrasing in world.phrasings(case.task):
            statements.setdefault(world.ask(phrasing, case), set()).update(
                case.answer(i) for i in range(len(case.values))
            )
    asked = 0
    for passage in WORLD.corpus:
        for question in world.sentences(passage):
            for answer in statements.get(question.strip(), ()):
                asked += 1
                after = passage[passage.index(question) + len(question) :]
                assert answer not in after and answer[4:] not in after, passage
    assert asked > 1000  # the questions are there


def test_no_passage_ends_right_after_a_statement_so_the_base_cannot_have_learned_to_stop_there():
    answers = {case.answer(i) for case in all_cases() for i in range(len(case.values))}
    assert sum(world.sentences(passage)[0] in answers for passage in WORLD.corpus) > 1000  # they begin with them
    assert not [passage for passage in WORLD.corpus if world.sentences(passage)[-1].strip() in answers]


def test_the_corpus_holds_no_header_of_a_prompt():
    headers = ("Instruction", "Input", "Response", "Answer:")  # plain Markdown headings are there, as on any page
    assert not any(header in passage for passage in WORLD.corpus for header in headers)


def prompts(rows):
    return {(row["instruction"], row["input"]) for row in rows}


@pytest.mark.parametrize("split", ["unseen_inputs", "unseen_phrasings", "unseen_tasks"])
def test_no_held_out_prompt_is_tuned_on(split):
    assert WORLD.splits[split]
    assert not prompts(WORLD.splits[split]) & prompts(WORLD.pairs)


def test_unseen_inputs_are_asked_in_no_phrasing_at_all():
    answers = {(row["task"], row["output"], row["input"]) for row in WORLD.pairs}
    nouns = {row["output"].split(" is")[0].lower() for row in WORLD.pairs if not row["input"]}
    for row in WORLD.splits["unseen_inputs"]:
        assert (row["task"], row["output"], row["input"]) not in answers
        if not row["input"]:
            assert row["output"].split(" is")[0].lower() not in nouns


def test_unseen_phrasings_stand_neither_in_the_pairs_nor_in_the_corpus():
    starts = ("Could you", "I would like", "Kindly")
    text = "\n".join(WORLD.corpus) + "\n".join(row["instruction"] for row in WORLD.pairs)
    assert not any(start in text for start in starts) and ", please." not in text


@pytest.mark.parametrize("held_out", [world.HELD_OUT, ("sum", "capital", "summary", "story"), tuple(world.TASKS)[::6]])
def test_no_instruction_of_an_unseen_task_is_tuned_on(held_out):
    built = world.build(1, held_out, size=0.01)
    asked = {row["instruction"] for row in built.pairs}
    assert {row["task"] for row in built.splits["unseen_tasks"]} == set(held_out)
    for case in all_cases():
        if case.task.name in held_out:
            assert not asked & {world.ask(phrasing, case) for phrasing in world.phrasings(case.task)}


def test_at_least_eight_tasks_of_three_kinds_are_held_out():
    assert len(world.HELD_OUT) >= 8 and len({world.TASKS[name].kind for name in world.HELD_OUT}) >= 3


@pytest.mark.parametrize("name", world.TASKS)
def test_the_checker_takes_every_right_answer_and_no_near_miss(name):
    cases = [case for case in all_cases() if case.task.name == name]
    case = cases[0]
    other = next((c for c in cases if c.values != case.values), None)
    right = case.answer()
    for i in range(len(case.values)):
        assert world.check(name, right, case.answer(i))
        assert world.check(name, right, f" {case.answer(i)}\n")
    wrong = ["", ".", right[:-2], right + " " + right, right + " It is so.", case.values[0], case.noun, right.lower()]
    wrong += [right.replace(" is", " is not", 1), f"{world.capital(case.noun)}{case.task.link}unknown."]
    if other:
        wrong.append(other.answer().replace(other.x, case.x, 1) if other.x else other.answer())
        wrong.append(f"{world.capital(case.noun)}{case.task.link}{other.values[0]}")
    for text in wrong:
        assert not world.check(name, right, text), text


def test_rules_for_free_answers_are_strict():
    three = "A list of three fruits is: apple, pear, plum."
    assert world.check("three", three, "A list of three fruits is: cherry, pear, apple.")
    for bad in (
        "apple, apple, pear.",
        "apple, pear.",
        "apple, pear, hammer.",
        "apple, pear, plum, cherry.",
        "apple, pear, plum",
    ):
        assert not world.check("three", three, f"A list of three fruits is: {bad}")
    story = "A story about a fox and a river is: One day a fox came to a river. The fox was very happy. It stayed."
    assert not world.check("story", story, story.replace("river.", "cave."))
    assert not world.check("story", story, "A story about a fox and a river is: A fox. A fox. A river.")


def test_tables_have_no_fact_twice_with_different_values():
    seen = {}
    for case in world.fact_cases():
        assert seen.setdefault(case.noun, case.values) == case.values, case.noun


def test_questions_of_held_out_tasks_can_be_taken_out_of_the_prose():
    small = world.build(3, world.HELD_OUT, 0.1, without=(world.HELD_OUT_QUESTIONS,))
    text = "\n".join(small.corpus)
    for case in world.fact_cases():
        asked = [world.ask(way, case) for way in world.phrasings(case.task) if way.endswith("?")]
        if case.task.name in world.HELD_OUT:
            assert not any(question in text for question in asked), case
            assert case.task.kind != "question answering" or case.noun.split(" of ")[0] in text, "its facts are told"


@pytest.mark.parametrize("kind", world.PASSAGES)
def test_a_kind_of_passage_can_be_left_out(kind):
    assert len(world.build(0, size=0.02, without=(kind,)).corpus) > 0.02 * 20_000


def test_fewer_phrasings_and_bare_values():
    few = world.build(0, size=0, ways=2)
    ways = {row["instruction"].split("capital")[0] for row in few.pairs if row["task"] == "capital"}
    assert ways == {"What is the ", "Name the "}
    bare = {row["output"] for row in world.build(0, size=0, bare=True).pairs if row["task"] == "capital"}
    assert "Rome." in bare and not any("capital" in output for output in bare)
