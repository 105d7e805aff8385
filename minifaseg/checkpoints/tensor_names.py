"""Tensor names: this package uses the original checkpoint's; a diffusers folder has its own. Pure functions, no tensors.

    from_single("module.first_stage_model.quant_conv.bias")  ->  "vae", "quant_conv.bias"
    rename("down_blocks.0.resnets.1.conv1.weight", inverse(unet_table(...)))  ->  "input_blocks.2.0.in_layers.2.weight"

A table lists pairs (original prefix, diffusers prefix); block prefixes come first, parts inside a block second.
"""
import re

MOST = 16         # of levels, blocks or layers: SD 1.5 has at most 12. A small file can name thousands, for which networks would be built

PREFIX = {"unet": "model.diffusion_model.", "vae": "first_stage_model.",
          "text": "cond_stage_model.transformer.text_model."}
OLD_TEXT = "cond_stage_model.transformer."                # with transformers before 4.0 or from 5.6
MODULES = {"unet": ("",), "vae": ("encoder.", "decoder.", "quant_conv.", "post_quant_conv."),
           "text": ("embeddings.", "encoder.", "final_layer_norm.")}
WRAPPERS = {"state_dict", "module", "_orig_mod"}          # Lightning, DataParallel, torch.compile

Table = tuple[list[tuple[str, str]], list[tuple[str, str]]]

UNET_PARTS = [("in_layers.0.", "norm1."), ("in_layers.2.", "conv1."), ("emb_layers.1.", "time_emb_proj."),
              ("out_layers.0.", "norm2."), ("out_layers.3.", "conv2."), ("skip_connection.", "conv_shortcut.")]
VAE_PARTS = [("nin_shortcut.", "conv_shortcut."), ("norm.", "group_norm."), ("q.", "to_q."), ("k.", "to_k."), ("v.", "to_v."),
             ("proj_out.", "to_out.0.")]
OLD_VAE_PARTS = {"query.": "to_q.", "key.": "to_k.", "value.": "to_v.", "proj_attn.": "to_out.0."}       # diffusers before 0.17


def unet_table(blocks: int, attention: list[bool]) -> Table:
    """`blocks` per level on the way down; `attention[i]`: has level i (fine to coarse) transformers?"""
    levels = range(len(attention))
    pairs = [("time_embed.0.", "time_embedding.linear_1."), ("time_embed.2.", "time_embedding.linear_2."),
             ("input_blocks.0.0.", "conv_in."), ("out.0.", "conv_norm_out."), ("out.2.", "conv_out."),
             ("middle_block.0.", "mid_block.resnets.0."), ("middle_block.1.", "mid_block.attentions.0."),
             ("middle_block.2.", "mid_block.resnets.1.")]
    for i in levels:
        for j in range(blocks):
            n = 1 + i * (blocks + 1) + j
            pairs += [(f"input_blocks.{n}.0.", f"down_blocks.{i}.resnets.{j}."), (f"input_blocks.{n}.1.", f"down_blocks.{i}.attentions.{j}.")]
        pairs.append((f"input_blocks.{(i + 1) * (blocks + 1)}.0.op.", f"down_blocks.{i}.downsamplers.0.conv."))
    for i in levels:                                                  # up_blocks run from coarse to fine
        looks = attention[len(attention) - 1 - i]
        last = (i + 1) * (blocks + 1) - 1
        pairs.append((f"output_blocks.{last}.{2 if looks else 1}.conv.", f"up_blocks.{i}.upsamplers.0.conv."))
        for j in range(blocks + 1):
            n = i * (blocks + 1) + j
            pairs.append((f"output_blocks.{n}.0.", f"up_blocks.{i}.resnets.{j}."))
            if looks:
                pairs.append((f"output_blocks.{n}.1.", f"up_blocks.{i}.attentions.{j}."))
    return pairs, UNET_PARTS


