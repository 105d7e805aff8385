"""The command line, end to end on painted scenes with the cartoon model."""
import functools
import io
import json
import os
import signal
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import minifaseg
from minifaseg.__main__ import main
from minifaseg.arguments import sort_out
from minifaseg.cartoon.painter import paint
from minifaseg.checkpoints.hub import CARTOON as CARTOON_FILE
from minifaseg.evaluate.command import main as evaluate
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.rows import make_row
from minifaseg.images import PALETTE
from minifaseg.pictures.formats import FORMATS, HEAD, format_of
from minifaseg.pictures.opening import ahead

SCENE = paint(7)
CLASSES = list(SCENE.classes)
CARTOON = ["--weights", "cartoon", "--device", "cpu"]
ENV = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(minifaseg.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
load_once = functools.cache(minifaseg.load)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test runs in an empty folder with one painted picture, x.png; the model stays loaded from test to test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(minifaseg, "load", load_once)
    SCENE.image.save("x.png")


@pytest.fixture
def run(capsys):
    """run("x.png", "cat") -> (exit code, stdout, stderr); none leaves a temporary file."""
    def run(*arguments):
        try:
            code = main([*CARTOON, *arguments])
        except SystemExit as e:                          # argparse's own
            code = e.code
        assert not list(Path().rglob(".*.tmp"))
        return code, *capsys.readouterr()
    return run


def no_model(*arguments, **options):
    raise AssertionError("the model was loaded although the request makes no sense")


def process(*arguments, **options):
    """The same as a process of its own, with a working Ctrl-C even where the test run ignores it."""
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); " \
           "from minifaseg.__main__ import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **options)


def files():
    return sorted(str(p) for p in Path().rglob("*") if p.is_file())


# What it makes

def test_one_picture(run):
    code, out, err = run("x.png", *CLASSES)
    assert code == 0 and files() == ["x.png", "x_mask.png", "x_overlay.png"]
    mask = Image.open("x_mask.png")
    labels = minifaseg.segment(SCENE.image, CLASSES, load_once("cartoon", device="cpu")).labels
    assert mask.mode == "P" and (np.asarray(mask) == labels).all()
    assert min(Image.open("x_overlay.png").size) >= 384
    for i, name in enumerate(["background", *CLASSES]):
        line = next(line for line in out.splitlines() if line.split()[:1] == [name])
        assert line.split()[1] == f"{(labels == i).mean():.1%}"
    assert "x_mask.png" in out and "x_overlay.png" in out
    assert "cartoon" in err and "python weights.py download" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("method", minifaseg.METHODS)
def test_every_method(run, method):
    code, out, _ = run("x.png", *CLASSES, "--method", method)
    labels = minifaseg.segment(SCENE.image, CLASSES, load_once("cartoon", device="cpu"), method=method).labels
    assert code == 0 and (np.asarray(Image.open("x_mask.png")) == labels).all() and len(np.unique(labels)) > 1


@pytest.mark.parametrize("method", minifaseg.UNSUPERVISED)
def test_nameless_segments(run, method):
    code, out, _ = run("x.png", "--method", method)
    assert code == 0 and "segment 1" in out and np.asarray(Image.open("x_mask.png")).min() >= 1
    code, _, err = run("no-such.png", "--method", method)
    assert code == 1 and "no-such.png" in err


