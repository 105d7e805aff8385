"""Paints a cartoon scene with its exact label map and a caption. Seeded, Pillow only, a few milliseconds.

    scene = paint(7)          # Scene(image, labels, caption, classes)

A scene is a backdrop above a horizon, a ground below it, and one to three things of `things.py` on the ground. One scene in
seven stands before plain paper, which no caption names: the world's background, label 0. Labels are drawn with the same
points as the picture but without anti-aliasing, so that they are exact at any size.
"""
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .things import INK, THINGS, WHITE, ring, shade
from .wild import pattern
from .words import BACKDROPS, CLASSES, COLOURS, GROUNDS, TYPICAL, describe


@dataclass(frozen=True)
class Scene:
    """image: RGB picture; labels: (size, size) uint8, index into CLASSES plus one; classes: the names visible in the picture, in
    label order; words: the colour word of each class that has one; caption: what a person might write."""
    image: Image.Image
    labels: np.ndarray
    classes: tuple[str, ...]
    words: dict[str, str]
    caption: str


class Pen:
    """Draws polygons, given in a thing's own frame, on the picture (twice the size, smoothed later)
    and on the labels.

    view: (x, y, side) of the part of the scene that fills the picture; (0, 0, 1) is all of it.
    """

    def __init__(self, size, view=(0, 0, 1)):
        self.size = size
        self.corner, self.zoom = np.array(view[:2]), 1 / view[2]
        self.image = Image.new("RGB", (2 * size, 2 * size))
        self.label_image = Image.new("L", (size, size), 0)
        self.draw, self.label_draw = ImageDraw.Draw(self.image), ImageDraw.Draw(self.label_image)
        self.place(0, 0, 0, 1)

    def place(self, label, x, y, scale, flip=1, turn=0.0):
        """From here on, draw with this label, feet at (x, y), `scale` tall, in units of the picture's side."""
        self.label, self.scale = label, scale
        c, s = np.cos(turn) * scale, np.sin(turn) * scale
        self.matrix, self.offset = np.array([[c * flip, -s], [s * flip, c]]), np.array([x, y])

    def _points(self, points):
        p = np.asarray(points) @ self.matrix.T + self.offset
        return (p - self.corner) * self.zoom * self.size

    def shape(self, points, fill, line=1.0):
        p = self._points(points)
        flat = (p * 2).ravel().tolist()
        self.draw.polygon(flat, fill)
        if line:
            width = max(1, round(line * 0.022 * self.size * max(self.scale, 0.3) * self.zoom))
            self.draw.line(flat + flat[:4], INK, width, joint="curve")
        self.label_draw.polygon(p.ravel().tolist(), self.label)

    def stroke(self, points, fill, width):
        p = self._points(points)
        w = width * self.scale * self.size * self.zoom
        self.draw.line((p * 2).ravel().tolist(), fill, max(1, round(2 * w)), joint="curve")
        if w >= 1:
            self.label_draw.line(p.ravel().tolist(), self.label, max(1, round(w)), joint="curve")


    def multiply(self, before, factors):
        """Darkens what was drawn since `before` (2 size, 2 size, 3) by factors (2 size, 2 size)."""
        now = np.asarray(self.image)
        drawn = (now != before).any(-1)
        now = np.where(drawn[..., None], now * factors[..., None], now)
        self.image.paste(Image.fromarray(now.astype(np.uint8)))


def jitter(colour, rng, by=14):
    return tuple(int(c) for c in np.clip(np.asarray(colour) + rng.integers(-by, by + 1, 3), 0, 255))


def lerp(a, b, u):
    return tuple(int(x + (y - x) * u) for x, y in zip(a, b))


def gradient(pen, top, bottom, y1, bands=14):
    for i in range(bands):
        pen.shape([(0, y1 * i / bands), (1, y1 * i / bands), (1, y1 * (i + 1) / bands + .01), (0, y1 * (i + 1) / bands + .01)],
                  lerp(top, bottom, i / (bands - 1)), line=0)


# ---- backdrops: from the top of the picture down to the horizon y ---------------------------------------------------------------
DAY, DUSK, NIGHT = ((96, 168, 232), (206, 232, 248)), ((110, 96, 176), (248, 176, 140)), ((34, 38, 92), (92, 98, 164))