def vae_table(levels: int, blocks: int) -> Table:
    """`blocks` per level in the encoder."""
    pairs = [("quant_conv.", "quant_conv."), ("post_quant_conv.", "post_quant_conv.")]
    for half in ("encoder", "decoder"):
        pairs += [(f"{half}.conv_in.", f"{half}.conv_in."), (f"{half}.conv_out.", f"{half}.conv_out."),
                  (f"{half}.norm_out.", f"{half}.conv_norm_out."), (f"{half}.mid.attn_1.", f"{half}.mid_block.attentions.0."),
                  (f"{half}.mid.block_1.", f"{half}.mid_block.resnets.0."), (f"{half}.mid.block_2.", f"{half}.mid_block.resnets.1.")]
    for i in range(levels):
        up = levels - 1 - i                                           # diffusers counts the decoder's levels the other way round
        pairs += [(f"encoder.down.{i}.downsample.conv.", f"encoder.down_blocks.{i}.downsamplers.0.conv."),
                  (f"decoder.up.{up}.upsample.conv.", f"decoder.up_blocks.{i}.upsamplers.0.conv.")]
        pairs += [(f"encoder.down.{i}.block.{j}.", f"encoder.down_blocks.{i}.resnets.{j}.") for j in range(blocks)]
        pairs += [(f"decoder.up.{up}.block.{j}.", f"decoder.up_blocks.{i}.resnets.{j}.") for j in range(blocks + 1)]
    return pairs, VAE_PARTS


def inverse(table: Table) -> Table:
    return tuple([(b, a) for a, b in pairs] for pairs in table)


def rename(key: str, table: Table) -> str | None:
    """The key under the table's other naming; None if no block of the table holds it."""
    for source, target in table[0]:
        if key.startswith(source):
            rest = key[len(source):]
            for a, b in table[1]:
                if rest.startswith(a):
                    return target + b + rest[len(a):]
            return target + rest
    return None


def from_single(key: str) -> tuple[str | None, str]:
    """The part that a tensor of a single file belongs to, and our name for it; None if to none."""
    key = unwrapped(key)
    for part, prefix in (PREFIX | {"text": OLD_TEXT}).items():
        if key.startswith(prefix):
            ours = key[len(prefix):]
            ours = text_key(ours) if part == "text" else ours
            return (part, ours) if ours.startswith(MODULES[part]) else (None, key)
    return None, key


def from_folder(part: str, keys) -> dict[str, tuple[str | None, str]]:
    """Diffusers' names of one part -> (part, our name), or (None, name) for what is outside it."""
    bare = {key: unwrapped(key) for key in keys}
    translate = {"unet": unet_from_diffusers, "vae": vae_from_diffusers,
                 "text": lambda names: {k: text_key(k) for k in names}}[part]
    table = translate(list(bare.values()))
    ours = {key: table[name] or name for key, name in bare.items()}
    return {key: (part if name.startswith(MODULES[part]) else None, name)
            for key, name in ours.items()}


def unwrapped(key: str) -> str:
    """The key without the words that training tools put around a network's own names."""
    return ".".join(word for word in key.split(".") if word not in WRAPPERS)


def unet_from_diffusers(keys) -> dict[str, str | None]:
    """Diffusers UNet keys -> original keys (None where there is none)."""
    levels, blocks = count(keys, r"down_blocks\.(\d+)\."), count(keys, r"down_blocks\.0\.resnets\.(\d+)\.")
    looks = [any(k.startswith(f"down_blocks.{i}.attentions.") for k in keys) for i in range(levels)]
    table = inverse(unet_table(blocks, looks))
    return {k: rename(k, table) for k in keys}


def vae_from_diffusers(keys) -> dict[str, str | None]:
    """Diffusers VAE keys, with today's or the older attention names -> original keys."""
    levels, blocks = count(keys, r"encoder\.down_blocks\.(\d+)\."), count(keys, r"encoder\.down_blocks\.0\.resnets\.(\d+)\.")
    table = inverse(vae_table(levels, blocks))

    def modern(key):
        for old, new in OLD_VAE_PARTS.items():
            key = key.replace(f".attentions.0.{old}", f".attentions.0.{new}")
        return key
    return {k: rename(modern(k), table) for k in keys}


def text_key(key: str) -> str:
    """CLIP text encoder key without the `text_model.` wrapper, which transformers dropped at 5.6."""
    return key.removeprefix("text_model.")


def count(keys, pattern):
    """How many of 0, 1, 2, ... the pattern's group takes among the keys, up to the first that is not there, and not beyond MOST."""
    found = {m[1] for m in (re.match(pattern, k) for k in keys) if m}
    return next((n for n in range(MOST) if str(n) not in found), MOST)
