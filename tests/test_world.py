"""What the built-in world promises: English that leaks no answer, true splits, strict checkers."""

import functools
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

import world
from world import corpus, facts, invented, pairs, tasks

ROOT = Path(__file__).parents[1]
HOLD_OUTS = [
    world.HELD_OUT,
    ("language", "legs", "day_after", "superlative", "double", "larger", "city", "polite_form",
     "sql_all", "sentiment"),
    ("continent", "symbol", "opposite", "english", "number_after", "class", "object", "last_item",
     "sql_column"),
    ("sql", "grammar"),
]
SLOW_BUT_ONE = [*(pytest.param(names, marks=pytest.mark.slow) for names in HOLD_OUTS[:3]),
                HOLD_OUTS[3]]
WORLD = world.build(0)


@functools.cache
def all_facts():
    rng = random.Random(0)
    groups = [group for row in facts.TEXTS for group in tasks.draw_texts(row, rng, 20)]
    return [*world.table_facts(), *(fact for group in groups for fact in group)]


# --------------------------------------------------------------------------------------------------
# The two promises about the prose. This code shares nothing with the code that writes it: it reads
# the tables of ways to ask, makes every instruction there is, and looks for it on every page.


def words(text):
    return re.findall(r"\w+|[*?.!:;,]", text.lower())


@functools.cache
def instructions():
    """{first three words: [(all words, task, noun phrase, values or () where a text has them)]}"""
    rows = {row[0]: row for row in facts.TASK_ROWS}
    found = {}
    for fact in all_facts():
        _, _, noun, _, ways, *_ = rows[fact.task.name]
        noun = noun.replace("{x}", fact.x)
        the = noun.startswith("the ")
        shared = facts.A_TEMPLATES + facts.A_UNSEEN
        if the:
            shared = facts.THE_TEMPLATES + facts.THE_UNSEEN
        asked = [template.replace("{n}", noun).replace("{N}", noun) for template in shared]
        asked += [way.split("->")[0].strip().replace("{x}", fact.x) for way in ways.split(" / ")]
        values = () if fact.text else tuple(tuple(words(v.rstrip(".;!"))) for v in fact.values)
        for text in filter(None, asked):
            entry = (tuple(words(text)), fact.task.name, tuple(words(noun)), values)
            found.setdefault(entry[0][:3], set()).add(entry)
    return found


def contains(page, phrase):
    return any(page[i : i + len(phrase)] == phrase for i in range(len(page) - len(phrase) + 1))


def asked_on(page):
    """Every instruction on a page, with the words that are left of the page without it."""
    page = tuple(words(page))
    for i in range(len(page)):
        for entry in instructions().get(page[i : i + 3], ()):
            if page[i : i + len(entry[0])] == entry[0]:
                yield (*entry[1:], page[:i] + ("|",) + page[i + len(entry[0]) :])


@functools.cache
def other_corpus(hold_out):
    """A corpus of another seed, where other tasks are held out."""
    return world.build(2, hold_out, size=0.3).corpus


@pytest.mark.parametrize("hold_out", SLOW_BUT_ONE)
def test_no_page_asks_for_a_held_out_task_or_has_a_question_beside_a_part_of_its_answer(hold_out):
    default = hold_out is world.HELD_OUT
    pages = WORLD.corpus if default else other_corpus(hold_out)[:4250]
    names = set(world.expand_names(hold_out))
    seen = set()
    for page in pages:
        for task, noun, values, rest in asked_on(page):
            seen.add(task)
            assert task not in names, page
            assert not contains(rest, noun), f"the noun phrase of {task}: {page}"
            leaks = [value for value in values if contains(rest, value)]
            assert not leaks, f"the value of {task}: {page}"
    assert seen == set(world.TASKS) - names  # the questions are there


def test_the_search_finds_what_it_should():
    hits = {hit[0] for hit in asked_on("Once. What is the currency of Norway? More.")}
    assert hits == {"currency"}
    (_, noun, values, rest), *_ = asked_on("The capital of Peru is Lima. Name the capital of Peru.")
    assert contains(rest, noun) and contains(rest, values[0])


