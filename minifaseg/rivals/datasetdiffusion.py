r"""Dataset Diffusion (Nguyen et al. 2023, arXiv 2309.14303), the ancestor of FA-Seg.

Release: VinAIResearch/Dataset-Diffusion 00866c4.

Idea: a picture that was generated from words comes with its labels. FA-Seg takes from it the class
prompt beside the caption, the power of the self-attention and the min-max. Unsure pixels get the
label 255 instead of a guess; this FA-Seg does not have.

    y_c       = A_32^4 up(C_16)_c               up: bicubic
    s_c       = minmax(y_c)
    label     = argmax_c s_c                    where max s >= 0.6
              = 255, "uncertain"                where 0.5 <= max s < 0.6
              = 0, background                   elsewhere

Differences from the release, and why:
- The release averages attention over the 100 steps that generate the picture. A given picture has
  no such steps. Here the average is over `timesteps` of the noised picture, which is our choice.
- The tokens of a name are counted, not its words. In the release "aeroplane person" finds person
  at "lane", a piece of the first word.
- The mean of x is subtracted before A is applied, four times. The release forms A^4 in float32.
  Both are equal in exact arithmetic; ours loses fewer digits.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from ..attention import CapturedAttention
from ..hard import as_image, minmax, resize_maps
from ..model import Model
from ..prompts import class_maps, class_prompts, clean_classes, image_prompt
from .capture import capture_image


@dataclass(frozen=True)
class DatasetDiffusion:
    """Defaults: the released code's, except `timesteps`.

    Levels are counted from the coarsest: 0 is 8 x 8 in SD 1.5 at 512 pixels.
    """
    timesteps: tuple[int, ...] = (50, 250, 450, 650)     # ours
    seed: int = 1111
    cross: int = 1                                       # level of the cross-attention: 16 x 16
    level: int = 2                                       # level of the self-attention: 32 x 32
    tau: int = 4                                         # power of the self-attention
    threshold: float = 0.5                               # lower scores: background
    certain: float = 0.6                                 # from `threshold` up to this: 255
    CAPTURE_FIELDS: ClassVar = ("timesteps", "seed")     # what `capture` depends on

    @torch.no_grad()
    def capture(self, model: Model, image: Image.Image, classes: Sequence[str],
                caption: str | None = None) -> CapturedAttention:
        """A view per timestep under "caption; a b c"; the names are looked up in "a b c"."""
        classes = clean_classes(classes)
        prompt = image_prompt(model.text, classes, caption, between="")
        lookup = class_prompts(model.text, classes, between="")
        return capture_image(model, image, prompt.states, self.timesteps, classes, lookup,
                             seed=self.seed)

    @torch.no_grad()
    def scores(self, captured: CapturedAttention) -> Tensor:
        """Score maps (K, h, w) on the grid of `level`."""
        coarse, grid = captured.grids[self.cross], captured.grids[self.level]

        # up(C), mean over the timesteps
        C = captured.cross_map(coarse, captured.lookup.states)                  # (B, G, n, T)
        x = class_maps(C, captured.lookup).mean(0, keepdim=True)                # (1, n, K)
        x = resize_maps(x, coarse, grid, "bicubic")                             # (1, N, K)

        # A^tau x
        A = captured.self_map(grid).mean(0)                                     # (N, N)
        x = x - x.mean(1, keepdim=True)
        for _ in range(self.tau):
            x = A @ x
        return as_image(minmax(x), grid)[0]

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Bicubic to the picture's size; labelling.label then uses `threshold` and `certain`."""
        return scores, "bicubic"
