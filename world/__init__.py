"""A tiny true world: its facts, the prose that states them, and the ways people ask about them.

What it is: tables of facts a learner recognizes, makers of short texts, and one rule (`tasks.py`)
that turns both into (1) a corpus of prose to pretrain on, and (2) instruction pairs to tune on,
with held-out splits. What it is not: a language. Every sentence comes from a pattern, so every
answer can be checked. It is closed: a model made from it knows these things and patterns only.

    python -m world               counts and samples
    python -m world my_world      writes corpus.txt, pairs.jsonl and the held-out splits there

Read it from the leaves: facts (tables), tasks, check, invented, corpus, pairs.
"""

import random
from dataclasses import dataclass

from world.check import check, restate
from world.corpus import PAGES, PageWriter
from world.facts import HELD_OUT, LIST_PREFIX, QUICK_TASKS, TEXTS
from world.pairs import copy_pairs, fact_pair, held_out_splits, invented_splits, task_pairs
from world.tasks import (
    FAMILIES,
    TASKS,
    Fact,
    draw_texts,
    expand_names,
    generic_templates,
    group_by_task,
    make_question,
    question_templates,
    table_facts,
    text_facts,
    upper_first,
)

N_TEXTS = 80  # texts of a maker that are told again and again, and asked about
# Types of things that are not invented for pairs: sums of any numbers exist.
EXISTING = ("number", "two numbers", "two creatures", "the animal", "a column", "an order")


@dataclass(frozen=True)
class World:
    """What `build` returns."""

    corpus: list  # pages of prose
    pairs: list  # rows to tune on: {"instruction", "input", "output", "task"}
    splits: dict  # name of a held-out split -> rows like those


def mirror_key(fact):
    """The same for the opposite of hot and the opposite of cold, for 1 and 2 and for 2 and 1."""
    return tuple(sorted((*fact.x.split(" and "), fact.values[0])))


def split_facts(rng, tasks=TASKS):
    """Draw what is tuned on. Returns {task: facts to tune on}, {task: facts never tuned on},
    {row of TEXTS: groups of facts about one text}. Facts of one text go to one side together."""
    seen, unseen = {name: [] for name in tasks}, {name: [] for name in tasks}
    for name, cases in group_by_task(table_facts()).items():
        if name not in tasks:
            continue
        cases = rng.sample(cases, len(cases))

        # A fact and its mirror go to one side together: one question is the other one's answer.
        order = {mirror_key(fact): i for i, fact in enumerate(cases)}
        cases.sort(key=lambda fact: order[mirror_key(fact)])
        if name == "capital":  # the first held-out question is about France
            cases.sort(key=lambda fact: fact.x != "France")
        n = min(8, max(2, len(cases) // 5))
        while n < len(cases) and mirror_key(cases[n]) == mirror_key(cases[n - 1]):
            n += 1
        unseen[name] += cases[:n]
        seen[name] += cases[n:]

    groups = {}
    for number, row in enumerate(TEXTS):
        drawn = draw_texts(row, rng, N_TEXTS, tasks)
        if drawn:
            groups[number] = drawn
        for i, group in enumerate(drawn):
            side = unseen if i < max(3, len(drawn) // 5) else seen
            for fact in group:
                side[fact.task.name].append(fact)
    return seen, unseen, groups


def values_to_invent(seen, hold_out):
    """{task: values} of the tasks that are asked about things that do not exist."""
    values = {}
    for name, cases in seen.items():
        task = TASKS[name]
        if name not in hold_out and not task.prefix and task.x_type not in EXISTING:
            values[name] = [fact.values[0].rstrip(".;!") for fact in cases]
    return values


def build(seed=0, hold_out=HELD_OUT, size=1.0, tasks=None):
    """Build the world from a seed.

    hold_out: tasks or FAMILIES never tuned on. size: 0.1 writes a tenth of the corpus, 0 none.
    tasks: build a smaller world of these only. Raises ValueError for names that do not exist."""
    tasks, hold_out = expand_names(tasks or TASKS), expand_names(hold_out)
    rng = random.Random(seed)
    seen, unseen, groups = split_facts(rng, tasks)
    values = values_to_invent(seen, hold_out)
    made_up = [TASKS[name] for name in values]

    # Held-out rows and pairs.
    splits = held_out_splits(rng, tasks, seen, unseen, hold_out)
    splits |= invented_splits(rng, made_up, values)
    pair_rng = random.Random(f"pairs {seed}")  # so that the corpus doesn't depend on the pairs
    pairs = task_pairs(pair_rng, tasks, seen, hold_out)
    pairs += copy_pairs(pair_rng, len(pairs), made_up, values)
    pair_rng.shuffle(pairs)

    # The pair that is shown first is one that everybody knows.
    if "capital" in seen and "capital" not in hold_out:
        pairs.insert(0, fact_pair(seen["capital"][0], "What is {n}?"))
    writer = PageWriter(rng, groups, hold_out, tasks, values)
    return World(writer.write_corpus(size), pairs, splits)
