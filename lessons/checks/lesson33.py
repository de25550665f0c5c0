"""Checks of lesson 33: what the real thing costs."""

from collections import namedtuple

from model import GPT, GPTConfig

Shape = namedtuple("Shape", "V block L C")


def count_parameters(f):
    """Against the models themselves."""
    for shape in (Shape(53, 9, 2, 4), Shape(30, 16, 3, 8), Shape(7, 5, 1, 12)):
        V, block, L, C = shape
        config = GPTConfig(V, block, L, n_head=1, n_embd=C, position="learned", smear=0)
        parts = {name: p.numel() for name, p in GPT(config).named_parameters()}
        wanted, found = sum(parts.values()), f(*shape)
        off = found - wanted
        if off == 0:
            continue
        biases = sum(
            n for name, n in parts.items() if name.endswith("bias") and ".ln" not in name and "ln_f" not in name
        )
        norms = sum(n for name, n in parts.items() if "ln_" in name)
        hints = {
            V * C: "the head is tied to the token embedding; you counted it twice",
            -block * C: "the position embedding is missing",
            -V * C: "the token embedding is missing",
            -biases: "the biases of the linear layers are missing",
            -norms: "the LayerNorms are missing",
            -biases - norms: "biases and LayerNorms are missing",
            -2 * C: "the last LayerNorm is missing",
            -2 * C * L: "a block has two LayerNorms",
        }
        hint = hints.get(off, "a block's matrices together hold 12 C * C numbers")
        raise AssertionError(f"{shape}: {found:,} instead of {wanted:,}: {hint}")
    assert f(50257, 1024, 12, 768) == 124_439_808
    print("right: GPT-2's smallest has 124,439,808 parameters")


def training_flops(f):
    """Against a list of every product."""
    for shape, tokens, learned, T in ((Shape(11, 9, 2, 4), 15, 4, 5), (Shape(50, 8, 3, 4), 40, 10, 8),
                                      (Shape(7, 4, 2, 8), 12, 12, 4)):
        V, _, L, C = shape
        products = []  # (inputs, outputs, how many tokens)
        for _ in range(L):
            products += [(C, 3 * C, tokens), (C, C, tokens), (C, 4 * C, tokens), (4 * C, C, tokens)]
        blocks = sum(3 * 2 * a * b * n for a, b, n in products)
        head = 3 * 2 * C * V * learned
        attention = sum(3 * 2 * 2 * C * T for _ in range(L) for _ in range(tokens))
        wanted, found = blocks + head + attention, f(shape, tokens, learned, T)
        if abs(found - wanted) < 0.5:
            continue
        case = f"{shape}, {tokens} tokens, {learned} learned, T = {T}: {found:,} instead of {wanted:,}: "
        hints = {
            blocks + head: "the attention term is missing",
            blocks + attention: "the head's work at the learned tokens is missing",
            blocks
            + attention
            + 3 * 2 * C * V * tokens: "the head works at the learned tokens only, not at all of them",
            wanted / 3: "that is the way forth only; the way back costs twice as much again",
            blocks + head + attention / L: "every block has attention",
            blocks / L + head + attention: "there are L blocks",
            blocks + head + attention / tokens: "every token attends",
            blocks + head + attention / T: "every token attends to T others",
        }
        raise AssertionError(
            case + next((hint for n, hint in hints.items() if abs(n - found) < 0.5), "add the three terms")
        )
    print("right: blocks, head and attention")


def training_bytes(f):
    """Term by term."""
    shape = Shape(10, 3, 1, 2)
    rest = (shape, 0, 0)
    assert f(100, 0, *rest) != 0, "the frozen weights are in memory too"
    assert f(100, 0, *rest) != 1600, "a frozen weight has no gradient and no averages; only the trained ones do"
    assert f(100, 0, *rest) != 100, "a number has 4 bytes"
    assert f(100, 0, *rest) == 400, f"100 frozen weights take {f(100, 0, *rest)} bytes instead of 400"
    each = f(100, 100, *rest) - f(100, 0, *rest)
    assert each != 800, "AdamW keeps two averages of every trained number, beside its gradient"
    assert each != 1600, "the weights are counted twice: n holds the trained ones too"
    assert each == 1200, f"100 trained weights add {each} bytes instead of 1200 (gradient 4, averages 8 each)"
    for shape, tokens, learned in ((shape, 6, 3), (Shape(50, 8, 3, 4), 40, 10)):
        found, blocks, head = f(0, 0, shape, tokens, learned), 0, 0
        for _ in range(shape.L):
            blocks += 4 * 17 * shape.C * tokens
        for _ in range(learned):
            head += 4 * 2 * shape.V
        case = f"activations of {tokens} tokens, {learned} learned, {shape}: {found} bytes instead of {blocks + head}: "
        assert found != blocks, case + "the loss keeps 2 V numbers for every learned token"
        assert found * 4 != blocks + head, case + "a number has 4 bytes"
        assert found != blocks / 4 + head / 4, case + "a number has 4 bytes"
        assert found != blocks + 8 * shape.V * tokens, case + "logits exist at the learned tokens only"
        assert found == blocks + head, case + "17 C numbers a block and token, 2 V a learned token"
    print("right: weights, gradients, averages, activations")


def hours_and_money(f):
    """Units."""
    found = f(7.2e15, 1e12, 0.5, 3.0)
    assert isinstance(found, (tuple, list)) and len(found) == 2, "give two numbers back: hours and money"
    hours, money = found
    assert abs(hours - 14400) > 1, "those are seconds, not hours"
    assert abs(hours - 240) > 0.1, "those are minutes, not hours"
    assert abs(hours - 2) > 1e-6, "the utilisation is missing: half of the rate is used"
    assert abs(hours - 1) > 1e-6, "a lower utilisation takes longer: divide by it"
    assert abs(hours - 4) < 1e-6, f"{hours} hours instead of 4"
    assert abs(money - 12) < 1e-6, f"4 hours at 3 cost {money} instead of 12"
    hours, money = f(3.6e15, 1e12, 0.25, 0.0)
    assert abs(hours - 4) < 1e-6 and money == 0, (
        f"3.6e15 FLOPs at a quarter of 1e12, free: {(hours, money)} instead of (4, 0)"
    )
    print("right: hours and money")
