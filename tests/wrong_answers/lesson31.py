"""Plausible wrong answers to lesson 31's exercises, and what the checks must say of each."""

COUNT = """
def n_parameters(config):
    V, C = config.vocab_size, config.n_embd
    linear = {linear}
    return {embedding} + {smear} + config.n_layer * ({norms} + linear) + {last}
"""
RIGHT = dict(linear="12 * C * C + 9 * C", embedding="V * C", smear="C", norms="4 * C", last="2 * C")


def count(**changed):
    return COUNT.format(**(RIGHT | changed))


PARTS = """
def question_part(form, row):
    q, x, _ = row.turns[0]
    return (q + ' ' + x if x else q) + '\\n'


def answer_part(form, row):
    return row.turns[0].output + '\\n\\n'


def text_of(shots, row):
    return ''.join(question_part('', shot) + answer_part('', shot) for shot in shots) + question_part('', row)


def few_shot(tokenizer, form, shots, row, limit):
"""

WRONG = {
    "n_parameters": [
        (count(embedding="2 * V * C"), "the same matrix"),
        (count(smear="0"), "forgot the smear"),
        (count(linear="12 * C * C"), "forgot the biases"),
        (count(norms="0"), "two LayerNorms"),
        (count(embedding="0"), "the embedding is missing"),
        (count(linear="config.n_head * (12 * C * C + 9 * C)"), "counted once for every layer"),
        (
            "def n_parameters(config):\n    V, C = config.vocab_size, config.n_embd\n"
            "    return V * C + C + 12 * C * C + 13 * C + 2 * C",
            "counted once for every layer",
        ),
    ],
    "few_shot": [
        (PARTS + "    return tokenizer.encode(text_of(shots, row))", "begin with the end token"),
        (
            PARTS + "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row) + answer_part(form, row))",
            "own answer",
        ),
        (
            PARTS + "    return ([tokenizer.eos_id] + tokenizer.encode(text_of(shots, row)))[-limit:]",
            "must begin with the end token too",
        ),
        (
            PARTS + "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row))[-(limit - 1) :]",
            "not single ids",
        ),
        (PARTS + "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row))", "the limit was"),
        (
            PARTS
            + "    while len(tokenizer.encode(text_of(shots, row))) > limit and shots:\n        shots = shots[1:]\n"
            "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row))",
            "the end token counts as well",
        ),
        (
            PARTS
            + "    while len(tokenizer.encode(text_of(shots, row))) + 1 > limit and shots:\n        shots = shots[:-1]\n"
            "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row))",
            "leave out the first shot",
        ),
        (
            PARTS
            + "    while len(tokenizer.encode(text_of(shots, row))) + 1 > limit and shots:\n        shots.pop(0)\n"
            "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row))",
            "the caller's list",
        ),
    ],
    "lenient": [
        (
            "def lenient(task, expected, output):\n    import world\n    return world.check(task, expected, output)",
            "after a right beginning",
        ),
        ("def lenient(task, expected, output):\n    return expected in output", "not the middle"),
        ("def lenient(task, expected, output):\n    return output.strip().startswith(expected)", "many right answers"),
        (
            "def lenient(task, expected, output):\n    import world\n"
            "    return world.check(task, expected, output.strip().split('.')[0] + '.')",
            "must reach the mark",
        ),
        (
            "def lenient(task, expected, output):\n    import re, world\n"
            "    first = re.search(r'[.!?;]', output)\n"
            "    return bool(first) and world.check(task, expected, output[: first.end()])",
            "try every mark",
        ),
        (
            "def lenient(task, expected, output):\n    import re, world\n"
            "    return any(world.check(task, expected, output[: m.end()]) for m in re.finditer(r'[.!?]', output))",
            "semicolon",
        ),
    ],
}
