"""Pictures that are odd, damaged or made to do harm: each becomes the right pixels, or one line that names it."""
import io
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image
from test_cli import ENV, SCENE, files, here, load_once, run  # noqa: F401 (here and run are fixtures)
from test_images import noise, refused

import minifaseg
from minifaseg.errors import shown
from minifaseg.pictures import opening as pictures
from minifaseg.pictures.formats import FORMATS
from minifaseg.pictures.opening import open_image
from minifaseg.pictures.pixels import to_rgb

RED, WHITE = (255, 0, 0), (255, 255, 255)
Image.init()
KNOWN = [f for f in FORMATS if f in Image.SAVE]


def encoded(image, format, **options):
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def survives(data):
    """Right or refused: the picture, or None after one line."""
    try:
        picture = open_image(data)
    except minifaseg.InputError as e:
        assert str(e).startswith("standard input: ") and "\n" not in str(e)
        return None
    assert picture.mode == "RGB" and min(picture.size) > 0
    return picture


# Shapes

@pytest.mark.parametrize("size", [(1, 1), (1, 10000), (10000, 1)])
def test_thin_and_tiny(run, size):
    noise(size).save("thin.png")
    assert run("thin.png", "wall", "cow")[0] == 0
    assert Image.open("thin_mask.png").size == size and Image.open("thin_overlay.png").format == "PNG"


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, bits, *before, data):
    """A PNG of one grey channel, with chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zeros(n):
    """n zeros, packed: about n / 1000 bytes."""
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(n >> 20)) + packer.compress(bytes(n & 0xFFFFF)) + packer.flush()


def webp(side):
    pixels = b"\x2f" + struct.pack("<I", side - 1 | side - 1 << 14) + bytes(21)
    body = b"WEBPVP8L" + struct.pack("<I", len(pixels)) + pixels
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {"pixels": (lambda: png(20000, 20000, 1, data=zeros(20000 * 2501)), "400000000 pixels) exceeds limit"),
         "canvas": (lambda: webp(16383), "268402689 pixels) exceeds limit"),
         "text": (lambda: png(1, 1, 8, chunk(b"zTXt", b"a\0\0" + zeros(1 << 29)), data=zlib.compress(bytes(2))), "too large"),
         "profile": (lambda: png(1, 1, 8, chunk(b"iCCP", b"a\0\0" + zeros(1 << 29)), data=zlib.compress(bytes(2))), "too large")}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_before_they_take_memory(tmp_path, bomb):
    pytest.importorskip("resource")
    make, words = BOMBS[bomb]
    (tmp_path / "bomb").write_bytes(make())
    assert (tmp_path / "bomb").stat().st_size < 4 << 20
    code = "import resource, sys\nfrom minifaseg.pictures.opening import open_image\npeak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n" \
           "before = peak()\ntry: open_image(sys.argv[1])\nexcept ValueError as e: print(e)\nprint(peak() - before)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "bomb"], env=ENV, capture_output=True, text=True, check=True)
    line, growth = done.stdout.splitlines()
    assert "bomb: " in line and words in line.lower()
    assert int(growth) / (1024 if sys.platform == "darwin" else 1) < 64 << 10, growth                # KiB


def test_much_uncompressed_text_does_no_harm():
    data = png(1, 1, 8, *[chunk(b"tEXt", b"a\0" + b"x" * (1 << 20))] * 40, data=zlib.compress(b"\0\xff"))
    assert open_image(data).getpixel((0, 0)) == WHITE


def test_endless_pages_are_not_counted():
    """Pillow's n_frames reads them all: half a minute for this file of 4.5 MiB."""
    n = 60000
    entry = lambda tag, value: struct.pack("<HHII", tag, 4, 1, value)
    tags = [(256, 1), (257, 1), (258, 8), (262, 1), (273, 8), (279, 1)]
    page = lambda i: struct.pack("<H", len(tags)) + b"".join(entry(*t) for t in tags) + struct.pack("<I", 10 + 78 * (i + 1) if i < n - 1 else 0)
    data = b"II*\0" + struct.pack("<I", 10) + b"\xff\0" + b"".join(map(page, range(n)))
    start = time.perf_counter()
    with pytest.warns(UserWarning, match="several frames or pages"):
        assert open_image(data).getpixel((0, 0)) == WHITE
    assert time.perf_counter() - start < 5


# Modes and formats

