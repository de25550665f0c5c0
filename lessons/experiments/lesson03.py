"""Measuring code of lesson 3: drawings of a block and of attention, the forward pass with the
learner's block, and the experiment that hides a name."""

import math

import lab
import matplotlib.pyplot as plt
import torch

import world
from model import apply_rotary, rotary_cos_sin

N_POSITIONS = 128
STRONG = 0.3  # a weight above this is called a look


# --------------------------------------------------------------------------------------------------
# Drawings


def draw_block() -> None:
    """Draw a block: the residual stream upwards, and what attention and MLP add to it."""
    figure, ax = plt.subplots(figsize=(7.5, 5))
    ax.annotate("", (1, 6.6), (1, 0.1), arrowprops={"arrowstyle": "-|>", "lw": 2.5})
    ax.text(0.7, 3.4, "residual stream: a vector of C numbers a position", rotation=90,
            ha="right", va="center", fontsize=9)
    branches = [  # y, name of the norm, name of the layer, what it does, color
        (0.7, "ln_1", "attention", "gathers from earlier positions", "lightsteelblue"),
        (3.7, "ln_2", "MLP", "works on each position alone", "moccasin"),
    ]
    for y, norm, layer, text, color in branches:
        ax.plot([1, 2.2], [y, y], color="black")
        ax.annotate("", (2.2, y + 0.35), (2.2, y), arrowprops={"arrowstyle": "-|>"})
        for height, name, shade in ((0.35, norm, "whitesmoke"), (1.25, layer, color)):
            box = plt.Rectangle((1.4, y + height), 1.6, 0.6, facecolor=shade, edgecolor="gray")
            ax.add_patch(box)
            ax.text(2.2, y + height + 0.3, name, ha="center", va="center")
        ax.annotate("", (2.2, y + 1.25), (2.2, y + 0.95), arrowprops={"arrowstyle": "-|>"})
        ax.plot([2.2, 2.2], [y + 1.85, y + 2.2], color="black")
        ax.annotate("", (1.12, y + 2.2), (2.2, y + 2.2), arrowprops={"arrowstyle": "-|>"})
        circle = plt.Circle((1, y + 2.2), 0.13, facecolor="white", edgecolor="black", zorder=3)
        ax.add_patch(circle)
        ax.text(1, y + 2.2, "+", ha="center", va="center", zorder=4)
        ax.text(3.2, y + 1.55, text, va="center", fontsize=9)
    ax.text(3.2, 0.95, "norm: mean 0, size 1", va="center", fontsize=9)
    ax.text(1, -0.1, "from the block before", ha="center", va="top", fontsize=9)
    ax.text(1, 6.7, "to the next block", ha="center", va="bottom", fontsize=9)
    ax.set(xlim=(0.1, 6), ylim=(-0.5, 7.1), aspect="equal")
    ax.set_title("A block adds to the stream twice and replaces nothing")
    ax.axis("off")
    plt.show()


def name_ticks(ax, tokens: list[str], axis: str) -> None:
    """Write tokens along an axis."""
    if axis == "x":
        ax.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right")
    else:
        ax.set_yticks(range(len(tokens)), tokens)