@pytest.mark.parametrize("hold_out", SLOW_BUT_ONE)
def test_the_facts_of_held_out_tasks_are_stated_all_the_same(hold_out):
    text = "\n".join(other_corpus(hold_out)).lower()
    names = world.expand_names(hold_out)
    stated = [fact.noun.lower() in text for fact in world.table_facts() if fact.task.name in names]
    assert sum(stated) / len(stated) > 0.95


def test_every_fact_is_stated_in_the_corpus_and_in_several_ways():
    rng = random.Random(0)
    france = next(fact for fact in world.table_facts() if fact.noun == "the capital of France")
    assert len({corpus.make_statement(france, rng) for _ in range(400)}) >= 5
    text = "\n".join(WORLD.corpus)
    for fact in world.table_facts():
        assert any(fact.answer(i)[4:] in text for i in range(len(fact.values))), fact


def test_no_page_ends_right_after_a_statement_so_the_base_cannot_have_learned_to_stop_there():
    answers = {fact.answer(i) for fact in all_facts() for i in range(len(fact.values))}
    ends = [page.split("\n")[-1] for page in WORLD.corpus]
    assert not set(ends) & answers
    last = {re.split(r"(?<=[.!?;]) ", end)[-1] for end in ends}
    assert not last & answers
    first = [re.split(r"(?<=[.!?;]) ", page)[0] for page in WORLD.corpus]
    assert sum(sentence in answers for sentence in first) > 1000  # they begin with them


def test_the_corpus_has_no_header_of_a_prompt_and_no_blank_line():
    headers = ("Instruction", "Input", "Response", "Answer:", "\n\n")
    assert not any(header in page for page in WORLD.corpus for header in headers)


# --------------------------------------------------------------------------------------------------
# Well-formed English: every page and every pair is a sequence of listed forms, each with things of
# its own type. The forms are made here from the tables alone.


def one_of(texts):
    return "(?:" + "|".join(sorted(map(re.escape, set(texts)), key=len, reverse=True)) + ")"


def name_pattern(kind):
    """Every invented name of a type."""
    proper = kind in ("place", "town", "tongue", "weekday", "month", "person")
    starts = [start.capitalize() if proper else start for start in facts.NAME_STARTS]
    article = "a " if kind in ("creature", "thing", "job") else ""
    return article + one_of(starts) + one_of(facts.NAME_ENDS[kind])


def thing_pattern(x_type):
    """What {x} of a type may be, if it is invented."""
    kinds = {kind: name_pattern(kind) for kind in facts.NAME_ENDS}
    kinds |= {"number": r"\d\d", "column": one_of(facts.COLUMNS)}
    kinds["document"] = one_of(facts.DOCUMENTS_READ)
    form = facts.THING_FORMS.get(x_type, f"{{{x_type}}}")
    return re.sub("{(.+?)}", lambda slot: kinds[slot[1]], form)


def as_pattern(template, **slots):
    """A template as a regular expression, {slot} by slot."""
    pattern = re.escape(template)
    for name, value in slots.items():
        pattern = pattern.replace(re.escape(f"{{{name}}}"), f"(?:{value})")
    return pattern if template[-1] in ".!?;:" else pattern + r"\."


SLOTS = {
    "a": one_of(facts.NAMES), "b": one_of(facts.NAMES), "day": one_of(facts.DAYS),
    "thing": one_of(facts.OBJECTS), "a_thing": "an? " + one_of(facts.OBJECTS),
    "holder": one_of(facts.HOLDERS), "city": one_of(facts.CITIES), "work": one_of(facts.OPINIONS),
    "good": one_of(facts.GOOD), "bad": one_of(facts.BAD),
    "topic": one_of(topic.split(": ")[0] for topic in facts.TOPICS),
    "sentence": one_of(topic.split(": ")[1].rstrip(".") for topic in facts.TOPICS),
    "feel": one_of(facts.KOREAN_VERBS), "feel_in_korean": one_of(facts.KOREAN_VERBS.values()),
    "english": one_of(row["x"] for row in facts.WORDS), "particle": "을|를",
    "korean": one_of(row["korean"] for row in facts.WORDS),
}
for _i in range(1, 5):
    SLOTS[f"w{_i}"] = one_of([*facts.OBJECTS, *(row["x"] for row in facts.WORDS)])
