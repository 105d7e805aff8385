"""Weights of Stable Diffusion 1.5: fetch them, look into a file of them, change a file's layout or number type.

    python weights.py download --half                               into the Hugging Face cache, where `--weights auto` finds it
    python weights.py inspect model.safetensors                     layout, sizes, what is missing; exit code 0 if it would load
    python weights.py convert model.safetensors folder              original single file <-> diffusers folder, to float16
"""
import argparse
import errno
import json
import math
import os
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from minifaseg import names
from minifaseg.checkpoint import DECODER, DTYPES, Checkpoint, write_single
from minifaseg.errors import InputError
from minifaseg.foreign import one_line, open_file
from minifaseg.hub import FOLDER, REPO, REVISION, cached_file, find, hub_files
from minifaseg.text import Text, TextConfig
from minifaseg.unet import UNet, UNetConfig
from minifaseg.vae import VAE, VAEConfig

LICENCE = "CreativeML Open RAIL-M (has use restrictions): https://huggingface.co/spaces/CompVis/stable-diffusion-license"
NETWORK = {"unet": (UNetConfig, UNet), "vae": (VAEConfig, lambda c: VAE(c, decoder=True)),
           "text": (TextConfig, lambda c: Text(c).build())}
UNSEEN = ("heads", "groups", "scaling")                  # what tensor shapes cannot tell
SHOWN = 30


# ---- download ------------------------------------------------------------------------------------------------------------------
def download(half=False, tokenizer=False, force=False):
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    files = [name for name in hub_files(half) if name.startswith("tokenizer/") or not tokenizer]
    there, cache = [cached_file(name) for name in files], Path(constants.HF_HUB_CACHE)
    print(f"{REPO} at {REVISION[:8]}: {len(files)} files into {cache}\nlicence: {LICENCE}", flush=True)
    if not force and all(there) and len({p.parents[1] for p in there}) == 1:
        print(f"already there\n{there[0].parents[1]}")
    elif constants.HF_HUB_OFFLINE:
        lacking = next((name for name, path in zip(files, there) if not path), files[0])
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


# ---- inspect -------------------------------------------------------------------------------------------------------------------
def inspect(path):
    path = find(path)
    try:
        file = Checkpoint(path)
    except ValueError:
        raw(path)
        raise
    print(f"{path}: {'single file, original names' if file.layout == 'single' else 'diffusers folder'}"
          + f", notes: {', '.join(file.metadata)}" * bool(file.metadata))
    loads = True
    for part in NETWORK:
        facts, problems, remarks = examine(file, part)
        print(f"{part:9} {facts}", *(f"  {line}" for line in problems[:SHOWN] + remarks[:SHOWN]), sep="\n")
        if len(problems) > SHOWN:
            print(f"  and {len(problems) - SHOWN} more")
        loads &= not problems
    try:
        print(f"tokenizer {len(file.tokenizer())} tokens")
        file.check()
    except InputError as e:
        print(e)
        loads = False
    print("loads" if loads else "does not load")
    return 0 if loads else 1


def examine(file, part):
    """One part against a network of its size, built without memory: (facts, what keeps it from loading, what does not)."""
    (standard, build), have = NETWORK[part], file.keys[part]
    slices = {key: open_slice.get_slice(stored) for key, (stored, open_slice) in have.items()}
    shapes, kinds = {k: tuple(s.get_shape()) for k, s in slices.items()}, {k: s.get_dtype() for k, s in slices.items()}
    facts = (f"{len(have)} tensors, {sum(map(math.prod, shapes.values())):,} parameters, "
             + (" + ".join(DTYPES.get(k, k) for k in Counter(kinds.values())) or "no number type"))
    problems, remarks = [], []
    try:
        config = getattr(file, f"{part}_config")()
        facts += "; " + ", ".join(f"{k} {'/'.join(str(int(x)) for x in v) if isinstance(v, tuple) else v}"
                                  for k, v in asdict(config).items())
        net = skeleton(build, config)
    except Exception as e:                               # a broken file can break the network's constructor anywhere
        net, config = skeleton(build, standard()), None
        problems.append(f"its size cannot be read off ({one_line(e)}); compared with Stable Diffusion 1.5 by name")
    want = {names.text_key(k) if part == "text" else k: tuple(v.shape) for k, v in net.items() if not k.endswith("position_ids")}
    for key in (k for k in want if k not in have):
        if part == "vae" and key.startswith(DECODER):
            remarks.append(f"missing {key} (only for painting, not for segmenting)")
        else:
            problems.append(f"missing {key}")
    problems += [f"surplus {key}" for key in have if key not in want]
    for key, shape in shapes.items():
        if part == "vae" and len(shape) == 2:            # diffusers keeps the 1 x 1 convolutions as matrices
            shape += (1, 1)
        if config and key in want and shape != want[key]:
            problems.append(f"{key} is {shape}, not {want[key]}")
        if kinds[key] not in DTYPES:
            problems.append(f"{key} is {kinds[key]}, not a floating-point type" + " of 16 bits or more" * kinds[key].startswith("F"))
    return facts, problems, remarks


