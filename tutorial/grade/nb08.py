"""08, the rivals."""
import math

import torch

from minifaseg import labelling
from minifaseg.rivals import diffseg, iseg
from minifaseg.rivals.diffsegmenter import DiffSegmenter

from . import close, is_tensor, meaning, write_it_yourself


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
    assert got == 5, f"a score that equals `certain` has reached it: >=, not >; its label is k + 1 = 5, yours is {got}"
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
    assert many.tolist() == [[201, 254]], f"classes up to 254 are possible; indices 200 and 253 should become 201 and 254, yours are {many.tolist()}"
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
