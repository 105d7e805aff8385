"""A checkpoint's part compared with the network of its size, tensor by tensor, nothing loaded."""
import math
from collections import Counter
from dataclasses import asdict

import torch

from ..text import Text, TextConfig
from ..unet import UNet, UNetConfig
from ..vae import VAE, VAEConfig
from . import tensor_names
from .checkpoint import DECODER, DTYPES
from .safe_opening import one_line

NETWORK = {"unet": (UNetConfig, UNet), "vae": (VAEConfig, lambda c: VAE(c, decoder=True)),
           "text": (TextConfig, lambda c: Text(c).build())}


def examine(file, part):
    """One part: (its facts in a line, what keeps it from loading, what does not)."""
    (standard, build), have = NETWORK[part], file.keys[part]
    slices = {key: opened.get_slice(stored) for key, (stored, opened) in have.items()}
    shapes = {key: tuple(s.get_shape()) for key, s in slices.items()}
    kinds = {key: s.get_dtype() for key, s in slices.items()}
    types = Counter(DTYPES.get(kind, kind) for kind in kinds.values())
    facts = (f"{len(have)} tensors, {sum(map(math.prod, shapes.values())):,} parameters, "
             + (" + ".join(types) or "no number type"))
    problems, remarks = [], []
    try:
        config = getattr(file, f"{part}_config")()
        net = skeleton(build, config)
        facts += "; " + ", ".join(f"{k} {as_text(v)}" for k, v in asdict(config).items())
    except Exception as e:                     # a broken file can break the constructor anywhere
        net, config = skeleton(build, standard()), None
        problems.append(f"its size cannot be read off ({one_line(e)}); "
                        "compared with Stable Diffusion 1.5 by name")
    want = {tensor_names.text_key(key) if part == "text" else key: tuple(v.shape)
            for key, v in net.items() if not key.endswith("position_ids")}
    for key in want:
        if key in have:
            continue
        if part == "vae" and key.startswith(DECODER):
            remarks.append(f"missing {key} (only for painting, not for segmenting)")
        else:
            problems.append(f"missing {key}")
    problems += [f"surplus {key}" for key in have if key not in want]
    for key, shape in shapes.items():
        if part == "vae" and len(shape) == 2:  # diffusers keeps the 1 x 1 convolutions as matrices
            shape += (1, 1)
        if config and key in want and shape != want[key]:
            problems.append(f"{key} is {shape}, not {want[key]}")
        if kinds[key] not in DTYPES:
            bits = " of 16 bits or more" * kinds[key].startswith("F")
            problems.append(f"{key} is {kinds[key]}, not a floating-point type{bits}")
    return facts, problems, remarks


def skeleton(build, config):
    with torch.device("meta"):
        return build(config).state_dict()


def as_text(value):
    return "/".join(str(int(x)) for x in value) if isinstance(value, tuple) else value
