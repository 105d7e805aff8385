"""08, the rivals."""
import math
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import torch
import torch.nn.functional as F

import minifaseg
from minifaseg import labelling
from minifaseg.attention import select_views
from minifaseg.cartoon.painter import paint
from minifaseg.rivals import diffseg, invseg, iseg
from minifaseg.rivals.capture import capture_latents, noised_latents
from minifaseg.rivals.diffsegmenter import DiffSegmenter

from . import close, is_tensor, meaning, seeded, write_it_yourself


@write_it_yourself(DiffSegmenter.prompts)
def check_8_1(student):
    z, empty = torch.randn(7, 5), torch.randn(7, 5)
    given, given_empty, span, w = z.clone(), empty.clone(), [1, 4, 5], 1.21
    loud = student.raise_word(given, given_empty, span, w)
    assert torch.equal(given, z), "your function changed the z it was given; clone z first"
    assert torch.equal(given_empty, empty) and span == [1, 4, 5], "your function changed z_empty or span; clone z first, and write into the clone alone"
    is_tensor(loud)

    def other(change, span=span):
        """z with the tokens of span changed."""
        out = z.clone()
        for i in span:
            out[i] = change(z[i], empty[i])
        return out

    raised = lambda z, e: e + w * (z - e)
    close(loud, other(raised), "not z_empty + weight (z - z_empty) in the span, z elsewhere", mistakes={
        "tokens outside the span should stay as they are; yours raises all of them": empty + w * (z - empty),
        "tokens outside the span should stay as they are; yours raises the whole range from the first to the last": other(raised, range(1, 6)),
        "all tokens of the span are raised; yours raises the first alone": other(raised, span[:1]),
        "all tokens of the span are raised; yours raises the last alone": other(raised, span[-1:]),
        "the last token of the span is left out": other(raised, span[:-1]),
        "tokens are counted from 0, as in the span; yours are one too far left": other(raised, [0, 3, 4]),
        "tokens are counted from 0, as in the span; yours are one too far right": other(raised, [2, 5, 6]),
        "that raises what is outside the span, and leaves the span": other(raised, [0, 2, 3, 6]),
        "that is iSeg's way, away from 0: here the token moves away from the empty prompt's state": other(lambda z, e: w * z),
        "each token moves in a direction of its own, z_i - z_empty,i; yours moves all of them by the mean direction":
            other(lambda a, e: e + w * torch.stack([z[i] - empty[i] for i in span]).mean(0)),
        "`weight` is an argument; yours takes 2 whatever is given": other(lambda z, e: e + 2 * (z - e)),
        "`weight` is an argument; yours takes 1.1 whatever is given": other(lambda z, e: e + 1.1 * (z - e)),
        "start from z_empty, not from z: with a weight of 1 nothing should change": other(lambda z, e: z + w * (z - e)),
        "start from z_empty and go w (z - z_empty); yours goes towards the empty prompt's state": other(lambda z, e: z + w * (e - z)),
        "the difference is turned: z - z_empty": other(lambda z, e: e + w * (e - z)),
        "z and z_empty are exchanged: start from z_empty": other(lambda z, e: z + w * (e - z)),
        "z_empty is missing: w (z - z_empty) starts from it": other(lambda z, e: w * (z - e)),
        "the weight is on the empty state; z_empty + w (z - z_empty) has w z + (1 - w) z_empty": other(lambda z, e: w * e + (1 - w) * z),
        "w z + (1 - w) z_empty; yours adds z_empty with weight 1": other(lambda z, e: e + w * z),
        "the weight is missing": other(lambda z, e: z),
        "the tokens are replaced by those of the empty prompt": other(lambda z, e: e),
        "each token has an empty state at its own position; you took the first one for all": other(lambda z, e: empty[0] + w * (z - empty[0])),
        "each token has an empty state at its own position; you took the last one for all": other(lambda z, e: empty[-1] + w * (z - empty[-1])),
        "each token has an empty state at its own position; you took the mean for all": other(lambda z, e: empty.mean(0) + w * (z - empty.mean(0))),
        "each token has an empty state at its own position; you took the first ones, z_empty[0], z_empty[1], ...":
            torch.stack([raised(z[i], empty[span.index(i)]) if i in span else z[i] for i in range(7)]),
        "leave the length as it is; yours is scaled back to the length of z": other(lambda z, e: raised(z, e) / raised(z, e).norm() * z.norm()),
        "tokens outside the span should stay as they are, those of z; yours are the empty prompt's": torch.stack([raised(z[i], empty[i]) if i in span else empty[i] for i in range(7)]),
        "all T tokens come back, those outside the span as they are; yours 0": torch.stack([raised(z[i], empty[i]) if i in span else 0 * z[i] for i in range(7)]),
        "all T tokens come back, also those outside the span; yours are the span's alone": torch.stack([raised(z[i], empty[i]) for i in span])})
    close(student.raise_word(z.clone(), empty, [2], 1), z, "a weight of 1 should change nothing")
    close(student.raise_word(z.clone(), empty, [6], 0.0), other(lambda z, e: e, [6]), "a weight of 0 should silence the word: its state is the empty prompt's")


