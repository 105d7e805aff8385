"""What the page holds: of every level and view the class maps C_r and the self-attention A_r.

A_r is most of it: at SD 1.5's finest level 4096 x 4096 numbers a view. They are stored as whole
numbers, of 7 bits at the finest level and of 8 at the others,

    A_r[i, j] = code[i, j]^2 * scale[i],

squares, because most of a row is small and a square keeps small numbers apart; `scale` makes every
row sum to 1 again. Neighbouring cells look at much the same cells. So a code is stored as its
difference to the row before, and that as its difference to the column before (modulo 256 or 65536),
which gzip makes a fifth smaller. Class maps are stored in 16 bits, other methods' scores in 8.
"""
import base64
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..attention import CapturedAttention
from ..faseg import FASeg
from ..images import mask_image
from ..labelling import label
from ..model import Model
from ..prompts import Lookup, class_maps
from .colours import heat, palette
from .tour import pixels_to_show

LARGEST_SIDE = 1024                     # of the picture in the page, in pixels
FINEST, COARSER = 7, 8                  # bits of a code
OWN = ("cross", "levels", "tau", "flip", "threshold", "timestep")


class Question(NamedTuple):
    """What is looked up in the attention: names of classes, and where they stand in P'."""
    classes: tuple[str, ...]
    lookup: Lookup


class Finished(NamedTuple):
    """Another method's score maps (K, h, w). spec: as on the command line, "iseg:gamma=1"."""
    spec: str
    method: Any
    maps: Tensor
    mode: str


@dataclass
class Arrays:
    """Arrays one after the other, each from a multiple of 4 bytes on.

    places: {name: {"offset", "shape", "type"}}, type as in method.js; "scale" is the value of 1,
    where that is not 1.
    """
    places: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, name: str, array: np.ndarray, scale: float = 1.0) -> None:
        kind = {"float32": "f4", "uint8": "u1", "uint16": "u2"}[array.dtype.name]
        content = array.astype(array.dtype.newbyteorder("<")).tobytes()
        self.places[name] = {"offset": self.size, "shape": array.shape, "type": kind}
        if scale != 1:
            self.places[name]["scale"] = scale
        content += bytes(-len(content) % 4)
        self.parts.append(content)
        self.size += len(content)

    def packed(self) -> str:
        """All of it, gzip in base64."""
        # 31: with gzip's header; 9: of memory. Z_FILTERED is made for differences.
        gzip = zlib.compressobj(6, zlib.DEFLATED, 31, 9, zlib.Z_FILTERED)
        return base64.b64encode(gzip.compress(b"".join(self.parts)) + gzip.flush()).decode()


def grids_of(model: Model) -> list[int]:
    """Cells along a side of every level that has attention, coarse to fine."""
    finest = model.side // model.vae.factor
    attention = list(model.unet.config.attention)
    attention[-1] = True                                    # the middle block's, at the coarsest
    return [finest >> level for level, there in reversed(list(enumerate(attention))) if there]


def pack(captures: Sequence[tuple[int, CapturedAttention]], questions: dict[str, Question],
         others: Sequence[Finished], method: FASeg, image: Image.Image, levels: Sequence[int],
         bits: int | None = None, truth: np.ndarray | None = None) -> tuple[dict[str, Any], str]:
    """(facts of the page, as plain values; its arrays, see Arrays.packed).

    captures: (timestep, captured attention), the first of which is shown first. questions: "own"
    and those of the controls (controls.py). image: RGB. levels: sides of the levels whose A_r goes
    into the page. bits: of all codes; None: FINEST and COARSER. truth: (H, W) uint8 at the
    picture's size, i for the i-th class.
    """
    shown, first = fit(image), captures[0][1]
    refinable = [grid[0] in levels for grid in first.grids]
    method = replace(method, levels=usable(method.levels, refinable))
    views = len(next(iter(first.record.values())).q)
    arrays, ends = Arrays(), [0]
    C = [{name: class_maps_of(captured, question.lookup) for name, question in questions.items()}
         for _, captured in captures]
    for v in range(views):
        for t, (_, captured) in enumerate(captures):
            for name, maps in C[t].items():
                add_class_maps(arrays, maps, name, t, v)
            add_self_attention(arrays, captured, t, v, levels, bits)
        ends.append(arrays.size)
    if truth is not None:
        truth = np.asarray(Image.fromarray(truth).resize(shown.size, 0))
        arrays.add("truth", truth)

    facts = {
        "picture": data_uri(shown), "width": shown.width, "height": shown.height,
        "full": image.size, "side": first.side,
        "classes": {name: question.classes for name, question in questions.items()},
        "own": {name: getattr(method, name) for name in OWN},
        "grids": first.grids, "views": views, "ends": ends,
        "captures": [{"timestep": timestep} for timestep, _ in captures],
        "refinable": refinable,
        "others": [add_finished(arrays, other, shown.size) for other in others],
        "palette": palette(), "heat": heat(),
        "mask": base64.b64encode(png_head(shown.size)).decode(),
        "tour": pixels_to_show(method.scores(first), shown.size, method.threshold, truth),
        "bits": [bits or FINEST, bits or COARSER], "truth": truth is not None,
        "arrays": arrays.places}
    return facts, arrays.packed()


