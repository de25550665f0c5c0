"""Plausible wrong answers to the exercises of lesson 8, each with words its check must say."""

MODULE = """
class LowRank(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) * linear.in_features**-0.5)
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + (x @ self.A.T) @ self.B.T * self.scale

    def merge(self):
        merged = copy.deepcopy(self.linear)
        merged.weight.data += self.scale * (self.B @ self.A).detach()
        return merged


def low_rank(linear, rank, alpha):
    return LowRank(linear, rank, alpha)
"""
FORWARD = "self.linear(x) + (x @ self.A.T) @ self.B.T * self.scale"
RIGHT_B = "nn.Parameter(torch.zeros(linear.out_features, rank))"
RIGHT_A = "nn.Parameter(torch.randn(rank, linear.in_features) * linear.in_features**-0.5)"
MERGE = """        merged = copy.deepcopy(self.linear)
        merged.weight.data += self.scale * (self.B @ self.A).detach()
        return merged
"""


def changed(old, new):
    assert old in MODULE
    return MODULE.replace(old, new)


INJECT = """
def inject(model, names, wrap):
    model.requires_grad_(False)
    layers = [(p, name, child) for p in model.modules() for name, child in p.named_children()]
    layers = [x for x in layers if x[1] in names and isinstance(x[2], nn.Linear)]
    for parent, name, child in layers:
        setattr(parent, name, wrap(child))
    return len(layers)
"""

FORGET = """
def at_equal_forgetting(rises, rights, start, rise):
    xs, ys = {first}
    for x, y in {points}:
        xs.append(x)
        ys.append(y)
    best = {best}
    return {result}
"""
FORGET_RIGHT = dict(
    first="[0.0], [start]", points="sorted(zip(rises, rights))", best="np.maximum.accumulate(ys)",
    result="float(np.interp(rise, xs, best))",
)


def forget(**changed):
    return FORGET.format(**(FORGET_RIGHT | changed))


PEFT = """
class LowRank(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        self.A = nn.Linear(linear.in_features, rank, bias={bias})
        self.B = nn.Linear(rank, linear.out_features, bias={bias})
        {zero}

    def forward(self, x):
        return self.linear(x) + self.scale * self.B(self.A(x))

    def merge(self):
        merged = copy.deepcopy(self.linear)
        merged.weight.data += {scale} * (self.B.weight @ self.A.weight).detach()
        return merged


low_rank = LowRank
"""
ZERO = "nn.init.zeros_(self.B.weight)"


