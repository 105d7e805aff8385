"""Trains the cartoon model: UNet and text encoder together, by plain noise prediction on captions.

    python -m minifaseg.cartoon.train --run runs/cartoon                  # start, or go on
    python -m minifaseg.cartoon.train --run runs/more --start cartoon     # from what is shipped

The networks are never trained on masks: nothing teaches their attention to segment. Masks serve to
watch it happen at every probe, and in the end to choose FA-Seg's hyperparameters for this model on
scenes 5000 to 5059 and to score it on scenes 1000 to 1199, on which no network was trained.

All that a run has learnt is in run/cartoon.safetensors, written at every probe. A run that was
stopped goes on from that file, with its learning rate warmed up anew.
"""
import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.hub import find
from ..errors import InputError
from ..unet import UNet
from .stream import FIRST_SEED
from .train_unet import TEXT_SIZES, UNET_SIZES, Predict, open_scenes, train_unet
from .train_vae import SIZE, VAE_SIZES, on_device, say, train_vae
from .words import WORDS

# FA-Seg part by part: without HARD and TTF, with one of them, with both.
SCORED = "faseg:tau=0;flip=False,faseg:flip=False,faseg:tau=0,faseg"


def read_weights(weights) -> tuple[dict, dict]:
    """(UNet and text encoder, VAE and latent scaling) of a trained file, for `train_unet`.

    Raises InputError for a file of other sizes or words.
    """
    file = Checkpoint(find(weights))
    unet, text = file.unet(torch.float32), file.text(torch.float32)
    vae = file.vae(decoder=True, dtype=torch.float32)
    if (unet.config, text.config) != (UNET_SIZES, TEXT_SIZES) or text.words != frozenset(WORDS):
        raise InputError(f"{file.path}: not of the sizes and words that are trained here")
    nets = nn.ModuleDict({"unet": unet, "text": text.get_submodule("model")})
    return nets.state_dict(), {"vae": vae.state_dict(), "scaling": vae.config.scaling}


def probe_apart(path: Path) -> str:
    """What minifaseg.evaluate.probe says of a file, in a process of its own."""
    command = [sys.executable, "-m", "minifaseg.evaluate.probe", str(path)]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def half_is_faster(device: str) -> bool:
    """Is a step of the UNet faster in bfloat16 here? Measured, since some CPUs only emulate it."""
    if device.startswith("cuda"):
        return True
    unet = on_device(UNet(UNET_SIZES), device)
    z = torch.randn(4, VAE_SIZES.latent, SIZE // 4, SIZE // 4)
    states = torch.randn(4, TEXT_SIZES.tokens, TEXT_SIZES.width)
    seconds = {}
    for half in (False, True):
        for _ in range(3):                                          # the last one counts
            begin = time.time()
            Predict(unet, half)(z, torch.ones(4), states).square().mean().backward()
            seconds[half] = time.time() - begin
    return seconds[True] < seconds[False]


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--run", type=Path, default=Path("runs/cartoon"),
                   help="folder of the log and of cartoon.safetensors")
    p.add_argument("--start", metavar="WEIGHTS",
                   help="go on from this file, such as cartoon (default: the run's own, if any)")
    p.add_argument("--vae-steps", type=int, default=2500)
    p.add_argument("--steps", type=int, default=20_000,
                   help="at most so many; the learning rate falls to 0 until then")
    p.add_argument("--minutes", type=float, default=600, help="at most so long, likewise")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--painters", type=int, default=1, help="processes that paint scenes")
    p.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first scene")
    p.add_argument("--probe-every", type=int, default=500, metavar="STEPS")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return p


def main() -> None:
    a = parser().parse_args()
    a.run.mkdir(parents=True, exist_ok=True)
    path = a.run / "cartoon.safetensors"
    start = a.start or (path if path.exists() else None)
    if start:
        nets, vae_state = read_weights(start)
    else:
        nets, vae_state = None, train_vae(a.run, a.vae_steps, a.device)

    half = half_is_faster(a.device)
    torch.backends.cudnn.benchmark = True
    say(a.run, f"starts from {start or 'nothing'}, {'bfloat16' if half else 'float32'}")
    scenes = open_scenes(vae_state, a.device, a.painters, first=a.first)
    train_unet(a.run, scenes, nets, vae_state, a.device, a.steps, a.minutes, a.batch, a.lr, half,
               a.probe_every, probe_apart)
    scenes.close()
    say(a.run, f"{path}: {path.stat().st_size / 1e6:.1f} MB")

    tune = ["minifaseg.evaluate.tune", "--weights", path, "--method", "faseg",
            "--save", path.with_suffix(".json")]
    score = ["minifaseg.evaluate", "cartoon", "--weights", path, "--method", SCORED,
             "--thresholds", "5000:5060", "--shuffle-classes", "0", "--out", a.run / "held-out"]
    for command in (tune, score):
        command = ["-m", *map(str, command)]
        say(a.run, f"python {shlex.join(command)}")
        subprocess.run([sys.executable, *command], check=True)


if __name__ == "__main__":
    main()
