"""Right answers to the exercises of lesson 1 in other forms than the solution's."""

RIGHT = {
    "read_windows": [
        """
def read_windows(stream, step, batch_size, window):
    n = (len(stream) - 1) // window
    first = (step * batch_size + torch.arange(batch_size)) % n * window
    rows = stream[first[:, None] + torch.arange(window + 1)]
    return rows[:, :-1], rows[:, 1:]
""",
        """
def read_windows(stream, step, batch_size, window):
    n = (len(stream) - 1) // window
    x, y = stream[: n * window].view(n, window), stream[1 : n * window + 1].view(n, window)
    rows = [(step * batch_size + i) % n for i in range(batch_size)]
    return [x[rows], y[rows]]
""",
    ],
    "continue_greedily": [
        """
def continue_greedily(model, ids, n):
    seen = list(ids)
    for _ in range(n):
        logits = model(torch.tensor([seen[-model.config.block_size:]]))
        seen.append(int(logits[0, -1].argmax()))
    return seen[len(ids):]
""",
        """
@torch.no_grad()
def continue_greedily(model, ids, n):
    x, new = torch.tensor([ids]), []
    model.eval()
    for _ in range(n):
        best = model(x)[:, -1].softmax(-1).argmax(-1, keepdim=True)
        x = torch.cat((x, best), 1)
        new.append(best.item())
    return tuple(new)
""",
    ],
    "completes": [
        (
            "def completes(c, v):\n    import re\n    return bool(re.match(r'\\s*' + re.escape(v) +"
            " r'(?!\\w)', c))"
        ),
        (
            "def completes(c, v):\n    t = c.strip()\n    return t == v or (t[:len(v)] == v and not"
            " t[len(v)].isalnum())"
        ),
    ],
}
