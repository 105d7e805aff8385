"""The words of the cartoon world: names, colours, captions, and their tokenizer.

The tokenizer is CLIP's kind of byte-pair encoding; it knows every word as one token.
"""
import json
import re
from collections.abc import Sequence

from numpy.random import Generator

from .things import THINGS

COLOURS = {
    "red": (222, 62, 58), "orange": (242, 142, 48), "yellow": (246, 210, 70),
    "green": (84, 168, 84), "blue": (72, 124, 214), "purple": (146, 94, 190),
    "pink": (242, 150, 182), "brown": (150, 104, 68), "black": (66, 62, 72),
    "white": (240, 238, 234), "gray": (158, 160, 168),
}

# Two things in three have a colour of their own kind. So a noun says what is to be seen even where
# no colour is named: a network learns to ignore words that predict nothing.
TYPICAL = {
    "cat": ("orange", "gray"), "dog": ("brown", "black"), "rabbit": ("white", "gray"),
    "bird": ("blue", "yellow"), "cow": ("white", "brown"), "car": ("red", "blue"),
    "bus": ("yellow", "red"), "boat": ("orange", "brown"), "house": ("pink", "yellow"),
    "tree": ("green",), "flower": ("pink", "purple"), "mushroom": ("red",),
    "ball": ("blue", "red"), "umbrella": ("purple", "pink"),
}

GROUNDS = ("grass", "sand", "snow", "road", "water", "floor")
BACKDROPS = ("sky", "wall", "forest", "mountain", "city", "curtain")
CLASSES = (*THINGS, *GROUNDS, *BACKDROPS)          # label i is CLASSES[i - 1]; 0 has no name

SYNONYMS = {
    "cat": ("kitten", "cats", "kitty"), "dog": ("puppy", "dogs"), "rabbit": ("bunny", "rabbits"),
    "bird": ("birds", "birdie"), "cow": ("cows", "cattle"), "car": ("cars", "automobile"),
    "bus": ("buses", "coach"), "boat": ("boats", "ship"), "house": ("houses", "cottage"),
    "tree": ("trees",), "flower": ("flowers", "blossom"), "mushroom": ("mushrooms", "toadstool"),
    "ball": ("balls",), "umbrella": ("umbrellas", "parasol"), "grass": ("lawn", "meadow"),
    "sand": ("beach", "desert"), "snow": ("ice",), "road": ("street", "asphalt"),
    "water": ("sea", "lake"), "floor": ("planks",), "sky": ("clouds",), "wall": ("bricks",),
    "forest": ("woods",), "mountain": ("mountains", "hills"), "city": ("skyline", "buildings"),
    "curtain": ("curtains", "drapes"),
}
NOUNS = [*CLASSES, *(word for words in SYNONYMS.values() for word in words)]

GLUE = ("a", "an", "the", "and", "with", "near", "behind", "in", "front", "of", "on", "under", "by",
        "picture", "photo")
WORDS = tuple(dict.fromkeys([*NOUNS, *COLOURS, *GLUE]))     # in the order of their token ids

# What joins the phrases of a caption, and what may stand before them.
JOINTS = (" and ", " with ", " near ", " behind ", ", ", " in front of ", " on ", " under ", " by ")
OPENINGS = ("a picture of ", "a photo of ")


def describe(classes: Sequence[str], words: dict[str, str], rng: Generator) -> str:
    """A caption of what is there; now and then an empty one.

    The order is random. In a causal text model a word carries the words before it, so that an order
    that never changes (things first, ground last) would be learnt as if it had a meaning.
    words: the colour word of each class that has one.
    """
    names = [classes[i] for i in rng.permutation(len(classes))]
    style = rng.random()
    if style < .08:
        return ""
    if style > .5 and rng.random() < .15 and len(names) > 1:
        names = names[:-1]                                  # people do not mention everything

    phrases = []
    for name in names:
        article, phrase = noun_phrase(name, words.get(name, ""), rng)
        phrases.append(phrase if style < .5 else article + phrase)
    if style < .75:                                         # below .5 as class prompts are
        return ", ".join(phrases)
    text = phrases[0]
    for phrase in phrases[1:]:
        text += str(rng.choice(JOINTS)) + phrase
    return str(rng.choice((*OPENINGS, ""), p=(.1, .1, .8))) + text


def noun_phrase(name: str, colour: str, rng: Generator) -> tuple[str, str]:
    """(article, phrase) of a class: by its name or a synonym, with its colour or without.

    A colour that is not typical is named more often.
    """
    noun = name if rng.random() < .8 else str(rng.choice(SYNONYMS[name]))
    phrase = noun
    if colour:
        usual = colour in TYPICAL.get(name, ())
        if rng.random() < (.4 if usual else .85):
            phrase = f"{colour} {noun}"

    countable = name in THINGS and (noun == name or not noun.endswith("s"))
    if countable:
        return "an " if phrase[0] in "aou" else "a ", phrase
    return "the " if rng.random() < .3 else "", phrase


PARTS = re.compile(f"^({'|'.join(OPENINGS)})|({'|'.join(JOINTS)})")


def units(caption: str) -> list[str]:
    """What a caption is made of, in order: phrases such as "a black cat" and the joints."""
    parts = [part.strip() for part in PARTS.split(caption) if part]
    return [part for part in parts if part]


def phrases() -> list[str]:
    """Every phrase that a caption can be made of.

    Nouns, with and without a colour, with and without an article; then joints and openings.
    """
    coloured = [f"{colour} {noun}".strip() for noun in NOUNS for colour in ("", *COLOURS)]
    articles = ("", "a", "an", "the")
    noun_phrases = [f"{article} {phrase}".strip() for phrase in coloured for article in articles]
    joints = [joint.strip() for joint in JOINTS if joint != ", "]
    return [*noun_phrases, ",", *joints, *(opening.strip() for opening in OPENINGS)]


def merge(pieces: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Byte-pair encoding of one word.

    Joins the adjacent pair of lowest rank until no known pair is left.
    """
    while True:
        known = []
        for i, pair in enumerate(zip(pieces, pieces[1:])):
            if pair in ranks:
                known.append((ranks[pair], i))
        if not known:
            return pieces
        _, i = min(known)
        pieces = [*pieces[:i], pieces[i] + pieces[i + 1], *pieces[i + 2:]]


def tokenizer_files() -> tuple[str, str]:
    """The texts of vocab.json and merges.txt.

    Each word is encoded with the merges so far. New merges join the pieces that are left; their
    ranks are higher, so that they cannot change an earlier word.
    """
    ranks: dict[tuple[str, str], int] = {}
    for word in WORDS:
        pieces = merge([*word[:-1], word[-1] + "</w>"], ranks)
        while len(pieces) > 1:
            ranks[pieces[0], pieces[1]] = len(ranks)
            pieces = merge(pieces, ranks)

    letters = list("abcdefghijklmnopqrstuvwxyz0123456789,;.'-!")
    last_letters = [letter + "</w>" for letter in letters]
    merged = [first + second for first, second in ranks]
    tokens = [*letters, *last_letters, *merged, "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    merges = ["#version: 0.2", *map(" ".join, ranks)]
    return json.dumps(vocabulary), "\n".join(merges) + "\n"
