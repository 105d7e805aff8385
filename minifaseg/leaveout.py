r"""Leave-out: FA-Seg, and a question to the painter for every class: would you paint this picture worse without the word?

FA-Seg stretches every class map to [0, 1], so a class that is not there reaches 1 somewhere, too, on somebody else's object. Attention
cannot tell: it says where a word would be, not whether. The network's own training loss can. Add noise eps to the latent, and let the
network predict it under P and under P without the class:

    rise_c(p) = |eps - eps_theta(z_t, t, P \ c)|^2 - |eps - eps_theta(z_t, t, P)|^2       at cell p, over the mean error, mean over t, eps
    e_c       = mean of rise_c, weighted by S_c^4: in the region that c claims
    S_c sigmoid(1 + e_c / w)

Ours, one step beyond the paper; found and measured with `minifaseg.evaluate` (tutorial/results.md). Asking whether a text fits by the
denoising error is the diffusion classifier's idea (Li et al. 2023, arXiv 2303.16203); one word left out, and where it hurts, is not in
the papers compared here. It costs times x draws UNet views for P and for each class; FA-Seg has two views in all.
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from . import ddim, prompts
from .attention import at_least_float32
from .wordings import CapturedWordings, Wordings

TOGETHER = 8                                             # views in one UNet call: bounds the memory, changes nothing else


@dataclass
class CapturedLeaveOut(CapturedWordings):
    """Captured attention, and `rise` (K, h, w): how much the error rises, cell by cell, when a class is left out of P."""
    rise: Tensor | None = None


@dataclass(frozen=True)
class LeaveOut(Wordings):
    """FA-Seg's numbers and three more, chosen on cartoon scenes that no table uses.

    `wordings` gives it the gain of wordings.py, too, in S_c; left as it is, it asks for the name.
    """
    wordings: tuple[str, ...] = ("{}",)
    times: tuple[int, ...] = (100, 200, 300)
    draws: int = 2                           # of noise, at each of these times; the same for every prompt
    softness: float = 0.05                   # w: how small a change of the error matters
    CAPTURE_FIELDS: ClassVar = (*Wordings.CAPTURE_FIELDS, "times", "draws")

    @torch.no_grad()
    def captures(self, model, images, classes, caption: str | None = None) -> list[CapturedLeaveOut]:
        """FA-Seg's captures, then for each picture the rise of the error for each class.

        A class is asked about with a P that holds it: where P cannot hold all, it asks in parts.
        """
        names, before = prompts.clean_classes(classes), prompts.caption_prefix(caption)
        asked = [self.asked(model.text, part, caption)
                 for part in prompts.split_to_fit(model.text, names, before=before)]
        captured = super().captures(model, images, names, caption)
        weighed = []
        for seen, image in zip(captured, images):
            rises = [self.rise(model, image, states) for states in asked]
            rise = torch.cat(rises)                                             # (K, h, w)
            weighed.append(CapturedLeaveOut(**vars(seen), rise=rise))
        return weighed

    def asked(self, text, names, caption) -> Tensor:
        """(1 + K, T, c): P, then P without each class."""
        lists = [names, *(tuple(n for n in names if n != c) for c in names)]
        return torch.cat([prompts.image_prompt(text, some, caption).states for some in lists])

    def rise(self, model, image, states) -> Tensor:
        """rise_c (K, h, w) of one picture; states (1 + K, T, c): P, then P without each class."""
        z, rise = model.vae.encode(model.pixels(image)), 0                                  # (1, 4, h, w)
        eps = torch.randn(self.draws, *z.shape[1:], generator=torch.Generator().manual_seed(self.seed)).to(z)
        for t in self.times:
            error = errors(model.unet, ddim.add_noise(z, t, eps), eps, t, states)           # (1 + K, h, w)
            rise = rise + (error[1:] - error[0]) / error[0].mean() / len(self.times)
        return rise

    @torch.no_grad()
    def scores(self, captured: CapturedLeaveOut) -> Tensor:
        """Score maps (K, h, w) on the finest grid, for the captured classes."""
        s = super().scores(captured)
        return s * torch.sigmoid(1 + needed(s, captured.rise) / self.softness)[:, None, None]


def errors(unet, noisy, eps, t, states) -> Tensor:
    """(G, h, w): squared error of the noise predicted from `noisy` (D, 4, h, w) under each of G prompts, mean over channels and draws."""
    pairs, out = [(g, d) for g in range(len(states)) for d in range(len(eps))], []
    for i in range(0, len(pairs), TOGETHER):
        g, d = map(list, zip(*pairs[i:i + TOGETHER]))
        out.append(at_least_float32(unet(noisy[d], t, states[g]) - eps[d]).square().mean(1))
    return torch.cat(out).unflatten(0, (len(states), -1)).mean(1)


def needed(s: Tensor, rise: Tensor) -> Tensor:
    """e (K,): mean rise of the error in the region that each class claims, from scores s and rise, both (K, h, w)."""
    claim = s.clamp_min(0).flatten(1) ** 4                                                  # (K, N)
    return (claim * rise.flatten(1)).sum(1) / claim.sum(1).clamp_min(torch.finfo(s.dtype).tiny)