@write_it_yourself(iseg.reduce_entropy)
def check_8_2(student):
    over = lambda x: x / x.sum(1, keepdim=True)
    A = torch.tensor([[0.1, 0.3, 0.6], [0.3, 0.4, 0.3], [0.05, 0.9, 0.05]])
    given = A.clone()
    P = student.reduce_entropy(given, 0.0)
    assert torch.equal(given, A), "your function changed the A it was given; make a new tensor"
    is_tensor(P)
    columns = A / A.amax(0)
    close(P, over(columns), "lambda = 0: divide each column by its largest entry, then each row by its sum", mistakes={
        "divide by the largest entry of each COLUMN, over the queries; a scaling by the row's maximum, or by one maximum for the whole map, drops out when rows are divided by their sum": A,
        "rows of P should sum to 1: divide by the sum over the keys, at the end; it is missing": columns,
        "rows of P should sum to 1; yours is scaled by the row's maximum, and not divided by its sum": A / A.amax(1, keepdim=True),
        "rows of P should sum to 1: your columns do; divide by the sum over the keys, dim 1": columns / columns.sum(0),
        "divide each column by its largest entry, not by its sum": over(A / A.sum(0)),
        "divide each column by its largest entry; yours subtracts it": over(A - A.amax(0)),
        "min-max is another scaling: divide each column by its largest entry": over((A - A.amin(0)) / (A.amax(0) - A.amin(0))),
        "multiply by nothing: divide each column by its largest entry": over(A * A.amax(0)),
        "a softmax is another normalisation: divide each row by its sum": columns.softmax(1),
        "with lambda = 0 nothing of the step is left, but the scaling by the column's maximum is": torch.eye(3)})
    A = torch.randn(12, 12).mul(2).softmax(1)
    P, right = student.reduce_entropy(A.clone(), 0.2), iseg.reduce_entropy(A, 0.2)
    is_tensor(P)
    A_ = A / A.amax(0)
    step = lambda change, scaled=A_: over((scaled + 0.2 * change).clamp_min(0))
    log = (math.e * A_).log10()
    kept = (A_ + 0.2 * log).clamp_min(0)
    row = A / A.amax(1, keepdim=True)
    early = (A + 0.2 * (math.e * A).log10()).clamp_min(0)
    keep = lambda P: torch.where(P.isfinite(), P, torch.eye(12))
    close(P, right, "not the rows of max(0, A' + lambda log10(e A')), each divided by its sum", mistakes={
        "the maximum is that of a column, over the queries; yours is the row's": step((math.e * row).log10(), row),
        "the maximum is that of each column; yours is the largest entry of all": step((math.e * A / A.max()).log10(), A / A.max()),
        "the scaling by the column's maximum is missing": step((math.e * A).log10(), A),
        "the logarithm is the one of base 10, as in the released code; yours is the natural logarithm": step(1 + A_.log()),
        "the logarithm is the one of base 10; yours is the one of base 2": step((math.e * A_).log2()),
        "the logarithm is that of e A', not of A'": step(A_.log10()),
        "the logarithm is that of e A' and of base 10; yours is the natural one of A'": step(A_.log()),
        "the logarithm is that of e A'; yours adds 1 to a logarithm of base 10, but log10(e A') = log10(e) + log10(A')": step(1 + A_.log10()),
        "the logarithm is that of e A', with Euler's number; yours has 10 A'": step((10 * A_).log10()),
        "the logarithm is that of A', scaled by the column's maximum; yours is that of A": step((math.e * A).log10()),
        "entries below 0 should become 0 before the rows are divided; yours stay": over(A_ + 0.2 * log),
        "entries below 0 should become 0 before the rows are divided; yours stay, and a row whose sum is below 0 becomes the diagonal":
            torch.where((A_ + 0.2 * log).sum(1, keepdim=True) > 0, (A_ + 0.2 * log) / (A_ + 0.2 * log).sum(1, keepdim=True).clamp_min(1e-20), torch.eye(12)),
        "scale by the column's maximum first; yours takes the logarithm before it": keep(over(early / early.amax(0).clamp_min(1e-20))),
        "scale by the column's maximum first; yours takes the logarithm before it, and columns that vanish have no maximum": over(early / early.amax(0)),
        "entries below 0 should become 0 before the rows are divided; yours become 0 after it": over(A_ + 0.2 * log).clamp_min(0),
        "entries below 0 should become 0; yours lose their sign": over((A_ + 0.2 * log).abs()),
        "the step is + lambda log10(e A'), negative for small A'; yours goes in the other direction": step(-log),
        "the step is A' + lambda log10(e A'); yours leaves A' out": over((0.2 * log).clamp_min(0)),
        "the step is A' + lambda log10(e A'); yours multiplies the logarithm by A'": step(A_ * log),
        "the step is A' + lambda log10(e A'); yours subtracts A' times it": step(-A_ * log),
        "lambda is missing, or taken for 1": over((A_ + log).clamp_min(0)),
        "the step is missing: only the scaling is done": over(A_),
        "rows of P should sum to 1: divide by the sum over the keys, at the end; it is missing": kept,
        "rows of P should sum to 1: your columns do; divide by the sum over the keys, dim 1": kept / kept.sum(0),
        "the rows are divided by their sum at the end; yours are divided before the step, too": step((math.e * over(A_)).log10(), over(A_)),
        "the rows are divided by their sum; yours by their largest entry": kept / kept.amax(1, keepdim=True),
        "a softmax is another normalisation: divide each row by its sum": kept.softmax(1),
        "P is as large as A and lies as A does; yours is transposed": right.T})
    assert P.min() >= 0, f"entries below 0 should become 0; yours go down to {P.min().item():.3g}"
    assert torch.allclose(P.sum(1), torch.ones(12), atol=1e-5), "rows of P should sum to 1 after small entries have become 0: divide last"
    A = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6], [0.0, 0.3, 0.7]])
    for lam in (0.1, 0.0):
        P, right = student.reduce_entropy(A.clone(), lam), iseg.reduce_entropy(A, lam)
        is_tensor(P, (3, 3))
        assert P.isfinite().all(), f"an entry of 0 should stay 0, yours becomes NaN (lambda = {lam:g}): log 0 is minus infinity, and 0 times that is NaN"
        assert P[0, 2] == 0 and P[2, 0] == 0, f"an entry of 0 should stay 0 (lambda = {lam:g}); yours becomes {P[0, 2].item():.3g}: log 0 is minus infinity, which max(0, ...) makes 0"
        close(P, right, f"wrong for a map with zeros in it, lambda = {lam:g}: is there a NaN on the way? log 0 is minus infinity, and 0 times that is NaN")
    A = 0.9 * torch.eye(40) + 0.1 / 40
    A[3] = 1 / 40                                                   # looks everywhere, a little; and another cell looks at it more than it does itself
    A[5] = 0.0025
    A[5, 3], A[5, 5] = 0.5, 0.405
    P, right = student.reduce_entropy(A.clone(), 0.5), iseg.reduce_entropy(A, 0.5)
    is_tensor(P, (40, 40))
    assert P.isfinite().all(), "a row with nothing left became NaN: 0 divided by 0"
    emptied = "a row with nothing left should keep its cell, 1 on the diagonal"
    assert P[3].sum() != 0, f"{emptied}; yours is all 0"
    assert P[3].max() - P[3].min() > 1e-6, f"{emptied}; yours looks everywhere, the same everywhere"
    assert abs(P[3].sum().item() - 1) < 1e-5, f"{emptied}; yours sums to {P[3].sum().item():.3g}"
    assert P[3, 3] == 1, f"{emptied}; yours has {P[3, 3].item():.3g} there"
    close(P, right, f"{emptied}, 0 elsewhere; and rows with something left do not get it", 1e-4)


