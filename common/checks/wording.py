"""Read English answers: words without marks, numbers, lists and "I don't know"."""

import re

TEENS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
         "fifteen sixteen seventeen eighteen nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SPELLED = {"a hundred": 100, "one hundred": 100}
for tens, ten in enumerate(TENS, 2):  # longer names first: "forty two" before "forty"
    SPELLED |= {f"{ten} {TEENS[unit]}": 10 * tens + unit for unit in range(1, 10)}
    SPELLED[ten] = 10 * tens
SPELLED |= {name: n for n, name in enumerate(TEENS) if name != "one"}  # "one" is a pronoun too
NAMES = re.compile(rf"\b({'|'.join(SPELLED)})\b")

DENIED = re.compile(
    r"\b(not|no|except|rather than|instead of) (\w+ )?((a|an|the|in|on|at|be|called) )*$")
LISTED = re.compile(r"\n|,|;|&|\bas well as\b|\band\b|\bor\b|\b\d+[.)]")
KNOW = r"(\w+ ){0,2}(know|tell|say|see|predict|guess|forecast|foresee|remember|answer)"
UNKNOWN = re.compile(
    rf"\b(i|we|you|one) (do|can|could) not {KNOW}|(nobody|no one|only you) {KNOW}"
    rf"|(impossible|unable|no way|not able|not possible|too early|too soon) (to|of) {KNOW}"
    r"|no (idea|clue|record)|not sure|not (yet |been )?(known|told|decided)"
    r"|unknown|unknowable|a mystery|not be (known|predicted)")
GUESS = re.compile(r"probably|\bi (think|guess) (it|you|he|she) |but (it|he|they) (is|was|will)")

FUNCTION_WORDS = set((  # they say little by themselves
    "a an the this that these those it its he him his she her you your they them their we us our "
    "i my me who which what when where why how and or but so because since as if than then while "
    "until after before not no is are was were be been has have had do does did can could will "
    "would may might must should to of in on at by for from with without into about there here "
    "also only just very too all every each some any other one more most").split())
STEM = 5  # the first letters of a word, in which "swimming" and "swimmer" are alike


def plain(text: str) -> str:
    """Lower the case and write numbers in digits: "Forty-two isn't 1,000" -> "42 is not 1000"."""
    text = text.lower().replace("’", "'").replace("can't", "cannot").replace("cannot", "can not")
    text = re.sub(r"n't\b", " not", text)
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"(?<=[^\W\d])-(?=[^\W\d])", " ", text)
    return NAMES.sub(lambda match: str(SPELLED[match[0]]), text)


def normal(text: str) -> str:
    """Drop marks and double spaces as well: "Is the shop closed?" -> "is the shop closed"."""
    marks = r"(?<!\w)\.|\.(?!\w)|[^\w\s'.@]|_"  # dots and @ within an address or a number stay
    return " ".join(re.sub(marks, " ", plain(text)).split())


# The dot of "Ms. Hart" ends no clause.
NO_TITLE = "".join(rf"(?<!\b{title})" for title in ("mr", "ms", "mrs", "dr", "st", "prof"))


def says(answer: str, wanted: str) -> bool:
    """Tell whether one of "this|or that" is in the answer as whole words that are not denied."""
    words = "|".join(re.escape(normal(text)) for text in wanted.split("|"))

    # "Not soup, pie" denies soup only, so a denial ends with its clause.
    for clause in re.split(rf"[,;:!?()\n]|{NO_TITLE}\.(?!\w)", plain(answer)):
        clause = normal(clause)
        spots = re.finditer(rf"(?<!\w)({words})(?!\w)", clause)
        if any(not DENIED.search(clause[: spot.start()]) for spot in spots):
            return True
    return False


def first_sentence(answer: str) -> str:
    """Return the text up to the first full stop, question mark or line end, with its mark."""
    return re.match(r"[^.!?\n]*[.!?\n]?", answer.strip())[0]


def says_unknown(answer: str) -> bool:
    """Tell whether an answer begins with not knowing, or nobody's knowing, and guesses nothing."""
    begins = UNKNOWN.search(normal(first_sentence(answer)))
    return bool(begins) and not GUESS.search(normal(answer))


def within(answer: str, vocabulary: str) -> bool | None:
    """Require words of the vocabulary. None if there are others, which may be right or wrong."""
    known = {word[:STEM] for word in normal(vocabulary).replace("'s", "").split()}
    words = set(normal(answer).replace("'s", "").split()) - FUNCTION_WORDS
    return True if {word[:STEM] for word in words} <= known else None


def singular(name: str) -> str:
    """Drop the article and the ending of a plural: "the cherries" -> "cherry"."""
    name = re.sub(r"^(an?|the|some) ", "", name)
    name = re.sub(r"ies$", "y", name)
    return re.sub(r"(?<=[cs]h)es$|(?<=[oxs])es$|(?<![su])s$", "", name)


def list_members(answer: str) -> list[str]:
    """Split a list in lines or with commas: "Two:\\n1. Red\\n2. Blue" -> ["red", "blue"]."""
    # An introduction is no member, and what follows a name in its line describes it.
    texts = [line.strip() for line in answer.splitlines() if line.strip()]
    texts = [text for text in texts if not text.endswith(":")]
    if len(texts) > 1:
        texts = [re.split(r": | [-–(]", text.lstrip("-*• "))[0] for text in texts]

    # "Three fruits are ..." and "... are three fruits": the list is the half with more members.
    halves = re.split(r":|\b(?:are|include)\b", "\n".join(texts))
    longest = max(halves, key=lambda half: len(LISTED.findall(half)))
    parts = [normal(part) for part in LISTED.split(longest)]
    return [singular(part) for part in parts if part]
