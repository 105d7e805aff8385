"""TTF, test-time flipping: look at the picture and at its mirror image, turn the second answer back, take the mean.

Attention is not quite symmetric, so the two answers differ where it is unsure, and the mean is steadier than either.
"""
import torch
from torch import Tensor


def views(x: Tensor, flip=True) -> Tensor:
    """Picture (1, C, H, W) -> (2, C, H, W): itself and its mirror image; without `flip`, itself alone."""
    return torch.cat([x, x.flip(-1)]) if flip else x


def merge(scores: Tensor) -> Tensor:
    """Score maps (B, K, H, W) of the views -> (K, H, W), the mean with the mirror view turned back."""
    return scores[0] if len(scores) == 1 else (scores[0] + scores[1].flip(-1)) / 2
