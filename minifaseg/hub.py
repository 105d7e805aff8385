"""Where weights are found: a path, the Hugging Face cache, or the cartoon model inside the package. No network here."""
import os
from pathlib import Path

from .errors import InputError

REPO, REVISION = "stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
CARTOON = Path(__file__).parent / "cartoon" / "cartoon.safetensors"
FOLDER = {"unet": "unet/diffusion_pytorch_model", "vae": "vae/diffusion_pytorch_model", "text": "text_encoder/model"}


def hub_files(half=False):
    """The files of the SD 1.5 repository that this package reads."""
    variant = ".fp16" if half else ""
    return ["unet/config.json", "vae/config.json", "text_encoder/config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
            *(f"{stem}{variant}.safetensors" for stem in FOLDER.values())]


def cached_file(name) -> Path | None:
    """A file of the SD 1.5 repository in the hub cache, at the pinned revision or whatever `main` was; no network."""
    from huggingface_hub import try_to_load_from_cache
    for revision in (REVISION, "main"):
        path = try_to_load_from_cache(REPO, name, revision=revision)
        if isinstance(path, str):
            return Path(path)
    return None


def cached_sd15() -> Path | None:
    for half in (False, True):
        paths = [cached_file(name) for name in hub_files(half)]
        if all(paths) and len({p.parent.parent for p in paths}) == 1:
            return paths[0].parent.parent
    return None


def find(weights="auto") -> Path:
    """A path, "sd15", "cartoon", or "auto": $MINIFASEG_WEIGHTS, else SD 1.5 in the hub cache, else the cartoon model."""
    if weights == "auto":
        weights = os.environ.get("MINIFASEG_WEIGHTS") or "auto"
    if weights == "auto":
        return cached_sd15() or CARTOON
    if weights == "sd15":
        found = cached_sd15()
        if not found:
            raise InputError("sd15: Stable Diffusion 1.5 is not in the hub cache; fetch it once with: python weights.py download")
        return found
    return CARTOON if weights == "cartoon" else Path(weights)
