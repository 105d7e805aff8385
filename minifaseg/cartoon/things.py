"""The cast of the cartoon world: one short function draws one kind of thing.

Every function draws in a small frame of its own: x from -0.5 to 0.5, y from 0 (the feet) up to -1
(the top). `pen` turns that into pixels of the picture and of the label map at once (drawing.py);
`rng` decides what differs between two things of a kind.
"""
from math import cos, pi, sin

from numpy.random import Generator

from .drawing import INK, WHITE, Colour, Pen, box, ring, shade


def eyes(pen: Pen, x: float, y: float, gap: float, size: float = 0.035) -> None:
    """Two eyes around (x, y), each `gap` away from there."""
    for side in (-1, 1):
        middle = x + side * gap
        pen.fill(ring(middle, y, size, size * 1.2, n=10), INK)
        light = ring(middle + size * 0.3, y - size * 0.4, size * 0.35, n=7)
        pen.fill(light, WHITE)


def wheels(pen: Pen, radius: float, hub: float) -> None:
    for x in (-0.28, 0.28):
        pen.shape(ring(x, -0.11, radius), INK)
        pen.fill(ring(x, -0.11, hub, n=12), (206, 206, 210))


def cat(pen: Pen, colour: Colour, rng: Generator) -> None:
    tip = rng.uniform(-0.1, 0.1)
    tail = [(0.24, -0.12), (0.42, -0.2), (0.46, -0.42), (0.38 + tip, -0.62)]
    pen.stroke(tail, colour, 0.085)
    pen.shape(ring(0, -0.27, 0.29, 0.27), colour)
    for side in (-1, 1):
        ear = [(side * 0.3, -0.98), (side * 0.05, -0.83), (side * 0.29, -0.6)]
        inner_ear = [(side * 0.25, -0.9), (side * 0.12, -0.8), (side * 0.25, -0.7)]
        pen.shape(ear, colour)
        pen.fill(inner_ear, (240, 160, 170))
    pen.shape(ring(0, -0.64, 0.31, 0.25), colour)
    for side in (-1, 1):
        pen.shape(ring(side * 0.13, -0.05, 0.1, 0.06), shade(colour, 0.25))
        for dy in (-0.03, 0.03):
            whisker = [(side * 0.12, -0.56 + dy / 2), (side * 0.4, -0.57 + dy * 2)]
            pen.stroke(whisker, INK, 0.012)
    eyes(pen, 0, -0.68, 0.13, 0.05)
    pen.fill([(-0.035, -0.6), (0.035, -0.6), (0, -0.56)], (230, 120, 140))


def dog(pen: Pen, colour: Colour, rng: Generator) -> None:
    pen.stroke([(0.34, -0.4), (0.46, -0.52), (0.48, -0.66)], colour, 0.09)
    for x in (-0.22, -0.08, 0.18, 0.32):
        leg = [(x - 0.055, -0.3), (x + 0.055, -0.3), (x + 0.055, 0), (x - 0.075, 0)]
        pen.shape(leg, shade(colour, -0.12))
    pen.shape(ring(0.06, -0.38, 0.36, 0.19), colour)
    pen.shape(ring(-0.22, -0.68, 0.22, 0.21), colour)
    pen.shape(ring(-0.38, -0.61, 0.15, 0.105), shade(colour, 0.3))
    pen.fill(ring(-0.5, -0.655, 0.05, 0.04, n=10), INK)
    pen.shape(ring(-0.08, -0.63, 0.085, 0.2), shade(colour, -0.35))
    eyes(pen, -0.26, -0.75, 0.07, 0.035)
    if rng.random() < 0.5:
        pen.stroke([(-0.13, -0.46), (-0.33, -0.49)], (214, 60, 60), 0.05)


def rabbit(pen: Pen, colour: Colour, rng: Generator) -> None:
    lean = rng.uniform(-0.12, 0.12)
    for side in (-1, 1):
        x = side * 0.12 + lean * (side + 1) / 2             # only the right ear leans
        pen.shape(ring(x, -0.83, 0.075, 0.2), colour)
        pen.fill(ring(x, -0.81, 0.03, 0.13), (244, 170, 180))
    pen.shape(ring(0.25, -0.16, 0.09), WHITE)
    pen.shape(ring(0, -0.22, 0.25, 0.22), colour)
    pen.fill(ring(0, -0.18, 0.14, 0.14), shade(colour, 0.5))
    pen.shape(ring(0, -0.54, 0.21, 0.19), colour)
    for side in (-1, 1):
        pen.shape(ring(side * 0.14, -0.04, 0.12, 0.05), shade(colour, 0.2))
    eyes(pen, 0, -0.58, 0.09, 0.04)
    pen.fill(ring(0, -0.5, 0.03, 0.022, n=8), (230, 110, 130))
    pen.shape(box(-0.035, -0.46, 0.035, -0.4), WHITE, line=0.4)


