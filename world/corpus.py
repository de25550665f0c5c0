"""The prose that the base reads: pages of facts, short texts, questions, stories, spelling lessons.

It states every fact, and short texts with what they say. It has lists of questions, as worksheets
have. No page has a question beside its answer or any part of it, and no page has a question of a
task that is held out: that one *answers*, and how, is left for tuning to teach.
"""

import functools
import re

import world.facts as facts
import world.tasks as tasks
from world.invented import (
    invent_thing,
    made_up_fact,
    object_fact,
    relation_fact,
    tasks_by_type,
)
from world.tasks import TASKS, Fact, make_question, strip_article, upper_first

# Kinds of pages and their shares in percent.
PAGES = {"facts": 32, "texts": 21, "retold": 4, "questions": 18, "stories": 14, "spelling": 5,
         "tales": 6}
# Without short texts there are more pages to copy from: a small world has fewer steps to learn it.
PAGES_WITHOUT_TEXTS = {"facts": 33, "questions": 18, "stories": 30, "spelling": 3, "tales": 12}
DOCUMENTS = 42_500
HEADINGS = {
    "facts": ("Facts", "Notes", "Lesson"),
    "texts": ("Text", "Reading"),
    "retold": ("Text", "Reading"),
    "questions": ("Questions", "Homework", "Exercises"),
    "stories": ("Stories", "Diary"),
    "spelling": ("Words", "Spelling"),
    "tales": ("Stories", "Reading"),
}
HEADING_SHARE = 0.15  # of pages with a heading
SECOND_PART_SHARE = 0.4  # of these, how many go on with questions
TEMPLATE_SHARE = 0.35  # of statements in the task's own words, where it has some
WRAPPER_SHARE = 0.3  # of the others, those that begin with a wrapper
LOWER_CASE_SHARE = 0.1  # of question pages
FRESH_TEXT_SHARE = 0.7  # of texts drawn anew; the others are told again and again
# Worksheets: whose turn it is to ask. "alike": one generic template; "own": one way of the task.
SHEET_MIX = {"alike": 0.5, "own": 0.45, "any": 0.05}
QUESTION_PAGES = {"any": 0.05, "made up": 0.10, "text": 0.30, "worksheet": 0.55}
# What a story is about, as in invented.FORMS.
STORY_MIX = {"task": 0.45, "relation": 0.15, "real relation": 0.3, "object": 0.1}

WRAPPERS = ("The teacher said: {S}", "In the book we read: {S}",
            "It is true that {s}", "Everybody knows that {s}")


def make_statement(fact, rng):
    """State a fact in one of several ways."""
    if fact.task.answer_templates and rng.random() < TEMPLATE_SHARE:
        return fact.answer(template=rng.choice(fact.task.answer_templates))
    statement = fact.answer(rng.randrange(len(fact.values)))
    if rng.random() >= WRAPPER_SHARE:
        return statement
    wrapper = rng.choice(WRAPPERS[:2] if fact.task.prefix else WRAPPERS)
    return wrapper.format(S=statement, s=tasks.lower_first(statement))


@functools.cache
def spelling_words():
    """Words and short phrases of the tables: 'a puppy', 'the capital', 'France'."""
    words = {word for fact in tasks.table_facts() for word in (fact.x, fact.values[0])}
    words |= {task.noun.split(" of ")[0] for task in TASKS.values()}
    return sorted(word for word in words if word and len(word.split()) < 4
                  and not re.search("{| by |,|[0-9]", word))


# ---- Questions -----------------------------------------------------------------------------------


@functools.lru_cache(10_000)
def words_of(text):
    return " " + " ".join(re.findall(r"[\w*]+", text.lower())) + " "


def leaks_answer(page, cases):
    """Does the page contain the value of one of the facts?"""
    page = words_of(page)
    return any(words_of(value) in page for fact in cases for value in fact.values)


