"""Plausible wrong answers to the exercises of lesson 6, each with words its check must say."""

ASKED = """
def asked_for(instruction):
    text = re.sub(r"{end}", "", instruction)
    found = {found}
    return {result}
"""
ASKED_PARTS = dict(
    end=r"(?i)( is)?[ ,:]*(please|thanks|what is it)?\W*$",
    found=r're.search(r"(?i)\b(the|an?) .*", text)',
    result="found[0] if found else text",
)
DECODE = """
def decode(model, text, noun):
    before = {before}
    beginnings = ({capital} + " is", "Here is " + {small} + ":")
    beginning = {choose}(beginnings, key=lambda b: model.score({scored}, b))
    return {result}
"""
DECODE_PARTS = dict(
    before='text + " " if text else ""',
    capital="noun[:1].upper() + noun[1:]",
    small="noun[:1].lower() + noun[1:]",
    choose="max",
    scored="before",
    result="beginning + model.complete(before + beginning)",
)
EMPTY = """
def without_questions(rows):
    return [Row((Turn({turn}),), {task}) for row in rows]
"""
OTHERS = """
def others_questions(rows, rng):
    shuffled = {shuffled}
    return [Row((Turn({question}, {answer}),), {task}) for row, other in zip(rows, shuffled)]
"""
RIGHT = dict(
    shuffled="rng.sample(rows, len(rows))",
    question="*other.turns[0][:2]",
    answer="row.turns[0].output",
    task="row.task",
)


def asked(**changed):
    return ASKED.format(**ASKED_PARTS | changed)


def decode(**changed):
    return DECODE.format(**DECODE_PARTS | changed)


WRONG = {
    "asked_for": [
        (asked(end=r"\W*$"), "a final 'please' is cut off"),
        (asked(end=r"(?i)[ ,:]*(please|thanks|what is it)?\W*$"), "a final 'is' is cut off"),
        (asked(end=r"(?i)( is)?[ ,:]*(please|thanks)?\W*$"), "a final 'what is it' is cut off"),
        (asked(end=r"(?i)(please|thanks|what is it| is|[.,:?! ])+"), "the last mark is cut off"),
        (asked(found=r're.search(r"\b(the|an?) .*", text)'), "may have a capital"),
        (asked(found=r're.search(r"(?i)(the|an?) .*", text)'), "look for whole words"),
        (asked(found=r're.search(r"(?i).*\b((the|an?) .*)", text)', result="found[1] if found"
               " else text"), "may have a capital"),
        (asked(result='found[0] if found else ""'), "without an article"),
        (asked(result="found"), "return a text"),
    ],
    "decode": [
        (decode(before='""'), "before each beginning"),
        (decode(scored='""'), "before each beginning"),
        (decode(before="text"), "before each beginning"),
        (decode(before='text + " "'), "before each beginning"),
        (decode(choose="min"), "complete that one"),
        (decode(small="noun"), "the beginnings to score"),
        (decode(capital="noun"), "the beginnings to score"),
        (decode(result="model.complete(before + beginning)"), "the beginning and its completion"),
        (decode(result="beginning + model.complete(beginning)"), "while it completes"),
        (
            decode(result="before + beginning + model.complete(before + beginning)"),
            "without the text",
        ),
    ],
    "without_questions": [
        (EMPTY.format(turn='"", row.turns[0].input, row.turns[0].output', task="row.task"),
         "an input is a part of the question"),
        (EMPTY.format(turn='row.turns[0].instruction, "", row.turns[0].output', task="row.task"),
         "every instruction is empty"),
        (EMPTY.format(turn='"", "", row.turns[0].output', task='""'), "stays with it"),
        (EMPTY.format(turn='"", ""', task="row.task"), "stay in their order"),
        ("def without_questions(rows):\n    return [Turn('', '', r.turns[0].output) for r in rows]",
         "return rows"),
    ],
    "others_questions": [
        (OTHERS.format(**RIGHT | {"shuffled": "rows"}), "still has its own question"),
        (
            OTHERS.format(**RIGHT | {"shuffled": "(rng.shuffle(rows), list(rows))[1]"}),
            "you changed the rows",
        ),
        (OTHERS.format(**RIGHT | {"shuffled": "rng.choices(rows, k=len(rows))"}), "used twice"),
        (
            OTHERS.format(**RIGHT | {"question": "other.turns[0].instruction, row.turns[0].input"}),
            "keeps its own input",
        ),
        (
            OTHERS.format(**RIGHT | {"answer": "other.turns[0].output"}),
            "the answers stay in their order",
        ),
        (OTHERS.format(**RIGHT | {"task": "other.task"}), "stays with it"),
        (OTHERS.format(**RIGHT | {"shuffled": "rows[1:] + rows[:1]"}), "use the rng"),
    ],
}
