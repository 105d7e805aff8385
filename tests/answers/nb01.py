"""Notebook 01: second right solutions, and what is easily got wrong."""
ANSWERS = {
    "1.1": {"second": '''
def latent(mean, logvar, noise, scaling):
    if noise is None:
        noise = torch.zeros_like(mean)
    return mean * scaling + logvar.exp().sqrt() * noise * scaling
''', "wrong": {
        "variance for deviation": '''
def latent(mean, logvar, noise, scaling):
    return scaling * (mean if noise is None else mean + logvar.exp() * noise)
''', "half of the variance": '''
def latent(mean, logvar, noise, scaling):
    return scaling * (mean if noise is None else mean + 0.5 * logvar.exp() * noise)
''', "logvar taken for a deviation": '''
def latent(mean, logvar, noise, scaling):
    return scaling * (mean if noise is None else mean + logvar * noise)
''', "noise not scaled": '''
def latent(mean, logvar, noise, scaling):
    return scaling * mean if noise is None else scaling * mean + (logvar / 2).exp() * noise
''', "mean not scaled": '''
def latent(mean, logvar, noise, scaling):
    return mean if noise is None else mean + scaling * (logvar / 2).exp() * noise
''', "divides by the scaling": '''
def latent(mean, logvar, noise, scaling):
    return (mean if noise is None else mean + (logvar / 2).exp() * noise) / scaling
''', "draws noise of its own": '''
def latent(mean, logvar, noise, scaling):
    return scaling * (mean if noise is None else mean + (logvar / 2).exp() * torch.randn_like(mean))
''', "works in place": '''
def latent(mean, logvar, noise, scaling):
    if noise is not None:
        mean += logvar.div(2).exp() * noise
    return scaling * mean
'''}},
    "1.2": {"second": '''
def psnr(a, b):
    root = torch.stack([torch.linalg.vector_norm(p - q) / p.numel() ** 0.5 for p, q in zip(a, b)])
    return 20 * (2 / root).log10()
''', "wrong": {
        "peak of 1": '''
def psnr(a, b):
    return 10 * torch.log10(1 / (a - b).square().mean((1, 2, 3)))
''', "peak of 2, not squared": '''
def psnr(a, b):
    return 10 * torch.log10(2 / (a - b).square().mean((1, 2, 3)))
''', "20 log10 of squares": '''
def psnr(a, b):
    return 20 * torch.log10(4 / (a - b).square().mean((1, 2, 3)))
''', "one number for the batch": '''
def psnr(a, b):
    return 10 * torch.log10(4 / (a - b).square().mean())
''', "the batch's error for every picture": '''
def psnr(a, b):
    return (10 * torch.log10(4 / (a - b).square().mean())).expand(len(a))
''', "a number for each channel": '''
def psnr(a, b):
    return 10 * torch.log10(4 / (a - b).square().mean((2, 3)))
''', "mean of the channels' decibels": '''
def psnr(a, b):
    return (10 * torch.log10(4 / (a - b).square().mean((2, 3)).clamp_min(1e-12))).mean(1)
''', "mean absolute error": '''
def psnr(a, b):
    return 20 * torch.log10(2 / (a - b).abs().mean((1, 2, 3)))
''', "natural logarithm": '''
def psnr(a, b):
    return 10 * torch.log(4 / (a - b).square().mean((1, 2, 3)))
''', "peak measured on the picture": '''
def psnr(a, b):
    peak = a.amax((1, 2, 3)) - a.amin((1, 2, 3))
    return 10 * torch.log10(peak ** 2 / (a - b).square().mean((1, 2, 3)))
'''}},
    "1.3": {"second": '''
def patch(i, j, factor, side):
    if i not in range(side // factor) or j not in range(side // factor):
        raise ValueError("no such cell")
    y, x = factor * i, factor * j
    return (y, x, y + factor, x + factor)
''', "wrong": {
        "rows and columns exchanged": '''
def patch(i, j, factor, side):
    n = side // factor
    if not (0 <= i < n and 0 <= j < n):
        raise ValueError("outside")
    return j * factor, i * factor, (j + 1) * factor, (i + 1) * factor
''', "end inclusive": '''
def patch(i, j, factor, side):
    n = side // factor
    if not (0 <= i < n and 0 <= j < n):
        raise ValueError("outside")
    return i * factor, j * factor, (i + 1) * factor - 1, (j + 1) * factor - 1
''', "height and width for the end": '''
def patch(i, j, factor, side):
    n = side // factor
    if not (0 <= i < n and 0 <= j < n):
        raise ValueError("outside")
    return i * factor, j * factor, factor, factor
''', "never refuses": '''
def patch(i, j, factor, side):
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "negative ones pass": '''
def patch(i, j, factor, side):
    if (i + 1) * factor > side or (j + 1) * factor > side:
        raise ValueError("outside")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "one too many": '''
def patch(i, j, factor, side):
    n = side // factor
    if not (0 <= i <= n and 0 <= j <= n):
        raise ValueError("outside")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "only rows are checked": '''
def patch(i, j, factor, side):
    if not 0 <= i < side // factor:
        raise ValueError("outside")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "clips": '''
def patch(i, j, factor, side):
    n = side // factor
    i, j = min(max(i, 0), n - 1), min(max(j, 0), n - 1)
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "bounds in pixels": '''
def patch(i, j, factor, side):
    if not (0 <= i < side and 0 <= j < side):
        raise ValueError("outside")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
'''}},
}
