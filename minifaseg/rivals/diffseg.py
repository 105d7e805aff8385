r"""DiffSeg (Tian et al. 2023, arXiv 2308.12469; release google/diffseg 77ea596).

Idea: no words. The self-attention of a cell says which cells belong to it. Cells whose maps are
alike, by the symmetric Kullback-Leibler divergence, are one object. The maps of a grid of anchors
are merged three times; a pixel belongs to the merged map ("proposal") that is highest there.

    aggregation    A = sum_r rho_r rep_q( up_k(A_r) / sum_k )    up_k: keys bilinear
                                                                 rep_q: queries repeated
    distance       D(x, y) = 1/2 sum_i (x_i - y_i) (ln x_i - ln y_i)
    segment        argmax_j bilinear(proposal_j)(p)              at pixel p

rho is proportional to the resolution. With classes the segments are named as in the demo of the
release: the cross-attention of a class, bilinear to the pixels and of length 1 over the picture, is
averaged in each segment; the class with the highest mean names the segment.

Differences from the release, and why:
- Maps are merged in float32. The release uses float16, whose logarithm of tiny numbers is not
  finite.
- The whole picture is used, not a square from its middle. The K-means of the demo is left out.
- For the names, all layers of a level count alike. The demo divides those of 64 x 64 on the way up
  by 3, all others by 5. It also looks up a noun one token too early for every longer name before
  it. We take both for slips.
- The release has no background. Here a segment whose best vote is below `threshold` times the
  highest of the picture has no name (0 = every segment has one).
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..attention import CapturedAttention
from ..hard import as_image, levels_with_weight, resize_maps
from ..labelling import upsample
from ..model import Model
from ..prompts import Lookup, class_maps, class_prompts, clean_classes
from .capture import capture_image


@dataclass(frozen=True)
class DiffSeg:
    """Defaults: the released code's."""
    timestep: int = 300                                  # for the UNet, although no noise is added
    noise: bool = False
    seed: int = 0
    levels: tuple[float, ...] = (1 / 15, 2 / 15, 4 / 15, 8 / 15)    # rho of levels 8, 16, 32, 64
    cross: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)  # for the names: all levels alike
    anchors: int = 16                                    # per side
    tau: tuple[float, ...] = (1.1, 1.1, 1.1)             # D of each merge; Cityscapes, demo: 0.9
    threshold: float = 0.0
    CAPTURE_FIELDS: ClassVar = ("timestep", "noise", "seed")        # what `capture` depends on

    @torch.no_grad()
    def capture(self, model: Model, image: Image.Image, classes: Sequence[str] = (),
                caption: str | None = None) -> CapturedAttention:
        """One view, under the caption or the empty prompt.

        The names are looked up as in the dual prompt: they are not part of what the UNet sees.
        """
        states = model.text([caption or ""])
        lookup = Lookup(states, [])
        if classes:
            classes = clean_classes(classes)
            lookup = class_prompts(model.text, classes)
        return capture_image(model, image, states, [self.timestep], classes, lookup,
                             noise=self.noise, seed=self.seed)

    @torch.no_grad()
    def scores(self, captured: CapturedAttention) -> Tensor:
        """Without classes: the proposals (P, h, w), one per segment.

        With classes: (K, H, W) at the model's own pixels, inside a segment its vote for each class.
        """
        *_, full = captured.grids
        A = aggregate(captured, self.levels)
        proposals = merge(A, full, self.tau, self.anchors)                      # (P, h, w)
        if not captured.classes:
            return proposals

        # each class's cross-attention at the pixels, of length 1
        size = captured.side, captured.side
        x = torch.zeros(())
        for grid, w in levels_with_weight(captured.grids, self.cross):
            C = captured.cross_map(grid, captured.lookup.states)
            C = class_maps(C, captured.lookup)                                  # (1, n, K)
            x = x + w * upsample(as_image(C, grid)[0], size, "bilinear")        # (K, H, W)
        x = x.flatten(1)                                                        # (K, N)
        x = x / x.norm(dim=1, keepdim=True)

        # its mean in each segment, over the highest mean of all
        segments = upsample(proposals, size, "bilinear").argmax(0).flatten()    # (N,)
        votes = x.new_zeros(len(proposals), len(x)).index_add_(0, segments, x.T)        # (P, K)
        votes = votes / segments.bincount(minlength=len(proposals))[:, None]
        votes = votes[segments]                                                 # (N, K)
        return (votes / votes.max()).T.unflatten(1, size)

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Proposals are interpolated, then each pixel takes the highest.

        Named segments are at the model's own pixels already.
        """
        return scores, "nearest-exact" if captured.classes else "bilinear"


def aggregate(captured: CapturedAttention, weights: Sequence[float]) -> Tensor:
    """Self-attention (N, N) of all levels on the finest grid; rows sum to 1."""
    *_, full = captured.grids
    levels = levels_with_weight(captured.grids, weights)
    total = sum(w for _, w in levels)
    out = torch.zeros(())
    for grid, w in levels:
        A = resize_rows(captured.self_map(grid)[0], grid, full)                 # keys: (n, N)
        A = A / A.sum(1, keepdim=True)
        A = resize_maps(A[None], grid, full, "nearest")[0]                      # queries: (N, N)
        out = out + w / total * A
    return out


def resize_rows(A: Tensor, grid, new_grid) -> Tensor:
    """Maps (n, N), each a row over the cells of a grid -> (n, M) on another grid, bilinear."""
    A = A.unflatten(1, grid)[:, None]                                           # (n, 1, h, w)
    return F.interpolate(A, size=new_grid, mode="bilinear", align_corners=False).flatten(1)


def symmetric_kl(x: Tensor, y: Tensor) -> Tensor:
    """D (P, N) between the rows of x (P, M) and of y (N, M), all positive: two matrix products."""
    x, y = x.clamp_min(1e-20), y.clamp_min(1e-20)
    log_x, log_y = x.log(), y.log()
    entropies = (x * log_x).sum(1)[:, None] + (y * log_y).sum(1)                # (P, N)
    return (entropies - x @ log_y.T - log_x @ y.T) / 2


def merge(maps: Tensor, grid, tau: Sequence[float], anchors=16) -> Tensor:
    """Maps (N, N), one distribution per cell -> the proposals (P, h, w) that are highest somewhere.

    tau: the largest distance of maps that are merged, for each merge.
    """
    # anchors: of 64 rows and columns 1, 5, ..., 61
    steps = [max(1, n // anchors) for n in grid]
    rows, columns = (slice((step - 1) // 2, step * anchors, step) for step in steps)
    anchored = maps.unflatten(0, grid)[rows, columns].flatten(0, 1)             # (P, N)

    # the first merge: each anchor becomes the mean of all maps near it
    near = (symmetric_kl(anchored, maps) < tau[0]).to(maps)                     # (P, N)
    count = near.sum(1, keepdim=True)
    proposals = near @ maps / count.clamp_min(1)
    proposals = torch.where(count > 0, proposals, anchored)    # not even near itself: it stays

    for limit in tau[1:]:
        proposals = merge_proposals(proposals, limit)
    highest = proposals.argmax(0).unique()
    return proposals[highest].unflatten(1, grid)


def merge_proposals(proposals: Tensor, limit: float) -> Tensor:
    """Each proposal in turn, unless it is merged already, becomes the mean of all those near it.

    As in the release, that mean includes proposals that an earlier one has merged.
    """
    near = (symmetric_kl(proposals, proposals) < limit).cpu().fill_diagonal_(True)
    left = torch.ones(len(proposals), dtype=torch.bool)
    merged = []
    for i, row in enumerate(near):
        if left[i]:
            merged.append(proposals[row].mean(0))
            left[row] = False
    return torch.stack(merged)
