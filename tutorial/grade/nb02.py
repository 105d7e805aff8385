"""Notebook 02: the schedule, the clean latent, the DDIM step, inversion."""
import torch

from minifaseg import ddim

from . import close, is_tensor, meaning, seeded, write_it_yourself

NEW = "your function changed its inputs; make new tensors (z = z - ..., not z -= ...)"


@write_it_yourself(ddim.alpha_bars)
def check_2_1(student):
    got = student.alpha_bars(4, 0.01, 0.04)                                 # roots of beta 0.1, 0.1333, 0.1667, 0.2
    is_tensor(got)
    roots = torch.tensor([3., 4, 5, 6]) / 30
    betas, equal, product = roots ** 2, torch.linspace(0.01, 0.04, 4), torch.cumprod
    abar = product(1 - betas, 0)
    longer = torch.linspace(0.1, 0.2, 5)
    rule = "roots of beta in equal steps from start to end, both included"
    close(got, abar, f"abar_t is the product of 1 - beta_i for i = 0 .. t; {rule}", mistakes={
        "these are the betas; abar_t is the product of all 1 - beta up to t": betas,
        "these are the roots of the betas; abar_t is the product of all 1 - beta up to t": roots,
        "these are 1 - beta of each step alone; abar_t multiplies all of them from 0 up to t": 1 - betas,
        "your betas grow in equal steps; in the scaled linear schedule their square roots do": product(1 - equal, 0),
        "your betas grow in equal steps, their square roots should; and abar_t multiplies all 1 - beta up to t": 1 - equal,
        "you multiply up 1 - sqrt(beta); square the equal steps first, they are roots of beta": product(1 - roots, 0),
        "the roots of the betas grow in equal steps from sqrt(start) to sqrt(end); yours go from start to end and are squared": product(1 - equal ** 2, 0),
        "you take the root twice: the equal steps are sqrt(beta), square them once": product(1 - roots.sqrt(), 0),
        "you multiply up the betas; it is 1 - beta that is multiplied": product(betas, 0),
        "you multiply up the betas; it is the product of 1 - beta, not 1 minus a product": 1 - product(betas, 0),
        "exp(-sum of the betas) is only near the product of 1 - beta": (-betas.cumsum(0)).exp(),
        "you add up the betas; it is the product of 1 - beta": 1 - betas.cumsum(0),
        "you add up 1 - beta; multiply: cumprod, not cumsum": (1 - betas).cumsum(0),
        "that is sqrt(abar_t), the weight of the picture; abar_t itself is asked for": abar.sqrt(),
        "that is the square of abar_t": abar ** 2,
        "that is 1 - abar_t, the noise's share; abar_t is the picture's": 1 - abar,
        "that is sqrt(1 - abar_t), the weight of the noise": (1 - abar).sqrt(),
        "that is log(abar_t); exp is missing": abar.log(),
        "abar_0 holds one step of noise, 1 - start; yours begins with 1, so everything comes a step late": torch.cat([torch.ones(1), abar[:-1]]),
        "one number for each of the steps; yours has a 1 before them": torch.cat([torch.ones(1), abar]),
        "the end is left out: the last beta is `end` itself": product(1 - longer[:-1] ** 2, 0),
        "the start is left out: the first beta is `start` itself": product(1 - longer[1:] ** 2, 0),
        "abar falls with t; yours is in reversed order": abar.flip(0),
        "the betas run from end to start: exchange the two": product(1 - betas.flip(0), 0),
        "the product runs from step 0 up to t; yours from t up to the last step": product((1 - betas).flip(0), 0).flip(0),
        "steps, start and end are all arguments; yours is Stable Diffusion's schedule whatever is asked for": ddim.ABAR[:4],
        "`steps` is how many betas there are; yours always makes 1000 and cuts them off": product(1 - torch.linspace(0.1, 0.2, 1000) ** 2, 0)[:4],
        "`start` and `end` are arguments; yours takes Stable Diffusion's": product(1 - torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 4) ** 2, 0),
        "the product of all steps is abar of the last one; a product for every t is asked for (cumprod, not prod)": abar[-1]})
    close(student.alpha_bars(1000, 0.00085, 0.012), ddim.ABAR, "Stable Diffusion's own schedule should come out")
    close(student.alpha_bars(50, 0.002, 0.3), product(1 - torch.linspace(0.002 ** 0.5, 0.3 ** 0.5, 50) ** 2, 0),
          "50 steps from 0.002 to 0.3: are steps, start and end all taken from the arguments?")
    with meaning("division by zero", "with a single step there is nothing between start and end: yours divides by steps - 1 = 0", ZeroDivisionError):
        single = student.alpha_bars(1, 0.02, 0.3)
    close(single, torch.tensor([0.98]), "a single step has beta = start")


