r"""HARD, hierarchical attention refinement: coarse levels know what, fine levels know where.

    cross fusion   x_c = sum_r w_r up(C_r)[:, c]            up: nearest neighbour; levels r
    refinement     y_{c,r} = A~_r^tau x_c                   A~_r = U_r A_r R_r
    combination    S_c = sum_r w'_r minmax(y_{c,r})

A~_r (N, N) is the self-attention A_r (n, n) of level r, brought to the finest grid. The released
code builds it (4096 x 4096 at every level) and takes a matrix power. Neither is needed. A~_r x is
three small steps; for a level of 16 x 16 on 64 x 64 cells, f = 4:

    R_r x           R_r (n, N): sums of x over the f x f fine cells of each coarse cell
    A_r R_r x       A_r (n, n): the level's own small map, 256 x 256
    U_r A_r R_r x   U_r (N, n): enlarged f times, bicubic

A power is the same steps again. The cost falls from N^3 to N^2 K.
"""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import CapturedAttention, Grid
from .errors import InputError
from .prompts import Lookup, class_maps


def minmax(y: Tensor) -> Tensor:
    """Each class map (B, N, K) to [0, 1] over the cells of its view; a constant one to 0."""
    low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
    smallest = torch.finfo(y.dtype).tiny                                    # constant: 0 / tiny = 0
    return (y - low) / (high - low).clamp_min(smallest)


def fuse_cross(captured: CapturedAttention, lookup: Lookup, weights: Sequence[float]) -> Tensor:
    """Cross fusion: class maps x (B, N, K) on the finest grid.

    weights: w_r, one per level, coarse to fine.
    """
    x = torch.zeros(())                                                     # takes any shape
    for grid, w in levels_with_weight(captured.grids, weights):
        C = captured.cross_map(grid, lookup.states)                         # (B, G, n, T)
        c = class_maps(C, lookup)                                           # (B, n, K)
        x = x + w * resize_maps(c, grid, captured.grids[-1], "nearest")
    return x


def refine_level(captured: CapturedAttention, grid: Grid, x: Tensor, tau: int) -> Tensor:
    """A~_r^tau x for class maps x (B, N, K) on the finest grid, by the level's own small map."""
    full = captured.grids[-1]
    f = full[0] // grid[0]
    for _ in range(tau):
        if f > 1:
            mean = F.avg_pool2d(as_image(x, full), f)                       # of f^2 cells
            x = as_cells(mean) * f ** 2                                     # R_r x: a sum (B, n, K)
        x = captured.apply_self_attention(grid, x)                          # A_r R_r x
        if f > 1:
            x = resize_maps(x, grid, full, "bicubic")                       # U_r A_r R_r x
    return x


def refine(captured: CapturedAttention, x: Tensor, weights: Sequence[float],
           tau: int = 2) -> Tensor:
    """HARD: score maps S (B, N, K) of class maps x (B, N, K); without refinement if tau is 0.

    weights: w'_r, one per level, coarse to fine; levels of weight 0 are not computed.
    """
    if tau == 0:
        return minmax(x)

    # Why the mean is taken off: it is far larger than the differences between cells. float32 rounds
    # relative to the size of a number, so without the mean the differences keep more digits.
    # Why this is allowed: A~_r is linear, and makes of a constant map m the constant map f^2 m (R_r
    # sums f^2 cells, the rows of A_r sum to 1, U_r keeps constants). So A~_r^tau (x + m) is
    # A~_r^tau x plus a constant, and min-max drops the constant.
    x = x - x.mean(1, keepdim=True)

    S = torch.zeros_like(x)
    for grid, w in levels_with_weight(captured.grids, weights):
        S = S + w * minmax(refine_level(captured, grid, x, tau))
    return S


def levels_with_weight(grids: Sequence[Grid],
                       weights: Sequence[float]) -> list[tuple[Grid, float]]:
    """(grid, weight) of the levels whose weight is not 0, coarse to fine; InputError if none is."""
    if len(weights) != len(grids) or not any(weights):
        levels = ", ".join(f"{h}x{w}" for h, w in grids)
        raise InputError(f"weights {tuple(weights)} for levels {levels}: "
                         "one for each, not all zero")
    return [(grid, w) for grid, w in zip(grids, weights) if w]


def as_image(x: Tensor, grid: Grid) -> Tensor:
    """(B, N, K) -> (B, K, H, W)."""
    return x.transpose(1, 2).unflatten(2, grid)


def as_cells(x: Tensor) -> Tensor:
    """(B, K, H, W) -> (B, N, K)."""
    return x.flatten(2).transpose(1, 2)


def resize_maps(x: Tensor, grid: Grid, new_grid: Grid, mode: str) -> Tensor:
    """Maps on one grid (B, n, K) -> on another (B, N, K).

    mode: "nearest", "bilinear" or "bicubic", as torch.nn.functional.interpolate has them.
    """
    align = None if mode == "nearest" else False
    return as_cells(F.interpolate(as_image(x, grid), size=new_grid, mode=mode, align_corners=align))
