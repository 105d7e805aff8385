"""Where weights are found: a path, the Hugging Face cache, or the cartoon model inside the package.
And which files of a diffusers folder hold them. No network here."""
import os
import re
from pathlib import Path

from ..errors import InputError

REPO = "stable-diffusion-v1-5/stable-diffusion-v1-5"
REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
SAME = ("runwayml/stable-diffusion-v1-5", "benjamin-paine/stable-diffusion-v1-5",
        "botp/stable-diffusion-v1-5")          # its first home, gone since 2024, and known copies
CARTOON = Path(__file__).parents[1] / "cartoon" / "cartoon.safetensors"
FOLDER = {"unet": "unet/diffusion_pytorch_model", "vae": "vae/diffusion_pytorch_model",
          "text": "text_encoder/model"}
VARIANTS = ("", "fp32", "fp16", "bf16", "ema", "non_ema")         # which file of a part, best first
VARIANTS_HALF = ("fp16", "", "fp32", "bf16", "ema", "non_ema")
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer.json", "added_tokens.json",
                   "special_tokens_map.json", "tokenizer_config.json")


def hub_files(half=False):
    """The files of the SD 1.5 repository that this package reads."""
    variant = ".fp16" if half else ""
    return ["unet/config.json", "vae/config.json", "text_encoder/config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
            *(f"{stem}{variant}.safetensors" for stem in FOLDER.values())]


# ---- a diffusers folder --------------------------------------------------------------------------
def weight_files(folder, part) -> dict[str, Path]:
    """{variant: file} of one part of a diffusers folder: "" for the plain one, "fp16", "non_ema".

    The file holds the tensors, or is the index.json that lists the shards which do.
    """
    stem = Path(folder, FOLDER[part])
    whole = re.compile(re.escape(stem.name) + r"(?:\.([^.]+))?\.safetensors")
    index = re.compile(re.escape(stem.name) + r"\.safetensors\.index(?:\.([^.]+))?\.json")
    found = {}
    for pattern in (index, whole):                            # a whole file goes before shards
        for path in sorted(stem.parent.glob(f"{stem.name}.*")):
            match = pattern.fullmatch(path.name)
            if match and "-of-" not in (match[1] or "") and path.is_file():
                found[match[1] or ""] = path
    return found


def best_variant(found, half=False) -> str | None:
    """Of the variants found, the one to read; None if there is none that we know."""
    return next((v for v in (VARIANTS_HALF if half else VARIANTS) if v in found), None)


def has_tokenizer(folder) -> bool:
    """Two files from CLIP's own release on, tokenizer.json alone from transformers 5 on."""
    there = {name for name in TOKENIZER_FILES if Path(folder, name).is_file()}
    return {"vocab.json", "merges.txt"} <= there or "tokenizer.json" in there


# ---- the hub cache -------------------------------------------------------------------------------
def snapshots() -> list[Path]:
    """What the hub cache has of SD 1.5, best first: the pinned revision, `main`, any other; then
    the same under its other names."""
    from huggingface_hub import constants
    found = []
    for repo in (REPO, *SAME):
        home = Path(constants.HF_HUB_CACHE, f"models--{repo.replace('/', '--')}")
        folders = sorted(p for p in (home / "snapshots").glob("*") if p.is_dir())
        ref = home / "refs" / "main"
        main = ref.read_text(errors="replace").strip() if ref.is_file() else None
        found += sorted(folders, key=lambda p: (p.name != REVISION, p.name != main))
    return found


def cached_folder(files) -> Path | None:
    """The best snapshot of SD 1.5 in the hub cache that has all these files."""
    whole = (folder for folder in snapshots() if all((folder / name).is_file() for name in files))
    return next(whole, None)


def cached_tokenizer() -> Path | None:
    return next((f / "tokenizer" for f in snapshots() if has_tokenizer(f / "tokenizer")), None)


def cached_sd15() -> Path | None:
    """The best snapshot with all three networks, in whatever variant, and their tokenizer."""
    for folder in snapshots():
        parts = [best_variant(weight_files(folder, part)) for part in FOLDER]
        if None not in parts and has_tokenizer(folder / "tokenizer"):
            return folder
    return None


def find(weights="auto") -> Path:
    """A path, "sd15", "cartoon", or "auto": $MINIFASEG_WEIGHTS, else SD 1.5 in the hub cache, else
    the cartoon model. A `~` in front stands for the home folder."""
    if weights == "auto":
        weights = os.environ.get("MINIFASEG_WEIGHTS") or "auto"
    if weights == "auto":
        return cached_sd15() or CARTOON
    if weights == "sd15":
        found = cached_sd15()
        if not found:
            raise InputError("sd15: Stable Diffusion 1.5 is not in the hub cache; fetch it once with: python weights.py download")
        return found
    return CARTOON if weights == "cartoon" else Path(os.path.expanduser(weights))
