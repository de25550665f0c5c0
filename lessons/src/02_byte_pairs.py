# %% [markdown]
# # 2. Byte pairs
#
# A model reads ids of tokens. Where do the tokens come from? You build a vocabulary by hand: count
# neighbors, merge (join) the most frequent pair, repeat. Then you study the place where tokens
# matter most for instruction tuning, the border between the prompt and the answer.
#
# *10 minutes of reading, 35 of exercises, 1 of computing.*

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import re
from collections import Counter

import lab
import world
from checks import lesson02 as checks
from data import TEMPLATES, WORD, train_bpe
from experiments import lesson02

base, tokenizer = lab.load_base()
rows, _ = lab.load_world()

# %% [markdown]
# ## A toy text
#
# Letters as ids make long sequences. Whole words make short ones, but a list of all words is never
# complete. Byte pairs (Sennrich et al. 2016, on bytes since GPT-2) are between the two. Frequent
# words become one token, rare words several, and any text can be written, because all 256 bytes are
# tokens to begin with.
#
# First the text is split into words by the pattern `WORD`. A word keeps the space before it, and no
# token ever spans two words. Each different word is kept once, with its count.

# %%
toy = "a banana, a bandana, bananas and a banner"
words = Counter(re.findall(WORD, toy))
parts = [list(word.encode()) for word in words]  # every word as a list of ids, at first its bytes
counts = list(words.values())
lesson02.show_words(toy, words, parts, counts)

# %% [markdown]
# *Predict*: which pair of neighbors is the most frequent in the toy text?
#
# ### Exercise 2.1: count the pairs (rebuild, ★, 5 minutes)
#
# A word that appears twice in the text counts twice. A pair is made of neighbors in one word,
# never across two.
#
# <details><summary>Hint</summary>
#
# `zip(part, part[1:])` gives the neighbors of one word. A `Counter` adds up.
#
# </details>


# %%
def count_pairs(parts, counts):
    """Count pairs of neighbors. Returns a Counter {(id, id): how often it is in the text}.

    [[1, 2, 1, 2], [2, 3]], [1, 10] -> {(1, 2): 2, (2, 1): 1, (2, 3): 10}"""
    ### BEGIN SOLUTION
    pairs = Counter()
    for part, count in zip(parts, counts):
        for pair in zip(part, part[1:]):
            pairs[pair] += count
    return pairs
    ### END SOLUTION


# %%
checks.count_pairs(count_pairs)
for pair, count in count_pairs(parts, counts).most_common(5):
    print(bytes(pair), count)

# %% [markdown]
# ### Exercise 2.2: join a pair (rebuild, ★★, 10 minutes)
#
# Walk from left to right. Where you find the pair, write the new id and go on after both. Otherwise
# copy the id. So three equal ids in a row contain the pair once, not twice.
#
# <details><summary>Hint</summary>
#
# A `while` loop with an index that moves by 1 or by 2. `tuple(ids[i : i + 2]) == pair` is safe at
# the end of the list too.
#
# </details>


# %%
def join_pair(ids, pair, new):
    """Replace every `pair` by `new`. Returns a new list.

    [1, 2, 3, 1, 2], (1, 2), 9 -> [9, 3, 9]"""
    ### BEGIN SOLUTION
    out = []
    i = 0
    while i < len(ids):
        is_pair = tuple(ids[i : i + 2]) == pair
        out.append(new if is_pair else ids[i])
        i += 2 if is_pair else 1
    return out
    ### END SOLUTION


# %%
checks.join_pair(join_pair)

# %% [markdown]
# ### Exercise 2.3: the trainer (rebuild, ★★, 10 minutes)
#
# Now repeat: count, take the most frequent pair, give it the next id, join it everywhere. On a tie
# take the smaller pair of ids, so that the result is the same on every machine. One id is kept for
# the *eos*, the token that ends a sequence: for 300 ids, stop at 299 tokens. Stop earlier if no
# pair is left.
#
# <details><summary>Hint</summary>
#
# Start with `tokens = [bytes([b]) for b in range(256)]`. The bytes of a new token are the bytes of
# its two parts, one after the other. `min(pairs, key=lambda pair: (-pairs[pair], pair))` is the
# most frequent pair with the right tie-break.
#
# </details>