def question_page(cases, rng, text=""):
    """Questions and nothing else, mostly all asked alike, as on a worksheet; perhaps about a text.
    Leaves out what would leak another answer (the opposite of hot, the opposite of cold).

    Returns the page and the facts that it asks for."""
    (mix,) = rng.choices(list(SHEET_MIX), list(SHEET_MIX.values()))
    row, n = rng.randrange(len(facts.THE_TEMPLATES)), rng.randint(4, 9)
    asked, lines = [], []
    for fact in dict.fromkeys(cases):
        if len(lines) == n:
            break

        # Choose how to ask.
        if mix == "alike":
            template = tasks.generic_templates(fact.task)[row]
        elif mix == "own":
            template = fact.task.templates[-1][0]
        else:
            template, _ = rng.choice(tasks.question_templates(fact.task))
        question = make_question(template, fact)

        # Skip repetitions, orders among questions, and leaks.
        name = "task" if text else "noun"  # of a text, each thing is asked once
        new = getattr(fact, name) not in [getattr(other, name) for other in asked]
        alike = not lines or question[-1] == lines[0][-1]
        leak = leaks_answer(" ".join([text, *lines]), [fact]) or leaks_answer(question, asked)
        if new and alike and not leak:
            asked.append(fact)
            lines.append(question)
    if text:
        lines.insert(rng.randint(0, min(1, len(lines))), text)
    return rng.choice((" ", " ", " ", "\n")).join(lines), asked


# Worksheets: the tasks of a line take turns.
SHEETS = """
capital language currency continent / young sound home legs class / workplace tool /
korean spanish english / comparative superlative / opposite past plural / day_after month_after /
larger smaller sum / double half number_after / sides wheels symbol color / where conclusion /
name second_item past_form topic city first_item future_form polite_form sentiment day third_item
passive_form title object last_item negative_form summary korean_sentence /
story sentence poem wish three / sql_column sql_order sql_all sql_count"""
THINGS_ASKED = 12  # of each task, the first so many: few enough to learn what comes next


# ---- The corpus ----------------------------------------------------------------------------------


