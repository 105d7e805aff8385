"""GoCA equals its formulas written plainly, with loops, on diffusers' UNet; its prompt; and what
must hold whatever the list of names."""
import copy
import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch
from conftest import skip_text_in_float64
from test_images import noise
from test_rivals import back_to_float32, latents, model, picture, tokens_of, unet, up  # noqa: F401

import minifaseg
from minifaseg import InputError, make_method, prompts
from minifaseg.attention import inner_layers
from minifaseg.bench.naive import normalise
from minifaseg.evaluate.candidates import Candidates, Captions
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.rows import make_rows
from minifaseg.evaluate.run import score
from minifaseg.evaluate.table import markdown
from minifaseg.rivals import entities
from minifaseg.unet import UNet, UNetConfig

FINEST = 16                                              # cells a side, of a 128-pixel picture
REFERENCE, INNER = 11, (1, 13, 14)                       # blocks of 16, in the order they run


def test_inner_layers_of_a_level():
    """Against SD 1.5's table in unet.py and the cartoon model's plan with one block per level."""
    def inner(config, side):
        unet, record = UNet(config), {}
        z = torch.zeros(1, 4, 16, 16)
        unet(z, 1, torch.zeros(1, 5, config.context), record)
        paths = [p for p, qk in record.items() if qk.grid == (side, side) and "attn1" in p]
        return [path.removesuffix(".1.transformer_blocks.0.attn1") for path in inner_layers(paths)]

    small = {"widths": (8, 8, 8, 8), "context": 8, "heads": 2, "groups": 4}
    plan, cartoon = UNetConfig(**small), UNetConfig(**small, blocks=1)
    assert inner(plan, 16) == ["input_blocks.2", "output_blocks.9", "output_blocks.10"]
    assert inner(plan, 8) == ["input_blocks.5", "output_blocks.6", "output_blocks.7"]
    assert inner(plan, 4) == ["input_blocks.8", "output_blocks.3", "output_blocks.4"]
    assert inner(plan, 2) == ["middle_block"] == inner(cartoon, 2)
    assert inner(cartoon, 16) == ["input_blocks.1", "output_blocks.6"]
    assert inner(cartoon, 8) == ["input_blocks.3", "output_blocks.4"]


# ---- the formulas -------------------------------------------------------------------------------
class Heads:
    """Keeps of every layer the queries, the maps and what each head adds to the output."""

    def __init__(self, store):
        self.store = store

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **others):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states)[0], attn.to_k(context)[0], attn.to_v(context)[0]
        d, maps, added = q.shape[1] // attn.heads, [], []
        for n in range(attn.heads):
            own = slice(n * d, (n + 1) * d)
            maps.append((q[:, own] @ k[:, own].T / d ** 0.5).softmax(-1))
            added.append(maps[-1] @ v[:, own] @ attn.to_out[0].weight[:, own].T)
        self.store.append((q, torch.stack(maps), torch.stack(added)))
        return (sum(added) + attn.to_out[0].bias)[None]


def seen(unet, z, states):
    """[(self, cross)] of each transformer block: (q (N, c), maps (h, N, M), added (h, N, C))."""
    store, before = [], unet.attn_processors
    unet.set_attn_processor(Heads(store))
    with torch.no_grad():
        unet(z, 100, states)
    unet.set_attn_processor(before)
    return list(zip(store[::2], store[1::2]))


def weighed_heads(cross):
    """C_l (N, T) and the heads' weights (N, h)."""
    _, maps, added = cross
    C, weights = torch.zeros_like(maps[0]), torch.zeros(maps.shape[1], len(maps)).to(maps)
    for p in range(maps.shape[1]):
        output = sum(o[p] for o in added)
        for n, o in enumerate(added):
            weights[p, n] = o[p] @ output / (output @ output)
            C[p] += weights[p, n] * maps[n, p]
    return C, weights


