"""Notebook 01: a latent from its moments, decibels, the pixels of a latent cell."""
import torch

from minifaseg.vae import VAE, VAEConfig

from . import close, is_tensor, seeded, write_it_yourself


@write_it_yourself(VAE.latents, VAE.encode)
def check_1_1(student):
    one = torch.ones(2, 4, 3, 5)
    nine = torch.full_like(one, 9.0).log()                                # a variance of 9: a standard deviation of 3
    zero, logvar, noise = 0 * one, nine.clone(), one.clone()
    got = student.latent(zero, logvar, noise, 1.0)
    assert torch.equal(zero, 0 * one) and torch.equal(logvar, nine) and torch.equal(noise, one), "your function changes its inputs; avoid += and *= on them"
    close(got, 3 * one, "a log-variance of log 9 is a variance of 9, so a standard deviation of 3; and the noise is the one given", mistakes={
        "exp(logvar) is the variance, 9; its root, exp(logvar / 2) = 3, is the standard deviation that multiplies the noise": 9 * one,
        "half of the variance is not its root: exp(logvar / 2), not exp(logvar) / 2": 4.5 * one,
        "logvar is taken for the standard deviation; that is exp(logvar / 2)": nine,
        "logvar / 2 is the logarithm of the standard deviation; exp makes the standard deviation of it": nine / 2,
        "the root of logvar is not the standard deviation: exp(logvar / 2)": nine.sqrt(),
        "exp(2 logvar) is the square of the variance: the standard deviation is its root, exp(logvar / 2)": 81 * one,
        "the sign is turned: the standard deviation is exp(logvar / 2), not exp(-logvar / 2)": one / 3,
        "that divides by the variance: the standard deviation is exp(logvar / 2)": one / 9,
        "the log-variance is a natural logarithm: exp, not a power of 10": 10 ** (nine / 2),
        "the log-variance is a natural logarithm: exp, not a power of 2": 2 ** (nine / 2),
        "the noise is subtracted; add it": -3 * one,
        "`scaling` is an argument; yours takes Stable Diffusion's 0.18215 whatever is given": 0.18215 * 3 * one,
        "the noise does not arrive in the result, although it is given": 0 * one})
    alone = {"without noise the latent is the scaled mean; yours adds the standard deviation, as if the noise were 1": 4 * one,
             "without noise the latent is the *scaled* mean; yours is the mean as it is": 5 * one,
             "multiply by `scaling`; yours divides": 10 * one,
             "without noise the latent is the scaled mean; yours is 0": 0 * one}
    got = student.latent(5 * one, nine, None, 0.5)
    is_tensor(got)
    assert torch.equal(got, student.latent(5 * one, nine, None, 0.5)), "without noise the latent is the scaled mean; yours draws noise of its own"
    close(got, 2.5 * one, "without noise the latent is the scaled mean, whatever the log-variance", mistakes=alone)
    close(student.latent(3 * one, nine, 0 * one, 0.5), 1.5 * one, "scaling multiplies the mean, here by 0.5; noise of 0 is noise, too", mistakes={
        "scaling multiplies mean and noise alike; yours leaves the mean as it is": 3 * one, "multiply by `scaling`; yours divides": 6 * one,
        "scaling comes once; yours multiplies twice": 0.75 * one})
    close(student.latent(0 * one, nine, -one, 0.5), -1.5 * one, "scaling multiplies mean and noise alike: scaling x (mean + standard deviation x noise)", mistakes={
        "scaling multiplies mean and noise alike; yours leaves the noise as it is": -3 * one,
        "noise can be negative; yours loses its sign": 1.5 * one,
        "the standard deviation is not scaled inside the exponent: scaling multiplies the sum": -one * (0.5 * nine / 2).exp()})
    vae = VAE(VAEConfig(widths=(8, 16), blocks=1, groups=4, scaling=0.37), decoder=False).requires_grad_(False)
    x, noise = torch.randn(2, 3, 8, 12, generator=seeded(3)), torch.randn(2, 4, 4, 6, generator=seeded(4))
    mean, logvar = vae.moments(x)
    shared = lambda std: 0.37 * (mean + std * noise)
    close(student.latent(mean, logvar, noise, 0.37), vae.encode(x, noise), "differs from VAE.encode on the moments of an untrained encoder", mistakes={
        "every entry has a standard deviation of its own; yours takes one for the whole picture": shared((logvar / 2).exp().mean((1, 2, 3), keepdim=True)),
        "every entry has a standard deviation of its own; yours takes one for the whole batch": shared((logvar / 2).exp().mean()),
        "every entry has a log-variance of its own; yours takes their mean": shared((logvar.mean((1, 2, 3), keepdim=True) / 2).exp()),
        "every entry has a standard deviation of its own; yours takes one for each channel": shared((logvar / 2).exp().mean((2, 3), keepdim=True)),
        "`scaling` is an argument; yours takes Stable Diffusion's 0.18215 whatever is given": vae.encode(x, noise) / 0.37 * 0.18215,
        "the scaling multiplies; yours divides": vae.encode(x, noise) / 0.37 ** 2})
    close(student.latent(mean, logvar, None, 0.37), vae.encode(x), "differs from VAE.encode without noise")


