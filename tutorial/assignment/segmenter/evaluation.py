"""09 · Stable Diffusion 1.5. The lesson is 09_sd15.ipynb of the course."""
import numpy as np
import torch

from minifaseg.evaluate.published import miou


# Exercise 9.1 · Bytes of all maps (2 points, easy)
# Formula and hint: 09_sd15.ipynb, exercise 9.1
def map_bytes(side, factor, layers, heads, size=4):
    """Bytes of the self-attention maps (heads x N x N for each layer) of one view, an int.

    side: pixels of the square picture; factor: pixels per latent cell along a side (8 for SD 1.5);
    layers: {divisor of a level: number of self-attention layers there},
    {1: 5, 2: 5, 4: 5, 8: 1} for SD 1.5; size: bytes of a number."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 9.1")


# Exercise 9.2 · reduce_zero_label (2 points, easy)
# Formula and hint: 09_sd15.ipynb, exercise 9.2
def reduce_zero_label(labels):
    """(H, W) uint8 array of labels -> a new (H, W) uint8 array:
    0 -> 255, i -> i - 1, 255 -> 255."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 9.2")


# Exercise 9.3 · Is it better? (3 points, medium)
# Formula and hint: 09_sd15.ipynb, exercise 9.3
def is_better(matrices_a, matrices_b, generator, draws=1000):
    """(low, high), two floats: the 95 % interval of mIoU(a) - mIoU(b), by the paired bootstrap.

    matrices_a, matrices_b: (n, C, C) arrays of counts, confusion matrices of the same n pictures,
    truth down, prediction across; generator: np.random.Generator, for all that is drawn."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 9.3")
