"""Image <-> latent: the variational autoencoder (VAE) of Stable Diffusion 1.x.

    encode    x in [-1, 1] -> q(z|x) = N(mean, exp(logvar))
              z = s (mean + exp(logvar / 2) noise),   s = 0.18215
    decode    x = decoder(z / s)

The parameters have the names of the original checkpoint. SD 1.5 has widths 128, 256, 512, 512, so
512 x 512 pixels become a latent of 4 x 64 x 64. FA-Seg needs the encoder only.
"""
import copy
import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import attend

# Pixels encoded together. They fill any device, and one layer's numbers for them take 128 MiB.
PIXELS_AT_ONCE = 512 * 512


@dataclass(frozen=True)
class VAEConfig:
    """The sizes of a VAE, SD 1.5's by default. Tensor shapes show all but groups and scaling."""
    widths: tuple[int, ...] = (128, 256, 512, 512)       # channels per level, fine to coarse
    blocks: int = 2              # ResBlocks per level in the encoder; one more in the decoder
    latent: int = 4              # channels of a latent
    groups: int = 32
    scaling: float = 0.18215


def norm(groups: int, width: int) -> nn.GroupNorm:
    """The normalisation of all layers."""
    return nn.GroupNorm(groups, width, eps=1e-6)


class ResBlock(nn.Module):
    """Two convolutions and a skip connection: (B, cin, H, W) -> (B, cout, H, W)."""

    def __init__(self, cin: int, cout: int, groups: int) -> None:
        super().__init__()
        self.norm1 = norm(groups, cin)
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.norm2 = norm(groups, cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)
        if cin != cout:
            self.nin_shortcut = nn.Conv2d(cin, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        # In place: a layer's numbers take up to 128 MiB, and new memory is slow.
        h = self.conv1(F.silu(self.norm1(x), inplace=True))
        h = self.conv2(F.silu(self.norm2(h), inplace=True))
        h += self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x
        return h


class SpatialAttention(nn.Module):
    """Attention of one head over all pixels: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = norm(groups, width)
        self.q = nn.Conv2d(width, width, 1)
        self.k = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)

        def cells(projection: nn.Module) -> Tensor:
            return projection(h).flatten(2).transpose(1, 2).unsqueeze(1)    # (B, 1, N, C)

        h = attend(cells(self.q), cells(self.k), cells(self.v))
        return x + self.proj_out(h.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:]))


class Downsample(nn.Module):
    """To half the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))         # right and bottom only, as the original


