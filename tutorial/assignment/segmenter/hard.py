"""05 · HARD, hierarchical attention refinement. The lesson is 05_hard.ipynb of the course."""
import torch
import torch.nn.functional as F


# Exercise 5.1 · Min-max (1 point, easy)
# Formula and hint: 05_hard.ipynb, exercise 5.1
def minmax(y):
    """Each class map of y (N, K) to [0, 1] over the N cells: (N, K). A constant map becomes 0."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 5.1")


# Exercise 5.2 · Fuse the levels (2 points, easy)
# Formula and hint: 05_hard.ipynb, exercise 5.2
def fuse(maps, weights, full):
    """Class maps of several levels on one grid. maps: list of (r_h, r_w, K), coarse to fine;
    weights: one number each; full = (H, W) -> (H, W, K)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 5.2")


# Exercise 5.3 · A power without a power (2 points, easy)
# Formula and hint: 05_hard.ipynb, exercise 5.3
def power_times(A, x, tau):
    """A^tau x for A (N, N), x (N, K) and a whole number tau >= 0: (N, K). No N x N matrix besides
    A."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 5.3")


# Exercise 5.4 · One coarse step (3 points, medium)
# Formula and hint: 05_hard.ipynb, exercise 5.4
def coarse_refine(A, x, r, full):
    """U A R x for a coarse map A (r*r, r*r) and class maps x (full*full, K) on the fine grid:
    (full*full, K). full is a multiple of r."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 5.4")


# Exercise 5.5 · A walk that comes home (4 points, easy)
# Formula and hint: 05_hard.ipynb, exercise 5.5
def random_walk_with_restart(A, x, alpha, steps):
    """y_steps of y_0 = x, y_{n+1} = alpha A y_n + (1 - alpha) x, for A (N, N), x (N, K): (N, K)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 5.5")


# Exercise 5.6 · Where are the walkers? (1 point, easy)
# Formula and hint: 05_hard.ipynb, exercise 5.6
def walkers(A, cell, tau):
    """Where walkers that started in `cell` (a number from 0 to N - 1) are after tau steps of
    A (N, N), whose rows sum to 1: a distribution (N,)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 5.6")


# Exercise 5.7 · Where all walkers end (3 points, medium)
# Formula and hint: 05_hard.ipynb, exercise 5.7
def stationary(A, tolerance):
    """pi (N,) with pi A = pi up to `tolerance` (sum of absolute differences) and sum 1, for
    A (N, N) whose rows sum to 1; from each cell all others can be reached."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 5.7")


# Exercise 5.8 · One click (4 points, hard, an idea of your own)
# Formula and hint: 05_hard.ipynb, exercise 5.8
def segment_from_click(captured, cell):
    """Mask (H, W) of the thing on which `cell` (row, column) lies, torch.bool, over the finest
    grid, (H, W) = captured.grids[-1]."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 5.8")
