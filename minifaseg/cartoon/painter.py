"""Paints a cartoon scene with its exact label map and a caption.

Seeded, by Pillow only, in a few milliseconds.

    scene = paint(7)          # Scene(image, labels, caption, classes)

A scene is a backdrop above a horizon and a ground below it (scenery.py), and one to three things on
the ground (things.py). One scene in seven stands before plain paper, which no caption names: the
world's background, label 0. Labels are drawn with the same points as the picture but without
anti-aliasing, so that they are exact at any size (drawing.py).
"""
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image

from .drawing import Pen, jitter
from .scenery import label_of, scenery
from .things import THINGS
from .wild import Wild, pattern
from .words import CLASSES, COLOURS, TYPICAL, describe


@dataclass(frozen=True)
class Scene:
    """A painted picture, with all that is known of it."""
    image: Image.Image                       # RGB
    labels: np.ndarray                       # (size, size) uint8, index into CLASSES plus one
    classes: tuple[str, ...]                 # names visible in the picture, in label order
    words: dict[str, str]                    # colour word of each class that has one
    caption: str                             # what a person might write


def areas(labels: np.ndarray) -> dict[str, int]:
    """{class: how many pixels it has}, of all classes."""
    counts = np.bincount(labels.ravel(), minlength=len(CLASSES) + 1)
    return dict(zip(CLASSES, counts[1:].tolist()))


def choose_spots(rng: Generator, extra: Generator, horizon: float, count: int,
                 loose: Wild | None) -> list[tuple[float, float, float]]:
    """(x, y, height) of up to `count` things, from far to near.

    Two things may overlap a little, but none may hide another: a place is looked for 20 times.
    """
    spots: list[tuple[float, float, float]] = []
    for _ in range(count):
        height = float(rng.uniform(.34, .58))
        if loose:
            height *= extra.uniform(*loose.scales)
        for _ in range(20):
            x = float(rng.uniform(.16, .84))
            y = float(rng.uniform(max(horizon + .08, height * .95), .98))
            if all(abs(x - a) > .42 * (height + h) * .85 or abs(y - b) > .4 for a, b, h in spots):
                spots.append((x, y, height))
                break
    return sorted(spots, key=lambda spot: spot[1])


def draw_thing(pen: Pen, rng: Generator, extra: Generator, name: str, word: str,
               loose: Wild | None) -> None:
    """Draws a thing in the pen's frame, in about the colour of this word."""
    if not loose:
        THINGS[name](pen, jitter(COLOURS[word], rng), rng)
        return
    before = np.asarray(pen.image)
    THINGS[name](pen, jitter(COLOURS[word], extra, loose.tint), rng)
    if extra.random() < loose.patterned:
        pen.multiply(before, pattern(pen.size, extra))


def paint(seed: int, size: int = 128, *, things: tuple[str, ...] | None = None,
          ground: str | None = None, backdrop: str | None = None,
          loose: Wild | None = None) -> Scene:
    """The scene of this seed at `size` x `size` pixels.

    Another size gives the same scene, drawn finer or coarser.
    What the scene shows can be given: things ("cat", "dog"), a ground, a backdrop ("" for plain
    paper); the seed decides the rest. loose: a `Wild`, for scenes to train on.
    """
    rng = np.random.default_rng([seed, 2506])
    extra = np.random.default_rng([seed, 1977])             # leaves the draws of `rng` as they are
    pen = Pen(size, loose.view if loose else (0, 0, 1))
    horizon, words = scenery(pen, rng, seed, ground, backdrop)

    count = int(rng.choice((1, 2, 3), p=(.25, .45, .3)))
    if loose:
        count = int(extra.integers(1, loose.most + 1))
    if things:
        count = len(things)
    spots = choose_spots(rng, extra, horizon, count, loose)

    typical = loose.typical if loose else .65
    first = None
    for i, (x, y, height) in enumerate(spots):
        if first and rng.random() < .2:
            name = first
        else:
            name = str(rng.choice(list(THINGS)))
        if things:
            name = things[i]
        first = first or name
        colours = TYPICAL[name] if rng.random() < typical else list(COLOURS)
        word = words.setdefault(name, str(rng.choice(colours)))     # one colour for all of a kind
        flip, turn = int(rng.choice((-1, 1))), float(rng.uniform(-.12, .12))
        pen.place(label_of(name), x, y, height, flip, turn)
        draw_thing(pen, rng, extra, name, word, loose)

    labels = np.asarray(pen.label_image)
    classes = tuple(name for name, area in areas(labels).items() if area)
    image = pen.image.reduce(2)
    return Scene(image, labels, classes, words, describe(classes, words, rng))
