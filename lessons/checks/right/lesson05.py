"""Right answers to the exercises of lesson 5 in other forms than the solution's."""

RIGHT = {
    "where_to_stop": [
        """
def where_to_stop(losses, patience):
    best_loss, best_epoch, waited = float("inf"), 0, 0
    for epoch in range(len(losses)):
        if losses[epoch] < best_loss:
            best_loss, best_epoch, waited = losses[epoch], epoch, 0
        else:
            waited += 1
        if waited == patience:
            return best_epoch
    return best_epoch
""",
        """
def where_to_stop(losses, patience):
    best = 0
    while True:
        later = [e for e in range(best + 1, len(losses))[:patience] if losses[e] < losses[best]]
        if not later:
            return best
        best = later[0]
""",
    ],
    "tune_loop": [
        """
def tune_loop(step, examples, epochs, batch_size, pad, on_epoch):
    for done in range(1, epochs + 1):
        total, n = 0.0, 0
        for rows in epoch_batches(examples, batch_size, seed=100 + done):
            inputs, targets = collate(rows, pad)
            total += step(inputs, targets)
            n += 1
        on_epoch(done, total / n)
""",
        """
import random


def tune_loop(step, examples, epochs, batch_size, pad, on_epoch):
    rng = random.Random(1)
    for epoch in range(epochs):
        order = rng.sample(examples, len(examples))
        starts = range(0, len(order), batch_size)
        losses = [step(*collate(order[i : i + batch_size], pad)) for i in starts]
        on_epoch(epoch + 1, torch.tensor(losses).mean())
""",
    ],
    "sft_step": [
        """
def sft_step(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    logits = model(inputs)
    loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=IGNORE)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
        """
def sft_step(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = model(inputs, targets) / max(1, (targets != IGNORE).sum().item())
    loss.backward()
    optimizer.step()
    return loss.item()
""",
        """
def sft_step(model, optimizer, inputs, targets):
    if (targets == IGNORE).all():
        return 0.0
    logits = model(inputs)
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE
    )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return float(loss)
""",
        """
def sft_step(model, optimizer, inputs, targets):
    model.train()
    loss = model(inputs, targets) / targets.ne(IGNORE).sum().clamp(min=1)
    loss.backward()
    optimizer.step()
    for p in model.parameters():
        p.grad = None
    return loss.detach().item()
""",
    ],
    "answer_logprobs": [
        """
def answer_logprobs(model, prompt, answer):
    ids = torch.tensor(prompt + answer)
    logits = model(ids[None, :-1])[0, len(prompt) - 1 :]
    return (
        -torch.nn.functional.cross_entropy(logits, ids[len(prompt) :], reduction="none")
    ).tolist()
""",
        """
def answer_logprobs(model, prompt, answer):
    out = []
    for i, token in enumerate(answer):
        p = model(torch.tensor([prompt + answer[:i]]))[0, -1].softmax(-1)
        out.append(math.log(p[token].item()))
    return out
""",
        """
def answer_logprobs(model, prompt, answer):
    logp = model(torch.tensor([[*prompt, *answer]])).log_softmax(-1)
    at = torch.arange(len(answer))
    return logp[0, at + len(prompt) - 1, torch.tensor(answer)]
""",
    ],
    "hide_end": [
        """
def hide_end(examples, end):
    new = []
    for ids, mask in examples:
        mask = list(mask)
        for i, token in enumerate(ids):
            if token == end:
                mask[i] = 0
        new.append((ids, mask))
    return new
""",
        """
def hide_end(examples, end):
    return tuple(
        [list(ids), [bool(m and t != end) for t, m in zip(ids, mask)]] for ids, mask in examples
    )
""",
    ],
}
