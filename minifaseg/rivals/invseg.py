r"""InvSeg (Lin et al. 2024, arXiv 2410.11473): a RECONSTRUCTION. Its code was never released and its equations could not be recovered.

Its idea: do not take the words as they are. At test time move the text states, and nothing else, until the maps they raise agree with
the picture's own structure: cells of one class should lie near each other in the picture's self-attention and far from other classes.

    S         = symmetric KL between the self-attention rows of two cells             a constant of the picture
    M         = softmax_c( beta minmax(A x_c(P)) ),    D(p, M^c) = sum_q M^c_q S_pq / sum_q M^c_q
    L_clu     = 1/C sum_c sum_p a^c_p ( D(p, M^c) - lambda_- / (C - 1) sum_{c' != c} D(p, M^c') )
    L_ent     = entropy over classes of the mean M of the views;       L = L_clu + lambda_e L_ent

Known of the paper: the learnable text states, a "background" class, contrastive soft clustering with confident anchors a, entropy over
augmented views. Ours: these formulas, every number below, and that gradients reach P through the keys alone (P is only looked up, as P' is
in the dual prompt), so that the UNet runs once and is never differentiated.
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..attention import CapturedAttention, at_least_float32
from ..hard import as_cells, as_image, fuse_cross, minmax
from ..prompts import Lookup, class_prompts, clean_classes, image_prompt
from ..ttf import merge
from .capture import capture_image
from .diffseg import symmetric_kl

BACKGROUND = "background"


@dataclass(frozen=True)
class InvSeg:
    """All numbers are our choices."""
    timestep: int = 100
    seed: int = 0
    cross: tuple[float, ...] = (0.15, 0.70, 0.15, 0.0)   # levels 8, 16, 32, 64
    beta: float = 8.0                                    # sharpness of the soft assignment
    anchor: float = 0.5                                  # theta_a: a cell this sure of a class is one of its anchors
    repel: float = 1.0                                   # lambda_-
    entropy: float = 0.5                                 # lambda_e
    steps: int = 15
    rate: float = 0.02                                   # Adam's, times the states' deviation
    flip: bool = True                                    # views: the picture and its mirror image
    threshold: float = 0.0                               # scores are margins over "background"
    MARGINS: ClassVar = True                             # thresholds lie around 0, not between 0 and 1
    CAPTURE_FIELDS: ClassVar = ("timestep", "seed", "flip")        # what `capture` depends on

    @torch.no_grad()
    def capture(self, model, image, classes, caption=None) -> CapturedAttention:
        """Two views under "caption ; classes". P has one more name, "background"; a model that does not know the word starts from
        the state of the end token, which means nothing in particular."""
        classes = clean_classes(classes)
        record = capture_image(model, image, image_prompt(model.text, classes, caption).states, [self.timestep], seed=self.seed, flip=self.flip)
        knows = model.text.words is None or BACKGROUND in model.text.words
        lookup = class_prompts(model.text, (*classes, BACKGROUND) if knows else classes)
        if not knows:
            used = max(t for g, tokens in lookup.spans if g == len(lookup.states) - 1 for t in tokens)
            lookup.spans.append((len(lookup.states) - 1, [used + 1]))
        return CapturedAttention(record, model.unet.attention_layers(), image.size, model.side, classes, lookup)

    def scores(self, captured: CapturedAttention) -> Tensor:
        """(K, h, w) on the finest grid: M of each class minus M of the background, after the inversion."""
        lookup, _ = self.invert(captured)
        with torch.no_grad():
            M = self.together(self.maps(captured, lookup), captured.grids[-1])  # (N, C)
            K = len(captured.classes)
            return as_image((M[:, :K] - M[:, -1:])[None], captured.grids[-1])[0]

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Margins over the background, bicubic to the picture's size; ours, as FA-Seg's."""
        return scores, "bicubic"

    def invert(self, captured: CapturedAttention) -> tuple[Lookup, list[float]]:
        """Moves the text states; returns them and the loss before each step and after the last."""
        grid = captured.grids[-1]
        A = captured.self_map(grid)
        S = torch.stack([symmetric_kl(a, a) for a in A])                        # (B, N, N)
        states, spans = captured.lookup
        P = at_least_float32(states).clone().requires_grad_()
        lookup = lambda: Lookup(P.to(states.dtype), spans)
        optimizer, losses = torch.optim.Adam([P], lr=self.rate * P.std().item()), []
        with torch.enable_grad():
            for _ in range(self.steps):
                loss = self.loss(S, self.maps(captured, lookup()), grid)
                losses.append(loss.item())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            losses.append(self.loss(S, self.maps(captured, lookup()), grid).item())
            return lookup(), losses

    def maps(self, captured, lookup) -> Tensor:
        """M (B, N, C): how much each cell belongs to each class."""
        x = fuse_cross(captured, lookup, self.cross)
        x = x - x.mean(1, keepdim=True)
        return (self.beta * minmax(captured.refine(captured.grids[-1], x))).softmax(-1)

    def loss(self, S, M, grid) -> Tensor:
        C = M.shape[-1]
        D = S @ M / M.sum(1, keepdim=True)                                      # (B, N, C): distance of a cell to a class
        a = torch.where(M >= self.anchor, M, 0)
        a = a / a.sum(1, keepdim=True).clamp_min(1e-8)                          # a class without anchors has no say
        others = (D.sum(-1, keepdim=True) - D) / max(1, C - 1)
        clustering = (a * (D - self.repel * others)).sum(1).mean()
        mean = self.together(M, grid)
        return clustering + self.entropy * -(mean * mean.clamp_min(1e-8).log()).sum(-1).mean()

    def together(self, M, grid) -> Tensor:
        """Mean (N, C) of the views, the mirror view turned back."""
        return as_cells(merge(as_image(M, grid))[None])[0]
