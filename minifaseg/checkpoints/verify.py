"""`python weights.py verify`: are these the right weights, and does our network compute with them
what the world's computes? See checksums.py and activations.py.
"""
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from ..errors import WEIGHTS_COMMAND, InputError, first_few, shown
from . import activations, checksums
from .activations import Case
from .checkpoint import Checkpoint
from .checksums import judge, read_known
from .examine import examine
from .hub import FOLDER, weight_files
from .layouts import tensor_files
from .refusals import check_exists

# Where published answers are of float32 and the weights at hand of float16: diffusers' own
# tolerance for its float16 answers.
HALF_ATOL = 5e-3


def verify(path: Path, full: bool = False, known: Path | None = None,
           device: torch.device | None = None) -> int:
    """Prints what each file is. Returns 0 if all are whole and load, else 1. Raises InputError.

    full: read also what the hub's cache vouches for by name. known: a folder with checksums.csv,
    activations.json and its inputs, in place of Stable Diffusion 1.5's. device: also compute the
    known activations there; None: do not.
    """
    check_exists(path)
    table = read_known(known / checksums.FILE.name if known else checksums.FILE)
    files = list(weights_of(path))
    print(f"{path}: {len(files)} {'file' if len(files) == 1 else 'files'} of weights", flush=True)
    good = True
    for file in files:
        verdict = judge(file, table, full)
        good &= verdict.good
        name = file.relative_to(path) if path.is_dir() else file.name
        digest = f"\n  SHA-256 {verdict.sha256}" if verdict.sha256 else ""
        print(f"{shown(name)}: {verdict.kind}: {verdict.reason}{digest}", flush=True)

    if not good:
        print("does not verify, see above")
        return 1
    checkpoint = Checkpoint(path)
    if not check_loads(checkpoint):
        return 1
    if device and not check_activations(checkpoint, known, device):
        return 1
    return 0


def weights_of(path: Path) -> Iterator[Path]:
    """The files of a checkpoint that hold tensors: of every variant, shard by shard."""
    if path.is_file():
        yield path
        return
    for part in FOLDER:
        for file in weight_files(path, part).values():
            yield from tensor_files(file)


def files_read(checkpoint: Checkpoint) -> Iterator[Path]:
    """The files of a checkpoint that its networks are made of."""
    layout = checkpoint.layout
    if layout.single:
        yield layout.path
    for variant, found in layout.files.values():
        yield from tensor_files(found[variant])


def check_loads(checkpoint: Checkpoint) -> bool:
    """Prints whether all tensors are there and fit; nothing is loaded."""
    for part in checkpoint.keys:
        _, problems, _ = examine(checkpoint, part)
        if problems:
            print(f"{part}: {shown(first_few(problems))}; look closer: "
                  f"{WEIGHTS_COMMAND} inspect {shown(checkpoint.path)}")
            return False
    print("all tensors are there and fit: loads")
    return True


# ---- known activations ---------------------------------------------------------------------------
def check_activations(checkpoint: Checkpoint, known: Path | None, device: torch.device) -> bool:
    """Prints every known answer beside ours. Returns whether all are met. Raises InputError."""
    table = known / activations.FILE.name if known else activations.FILE
    repository, cases = activations.read_cases(table)
    if device.type != "cuda":                            # those of float16 are of a GPU
        cases = [case for case in cases if case.dtype != torch.float16]
    if known:
        find = activations.in_folder(known)
    else:
        print(f"known activations of diffusers; their inputs, of 0.3 to 13 MB, are fetched once "
              f"from the hub's data set {repository}", flush=True)
        find = activations.from_hub(repository)

    check_sizes(checkpoint, cases)
    met = 0
    for case, network in with_networks(checkpoint, cases, device):
        inputs = [activations.last_of(find(name), shape) for name, shape in case.inputs]
        measured = activations.measure(case, network, inputs)
        met += measured.met
        print(f"{case}\n"
              f"  published  {numbers(case.expected)}\n"
              f"  ours       {numbers(measured.values)}\n"
              f"  apart by at most {measured.difference:.2g}, {case.atol:g} allowed: "
              f"{'met' if measured.met else 'NOT MET'}", flush=True)
    print(f"{met} of {len(cases)} known activations are met, computed on {device}")
    return met == len(cases)


def check_sizes(checkpoint: Checkpoint, cases: list[Case]) -> None:
    """Raises InputError if the inputs are not of the sizes of the networks."""
    context = checkpoint.unet_config().context
    for case in cases:
        _, shape = case.inputs[-1]                       # a UNet's second input: text states
        if case.part == "unet" and shape[-1] != context:
            raise InputError(f"{checkpoint.path}: its UNet takes text states of {context} "
                             f"channels, the known activations are of one that takes {shape[-1]}; "
                             "they say nothing about it")


def with_networks(checkpoint: Checkpoint, cases: list[Case],
                  device: torch.device) -> Iterator[tuple]:
    """(case, its network) of every case; one network at a time is in memory."""
    made, network = None, None
    for case in cases:
        if (case.part, case.dtype) != made:
            network = None                               # frees memory for the next one
            network = network_of(checkpoint, case).to(device).eval()
            made = (case.part, case.dtype)
        if is_half(checkpoint, case.part) and case.dtype == torch.float32:
            case = replace(case, atol=max(case.atol, HALF_ATOL), stored="of weights in 16 bits")
        yield case, network


def network_of(checkpoint: Checkpoint, case: Case) -> torch.nn.Module:
    if case.part == "vae":
        return checkpoint.vae(decoder=True, dtype=case.dtype)
    return checkpoint.unet(case.dtype)


def is_half(checkpoint: Checkpoint, part: str) -> bool:
    """Are a part's tensors stored in 16 bits?"""
    stored, file = next(iter(checkpoint.keys[part].values()))
    return file.get_slice(stored).get_dtype() in ("F16", "BF16")


def numbers(values: torch.Tensor) -> str:
    return " ".join(f"{x:8.4f}" for x in values.tolist())