def test_json_lines_and_scores(run):
    paint(8, size=100).image.save("y.png")
    code, out, err = run("x.png", "y.png", "--json", "--scores", "-o", "made/here", *CLASSES)
    assert code == 0 and len(out.splitlines()) == 2
    for line, size in zip(out.splitlines(), (128, 100)):
        d = json.loads(line)
        assert set(d) == {"schema", "image", "mask", "overlay", "scores", "size", "classes", "seconds", "device", "weights"}
        assert d["schema"] == 1 and d["size"] == [size, size] and d["device"] == "cpu" and d["seconds"] > 0
        ids, scores = np.asarray(Image.open(d["mask"])), np.load(d["scores"])
        assert Path(d["mask"]).parent == Path(d["overlay"]).parent == Path("made/here") and Path(d["overlay"]).exists()
        assert [c["name"] for c in d["classes"]] == CLASSES == scores["classes"].tolist()
        for i, c in enumerate(d["classes"], 1):
            assert c["id"] == i and c["color"] == PALETTE[i].tolist()
            assert c["pixels"] == (ids == i).sum() and c["share"] == pytest.approx((ids == i).mean())
        assert scores["scores"].shape == (len(CLASSES), size, size) and scores["scores"].dtype == np.float32
        assert (scores["scores"].argmax(0) + 1 == ids)[ids > 0].all()


def test_options_arrive(run):
    def labels(*options):
        code, out, err = run("x.png", *CLASSES, "-o", "a.png", "--force", *options)
        assert code == 0, err
        return np.asarray(Image.open("a.png"))

    assert not labels("--threshold", "2").any() and labels("--threshold", "-1").all()
    model, caption = load_once("cartoon", device="cpu"), "a cow on the floor"
    for options, numbers in ((["--no-flip"], {"flip": False}), (["--caption", caption], {"caption": caption}),
                             (["--seed", "5"], {"seed": 5}), (["--method", "faseg"], {}), (["--method", "invseg", "--no-inversion"], {"method": "invseg", "steps": 0})):
        assert (labels(*options) == minifaseg.segment(SCENE.image, CLASSES, model, **numbers).labels).all()


@pytest.mark.parametrize("spec, method, numbers", [
    ("faseg:tau=0;flip=False", "faseg", {"tau": 0, "flip": False}),
    ("faseg:levels=(0,0,1,0)", "faseg", {"levels": (0, 0, 1, 0)}),
    ("iseg:iterations=4;threshold=0.9", "iseg", {"iterations": 4, "threshold": 0.9}),
])
def test_numbers_of_a_method_as_evaluate_takes_them(run, spec, method, numbers):
    code, out, err = run("x.png", *CLASSES, "--method", spec, "--seed", "5")
    model, row = load_once("cartoon", device="cpu"), make_row(spec, None, open_dataset("cartoon"))
    assert (row.name, {name: getattr(row.method, name) for name in numbers}) == (method, numbers)
    segment = functools.partial(minifaseg.segment, SCENE.image, CLASSES, model, method=method,
                                seed=5)
    expected = segment(**numbers).labels
    assert code == 0 and (np.asarray(Image.open("x_mask.png")) == expected).all(), err
    assert (expected != segment().labels).any()


def test_numbers_that_only_the_model_refuses(run):
    code, out, err = run("x.png", "wall", "--method", "faseg:timestep=1000")
    assert code == 2 and "timestep" in err and "Traceback" not in err and files() == ["x.png"]


# Masks read elsewhere

def lines_that_read_a_mask():
    """The lines of the code block that follows <!-- read a mask -->."""
    page = Path(minifaseg.__file__).parents[1] / "tutorial" / "usage.md"
    after = page.read_text(encoding="utf-8").partition("<!-- read a mask -->")[2]
    return after.partition("```python\n")[2].partition("```")[0].splitlines()


@pytest.mark.parametrize("number", range(4))
def test_the_page_reads_a_mask(run, number):
    """Each line where its library is installed; Pillow always is."""
    lines = lines_that_read_a_mask()
    assert len(lines) == 4 and all(line.startswith("ids = ") for line in lines)
    names = {"np": np, "PIL": PIL}
    for name in ("cv2", "mmcv", "torchvision"):
        if f"{name}." in lines[number]:
            names[name] = pytest.importorskip(name)
    SCENE.image.save("photo.jpg")
    assert run("photo.jpg", *CLASSES)[0] == 0
    assert run("photo.jpg", *CLASSES, "--gray", "-o", "gray")[0] == 0
    exec(lines[number], names)
    labels = minifaseg.segment("photo.jpg", CLASSES, load_once("cartoon", device="cpu")).labels
    assert len(np.unique(labels)) > 2 and np.array_equal(np.asarray(names["ids"]), labels)


