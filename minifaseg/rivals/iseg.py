r"""iSeg (Sun et al. 2024, arXiv 2409.03209; release linsun449/iseg.code 2e8fb32).

The facts used here are from its code and its talk slides.

Idea: self-attention can be applied many times, and each time fills more of the object, if it is
made sharper first. A step that reduces its entropy removes the many small entries that would blur
the result. A class also gets more attention if its text state is scaled up.

    category-enhanced   states of class tokens times gamma
    cross               x_c = .7 up(C_16 / sum C_16) + .3 up(C_32 / sum C_32)      sums over cells
    entropy-reduced     A' = A / max over queries
                        A~ = max(0, A' + lambda log10(e A'))                        e = 2.718...
                        P  = A~ / sum over keys
    N times             y = P x;  y = y - min y;  x = y / sum y
    at the end          s = minmax(bilinear(minmax(bilinear(x))))
                        background where max s < (1 - max s)^2

As in the code:
- gamma multiplies the text state, so that values grow too. `keys_only=True` applies it only where
  names are looked up, as the slides print it.
- log10, and the maximum over the column.
- Of the 32 x 32 layers the last on the way down and all on the way up but the last (`inner`). Where
  a level has one block, as in the cartoon model, this leaves out the layer that knows words best.
- One self-attention layer, of the finest level.

Differences from the release, and why:
- The release runs SD 2.1, whose finest level has five heads, and takes two of them. SD 1.5 has
  other heads, so all are averaged here, as in the release's own interactive script.
- Its clustering of cross-attention maps, which the slides do not have, is an option
  (`clusters=32`), off by default.
- All pieces of a name are enhanced and averaged. For some names of its data sets the release has
  words chosen by hand ("potted *plant*").
- One template. For VOC and COCO the release appends a list of background nouns; its open-vocabulary
  script forgets the blank before them ("backgroundground").
- Without classes (`classes=()`) DiffSeg's merging is applied to the rows of P^N. This is ours: the
  paper has numbers for it, the release no code.
"""
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..attention import CapturedAttention, inner_layers, mean_map
from ..hard import as_image, levels_with_weight, minmax, resize_maps
from ..labelling import minmax_at, upsample
from ..model import Model
from ..prompts import (
    Lookup,
    class_maps,
    clean_classes,
    concatenate,
    split_to_fit,
    template_halves,
    tokens_and_spans,
)
from ..text import Text
from .capture import capture_image, split_by_prompt
from .diffseg import merge


