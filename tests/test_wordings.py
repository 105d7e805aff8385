"""P' in many wordings: its formula written plainly, what it costs, and what it refuses."""
import json
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import skip_text_in_float64
from test_class_lists import authority_tokenizer, check_prompt, exact, model  # noqa: F401 (fixtures)
from test_images import noise

import minifaseg
from minifaseg import InputError, hard, make_method, prompts
from minifaseg.bench import naive
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES as CARTOON
from minifaseg.cartoon.words import COLOURS as COLOUR_WORDS
from minifaseg.cartoon.words import TYPICAL
from minifaseg.checkpoints.hub import CARTOON as WEIGHTS
from minifaseg.evaluate.class_names import CONTEXT
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.rows import make_rows
from minifaseg.methods import parse_method

CLASSES = ("hot dog", "dog", "surfboard")
WORDINGS = ("red {}", "a photo of the {} here", "{}s", "({})")
CONTEXT59 = tuple(name for _, name in CONTEXT)
LONGEST = [f"{a}{b} thing" for a in "abcdefghijklmnop" for b in "abcdefghijklmnop"][:254]


@pytest.fixture(scope="module")
def wide(folder):
    """In float64, looking at 128 x 128 pixels: levels of 2 to 16 cells a side."""
    skip_text_in_float64(torch.float64)
    model = minifaseg.load(folder, device="cpu", dtype=torch.float64)
    model.notes = {"side": 128}
    return model


@pytest.fixture(scope="module")
def cartoon():
    return minifaseg.load("cartoon", device="cpu")


# ---- what it computes ---------------------------------------------------------------------------
@pytest.mark.parametrize("numbers", [{}, {"tau": 0}, {"alone": True}, {"flip": False},
                                     {"share": 0.3}], ids=str)
def test_the_name_alone_is_fa_seg(model, numbers):
    """To the last bit, also with a list that needs several prompts."""
    how = make_method("wordings", wordings=("{}",), **numbers)
    plain = make_method("faseg", **{k: v for k, v in numbers.items() if k != "share"})
    for names, caption in ((CLASSES, "a field"), (CONTEXT59, None)):
        ours = how.scores(how.capture(model, noise(), names, caption))
        theirs = plain.scores(plain.capture(model, noise(), names, caption))
        assert torch.equal(ours, theirs)


def test_the_name_itself_may_be_looked_up_in_p(exact):
    """Without the dual prompt it is, as in FA-Seg; the wordings are looked up in P' still."""
    how, plain = make_method("wordings", wordings=("{}",), dual=False), make_method("faseg")
    captured = how.capture(exact, noise(), CLASSES, "a field")
    x, y = (hard.fuse_cross(captured, lookup, how.cross)
            for lookup in (captured.lookup, prompts.class_prompts(exact.text, CLASSES)))
    s = hard.as_image(hard.refine(captured, (x + y) / 2, how.levels, how.tau), captured.grids[-1])
    assert (how.scores(captured) - (s[0] + s[1].flip(-1)) / 2).abs().max() <= 1e-9
    assert (how.scores(captured) - plain.scores(captured)).abs().max() > 1e-3


def test_leave_out_may_ask_in_many_wordings(exact):
    """It is the wordings' scores that are weighed then; as it comes, FA-Seg's."""
    numbers = {"times": (100,), "draws": 1, "softness": 1e12}
    for words, plain in (((), make_method("faseg")),
                         (WORDINGS, make_method("wordings", wordings=WORDINGS))):
        how = make_method("leaveout", wordings=words or None, **numbers)
        ours = how.scores(how.capture(exact, noise(), CLASSES))
        theirs = plain.scores(plain.capture(exact, noise(), CLASSES)) / (1 + np.exp(-1))
        assert (ours - theirs).abs().max() <= 1e-9


