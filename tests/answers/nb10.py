"""Notebook 10: second right answers, and wrong ones that the grader must catch."""
ANSWERS = {
    "10.1": {
        "second": '''
def word_gain(network, pictures, captions, t, noise):
    def loss(which):
        error = network(tiny.noised(pictures, noise, t), t, which) - noise
        return error.pow(2).mean()
    others = torch.cat([captions[1:], captions[:1]])
    return float(loss(others) / loss(captions) - 1)
''',
        "third": '''
def word_gain(network, pictures, captions, t, noise):
    z, n = tiny.noised(pictures, noise, t), len(captions)
    twice = network(torch.cat([z, z]), torch.cat([t, t]),
                    torch.cat([captions, captions[[(i + 1) % n for i in range(n)]]]))
    errors = (twice - torch.cat([noise, noise])).square().flatten(1).mean(1)
    true, exchanged = errors[:n].mean(), errors[n:].mean()
    return (exchanged - true) / true
''',
        "wrong": {
            "the one before": '''
def word_gain(network, pictures, captions, t, noise):
    z = tiny.noised(pictures, noise, t)
    true = F.mse_loss(network(z, t, captions), noise)
    return (F.mse_loss(network(z, t, captions.roll(1, 0)), noise) / true - 1).item()
''',
            "words within a caption": '''
def word_gain(network, pictures, captions, t, noise):
    z = tiny.noised(pictures, noise, t)
    true = F.mse_loss(network(z, t, captions), noise)
    return (F.mse_loss(network(z, t, captions.roll(-1, 1)), noise) / true - 1).item()
''',
            "not divided": '''
def word_gain(network, pictures, captions, t, noise):
    z = tiny.noised(pictures, noise, t)
    true = F.mse_loss(network(z, t, captions), noise)
    return (F.mse_loss(network(z, t, captions.roll(-1, 0)), noise) - true).item()
''',
            "divided by the other": '''
def word_gain(network, pictures, captions, t, noise):
    z = tiny.noised(pictures, noise, t)
    true = F.mse_loss(network(z, t, captions), noise)
    other = F.mse_loss(network(z, t, captions.roll(-1, 0)), noise)
    return ((other - true) / other).item()
''',
            "ratio": '''
def word_gain(network, pictures, captions, t, noise):
    z = tiny.noised(pictures, noise, t)
    true = F.mse_loss(network(z, t, captions), noise)
    return (F.mse_loss(network(z, t, captions.roll(-1, 0)), noise) / true).item()
''',
            "noise drawn anew": '''
def word_gain(network, pictures, captions, t, noise):
    true = F.mse_loss(network(tiny.noised(pictures, noise, t), t, captions), noise)
    noise = torch.randn_like(noise)
    other = F.mse_loss(network(tiny.noised(pictures, noise, t), t, captions.roll(-1, 0)), noise)
    return (other / true - 1).item()
''',
            "not noised": '''
def word_gain(network, pictures, captions, t, noise):
    true = F.mse_loss(network(pictures, t, captions), noise)
    return (F.mse_loss(network(pictures, t, captions.roll(-1, 0)), noise) / true - 1).item()
''',
            "timesteps exchanged": '''
def word_gain(network, pictures, captions, t, noise):
    z = tiny.noised(pictures, noise, t)
    true = F.mse_loss(network(z, t, captions), noise)
    return (F.mse_loss(network(z, t.roll(-1), captions.roll(-1, 0)), noise) / true - 1).item()
''',
            "mean of shares": '''
def word_gain(network, pictures, captions, t, noise):
    z = tiny.noised(pictures, noise, t)
    true = (network(z, t, captions) - noise).square().mean((1, 2, 3))
    other = (network(z, t, captions.roll(-1, 0)) - noise).square().mean((1, 2, 3))
    return (other / true - 1).mean().item()
''',
            "compared with the pictures": '''
def word_gain(network, pictures, captions, t, noise):
    z = tiny.noised(pictures, noise, t)
    true = F.mse_loss(network(z, t, captions), pictures)
    return (F.mse_loss(network(z, t, captions.roll(-1, 0)), pictures) / true - 1).item()
''',
        },
    },
    "10.2": {
        "second": '''
def pointing(values, inside):
    pairs, won = 0, 0.0
    for a in values[inside].tolist():
        for b in values[~inside].tolist():
            pairs += 1
            if a > b:
                won += 1
            elif a == b:
                won += 0.5
    return won / pairs
''',
        "third": '''
def pointing(values, inside):
    from scipy.stats import rankdata
    ranks = torch.tensor(rankdata(values.numpy()))
    m, n = int(inside.sum()), int((~inside).sum())
    return (ranks[inside].sum() - m * (m + 1) / 2) / (m * n)
''',
        "wrong": {
            "ties lost": '''
def pointing(values, inside):
    return (values[inside][:, None] > values[~inside][None]).float().mean().item()
''',
            "ties whole": '''
def pointing(values, inside):
    return (values[inside][:, None] >= values[~inside][None]).float().mean().item()
''',
            "the other way round": '''
def pointing(values, inside):
    sign = torch.sign(values[~inside][:, None] - values[inside][None])
    return ((sign + 1) / 2).mean().item()
''',
            "difference of means": '''
def pointing(values, inside):
    return (values[inside].mean() - values[~inside].mean()).item()
''',
            "share inside": '''
def pointing(values, inside):
    return (values[inside].sum() / values.sum().clamp_min(1e-12)).item()
''',
            "with the mean outside": '''
def pointing(values, inside):
    return (values[inside] > values[~inside].mean()).float().mean().item()
''',
            "not divided": '''
def pointing(values, inside):
    within, without = values[inside][:, None], values[~inside][None]
    return ((within > without).float() + (within == without).float() / 2).sum().item()
''',
            "all pairs of cells": '''
def pointing(values, inside):
    within, without = values[inside][:, None], values[~inside][None]
    won = (within > without).float() + (within == without).float() / 2
    return (won.sum() / len(values) ** 2).item()
''',
            "pairs in their order": '''
def pointing(values, inside):
    m = min(int(inside.sum()), int((~inside).sum()))
    a, b = values[inside][:m], values[~inside][:m]
    return ((a > b).float() + (a == b).float() / 2).mean().item()
''',
            "package": '''
def pointing(values, inside):
    return tiny.pointing(values, inside)
''',
        },
    },
    "10.3": {
        "second": '''
def better_maps(network, scenes):
    return torch.stack([tiny.maps(network, scenes, t) for t in (1, 50)]).mean(0)
''',
        "third": '''
def better_maps(network, scenes):
    mirrored = tiny.Scenes(scenes.pictures.flip(3), scenes.labels, scenes.captions)
    C = tiny.maps(network, scenes, 50)
    turned = tiny.maps(network, mirrored, 50).reshape(len(C), 16, 16, 5).flip(2).reshape(C.shape)
    both = C.sqrt() + turned.sqrt()
    refined = tiny.maps(network, scenes, 50, kind="attn1") @ both
    return both + refined / 2
''',
        "wrong": {
            "as before": '''
def better_maps(network, scenes):
    return tiny.maps(network, scenes)
''',
            "a noisier timestep": '''
def better_maps(network, scenes):
    return tiny.maps(network, scenes, 700)
''',
            "many noisy timesteps": '''
def better_maps(network, scenes):
    return sum(tiny.maps(network, scenes, t) for t in (300, 500, 700))
''',
            "refinement alone": '''
def better_maps(network, scenes):
    return tiny.maps(network, scenes, kind="attn1") @ tiny.maps(network, scenes)
''',
            "mirror not turned back": '''
def better_maps(network, scenes):
    mirrored = tiny.Scenes(scenes.pictures.flip(3), scenes.labels, scenes.captions)
    return tiny.maps(network, scenes, 50) + tiny.maps(network, mirrored, 50)
''',
            "too long a walk": '''
def better_maps(network, scenes):
    A = tiny.maps(network, scenes, 50, kind="attn1")
    return torch.linalg.matrix_power(A, 64) @ tiny.maps(network, scenes, 50)
''',
            "columns for rows": '''
def better_maps(network, scenes):
    C = tiny.maps(network, scenes, 50)
    return C.unflatten(1, (16, 16)).transpose(1, 2).flatten(1, 2)
''',
            "tokens first": '''
def better_maps(network, scenes):
    return tiny.maps(network, scenes).transpose(1, 2)
''',
            "logarithm of what is below 0": '''
def better_maps(network, scenes):
    return (tiny.maps(network, scenes) - 1).log()
''',
        },
    },
}