def check_2_2(student):
    z0, noise, other = (2 * torch.randn(2, 4, 3, 5, generator=seeded(s)) for s in (1, 2, 3))
    for abar in (0.9, 0.25, 0.01):
        z = abar ** 0.5 * z0 + (1 - abar) ** 0.5 * noise
        root, noisy = abar ** 0.5, (1 - abar) ** 0.5
        for eps in (noise, other):
            inputs = z.clone(), eps.clone()
            got = student.clean(z, eps, abar)
            assert torch.equal(z, inputs[0]) and torch.equal(eps, inputs[1]), NEW
            close(got, (z - noisy * eps) / root, f"abar_t = {abar}: z_0 is (z_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)", 1e-4, {
                "only the noise is taken off; what is left is sqrt(abar_t) z_0, so divide by that root": z - noisy * eps,
                "z_t is divided by sqrt(abar_t), the noise is not; take the noise off first, then divide what is left": z / root - noisy * eps,
                "the noise is added; take it off: minus": (z + noisy * eps) / root,
                "roots are missing: the weights are sqrt(1 - abar_t) and sqrt(abar_t)": (z - (1 - abar) * eps) / abar,
                "the noise's weight is sqrt(1 - abar_t); its root is missing": (z - (1 - abar) * eps) / root,
                "divide by sqrt(abar_t); the root is missing": (z - noisy * eps) / abar,
                "what is left is sqrt(abar_t) z_0: divide by that root; yours multiplies": (z - noisy * eps) * root,
                "sqrt(abar_t) and sqrt(1 - abar_t) are exchanged: abar_t is the picture's share": (z - root * eps) / noisy,
                "divide by sqrt(abar_t), the picture's weight; yours divides by the noise's": (z - noisy * eps) / noisy,
                "the noise's weight is sqrt(1 - abar_t); yours is 1 - sqrt(abar_t)": (z - (1 - root) * eps) / root,
                "the noise's weight is sqrt(1 - abar_t); yours is sqrt(abar_t)": (z - root * eps) / root,
                "the noise has a weight, sqrt(1 - abar_t); yours takes it off as it is": (z - eps) / root,
                "the noise has a weight, sqrt(1 - abar_t), and what is left is divided by sqrt(abar_t)": z - eps,
                "the noise is not taken off": z / root,
                "that is the forward process: it noises z_t once more; solve it for z_0": root * z + noisy * eps,
                "sign turned: z_t minus the noise, not the noise minus z_t": (noisy * eps - z) / root,
                "all of z_t minus noise is divided by sqrt(abar_t); without brackets only the noise is": z - noisy * eps / root,
                "abar_t is an argument; yours takes the toy's 0.64": (z - 0.6 * eps) / 0.8,
                "take the noise as it is predicted; yours is standardised first": (z - noisy * (eps - eps.mean()) / eps.std()) / root,
                "do not clip: latents have no bounds": ((z - noisy * eps) / root).clamp(-1, 1), "do not clip, latents have no bounds": ((z - noisy * eps) / root).clamp(-3, 3)})


def ddim_step(z, eps, a, b):
    z0 = (z - (1 - a) ** 0.5 * eps) / a ** 0.5
    return b ** 0.5 * z0 + (1 - b) ** 0.5 * eps


