"""Right answers to the exercises of lesson 11 in other forms than the solution's."""

RIGHT = {
    "with_temperature": [
        """
def with_temperature(logits, temperature):
    if not temperature:
        p = torch.zeros_like(logits)
        p[torch.arange(len(logits)), logits.argmax(-1)] = 1
        return p
    scores = (logits - logits.max(-1, keepdim=True).values) / temperature
    return scores.exp() / scores.exp().sum(-1, keepdim=True)
""",
        """
def with_temperature(logits, temperature):
    rows = []
    for row in logits:
        if temperature == 0:
            rows.append(torch.eye(len(row))[row.argmax()])
        else:
            rows.append(F.softmax(row / temperature, dim=0))
    return torch.stack(rows)
""",
        """
def with_temperature(logits, temperature):
    if temperature > 0:
        return logits.double().div(temperature).log_softmax(1).exp()
    return torch.zeros_like(logits).scatter_(1, logits.argmax(1, keepdim=True), 1.0)
""",
    ],
    "top_k": [
        """
def top_k(probabilities, k):
    which = probabilities.argsort(-1, descending=True)[:, k:]
    return probabilities.scatter(-1, which, 0.0)
""",
        """
def top_k(probabilities, k):
    out = torch.zeros_like(probabilities)
    for b, row in enumerate(probabilities.tolist()):
        for i in sorted(range(len(row)), key=row.__getitem__)[-k:]:
            out[b, i] = probabilities[b, i]
    return out
""",
        """
def top_k(probabilities, k):
    rank = probabilities.argsort(-1, descending=True).argsort(-1)
    return torch.where(rank < k, probabilities, 0)
""",
    ],
    "top_p": [
        """
def top_p(probabilities, p):
    ordered, positions = probabilities.sort(-1, descending=True)
    total = ordered.cumsum(-1)
    before = F.pad(total[:, :-1], (1, 0))
    keep = torch.empty_like(before, dtype=torch.bool).scatter(-1, positions, before <= p)
    return probabilities * keep
""",
        """
def top_p(probabilities, p):
    out = torch.zeros_like(probabilities)
    for old, new in zip(probabilities, out):
        total = 0.0
        for i in old.argsort(descending=True).tolist():
            new[i] = old[i]
            total += old[i].item()
            if total >= p:
                break
    return out
""",
        """
def top_p(probabilities, p):
    rows = []
    for row in probabilities:
        order = row.argsort(descending=True)
        n = int((row[order].cumsum(0) < p).sum()) + 1
        new = row.clone()
        new[order[n:]] = 0
        rows.append(new)
    return torch.stack(rows)
""",
    ],
    "decode": [
        """
from model import KVCache


def decode(model, ids, n):
    B, P = ids.shape
    cache = KVCache(model, B, P + n)
    logits = model(ids, positions=torch.arange(P).expand(B, P), cache=cache)[:, -1]
    tokens, scores = [logits.argmax(-1)], [logits]
    for i in range(n - 1):
        positions = torch.full((B, 1), P + i)
        logits = model(tokens[-1].unsqueeze(1), positions=positions, cache=cache)[:, -1]
        tokens.append(logits.argmax(-1))
        scores.append(logits)
    return [torch.stack(tokens, dim=1), torch.stack(scores, dim=1)]
""",
        """
from model import KVCache


def decode(model, ids, n):
    cache, at = KVCache(model, len(ids), 40), 0
    tokens = torch.zeros(len(ids), 0, dtype=torch.long)
    scores = []
    while tokens.shape[1] < n:
        newest = tokens[:, -1:] if at else ids
        where = torch.tensor([list(range(at, at + newest.shape[1]))])
        scores.append(model(newest, None, where, None, cache, last_only=True))
        tokens = torch.cat([tokens, scores[-1].topk(1).indices], dim=1)
        at += newest.shape[1]
    return tokens, torch.cat([one[:, None] for one in scores], 1)
""",
        """
from model import KVCache


def decode(model, ids, n):
    B, P = ids.shape
    cache = KVCache(model, B, P + n)
    tokens, scores = torch.zeros(B, n, dtype=torch.long), None
    logits = model(
        ids, cache=cache, last_only=True
    )  # a prompt begins at position 0, as without `positions`
    for i in range(n):
        scores = torch.zeros(B, n, logits.shape[-1]) if scores is None else scores
        scores[:, i], tokens[:, i] = logits, logits.argmax(-1)
        logits = model(
            tokens[:, i : i + 1], positions=torch.tensor([[P + i]]), cache=cache, last_only=True
        )
    return tokens, scores
""",
    ],
    "n_found": [
        """
def n_found(texts, right):
    return len(set(texts) & set(right))
""",
        """
def n_found(texts, right):
    return sum(story in texts for story in right)
""",
    ],
    "best_of": [
        """
def best_of(questions, candidates, reward, above):
    out = []
    for question, answers in zip(questions, candidates):
        best, highest = None, above
        for answer in answers:
            if (r := reward(question, answer)) > highest:
                best, highest = answer, r
        out.append(best)
    return out
""",
        """
def best_of(questions, candidates, reward, above):
    result = ()
    for i in range(len(questions)):
        good = [answer for answer in candidates[i] if reward(questions[i], answer) > above]
        result += (
            sorted(good, key=lambda answer: -reward(questions[i], answer))[0] if good else None,
        )
    return result
""",
        """
def best_of(questions, candidates, reward, above):
    out = []
    for question, answers in zip(questions, candidates):
        rewards = torch.tensor([reward(question, answer) for answer in answers])
        first = rewards.tolist().index(rewards.max().item())
        out.append(answers[first] if rewards[first] > above else None)
    return out
""",
    ],
    "generate_all": [
        """
from model import KVCache


def generate_all(model, prompts, eos, max_new):
    B, P = len(prompts), max(len(prompt) for prompt in prompts)
    real = torch.zeros(B, P + max_new, dtype=torch.bool)
    ids = torch.zeros(B, P, dtype=torch.long)
    for b, prompt in enumerate(prompts):
        ids[b, P - len(prompt) :] = torch.tensor(prompt)
        real[b, P - len(prompt) :] = True
    positions = (real.cumsum(-1) - 1).clamp(min=0)  # (B, S)
    S = P + max_new
    mask = real[:, None, :] & torch.ones(S, S, dtype=torch.bool).tril() | torch.eye(
        S, dtype=torch.bool
    )  # (B, S, S)
    cache, tokens, start, stop = KVCache(model, B, S), [], 0, P
    while len(tokens) < max_new:
        logits = model(
            ids,
            positions=positions[:, start:stop],
            mask=mask[:, None, start:stop, :stop],
            cache=cache,
        )[:, -1]
        tokens.append(logits.argmax(-1))
        if (torch.stack(tokens, 1) == eos).any(1).all():
            break
        ids, start, stop = tokens[-1][:, None], stop, stop + 1
    rows = torch.stack(tokens, 1).tolist()
    return [(row[: row.index(eos)], True) if eos in row else (row, False) for row in rows]
""",
        """
from model import KVCache


def generate_all(model, prompts, eos, max_new):
    # rows that have ended leave the batch
    left, P = [max(map(len, prompts)) - len(prompt) for prompt in prompts], max(map(len, prompts))
    answers, stopped, going = (
        [[] for _ in prompts],
        [False for _ in prompts],
        list(range(len(prompts))),
    )
    cache = KVCache(model, len(prompts), P + max_new)
    ids, start = torch.tensor([[0] * n + prompt for n, prompt in zip(left, prompts)]), 0
    for step in range(max_new):
        stop = P + step
        at = torch.arange(start, stop)
        mask = torch.stack(
            [(torch.arange(stop) >= left[b]) & (torch.arange(stop) <= at[:, None]) for b in going]
        )
        mask |= torch.arange(stop) == at[:, None]
        positions = torch.stack([(at - left[b]).clamp(min=0) for b in going])
        chosen = (
            model(ids, positions=positions, mask=mask[:, None], cache=cache, last_only=True)
            .argmax(-1)
            .tolist()
        )
        for b, token in zip(going, chosen):
            if token == eos:
                stopped[b] = True
            else:
                answers[b].append(token)
        if all(stopped):
            break
        stay = torch.tensor([not stopped[b] for b in going])
        cache.keep(stay)
        ids = torch.tensor([[token] for b, token in zip(going, chosen) if not stopped[b]])
        going, start = [b for b in going if not stopped[b]], stop
    return [[answer, end] for answer, end in zip(answers, stopped)]
""",
    ],
}
