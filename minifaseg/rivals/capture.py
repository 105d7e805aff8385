"""How a rival looks at a picture: clean latent, seeded noise up to a timestep, one UNet pass per prompt and timestep."""
import torch
from torch import Tensor

from .. import ddim
from ..attention import QK, CapturedAttention
from ..prompts import Lookup

TOGETHER = 4                                             # views in one UNet call: bounds the memory, changes nothing else


def capture_image(model, image, states: Tensor, timesteps, **how) -> dict[str, QK]:
    """The record of B = len(timesteps) x (1 + flip) x G views: every timestep, picture then mirror
    image, every prompt of `states` (G, T, c). how: the options of `noised_latents`."""
    return capture_latents(model, noised_latents(model, image, timesteps, **how), timesteps, states)


@torch.no_grad()
def noised_latents(model, image, timesteps, *, noise=True, sample=False, seed=0, flip=False) -> Tensor:
    """(V, 4, h, w): at every timestep the picture's latent, then with `flip` its mirror image's.

    All share one draw of noise (the mirror image has it mirrored), from a CPU generator, so that
    all devices agree. sample: a posterior sample of the VAE instead of its mean.
    """
    generator = torch.Generator().manual_seed(seed)
    x = model.pixels(image)
    shape = (1, model.unet.config.latent, *(n // model.vae.factor for n in x.shape[2:]))
    draw = lambda: torch.randn(shape, generator=generator).to(x)
    epsilon = draw() if sample else None                                                # of the posterior
    eps = draw()
    mirrors = [lambda a: a, lambda a: a.flip(-1)][:1 + flip]
    clean = [model.vae.encode(m(x), m(epsilon) if sample else None) for m in mirrors]
    return torch.cat([ddim.add_noise(z0, t, m(eps)) if noise else z0
                      for t in timesteps for m, z0 in zip(mirrors, clean)])


@torch.no_grad()
def capture_latents(model, z: Tensor, timesteps, states: Tensor) -> dict[str, QK]:
    """The record of V x G views: every latent of z (V, 4, h, w), under every prompt of `states`
    (G, T, c). The latents are told their timesteps, V / len(timesteps) of them each."""
    z = z.repeat_interleave(len(states), 0)                                             # (B, 4, h, w)
    ts = torch.tensor(timesteps, device=z.device).repeat_interleave(len(z) // len(timesteps))
    text = states.repeat(len(z) // len(states), 1, 1)                                   # (B, T, c)
    records = []
    for b in range(0, len(z), TOGETHER):
        records.append({})
        model.unet(z[b:b + TOGETHER], ts[b:b + TOGETHER], text[b:b + TOGETHER], records[-1])
    return {path: QK(*(torch.cat([r[path][i] for r in records]) for i in (0, 1)), grid=qk.grid) for path, qk in records[0].items()}


def split_by_prompt(captured: CapturedAttention) -> list[CapturedAttention]:
    """Each prompt's view with its own classes, as if they were all that was asked for."""
    states, spans = captured.lookup
    out = []
    for g in range(len(states)):
        record = {path: QK(q[g:g + 1], k[g:g + 1], grid)
                  for path, (q, k, grid) in captured.record.items()}
        own = [i for i, (prompt, _) in enumerate(spans) if prompt == g]
        lookup = Lookup(states[g:g + 1], [(0, spans[i][1]) for i in own])
        classes = tuple(captured.classes[i] for i in own)
        out.append(CapturedAttention(record, captured.layers, captured.size, captured.side, classes, lookup))
    return out