@write_it_yourself(iseg.distribution, iseg.ISeg.scores)
def check_8_3(student):
    P, x = torch.randn(9, 9).mul(2).softmax(1), torch.rand(9, 4) + 0.5
    given = x.clone(), P.clone()
    y = student.iterate(given[1], given[0], 3)
    assert torch.equal(given[0], x) and torch.equal(given[1], P), "your function changed the x or P it was given; make new tensors"
    is_tensor(y)
    low, over = lambda y, dim=0: y - y.amin(dim, keepdim=True), lambda y, dim=0: y / y.sum(dim, keepdim=True)

    def rounds(one, n=3, x=x):
        for _ in range(n):
            x = one(x)
        return x

    right = rounds(lambda x: over(low(P @ x)))
    raw = P @ P @ P @ x
    close(y, right, "not n rounds of y = P x, y - min y, / sum y", 1e-4, {
        "y = P x, not P^T x: row i of P says where cell i looks": rounds(lambda x: over(low(P.T @ x))),
        "every class map has its own minimum, taken over its cells; yours takes one minimum for all": rounds(lambda x: over(P @ x - (P @ x).min())),
        "every class map has its own sum, taken over its cells; yours takes one sum for all": rounds(lambda x: low(P @ x) / low(P @ x).sum()),
        "every class map has its own minimum and sum; yours takes one of each for all": rounds(lambda x: (P @ x - (P @ x).min()) / (P @ x - (P @ x).min()).sum()),
        "minimum and sum run over the cells, dim 0; yours run over the classes": rounds(lambda x: over(low(P @ x, 1), 1)),
        "the minimum runs over the cells, dim 0; yours over the classes": rounds(lambda x: over(low(P @ x, 1))),
        "the sum runs over the cells, dim 0; yours over the classes": rounds(lambda x: over(low(P @ x), 1)),
        "the minimum is not taken off": rounds(lambda x: over(P @ x)),
        "the division by the sum is missing": rounds(lambda x: low(P @ x)),
        "both the minimum and the sum are missing: that is P^n x": raw,
        "divide by the sum, not by the largest entry; that is min-max": rounds(lambda x: low(P @ x) / low(P @ x).amax(0)),
        "divide by the sum over the cells, not by the mean": rounds(lambda x: low(P @ x) / low(P @ x).mean(0)),
        "divide by the sum of what is left, after the minimum is taken off; yours is the sum before it": rounds(lambda x: low(P @ x) / (P @ x).sum(0)),
        "the minimum is taken off before the division; yours comes after it, so that maps do not sum to 1": rounds(lambda x: low(over(P @ x))),
        "the mean is taken off; it is the minimum": rounds(lambda x: over(P @ x - (P @ x).mean(0))),
        "n rounds, each from the last one's result; yours looks like a single round": over(low(P @ x)),
        "the minimum is that of P x, after the product; yours is that of x, before it": rounds(lambda x: over(P @ x - x.amin(0))),
        "P is applied once in every round; yours once in the first, twice in the second, three times in the third": rounds(lambda x: over(low(P @ x)), 6),
        "one round too many": rounds(lambda x: over(low(P @ x)), 4),
        "one round too few": rounds(lambda x: over(low(P @ x)), 2),
        "normalise after P x in every round, and not before the first": rounds(lambda x: over(low(P @ x)), 3, over(low(x))),
        "in every round the product comes first, then minimum and sum; yours is the other way round": rounds(lambda x: P @ over(low(x))),
        "minimum and sum belong into every round; yours come once, after all products": over(low(raw)),
        "P is to be applied as a matrix; yours takes the power of its entries": over(low(P ** 3 @ x)),
        "minimum and sum come in the product's place: P is not applied": over(low(x)),
        "a softmax is another normalisation: y - min y, divided by its sum": rounds(lambda x: (P @ x).softmax(0)),
        "every round begins from the first x": over(low(P @ x))})
    close(student.iterate(P, x, 0), x, "no round at all should give back x as it is")
    wide = torch.rand(3, 5)
    small = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.0, 0.1, 0.9]])
    close(student.iterate(small, wide, 1), over(low(small @ wide)), "wrong where there are more classes than cells: the minimum and the sum run over the cells")
    long = student.iterate(P.double(), x.double(), 60)
    assert long.isfinite().all() and (long.sum(0) - 1).abs().max() < 1e-9, "after 60 rounds the maps should still sum to 1: subtract and divide in every round, or the digits run out"


@write_it_yourself(labelling.label)
def check_8_4(student):
    best, k = 0.95 * torch.rand(5, 7), torch.randint(0, 6, (5, 7))
    best[1, :4] = torch.tensor([0.9, 0.74, 0.7, 0.24])
    best[0, :4], k[0, :4] = torch.tensor([0.8, 0.5, 0.1, 0.2]), torch.tensor([4, 3, 2, 0])
    given = best.clone(), k.clone()
    labels = student.three_way(*given, 0.75, 0.25)
    assert torch.equal(given[0], best) and torch.equal(given[1], k), "your function changed best or k; make a new tensor"
    is_tensor(labels)
    where = torch.where
    sure, some = best >= 0.75, best >= 0.25
    right = where(sure, k + 1, where(some, 255, 0))
    stretched = (best - best.min()) / (best.max() - best.min())
    for said, wrong in {
            "class indices count from 0, labels from 1: label 0 is the background": where(sure, k, where(some, 255, 0)),
            "class indices count from 0, labels from 1; yours adds 2": where(sure, k + 2, where(some, 255, 0)),
            "from `threshold` on and below `certain` the label is 255; yours is never unsure: is 255 forgotten, or are the two thresholds exchanged?": where(sure, k + 1, 0),
            "from `threshold` on and below `certain` the label is 255, unsure; yours is the class": where(some, k + 1, 0),
            "below `threshold` the label is 0, the background; yours is 255": where(sure, k + 1, 255),
            "below `threshold` the label is 0, the background; yours is the class": where(sure, k + 1, where(some, 255, k + 1)),
            "below `threshold` the label is 0, and between the two 255; yours has these exchanged": where(sure, k + 1, where(some, 0, 255)),
            "where best is above `certain` the label is the class, and between the two 255; yours has these exchanged": where(sure, 255, where(some, k + 1, 0)),
            "the label of an unsure pixel is 255; yours is -1": where(sure, k + 1, where(some, -1, 0)),
            "the label of an unsure pixel is 255; yours is 254": where(sure, k + 1, where(some, 254, 0)),
            "the label of an unsure pixel is 255; yours is 256": where(sure, k + 1, where(some, 256, 0)),
            "the label of an unsure pixel is 255, whatever its class": where(sure, k + 1, where(some, 255 + k, 0)),
            "`certain` and `threshold` are arguments; yours takes 0.5 and 0.25 whatever is given": where(best >= 0.5, k + 1, where(some, 255, 0)),
            "scores meet the thresholds as they are; yours are divided by the largest first": where(best / best.max() >= 0.75, k + 1, where(best / best.max() >= 0.25, 255, 0)),
            "scores meet the thresholds as they are; yours are stretched from 0 to 1 first": where(stretched >= 0.75, k + 1, where(stretched >= 0.25, 255, 0)),
            "a picture need not be square: yours looks at its first columns only, as many as it has rows": right * (torch.arange(7) < 5),
            "neither threshold is used": k + 1,
            "255 is above the class as well: the comparison with `certain` is turned": where(best < 0.75, k + 1, where(some, 255, 0)),
            "an int8 holds at most 127, and 255 must fit": right.to(torch.int8).long(),
            "an unsure pixel is between the two thresholds; yours takes all below `certain` for unsure, and none for background": where(sure, k + 1, 255)}.items():
        assert not torch.equal(labels.double(), wrong.double()) or torch.equal(wrong, right), said
    is_tensor(labels, (5, 7))
    assert not labels.is_floating_point() and labels.dtype != torch.bool, f"labels are whole numbers; yours are {labels.dtype}"
    assert labels.dtype != torch.int8, "an int8 holds at most 127, and 255 must fit"
    labels = labels.long()
    assert torch.equal(labels[sure], k[sure] + 1), "where best is at least `certain`, the label is k + 1"
    assert (labels[~some] == 0).all(), "below `threshold` the label is 0, the background"
    assert (labels[some & ~sure] == 255).all(), "from `threshold` on and below `certain` the label is 255"

    def pixel(score, index, certain, threshold):
        got = student.three_way(torch.tensor([[score]]), torch.tensor([[index]]), certain, threshold)
        return int(got.long().item())

    got = pixel(0.75, 4, 0.75, 0.25)
    assert got == 5, f"a score that equals `certain` has reached it: >=, not >; its label is k + 1, yours is {got}"
    got = pixel(0.25, 3, 0.75, 0.25)
    assert got == 255, f"a score that equals `threshold` has reached it: >=, not >; unsure, 255, yours is {got}"
    got = pixel(0.2499, 2, 0.75, 0.25)
    assert got == 0, f"a score just below `threshold` is background, 0; yours is {got}"
    got = pixel(0.7499, 2, 0.75, 0.25)
    assert got == 255, f"a score just below `certain` is unsure, 255; yours is {got}"
    got = pixel(0.6, 2, 0.7, 0.65)
    assert got == 0, f"0.6 is below a threshold of 0.65: 0, yours is {got}. Are both thresholds taken from the arguments?"
    none = student.three_way(best, k, 0.5, 0.5)
    assert (none == 255).sum() == 0, "with both thresholds the same no pixel is unsure"
    many = student.three_way(torch.ones(1, 2), torch.tensor([[200, 253]]), 0.6, 0.5)
    assert many.tolist() == [[201, 254]], f"all labels below 255 are classes; indices 200 and 253 become labels, yours are {many.tolist()}"
    given = torch.tensor([[3]], dtype=torch.int64)
    assert student.three_way(torch.tensor([[-0.1]]), given, 0.5, 0.2).item() == 0, "a score below 0 is background, too"


