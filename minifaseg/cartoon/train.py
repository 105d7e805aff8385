"""Trains the cartoon model: UNet and text encoder together, by plain noise prediction on captions.

    python -m minifaseg.cartoon.train --run runs/cartoon                  # start, or go on
    python -m minifaseg.cartoon.train --run runs/more --start cartoon     # from what is shipped

No mask is ever shown to the networks: that their attention segments is a discovery, not a lesson.
Masks serve to watch it happen: at every probe, and in the end, to choose FA-Seg's numbers for this
model on scenes 5000 to 5059 and to score it on scenes 1000 to 1199, which no network has seen.

Whatever a run knows is in run/cartoon.safetensors, written at every probe: a run that was stopped
goes on from there, with its learning rate warmed up anew.
"""
import argparse
import copy
import json
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from ..checkpoints.checkpoint import Checkpoint, write_single
from ..checkpoints.hub import find
from ..checkpoints.tokenizer import make_tokenizer
from ..ddim import ABAR, STEPS, add_noise
from ..errors import InputError
from ..text import Text, TextConfig
from ..unet import UNet, UNetConfig
from ..vae import VAE
from .muon import Muon
from .stream import FIRST_SEED, Captions, Scenes, Speller
from .train_vae import SIZE, VAE_SIZES, say, train_vae
from .words import WORDS, tokenizer_files

UNET_SIZES = UNetConfig(widths=(48, 96, 160, 192), blocks=1, context=128, heads=2, groups=16)
VOCABULARY = json.loads(tokenizer_files()[0])            # token -> id
TEXT_SIZES = TextConfig(width=128, layers=2, mlp=512, tokens=48, vocabulary=len(VOCABULARY),
                        heads=4)
PLAIN = ("embedding", "input_blocks.0.", "unet.out.")    # matrices that AdamW takes, not Muon
COARSE = 0.25                                            # weight of the error's coarse scales
SCORED = "faseg:tau=0;flip=False,faseg:flip=False,faseg:tau=0,faseg"       # part by part


def read_weights(weights):
    """(UNet and text encoder, VAE and latent scaling) of a trained file, for `train_unet`."""
    file = Checkpoint(find(weights))
    unet, text = file.unet(torch.float32), file.text(torch.float32)
    vae = file.vae(decoder=True, dtype=torch.float32)
    if (unet.config, text.config) != (UNET_SIZES, TEXT_SIZES) or text.words != frozenset(WORDS):
        raise InputError(f"{file.path}: not of the sizes and words that are trained here")
    nets = torch.nn.ModuleDict({"unet": unet, "text": text.model})
    return nets.state_dict(), {"vae": vae.state_dict(), "scaling": vae.config.scaling}


def speller():
    return Speller(VOCABULARY, TEXT_SIZES.tokens)


def open_scenes(vae_state, device, painters, **how):
    """The stream of training scenes, encoded by this VAE."""
    vae = VAE(replace(VAE_SIZES, scaling=vae_state["scaling"]))
    vae.load_state_dict(vae_state["vae"])
    vae.to(device, memory_format=torch.channels_last)
    return Scenes(vae, device, SIZE, speller(), painters, **how)


def states_one_by_one(text, table, captions: Captions):
    """(B, T, c) text states in which every phrase was encoded by itself, and start and padding are
    the empty prompt's. table (U, L + 2): ids of all phrases.

    Left to itself, a text encoder that is trained with its UNet writes the whole caption into the
    padding after it, and the UNet reads only there: words matter for what is painted, and none of
    them for where. Here each word can speak for itself alone.
    """
    none = captions.phrase < 0                                      # start and padding
    which = captions.phrase.clamp_min(0)                            # (B, T)
    if which.numel() < len(table):                                  # a small batch: what it needs
        used, which = which.unique(return_inverse=True)
        table = table[used]
    alone = text.states(table)                                      # (u, L + 2, c)
    empty = text([""])[0]                                           # (T, c)
    said = alone[which, captions.place.clamp_max(table.shape[1] - 1)]       # (B, T, c)
    return torch.where(none[..., None], empty, said)


