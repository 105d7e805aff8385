"""Notebook 02: the schedule, the clean latent, the DDIM step, inversion."""
import torch

from minifaseg import ddim

from . import close, seeded


def check_2_1(student):
    got = student.alpha_bars(4, 0.01, 0.04)                                 # roots of beta 0.1, 0.1333, 0.1667, 0.2
    assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
    assert got.shape == (4,), f"one number for each of the 4 steps: the shape should be (4,), yours is {tuple(got.shape)}"
    roots = torch.tensor([3., 4, 5, 6]) / 30
    want = torch.cumprod(1 - roots ** 2, 0)
    if torch.allclose(got.float(), roots ** 2, atol=1e-6):
        raise AssertionError("these are the betas; abar_t is the product of all 1 - beta up to t")
    if torch.allclose(got.float(), 1 - roots ** 2, atol=1e-6):
        raise AssertionError("these are 1 - beta of each step alone; abar_t multiplies all of them from 0 up to t")
    if torch.allclose(got.float(), torch.cumprod(1 - torch.linspace(0.01, 0.04, 4), 0), atol=1e-6):
        raise AssertionError("your betas grow in equal steps; in the scaled linear schedule their square roots do")
    if torch.allclose(got.float(), torch.cumprod(1 - roots, 0), atol=1e-6):
        raise AssertionError("you multiply up 1 - sqrt(beta); square the equal steps first, they are roots of beta")
    assert abs(got[0].item() - 0.99) < 1e-5, f"abar_0 holds one step of noise: 1 - start = 0.99, yours is {got[0].item():.4f}"
    close(got, want, "abar_t is the product of 1 - beta_i for i = 0 .. t; roots of beta in equal steps from start to end, both included")
    close(student.alpha_bars(1000, 0.00085, 0.012), ddim.ABAR, "Stable Diffusion's own schedule should come out")
    close(student.alpha_bars(50, 0.002, 0.3), torch.cumprod(1 - torch.linspace(0.002 ** 0.5, 0.3 ** 0.5, 50) ** 2, 0),
          "50 steps from 0.002 to 0.3: are steps, start and end all taken from the arguments?")


def check_2_2(student):
    z0, noise = torch.randn(2, 4, 3, 5, generator=seeded(1)), torch.randn(2, 4, 3, 5, generator=seeded(2))
    for abar in (0.9, 0.25, 0.01):
        z_t = abar ** 0.5 * z0 + (1 - abar) ** 0.5 * noise
        inputs = z_t.clone(), noise.clone()
        got = student.clean(z_t, noise, abar)
        assert torch.equal(z_t, inputs[0]) and torch.equal(noise, inputs[1]), "your function changed its inputs; make new tensors (z = z - ..., not z -= ...)"
        assert got is None or got.shape != z_t.shape or not torch.allclose(got, z_t - (1 - abar) ** 0.5 * noise, atol=1e-5), \
            "only the noise is taken off; what is left is sqrt(abar_t) z_0, so divide by that root"
        assert got is None or got.shape != z_t.shape or not torch.allclose(got, z_t / abar ** 0.5 - (1 - abar) ** 0.5 * noise, atol=1e-5), \
            "z_t is divided by sqrt(abar_t), the noise is not; take the noise off first, then divide what is left"
        close(got, z0, f"z_0 noised to abar_t = {abar} should come back from its true noise, by (z_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)", 1e-4)
    other = torch.randn(2, 4, 3, 5, generator=seeded(3))
    close(student.clean(z_t, other, 0.01), (z_t - 0.99 ** 0.5 * other) / 0.1, "with a wrong prediction the formula is the same: (z_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)")