def bird(pen: Pen, colour: Colour, rng: Generator) -> None:
    for x in (-0.05, 0.08):
        pen.stroke([(x, -0.2), (x, 0), (x - 0.07, 0)], (232, 140, 40), 0.03)
    pen.shape([(0.22, -0.45), (0.52, -0.66), (0.47, -0.38)], shade(colour, -0.2))
    pen.shape(ring(0, -0.42, 0.32, 0.27), colour)
    pen.fill(ring(-0.05, -0.33, 0.18, 0.15), shade(colour, 0.55))
    pen.shape(ring(-0.2, -0.72, 0.19, 0.18), colour)
    pen.shape([(-0.36, -0.79), (-0.56, -0.69), (-0.36, -0.64)], (244, 164, 44))
    lift = rng.uniform(-0.3, 0.12)
    wing = [(-0.02, -0.52), (0.3, -0.5 + lift), (0.24, -0.33 + lift / 2), (0.05, -0.3)]
    pen.shape(wing, shade(colour, -0.3))
    eyes(pen, -0.23, -0.76, 0.055, 0.035)


def cow(pen: Pen, colour: Colour, rng: Generator) -> None:
    pen.stroke([(0.42, -0.55), (0.5, -0.4), (0.47, -0.25)], INK, 0.025)
    for x in (-0.2, -0.06, 0.24, 0.37):
        pen.shape(box(x - 0.05, -0.3, x + 0.05, 0), shade(colour, -0.08))
    body = [(-0.3, -0.6), (0.4, -0.62), (0.46, -0.5), (0.42, -0.24), (-0.24, -0.22), (-0.33, -0.4)]
    pen.shape(body, colour)
    spots = INK if sum(colour) > 330 else WHITE
    for _ in range(3):
        x, y = rng.uniform(-0.1, 0.32), rng.uniform(-0.5, -0.34)
        pen.fill(ring(x, y, rng.uniform(0.05, 0.09), 0.06, n=12), spots)
    for side in (-1, 1):
        horn = [(-0.32 + side * 0.1, -0.82), (-0.32 + side * 0.17, -0.96),
                (-0.32 + side * 0.04, -0.86)]
        pen.shape(horn, (236, 220, 180))
        pen.shape(ring(-0.32 + side * 0.2, -0.77, 0.08, 0.045, n=12), shade(colour, -0.2))
    pen.shape(ring(-0.32, -0.7, 0.15, 0.18), colour)
    pen.shape(ring(-0.33, -0.58, 0.14, 0.1), (242, 176, 172))
    eyes(pen, -0.32, -0.76, 0.065, 0.033)


def car(pen: Pen, colour: Colour, rng: Generator) -> None:
    pen.shape([(-0.26, -0.34), (-0.16, -0.6), (0.18, -0.6), (0.32, -0.34)], colour)
    front = [(-0.2, -0.35), (-0.13, -0.54), (0.0, -0.54), (0.0, -0.35)]
    back = [(0.05, -0.35), (0.05, -0.54), (0.16, -0.54), (0.25, -0.35)]
    for window in (front, back):
        pen.shape(window, (196, 228, 244), line=0.6)
    body = [(-0.5, -0.14), (-0.48, -0.32), (-0.28, -0.37), (0.34, -0.37), (0.49, -0.28),
            (0.5, -0.12)]
    pen.shape(body, colour)
    wheels(pen, 0.12, 0.055)
    pen.shape(ring(-0.46, -0.26, 0.035, n=8), (255, 236, 140), line=0.5)


def bus(pen: Pen, colour: Colour, rng: Generator) -> None:
    body = [(-0.5, -0.12), (-0.5, -0.68), (-0.44, -0.76), (0.44, -0.76), (0.5, -0.68),
            (0.5, -0.12)]
    pen.shape(body, colour)
    pen.fill(box(-0.5, -0.36, 0.5, -0.28), shade(colour, 0.55))
    for i in range(4):
        x = -0.42 + 0.22 * i
        pen.shape(box(x, -0.66, x + 0.17, -0.44), (188, 222, 242), line=0.6)
    wheels(pen, 0.11, 0.05)


def boat(pen: Pen, colour: Colour, rng: Generator) -> None:
    pen.stroke([(0.0, -0.2), (0.0, -1.0)], (120, 84, 54), 0.04)
    pen.shape([(0.04, -0.95), (0.42, -0.36), (0.04, -0.36)], WHITE)
    pen.shape([(-0.04, -0.82), (-0.32, -0.36), (-0.04, -0.36)], shade(colour, 0.5))
    pen.shape([(-0.5, -0.3), (0.5, -0.3), (0.36, 0), (-0.34, 0)], colour)
    pen.fill([(-0.46, -0.23), (0.47, -0.23), (0.45, -0.17), (-0.43, -0.17)], WHITE)


