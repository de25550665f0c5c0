"""Plausible wrong answers to the exercises of lesson 15, each with words its check must say."""

FLOPS = (
    "def training_flops(s, tokens, supervised, T, frozen=False):\n    each = 4 if frozen else 6\n  "
    "  return %s"
)
MASK = "def with_mask(prompt, answer, eos):\n    return %s"

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
}
