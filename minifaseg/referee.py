r"""Referee: FA-Seg with a referee between the classes. Ours, one step beyond the paper; found and measured with `minifaseg.evaluate`.

FA-Seg stretches every refined class map to [0, 1] by itself. Two things go wrong there:

    the loudest cell     an eye or a row of windows may outshine the rest of its object, which then falls under the threshold.
                         So the range is set by percentiles:   y -> (y - P_5) / (P_95 - P_5)
    the absent class     has a loudest cell, too, and reaches 1 on somebody else's object.
                         So raw attention x is compared where a class claims to be:   e_c = x_c(R_c) / max_k x_k(R_c),   S_c e_c^doubt
                         with x_k(R_c) the mean of x_k weighted by S_c^4, the region that c claims

Both are a line or two after HARD; no UNet call, nothing is learnt.
"""
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from . import hard, prompts, ttf
from .attention import Captured
from .faseg import FASeg


@dataclass(frozen=True)
class Referee(FASeg):
    """FA-Seg's numbers and two of its own. `top=1, doubt=0` is FA-Seg."""
    top: float = 0.95                        # the percentile that counts as 1; 1 - top counts as 0
    doubt: float = 0.25                      # how hard a class that others outshine in its own region is marked down

    @torch.no_grad()
    def scores(self, captured: Captured, lookup: prompts.Lookup | None = None) -> Tensor:
        """Score maps (K, h, w) on the finest grid, for the captured classes or for another `lookup`."""
        x = hard.fuse_cross(captured, lookup or captured.lookup, self.cross)        # (B, N, K)
        stretch = partial(percentiles, top=self.top)
        s = hard.refine(captured, x, self.levels, self.tau, stretch) if self.tau else stretch(x)
        s, x = (ttf.merge(hard.as_image(a, captured.grids[-1])) for a in (s, x))    # (K, h, w)
        return s * earned(s, x)[:, None, None] ** self.doubt


def percentiles(y: Tensor, top: float) -> Tensor:
    """Each class map (B, N, K) with its (1 - top) quantile at 0 and its `top` quantile at 1; what lies beyond is kept up to half a range."""
    low, high = y.quantile(1 - top, 1, keepdim=True), y.quantile(top, 1, keepdim=True)
    return ((y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)).clamp(-0.5, 1.5)


def earned(s: Tensor, x: Tensor) -> Tensor:
    """(K,) from scores s and raw attention x, both (K, h, w): how much of the loudest voice in its own region is the class's own."""
    claim = s.clamp_min(0).flatten(1) ** 4                                          # (K, N)
    heard = claim @ x.flatten(1).T                                                  # (K, K): in the region of c, the voice of k
    return heard.diagonal() / heard.amax(1).clamp_min(torch.finfo(x.dtype).tiny)
