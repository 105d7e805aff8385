"""Notebook 01: a latent from its moments, decibels, the pixels of a latent cell."""
import torch

from minifaseg.vae import VAE, VAEConfig

from . import close, seeded


def check_1_1(student):
    one = torch.ones(2, 4, 3, 5)
    nine = torch.full_like(one, 9.0).log()                                # a variance of 9: a deviation of 3
    zero, logvar, noise = 0 * one, nine.clone(), one.clone()
    got = student.latent(zero, logvar, noise, 1.0)
    assert torch.equal(zero, 0 * one) and torch.equal(logvar, nine) and torch.equal(noise, one), "your function changes its inputs; avoid += and *= on them"
    close(got, 3 * one, "a log-variance of log 9 is a variance of 9, so a deviation of 3: exp(logvar / 2), not exp(logvar) nor exp(logvar) / 2; and the noise is the one given")
    close(student.latent(0 * one, nine, -one, 0.5), -1.5 * one, "scaling multiplies mean and noise alike: 0.5 x (0 + 3 x -1) = -1.5")
    close(student.latent(3 * one, nine, 0 * one, 0.5), 1.5 * one, "scaling multiplies the mean: 0.5 x (3 + 0) = 1.5")
    close(student.latent(3 * one, nine, None, 0.5), 1.5 * one, "without noise the latent is the scaled mean")
    vae = VAE(VAEConfig(widths=(8, 16), blocks=1, groups=4, scaling=0.37), decoder=False).requires_grad_(False)
    x, noise = torch.randn(2, 3, 8, 12, generator=seeded(3)), torch.randn(2, 4, 4, 6, generator=seeded(4))
    mean, logvar = vae.moments(x)
    close(student.latent(mean, logvar, noise, 0.37), vae.encode(x, noise), "differs from VAE.encode on the moments of an untrained encoder")
    close(student.latent(mean, logvar, None, 0.37), vae.encode(x), "differs from VAE.encode without noise")


def check_1_2(student):
    a = torch.zeros(2, 3, 4, 6)
    a[..., 0] = 0.5
    b = torch.stack([a[0] + 0.2, a[1] + 0.02])
    got = student.psnr(a, b)
    assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
    assert got.shape == (2,), f"two pictures have two values, shape (2,); yours has shape {tuple(got.shape)}: over which axes is the mean?"
    assert abs(got[0].item() - 13.979) > 0.01, "an error of 0.2 everywhere is 20 dB; yours says 13.98: pictures in [-1, 1] have a peak-to-peak of 2, not 1"
    assert abs(got[0].item() - 40) > 0.01, "an error of 0.2 everywhere is 20 dB; yours says 40: it is 10 log10 of a ratio of squares, or 20 log10 of its root"
    close(got, torch.tensor([20.0, 40.0]), "an error of 0.2 everywhere is 20 dB, one of 0.02 is 40 dB, whatever the pictures show: 10 log10(2 x 2 / mean squared error)", 1e-4)
    uneven = a.clone()
    uneven[:, 0] += 1
    uneven[:, 1, 0] -= 0.1
    mse = (6 * 4 * 1 + 6 * 0.01) / (3 * 4 * 6)
    want = torch.full((2,), 4 / mse).log10() * 10
    close(student.psnr(a, uneven), want, "errors of unlike size: the mean is over the squared errors of all channels and pixels, then comes one logarithm", 1e-4)
    for shape, seed in (((1, 3, 5, 7), 5), ((5, 3, 9, 4), 6), ((3, 3, 3, 3), 7)):
        p, q = (torch.rand(shape, generator=seeded(s)) * 2 - 1 for s in (seed, seed + 10))
        want = torch.stack([10 * torch.log10(4 / (u - v).square().mean()) for u, v in zip(p, q)])
        close(student.psnr(p, q), want, f"on random pictures of shape {shape}, one by one", 1e-4)
        close(student.psnr(q, p), want, "it should not matter which picture comes first", 1e-4)


def check_1_3(student):
    def box(i, j, factor, side):
        got = student.patch(i, j, factor, side)
        assert isinstance(got, (tuple, list)) and len(got) == 4, f"return four numbers (y0, x0, y1, x1); yours is {got!r}"
        return tuple(got)

    def refuses(i, j, factor, side):
        try:
            got = student.patch(i, j, factor, side)
        except ValueError:
            return
        n = side // factor
        assert False, f"row {i}, column {j} is outside a latent of {n} x {n} cells, 0 to {n - 1}: raise ValueError; yours returns {got!r}"

    got = box(2, 5, 4, 128)
    assert got != (20, 8, 24, 12), "row 2, column 5 begins at y = 8, x = 20; yours has the two exchanged: rows are y, columns are x"
    assert got != (8, 20, 11, 23), "the end is exclusive: 4 pixels from 8 on end before 12, so that picture[8:12] is the patch"
    assert got == (8, 20, 12, 24), f"row 2, column 5, factor 4 is (8, 20, 12, 24); yours is {got}"
    assert box(63, 0, 8, 512) == (504, 0, 512, 8), f"the last row of SD 1.5's latent is (504, 0, 512, 8); yours is {box(63, 0, 8, 512)}"
    for outside in ((32, 0, 4, 128), (0, 32, 4, 128), (-1, 3, 4, 128), (3, -1, 4, 128), (64, 64, 8, 512), (40, 3, 4, 128), (3, 100, 4, 128)):
        refuses(*outside)
    for factor, side in ((2, 10), (8, 64), (1, 3)):
        picture = torch.arange(side * side).reshape(side, side)
        cells = picture.unfold(0, factor, factor).unfold(1, factor, factor)                  # (n, n, factor, factor), patch by patch
        for i in range(side // factor):
            for j in range(side // factor):
                y0, x0, y1, x1 = got = box(i, j, factor, side)
                assert all(isinstance(v, int) for v in got), f"the four numbers should be ints, to slice with; yours are {got}"
                assert torch.equal(picture[y0:y1, x0:x1], cells[i, j]), f"row {i}, column {j}, factor {factor}: {got} is not the cell's patch"
