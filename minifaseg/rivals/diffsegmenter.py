r"""DiffSegmenter (Wang et al. 2023, arXiv 2309.02773; release VCG-team/DiffSegmenter b3a8686).

Idea: one prompt for each class ("a photograph of a cat ..."), with the class word re-weighted.
Cross-attention says where the class is; one application of the finest self-attention gives its
outline. The mean over a few noise levels is steadier than one of them.

    x_c = sum_r w_r minmax(bilinear(C_r[:, c])),      c: the last piece of the name
    M_c = minmax(bilinear(mean_t A_t x_{c,t})),       at the picture's size

Differences from the release, and why:
- The paper averages over t in {1, 50, 100, 150}, the code has t = 100 alone. The default is the
  paper's; `timesteps=(100,)` is the code's.
- The code continues each prompt with a caption from BLIP. Give it as `caption`, a text per class.
- Where the word after a class ends in "ing", the code averages it with the class. This is left out.
- The code's noise has no seed; here it has one.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from ..attention import CapturedAttention, apply_attention, mean_map
from ..hard import as_image, levels_with_weight, minmax, resize_maps
from ..labelling import minmax_at
from ..model import Model
from ..prompts import (
    Lookup,
    check_text,
    clean_classes,
    concatenate,
    refuse_long,
    template_halves,
    tokens_and_spans,
)
from ..text import Text
from .capture import VIEWS_PER_CALL, capture_latents, noised_latents


@dataclass(kw_only=True)
class CapturedDiffSegmenter(CapturedAttention):
    """Captured attention, and the class maps of the views; a view is a timestep and a class.

    x: (timesteps, K, N, levels) on the finest grid, min-maxed. Ax: the same, refined. `record`
    holds the last few views alone: queries and keys of a view are 140 MB at the size of SD 1.5.
    """
    x: Tensor
    Ax: Tensor


@dataclass(frozen=True)
class DiffSegmenter:
    """Defaults: the paper's where it says so, else the released code's."""
    timesteps: tuple[int, ...] = (1, 50, 100, 150)       # paper; the code: (100,)
    cross: tuple[float, ...] = (0.3, 0.5, 0.1, 0.1)      # levels 8, 16, 32, 64; paper and code
    weight: float = 1.21                                 # "++" of compel: 1.1 squared
    template: str = "a photograph of {}"                 # VOC; Context, COCO: "a photography of {}"
    refine: bool = True                                  # apply the finest self-attention once
    sample: bool = True                                  # a sample of the VAE's posterior
    seed: int = 0
    # The score of the background, everywhere. The release sweeps it on the evaluation set.
    threshold: float = 0.5
    # The caption is a text per class, and each continues the template.
    CONTINUES: ClassVar = True
    # What `capture` depends on.
    CAPTURE_FIELDS: ClassVar = ("timesteps", "weight", "template", "sample", "seed")

    def __post_init__(self) -> None:
        template_halves(self.template)                   # raises

    @torch.no_grad()
    def capture(self, model: Model, image: Image.Image, classes: Sequence[str],
                caption: str | dict[str, str] | None = None) -> CapturedDiffSegmenter:
        """One view per timestep and class.

        caption: what continues the prompts, a text or a dict class -> text.
        """
        classes = clean_classes(classes)
        lookup = self.prompts(model.text, classes, caption)
        z = noised_latents(model, image, self.timesteps, sample=self.sample, seed=self.seed)

        batches = []
        classes_per_call = max(1, VIEWS_PER_CALL // len(z))
        for start in range(0, len(classes), classes_per_call):
            batch = slice(start, start + classes_per_call)
            record = capture_latents(model, z, self.timesteps, lookup.states[batch])
            captured = CapturedAttention(record, model.unet.attention_layers(), image.size,
                                         model.side, classes, lookup)
            # mypy: every name has a span
            tokens = [span[1][-1] for span in lookup.spans[batch]]  # type: ignore[index]
            x = self.class_maps(captured, tokens)
            finest = captured.at(captured.grids[-1], "attn1")
            Ax = apply_attention(list(finest.values()), x)
            maps = torch.stack([x, Ax])                                         # (2, B, N, levels)
            batches.append(maps.unflatten(1, (len(z), -1)))                     # B -> timesteps, k

        x, Ax = torch.cat(batches, 2)
        return CapturedDiffSegmenter(**vars(captured), x=x, Ax=Ax)

    def prompts(self, text: Text, classes: Sequence[str],
                caption: str | dict[str, str] | None = None) -> Lookup:
        """A prompt per class: the template with its name, then its continuation as it stands.

        The last word of the name is re-weighted, z' = z_empty + 1.21 (z - z_empty); its last piece
        is looked up. A continuation that begins with the prompt itself, as BLIP's does, does not
        repeat it. It is cut off after T tokens; the name must fit.
        """
        continuations = caption if isinstance(caption, dict) else dict.fromkeys(classes, caption)
        before, after = template_halves(self.template)
        empty = text([""])[0]                                                   # (T, c)
        lookups = []
        for name in classes:
            continuation = continuations.get(name) or ""
            check_text(continuation, "the caption")
            prompt = before + name + after
            if continuation[:len(prompt)].casefold() == prompt.casefold():
                continuation = continuation[len(prompt):]

            start, _, last_word = name.rpartition(" ")
            pieces, (word,) = tokens_and_spans(text, [last_word], before=f"{before}{start} ",
                                               after=f"{after} {continuation}")
            if word is None:
                refuse_long(text, name, before)

            z = text.states(text.ids(pieces)[None])[0].clone()                  # (T, c)
            z[word] = empty[word] + self.weight * (z[word] - empty[word])
            lookups.append(Lookup(z[None], [(0, word[-1:])]))
        return concatenate(lookups)

    def class_maps(self, captured: CapturedAttention, tokens: list[int]) -> Tensor:
        """x (B, N, levels), min-maxed, from the views of k classes at every timestep.

        tokens: the token that is looked up in the prompt of each class.
        """
        *_, full = captured.grids
        maps = []
        for grid in captured.grids:
            C = mean_map(list(captured.at(grid, "attn2").values()))             # (B, n, T)
            x = C[range(len(C)), :, tokens * len(self.timesteps)]               # (B, n)
            x = resize_maps(x[..., None], grid, full, "bilinear")               # (B, N, 1)
            maps.append(minmax(x))
        return torch.cat(maps, -1)

    @torch.no_grad()
    def scores(self, captured: CapturedDiffSegmenter) -> Tensor:
        """M (K, h, w) on the finest grid. A is linear, so levels may be weighted after it."""
        maps = captured.Ax if self.refine else captured.x
        levels = dict(zip(captured.grids, maps.unbind(-1)))
        M = torch.zeros(())
        for grid, w in levels_with_weight(captured.grids, self.cross):
            M = M + w * levels[grid]                                            # (timesteps, K, N)
        M = M.mean(0).T[None]                                                   # (1, N, K)
        return as_image(minmax(M), captured.grids[-1])[0]

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Bilinear to the picture's size, min-max there, argmax with a constant background."""
        return minmax_at(scores, captured.size, "bilinear"), "bilinear"
