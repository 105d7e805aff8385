"""minifaseg: how a text-to-image diffusion model segments any picture by words.

    import minifaseg
    model  = minifaseg.load("auto")
    result = minifaseg.segment("image.jpg", ["cat", "dog", "grass"], model)
    result.labels, result.scores, result.classes

The method is read in this order: faseg.py, then what it calls: prompts.py, vae.py, ddim.py,
unet.py, attention.py, hard.py, ttf.py, labelling.py.
"""
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .methods import METHODS, UNSUPERVISED, make_method

if TYPE_CHECKING:                                          # torch takes a second to import
    import numpy as np
    from PIL import Image
    from torch import Tensor

    from .attention import CapturedAttention
    from .model import Model

__version__ = "0.1.0"
__all__ = ["METHODS", "InputError", "Result", "clean_classes", "label", "load", "make_method",
           "segment", "segment_many"]


@dataclass(frozen=True)
class Result:
    """What `segment` returns.

    labels: (H, W) uint8 at the picture's own size, 0 background, i = i-th class. classes: the K
    names. grid_scores: (K, h, w) score maps on the method's grid. captured: the attention behind
    them, which can be scored again. method: the method with all its hyperparameters.
    """
    labels: "np.ndarray"
    classes: tuple[str, ...]
    grid_scores: "Tensor"
    captured: "CapturedAttention"
    method: Any

    @cached_property
    def scores(self) -> "np.ndarray":
        """(K, H, W) float32: the score maps behind the labels.

        They are made when first asked for, and take 4 K H W bytes.
        """
        from .labelling import pixel_scores
        return pixel_scores(self.method, self.captured, self.grid_scores).cpu().numpy()


def load(weights: Any = "auto", device: Any = "auto", dtype: Any = None,
         compile: bool = False) -> "Model":
    """The model of a .safetensors file, a diffusers folder, "sd15", "cartoon" or "auto".

    See model.load.
    """
    from .model import load
    return load(weights, device, dtype, compile)


def clean_classes(classes: Any) -> tuple[str, ...]:
    """Names with blanks tidied; raises InputError for a bad list. See prompts.clean_classes."""
    from .prompts import clean_classes
    return clean_classes(classes)


def segment(image: Any, classes: Any, model: "Model", *, caption: str | None = None,
            method: str = "faseg", threshold: float | None = None,
            **hyperparameters: Any) -> Result:
    """Segments one picture by words.

    image: a path, a PIL picture or an (H, W, 3) uint8 array; it is turned upright by its EXIF tag,
    transparency is put on white. classes: K names, or one string with commas; () finds segments
    without names, with a method of UNSUPERVISED. caption: what the picture shows, if you know it.
    threshold: score below which a pixel is background. hyperparameters: any field of the method's
    dataclass (faseg.FASeg: timestep, tau, levels, flip, ...). Raises InputError for bad pictures,
    names or hyperparameters.
    """
    return segment_many([image], classes, model, caption=caption, method=method,
                        threshold=threshold, **hyperparameters)[0]


def segment_many(images: Any, classes: Any, model: "Model", *, caption: str | None = None,
                 method: str = "faseg", threshold: float | None = None,
                 **hyperparameters: Any) -> list[Result]:
    """Segments several pictures by the same words, in one batch where the method can.

    FA-Seg, wordings and leave-out can; see `segment` for the arguments. The batch is as long as the
    list: at 512 pixels every picture of it needs about 300 MiB more in float32, and as much while
    it is captured.
    """
    segmenter = make_method(method, model, threshold=threshold, **hyperparameters)
    if not classes and method not in UNSUPERVISED:
        classes = clean_classes(classes)                   # raises: no class to look for
    images = [_picture(image) for image in images]
    if hasattr(segmenter, "captures"):
        captures = segmenter.captures(model, images, classes, caption)
    else:
        captures = [segmenter.capture(model, image, classes, caption) for image in images]
    return [_result(segmenter, model, captured) for captured in captures]


def _result(method: Any, model: "Model", captured: "CapturedAttention") -> Result:
    from .labelling import labels_of
    scores = finite_scores(method, model, captured)
    if len(scores) > 254:
        raise InputError(f"{len(scores)} segments; a mask holds at most 254. "
                         "Let more of them merge, with a larger tau")
    names = captured.classes or tuple(f"segment {i + 1}" for i in range(len(scores)))
    return Result(labels_of(method, captured, scores), names, scores, captured, method)


def finite_scores(method: Any, model: "Model", captured: "CapturedAttention") -> "Tensor":
    """Score maps (K, h, w) of what was captured.

    Raises WeightsError, with the name of the tensor to blame, if they are not finite.
    """
    last = list(captured.record.values())[-1]              # all other layers come before it
    model.check_finite(last.q, last.k)
    scores = method.scores(captured)
    model.check_finite(scores)
    return scores


def label(grid_scores: "Tensor", size: tuple[int, int], threshold: float,
          certain: float | None = None, mode: str = "bicubic") -> "np.ndarray":
    """Score maps (K, h, w) -> the best class of each pixel of a picture: (H, W) uint8.

    size: the picture's (width, height). See labelling.label.
    """
    from .labelling import label
    return label(grid_scores, size, threshold, certain, mode)


def _picture(image: Any) -> "Image.Image":
    import numpy as np
    from PIL import Image

    from .pictures.opening import named, open_image
    from .pictures.pixels import to_rgb
    if isinstance(image, Image.Image):
        with named(getattr(image, "filename", "") or "the picture"):
            return to_rgb(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise InputError("an array picture must be (H, W, 3) uint8, "
                             f"this one is {image.shape} {image.dtype}")
        return Image.fromarray(image)
    if isinstance(image, (str, bytes, os.PathLike)) or hasattr(image, "read"):
        return open_image(image)
    raise InputError("a picture is a path, a PIL picture or an (H, W, 3) uint8 array, "
                     f"this is of type {type(image).__name__}")
