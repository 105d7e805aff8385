"""What weights.py does: fetch, look into, verify and convert weights of Stable Diffusion 1.5.

To fetch them needs no torch, which takes a second or two to import: the others are imported when
they are called.
"""
import argparse
import os
import sys
from pathlib import Path

from ..errors import WEIGHTS_COMMAND, InputError, one_line
from .download import download
from .hub import find

PROGRAM = WEIGHTS_COMMAND.split()[-1]


def inspect(path: str) -> int:
    """See contents.py. path: what hub.find takes. Raises InputError."""
    from .contents import inspect
    return inspect(path)


def convert(source: str, target: str, dtype: str = "keep", force: bool = False) -> None:
    """See convert.py. Raises InputError."""
    from .convert import convert
    convert(source, target, dtype, force)


def verify(path: str = "sd15", full: bool = False, activations: bool = False,
           device: str = "auto", known: str | None = None) -> int:
    """See verify.py. path: what hub.find takes. Raises InputError."""
    from ..devices import pick_device
    from .verify import verify
    return verify(find(path), full, Path(known) if known else None,
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