@write_it_yourself(diffseg.symmetric_kl, iseg.half_precision_kl)
def check_8_5(student):
    X, Y = torch.rand(4, 6).double() + 0.05, torch.rand(7, 6).double() + 0.05
    X, Y = X / X.sum(1, keepdim=True), Y / Y.sum(1, keepdim=True)
    given = X.clone(), Y.clone()
    with meaning("must match the size", "the sum over a row of X belongs to all columns of D, and the one of Y to all rows: make a column of the first, [:, None]"):
        D = student.symmetric_kl(*given)
    assert torch.equal(given[0], X) and torch.equal(given[1], Y), "your function changed X or Y; make new tensors"
    is_tensor(D)
    pairs = lambda f: torch.stack([f(x, Y).sum(1) for x in X])
    one_way, other = pairs(lambda x, Y: x * (x.log() - Y.log())), pairs(lambda x, Y: Y * (Y.log() - x.log()))
    right = (one_way + other) / 2
    entropies = (X * X.log()).sum(1)[:, None] + (Y * Y.log()).sum(1)
    middle = pairs(lambda x, Y: (x * (x.log() - ((x + Y) / 2).log()) + Y * (Y.log() - ((x + Y) / 2).log())) / 2)
    close(D, right, "not half the sum of (x - y)(ln x - ln y)", 1e-9, {
        "that is one Kullback-Leibler divergence, from X to Y; D is half the sum of both directions": one_way,
        "that is one Kullback-Leibler divergence, from Y to X; D is half the sum of both directions": other,
        "that is half of one direction; D is half the sum of both": one_way / 2, "that is half of the other direction; D is half the sum of both": other / 2,
        "half the sum: divide by 2": one_way + other,
        "half the sum; yours is divided by 2 twice": right / 2,
        "the difference of both directions; D is half their sum": (one_way - other) / 2,
        "the sign is turned: D is never negative": -right, "the sign is turned, and half of it is asked for": -2 * right,
        "a sum over the M entries, not their mean": right / 6, "a sum over the M entries, not their mean; and half of it": right / 3,
        "the logarithm is the natural one; yours is of base 10": right / math.log(10),
        "the logarithm is the natural one; yours is of base 2": right / math.log(2),
        "(P, N): rows of X come first; yours is transposed": right.T,
        "one cross term comes twice: X ln Y and Y ln X are both needed": (entropies - 2 * X @ Y.log().T) / 2,
        "one cross term comes twice: X ln Y and Y ln X are both needed (yours is Y ln X)": (entropies - 2 * X.log() @ Y.T) / 2,
        "a cross term is missing: both X ln Y and Y ln X are subtracted": (entropies - X @ Y.log().T) / 2,
        "a cross term is missing: X ln Y is subtracted, too": (entropies - X.log() @ Y.T) / 2,
        "the cross terms are added; subtract them": (entropies + X @ Y.log().T + X.log() @ Y.T) / 2,
        "the terms of one row, X ln X and Y ln Y, are missing": -(X @ Y.log().T + X.log() @ Y.T) / 2,
        "the term Y ln Y is missing": right - (Y * Y.log()).sum(1) / 2, "the term X ln X is missing": right - (X * X.log()).sum(1)[:, None] / 2,
        "the difference of the logarithms is missing its partner: (x - y)(ln x - ln y)": pairs(lambda x, Y: (x.log() - Y.log())) / 2,
        "that is the Jensen-Shannon divergence, against the mean of both rows; D has each row against the other": middle,
        "that is the Euclidean distance": torch.cdist(X, Y), "that is the squared Euclidean distance": torch.cdist(X, Y) ** 2,
        "the larger of both directions; D is half their sum": torch.maximum(one_way, other),
        "the smaller of both directions; D is half their sum": torch.minimum(one_way, other),
        "the root of D; leave it as it is": right.clamp_min(0).sqrt(),
        "every row of X against every row of Y; yours pairs the first with the first and so on": right[:, :4].diagonal()})
    close(student.symmetric_kl(Y, X), D.T, "D between Y and X should be the transpose of D between X and Y", 1e-9)
    same = student.symmetric_kl(X, X)
    assert same.diagonal().abs().max() < 1e-9, f"a row is at distance 0 from itself; yours at {same.diagonal().abs().max().item():.3g}"
    X, Y = torch.randn(64, 300).softmax(1), torch.randn(50, 300).mul(3).softmax(1)
    a, b = torch.rand(3, 5) + 0.1, torch.rand(4, 5) + 0.1
    share = lambda x: x / x.sum(1, keepdim=True)
    close(student.symmetric_kl(a, b), diffseg.symmetric_kl(a, b), "wrong for rows that do not sum to 1; the formula is for any positive entries", mistakes={
        "take the rows as they are; yours are made to sum to 1 first": diffseg.symmetric_kl(share(a), share(b)),
        "take the rows as they are; yours go through a softmax first": diffseg.symmetric_kl(a.softmax(1), b.softmax(1))})
    close(student.symmetric_kl(X, Y), diffseg.symmetric_kl(X, Y), "differs from minifaseg.rivals.diffseg.symmetric_kl on 64 x 50 rows of 300; is something added to the entries, or cut off?", 1e-4)


