"""A finished result is used again only if it was made from the same: otherwise the next run gives
what a fresh one gives, byte for byte."""

import copy
import functools
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors import safe_open
from safetensors.torch import save_file

import minifaseg
from minifaseg import origin
from minifaseg.__main__ import main
from minifaseg.cartoon.painter import paint
from minifaseg.checkpoints.hub import CARTOON
from minifaseg.evaluate import command
from minifaseg.evaluate.class_names import VOC

really_load = minifaseg.load
EMBEDDING = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


@functools.cache
def load_content(weights, numbers, *arguments, **options):
    """w.safetensors as it is now; loaded once per content."""
    return really_load("w.safetensors", *arguments, **options)


def load(weights, *arguments, **options):
    assert weights == "w.safetensors"
    return load_content(
        Path(weights).read_bytes(), Path("w.json").read_bytes(), *arguments, **options
    )


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder with a copy of the cartoon model, whose content may change; no plots, which
    would take most of the time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(minifaseg, "load", load)
    monkeypatch.setattr(minifaseg, "__version__", minifaseg.__version__)  # so that it is put back
    monkeypatch.setattr(command.table, "plot", lambda *_: None)
    shutil.copy(CARTOON, "w.safetensors")
    shutil.copy(CARTOON.with_suffix(".json"), "w.json")
    yield
    origin.code_digest.cache_clear()


def contents(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()
    }


def in_place(path, change):
    """Changes a file and gives it its old times back; tells if its size is the old one, too."""
    before = os.stat(path)
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return os.stat(path).st_size == before.st_size


