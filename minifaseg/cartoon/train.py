"""Trains the cartoon model: first the VAE, then UNet and text encoder together, by plain noise prediction on captions.

    python -m minifaseg.cartoon.train --run runs/cartoon                            # start, or go on at the last checkpoint
    python -m minifaseg.cartoon.train --run runs/more --start cartoon --small-steps 0  # go on from the shipped weights

No mask is ever shown to the networks: that their attention segments is a discovery, not a lesson. Masks serve only at the end, to
choose FA-Seg's numbers for this model on scenes 5000 to 5059 and to score it on scenes 1000 to 1199, which no network has seen.
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

import numpy as np
import torch

import torch.nn.functional as F

import minifaseg

from ..checkpoint import Checkpoint, write_single
from ..ddim import ABAR, STEPS, add_noise
from ..errors import InputError
from ..hub import find
from ..text import Text, TextConfig, make_tokenizer
from ..unet import UNet, UNetConfig
from ..vae import VAE, VAEConfig
from .muon import Muon
from .painter import paint
from .probe import probe, report
from .stream import FIRST_SEED, Captions, Scenes, Speller
from .words import WORDS, tokenizer_files

SIZE = 128                                               # pixels of a training scene
UNET_SIZES = UNetConfig(widths=(48, 96, 160, 192), blocks=1, context=128, heads=2, groups=16)
TEXT_SIZES = TextConfig(width=128, layers=2, mlp=512, tokens=48, vocabulary=len(json.loads(tokenizer_files()[0])), heads=4)
SCORED = "faseg:tau=0;flip=False,faseg:flip=False,faseg:tau=0,faseg"       # in the end: from cross-attention alone to FA-Seg
VAE_SIZES = VAEConfig(widths=(24, 48, 64), blocks=1, groups=8, scaling=1.0)


# Deviation of the latents. SD's is 1, for photographs on 64 x 64 cells. Flat colours on 32 x 32 cells of that size show through the
# noise up to t = 980, and a network that can see what there is has no use for the words; at a quarter, words decide from t = 600 on.
SPREAD = 0.25


def say(run, text):
    line = f"{time.strftime('%H:%M:%S')} {text}"
    print(line, flush=True)
    with open(run / "log.txt", "a") as f:
        f.write(line + "\n")


def save(state, path):
    """Write beside, then rename: a killed run never leaves half a checkpoint."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def pixels(image):
    """PIL picture -> (3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1


def train_vae(run, steps, device, scenes=1500, seed=0, crop=48, batch=16, lr=2e-3, kl=1e-3):
    """L1 reconstruction of crops plus a light pull of the posterior towards N(0, 1). Ends by measuring the latents' scale."""
    vae = VAE(VAE_SIZES).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.0)
    done, path = 0, run / "vae.pt"
    if path.exists():
        state = torch.load(path, map_location=device)
        vae.load_state_dict(state["vae"])
        if state["steps"] >= steps:
            return state
        optimizer.load_state_dict(state["optimizer"])
        done = state["steps"]
    pictures = torch.stack([pixels(paint(10_000_000 + i, SIZE).image) for i in range(scenes)])
    rng, begin, mean_loss = np.random.default_rng([seed, done]), time.time(), 0.0
    for step in range(done, steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 50) * min(1, 2 * (1 - step / steps) + 0.01)
        cut = []
        for i in rng.integers(len(pictures), size=batch):
            y, x = rng.integers(SIZE - crop + 1, size=2)
            cut.append(pictures[i, :, y:y + crop, x:x + crop])
        x = torch.stack(cut).to(device, memory_format=torch.channels_last)
        mean, logvar = vae.moments(x)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        loss_x = (vae.decode(z) - x).abs().mean()
        loss = loss_x + kl * 0.5 * (mean ** 2 + logvar.exp() - 1 - logvar).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        mean_loss += (loss_x.item() - mean_loss) * (0.02 if step > done else 1)
        if (step + 1) % 100 == 0 or step + 1 == steps:
            say(run, f"vae {step + 1}/{steps}  L1 {mean_loss:.4f}  {(step + 1 - done) * batch / (time.time() - begin):.0f} crops/s")
            state = {"vae": vae.state_dict(), "optimizer": optimizer.state_dict(), "steps": step + 1}
            save(state, path)
    with torch.no_grad():
        z = torch.cat([vae.moments(x.to(device))[0] for x in pictures[:256].split(32)])
    state["scaling"] = SPREAD / z.std().item()
    say(run, f"vae: latent scaling {state['scaling']:.4f}, channel means {[round(m, 2) for m in z.mean((0, 2, 3)).tolist()]}")
    save(state, path)
    return state


