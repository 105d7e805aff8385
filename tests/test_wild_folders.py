"""Diffusers folders as people have them: variants, shards, links, a whole CLIP as text encoder;
their number types through convert; and what other tools leave beside a file."""
import copy
import json
import os
import shutil

import pytest
import torch
from pipelines import (
    changed,
    inspected,
    pipeline,
    same_tensors,
    same_words,
    saved,
    single,
    unpacked,
    words,
)
from safetensors.torch import load_file, save_file

import minifaseg
import weights
from minifaseg import InputError
from minifaseg.checkpoints.checkpoint import Checkpoint
from minifaseg.checkpoints.hub import FOLDER

transformers = pytest.importorskip("transformers")


# ---- folders -------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [
    dict(variant="fp16"), dict(variant="bf16"), dict(variant="non_ema"), dict(variant="ema"),
    dict(max_shard_size="60KB"), dict(max_shard_size="60KB", variant="fp16")], ids=str)
def test_variants_and_shards(pipeline, saved, tmp_path, capsys, options):
    """As diffusers writes them."""
    pipeline.save_pretrained(tmp_path / "sd", **options)
    assert same_tensors(tmp_path / "sd", saved)
    minifaseg.load(tmp_path / "sd", device="cpu")
    named = "index" if "max_shard_size" in options else f".{options['variant']}.safetensors"
    line = next(x for x in inspected(tmp_path / "sd", capsys).splitlines() if "from diff" in x)
    assert named in line and options.get("variant", "") in line


def test_the_plain_file_before_its_variants(pipeline, saved, tmp_path, capsys):
    """As in the SD 1.5 repository: plain, .fp16 and, for the UNet, .non_ema, side by side."""
    shutil.copytree(saved, tmp_path / "sd")
    other = copy.deepcopy(pipeline)
    with torch.no_grad():
        other.unet.conv_out.bias += 1
    other.unet.save_pretrained(tmp_path / "sd/unet", variant="non_ema")
    copy.deepcopy(pipeline).to(dtype=torch.float16).save_pretrained(tmp_path / "sd", variant="fp16")
    assert same_tensors(tmp_path / "sd", saved)
    assert "not read: diffusion_pytorch_model.fp16.safetensors, " \
        "diffusion_pytorch_model.non_ema.safetensors" in inspected(tmp_path / "sd", capsys)
    half = Checkpoint(tmp_path / "sd", half=True).unet()
    assert half.out[2].bias.dtype == torch.float16
    (tmp_path / "sd/unet/diffusion_pytorch_model.safetensors").unlink()
    (tmp_path / "sd/unet/diffusion_pytorch_model.fp16.safetensors").unlink()
    bias = Checkpoint(tmp_path / "sd").unet().out[2].bias
    assert torch.equal(bias, other.unet.conv_out.bias)


def test_shards_that_lack_something(pipeline, tmp_path, capsys):
    pipeline.save_pretrained(tmp_path / "sd", max_shard_size="60KB")
    index = tmp_path / "sd/unet/diffusion_pytorch_model.safetensors.index.json"
    table = json.loads(index.read_text())
    shard = sorted(set(table["weight_map"].values()))[1]
    (tmp_path / "sd/unet" / shard).rename(tmp_path / "gone")
    with pytest.raises(InputError, match=f"{shard}: cannot be read"):
        minifaseg.load(tmp_path / "sd", device="cpu")
    (tmp_path / "gone").rename(tmp_path / "sd/unet" / shard)
    for wrong in (["../unet/" + shard], [""], [".."], ["a\0b"], [5], [], [None], ["\ud800"]):
        index.write_text(json.dumps({"weight_map": {str(i): w for i, w in enumerate(wrong)}}))
        with pytest.raises(InputError, match="unet"):
            minifaseg.load(tmp_path / "sd", device="cpu")
    index.unlink()
    with pytest.raises(InputError, match="only shards without their index.json"):
        minifaseg.load(tmp_path / "sd", device="cpu")


def test_a_variant_that_nobody_knows(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "sd")
    plain = tmp_path / "sd/unet/diffusion_pytorch_model.safetensors"
    plain.rename(plain.with_name("diffusion_pytorch_model.best.safetensors"))
    with pytest.raises(InputError, match="only the variants best; rename the right one"):
        minifaseg.load(tmp_path / "sd", device="cpu")


