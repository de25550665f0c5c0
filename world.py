"""A tiny true world: its facts, the prose that tells them, and the ways people ask about them.

What it is: tables of facts a learner recognises, makers of short texts, and one rule that turns both into (1) a corpus
of plain prose to pretrain on, and (2) instruction pairs to tune on, with four held-out splits.
What it is not: a language. Every sentence comes from a pattern that you can read below, so every answer can be checked.
It is closed: a model made from it knows these things, these names and these patterns, and nothing else.

    python world.py                            counts and samples
    python world.py my_world                   also writes corpus.txt, pairs.jsonl and the held-out questions there
    python world.py my_world --without echoes  an experiment on the world; --help lists the others

The one rule: what is asked for has a name, a noun phrase ("the capital of France"). Prose states it ("The capital of
France is Paris."), instructions ask for it ("Name the capital of France."), an answer is the statement.

What the prose holds, and what not. It tells every fact, and short texts with what they say. It has lists of questions,
as worksheets have, some of them about things that do not exist; pages that only repeat words, and an index of words. No
page puts a question beside its answer or any part of the answer, and no page holds a question of a task that is held out
of tuning: that one *answers*, and how, is left for tuning to teach (`tests/test_world.py` proves both, with code of its
own).
"""

import argparse
import functools
import json
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from facts import (  # isort: skip
    ANIMALS, A_FRAMES, A_MORE, A_UNSEEN, BAD, CHAINS, CITIES, CLOSERS, COLUMNS, COUNTRIES, DAYS, DEGREES, ELEMENTS,
    GOOD, HERE, HEROES, HOLDERS, JOBS, KINDS_OF_THINGS, KOREAN_VERBS, MONTHS, NAMES, OBJECTS, OF_MORE, OPENERS,
    OPINIONS, OPPOSITES, PASTS, PLURALS, POEMS, SETTINGS, SHAPES, SHORT, TABLES, TASK_ROWS, THE_FRAMES, THE_MORE,
    THE_UNSEEN, THINGS, TOPICS, VEHICLES, VERBS, WORDS,
)

# ----------------------------------------------------------------------------------------------------------------
# Tasks. A task names what is asked for; a case is one thing asked.


@dataclass(frozen=True)
class Task:
    name: str
    kind: str  # question answering, translation, ... : the families instruction tuning is known for
    noun: str  # names what is asked for; {x} is the thing it is asked about
    ways: tuple = ()  # "question -> telling": asked in other words, it is answered in those; {y} is the value. Without
    # a telling the answer is the statement; without a question it is only one more way of telling
    start: str = ""  # HERE, or "" for the noun and "is"

    @property
    def asks(self):
        """Ways of asking that only this task has, with their tellings: [(question, telling or "")]"""
        pairs = [way.partition(" -> ")[::2] for way in self.ways]
        return [(question, telling) for question, telling in pairs if question]

    @property
    def tells(self):
        return [way.partition(" -> ")[2] for way in self.ways if " -> " in way]

    @property
    def statement(self):
        return f"{HERE}{self.noun}: {{y}}" if self.start else f"{capitalize(self.noun)} is {{y}}"


@dataclass(frozen=True)
class Case:
    task: Task
    x: str  # what it is asked about, "" when everything is in the noun
    values: tuple  # right answers, one of them is shown
    text: str = ""  # the `### Input:` part

    @property
    def noun(self):
        return self.task.noun.format(x=self.x)

    def answer(self, i=0, telling=""):
        """'The capital of France is Paris.', or told in another way: 'Paris is the capital of France.'"""
        return fill(telling or self.task.statement, self.x, self.values[i % len(self.values)])


def fill(telling, x, y):
    said = telling.format(x=x, y=y, X=capitalize(x), Y=capitalize(y))
    return said if said[-1] in ".!;" else said + "."


def capitalize(sentence):
    return sentence[:1].upper() + sentence[1:]


def lower(sentence):
    return sentence[:1].lower() + sentence[1:]


