r"""HARD, hierarchical attention refinement: coarse maps know what, fine maps know where; self-attention carries one to the other.

    cross fusion   x_c = sum_r w_r up(C_r)[:, c]                                   nearest-neighbour, levels r coarse to fine
    refinement     y_{c,r} = A~_r^tau x_c,      A~_r = U_r A_r R_r                 U_r: queries up, bicubic;  R_r: keys repeated
    combination    S_c = sum_r w'_r minmax(y_{c,r})

The released code builds A~_r (4096 x 4096 at every level) and takes a matrix power. Neither is needed: A~_r x is three small
steps (sum x over each coarse cell, one small map, bicubic up), and a power is the same steps again. From N^3 to N^2 K.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import CapturedAttention
from .errors import InputError
from .prompts import Lookup, class_maps


def minmax(y: Tensor) -> Tensor:
    """Each class map (B, N, K) to [0, 1] over the cells of its view. A constant map becomes 0, not NaN."""
    low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
    return (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)


def fuse_cross(captured: CapturedAttention, lookup: Lookup, weights) -> Tensor:
    """Class maps x (B, N, K) on the finest grid: cross-attention of the levels, coarse to fine, added with `weights`."""
    *_, full = captured.grids
    x = 0
    for grid, w in weighted(captured.grids, weights):
        c = class_maps(captured.cross_map(grid, lookup.states), lookup)             # (B, n, K)
        x = x + w * as_cells(F.interpolate(as_image(c, grid), size=full, mode="nearest"))
    return x


def refine_level(captured: CapturedAttention, grid, x: Tensor, tau: int) -> Tensor:
    """A~_r^tau x for class maps x (B, N, K) on the finest grid, by way of the level's own small map."""
    *_, full = captured.grids
    for _ in range(tau):
        if grid == full:
            x = captured.refine(grid, x)
        else:
            f = full[0] // grid[0]
            coarse = as_cells(F.avg_pool2d(as_image(x, full), f)) * f * f            # R_r x: sums of f x f cells    (B, n, K)
            fine = as_image(captured.refine(grid, coarse), grid)                    # A_r                           (B, K, h, w)
            x = as_cells(F.interpolate(fine, size=full, mode="bicubic", align_corners=False))      # U_r             (B, N, K)
    return x


def refine(captured: CapturedAttention, x: Tensor, weights, tau: int = 2) -> Tensor:
    """S (B, N, K): class maps x refined at every level of non-zero weight, stretched to [0, 1] and combined.

    Rows of A~_r have one sum, so a constant added to x only adds a constant to y, and min-max drops it. Maps vary by a few percent of
    their mean: taking the mean off first saves the digits of float32 for what varies.
    """
    x = x - x.mean(1, keepdim=True)
    return sum(w * minmax(refine_level(captured, grid, x, tau)) for grid, w in weighted(captured.grids, weights))


def weighted(grids, weights):
    """(grid, weight) of the levels that count, coarse to fine."""
    if len(weights) != len(grids) or not any(weights):
        raise InputError(f"weights {tuple(weights)} for levels {', '.join(f'{h}x{w}' for h, w in grids)}: one for each, not all zero")
    return [(grid, w) for grid, w in zip(grids, weights) if w]


def as_image(x: Tensor, grid) -> Tensor:
    return x.transpose(1, 2).unflatten(2, grid)                                     # (B, N, K) -> (B, K, H, W)


def as_cells(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)                                             # (B, K, H, W) -> (B, N, K)


def resize_maps(x: Tensor, grid, new_grid, mode: str) -> Tensor:
    """Maps (B, N, K) on one grid -> (B, M, K) on another.

    mode: "nearest", "bilinear" or "bicubic", as torch.nn.functional.interpolate has them.
    """
    align = None if mode == "nearest" else False
    x = F.interpolate(as_image(x, grid), size=new_grid, mode=mode, align_corners=align)
    return as_cells(x)                                                          # (B, M, K)