def deal_facts(cases, rng):
    """Yield groups of four facts of the tables for ever, so that all are told equally often. Every
    second time they are dealt by topic: a page about France, a page about plurals."""
    by_task, by_topic = tasks.group_by_task(cases), False
    things = [fact.x for fact in cases]
    topics = {x for x in things if not x.isdigit() and things.count(x) > 2}
    while True:
        # Draw the facts: of small tables several copies, of patterns a few examples.
        deck = []
        for name, group in by_task.items():
            n = min(len(group), 8 if TASKS[name].kind in facts.PATTERNS else 30)
            for _ in range(max(1, 24 // n) * facts.UPSAMPLE.get(name, 1)):
                deck += rng.sample(group, n)
        rng.shuffle(deck)

        # Sort them by topic, every second time.
        groups = {}
        for fact in deck:
            topic = fact.x if fact.x in topics else fact.task.name
            groups.setdefault(topic if by_topic else "", []).append(fact)
        pages = [list(dict.fromkeys(group[i : i + 4]))
                 for group in groups.values() for i in range(0, len(group), 4)]
        rng.shuffle(pages)
        yield from pages
        by_topic = not by_topic


class PageWriter:
    """Writes pages of all kinds. A method named as a kind returns a page and the facts it asks for.

    groups: {row of TEXTS: groups of facts about one text}, repeated beside new ones; names: the
    world's tasks; values: {task: values} of the tasks that are asked about invented things."""

    def __init__(self, rng, groups, hold_out, names, values):
        self.rng, self.groups, self.names = rng, groups, names
        self.values, self.made_up = values, [TASKS[name] for name in values]
        self.asked = [name for name in names if name not in hold_out]

        # {type of an invented thing: what can be asked about it}
        self.by_type = tasks_by_type(self.made_up)

        # The facts of the tables take turns; questions are about all facts but held-out ones.
        cases = [fact for fact in tasks.table_facts() if fact.task.name in names]
        self.deal = deal_facts(cases, rng)
        for drawn in groups.values():
            cases += [fact for group in drawn for fact in group]
        by_task = tasks.group_by_task(cases)
        self.by_task = {name: by_task[name] for name in self.asked}

        # Worksheets: {task: facts to ask for} and {task: the tasks of its line}, without tasks that
        # have no facts here. A line with one task left goes to the line after it.
        self.by_noun = {name: list({fact.noun: fact for fact in group}.values())
                        for name, group in self.by_task.items()}
        self.sheets, line = {}, []
        for listed in facts.split_list(SHEETS):
            line = line + [name for name in listed.split() if name in self.by_noun]
            if len(line) > 1:
                self.sheets |= dict.fromkeys(line, line)
                line = []

    def write_corpus(self, size=1.0):
        """Returns a list of pages without blank lines."""
        pages = PAGES if self.groups else PAGES_WITHOUT_TEXTS
        kinds = self.rng.choices(list(pages), list(pages.values()), k=int(DOCUMENTS * size))
        return [self.write_page(kind) for kind in kinds]

    def write_page(self, kind):
        """A page, some with a heading, and some of these with a second part of questions."""
        page, asked = getattr(self, kind)()
        if self.rng.random() >= HEADING_SHARE:
            lower = kind == "questions" and self.rng.random() < LOWER_CASE_SHARE
            return page.lower() if lower else page
        page = f"### {self.rng.choice(HEADINGS[kind])}:\n{page}"
        if asked or self.rng.random() >= SECOND_PART_SHARE:
            return page

        # Leave the questions out if one of them would be beside its answer.
        questions, asked = self.questions()
        starts = [fact.task.noun.partition("{x}")[0].lower() for fact in asked]
        if leaks_answer(page, asked) or any(start in page.lower() for start in starts):
            return page
        return page + f"\n### {self.rng.choice(HEADINGS['questions'])}:\n{questions}"

    def facts(self):
        page = " ".join(make_statement(fact, self.rng) for fact in next(self.deal))
        while True:
            fact = self.rng.choice(self.by_task[self.rng.choice(self.asked)])
            if not fact.text and fact.x not in page and not leaks_answer(page, [fact]):
                template, _ = self.rng.choice(tasks.question_templates(fact.task))
                return page + " " + make_question(template, fact), [fact]

    def any_text(self):
        """Facts about a text."""
        weights = [facts.TEXTS[i][0] for i in self.groups]
        (i,) = self.rng.choices(list(self.groups), weights)
        if self.rng.random() < FRESH_TEXT_SHARE:
            return tasks.draw_text(facts.TEXTS[i], self.rng, self.names)
        return self.rng.choice(self.groups[i])

    def texts(self):
        """A short text, what can be said about it, and the text again.

        No page ends right after a statement: to stop there is left for tuning to teach."""
        group = self.any_text()
        cases = self.rng.sample(group, min(len(group), self.rng.randint(2, 4)))
        statements = " ".join(make_statement(fact, self.rng) for fact in cases)
        text = group[0].text
        return text + self.rng.choice((" ", "\n")) + statements + " " + text, []

    def retold(self):
        """A short text again and again with statements between: what repeats is easy to copy."""
        group = self.any_text()
        parts = [f"{fact.text} {fact.answer()}" for fact in self.rng.choices(group, k=3)]
        return " ".join([*parts, group[0].text]), []

    def questions(self):
        (kind,) = self.rng.choices(list(QUESTION_PAGES), list(QUESTION_PAGES.values()))
        name = self.rng.choice(self.asked)
        if kind == "made up":
            return self.made_up_questions(), []
        if kind == "text" and self.groups:
            group = [fact for fact in self.any_text() if fact.task.name in self.asked]
            if len(group) > 1 and not leaks_answer(group[0].text, group):
                return question_page(group, self.rng, group[0].text)
        if kind == "any" or name not in self.sheets:
            names = self.rng.choices(self.asked, k=10)
            return question_page([self.rng.choice(self.by_task[name]) for name in names], self.rng)

        # A worksheet: each question of another task, and about another thing, than the one before.
        # What comes next can be known, or the base would rather repeat itself.
        names = self.sheets[name]
        i = names.index(name)
        n = min(THINGS_ASKED, *(len(self.by_noun[other]) for other in names))
        j = self.rng.randrange(n)
        cases = [self.by_noun[names[(i + k) % len(names)]][(j + k) % n] for k in range(14)]
        return question_page(cases, self.rng)

    def made_up_questions(self):
        """Questions about one thing that does not exist, all asked alike.

        They come in the order of the tables, so that what comes next can be known."""
        x_type = self.rng.choice(list(self.by_type))
        group = self.by_type[x_type]
        i = self.rng.randrange(len(group))
        n = min(len(group), self.rng.randint(4, 9))
        thing = invent_thing(x_type, self.rng)
        template = self.rng.choice(facts.THE_TEMPLATES)
        cases = [Fact(task, thing, ()) for task in (group + group)[i : i + n]]
        lines = [make_question(template, fact) for fact in cases]
        return self.rng.choice((" ", "\n")).join(lines)

    def made_up_fact(self):
        return made_up_fact(self.rng, self.made_up, self.values)

    def stories(self):
        """A small story that names one thing in full in each sentence: a model learns to copy."""
        # choose the thing
        (form,) = self.rng.choices(list(STORY_MIX), list(STORY_MIX.values()))
        deeds = facts.DEEDS
        if form == "object":
            noun = object_fact(self.rng, self.rng.random() < 0.5).noun
            deeds = facts.OBJECT_DEEDS
        elif form == "task":
            task = TASKS[self.rng.choice(self.names)]
            noun = task.noun.format(x=invent_thing(task.x_type, self.rng))
        else:
            noun = relation_fact(self.rng, form == "relation").noun

        # tell what happened to it
        a, b = self.rng.sample(facts.NAMES, 2)
        sentences = self.rng.sample(deeds, self.rng.choice((3, 4, 4, 5)))
        place = self.rng.choice(facts.HOLDERS)
        words = {"A": a, "B": b, "p": place, "n": noun, "N": upper_first(noun)}
        return " ".join(sentence.format(**words) for sentence in sentences), []

    def tales(self):
        """Statements about things that do not exist, told twice: here a model learns to read."""
        cases = [self.made_up_fact() for _ in range(self.rng.randint(1, 3))]
        a, b = self.rng.sample(facts.NAMES, 2)
        statements = [fact.answer() for fact in cases]
        again = self.rng.choice(statements)
        parts = [f"{a} reads about {cases[0].noun}.", *statements]
        return " ".join([*parts, f"{a} told {b}: {again}", f"{b} likes it."]), []

    def spelling(self):
        """Words that children write, or a list of them and how to write them: with and without a
        capital, at the start of a line and inside one."""
        words = self.rng.sample(spelling_words(), self.rng.randint(3, 6))
        names = self.rng.sample(facts.NAMES, 3)
        if self.rng.random() < 0.4:
            listed = ", ".join(strip_article(word) for word in words)
            return " ".join(f"{name} writes: {listed}." for name in names), []
        lines = []
        for word in words:
            bare = strip_article(word)
            first = bare.lower() if self.rng.random() < 0.4 else bare
            line = f"{first}: we write {word}."
            if word.startswith(("a ", "an ")) and self.rng.random() < 0.5:
                line = f"{tasks.plural(bare)}: one of them is {word}."
            lines.append(line)
        return "\n".join([*lines, f"{names[0]} learns it with {names[1]}."]), []
