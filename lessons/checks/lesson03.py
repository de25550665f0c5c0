"""Checks of lesson 3: each takes the learner's function and names the likely mistake."""

import math

import torch

from checks import by_hand, call, tensor


def near(a, b):
    return torch.allclose(a.float(), torch.tensor(b), atol=1e-4)


def attention_oracle(q, k, v):
    """Compute attention number by number, with plain lists. Returns weights and values."""
    weights, out = [], []
    for t in range(len(q)):
        scores = [
            sum(a * b for a, b in zip(q[t], k[s])) / math.sqrt(len(q[t])) for s in range(t + 1)
        ]
        total = sum(math.exp(score) for score in scores)
        row = [math.exp(score) / total for score in scores] + [0.0] * (len(q) - t - 1)
        weights.append(row)
        out.append([sum(row[s] * v[s][c] for s in range(len(q))) for c in range(len(v[0]))])
    return weights, out


@by_hand(
    "model.attend",
    "torch.nn.functional.scaled_dot_product_attention",
    "checks.lesson03.attention_oracle",
)
def attention(function):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 5, 4, generator=generator).unbind(0)
    result = call(function, q.clone(), k.clone(), v.clone())
    assert (
        isinstance(result, (tuple, list)) and len(result) == 2
    ), "return two things: weights (T, T) and values (T, hs)"
    weights, y = (tensor(part, name) for part, name in zip(result, ("weights", "values")))
    assert weights.shape == (
        5,
        5,
    ), f"weights are {tuple(weights.shape)}, expected (5, 5): a row for every query"
    assert (
        not weights.isnan().any()
    ), "there is a NaN; a row of only -inf has no softmax. Every position may see itself"
    assert (
        weights.triu(1).abs().max() == 0
    ), "a position sees a later one; hide what is right of the diagonal"
    assert (
        weights.diagonal().min() > 0
    ), "a position must see itself: hide from the first column *after* the diagonal (triu(1))"
    assert not near(
        weights.sum(0), [1.0] * 5
    ), "the columns sum to 1; softmax goes over the last dimension"
    assert near(
        weights.sum(1), [1.0] * 5
    ), "the rows do not sum to 1; hide before the softmax, not after it"
    expected, values = attention_oracle(q.tolist(), k.tolist(), v.tolist())
    unscaled, _ = attention_oracle((q * 2).tolist(), k.tolist(), v.tolist())
    assert not near(
        weights, unscaled
    ), "the scores are not divided by the root of the length, sqrt(hs)"
    overscaled, _ = attention_oracle((q / 2).tolist(), k.tolist(), v.tolist())
    assert not near(weights, overscaled), "the scores are divided by hs; divide by its root"
    swapped, _ = attention_oracle(k.tolist(), q.tolist(), v.tolist())
    assert not near(weights, swapped), "queries and keys are exchanged: row t belongs to q[t]"
    assert near(weights, expected), f"row 4 should be {expected[4]}, you have {weights[4].tolist()}"
    assert y.shape == (5, 4), f"the values are {tuple(y.shape)}, expected (5, 4)"
    assert near(
        y, values
    ), "the weights are right, the values are not: row t is the sum over s of weights[t, s] * v[s]"
    print("right: weights that look back only, and what they bring")


@by_hand("torch.nn.functional.layer_norm", "torch.nn.LayerNorm")
def layer_norm(function):
    x = torch.tensor([[[1.0, 3.0, 5.0, -1.0], [2.0, 2.0, 2.0, 2.0]], [[0.0, 10.0, 0.0, 0.0],
                                                                     [7.0, -7.0, 1.0, 0.5]]])
    weight, bias = torch.tensor([1.0, 2.0, 0.5, -1.0]), torch.tensor([0.0, 1.0, -1.0, 3.0])
    copy = x.clone()
    result = tensor(call(function, x, weight, bias), "the result")
    assert torch.equal(x, copy), "you changed the caller's x; make a new tensor"
    assert result.shape == x.shape, f"expected shape {tuple(x.shape)}, you have {result.shape}"
    assert not result.isnan().any(), "a row of equal numbers has variance 0: add 1e-5 to it"

    def normal(row, divisor, center=True, root=True):
        mean = sum(row) / len(row)
        variance = sum((a - mean) ** 2 for a in row) / divisor
        size = math.sqrt(variance + 1e-5) if root else variance + 1e-5
        return [(a - mean * center) / size for a in row]

    def expected(scale=True, shift=True, **how):
        rows = []
        for row in x.flatten(0, 1).tolist():
            numbers = normal(row, **how)
            rows.append([a * (w if scale else 1) + (b if shift else 0)
                         for a, w, b in zip(numbers, weight.tolist(), bias.tolist())])
        return rows

    flat = result.flatten(0, 1)
    wrong = [
        (expected(divisor=3), "the variance divides by C, not by C - 1 (correction=0)"),
        (expected(divisor=4, center=False), "the mean is not subtracted"),
        (expected(divisor=4, root=False), "divide by the root of the variance"),
        (expected(divisor=4, scale=False), "the weight is missing"),
        (expected(divisor=4, shift=False), "the bias is missing"),
    ]
    for rows, message in wrong:
        assert not near(flat, rows), message
    assert near(flat, expected(divisor=4)), (
        f"the first row should be {expected(divisor=4)[0]}, you have {flat[0].tolist()}; mean and"
        " variance are of the last dimension"
    )
    print("right: every vector has mean 0 and variance 1, then its own scale and shift")


