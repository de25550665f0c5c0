"""Plausible wrong answers to the exercises of lesson 3, each with words its check must say."""

ATTENTION = """
def attention(q, k, v):
    T, hs = q.shape
    later = torch.ones(T, T, dtype=torch.bool).triu({first})
    weights = {weights}
    return weights, {values}
"""
SCORES = "(q @ k.T / math.sqrt(hs))"
GOOD = dict(
    first=1, weights=SCORES + ".masked_fill(later, -torch.inf).softmax(-1)", values="weights @ v"
)
CHANGE = """
def first_change(model, ids, at):
    other = {copy}
    old = model(ids)
    other[0, at] = {new}
    moved = (old - model(other)).abs().{over} > {tolerance}
    return {result}
"""
CHANGED = dict(
    copy="ids.clone()", new="1 if ids[0, at] == 0 else 0", over="amax(-1)[0]", tolerance="1e-5",
    result="moved.nonzero()[0].item() if moved.any() else None",
)
TURN = """
def turn(x, position):
    hs = len(x)
    angle = torch.zeros(hs // 2)
    speeds = {base} ** (-{step} / hs)
    angle[: len(speeds)] = position * speeds
    a, b = {pairs}
    new = a * angle.cos() {minus} b * angle.sin(), a * angle.sin() {plus} b * angle.cos()
    return {result}
"""
TURNED = dict(
    base="100.0", step="torch.arange(0, hs, 4)", pairs="x.chunk(2)", minus="-", plus="+",
    result="torch.cat(new)",
)

NORM = """
def layer_norm(x, weight, bias):
    mean = x.mean({dim}, keepdim=True)
    variance = {variance}
    return {result}
"""
NORM_RIGHT = dict(
    dim="-1", variance="x.var(-1, correction=0, keepdim=True)",
    result="weight * (x - mean) / (variance + 1e-5).sqrt() + bias",
)


def norm(**changed):
    return NORM.format(**(NORM_RIGHT | changed))


BLOCK = """
def block(x, norm_1, attention, norm_2, mlp):
    x = {first}
    x = {second}
    return x
"""
BLOCK_RIGHT = dict(first="x + attention(norm_1(x))", second="x + mlp(norm_2(x))")


def blocks(**changed):
    return BLOCK.format(**(BLOCK_RIGHT | changed))


