"""Plausible wrong answers to the exercises of lesson 13, each with words its check must say."""

WRONG = {
    "split_by_name": [
        (
            (
                "def split_by_name(questions, n_held, seed):\n    part ="
                " random.Random(seed).sample(questions, n_held)\n    return [q for q in questions"
                " if q not in part], [q for q in questions if q in part]"
            ),
            "drew questions",
        ),
        (
            (
                "def split_by_name(questions, n_held, seed):\n    names = sorted({q.name for q in"
                " questions})\n    held = set(random.Random(seed).sample(names, n_held + 1))\n   "
                " return [q for q in questions if q.name not in held], [q for q in questions if"
                " q.name in held]"
            ),
            "instead of n_held = 2",
        ),
        (
            (
                "def split_by_name(questions, n_held, seed):\n    names = sorted({q.name for q in"
                " questions})\n    held = set(names[:n_held])\n    return [q for q in questions if"
                " q.name not in held], [q for q in questions if q.name in held]"
            ),
            "every seed holds out the same names",
        ),
        (
            (
                "def split_by_name(questions, n_held, seed):\n    names = sorted({q.name for q in"
                " questions})\n    held = set(random.sample(names, n_held))\n    return [q for q in"
                " questions if q.name not in held], [q for q in questions if q.name in held]"
            ),
            "the same seed gave another split",
        ),
        (
            (
                "def split_by_name(questions, n_held, seed):\n   "
                " random.Random(seed).shuffle(questions)\n    held = {q.name for q in"
                " questions[:n_held]}\n    return [q for q in questions if q.name not in held], [q"
                " for q in questions if q.name in held]"
            ),
            "the list that was given has changed",
        ),
    ],
    "error_rates": [
        (
            (
                "def error_rates(verdicts):\n    known = [v for t, v in verdicts if t]\n    unknown"
                " = [v for t, v in verdicts if not t]\n    return {'false answers': 100 * sum(v !="
                " 'refused' for v in unknown) / len(unknown),\n        'false refusals': 100 *"
                " known.count('refused') / len(known),\n        'wrong': 100 * known.count('wrong')"
                " / len(known)}"
            ),
            "is in percent",
        ),
        (
            (
                "def error_rates(verdicts):\n    n = len(verdicts)\n    return {'false answers':"
                " sum(not t and v != 'refused' for t, v in verdicts) / n,\n        'false"
                " refusals': sum(t and v == 'refused' for t, v in verdicts) / n,\n        'wrong':"
                " sum(t and v == 'wrong' for t, v in verdicts) / n}"
            ),
            "you divided by all questions",
        ),
        (
            (
                "def error_rates(verdicts):\n    return {'false answers': sum(not t and v !="
                " 'refused' for t, v in verdicts),\n        'false refusals': sum(t and v =="
                " 'refused' for t, v in verdicts),\n        'wrong': sum(t and v == 'wrong' for t,"
                " v in verdicts)}"
            ),
            "give a fraction",
        ),
        (
            (
                "def error_rates(verdicts):\n    known = [v for t, v in verdicts if t]\n    unknown"
                " = [v for t, v in verdicts if not t]\n    return {'false answers':"
                " unknown.count('wrong') / len(unknown), 'false refusals': known.count('refused') /"
                " len(known),\n        'wrong': known.count('wrong') / len(known)}"
            ),
            "whatever the answer",
        ),
        (
            (
                "def error_rates(verdicts):\n    known = [v for t, v in verdicts if t]\n    unknown"
                " = [v for t, v in verdicts if not t]\n    return {'false answers': sum(v !="
                " 'refused' for v in unknown) / len(unknown),\n        'false refusals': sum(v =="
                " 'refused' for _, v in verdicts) / len(known),\n        'wrong':"
                " known.count('wrong') / len(known)}"
            ),
            "to refuse an unknown question is right",
        ),
        (
            (
                "def error_rates(verdicts):\n    known = [v for t, v in verdicts if t]\n    unknown"
                " = [v for t, v in verdicts if not t]\n    return {'false answers': sum(v !="
                " 'refused' for v in unknown) / len(unknown),\n        'false refusals':"
                " known.count('refused') / len(known),\n        'wrong': 1 - known.count('right') /"
                " len(known)}"
            ),
            "wrong: 0.5 instead of 0",
        ),
    ],
    "answer_probability": [
        (
            (
                "def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n   "
                " return (logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :,"
                " 0] * supervised).sum(1)"
            ),
            "take exp at the end",
        ),
        (
            (
                "def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n   "
                " lp = logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]"
                " * supervised\n    return (lp.sum(1) / supervised.sum(1)).exp()"
            ),
            "that is the mean over the tokens",
        ),
        (
            (
                "def answer_probability(logits, targets):\n    return"
                " logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :,"
                " 0].sum(1).exp()"
            ),
            "as if their target were token 0",
        ),
        (
            (
                "def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n   "
                " return (logits.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0] *"
                " supervised).sum(1).exp()"
            ),
            "log_softmax is missing",
        ),
        (
            (
                "def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n   "
                " return (logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :,"
                " 0] * supervised).sum().exp()"
            ),
            "one number a row",
        ),
        (
            (
                "def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n   "
                " targets[~supervised] = 0\n    return (logits.log_softmax(-1).gather(2, targets[:,"
                " :, None])[:, :, 0] * supervised).sum(1).exp()"
            ),
            "have changed",
        ),
    ],
    "choose_threshold": [
        (
            (
                "def choose_threshold(known, unknown):\n    return (sum(known) / len(known) +"
                " sum(unknown) / len(unknown)) / 2"
            ),
            "none of the",
        ),
        (
            (
                "def choose_threshold(known, unknown):\n    return sorted([*known,"
                " *unknown]).index(min(known)) + 2"
            ),
            "no probability",
        ),
        ("def choose_threshold(known, unknown):\n    return 0.5", "none of the numbers given"),
        ("def choose_threshold(known, unknown):\n    return min(known)", "gives less together"),
        (
            (
                "def choose_threshold(known, unknown):\n"
                "    cost = lambda t: sum(p < t for p in known) + sum(p >= t for p in unknown)\n"
                "    return min(sorted([*known, *unknown]), key=cost)"
            ),
            "gives less together",
        ),
        (
            (
                "def choose_threshold(known, unknown):\n    cost = lambda t: sum(p >= t for p in"
                " known) / len(known) + sum(p < t for p in unknown) / len(unknown)\n    return"
                " min(sorted([*known, *unknown]), key=cost)"
            ),
            "gives less together",
        ),
        (
            (
                "def choose_threshold(known, unknown):\n    cost = lambda t: sum(p < t for p in"
                " known) / len(known) + sum(p >= t for p in unknown) / len(unknown)\n    return"
                " min(sorted([*known, *unknown], reverse=True), key=cost)"
            ),
            "take the smallest",
        ),
    ],
}
