"""Where to compute, and in which number type."""
import warnings
from typing import Any

import torch

from .errors import InputError, one_line


def pick_device(device: Any = "auto") -> torch.device:
    """The device of this name; "auto" is cuda, else mps, else cpu.

    Raises InputError unless it can compute here.
    """
    if device == "auto":
        device = "cpu"
        if torch.backends.mps.is_available():
            device = "mps"
        if torch.cuda.is_available():
            device = "cuda"
        return torch.device(device)
    try:
        with warnings.catch_warnings():                  # torch warns of names that it will drop
            warnings.simplefilter("ignore")
            chosen = torch.device(device)
            torch.ones(1, device=chosen).item()          # a number must come back: meta has none
        return chosen
    except Exception as e:                               # every missing backend raises its own kind
        why = one_line(str(e).split("\n")[0].split(". ")[0])[:100].rstrip(", ")
        raise InputError(f"device {str(device)[:40]!r} cannot be used here ({why}); "
                         f"there is: {', '.join(devices())}") from None


def devices() -> list[str]:
    """The devices of this machine."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *cuda, *mps]


def pick_dtype(dtype: Any, device: torch.device) -> torch.dtype:
    """The dtype of this name; None is float16 on CUDA, else float32.

    Raises InputError for another name, and for float16 on a CPU.
    """
    if dtype is None:
        dtype = "float16" if device.type == "cuda" else "float32"
    if isinstance(dtype, str):
        if dtype not in ("float32", "float16", "bfloat16", "float64"):
            raise InputError(f"dtype {dtype!r}: use float32, float16 or bfloat16")
        dtype = getattr(torch, dtype)
    if dtype == torch.float16 and device.type == "cpu":
        raise InputError("float16 does not run on a CPU; use float32 or bfloat16")
    return dtype