def check_8_6(student):
    points, M = torch.rand(8, 2), torch.rand(8, 3)
    S = torch.cdist(points, points)
    given = S.clone(), M.clone()
    D = student.cluster_distance(*given)
    assert torch.equal(given[0], S) and torch.equal(given[1], M), "your function changed S or M; make new tensors"
    is_tensor(D)
    weighted = lambda S, M: torch.stack([(S * M[:, c]).sum(1) / M[:, c].sum() for c in range(M.shape[1])], 1)
    hard = torch.nn.functional.one_hot(M.argmax(1), 3).to(S)
    half = (M > 0.5).to(S)
    close(D, weighted(S, M), "not the mean of S[p, q] over the cells q, weighted by M[q, c]", mistakes={
        "divide by how much there is of each class, or large classes are far from everything": S @ M,
        "the mean is weighted by M: divide by the sum of M over the cells of the class, not by their number": S @ M / 8,
        "the mean is weighted by M: divide by the sum of M over the cells, not by the number of classes": S @ M / 3,
        "the sum in the denominator runs over the cells q of a class, not over the classes of a cell": S @ M / M.sum(1, keepdim=True),
        "the sum in the denominator runs over the cells of one class, not over all of M": S @ M / M.sum(),
        "the weights in the numerator are M as it is; yours are made to sum to 1 over the classes first": S @ (M / M.sum(1, keepdim=True)),
        "the weights are M as it is; yours are made to sum to 1 over the classes first": weighted(S, M / M.sum(1, keepdim=True)),
        "the weights are M as it is; yours go through a softmax over the cells": S @ M.softmax(0),
        "the weights are M as it is; yours go through a softmax over the classes": weighted(S, M.softmax(1)),
        "memberships are soft: a cell counts in every class, as much as M says; yours counts only in its largest": S @ hard / hard.sum(0).clamp_min(1),
        "memberships are soft: a cell counts in every class, as much as M says; yours is in or out, at 0.5": S @ half / half.sum(0).clamp_min(1),
        "the weights are M, not its square": weighted(S, M ** 2),
        "the weights are M, not its square, in numerator and denominator": S @ M ** 2 / M.sum(0),
        "every cell q counts, p itself among them (its distance is 0, its membership counts in the sum)": S @ M / (M.sum(0) - M),
        "all classes, as many as M has columns; yours are two": weighted(S, M)[:, :2],
        "the distances are S, not their squares": weighted(S ** 2, M),
        "the denominator is the sum of M, not of its squares": S @ M / (M ** 2).sum(0),
        "the denominator is the sum of M, not the root of the sum of its squares": S @ M / M.norm(dim=0),
        "the denominator is the sum of M over the cells, not its largest entry": S @ M / M.amax(0),
        "divided by the sum of the distances; divide by the sum of the memberships": S @ M / S.sum(1, keepdim=True),
        "divided by the sum of the memberships twice": S @ M / M.sum(0) ** 2,
        "multiplied by the sum of the memberships; divide": S @ M * M.sum(0),
        "every cell counts alike; it should as much as M says": S.mean(1, keepdim=True).expand(8, 3),
        "weighted by the membership of the cell p itself; it is that of q which counts": S.sum(1, keepdim=True) * M / M.sum(0),
        "the nearest cell of the class; D is a mean over all of them": (S[:, :, None] / M).amin(1),
        "(N, C): cells first; yours has the classes first": weighted(S, M).T,
        "the product is one of entries; the sum over q is missing": S[:, :, None] * M / M.sum(0)})
    unlike = M * torch.tensor([1.0, 10.0, 0.01])
    close(student.cluster_distance(S, unlike), weighted(S, M), "a class whose memberships are all ten times larger, or smaller, is neither farther away nor nearer", mistakes={
        "a class whose memberships sum to less than 1 is divided by this sum, too; yours divides by 1": S @ unlike / unlike.sum(0).clamp_min(1)})
    S, M = S[:3, :3].contiguous(), M[:3]
    close(student.cluster_distance(S, M), weighted(S, M), "wrong where there are as many classes as cells: which side does your division run over?")
    alone = torch.eye(3)
    close(student.cluster_distance(S, alone), S, "with every cell a class of its own, D is S")
    close(student.cluster_distance(S, 1e-3 * M), weighted(S, M), "a class of small memberships is not nearer; is something added to the denominator?", 1e-4)


@cache
def example():
    """Two views and three names of a painted scene: what 8.7 and 8.8 are given, and what the package makes of it."""
    with torch.no_grad():
        model = minifaseg.load("cartoon", "cpu", "float32")
        image, names = paint(7310, 128, things=("dog", "tree"), ground="grass").image, ("dog", "tree", "grass")
        method = DiffSegmenter(timesteps=(5, 100), template="a picture of {}", cross=(0.1, 0.2, 0.4, 0.3))
        captured = method.capture(model, image, names)
        full = captured.grids[-1]
        z = noised_latents(model, image, method.timesteps, sample=method.sample, seed=method.seed)
        views, A = [], []
        for state, (_, tokens) in zip(captured.lookup.states, captured.lookup.spans):
            view = replace(captured, record=capture_latents(model, z, method.timesteps, state[None]), _maps={})
            views.append([view.cross_map(grid, state[None])[:, 0, :, tokens[-1]].unflatten(1, grid) for grid in captured.grids])
            A.append(view.self_map(full))
        levels = [torch.stack(level, 1) for level in zip(*views)]                       # (2, K, h, w) each
        M = labelling.pixel_scores(method, captured, method.scores(captured))
        maps = diffseg.aggregate(select_first(captured), (0, 0, 0.3, 0.7))
    return SimpleNamespace(levels=levels, A=torch.stack(A, 1), weights=method.cross, M=M, maps=maps, grid=full)


def select_first(captured):
    """The first view alone."""
    return replace(captured, record=select_views(captured.record, 0, 1), _maps={})


