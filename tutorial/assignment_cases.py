"""Arguments for the cases of the assignment (make_assignment.py): one function per exercise.

Each returns {what is special about the case: arguments}. What is right for them is computed by the
solutions in the notebooks. Sizes differ from each other wherever something could be exchanged.
"""

import numpy as np
import torch

CASES = {}                                      # exercise: the function that makes its cases


def cases(number: str):
    def keep(function):
        CASES[number] = function
        return function
    return keep


class Dice:
    """Random tensors; the same at every run."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape, dtype=torch.float32):
        return torch.randn(shape, generator=self.generator, dtype=dtype)

    def uniform(self, *shape, dtype=torch.float32):
        return torch.rand(shape, generator=self.generator, dtype=dtype)

    def whole(self, high: int, *shape):
        return torch.randint(high, shape, generator=self.generator)

    def maps(self, *shape, sharp: float = 2.0, dtype=torch.float32):
        """Attention: the last axis sums to 1."""
        return (sharp * self.normal(*shape, dtype=dtype)).softmax(-1)


# 00, 01


@cases("0.1")
def pixel_accuracy():
    rng = np.random.default_rng(1)

    def pair(*shape):
        truth = rng.choice([0, 1, 2, 5, 255], size=shape, p=[.4, .25, .15, .05, .15])
        labels = np.where(rng.random(shape) < .6, truth, rng.choice([0, 1, 2, 255], size=shape))
        return labels.astype(np.uint8), truth.astype(np.uint8)

    large = pair(40, 30)
    return {"a wide picture": pair(5, 9), "a high picture": pair(11, 4),
            "more than 255 hits": large,
            "255 in both": (np.uint8([[1, 255, 3]]), np.uint8([[2, 255, 3]])),
            "255 in the labels alone": (np.uint8([[1, 255]]), np.uint8([[1, 2]]))}


@cases("1.1")
def latent():
    dice, shape = Dice(11), (2, 4, 3, 5)
    mean, logvar, noise = dice.normal(*shape), dice.normal(*shape) - 1, dice.normal(*shape)
    return {"a sample": (mean, logvar, noise, 0.7), "the mean": (mean, logvar, None, 0.7),
            "noise of 0": (mean, logvar, 0 * noise, 1.3),
            "Stable Diffusion's scaling": (mean, logvar, noise, 0.18215)}


@cases("1.2")
def psnr():
    dice = Dice(12)
    a = dice.uniform(2, 3, 4, 6) * 2 - 1
    near = a + torch.tensor([0.3, 0.02])[:, None, None, None] * dice.normal(2, 3, 4, 6)
    one = dice.uniform(1, 3, 5, 3) - 0.5
    return {"two pictures": (a, near), "exchanged": (near, a), "a single picture": (one, one * 0.9),
            "five pictures": (dice.normal(5, 3, 2, 2), dice.normal(5, 3, 2, 2)),
            "a small error": (0 * one, 0 * one + 1e-4)}


@cases("1.3")
def patch():
    return {"row and column differ": (2, 5, 8, 64), "the first": (0, 0, 4, 32),
            "the last": (7, 7, 4, 32), "pixels without a cell": (1, 2, 4, 15)}


# 02


@cases("2.1")
def alpha_bars():
    return {"Stable Diffusion": (1000, 0.00085, 0.012), "few steps": (7, 0.01, 0.3),
            "other ends": (50, 0.0001, 0.02), "one step": (1, 0.1, 0.4)}


@cases("2.2")
def clean():
    dice = Dice(22)
    z, eps = dice.normal(2, 4, 3, 5), dice.normal(2, 4, 3, 5)
    return {"much noise": (z, eps, 0.1), "little noise": (z, eps, 0.9), "half": (z, eps, 0.5)}


@cases("2.3")
def ddim_step():
    dice = Dice(23)
    z, eps = dice.normal(2, 4, 3, 5), dice.normal(2, 4, 3, 5)
    return {"to less noise": (z, eps, 0.2, 0.7), "to more noise": (z, eps, 0.9, 0.4),
            "to where it is": (z, eps, 0.6, 0.6)}


@cases("2.4")
def invert():
    z, abars = Dice(24).normal(2, 4, 3, 5), torch.linspace(0.97, 0.04, 20)
    return {"timesteps with gaps": (z, abars, [1, 4, 5, 12]), "one timestep": (z, abars, [3]),
            "none": (z, abars, []), "all": (z, abars, list(range(20)))}


@cases("2.5")
def training_loss():
    dice = Dice(25)

    def batch(n, h, w):
        t = dice.whole(1000, n)
        return dice.normal(n, 4, h, w), dice.normal(n, 4, h, w), t, dice.normal(n, 6, 5)

    return {"as many pictures as rows": batch(3, 3, 3), "one picture": batch(1, 2, 5),
            "five pictures": batch(5, 4, 2)}


@cases("2.6")
def timestep_embedding():
    t = torch.tensor([0, 1, 5, 250, 999])
    return {"width 12": (t, 12), "width 2": (t, 2), "one timestep": (torch.tensor([37]), 8),
            "Stable Diffusion's width": (torch.tensor([3, 500]), 320)}


# 03, 04


@cases("3.1")
def attention_map():
    dice = Dice(31)
    return {"three heads": (dice.normal(3, 6, 8), dice.normal(3, 9, 8)),
            "one head": (dice.normal(1, 4, 2), dice.normal(1, 4, 2)),
            "more queries than keys": (dice.normal(2, 7, 5), dice.normal(2, 3, 5)),
            "large numbers": (20 * dice.normal(2, 3, 4), 20 * dice.normal(2, 5, 4))}


@cases("3.2")
def attend():
    dice = Dice(32)

    def qkv(h, N, M, d):
        return dice.normal(h, N, d), dice.normal(h, M, d), dice.normal(h, M, d)

    return {"four heads": qkv(4, 7, 5, 6), "one head": qkv(1, 3, 4, 2),
            "as many keys as cells": qkv(3, 4, 4, 2), "more heads than cells": qkv(5, 2, 3, 4)}


@cases("3.3")
def sees():
    dice = Dice(33)
    A, high = dice.uniform(24, 24), dice.uniform(10, 10)
    return {"inside": (A, (3, 8), 1, 2), "upper right": (A, (3, 8), 0, 7),
            "lower left": (A, (3, 8), 2, 0), "a high grid": (high, (5, 2), 3, 1)}


@cases("3.4")
def cells_looked_at():
    even = torch.zeros(5, 5)
    for i in range(5):
        even[i, :i + 1] = 1 / (i + 1)
    fine = torch.full((2, 4096), 1e-6)
    fine[:, 0] += 1 - fine.sum(1)
    return {"no zeros": (Dice(34).maps(7, 7),), "even over some, zero elsewhere": (even,),
            "millionths": (fine,), "one cell each": (torch.eye(4),)}


@cases("4.1")
def find_span():
    row = [90, 4, 8, 3, 5, 8, 6, 7, 2, 91, 91]
    return {"one piece": (row, [4]), "two pieces": (row, [3, 5]), "three pieces": (row, [6, 7, 2]),
            "first piece alone before": ([90, 3, 8, 3, 5, 91], [3, 5]),
            "after a false start": ([90, 3, 3, 5, 91], [3, 5]), "twice": ([90, 5, 8, 5], [5]),
            "at the end": ([90, 6, 3, 5], [3, 5]), "not there": (row, [1]),
            "apart": ([90, 3, 8, 5, 91], [3, 5]), "in another order": ([90, 5, 3, 91], [3, 5]),
            "cut off": ([90, 6, 3], [3, 5]), "the start token": ([4, 6, 4, 91], [4]),
            "a piece twice": ([90, 4, 4, 91], [4, 4]), "digits": ([90, 13, 5, 8, 3, 5], [3, 5])}


@cases("4.2")
def class_map():
    dice = Dice(42)
    C = dice.maps(10, 7)
    return {"three tokens": (C, [1, 2, 3]), "one token": (C, [4]), "the last two": (C, [5, 6]),
            "tokens with a gap": (C, [1, 4]), "a square map": (dice.maps(4, 4), [1, 2])}


@cases("4.3")
def dual_cross():
    dice = Dice(43)

    def layer(h, N, d, T, c):
        return dice.normal(h, N, d), dice.normal(h * d, c), dice.normal(T, c), h

    return {"three heads": layer(3, 6, 4, 9, 5), "one head": layer(1, 4, 3, 5, 8),
            "wide states": layer(2, 9, 8, 7, 16),
            "large numbers": (30 * dice.normal(2, 3, 4), *layer(2, 3, 4, 5, 6)[1:]),
            "as many tokens as cells": layer(4, 5, 2, 5, 8)}


# 05


@cases("5.1")
def minmax():
    dice = Dice(51)
    constant = dice.uniform(6, 3)
    constant[:, 1] = 0.25
    return {"ranges of their own": (dice.normal(8, 3) * torch.tensor([0.1, 1, 10]),),
            "a constant map": (constant,), "small numbers": (1e-7 * dice.uniform(5, 2),),
            "nearly constant": (1 + 1e-6 * dice.whole(9, 7, 2),),
            "one class": (dice.normal(4, 1),), "more classes than cells": (dice.normal(3, 6),)}


@cases("5.2")
def fuse():
    dice = Dice(52)
    maps = [dice.uniform(1, 2, 3), dice.uniform(2, 3, 3), dice.uniform(4, 6, 3)]
    return {"not square": (maps, (0.5, 0.9, 0.2), (4, 6)),
            "the finest is enlarged, too": (maps[1:2], (2.0,), (6, 12)),
            "rows and columns by other factors": ([dice.uniform(1, 2, 5)], (1.0,), (4, 6)),
            "one level, as it is": (maps[2:], (1.0,), (4, 6)),
            "square": ([dice.normal(2, 2, 2), dice.normal(4, 4, 2)], (-1.0, 0.5), (8, 8))}


@cases("5.3")
def power_times():
    dice = Dice(53)
    A, x = dice.maps(6, 6), dice.uniform(6, 2)
    return {"tau = 3": (A, x, 3), "tau = 0": (A, x, 0), "tau = 1": (A, x, 1),
            "tau = 7, negative values": (dice.maps(9, 9), dice.normal(9, 4), 7)}


@cases("5.4")
def coarse_refine():
    dice = Dice(54)
    return {"blocks of 4 x 4": (dice.maps(9, 9), dice.uniform(144, 2), 3, 12),
            "blocks of 3 x 3": (dice.maps(4, 4), dice.uniform(36, 5), 2, 6),
            "nothing to align": (dice.maps(9, 9), dice.uniform(9, 2), 3, 3),
            "a single coarse cell": (torch.ones(1, 1), dice.uniform(16, 3), 1, 4)}


@cases("5.5")
def random_walk_with_restart():
    dice = Dice(55)
    A, x = dice.maps(7, 7), dice.uniform(7, 3)
    return {"four steps": (A, x, 0.3, 4), "no step": (A, x, 0.3, 0), "no restart": (A, x, 1.0, 3),
            "always back": (A, x, 0.0, 3), "a long walk": (A, x, 0.9, 25)}


@cases("5.6")
def walkers():
    dice = Dice(56)
    A = dice.maps(8, 8)
    return {"three steps": (A, 2, 3), "the last cell": (A, 7, 2), "no step": (A, 5, 0),
            "one step": (A, 0, 1), "float64": (dice.maps(5, 5, dtype=torch.float64), 3, 4)}


# 06, 07


@cases("6.1")
def merge():
    dice = Dice(61)
    x = dice.uniform(1, 3, 4, 6)
    return {"not square": (dice.uniform(2, 3, 4, 5),), "one class": (dice.normal(2, 1, 7, 2),),
            "one column": (dice.normal(2, 2, 3, 1),), "views agree": (torch.cat([x, x.flip(-1)]),)}


@cases("6.2")
def label():
    dice = Dice(62)
    ties = torch.tensor([[0.5, 0.25, 0.125, 0.5], [0.5, 0.375, 0.25, 0.75],
                         [0.25, 0.375, 0.375, 0.75]])[:, None]          # (3, 1, 4)
    return {"five classes": (dice.uniform(5, 6, 7), 0.8), "one class": (dice.uniform(1, 4, 3), 0.4),
            "ties, and scores at the threshold": (ties, 0.375),
            "all is background": (dice.uniform(3, 2, 5), 2.0),
            "negative scores": (dice.normal(4, 5, 3) - 1, -0.5)}


@cases("6.3")
def confusion():
    dice = Dice(63)

    def pair(n, *shape):
        truth, labels = dice.whole(n, *shape), dice.whole(n, *shape)
        truth[dice.uniform(*shape) < 0.2] = 255
        return truth, labels, n

    small = torch.full((20, 20), 20, dtype=torch.uint8)
    few = torch.tensor([[0, 1, 1, 255]]), torch.tensor([[1, 1, 0, 0]]), 5
    none = torch.full((2, 3), 255), torch.zeros(2, 3, dtype=torch.long), 3
    return {"four classes": pair(4, 9, 5), "a wide picture": pair(3, 6, 30),
            "classes that do not occur": few, "nothing is known": none, "uint8": (small, small, 30)}


@cases("7.1")
def miou():
    never = torch.tensor([[6, 2, 0, 0], [1, 3, 0, 1], [0, 0, 0, 0], [2, 0, 0, 5]])
    predicted = torch.tensor([[6, 2, 4], [1, 3, 0], [0, 0, 0]])
    missed = torch.tensor([[6, 0, 0], [1, 0, 2], [3, 0, 4]])
    mistaken = torch.tensor([[0, 5, 0], [3, 0, 0], [0, 0, 4]])
    large = Dice(71).whole(90000, 6, 6)
    return {"drop": (never, "drop"), "zero": (never, "zero"), "by default": (never,),
            "predicted, not there": (predicted, "drop"), "there, not found": (missed, "drop"),
            "always mistaken": (mistaken, "drop"), "large counts": (large, "drop"),
            "no background": (torch.tensor([[0, 0, 0], [0, 7, 1], [0, 2, 5]]), "drop")}


@cases("7.2")
def faseg_scores():
    dice = Dice(72)

    def scene(H, W, K, weights, tau):
        N = H * W
        maps = [dice.maps(2, N, N) * (0.5 + dice.uniform(2, N, 1)) for _ in weights]
        return dice.uniform(2, N, K), maps, weights, tau, (H, W)

    constant, small = scene(3, 4, 3, [0.7], 1), scene(3, 4, 2, [0.6, 0.3], 1)
    constant[0][:, :, 1] = 0
    return {"three levels": scene(3, 4, 5, [0.6, 0.3, 0.2], 2),
            "one class": scene(2, 5, 1, [1.0], 1),
            "tau = 0": scene(4, 4, 2, [0.5, 0.25], 0), "a class of zeros": constant,
            "a high grid": scene(5, 2, 3, [0.4, 0.9], 3),
            "small numbers": (1e-6 * small[0], *small[1:])}


# 08


@cases("8.1")
def raise_word():
    dice = Dice(81)
    z, empty = dice.normal(7, 5), dice.normal(7, 5)
    return {"three tokens": (z, empty, [1, 4, 5], 1.3), "one token": (z, empty, [6], 2.5),
            "weight 1": (z, empty, [2, 3], 1.0), "weight 0": (z, empty, [2, 3], 0.0)}


@cases("8.2")
def reduce_entropy():
    dice = Dice(82)
    zeros = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6], [0.0, 0.3, 0.7]])
    emptied = 0.9 * torch.eye(20) + 0.1 / 20
    emptied[3] = 1 / 20                                 # nothing of this row is left
    emptied[5], emptied[5, 3], emptied[5, 5] = 0.005, 0.5, 0.41
    return {"lambda = 0": (dice.maps(5, 5), 0.0), "lambda = 0.2": (dice.maps(12, 12), 0.2),
            "zeros": (zeros, 0.1), "zeros, lambda = 0": (zeros, 0.0),
            "a row with nothing left": (emptied, 0.5)}


@cases("8.3")
def iterate():
    dice = Dice(83)
    P, x = dice.maps(9, 9), dice.uniform(9, 4) + 0.5
    return {"three rounds": (P, x, 3), "one round": (P, x, 1), "none": (P, x, 0),
            "more classes than cells": (dice.maps(3, 3), dice.uniform(3, 5), 1)}


@cases("8.4")
def three_way():
    dice = Dice(84)
    best, k = 0.95 * dice.uniform(5, 7), dice.whole(6, 5, 7)
    edge = torch.tensor([[0.75, 0.25, 0.2, 0.7, -0.1]]), torch.tensor([[4, 3, 2, 1, 0]])
    many = torch.tensor([[0.9, 0.8]]), torch.tensor([[200, 253]])
    return {"not square": (best, k, 0.75, 0.25),
            "scores that equal a threshold": (*edge, 0.75, 0.25),
            "thresholds alike": (best, k, 0.5, 0.5), "many classes": (*many, 0.6, 0.3)}


@cases("8.5")
def symmetric_kl():
    dice = Dice(85)
    X, Y = dice.maps(4, 6, dtype=torch.float64), dice.maps(7, 6, dtype=torch.float64)
    return {"shares": (X, Y), "exchanged": (Y, X), "with itself": (X, X),
            "rows that do not sum to 1": (3 * dice.uniform(3, 5) + 0.1, dice.uniform(2, 5) + 0.1)}


@cases("8.6")
def cluster_distance():
    dice = Dice(86)
    points, M = dice.uniform(8, 2), dice.uniform(8, 3)
    S = torch.cdist(points, points)
    return {"memberships": (S, M), "classes unlike in size": (S, M * torch.tensor([1, 9, 0.01])),
            "as many classes as cells": (S[:3, :3].contiguous(), M[:3].contiguous()),
            "every cell a class": (S[:3, :3].contiguous(), torch.eye(3))}


@cases("8.7")
def class_attention():
    dice = Dice(87)
    levels = [dice.uniform(2, 3, 2, 3), 4 * dice.uniform(2, 3, 4, 6),
              0.1 * dice.uniform(2, 3, 6, 9) + 1]
    A = dice.maps(2, 3, 54, 54)
    one = [dice.uniform(1, 1, 4, 3)], torch.eye(12)[None, None], (2.0,), (4, 3)
    return {"three levels": (levels, A, (0.5, 0.2, 0.3), (14, 20)), "nothing but min-max": one,
            "one noise level": ([x[:1] for x in levels[1:]], A[:1], (0.3, 0.7), (12, 18))}


@cases("8.8")
def merge_maps():
    def lumpy(seed, h, w):
        """Maps (h * w, h * w) of a picture with a few soft parts."""
        dice = Dice(seed)
        coarse = dice.normal(1, 3, 4, 4, dtype=torch.float64)
        f = torch.nn.functional.interpolate(coarse, size=(h, w), mode="bicubic")
        f = f[0].flatten(1).T + 0.15 * dice.normal(h * w, 3, dtype=torch.float64)
        return (-torch.cdist(f, f) ** 2).softmax(1)

    wide = lumpy(881, 8, 12)
    return {"a wide grid": (wide, (8, 12), [0.5, 0.4, 0.3], 4),
            "a high grid": (lumpy(882, 12, 8), (12, 8), [0.8, 0.3, 0.5], 4),
            "two passes": (lumpy(883, 9, 15), (9, 15), [0.6, 0.5], 3),
            "more anchors than rows": (lumpy(884, 5, 7), (5, 7), [0.5, 0.3], 9),
            "all is near": (wide, (8, 12), [1e9, 1e9], 4),
            "nothing is near": (wide, (8, 12), [0.0, 0.0], 4)}


@cases("8.9")
def inversion_loss():
    dice = Dice(89)
    points = dice.uniform(2, 24, 2, dtype=torch.float64)
    S, M = torch.cdist(points, points), 1.5 * dice.normal(2, 24, 4, dtype=torch.float64)
    M[..., 3] -= 3
    M = M.softmax(-1)
    M[1, :, 3] *= 0.1 / M[1, :, 3].max()                # no anchors of this class in view 1
    M[0, 0] = torch.tensor([0.375, 0.375, 0.125, 0.125])
    M[0, 1] = torch.tensor([0.5, 0.375, 0.0625, 0.0625])
    sure = torch.zeros(1, 24, 3, dtype=torch.float64)   # memberships of 0
    sure[0, :14, 0], sure[0, 14:, 1] = 1, 1
    sure[0, 23] = torch.tensor([0.1, 0.2, 0.4])
    return {"two views": (S, M, (4, 6), 0.375, 0.7, 0.4),
            "one view": (S[:1], M[:1], (4, 6), 0.375, 0.7, 0.4),
            "clustering alone": (S, M, (4, 6), 0.3, 0.5, 0.0),
            "memberships of 0": (S[:1], sure, (6, 4), 0.5, 1.0, 1.0)}


# 09, 10


@cases("9.1")
def map_bytes():
    return {"Stable Diffusion 1.5": (512, 8, {1: 5, 2: 5, 4: 5, 8: 1}, 8),
            "numbers of 2 bytes": (96, 4, {1: 3, 3: 2}, 5, 2), "one layer": (64, 16, {2: 1}, 1),
            "no layers": (64, 8, {}, 8)}


@cases("9.2")
def reduce_zero_label():
    every = np.arange(256, dtype=np.uint8).reshape(8, 32)
    return {"every label": (every,), "without 0": (np.uint8([[1, 2, 255], [254, 7, 1]]),),
            "255 alone": (np.full((2, 3), 255, np.uint8),), "0 and 1": (np.uint8([[0, 1, 1, 0]]),)}


@cases("10.1")
def word_gain():
    dice = Dice(101)

    def batch(n):
        captions, t = dice.whole(9, n, 5), 100 + dice.whole(800, n)
        return dice.normal(n, 3, 4, 6) / 2, captions, t, dice.normal(n, 3, 4, 6)

    return {"four pictures": batch(4), "seven pictures": batch(7), "two pictures": batch(2)}


@cases("10.2")
def pointing():
    dice = Dice(102)
    ties = torch.tensor([1.0, 1, 2, 2, 3]), torch.tensor([True, False, True, False, True])
    above = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([True, True, False, False])
    values, inside = dice.whole(9, 40).float() / 10, dice.uniform(40) < 0.3
    return {"ties": ties, "all above": above,
            "a constant map": (torch.zeros(6), torch.arange(6) < 2),
            "many cells": (values, inside), "stretched": (values ** 3 * 100, inside),
            "few inside": (dice.normal(30), torch.arange(30) % 11 == 3)}
