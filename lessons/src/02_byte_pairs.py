# %% [markdown]
# # 2. Byte pairs
#
# A model reads ids of tokens. Where do the tokens come from? You will build the vocabulary by hand:
# count neighbours, merge (join) the most frequent pair, repeat. Then you will look at the one place
# where tokens matter most for instruction tuning: the border between the prompt and the answer.
#
# Under a minute of computing on a laptop CPU (2 cores), 45 minutes with the exercises. It needs
# `out/base.pt`, which `python train_sft.py` leaves behind.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson02 as checks
from checks.lesson01 import begins_with  # lesson 1's rule: whole words at the beginning

import re
from collections import Counter

import matplotlib.pyplot as plt

import world
from common.audit import show_mask
from common.table import wilson
from data import TEMPLATES, WORD, Row, Tokenizer, Turn, train_bpe
from generate import Assistant, Sampling

base, tokenizer = lab.load_base()
rows, _ = lab.load_world()

# %% [markdown]
# ## A toy text
#
# Letters, as ids, make long sequences. Whole words make short ones, but a list of all words is
# never complete. Byte pairs (Sennrich et al. 2016, on bytes since GPT-2) lie between: frequent
# words become one token, rare ones a few, and any text can be written, because all 256 bytes are
# tokens to begin with.
#
# First the text is cut into words (the pattern `WORD`). A word keeps the space before it, and no
# token will ever span two words. Each different word is kept once, with its count.

# %%
toy = "a banana, a bandana, bananas and a banner"
words = Counter(re.findall(WORD, toy))
parts = [list(word.encode()) for word in words]  # every word as a list of ids, at first its bytes
counts = list(words.values())
for word, part, count in zip(words, parts, counts):
    print(f"{count} x {word!r:<10} {part}")

# %% [markdown]
# *Predict*: which pair of neighbours is the most frequent in the toy text?
#
# ### Exercise 2.1: count the pairs (rebuild, ★, 5 minutes)
#
# A word that stands in the text twice counts twice. A pair is made of neighbours in one word, never
# across two.
#
# <details><summary>Hint</summary>
# `zip(part, part[1:])` gives the neighbours of one word. A `Counter` adds up.
# </details>