def test_grey_masks(capfdbinary):
    assert main([*CARTOON, "x.png", *CLASSES, "-o", "colours.png"]) == 0
    assert main([*CARTOON, "x.png", *CLASSES, "-o", "grey.png", "--gray"]) == 0
    capfdbinary.readouterr()
    colours, grey = Image.open("colours.png"), Image.open("grey.png")
    assert (colours.mode, grey.mode) == ("P", "L") and colours.tobytes() == grey.tobytes()
    assert Path("colours_overlay.png").read_bytes() == Path("grey_overlay.png").read_bytes()
    assert main([*CARTOON, "x.png", *CLASSES, "--gray", "-o", "-"]) == 0
    piped = Image.open(io.BytesIO(capfdbinary.readouterr().out))
    assert piped.mode == "L" and piped.tobytes() == grey.tobytes()


# Pipes

def test_stdin_to_stdout():
    job = process(*CARTOON, "-", *CLASSES, "-o", "-", stdin=subprocess.PIPE)
    out, err = job.communicate(Path("x.png").read_bytes())
    assert job.returncode == 0 and files() == ["x.png"], err
    labels = minifaseg.segment(SCENE.image, CLASSES, load_once("cartoon", device="cpu")).labels
    assert (np.asarray(Image.open(io.BytesIO(out))) == labels).all()
    assert b"background" in err and CLASSES[0].encode() in err


def test_stdin_to_files(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("x.png").read_bytes())))
    assert run("-", *CLASSES)[0] == 0 and files() == ["stdin_mask.png", "stdin_overlay.png", "x.png"]


# Which arguments are pictures

def images_of(out):
    return [json.loads(line)["image"] for line in out.splitlines()]


def test_folders_and_patterns(run):
    os.makedirs("photos/deeper")
    for name in ("d.png", "b.png", "e.png", "a.JPG", "c.png", "._a.jpg", "old_mask.png", "old_overlay.png", "notes.txt",
                 "deeper/c.png"):
        SCENE.image.save(f"photos/{name}", "PNG")
    code, out, err = run("photos", "--json", "wall", "cow", "-o", "out")
    assert code == 0 and images_of(out) == [os.path.join("photos", n) for n in ("a.JPG", "b.png", "c.png", "d.png", "e.png")]
    code, out, err = run("photos/[bd].png", "x.png", "./x.png", "--json", "wall", "cow", "-o", "out2")
    assert code == 0 and len(images_of(out)) == 3 and images_of(out)[:2] == ["photos/b.png", "photos/d.png"]    # x.png once


def save_as(path, format):
    """The scene in any format, whatever the path ends in; False where this Pillow lacks it."""
    Image.init()
    if format in Image.SAVE:
        SCENE.image.save(path, format)
    return format in Image.SAVE


def test_a_folder_gives_every_kind_of_picture_that_a_name_gives():
    """By the end of the name, however written, and by content where that does not tell."""
    os.mkdir("photos")
    made = []
    for format, suffixes in FORMATS.items():
        for suffix in (*suffixes, suffixes[0].upper(), ".unheard-of", ""):
            path = os.path.join("photos", f"{format}{len(made)}{suffix}")
            made += [path] * save_as(path, format)
    with warnings.catch_warnings():
        warnings.simplefilter("error")                   # nothing is passed over
        assert sort_out(["photos", "cat"]) == (sorted(made), ("cat",))
        assert sort_out(["photos/*", "cat"]) == (sorted(made), ("cat",))
    assert len(made) > 30 and all(sort_out([path, "cat"])[0] == [path] for path in made)