def sky(pen, y, rng, colour):
    hour = (DAY, DAY, DAY, DUSK, NIGHT)[rng.integers(5)]
    gradient(pen, jitter(hour[0], rng), jitter(hour[1], rng), y)
    if hour is NIGHT:
        for _ in range(12):
            pen.shape(ring(rng.random(), rng.random() * y, 0.006, n=6), (255, 250, 210), line=0)
        pen.shape(ring(rng.uniform(.15, .85), 0.14, 0.06), (250, 240, 200), line=0)
    else:
        if rng.random() < 0.5:
            pen.shape(ring(rng.uniform(.1, .9), 0.13, 0.07), (255, 226, 120), line=0)
        for _ in range(rng.integers(1, 4)):
            x, h, w = rng.random(), rng.uniform(.06, .3), rng.uniform(.05, .09)
            for dx, r in ((-w, .6), (0, .9), (w, .65)):
                pen.shape(ring(x + dx, h, w * r * 1.1, w * r * .7, n=14), (252, 252, 252), line=0)


def wall(pen, y, rng, colour):
    box = lambda x0, y0, x1, y1: [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    pen.shape(box(0, 0, 1, y + .01), colour, line=0)
    if rng.random() < 0.5:                                            # bricks
        for row in range(int(y / 0.08) + 1):
            pen.shape(box(0, row * .08, 1, row * .08 + .01), shade(colour, -.25), line=0)
            for x in range(5):
                x = (x + row % 2 / 2) * .22
                pen.shape(box(x, row * .08, x + .01, min((row + 1) * .08, y)), shade(colour, -.25), line=0)
    else:                                                             # wallpaper and a picture frame
        for x in range(7):
            pen.shape(box(x / 6.5, 0, x / 6.5 + .06, y + .01), shade(colour, .18), line=0)
        x = rng.uniform(.1, .7)
        pen.shape(box(x, .08, x + .2, .24), (176, 130, 80))
        pen.shape(box(x + .025, .105, x + .175, .215), (236, 232, 214), line=0.5)


def forest(pen, y, rng, colour):
    gradient(pen, (50, 96, 76), (112, 158, 104), y)
    for tone in (-.2, .06):
        for i in range(7):
            x, w = (i + rng.uniform(.1, .9)) / 7, rng.uniform(.015, .03)
            pen.shape([(x - w, 0), (x + w, 0), (x + w * 1.4, y), (x - w * 1.4, y)], shade((96, 72, 56), tone), line=0.5)
    for i in range(9):
        pen.shape(ring((i + rng.random()) / 9, rng.uniform(0, .08), .1, .09, n=14), jitter((58, 120, 72), rng), line=0)
    for i in range(8):
        pen.shape(ring((i + rng.random()) / 8, y, .08, rng.uniform(.03, .06), 3.14, 6.29, n=12), jitter((66, 126, 74), rng), line=0)


def mountain(pen, y, rng, colour):
    base = jitter(((118, 124, 150), (136, 112, 116), (104, 130, 128))[rng.integers(3)], rng)
    for layer, tone in ((0, .25), (1, 0)):
        x = rng.uniform(-.3, -.1)
        while x < 1.1:
            w, h = rng.uniform(.22, .34), rng.uniform(.5, .85) * y * (1 - .3 * layer)
            peak = (x + w, y - h)
            pen.shape([(x, y + .01), peak, (x + 2 * w, y + .01)], shade(base, tone))
            cap = lambda u, side: (peak[0] + side * w * u, peak[1] + h * u)
            pen.shape([peak, cap(.3, -1), (peak[0] - .02, peak[1] + h * .22), (peak[0] + .02, peak[1] + h * .32), cap(.28, 1)], WHITE, line=0)
            x += w * rng.uniform(.9, 1.3)
    pen.shape([(0, y - .06), (1, y - .06), (1, y + .01), (0, y + .01)], shade(base, 0), line=0)


def city(pen, y, rng, colour):
    x, lit = -.05, rng.random() < .5
    while x < 1:
        w, h = rng.uniform(.1, .2), rng.uniform(.45, .92) * y
        tone = jitter(((120, 128, 152), (150, 132, 130), (96, 108, 136))[rng.integers(3)], rng)
        pen.shape([(x, y + .01), (x, y - h), (x + w, y - h), (x + w, y + .01)], tone)
        for wy in range(int(h / .07)):
            for wx in range(max(1, int(w / .05))):
                if rng.random() < .75:
                    a, b = x + .015 + wx * .05, y - h + .025 + wy * .07
                    pen.shape([(a, b), (a + .024, b), (a + .024, b + .035), (a, b + .035)], (255, 234, 150) if lit else (206, 226, 240), line=0)
        x += w


def curtain(pen, y, rng, colour):
    n = int(rng.integers(7, 11))
    for i in range(n):
        a, b = i / n, (i + 1) / n
        for u, tone in ((0, -.28), (.25, 0), (.5, .2), (.75, -.08)):
            pen.shape([(a + (b - a) * u, 0), (b, 0), (b, y + .01), (a + (b - a) * u, y + .01)], shade(colour, tone), line=0)
    for i in range(n):
        pen.shape(ring((i + .5) / n, .03, .55 / n, .05, 0, 3.15, n=10), shade(colour, -.35), line=0)


# ---- grounds: from the horizon down; the outline of the horizon is drawn by `paint` -----------------------------------------------
def grass(pen, y, rng, tone):
    for _ in range(45):
        x, v, h = rng.random(), rng.uniform(y + .03, 1), rng.uniform(.015, .035)
        pen.shape([(x - .008, v), (x + rng.uniform(-.015, .015), v - h), (x + .008, v)], shade(tone, rng.uniform(-.3, .3)), line=0)


def sand(pen, y, rng, tone):
    for _ in range(60):
        pen.shape(ring(rng.random(), rng.uniform(y + .02, 1), .004, n=6), shade(tone, rng.uniform(-.4, .3)), line=0)
    for _ in range(4):
        x, v = rng.random(), rng.uniform(y + .05, 1)
        pen.shape(ring(x, v, .14, .012, n=16), shade(tone, -.12), line=0)


def snow(pen, y, rng, tone):
    for _ in range(5):
        x, v = rng.random(), rng.uniform(y + .05, 1)
        pen.shape(ring(x, v, .2, .02, n=16), shade(tone, -.08), line=0)
    for _ in range(18):
        pen.shape(ring(rng.random(), rng.uniform(y + .02, 1), .007, n=7), (176, 200, 232), line=0)


def road(pen, y, rng, tone):
    for v in (y + .05, .96):
        pen.shape([(0, v), (1, v), (1, v + .02), (0, v + .02)], shade(tone, .6), line=0)
    v, start = (y + 1) / 2, rng.uniform(-.2, 0)
    for i in range(7):
        x = start + i * .2
        pen.shape([(x, v), (x + .11, v), (x + .1, v + .03), (x - .01, v + .03)], (248, 232, 160), line=0)


def water(pen, y, rng, tone):
    for row in range(int((1 - y) / .06)):
        v = y + .05 + row * .06
        for i in range(6):
            x = (i + rng.random() * .5 + row % 2 / 2) / 6
            pen.shape([(x - .05, v), (x - .025, v - .014), (x, v), (x + .025, v - .014), (x + .05, v), (x, v + .012)], shade(tone, .35), line=0)


def floor(pen, y, rng, tone):
    for i in range(int((1 - y) / .09) + 1):
        v = y + .09 * i
        pen.shape([(0, v), (1, v), (1, v + .009), (0, v + .009)], shade(tone, -.35), line=0)
        for j in range(3):
            x = (j + (i % 2) / 2 + .2) / 3
            pen.shape([(x, v), (x + .009, v), (x + .009, v + .09), (x, v + .09)], shade(tone, -.35), line=0)


GROUND_TONES = {"grass": (112, 178, 84), "sand": (234, 206, 144), "snow": (236, 242, 250), "road": (112, 112, 122),
                "water": (72, 146, 204), "floor": (196, 146, 98)}


def label_of(name):
    return CLASSES.index(name) + 1


def scenery(pen, rng, seed, ground=None, backdrop=None):
    """Draws all that things stand on and before. Returns the height y of the horizon, and the
    colour words of the scene so far: {name: colour word or ""}."""
    horizon, swell = float(rng.uniform(.4, .62)), float(rng.uniform(-.035, .035))
    behind = horizon + abs(swell)                                     # the backdrop reaches behind the ground's rim
    words = {}

    drawn = "" if rng.random() < 1 / 7 else str(rng.choice(BACKDROPS))
    backdrop = drawn if backdrop is None else backdrop
    if backdrop in ("wall", "curtain"):
        words[backdrop] = str(rng.choice(["red", "yellow", "green", "blue", "purple", "pink", "brown", "gray", "white"]))
    pen.place(0, 0, 0, 1)
    if not backdrop:                                                  # plain paper
        pen.shape([(0, 0), (1, 0), (1, 1), (0, 1)], jitter((238, 230, 214), rng, 10), line=0)
    if backdrop in ("sky", "mountain", "city"):
        pen.place(label_of("sky"), 0, 0, 1)
        sky(pen, behind, rng, None)
    if backdrop not in ("", "sky"):
        colour = shade(jitter(COLOURS[words.get(backdrop, "gray")], rng), .15)
        pen.place(label_of(backdrop), 0, 0, 1)
        globals()[backdrop](pen, behind, rng, colour)

    drawn = str(rng.choice(GROUNDS))
    ground = ground or drawn
    tone = jitter(GROUND_TONES[ground], rng, 12)
    swell = 0 if ground in ("road", "water", "floor") else swell
    pen.place(label_of(ground), 0, 0, 1)
    rim = [(x / 12, horizon + swell * float(np.sin(x / 12 * 3.1 + seed))) for x in range(-1, 14)]
    pen.shape(rim + [(1.1, 1.1), (-.1, 1.1)], tone)
    globals()[ground](pen, horizon + abs(swell), rng, tone)
    return horizon, words


def paint(seed, size=128, *, things=None, ground=None, backdrop=None, loose=None):
    """The scene of this seed at `size` x `size` pixels. The same seed at another size is the same
    scene, drawn finer. What is to be seen can be given: things ("cat", "dog"), a ground, a backdrop
    ("" for plain paper); the seed decides the rest. loose: a `Wild`, for scenes to train on."""
    rng = np.random.default_rng([seed, 2506])
    extra = np.random.default_rng([seed, 1977])           # leaves the draws of `rng` as they are
    pen = Pen(size, loose.view if loose else (0, 0, 1))
    horizon, words = scenery(pen, rng, seed, ground, backdrop)
    names = []

    spots = []                                                        # things, from far to near
    count = int(rng.choice((1, 2, 3), p=(.25, .45, .3)))
    if loose:
        count = int(extra.integers(1, loose.most + 1))
    for _ in range(len(things) if things else count):
        height = float(rng.uniform(.34, .58))
        if loose:
            height *= extra.uniform(*loose.scales)
        for _ in range(20):                                           # a little overlap is fine, hiding is not
            x, y = float(rng.uniform(.16, .84)), float(rng.uniform(max(horizon + .08, height * .95), .98))
            if all(abs(x - a) > .42 * (height + h) * .85 or abs(y - b) > .4 for a, b, h in spots):
                spots.append((x, y, height))
                break
    for i, (x, y, height) in enumerate(sorted(spots, key=lambda s: s[1])):
        again = [n for n in names if n in THINGS]
        name = again[0] if again and rng.random() < .2 else str(rng.choice(list(THINGS)))
        name = things[i] if things else name
        usual = rng.random() < (loose.typical if loose else .65)
        word = words.setdefault(name, str(rng.choice(TYPICAL[name] if usual else list(COLOURS))))
        names.append(name)
        pen.place(label_of(name), x, y, height, flip=int(rng.choice((-1, 1))), turn=float(rng.uniform(-.12, .12)))
        if loose:
            before = np.asarray(pen.image)
            THINGS[name](pen, jitter(COLOURS[word], extra, loose.tint), rng)
            if extra.random() < loose.patterned:
                pen.multiply(before, pattern(size, extra))
        else:
            THINGS[name](pen, jitter(COLOURS[word], rng), rng)

    labels = np.asarray(pen.label_image)
    area = np.bincount(labels.ravel(), minlength=len(CLASSES) + 1)[1:]
    classes = tuple(c for c, n in zip(CLASSES, area) if n)
    image = pen.image.reduce(2)
    return Scene(image, labels, classes, words, describe(classes, words, rng))
