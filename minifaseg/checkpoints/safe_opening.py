"""Files that others made, opened without trust: nothing is unpickled, and sizes are limited."""
import json
from pathlib import Path

from safetensors import SafetensorError

from ..errors import InputError, one_line
from .reading import TensorFile
from .refusals import explain_not_opened

LARGEST_TEXT = 16 << 20
# Bytes of a header or a JSON file. SD 1.5's header has 0.2 million; reading one takes ten times its
# size.
MOST_TENSORS = 10_000


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