def skeleton(build, config):
    with torch.device("meta"):
        return build(config).state_dict()


def raw(path):
    """What is inside files that are no checkpoint: counts by the first word of the tensors' names."""
    files = sorted([*path.glob("*.safetensors"), *path.glob("*/*.safetensors")]) if path.is_dir() else [path] * path.is_file()
    for file in files:
        try:
            groups = Counter(key.split(".")[0] for key in open_file(file).keys())
            print(f"{file}: {megabytes(file.stat().st_size)};", ", ".join(f"{n} x {k}.*" for k, n in groups.most_common(SHOWN)))
        except InputError as e:
            print(e)


# ---- convert -------------------------------------------------------------------------------------------------------------------
def convert(source, target, dtype="float16", force=False):
    source, target = Path(find(source)), Path(target)
    single, convert_to = target.suffix == ".safetensors", None if dtype == "keep" else getattr(torch, dtype)
    file = Checkpoint(source, half=dtype == "float16")
    if target.resolve() in (source.resolve(), *source.resolve().parents):
        raise InputError(f"{target}: {source} itself lies there; give another target")
    if os.path.lexists(target):
        if not force:
            raise InputError(f"{target}: exists already; --force replaces it")
        if not (target.is_file() if single else target.is_dir() and ((target / "unet").is_dir() or not any(target.iterdir()))):
            raise InputError(f"{target}: is not {'a file' if single else 'a diffusers folder'}; --force will not replace it")
    for part in NETWORK:
        _, problems, remarks = examine(file, part)
        if problems:
            raise InputError(f"{source}: {part} would not load ({problems[0]}); python weights.py inspect says more")
        if remarks:
            print(f"{source}: {part} lacks {len(remarks)} tensors of its decoder; so will the copy", file=sys.stderr)
    configs = {part: getattr(file, f"{part}_config")() for part in NETWORK}
    tokenizer, extra = tokenizer_files(file), extra_notes(file)
    try:
        if single:
            write_file(target, file, configs, convert_to, tokenizer, extra)
        else:
            with tempfile.TemporaryDirectory(prefix=f"{target.name}.", suffix=".part", dir=target.parent) as beside:
                new, old = Path(beside, "new"), Path(beside, "old")
                write_folder(new, file, configs, convert_to, tokenizer, extra)
                if os.path.lexists(target):
                    os.replace(target, old)
                try:
                    os.replace(new, target)
                except BaseException:                    # else `old` would go with the temporary folder
                    if old.exists():
                        os.replace(old, target)
                    raise
    except (OSError, SafetensorError) as e:
        raise InputError(f"{target}: cannot be written ({one_line(e)})") from e
    print(f"{target}\nuse it: python -m minifaseg image.jpg cat dog grass --weights {target}")


def write_file(path, file, configs, dtype, tokenizer, extra):
    unlike = {part: {k: getattr(c, k) for k in UNSEEN if getattr(c, k, None) != getattr(type(c), k, None)}
              for part, c in configs.items()}
    notes = {part: facts for part, facts in unlike.items() if facts}
    standard = configs["text"].vocabulary == TextConfig.vocabulary
    write_single(path, {part: tensors(file, part, dtype, single=True) for part in NETWORK},
                 notes | extra | ({} if standard else {"tokenizer": tokenizer}))
    if standard and not any((path.parent / f / "merges.txt").is_file() for f in ("tokenizer", ".")):
        write_tokenizer(path.parent / "tokenizer", tokenizer)
        print(f"{path.parent / 'tokenizer'}: the tokenizer, which the file needs beside it")


def tensors(file, part, dtype, single):
    """A part's tensors under our names, in the target's number type and shape."""
    state = {}
    for key, (stored, opened) in file.keys[part].items():
        tensor = opened.get_tensor(stored)
        if part == "vae" and ".attn_1." in key and tensor.ndim > 1:   # 1 x 1 convolution, or the same as a matrix
            tensor = tensor.flatten(1)[:, :, None, None] if single else tensor.flatten(1)
        state[key] = tensor if dtype is None else tensor.to(dtype)
        if state[key].dtype != tensor.dtype and state[key].isinf().any() and not tensor.isinf().any():
            raise InputError(f"{file.path}: {stored} has numbers too large for float16; try --dtype bfloat16 or keep")
    return state