def plain_map(maps, tokens, side, weights):
    """One class's map (cells of `side` x `side`), level by level and token by token."""
    fused = 0
    for r, w in zip((side // 8, side // 4, side // 2, side), weights):
        for j in tokens:
            small = maps[r * r, True][0][:, j].reshape(1, 1, r, r)
            large = F.interpolate(small, size=(side, side))[0, 0].flatten()
            fused = fused + w * large / len(tokens)
    return fused


@pytest.mark.parametrize("share", [0.5, 0.2, 1.0])
def test_wordings_equal_their_formula(wide, authority, share):
    """On diffusers' UNet, in loops. Where the name's tokens are is written down here."""
    unet = authority[0].double()
    how = make_method("wordings", wordings=("red {}", "a photo of the {} here"), share=share,
                      flip=False, steps=0, sample=False, tau=2)
    ours = how.scores(how.capture(wide, noise(), CLASSES))
    z = wide.vae.encode(wide.pixels(noise()))
    side = z.shape[-1]
    asked = {"hot dog, dog, surfboard": [(1, 2), (4,), (6, 7)],
             "red hot dog, red dog, red surfboard": [(2, 3), (6,), (9, 10)],
             "a photo of the hot dog here, a photo of the dog here, a photo of the surfboard here":
                 [(5, 6), (13,), (20, 21)]}
    found = []
    for text, spans in asked.items():
        maps = naive.attention_maps(unet, z, 1, wide.text(["hot dog, dog, surfboard"]),
                                    wide.text([text]))
        found.append([plain_map(maps, tokens, side, how.cross) for tokens in spans])
    mixed = []
    for name, red, photo in zip(*found):
        cells = [(1 - share) * a + share * max(b, c) for a, b, c in zip(name, red, photo)]
        mixed.append(torch.stack(cells))
    maps = maps | {(side * side, True): torch.stack(mixed, dim=1)[None]}
    expected = naive.hard(maps, [[0], [1], [2]], side, (0, 0, 0, 1), how.levels, how.tau)[0]
    authority[0].float()
    assert (ours - expected).abs().max() <= 1e-9


# ---- where the names stand ----------------------------------------------------------------------
@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("names", [CLASSES, CONTEXT59], ids=len)
def test_a_span_is_the_name_in_its_phrase(model, authority_tokenizer, wording, names):
    """Each prompt is tokenized as transformers does its text; a span holds the name's letters."""
    before, after = wording.split("{}")
    lookup = prompts.class_prompts(model.text, names, wording=wording)
    assert len(lookup.spans) == len(names)
    for g, states in enumerate(lookup.states):
        part = [name for name, (prompt, _) in zip(names, lookup.spans) if prompt == g]
        text, at = "", []
        for name in part:
            text += ", " * bool(text)
            at.append((name, len(text + before)))
            text += before + name + after
        spans = [span for prompt, span in lookup.spans if prompt == g]
        if after[:1] == ")":
            continue                                     # CLIP takes "),": see the next test
        check_prompt(model, authority_tokenizer, text, at, states, spans)


def test_a_sign_at_the_end_does_not_touch_the_comma(model):
    """Phrases are put together as names are in P': each in its own pieces."""
    lookup = prompts.class_prompts(model.text, ("cat", "dog"), wording="({})")
    pieces = [*model.text.pieces("(cat)"), *model.text.pieces(","), *model.text.pieces("(dog)")]
    assert torch.equal(lookup.states, model.text.states(model.text.ids(pieces)[None]))
    assert lookup.spans == [(0, [2]), (0, [6])]


# ---- what it costs ------------------------------------------------------------------------------
def test_wordings_cost_no_unet_pass(model):
    calls = {"faseg": 0, "wordings": 0}
    for method in calls:
        def count(*_, method=method):
            calls[method] += 1
        handle = model.unet.register_forward_hook(count)
        minifaseg.segment(noise(), CLASSES, model, method=method)
        handle.remove()
    assert calls["wordings"] == calls["faseg"] > 0


def test_maps_of_all_wordings_are_never_there_at_once(model, monkeypatch):
    """Whenever a wording's maps are made, those of the wordings before are gone."""
    alive, most, fuse = [], [], hard.fuse_cross

    def watched(*arguments):
        most.append(sum(made() is not None for made in alive))
        x = fuse(*arguments)
        alive.append(weakref.ref(x))
        return x
    monkeypatch.setattr(hard, "fuse_cross", watched)
    how = make_method("wordings")
    how.scores(how.capture(model, noise(), CLASSES))
    assert len(most) == 1 + len(how.wordings) and max(most) <= 1            # the plain name's


def test_as_many_names_as_a_mask_holds(model):
    result = minifaseg.segment(noise(), LONGEST, model, method="wordings", threshold=-1)
    assert len(result.grid_scores) == 254 and result.grid_scores.isfinite().all()
    for lookup in result.captured.wordings:
        own = [(g, i) for g, span in lookup.spans for i in span]
        assert len(own) == len(set(own)) and len(lookup.spans) == 254


# ---- how it is asked for ------------------------------------------------------------------------
def test_texts_on_a_command_line(cartoon):
    spec = "wordings:wordings=('{}','red {}');share=0.25"
    how = make_method(*[parse_method(spec)[0]], **parse_method(spec)[1])
    assert how.wordings == ("{}", "red {}") and how.share == 0.25
    rows = make_rows(f"faseg,{spec}", cartoon, open_dataset("cartoon", seeds=range(3)))
    assert [row.title for row in rows] == ["faseg", spec] and rows[1].method.wordings == how.wordings
    assert rows[1].capture_key != make_rows("wordings", cartoon, open_dataset("cartoon"))[0].capture_key


def test_a_models_file_may_recommend_texts(cartoon):
    """JSON has lists, no tuples."""
    beside = json.loads(WEIGHTS.with_suffix(".json").read_text())["wordings"]["wordings"]
    assert isinstance(beside, list) and len(beside) > 1
    assert make_method("wordings", cartoon).wordings == tuple(beside)


@pytest.mark.parametrize("value", ["red {}", 3, (1, 2), ("{}", 1), (0.5,), (None,), True,
                                   {"{}": 1}])
@pytest.mark.parametrize("method", ["wordings", "leaveout"])
def test_wordings_are_several_texts(method, value):
    with pytest.raises(InputError, match=f"{method} with wordings .*it must be like") as e:
        make_method(method, wordings=value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("value", [("red",), (0,), ("red {}",)])
def test_texts_are_no_numbers(value):
    numbers = {"cross": value} if value != (0,) else {"wordings": value}
    with pytest.raises(InputError, match="it must be like"):
        make_method("wordings", **numbers)


@pytest.mark.parametrize("wording", ["red", "", "{} and {}", "{name}", "{0}", "{", "a\x1b {}",
                                     "\ud800 {}"])
def test_a_wording_has_one_place_for_the_name(wording):
    with pytest.raises(InputError, match="wording") as e:
        make_method("wordings", wordings=("red {}", wording))
    assert "\n" not in str(e.value) and len(str(e.value)) < 150


def test_no_wording_at_all():
    with pytest.raises(InputError, match="give at least one"):
        make_method("wordings", wordings=())


@pytest.mark.parametrize("around", ["word " * 74 + "{}", "{}" + " word" * 74, "a {}" + " b" * 90])
def test_a_wording_too_long_for_a_prompt(model, around):
    """74 words and a name of one piece fill it; a name of two says what is too long."""
    how = make_method("wordings", wordings=("{}", around))
    if "a" not in around:
        assert how.scores(how.capture(model, noise(), ("dog",))).isfinite().all()
    with pytest.raises(InputError, match="'hot dog' is 2 tokens long, .*a prompt holds 75") as e:
        how.capture(model, noise(), ("dog", "hot dog")[1:])
    assert "\n" not in str(e.value) and len(str(e.value)) < 200


def test_a_word_that_the_cartoon_model_does_not_know(cartoon):
    with pytest.raises(InputError, match="does not know 'large'"):
        minifaseg.segment(noise(), ["cat"], cartoon, method="wordings", wordings=("a large {}",))


# ---- what it is good for ------------------------------------------------------------------------
def test_things_of_a_colour_that_they_seldom_have(cartoon):
    """The first 12 from scene 3000 on: pink trees, green umbrellas, ... are found better."""
    found = {"faseg": [], "wordings": []}
    for seed in range(3000, 3100):
        scene = paint(seed, size=cartoon.side)
        odd = [name for name, colour in scene.words.items()
               if colour not in TYPICAL.get(name, COLOUR_WORDS)]
        if not odd or len(found["faseg"]) >= 12:
            continue
        for method, shares in found.items():
            result = minifaseg.segment(scene.image, scene.classes, cartoon, method=method)
            ours = result.labels == 1 + scene.classes.index(odd[0])
            truth = scene.labels == 1 + CARTOON.index(odd[0])
            shares.append((ours & truth).sum() / (ours | truth).sum())
    assert len(found["faseg"]) == 12
    assert np.mean(found["wordings"]) > np.mean(found["faseg"]) + 0.01, found
