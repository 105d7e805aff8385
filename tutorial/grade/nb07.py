"""Hidden tests of notebook 07: mIoU, the fast step, and a rule against names that are not in the picture."""
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

import minifaseg
from minifaseg import hard, labelling, ttf
from minifaseg.cartoon.words import CLASSES
from minifaseg.evaluate.candidates import Candidates
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.metrics import summary

from . import close


def check_7_1(student):
    def want(matrix, absent):
        dataset = SimpleNamespace(background=True, classes=[f"class {i}" for i in range(1, len(matrix))], things=())
        numbers = summary(np.pad(matrix.numpy(), ((0, 0), (0, 1))), dataset)
        return numbers["miou" if absent == "drop" else "miou_absent_zero"]

    def told(matrix, absent, hint):
        got, right = student.miou(matrix, absent), want(matrix, absent)
        assert isinstance(got, float), f"return a Python float; yours is of type {type(got).__name__}"
        assert got == got, f"your mIoU is NaN for {matrix.tolist()} with {absent!r}: 0 / 0 of an absent class is left out, or counts as 0"
        assert abs(got - right) < 1e-6, f"{hint}: for {matrix.tolist()} with {absent!r} it should be {right:.4f}; yours is {got:.4f}"

    told(torch.tensor([[6, 2], [1, 3]]), "drop", "IoU is hits over union, row sum plus column sum minus hits; background counts as a class")
    told(torch.tensor([[6, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 5]]), "drop", "a class in neither truth nor prediction is left out")
    told(torch.tensor([[6, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 5]]), "zero", "a class in neither truth nor prediction counts as 0")
    told(torch.tensor([[6, 2, 4], [1, 3, 0], [0, 0, 0]]), "drop", "a class that is predicted but not there has union > 0, so its IoU of 0 counts")
    told(torch.tensor([[6, 0, 0], [1, 0, 2], [3, 0, 4]]), "drop", "a class that is there but never predicted has union > 0, so its IoU of 0 counts")
    told(torch.tensor([[0, 0, 0], [0, 7, 1], [0, 2, 5]]), "drop", "background is dropped like any class when it does not occur")
    told(torch.tensor([[0, 0, 0], [0, 7, 1], [0, 2, 5]]), "zero", "background counts as 0 like any class when it does not occur")
    matrix = torch.tensor([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    assert abs(student.miou(matrix) - want(matrix, "drop")) < 1e-6, 'without a second argument the rule is "drop"'
    for n, share in ((1, 1), (5, .6), (27, .2)):
        matrix = torch.randint(1, 90000, (n, n)) * (torch.rand(n, n) < share)
        matrix[0, 0] += 1
        kept = matrix.clone()
        for absent in ("drop", "zero"):
            got = student.miou(matrix, absent)
            assert abs(got - want(kept, absent)) < 1e-5, f"wrong for a matrix of {n} classes with {absent!r}: {want(kept, absent):.5f}, yours is {got:.5f}"
        assert torch.equal(matrix, kept), "miou changed the matrix it was given"


def check_7_2(student):
    def mm(y, dims):
        low, high = y.amin(dims, keepdim=True), y.amax(dims, keepdim=True)
        return (y - low) / (high - low).clamp_min(1e-300)

    def want(x, maps, weights, tau, grid, dims=(1,), last=lambda s: (s[0] + s[1].flip(-1)) / 2, apply=lambda A, y: A @ y):
        s = 0
        for A, w in zip(maps, weights):
            y = x
            for _ in range(tau):
                y = apply(A, y)
            s = s + w * mm(y, dims)
        return last(s.transpose(1, 2).unflatten(2, grid))

    def case(H, W, K, levels):
        N = H * W
        maps = [(6 * torch.rand(2, N, N, dtype=torch.float64)).softmax(-1) * 4 ** i for i in range(levels)]        # sums of rows 1, 4, 16
        return torch.rand(2, N, K, dtype=torch.float64), maps, [.5 / (i + 1) for i in range(levels)]

    x, maps, weights = case(3, 4, 5, 3)
    copies = x.clone(), [A.clone() for A in maps]
    got, right = student.faseg_scores(x, maps, weights, 2, (3, 4)), want(x, maps, weights, 2, (3, 4))
    assert torch.equal(x, copies[0]) and all(map(torch.equal, maps, copies[1])), "faseg_scores changed what it was given; make new tensors"
    assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
    assert got.shape == (5, 3, 4), f"for 5 classes on a grid (3, 4) the scores should be (5, 3, 4); yours are {tuple(got.shape)}"
    same = lambda y: torch.allclose(got.double(), y, atol=1e-6)
    other = lambda **k: want(x, maps, weights, 2, (3, 4), **k)
    assert not same(other(last=lambda s: s.mean(0))), "the mirror view was not turned back"
    assert not same(other(last=lambda s: (s[0] + s[1].flip(-2)) / 2)), "the mirror view was turned upside down; left and right are along W"
    assert not same(other(last=lambda s: s[0])), "the mirror view is missing"
    assert not same(other(last=lambda s: s[0] + s[1].flip(-1))), "take the mean of the two views, not the sum"
    assert not same(other(dims=(0, 1))), "min-max is for each view by itself; yours shares it between the two"
    assert not same(other(dims=(2,))), "min-max is over the cells, axis 1; yours is over the classes"
    assert not same(other(dims=(1, 2))), "min-max is for each class by itself; yours shares it among the classes"
    assert not same(other(apply=lambda A, y: A.transpose(1, 2) @ y)), "rows of the maps are queries: A @ x, not its transpose"
    assert not same(want(x, maps, weights, 1, (3, 4))), "tau = 2 should apply every map twice"
    assert not same(want(x, [A ** 2 for A in maps], weights, 1, (3, 4))), "A to the power tau is the matrix applied tau times, not its entries squared"
    assert not same(want(x, maps, [1 / 3] * 3, 2, (3, 4))), "the levels are not weighted"
    close(got.double(), right, "refine each level from x, min-max per view and class, weight, turn back, mean", 1e-4)
    for H, W, K, levels, tau in ((2, 5, 1, 1, 1), (5, 2, 3, 2, 3), (4, 4, 2, 2, 0)):
        x, maps, weights = case(H, W, K, levels)
        close(student.faseg_scores(x, maps, weights, tau, (H, W)).double(), want(x, maps, weights, tau, (H, W)),
              f"wrong for a grid ({H}, {W}), {K} classes, {levels} levels, tau = {tau}", 1e-4)
    x, maps, weights = case(3, 4, 2, 2)
    x[..., 1] = 0
    got = student.faseg_scores(x, maps, weights, 1, (3, 4))
    assert got.isfinite().all(), "a class whose map is constant gives NaN: 0 / 0 in the min-max; it should become 0"
    close(got.double(), want(x, maps, weights, 1, (3, 4)), "a class whose map is constant should score 0 and leave the others alone", 1e-4)


SCENES = range(6151, 6159)      # picked: loudness gains only 0.05 there, comparing words 0.11
OVER_ONES, OVER_LOUDEST = 0.06, 0.015


@cache
def cases():
    """Per scene, with two absent names: scores s and raw attention x (K, h, w), truth (H, W), own label numbers (K,)."""
    model = minifaseg.load("cartoon", "cpu", "float32")
    method = minifaseg.make_method("faseg", model)
    dataset = open_dataset("cartoon", seeds=SCENES, side=model.side)
    candidates, found = Candidates("gt+2", dataset, shuffle=0), []
    for id in dataset.ids:
        image, truth = dataset.read(id)
        names = candidates(id, image, truth)
        captured = method.capture(model, image, names)
        x = hard.fuse_cross(captured, captured.lookup, method.cross)
        s = hard.refine(captured, x, method.levels, method.tau)
        s, x = (ttf.merge(hard.as_image(y, captured.grids[-1])) for y in (s, x))
        found.append((s, x, truth, np.array([CLASSES.index(c) + 1 for c in names])))
    return found


def accuracy(factors):
    """Mean pixel accuracy over the scenes with the scores times factors [(K,)], at the best of 20 thresholds."""
    right = np.zeros(20)
    for (s, _, truth, own), f in zip(cases(), factors):
        best, k = (y.numpy() for y in labelling.upsample(s * f[:, None, None], truth.shape[::-1]).max(0))
        right += [(np.where(best >= theta, own[k], 0) == truth).mean() for theta in np.arange(20) / 20]
    return right.max() / len(factors)


def check_7_3(student):
    def told(s, x):
        copies = s.clone(), x.clone()
        f = student.trust(s, x)
        assert torch.equal(s, copies[0]) and torch.equal(x, copies[1]), "trust changed the maps it was given; return a new tensor"
        assert isinstance(f, torch.Tensor), f"return a tensor; yours is of type {type(f).__name__}"
        assert f.shape == (len(s),), f"one factor for each class: ({len(s)},); yours are {tuple(f.shape)}"
        assert f.isfinite().all(), "your factors hold NaN or infinite numbers; what if a class's scores are 0 everywhere?"
        assert f.min() >= 0 and f.max() <= 1 + 1e-6, f"factors lie in [0, 1]; yours go from {f.min():.3f} to {f.max():.3f}"
        return f.float()

    for K, H, W in ((1, 4, 4), (3, 5, 7), (8, 6, 4)):
        s, x, order = torch.rand(K, H, W), torch.rand(K, H, W) / 20, torch.randperm(K)
        difference = (told(s[order], x[order]) - told(s, x)[order]).abs().max()
        assert difference < 1e-4, f"the order of the classes should not matter; a factor changes by {difference:.3f} when {K} classes are asked in another order"
    s = torch.rand(3, 4, 4)
    s[1] = 0
    told(s, torch.rand(3, 4, 4) / 20)
    told(s - 0.01, torch.rand(3, 4, 4) / 20)                                    # bicubic curves leave [0, 1] a little
    after = accuracy([told(s, x) for s, x, *_ in cases()])
    before = accuracy([torch.ones(len(s)) for s, *_ in cases()])
    loudest = accuracy([x.amax((1, 2)) / x.max() for _, x, *_ in cases()])
    assert after > before - 1e-9, f"your factors make it worse: pixel accuracy {after:.3f}, all trusted {before:.3f}. Are present classes trusted most?"
    assert after >= before + OVER_ONES, f"pixel accuracy {after:.3f}, all trusted {before:.3f}: too little gained. Where a class claims to be, is another heard louder?"
    assert after >= loudest + OVER_LOUDEST, (f"pixel accuracy {after:.3f}, factors as loud as the words {loudest:.3f}: words have a volume of their own, "
                                             "so compare them where a class claims to be")
