"""03 · Capturing attention. The lesson is 03_attention.ipynb of the course."""
import torch
import torch.nn.functional as F


# Exercise 3.1 · The map, averaged over heads (2 points, easy)
# Formula and hint: 03_attention.ipynb, exercise 3.1
def attention_map(q, k):
    """Mean over the heads of softmax(Q K^T / sqrt d): q (h, N, d), k (h, M, d) -> (N, M)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 3.1")


# Exercise 3.2 · What the layer hands on (2 points, medium)
# Formula and hint: 03_attention.ipynb, exercise 3.2
def attend(q, k, v):
    """Multi-head attention without its output layer: q (h, N, d), k (h, M, d), v (h, M, d) ->
    (N, h*d), head 0 in the first d columns."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 3.2")


# Exercise 3.3 · What a cell sees (1 point, easy)
# Formula and hint: 03_attention.ipynb, exercise 3.3
def sees(A, grid, y, x):
    """What the cell in grid row y and grid column x looks at: A (N, N) with N = H * W,
    grid = (H, W) -> (H, W)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 3.3")


# Exercise 3.4 · How many cells does a cell look at? (2 points, medium)
# Formula and hint: 03_attention.ipynb, exercise 3.4
def cells_looked_at(A):
    """Effective number of cells that each cell looks at, exp of its row's entropy:
    A (N, N), rows sum to 1 -> (N,)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 3.4")
