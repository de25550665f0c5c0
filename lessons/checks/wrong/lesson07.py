"""Plausible wrong answers to the exercises of lesson 7, each with words its check must say."""

PARTS = """
def question_part(form, row):
    q, x, _ = row.turns[0]
    return (q + ' ' + x if x else q) + '\\n'


def answer_part(form, row):
    return row.turns[0].output + '\\n\\n'


def text_of(shots, row):
    text = ''.join(question_part('', shot) + answer_part('', shot) for shot in shots)
    return text + question_part('', row)


def few_shot(tokenizer, form, shots, row, limit):
"""

EVALUATE = """
def evaluate(assistant, rows, is_right):
    replies = assistant.answers(rows, Sampling({sampling}))
    flags = [{flag} for row, (text, stopped) in zip(rows, replies)]
    errors = [(row, {reply}) for row, (text, _), good in zip(rows, replies, flags) if {error}]
    n_stopped = sum(stopped for _, stopped in replies)
    return dict(
        right={right}, stopped={stopped}, interval={interval}, errors=errors,
    )
"""
EVALUATE_PARTS = dict(
    sampling="",
    flag="stopped and is_right(row, text)",
    reply="text",
    error="not good",
    right="sum(flags) / len(rows)",
    stopped="n_stopped / len(rows)",
    interval="wilson(sum(flags), len(rows))",
)


def evaluation(**changed):
    return EVALUATE.format(**EVALUATE_PARTS | changed)


