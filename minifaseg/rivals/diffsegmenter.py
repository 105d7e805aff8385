r"""DiffSegmenter (Wang et al. 2023, arXiv 2309.02773; release VCG-team/DiffSegmenter b3a8686).

Its idea: ask for one class at a time ("a photograph of a cat ..."), raise the voice on the class word, take cross-attention for
where it is and one application of the finest self-attention for its outline; the average over a few noise levels is steadier.

    x_c = sum_r w_r minmax(up(C_r[:, c])),      M_c = minmax(mean_t A_t x_{c,t})

The paper averages over t in {1, 50, 100, 150}, the released code has t = 100 alone: the default is the paper's, `timesteps=(100,)` the
code's. The code's continuation of each prompt is BLIP's caption that begins with the template; give it as `caption`, a text per class.
Not taken over: the code averages the word after a class with it where that word ends in "ing".
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention import Captured, mean_map, walk
from ..hard import as_image, minmax, on_grid, weighted
from ..prompts import Lookup, check_text, clean_classes, lay_out, refuse_long, template_halves
from .look import look


@dataclass(frozen=True)
class DiffSegmenter:
    """Defaults: the paper's where it says so, else the released code's (methods per line)."""
    timesteps: tuple[int, ...] = (1, 50, 100, 150)       # paper; the code: (100,)
    cross: tuple[float, ...] = (0.3, 0.5, 0.1, 0.1)      # levels 8, 16, 32, 64, paper and code
    weight: float = 1.21                                 # "++" of compel: 1.1 squared, on the class word's text state
    template: str = "a photograph of {}"                 # VOC's; Context and COCO have "a photography of {}"
    refine: bool = True                                  # one application of the finest self-attention
    sample: bool = True                                  # posterior sample of the VAE
    seed: int = 0                                        # the release leaves its noise unseeded
    threshold: float = 0.5                               # a constant background map; the release sweeps it on the evaluation set
    CONTINUES: ClassVar = True                           # its caption is a text per class, each going on from the template
    LOOK: ClassVar = ("timesteps", "weight", "template", "sample", "seed")        # what `capture` depends on

    def __post_init__(self):
        template_halves(self.template)                   # raises

    @torch.no_grad()
    def capture(self, model, image, classes, caption=None) -> Captured:
        """One view per timestep and class. caption: the continuation, a text or a dict class -> text."""
        classes = clean_classes(classes)
        lookup = self.prompts(model.text, classes, caption)
        record = look(model, image, lookup.states, self.timesteps, sample=self.sample, seed=self.seed)
        return Captured(record, model.unet.attention_layers(), image.size, classes, lookup)

    def prompts(self, text, classes, caption=None) -> Lookup:
        """A prompt per class, its name re-weighted: z' = z_empty + 1.21 (z - z_empty). A continuation that begins with the prompt
        itself, as BLIP's does, is not said twice. It is cut off behind T tokens; the name must
        fit."""
        states, spans, empty = [], [], text([""])[0]
        before, after = template_halves(self.template)
        for g, name in enumerate(classes):
            more = (caption.get(name) if isinstance(caption, dict) else caption) or ""
            check_text(more, "the caption")
            more = more.removeprefix(before + name + after)
            if more[:1] not in ("", " ", ","):
                more = f", {more}"
            pieces, (span,) = lay_out(text, [name], before=before, after=after + more)
            if span is None:
                refuse_long(text, name, before)
            z = text.states(text.ids(pieces)[None])[0].clone()                  # (T, c)
            z[span] = empty[span] + self.weight * (z[span] - empty[span])
            states.append(z)
            spans.append((g, span))
        return Lookup(torch.stack(states), spans)

    @torch.no_grad()
    def scores(self, captured: Captured) -> Tensor:
        """M (K, h, w) on the finest grid."""
        *_, full = captured.grids
        views = [spans for _ in self.timesteps for spans in captured.lookup.spans]
        x = 0
        for grid, w in weighted(captured.grids, self.cross):
            cross = mean_map(list(captured.at(grid, "attn2").values()))         # (T*K, n, tokens)
            c = torch.stack([view[:, tokens].mean(-1) for view, (_, tokens) in zip(cross, views)])[..., None]
            x = x + w * minmax(on_grid(F.interpolate(as_image(c, grid), size=full, mode="bilinear", align_corners=False)))
        if self.refine:
            x = walk(list(captured.at(full, "attn1").values()), x)              # (T*K, N, 1)
        x = x.unflatten(0, (len(self.timesteps), -1)).mean(0)                   # (K, N, 1)
        return as_image(minmax(x), full)[:, 0]