# %%
def train_slowly(text, vocab_size):
    """Train a vocabulary. Returns a list of at most vocab_size - 1 tokens as bytes: the 256 single
    bytes, then the joined ones in order.

    "aaab aaab", 258 -> 256 bytes and b"aa"
    """
    ### BEGIN SOLUTION
    words = Counter(re.findall(WORD, text))
    parts = [list(word.encode()) for word in words]
    counts = list(words.values())
    tokens = [bytes([byte]) for byte in range(256)]
    while len(tokens) < vocab_size - 1:
        pairs = count_pairs(parts, counts)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        parts = [join_pair(part, best, len(tokens)) for part in parts]
        tokens.append(tokens[best[0]] + tokens[best[1]])
    return tokens
    ### END SOLUTION


# %%
checks.train_slowly(train_slowly)
print("toy text:", train_slowly(toy, 265)[256:])
corpus = world.build(seed=1, size=0.05).corpus
sample = "\n".join(corpus[-100:])
slow, fast = train_slowly(sample, 300), train_bpe(sample, 300)
same = slow == fast
print(f"Found: on {len(sample):,} characters your tokens are",
      "the project's, one by one." if same else "NOT the project's.")
print(fast[256:])

# %% [markdown]
# The project's `train_bpe` is faster because a join changes the counts of few pairs. It remembers
# which words contain a pair and touches only those.
#
# ## How large a vocabulary?
#
# *Predict*: which words of the sentence below become one token, and at which size? And what
# fraction of the corpus's words is a single token for the base?

# %%
lab.predict("2: words that are one token", ...)

# %%
lesson02.show_sizes(corpus, tokenizer.vocab_size, "The comparative of easy is easier.")
single = lesson02.share_of_words(tokenizer, corpus)
lab.compare("2: words that are one token", single)

# %% [markdown]
# Each further token gains less: the frequent words are joined first, and those left are rare.
#
# A word that the corpus lacks is split, down to single bytes if need be, and nothing is ever
# "unknown". *Predict*: how many tokens does the *text* of the eos have?

# %%
for odd in (" 고양이", " tokenization", " ☃", " " + tokenizer.decode([tokenizer.eos_id])):
    pieces = [tokenizer.token_bytes(i) for i in tokenizer.encode(odd)]
    print(f"{odd!r:<18} {len(pieces)} tokens: {pieces}")

# %% [markdown]
# Python prints a byte that isn't a printable ASCII character as `\x` and two hexadecimal digits.
# The last line matters: the text of the eos is ordinary text. Only the program can add the eos's
# id, so no user can end an answer by typing it.
#
# ## The border
#
# A tuning example is a prompt and an answer. The loss looks at the answer's tokens and not at the
# prompt's. But where does the answer begin? In the text the border is clear. In tokens it is clear
# only if no token spans it. *Predict*: in which of these pairs does a token span the border?

# %%
for prompt, answer in (("Answer:\n", "The"), ("Answer: ", "The"), ("Answer:", " The")):
    apart = [tokenizer.decode([i]) for i in tokenizer.encode(prompt) + tokenizer.encode(answer)]
    together = [tokenizer.decode([i]) for i in tokenizer.encode(prompt + answer)]
    print(f"{prompt!r:<12} + {answer!r:<7} apart {apart}\n{'':<23}together {together}\n")

# %% [markdown]
# ### Exercise 2.4: find the border (extend, ★★, 10 minutes)
#
# Tokenize prompt and answer *together*. How many tokens begin inside the prompt, and does the last
# of them end exactly where the prompt ends?
#
# <details><summary>Hint</summary>
#
# Measure in bytes: a Korean letter is several bytes, and a token may be a part of one.
# `tokenizer.token_bytes(i)` are the bytes of token i. Walk through the tokens and keep the position
# where each begins.
#
# </details>


# %%
def border(tokenizer, prompt, answer):
    """Tokenize prompt + answer. Returns (n, clean): how many tokens begin in the prompt, and True
    if none of them reaches into the answer.

    "Answer: ", "The" -> the token " The" begins in the prompt and reaches into the answer, so
    clean is False"""
    ### BEGIN SOLUTION
    size = len(prompt.encode())
    at = n = 0
    for token in tokenizer.encode(prompt + answer):
        if at >= size:
            break
        at += len(tokenizer.token_bytes(token))
        n += 1
    return n, at == size
    ### END SOLUTION


# %%
checks.border(border)

# %% [markdown]
# How often does it happen? A *template* is the text around question and answer. Take every tuning
# pair in two of the project's templates. One ends with a newline, the other with a space. *Predict*
# for both the fraction of pairs in which a token spans the border.

