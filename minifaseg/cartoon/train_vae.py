"""The cartoon model's autoencoder: pictures to latents and back, learnt first and then kept.

It is trained by train.py when there is nothing to start from.
"""
import time

import numpy as np
import torch

from ..vae import VAE, VAEConfig
from ..writing import replacing
from .painter import paint

SIZE = 128                     # pixels of a training scene
VAE_SIZES = VAEConfig(widths=(24, 48, 64), blocks=1, groups=8, scaling=1.0)

# Deviation of the latents. SD's is 1, for photographs on 64 x 64 cells. Flat colours on 32 x 32
# cells of that size show through the noise up to t = 980, and a network that can see what there is
# has no use for the words; at a quarter, words decide from t = 600 on.
SPREAD = 0.25


def say(run, text):
    line = f"{time.strftime('%H:%M:%S')} {text}"
    print(line, flush=True)
    with open(run / "log.txt", "a") as f:
        f.write(line + "\n")


def save(state, path):
    with replacing(path) as temporary:                   # a killed run leaves no half a checkpoint
        torch.save(state, temporary)


def pixels(pictures, device="cpu"):
    """(n, H, W, 3) uint8 -> (n, 3, H, W) in [-1, 1] on the device."""
    x = torch.from_numpy(pictures).to(device)
    return x.permute(0, 3, 1, 2).float() / 127.5 - 1


def train_vae(run, steps, device, scenes=1500, seed=0, crop=48, batch=16, lr=2e-3, kl=1e-3):
    """L1 reconstruction of crops plus a light pull of the posterior towards N(0, 1).

    Ends by measuring the latents' scale. Returns {"vae": weights, "scaling": the latents' factor}.
    """
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
    painted = [paint(10_000_000 + i, SIZE).image for i in range(scenes)]
    pictures = pixels(np.stack([np.array(image) for image in painted]))
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
            speed = (step + 1 - done) * batch / (time.time() - begin)
            say(run, f"vae {step + 1}/{steps}  L1 {mean_loss:.4f}  {speed:.0f} crops/s")
            state = {"vae": vae.state_dict(), "optimizer": optimizer.state_dict()}
            state["steps"] = step + 1
            save(state, path)
    with torch.no_grad():
        z = torch.cat([vae.moments(x.to(device))[0] for x in pictures[:256].split(32)])
    state["scaling"] = SPREAD / z.std().item()
    means = [round(m, 2) for m in z.mean((0, 2, 3)).tolist()]
    say(run, f"vae: latent scaling {state['scaling']:.4f}, channel means {means}")
    save(state, path)
    return state
