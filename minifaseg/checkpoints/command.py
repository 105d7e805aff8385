"""What weights.py does: fetch, look into, verify and convert weights of Stable Diffusion 1.5."""
import argparse
import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

from ..devices import pick_device
from ..errors import WEIGHTS_COMMAND, InputError, first_few, one_line, shown
from .checkpoint import Checkpoint
from .convert import convert
from .download import download, megabytes
from .examine import examine
from .hub import find
from .safe_opening import open_file
from .tensor_names import PREFIX, WRAPPERS
from .tokenizer import FILE_OF
from .verify import verify as verify_files

PROGRAM = WEIGHTS_COMMAND.split()[-1]
SHOWN = 30           # lines of one kind
LONGEST = 200        # characters of one


# ---- inspect -------------------------------------------------------------------------------------
def inspect(path: str) -> int:
    """Prints what a checkpoint holds. Returns 0 if it would load, else 1. Raises InputError.

    path: what hub.find takes.
    """
    place = find(path)
    try:
        file = Checkpoint(place)
    except ValueError:
        _print_tensors(place)
        raise
    layout, loads = file.layout, True

    kind = "single file, original names" if layout.single else "diffusers folder"
    notes = f", notes: {', '.join(file.notes)}" if file.notes else ""
    print(f"{place}: {kind}{notes}")
    for key, value in sorted(layout.metadata.items()):
        if key.startswith("modelspec."):
            print(f"  {shown(key)}: {shown(one_line(value)[:LONGEST])}")

    for part in file.keys:
        facts, problems, remarks = examine(file, part)
        lines = [f"{part:9} {facts}", *_where(file, part), *problems[:SHOWN], *remarks[:SHOWN]]
        print(*map(shown, lines), sep="\n  ")
        if len(problems) > SHOWN:
            print(f"  and {len(problems) - SHOWN} more")
        loads &= not problems

    loads &= _inspect_tokenizer(file)
    if layout.unread:
        print("not read:", shown(", ".join(_groups(layout.unread))))
    print("loads" if loads else "does not load")
    return 0 if loads else 1


def _where(file, part):
    """A line on where a part lies, if that is not the usual place."""
    stored = file.keys[part]
    if file.layout.single:
        prefixes = {name.removesuffix(ours) for ours, (name, _) in stored.items()} - {PREFIX[part]}
        names = [f"{prefix}*" for prefix in sorted(prefixes)]
        return [f"stored as {first_few(names)}"] if names else []

    variant, found = file.layout.files[part]
    shards = len({id(opened) for _, opened in stored.values()})
    others = [path.name for other, path in found.items() if other != variant]
    if not (variant or others or shards > 1):
        return []
    line = f"from {found[variant].name}"
    if found[variant].suffix == ".json":
        line += f" ({shards} shards)"
    if others:
        line += f"; beside it, not read: {', '.join(others)}"
    return [line]


def _inspect_tokenizer(file):
    """Prints where the tokenizer is and what words were added; False if it or the notes are bad."""
    try:
        tokenizer, vocabulary = file.tokenizer(), file.text_config().vocabulary
        files = [FILE_OF[key] for key in file.tokenizer_texts()]
        print(f"tokenizer {len(tokenizer)} tokens, {shown(file.tokenizer_place())}: "
              f"{', '.join(files)}")

        special = {tokenizer.bos_token, tokenizer.eos_token,
                   tokenizer.pad_token, tokenizer.unk_token}
        added = sorted(set(tokenizer.get_added_vocab()) - special)
        if added:
            print(f"  added words: {shown(first_few(added))}")
        wordless = vocabulary - len(tokenizer)
        if wordless > 0:
            print(f"  the text encoder knows {vocabulary}: {wordless} of them have no word here; "
                  "was this tokenizer made for it?")
        file.check()
        return True
    except InputError as e:
        print(e)
        return False


