"""Things that do not exist: their names, and facts about them.

Nothing is known about them, so a model must copy their names, read what a text says about them, or
answer "unknown". Every phrase is well formed: a task's or a relation's noun with a thing of the
fitting type ("the capital of Velaria", "the king of Velaria"), or an object ("the old map of Mia").
"""

import re

import world.facts as facts
from world.tasks import Fact, Task, upper_first, with_article

PROPER = ("place", "town", "tongue", "weekday", "month", "person")  # written with a capital
COUNTED = ("creature", "thing", "job")  # written with an article
# Words of {x} that are not invented.
LISTED = {
    "number": [str(number) for number in range(13, 100)],
    "column": facts.COLUMNS,
    "document": facts.DOCUMENTS_READ,
}
# Things that exist, of the types of RELATIONS.
REAL_THINGS = {
    "place": [row["x"] for row in facts.COUNTRIES] + facts.CITIES,
    "creature": [row["x"] for row in facts.ANIMALS],
    "job": [row["x"] for row in facts.JOBS],
    "person": facts.NAMES,
    "time": facts.DAYS + facts.MONTHS,
    "thing": [f"the {word}" for word in facts.OBJECTS] + [
        row["x"] for table in (facts.THINGS, facts.SHAPES, facts.VEHICLES, facts.ELEMENTS)
        for row in table],
    "word": [f"the word {row['x']}" for table in (
        facts.WORDS, facts.OPPOSITES, facts.PLURALS, facts.PASTS, facts.DEGREES) for row in table],
    "document": [f"the {word}" for word in facts.DOCUMENTS_READ],
}
OWNERS = ("person", "job", "place")  # of objects
# Tasks whose values are invented, too, half of the time: the types of the values.
VALUE_TYPES = {"capital": "town", "language": "tongue", "young": "creature", "english": "word",
               "opposite": "word", "past": "word", "plural": "table"}
# How often a fact that is in no table is of each form. A real relation is of a thing that exists.
FORMS = {"task": 5, "relation": 2, "real relation": 1, "object": 1}


def invent_name(kind, rng, unseen=False):
    """Make a name of a type of NAME_ENDS. A quarter of them, the unseen ones, are in no text."""
    starts, ends = facts.NAME_STARTS, facts.NAME_ENDS[kind]
    while True:
        i, j = rng.randrange(len(starts)), rng.randrange(len(ends))
        if ((i + j) % 4 == 0) == unseen:
            name = starts[i] + ends[j]
            break
    if kind in PROPER:
        return upper_first(name)
    return with_article(name) if kind in COUNTED else name


def invent_thing(x_type, rng, unseen=False):
    """Make something for the {x} of a task: 'Velaria', 'Velo and Tora', '31 and 17'."""

    def word(slot):
        kind = slot[1]
        return rng.choice(LISTED[kind]) if kind in LISTED else invent_name(kind, rng, unseen)

    form = facts.THING_FORMS.get(x_type, f"{{{x_type}}}")
    return re.sub("{(.+?)}", word, form)


def relation_task(head, x_type):
    """'king' -> a task that no table has: the king of {x}"""
    return Task("relation", "invented", f"the {head} of {{x}}", x_type)


def object_task(quality, word, x_type):
    """'old', 'map' -> a task about somebody's thing: the old map of {x}"""
    return Task("object", "invented", f"the {quality} {word} of {{x}}", x_type)


def relation_fact(rng, invented, unseen=False):
    """A fact that no table has, about a thing that exists or not: 'The king of France is Leo.'"""
    kinds = [kind for kind in facts.RELATIONS if not invented or kind[0] in facts.NAME_ENDS]
    x_type, value_type = kind = rng.choice(kinds)
    head = rng.choice(facts.RELATIONS[kind])
    x = invent_name(x_type, rng, unseen) if invented else rng.choice(REAL_THINGS[x_type])
    values = {"person": facts.NAMES, "quality": facts.TRAITS, "amount": facts.AMOUNTS,
              "word": [invent_name("word", rng)]}
    return Fact(relation_task(head, x_type), x, (rng.choice(values[value_type]),))


def object_fact(rng, invented, unseen=False):
    """A fact about somebody's thing: 'The golden ring of Velo is small.'"""
    x_type = rng.choice(OWNERS)
    x = invent_name(x_type, rng, unseen) if invented else rng.choice(REAL_THINGS[x_type])
    task = object_task(rng.choice(facts.QUALITIES), rng.choice(facts.OBJECTS), x_type)
    return Fact(task, x, (rng.choice(facts.TRAITS),))


def tasks_by_type(tasks):
    """{type of an invented thing: what can be asked about it, the world's tasks first}, where that
    is more than two questions."""
    everything = list(tasks)
    for (x_type, _), heads in facts.RELATIONS.items():
        if x_type in facts.NAME_ENDS:
            everything += [relation_task(head, x_type) for head in heads]
    for x_type in OWNERS:
        objects = zip(facts.QUALITIES, facts.OBJECTS)
        everything += [object_task(quality, word, x_type) for quality, word in objects]
    groups = {}
    for task in everything:
        groups.setdefault(task.x_type, []).append(task)
    return {x_type: group for x_type, group in groups.items() if len(group) > 2}


def task_fact(task, values, rng, unseen=False):
    """A fact of a task about an invented thing, with a value of the right type."""
    x = invent_thing(task.x_type, rng, unseen)
    value = rng.choice(values)
    if " and " in x:
        value = rng.choice(x.split(" and "))
    elif task.name in VALUE_TYPES and rng.random() < 0.5:
        value = invent_name(VALUE_TYPES[task.name], rng)
    return Fact(task, x, (value,))


def made_up_fact(rng, tasks, values, invented=False, unseen=False):
    """A fact that is in no table, of one of FORMS. `invented`: of a thing that doesn't exist;
    `unseen`: and whose name is in no text."""
    (form,) = rng.choices(list(FORMS), list(FORMS.values()))
    if form == "task":
        task = rng.choice([task for task in tasks if not unseen or task.x_type != "document"])
        return task_fact(task, values[task.name], rng, unseen)
    if form == "object":
        return object_fact(rng, invented or rng.random() < 0.5, unseen)
    return relation_fact(rng, invented or form == "relation", unseen)
