"""From score maps to labels, the last step: enlarge to the picture's size, take the best class.

    label(p) = argmax_c S_c(p)    where max_c S_c(p) >= threshold,    else 0, the background

Which maps are enlarged, and by which interpolation, each method says in its own `upsampling`. For
100 megapixels and 254 classes the enlarged maps would take 100 GB. So strips of the picture, some
columns each, are labelled one after the other, and of each strip a few classes at a time.
"""
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import CapturedAttention

Size = tuple[int, int]                                      # (width, height) of a picture

SCORES_AT_ONCE = 8 << 20                                    # enlarged at a time: 32 MiB


def upsample(maps: Tensor, size: Size, mode: str = "bicubic") -> Tensor:
    """Maps (K, h, w) -> (K, H, W) at a picture's own (width, height), in float32.

    mode: "bicubic", "bilinear" or "nearest-exact", as torch.nn.functional.interpolate has them.
    """
    align = None if mode.startswith("nearest") else False
    return F.interpolate(maps[None].float(), size=size[::-1], mode=mode, align_corners=align)[0]


def upsample_strip(maps: Tensor, size: Size, strip: slice, mode: str = "bicubic") -> Tensor:
    """The columns `strip` of `upsample`: (K, h, w) -> (K, H, columns).

    Bicubic is equal to the last bit, bilinear up to float32's rounding. Interpolation works along
    rows and along columns independently, and along an axis that keeps its length it changes
    nothing. So the two passes are made one by one, and between them everything but the strip is
    dropped.
    """
    width, height = size
    if strip == slice(0, width):
        return upsample(maps, size, mode)
    wide = upsample(maps, (width, maps.shape[1]), mode)                     # (K, h, W)
    return upsample(wide[..., strip], (strip.stop - strip.start, height), mode)


def strips(maps: Tensor, size: Size) -> list[slice]:
    """The columns of the picture that are worked on together."""
    width, height = size
    step = max(1, SCORES_AT_ONCE // height)
    if height <= maps.shape[1]:                             # strips would save no memory
        step = width
    return [slice(left, min(left + step, width)) for left in range(0, width, step)]


def upsample_classes(maps: Tensor, size: Size, strip: slice,
                     mode: str) -> Iterator[tuple[int, Tensor]]:
    """Yields (index of the first class, enlarged maps (k, H, columns)), a few classes at a time."""
    classes_at_once = max(1, SCORES_AT_ONCE // (size[1] * (strip.stop - strip.start)))
    for first in range(0, len(maps), classes_at_once):
        yield first, upsample_strip(maps[first:first + classes_at_once], size, strip, mode)


def minmax_at(maps: Tensor, size: Size, mode: str, eps: float = 0.0) -> Tensor:
    """Min-max for later: maps (K, h, w), scaled so that each runs from 0 to 1 once it is enlarged.

    size: the (width, height) to which the maps will be enlarged with `mode`. A map that is constant
    there, up to rounding, becomes 0. Interpolation is linear and keeps constants, so this equals
    min-max after it.
    """
    low = torch.full((len(maps),), torch.inf, device=maps.device)
    high = -low
    for strip in strips(maps, size):
        for first, enlarged in upsample_classes(maps, size, strip, mode):
            k = slice(first, first + len(enlarged))
            low[k] = torch.minimum(low[k], enlarged.amin((1, 2)))
            high[k] = torch.maximum(high[k], enlarged.amax((1, 2)))

    largest = torch.maximum(maps.amax((1, 2)) - maps.amin((1, 2)), high.abs())
    constant = high - low <= 1e-6 * largest                 # up to float32's rounding
    scale = torch.where(constant, 0, 1 / (high - low + eps))
    return (maps - low[:, None, None].to(maps)) * scale[:, None, None].to(maps)


def label(maps: Tensor, size: Size, threshold: float, certain: float | None = None,
          mode: str = "bicubic") -> np.ndarray:
    """Score maps (K, h, w) -> labels (H, W) uint8 of a picture of this (width, height).

    A pixel gets i where the i-th class has the highest score and this score is at least the
    threshold; else it gets 0. certain: a pixel whose highest score is below this, but at least the
    threshold, gets 255 (Dataset Diffusion).
    """
    width, height = size
    labels = np.empty((height, width), np.uint8)
    for strip in strips(maps, size):
        columns = strip.stop - strip.start
        best = torch.full((height, columns), -torch.inf, device=maps.device)
        winner = torch.zeros((height, columns), dtype=torch.uint8, device=maps.device)
        for first, enlarged in upsample_classes(maps, size, strip, mode):
            for number, score in enumerate(enlarged, start=first + 1):
                winner.masked_fill_(score > best, number)
                torch.maximum(best, score, out=best)

        winner[best < threshold] = 0
        if certain is not None:
            winner[(best >= threshold) & (best < certain)] = 255            # unsure
        labels[:, strip] = winner.cpu().numpy()
    return labels


def labels_of(method: Any, captured: CapturedAttention, scores: Tensor) -> np.ndarray:
    """The labels (H, W) uint8 of a method's score maps, by its own upsampling and thresholds.

    Segments without names have no background between them.
    """
    maps, mode = method.upsampling(captured, scores)
    threshold = method.threshold if captured.classes else 0.0
    certain = getattr(method, "certain", None)              # only Dataset Diffusion has it
    return label(maps, captured.size, threshold, certain, mode)


def pixel_scores(method: Any, captured: CapturedAttention, scores: Tensor) -> Tensor:
    """A method's score maps at the picture's own size, (K, H, W) float32."""
    maps, mode = method.upsampling(captured, scores)
    return upsample(maps, captured.size, mode)
