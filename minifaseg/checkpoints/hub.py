"""Where weights are found: a path, the Hugging Face cache, or the cartoon model inside the package.

And which files of a diffusers folder hold them. No network here.
"""
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import WEIGHTS_COMMAND, InputError

REPO = "stable-diffusion-v1-5/stable-diffusion-v1-5"
REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
REPO_COPIES = ("runwayml/stable-diffusion-v1-5",         # its first home, gone since 2024
               "benjamin-paine/stable-diffusion-v1-5", "botp/stable-diffusion-v1-5")
CARTOON = Path(__file__).parents[1] / "cartoon" / "cartoon.safetensors"
FOLDER = {"unet": "unet/diffusion_pytorch_model", "vae": "vae/diffusion_pytorch_model",
          "text": "text_encoder/model"}
VARIANTS = ("", "fp32", "fp16", "bf16", "ema", "non_ema")         # which file of a part, best first
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer.json", "added_tokens.json",
                   "special_tokens_map.json", "tokenizer_config.json")


def hub_files(half: bool = False) -> list[str]:
    """The files of the SD 1.5 repository that this package reads. half: the float16 weights."""
    end = ".fp16.safetensors" if half else ".safetensors"
    return ["unet/config.json", "vae/config.json", "text_encoder/config.json",
            "tokenizer/vocab.json", "tokenizer/merges.txt",
            *(stem + end for stem in FOLDER.values())]


# ---- a diffusers folder --------------------------------------------------------------------------
def weight_files(folder: Path, part: str) -> dict[str, Path]:
    """{variant: file} of one part of a diffusers folder: "" for the plain one, "fp16", "non_ema".

    The file holds the tensors, or is the index.json that lists the shards which do.
    """
    stem = folder / FOLDER[part]
    name = re.escape(stem.name)
    index = rf"{name}\.safetensors\.index(?:\.([^.]+))?\.json"
    whole = rf"{name}(?:\.([^.]+))?\.safetensors"
    found = {}
    for pattern in (index, whole):             # a whole file replaces shards
        for path in sorted(stem.parent.glob(f"{stem.name}.*")):
            match = re.fullmatch(pattern, path.name)
            if match and "-of-" not in path.name and path.is_file():
                found[match[1] or ""] = path
    return found


def best_variant(found: dict, half: bool = False) -> str | None:
    """Of the variants found, the one to read; None if there is none that we know."""
    order = ("fp16", *VARIANTS) if half else VARIANTS
    return next((variant for variant in order if variant in found), None)


def has_tokenizer(folder: Path) -> bool:
    """Two files from CLIP's own release on, tokenizer.json alone from transformers 5 on."""
    there = {name for name in TOKENIZER_FILES if (folder / name).is_file()}
    return {"vocab.json", "merges.txt"} <= there or "tokenizer.json" in there


def tokenizer_beside(file: Path) -> Path | None:
    """The folder beside a single file in which a tokenizer is."""
    return next(filter(has_tokenizer, (file.parent / "tokenizer", file.parent)), None)


# ---- the hub cache -------------------------------------------------------------------------------
def cache_of(repo: str) -> Path:
    """The folder of a repository in the hub cache."""
    from huggingface_hub import constants
    return Path(constants.HF_HUB_CACHE, f"models--{repo.replace('/', '--')}")


def _snapshots():
    """What the hub cache has of SD 1.5, best first.

    The pinned revision, `main`, any other; then the same of its copies.
    """
    found = []
    for repo in (REPO, *REPO_COPIES):
        home = cache_of(repo)
        folders = sorted(path for path in (home / "snapshots").glob("*") if path.is_dir())
        ref = home / "refs" / "main"
        main = ref.read_text(errors="replace").strip() if ref.is_file() else None
        found += sorted(folders, key=lambda path: (path.name != REVISION, path.name != main))
    return found


def cached_folder(files: Iterable[str]) -> Path | None:
    """The best snapshot of SD 1.5 in the hub cache that has all these files."""
    for folder in _snapshots():
        if all((folder / name).is_file() for name in files):
            return folder
    return None


def cached_tokenizer() -> Path | None:
    """The folder of SD 1.5's tokenizer in the hub cache."""
    folders = [snapshot / "tokenizer" for snapshot in _snapshots()]
    return next(filter(has_tokenizer, folders), None)


def cached_sd15() -> Path | None:
    """The best snapshot with all three networks, in whatever variant, and their tokenizer."""
    for folder in _snapshots():
        variants = [best_variant(weight_files(folder, part)) for part in FOLDER]
        if None not in variants and has_tokenizer(folder / "tokenizer"):
            return folder
    return None


def find(weights: str | Path = "auto") -> Path:
    """The file or folder that a user means.

    weights: a path (`~` in front is the home folder), "sd15", "cartoon", or "auto", which is
    $MINIFASEG_WEIGHTS, else SD 1.5 in the hub cache, else the cartoon model. Raises InputError.
    """
    if weights == "auto":
        weights = os.environ.get("MINIFASEG_WEIGHTS") or "auto"
    if weights == "cartoon":
        return CARTOON
    if weights == "auto":
        return cached_sd15() or CARTOON
    if weights != "sd15":
        return Path(os.path.expanduser(weights))
    found = cached_sd15()
    if not found:
        raise InputError("sd15: Stable Diffusion 1.5 is not in the hub cache; "
                         f"fetch it once with: {WEIGHTS_COMMAND} download")
    return found
