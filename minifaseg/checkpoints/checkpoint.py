"""Safetensors -> the three networks, from an original single file or a diffusers folder.

Widths and depths are read off tensor shapes, so SD 1.5 and the small cartoon model load alike. What
shapes cannot tell (heads, norm groups, latent scaling) comes from the folder's config.json files or
the single file's metadata, else it is SD 1.5's. Names, shapes and number types must all fit: no
tensor missing, none left over (see examine.compare).

Files are memory-mapped: a tensor is read when its network is built or first used (see reading.py),
and the VAE's decoder only when somebody decodes.
"""
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..errors import InputError, first_few, one_line, short
from ..text import Text, TextConfig
from ..unet import UNet, UNetConfig
from ..vae import VAE, VAEConfig
from ..writing import replacing
from .clip_vocabulary import find_vocabulary, vocabulary_texts
from .examine import DECODER, compare, empty_network
from .hub import cached_tokenizer, tokenizer_beside
from .layouts import open_layout
from .other_models import recognise, sign_of_2x
from .refusals import check_exists, refuse_without_tokenizer
from .tensor_names import PREFIX, count, unwrapped
from .tokenizer import read_tokenizer, tokenizer_texts, unpack_tokenizer

LARGEST_SIDE = 2048            # pixels
Dtype = torch.dtype | None     # None: as the file has it