for _key in ("kind", "middle", "top"):
    SLOTS[_key] = one_of(row[_key] for row in facts.CHAINS)
for _key in ("verb", "past", "done"):
    SLOTS[_key] = one_of(row[_key] for row in facts.VERBS)
_infinitives = [row["verb"].replace("ies", "ys")[:-1] for row in facts.VERBS]
SLOTS["infinitive"] = one_of(_infinitives)
SLOTS["Infinitive"] = one_of(map(str.capitalize, _infinitives))
VALUE_TYPES = {"capital": "town", "language": "tongue", "young": "creature", "english": "word",
               "opposite": "word", "past": "word", "plural": "table"}


@functools.cache
def task_patterns():
    """{task: (x that exist, x that may be invented, values)}"""
    xs, values = {}, {}
    for fact in world.table_facts():
        xs.setdefault(fact.task.name, set()).add(re.escape(fact.x))
        values.setdefault(fact.task.name, set()).update(
            re.escape(value.rstrip(".;!")) for value in fact.values)
    for _, labels, _, answers in facts.TEXTS:
        for name, answer in answers.items():
            for label in facts.split_list(labels):
                xs.setdefault(name, set()).add(as_pattern(label + ":", **SLOTS)[:-1])
            values.setdefault(name, set()).add(as_pattern(answer.rstrip(".") + ":", **SLOTS)[:-1])
    patterns = {}
    for name, task in world.TASKS.items():
        if name in VALUE_TYPES:
            values[name].add(name_pattern(VALUE_TYPES[name]))
        longest_first = sorted(values[name], key=len, reverse=True)
        patterns[name] = "|".join(xs[name]), thing_pattern(task.x_type), "|".join(longest_first)
    return patterns


@functools.cache
def relation_patterns():
    """Noun phrases that no table has: [(noun phrase, value)]."""
    things = facts.THINGS + facts.SHAPES + facts.VEHICLES + facts.ELEMENTS
    spelled = facts.WORDS + facts.OPPOSITES + facts.PLURALS + facts.PASTS + facts.DEGREES
    real = {
        "place": one_of([*(row["x"] for row in facts.COUNTRIES), *facts.CITIES]),
        "time": one_of(facts.DAYS + facts.MONTHS),
        "creature": one_of(row["x"] for row in facts.ANIMALS),
        "job": one_of(row["x"] for row in facts.JOBS),
        "person": one_of(facts.NAMES),
        "thing": one_of([*(f"the {word}" for word in facts.OBJECTS), *(row["x"] for row in things)]),
        "word": "the word " + one_of(row["x"] for row in spelled),
        "document": "the " + one_of(facts.DOCUMENTS_READ),
    }
    values = {"person": one_of(facts.NAMES), "quality": one_of(facts.TRAITS),
              "amount": one_of(facts.AMOUNTS), "word": name_pattern("word")}
    both = {kind: f"(?:{x}|{name_pattern(kind)})" for kind, x in real.items() if kind in facts.NAME_ENDS}
    both = real | both
    forms = [(f"the {one_of(heads)} of {both[x_type]}", values[value_type])
             for (x_type, value_type), heads in facts.RELATIONS.items()]
    owner = "|".join(both[kind] for kind in ("person", "job", "place"))
    noun = f"the {one_of(facts.QUALITIES)} {one_of(facts.OBJECTS)} of (?:{owner})"
    return [*forms, (noun, values["quality"])]


