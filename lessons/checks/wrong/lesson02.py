"""Plausible wrong answers to the exercises of lesson 2, each with words its check must say."""

COUNT = """
def count_pairs(parts, counts):
    pairs = Counter()
    for part, count in zip(parts, counts):
        for pair in {pairs}:
            pairs[pair] {add}
    return pairs
"""
JOIN = """
def join_pair(ids, pair, new):
    out, i = [], 0
    while i < {end}:
        if {is_pair}:
            out.append(new)
            i += {step}
        else:
            out.append(ids[i])
            i += 1
    return out
"""
TRAIN = """
def train_slowly(text, vocab_size):
    parts = [list(word.encode()) for word in {words}]
    tokens = [bytes([byte]) for byte in range(256)]
    while len(tokens) < {size}:
        pairs = Counter(pair for part in parts for pair in zip(part, part[1:]))
        {stop}
        best = {best}
        new, tokens = len(tokens), tokens + [{token}]
        joined = []
        for part in parts:
            out, i = [], 0
            while i < len(part):
                is_pair = tuple(part[i : i + 2]) == best
                out.append(new if is_pair else part[i])
                i += 2 if is_pair else 1
            joined.append(out)
        {keep}
    return tokens
"""
TRAINED = dict(
    words="re.findall(WORD, text)", size="vocab_size - 1", stop="if not pairs: break",
    best="min(pairs, key=lambda pair: (-pairs[pair], pair))",
    token="tokens[best[0]] + tokens[best[1]]", keep="parts = joined",
)
BORDER = """
def border(tokenizer, prompt, answer):
    size, at, n = {size}, 0, 0
    for token in tokenizer.encode(prompt + answer):
        if {stop}:
            break
        at += len({piece})
        n += 1
    return {result}
"""
BORDERED = dict(
    size="len(prompt.encode())", stop="at >= size", piece="tokenizer.token_bytes(token)",
    result="n, at == size",
)

WRONG = {
    "count_pairs": [
        (COUNT.format(pairs="zip(part, part[1:])", add="+= 1"), "count it 10 times"),
        (COUNT.format(pairs="zip(part[::2], part[1::2])", add="+= count"), "neighbors overlap"),
        (COUNT.format(pairs="set(zip(part, part[1:]))", add="+= count"), "every position counts"),
        (
            (
                "def count_pairs(parts, counts):\n    ids = sum(parts, [])\n    return"
                " Counter(zip(ids, ids[1:]))"
            ),
            "is across two words",
        ),
        (
            COUNT.format(pairs="map(list, zip(part, part[1:]))", add="+= count"),
            "your function stopped with",
        ),
        (COUNT.format(pairs="part", add="+= count"), "a key is a pair"),
    ],
    "join_pair": [
        (
            JOIN.format(end="len(ids)", is_pair="tuple(ids[i : i + 2]) == pair", step=1),
            "go on behind both",
        ),
        (
            JOIN.format(end="len(ids) - 1", is_pair="tuple(ids[i : i + 2]) == pair", step=2),
            "the last id must not get lost",
        ),
        (
            JOIN.format(end="len(ids)", is_pair="set(ids[i : i + 2]) == set(pair)", step=2),
            "the order of the pair matters",
        ),
        (
            JOIN.format(end="len(ids)", is_pair="(ids[i], ids[i + 1]) == pair", step=2),
            "your function stopped with",
        ),
        (
            (
                "def join_pair(ids, pair, new):\n    for i in range(len(ids) - 1):\n        if"
                " tuple(ids[i : i + 2]) == pair:\n            return ids[:i] + [new] + ids[i + 2"
                " :]\n    return ids"
            ),
            "only the first position was joined",
        ),
        (
            (
                "def join_pair(ids, pair, new):\n    i = 0\n    while i < len(ids):\n        if"
                " tuple(ids[i : i + 2]) == pair:\n            ids[i : i + 2] = [new]\n        i +="
                " 1\n    return ids"
            ),
            "you changed the caller's list",
        ),
        (
            (
                "def join_pair(ids, pair, new):\n    ids, i = list(ids), 0\n    while i <"
                " len(ids):\n        if tuple(ids[i : i + 2]) == pair:\n            ids[i : i + 2]"
                " = [new]\n            i -= 1\n        else:\n            i += 1\n        i ="
                " max(i, 0)\n    return ids"
            ),
            "must not be joined again",
        ),
    ],
    "train_slowly": [
        (TRAIN.format(**TRAINED | {"size": "vocab_size"}), "one id is kept for the eos"),
        (TRAIN.format(**TRAINED | {"stop": "pass"}), "your function stopped with"),
        (TRAIN.format(**TRAINED | {"words": "[text]"}), "a token spans two words"),
        (TRAIN.format(**TRAINED | {"words": "set(re.findall(WORD, text))"}), "counts three times"),
        (
            TRAIN.format(**TRAINED | {"best": "max(pairs, key=lambda pair: (pairs[pair], pair))"}),
            "smaller pair of ids",
        ),
        (TRAIN.format(**TRAINED | {"token": "tokens[best[1]] + tokens[best[0]]"}), "'ab ab' gives"),
        (TRAIN.format(**TRAINED | {"keep": "pass"}), "no pair was left"),
        (TRAIN.format(**TRAINED | {"token": "bytes(best)"}), "your function stopped with"),
        (
            (
                "def train_slowly(text, vocab_size):\n    from data import train_bpe\n    return"
                " train_bpe(text, vocab_size)"
            ),
            "write it yourself",
        ),
    ],
    "border": [
        (BORDER.format(**BORDERED | {"size": "len(prompt)"}), "count bytes, not characters"),
        (
            BORDER.format(**BORDERED | {"piece": "tokenizer.decode([token])"}),
            "count bytes, not characters",
        ),
        (BORDER.format(**BORDERED | {"stop": "at > size"}), "look at the last byte"),
        (BORDER.format(**BORDERED | {"result": "n, True"}), "look at the last byte"),
        (
            BORDER.format(**BORDERED | {"result": "(n - (at > size), at == size)"}),
            "tokens that begin in the prompt",
        ),
        (
            (
                "def border(tokenizer, prompt, answer):\n    n = len(tokenizer.encode(prompt))\n   "
                " return n, True"
            ),
            "look at the last byte",
        ),
        (BORDER.format(**BORDERED | {"result": "n"}), "return two things"),
    ],
}
