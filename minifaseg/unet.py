"""The noise predictor eps(z_t, t, text) of Stable Diffusion 1.x.

The parameters have the names of the original checkpoint. SD 1.5 as one table (latent 64 x 64;
`3 x 3` marks a plain convolution, R a ResBlock, T a SpatialTransformer):

    level   input_blocks                          output_blocks
    64x64   0: 3 x 3 4->320                       9: R 960->320, T    10, 11: R 640->320, T
            1, 2: R 320, T                        out: 3 x 3 320->4
    32x32   3: down   4: R 320->640, T            6: R 1920->640, T   7: R 1280->640, T
            5: R 640, T                           8: R 960->640, T, up
    16x16   6: down   7: R 640->1280, T           3, 4: R 2560->1280, T
            8: R 1280, T                          5: R 1920->1280, T, up
     8x8    9: down   10, 11: R 1280              0, 1: R 2560->1280   2: R 2560->1280, up
            middle_block: R 1280, T, R 1280

A smaller network of the same plan (the cartoon model) differs in `UNetConfig` only.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import QK, Attention, Grid
from .layers import Conv1x1, Conv3x3, Linear


@dataclass(frozen=True)
class UNetConfig:
    """The sizes of a UNet, SD 1.5's by default. Tensor shapes show all but heads and groups."""
    widths: tuple[int, ...] = (320, 640, 1280, 1280)     # channels per level, fine to coarse
    blocks: int = 2              # ResBlocks per level on the way down; one more on the way up
    attention: tuple[bool, ...] = (True, True, True, False)
    context: int = 768           # channels of a text state
    latent: int = 4              # channels of a latent
    heads: int = 8
    groups: int = 32


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoids of t (B,), cosines first -> (B, width)."""
    half = width // 2
    i = torch.arange(half, dtype=torch.float32, device=t.device)
    frequencies = torch.exp(-math.log(10000) * i / half)
    angles = t[:, None].float() * frequencies                               # (B, width/2)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResBlock(nn.Module):
    """Two convolutions with the timestep added between them, and a skip connection."""

    def __init__(self, cin: int, cout: int, time: int, groups: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(groups, cin), nn.SiLU(), Conv3x3(cin, cout))
        self.emb_layers = nn.Sequential(nn.SiLU(), Linear(time, cout))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, cout), nn.SiLU(),
            nn.Identity(),                               # dropout in training: keeps the numbering
            Conv3x3(cout, cout))
        self.skip_connection = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """x (B, cin, H, W), emb (B, time) -> (B, cout, H, W)."""
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class GEGLU(nn.Module):
    """A linear layer of two halves; the second gates the first."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = Linear(width, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    """The two linear layers of a transformer block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            GEGLU(width, 4 * width),
            nn.Identity(),                               # dropout in training: keeps the numbering
            Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention, feed-forward, each on top of a skip connection."""

    def __init__(self, path: str, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.attn1 = Attention(f"{path}.attn1", width, heads, width)
        self.attn2 = Attention(f"{path}.attn2", width, heads, context)
        self.ff = FeedForward(width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, text: Tensor, grid: Grid,
                record: dict[str, QK] | None) -> Tensor:
        """x (B, N, C), text (B, T, c) -> (B, N, C)."""
        y = self.norm1(x)
        x = x + self.attn1(y, y, grid, record)
        x = x + self.attn2(self.norm2(x), text, grid, record)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """A transformer block on the cells of a grid."""

    def __init__(self, path: str, width: int, heads: int, context: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.proj_in = Conv1x1(width, width)
        block = TransformerBlock(f"{path}.transformer_blocks.0", width, heads, context)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = Conv1x1(width, width)

    def forward(self, x: Tensor, text: Tensor, record: dict[str, QK] | None) -> Tensor:
        """x (B, C, H, W), text (B, T, c) -> (B, C, H, W)."""
        grid = (x.shape[2], x.shape[3])
        h = self.norm(x).flatten(2).transpose(1, 2)                         # (B, N, C)
        h = self.transformer_blocks[0](self.proj_in(h), text, grid, record)
        h = self.proj_out(h).transpose(1, 2).unflatten(2, grid)             # (B, C, H, W)
        return x + h


class Downsample(nn.Module):
    """To half the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    """To twice the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Row(nn.ModuleList):
    """The layers of one row of the table above, one after the other."""

    def forward(self, x: Tensor, emb: Tensor, text: Tensor,
                record: dict[str, QK] | None) -> Tensor:
        """x (B, cin, H, W), emb (B, time), text (B, T, c) -> (B, cout, H', W')."""
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, emb)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, text, record)
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """The whole network; see the table above."""

    def __init__(self, config: UNetConfig = UNetConfig()) -> None:
        super().__init__()
        self.config = c = config
        time = 4 * c.widths[0]                           # channels of the timestep embedding
        levels = range(len(c.widths))

        def res(cin: int, cout: int) -> ResBlock:
            return ResBlock(cin, cout, time, c.groups)

        def transformer(path: str, width: int) -> SpatialTransformer:
            return SpatialTransformer(path, width, c.heads, c.context, c.groups)

        self.time_embed = nn.Sequential(
            Linear(c.widths[0], time), nn.SiLU(), Linear(time, time))

        # The way down. width: channels so far; skips: those of every row, for the way up.
        width = c.widths[0]
        rows: list[list[nn.Module]] = [[nn.Conv2d(c.latent, width, 3, padding=1)]]
        skips = [width]
        for level in levels:
            for _ in range(c.blocks):
                row: list[nn.Module] = [res(width, c.widths[level])]
                width = c.widths[level]
                if c.attention[level]:               # .1: the second layer of its row
                    row.append(transformer(f"input_blocks.{len(rows)}.1", width))
                rows.append(row)
                skips.append(width)
            if level != levels[-1]:
                rows.append([Downsample(width)])
                skips.append(width)
        self.input_blocks = nn.ModuleList(map(Row, rows))

        self.middle_block = Row([
            res(width, width), transformer("middle_block.1", width), res(width, width)])

        # The way up: every row takes one skip.
        rows = []
        for level in reversed(levels):
            for i in range(c.blocks + 1):
                row = [res(width + skips.pop(), c.widths[level])]
                width = c.widths[level]
                if c.attention[level]:
                    row.append(transformer(f"output_blocks.{len(rows)}.1", width))
                if level > 0 and i == c.blocks:
                    row.append(Upsample(width))
                rows.append(row)
        self.output_blocks = nn.ModuleList(map(Row, rows))

        self.out = nn.Sequential(
            nn.GroupNorm(c.groups, width), nn.SiLU(), nn.Conv2d(width, c.latent, 3, padding=1))

    def forward(self, z: Tensor, t: int | Tensor, text: Tensor,
                record: dict[str, QK] | None = None) -> Tensor:
        """Predicted noise (B, 4, H, W) of noisy latents z (B, 4, H, W).

        t: an int or (B,) timesteps. text: (B, T, context) text states. H and W must be divisible by
        2 to the number of down-samplings (8 for SD 1.5). A dict given as `record` receives every
        attention layer's QK under the layer's path in the checkpoint, in the order in which the
        layers run.
        """
        t = torch.as_tensor(t, device=z.device).expand(z.shape[0])
        sinusoids = timestep_embedding(t, self.config.widths[0])
        emb = self.time_embed(sinusoids.to(z.dtype))                        # (B, time)

        x, skips = z, []
        for row in self.input_blocks:
            x = row(x, emb, text, record)
            skips.append(x)
        x = self.middle_block(x, emb, text, record)
        for row in self.output_blocks:
            x = torch.cat([x, skips.pop()], dim=1)
            x = row(x, emb, text, record)
        return self.out(x)

    def attention_layers(self) -> dict[str, Attention]:
        """Every attention layer by its path, in the order in which they run."""
        return {m.path: m for m in self.modules() if isinstance(m, Attention)}
