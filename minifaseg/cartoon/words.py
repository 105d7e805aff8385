"""The cartoon world's vocabulary, as a CLIP tokenizer that knows every word as one token."""
import json

from .painter import BACKDROPS, COLOURS, GLUE, GROUNDS, SYNONYMS
from .things import THINGS

WORDS = tuple(dict.fromkeys([*THINGS, *GROUNDS, *BACKDROPS, *(w for s in SYNONYMS.values() for w in s), *COLOURS, *GLUE]))


def merge(pieces, ranks):
    """Byte-pair encoding of one word: join the adjacent pair of lowest rank until no known pair is left."""
    while True:
        pairs = [(ranks[p], i) for i, p in enumerate(zip(pieces, pieces[1:])) if p in ranks]
        if not pairs:
            return pieces
        _, i = min(pairs)
        pieces = [*pieces[:i], pieces[i] + pieces[i + 1], *pieces[i + 2:]]


def tokenizer_files():
    """(vocab.json, merges.txt) as texts. Each word is encoded with the merges so far; what is left is joined by new ones, whose
    higher ranks cannot change an earlier word."""
    ranks = {}
    for word in WORDS:
        pieces = merge([*word[:-1], word[-1] + "</w>"], ranks)
        while len(pieces) > 1:
            ranks[pieces[0], pieces[1]] = len(ranks)
            pieces = merge(pieces, ranks)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789,;.'-!"
    tokens = [*letters, *(c + "</w>" for c in letters), *(a + b for a, b in ranks), "<|startoftext|>", "<|endoftext|>"]
    tokens = list(dict.fromkeys(tokens))
    return json.dumps({t: i for i, t in enumerate(tokens)}), "#version: 0.2\n" + "\n".join(map(" ".join, ranks)) + "\n"
