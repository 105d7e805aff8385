"""The three networks on one device, ready to look at pictures: load("auto") -> Model."""
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .attention import at_least_float32
from .checkpoints.checkpoint import Checkpoint
from .checkpoints.hub import CARTOON, find
from .checkpoints.safe_opening import read_json
from .errors import InputError, WeightsError, first_few, one_line
from .images import as_rgb
from .methods import METHODS
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
        x = torch.from_numpy(np.array(as_rgb(image).resize((self.side, self.side), Image.BICUBIC)))
        return (at_least_float32(x.permute(2, 0, 1)[None].to(self.dtype)) / 127.5 - 1).to(self.device, self.dtype)

    def check_finite(self, *results):
        """Raises WeightsError, with the name of the tensor to blame, if what this model made is not finite. Reads the weights only then:
        looking at every weight when it is loaded would cost as much as reading the file does."""
        if all(x.isfinite().all() for x in results):
            return
        for part, net in (("unet", self.unet), ("vae", self.vae), ("text", self.text)):
            for name, weight in net.named_parameters():
                if not weight.isfinite().all():
                    raise WeightsError(f"{self.source}: {part} tensor {name} holds NaN or infinite numbers (in {self.dtype}); download it again, "
                                     "or try --dtype float32")
        raise WeightsError(f"{self.source}: every weight is a number, but what it computes is not (in {self.dtype}); try --dtype float32")

    @torch.no_grad()
    def decode(self, z):
        """Latents to pictures; reads the decoder from the checkpoint the first time."""
        if not hasattr(self.vae, "decoder"):
            self.vae = self.checkpoint.vae(decoder=True, dtype=self.dtype).to(self.device).eval().requires_grad_(False)
        return self.vae.decode(z)


def pick_device(device="auto") -> torch.device:
    """The device of this name ("auto": cuda, else mps, else cpu); InputError unless it computes."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        with warnings.catch_warnings():                  # torch's own, on names that it will drop
            warnings.simplefilter("ignore")
            chosen = torch.device(device)
            torch.ones(1, device=chosen).item()          # a number must come back: meta has none
        return chosen
    except Exception as e:                               # every missing backend raises its own kind
        why = one_line(str(e).split("\n")[0].split(". ")[0])[:100].rstrip(", ")
        raise InputError(f"device {str(device)[:40]!r} cannot be used here ({why}); "
                         f"there is: {', '.join(devices())}") from None


def devices() -> list[str]:
    """The devices that this machine has."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *["mps"] * torch.backends.mps.is_available()]


def hyperparameters_beside(path) -> dict:
    """The methods' numbers for a model, {method: {field: value}}, from the JSON file of its name
    beside it; {} without such a file.

    Web UIs and trainers keep notes of their own under that name: with no method in it, and no
    object where a method's numbers would be, it is taken for such notes and left alone.
    """
    path = Path(path).with_suffix(".json")
    if not path.is_file():
        return {}
    numbers = read_json(path)
    unknown = set(numbers) - set(METHODS)
    if unknown == set(numbers) and not any(isinstance(n, dict) for n in numbers.values()):
        return {}
    if unknown or not all(isinstance(n, dict) for n in numbers.values()):
        raise InputError(f"{path}: not methods and their numbers ({first_few(sorted(unknown) or numbers.values())}); mend it, or move it away")
    return numbers


def load(weights="auto", device="auto", dtype=None, compile=False) -> Model:
    """The model of a .safetensors file, a diffusers folder, "sd15", "cartoon" or "auto" (see `find`).

    device: "auto" (cuda, else mps, else cpu), or any torch device. dtype: "float32" (the default on CPU and MPS), "float16" (the
    default on CUDA), "bfloat16", or a torch dtype. compile: UNet and encoder by torch.compile, which takes minutes at the first picture and
    pays over many. Raises InputError, with what to do, for anything wrong.
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
    file.check()
    parts = {"unet": file.unet(dtype), "vae": file.vae(dtype=dtype), "text": file.text(dtype)}
    for net in parts.values():
        net.to(device).eval().requires_grad_(False)
    if compile:
        parts["unet"].compile()
        parts["vae"].encoder.compile()
    return Model(**parts, checkpoint=file, notes=file.notes | hyperparameters_beside(file.path))
