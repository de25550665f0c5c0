"""Right answers to the exercises of lesson 6 in other forms than the solution's."""

RIGHT = {
    "asked_for": [
        r"""
def asked_for(instruction):
    text = instruction.rstrip(" .?!")
    for ending in ("please", "thanks", "what is it"):
        if text.lower().endswith(ending):
            text = text[: -len(ending)].rstrip(" ,:")
            break
    if text.lower().endswith(" is"):
        text = text[:-3]
    words = text.split(" ")
    for i, word in enumerate(words):
        if word.lower() in ("the", "a", "an"):
            return " ".join(words[i:])
    return text
""",
        r"""
def asked_for(instruction):
    END = re.compile(r"(\s+is)?[\s,:]*(please|thanks|what is it)?[.?!\s]*$", re.IGNORECASE)
    text = END.sub("", instruction)
    parts = re.split(r"(?i)\b(?=(?:the|a|an)\s)", text, maxsplit=1)
    return parts[-1]
""",
    ],
    "decode": [
        """
def decode(model, text, noun):
    before = " ".join([text, ""]) if text != "" else ""
    first = noun[0].upper() + noun[1:] + " is"
    second = "Here is " + noun[0].lower() + noun[1:] + ":"
    if model.score(before, first) >= model.score(before, second):
        return first + model.complete(before + first)
    return second + model.complete(before + second)
""",
        """
def decode(model, text, noun):
    first, rest = noun[:1], noun[1:]
    starts = [f"{first.upper()}{rest} is", f"Here is {first.lower()}{rest}:"]
    prefix = f"{text} " if text else ""
    scores = torch.tensor([float(model.score(prefix, start)) for start in starts])
    start = starts[int(scores.argmax())]
    return f"{start}{model.complete(prefix + start)}"
""",
    ],
    "without_questions": [
        """
def without_questions(rows):
    new = []
    for row in rows:
        new.append(Row(turns=(Turn(instruction="", output=row.turns[0].output),), task=row.task))
    return new
""",
        """
def without_questions(rows):
    from dataclasses import replace

    return tuple(
        replace(row, turns=(row.turns[0]._replace(instruction="", input=""),)) for row in rows
    )
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