def _groups(names):
    """Tensor names in short: a single one in full, many of a kind by their first words."""
    kinds = defaultdict(list)
    for name in names:
        words = name.split(".")
        outer = [word in (*WRAPPERS, "cond_stage_model", "first_stage_model") for word in words[:3]]
        kinds[".".join(words[:1 + sum(outer)])].append(name)

    listed = [same[0] if len(same) == 1 else f"{len(same)} x {kind}.*"
              for kind, same in kinds.items()]
    return [line[:LONGEST] for line in listed[:SHOWN]] + ["..."] * (len(listed) > SHOWN)


def _print_tensors(path):
    """What is in files that are no checkpoint: counts by the first word of the tensors' names."""
    inside = [*path.glob("*.safetensors"), *path.glob("*/*.safetensors")]
    files = [path] if path.is_file() else sorted(inside)
    for file in files:
        try:
            kinds = Counter(key.split(".")[0] for key in open_file(file).keys())
            listed = ", ".join(f"{n} x {kind}.*" for kind, n in kinds.most_common(SHOWN))
            print(f"{file}: {megabytes(file.stat().st_size)}; {shown(listed)}")
        except InputError as e:
            print(e)


# ---- verify --------------------------------------------------------------------------------------
def verify(path: str = "sd15", full: bool = False, activations: bool = False,
           device: str = "auto", known: str | None = None) -> int:
    """See verify.py. path: what hub.find takes. Raises InputError."""
    return verify_files(find(path), full, Path(known) if known else None,
                        pick_device(device) if activations else None)


# ---- command line --------------------------------------------------------------------------------
def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Fetch, inspect, verify and convert Stable Diffusion 1.5 weights.")
    commands = parser.add_subparsers(dest="command", required=True)

    p = commands.add_parser("download", help="fetch SD 1.5 into the Hugging Face cache; "
                                             "HF_HOME, HF_ENDPOINT, HF_TOKEN count")
    which = p.add_mutually_exclusive_group()
    which.add_argument("--half", action="store_true", help="the float16 files: half the bytes")
    which.add_argument("--tokenizer", action="store_true",
                       help="only the tokenizer (1.6 MB), which single .safetensors files lack")
    p.add_argument("--force", action="store_true",
                   help="fetch again what is in the cache, for damaged files")

    p = commands.add_parser("inspect", help="say what a checkpoint holds, what it lacks, "
                                            "and whether it would load")
    p.add_argument("path", help="a .safetensors file, a diffusers folder, sd15, cartoon or auto")

    p = commands.add_parser("verify", help="compare checksums with Stable Diffusion 1.5's, "
                                           "activations with those that diffusers publishes")
    p.add_argument("path", nargs="?", default="sd15", help="what inspect takes (default: sd15)")
    p.add_argument("--full", action="store_true",
                   help="read files whole, also those that the hub's cache vouches for by name")
    p.add_argument("--activations", action="store_true",
                   help="also compute known activations; their inputs are fetched once (30 MB)")
    p.add_argument("--device", default="auto", help="where to compute them")
    p.add_argument("--known", metavar="DIR", help="checksums.csv, activations.json and its inputs "
                   "of other weights than Stable Diffusion 1.5")

    p = commands.add_parser("convert", help="single file <-> diffusers folder")
    p.add_argument("source", help="what inspect takes")
    p.add_argument("target",
                   help="a single file if it ends in .safetensors, else a diffusers folder")
    p.add_argument("--dtype", choices=["keep", "float16", "float32", "bfloat16"], default="keep",
                   help="the number type of all tensors; keep, the default: as they are")
    p.add_argument("--force", action="store_true", help="replace the target")

    return parser


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns its exit code."""
    run = {"download": download, "inspect": inspect, "verify": verify, "convert": convert}
    options = vars(make_parser().parse_args(argv))
    command = options.pop("command")
    try:
        return run[command](**options) or 0    # type: ignore[operator]  # of several signatures
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InputError, OSError, ValueError) as e:
        print(f"{PROGRAM}: {one_line(e)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130
