"""CLIP's vocabulary from an installed Python package that carries it.

OpenAI's package `clip` has it in one file of merges, and open_clip_torch has the same file. Of that
file, SD 1.5's vocab.json and merges.txt are made here, byte for byte.

The package is only located, not imported: open_clip imports torchvision, which is often missing or
built for another torch.
"""
import gzip
import hashlib
import json
import zlib
from importlib.util import find_spec
from pathlib import Path

from ..errors import WEIGHTS_COMMAND, InputError, one_line

PACKAGES = {"open_clip": "open_clip_torch", "clip": "clip"}       # name in Python -> name for pip
FILE = "bpe_simple_vocab_16e6.txt.gz"
CONTENT_SHA256 = "67603cfda2e032ad77b5f8808af37789d590db664b26df8705d2bf8b3c553fc8"    # unpacked
LONGEST = 10_000_000          # bytes; the file holds 3.2 million, unpacked
MERGES = 48_894               # the first ones, as CLIP takes them: 49,152 - 256 - 2


def find_vocabulary() -> tuple[str, Path] | None:
    """The first installed package that has the file, by its name for pip, and the file."""
    for module, package in PACKAGES.items():
        for folder in _folders(module):
            if (folder / FILE).is_file():
                return package, folder / FILE
    return None


def _folders(module):
    try:
        spec = find_spec(module)
    except ValueError:                         # a module that was made by hand has no spec
        return []
    places = spec and spec.submodule_search_locations
    return [Path(place) for place in places or ()]


def vocabulary_texts(path: Path) -> dict[str, str]:
    """The texts of vocab.json and merges.txt, made of the package's file (see tokenizer_texts).

    The 49,408 tokens are: 256 bytes, the same at the end of a word, one token for each merge, and
    the start and the end token. Raises InputError for a file with another content.
    """
    version, *lines = _read(path).splitlines()
    merges = lines[:MERGES]

    letters = byte_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += [merge.replace(" ", "") for merge in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    ids = {token: i for i, token in enumerate(tokens)}

    vocab_json = json.dumps(ids, ensure_ascii=False, indent=2, sort_keys=True)
    merges_txt = "\n".join(["#version: 0.2", *merges])
    return {"vocab_json": f"{vocab_json}\n", "merges_txt": f"{merges_txt}\n"}


def byte_letters() -> list[str]:
    """A printable letter for each of the 256 bytes, in the order of CLIP's `bytes_to_unicode`.

    Bytes that are printable in Latin-1 stand for themselves and come first. The others take the
    letters from U+0100 on.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = range(256, 512 - len(printable))
    return [chr(code) for code in (*printable, *others)]


def _read(path):
    """The file's text, if it is CLIP's. No other file of that name is taken for it."""
    try:
        with gzip.open(path) as file:
            content = file.read(LONGEST)
    except (OSError, EOFError, zlib.error) as e:
        raise InputError(_refusal(path, one_line(e))) from None
    if hashlib.sha256(content).hexdigest() != CONTENT_SHA256:
        raise InputError(_refusal(path, "another content"))
    return content.decode()


def _refusal(path, why):
    return (f"{path}: not CLIP's vocabulary, or damaged ({why}); install its package again, or "
            f"fetch the tokenizer (1.6 MB): {WEIGHTS_COMMAND} download --tokenizer")