def a(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


TASKS = {row[0]: Task(*row) for row in TASK_ROWS}
HELD_OUT = ("currency", "young", "color", "plural", "spanish", "half", "city", "last_item", "negative_form", "sql_count")
PATTERNS = ("SQL", "creative writing")  # made by a pattern, so a few examples teach them
# Easily confused, so told more often: this many times.
HARD = {"sum": 4, "larger": 2, "smaller": 3, "opposite": 2, "tool": 2, "workplace": 2, "three": 2}
KINDS = tuple(dict.fromkeys(task.kind for task in TASKS.values()))

# ----------------------------------------------------------------------------------------------------------------
# Ways of asking. The frames stand in facts.py.

OF = re.compile(r"the (.+?) (?:of|after|for|in|about) (.+)")


def frames(task):
    return THE_FRAMES if task.noun.startswith("the ") else A_FRAMES


def own_questions(task):
    """Ways of asking that only this task has."""
    return tuple(question for question, _ in task.asks)


def unseen_frames(task):
    return THE_UNSEEN if task.noun.startswith("the ") else A_UNSEEN


def ask(question, case):
    """A frame or another question, and a case -> the instruction."""
    noun, found = case.noun, OF.fullmatch(case.noun)
    head, x = found.groups() if found and "{h}" in question else ("", case.x)
    bare = re.sub("^(an?|the) ", "", x)
    return capitalize(question.format(n=noun, N=capitalize(noun), b=noun.split(" ", 1)[1], h=head, x=x, w=bare))


def misspell(instruction, case, rng):
    """A slip of the finger in one word, but not in the thing asked about or in an invented name."""
    words, asked = instruction.split(" "), (case.x or case.noun).lower().split()
    can = [i for i, word in enumerate(words) if len(word) > 2 and word.isalpha() and word.lower() not in asked]
    if can:
        i = rng.choice(can)
        word, j = words[i], rng.randrange(len(words[i]) - 1)
        words[i] = rng.choice((word[:j] + word[j + 1] + word[j] + word[j + 2 :], word[:j] + word[j + 1 :]))
    return " ".join(words)


def in_a_persons_words(case, rng):
    """One of very many ways of asking -> (instruction, telling), the telling as in Task.asks."""
    telling, chance, of = "", rng.random(), OF.fullmatch(case.noun)
    if chance < 0.36 and case.task.asks:
        question, telling = rng.choice(case.task.asks)
    elif chance < 0.48:
        question = rng.choice(frames(case.task))
    elif chance < 0.79 and of:
        question = rng.choice(OF_MORE if chance < 0.63 else SHORT)
    else:
        question = rng.choice(THE_MORE if case.noun.startswith("the ") else A_MORE)
    instruction = ask(question, case)
    if rng.random() < 0.12:
        instruction = misspell(instruction, case, rng)
    if rng.random() < 0.25:
        opener = rng.choice(OPENERS)
        goes_on = opener[-2] in ",:" and not instruction.startswith(case.x or "?")
        instruction = opener + (lower(instruction) if goes_on else instruction)
    if rng.random() < 0.2:
        instruction += rng.choice(CLOSERS)
    if rng.random() < 0.3:
        bare = instruction.rstrip("?.!")
        instruction = rng.choice((instruction.lower(), bare.lower(), bare.lower(), bare, bare + "??"))
    return instruction, telling


# ----------------------------------------------------------------------------------------------------------------
# Cases of facts: everything that the tables above state, about 900 in all.


@functools.cache
def fact_cases():
    """All of them, in the order of the tables: row by row, column by column."""
    facts = []  # (task, x, value)
    for rows in (COUNTRIES, ANIMALS, THINGS, ELEMENTS, JOBS, DEGREES, WORDS, SHAPES, VEHICLES):
        for row in rows:
            facts += [(column, row["x"], value) for column, value in row.items() if column != "x" and value != "-"]
    facts += [("english", row["korean"], row["x"]) for row in WORDS]
    for name, text in (("opposite", OPPOSITES), ("plural", PLURALS), ("past", PASTS)):
        pairs = [entry.split() for entry in text.replace("\n", " ").split(",")]
        facts += [(name, one, other) for one, other in pairs]
        facts += [(name, other, one) for one, other in pairs if name == "opposite"]
    facts += [("day_after", day, DAYS[(i + 1) % 7]) for i, day in enumerate(DAYS)]
    facts += [("month_after", month, MONTHS[(i + 1) % 12]) for i, month in enumerate(MONTHS)]
    for i in range(1, 6):
        for j in range(1, 6):
            facts += [("sum", f"{i} and {j}", i + j)] * (i < 5 and j < 5)
            facts += [("larger", f"{i} and {j}", max(i, j)), ("smaller", f"{i} and {j}", min(i, j))] * (i != j)
    for i in range(1, 13):
        facts += [("double", i, 2 * i), ("half", 2 * i, i), ("number_after", i, i + 1)]
    cases = [Case(TASKS[name], str(x), (str(value),)) for name, x, value in facts]

    def add(name, x, *values):
        cases.append(Case(TASKS[name], x, values))

    for row in KINDS_OF_THINGS:
        p, q, r, _ = row["members"].split(", ")
        add("three", row["x"], f"{p}, {q}, {r}")
    for t in TABLES:
        add("sql_all", t, f"SELECT * FROM {t};")
        add("sql_count", t, f"SELECT COUNT(*) FROM {t};")
        for column in COLUMNS:
            add("sql_column", f"{column} of all {t}", f"SELECT {column} FROM {t};")
            add("sql_order", f"{t} by {column}", f"SELECT * FROM {t} ORDER BY {column};")
    for hero in HEROES:
        for place in SETTINGS:
            add("story", f"{a(hero)} and {a(place)}",
                f"One day {a(hero)} came to {a(place)}. The {hero} was very happy. It stayed at the {place} for ever.",
                f"Once {a(hero)} lived near {a(place)}. Every day the {hero} sat there. It loved the {place}.",
                f"Long ago {a(hero)} lost its way. It saw {a(place)} and slept. The {place} became its home.")
    for row in WORDS[8:]:
        add("poem", f"the {row['x']}", *(poem.format(x=f"the {row['x']}") for poem in POEMS))
    for word in OBJECTS + [row["x"] for row in WORDS[:8]]:
        add("sentence", f"the {word}", f"The {word} is not here.", f"I see the {word}.", f"I like the {word}.")
    for name in NAMES:
        add("wish", name, f"Happy birthday, dear {name}!")
    return tuple(cases)


# ----------------------------------------------------------------------------------------------------------------
# Cases in a text: the answer stands in the `### Input:` part or follows from it. Every maker draws one short text and
# returns the cases that can be asked about it.


def cases_of(text, x="", **values):
    return [Case(TASKS[name], x, (str(value),), text) for name, value in values.items()]


def purchase(rng):
    name, thing, city, day = (rng.choice(words) for words in (NAMES, OBJECTS, CITIES, DAYS))
    form = rng.choice(("On {d} {n} bought {t} in {c}.", "{n} bought {t} in {c} on {d}.", "In {c}, {n} bought {t} on {d}."))
    text, label = form.format(d=day, n=name, t=a(thing), c=city), rng.choice(("note", "report"))
    return cases_of(text, label, name=name, city=city, day=day, object=a(thing))


def word_list(rng):
    pool = sorted({*OBJECTS, *(row["x"] for row in WORDS)})
    words = rng.sample(pool, rng.randint(3, 4))
    label = rng.choice(("list", "row"))
    text = f"The words are {', '.join(words)}."
    return cases_of(text, label, first_item=words[0], second_item=words[1], third_item=words[2], last_item=words[-1])


def base_form(verb):
    """opens -> open, carries -> carry"""
    return verb["x"].replace("ies", "ys")[:-1]


def action(rng):
    name, verb, thing = rng.choice(NAMES), rng.choice(VERBS), rng.choice(OBJECTS)
    return cases_of(
        f"{name} {verb['x']} the {thing}.", rng.choice(("sentence", "line")),
        past_form=f"{name} {verb['past']} the {thing}.",
        future_form=f"{name} will {base_form(verb)} the {thing}.",
        negative_form=f"{name} does not {base_form(verb)} the {thing}.",
        passive_form=f"The {thing} is {verb['done']} by {name}.")


def request(rng):
    verb, thing = base_form(rng.choice(VERBS)), rng.choice(OBJECTS)
    text, label = f"{capitalize(verb)} the {thing}.", rng.choice(("order", "request"))
    return cases_of(text, label, polite_form=f"Please {verb} the {thing}.")


def hiding(rng):
    thing, place = rng.choice(OBJECTS), rng.choice(HOLDERS)
    return cases_of(f"{rng.choice(NAMES)} put the {thing} in the {place}.", thing, where=f"the {place}")


def heights(rng):
    tall, short = rng.sample(NAMES, 2)
    label = rng.choice((f"{tall} and {short}", f"{short} and {tall}"))
    text = rng.choice((f"I see that {tall} is taller than {short}.", f"Of course {tall} is taller than {short}."))
    return cases_of(text, label, taller=tall, shorter=short)


def chain(rng):
    row = rng.choice(CHAINS)
    middle, top = row["chain"].split()
    text = f"All {row['x']} are {middle}. All {middle} are {top}."
    return cases_of(text, row["x"], conclusion=f"all {row['x']} are {top}")


def opinion(rng):
    thing = rng.choice(OPINIONS)
    sentiment, words = rng.choice((("positive", GOOD), ("negative", BAD)))
    return cases_of(f"The {thing} was {rng.choice(words)}.", rng.choice(("review", "comment")), sentiment=sentiment)


def topic(rng):
    row = rng.choice(TOPICS)
    return cases_of(rng.choice(row["texts"].split(", ")), rng.choice(("text", "article")), topic=row["x"])


def tale(rng):
    (n, m), thing, place = rng.sample(NAMES, 2), rng.choice(OBJECTS), rng.choice(HOLDERS)
    text, summary, title = rng.choice((
        ("{n} lost a {t} in the {p}. {n} was sad. Then {m} found the {t}.", "{m} found the {t} of {n}.", "The lost {t}."),
        ("{n} wanted a {t}. {m} had two. So {m} gave one to {n}.", "{m} gave a {t} to {n}.", "The gift of {m}."),
        ("A {t} lay in the {p}. Nobody saw it. Then {n} took the {t} home.", "{n} took a {t} home.", "The {t} in the {p}."),
    ))
    text, summary, title = (part.format(n=n, m=m, t=thing, p=place) for part in (text, summary, title))
    return cases_of(text, rng.choice(("story", "tale")), summary=summary, title=title)


def korean_sentence(rng):
    verb, row = rng.choice(list(KOREAN_VERBS)), rng.choice(WORDS[:12])
    # Hangul syllables are ordered so that every 28th has no final consonant; the object particle depends on it.
    particle = "를" if (ord(row["korean"][-1]) - 0xAC00) % 28 == 0 else "을"
    answer = f"나는 {row['korean']}{particle} {KOREAN_VERBS[verb]}."
    return cases_of(f"I {verb} the {row['x']}.", rng.choice(("sentence", "line")), korean_sentence=answer)


MAKERS = {purchase: 2, word_list: 6, action: 3, request: 1, hiding: 1, heights: 3, chain: 1, opinion: 2, topic: 2,
          tale: 2, korean_sentence: 3}  # how often each is told: the harder to learn, the oftener

# ----------------------------------------------------------------------------------------------------------------
# Prose: what the base reads. Each function writes one page.

WRAPPERS = ("The teacher said: {S}", "In the book we read: {S}", "It is true that {s}", "Everybody knows that {s}")


def tell(case, rng):
    """One statement of the case, in one of several ways."""
    if case.task.tells and rng.random() < 0.35:
        return case.answer(telling=rng.choice(case.task.tells))
    said = case.answer(rng.randrange(len(case.values)))
    if rng.random() < 0.7:
        return said
    return rng.choice(WRAPPERS[:2] if case.task.start else WRAPPERS).format(S=said, s=lower(said))


def text_page(group, rng):
    """A short text, what can be said about it, and the text again: so no page ends right after a statement, and to stop
    there is left for tuning to teach."""
    told = " ".join(tell(case, rng) for case in rng.sample(group, min(len(group), rng.randint(2, 4))))
    return group[0].text + rng.choice((" ", "\n")) + told + " " + group[0].text


def retold_page(group, rng):
    """A short text again and again, statements about it between: copying is easiest to learn where much repeats."""
    return " ".join(f"{case.text} {case.answer()}" for case in rng.choices(group, k=3)) + " " + group[0].text


@functools.lru_cache(10_000)
def words_of(text):
    return " " + " ".join(re.findall(r"[\w*]+", text.lower())) + " "


def gives_away(page, cases):
    """Does the page hold the value of one of the cases?"""
    page = words_of(page)
    return any(words_of(value) in page for case in cases for value in case.values)


def question_page(cases, rng, text=""):
    """Questions and nothing but questions, mostly all asked alike, as on a worksheet; perhaps about a text. One that
    would give away the answer to another (the opposite of hot, the opposite of cold) is left out."""
    kind, n = rng.random(), rng.randint(4, 9)
    frame, asked, page = rng.randrange(9), [], text
    for case in dict.fromkeys(cases):
        way = frames(case.task)[frame] if kind < 0.5 else own_questions(case.task)[-1]
        question = ask(way if kind < 0.95 else rng.choice(frames(case.task) + own_questions(case.task)), case)
        others = [other for _, other in asked]
        name = "task" if case.text else "noun"  # of a text, each thing is asked once
        new = getattr(case, name) not in {getattr(other, name) for other in others}
        alike = not asked or question[-1] == asked[0][0][-1]  # all questions, or all orders
        if new and alike and len(asked) < n and not gives_away(page, [case]) and not gives_away(question, others):
            asked.append((question, case))
            page += " " + question
    lines = [question for question, _ in asked]
    if text:
        lines.insert(rng.randint(0, min(1, len(lines))), text)
    page = rng.choice((" ", " ", " ", "\n")).join(lines)
    return page.lower() if rng.random() < 0.12 else page


SMALL = "of in for about with that by from after between on to".split()
FUNCTION = {*SMALL, *"the a an and is it what which how where when who do does did you we if not many one two more than "
            "all this as so no there say get people please from select count order by".split()}


def naming_words(tasks):
    """The words that name these tasks and no other one: {"last"} for the last word of a list."""

    def words(names):
        return {word.lower() for name in names for word in re.findall(r"\w+", TASKS[name].noun.replace("{x}", ""))}

    return words(tasks) - words(set(TASKS) - set(tasks)) - FUNCTION


def vocabulary(cases, but=()):
    """The words of all statements and texts, without some."""
    found = {word for case in cases for word in re.findall(r"[^\W\d_]{2,}|[가-힣]|\d+", f"{case.answer()} {case.text}")}
    return sorted(word for word in found if word.lower() not in FUNCTION and word.lower() not in but)


def coined(words, rng):
    """A noun phrase of any words, that names nothing: 'The currency carrot in wives'."""

    def some():
        return " ".join(rng.choices(words, k=rng.randint(1, 2)))

    noun = rng.choice(("the", "the", "the", "a")) + " " + some()
    for _ in range(rng.choice((1, 1, 1, 2))):
        noun += f" {rng.choice(SMALL[:4] if rng.random() < 0.8 else SMALL)} {rng.choice(('', '', 'the ', 'a '))}{some()}"
    return noun


def invented_questions(words, rng):
    """Questions about things that do not exist, none asked twice: as the echo pages say a thing again and again, the base
    learns here that after a question it does not."""
    frame = rng.choice(THE_FRAMES)
    nouns = [re.sub("^a ", "the ", coined(words, rng)) for _ in range(rng.randint(4, 9))]
    return rng.choice((" ", "\n")).join(ask(frame, Case(Task("coined", "", noun), "", ())) for noun in nouns)


def echo_page(words, rng):
    """Words that mean nothing together, three times or more: where a small model learns to copy any word at all."""
    if rng.random() < 0.25:
        between, after = rng.choice((" ", ", ")), rng.choice((" . ", ". "))
        return after.join([between.join(rng.sample(words, rng.randint(3, 6))) for _ in range(2)] * 3)
    nouns = [capitalize(coined(words, rng)) for _ in range(rng.choice((1, 2)))]
    return " ".join(f"{noun}." for noun in nouns * rng.choice((3, 4)))


def index_phrases(but):
    """What an index lists: the things and values of the tables ("a puppy") and the names of what is asked for ("the
    capital"), without those that hold some words."""
    found = {words for case in fact_cases() for words in (case.x, case.values[0])}
    found |= {task.noun.split(" of ")[0] for task in TASKS.values()}
    return sorted(phrase for phrase in found if phrase and len(phrase.split()) < 4 and not re.search("{| by |,", phrase)
                  and not but & set(re.findall(r"\w+", phrase.lower())))


def index_page(phrases, rng):
    """As in the index of a book, a word at the start of a line, perhaps without its capital, and the word in a phrase: it
    is spelled with other tokens there, and the model must learn that it is the same."""
    lines = []
    for phrase in rng.sample(phrases, rng.randint(3, 6)):
        word = re.sub("^(an?|the) ", "", phrase)
        lines.append(f"{word.lower() if rng.random() < 0.4 else word}: {phrase}")
    return "\n".join(lines)


PAGES = {"facts": 28, "texts": 22, "retold": 4, "questions": 20, "echoes": 18, "index": 8}  # shares, in percent
DOCUMENTS = 45_200


# Worksheets: the tasks of a line take turns.
SHEETS = ("capital language currency continent", "young sound home legs class", "workplace tool", "korean spanish english",
          "comparative superlative", "opposite past plural", "day_after month_after", "larger smaller sum",
          "double half number_after", "sides wheels symbol color", "taller shorter where conclusion",
          "name second_item past_form topic city first_item future_form polite_form sentiment day third_item "
          "passive_form title object last_item negative_form summary korean_sentence",
          "story sentence poem wish three", "sql_column sql_order sql_all sql_count")
THINGS_ASKED = 12  # of each task, the first so many: few enough to learn what comes next


def worksheets(cases):
    """{task: its line of SHEETS, without tasks that may not be asked}, {task: cases to ask}. A line with one task left goes
    to the line after it."""
    found = {name: list({case.noun: case for case in some}.values()) for name, some in by_task(cases).items()}
    sheets, group = {}, []
    for line in SHEETS:
        group += [name for name in line.split() if name in found]
        if len(group) > 1:
            sheets |= dict.fromkeys(group, group)
            group = []
    return sheets, found


def worksheet(name, sheets, found, rng):
    """Cases as a worksheet asks for them, beginning with a task: each asks for another thing, and about another one, than
    the one before. What comes next can be known, or the base would rather repeat itself."""
    group, i = sheets[name], sheets[name].index(name)
    n = min([THINGS_ASKED] + [len(found[other]) for other in group])
    j = rng.randrange(n)
    return [found[group[(i + step) % len(group)]][(j + step) % n] for step in range(14)]


def write_corpus(rng, groups, size, held_out, without):
    """The pages of prose. Facts take turns, so that all are told equally often; texts are drawn anew as well as repeated."""
    text_cases = [case for group in sum(groups.values(), []) for case in group]
    facts, texts = by_task(fact_cases()), by_task(text_cases)
    asked = [name for name in TASKS if name not in held_out]
    sheets, listed = worksheets(case for case in [*fact_cases(), *text_cases] if case.task.name in asked)
    names = naming_words(held_out)
    no_echo = names if "held_out_words" in without else set()
    words, unnamed = (vocabulary([*fact_cases(), *text_cases], but) for but in (no_echo, names))
    phrases = index_phrases(no_echo)
    real, turns = {case.noun for case in fact_cases()}, []

    def next_facts():
        while len(turns) < 4:
            for name, cases in facts.items():
                n = min(len(cases), 8 if TASKS[name].kind in PATTERNS else 30)
                for _ in range(max(1, 24 // n) * HARD.get(name, 1)):
                    turns.extend(rng.sample(cases, n))
            rng.shuffle(turns)
        return [turns.pop() for _ in range(4)]

    def any_text():
        (maker,) = rng.choices(list(MAKERS), list(MAKERS.values()))
        return maker(rng) if rng.random() < 0.7 else rng.choice(groups[maker])

    def any_cases(n):
        names = rng.choices(asked, k=n)
        return [rng.choice(facts.get(name) or texts[name]) for name in names]

    def facts_page():
        cases = next_facts()
        page = " ".join(tell(case, rng) for case in cases)
        while True:
            (case,) = any_cases(1)
            if case.x not in page and not gives_away(page, [case]):
                return page + " " + ask(rng.choice(frames(case.task) + own_questions(case.task)), case)

    def questions_page():
        chance, group = rng.random(), [case for case in any_text() if case.task.name in asked]
        name = rng.choice(asked)
        if chance < 0.05 or name not in sheets:
            return question_page(any_cases(10), rng)
        if chance < 0.15:
            return invented_questions(unnamed, rng)
        if chance < 0.45 and len(group) > 1 and not gives_away(group[0].text, group):
            return question_page(group, rng, group[0].text)
        return question_page(worksheet(name, sheets, listed, rng), rng)

    def echoes_page():
        page = echo_page(words, rng)
        return page if not any(lower(noun) in real for noun in page.split(". ")) else echoes_page()

    write = {"facts": facts_page, "texts": lambda: text_page(any_text(), rng), "questions": questions_page,
             "retold": lambda: retold_page(any_text(), rng), "echoes": echoes_page,
             "index": lambda: index_page(phrases, rng)}
    shares = {kind: share for kind, share in PAGES.items() if kind not in without}
    return [write[kind]() for kind in rng.choices(list(shares), list(shares.values()), k=int(DOCUMENTS * size))]


# ----------------------------------------------------------------------------------------------------------------
# Pairs to tune on: practice, which is answered by looking at the instruction, and the tasks.

PRACTICE = {"reading": 900, "unknown": 1300, "repeat": 200}
PAIRS_A_TASK = 160
REPEAT = ("Repeat: {n}.", "Say after me: {n}.", "Repeat these words: {n}", "Write down: {n}", "Copy: {n}.",
          "Please repeat: {n}.", "Quote me: {n}.")


def practice(rng, cases, words, without):
    """Pairs about invented things: nothing is known about them, so what to say must be taken from the instruction."""
    short = [case.values[0].rstrip(".;!") for case in cases if len(case.values[0].split()) < 3]
    told_ways = [(case, way) for case in cases for way in case.task.asks if way[1]]

    def invented(task_words=1):
        """A noun phrase: that of a case with some of its naming words replaced by any others, or words that mean nothing."""
        case = rng.choice(cases)
        if rng.random() < 0.2:
            return case, Task("coined", "", coined(words, rng))
        parts = (case.task.noun if task_words == 1 else case.noun).split()
        can = [i for i, part in enumerate(parts) if part.lower() not in FUNCTION and part != "{x}"]
        for i in rng.sample(can, min(len(can), task_words)):
            parts[i] = rng.choice(words)
        return case, Task("coined", "", " ".join(parts).format(x=case.x), (), case.task.start)

    def twisted():
        """A question of a case and its telling, with a word or two that both hold replaced by others."""
        case, way = rng.choice(told_ways)
        question, telling = (part.replace("{x}", case.x).replace("{X}", capitalize(case.x)) for part in way)
        shared = sorted({w for w in re.findall(r"\w+", telling) if w in re.findall(r"\w+", question)} - FUNCTION)
        for word in rng.sample(shared, min(len(shared), rng.randint(1, 2))):
            other = rng.choice(words)
            question, telling = (re.sub(rf"\b{re.escape(word)}\b", other, part) for part in (question, telling))
        return question, telling

    def reading():
        """Statements about such things in the input, one of them asked for."""
        told = []
        for _ in range(rng.choice((1, 2, 2, 3))):
            value = rng.choice(short) if rng.random() < 0.7 else rng.choice(words)
            if told_ways and rng.random() < 0.3:
                question, telling = twisted()
                told.append((question, fill(telling, "", value)))
            else:
                case = Case(invented(rng.choice((1, 1, 2)))[1], "", (value,))
                told.append((in_a_persons_words(case, rng)[0], case.answer()))
        question, answer = rng.choice(told)
        return pair("reading", question, " ".join(said for _, said in told), answer)

    def unknown():
        """Asked for something that does not exist, the answer names it and says so."""
        case, task = invented()
        asked = Case(Task("coined", "", task.noun), "", ("unknown",))
        return pair("unknown", in_a_persons_words(asked, rng)[0], case.text, asked.answer())

    def repeat():
        case, task = invented()
        said = HERE + task.noun if task.start and rng.random() < 0.7 else capitalize(task.noun)
        if rng.random() < 0.3:
            said += (": " if said.startswith(HERE) else " is ") + rng.choice(words)
        question = rng.choice(REPEAT).format(n=said if rng.random() < 0.5 else lower(said))
        return pair("repeat", question, case.text if rng.random() < 0.6 else "", said + ".")

    write = {"reading": reading, "unknown": unknown, "repeat": repeat}
    return [write[kind]() for kind, n in PRACTICE.items() if kind not in without for _ in range(n)]


def pair(task, instruction, input, output):
    return {"instruction": instruction, "input": input, "output": output, "task": task}


def case_pair(case, question, telling="", i=0):
    return pair(case.task.name, ask(question, case), case.text, case.answer(i, telling))


# ----------------------------------------------------------------------------------------------------------------
# The whole: a corpus, tuning pairs and four held-out splits.


@dataclass(frozen=True)
class World:
    corpus: list  # pages of prose
    pairs: list  # rows to tune on: {"instruction", "input", "output", "task"}
    splits: dict  # name of a held-out split -> rows like those


def by_task(cases, key=lambda case: case.task.name):
    """{name of a task: its cases}"""
    found = {}
    for case in cases:
        found.setdefault(key(case), []).append(case)
    return found


def text_groups(maker, rng, n):
    """n (or as many as there are) groups of cases, every group about another text."""
    groups = {}
    for _ in range(20 * n):
        cases = maker(rng)
        groups.setdefault(cases[0].text, cases)
        if len(groups) == n:
            break
    return list(groups.values())


def split_cases(rng):
    """{task: cases to tune on}, {task: cases never tuned on}, {maker: groups of cases about one text}. Cases of one text
    go to one side together."""
    seen, unseen = {name: [] for name in TASKS}, {name: [] for name in TASKS}
    for name, cases in by_task(fact_cases()).items():
        cases = rng.sample(cases, len(cases))
        cases.sort(key=lambda case: case.x != "France")  # everybody's first question is about France
        n = min(8, max(2, len(cases) // 5))
        unseen[name] += cases[:n]
        seen[name] += cases[n:]
    groups = {maker: text_groups(maker, rng, 80) for maker in MAKERS}
    for drawn in groups.values():
        for i, group in enumerate(drawn):
            for case in group:
                (unseen if i < max(3, len(drawn) // 5) else seen)[case.task.name].append(case)
    return seen, unseen, groups


def build(seed=0, held_out=HELD_OUT, size=1.0, without=(), bare=False, frames_only=False):
    """The world from a seed. `held_out`: tasks never tuned on. `size`: 0.1 makes a tenth of the corpus.

    For experiments: `without` leaves out kinds of PAGES or of PRACTICE, or with "held_out_words" the words that name
    tasks held out from the echoes; `bare` answers with the value alone; `frames_only` asks as the prose does."""
    rng = random.Random(seed)
    seen, unseen, groups = split_cases(rng)
    splits = {"unseen_inputs": [], "unseen_phrasings": [], "unseen_tasks": [], "unseen_words": []}
    pairs, tuned = [], []
    for name, task in TASKS.items():
        ways = [(frame, "") for frame in frames(task)] + task.asks
        if name in held_out:
            cases = seen[name] + unseen[name]
            cases = rng.sample(cases, min(20, len(cases)))
            splits["unseen_tasks"] += [case_pair(case, rng.choice(frames(task))) for case in cases]
            other_words = [way for way in task.asks if way[1]] or task.asks
            splits["unseen_words"] += [case_pair(case, *rng.choice(other_words)) for case in cases[:8]]
            continue
        tuned += seen[name]
        for _ in range(min(PAIRS_A_TASK, len(seen[name]) * len(ways))):
            case, i = rng.choice(seen[name]), rng.randrange(4)
            question, telling = in_a_persons_words(case, rng)
            if frames_only:
                question, telling = ask(rng.choice(frames(task)), case), ""
            pairs.append(pair(name, question, case.text, case.answer(i, telling)))
        asked = [(case, ways[0] if case.x == "France" else rng.choice(ways)) for case in unseen[name][:6]]
        splits["unseen_inputs"] += [case_pair(case, *way) for case, way in asked]
        splits["unseen_phrasings"] += [case_pair(rng.choice(seen[name]), frame) for frame in unseen_frames(task)]
    words = vocabulary([*fact_cases(), *sum(seen.values(), [])], naming_words(held_out))
    pairs += practice(rng, tuned, words, without)
    rng.shuffle(pairs)
    if bare:
        for rows in (pairs, *splits.values()):
            rows[:] = [row | {"output": bare_value(row)} for row in rows]
    return World(write_corpus(rng, groups, size, held_out, without), pairs, splits)


def bare_value(row):
    """'The capital of France is Paris.' -> 'Paris.'"""
    _, found, value = row["output"].rpartition(": " if row["output"].startswith(HERE) else " is ")
    return value if found else row["output"]


# ----------------------------------------------------------------------------------------------------------------
# Is it right? Any of the sentences in which the thing is told, and nothing more; a rule where there are many answers.


AUXILIARIES = "is are was were am be has have had do does did will would can could may might must shall should".split()
MORE_VERBS = "like love see know say need want help put cost let get got became sat stood met rose fell felt left lay".split()
KNOWN_VERBS = {*AUXILIARIES, *MORE_VERBS, *re.findall(r"\w+", PASTS), *(v for row in VERBS for v in row.values())}
SOUNDS = [set(line.split()) for line in (  # endings that rhyme though they are spelled in different ways
    "e ee ea ey y ie", "y igh ie ye i uy", "o ow oe oh ough ew", "o oo ue ew ou ough oe", "ay ey eigh", "air are ear ere",
    "ore oor or our oar ar", "ight ite", "ain ane eign", "ail ale", "ame aim", "eat eet", "oat ote", "eam eem", "ead ed",
    "un one on", "ear eer ere ier", "one own oan", "ose ows oes", "eak eek", "ake eak", "ood ould", "all awl",
    "ies ise ize", "eep eap")]


def sentences(text):
    """Cut after a mark where a capital, a digit or a quote follows: "Stop!" said Ann. is one, 3.50 holds no end."""
    return re.split(r"""(?<=[.!?])(?<!\d\.)["']?\s+(?=["']?[A-Z\d])""", text.strip())


def well_said(text):
    """Ends with a mark and not in the middle, says nothing twice in a row, no sentence twice, does not refuse."""
    words, parts = re.findall(r"[\w']+", text.lower()), [re.sub(r"\W+", " ", s.lower()) for s in sentences(text)]
    ended = re.search(r"""\w[.!?]["']?$""", text) and words[-1] not in "and or but the a an of because with".split()
    repeated = re.search(r"\b(\w+(?: \w+){0,3}) \1\b", " ".join(words)) or len(set(words)) < 0.5 * len(words)
    refused = re.search(r"(?i)\b(sorry|cannot|can't|can not|unable|as an ai)\b|\bhere is a", re.sub('"[^"]*"', "", text))
    return bool(ended) and not repeated and not refused and len(set(parts)) == len(parts)


def says(sentence, least):
    """Does it say something: so many words, one of them a verb?"""
    words = re.findall(r"[\w']+", sentence.lower())
    return len(words) >= least and any(word in KNOWN_VERBS or re.search(r"..(ed|[^sui]s)$", word) for word in words)


def named(text, words):
    """The first of the words that a text holds, as it is or as a plural; None if there is none."""
    return next((word for word in words if re.search(rf"\b{word}(s|es)?\b", text, re.I)), None)


def right_story(expected, text):
    asked = [named(expected, HEROES), named(expected, SETTINGS)]
    whole = well_said(text) and len(sentences(text)) >= 3 and all(says(sentence, 4) for sentence in sentences(text))
    return None not in asked and whole and all(named(text, [word]) for word in asked)


def rhyme(one, other):
    ends = [re.search(r"(?:[aeiou]|y(?![aeiou]))+[^aeiouy]*e?$|$", word.lower()).group() for word in (one, other)]
    return one.lower() != other.lower() and "" not in ends and (ends[0] == ends[1] or any({*ends} <= s for s in SOUNDS))


def right_poem(expected, text):
    x = named(expected, [row["x"] for row in WORDS[8:]])
    lines = [part.split() for part in re.split(r"[^\w' ]+", text) if part.strip()]
    last = [line[-1] for line in lines] if len(lines) > 1 else text.strip(".!?").split()[::3]
    rhymes = any(rhyme(last[-1], other) for other in last[:-1])
    return bool(x and well_said(text) and 8 <= len(text.split()) <= 60 and named(text, [x]) and rhymes)


def right_sentence(expected, text):
    x = named(expected, OBJECTS + [row["x"] for row in WORDS[:8]])
    one = well_said(text) and len(sentences(text)) == 1 and says(text, 3) and len(text.split()) <= 25
    return bool(x and one and named(text, [x]) and re.match(r"""["']?[A-Z\d]""", text))


def right_three(expected, text):
    def split(said):
        return re.split(r",\s*and\s+|\s*,\s*|\s+and\s+", " ".join(said.lower().split())[:-1])

    shown, items = split(expected), split(text)
    kinds = [row["members"].lower().split(", ") for row in KINDS_OF_THINGS]
    members = next((kind for kind in kinds if set(shown) <= set(kind)), ())
    return text.endswith(".") and len(items) == len(set(items)) == 3 and set(items) <= set(members)


RULES = {"story": right_story, "poem": right_poem, "sentence": right_sentence, "three": right_three}


def check(task, expected, output):
    """Is `output` a right answer where `expected` is one? Strict: a whole statement and nothing after it. A task of this
    name may be of somebody's own file: then only the expected answer is right."""
    output, expected = output.strip(), expected.strip()
    if output == expected or task not in TASKS:
        return output == expected
    if task in RULES:
        head, found, rest = expected.partition(": ")
        said = output.removeprefix(head + found).strip()
        return output.startswith(head + ":") and all(RULES[task](rest, text) for text in (rest, said))
    return output in other_tellings(TASKS[task], expected)


def other_tellings(task, said):
    """All the ways to tell what one of them says: 'Paris is the capital of France.' -> {'The capital of France is ...'}"""
    ways, found = [task.statement, *task.tells], set()
    for way in ways:
        pattern = re.escape(way if way[-1] in ".;!" else way + ".")
        for name in "xXyY":
            pattern = pattern.replace(re.escape(f"{{{name}}}"), f"(?P<{name}>.+)", 1)
        for parts in [match.groupdict() for match in [re.fullmatch(pattern, said)] if match]:
            x, y = (parts.get(low) or as_inside(parts.get(low.upper()) or "") for low in "xy")
            found |= {fill(other, x, y) for other in ways if x or "{x}" not in other.lower()}
    return found


def as_inside(x):
    """'A dog' -> 'a dog', 'Paris' -> 'Paris'"""
    return lower(x) if x.split(" ")[0] in ("A", "An", "The") else x


# ----------------------------------------------------------------------------------------------------------------


def parse_args(argv):
    def names_from(known):
        def parse(text):
            for name in text.split(","):
                if name not in known:
                    raise argparse.ArgumentTypeError(f"{name}: unknown. Known: {', '.join(known)}")
            return text.split(",")

        return parse

    leave_out = (*PAGES, *PRACTICE, "held_out_words")
    parser = argparse.ArgumentParser(description="Counts and samples of the world; with a folder, its files.")
    add = parser.add_argument
    add("folder", nargs="?", help="write corpus.txt, pairs.jsonl and the held-out splits there")
    add("--seed", type=int, default=0, help="another draw of what is tuned on and held out")
    add("--hold-out", type=names_from(TASKS), default=HELD_OUT, help="tasks never tuned on")
    add("--without", type=names_from(leave_out), default=(), help=f"leave out some of: {', '.join(leave_out)}")
    add("--bare", action="store_true", help="answers are the value alone instead of a whole sentence")
    add("--frames-only", action="store_true", help="pairs are asked in the prose's own ways only")
    add("--responses-only", action="store_true", help="pairs get each other's instructions: what do the answers teach?")
    return parser.parse_args(argv)


def shuffled_instructions(pairs, rng):
    """Our form of response tuning (Hewitt et al. 2024 use no instructions at all): answers under others' instructions."""
    others = rng.sample(pairs, len(pairs))
    return [row | {"instruction": o["instruction"], "input": o["input"]} for row, o in zip(pairs, others)]


def main(argv=None):
    args = parse_args(argv)
    world = build(args.seed, args.hold_out, 1.0, args.without, args.bare, args.frames_only)
    pairs = shuffled_instructions(world.pairs, random.Random(0)) if args.responses_only else world.pairs
    words = sum(len(page.split()) for page in world.corpus)
    print(f"{len(TASKS)} task types of {len(KINDS)} kinds, {len(fact_cases())} facts and cases in tables")
    print(f"corpus: {len(world.corpus):,} pages, {words:,} words; pairs: {len(pairs):,}; held out: " +
          ", ".join(f"{len(rows)} {name}" for name, rows in world.splits.items()))
    rng = random.Random(1)
    print("\nFrom the corpus:", *rng.sample(world.corpus, 8), sep="\n  ")
    print("\nFrom the pairs:")
    for row in rng.sample(pairs, 8):
        print("  " + json.dumps(row, ensure_ascii=False))
    if not args.folder:
        return
    folder = Path(args.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "corpus.txt").write_text("\n\n".join(world.corpus) + "\n", encoding="utf-8")
        for name, rows in {"pairs": pairs, **world.splits}.items():
            lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in rows)
            (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    except OSError as error:
        print(f"error: {folder}: cannot be written: {error.strerror}. Choose another folder.", file=sys.stderr)
        sys.exit(2)
    print(f"\nWritten to {folder}: corpus.txt, pairs.jsonl and the held-out splits. Take them back with\n"
          f"  python train_sft.py --fresh --corpus {folder}/corpus.txt --data {folder}")


if __name__ == "__main__":
    from common.cli import program

    sys.exit(program(main)())