def test_a_folder_of_one_kind(run):
    os.mkdir("photos")
    SCENE.image.save("photos/a.jfif", "JPEG")
    code, out, err = run("photos", "wall")
    assert code == 0 and "photos/a_mask.png" in files() and len(err.splitlines()) == 1


def test_what_is_passed_over_is_counted_in_one_line(run):
    os.makedirs("photos/deeper")
    for name in ("b.png", "b_mask.png", "b_overlay.png", "._b.png", ".unfinished.part"):
        SCENE.image.save(f"photos/{name}", "PNG")
    SCENE.image.save("photos/raw.NEF", "TIFF")           # a camera's raw file begins like a TIFF
    for name, data in (("notes.txt", b"notes"), ("a.heic", b""), ("c.heic", b""), ("empty", b""),
                       ("README", b"P1 is no bitmap"), ("BMW", b"BM is a car")):
        Path("photos", name).write_bytes(data)
    if hasattr(os, "mkfifo"):
        os.mkfifo("photos/pipe")
        os.symlink("gone", "photos/link.png")
    code, out, err = run("photos", "wall", "--force")
    line, = [line for line in err.splitlines() if "passed over" in line]
    assert code == 0 and line.startswith("minifaseg: photos: 1 taken as pictures, ")
    for words in (".heic (2)", ".txt (1)", ".nef (1)", "folder (1)", "without suffix (3)",
                  "hidden (2)", "result of an earlier run (2)"):
        assert words in line
    if hasattr(os, "mkfifo"):
        assert "pipe or device (1)" in line and "link to nothing (1)" in line
        assert "14 passed over:" in line
    code, out, err = run("photos/*.heic", "wall")
    assert code == 2 and "no picture matches (.heic (2))" in err
    os.remove("photos/b.png")
    code, out, err = run("photos", "wall")
    assert code == 2 and len(err.splitlines()) == 1
    assert "a folder without pictures (" in err and ".heic (2)" in err


@pytest.mark.filterwarnings("ignore:IM image format")
def test_no_content_of_a_folder_becomes_a_bad_picture_by_chance():
    """First bytes that many a text has are not enough: BM, P1 and four small numbers."""
    for start in (b"BMW drives", b"P1 is first", b"P6\tand more", b"\0\0\1\0\0\0", b"II are two",
                  b"RIFF....WAVE", b"\xff\xd8", b"ftypavif"):
        assert format_of(start + bytes(100)) is None
    Image.init()
    for format in FORMATS:
        if format in Image.SAVE:
            data = io.BytesIO()
            SCENE.image.save(data, format)
            assert format_of(data.getvalue()[:HEAD]) == format
    for format in sorted(set(Image.SAVE) - set(FORMATS) - {"MPO"}):
        data = io.BytesIO()
        try:
            SCENE.image.save(data, format)
        except (OSError, ValueError):                    # no RGB, or no writer in Pillow alone
            continue
        assert format_of(data.getvalue()[:HEAD]) is None, format


@pytest.mark.parametrize("path", [
    "photo.avif", "photo.AVIF", "photo.jfif", "IMG_1.HEIC", "raw.nef", "drawing.svg", "page.html",
    "photos/one", "./one", "../one", "/nowhere/one", "photos/", "~/one"])
def test_a_path_that_does_not_exist_is_no_class(run, path):
    if path == "photos/one":
        os.mkdir("photos")
    assert sort_out(["x.png", path, "wall"]) == (["x.png", path], ("wall",))
    code, out, err = run("x.png", path, "wall", "--json")
    assert code == 1 and f"{path}: no such file" in err
    assert [c["name"] for c in json.loads(out)["classes"]] == ["wall"]
    assert sort_out(["x.png", path + " "])[1] == (path,)                    # a blank makes a class


def test_a_picture_within_a_list_of_names(run):
    code, out, err = run("x.png", "photo.avif, wall")
    assert code == 2 and "photo.avif ends like a file, but stands among class names" in err


