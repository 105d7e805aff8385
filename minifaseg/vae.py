"""Image <-> latent: the variational autoencoder of Stable Diffusion 1.x, with the parameter names of the original checkpoint.

    encode:  x in [-1, 1]  ->  q(z|x) = N(mean, exp(logvar))       z = s * (mean + exp(logvar/2) * noise),  s = 0.18215
    decode:  x = decoder(z / s)

SD 1.5: widths 128, 256, 512, 512, so 512 x 512 pixels become 4 x 64 x 64. FA-Seg needs the encoder only.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

AT_ONCE = 512 * 512            # pixels encoded together: they fill any device, and one layer's numbers for them take 128 MiB


@dataclass(frozen=True)
class VAEConfig:
    widths: tuple[int, ...] = (128, 256, 512, 512)       # channels per level, fine to coarse
    blocks: int = 2                                      # ResBlocks per level in the encoder; one more in the decoder
    latent: int = 4
    groups: int = 32                                     # shapes cannot tell this one
    scaling: float = 0.18215                             # nor this


class ResBlock(nn.Module):
    def __init__(self, cin, cout, groups):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, cin, eps=1e-6), nn.Conv2d(cin, cout, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(groups, cout, eps=1e-6), nn.Conv2d(cout, cout, 3, padding=1)
        if cin != cout:
            self.nin_shortcut = nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class SpatialAttention(nn.Module):
    """One head over all pixels; its projections are 1 x 1 convolutions."""

    def __init__(self, width, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (f(h).flatten(2).transpose(1, 2).unsqueeze(1) for f in (self.q, self.k, self.v))   # (B, 1, N, C)
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(h.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:]))


class Downsample(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))         # pads right and bottom only, as the original does


class Upsample(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Middle(nn.Module):
    def __init__(self, width, groups):
        super().__init__()
        self.block_1 = ResBlock(width, width, groups)
        self.attn_1 = SpatialAttention(width, groups)
        self.block_2 = ResBlock(width, width, groups)

    def forward(self, x):
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    """Some ResBlocks at one resolution, then a change of resolution."""

    def __init__(self, cin, cout, blocks, groups, **change):
        super().__init__()
        self.block = nn.ModuleList([ResBlock(cin if i == 0 else cout, cout, groups) for i in range(blocks)])
        for name, layer in change.items():               # downsample=... or upsample=..., a name the checkpoint knows
            setattr(self, name, layer)

    def forward(self, x):
        for block in self.block:
            x = block(x)
        for name in ("downsample", "upsample"):
            if hasattr(self, name):
                x = getattr(self, name)(x)
        return x


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv_in = nn.Conv2d(3, c.widths[0], 3, padding=1)
        self.down, x = nn.ModuleList(), c.widths[0]
        for i, w in enumerate(c.widths):
            last = i == len(c.widths) - 1
            self.down.append(Level(x, w, c.blocks, c.groups, **({} if last else {"downsample": Downsample(w)})))
            x = w
        self.mid = Middle(x, c.groups)
        self.norm_out, self.conv_out = nn.GroupNorm(c.groups, x, eps=1e-6), nn.Conv2d(x, 2 * c.latent, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        x = c.widths[-1]
        self.conv_in = nn.Conv2d(c.latent, x, 3, padding=1)
        self.mid = Middle(x, c.groups)
        levels = []
        for i in reversed(range(len(c.widths))):         # the checkpoint counts levels from fine to coarse here too
            w = c.widths[i]
            levels.insert(0, Level(x, w, c.blocks + 1, c.groups, **({"upsample": Upsample(w)} if i else {})))
            x = w
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = nn.GroupNorm(c.groups, x, eps=1e-6), nn.Conv2d(x, 3, 3, padding=1)

    def forward(self, z):
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class VAE(nn.Module):
    def __init__(self, config=VAEConfig(), decoder=True):
        super().__init__()
        self.config = c = config
        self.encoder, self.quant_conv = Encoder(c), nn.Conv2d(2 * c.latent, 2 * c.latent, 1)
        if decoder:
            self.add_decoder()

    def add_decoder(self):
        c = self.config
        self.decoder, self.post_quant_conv = Decoder(c), nn.Conv2d(c.latent, c.latent, 1)

    @property
    def factor(self):
        """Pixels per latent pixel, along one side."""
        return 2 ** (len(self.config.widths) - 1)

    def moments(self, x):
        """Mean and log-variance of q(z|x), each (B, 4, H/f, W/f), for pictures x (B, 3, H, W) in [-1, 1]. Unscaled."""
        few = max(1, AT_ONCE // (x.shape[2] * x.shape[3]))
        h = torch.cat([self.encoder(part) for part in x.split(few)])
        mean, logvar = self.quant_conv(h).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)

    def encode(self, x, noise=None):
        """Scaled latent of x: the posterior mean, or a sample of the posterior when `noise` (like z) is given."""
        mean, logvar = self.moments(x)
        return self.config.scaling * (mean if noise is None else mean + (0.5 * logvar).exp() * noise)

    def decode(self, z):
        """Picture in about [-1, 1] (B, 3, H, W) of scaled latents z."""
        return self.decoder(self.post_quant_conv(z / self.config.scaling))
