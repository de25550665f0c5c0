"""Right answers to the exercises of lesson 8 in other forms than the solution's."""

RIGHT = {
    "at_equal_forgetting": [
        """
def at_equal_forgetting(rises, rights, start, rise):
    points = sorted([(0.0, start), *zip(rises, rights)])
    best = [max(y for x, y in points if x <= limit) for limit, _ in points]
    for i in range(1, len(points)):
        left, right = points[i - 1][0], points[i][0]
        if rise <= right:
            return best[i - 1] + (best[i] - best[i - 1]) * (rise - left) / (right - left)
    return float(best[-1])
""",
        """
def at_equal_forgetting(rises, rights, start, rise):
    order = np.argsort(rises)
    xs = np.concatenate(([0.0], np.array(rises)[order]))
    ys = np.concatenate(([start], np.array(rights)[order]))
    return np.interp(rise, xs, np.maximum.accumulate(ys)).item()
""",
    ],
    "low_rank": [
        """
class LowRank(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        self.A = nn.Linear(linear.in_features, rank, bias=False)
        self.B = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.B.weight)

    def forward(self, x):
        return self.linear(x) + self.B(self.A(x)) * self.scale

    def merge(self):
        merged = copy.deepcopy(self.linear)
        merged.weight.data += self.scale * (self.B.weight @ self.A.weight).detach()
        return merged


low_rank = LowRank
""",
        """
class LowRank(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear, self.rank, self.alpha = linear, rank, alpha
        for p in linear.parameters():
            p.requires_grad = False
        self.A = nn.Parameter(torch.empty(rank, linear.in_features))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + self.alpha / self.rank * F.linear(F.linear(x, self.A), self.B)

    def merge(self):
        old = self.linear
        new = nn.Linear(old.in_features, old.out_features, bias=old.bias is not None)
        with torch.no_grad():
            new.weight.copy_(self.linear.weight + self.alpha / self.rank * self.B @ self.A)
            if new.bias is not None:
                new.bias.copy_(self.linear.bias)
        return new


def low_rank(linear, rank, alpha):
    return LowRank(linear, rank, alpha)
""",
        """
class LowRank(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear
        linear.requires_grad_(False)
        self.scale = alpha / rank
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) / math.sqrt(linear.in_features))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        thin = torch.einsum("...i,ri->...r", x, self.A)
        return self.linear(x) + self.scale * torch.einsum("...r,or->...o", thin, self.B)

    def merge(self):
        new = copy.deepcopy(self.linear)
        new.weight = nn.Parameter(self.linear.weight + self.scale * torch.matmul(self.B, self.A))
        return new


low_rank = LowRank
""",
    ],
    "inject": [
        """
def inject(model, names, wrap):
    for p in model.parameters():
        p.requires_grad = False
    count = 0
    for path, child in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if name in names and isinstance(child, nn.Linear):
            setattr(model.get_submodule(parent), name, wrap(child))
            count += 1
    return count
""",
        """
def inject(model, names, wrap):
    model.requires_grad_(False)

    def walk(module):
        count = 0
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and name in names:
                setattr(module, name, wrap(child))
                count += 1
            else:
                count += walk(child)
        return count

    return walk(model)
""",
    ],
    "training_bytes": [
        """
def training_bytes(model):
    weights = trained = 0
    for p in model.parameters():
        weights += p.nbytes
        trained += p.nbytes if p.requires_grad else 0
    return [weights, trained, 2 * trained]
""",
        """
def training_bytes(model):
    sizes = [(p.numel() * p.element_size(), p.requires_grad) for p in model.parameters()]
    trained = sum(size for size, learns in sizes if learns)
    return sum(size for size, _ in sizes), trained, trained + trained
""",
    ],
}
