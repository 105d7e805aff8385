"""How the rivals capture attention: one UNet pass for each timestep and each prompt.

The UNet sees the picture's latent with seeded noise added up to the timestep.
"""
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from .. import ddim, ttf
from ..attention import QK, CapturedAttention, select_views
from ..model import Model
from ..prompts import Lookup

VIEWS_PER_CALL = 4                       # of the UNet; bounds the memory and changes nothing else


def capture_image(model: Model, image: Image.Image, states: Tensor, timesteps: Sequence[int],
                  classes: Sequence[str], lookup: Lookup, **options) -> CapturedAttention:
    """The attention of B = len(timesteps) x (1 + flip) x G views of one picture.

    Order: by timestep, then the picture and its mirror image, then the prompts of `states`
    (G, T, c). options: those of `noised_latents`.
    """
    z = noised_latents(model, image, timesteps, **options)
    record = capture_latents(model, z, timesteps, states)
    return CapturedAttention(record, model.unet.attention_layers(), image.size, model.side,
                             tuple(classes), lookup)


def noised_latents(model: Model, image: Image.Image, timesteps: Sequence[int], *, noise=True,
                   sample=False, seed=0, flip=False) -> Tensor:
    """The latents (V, 4, h, w) of a picture, and with `flip` of its mirror image, by timestep.

    noise: False leaves the latents clean. sample: a sample of the VAE's posterior, drawn with
    xi; else its mean, which is xi = 0.

    All latents share one draw of noise; the mirror image has it mirrored. (In FA-Seg, faseg.py, it
    has a draw of its own.)
    """
    x = model.pixels(image)                                                     # (1, 3, H, W)
    shape = (1, model.unet.config.latent, *(n // model.vae.factor for n in x.shape[2:]))

    draws = ddim.seeded_noise(seed, shape, like=x)
    xi = next(draws) if sample else x.new_zeros(shape)
    eps = next(draws)

    # one at a time: both together would need twice the memory
    pairs = zip(ttf.views(x, flip).split(1), ttf.views(xi, flip).split(1))
    z = torch.cat([model.vae.encode(*pair) for pair in pairs])                  # (1 or 2, 4, h, w)
    if not noise:
        return z.repeat(len(timesteps), 1, 1, 1)
    return torch.cat([ddim.add_noise(z, t, ttf.views(eps, flip)) for t in timesteps])


def capture_latents(model: Model, z: Tensor, timesteps: Sequence[int],
                    states: Tensor) -> dict[str, QK]:
    """Queries and keys of every layer, of B = V x G views: latent by latent, under every prompt.

    z: (V, 4, h, w), V / len(timesteps) latents for each timestep. states: (G, T, c).
    """
    z = z.repeat_interleave(len(states), 0)                                     # (B, 4, h, w)
    t = torch.tensor(timesteps, device=z.device)
    t = t.repeat_interleave(len(z) // len(timesteps))                           # (B,)
    states = states.repeat(len(z) // len(states), 1, 1)                         # (B, T, c)

    records = []
    batches = zip(z.split(VIEWS_PER_CALL), t.split(VIEWS_PER_CALL), states.split(VIEWS_PER_CALL))
    for batch in batches:
        record: dict[str, QK] = {}
        model.unet(*batch, record)
        records.append(record)

    whole = {}
    for path in records[0]:
        q, k, grids = zip(*(record[path] for record in records))
        whole[path] = QK(torch.cat(q), torch.cat(k), grids[0])
    return whole


def split_by_prompt(captured: CapturedAttention) -> list[CapturedAttention]:
    """Each prompt's view with its own classes, as if there were no others."""
    states, spans = captured.lookup
    views = []
    for g in range(len(states)):
        record = select_views(captured.record, g, g + 1)
        named = {name: span for name, span in zip(captured.classes, spans) if span and span[0] == g}
        lookup = Lookup(states[g:g + 1], [(0, tokens) for _, tokens in named.values()])
        views.append(CapturedAttention(record, captured.layers, captured.size, captured.side,
                                       tuple(named), lookup))
    return views
