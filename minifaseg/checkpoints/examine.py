"""A checkpoint's part compared with the network of its size, tensor by tensor, nothing loaded."""
import math
from typing import Any

import torch
from torch import nn

from ..errors import one_line
from ..text import Text, TextConfig
from ..unet import UNet, UNetConfig
from ..vae import VAE, VAEConfig
from .tensor_names import unwrapped

# Stable Diffusion 1.5.
STANDARD = {"unet": UNetConfig(), "vae": VAEConfig(), "text": TextConfig()}
DECODER = ("decoder.", "post_quant_conv.")     # of the VAE: only for painting
# What a tensor may be: safetensors' word -> torch's.
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def empty_network(part: str, config: Any, decoder: bool = True) -> nn.Module:
    """The network of these sizes, without memory for its parameters. decoder: the VAE's, too."""
    with torch.device("meta"):
        if part == "unet":
            return UNet(config)
        return VAE(config, decoder) if part == "vae" else Text(config).build()


def compare(part: str, net: nn.Module, stored: dict, shapes: bool = True) -> dict[str, str]:
    """How the tensors that a file has of a part differ from those of its network.

    Returns {our name: "missing", "surplus", or "is (4,), not (8,)"}, {} if all fit.
    stored: see layouts.Layout.keys. shapes: False compares names and number types only.
    """
    wanted = {unwrapped(name): tuple(tensor.shape) for name, tensor in net.state_dict().items()
              if not name.endswith("position_ids")}
    differences = {name: "missing" for name in wanted if name not in stored}
    for name, (stored_name, file) in stored.items():
        header = file.get_slice(stored_name)
        shape, kind = tuple(header.get_shape()), header.get_dtype()
        if part == "vae" and len(shape) == 2:  # diffusers keeps the 1 x 1 convolutions as matrices
            shape += (1, 1)
        if name not in wanted:
            differences[name] = "surplus"
        elif kind not in DTYPES:
            bits = " of 16 bits or more" if kind.startswith("F") else ""
            differences[name] = f"is {kind}, not a floating-point type{bits}"
        elif shapes and shape != wanted[name]:
            differences[name] = f"is {shape}, not {wanted[name]}"
    return differences


def examine(file: Any, part: str) -> tuple[str, list[str], list[str]]:
    """A Checkpoint's part: (its facts in a line, what keeps it from loading, what does not)."""
    stored = file.keys[part]
    headers = [opened.get_slice(name) for name, opened in stored.values()]
    parameters = sum(math.prod(header.get_shape()) for header in headers)
    kinds = dict.fromkeys(header.get_dtype() for header in headers)
    types = " + ".join(DTYPES.get(kind, kind) for kind in kinds)
    facts = f"{len(stored)} tensors, {parameters:,} parameters, {types or 'no number type'}"

    problems = []
    try:
        config = file.config(part)
        net = empty_network(part, config)
        sizes = [f"{name} {as_text(value)}" for name, value in vars(config).items()]
        facts += f"; {', '.join(sizes)}"
    except Exception as e:                     # a broken file can break the constructor anywhere
        net, config = empty_network(part, STANDARD[part]), None
        problems.append(f"its size cannot be read off ({one_line(e)}); "
                        "compared with Stable Diffusion 1.5 by name")

    remarks = []
    for name, difference in compare(part, net, stored, shapes=config is not None).items():
        if difference == "missing" and name.startswith(DECODER):
            remarks.append(f"missing {name} (only for painting, not for segmenting)")
        elif difference in ("missing", "surplus"):
            problems.append(f"{difference} {name}")
        else:
            problems.append(f"{name} {difference}")
    return facts, problems, remarks


def as_text(value: object) -> str:
    """A number, or several as "320/640/1280/1280"."""
    return "/".join(str(int(x)) for x in value) if isinstance(value, tuple) else str(value)
