"""Stable Diffusion 1.5 into the Hugging Face cache."""
import errno
import os
import shutil

from ..errors import WEIGHTS_COMMAND, InputError, one_line
from .hub import REPO, REVISION, cache_of, cached_folder, hub_files

LICENCE = ("CreativeML Open RAIL-M (has use restrictions): "
           "https://huggingface.co/spaces/CompVis/stable-diffusion-license")


def download(half: bool = False, tokenizer: bool = False, force: bool = False) -> None:
    """Fetches SD 1.5, or its tokenizer only, into the Hugging Face cache. Raises InputError.

    half: the float16 files. force: also what is there already.
    """
    from huggingface_hub import constants
    files = hub_files(half)
    if tokenizer:
        files = [name for name in files if name.startswith("tokenizer/")]
    folder = cached_folder(files)
    print(f"{REPO} at {REVISION[:8]}: {len(files)} files into {constants.HF_HUB_CACHE}\n"
          f"licence: {LICENCE}", flush=True)

    if folder and not force:
        print("already there")
    elif constants.HF_HUB_OFFLINE:
        absent = next((name for name in files if not cached_folder([name])), files[0])
        raise InputError(f"HF_HUB_OFFLINE is set and {absent} is not in {constants.HF_HUB_CACHE}; "
                         f"run this once without it, or copy the folder {cache_of(REPO)} "
                         "from a machine that has it")
    else:
        try:
            folder = _fetch(files, force)
        except InputError:
            raise
        except Exception as e:                 # of requests, httpx or hf_xet, by version of the hub
            raise InputError(_explain(e, constants.ENDPOINT)) from e

    print(folder)
    if tokenizer:
        print("serves any single .safetensors file of SD 1.x")
    else:
        print(f"look at it: {WEIGHTS_COMMAND} inspect sd15\n"
              "use it: python -m minifaseg image.jpg cat dog grass")


def _fetch(files, force):
    """The snapshot with these files of SD 1.5's repository, fetched unless they are in it."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    home = cache_of(REPO)
    snapshot = home / "snapshots" / REVISION
    wanted = [name for name in files if force or not (snapshot / name).is_file()]
    urls = [hf_hub_url(REPO, name, revision=REVISION) for name in wanted]
    _check_space(home.parent, [get_hf_file_metadata(url).size for url in urls])
    for name in wanted:
        hf_hub_download(REPO, name, revision=REVISION, force_download=force)
    return snapshot


def _check_space(cache, sizes):
    """Says how much will come; refuses what the disk cannot take.

    The hub library would find that out at the last byte. sizes: None if the server tells none.
    """
    if None in sizes:
        print(f"fetching {len(sizes)} files (the server tells no sizes)", flush=True)
        return
    size = sum(sizes)
    print(f"fetching {len(sizes)} files, {megabytes(size)}", flush=True)
    folders = cache.absolute(), *cache.absolute().parents
    free = shutil.disk_usage(next(folder for folder in folders if folder.exists())).free
    if free < size:
        raise InputError(f"{cache}: needs {megabytes(size)}, only {megabytes(free)} free; "
                         "make room, set HF_HOME to another disk, or take --half")


def _explain(error, endpoint):
    """One line for anything the hub library raises: what happened, what to do."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    responses = [getattr(e, "response", None) for e in chain]
    code = next((r.status_code for r in responses if r is not None), None)
    number = next((e.errno for e in chain if isinstance(e, OSError) and e.errno), None)
    said = one_line(error if code else chain[-1])[:200]

    if code in (401, 403):
        return (f"{endpoint} refuses {REPO} (HTTP {code}): private, gated or a bad token; "
                f"look at {endpoint}/{REPO} in a browser, then run `hf auth login` or set "
                "HF_TOKEN")
    if code == 404:
        return (f"{endpoint} has no such file (HTTP 404): is HF_ENDPOINT right, has the "
                f"repository moved? ({said})")
    if code:
        return f"{endpoint} answers HTTP {code}; try again later ({said})"
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (f"the disk is full ({os.strerror(number)}); make room or set HF_HOME to another "
                "disk, then run this again")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"the cache cannot be written ({said}); set HF_HOME to a folder of yours"
    return (f"the download from {endpoint} broke off ({said or type(error).__name__}); is there a "
            "connection? Run the same command again, finished files are kept")


def megabytes(size):
    """Bytes in words: "492.3 MB", "3.44 GB"."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