def decibels(a, b):
    return 10 * torch.log10(4 / (a - b).square().mean((1, 2, 3)))


def check_1_2(student):
    a = torch.rand(2, 3, 4, 6, generator=seeded(3)) - 0.4
    b = a + torch.tensor([0.5, 0.05])[:, None, None, None] * torch.randn(a.shape, generator=seeded(4))
    copies = a.clone(), b.clone()
    got = student.psnr(a, b)
    assert torch.equal(a, copies[0]) and torch.equal(b, copies[1]), "your function changes its inputs; avoid -= and *= on them"
    is_tensor(got)
    square, absolute = (a - b).square(), (a - b).abs()
    mse, all = square.mean((1, 2, 3)), square.mean()
    peak = a.amax((1, 2, 3)) - a.amin((1, 2, 3))
    per_picture = "two pictures have two values, one for each, shape (2,)"
    close(got, decibels(a, b), "10 log10(D x D / mean squared error), for each picture by itself, over all of its channels and pixels", 1e-4, {
        f"{per_picture}; yours is one number for the whole batch: the mean goes over channels, rows and columns only": 10 * torch.log10(4 / all),
        f"{per_picture}; yours is one number, the mean of both": decibels(a, b).mean(),
        "each picture has its own error; yours gives the whole batch's to both": (10 * torch.log10(4 / all)).expand(2),
        f"{per_picture}; yours has a value for each channel: over which axes is the mean?": 10 * torch.log10(4 / square.mean((2, 3))),
        f"{per_picture}; yours keeps the axes it has averaged": decibels(a, b)[:, None, None, None],
        "one mean over all of a picture's squared errors, then one logarithm; yours is the mean of the channels' decibels": (10 * torch.log10(4 / square.mean((2, 3)))).mean(1),
        "the mean comes before the logarithm; yours is the mean of every pixel's decibels": (10 * torch.log10(4 / square)).mean((1, 2, 3)),
        "pictures in [-1, 1] have a peak-to-peak D of 2, so D x D = 4; yours takes 1": 10 * torch.log10(1 / mse),
        "D is squared in 10 log10(D x D / mse): 4, yours takes 2": 10 * torch.log10(2 / mse),
        "pictures in [-1, 1] have a peak-to-peak of 2; yours takes 255": 10 * torch.log10(255 ** 2 / mse),
        "D is the range that pictures can have, 2; yours measures it on the picture": 10 * torch.log10(peak ** 2 / mse),
        "D is the range that pictures can have, 2; yours measures it on the batch": 10 * torch.log10((torch.maximum(a.max(), b.max()) - torch.minimum(a.min(), b.min())) ** 2 / mse),
        "D is the range that pictures can have, 2; yours measures it on the first batch": 10 * torch.log10((a.max() - a.min()) ** 2 / mse),
        "the mean goes over the channels, too; yours adds them up": 10 * torch.log10(4 / square.mean((2, 3)).sum(1)),
        "D is the range that pictures can have, 2; yours takes a picture's largest value": 10 * torch.log10(a.amax((1, 2, 3)) ** 2 / mse),
        "it is 10 log10 of a ratio of squares, or 20 log10 of its root; yours is 20 log10 of the squares": 20 * torch.log10(4 / mse),
        "20 log10 goes with the root of the error; yours takes 2 over the squared error": 20 * torch.log10(2 / mse),
        "10 log10 goes with squares; yours takes the root of the error": 10 * torch.log10(2 / mse.sqrt()),
        "10 log10 goes with squares of both: yours has D x D over the root of the error": 10 * torch.log10(4 / mse.sqrt()),
        "the mean squared error, not the mean absolute one": 20 * torch.log10(2 / absolute.mean((1, 2, 3))),
        "the mean squared error: square before the mean; yours has the mean absolute error without a square": 10 * torch.log10(4 / absolute.mean((1, 2, 3))),
        "square each error before the mean; yours squares the mean error": 10 * torch.log10(4 / (a - b).mean((1, 2, 3)).square()),
        "the mean of the squared errors, not their sum": 10 * torch.log10(4 / square.sum((1, 2, 3))),
        "the mean squared error, not its median": 10 * torch.log10(4 / square.flatten(1).median(1).values),
        "the mean squared error, not the largest": 10 * torch.log10(4 / square.amax((1, 2, 3))),
        "the logarithm is the one of base 10; yours is the natural one": 10 * torch.log(4 / mse),
        "the logarithm is the one of base 10; yours is the one of base 2": 10 * torch.log2(4 / mse),
        "decibels are ten times the logarithm; the factor is missing": torch.log10(4 / mse),
        "the ratio is upside down: D x D over the error, so that a small error makes many decibels": 10 * torch.log10(mse / 4),
        "D x D is missing: pictures in [-1, 1] have a peak-to-peak of 2": 10 * torch.log10(mse),
        "this is the mean squared error, not yet in decibels": mse,
        "a small number in the divisor changes the result; the error here is not 0": 10 * torch.log10(4 / (mse + 1e-3))})
    b = a.clone()
    b[0] += 0.2
    b[1] += 0.02
    close(student.psnr(a, b), torch.tensor([20.0, 40.0]), "an error that is the same everywhere, large in one picture and small in the other: only the differences count, whatever the pictures show", 1e-4)
    for shape, seed in (((1, 3, 5, 7), 5), ((5, 3, 9, 4), 6), ((3, 3, 3, 3), 7)):
        p, q = (torch.rand(shape, generator=seeded(s)) * 2 - 1 for s in (seed, seed + 10))
        close(student.psnr(p, q), decibels(p, q), f"on random pictures of shape {shape}, one by one", 1e-4)
        close(student.psnr(q, p), decibels(p, q), "it should not matter which picture comes first", 1e-4)
    p = torch.zeros(1, 3, 4, 4)
    close(student.psnr(p, p + 1e-4), torch.tensor([86.0206]), "a small error counts as it is, even one of 1e-4 everywhere; is something added to it, or is it clamped?", 1e-3)