@functools.cache
def asked_nouns():
    """Every noun phrase that may be asked for, as a regular expression."""
    nouns = [noun for noun, _ in relation_patterns()]
    for name, (real, made_up, _) in task_patterns().items():
        nouns.append(re.escape(world.TASKS[name].noun).replace(r"\{x\}", f"(?:{real}|{made_up})"))
    return re.compile("|".join(nouns), re.I)


@functools.cache
def copied_nouns():
    """Every noun phrase that a story may be about."""
    nouns = [noun for noun, _ in relation_patterns()]
    for name, (_, made_up, _) in task_patterns().items():
        nouns.append(re.escape(world.TASKS[name].noun).replace(r"\{x\}", f"(?:{made_up})"))
    return re.compile("|".join(nouns), re.I)


@functools.cache
def statement_forms(unknown=False):
    """Statements of all tasks and relations: [regular expression]."""
    forms = []
    for name, (real, made_up, values) in task_patterns().items():
        task, values = world.TASKS[name], "unknown" if unknown else values
        x = f"(?:{real}|{made_up})"
        for template in (task.statement, *task.answer_templates):
            form = as_pattern(template, x=x, X=f"(?i:{x})", y=values, Y=f"(?i:{values})")
            forms.append(form.removesuffix(".").removesuffix("\\") + "[.;!]")
    for noun, values in relation_patterns():
        forms.append(f"The{noun[3:]} is (?:{'unknown' if unknown else values})\\.")
    either = [f"(?:{form[0]}|{form[0].lower()}){form[1:]}" for form in forms if form[0].isalpha()]
    return either + [form for form in forms if not form[0].isalpha()]


# By hand, for the things with an article. All others take an s.
IRREGULAR = {
    "puppy": "puppies", "hiss": "hisses", "cherry": "cherries", "sheep": "sheep", "mouse":
    "mice", "wolf": "wolves", "goose": "geese", "deer": "deer", "butterfly": "butterflies",
    "larva": "larvas", "theater": "theaters", "church": "churches", "library": "libraries",
    "laboratory": "laboratories", "compass": "compasses", "brush": "brushes", "fish": "fishes",
    "bakery": "bakeries", "coach": "coaches", "fox": "foxes", "box": "boxes", "wrench":
    "wrenches", "workshop": "workshops", "sty": "sties",
}
PLURALS = {word.split(" ", 1)[1]: word.split(" ", 1)[1] + "s"
           for word in corpus.spelling_words() if word.startswith(("a ", "an "))}
PLURALS |= {word: plural for word, plural in IRREGULAR.items() if word in PLURALS}


def test_plurals():
    assert {word: tasks.plural(word) for word in PLURALS} == PLURALS


def page_forms():
    """Everything that a page may consist of: [(regular expression, pattern of its noun)]."""
    noun, name, word = "(?P<noun>.+?)", one_of(facts.NAMES), one_of(corpus.spelling_words())
    bare_words = one_of(re.sub("^(an?|the) ", "", word) for word in corpus.spelling_words())
    heads = [wrapper.partition("{")[0].strip() for wrapper in corpus.WRAPPERS]
    headings = {heading for some in corpus.HEADINGS.values() for heading in some}
    forms = [*statement_forms(), *map(re.escape, heads), f"### {one_of(headings)}:",
             f"{name} told {name}:", f"{name} likes it\\.", f"{name} learns it with {name}\\.",
             f"{name} writes: {bare_words}(?:, {bare_words})*\\.",
             f"(?i:{bare_words}): we write {word}\\.",
             f"{one_of(PLURALS.values())}: one of them is an? {one_of(PLURALS)}\\."]
    forms += [as_pattern(text, **SLOTS) for row in facts.TEXTS for text in facts.split_list(row[2])]
    for task_name, (real, made_up, _) in task_patterns().items():
        bare = re.sub(r"(^|\|)(?:an?|the)\\ ", r"\1", real)
        for question, _ in world.TASKS[task_name].templates:
            forms.append("(?i:" + as_pattern(question, x=f"{real}|{made_up}", w=bare) + ")")
    forms = [(form, None) for form in forms]

    generic = facts.THE_TEMPLATES + facts.A_TEMPLATES
    questions = [re.sub(r"\\{[nN]\\}", noun, re.escape(question)) for question in generic]
    forms += [(question, asked_nouns()) for question in questions]
    deeds = [as_pattern(deed.replace("{N}", "{n}", 1), A=name, B=name, p=SLOTS["holder"], n=noun)
             for deed in (*facts.DEEDS, *facts.OBJECT_DEEDS, "{A} reads about {n}.")]
    return forms + [(deed, copied_nouns()) for deed in deeds]


