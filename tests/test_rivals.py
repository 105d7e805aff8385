"""Every rival equals its release's formulas written plainly, with loops, on diffusers' UNet; and what must hold whatever the weights.

The formulas here were found equal to what the released codes compute on a small random model, stage
by stage (DiffSegmenter b3a8686, iSeg 2e8fb32, DiffSeg 77ea596).
"""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import skip_text_in_float64
from PIL import Image

from minifaseg import InputError, ddim, label, make_method, segment
from minifaseg.bench import naive
from minifaseg.labelling import labels_of, pixel_scores
from minifaseg.model import load
from minifaseg.rivals.diffseg import aggregate, merge, symmetric_kl
from minifaseg.rivals.iseg import cluster, reduce_entropy

CLASSES = ("hot dog", "dog", "surfboard")
SIDES = (2, 4, 8, 16)                                                       # levels of a 128-pixel picture
NAMES = ["diffsegmenter", "iseg", "invseg", "datasetdiffusion", "diffseg", "goca"]


@pytest.fixture(scope="module")
def model(folder):
    skip_text_in_float64(torch.float64)
    model = load(folder, device="cpu", dtype=torch.float64)
    model.notes["side"] = 128
    return model


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def unet(authority):
    return authority[0].double()


@pytest.fixture(autouse=True)
def back_to_float32(authority):
    authority[0].double()
    yield
    authority[0].float()


def latents(model, picture, seed, timestep=None, sample=False):
    """The noised latent of a picture, and the draws in the order in which a method makes them."""
    generator = torch.Generator().manual_seed(seed)

    def draw():
        return torch.randn(1, 4, 16, 16, generator=generator).double()

    z = model.vae.encode(model.pixels(picture), draw() if sample else None)
    noise, a = draw(), ddim.ABAR[timestep].double() if timestep is not None else None
    return z if a is None else a.sqrt() * z + (1 - a).sqrt() * noise


def up(x, side, size, mode):
    return F.interpolate(x.reshape(1, 1, side, side), size=(size, size), mode=mode, **({} if mode == "nearest" else {"align_corners": False})).flatten()


def state_of(model, prompt):
    return model.text([prompt])


def tokens_of(model, prompt, name):
    ids, piece = model.text.ids(model.text.pieces(prompt)).tolist(), model.text.pieces(name)
    return next(list(range(i, i + len(piece))) for i in range(len(ids)) if ids[i:i + len(piece)] == piece)


def kl(x, y):
    return 0.5 * ((x - y) * (x.log() - y.log())).sum()


def at_pixels(x, size, mode="bilinear"):
    """A map (256,) on 16 x 16 cells at a picture's (width, height), by torch's own interpolation."""
    up = F.interpolate(x.reshape(1, 1, 16, 16).float(), size=size[::-1], mode=mode, align_corners=False)
    return up[0, 0]


def finished(method, captured, scores):
    """Labels and scores (K, H, W) at the picture's size, by the method's own ending."""
    return torch.from_numpy(labels_of(method, captured, scores)), pixel_scores(method, captured, scores)


# ---- DiffSegmenter -------------------------------------------------------------------------------
# name, its prompt, the tokens of its last word, the token that is looked up: its last piece
DIFFSEGMENTER = [("hot dog", "a photograph of hot dog", [5], 5),
                 ("dog", "a photograph of dog on a beach", [4], 4),
                 ("surfboard", "a photograph of surfboard", [4, 5], 5)]


