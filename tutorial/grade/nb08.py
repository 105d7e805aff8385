"""08, the rivals."""
import torch

from minifaseg.rivals import diffseg, iseg

from . import close


def check_8_1(student):
    z, empty = torch.randn(7, 5), torch.randn(7, 5)
    given, given_empty, span = z.clone(), empty.clone(), [1, 4, 5]
    loud = student.raise_word(given, given_empty, span, 1.21)
    assert torch.equal(given, z) and torch.equal(given_empty, empty) and span == [1, 4, 5], "your function changed what it was given; clone z first"
    assert isinstance(loud, torch.Tensor) and loud.shape == (7, 5), f"all T tokens come back, (7, 5); yours is {tuple(getattr(loud, 'shape', ()))}"
    others = [0, 2, 3, 6]
    assert torch.allclose(loud[others], z[others]), "tokens outside the span should stay as they are; did you raise all of them, or a whole range?"
    assert not torch.allclose(loud[span], 1.21 * z[span]), "that is iSeg's way, away from 0: here the token moves away from the empty prompt's state"
    assert not torch.allclose(loud[span], z[span] + 1.21 * (z[span] - empty[span])), "start from z_empty, not from z: with a weight of 1 nothing should change"
    shared = empty[0] + 1.21 * (z[span] - empty[0])
    assert not torch.allclose(loud[span], shared), "each token has an empty state at its own position; you took the first one for all"
    right = z.clone()
    for i in span:
        right[i] = empty[i] + 1.21 * (z[i] - empty[i])
    close(loud, right, "not z_empty + weight (z - z_empty) in the span")
    close(student.raise_word(z.clone(), empty, [2], 1), z, "a weight of 1 should change nothing")
    silent = z.clone()
    silent[6] = empty[6]
    close(student.raise_word(z.clone(), empty, [6], 0.0), silent, "a weight of 0 should silence the word: its state is the empty prompt's")


def check_8_2(student):
    A = torch.tensor([[0.1, 0.3, 0.6], [0.3, 0.4, 0.3], [0.05, 0.9, 0.05]])
    given = A.clone()
    P = student.reduce_entropy(given, 0.0)
    assert torch.equal(given, A), "your function changed the A it was given; make a new tensor"
    assert isinstance(P, torch.Tensor) and P.shape == (3, 3), f"P is as large as A, (3, 3); yours is {tuple(getattr(P, 'shape', ()))}"
    assert P.isfinite().all(), "your P holds NaN or infinite numbers"
    assert torch.allclose(P.sum(1), torch.ones(3), atol=1e-5), f"rows of P should sum to 1; yours sum to {[round(s, 3) for s in P.sum(1).tolist()]}: divide by the sum over the keys, at the end"
    assert not torch.allclose(P, A, atol=1e-4), "with lambda = 0 the scaling by the column's maximum is left; yours changes nothing. A scaling by the ROW's maximum drops out again: take it over the queries"
    close(P, iseg.reduce_entropy(A, 0.0), "lambda = 0: divide each column by its largest entry, then each row by its sum")
    A = torch.randn(12, 12).mul(2).softmax(1)
    P, right = student.reduce_entropy(A.clone(), 0.2), iseg.reduce_entropy(A, 0.2)
    assert P.isfinite().all(), "your P holds NaN or infinite numbers"
    assert P.min() >= 0, f"entries below 0 should become 0; yours go down to {P.min().item():.3g}"
    assert (P == 0).sum() > 0, "small entries should vanish; none of yours is 0. The step is + lambda log10(e A'), negative for small A'"
    assert torch.allclose(P.sum(1), torch.ones(12), atol=1e-5), "rows of P should sum to 1 after small entries have become 0: divide last"
    scaled = A / A.amax(0)
    natural = (scaled + 0.2 * (1 + scaled.log())).clamp_min(0)
    assert not torch.allclose(P, natural / natural.sum(1, keepdim=True), atol=1e-4), "that is the natural logarithm; the released code takes the one of base 10"
    without_e = (scaled + 0.2 * scaled.log10()).clamp_min(0)
    assert not torch.allclose(P, without_e / without_e.sum(1, keepdim=True), atol=1e-4), "the logarithm is that of e A', not of A'"
    close(P, right, "not the rows of max(0, A' + lambda log10(e A')), each divided by its sum")
    A = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6], [0.0, 0.3, 0.7]])
    for lam in (0.1, 0.0):
        P = student.reduce_entropy(A.clone(), lam)
        assert P.isfinite().all(), f"an entry of 0 should stay 0, yours becomes NaN (lambda = {lam:g}): log 0 is minus infinity, and 0 times that is NaN"
        close(P, iseg.reduce_entropy(A, lam), f"wrong for a map with zeros in it, lambda = {lam:g}: is there a NaN on the way? log 0 is minus infinity, and 0 times that is NaN")
    A = 0.9 * torch.eye(40) + 0.1 / 40
    A[3] = 1 / 40                                                   # looks everywhere, a little; and another cell looks at it more than it does itself
    A[5] = 0.0025
    A[5, 3], A[5, 5] = 0.5, 0.405
    P, right = student.reduce_entropy(A.clone(), 0.5), iseg.reduce_entropy(A, 0.5)
    assert P.isfinite().all(), "a row with nothing left became NaN: 0 divided by 0"
    assert abs(P[3].sum().item() - 1) < 1e-5, f"a row with nothing left should keep its cell, 1 on the diagonal; yours sums to {P[3].sum().item():.3g}"
    close(P, right, "a row with nothing left should keep its cell: 1 on the diagonal, 0 elsewhere", 1e-4)