def usable(weights: Sequence[float], refinable: Sequence[bool]) -> tuple[float, ...]:
    """Weights of the levels whose self-attention is in the page; the finest one's if all are 0."""
    kept = [weight if there else 0 for weight, there in zip(weights, refinable)]
    if not any(kept):
        kept[max(np.flatnonzero(refinable))] = 1
    return tuple(kept)


def class_maps_of(captured: CapturedAttention, lookup: Lookup) -> list[np.ndarray]:
    """C_r of every level, coarse to fine: (B, n, K)."""
    found = []
    for grid in captured.grids:
        C = captured.cross_map(grid, lookup.states)                         # (B, G, n, T)
        found.append(class_maps(C, lookup).float().cpu().numpy())
    return found


def add_class_maps(arrays: Arrays, C: list[np.ndarray], question: str, t: int, v: int) -> None:
    """The class maps of one view of the t-th capture: C = code * scale. C: see class_maps_of."""
    for r, maps in enumerate(C):
        scale = max(float(maps[v].max()), 1e-30) / 65535
        codes = (maps[v] / scale).round().astype(np.uint16)                 # (n, K)
        arrays.add(f"cross/{question}/{t}/{v}/{r}", codes, scale)


def add_self_attention(arrays: Arrays, captured: CapturedAttention, t: int, v: int,
                       levels: Sequence[int], bits: int | None) -> None:
    """A_r of one view of the t-th capture."""
    for r, grid in enumerate(captured.grids):
        if grid[0] in levels:
            own = FINEST if grid == captured.grids[-1] else COARSER
            codes, scale = encode(captured.self_map(grid)[v].float().cpu(), bits or own)
            arrays.add(f"self/{t}/{v}/{r}", differences(codes))
            arrays.add(f"scale/{t}/{v}/{r}", scale)


def add_finished(arrays: Arrays, other: Finished, size: tuple[int, int]) -> dict[str, Any]:
    """Facts of another method; its score maps go into the page, and its labels at this size."""
    spec, method, maps, mode = other
    certain = getattr(method, "certain", None)
    arrays.add(f"labels/{spec}", label(maps, size, method.threshold, certain, mode))
    low, high = maps.min().item(), maps.max().item()
    codes = (maps.float() - low) / max(high - low, 1e-30) * 255             # (K, h, w)
    arrays.add(f"scores/{spec}", codes.round().byte().permute(1, 2, 0).cpu().numpy())
    return {"spec": spec, "mode": mode, "threshold": method.threshold, "low": low, "high": high}


def encode(A: Tensor, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(codes (n, n), scale (n,)) of a map (n, n) whose rows sum to 1: A = codes^2 * scale."""
    largest = 2 ** bits - 1
    codes = ((A / A.amax(1, keepdim=True)).sqrt() * largest).round()
    scale = 1 / codes.double().square().sum(1)
    kind = np.uint8 if bits <= 8 else np.uint16
    return codes.to(torch.int32).numpy().astype(kind), scale.float().numpy()


def differences(codes: np.ndarray) -> np.ndarray:
    """Differences of neighbouring rows, then of neighbouring columns, modulo the type's range."""
    out = codes.copy()
    out[1:] -= codes[:-1]
    rows = out.copy()
    out[:, 1:] -= rows[:, :-1]
    return out


def png_head(size: tuple[int, int]) -> bytes:
    """How the file of a mask of this size begins, up to the chunk that holds its labels."""
    file = io.BytesIO()
    mask_image(np.zeros(size[::-1], np.uint8)).save(file, "PNG")
    return file.getvalue()[:file.getvalue().index(b"IDAT") - 4]             # its length: 4 bytes


def fit(image: Image.Image) -> Image.Image:
    """The picture, made smaller if a side is longer than LARGEST_SIDE."""
    shown = image.copy()
    shown.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    return shown


def data_uri(image: Image.Image) -> str:
    """PNG, or JPEG where that is a third of it or less, as of photographs."""
    files = {}
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 92})):
        file = io.BytesIO()
        image.save(file, kind, **options)
        files[kind] = file.getvalue()
    kind = "jpeg" if 3 * len(files["jpeg"]) <= len(files["png"]) else "png"
    return f"data:image/{kind};base64,{base64.b64encode(files[kind]).decode()}"
