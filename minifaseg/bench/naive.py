"""FA-Seg written plainly, as its release does it: a processor that stores maps, up-sampled N x N matrices, matrix_power.

Our words and our own code, on diffusers' UNet: what the tests compare with and the benchmark measures against. Memory and time grow as
N^2 and N^3; at 512 pixels it needs 15 GiB. Facts: chequanghuy/FA-Seg 861761b (FASeg.py, ptp_utils.py).
"""
import torch
import torch.nn.functional as F

from .. import ddim, prompts
from ..checkpoints import tensor_names


def diffusers_unet(model):
    """diffusers' UNet with the very weights of a Model's, in the same memory, and with the plain attention that the release leaves
    set after its first picture, so that from then on its inversion, too, runs without a fused kernel."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor
    c = model.unet.config
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            block_out_channels=c.widths, layers_per_block=c.blocks, cross_attention_dim=c.context, attention_head_dim=c.heads, norm_num_groups=c.groups,
            in_channels=c.latent, out_channels=c.latent, down_block_types=["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in c.attention],
            up_block_types=["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(c.attention)])
    state = model.unet.state_dict()
    unet.load_state_dict({theirs: state[ours] for theirs, ours in tensor_names.from_diffusers("unet", list(unet.state_dict())).items()}, assign=True)
    unet.set_attn_processor(AttnProcessor())
    return unet.eval()


class StoringProcessor:
    """Keeps softmax(Q K^T / sqrt d) of every call; cross-attention maps are those to the class prompt's keys."""

    def __init__(self, store, class_states):
        self.store, self.class_states = store, class_states

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
        cross = encoder_hidden_states is not None
        context = encoder_hidden_states if cross else hidden_states
        heads = lambda x: x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        q, k, v = heads(attn.to_q(hidden_states)), heads(attn.to_k(context)), heads(attn.to_v(context))
        shown = heads(attn.to_k(self.class_states.expand(len(hidden_states), -1, -1))) if cross else k
        scale = q.shape[-1] ** -0.5
        self.store.append((cross, (q @ shown.transpose(-1, -2) * scale).softmax(-1)))           # (B, h, N, M)
        out = (q @ k.transpose(-1, -2) * scale).softmax(-1) @ v
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


def stored(unet, z, t, states, class_states):
    """[(is_cross, (B, h, cells, M))] of every attention layer, in the order in which they run."""
    store, before = [], unet.attn_processors
    unet.set_attn_processor(StoringProcessor(store, class_states))
    with torch.no_grad():
        unet(z, t, states.expand(len(z), -1, -1))
    unet.set_attn_processor(before)
    return store


def attention_maps(unet, z, t, states, class_states):
    """{(cells, is_cross): (B, cells, M)} averaged over the layers and heads of each resolution."""
    maps = {}
    for cross, a in stored(unet, z, t, states, class_states):
        maps.setdefault((a.shape[2], cross), []).append(a)
    return {key: torch.cat(a, dim=1).mean(1) for key, a in maps.items()}


def normalise(y):
    return (y - y.min()) / (y.max() - y.min())


def hard(maps, spans, side, cross_weights=(.15, .7, .15, 0), self_weights=(.1, .1, .5, .3), tau=2):
    """Score maps (B, K, side, side). Levels are side/8, side/4, side/2, side."""
    n, levels = side * side, [side // 8, side // 4, side // 2, side]
    views = next(iter(maps.values())).shape[0]
    scores = next(iter(maps.values())).new_zeros(views, len(spans), side, side)
    for b in range(views):
        fused = 0
        for r, w in zip(levels, cross_weights):
            if w:
                c = maps[r * r, True][b].T.reshape(1, -1, r, r)                                  # (1, T, r, r)
                fused = fused + w * F.interpolate(c, size=(side, side), mode="nearest")[0]
        for r, w in zip(levels, self_weights):
            a = maps[r * r, False][b]                                                            # (r*r, r*r)
            keys = F.interpolate(a.reshape(r * r, 1, r, r), size=(side, side), mode="nearest").reshape(r * r, n)
            big = F.interpolate(keys.T.reshape(n, 1, r, r), size=(side, side), mode="bicubic").reshape(n, n).T if r < side else a
            power = torch.linalg.matrix_power(big, tau)                                          # (n, n), rows are queries
            for k, span in enumerate(spans):
                x = fused[span].mean(0).reshape(n)
                scores[b, k] += w * normalise(power @ x).reshape(side, side)
    return scores


def faseg(unet, scheduler_alphas, z, states, class_states, spans, t=1, **numbers):
    """Scores (K, side, side) of clean latents z (2, 4, side, side): picture and mirror image."""
    a0, a1 = scheduler_alphas[0].to(z), scheduler_alphas[t].to(z)
    eps = unet(z, t, states.expand(2, -1, -1)).sample
    z = (a1 / a0).sqrt() * z + ((1 - a1).sqrt() - (a1 * (1 - a0) / a0).sqrt()) * eps
    s = hard(attention_maps(unet, z, t, states, class_states), spans, z.shape[-1], **numbers)
    return (s[0] + s[1].flip(-1)) / 2


@torch.no_grad()
def segment(model, unet, image, classes, how):
    """(scores (K, h, w), labels (H, W)) of one picture by the numbers of a FASeg, whose classes fit into one P'."""
    x = model.pixels(image)
    mean, logvar = model.vae.quant_conv(model.vae.encoder(torch.cat([x, x.flip(-1)]))).chunk(2, dim=1)
    generator = torch.Generator().manual_seed(how.seed)
    draw = lambda: torch.randn(mean.shape, generator=generator).to(mean)
    z = model.vae.config.scaling * (mean + (logvar / 2).exp() * draw() if how.sample else mean)
    states = prompts.image_prompt(model.text, classes).states
    lookup = prompts.class_prompts(model.text, classes)
    spans, numbers = [tokens for _, tokens in lookup.spans], {"cross_weights": how.cross, "self_weights": how.levels, "tau": how.tau}
    if how.steps and not how.noise:
        scores = faseg(unet, ddim.ABAR, z, states, lookup.states, spans, how.timestep, **numbers)
    else:
        if how.noise:
            abar = ddim.ABAR[how.timestep]
            z = abar.sqrt() * z + (1 - abar).sqrt() * draw()
        s = hard(attention_maps(unet, z, how.timestep, states, lookup.states), spans, z.shape[-1], **numbers)
        scores = (s[0] + s[1].flip(-1)) / 2
    large = F.interpolate(scores[None].float(), size=image.size[::-1], mode="bicubic")[0]
    best, k = large.max(0)
    return scores, torch.where(best >= how.threshold, k + 1, 0).cpu()