def layer_weight(beside, R, normalised):
    """sum_pq up(self-attention)_pq softmax(R R^T / sqrt c)_pq on the reference's 8 x 8 cells."""
    A, total = beside[1].mean(0), 0
    side = round(len(A) ** 0.5)
    for p in range(64):
        alike = torch.stack([R[p] @ R[q] / R.shape[1] ** 0.5 for q in range(64)]).softmax(0)
        row = up(A[p // 8 * side // 8 * side + p % 8 * side // 8], side, 8, "bilinear")
        total += (row / row.sum() if normalised else row) @ alike
    return total


def blur(x, sigma):
    """x (16, 16) under 5 x 5 weights; a cell beyond the edge is the one as far inside."""
    inside = [2, 1, *range(FINEST), FINEST - 2, FINEST - 3]
    line = [np.exp(-i * i / (2 * sigma ** 2)) for i in range(-2, 3)]
    out = torch.zeros_like(x)
    for y in range(FINEST):
        for z in range(FINEST):
            for i in range(5):
                for j in range(5):
                    share = line[i] * line[j] / sum(line) ** 2
                    out[y, z] += share * x[inside[y + i], inside[z + j]]
    return out


def formula(blocks, own, background, content, hyperparameters):
    """S_c - S_background (K, 16, 16) from what the UNet saw; own, background: token indices."""
    R = blocks[REFERENCE][1][0]
    if hyperparameters.get("first_channel"):
        R = R[:, :1]
    C, total = torch.zeros(FINEST ** 2, 77).double(), 0
    for beside, cross in blocks:
        w = 1
        if hyperparameters.get("layers", True):
            w = layer_weight(beside, R, hyperparameters.get("normalise"))
        weighed, side = weighed_heads(cross)[0], round(len(cross[0]) ** 0.5)
        if not hyperparameters.get("heads", True):
            weighed = cross[1].mean(0)
        total += w
        for t in range(77):
            C[:, t] += w * up(weighed[:, t], side, FINEST, "bilinear")
    C = (C / total).clamp_min(0)
    C = C / C.sum(1, keepdim=True)
    if hyperparameters.get("rescale", True):
        C = C / sum(C[:, t] for t in content)[:, None]
    A, maps = sum(blocks[i][0][1].mean(0) for i in INNER) / len(INNER), []
    for tokens in [*own, *background]:
        x = sum(C[:, t] for t in tokens) / len(tokens)
        maps.append(normalise(blur(x.view(FINEST, FINEST), 1.1)).flatten())
    maps = [*maps[:len(own)], torch.stack(maps[len(own):]).amax(0)]
    refined = [normalise(A @ A @ x).view(FINEST, FINEST) for x in maps]
    return torch.stack(refined[:-1]) - refined[-1]


@pytest.mark.parametrize("hyperparameters", [
    {}, {"first_channel": True}, {"normalise": True}, {"heads": False},
    {"layers": False, "rescale": False}], ids=str)
def test_goca_equals_its_formula(model, picture, unet, hyperparameters):
    """With a caption of which one entity means two things' names, one means none, and one is told
    twice. The third class is not in it."""
    method = make_method("goca", **hyperparameters)
    ours = method.scores(method.capture(model, picture, ("dog", "hot dog", "surfboard"),
                                        "A hot dog, a wooden fence, the brown dog, dogs."))
    prompt = "a hot dog, a wooden fence, the brown dog, dogs, background, surfboard"
    words = ["hot dog", "wooden fence", "brown dog", "dogs", "background", "surfboard"]
    hot, fence, brown, dogs, ground, board = (tokens_of(model, prompt, word) for word in words)
    z = latents(model, picture, 0, 100, sample=True)
    expected = formula(seen(unet, z, model.text([prompt])), [[*brown, *dogs], hot, board],
                       [fence, ground], [*hot, *fence, *brown, *dogs, *ground, *board],
                       hyperparameters)
    assert (ours - expected).abs().max() <= 1e-9


def oppose(layers):
    """Every second head says the opposite of the one before it, a little softer, of where it looks
    itself: what a layer's map takes from it is negative."""
    for layer in layers:
        d = layer.to_v.weight.shape[0] // layer.heads
        v, out = layer.to_v.weight.data, layer.to_out[0].weight.data
        for n in range(0, layer.heads * d, 2 * d):
            v[n + d:n + 2 * d] = v[n:n + d]
            out[:, n + d:n + 2 * d] = -0.7 * out[:, n:n + d]


def test_heads_that_contradict_each_other(folder, authority, picture):
    """Negative sums of maps count as nothing."""
    skip_text_in_float64(torch.float64)
    model = minifaseg.load(folder, device="cpu", dtype=torch.float64)
    model.notes["side"], unet = 128, copy.deepcopy(authority[0]).double()
    oppose(layer for path, layer in model.unet.attention_layers().items() if "attn2" in path)
    oppose(layer for path, layer in unet.named_modules() if path.endswith("attn2"))
    method, classes = make_method("goca", sample=False), ("dog", "surfboard")
    captured = method.capture(model, picture, classes)
    prompt = "dog, surfboard, background"
    dog, board, ground = (tokens_of(model, prompt, word) for word in prompt.split(", "))
    blocks = seen(unet, latents(model, picture, 0, 100), model.text([prompt]))
    expected = formula(blocks, [dog, board], [ground], [*dog, *board, *ground], {})
    assert (method.scores(captured) - expected).abs().max() <= 1e-9
    with torch.no_grad():
        C = method.combine_layers(captured)
    assert (C == 0).any() and (C >= 0).all() and (C.sum(1) - 1).abs().max() <= 1e-12


def test_without_a_caption_the_classes_are_the_entities(model, picture, unet):
    method = make_method("goca", sample=False, timestep=100, seed=3)
    ours = method.scores(method.capture(model, picture, ("dog", "surfboard")))
    prompt = "dog, surfboard, background"
    dog, board, ground = (tokens_of(model, prompt, word) for word in prompt.split(", "))
    z = latents(model, picture, 3, 100)
    expected = formula(seen(unet, z, model.text([prompt])), [dog, board], [ground],
                       [*dog, *board, *ground], {})
    assert (ours - expected).abs().max() <= 1e-9


def test_weights_of_heads_sum_to_one(model, picture, unet):
    """sum_n <o_n, O> = |O|^2, whatever the weights; and they are the formula's, cell by cell."""
    method = make_method("goca")
    captured = method.capture(model, picture, ("dog",))
    z = latents(model, picture, 0, 100, sample=True)
    blocks = seen(unet, z, model.text(["dog, background"]))
    paths = [path for path in captured.record if path.endswith("attn2")]
    assert len(paths) == len(blocks) == 16
    with torch.no_grad():
        for path, (_, cross) in zip(paths, blocks):
            ours, expected = method.layer_map(captured, path), weighed_heads(cross)
            assert (ours[1].sum(1) - 1).abs().max() <= 1e-12
            assert (ours[0] - expected[0]).abs().max() <= 1e-9
            assert (ours[1] - expected[1]).abs().max() <= 1e-9


@pytest.mark.parametrize("block", [1, 700, 10 ** 9])
def test_rows_made_at_a_time_change_nothing(model, picture, monkeypatch, block):
    from minifaseg.rivals import goca
    method = make_method("goca")
    captured = method.capture(model, picture, ("dog", "surfboard"))
    expected = method.scores(captured)
    monkeypatch.setattr(goca, "BLOCK", block)
    assert (method.scores(captured) - expected).abs().max() <= 1e-12


# ---- the prompt ---------------------------------------------------------------------------------
def said(text, caption, classes):
    """(prompt, {class: its words}, background words) of the first prompt, as texts."""
    prompt = entities.prompts(text, classes, caption)[0]
    pieces = text.tokenizer.convert_ids_to_tokens(prompt.ids.tolist())

    def words(tokens):
        return "".join(pieces[t] for t in tokens).replace("</w>", " ").strip()

    whole = words(range(1, pieces.index("<|endoftext|>")))
    own = {c: words(tokens) for c, tokens in prompt.class_tokens.items()}
    return whole, own, [words(tokens) for tokens in prompt.background_tokens]


@pytest.mark.parametrize("caption, classes, prompt, own, background", [
    ("Cat, dog, person.", "cat dog person", "cat , dog , person , background",
     {"cat": "cat", "dog": "dog", "person": "person"}, ["background"]),
    ("cat, fur, dog, a wooden fence, grass, sky", "cat dog person",
     "cat , fur , dog , a wooden fence , grass , sky , background , person",
     {"cat": "cat", "dog": "dog", "person": "person"},
     ["fur", "wooden fence", "grass", "sky", "background"]),
    ("black cat, cat", "cat", "black cat , cat , background", {"cat": "black cat cat"},
     ["background"]),
    ("two buses and the dogs, Cat, catfish, cat food", "bus dog cat",
     "two buses and the dogs , cat , catfish , cat food , background , bus",
     {"dog": "two buses dogs", "cat": "cat", "bus": "bus"}, ["catfish", "cat food", "background"]),
    ("background, and, an old-time bus", "background,and,bus",
     "background , and , an old - time bus , background",
     {"background": "background", "and": "and", "bus": "old time bus"}, ["background"]),
    ("", "cat a", "cat , a , background", {"cat": "cat", "a": "a"}, ["background"]),
    (None, "Cat", "cat , background", {"Cat": "cat"}, ["background"]),
    (" , . ", "cat", "cat , background", {"cat": "cat"}, ["background"])], ids=ascii)
def test_prompt(model, caption, classes, prompt, own, background):
    classes = tuple(classes.split("," if "," in classes else None))
    assert said(model.text, caption, classes) == (prompt, own, background)
    assert set(own) == set(classes)


def test_an_entity_means_the_longest_class_that_it_ends_with():
    for order in (("dog", "hot dog"), ("hot dog", "dog")):
        assert entities.class_of("a hot dog", order) == "hot dog"
        assert entities.class_of("the big dog", order) == "dog"
        assert entities.class_of("hot", order) is None
        assert entities.class_of("dog house", order) is None


# ---- any list -----------------------------------------------------------------------------------
@pytest.mark.parametrize("caption, classes", [
    ("black cat, cat", ("cat",)), ("cat cat, cat", ("cat", "background")), ("...", ("and", "a")),
    ("fence, sky", ("cat", ",", "-")), ("cat, " * 30, ("cat", "dog")), ("cat. dog.", ("dog", "."))])
def test_no_list_gives_nan(model, picture, caption, classes):
    method = make_method("goca")
    scores = method.scores(method.capture(model, picture, classes, caption))
    assert scores.shape == (len(classes), 16, 16) and scores.isfinite().all()
    assert scores.min() >= -1 and scores.max() <= 1


LONG = tuple(f"thing {a}{b}" for a in "abcdef" for b in "abcdef")        # 36 names, 4 tokens each


@pytest.fixture(scope="module")
def exact(folder):
    skip_text_in_float64(torch.float64)
    exact = minifaseg.load(folder, device="cpu", dtype=torch.float64)
    exact.notes = {"side": 64}
    return exact


def test_a_long_list_is_asked_in_parts(exact):
    """Equal to one run for each part: its own prompt, its own view, its own background."""
    method = make_method("goca")
    split = prompts.split_to_fit(exact.text, LONG, after=", background")
    assert len(split) > 1
    apart = [method.scores(method.capture(exact, noise(), part)) for part in split]
    assert (method.scores(method.capture(exact, noise(), LONG)) - torch.cat(apart)).abs().max() <= 1e-9


def test_every_part_has_the_caption(exact):
    """A told class has its tokens in the first; in the others it takes its share of the cells."""
    asked = entities.prompts(exact.text, ("cat", *LONG), "a cat, fur")
    first = exact.text.pieces("a cat, fur, background,")
    assert len(asked) > 1
    assert sorted(c for prompt in asked for c in prompt.class_tokens) == sorted(("cat", *LONG))
    for g, prompt in enumerate(asked):
        assert prompt.ids.tolist()[1:1 + len(first)] == first
        assert prompt.background_tokens == [[4], [6]] and {2, 4, 6} <= set(prompt.content_tokens)
        assert ("cat" in prompt.class_tokens) == (g == 0)
    method = make_method("goca")
    scores = method.scores(method.capture(exact, noise(), ("cat", *LONG), "a cat, fur"))
    assert scores.isfinite().all() and len(scores) == 37


def test_a_caption_too_long_is_cut_with_a_warning(exact):
    names = ("cat", "zebra")
    with pytest.warns(UserWarning, match="lists 80 things; the prompt holds the first 36"):
        asked = entities.prompts(exact.text, names, ", ".join(["tree"] * 79 + ["cat"]))
    assert [list(prompt.class_tokens) for prompt in asked] == [["cat"], ["zebra"]]    # each with 36 trees
    assert all(len(prompt.background_tokens) == 37 and prompt.content_tokens[-1] == 75 for prompt in asked)


def test_a_name_that_fits_into_no_prompt(exact):
    for caption in (None, "a cat", "a cat, " * 50):
        with warnings.catch_warnings(), pytest.raises(InputError, match="a prompt holds 75"):
            warnings.simplefilter("error")               # the caption is not to blame
            make_method("goca").capture(exact, noise(), ("cat", "dog " * 80), caption)


def test_a_model_of_few_words_takes_its_end_token_for_the_background():
    cartoon = minifaseg.load("cartoon", device="cpu")
    prompt, = entities.prompts(cartoon.text, ("cat", "sky"), "a black cat, lawn")
    end = cartoon.text.tokenizer.eos_token_id
    row = prompt.ids.tolist()
    assert prompt.background_tokens == [[5], [row.index(end)]] and row.index(end) == 8
    assert prompt.class_tokens == {"cat": [2, 3], "sky": [7]} and prompt.content_tokens == [2, 3, 5, 7, 8]


def test_captions_of_an_evaluation_reach_it(tmp_path):
    """The same labels as when the caption is given to `segment`, and not those without one."""
    cartoon = minifaseg.load("cartoon", device="cpu")
    data = open_dataset("cartoon", seeds=range(5003, 5004))
    image, truth = data.read("5003")
    candidates = Candidates("gt", data)
    told = ", ".join(reversed(candidates("5003", image, truth))) + ", red flowers"
    (tmp_path / "captions.json").write_text(json.dumps({"5003": told}))
    rows = make_rows("goca", cartoon, data)
    _, labels = score(rows, data, cartoon, candidates, Captions(tmp_path / "captions.json"), "5003")
    method, classes = rows[0].method, candidates("5003", image, truth)
    hyperparameters = dataclasses.asdict(method)
    own = np.array([0, *(data.classes.index(c) + 1 for c in classes)])

    def labelled(caption):
        return own[minifaseg.segment(image, classes, cartoon, method="goca", caption=caption,
                                     **hyperparameters).labels]
    assert np.array_equal(labels["goca"], labelled(told))
    assert not np.array_equal(labels["goca"], labelled(None))


def test_it_ends_with_its_scores_and_bilinear(model, picture):
    method = make_method("goca")
    captured = method.capture(model, picture, ("dog", "cat"))
    maps, mode = method.upsampling(captured, method.scores(captured))
    assert mode == "bilinear" and torch.equal(maps, method.scores(captured))


def test_its_published_figures_stand_beside_their_own_protocol_alone():
    """True classes, the pictures of train, the best of several thresholds; no other table."""
    measured = {"miou": 0.5, "miou_absent_zero": 0.5, "pixel_accuracy": 0.5, "things": 0.5}
    measured |= {"per_class": {}}
    fixed = {"goca": measured | {"numbers": {"threshold": 0.0}}}
    tuned = fixed | {"goca:threshold=0.1": measured | {"numbers": {"threshold": 0.1}}}
    for data, val, train, value in (("voc", 1449, 1464, 60.7), ("context60", 5104, 4998, 40.4)):
        row = f"| *GoCA with SD 1.5, published* | *{value}* |"
        for candidates, pictures, methods, shown in (
            ("gt", train, tuned, True),
            ("gt", train, fixed, False),
            ("all", train, tuned, False),
            ("clip", train, tuned, False),
            ("gt", val, tuned, False),
        ):
            report = {"dataset": data, "candidates": candidates, "pictures": pictures}
            text = markdown(report | {"weights": "x", "failed": 0, "methods": methods})
            assert (row in text) == shown
            assert "tutorial/published.md" in text