@write_it_yourself(ddim.step)
def check_2_3(student):
    z0, noise, other = (2 * torch.randn(2, 4, 3, 5, generator=seeded(s)) for s in (4, 5, 6))
    at = lambda a: a ** 0.5 * z0 + (1 - a) ** 0.5 * noise
    same = lambda got, a, b: isinstance(got, torch.Tensor) and got.shape == z0.shape and torch.allclose(got, ddim_step(z0, other, a, b), atol=1e-4)
    up, down = student.ddim_step(z0, other, 0.8, 0.3), student.ddim_step(z0, other, 0.3, 0.8)
    either = "; either of abar_s and abar_t may be the larger: take them as they come"
    assert not (same(up, 0.8, 0.3) and same(down, 0.8, 0.3)), "yours always goes towards the noise, to the smaller abar" + either
    assert not (same(up, 0.3, 0.8) and same(down, 0.3, 0.8)), "yours always goes towards the picture, to the larger abar" + either
    for a, b, eps in ((0.8, 0.3, other), (0.2, 0.95, other), (0.8, 0.3, noise), (0.2, 0.95, noise)):
        z = at(a)
        inputs = z.clone(), eps.clone()
        got = student.ddim_step(z, eps, a, b)
        assert torch.equal(z, inputs[0]) and torch.equal(eps, inputs[1]), NEW
        is_tensor(got)
        assert torch.allclose(got, student.ddim_step(z, eps, a, b), rtol=0, atol=0, equal_nan=True), \
            "two calls with the same input differ; DDIM draws nothing at random, the noise that is put back is eps itself"
        from_z, from_a, from_b, to_b = (1 - a) ** 0.5 * eps, a ** 0.5, b ** 0.5, (1 - b) ** 0.5 * eps
        clean = (z - from_z) / from_a
        close(got, ddim_step(z, eps, a, b), f"the step from abar_s = {a} to abar_t = {b}: z_0 by abar_s, then sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps", 1e-4, {
            "s and t are swapped: solve for z_0 with abar_s, put it back with abar_t": ddim_step(z, eps, b, a),
            "do not clip z_0: latents have no bounds": from_b * clean.clamp(-1, 1) + to_b, "do not clip z_0, latents have no bounds": from_b * clean.clamp(-3, 3) + to_b,
            "all of z minus noise is divided by sqrt(abar_s); without brackets only the noise is": from_b * (z - from_z / from_a) + to_b,
            "that is DDPM's mean; the DDIM step goes to z_0 and puts it back at t, lines 2 and 3": (z - (1 - a / b) / (1 - a) ** 0.5 * eps) / (a / b) ** 0.5,
            "z_0 is put back at t without its noise: add sqrt(1 - abar_t) eps": from_b * clean,
            "that is z_0, line 2; the noise of t has still to be put back: line 3": clean,
            "the noise that is put back is that of t: sqrt(1 - abar_t); yours has that of s": from_b * clean + from_z,
            "z_0 is multiplied by sqrt(abar_t) when it is put back; yours has sqrt(abar_s)": from_a * clean + to_b,
            "z_0 is multiplied by sqrt(abar_t) when it is put back; yours is put back as it is": clean + to_b,
            "roots are missing where z_0 is put back: sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps": b * clean + (1 - b) * eps,
            "a root is missing where z_0 is put back: sqrt(abar_t)": b * clean + to_b,
            "a root is missing where the noise is put back: sqrt(1 - abar_t)": from_b * clean + (1 - b) * eps,
            "roots are missing where you solve for z_0: (z - sqrt(1 - abar_s) eps) / sqrt(abar_s)": from_b * (z - (1 - a) * eps) / a + to_b,
            "a root is missing where you solve for z_0: divide by sqrt(abar_s)": from_b * (z - from_z) / a + to_b,
            "a root is missing where you solve for z_0: the noise's weight is sqrt(1 - abar_s)": from_b * (z - (1 - a) * eps) / from_a + to_b,
            "no root anywhere: all four weights are roots": b * (z - (1 - a) * eps) / a + (1 - b) * eps,
            "z is at s already, not clean: take its noise off first, by abar_s": from_b * z + to_b,
            "z_0 is what is left, divided by sqrt(abar_s); the division is missing": from_b * (z - from_z) + to_b,
            "all of z minus noise is divided by sqrt(abar_s); yours divides z alone": from_b * (z / from_a - from_z) + to_b,
            "multiplied by sqrt(abar_s) where it is divided": from_b * (z - from_z) * from_a + to_b,
            "the noise of s is taken off: minus; yours adds it": from_b * (z + from_z) / from_a + to_b,
            "the noise of t is put back: plus; yours subtracts it": from_b * clean - to_b,
            "z_0 is solved for with abar_t, but z is at s: abar_s there": from_b * (z - to_b) / from_b + to_b,
            "the noise is taken off by abar_t, but z is at s: sqrt(1 - abar_s)": from_b * (z - to_b) / from_a + to_b,
            "divided by sqrt(abar_t), but z is at s: sqrt(abar_s)": from_b * (z - from_z) / from_b + to_b,
            "sqrt(abar) and sqrt(1 - abar) are exchanged at t": (1 - b) ** 0.5 * clean + from_b * eps,
            "that noises z by the ratio of both abars, as DDPM does; DDIM goes over z_0 and back along the same eps": (b / a) ** 0.5 * z + max(0, 1 - b / a) ** 0.5 * eps,
            "sqrt(abar_t / abar_s) z is right, but the noise that z has at s grows with it; take that off": (b / a) ** 0.5 * z + to_b})
    for s, t in ((0, 1), (1, 0), (300, 700), (999, 0)):
        a, b = ddim.ABAR[s].item(), ddim.ABAR[t].item()
        close(student.ddim_step(z0, noise, a, b), ddim.step(z0, noise, s, t), f"from timestep {s} to {t} of Stable Diffusion's schedule", 1e-4)
    there = student.ddim_step(z0, noise, 0.7, 0.4)
    close(student.ddim_step(there, noise, 0.4, 0.7), z0, "there and back along the same eps should return to the start", 1e-4)


