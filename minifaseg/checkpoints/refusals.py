"""What is wrong with files that hold no checkpoint that can be read, and what to do about it.

Kept here, so that the code that opens files can be read without it. See also other_models.
"""
import os
import re
from pathlib import Path
from typing import NoReturn

from ..errors import (
    WEIGHTS_COMMAND,
    InputError,
    first_few,
    one_line,
    recognise_download,
    short,
)

PICKLE = re.compile(rb"PK\x03\x04|"                                   # torch.save's archive
                    rb"\x80[\x02-\x05]|"                              # protocols 2 to 5
                    rb"[}\]]q\0|"                                     # protocol 1
                    rb"\([dl]p\d+\n|c[\w.]+\n\w+\n")                  # protocol 0


def check_exists(path: str | Path) -> None:
    """Is there a file or a folder?"""
    if os.path.isfile(path) or os.path.isdir(path):
        return
    special = os.path.exists(path)
    kind = "a pipe or a device, not a file" if special else "no such file or folder"
    raise InputError(f"{path}: {kind}; "
                     "give a .safetensors file, a diffusers folder, sd15 or cartoon")


def refuse_without_tokenizer(path: str | Path) -> NoReturn:
    """Raises InputError for a single file whose tokenizer is nowhere."""
    raise InputError(f"{path}: no tokenizer beside it (tokenizer/vocab.json and merges.txt, or "
                     "tokenizer.json), none in the hub cache, and no installed package that "
                     f"carries it; {WEIGHTS_COMMAND} download --tokenizer fetches it (1.6 MB), and "
                     "pip install --no-deps open_clip_torch brings such a package")


def explain_not_opened(path: str | Path, error: Exception) -> str:
    """What a file is that safetensors could not open, by its first bytes."""
    if isinstance(error, UnicodeError):
        return "its path is not UTF-8, which safetensors cannot open; rename it"
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as e:
        return f"cannot be read ({e.strerror or e})"
    except ValueError as e:
        return f"no file can have this name ({e})"

    if not size:
        return "an empty file; download it again"
    download = recognise_download(head)
    if download == "a git-lfs pointer":
        return ("a Git LFS pointer, not the weights themselves; run `git lfs pull`, "
                f"or {WEIGHTS_COMMAND} download")
    if download:
        return (f"{download} ({size} bytes), not weights; the download went wrong, try again "
                "(a login or licence page?)")
    if PICKLE.match(head):
        return ("a pickle (.ckpt, .bin, .pt), which could run code and is never opened; "
                "get the .safetensors file")
    if head[4:9] == b"\0\0\0\0{":              # the size of the header, 8 bytes; then the header
        return f"truncated or damaged ({size} bytes: {one_line(error)}); download it again"
    return f"not a safetensors file ({one_line(error)})"


def explain_missing(folder: Path, stem: str, variants: dict, pipeline: dict) -> str:
    """Why a folder has no weights of a part that can be read: is it something else?

    stem: of the file's name. variants: those that are there. pipeline: its model_index.json.
    """
    if variants:
        return (f"no {stem}.safetensors there, only the variants {first_few(variants)}; "
                "rename the right one")

    beside = (folder / stem).parent
    here = ""
    if list(beside.glob("*-of-*.safetensors")):
        here = " (only shards without their index.json)"
    elif list(beside.glob("*.bin")):
        here = " (only a .bin pickle, which is never opened)"

    kind = pipeline.get("_class_name", pipeline.get("architectures"))
    hint = "is it a diffusers folder of Stable Diffusion 1.x?"
    if kind not in (None, "StableDiffusionPipeline"):
        hint = (f"it says that it is a {short(kind)}, "
                "FA-Seg needs a StableDiffusionPipeline of Stable Diffusion 1.x")
    return f"no {stem}.safetensors there{here}; {hint}"
