"""Weights of Stable Diffusion 1.5: fetch them, look into a file of them, change a file's layout or number type.

    python weights.py download --half                               into the Hugging Face cache, where `--weights auto` finds it
    python weights.py inspect model.safetensors                     layout, sizes, what is missing; exit code 0 if it would load
    python weights.py convert model.safetensors folder              single file <-> diffusers folder
"""
import argparse
import errno
import os
import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path

from minifaseg.checkpoints.checkpoint import Checkpoint
from minifaseg.checkpoints.convert import convert
from minifaseg.checkpoints.examine import NETWORK, examine
from minifaseg.checkpoints.hub import (
    REPO,
    REVISION,
    TOKENIZER_FILES,
    cached_folder,
    find,
    hub_files,
)
from minifaseg.checkpoints.safe_opening import few, one_line, open_file
from minifaseg.checkpoints.tensor_names import PREFIX, WRAPPERS
from minifaseg.errors import InputError, shown

LICENCE = "CreativeML Open RAIL-M (has use restrictions): https://huggingface.co/spaces/CompVis/stable-diffusion-license"
SHOWN = 30           # lines of one kind
LONGEST = 200        # characters of one


# ---- download ------------------------------------------------------------------------------------------------------------------
def download(half=False, tokenizer=False, force=False):
    from huggingface_hub import (
        constants,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )
    files = [name for name in hub_files(half) if name.startswith("tokenizer/") or not tokenizer]
    there, cache = cached_folder(files), Path(constants.HF_HUB_CACHE)
    print(f"{REPO} at {REVISION[:8]}: {len(files)} files into {cache}\nlicence: {LICENCE}", flush=True)
    if there and not force:
        print(f"already there\n{there}")
    elif constants.HF_HUB_OFFLINE:
        lacking = next((name for name in files if not cached_folder([name])), files[0])
        raise InputError(f"HF_HUB_OFFLINE is set and {lacking} is not in {cache}; run this once without it, or copy the folder "
                         f"{cache / ('models--' + REPO.replace('/', '--'))} from a machine that has it")
    else:
        wanted = [n for n in files if force or not isinstance(try_to_load_from_cache(REPO, n, revision=REVISION), str)]
        try:
            sizes = [get_hf_file_metadata(hf_hub_url(REPO, name, revision=REVISION)).size for name in wanted]
            check_space(cache, sizes)
            paths = [hf_hub_download(REPO, name, revision=REVISION, force_download=force) for name in files]
        except InputError:
            raise
        except Exception as e:                           # classes of requests, httpx or hf_xet, by version of the hub library
            raise InputError(explain(e, constants.ENDPOINT)) from e
        print(Path(paths[0]).parents[1])
    print("look at it: python weights.py inspect sd15" if not tokenizer else "serves any single .safetensors file of SD 1.x",
          *["use it: python -m minifaseg image.jpg cat dog grass"] * (not tokenizer), sep="\n")


def check_space(cache, sizes):
    """Says how much will come; refuses what the disk cannot take, which the hub library finds out at the last byte."""
    if None in sizes:
        return print(f"fetching {len(sizes)} files (the server tells no sizes)", flush=True)
    print(f"fetching {len(sizes)} files, {megabytes(sum(sizes))}", flush=True)
    free = shutil.disk_usage(next(p for p in (cache.absolute(), *cache.absolute().parents) if p.exists())).free
    if free < sum(sizes):
        raise InputError(f"{cache}: needs {megabytes(sum(sizes))}, only {megabytes(free)} free; make room, set HF_HOME to "
                         "another disk, or take --half")


