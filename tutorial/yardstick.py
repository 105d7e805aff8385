"""What does a net of the cartoon model's size reach when it is told? The same UNet without words,
trained on the painter's labels.

    python tutorial/yardstick.py --pictures 20000

FA-Seg reads masks off a network that never saw one. This one sees nothing else: clean latents in, a
class for every cell out. Nothing of it is kept but one number, on the same held-out scenes; classes
that are not in a scene's list are left out of the argmax, since FA-Seg is given that list, too.
"""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F

import minifaseg
from minifaseg.cartoon.muon import Muon
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.stream import CHUNK, start_painters
from minifaseg.cartoon.train import TEXT_SIZES, UNET_SIZES, Predict, half_is_faster, rate
from minifaseg.cartoon.train_vae import SIZE, pixels
from minifaseg.cartoon.words import CLASSES
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.metrics import confusion, summary
from minifaseg.evaluate.rows import span
from minifaseg.unet import UNet

FIRST_SEED = 40_000_000


def scene(seed):
    painted = paint(seed, SIZE)
    return np.asarray(painted.image), painted.labels


def latents(vae, pictures, device):
    with torch.no_grad():
        return vae.encode(pixels(pictures, device)).contiguous(memory_format=torch.channels_last)


def upsample(logits):
    """(B, C, h, w) -> (B, C, H, W), as FA-Seg's scores are."""
    return F.interpolate(logits, size=(SIZE, SIZE), mode="bicubic", align_corners=False)


def train(vae, pictures, chunks, painters, device, lr=1e-3):
    """A UNet trained on so many pictures, `chunks` of them (see stream.py) in a batch."""
    queue, _ = start_painters(painters, scene, FIRST_SEED)
    batch = chunks * CHUNK
    torch.manual_seed(0)
    unet = UNet(UNET_SIZES)
    unet.out[2] = torch.nn.Conv2d(UNET_SIZES.widths[0], 1 + len(CLASSES), 3, padding=1)
    unet.to(device, memory_format=torch.channels_last)
    optimizer = Muon(list(unet.named_parameters()), plain=("input_blocks.0.", "out.2."))
    predict = Predict(unet, half_is_faster(device))
    if device.startswith("cuda"):
        predict = predict.graphed(batch, device)
    t = torch.zeros(batch, dtype=torch.long, device=device)
    silence = torch.zeros(batch, TEXT_SIZES.tokens, TEXT_SIZES.width, device=device)
    begin, steps = time.time(), pictures // batch
    for step in range(steps):
        images, labels = map(np.concatenate, zip(*(queue.get() for _ in range(chunks))))
        logits = upsample(predict(latents(vae, images, device), t, silence))
        loss = F.cross_entropy(logits, torch.from_numpy(labels).to(device).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(rate(lr, step / steps) * min(1, (step + 1) / 50))
        if (step + 1) % 100 == 0 or step + 1 == steps:
            speed = (step + 1) * batch / (time.time() - begin)
            print(f"{step + 1}/{steps}  loss {loss.item():.4f}  {speed:.0f} pictures/s", flush=True)
    return unet.eval()


@torch.no_grad()
def score(unet, vae, seeds, device):
    """(told its scene's classes, not told): the summaries of metrics.py."""
    dataset = open_dataset("cartoon", seeds=seeds, side=SIZE)
    n = 1 + len(CLASSES)
    told, alone = np.zeros((n, n + 1), np.int64), np.zeros((n, n + 1), np.int64)
    silence = torch.zeros(1, TEXT_SIZES.tokens, TEXT_SIZES.width, device=device)
    for id in dataset.ids:
        image, truth = dataset.read(id)
        z = latents(vae, np.array(image)[None], device)
        logits = upsample(unet(z, 0, silence))[0].cpu().numpy()             # (C, H, W)
        alone += confusion(truth, logits.argmax(0).astype(np.uint8), n)
        absent = [c for c in range(1, n) if c not in truth]
        logits[absent] = -np.inf
        told += confusion(truth, logits.argmax(0).astype(np.uint8), n)
    return summary(told, dataset), summary(alone, dataset)


def main():
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
    told = score(unet, vae, a.seeds, a.device)
    for name, found in zip(("told the scene's classes", "not told"), told):
        print(f"{name}: mIoU {found['miou']:.3f}, things {found['things']:.3f}, "
              f"pixel accuracy {found['pixel_accuracy']:.3f}")


if __name__ == "__main__":
    main()
