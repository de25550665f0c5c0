"""Plausible wrong answers to the exercises of lesson 12, and what the check must say to each."""

WRONG = {
    "prompt_text": [
        (
            """
def prompt_text(t, instruction, input=""):
    opening = (input and t.preamble_with_input) or t.preamble
    return opening + t.instruction.format(instruction) + t.input.format(input) + t.response
""",
            "an input's header without an input",
        ),
        (
            """
def prompt_text(t, instruction, input=""):
    context = t.input.format(input) if input else ""
    return t.instruction.format(instruction) + context + t.response
""",
            "the preamble is missing",
        ),
        (
            """
def prompt_text(t, instruction, input=""):
    context = t.input.format(input) if input else ""
    return t.preamble + t.instruction.format(instruction) + context + t.response
""",
            "preamble_with_input comes in place",
        ),
        (
            """
def prompt_text(t, instruction, input=""):
    opening = (input and t.preamble_with_input) or t.preamble
    pieces = t.instruction + (t.input if input else "") + t.response
    return opening + pieces.replace("{}", instruction, 1).replace("{}", input, 1)
""",
            "braces of the user's",
        ),
        (
            """
def prompt_text(t, instruction, input=""):
    opening = (input and t.preamble_with_input) or t.preamble
    context = t.input.format(input) if input else ""
    return (opening + t.instruction.format(instruction) + context + t.response).strip()
""",
            "white space at an end",
        ),
        (
            """
def prompt_text(t, instruction, input=""):
    opening = (input and t.preamble_with_input) or t.preamble
    context = t.input.format(input) if input else ""
    return opening + t.instruction.format(instruction) + context
""",
            "the header before the answer is missing",
        ),
    ],
    "cross": [
        (
            """
def cross(bots, templates, ask):
    return [[ask(Assistant(bot.model, bot.tokenizer, t)) for bot in bots.values()] for t in templates]
""",
            "rows and columns are exchanged",
        ),
        (
            """
def cross(bots, templates, ask):
    table = []
    for bot in bots.values():
        line = []
        for template in templates:
            bot.template = template
            line.append(ask(bot))
        table.append(line)
    return table
""",
            "templates were changed",
        ),
        (
            """
def cross(bots, templates, ask):
    return [[ask(Assistant(bot.model, bot.tokenizer, t)) for t in bots] for bot in bots.values()]
""",
            "take the columns from `templates`",
        ),
        (
            """
def cross(bots, templates, ask):
    return [[ask(bot) for _ in templates] for bot in bots.values()]
""",
            "its own template only",
        ),
        (
            """
def cross(bots, templates, ask):
    return {(n, t): ask(Assistant(b.model, b.tokenizer, t)) for n, b in bots.items() for t in templates}
""",
            "return a table",
        ),
    ],
    "first_difference": [
        (
            """
def first_difference(ids, mask, prompt):
    for i, (one, other) in enumerate(zip(ids, prompt)):
        if one != other:
            return i
    return None
""",
            "it parts where it ends",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    expected = ids[: mask.index(1)]
    return next((i for i, (a, b) in enumerate(zip(expected, prompt)) if a != b), None)
""",
            "it parts where it ends",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    for i, token in enumerate(ids):
        if i >= len(prompt) or token != prompt[i]:
            return i
    return None
""",
            "the answer is not a part",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    expected = ids[: mask.index(1)]
    return expected != prompt
""",
            "not True or False",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    expected = [token for token, m in zip(ids, mask) if not m]
    for i, (one, other) in enumerate(zip(expected, prompt)):
        if one != other:
            return i
    return None if len(expected) == len(prompt) else min(len(expected), len(prompt))
""",
            "first learned token",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    expected = ids[: mask.index(1)]
    if len(expected) != len(prompt):
        return min(len(expected), len(prompt))
    return max((i for i, (a, b) in enumerate(zip(expected, prompt)) if a != b), default=None)
""",
            "the first is asked for",
        ),
    ],
}
