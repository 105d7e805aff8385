"""Paints from text with the cartoon model, to show that what segments is a real generator.

    python -m minifaseg.cartoon.sample "a black cat on grass"          # writes sample.png: four pictures side by side
"""
import argparse
import sys

import torch
from PIL import Image
from tqdm import tqdm

import minifaseg
from minifaseg import ddim
from minifaseg.images import write_png


@torch.no_grad()
def sample(model, prompt, n=1, steps=50, guidance=4.0, seed=0):
    """n RGB pictures of a prompt: seeded noise, then DDIM from t = 999 down to 0 with classifier-free guidance."""
    side = model.side // model.vae.factor
    noise = torch.randn(n, 4, side, side, generator=torch.Generator().manual_seed(seed)).to(model.device, model.dtype)
    text, empty = (model.text([p]).expand(n, -1, -1) for p in (prompt, ""))
    ts = ddim.inversion_timesteps(999, steps)[::-1]
    for _, z in tqdm(ddim.sample(model.unet, noise, text, ts, guidance, empty), total=steps, leave=False, disable=None):
        pass
    x = (model.decode(z).float().clamp(-1, 1) + 1) * 127.5
    return [Image.fromarray(p) for p in x.round().byte().permute(0, 2, 3, 1).cpu().numpy()]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("prompt", help='what to paint, such as "a black cat on grass"')
    p.add_argument("-o", "--output", default="sample.png")
    p.add_argument("-n", type=int, default=4, help="how many pictures (default 4)")
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--guidance", type=float, default=4.0, help="1 = none; higher follows the words more closely (default 4)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--weights", default="cartoon")
    a = p.parse_args()
    try:
        pictures = sample(minifaseg.load(a.weights), a.prompt, a.n, a.steps, a.guidance, a.seed)
        strip = Image.new("RGB", (sum(q.width for q in pictures), pictures[0].height))
        for i, q in enumerate(pictures):
            strip.paste(q, (i * q.width, 0))
        write_png(a.output, strip)
    except minifaseg.InputError as e:
        sys.exit(f"minifaseg: {e}")
    print(a.output)


if __name__ == "__main__":
    main()