MODES = {"1": (1, WHITE), "L": (77, (77,) * 3), "LA": ((0, 128), (127,) * 3), "La": ((128, 128), WHITE), "I": (32896, (128,) * 3),
         "I;16": (10000, (39,) * 3), "I;16L": (10000, (39,) * 3), "I;16B": (10000, (39,) * 3), "I;16N": (10000, (39,) * 3),
         "F": (0.5, None), "P": (3, (20, 30, 200)), "PA": ((3, 128), (137, 142, 227)), "RGB": ((1, 20, 200), (1, 20, 200)),
         "RGBX": ((1, 20, 200, 7), (1, 20, 200)), "RGBA": ((255, 0, 0, 128), (255, 127, 127)), "RGBa": ((128, 0, 0, 128), (255, 127, 127)),
         "CMYK": ((0, 255, 255, 0), RED), "YCbCr": ((149, 43, 21), (0, 254, 0)), "HSV": ((0, 255, 255), RED), "LAB": ((255, 128, 128), (254, 255, 254))}


def in_mode(mode):
    image = Image.new(mode, (16, 16), MODES[mode][0])
    if mode in ("P", "PA"):
        image.putpalette([*range(9), 20, 30, 200, *bytes(756)])
    return image


def test_no_mode_is_forgotten():
    assert {mode for mode in Image.MODES if not mode.startswith("BGR")} <= set(MODES)


@pytest.mark.parametrize("mode", [m for m in MODES if m in Image.MODES])
def test_every_mode_as_a_viewer_shows_it(mode):
    image, colour = in_mode(mode), MODES[mode][1]
    if colour is None:
        with pytest.raises(minifaseg.InputError, match="floating-point"):
            to_rgb(image)
        return
    picture = to_rgb(image)
    assert picture.mode == "RGB" and picture.getcolors() == [(256, colour)]
    for format in KNOWN:
        try:
            data = encoded(image, format)
        except (OSError, ValueError, KeyError):          # a mode that this format does not know
            continue
        picture = survives(data)
        assert picture or PIL.__version__ < "13", format                    # older ones stumble over an ICO or TIFF of their own
        if picture and Image.open(io.BytesIO(data)).mode == mode:           # kept, not converted by Pillow's writer
            lossy = format in ("JPEG", "WEBP", "AVIF", "JPEG2000")
            assert np.abs(np.asarray(picture, int) - colour).max() <= 4 * lossy, format


def test_a_transparent_grey_of_16_bits_is_white():
    data = png(2, 1, 16, chunk(b"tRNS", struct.pack(">H", 10000)), data=zlib.compress(struct.pack(">BHH", 0, 10000, 10001)))
    assert np.asarray(open_image(data))[0].tolist() == [[255] * 3, [39] * 3]


@pytest.mark.parametrize("bits, row, key, right", [
    (1, 0b01000000, 1, [0, 255]), (2, 0b00011011, 1, [0, 255, 170, 255]),
    (4, 0x56, 5, [255, 102]), (8, 77, 77, [255])])
def test_a_transparent_grey_of_few_bits_is_white(bits, row, key, right):
    transparent = chunk(b"tRNS", struct.pack(">H", key))
    data = png(len(right), 1, bits, transparent, data=zlib.compress(bytes([0, row])))
    assert np.asarray(open_image(data))[0, :, 1].tolist() == right


def test_a_transparent_colour_of_16_bits_is_white():
    pixels = struct.pack(">B6H", 0, 10000, 20000, 30000, 40000, 20000, 30000)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    key = chunk(b"tRNS", struct.pack(">3H", 10000, 20000, 30000))
    pixels = chunk(b"IDAT", zlib.compress(pixels))
    data = b"\x89PNG\r\n\x1a\n" + header + key + pixels + chunk(b"IEND", b"")
    assert np.asarray(open_image(data))[0].tolist() == [[255] * 3, [156, 78, 117]]


@pytest.mark.parametrize("format", KNOWN)
def test_the_suffix_does_not_matter(tmp_path, format):
    for name in ("x.png", "x.jpg", "x"):
        (tmp_path / name).write_bytes(encoded(noise(), format))
        size = open_image(tmp_path / name).size
        assert size == (48, 36) if format == "ICO" else size == (64, 48)    # icons shrink


@pytest.mark.filterwarnings("ignore:IM image format")
@pytest.mark.parametrize("format", sorted(set(Image.SAVE) - set(FORMATS) - {"MPO"}))
def test_other_formats_are_named_in_the_refusal(tmp_path, format):
    for mode in ("RGB", "L", "1", "P"):
        try:
            (tmp_path / "x.png").write_bytes(encoded(Image.new(mode, (16, 16)), format))
        except (OSError, ValueError):                    # a format that lacks this mode, or that Pillow cannot write by itself
            continue
        refused(tmp_path / "x.png", "not a picture of a known format", "JPEG", "convert")


