"""Plausible wrong answers to the exercises of lesson 1, each with words its check must say."""

WINDOWS = """
def read_windows(stream, step, batch_size, window):
    n = {n}
    inputs, targets = [], []
    for i in range(batch_size):
        start = {start}
        inputs.append(stream[start : start + window])
        targets.append(stream[start + {shift} : start + {shift} + window])
    return torch.stack(inputs), torch.stack(targets)
"""
N, START = "(len(stream) - 1) // window", "(step * batch_size + i) % n * window"
NEXT = """
def continue_greedily(model, ids, n):
    seen = {copy}
    for _ in range(n):
        logits = model(torch.tensor([{read}]))
        new = logits[0, {at}].{best}().item()
        {keep}
    return {result}
"""
GREEDY = dict(
    copy="list(ids)", read="seen", at=-1, best="argmax", keep="seen.append(new)",
    result="seen[len(ids):]",
)

WRONG = {
    "read_windows": [
        (WINDOWS.format(n=N, start=START, shift=0), "the targets equal the inputs"),
        (WINDOWS.format(n=N, start=START, shift=2), "one position further"),
        (WINDOWS.format(n=N, start="i % n * window", shift=1), "these are the windows of step 0"),
        (
            WINDOWS.format(n=N, start="(step + i) % n * window", shift=1),
            "begins at that number times",
        ),
        (
            WINDOWS.format(n=N, start="(step * batch_size + i) % n", shift=1),
            "after the last full window comes window 0",
        ),
        (
            WINDOWS.format(n="len(stream) // window", start=START, shift=1),
            "your function stopped with",
        ),
        (
            WINDOWS.format(n=N, start="(step * batch_size + i) * window", shift=1),
            "your function stopped with",
        ),
        (
            WINDOWS.format(n="(len(stream) - 2) // window", start=START, shift=1),
            "9 ids contain two windows",
        ),
    ],
    "continue_greedily": [
        (NEXT.format(**GREEDY | {"at": 0}), "comes from position 0"),
        (
            NEXT.format(**GREEDY | {"read": "seen[-1]", "copy": "list(ids)"}),
            "the model takes a batch",
        ),
        (NEXT.format(**GREEDY | {"read": "seen[-1:]"}), "only the last id was read"),
        (NEXT.format(**GREEDY | {"read": "ids"}), "the new ids are not appended"),
        (NEXT.format(**GREEDY | {"result": "seen"}), "the prompt is in your result"),
        (
            NEXT.format(**GREEDY | {"copy": "ids", "result": "seen[-n:]"}),
            "you changed the caller's list",
        ),
        (NEXT.format(**GREEDY | {"best": "argmin"}), "take argmax"),
    ],
    "completes": [
        ("def completes(c, v):\n    return v in c", "only the beginning counts"),
        (
            "def completes(c, v):\n    return c.strip().startswith(v)",
            "look at the character after the value",
        ),
        ("def completes(c, v):\n    return c.startswith(v)", "the value is at the beginning"),
        ("def completes(c, v):\n    return c.strip() == v", "the value is at the beginning"),
        (
            "def completes(c, v):\n    return c.split()[0].strip('.') == v",
            "a value may have two words",
        ),
        (
            (
                "def completes(c, v):\n    c = c.strip()\n    return c.startswith(v) and c[len(v)]"
                " in ' .'"
            ),
            "your function stopped with",
        ),
        (
            (
                "def completes(c, v):\n    c = c.strip()\n    return c.startswith(v) and not"
                " c[len(v) : len(v) + 1].isalpha()"
            ),
            "digits count too",
        ),
        (
            (
                "def completes(c, v):\n    t = c.lstrip()\n    return t.startswith(v) and (len(t)"
                " == len(v) or t[len(v)] in ' .')"
            ),
            "any sign but a letter or a digit",
        ),
        (
            (
                "def completes(c, v):\n    import re\n    return re.match(r'\\s*' + re.escape(v) +"
                " '(?![A-Za-z0-9])', c) is not None"
            ),
            "also after the value",
        ),
    ],
}