# %%
for name in ("alpaca", "plain"):
    print(f"{name:<8} ends with {TEMPLATES[name].response[-2:]!r}")
lab.predict("2: spanned borders, alpaca", ...)
lab.predict("2: spanned borders, plain", ...)

# %%
spanned = {}
for name in ("alpaca", "plain"):
    spanned[name] = lesson02.spanned_borders(tokenizer, rows, name, border)
    print(f"Found: {name}: in {spanned[name]} of {len(rows)} pairs a token spans the border.")
    lab.compare(f"2: spanned borders, {name}", spanned[name] / len(rows))

# %% [markdown]
# ## What goes wrong
#
# A common way to make the mask is to tokenize prompt and answer together, and then hide as many
# tokens as the prompt has when tokenized alone. Supervised tokens are in brackets:

# %%
prompt = "Question: What is the capital of Italy?\nAnswer: "
answer = "The capital of Italy is Rome."
lesson02.show_mask_of_text(tokenizer, prompt, answer)

# %% [markdown]
# Together, the first word of the answer is hidden, because it is one token with the last space of
# the prompt. That model is never trained on how an answer begins. Later its prompt ends in a lone
# space, a token that it has hardly seen there. The project tokenizes the parts separately, so
# training and generation see the same ids, whatever the template.
#
# The lone space also harms a base model. Complete statements as in lesson 1, without and with a
# space at the end of the prompt. *Predict* the fraction of facts that come out right.

# %%
lab.predict("2: facts right, no space", ...)
lab.predict("2: facts right, a space at the end", ...)

# %%
right = lesson02.space_at_the_end(base, tokenizer)
lost = lab.difference([right["without"]], [right["with"]])
lab.compare("2: facts right, no space", sum(right["without"]) / len(right["without"]))
lab.compare("2: facts right, a space at the end", sum(right["with"]) / len(right["with"]))
lab.finding(
    *lost[1:], rose="a space at the end of the prompt costs the base right answers.",
    fell="a space at the end of the prompt helps the base.",
    unclear="a space at the end of the prompt changes nothing that this run can show.",
)

# %% [markdown]
# **Read the ten completions.** Sort them by their first token, and write two sentences.
#
# <details><summary>A model answer</summary>
#
# "After a space the model cannot use the tokens that begin with one, which are nearly all words. It
# writes one of the few others, often the same one whatever the prompt is about. Then it goes on as
# usual."
#
# </details>
#
# Where facts are lost, the knowledge is still there. It belongs to the token `' Paris'`. After a
# lone space the model needs `'Paris'`, another id, which it has hardly seen there. A large model
# has read messier text and suffers less. Still, never end a prompt with a space, unless the model
# was tuned with one.
#
# > **What to remember**
# >
# > - Byte pairs: count neighbors, join the most frequent pair, repeat. Any text can be written.
# > - Tokenize prompt and answer separately, or a token may span the border and spoil the mask.
# > - Never end a prompt with a space, and never let a user's text become the eos.
#
# ## Two questions to think about
#
# 1. Why is it better for a word to keep the space *before* it than the one after it?
# 2. The trainer sees the corpus and the headers of the template. What would change for the model if
#    the headers were left out?
#
# <details><summary>Answers</summary>
#
# 1. A word is then the same token before a full stop, a comma or another word. And when the model
#    writes, the space is decided together with the word.
# 2. "### Response:" would fall into more pieces. It would still work, with longer prompts: more
#    tokens to read, none of them supervised.
#
# </details>
#
# ## Where this lives in the project
#
# All in `data.py`: `WORD`, `train_bpe`, `merge`, `Tokenizer`, `render`, and `encode`, which
# tokenizes in parts. `prepare` checks that every mask lets through exactly the answer. The
# measuring code is in `lessons/experiments/lesson02.py`.

# %%
lab.claim(
    "the slow trainer and the project's agree token by token", same,
    "the two differ in how they break ties; look at the first token that differs.",
)
lab.claim(
    "tokenized together, a token spans the border in every pair of one template and in none of the"
    " other",
    spanned["alpaca"] == 0 and spanned["plain"] == len(rows),
    "a vocabulary from another text may have other tokens.",
)
lab.claim(
    "a space at the end of the prompt costs the base facts",
    lost[1] > 0.1,
    "a base that has met lone spaces suffers less; look at what it printed after the space.",
)
