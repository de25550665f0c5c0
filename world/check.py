"""Is an answer right? Any of the sentences that state the fact, and nothing more."""

import functools
import re

from world.tasks import TASKS, fill_template, lower_first, table_facts


def check(task, expected, output):
    """Is `output` a right answer where `expected` is one?

    Strict: a whole statement and nothing after it. Of a task that the world does not have, only the
    expected answer is right."""
    output, expected = output.strip(), expected.strip()
    return output == expected or task in TASKS and output in restate(task, expected)


@functools.cache
def several_answers():
    """{a story, a poem, ...: all right answers to the same question}"""
    answers = {}
    for fact in table_facts():
        sentences = [fact.answer(i) for i in range(len(fact.values))]
        answers |= dict.fromkeys(sentences, sentences)
    return answers


def restate(task, statement):
    """All ways to state what one of them does: 'Paris is the capital of France.' -> {'The capital
    of France is Paris.', ...}"""
    sentences = set(several_answers().get(statement, ()))
    templates = [TASKS[task].statement, *TASKS[task].answer_templates]
    for template in templates:
        match = re.fullmatch(template_pattern(template), statement)
        if match:
            x, y = (find_value(match.groupdict(), name) for name in "xy")
            others = [other for other in templates if x or "{x}" not in other.lower()]
            sentences |= {fill_template(other, x, y) for other in others}
    return sentences


def template_pattern(template):
    """'{X} has {y} legs.' -> a regular expression with the groups X and y"""
    pattern = re.escape(template if template[-1] in ".;!" else template + ".")
    for name in "xXyY":
        pattern = pattern.replace(re.escape(f"{{{name}}}"), f"(?P<{name}>.+)", 1)
    return pattern


def find_value(groups, name):
    """The text of group x, or of X as inside a sentence: 'A dog' -> 'a dog'."""
    if name in groups:
        return groups[name]
    text = groups.get(name.upper(), "")
    return lower_first(text) if text.split(" ")[0] in ("A", "An", "The") else text