@by_hand("model.Block")
def block(function):
    norm_1, norm_2 = lambda x: x * 2, lambda x: x + 1
    attention, mlp = lambda x: x - 3, lambda x: x * x
    x = torch.tensor([[[1.0, 2.0], [0.0, -1.0]]])
    copy = x.clone()
    result = tensor(call(function, x, norm_1, attention, norm_2, mlp), "the result")
    assert torch.equal(x, copy), "you changed the caller's x: += works in place, x + ... does not"
    middle = x + attention(norm_1(x))
    cases = [
        (mlp(norm_2(attention(norm_1(x)))), "both residuals are missing: x + layer(norm(x))"),
        (mlp(norm_2(middle)), "the second residual is missing: the MLP is added to x"),
        (attention(norm_1(x)) + mlp(norm_2(attention(norm_1(x)))), "the first residual is missing"),
        (x + attention(norm_1(x)) + mlp(norm_2(x)), "the MLP reads the sum after attention"),
        (norm_1(x) + attention(norm_1(x)) + mlp(norm_2(norm_1(x) + attention(norm_1(x)))),
         "the norm is on the branch only: the stream itself stays as it is"),
        (middle + mlp(middle), "the second norm is missing"),
        (x + attention(x) + mlp(norm_2(x + attention(x))), "the first norm is missing"),
        (x + norm_1(attention(x)) + mlp(norm_2(x + norm_1(attention(x)))),
         "first the norm, then attention"),
        (middle, "the MLP is missing"),
    ]
    for other, message in cases:
        assert not torch.allclose(result, other), message
    right = torch.allclose(result, middle + mlp(norm_2(middle)))
    assert right, "this is not the block of the drawing"
    print("right: two layers, each added to the stream")


class Toy:
    """Stand in for a model. reads(t, s): does position t see position s? Every call adds rounding
    noise."""

    def __init__(self, reads):
        self.reads, self.calls = reads, 0

    def __call__(self, ids, *args, **kwargs):
        assert ids.dim() == 2, "the model takes a batch: ids of shape (1, T)"
        T = ids.shape[1]
        seen = torch.tensor([[float(self.reads(t, s)) for s in range(T)] for t in range(T)])
        size = torch.arange(1, T + 1) / T
        self.calls += 1
        total = (ids.float() + 1) @ (seen * size).T  # (1, T)
        return torch.stack((torch.zeros_like(total), total), 2) + 1e-7 * self.calls  # (1, T, 2)


@by_hand("checks.lesson03.all_causal")
def first_change(function):
    ids = torch.tensor([[5, 0, 3, 2, 4, 1]])
    before = ids.clone()
    cases = [
        (lambda t, s: s <= t, 2, 2, "a causal model notices at the position itself"),
        (lambda t, s: s <= t, 1, 1, "the token there is 0 already, so put another id"),
        (lambda t, s: s <= t, 5, 5, "the last position"),
        (
            lambda t, s: s <= t + 1,
            3,
            2,
            "a model that sees one token ahead notices one position early",
        ),
        (lambda t, s: True, 4, 0, "a model that sees everything notices at once"),
        (
            lambda t, s: s < t,
            2,
            3,
            "a model that does not see its own token notices one position later",
        ),
        (
            lambda t, s: s == 0,
            3,
            None,
            "a model that reads only the first token never notices: None",
        ),
    ]
    for reads, at, expected, why in cases:
        result = call(function, Toy(reads), ids, at)
        assert torch.equal(ids, before), "you changed the caller's ids; clone them first"
        assert not isinstance(result, torch.Tensor), "return a plain number (.item()), or None"
        noise = (
            "; differences of about 1e-7 are rounding, so compare with a tolerance"
            if result == 0
            else ""
        )
        assert result == expected and type(result) is type(
            expected
        ), f"expected {expected}, you have {result} ({why}){noise}"
    print("right: the first position that notices")


def all_causal(model, ids):
    """Test that a change at t leaves every hidden state before t as it was, and moves the one at t.
    The lesson goes on with this one."""
    hidden = model.hidden(ids)
    for t in range(ids.shape[1]):
        other = ids.clone()
        other[0, t] = (other[0, t] + 1) % model.config.vocab_size
        moved = (model.hidden(other) - hidden).abs().amax(-1)[0]
        if (moved[:t] > 1e-4).any() or moved[t] < 1e-4:
            return False
    return True


