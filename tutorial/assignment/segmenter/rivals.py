"""08 · The rivals. The lesson is 08_rivals.ipynb of the course."""
import math

import numpy as np
import torch
import torch.nn.functional as F

from minifaseg.rivals import diffseg


# Exercise 8.1 · Raise a word (2 points, easy)
# Formula and hint: 08_rivals.ipynb, exercise 8.1
def raise_word(z, z_empty, span, weight):
    """Text states z (T, c) with the tokens of `span` (a list of indices) moved away from the
    empty prompt's states z_empty (T, c):
    a new tensor (T, c)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.1")


# Exercise 8.2 · The entropy step (3 points, medium)
# Formula and hint: 08_rivals.ipynb, exercise 8.2
def reduce_entropy(A, lam):
    """iSeg's P (N, N) of a self-attention map A (N, N): entries >= 0, rows (queries) sum to 1,
    no column all 0. lam >= 0."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.2")


# Exercise 8.3 · iSeg's loop (2 points, easy)
# Formula and hint: 08_rivals.ipynb, exercise 8.3
def iterate(P, x, n):
    """n rounds of iSeg's loop: P (N, N) with rows that sum to 1,
    class maps x (N, K), none of them constant -> (N, K)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.3")


# Exercise 8.4 · The three-way threshold (1 point, easy)
# Formula and hint: 08_rivals.ipynb, exercise 8.4
def three_way(best, k, certain, threshold):
    """best (H, W): highest score of each pixel; k (H, W) int64: whose it is, from 0
    -> labels (H, W), whole numbers: k + 1 where
    best >= certain, 255 where threshold <= best < certain, else 0."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.4")


# Exercise 8.5 · Symmetric KL of all pairs (2 points, medium)
# Formula and hint: 08_rivals.ipynb, exercise 8.5
def symmetric_kl(X, Y):
    """D (P, N) between the rows of X (P, M) and the rows of Y (N, M), all entries positive."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.5")


# Exercise 8.6 · Distance of a cell to a class (2 points, easy)
# Formula and hint: 08_rivals.ipynb, exercise 8.6
def cluster_distance(S, M):
    """D (N, C) of cells to classes: S (N, N) symmetric distances between cells,
    M (N, C) memberships, no class empty."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.6")


# Exercise 8.7 · The class map of DiffSegmenter (3 points, medium)
# Formula and hint: 08_rivals.ipynb, exercise 8.7
def class_attention(levels, A, weights, size):
    """DiffSegmenter's maps M (K, H, W), each from 0 to 1; size = (H, W).

    levels: cross-attention by level, coarse to fine, each (t, K, h_r, w_r): noise levels, classes.
    A (t, K, N, N): the finest self-attention; N = h * w of the last level. weights: w_r.
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.7")


# Exercise 8.8 · DiffSeg's merging (4 points, hard)
# Formula and hint: 08_rivals.ipynb, exercise 8.8
def merge_maps(maps, grid, tau, anchors):
    """DiffSeg's segments: labels (h, w), whole numbers, of maps (N, N), one map for each cell.

    grid = (h, w), N = h * w: cell (y, x) is row y * w + x. tau: a distance for each pass.
    anchors: how many there are along each side.
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.8")


# Exercise 8.9 · InvSeg's loss and its entropy (3 points, medium)
# Formula and hint: 08_rivals.ipynb, exercise 8.9
def inversion_loss(S, M, grid, anchor, repel, weight):
    """InvSeg's L, a tensor of one number. S (B, N, N): distances between cells in B = 1 or 2 views;
    M (B, N, C): memberships; grid = (h, w), N = h * w; anchor: theta, repel: lambda_-,
    weight: lambda_e.
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 8.9")
