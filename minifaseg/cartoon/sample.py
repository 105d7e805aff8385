"""Paints from text with the cartoon model, to show that the network that segments can also paint.

    python -m minifaseg.cartoon.sample "a black cat on grass"     # sample.png: four pictures
"""
import argparse
import sys

import torch
from PIL import Image
from tqdm import tqdm

import minifaseg
from minifaseg import ddim
from minifaseg.images import write_png
from minifaseg.model import Model


@torch.no_grad()
def sample(model: Model, prompt: str, n: int = 1, steps: int = 50, guidance: float = 4.0,
           seed: int = 0) -> list[Image.Image]:
    """n RGB pictures of a prompt.

    Seeded noise, then DDIM from t = 999 down to 0 with classifier-free guidance.
    """
    side = model.side // model.vae.factor
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 4, side, side, generator=generator).to(model.device, model.dtype)
    text = model.text([prompt]).expand(n, -1, -1)           # (n, T, c)
    empty = model.text([""]).expand(n, -1, -1)
    timesteps = ddim.inversion_timesteps(999, steps)[::-1]
    sampling = ddim.sample(model.unet, z, text, timesteps, guidance, empty)
    for _, latents in tqdm(sampling, total=steps, leave=False, disable=None):
        z = latents

    x = (model.decode(z).float().clamp(-1, 1) + 1) * 127.5  # (n, 3, H, W)
    pictures = x.round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture) for picture in pictures]


def side_by_side(pictures: list[Image.Image]) -> Image.Image:
    width, height = pictures[0].size
    strip = Image.new("RGB", (width * len(pictures), height))
    for i, picture in enumerate(pictures):
        strip.paste(picture, (i * width, 0))
    return strip


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("prompt", help='what to paint, such as "a black cat on grass"')
    p.add_argument("-o", "--output", default="sample.png")
    p.add_argument("-n", type=int, default=4, help="how many pictures (default 4)")
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--guidance", type=float, default=4.0,
                   help="1 = none; higher follows the words more closely (default 4)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--weights", default="cartoon")
    a = p.parse_args()
    try:
        model = minifaseg.load(a.weights)
        pictures = sample(model, a.prompt, a.n, a.steps, a.guidance, a.seed)
        write_png(a.output, side_by_side(pictures))
    except minifaseg.InputError as e:
        sys.exit(f"minifaseg: {e}")
    print(a.output)


if __name__ == "__main__":
    main()
