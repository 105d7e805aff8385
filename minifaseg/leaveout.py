r"""Leave-out: FA-Seg, and one question for every class: is it there at all?

    rise_c(p) = |eps - eps_theta(z_t, t, P \ c)|^2 - |eps - eps_theta(z_t, t, P)|^2
                at cell p, over the mean error; mean over t and eps
    e_c       = mean of rise_c, weighted by S_c^4: in the region that c claims
    score     = S_c sigmoid(1 + e_c / w)

FA-Seg stretches every class map to [0, 1]. So a class that is not in the picture reaches 1
somewhere, too, on an object of another class. Attention cannot show this: it says where a word
would be, not whether it is there. The network's own training loss can. Add noise eps to the
latent, and let the network predict it under P and under P without the class (P \ c): if the class
is there, the error rises without its name.

Ours, one step beyond the paper; found and measured with `minifaseg.evaluate` (tutorial/results.md).
To ask by the denoising error whether a text fits is the idea of the diffusion classifier (Li et al.
2023, arXiv 2303.16203); to leave out one word, and to look where the error rises, is in none of the
papers compared here. It costs times x draws UNet views for P and for each class; FA-Seg has two
views in all.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from . import ddim, prompts
from .attention import at_least_float32
from .model import Model
from .text import Text
from .unet import UNet
from .wordings import CapturedWordings, Wordings

VIEWS_AT_ONCE = 8                        # views in one UNet call: limits the memory, nothing else


@dataclass
class CapturedLeaveOut(CapturedWordings):
    """Captured attention, and `rise` (K, h, w): how much the error rises without each class."""
    rise: Tensor | None = None


@dataclass(frozen=True)
class LeaveOut(Wordings):
    """FA-Seg's hyperparameters and three more, chosen on cartoon scenes that no table uses.

    With `wordings`, S_c also has the gain of wordings.py; the default asks for the name only.
    """
    wordings: tuple[str, ...] = ("{}",)
    times: tuple[int, ...] = (100, 200, 300)
    draws: int = 2                       # of noise, at each of them; the same for every prompt
    softness: float = 0.05               # w: how small a change of the error matters

    CAPTURE_FIELDS: ClassVar[tuple[str, ...]] = (*Wordings.CAPTURE_FIELDS, "times", "draws")

    @torch.no_grad()
    def captures(self, model: Model, images: list[Image.Image], classes: prompts.Classes,
                 caption: str | None = None) -> list[CapturedLeaveOut]:
        """Wordings' captures, then for each picture the rise of the error for each class.

        Each class is left out of a P that holds its name. Where one P cannot hold all names,
        several P each hold a part of them.
        """
        classes = prompts.clean_classes(classes)
        before = prompts.caption_prefix(caption)
        parts = [leave_each_out(model.text, names, caption)
                 for names in prompts.split_to_fit(model.text, classes, before=before)]

        results = []
        for captured in super().captures(model, images, classes, caption):
            z = captured.latents[:1]  # type: ignore[index]  # FASeg fills them
            rises = [self.rise(model.unet, z, states) for states in parts]
            results.append(CapturedLeaveOut(**vars(captured), rise=torch.cat(rises)))   # (K, h, w)
        return results

    def rise(self, unet: UNet, z: Tensor, states: Tensor) -> Tensor:
        """rise_c (K, h, w) of one latent z (1, 4, h, w).

        states (1 + K, T, c): P, then P without each class.
        """
        eps = next(ddim.seeded_noise(self.seed, (self.draws, *z.shape[1:]), like=z))
        rise = torch.zeros(())
        for t in self.times:
            error = errors(unet, ddim.add_noise(z, t, eps), eps, t, states)     # (1 + K, h, w)
            rise = rise + (error[1:] - error[0]) / error[0].mean() / len(self.times)
        return rise

    def scores(self, captured: CapturedLeaveOut, lookup: prompts.Lookup | None = None) -> Tensor:
        """Score maps (K, h, w) on the finest grid, for the captured classes."""
        S = super().scores(captured, lookup)
        rise = captured.rise
        e = mean_rise(S, rise)  # type: ignore[arg-type]                    # (K,)
        return S * torch.sigmoid(1 + e / self.softness)[:, None, None]


def leave_each_out(text: Text, names: Sequence[str], caption: str | None) -> Tensor:
    """(1 + K, T, c) text states: P, then P without each of the K names."""
    prompt = prompts.image_prompt(text, names, caption)
    states = [prompt.states]
    for name in names:
        others = [other for other in names if other != name]
        states.append(prompts.image_prompt(text, others, caption).states)
    return torch.cat(states)


def errors(unet: UNet, noisy: Tensor, eps: Tensor, t: int, states: Tensor) -> Tensor:
    """(G, h, w): squared error of the predicted noise under each of G prompts.

    noisy, eps (D, 4, h, w): D draws of noise, and the latent with each. states (G, T, c). The
    result is the mean over channels and draws.
    """
    G, D = len(states), len(eps)
    prompt = torch.arange(G).repeat_interleave(D)                           # (G * D,)
    draw = torch.arange(D).repeat(G)                                        # (G * D,)
    squares = []
    for g, d in zip(prompt.split(VIEWS_AT_ONCE), draw.split(VIEWS_AT_ONCE)):
        predicted = unet(noisy[d], t, states[g])                            # (views, 4, h, w)
        squares.append(at_least_float32(predicted - eps[d]).square().mean(1))
    return torch.cat(squares).unflatten(0, (G, D)).mean(1)


def mean_rise(S: Tensor, rise: Tensor) -> Tensor:
    """e (K,): mean rise of the error in the region that each class claims.

    S, rise: scores and rise of the error, both (K, h, w).
    """
    weight = S.clamp_min(0).flatten(1) ** 4                                 # (K, N)
    total = weight.sum(1).clamp_min(torch.finfo(S.dtype).tiny)
    return (weight * rise.flatten(1)).sum(1) / total
