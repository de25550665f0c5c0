"""Plausible wrong answers to the exercises of lesson 5, each with words its check must say."""

LOOP = """
def tune_loop(step, examples, epochs, batch_size, pad, on_epoch):
    {before}
    for epoch in range(epochs):
        {start}
        for batch in {batches}:
            {one}
        {end}
"""
LOOP_PARTS = dict(
    before="pass",
    start="losses = []",
    batches="epoch_batches(examples, batch_size, epoch)",
    one="losses.append(step(*collate(batch, pad)))",
    end="on_epoch(epoch + 1, sum(losses) / len(losses))",
)


def loop(**changed):
    return LOOP.format(**LOOP_PARTS | changed)


STOP = """
def where_to_stop(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss {better}:
            best = epoch
        elif {end}:
            break
    return {result}
"""
STOP_PARTS = dict(better="< losses[best]", end="epoch - best >= patience", result="best")


def stop(**changed):
    return STOP.format(**STOP_PARTS | changed)


WRONG = {
    "where_to_stop": [
        (stop(end="False"), "training had ended"),
        (stop(end="epoch - best > patience"), "training had ended"),
        (stop(result="epoch"), "the lowest loss is the best epoch"),
        (stop(result="losses[best]"), "not its loss"),
        (stop(better="<= losses[best]"), "an equal loss"),
        (stop(better="< losses[epoch - 1]"), "not with the one before"),
    ],
    "tune_loop": [
        (loop(batches="epoch_batches(examples, batch_size, 0)"), "the same order"),
        (loop(end="on_epoch(epoch, sum(losses) / len(losses))"), "that are done"),
        (loop(end="on_epoch(epoch + 1, losses[-1])"), "not the last"),
        (loop(end="on_epoch(epoch + 1, sum(losses))"), "not their sum"),
        (loop(before="losses = []", start="pass"), "begin each epoch with an empty list"),
        (loop(end="pass"), "on_epoch was not called"),
        (
            loop(start="losses = []; on_epoch(epoch + 1, 0)", end="pass"),
            "on_epoch was not called after",
        ),
        (loop(one="losses.append(step(batch, pad))"), "step takes two tensors"),
        (
            loop(batches="epoch_batches(examples, batch_size, epoch)[:-1]"),
            "the last batch may be smaller",
        ),
        (
            loop(batches="[examples[i : i + batch_size] for i in range(0, len(examples), 2)]"),
            "the same order",
        ),
    ],
    "sft_step": [
        (
            """
def sft_step(model, optimizer, inputs, targets):
    loss = model(inputs, targets) / targets.numel()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
""",
            "divided by all positions",
        ),
        (
            """
def sft_step(model, optimizer, inputs, targets):
    loss = model(inputs, targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
""",
            "you returned the sum",
        ),
        (
            """
def sft_step(model, optimizer, inputs, targets):
    loss = model(inputs[:, :-1], targets[:, 1:]) / (targets[:, 1:] != IGNORE).sum()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
""",
            "already shifted",
        ),
        (
            """
def sft_step(model, optimizer, inputs, targets):
    loss = model(inputs, targets) / (targets != IGNORE).sum()
    loss.backward()
    optimizer.step()
    return loss.item()
""",
            "zero_grad() is missing",
        ),
        (
            """
def sft_step(model, optimizer, inputs, targets):
    loss = model(inputs, targets) / (targets != IGNORE).sum()
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()
""",
            "did not move",
        ),
        (
            """
def sft_step(model, optimizer, inputs, targets):
    loss = model(inputs, targets) / (targets != IGNORE).sum()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss
""",
            "use loss.item()",
        ),
        (
            """
def sft_step(model, optimizer, inputs, targets):
    total = model(inputs, targets)
    total.backward()
    optimizer.step()
    optimizer.zero_grad()
    return (total / (targets != IGNORE).sum()).item()
""",
            "another gradient",
        ),
    ],
    "answer_logprobs": [
        (
            """
def answer_logprobs(model, prompt, answer):
    logp = model(torch.tensor([prompt + answer]))[0].log_softmax(-1)
    return [logp[len(prompt) + i, token].item() for i, token in enumerate(answer)]
""",
            "off by one",
        ),
        (
            """
def answer_logprobs(model, prompt, answer):
    p = model(torch.tensor([prompt + answer]))[0].softmax(-1)
    return [p[len(prompt) - 1 + i, token].item() for i, token in enumerate(answer)]
""",
            "these are probabilities",
        ),
        (
            """
def answer_logprobs(model, prompt, answer):
    ids = prompt + answer
    logp = model(torch.tensor([ids]))[0].log_softmax(-1)
    return [logp[i, token].item() for i, token in enumerate(ids[1:])]
""",
            "keep the answer's only",
        ),
        (
            """
def answer_logprobs(model, prompt, answer):
    logp = model(torch.tensor([answer]))[0].log_softmax(-1)
    return [logp[i, token].item() for i, token in enumerate(answer[1:])]
""",
            "without the prompt",
        ),
        (
            """
def answer_logprobs(model, prompt, answer):
    logits = model(torch.tensor([prompt + answer]))[0]
    return [logits[len(prompt) - 1 + i, token].item() for i, token in enumerate(answer)]
""",
            "raw logits",
        ),
        (
            """
def answer_logprobs(model, prompt, answer):
    logp = model(torch.tensor([prompt + answer]))[0].log_softmax(-1)
    return sum(logp[len(prompt) - 1 + i, token].item() for i, token in enumerate(answer))
""",
            "one log p for each",
        ),
        (
            """
def answer_logprobs(model, prompt, answer):
    prompt += answer
    logp = model(torch.tensor([prompt]))[0].log_softmax(-1)
    at = len(prompt) - len(answer) - 1
    return [logp[at + i, token].item() for i, token in enumerate(answer)]
""",
            "changed the lists",
        ),
    ],
    "hide_end": [
        (
            """
def hide_end(examples, end):
    return [(ids, mask[:-1] + [0]) for ids, mask in examples]
""",
            "only the last eos",
        ),
        (
            """
def hide_end(examples, end):
    for ids, mask in examples:
        for i, token in enumerate(ids):
            if token == end:
                mask[i] = 0
    return examples
""",
            "changed the old examples",
        ),
        (
            """
def hide_end(examples, end):
    out = []
    for ids, mask in examples:
        pairs = [(token, m) for token, m in zip(ids, mask) if token != end]
        out.append(([token for token, _ in pairs], [m for _, m in pairs]))
    return out
""",
            "the ids changed",
        ),
        (
            """
def hide_end(examples, end):
    return [
        (ids, [0 if after == end else m for m, after in zip(mask, ids[1:] + [None])])
        for ids, mask in examples
    ]
""",
            "off by one",
        ),
        (
            """
def hide_end(examples, end):
    return [(ids, [int(token != end) for token in ids]) for ids, mask in examples]
""",
            "a prompt token became supervised",
        ),
        (
            """
def hide_end(examples, end):
    return [(ids, list(mask)) for ids, mask in examples]
""",
            "nothing was hidden",
        ),
    ],
}
