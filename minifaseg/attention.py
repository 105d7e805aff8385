"""One attention layer, the queries and keys it records, and the maps that are formed from them.

    A = softmax(Q K^T / sqrt(d)),   rows (queries) sum to 1

No layer is hooked or patched. A caller who wants attention passes an empty dict as `record`; every
layer then stores its queries and keys there, under its own path in the checkpoint. Maps are formed
later, where they are needed, and are at once averaged over heads and layers. This saves memory: at
512 pixels the self-attention of one layer of SD 1.5's finest level has 8 x 4096 x 4096 numbers (8
heads), the mean over heads has 4096 x 4096, and its queries and keys have 2 x 4096 x 320.

Letters: B views, N grid cells (queries), M keys (N cells or T text tokens), h heads, d channels of
a head, K classes, G prompts.
"""
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import BLOCK, CUDA_BLOCK, Linear, attend, linear

if TYPE_CHECKING:
    from .prompts import Lookup

Grid = tuple[int, int]         # (H, W) of a level

LARGEST_MAP = 1 << 26          # numbers of a map that may be formed: N <= 8192, 256 MiB a view


class QK(NamedTuple):
    """Queries and keys of one layer: q (B, h, N, d), k (B, h, M, d), grid (H, W) of the queries."""
    q: Tensor
    k: Tensor
    grid: Grid


