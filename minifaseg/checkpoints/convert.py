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

from ..errors import WEIGHTS_COMMAND, InputError, one_line
from ..text import TextConfig
from ..unet import UNetConfig
from ..vae import VAEConfig
from . import tensor_names
from .checkpoint import Checkpoint, write_single
from .examine import STANDARD, examine
from .hub import FOLDER, find, has_tokenizer, tokenizer_beside
from .layouts import SETTINGS
from .tokenizer import read_tokenizer, write_tokenizer


def convert(source: str, target: str, dtype: str = "keep", force: bool = False) -> None:
    """Writes `source` to `target`: a single file if that ends in .safetensors, else a folder.

    source: what hub.find takes. dtype: "keep", or what all tensors become: "float16", "bfloat16",
    "float32". force: replace the target. Raises InputError.
    """
    found, place = find(source), Path(os.path.expanduser(target))
    file = Checkpoint(found, half=dtype == "float16")
    _check_target(found, place, force)
    _check_source(file)
    copy = _Copy(file, None if dtype == "keep" else getattr(torch, dtype))
    write = _write_file if place.suffix == ".safetensors" else _replace_folder
    try:
        write(place, copy)
    except (OSError, SafetensorError) as e:
        raise InputError(f"{place}: cannot be written ({one_line(e)})") from e
    print(f"{place}\nuse it: python -m minifaseg image.jpg cat dog grass --weights {place}")


def _check_target(source, target, force):
    """Can the target be written without a loss that nobody asked for?"""
    if target.resolve() in (source.resolve(), *source.resolve().parents):
        raise InputError(f"{target}: {source} itself lies there; give another target")
    if not os.path.lexists(target):
        return
    if not force:
        raise InputError(f"{target}: exists already; --force replaces it")
    if target.suffix == ".safetensors":
        kind, replaceable = "a file", target.is_file()
    else:
        kind, replaceable = "a diffusers folder", target.is_dir()
        if replaceable and any(target.iterdir()):
            replaceable = (target / "unet").is_dir()
    if not replaceable:
        raise InputError(f"{target}: is not {kind}; --force will not replace it")


def _check_source(file):
    """Would it load? Says what the copy will lack."""
    for part in file.keys:
        _, problems, remarks = examine(file, part)
        if problems:
            raise InputError(f"{file.path}: {part} would not load ({problems[0]}); "
                             f"{WEIGHTS_COMMAND} inspect says more")
        if remarks:
            print(f"{file.path}: {part} lacks {len(remarks)} tensors of its decoder; "
                  "so will the copy", file=sys.stderr)
    if file.layout.unread:
        print(f"{file.path}: {len(file.layout.unread)} tensors outside the three networks are not "
              f"copied; {WEIGHTS_COMMAND} inspect lists them", file=sys.stderr)


class _Copy:
    """All of a checkpoint that goes into its copy."""

    def __init__(self, file, dtype):
        """dtype: None keeps the tensors' own."""
        self.file, self.dtype, self.metadata = file, dtype, file.layout.metadata
        self.configs = {part: file.config(part) for part in file.keys}
        self.tokenizer = file.tokenizer()
        made_here = _tokenizer_config(self.configs["text"]).items()
        self.texts = {k: v for k, v in file.tokenizer_texts().items() if (k, v) not in made_here}
        anew = {*file.keys, "tokenizer"}       # the rest of the notes goes along
        self.notes = {key: note for key, note in file.notes.items() if key not in anew}

    def tensors(self, part, single):
        """A part's tensors under our names, in the target's number type and shape."""
        state = {}
        for key, (stored, opened) in self.file.keys[part].items():
            tensor = opened.get_tensor(stored)
            if part == "vae" and ".attn_1." in key and tensor.ndim > 1:
                tensor = tensor.flatten(1)     # diffusers has matrices, the original 1 x 1 kernels
                tensor = tensor[:, :, None, None] if single else tensor
            state[key] = tensor.to(dtype=self.dtype)
            changed = state[key].dtype != tensor.dtype
            if changed and state[key].isinf().any() and not tensor.isinf().any():
                raise InputError(f"{self.file.path}: {stored} has numbers too large for float16; "
                                 "try --dtype bfloat16 or keep")
        return state