def draw_looks(weights: torch.Tensor, tokens: list[str], name: str) -> None:
    """Draw where the last position looks in every head, and the head that looks most at `name`."""
    n_layers, n_heads = weights.shape[:2]
    layers = [layer for layer in range(1, n_layers + 1) for _ in range(n_heads)]
    heads = [f"layer {layer}, head {i % n_heads + 1}" for i, layer in enumerate(layers)]
    spot = tokens.index(repr(name))
    looks = weights[:, :, -1].flatten(0, 1)  # (heads, T)
    best = looks[:, spot].argmax().item()
    weight = looks[best, spot].item()

    figure, (ax, full) = plt.subplots(1, 2, figsize=(12, 4.2), width_ratios=(3, 2))
    picture = ax.imshow(looks, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    name_ticks(ax, tokens, "x")
    name_ticks(ax, heads, "y")
    ax.set(xlabel="token looked at")
    ax.set_title(f"From the last position: at most {weight:.0%} on {name!r}")
    figure.colorbar(picture, label="weight")
    full.imshow(weights.flatten(0, 1)[best], vmin=0, vmax=1, cmap="Blues")
    name_ticks(full, tokens, "x")
    name_ticks(full, tokens, "y")
    full.set(xlabel="token looked at", title=f"{heads[best]}: nothing above the diagonal")
    plt.tight_layout()
    plt.show()
    word = "looks" if weight > STRONG else "does not look much"
    print(f"Found: {heads[best]} {word} from the last position at {name!r} (weight {weight:.2f}).")


# --------------------------------------------------------------------------------------------------
# The model by hand


def forward_by_hand(model, ids: torch.Tensor, block) -> torch.Tensor:
    """Run ids (1, T) through the model with the learner's block. Returns logits (1, T, V).

    block(x, norm_1, attention, norm_2, mlp) returns x after one block."""
    T = ids.shape[1]
    positions = torch.arange(T)[None]  # (1, T)
    rotary = [table[positions].unsqueeze(1) for table in (model.cos, model.sin)]
    mask = torch.where(model.causal[:T, :T], 0.0, -torch.inf)  # (T, T)
    x = model.shift_mix(model.wte(ids), positions, None)  # (1, T, C)
    for layer in model.h:

        def attention(h, layer=layer):
            return layer.attn(h, rotary, mask, None)

        x = block(x, layer.ln_1, attention, layer.ln_2, layer.mlp)
    return model.ln_f(x) @ model.wte.weight.T  # (1, T, V)


def look(model, ids: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Run ids (1, T). Returns the weights of all heads (layers, heads, T, T), and the greatest
    difference between attention computed from them and the model's."""
    # catch what goes in and out of every attention layer
    caught = []
    hooks = []
    for block in model.h:
        hook = block.attn.register_forward_hook(lambda _, x, y: caught.append((x[0], y)))
        hooks.append(hook)
    model(ids)
    for hook in hooks:
        hook.remove()

    # the weights, for all heads at once
    T, nh, hs = ids.shape[1], model.config.n_head, model.config.head_size
    rotary = model.cos[:T, None], model.sin[:T, None]  # each (T, 1, hs)
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    weights, worst = [], 0.0
    for block, (x, y) in zip(model.h, caught):
        q, k, v = block.attn.c_attn(x)[0].view(T, 3, nh, hs).unbind(1)  # each (T, nh, hs)
        q, k = apply_rotary(q, *rotary), apply_rotary(k, *rotary)
        scores = torch.einsum("tnh,snh->nts", q, k) / math.sqrt(hs)  # (nh, T, T)
        weights.append(scores.masked_fill(later, -torch.inf).softmax(-1))  # (nh, T, T)
        values = torch.einsum("nts,snh->tnh", weights[-1], v).flatten(1)  # (T, C)
        worst = max(worst, (block.attn.c_proj(values) - y[0]).abs().max().item())
    return torch.stack(weights), worst


# --------------------------------------------------------------------------------------------------
# Experiments


def named_facts(n: int) -> list:
    """Return n facts with one value that end in a name without an article."""
    facts = []
    for fact in world.table_facts():
        ends_in_name = fact.task.noun.endswith("{x}") and not fact.x.startswith(("a ", "an "))
        if ends_in_name and len(fact.values) == 1:
            facts.append(fact)
    return lab.subset(facts, n)


def repeat_names(model, tokenizer, facts: list) -> dict[str, list[bool]]:
    """Ask for each fact and begin a statement of it. Does the model go on with the name?

    Returns {"visible": flags, "hidden": flags}. Hidden: no later position may look at the name.
    Prints ten visible names that are not repeated."""
    repeated = {"visible": [], "hidden": []}
    others = []
    for fact in facts:
        # where the name is: "What is the capital of| France?| The capital of"
        before = fact.task.noun.removesuffix("{x}").rstrip()
        start = [tokenizer.eos_id] + tokenizer.encode(f"What is {before}")
        question = [tokenizer.eos_id] + tokenizer.encode(f"What is {fact.noun}?")
        ids = question + tokenizer.encode(f" {world.upper_first(before)}")

        # the mask is True where a position may look
        T = len(ids)
        mask = torch.ones(T, T, dtype=torch.bool).tril()
        for key in repeated:
            if key == "hidden":
                mask[len(question) :, len(start) : len(question)] = False
            scores = model(torch.tensor([ids]), mask=mask[None, None], last_only=True)
            name, guess = tokenizer.encode(f" {fact.x}")[0], scores.argmax().item()
            repeated[key].append(guess == name)
            if key == "visible" and guess != name:
                begin = world.upper_first(before)
                others.append(f"What is {fact.noun}? {begin} -> {tokenizer.decode([guess])!r}")
    print("Visible names that are not repeated:", *others[:10], sep="\n")
    return repeated


def show_distances(hs: int) -> float:
    """Print the dot product of a rotated query and key at several positions and distances. Returns
    the greatest difference at equal distance."""
    torch.manual_seed(0)
    cos, sin = rotary_cos_sin(N_POSITIONS, hs)
    rotated = []
    for x in (torch.randn(hs), torch.randn(hs)):
        x = x.expand(1, N_POSITIONS, 1, hs)
        rotated.append(apply_rotary(x, cos[None, :, None], sin[None, :, None])[0, :, 0])  # (T, hs)
    scores = rotated[0] @ rotated[1].T  # (T, T): query at its row's position, key at its column's
    distances = (0, 1, 2, 5, 10)
    print("distance   " + "".join(f"{d:>8}" for d in distances))
    for p in (20, 21, 50, 120):
        row = "".join(f"{scores[p, p - d].item():>8.3f}" for d in distances)
        print(f"query at {p:>3}" + row)
    diagonals = [scores.diagonal(-d) for d in range(100)]
    return max((diagonal.max() - diagonal.min()).item() for diagonal in diagonals)


def show_losses(model, tokenizer, text: str) -> float:
    """Print the probability and the loss of every token of a text. Returns by how much their sum
    differs from the model's own loss."""
    line = torch.tensor([[tokenizer.eos_id] + tokenizer.encode(text)])
    targets = line[0, 1:]
    p = model(line[:, :-1])[0].softmax(-1).gather(1, targets[:, None])[:, 0]  # (T,)
    losses = (-p.log()).tolist()
    pieces = [tokenizer.decode([i]) for i in targets.tolist()]
    for piece, share, loss in zip(pieces, p.tolist(), losses):
        print(f"{piece!r:<12} p {share:6.3f}   loss {loss:6.3f}")
    whole = model(line[:, :-1], line[:, 1:]).item()
    print(f"sum {sum(losses):.4f}, the project's loss {whole:.4f}")
    print(f"Found: the costliest token is {pieces[losses.index(max(losses))]!r}.")
    return abs(whole - sum(losses))
