"""Right answers to the exercises of lesson 15 in other forms than the solution's."""

RIGHT = {
    "training_flops": [
        """
def training_flops(shape, tokens, supervised, T, frozen=False):
    V, C, L, block, attention = shape
    forward = 2 * L * block * tokens + 2 * V * C * supervised
    return (2.0 if frozen else 3.0) * forward + 3 * 4 * L * attention * T * tokens
""",
        """
def training_flops(shape, tokens, supervised, T, frozen=False):
    total = 0
    for _ in range(shape.L):
        total += (4 if frozen else 6) * shape.block * tokens + 12 * shape.attention * T * tokens
    return total + (4 if frozen else 6) * shape.V * shape.C * supervised
""",
    ],
    "with_mask": [
        (
            "def with_mask(prompt, answer, eos):\n    ids = [*prompt, *answer, eos]\n    return"
            " [ids, [int(i >= len(prompt)) for i in range(len(ids))]]"
        ),
        (
            "def with_mask(prompt, answer, eos):\n    return (*prompt, *answer, eos), (0,) *"
            " len(prompt) + (1,) * len(answer) + (1,)"
        ),
    ],
    "summed_loss": [
        """
def summed_loss(hidden, head, targets):
    keep = targets.flatten() != IGNORE
    logits = hidden.flatten(0, 1)[keep] @ head.T
    return -logits.log_softmax(-1).gather(1, targets.flatten()[keep][:, None]).sum()
""",
        """
def summed_loss(hidden, head, targets):
    rows, positions = (targets != IGNORE).nonzero(as_tuple=True)
    logits = torch.einsum("nc,vc->nv", hidden[rows, positions], head)
    return F.cross_entropy(logits, targets[rows, positions], reduction="none").sum()
""",
    ],
    "first_choices": [
        """
def first_choices(ranks):
    def share(tokens):
        return tokens.count(1) / len(tokens)

    middle = sum([list(answer[1:-1]) for answer in ranks], [])
    return {
        "first": share([answer[0] for answer in ranks]),
        "middle": share(middle),
        "last": share([answer[-1] for answer in ranks]),
    }
""",
        """
def first_choices(ranks):
    counts = {"first": [0, 0], "middle": [0, 0], "last": [0, 0]}
    for answer in ranks:
        for i, rank in enumerate(answer):
            name = "first" if i == 0 else "last" if i == len(answer) - 1 else "middle"
            counts[name][0] += rank == 1
            counts[name][1] += 1
    return {name: ones / n for name, (ones, n) in counts.items()}
""",
    ],
    "my_pairs": [
        """
def my_pairs():
    return [{"instruction": f"What is {i} + 1?", "output": f"{i + 1}!"} for i in range(25)]
""",
        """
def my_pairs():
    pairs = []
    for word in "a b c d e f g h i j k l m n o p q r s t".split():
        pairs.append({"instruction": f"Spell {word}.", "input": "", "output": word.upper()})
    return tuple(pairs)
""",
    ],
}
