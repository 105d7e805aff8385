r"""Wordings: FA-Seg with its class prompt P' in many wordings.

    x_c = (1 - s) C'_c + s max_w C'_{w(c)}        s = 1/2;  w(c): "red tree", "pink tree", ...

C'_c is the fused cross-attention to the name c, C'_{w(c)} that to the tokens of the name in the
phrase w(c), in a P' of such phrases. "Tree" alone looks for green things, and finds a pink tree
badly. So each name is also looked up as "red tree", "pink tree" and so on, and every cell takes the
wording that suits it best.

Why it helps. A word stands for its usual look, learnt from pictures. The text encoder is causal:
the state of a noun holds the words before it, so "tree" after "pink" is a pink tree. ("Pink" itself
does not yet know of what; by itself it finds nothing. So only the tokens of the name are used.) A
mean over the wordings would estimate the map of a class whatever its colour, sum_w p(w) C'_{w(c)};
but a thing has one colour, and all terms but one speak of others. The maximum keeps the term that
fits. The plain name is right about most things and limits the others: "pink c" alone responds to
everything pink, whatever c is.

This is CLIP's prompt ensembling (Radford et al. 2021, arXiv 2103.00020, section 3.1.4) at the place
where FA-Seg makes it free: P' is only looked up, so W wordings cost W more small products of
queries and keys, and no UNet pass. Ours, one step beyond the paper; found with `minifaseg.evaluate`
on the cartoon world, where colours gain much on things of an unusual colour, and templates nothing.
On SD 1.5 it is unmeasured.
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from . import hard, prompts
from .attention import CapturedAttention
from .errors import InputError
from .faseg import FASeg
from .model import Model

# The eleven basic colour terms of English (Berlin and Kay 1969).
COLOURS = ("red {}", "orange {}", "yellow {}", "green {}", "blue {}", "purple {}", "pink {}",
           "brown {}", "black {}", "white {}", "gray {}")
# Templates like those of CLIP for ImageNet that say what a thing looks like.
TEMPLATES = ("a photo of a {}", "a photo of a large {}", "a photo of a small {}")


@dataclass
class CapturedWordings(CapturedAttention):
    """Captured attention, and `wordings`: where the names are in each further wording of P'."""
    wordings: tuple[prompts.Lookup, ...] = ()


@dataclass(frozen=True)
class Wordings(FASeg):
    """FA-Seg's hyperparameters and two more.

    Raises InputError for a wording that does not have one place for the name.
    """
    wordings: tuple[str, ...] = (*COLOURS, *TEMPLATES)   # beside the name; ("{}",): FA-Seg itself
    share: float = 0.5                                   # s

    CAPTURE_FIELDS: ClassVar[tuple[str, ...]] = (*FASeg.CAPTURE_FIELDS, "wordings")

    def __post_init__(self) -> None:
        if not self.wordings:
            raise InputError("wordings (): give at least one; '{}' is the name itself")
        for wording in self.wordings:
            prompts.template_halves(wording, "wording")                     # raises

    @torch.no_grad()
    def captures(self, model: Model, images: list[Image.Image], classes: prompts.Classes,
                 caption: str | None = None) -> list[CapturedWordings]:
        """FA-Seg's captures, and the names in every wording, the same for all pictures."""
        classes = prompts.clean_classes(classes)
        lookups = tuple(prompts.class_prompts(model.text, classes, self.alone, wording=wording)
                        for wording in self.wordings)
        return [CapturedWordings(**vars(captured), wordings=lookups)
                for captured in super().captures(model, images, classes, caption)]

    def class_maps(self, captured: CapturedWordings, lookup: prompts.Lookup) -> Tensor:
        """Class maps x (V, N, K) on the finest grid. Raises InputError for another lookup."""
        if lookup is not captured.lookup:
            raise InputError("the wordings are those of the captured classes; capture again")
        x = hard.fuse_cross(captured, lookup, self.cross)                   # (V, N, K)
        most = torch.full_like(x, -torch.inf)
        for wording in captured.wordings:                                   # one map at a time
            torch.maximum(most, hard.fuse_cross(captured, wording, self.cross), out=most)
        return x + self.share * (most - x)
