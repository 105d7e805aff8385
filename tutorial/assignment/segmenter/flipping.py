"""06 · Flipping, score maps, thresholds. The lesson is 06_flipping.ipynb of the course."""
import numpy as np
import torch
import torch.nn.functional as F


# Exercise 6.1 · merge the two views (1 point, easy)
# Formula and hint: 06_flipping.ipynb, exercise 6.1
def merge(scores):
    """Score maps (2, K, H, W) of a picture and of its mirror image -> (K, H, W), as the picture
    lies."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 6.1")


# Exercise 6.2 · labels (2 points, easy)
# Formula and hint: 06_flipping.ipynb, exercise 6.2
def label(scores, threshold):
    """Score maps (K, H, W) -> integer tensor (H, W): 0 background, i = i-th class. A score
    equal to the threshold is no background. In a tie the first of the best classes wins."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 6.2")


# Exercise 6.3 · count (2 points, medium)
# Formula and hint: 06_flipping.ipynb, exercise 6.3
def confusion(truth, labels, n):
    """Integer tensors (H, W), truth in 0..n-1 or 255, labels in 0..n-1 -> integer tensor
    (n, n): rows truth, columns label."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 6.3")


# Exercise 6.4 · choose the threshold (5 points, hard, an idea of your own)
# Formula and hint: 06_flipping.ipynb, exercise 6.4
def choose_threshold(scores):
    """Score maps (K, h, w) of one picture, about 0 to 1 -> the threshold for it, a float."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 6.4")
