r"""Wordings: FA-Seg, its class prompt P' asked in many wordings. "Tree" alone looks for green
things, and finds a pink tree badly; so each name is also looked up as "red tree", "pink tree" and
so on, and every cell takes the wording that suits it best.

    x_c = (1 - s) C'_c + s max_w C'_{w(c)}        s = 1/2;  w(c): "red tree", "pink tree", ...

C'_{w(c)} is the attention to the tokens of the name in the phrase w(c), in a P' of such phrases.

Why it helps. A word means its usual look, which it learnt from pictures. The text encoder is
causal: the state of a noun holds the words before it, so "tree" behind "pink" is a pink tree,
while "pink" does not know yet of what (by itself it finds nothing; so the tokens of the name
only). A mean over the wordings estimates the map of a class whatever its colour, sum_w p(w)
C'_{w(c)}; but a thing has one colour, and all terms but one speak of others. The maximum keeps
the term that fits. The plain name is right about most things, and holds the others to them: "pink
c" alone likes everything pink, whatever c is.

This is CLIP's prompt ensembling (Radford et al. 2021, arXiv 2103.00020, section 3.1.4) at the
place where FA-Seg makes it free: P' is only looked up, so W wordings cost W more small products
of queries and keys, and no UNet pass. Ours, one step beyond the paper; found with
`minifaseg.evaluate` on the cartoon world, where colours gain much on things of an unusual colour,
templates nothing. On SD 1.5 it is unmeasured.
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from . import hard, prompts, ttf
from .attention import CapturedAttention
from .errors import InputError
from .faseg import FASeg

# The eleven basic colour terms of English (Berlin and Kay 1969); and templates like CLIP's for
# ImageNet, those that speak of a look.
COLOURS = ("red {}", "orange {}", "yellow {}", "green {}", "blue {}", "purple {}", "pink {}",
           "brown {}", "black {}", "white {}", "gray {}")
TEMPLATES = ("a photo of a {}", "a photo of a large {}", "a photo of a small {}")


@dataclass
class CapturedWordings(CapturedAttention):
    """Captured attention, and `wordings`: where the names are in each further wording of P'."""
    wordings: tuple[prompts.Lookup, ...] = ()


@dataclass(frozen=True)
class Wordings(FASeg):
    """FA-Seg's numbers and two more. InputError for a wording without one place for the name."""
    wordings: tuple[str, ...] = (*COLOURS, *TEMPLATES)   # beside the name; ("{}",): FA-Seg itself
    share: float = 0.5                                   # s
    CAPTURE_FIELDS: ClassVar = (*FASeg.CAPTURE_FIELDS, "wordings")

    def __post_init__(self):
        if not self.wordings:
            raise InputError("wordings (): give at least one; '{}' is the name itself")
        for wording in self.wordings:
            prompts.template_halves(wording, "wording")                     # raises

    @torch.no_grad()
    def captures(self, model, images, classes, caption: str | None = None) -> list[CapturedWordings]:
        """FA-Seg's captures, and the names in every wording, the same for all pictures."""
        names = prompts.clean_classes(classes)
        asked = tuple(prompts.class_prompts(model.text, names, self.alone, wording=wording)
                      for wording in self.wordings)
        return [CapturedWordings(**vars(seen), wordings=asked)
                for seen in super().captures(model, images, names, caption)]

    @torch.no_grad()
    def scores(self, captured: CapturedWordings) -> Tensor:
        """Score maps (K, h, w) on the finest grid, for the captured classes."""
        x = hard.fuse_cross(captured, captured.lookup, self.cross)                  # (B, N, K)
        most = torch.full_like(x, -torch.inf)
        for lookup in captured.wordings:                                            # one at a time
            torch.maximum(most, hard.fuse_cross(captured, lookup, self.cross), out=most)
        x = x + self.share * (most - x)
        s = hard.refine(captured, x, self.levels, self.tau) if self.tau else hard.minmax(x)
        return ttf.merge(hard.as_image(s, captured.grids[-1]))
