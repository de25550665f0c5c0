"""Right answers to the exercises of lesson 16 in other forms than the solution's."""

RIGHT = {
    "padded_targets": [
        """
def padded_targets(targets, eos):
    longest = max(len(row) for row in targets)
    return torch.tensor([row + [IGNORE] * (longest - len(row)) for row in targets])
""",
        """
def padded_targets(targets, eos):
    rows = [torch.tensor(row) for row in targets]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORE)
""",
        """
def padded_targets(targets, eos):
    longest = max(map(len, targets))
    return torch.stack(
        [F.pad(torch.tensor(row), (0, longest - len(row)), value=IGNORE) for row in targets]
    )
""",
    ],
    "targets_of": [
        """
def targets_of(ids, mask):
    out = []
    for t in range(len(ids) - 1):
        out.append(ids[t + 1] if mask[t + 1] else IGNORE)
    return out
""",
        """
def targets_of(ids, mask):
    out = list(ids)
    for t, supervised in enumerate(mask):
        if supervised == 0:
            out[t] = IGNORE
    return tuple(out[1:])
""",
        """
def targets_of(ids, mask):
    return torch.tensor(ids[1:]).masked_fill(torch.tensor(mask[1:]) == 0, IGNORE)
""",
    ],
    "answer_mask": [
        """
def answer_mask(n_prompt, n_answer):
    return [int(i >= n_prompt) for i in range(n_prompt + n_answer)]
""",
        """
def answer_mask(n_prompt, n_answer):
    return (False,) * n_prompt + (True,) * n_answer
""",
        """
def answer_mask(n_prompt, n_answer):
    return torch.cat([torch.zeros(n_prompt), torch.ones(n_answer)])
""",
    ],
    "fit": [
        """
def fit(head, context, tail, answer, limit):
    excess = len(head) + len(context) + len(tail) + len(answer) - limit
    if excess > len(context):
        return None
    rest = context[: len(context) - excess] if excess > 0 else context
    return [*head, *rest, *tail, *answer]
""",
        """
def fit(head, context, tail, answer, limit):
    context = list(context)
    while len(head + context + tail + answer) > limit:
        if not context:
            return None
        context.pop()
    return tuple(head + context + tail + answer)
""",
    ],
    "step_loss": [
        """
def step_loss(parts):
    return torch.cat(parts).mean()
""",
        """
def step_loss(parts):
    total, n = 0.0, 0
    for part in parts:
        total += part.sum().item()
        n += part.numel()
    return total / n
""",
        """
def step_loss(parts):
    n = sum(map(len, parts))
    return sum(part.mean() * len(part) / n for part in parts if len(part))
""",
    ],
    "prompt_text": [
        """
def prompt_text(instruction):
    return "### Instruction:\\n" + instruction + "\\n\\n### Response:\\n"
""",
        """
def prompt_text(instruction):
    return "\\n".join(["### Instruction:", instruction, "", "### Response:", ""])
""",
        '''
def prompt_text(instruction):
    return """### Instruction:
{}

### Response:
""".format(instruction)
''',
    ],
    "batch_mask": [
        """
def batch_mask(padding, length):
    out = torch.zeros(len(padding), length, length, dtype=torch.bool)
    for b, n in enumerate(padding):
        for t in range(length):
            for s in range(t + 1):
                out[b, t, s] = s >= n or s == t
    return out
""",
        """
def batch_mask(padding, length):
    out = torch.ones(length, length).tril().bool().repeat(len(padding), 1, 1)
    for mask, n in zip(out, padding):
        mask[:, :n] = False
        mask.fill_diagonal_(True)
    return out
""",
        """
def batch_mask(padding, length):
    t, s = torch.meshgrid(torch.arange(length), torch.arange(length), indexing="ij")
    n = torch.tensor(padding).view(-1, 1, 1)
    return (s == t) | ((s < t) & (s >= n))
""",
    ],
    "correction": [
        """
def correction(B, A, alpha):
    return torch.matmul(B, A) * alpha / len(A)
""",
        """
def correction(B, A, alpha):
    rank = B.size(1)
    return alpha / rank * torch.einsum("or,ri->oi", B, A)
""",
        """
def correction(B, A, alpha):
    return sum(torch.outer(B[:, r], A[r]) for r in range(len(A))).mul(alpha).div(len(A))
""",
    ],
    "packed_mask": [
        """
def packed_mask(lengths):
    return torch.block_diag(*[torch.ones(n, n) for n in lengths]).tril().bool()
""",
        """
def packed_mask(lengths):
    out, start = torch.zeros(sum(lengths), sum(lengths), dtype=torch.bool), 0
    for n in lengths:
        out[start : start + n, start : start + n] = torch.ones(n, n).tril()
        start += n
    return out
""",
        """
def packed_mask(lengths):
    document = [i for i, n in enumerate(lengths) for _ in range(n)]
    T = len(document)
    return torch.tensor(
        [[s <= t and document[s] == document[t] for s in range(T)] for t in range(T)]
    )
""",
    ],
    "split": [
        """
def split(prompts, n_test, seed):
    def key(p):
        return re.sub(r"\\W+", " ", p).strip().lower()

    keys = sorted(set(map(key, prompts)))
    random.Random(seed).shuffle(keys)
    to_tune, to_test = [], []
    for p in prompts:
        (to_test if key(p) in keys[:n_test] else to_tune).append(p)
    return to_tune, to_test
""",
        """
def split(prompts, n_test, seed):
    groups, rng = {}, random.Random(seed)
    for p in prompts:
        groups.setdefault(tuple(re.findall(r"\\w+", p.lower())), []).append(p)
    draws = rng.sample(list(groups), n_test)  # a dict keeps its order
    test = {p for k in draws for p in groups[k]}
    return [[p for p in prompts if p not in test], [p for p in prompts if p in test]]
""",
        """
def split(prompts, n_test, seed):
    key = lambda p: re.sub(r"[^a-z0-9]+", " ", p.lower()).strip()
    rng, left, chosen = random.Random(seed), list(dict.fromkeys(map(key, prompts))), []
    for _ in range(n_test):
        chosen.append(left.pop(rng.randrange(len(left))))
    return tuple(p for p in prompts if key(p) not in chosen), tuple(
        p for p in prompts if key(p) in chosen
    )
""",
    ],
}
