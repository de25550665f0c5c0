"""One definition of a word: Python's re and tiktoken cut a text at the same places."""

import random
import re

import pytest

from data import WORD, Tokenizer, train_bpe

CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
# Where engines differ most: spaces, digits, combining marks, joiners, separators.
TRICKY = list(" \n\ta1_#.\u0301\u200d\u200c\x1c\x85²½٣Ⅷ\u0e31\u093f\u2028\ufeff")

SENTENCES = {
    "English": "The castle is on the hill and the village is by the river. ",
    "Hindi": "किला पहाड़ पर है और नदी के किनारे गाँव है। बच्चे स्कूल जाते हैं। ",
    "Thai": "สวัสดีชาวโลก วันนี้อากาศดีมาก เด็กๆ ไปโรงเรียนที่ริมแม่น้ำ ",
    "Arabic": "ذَهَبَ الوَلَدُ إِلَى المَدْرَسَةِ وَقَرَأَ كِتَابًا جَمِيلًا، ثُمَّ رَجَعَ إِلَى البَيْتِ. ",
    "decomposed accents": "Le cafe\u0301 e\u0301tait de\u0301ja\u0300 ferme\u0301. ",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \u2764\ufe0f ",
}


def pieces_of_tiktoken(words, text):
    """Cut a text with tiktoken. A piece is one token if it is in the vocabulary, so we put all
    words in it, and all pairs of neighbors in case tiktoken does not cut between them."""
    neighbors = [first + second for first, second in zip(words, words[1:])]
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += sorted({word.encode() for word in words + neighbors} - set(tokens))
    tokenizer = Tokenizer(tokens)
    pieces = [tokenizer.token_bytes(token) for token in tokenizer.encode(text)]
    return [piece.decode(errors="replace") for piece in pieces]


@pytest.mark.parametrize("seed", range(20))
def test_both_engines_cut_any_text_alike(seed):
    rng = random.Random(seed)
    text = "".join(rng.choices(rng.sample(CHARACTERS, 60) + 2 * TRICKY, k=400))
    words = re.findall(WORD, text)
    assert "".join(words) == text
    assert pieces_of_tiktoken(words, text) == words


@pytest.mark.parametrize("language", SENTENCES)
def test_every_word_of_the_training_text_becomes_one_token(language):
    """With no limit on the vocabulary, every word is merged to the end, whatever its script."""
    text = SENTENCES[language] * 3
    tokenizer = Tokenizer(train_bpe(text, 5000))
    assert len(tokenizer.encode(text)) == len(re.findall(WORD, text))


@pytest.mark.parametrize("language", ["Hindi", "Thai", "Arabic", "decomposed accents"])
def test_combining_marks_stay_in_their_word(language):
    assert len(re.findall(WORD, SENTENCES[language])) <= 2 * len(SENTENCES[language].split())