def test_diffsegmenter_is_its_release(model, picture, unet):
    method = make_method("diffsegmenter", timesteps=(50, 150))
    captured = method.capture(model, picture, CLASSES, {"dog": "a photograph of dog on a beach"})
    ours = method.scores(captured)
    labels, scores = finished(method, captured, ours)
    expected = []
    for k, (name, prompt, raised, token) in enumerate(DIFFSEGMENTER):
        states, empty = state_of(model, prompt).clone(), state_of(model, "")
        for j in raised:
            states[0, j] = empty[0, j] + 1.1 ** 2 * (states[0, j] - empty[0, j])
        mean = 0
        for t in (50, 150):
            maps = naive.attention_maps(unet, latents(model, picture, 0, t, sample=True), t, states, states)
            x = 0
            for r, w in zip(SIDES, (.3, .5, .1, .1)):
                x = x + w * naive.normalise(up(maps[r * r, True][0][:, token], r, 16, "bilinear"))
            mean = mean + maps[256, False][0] @ x / 2
        assert (ours[k].flatten() - naive.normalise(mean)).abs().max() <= 1e-9
        expected.append(naive.normalise(at_pixels(naive.normalise(mean), (90, 120))))
    expected = torch.stack(expected)
    assert (scores - expected).abs().max() <= 1e-5
    background = torch.full_like(expected[:1], method.threshold)
    assert (labels == torch.cat([background, expected]).argmax(0)).float().mean() > 0.999


@pytest.mark.parametrize("name, caption, prompt, word", [
    ("TV monitor", "a photograph of tv monitor on a wall", "a photograph of tv monitor on a wall", [5]),
    ("cat", "a photograph of cat's ears", "a photograph of cat's ears", [4]),
    ("cat", "on a sofa", "a photograph of cat on a sofa", [4]),
    ("cat", ", asleep", "a photograph of cat, asleep", [4]),
    ("photograph", "", "a photograph of photograph", [4]),
    ("potted plant", None, "a photograph of potted plant", [5]),
    ("aeroplane", None, "a photograph of aeroplane", [4, 5]),               # aerop|lane
])
def test_diffsegmenter_continues_the_prompt(model, name, caption, prompt, word):
    """As the caption stands; the last word is raised, its last piece is looked up."""
    plain = make_method("diffsegmenter", weight=1.0).prompts(model.text, [name], {name: caption})
    assert torch.allclose(plain.states, state_of(model, prompt), atol=1e-12)
    assert plain.spans == [(0, word[-1:])]
    raised = make_method("diffsegmenter").prompts(model.text, [name], {name: caption})
    moved = (raised.states - plain.states)[0].abs().amax(1) > 1e-9
    assert moved.nonzero().flatten().tolist() == word


# ---- iSeg ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("keys_only", [False, True])
@pytest.mark.parametrize("layers, rounds", [((-2,), 8), ((), 2)])         # random layers agree on little: their mean is flat, rounding grows
def test_iseg_is_its_release(model, picture, unet, keys_only, layers, rounds):
    method = make_method("iseg", keys_only=keys_only, layers=layers, iterations=rounds, lam=0.2)
    captured = method.capture(model, picture, CLASSES)
    ours = method.scores(captured)
    labels, scores = finished(method, captured, ours)
    prompt = "a photograph of hot dog and dog and surfboard and other object and background"
    plain = state_of(model, prompt)
    spans = [tokens_of(model, prompt, "hot dog"), [tokens_of(model, prompt, "and dog")[-1]], tokens_of(model, prompt, "surfboard")]
    loud = plain.clone()
    loud[0, sum(spans, [])] *= 1.6
    z = latents(model, picture, 1101, 100)
    seen = plain if keys_only else loud
    maps = naive.attention_maps(unet, z, 100, seen, loud)
    stored = naive.stored(unet, z, 100, seen, loud)
    A = maps[256, False][0]
    if layers:
        A = [a for cross, a in stored if not cross and a.shape[2] == 256][-2][0].mean(0)
    P = torch.zeros_like(A)
    for q in range(256):
        for k in range(256):
            a = A[q, k] / A[:, k].max()
            P[q, k] = max(0.0, a + 0.2 * torch.log10(torch.e * a))
    P = P / P.sum(1, keepdim=True)
    # of the five 8 x 8 layers, which stand for SD's 32 x 32: the second on the way down, the first two on the way up
    fine = [a for cross, a in stored if cross and a.shape[2] == 64]
    assert len(fine) == 5
    cross = {4: maps[16, True][0], 8: torch.stack([a[0].mean(0) for a in fine[1:4]]).mean(0)}
    expected = []
    for i, span in enumerate(spans):
        x = 0
        for r, w in ((4, .7), (8, .3)):
            for j in span:
                c = cross[r][:, j]
                x = x + w * up(c / c.sum(), r, 16, "bilinear") / len(span)
        x = (x - x.min()) / (x - x.min()).sum()
        for _ in range(rounds):
            y = P @ x
            y = y - y.min()
            x = y / y.sum()
            assert x.min() == 0 and abs(x.sum() - 1) < 1e-12
        assert (ours[i].flatten() - naive.normalise(x)).abs().max() <= 1e-9
        large = naive.normalise(at_pixels(naive.normalise(x), (128, 128)))
        last = F.interpolate(large[None, None], size=(120, 90), mode="bilinear")[0, 0]
        expected.append((last - last.min()) / (last.max() - last.min() + 1e-6))
    expected = torch.stack(expected)
    assert (scores - expected).abs().max() <= 1e-5
    background = (1 - expected.max(0, keepdim=True).values) ** 2
    assert (labels == torch.cat([background, expected]).argmax(0)).float().mean() > 0.999