def tokenizer_files(file):
    """Contents of vocab.json and merges.txt, keyed vocab_json and merges_txt, from wherever the checkpoint has them."""
    if "tokenizer" in file.metadata:
        return file.metadata["tokenizer"]
    folder = Path(file.tokenizer().name_or_path)
    return {key: (folder / key.replace("_", ".")).read_text(encoding="utf-8") for key in ("vocab_json", "merges_txt")}


def write_tokenizer(folder, contents, **config):
    folder.mkdir(exist_ok=True)
    for key, content in contents.items():
        (folder / key.replace("_", ".")).write_text(content, encoding="utf-8", newline="\n")
    if config:
        write_json(folder / "tokenizer_config.json", config)


def extra_notes(file):
    """What a single file says of itself beyond sizes; a folder made here carries it as minifaseg.json."""
    return {k: v for k, v in file.metadata.items() if k not in (*NETWORK, "tokenizer")}


def write_folder(folder, file, configs, dtype, tokenizer, extra):
    unet, vae, text = configs["unet"], configs["vae"], configs["text"]
    theirs = {"unet": lambda k: names.rename(k, names.unet_table(unet.blocks, list(unet.attention))),
              "vae": lambda k: names.rename(k, names.vae_table(len(vae.widths), vae.blocks)),
              "text": lambda k: "text_model." + k}                    # as SD 1.5 has it; transformers reads it with and without
    for part, stem in FOLDER.items():
        path = folder / f"{stem}.safetensors"
        path.parent.mkdir(parents=True)
        save_file({theirs[part](k): v.contiguous() for k, v in tensors(file, part, dtype, False).items()}, path, {"format": "pt"})
    for name, content in folder_configs(unet, vae, text).items():
        write_json(folder / name, content)
    end = "<|endoftext|>"
    write_tokenizer(folder / "tokenizer", tokenizer, tokenizer_class="CLIPTokenizer", model_max_length=text.tokens,
                    do_lower_case=True, bos_token="<|startoftext|>", eos_token=end, unk_token=end, pad_token=end)
    if extra:
        write_json(folder / "minifaseg.json", extra)


def folder_configs(unet, vae, text):
    """The config.json files from which diffusers and transformers build the same networks."""
    down = ["CrossAttnDownBlock2D" if looks else "DownBlock2D" for looks in unet.attention]
    up = ["CrossAttnUpBlock2D" if looks else "UpBlock2D" for looks in reversed(unet.attention)]
    return {
        "unet/config.json": {
            "_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": unet.heads,       # sic: the head count
            "block_out_channels": unet.widths, "cross_attention_dim": unet.context, "down_block_types": down,
            "up_block_types": up, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": unet.latent,
            "out_channels": unet.latent, "layers_per_block": unet.blocks, "norm_eps": 1e-5, "norm_num_groups": unet.groups,
            "sample_size": 64},
        "vae/config.json": {
            "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": vae.widths, "in_channels": 3,
            "out_channels": 3, "down_block_types": ["DownEncoderBlock2D"] * len(vae.widths),
            "up_block_types": ["UpDecoderBlock2D"] * len(vae.widths),
            "latent_channels": vae.latent, "layers_per_block": vae.blocks, "norm_num_groups": vae.groups, "sample_size": 512,
            "scaling_factor": vae.scaling},
        "text_encoder/config.json": {
            "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_act": "quick_gelu",
            "hidden_size": text.width, "intermediate_size": text.mlp, "layer_norm_eps": 1e-5,
            "max_position_embeddings": text.tokens, "num_attention_heads": text.heads, "num_hidden_layers": text.layers,
            "projection_dim": text.width,
            "vocab_size": text.vocabulary, "bos_token_id": text.vocabulary - 2, "eos_token_id": text.vocabulary - 1,
            "pad_token_id": text.vocabulary - 1},
        "scheduler/scheduler_config.json": {
            "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1},
        "model_index.json": {
            "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "PNDMScheduler"],
            "safety_checker": [None, None], "feature_extractor": [None, None], "requires_safety_checker": False}}


def write_json(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")


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
    p.add_argument("--dtype", choices=["float16", "float32", "bfloat16", "keep"], default="float16")
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
