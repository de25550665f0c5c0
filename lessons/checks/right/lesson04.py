"""Right answers to the exercises of lesson 4 in other forms than the solution's."""

RIGHT = {
    "masked": [
        """
def masked(mask, how):
    return {
        "right": mask,
        "off": [1] * len(mask),
        "late": [0, *mask[:-1]],
        "early": [*mask[1:], 0],
    }[how]
""",
        """
def masked(mask, how):
    if how == "off":
        return [True for _ in mask]
    move = {"right": 0, "late": -1, "early": 1}[how]
    at = [i + move for i in range(len(mask))]
    return [mask[i] if 0 <= i < len(mask) else 0 for i in at]
""",
    ],
    "with_mask": [
        """
def with_mask(prompt, answer, eos):
    ids, mask = [], []
    for token in prompt:
        ids.append(token), mask.append(0)
    for token in [*answer, eos]:
        ids.append(token), mask.append(1)
    return ids, mask
""",
        (
            "def with_mask(p, a, e):\n    return (*p, *a, e), [i >= len(p) for i in range(len(p) +"
            " len(a) + 1)]"
        ),
    ],
    "inputs_and_targets": [
        """
def inputs_and_targets(ids, mask):
    targets = []
    for t in range(len(ids) - 1):
        targets.append(ids[t + 1] if mask[t + 1] == 1 else IGNORE)
    return [ids[:-1], targets]
""",
        """
def inputs_and_targets(ids, mask):
    x, m = torch.tensor(ids), torch.tensor(mask, dtype=torch.bool)
    return x[:-1].tolist(), x[1:].masked_fill(~m[1:], -100).tolist()
""",
    ],
    "batch_of": [
        """
def batch_of(examples, pad):
    x = [torch.tensor(ids[:-1]) for ids, _ in examples]
    y = [
        torch.tensor([i if m else IGNORE for i, m in zip(ids[1:], mask[1:])])
        for ids, mask in examples
    ]
    pad_sequence = torch.nn.utils.rnn.pad_sequence
    return pad_sequence(x, batch_first=True, padding_value=pad), pad_sequence(
        y, batch_first=True, padding_value=IGNORE
    )
""",
        """
def batch_of(examples, pad):
    T = max(len(ids) for ids, _ in examples) - 1
    x = [ids[:-1] + [pad] * (T + 1 - len(ids)) for ids, _ in examples]
    y = [
        [i if m else IGNORE for i, m in zip(ids, mask)][1:] + [IGNORE] * (T + 1 - len(ids))
        for ids, mask in examples
    ]
    return [torch.tensor(x), torch.tensor(y)]
""",
        """
def batch_of(examples, pad):
    T = max(len(ids) for ids, _ in examples) - 1
    rows = []
    for ids, mask in examples:
        y = torch.where(torch.tensor(mask[1:]) == 1, torch.tensor(ids[1:]), IGNORE)
        rows.append(
            (
                F.pad(torch.tensor(ids[:-1]), (0, T - len(y)), value=pad),
                F.pad(y, (0, T - len(y)), value=IGNORE),
            )
        )
    return torch.stack([x for x, _ in rows]), torch.stack([y for _, y in rows])
""",
    ],
}
