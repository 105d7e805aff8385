"""The two pixels that the guided tour shows: a word's best one, and one that is worth a why."""
import numpy as np
from torch import Tensor

from ..attention import Grid
from ..labelling import Size, upsample

Pixel = tuple[int, int]                                     # (x, y)


def pixels_to_show(scores: Tensor, size: Size, threshold: float,
                   truth: np.ndarray | None) -> dict[str, Pixel]:
    """{"best": of the first class, "why": see below}.

    scores: (K, h, w), bicubic to a picture of `size` (width, height). truth: (H, W) or None.

    "why" is a wrong pixel: of the cell that is wrongest, all its pixels together, the surest one.
    Without a truth, or without a mistake, it is the least sure pixel.
    """
    enlarged = upsample(scores, size).cpu().numpy()                         # (K, H, W)
    background = np.full_like(enlarged[:1], threshold)
    values = np.concatenate([background, enlarged])                         # (1 + K, H, W)
    second, first = np.partition(values, -2, axis=0)[-2:]                   # (H, W) each
    why = second - first
    wrong = np.zeros_like(first)
    if truth is not None:
        known = np.where(truth == 255, values.argmax(0), truth)
        wrong = first - np.take_along_axis(values, known[None], 0)[0]       # 0 where it is right
    if wrong.any():
        _, h, w = scores.shape
        cells = cells_of((h, w), size)
        worst = np.bincount(cells.ravel(), wrong.ravel()).argmax()
        why = np.where(cells == worst, wrong, 0)
    return {"best": largest(enlarged[0]), "why": largest(why)}


def cells_of(grid: Grid, size: Size) -> np.ndarray:
    """(H, W): the number of the cell in which each pixel lies."""
    (h, w), (width, height) = grid, size
    rows, columns = np.arange(height) * h // height, np.arange(width) * w // width
    return rows[:, None] * w + columns


def largest(values: np.ndarray) -> Pixel:
    y, x = np.unravel_index(values.argmax(), values.shape)
    return int(x), int(y)
