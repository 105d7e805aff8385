"""A checkpoint written anew, as an original single file or as a diffusers folder.

Tensors keep their bits and their number type unless another type is asked for. The tokenizer goes
along file by file, so that words which somebody added are not lost.
"""
import json
import os
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from ..errors import InputError
from ..text import TextConfig
from . import tensor_names
from .checkpoint import Checkpoint, write_single
from .examine import NETWORK, examine
from .hub import FOLDER, TOKENIZER_FILES, find, has_tokenizer
from .safe_opening import one_line
from .tokenizer import read_tokenizer, tokenizer_texts

UNSEEN = ("heads", "groups", "scaling")        # what tensor shapes cannot tell


def convert(source, target, dtype="keep", force=False):
    """Writes `source` to `target`: a single file if that ends in .safetensors, else a folder.

    dtype: "keep", or what all tensors become: "float16", "bfloat16", "float32". Raises InputError.
    """
    source, target = Path(find(source)), Path(os.path.expanduser(target))
    file = Checkpoint(source, half=dtype == "float16")
    check_target(source, target, force)
    check_source(source, file)
    copy = Copy(file, None if dtype == "keep" else getattr(torch, dtype))
    try:
        if target.suffix == ".safetensors":
            write_file(target, copy)
        else:
            replace_folder(target, copy)
    except (OSError, SafetensorError) as e:
        raise InputError(f"{target}: cannot be written ({one_line(e)})") from e
    print(f"{target}\nuse it: python -m minifaseg image.jpg cat dog grass --weights {target}")


def check_target(source, target, force):
    single = target.suffix == ".safetensors"
    if target.resolve() in (source.resolve(), *source.resolve().parents):
        raise InputError(f"{target}: {source} itself lies there; give another target")
    if not os.path.lexists(target):
        return
    if not force:
        raise InputError(f"{target}: exists already; --force replaces it")
    weights = target.is_dir() and ((target / "unet").is_dir() or not any(target.iterdir()))
    if not (target.is_file() if single else weights):
        kind = "a file" if single else "a diffusers folder"
        raise InputError(f"{target}: is not {kind}; --force will not replace it")


def check_source(source, file):
    for part in NETWORK:
        _, problems, remarks = examine(file, part)
        if problems:
            raise InputError(f"{source}: {part} would not load ({problems[0]}); "
                             "python weights.py inspect says more")
        if remarks:
            print(f"{source}: {part} lacks {len(remarks)} tensors of its decoder; "
                  "so will the copy", file=sys.stderr)
    if file.layout.unread:
        print(f"{source}: {len(file.layout.unread)} tensors outside the three networks are not "
              "copied; python weights.py inspect lists them", file=sys.stderr)


class Copy:
    """All of a checkpoint that goes into its copy."""

    def __init__(self, file, dtype):
        self.file, self.dtype, self.says = file, dtype, file.layout.says
        self.configs = {part: getattr(file, f"{part}_config")() for part in NETWORK}
        self.tokenizer = file.tokenizer()
        made_here = tokenizer_config(self.configs["text"]).items()
        self.texts = {k: v for k, v in file.tokenizer_texts().items() if (k, v) not in made_here}
        ours = (*NETWORK, "tokenizer")         # written anew; the rest of the notes goes along
        self.notes = {k: v for k, v in file.metadata.items() if k not in ours}

    def tensors(self, part, single):
        """A part's tensors under our names, in the target's number type and shape."""
        state = {}
        for key, (stored, opened) in self.file.keys[part].items():
            tensor = opened.get_tensor(stored)
            if part == "vae" and ".attn_1." in key and tensor.ndim > 1:
                tensor = tensor.flatten(1)     # diffusers has matrices, the original 1 x 1 kernels
                tensor = tensor[:, :, None, None] if single else tensor
            state[key] = tensor if self.dtype is None else tensor.to(self.dtype)
            changed = state[key].dtype != tensor.dtype
            if changed and state[key].isinf().any() and not tensor.isinf().any():
                raise InputError(f"{self.file.path}: {stored} has numbers too large for float16; "
                                 "try --dtype bfloat16 or keep")
        return state


# ---- single file ---------------------------------------------------------------------------------
def write_file(path, copy):
    notes = {}
    for part, config in copy.configs.items():
        facts = {k: getattr(config, k) for k in UNSEEN if hasattr(config, k)}
        unlike = {k: v for k, v in facts.items() if v != getattr(type(config), k)}
        notes |= {part: unlike} if unlike else {}
    beside = tokenizer_beside(path, copy)
    if beside is None:
        notes["tokenizer"] = copy.texts
    states = {part: copy.tensors(part, single=True) for part in NETWORK}
    write_single(path, states, copy.notes | notes, copy.says)
    if beside and not has_tokenizer(beside):
        write_tokenizer(beside, copy.texts)
        print(f"{beside}: the tokenizer, which the file needs beside it")


def tokenizer_beside(path, copy) -> Path | None:
    """The folder beside a single file that has this tokenizer, or could have it; None if the file
    must carry its own: with another vocabulary than SD 1.5's, or where another tokenizer stands."""
    if copy.configs["text"].vocabulary != TextConfig.vocabulary:
        return None
    for folder in (path.parent / "tokenizer", path.parent):
        if has_tokenizer(folder):
            return folder if same_tokenizer(folder, copy) else None
    return path.parent / "tokenizer"


