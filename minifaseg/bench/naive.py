"""FA-Seg written plainly, as its release computes it, to compare with.

The tests compare the package with this file, and the benchmark measures the package against it.
The code is our own, on diffusers' UNet. As in the release, an attention processor stores the maps,
coarse maps are up-sampled to N x N, and `matrix_power` raises them to the power tau. Memory grows
as N^2 and time as N^3; a picture of 512 pixels needs 15 GiB.

Source: chequanghuy/FA-Seg 861761b (FASeg.py, ptp_utils.py).
"""
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .. import ddim, prompts
from ..checkpoints import tensor_names
from ..faseg import FASeg
from ..model import Model


def diffusers_unet(model: Model) -> Any:
    """diffusers' UNet with the weights of a Model, in the same memory.

    Its attention runs without a fused kernel. The release sets this plain attention for its first
    picture and leaves it set, so that all later inversions run without a fused kernel, too.
    """
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    config = model.unet.config
    down = ["CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in config.attention]
    up = ["CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in config.attention]
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel(
            in_channels=config.latent,
            out_channels=config.latent,
            block_out_channels=config.widths,
            layers_per_block=config.blocks,
            cross_attention_dim=config.context,
            attention_head_dim=config.heads,
            norm_num_groups=config.groups,
            down_block_types=down,
            up_block_types=up[::-1],
        )

    weights = model.unet.state_dict()
    our_names = tensor_names.from_diffusers("unet", list(unet.state_dict()))
    state = {theirs: weights[ours] for theirs, ours in our_names.items() if ours}
    unet.load_state_dict(state, assign=True)
    unet.set_attn_processor(AttnProcessor())
    return unet.eval()


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, h d) -> (B, h, N, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class StoringProcessor:
    """Attention that stores softmax(Q K^T / sqrt(d)) of every call, as (is_cross, map).

    The stored cross-attention map is the one to the keys of the class prompt P'. The picture itself
    goes on with the keys and values of P.
    """

    def __init__(self, store: list, class_states: Tensor) -> None:
        self.store = store
        self.class_states = class_states

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None,
                 temb=None):
        cross = encoder_hidden_states is not None
        context = encoder_hidden_states if cross else hidden_states
        q = split_heads(attn.to_q(hidden_states), attn.heads)               # (B, h, N, d)
        k = split_heads(attn.to_k(context), attn.heads)                     # (B, h, M, d)
        v = split_heads(attn.to_v(context), attn.heads)

        stored_k = k
        if cross:
            class_states = self.class_states.expand(len(hidden_states), -1, -1)
            stored_k = split_heads(attn.to_k(class_states), attn.heads)
        scale = q.shape[-1] ** -0.5
        stored_map = (q @ stored_k.transpose(-1, -2) * scale).softmax(-1)   # (B, h, N, M)
        self.store.append((cross, stored_map))

        out = (q @ k.transpose(-1, -2) * scale).softmax(-1) @ v             # (B, h, N, d)
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


def stored(unet, z: Tensor, t: int, states: Tensor, class_states: Tensor) -> list:
    """[(is_cross, map (B, h, N, M))] of every attention layer, in the order in which they run."""
    store: list = []
    before = unet.attn_processors
    unet.set_attn_processor(StoringProcessor(store, class_states))
    with torch.no_grad():
        unet(z, t, states.expand(len(z), -1, -1))
    unet.set_attn_processor(before)
    return store


def attention_maps(unet, z: Tensor, t: int, states: Tensor, class_states: Tensor) -> dict:
    """{(N, is_cross): (B, N, M)}: mean over the heads and layers of each resolution."""
    maps: dict = {}
    for cross, stored_map in stored(unet, z, t, states, class_states):
        N = stored_map.shape[2]
        maps.setdefault((N, cross), []).append(stored_map)
    return {key: torch.cat(layers, dim=1).mean(1) for key, layers in maps.items()}


def normalise(y: Tensor) -> Tensor:
    """Min-max normalisation to [0, 1]."""
    return (y - y.min()) / (y.max() - y.min())


def fuse_cross(maps: dict, view: int, levels: list[int], weights) -> Tensor:
    """Cross-attention of one view, weighted sum over the levels: (T, side, side)."""
    side = levels[-1]
    fused = torch.zeros(())
    for r, weight in zip(levels, weights):
        if weight:
            C = maps[r * r, True][view].T.reshape(1, -1, r, r)              # (1, T, r, r)
            fused = fused + weight * F.interpolate(C, size=(side, side), mode="nearest")[0]
    return fused


def enlarge_self(A: Tensor, r: int, side: int) -> Tensor:
    """A self-attention map (r^2, r^2) -> (N, N) with N = side^2. Rows are queries.

    Keys are up-sampled to the nearest cell, queries bicubically.
    """
    if r == side:
        return A
    N = side * side
    size = (side, side)
    keys = F.interpolate(A.reshape(r * r, 1, r, r), size=size, mode="nearest")
    queries = keys.reshape(r * r, N).T.reshape(N, 1, r, r)
    return F.interpolate(queries, size=size, mode="bicubic").reshape(N, N).T


def hard(maps: dict, spans: list[list[int]], side: int, cross_weights=(0.15, 0.7, 0.15, 0),
         self_weights=(0.1, 0.1, 0.5, 0.3), tau: int = 2) -> Tensor:
    """HARD: score maps (B, K, side, side).

    maps: as `attention_maps` gives them; spans: the token indices of each of K classes; weights:
    one for each of the levels side/8, side/4, side/2, side.
    """
    levels = [side // 8, side // 4, side // 2, side]
    example = next(iter(maps.values()))
    views = len(example)
    scores = example.new_zeros(views, len(spans), side, side)
    for view in range(views):
        C = fuse_cross(maps, view, levels, cross_weights)                   # (T, side, side)
        for r, weight in zip(levels, self_weights):
            A = enlarge_self(maps[r * r, False][view], r, side)             # (N, N)
            power = torch.linalg.matrix_power(A, tau)
            for k, tokens in enumerate(spans):
                x = C[tokens].mean(0).flatten()                             # (N,)
                refined = normalise(power @ x)
                scores[view, k] += weight * refined.reshape(side, side)
    return scores


def invert(unet, alphas: Tensor, z: Tensor, states: Tensor, t: int) -> Tensor:
    """One step of DDIM inversion, from clean latents z (2, 4, side, side) to timestep t."""
    a0 = alphas[0].to(z)
    at = alphas[t].to(z)
    eps = unet(z, t, states.expand(2, -1, -1)).sample
    return (at / a0).sqrt() * z + ((1 - at).sqrt() - (at * (1 - a0) / a0).sqrt()) * eps


def score_maps(unet, z: Tensor, t: int, states: Tensor, class_states: Tensor,
               spans: list[list[int]], **hyperparameters) -> Tensor:
    """Score maps (K, side, side) of latents z (2, 4, side, side) of a picture and its mirror image.

    HARD on both views, then TTF: the mirror image's maps are turned back, and the mean is taken.
    """
    maps = attention_maps(unet, z, t, states, class_states)
    scores = hard(maps, spans, z.shape[-1], **hyperparameters)              # (2, K, side, side)
    return (scores[0] + scores[1].flip(-1)) / 2


def faseg(unet, alphas: Tensor, z: Tensor, states: Tensor, class_states: Tensor,
          spans: list[list[int]], t: int = 1, **hyperparameters) -> Tensor:
    """The release's whole method: inversion of clean latents z (2, 4, side, side), then scores."""
    z = invert(unet, alphas, z, states, t)
    return score_maps(unet, z, t, states, class_states, spans, **hyperparameters)


@torch.no_grad()
def segment(model: Model, unet, image: Image.Image, classes,
            method: FASeg) -> tuple[Tensor, Tensor]:
    """(scores (K, h, w), labels (H, W)) of one picture, with the hyperparameters of `method`.

    unet: of `diffusers_unet`. All classes have to fit into one prompt P'.
    """
    generator = torch.Generator().manual_seed(method.seed)
    x = model.pixels(image)                                                 # (1, 3, H, W)
    moments = model.vae.quant_conv(model.vae.encoder(torch.cat([x, x.flip(-1)])))
    mean, logvar = moments.chunk(2, dim=1)                                  # (2, 4, h, w)
    z = mean
    if method.sample:
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        z = mean + (logvar / 2).exp() * noise
    z = model.vae.config.scaling * z

    states = prompts.image_prompt(model.text, classes).states
    lookup = prompts.class_prompts(model.text, classes)
    spans = [span[1] for span in lookup.spans if span]
    if method.noise:
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        abar = ddim.ABAR[method.timestep]
        z = abar.sqrt() * z + (1 - abar).sqrt() * noise
    elif method.steps:
        z = invert(unet, ddim.ABAR, z, states, method.timestep)
    scores = score_maps(
        unet, z, method.timestep, states, lookup.states, spans,
        cross_weights=method.cross, self_weights=method.levels, tau=method.tau,
    )

    large = F.interpolate(scores[None].float(), size=image.size[::-1], mode="bicubic")[0]
    best, k = large.max(0)                                                  # (H, W)
    return scores, torch.where(best >= method.threshold, k + 1, 0).cpu()
