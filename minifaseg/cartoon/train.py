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
from pathlib import Path

import numpy as np
import torch

from ..checkpoint import Checkpoint, write_single
from ..ddim import ABAR, STEPS, add_noise
from ..errors import InputError
from ..hub import find
from ..text import Text, TextConfig, make_tokenizer
from ..unet import UNet, UNetConfig
from ..vae import VAE, VAEConfig
from .painter import paint
from .words import CLASSES, WORDS, describe, tokenizer_files, units

SIZE, SMALL = 128, 64                                    # pixels of a training scene; of the first, cheaper ones
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


def start_from(run, weights):
    """Puts the networks of a trained file into a run that has none yet, as if they had been trained there for zero steps."""
    if (run / "vae.pt").exists():
        return
    file = Checkpoint(find(weights))
    unet, text, vae = file.unet(torch.float32), file.text(torch.float32), file.vae(True, torch.float32)
    if (unet.config, text.config) != (UNET_SIZES, TEXT_SIZES) or text.words != frozenset(WORDS):
        raise InputError(f"{file.path}: not of the sizes and words that are trained here")
    nets = {f"{part}.{k}": v for part, net in (("unet", unet), ("text", text.model)) for k, v in net.state_dict().items()}
    save({"nets": nets, "ema": nets, "optimizer": None, "steps": 0}, run / "unet.pt")
    save({"vae": vae.state_dict(), "scaling": vae.config.scaling, "steps": 1 << 40}, run / "vae.pt")


def make_latents(run, vae_state, scenes, size, device):
    """Paints `scenes` training scenes (seeds from 20,000,000) and encodes each once: latents, and what a caption needs."""
    path = run / f"latents{size}.pt"
    if path.exists():
        return torch.load(path, weights_only=False)
    vae = VAE(VAE_SIZES, decoder=False).to(device, memory_format=torch.channels_last)
    vae.load_state_dict({k: v for k, v in vae_state["vae"].items() if not k.startswith(("decoder", "post_quant"))})
    latents, seen, words = [], [], []
    for begin in range(0, scenes, 50):
        batch = [paint(20_000_000 + i, size) for i in range(begin, min(begin + 50, scenes))]
        x = torch.stack([pixels(s.image) for s in batch]).to(device, memory_format=torch.channels_last)
        with torch.no_grad():
            latents.append((vae.moments(x)[0] * vae_state["scaling"]).cpu())
        for s in batch:
            area = np.bincount(s.labels.ravel(), minlength=len(CLASSES) + 1)[1:]
            seen.append([c for c, n in zip(CLASSES, area) if n > 0.015 * size * size])
            words.append(s.words)
    data = {"latents": torch.cat(latents), "seen": seen, "words": words}
    save(data, path)
    say(run, f"latents: {scenes} scenes of {size} pixels, deviation {data['latents'].std():.3f}")
    return data


def draw_batch(data, rng, batch):
    """Clean latents and captions, worded anew each time."""
    chosen = rng.integers(len(data["latents"]), size=batch)
    return data["latents"][chosen], [describe(data["seen"][i], data["words"][i], rng) for i in chosen]


def states_one_by_one(text, captions):
    """(B, T, c) text states in which every phrase was encoded by itself, and start and padding are the empty prompt's.

    Left to itself, a text encoder that is trained with its UNet writes the whole caption into the padding after it, and the UNet reads
    only there: words matter for what is painted, and none of them for where. Here each word can speak for itself alone.
    """
    rows = [[tuple(text.pieces(u)) for u in units(caption)] for caption in captions]
    distinct = list(dict.fromkeys(p for row in rows for p in row))
    start, end = text.tokenizer.bos_token_id, text.tokenizer.eos_token_id
    length = 2 + max(map(len, distinct), default=0)                         # the encoder is causal: what would follow changes nothing
    alone = text.states(torch.tensor([[start, *p, *[end] * (length - 1 - len(p))] for p in distinct])) if distinct else None
    empty = text([""])[0]                                                   # (T, c)
    states = []
    for row in rows:
        said = torch.cat([empty[:1], *(alone[distinct.index(p), 1:1 + len(p)] for p in row)])[:len(empty)]
        states.append(torch.cat([said, empty[len(said):]]))
    return torch.stack(states)


@torch.no_grad()
def worth_of_words(unet, text, data, device, t=700, batch=64):
    """By how much the error grows, as a share, when every picture gets its neighbour's caption: 0 until words begin to matter."""
    z0, captions = draw_batch(data, np.random.default_rng(0), batch)
    z0, eps = z0.to(device), torch.randn(z0.shape, generator=torch.Generator().manual_seed(0)).to(device)
    z, t = add_noise(z0, t, eps), torch.full((batch,), t, device=device)
    right, wrong = ((unet(z, t, text(c)) - eps).square().mean().item() for c in (captions, captions[1:] + captions[:1]))
    return wrong / right - 1