WRONG = {
    "layer_norm": [
        (norm(variance="x.var(-1, keepdim=True)"), "not by C - 1"),
        (norm(result="weight * x / (variance + 1e-5).sqrt() + bias"), "the mean is not subtracted"),
        (norm(result="weight * (x - mean) / (variance + 1e-5) + bias"), "the root of the variance"),
        (norm(result="(x - mean) / (variance + 1e-5).sqrt() + bias"), "the weight is missing"),
        (norm(result="weight * (x - mean) / (variance + 1e-5).sqrt()"), "the bias is missing"),
        (norm(result="weight * (x - mean) / variance.sqrt() + bias"), "add 1e-5"),
        (norm(dim="0", variance="x.var(0, correction=0, keepdim=True)"), "of the last dimension"),
        (
            "def layer_norm(x, weight, bias):\n"
            "    return F.layer_norm(x, x.shape[-1:], weight, bias)",
            "write it yourself",
        ),
    ],
    "block": [
        (blocks(first="attention(norm_1(x))", second="mlp(norm_2(x))"), "both residuals"),
        (blocks(second="mlp(norm_2(x))"), "the second residual"),
        (blocks(first="attention(norm_1(x))"), "the first residual"),
        (blocks(first="x", second="x + attention(norm_1(x)) + mlp(norm_2(x))"), "after attention"),
        (blocks(first="norm_1(x) + attention(norm_1(x))"), "on the branch only"),
        (blocks(second="x + mlp(x)"), "the second norm is missing"),
        (blocks(first="x + norm_1(attention(x))"), "first the norm, then attention"),
        (
            "def block(x, norm_1, attention, norm_2, mlp):\n    x += attention(norm_1(x))\n"
            "    x += mlp(norm_2(x))\n    return x",
            "you changed the caller's x",
        ),
    ],
    "attention": [
        (ATTENTION.format(**GOOD | {"first": 2}), "a position sees a later one"),
        (ATTENTION.format(**GOOD | {"first": 0}), "there is a NaN"),
        (
            ATTENTION.format(**GOOD | {"weights": SCORES + ".softmax(-1).masked_fill(later, 0)"}),
            "hide before the softmax",
        ),
        (
            ATTENTION.format(**GOOD | {"weights": SCORES + ".masked_fill(later, 0).softmax(-1)"}),
            "a position sees a later",
        ),
        (
            ATTENTION.format(
                **GOOD | {"weights": SCORES + ".masked_fill(later, -torch.inf).softmax(0)"}
            ),
            "the last dimension",
        ),
        (
            ATTENTION.format(
                **GOOD | {"weights": "(q @ k.T).masked_fill(later, -torch.inf).softmax(-1)"}
            ),
            "not divided by",
        ),
        (
            ATTENTION.format(
                **GOOD | {"weights": "(q @ k.T / hs).masked_fill(later, -torch.inf).softmax(-1)"}
            ),
            "by its root",
        ),
        (
            ATTENTION.format(
                **GOOD | {
                    "weights": (
                        SCORES.replace("q @ k.T", "k @ q.T")
                        + ".masked_fill(later, -torch.inf).softmax(-1)"
                    )
                }
            ),
            "queries and keys are exchanged",
        ),
        (ATTENTION.format(**GOOD | {"values": "weights.T @ v"}), "the values are not"),
    ],
    "first_change": [
        (CHANGE.format(**CHANGED | {"copy": "ids"}), "you changed the caller's ids"),
        (CHANGE.format(**CHANGED | {"new": "0"}), "put another id"),
        (CHANGE.format(**CHANGED | {"tolerance": "0"}), "compare with a tolerance"),
        (CHANGE.format(**CHANGED | {"over": "select(-1, 0)[0]"}), "you have None"),
        (
            CHANGE.format(**CHANGED | {"result": "moved.nonzero()[0].item()"}),
            "your function stopped with",
        ),
        (
            CHANGE.format(
                **CHANGED | {"result": "moved.nonzero()[-1].item() if moved.any() else None"}
            ),
            "you have 5",
        ),
        (CHANGE.format(**CHANGED | {"result": "moved.float().argmax().item()"}), "never notices"),
    ],
    "turn": [
        (
            TURN.format(
                **TURNED | {"pairs": "x[::2], x[1::2]", "result": "torch.stack(new, 1).flatten()"}
            ),
            "not neighbors",
        ),
        (
            TURN.format(
                **TURNED | {
                    "minus": "+",
                    "plus": "+",
                    "result": "torch.cat((new[0], b * angle.cos() - a * angle.sin()))",
                }
            ),
            "wrong way round",
        ),
        (TURN.format(**TURNED | {"base": "10000.0"}), "is 100 in this project"),
        (TURN.format(**TURNED | {"minus": "+"}), "the length changed"),
        (TURN.format(**TURNED | {"base": "1.0"}), "the pairs turn alike"),
        (TURN.format(**TURNED | {"step": "torch.arange(0, hs, 2)"}), "only the first half does"),
        (
            TURN.format(**TURNED | {"step": "torch.arange(0, 2 * hs, 4)"}),
            "only the first half does",
        ),
        (TURN.format(**TURNED | {"step": "torch.arange(0, hs // 2, 2)"}), "the exponent is -4i/hs"),
        (TURN.format(**TURNED | {"result": "torch.stack(new)"}), "the same shape"),
    ],
    "loss_at": [
        (
            "def loss_at(z, t):\n    return -(z.exp()[t] / z.exp().sum()).log().item()",
            "take the greatest off first",
        ),
        ("def loss_at(z, t):\n    return z.softmax(-1)[t].log().item()", "the sign is wrong"),
        ("def loss_at(z, t):\n    return z.softmax(-1)[t].item()", "this is the probability"),
        ("def loss_at(z, t):\n    return -z[t].item()", "this is minus the score"),
        ("def loss_at(z, t):\n    return -z.softmax(-1)[t].log2().item()", "in bits"),
        (
            "def loss_at(z, t):\n    z -= z.max()\n    return (z.exp().sum().log() - z[t]).item()",
            "changed the caller's logits",
        ),
        ("def loss_at(z, t):\n    return -z.softmax(-1)[t].log()", "plain float"),
        (
            "def loss_at(z, t):\n    return -z.softmax(-1)[t].log().item()",
            "log(sum) - score needs no p",
        ),
        (
            "def loss_at(z, t):\n    return F.cross_entropy(z[None], torch.tensor([t])).item()",
            "write it yourself",
        ),
        (
            (
                "def loss_at(z, t):\n    return torch.nn.CrossEntropyLoss()(z[None],"
                " torch.tensor([t])).item()"
            ),
            "write it yourself",
        ),
        (
            "def loss_at(z, t):\n    return (torch.logsumexp(z, 0) - z[t]).item()",
            "write it yourself",
        ),
        ("def loss_at(z, t):\n    return (z.logsumexp(-1) - z[t]).item()", "write it yourself"),
        ("def loss_at(z, t):\n    return -z.log_softmax(-1)[t].item()", "write it yourself"),
    ],
}
