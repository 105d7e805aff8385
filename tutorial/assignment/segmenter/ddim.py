"""02 · Diffusion and DDIM. The lesson is 02_ddim.ipynb of the course."""
import torch

from minifaseg import ddim


# Exercise 2.1 · The schedule (2 points, easy)
# Formula and hint: 02_ddim.ipynb, exercise 2.1
def alpha_bars(steps, start, end):
    """Products abar_t of the scaled linear schedule from beta = start to beta = end: (steps,) float
    tensor."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.1")


# Exercise 2.2 · The clean latent (1 point, easy)
# Formula and hint: 02_ddim.ipynb, exercise 2.2
def clean(z_t, eps, abar_t):
    """Estimate of z_0 from a noisy latent z_t (B, 4, h, w), its predicted noise eps (same shape)
    and abar_t, a float in (0, 1)."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.2")


# Exercise 2.3 · The step (2 points, easy)
# Formula and hint: 02_ddim.ipynb, exercise 2.3
def ddim_step(z, eps, abar_s, abar_t):
    """Moves z (B, 4, h, w) from abar_s to abar_t along eps (same shape); abar_s, abar_t: floats in
    (0, 1), either may be the larger."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.3")


# Exercise 2.4 · Inversion (3 points, medium)
# Formula and hint: 02_ddim.ipynb, exercise 2.4
def invert(predict, z, abars, ts):
    """DDIM inversion of clean latents z (B, 4, h, w) up the ascending timesteps ts; returns the
    list of latents, one for each t of ts.

    predict(z, t) gives the noise, shaped like z, at an int t; abars (steps,): abar_t of every
    timestep."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.4")


# Exercise 2.5 · The loss of a batch (2 points, medium)
# Formula and hint: 02_ddim.ipynb, exercise 2.5
def training_loss(unet, z0, noise, t, text):
    """Mean squared error of the predicted noise, a tensor of one number.

    unet(z_t, t, text) predicts noise, shaped like z_t; z0, noise (B, 4, h, w): clean latents and
    what they are noised with; t (B,): whole numbers, a timestep for each picture; text (B, T, c).
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.5")


# Exercise 2.6 · The timestep embedding (2 points, medium)
# Formula and hint: 02_ddim.ipynb, exercise 2.6
def timestep_embedding(t, width):
    """Sinusoids of timesteps t (B,), whole numbers -> (B, width), floats: cosines, then sines.

    width is even.
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.6")


# Exercise 2.7 · Which caption? (4 points, hard, an idea of your own)
# Formula and hint: 02_ddim.ipynb, exercise 2.7
def which_caption(model, image, captions):
    """Index (an int) of the caption, of a list of K, that fits a picture (a PIL image) best.

    model: as minifaseg.load makes it. At most 24 latents may go through model.unet.
    """
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 2.7")
