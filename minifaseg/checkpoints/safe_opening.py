"""Files that others made, opened without trust: nothing is unpickled, and sizes are limited."""
import json
import weakref
from functools import cached_property
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..errors import InputError, one_line
from .refusals import explain_not_opened

LARGEST_TEXT = 16 << 20
# Bytes of a header or a JSON file. SD 1.5's header has 0.2 million; reading one takes ten times its
# size.
MOST_TENSORS = 10_000


class TensorFile:
    """An open safetensors file, mapped. It stays readable if another file takes its name."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.stream = open(path, "rb")
        weakref.finalize(self, self.stream.close)
        file: Any = safe_open(path, framework="pt")
        self.keys, self.metadata = file.keys, file.metadata
        self.get_slice, self.get_tensor = file.get_slice, file.get_tensor

    def map(self) -> mmap:
        """Another mapping of the whole file, of which no page is read yet."""
        return mmap(self.stream.fileno(), 0, access=ACCESS_COPY)

    @cached_property
    def starts(self) -> dict[str, int]:
        """Stored name -> the byte of the file at which the tensor begins. Raises InputError."""
        content = self.map()
        first = 8 + int.from_bytes(content[:8], "little")          # of the bytes after the header
        header = parse_json(Path(self.path), content[8:first].decode())
        return {name: first + header[name]["data_offsets"][0] for name in self.keys()}


def open_file(path: str | Path) -> TensorFile:
    """A safetensors file, whatever its name; its tensors are read later, one by one.

    Raises InputError, which says what the file is instead.
    """
    try:
        str(path).encode()                     # raises UnicodeError
        with open(path, "rb") as opened:
            header_size = int.from_bytes(opened.read(8), "little")
        if header_size > LARGEST_TEXT:
            raise ValueError(f"a header of more than {LARGEST_TEXT >> 20} MiB")
        file = TensorFile(path)
    except (SafetensorError, OSError, ValueError) as e:
        raise InputError(f"{path}: {explain_not_opened(path, e)}") from None
    if len(file.keys()) > MOST_TENSORS:
        raise InputError(f"{path}: {len(file.keys()):,} tensors; Stable Diffusion 1.x has about "
                         "1,100, with a moving average 1,800")
    return file


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, its line ends as they are. Raises InputError."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read(LARGEST_TEXT + 1)
    except OSError as e:
        why = e.strerror or e
        raise InputError(f"{path}: cannot be read ({why}); check its permissions") from None
    except UnicodeError as e:
        raise InputError(f"{path}: not UTF-8 ({one_line(e)}); download it again") from None
    if len(text) > LARGEST_TEXT:
        raise InputError(f"{path}: a text of more than {LARGEST_TEXT >> 20} MiB; download it again")
    return text


def read_json(path: Path) -> dict:
    """The JSON object in a file; {} if there is no such file. Raises InputError."""
    return parse_json(path, read_text(path)) if path.is_file() else {}


def parse_json(path: Path, text: str) -> dict:
    """The JSON object in a text that stands in the file `path`. Raises InputError."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise InputError(f"{path}: not valid JSON ({e}); download it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: JSON, but not an object; download it again")
    return content
