"""04 · Dual prompts. The lesson is 04_prompts.ipynb of the course."""
import numpy as np
import torch
import torch.nn.functional as F

from minifaseg import prompts


# Exercise 4.1 · Where does a name stand? (2 points, medium)
# Formula and hint: 04_prompts.ipynb, exercise 4.1
def find_span(ids, name):
    """Indices (a list of int) of the first place where the ids `name` (a list, one or more) stand
    in `ids` (a list, ids[0] is the start token, never part of a name), or None."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 4.1")


# Exercise 4.2 · The map of a name (1 point, easy)
# Formula and hint: 04_prompts.ipynb, exercise 4.2
def class_map(C, span):
    """Attention C (N, T) and a span (a list of token indices) -> class map (N,)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 4.2")


# Exercise 4.3 · The dual prompt's attention (3 points, medium)
# Formula and hint: 04_prompts.ipynb, exercise 4.3
def dual_cross(q, to_k, states, heads):
    """Queries q (h, N, d), weights to_k (h*d, c), states (T, c) of P', heads = h -> C' (N, T), mean
    over the heads."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 4.3")


# Exercise 4.4 · Is it there? (4 points, hard, an idea of your own)
# Formula and hint: 04_prompts.ipynb, exercise 4.4
def is_there(captured):
    """Which of the names are in the picture? CapturedAttention of one view, with K names in
    captured.classes -> a list of K bools."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 4.4")
