"""SD 1.5's real sizes, random weights, 512 x 512 pixels; minutes, 10 GB of disk.

    python -m pytest --run-real-size -s
"""
import json
import subprocess
import sys

import pytest
from conftest import make_diffusers, relative_error, save_folder

pytestmark = pytest.mark.real_size

OURS = """
import json, resource, sys, time
import numpy as np, torch, minifaseg
from PIL import Image
torch.set_grad_enabled(False)
image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8))
start = time.perf_counter()
model = minifaseg.load(sys.argv[1], device="cpu")
seconds = {"load": time.perf_counter() - start}
out = {"runs": []}
how = minifaseg.make_method("faseg")
for _ in range(2):                                      # the first run also reads the weights from disk
    start = time.perf_counter()
    captured = how.capture(model, image, ["cat", "dog", "grass"], "a cat and a dog")
    middle = time.perf_counter()
    scores = how.scores(captured)
    labels = minifaseg.label(scores, image.size, how.threshold)
    end = time.perf_counter()
    out["runs"].append({"capture": middle - start, "refine": end - middle, "total": end - start})
out["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
del captured
x, z, text = torch.randn(2, 3, 512, 512), torch.randn(2, 4, 64, 64), model.text(["a cat"]).expand(2, -1, -1)
start = time.perf_counter()
model.vae.encode(x), model.unet(z, 1, text), model.unet(z, 1, text)
out["plain"] = time.perf_counter() - start
out["seconds"] = seconds
torch.save({"scores": scores, "eps": model.unet(z[:1] * 0 + 0.5, 300, text[:1]), "mean": model.vae.moments(x[:1] * 0 + 0.25)[0],
            "states": text[:1].clone(), "picture": model.decode(torch.linspace(-2, 2, 1024).reshape(1, 4, 16, 16))}, sys.argv[2])
out["parameters"] = [sum(p.numel() for p in net.parameters()) for net in (model.unet, model.vae, model.text)]
print(json.dumps(out))
"""


def test_real_size(clip_vocabulary, tmp_path):
    import torch
    torch.set_grad_enabled(False)
    theirs = make_diffusers(widths=(320, 640, 1280, 1280), context=768, heads=8, groups=32, vae_widths=(128, 256, 512, 512), text_layers=12,
                            text_heads=12, text_mlp=3072, vae_groups=32)
    folder = save_folder(tmp_path / "sd", theirs, clip_vocabulary)
    run = subprocess.run([sys.executable, "-c", OURS, str(folder), str(tmp_path / "ours.pt")], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    report, ours = json.loads(run.stdout), torch.load(tmp_path / "ours.pt")
    unet, vae, clip = theirs
    ids = torch.tensor([[49406, 320, 2368, *[49407] * 74]])                 # a cat
    report["errors"] = {
        "text": relative_error(ours["states"], clip(ids).last_hidden_state),
        "unet": relative_error(ours["eps"], unet(torch.full((1, 4, 64, 64), 0.5), 300, ours["states"]).sample),
        "decoder": relative_error(ours["picture"], vae.decode(torch.linspace(-2, 2, 1024).reshape(1, 4, 16, 16) / 0.18215).sample),
        "vae": relative_error(ours["mean"], vae.encode(torch.full((1, 3, 512, 512), 0.25)).latent_dist.mean)}
    report["total_over_plain"] = report["runs"][1]["total"] / report["plain"]
    print("\n" + json.dumps(report, indent=1))
    torch.set_grad_enabled(True)
    assert report["parameters"] == [859_520_964, 83_653_863, 123_060_480]
    assert max(report["errors"].values()) <= 1e-4
    assert report["peak_gib"] < 8 and ours["scores"].isfinite().all()