@write_it_yourself(DiffSegmenter.class_maps)
def check_8_7(student):
    levels = [torch.rand(2, 3, 2, 3), 5 * torch.rand(2, 3, 4, 6), 0.1 * torch.rand(2, 3, 8, 12) + 1]
    A, weights, size = torch.randn(2, 3, 96, 96).mul(1.5).softmax(-1), (0.5, 0.2, 0.3), (20, 30)
    given = [level.clone() for level in levels], A.clone()
    with meaning("Expected size", "a grid need not be square: take h and w from the last level"):
        M = student.class_attention(*given, weights, size)
    assert all(map(torch.equal, given[0], levels)) and torch.equal(given[1], A), "your function changed the maps it was given; make new tensors"
    is_tensor(M)

    def norm(y, dims=(-2, -1)):
        low, high = y.amin(dims, keepdim=True), y.amax(dims, keepdim=True)
        return (y - low) / (high - low)

    def enlarge(y, size, mode="bilinear"):
        return F.interpolate(y, size=size, mode=mode, align_corners=None if mode == "nearest" else False)

    def fused(weights=weights, early=False, dims=(-2, -1), mode="bilinear", scale=True):
        x = 0
        for C, w in zip(levels, weights):
            C = norm(C) if early else C
            C = enlarge(C, (8, 12), mode)
            x = x + w * (C if early or not scale else norm(C, dims))
        return x                                                                            # (2, 3, 8, 12)

    def applied(x, A=A):
        return (A @ x.flatten(2)[..., None])[..., 0].unflatten(-1, (8, 12))

    def end(y, mode="bilinear"):
        return norm(enlarge(y, size, mode)[0]) if y.ndim == 4 else norm(enlarge(y[None], size, mode)[0])

    x = fused()
    right = end(applied(x).mean(0))
    close(M, right, "not minmax(up(mean over t of A_t x_t)), with x_t the weighted sum of min-maxed, enlarged levels", 1e-4, {
        "every level is min-maxed before it is weighted: the levels have ranges of their own; yours are added as they are": end(applied(fused(scale=False)).mean(0)),
        "enlarge a level first, then min-max: enlarging takes the edge off the extremes, and the map would no longer run from 0 to 1": end(applied(fused(early=True)).mean(0)),
        "every map is min-maxed by itself, over its cells; yours has one range for all classes": end(applied(fused(dims=(1, 2, 3))).mean(0)),
        "every map is min-maxed by itself, over its cells; yours has one range for all noise levels": end(applied(fused(dims=(0, 2, 3))).mean(0)),
        "every map is min-maxed by itself, over its cells; yours has one range for the whole tensor": end(applied(fused(dims=(0, 1, 2, 3))).mean(0)),
        "the weights are missing": end(applied(fused(weights=(1, 1, 1))).mean(0)),
        "weights come coarse to fine, like the levels; yours are in the other order": end(applied(fused(weights=weights[::-1])).mean(0)),
        "levels are enlarged bilinearly; yours with the nearest cell": end(applied(fused(mode="nearest")).mean(0)),
        "levels are enlarged bilinearly; yours bicubically": end(applied(fused(mode="bicubic")).mean(0)),
        "M is enlarged bilinearly to the pixels; yours with the nearest cell": end(applied(x).mean(0), "nearest"),
        "M is enlarged bilinearly to the pixels; yours bicubically": end(applied(x).mean(0), "bicubic"),
        "the self-attention is not applied: y = A x is missing": end(x.mean(0)),
        "self-attention is applied once; yours twice": end(applied(applied(x)).mean(0)),
        "y = A x, not A^T x: row i of A says where cell i looks": end(applied(x, A.mT).mean(0)),
        "every noise level has an x and an A of its own: apply A_t to x_t, then take the mean; yours applies the mean of A to the mean of x": end(applied(x.mean(0, keepdim=True), A.mean(0, keepdim=True))[0]),
        "every noise level has an A of its own; yours takes the mean of them": end(applied(x, A.mean(0, keepdim=True)).mean(0)),
        "every noise level has an x of its own; yours takes the mean of them": end(applied(x.mean(0, keepdim=True)).mean(0)),
        "every class has an A of its own, since it has a prompt of its own; yours takes the mean of them": end(applied(x, A.mean(1, keepdim=True)).mean(0)),
        "every class has an A of its own, since it has a prompt of its own; yours takes the first one": end(applied(x, A[:, :1]).mean(0)),
        "the mean over the noise levels is missing: yours is the first": end(applied(x)[0]),
        "the mean over the noise levels is missing: yours is the last": end(applied(x)[-1]),
        "the maximum over the noise levels; it is the mean": end(applied(x).amax(0)),
        "the mean over t is that of A x as it is; yours is min-maxed before": end(norm(applied(x)).mean(0)),
        "the last min-max is missing": enlarge(applied(x).mean(0)[None], size)[0],
        "the last min-max comes after enlarging, over the pixels; yours over the cells, before": enlarge(norm(applied(x).mean(0))[None], size)[0],
        "M is min-maxed class by class; yours has one range for all classes": norm(enlarge(applied(x).mean(0)[None], size)[0], (0, 1, 2)),
        "M has a value for every pixel of `size`; yours has one for every cell": norm(applied(x).mean(0))})
    is_tensor(M, (3, 20, 30))
    one = [torch.rand(1, 1, 4, 4)]
    close(student.class_attention(one, torch.eye(16)[None, None], (2.0,), (4, 4)), norm(one[0])[0], "one level, one class, one noise level, and an A that changes nothing: M should be the min-maxed map")
    e = example()
    close(student.class_attention([level.clone() for level in e.levels], e.A.clone(), e.weights, (128, 128)), e.M, "differs from what minifaseg.rivals.diffsegmenter has for a scene", 2e-3)