class Reader:
    """Reads a text as a sequence of forms, each followed by a blank or the end."""

    def __init__(self, forms, flags=0):
        self.flags, self.by_start = flags, {}
        for form, nouns in dict.fromkeys(forms):
            plain = re.sub(r"\(\?:(.)\|.\)", r"\1", form.removeprefix("(?i:")).replace("\\ ", " ")
            match = re.match(r"([A-Za-z]+ )([A-Za-z]+ )?", plain)
            start = match[0].lower() if match else ""
            self.by_start.setdefault(start, []).append((form, nouns))
        self.compile = functools.cache(self.compile)
        self.left = functools.lru_cache(100_000)(self.left)

    def compile(self, start):
        forms = self.by_start.get(start, ())
        return [(re.compile(form + r"(?=\s|$)", self.flags), nouns) for form, nouns in forms]

    def left(self, text):
        """What is left after the forms that can be read: the least of all ways to read."""
        text = text.lstrip()
        first = re.match(r"((?:\w+ )?)(\w+ )?", text.lower())
        left = text
        for start in dict.fromkeys((first[0], first[1], "")):
            for form, nouns in self.compile(start):
                match = form.match(text)
                if match and (not nouns or nouns.fullmatch(match["noun"])):
                    left = min(left, self.left(text[match.end() :]), key=len)
                    if not left:
                        return left
        return left


@pytest.fixture(scope="module")
def forms():
    return page_forms()


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_every_page_is_a_sequence_of_well_formed_sentences(forms, step):
    reader, lower_reader = Reader(forms), Reader(forms, re.I)
    for page in WORLD.corpus[::step]:
        left = (lower_reader if page == page.lower() else reader).left(page)
        assert not left, (left, page)


def test_every_pair_is_a_well_formed_answer_to_a_well_formed_text(forms):
    statements = [(form, None) for form in statement_forms() + statement_forms(unknown=True)]
    answers, texts = Reader(statements), Reader(forms)
    for row in [*WORLD.pairs, *(row for rows in WORLD.splits.values() for row in rows)]:
        assert not answers.left(row["output"]), row
        assert not texts.left(row["input"]), row


def test_the_reader_refuses_what_is_not_english(forms):
    reader = Reader(forms)
    assert not reader.left("The capital of Velaria is Kelton. Mia dreamed of the tail of a dog.")
    for salad in ("The capital of a dog is Paris.", "The tail of Norway is long.", "mice: mice",
                  "Mia dreamed of the wet theater about it.", "The 새 of legs of an ant is six.",
                  "The capital of France is Mia.", "Name the sound of Peru.", "the the of"):
        assert reader.left(salad), salad


# --------------------------------------------------------------------------------------------------
# Splits.


def test_there_are_many_tasks_of_every_family_and_each_can_be_asked_in_many_ways():
    assert len(world.TASKS) >= 57 and len(world.FAMILIES) >= 11
    with_input = sum(bool(row["input"]) for row in WORLD.pairs)
    assert 0.1 < with_input / len(WORLD.pairs) < 0.9
    questions = {row["instruction"] for row in WORLD.pairs if row["task"] == "capital"}
    assert len(questions) > 0.8 * pairs.PAIRS_A_TASK


