r"""GoCA (arXiv 2603.06178, CVPR 2026; release Darkbblue/goca 475892f).

Its idea: nobody has to pick heads and layers by hand. A head counts, cell by cell, as much as it
adds to what its layer says there; a layer, as much as its self-attention holds those cells together
that a reference finds alike. What is left of a cell is shared out among the content words.

    heads        C_l = sum_n <o_n, O> / |O|^2  A_n,      o_n = A_n V_n W_n,   O = sum_n o_n
    layers       w_l = sum_pq up(self-attention beside l)_pq  softmax(R R^T / sqrt(channels))_pq
    together     C = max(0, sum_l w_l up(C_l)), over its sum over all tokens
    rescaling    x_c = minmax(blur(mean over the tokens of c of C / sum over all entities' tokens))
    refinement   S = minmax(A^2 x);     scores S_c - S_background

R: queries of the second finest level's last inner layer (SD 1.5: output_blocks.7), A: inner layers
of the finest level; see attention.inner_layers. up: keys bilinear, queries nearest. Background:
the maximum over the entities that mean no class (entities.py has the prompt), taken before A.

What differs from the release, and why. Its R is one channel of 320, by a slip of an index: all are
taken here, as the comment beside it says; `first_channel` is its form. GPT-4o tells it which entity
means which class; here an entity's last words do. A class whose name it first finds inside another
entity ("black cat, cat") gets no token there and a map of NaN; here those of both. Its noise has no
seed. Its coarse layers weigh more, since rows of up(...) sum to N_R / N_l: `normalise` (ours) mends
that. True classes told, the offset chosen on the same pictures and void counted as background are
its protocol, not its method: evaluate/table.py.
"""
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention import (
    BLOCK,
    QK,
    CapturedAttention,
    apply_attention,
    at_least_float32,
    inner_layers,
    mean_map,
)
from ..hard import as_cells, as_image, minmax
from ..prompts import Lookup, clean_classes
from .capture import capture_image, split_by_prompt
from .entities import Prompt, prompts


