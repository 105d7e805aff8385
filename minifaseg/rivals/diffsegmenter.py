r"""DiffSegmenter (Wang et al. 2023, arXiv 2309.02773; release VCG-team/DiffSegmenter b3a8686).

Its idea: ask for one class at a time ("a photograph of a cat ..."), raise the voice on the class
word, take cross-attention for where it is and one application of the finest self-attention for its
outline; the average over a few noise levels is steadier.

    x_c = sum_r w_r minmax(bilinear(C_r[:, c])),      c: the last piece of the name
    M_c = minmax(bilinear(mean_t A_t x_{c,t})),       at the picture's size

What differs from the release, and why:
- The paper averages over t in {1, 50, 100, 150}, the code has t = 100 alone: the default is the
  paper's, `timesteps=(100,)` the code's.
- The code continues each prompt with BLIP's caption; give it as `caption`, a text per class.
- The code averages the word after a class with it where that word ends in "ing": not taken over.
- Its noise is unseeded; here it has a seed.
"""
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention import CapturedAttention, apply_attention, mean_map
from ..hard import as_cells, as_image, minmax, levels_with_weight
from ..labelling import minmax_at
from ..prompts import (
    Lookup,
    check_text,
    clean_classes,
    refuse_long,
    template_halves,
    tokens_and_spans,
)
from .capture import TOGETHER, capture_latents, noised_latents


@dataclass
class Viewed(CapturedAttention):
    """What is left of the views, a timestep and a class each: their class maps. A view's queries and
    keys are 140 MB at SD 1.5's size, so `record` holds those of the last few alone.

    x: level -> class maps (T, K, N) on the finest grid, min-maxed; Ax: the same, refined.
    """
    x: dict[tuple[int, int], Tensor] | None = None
    Ax: dict[tuple[int, int], Tensor] | None = None


@dataclass(frozen=True)
class DiffSegmenter:
    """Defaults: the paper's where it says so, else the released code's (methods per line)."""
    timesteps: tuple[int, ...] = (1, 50, 100, 150)       # paper; the code: (100,)
    cross: tuple[float, ...] = (0.3, 0.5, 0.1, 0.1)      # levels 8, 16, 32, 64, paper and code
    weight: float = 1.21                                 # "++" of compel: 1.1 squared, on the class word's text state
    template: str = "a photograph of {}"                 # VOC's; Context and COCO have "a photography of {}"
    refine: bool = True                                  # one application of the finest self-attention
    sample: bool = True                                  # posterior sample of the VAE
    seed: int = 0
    threshold: float = 0.5                               # a constant background map; the release sweeps it on the evaluation set
    CONTINUES: ClassVar = True                           # its caption is a text per class, each going on from the template
    CAPTURE_FIELDS: ClassVar = ("timesteps", "weight", "template", "sample", "seed")        # what `capture` depends on

    def __post_init__(self):
        template_halves(self.template)                   # raises

    @torch.no_grad()
    def capture(self, model, image, classes, caption=None) -> Viewed:
        """One view per timestep and class. caption: the continuation, a text or a dict class -> text."""
        classes = clean_classes(classes)
        lookup = self.prompts(model.text, classes, caption)
        z = noised_latents(model, image, self.timesteps, sample=self.sample, seed=self.seed)
        layers = model.unet.attention_layers()
        few, views = max(1, TOGETHER // len(z)), []      # classes seen in one UNet call
        for first in range(0, len(classes), few):
            k = slice(first, first + few)
            record = capture_latents(model, z, self.timesteps, lookup.states[k])
            seen = Viewed(record, layers, image.size, model.side, classes, lookup)
            views.append(self.class_maps(seen, [token for _, (token,) in lookup.spans[k]]))
        x, Ax = ({grid: torch.cat([view[i][grid] for view in views], dim=1) for grid in views[0][i]}
                 for i in (0, 1))
        return replace(seen, x=x, Ax=Ax)

    def prompts(self, text, classes, caption=None) -> Lookup:
        """A prompt per class: the template with its name, then its continuation as it stands. The
        name's last word is raised, z' = z_empty + 1.21 (z - z_empty); its last piece is looked up.

        A continuation that begins with the prompt itself, as BLIP's does, is not said twice. It is
        cut off behind T tokens; the name must fit.
        """
        states, spans, empty = [], [], text([""])[0]
        before, after = template_halves(self.template)
        for g, name in enumerate(classes):
            more = (caption.get(name) if isinstance(caption, dict) else caption) or ""
            check_text(more, "the caption")
            prompt = before + name + after
            if more[:len(prompt)].casefold() == prompt.casefold():
                more = more[len(prompt):]
            start, _, last_word = name.rpartition(" ")
            pieces, (word,) = tokens_and_spans(text, [last_word], before=f"{before}{start} ",
                                      after=f"{after} {more}")
            if word is None:
                refuse_long(text, name, before)
            z = text.states(text.ids(pieces)[None])[0].clone()                  # (T, c)
            z[word] = empty[word] + self.weight * (z[word] - empty[word])
            states.append(z)
            spans.append((g, word[-1:]))
        return Lookup(torch.stack(states), spans)

    def class_maps(self, seen: CapturedAttention, tokens) -> tuple[dict, dict]:
        """x and Ax (T, k, N) of each level, from the views of k classes; tokens: the one that is
        looked up in each class's prompt."""
        x, Ax, grids = {}, {}, seen.grids
        full, tokens = grids[-1], tokens * len(self.timesteps)
        for grid in grids:
            cross = mean_map(list(seen.at(grid, "attn2").values()))             # (B, n, tokens)
            c = torch.stack([view[:, token] for view, token in zip(cross, tokens)])[..., None]
            up = F.interpolate(as_image(c, grid), size=full, mode="bilinear", align_corners=False)
            x[grid] = minmax(as_cells(up))                                       # (B, N, 1)
        finest = list(seen.at(full, "attn1").values())
        refined = apply_attention(finest, torch.cat(list(x.values()), -1))                 # (B, N, levels)
        for i, grid in enumerate(grids):
            Ax[grid] = refined[..., i].unflatten(0, (len(self.timesteps), -1))  # (T, k, N)
            x[grid] = x[grid][..., 0].unflatten(0, (len(self.timesteps), -1))
        return x, Ax

    @torch.no_grad()
    def scores(self, captured: Viewed) -> Tensor:
        """M (K, h, w) on the finest grid; A is linear, so levels may be levels_with_weight behind it."""
        maps = captured.Ax if self.refine else captured.x
        M = sum(w * maps[grid] for grid, w in levels_with_weight(captured.grids, self.cross)).mean(0)   # (K, N)
        return as_image(minmax(M.T[None]), captured.grids[-1])[0]

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Bilinear to the picture's size, min-max there, argmax with a constant background."""
        return minmax_at(scores, captured.size, "bilinear"), "bilinear"
