"""Every step of FA-Seg equals its formula written plainly, and the invariants that need no weights."""
import numpy as np
import pytest
import torch
from conftest import relative_error, skip_text_in_float64
from PIL import Image

from minifaseg import InputError, ddim, hard, label, make_method, segment, ttf
from minifaseg.attention import QK, apply_attention, mean_map
from minifaseg.bench import naive
from minifaseg.labelling import minmax_at, upsample, upsample_strip
from minifaseg.methods import parse_method
from minifaseg.model import load
from minifaseg.prompts import class_maps, class_prompts, clean_classes, find_spans, image_prompt

CLASSES = ("hot dog", "dog", "surfboard", "aeroplane")


@pytest.fixture(scope="module", params=[torch.float64, torch.float32], ids=["float64", "float32"])
def model(folder, request):
    skip_text_in_float64(request.param)
    model = load(folder, device="cpu", dtype=request.param)
    model.notes["side"] = 128                                               # 16 x 16 latents: levels 2, 4, 8, 16
    return model


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8))


# ---- ddim ---------------------------------------------------------------------------------------------------------------------------
def test_alphas_equal_diffusers():
    from diffusers import DDIMScheduler
    theirs = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    assert torch.equal(ddim.ABAR, theirs.alphas_cumprod)


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_step_equals_diffusers(dtype, bound):
    """Down the ladder with their scheduler. 1e-6 in float64: their alphas are float32 numbers and their roots are taken in float32."""
    from diffusers import DDIMScheduler
    theirs = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False)
    theirs.set_timesteps(10)
    torch.manual_seed(0)
    z = zt = torch.randn(1, 4, 8, 8, dtype=dtype)
    ts = theirs.timesteps.tolist()
    for s, t in zip(ts, [*ts[1:], 0]):
        eps = torch.randn_like(z)
        z, zt = ddim.step(z, eps, s, t), theirs.step(eps, s, zt).prev_sample
        assert relative_error(z, zt) <= bound


def test_release_inversion_is_a_nudge():
    """abar_0 -> abar_1: coefficients 0.999573 and 0.012137; equal timesteps are the identity; a step and its way back cancel."""
    z, eps = torch.randn(2, 4, 8, 8, dtype=torch.float64), torch.randn(2, 4, 8, 8, dtype=torch.float64)
    (t, out), = ddim.invert(lambda z, t, text: eps, z, None, ddim.inversion_timesteps(1, 1))
    assert t == 1 and torch.allclose(out, 0.999573 * z + 0.012137 * eps, atol=2e-6, rtol=1e-6)
    assert torch.allclose(ddim.step(z, eps, 500, 500), z, atol=1e-12)
    assert torch.allclose(ddim.step(ddim.step(z, eps, 3, 700), eps, 700, 3), z, atol=1e-10)


def test_ladders():
    assert ddim.inversion_timesteps(300, 3) == [100, 200, 300] and ddim.inversion_timesteps(1, 1) == [1] and ddim.inversion_timesteps(1, 0) == []
    assert ddim.inversion_timesteps(999, 50)[-1] == 999 and len(set(ddim.inversion_timesteps(999, 50))) == 50
    for bad in ((1000, 1), (-1, 1), (5, 6)):
        with pytest.raises(InputError):
            ddim.inversion_timesteps(*bad)


def test_inversion_and_sampling_return():
    """With a noise prediction that depends on z only a little, going up and down again ends where it began; more steps, closer."""
    torch.manual_seed(0)
    z, m = torch.randn(1, 4, 8, 8, dtype=torch.float64), torch.randn(8, 8, dtype=torch.float64) / 8
    unet = lambda z, t, text: torch.tanh(z @ m)
    errors = []
    for n in (5, 50):
        up = list(ddim.invert(unet, z, None, ddim.inversion_timesteps(500, n)))
        down = list(ddim.sample(unet, up[-1][1], None, ddim.inversion_timesteps(500, n)[::-1]))
        assert [t for t, _ in down] == [*ddim.inversion_timesteps(500, n)[:-1][::-1], 0]
        errors.append((down[-1][1] - z).abs().max().item())
    assert errors[1] < errors[0] / 3 and errors[1] < 0.1


