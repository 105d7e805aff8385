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
}
