"""10 · Train one yourself. The lesson is 10_train.ipynb of the course."""
import tiny
import torch
import torch.nn.functional as F


# Exercise 10.1 · What a caption is worth (2 points, medium)
# Formula and hint: 10_train.ipynb, exercise 10.1
def word_gain(network, pictures, captions, t, noise):
    """How much the loss rises, as a share, when every picture has the next one's caption.

    pictures, noise (n, 3, H, W), captions (n, T), t (n,) -> a number."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 10.1")


# Exercise 10.2 · Pointing (2 points, medium)
# Formula and hint: 10_train.ipynb, exercise 10.2
def pointing(values, inside):
    """The probability that a cell inside has a larger value than one outside; ties are half.

    values (N,), inside (N,) bool, both kinds present -> a number."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 10.2")


# Exercise 10.3 · Better maps from the same network (4 points, hard, an idea of your own)
# Formula and hint: 10_train.ipynb, exercise 10.3
def better_maps(network, scenes):
    """Maps of the tokens of each caption at 16 x 16 cells: (n, 256, 5), for tiny.segment.

    network: a tiny.Network; scenes: tiny.Scenes without labels."""
    # your code here, in place of the next line
    raise NotImplementedError("Exercise 10.3")