def test_the_same_seed_builds_the_same_world_and_another_seed_another():
    built = world.build(3, size=0.01)
    assert built == world.build(3, size=0.01)
    assert built.pairs != WORLD.pairs


def test_the_first_pair_is_one_that_everybody_knows():
    assert re.fullmatch("What is the capital of .+\\?", WORLD.pairs[0]["instruction"])


def prompts(rows):
    return {(row["instruction"].lower(), row["input"]) for row in rows}


@pytest.mark.parametrize("split", WORLD.splits)
def test_no_held_out_prompt_is_tuned_on(split):
    assert len(WORLD.splits[split]) >= 80
    assert not prompts(WORLD.splits[split]) & prompts(WORLD.pairs)


def test_unseen_inputs_are_asked_in_no_phrasing_at_all():
    answers = {(row["task"], row["output"], row["input"]) for row in WORLD.pairs}
    for row in WORLD.splits["unseen_inputs"]:
        for statement in world.restate(row["task"], row["output"]) | {row["output"]}:
            assert (row["task"], statement, row["input"]) not in answers


def all_text():
    questions = [f"{row['instruction']}\n{row['input']}" for row in WORLD.pairs]
    return ("\n".join(WORLD.corpus + questions)).lower()


def test_unseen_phrasings_are_neither_in_the_pairs_nor_in_the_corpus():
    text = all_text()
    assert not any(start in text for start in ("could you", "i would like", "kindly", ", please."))


def test_unseen_names_are_nowhere():
    text, rng = all_text(), random.Random(0)
    vocabulary = set(re.findall(r"\w+", text))
    for kind in facts.NAME_ENDS:
        unseen = {invented.invent_name(kind, rng, unseen=True) for _ in range(50)}
        assert not {name.split()[-1].lower() for name in unseen} & vocabulary


def test_only_of_things_that_do_not_exist_one_says_unknown():
    """Else the tasks that are held out, which ask about real things, would be answered so."""
    real = {fact.x for fact in all_facts() if fact.task.x_type in ("place", "creature", "job")}
    rows = [row for row in WORLD.pairs if row["task"] == "unknown"]
    assert len(rows) > 300
    for row in rows:
        thing = row["output"].partition(" of ")[2].removesuffix(" is unknown.")
        assert thing not in real, row


def test_unseen_texts_are_about_unseen_names_and_say_what_is_asked():
    for row in WORLD.splits["unseen_texts"]:
        assert row["output"] in row["input"]
    for row in WORLD.splits["unknown_things"]:
        assert row["output"].endswith(" is unknown.") and not row["input"]


COMMON = set("a name sentence double all from in about for after that of by the with".split())


def naming_words(names):
    """The words that name these tasks and no other one: {"last"} for the last word of a list."""

    def of(tasks_named):
        nouns = [world.TASKS[name].noun.replace("{x}", "") for name in tasks_named]
        return {word for noun in nouns for word in re.findall(r"\w+", noun.lower())}

    return of(names) - of(set(world.TASKS) - set(names))


@pytest.mark.parametrize("hold_out", HOLD_OUTS)
def test_no_pair_names_a_held_out_task(hold_out):
    built, names = world.build(1, hold_out, size=0), set(world.expand_names(hold_out))
    assert {row["task"] for row in built.splits["unseen_tasks"]} == names
    assert {row["task"] for row in built.splits["unseen_words"]} == names
    things = {fact.x.lower() for fact in world.table_facts()}  # "the plural of city" is fine
    named = naming_words(names) - things - COMMON
    for row in built.pairs:
        assert row["task"] not in names
        instruction = words(row["instruction"])
        assert not set(instruction) & (named - set(words(row["input"]))), row


@pytest.mark.parametrize("seed", range(5))
def test_no_held_out_question_is_the_mirror_of_one_that_is_tuned_on(seed):
    seen, unseen, _ = world.split_facts(random.Random(seed))
    tuned_on = {(fact.task.name, fact.x, fact.values[0]) for cases in seen.values() for fact in cases}
    for fact in unseen["opposite"]:  # of cold, if the opposite of hot is held out
        assert ("opposite", fact.values[0], fact.x) not in tuned_on
    for name in ("sum", "larger", "smaller"):
        for fact in unseen[name]:
            first, second = fact.x.split(" and ")
            other = (name, f"{second} and {first}", fact.values[0])
            assert first == second or other not in tuned_on