def turned(x, position, base=100.0, sign=1, neighbors=False, step=4, turning=2):
    """Rotate one pair after the other, with plain numbers: `turning` pairs turn, pair i by
    position * base^(-step i / hs)."""
    hs, out = len(x), [0.0] * len(x)
    for i in range(hs // 2):
        first, second = (2 * i, 2 * i + 1) if neighbors else (i, i + hs // 2)
        angle = sign * position * base ** (-step * i / hs) if i < turning else 0.0
        out[first] = x[first] * math.cos(angle) - x[second] * math.sin(angle)
        out[second] = x[first] * math.sin(angle) + x[second] * math.cos(angle)
    return out


@by_hand("model.apply_rotary", "model.rotary_cos_sin", "checks.lesson03.turned")
def turn(function):
    x = [1.0, 2.0, -1.0, 0.5, 3.0, -2.0, 1.5, 4.0]
    vector = torch.tensor(x)
    result = call(function, vector, 7)
    assert torch.equal(vector, torch.tensor(x)), "you changed the caller's vector; make a new one"
    result = tensor(result, "the result")
    assert result.shape == (8,), "return a tensor of the same shape as x"
    assert not near(
        result, turned(x, 7, neighbors=True)
    ), "the pairs are (x[i], x[i + hs/2]), not neighbors"
    assert not near(
        result, turned(x, 7, sign=-1)
    ), "turned the wrong way round: look at the signs of the sines"
    assert not near(result, turned(x, 7, base=10000.0)), "the paper's 10000 is 100 in this project"
    assert (
        abs(result.norm() - vector.norm()) < 1e-3
    ), "the length changed; turning keeps it: (a cos - b sin, a sin + b cos)"
    for step in (2, 4):
        all_turn = turned(x, 7, step=step, turning=4)
        assert not near(
            result, all_turn
        ), "all pairs turn; only the first half does, i < hs/4. The others stay as they are"
    for turning in (2, 4):
        assert not near(
            result, turned(x, 7, base=1.0, turning=turning)
        ), "the pairs turn alike; pair i turns by position * 100^(-4i/hs)"
    assert not near(result, turned(x, 7, step=2)), "the exponent is -4i/hs, you have -2i/hs"
    assert near(result, turned(x, 7)), f"expected {turned(x, 7)}, you have {result.tolist()}"
    assert near(tensor(call(function, vector, 0), "the result"), x), "position 0 turns nothing"
    assert near(
        tensor(call(function, torch.tensor([1.0, 2.0, 0.0, 0.0]), 1), "the result"),
        [math.cos(1), 2.0, math.sin(1), 0.0],
    ), "[1, 2, 0, 0] at 1 is [cos 1, 2, sin 1, 0]"
    print("right: half of the pairs turned, each at its own speed")


READY = ("cross_entropy", "log_softmax", "nll_loss")
LOSSES = [f"torch.nn.functional.{name}" for name in READY] + [
    "torch.log_softmax",
    "torch.logsumexp",
    "torch.logaddexp",
]


@by_hand(*LOSSES, "torch.Tensor.log_softmax", "torch.Tensor.logsumexp")
def loss_at(function):
    cases = [
        ([2.0, 1.0, 0.0], 0, 0.4076, "p = 7.39 / 11.11"),
        ([2.0, 1.0, 0.0], 2, 2.4076, "p = 1 / 11.11"),
        ([0.0, 0.0, 0.0, 0.0], 3, math.log(4), "four tokens, all equally likely: log 4"),
        ([1000.0, 998.0, 0.0], 1, 2.1269, "great scores: take the greatest off first"),
        ([-1000.0, -1001.0], 0, 0.3133, "very negative scores: take the greatest off first"),
        (
            [1000.0, 0.0], 1, 1000.0,
            "p is too small for a float, its log is not: log(sum) - score needs no p",
        ),
    ]
    for logits, target, expected, why in cases:
        scores = torch.tensor(logits)
        result = call(function, scores, target)
        assert scores.tolist() == logits, "you changed the caller's logits"
        assert isinstance(result, float), "return a plain float (.item())"
        case = f"{logits}, target {target}"
        assert math.isfinite(result), f"{case}: {result}; {why}"
        p = math.exp(-expected)
        assert (
            abs(result + expected) > 1e-3 or expected == 0
        ), f"{case}: the sign is wrong; the loss is *minus* log p"
        assert abs(result - p) > 1e-3, f"{case}: this is the probability; the loss is -log of it"
        assert (
            abs(result - expected / math.log(2)) > 1e-3
        ), f"{case}: this is in bits (log2); nats use the natural log"
        assert (
            abs(result + logits[target]) > 1e-3
        ), f"{case}: this is minus the score; log(sum of e^score) is missing"
        assert (
            abs(result - expected) < 1e-3
        ), f"{case}: expected {expected:.4f}, you have {result:.4f} ({why})"
    print("right: log of the sum, minus the target's score")
