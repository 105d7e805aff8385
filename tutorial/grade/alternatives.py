"""What can be changed in the exercises without changing the lesson.

Names and strings are those of the original exercise: a notebook that says it otherwise is noticed
by tests/test_variants.py.
"""
import numpy as np
import torch

from . import is_tensor
from .changes import Change, Variable


def orders(*all: str) -> list[Change]:
    """The arguments in these orders."""
    return [Change(order=order) for order in all]


def checked(got, shape):
    """What came back, if it is a tensor of this shape."""
    is_tensor(got, shape)
    return got


# 00: another label for pixels that nobody knows


def unlabelled(value: int) -> Change:
    def exchanged(labels):
        labels = np.asarray(labels)
        return np.where(labels == 255, value, np.where(labels == value, 255, labels)).astype(labels.dtype)

    def before(a):
        return {name: exchanged(labels) for name, labels in a.items()}

    return Change(text={"255": str(value)}, before=before,
                  says={"255": str(value), str(value): "255"})


# 01: pictures in another range


def from_0_to(peak: int, as_what: str, error: str) -> Change:
    def before(a):
        return {name: (picture + 1) * (peak / 2) for name, picture in a.items()}

    return Change(
        text={"Mind $D$.": f"Mind $D$: these pictures are in $[0, {peak}]$, {as_what}, not in $[-1, 1]$.",
              "in [-1, 1], so the largest difference is 2": f"in [0, {peak}], so the largest difference is {peak}",
              "torch.zeros(2, 3, 4, 5) - 1, torch.zeros(2, 3, 4, 5)":
                  f"torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5) + {error}",
              "an error of 1 everywhere, of at most 2,": f"an error of {error} everywhere, of at most {peak},",
              "4 / (a - b)": f"{peak} ** 2 / (a - b)" if peak > 1 else "1 / (a - b)"},
        before=before,
        says={"[-1, 1]": f"[0, {peak}]", "can have, 2": f"can have, {peak}", "peak-to-peak of 2": f"peak-to-peak of {peak}",
              "peak-to-peak D of 2, so D x D = 4; yours takes 1": f"peak-to-peak D of {peak}; yours takes half of it",
              "D is squared in 10 log10(D x D / mse): 4, yours takes 2": "D is squared in 10 log10(D x D / mse)"})


# 02: the network is asked with the timestep first


def timestep_first(a):
    def predict(t, z):
        assert not isinstance(t, torch.Tensor) or t.ndim == 0, "`predict` takes the timestep first, then the latent"
        return a["predict"](z, t)

    return a | {"predict": predict}


PREDICT = Change(text={"predict(z, t)": "predict(t, z)"}, before=timestep_first)


# 03: queries and keys in another layout


HEADS_SECOND = Change(
    text={"A tensor of shape $(h, N, d)$ is a stack of $h$ matrices.":
              "Here the cells come first, $(N, h, d)$, as the layer computes them. With the heads first,\n"
              "by `q.transpose(0, 1)`, a tensor is a stack of $h$ matrices.",
          "q (h, N, d), k (h, M, d)": "q (N, h, d), k (M, h, d)",
          "torch.randn(2, 5, 4), torch.randn(2, 7, 4)": "torch.randn(5, 2, 4), torch.randn(7, 2, 4)",
          "return (q @ k.transpose(1, 2)": "q, k = q.transpose(0, 1), k.transpose(0, 1)\n    return (q @ k.transpose(1, 2)"},
    before=lambda a: {name: x.transpose(0, 1) for name, x in a.items()})
CHANNELS_SECOND = Change(
    text={"A tensor of shape $(h, N, d)$ is a stack of $h$ matrices.":
              "Here a head has a row for each channel and a column for each cell: $(h, d, N)$, a stack of $h$\nmatrices.",
          "and `k.transpose(1, 2)` transposes": "and `q.transpose(1, 2)` transposes",
          "q (h, N, d), k (h, M, d)": "q (h, d, N), k (h, d, M)",
          "torch.randn(2, 5, 4), torch.randn(2, 7, 4)": "torch.randn(2, 4, 5), torch.randn(2, 4, 7)",
          "the last number of `q`'s shape": "the second number of `q`'s shape",
          "q @ k.transpose(1, 2) / q.shape[-1] ** 0.5": "q.transpose(1, 2) @ k / q.shape[1] ** 0.5"},
    before=lambda a: {name: x.transpose(1, 2) for name, x in a.items()})


