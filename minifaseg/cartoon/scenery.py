"""What the things of a scene stand on and before: a backdrop above a horizon, a ground below it."""
import numpy as np
from numpy.random import Generator

from .drawing import WHITE, Colour, Pen, box, jitter, mix, ring, shade
from .words import BACKDROPS, CLASSES, COLOURS, GROUNDS

# (colour at the top, colour at the horizon)
DAY = ((96, 168, 232), (206, 232, 248))
DUSK = ((110, 96, 176), (248, 176, 140))
NIGHT = ((34, 38, 92), (92, 98, 164))

GROUND_TONES = {"grass": (112, 178, 84), "sand": (234, 206, 144), "snow": (236, 242, 250),
                "road": (112, 112, 122), "water": (72, 146, 204), "floor": (196, 146, 98)}
FLAT = ("road", "water", "floor")            # grounds whose horizon is straight
PAINTED = ("wall", "curtain")                # backdrops that have a colour word


def label_of(name: str) -> int:
    return CLASSES.index(name) + 1


# ---- backdrops: from the top of the picture down to the horizon y -------------------------------
# colour: of walls and curtains; the others have colours of their own.

def gradient(pen: Pen, top: Colour, bottom: Colour, y: float, bands: int = 14) -> None:
    for i in range(bands):
        band = box(0, y * i / bands, 1, y * (i + 1) / bands + .01)
        pen.fill(band, mix(top, bottom, i / (bands - 1)))


def sky(pen: Pen, y: float, rng: Generator, colour: Colour | None = None) -> None:
    hour = (DAY, DAY, DAY, DUSK, NIGHT)[rng.integers(5)]
    gradient(pen, jitter(hour[0], rng), jitter(hour[1], rng), y)
    if hour is NIGHT:
        for _ in range(12):
            pen.fill(ring(rng.random(), rng.random() * y, 0.006, n=6), (255, 250, 210))
        pen.fill(ring(rng.uniform(.15, .85), 0.14, 0.06), (250, 240, 200))
        return
    if rng.random() < 0.5:
        pen.fill(ring(rng.uniform(.1, .9), 0.13, 0.07), (255, 226, 120))
    for _ in range(rng.integers(1, 4)):
        x, h, w = rng.random(), rng.uniform(.06, .3), rng.uniform(.05, .09)
        for dx, r in ((-w, .6), (0, .9), (w, .65)):
            puff = ring(x + dx, h, w * r * 1.1, w * r * .7, n=14)
            pen.fill(puff, (252, 252, 252))


def wall(pen: Pen, y: float, rng: Generator, colour: Colour) -> None:
    pen.fill(box(0, 0, 1, y + .01), colour)
    if rng.random() < 0.5:
        bricks(pen, y, shade(colour, -.25))
        return
    for i in range(7):                                      # wallpaper
        pen.fill(box(i / 6.5, 0, i / 6.5 + .06, y + .01), shade(colour, .18))
    x = rng.uniform(.1, .7)                                 # a picture frame
    pen.shape(box(x, .08, x + .2, .24), (176, 130, 80))
    pen.shape(box(x + .025, .105, x + .175, .215), (236, 232, 214), line=0.5)


def bricks(pen: Pen, y: float, joint: Colour) -> None:
    for row in range(int(y / 0.08) + 1):
        pen.fill(box(0, row * .08, 1, row * .08 + .01), joint)
        for column in range(5):
            x = (column + row % 2 / 2) * .22
            pen.fill(box(x, row * .08, x + .01, min((row + 1) * .08, y)), joint)


def forest(pen: Pen, y: float, rng: Generator, colour: Colour) -> None:
    gradient(pen, (50, 96, 76), (112, 158, 104), y)
    for tone in (-.2, .06):
        for i in range(7):
            x, w = (i + rng.uniform(.1, .9)) / 7, rng.uniform(.015, .03)
            trunk = [(x - w, 0), (x + w, 0), (x + w * 1.4, y), (x - w * 1.4, y)]
            pen.shape(trunk, shade((96, 72, 56), tone), line=0.5)
    for i in range(9):
        leaves = ring((i + rng.random()) / 9, rng.uniform(0, .08), .1, .09, n=14)
        pen.fill(leaves, jitter((58, 120, 72), rng))
    for i in range(8):
        bush = ring((i + rng.random()) / 8, y, .08, rng.uniform(.03, .06), 3.14, 6.29, n=12)
        pen.fill(bush, jitter((66, 126, 74), rng))