def train_unet(run, small, full, small_steps, full_steps, device, seed=0, batch=16, lr=8e-4):
    """eps-prediction with loss weight min(1 / abar_t, 20), mostly at noisy timesteps, where words are needed to see; and the plain text
    encoder, which every prompt goes through later, is drawn to the states of phrases encoded one by one, which the UNet is trained on.

    First on scenes of half the side (cheap steps, and steps are what makes the words matter), then on scenes of full size.
    """
    torch.manual_seed(seed)
    unet = UNet(UNET_SIZES).to(device, memory_format=torch.channels_last)
    text = Text(TEXT_SIZES, make_tokenizer(*tokenizer_files()), WORDS)
    text.model = text.build().to(device)
    nets = torch.nn.ModuleDict({"unet": unet, "text": text.model})
    ema = copy.deepcopy(nets).requires_grad_(False)
    optimizer = torch.optim.AdamW(nets.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    steps, done, path = small_steps + full_steps, 0, run / "unet.pt"
    if path.exists():
        state = torch.load(path, map_location=device)
        nets.load_state_dict(state["nets"])
        ema.load_state_dict(state["ema"])
        if state["optimizer"]:
            optimizer.load_state_dict(state["optimizer"])
        done = state["steps"]
    weight = (1 / ABAR).clamp(max=20).to(device)
    abar = ABAR.to(device)
    rng, begin, mean_loss, mean_apart, pictures = np.random.default_rng([seed, done]), time.time(), 0.0, 0.0, 0
    for step in range(done, steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 200, 0.02 + 2 * (1 - step / steps))
        data = small if step < small_steps else full
        z0, captions = draw_batch(data, rng, batch if step < small_steps else batch // 2)
        z0, n = z0.to(device, memory_format=torch.channels_last), len(z0)
        t = torch.from_numpy(np.where(rng.random(n) < 0.8, rng.integers(200, STEPS, n), rng.integers(0, 200, n))).to(device)
        eps = torch.randn_like(z0)
        a = abar[t][:, None, None, None]
        states = states_one_by_one(text, captions)
        error = (unet(a.sqrt() * z0 + (1 - a).sqrt() * eps, t, states) - eps).square().mean((1, 2, 3))            # (B,)
        apart = (text(captions) - states.detach()).square().mean()
        loss = (weight[t] * error).mean() + 0.1 * apart
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(nets.parameters(), 1.0)
        optimizer.step()
        if step % 4 == 0:
            decay = min(0.996, step / (step + 40))
            torch._foreach_lerp_(list(ema.parameters()), list(nets.parameters()), 1 - decay)
        pictures += n
        mean_loss += (error.mean().item() - mean_loss) * (0.01 if step > done else 1)
        mean_apart += (apart.item() - mean_apart) * (0.01 if step > done else 1)
        if (step + 1) % 100 == 0 or step + 1 == steps:
            say(run, f"unet {step + 1}/{steps}  loss {mean_loss:.4f}  text {mean_apart:.4f}  {pictures / (time.time() - begin):.1f} pictures/s")
        if (step + 1) % 500 == 0 or step + 1 == steps:
            say(run, f"error with the wrong caption at t = 700: {worth_of_words(unet, text, data, device):+.1%}")
            save({"nets": nets.state_dict(), "ema": ema.state_dict(), "optimizer": optimizer.state_dict(), "steps": step + 1}, path)
    return ema


def export(path, vae_state, nets, facts):
    """One float16 single file, under SD 1.5's names, with everything in its metadata that a loader cannot read off shapes."""
    vocab_json, merges_txt = tokenizer_files()
    notes = {"unet": {"heads": UNET_SIZES.heads, "groups": UNET_SIZES.groups}, "text": {"heads": TEXT_SIZES.heads},
             "vae": {"groups": VAE_SIZES.groups, "scaling": vae_state["scaling"]}, "side": SIZE, "words": WORDS,
             "tokenizer": {"vocab_json": vocab_json, "merges_txt": merges_txt}, "training": facts}
    half = lambda state: {k: v.half().cpu().contiguous() for k, v in state.items() if v.is_floating_point()}
    write_single(path, {"unet": half(nets["unet"].state_dict()), "vae": half(vae_state["vae"]), "text": half(nets["text"].state_dict())}, notes)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--run", type=Path, default=Path("runs/cartoon"), help="folder of log, checkpoints and, in the end, cartoon.safetensors")
    p.add_argument("--start", metavar="WEIGHTS", help="begin a new run with the networks of this file, such as: cartoon")
    p.add_argument("--vae-steps", type=int, default=2500)
    p.add_argument("--scenes", type=int, default=12000)
    p.add_argument("--small-steps", type=int, default=4000)
    p.add_argument("--full-steps", type=int, default=6000)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a = p.parse_args()
    a.run.mkdir(parents=True, exist_ok=True)
    if a.start:
        start_from(a.run, a.start)
    vae_state = train_vae(a.run, a.vae_steps, a.device)
    small, full = (make_latents(a.run, vae_state, a.scenes, size, a.device) for size in (SMALL, SIZE))
    nets = train_unet(a.run, small, full, a.small_steps, a.full_steps, a.device)

    path, facts = a.run / "cartoon.safetensors", {k: getattr(a, k) for k in ("vae_steps", "scenes", "small_steps", "full_steps")}
    export(path, vae_state, nets, facts)
    say(a.run, f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for command in (["minifaseg.evaluate.tune", "--weights", path, "--method", "faseg", "--save", path.with_suffix(".json")],
                    ["minifaseg.evaluate", "cartoon", "--weights", path, "--method", SCORED, "--thresholds", "5000:5060",
                     "--shuffle-classes", "0", "--out", a.run / "held-out"]):
        command = ["-m", *map(str, command)]
        say(a.run, f"python {shlex.join(command)}")
        subprocess.run([sys.executable, *command], check=True)


if __name__ == "__main__":
    main()
