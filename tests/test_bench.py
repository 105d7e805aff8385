"""The benchmark's own sums: what it counts, what it compares with, and that its command does what it says."""
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import minifaseg
from minifaseg.bench import naive, running, side
from minifaseg.bench.__main__ import main, measured_before
from minifaseg.bench.floor import operations
from minifaseg.bench.running import Setting, process, summed
from minifaseg.bench.side import class_names
from minifaseg.cartoon.painter import paint
from minifaseg.unet import UNetConfig
from minifaseg.vae import VAEConfig

CARTOON = Setting("cartoon", "cpu", 64, 1)
SMALL = ["--weights", "cartoon", "--side", "64", "--repeats", "1"]


def test_operations_are_those_of_the_authoritys_networks():
    """SD 1.5 at 512 pixels, two views: 1.61 TFLOP a UNet call, 2.23 the encoder; diffusers' own networks count the same."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    counted = operations(512, UNetConfig(), VAEConfig())
    with torch.device("meta"), torch.no_grad():
        unet = UNet2DConditionModel(block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8)
        vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
                            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
        with FlopCounterMode(display=False) as count:
            unet(torch.empty(2, 4, 64, 64), torch.zeros(1), torch.empty(2, 77, 768))
        assert counted["unet"] == count.get_total_flops() == pytest.approx(1.61e12, rel=0.01)
        with FlopCounterMode(display=False) as count:
            vae.encode(torch.empty(2, 3, 512, 512))
        assert counted["vae"] == count.get_total_flops() == pytest.approx(2.23e12, rel=0.01)
    assert counted["total"] == 2 * counted["unet"] + counted["vae"]


@torch.no_grad()
def test_the_plain_side_has_the_same_weights_and_the_same_masks():
    model = minifaseg.load("cartoon", device="cpu")
    unet = naive.diffusers_unet(model)
    z, text = torch.randn(2, 4, 32, 32, generator=torch.Generator().manual_seed(0)), model.text(["a cat", "a dog"])
    ours, theirs = model.unet(z, 10, text), unet(z, 10, text).sample
    assert (ours - theirs).abs().max() <= 1e-4 * theirs.std()
    for numbers in ({}, {"noise": False, "steps": 1, "timestep": 1}):
        for seed in range(1000, 1003):
            scene, how = paint(seed), minifaseg.make_method("faseg", model, **numbers)
            result = minifaseg.segment(scene.image, scene.classes, model, **numbers)
            scores, labels = naive.segment(model, unet, scene.image, scene.classes, how)
            assert (scores - result.grid_scores).abs().max() <= 2e-3 and (labels.numpy() == result.labels).mean() >= 0.999


def test_names_are_different_and_known():
    names = class_names(254)
    assert len(set(names)) == 254 and names[:80] == class_names(80)
    model = minifaseg.load("cartoon", device="cpu")
    assert all(model.text.pieces(name) for name in names)


def check_stages(side, *names):
    """The parts of a side's run add up to its total; its memory holds its weights."""
    stages = {stage: m["median"] for stage, m in side["seconds"].items()}
    parts = sum(v for stage, v in stages.items() if stage != "total")
    assert set(names) <= set(stages) and 0.5 * stages["total"] < parts <= stages["total"]
    assert side["weights_gib"]["median"] <= side["peak_gib"]["median"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["faseg", "naive"])
def test_stages_add_up_to_the_total(method):
    """With the release's inversion; without it: test_the_command."""
    released = {"noise": False, "steps": 1, "timestep": 1}
    side = summed([process(CARTOON, method=method, hyperparameters=released)])
    check_stages(side, "text", "vae", "inversion", "capture", "refinement")


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """bench("naive", ...) -> (exit code, stdout, stderr) of the command.

    Each side of a comparison, a process of its own, is measured in this process: three seconds of imports less.
    """
    def in_this_process(module, ask):
        assert module == side.__name__
        return json.loads(json.dumps(side.measure(side.Ask(**json.loads(json.dumps(ask))))))
    monkeypatch.setattr(running, "run_module", in_this_process)

    def bench(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["bench", *arguments, *SMALL, "--out", str(tmp_path)])
        return main(), *capsys.readouterr()
    return bench


