r"""InvSeg (Lin et al. 2024, arXiv 2410.11473): a RECONSTRUCTION.

Its code was never released, and its equations could not be recovered.

Idea: the text states are not fixed. At test time they, and nothing else, are optimised until their
maps agree with the structure of the picture: by its self-attention, the cells of one class should
be near each other and far from other classes.

    S         = symmetric KL between the self-attention rows of two cells;    constant for a picture
    M         = softmax_c( beta minmax(A x_c(P)) ),    D(p, M^c) = sum_q M^c_q S_pq / sum_q M^c_q
    L_clu     = 1/C sum_c sum_p a^c_p ( D(p, M^c) - lambda_- / (C - 1) sum_{c' != c} D(p, M^c') )
    L_ent     = entropy over classes of the mean M of the views;      L = L_clu + lambda_e L_ent

Known from the paper: learnable text states, a "background" class, contrastive soft clustering with
confident anchors a, and entropy over augmented views.

Ours: these formulas and every number below. Also ours: gradients reach P through the keys alone. P
is only looked up, like P' in the dual prompt, so the UNet runs once and is never differentiated.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from ..attention import CapturedAttention, at_least_float32
from ..hard import as_image, fuse_cross, minmax
from ..model import Model
from ..prompts import Lookup, class_prompts, clean_classes, image_prompt
from ..ttf import merge
from .capture import capture_image
from .diffseg import symmetric_kl
from .entities import background_names


@dataclass(frozen=True)
class InvSeg:
    """All numbers are our choices."""
    timestep: int = 100
    seed: int = 0
    cross: tuple[float, ...] = (0.15, 0.70, 0.15, 0.0)   # levels 8, 16, 32, 64
    beta: float = 8.0                                    # sharpness of the soft assignment
    anchor: float = 0.5                                  # theta_a: the least M^c of an anchor of c
    repel: float = 1.0                                   # lambda_-
    entropy: float = 0.5                                 # lambda_e
    steps: int = 15                                      # of Adam
    rate: float = 0.02                                   # Adam's, times the states' deviation
    flip: bool = True                                    # views: the picture and its mirror image
    threshold: float = 0.0                               # scores are margins over "background"
    MARGINS: ClassVar = True                             # thresholds lie around 0, not in 0 to 1
    CAPTURE_FIELDS: ClassVar = ("timestep", "seed", "flip")        # what `capture` depends on

    @torch.no_grad()
    def capture(self, model: Model, image: Image.Image, classes: Sequence[str],
                caption: str | None = None) -> CapturedAttention:
        """Two views under "caption ; classes". P has one name more, "background".

        A model that does not know this word starts from the state of the end token, which means
        nothing in particular.
        """
        classes = clean_classes(classes)
        background = background_names(model.text)
        lookup = class_prompts(model.text, (*classes, *background))
        if not background:
            prompt, tokens = lookup.spans[-1]  # type: ignore[misc]  # every name has a span
            end = (prompt, [tokens[-1] + 1])                                    # the end token
            lookup = Lookup(lookup.states, [*lookup.spans, end])
        states = image_prompt(model.text, classes, caption).states
        return capture_image(model, image, states, [self.timestep], classes, lookup,
                             seed=self.seed, flip=self.flip)

    @torch.no_grad()
    def scores(self, captured: CapturedAttention) -> Tensor:
        """M of each class minus M of the background (K, h, w) on the finest grid, optimised."""
        lookup, _ = self.invert(captured)
        M = self.maps(captured, lookup)                                         # (B, N, C)
        M = merge(as_image(M, captured.grids[-1]))                              # (C, h, w)
        return M[:len(captured.classes)] - M[-1]

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Margins over the background, bicubic to the picture's size; ours, like FA-Seg's."""
        return scores, "bicubic"

    def invert(self, captured: CapturedAttention) -> tuple[Lookup, list[float]]:
        """Optimises the text states.

        Returns them, and the loss before each step and after the last.
        """
        grid = captured.grids[-1]
        S = torch.stack([symmetric_kl(A, A) for A in captured.self_map(grid)])  # (B, N, N)
        states, spans = captured.lookup
        P = at_least_float32(states).clone().requires_grad_()
        optimizer = torch.optim.Adam([P], lr=self.rate * P.std().item())

        losses = []
        with torch.enable_grad():
            while True:
                lookup = Lookup(P.to(states.dtype), spans)
                loss = self.loss(S, self.maps(captured, lookup), grid)
                losses.append(loss.item())
                if len(losses) > self.steps:                                    # after the last one
                    return Lookup(lookup.states.detach(), spans), losses
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def maps(self, captured: CapturedAttention, lookup: Lookup) -> Tensor:
        """M (B, N, C): how much each cell belongs to each class."""
        x = fuse_cross(captured, lookup, self.cross)
        x = x - x.mean(1, keepdim=True)
        x = captured.apply_self_attention(captured.grids[-1], x)                              # A x
        return (self.beta * minmax(x)).softmax(-1)

    def loss(self, S: Tensor, M: Tensor, grid) -> Tensor:
        """L of the distances S (B, N, N) and the maps M (B, N, C)."""
        D = S @ M / M.sum(1, keepdim=True)                                      # (B, N, C)
        a = torch.where(M >= self.anchor, M, 0)
        a = a / a.sum(1, keepdim=True).clamp_min(1e-8)    # 0 for a class without anchors

        others = (D.sum(-1, keepdim=True) - D) / max(1, M.shape[-1] - 1)
        clustering = (a * (D - self.repel * others)).sum(1).mean()
        mean = merge(as_image(M, grid))                                         # (C, h, w)
        entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
        return clustering + self.entropy * entropy
