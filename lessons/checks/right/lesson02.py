"""Right answers to the exercises of lesson 2 in other forms than the solution's."""

RIGHT = {
    "count_pairs": [
        """
def count_pairs(parts, counts):
    pairs = {}
    for w in range(len(parts)):
        for i in range(len(parts[w]) - 1):
            pair = (parts[w][i], parts[w][i + 1])
            pairs[pair] = pairs.get(pair, 0) + counts[w]
    return pairs
""",
        """
def count_pairs(parts, counts):
    return sum(
        (
            Counter({p: n * c for p, n in Counter(zip(w, w[1:])).items()})
            for w, c in zip(parts, counts)
        ),
        Counter(),
    )
""",
    ],
    "join_pair": [
        """
def join_pair(ids, pair, new):
    if len(ids) < 2:
        return ids[:]
    if (ids[0], ids[1]) == pair:
        return [new] + join_pair(ids[2:], pair, new)
    return ids[:1] + join_pair(ids[1:], pair, new)
""",
        """
def join_pair(ids, pair, new):
    out, skip = [], False
    for i, one in enumerate(ids):
        if skip:
            skip = False
        elif i + 1 < len(ids) and one == pair[0] and ids[i + 1] == pair[1]:
            out.append(new)
            skip = True
        else:
            out.append(one)
    return tuple(out)
""",
    ],
    "train_slowly": [
        """
def train_slowly(text, vocab_size):
    parts = [list(word.encode()) for word in re.findall(WORD, text)]
    tokens = [bytes([byte]) for byte in range(256)]
    for new in range(256, vocab_size - 1):
        pairs = Counter(pair for part in parts for pair in zip(part, part[1:]))
        if len(pairs) == 0:
            return tokens
        a, b = sorted(pairs, key=lambda pair: (-pairs[pair], pair[0], pair[1]))[0]
        tokens = tokens + [tokens[a] + tokens[b]]
        for part in parts:
            i = 0
            while i + 1 < len(part):
                if (part[i], part[i + 1]) == (a, b):
                    part[i : i + 2] = [new]
                i += 1
    return tokens
""",
        """
def train_slowly(text, vocab_size):
    words = [[bytes([b]) for b in word.group().encode()] for word in re.finditer(WORD, text)]
    tokens = [bytes([b]) for b in range(256)]
    while len(tokens) < vocab_size - 1:
        pairs = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not pairs:
            break
        a, b = min(pairs, key=lambda p: (-pairs[p], tokens.index(p[0]), tokens.index(p[1])))
        tokens.append(a + b)
        for word in words:
            for i in range(len(word)):
                if word[i : i + 2] == [a, b]:
                    word[i : i + 2] = [a + b]
    return tuple(tokens)
""",
    ],
    "border": [
        """
def border(tokenizer, prompt, answer):
    begins, at = [], 0
    for token in tokenizer.encode(prompt + answer):
        begins.append(at)
        at += len(tokenizer.token_bytes(token))
    size = len(prompt.encode("utf-8"))
    return sum(b < size for b in begins), size in begins + [at]
""",
        """
def border(tokenizer, prompt, answer):
    left, n = len(prompt.encode()), 0
    for token in tokenizer.encode(prompt + answer):
        if left <= 0:
            break
        left -= len(tokenizer.token_bytes(token))
        n += 1
    return [n, left == 0]
""",
    ],
}
