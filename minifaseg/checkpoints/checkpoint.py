"""Safetensors -> the three networks, from an original single file or a diffusers folder, by one strict path.

Widths and depths are read off tensor shapes, so SD 1.5 and the small cartoon model load alike. What shapes cannot tell (heads,
norm groups, latent scaling) comes from the folder's config.json files or the single file's metadata, else it is SD 1.5's.
Files are memory-mapped: a tensor is read when its network is built, and the VAE's decoder only when somebody decodes.
"""
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from ..errors import InputError
from ..text import Text, TextConfig
from ..unet import UNet, UNetConfig
from ..vae import VAE, VAEConfig
from ..writing import replacing
from . import tensor_names
from .hub import cached_tokenizer, has_tokenizer
from .layouts import open_layout
from .safe_opening import explain_no_file, few, one_line, recognise, short
from .tensor_names import PREFIX
from .tokenizer import read_tokenizer, tokenizer_texts, unpack_tokenizer

DECODER = ("decoder.", "post_quant_conv.")
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}         # what a tensor may be, in safetensors' words
LARGEST_SIDE = 2048


class Checkpoint:
    """A single file or a folder. `keys[part]` maps our tensor names to (stored name, file), part in unet, vae, text."""

    def __init__(self, path, half=False):
        self.path = Path(path)
        if not os.path.isfile(path) and not os.path.isdir(path):
            raise InputError(f"{path}: {explain_no_file(path)}; "
                             "give a .safetensors file, a diffusers folder, sd15 or cartoon")
        self.layout = open_layout(self.path, half)
        self.keys, self.metadata = self.layout.keys, self.layout.notes

    def check(self):
        """What no part can tell alone: do the three belong together, and do the notes make sense?"""
        unet, vae, text = self.unet_config(), self.vae_config(), self.text_config()
        side, halvings = self.metadata.get("side", 512), len(vae.widths) + len(unet.widths) - 2
        if unet.widths[0] % 2:
            raise InputError(f"{self.path}: a UNet of {unet.widths[0]} channels, but half of them are for sines, half for cosines: not Stable Diffusion")
        if unet.context != text.width or unet.latent != vae.latent:
            raise InputError(f"{self.path}: parts of different models: the UNet takes text states of {unet.context} channels and latents of "
                             f"{unet.latent}, the text encoder makes {text.width} and the VAE {vae.latent}")
        if type(side) is not int or not 0 < side <= LARGEST_SIDE or side % 2 ** halvings:
            raise InputError(f"{self.path}: side is {short(side)}, not a multiple of {2 ** halvings} up to {LARGEST_SIDE}; download it again")
        self.words()

    def words(self):
        """All words that the model was trained on, where the notes list them."""
        words = self.metadata.get("words", [])
        if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
            raise InputError(f"{self.path}: words is {short(words)}, not a list of words; download it again")
        return words

    def shape(self, part, key):
        """Of a tensor that sizes are read off: a matrix, or the kernel of a convolution."""
        if not self.keys[part]:
            raise InputError(f"{self.path}: holds no {part} at all; give the full checkpoint")
        try:
            stored, file = self.keys[part][key]
        except KeyError:
            raise InputError(f"{self.path}: {part} has no tensor {key}: {recognise(self.keys[part]) or 'not Stable Diffusion 1.x'}") from None
        shape = tuple(file.get_slice(stored).get_shape())
        if len(shape) not in (2, 4) or not all(shape):
            raise InputError(f"{self.path}: {stored} is {shape}: not Stable Diffusion 1.x")
        return shape

    # -- networks ---------------------------------------------------------------------------------------------------------------------
    def unet_config(self) -> UNetConfig:
        keys, shape = self.keys["unet"], lambda key: self.shape("unet", key)
        latent, out = shape("input_blocks.0.0.weight")[1], shape("out.2.weight")[0]
        if latent != out:
            kind = {8: "an instruct-pix2pix model", 9: "an inpainting model"}.get(latent, "not Stable Diffusion 1.x")
            raise InputError(f"{self.path}: {kind} ({latent} input and {out} output channels); FA-Seg needs plain Stable Diffusion 1.x (4 and 4)")
        downs = [i for i in range(tensor_names.count(keys, r"input_blocks\.(\d+)\.")) if f"input_blocks.{i}.0.op.weight" in keys]
        if not downs:
            raise InputError(f"{self.path}: unet has no down-sampling: {recognise(keys) or 'not Stable Diffusion 1.x'}")
        per, first = downs[0], [1 + downs[0] * i for i in range(len(downs) + 1)]      # first block of each level
        context = shape("middle_block.1.transformer_blocks.0.attn2.to_k.weight")[1]
        if len(shape("middle_block.1.proj_in.weight")) == 2:
            kind = recognise(keys) or ("Stable Diffusion 2.x" if context == 1024 else "not Stable Diffusion 1.x")
            raise InputError(f"{self.path}: {kind}: its transformers use linear projections")
        config = UNetConfig(widths=tuple(shape(f"input_blocks.{i}.0.out_layers.3.weight")[0] for i in first), blocks=per - 1,
                            attention=tuple(f"input_blocks.{i}.1.norm.weight" in keys for i in first), context=context, latent=latent,
                            **self.layout.facts("unet"))
        self._check_heads("unet", [w for w, looks in zip(config.widths, config.attention) if looks] + [config.widths[-1]], config.heads)
        return config

    def vae_config(self) -> VAEConfig:
        keys, shape = self.keys["vae"], lambda key: self.shape("vae", key)
        levels = tensor_names.count(keys, r"encoder\.down\.(\d+)\.")
        blocks = tensor_names.count(keys, r"encoder\.down\.0\.block\.(\d+)\.")
        if keys and not levels:
            raise InputError(f"{self.path}: its VAE has no encoder (no tensor encoder.down.0.*), "
                             "which turns a picture into latents; give the full checkpoint")
        latent = shape("quant_conv.weight")[0] // 2
        return VAEConfig(widths=tuple(shape(f"encoder.down.{i}.block.0.conv2.weight")[0] for i in range(levels)), blocks=blocks,
                         latent=latent, **self.layout.facts("vae"))

    def text_config(self) -> TextConfig:
        shape = lambda key: self.shape("text", key)
        vocabulary, width = shape("embeddings.token_embedding.weight")[:2]
        config = TextConfig(width=width, layers=tensor_names.count(self.keys["text"], r"encoder\.layers\.(\d+)\."),
                            mlp=shape("encoder.layers.0.mlp.fc1.weight")[0], tokens=shape("embeddings.position_embedding.weight")[0],
                            vocabulary=vocabulary, **self.layout.facts("text"))
        self._check_heads("text", [width], config.heads)
        return config

    def _check_heads(self, part, widths, heads):
        if any(width % heads for width in widths):
            raise InputError(f"{self.path}: {part} with {heads} heads, which do not divide its widths {few(widths)}; download it again")

    def unet(self, dtype=None) -> UNet:
        config = self.unet_config()
        return self._fill("unet", lambda: UNet(config), dtype)

    def vae(self, decoder=False, dtype=None) -> VAE:
        config = self.vae_config()
        return self._fill("vae", lambda: VAE(config, decoder), dtype, skip=() if decoder else DECODER)

    def text(self, dtype=None) -> Text:
        config = self.text_config()
        tokenizer = self.tokenizer()
        text = Text(config, tokenizer, self.words())
        text.model = self._fill("text", text.build, dtype)
        return text

    def _fill(self, part, build, dtype, skip=()):
        """Build the network without memory for its parameters, then hang the file's tensors into it: strictly, none left over."""
        try:
            with torch.device("meta"):
                net = build()
        except (ValueError, IndexError, RuntimeError) as e:
            raise InputError(f"{self.path}: no {part} can be built of these sizes ({one_line(e)}): not Stable Diffusion 1.x") from None
        want = {tensor_names.text_key(k) if part == "text" else k: (k, p) for k, p in net.state_dict().items() if not k.endswith("position_ids")}
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
            elif str(tensor.dtype).removeprefix("torch.") not in DTYPES.values():
                wrong.append(f"{stored} is {tensor.dtype}, not a floating-point type of 16 bits or more")
            else:
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
            tokenizer = unpack_tokenizer(self.metadata["tokenizer"], self.path)
        else:
            tokenizer = read_tokenizer(self.tokenizer_folder())
        vocabulary = self.text_config().vocabulary
        largest = max(tokenizer.get_vocab().values())
        if largest >= vocabulary:
            raise InputError(f"{self.path}: its tokenizer counts to {largest}, but the text encoder knows {vocabulary} tokens: parts of different models")
        return tokenizer

    def tokenizer_folder(self) -> Path:
        """Where the tokenizer's files are when the checkpoint does not carry them itself."""
        if not self.layout.single:
            return self.path / "tokenizer"
        beside = (self.path.parent / "tokenizer", self.path.parent)
        found = next((f for f in beside if has_tokenizer(f)), None) or cached_tokenizer()
        if found is None:
            raise InputError(f"{self.path}: no tokenizer beside it (tokenizer/vocab.json and "
                             "merges.txt, or tokenizer.json) and none in the hub cache; "
                             "python weights.py download --tokenizer fetches it")
        return found

    def tokenizer_texts(self) -> dict[str, str]:
        """The contents of the tokenizer's files, added words included: {"vocab_json": ...}."""
        return self.metadata.get("tokenizer") or tokenizer_texts(self.tokenizer_folder())


def write_single(path, states: dict[str, dict[str, torch.Tensor]], notes: dict | None = None,
                 says: dict[str, str] | None = None):
    """Writes {"unet": ..., "vae": ..., "text": ...} state dicts, under our names, as one file in
    the original layout. notes: our own, see Layout.notes; says: other metadata."""
    tensors = {PREFIX[part] + (tensor_names.text_key(k) if part == "text" else k): v.contiguous()
               for part, state in states.items() for k, v in state.items()}
    metadata = (says or {}) | {"format": "pt"} | ({"minifaseg": json.dumps(notes)} if notes else {})
    path = Path(path)
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata)
    except (OSError, SafetensorError) as e:
        raise InputError(f"{path}: cannot be written ({one_line(e)})") from None
