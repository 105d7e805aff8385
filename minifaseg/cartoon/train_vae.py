"""The cartoon model's autoencoder: pictures to latents and back, trained first and then kept.

train.py trains it when there is nothing to start from.
"""
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..vae import VAE, VAEConfig
from ..writing import replacing
from .painter import paint

SIZE = 128                     # pixels of a training scene
VAE_SIZES = VAEConfig(widths=(24, 48, 64), blocks=1, groups=8, scaling=1.0)

# Standard deviation of the latents. SD's is 1, for photographs on 64 x 64 cells. Flat colours on
# 32 x 32 cells of that size can be recognised through the noise up to t = 980, and a network that
# recognises what there is has no use for the words; at a quarter, words decide from t = 600 on.
SPREAD = 0.25


def say(run: Path, text: str) -> None:
    """Prints a line with the time, and appends it to the log of the run."""
    line = f"{time.strftime('%H:%M:%S')} {text}"
    print(line, flush=True)
    with open(run / "log.txt", "a") as file:
        file.write(line + "\n")


def save(state: dict, path: Path) -> None:
    """Writes a checkpoint whole or not at all, even when the run is killed meanwhile."""
    with replacing(path) as temporary:
        torch.save(state, temporary)


def on_device(network: nn.Module, device: str) -> Any:
    """The network, in the order of memory in which its convolutions are fastest."""
    # torch's annotations of `to` lack memory_format
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def pixels(pictures: np.ndarray, device: str = "cpu") -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) in [-1, 1] on the device."""
    x = torch.from_numpy(pictures).to(device)
    return x.permute(0, 3, 1, 2).float() / 127.5 - 1


def random_crops(pictures: Tensor, n: int, crop: int, rng: np.random.Generator) -> Tensor:
    """(n, 3, crop, crop), each of one of the pictures (I, 3, SIZE, SIZE)."""
    crops = []
    for i in rng.integers(len(pictures), size=n):
        y, x = rng.integers(SIZE - crop + 1, size=2)
        crops.append(pictures[i, :, y:y + crop, x:x + crop])
    return torch.stack(crops)


def train_vae(run: Path, steps: int, device: str, scenes: int = 1500, seed: int = 0,
              crop: int = 48, batch: int = 16, lr: float = 2e-3, kl: float = 1e-3) -> dict:
    """L1 reconstruction of crops, plus a light pull of the posterior towards N(0, 1).

    Ends by measuring the latents' scale. Returns {"vae": weights, "scaling": factor of the latents}
    and more, which is also run/vae.pt; a run that was stopped goes on from that file.
    """
    vae = on_device(VAE(VAE_SIZES), device)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.0)
    path = run / "vae.pt"
    done = 0
    if path.exists():
        state = torch.load(path, map_location=device)
        vae.load_state_dict(state["vae"])
        if state["steps"] >= steps:
            return state
        optimizer.load_state_dict(state["optimizer"])
        done = state["steps"]

    painted = [np.array(paint(10_000_000 + i, SIZE).image) for i in range(scenes)]
    pictures = pixels(np.stack(painted))                    # (I, 3, SIZE, SIZE)
    rng = np.random.default_rng([seed, done])
    begin = time.time()
    mean_loss = 0.0
    for step in range(done, steps):
        warm_up = min(1, (step + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = lr * warm_up * min(1, 2 * (1 - step / steps) + 0.01)

        x = random_crops(pictures, batch, crop, rng)
        x = x.to(device, memory_format=torch.channels_last)                 # (B, 3, crop, crop)
        mean, logvar = vae.moments(x)                                       # (B, 4, h, w)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        reconstruction = (vae.decode(z) - x).abs().mean()
        divergence = (mean ** 2 + logvar.exp() - 1 - logvar).mean()
        loss = reconstruction + kl * 0.5 * divergence

        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()

        mean_loss += (reconstruction.item() - mean_loss) * (0.02 if step > done else 1)
        if (step + 1) % 100 == 0 or step + 1 == steps:
            speed = (step + 1 - done) * batch / (time.time() - begin)
            say(run, f"vae {step + 1}/{steps}  L1 {mean_loss:.4f}  {speed:.0f} crops/s")
            state = {"vae": vae.state_dict(), "optimizer": optimizer.state_dict(),
                     "steps": step + 1}
            save(state, path)

    with torch.no_grad():
        z = torch.cat([vae.moments(x.to(device))[0] for x in pictures[:256].split(32)])
    state["scaling"] = SPREAD / z.std().item()
    means = [round(m, 2) for m in z.mean((0, 2, 3)).tolist()]
    say(run, f"vae: latent scaling {state['scaling']:.4f}, channel means {means}")
    save(state, path)
    return state
