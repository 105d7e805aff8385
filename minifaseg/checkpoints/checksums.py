"""Is this the file that the world calls Stable Diffusion 1.5? SHA-256 of the files that are known.

checksums.csv holds them: the name and layout of each file, its SHA-256 and size, and where both
were confirmed. No size stands there where none was.

A file in the hub's cache is a link to a blob whose name is the SHA-256 of what was to be fetched.
So it is recognised without being read.
"""
import csv
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ..errors import InputError, one_line
from .safe_opening import open_file

FILE = Path(__file__).with_name("checksums.csv")
CHUNK = 4 << 20                # bytes that are read at once


@dataclass(frozen=True)
class Known:
    """A line of checksums.csv. bytes: None if the size was not confirmed."""
    file: str
    sha256: str
    bytes: int | None
    layout: str
    confirmed_by: str


@dataclass(frozen=True)
class Verdict:
    """What a file turned out to be.

    kind: "known", "unknown", "damaged" or "cut short". reason: in words. sha256: of its content, or
    as its blob is called; None for a file that is not whole.
    """
    kind: str
    reason: str
    sha256: str | None = None

    @property
    def good(self) -> bool:
        return self.kind in ("known", "unknown")


def read_known(path: Path = FILE) -> dict[str, Known]:
    """{SHA-256: the file that has it}. Raises InputError."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        known = [Known(row["file"], row["sha256"].lower(), int(row["bytes"] or 0) or None,
                       row["layout"], row["confirmed_by"]) for row in rows]
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror}); it must be a table of checksums "
                         "as checkpoints/checksums.csv is") from None
    except (KeyError, ValueError, AttributeError, TypeError, csv.Error) as e:
        raise InputError(f"{path}: not a table with the columns file, sha256, bytes, layout, "
                         f"confirmed_by ({one_line(e)})") from None
    return {entry.sha256: entry for entry in known}


def judge(path: Path, known: Mapping[str, Known], full: bool = False) -> Verdict:
    """What a .safetensors file is. full: read it even if the name of its blob says enough."""
    size = path.stat().st_size
    try:
        open_file(path)
    except InputError as e:
        whole = expected_size(path)
        if whole is not None and size < whole:
            return Verdict("cut short", f"{size:,} of {whole:,} bytes are there; download it again")
        return Verdict("damaged", str(e).removeprefix(f"{path}: "))

    named = blob_name(path)
    if named and not full:
        how = "by its blob's name in the hub cache; --full reads it"
        return _by_checksum(named, size, known, how)
    found = sha256_of(path)
    if named and found != named:
        return Verdict("damaged", "other content than its blob in the hub cache is named after "
                                  f"({named}); fetch it again with --force", found)
    return _by_checksum(found, size, known, "read whole", named is None)


def _by_checksum(sha256, size, known, how, may_be_damaged=False):
    """The verdict on a whole file. how: the way that its checksum was found."""
    entry = known.get(sha256)
    if entry is None:
        alike = next((e for e in known.values() if e.bytes == size), None)
        if alike and may_be_damaged:
            return Verdict("damaged", f"as many bytes as {alike.file} of Stable Diffusion 1.5, but "
                                      "other content. If it is a fine-tune, which has as many, "
                                      "compare its SHA-256 with that on its page", sha256)
        return Verdict("unknown", f"a fine-tune, or an official file that is not listed ({how})",
                       sha256)
    if entry.bytes not in (None, size):
        return Verdict("damaged", f"{size:,} bytes, not {entry.bytes:,}; download it again")
    return Verdict("known", f"{entry.file} of Stable Diffusion 1.5, {entry.layout} ({how}; "
                            f"confirmed by {entry.confirmed_by})", sha256)


def expected_size(path: Path) -> int | None:
    """How many bytes a .safetensors file should have by its own header; None if that says nothing.

    Eight bytes for the size of the header, the header, and the tensors up to the last one's end.
    """
    try:
        with open(path, "rb") as file:
            first = 8 + int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(first - 8, 16 << 20)))
        header.pop("__metadata__", None)
        ends = [entry["data_offsets"][1] for entry in header.values()]
        return first + max(ends, default=0)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None


def blob_name(path: Path) -> str | None:
    """The SHA-256 by which the hub's cache calls this file; None for a file elsewhere."""
    target = path.resolve()
    if target.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", target.name):
        return target.name
    return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, with a progress bar on a terminal."""
    content_hash = hashlib.sha256()
    size = path.stat().st_size
    with open(path, "rb", buffering=0) as file, tqdm(
            total=size, desc=path.name, unit="B", unit_scale=True, leave=False,
            disable=None) as bar:
        while chunk := file.read(CHUNK):
            content_hash.update(chunk)
            bar.update(len(chunk))
    return content_hash.hexdigest()