def test_iseg_entropy_step():
    """P is row-stochastic and sparser; lambda 0 leaves only the scaling; small entries go first; an emptied row is no NaN."""
    A = torch.randn(64, 64, dtype=torch.float64).mul(2).softmax(1)
    for lam in (0, 0.01, 0.3):
        assert torch.allclose(reduce_entropy(A, lam).sum(1), torch.ones(64, dtype=torch.float64))
    scaled = A / A.max(0).values
    assert torch.allclose(reduce_entropy(A, 0), scaled / scaled.sum(1, keepdim=True))
    P = reduce_entropy(A, 0.2)
    share = 0.107                                                           # published: entries under this share of their column's maximum vanish
    assert ((P == 0) == (scaled < share)).float().mean() > 0.999
    assert torch.isfinite(reduce_entropy(A, 50.0)).all()


def test_iseg_background_rule():
    """threshold 0.382 is the code's rule: background where (1 - max s)^2 is the largest."""
    s = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = torch.cat([(1 - s.max(0, keepdim=True).values) ** 2, s]).argmax(0)
    assert np.array_equal(label(s, (16, 16), make_method("iseg").threshold), expected.numpy())


def test_iseg_clusters_as_released():
    """Seeds on every int(16 / sqrt(8)) = 5th row and column; the divergence in float16, 1e-5 added;
    a cluster that nobody joins is dropped."""
    torch.manual_seed(0)
    C = torch.randn(16, 16, 9).mul(2).softmax(-1)
    C[5, 5] = C[0, 0]                                                       # the second of two equal seeds stays empty
    C = C.flatten(0, 1)

    def halves(row):
        return row.half() + 1e-5

    centres = [C[y * 16 + x] for y in (0, 5, 10, 15) for x in (0, 5, 10, 15)]
    for _ in range(20):
        own = []
        for row in C:
            a, found = halves(row), []
            for centre in centres:
                b = halves(centre)
                found.append(((a * (a.log() - b.log())).sum() + (b * (b.log() - a.log())).sum()).item() / 2)
            own.append(min(range(len(centres)), key=found.__getitem__))
        centres = [torch.stack([row for row, o in zip(C, own) if o == i]).mean(0) for i in sorted(set(own))]
        own = [sorted(set(own)).index(o) for o in own]
    assert len(centres) < 16
    ours = cluster(C, (16, 16), 8)
    equal = (ours - torch.stack([centres[o] for o in own])).abs().amax(1) < 1e-6
    assert equal.float().mean() > 0.99