def house(pen: Pen, colour: Colour, rng: Generator) -> None:
    if rng.random() < 0.6:
        pen.shape(box(0.18, -0.9, 0.3, -0.6), (150, 96, 84))
    pen.shape([(-0.4, 0), (-0.4, -0.56), (0.4, -0.56), (0.4, 0)], colour)
    pen.shape([(-0.5, -0.52), (0, -0.98), (0.5, -0.52)], shade(colour, -0.45))
    pen.shape([(-0.09, 0), (-0.09, -0.32), (0.09, -0.32), (0.09, 0)], (124, 82, 56))
    for x in (-0.34, 0.16):
        pen.shape(box(x, -0.44, x + 0.18, -0.26), (255, 240, 170), line=0.7)
        pen.stroke([(x + 0.09, -0.44), (x + 0.09, -0.26)], INK, 0.012)


def tree(pen: Pen, colour: Colour, rng: Generator) -> None:
    pen.shape([(-0.09, 0), (-0.05, -0.45), (0.05, -0.45), (0.09, 0)], (124, 84, 54))
    if rng.random() < 0.4:                                   # a fir
        for y, w in ((-0.2, 0.36), (-0.45, 0.29), (-0.68, 0.2)):
            pen.shape([(-w, y), (0, y - 0.36), (w, y)], colour)
        return
    for x, y, r in ((-0.19, -0.5, 0.2), (0.19, -0.5, 0.2), (0, -0.74, 0.25)):
        pen.shape(ring(x, y, r), colour)
    pen.fill(ring(0, -0.57, 0.22), colour)
    for _ in range(5):
        x, y = rng.uniform(-0.22, 0.22), rng.uniform(-0.85, -0.45)
        pen.fill(ring(x, y, 0.03, n=7), shade(colour, 0.35))


def flower(pen: Pen, colour: Colour, rng: Generator) -> None:
    bend = rng.uniform(-0.08, 0.08)
    pen.stroke([(0, 0), (bend, -0.3), (0, -0.6)], (70, 140, 70), 0.06)
    for side in (-1, 1):
        pen.shape(ring(side * 0.14, -0.2, 0.13, 0.06, n=12), (96, 170, 84))
    n = int(rng.integers(5, 8))
    for i in range(n):
        a = 2 * pi * i / n + bend
        pen.shape(ring(0.21 * cos(a), -0.66 + 0.21 * sin(a), 0.13, n=14), colour)
    pen.shape(ring(0, -0.66, 0.13), (252, 214, 80))


def mushroom(pen: Pen, colour: Colour, rng: Generator) -> None:
    pen.shape([(-0.13, 0), (-0.1, -0.5), (0.1, -0.5), (0.13, 0)], (244, 234, 214))
    pen.shape(ring(0, -0.44, 0.46, 0.44, pi, 2 * pi), colour)
    for _ in range(6):
        a, r = rng.uniform(pi * 1.12, pi * 1.88), rng.uniform(0.12, 0.36)
        pen.fill(ring(r * cos(a), -0.46 + r * sin(a), 0.05, n=10), WHITE)


def ball(pen: Pen, colour: Colour, rng: Generator) -> None:
    turn = rng.uniform(0, pi)
    pen.shape(ring(0, -0.42, 0.42, n=32), colour)
    for i in range(3):
        a = turn + 2 * pi * i / 3
        pen.fill([(0, -0.42)] + ring(0, -0.42, 0.4, 0.4, a, a + pi / 3, n=9), WHITE)
    pen.shape(ring(0, -0.42, 0.07, n=10), colour, line=0.5)


def umbrella(pen: Pen, colour: Colour, rng: Generator) -> None:
    pen.stroke([(0, -0.9), (0, -0.06), (0.05, 0), (0.1, -0.06)], (110, 76, 52), 0.045)
    pen.shape(ring(0, -0.5, 0.48, 0.46, pi, 2 * pi, n=26), colour)
    for i in range(4):
        scallop = ring(-0.36 + 0.24 * i, -0.5, 0.12, 0.07, pi, 2 * pi, n=9)
        pen.shape(scallop, shade(colour, -0.3), line=0.4)
    for x in (-0.22, 0.22):
        pen.stroke([(0, -0.95), (x * 0.7, -0.8), (x, -0.56)], shade(colour, -0.3), 0.018)


DRAWN = (cat, dog, rabbit, bird, cow, car, bus, boat, house, tree, flower, mushroom, ball, umbrella)
THINGS = {draw.__name__: draw for draw in DRAWN}            # {name: the function that draws it}
