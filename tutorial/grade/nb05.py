"""05, HARD."""
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import torch
import torch.nn.functional as F

import minifaseg
from minifaseg import hard, labelling
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.things import THINGS
from minifaseg.cartoon.words import CLASSES

from . import close, is_tensor, meaning, seeded, write_it_yourself

VIEWS = {"__get__", "__getitem__", "T", "mT", "t", "transpose", "swapaxes", "permute", "view", "reshape", "contiguous", "clone", "detach", "to", "float",
         "double", "type", "cpu", "squeeze", "unsqueeze", "expand", "requires_grad_"}                       # they leave the matrix as it is
SCALING = {"mul", "multiply", "__mul__", "__rmul__", "div", "true_divide", "__truediv__"}


def watched(A):
    """A as a tensor that raises as soon as another N x N matrix is made of it; products with (N, K) are fine."""
    N = len(A)

    class Watched(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            name = function.__name__
            assert name not in ("numpy", "tolist", "__array__"), "stay in PyTorch, please: A is watched here, and it is not watched elsewhere"
            with torch._C.DisableTorchFunctionSubclass():
                out = function(*args, **(kwargs or {}))
            made = [t for t in (out if isinstance(out, (tuple, list)) else [out]) if isinstance(t, torch.Tensor) and t.shape[-2:] == (N, N)]
            if not made:
                return out
            scaled = name in SCALING and all(not isinstance(a, torch.Tensor) or a.ndim == 0 or isinstance(a, Watched) for a in args) \
                and sum(isinstance(a, Watched) for a in args) == 1
            assert name in VIEWS or scaled, (f"`{name.strip('_')}` made a second N x N matrix of A, which is N^3 work for a product. "
                                             "Only (N, K) maps need to be made: A (A x) is (A A) x, so let A meet x, and the result again")
            return out.as_subclass(Watched) if isinstance(out, torch.Tensor) else out
    return A.clone().as_subclass(Watched)


def plain(y):
    return y.as_subclass(torch.Tensor) if isinstance(y, torch.Tensor) else y


def unchanged(x, before):
    assert torch.equal(x, before), "your function changes the tensor that it was given; make a new one"


def rows(N, M=None):
    """A random map (N, M), far from symmetric; rows sum to 1."""
    return (2 * torch.randn(N, M or N)).softmax(1)


@write_it_yourself(hard.minmax, labelling.minmax_at)
def check_5_1(student):
    y = torch.randn(6, 3) * torch.tensor([1.0, 10.0, 0.1]) + torch.tensor([5.0, -30.0, 0.0])
    before, want = y.clone(), hard.minmax(y[None])[0]
    got = student.minmax(y)
    unchanged(y, before)
    low, high = y.amin(0), y.amax(0)
    close(got, want, "every class map should run from 0 to 1 over the cells: (y - min) / (max - min)", mistakes={
        "one range for the whole tensor: each class map (column) has its own minimum and maximum": (y - y.min()) / (y.max() - y.min()),
        "each class map (column) has its own minimum; yours takes that of the whole tensor": (y - y.min()) / (high - low),
        "each class map (column) has its own range; yours divides by that of the whole tensor": (y - low) / (y.max() - y.min()),
        "the range runs over the cells (rows, dim 0); yours runs over the classes": hard.minmax(y.T[None])[0].T,
        "the smallest value of every map should become 0: take the minimum off first": y / high,
        "the smallest value of every map should become 0: take the minimum off; yours only divides by the range": y / (high - low),
        "divide by max - min, the range; yours divides by the maximum": (y - low) / high,
        "divide by the range, max - min; the division is missing": y - low,
        "turned over: the largest value should become 1 and the smallest 0": (high - y) / (high - low),
        "from 0 to 1; yours runs from -1 to 1": 2 * want - 1,
        "min-max, not mean and standard deviation": (y - y.mean(0)) / y.std(0),
        "min-max, not mean and standard deviation (of all cells)": (y - y.mean(0)) / y.std(0, correction=0),
        "take the minimum off, not the mean": (y - y.mean(0)) / (high - low),
        "min-max, not a softmax over the cells": y.softmax(0),
        "min-max, not a share of the sum": y / y.sum(0),
        "divide by the range; yours divides by the sum, so that maps sum to 1": (y - low) / (y - low).sum(0),
        "values may be negative: the smallest is the minimum as it is, and yours cuts it off at 0": ((y - low.clamp_min(0)) / (high - low.clamp_min(0))).clamp(0, 1),
        "values may be negative: yours cuts them off at 0": (y.clamp_min(0) - y.clamp_min(0).amin(0)) / (y.clamp_min(0).amax(0) - y.clamp_min(0).amin(0)).clamp_min(1e-30),
        "a stretch keeps the proportions; yours has ranks, in equal steps": y.argsort(0).argsort(0) / 5,
        "clamping is not stretching: (y - min) / (max - min)": y.clamp(0, 1)})
    flat = student.minmax(torch.cat([y, torch.full((6, 1), -2.5)], dim=1))
    is_tensor(flat, (6, 4))
    constant = flat[:, 3]
    assert flat.isfinite().all(), "a constant map gives 0 / 0 = NaN; it should become 0"
    assert torch.equal(constant, torch.zeros(6)), f"a constant map should become 0; yours becomes {constant[0].item():.3g}"
    close(flat[:, :3], want, "a constant map beside them should not change the other maps")
    close(student.minmax(torch.full((3, 2), 7.0)), torch.zeros(3, 2), "constant maps alone should become 0, too")
    tiny = torch.tensor([[0.0], [2.5e-7], [1e-6], [5e-7]])
    close(student.minmax(tiny), tiny * 1e6, "a map of range 1e-6 is not constant and should reach 1; is something added to the divisor, or a range taken for 0, that is too large?", 1e-4, {
        "a map of range 1e-6 is not constant and should reach 1; yours takes it for constant: where is your limit?": 0 * tiny})
    near = 1 + torch.tensor([[0.0], [1.0], [4.0]]) * 2 ** -22
    close(student.minmax(near), torch.tensor([[0.0], [0.25], [1.0]]), "a map between 1 and 1.000001 is not constant, and should reach 1", 1e-4, {
        "a map between 1 and 1.000001 is not constant: only a range of exactly 0 is; isclose and allclose take more for equal": 0 * near})
    mean = torch.tensor([[1000.0], [1000.5], [1002.0]])
    close(student.minmax(mean), torch.tensor([[0.0], [0.25], [1.0]]), "a map far from 0 is stretched all the same", 1e-4)


@write_it_yourself(hard.fuse_cross)
def check_5_2(student):
    maps = [torch.rand(1, 2, 3), torch.rand(2, 3, 3), torch.rand(4, 6, 3)]
    weights, full = [0.5, 2.0, 0.3], (4, 6)
    before = [m.clone() for m in maps], list(weights)
    up = lambda m, mode="nearest", **kind: F.interpolate(m.permute(2, 0, 1)[None], size=full, mode=mode, **kind)[0].permute(1, 2, 0)
    weighted = lambda w, up=up: sum(w * up(m) for m, w in zip(maps, w))
    want, equal = weighted(weights), weighted((1, 1, 1))
    each = "height and width have a factor each, H // r_h and W // r_w"
    with meaning("must match the size", f"the levels do not fit on one grid: {each}"):
        got = student.fuse(maps, weights, full)
    for m, b in zip(maps, before[0]):
        unchanged(m, b)
    assert weights == before[1], "your function changes the weights that it was given"
    minmaxed = [(m - m.amin((0, 1))) / (m.amax((0, 1)) - m.amin((0, 1))) for m in maps]
    highest = [m / m.amax((0, 1)) for m in maps]
    shares = [m / m.sum((0, 1)) for m in maps]
    close(got, want, "the sum of weight times map, each map's cells repeated as blocks", mistakes={
        "leave the maps as they are; yours are divided by their largest value before": sum(w * up(m) for m, w in zip(highest, weights)),
        "leave the maps as they are; yours are divided by their sum before": sum(w * up(m) for m, w in zip(shares, weights)),
        "every class keeps a map of its own, K of them; yours adds up the classes": want.sum(2, keepdim=True),
        "every class keeps a map of its own, K of them; yours is the first alone": want[..., :1],
        "the weights are in reversed order: the first one belongs to the coarsest map, the first of the list": weighted(weights[::-1]),
        "the weights are not those of their maps: the first weight belongs to the first map, and so on": weighted(weights[1:] + weights[:1]),
        "take the weights as they are; yours are divided by their sum": want / sum(weights),
        "take the weights as they are; yours go through a softmax": weighted(torch.tensor(weights).softmax(0).tolist()),
        "take the weights as they are; yours are squared": weighted([w * w for w in weights]),
        "a weighted sum, not a mean over the levels": want / 3,
        "the weights are missing: the levels were added as they are": equal,
        "the weights are missing, and it is a sum, not a mean": equal / 3,
        "all levels count; yours is the finest alone": weights[2] * maps[2], "all levels count; yours is the finest alone, without its weight": maps[2],
        "all levels count; yours is the coarsest alone": weights[0] * up(maps[0]),
        "the finest level counts, too; yours leaves it out": want - weights[2] * maps[2],
        "the coarsest level counts, too; yours leaves it out": want - weights[0] * up(maps[0]),
        "a sum, not the largest of the levels": torch.stack([w * up(m) for m, w in zip(maps, weights)]).amax(0),
        "a sum, not a product": torch.stack([w * up(m) for m, w in zip(maps, weights)]).prod(0),
        "nearest neighbour: every coarse cell becomes a block of one value; yours is bilinear": weighted(weights, lambda m: up(m, "bilinear")),
        "nearest neighbour: every coarse cell becomes a block of one value; yours is bilinear, corners aligned": weighted(weights, lambda m: up(m, "bilinear", align_corners=True)),
        "nearest neighbour: every coarse cell becomes a block of one value; yours is bicubic": weighted(weights, lambda m: up(m, "bicubic")),
        "the map was tiled (its copies side by side); each *cell* should be repeated: 1 2 becomes 1 1 2 2, not 1 2 1 2": weighted(weights, lambda m: m.repeat(4 // len(m), 6 // m.shape[1], 1)),
        "each cell should be repeated as a block, not divided among the block's cells": weighted(weights, lambda m: up(m) / (24 // m[..., 0].numel())),
        "reshape does not move the classes to the front, it only reads the numbers in another order; permute does":
            weighted(weights, lambda m: F.interpolate(m.reshape(1, 3, *m.shape[:2]), size=full)[0].permute(1, 2, 0)),
        "classes are the last axis, (H, W, K); yours come first": want.permute(2, 0, 1),
        "the height comes first, (H, W, K); yours has height and width exchanged": want.transpose(0, 1),
        "leave the maps as they are; yours are stretched from 0 to 1 before": sum(w * up(m) for m, w in zip(minmaxed, weights)),
        "leave the sum as it is; yours is stretched from 0 to 1": (want - want.amin((0, 1))) / (want.amax((0, 1)) - want.amin((0, 1)))})
    one = torch.rand(1, 2, 3)
    block = lambda m, f, g: m.repeat_interleave(f, 0).repeat_interleave(g, 1)
    close(student.fuse([one], (1.0,), (4, 6)), block(one, 4, 3), f"a level of 1 x 2 cells on a grid of 4 x 6: {each}, and cells become blocks", mistakes={
        f"{each}; yours takes the height's for both": block(one, 4, 4), f"{each}; yours takes the height's for both, cut off": block(one, 4, 4)[:, :6],
        f"{each}; yours takes the width's for both": block(one, 3, 3), f"{each}; yours has the two exchanged": block(one, 3, 4),
        "the finest level need not have the full grid: enlarge it, too, to `full`": one})
    close(student.fuse(maps[2:], (1.0,), full), maps[2], "one level that is already full, with weight 1, stays what it is")
    close(student.fuse([torch.ones(1, 1, 2)], (0.5,), (3, 2)), torch.full((3, 2, 2), 0.5), "a level of a single cell fills the grid with it")


@write_it_yourself(hard.refine_level, hard.refine)
def check_5_3(student):
    A, x = rows(6), torch.rand(6, 2)
    before = x.clone(), A.clone()
    got = student.power_times(A, x, 3)
    unchanged(x, before[0])
    unchanged(A, before[1])
    three = A @ A @ A
    close(got, A @ (A @ (A @ x)), "tau = 3 should be A (A (A x))", mistakes={
        "A ** 3 takes the power of every entry; A^3 is A A A": A ** 3 @ x,
        "A * A takes the product of every entry; A^3 is A A A, a matrix product": A * A * A @ x,
        "A was transposed: row i of A says where cell i looks, and A x is the mean of x over those": three.T @ x,
        "one step too many: tau = 3 is three times A": A @ three @ x,
        "one step too few: tau = 3 is three times A": A @ A @ x,
        "A is applied once; tau = 3 is three times, each time to the last result": A @ x,
        "A is applied once and the result multiplied by tau; tau = 3 is three times A": 3 * (A @ x),
        "all steps are added up; only the last result counts": A @ x + A @ A @ x + three @ x,
        "all steps are added up, and x itself; only the last result counts": x + A @ x + A @ A @ x + three @ x,
        "the mean of all steps; only the last result counts": (A @ x + A @ A @ x + three @ x) / 3,
        "leave A x as it is in every step; yours is divided by its sum": three @ x / (three @ x).sum(0),
        "leave A x as it is in every step; yours is divided by its largest value": three @ x / (three @ x).amax(0),
        "nothing is applied: x comes back as it was": x,
        "2^tau times A: in each round the result is used twice; tau = 3 is three times A": torch.linalg.matrix_power(A, 8) @ x,
        "A^3 x, stretched from 0 to 1; leave it as it is": (three @ x - (three @ x).amin(0)) / ((three @ x).amax(0) - (three @ x).amin(0)),
        "the power of every value of A x; A^3 x is A applied three times": (A @ x) ** 3})
    close(student.power_times(A, x, 0), x, "tau = 0: nothing is applied, x comes back", mistakes={"tau = 0: nothing is applied, x comes back; yours applies A once": A @ x})
    close(student.power_times(A, x, 1), A @ x, "tau = 1 is A x", mistakes={"`tau` is an argument; yours applies A three times whatever it is": three @ x})
    A, x = rows(9), torch.randn(9, 3)
    got = plain(student.power_times(watched(A), x, 5))
    close(got, torch.linalg.matrix_power(A.double(), 5) @ x.double(), "tau = 5 should be A applied five times", 1e-4)
    plain(student.power_times(watched(A), x, 1))


@write_it_yourself(hard.refine_level, hard.refine)
def check_5_4(student):
    for r, full, K in ((3, 12, 2), (2, 6, 4)):
        A, x, f = rows(r * r), torch.rand(full * full, K), full // r
        before = x.clone()
        package = lambda A, x: hard.refine_level(SimpleNamespace(grids=[(r, r), (full, full)], apply_self_attention=lambda _, x: A @ x), (r, r), x[None], 1)[0]
        want = package(A, x)
        got = student.coarse_refine(A, x, r, full)
        unchanged(x, before)
        image = x.T.reshape(1, K, full, full)
        cells = lambda m: m.reshape(K, -1).T
        sums = cells(F.avg_pool2d(image, f)) * f * f
        up = lambda y, mode="bicubic", **kind: cells(F.interpolate(y.T.reshape(1, K, r, r), size=(full, full), mode=mode, **kind))
        mixed = lambda y: F.interpolate(y.reshape(1, K, r, r), size=(full, full), mode="bicubic").reshape(K, -1).T
        corner = cells(image[..., ::f, ::f])
        close(got, want, "U A R x: sums of the blocks, times A, bicubic up", mistakes={
            f"your rows of U A R sum to 1, and should to f^2 = {f * f}: keys are repeated, so R x is the sum of each block, not its mean": want / f ** 2,
            f"your rows of U A R sum to f = {f}, and should to f^2: a block has f rows and f columns": want / f,
            "your rows of U A R sum to f^4; R x is the sum of each block, so it is multiplied by f^2 once": want * f ** 2,
            "A was transposed: rows of A are queries, A x is the mean over the keys": package(A.T, x),
            "A is applied twice; one step is asked for": up(A @ A @ sums),
            "A is missing: the sums go up as they are": up(sums),
            "queries go up by bicubic interpolation; yours are repeated as blocks": up(A @ sums, "nearest"),
            "queries go up by bicubic interpolation; yours is bilinear": up(A @ sums, "bilinear", align_corners=False),
            "queries go up by bicubic interpolation; yours is bilinear, corners aligned": up(A @ sums, "bilinear", align_corners=True),
            "align_corners=False: cells are squares with a middle, not points on the corners": up(A @ sums, align_corners=True),
            "queries repeated, and means of the blocks: queries go up bicubic, R x sums": up(A @ sums, "nearest") / f ** 2,
            "bilinear, and means of the blocks: queries go up bicubic, R x sums": up(A @ sums, "bilinear") / f ** 2,
            "x is (cells, classes): transpose it before you make images of it; reshape alone reads cells and classes mixed up": package(A, x.reshape(K, -1).T),
            "the coarse result is (cells, classes): transpose it before you make images of it; reshape alone mixes them up": mixed(A @ sums),
            "the enlarged images are (classes, cells): transpose them at the end; reshape alone mixes them up": want.T.reshape(-1, K),
            "(cells, classes) at the end; yours is (classes, cells)": want.T,
            "R sums all cells of a block; yours takes one of them": up(A @ corner),
            "R sums all cells of a block; yours takes one of them, f^2 times": up(A @ corner) * f ** 2,
            "R sums all cells of a block; yours takes the largest": up(A @ cells(F.max_pool2d(image, f))),
            "R sums all cells of a block; yours shrinks by bicubic interpolation": up(A @ cells(F.interpolate(image, size=(r, r), mode="bicubic"))),
            "R sums all cells of a block; yours shrinks by bicubic interpolation, times f^2": up(A @ cells(F.interpolate(image, size=(r, r), mode="bicubic"))) * f ** 2,
            "R sums all cells of a block; yours shrinks by bilinear interpolation": up(A @ cells(F.interpolate(image, size=(r, r), mode="bilinear"))),
            "R sums all cells of a block; yours shrinks by bilinear interpolation, times f^2": up(A @ cells(F.interpolate(image, size=(r, r), mode="bilinear"))) * f ** 2,
            "a block is f x f neighbouring cells of the picture; yours sums f^2 cells that follow one another in the row-by-row order": up(A @ x.reshape(r * r, f * f, K).sum(1)),
            "a block is f x f neighbouring cells; yours takes every r-th row and column": up(A @ x.reshape(f, r, f, r, K).sum((0, 2)).reshape(r * r, K))})
    A, x = rows(9), torch.rand(9, 2)
    close(student.coarse_refine(A, x, 3, 3), A @ x, "with r = full there is nothing to align, and the result is A x")


def check_5_5(student):
    A, x = rows(7), torch.rand(7, 3)
    P = torch.linalg.matrix_power
    walk = lambda A, alpha, steps: P(alpha * A, steps) @ x + sum((1 - alpha) * P(alpha * A, i) @ x for i in range(steps))
    before = x.clone(), A.clone()
    got = student.random_walk_with_restart(A, x, 0.3, 4)
    unchanged(x, before[0])
    unchanged(A, before[1])

    def other(update, y=x, steps=4):
        for _ in range(steps):
            y = update(y)
        return y

    limit = 0.7 * torch.linalg.solve(torch.eye(7) - 0.3 * A, x)
    close(got, walk(A, 0.3, 4), "y_{n+1} = alpha A y_n + (1 - alpha) x, from y_0 = x", mistakes={
        "alpha and 1 - alpha are exchanged: alpha is the chance to walk on, 1 - alpha the chance to return": walk(A, 0.7, 4),
        "A was transposed: row i of A says where cell i looks": walk(A.T, 0.3, 4),
        "you return to y_n, which is to stay where you are; the restart is at x, the start": other(lambda y: 0.3 * A @ y + 0.7 * y),
        "you walk on from x in every step; walk on from y_n": other(lambda y: 0.3 * A @ x + 0.7 * x),
        "you walk on from x in every step and return to y_n; it is the other way round": other(lambda y: 0.3 * A @ x + 0.7 * y),
        "you seem to start from 0; the walk starts from y_0 = x": other(lambda y: 0.3 * A @ y + 0.7 * x, 0 * x),
        "the walk starts from y_0 = x; yours starts from 0, with one step more": other(lambda y: 0.3 * A @ y + 0.7 * x, 0 * x, 5),
        "the restart comes after A: (1 - alpha) x is added to alpha A y, and not walked on with": other(lambda y: A @ (0.3 * y + 0.7 * x)),
        "the walk starts from y_0 = x; yours starts from (1 - alpha) x": other(lambda y: 0.3 * A @ y + 0.7 * x, 0.7 * x),
        "the walk starts from y_0 = x; yours starts from A x": other(lambda y: 0.3 * A @ y + 0.7 * x, A @ x),
        "one step too many: y_0 is x itself": walk(A, 0.3, 5),
        "one step too few: y_n after `steps` updates": walk(A, 0.3, 3),
        "a single step; repeat it, each time from the last result": walk(A, 0.3, 1),
        "x returns with weight 1 - alpha; yours returns whole": other(lambda y: 0.3 * A @ y + x),
        "A y_n has weight alpha; yours has none": other(lambda y: A @ y + 0.7 * x),
        "both weights are missing": other(lambda y: A @ y + x),
        "the restart is missing: (1 - alpha) x in every step": other(lambda y: 0.3 * A @ y),
        "the restart is missing, and so is alpha: this is A^n x": P(A, 4) @ x,
        "the walker returns in every step, not once at the end": 0.3 * P(A, 4) @ x + 0.7 * x,
        "alpha multiplies A y_n alone; yours multiplies the sum": other(lambda y: 0.3 * (A @ y + 0.7 * x)),
        "alpha is multiplied once a step; yours is raised to the number of steps": 0.3 ** 4 * P(A, 4) @ x + (1 - 0.3 ** 4) * x,
        "A is raised to the power of entries; A y is a matrix product": other(lambda y: 0.3 * A * A @ y + 0.7 * x),
        "after 4 steps the walk has not yet converged; yours is its limit, whatever `steps` is": limit,
        "all steps are added up; only the last y counts": sum(walk(A, 0.3, n) for n in range(1, 5)),
        "the mean of all steps; only the last y counts": sum(walk(A, 0.3, n) for n in range(1, 5)) / 4})
    close(student.random_walk_with_restart(A, x, 0.3, 0), x, "no step at all: y_0 = x")
    close(student.random_walk_with_restart(A, x, 1.0, 3), A @ (A @ (A @ x)), "with alpha = 1 nobody returns, and y_n is A^n x")
    close(student.random_walk_with_restart(A, x, 0.0, 3), x, "with alpha = 0 everybody returns at once, and y_n is x")
    close(student.random_walk_with_restart(A, x, 0.9, 300), 0.1 * torch.linalg.solve(torch.eye(7) - 0.9 * A, x),
          "many steps should end at (1 - alpha) (I - alpha A)^-1 x; is the number of steps limited?", 1e-4)
    close(student.random_walk_with_restart(A, x, 0.9, 20), walk(A, 0.9, 20), "20 steps, not fewer and not more: does your loop end when little changes?", 1e-5)
    close(plain(student.random_walk_with_restart(watched(A), x, 0.6, 3)), walk(A, 0.6, 3), "y_{n+1} = alpha A y_n + (1 - alpha) x, from y_0 = x", 1e-4)


def check_5_6(student):
    A = rows(8)
    before = A.clone()
    P = torch.linalg.matrix_power
    got = student.walkers(A, 2, 3)
    unchanged(A, before)
    start = torch.eye(8)[2]
    three = P(A, 3)
    close(got, three[2], "the distribution after 3 steps from `cell`: start from 1 in that cell and 0 elsewhere, and take p A three times", mistakes={
        "this is the column: how likely walkers from each cell are to end in `cell`. Where walkers from `cell` end is p A, with p on the left of A": three[:, 2],
        "one step too many: after tau = 3 steps A has been applied three times": P(A, 4)[2],
        "one step too few: row `cell` of A is where the walker is after the first step": P(A, 2)[2],
        "a single step; repeat it, each time from the last distribution": A[2],
        "one step too many, and the column: p stands on the left of A": P(A, 4)[:, 2],
        "one step too few, and the column: p stands on the left of A": P(A, 2)[:, 2],
        "the powers of the entries of one row; two steps sum over all cells between: p A": A[2] ** 3,
        "the powers of the entries of one row, made to sum to 1; two steps sum over all cells between: p A": A[2] ** 3 / (A[2] ** 3).sum(),
        "the power of every entry of A; A^3 is A A A": (A ** 3)[2],
        "all walkers start in `cell`; yours start in every cell alike": torch.ones(8) / 8 @ three,
        "all walkers start in `cell`; yours start in every cell, one in each": torch.ones(8) @ three,
        "all steps are added up; only where the walker is after the last one counts": A[2] + P(A, 2)[2] + three[2],
        "the mean over the steps; only where the walker is after the last one counts": (A[2] + P(A, 2)[2] + three[2]) / 3,
        "the start is added in; only where the walker is after the last step counts": (start + A[2] + P(A, 2)[2] + three[2]) / 4,
        "a distribution sums to 1; yours is divided by its largest value": three[2] / three[2].max(),
        "a distribution sums to 1; yours is stretched from 0 to 1": hard.minmax(three[2][None, :, None])[0, :, 0],
        "nobody has moved: this is the distribution at tau = 0": start,
        "cell counts from 0; yours is the walker of the cell before": three[1],
        "a distribution (N,), one number for each cell; yours has a second axis": three[2][None],
        "a distribution (N,), one number for each cell; yours is a column": three[2][:, None]})
    close(student.walkers(A, 5, 0), torch.eye(8)[5], "tau = 0: the walker has not moved, so 1 in its cell and 0 elsewhere", mistakes={
        "tau = 0: the walker has not moved; yours has taken a step": A[5]})
    close(student.walkers(A, 5, 1), A[5], "tau = 1 is row `cell` of A", mistakes={"`tau` is an argument; yours takes three steps whatever it is": three[5]})
    close(student.walkers(A, 0, 3), three[0], "the walker starts in `cell`, whichever it is", mistakes={"`cell` is an argument; yours starts in the same one whatever it is": three[2]})
    A = rows(9)
    close(plain(student.walkers(watched(A), 7, 6)), P(A.double(), 6)[7], "after 6 steps p A was taken six times", 1e-4)
    with meaning("same dtype", "A may be float64, and a product wants one dtype: make the start with dtype=A.dtype"), \
            meaning("expected scalar type", "A may be float64, and a product wants one dtype: make the start with dtype=A.dtype"):
        close(student.walkers(A.double(), 7, 2), P(A.double(), 2)[7], "float64 works as well")


def counted(A, limit):
    """A as a tensor that raises after `limit` operations with it, so that no loop is without end."""
    left = [limit]

    class Counted(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            left[0] -= 1
            assert left[0] > 0, (f"after {limit} operations with A your loop has not ended: on a ring or a star walkers that all move at once swing to and fro for ever. "
                                 "Let half of them stay in every step, (I + A) / 2: its pi is the same")
            with torch._C.DisableTorchFunctionSubclass():
                out = function(*args, **(kwargs or {}))
            return out.as_subclass(Counted) if isinstance(out, torch.Tensor) and out.shape[-2:] == A.shape else out
    return A.clone().as_subclass(Counted)


def check_5_7(student):
    star = torch.zeros(6, 6)                                                # the middle and five around it; all move at once: period 2
    star[0, 1:], star[1:, 0] = torch.tensor([0.1, 0.3, 0.2, 0.1, 0.3]), 1
    ring = torch.eye(5).roll(1, 1)                                          # period 5
    weak = torch.block_diag(torch.full((3, 3), 1 / 3), torch.full((3, 3), 1 / 3))
    weak[:3] *= 0.998
    weak[3:] *= 0.999
    weak[:3, 3], weak[3:, 0] = 0.002, weak[3:, 0] + 0.001                   # two cliques, twice as many go over as come back

    def told(A, tolerance, what, limit=30000):
        """pi of the student, checked for all but closeness."""
        before = A.clone()
        with meaning("same dtype", "A may be float64, and a product wants one dtype: make pi with dtype=A.dtype"), \
                meaning("expected scalar type", "A may be float64, and a product wants one dtype: make pi with dtype=A.dtype"):
            pi = plain(student.stationary(counted(A, limit), tolerance))
        unchanged(A, before)
        is_tensor(pi)
        assert not pi.is_complex(), "eigenvectors come as complex numbers; the one of eigenvalue 1 is real: take .real, and divide by the sum"
        N = len(A)
        assert pi.shape == (N,), f"one number for each cell, shape ({N},); yours is {tuple(pi.shape)}"
        assert pi.isfinite().all(), "your pi holds NaN or infinite numbers"
        double, A = pi.double(), A.double()
        even = (double - double.mean()).abs().max() < 1e-6
        assert abs(double.sum() - 1) < 1e-3, f"pi is a distribution and sums to 1; yours sums to {double.sum().item():.4g}"
        residual = (double @ A - double).abs().sum().item()
        if residual <= 1.0001 * tolerance + 1e-7 * (pi.dtype == torch.float32):
            assert (double > -1e-6).all(), "pi is a distribution: no entry is below 0"
            return double
        assert not even, f"pi A = pi does not hold on {what}: an even spread is A 1 = 1, the right eigenvector. Walkers step by pi A, with pi on the left"
        columns = A.sum(0) / N
        assert (double - columns).abs().max() > 1e-5, f"on {what} yours is one step from an even spread, the sums of the columns; step on until nothing changes"
        assert residual > 2.0001 * tolerance, \
            f"nearly: sum |pi A - pi| is up to twice the tolerance on {what}. A half-lazy step is half as long as a step; ask the tolerance of pi A - pi"
        raise AssertionError(f"pi A = pi does not hold on {what}: sum |pi A - pi| is {residual:.2g}, and the tolerance is {tolerance:.0e}")

    def exact(A):
        """By a linear system: N - 1 of the equations pi (A - I) = 0, and the sum."""
        N = len(A)
        M = (A.double() - torch.eye(N).double()).T
        M[-1] = 1
        return torch.linalg.solve(M, torch.eye(N).double()[-1])

    A = rows(12)
    want = exact(A)
    close(told(A, 1e-5, "a random map"), want, "your pi is not the stationary distribution of a random map", 1e-3)
    close(told(star, 1e-4, "a star, where walkers in the middle step out and all others step in"), exact(star), "on a star half of the walkers are in the middle", 1e-2, mistakes={
        "on a star all walkers move out and in at once, and pi holds half of them in the middle": exact(star).roll(1)})
    close(told(ring, 1e-4, "a ring, where everybody steps to the next cell"), torch.full((5,), 0.2).double(), "on a ring every cell holds as many as the others", 1e-2)
    told(weak, 1e-5, "two cliques with a weak bond (a slow walk: is the number of steps limited?)", limit=300000)
    told((2 * torch.randn(7, 7).double()).softmax(1), 1e-11, "a map in float64 with a tolerance of 1e-11")


# Scenes of two things each: pairs in a fixed order, so that two things of a scene are never of one kind. The names are not told to the network, which is
# captured under "picture". Mean IoU of these 21 clicks: all cells 0.11; row of A from 0.1 of its maximum 0.30, from its best share, 0.03, 0.48; row of A^2 from 0.1
# 0.40, from its best, 0.15, 0.48; a disc around the click, best radius (7 cells), 0.47. Ideas: rows of A^2 compared by correlation 0.54, and what hangs together
# with the click 0.65; walkers from 25 cells around it, and what hangs together, 0.67; correlation with nine cells, and what hangs together, 0.72; 16 x 16 beside it 0.74.
CLICKED_SCENES, CLICK_BAR = range(7400, 7412), 0.55


@cache
def clicks():
    """[(captured, clicked cell (row, column), truth (H, W))]"""
    model = minifaseg.load("cartoon", "cpu", "float32")
    method = minifaseg.make_method("faseg", model, flip=False)
    kinds, found = sorted(THINGS), []
    for n, seed in enumerate(CLICKED_SCENES):
        things = kinds[n % len(kinds)], kinds[(n + 5) % len(kinds)]
        scene = paint(seed, 128, things=things)
        captured = method.capture(model, scene.image, ("picture",))
        for grid in captured.grids:
            captured.self_map(grid)
        dice = seeded(seed)
        for name in things:
            pixels = torch.tensor(scene.labels == CLASSES.index(name) + 1).float()
            truth = F.avg_pool2d(pixels[None, None], 4)[0, 0] >= 0.5                        # (32, 32)
            inner = F.avg_pool2d(truth[None, None].float(), 3, 1, 1)[0, 0] > 0.99           # all nine cells around lie on it
            places = inner.flatten().nonzero()[:, 0]
            if len(places) >= 10:
                cell = places[torch.randint(len(places), (1,), generator=dice)].item()
                found.append((captured, divmod(cell, truth.shape[1]), truth))
    return found


def own_copy(captured):
    """The same record with maps of its own, so that nothing a student writes into them lasts."""
    return replace(captured, _maps={grid: A.clone() for grid, A in captured._maps.items()})


def overlap(mask, truth):
    return ((mask & truth).sum() / (mask | truth).sum()).item()


def check_5_8(student):
    def told(captured, cell):
        copy = own_copy(captured)
        mask = student.segment_from_click(copy, cell)
        H, W = captured.grids[-1]
        is_tensor(mask)
        assert mask.dtype == torch.bool, f"the mask holds True and False (torch.bool); yours is {str(mask.dtype).removeprefix('torch.')}: compare with a threshold"
        assert mask.shape == (H, W), f"the mask has the shape of the finest grid, ({H}, {W}); yours is {tuple(mask.shape)}"
        kept = all(torch.equal(A, copy._maps[grid]) for grid, A in captured._maps.items())
        assert kept, "your function changes the map that `captured` keeps, and the next click would meet it changed: make a new tensor (B = A - ..., not A -= ...)"
        return mask

    cases = clicks()
    masks = [told(captured, cell) for captured, cell, _ in cases]
    score = lambda masks: sum(overlap(m, truth) for m, (_, _, truth) in zip(masks, cases)) / len(cases)
    got = score(masks)
    if got >= CLICK_BAR:
        return

    # Not good enough: what does it do?
    numbers = f"mean IoU {got:.2f} of {len(cases)} clicks, and {CLICK_BAR} is asked for"
    assert any(m.any() for m in masks), f"your masks are empty ({numbers})"
    assert not all(m.all() for m in masks), f"your masks are the whole picture ({numbers}): too many steps, or too low a threshold?"
    few = range(0, len(cases), 3)
    alike = lambda captured, cell: sum(torch.equal(told(captured(i), cell(i)), masks[i]) for i in few) > 0.7 * len(few)
    assert not alike(lambda i: cases[i][0], lambda i: (3, 3)), f"your mask is the same wherever one clicks ({numbers}): start from `cell`"
    assert not alike(lambda i: cases[i - 4][0], lambda i: cases[i][1]), \
        f"your mask is the same whatever the picture is ({numbers}): a shape drawn around the click knows nothing of the thing; the self-attention does"
    turned = sum(overlap(told(cases[i][0], cases[i][1][::-1]), cases[i][2]) for i in few) / len(few)
    straight = sum(overlap(masks[i], cases[i][2]) for i in few) / len(few)
    assert turned < straight + 0.05, f"row and column are exchanged ({numbers}): cell is (row, column), and its place in A is row * W + column"
    assert score([m.T for m in masks]) < got + 0.05, f"your mask has rows and columns exchanged ({numbers}): cells are numbered row by row, reshape(H, W)"
    assert score([~m for m in masks]) < got + 0.05, f"your masks are inside out ({numbers}): True where the thing is"
    levels = {"where the walker is after one step (a row of A)": lambda A, i: A[i], "where the walker is after two steps (a row of A^2)": lambda A, i: A[i] @ A,
              "where the walker is after three steps (a row of A^3)": lambda A, i: A[i] @ A @ A, "where the walker is after four steps (a row of A^4)": lambda A, i: A[i] @ A @ A @ A,
              "who looks at the cell (a column of A)": lambda A, i: A[:, i], "who comes to the cell in two steps (a column of A^2)": lambda A, i: A @ A[:, i]}
    cut = lambda mask, p: mask.any() and not mask.all() and p[mask.flatten()].min() >= p[~mask.flatten()].max() - 1e-9
    found = sum((m & truth).sum() / truth.sum() for m, (_, _, truth) in zip(masks, cases)) / len(cases)
    pure = sum((m & truth).sum() / m.sum().clamp_min(1) for m, (_, _, truth) in zip(masks, cases)) / len(cases)
    numbers += f"; of the thing you mark {100 * found:.0f} %, and of what you mark {100 * pure:.0f} % lies on it"
    for said, of in levels.items():
        same = [cut(masks[i], of(cases[i][0].self_map((32, 32))[0], cases[i][1][0] * 32 + cases[i][1][1])) for i in few]
        assert sum(same) < 0.7 * len(few), f"a threshold on {said} is not enough ({numbers}): one cell's walker knows one spot of the thing. Who else walks as it does?"
    advice = "too little: a single cell knows one spot of the thing, its neighbours know others" if found < pure - 0.15 else \
        "too much: what do all walkers share, wherever they start? And does what you mark hang together with the click?" if pure < found - 0.15 else "who else walks as the clicked cell does, and does it hang together with it?"
    raise AssertionError(f"{numbers}: {advice}")
