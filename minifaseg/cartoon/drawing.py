"""Pens, outlines and colours: what the things and sceneries of the cartoon world are drawn with."""
from collections.abc import Sequence
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, ...]                     # red, green, blue from 0 to 255
Points = list[tuple[float, float]]           # (x, y), y downwards

INK = (40, 34, 48)                           # every outline
WHITE = (250, 248, 244)


class Pen:
    """Draws polygons and lines on a picture and, with the same points, on its label map.

    The picture is drawn at twice its size, to be smoothed later. Labels are not smoothed, so that
    they are exact at any size. Points are given in a frame of the thing's own, see `place`.

    view: (x, y, side) of the part of the scene that fills the picture; (0, 0, 1) is all of it.
    """

    def __init__(self, size: int, view: Sequence[float] = (0, 0, 1)) -> None:
        self.size = size
        self.corner = np.array(view[:2])
        self.zoom = 1 / view[2]
        self.image = Image.new("RGB", (2 * size, 2 * size))
        self.draw = ImageDraw.Draw(self.image)
        self.label_image = Image.new("L", (size, size), 0)
        self.label_draw = ImageDraw.Draw(self.label_image)
        self.place(0, 0, 0, 1)

    def place(self, label: int, x: float, y: float, scale: float, flip: int = 1,
              turn: float = 0.0) -> None:
        """Sets the label and the frame of what is drawn from here on.

        The frame's origin stands at (x, y) of the scene, and its unit is `scale`, both in units of
        the scene's side. flip: -1 mirrors x; turn: an angle in radians.
        """
        self.label = label
        self.scale = scale
        c, s = np.cos(turn) * scale, np.sin(turn) * scale
        self.matrix = np.array([[c * flip, -s], [s * flip, c]])
        self.offset = np.array([x, y])

    def _pixels(self, points: Points) -> np.ndarray:
        """(n, 2) positions in the label map; those in the picture are twice as large."""
        p = np.asarray(points) @ self.matrix.T + self.offset
        return (p - self.corner) * self.zoom * self.size

    def fill(self, points: Points, colour: Colour) -> None:
        """A polygon without an outline."""
        p = self._pixels(points)
        self.draw.polygon((p * 2).ravel().tolist(), colour)
        self.label_draw.polygon(p.ravel().tolist(), self.label)

    def shape(self, points: Points, colour: Colour, line: float = 1.0) -> None:
        """A polygon with an outline. line: its width, relative to the usual one."""
        self.fill(points, colour)
        corners = (self._pixels(points) * 2).ravel().tolist()
        width = round(line * 0.022 * self.size * max(self.scale, 0.3) * self.zoom)
        self.draw.line(corners + corners[:4], INK, max(1, width), joint="curve")

    def stroke(self, points: Points, colour: Colour, width: float) -> None:
        """A line through the points, without an outline. Lines under a pixel have no label."""
        p = self._pixels(points)
        w = width * self.scale * self.size * self.zoom
        corners = (p * 2).ravel().tolist()
        self.draw.line(corners, colour, max(1, round(2 * w)), joint="curve")
        if w >= 1:
            self.label_draw.line(p.ravel().tolist(), self.label, max(1, round(w)), joint="curve")

    def multiply(self, before: np.ndarray, factors: np.ndarray) -> None:
        """Darkens what was drawn since the picture was `before`.

        before: (2 size, 2 size, 3); factors: (2 size, 2 size).
        """
        now = np.asarray(self.image)
        drawn = (now != before).any(-1)
        now = np.where(drawn[..., None], now * factors[..., None], now)
        self.image.paste(Image.fromarray(now.astype(np.uint8)))


def ring(x: float, y: float, rx: float, ry: float | None = None, start: float = 0.0,
         stop: float = 2 * pi, n: int = 22) -> Points:
    """n points on an ellipse around (x, y), from the angle `start` to `stop`.

    All curves of this world are made of them.
    """
    ry = rx if ry is None else ry
    angles = [start + (stop - start) * i / (n - 1) for i in range(n)]
    return [(x + rx * cos(angle), y + ry * sin(angle)) for angle in angles]


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    """The corners of an upright rectangle."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def shade(colour: Colour, amount: float) -> Colour:
    """Towards white for a positive amount, towards black for a negative one; 1 is all the way."""
    goal = (255, 255, 255) if amount > 0 else (0, 0, 0)
    return mix(colour, goal, abs(amount))


def jitter(colour: Colour, rng: np.random.Generator, by: int = 14) -> Colour:
    """Each channel changed by up to `by`."""
    changed = np.asarray(colour) + rng.integers(-by, by + 1, 3)
    return tuple(np.clip(changed, 0, 255).tolist())


def mix(a: Colour, b: Colour, u: float) -> Colour:
    """From colour a (u = 0) to colour b (u = 1)."""
    return tuple(int(x + (y - x) * u) for x, y in zip(a, b))