# ---- Dataset Diffusion ---------------------------------------------------------------------------
def test_datasetdiffusion_is_its_release(model, picture, unet):
    method = make_method("datasetdiffusion", timesteps=(100, 400))
    captured = method.capture(model, picture, CLASSES, "a beach")
    ours = method.scores(captured)
    labels, scores = finished(method, captured, ours)
    listed = "hot dog dog surfboard"
    maps = [naive.attention_maps(unet, latents(model, picture, 1111, t), t, state_of(model, f"a beach ; {listed}"), state_of(model, listed)) for t in (100, 400)]
    A, C = ((m[0][key][0] + m[1][key][0]) / 2 for m, key in ((maps, (64, False)), (maps, (16, True))))
    power = torch.linalg.matrix_power(A, 4)
    spans = [tokens_of(model, listed, "hot dog"), [tokens_of(model, listed, "dog dog")[-1]], tokens_of(model, listed, "surfboard")]
    for k, span in enumerate(spans):
        expected = naive.normalise(power @ up(C[:, span].mean(1), 4, 8, "bicubic"))
        assert (ours[k].flatten() - expected).abs().max() <= 1e-9
    large = F.interpolate(ours[None].float(), size=(120, 90), mode="bicubic")[0]
    best, own = large.max(0)
    assert torch.equal(scores, large)
    assert torch.equal(labels, torch.where(best < 0.5, 0, torch.where(best < 0.6, 255, own + 1)).byte())


def test_uncertain_pixels_are_255():
    s = torch.tensor([[[0.2, 0.55, 0.7]], [[0.3, 0.1, 0.59]]])
    assert label(s, (3, 1), 0.5, 0.6).tolist() == [[0, 255, 1]]
    assert label(s, (3, 1), 0.5).tolist() == [[0, 1, 1]]


