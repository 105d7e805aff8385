r"""Dataset Diffusion (Nguyen et al. 2023, arXiv 2309.14303; release VinAIResearch/Dataset-Diffusion 00866c4), FA-Seg's ancestor.

Its idea: a picture that was painted from words already comes with its labels. The class prompt beside the caption, the power of the
self-attention and the min-max are all here already; what it says about the unsure is its own: they get the label 255, not a guess.

    y_c = A_32^4 up(C_16)_c;    label: best >= 0.6 that class;  0.5 to 0.6 "uncertain", 255;  else background

What differs from the release, and why:
- It was made for painted pictures and averages attention over all 100 steps of painting. For a given
  picture there are no such steps: here it is an average over `timesteps` of the noised picture,
  which is ours.
- A name's tokens are counted, not its words: in the release "aeroplane person" looks person up in
  "lane", a piece of the first word.
- The mean is taken off x before A is applied, four times, where the release forms A^4 in float32:
  the same by algebra, with less noise.
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention import CapturedAttention
from ..hard import as_cells, as_image, minmax
from ..prompts import class_maps, class_prompts, clean_classes, image_prompt
from .capture import capture_image


@dataclass(frozen=True)
class DatasetDiffusion:
    """Defaults: the released code's but for `timesteps`. Levels are counted from the coarsest: 0 is 8 x 8 in SD 1.5 at 512 pixels."""
    timesteps: tuple[int, ...] = (50, 250, 450, 650)     # ours
    seed: int = 1111
    cross: int = 1                                       # level of the cross-attention: 16 x 16
    level: int = 2                                       # level of the self-attention: 32 x 32
    tau: int = 4
    threshold: float = 0.5                               # below: background
    certain: float = 0.6                                 # from here on: the class; between the two: 255
    CAPTURE_FIELDS: ClassVar = ("timesteps", "seed")        # what `capture` depends on

    @torch.no_grad()
    def capture(self, model, image, classes, caption=None) -> CapturedAttention:
        """A view per timestep under "caption; a b c"; the names are looked up in "a b c"."""
        classes = clean_classes(classes)
        prompt = image_prompt(model.text, classes, caption, between="")
        record = capture_image(model, image, prompt.states, self.timesteps, seed=self.seed)
        return CapturedAttention(record, model.unet.attention_layers(), image.size, model.side, classes, class_prompts(model.text, classes, between=""))

    @torch.no_grad()
    def scores(self, captured: CapturedAttention) -> Tensor:
        """(K, h, w) on the grid of `level`."""
        coarse, grid = captured.grids[self.cross], captured.grids[self.level]
        c = class_maps(captured.cross_map(coarse, captured.lookup.states), captured.lookup).mean(0, keepdim=True)    # (1, n, K)
        x = as_cells(F.interpolate(as_image(c, coarse), size=grid, mode="bicubic", align_corners=False))              # (1, N, K)
        A = captured.self_map(grid).mean(0)                                                                          # (N, N)
        x = x - x.mean(1, keepdim=True)
        for _ in range(self.tau):
            x = A @ x
        return as_image(minmax(x), grid)[0]

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Bicubic to the picture's size, then the argmax."""
        return scores, "bicubic"