def change_one_word():
    """A word taught to one row of the embedding, as a textual inversion does."""
    with safe_open("w.safetensors", "pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}
    model = load("w.safetensors", "cpu")
    tensors[EMBEDDING][model.text.pieces("cow")[0]] *= -1
    assert in_place("w.safetensors", lambda: save_file(tensors, "w.safetensors", metadata))


# The main command


def segment(out, *arguments):
    words = ["cow", "wall", "floor"] if "sky" not in arguments else []
    assert (
        main(
            [
                "photos",
                *words,
                *arguments,
                "--weights",
                "w.safetensors",
                "--device",
                "cpu",
                "-o",
                out,
            ]
        )
        == 0
    )


def another_picture():
    pixels = np.asarray(Image.open("photos/a.bmp"))[:, ::-1]
    assert in_place("photos/a.bmp", lambda: Image.fromarray(pixels).save("photos/a.bmp"))


def another_scores_file():
    shutil.copy("out/b_scores.npz", "out/a_scores.npz")


def another_overlay():
    shutil.copy("out/b_overlay.png", "out/a_overlay.png")


def shrunk_mask():
    """By a tool that keeps the text chunks of a PNG."""
    mask, info = Image.open("out/a_mask.png"), PngInfo()
    mask.load()
    for key, text in mask.text.items():
        info.add_text(key, text)
    mask.resize((20, 20), Image.NEAREST).save("out/a_mask.png", pnginfo=info)


def half_a_mask():
    content = Path("out/a_mask.png").read_bytes()
    Path("out/a_mask.png").write_bytes(content[: len(content) // 2])


def newer_version():
    minifaseg.__version__ = "0.0.0"
    origin.code_digest.cache_clear()


def recommended_numbers():
    numbers = json.loads(Path("w.json").read_text())
    numbers["faseg"]["tau"] += 1
    Path("w.json").write_text(json.dumps(numbers))


CHANGES = {
    "nothing": (lambda: None, []),
    "picture": (another_picture, []),
    "classes": (lambda: None, ["sky", "cow"]),
    "threshold": (lambda: None, ["--threshold", "0.7"]),
    "caption": (lambda: None, ["--caption", "a cow on the floor"]),
    "weights": (change_one_word, []),
    "recommended numbers": (recommended_numbers, []),
    "scores of another": (another_scores_file, []),
    "overlay of another": (another_overlay, []),
    "mask shrunk": (shrunk_mask, []),
    "mask cut off": (half_a_mask, []),
    "version": (newer_version, []),
}
OF_ONE = ("picture", "scores of another", "overlay of another", "mask shrunk", "mask cut off")


@pytest.mark.parametrize("what", CHANGES)
def test_resume_gives_what_a_fresh_run_gives(what, capsys):
    os.mkdir("photos")
    for i, name in enumerate("ab"):
        paint(i).image.save(f"photos/{name}.bmp")
    segment("out", "--scores")
    capsys.readouterr()
    before = {path: os.stat(path).st_mtime_ns for path in Path("out").iterdir()}
    change, options = CHANGES[what]
    change()
    segment("out", "--scores", "--resume", *options)
    err = capsys.readouterr().err
    segment("fresh", "--scores", *options)
    assert contents("out") == contents("fresh")
    kept = {"nothing": 2, **dict.fromkeys(OF_ONE, 1)}.get(what, 0)
    assert ("pictures were done before" in err) == bool(kept) and ("made anew" in err) == (kept < 2)
    assert f"{kept} of 2 pictures were done before, with the same content" in err or not kept
    assert f"{2 - kept} of 2 pictures have files" in err or kept == 2
    if kept == 2:
        assert {path: os.stat(path).st_mtime_ns for path in Path("out").iterdir()} == before


def test_resume_writes_what_was_not_asked_for_before():
    os.mkdir("photos")
    paint(0).image.save("photos/a.bmp")
    segment("out")
    segment("out", "--scores", "--resume")
    segment("fresh", "--scores")
    assert contents("out") == contents("fresh") and len(contents("out")) == 3


def test_files_of_two_runs_are_not_taken_for_one():
    """A run with other words was killed between the scores and the mask."""
    os.mkdir("photos")
    paint(0).image.save("photos/a.bmp")
    segment("out", "--scores")
    segment("killed", "--scores", "sky", "cow")
    os.replace("killed/a_scores.npz", "out/a_scores.npz")
    segment("out", "--scores", "--resume")
    segment("fresh", "--scores")
    assert contents("out") == contents("fresh")


def test_standard_input_is_never_taken_for_what_it_was(monkeypatch, capsys):
    for seed in (0, 1):
        png = io.BytesIO()
        paint(seed).image.save(png, "PNG")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(png.getvalue())))
        assert (
            main(
                [
                    "-",
                    "cow",
                    "wall",
                    "--weights",
                    "w.safetensors",
                    "--device",
                    "cpu",
                    "-o",
                    "out",
                    "--resume",
                ]
            )
            == 0
        )
    expected = minifaseg.segment(
        paint(1).image, ["cow", "wall"], load("w.safetensors", "cpu")
    ).labels
    assert (np.asarray(Image.open("out/stdin_mask.png")) == expected).all()


def test_masks_are_plain_png_files():
    """Pillow verifies every chunk; the seal is a text that names this package."""
    os.mkdir("photos")
    paint(0).image.save("photos/a.bmp")
    segment("out")
    with Image.open("out/a_mask.png") as image:
        image.verify()
    with Image.open("out/a_mask.png") as image:
        image.load()
        assert image.mode == "P" and set(image.text) == {"minifaseg"}


# What tells one model from another


def test_a_copy_of_the_weights_is_the_same_model():
    shutil.copy("w.safetensors", "copy.safetensors")
    shutil.copy("w.json", "copy.json")
    digests = {
        origin.weights_digest(really_load(name, "cpu"))
        for name in ("w.safetensors", "copy.safetensors", "cartoon")
    }
    assert len(digests) == 1


def test_every_part_of_a_model_counts():
    model = really_load("cartoon", "cpu")
    seen = {origin.weights_digest(model)}
    for part in ("unet", "vae", "text"):
        other = copy.copy(model)
        net = copy.deepcopy(getattr(model, part))
        last = list(net.parameters())[-1]
        last.view(-1)[-1] += 1  # one number of one tensor
        setattr(other, part, net)
        seen.add(origin.weights_digest(other))
    other = copy.copy(model)
    other.notes = model.notes | {"side": 64}
    seen |= {
        origin.weights_digest(other),
        origin.weights_digest(really_load("cartoon", "cpu", "bfloat16")),
    }
    model.decode(torch.zeros(1, 4, 8, 8))  # reads the decoder, which no result depends on
    assert len(seen) == 6 and origin.weights_digest(model) in seen


# The evaluation

CLASS = {name: i for i, (name, _) in enumerate(VOC, 1)}


def write_voc():
    """Three cartoon scenes in VOC's folders, with VOC's own numbers for the things that both worlds
    have."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        os.makedirs(f"VOC2012/{folder}")
    words = minifaseg.cartoon.words.CLASSES
    for i in range(3):
        scene = paint(i, things=("cat", "dog"))
        scene.image.save(f"VOC2012/JPEGImages/p{i}.jpg")
        values = np.zeros(256, np.uint8)
        values[[words.index(name) + 1 for name in ("cat", "dog")]] = CLASS["cat"], CLASS["dog"]
        Image.fromarray(values[scene.labels]).save(f"VOC2012/SegmentationClass/p{i}.png")
    Path("VOC2012/ImageSets/Segmentation/val.txt").write_text("p0\np1\np2\n")
    Path("names.json").write_text(json.dumps({f"p{i}": ["cat", "dog"] for i in range(3)}))
    Path("captions.json").write_text(json.dumps({f"p{i}": "a cat and a dog" for i in range(3)}))


def evaluate(out, *arguments):
    asked = [
        "voc",
        "--root",
        "VOC2012",
        "--partial",
        "--weights",
        "w.safetensors",
        "--device",
        "cpu",
        "--method",
        "faseg:flip=False",
        "--candidates",
        "names.json",
        "--captions",
        "captions.json",
        "--out",
        out,
        *arguments,
    ]
    assert command.run(command.parser().parse_args(asked)) == 0


def corrected_label():
    path = "VOC2012/SegmentationClass/p1.png"
    values = np.asarray(Image.open(path))
    swapped = np.where(
        values == CLASS["cat"], CLASS["dog"], np.where(values == CLASS["dog"], CLASS["cat"], values)
    )
    in_place(path, lambda: Image.fromarray(swapped.astype(np.uint8)).save(path))


def other_jpeg():
    path = "VOC2012/JPEGImages/p1.jpg"
    in_place(
        path,
        lambda: (
            paint(1, things=("dog", "cat"))
            .image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            .save(path)
        ),
    )


def entry(file, value):
    def change():
        entries = json.loads(Path(file).read_text())
        Path(file).write_text(json.dumps(entries | {"p1": value}, indent=2))

    return change


def shorter_list():
    Path("VOC2012/ImageSets/Segmentation/val.txt").write_text("p2\np0\n")


def lost_mask():
    os.remove("masks/faseg_flip=False/p1.png")


def painted_mask():
    shutil.copy("masks/faseg_flip=False/p0.png", "masks/faseg_flip=False/p1.png")


DATA = {
    "nothing": (lambda: None, 3),
    "label": (corrected_label, 2),
    "picture": (other_jpeg, 2),
    "names": (entry("names.json", ["cat"]), 2),
    "caption": (entry("captions.json", "a cat"), 2),
    "same names, other order": (entry("names.json", ["dog", "Cat"]), 3),
    "list": (shorter_list, 2),
    "weights": (change_one_word, 0),
    "recommended numbers": (recommended_numbers, 0),
    "lost mask": (lost_mask, 2),
    "another's mask": (painted_mask, 2),
    "version": (newer_version, 0),
}


@pytest.mark.parametrize("what", DATA)
def test_the_same_evaluation_again_gives_what_a_fresh_one_gives(what, capsys):
    write_voc()
    evaluate("out", "--save-masks", "masks")
    capsys.readouterr()
    change, kept = DATA[what]
    change()
    evaluate("out", "--save-masks", "masks")
    err = capsys.readouterr().err
    evaluate("fresh", "--save-masks", "fresh-masks")
    for name in ("table.md", "table.csv", "table.json"):
        assert Path("out", name).read_bytes() == Path("fresh", name).read_bytes()
    assert contents("fresh-masks").items() <= contents("masks").items()
    total = 2 if what == "list" else 3
    assert (
        f"{kept} of {total} pictures were done before, with the same data, lists, weights and numbers: reused"
        in err
    ) == bool(kept)
    assert (f"{total - kept} of {total} pictures were done before with other data" in err) == (
        kept < total
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--sweep", "threshold=0.3:0.5:0.1"],
        ["--unsupervised", "--method", "diffseg"],
        ["--shuffle-classes", "2"],
    ],
)
def test_an_evaluation_again_with_masks_that_were_not_asked_for_before(options, capsys):
    write_voc()
    evaluate("out", *options)
    capsys.readouterr()
    evaluate("out", *options, "--save-masks", "masks")
    assert "3 of 3 pictures were done before with other data" in capsys.readouterr().err
    evaluate("fresh", *options, "--save-masks", "fresh-masks")
    assert contents("masks") == contents("fresh-masks") and len(contents("masks")) in (3, 9)
    assert Path("out/table.json").read_bytes() == Path("fresh/table.json").read_bytes()


def test_a_label_that_is_put_back_finds_its_old_line(capsys):
    write_voc()
    evaluate("out")
    first = Path("out/table.json").read_bytes()
    corrected_label()
    evaluate("out")
    assert Path("out/table.json").read_bytes() != first
    corrected_label()
    capsys.readouterr()
    evaluate("out")
    assert (
        Path("out/table.json").read_bytes() == first
        and "3 of 3 pictures were done before" in capsys.readouterr().err
    )


SLOWLY_HASHED = """
import sys, time
import torch
from minifaseg import origin
from minifaseg.__main__ import main

digest = origin.weights_digest

def slow(model):
    end = time.monotonic() + 2
    while time.monotonic() < end:
        torch.randn(64, 64) @ torch.randn(64, 64)
    return digest(model)

origin.weights_digest = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_run_that_ends_before_its_weights_are_hashed(tmp_path):
    """No picture to write, so nobody waits for the digest: the process still ends in order."""
    (tmp_path / "x.png").write_text("no picture")
    command = [sys.executable, "-c", SLOWLY_HASHED, "x.png", "cat", "--weights", "w.safetensors"]
    root = str(Path(minifaseg.__file__).parents[1])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": root}, text=True,
                          capture_output=True)
    assert done.returncode == 1 and "terminate" not in done.stderr, done.stderr