# ---- DiffSeg -------------------------------------------------------------------------------------
def test_diffseg_aggregates_as_released(model, picture, unet):
    method = make_method("diffseg")
    captured = method.capture(model, picture)
    maps = naive.attention_maps(unet, latents(model, picture, 0), 300, state_of(model, ""), state_of(model, ""))
    expected = torch.zeros(256, 256, dtype=torch.float64)
    for r, rho in zip(SIDES, (1, 2, 4, 8)):
        for q in range(256):
            row = up(maps[r * r, False][0][(q // 16 * r // 16) * r + q % 16 * r // 16], r, 16, "bilinear")
            expected[q] += rho / 15 * row / row.sum()
    ours = aggregate(captured, method.levels)
    assert (ours - expected).abs().max() <= 1e-9 and torch.allclose(ours.sum(1), torch.ones(256, dtype=torch.float64))


def test_symmetric_kl_equals_the_sum():
    x, y = (torch.randn(n, 40, generator=torch.Generator().manual_seed(n), dtype=torch.float64).softmax(1) for n in (5, 7))
    assert torch.allclose(symmetric_kl(x, y), torch.stack([torch.stack([kl(a, b) for b in y]) for a in x]), atol=1e-14)


def test_merge_equals_the_plain_loops():
    """64 x 64 cells would be slow in loops: 16 x 16 cells, 8 anchors a side, a limit at which some merge and some do not."""
    torch.manual_seed(0)
    centres = torch.randn(6, 256, dtype=torch.float64).mul(1.5)
    maps = (centres[torch.arange(256) // 43] + 0.8 * torch.randn(256, 256, dtype=torch.float64)).softmax(1)
    tau = (0.9, 0.5, 0.3)
    found = [torch.stack([m for m in maps if kl(maps[y * 16 + x], m) < tau[0]]).mean(0) for y in range(0, 16, 2) for x in range(0, 16, 2)]
    for limit in tau[1:]:
        matched, merged = set(), []
        for i, p in enumerate(found):
            if i not in matched:
                near = [j for j, q in enumerate(found) if kl(p, q) < limit]
                matched.update(near)
                merged.append(torch.stack([found[j] for j in near]).mean(0))
        found = merged
    found = torch.stack(found)
    found = found[found.argmax(0).unique()]                                 # those that are highest somewhere
    proposals = merge(maps, (16, 16), tau, anchors=8)
    assert 1 < len(found) < 64 and torch.allclose(proposals.flatten(1), found, atol=1e-14)


def test_merge_of_one_map_is_one_segment():
    assert len(merge(torch.full((256, 256), 1 / 256), (16, 16), (1.1,) * 3)) == 1


def test_diffseg_takes_the_highest_proposal_of_each_pixel(model, picture):
    """Proposals are interpolated, not the masks of cells."""
    method = make_method("diffseg", tau=(0.05,) * 3)
    captured = method.capture(model, picture)
    proposals = merge(aggregate(captured, method.levels), (16, 16), method.tau)
    labels, scores = finished(method, captured, method.scores(captured))
    large = F.interpolate(proposals[None].float(), size=(120, 90), mode="bilinear")[0]
    assert len(proposals) > 1 and torch.equal(labels, large.argmax(0).byte() + 1)


def test_anchors_stand_where_the_release_puts_them():
    """On 64 x 64 cells rows and columns 1, 5, ..., 61: with one distinct map at each of those cells and nothing merged, each is found."""
    maps = torch.full((4096, 4096), 1e-6)
    own = [y * 64 + x for y in range(1, 62, 4) for x in range(1, 62, 4)]
    maps[own, own] = 1
    maps = maps / maps.sum(1, keepdim=True)
    proposals = merge(maps, (64, 64), (1e-3,) * 3).flatten(1)
    owner = proposals.argmax(0)
    assert (owner.bincount() == 1).sum() >= 255                             # the cells between all belong to one of them


def test_diffseg_names_segments_by_vote(model, picture):
    """As the release's demo: cross-attention bilinear to the model's size, of length 1, its mean in each segment."""
    method = make_method("diffseg", tau=(0.05,) * 3)
    captured = method.capture(model, picture, CLASSES)
    scores = method.scores(captured)
    proposals = merge(aggregate(captured, method.levels), (16, 16), method.tau)
    segments = F.interpolate(proposals[None].float(), size=(128, 128), mode="bilinear")[0].argmax(0)
    assert len(segments.unique()) > 1
    votes = torch.zeros(3, 128, 128)
    for k, (g, tokens) in enumerate(captured.lookup.spans):
        x = 0
        for grid in captured.grids:
            c = captured.cross_map(grid, captured.lookup.states)[0, g][:, tokens].mean(-1)
            x = x + 0.25 * F.interpolate(c.reshape(1, 1, *grid).float(), size=(128, 128), mode="bilinear")[0, 0]
        x = x / x.square().sum().sqrt()
        for i in segments.unique():
            votes[k][segments == i] = x[segments == i].mean()
    assert (scores - votes / votes.max()).abs().max() <= 1e-5
    labels, _ = finished(method, captured, scores)
    nearest = F.interpolate(scores[None], size=(120, 90), mode="nearest-exact")[0]
    assert torch.equal(labels, nearest.argmax(0).byte() + 1)


# ---- InvSeg, leave-out, all ----------------------------------------------------------------------
def test_invseg_loss_equals_its_formula(model, picture):
    """The loss of methods' reconstruction with loops over classes and cells; and moving the text states alone lowers it."""
    method = make_method("invseg", steps=12, anchor=0.3)
    captured = method.capture(model, picture, CLASSES)
    assert len(captured.lookup.spans) == 4                                  # and "background"
    A = captured.self_map((16, 16))
    M = method.maps(captured, captured.lookup)
    S = torch.stack([symmetric_kl(a, a) for a in A])
    clustering, mean = 0, (M[0] + M[1].reshape(16, 16, 4).flip(1).reshape(256, 4)) / 2
    for b in range(2):
        D = torch.stack([sum(M[b, q, c] * S[b, :, q] for q in range(256)) / M[b, :, c].sum() for c in range(4)], 1)
        for c in range(4):
            sure = [p for p in range(256) if M[b, p, c] >= 0.3]
            for p in sure:
                a = M[b, p, c] / sum(M[b, q, c] for q in sure)
                clustering = clustering + a * (D[p, c] - sum(D[p, o] for o in range(4) if o != c) / 3) / 4 / 2
    entropy = -(mean * mean.log()).sum() / 256
    assert abs(method.loss(S, M, (16, 16)) - (clustering + 0.5 * entropy)) <= 1e-9
    lookup, losses = method.invert(captured)
    assert losses[-1] < losses[0] - 1e-3 and not torch.equal(lookup.states, captured.lookup.states)


def test_leave_out_asks_for_every_class(model, picture):
    """The rise of the error, call by call; a softness beyond all measure asks nothing."""
    method = make_method("leaveout", times=(50, 300), draws=3, tau=1)
    captured = method.capture(model, picture, CLASSES, "a field")
    z = model.vae.encode(model.pixels(picture))
    noise = torch.randn(3, *z.shape[1:], generator=torch.Generator().manual_seed(0)).to(z)
    rise = torch.zeros(3, *z.shape[2:], dtype=z.dtype)
    for t in (50, 300):
        abar = ddim.ABAR[t].item()

        def error(prompt):
            total = 0
            for eps in noise:
                noisy = abar ** 0.5 * z + (1 - abar) ** 0.5 * eps[None]
                predicted = model.unet(noisy, t, model.text([prompt]))
                total = total + ((predicted - eps) ** 2)[0].mean(0)
            return total / 3

        whole = error("a field ; hot dog, dog, surfboard")
        for k, without in enumerate(("dog, surfboard", "hot dog, surfboard", "hot dog, dog")):
            rise[k] += (error(f"a field ; {without}") - whole) / whole.mean() / 2
    assert (captured.rise - rise).abs().max() <= 1e-9
    s = make_method("faseg", tau=1).scores(captured)
    ours = method.scores(captured)
    for k in range(3):
        claim = [max(v, 0) ** 4 for v in s[k].flatten().tolist()]
        e = sum(a * b for a, b in zip(claim, rise[k].flatten().tolist())) / sum(claim)
        assert (ours[k] - s[k] / (1 + math.exp(-1 - e / 0.05))).abs().max() <= 1e-9
    soft = make_method("leaveout", tau=1, softness=1e12).scores(captured)
    assert (soft - s / (1 + math.exp(-1))).abs().max() <= 1e-9


@pytest.mark.parametrize("name", [*NAMES, "leaveout", "wordings"])
def test_every_rival_segments(name, model, picture):
    """Labels at the picture's own size, the same twice, numbers checked, background everywhere above the highest score."""
    a, b = (segment(picture, CLASSES, model, method=name) for _ in range(2))
    assert a.labels.shape == (120, 90) and a.labels.dtype == np.uint8 and a.classes == CLASSES and np.array_equal(a.labels, b.labels)
    assert set(np.unique(a.labels)) <= {0, 1, 2, 3, 255} and np.isfinite(a.scores).all()
    assert not label(a.grid_scores, (90, 120), 2.0).any()
    with pytest.raises(InputError, match="has no number called"):
        segment(picture, CLASSES, model, method=name, no_such_number=1)


@pytest.mark.parametrize("name", ["diffseg", "iseg"])
def test_segments_without_classes(name, model, picture):
    result = segment(picture, (), model, method=name)
    assert result.classes[0] == "segment 1" and set(np.unique(result.labels)) == set(range(1, len(result.classes) + 1))


def test_classes_are_needed_by_the_others(model, picture):
    with pytest.raises(InputError, match="no class"):
        segment(picture, (), model, method="diffsegmenter")
