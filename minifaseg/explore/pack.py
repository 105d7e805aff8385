"""What the page holds: of every level and view the class maps C_r and the self-attention A_r.

A_r is most of it: at SD 1.5's finest level 4096 x 4096 numbers a view. They are stored as whole
numbers, of 7 bits at the finest level and of 8 at the others,

    A_r[i, j] = code[i, j]^2 * scale[i],

squares, because most of a row is small and a square keeps small numbers apart; `scale` makes every
row sum to 1 again. Neighbouring cells look at much the same, so a row is stored as its difference
to the row before (modulo 256 or 65536), which gzip makes a tenth smaller. Everything else is
float32.
"""
import base64
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..attention import CapturedAttention
from ..faseg import FASeg
from ..model import Model
from ..prompts import class_maps
from .colours import heat, palette

LARGEST_SIDE = 1024                     # of the picture in the page, in pixels
FINEST, COARSER = 7, 8                  # bits of a code
OWN = ("cross", "levels", "tau", "flip", "threshold", "timestep")


@dataclass
class Arrays:
    """Arrays one after the other, each from a multiple of 4 bytes on.

    places: {name: {"offset", "shape", "type"}}, type as in method.js.
    """
    places: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, name: str, array: np.ndarray) -> None:
        kind = {"float32": "f4", "uint8": "u1", "uint16": "u2"}[array.dtype.name]
        content = array.astype(array.dtype.newbyteorder("<")).tobytes()
        self.places[name] = {"offset": self.size, "shape": array.shape, "type": kind}
        content += bytes(-len(content) % 4)
        self.parts.append(content)
        self.size += len(content)

    def packed(self) -> str:
        """All of it, gzip in base64."""
        return base64.b64encode(gzip.compress(b"".join(self.parts), 6, mtime=0)).decode()


def grids_of(model: Model) -> list[int]:
    """Cells along a side of every level that has attention, coarse to fine."""
    finest = model.side // model.vae.factor
    attention = list(model.unet.config.attention)
    attention[-1] = True                                    # the middle block's, at the coarsest
    return [finest >> level for level, there in reversed(list(enumerate(attention))) if there]


def pack(captures: Sequence[tuple[int, CapturedAttention]], method: FASeg, image: Image.Image,
         levels: Sequence[int], bits: int | None = None, truth: np.ndarray | None = None
         ) -> tuple[dict[str, Any], str]:
    """(facts of the page, as plain values; its arrays, see Arrays.packed).

    captures: (timestep, captured attention), the first of which is shown first. image: RGB. levels:
    sides of the levels whose A_r goes into the page. bits: of all codes; None: FINEST and COARSER.
    truth: (H, W) uint8 at the picture's size, i for the i-th class.
    """
    shown, first = fit(image), captures[0][1]
    views = len(next(iter(first.record.values())).q)
    arrays, ends = Arrays(), [0]
    C = [class_maps_of(captured) for _, captured in captures]
    for v in range(views):
        for t, (_, captured) in enumerate(captures):
            add_view(arrays, captured, C[t], t, v, levels, bits)
        ends.append(arrays.size)
    if truth is not None:
        arrays.add("truth", np.asarray(Image.fromarray(truth).resize(shown.size, 0)))

    facts = {
        "picture": data_uri(shown), "width": shown.width, "height": shown.height,
        "full": image.size, "classes": first.classes, "side": first.side,
        "own": {name: getattr(method, name) for name in OWN},
        "grids": first.grids, "views": views, "ends": ends,
        "captures": [{"timestep": timestep} for timestep, _ in captures],
        "refinable": [grid[0] in levels for grid in first.grids],
        "palette": palette(), "heat": heat(),
        "bits": [bits or FINEST, bits or COARSER], "truth": truth is not None,
        "arrays": arrays.places}
    return facts, arrays.packed()


def class_maps_of(captured: CapturedAttention) -> list[np.ndarray]:
    """C_r of every level, coarse to fine: (B, n, K)."""
    found = []
    for grid in captured.grids:
        C = captured.cross_map(grid, captured.lookup.states)                # (B, G, n, T)
        found.append(class_maps(C, captured.lookup).float().cpu().numpy())
    return found


def add_view(arrays: Arrays, captured: CapturedAttention, C: list[np.ndarray], t: int, v: int,
             levels: Sequence[int], bits: int | None) -> None:
    """The maps of one view of the t-th capture. C: see class_maps_of."""
    for r, grid in enumerate(captured.grids):
        arrays.add(f"cross/{t}/{v}/{r}", C[r][v])                           # (n, K)
        if grid[0] in levels:
            own = FINEST if grid == captured.grids[-1] else COARSER
            codes, scale = encode(captured.self_map(grid)[v].float().cpu(), bits or own)
            arrays.add(f"self/{t}/{v}/{r}", differences(codes))
            arrays.add(f"scale/{t}/{v}/{r}", scale)


def encode(A: Tensor, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(codes (n, n), scale (n,)) of a map (n, n) whose rows sum to 1: A = codes^2 * scale."""
    largest = 2 ** bits - 1
    codes = ((A / A.amax(1, keepdim=True)).sqrt() * largest).round()
    scale = 1 / codes.double().square().sum(1)
    kind = np.uint8 if bits <= 8 else np.uint16
    return codes.to(torch.int32).numpy().astype(kind), scale.float().numpy()


def differences(codes: np.ndarray) -> np.ndarray:
    """Every row but the first less the row before it, modulo the type's range."""
    out = codes.copy()
    out[1:] -= codes[:-1]
    return out


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
