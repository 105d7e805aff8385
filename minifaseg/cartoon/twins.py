"""Twins: two things of one kind, side by side, that only their colours tell apart.

    scene = twins(7)          # its names are "orange cat", "gray cat" and what is behind them

The first figure of FA-Seg's paper asks for such things. Here it is a hard question: in the scenes
that the cartoon model is trained on, all things of a kind have one colour.
"""
import numpy as np

from .drawing import Pen, jitter
from .painter import Scene
from .scenery import scenery
from .things import THINGS
from .words import CLASSES, COLOURS

STUFF = CLASSES[len(THINGS):]                      # grounds and backdrops
COLOURED = tuple(f"{colour} {kind}" for kind in THINGS for colour in COLOURS)
TWIN_CLASSES = (*STUFF, *COLOURED)                 # label i is TWIN_CLASSES[i - 1]


def twins(seed: int, size: int = 128) -> Scene:
    """The `Scene` of this seed at `size` x `size` pixels.

    It has two things of one kind in two colours, one on the left, one on the right.
    Its labels (size, size) uint8 are numbered by TWIN_CLASSES. The first two classes are the twins,
    left and right; the caption names only these two.
    """
    rng = np.random.default_rng([seed, 1506])
    pen = Pen(size)
    horizon, words = scenery(pen, rng, seed)
    kind = str(rng.choice(list(THINGS)))
    colours = rng.choice(list(COLOURS), 2, replace=False).tolist()
    names = [f"{colour} {kind}" for colour in colours]

    spots = []
    for name, colour, span in zip(names, colours, ((.18, .32), (.68, .82))):
        height, x = float(rng.uniform(.34, .5)), float(rng.uniform(*span))
        y = float(rng.uniform(max(horizon + .08, height * .95), .98))
        spots.append((y, x, height, name, colour))
    for y, x, height, name, colour in sorted(spots):                # from far to near
        label = len(CLASSES) + 1 + COLOURED.index(name)
        flip, turn = int(rng.choice((-1, 1))), float(rng.uniform(-.12, .12))
        pen.place(label, x, y, height, flip, turn)
        THINGS[kind](pen, jitter(COLOURS[colour], rng), rng)

    # TWIN_CLASSES are CLASSES without the plain things, then the coloured things.
    labels = np.asarray(pen.label_image).astype(int) - len(THINGS)
    labels = labels.clip(min=0).astype(np.uint8)
    visible = [name for i, name in enumerate(STUFF, start=1) if (labels == i).any()]
    phrases = [("an " if name[0] in "aou" else "a ") + name for name in names]
    words |= dict(zip(names, colours))
    return Scene(pen.image.reduce(2), labels, (*names, *visible), words, " and ".join(phrases))