def read_weights(weights):
    """(UNet and text encoder, VAE and latent scaling) of a trained file, as `train_unet` takes them."""
    file = Checkpoint(find(weights))
    unet, text, vae = file.unet(torch.float32), file.text(torch.float32), file.vae(True, torch.float32)
    if (unet.config, text.config) != (UNET_SIZES, TEXT_SIZES) or text.words != frozenset(WORDS):
        raise InputError(f"{file.path}: not of the sizes and words that are trained here")
    nets = torch.nn.ModuleDict({"unet": unet, "text": text.model})
    return nets.state_dict(), {"vae": vae.state_dict(), "scaling": vae.config.scaling}


def speller():
    return Speller(json.loads(tokenizer_files()[0]), TEXT_SIZES.tokens)


def open_scenes(vae_state, device, painters, **how):
    """The stream of training scenes, encoded by this VAE."""
    sizes = replace(VAE_SIZES, scaling=vae_state["scaling"])
    vae = VAE(sizes).to(device, memory_format=torch.channels_last)
    vae.load_state_dict(vae_state["vae"])
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


def by_scale(error, coarse):
    """(B,) mean squared error; with `coarse`, that of means over 2 x 2 and 4 x 4 cells is added, as
    loud as white noise would make it. Words decide the colour of whole regions: an error of coarse
    scale (multiscale loss of Hoogeboom et al. 2023, arXiv 2301.11093)."""
    total = error.square().mean((1, 2, 3))
    for cells in (2, 4):
        pooled = F.avg_pool2d(error, cells) * cells
        total = total + coarse * pooled.square().mean((1, 2, 3))
    return total


def rate(lr, share):
    """The learning rate after this share of the training: it stays for two fifths, then falls to 0."""
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
        """The same as CUDA graphs: a step is thousands of small kernels, slow to start one by one."""
        side = SIZE // 4
        z = torch.randn(batch, VAE_SIZES.latent, side, side, device=device)
        z = z.contiguous(memory_format=torch.channels_last)
        t = torch.ones(batch, device=device, dtype=torch.long)
        states = torch.randn(batch, TEXT_SIZES.tokens, TEXT_SIZES.width, device=device)
        return torch.cuda.make_graphed_callables(self, (z, t, states.requires_grad_(text_learns)))


