"""07 · The algorithm. The lesson is 07_algorithm.ipynb of the course."""
import numpy as np
import torch
import torch.nn.functional as F

from minifaseg import hard, ttf


# Exercise 7.1 · mIoU (2 points, medium)
# Formula and hint: 07_algorithm.ipynb, exercise 7.1
def miou(matrix, absent="drop"):
    """Integer tensor (n, n) of counts, rows truth, columns prediction -> float. absent: "drop" or
    "zero"."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 7.1")


# Exercise 7.2 · the fast step (4 points, hard)
# Formula and hint: 07_algorithm.ipynb, exercise 7.2
def faseg_scores(x, maps, weights, tau, grid):
    """Class maps x (2, N, K) of the picture and its mirror image, N = H * W cells row by row;
    maps: a list of self-attention maps (2, N, N), one per level; weights: as many numbers;
    tau: how often a level is applied; grid = (H, W). -> score maps (K, H, W)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 7.2")


# Exercise 7.3 · beat the table on distractors (5 points, hard, an idea of your own)
# Formula and hint: 07_algorithm.ipynb, exercise 7.3
def trust(s, x):
    """Scores s (K, H, W), about 0 to 1, and raw fused attention x (K, H, W), positive, of K classes
    -> factors (K,) in [0, 1]."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 7.3")


# Exercise 7.4 · a method of your own (6 points, hard, an idea of your own)
# Formula and hint: 07_algorithm.ipynb, exercise 7.4
def own_scores(method, captured):
    """FA-Seg's method and what it captured of a picture -> score maps (K, h, w) on the finest
    grid, about 0 to 1."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 7.4")


# Exercise 7.5 · tell twins apart (4 points, hard, an idea of your own)
# Formula and hint: 07_algorithm.ipynb, exercise 7.5
def twin_scores(method, captured, names, text):
    """FA-Seg's method, what it captured of a picture under these names, the twins' two first, and
    the model's text encoder -> score maps (K, h, w), one for each name."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 7.5")