@dataclass(frozen=True)
class ISeg:
    """Defaults: the released code's for VOC.

    Its other data sets: Context iterations 5, lam 0.002; COCO 10, 0.2 and threshold 0.45.
    """
    timestep: int = 100
    seed: int = 1101
    gamma: float = 1.6
    keys_only: bool = False                              # gamma in the lookup only
    cross: tuple[float, ...] = (0.0, 0.7, 0.3, 0.0)      # levels 8, 16, 32, 64
    inner: bool = True                                   # at the second finest level; False: all
    layers: tuple[int, ...] = (-2,)                      # the finest level's, averaged; () = all
    lam: float = 0.015                                   # of log10: 0.0065 in natural logarithms
    iterations: int = 8                                  # N
    clusters: int = 0                                    # 32 as in the code; 0 = no clustering
    template: str = "a photograph of {} and other object and background"
    merge_tau: float = 1.0                               # without classes only (ours)
    threshold: float = (3 - 5 ** 0.5) / 2                # from here on s >= (1 - s)^2
    # What `capture` depends on.
    CAPTURE_FIELDS: ClassVar = ("timestep", "seed", "gamma", "keys_only", "template")

    def __post_init__(self) -> None:
        template_halves(self.template)                   # raises

    @torch.no_grad()
    def capture(self, model: Model, image: Image.Image, classes: Sequence[str],
                caption: str | None = None) -> CapturedAttention:
        """One view for all classes; several, if one prompt cannot hold them.

        A caption has no place in this method's prompt.
        """
        if classes:
            classes = clean_classes(classes)
        plain = self.prompts(model.text, classes)
        enhanced = plain.states.clone()
        for g, tokens in plain.spans:  # type: ignore[misc]  # every name has a span
            enhanced[g, tokens] *= self.gamma
        states = plain.states if self.keys_only else enhanced
        lookup = Lookup(enhanced, plain.spans)
        return capture_image(model, image, states, [self.timestep], classes, lookup,
                             seed=self.seed)

    def prompts(self, text: Text, classes: Sequence[str]) -> Lookup:
        """As few prompts as hold all names; without classes the empty one."""
        if not classes:
            return Lookup(text([""]), [])
        before, after = template_halves(self.template)
        lookups = []
        for part in split_to_fit(text, classes, " and ", before, after):
            pieces, spans = tokens_and_spans(text, part, " and ", before, after)
            states = text.states(text.ids(pieces)[None])                        # (1, T, c)
            places = [(0, span) for span in spans]                              # all names fit
            lookups.append(Lookup(states, places))  # type: ignore[arg-type]
        return concatenate(lookups)

    @torch.no_grad()
    def scores(self, captured: CapturedAttention) -> Tensor:
        """Score maps (K, h, w) on the finest grid; without classes one proposal per segment."""
        *_, full = captured.grids
        if not captured.classes:
            P = self.entropy_reduced(captured)
            P = torch.linalg.matrix_power(P, max(1, self.iterations))
            return merge(P, full, (self.merge_tau,) * 3)

        maps = []
        for view in split_by_prompt(captured):
            P = self.entropy_reduced(view)                                      # (N, N)
            x = distribution(self.cross_maps(view))                             # (N, K)
            for _ in range(self.iterations):
                x = distribution(P @ x)
            maps.append(as_image(minmax(x[None]), full)[0])
        return torch.cat(maps)

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """The maps at the model's own size (512 x 512), to be enlarged bilinearly to the picture's.

        At both sizes they run from 0 to 1. The argmax with the background's (1 - max s)^2 follows.
        Segments without names: as DiffSeg.
        """
        if not captured.classes:
            return scores, "bilinear"
        # minmax_at scales a map so that its enlarged map runs from 0 to 1. Enlarging is linear, so
        # scaling before it is min-max after it. The caller enlarges to the picture's size.
        size = captured.side, captured.side
        s = upsample(minmax_at(scores, size, "bilinear"), size, "bilinear")     # (K, 512, 512)
        return minmax_at(s, captured.size, "bilinear", eps=1e-6), "bilinear"

    def cross_maps(self, view: CapturedAttention) -> Tensor:
        """x (N, K) from two levels, clustered if asked to; mean over the tokens of each class."""
        *_, full = view.grids
        C = torch.zeros(())
        for grid, w in levels_with_weight(view.grids, self.cross):
            paths = list(view.at(grid, "attn2"))
            if self.inner and grid == view.grids[-2]:
                paths = inner_layers(paths)
            C_r = view.cross_map(grid, view.lookup.states, paths)[:, 0]         # (1, n, T)
            C_r = C_r / C_r.sum(1, keepdim=True)
            C = C + w * resize_maps(C_r, grid, full, "bilinear")                # (1, N, T)
        if self.clusters:
            C = cluster(C[0], full, self.clusters)[None]
        return class_maps(C[:, None], view.lookup)[0]

    def entropy_reduced(self, view: CapturedAttention) -> Tensor:
        """P (N, N), rows sum to 1."""
        layers = list(view.at(view.grids[-1], "attn1").values())
        chosen = [layers[i] for i in self.layers] or layers
        return reduce_entropy(mean_map(chosen)[0], self.lam)


def distribution(y: Tensor) -> Tensor:
    """Class maps (N, K), each with its minimum at 0 and of sum 1."""
    y = y - y.min(0).values
    return y / y.sum(0).clamp_min(1e-20)


def reduce_entropy(A: Tensor, lam: float) -> Tensor:
    """A (N, N) with rows that sum to 1 -> P, likewise, sparser.

    lam = 0 leaves only the scaling by the maximum of each column. A row with nothing left keeps its
    own cell.
    """
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = A + lam * (1 + A.log()) / math.log(10)                              # log10(e A)
        A = A.clamp_min(0)                                                      # log 0 = -inf -> 0
    total = A.sum(1, keepdim=True)
    P = A / total.clamp_min(1e-20)
    return torch.where(total > 0, P, torch.eye(len(A)).to(A))


def cluster(C: Tensor, grid, clusters: int, rounds=20) -> Tensor:
    """K-means of the cells C (N, T) by the divergence of their distributions over the tokens.

    Starts from cells on a regular grid. Each row becomes the mean of its cluster; an empty cluster
    is dropped.
    """
    down, across = (int(n // clusters ** 0.5) for n in grid)
    centres = C.unflatten(0, grid)[::down, ::across].flatten(0, 1)              # (clusters, T)
    for _ in range(rounds):
        nearest = half_precision_kl(centres, C).argmin(0)                       # (N,)
        _, nearest = nearest.unique(return_inverse=True)                        # without empty ones
        member = F.one_hot(nearest).to(C)                                       # (N, clusters)
        centres = member.T @ C / member.sum(0)[:, None]
    return centres[nearest]


def half_precision_kl(x: Tensor, y: Tensor) -> Tensor:
    """Symmetric Kullback-Leibler divergence (P, N) of rows of x (P, T) and of y (N, T) in float16.

    As released. The clusters depend on its rounding: a cell of a map of 4096 cells holds 2e-4, and
    what is added against log 0 is 1e-5.
    """
    x, y = x.half()[:, None] + 1e-5, y.half()[None] + 1e-5                      # (P, N, T) together
    ratio = x.log() - y.log()
    return ((x * ratio).sum(-1) - (y * ratio).sum(-1)) / 2
