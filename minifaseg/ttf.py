"""TTF, test-time flipping: score the picture and its mirror image, and take the mean.

    S = (S(picture) + flip(S(mirror image))) / 2

Attention is not quite symmetric. The two answers differ most where the network is unsure, and their
mean is steadier than either.
"""
import torch
from torch import Tensor


def views(x: Tensor, flip: bool = True) -> Tensor:
    """Picture (1, C, H, W) -> (2, C, H, W): it and its mirror image; without `flip` it alone."""
    return torch.cat([x, x.flip(-1)]) if flip else x


def merge(scores: Tensor) -> Tensor:
    """Score maps (B, K, H, W) of the views -> their mean (K, H, W), the mirror view turned back."""
    if len(scores) == 1:
        return scores[0]
    return (scores[0] + scores[1].flip(-1)) / 2