def train_unet(run, scenes, start, vae_state, device, steps, minutes=float("inf"), batch=16, lr=1e-3,
               half=False, coarse=0.25, probe_every=500, probed=range(5000, 5024)):
    """eps-prediction with loss weight min(1 / abar_t, 20), mostly at noisy timesteps, where words are
    needed to see; and the plain text encoder, which every prompt goes through later, is drawn to the
    states of phrases encoded one by one, which the UNet is trained on.

    start: the networks to go on from, or None. Ends after `steps` or `minutes`, whichever comes
    first. Writes run/cartoon.safetensors, the moving average of the weights, at every probe.
    """
    torch.manual_seed(scenes.painted)
    text = Text(TEXT_SIZES, make_tokenizer(*tokenizer_files()), WORDS)
    text.model = text.build()
    unet = UNet(UNET_SIZES)
    nets = torch.nn.ModuleDict({"unet": unet, "text": text.model})
    if start:
        nets.load_state_dict(start)
    nets.to(device, memory_format=torch.channels_last)
    ema = copy.deepcopy(nets).requires_grad_(False)
    named = list(nets.named_parameters())
    optimizer = Muon(named, plain=("embedding", "input_blocks.0.", "unet.out."))
    weight, abar = (1 / ABAR).clamp(max=20).to(device), ABAR.to(device)
    table = speller().table().to(device)
    scenes.refill(batch)

    predict = Predict(unet, half)
    if device.startswith("cuda"):
        predict = predict.graphed(batch, device, text_learns=True)

    begin, step, share, mean_loss = time.time(), 0, 0.0, None
    skipped = torch.zeros((), device=device)
    while share < 1:
        scenes.refill(batch)
        z0, captions = scenes.draw(batch)
        z0 = z0.contiguous(memory_format=torch.channels_last)
        t = torch.randint(STEPS, (batch,), device=device)
        noisy = torch.rand(batch, device=device) < 0.8
        t = torch.where(noisy, 200 + t * 800 // 1000, t // 5)       # 200 to 999, or 0 to 199
        a, eps = abar[t][:, None, None, None], torch.randn_like(z0)
        z = (a.sqrt() * z0 + (1 - a).sqrt() * eps).contiguous(memory_format=torch.channels_last)
        states = states_one_by_one(text, table, captions)
        error = predict(z, t, states) - eps
        apart = (text.states(captions.ids) - states.detach()).square().mean()
        loss = (weight[t] * by_scale(error, coarse)).mean() + 0.1 * apart
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(nets.parameters(), 1.0)
        for p in nets.parameters():                                 # one bad step must not end a run
            p.grad.nan_to_num_(0.0, 0.0, 0.0)
        skipped += ~norm.isfinite()
        optimizer.step(rate(lr, share) * min(1, (step + 1) / 50))
        decay = min(0.998, step / (step + 40))
        torch._foreach_lerp_(list(ema.parameters()), list(nets.parameters()), 1 - decay)

        step += 1
        share = max(step / steps, (time.time() - begin) / 60 / minutes)
        plain = error.detach().square().mean()
        mean_loss = plain if mean_loss is None else mean_loss + 0.01 * (plain.nan_to_num() - mean_loss)
        if step % 100 == 0 or step == 20 or share >= 1:
            speed = step * batch / (time.time() - begin)
            if skipped > 0:
                say(run, f"{int(skipped)} steps so far gave no finite gradient and changed nothing")
            say(run, f"unet {step} ({share:.0%})  loss {mean_loss.item():.4f}  text {apart.item():.4f}  "
                     f"{speed:.1f} pictures/s of {scenes.painted} scenes")
        if step % probe_every == 0 or share >= 1:
            path = run / "cartoon.safetensors"
            export(path, vae_state, ema, {"steps": step, "batch": batch, "scenes": scenes.painted})
            worth = worth_of_words(unet, text, scenes)
            found = report(*probe(minifaseg.load(path, device, "float32"), probed))
            say(run, f"{found}  wrong caption at t = 700: {worth:+.1%}")
    return ema


def export(path, vae_state, nets, facts):
    """One float16 single file, under SD 1.5's names, with everything in its metadata that a loader cannot read off shapes."""
    vocab_json, merges_txt = tokenizer_files()
    notes = {"unet": {"heads": UNET_SIZES.heads, "groups": UNET_SIZES.groups}, "text": {"heads": TEXT_SIZES.heads},
             "vae": {"groups": VAE_SIZES.groups, "scaling": vae_state["scaling"]}, "side": SIZE, "words": WORDS,
             "tokenizer": {"vocab_json": vocab_json, "merges_txt": merges_txt}, "training": facts}
    half = lambda state: {k: v.half().cpu().contiguous() for k, v in state.items() if v.is_floating_point()}
    write_single(path, {"unet": half(nets["unet"].state_dict()), "vae": half(vae_state["vae"]), "text": half(nets["text"].state_dict())}, notes)


def half_is_faster(device):
    """Is a step of the UNet faster in bfloat16 here? Tried, since some CPUs only emulate it."""
    if device.startswith("cuda"):
        return True
    unet, seconds = UNet(UNET_SIZES).to(memory_format=torch.channels_last), {}
    z, states = torch.randn(4, 4, SIZE // 4, SIZE // 4), torch.randn(4, TEXT_SIZES.tokens, TEXT_SIZES.width)
    for half in (False, True):
        for _ in range(3):                                          # the last one counts
            begin = time.time()
            Predict(unet, half)(z, torch.ones(4), states).square().mean().backward()
            seconds[half] = time.time() - begin
    return seconds[True] < seconds[False]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--run", type=Path, default=Path("runs/cartoon"), help="folder of the log and of cartoon.safetensors")
    p.add_argument("--start", metavar="WEIGHTS", help="go on from this file, such as cartoon (default: the run's own, if it has one)")
    p.add_argument("--vae-steps", type=int, default=2500)
    p.add_argument("--steps", type=int, default=20_000, help="at most so many; the learning rate has fallen to 0 then")
    p.add_argument("--minutes", type=float, default=600, help="at most so long, likewise")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--coarse", type=float, default=0.25, help="weight of the error's coarse scales")
    p.add_argument("--plain", type=float, default=0.5, help="share of scenes like those that are scored")
    p.add_argument("--painters", type=int, default=1, help="processes that paint scenes")
    p.add_argument("--capacity", type=int, default=60_000, help="scenes that are kept")
    p.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first scene")
    p.add_argument("--probe-every", type=int, default=500, metavar="STEPS")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--no-score", action="store_true", help="neither tune nor score in the end")
    a = p.parse_args()
    a.run.mkdir(parents=True, exist_ok=True)
    path = a.run / "cartoon.safetensors"
    start = a.start or (path if path.exists() else None)
    nets, vae_state = read_weights(start) if start else (None, train_vae(a.run, a.vae_steps, a.device))
    half = half_is_faster(a.device)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.enable_cudnn_sdp(False)
    say(a.run, f"starts from {start or 'nothing'}, {'bfloat16' if half else 'float32'}")
    scenes = open_scenes(vae_state, a.device, a.painters, capacity=a.capacity, first=a.first, plain=a.plain)
    train_unet(a.run, scenes, nets, vae_state, a.device, a.steps, a.minutes, a.batch, a.lr, half, a.coarse, a.probe_every)
    say(a.run, f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    if a.no_score:
        return
    for command in (["minifaseg.evaluate.tune", "--weights", path, "--method", "faseg", "--save", path.with_suffix(".json")],
                    ["minifaseg.evaluate", "cartoon", "--weights", path, "--method", SCORED, "--thresholds", "5000:5060",
                     "--shuffle-classes", "0", "--out", a.run / "held-out"]):
        command = ["-m", *map(str, command)]
        say(a.run, f"python {shlex.join(command)}")
        subprocess.run([sys.executable, *command], check=True)


if __name__ == "__main__":
    main()
