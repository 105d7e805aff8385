"""Tensors read in another number type: the same bits as safetensors' own, and no more memory."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from minifaseg.checkpoints.checkpoint import Checkpoint, write_single
from minifaseg.checkpoints.convert import convert
from minifaseg.checkpoints.hub import CARTOON
from minifaseg.checkpoints.safe_opening import open_file
from minifaseg.checkpoints.tensor_names import PREFIX
from minifaseg.unet import UNet, UNetConfig

FLOATS = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def same_bits(a, b):
    """Also of NaN and of -0."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    bits = BITS[a.dtype.itemsize]
    return torch.equal(a.contiguous().view(bits), b.contiguous().view(bits))


def odd_tensors(dtype):
    """Of all shapes that safetensors allows, and with numbers that round, overflow or are none."""
    random = torch.Generator().manual_seed(0)
    special = [0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e-45, 65519.0, 65520.0, 3e38]
    tensors = {
        "scalar": torch.tensor(3.14159),
        "empty": torch.empty(0),
        "empty too": torch.empty(3, 0, 5),
        "special": torch.tensor(special),
        "one": torch.tensor([1.0]),
        "kernel": torch.randn(7, 5, 3, 3, generator=random),
        "more than a page": torch.randn(300, 257, generator=random) * 1e-4}
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


@pytest.mark.parametrize("stored", FLOATS, ids=str)
@pytest.mark.parametrize("wanted", [None, *FLOATS], ids=str)
def test_converted_bit_by_bit(tmp_path, stored, wanted):
    path = tmp_path / "x.safetensors"
    save_file(odd_tensors(stored), path, {"format": "pt"})
    file = open_file(path)
    for name, tensor in load_file(path).items():
        assert same_bits(file.read(name, wanted), tensor.to(dtype=wanted)), name


def test_a_header_of_any_length(tmp_path):
    """Numbers then begin at bytes that are no multiple of their size."""
    for length in range(8):
        path = tmp_path / f"{length}.safetensors"
        tensors = {"a": torch.arange(5.0), "b": torch.arange(3.0) + 0.1}
        save_file(tensors, path, {"note": "x" * length})
        content = path.read_bytes()
        header = content[8:8 + int.from_bytes(content[:8], "little")]
        unpadded = header.rstrip()
        path.write_bytes(len(unpadded).to_bytes(8, "little") + unpadded
                         + content[8 + len(header):])
        file = open_file(path)
        for name, tensor in tensors.items():
            assert same_bits(file.read(name, torch.float16), tensor.to(torch.float16))
            assert same_bits(file.read(name), tensor)


def as_shards(folder, part_folder, shards):
    """A part of a diffusers folder, its one file made into several with an index."""
    name = "diffusion_pytorch_model.safetensors"
    whole = folder / part_folder / name
    tensors = load_file(whole)
    places = {}
    for i in range(shards):
        shard = f"diffusion_pytorch_model-{i + 1:05}-of-{shards:05}.safetensors"
        names = list(tensors)[i::shards]
        save_file({key: tensors[key] for key in names}, whole.with_name(shard), {"format": "pt"})
        places |= dict.fromkeys(names, shard)
    whole.unlink()
    index = whole.with_name(name + ".index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_networks_of_a_file_and_of_shards(tmp_path, dtype):
    """Every parameter of the three networks, the decoder's too."""
    convert(str(CARTOON), str(tmp_path / "folder"))
    as_shards(tmp_path / "folder", "unet", shards=3)
    checkpoints = [Checkpoint(CARTOON), Checkpoint(tmp_path / "folder")]
    stored = load_file(CARTOON)
    for checkpoint in checkpoints:
        parts = {"unet": checkpoint.unet(dtype), "vae": checkpoint.vae(True, dtype),
                 "text": checkpoint.text(dtype).model}
        for part, network in parts.items():
            for name, parameter in network.named_parameters():
                expected = stored[PREFIX[part] + name.removeprefix("text_model.")].to(dtype)
                assert same_bits(parameter.data, expected.reshape(parameter.shape)), name


def test_another_file_takes_the_name(tmp_path):
    """As when weights are downloaded anew while the model is in use."""
    path = tmp_path / "x.safetensors"
    old, new = torch.full((100_000,), 1.5), torch.full((100_000,), 2.5)
    save_file({"a": old}, path)
    file = open_file(path)
    save_file({"a": new}, tmp_path / "new.safetensors")
    try:
        os.replace(tmp_path / "new.safetensors", path)
    except PermissionError:
        pytest.skip("this system does not replace a file that is mapped")
    assert file.read("a").eq(1.5).all()
    assert file.read("a", torch.bfloat16).eq(1.5).all()
    assert open_file(path).read("a", torch.bfloat16).eq(2.5).all()
    path.unlink()
    assert file.read("a", torch.float16).eq(1.5).all()


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be cut off there")
def test_cut_off_while_open(tmp_path):
    """A converted tensor is refused, where reading a view of it would end the process."""
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(1 << 20)}, path)
    file = open_file(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises((ValueError, OSError)):
        file.read("a", torch.bfloat16)


PEAK = """
import sys
import torch
from minifaseg.checkpoints.checkpoint import Checkpoint

def mebibytes(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return int(line.split()[1]) / 1024

checkpoint = Checkpoint(sys.argv[1])
torch.ones(1000).to(torch.bfloat16)
before = mebibytes("VmRSS")
network = checkpoint.unet(torch.bfloat16)
print("MiB:", mebibytes("VmHWM") - before, mebibytes("VmRSS") - before)
"""


def write_large(path):
    """A random UNet of 300 MB, beside the cartoon model's other parts. Returns its parameters."""
    cartoon = Checkpoint(CARTOON)
    sizes = vars(cartoon.unet_config()) | {"widths": (96, 192, 256, 512), "blocks": 2}
    unet = UNet(UNetConfig(**sizes))
    states = {"unet": unet.state_dict(), "vae": cartoon.vae(True).state_dict(),
              "text": cartoon.text().model.state_dict()}
    write_single(path, states, cartoon.notes)
    return sum(p.numel() for p in unet.parameters())


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_converted_without_the_pages_of_the_file(tmp_path):
    path = tmp_path / "large.safetensors"
    parameters = write_large(path)
    converted, stored = 2 * parameters / 2**20, 4 * parameters / 2**20      # MiB
    assert stored > 250

    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", PEAK, str(path)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    peak, after = map(float, re.findall(r"[\d.]+", run.stdout))
    assert converted * 0.9 < after < converted + 0.2 * stored
    assert peak < converted + 0.3 * stored
