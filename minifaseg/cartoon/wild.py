"""Wild scenes: near and far, crowded, in colours and patterns of their own; never scored.

What a thing looks like is then not known from its name, and only the rest of that thing tells it.
"""
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Wild:
    """What makes a scene less regular.

    view: the part of the scene that is seen; scales: factors on the things' heights; tint: the
    largest change of a colour; patterned: the share of things with stripes or spots; typical: the
    share of things in a colour of their kind.
    """
    view: tuple[float, float, float]
    scales: tuple[float, float] = (0.5, 1.35)
    most: int = 5
    tint: int = 30
    patterned: float = 0.5
    typical: float = 0.5


def wild(rng):
    """Half of the wild scenes are seen whole, half from near: down to 0.4 of the side."""
    if rng.random() < 0.5:
        return Wild((0.0, 0.0, 1.0))
    side = rng.uniform(0.4, 0.9)
    return Wild((rng.uniform(0, 1 - side), (1 - side) * rng.uniform(0.3, 1), side))


def pattern(size, rng):
    """(2 size, 2 size) factors from 0.65 to 1: stripes or spots, turned and wide by chance."""
    turn, waves, phase = rng.uniform(0, np.pi), rng.uniform(8, 26), rng.uniform(0, 6.3)
    axis = np.linspace(0, 2 * np.pi, 2 * size, dtype=np.float32)
    along = np.cos(turn) * axis[None, :] + np.sin(turn) * axis[:, None]
    across = np.cos(turn) * axis[:, None] - np.sin(turn) * axis[None, :]
    wave = np.sin(waves * along + phase)
    if rng.random() < 0.5:
        wave = np.minimum(wave, np.sin(waves * across))
    return 1 - rng.uniform(0.1, 0.35) * (wave > 0)