@torch.no_grad()
def worth_of_words(unet, text, scenes, t=700, batch=64):
    """By how much the error grows, as a share, when every picture gets its neighbour's caption: 0
    until words begin to matter."""
    generator = torch.Generator(scenes.device).manual_seed(0)
    z0, captions = scenes.draw(batch, generator)
    eps = torch.randn(z0.shape, generator=generator, device=z0.device)
    z, states = add_noise(z0, t, eps), text.states(captions.ids)
    right = (unet(z, t, states) - eps).square().mean()
    wrong = (unet(z, t, states.roll(1, 0)) - eps).square().mean()
    return (wrong / right - 1).item()


def by_scale(error, coarse=COARSE):
    """(B,) mean squared error, and `coarse` times that of its means over 2 x 2 and 4 x 4 cells,
    scaled so that white noise is as loud at every scale. Words decide the colour of whole regions:
    an error of coarse scale (multiscale loss of Hoogeboom et al. 2023, arXiv 2301.11093)."""
    total = error.square().mean((1, 2, 3))
    for cells in (2, 4):
        pooled = F.avg_pool2d(error, cells) * cells
        total = total + coarse * pooled.square().mean((1, 2, 3))
    return total


def rate(lr, share):
    """The learning rate after this share of a training: for two fifths as it is, then down to 0."""
    return lr * min(1.0, (1 - share) / 0.6)


class Predict(torch.nn.Module):
    """The UNet in bfloat16 where that is faster; what CUDA graphs are made of."""

    def __init__(self, unet, half):
        super().__init__()
        self.unet, self.half = unet, half

    def forward(self, z, t, states):
        device = z.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.half, cache_enabled=False):
            return self.unet(z, t, states).float()

    def graphed(self, batch, device, text_learns=False):
        """The same as CUDA graphs: a step is thousands of small kernels, slow to start singly."""
        side = SIZE // 4
        z = torch.randn(batch, VAE_SIZES.latent, side, side, device=device)
        z = z.contiguous(memory_format=torch.channels_last)
        t = torch.ones(batch, device=device, dtype=torch.long)
        states = torch.randn(batch, TEXT_SIZES.tokens, TEXT_SIZES.width, device=device)
        return torch.cuda.make_graphed_callables(self, (z, t, states.requires_grad_(text_learns)))


