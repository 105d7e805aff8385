"""02 · Diffusion and DDIM. The lesson is 02_ddim.ipynb of the course."""
import torch


# Exercise 2.1 · The schedule (2 points)
# Formula and hint: 02_ddim.ipynb, exercise 2.1
def alpha_bars(steps, start, end):
    """Products abar_t of the scaled linear schedule from beta = start to beta = end: (steps,) float
    tensor."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.1")


# Exercise 2.2 · The clean latent (1 point)
# Formula and hint: 02_ddim.ipynb, exercise 2.2
def clean(z_t, eps, abar_t):
    """Estimate of z_0 from a noisy latent z_t (B, 4, h, w), its predicted noise eps (same shape)
    and abar_t, a float in (0, 1)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.2")


# Exercise 2.3 · The step (2 points)
# Formula and hint: 02_ddim.ipynb, exercise 2.3
def ddim_step(z, eps, abar_s, abar_t):
    """Moves z (B, 4, h, w) from abar_s to abar_t along eps (same shape); abar_s, abar_t: floats in
    (0, 1), either may be the larger."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.3")


# Exercise 2.4 · Inversion (3 points)
# Formula and hint: 02_ddim.ipynb, exercise 2.4
def invert(predict, z, abars, ts):
    """DDIM inversion of clean latents z (B, 4, h, w) up the ascending timesteps ts; returns the
    list of latents, one for each t of ts.

    predict(z, t) gives the noise, shaped like z, at an int t; abars (steps,): abar_t of every
    timestep."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.4")
