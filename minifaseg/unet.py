"""The noise predictor eps(z_t, t, text) of Stable Diffusion 1.x, with the parameter names of the original checkpoint.

SD 1.5 as one table (latent 64 x 64; `3 x 3` marks a plain convolution, R a ResBlock, T a SpatialTransformer):

    level   input_blocks                       output_blocks
    64x64   0: 3 x 3 4->320                    9, 10: R 960, 640->320, T    11: R 640->320, T    out: 3 x 3 320->4
            1, 2: R 320, T     3: down 320     6: R 1920->640, T   7: R 1280->640, T   8: R 960->640, T, up
    32x32   4, 5: R 640, T     6: down 640     3, 4: R 2560->1280, T      5: R 1920->1280, T, up
    16x16   7, 8: R 1280, T    9: down 1280    0, 1: R 2560->1280         2: R 2560->1280, up
     8x8    10, 11: R 1280                     middle_block: R 1280, T, R 1280

A thinner network of the same plan (the cartoon model) differs in `UNetConfig` only.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .attention import Attention


@dataclass(frozen=True)
class UNetConfig:
    widths: tuple[int, ...] = (320, 640, 1280, 1280)     # channels per level, fine to coarse
    blocks: int = 2                                      # ResBlocks per level on the way down; one more on the way up
    attention: tuple[bool, ...] = (True, True, True, False)
    context: int = 768                                   # channels of a text state
    latent: int = 4                                      # channels of a latent
    heads: int = 8                                       # shapes cannot tell this one
    groups: int = 32                                     # nor this


def timestep_embedding(t, width):
    """Sinusoids of t (B,), cosines first -> (B, width)."""
    half = width // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    angles = t[:, None].float() * frequencies                               # (B, width/2)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResBlock(nn.Module):
    def __init__(self, cin, cout, time, groups):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(groups, cin), nn.SiLU(), nn.Conv2d(cin, cout, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, cout))
        self.out_layers = nn.Sequential(nn.GroupNorm(groups, cout), nn.SiLU(), nn.Identity(), nn.Conv2d(cout, cout, 3, padding=1))
        self.skip_connection = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x, emb):
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]      # (B, C, H, W)
        return self.skip_connection(x) + self.out_layers(h)


class GEGLU(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x):
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(GEGLU(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x):
        return self.net(x)


class TransformerBlock(nn.Module):
    def __init__(self, path, width, heads, context):
        super().__init__()
        self.attn1 = Attention(f"{path}.attn1", width, heads, width)
        self.attn2 = Attention(f"{path}.attn2", width, heads, context)
        self.ff = FeedForward(width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, text, grid, record):
        y = self.norm1(x)
        x = x + self.attn1(y, y, grid, record)
        x = x + self.attn2(self.norm2(x), text, grid, record)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, path, width, heads, context, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(f"{path}.transformer_blocks.0", width, heads, context)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x, text, record):
        grid = tuple(x.shape[2:])
        h = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)           # (B, C, H, W) -> (B, N, C)
        for block in self.transformer_blocks:
            h = block(h, text, grid, record)
        return x + self.proj_out(h.transpose(1, 2).unflatten(2, grid))      # (B, N, C) -> (B, C, H, W)


class Downsample(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class UNet(nn.Module):
    def __init__(self, config=UNetConfig()):
        super().__init__()
        self.config = c = config
        time, levels = 4 * c.widths[0], range(len(c.widths))
        res = lambda cin, cout: ResBlock(cin, cout, time, c.groups)
        look = lambda path, width: SpatialTransformer(path, width, c.heads, c.context, c.groups)

        self.time_embed = nn.Sequential(nn.Linear(c.widths[0], time), nn.SiLU(), nn.Linear(time, time))

        rows, x, skips = [[nn.Conv2d(c.latent, c.widths[0], 3, padding=1)]], c.widths[0], [c.widths[0]]
        for level in levels:
            for _ in range(c.blocks):
                row, x = [res(x, c.widths[level])], c.widths[level]
                if c.attention[level]:
                    row.append(look(f"input_blocks.{len(rows)}.1", x))
                rows.append(row)
                skips.append(x)
            if level != levels[-1]:
                rows.append([Downsample(x)])
                skips.append(x)
        self.input_blocks = nn.ModuleList(map(nn.ModuleList, rows))

        self.middle_block = nn.ModuleList([res(x, x), look("middle_block.1", x), res(x, x)])

        rows = []
        for level in reversed(levels):
            for i in range(c.blocks + 1):
                row, x = [res(x + skips.pop(), c.widths[level])], c.widths[level]
                if c.attention[level]:
                    row.append(look(f"output_blocks.{len(rows)}.1", x))
                if level and i == c.blocks:
                    row.append(Upsample(x))
                rows.append(row)
        self.output_blocks = nn.ModuleList(map(nn.ModuleList, rows))

        self.out = nn.Sequential(nn.GroupNorm(c.groups, x), nn.SiLU(), nn.Conv2d(x, c.latent, 3, padding=1))

    def forward(self, z, t, text, record=None):
        """Predicted noise, shaped like z.

        z (B, 4, H, W) noisy latents; t an int or (B,) timesteps; text (B, T, context) text states. H and W must be divisible
        by 2 to the number of down-samplings (8 for SD 1.5). A dict given as `record` receives every attention layer's QK,
        keyed by the layer's path in the checkpoint, in the order in which the layers run.
        """
        t = torch.as_tensor(t, device=z.device).expand(z.shape[0])
        emb = self.time_embed(timestep_embedding(t, self.config.widths[0]).to(z.dtype))    # (B, time)

        def run(row, x):
            for layer in row:
                if isinstance(layer, ResBlock):
                    x = layer(x, emb)
                elif isinstance(layer, SpatialTransformer):
                    x = layer(x, text, record)
                else:
                    x = layer(x)
            return x

        x, skips = z, []
        for row in self.input_blocks:
            x = run(row, x)
            skips.append(x)
        x = run(self.middle_block, x)
        for row in self.output_blocks:
            x = run(row, torch.cat([x, skips.pop()], dim=1))
        return self.out(x)

    def attention_layers(self) -> dict[str, Attention]:
        """Every attention layer by path, in the order in which they run."""
        return {m.path: m for m in self.modules() if isinstance(m, Attention)}
