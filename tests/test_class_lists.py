"""Lists longer than a prompt, and names that touch the words around them: each at its own place."""
import warnings

import pytest
import torch
import transformers
from conftest import skip_text_in_float64
from test_hostile_classes import FREE
from test_images import noise

import minifaseg
from minifaseg import InputError, make_method, prompts
from minifaseg.evaluate.class_names import CONTEXT

CONTEXT59 = tuple(name for _, name in CONTEXT)
METHODS = [("faseg", {}), ("faseg", {"dual": False}), ("faseg", {"alone": True}),
           ("wordings", {}), ("leaveout", {"times": (100,), "draws": 1}), ("iseg", {}),
           ("iseg", {"keys_only": True, "clusters": 4}), ("invseg", {"steps": 2}),
           ("datasetdiffusion", {"timesteps": (100,)}), ("diffseg", {}),
           ("diffsegmenter", {"timesteps": (50,)}), ("goca", {})]
every_method = pytest.mark.parametrize("method, numbers", METHODS, ids=lambda v: str(v)[:30])
TOUCHING = ("C", "C+", "C++", "(sofa)", "mountain bike!", "a, b", "b", "b, a", "cat's",
            "photograph", "a photograph of", "and", "object", "background", ";", "...", "{}",
            "dog", "hot dog")


@pytest.fixture(scope="module")
def model(folder):
    """SD 1.5's plan with CLIP's own vocabulary and random weights, which look at 64 x 64 pixels."""
    model = minifaseg.load(folder, device="cpu")
    model.notes = {"side": 64}
    return model


@pytest.fixture(scope="module")
def exact(folder):
    """The same in float64, where the order of sums does not show."""
    skip_text_in_float64(torch.float64)
    model = minifaseg.load(folder, device="cpu", dtype=torch.float64)
    model.notes = {"side": 64}
    return model


@pytest.fixture(scope="module")
def authority_tokenizer(clip_vocabulary):
    """transformers' fast tokenizer, which tells for every token the letters that it stands for."""
    from transformers import CLIPTokenizerFast
    return CLIPTokenizerFast.from_pretrained(str(clip_vocabulary))


def released(tokenizer, prompt):
    """Token ids (T,) as a release's pipeline makes them, and the letters of each token.

    transformers 4 has two tokenizers, and pipelines took the one in Python, which cleans some signs
    away and tells no letters.
    """
    if transformers.__version__.startswith("4.") and not prompt.isascii():
        pytest.skip("transformers 4 tokenizes such signs in two ways")
    row = tokenizer(prompt, padding="max_length", max_length=77, truncation=True,
                    return_offsets_mapping=True)
    return torch.tensor(row["input_ids"]), row["offset_mapping"]


def tokens_of(offsets, start, name):
    """Indices of the tokens with a letter of `name`, which stands at `start`."""
    return [i for i, (a, b) in enumerate(offsets) if a < start + len(name) and b > start]


def check_prompt(model, tokenizer, prompt, at, states, spans):
    """One prompt is tokenized as released; each name's span is where its letters stand.

    `at`: (name, place of its first letter).
    """
    ids, offsets = released(tokenizer, prompt)
    assert torch.equal(states, model.text.states(ids[None])[0])
    for (name, start), span in zip(at, spans):
        assert span == tokens_of(offsets, start, name), (prompt, name)


def places(before, names, between):
    """(name, place of its first letter) in "before name between name ..."."""
    at, start = [], len(before)
    for name in names:
        at.append((name, start))
        start += len(name) + len(between)
    return at


# ---- where a name stands ------------------------------------------------------------------------
@pytest.mark.parametrize("name", TOUCHING)
@pytest.mark.parametrize("more", ["", ", on a beach", " (on a beach)", "in (two) words"])
def test_diffsegmenter_raises_the_last_word(model, authority_tokenizer, name, more):
    """Every token of it and no other, also where signs run together; its last token is looked up.
    The caption is tokenized for itself, as compel does behind "++"."""
    how = make_method("diffsegmenter", weight=1.0)
    prompt = f"a photograph of {name} {more}"
    (_, looked_up), = how.prompts(model.text, (name,), more).spans
    plain = how.prompts(model.text, (name,), more).states[0]
    ids, offsets = released(authority_tokenizer, prompt)
    assert torch.allclose(plain, model.text.states(ids[None])[0], atol=1e-5)
    word = name.split()[-1]
    span = tokens_of(offsets, prompt.index(name, 16) + len(name) - len(word), word)
    assert looked_up == span[-1:]
    raised = make_method("diffsegmenter", weight=2.0).prompts(model.text, (name,), more).states[0]
    changed = (raised - plain).abs().amax(-1) > 1e-3
    assert changed.nonzero().flatten().tolist() == span