def test_a_whole_clip_as_text_encoder(saved, pipeline, tmp_path, capsys):
    """CLIPModel or CLIPTextModelWithProjection where CLIPTextModel belongs: its text half is it."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextModelWithProjection
    text = pipeline.text_encoder.config
    vision = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                  image_size=8, patch_size=4)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision, projection_dim=8)
    for model in (CLIPModel(config), CLIPTextModelWithProjection(text)):
        state = pipeline.text_encoder.state_dict()
        state = {k.removeprefix("text_model."): v for k, v in state.items()}
        model.text_model.load_state_dict(state, strict=False)
        path = tmp_path / type(model).__name__
        shutil.copytree(saved, path)
        model.save_pretrained(path / "text_encoder")
        shutil.copy(saved / "text_encoder/config.json", path / "text_encoder")
        assert same_words(path, pipeline)
        assert "text_projection.weight" in inspected(path, capsys)


def test_a_folder_written_by_a_wrapped_network(saved, tmp_path):
    """accelerate and torch.compile: module., _orig_mod. before diffusers' names."""
    for word in ("module.", "_orig_mod."):
        path = tmp_path / word
        shutil.copytree(saved, path)
        for stem in FOLDER.values():
            file = path / f"{stem}.safetensors"
            save_file({word + k: v for k, v in load_file(file).items()}, file, {"format": "pt"})
        assert same_tensors(path, saved)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_hub_snapshot_is_a_folder_of_links(saved, pipeline, tmp_path):
    """The names are in the snapshot, the bytes in blobs/ under their checksums."""
    (tmp_path / "blobs").mkdir()
    for i, path in enumerate(sorted(p for p in saved.rglob("*") if p.is_file())):
        link = tmp_path / "snapshots/1" / path.relative_to(saved)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "blobs" / str(i))
        link.symlink_to(tmp_path / "blobs" / str(i))
    assert same_tensors(tmp_path / "snapshots/1", saved)
    assert same_words(tmp_path / "snapshots/1", pipeline)


# ---- conversion ----------------------------------------------------------------------------------
def test_convert_keeps_the_number_types(pipeline, tmp_path):
    """A float16 UNet beside a float32 VAE, as many fine-tunes are; and all in bfloat16."""
    mixed = copy.deepcopy(pipeline)
    mixed.unet.half()
    mixed.save_pretrained(tmp_path / "mixed")
    copy.deepcopy(pipeline).to(dtype=torch.bfloat16).save_pretrained(tmp_path / "bf16")
    for name in ("mixed", "bf16"):
        one, two = tmp_path / f"{name}1.safetensors", tmp_path / f"{name}2.safetensors"
        back = tmp_path / f"{name}-back"
        for source, target in ((tmp_path / name, one), (one, back), (back, two)):
            assert weights.main(["convert", str(source), str(target)]) == 0
            assert same_tensors(source, target)
        assert unpacked(one) == unpacked(two)


# ---- beside the file -----------------------------------------------------------------------------
@pytest.mark.parametrize("notes", [
    {"description": "my cats", "sd version": "SD1", "activation text": "a <my-cat>",
     "preferred weight": 0.7, "notes": ""},                           # a web UI
    {"pretrained_model_name_or_path": "sd.safetensors", "learning_rate": 1e-5, "bucket": [1, 2]},
    {}])
def test_notes_of_other_tools_beside_a_file(single, tmp_path, notes):
    """Of its name, as our own numbers for the methods are."""
    path = changed(single, tmp_path / "x.safetensors")
    (tmp_path / "x.json").write_text(json.dumps(notes))
    assert "description" not in minifaseg.load(path, device="cpu").notes


def test_numbers_of_a_misspelt_method_are_not_taken_for_such_notes(single, tmp_path):
    path = changed(single, tmp_path / "x.safetensors")
    (tmp_path / "x.json").write_text('{"fasegg": {"tau": 1}, "notes": ""}')
    with pytest.raises(InputError, match="x.json: not methods and their numbers"):
        minifaseg.load(path, device="cpu")
