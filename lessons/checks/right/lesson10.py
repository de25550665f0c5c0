"""Right answers to the exercises of lesson 10 in other forms than the solution's."""

RIGHT = {
    "complaints": [
        """
def complaints(row):
    rules = {
        "link": row["instruction"][:4] == "http",
        "copied": bool(row["input"]) and tidy(row["input"]) == tidy(row["output"]),
        "bare": len(re.findall(r"\\S+", row["output"])) < 3,
        "brackets": sum((c == "(") - (c == ")") for c in row["output"]) != 0,
    }
    return {name for name in rules if rules[name]}


def tidy(text):
    return " ".join(re.sub(r"\\[[0-9]+\\]", " ", text).split())
""",
        """
def complaints(row):
    names = []
    words = row["output"].split()
    if re.match("http", row["instruction"]):
        names.append("link")
    source = " ".join(re.split(r"\\[\\d+\\]", row["input"])).split()
    if len(source) > 0 and source == words:
        names.append("copied")
    if len(words) in (0, 1, 2):
        names.append("bare")
    if row["output"].count("(") - row["output"].count(")"):
        names.append("brackets")
    return names
""",
    ],
    "swapped": [
        """
def swapped(rows, i, rng):
    import dataclasses
    (turn,) = rows[i].turns
    others = []
    for row in rows:
        if row.task == rows[i].task and row.turns[0].output != turn.output:
            others.append(row)
    if not others:
        return rows[i]
    output = rng.choice(others).turns[0].output
    return dataclasses.replace(rows[i], turns=(turn._replace(output=output),))
""",
        """
def swapped(rows, i, rng):
    # each different answer once, in the order of the alphabet
    row = rows[i]
    answers = {other.turns[0].output for other in rows if other.task == row.task}
    answers = sorted(answers - {row.turns[0].output})
    if not answers:
        return row
    return Row((Turn(row.turns[0].instruction, row.turns[0].input, rng.choice(answers)),), row.task)
""",
        """
def swapped(rows, i, rng):
    # draw until the answer is another one
    row = rows[i]
    pool = [other for other in rows if other.task == row.task]
    if all(other.turns[0].output == row.turns[0].output for other in pool):
        return row
    while True:
        other = pool[rng.randrange(len(pool))]
        if other.turns[0].output != row.turns[0].output:
            return Row((row.turns[0]._replace(output=other.turns[0].output),), task=row.task)
""",
    ],
    "row_losses": [
        """
def row_losses(logits, targets):
    supervised = targets != IGNORE
    log_p = F.log_softmax(logits, dim=-1)  # (B, T, V)
    picked = log_p.gather(2, targets.clamp(min=0).unsqueeze(2)).squeeze(2)  # (B, T)
    return -(picked * supervised).sum(1) / supervised.sum(1)
""",
        """
def row_losses(logits, targets):
    return torch.stack(
        [F.cross_entropy(x, y, ignore_index=IGNORE) for x, y in zip(logits, targets)]
    )
""",
        """
def row_losses(logits, targets):
    result = []
    for b in range(len(targets)):
        losses = [torch.logsumexp(logits[b, t], 0) - logits[b, t, targets[b, t]]
                  for t in range(targets.shape[1]) if targets[b, t] != IGNORE]
        result.append((sum(losses) / len(losses)).item())
    return torch.tensor(result)
""",
        """
def row_losses(logits, targets):
    losses = F.cross_entropy(
        logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="none"
    )  # (B, T)
    return torch.where(targets == IGNORE, torch.nan, losses).nanmean(dim=1)
""",
    ],
    "overlap": [
        """
def overlap(one, two):
    # the whole table
    n, m = len(one), len(two)
    if n + m == 0:
        return 0
    best = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n):
        for j in range(m):
            best[i + 1][j + 1] = (
                best[i][j] + 1 if one[i] == two[j] else max(best[i][j + 1], best[i + 1][j])
            )
    return 2 * best[n][m] / (n + m)
""",
        """
def overlap(one, two):
    import functools

    @functools.lru_cache(maxsize=None)
    def longest(i, j):
        if i == len(one) or j == len(two):
            return 0
        if one[i] == two[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    return 2 * longest(0, 0) / (len(one) + len(two)) if one or two else 0.0
""",
        """
def overlap(one, two):
    # in place, with numpy: before is the old best[j - 1]
    best = np.zeros(len(two) + 1)
    for word in one:
        before = 0
        for j, other in enumerate(two, 1):
            old = best[j]
            best[j] = before + 1 if word == other else max(old, best[j - 1])
            before = old
    return best[-1] / max(0.5, (len(one) + len(two)) / 2)
""",
        """
def overlap(one, two):
    # ends[k]: the earliest position in two where a common subsequence of k words can end
    ends = [-1]
    for word in one:
        for k in reversed(range(len(ends))):
            position = next((j for j in range(ends[k] + 1, len(two)) if two[j] == word), None)
            if position is not None and k + 1 == len(ends):
                ends.append(position)
            elif position is not None:
                ends[k + 1] = min(ends[k + 1], position)
    return 2 * (len(ends) - 1) / ((len(one) + len(two)) or 1)
""",
    ],
}
