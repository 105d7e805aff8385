"""One call of each network, by this package and by OpenVINO, in turns, in a process of its own.

    python -m minifaseg.bench.networks '{"weights": "cartoon", "side": 128, "repeats": 3}'

Prints one JSON object: the seconds of every call, and how far the two results are apart.

OpenVINO is what one would take instead to run these networks on a CPU. It reads a network whole,
stores each weight in the layout that is fastest for it, and joins small operations into the large
ones before them. It hands out no attention, so FA-Seg cannot run on it; it shows what the CPU can
do. Without OpenVINO only this package is measured.
"""
import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import minifaseg

from ..machine import dtypes
from ..memory import keep_freed_memory
from ..model import Model
from .running import median, seconds_of

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}      # in OpenVINO's words


def calls(model: Model, side: int) -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """{name: (network, its inputs in float32)}."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    cells = side // model.vae.factor
    z = drawn(2, model.unet.config.latent, cells, cells)
    text = drawn(2, 77, model.unet.config.context)
    return {"UNet, two views": (model.unet, (z, torch.tensor([1, 1]), text)),
            "VAE's encoder, one view": (model.vae.encoder, (drawn(1, 3, side, side),))}


def converted(network: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    """OpenVINO's form of a network in float32, for inputs of exactly these shapes.

    None without OpenVINO.
    """
    try:
        import openvino
    except ImportError:
        return None
    found = openvino.convert_model(network, example_input=inputs)
    found.reshape({i: list(x.shape) for i, x in enumerate(inputs)})
    return found


def compiled(network: Any, dtype: str) -> Callable[..., Tensor]:
    """A converted network as a function of tensors in float32, computed in this number type."""
    import openvino
    options = {"INFERENCE_PRECISION_HINT": PRECISIONS[dtype],
               "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    request = openvino.Core().compile_model(network, "CPU", options).create_infer_request()

    def run(*inputs: Tensor) -> Tensor:
        results = request.infer([x.numpy() for x in inputs])
        return torch.from_numpy(results[0])

    return run


@torch.no_grad()
def time_both(network: nn.Module, theirs: Callable | None, inputs: tuple[Tensor, ...],
              repeats: int) -> dict:
    """Seconds of our network and of theirs, after a first call of each that is not measured."""
    dtype = next(network.parameters()).dtype
    own_inputs = [x.to(dtype) if x.is_floating_point() else x for x in inputs]
    sides: dict[str, Callable[[], Tensor]] = {"ours": lambda: network(*own_inputs)}
    if theirs:
        sides["OpenVINO"] = lambda: theirs(*inputs)

    results = {name: run().float() for name, run in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            seconds[name].append(seconds_of(run))

    out: dict[str, Any] = {name: median(found) for name, found in seconds.items()}
    if theirs:
        apart = results["OpenVINO"] - results["ours"]
        out["apart"] = float(apart.norm() / results["ours"].norm())
    return out


def measure(weights: str, side: int, repeats: int) -> dict[str, dict]:
    """{network, number type: see time_both}."""
    model = minifaseg.load(weights, "cpu", "float32")
    forms = {name: converted(*call) for name, call in calls(model, side).items()}
    keep_freed_memory()                                  # as the command line does
    out = {}
    for dtype in dtypes():
        model = minifaseg.load(weights, "cpu", dtype)
        for name, (network, inputs) in calls(model, side).items():
            theirs = compiled(forms[name], dtype) if forms[name] else None
            out[f"{name}, {dtype}"] = time_both(network, theirs, inputs, repeats)
    return out


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
