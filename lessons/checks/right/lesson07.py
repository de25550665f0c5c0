"""Right answers to the exercises of lesson 7 in other forms than the solution's."""

PARTS = """
def question_part(form, row):
    q, x, _ = row.turns[0]
    return (q + ' ' + x if x else q) + '\\n'


def answer_part(form, row):
    return row.turns[0].output + '\\n\\n'

"""

RIGHT = {
    "evaluate": [
        """
def evaluate(assistant, rows, is_right):
    n_right = n_stopped = 0
    errors = []
    for row in rows:
        ((text, stopped),) = assistant.answers([row], Sampling())
        n_stopped += stopped
        if stopped and is_right(row, text):
            n_right += 1
        else:
            errors.append((row, text))
    low, high = wilson(n_right, len(rows))
    return {
        "right": n_right / len(rows),
        "stopped": n_stopped / len(rows),
        "interval": [low, high],
        "errors": errors,
    }
""",
        """
def evaluate(assistant, rows, is_right):
    table = [
        (row, text, stopped, stopped and is_right(row, text))
        for row, (text, stopped) in zip(rows, assistant.answers(rows, Sampling(temperature=0.0)))
    ]
    right = [good for *_, good in table]
    return dict(
        right=float(np.mean(right)),
        stopped=float(np.mean([stopped for _, _, stopped, _ in table])),
        interval=wilson(int(np.sum(right)), len(right)),
        errors=[(row, text) for row, text, _, good in table if not good],
    )
""",
    ],
    "wilson_interval": [
        """
def wilson_interval(correct, n):
    # the two roots of (p - x)^2 = z^2 x (1 - x) / n
    z2, p = 1.96**2, correct / n
    a, b, c = 1 + z2 / n, -(2 * p + z2 / n), p * p
    root = math.sqrt(max(0, b * b - 4 * a * c))
    return [max(0, (-b - root) / (2 * a)), min(1, (-b + root) / (2 * a))]
""",
        """
def wilson_interval(correct, n):
    z = 1.96
    spread = z * (correct * (n - correct) / n + z**2 / 4) ** 0.5
    ends = torch.tensor([correct + z**2 / 2 - spread, correct + z**2 / 2 + spread]) / (n + z**2)
    return ends.clamp(0, 1)
""",
        """
def wilson_interval(correct, n):
    p = correct / n

    def agrees(share):
        return abs(p - share) <= 1.96 * math.sqrt(share * (1 - share) / n)

    def border(inside, outside):
        for _ in range(50):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if agrees(middle) else (inside, middle)
        return inside

    return np.array([border(p, 0.0), border(p, 1.0)])
""",
    ],
    "mentions": [
        r"""
def mentions(value, text):
    return bool(re.findall(r"(?:^|\W)" + re.escape(value) + r"(?:\W|$)", text))
""",
        """
def mentions(value, text):
    def is_letter(character):
        return character.isalnum() or character == "_"

    at = text.find(value)
    while at >= 0:
        before, after = text[:at][-1:], text[at + len(value) :][:1]
        if not is_letter(before) and not is_letter(after):
            return True
        at = text.find(value, at + 1)
    return False
""",
        r"""
def mentions(value, text):
    pieces = text.split(value)
    pairs = zip(pieces, pieces[1:])
    return any(not re.search(r"\w$", a) and not re.match(r"\w", b) for a, b in pairs)
""",
    ],
    "few_shot": [
        PARTS + """
def few_shot(tokenizer, form, shots, row, limit):
    for first in range(len(shots) + 1):
        text = ""
        for shot in shots[first:]:
            text += question_part(form, shot) + answer_part(form, shot)
        ids = [tokenizer.eos_id, *tokenizer.encode(text + question_part(form, row))]
        if len(ids) <= limit:
            break
    return ids
""",
        PARTS + """
def few_shot(tokenizer, form, shots, row, limit):
    text = "".join(question_part(form, s) + answer_part(form, s) for s in shots) + question_part(
        form, row
    )
    ids = [tokenizer.eos_id] + tokenizer.encode(text)
    if len(ids) > limit and shots:
        return few_shot(tokenizer, form, shots[1:], row, limit)
    return tuple(ids)
""",
        PARTS + """
def few_shot(tokenizer, form, shots, row, limit):
    text = question_part(form, row)
    for shot in reversed(shots):
        longer = question_part(form, shot) + answer_part(form, shot) + text
        if 1 + len(tokenizer.encode(longer)) > limit:
            break
        text = longer
    return torch.tensor([tokenizer.eos_id] + tokenizer.encode(text))
""",
    ],
    "leaked": [
        """
def words(text):
    return "".join(c.lower() if c.isalnum() else " " for c in text).split()


def leaked(tuning_rows, test_rows):
    known = [(words(row.turns[0].instruction), words(row.turns[0].input)) for row in tuning_rows]
    return [
        row
        for row in test_rows
        if (words(row.turns[0].instruction), words(row.turns[0].input)) in known
    ]
""",
        r"""
def leaked(tuning_rows, test_rows):
    def key(row):
        return tuple(re.sub(r"\W+", " ", part).strip().casefold() for part in row.turns[0][:2])

    result = []
    for row in test_rows:
        if any(key(row) == key(other) for other in tuning_rows):
            result.append(row)
    return result
""",
    ],
    "win_rate": [
        """
def win_rate(a, b, judge, rng):
    wins = []
    for pair in zip(a, b):
        order = rng.sample((0, 1), 2)
        best = judge(pair[order[0]], pair[order[1]])
        wins.append(order[best] == 0)
    return sum(wins) / len(wins)
""",
        """
def win_rate(a, b, judge, rng):
    swaps = [rng.choice([True, False]) for _ in a]
    won = 0
    for x, y, swap in zip(a, b, swaps):
        if swap:
            won += judge(y, x)
        else:
            won += 1 - judge(x, y)
    return won / len(swaps)
""",
        """
def win_rate(a, b, judge, rng):
    verdicts = []
    for x, y in zip(a, b):
        order = [(x, "a"), (y, "b")]
        rng.shuffle(order)
        verdicts.append(order[judge(order[0][0], order[1][0])][1])
    return float(np.mean([verdict == "a" for verdict in verdicts]))
""",
    ],
}