@write_it_yourself(ddim.invert)
def check_2_4(student):
    z0 = torch.randn(2, 4, 3, 5, generator=seeded(6))
    abars, ts = torch.linspace(0.95, 0.05, 12), [2, 3, 7, 11]
    asked = []
    noise = lambda z, t: torch.sin((t + 1) * z)                              # depends on both, and not linearly

    def predict(z, t):
        asked.append((int(t), z.clone()))
        return noise(z, t)

    start, kept, rungs = z0.clone(), abars.clone(), list(ts)
    got = student.invert(predict, z0, abars, ts)
    assert torch.equal(z0, start), "your function changed z, which belongs to whoever called it; make a new tensor for each step"
    assert torch.equal(abars, kept) and ts == rungs, "your function changed abars or ts, which belong to whoever called it"
    assert got is not None, "nothing is returned; return the list of latents"
    assert not isinstance(got, torch.Tensor), "return a list of latents, one for each timestep, not only the last"
    assert isinstance(got, list), f"return a list of latents; yours is of type {type(got).__name__}"
    assert all(isinstance(z, torch.Tensor) for z in got), f"a list of latents alone; yours holds {type(got[0]).__name__}"
    assert len(got) != len(ts) + 1 or not torch.equal(got[0], start), "one latent too many: the list begins with the latent at ts[0], not with the clean one"
    assert len(got) != 1, "only one latent: one for each timestep is asked for; does the list begin anew in each step, or does `return` stand inside the loop?"
    assert len(got) == len(ts), f"one latent for each of the {len(ts)} timesteps; yours are {len(got)}"
    assert not torch.equal(got[0], start), "the list holds the latent before each step, and the last one is lost; append after the step"
    assert got[0].data_ptr() != got[1].data_ptr(), "the list holds the same tensor several times; make a new one in each step"

    times = [t for t, _ in asked]
    assert times != [0, *ts[:-1]], "the noise is predicted with the timestep a step comes from; take the one it goes to"
    assert times != [t - 1 for t in ts], "the noise is predicted with t - 1; take t, the timestep that the step goes to"
    assert times != list(range(len(ts))) and times != list(range(1, len(ts) + 1)), "the noise is predicted with the number of the step; take its timestep, ts[i]"
    assert times != ts[::-1], "inversion goes up: from the smallest timestep to the largest, in the order of ts"
    assert len(set(times)) > 1, "the noise is predicted with the same timestep in every step; take the one that the step goes to"
    assert times == ts, f"predict should be asked once for each step, at timesteps {ts}; yours asked at {times}"
    assert torch.equal(asked[0][1], start), "the first noise should be predicted on the clean latent z"
    assert not all(torch.equal(z, start) for _, z in asked), "every noise is predicted on the clean latent; the second step should start from what the first one made, and predict the noise on that"

    def ladder(abars=abars, first=None, source=lambda i, t: None, step=ddim_step, restart=False):
        z, a, all = z0, abars[0] if first is None else first, []
        for i, t in enumerate(ts):
            given = source(i, t)
            a = a if given is None else given
            z_t = step(z, noise(z, t), a, abars[t])
            all.append(z_t)
            z, a = z0 if restart else z_t, abars[t]
        return torch.stack(all)

    def no_noise(z, eps, a, b):
        return b ** 0.5 * (z - (1 - a) ** 0.5 * eps) / a ** 0.5

    mistakes = {
        "the first step starts at abars[0], which is less than 1": ladder(first=torch.tensor(1.0)),
        "every step starts at abars[0]; after the first one, s is the timestep before: keep it": ladder(source=lambda i, t: abars[0]),
        "every step starts at abars[t - 1]; timesteps have gaps, it is the one before in ts": ladder(source=lambda i, t: abars[t - 1]),
        "the first step starts at abars[0], timestep 0; yours starts at abars[ts[0]] and stands still": ladder(first=abars[ts[0]]),
        "every step starts from the clean latent; the second should start where the first one ended": ladder(restart=True),
        "abars is an argument; yours takes Stable Diffusion's schedule": ladder(abars=ddim.ABAR),
        "s and t are swapped in the step: solve for z_0 with abar_s, put it back with abar_t": ladder(step=lambda z, e, a, b: ddim_step(z, e, b, a)),
        "z_0 is put back at t without its noise: add sqrt(1 - abar_t) eps": ladder(step=no_noise),
        "that is the forward process from a latent that is not clean: take the noise of s off first": ladder(step=lambda z, e, a, b: b ** 0.5 * z + (1 - b) ** 0.5 * e),
        "the list holds the clean estimates; the latents at ts are asked for": ladder(step=lambda z, e, a, b: (z - (1 - a) ** 0.5 * e) / a ** 0.5),
        "roots are missing: the weights are sqrt(abar) and sqrt(1 - abar)": ladder(step=lambda z, e, a, b: b * (z - (1 - a) * e) / a + (1 - b) * e),
        "a root is missing where the noise is put back: sqrt(1 - abar_t)": ladder(step=lambda z, e, a, b: b ** 0.5 * (z - (1 - a) ** 0.5 * e) / a ** 0.5 + (1 - b) * e),
        "the noise of t is put back: plus; yours subtracts it": ladder(step=lambda z, e, a, b: no_noise(z, e, a, b) - (1 - b) ** 0.5 * e),
        "the noise that is put back is that of t, sqrt(1 - abar_t); yours has that of s": ladder(step=lambda z, e, a, b: no_noise(z, e, a, b) + (1 - a) ** 0.5 * e),
        "the latents are in reversed order: the first is the one at ts[0]": ladder().flip(0),
        "abars is indexed by timestep, abars[t]; yours takes the number of the step, counted from 0": ladder({0: abars[0]} | {t: abars[i] for i, t in enumerate(ts)}),
        "abars is indexed by timestep, abars[t]; yours takes the number of the step, counted from 1": ladder({0: abars[0]} | {t: abars[i + 1] for i, t in enumerate(ts)})}
    close(torch.stack(got), ladder(), "a step goes from the abar of the step before, abars[0] at first, to abars[t]: as in exercise 2.3", 1e-4, mistakes)

    class Network:                                                          # called as the package calls its UNet
        def __call__(self, z, t, text):
            return torch.tanh(z * t / 100)

    released = student.invert(lambda z, t: Network()(z, t, None), z0, ddim.ABAR, [1])
    close(released[0], list(ddim.invert(Network(), z0, None, [1]))[0][1], "the release's ladder [1], on Stable Diffusion's schedule", 1e-4)
    tall = student.invert(lambda z, t: Network()(z, t, None), z0, ddim.ABAR, range(50, 501, 50))
    close(tall[-1], list(ddim.invert(Network(), z0, None, range(50, 501, 50)))[-1][1], "ten steps up to t = 500", 1e-4)
    assert list(student.invert(predict, z0, abars, [])) == [], "no timesteps, no latents: an empty list"
