"""Plausible wrong answers to the exercises of lesson 16, each with words its check must say."""

PAD = """def padded_targets(targets, eos):
    out = torch.full((len(targets), max(map(len, targets))), %s)
    for i, row in enumerate(targets):
        %s
    return out
"""
SPLIT = """def split(prompts, n_test, seed):
    key = lambda p: %s
    keys = %s
    chosen = set(keys)
    return [p for p in prompts if key(p) not in chosen], [p for p in prompts if key(p) in chosen]
"""
KEY = "re.sub(r'\\W+', ' ', p).strip().lower()"

WRONG = {
    "padded_targets": [
        (PAD % ("eos", "out[i, : len(row)] = torch.tensor(row)"), "supervised as an eos"),
        (
            (PAD % ("eos", "out[i, : len(row)] = torch.tensor(row)")).replace(
                "return", "out[out == eos] = IGNORE\n    return"
            ),
            "never stop",
        ),
        (
            PAD % ("IGNORE", "out[i, len(out[i]) - len(row) :] = torch.tensor(row)"),
            "pad on the right",
        ),
        (PAD % ("0", "out[i, : len(row)] = torch.tensor(row)"), "0 instead of IGNORE"),
        (PAD % ("IGNORE", "out[i, : len(row) - 1] = torch.tensor(row[:-1])"), "never stop"),
    ],
    "targets_of": [
        ("def targets_of(ids, mask):\n    return ids[1:]", "nothing is masked"),
        (
            (
                "def targets_of(ids, mask):\n    return [t if m else IGNORE for t, m in"
                " zip(ids[1:], mask)]"
            ),
            "the mask of the position",
        ),
        (
            (
                "def targets_of(ids, mask):\n    return [t if m else IGNORE for t, m in zip(ids,"
                " mask)]"
            ),
            "the first token is nobody's target",
        ),
        (
            (
                "def targets_of(ids, mask):\n    return [t if m else 0 for t, m in zip(ids[1:],"
                " mask[1:])]"
            ),
            "is IGNORE",
        ),
        (
            (
                "def targets_of(ids, mask):\n    n = mask.index(1)\n    return [IGNORE] * (n - 1) +"
                " ids[n:]"
            ),
            "two turns",
        ),
        (
            (
                "def targets_of(ids, mask):\n    for t, m in enumerate(mask):\n        ids[t] ="
                " ids[t] if m else IGNORE\n    return ids[1:]"
            ),
            "make a new one",
        ),
    ],
    "answer_mask": [
        ("def answer_mask(a, b):\n    print([0] * a + [1] * b)", "nothing was returned"),
        ("def answer_mask(a, b):\n    return [0] * (a - 1) + [1] * b + [0]", "the eos"),
        (
            "def answer_mask(a, b):\n    return [0] * (a - 1) + [1] * (b + 1)",
            "header is supervised",
        ),
        (
            "def answer_mask(a, b):\n    return [0] * (a + 1) + [1] * (b - 1)",
            "the first token of the answer",
        ),
        ("def answer_mask(a, b):\n    return [1] * (a + b)", "header is supervised"),
        ("def answer_mask(a, b):\n    return [0] * (a - 1) + [1] * b", "entries"),
    ],
    "fit": [
        (
            (
                "def fit(head, context, tail, answer, limit):\n    room = limit - len(head + tail +"
                " answer)\n    del context[max(0, room) :]\n    return None if room < 0 else head +"
                " context + tail + answer"
            ),
            "make a new one",
        ),
        (
            (
                "def fit(head, context, tail, answer, limit):\n    return (head + context + tail +"
                " answer)[:limit]"
            ),
            "the answer lost tokens",
        ),
        (
            (
                "def fit(head, context, tail, answer, limit):\n    return (head + context + tail +"
                " answer)[-limit:]"
            ),
            "the head lost tokens",
        ),
        (
            (
                "def fit(head, context, tail, answer, limit):\n    room = limit - len(head + tail +"
                " answer)\n    return head + context[:room] + tail + answer"
            ),
            "give None",
        ),
        (
            (
                "def fit(head, context, tail, answer, limit):\n    room = limit - len(head + tail +"
                " answer)\n    return None if room < 0 else head + context[len(context) - room:] +"
                " tail + answer"
            ),
            "loses its end",
        ),
        (
            (
                "def fit(head, context, tail, answer, limit):\n    room = limit - len(head + tail +"
                " answer)\n    return None if room <= 0 else head + context[:room] + tail + answer"
            ),
            "fits",
        ),
    ],
    "step_loss": [
        (
            "def step_loss(parts):\n    return torch.stack(parts).mean()",
            "your function stopped with RuntimeError",
        ),
        (
            "def step_loss(parts):\n    return sum(p.mean() for p in parts) / len(parts)",
            "mean of the micro-batches' means",
        ),
        ("def step_loss(parts):\n    return sum(p.sum() for p in parts)", "that is the sum"),
        (
            "def step_loss(parts):\n    return sum(p.sum() for p in parts) / len(parts)",
            "number of micro-batches",
        ),
        (
            (
                "def step_loss(parts):\n    return sum(p.mean() * len(p) for p in parts) /"
                " sum(len(p) for p in parts)"
            ),
            "nan",
        ),
        (
            (
                "def step_loss(parts):\n    return sum(p.sum() for p in parts) / sum(len(p) +"
                " (len(p) == 0) for p in parts)"
            ),
            "an empty micro-batch",
        ),
    ],
    "prompt_text": [
        (
            (
                "def prompt_text(instruction):\n    return f'''\n    ### Instruction:\n   "
                " {instruction}\n\n    ### Response:\n    '''"
            ),
            "begins with spaces",
        ),
        (
            "def prompt_text(i):\n    return f'### Instruction:\\n{i}\\n\\n### Response:'",
            "one new line",
        ),
        (
            "def prompt_text(i):\n    return f'### Instruction:\\n{i}\\n### Response:\\n'",
            "one empty line",
        ),
        (
            "def prompt_text(i):\n    return f'### Instruction: {i}\\n\\n### Response:\\n'",
            "line of its own",
        ),
        (
            "def prompt_text(i):\n    return f'\\n### Instruction:\\n{i}\\n\\n### Response:\\n'",
            "before the header",
        ),
        (
            "def prompt_text(i):\n    return f'### Question:\\n{i}\\n\\n### Response:\\n'",
            "tuned with",
        ),
    ],
    "batch_mask": [
        (
            (
                "def batch_mask(padding, n):\n    return torch.ones(n,"
                " n).tril().bool().expand(len(padding), -1, -1)"
            ),
            "looks at it",
        ),
        (
            (
                "def batch_mask(padding, n):\n    at = torch.arange(n)\n    real = at[None] >="
                " torch.tensor(padding)[:, None]\n    return (at[None] <= at[:, None]) & real[:,"
                " None]"
            ),
            "softmax of nothing",
        ),
        (
            (
                "def batch_mask(padding, n):\n    at = torch.arange(n)\n    real = at[None] >="
                " torch.tensor(padding)[:, None]\n    return real[:, None].expand(-1, n, -1) |"
                " torch.eye(n, dtype=torch.bool)"
            ),
            "not causal",
        ),
        (
            (
                "def batch_mask(padding, n):\n    at = torch.arange(n)\n    real = at[None] < n -"
                " torch.tensor(padding)[:, None]\n    return (at[None] <= at[:, None]) & real[:,"
                " None] | torch.eye(n, dtype=torch.bool)"
            ),
            "looks at it",
        ),
        (
            (
                "def batch_mask(padding, n):\n    at = torch.arange(n)\n    real = at[None] >="
                " torch.tensor(padding)[:, None]\n    return ((at[None] <= at[:, None]) & real[:,"
                " None] | torch.eye(n, dtype=torch.bool)).float()"
            ),
            "must be bool",
        ),
        (
            (
                "def batch_mask(padding, n):\n    at = torch.arange(n)\n    real = at[None] >="
                " torch.tensor(padding)[:, None]\n    return ((at[None] <= at[:, None]) & real[:,"
                " None] | torch.eye(n, dtype=torch.bool)).mT"
            ),
            "exchanged",
        ),
    ],
    "correction": [
        (
            "def correction(B, A, alpha):\n    B *= alpha / len(A)\n    return B @ A",
            "B or A has changed",
        ),
        ("def correction(B, A, alpha):\n    return alpha * B @ A", "not divided by the rank"),
        (
            "def correction(B, A, alpha):\n    return alpha / A.shape[1] * B @ A",
            "the input's width",
        ),
        (
            "def correction(B, A, alpha):\n    return alpha / B.shape[0] * B @ A",
            "the output's width",
        ),
        ("def correction(B, A, alpha):\n    return B @ A / A.shape[0]", "alpha is missing"),
        ("def correction(B, A, alpha):\n    return (alpha / A.shape[0] * B @ A).T", "(out, in)"),
    ],
    "packed_mask": [
        (
            (
                "def packed_mask(lengths):\n    return torch.ones(sum(lengths),"
                " sum(lengths)).tril().bool()"
            ),
            "a leak",
        ),
        (
            (
                "def packed_mask(lengths):\n    d ="
                " torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))\n   "
                " return d[:, None] == d[None]"
            ),
            "not causal",
        ),
        (
            (
                "def packed_mask(lengths):\n    d ="
                " torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))\n   "
                " return (d[:, None] == d[None]).tril(-1)"
            ),
            "does not see position",
        ),
        (
            (
                "def packed_mask(lengths):\n    d ="
                " torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))\n   "
                " return (d[:, None] == d[None]).tril().float()"
            ),
            "must be bool",
        ),
        (
            (
                "def packed_mask(lengths):\n    d ="
                " torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))\n   "
                " return (d[:, None] >= d[None]).tril()"
            ),
            "a leak",
        ),
    ],
    "split": [
        (
            (
                "def split(prompts, n, seed):\n    order = random.Random(seed).sample(prompts,"
                " len(prompts))\n    return order[n:], order[:n]"
            ),
            "both sides",
        ),
        (SPLIT % ("p", "random.Random(seed).sample(sorted(set(prompts)), n_test)"), "both sides"),
        (
            SPLIT
            % (
                "p.strip().lower()",
                "random.Random(seed).sample(sorted({key(p) for p in prompts}), n_test)",
            ),
            "both sides",
        ),
        (SPLIT % (KEY, "sorted({key(p) for p in prompts})[:n_test]"), "every seed gives the same"),
        (
            SPLIT % (KEY, "random.sample(sorted({key(p) for p in prompts}), n_test)"),
            "the same seed gave another",
        ),
        (
            SPLIT % (KEY, "[key(p) for p in random.Random(seed).sample(prompts[:4], n_test)]"),
            "different prompts are tested",
        ),
    ],
}
