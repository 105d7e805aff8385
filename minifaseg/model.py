"""The three networks on one device, ready to look at pictures: load("auto") -> Model."""
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .attention import single
from .checkpoint import Checkpoint, one_line
from .errors import InputError
from .hub import CARTOON, find
from .text import Text
from .unet import UNet
from .vae import VAE


@dataclass
class Model:
    """The three networks on one device, with where they came from and what the file says of itself (`notes`)."""
    unet: UNet
    vae: VAE
    text: Text
    checkpoint: "Checkpoint"
    notes: dict = field(default_factory=dict)

    @property
    def source(self) -> str:
        return "the built-in cartoon model" if self.checkpoint.path == CARTOON else str(self.checkpoint.path)

    @property
    def is_cartoon(self) -> bool:
        return self.text.words is not None

    @property
    def device(self) -> torch.device:
        return next(self.unet.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.unet.parameters()).dtype

    @property
    def side(self) -> int:
        """Pixels of the square that a picture is resized to: 512 for SD 1.5, 128 for the cartoon model."""
        return self.notes.get("side", 512)

    def pixels(self, image) -> torch.Tensor:
        """RGB picture -> (1, 3, side, side) in [-1, 1] on the model's device; bicubic, the aspect ratio is lost, as in the release."""
        x = torch.from_numpy(np.array(image.convert("RGB").resize((self.side, self.side), Image.BICUBIC)))
        return (single(x.permute(2, 0, 1)[None].to(self.dtype)) / 127.5 - 1).to(self.device, self.dtype)

    @torch.no_grad()
    def decode(self, z):
        """Latents to pictures; reads the decoder from the checkpoint the first time."""
        if not hasattr(self.vae, "decoder"):
            self.vae = self.checkpoint.vae(decoder=True, dtype=self.dtype).to(self.device).eval().requires_grad_(False)
        return self.vae.decode(z)


def pick_device(device="auto") -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
        return chosen
    except (RuntimeError, AssertionError) as e:
        raise InputError(f"device {device!r} cannot be used here ({one_line(e)[:100]}); try --device auto") from None


def numbers_beside(path) -> dict:
    """The methods' numbers for a model, {method: {field: value}}, from the JSON file of its name beside it; {} without such a file."""
    path = Path(path).with_suffix(".json")
    if not path.is_file():
        return {}
    try:
        return {method: dict(numbers) for method, numbers in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as e:
        raise InputError(f"{path}: no JSON of methods and their numbers ({one_line(e)[:100]}); mend or delete it") from None


def load(weights="auto", device="auto", dtype=None) -> Model:
    """The model of a .safetensors file, a diffusers folder, "sd15", "cartoon" or "auto" (see `find`).

    device: "auto" (cuda, else mps, else cpu), or any torch device. dtype: "float32" (the default on CPU and MPS), "float16" (the
    default on CUDA), "bfloat16", or a torch dtype. Raises InputError, with what to do, for anything wrong.
    """
    device = pick_device(device)
    if dtype is None:
        dtype = torch.float16 if device.type == "cuda" else torch.float32
    elif isinstance(dtype, str):
        if dtype not in ("float32", "float16", "bfloat16", "float64"):
            raise InputError(f"dtype {dtype!r}: use float32, float16 or bfloat16")
        dtype = getattr(torch, dtype)
    if dtype == torch.float16 and device.type == "cpu":
        raise InputError("float16 does not run on a CPU; use float32 or bfloat16")
    file = Checkpoint(find(weights), half=dtype in (torch.float16, torch.bfloat16))
    parts = {"unet": file.unet(dtype), "vae": file.vae(dtype=dtype), "text": file.text(dtype)}
    for net in parts.values():
        net.to(device).eval().requires_grad_(False)
    return Model(**parts, checkpoint=file, notes=file.metadata | numbers_beside(file.path))