def test_the_command(tmp_path, bench):
    code, out, err = bench("naive")
    assert code == 0, err
    report = json.loads((tmp_path / "report.json").read_text())
    assert out == (tmp_path / "report.md").read_text() + "\n"
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"
    result = report["naive"]["result"]
    assert list(report) == ["naive"] and result["naive"]["equal_pixels"] >= 0.995
    for method in ("faseg", "naive"):
        check_stages(result[method], "text", "vae", "capture", "refinement")
    before = (tmp_path / "naive.json").stat().st_mtime_ns
    assert bench("naive")[0] == 0
    assert (tmp_path / "naive.json").stat().st_mtime_ns == before      # kept: goes on where it was
    code, out, err = bench("speed")
    assert code == 1 and "no experiment called speed" in err and len(err.splitlines()) == 1


@pytest.mark.slow
def test_networks_and_the_shell(tmp_path, bench):
    code, out, err = bench("networks", "one-shot")
    assert code == 0, err
    report = json.loads((tmp_path / "report.json").read_text())
    calls = report["networks"]["result"]
    assert {f"{name}, float32" for name in ("UNet, two views", "VAE's encoder, one view")} <= set(calls)
    for name, call in calls.items():
        assert call["ours"]["low"] > 0 and name in out
        if "OpenVINO" in call:                             # where it is installed
            assert call["apart"] < (1e-5 if "float32" in name else 0.05)
    shell = report["one-shot"]["result"]["float32"]
    assert shell["shell"]["median"] > shell["warm"]["seconds"]["total"]["median"]
    assert "| float32 |" in out


@pytest.mark.slow
def test_the_command_as_a_process(tmp_path):
    def run(*arguments):
        env = os.environ | {"PYTHONPATH": str(Path(minifaseg.__file__).parents[1])}
        command = [sys.executable, "-m", "minifaseg.bench", *arguments, *SMALL, "--out", tmp_path]
        return subprocess.run(command, capture_output=True, text=True, env=env)
    done = run("naive", "variants")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert done.stdout == (tmp_path / "report.md").read_text() + "\n" and (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"
    result = report["naive"]["result"]
    a, b = (result[side]["seconds"]["total"]["median"] for side in ("faseg", "naive"))
    assert f"| total | {b / a:.2f} | {a:.2f} | {b:.2f} |" in done.stdout and result["naive"]["equal_pixels"] >= 0.995
    assert report["variants"]["result"]["as released"]["equal_pixels"] == 1 and "| no inversion |" in done.stdout
    before = (tmp_path / "naive.json").stat().st_mtime_ns
    done = run("naive")
    assert done.returncode == 0 and (tmp_path / "naive.json").stat().st_mtime_ns == before
    assert "1 of 1 experiments were measured before" in done.stderr
    done = run("speed")
    assert done.returncode == 1 and "no experiment called speed" in done.stderr and len(done.stderr.splitlines()) == 1


def test_what_was_measured_elsewhere_or_of_something_else_is_measured_anew(tmp_path):
    about = {"setting": asdict(CARTOON), "machine": "m", "origin": "weights and code"}
    kept, file = about | {"result": {"total": 1.5}}, tmp_path / "x.json"
    assert measured_before(file, about) is None
    others = (kept | {"machine": "another"}, kept | {"origin": "newer code"},
              kept | {"setting": about["setting"] | {"side": 32}}, {"result": {}}, [])
    for content, same in ((kept, True), *((other, False) for other in others)):
        file.write_text(json.dumps(content))
        assert measured_before(file, about) == (kept if same else None)
    file.write_text('{"setting": ')
    assert measured_before(file, about) is None


def test_a_side_that_fails_says_why():
    """The last line of its process."""
    assert "nowhere.safetensors" in process(replace(CARTOON, weights="nowhere.safetensors"))["failed"]
