"""05, HARD."""
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from minifaseg import hard

from . import close

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


def unlike(got, mistake, message):
    """Asserts that the result is not that of a known mistake."""
    assert not (isinstance(got, torch.Tensor) and got.shape == mistake.shape and torch.allclose(got.double(), mistake.double(), rtol=1e-4, atol=1e-6)), message


def unchanged(x, before):
    assert torch.equal(x, before), "your function changes the tensor that it was given; make a new one"


def rows(N, M=None):
    """A random map (N, M), far from symmetric; rows sum to 1."""
    return (2 * torch.randn(N, M or N)).softmax(1)


def check_5_1(student):
    y = torch.randn(6, 3) * torch.tensor([1.0, 10.0, 0.1]) + torch.tensor([5.0, -30.0, 0.0])
    before, want = y.clone(), hard.minmax(y[None])[0]
    got = student.minmax(y)
    unchanged(y, before)
    unlike(got, (y - y.min()) / (y.max() - y.min()), "one range for the whole tensor: each class map (column) has its own minimum and maximum")
    unlike(got, hard.minmax(y.T[None])[0].T, "the range runs over the cells (rows, dim 0); yours runs over the classes")
    unlike(got, y / y.amax(0), "the smallest value of every map should become 0: take the minimum off first")
    close(got, want, "every class map should run from 0 to 1 over the cells: (y - min) / (max - min)")
    flat = student.minmax(torch.cat([y, torch.full((6, 1), -2.5)], dim=1))
    assert isinstance(flat, torch.Tensor) and flat.isfinite().all(), "a constant map gives 0 / 0 = NaN; it should become 0"
    close(flat[:, 3], torch.zeros(6), "a constant map should become 0")
    close(flat[:, :3], want, "a constant map beside them should not change the other maps")
    tiny = torch.tensor([[0.0], [2.5e-7], [1e-6], [5e-7]])
    close(student.minmax(tiny), tiny * 1e6, "a map of range 1e-6 is not constant and should reach 1; is there an epsilon in the divisor that is too large?", 1e-4)


