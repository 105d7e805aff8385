"""Tensor names: this package uses the original checkpoint's; a diffusers folder has its own.

Pure functions, no tensors.

    from_single(["module.first_stage_model.quant_conv.bias"])
        ->  {"module.first_stage_model.quant_conv.bias": ("vae", "quant_conv.bias")}
    rename("input_blocks.2.0.in_layers.2.weight", unet_table(...))
        ->  "down_blocks.0.resnets.1.conv1.weight"

A table lists pairs (original prefix, diffusers prefix), twice: first of blocks, then of the parts
inside a block. Of several pairs that fit, the first one counts.
"""
import re
from collections.abc import Iterable, Sequence

# Of levels, blocks or layers; SD 1.5 has at most 12. A small file can name thousands, for which
# networks would be built.
MOST_BLOCKS = 16

PREFIX = {"unet": "model.diffusion_model.", "vae": "first_stage_model.",
          "text": "cond_stage_model.transformer.text_model."}
MODULES = {"unet": ("",), "vae": ("encoder.", "decoder.", "quant_conv.", "post_quant_conv."),
           "text": ("embeddings.", "encoder.", "final_layer_norm.")}
WRAPPERS = {
    "state_dict", "module", "_orig_mod",       # of Lightning, DataParallel, torch.compile
    "text_model"}                              # of transformers from 4.0 to 5.5

Pairs = list[tuple[str, str]]
Table = tuple[Pairs, Pairs]
Places = dict[str, tuple[str | None, str]]     # stored name -> (part, our name), (None, name)


def _two_columns(text):
    """The two words of every line: (original prefix, diffusers prefix)."""
    return [(ours, theirs) for ours, theirs in map(str.split, text.strip().splitlines())]


UNET_ENDS = _two_columns("""
    time_embed.0.       time_embedding.linear_1.
    time_embed.2.       time_embedding.linear_2.
    input_blocks.0.0.   conv_in.
    out.0.              conv_norm_out.
    out.2.              conv_out.
    middle_block.0.     mid_block.resnets.0.
    middle_block.1.     mid_block.attentions.0.
    middle_block.2.     mid_block.resnets.1.
""")
UNET_PARTS = _two_columns("""
    in_layers.0.        norm1.
    in_layers.2.        conv1.
    emb_layers.1.       time_emb_proj.
    out_layers.0.       norm2.
    out_layers.3.       conv2.
    skip_connection.    conv_shortcut.
""")
VAE_ENDS = _two_columns("""
    quant_conv.         quant_conv.
    post_quant_conv.    post_quant_conv.
    encoder.conv_in.    encoder.conv_in.
    encoder.conv_out.   encoder.conv_out.
    encoder.norm_out.   encoder.conv_norm_out.
    encoder.mid.attn_1.     encoder.mid_block.attentions.0.
    encoder.mid.block_1.    encoder.mid_block.resnets.0.
    encoder.mid.block_2.    encoder.mid_block.resnets.1.
    decoder.conv_in.    decoder.conv_in.
    decoder.conv_out.   decoder.conv_out.
    decoder.norm_out.   decoder.conv_norm_out.
    decoder.mid.attn_1.     decoder.mid_block.attentions.0.
    decoder.mid.block_1.    decoder.mid_block.resnets.0.
    decoder.mid.block_2.    decoder.mid_block.resnets.1.
""")
# The last four are what diffusers before 0.17 has in place of the four before them.
VAE_PARTS = _two_columns("""
    nin_shortcut.       conv_shortcut.
    norm.               group_norm.
    q.                  to_q.
    k.                  to_k.
    v.                  to_v.
    proj_out.           to_out.0.
    q.                  query.
    k.                  key.
    v.                  value.
    proj_out.           proj_attn.
""")
# SD 1.5's folder has text_model.; transformers reads names with and without it.
TEXT_TABLE: Table = ([("", "text_model.")], [])


