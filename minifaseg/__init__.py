"""minifaseg: how a text-to-image diffusion model segments any picture by words.

    import minifaseg
    model  = minifaseg.load("auto")
    result = minifaseg.segment("image.jpg", ["cat", "dog", "grass"], model)
    result.labels, result.scores, result.classes

The method reads in this order: faseg.py, then what it calls: ddim.py, attention.py, prompts.py, hard.py, ttf.py.
"""
import os
from dataclasses import dataclass
from functools import cached_property

from .errors import InputError
from .methods import METHODS, UNSUPERVISED, make_method

__version__ = "0.1.0"
__all__ = ["METHODS", "InputError", "Result", "clean_classes", "label", "load", "make_method", "segment", "segment_many"]

@dataclass(frozen=True)
class Result:
    """labels: (H, W) uint8 at the picture's own size, 0 background, i = i-th class; classes: the K
    names; grid_scores: (K, h, w) score maps on the method's grid; captured: the attention behind
    them, to be scored again (see attention.CapturedAttention); method: who scored, with all numbers."""
    labels: "numpy.ndarray"
    classes: tuple[str, ...]
    grid_scores: "torch.Tensor"
    captured: "minifaseg.attention.CapturedAttention"
    method: object

    @cached_property
    def scores(self):
        """(K, H, W) float32: the score maps behind the labels. Made when first asked for: 4 K H W
        bytes."""
        from .labelling import pixel_scores
        return pixel_scores(self.method, self.captured, self.grid_scores).cpu().numpy()


def load(weights="auto", device="auto", dtype=None, compile=False):
    """The model of a .safetensors file, a diffusers folder, "sd15", "cartoon" or "auto"; see model.load."""
    from .model import load
    return load(weights, device, dtype, compile)


def clean_classes(classes):
    """Names with blanks tidied; raises InputError on a bad list; see prompts.clean_classes."""
    from .prompts import clean_classes
    return clean_classes(classes)


def segment(image, classes, model, *, caption=None, method="faseg", threshold=None, **numbers) -> Result:
    """Segments one picture by words.

    image: a path, a PIL picture or an (H, W, 3) uint8 array; turned upright by its EXIF tag, transparency on white. classes: K names,
    or one string with commas; () finds nameless segments, with a method of UNSUPERVISED. caption: what the picture shows, if you know it.
    threshold: score below which a pixel is background. numbers: any field of the method's dataclass (faseg.FASeg: timestep, tau,
    levels, flip, ...). Raises InputError for bad pictures, names or numbers.
    """
    return segment_many([image], classes, model, caption=caption, method=method, threshold=threshold, **numbers)[0]


def segment_many(images, classes, model, *, caption=None, method="faseg", threshold=None, **numbers) -> list[Result]:
    """Segments several pictures by the same words, in one batch where the method can (FA-Seg, leave-out); see `segment`.

    The batch is as long as the list: at 512 pixels every picture of it needs about 300 MiB more in float32, and as much while it is seen.
    """
    how = make_method(method, model, threshold=threshold, **numbers)
    if not classes and method not in UNSUPERVISED:
        classes = clean_classes(classes)                   # raises: no class to look for
    images = [_picture(image) for image in images]
    if hasattr(how, "captures"):
        captured = how.captures(model, images, classes, caption)
    else:
        captured = [how.capture(model, image, classes, caption) for image in images]
    return [_result(how, model, seen) for seen in captured]


def _result(how, model, captured):
    from .labelling import labels_of
    scores = finite_scores(how, model, captured)
    if len(scores) > 254:
        raise InputError(f"{len(scores)} segments; a mask holds at most 254. Let more of them merge, with a larger tau")
    names = captured.classes or tuple(f"segment {i + 1}" for i in range(len(scores)))
    return Result(labels_of(how, captured, scores), names, scores, captured, how)


def finite_scores(how, model, captured):
    """Score maps of what was captured. Weights or results that are no numbers raise InputError, with the name of the tensor to blame."""
    model.check_finite(*list(captured.record.values())[-1][:2])             # the last layer's queries and keys: all else comes before them
    scores = how.scores(captured)
    model.check_finite(scores)
    return scores


def label(grid_scores, size, threshold, certain=None, mode="bicubic"):
    """Score maps (K, h, w) -> the class of the highest score in every pixel of a picture of this
    (width, height): (H, W) uint8; see labelling.label."""
    from .labelling import label
    return label(grid_scores, size, threshold, certain, mode)


def _picture(image):
    import numpy as np
    from PIL import Image

    from .pictures.opening import named, open_image
    from .pictures.pixels import to_rgb
    if isinstance(image, Image.Image):
        with named(getattr(image, "filename", "") or "the picture"):
            return to_rgb(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise InputError(f"an array picture must be (H, W, 3) uint8, this one is {image.shape} {image.dtype}")
        return Image.fromarray(image)
    if not isinstance(image, (str, bytes, os.PathLike)) and not hasattr(image, "read"):
        raise InputError(f"a picture is a path, a PIL picture or an (H, W, 3) uint8 array, this is of type {type(image).__name__}")
    return open_image(image)