def test_families_can_be_held_out_and_names_are_checked():
    built = world.build(0, ("sql", "capital"), size=0)
    names = {*world.FAMILIES["sql"], "capital"}
    assert {row["task"] for row in built.splits["unseen_tasks"]} == names
    with pytest.raises(ValueError, match="nope"):
        world.build(0, ("nope",), size=0)


def test_a_smaller_world_has_its_tasks_only():
    built = world.build(0, size=0.02, tasks=world.QUICK_TASKS)
    assert {row["task"] for row in built.pairs} <= {*world.QUICK_TASKS, *pairs.COPY_PAIRS}
    assert built.splits["unseen_tasks"] and len(built.corpus) == int(0.02 * corpus.DOCUMENTS)


def test_at_least_eight_tasks_of_three_families_are_held_out():
    kinds = {world.TASKS[name].kind for name in world.HELD_OUT}
    assert len(world.HELD_OUT) >= 8 and len(kinds) >= 3


# --------------------------------------------------------------------------------------------------
# Checkers.


@pytest.mark.parametrize("name", world.TASKS)
def test_the_checker_takes_every_right_answer_and_no_near_miss(name):
    cases = [fact for fact in all_facts() if fact.task.name == name]
    fact = cases[0]
    other = next((other for other in cases if other.values != fact.values), None)
    right = fact.answer()
    assert world.check(name, right, f" {right}\n")
    for template in fact.task.answer_templates:
        statement = fact.answer(0, template)
        assert world.check(name, right, statement)
        says_of_what = "{x}" in template.lower()
        assert world.check(name, statement, right) or not says_of_what
    head, link, _ = right.partition(": " if fact.task.prefix else " is ")
    wrong = ["", ".", right[:-2], right + " " + right, right + " It is so.", fact.values[0],
             fact.noun, right.lower(), right.replace(" is", " is not", 1), head + link + "unknown."]
    if other:
        wrong += [head + link + other.values[0]]
        wrong += [other.answer(0, way) for way in fact.task.answer_templates if other.x != fact.x]
    for text in wrong:
        assert not world.check(name, right, text), text


def test_every_text_of_a_story_is_right_and_a_task_of_somebodys_own_is_compared():
    for fact in all_facts():
        for i in range(len(fact.values)):
            assert world.check(fact.task.name, fact.answer(), fact.answer(i)), fact
    assert world.check("somebody's own", "Yes.", "Yes.")
    assert not world.check("somebody's own", "Yes.", "No.")


def test_tables_have_no_fact_twice_with_different_values():
    values = {}
    for fact in world.table_facts():
        assert values.setdefault(fact.noun, fact.values) == fact.values, fact.noun


# --------------------------------------------------------------------------------------------------
# The command.


def run(*args):
    command = [sys.executable, "-m", "world", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.slow
def test_files_are_written_and_files_of_others_are_left_alone(tmp_path):
    assert run(tmp_path / "w").returncode == 0
    rows = (tmp_path / "w/pairs.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row) for row in rows] == WORLD.pairs
    documents = (tmp_path / "w/corpus.txt").read_text(encoding="utf-8").strip().split("\n\n")
    assert documents == WORLD.corpus
    for split in WORLD.splits:
        assert (tmp_path / f"w/{split}.jsonl").exists()

    assert run(tmp_path / "w").returncode == 0  # its own files are written again
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/pairs.jsonl").write_text("mine")
    refused = run(tmp_path / "mine")
    assert refused.returncode == 2 and refused.stderr.startswith("error: ")
    assert len(refused.stderr.splitlines()) == 1 and "Choose another folder" in refused.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["pairs.jsonl"]