def check_2_3(student):
    z0, noise = torch.randn(2, 4, 3, 5, generator=seeded(4)), torch.randn(2, 4, 3, 5, generator=seeded(5))
    at = lambda a: a ** 0.5 * z0 + (1 - a) ** 0.5 * noise
    for a, b in ((0.8, 0.3), (0.2, 0.95)):
        z = at(a)
        inputs = z.clone(), noise.clone()
        got = student.ddim_step(z, noise, a, b)
        assert torch.equal(z, inputs[0]) and torch.equal(noise, inputs[1]), "your function changed its inputs; make new tensors (z = z - ..., not z -= ...)"
        if isinstance(got, torch.Tensor) and got.shape == z.shape:
            assert not torch.allclose(got, b ** 0.5 * z0, atol=1e-4), "z_0 is put back at t without its noise: add sqrt(1 - abar_t) eps"
            assert torch.equal(got, student.ddim_step(z, noise, a, b)), \
                "two calls with the same input differ; DDIM draws nothing at random, the noise that is put back is eps itself"
            swapped = a ** 0.5 * (z - (1 - b) ** 0.5 * noise) / b ** 0.5 + (1 - a) ** 0.5 * noise
            assert not torch.allclose(got, swapped, atol=1e-4), "s and t are swapped: solve for z_0 with abar_s, put it back with abar_t"
        close(got, at(b), f"with the true noise, the step from abar {a} to {b} should land where the forward process does", 1e-4)
    for s, t in ((0, 1), (1, 0), (300, 700), (999, 0)):
        a, b = ddim.ABAR[s].item(), ddim.ABAR[t].item()
        close(student.ddim_step(z0, noise, a, b), ddim.step(z0, noise, s, t), f"from timestep {s} to {t} of Stable Diffusion's schedule", 1e-4)
    there = student.ddim_step(z0, noise, 0.7, 0.4)
    close(student.ddim_step(there, noise, 0.4, 0.7), z0, "there and back along the same eps should return to the start", 1e-4)


def check_2_4(student):
    z0 = torch.randn(2, 4, 3, 5, generator=seeded(6))
    abars, ts = torch.linspace(0.95, 0.05, 12), [2, 3, 7, 11]
    asked = []

    def predict(z, t):
        asked.append((int(t), z.clone()))
        return torch.sin((t + 1) * z)                                       # depends on both, and not linearly

    start = z0.clone()
    got = student.invert(predict, z0, abars, ts)
    assert torch.equal(z0, start), "your function changed z, which belongs to whoever called it; make a new tensor for each step"
    assert got is not None, "nothing is returned; return the list of latents"
    assert not isinstance(got, torch.Tensor), "return a list of latents, one for each timestep, not only the last"
    got = list(got)
    times = [t for t, _ in asked]
    assert len(got) != len(ts) + 1, "one latent too many: the list begins with the latent at ts[0], not with the clean one"
    assert len(got) == len(ts), f"one latent for each of the {len(ts)} timesteps; yours are {len(got)}"
    assert times != [0, *ts[:-1]], "the noise is predicted with the timestep a step comes from; take the one it goes to"
    assert times == ts, f"predict should be asked once for each step, at timesteps {ts}; yours asked at {times}"
    assert torch.equal(asked[0][1], start), "the first noise should be predicted on the clean latent z"
    assert not all(torch.equal(z, start) for _, z in asked), "every noise is predicted on the clean latent; the second should see what the first step made"
    assert len(got) < 2 or got[0].data_ptr() != got[1].data_ptr(), "the list holds the same tensor several times; make a new one in each step"

    a, b = abars[0], abars[ts[0]]
    eps = torch.sin((ts[0] + 1) * z0)
    from_one = b ** 0.5 * z0 + (1 - b) ** 0.5 * eps
    assert got[0].shape != z0.shape or not torch.allclose(got[0], from_one, atol=1e-5), "the first step starts at abars[0], which is less than 1"
    z, a, want = z0, abars[0], []
    for t in ts:
        eps, b = torch.sin((t + 1) * z), abars[t]
        z = b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5 + (1 - b) ** 0.5 * eps
        want.append(z)
        a = b
    for i, (g, w) in enumerate(zip(got, want)):
        close(g, w, f"the latent at t = {ts[i]} (step {i + 1} of {len(ts)}): a step goes from the abar of the step before to abars[t]", 1e-4)

    class Network:                                                          # called as the package calls its UNet
        def __call__(self, z, t, text):
            return torch.tanh(z * t / 100)

    released = student.invert(lambda z, t: Network()(z, t, None), z0, ddim.ABAR, [1])
    close(released[0], list(ddim.invert(Network(), z0, None, [1]))[0][1], "the release's ladder [1], on Stable Diffusion's schedule", 1e-4)
    tall = student.invert(lambda z, t: Network()(z, t, None), z0, ddim.ABAR, range(50, 501, 50))
    close(tall[-1], list(ddim.invert(Network(), z0, None, range(50, 501, 50)))[-1][1], "ten steps up to t = 500", 1e-4)
    assert list(student.invert(predict, z0, abars, [])) == [], "no timesteps, no latents: an empty list"
