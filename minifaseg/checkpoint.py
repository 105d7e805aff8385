"""Safetensors -> the three networks, from an original single file or a diffusers folder, by one strict path.

Widths and depths are read off tensor shapes, so SD 1.5 and the small cartoon model load alike. What shapes cannot tell (heads,
norm groups, latent scaling) comes from the folder's config.json files or the single file's metadata, else it is SD 1.5's.
Files are memory-mapped: a tensor is read when its network is built, and the VAE's decoder only when somebody decodes.
"""
import json
import os
import struct
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from . import names
from .errors import InputError
from .hub import FOLDER, cached_file
from .text import Text, TextConfig, make_tokenizer, read_tokenizer
from .unet import UNet, UNetConfig
from .vae import VAE, VAEConfig

PREFIX = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "text": "cond_stage_model.transformer.text_model."}
DECODER = ("decoder.", "post_quant_conv.")
NOT_A_NETWORK = ("model_ema.", "betas", "alphas_cumprod", "sqrt_", "log_one_minus_", "posterior_")      # a single file's schedule
FIRST_FEW = 4


# ---- one checkpoint on disk ---------------------------------------------------------------------------------------------------------
class Checkpoint:
    """A single file or a folder. `keys[part]` maps our tensor names to (stored name, file), part in unet, vae, text."""

    def __init__(self, path, half=False):
        self.path = Path(path)
        if not self.path.exists():
            raise InputError(f"{path}: no such file or folder; give a .safetensors file, a diffusers folder, sd15 or cartoon")
        if self.path.is_dir():
            self._open_folder(half)
        else:
            self._open_single()

    def _open_single(self):
        self.layout, file = "single", open_file(self.path)
        self.metadata = read_json(self.path, (file.metadata() or {}).get("minifaseg", "{}"))
        self.keys, surplus = {"unet": {}, "vae": {}, "text": {}}, []
        for key in file.keys():
            part = next((p for p, prefix in PREFIX.items() if key.startswith(prefix)), None)
            if part:
                self.keys[part][key[len(PREFIX[part]):]] = (key, file)
            elif not key.startswith(NOT_A_NETWORK):
                surplus.append(key)
        if not any(self.keys.values()) or surplus:
            raise InputError(f"{self.path}: {recognise(surplus) or 'not a Stable Diffusion 1.x checkpoint'} (it holds {few(surplus)})")
        self._drop_position_ids()

    def _open_folder(self, half):
        self.layout, self.keys = "folder", {}
        notes = self.path / "minifaseg.json"                          # what a single file has in its metadata (weights.py convert)
        self.metadata = read_json(notes, notes.read_text(encoding="utf-8")) if notes.is_file() else {}
        translate = {"unet": names.unet_from_diffusers, "vae": names.vae_from_diffusers,
                     "text": lambda keys: {k: names.text_key(k) for k in keys}}
        for part, stem in FOLDER.items():
            found = [p for v in ((".fp16", "") if half else ("", ".fp16")) if (p := self.path / f"{stem}{v}.safetensors").is_file()]
            if not found:
                pickles = " (only a .bin pickle, which is never opened)" if list((self.path / stem).parent.glob("*.bin")) else ""
                raise InputError(f"{self.path}: no {stem}.safetensors there{pickles}; is it a diffusers folder of Stable Diffusion 1.x?")
            file = open_file(found[0])
            table = translate[part](list(file.keys()))
            surplus = [k for k, ours in table.items() if ours is None]
            if surplus:
                raise InputError(f"{found[0]}: {recognise(surplus) or 'surplus tensors'}: {few(surplus)}")
            self.keys[part] = {ours: (k, file) for k, ours in table.items()}
        self._drop_position_ids()

    def _drop_position_ids(self):
        self.keys["text"].pop("embeddings.position_ids", None)        # a buffer of old transformers; the one key we drop

    def facts(self, part):
        """What shapes cannot tell of a part: config.json of a folder, metadata of a single file, {} for SD 1.5's values."""
        if self.layout == "single":
            facts = self.metadata.get(part, {})
            known = {"unet": {"heads", "groups"}, "vae": {"groups", "scaling"}, "text": {"heads"}}[part]
            if not isinstance(facts, dict) or set(facts) - known or not all(isinstance(v, (int, float)) for v in facts.values()):
                raise InputError(f"{self.path}: metadata of {part} is {facts}, not numbers for {', '.join(sorted(known))}; download it again")
            return facts
        path = self.path / Path(FOLDER[part]).parent / "config.json"
        if not path.is_file():
            return {}
        config = read_json(path, path.read_text(encoding="utf-8", errors="replace"))
        pick = {"unet": {"heads": ("num_attention_heads", "attention_head_dim"), "groups": ("norm_num_groups",)},     # sic: for SD 1.x
                "vae": {"groups": ("norm_num_groups",), "scaling": ("scaling_factor",)},                              # "head_dim" holds
                "text": {"heads": ("num_attention_heads",)}}[part]                                                    # the head count
        facts = {ours: next(config[k] for k in theirs if config.get(k)) for ours, theirs in pick.items() if any(config.get(k) for k in theirs)}
        if not all(isinstance(v, (int, float)) for v in facts.values()):
            raise InputError(f"{path}: {facts} is not Stable Diffusion 1.x (2.x has a list of heads per level)")
        if part == "text" and config.get("hidden_act", "quick_gelu") != "quick_gelu":
            raise InputError(f"{path}: a text encoder with {config['hidden_act']}, not Stable Diffusion 1.x (quick_gelu)")
        return facts

    def shape(self, part, key):
        try:
            stored, file = self.keys[part][key]
        except KeyError:
            raise InputError(f"{self.path}: {part} has no tensor {key}: {recognise(self.keys[part]) or 'not Stable Diffusion 1.x'}") from None
        return tuple(file.get_slice(stored).get_shape())

    # -- networks ---------------------------------------------------------------------------------------------------------------------
    def unet_config(self) -> UNetConfig:
        keys, shape = self.keys["unet"], lambda key: self.shape("unet", key)
        downs = sorted(int(k.split(".")[1]) for k in keys if k.startswith("input_blocks.") and k.endswith(".0.op.weight"))
        if not downs:
            raise InputError(f"{self.path}: unet has no down-sampling: {recognise(keys) or 'not Stable Diffusion 1.x'}")
        per, first = downs[0], [1 + downs[0] * i for i in range(len(downs) + 1)]      # first block of each level
        latent, context = shape("input_blocks.0.0.weight")[1], shape("middle_block.1.transformer_blocks.0.attn2.to_k.weight")[1]
        if latent == 9:
            raise InputError(f"{self.path}: an inpainting model (9 input channels); FA-Seg needs plain Stable Diffusion 1.x (4)")
        if len(shape("middle_block.1.proj_in.weight")) == 2:
            raise InputError(f"{self.path}: {'Stable Diffusion 2.x' if context == 1024 else 'not Stable Diffusion 1.x'}: its transformers use linear projections")
        return UNetConfig(widths=tuple(shape(f"input_blocks.{i}.0.out_layers.3.weight")[0] for i in first), blocks=per - 1,
                          attention=tuple(f"input_blocks.{i}.1.norm.weight" in keys for i in first), context=context, latent=latent,
                          **self.facts("unet"))

    def vae_config(self) -> VAEConfig:
        levels, blocks = names.count(self.keys["vae"], r"encoder\.down\.(\d+)\."), names.count(self.keys["vae"], r"encoder\.down\.0\.block\.(\d+)\.")
        shape = lambda key: self.shape("vae", key)
        latent = shape("quant_conv.weight")[0] // 2
        return VAEConfig(widths=tuple(shape(f"encoder.down.{i}.block.0.conv2.weight")[0] for i in range(levels)), blocks=blocks,
                         latent=latent, **self.facts("vae"))

    def text_config(self) -> TextConfig:
        shape = lambda key: self.shape("text", key)
        vocabulary, width = shape("embeddings.token_embedding.weight")
        return TextConfig(width=width, layers=names.count(self.keys["text"], r"encoder\.layers\.(\d+)\."),
                          mlp=shape("encoder.layers.0.mlp.fc1.weight")[0], tokens=shape("embeddings.position_embedding.weight")[0],
                          vocabulary=vocabulary, **self.facts("text"))

    def unet(self, dtype=None) -> UNet:
        config = self.unet_config()
        return self._fill("unet", lambda: UNet(config), dtype)

    def vae(self, decoder=False, dtype=None) -> VAE:
        config = self.vae_config()
        return self._fill("vae", lambda: VAE(config, decoder), dtype, skip=() if decoder else DECODER)

    def text(self, dtype=None) -> Text:
        config = self.text_config()
        tokenizer = self.tokenizer()
        text = Text(config, tokenizer, self.metadata.get("words"))
        text.model = self._fill("text", text.build, dtype)
        return text

    def _fill(self, part, build, dtype, skip=()):
        """Build the network without memory for its parameters, then hang the file's tensors into it: strictly, none left over."""
        try:
            with torch.device("meta"):
                net = build()
        except (ValueError, IndexError, RuntimeError) as e:
            raise InputError(f"{self.path}: no {part} can be built of these sizes ({one_line(e)}): not Stable Diffusion 1.x") from None
        want = {names.text_key(k) if part == "text" else k: (k, p) for k, p in net.state_dict().items() if not k.endswith("position_ids")}
        have = {k: v for k, v in self.keys[part].items() if not k.startswith(skip)} if skip else self.keys[part]
        missing, surplus = [k for k in want if k not in have], [k for k in have if k not in want]
        if missing or surplus:
            parts = [f"missing {few(missing)}"] * bool(missing) + [f"surplus {few(surplus)}"] * bool(surplus)
            raise InputError(f"{self.path}: {part} does not fit: {'; '.join(parts)}. {recognise(have) or ''}".rstrip())
        state, wrong = {}, []
        for key, (own, parameter) in want.items():
            stored, file = have[key]
            try:
                tensor = file.get_tensor(stored)
            except (SafetensorError, OSError) as e:
                raise InputError(f"{self.path}: tensor {stored} cannot be read ({one_line(e)}); download it again") from None
            if part == "vae" and tensor.ndim == 2 and parameter.ndim == 4:
                tensor = tensor[:, :, None, None]                     # diffusers keeps the 1 x 1 convolutions as matrices
            if tensor.shape != parameter.shape:
                wrong.append(f"{stored} is {tuple(tensor.shape)}, not {tuple(parameter.shape)}")
            elif not tensor.is_floating_point():
                wrong.append(f"{stored} is {tensor.dtype}, not a floating-point type")
            state[own] = tensor.to(dtype) if dtype else tensor
        if wrong:
            raise InputError(f"{self.path}: {part} does not fit: {few(wrong)}")
        net.load_state_dict(state, strict=False, assign=True)
        for module in net.modules():                                  # CLIP's position_ids: a buffer that no file holds
            if getattr(module, "position_ids", None) is not None:
                module.position_ids = torch.arange(module.position_ids.shape[-1])[None]
        return net

    def tokenizer(self):
        """In the file's metadata (cartoon), in the folder, beside the single file, or in the hub cache."""
        if "tokenizer" in self.metadata:
            return make_tokenizer(**self.metadata["tokenizer"])
        if self.layout == "folder":
            return read_tokenizer(self.path / "tokenizer")
        for folder in (self.path.parent / "tokenizer", self.path.parent):
            if (folder / "merges.txt").is_file():
                return read_tokenizer(folder)
        cached = cached_file("tokenizer/merges.txt")
        if cached and cached_file("tokenizer/vocab.json"):
            return read_tokenizer(cached.parent)
        raise InputError(f"{self.path}: no tokenizer beside it (tokenizer/vocab.json and merges.txt) and none in the hub cache; "
                         "python weights.py download --tokenizer fetches it")


