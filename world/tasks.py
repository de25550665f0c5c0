"""Tasks and facts: what can be asked, and the right answers.

A task names what is asked for with a noun phrase ("the capital of {x}"). A fact is one case of it.
One rule makes everything else: prose states a fact ("The capital of France is Paris."),
instructions ask for its noun phrase ("Name the capital of France."), and an answer states it.
"""

import functools
import re
from dataclasses import dataclass

import world.facts as facts


@dataclass(frozen=True)
class Task:
    """A kind of question. `ways` is the text of its own templates (see facts.py)."""

    name: str
    kind: str  # question answering, translation, ...: the families instruction tuning is known for
    noun: str  # {x} is the thing it is asked about
    x_type: str  # what kind of thing {x} is
    ways: str = ""
    prefix: str = ""  # facts.LIST_PREFIX, or "" for the noun and "is"

    @functools.cached_property
    def templates(self):
        """Ways to ask only this: [(question template, answer template or "")]."""
        pairs = [way.partition("-> ")[::2] for way in facts.split_list(self.ways)]
        return [(question.strip(), answer) for question, answer in pairs if question]

    @functools.cached_property
    def answer_templates(self):
        """Ways to state it that differ from `statement`."""
        return [way.partition("-> ")[2] for way in facts.split_list(self.ways) if "-> " in way]

    @property
    def has_the(self):
        """Does it ask for the one thing of its kind, as "the capital of {x}"?"""
        return self.noun.startswith("the ")

    @property
    def statement(self):
        """The common answer template: '{noun} is {y}'."""
        if self.prefix:
            return f"{self.prefix}{self.noun}: {{y}}"
        return f"{upper_first(self.noun)} is {{y}}"


@dataclass(frozen=True)
class Fact:
    """One right answer of a task, or several."""

    task: Task
    x: str  # what it is about, as "France"
    values: tuple  # right answers, of which one is shown
    text: str = ""  # the text that must be read, the `### Input:` part

    @functools.cached_property
    def noun(self):
        """'the capital of France'"""
        return self.task.noun.format(x=self.x)

    def answer(self, i=0, template=""):
        """State the i-th value. Returns 'The capital of France is Paris.', or with a template
        '{y} is the capital of {x}': 'Paris is the capital of France.'"""
        value = self.values[i % len(self.values)]
        return fill_template(template or self.task.statement, self.x, value)


def fill_template(template, x, y):
    """Put x and y into an answer template. Returns a sentence with a mark at its end."""
    sentence = template.format(x=x, y=y, X=upper_first(x), Y=upper_first(y))
    return sentence if sentence[-1] in ".!;" else sentence + "."


def upper_first(text):
    """'a dog' -> 'A dog'"""
    return text[:1].upper() + text[1:]


def lower_first(text):
    """'The dog' -> 'the dog'"""
    return text[:1].lower() + text[1:]


def with_article(word):
    """'owl' -> 'an owl'"""
    return ("an " if word[0] in "aeiou" else "a ") + word


@functools.cache
def strip_article(phrase):
    """'an owl' -> 'owl'"""
    return re.sub("^(an?|the) ", "", phrase)


@functools.cache
def plural(word):
    """'cow' -> 'cows'"""
    irregular = {row["x"]: row["plural"] for row in facts.PLURALS} | {"deer": "deer"}
    if word in irregular:
        return irregular[word]
    if word[-1] == "y" and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


TASKS = {row[0]: Task(*row) for row in facts.TASK_ROWS}
FAMILIES = {}  # name of a kind -> names of its tasks
for _task in TASKS.values():
    FAMILIES.setdefault(_task.kind, []).append(_task.name)
assert not set(TASKS) & set(FAMILIES)


def expand_names(names):
    """Replace names of families by their tasks. Returns names of tasks, in the world's order.

    Raises ValueError for a name that is neither."""
    tasks = set()
    for name in names:
        if name not in TASKS and name not in FAMILIES:
            known = ", ".join([*TASKS, *FAMILIES])
            raise ValueError(f"{name}: no such task or family. Known: {known}")
        tasks.update(FAMILIES.get(name, [name]))
    return tuple(name for name in TASKS if name in tasks)


# ---- Ways to ask ---------------------------------------------------------------------------------


def generic_templates(task):
    """Ways to ask that all tasks of its form share; they are in the prose too."""
    return facts.THE_TEMPLATES if task.has_the else facts.A_TEMPLATES


def question_templates(task):
    """Generic templates and the task's own: [(question template, answer template or "")]."""
    return [(template, "") for template in generic_templates(task)] + task.templates


@functools.cache
def head_of(task):
    """'the Korean word for {x}' -> 'Korean word'; "" where the noun has another form."""
    match = re.fullmatch(r"the (.+) (?:of|for|in) (?:the )?{x}", task.noun)
    return match[1] if match and task.kind != "reasoning" else ""


def make_question(template, fact):
    """Fill a question template. Returns the instruction."""
    return upper_first(template.format(
        n=fact.noun,
        N=upper_first(fact.noun),
        b=strip_article(fact.noun),
        h=head_of(fact.task),
        t=f"the {fact.x}" if fact.task.noun.endswith("the {x}") else fact.x,
        x=fact.x,
        w=strip_article(fact.x),
        p=plural(strip_article(fact.x)),
        s=fact.x.replace(" and ", " plus "),
        e=fact.x.replace(" and ", " + "),
        o=fact.x.replace(" and ", " or "),
    ))


# ---- Facts of the tables, about 900 --------------------------------------------------------------


@functools.cache
def table_facts():
    """List all facts of the tables, row by row, column by column."""
    triples = [*column_triples(), *number_triples()]
    cases = [Fact(TASKS[name], str(x), (str(value),)) for name, x, value in triples]
    return (*cases, *pattern_facts())


