"""One attention layer, what it hands out, and the maps that are formed from that.

    A = softmax(Q K^T / sqrt(d)),   rows (queries) sum to 1

Nothing is hooked or patched. Whoever wants to look passes an empty dict as `record`; each layer then leaves its queries and keys
there under its own path in the checkpoint. Maps are formed later, where they are needed and averaged over heads and layers at
once: at 512 pixels one self-attention map of SD 1.5's finest level is 8 x 4096 x 4096 numbers, its queries and keys 2 x 4096 x 320.

Letters: B views, N grid cells (queries), M keys (N cells or T text tokens), h heads, d channels of a head, K classes.
"""
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 1 << 21                # numbers of a map in the making: 8 MiB, which stay in a processor's cache
MAP_BYTES = 256 << 20          # a view's N x N map up to this size is formed; a larger one never exists (see `apply_attention`)


class QK(NamedTuple):
    """What one layer saw: q (B, h, N, d), k (B, h, M, d), grid (H, W) of the queries."""
    q: Tensor
    k: Tensor
    grid: tuple[int, int]


class Attention(nn.Module):
    """Self-attention (`attn1`: keys from the picture) or cross-attention (`attn2`: keys from the text)."""

    def __init__(self, path: str, width: int, heads: int, context: int):
        super().__init__()
        self.path, self.heads = path, heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)            # (B, N, h*d) -> (B, h, N, d)

    def keys(self, context):
        """The keys this layer would make of any context (B, M, c): (B, h, M, d). The dual prompt needs nothing else of it."""
        return self.split(self.to_k(context))

    def forward(self, x, context, grid, record=None):
        q, k, v = self.split(self.to_q(x)), self.keys(context), self.split(self.to_v(context))
        if record is not None:
            record[self.path] = QK(q, k, grid)
        out = F.scaled_dot_product_attention(q, k, v)                       # (B, h, N, d)
        return self.to_out[0](out.transpose(1, 2).flatten(2))               # (B, N, h*d)


def at_least_float32(x: Tensor) -> Tensor:
    """At least float32: min-max later magnifies what half precision rounds away."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def mean_map(layers: list[QK]) -> Tensor:
    """The attention map averaged over heads and layers, (B, N, M) in float32; formed a few rows (queries) at a time."""
    (B, h, N, _), M = layers[0].q.shape, layers[0].k.shape[2]
    rows = max(1, BLOCK // (h * M))
    out = at_least_float32(layers[0].q.new_zeros(B, N, M))
    for q, k, _ in layers:
        for b in range(B):
            kt = at_least_float32(k[b]).transpose(1, 2) / q.shape[-1] ** 0.5          # (h, d, M)
            for i in range(0, N, rows):
                out[b, i:i + rows] += (at_least_float32(q[b, :, i:i + rows]) @ kt).softmax(-1).mean(0) / len(layers)
    return out


def apply_attention(layers: list[QK], x: Tensor) -> Tensor:
    """A x for class maps x (B, N, K): attention with the class maps as values, averaged over heads and layers. Nothing N x N exists."""
    y = torch.zeros_like(x)
    for q, k, _ in layers:
        d = q.shape[-1]
        for i in range(0, x.shape[-1], d):                                  # d maps at a time, so that the fused kernel takes them
            v = F.pad(x[..., i:i + d], (0, max(0, i + d - x.shape[-1])))    # (B, N, d)
            v = v[:, None].expand(-1, q.shape[1], -1, -1)                   # (B, h, N, d)
            y[..., i:i + d] += F.scaled_dot_product_attention(at_least_float32(q), at_least_float32(k), v).mean(1)[..., :x.shape[-1] - i] / len(layers)
    return y


def inner_layers(paths) -> list[str]:
    """Of one level's layers, in the order in which they run: the last one on the way down and all
    on the way up but the last. At SD 1.5's finest level input_blocks.2, output_blocks.9 and 10.

    GoCA refines with these at the finest level; iSeg looks names up in them one level below. A
    level of the middle block alone (8 x 8) keeps it.
    """
    down = [path for path in paths if path.startswith("input_blocks.")]
    up = [path for path in paths if path.startswith("output_blocks.")]
    return [*down[-1:], *up[:-1]] or list(paths)


@dataclass
class CapturedAttention:
    """The attention of one picture (and its mirror image): slow to get, quick to use again, with other classes or numbers.

    record: QK of every layer by path; layers: the UNet's attention layers by path; size: (width,
    height) of the picture; side: pixels of the square that the model saw it as; classes: the names
    that were asked for; lookup: where their tokens are (prompts.py).
    """
    record: dict[str, QK]
    layers: dict[str, Attention]
    size: tuple[int, int]
    side: int
    classes: tuple[str, ...]
    lookup: "Lookup"
    _maps: dict = field(default_factory=dict, repr=False)

    @property
    def grids(self) -> list[tuple[int, int]]:
        """The levels from coarse to fine: 8x8, 16x16, 32x32, 64x64 for SD 1.5 at 512 pixels."""
        return sorted({qk.grid for qk in self.record.values()})

    def at(self, grid, kind) -> dict[str, QK]:
        """Layers of one level; kind "attn1" (self) or "attn2" (cross)."""
        return {p: qk for p, qk in self.record.items() if qk.grid == grid and p.endswith(kind)}

    def refine(self, grid, x: Tensor) -> Tensor:
        """One application of a level's mean self-attention: (B, N, K) -> (B, N, K). Forms the map once, if it is not too large."""
        layers = list(self.at(grid, "attn1").values())
        if x.shape[1] ** 2 * 4 > MAP_BYTES:
            return apply_attention(layers, x)
        return self.self_map(grid) @ x

    def self_map(self, grid) -> Tensor:
        """(B, N, N) self-attention of a level, mean over its heads and layers."""
        if grid not in self._maps:
            self._maps[grid] = mean_map(list(self.at(grid, "attn1").values()))
        return self._maps[grid]

    def cross_map(self, grid, states: Tensor, paths=None) -> Tensor:
        """(B, G, N, T) cross-attention of a level to the tokens of G prompts, states (G, T, c), mean
        over its heads and layers, or over the layers at `paths`.

        The prompts need not be the one that the picture was seen with: only their keys meet the
        recorded queries.
        """
        seen = self.at(grid, "attn2")
        layers = [(seen[path].q, self.layers[path].keys(states)) for path in paths or seen]
        return torch.stack([mean_map([QK(q, k[g:g + 1].expand(len(q), -1, -1, -1), grid) for q, k in layers])
                            for g in range(len(states))], dim=1)