@pytest.mark.parametrize("name", ["St. Bernard", "E.coli", "node.js", "bed/sofa", "Dr. Pepper",
                                  "a.k.a", "7.62 mm", "what?", "wall-other"])
def test_names_that_only_look_a_little_like_a_path(name):
    assert sort_out(["x.png", "wall", name]) == (["x.png"], ("wall", name))


def test_a_folder_that_cannot_be_read(run, monkeypatch):
    def listdir(folder):
        raise PermissionError(13, "Permission denied")
    os.mkdir("photos")
    with monkeypatch.context() as m:                     # root may read everything
        m.setattr(os, "listdir", listdir)
        code, out, err = run("photos", "wall")
    assert code == 2 and "photos: cannot be read (Permission denied)" in err


def test_classes_with_commas_blanks_and_in_between(run):
    code, out, err = run("x.png", "wall,  floor", "--json", "cow ")
    assert code == 0 and [c["name"] for c in json.loads(out)["classes"]] == ["wall", "floor", "cow"]


def test_a_folder_named_like_a_class(run):
    os.mkdir("cow")
    code, out, err = run("x.png", "cow", "wall")
    assert code == 2 and '"cow "' in err
    code, out, err = run("x.png", "cow ", "wall", "--json")
    assert code == 0 and [c["name"] for c in json.loads(out)["classes"]] == ["cow", "wall"]


# One bad picture

def test_one_bad_picture_does_not_stop_the_run(run):
    os.mkdir("photos")
    for name in ("a.png", "c.png"):
        SCENE.image.save(f"photos/{name}")
    Path("photos/b.png").write_bytes(Path("x.png").read_bytes()[:500])
    code, out, err = run("photos", "gone.jpg", "wall", "cow")
    assert code == 1
    assert {"photos/a_mask.png", "photos/c_mask.png"} < set(files()) and "photos/b_mask.png" not in files()
    bad = [line for line in err.splitlines() if "b.png" in line or "gone.jpg" in line]
    assert len(bad) == 2 and "2 of 4 pictures failed" in err and "Traceback" not in err


def test_a_warning_is_one_line(run):
    SCENE.image.save("a.gif", save_all=True, append_images=[paint(8).image])
    code, out, err = run("a.gif", "wall")
    assert code == 0 and "minifaseg: a.gif: several frames" in err and len(err.splitlines()) == 2


def test_debug_shows_the_traceback(run):
    Path("b.png").write_bytes(b"no picture")
    assert "Traceback" not in run("b.png", "wall")[2]
    code, out, err = run("b.png", "wall", "--debug")
    assert code == 1 and "Traceback" in err and "not a picture" in err


def test_missing_pictures_do_not_wait_for_the_model(run, monkeypatch):
    monkeypatch.setattr(minifaseg, "load", no_model)
    code, out, err = run("gone.jpg", "gone2", "wall")
    assert code == 1 and err.count("\n") == 1 and "gone.jpg: no such file" in err


def test_too_many_pixels(run):
    code, out, err = run("x.png", "wall", "--max-pixels", "16383")
    assert code == 1 and "x.png" in err and "--max-pixels" in err
    assert run("x.png", "wall", "--max-pixels", "16384")[0] == 0


@pytest.mark.parametrize("text", ["CUDA out of memory. Tried to allocate 2.00 GiB\nmany lines",
                                  "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"])
def test_out_of_memory_is_said_in_one_line(text, run, monkeypatch):
    def segment_many(*arguments, **options):
        raise RuntimeError(text)
    monkeypatch.setattr(minifaseg, "segment_many", segment_many)
    code, out, err = run("x.png", "wall")
    assert code == 1 and "x.png: out of memory" in err and len(err.splitlines()) == 2


