r"""GoCA (arXiv 2603.06178, CVPR 2026; release Darkbblue/goca 475892f).

Idea: heads and layers need not be chosen by hand. In each cell a head counts as much as it adds to
the output of its layer. A layer counts as much as its self-attention joins those cells that a
reference finds alike. At last the content words compete for each cell.

    heads        C_l = sum_n <o_n, O> / |O|^2  A_n,      o_n = A_n V_n W_n,   O = sum_n o_n
    layers       w_l = sum_pq up(self-attention beside l)_pq  softmax(R R^T / sqrt(channels))_pq
    all layers   C = max(0, sum_l w_l up(C_l)), divided by its sum over all tokens
    rescaling    x_c = minmax(blur(mean over the tokens of c of C / sum over all entities' tokens))
    refinement   S = minmax(A^2 x);     scores S_c - S_background

R: the queries of the last inner layer of the second finest level (SD 1.5: output_blocks.7).
A: the inner layers of the finest level; see attention.inner_layers. up: keys bilinear, queries
nearest. Background: the maximum over the entities that mean no class, taken before A; entities.py
has the prompt.

Differences from the release, and why:
- By a slip of an index its R is one channel of 320. Here R has all of them, as the comment beside
  that line says; `first_channel` is the released form.
- GPT-4o tells it which entity means which class. Here the last words of an entity do.
- Where it first finds the name of a class inside another entity ("black cat, cat"), the class gets
  no token and a map of NaN. Here it gets the tokens of both.
- Its noise has no seed.
- Its coarse layers weigh more, since rows of up(...) sum to N_R / N_l. `normalise`, which is ours,
  corrects this.
- It is given the true classes, its offset is chosen on the same pictures, and void counts as
  background. This is its protocol, not its method: see evaluate/published.csv.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
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
from ..hard import as_cells, as_image, minmax, resize_maps
from ..model import Model
from ..prompts import Lookup, clean_classes
from .capture import capture_image, split_by_prompt
from .diffseg import resize_rows
from .entities import Prompt, prompts


@dataclass(kw_only=True)
class CapturedGoCA(CapturedAttention):
    """Captured attention, a view for each of `prompts`."""
    prompts: list[Prompt]


@dataclass(frozen=True)
class GoCA:
    """Defaults: the released code's for SD 1.5, except `first_channel`."""
    timestep: int = 100
    sample: bool = True                                  # a sample of the VAE's posterior
    seed: int = 0
    heads: bool = True                                   # False: their mean, as in its ablation
    layers: bool = True                                  # likewise
    rescale: bool = True                                 # likewise: C as it is
    first_channel: bool = False                          # of R alone, as released
    normalise: bool = False                              # the rows of up(...)
    blur: float = 1.1                                    # sigma of a 5 x 5 Gaussian; 0 = none
    tau: int = 2                                         # power of A
    threshold: float = 0.0                               # its offset; it tries nine, -0.4 to 0.4
    MARGINS: ClassVar = True                             # thresholds lie around 0
    CAPTURE_FIELDS: ClassVar = ("timestep", "sample", "seed")      # what `capture` depends on

    @torch.no_grad()
    def capture(self, model: Model, image: Image.Image, classes: Sequence[str],
                caption: str | None = None) -> CapturedGoCA:
        """A view under each prompt: one, unless it cannot hold the caption and all classes."""
        classes = clean_classes(classes)
        asked = prompts(model.text, classes, caption)
        states = model.text.states(torch.stack([prompt.ids for prompt in asked]))
        spans = {}
        for g, prompt in enumerate(asked):
            for name, tokens in prompt.class_tokens.items():
                spans[name] = (g, tokens)
        lookup = Lookup(states, [spans[name] for name in classes])
        captured = capture_image(model, image, states, [self.timestep], classes, lookup,
                                 sample=self.sample, seed=self.seed)
        return CapturedGoCA(**vars(captured), prompts=asked)

    @torch.no_grad()
    def scores(self, captured: CapturedGoCA) -> Tensor:
        """S_c - S_background (K, h, w) on the finest grid."""
        margins: dict[str, Tensor] = {}
        for view, prompt in zip(split_by_prompt(captured), captured.prompts):
            C = self.combine_layers(view)                                       # (N, T)
            x = self.entity_maps(view, C, prompt)
            S = self.refine(view, x)                                            # (K + 1, h, w)
            margins.update(zip(prompt.class_tokens, S[:-1] - S[-1]))
        return torch.stack([margins[name] for name in captured.classes])

    def combine_layers(self, view: CapturedAttention) -> Tensor:
        """C (N, T) on the finest grid."""
        paths = [path for path in view.record if path.endswith("attn2")]
        C = torch.zeros(())
        for path, w in zip(paths, self.layer_weights(view, paths)):
            C_l, _ = self.layer_map(view, path)
            C = C + w * resize_rows(C_l.T, view.record[path].grid, view.grids[-1])
        C = C.T.clamp_min(0)                                                    # (N, T)
        return C / C.sum(1, keepdim=True).clamp_min(1e-20)

    def layer_map(self, view: CapturedAttention, path: str) -> tuple[Tensor, Tensor]:
        """C_l (N, T), and the weights (N, h) of its heads: they sum to 1, some may be negative."""
        layer, states = view.layers[path], view.lookup.states
        q = at_least_float32(view.record[path].q[0])                            # (h, N, d)
        k = at_least_float32(layer.keys(states)[0])                             # (h, T, d)
        v = at_least_float32(layer.split(layer.to_v(states))[0])                # (h, T, d)
        # mypy: the items of a ModuleList have no type
        W = at_least_float32(layer.to_out[0].weight)  # type: ignore[arg-type]
        W = W.unflatten(1, (layer.heads, -1))                                   # (C, h, d)
        VW = torch.einsum("htd,chd->htc", v, W)

        maps, weights = [], []
        rows = max(1, BLOCK // (layer.heads * len(W)))
        for q_rows in q.split(rows, dim=1):                                     # (h, n, d)
            A = (q_rows @ k.mT / q.shape[-1] ** 0.5).softmax(-1)                # (h, n, T)
            o = A @ VW                                                          # (h, n, C)
            output = o.sum(0)                                                   # O
            w = (o * output).sum(-1) / output.square().sum(-1).clamp_min(1e-20)     # (h, n)
            C_l = (w[..., None] * A).sum(0) if self.heads else A.mean(0)
            maps.append(C_l)
            weights.append(w.T)
        return torch.cat(maps), torch.cat(weights)

    def layer_weights(self, view: CapturedAttention, paths: list[str]) -> Tensor:
        """w (L,) of the cross-attention layers, sum 1.

        Formed a few rows (cells of the reference) at a time.
        """
        # the reference R (N_R, channels), on the second finest grid
        grid = view.grids[-2]
        level = view.at(grid, "attn2")
        q = level[inner_layers(level)[-1]].q[0]                                 # (h, N_R, d)
        R = at_least_float32(q).transpose(0, 1).flatten(1)
        if self.first_channel:
            R = R[:, :1]
        if not self.layers:
            return R.new_full((len(paths),), 1 / len(paths))

        # how much the self-attention beside each layer joins cells that R finds alike
        beside = [view.record[path.removesuffix("attn2") + "attn1"] for path in paths]
        w = R.new_zeros(len(paths))
        rows = max(1, BLOCK // max(qk.k.shape[2] for qk in beside))
        for start in range(0, len(R), rows):
            block = slice(start, start + rows)
            similarity = (R[block] @ R.T / R.shape[1] ** 0.5).softmax(-1)       # (n, N_R)
            for i, (q, k, layer_grid) in enumerate(beside):
                queries = resize_maps(q[0], layer_grid, grid, "nearest")[None, :, block]
                A = mean_map([QK(queries, k, layer_grid)])[0]                 # (n, N_l)
                A = resize_rows(A, layer_grid, grid)                            # (n, N_R)
                if self.normalise:
                    A = A / A.sum(1, keepdim=True)
                w[i] += (A * similarity).sum()
        return w / w.sum()

    def entity_maps(self, view: CapturedAttention, C: Tensor, prompt: Prompt) -> Tensor:
        """x (K + 1, h, w) of the classes of this prompt and, the last, of the background."""
        if self.rescale:
            C = C / C[:, prompt.content_tokens].sum(1, keepdim=True).clamp_min(1e-20)
        entities = [*prompt.class_tokens.values(), *prompt.background_tokens]
        x = torch.stack([C[:, tokens].mean(1) for tokens in entities], -1)[None]        # (1, N, E)
        x = gaussian_blur(as_image(x, view.grids[-1]), self.blur)               # (1, E, h, w)
        x = as_image(minmax(as_cells(x)), view.grids[-1])[0]                    # (E, h, w)

        K = len(prompt.class_tokens)
        background = x[K:].amax(0, keepdim=True)
        return torch.cat([x[:K], background])

    def refine(self, view: CapturedAttention, x: Tensor) -> Tensor:
        """S (K + 1, h, w) from x (K + 1, h, w).

        The rows of A sum to 1, so a constant taken off x drops out; this keeps more digits.
        """
        level = view.at(view.grids[-1], "attn1")
        layers = [level[path] for path in inner_layers(level)]
        x = as_cells(x[None])                                                   # (1, N, K + 1)
        x = x - x.mean(1, keepdim=True)
        for _ in range(self.tau):
            x = apply_attention(layers, x)
        return as_image(minmax(x), view.grids[-1])[0]

    def upsampling(self, captured: CapturedAttention, scores: Tensor) -> tuple[Tensor, str]:
        """Bilinear to the picture's size, where the argmax is.

        The release interpolates each S and subtracts then, which is the same.
        """
        return scores, "bilinear"


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Maps (1, K, h, w) under a Gaussian window of 5 x 5 cells, edges reflected."""
    if not sigma:
        return x
    line = torch.exp(-(torch.arange(-2, 3).to(x) / sigma) ** 2 / 2)
    window = torch.outer(line, line) / line.sum() ** 2
    x = F.pad(x, (2, 2, 2, 2), mode="reflect").transpose(0, 1)         # (K, 1, h+4, w+4)
    return F.conv2d(x, window[None, None]).transpose(0, 1)
