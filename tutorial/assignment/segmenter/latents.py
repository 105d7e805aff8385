"""01 · Pictures as latents. The lesson is 01_latents.ipynb of the course."""
import torch
import torch.nn.functional as F


# Exercise 1.1 · From moments to a latent (2 points, easy)
# Formula and hint: 01_latents.ipynb, exercise 1.1
def latent(mean, logvar, noise, scaling):
    """Scaled latent (B, 4, h, w) of a posterior: a sample of it, or its mean if noise is None.

    mean, logvar: (B, 4, h, w), the log-variance is of the natural logarithm;
    noise: (B, 4, h, w) standard normal, or None; scaling: float.
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 1.1")


# Exercise 1.2 · Decibels of a batch (2 points, easy)
# Formula and hint: 01_latents.ipynb, exercise 1.2
def psnr(a, b):
    """PSNR in dB, (B,), of each picture of a against the same one of b.

    Both are (B, 3, H, W) in [-1, 1], so the largest difference is 2.
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 1.2")


# Exercise 1.3 · The patch of a cell (1 point, medium)
# Formula and hint: 01_latents.ipynb, exercise 1.3
def patch(i, j, factor, side):
    """Pixel box (y0, x0, y1, x1), four ints, end exclusive, of latent row i and column j.

    The picture has side x side pixels; factor: pixels per latent cell along one side.
    Raises ValueError if there is no such row or column (negative ones do not count from the end).
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 1.3")