def mountain(pen: Pen, y: float, rng: Generator, colour: Colour) -> None:
    rocks = ((118, 124, 150), (136, 112, 116), (104, 130, 128))
    rock = jitter(rocks[rng.integers(3)], rng)
    for layer, tone in ((0, .25), (1, 0)):
        x = rng.uniform(-.3, -.1)
        while x < 1.1:
            w, h = rng.uniform(.22, .34), rng.uniform(.5, .85) * y * (1 - .3 * layer)
            peak = (x + w, y - h)
            pen.shape([(x, y + .01), peak, (x + 2 * w, y + .01)], shade(rock, tone))
            left = (peak[0] - w * .3, peak[1] + h * .3)
            right = (peak[0] + w * .28, peak[1] + h * .28)
            dent = (peak[0] - .02, peak[1] + h * .22)
            tongue = (peak[0] + .02, peak[1] + h * .32)
            pen.fill([peak, left, dent, tongue, right], WHITE)     # snow
            x += w * rng.uniform(.9, 1.3)
    pen.fill(box(0, y - .06, 1, y + .01), rock)


def city(pen: Pen, y: float, rng: Generator, colour: Colour) -> None:
    tones = ((120, 128, 152), (150, 132, 130), (96, 108, 136))
    x = -.05
    window = (255, 234, 150) if rng.random() < .5 else (206, 226, 240)
    while x < 1:
        w, h = rng.uniform(.1, .2), rng.uniform(.45, .92) * y
        tone = jitter(tones[rng.integers(3)], rng)
        pen.shape([(x, y + .01), (x, y - h), (x + w, y - h), (x + w, y + .01)], tone)
        for row in range(int(h / .07)):
            for column in range(max(1, int(w / .05))):
                if rng.random() < .75:
                    a, b = x + .015 + column * .05, y - h + .025 + row * .07
                    pen.fill(box(a, b, a + .024, b + .035), window)
        x += w


def curtain(pen: Pen, y: float, rng: Generator, colour: Colour) -> None:
    n = int(rng.integers(7, 11))
    for i in range(n):
        a, b = i / n, (i + 1) / n
        for u, tone in ((0, -.28), (.25, 0), (.5, .2), (.75, -.08)):
            fold = box(a + (b - a) * u, 0, b, y + .01)
            pen.fill(fold, shade(colour, tone))
    for i in range(n):
        hem = ring((i + .5) / n, .03, .55 / n, .05, 0, 3.15, n=10)
        pen.fill(hem, shade(colour, -.35))


# ---- grounds: from the horizon y down to the bottom; `scenery` has filled them -------------------

def grass(pen: Pen, y: float, rng: Generator, tone: Colour) -> None:
    for _ in range(45):
        x, v, h = rng.random(), rng.uniform(y + .03, 1), rng.uniform(.015, .035)
        blade = [(x - .008, v), (x + rng.uniform(-.015, .015), v - h), (x + .008, v)]
        pen.fill(blade, shade(tone, rng.uniform(-.3, .3)))


def sand(pen: Pen, y: float, rng: Generator, tone: Colour) -> None:
    for _ in range(60):
        grain = ring(rng.random(), rng.uniform(y + .02, 1), .004, n=6)
        pen.fill(grain, shade(tone, rng.uniform(-.4, .3)))
    for _ in range(4):
        ripple = ring(rng.random(), rng.uniform(y + .05, 1), .14, .012, n=16)
        pen.fill(ripple, shade(tone, -.12))


def snow(pen: Pen, y: float, rng: Generator, tone: Colour) -> None:
    for _ in range(5):
        drift = ring(rng.random(), rng.uniform(y + .05, 1), .2, .02, n=16)
        pen.fill(drift, shade(tone, -.08))
    for _ in range(18):
        flake = ring(rng.random(), rng.uniform(y + .02, 1), .007, n=7)
        pen.fill(flake, (176, 200, 232))


