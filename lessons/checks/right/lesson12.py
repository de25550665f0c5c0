"""Right answers to the exercises of lesson 12 in other forms than the solution's."""

RIGHT = {
    "chatml": [
        """
def chatml(system, turns):
    text = f"<|im_start|>system\\n{system}<|im_end|>\\n" if system else ""
    for question, answer in turns:
        text += f"<|im_start|>user\\n{question}<|im_end|>\\n<|im_start|>assistant\\n"
        text += f"{answer}<|im_end|>\\n" if answer is not None else ""
    return text.removesuffix("\\n") if turns[-1][1] is not None else text
""",
        """
def chatml(system, turns):
    messages = [("system", system)] if system else []
    for question, answer in turns:
        messages += [("user", question), ("assistant", answer)]
    texts = []
    for role, text in messages:
        head = "<|im_start|>" + role + "\\n"
        texts.append(head if text is None else head + text + "<|im_end|>")
    return "\\n".join(texts)
""",
    ],
    "conversation": [
        """
def conversation(turns, eos):
    positions = []
    for prompt, answer in turns:
        positions += [(token, False) for token in prompt]
        if answer is not None:
            positions += [(token, True) for token in answer] + [(eos, True)]
    ids, mask = zip(*positions)
    return ids, mask
""",
        """
def conversation(turns, eos):
    if not turns:
        return [], []
    (prompt, answer), *later = turns
    ids, mask = list(prompt), [0 for _ in prompt]
    if answer is not None:
        ids, mask = ids + list(answer) + [eos], mask + [1] * (len(answer) + 1)
    more, its_mask = conversation(later, eos)
    return [ids + more, mask + its_mask]
""",
        """
def conversation(turns, eos):
    ids, mask = torch.tensor([], dtype=torch.long), torch.tensor([], dtype=torch.long)
    for prompt, answer in turns:
        reply = torch.tensor([] if answer is None else answer + [eos], dtype=torch.long)
        ids = torch.cat([ids, torch.tensor(prompt), reply])
        mask = torch.cat(
            [
                mask,
                torch.zeros(len(prompt), dtype=torch.long),
                torch.ones(len(reply), dtype=torch.long),
            ]
        )
    return ids.tolist(), mask.tolist()
""",
    ],
    "encode_special": [
        """
def encode_special(pieces, tokenizer, special):
    # the project's encode for each piece that is no header
    ids, mask = [], []
    for piece in pieces:
        text, kind = piece
        if kind == "frame" and text in special:
            ids.append(special[text])
            mask.append(0)
        else:
            part, its_mask, _ = encode([piece], tokenizer, 10**6)
            ids.extend(part)
            mask.extend(its_mask)
    return ids, mask
""",
        """
def encode_special(pieces, tokenizer, special):
    def tokens(text, kind):
        if kind == "answer":
            return [*tokenizer.encode(text), tokenizer.eos_id]
        if kind == "frame":
            return [special[text]] if special.get(text) is not None else tokenizer.encode(text)
        return tokenizer.encode(text)

    positions = [(token, kind == "answer") for text, kind in pieces for token in tokens(text, kind)]
    return tuple(token for token, _ in positions), tuple(supervised for _, supervised in positions)
""",
        """
def encode_special(pieces, tokenizer, special):
    headers = list(special.items())
    ids, mask = [], []
    for text, kind in pieces:
        number = [i for header, i in headers if header == text and kind == "frame"]
        part = number or list(tokenizer.encode(text))
        if kind == "answer":
            part.append(tokenizer.eos_id)
        ids.extend(part)
        mask.extend(1 if kind == "answer" else 0 for _ in part)
    return [ids, mask]
""",
    ],
    "first_difference": [
        """
def first_difference(ids, mask, prompt):
    import itertools
    n = mask.index(1)
    for i, (one, other) in enumerate(itertools.zip_longest(ids[:n], prompt)):
        if one != other:
            return i
""",
        """
def first_difference(ids, mask, prompt):
    end = next(i for i, supervised in enumerate(mask) if supervised)
    i = 0
    while i < end and i < len(prompt) and ids[i] == prompt[i]:
        i += 1
    return None if i == end == len(prompt) else i
""",
        """
def first_difference(ids, mask, prompt):
    expected = ids[: mask.index(1)]
    if list(expected) == list(prompt):
        return None
    return next(n for n in range(len(expected) + 1) if expected[: n + 1] != prompt[: n + 1])
""",
    ],
}