# %%
def count_pairs(parts, counts):
    """Count pairs of neighbours. Returns a Counter {(id, id): how often it is in the text}.

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
# Walk from left to right. Where the pair stands, write the new id and go on behind both; elsewhere
# copy. So three equal ids in a row hold the pair once, not twice.
#
# <details><summary>Hint</summary>
# A `while` loop with an index that moves by 1 or by 2. `tuple(ids[i : i + 2]) == pair` is safe at
# the end of the list too.
# </details>


# %%
def join_pair(ids, pair, new):
    """Replace every `pair` by `new`. Returns a new list.

    [1, 2, 3, 1, 2], (1, 2), 9 -> [9, 3, 9]"""
    ### BEGIN SOLUTION
    out, i = [], 0
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
# the eos: asked for 300 ids, stop at 299 tokens. Stop earlier if no pair is left.
#
# <details><summary>Hint</summary>
# Start with `tokens = [bytes([b]) for b in range(256)]`. The bytes of a new token are the bytes of
# its two parts, one after the other. `min(pairs, key=lambda pair: (-pairs[pair], pair))` is the
# most frequent pair with the right tie-break.
# </details>


# %%
def train_slowly(text, vocab_size):
    """Train a vocabulary. Returns a list of at most vocab_size - 1 tokens as bytes: the 256 single
    bytes, then the joined ones in order.

    "aaab aaab", 258 -> 256 bytes and b"aa"
    """
    ### BEGIN SOLUTION
    words = Counter(re.findall(WORD, text))
    parts, counts = [list(word.encode()) for word in words], list(words.values())
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
print(train_slowly(toy, 265)[256:])

# %% [markdown]
# The project's `train_bpe` gives the same tokens. It is faster because a join changes the counts of
# few pairs: it remembers which words hold a pair and touches only those. Compare the two on the
# corpus.

# %%
corpus = world.build(seed=1, size=0.05).corpus
sample = "\n".join(corpus[-100:])
fast = train_bpe(sample, 300)
same = checks.oracle(sample, 300) == fast
print(f"{len(sample):,} characters, {len(fast)} tokens, one by one the same: {same}")
print(fast[256:])

# %% [markdown]
# ## What the tokens look like
#
# *Predict*: with which size of the vocabulary does the sentence below become one token a word?

# %%
text = "The comparative of easy is easier."
sizes = (257, 280, 320, 400, 600, 1000, 1800, tokenizer.vocab_size)
tokenizers = [Tokenizer(train_bpe("\n".join(corpus), size)) for size in sizes]
for t in tokenizers:
    print(f"{t.vocab_size:>5}  " + "|".join(t.decode([i]) for i in t.encode(text)))

# %%
text = "\n".join(corpus[:400])
per_token = [len(text.encode()) / len(t.encode(text)) for t in tokenizers]
plt.figure(figsize=(6.5, 3.2))
plt.plot([t.vocab_size for t in tokenizers], per_token, "o-")
plt.xlabel("size of the vocabulary"), plt.ylabel("bytes of text per token"), plt.ylim(bottom=0)
plt.title("A larger vocabulary, shorter sequences"), plt.tight_layout()
plt.show()

# %% [markdown]
# The curve flattens: once nearly every word is one token, there is nothing left to join. (On a
# short text the trainer may stop early for that reason.) How many words of this world are one token
# for the base? *Predict* the fraction.

# %%
lab.predict("2: words that are one token", ...)

# %%
vocabulary = set(re.findall(r"[^\W\d_]+", " ".join(corpus)))
single = [word for word in vocabulary if len(tokenizer.encode(" " + word)) == 1]
lab.compare("2: words that are one token", len(single) / len(vocabulary))
print(
    f"{len(single)} of {len(vocabulary)} words; some that are not:"
    f" {sorted(vocabulary - set(single))[:8]}\n"
)
for odd in (
    " 고양이",
    " tokenization",
    " 컴퓨터",
    " ☃",
    " " + tokenizer.decode([tokenizer.eos_id]),
):
    print(f"{odd!r:<18}", [tokenizer.token_bytes(i) for i in tokenizer.encode(odd)])

# %% [markdown]
# (Each line: the text, then its tokens as bytes. Python prints a byte that is no printable ASCII
# character as `\x` and two hexadecimal digits.) 고양이, a cat, is a word of this world and one
# token. Words from outside fall apart, down to single bytes if need be, and nothing is ever
# "unknown". The last line matters: the *text* of the eos is ordinary text. The id of the eos is
# added by hand, so nobody can type it.
#
# ## The border
#
# A tuning example is a prompt and an answer. The model must learn the answer's tokens and not the
# prompt's. But where does the answer begin? Text has one border. Tokens have a clean one only if no
# token spans it.
#
# *Predict*: of these four pairs, which make a token that spans the border?

# %%
for prompt, answer in (
    ("Answer:\n", "The"),
    ("Answer: ", "The"),
    ("Answer:", " The"),
    ("### Resp", "onse"),
):
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
# Measure in bytes: a Korean letter is several bytes, and a token may be a part of one.
# `tokenizer.token_bytes(i)` are the bytes of token i. Walk through the tokens and keep the position
# where each begins.
# </details>


# %%
def border(tokenizer, prompt, answer):
    """Tokenize prompt + answer. Returns (n, clean): how many tokens begin in the prompt, and True
    if none of them reaches into the answer.

    "Answer: ", "The" -> the token " The" begins in the prompt and reaches into the answer, so
    clean is False"""
    ### BEGIN SOLUTION
    size, at, n = len(prompt.encode()), 0, 0
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
# How often does it happen? Take every tuning pair, in two prompt templates of the project, with
# prompt and answer as text. The cell prints how each template ends. *Predict* for both the fraction
# of pairs in which a token spans the border.

# %%
for name in ("alpaca", "plain"):
    print(f"{name:<8} ends with {TEMPLATES[name].response[-2:]!r}")
lab.predict("2: spanned borders, alpaca", ...)
lab.predict("2: spanned borders, plain", ...)

# %%
spanned = {}
for name in ("alpaca", "plain"):
    spanned[name] = 0
    for row in rows:
        question, context, answer = row.turns[0]
        prompt = tokenizer.decode(lab.prompt_ids(tokenizer, name, question, context))
        spanned[name] += not checks.clean_border(tokenizer, prompt, answer)
    print(f"{name:<8}: in {spanned[name]} of {len(rows)} pairs a token spans the border")
    lab.compare(f"2: spanned borders, {name}", spanned[name] / len(rows))

# %% [markdown]
# It depends on which characters meet. Here is a table of such meetings, each tried with the same
# answers.

# %%
ends = ["Response:\n", "Response:", "Response: ", "The answer"]
begins = {"a word": "{}", "a space, then a word": " {}"}
answers = [row.turns[0].output for row in lab.subset(rows, 200)]
share = [
    [
        sum(not checks.clean_border(tokenizer, end, form.format(a)) for a in answers) / len(answers)
        for form in begins.values()
    ]
    for end in ends
]
plt.figure(figsize=(5.5, 3.2))
plt.imshow(share, cmap="Reds", vmin=0, vmax=1.4, aspect="auto")
for i, line in enumerate(share):
    for j, value in enumerate(line):
        plt.text(j, i, f"{value:.0%}", ha="center", va="center")
plt.xticks(range(len(begins)), begins), plt.yticks(range(len(ends)), [repr(end) for end in ends])
plt.xlabel("the answer begins with"), plt.ylabel("the prompt ends with"), plt.title(
    "Answers whose border a token spans"
)
plt.tight_layout()
plt.show()

# %% [markdown]
# ## What goes wrong
#
# A common way to make the mask is to tokenize all together, and to hide as many tokens as the
# prompt has alone. Supervised tokens are in brackets:

# %%
prompt, answer = (
    "Question: What is the capital of Italy?\nAnswer: ",
    "The capital of Italy is Rome.",
)
hidden = len(tokenizer.encode(prompt))
together = tokenizer.encode(prompt + answer) + [tokenizer.eos_id]
apart = tokenizer.encode(prompt) + tokenizer.encode(answer) + [tokenizer.eos_id]
for name, ids in (("together", together), ("apart", apart)):
    mask = [0] * hidden + [1] * (len(ids) - hidden)
    print(f"{name}:\n{show_mask(tokenizer, ids, mask, color=False)}\n")

# %% [markdown]
# Together, the first word of the answer is hidden: it is one with the last space of the prompt.
# That model is never told how an answer begins. Later it is asked with a prompt that ends in a lone
# space, a token that it has hardly seen there. The project tokenizes the parts apart, so training
# and asking see the same ids whatever the template.
#
# The lone space also harms a base model. Complete statements as in lesson 1, without and with a
# space at the end of the prompt. *Predict* the fraction of facts that come out right.

# %%
lab.predict("2: facts right, no space", ...)
lab.predict("2: facts right, a space at the end", ...)

# %%
facts = [case for case in world.table_facts() if len(case.values) == 1 and not case.task.prefix]
facts = lab.subset(facts, len(facts))
assistant, right = Assistant(base, tokenizer, None), {}
for name, last in (("without", ""), ("with", " ")):
    prompts = [Row((Turn(f"{world.upper_first(fact.noun)} is{last}", "", ""),)) for fact in facts]
    texts = [text for text, _ in assistant.answers(prompts, Sampling(max_new_tokens=8))]
    right[name] = sum(begins_with(text, fact.values[0]) for text, fact in zip(texts, facts))
    low, high = wilson(right[name], len(facts))
    print(
        f"{name:<8} a space at the end: {right[name]} of {len(facts)} right ({low:.0%} to"
        f" {high:.0%}); {texts[0]!r}"
    )
lab.compare("2: facts right, no space", right["without"] / len(facts))
lab.compare("2: facts right, a space at the end", right["with"] / len(facts))

# %% [markdown]
# The knowledge did not go away. It hangs on the token `' Paris'`, and after a lone space the model
# needs `'Paris'`, which is another id and mostly stands elsewhere. A large model has read messier
# text and suffers less. Still, never end a prompt with a space, unless the model was tuned so.
#
# ## Two questions to think about
#
# 1. Why is it better that a word keeps the space *before* it than the one after it?
# 2. The trainer sees the corpus and the headers of the template. What would change for the model if
#    the headers were left out?
#
# <details><summary>Answers</summary>
#
# 1. A word is then the same token before a full stop, a comma or another word. And when the model
#    writes, the space is decided together with the word.
# 2. "### Response:" would fall into more pieces. It would still work, with longer prompts: more
#    tokens to read, none of them supervised.
# </details>
#
# ## Where this lives in the project
#
# All in `data.py`: `WORD`, `train_bpe`, `merge`, `Tokenizer`, `render`, and `encode`, which
# tokenizes in parts. The check that the mask lets through exactly the answer stands in `prepare`.

# %%
lab.claim(
    "the slow trainer and the project's agree token by token", same,
    "the two differ in how they break ties; look at the first token that differs.",
)
lab.claim(
    "tokenized together, a token spans the border in every pair of one template and in none of the"
    " other",
    spanned["alpaca"] == 0 and spanned["plain"] == len(rows),
    "a vocabulary learned from another text may hold other tokens; look at the table of meetings.",
)
lab.claim(
    "a space at the end of the prompt costs the base at least nine in ten of its facts",
    wilson(right["with"], len(facts))[1] < 0.1 * wilson(right["without"], len(facts))[0],
    "a base that has met lone spaces suffers less; look at what it printed after the space.",
)
