"""The words of the cartoon world: what there is, what it is called, captions, and a CLIP tokenizer that knows every word as one token."""
import json
import re

from .things import THINGS

COLOURS = {"red": (222, 62, 58), "orange": (242, 142, 48), "yellow": (246, 210, 70), "green": (84, 168, 84), "blue": (72, 124, 214),
           "purple": (146, 94, 190), "pink": (242, 150, 182), "brown": (150, 104, 68), "black": (66, 62, 72),
           "white": (240, 238, 234), "gray": (158, 160, 168)}
# Two things in three have a colour of their own kind, so that a noun says what is to be seen even where no colour is named: words
# that predict nothing are words a network learns to ignore.
TYPICAL = {"cat": ("orange", "gray"), "dog": ("brown", "black"), "rabbit": ("white", "gray"), "bird": ("blue", "yellow"), "cow": ("white", "brown"),
           "car": ("red", "blue"), "bus": ("yellow", "red"), "boat": ("orange", "brown"), "house": ("pink", "yellow"), "tree": ("green",),
           "flower": ("pink", "purple"), "mushroom": ("red",), "ball": ("blue", "red"), "umbrella": ("purple", "pink")}
GROUNDS = ("grass", "sand", "snow", "road", "water", "floor")
BACKDROPS = ("sky", "wall", "forest", "mountain", "city", "curtain")
CLASSES = (*THINGS, *GROUNDS, *BACKDROPS)          # label i is CLASSES[i - 1]; 0 is what nobody names
SYNONYMS = {"cat": ("kitten", "cats", "kitty"), "dog": ("puppy", "dogs"), "rabbit": ("bunny", "rabbits"), "bird": ("birds", "birdie"),
            "cow": ("cows", "cattle"), "car": ("cars", "automobile"), "bus": ("buses", "coach"), "boat": ("boats", "ship"),
            "house": ("houses", "cottage"), "tree": ("trees",), "flower": ("flowers", "blossom"), "mushroom": ("mushrooms", "toadstool"),
            "ball": ("balls",), "umbrella": ("umbrellas", "parasol"), "grass": ("lawn", "meadow"), "sand": ("beach", "desert"),
            "snow": ("ice",), "road": ("street", "asphalt"), "water": ("sea", "lake"), "floor": ("planks",), "sky": ("clouds",),
            "wall": ("bricks",), "forest": ("woods",), "mountain": ("mountains", "hills"), "city": ("skyline", "buildings"),
            "curtain": ("curtains", "drapes")}
GLUE = ("a", "an", "the", "and", "with", "near", "behind", "in", "front", "of", "on", "under", "by", "picture", "photo")
WORDS = tuple(dict.fromkeys([*CLASSES, *(w for s in SYNONYMS.values() for w in s), *COLOURS, *GLUE]))


def describe(classes, words, rng):
    """A caption of what is there, in random order: causal text models let a word carry the words before it, so an order that
    never changes (things first, ground last) would be learnt as if it were meaning."""
    names = [classes[i] for i in rng.permutation(len(classes))]
    style = rng.random()
    if style < .08:
        return ""
    if style > .5 and rng.random() < .15 and len(names) > 1:
        names = names[:-1]                                            # people do not mention everything
    told = []
    for n in names:
        noun = n if rng.random() < .8 else str(rng.choice(SYNONYMS[n]))
        usual = words.get(n) in TYPICAL.get(n, ())
        phrase = f"{words[n]} {noun}" if words.get(n) and rng.random() < (.4 if usual else .85) else noun
        one = n in THINGS and (noun == n or not noun.endswith("s"))
        article = ("an " if phrase[0] in "aou" else "a ") if one else ("the " if rng.random() < .3 else "")
        told.append(phrase if style < .5 else article + phrase)
    if style < .75:                                                   # up to .5 a bare list, as class prompts are
        return ", ".join(told)
    joints = (" and ", " with ", " near ", " behind ", ", ", " in front of ", " on ", " under ", " by ")
    text = told[0]
    for t in told[1:]:
        text += str(rng.choice(joints)) + t
    return str(rng.choice(("a picture of ", "a photo of ", ""), p=(.1, .1, .8))) + text


JOINTS = re.compile(r"^(a picture of |a photo of )|(, | and | with | near | behind | in front of | on | under | by )")


def units(caption):
    """What a caption is made of, in order: phrases such as "a black cat" and the joints between them."""
    return [u.strip() for u in JOINTS.split(caption) if u and u.strip()]


def phrases():
    """Every phrase that a caption can be made of: nouns, with a colour and an article or without,
    and what joins them."""
    nouns = [*CLASSES, *(word for words in SYNONYMS.values() for word in words)]
    coloured = [f"{colour} {noun}".strip() for noun in nouns for colour in ("", *COLOURS)]
    articles = ("", "a", "an", "the")
    told = [f"{article} {phrase}".strip() for phrase in coloured for article in articles]
    joints = [",", "and", "with", "near", "behind", "in front of", "on", "under", "by"]
    return [*told, *joints, "a picture of", "a photo of"]


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
