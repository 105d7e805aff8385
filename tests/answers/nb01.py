"""Notebook 01: second right solutions, and what is easily got wrong."""
ANSWERS = {
    "1.1": {"second": '''
def latent(mean, logvar, noise, scaling):
    if noise is None:
        noise = torch.zeros_like(mean)
    return mean * scaling + logvar.exp().sqrt() * noise * scaling
''', "third": '''
def latent(mean, logvar, noise, scaling):
    sample = mean.clone()
    if noise is not None:
        sample = torch.addcmul(mean, torch.sqrt(torch.exp(logvar)), noise)
    return sample.mul(scaling)
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
''', "logvar as deviation": '''
def latent(mean, logvar, noise, scaling):
    if noise is None:
        return scaling * mean
    return scaling * (mean + logvar * noise)
''', "variance": '''
def latent(mean, logvar, noise, scaling):
    if noise is None:
        return scaling * mean
    return scaling * (mean + logvar.exp() * noise)
''', "base 10": '''
def latent(mean, logvar, noise, scaling):
    std = 10 ** (logvar / 2)
    return scaling * (mean if noise is None else mean + std * noise)
''', "mean alone scaled": '''
def latent(mean, logvar, noise, scaling):
    z = scaling * mean
    if noise is not None:
        z = z + (logvar / 2).exp() * noise
    return z
''', "divided by the scaling": '''
def latent(mean, logvar, noise, scaling):
    z = mean if noise is None else mean + (logvar / 2).exp() * noise
    return z / scaling
''', "truth of a tensor": '''
def latent(mean, logvar, noise, scaling):
    if not noise:
        return scaling * mean
    return scaling * (mean + (logvar / 2).exp() * noise)
''', "draws when there is none": '''
def latent(mean, logvar, noise, scaling):
    if noise is None:
        noise = torch.randn_like(mean)
    return scaling * (mean + (logvar / 2).exp() * noise)
''', "scaling of the checkpoint": '''
def latent(mean, logvar, noise, scaling):
    z = mean if noise is None else mean + torch.exp(0.5 * logvar) * noise
    return 0.18215 * z
''', "noise of one number a picture": '''
def latent(mean, logvar, noise, scaling):
    if noise is None:
        return scaling * mean
    std = (logvar / 2).exp().mean((1, 2, 3), keepdim=True)
    return scaling * (mean + std * noise)
''', "package VAE.latents": '''
def latent(mean, logvar, noise, scaling):
    from types import SimpleNamespace
    from minifaseg.vae import VAE
    return VAE.latents(SimpleNamespace(config=SimpleNamespace(scaling=scaling)), mean, logvar, noise)
'''}},
    "1.2": {"second": '''
def psnr(a, b):
    root = torch.stack([torch.linalg.vector_norm(p - q) / p.numel() ** 0.5 for p, q in zip(a, b)])
    return 20 * (2 / root).log10()
''', "third": '''
def psnr(a, b):
    import math
    return torch.tensor([-10 * math.log10(F.mse_loss(x / 2, y / 2).item()) for x, y in zip(a, b)])
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
''', "D is 1": '''
def psnr(a, b):
    mse = ((a - b) ** 2).mean((1, 2, 3))
    return 10 * torch.log10(1 / mse)
''', "one number of the batch": '''
def psnr(a, b):
    mse = ((a - b) ** 2).mean()
    return (10 * torch.log10(4 / mse)).expand(len(a))
''', "natural logarithm, again": '''
def psnr(a, b):
    mse = ((a - b) ** 2).mean((1, 2, 3))
    return 10 * torch.log(4 / mse)
''', "20 instead of 10": '''
def psnr(a, b):
    mse = ((a - b) ** 2).mean((1, 2, 3))
    return 20 * torch.log10(4 / mse)
''', "mean of channels' decibels": '''
def psnr(a, b):
    mse = ((a - b) ** 2).mean((2, 3))
    return (10 * torch.log10(4 / mse)).mean(1)
''', "absolute error": '''
def psnr(a, b):
    mae = (a - b).abs().mean((1, 2, 3))
    return 20 * torch.log10(2 / mae)
''', "a cap": '''
def psnr(a, b):
    mse = ((a - b) ** 2).mean((1, 2, 3)).clamp_min(1e-4)
    return 10 * torch.log10(4 / mse)
''', "D of the data": '''
def psnr(a, b):
    peak = torch.maximum(a.max(), b.max()) - torch.minimum(a.min(), b.min())
    mse = ((a - b) ** 2).mean((1, 2, 3))
    return 10 * torch.log10(peak ** 2 / mse)
''', "channels summed": '''
def psnr(a, b):
    error = ((a - b) ** 2).sum(1).mean((1, 2))
    return 10 * torch.log10(4 / error)
''', "sign": '''
def psnr(a, b):
    mse = ((a - b) ** 2).mean((1, 2, 3))
    return 10 * torch.log10(mse / 4)
''', "loop that returns a list": '''
def psnr(a, b):
    out = []
    for i in range(len(a)):
        out.append(10 * torch.log10(4 / ((a[i] - b[i]) ** 2).mean()))
    return out
'''}},
    "1.3": {"second": '''
def patch(i, j, factor, side):
    if i not in range(side // factor) or j not in range(side // factor):
        raise ValueError("no such cell")
    y, x = factor * i, factor * j
    return (y, x, y + factor, x + factor)
''', "third": '''
def patch(i, j, factor, side):
    corners = [n * factor for n in (i, j, i + 1, j + 1)]
    if min(corners) < 0 or max(corners) > side // factor * factor:
        raise ValueError(f"no cell {i}, {j}")
    return corners
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
''', "x and y exchanged": '''
def patch(i, j, factor, side):
    n = side // factor
    if i < 0 or j < 0 or i >= n or j >= n:
        raise ValueError("no such cell")
    return j * factor, i * factor, (j + 1) * factor, (i + 1) * factor
''', "inclusive end": '''
def patch(i, j, factor, side):
    n = side // factor
    if not (0 <= i < n and 0 <= j < n):
        raise ValueError("no such cell")
    return i * factor, j * factor, (i + 1) * factor - 1, (j + 1) * factor - 1
''', "negative rows": '''
def patch(i, j, factor, side):
    n = side // factor
    if i >= n or j >= n:
        raise ValueError("no such cell")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "only rows checked": '''
def patch(i, j, factor, side):
    if i not in range(side // factor):
        raise ValueError(f"no row {i}")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "assert": '''
def patch(i, j, factor, side):
    n = side // factor
    assert 0 <= i < n and 0 <= j < n, "no such cell"
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "IndexError": '''
def patch(i, j, factor, side):
    n = side // factor
    if not (0 <= i < n and 0 <= j < n):
        raise IndexError(f"row {i}, column {j}")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "32 hard-coded": '''
def patch(i, j, factor, side):
    if not (0 <= i < 32 and 0 <= j < 32):
        raise ValueError("no such cell")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "floats": '''
def patch(i, j, factor, side):
    n = side / factor
    if not (0 <= i < n and 0 <= j < n):
        raise ValueError("no such cell")
    step = side / n
    return i * step, j * step, (i + 1) * step, (j + 1) * step
''', "prints and returns None": '''
def patch(i, j, factor, side):
    n = side // factor
    if not (0 <= i < n and 0 <= j < n):
        print("no such cell")
        return None
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "last row refused": '''
def patch(i, j, factor, side):
    n = side // factor - 1
    if not (0 <= i < n and 0 <= j < n):
        raise ValueError("no such cell")
    return i * factor, j * factor, (i + 1) * factor, (j + 1) * factor
''', "height and width": '''
def patch(i, j, factor, side):
    n = side // factor
    if not (0 <= i < n and 0 <= j < n):
        raise ValueError("no such cell")
    return i * factor, j * factor, factor, factor
'''}},
}