def check_5_2(student):
    maps = [torch.rand(1, 2, 3), torch.rand(2, 3, 3), torch.rand(4, 6, 3)]
    weights, full = (0.5, 2.0, 0.3), (4, 6)
    before = [m.clone() for m in maps]
    up = lambda m, mode="nearest": F.interpolate(m.permute(2, 0, 1)[None], size=full, mode=mode)[0].permute(1, 2, 0)
    want = sum(w * up(m) for m, w in zip(maps, weights))
    got = student.fuse(maps, weights, full)
    for m, b in zip(maps, before):
        unchanged(m, b)
    unlike(got, want / sum(weights), "take the weights as they are; yours are divided by their sum")
    unlike(got, want / 3, "a weighted sum, not a mean over the levels")
    unlike(got, sum(up(m) for m in maps), "the weights are missing: the levels were added as they are")
    unlike(got, sum(w * up(m, "bilinear") for m, w in zip(maps, weights)), "nearest neighbour: every coarse cell becomes a block of one value; yours is bilinear")
    unlike(got, sum(w * m.repeat(4 // len(m), 6 // m.shape[1], 1) for m, w in zip(maps, weights)),
           "the map was tiled (its copies side by side); each *cell* should be repeated: 1 2 becomes 1 1 2 2, not 1 2 1 2")
    unlike(got, sum(w * F.interpolate(m.reshape(1, 3, *m.shape[:2]), size=full)[0].permute(1, 2, 0) for m, w in zip(maps, weights)),
           "reshape does not move the classes to the front, it only reads the numbers in another order; permute does")
    close(got, want, "the sum of weight times map, each map's cells repeated as blocks")
    close(student.fuse(maps[2:], (1.0,), full), maps[2], "one level that is already full, with weight 1, stays what it is")


def check_5_3(student):
    A, x = rows(6), torch.rand(6, 2)
    before = x.clone()
    got = student.power_times(A, x, 3)
    unchanged(x, before)
    unlike(got, A ** 3 @ x, "A ** 3 takes the power of every entry; A^3 is A A A")
    unlike(got, A.T @ A.T @ A.T @ x, "A was transposed: row i of A says where cell i looks, and A x is the mean of x over those")
    unlike(got, A @ A @ A @ A @ x, "one step too many: tau = 3 is three times A")
    unlike(got, A @ A @ x, "one step too few: tau = 3 is three times A")
    close(got, A @ (A @ (A @ x)), "tau = 3 should be A (A (A x))")
    close(student.power_times(A, x, 0), x, "tau = 0: nothing is applied, x comes back")
    close(student.power_times(A, x, 1), A @ x, "tau = 1 is A x")
    A, x = rows(9), torch.randn(9, 3)
    got = plain(student.power_times(watched(A), x, 5))
    close(got, torch.linalg.matrix_power(A.double(), 5) @ x.double(), "tau = 5 should be A applied five times", 1e-4)
    plain(student.power_times(watched(A), x, 1))


def check_5_4(student):
    for r, full, K in ((3, 12, 2), (2, 6, 4)):
        A, x, f = rows(r * r), torch.rand(full * full, K), full // r
        before = x.clone()
        package = lambda A, x: hard.refine_level(SimpleNamespace(grids=[(r, r), (full, full)], apply_self_attention=lambda _, x: A @ x), (r, r), x[None], 1)[0]
        want = package(A, x)
        got = student.coarse_refine(A, x, r, full)
        unchanged(x, before)
        unlike(got, want / f ** 2, f"your rows of U A R sum to 1, and should to f^2 = {f * f}: keys are repeated, so R x is the sum of each block, not its mean")
        unlike(got, want / f, f"your rows of U A R sum to f = {f}, and should to f^2: a block has f rows and f columns")
        unlike(got, package(A.T, x), "A was transposed: rows of A are queries, A x is the mean over the keys")
        sums = F.avg_pool2d(x.T.reshape(1, K, full, full), f).reshape(K, -1).T * f * f
        up = lambda **kind: F.interpolate((A @ sums).T.reshape(1, K, r, r), size=(full, full), **kind).reshape(K, -1).T
        unlike(got, up(mode="nearest"), "queries go up by bicubic interpolation; yours are repeated as blocks")
        unlike(got, up(mode="bilinear"), "queries go up by bicubic interpolation; yours is bilinear")
        unlike(got, up(mode="bicubic", align_corners=True), "align_corners=False: cells are squares with a middle, not points on the corners")
        unlike(got, package(A, x.reshape(K, -1).T),
               "x is (cells, classes): transpose it before you make images of it; reshape alone reads cells and classes mixed up")
        corner = x.T.reshape(K, full, full)[:, ::f, ::f].reshape(K, -1).T
        unlike(got, F.interpolate((A @ corner).T.reshape(1, K, r, r), size=(full, full), mode="bicubic").reshape(K, -1).T,
               "R sums all cells of a block; yours takes one of them")
        close(got, want, "U A R x: sums of the blocks, times A, bicubic up")
    A, x = rows(9), torch.rand(9, 2)
    close(student.coarse_refine(A, x, 3, 3), A @ x, "with r = full there is nothing to align, and the result is A x")


def check_5_5(student):
    A, x = rows(7), torch.rand(7, 3)
    walk = lambda A, alpha, steps: torch.linalg.matrix_power(alpha * A, steps) @ x + sum(
        (1 - alpha) * torch.linalg.matrix_power(alpha * A, i) @ x for i in range(steps))
    before = x.clone()
    got = student.random_walk_with_restart(A, x, 0.3, 4)
    unchanged(x, before)
    unlike(got, walk(A, 0.7, 4), "alpha and 1 - alpha are exchanged: alpha is the chance to walk on, 1 - alpha the chance to return")
    unlike(got, walk(A.T, 0.3, 4), "A was transposed: row i of A says where cell i looks")
    lazy = x
    for _ in range(4):
        lazy = 0.3 * A @ lazy + 0.7 * lazy
    unlike(got, lazy, "you return to y_n, which is to stay where you are; the restart is at x, the start")
    unlike(got, walk(A, 0.3, 4) - torch.linalg.matrix_power(0.3 * A, 4) @ x, "you seem to start from 0; the walk starts from y_0 = x")
    unlike(got, walk(A, 0.3, 5), "one step too many: y_0 is x itself")
    unlike(got, walk(A, 0.3, 3), "one step too few: y_n after `steps` updates")
    close(got, walk(A, 0.3, 4), "y_{n+1} = alpha A y_n + (1 - alpha) x, from y_0 = x")
    close(student.random_walk_with_restart(A, x, 0.3, 0), x, "no step at all: y_0 = x")
    close(student.random_walk_with_restart(A, x, 1.0, 3), A @ (A @ (A @ x)), "with alpha = 1 nobody returns, and y_n is A^n x")
    close(student.random_walk_with_restart(A, x, 0.0, 3), x, "with alpha = 0 everybody returns at once, and y_n is x")
    close(student.random_walk_with_restart(A, x, 0.9, 300), 0.1 * torch.linalg.solve(torch.eye(7) - 0.9 * A, x), "many steps should end at (1 - alpha) (I - alpha A)^-1 x", 1e-4)
    close(plain(student.random_walk_with_restart(watched(A), x, 0.6, 3)), walk(A, 0.6, 3), "y_{n+1} = alpha A y_n + (1 - alpha) x, from y_0 = x", 1e-4)
