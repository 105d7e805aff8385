r"""iSeg (Sun et al. 2024, arXiv 2409.03209; release linsun449/iseg.code 2e8fb32; the facts used here are in its code and talk slides).

Its idea: self-attention may be applied again and again, the object fills up each time, if only it is first made sharper: taking an
entropy step on the map removes the many small entries that would blur everything. And a class speaks louder if its key is scaled up.

    category-enhanced   states of class tokens times gamma
    cross               x_c = .7 up(C_16 / sum_p C_16) + .3 up(C_32 / sum_p C_32)
    entropy-reduced     A' = A / max over queries;   A~ = max(0, A' + lambda log10(e A'));   P = A~ / sum over keys
    N times             y = P x;  y = y - min y;  x = y / sum y
    at the end          minmax(bilinear(minmax(bilinear(x))));   background where max s < (1 - max s)^2

As in the code: gamma on the text state, so that values grow too (`keys_only=True`: looked up only,
as the slides print it); log10 and the column maximum; of the 32 x 32 layers the last on the way down
and all on the way up but the last (`inner`; where a level has one block, as in the cartoon model,
that leaves out the layer that knows words best); one self-attention layer of the finest level.

What differs from the release, and why:
- It runs SD 2.1, whose finest level has five heads, and takes two of them; SD 1.5 has others, so all
  heads are averaged here, as its own interactive script does.
- Its clustering of cross maps, which the slides do not have, is an option (`clusters=32`), off.
- All pieces of a name are raised and averaged. The release has chosen words for some names
  ("potted *plant*"), by hand, for the classes of its data sets.
- One template. For VOC and COCO it appends a list of nouns of the background; its open-vocabulary
  script forgets the blank before them ("backgroundground").
- Without classes (`classes=()`; the paper has numbers, the release no code): DiffSeg's merging on
  the rows of P^N. That part is ours.
"""
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention import CapturedAttention, inner_layers, mean_map
from ..hard import as_cells, as_image, minmax, levels_with_weight
from ..labelling import minmax_at, upsample
from ..prompts import (
    Lookup,
    class_maps,
    clean_classes,
    concatenate,
    split_to_fit,
    template_halves,
    tokens_and_spans,
)
from .capture import capture_image, split_by_prompt
from .diffseg import merge