def test_iseg_finds_every_name_behind_the_template(model, authority_tokenizer):
    before, after = "a photograph of ", " and other object and background"
    lookup = make_method("iseg").prompts(model.text, TOUCHING)
    assert len(lookup.spans) == len(TOUCHING)
    for g, states in enumerate(lookup.states):
        part = [name for name, (prompt, _) in zip(TOUCHING, lookup.spans) if prompt == g]
        spans = [span for prompt, span in lookup.spans if prompt == g]
        at, prompt = places(before, part, " and "), before + " and ".join(part) + after
        check_prompt(model, authority_tokenizer, prompt, at, states, spans)


@pytest.mark.parametrize("caption", [None, "an old (red) photo!", "a field"])
@pytest.mark.parametrize("names", [("C++", "dog"), ("(sofa)", "C", "C+", "mountain bike!"), FREE[:5],
                                   ("a, b", "b", "b, a", "cat's"), ("hot dog", "dog", "surfboard")],
                         ids=ascii)
def test_single_prompt_finds_every_name_in_its_list(model, authority_tokenizer, names, caption):
    before = f"{caption} ; " if caption else ""
    lookup = prompts.image_prompt(model.text, names, caption)
    spans = [span for _, span in lookup.spans]
    at, prompt = places(before, names, ", "), before + ", ".join(names)
    check_prompt(model, authority_tokenizer, prompt, at, lookup.states[0], spans)


def test_single_prompt_takes_a_name_where_the_caption_says_it(model):
    """And the dog of a hot dog is no dog, though the caption has said the hot dog, too."""
    caption = "a hot dog on a table"
    lookup = prompts.image_prompt(model.text, ("hot dog", "dog", "cat"), caption)
    assert lookup.spans == [(0, [2, 3]), (0, [11]), (0, [13])]


def test_an_accent_that_joins_the_letter_before_it_moves_no_other_name(model):
    """"a" and a combining accent are one letter to the tokenizer, shorter than the two apart."""
    _, spans = prompts.tokens_and_spans(model.text, ["\u0301", "and", "x"], before="a photo of a")
    assert spans == [[4], [6], [8]]                      # start a photo of á , and , x


# ---- lists longer than a prompt -----------------------------------------------------------------
@every_method
@pytest.mark.parametrize("names", [CONTEXT59, TOUCHING, FREE], ids=["context", "touching", "free"])
def test_every_method_takes_every_list(model, method, numbers, names):
    names = [name for name in names if model.text.pieces(name)]             # 4.x drops some signs
    result = minifaseg.segment(noise(), names, model, method=method, threshold=-1, **numbers)
    assert result.classes == tuple(names) and len(result.grid_scores) == len(names)
    assert result.grid_scores.isfinite().all() and result.labels.min() >= 1
    own = [(g, i) for g, span in result.captured.lookup.spans for i in span]
    assert len(own) == len(set(own))


@pytest.mark.slow
@every_method
def test_every_method_takes_as_many_names_as_a_mask(model, method, numbers):
    names = [f"{a}{b} thing" for a in "abcdefghijklmnop" for b in "abcdefghijklmnop"][:254]
    result = minifaseg.segment(noise(), names, model, method=method, threshold=-1, **numbers)
    assert len(result.grid_scores) == 254 and result.grid_scores.isfinite().all()


def asked_apart(how, model, names, between, before, after=""):
    """Captures of each part of the names, as if it were the whole list."""
    parts = prompts.split_to_fit(model.text, names, between, before, after)
    assert len(parts) > 1 and sum(parts, ()) == names
    return [how.capture(model, noise(), part) for part in parts]


@pytest.mark.parametrize("numbers", [{}, {"keys_only": True}, {"clusters": 4}], ids=str)
def test_iseg_asks_a_long_list_in_parts(exact, numbers):
    """Equal to one run for each part: its own prompt, its own view."""
    how = make_method("iseg", **numbers)
    names, words = CONTEXT59, ("a photograph of ", " and other object and background")
    apart = asked_apart(how, exact, names, " and ", *words)
    ours = how.scores(how.capture(exact, noise(), names))
    assert (ours - torch.cat([how.scores(part) for part in apart])).abs().max() <= 1e-9


