"""Plausible wrong answers to the exercises of lesson 12, each with words its check must say."""

CHATML = r"""def chatml(system, turns):
    text = %s
    for question, answer in turns:
        text += "<|im_start|>user\n" + question + "<|im_end|>\n<|im_start|>assistant\n"
        %s
    return text%s
"""
SYSTEM = r'"<|im_start|>system\n" + system + "<|im_end|>\n"'
IF_SYSTEM = f"({SYSTEM}) * bool(system)"
ANSWER = r'text += answer + "<|im_end|>\n" if answer is not None else ""'

WRONG = {
    "chatml": [
        (CHATML % (IF_SYSTEM, r'text += f"{answer}<|im_end|>\n"', ""), "is not written yet"),
        (CHATML % (SYSTEM, ANSWER, ""), "no header for one"),
        (CHATML % ("''", ANSWER, ".removesuffix('\\n') if answer else text"), "prompt is missing"),
        (CHATML % (IF_SYSTEM, 'text += (answer or "") + "<|im_end|>"', ""), "must not be ended"),
        (CHATML % (IF_SYSTEM, 'text += answer or ""', ""), "times <|im_end|>"),
        (CHATML % (IF_SYSTEM, ANSWER, ".strip()"), "ends in a newline"),
    ],
    "conversation": [
        (
            """
def conversation(turns, eos):
    ids, mask = [], []
    for i, (prompt, answer) in enumerate(turns):
        reply = [] if answer is None else [*answer, eos]
        ids += [*prompt, *reply]
        mask += [0] * len(prompt) + [int(i == len(turns) - 1)] * len(reply)
    return ids, mask
""",
            "not the last one alone",
        ),
        (
            """
def conversation(turns, eos):
    ids, mask = [], []
    for prompt, answer in turns:
        ids += [*prompt, *(answer or [])]
        mask += [0] * len(prompt) + [1] * len(answer or [])
    return ids + [eos], mask + [1]
""",
            "not only the last",
        ),
        (
            """
def conversation(turns, eos):
    ids, mask = [], []
    for prompt, answer in turns:
        ids += [*prompt, *(answer or []), eos]
        mask += [0] * len(prompt) + [1] * (len(answer or []) + 1)
    return ids, mask
""",
            "no answer yet",
        ),
        (
            """
def conversation(turns, eos):
    ids, mask = [], []
    for prompt, answer in turns:
        reply = [] if answer is None else [*answer, eos]
        ids += [*prompt, *reply]
        mask += [0] * len(prompt) + [1] * (len(reply) - 1) + [0] * (len(reply) > 0)
    return ids, mask
""",
            "part of what the assistant says",
        ),
        (
            """
def conversation(turns, eos):
    ids, mask = [], []
    for i, (prompt, answer) in enumerate(turns):
        reply = [] if answer is None else [*answer, eos]
        ids += [*prompt, *reply]
        mask += [int(i > 0)] * len(prompt) + [1] * len(reply)
    return ids, mask
""",
            "is only read",
        ),
        (
            """
def conversation(turns, eos):
    ids, mask = [], []
    for prompt, answer in turns:
        ids += prompt + answer + [eos]
        mask += [0] * len(prompt) + [1] * (len(answer) + 1)
    return ids, mask
""",
            "still to be given",
        ),
    ],
    "encode_special": [
        (
            """
def encode_special(pieces, tokenizer, special):
    ids, mask = [], []
    for text, kind in pieces:
        part = [special[text]] if text in special else tokenizer.encode(text)
        part = part + [tokenizer.eos_id] * (kind == "answer")
        ids += part
        mask += [int(kind == "answer")] * len(part)
    return ids, mask
""",
            "a text of the user became a header",
        ),
        (
            """
def encode_special(pieces, tokenizer, special):
    text = "".join(text for text, kind in pieces)
    ids = []
    while text:
        for key, i in special.items():
            if text.startswith(key):
                ids.append(i)
                text = text[len(key):]
                break
        else:
            ids += tokenizer.encode(text[0])
            text = text[1:]
    return ids + [tokenizer.eos_id], [0] * len(ids) + [1]
""",
            "the mask is wrong",
        ),
        (
            """
def encode_special(pieces, tokenizer, special):
    ids, mask = [], []
    for text, kind in pieces:
        part = [special[text]] if kind == "frame" and text in special else tokenizer.encode(text)
        ids += part
        mask += [int(kind == "answer")] * len(part)
    return ids, mask
""",
            "the eos after an answer is missing",
        ),
        (
            """
def encode_special(pieces, tokenizer, special):
    ids, mask = [], []
    for text, kind in pieces:
        if kind == "frame":
            part = [special[text]] if text in special else []
        else:
            part = tokenizer.encode(text) + [tokenizer.eos_id] * (kind == "answer")
        ids += part
        mask += [int(kind == "answer")] * len(part)
    return ids, mask
""",
            "blank lines too",
        ),
        (
            """
def encode_special(pieces, tokenizer, special):
    ids, mask = [], []
    for text, kind in pieces:
        part = tokenizer.encode(text) + [tokenizer.eos_id] * (kind == "answer")
        ids += part
        mask += [int(kind == "answer")] * len(part)
    return ids, mask
""",
            "becomes one id",
        ),
        (
            """
def encode_special(pieces, tokenizer, special):
    ids, mask = [], []
    for text, kind in pieces:
        part = [special[text]] if kind == "frame" and text in special else tokenizer.encode(text)
        ids += part + [tokenizer.eos_id] * (kind == "answer")
        mask += [int(kind == "answer")] * len(part) + [0] * (kind == "answer")
    return ids, mask
""",
            "the mask is wrong",
        ),
    ],
    "first_difference": [
        (
            """
def first_difference(ids, mask, prompt):
    for i, (one, other) in enumerate(zip(ids, prompt)):
        if one != other:
            return i
    return None
""",
            "it parts where it ends",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    expected = ids[: mask.index(1)]
    return next((i for i, (a, b) in enumerate(zip(expected, prompt)) if a != b), None)
""",
            "it parts where it ends",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    for i, token in enumerate(ids):
        if i >= len(prompt) or token != prompt[i]:
            return i
    return None
""",
            "the answer is not a part",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    expected = ids[: mask.index(1)]
    return expected != prompt
""",
            "not True or False",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    expected = [token for token, m in zip(ids, mask) if not m]
    for i, (one, other) in enumerate(zip(expected, prompt)):
        if one != other:
            return i
    return None if len(expected) == len(prompt) else min(len(expected), len(prompt))
""",
            "first supervised token",
        ),
        (
            """
def first_difference(ids, mask, prompt):
    expected = ids[: mask.index(1)]
    if len(expected) != len(prompt):
        return min(len(expected), len(prompt))
    return max((i for i, (a, b) in enumerate(zip(expected, prompt)) if a != b), default=None)
""",
            "the first is asked for",
        ),
    ],
}