# ---- opening and naming files -------------------------------------------------------------------------------------------------------
def open_file(path):
    """safe_open with an error that says what the file is instead."""
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as e:
        raise InputError(f"{path}: {diagnose(path, e)}") from None


def read_json(path, text) -> dict:
    try:
        content = json.loads(text)
    except ValueError as e:
        raise InputError(f"{path}: not valid JSON ({e}); download it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: JSON, but not an object; download it again")
    return content


def diagnose(path, error):
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as f:
            head = f.read(512)
    except OSError as e:
        return f"cannot be read ({e.strerror})"
    text = head.lstrip().lower()
    if not size:
        return "an empty file; download it again"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"a web page ({size} bytes), not weights; the download went wrong, try again (a login or licence page?)"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights themselves; run `git lfs pull`, or python weights.py download"
    if head.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "a pickle (.ckpt, .bin, .pt), which could run code and is never opened; get the .safetensors file"
    if len(head) >= 8 and 2 < struct.unpack("<Q", head[:8])[0] < 100_000_000 and head[8:9] == b"{":
        return f"truncated or damaged ({size} bytes: {one_line(error)}); download it again"
    return f"not a safetensors file ({one_line(error)})"


def recognise(keys):
    """A word for the other kinds of model that people have; None if the keys tell nothing."""
    keys = list(keys)
    if any(k.startswith(("lora_", "base_model.")) or ".lora_" in k or "lora_down" in k for k in keys):
        return "a LoRA, which only changes another model; give the full checkpoint"
    if any(k.startswith(("conditioner.", "label_emb.", "add_embedding.")) for k in keys):
        return "Stable Diffusion XL, not 1.x"
    if any(k.startswith("cond_stage_model.model.") for k in keys):
        return "Stable Diffusion 2.x, not 1.x"
    if any(k.startswith(("control_model.", "controlnet_cond_embedding.", "input_hint_block.")) for k in keys):
        return "a ControlNet, not Stable Diffusion itself"
    return None


def few(items):
    items = list(items)
    return ", ".join(map(str, items[:FIRST_FEW])) + (f" and {len(items) - FIRST_FEW} more" if len(items) > FIRST_FEW else "")


def one_line(error):
    return " ".join(str(error).split())


def write_single(path, states: dict[str, dict[str, torch.Tensor]], notes: dict | None = None):
    """Writes {"unet": ..., "vae": ..., "text": ...} state dicts, under our names, as one original-layout safetensors file."""
    tensors = {PREFIX[part] + (names.text_key(k) if part == "text" else k): v.contiguous()
               for part, state in states.items() for k, v in state.items()}
    metadata = {"format": "pt"} | ({"minifaseg": json.dumps(notes)} if notes else {})
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, metadata)
        os.replace(part, path)
    except (OSError, SafetensorError) as e:
        raise InputError(f"{path}: cannot be written ({one_line(e)})") from None
    finally:
        with suppress(OSError):
            part.unlink()
