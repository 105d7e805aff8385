"""What a result was made from, as a digest. A result is used again only if its digest is the same.

    origins = Origins(model, classes, options)         # what the run depends on
    origins.record("x.jpg")                            # before the picture is decoded
    write_sealed("x_mask.png", mask, origins.of("x.jpg"), file_digest("x_overlay.png"))
    is_sealed("x_mask.png", origins.of("x.jpg"), file_digest("x_overlay.png"))         # later

Contents are hashed whole. A name, a size and a time do not tell a file from another one that was
given its time, and a sample of the tensors would miss a word that was taught to one row of the
embedding. Pictures and code are hashed by BLAKE2. Of each tensor only the CRC-32 is: BLAKE2 over
SD 1.5 takes three seconds of a core, which a first picture on a CPU waits for, and CRC-32 half a
second. What is lost: it finds every accidental change but one in four billion, and does not find a
change that was made to keep it.

File names and the place of a result do not count. Neither does what changes only the last digits:
the batch size and the number of threads.
"""
import hashlib
import io
import json
import math
import os
import stat
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import cache, cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .writing import write

if TYPE_CHECKING:                                         # both are slow to import
    from PIL import Image

    from .model import Model

LIBRARIES = ("torch", "transformers", "numpy", "pillow")

# Tensors of our VAE that are read only to paint. No other network has such names.
UNUSED = ("decoder.", "post_quant_conv.")

new_hash = partial(hashlib.blake2b, digest_size=16)


def digest(*parts: Any) -> str:
    """32 hexadecimal digits of plain values: texts, numbers, None, lists and dicts of them."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return new_hash(text.encode()).hexdigest()


def file_digest(path: str | Path, largest: float = math.inf) -> str | None:
    """The digest of a file's content.

    None for a file that is not there, has more bytes than `largest`, or cannot be read twice, such
    as a pipe.
    """
    content_hash = new_hash()
    with suppress(OSError, ValueError):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            return None
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(1 << 20):
                content_hash.update(chunk)
        return content_hash.hexdigest()
    return None


@cache
def code_digest() -> str:
    """The digest of this package as it is now, edited or not, and of its libraries' versions."""
    from . import __version__
    files = sorted(Path(__file__).parent.rglob("*.py"))
    libraries = [version(name) for name in LIBRARIES]
    return digest(__version__, libraries, [file_digest(path) for path in files])


def weights_digest(model: "Model") -> str:
    """The digest of a minifaseg Model.

    It covers every tensor in use, in the number type in use, and all that the model's files say
    beside the tensors.
    """
    networks = (model.unet, model.vae, model.text)
    configs = [asdict(network.config) for network in networks]
    words = sorted(model.text.words or ())
    description = digest(model.device.type, configs, model.notes, words)
    return networks_digest(description, model.text.tokenizer, networks)


def transformers_digest(model: Any, processor: Any) -> str:
    """The digest of a model and its processor as transformers loads them (CLIP, BLIP)."""
    config = model.config.to_dict()
    config.pop("_name_or_path", None)
    description = digest(model.device.type, config, processor.image_processor.to_dict())
    return networks_digest(description, processor.tokenizer, [model])


def networks_digest(description: str, tokenizer: Any, networks: Iterable[Any]) -> str:
    import torch
    everything = new_hash(description.encode())
    everything.update(tokenizer_digest(tokenizer).encode())
    for network in networks:
        for name, tensor in network.state_dict().items():
            if not name.startswith(UNUSED):
                content = tensor.cpu().contiguous().flatten().view(torch.uint8).numpy()
                checksum = zlib.crc32(content)
                line = f"{name} {tensor.dtype} {tuple(tensor.shape)} {checksum}"
                everything.update(line.encode())
    return everything.hexdigest()


def tokenizer_digest(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:                                   # transformers 4's, in plain Python
        return digest(tokenizer.get_vocab(), list(getattr(tokenizer, "bpe_ranks", ())))
    description = json.loads(backend.to_str())
    for changes_with_every_call in ("padding", "truncation"):
        description.pop(changes_with_every_call, None)
    return digest(description)


class Origins:
    """The origin of each picture of a run: a digest of its content and of all that the run uses."""

    def __init__(self, model: "Model", *parts: Any) -> None:
        """parts: plain values, such as class names and options."""
        self.parts = parts
        self.contents: dict[str, str | None] = {}
        # Not a daemon: one that still works in torch when the process ends would abort it.
        self.weights = ThreadPoolExecutor(1).submit(weights_digest, model)

    def record(self, path: str) -> None:
        """Records the digest of a picture's content.

        To be called before the picture is decoded: if the file changes in between, its origin will
        not fit the result.
        """
        from .pictures.opening import MAX_BYTES
        self.contents[path] = None if path == "-" else file_digest(path, MAX_BYTES)

    def of(self, path: str) -> str | None:
        """The origin of a recorded picture. None if its content cannot be read again."""
        content = self.contents.get(path)
        return content and self.made_of(content)

    def made_of(self, *content: Any) -> str:
        """The origin of a result made from this content with what the run uses."""
        return digest(self.run, *content)

    @cached_property
    def run(self) -> str:
        return digest(code_digest(), self.weights.result(), *self.parts)


# PNG files that carry their origin. The seal, a text chunk, stands at the end and covers every byte
# before it. So it does not fit a mask that was edited, shrunk or cut off, whichever chunks a tool
# has kept.

def seal(body: bytes, parts: Iterable[Any]) -> bytes:
    """The end of a PNG file whose other bytes are `body`."""
    from PIL.PngImagePlugin import putchunk
    text = digest(new_hash(body).hexdigest(), *parts)
    end = io.BytesIO()
    putchunk(end, b"tEXt", b"minifaseg\0", text.encode())
    putchunk(end, b"IEND")
    return end.getvalue()


def write_sealed(path: str | Path, image: "Image.Image", *parts: str | None) -> None:
    """`images.write_png`, sealed with what the picture was made from."""
    png = io.BytesIO()
    image.save(png, "PNG")
    body = png.getvalue()[:-12]                           # without its own IEND chunk
    write(path, lambda file: file.write(body + seal(body, parts)))


def is_sealed(path: str | Path, *parts: str | None) -> bool:
    """Is this the whole file that `write_sealed` made of the same parts?"""
    with suppress(OSError):
        if os.path.isfile(path):
            content = Path(path).read_bytes()
            length = len(seal(b"", parts))
            return content.endswith(seal(content[:-length], parts))
    return False