@dataclass(frozen=True)
class ISeg:
    """Defaults: the released code's for VOC (Context: iterations 5, lam 0.002; COCO: 10, 0.2, threshold 0.45)."""
    timestep: int = 100
    seed: int = 1101
    gamma: float = 1.6
    keys_only: bool = False
    cross: tuple[float, ...] = (0.0, 0.7, 0.3, 0.0)      # levels 8, 16, 32, 64
    inner: bool = True                                   # of the second finest level the layers named above; False: all
    layers: tuple[int, ...] = (-2,)                      # which self-attention layers of the finest level, averaged; () = all
    lam: float = 0.015                                   # of log10: 0.0065 in natural logarithms
    iterations: int = 8                                  # N
    clusters: int = 0                                    # 32 for the code's clustering of cross maps; 0 = none
    template: str = "a photograph of {} and other object and background"
    merge_tau: float = 1.0                               # without classes only (ours)
    threshold: float = (3 - 5 ** 0.5) / 2                # s = (1 - s)^2
    CAPTURE_FIELDS: ClassVar = ("timestep", "seed", "gamma", "keys_only", "template")        # what `capture` depends on

    def __post_init__(self):
        template_halves(self.template)                   # raises

    @torch.no_grad()
    def capture(self, model, image, classes, caption=None) -> CapturedAttention:
        """One view for all classes; a list that one prompt cannot hold is asked in parts, each with a
        view of its own. A caption has no place in this method's prompt."""
        classes = clean_classes(classes) if classes else ()
        plain = self.prompts(model.text, classes)
        loud = Lookup(plain.states.clone(), plain.spans)
        for g, tokens in plain.spans:
            loud.states[g, tokens] *= self.gamma
        record = capture_image(model, image, (plain if self.keys_only else loud).states, [self.timestep], seed=self.seed)
        return CapturedAttention(record, model.unet.attention_layers(), image.size, model.side, classes, loud)

    def prompts(self, text, classes) -> Lookup:
        """As few prompts as hold all names; without classes the empty one."""
        if not classes:
            return Lookup(text([""]), [])
        before, after = template_halves(self.template)
        return concatenate([self.prompt(text, part, before, after)
                     for part in split_to_fit(text, classes, " and ", before, after)])

    def prompt(self, text, classes, before, after) -> Lookup:
        pieces, spans = tokens_and_spans(text, classes, " and ", before, after)
        return Lookup(text.states(text.ids(pieces)[None]), [(0, span) for span in spans])

    @torch.no_grad()
    def scores(self, captured: CapturedAttention) -> Tensor:
        """(K, h, w) on the finest grid; without classes one proposal per segment."""
        *_, full = captured.grids
        if not captured.classes:
            P = torch.linalg.matrix_power(self.propagator(captured), max(1, self.iterations))
            return merge(P, full, (self.merge_tau,) * 3)
        maps = []
        for view in split_by_prompt(captured):
            P = self.propagator(view)                                           # (N, N)
            x = self.first(view, full)                                          # (N, K)
            x = x - x.min(0).values
            x = x / x.sum(0).clamp_min(1e-20)
            for _ in range(self.iterations):
                y = P @ x
                y = y - y.min(0).values
                x = y / y.sum(0).clamp_min(1e-20)
            maps.append(as_image(minmax(x[None]), full)[0])
        return torch.cat(maps)

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Bilinear to the model's own size, min-max; bilinear to the picture's size, min-max again;
        argmax with the background's (1 - max s)^2. Segments without names: as in DiffSeg."""
        if not captured.classes:
            return scores, "bilinear"
        size = captured.side, captured.side
        s = upsample(minmax_at(scores, size, "bilinear"), size, "bilinear")     # (K, 512, 512)
        return minmax_at(s, captured.size, "bilinear", eps=1e-6), "bilinear"

    def first(self, captured, full) -> Tensor:
        """Cross-attention of all tokens at two levels (N, T), clustered if asked to, then the mean over each class's tokens (N, K)."""
        C = 0
        for grid, w in levels_with_weight(captured.grids, self.cross):
            paths = list(captured.at(grid, "attn2"))
            if self.inner and grid == captured.grids[-2]:
                paths = inner_layers(paths)
            c = captured.cross_map(grid, captured.lookup.states, paths)[:, 0]   # (1, n, T)
            c = c / c.sum(1, keepdim=True)
            C = C + w * as_cells(F.interpolate(as_image(c, grid), size=full, mode="bilinear", align_corners=False))
        if self.clusters:
            C = cluster(C[0], full, self.clusters)[None]
        return class_maps(C[:, None], captured.lookup)[0]

    def propagator(self, captured) -> Tensor:
        """P (N, N), rows sum to 1."""
        layers = list(captured.at(captured.grids[-1], "attn1").values())
        return reduce_entropy(mean_map([layers[i] for i in self.layers] or layers)[0], self.lam)


def reduce_entropy(A: Tensor, lam: float) -> Tensor:
    """A (N, N) with rows that sum to 1 -> P, likewise, sparser. lam = 0 leaves only the scaling by the column's maximum."""
    A = A / A.amax(0, keepdim=True)
    A = (A + lam * (1 + A.log()) / math.log(10)).clamp_min(0) if lam else A     # log 0 = -inf becomes 0
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)).to(A))      # a row with nothing left keeps its cell


def cluster(C: Tensor, grid, clusters: int, rounds=20) -> Tensor:
    """K-means of the cells C (N, T) by the divergence of their token distributions, from seeds on a
    grid; each row becomes its cluster's mean. An empty cluster is dropped."""
    rows, columns = (torch.arange(0, n, int(n // clusters ** 0.5)) for n in grid)
    centres = C[(rows[:, None] * grid[1] + columns).flatten()]
    for _ in range(rounds):
        own = half_precision_kl(centres, C).argmin(0)                           # (N,)
        own = own.unique(return_inverse=True)[1]                                # numbered anew
        member = F.one_hot(own).to(C)                                           # (N, clusters)
        centres = member.T @ C / member.sum(0)[:, None]
    return centres[own]


def half_precision_kl(x: Tensor, y: Tensor) -> Tensor:
    """Symmetric Kullback-Leibler divergence (P, N) of rows of x (P, T) and of y (N, T) in float16,
    as released. The clusters hang on its rounding: maps of 4096 cells are 2e-4 a cell, and what is
    added against log 0 is 1e-5."""
    x, y = x.half()[:, None] + 1e-5, y.half()[None] + 1e-5
    ratio = x.log() - y.log()
    return ((x * ratio).sum(-1) - (y * ratio).sum(-1)) / 2
