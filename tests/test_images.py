"""Pictures as they come from phones, browsers and scanners; masks that keep their ids; files that are whole or absent."""
import errno
import io
import os
import shutil
import struct
import subprocess
import threading
import warnings
import zlib

import numpy as np
import PIL
import pytest
from PIL import Image

from minifaseg import images, writing
from minifaseg.errors import InputError
from minifaseg.images import PALETTE, mask_image, overlay, write_png
from minifaseg.pictures import pixels
from minifaseg.pictures.opening import open_image
from minifaseg.pictures.pixels import to_rgb
from minifaseg.writing import write

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def refused(source, *words, **options):
    """The refusal's text: one line that names the file and says these words."""
    with pytest.raises(InputError) as e:
        open_image(source, **options)
    text = str(e.value)
    assert "\n" not in text and ("standard input" if isinstance(source, bytes) else str(source)) in text
    for word in words:
        assert word in text, text
    return text


def noise(size=(64, 48), seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))


# Reading

# EXIF 2.3, table of tag 274: the visual sides that row 0 and column 0 of the stored picture belong to
SIDES = {1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left",
         5: "left top", 6: "right top", 7: "right bottom", 8: "left bottom"}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", SIDES)
def test_every_exif_orientation_comes_out_upright(tmp_path, orientation, suffix):
    blocks = np.array([[RED, GREEN, BLUE], [WHITE, (0, 0, 0), RED]], np.uint8)
    upright = blocks.repeat(16, 0).repeat(16, 1)                            # (32, 48, 3)
    row, column = SIDES[orientation].split()
    stored = upright.transpose(1, 0, 2) if row in ("left", "right") else upright
    stored = stored[::-1] if row in ("bottom", "right") else stored
    stored = stored[:, ::-1] if column in ("bottom", "right") else stored
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"x.{suffix}"
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)

    picture = open_image(path)
    assert picture.size == (48, 32)
    assert np.abs(np.asarray(picture, int)[8::16, 8::16] - upright[8::16, 8::16]).max() < 8


@pytest.mark.parametrize("suffix, kind", [("png", "<u2"), ("tif", "<u2"), ("tif", ">u2"), ("tif", "<i4")])
def test_16_bits_are_scaled_not_clipped(tmp_path, suffix, kind):
    values = np.array([[0, 257, 10000, 32896, 65535]])
    Image.fromarray(values.astype(kind)).save(tmp_path / f"x.{suffix}")
    assert np.asarray(open_image(tmp_path / f"x.{suffix}"))[0, :, 1].tolist() == [0, 1, 39, 128, 255]


def tiff(values, kind, **tags):
    """A TIFF by the specification: values (H, W) or (H, W, C) as `kind`, say ">u2".

    t254=1 sets the tag 254, of one number.
    """
    order = "<" if kind[0] == "<" else ">"
    values = np.asarray(values)
    height, width, channels = (*values.shape, 1)[:3]
    pixels = values.astype(kind).tobytes()
    bits = np.dtype(kind).itemsize * 8
    numbers = {256: width, 257: height, 258: bits, 259: 1, 262: 1 if channels == 1 else 2, 273: 8,
               277: channels, 278: height, 279: len(pixels), 339: {"u": 1, "i": 2, "f": 3}[kind[1]]}
    numbers |= {int(name[1:]): number for name, number in tags.items()}
    entries = [struct.pack(order + "HHII", tag, 4, 1, numbers[tag]) for tag in sorted(numbers)]
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(pixels))
    return head + pixels + struct.pack(order + "H", len(numbers)) + b"".join(entries) + bytes(4)


def grey(data):
    picture = np.asarray(open_image(data))
    assert (picture == picture[..., :1]).all()
    return picture[0, :, 0].tolist()


@pytest.mark.parametrize("kind, white", [
    ("<u1", 255), ("<u2", 65535), (">u2", 65535), ("<i2", 32767), (">i2", 32767), ("<i1", 127),
    ("<u4", 65535), ("<i4", 65535), (">i4", 65535), ("<u4", 255), ("<i4", 255)])
def test_the_largest_value_of_the_type_is_white(kind, white):
    """Of 32 bits hardly a file uses that many: values that fit 8 or 16 bits are such."""
    values = np.linspace(0, white, 40).round()
    assert grey(tiff([values], kind)) == np.rint(values * 255 / white).tolist()