def test_a_place_that_cannot_be_written(run):
    Path("file").write_bytes(b"")
    os.mkdir("y_mask.png")
    SCENE.image.save("y.png")
    code, out, err = run("x.png", "y.png", "wall", "--force")
    assert code == 1 and "y_mask.png: cannot be written" in err and "x_mask.png" in files()
    code, out, err = run("x.png", "wall", "-o", "file/deeper")
    assert code == 1 and "cannot be written" in err


def test_weights_that_are_not_there(run):
    code, out, err = run("x.png", "wall", "--weights", "nowhere.safetensors")
    assert code == 1 and "nowhere.safetensors" in err and len(err.splitlines()) == 1 and files() == ["x.png"]


def test_weights_that_compute_nothing(run):
    """They are to blame, not the words and not a picture: one line, exit code 1, and no second picture is tried."""
    with safe_open(CARTOON_FILE, "pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}
    tensors["model.diffusion_model.time_embed.0.bias"][3] = float("nan")
    save_file(tensors, "broken.safetensors", metadata)
    SCENE.image.save("y.png")
    code, out, err = run("x.png", "y.png", "wall", "--weights", "broken.safetensors")
    assert code == 1 and out == "" and err.count("time_embed.0.bias holds NaN") == 1 and files() == ["broken.safetensors", "x.png", "y.png"]
    with pytest.raises(SystemExit) as e:
        evaluate(["cartoon", "--seeds", "1000:1003", "--weights", "broken.safetensors"])
    assert e.value.code == 1


def test_device_that_is_not_there(run):
    code, out, err = run("x.png", "wall", "--device", "cuda:99")
    assert code == 1 and "cuda:99" in err and len(err.splitlines()) == 1


# Usage: nothing is loaded, nothing is written

@pytest.mark.parametrize("arguments, words", [
    ([], ["IMAGE"]),
    (["x.png"], ["no class names"]),
    (["x.png", "gone.jpg"], ["no class names"]),
    (["x.png", ""], ["empty"]),
    (["x.png", "wall,,cow"], ["empty"]),
    (["x.png", "wall", "Wall"], ["twice"]),
    (["x.png", *(f"c{i}" for i in range(255))], ["254"]),
    (["x.png", ",".join(f"a name {i}" for i in range(255))], ["254"]),
    (["x.png", "wall", "--method", "magic"], ["magic", "faseg"]),
    (["x.png", "wall", "--method", "faseg:tau"], ["faseg:tau=1;flip=False"]),
    (["x.png", "wall", "--method", "faseg:tua=1"], ["tua", "tau"]),
    (["x.png", "wall", "--method", "faseg:flip=no"], ["flip", "'no'", "True"]),
    (["x.png", "wall", "--method", "faseg:model=1"], ["no number called model"]),
    (["x.png", "wall", "--method", "faseg,iseg"], ["no method 'faseg,iseg'"]),
    (["x.png", "wall", "--method", "faseg:flip=True", "--no-flip"], ["flip", "another option"]),
    (["x.png", "wall", "--method", "diffseg", "--no-flip"], ["diffseg has no number called flip"]),
    (["x.png", "wall", "--threshold", "much"], ["--threshold"]),
    (["*.jpg", "wall"], ["no picture matches"]),
    (["empty", "wall"], ["without pictures"]),
    (["x.png", "wall", "--batch", "0"], ["--batch 0"]),
    (["x.png", "wall", "-o", "x.jpg"], [".png"]),
    (["x.png", "wall", "-o", "x.png", "--force"], ["would replace the picture x.png"]),
    (["x.png", "a/x.png", "wall", "-o", "m.png"], ["2 pictures"]),
    (["x.png", "a/x.png", "wall", "-o", "-"], ["one picture"]),
    (["x.png", "wall", "-o", "-", "--json"], ["--json"]),
    (["x.png", "a/x.png", "wall", "-o", "out"], ["x_mask.png", "a/x.png", "-o"]),
    (["x.png", "x.jpg", "wall"], ["x_mask.png", "x.jpg"]),
    (["a/x.png", "a/x_mask.png", "wall", "--force"], ["would replace the picture a/x_mask.png"]),
])
def test_usage(run, monkeypatch, arguments, words):
    os.mkdir("a"), os.mkdir("empty")
    for name in ("a/x.png", "a/x_mask.png"):
        SCENE.image.save(name)
    before = files()
    monkeypatch.setattr(minifaseg, "load", no_model)
    code, out, err = run(*arguments)
    assert code == 2 and out == "" and files() == before and not Path("out").exists()
    assert all(word in err for word in words) and "Traceback" not in err
    assert len(err.splitlines()) == 1 or err.startswith("usage:")           # argparse's own


def test_words_the_cartoon_model_does_not_know(run):
    code, out, err = run("x.png", "wall", "spaceship")
    assert code == 2 and "'spaceship'" in err and files() == ["x.png"] and "Traceback" not in err


def test_nothing_is_overwritten_without_force(run, monkeypatch):
    Path("x_overlay.png").write_bytes(b"precious")
    with monkeypatch.context() as m:
        m.setattr(minifaseg, "load", no_model)
        code, out, err = run("x.png", "wall")
    assert code == 2 and "x_overlay.png exists" in err and "--force" in err and files() == ["x.png", "x_overlay.png"]
    assert run("x.png", "wall", "--force")[0] == 0
    assert Image.open("x_overlay.png").format == "PNG" and Path("x_mask.png").exists()


# Many pictures

def test_pictures_seen_together(run):
    """In batches of four, two bad ones among them: the same files, the same errors."""
    os.mkdir("photos")
    for i in range(7):
        paint(i).image.save(f"photos/{i}.png")
    for i in (0, 4):
        Path(f"photos/{i}.png").write_bytes(b"no picture")
    masks = {}
    for size in ("1", "4"):
        code, out, err = run("photos", "wall", "cow", "-o", f"out{size}", "--batch", size, "--json")
        assert code == 1 and "0.png: not a picture" in err and "4.png: not a picture" in err and "2 of 7 pictures failed" in err
        assert [os.path.basename(d) for d in images_of(out)] == [f"{i}.png" for i in (1, 2, 3, 5, 6)]
        masks[size] = [np.asarray(Image.open(path)) for path in sorted(Path(f"out{size}").glob("*_mask.png"))]
    assert len(masks["1"]) == 5 and np.mean(np.array(masks["1"]) != np.array(masks["4"])) <= 1e-4


def test_resume_does_what_is_missing(run):
    """What else makes it do a picture anew: test_reuse.py."""
    SCENE.image.save("z.png")
    assert run("x.png", "wall", "cow")[0] == 0
    os.remove("x_overlay.png")                           # finished but for one file
    assert run("z.png", "wall", "cow")[0] == 0
    before = os.stat("z_mask.png").st_mtime_ns
    code, out, err = run("x.png", "z.png", "wall", "cow", "--resume")
    assert code == 0 and "1 of 2 pictures were done before" in err and "z.png" not in out
    assert os.stat("z_mask.png").st_mtime_ns == before and Path("x_overlay.png").exists()
    code, out, err = run("x.png", "z.png", "wall", "cow", "--resume")
    assert code == 0 and out == "" and len(err.splitlines()) == 2
    assert "2 of 2 pictures were done before" in err


def test_pictures_are_opened_in_advance_but_not_all(run):
    opened, left = [], iter(ahead(lambda i: opened.append(i) or 1 // (i - 3), range(20), 2))
    results = [next(left) for _ in range(5)]
    assert [i for i, _ in results] == [0, 1, 2, 3, 4]
    assert isinstance(results[3][1], ZeroDivisionError)
    assert len(opened) <= 5 + 2
    assert [i for i, _ in left] == list(range(5, 20))


# As a process

def test_help_and_version_are_quick_because_torch_stays_out():
    code = "import sys\nfrom minifaseg.__main__ import main\ntry: main(sys.argv[1:])\n" \
           "except SystemExit as e: assert not e.code\nassert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    for option, word in (("--help", "--threshold"), ("--version", minifaseg.__version__)):
        done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, env=ENV)
        assert done.returncode == 0 and word in done.stdout, done.stderr


def test_python_dash_m():
    done = subprocess.run([sys.executable, "-m", "minifaseg", "x.png"], capture_output=True, text=True, env=ENV)
    assert done.returncode == 2 and "no class names" in done.stderr and len(done.stderr.splitlines()) == 1


def many(n):
    os.mkdir("photos")
    for i in range(n):
        SCENE.image.save(f"photos/{i:02}.png")


def test_damaged_pictures_cost_one_line_each():
    """Neither libtiff nor Pillow's log adds lines of its own, between ours or inside them."""
    os.mkdir("photos")
    for i, compression in enumerate(["tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "jpeg"]):
        SCENE.image.save(f"photos/{i}.tif", compression=compression)
        data = bytearray(Path(f"photos/{i}.tif").read_bytes())
        data[300:2000] = bytes(1700)
        Path(f"photos/{i}.tif").write_bytes(data)
    SCENE.image.save("photos/5.tif", tiffinfo={277: 99})
    data = bytearray(Path("photos/5.tif").read_bytes())
    at = data.index(struct.pack("<HHI", 277, 3, 1)) + 8
    data[at:at + 2] = struct.pack("<H", 99)              # samples a pixel: Pillow logs an error
    Path("photos/5.tif").write_bytes(data)
    job = process(*CARTOON, "photos", "wall")
    out, err = job.communicate(timeout=120)
    lines = err.decode().splitlines()
    assert job.returncode == 1 and lines[0].startswith("weights:"), lines
    assert all(line.startswith("minifaseg: ") for line in lines[1:]) and len(lines) <= 8, lines
    assert any("photos/5.tif: a kind of TIFF" in line for line in lines)
    assert any("photos/0.tif: damaged TIFF" in line for line in lines)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt_leaves_nothing_half_written():
    many(60)
    job = process(*CARTOON, "photos", "wall", "cow", "--json", "--scores")
    first = json.loads(job.stdout.readline())
    job.send_signal(signal.SIGINT)
    out, err = job.communicate(timeout=120)
    assert job.returncode == 130 and b"interrupted" in err and b"Traceback" not in err, err
    assert 0 < len(list(Path("photos").glob("*_mask.png"))) < 60 and not list(Path("photos").glob(".*"))
    for path in Path("photos").glob("*.png"):
        Image.open(path).load()
    assert np.load(first["scores"])["scores"].shape[0] == 2


BROKEN = """
import json, os, sys, minifaseg
from minifaseg.__main__ import main
model = minifaseg.load("cartoon", device="cpu")
minifaseg.load = lambda *a, **k: model                   # each fork has it already
for arguments in json.loads(sys.argv[1]):
    reading, writing = os.pipe()
    os.close(reading)                                    # as `| head -0` does
    child = os.fork()
    if not child:
        os.dup2(writing, 1)
        os.close(writing)
        sys.exit(main(arguments))
    os.close(writing)
    print("exit code", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_broken_pipe_is_quiet():
    many(2)
    runs = [[*CARTOON, *arguments, "wall", "cow"] for arguments in (["photos", "--json"], ["photos", "-o", "out"], ["x.png", "-o", "-"])]
    done = subprocess.run([sys.executable, "-c", BROKEN, json.dumps(runs)], capture_output=True, text=True, env=ENV | {"OMP_NUM_THREADS": "1"}, timeout=120)
    lines = [line for line in done.stderr.splitlines() if "passed over" not in line]      # masks of the run before
    assert done.returncode == 0 and len(lines) == 6, done.stderr
    assert all("weights:" in line for line in lines[::2]) and lines[1::2] == ["exit code 1"] * 3, done.stderr
