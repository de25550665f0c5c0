"""Plausible wrong answers to the exercises of lesson 15, each with words its check must say."""

FLOPS = (
    "def training_flops(s, tokens, supervised, T, frozen=False):\n    each = 4 if frozen else 6\n  "
    "  return %s"
)
MASK = "def with_mask(prompt, answer, eos):\n    return %s"
CHOICES = """def first_choices(ranks):
    first = [rank == 1 for answer in ranks for rank in [answer[0]]]
    middle = [rank == 1 for answer in ranks for rank in %s]
    last = [answer[-1] == 1 for answer in ranks]
    share = lambda x: %s
    return {"first": share(first), "middle": share(middle), "last": share(last)}
"""
PAIRS = """def my_pairs():
    return [{"instruction": %s, "output": %s} for i in %s]
"""

WRONG = {
    "training_flops": [
        (
            FLOPS
            % "6 * (s.L * s.block * tokens + s.V * s.C * supervised) + 12 * s.L * s.attention * T *"
            " tokens",
            "a frozen matrix costs 4",
        ),
        (
            FLOPS % "each * (s.L * s.block * tokens + s.V * s.C * supervised)",
            "attention term is missing",
        ),
        (
            FLOPS
            % "each * (s.L * s.block + s.V * s.C) * tokens + 12 * s.L * s.attention * T * tokens",
            "supervised tokens only",
        ),
        (
            FLOPS % "each * s.L * s.block * tokens + 12 * s.L * s.attention * T * tokens",
            "output matrix is missing",
        ),
        (
            FLOPS
            % "each * (s.L * s.block * tokens + s.V * s.C * supervised) + 12 * s.attention * T *"
            " tokens",
            "every block has attention",
        ),
        (
            FLOPS
            % "each * (s.L * s.block * tokens + s.V * s.C * supervised) + 12 * s.L * s.C * T *"
            " tokens",
            "as wide as its queries",
        ),
        (
            FLOPS
            % "each * (s.L * s.block * tokens + s.V * s.C * supervised + 2 * s.L * s.attention * T"
            " * tokens)",
            "attention has no weights",
        ),
        (
            FLOPS
            % "2 * (s.L * s.block * tokens + s.V * s.C * supervised) + 12 * s.L * s.attention * T *"
            " tokens",
            "forward pass",
        ),
    ],
    "with_mask": [
        (MASK % "(prompt + answer, [0] * len(prompt) + [1] * len(answer))", "the eos is missing"),
        (
            MASK % "(prompt + answer + [eos], [0] * len(prompt) + [1] * len(answer) + [0])",
            "the eos is part",
        ),
        (
            MASK % "(prompt + answer + [eos], [1] * len(prompt) + [0] * (len(answer) + 1))",
            "wrong way round",
        ),
        (MASK % "(prompt + answer + [eos], [1] * (len(prompt) + len(answer) + 1))", "only read"),
        (
            MASK % "(prompt + answer + [eos], [0] * len(prompt) + [1] * len(answer))",
            "as long as the ids",
        ),
        (MASK % "prompt + answer + [eos]", "two lists"),
    ],
    "summed_loss": [
        (
            """
def summed_loss(hidden, head, targets):
    logits = F.linear(hidden, head)
    flat = logits.flatten(0, 1), targets.flatten()
    return F.cross_entropy(*flat, ignore_index=IGNORE, reduction="sum")
""",
            "pick the hidden states first",
        ),
        (
            """
def summed_loss(hidden, head, targets):
    supervised = targets != IGNORE
    return F.cross_entropy(F.linear(hidden[supervised], head), targets[supervised])
""",
            "that is the mean",
        ),
        (
            """
def summed_loss(hidden, head, targets):
    hidden, targets = hidden[:, :-1], targets[:, 1:]
    supervised = targets != IGNORE
    return F.cross_entropy(F.linear(hidden[supervised], head), targets[supervised], reduction="sum")
""",
            "do not shift them again",
        ),
        (
            """
def summed_loss(hidden, head, targets):
    supervised = targets != IGNORE
    return F.cross_entropy(
        F.linear(hidden[supervised], head), targets[supervised], reduction="none"
    )
""",
            "return one number",
        ),
        (
            """
def summed_loss(hidden, head, targets):
    targets[targets == IGNORE] = 0
    return F.cross_entropy(F.linear(hidden, head).flatten(0, 1), targets.flatten(), reduction="sum")
""",
            "the targets that were given have changed",
        ),
    ],
    "first_choices": [
        (CHOICES % ("answer[1:-1]", "sum(x)"), "that is a count"),
        (CHOICES % ("answer[1:]", "sum(x) / len(x)"), "all tokens but the first and the last"),
        (CHOICES % ("answer[:-1]", "sum(x) / len(x)"), "all tokens but the first and the last"),
        (
            CHOICES.replace("answer[0]]", "answer[1]]") % ("answer[1:-1]", "sum(x) / len(x)"),
            "one token of each answer",
        ),
        ("def first_choices(ranks):\n    return [0.5, 2 / 3, 0.0]", "return a dict"),
    ],
    "my_pairs": [
        (PAIRS % ("str(i)", "'a' + str(i)", "range(19)"), "at least twenty"),
        (PAIRS % ("str(i // 2)", "'a' + str(i)", "range(20)"), "occurs twice"),
        (PAIRS % ("str(i)", "' ' * (i == 3) or 'a' + str(i)", "range(20)"), "missing or empty"),
        (PAIRS % ("str(i)", "str(i)", "range(20)"), "the instruction again"),
        (PAIRS % ("str(i)", "'Yes.'", "range(20)"), "the same text"),
        ("def my_pairs():\n    return [('a', 'b')] * 20", "list of dicts"),
    ],
}