def explain(error, endpoint):
    """One line for anything the hub library raises: what happened, what to do."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    code = next((e.response.status_code for e in chain if getattr(e, "response", None) is not None), None)
    number = next((e.errno for e in chain if isinstance(e, OSError) and e.errno), None)
    said = one_line(error if code else chain[-1])[:200]
    if code in (401, 403):
        return (f"{endpoint} refuses {REPO} (HTTP {code}): private, gated or a bad token; look at {endpoint}/{REPO} in a "
                "browser, then run `hf auth login` or set HF_TOKEN")
    if code == 404:
        return f"{endpoint} has no such file (HTTP 404): is HF_ENDPOINT right, has the repository moved? ({said})"
    if code:
        return f"{endpoint} answers HTTP {code}; try again later ({said})"
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"the disk is full ({os.strerror(number)}); make room or set HF_HOME to another disk, then run this again"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"the cache cannot be written ({said}); set HF_HOME to a folder of yours"
    return (f"the download from {endpoint} broke off ({said or type(error).__name__}); is there a connection? "
            "Run the same command again, finished files are kept")


def megabytes(size):
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


# ---- inspect -------------------------------------------------------------------------------------
def inspect(path):
    path = find(path)
    try:
        file = Checkpoint(path)
    except ValueError:
        raw(path)
        raise
    layout, loads = file.layout, True
    print(f"{path}: {'single file, original names' if layout.single else 'diffusers folder'}"
          + f", notes: {', '.join(file.metadata)}" * bool(file.metadata))
    for key, value in sorted(layout.says.items()):
        if key.startswith("modelspec."):
            print(f"  {shown(key)}: {shown(one_line(value)[:LONGEST])}")
    for part in NETWORK:
        facts, problems, remarks = examine(file, part)
        lines = [f"{part:9} {facts}", *where(file, part), *problems[:SHOWN], *remarks[:SHOWN]]
        print(*map(shown, lines), sep="\n  ")
        if len(problems) > SHOWN:
            print(f"  and {len(problems) - SHOWN} more")
        loads &= not problems
    loads &= inspect_tokenizer(file)
    if layout.unread:
        print("not read:", shown(", ".join(groups(layout.unread))))
    print("loads" if loads else "does not load")
    return 0 if loads else 1


def where(file, part):
    """A line on where a part lies, if that is not the usual place."""
    if file.layout.single:
        wrapped = {stored.removesuffix(ours) for ours, (stored, _) in file.keys[part].items()}
        unusual = sorted(wrapped - {PREFIX[part]})
        return [f"stored as {few(prefix + '*' for prefix in unusual)}"] if unusual else []
    read, found = file.layout.files[part]
    shards = {id(opened) for _, opened in file.keys[part].values()}
    others = [path.name for variant, path in found.items() if variant != read]
    line = f"from {found[read].name}"
    line += f" ({len(shards)} shards)" * (found[read].suffix == ".json")
    line += f"; beside it, not read: {', '.join(others)}" * bool(others)
    return [line] if read or others or len(shards) > 1 else []


def inspect_tokenizer(file):
    """Prints where the tokenizer is and what words were added; False if it or the notes are bad."""
    try:
        tokenizer, known = file.tokenizer(), file.text_config().vocabulary
        place = "in the file" if "tokenizer" in file.metadata else file.tokenizer_folder()
        ends = {tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token}
        added = sorted(set(tokenizer.get_added_vocab()) - ends)
        texts = file.tokenizer_texts()
        files = [name for name in TOKENIZER_FILES if name.replace(".", "_") in texts]
        print(f"tokenizer {len(tokenizer)} tokens, {shown(place)}: {', '.join(files)}")
        if added:
            print(f"  added words: {shown(few(added))}")
        if len(tokenizer) < known:
            print(f"  the text encoder knows {known}: {known - len(tokenizer)} of them have no "
                  "word here; was this tokenizer made for it?")
        file.check()
        return True
    except InputError as e:
        print(e)
        return False


def groups(keys):
    """Tensor names in short: alone by their full name, many of a kind by its first words."""
    kinds = defaultdict(list)
    for key in keys:
        words = key.split(".")
        deep = 1 + sum(word in (*WRAPPERS, "cond_stage_model", "first_stage_model")
                       for word in words[:3])
        kinds[".".join(words[:deep])].append(key)
    listed = [same[0] if len(same) == 1 else f"{len(same)} x {kind}.*"
              for kind, same in kinds.items()]
    return [key[:LONGEST] for key in listed[:SHOWN]] + ["..."] * (len(listed) > SHOWN)


def raw(path):
    """What is inside files that are no checkpoint: counts by the first word of the tensors' names."""
    files = sorted([*path.glob("*.safetensors"), *path.glob("*/*.safetensors")]) if path.is_dir() else [path] * path.is_file()
    for file in files:
        try:
            kinds = Counter(key.split(".")[0] for key in open_file(file).keys())
            listed = ", ".join(f"{n} x {kind}.*" for kind, n in kinds.most_common(SHOWN))
            print(f"{file}: {megabytes(file.stat().st_size)}; {shown(listed)}")
        except InputError as e:
            print(e)


# ---- command line --------------------------------------------------------------------------------------------------------------
def main(argv=None):
    parser = argparse.ArgumentParser(prog="weights.py", description="Fetch, inspect and convert Stable Diffusion 1.5 weights.")
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("download", help="fetch SD 1.5 into the Hugging Face cache; HF_HOME, HF_ENDPOINT, HF_TOKEN count")
    which = p.add_mutually_exclusive_group()
    which.add_argument("--half", action="store_true", help="the float16 files: half the bytes")
    which.add_argument("--tokenizer", action="store_true", help="only the tokenizer, which single .safetensors files lack")
    p.add_argument("--force", action="store_true", help="fetch again what is in the cache, for damaged files")
    p = commands.add_parser("inspect", help="say what a checkpoint holds, what it lacks, and whether it would load")
    p.add_argument("path", help="a .safetensors file, a diffusers folder, sd15, cartoon or auto")
    p = commands.add_parser("convert", help="single file <-> diffusers folder")
    p.add_argument("source", help="what inspect takes")
    p.add_argument("target", help="a single file if it ends in .safetensors, else a diffusers folder")
    p.add_argument("--dtype", choices=["keep", "float16", "float32", "bfloat16"], default="keep",
                   help="the number type of all tensors; keep, the default: as they are")
    p.add_argument("--force", action="store_true", help="replace the target")
    options = vars(parser.parse_args(argv))
    try:
        return {"download": download, "inspect": inspect, "convert": convert}[options.pop("command")](**options) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InputError, OSError, ValueError) as e:
        print(f"weights.py: {one_line(e)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("weights.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