def iptc(inside):
    """An IPTC file, whose pixels are a file of any format."""
    field = lambda a, b, data: bytes([0x1C, a, b]) + struct.pack(">H", len(data)) + data
    head = field(3, 60, b"\1\0") + field(3, 20, b"\x10") + field(3, 30, b"\x10") + field(3, 120, b"\5")
    return head + b"".join(field(8, 10, inside[i:i + 100]) for i in range(0, len(inside), 100))


@pytest.mark.skipif(os.name != "posix", reason="a script that can be run")
@pytest.mark.parametrize("wrap", [bytes, iptc])
def test_no_program_is_started(tmp_path, wrap):
    """Pillow draws EPS by running `gs`, whatever that is."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\necho started >> {tmp_path / 'trace'}\n")
    (tmp_path / "gs").chmod(0o755)
    (tmp_path / "x.jpg").write_bytes(wrap(encoded(Image.new("L", (16, 16)), "EPS")))
    for opens, words in (("minifaseg.pictures.opening import open_image", "not a picture"), ("PIL.Image import open", "")):
        done = subprocess.run([sys.executable, "-c", f"from {opens} as f; f('x.jpg').load()"], cwd=tmp_path, text=True, capture_output=True,
                              env=ENV | {"PATH": f"{tmp_path}:{ENV['PATH']}"})
        assert done.returncode == 1 and words in done.stderr
        if words:
            assert not (tmp_path / "trace").exists()
    assert (tmp_path / "trace").exists() or wrap is iptc                    # Pillow did start it; older ones met an IPTC file otherwise


# Damage

@pytest.mark.parametrize("format", KNOWN)
def test_cut_off_at_every_tenth(format):
    data = encoded(noise(), format)
    for tenth in range(10):
        assert survives(data[:len(data) * tenth // 10]) is None, tenth


@pytest.mark.filterwarnings("ignore:standard input. several frames")
@pytest.mark.parametrize("format", KNOWN)
def test_bytes_changed_at_random(format):
    data = encoded(noise(), format)
    for seed in range(200):
        changed, r = bytearray(data), random.Random(f"{format}{seed}")
        for _ in range(r.randint(1, 6)):
            changed[r.randrange(r.choice([64, 400, len(data)]) % (len(data) + 1))] = r.randrange(256)
        survives(bytes(changed))


def test_tiff_tags_that_make_no_sense():
    data = encoded(Image.new("RGB", (16, 16), RED), "TIFF")
    at, = struct.unpack("<I", data[4:8])
    n, = struct.unpack("<H", data[at:at + 2])
    for entry in range(at + 2, at + 2 + 12 * n, 12):
        for part, size in ((0, 2), (2, 2), (4, 4), (8, 4)):                # tag, type, count, value
            for value in (0, 1, 7, 255, 65535, 2 ** 31 - 1, 2 ** 32 - 1):
                changed = bytearray(data)
                changed[entry + part:entry + part + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
                survives(bytes(changed))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_leaves_the_picture_as_it_is_stored(format):
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(noise(), format, exif=exif, **{"lossless": True} if format == "WEBP" else {})
    assert open_image(data).size == (48, 64)
    at = data.index(b"MM\0*")
    data = data[:at] + b"??" + data[at + 2:]
    if format == "PNG":
        body = data[at:at + len(exif.tobytes()) - 6]
        data = data[:at + len(body)] + struct.pack(">I", zlib.crc32(b"eXIf" + body)) + data[at + len(body) + 4:]
    assert open_image(data).size == (64, 48)


def test_a_picture_is_turned_once_however_often_it_is_read(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    noise().save(tmp_path / "x.png", exif=exif)
    picture = open_image(tmp_path / "x.png")
    assert to_rgb(picture).tobytes() == picture.tobytes() == to_rgb(Image.open(tmp_path / "x.png")).tobytes()


# Names

NAMES = ["with some spaces.png", "two\nlines\t.png", "emoji 🐈‍⬛.png", "quo'te\"s; $(touch made) `touch made`.png", "خط.png", "\x1b[31mred.png"]
if os.name == "posix" and sys.platform != "darwin":
    NAMES.append(os.fsdecode(b"latin-1 \xe9\xff.png"))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names(run, name):
    shutil.copy("x.png", name)
    code, out, err = run(name, "wall", "--json")
    row = json.loads(out)
    assert code == 0 and out.isascii() and row["image"] == name and len(out.splitlines()) == 1
    assert Image.open(row["mask"]).size == SCENE.image.size and os.path.exists(row["overlay"]) and "made" not in files()
    Path(name).write_bytes(b"no picture")
    code, out, err = run(name, "wall", "--force")
    assert code == 1 and out == "" and len(err.splitlines()) == 2 and shown(name) + ": not a picture" in err
    err.encode()                                         # prints anywhere


def test_a_name_as_long_as_names_can_be(run):
    name = "n" * 251 + ".png"                            # 255 bytes; _mask.png does not fit any more
    shutil.copy("x.png", name)
    code, out, err = run(name, "wall")
    assert code == 1 and "cannot be written" in err and "-o" in err and len(err.splitlines()) == 2 and files() == [name, "x.png"]
    assert run(name, "wall", "-o", "short.png")[0] == 0 and files() == [name, "short.png", "short_overlay.png", "x.png"]


# Things that are no files

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")


def feed(pipe, chunks):
    def write():
        with open(pipe, "wb") as file:
            try:
                for part in chunks:
                    file.write(part)
                    file.flush()
            except BrokenPipeError:
                stopped.append(True)
    stopped = []
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread, stopped


@posix
def test_a_pipe_is_read_like_a_file(run):
    os.mkfifo("pipe.png")
    data = Path("x.png").read_bytes()
    feed("pipe.png", [data[:1000], data[1000:]])
    assert run("pipe.png", "wall", "cow")[0] == 0 and Image.open("pipe_mask.png").size == SCENE.image.size


@posix
def test_a_pipe_in_a_folder_is_passed_over(run):
    os.mkdir("photos")
    os.mkfifo("photos/a.png")
    SCENE.image.save("photos/b.png")
    assert run("photos", "wall")[0] == 0 and files() == ["photos/b.png", "photos/b_mask.png", "photos/b_overlay.png", "x.png"]


@posix
def test_a_pipe_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 4 << 20)
    os.mkfifo(tmp_path / "pipe.png")
    thread, stopped = feed(tmp_path / "pipe.png", iter(lambda: bytes(1 << 16), None))
    refused(tmp_path / "pipe.png", "more than 4 MiB")
    thread.join(10)
    assert stopped
    (tmp_path / "x.png").write_bytes(bytes(5 << 20))
    refused(tmp_path / "x.png", "more than 4 MiB")
    refused(bytes(5 << 20), "not a picture")             # already in memory, so it is only looked at


@posix
def test_devices_sockets_and_links(tmp_path):
    refused("/dev/zero", "a device or a socket")
    with socket.socket(socket.AF_UNIX) as s:
        old = os.getcwd()
        os.chdir(tmp_path)                               # a socket's path must be short
        s.bind("socket.png")
        os.chdir(old)
        refused(tmp_path / "socket.png", "a device or a socket")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    refused(tmp_path / "nowhere.png", "a link to nothing")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    refused(tmp_path / "loop.png", "cannot be read")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    refused(tmp_path / "zero.png", "a device or a socket")


@posix
def test_the_command_line_meets_them(run):
    os.mkdir("folder.jpg")
    Path("nowhere.png").symlink_to("gone.png")
    Path("loop.png").symlink_to("loop.png")
    assert run("folder.jpg", "wall")[0] == 2
    code, out, err = run("nowhere.png", "loop.png", "/dev/zero", "x.png", "wall", "-o", "out")
    assert code == 1 and "3 of 4 pictures failed" in err and len(err.splitlines()) == 5 and files().count("out/x_mask.png") == 1


def test_a_picture_that_goes_away_during_the_run(run, monkeypatch):
    os.mkdir("photos")
    for name in "ab":
        SCENE.image.save(f"photos/{name}.png")

    def load(*arguments, **options):                     # between the listing and the first picture
        os.unlink("photos/a.png")
        return load_once(*arguments, **options)
    monkeypatch.setattr(minifaseg, "load", load)
    code, out, err = run("photos", "wall")
    assert code == 1 and os.path.join("photos", "a.png") + ": no such file" in err and os.path.exists("photos/b_mask.png")


# In Python

@pytest.mark.parametrize("picture, words", [(Image.new("RGB", (0, 5)), "0 x 5"), (Image.new("F", (4, 4)), "the picture: floating-point"),
                                            (None, "NoneType"), (7, "int"), (np.zeros((4, 4), np.uint8), "array"),
                                            (np.zeros((0, 4, 3), np.uint8), "array"), ("a\0b.png", "cannot be read")])
def test_what_segment_refuses(picture, words):
    with pytest.raises(minifaseg.InputError, match=words) as e:
        minifaseg.segment(picture, ["wall"], load_once("cartoon", device="cpu"))
    assert "\n" not in str(e.value)


def test_a_lazy_picture_that_turns_out_damaged(tmp_path):
    (tmp_path / "x.png").write_bytes(encoded(noise(), "PNG")[:3000])
    with warnings.catch_warnings(), Image.open(tmp_path / "x.png") as lazy, pytest.raises(minifaseg.InputError, match="x.png: damaged"):
        minifaseg.segment(lazy, ["wall"], load_once("cartoon", device="cpu"))