@dataclass
class Told(CapturedAttention):
    """Captured attention, a view for each of `prompts`."""
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True)
class GoCA:
    """Defaults: the released code's for SD 1.5, but for `first_channel`."""
    timestep: int = 100
    sample: bool = True                                  # posterior sample of the VAE
    seed: int = 0
    heads: bool = True                                   # False: their mean, as in its ablation
    layers: bool = True                                  # likewise
    rescale: bool = True                                 # likewise: C as it is
    first_channel: bool = False                          # of R alone, as released
    normalise: bool = False                              # rows of up(...)
    blur: float = 1.1                                    # sigma of a 5 x 5 Gaussian; 0 = none
    tau: int = 2                                         # power of A
    threshold: float = 0.0                               # its offset; it tries nine, -0.4 to 0.4
    MARGINS: ClassVar = True                             # thresholds lie around 0
    CAPTURE_FIELDS: ClassVar = ("timestep", "sample", "seed")      # what `capture` depends on

    @torch.no_grad()
    def capture(self, model, image, classes, caption=None) -> Told:
        """A view under each prompt: one, unless it cannot hold the caption and all classes."""
        classes = clean_classes(classes)
        asked = prompts(model.text, classes, caption)
        states = model.text.states(torch.stack([prompt.ids for prompt in asked]))
        spans = {c: (g, prompt.own[c]) for g, prompt in enumerate(asked) for c in prompt.own}
        record = capture_image(model, image, states, [self.timestep], sample=self.sample, seed=self.seed)
        return Told(record, model.unet.attention_layers(), image.size, model.side, classes,
                    Lookup(states, [spans[c] for c in classes]), prompts=tuple(asked))

    @torch.no_grad()
    def scores(self, captured: Told) -> Tensor:
        """S_c - S_background (K, h, w) on the finest grid."""
        margins = {}
        for view, prompt in zip(split_by_prompt(captured), captured.prompts):
            S = self.refine(view, self.compete(view, self.together(view), prompt))
            margins |= zip(prompt.own, S[:-1] - S[-1])
        return torch.stack([margins[c] for c in captured.classes])

    def together(self, view) -> Tensor:
        """C (N, T) on the finest grid."""
        paths, C = [path for path in view.record if path.endswith("attn2")], 0
        for path, w in zip(paths, self.layer_weights(view, paths)):
            C_l, _ = self.layer_map(view, path)
            C = C + w * resized(C_l.T, view.record[path].grid, view.grids[-1])
        C = C.T.clamp_min(0)
        return C / C.sum(1, keepdim=True).clamp_min(1e-20)

    def layer_map(self, view, path) -> tuple[Tensor, Tensor]:
        """C_l (N, T) and its heads' weights (N, h), which sum to 1; some may be negative."""
        layer, q, context = view.layers[path], at_least_float32(view.record[path].q[0]), view.lookup.states
        k, v = at_least_float32(layer.keys(context)[0]), at_least_float32(layer.split(layer.to_v(context))[0])
        W = at_least_float32(layer.to_out[0].weight).unflatten(1, (layer.heads, -1))              # (C, h, d)
        VW, maps, weights = torch.einsum("htd,chd->htc", v, W), [], []
        for q in q.split(max(1, BLOCK // W[..., 0].numel()), dim=1):                    # some rows
            A = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)                # (h, n, T)
            o = A @ VW                                                                  # (h, n, C)
            O = o.sum(0)
            w = (o * O).sum(-1) / O.square().sum(-1).clamp_min(1e-20)                   # (h, n)
            maps.append((w[..., None] * A).sum(0) if self.heads else A.mean(0))
            weights.append(w.T)
        return torch.cat(maps), torch.cat(weights)

    def layer_weights(self, view, paths) -> Tensor:
        """w (L,) of cross-attention layers, sum 1; made some rows of the reference at a time."""
        R, grid = self.reference(view)
        if not self.layers:
            return R.new_full((len(paths),), 1 / len(paths))
        beside = [view.record[path.removesuffix("attn2") + "attn1"] for path in paths]
        w, rows = R.new_zeros(len(paths)), max(1, BLOCK // max(qk.k.shape[2] for qk in beside))
        for i in range(0, len(R), rows):
            alike = (R[i:i + rows] @ R.T / R.shape[1] ** 0.5).softmax(-1)               # (n, N_R)
            for l, (q, k, own) in enumerate(beside):
                near = F.interpolate(torch.arange(q.shape[2]).float().view(1, 1, *own), grid)
                near = near.flatten().long()[i:i + rows]                 # cells of these rows
                A = resized(mean_map([QK(q[:, :, near], k, own)])[0], own, grid)        # (n, N_R)
                A = A / A.sum(1, keepdim=True) if self.normalise else A
                w[l] += (A * alike).sum()
        return w / w.sum()

    def reference(self, view) -> tuple[Tensor, tuple[int, int]]:
        """R (N_R, channels), and its grid."""
        level = view.at(view.grids[-2], "attn2")
        q, _, grid = level[inner_layers(level)[-1]]
        R = at_least_float32(q[0]).transpose(0, 1).flatten(1)
        return R[:, :1] if self.first_channel else R, grid

    def compete(self, view, C, prompt) -> Tensor:
        """x (K + 1, h, w) of the prompt's own classes and, the last, of the background."""
        if self.rescale:
            C = C / C[:, prompt.content].sum(1, keepdim=True).clamp_min(1e-20)
        said = [*prompt.own.values(), *prompt.background]
        x = torch.stack([C[:, tokens].mean(1) for tokens in said], -1)[None]
        x = as_cells(blurred(as_image(x, view.grids[-1]), self.blur))
        x, K = as_image(minmax(x), view.grids[-1])[0], len(prompt.own)
        return torch.cat([x[:K], x[K:].amax(0, keepdim=True)])

    def refine(self, view, x) -> Tensor:
        """S (K + 1, h, w). Rows of A sum to 1: a constant taken off drops out, and saves digits."""
        level = view.at(view.grids[-1], "attn1")
        x = as_cells(x[None])
        x = x - x.mean(1, keepdim=True)
        for _ in range(self.tau):
            x = apply_attention([level[path] for path in inner_layers(level)], x)
        return as_image(minmax(x), view.grids[-1])[0]

    def upsampling(self, captured, scores) -> tuple[Tensor, str]:
        """Maps, and the interpolation that takes them to the picture's size, where the argmax is.
        The release takes each S there and subtracts then, which is the same."""
        return scores, "bilinear"


def resized(maps: Tensor, grid, size) -> Tensor:
    """Maps (n, N) over the cells of a grid on another one, bilinear."""
    maps = maps.unflatten(1, grid)[:, None]
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False).flatten(1)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Maps (1, K, H, W) under a Gaussian window of 5 x 5, edges reflected."""
    if not sigma:
        return x
    line = torch.exp(-(torch.arange(-2, 3).to(x) / sigma) ** 2 / 2)
    window = (torch.outer(line, line) / line.sum() ** 2)[None, None]
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect").transpose(0, 1), window).transpose(0, 1)