def test_single_prompt_looks_the_rest_up_in_further_prompts(exact):
    """One P is seen, the same as with the dual prompt; the names it cannot hold are in the next."""
    how, names = make_method("faseg", dual=False), CONTEXT59
    captured = how.capture(exact, noise(), names)
    dual = make_method("faseg").capture(exact, noise(), names)
    for path, (q, k, _) in captured.record.items():
        assert torch.equal(q, dual.record[path].q) and torch.equal(k, dual.record[path].k)
    scores = [how.scores(captured, prompts.image_prompt(exact.text, part))
              for part in prompts.split_to_fit(exact.text, names)]
    assert len(scores) > 1
    assert (how.scores(captured) - torch.cat(scores)).abs().max() <= 1e-9


def test_leave_out_asks_about_a_class_with_a_prompt_that_holds_it(exact):
    """A word that P had no room for can be left out at no cost: it would never be missed."""
    how, names = make_method("leaveout", times=(100,), draws=1), CONTEXT59
    rise = how.capture(exact, noise(), names).rise
    apart = asked_apart(how, exact, names, ", ", "")
    assert (rise - torch.cat([part.rise for part in apart])).abs().max() <= 1e-9
    assert rise.abs().amax((1, 2)).min() > 1e-6


def test_parts_are_as_few_as_fit(model):
    """Against the fullest prompt by brute force, names of 1 to 9 tokens."""
    names = tuple(" ".join([chr(97 + i)] * (1 + i * 7 % 9)) for i in range(26))
    found = prompts.split_to_fit(model.text, names, before="words and (words) ; ", after="!")
    start = 0

    def fits(part):
        return len(model.text.pieces("words and (words) ; " + ", ".join(part) + "!")) <= 75
    for part in found:
        longest = max(n for n in range(1, 27) if fits(names[start:start + n]))
        assert part == names[start:start + longest]
        start += len(part)
    assert start == 26


@pytest.mark.parametrize("method", ["iseg", "diffsegmenter", "faseg:dual=False", "goca",
                                    "leaveout:times=(100,);draws=1"])
def test_evaluate_takes_all_names_of_a_data_set(method, capsys):
    """All 26 of the cartoon world, whose prompt holds 46 tokens: no picture left out, no traceback."""
    from minifaseg.evaluate.command import main
    with pytest.raises(SystemExit) as e:
        main(["cartoon", "--weights", "cartoon", "--device", "cpu", "--seeds", "7:8",
              "--candidates", "all", "--method", method])
    out, err = capsys.readouterr()
    assert e.value.code == 0 and "left out" not in err and "Traceback" not in err, err
    assert method.split(":")[0] in out


# ---- what no prompt can take --------------------------------------------------------------------
@pytest.mark.parametrize("method, numbers, room", [
    ("faseg", {}, 75), ("faseg", {"dual": False}, 75), ("wordings", {"wordings": ("{}",)}, 75),
    ("wordings", {"wordings": ("a {}", "red {}")}, 75 - 1),
    ("leaveout", {"times": (9,), "draws": 1}, 75),
    ("datasetdiffusion", {"timesteps": (9,)}, 75), ("diffseg", {}, 75), ("invseg", {"steps": 1}, 75),
    ("diffsegmenter", {"timesteps": (9,)}, 75 - 3), ("iseg", {}, 75 - 8),
    ("goca", {}, 75 - 2)])
def test_a_name_may_fill_the_prompt_and_no_more(model, method, numbers, room):
    fill = " ".join(["dog"] * room)
    result = minifaseg.segment(noise(), ["cat", fill], model, method=method, **numbers)
    assert result.grid_scores.isfinite().all()
    with pytest.raises(InputError, match=f"is {room + 1} tokens long.*a prompt holds 75") as e:
        minifaseg.segment(noise(), ["cat", f"{fill} dog"], model, method=method, **numbers)
    assert "\n" not in str(e.value) and len(str(e.value)) < 250


@pytest.mark.parametrize("method, numbers", [("faseg", {"dual": False}), ("leaveout", {"draws": 1})])
def test_a_caption_that_leaves_no_room_for_a_name(model, method, numbers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                  # that it is cut off, which is tested elsewhere
        with pytest.raises(InputError, match="'cat' is 1 tokens long, 76 with 'word .* around it"):
            minifaseg.segment(noise(), ["cat"], model, method=method, caption="word " * 74,
                              **numbers)


@pytest.mark.parametrize("method", ["iseg", "diffsegmenter"])
@pytest.mark.parametrize("template", ["a photo", "", "{} and {}", "{name}", "{0}", "{", "a\x1b {}"])
def test_a_template_without_one_place_for_names(method, template):
    with pytest.raises(InputError, match="template") as e:
        make_method(method, template=template)
    assert "\n" not in str(e.value)
