"""Plausible wrong answers to the exercises of lesson 15, and what the check must say to each."""

WRONG = {
    "summed_loss": [
        (
            """
def summed_loss(hidden, head, targets):
    logits = F.linear(hidden, head)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")
""",
            "pick the hidden states first",
        ),
        (
            """
def summed_loss(hidden, head, targets):
    supervised = targets != IGNORE
    return F.cross_entropy(F.linear(hidden[supervised], head), targets[supervised])
""",
            "that is the mean",
        ),
        (
            """
def summed_loss(hidden, head, targets):
    hidden, targets = hidden[:, :-1], targets[:, 1:]
    supervised = targets != IGNORE
    return F.cross_entropy(F.linear(hidden[supervised], head), targets[supervised], reduction="sum")
""",
            "do not shift them again",
        ),
        (
            """
def summed_loss(hidden, head, targets):
    supervised = targets != IGNORE
    return F.cross_entropy(F.linear(hidden[supervised], head), targets[supervised], reduction="none")
""",
            "return one number",
        ),
        (
            """
def summed_loss(hidden, head, targets):
    targets[targets == IGNORE] = 0
    return F.cross_entropy(F.linear(hidden, head).flatten(0, 1), targets.flatten(), reduction="sum")
""",
            "the targets that were given have changed",
        ),
    ],
    "pad_left": [
        (
            """
def pad_left(prompts, pad):
    longest = max(map(len, prompts))
    ids = [prompt + [pad] * (longest - len(prompt)) for prompt in prompts]
    return ids, [[1] * len(prompt) + [0] * (longest - len(prompt)) for prompt in prompts]
""",
            "the padding is on the right",
        ),
        (
            """
def pad_left(prompts, pad):
    longest = max(map(len, prompts))
    ids = [[pad] * (longest - len(prompt)) + prompt for prompt in prompts]
    return ids, [[int(token != pad) for token in row] for row in ids]
""",
            "count, do not compare",
        ),
        (
            """
def pad_left(prompts, pad):
    longest = max(map(len, prompts))
    ids = [[pad] * (longest - len(prompt)) + prompt for prompt in prompts]
    return ids, [[1] * (longest - len(prompt)) + [0] * len(prompt) for prompt in prompts]
""",
            "seen is 1 on the prompt",
        ),
        (
            """
def pad_left(prompts, pad):
    longest = max(map(len, prompts))
    for prompt in prompts:
        while len(prompt) < longest:
            prompt.insert(0, pad)
    return prompts, [[1] * longest for _ in prompts]
""",
            "a prompt that was given has changed",
        ),
        (
            """
def pad_left(prompts, pad):
    longest = max(map(len, prompts))
    return [[pad] * (longest - len(prompt)) + prompt for prompt in prompts]
""",
            "return two things",
        ),
    ],
    "first_part": [
        (
            """
def first_part(text):
    return text.split("\\n\\n")[0].strip()
""",
            "empty lines at the beginning",
        ),
        (
            """
def first_part(text):
    return text.strip().split("\\n\\n")[0].strip()
""",
            "a header without an empty line",
        ),
        (
            """
def first_part(text):
    return text.strip().split("\\n")[0].split("#")[0].strip()
""",
            "one newline does not end an answer",
        ),
        (
            """
def first_part(text):
    return text.strip().split("\\n\\n")[0].split("#")[0].strip()
""",
            "nothing but a space",
        ),
        (
            """
def first_part(text):
    return text.strip().split("#")[0]
""",
            "an empty line",
        ),
    ],
}
