"""Twins: two things of one kind that only their colours tell apart, side by side.

    scene = twins(7)          # its names are "orange cat", "gray cat" and what is behind them

The first figure of FA-Seg's paper asks for such things. Here it is a hard question: in the scenes
that the cartoon model is trained on, all things of a kind have one colour.
"""
import numpy as np

from .painter import Pen, Scene, jitter, scenery
from .things import THINGS
from .words import CLASSES, COLOURS

STUFF = CLASSES[len(THINGS):]                      # grounds and backdrops
COLOURED = tuple(f"{colour} {kind}" for kind in THINGS for colour in COLOURS)
TWIN_CLASSES = (*STUFF, *COLOURED)                 # label i is TWIN_CLASSES[i - 1]


def twins(seed, size=128):
    """The `Scene` of this seed at `size` x `size` pixels: two things of one kind in two colours,
    one on the left, one on the right. labels (size, size) uint8 are numbered by TWIN_CLASSES; the
    first two classes are the twins, left and right; the caption names these two."""
    rng = np.random.default_rng([seed, 1506])
    pen = Pen(size)
    horizon, words = scenery(pen, rng, seed)
    kind = str(rng.choice(list(THINGS)))
    colours = rng.choice(list(COLOURS), 2, replace=False).tolist()
    names = [f"{colour} {kind}" for colour in colours]

    spots = []
    for name, side in zip(names, ((.18, .32), (.68, .82))):
        height = float(rng.uniform(.34, .5))
        x, y = float(rng.uniform(*side)), float(rng.uniform(max(horizon + .08, height * .95), .98))
        spots.append((y, x, height, name))
    for y, x, height, name in sorted(spots):                        # from far to near
        label = len(CLASSES) + 1 + COLOURED.index(name)
        flip, turn = int(rng.choice((-1, 1))), float(rng.uniform(-.12, .12))
        pen.place(label, x, y, height, flip, turn)
        THINGS[kind](pen, jitter(COLOURS[name.split()[0]], rng), rng)

    labels = np.maximum(np.asarray(pen.label_image).astype(int) - len(THINGS), 0).astype(np.uint8)
    seen = [c for i, c in enumerate(STUFF, start=1) if (labels == i).any()]
    told = [("an " if name[0] in "aou" else "a ") + name for name in names]
    words |= dict(zip(names, colours))
    return Scene(pen.image.reduce(2), labels, (*names, *seen), words, " and ".join(told))