def check_8_3(student):
    P, x = torch.randn(9, 9).mul(2).softmax(1), torch.rand(9, 4) + 0.5
    given = x.clone()
    y = student.iterate(P.clone(), given, 3)
    assert torch.equal(given, x), "your function changed the x it was given; make new tensors"
    assert isinstance(y, torch.Tensor) and y.shape == (9, 4), f"class maps stay (9, 4); yours are {tuple(getattr(y, 'shape', ()))}"
    assert y.isfinite().all(), "your result holds NaN or infinite numbers"
    right, transposed = x, x
    for _ in range(3):
        right = P @ right
        right = (right - right.min(0).values) / (right - right.min(0).values).sum(0)
        transposed = P.T @ transposed
        transposed = (transposed - transposed.min(0).values) / (transposed - transposed.min(0).values).sum(0)
    assert not torch.allclose(y, transposed, atol=1e-4), "y = P x, not P^T x: row i of P says where cell i looks"
    assert torch.allclose(y.min(0).values, torch.zeros(4), atol=1e-6), "every class map should have its own minimum at 0 after the last round; is the minimum taken over the cells?"
    assert torch.allclose(y.sum(0), torch.ones(4), atol=1e-4), f"every class map should sum to 1 over its cells; yours sum to {[round(s, 3) for s in y.sum(0).tolist()]}"
    one = P @ x
    one = (one - one.min(0).values) / (one - one.min(0).values).sum(0)
    assert not torch.allclose(y, one, atol=1e-4), "n rounds, each from the last one's result; yours looks like a single round"
    close(y, right, "not n rounds of y = P x, y - min y, / sum y", 1e-4)
    close(student.iterate(P, x, 0), x, "no round at all should give back x as it is")
    wide = torch.rand(3, 5)
    small = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.0, 0.1, 0.9]])
    y = small @ wide
    close(student.iterate(small, wide, 1), (y - y.min(0).values) / (y - y.min(0).values).sum(0), "wrong where there are more classes than cells: the minimum and the sum run over the cells")
    long = student.iterate(P.double(), x.double(), 60)
    assert long.isfinite().all() and (long.sum(0) - 1).abs().max() < 1e-9, "after 60 rounds the maps should still sum to 1: subtract and divide in every round, or the digits run out"


def check_8_4(student):
    best, k = torch.rand(5, 7), torch.randint(0, 6, (5, 7))
    best[0, :3], k[0, :3] = torch.tensor([0.75, 0.25, 0.2499]), torch.tensor([4, 3, 2])       # on a threshold, just below one
    given = best.clone(), k.clone()
    labels = student.three_way(*given, 0.75, 0.25)
    assert torch.equal(given[0], best) and torch.equal(given[1], k), "your function changed best or k; make a new tensor"
    assert isinstance(labels, torch.Tensor) and labels.shape == (5, 7), f"a label for every pixel, (5, 7); yours is {tuple(getattr(labels, 'shape', ()))}"
    assert not labels.is_floating_point() and labels.dtype != torch.bool, f"labels are whole numbers; yours are {labels.dtype}"
    assert labels.dtype != torch.int8, "an int8 holds at most 127, and 255 must fit"
    labels = labels.long()
    sure = best > 0.76
    assert not torch.equal(labels[sure], k[sure]), "class indices count from 0, labels from 1: label 0 is the background"
    assert torch.equal(labels[sure], k[sure] + 1), "where best is above `certain`, the label is k + 1"
    assert (labels[best < 0.2] == 0).all(), "below `threshold` the label is 0, the background"
    assert (labels[(best > 0.26) & (best < 0.74)] == 255).all(), "from `threshold` on and below `certain` the label is 255"
    assert labels[0, 0] == 5, f"a score that equals `certain` has reached it: its label is k + 1 = 5; yours is {labels[0, 0].item()}"
    assert labels[0, 1] == 255, f"a score that equals `threshold` has reached it: unsure, 255; yours is {labels[0, 1].item()}"
    assert labels[0, 2] == 0, f"a score just below `threshold` is background; yours is {labels[0, 2].item()}"
    none = student.three_way(best, k, 0.5, 0.5)
    assert (none == 255).sum() == 0, "with both thresholds the same no pixel is unsure"
    many = student.three_way(torch.ones(1, 2), torch.tensor([[200, 253]]), 0.6, 0.5)
    assert many.tolist() == [[201, 254]], f"classes up to 254 are possible; indices 200 and 253 should become 201 and 254, yours are {many.tolist()}"