def check_1_3(student):
    def box(i, j, factor, side):
        try:
            got = student.patch(i, j, factor, side)
        except ValueError as e:
            raise AssertionError(f"row {i}, column {j} is inside a latent of {side // factor} x {side // factor} cells, side // factor from the arguments, "
                                 f"which are counted from 0: your code raises ValueError ({e})") from None
        assert got is not None, "nothing is returned; return (y0, x0, y1, x1)"
        assert isinstance(got, (tuple, list)) and len(got) == 4, f"return four numbers (y0, x0, y1, x1); yours is {got!r}"
        return tuple(got)

    def refuses(i, j, factor, side, why):
        n = side // factor
        outside = f"row {i}, column {j} is outside a latent of {n} x {n} cells, 0 to {n - 1}"
        try:
            got = student.patch(i, j, factor, side)
        except ValueError:
            return
        except AssertionError:
            raise AssertionError(f"{outside}: raise ValueError; yours fails by an assert, which python -O switches off, and which is for one's own mistakes") from None
        except Exception as e:
            raise AssertionError(f"{outside}: raise ValueError; yours raises {type(e).__name__}") from None
        assert got is not None, f"{outside}: raise ValueError; yours returns None. To print, or to return nothing, does not stop whoever called"
        raise AssertionError(f"{outside}: raise ValueError; yours returns {got!r}. {why}")

    got = box(2, 5, 4, 128)
    for wrong, why in {
            (20, 8, 24, 12): "yours has x and y exchanged: rows are y, columns are x",
            (8, 20, 11, 23): "the end is exclusive, so that picture[y0:y1] is the patch: y1 is y0 plus the number of its rows",
            (8, 12, 20, 24): "the order is y0, x0, y1, x1: both starts, then both ends; yours has y0, y1, x0, x1",
            (20, 24, 8, 12): "the order is y0, x0, y1, x1: both starts, then both ends; yours has x0, x1, y0, y1",
            (8, 20, 4, 4): "the last two are where the patch ends, y1 and x1, not its height and width",
            (12, 24, 8, 20): "start and end are exchanged: y0 < y1",
            (8, 20, 13, 25): "the end is exclusive, but not twice: y1 is y0 plus the number of the patch's rows",
            (4, 16, 8, 20): "rows and columns are counted from 0; yours counts from 1",
            (2, 5, 3, 6): "pixels, not cells: a cell has `factor` pixels along each side",
            (2, 5, 6, 9): "the patch begins at pixel i * factor, not at i",
            (64, 160, 96, 192): "a cell has `factor` pixels along each side; yours has side // factor, the number of cells",
            (6, 18, 10, 22): "the patch begins where the row begins; yours is moved by half a cell, as if the cell lay in the middle",
            }.items():
        assert got != wrong, why
    assert got == (8, 20, 12, 24), f"row 2, column 5, factor 4: {got} is not the cell's patch; it begins at pixel i * factor, j * factor"
    assert all(isinstance(v, int) for v in got), f"the four numbers should be ints, to slice with; yours are of type {', '.join(type(v).__name__ for v in got)}: // instead of /, and no int lost on the way"
    try:
        student.patch(31, 31, 4, 128)
    except ValueError:
        raise AssertionError("row 31, column 31 is the last of a latent of 32 x 32 cells, 0 to 31, and exists; yours raises ValueError: one too early") from None
    last = box(63, 0, 8, 512)
    assert last == (504, 0, 512, 8), f"the last row of SD 1.5's latent, row 63, factor 8: {last} is not the patch of its first cell"
    negative = "Negative ones do not count from the end: ask for 0 <= i, too"
    for (i, j, factor, side), why in {
            (0, 32, 4, 128): "Are columns checked, too?", (32, 0, 4, 128): "Are rows checked, too? There are as many as side // factor, and the last is one less",
            (-1, 3, 4, 128): negative, (3, -1, 4, 128): negative, (-1, -1, 4, 128): negative, (64, 64, 8, 512): "The last one is side // factor - 1",
            (40, 3, 4, 128): "Bounds are counted in cells, not in pixels", (3, 100, 4, 128): "Bounds are counted in cells, not in pixels",
            (500, 0, 8, 512): "Bounds are counted in cells, not in pixels", (16, 0, 8, 128): "There are side // factor cells, whatever the factor"}.items():
        refuses(i, j, factor, side, why)
    for factor, side in ((2, 10), (8, 64), (1, 3)):
        picture = torch.arange(side * side).reshape(side, side)
        cells = picture.unfold(0, factor, factor).unfold(1, factor, factor)                  # (n, n, factor, factor), patch by patch
        for i in range(side // factor):
            for j in range(side // factor):
                y0, x0, y1, x1 = got = box(i, j, factor, side)
                assert torch.equal(picture[y0:y1, x0:x1], cells[i, j]), f"row {i}, column {j}, factor {factor}: {got} is not the cell's patch; is `factor` taken from the argument?"