class Attention(nn.Module):
    """Self-attention (`attn1`: keys of the picture) or cross-attention (`attn2`: of the text).

    path: the layer's name in the checkpoint, input_blocks.1.1.transformer_blocks.0.attn1 for
    instance, put together by UNet, SpatialTransformer and TransformerBlock. `record` is indexed by
    it.
    """

    def __init__(self, path: str, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.path = path
        self.heads = heads
        self.to_q = Linear(width, width, bias=False)
        self.to_k = Linear(context, width, bias=False)
        self.to_v = Linear(context, width, bias=False)
        self.to_out = nn.ModuleList([Linear(width, width)])

    def split(self, x: Tensor) -> Tensor:
        """(B, N, h*d) -> (B, h, N, d)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys(self, context: Tensor) -> Tensor:
        """Keys of any context (B, M, c) -> (B, h, M, d). The dual prompt uses only this."""
        return self.split(self.to_k(context))

    def forward(self, x: Tensor, context: Tensor, grid: Grid,
                record: dict[str, QK] | None = None) -> Tensor:
        """x (B, N, h*d) and context (B, M, c) -> (B, N, h*d); adds this layer to `record`."""
        q = self.split(self.to_q(x))                                        # (B, h, N, d)
        k = self.keys(context)                                              # (B, h, M, d)
        v = self.split(self.to_v(context))                                  # (B, h, M, d)
        if record is not None:
            record[self.path] = QK(q, k, grid)
        out = attend(q, k, v)                                               # (B, h, N, d)
        return self.to_out[0](out.transpose(1, 2).flatten(2))               # (B, N, h*d)


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32 or float64: min-max will magnify what half precision rounds away."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def mean_map(layers: list[QK]) -> Tensor:
    """Attention map (B, N, M), the mean over all heads of all layers, at least in float32.

    It is formed a few rows (queries) at a time.
    """
    B, h, N, d = layers[0].q.shape
    M = layers[0].k.shape[2]
    block = CUDA_BLOCK if layers[0].q.is_cuda else BLOCK
    rows = max(1, block // M)
    out = at_least_float32(layers[0].q.new_zeros(B, N, M))
    for q, k, _ in layers:
        queries = at_least_float32(q).contiguous()
        keys = (at_least_float32(k) / d ** 0.5).contiguous()
        for b in range(B):
            for head in range(h):
                for i in range(0, N, rows):
                    logits = linear(queries[b, head, i:i + rows], keys[b, head])    # (rows, M)
                    out[b, i:i + rows] += logits.softmax(-1)
    return out / (h * len(layers))


def apply_attention(layers: list[QK], x: Tensor) -> Tensor:
    """A x: self-attention with the class maps as values, the mean over heads and layers.

    x (B, N, K) -> (B, N, K). The map A (N x N) is never formed. The fused kernel wants values of d
    channels, so the class maps go in groups of d; zeros fill the last group and are cut off again.
    """
    y = torch.zeros_like(x)
    for q, k, _ in layers:
        h, d = q.shape[1], q.shape[-1]
        outputs = []
        for maps in x.split(d, dim=-1):                                     # (B, N, <= d)
            missing = d - maps.shape[-1]
            v = F.pad(maps, (0, missing))[:, None].expand(-1, h, -1, -1)    # (B, h, N, d)
            out = F.scaled_dot_product_attention(at_least_float32(q), at_least_float32(k), v)
            outputs.append(out.mean(1)[..., :maps.shape[-1]])               # (B, N, <= d)
        y += torch.cat(outputs, dim=-1) / len(layers)
    return y


def inner_layers(paths: Iterable[str]) -> list[str]:
    """The layers of a level that are next to the coarser level, or not far from it.

    On the way down this is the last layer, on the way up all but the last. At SD 1.5's finest
    level: input_blocks.2, output_blocks.9 and output_blocks.10. A level that has only the middle
    block (8 x 8) keeps it. Two methods use this: GoCA refines with these layers of the finest
    level, iSeg looks names up in those of the second finest.

    paths: all layers of the level, in the order in which they run.
    """
    paths = list(paths)
    down = [path for path in paths if path.startswith("input_blocks.")]
    up = [path for path in paths if path.startswith("output_blocks.")]
    inner = down[-1:] + up[:-1]
    return inner or paths


def select_views(record: dict[str, QK], first: int, last: int) -> dict[str, QK]:
    """The record of the views from `first` up to, but not including, `last`."""
    return {path: QK(q[first:last], k[first:last], grid) for path, (q, k, grid) in record.items()}


@dataclass
class CapturedAttention:
    """The attention of one picture in B views: for FA-Seg, itself and its mirror image.

    The rivals' views are those of several timesteps or prompts. It is slow to capture, and quick to
    use again with other classes or hyperparameters.

    record: queries and keys of every layer, by path
    layers: the UNet's attention layers, by path
    size: (width, height) of the picture
    side: pixels of the square that the model saw
    classes: the names that were asked for
    lookup: where their tokens are (prompts.py)
    latents: (B, 4, h, w) the posterior means of the views, where a method keeps them
    """
    record: dict[str, QK]
    layers: dict[str, Attention]
    size: tuple[int, int]
    side: int
    classes: tuple[str, ...]
    lookup: "Lookup"
    latents: Tensor | None = None
    _maps: dict[Grid, Tensor] = field(default_factory=dict, repr=False)

    @property
    def grids(self) -> list[Grid]:
        """The levels, coarse to fine: 8x8, 16x16, 32x32, 64x64 for SD 1.5 at 512 pixels."""
        return sorted({qk.grid for qk in self.record.values()})

    def at(self, grid: Grid, kind: str) -> dict[str, QK]:
        """The layers of one level; kind: "attn1" (self-attention) or "attn2" (cross-attention)."""
        return {path: qk for path, qk in self.record.items()
                if qk.grid == grid and path.endswith(kind)}

    def apply_self_attention(self, grid: Grid, x: Tensor) -> Tensor:
        """A x with a level's self-attention A, mean over heads and layers: (B, N, K) -> (B, N, K).

        If N^2 <= LARGEST_MAP (N <= 8192), A is formed once and kept: 4096 x 4096 at SD 1.5's finest
        level and 512 pixels, 64 MiB a view. A larger A is not formed here: `apply_attention`
        computes A x from queries and keys, every time anew, which is slower. (`self_map`, which
        some methods call themselves, forms A of any size.)
        """
        N = x.shape[1]
        if N * N > LARGEST_MAP:
            return apply_attention(list(self.at(grid, "attn1").values()), x)
        return self.self_map(grid) @ x

    def self_map(self, grid: Grid) -> Tensor:
        """(B, N, N) self-attention of a level, mean over its heads and layers."""
        if grid not in self._maps:
            self._maps[grid] = mean_map(list(self.at(grid, "attn1").values()))
        return self._maps[grid]

    def cross_map(self, grid: Grid, states: Tensor, paths: list[str] | None = None) -> Tensor:
        """(B, G, N, T) cross-attention of a level to the T tokens of G prompts.

        states: (G, T, c) text states of these prompts, FA-Seg's P' for instance. The picture was
        captured under another prompt, P; here the keys of P' meet the recorded queries. paths: the
        layers to take; None takes all of the level. The result is the mean over their heads and
        layers.
        """
        recorded = self.at(grid, "attn2")
        if paths is None:
            paths = list(recorded)
        keys = {path: self.layers[path].keys(states) for path in paths}
        maps = []
        for g in range(len(states)):
            layers = []
            for path, k in keys.items():                                    # k (G, h, T, d)
                q = recorded[path].q                                        # (B, h, N, d)
                layers.append(QK(q, k[g].expand(len(q), -1, -1, -1), grid))
            maps.append(mean_map(layers))                                   # (B, N, T)
        return torch.stack(maps, dim=1)
