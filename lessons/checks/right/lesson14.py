"""Right answers to the exercises of lesson 14 in other forms than the solution's."""

RIGHT = {
    "prefer": [
        """
def prefer(row, a, b):
    import world
    def rank(text):
        good = world.check(row.task, row.turns[0].output, text)
        return (0, len(text.split())) if good else (1, 0)
    if rank(a) == rank(b):
        return None
    return tuple(sorted((a, b), key=rank))
""",
        """
def prefer(row, a, b):
    import world
    good = [text for text in (a, b) if world.check(row.task, row.turns[0].output, text)]
    if len(good) == 1:
        return [good[0], b if good[0] == a else a]
    if len(good) == 2 and len(a.split()) != len(b.split()):
        return sorted([a, b], key=lambda text: len(text.split()))
""",
    ],
    "answer_logps": [
        """
def answer_logps(logits, targets):
    loss = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="none"
    )
    return -loss.sum(-1)
""",
        """
def answer_logps(logits, targets):
    total = []
    for row, wanted in zip(logits, targets):
        supervised = wanted != IGNORE
        total.append(
            row[supervised]
            .log_softmax(-1)[torch.arange(int(supervised.sum())), wanted[supervised]]
            .sum()
        )
    return total
""",
    ],
    "dpo_loss": [
        """
def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
    margin = beta * (chosen - ref_chosen) - beta * (rejected - ref_rejected)
    return torch.nn.functional.softplus(-margin).mean()
""",
        """
def dpo_loss(c, r, rc, rr, beta):
    margin = beta * (c - rc - r + rr)
    return torch.logaddexp(torch.zeros_like(margin), -margin).sum() / len(margin)
""",
    ],
    "dpo_step": [
        """
def dpo_step(model, optimizer, logps_of, before, loss_of):
    optimizer.zero_grad(set_to_none=True)
    now = logps_of(model)
    n = len(now) // 2
    loss_of(now[:n], now[n:], before[:n], before[n:]).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    change = now.detach() - before
    return change[:n].mean().item(), change[n:].mean().item()
""",
        """
def dpo_step(model, optimizer, logps_of, before, loss_of):
    for p in model.parameters():
        p.grad = None
    now = logps_of(model)
    loss = loss_of(*now.chunk(2), *before.chunk(2))
    loss.backward()
    norm = sum((p.grad**2).sum() for p in model.parameters()) ** 0.5
    for p in model.parameters():
        p.grad = p.grad / max(1.0, float(norm))
    optimizer.step()
    return [x.item() for x in (now - before).view(2, -1).mean(1)]
""",
    ],
}