def noised(z0, abar):
    """(z_t, t, eps) of clean latents (B, 4, h, w): four in five at t = 200 to 999, where words are
    needed to see, the others below."""
    t = torch.randint(STEPS, (len(z0),), device=z0.device)
    t = torch.where(torch.rand(t.shape, device=z0.device) < 0.8, 200 + t * 800 // 1000, t // 5)
    a = abar[t][:, None, None, None]
    eps = torch.randn_like(z0)
    return a.sqrt() * z0 + (1 - a).sqrt() * eps, t, eps


def make_nets(start, device):
    """(UNet and text encoder, Text): new, or with the weights of `start`."""
    text = Text(TEXT_SIZES, make_tokenizer(*tokenizer_files()), WORDS)
    text.model = text.build()
    nets = torch.nn.ModuleDict({"unet": UNet(UNET_SIZES), "text": text.model})
    if start:
        nets.load_state_dict(start)
    return nets.to(device, memory_format=torch.channels_last), text


def train_unet(run, scenes, start, vae_state, device, steps, minutes=float("inf"), batch=16,
               lr=1e-3, half=False, probe_every=500, probe=None):
    """eps-prediction with loss weight min(1 / abar_t, 20); and the plain text encoder, which every
    prompt goes through later, is drawn to the states of phrases encoded one by one, which the UNet
    is trained on.

    start: the networks to go on from, or None. Ends after `steps` or `minutes`, whichever comes
    first. Writes run/cartoon.safetensors, the moving average of the weights, every `probe_every`
    steps; what `probe` says of that file goes into the log.
    """
    torch.manual_seed(scenes.painted)
    nets, text = make_nets(start, device)
    mean_nets = copy.deepcopy(nets).requires_grad_(False)
    optimizer = Muon(list(nets.named_parameters()), PLAIN)
    predict = Predict(nets["unet"], half)
    if device.startswith("cuda"):
        predict = predict.graphed(batch, device, text_learns=True)
    abar, table = ABAR.to(device), speller().table().to(device)
    weight = (1 / abar).clamp(max=20)
    averages, parameters = list(mean_nets.parameters()), list(nets.parameters())
    begin, step, share, bad_steps, mean_loss = time.time(), 0, 0.0, 0, None
    while share < 1:
        scenes.refill(batch)
        z0, captions = scenes.draw(batch)
        z, t, eps = noised(z0.contiguous(memory_format=torch.channels_last), abar)
        states = states_one_by_one(text, table, captions)
        error = predict(z, t, states) - eps                         # (B, 4, h, w)
        apart = (text.states(captions.ids) - states.detach()).square().mean()
        loss = (weight[t] * by_scale(error)).mean() + 0.1 * apart
        optimizer.zero_grad()
        loss.backward()

        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        bad_steps = bad_steps + ~norm.isfinite()
        for p in parameters:                                        # one of them must not end a run
            p.grad.nan_to_num_(0.0, 0.0, 0.0)
        optimizer.step(rate(lr, share) * min(1, (step + 1) / 50))
        step += 1
        share = max(step / steps, (time.time() - begin) / 60 / minutes)
        decay = min(0.998, step / (step + 40))
        torch._foreach_lerp_(averages, parameters, 1 - decay)

        now = error.detach().square().mean().nan_to_num()
        mean_loss = now if mean_loss is None else mean_loss + 0.01 * (now - mean_loss)
        if step % 100 == 0 or share >= 1:
            speed = step * batch / (time.time() - begin)
            bad = f"  {int(bad_steps)} steps without a finite gradient" if bad_steps else ""
            say(run, f"unet {step} ({share:.0%})  loss {mean_loss.item():.4f}  "
                     f"text {apart.item():.4f}  {speed:.1f} pictures/s{bad}")
        if step % probe_every == 0 or share >= 1:
            path = run / "cartoon.safetensors"
            facts = {"steps": step, "batch": batch, "lr": lr, "scenes": scenes.painted}
            export(path, vae_state, mean_nets, facts)
            worth = worth_of_words(nets["unet"], text, scenes)
            found = probe(path) if probe else f"{path} written"
            say(run, f"{found}  wrong caption at t = 700: {worth:+.1%}")


def halved(state):
    """The floating-point tensors of a state dict, as float16 on the CPU."""
    numbers = {key: tensor for key, tensor in state.items() if tensor.is_floating_point()}
    return {key: tensor.half().cpu().contiguous() for key, tensor in numbers.items()}


def export(path, vae_state, nets, facts):
    """One float16 single file, under SD 1.5's names, with everything in its metadata that a loader
    cannot read off shapes."""
    vocab_json, merges_txt = tokenizer_files()
    notes = {"unet": {"heads": UNET_SIZES.heads, "groups": UNET_SIZES.groups},
             "text": {"heads": TEXT_SIZES.heads},
             "vae": {"groups": VAE_SIZES.groups, "scaling": vae_state["scaling"]},
             "side": SIZE, "words": WORDS, "training": facts,
             "tokenizer": {"vocab_json": vocab_json, "merges_txt": merges_txt}}
    states = {part: halved(nets[part].state_dict()) for part in ("unet", "text")}
    write_single(path, states | {"vae": halved(vae_state["vae"])}, notes)


def probe_apart(path):
    """What minifaseg.evaluate.probe says of a file, in a process of its own."""
    command = [sys.executable, "-m", "minifaseg.evaluate.probe", str(path)]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def half_is_faster(device):
    """Is a step of the UNet faster in bfloat16 here? Tried, since some CPUs only emulate it."""
    if device.startswith("cuda"):
        return True
    unet, seconds = UNet(UNET_SIZES).to(memory_format=torch.channels_last), {}
    z = torch.randn(4, VAE_SIZES.latent, SIZE // 4, SIZE // 4)
    states = torch.randn(4, TEXT_SIZES.tokens, TEXT_SIZES.width)
    for half in (False, True):
        for _ in range(3):                                          # the last one counts
            begin = time.time()
            Predict(unet, half)(z, torch.ones(4), states).square().mean().backward()
            seconds[half] = time.time() - begin
    return seconds[True] < seconds[False]


def parser():
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


def main():
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