# ---- attention ----------------------------------------------------------------------------------------------------------------------
@torch.no_grad()
def test_capturing_changes_no_bit_and_sees_every_layer(model):
    torch.manual_seed(0)
    z, text, record = torch.randn(2, 4, 16, 16, dtype=model.dtype), torch.randn(2, 77, 32, dtype=model.dtype), {}
    assert torch.equal(model.unet(z, 1, text), model.unet(z, 1, text, record))
    assert len(record) == 32 and list(record) == list(model.unet.attention_layers())
    assert record["middle_block.1.transformer_blocks.0.attn2"].grid == (2, 2)
    per_level = [sum(qk.grid == (r, r) for p, qk in record.items() if p.endswith("attn1")) for r in (2, 4, 8, 16)]
    assert per_level == [1, 5, 5, 5]


def random_layers(dtype=torch.float64, n=36, m=36, heads=3, layers=2, views=2):
    torch.manual_seed(0)
    return [QK(torch.randn(views, heads, n, 8, dtype=dtype), torch.randn(views, heads, m, 8, dtype=dtype), (6, n // 6)) for _ in range(layers)]


def test_mean_map_is_the_formula(monkeypatch):
    layers = random_layers()
    plain = torch.stack([(q @ k.transpose(-1, -2) / 8 ** 0.5).softmax(-1).mean(1) for q, k, _ in layers]).mean(0)
    assert torch.allclose(mean_map(layers), plain, atol=1e-14)
    monkeypatch.setattr("minifaseg.attention.BLOCK", 7 * 3 * 36)            # seven rows at a time
    assert torch.allclose(mean_map(layers), plain, atol=1e-14)
    assert torch.allclose(mean_map(layers).sum(-1), torch.ones(2, 36, dtype=torch.float64))
    assert mean_map(random_layers(torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize("classes", [1, 8, 19])
def test_walk_is_the_map_times_x(classes):
    layers, x = random_layers(), torch.rand(2, 36, classes, dtype=torch.float64)
    assert torch.allclose(apply_attention(layers, x), mean_map(layers) @ x, atol=1e-12)


# ---- prompts ------------------------------------------------------------------------------------------------------------------------
def test_spans_take_the_longest_name_first():
    ids = [9, 1, 2, 7, 2, 7, 3, 10, 10]                                     # <start> hot dog , dog , 3 <end> <end>
    assert find_spans(ids, [[2], [1, 2], [3], [4]]) == [[4], [1, 2], [6], None]
    assert find_spans([9, 5, 5, 10], [[5], [5]]) == [[1], [2]]


def test_every_benchmark_name_is_found(model):
    names = ("aeroplane", "surfboard", "computer", "fire hydrant", "bedclothes", "potted plant", "dining table", "tv monitor", "hot dog",
             "dog", "teddy bear", "bear", "bed", "train")
    look = class_prompts(model.text, names)
    for name, (g, span) in zip(names, look.spans):
        ids = model.text.ids(sum(([*model.text.pieces(n), *model.text.pieces(",")] for n in names), [])[:-1])
        assert g == 0 and ids[span].tolist() == model.text.pieces(name)
    assert len(look.spans[0][1]) == 2                                       # aerop|lane
    assert len({i for _, span in look.spans for i in span}) == sum(len(model.text.pieces(n)) for n in names)


@torch.no_grad()
def test_two_hundred_classes_one_pass(model, picture):
    """Class lists longer than 77 tokens take several class prompts, and not one UNet call more."""
    calls, forward = [], model.unet.forward
    model.unet.forward = lambda *a, **k: calls.append(1) or forward(*a, **k)
    try:
        names = tuple(f"thing number {a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghij")
        how = make_method("faseg")
        captured = how.capture(model, picture, names)
        scores = how.scores(captured)
    finally:
        del model.unet.forward
    assert len(calls) == 2 and scores.shape == (200, 16, 16)                # one for the inversion, one for the attention
    assert len(captured.lookup.states) > 5 and scores.isfinite().all()
    g, span = captured.lookup.spans[150]                                    # and each is the class of its own prompt
    x = captured.cross_map((4, 4), captured.lookup.states)[:, g, :, span].mean(-1)
    assert torch.equal(class_maps(captured.cross_map((4, 4), captured.lookup.states), captured.lookup)[..., 150], x)


@torch.no_grad()
def test_class_prompt_never_touches_the_picture(model, picture):
    how, caption = make_method("faseg"), "some words"
    a = how.capture(model, picture, CLASSES, caption)
    other = class_prompts(model.text, ("zebra", "moon"))
    before = {p: qk.q.clone() for p, qk in a.record.items()}
    assert how.scores(a, other).shape == (2, 16, 16)
    assert all(torch.equal(before[p], a.record[p].q) for p in before)
    single = make_method("faseg", dual=False).capture(model, picture, CLASSES, caption)
    assert all(torch.equal(before[p], single.record[p].q) for p in before)  # P alone decides what the UNet sees
    grid = a.grids[1]                                                       # and looking P itself up gives the maps the UNet used
    used = mean_map(list(a.at(grid, "attn2").values()))
    assert torch.allclose(a.cross_map(grid, single.lookup.states)[:, 0], used, atol=1e-6)


def test_alone_gives_every_class_its_own_prompt(model):
    look = class_prompts(model.text, CLASSES, alone=True)
    assert len(look.states) == 4 and [g for g, _ in look.spans] == [0, 1, 2, 3]
    assert all(span == list(range(1, 1 + len(span))) for _, span in look.spans)


def test_class_lists():
    assert clean_classes("cat,  hot   dog ") == ("cat", "hot dog")
    for bad, word in (([], "no class"), (["cat", " "], "empty"), (["cat", "Cat"], "twice"), ([str(i) for i in range(255)], "254")):
        with pytest.raises(InputError, match=word):
            clean_classes(bad)


def test_long_names_and_captions(model):
    with pytest.raises(InputError, match="tokens long"):
        class_prompts(model.text, ("cat", "word " * 80))
    with pytest.warns(UserWarning, match="tokens"):
        prompt = image_prompt(model.text, CLASSES, "word " * 80)
    with pytest.raises(InputError, match="dual"):
        class_maps(torch.rand(1, 1, 4, 77), prompt)


# ---- hard, ttf, faseg ---------------------------------------------------------------------------------------------------------------
@torch.no_grad()
def test_faseg_equals_the_release_written_plainly(model, authority, picture):
    from diffusers import DDIMScheduler
    theirs = authority[0].to(model.dtype)
    how = make_method("faseg")
    ours = how.scores(how.capture(model, picture, CLASSES, "two things on a table"))

    x = torch.from_numpy(np.array(picture.resize((128, 128), Image.BICUBIC))).permute(2, 0, 1)[None].to(model.dtype) / 127.5 - 1
    q = authority[1].to(model.dtype).encode(torch.cat([x, x.flip(-1)])).latent_dist
    noise = torch.randn(q.mean.shape, generator=torch.Generator().manual_seed(0)).to(model.dtype)
    states = model.text(["two things on a table ; " + ", ".join(CLASSES)])
    class_states, ids = model.text([", ".join(CLASSES)]), model.text.ids(model.text.pieces(", ".join(CLASSES))).tolist()
    pieces = [model.text.pieces(c) for c in CLASSES]
    start = [1]                                                             # by hand: each name follows the last one and its comma
    for p in pieces:
        start.append(start[-1] + len(p) + 1)
    spans = [list(range(a, a + len(p))) for a, p in zip(start, pieces)]
    assert [[ids[i] for i in s] for s in spans] == pieces
    abar = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    plain = naive.faseg(theirs, abar, 0.18215 * (q.mean + q.std * noise), states, class_states, spans)
    [m.float() for m in authority[:2]]
    # min-max magnifies rounding: float32 is bounded, not equal
    assert (ours - plain).abs().max() <= (1e-9 if model.dtype == torch.float64 else 2e-3)
    a, b = (label(s.float(), picture.size, how.threshold) for s in (ours, plain))
    assert (a == b).mean() >= 0.995


@pytest.mark.parametrize("dtype, maps, scores", [(torch.float64, 1e-9, 1e-9), (torch.float32, 1e-5, 2e-3)])
@torch.no_grad()
def test_refinement_equals_matrix_power(folder, picture, dtype, maps, scores):
    """Level by level against the up-sampled N x N matrix and its power, both computed in float64 from the same attention."""
    skip_text_in_float64(dtype)
    model = load(folder, device="cpu", dtype=dtype)
    model.notes["side"] = 128
    captured = make_method("faseg").capture(model, picture, CLASSES)
    x = hard.fuse_cross(captured, captured.lookup, (.15, .7, .15, 0))
    for grid in captured.grids:
        a, (r, _), n = captured.self_map(grid).double(), grid, 256
        keys = torch.nn.functional.interpolate(a.reshape(-1, 1, r, r), size=(16, 16), mode="nearest").reshape(2, r * r, n)
        big = torch.nn.functional.interpolate(keys.transpose(1, 2).reshape(2 * n, 1, r, r), size=(16, 16), mode="bicubic").reshape(2, n, n).transpose(1, 2)
        big = a if r == 16 else big
        assert torch.allclose(big.sum(-1), torch.full((2, n), (16 / r) ** 2, dtype=torch.float64), rtol=1e-4)
        plain = torch.linalg.matrix_power(big, 2) @ x.double()
        ours = hard.refine_level(captured, grid, x, 2)
        assert ((ours - plain).abs().max() / plain.abs().max()) <= maps
        assert (hard.minmax(ours) - hard.minmax(plain)).abs().max() <= scores
        assert torch.equal(hard.refine_level(captured, grid, x, 0), x)


def test_constant_maps_are_zero_not_nan():
    y = torch.stack([torch.full((2, 9), 0.3), torch.rand(2, 9)], dim=-1)
    out = hard.minmax(y)
    assert out.isfinite().all() and (out[..., 0] == 0).all() and torch.equal(out[..., 1].amax(1), torch.ones(2))


def test_flipping():
    x = torch.rand(1, 3, 4, 6)
    v = ttf.views(x)
    assert torch.equal(v[1].flip(-1), v[0]) and ttf.views(x, flip=False).shape[0] == 1
    s = torch.rand(2, 5, 4, 6)
    assert torch.equal(ttf.merge(torch.stack([s[0], s[0].flip(-1)])), s[0])           # an equivariant answer is left as it is
    assert torch.equal(ttf.merge(s[:1]), s[0])


@torch.no_grad()
def test_mirror_symmetric_picture_gives_symmetric_scores(model):
    half = np.random.default_rng(1).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    image = Image.fromarray(np.concatenate([half, half[:, ::-1]], axis=1))
    s = segment(image, CLASSES, model, sample=False).grid_scores
    assert (s - s.flip(-1)).abs().max() < 1e-5


@torch.no_grad()
def test_numbers_reach_the_method(model, picture):
    base = segment(picture, CLASSES, model)
    assert base.labels.shape == (120, 90) and base.labels.dtype == np.uint8 and base.scores.shape == (4, 120, 90)
    assert (segment(picture, CLASSES, model, threshold=1.5).labels == 0).all()
    for change in ({"tau": 1}, {"tau": 0}, {"flip": False}, {"seed": 1}, {"sample": False}, {"timestep": 100, "steps": 2}, {"steps": 0},
                   {"noise": True, "timestep": 200}, {"dual": False, "caption": "some words"}, {"alone": True}, {"levels": (0, 0, 0, 1)}):
        other = segment(picture, CLASSES, model, **change)
        assert (other.grid_scores - base.grid_scores).abs().max() > 1e-6, change
    again = segment(picture, CLASSES, model)
    assert torch.equal(again.grid_scores, base.grid_scores)
    with pytest.raises(InputError, match="no number called tua"):
        segment(picture, CLASSES, model, tua=2)
    for wrong, word in (({"timestep": 1000}, "timestep"), ({"cross": (1, 0)}, "levels"), ({"levels": (0, 0, 0, 0)}, "zero")):
        with pytest.raises(InputError, match=word):
            segment(picture, CLASSES, model, **wrong)
    with pytest.raises(InputError, match="no method"):
        segment(picture, CLASSES, model, method="magic")


def plain_upsample(scores, size, mode="bicubic"):
    """PyTorch's own, of the whole picture at once."""
    return torch.nn.functional.interpolate(scores[None], size=size[::-1], mode=mode)[0]


# ordinary pictures, lower than the grid, one pixel, sides without a common factor
SIZES = [(500, 375), (333, 500), (641, 479), (20, 13), (701, 5), (3, 811), (1, 1), (64, 64)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("grid", [(64, 64), (32, 32), (7, 13)])
@pytest.mark.parametrize("mode", ["bicubic", "bilinear", "nearest-exact"])
def test_a_strip_of_the_upsampled_scores_is_the_same(size, grid, mode):
    torch.manual_seed(0)
    scores, width = torch.randn(3, *grid) * 10, size[0]
    whole = plain_upsample(scores, size, mode)
    for first in range(0, width, 89):
        strip = slice(first, min(first + 89, width))
        ours = upsample_strip(scores, size, strip, mode)
        if mode == "bilinear":                              # torch has kernels for some sizes and threads
            assert torch.allclose(ours, whole[..., strip], atol=1e-5)
        else:
            assert torch.equal(ours, whole[..., strip])


@pytest.mark.parametrize("numbers", [5000, 8 << 20])
@pytest.mark.parametrize("size", SIZES)
def test_minmax_of_the_picture_may_be_made_before_it_is_upsampled(monkeypatch, size, numbers):
    """As DiffSegmenter and iSeg end: bilinear, then min-max over the picture's pixels."""
    monkeypatch.setattr("minifaseg.labelling.SCORES_AT_ONCE", numbers)
    torch.manual_seed(0)
    maps = torch.randn(7, 8, 8)
    maps[3] = 0.25                                                          # constant: 0, not NaN
    ours = upsample(minmax_at(maps, size, "bilinear", eps=1e-6), size, "bilinear")
    exact = upsample(minmax_at(maps, size, "bilinear"), size, "bilinear")
    assert (ours[3] == 0).all() and (exact[3] == 0).all()
    if size == (1, 1):                                                      # one pixel is constant, too
        assert (ours == 0).all() and (exact == 0).all()
        return
    up = plain_upsample(maps, size, "bilinear")
    low, high = up.amin((1, 2), keepdim=True), up.amax((1, 2), keepdim=True)
    others = [0, 1, 2, 4, 5, 6]
    assert (ours - (up - low) / (high - low + 1e-6))[others].abs().max() < 1e-5
    assert (exact - (up - low) / (high - low))[others].abs().max() < 1e-5


@pytest.mark.parametrize("numbers", [5000, 30_000, 8 << 20])
@pytest.mark.parametrize("size", SIZES)
def test_labels_are_the_argmax_above_the_threshold(monkeypatch, size, numbers):
    """Strips are taken one by one and classes a few at a time; the labels do not show it."""
    monkeypatch.setattr("minifaseg.labelling.SCORES_AT_ONCE", numbers)
    torch.manual_seed(0)
    # the second with many equal scores
    for scores in (torch.rand(7, 8, 8), torch.rand(7, 8, 8).round()):
        up = plain_upsample(scores, size).numpy()
        plain = np.where(up.max(0) >= 0.6, up.argmax(0) + 1, 0)
        assert (label(scores, size, 0.6) == plain).all()
        unsure = (plain > 0) & (up.max(0) < np.float32(0.7))
        assert (label(scores, size, 0.6, certain=0.7) == np.where(unsure, 255, plain)).all()


# ---- methods -------------------------------------------------------------------------------------
@pytest.mark.parametrize("spec, name, numbers", [
    ("faseg", "faseg", {}),
    ("faseg:", "faseg", {}),
    ("faseg:tau=1;flip=False", "faseg", {"tau": 1, "flip": False}),
    (" faseg : tau = 1 ; ", "faseg", {"tau": 1}),
    ("faseg:levels=(0,0,0,1)", "faseg", {"levels": (0, 0, 0, 1)}),
    ("iseg:lam=2e-3;threshold=-1", "iseg", {"lam": 0.002, "threshold": -1}),
    ("faseg:tau=None", "faseg", {"tau": "None"}),
    ("faseg:tau=" + "(" * 9999, "faseg", {"tau": "(" * 9999}),
    ("faseg:tau={[]:1}", "faseg", {"tau": "{[]:1}"}),
])
def test_how_a_method_is_written(spec, name, numbers):
    assert parse_method(spec) == (name, numbers)


@pytest.mark.parametrize("spec", [
    "faseg:tau=None", "faseg:tau=", "faseg:=1", "faseg:tau=1=2", "faseg:flip=false", "faseg:flip=1",
    "faseg:tau=9e999", "faseg:model=1", "faseg:name=1", "faseg:self=1", "faseg:CAPTURE_FIELDS=()",
    "faseg:tau", "faseg:levels=1", "faseg:levels=('a',)", "FASeg", "", ":tau=1", "faseg,iseg",
    "faseg;tau=1", "faseg:tau=" + "(" * 9999])
def test_a_method_written_wrongly_is_refused(spec):
    with pytest.raises(InputError) as e:
        name, numbers = parse_method(spec)
        make_method(name, **numbers)
    assert len(str(e.value).splitlines()) == 1
