"""Gemma's tokenizer: it cuts text into the 262,144 pieces that Gemma was trained with.

It has the interface of `data.Tokenizer`.

The vocabulary comes from SentencePiece (Kudo & Richardson 2018), which differs from
`data.train_bpe` in three ways. It merges characters, and falls back to bytes where it lacks one. A
space is a letter like others, written as a visible sign, so no rule has to cut text into words
first. And each piece has a score: of all merges in the text the best one comes first.
"""

import heapq
import re

SPACE = "\u2581"  # SentencePiece's visible space, a low block
NORMAL, USER_DEFINED, BYTE = 1, 4, 6  # kinds of pieces, as GGUF numbers them; control pieces are 3


class GemmaTokenizer:
    """Has the interface of `data.Tokenizer`, and `bos_id`: Gemma's documents begin with a bos.

    No text is encoded to a control piece: a typed "<eos>" is ordinary text."""

    def __init__(self, values):
        """`values` are those of a GGUF file."""
        self.pieces = values["tokenizer.ggml.tokens"]
        self.kinds = values["tokenizer.ggml.token_type"]
        self.scores = values["tokenizer.ggml.scores"]
        self.vocab_size = len(self.pieces)
        self.bos_id = values["tokenizer.ggml.bos_token_id"]
        self.eos_id = values["tokenizer.ggml.eos_token_id"]
        self.prefix = (self.bos_id,)  # begins every prompt
        self.start_id = self.bos_id
        self.ids = self.ids_of_kind(NORMAL)
        self.byte_ids = {int(piece[1:-1], 16): i for piece, i in self.ids_of_kind(BYTE).items()}

        # Some pieces were added by hand, and are cut out of a text before all others, the longest
        # first: HTML tags, runs of spaces, tabs and line ends.
        self.user_defined = self.ids_of_kind(USER_DEFINED)
        longest_first = sorted(self.user_defined, key=len, reverse=True)
        self.pattern = re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    def ids_of_kind(self, kind):
        """{piece: id}. A byte's piece is its number, "<0x0A>"."""
        return {piece: i for i, piece in enumerate(self.pieces) if self.kinds[i] == kind}

    def encode(self, text):
        """Text -> list of ids, without a bos. A character without an id becomes its bytes."""
        ids = []
        for part in self.pattern.split(text):
            if part in self.user_defined:
                ids.append(self.user_defined[part])
                continue
            for piece in self.merge(part.replace(" ", SPACE)):
                if piece in self.ids:
                    ids.append(self.ids[piece])
                else:
                    ids += [self.byte_ids[byte] for byte in piece.encode(errors="replace")]
        return ids

    def merge(self, text):
        """Join the two neighbors whose union has the best score, until no union is a piece
        (Sennrich et al. 2016, on characters). Returns the pieces. The unions wait in a heap."""
        pieces, heap = list(text), []
        before = [i - 1 for i in range(len(pieces))]  # the neighbors of a piece, as indices
        after = [i + 1 for i in range(len(pieces))]

        def offer(i, j):
            if i < 0 or j == len(pieces):
                return  # the text ends here
            union = pieces[i] + pieces[j]
            if union in self.ids:
                heapq.heappush(heap, (-self.scores[self.ids[union]], i, j, union))

        for i in range(len(pieces) - 1):
            offer(i, i + 1)
        while heap:
            _, i, j, union = heapq.heappop(heap)
            if after[i] != j or pieces[i] + pieces[j] != union:
                continue  # one of the two has changed since

            # Piece i takes piece j in, which is a neighbor no longer.
            pieces[i], pieces[j] = union, ""
            after[i], after[j] = after[j], None
            if after[i] < len(pieces):
                before[after[i]] = i
            offer(before[i], i)
            offer(i, after[i])
        return [piece for piece in pieces if piece]

    def token_bytes(self, token):
        """The bytes of one token; some are only a part of a character."""
        piece = self.pieces[token]
        if self.kinds[token] == BYTE:
            return bytes([int(piece[1:-1], 16)])
        return piece.replace(SPACE, " ").encode()

    def decode(self, ids):
        """Bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode(errors="replace")
