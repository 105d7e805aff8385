"""The three networks on one device: load("auto") -> Model."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .attention import at_least_float32
from .checkpoints.checkpoint import Checkpoint
from .checkpoints.hub import CARTOON, find
from .checkpoints.safe_opening import read_json
from .devices import pick_device, pick_dtype
from .errors import InputError, WeightsError, first_few
from .images import as_rgb
from .layers import fastest_layout
from .methods import METHODS
from .text import Text
from .unet import UNet
from .vae import VAE


@dataclass
class Model:
    """The three networks, the checkpoint they came from, and the notes in it."""
    unet: UNet
    vae: VAE
    text: Text
    checkpoint: Checkpoint
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Where the weights came from, for messages."""
        if self.checkpoint.path == CARTOON:
            return "the built-in cartoon model"
        return str(self.checkpoint.path)

    @property
    def is_cartoon(self) -> bool:
        """Whether this is a model of few words; see Text.words."""
        return self.text.words is not None

    @property
    def device(self) -> torch.device:
        return next(self.unet.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.unet.parameters()).dtype

    @property
    def side(self) -> int:
        """Pixels of the square to which a picture is resized: SD 1.5 512, the cartoon model 128."""
        return self.notes.get("side", 512)

    def pixels(self, image: Any) -> Tensor:
        """Picture -> (1, 3, side, side) in [-1, 1] on the model's device.

        Bicubic; the aspect ratio is lost, as in the release.
        """
        square = as_rgb(image).resize((self.side, self.side), Image.Resampling.BICUBIC)
        x = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]       # (1, 3, H, W)
        x = at_least_float32(x.to(self.dtype)) / 127.5 - 1
        return x.to(self.device, self.dtype)

    def check_finite(self, *results: Tensor) -> None:
        """Raises WeightsError, with the name of a broken tensor, if a result is not finite.

        The weights are read only then: to look at all when they are loaded would take as long as
        reading the file.
        """
        if all(x.isfinite().all() for x in results):
            return
        for part, net in (("unet", self.unet), ("vae", self.vae), ("text", self.text)):
            for name, weight in net.named_parameters():
                if not weight.isfinite().all():
                    raise WeightsError(f"{self.source}: {part} tensor {name} holds NaN or infinite "
                                       f"numbers (in {self.dtype}); download it again, or try "
                                       "--dtype float32")
        raise WeightsError(f"{self.source}: every weight is a number, but what it computes is not "
                           f"(in {self.dtype}); try --dtype float32")

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Latents to pictures (see VAE.decode); the first time the decoder's weights are read."""
        if not hasattr(self.vae, "decoder"):
            vae = self.checkpoint.vae(decoder=True, dtype=self.dtype)
            vae.float32_layers = self.vae.float32_layers
            self.vae = vae.to(self.device).eval().requires_grad_(False)
        return self.vae.decode(z)


def load(weights: Any = "auto", device: Any = "auto", dtype: Any = None,
         compile: bool = False) -> Model:
    """The model of a .safetensors file, a diffusers folder, "sd15", "cartoon" or "auto".

    weights: see checkpoints.hub.find for the names. device: "auto" (cuda, else mps, else cpu), or
    any torch device. dtype: "float32" (the default on CPU and MPS), "float16" (the default on
    CUDA), "bfloat16", or a torch dtype. compile: UNet and encoder by torch.compile, which takes
    minutes at the first picture and pays over many. Raises InputError, with what to do, for
    anything wrong.
    """
    device = pick_device(device)
    dtype = pick_dtype(dtype, device)
    checkpoint = Checkpoint(find(weights), half=dtype in (torch.float16, torch.bfloat16))
    checkpoint.check()
    unet, vae, text = checkpoint.unet(dtype), checkpoint.vae(dtype=dtype), checkpoint.text(dtype)
    layout = fastest_layout(device, dtype)
    for net in (unet, vae, text):
        net.to(device, memory_format=layout)  # type: ignore[call-overload]  # torch has it
        net.eval().requires_grad_(False)
    if compile:
        unet.compile()
        vae.encoder.compile()
    notes = checkpoint.notes | hyperparameters_beside(checkpoint.path)
    return Model(unet, vae, text, checkpoint, notes)


def hyperparameters_beside(path: Any) -> dict[str, Any]:
    """The hyperparameters in the JSON file of this name: {method: {field: value}}, {} without one.

    Web UIs and trainers keep notes of their own under that name. A file with no method in it, and
    no object where a method's hyperparameters would be, is taken for such notes and left alone.
    Raises InputError for a file that is neither.
    """
    path = Path(path).with_suffix(".json")
    notes = read_json(path)
    unknown = set(notes) - set(METHODS)
    objects = [isinstance(value, dict) for value in notes.values()]
    if len(unknown) == len(notes) and not any(objects):
        return {}
    if unknown or not all(objects):
        wrong = first_few(sorted(unknown) or notes.values())
        raise InputError(f"{path}: not methods and their numbers ({wrong}); "
                         "mend it, or move it away")
    return notes
