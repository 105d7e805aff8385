"""Notebook 02: second right solutions, and what is easily got wrong."""
ANSWERS = {
    "2.1": {"second": '''
def alpha_bars(steps, start, end):
    a, b = start ** 0.5, end ** 0.5
    left, out = 1.0, []
    for i in range(steps):
        root = a + (b - a) * i / max(1, steps - 1)
        left *= 1 - root * root
        out.append(left)
    return torch.tensor(out)
''', "third": '''
def alpha_bars(steps, start, end):
    roots = torch.linspace(start, end, 2).sqrt()
    t = torch.linspace(0, 1, steps)
    betas = torch.lerp(roots[0], roots[1], t).square()
    return (1 - betas).log().cumsum(0).exp()
''', "wrong": {
        "betas in equal steps, not their roots": '''
def alpha_bars(steps, start, end):
    return torch.cumprod(1 - torch.linspace(start, end, steps), dim=0)
''', "roots not squared": '''
def alpha_bars(steps, start, end):
    return torch.cumprod(1 - torch.linspace(start ** 0.5, end ** 0.5, steps), dim=0)
''', "no product": '''
def alpha_bars(steps, start, end):
    return 1 - torch.linspace(start ** 0.5, end ** 0.5, steps) ** 2
''', "starts with 1": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps) ** 2
    return torch.cumprod(torch.cat([torch.ones(1), 1 - betas[:-1]]), dim=0)
''', "end left out": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps + 1)[:-1] ** 2
    return torch.cumprod(1 - betas, dim=0)
''', "always a thousand steps": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, 1000) ** 2
    return torch.cumprod(1 - betas, dim=0)[:steps]
''', "linear betas": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start, end, steps)
    return torch.cumprod(1 - betas, dim=0)
''', "not squared": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps)
    return torch.cumprod(1 - betas, dim=0)
''', "no product, again": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps) ** 2
    return 1 - betas
''', "product of betas": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps) ** 2
    return 1 - torch.cumprod(betas, dim=0)
''', "end excluded": '''
def alpha_bars(steps, start, end):
    roots = start ** 0.5 + (end ** 0.5 - start ** 0.5) * torch.arange(steps) / steps
    return torch.cumprod(1 - roots ** 2, dim=0)
''', "begins with 1": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps) ** 2
    bars = torch.cumprod(1 - betas, dim=0)
    return torch.cat([torch.ones(1), bars[:-1]])
''', "square root": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps) ** 2
    return torch.cumprod(1 - betas, dim=0).sqrt()
