"""Does our network compute on these weights what the world's computes?

diffusers publishes what the real Stable Diffusion 1.5 answers to given inputs: eight numbers of
the UNet's or VAE's output, and how far from them another machine may be (activations.json, with
sources). The inputs are public files of normal noise, fetched once, when a user asks for it. Only
the last element of a published batch is computed: the eight numbers are of that one.
"""
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, one_line
from ..unet import UNet
from ..vae import VAE
from .safe_opening import read_json

FILE = Path(__file__).with_name("activations.json")
KINDS = ("unet", "unet_float16", "vae_mode")


@dataclass(frozen=True)
class Case:
    """One published answer.

    part: "unet" or "vae". dtype: of weights and inputs. inputs: (file name, shape) of each. t: the
    timestep, of a UNet. expected: (8,) numbers. atol: how far each of them may be off. stored: a
    remark on the weights at hand.
    """
    part: str
    dtype: torch.dtype
    seed: int
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    t: int | None
    expected: Tensor
    atol: float
    stored: str = ""

    def __str__(self) -> str:
        kind = "" if self.dtype == torch.float32 else f", {self.dtype}".replace("torch.", "")
        step = "" if self.t is None else f", t = {self.t}"
        remark = f", {self.stored}" if self.stored else ""
        return f"{self.part}, noise of seed {self.seed}{step}{kind}{remark}"


@dataclass(frozen=True)
class Measured:
    """Our answer beside the published one. values: (8,)."""
    case: Case
    values: Tensor

    @property
    def difference(self) -> float:
        """The largest of the eight; not a number if one of ours is none."""
        return (self.values - self.case.expected).abs().max().item()

    @property
    def met(self) -> bool:
        return self.difference <= self.case.atol


def read_cases(path: Path = FILE) -> tuple[str, list[Case]]:
    """(the hub's data set with the inputs, all published answers). Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; it must hold known activations "
                         "as checkpoints/activations.json does")
    content = read_json(path)
    try:
        pattern = content["inputs"]["file"]
        groups = [content[kind] for kind in KINDS if kind in content]
        cases = []
        for group in groups:
            cases += [_case(group, case, pattern) for case in group["cases"]]
        return content["inputs"]["repository"], cases
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as e:
        raise InputError(f"{path}: not known activations ({type(e).__name__}: {one_line(e)}); "
                         "write it as checkpoints/activations.json is") from None


def _case(group, case, pattern):
    shapes = [tuple(shape) for shape in group["shapes"]]
    names = [pattern.format(seed=case["seed"], shape="_".join(map(str, s))) for s in shapes]
    return Case(group["part"], getattr(torch, group["dtype"]), case["seed"],
                tuple(zip(names, shapes)), case.get("t"),
                torch.tensor(case["expected"], dtype=torch.float32), group["atol"])


# ---- inputs --------------------------------------------------------------------------------------
def in_folder(folder: Path) -> Callable[[str], Path]:
    """Finds an input in a folder."""
    def find(name: str) -> Path:
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no input {name} there; copy it into that folder")
        return folder / name
    return find


def from_hub(repository: str) -> Callable[[str], Path]:
    """Finds an input in the hub's cache, or fetches it."""
    def find(name: str) -> Path:
        from huggingface_hub import hf_hub_download
        try:
            return Path(hf_hub_download(repository, name, repo_type="dataset"))
        except Exception as e:                 # of requests, httpx or hf_xet, by version of the hub
            raise InputError(f"{name}: not in the hub cache, and not to be fetched from the data "
                             f"set {repository} ({one_line(e)[:200]}); is there a connection?"
                             ) from None
    return find


def last_of(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The last element (1, ...) of a stored batch of this shape, float32. Raises InputError."""
    try:
        batch = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise InputError(f"{path}: cannot be read ({one_line(e)}); fetch it again") from None
    if batch.shape != shape or batch.dtype.kind != "f":
        raise InputError(f"{path}: {batch.shape} {batch.dtype}, not {shape} of floating-point "
                         "numbers; fetch it again")
    return torch.from_numpy(batch[-1:].astype(np.float32))


# ---- our answers ---------------------------------------------------------------------------------
@torch.no_grad()
def measure(case: Case, network: Any, inputs: list[Tensor]) -> Measured:
    """The network's answer to a case. inputs: as `last_of` reads them, one for each of the case."""
    device = next(network.parameters()).device
    inputs = [x.to(device, case.dtype) for x in inputs]
    # PyTorch's own default on a GPU is convolutions of 10 bits, which are off by 1e-3.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        sample = answer(network, case.t, *inputs)        # (1, C, H, W)
    return Measured(case, sample[-1, -2:, -2:, :2].flatten().float().cpu())


def answer(network: UNet | VAE, t: int | None, x: Tensor, text: Tensor | None = None) -> Tensor:
    """UNet: the predicted noise. VAE: the picture, encoded to the posterior's mean and decoded."""
    if isinstance(network, UNet):
        return network(x, t, text)
    mean, logvar = network.moments(x)
    return network.decode(network.latents(mean, logvar))