WRONG = {
    "low_rank": [
        (PEFT.format(bias=True, zero=ZERO, scale="self.scale"), "has a bias"),
        (PEFT.format(bias=False, zero="pass", scale="self.scale"), "B must start at zero"),
        (PEFT.format(bias=False, zero=ZERO, scale="1"), "merge: the correction is not scaled"),
        (
            changed(
                FORWARD,
                "x @ (self.linear.weight + self.scale * self.B @ self.A).T + self.linear.bias",
            ),
            "B A in full",
        ),
        (changed(FORWARD, "self.linear(x) + x @ (self.scale * self.B @ self.A).T"), "B A in full"),
        (
            changed(
                FORWARD,
                "self.linear(x) + F.linear(x, torch.einsum('or,ri->oi', self.B, self.A)) *"
                " self.scale",
            ),
            "B A in full",
        ),
        (changed(FORWARD, "self.linear(x) + (x @ self.A.T) @ self.B.T"), "not scaled"),
        (changed("alpha / rank", "alpha"), "scaled by alpha alone"),
        (changed("alpha / rank", "rank / alpha"), "scaled by rank / alpha"),
        (
            changed(FORWARD, "(x @ self.A.T) @ self.B.T * self.scale"),
            "must answer as the old layer",
        ),
        (changed(FORWARD, "self.linear(x)"), "correction is missing"),
        (
            changed(FORWARD, "self.linear(x) + (x @ self.A.data.T) @ self.B.data.T * self.scale"),
            "no gradient reaches",
        ),
        (
            changed(RIGHT_B, "nn.Parameter(torch.randn(linear.out_features, rank))"),
            "B must start at zero",
        ),
        (changed(RIGHT_A, "nn.Parameter(torch.zeros(rank, linear.in_features))"), "both zero"),
        (
            changed(RIGHT_A, "nn.Parameter(torch.randn(linear.in_features, rank))"),
            "self.A has shape (7, 2)",
        ),
        (changed(RIGHT_A, "torch.randn(rank, linear.in_features)"), "must be nn.Parameter"),
        (changed(RIGHT_A, "nn.Parameter(torch.randn(rank, linear.in_features))"), "256 ** -0.5"),
        (changed("linear.requires_grad_(False)", "linear"), "not frozen"),
        (
            changed(
                MERGE,
                "        self.linear.weight.data += self.scale * (self.B @ self.A)\n        return"
                " self.linear\n",
            ),
            "in place",
        ),
        (
            changed("self.scale * (self.B @ self.A).detach()", "(self.B @ self.A).detach()"),
            "merge: the correction is not scaled",
        ),
        (
            changed(MERGE, "        return self.linear.weight + self.scale * self.B @ self.A\n"),
            "plain nn.Linear",
        ),
        (
            changed(
                MERGE,
                "        new = nn.Linear(self.linear.in_features, self.linear.out_features,"
                " bias=False)\n        new.weight.data = self.linear.weight + self.scale * self.B @"
                " self.A\n        return new\n",
            ),
            "the bias is lost",
        ),
        (
            changed(
                MERGE,
                "        new = nn.Linear(self.linear.in_features, self.linear.out_features)\n      "
                "  new.weight.data = (self.linear.weight + self.scale * self.B @ self.A).detach()\n"
                "        new.bias.data = self.linear.bias\n        return new\n",
            ),
            "your function stopped with",
        ),
    ],
    "at_equal_forgetting": [
        (forget(points="zip(rises, rights)"), "sort them by rise"),
        (forget(first="[], []"), "the base and the first point"),
        (forget(first="[0.0], [0.0]"), "the line begins at (0, start)"),
        (forget(best="ys"), "past the best point it stays level"),
        (forget(best="[max(ys)] * len(ys)"), "expected"),
        (forget(result="np.interp(rise, xs, best).item() - rise"), "expected"),
        (forget(result="None"), "return a float"),
    ],
    "inject": [
        (INJECT.replace("    model.requires_grad_(False)\n", ""), "are still trained"),
        (
            INJECT.replace("    return", "    model.requires_grad_(False)\n    return"),
            "freeze the model before you wrap",
        ),
        (INJECT.replace("    return len(layers)\n", ""), "return how many"),
        (
            INJECT.replace("setattr(parent, name, wrap(child))", "child = wrap(child)"),
            "still has the old ones",
        ),
        (INJECT.replace(" and isinstance(x[2], nn.Linear)", ""), "only nn.Linear can be"),
        (INJECT.replace("x[1] in names and ", ""), "wrapped ["),
        (
            """
def inject(model, names, wrap):
    model.requires_grad_(False)
    count = 0
    for name, child in list(model.named_modules()):
        if name.split(".")[-1] in names and isinstance(child, nn.Linear):
            setattr(model, name, wrap(child))
            count += 1
    return count
""",
            "dotted name",
        ),
        (
            """
def inject(model, names, wrap):
    model.requires_grad_(False)
    count = 0
    for block in model.h:
        for name in names:
            if hasattr(block.attn, name):
                setattr(block.attn, name, wrap(getattr(block.attn, name)))
                count += 1
    return count
""",
            "4 of 8",
        ),
        (
            """
def inject(model, names, wrap):
    model.requires_grad_(False)
    for name, child in model.named_children():
        if name in names:
            setattr(model, name, wrap(child))
    return 8
""",
            "no layer was wrapped",
        ),
    ],
    "training_bytes": [
        (
            """
def training_bytes(model):
    n = sum(p.numel() for p in model.parameters())
    return n, n, 2 * n
""",
            "4 bytes",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(p.numel() for p in model.parameters())
    return n, n, 2 * n
""",
            "no gradient",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(p.numel() for p in model.parameters())
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return n, t, 2 * n
""",
            "optimizer keeps nothing",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(p.numel() for p in model.parameters())
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return n, t, t
""",
            "two averages",
        ),
        (
            """
def training_bytes(model):
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return t, t, 2 * t
""",
            "forward pass needs them",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(w.numel() for w in model.state_dict().values())
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return n, t, 2 * t
""",
            "buffers are not",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(p.numel() for p in model.parameters())
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return n, t, 2 * t
""",
            "element_size",
        ),
    ],
}