''', "exponential of a sum": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps) ** 2
    return torch.exp(-torch.cumsum(betas, dim=0))
''', "one step divides by zero": '''
def alpha_bars(steps, start, end):
    a, b = start ** 0.5, end ** 0.5
    out, product = [], 1.0
    for i in range(steps):
        beta = (a + (b - a) * i / (steps - 1)) ** 2
        product *= 1 - beta
        out.append(product)
    return torch.tensor(out)
''', "a list": '''
def alpha_bars(steps, start, end):
    betas = torch.linspace(start ** 0.5, end ** 0.5, steps) ** 2
    return torch.cumprod(1 - betas, dim=0).tolist()
''', "package alpha_bars": '''
def alpha_bars(steps, start, end):
    from minifaseg import ddim
    return ddim.alpha_bars(start, end)[:steps]
''', "package with its length set": '''
def alpha_bars(steps, start, end):
    from minifaseg import ddim
    old = ddim.STEPS
    ddim.STEPS = steps
    try:
        return ddim.alpha_bars(start, end)
    finally:
        ddim.STEPS = old
'''}},
    "2.2": {"second": '''
def clean(z_t, eps, abar_t):
    a = torch.tensor(abar_t).to(z_t)
    return z_t / a.sqrt() - eps * (1 / a - 1).sqrt()
''', "third": '''
def clean(z_t, eps, abar_t):
    noise = torch.mul(eps, (1 - abar_t) ** 0.5)
    return torch.div(torch.sub(z_t, noise), abar_t ** 0.5)
''', "wrong": {
        "no roots": '''
def clean(z_t, eps, abar_t):
    return (z_t - (1 - abar_t) * eps) / abar_t
''', "not divided": '''
def clean(z_t, eps, abar_t):
    return z_t - (1 - abar_t) ** 0.5 * eps
''', "only the latent is divided": '''
def clean(z_t, eps, abar_t):
    return z_t / abar_t ** 0.5 - (1 - abar_t) ** 0.5 * eps
''', "noise added": '''
def clean(z_t, eps, abar_t):
    return (z_t + (1 - abar_t) ** 0.5 * eps) / abar_t ** 0.5
''', "in place": '''
def clean(z_t, eps, abar_t):
    z_t -= (1 - abar_t) ** 0.5 * eps
    z_t /= abar_t ** 0.5
    return z_t
''', "times": '''
def clean(z_t, eps, abar_t):
    return (z_t - (1 - abar_t) ** 0.5 * eps) * abar_t ** 0.5
''', "forward": '''
def clean(z_t, eps, abar_t):
    return abar_t ** 0.5 * z_t + (1 - abar_t) ** 0.5 * eps
''', "precedence": '''
def clean(z_t, eps, abar_t):
    return z_t - (1 - abar_t) ** 0.5 * eps / abar_t ** 0.5
''', "1 - abar squared": '''
def clean(z_t, eps, abar_t):
    a = abar_t ** 0.5
    return (z_t - (1 - a) * eps) / a
''', "clamped": '''
def clean(z_t, eps, abar_t):
    z0 = (z_t - (1 - abar_t) ** 0.5 * eps) / abar_t ** 0.5
    return z0.clamp(-3, 3)
''', "toy numbers": '''
def clean(z_t, eps, abar_t):
    return (z_t - 0.6 * eps) / 0.8
''', "own noise": '''
def clean(z_t, eps, abar_t):
    noise = (eps - eps.mean()) / eps.std()
    return (z_t - (1 - abar_t) ** 0.5 * noise) / abar_t ** 0.5
''', "prints": '''
def clean(z_t, eps, abar_t):
    z0 = (z_t - (1 - abar_t) ** 0.5 * eps) / abar_t ** 0.5
    print(z0)
'''}},
    "2.3": {"second": '''
def ddim_step(z, eps, abar_s, abar_t):
    on_z = (abar_t / abar_s) ** 0.5
    return on_z * z + ((1 - abar_t) ** 0.5 - on_z * (1 - abar_s) ** 0.5) * eps
''', "third": '''
def ddim_step(z, eps, abar_s, abar_t):
    def noise_to_signal(abar):
        return ((1 - abar) / abar) ** 0.5
    y = z / abar_s ** 0.5 + (noise_to_signal(abar_t) - noise_to_signal(abar_s)) * eps     # Euler's step
    return abar_t ** 0.5 * y
''', "wrong": {
        "s and t swapped": '''
def ddim_step(z, eps, abar_s, abar_t):
    z0 = (z - (1 - abar_t) ** 0.5 * eps) / abar_t ** 0.5
    return abar_s ** 0.5 * z0 + (1 - abar_s) ** 0.5 * eps
''', "noise not put back": '''
def ddim_step(z, eps, abar_s, abar_t):
    z0 = (z - (1 - abar_s) ** 0.5 * eps) / abar_s ** 0.5
    return abar_t ** 0.5 * z0
''', "new noise put back": '''
def ddim_step(z, eps, abar_s, abar_t):
    z0 = (z - (1 - abar_s) ** 0.5 * eps) / abar_s ** 0.5
    return abar_t ** 0.5 * z0 + (1 - abar_t) ** 0.5 * torch.randn_like(z)
''', "no roots at t": '''
def ddim_step(z, eps, abar_s, abar_t):
    z0 = (z - (1 - abar_s) ** 0.5 * eps) / abar_s ** 0.5
    return abar_t * z0 + (1 - abar_t) * eps
''', "noises from z as if it were clean": '''
def ddim_step(z, eps, abar_s, abar_t):
    return abar_t ** 0.5 * z + (1 - abar_t) ** 0.5 * eps
''', "only downwards": '''
def ddim_step(z, eps, abar_s, abar_t):
    abar_s, abar_t = min(abar_s, abar_t), max(abar_s, abar_t)
    z0 = (z - (1 - abar_s) ** 0.5 * eps) / abar_s ** 0.5
    return abar_t ** 0.5 * z0 + (1 - abar_t) ** 0.5 * eps
''', "clamped": '''
def ddim_step(z, eps, abar_s, abar_t):
    z0 = (z - (1 - abar_s) ** 0.5 * eps) / abar_s ** 0.5
    return abar_t ** 0.5 * z0.clamp(-3, 3) + (1 - abar_t) ** 0.5 * eps
''', "noise of s": '''
def ddim_step(z, eps, abar_s, abar_t):
    z0 = (z - (1 - abar_s) ** 0.5 * eps) / abar_s ** 0.5
    return abar_t ** 0.5 * z0 + (1 - abar_s) ** 0.5 * eps
''', "clean latent": '''
def ddim_step(z, eps, abar_s, abar_t):
    return (z - (1 - abar_s) ** 0.5 * eps) / abar_s ** 0.5
''', "precedence": '''
def ddim_step(z, eps, abar_s, abar_t):
    z0 = z - (1 - abar_s) ** 0.5 * eps / abar_s ** 0.5
    return abar_t ** 0.5 * z0 + (1 - abar_t) ** 0.5 * eps
''', "one direction": '''
def ddim_step(z, eps, abar_s, abar_t):
    low, high = min(abar_s, abar_t), max(abar_s, abar_t)
    z0 = (z - (1 - high) ** 0.5 * eps) / high ** 0.5
    return low ** 0.5 * z0 + (1 - low) ** 0.5 * eps
''', "no roots": '''
def ddim_step(z, eps, abar_s, abar_t):
    z0 = (z - (1 - abar_s) * eps) / abar_s
    return abar_t * z0 + (1 - abar_t) * eps
''', "DDPM's mean": '''
def ddim_step(z, eps, abar_s, abar_t):
    alpha = abar_s / abar_t
    return (z - (1 - alpha) / (1 - abar_s) ** 0.5 * eps) / alpha ** 0.5
''', "package step": '''
def ddim_step(z, eps, abar_s, abar_t):
    from minifaseg import ddim
    s = int((ddim.ABAR - abar_s).abs().argmin())
    t = int((ddim.ABAR - abar_t).abs().argmin())
    return ddim.step(z, eps, s, t)
'''}},
    "2.4": {"second": '''
def invert(predict, z, abars, ts):
    latents = [z]
    for s, t in zip([0, *ts], ts):
        eps = predict(latents[-1], t)
        on_z = (abars[t] / abars[s]).sqrt()
        latents.append(on_z * latents[-1] + ((1 - abars[t]).sqrt() - on_z * (1 - abars[s]).sqrt()) * eps)
    return latents[1:]
''', "third": '''
def invert(predict, z, abars, ts):
    def step(z, eps, a, b):
        return (b / a) ** 0.5 * (z - (1 - a) ** 0.5 * eps) + (1 - b) ** 0.5 * eps
    out, path = [], [0] + list(ts)
    for i in range(1, len(path)):
        before = out[-1] if out else z
        out += [step(before, predict(before, path[i]), float(abars[path[i - 1]]), float(abars[path[i]]))]
    return out
''', "wrong": {
        "predicts with the timestep it comes from": '''
def invert(predict, z, abars, ts):
    latents, s = [], 0
    for t in ts:
        eps = predict(z, s)
        z = abars[t].sqrt() * (z - (1 - abars[s]).sqrt() * eps) / abars[s].sqrt() + (1 - abars[t]).sqrt() * eps
        latents.append(z)
        s = t
    return latents
''', "s stays 0": '''
def invert(predict, z, abars, ts):
    latents, s = [], 0
    for t in ts:
        eps = predict(z, t)
        z = abars[t].sqrt() * (z - (1 - abars[s]).sqrt() * eps) / abars[s].sqrt() + (1 - abars[t]).sqrt() * eps
        latents.append(z)
    return latents
''', "starts at abar = 1": '''
def invert(predict, z, abars, ts):
    latents, a = [], torch.tensor(1.0)
    for t in ts:
        eps = predict(z, t)
        z = abars[t].sqrt() * (z - (1 - a).sqrt() * eps) / a.sqrt() + (1 - abars[t]).sqrt() * eps
        latents.append(z)
        a = abars[t]
    return latents
''', "every step from t - 1": '''
def invert(predict, z, abars, ts):
    latents = []
    for t in ts:
        eps, a = predict(z, t), abars[t - 1]
        z = abars[t].sqrt() * (z - (1 - a).sqrt() * eps) / a.sqrt() + (1 - abars[t]).sqrt() * eps
        latents.append(z)
    return latents
''', "every step from the clean latent": '''
def invert(predict, z, abars, ts):
    latents, s = [], 0
    for t in ts:
        eps = predict(z, t)
        latents.append(abars[t].sqrt() * (z - (1 - abars[s]).sqrt() * eps) / abars[s].sqrt() + (1 - abars[t]).sqrt() * eps)
        s = t
    return latents
''', "the clean latent in the list": '''
def invert(predict, z, abars, ts):
    latents, s = [z], 0
    for t in ts:
        eps = predict(z, t)
        z = abars[t].sqrt() * (z - (1 - abars[s]).sqrt() * eps) / abars[s].sqrt() + (1 - abars[t]).sqrt() * eps
        latents.append(z)
        s = t
    return latents
''', "only the last": '''
def invert(predict, z, abars, ts):
    s = 0
    for t in ts:
        eps = predict(z, t)
        z = abars[t].sqrt() * (z - (1 - abars[s]).sqrt() * eps) / abars[s].sqrt() + (1 - abars[t]).sqrt() * eps
        s = t
    return z
''', "one tensor for all": '''
def invert(predict, z, abars, ts):
    latents, s, z = [], 0, z.clone()
    for t in ts:
        eps = predict(z, t)
        z.copy_(abars[t].sqrt() * (z - (1 - abars[s]).sqrt() * eps) / abars[s].sqrt() + (1 - abars[t]).sqrt() * eps)
        latents.append(z)
        s = t
    return latents
''', "noise of s": '''
def invert(predict, z, abars, ts):
    latents, s = [], 0
    for t in ts:
        eps = predict(z, s)
        a, b = abars[s].item(), abars[t].item()
        z = b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
        latents.append(z)
        s = t
    return latents
''', "starts at 1": '''
def invert(predict, z, abars, ts):
    latents, a = [], 1.0
    for t in ts:
        eps, b = predict(z, t), abars[t].item()
        z = b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
        latents.append(z)
        a = b
    return latents
''', "a not moved on": '''
def invert(predict, z, abars, ts):
    latents, a = [], abars[0].item()
    for t in ts:
        eps, b = predict(z, t), abars[t].item()
        z = b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
        latents.append(z)
    return latents
''', "from the clean latent each time": '''
def invert(predict, z, abars, ts):
    latents, a = [], abars[0].item()
    for t in ts:
        eps, b = predict(z, t), abars[t].item()
        latents.append(b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps)
    return latents
''', "noise of the clean latent": '''
def invert(predict, z, abars, ts):
    clean, latents, a = z, [], abars[0].item()
    for t in ts:
        eps, b = predict(clean, t), abars[t].item()
        z = b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
        latents.append(z)
        a = b
    return latents
''', "only the last, again": '''
def invert(predict, z, abars, ts):
    a = abars[0].item()
    for t in ts:
        eps, b = predict(z, t), abars[t].item()
        z = b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
        a = b
    return z
''', "a generator": '''
def invert(predict, z, abars, ts):
    a = abars[0].item()
    for t in ts:
        eps, b = predict(z, t), abars[t].item()
        z = b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
        yield z
        a = b
''', "clean latent in the list": '''
def invert(predict, z, abars, ts):
    latents, a = [z], abars[0].item()
    for t in ts:
        eps, b = predict(z, t), abars[t].item()
        z = b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
        latents.append(z)
        a = b
    return latents
''', "one tensor in place": '''
def invert(predict, z, abars, ts):
    latents, a = [], abars[0].item()
    z = z.clone()
    for t in ts:
        eps, b = predict(z, t), abars[t].item()
        z -= (1 - a) ** 0.5 * eps
        z *= (b / a) ** 0.5
        z += (1 - b) ** 0.5 * eps
        latents.append(z)
        a = b
    return latents
''', "two steps only": '''
def invert(predict, z, abars, ts):
    def step(z, eps, a, b):
        return b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
    first, last = ts[0], ts[-1]
    z1 = step(z, predict(z, first), abars[0].item(), abars[first].item())
    z2 = step(z1, predict(z1, last), abars[first].item(), abars[last].item())
    return [z1, z2]
''', "package invert": '''
def invert(predict, z, abars, ts):
    from minifaseg import ddim
    old = ddim.ABAR
    ddim.ABAR = abars
    try:
        return [latent for _, latent in ddim.invert(lambda z, t, text: predict(z, t), z, None, ts)]
    finally:
        ddim.ABAR = old
''', "package step": '''
def invert(predict, z, abars, ts):
    from minifaseg import ddim
    latents, s = [], 0
    for t in ts:
        z = ddim.step(z, predict(z, t), s, t)
        latents.append(z)
        s = t
    return latents
'''}},
    "2.5": {"second": '''
def training_loss(unet, z0, noise, t, text):
    errors = []
    for i, step in enumerate(t.tolist()):
        z_t = ddim.add_noise(z0[i:i + 1], step, noise[i:i + 1])
        errors.append((unet(z_t, t[i:i + 1], text[i:i + 1]) - noise[i:i + 1]).pow(2).mean())
    return torch.stack(errors).mean()
''', "third": '''
def training_loss(unet, z0, noise, t, text):
    a = ddim.ABAR.to(z0).gather(0, t).view(-1, 1, 1, 1)
    z_t = torch.addcmul(noise * (1 - a) ** 0.5, z0, a ** 0.5)
    return torch.nn.functional.mse_loss(unet(z_t, t, text), noise)
''', "wrong": {
        "one timestep for all": '''
def training_loss(unet, z0, noise, t, text):
    z_t = ddim.add_noise(z0, int(t[0]), noise)
    return (unet(z_t, t, text) - noise).square().mean()
''', "abar along the width": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t]
    z_t = abar.sqrt() * z0 + (1 - abar).sqrt() * noise
    return (unet(z_t, t, text) - noise).square().mean()
''', "compared with the clean latent": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = abar.sqrt() * z0 + (1 - abar).sqrt() * noise
    return (unet(z_t, t, text) - z0).square().mean()
''', "sum instead of mean": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = abar.sqrt() * z0 + (1 - abar).sqrt() * noise
    return (unet(z_t, t, text) - noise).square().sum()
''', "no roots": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = abar * z0 + (1 - abar) * noise
    return (unet(z_t, t, text) - noise).square().mean()
''', "weights exchanged": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = (1 - abar).sqrt() * z0 + abar.sqrt() * noise
    return (unet(z_t, t, text) - noise).square().mean()
''', "predicts on the clean latent": '''
def training_loss(unet, z0, noise, t, text):
    return (unet(z0, t, text) - noise).square().mean()
''', "a float": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = abar.sqrt() * z0 + (1 - abar).sqrt() * noise
    return (unet(z_t, t, text) - noise).square().mean().item()
''', "no gradient": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = abar.sqrt() * z0 + (1 - abar).sqrt() * noise
    with torch.no_grad():
        predicted = unet(z_t, t, text)
    return (predicted - noise).square().mean()
''', "one for each picture": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = abar.sqrt() * z0 + (1 - abar).sqrt() * noise
    return (unet(z_t, t, text) - noise).square().mean((1, 2, 3))
''', "absolute error": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = abar.sqrt() * z0 + (1 - abar).sqrt() * noise
    return (unet(z_t, t, text) - noise).abs().mean()
''', "noise of its own": '''
def training_loss(unet, z0, noise, t, text):
    noise = torch.randn_like(z0)
    abar = ddim.ABAR[t][:, None, None, None]
    z_t = abar.sqrt() * z0 + (1 - abar).sqrt() * noise
    return (unet(z_t, t, text) - noise).square().mean()
''', "in place": '''
def training_loss(unet, z0, noise, t, text):
    abar = ddim.ABAR[t][:, None, None, None]
    z0 *= abar.sqrt()
    z0 += (1 - abar).sqrt() * noise
    return (unet(z0, t, text) - noise).square().mean()
'''}},
    "2.6": {"second": '''
def timestep_embedding(t, width):
    half = width // 2
    out = torch.zeros(len(t), width)
    for i in range(half):
        angle = t.float() / 10000 ** (i / half)
        out[:, i], out[:, half + i] = angle.cos(), angle.sin()
    return out
''', "third": '''
def timestep_embedding(t, width):
    frequencies = torch.logspace(0, -4, width // 2 + 1, dtype=torch.float64)[:-1]
    angles = torch.outer(t.double(), frequencies)
    return torch.view_as_real(torch.polar(torch.ones_like(angles), angles)).movedim(2, 1).flatten(1).float()
''', "wrong": {
        "sines first": '''
def timestep_embedding(t, width):
    half = width // 2
    angles = t[:, None] * 10000 ** (-torch.arange(half) / half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)
''', "cosines and sines alternate": '''
def timestep_embedding(t, width):
    half = width // 2
    angles = t[:, None] * 10000 ** (-torch.arange(half) / half)
    return torch.stack([angles.cos(), angles.sin()], dim=2).flatten(1)
''', "over the whole width": '''
def timestep_embedding(t, width):
    angles = t[:, None] * 10000 ** (-torch.arange(width // 2) / width)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
''', "frequencies grow": '''
def timestep_embedding(t, width):
    half = width // 2
    angles = t[:, None] * 10000 ** (torch.arange(half) / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
''', "both ends included": '''
def timestep_embedding(t, width):
    angles = t[:, None] * torch.logspace(0, -4, width // 2)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
''', "t divided by 1000": '''
def timestep_embedding(t, width):
    half = width // 2
    angles = t[:, None] / 1000 * 10000 ** (-torch.arange(half) / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
''', "twice as wide": '''
def timestep_embedding(t, width):
    angles = t[:, None] * 10000 ** (-torch.arange(width) / width)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
''', "whole numbers cut off": '''
def timestep_embedding(t, width):
    half = width // 2
    angles = t[:, None] * 10000. ** (-torch.arange(half) // half)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
''', "full turns": '''
def timestep_embedding(t, width):
    half = width // 2
    angles = 2 * torch.pi * t[:, None] * 10000 ** (-torch.arange(half) / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
''', "package function": '''
def timestep_embedding(t, width):
    return package_embedding(t, width)
'''}},
    "2.7": {"second": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image))
    text = model.text(captions)
    generator = torch.Generator().manual_seed(0)
    votes = torch.zeros(len(captions))
    for t in (50, 100, 200, 400):
        noise = torch.randn(z0.shape, generator=generator)
        z_t = ddim.add_noise(z0, t, noise)
        errors = torch.stack([(model.unet(z_t, t, text[k:k + 1]) - noise).square().sum() for k in range(len(captions))])
        votes += errors / errors.mean()                   # each timestep with the same weight
    return votes.argmin().item()
''', "third": '''
def which_caption(model, image, captions):
    z0, K = model.vae.encode(model.pixels(image)), len(captions)
    generator = torch.Generator().manual_seed(0)
    ts = torch.tensor([50, 100, 200, 400])
    noise = torch.cat([torch.randn(z0.shape, generator=generator) for _ in ts])
    z = torch.cat([ddim.add_noise(z0, int(t), eps[None]) for t, eps in zip(ts, noise)]).repeat_interleave(K, 0)
    text = model.text(captions).repeat(len(ts), 1, 1)
    error = (model.unet(z, ts.repeat_interleave(K), text) - noise.repeat_interleave(K, 0)).pow(2).flatten(1).mean(1)
    return int(error.view(len(ts), K).mean(0).argmin())
''', "wrong": {
        "new noise for each caption": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image))
    text = model.text(captions)
    errors = []
    for k in range(len(captions)):
        noise = torch.randn(z0.shape)
        predicted = model.unet(ddim.add_noise(z0, 200, noise), 200, text[k:k + 1])
        errors.append((predicted - noise).square().mean().item())
    return errors.index(min(errors))
''', "one timestep": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image)).expand(len(captions), -1, -1, -1)
    noise = torch.randn(z0[:1].shape, generator=torch.Generator().manual_seed(0))
    predicted = model.unet(ddim.add_noise(z0, 700, noise), 700, model.text(captions))
    return int((predicted - noise).square().mean((1, 2, 3)).argmin())
''', "the largest error": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image))
    text = model.text(captions)
    generator = torch.Generator().manual_seed(0)
    total = 0
    for t in (50, 100, 200, 400):
        noise = torch.randn(z0.shape, generator=generator)
        z_t = ddim.add_noise(z0, t, noise).expand(len(captions), -1, -1, -1)
        total = total + (model.unet(z_t, t, text) - noise).square().mean((1, 2, 3))
    return int(total.argmax())
''', "no noise in the latent": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image)).expand(len(captions), -1, -1, -1)
    noise = torch.randn(z0[:1].shape, generator=torch.Generator().manual_seed(0))
    predicted = model.unet(z0, 200, model.text(captions))
    return int((predicted - noise).square().mean((1, 2, 3)).argmin())
''', "too many looks": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image))
    text = model.text(captions)
    generator = torch.Generator().manual_seed(0)
    total = 0
    for t in (50, 100, 200, 400, 20, 70, 150, 300, 500, 700):
        noise = torch.randn(z0.shape, generator=generator)
        z_t = ddim.add_noise(z0, t, noise).expand(len(captions), -1, -1, -1)
        total = total + (model.unet(z_t, t, text) - noise).square().mean((1, 2, 3))
    return int(total.argmin())
''', "the caption itself": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image)).expand(len(captions), -1, -1, -1)
    noise = torch.randn(z0[:1].shape, generator=torch.Generator().manual_seed(0))
    predicted = model.unet(ddim.add_noise(z0, 50, noise), 50, model.text(captions))
    return captions[int((predicted - noise).square().mean((1, 2, 3)).argmin())]
''', "latents not repeated": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image))
    noise = torch.randn_like(z0)
    predicted = model.unet(ddim.add_noise(z0, 100, noise), 100, model.text(captions))
    return int((predicted - noise).square().mean((1, 2, 3)).argmin())
''', "never asks": '''
def which_caption(model, image, captions):
    return 0
''', "only the first caption": '''
def which_caption(model, image, captions):
    z0 = model.vae.encode(model.pixels(image))
    noise = torch.randn(z0.shape, generator=torch.Generator().manual_seed(0))
    text = model.text(captions[:1])
    errors = [(model.unet(ddim.add_noise(z0, t, noise), t, text) - noise).square().mean().item() for t in (50, 100, 200)]
    return errors.index(min(errors))
'''}},
}
