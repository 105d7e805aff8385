"""What a result was made from, as a digest: used again is only what was made from the same.

    origins = Origins(model, classes, options)         # what the run depends on
    origins.look("x.jpg")                              # before the picture is decoded
    write_sealed("x_mask.png", mask, origins.of("x.jpg"), file_digest("x_overlay.png"))
    is_sealed("x_mask.png", origins.of("x.jpg"), file_digest("x_overlay.png"))         # later

Contents are hashed whole. A name, a size and a time do not tell a file from another one that was
given its time, and a sample of the tensors would miss a word that was taught to one row of the
embedding. BLAKE2 takes about a second for a gigabyte. Names of files and the place of a result do
not count, and nothing that changes only the last digits: the batch size, the number of threads.
"""
import hashlib
import io
import json
import math
import os
import stat
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "transformers", "numpy", "pillow")
END = b"\0\0\0\0IEND\xae\x42\x60\x82"                     # the last 12 bytes of every PNG file
KEYWORD = b"minifaseg\0"
UNUSED = ("decoder.", "post_quant_conv.")                 # of the VAE: read only to paint


def new_hash():
    return hashlib.blake2b(digest_size=16)


def digest(*parts) -> str:
    """32 letters that stand for plain values: texts, numbers, None, lists and dicts of them."""
    found = new_hash()
    found.update(json.dumps(parts, sort_keys=True, default=str).encode())
    return found.hexdigest()


def file_digest(path, largest=math.inf) -> str | None:
    """Of a file's content; None for what is not there, has more bytes than `largest`, or cannot be
    read twice, such as a pipe."""
    found, chunk = new_hash(), bytearray(1 << 20)
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode) or about.st_size > largest:
            return None
        with open(path, "rb", buffering=0) as file:
            while size := file.readinto(chunk):
                found.update(memoryview(chunk)[:size])
    except (OSError, ValueError):
        return None
    return found.hexdigest()


@cache
def code_digest() -> str:
    """Of this package as it is now, edited or not, and of the versions of the libraries that
    compute."""
    from . import __version__
    files = sorted(Path(__file__).parent.rglob("*.py"))
    libraries = [version(name) for name in LIBRARIES]
    return digest(__version__, libraries, [file_digest(path) for path in files])


def weights_digest(model) -> str:
    """Of a minifaseg Model: every tensor in use, in the number type in use, and all that its files
    say beside them."""
    configs = [asdict(net.config) for net in (model.unet, model.vae, model.text)]
    words = sorted(model.text.words or ())
    found = new_hash()
    found.update(digest(model.device.type, configs, model.notes, words).encode())
    found.update(tokenizer_digest(model.text.tokenizer).encode())
    for net in (model.unet, model.vae, model.text):
        add_tensors(found, net, UNUSED if net is model.vae else ())
    return found.hexdigest()


def transformers_digest(model, processor) -> str:
    """Of a model and its processor as transformers loads them (CLIP, BLIP)."""
    found, config = new_hash(), model.config.to_dict()
    config.pop("_name_or_path", None)
    found.update(digest(model.device.type, config, processor.image_processor.to_dict()).encode())
    found.update(tokenizer_digest(processor.tokenizer).encode())
    add_tensors(found, model)
    return found.hexdigest()


def add_tensors(found, net, unused=()):
    import torch
    for name, tensor in net.state_dict().items():
        if not name.startswith(unused):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())


def tokenizer_digest(tokenizer) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:                                   # transformers 4's, in plain Python
        return digest(tokenizer.get_vocab(), list(getattr(tokenizer, "bpe_ranks", ())))
    told = json.loads(backend.to_str())
    for changes_with_every_call in ("padding", "truncation"):
        told.pop(changes_with_every_call, None)
    return digest(told)


class Origins:
    """The origin of every picture of a run: a digest of its content and of everything that the run
    depends on."""

    def __init__(self, model, *parts):
        """parts: plain values, such as class names and options."""
        self.parts, self.contents, self.run = parts, {}, None
        # Not a daemon: one that still works in torch when the process ends would abort it.
        self.weights = ThreadPoolExecutor(1).submit(weights_digest, model)

    def look(self, path) -> None:
        """Notes a picture's content. To be called before it is decoded: should it change in
        between, its origin will not fit."""
        from .pictures.opening import MAX_BYTES
        self.contents[path] = None if path == "-" else file_digest(path, MAX_BYTES)

    def of(self, path) -> str | None:
        """The origin of a picture that was looked at; None if its content cannot be read again."""
        content = self.contents.get(path)
        return content and self.made_of(content)

    def made_of(self, *content) -> str:
        if self.run is None:
            self.run = digest(code_digest(), self.weights.result(), *self.parts)
        return digest(self.run, *content)


# PNG files that carry their origin. The seal, a text chunk, stands at the end and covers every byte
# before it, so a mask that was edited, shrunk or cut off fits no longer, whichever of its chunks a
# tool has kept.

def seal(body, parts) -> bytes:
    """The end of a PNG file whose other bytes are `body`."""
    found = new_hash()
    found.update(body)
    data = b"tEXt" + KEYWORD + digest(found.hexdigest(), *parts).encode()
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)) + END


SEAL_LENGTH = len(seal(b"", ()))


def write_sealed(path, image, *parts) -> None:
    """`images.write_png`, sealed with what the picture was made from."""
    from .writing import write
    png = io.BytesIO()
    image.save(png, "PNG")
    body = png.getvalue().removesuffix(END)
    write(path, lambda file: file.write(body + seal(body, parts)))


def is_sealed(path, *parts) -> bool:
    """Is this the whole file that `write_sealed` made of the same parts?"""
    with suppress(OSError):
        if os.path.isfile(path):
            content = Path(path).read_bytes()
            return content.endswith(seal(content[:-SEAL_LENGTH], parts))
    return False