def same_tokenizer(folder, copy) -> bool:
    """Do the folder's files, in whatever format, make the same ids of all words that ours knows?"""
    if tokenizer_texts(folder) == copy.texts:
        return True
    try:
        other = read_tokenizer(folder)
    except InputError:
        return False
    vocabulary = copy.tokenizer.get_vocab()
    words = " ".join(token.removesuffix("</w>") for token in vocabulary)
    ids = [t(words, add_special_tokens=False, verbose=False)["input_ids"]
           for t in (copy.tokenizer, other)]
    return other.get_vocab() == vocabulary and ids[0] == ids[1]


# ---- diffusers folder ----------------------------------------------------------------------------
def replace_folder(target, copy):
    """Written whole beside the target, then put in its place."""
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", suffix=".part",
                                     dir=target.parent) as beside:
        new, old = Path(beside, "new"), Path(beside, "old")
        write_folder(new, copy)
        if os.path.lexists(target):
            os.replace(target, old)
        try:
            os.replace(new, target)
        except BaseException:                  # else `old` would go with the temporary folder
            if old.exists():
                os.replace(old, target)
            raise


def write_folder(folder, copy):
    unet, vae, text = copy.configs.values()
    tables = {"unet": tensor_names.unet_table(unet.blocks, list(unet.attention)),
              "vae": tensor_names.vae_table(len(vae.widths), vae.blocks)}
    for part, stem in FOLDER.items():
        state = {}
        for key, tensor in copy.tensors(part, single=False).items():
            # SD 1.5's own names have text_model.; transformers reads them with and without it
            theirs = "text_model." + key if part == "text" else tensor_names.rename(key, tables[part])
            state[theirs] = tensor.contiguous()
        path = folder / f"{stem}.safetensors"
        path.parent.mkdir(parents=True)
        says = copy.says if part == "unet" else {}
        save_file(state, path, says | {"format": "pt"})
    ids = (copy.tokenizer.bos_token_id, copy.tokenizer.eos_token_id)
    for name, content in folder_configs(unet, vae, text, *ids).items():
        write_json(folder / name, content)
    write_tokenizer(folder / "tokenizer", tokenizer_config(text) | copy.texts)
    if copy.notes:
        write_json(folder / "minifaseg.json", copy.notes)


def tokenizer_config(text) -> dict[str, str]:
    """For a tokenizer that has none: what diffusers needs to know of it."""
    end = "<|endoftext|>"
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": text.tokens,
              "do_lower_case": True, "bos_token": "<|startoftext|>", "eos_token": end,
              "unk_token": end, "pad_token": end}
    return {"tokenizer_config_json": json.dumps(config, indent=2) + "\n"}


def write_tokenizer(folder, texts):
    folder.mkdir(exist_ok=True)
    for name in TOKENIZER_FILES:
        if name.replace(".", "_") in texts:
            content = texts[name.replace(".", "_")]
            (folder / name).write_text(content, encoding="utf-8", newline="")


def folder_configs(unet, vae, text, start=None, end=None):
    """The config.json files from which diffusers and transformers build the same networks.

    start, end: ids of the start and end tokens, by default the last two.
    """
    start = text.vocabulary - 2 if start is None else start
    end = text.vocabulary - 1 if end is None else end
    down = ["CrossAttnDownBlock2D" if looks else "DownBlock2D" for looks in unet.attention]
    up = ["CrossAttnUpBlock2D" if looks else "UpBlock2D" for looks in reversed(unet.attention)]
    return {
        "unet/config.json": {
            "_class_name": "UNet2DConditionModel", "act_fn": "silu",
            "attention_head_dim": unet.heads,                         # sic: the head count
            "block_out_channels": unet.widths, "cross_attention_dim": unet.context,
            "down_block_types": down, "up_block_types": up, "flip_sin_to_cos": True,
            "freq_shift": 0, "in_channels": unet.latent, "out_channels": unet.latent,
            "layers_per_block": unet.blocks, "norm_eps": 1e-5, "norm_num_groups": unet.groups,
            "sample_size": 64},
        "vae/config.json": {
            "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": vae.widths,
            "in_channels": 3, "out_channels": 3,
            "down_block_types": ["DownEncoderBlock2D"] * len(vae.widths),
            "up_block_types": ["UpDecoderBlock2D"] * len(vae.widths),
            "latent_channels": vae.latent, "layers_per_block": vae.blocks,
            "norm_num_groups": vae.groups, "sample_size": 512, "scaling_factor": vae.scaling},
        "text_encoder/config.json": {
            "architectures": ["CLIPTextModel"], "model_type": "clip_text_model",
            "hidden_act": "quick_gelu", "hidden_size": text.width, "intermediate_size": text.mlp,
            "layer_norm_eps": 1e-5, "max_position_embeddings": text.tokens,
            "num_attention_heads": text.heads, "num_hidden_layers": text.layers,
            "projection_dim": text.width, "vocab_size": text.vocabulary, "bos_token_id": start,
            "eos_token_id": end, "pad_token_id": end},
        "scheduler/scheduler_config.json": {
            "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
            "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
            "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1},
        "model_index.json": {
            "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "scheduler": ["diffusers", "PNDMScheduler"], "safety_checker": [None, None],
            "feature_extractor": [None, None], "requires_safety_checker": False}}


def write_json(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
