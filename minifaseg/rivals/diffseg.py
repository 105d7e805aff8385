r"""DiffSeg (Tian et al. 2023, arXiv 2308.12469; release google/diffseg 77ea596).

Its idea: no words at all. Every cell's self-attention says which cells belong with it; cells whose maps are alike, by the symmetric
Kullback-Leibler divergence, are one thing. Merge maps from a grid of anchors, thrice, and each pixel goes to the map that is highest there.

    A    = sum_r rho_r rep_q( up_k(A_r) / sum_k )        keys bilinear, queries repeated; rho proportional to the resolution
    D    = 1/2 sum_i (x_i - y_i) (ln x_i - ln y_i)
    segment(p) = argmax_j bilinear(proposal_j)(p)

With classes the segments are named as in the release's demo: each class's cross-attention, bilinear
and of length 1 over the picture, is averaged in each segment; the highest mean names it.

What differs from the release, and why:
- Merges in float32 (the release: float16, whose logarithm of tiny numbers is not finite).
- The whole picture, not a square from its middle; no K-means of the demo after the merging.
- For names, all layers of a level count alike. In the demo those of 64 x 64 on the way up are
  divided by 3, all others by 5; and a noun is looked up one token too early for every longer name
  before it: slips, we think.
- It has no background; here a segment whose best vote is under `threshold` times the picture's
  highest is left unnamed (0 = never).
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention import CapturedAttention
from ..hard import as_cells, as_image, levels_with_weight
from ..labelling import upsample
from ..prompts import class_maps, class_prompts, clean_classes
from .capture import capture_image


@dataclass(frozen=True)
class DiffSeg:
    """Defaults: the released code's."""
    timestep: int = 300                                  # told to the UNet, although no noise is added
    noise: bool = False
    seed: int = 0
    levels: tuple[float, ...] = (1 / 15, 2 / 15, 4 / 15, 8 / 15)                # rho of levels 8, 16, 32, 64
    cross: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)  # for the names: all levels alike
    anchors: int = 16                                    # per side
    tau: tuple[float, ...] = (1.1, 1.1, 1.1)             # KL of the three merges; 0.9 for Cityscapes and the demo
    threshold: float = 0.0
    CAPTURE_FIELDS: ClassVar = ("timestep", "noise", "seed")        # what `capture` depends on

    @torch.no_grad()
    def capture(self, model, image, classes=(), caption=None) -> CapturedAttention:
        """One view, under the empty prompt or the caption; names are looked up in it, as P' is in the dual prompt."""
        classes = clean_classes(classes) if classes else ()
        lookup = class_prompts(model.text, classes) if classes else None
        record = capture_image(model, image, model.text([caption or ""]), [self.timestep], noise=self.noise, seed=self.seed)
        return CapturedAttention(record, model.unet.attention_layers(), image.size, model.side, classes, lookup)

    @torch.no_grad()
    def scores(self, captured: CapturedAttention) -> Tensor:
        """Without classes (P, h, w): one proposal per segment. With classes (K, H, W) at the model's
        own pixels: inside a segment its vote for each class."""
        *_, full = captured.grids
        proposals = merge(aggregate(captured, self.levels), full, self.tau, self.anchors)     # (P, h, w)
        if not captured.classes:
            return proposals
        size = captured.side, captured.side
        segments = upsample(proposals, size, "bilinear").argmax(0).flatten()    # (N,) of the model's pixels
        x = self.class_maps(captured, size).flatten(1)                          # (K, N)
        x = x / x.norm(dim=1, keepdim=True)
        votes = torch.zeros(len(proposals), len(x)).to(x).index_add_(0, segments, x.T)        # (P, K)
        votes = votes / segments.bincount(minlength=len(proposals))[:, None]
        return (votes / votes[segments].max())[segments].T.unflatten(1, size)

    def class_maps(self, captured: CapturedAttention, size) -> Tensor:
        """(K, *size): each class's cross-attention, all levels bilinear to the model's pixels."""
        maps = 0
        for grid, w in levels_with_weight(captured.grids, self.cross):
            c = class_maps(captured.cross_map(grid, captured.lookup.states), captured.lookup)
            maps = maps + w * upsample(as_image(c, grid)[0], size, "bilinear")
        return maps

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Proposals are interpolated, then each pixel takes the highest. Named segments are that
        already, at the model's size."""
        return scores, "nearest-exact" if captured.classes else "bilinear"


def aggregate(captured: CapturedAttention, weights) -> Tensor:
    """(N, N) self-attention of all levels on the finest grid; rows sum to 1."""
    *_, full = captured.grids
    total = sum(w for _, w in levels_with_weight(captured.grids, weights))
    out = 0
    for grid, w in levels_with_weight(captured.grids, weights):
        A = captured.self_map(grid)                                             # (1, n, n)
        keys = F.interpolate(A[0].unflatten(1, grid)[:, None], size=full, mode="bilinear", align_corners=False).flatten(1)  # (n, N)
        keys = keys / keys.sum(1, keepdim=True)
        out = out + w / total * as_cells(F.interpolate(as_image(keys[None], grid), size=full, mode="nearest"))[0]
    return out


def symmetric_kl(x: Tensor, y: Tensor) -> Tensor:
    """D (P, N) between rows of x (P, M) and of y (N, M), all positive: two matrix products."""
    x, y = x.clamp_min(1e-20), y.clamp_min(1e-20)
    lx, ly = x.log(), y.log()
    return ((x * lx).sum(1)[:, None] + (y * ly).sum(1) - x @ ly.T - lx @ y.T) / 2


def merge(maps: Tensor, grid, tau, anchors=16) -> Tensor:
    """maps (N, N), one distribution per cell -> (P, h, w): the proposals that are highest somewhere."""
    rows, columns = (torch.arange(min(anchors, n)) * (n // min(anchors, n)) + max(0, (n // anchors - 1) // 2) for n in grid)
    seeds = maps[(rows[:, None] * grid[1] + columns).flatten()]
    near = (symmetric_kl(seeds, maps) < tau[0]).to(maps)                        # (anchors^2, N)
    proposals = near @ maps / near.sum(1, keepdim=True).clamp_min(1)            # an anchor that is like no map, itself included: none
    proposals = torch.where(near.sum(1, keepdim=True) > 0, proposals, seeds)
    for limit in tau[1:]:
        near, left, merged = symmetric_kl(proposals, proposals) < limit, torch.ones(len(proposals), dtype=torch.bool), []
        for i in range(len(proposals)):
            if left[i]:
                near[i, i] = True
                merged.append(proposals[near[i]].mean(0))                       # those already taken come along, as in the release
                left[near[i].cpu()] = False
        proposals = torch.stack(merged)
    owner = proposals.argmax(0)                                                 # (N,)
    return proposals[owner.unique()].unflatten(1, grid)
