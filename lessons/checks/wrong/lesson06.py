"""Plausible wrong answers to the exercises of lesson 6, each with words its check must say."""

COPYING = """
def copying(tokenizer, reply, question):
    import re
    if {ended}:
        return {{tokenizer.eos_id}}
    if not reply:
        return {starts}
    if {linked}:
        return None
    words = {words}
    words = {{i for i in words if {good}}}
    return words {links}
"""
GOOD = dict(
    ended="re.search(r'[.!?;]', reply)",
    starts="{tokenizer.encode(word)[0] for word in ('The', 'A', 'Here')}",
    linked="re.search(r'\\bis\\b|:', reply)",
    words=(
        "tokenizer.encode(' ' + question) + tokenizer.encode(' ' + question[:1].lower() +"
        " question[1:])"
    ),
    good="not re.search(r'[.!?;]', tokenizer.decode([i]))",
    links="| {tokenizer.encode(' is')[0], tokenizer.encode(':')[0]}",
)
OTHERS = """
def others_questions(rows, rng):
    shuffled = {shuffled}
    return [Row((Turn({question}, {answer}),), {task}) for row, other in zip(rows, shuffled)]
"""
RIGHT = dict(
    shuffled="rng.sample(rows, len(rows))", question="*other.turns[0][:2]",
    answer="row.turns[0].output", task="row.task",
)

WRONG = {
    "copying": [
        (COPYING.format(**GOOD | {"ended": "reply.endswith('.')"}), "so only the eos is allowed"),
        (COPYING.format(**GOOD | {"starts": "None"}), "you allow any"),
        (
            COPYING.format(**GOOD | {"starts": "{tokenizer.encode('The')[0]}"}),
            "at the beginning expected",
        ),
        (COPYING.format(**GOOD | {"linked": "'is' in reply or ':' in reply"}), "not the letters"),
        (
            COPYING.format(**GOOD | {"linked": "reply.endswith(' is') or reply.endswith(':')"}),
            "so anything may come",
        ),
        (
            COPYING.format(**GOOD | {"words": "tokenizer.encode(' ' + question)"}),
            "small first letter is missing",
        ),
        (
            COPYING.format(**GOOD | {"words": "tokenizer.encode(question)"}),
            "with a space before it, is missing",
        ),
        (COPYING.format(**GOOD | {"good": "True"}), "no token that has a mark"),
        (COPYING.format(**GOOD | {"links": ""}), "the links themselves are missing"),
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