# 04: tokens are the rows of the attention


TOKENS_FIRST = Change(
    text={r"$N \times T$": r"$T \times N$", "C_{:,j}": "C_{j,:}", "Attention C (N, T)": "Attention C (T, N)",
          "torch.rand(6, 9)": "torch.rand(9, 6)", "[[0.5, 0.1, 0.3, 0.1]]": "[[0.5], [0.1], [0.3], [0.1]]",
          "selects columns as well": "selects rows as well", "C[:, span].mean(-1)": "C[span].mean(0)"},
    before=lambda a: a | {"C": a["C"].T},
    says={"columns": "rows", "rows": "columns", "column": "row", "row": "column",
          "too far left": "too early", "too far right": "too late"})


# 05: maps in another layout, and alpha for the way home


def layout(shape: str, axes: str, hint: str, solution: str, before, after, says: dict[str, str], tests: dict[str, str]) -> Change:
    """Min-max of maps of another shape, over other axes."""
    return Change(
        text={"y (N, K) to [0, 1] over the N cells: (N, K)": f"y {shape} to [0, 1] over {axes}: {shape}",
              "value of a *column*: over dim 0.": hint, "low, high = y.amin(0), y.amax(0) # (K,)": solution, **tests},
        before=lambda a: {"y": before(a["y"])},
        after=lambda got, a: after(checked(got, before(a["y"]).shape), a["y"]), says=says)