class Upsample(nn.Module):
    """To twice the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Middle(nn.Module):
    """The coarsest level's ResBlock, attention, ResBlock."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block_1 = ResBlock(width, width, groups)
        self.attn_1 = SpatialAttention(width, groups)
        self.block_2 = ResBlock(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    """ResBlocks at one resolution, then a change of resolution.

    change: the layer that changes it, named as in the checkpoint: downsample=... or upsample=...
    """

    def __init__(self, cin: int, cout: int, blocks: int, groups: int, **change: nn.Module) -> None:
        super().__init__()
        first = ResBlock(cin, cout, groups)
        further = [ResBlock(cout, cout, groups) for _ in range(blocks - 1)]
        self.block = nn.ModuleList([first, *further])
        self.change = list(change)                       # the names
        for name, layer in change.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        for name in self.change:
            x = getattr(self, name)(x)
        return x


class Encoder(nn.Module):
    """Picture (B, 3, H, W) -> mean and log-variance (B, 2 * 4, H/f, W/f)."""

    def __init__(self, c: VAEConfig) -> None:
        super().__init__()
        x = c.widths[0]                                  # channels so far
        self.conv_in = nn.Conv2d(3, x, 3, padding=1)
        self.down = nn.ModuleList()
        for width in c.widths[:-1]:
            level = Level(x, width, c.blocks, c.groups, downsample=Downsample(width))
            self.down.append(level)
            x = width
        self.down.append(Level(x, c.widths[-1], c.blocks, c.groups))
        x = c.widths[-1]
        self.mid = Middle(x, c.groups)
        self.norm_out = norm(c.groups, x)
        self.conv_out = nn.Conv2d(x, 2 * c.latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """Latent (B, 4, H/f, W/f) -> picture (B, 3, H, W)."""

    def __init__(self, c: VAEConfig) -> None:
        super().__init__()
        x = c.widths[-1]                                 # channels so far
        self.conv_in = nn.Conv2d(c.latent, x, 3, padding=1)
        self.mid = Middle(x, c.groups)
        self.up = nn.ModuleList()
        for i, width in reversed(list(enumerate(c.widths))):
            change = {"upsample": Upsample(width)} if i > 0 else {}
            level = Level(x, width, c.blocks + 1, c.groups, **change)
            self.up.insert(0, level)                     # the checkpoint counts from fine to coarse
            x = width
        self.norm_out = norm(c.groups, x)
        self.conv_out = nn.Conv2d(x, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


def encode_in_parts(x: Tensor, encoder: nn.Module, quant_conv: nn.Module) -> Tensor:
    """Pictures (B, 3, H, W), a few at a time -> mean and log-variance (B, 2 * 4, H/f, W/f)."""
    pictures_at_once = max(1, PIXELS_AT_ONCE // (x.shape[2] * x.shape[3]))
    h = torch.cat([encoder(part) for part in x.split(pictures_at_once)])
    return quant_conv(h)


class VAE(nn.Module):
    """Encoder and decoder; without `decoder` the encoder only."""

    def __init__(self, config: VAEConfig = VAEConfig(), decoder: bool = True) -> None:
        super().__init__()
        self.config = c = config
        self.encoder = Encoder(c)
        self.quant_conv = nn.Conv2d(2 * c.latent, 2 * c.latent, 1)
        if decoder:
            self.decoder = Decoder(c)
            self.post_quant_conv = nn.Conv2d(c.latent, c.latent, 1)
        self.float32_layers: list[nn.Module] = []        # see _encode_in_float32

    @property
    def factor(self) -> int:
        """f: pixels per cell of the latent, along one side."""
        return 2 ** (len(self.config.widths) - 1)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each (B, 4, H/f, W/f), unscaled.

        x: pictures (B, 3, H, W) in [-1, 1].
        """
        mean, logvar = self._encode(x).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)

    def _encode(self, x: Tensor) -> Tensor:
        """Both moments in one, (B, 2 * 4, H/f, W/f); in float32 where float16 overflows."""
        if not self.float32_layers:
            h = encode_in_parts(x, self.encoder, self.quant_conv)
            if h.dtype != torch.float16 or h.isfinite().all():
                return h
        return self._encode_in_float32(x)

    def _encode_in_float32(self, x: Tensor) -> Tensor:
        """`_encode` where float16 has overflowed. With a warning the first time.

        The layers in float32 are copies, and stay for later pictures. They are no parameters of
        this network: what is counted or hashed of it does not depend on the pictures so far. If
        float32 does not help, they are dropped, and the result is not finite.
        """
        layers = self.float32_layers
        if not layers:
            layers = [copy.deepcopy(layer).float() for layer in (self.encoder, self.quant_conv)]
        h = encode_in_parts(x.float(), *layers).to(x.dtype)

        if not self.float32_layers and h.isfinite().all():
            self.float32_layers = layers
            warnings.warn("float16 is too small for the VAE's encoder with these weights; the "
                          "encoder computes in float32, all else in float16", stacklevel=4)
        return h

    def latents(self, mean: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
        """Scaled latents z (B, 4, H/f, W/f): the posterior mean, or with `noise` a sample."""
        if noise is not None:
            mean = mean + (0.5 * logvar).exp() * noise
        return self.config.scaling * mean

    def encode(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] -> scaled latents; see `latents`."""
        return self.latents(*self.moments(x), noise)

    def decode(self, z: Tensor) -> Tensor:
        """Scaled latents -> pictures (B, 3, H, W) in about [-1, 1]."""
        return self.decoder(self.post_quant_conv(z / self.config.scaling))
