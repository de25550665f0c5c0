"""Instruction pairs to tune on, and held-out splits that show what was learned.

The tasks are mixed with two kinds of pairs about things that do not exist: "reading", where the
input says what is asked, and "unknown", where nothing does.
"""

import world.facts as facts
import world.tasks as tasks
from world.invented import made_up_fact
from world.tasks import TASKS, make_question, question_templates

PAIRS_A_TASK = 240
PAIRS_A_TEXT_TASK = 110  # if the input or a pattern gives the answer, fewer are enough
COPY_PAIRS = {"reading": 0.19, "unknown": 0.10}  # for each pair of a task
SPLIT_ROWS = 80  # of unseen_texts and of unknown_things
# How a person asks, where the task has such templates ...
QUESTION_MIX = {"own": 0.36, "generic": 0.12, "of": 0.15, "keywords": 0.16, "more": 0.21,
                "other form": 0.3}
# ... and what happens to the question then.
NOISE = {"typo": 0.16, "opener": 0.25, "closer": 0.2, "lower case": 0.3}
N_STATEMENTS = (1, 2, 2, 3)  # of which one is asked for in a "reading" pair
UNKNOWN_INPUT_SHARE = 0.25  # of "unknown" pairs that have an input, which does not say it


def make_pair(task, instruction, input, output):
    return {"instruction": instruction, "input": input, "output": output, "task": task}


def fact_pair(fact, template, answer_template=""):
    """The pair of a fact, asked with a template."""
    answer = fact.answer(template=answer_template)
    return make_pair(fact.task.name, make_question(template, fact), fact.text, answer)


# ---- Many ways to ask ----------------------------------------------------------------------------


def misspell(instruction, fact, rng):
    """Make a typing error in one word, but not in the thing asked about."""
    words = instruction.split(" ")
    fixed = (fact.x or fact.noun).lower().split()
    fixed.append(tasks.plural(tasks.strip_article(fact.x)))
    candidates = [i for i, word in enumerate(words)
                  if len(word) > 2 and word.isalpha() and word.lower() not in fixed]
    if not candidates:
        return instruction
    i = rng.choice(candidates)
    word, j = words[i], rng.randrange(len(words[i]) - 1)
    swapped = word[:j] + word[j + 1] + word[j] + word[j + 2 :]
    words[i] = rng.choice((swapped, word[:j] + word[j + 1 :]))
    return " ".join(words)


def paraphrase(fact, rng):
    """Ask for a fact as one of many persons would. Returns (instruction, answer template or "")."""
    # Choose a template.
    of = bool(tasks.head_of(fact.task))
    more = facts.THE_MORE if fact.task.has_the else facts.A_MORE
    templates = {
        "own": fact.task.templates,
        "generic": [(template, "") for template in tasks.generic_templates(fact.task)],
        "of": [(template, "") for template in facts.OF_MORE if of],
        "keywords": [(template, "") for template in facts.KEYWORDS if of],
        "more": [(template, "") for template in more],
        "other form": [(template, "") for template in facts.OTHER_FORMS.get(fact.task.name, ())],
    }
    kinds = [kind for kind in QUESTION_MIX if templates[kind]]
    (kind,) = rng.choices(kinds, [QUESTION_MIX[kind] for kind in kinds])
    template, answer_template = rng.choice(templates[kind])
    instruction = make_question(template, fact)

    # Add what else a person types.
    if rng.random() < NOISE["typo"]:
        instruction = misspell(instruction, fact, rng)
    if rng.random() < NOISE["opener"]:
        opener = rng.choice(facts.OPENERS)
        inside = opener[-1] in ",:" and not instruction.startswith(fact.x)
        instruction = f"{opener} {tasks.lower_first(instruction) if inside else instruction}"
    if rng.random() < NOISE["closer"]:
        instruction += " " + rng.choice(facts.CLOSERS)
    if rng.random() < NOISE["lower case"]:
        bare = instruction.rstrip("?.!")
        lower = instruction.lower()
        instruction = rng.choice((lower, bare.lower(), bare.lower(), bare, bare + "??"))
    return instruction, answer_template


# ---- Pairs about things that do not exist --------------------------------------------------------


