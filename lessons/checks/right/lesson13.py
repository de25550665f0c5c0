"""Right answers to the exercises of lesson 13 in other forms than the solution's."""

RIGHT = {
    "split_by_name": [
        """
def split_by_name(questions, n_held, seed):
    names = []
    for q in questions:
        if q.name not in names:
            names.append(q.name)
    random.Random(seed).shuffle(names)
    keep, held = [], []
    for q in questions:
        (held if q.name in names[:n_held] else keep).append(q)
    return [keep, held]
""",
        """
def split_by_name(questions, n_held, seed):
    names = sorted(set(q.name for q in questions))
    rng, held = random.Random(seed), set()
    while len(held) < n_held:
        held.add(rng.choice(names))
    return tuple(q for q in questions if q.name not in held), tuple(
        q for q in questions if q.name in held
    )
""",
    ],
    "error_rates": [
        """
def error_rates(verdicts):
    count = {}
    for pair in verdicts:
        count[pair] = count.get(pair, 0) + 1
    n = {stands: sum(c for (k, _), c in count.items() if k == stands) for stands in (True, False)}
    return dict([
        ("wrong", count.get((True, "wrong"), 0) / n[True]),
        ("false refusals", count.get((True, "refused"), 0) / n[True]),
        ("false answers", 1 - count.get((False, "refused"), 0) / n[False]),
    ])
""",
        """
def error_rates(verdicts):
    mean = lambda bits: torch.tensor(bits, dtype=torch.double).mean().item()
    return {
        "false answers": mean([v != "refused" for k, v in verdicts if not k]),
        "false refusals": mean([v == "refused" for k, v in verdicts if k]),
        "wrong": mean([v == "wrong" for k, v in verdicts if k]),
    }
""",
    ],
    "answer_probability": [
        """
def answer_probability(logits, targets):
    p = logits.softmax(-1).gather(2, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return torch.where(targets == IGNORE, torch.ones_like(p), p).prod(1)
""",
        """
def answer_probability(logits, targets):
    loss = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), targets, reduction="none", ignore_index=IGNORE
    )
    return (-loss.sum(dim=1)).exp()
""",
        """
def answer_probability(logits, targets):
    out = []
    for row, wanted in zip(logits, targets):
        p = 1.0
        for scores, target in zip(row, wanted.tolist()):
            if target != IGNORE:
                p *= scores.softmax(0)[target].item()
        out.append(p)
    return out
""",
    ],
    "choose_threshold": [
        """
def choose_threshold(known, unknown):
    best, least = None, float("inf")
    for t in sorted(known + unknown):
        errors = [p < t for p in known].count(True) / len(known) + [p >= t for p in unknown].count(
            True
        ) / len(unknown)
        if errors < least - 1e-12:
            best, least = t, errors
    return best
""",
        """
def choose_threshold(known, unknown):
    a, b = torch.tensor(known, dtype=torch.double), torch.tensor(unknown, dtype=torch.double)
    t = torch.cat((a, b)).unique()
    cost = (a < t[:, None]).double().mean(1) + (b >= t[:, None]).double().mean(1)
    return t[(cost <= cost.min() + 1e-12).nonzero()[0, 0]]
""",
    ],
}
