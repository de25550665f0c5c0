"""Right answers to the exercises of lesson 3 in other forms than the solution's."""

RIGHT = {
    "layer_norm": [
        """
def layer_norm(x, weight, bias):
    centered = x - x.mean(dim=-1, keepdim=True)
    size = torch.rsqrt(centered.pow(2).mean(dim=-1, keepdim=True) + 1e-5)
    return torch.addcmul(bias, centered * size, weight)
""",
        """
def layer_norm(x, weight, bias):
    variance, mean = torch.var_mean(x, dim=-1, unbiased=False)
    return ((x.mT - mean[..., None, :]) / (variance[..., None, :] + 1e-5) ** 0.5).mT * weight + bias
""",
    ],
    "block": [
        """
def block(x, norm_1, attention, norm_2, mlp):
    middle = x + attention(norm_1(x))
    return middle + mlp(norm_2(middle))
""",
        """
def block(x, norm_1, attention, norm_2, mlp):
    stream = x.clone()
    for norm, layer in ((norm_1, attention), (norm_2, mlp)):
        stream += layer(norm(stream))
    return stream
""",
    ],
    "attention": [
        """
def attention(q, k, v):
    T, hs = q.size()
    bias = torch.full((T, T), float("-inf")).triu(diagonal=1)
    weights = F.softmax(q @ k.transpose(0, 1) * hs ** -0.5 + bias, dim=1)
    return [weights, torch.matmul(weights, v)]
""",
        """
def attention(q, k, v):
    T, hs = q.shape
    weights = torch.zeros(T, T)
    for t in range(T):
        e = ((k[: t + 1] @ q[t]) / math.sqrt(hs)).exp()
        weights[t, : t + 1] = e / e.sum()
    return weights.tolist(), (weights @ v).tolist()
""",
        """
def attention(q, k, v):
    scores = torch.einsum("th,sh->ts", q, k) / q.shape[1] ** 0.5
    scores[torch.arange(len(q))[:, None] < torch.arange(len(q))] = -1e9
    weights = torch.softmax(scores, -1)
    return weights, torch.einsum("ts,sh->th", weights, v)
""",
    ],
    "first_change": [
        """
def first_change(model, ids, at):
    other = ids.detach().clone()
    other[0, at] = int(ids[0, at] == 0)
    a, b = model(ids)[0], model(other)[0]
    for t in range(ids.shape[1]):
        if not torch.allclose(a[t], b[t], atol=1e-5, rtol=0):
            return t
""",
        """
def first_change(model, ids, at):
    row = ids[0].tolist()
    row[at] = 1 if row[at] == 0 else 0
    distance = (model(ids) - model(torch.tensor([row]))).norm(dim=-1).squeeze(0)
    positions = [t for t, d in enumerate(distance.tolist()) if d > 1e-5]
    return min(positions) if positions else None
""",
    ],
    "turn": [
        """
def turn(x, position):
    hs = x.shape[0]
    half, out = hs // 2, x.clone()
    for i in range(hs // 4):
        angle = position * 100 ** (-4 * i / hs)
        out[i] = x[i] * math.cos(angle) - x[i + half] * math.sin(angle)
        out[i + half] = x[i] * math.sin(angle) + x[i + half] * math.cos(angle)
    return out
""",
        """
def turn(x, position):
    hs = len(x)
    i = torch.arange(hs // 2)
    angle = torch.where(i < hs // 4, position * 100.0 ** (-4 * i / hs), torch.tensor(0.0))
    z = torch.complex(x[: hs // 2], x[hs // 2 :]) * torch.polar(torch.ones(hs // 2), angle)
    return torch.cat([z.real, z.imag]).tolist()
""",
    ],
    "loss_at": [
        """
def loss_at(logits, target):
    top = logits.max()
    return float(top + torch.log(torch.exp(logits - top).sum()) - logits[target])
""",
        """
def loss_at(logits, target):
    z = logits.tolist()
    return math.log(sum(math.exp(a - max(z)) for a in z)) - (z[target] - max(z))
""",
    ],
}
