r"""The noise schedule, the DDIM step, inversion and sampling.

    forward      z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps
    DDIM s -> t  z_t = sqrt(abar_t) (z_s - sqrt(1 - abar_s) eps) / sqrt(abar_s)
                       + sqrt(1 - abar_t) eps                       (Song et al. 2021, eta = 0)

The same step goes both ways: towards larger t it inverts a picture into noise, towards smaller t it
paints. Both loops are generators that yield (t, z_t) after every step, so that plots and progress
bars stay outside.
"""
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from .errors import InputError

STEPS = 1000                                             # length of the training schedule

# (z_t, t, text states) -> eps: the UNet, or any function that predicts noise.
Predictor = Callable[[Tensor, int, Tensor], Tensor]


def alpha_bars(start: float = 0.00085, end: float = 0.012) -> Tensor:
    """(1000,) products abar_t of SD's "scaled linear" schedule.

    In float32, so that they are bit-equal to the ones with which SD was trained.
    """
    betas = torch.linspace(start ** 0.5, end ** 0.5, STEPS, dtype=torch.float32) ** 2
    return torch.cumprod(1 - betas, dim=0)


ABAR = alpha_bars()


def step(z: Tensor, eps: Tensor, s: int, t: int) -> Tensor:
    """The DDIM step: z from timestep s to timestep t along the predicted noise."""
    a, b = ABAR[s].item(), ABAR[t].item()
    z0 = (z - (1 - a) ** 0.5 * eps) / a ** 0.5
    return b ** 0.5 * z0 + (1 - b) ** 0.5 * eps


def add_noise(z: Tensor, t: int, noise: Tensor) -> Tensor:
    """The forward process: clean latent z to timestep t."""
    a = ABAR[t].item()
    return a ** 0.5 * z + (1 - a) ** 0.5 * noise


def seeded_noise(seed: int, shape: Sequence[int], like: Tensor) -> Iterator[Tensor]:
    """Yields draws of standard normal noise, on the device and in the dtype of `like`.

    The same seed gives the same draws. They come from the CPU, so that all devices agree.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(shape, generator=generator).to(like)


def inversion_timesteps(t: int, steps: int) -> list[int]:
    """`steps` timesteps, evenly spaced, the last one t; raises InputError if there are none such.

    inversion_timesteps(300, 3) = [100, 200, 300]. inversion_timesteps(1, 1) = [1] is the release.
    """
    if not 0 <= t < STEPS or not 0 <= steps <= t:
        raise InputError(f"timestep {t} with {steps} inversion steps: "
                         f"need 0 <= timestep < {STEPS} and 0 <= steps <= timestep")
    return [round(t * (i + 1) / steps) for i in range(steps)]


def invert(unet: Predictor, z: Tensor, text: Tensor,
           ts: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
    """DDIM inversion of clean latents up the ascending timesteps ts; yields (t, z_t).

    z (B, 4, H, W), the clean latent, is taken to be at timestep 0 of the schedule, as in the
    release: at abar_0 = 0.99915 instead of 1. text: (B, T, c) text states. The noise between s and
    t is predicted on z_s, but with timestep t, as prompt-to-prompt and FA-Seg's release do. With ts
    = [1] this is the release's whole inversion: z' = 0.999573 z + 0.012137 eps(z, 1), a change of
    one percent.
    """
    s = 0
    for t in ts:
        z = step(z, unet(z, t, text), s, t)
        yield t, z
        s = t


def sample(unet: Predictor, z: Tensor, text: Tensor, ts: Sequence[int], guidance: float = 1.0,
           empty: Tensor | None = None) -> Iterator[tuple[int, Tensor]]:
    """DDIM sampling: from z at ts[0] down the descending timesteps ts to 0; yields (t, z_t).

    guidance other than 1 is classifier-free guidance against `empty` (B, T, c), the states of the
    empty prompt.
    """
    for s, t in zip(ts, [*ts[1:], 0]):
        eps = unet(z, s, text)
        if guidance != 1:
            assert empty is not None, "guidance needs the states of the empty prompt"
            unconditional = unet(z, s, empty)
            eps = unconditional + guidance * (eps - unconditional)
        z = step(z, eps, s, t)
        yield t, z
