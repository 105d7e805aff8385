"""Wild scenes: near and far, crowded, with unusual colours and patterns. They are never scored.

In these scenes the name of a thing does not tell its look; only the rest of the thing does.
"""
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator


@dataclass(frozen=True)
class Wild:
    """What makes a scene less regular."""
    view: tuple[float, float, float]         # (x, y, side) of the part of the scene that is shown
    scales: tuple[float, float] = (0.5, 1.35)       # range of factors on the things' heights
    most: int = 5                            # the largest number of things
    tint: int = 30                           # the largest change of a colour
    patterned: float = 0.5                   # share of things with stripes or spots
    typical: float = 0.5                     # share of things in a colour of their kind


def wild(rng: Generator) -> Wild:
    """Half of the wild scenes are shown whole, half from near: down to 0.4 of the side."""
    if rng.random() < 0.5:
        return Wild((0.0, 0.0, 1.0))
    side = rng.uniform(0.4, 0.9)
    return Wild((rng.uniform(0, 1 - side), (1 - side) * rng.uniform(0.3, 1), side))


def pattern(size: int, rng: Generator) -> np.ndarray:
    """(2 size, 2 size) factors from 0.65 to 1: stripes or spots, of random direction and width."""
    turn, waves, phase = rng.uniform(0, np.pi), rng.uniform(8, 26), rng.uniform(0, 6.3)
    axis = np.linspace(0, 2 * np.pi, 2 * size, dtype=np.float32)
    along = np.cos(turn) * axis[None, :] + np.sin(turn) * axis[:, None]
    across = np.cos(turn) * axis[:, None] - np.sin(turn) * axis[None, :]
    wave = np.sin(waves * along + phase)
    if rng.random() < 0.5:
        wave = np.minimum(wave, np.sin(waves * across))
    return 1 - rng.uniform(0.1, 0.35) * (wave > 0)