def merged(maps, grid, tau, anchors, mistake=""):
    """Labels (h, w) of DiffSeg's merging, right or with a mistake."""
    def starts(n):
        step = max(1, (grid[0] if mistake == "square" else n) // anchors)
        first = {"corner": 0, "middle": step // 2}.get(mistake, (step - 1) // 2)
        return list(range(first, n, step))[:anchors]

    rows, columns = map(starts, grid)
    cells = torch.arange(len(maps)).reshape(grid)
    if mistake == "turned":
        cells = torch.arange(len(maps)).reshape(grid[::-1]).T
    first = maps[cells[rows][:, columns].flatten()]
    kl = one_way if mistake == "one way" else diffseg.symmetric_kl
    pool = first if mistake == "anchors only" else maps
    if mistake == "all cells":
        first = maps
    near = kl(first, pool) < tau[0]
    proposals = torch.stack([pool[n].mean(0) if n.any() else a for n, a in zip(near, first)])
    if mistake == "no first pass":
        proposals = first
    if mistake == "first pass once more":
        near = kl(proposals, maps) < tau[0]
        proposals = torch.stack([maps[n].mean(0) if n.any() else a for n, a in zip(near, proposals)])

    limits = {"one pass": (), "one limit": tau[:1] * (len(tau) - 1), "last pass": tau[1:-1], "one more": (tau[0], *tau[1:])}.get(mistake, tau[1:])
    for limit in limits:
        D = kl(proposals, proposals)
        near = (D < limit).fill_diagonal_(True)
        if mistake == "chain":
            for _ in range(len(near)):
                near = (near.double() @ near.double()) > 0
        left, out = torch.ones(len(proposals), dtype=torch.bool), []
        for i, row in enumerate(near):
            if mistake == "all kept" or left[i]:
                chosen = row & left if mistake == "taken left out" else row
                chosen = proposals[chosen]
                out.append({"no mean": proposals[i], "sum": chosen.sum(0)}.get(mistake, chosen.mean(0)))
                left[row] = False
        proposals = torch.stack(out)
    if mistake == "nearest":
        return diffseg.symmetric_kl(proposals, maps).argmin(0).reshape(grid)
    if mistake == "lowest":
        return proposals.argmin(0).reshape(grid)
    if mistake == "stretched":
        proposals = proposals / proposals.amax(1, keepdim=True)
    return proposals.argmax(0).reshape(grid)


def one_way(x, y):
    """Kullback-Leibler divergence of rows of x from rows of y."""
    return (x * x.log()).sum(1)[:, None] - x @ y.log().T


def agreement(a, b):
    """Of two labellings, the share of cells in which they agree, whatever the segments are called."""
    pairs = torch.zeros(int(a.max()) + 1, int(b.max()) + 1).index_put_((a.flatten(), b.flatten()), torch.ones(a.numel()), accumulate=True)
    return min(pairs.amax(0).sum().item(), pairs.amax(1).sum().item()) / a.numel()


MERGING = {
    "corner": "of n cells in a row, anchors begin at (step - 1) // 2; yours begin at 0",
    "middle": "of n cells in a row, anchors begin at (step - 1) // 2; yours begin at step // 2",
    "turned": "cell (y, x) of a grid is row y * w + x of the maps; yours looks like x * h + y",
    "square": "a grid need not be square: yours takes the same step along rows and columns",
    "one way": "the distance is the symmetric one, diffseg.symmetric_kl; yours is one Kullback-Leibler divergence",
    "all cells": "the first pass starts from the anchors; yours starts from every cell",
    "anchors only": "in the first pass an anchor becomes the mean of ALL maps near it; yours of the anchors near it",
    "no first pass": "the first pass is missing: an anchor becomes the mean of all maps nearer than tau[0]",
    "first pass once more": "the passes after the first are among proposals; yours has them among all maps",
    "one pass": "that is the first pass alone; the passes with tau[1:], among proposals, are missing",
    "one limit": "every pass has a limit of its own, tau[1] in the second; yours takes tau[0] in all of them",
    "last pass": "the last pass is missing",
    "one more": "tau[0] is the first pass's alone; yours has a pass among proposals with it, too",
    "chain": "near means near the proposal whose turn it is; yours goes on to what is near its neighbours",
    "all kept": "a proposal that an earlier one has taken has no turn of its own, and is no longer a proposal after the pass",
    "taken left out": "the mean includes what an earlier proposal has taken; yours leaves it out (the release does not)",
    "no mean": "a proposal becomes the mean of all near it; yours stays as it is",
    "sum": "a proposal becomes the mean of all near it; yours becomes their sum",
    "nearest": "a cell goes to the proposal that is highest there; yours goes to the one that its map is nearest to",
    "lowest": "a cell goes to the proposal that is highest there; yours goes to the lowest",
    "stretched": "a cell goes to the proposal that is highest there, as it is; yours are scaled first"}


@cache
def merging_toys():
    """(maps, grid, tau, anchors): lumpy maps of a few sizes, in float64, so that nothing depends on the order of a sum."""
    toys = []
    for seed, grid, tau, anchors in ((1, (8, 12), (0.5, 0.4, 0.3), 4), (2, (12, 8), (0.8, 0.3, 0.5), 4), (3, (9, 15), (0.6, 0.5), 3), (4, (5, 7), (0.5, 0.3), 9)):
        h, w = grid
        coarse = torch.randn(1, 3, 4, 4, generator=seeded(seed), dtype=torch.float64)
        f = F.interpolate(coarse, size=grid, mode="bicubic", align_corners=False)[0].flatten(1).T          # (N, 3)
        f = f + 0.15 * torch.randn(h * w, 3, generator=seeded(seed + 50), dtype=torch.float64)
        toys.append(((-torch.cdist(f, f) ** 2).softmax(1), grid, tau, anchors))
    return toys


@write_it_yourself(diffseg.merge, diffseg.merge_proposals)
def check_8_8(student):
    def labels_of(maps, grid, tau, anchors):
        given = maps.clone()
        got = student.merge_maps(given, grid, tau, anchors)
        assert torch.equal(given, maps), "your function changed the maps it was given; make new tensors"
        is_tensor(got)
        assert got.shape != (len(maps),), "labels are a picture, (h, w): give the row of cells the shape of `grid`"
        is_tensor(got, grid)
        assert not got.is_floating_point() and got.dtype != torch.bool, f"labels are whole numbers; yours are {got.dtype}"
        assert got.min() >= 0, "labels should not be negative"
        return got.long()

    got = [labels_of(*toy) for toy in merging_toys()]
    if not all(agreement(a, merged(*toy)) == 1 for a, toy in zip(got, merging_toys())):
        for mistake, said in MERGING.items():
            assert not all(agreement(a, merged(*toy, mistake)) == 1 for a, toy in zip(got, merging_toys())), said
        for a, toy in zip(got, merging_toys()):
            right = merged(*toy)
            same = agreement(a, right)
            assert same == 1, (f"on maps of a {toy[1][0]} x {toy[1][1]} grid, {toy[3]} anchors a side, your segments (their number: {len(a.unique())}) agree with the right ones "
                               f"(their number: {len(right.unique())}) in {same:.0%} of the cells")
    block = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2]).repeat(6, 1)
    block[4:] = 3
    maps = torch.nn.functional.one_hot(block.flatten())[:, block.flatten()].double() + 0.01
    maps = maps / maps.sum(1, keepdim=True)
    assert agreement(labels_of(maps, (6, 8), (0.5, 0.5, 0.5), 6), block) == 1, "four blocks that look at themselves alone should be four segments"
    toy = merging_toys()[0]
    assert len(labels_of(toy[0], toy[1], (1e9, 1e9), 4).unique()) == 1, "if all distances are below tau, one segment is left"
    alone = labels_of(toy[0], toy[1], (0.0, 0.0), 4)
    assert agreement(alone, merged(toy[0], toy[1], (0.0, 0.0), 4)) == 1, "if nothing is below tau, not even itself (tau = 0), anchors stay as they are: 0 maps have no mean"
    assert labels_of(*toy[:2], [0.5, 0.4, 0.3], 4).equal(got[0]), "the same maps gave other labels the second time"
    e = example()
    for limit in (0.3, 0.5):
        right = diffseg.merge(e.maps, e.grid, (limit,) * 3, 8).argmax(0)
        same = agreement(labels_of(e.maps, e.grid, (limit,) * 3, 8), right)
        assert same > 0.98, f"on the maps of a scene, tau = {limit}, your segments agree with those of minifaseg.rivals.diffseg in {same:.0%} of the cells"


@write_it_yourself(invseg.InvSeg.loss)
def check_8_9(student):
    with torch.enable_grad():
        check_loss(student)


def loss_of(S, M, grid, anchor, repel, weight, mistake=""):
    """InvSeg's loss, right or with a mistake."""
    C = M.shape[-1]
    D = S @ M / M.sum(1, keepdim=True)
    if mistake == "whole mean":
        D = S @ M / M.shape[1]
    if mistake == "not divided":
        D = S @ M
    a = torch.where(M > anchor if mistake == "above" else M >= anchor, 1.0 * (M > -1) if mistake == "ones" else M, 0)
    if mistake == "every cell":
        a = M
    if mistake == "only highest":
        a = torch.where(M == M.amax(-1, keepdim=True), a, 0)
    if mistake != "a not divided":
        a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    if mistake == "0 / 0":
        a = torch.where(M >= anchor, M, 0)
        a = a / a.sum(1, keepdim=True)
    if mistake == "mean over cells":
        a = a / M.shape[1]
    others = (D.sum(-1, keepdim=True) - D) / (C - 1)
    if mistake == "others by C":
        others = others * (C - 1) / C
    if mistake == "with itself":
        others = D.mean(-1, keepdim=True)
    if mistake == "others summed":
        others = others * (C - 1)
    term = (a * (D + repel * others if mistake == "attract" else D - repel * others)).sum(1)        # (B, C)
    if mistake == "no repulsion":
        term = (a * D).sum(1)
    clustering = term.mean()
    if mistake == "sum over classes":
        clustering = clustering * C
    if mistake == "sum over views":
        clustering = clustering * len(M)
    if mistake == "classes with anchors":
        there = (a.sum(1) > 0).sum()
        clustering = term.sum() / there
    images = M.transpose(1, 2).unflatten(2, grid)                                                 # (B, C, h, w)
    dims = {"not turned": (), "upside down": (-2,)}.get(mistake, (-1,))
    turned = torch.cat([images[:1], images[1:].flip(dims)])
    mean = turned[:1] if mistake == "first view" else turned if mistake == "views apart" else turned.mean(0, keepdim=True)
    e = -(mean * mean.clamp_min(1e-12).log()).sum(1)                                               # (1, h, w)
    entropy = e.mean()
    if mistake == "entropy summed":
        entropy = e.sum()
    if mistake == "entropy mean of all":
        entropy = entropy / C
    if mistake == "base 2":
        entropy = entropy / math.log(2)
    if mistake == "no weight":
        return clustering + entropy
    if mistake == "entropy alone":
        return weight * entropy
    if mistake == "clustering alone":
        return clustering
    return clustering - weight * entropy if mistake == "entropy raised" else clustering + weight * entropy


