"""Right answers to the exercises of lesson 6 in other forms than the solution's."""

RIGHT = {
    "copying": [
        """
def copying(tokenizer, reply, question):
    import re
    if any(mark in reply for mark in ".!?;"):
        return [tokenizer.eos_id]
    if reply == "":
        return [tokenizer.encode(word)[0] for word in ["The", "A", "Here"]]
    if ":" in reply or "is" in re.findall(r"[A-Za-z]+", reply):
        return None
    allowed = [tokenizer.encode(" is")[0], tokenizer.encode(":")[0]]
    for text in (question, question[0].lower() + question[1:]):
        for i in tokenizer.encode(" " + text):
            if not set(tokenizer.decode([i])) & set(".!?;"):
                allowed.append(i)
    return allowed
""",
        """
def copying(tokenizer, reply, question):
    import re
    first = lambda *texts: {tokenizer.encode(text)[0] for text in texts}
    if reply and re.search("[.!?;]", reply):
        return frozenset([tokenizer.eos_id])
    if not reply:
        return first("The", "A", "Here")
    if re.search(r"(^|\\W)is(\\W|$)|:", reply):
        return None
    small = question[:1].lower() + question[1:]
    ids = set(tokenizer.encode(" " + question)) | set(tokenizer.encode(" " + small))
    free = [i for i in ids if not set(tokenizer.decode([i])) & set(".!?;")]
    return first(" is", ":").union(free)
""",
    ],
    "others_questions": [
        """
def others_questions(rows, rng):
    order = list(range(len(rows)))
    rng.shuffle(order)
    new = []
    for i, row in zip(order, rows):
        question = rows[i].turns[0]
        new.append(
            Row(
                turns=(Turn(question.instruction, question.input, row.turns[0].output),),
                task=row.task,
            )
        )
    return new
""",
        """
def others_questions(rows, rng):
    import dataclasses

    copy = rows[:]
    rng.shuffle(copy)
    return [
        dataclasses.replace(row, turns=(o.turns[0]._replace(output=row.turns[0].output),))
        for row, o in zip(rows, copy)
    ]
""",
    ],
}
