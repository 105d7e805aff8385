"""From score maps to labels, the last step: interpolate to the picture's size, take the best class.

Every method says in its own `upsampling` which maps are interpolated, and how. Here is the rest:

    label(p) = argmax_c S_c(p)    where max_c S_c(p) >= threshold,    else 0, the background

A picture of 100 megapixels and 254 classes would make score maps of 100 GB. So upright strips of it
are labelled one after the other, a few classes at a time.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

STRIP_NUMBERS = 8 << 20                                     # scores interpolated at a time: 32 MiB


def upsample(maps: Tensor, size: tuple[int, int], mode="bicubic") -> Tensor:
    """(K, h, w) -> (K, H, W) at a picture's own (width, height).

    mode: "bicubic", "bilinear" or "nearest-exact", as torch.nn.functional.interpolate has them.
    """
    align = {} if mode.startswith("nearest") else {"align_corners": False}
    return F.interpolate(maps[None].float(), size=size[::-1], mode=mode, **align)[0]


def upsample_strip(maps: Tensor, size: tuple[int, int], strip: slice, mode="bicubic") -> Tensor:
    """Some columns of `upsample`: (K, h, w) -> (K, H, columns); bicubic to the last bit, bilinear
    up to float32's rounding.

    Interpolation works along rows first, then along columns. A pass that keeps its length copies,
    so the two can be made one by one, and between them all but the strip is dropped.
    """
    width, height = size
    if strip == slice(0, width):
        return upsample(maps, size, mode)
    wide = upsample(maps, (width, maps.shape[1]), mode)                     # (K, h, W)
    return upsample(wide[..., strip], (strip.stop - strip.start, height), mode)


def strips(maps: Tensor, size: tuple[int, int]) -> list[slice]:
    """The columns of the picture that are worked on at a time."""
    width, height = size
    flat = height <= maps.shape[1]                          # a strip of it would save nothing
    step = width if flat else max(1, STRIP_NUMBERS // height)
    return [slice(left, min(left + step, width)) for left in range(0, width, step)]


def upsampled(maps: Tensor, size: tuple[int, int], strip: slice, mode="bicubic"):
    """Yields (index of the first class, its and the next maps at the picture's size (k, H, columns)),
    a few classes at a time."""
    some = max(1, STRIP_NUMBERS // (size[1] * (strip.stop - strip.start)))
    for first in range(0, len(maps), some):
        yield first, upsample_strip(maps[first:first + some], size, strip, mode)


def minmax_at(maps: Tensor, size: tuple[int, int], mode: str, eps=0.0) -> Tensor:
    """Maps (K, h, w) so shifted and scaled that each runs from 0 to 1 over the pixels of a picture
    of this size, once it is interpolated. One that is constant there becomes 0, not NaN.

    Interpolation is linear and keeps constants, so this is min-max behind it, made before it.
    """
    low = torch.full((len(maps),), float("inf"), device=maps.device)
    high = -low
    for strip in strips(maps, size):
        for first, up in upsampled(maps, size, strip, mode):
            k = slice(first, first + len(up))
            low[k] = torch.minimum(low[k], up.amin((1, 2)))
            high[k] = torch.maximum(high[k], up.amax((1, 2)))
    size_of_map = torch.maximum(maps.amax((1, 2)) - maps.amin((1, 2)), high.abs())
    constant = high - low <= 1e-6 * size_of_map             # up to float32's rounding
    scale = torch.where(constant, 0, 1 / (high - low + eps))
    return (maps - low[:, None, None].to(maps)) * scale[:, None, None].to(maps)


def label(maps: Tensor, size: tuple[int, int], threshold: float, certain: float | None = None,
          mode="bicubic") -> np.ndarray:
    """Maps (K, h, w), size (W, H) -> labels (H, W) uint8: i where the i-th class has the highest
    score of the pixel, and at least the threshold; 0 elsewhere.

    certain: 255 where the highest score is from the threshold on, but below this (Dataset
    Diffusion).
    """
    width, height = size
    labels = np.empty((height, width), np.uint8)
    for strip in strips(maps, size):
        labels[:, strip] = _label_strip(maps, size, strip, threshold, certain, mode)
    return labels


def _label_strip(maps, size, strip, threshold, certain, mode):
    """Some columns of `label`: (H, columns) uint8."""
    shape, device = (size[1], strip.stop - strip.start), maps.device
    # the last number below the threshold, so that > means: at least the threshold
    below = torch.nextafter(torch.tensor(float(threshold)), torch.tensor(-1.0))
    best = below.to(device).repeat(shape)                                   # (H, columns)
    labels = torch.zeros(shape, dtype=torch.uint8, device=device)
    for first, up in upsampled(maps, size, strip, mode):
        for number, score in enumerate(up, start=first + 1):
            labels.masked_fill_(score > best, number)
            torch.maximum(best, score, out=best)
    if certain is not None:
        labels[(labels > 0) & (best < certain)] = 255
    return labels.cpu().numpy()


def labels_of(how, captured, scores: Tensor) -> np.ndarray:
    """The labels (H, W) of a method from its score maps, by its own ending and thresholds. Nameless
    segments have no background between them."""
    maps, mode = how.upsampling(captured, scores)
    threshold = how.threshold if captured.classes else 0.0
    return label(maps, captured.size, threshold, getattr(how, "certain", None), mode)


def pixel_scores(how, captured, scores: Tensor) -> Tensor:
    """(K, H, W): a method's score maps at the picture's own size."""
    maps, mode = how.upsampling(captured, scores)
    return upsample(maps, captured.size, mode)