class Checkpoint:
    """A single file or a folder, opened.

    keys[part]: our tensor name -> (stored name, open file); part is unet, vae or text.
    notes: what minifaseg's own files say beside the tensors. All methods raise InputError.
    """

    def __init__(self, path: str | Path, half: bool = False) -> None:
        """half: of a folder with several variants of the weights, prefer those in float16."""
        check_exists(path)
        self.path = Path(path)
        self.layout = open_layout(self.path, half)
        self.keys, self.notes = self.layout.keys, self.layout.notes

    def check(self) -> None:
        """What no part can tell by itself: do the three fit together, do the notes make sense?"""
        unet, vae, text = self.unet_config(), self.vae_config(), self.text_config()
        if unet.widths[0] % 2:
            raise InputError(f"{self.path}: a UNet of {unet.widths[0]} channels, but half of them "
                             "are for sines, half for cosines: not Stable Diffusion")
        if unet.context != text.width or unet.latent != vae.latent:
            raise InputError(f"{self.path}: parts of different models: the UNet takes text states "
                             f"of {unet.context} channels and latents of {unet.latent}, "
                             f"the text encoder makes {text.width} and the VAE {vae.latent}")
        side = self.notes.get("side", 512)
        unit = 2 ** (len(vae.widths) + len(unet.widths) - 2)     # pixels of the coarsest cell
        if type(side) is not int or not 0 < side <= LARGEST_SIDE or side % unit:
            raise InputError(f"{self.path}: side is {short(side)}, not a multiple of {unit} "
                             f"up to {LARGEST_SIDE}; download it again")
        self.words()

    def words(self) -> list[str]:
        """All words that the model was trained on, where the notes list them."""
        words = self.notes.get("words", [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError(f"{self.path}: words is {short(words)}, not a list of words; "
                             "download it again")
        return words

    # -- sizes -------------------------------------------------------------------------------------
    def config(self, part: str) -> Any:
        """The sizes of one part."""
        return getattr(self, f"{part}_config")()

    def unet_config(self) -> UNetConfig:
        """The sizes of the UNet."""
        shape, names = partial(self.shape, "unet"), self.keys["unet"]
        latent = shape("input_blocks.0.0.weight")[1]
        context = shape("middle_block.1.transformer_blocks.0.attn2.to_k.weight")[1]
        proj_in = shape("middle_block.1.proj_in.weight")

        # Every level but the last ends with a block that halves the resolution.
        blocks = range(count(names, r"input_blocks\.(\d+)\."))
        halvings = [i for i in blocks if f"input_blocks.{i}.0.op.weight" in names]
        self._check_unet(latent, halvings, proj_in, context)
        firsts = [1, *(i + 1 for i in halvings)]         # first block of each level

        widths = [shape(f"input_blocks.{i}.0.out_layers.3.weight")[0] for i in firsts]
        attention = [f"input_blocks.{i}.1.norm.weight" in names for i in firsts]
        config = UNetConfig(tuple(widths), halvings[0] - 1, tuple(attention), context, latent,
                            **self.layout.settings("unet"))

        attended = [width for width, yes in zip(widths, attention) if yes]
        self._check_heads("unet", [*attended, widths[-1]], config.heads)
        return config

    def vae_config(self) -> VAEConfig:
        """The sizes of the VAE."""
        shape, names = partial(self.shape, "vae"), self.keys["vae"]
        levels = count(names, r"encoder\.down\.(\d+)\.")
        if names and not levels:
            raise InputError(f"{self.path}: its VAE has no encoder (no tensor encoder.down.0.*), "
                             "which turns a picture into latents; give the full checkpoint")
        latent = shape("quant_conv.weight")[0] // 2      # mean and log-variance
        blocks = count(names, r"encoder\.down\.0\.block\.(\d+)\.")
        widths = [shape(f"encoder.down.{i}.block.0.conv2.weight")[0] for i in range(levels)]
        return VAEConfig(tuple(widths), blocks, latent, **self.layout.settings("vae"))

    def text_config(self) -> TextConfig:
        """The sizes of the text encoder."""
        shape = partial(self.shape, "text")
        vocabulary, width = shape("embeddings.token_embedding.weight")[:2]
        config = TextConfig(
            width,
            layers=count(self.keys["text"], r"encoder\.layers\.(\d+)\."),
            mlp=shape("encoder.layers.0.mlp.fc1.weight")[0],
            tokens=shape("embeddings.position_embedding.weight")[0],
            vocabulary=vocabulary,
            **self.layout.settings("text"))
        self._check_heads("text", [width], config.heads)
        return config

    def shape(self, part: str, name: str) -> tuple[int, ...]:
        """Of a tensor that sizes are read off: a matrix, or the kernel of a convolution."""
        names = self.keys[part]
        if name not in names:
            raise InputError(f"{self.path}: {_explain_absent(part, name, names)}")
        stored, file = names[name]
        shape = tuple(file.get_slice(stored).get_shape())
        if len(shape) not in (2, 4) or not all(shape):
            raise InputError(f"{self.path}: {stored} is {shape}: not Stable Diffusion 1.x")
        return shape

    # -- networks ----------------------------------------------------------------------------------
    def unet(self, dtype: Dtype = None) -> UNet:
        """The noise predictor."""
        return self._network("unet", dtype)

    def vae(self, decoder: bool = False, dtype: Dtype = None) -> VAE:
        """The encoder, and the decoder if asked for."""
        return self._network("vae", dtype, decoder)

    def text(self, dtype: Dtype = None) -> Text:
        """The text encoder with its tokenizer."""
        text = Text(self.text_config(), self.tokenizer(), self.words())
        text.model = self._network("text", dtype)
        return text

    def _network(self, part, dtype, decoder=False):
        """Builds the network without memory for its parameters, then puts the file's tensors in."""
        net = self._empty_network(part, decoder)
        stored = self.keys[part]
        if part == "vae" and not decoder:
            stored = {name: at for name, at in stored.items() if not name.startswith(DECODER)}
        self._check_fits(part, stored, compare(part, net, stored))

        state = {}
        for name, parameter in net.state_dict().items():
            if unwrapped(name) in stored:
                tensor = self._read(*stored[unwrapped(name)], dtype)
                state[name] = tensor.reshape(parameter.shape)    # from a matrix to a 1 x 1 kernel
        net.load_state_dict(state, strict=False, assign=True)

        for module in net.modules():           # CLIP's position_ids: a buffer that no file holds
            ids = getattr(module, "position_ids", None)
            if ids is not None:
                module.position_ids = torch.arange(ids.shape[-1])[None]
        return net

    # -- tokenizer ---------------------------------------------------------------------------------
    def tokenizer(self) -> Any:
        """CLIP's tokenizer.

        From the file's metadata (cartoon), the folder, beside the single file, the hub cache, or an
        installed package.
        """
        folder = self.tokenizer_folder()
        if folder:
            tokenizer = read_tokenizer(folder)
        else:
            tokenizer = unpack_tokenizer(self.tokenizer_texts(), self.path)
        self._check_vocabulary(tokenizer)
        return tokenizer

    def tokenizer_folder(self) -> Path | None:
        """The folder that has the tokenizer's files, if one has; see tokenizer_texts."""
        if "tokenizer" in self.notes:
            return None
        if not self.layout.single:
            return self.path / "tokenizer"
        return tokenizer_beside(self.path) or cached_tokenizer()

    def tokenizer_texts(self) -> dict[str, str]:
        """The contents of the tokenizer's files, added words included: {"vocab_json": ...}."""
        folder = self.tokenizer_folder()
        if folder:
            return tokenizer_texts(folder)
        if "tokenizer" in self.notes:
            return self.notes["tokenizer"]
        _, file = find_vocabulary() or refuse_without_tokenizer(self.path)
        return vocabulary_texts(file)

    def tokenizer_place(self) -> str:
        """Where the tokenizer is, in words."""
        folder = self.tokenizer_folder()
        if folder:
            return str(folder)
        if "tokenizer" in self.notes:
            return "in the file"
        package, file = find_vocabulary() or refuse_without_tokenizer(self.path)
        return f"made of {file.name} in the package {package}"

    # -- refusals ----------------------------------------------------------------------------------
    def _empty_network(self, part, decoder):
        config = self.config(part)
        try:
            return empty_network(part, config, decoder)
        except (ValueError, IndexError, RuntimeError) as e:
            raise InputError(f"{self.path}: no {part} can be built of these sizes "
                             f"({one_line(e)}): not Stable Diffusion 1.x") from None

    def _read(self, stored, file, dtype):
        try:
            return file.read(stored, dtype)
        except (SafetensorError, OSError, ValueError) as e:
            raise InputError(f"{self.path}: tensor {stored} cannot be read ({one_line(e)}); "
                             "download it again") from None

    def _check_unet(self, latent, halvings, proj_in, context):
        """Is this the UNet of a plain Stable Diffusion 1.x?"""
        out = self.shape("unet", "out.2.weight")[0]
        if latent != out:
            kinds = {8: "an instruct-pix2pix model", 9: "an inpainting model"}
            kind = kinds.get(latent, "not Stable Diffusion 1.x")
            raise InputError(f"{self.path}: {kind} ({latent} input and {out} output channels); "
                             "FA-Seg needs plain Stable Diffusion 1.x (4 and 4)")
        names = self.keys["unet"]
        if not halvings:
            raise InputError(f"{self.path}: unet has no down-sampling: "
                             f"{recognise(names) or 'not Stable Diffusion 1.x'}")
        sign = sign_of_2x(proj_in=proj_in, context=context)
        if sign:
            raise InputError(f"{self.path}: {recognise(names) or sign}")

    def _check_heads(self, part, widths, heads):
        if any(width % heads for width in widths):
            raise InputError(f"{self.path}: {part} with {heads} heads, which do not divide its "
                             f"widths {first_few(widths)}; download it again")

    def _check_fits(self, part, stored, differences):
        """Did `compare` find no difference? Says the names of those missing or surplus first."""
        if not differences:
            return
        problems = []
        for kind in ("missing", "surplus"):
            names = [name for name, difference in differences.items() if difference == kind]
            if names:
                problems.append(f"{kind} {first_few(names)}")
        if not problems:
            wrong = [f"{stored[name][0]} {difference}" for name, difference in differences.items()]
            problems = [first_few(wrong)]
        raise InputError(f"{self.path}: {part} does not fit: {'; '.join(problems)}. "
                         f"{recognise(stored) or ''}".rstrip())

    def _check_vocabulary(self, tokenizer):
        largest, vocabulary = max(tokenizer.get_vocab().values()), self.text_config().vocabulary
        if largest >= vocabulary:
            raise InputError(f"{self.path}: its tokenizer counts to {largest}, but the text "
                             f"encoder knows {vocabulary} tokens: parts of different models")


def _explain_absent(part, name, names):
    if not names:
        return f"holds no {part} at all; give the full checkpoint"
    return f"{part} has no tensor {name}: {recognise(names) or 'not Stable Diffusion 1.x'}"


def write_single(path: str | Path, states: dict[str, dict[str, Tensor]], notes: dict | None = None,
                 metadata: dict | None = None) -> None:
    """Writes {"unet": ..., "vae": ..., "text": ...} state dicts as one file, original layout.

    The state dicts have our names. notes: minifaseg's own, see Layout. metadata: other tools'.
    Raises InputError.
    """
    tensors = {}
    for part, state in states.items():
        for name, tensor in state.items():
            tensors[PREFIX[part] + unwrapped(name)] = tensor.contiguous()
    metadata = (metadata or {}) | {"format": "pt"}
    if notes:
        metadata["minifaseg"] = json.dumps(notes)
    try:
        with replacing(Path(path)) as temporary:
            save_file(tensors, temporary, metadata)
    except (OSError, SafetensorError) as e:
        raise InputError(f"{path}: cannot be written ({one_line(e)})") from None