WRONG = {
    "evaluate": [
        (evaluation(flag="is_right(row, text)"), "an answer counts only if it stopped"),
        (evaluation(right="sum(flags) / n_stopped"), "divide by all questions"),
        (evaluation(right="sum(flags)"), "shares, not counts"),
        (evaluation(error="not is_right(row, text)"), "an error too"),
        (evaluation(error="good"), "an error too"),
        (evaluation(interval="wilson(sum(flags) / len(rows), 10)"), "wilson takes the count"),
        (evaluation(interval="wilson(sum(flags), n_stopped)"), "wilson takes the count"),
        (evaluation(sampling="temperature=1.0"), "ask greedily"),
        (evaluation(reply="row.turns[0].output"), "own reply"),
        (evaluation(stopped="sum(flags) / len(rows)"), "8 of 10 stopped"),
    ],
    "wilson_interval": [
        (
            """
def wilson_interval(correct, n):
    p = correct / n
    s = 1.96 * math.sqrt(p * (1 - p) / n)
    return max(0.0, p - s), min(1.0, p + s)
""",
            "around p, as in textbooks",
        ),
        (
            """
def wilson_interval(correct, n):
    z, p = 1.96, correct / n
    middle = p + z * z / (2 * n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - spread), min(1.0, middle + spread)
""",
            "not divided by 1 + z",
        ),
        (
            """
def wilson_interval(correct, n):
    z, p = 1.96, correct / n
    scale = 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - spread), min(1.0, middle + spread)
""",
            "the spread is not divided",
        ),
        (
            """
def wilson_interval(correct, n):
    z, p = 1.96, correct / n
    scale = 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    spread = math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    return max(0.0, middle - spread), min(1.0, middle + spread)
""",
            "too narrow",
        ),
        (
            """
def wilson_interval(correct, n):
    z, p = 1.96, correct / n
    scale = 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    spread = z * math.sqrt(p * (1 - p) / n) / scale
    return max(0.0, middle - spread), min(1.0, middle + spread)
""",
            "under the root",
        ),
        (
            """
def wilson_interval(correct, n):
    return correct / n
""",
            "return a pair",
        ),
    ],
    "mentions": [
        (
            """
def mentions(value, text):
    return value in text
""",
            "look for whole words",
        ),
        (
            r"""
def mentions(value, text):
    return re.search(r"(?<!\w)" + re.escape(value.lower()) + r"(?!\w)", text.lower()) is not None
""",
            "keep the capitals",
        ),
        (
            r"""
def mentions(value, text):
    return re.search(r"(?<!\w)" + value + r"(?!\w)", text) is not None
""",
            "re.escape",
        ),
        (
            r"""
def mentions(value, text):
    return re.search(r"\b" + re.escape(value) + r"\b", text) is not None
""",
            "finds no border",
        ),
        (
            r"""
def mentions(value, text):
    return re.search(r"(?<![A-Za-z0-9])" + re.escape(value) + r"(?![A-Za-z0-9])", text) is not None
""",
            "letters of every script",
        ),
        (
            r"""
def mentions(value, text):
    return value in re.findall(r"\w+", text)
""",
            "expected True",
        ),
        (
            """
def mentions(value, text):
    return text.startswith(value)
""",
            "it is there",
        ),
        (
            r"""
def mentions(value, text):
    return re.search(r"(?<!\w)" + re.escape(value) + r"(?!\w)", text)
""",
            "return True or False",
        ),
    ],
    "few_shot": [
        (PARTS + "    return tokenizer.encode(text_of(shots, row))", "begin with the eos"),
        (
            PARTS
            + "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row) +"
            " answer_part(form, row))",
            "own answer",
        ),
        (
            PARTS
            + "    return ([tokenizer.eos_id] + tokenizer.encode(text_of(shots, row)))[-limit:]",
            "must begin with the eos too",
        ),
        (
            PARTS
            + "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row))[-(limit -"
            " 1) :]",
            "not single ids",
        ),
        (
            PARTS + "    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots, row))",
            "the limit was",
        ),
        (
            PARTS
            + "    while len(tokenizer.encode(text_of(shots, row))) > limit and shots:\n       "
            " shots = shots[1:]\n    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots,"
            " row))",
            "the eos counts as well",
        ),
        (
            PARTS
            + "    while len(tokenizer.encode(text_of(shots, row))) + 1 > limit and shots:\n       "
            " shots = shots[:-1]\n    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots,"
            " row))",
            "leave out the first shot",
        ),
        (
            PARTS
            + "    while len(tokenizer.encode(text_of(shots, row))) + 1 > limit and shots:\n       "
            " shots.pop(0)\n    return [tokenizer.eos_id] + tokenizer.encode(text_of(shots,"
            " row))",
            "the caller's list",
        ),
    ],
    "leaked": [
        (
            r"""
def key(row):
    return frozenset(re.findall(r"\w+", " ".join(row.turns[0][:2]).lower()))


def leaked(tuning_rows, test_rows):
    known = {key(row) for row in tuning_rows}
    return [row for row in test_rows if key(row) in known]
""",
            "keep their order",
        ),
        (
            """
def leaked(tuning_rows, test_rows):
    known = {row.turns[0].instruction + row.turns[0].input for row in tuning_rows}
    return [row for row in test_rows if row.turns[0].instruction + row.turns[0].input in known]
""",
            "capitals, spaces and marks",
        ),
        (
            r"""
def key(row):
    return " ".join(re.findall(r"\w+", row.turns[0].instruction.lower()))


def leaked(tuning_rows, test_rows):
    known = {key(row) for row in tuning_rows}
    return [row for row in test_rows if key(row) in known]
""",
            "the input is a part of the prompt",
        ),
        (
            """
def leaked(tuning_rows, test_rows):
    known = {row.turns[0] for row in tuning_rows}
    return [row for row in test_rows if row.turns[0] in known]
""",
            "compare prompts, not answers",
        ),
        (
            """
def key(row):
    return " ".join(re.findall(r"[a-z]+", " ".join(row.turns[0][:2]).lower()))


def leaked(tuning_rows, test_rows):
    known = {key(row) for row in tuning_rows}
    return [row for row in test_rows if key(row) in known]
""",
            "digits count",
        ),
        (
            r"""
def key(row):
    return " ".join(re.findall(r"\w+", " ".join(row.turns[0][:2]).lower()))


def leaked(tuning_rows, test_rows):
    known = {key(row) for row in tuning_rows}
    return sum(key(row) in known for row in test_rows)
""",
            "return the list",
        ),
        (
            r"""
def key(row):
    return " ".join(re.findall(r"\w+", " ".join(row.turns[0][:2]).lower()))


def leaked(tuning_rows, test_rows):
    known = {key(row) for row in test_rows}
    return [row for row in tuning_rows if key(row) in known]
""",
            "return the leaked test rows",
        ),
    ],
    "win_rate": [
        (
            """
def win_rate(a, b, judge, rng):
    return sum(judge(x, y) == 0 for x, y in zip(a, b)) / len(a)
""",
            "order never changes",
        ),
        (
            """
def win_rate(a, b, judge, rng):
    wins = 0
    for x, y in zip(a, b):
        if rng.random() < 0.5:
            x, y = y, x
        wins += judge(x, y) == 0
    return wins / len(a)
""",
            "turned back",
        ),
        (
            """
def win_rate(a, b, judge, rng):
    wins = 0
    for x, y in zip(a, b):
        swapped = rng.random() < 0.5
        verdict = judge(y, x) if swapped else judge(x, y)
        wins += verdict != swapped
    return wins / len(a)
""",
            "share of b",
        ),
        (
            """
def win_rate(a, b, judge, rng):
    swapped = rng.random() < 0.5
    verdicts = [judge(y, x) if swapped else judge(x, y) for x, y in zip(a, b)]
    return sum(verdict == swapped for verdict in verdicts) / len(a)
""",
            "never changes",
        ),
        (
            """
def win_rate(a, b, judge, rng):
    wins = 0
    for i, (x, y) in enumerate(zip(a, b)):
        verdict = judge(y, x) if i % 2 else judge(x, y)
        wins += verdict == i % 2
    return wins / len(a)
""",
            "to and fro by rule",
        ),
        (
            """
import random


def win_rate(a, b, judge, rng):
    wins = 0
    for x, y in zip(a, b):
        swapped = random.random() < 0.5
        verdict = judge(y, x) if swapped else judge(x, y)
        wins += verdict == swapped
    return wins / len(a)
""",
            "use the rng",
        ),
        (
            """
def win_rate(a, b, judge, rng):
    wins = 0
    for x, y in zip(a, b):
        swapped = rng.random() < 0.5
        verdict = judge(y, x) if swapped else judge(x, y)
        wins += verdict == swapped
    return wins
""",
            "not a count",
        ),
    ],
}
