"""What does a network of the cartoon model's size reach when it is trained on labels?

The same UNet without words, trained on the painter's label maps:

    python tutorial/yardstick.py --pictures 20000

FA-Seg takes masks from a network that was never trained on one. This network is trained on nothing
else: clean latents in, a class for every cell out. It is not kept, only its figures on the same
held-out scenes. Classes that are not in a scene's list are left out of the argmax, since FA-Seg is
given that list, too.
"""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import minifaseg
from minifaseg.cartoon.muon import Muon
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.stream import CHUNK, start_painters
from minifaseg.cartoon.train import half_is_faster
from minifaseg.cartoon.train_unet import TEXT_SIZES, UNET_SIZES, Predict, rate, warm_up
from minifaseg.cartoon.train_vae import SIZE, on_device, pixels
from minifaseg.cartoon.words import CLASSES
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.metrics import confusion, summary
from minifaseg.evaluate.rows import span
from minifaseg.unet import UNet
from minifaseg.vae import VAE

FIRST_SEED = 40_000_000


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (SIZE, SIZE, 3) and labels (SIZE, SIZE), both uint8."""
    painted = paint(seed, SIZE)
    return np.asarray(painted.image), painted.labels


@torch.no_grad()
def latents(vae: VAE, pictures: np.ndarray, device: str) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 4, h, w)."""
    return vae.encode(pixels(pictures, device)).contiguous(memory_format=torch.channels_last)


def no_words(batch: int, device: str) -> Tensor:
    """Text states (B, T, c) of zeros."""
    return torch.zeros(batch, TEXT_SIZES.tokens, TEXT_SIZES.width, device=device)


def upsample(logits: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, H, W), as FA-Seg's scores are."""
    return F.interpolate(logits, size=(SIZE, SIZE), mode="bicubic", align_corners=False)


def train(vae: VAE, pictures: int, chunks: int, painters: int, device: str,
          lr: float = 1e-3) -> UNet:
    """A UNet trained on this number of pictures; a batch is `chunks` chunks of stream.py."""
    queue, _ = start_painters(painters, scene, FIRST_SEED)
    batch = chunks * CHUNK
    torch.manual_seed(0)
    unet = UNet(UNET_SIZES)
    unet.out[2] = torch.nn.Conv2d(UNET_SIZES.widths[0], 1 + len(CLASSES), 3, padding=1)
    on_device(unet, device)
    optimizer = Muon(list(unet.named_parameters()), plain=("input_blocks.0.", "out.2."))
    predict = Predict(unet, half_is_faster(device)).fastest(batch, device)
    t = torch.zeros(batch, dtype=torch.long, device=device)
    states = no_words(batch, device)

    steps = pictures // batch
    begin = time.time()
    for step in range(steps):
        painted = [queue.get() for _ in range(chunks)]
        images, labels = map(np.concatenate, zip(*painted))
        logits = upsample(predict(latents(vae, images, device), t, states))     # (B, C, H, W)
        loss = F.cross_entropy(logits, torch.from_numpy(labels).to(device).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(rate(lr, step / steps) * warm_up(step))
        if (step + 1) % 100 == 0 or step + 1 == steps:
            speed = (step + 1) * batch / (time.time() - begin)
            print(f"{step + 1}/{steps}  loss {loss.item():.4f}  {speed:.0f} pictures/s", flush=True)
    return unet.eval()


@torch.no_grad()
def score(unet: UNet, vae: VAE, seeds: range, device: str) -> tuple[dict, dict]:
    """The summaries of metrics.py: with the classes of each scene given, and without."""
    dataset = open_dataset("cartoon", seeds=seeds, side=SIZE)
    n = 1 + len(CLASSES)
    given = np.zeros((n, n + 1), np.int64)
    not_given = np.zeros((n, n + 1), np.int64)
    states = no_words(1, device)
    for id in dataset.ids:
        image, truth = dataset.read(id)
        z = latents(vae, np.array(image)[None], device)
        logits = upsample(unet(z, 0, states))[0].cpu().numpy()              # (C, H, W)
        not_given += confusion(truth, logits.argmax(0).astype(np.uint8), n)
        absent = [c for c in range(1, n) if c not in truth]
        logits[absent] = -np.inf
        given += confusion(truth, logits.argmax(0).astype(np.uint8), n)
    return summary(given, dataset), summary(not_given, dataset)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--pictures", type=int, default=20_000)
    p.add_argument("--chunks", type=int, default=1, help=f"of {CHUNK} pictures in a batch")
    p.add_argument("--painters", type=int, default=1)
    p.add_argument("--seeds", type=span, default=range(1000, 1200), metavar="FIRST:LAST",
                   help="scenes to score on")
    p.add_argument("--weights", default="cartoon", help="the model whose VAE is taken")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a = p.parse_args()
    vae = minifaseg.load(a.weights, a.device, "float32").vae
    unet = train(vae, a.pictures, a.chunks, a.painters, a.device)
    summaries = score(unet, vae, a.seeds, a.device)
    for name, found in zip(("told the scene's classes", "not told"), summaries):
        print(f"{name}: mIoU {found['miou']:.3f}, things {found['things']:.3f}, "
              f"pixel accuracy {found['pixel_accuracy']:.3f}")


if __name__ == "__main__":
    main()
