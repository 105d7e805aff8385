"""Which files are pictures: by the end of the name, else by the first bytes.

Pillow opens more formats than these, but not all by decoding alone: EPS starts Ghostscript, IPTC
opens whatever lies inside it (also an EPS), FITS unpacks gzip before any size is known. So a new
format has to be let in here, not kept out.
"""
import re

from ..errors import recognise_download

# What cameras, phones, browsers and scanners save, under Pillow's names.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "ICO": (".ico",),
}
SUFFIXES = sum(FORMATS.values(), ())

# Other files. A camera's raw file begins like a TIFF and holds a thumbnail first.
OTHER_SUFFIXES = tuple(
    ".heic .heif .hif .jxl .svg .svgz .psd .xcf .eps .ps .ai .pdf .tga .dds .exr .hdr .pcx .dcm "
    ".fits .pfm .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .pef .srw .raw .mp4 .m4v .mov .avi .mkv "
    ".webm .txt .md .csv .json .xml .html .htm .py .npy .npz .zip .gz .tar .safetensors".split())

HEAD = 256                                # first bytes of a file, enough for format_of

STARTS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+"),
    "JPEG2000": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
}
# Sizes of a BMP's header: 12, 16, 40, 52, 56, 64, 108 or 124 bytes.
BMP_HEADERS = (b"\x0c\0\0\0", b"\x10\0\0\0", b"\x28\0\0\0", b"\x34\0\0\0",
               b"\x38\0\0\0", b"\x40\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")


def format_of(head: bytes) -> str | None:
    """The first bytes of a file -> its name in FORMATS, whether or not this Pillow reads it."""
    for name, starts in STARTS.items():
        if head.startswith(starts):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if {b"avif", b"avis"} & set(brands(head)):
        return "AVIF"
    if head[:2] == b"BM" and head[14:18] in BMP_HEADERS:    # many a text begins with "BM"
        return "BMP"
    if re.match(rb"P[1-6]\s+[#\d]", head):
        return "PPM"
    if head[:4] == b"\0\0\1\0" and any(head[4:6]):       # how many icons
        return "ICO"
    return None


def brands(head: bytes) -> list[bytes]:
    """The brands that a file of the MPEG-4 family (AVIF, HEIC, films) claims."""
    if head[4:8] != b"ftyp":
        return []
    end = min(len(head), int.from_bytes(head[:4], "big"))
    return [head[8:12]] + [head[i:i + 4] for i in range(16, end - 3, 4)]


OTHER_STARTS = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript drawing",
    b"\xc5\xd0\xd3\xc6": "a PostScript drawing",
    b"8BPS": "a Photoshop file",
    b"gimp xcf": "a GIMP file",
    b"\xff\x0a": "a JPEG XL file",
    b"\0\0\0\x0cJXL ": "a JPEG XL file",
    b"P7\n": "a PAM file",
    b"qoif": "a QOI file",
    b"DDS ": "a DDS texture",
    b"icns": "a macOS icon",
    b"SIMPLE  =": "a FITS file",
    b"\0\0\2\0": "a mouse cursor",
    b"v/1\x01": "an OpenEXR file",
    b"FUJIFILM": "a camera's raw file",
    b"IIRO": "a camera's raw file",
    b"IIU\0": "a camera's raw file",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x93NUMPY": "a NumPy array",
}


def other_kind(head: bytes) -> str | None:
    """What a file outside FORMATS is, as far as its first bytes tell: "an SVG drawing"."""
    for start, what in OTHER_STARTS.items():
        if head.startswith(start):
            return what
    if head[:2] == b"BA" and head[14:16] == b"BM":
        return "an OS/2 bitmap array"
    if head[:4] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return "a bitmap without the head of a BMP file"
    found = set(brands(head))
    if found & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return "a HEIC file"
    if found:
        return "a camera's raw file" if b"crx " in found else "a film"
    return text_kind(head.lstrip(b"\xef\xbb\xbf \r\n\t").lower())


def text_kind(text: bytes) -> str | None:
    if text.startswith((b"{", b"[")):
        return "a JSON text"
    page = text.startswith((b"<!doctype html", b"<html"))
    if text.startswith(b"<") and b"<svg" in text and not page:
        return "an SVG drawing"
    return recognise_download(text)
