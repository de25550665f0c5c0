"""Wrong answers to the exercises of lesson 13 that its checks must catch: {function: [(source, part of the message)]}."""

WRONG = {
    "split_by_name": [
        ("def split_by_name(questions, n_held, seed):\n    some = random.Random(seed).sample(questions, n_held)\n"
         "    return [q for q in questions if q not in some], [q for q in questions if q in some]", "drew questions"),
        ("def split_by_name(questions, n_held, seed):\n    names = sorted({q.name for q in questions})\n"
         "    held = set(random.Random(seed).sample(names, n_held + 1))\n"
         "    return [q for q in questions if q.name not in held], [q for q in questions if q.name in held]",
         "instead of n_held = 2"),
        ("def split_by_name(questions, n_held, seed):\n    names = sorted({q.name for q in questions})\n"
         "    held = set(names[:n_held])\n"
         "    return [q for q in questions if q.name not in held], [q for q in questions if q.name in held]",
         "every seed holds out the same names"),
        ("def split_by_name(questions, n_held, seed):\n    names = sorted({q.name for q in questions})\n"
         "    held = set(random.sample(names, n_held))\n"
         "    return [q for q in questions if q.name not in held], [q for q in questions if q.name in held]",
         "the same seed gave another split"),
        ("def split_by_name(questions, n_held, seed):\n    random.Random(seed).shuffle(questions)\n"
         "    held = {q.name for q in questions[:n_held]}\n"
         "    return [q for q in questions if q.name not in held], [q for q in questions if q.name in held]",
         "the list that was given has changed"),
    ],
    "error_rates": [
        ("def error_rates(verdicts):\n    known = [v for t, v in verdicts if t]\n    un = [v for t, v in verdicts if not t]\n"
         "    return {'false answers': 100 * sum(v != 'refused' for v in un) / len(un),\n"
         "        'false refusals': 100 * known.count('refused') / len(known),\n"
         "        'wrong': 100 * known.count('wrong') / len(known)}", "is in percent"),
        ("def error_rates(verdicts):\n    n = len(verdicts)\n    return {'false answers': sum(not t and v != 'refused' for t, v in verdicts) / n,\n"
         "        'false refusals': sum(t and v == 'refused' for t, v in verdicts) / n,\n"
         "        'wrong': sum(t and v == 'wrong' for t, v in verdicts) / n}", "you divided by all questions"),
        ("def error_rates(verdicts):\n    return {'false answers': sum(not t and v != 'refused' for t, v in verdicts),\n"
         "        'false refusals': sum(t and v == 'refused' for t, v in verdicts),\n"
         "        'wrong': sum(t and v == 'wrong' for t, v in verdicts)}", "give a fraction"),
        ("def error_rates(verdicts):\n    told = [v for t, v in verdicts if t]\n    un = [v for t, v in verdicts if not t]\n"
         "    return {'false answers': un.count('wrong') / len(un), 'false refusals': told.count('refused') / len(told),\n"
         "        'wrong': told.count('wrong') / len(told)}", "whatever the answer"),
        ("def error_rates(verdicts):\n    told = [v for t, v in verdicts if t]\n    un = [v for t, v in verdicts if not t]\n"
         "    return {'false answers': sum(v != 'refused' for v in un) / len(un),\n"
         "        'false refusals': sum(v == 'refused' for _, v in verdicts) / len(told),\n"
         "        'wrong': told.count('wrong') / len(told)}", "to refuse an unknown question is right"),
        ("def error_rates(verdicts):\n    told = [v for t, v in verdicts if t]\n    un = [v for t, v in verdicts if not t]\n"
         "    return {'false answers': sum(v != 'refused' for v in un) / len(un),\n"
         "        'false refusals': told.count('refused') / len(told),\n"
         "        'wrong': 1 - told.count('right') / len(told)}", "wrong: 0.5 instead of 0"),
    ],
    "answer_probability": [
        ("def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n"
         "    return (logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0] * supervised).sum(1)",
         "take exp at the end"),
        ("def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n"
         "    lp = logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0] * supervised\n"
         "    return (lp.sum(1) / supervised.sum(1)).exp()", "that is the mean over the tokens"),
        ("def answer_probability(logits, targets):\n"
         "    return logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0].sum(1).exp()",
         "as if their target were token 0"),
        ("def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n"
         "    return (logits.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0] * supervised).sum(1).exp()",
         "log_softmax is missing"),
        ("def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n"
         "    return (logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0] * supervised).sum().exp()",
         "one number a row"),
        ("def answer_probability(logits, targets):\n    supervised = targets != IGNORE\n    targets[~supervised] = 0\n"
         "    return (logits.log_softmax(-1).gather(2, targets[:, :, None])[:, :, 0] * supervised).sum(1).exp()",
         "have changed"),
    ],
    "choose_threshold": [
        ("def choose_threshold(told, untold):\n    return (sum(told) / len(told) + sum(untold) / len(untold)) / 2", "none of the"),
        ("def choose_threshold(told, untold):\n    return sorted([*told, *untold]).index(min(told)) + 2", "no probability"),
        ("def choose_threshold(told, untold):\n    return 0.5", "none of the numbers given"),
        ("def choose_threshold(told, untold):\n    return min(told)", "gives less together"),
        ("def choose_threshold(told, untold):\n"
         "    cost = lambda t: sum(p < t for p in told) + sum(p >= t for p in untold)\n"
         "    return min(sorted([*told, *untold]), key=cost)", "gives less together"),
        ("def choose_threshold(told, untold):\n"
         "    cost = lambda t: sum(p >= t for p in told) / len(told) + sum(p < t for p in untold) / len(untold)\n"
         "    return min(sorted([*told, *untold]), key=cost)", "gives less together"),
        ("def choose_threshold(told, untold):\n"
         "    cost = lambda t: sum(p < t for p in told) / len(told) + sum(p >= t for p in untold) / len(untold)\n"
         "    return min(sorted([*told, *untold], reverse=True), key=cost)", "take the smallest"),
    ],
}