LOSS = {
    "entropy raised": "the entropy's sign is turned: L + lambda_e times a number that is never negative, so that unsure cells cost",
    "no weight": "the entropy's weight lambda_e is missing",
    "clustering alone": "the entropy is missing", "entropy alone": "the clustering term is missing",
    "not turned": "the second view is the mirror image: turn its maps back, left to right, before the mean",
    "upside down": "the mirror image is turned left to right; yours is turned upside down",
    "first view": "the entropy is that of the mean of both views; yours is that of the first",
    "views apart": "the entropy is that of the mean of the views; yours is the mean of their entropies, so that views may disagree for free",
    "entropy summed": "the entropy is summed over the classes, and its mean is taken over the N cells; yours is summed over the cells",
    "entropy mean of all": "the entropy is summed over the classes; yours is their mean",
    "base 2": "the logarithm is the natural one; yours is of base 2",
    "every cell": "anchors are the cells with a membership of at least theta; yours takes every cell",
    "only highest": "anchors are all cells with a membership of at least theta; yours also asks for the highest class",
    "ones": "an anchor counts as much as its membership; yours counts every anchor alike",
    "above": "a membership that equals theta has reached it: >=, not >",
    "0 / 0": "a class without anchors makes your loss NaN, 0 / 0; its a is 0",
    "a not divided": "a is divided by its sum over the cells of the class; yours is not",
    "mean over cells": "the anchors' terms are summed: a sums to 1 already; yours is divided by the number of cells once more",
    "attract": "the distance to the other classes is subtracted: far from them is good; yours adds it",
    "no repulsion": "the distance to the other classes is missing",
    "with itself": "the other classes are all but c: subtract its own D before you divide by C - 1",
    "others by C": "there are C - 1 other classes; yours divides by C",
    "others summed": "the distances to the other classes are averaged, over C - 1; yours are summed",
    "sum over classes": "the classes are averaged, 1/C; yours are summed",
    "sum over views": "the views are averaged; yours are summed",
    "classes with anchors": "1/C counts every class, also those without anchors; yours divides by the number of those that have some",
    "whole mean": "D is divided by the sum of M over the cells of the class, not by the number of cells",
    "not divided": "D is a mean: divide S M by the sum of M over the cells"}


def check_loss(student):
    grid, theta = (4, 6), 0.375
    points = torch.rand(2, 24, 2, dtype=torch.float64)
    S = torch.cdist(points, points)
    M = torch.randn(2, 24, 4, dtype=torch.float64).mul(1.5)
    M[..., 3] -= 3                                                     # the last class has no anchors in view 1
    M = M.softmax(-1)
    M[1, :, 3] *= 0.5 * theta / M[1, :, 3].max()
    M[0, 0] = torch.tensor([theta, theta, 0.125, 0.125])                # as exact as theta is
    M[0, 1] = torch.tensor([0.5, theta, 0.0625, 0.0625])
    arguments = grid, theta, 0.7, 0.4

    def asked(S, M, arguments=arguments):
        """What the student's function returns and its gradient for M."""
        given = S.clone(), M.clone().requires_grad_()
        with meaning("a leaf Variable", "your function writes into M; make a new tensor instead"), \
                meaning("out of bounds", "M may have a single view, which is not mirrored", IndexError):
            L = student.inversion_loss(*given, *arguments)
        assert torch.equal(given[0], S) and torch.equal(given[1], M), "your function changed S or M; make new tensors"
        assert not isinstance(L, float), "that is a plain number; no gradient flows through it. Return the tensor, without item()"
        is_tensor(L)
        assert L.numel() == 1, f"L is one number; yours has the shape {tuple(L.shape)}"
        return L.reshape(()), given[1]

    def right(S, M, mistake="", arguments=arguments):
        return loss_of(S, M, *arguments, mistake=mistake)

    L, given = asked(S, M)
    close(L.detach(), right(S, M), "not the loss L of the formula", 1e-4, {said: right(S, M, mistake) for mistake, said in LOSS.items()})
    assert L.requires_grad, "no gradient flows from L to M: is a detach(), a no_grad or a tensor made anew on the way?"
    L.backward()
    assert given.grad is not None, "no gradient arrives at M; M itself must be used, not a copy of its numbers"
    own = M.clone().requires_grad_()
    right(S, own).backward()

    def gradient(part):
        m = M.clone().requires_grad_()
        part(m).backward()
        return m.grad

    def stopped(m, what):
        """The loss where one of its parts is taken for a constant."""
        fixed = m.detach()
        grid, theta, repel, weight = arguments
        a = torch.where(fixed >= theta, fixed, 0) if what == "a" else torch.where(m >= theta, m, 0)
        a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
        source = fixed if what == "D" else m
        D = S @ source / source.sum(1, keepdim=True)
        others = (D.sum(-1, keepdim=True) - D) / 3
        only = fixed if what == "entropy" else m
        return (a * (D - repel * others)).sum(1).mean() + weight * right(S, only, "entropy alone", (grid, theta, repel, 1))

    close(given.grad, own.grad, "the value is right, the gradient for M is not: is a part of the loss detached?", 1e-4, {
        "the gradient flows through the anchors' weights a, too: they are made of M; yours are detached": gradient(lambda m: stopped(m, "a")),
        "the gradient flows through the distances D, too: they are made of M; yours are detached": gradient(lambda m: stopped(m, "D")),
        "the gradient flows through the entropy, too; yours is detached": gradient(lambda m: stopped(m, "entropy"))})
    L, _ = asked(S[:1], M[:1])
    close(L.detach(), right(S[:1], M[:1]), "wrong for one view alone, which is not mirrored", 1e-4)
    sure = torch.zeros(1, 24, 3)
    sure[0, :12, 0], sure[0, 12:, 1] = 1, 1
    sure[0, 23] = torch.tensor([0.1, 0.1, 0.8])
    sure[0, 23, 2] = 0.4
    S = S[:1].float()
    L, given = asked(S, sure)
    assert L.isfinite(), "a class without anchors, or a membership of 0, makes your loss NaN or infinite: 0 / 0, or 0 times ln 0"
    close(L.detach(), right(S, sure), "wrong where memberships are 0 and a class has no anchors: its a is 0", 1e-4,
          {"1/C counts every class, also those without anchors; yours divides by the number of those that have some": right(S, sure, "classes with anchors")})
    L.backward()
    assert given.grad.isfinite().all(), "the loss is finite, its gradient is not: ln m has the slope 1/m, infinite at 0; clamp what you take the logarithm of, or what you divide by"
    L = asked(S, sure, (grid, theta, 0.0, 0.0))[0]
    close(L.detach(), right(S, sure, arguments=(grid, theta, 0.0, 0.0)), "wrong for lambda_- = lambda_e = 0: are both taken from the arguments?", 1e-4)