def road(pen: Pen, y: float, rng: Generator, tone: Colour) -> None:
    for v in (y + .05, .96):
        pen.fill(box(0, v, 1, v + .02), shade(tone, .6))
    v, start = (y + 1) / 2, rng.uniform(-.2, 0)
    for i in range(7):
        x = start + i * .2
        dash = [(x, v), (x + .11, v), (x + .1, v + .03), (x - .01, v + .03)]
        pen.fill(dash, (248, 232, 160))


def water(pen: Pen, y: float, rng: Generator, tone: Colour) -> None:
    for row in range(int((1 - y) / .06)):
        v = y + .05 + row * .06
        for i in range(6):
            x = (i + rng.random() * .5 + row % 2 / 2) / 6
            wave = [(x - .05, v), (x - .025, v - .014), (x, v), (x + .025, v - .014),
                    (x + .05, v), (x, v + .012)]
            pen.fill(wave, shade(tone, .35))


def floor(pen: Pen, y: float, rng: Generator, tone: Colour) -> None:
    joint = shade(tone, -.35)
    for row in range(int((1 - y) / .09) + 1):
        v = y + .09 * row
        pen.fill(box(0, v, 1, v + .009), joint)
        for i in range(3):
            x = (i + (row % 2) / 2 + .2) / 3
            pen.fill(box(x, v, x + .009, v + .09), joint)


DRAWN = (sky, wall, forest, mountain, city, curtain, grass, sand, snow, road, water, floor)
DRAW = {draw.__name__: draw for draw in DRAWN}              # {name: the function that draws it}


def draw_backdrop(pen: Pen, rng: Generator, y: float, backdrop: str, words: dict[str, str]) -> None:
    """Draws down to y, and the sky behind mountains and cities. "" is plain paper."""
    if backdrop in PAINTED:
        colours = ["red", "yellow", "green", "blue", "purple", "pink", "brown", "gray", "white"]
        words[backdrop] = str(rng.choice(colours))
    pen.place(0, 0, 0, 1)
    if not backdrop:
        pen.fill(box(0, 0, 1, 1), jitter((238, 230, 214), rng, 10))
    if backdrop in ("sky", "mountain", "city"):
        pen.place(label_of("sky"), 0, 0, 1)
        sky(pen, y, rng)
    if backdrop not in ("", "sky"):
        colour = shade(jitter(COLOURS[words.get(backdrop, "gray")], rng), .15)
        pen.place(label_of(backdrop), 0, 0, 1)
        DRAW[backdrop](pen, y, rng, colour)


def scenery(pen: Pen, rng: Generator, seed: int, ground: str | None = None,
            backdrop: str | None = None) -> tuple[float, dict[str, str]]:
    """Draws a backdrop and a ground: those that are given, otherwise drawn by chance.

    Returns the height y of the horizon and {backdrop: its colour word}, empty where it has none.
    """
    horizon, swell = float(rng.uniform(.4, .62)), float(rng.uniform(-.035, .035))
    behind = horizon + abs(swell)                           # the backdrop reaches behind the rim
    words: dict[str, str] = {}

    chosen = "" if rng.random() < 1 / 7 else str(rng.choice(BACKDROPS))
    draw_backdrop(pen, rng, behind, chosen if backdrop is None else backdrop, words)

    chosen = str(rng.choice(GROUNDS))
    ground = ground or chosen
    tone = jitter(GROUND_TONES[ground], rng, 12)
    if ground in FLAT:
        swell = 0
    rim = []
    for i in range(-1, 14):
        x = i / 12
        rim.append((x, horizon + swell * float(np.sin(x * 3.1 + seed))))
    pen.place(label_of(ground), 0, 0, 1)
    pen.shape([*rim, (1.1, 1.1), (-.1, 1.1)], tone)
    DRAW[ground](pen, horizon + abs(swell), rng, tone)
    return horizon, words