# ---- single file ---------------------------------------------------------------------------------
def _write_file(path, copy):
    """Writes the single file, and its tokenizer into it or beside it."""
    notes = dict(copy.notes)
    for part, config in copy.configs.items():
        settings = {name: getattr(config, name) for name in SETTINGS[part]}
        standard = vars(STANDARD[part]).items()
        unlike = {k: v for k, v in settings.items() if (k, v) not in standard}
        if unlike:
            notes[part] = unlike
    beside = _tokenizer_place(path, copy)
    if beside is None:
        notes["tokenizer"] = copy.texts
    states = {part: copy.tensors(part, single=True) for part in copy.configs}
    write_single(path, states, notes, copy.metadata)
    if beside and not has_tokenizer(beside):
        write_tokenizer(beside, copy.texts)
        print(f"{beside}: the tokenizer, which the file needs beside it")


def _tokenizer_place(path, copy):
    """The folder beside a single file that has this tokenizer, or could have it.

    None if the file must carry its own: with another vocabulary than SD 1.5's, or where another
    tokenizer is.
    """
    if copy.configs["text"].vocabulary != TextConfig.vocabulary:
        return None
    folder = tokenizer_beside(path)
    if folder is None:
        return path.parent / "tokenizer"
    return folder if _same_tokenizer(folder, copy) else None


def _same_tokenizer(folder, copy):
    """Do the folder's files, in whatever format, make the same ids of all words that ours knows?"""
    try:
        other = read_tokenizer(folder)
    except InputError:
        return False
    vocabulary = copy.tokenizer.get_vocab()
    words = " ".join(token.removesuffix("</w>") for token in vocabulary)
    ids, other_ids = (tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"]
                      for tokenizer in (copy.tokenizer, other))
    return other.get_vocab() == vocabulary and other_ids == ids


# ---- diffusers folder ----------------------------------------------------------------------------
def _replace_folder(target, copy):
    """Written whole beside the target, then put in its place."""
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", suffix=".part",
                                     dir=target.parent) as beside:
        new, old = Path(beside, "new"), Path(beside, "old")
        _write_folder(new, copy)
        if os.path.lexists(target):
            os.replace(target, old)
        try:
            os.replace(new, target)
        except BaseException:                  # else `old` would go with the temporary folder
            if old.exists():
                os.replace(old, target)
            raise


def _write_folder(folder, copy):
    """Writes the tensors, the configurations, the tokenizer and the notes."""
    unet, vae, text = copy.configs.values()
    tables = {"unet": tensor_names.unet_table(unet.blocks, unet.attention),
              "vae": tensor_names.vae_table(len(vae.widths), vae.blocks),
              "text": tensor_names.TEXT_TABLE}
    for part, stem in FOLDER.items():
        tensors, table = copy.tensors(part, single=False), tables[part]
        state = {tensor_names.rename(key, table): tensor for key, tensor in tensors.items()}
        path = folder / f"{stem}.safetensors"
        path.parent.mkdir(parents=True)
        metadata = copy.metadata if part == "unet" else {}
        save_file(state, path, metadata | {"format": "pt"})

    ids = copy.tokenizer.bos_token_id, copy.tokenizer.eos_token_id
    for name, content in folder_configs(unet, vae, text, *ids).items():
        _write_json(folder / name, content)
    write_tokenizer(folder / "tokenizer", _tokenizer_config(text) | copy.texts)
    if copy.notes:
        _write_json(folder / "minifaseg.json", copy.notes)


def _tokenizer_config(text):
    """For a tokenizer that has none: what diffusers needs to know of it."""
    end = "<|endoftext|>"
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": text.tokens,
              "do_lower_case": True, "bos_token": "<|startoftext|>", "eos_token": end,
              "unk_token": end, "pad_token": end}
    return {"tokenizer_config_json": json.dumps(config, indent=2) + "\n"}


SCHEDULER = """{
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": false,
    "skip_prk_steps": true,
    "steps_offset": 1
}"""
MODEL_INDEX = """{
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "safety_checker": [null, null],
    "feature_extractor": [null, null],
    "requires_safety_checker": false
}"""


def folder_configs(unet: UNetConfig, vae: VAEConfig, text: TextConfig, start: int,
                   end: int) -> dict[str, dict]:
    """The JSON files from which diffusers and transformers build the same networks, by path.

    start, end: ids of the start and end tokens.
    """
    blocks = ["CrossAttn{}Block2D" if attention else "{}Block2D" for attention in unet.attention]
    down = [name.format("Down") for name in blocks]
    up = [name.format("Up") for name in reversed(blocks)]
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
        "scheduler/scheduler_config.json": json.loads(SCHEDULER),
        "model_index.json": json.loads(MODEL_INDEX)}


def _write_json(path, content):
    """Makes the folder."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