@pytest.mark.parametrize("kind", ["<u1", "<u2"])
def test_where_0_is_white(kind):
    white = np.iinfo(kind).max
    assert grey(tiff([[0, white // 5, white]], kind, t262=0)) == [255, 204, 0]


def test_12_bits_packed():
    """Two numbers in three bytes."""
    values = [0, 4095, 2048, 1000]
    packed = bytes.fromhex("".join(f"{v:03x}" for v in values))
    data = tiff([list(packed)], "<u1", t256=4, t258=12)
    assert grey(data) == [0, 255, 128, 62]


@pytest.mark.parametrize("kind", ["<u4", "<i4", ">i4"])
def test_32_bits_in_full_range_are_refused(kind):
    values = np.linspace(0, np.iinfo(kind).max, 50, dtype=kind)
    refused(tiff([values], kind), "32-bit pixels", str(np.iinfo(kind).max), "which value is white")
    refused(tiff([[0, 65536]], kind), "65536")


@pytest.mark.parametrize("kind", ["<i1", "<i2", ">i2", "<i4", ">i4"])
def test_negative_pixels_are_refused(kind):
    refused(tiff([[0, 100, -5]], kind), "down to -5", "which value is black")


@pytest.mark.parametrize("kind", ["<u1", "<u2", ">u2"])
def test_16_bit_colours_in_one_plane_or_three(kind):
    ramp = np.linspace(0, np.iinfo(kind).max, 9).round()
    colours = np.stack([ramp, ramp[::-1], ramp], -1)[None]                  # (1, 9, 3)
    right = np.floor(colours * 255 / np.iinfo(kind).max)
    assert np.abs(np.asarray(open_image(tiff(colours, kind)), int) - right).max() <= 1
    assert (np.asarray(open_image(tiff(colours, kind)))[0, [0, -1]] == right[0, [0, -1]]).all()
    planes = np.asarray(colours).transpose(2, 0, 1).reshape(1, 27)
    bits = np.dtype(kind).itemsize * 8
    data = planar(planes, kind, 9)
    if bits == 16:
        refused(data, "separate planes")                 # Pillow reads other pixels than there are
    else:
        assert (np.asarray(open_image(data)) == right).all()


def planar(planes, kind, width):
    """(1, 3 * width) -> a TIFF of one row, whose three planes are strips of their own."""
    data = bytearray(tiff(planes, kind, t256=width, t262=2, t277=3, t284=2))
    order = "<" if kind[0] == "<" else ">"
    length = width * np.dtype(kind).itemsize
    at, = struct.unpack(order + "I", data[4:8])
    n, = struct.unpack(order + "H", data[at:at + 2])
    for entry in range(at + 2, at + 2 + 12 * n, 12):
        tag, = struct.unpack(order + "H", data[entry:entry + 2])
        lists = {273: [8, 8 + length, 8 + 2 * length], 279: [length] * 3}
        if tag in lists:                                 # three numbers stand behind the end
            data[entry + 4:entry + 12] = struct.pack(order + "II", 3, len(data))
            data += struct.pack(order + "III", *lists[tag])
    return bytes(data)


@pytest.mark.parametrize("maxval", [1, 3, 15, 100, 255, 256, 1023, 4095, 65535])
def test_every_maxval_of_a_pgm_is_white(maxval):
    values = [0, maxval // 3, maxval]
    right = [v * 255 / maxval for v in values]
    body = struct.pack(">3H", *values) if maxval > 255 else bytes(values)
    for data in (b"P5 3 1 %d\n" % maxval + body, b"P2 3 1 %d\n%d %d %d\n" % (maxval, *values)):
        assert np.abs(np.array(grey(data)) - right).max() <= 0.51


def test_a_thumbnail_is_not_the_picture():
    """The raw files of most cameras are TIFFs that begin with one."""
    refused(tiff(np.zeros((12, 16, 3)), "<u1", t254=1), "thumbnail of 16 x 12", "export")


def test_floating_point_pictures_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "x.tif")
    refused(tmp_path / "x.tif", "floating-point", "8-bit")


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "x.jpg", quality=100)
    assert np.abs(np.asarray(open_image(tmp_path / "x.jpg"), int) - RED).max() < 8


def test_transparency_shows_white_not_the_hidden_colour(tmp_path):
    rgba = np.array([[(255, 0, 0, 0), (255, 0, 0, 255), (0, 0, 0, 128)]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    assert np.asarray(open_image(tmp_path / "rgba.png"))[0].tolist() == [[255, 255, 255], [255, 0, 0], [127, 127, 127]]

    Image.fromarray(np.array([[(0, 0), (0, 255), (90, 255)]], np.uint8), "LA").save(tmp_path / "la.png")
    assert np.asarray(open_image(tmp_path / "la.png"))[0].tolist() == [[255] * 3, [0] * 3, [90] * 3]

    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    palette.putpalette([*RED, *GREEN, *BLUE])
    palette.save(tmp_path / "p.png", transparency=1)
    assert np.asarray(open_image(tmp_path / "p.png"))[0].tolist() == [[*RED], [*WHITE], [*BLUE]]

    Image.fromarray(np.array([[(9, 9, 9), RED]], np.uint8)).save(tmp_path / "key.png", transparency=(9, 9, 9))
    assert np.asarray(open_image(tmp_path / "key.png"))[0].tolist() == [[*WHITE], [*RED]]


def test_one_bit_and_grey(tmp_path):
    bits = np.array([[True, False, True]])
    Image.fromarray(bits).save(tmp_path / "x.png")
    assert np.asarray(open_image(tmp_path / "x.png"))[0].tolist() == [[255] * 3, [0] * 3, [255] * 3]
    Image.new("L", (3, 2), 77).save(tmp_path / "y.png")
    grey = open_image(tmp_path / "y.png")
    assert grey.mode == "RGB" and grey.getpixel((0, 0)) == (77, 77, 77)


def pictures_of_every_mode():
    """Noise in each of Pillow's modes, then with a transparent colour where files can carry one."""
    grey, values = noise().convert("L"), np.random.default_rng(0).integers(0, 65536, (48, 64))
    for mode in ("RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "P", "1", "L"):
        yield noise().convert(mode)
    yield from (noise().convert("RGBA").convert(mode) for mode in ("RGBa", "LA", "La", "PA"))
    yield from (Image.fromarray(values.astype(kind)) for kind in ("<u2", ">u2", "<i4"))
    for picture in (noise(), grey):
        picture.info["transparency"] = picture.getpixel((3, 5))
        yield picture
    indexed = noise().convert("P")
    indexed.info["transparency"] = bytes(range(256))
    yield indexed


def test_strips_do_not_show(monkeypatch):
    pictures = list(pictures_of_every_mode())
    whole = [to_rgb(p).tobytes() for p in pictures]
    monkeypatch.setattr(pixels, "STRIP", 64 * 7)                            # seven rows at a time
    for picture, expected in zip(pictures, whole):
        rgb = to_rgb(picture)
        assert rgb.mode == "RGB" and not rgb.info and rgb.tobytes() == expected, picture.mode
    assert noise().tobytes() == whole[0]


def test_the_callers_picture_stays_as_it_is():
    for picture in pictures_of_every_mode():
        picture.info["dpi"] = (72, 72)
        before = picture.mode, dict(picture.info), picture.tobytes()
        to_rgb(picture)
        assert (picture.mode, dict(picture.info), picture.tobytes()) == before


def test_a_large_picture_is_not_copied_for_nothing():
    picture = noise()
    assert to_rgb(picture) is picture and images.as_rgb(picture) is picture


@pytest.mark.parametrize("suffix, options", [("gif", {}), ("webp", {"lossless": True}), ("tif", {}), ("png", {})])
def test_of_an_animation_the_first_frame_with_a_warning(tmp_path, suffix, options):
    frames = [Image.new("RGB", (20, 10), c) for c in (RED, GREEN, BLUE)]
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:], **options)
    with pytest.warns(UserWarning, match=rf"x\.{suffix}: several frames"):
        picture = open_image(tmp_path / f"x.{suffix}")
    assert picture.size == (20, 10) and picture.getpixel((5, 5)) == RED


def test_ordinary_pictures_do_not_warn_and_bytes_are_read_too(tmp_path):
    noise().save(tmp_path / "x.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a, b = open_image(tmp_path / "x.png"), open_image((tmp_path / "x.png").read_bytes())
    assert a.tobytes() == b.tobytes() == noise().tobytes()


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp"])
@pytest.mark.parametrize("keep", [0.3, 0.8])
def test_truncated_files(tmp_path, suffix, keep):
    path = tmp_path / f"x.{suffix}"
    noise().save(path)
    data = path.read_bytes()
    path.write_bytes(data[:int(keep * len(data))])
    refused(path, "again")


def test_what_is_not_a_picture(tmp_path):
    for name, data, word in (("page.jpg", b"\n<!DOCTYPE html><html>404</html>", "web page"),
                             ("lfs.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs"),
                             ("notes.png", b"just some notes", "not a picture"), ("empty.jpg", b"", "0 bytes")):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, word)
    svg = b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'
    for data, word in ((svg, "an SVG drawing"), (svg[svg.index(b"<svg"):], "an SVG drawing"),
                       (b"<?xml version='1.0'?><Error/>", "XML"), (b"%PDF-1.7", "PDF"),
                       (b"<!doctype html><svg></svg>", "web page"), (b'{"message": "no"}', "JSON"),
                       (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
                       (b"\0\0\0\x14ftypisom" + bytes(9), "a film"), (b"PK\3\4", "ZIP")):
        assert "damaged" not in refused(data, word, "not a picture")
    refused(b"", "0 bytes")
    refused(b"\xff\xd8\xff no picture at all", "picture")
    refused(tmp_path, "folder")
    refused(tmp_path / "nowhere.jpg", "no such file")
    refused(str(tmp_path / ("x" * 300 + ".jpg")), "cannot be read")


def bmp(bits, compression, pixels, size=40, masks=b""):
    """A BMP of 2 x 2 pixels by the specification; size is that of its header."""
    numbers = size, 2, 2, 1, bits, compression, len(pixels), 0, 0, 0, 0
    header = struct.pack("<IiiHHIIiiII", *numbers) + bytes(max(0, size - 40))
    start = 14 + len(header) + len(masks)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + masks + pixels


# What this Pillow does not read, though the file is whole: BMP of 2 and 64 bits, of odd bit fields,
# of OS/2's Huffman and RLE24 compressions, JPEG inside; TIFF of half, double and several wide
# channels, of 64 and 10 bits, packed by LERC or JPEG XL.
UNSUPPORTED = {
    "bmp 2": bmp(2, 0, bytes(24)), "bmp 64": bmp(64, 0, bytes(32)),
    "bmp fields": bmp(16, 3, bytes(8), masks=struct.pack("<III", 0xF00, 0xF0, 0xF)),
    "bmp huffman": bmp(1, 3, bytes(8), size=64), "bmp rle24": bmp(24, 4, bytes(8), size=64),
    "bmp jpeg": bmp(0, 4, b"\xff\xd8\xff"), "bmp os/2": bmp(24, 0, bytes(16), size=16),
    "tiff f2": tiff([[0, 1]], "<f2"), "tiff f8": tiff([[0, 1]], "<f8"),
    "tiff u8": tiff([[0, 1]], ">u8"), "tiff u4": tiff([[0, 1]], ">u4"),
    "tiff rgb f4": tiff(np.zeros((2, 2, 3)), "<f4"),
    "tiff rgb u4": tiff(np.zeros((2, 2, 3)), "<u4"),
    "tiff 10": tiff([[0, 1]], "<u2", t258=10), "tiff lerc": tiff([[0, 1]], "<u1", t259=34887),
    "tiff jxl": tiff([[0, 1]], "<u1", t259=50002),
    "tiff 5 channels": tiff(np.zeros((2, 2, 5)), "<u1", t262=1),
    "bigtiff": b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 0) + bytes(20)}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_kind_that_is_not_supported_is_not_called_damaged(name):
    kind = "BMP" if name.startswith("bmp") else "TIFF"
    text = refused(UNSUPPORTED[name], f"a kind of {kind} that is not supported", "8-bit PNG")
    assert "damaged" not in text and "unknown" not in text


@pytest.mark.parametrize("format", ["AVIF", "JPEG2000", "WEBP"])
def test_a_kind_that_this_pillow_cannot_read_is_named(monkeypatch, format):
    """Pillow before 11.3 has no AVIF, and a build may lack any of these libraries."""
    Image.init()
    if format not in Image.SAVE:
        data = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(100)
    else:
        data = io.BytesIO()
        noise().save(data, format)
        data = data.getvalue()
        open_image(data)
        monkeypatch.delitem(Image.OPEN, format)
    text = refused(data, f"{format}, which this Pillow ({PIL.__version__}) cannot read",
                   "pip install -U pillow", "convert it")
    assert "damaged" not in text


def test_libtiff_prints_nothing(capfd):
    """It would print lines of its own for each of these."""
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "group4"):
        data = io.BytesIO()
        picture = noise().convert("1" if compression == "group4" else "RGB")
        picture.save(data, "TIFF", compression=compression)
        data = bytearray(data.getvalue())
        middle = len(data) // 2
        data[middle:middle + 40] = bytes(range(7, 47))
        if compression == "group4":                      # is shown as far as it goes, as viewers do
            with pytest.warns(UserWarning, match="damaged, parts of the picture may be wrong"):
                assert open_image(bytes(data)).size == (64, 48)
        else:
            refused(bytes(data), "damaged TIFF picture")
    assert capfd.readouterr() == ("", "")
    whole = io.BytesIO()
    noise().convert("1").save(whole, "TIFF", compression="group4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_image(whole.getvalue())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path):
    noise().save(tmp_path / "x.png")
    (tmp_path / "x.png").chmod(0)
    refused(tmp_path / "x.png", "permissions")


def png_header(width, height):
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")


def test_decompression_bombs(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(20000, 20000))
    refused(path, "400000000 pixels", "--max-pixels")
    noise((40, 25)).save(path)
    before = Image.MAX_IMAGE_PIXELS
    refused(path, "1000 pixels", max_pixels=999)
    assert open_image(path, max_pixels=1000).size == (40, 25)
    assert Image.MAX_IMAGE_PIXELS == before


# Showing

def test_voc_colours():
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {i: tuple(PALETTE[i].tolist()) for i in known} == known
    assert len({tuple(c) for c in PALETTE}) == 256


@pytest.mark.parametrize("ids", [[0], [0, 1], [0, 1, 255], [0, 3, 17, 254, 255], range(256)])
def test_mask_files_keep_every_id(tmp_path, ids):
    labels = np.resize(np.array(ids, np.uint8), (20, 31))
    write_png(tmp_path / "m.png", mask_image(labels))
    assert (tmp_path / "m.png").read_bytes()[24] == 8                       # bits per pixel in the PNG header
    back = Image.open(tmp_path / "m.png")
    assert back.mode == "P" and (np.asarray(back) == labels).all()
    assert (np.reshape(back.getpalette(), (-1, 3)) == PALETTE).all()
    assert (np.asarray(back.convert("RGB")) == PALETTE[labels]).all()


@pytest.mark.parametrize("ids", [[0], [0, 1], [0, 1, 255], range(256)])
def test_grey_masks_are_plain_numbers(tmp_path, ids):
    """PNG header: 8 bits, colour type 0. Made grey they keep their numbers, unlike a palette."""
    labels = np.resize(np.array(ids, np.uint8), (20, 31))
    write_png(tmp_path / "m.png", mask_image(labels, gray=True))
    assert tuple((tmp_path / "m.png").read_bytes()[24:26]) == (8, 0)
    back = Image.open(tmp_path / "m.png")
    assert back.mode == "L" and (np.asarray(back) == labels).all()
    assert (np.asarray(back.convert("L")) == labels).all()
    indexed = mask_image(np.array([[1, 2, 3]], np.uint8))
    assert np.asarray(indexed.convert("L")).tolist() == [[38, 75, 113]]


def test_grey_masks_in_opencv(tmp_path):
    cv2 = pytest.importorskip("cv2")
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_png(tmp_path / "m.png", mask_image(labels, gray=True))
    for flag in (cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE):
        assert (cv2.imread(str(tmp_path / "m.png"), flag) == labels).all()


def test_overlay_tints_classes_and_leaves_the_background():
    picture, labels = noise((500, 400)), np.zeros((400, 500), np.uint8)
    labels[:, :250] = 1
    page = np.asarray(overlay(picture, labels, ["cat", "dog"]), int)
    before = np.asarray(picture, int)
    assert page.shape[1] == 500 and page.shape[0] > 420
    assert (page[:400, 255:] == before[:, 255:]).all()
    assert np.abs(page[:400, :245] - (0.45 * before[:, :245] + 0.55 * PALETTE[1])).max() <= 1
    assert page[:400, 248:252].mean() > 160                                 # the light line between the two
    colours = {tuple(c) for c in page[400:].reshape(-1, 3).tolist()}
    assert (128, 0, 0) in colours and (0, 128, 0) not in colours            # the dog is nowhere, so its swatch is pale


@pytest.mark.parametrize("side, filters", [(128, []), (900, [3])])
def test_no_filter_of_one_pixel(side, filters, monkeypatch):
    """Pillow 12.3.0 divides by zero in it, which no `except` catches: the process ends."""
    made, filter_of = [], images.ImageFilter.MaxFilter
    monkeypatch.setattr(images.ImageFilter, "MaxFilter", lambda size: made.append(size) or filter_of(size))
    overlay(Image.new("RGB", (side, side)), np.eye(side, dtype=np.uint8), ["cat"])
    assert made == filters


def test_the_legend_shows_every_class():
    labels = np.arange(128 * 128).reshape(128, 128).astype(np.uint8) % 31
    page = np.asarray(overlay(noise((128, 128)), labels, [f"class {i}" for i in range(1, 31)]))
    assert page.shape[1] == 384
    bar = {tuple(c) for c in page[384:].reshape(-1, 3).tolist()}
    assert all(tuple(PALETTE[i].tolist()) in bar for i in range(1, 31))


@pytest.mark.parametrize("size, low, high", [((128, 128), 384, 600), ((1, 1), 384, 3000), ((1, 3000), 100, 2400),
                                             ((3000, 1), 20, 2400), ((2600, 1500), 1100, 2400)])
def test_overlays_are_neither_tiny_nor_huge(size, low, high):
    page = overlay(Image.new("RGB", size), np.ones(size[::-1], np.uint8), ["a rather long name for such a small thing"])
    assert low <= min(page.size) and max(page.size) <= high


# Writing

def fill_halfway(error):
    def save(file):
        file.write(b"half")
        raise error
    return save


def test_write_replaces_only_when_done(tmp_path):
    path = tmp_path / "new" / "x.png"
    write(path, lambda file: file.write(b"old"))
    write(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == ["x.png"]
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        assert path.stat().st_mode & 0o777 == 0o666 & ~mask                 # as any other file, not 0600


@pytest.mark.parametrize("error, seen", [(OSError(errno.ENOSPC, "No space left on device"), InputError),
                                         (KeyboardInterrupt(), KeyboardInterrupt), (ZeroDivisionError(), ZeroDivisionError)])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, error, seen):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    with pytest.raises(seen) as e:
        write(path, fill_halfway(error))
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x.png"]
    if seen is InputError:
        assert str(path) in str(e.value) and "No space left" in str(e.value)


def test_a_file_too_large_for_the_system(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))            # the kernel then refuses byte 4097 of any file
    try:
        with pytest.raises(InputError, match="cannot be written"):
            write_png(tmp_path / "x.png", noise())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


def test_a_full_disk(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", tmp_path]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        with pytest.raises(InputError, match="No space left"):
            write_png(tmp_path / "x.png", noise((200, 200)))
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "folder.png", tmp_path / "file" / "x.png"):
        with pytest.raises(InputError, match="cannot be written"):
            write_png(path, noise())
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"] and os.listdir(tmp_path / "folder.png") == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()), daemon=True)
    got = []
    reader.start()
    write(tmp_path / "pipe", lambda file: file.write(b"mask"))
    reader.join(10)
    assert got == [b"mask"] and (tmp_path / "pipe").is_fifo() and os.listdir(tmp_path) == ["pipe"]


@pytest.mark.parametrize("locks", [True, False])
def test_temporary_files_that_may_still_be_in_use(tmp_path, monkeypatch, locks):
    """With locks those go that nobody holds; without, as on Windows, those of yesterday."""
    if not locks:
        monkeypatch.setattr(writing, "fcntl", None)
    elif writing.fcntl is None:
        pytest.skip("no locks here")
    young, old = tmp_path / f".minifaseg-{'0' * 16}.tmp", tmp_path / f".minifaseg-{'1' * 16}.tmp"
    other = tmp_path / ".other.tmp"
    for path in (young, old, other):
        path.write_bytes(b"half")
        os.utime(path, (1, 1) if path is not young else None)
    write(tmp_path / "x.png", lambda file: file.write(b"whole"))
    assert set(os.listdir(tmp_path)) == {"x.png", ".other.tmp"} | (set() if locks else {young.name})


def test_a_temporary_file_taken_for_a_leftover_is_made_again(tmp_path, monkeypatch):
    """Another process may look at it between its creation and its lock."""
    if writing.fcntl is None:
        pytest.skip("no locks here")
    real, taken = writing.lock, []

    def lock(file, wait=True):
        if not taken:
            taken.append(file.name)
            writing.remove_if_left(writing.Path(file.name))
        return real(file, wait)
    monkeypatch.setattr(writing, "lock", lock)
    write(tmp_path / "x.png", lambda file: file.write(b"whole"))
    assert taken and os.listdir(tmp_path) == ["x.png"]