def copy_pairs(rng, n, made_up, values):
    """Pairs that are answered by looking at the prompt: nothing is known about these things.

    n: how many pairs of tasks there are; `values`: {task: values}."""
    rows = []
    for _ in range(int(n * COPY_PAIRS["reading"])):
        cases = [made_up_fact(rng, made_up, values) for _ in range(rng.choice(N_STATEMENTS))]
        questions = [paraphrase(fact, rng) for fact in cases]
        rows.append(reading_pair(cases, questions, rng))
    for _ in range(int(n * COPY_PAIRS["unknown"])):
        # Of things that exist one must not say "unknown": a task that is held out asks about them.
        fact = made_up_fact(rng, made_up, values, invented=True)
        other = made_up_fact(rng, made_up, values)
        has_input = rng.random() < UNKNOWN_INPUT_SHARE and fact.noun != other.noun
        question, _ = paraphrase(fact, rng)
        rows.append(unknown_pair(fact, question, other.answer() if has_input else ""))
    return rows


def reading_pair(cases, questions, rng):
    """Statements as the input, one of them asked for."""
    statements = [fact.answer(template=template) for fact, (_, template) in zip(cases, questions)]
    i = rng.randrange(len(cases))
    return make_pair("reading", questions[i][0], " ".join(statements), statements[i])


def unknown_pair(fact, question, text=""):
    """Asked for something that does not exist, the answer names it and says so."""
    answer = fact.task.statement.format(x=fact.x, y="unknown")
    return make_pair("unknown", question, text, answer + ".")


def invented_splits(rng, made_up, values):
    """unseen_texts: statements about names that occur nowhere else. unknown_things: such names."""
    texts, things = [], []
    for _ in range(SPLIT_ROWS):
        n = rng.choice(N_STATEMENTS)
        cases = [made_up_fact(rng, made_up, values, True, unseen=True) for _ in range(n)]
        questions = []
        for fact in cases:
            template, answer_template = rng.choice(question_templates(fact.task))
            questions.append((make_question(template, fact), answer_template))
        texts.append(reading_pair(cases, questions, rng))

        fact = made_up_fact(rng, made_up, values, True, unseen=True)
        template, _ = rng.choice(question_templates(fact.task))
        things.append(unknown_pair(fact, make_question(template, fact)))
    return {"unseen_texts": texts, "unknown_things": things}


# ---- Pairs of the tasks, and what is held out ----------------------------------------------------


def task_pairs(rng, names, seen, hold_out):
    """Pairs of all tasks that are tuned on."""
    rows = []
    for name in names:
        if name in hold_out:
            continue
        easy = seen[name][0].text or TASKS[name].prefix
        n = PAIRS_A_TEXT_TASK if easy else PAIRS_A_TASK
        for _ in range(min(n, len(seen[name]) * len(question_templates(TASKS[name])))):
            fact, i = rng.choice(seen[name]), rng.randrange(4)
            question, answer_template = paraphrase(fact, rng)
            answer = fact.answer(i, answer_template)
            rows.append(make_pair(name, question, fact.text, answer))
    return rows


def held_out_splits(rng, names, seen, unseen, hold_out):
    """unseen_inputs: facts never asked for; unseen_phrasings: in words never used; unseen_tasks:
    tasks never asked for, in generic templates; unseen_words: these, not named by their noun."""
    splits = {"unseen_inputs": [], "unseen_phrasings": [], "unseen_tasks": [], "unseen_words": []}
    for name in names:
        task = TASKS[name]
        templates = question_templates(task)
        if name in hold_out:
            cases = seen[name] + unseen[name]
            cases = rng.sample(cases, min(20, len(cases)))
            generic = tasks.generic_templates(task)
            splits["unseen_tasks"] += [fact_pair(fact, rng.choice(generic)) for fact in cases]
            own = [pair for pair in task.templates if pair[1]] or task.templates
            splits["unseen_words"] += [fact_pair(fact, *rng.choice(own)) for fact in cases[:9]]
            continue
        for fact in unseen[name][:6]:
            way = templates[0] if fact.x == "France" else rng.choice(templates)
            splits["unseen_inputs"].append(fact_pair(fact, *way))
        # ways to ask that are neither in the prose nor in the pairs
        for template in facts.THE_UNSEEN if task.has_the else facts.A_UNSEEN:
            splits["unseen_phrasings"].append(fact_pair(rng.choice(seen[name]), template))
    return splits