def unet_table(blocks: int, attention: Sequence[bool]) -> Table:
    """The UNet's names. blocks: per level on the way down.

    attention[i]: has level i (fine to coarse) transformers?
    """
    pairs = list(UNET_ENDS)

    for i in range(len(attention)):
        for j in range(blocks):
            n = 1 + i * (blocks + 1) + j
            pairs += [(f"input_blocks.{n}.0.", f"down_blocks.{i}.resnets.{j}."),
                      (f"input_blocks.{n}.1.", f"down_blocks.{i}.attentions.{j}.")]
        n = (i + 1) * (blocks + 1)
        pairs.append((f"input_blocks.{n}.0.op.", f"down_blocks.{i}.downsamplers.0.conv."))

    for i, transformers in enumerate(reversed(attention)):    # up_blocks run from coarse to fine
        last = (i + 1) * (blocks + 1) - 1
        place = 2 if transformers else 1       # of the convolution that doubles the resolution
        pairs.append((f"output_blocks.{last}.{place}.conv.", f"up_blocks.{i}.upsamplers.0.conv."))
        for j in range(blocks + 1):
            n = i * (blocks + 1) + j
            pairs += [(f"output_blocks.{n}.0.", f"up_blocks.{i}.resnets.{j}."),
                      (f"output_blocks.{n}.1.", f"up_blocks.{i}.attentions.{j}.")]

    return pairs, UNET_PARTS


def vae_table(levels: int, blocks: int) -> Table:
    """The VAE's names. blocks: per level in the encoder; the decoder has one more."""
    pairs = list(VAE_ENDS)
    for i in range(levels):
        up = levels - 1 - i                    # diffusers counts the decoder's levels in reverse
        pairs += [(f"encoder.down.{i}.downsample.conv.",
                   f"encoder.down_blocks.{i}.downsamplers.0.conv."),
                  (f"decoder.up.{up}.upsample.conv.",
                   f"decoder.up_blocks.{i}.upsamplers.0.conv.")]
        for j in range(blocks + 1):
            pairs += [(f"encoder.down.{i}.block.{j}.", f"encoder.down_blocks.{i}.resnets.{j}."),
                      (f"decoder.up.{up}.block.{j}.", f"decoder.up_blocks.{i}.resnets.{j}.")]
    return pairs, VAE_PARTS


def rename(key: str, table: Table) -> str | None:
    """The key under the table's other naming; None if no block of the table holds it."""
    blocks, parts = table
    for source, target in blocks:
        if key.startswith(source):
            rest = key.removeprefix(source)
            for a, b in parts:
                if rest.startswith(a):
                    return target + b + rest.removeprefix(a)
            return target + rest
    return None


def from_single(keys: Iterable[str]) -> Places:
    """The names in a single file -> (part, our name), or (None, name) for what is in no network."""
    places: Places = {}
    for key in keys:
        name = unwrapped(key)
        places[key] = None, name
        for part, prefix in PREFIX.items():
            prefix = unwrapped(prefix)
            if name.startswith(prefix):
                places[key] = _place(part, name.removeprefix(prefix))
    return places


def from_folder(part: str, keys: Iterable[str]) -> Places:
    """Diffusers' names of one part -> (part, our name), or (None, name) for what is outside it."""
    bare = {key: unwrapped(key) for key in keys}
    ours = from_diffusers(part, list(bare.values()))
    return {key: _place(part, ours[name] or name) for key, name in bare.items()}


def _place(part, name):
    """(part, our name); (None, name) if the network of this part has no such module."""
    return part if name.startswith(MODULES[part]) else None, name


def unwrapped(key: str) -> str:
    """The key without the words that tools put around a network's own names."""
    return ".".join(word for word in key.split(".") if word not in WRAPPERS)


def from_diffusers(part: str, keys: list[str]) -> dict[str, str | None]:
    """Diffusers' keys of one part -> the original ones; None where there is none."""
    levels = count(keys, r"(?:encoder\.)?down_blocks\.(\d+)\.")
    blocks = count(keys, r"(?:encoder\.)?down_blocks\.0\.resnets\.(\d+)\.")
    table = TEXT_TABLE
    if part == "vae":
        table = vae_table(levels, blocks)
    if part == "unet":
        attended = {key.partition("attentions.")[0] for key in keys}
        table = unet_table(blocks, [f"down_blocks.{i}." in attended for i in range(levels)])
    inverse = _swapped(table[0]), _swapped(table[1])
    return {key: rename(key, inverse) for key in keys}


def _swapped(pairs):
    return [(theirs, ours) for ours, theirs in pairs]


def count(keys: Iterable[str], pattern: str) -> int:
    """How many of 0, 1, 2, ... the pattern's group takes among the keys.

    Up to the first that is not there, and not beyond MOST_BLOCKS.
    """
    matches = (re.match(pattern, key) for key in keys)
    found = {match[1] for match in matches if match}
    return next((n for n in range(MOST_BLOCKS) if str(n) not in found), MOST_BLOCKS)
