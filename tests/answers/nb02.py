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
'''}},
    "2.2": {"second": '''
def clean(z_t, eps, abar_t):
    a = torch.tensor(abar_t).to(z_t)
    return z_t / a.sqrt() - eps * (1 / a - 1).sqrt()
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
'''}},
    "2.3": {"second": '''
def ddim_step(z, eps, abar_s, abar_t):
    on_z = (abar_t / abar_s) ** 0.5
    return on_z * z + ((1 - abar_t) ** 0.5 - on_z * (1 - abar_s) ** 0.5) * eps
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
'''}},
    "2.4": {"second": '''
def invert(predict, z, abars, ts):
    latents = [z]
    for s, t in zip([0, *ts], ts):
        eps = predict(latents[-1], t)
        on_z = (abars[t] / abars[s]).sqrt()
        latents.append(on_z * latents[-1] + ((1 - abars[t]).sqrt() - on_z * (1 - abars[s]).sqrt()) * eps)
    return latents[1:]
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
'''}},
}