def check_8_5(student):
    X, Y = torch.rand(4, 6).double() + 0.05, torch.rand(7, 6).double() + 0.05
    X, Y = X / X.sum(1, keepdim=True), Y / Y.sum(1, keepdim=True)
    D = student.symmetric_kl(X.clone(), Y.clone())
    assert isinstance(D, torch.Tensor) and D.shape == (4, 7), f"4 rows against 7: (4, 7); yours is {tuple(getattr(D, 'shape', ()))}"
    assert D.isfinite().all(), "your result holds NaN or infinite numbers"
    one_way = torch.stack([(x * (x.log() - Y.log())).sum(1) for x in X])
    other = torch.stack([(Y * (Y.log() - x.log())).sum(1) for x in X])
    assert not any(torch.allclose(D, d) for d in (one_way, other)), "that is one Kullback-Leibler divergence; D is half the sum of both directions"
    assert not torch.allclose(D, one_way + other), "half the sum: divide by 2"
    assert not torch.allclose(D, -(one_way + other) / 2), "the sign is turned: D is never negative"
    assert not torch.allclose(D, (one_way + other) / 12), "a sum over the M entries, not their mean"
    close(D, (one_way + other) / 2, "not half the sum of (x - y)(ln x - ln y)", 1e-9)
    close(student.symmetric_kl(Y, X), D.T, "D between Y and X should be the transpose of D between X and Y", 1e-9)
    same = student.symmetric_kl(X, X)
    assert same.diagonal().abs().max() < 1e-9, f"a row is at distance 0 from itself; yours at {same.diagonal().abs().max().item():.3g}"
    X, Y = torch.randn(64, 300).softmax(1), torch.randn(50, 300).mul(3).softmax(1)
    close(student.symmetric_kl(X, Y), diffseg.symmetric_kl(X, Y), "differs from minifaseg.rivals.diffseg.symmetric_kl on 64 x 50 rows of 300", 1e-4)


def check_8_6(student):
    points, M = torch.rand(8, 2), torch.rand(8, 3)
    S = torch.cdist(points, points)
    D = student.cluster_distance(S.clone(), M.clone())
    assert isinstance(D, torch.Tensor) and D.shape == (8, 3), f"8 cells, 3 classes: (8, 3); yours is {tuple(getattr(D, 'shape', ()))}"
    assert D.isfinite().all(), "your result holds NaN or infinite numbers"
    right = torch.stack([(S * M[:, c]).sum(1) / M[:, c].sum() for c in range(3)], 1)
    assert not torch.allclose(D, S @ M, atol=1e-5), "divide by how much there is of each class, or large classes are far from everything"
    assert not torch.allclose(D, S @ M / 8, atol=1e-5), "the mean is weighted by M: divide by the sum of M over the cells of the class, not by their number"
    assert not torch.allclose(D, S @ M / M.sum(1, keepdim=True), atol=1e-5), "the sum in the denominator runs over the cells q of a class, not over the classes of a cell"
    hard = torch.nn.functional.one_hot(M.argmax(1), 3).to(S)
    assert not torch.allclose(D, S @ hard / hard.sum(0).clamp_min(1), atol=1e-5), "memberships are soft: a cell counts in every class, as much as M says"
    close(D, right, "not the mean of S[p, q] over the cells q, weighted by M[q, c]")
    close(student.cluster_distance(S, M * torch.tensor([1.0, 10.0, 0.01])), right, "a class whose memberships are all ten times larger is not farther away")
    S, M = S[:3, :3].contiguous(), M[:3]
    close(student.cluster_distance(S, M), torch.stack([(S * M[:, c]).sum(1) / M[:, c].sum() for c in range(3)], 1),
          "wrong where there are as many classes as cells: which side does your division run over?")
    alone = torch.eye(3)
    close(student.cluster_distance(S, alone), S, "with every cell a class of its own, D is S")
