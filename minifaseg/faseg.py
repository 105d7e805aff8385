"""FA-Seg, the whole algorithm, in the order of the paper's overview figure (arXiv 2506.23323).

    picture, mirror image -> latents -> inversion -> one UNet pass under P, queries and keys recorded     capture, the slow step
    keys of P' -> cross-attention -> HARD -> TTF -> score maps                                            scores, the fast step
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from . import ddim, hard, prompts, ttf
from .attention import QK, CapturedAttention


@dataclass(frozen=True)
class FASeg:
    """Every number of the method. Defaults: the released code's for SD 1.5 (chequanghuy/FA-Seg 861761b), file in brackets."""
    timestep: int = 1                        # the UNet sees the latent at this t (a side effect of the pipeline's steps_offset)
    steps: int = 1                           # inversion steps up to it; 0 = feed the clean latent (paper: "1 + 1 steps")
    noise: bool = False                      # instead of inversion, add seeded noise up to `timestep` (as the rivals do)
    sample: bool = True                      # posterior sample of the VAE, as [FASeg.py: image2latent]; False = its mean
    seed: int = 0                            # of that sample and of `noise`; drawn on the CPU, so that all devices agree
    cross: tuple[float, ...] = (0.15, 0.70, 0.15, 0.0)     # cross-attention, levels 8, 16, 32, 64 [cross_attn_repare]
    levels: tuple[float, ...] = (0.1, 0.1, 0.5, 0.3)       # HARD, the same levels [self_attn_repare]
    tau: int = 2                             # power of the self-attention maps [self_fusion]; 0 = no HARD
    flip: bool = True                        # TTF
    dual: bool = True                        # look names up in P' (False: in P itself, the single-prompt ablation)
    alone: bool = False                      # every class in a prompt of its own (ours; costs no UNet pass)
    threshold: float = 0.55                  # below it: background. VOC 0.55, Context 0.50, COCO-Object 0.60 [main_*.py]
    CAPTURE_FIELDS: ClassVar = ("timestep", "steps", "noise", "sample", "seed", "flip", "dual", "alone")        # what `capture` depends on

    def capture(self, model, image: Image.Image, classes, caption: str | None = None) -> CapturedAttention:
        """Attention of one RGB picture under P = "caption ; classes". Two UNet passes as released, one with steps=0 or noise."""
        return self.captures(model, [image], classes, caption)[0]

    @torch.no_grad()
    def captures(self, model, images: list[Image.Image], classes, caption: str | None = None) -> list[CapturedAttention]:
        """The same for I pictures in one batch: all V views of all pictures, B = I V, go through the UNet together, under the same P."""
        classes = prompts.clean_classes(classes)
        ts = ddim.inversion_timesteps(self.timestep, 0 if self.noise else self.steps)
        prompt = prompts.image_prompt(model.text, classes, caption)
        lookup = prompts.class_prompts(model.text, classes, self.alone) if self.dual else prompt
        if None in lookup.spans:                                                # P cannot hold all
            lookup = prompts.image_prompts(model.text, classes, caption)

        x = torch.cat([ttf.views(model.pixels(image), self.flip) for image in images])          # (B, 3, H, W)
        V, generator = len(x) // len(images), torch.Generator().manual_seed(self.seed)
        shape = (V, model.unet.config.latent, *(n // model.vae.factor for n in x.shape[2:]))
        draw = lambda: torch.randn(shape, generator=generator).to(x).repeat(len(images), 1, 1, 1)           # the same for every picture
        z = model.vae.encode(x, draw() if self.sample else None)                    # (B, 4, h, w)
        text = prompt.states.expand(len(z), -1, -1)                                 # (B, T, c)
        if self.noise:
            z = ddim.add_noise(z, self.timestep, draw())
        for _, z in ddim.invert(model.unet, z, text, ts):
            pass

        record = {}
        model.unet(z, self.timestep, text, record)
        layers, parts = model.unet.attention_layers(), [slice(i, i + V) for i in range(0, len(x), V)]
        return [CapturedAttention({path: QK(q[part], k[part], grid) for path, (q, k, grid) in record.items()}, layers, image.size, model.side, classes, lookup)
                for part, image in zip(parts, images)]

    @torch.no_grad()
    def scores(self, captured: CapturedAttention, lookup: prompts.Lookup | None = None) -> Tensor:
        """Score maps (K, h, w) on the finest grid, for the captured classes or for another `lookup`."""
        x = hard.fuse_cross(captured, lookup or captured.lookup, self.cross)        # (B, N, K)
        s = hard.refine(captured, x, self.levels, self.tau) if self.tau else hard.minmax(x)
        return ttf.merge(hard.as_image(s, captured.grids[-1]))

    def upsampling(self, captured, scores: Tensor) -> tuple[Tensor, str]:
        """Maps, and the interpolation that takes them to the picture's size, where the argmax is."""
        return scores, "bicubic"
