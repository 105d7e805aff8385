"""FA-Seg, the whole algorithm, in the order of the paper's overview figure (arXiv 2506.23323).

    capture, the slow step   picture and mirror image -> latents -> inversion
                             -> one UNet pass under P, which records queries and keys
    scores, the fast step    keys of P' -> cross-attention -> HARD -> TTF -> score maps
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from . import ddim, hard, prompts, ttf
from .attention import QK, CapturedAttention, select_views
from .model import Model


@dataclass(frozen=True)
class FASeg:
    """Every hyperparameter of the method.

    The defaults are those of the released code for SD 1.5 (chequanghuy/FA-Seg 861761b), whose file
    or function stands in brackets.
    """
    # The timestep t at which the UNet sees the latent. The release asks diffusers' scheduler for a
    # list of one timestep. This would be [0], but the pipeline that holds the scheduler has changed
    # its steps_offset to 1, and the offset is added to every timestep. So t = 1 is a side effect.
    timestep: int = 1
    steps: int = 1               # inversion steps to t. Paper: "1 + 1 steps", inversion + capture
    noise: bool = False          # seeded noise up to `timestep` instead of inversion, as the rivals
    sample: bool = True          # sample the VAE's posterior, or take its mean [image2latent]
    seed: int = 0                # of that sample and of `noise`
    # Weights of the levels 8, 16, 32 and 64, coarse to fine: w_r of cross fusion
    # [cross_attn_repare], and w'_r of refinement [self_attn_repare].
    cross: tuple[float, ...] = (0.15, 0.70, 0.15, 0.0)
    levels: tuple[float, ...] = (0.1, 0.1, 0.5, 0.3)
    tau: int = 2                 # power of the self-attention maps [self_fusion]; 0: no HARD
    flip: bool = True            # TTF
    dual: bool = True            # look names up in P'; False: in P, the single-prompt ablation
    alone: bool = False          # a prompt P' for each class (ours; no further UNet pass)
    threshold: float = 0.55      # lower: background. VOC 0.55, Context 0.50, COCO 0.60 [main_*.py]

    # What `capture` depends on. All else (cross, levels, tau, threshold) can change without a new
    # capture.
    CAPTURE_FIELDS: ClassVar[tuple[str, ...]] = (
        "timestep", "steps", "noise", "sample", "seed", "flip", "dual", "alone")

    def capture(self, model: Model, image: Image.Image, classes: prompts.Classes,
                caption: str | None = None) -> CapturedAttention:
        """Attention of one RGB picture under P = "caption ; classes".

        It takes two UNet passes with the released hyperparameters, one with steps=0 or noise=True.
        Raises InputError for class names or hyperparameters that cannot be.
        """
        return self.captures(model, [image], classes, caption)[0]

    @torch.no_grad()
    def captures(self, model: Model, images: list[Image.Image], classes: prompts.Classes,
                 caption: str | None = None) -> list[CapturedAttention]:
        """Attention of I pictures in one batch, all under the same P; see `capture`.

        All V views (2 with flip, else 1) of all pictures go through the UNet together: B = I V.
        The V views of a picture get V different noises (of the VAE's sample, and eps with `noise`);
        all pictures share these V.
        """
        # Timesteps and prompts: P drives the UNet, names are looked up in P'.
        ts = ddim.inversion_timesteps(self.timestep, 0 if self.noise else self.steps)
        classes = prompts.clean_classes(classes)
        prompt = prompts.image_prompt(model.text, classes, caption)
        lookup = prompt
        if self.dual:
            lookup = prompts.class_prompts(model.text, classes, self.alone)
        elif None in prompt.spans:                       # P is too short for all names: several P
            lookup = prompts.image_prompts(model.text, classes, caption)

        # Latents of both views of all pictures.
        x = torch.cat([ttf.views(model.pixels(image), self.flip) for image in images])
        mean, logvar = model.vae.moments(x)              # x (B, 3, H, W); mean (B, 4, h, w)
        V = len(x) // len(images)
        # Each draw is V noises, one for each view; it is repeated for every picture.
        draws = ddim.seeded_noise(self.seed, (V, *mean.shape[1:]), like=x)
        xi = next(draws).repeat(len(images), 1, 1, 1) if self.sample else None
        z = model.vae.latents(mean, logvar, xi)          # (B, 4, h, w)

        # Inversion, or noise in its place.
        text = prompt.states.expand(len(z), -1, -1)      # (B, T, c)
        if self.noise:
            eps = next(draws).repeat(len(images), 1, 1, 1)
            z = ddim.add_noise(z, self.timestep, eps)
        for _, z_t in ddim.invert(model.unet, z, text, ts):                 # no step if ts is empty
            z = z_t

        # One UNet pass: queries and keys are recorded, the predicted noise is dropped.
        record: dict[str, QK] = {}
        model.unet(z, self.timestep, text, record)

        # One record for each picture.
        layers = model.unet.attention_layers()
        captured = []
        for i, image in enumerate(images):
            first, last = i * V, (i + 1) * V
            captured.append(CapturedAttention(
                select_views(record, first, last), layers, image.size, model.side, classes, lookup,
                latents=model.vae.config.scaling * mean[first:last]))
        return captured

    @torch.no_grad()
    def scores(self, captured: CapturedAttention,
               lookup: prompts.Lookup | None = None) -> Tensor:
        """Score maps (K, h, w) on the finest grid, of the captured classes or of another lookup."""
        x = self.class_maps(captured, lookup or captured.lookup)            # (V, N, K)
        S = hard.refine(captured, x, self.levels, self.tau)                 # (V, N, K)
        return ttf.merge(hard.as_image(S, captured.grids[-1]))              # (K, h, w)

    def class_maps(self, captured: CapturedAttention, lookup: prompts.Lookup) -> Tensor:
        """Class maps x (V, N, K) on the finest grid: cross-attention, fused over the levels."""
        return hard.fuse_cross(captured, lookup, self.cross)

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """What is brought to the picture's size before the argmax, and how: the scores, bicubic."""
        return scores, "bicubic"