def column_triples():
    """(task, x, value) of the tables whose columns are tasks."""
    tables = (facts.COUNTRIES, facts.ANIMALS, facts.THINGS, facts.ELEMENTS, facts.JOBS,
              facts.SHAPES, facts.VEHICLES, facts.DEGREES, facts.WORDS, facts.OPPOSITES,
              facts.PLURALS, facts.PASTS)
    for row in (row for table in tables for row in table):
        for column, value in row.items():
            if column != "x" and value != "-":
                yield column, row["x"], value
    for row in facts.OPPOSITES:
        yield "opposite", row["opposite"], row["x"]
    for row in facts.WORDS:
        yield "english", row["korean"], row["x"]
    for name, words in (("day_after", facts.DAYS), ("month_after", facts.MONTHS)):
        for i, word in enumerate(words):
            yield name, word, words[(i + 1) % len(words)]


def number_triples():
    """(task, x, value) of arithmetic with small numbers."""
    for i in range(1, 6):
        for j in range(1, 6):
            if i < 5 and j < 5:
                yield "sum", f"{i} and {j}", i + j
            if i != j:
                yield "larger", f"{i} and {j}", max(i, j)
                yield "smaller", f"{i} and {j}", min(i, j)
    for i in range(1, 13):
        yield "double", i, 2 * i
        yield "half", 2 * i, i
        yield "number_after", i, i + 1


def pattern_facts():
    """Facts whose value is a longer text: lists, SQL, stories, poems."""

    def fact(name, x, *values):
        return Fact(TASKS[name], x, values)

    for row in facts.KINDS_OF_THINGS:
        yield fact("three", *row.split(": "))
    for t in facts.TABLES:
        yield fact("sql_all", t, f"SELECT * FROM {t};")
        yield fact("sql_count", t, f"SELECT COUNT(*) FROM {t};")
        for column in facts.COLUMNS:
            yield fact("sql_column", f"{column} of all {t}", f"SELECT {column} FROM {t};")
            yield fact("sql_order", f"{t} by {column}", f"SELECT * FROM {t} ORDER BY {column};")
    for x in facts.HEROES:
        for y in facts.SETTINGS:
            a, b = with_article(x), with_article(y)
            yield fact("story", f"{a} and {b}", *(
                story.format(a=a, b=b, x=x, y=y) for story in facts.STORIES))
    words = [row["x"] for row in facts.WORDS]
    for x in words[8:]:
        yield fact("poem", f"the {x}", *(poem.format(x=f"the {x}") for poem in facts.POEMS))
    for x in facts.OBJECTS + words[:8]:
        yield fact(
            "sentence", f"the {x}", f"The {x} is not here.", f"I see the {x}.", f"I like the {x}.")
    for name in facts.NAMES:
        yield fact("wish", name, f"Happy birthday, dear {name}!")


# ---- Facts of a text: the answer is in the `### Input:` part or follows from it ------------------


def draw_slots(rng):
    """Draw a word for every slot of TEXTS."""
    words = sorted({*facts.OBJECTS, *(row["x"] for row in facts.WORDS)})
    slots = dict(zip(("w1", "w2", "w3", "w4"), rng.sample(words, 4)))
    slots["a"], slots["b"] = rng.sample(facts.NAMES, 2)
    slots["day"], slots["city"] = rng.choice(facts.DAYS), rng.choice(facts.CITIES)
    slots["thing"], slots["holder"] = rng.choice(facts.OBJECTS), rng.choice(facts.HOLDERS)
    slots["a_thing"] = with_article(slots["thing"])
    slots["work"] = rng.choice(facts.OPINIONS)
    slots["good"], slots["bad"] = rng.choice(facts.GOOD), rng.choice(facts.BAD)
    slots["topic"], slots["sentence"] = rng.choice(facts.TOPICS).split(": ")
    slots |= rng.choice(facts.CHAINS)

    # Verbs: opens -> open, carries -> carry.
    verb = rng.choice(facts.VERBS)
    infinitive = verb["verb"].replace("ies", "ys")[:-1]
    slots |= verb | {"infinitive": infinitive, "Infinitive": upper_first(infinitive)}

    # Every 28th Hangul syllable has no final consonant; the object particle depends on it.
    row = rng.choice(facts.WORDS[:12])
    slots["english"], slots["korean"] = row["x"], row["korean"]
    slots["particle"] = "를" if (ord(row["korean"][-1]) - 0xAC00) % 28 == 0 else "을"
    slots["feel"], slots["feel_in_korean"] = rng.choice(list(facts.KOREAN_VERBS.items()))
    return slots


def draw_text(row, rng, tasks=TASKS):
    """Write one text of a row of TEXTS. Returns the facts that can be asked about it."""
    _, labels, texts, answers = row
    slots = draw_slots(rng)
    label = rng.choice(facts.split_list(labels)).format(**slots)
    text = rng.choice(facts.split_list(texts)).format(**slots)
    return [Fact(TASKS[name], label, (answer.format(**slots),), text)
            for name, answer in answers.items() if name in tasks]


def draw_texts(row, rng, n, tasks=TASKS):
    """Up to n groups of facts, every group about another text."""
    groups = {}
    for _ in range(20 * n):
        group = draw_text(row, rng, tasks)
        if group:
            groups.setdefault(group[0].text, group)
        if len(groups) == n:
            break
    return list(groups.values())


def text_facts(rng):
    """Facts about one text of each row of TEXTS."""
    return [fact for row in facts.TEXTS for fact in draw_text(row, rng)]


def group_by_task(cases):
    """{name of a task: its facts}"""
    groups = {}
    for fact in cases:
        groups.setdefault(fact.task.name, []).append(fact)
    return groups