def as_picture(y):
    """(N, K) -> (H, W, K)"""
    N, K = y.shape
    return y.reshape(2, N // 2, K) if N % 2 == 0 else y.reshape(1, N, K)


LAYOUTS = [
    layout("(K, N)", "the N cells", "value of a *row*: over dim 1.",
           "low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)        # (K, 1)",
           lambda y: y.T, lambda got, y: got.T, {"(column)": "(row)", "(rows, dim 0)": "(columns, dim 1)"},
           {"y_{i,c}": "y_{c,i}", "y_{j,c}": "y_{c,j}", "(y)_{i,c}": "(y)_{c,i}",
            "[[1.0, 10.0], [2.0, 10.0], [5.0, 10.0]]": "[[1.0, 2.0, 5.0], [10.0, 10.0, 10.0]]",
            "(3, 2)": "(2, 3)", "test_y[:, 0]": "test_y[0]", "test_y[:, 1]": "test_y[1]"}),
    layout("(H, W, K)", "H and W", "value of a *picture*: over dim 0 and dim 1.",
           "low, high = y.amin((0, 1)), y.amax((0, 1))                                      # (K,)",
           as_picture, lambda got, y: got.reshape(y.shape), {"(column)": "(last axis)", "(rows, dim 0)": "(dim 0 and dim 1)"},
           {"[[1.0, 10.0], [2.0, 10.0], [5.0, 10.0]]": "[[[1.0, 10.0], [2.0, 10.0], [5.0, 10.0]]]",
            "(3, 2)": "(1, 3, 2)", "test_y[:, 0]": "test_y[0, :, 0]", "test_y[:, 1]": "test_y[0, :, 1]"}),
    layout("(K, H, W)", "H and W", "value of a *picture*: over dim 1 and dim 2.",
           "low = y.amin((1, 2), keepdim=True)\n    high = y.amax((1, 2), keepdim=True)                                             # (K, 1, 1)",
           lambda y: as_picture(y).permute(2, 0, 1), lambda got, y: got.permute(1, 2, 0).reshape(y.shape),
           {"(column)": "(first axis)", "(rows, dim 0)": "(dim 1 and dim 2)"},
           {"[[1.0, 10.0], [2.0, 10.0], [5.0, 10.0]]": "[[[1.0, 2.0, 5.0]], [[10.0, 10.0, 10.0]]]",
            "(3, 2)": "(2, 1, 3)", "test_y[:, 0]": "test_y[0, 0]", "test_y[:, 1]": "test_y[1, 0]"})]

HOME = Change(
    text={r"probability $1 - \alpha$": r"probability $\alpha$",
          r"\alpha\, A\, y_n + (1 - \alpha)\, x": r"(1 - \alpha)\, A\, y_n + \alpha\, x",
          r"$0 \le \alpha < 1$": r"$0 < \alpha \le 1$",
          r"$(1 - \alpha)(I - \alpha A)^{-1} x$": r"$\alpha\,(I - (1 - \alpha) A)^{-1} x$",
          "alpha A y_n + (1 - alpha) x": "(1 - alpha) A y_n + alpha x",
          "(1 - alpha) (I - alpha A)^-1 x": "alpha (I - (1 - alpha) A)^-1 x",
          "alpha * (A @ y) + (1 - alpha) * x": "(1 - alpha) * (A @ y) + alpha * x"},
    before=lambda a: a | {"alpha": 1 - a["alpha"]},
    says={"alpha": "(1 - alpha)", "1 - alpha": "alpha", "(1 - alpha)": "alpha", "alpha = 1": "alpha = 0", "alpha = 0": "alpha = 1"})


# 06: views, score maps and counts in another layout


VIEWS = {"of a picture, `scores[0]`, and of its mirror image,": "of a mirror image, `scores[0]`, and of its picture,",
         "of a picture and of its mirror image": "of a mirror image and of its picture"}
AXES = {"(2, K, H, W)": "(K, 2, H, W)", "(2, 1, 1, 3)": "(1, 2, 1, 3)"}
SECOND_AXIS = {"the mean over the views, the first axis": "the mean over the views, the second axis"}
MERGED = [
    Change(text=VIEWS | {"[[[[1., 0, 0]]], [[[0., 1, 1]]]]": "[[[[0., 1, 1]]], [[[1., 0, 0]]]]",
                         "picture, mirrored = scores": "mirrored, picture = scores"},
           before=lambda a: {"scores": a["scores"].flip(0)}),
    Change(text=AXES | {"`scores[0]`": "`scores[:, 0]`", "`scores[1]`": "`scores[:, 1]`",
                        "[[[[1., 0, 0]]], [[[0., 1, 1]]]]": "[[[[1., 0, 0]], [[0., 1, 1]]]]",
                        "picture, mirrored = scores": "picture, mirrored = scores.unbind(1)"},
           before=lambda a: {"scores": a["scores"].transpose(0, 1)}, says=SECOND_AXIS),
    Change(text=AXES | {"of a picture, `scores[0]`, and of its mirror image,": "of a mirror image, `scores[:, 0]`, and of its picture,",
                        "of a picture and of its mirror image": "of a mirror image and of its picture", "`scores[1]`": "`scores[:, 1]`",
                        "[[[[1., 0, 0]]], [[[0., 1, 1]]]]": "[[[[0., 1, 1]], [[1., 0, 0]]]]",
                        "picture, mirrored = scores": "mirrored, picture = scores.unbind(1)"},
           before=lambda a: {"scores": a["scores"].flip(0).transpose(0, 1)}, says=SECOND_AXIS)]

CLASSES_LAST = Change(
    text={"score maps `scores` $(K, H, W)$": "score maps `scores` $(H, W, K)$", "Score maps (K, H, W)": "Score maps (H, W, K)",
          "[[[.75, .25], [.25, .0]], [[.5, .5], [.0, .125]]]": "[[[.75, .5], [.25, .5]], [[.25, .0], [.0, .125]]]",
          "scores.max(0)": "scores.max(-1)"},
    before=lambda a: a | {"scores": a["scores"].permute(1, 2, 0)},
    after=lambda got, a: checked(got, a["scores"].shape[1:]),
    says={"classes are the first axis: the best is taken over axis 0": "classes are the last axis: the best is taken over axis 2"})


def turned(got, a):
    is_tensor(got)
    return got.T if got.ndim == 2 else got


LABELS_IN_ROWS = Change(
    text={"whose truth is $i$ and whose label is $j$": "whose label is $i$ and whose truth is $j$",
          "rows truth, columns label": "rows label, columns truth", "rows: truth; columns: label": "rows: label; columns: truth",
          "truth[known].long() * n + labels[known].long()": "labels[known].long() * n + truth[known].long()"},
    after=turned,
    says={"rows are the truth and columns the labels": "rows are the labels and columns the truth",
          "rows are the truth, columns the labels": "rows are the labels, columns the truth",
          "have no row": "have no column", "in the last row": "in the last column", "each row": "each column", "each column": "each row",
          "for rows without": "for columns without", "for columns without": "for rows without"})


# Not 7.3 and others that ask for an idea: the notebook's own bench calls what the student writes.
VARIABLE = {
    "0.1": Variable("pixel_accuracy", "labels truth", (orders("truth labels"), [unlabelled(254), unlabelled(99)])),
    "1.1": Variable("latent", "mean logvar noise scaling", (
        orders("noise mean logvar scaling", "scaling mean logvar noise", "logvar mean noise scaling", "scaling noise mean logvar"),)),
    "1.2": Variable("psnr", "a b", ([from_0_to(1, "as programs show them", "0.5"), from_0_to(255, "as files hold them", "127.5"),
                                     from_0_to(100, "in percent of white", "50")],)),
    "1.3": Variable("patch", "i j factor side", (orders("j i factor side", "side factor i j", "i j side factor", "factor i j side"),)),
    "2.1": Variable("alpha_bars", "steps start end", (orders("start end steps", "end start steps", "steps end start"),)),
    "2.2": Variable("clean", "z_t eps abar_t", (orders("abar_t z_t eps", "eps z_t abar_t", "z_t abar_t eps", "eps abar_t z_t"),)),
    "2.3": Variable("ddim_step", "z eps abar_s abar_t", (
        orders("z eps abar_t abar_s", "abar_s abar_t z eps", "eps z abar_s abar_t", "z abar_s abar_t eps", "eps z abar_t abar_s"),)),
    "2.4": Variable("invert", "predict z abars ts", (orders("z predict ts abars", "z ts abars predict", "abars ts z predict"), [PREDICT])),
    "3.1": Variable("attention_map", "q k", (orders("k q"), [HEADS_SECOND, CHANNELS_SECOND])),
    "3.2": Variable("attend", "q k v", (orders("v k q", "k v q", "q v k", "k q v"),)),
    "3.3": Variable("sees", "A grid y x", (orders("A grid x y", "y x A grid", "grid A x y", "A x y grid"),)),
    "4.1": Variable("find_span", "ids name", (orders("name ids"),)),
    "4.2": Variable("class_map", "C span", (orders("span C"), [TOKENS_FIRST])),
    "4.3": Variable("dual_cross", "q to_k states heads", (
        orders("states to_k q heads", "heads q to_k states", "q states to_k heads", "states to_k heads q"),)),
    "5.1": Variable("minmax", "y", (LAYOUTS,)),
    "5.2": Variable("fuse", "maps weights full", (orders("weights maps full", "full maps weights", "full weights maps"),)),
    "5.3": Variable("power_times", "A x tau", (orders("x A tau", "tau A x", "A tau x"),)),
    "5.4": Variable("coarse_refine", "A x r full", (orders("x A r full", "A x full r", "x A full r", "r full A x"),)),
    "5.5": Variable("random_walk_with_restart", "A x alpha steps", (orders("x A alpha steps", "A x steps alpha", "x A steps alpha"), [HOME])),
    "6.1": Variable("merge", "scores", (MERGED,)),
    "6.2": Variable("label", "scores threshold", (orders("threshold scores"), [CLASSES_LAST])),
    "6.3": Variable("confusion", "truth labels n", (orders("labels truth n", "n truth labels", "n labels truth"), [LABELS_IN_ROWS])),
    "7.2": Variable("faseg_scores", "x maps weights tau grid", (
        orders("maps x weights tau grid", "x weights maps grid tau", "grid x maps weights tau", "weights maps x grid tau"),)),
    "8.1": Variable("raise_word", "z z_empty span weight", (
        orders("z_empty z span weight", "z z_empty weight span", "span weight z z_empty", "z_empty z weight span"),)),
    "8.2": Variable("reduce_entropy", "A lam", (orders("lam A"),)),
    "8.3": Variable("iterate", "P x n", (orders("x P n", "n P x", "n x P"),)),
    "8.4": Variable("three_way", "best k certain threshold", (
        orders("certain threshold best k", "k best certain threshold", "k best threshold certain", "threshold certain best k"),)),
    "8.6": Variable("cluster_distance", "S M", (orders("M S"),)),
    "8.7": Variable("class_attention", "levels A weights size", (orders("A levels weights size", "levels weights A size", "size weights levels A"),)),
    "8.8": Variable("merge_maps", "maps grid tau anchors", (orders("maps grid anchors tau", "grid maps tau anchors", "tau anchors maps grid"),)),
    "8.9": Variable("inversion_loss", "S M grid anchor repel weight", (
        orders("M S grid anchor repel weight", "S M grid weight repel anchor", "S M grid repel anchor weight", "M S grid weight anchor repel"),)),
    "9.1": Variable("map_bytes", "side factor layers heads size", (
        orders("layers heads side factor size", "factor side layers heads size", "heads layers side factor size"),)),
}
