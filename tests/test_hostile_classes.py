"""Class lists that are odd, endless or made to do harm: each name works as it is, or one line says why not."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from test_cli import CARTOON, ENV, files, here, load_once, no_model, run  # noqa: F401 (here and run are fixtures)
from test_images import noise

import minifaseg
from minifaseg.checkpoints.tokenizer import read_tokenizer
from minifaseg.images import PALETTE, overlay
from minifaseg.prompts import class_prompts, clean_classes

FREE = ["🐈", "👨‍👩‍👧‍👦", "❤️", "قطة على سجادة", "חתול", "猫", "re\u0301sume\u0301", "Z̷̡̛a̴l̸g̶o", "می\u200cخواهم", "\u202ecat", "\u0301", "\u2800", "\ue000", "\U0010ffff",
        "$(touch made)", "; touch made", "`touch made`", "'\"", "a && b | c > made", "%s%n{}\\0", "<|endoftext|>", "../../etc/passwd", "-", ". . .", "'s",
        "a name of many words that goes on and on until the legend of the overlay has no room left for it, and then still some"]


@pytest.fixture(scope="module")
def model(folder):
    """SD 1.5's plan with CLIP's own vocabulary and random weights, which look at 64 x 64 pixels."""
    model = minifaseg.load(folder, device="cpu")
    model.notes = {"side": 64}
    return model


def refused(classes, *words):
    with pytest.raises(minifaseg.InputError) as e:
        clean_classes(classes)
    text = str(e.value)
    assert "\n" not in text and len(text) < 300 and all(word in text for word in words), text
    text.encode()                                        # prints anywhere


# Names that work

@pytest.mark.parametrize("name", FREE, ids=ascii)
def test_any_text_is_a_name(model, name):
    picture = noise()
    if not model.text.pieces(name):                      # the tokenizer of transformers 4 drops unassigned signs
        with pytest.raises(minifaseg.InputError, match="no letter that the model's tokenizer takes"):
            minifaseg.segment(picture, [name, "dog"], model)
        return
    result = minifaseg.segment(picture, [name, "dog"], model, flip=False, threshold=0)
    assert result.classes == (name, "dog") and np.isfinite(result.scores).all() and set(np.unique(result.labels)) <= {1, 2}
    page = overlay(picture, result.labels, result.classes)
    assert page.width < 1300 and tuple(PALETTE[result.labels[0, 0]].tolist()) in {c for _, c in page.crop((0, 384, *page.size)).getcolors(1 << 20)}


@pytest.mark.parametrize("n", [1, 2, 100, 254])
def test_as_many_classes_as_a_mask_can_number(model, n):
    result = minifaseg.segment(noise(), [f"thing {i}" for i in range(n)], model, flip=False, threshold=0)
    assert len(result.classes) == n and np.isfinite(result.scores).all() and 1 <= result.labels.min() <= result.labels.max() <= n
    assert overlay(noise(), result.labels, result.classes).height < 6000


def test_blanks_are_tidied():
    assert clean_classes(["hot\tdog", " teddy\n bear\r\n", "a\u3000b\u00a0c\u2028d"]) == ("hot dog", "teddy bear", "a b c d")


def test_names_that_only_look_alike_in_part():
    for pair in ("cat", "cats"), ("ä", "a"), ("猫", "犬"), ("👨", "👩"), ("cat dog", "catdog"):
        assert clean_classes(pair) == pair


@pytest.mark.parametrize("names", [("cat", "hot dog", "cat, hot"), ("a, b", "b", "a", "b, a"), ("dog", "hot dog", "hot", "dog , hot")])
def test_every_name_is_looked_up_at_its_own_place(model, names):
    """Also where names hold commas, so that one reads like the end of a second and the start of a third."""
    pieces = [model.text.pieces(name) for name in names]
    look = class_prompts(model.text, names)
    row = model.text.ids([p for i, name in enumerate(pieces) for p in (model.text.pieces(",") if i else []) + name]).tolist()
    assert [[row[k] for k in span] for _, span in look.spans] == pieces
    assert [k for _, span in look.spans for k in span] == sorted({k for _, span in look.spans for k in span})
    assert minifaseg.segment(noise(), names, model, flip=False).classes == names


# Names that do not

@pytest.mark.parametrize("classes, words", [
    ([], ["no class"]), ("", ["empty"]), (" ", ["empty"]), (",,,", ["class 1 of 4 is empty"]), (["cat", "\t\n"], ["class 2 of 2 is empty"]),
    (["\u200b\u200d\ufeff"], ["empty"]), (["\u3000"], ["empty"]), (["\xad"], ["empty"]),
    (["cat", "a\0b"], ["class 2 of 2", r"'\x00'", "UTF-8"]), (["\x1b[31mred"], [r"'\x1b'"]), (["\x9b31mred"], [r"'\x9b'"]), (["\x7f"], [r"'\x7f'"]),
    ([os.fsdecode(b"caf\xe9")] if os.name == "posix" else ["caf\udce9"], [r"'\udce9'", "UTF-8"]), (["\ud83d"], [r"'\ud83d'"]),
    ([f"c{i}" for i in range(255)], ["255 classes", "254"]), ([f"c{i}" for i in range(300)], ["300 classes"]),
    (["x" * 10000] * 2, ["twice"])], ids=lambda value: ascii(value)[:40])
def test_lists_that_are_refused(classes, words):
    refused(classes, *words)


@pytest.mark.parametrize("pair", [("cat", "cat"), ("cat", "CAT"), ("straße", "STRASSE"), ("caf\u00e9", "cafe\u0301"), ("cat", "ｃａｔ"), ("CAT", "ｃａｔ"),
                                  ("cat", "c\u200bat"), ("cat", "\ufeffcat"), ("hot dog", "hot\u3000dog"), ("ﬁsh", "fish"), ("Σ", "ς")], ids=ascii)
def test_the_same_name_in_disguise(pair):
    refused(pair, "twice")


@pytest.mark.parametrize("name", ["w" * 10000, "x " * 5000, "=" * 10000, "猫" * 10000, "\u0301" * 10000], ids=lambda name: ascii(name)[:10])
def test_a_name_longer_than_a_prompt(model, name):
    with pytest.raises(minifaseg.InputError, match=r"tokens long; a prompt holds 75") as e:
        minifaseg.segment(noise(), ["cat", name], model)
    assert len(str(e.value)) < 400


def test_captions(model):
    with pytest.raises(minifaseg.InputError, match="the caption holds"):
        minifaseg.segment(noise(), ["cat"], model, caption="caf\udce9")
    with pytest.warns(UserWarning, match="first 75 of them"):
        assert minifaseg.segment(noise(), ["cat"], model, caption="word " * 10000, flip=False).labels.shape == (48, 64)


# The command line

@pytest.mark.parametrize("arguments", [[""], [" "], [","], [",,,"], ["wall", "WALL"], ["wall", "ｗａｌｌ"], ["\u200b"], ["a\x1bb"], ["caf\udce9"],
                                       [",".join(f"c{i}" for i in range(300))]], ids=lambda value: ascii(value)[:30])
def test_a_bad_list_costs_one_line_and_no_model(run, monkeypatch, arguments):
    monkeypatch.setattr(minifaseg, "load", no_model)
    code, out, err = run("x.png", *arguments)
    assert code == 2 and out == "" and len(err.splitlines()) == 1 and files() == ["x.png"]


@pytest.mark.parametrize("arguments", [["w" * 10000], [f"word{i}" for i in range(254)], FREE, ["$(touch made)"]], ids=lambda value: ascii(value)[:20])
def test_many_unknown_words_still_make_one_line(run, arguments):
    code, out, err = run("x.png", *arguments)
    assert code == 2 and len(err.splitlines()) == 2 and len(err.splitlines()[1]) < 1500 and "does not know" in err and files() == ["x.png"]


def test_free_names_from_end_to_end(run, folder):
    names = [name for name in FREE if name != "-" and "," not in name]         # standard input; two names
    tokenizer = read_tokenizer(folder / "tokenizer")                           # transformers 4's drops private signs
    names = [name for name in names if tokenizer(name, add_special_tokens=False)["input_ids"]]
    assert len(names) > 10
    code, out, err = run("x.png", "--weights", str(folder), "--no-flip", "--json", "--", *names)
    assert code == 0 and out.isascii() and [c["name"] for c in json.loads(out)["classes"]] == names, err
    assert files() == ["x.png", "x_mask.png", "x_overlay.png"] and Image.open("x_overlay.png").format == "PNG"


@pytest.mark.skipif(os.name != "posix", reason="arguments are bytes")
def test_bytes_that_are_no_text_in_a_poor_locale():
    done = subprocess.run([sys.executable, "-m", "minifaseg", *CARTOON, "x.png", b"caf\xe9"], env=ENV | {"LC_ALL": "C", "PYTHONUTF8": "0"}, capture_output=True)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"class 1 of 1 holds" in done.stderr and files() == ["x.png"]
