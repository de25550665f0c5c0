"""Right answers to the exercises of lesson 6 in other forms than the solution's: each check must accept them."""

RIGHT = {
    "copying": [
        """
def copying(tokenizer, said, asked):
    import re
    if any(mark in said for mark in ".!?;"):
        return [tokenizer.eos_id]
    if said == "":
        return [tokenizer.encode(word)[0] for word in ["The", "A", "Here"]]
    if ":" in said or "is" in re.findall(r"[A-Za-z]+", said):
        return None
    allowed = [tokenizer.encode(" is")[0], tokenizer.encode(":")[0]]
    for text in (asked, asked[0].lower() + asked[1:]):
        for i in tokenizer.encode(" " + text):
            if not set(tokenizer.decode([i])) & set(".!?;"):
                allowed.append(i)
    return allowed
""",
        """
def copying(tokenizer, said, asked):
    import re
    first = lambda *texts: {tokenizer.encode(text)[0] for text in texts}
    if said and re.search("[.!?;]", said):
        return frozenset([tokenizer.eos_id])
    if not said:
        return first("The", "A", "Here")
    if re.search(r"(^|\\W)is(\\W|$)|:", said):
        return None
    ids = set(tokenizer.encode(" " + asked)) | set(tokenizer.encode(" " + asked[:1].lower() + asked[1:]))
    return first(" is", ":").union(i for i in ids if all(m not in tokenizer.decode([i]) for m in ".!?;"))
""",
    ],
    "others_questions": [
        """
def others_questions(rows, rng):
    order = list(range(len(rows)))
    rng.shuffle(order)
    new = []
    for i, row in zip(order, rows):
        asked = rows[i].turns[0]
        new.append(Row(turns=(Turn(asked.instruction, asked.input, row.turns[0].output),), task=row.task))
    return new
""",
        """
def others_questions(rows, rng):
    import dataclasses
    copy = rows[:]
    rng.shuffle(copy)
    return [dataclasses.replace(row, turns=(o.turns[0]._replace(output=row.turns[0].output),)) for row, o in zip(rows, copy)]
""",
    ],
}
