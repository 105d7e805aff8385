"""inspect and convert, on tiny random models that diffusers and transformers themselves made."""
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import weights
from minifaseg.cartoon.words import tokenizer_files
from minifaseg.checkpoints.checkpoint import Checkpoint

ROOT = Path(__file__).parents[1]
FOLDERS = {"unet": "unet/diffusion_pytorch_model", "vae": "vae/diffusion_pytorch_model", "text": "text_encoder/model"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What diffusers writes for a thin Stable Diffusion 1.x, with head and group counts unlike SD 1.5's."""
    diffusers, transformers = pytest.importorskip("diffusers"), pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("tiny") / "model"
    vocab, merges = tokenizer_files()
    size = len(json.loads(vocab))
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(sample_size=8, block_out_channels=(32, 64, 64, 64), layers_per_block=2,
                                          cross_attention_dim=32, attention_head_dim=4, norm_num_groups=8)
    vae = diffusers.AutoencoderKL(block_out_channels=(16, 32, 32, 32), down_block_types=["DownEncoderBlock2D"] * 4,
                                  up_block_types=["UpDecoderBlock2D"] * 4, layers_per_block=2, norm_num_groups=8,
                                  scaling_factor=0.5)
    text = transformers.CLIPTextModel(transformers.CLIPTextConfig(
        vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=77, bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1))
    for name, net in (("unet", unet), ("vae", vae), ("text_encoder", text)):
        net.save_pretrained(path / name)
    (path / "tokenizer").mkdir()
    (path / "tokenizer/vocab.json").write_text(vocab)
    (path / "tokenizer/merges.txt").write_text(merges)
    return path


@pytest.fixture(scope="module")
def single(folder):
    path = folder.parent / "single.safetensors"
    assert weights.main(["convert", str(folder), str(path), "--dtype", "keep"]) == 0
    return path


@pytest.fixture(scope="module")
def back(single):
    path = single.parent / "back"
    assert weights.main(["convert", str(single), str(path), "--dtype", "keep"]) == 0
    return path


def contents(path):
    """Every tensor of a checkpoint under our names."""
    return {(part, key): file.get_tensor(stored)
            for part, keys in Checkpoint(path).keys.items() for key, (stored, file) in keys.items()}


# ---- convert -------------------------------------------------------------------------------------------------------------------
def test_round_trip_is_exact(folder, back):
    for part, stem in FOLDERS.items():
        a, b = load_file(folder / f"{stem}.safetensors"), load_file(back / f"{stem}.safetensors")
        if part == "text":                               # transformers >= 5.6 saves without the wrapper's name, SD 1.5 has it
            a, b = ({k.removeprefix("text_model."): v for k, v in x.items()} for x in (a, b))
        assert a.keys() == b.keys()
        for key in a:
            assert a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]), key
    for name in ("vocab.json", "merges.txt"):
        assert (folder / "tokenizer" / name).read_bytes() == (back / "tokenizer" / name).read_bytes()


def test_a_single_file_has_original_names_and_what_shapes_cannot_tell(folder, single):
    keys = load_file(single)
    assert keys["model.diffusion_model.input_blocks.1.0.in_layers.2.weight"].shape == (32, 32, 3, 3)
    assert keys["first_stage_model.encoder.mid.attn_1.q.weight"].shape == (32, 32, 1, 1)
    assert "cond_stage_model.transformer.text_model.encoder.layers.1.mlp.fc2.bias" in keys
    with safe_open(single, "pt") as file:
        notes = json.loads(file.metadata()["minifaseg"])
    assert notes["unet"] == {"heads": 4, "groups": 8} and notes["text"] == {"heads": 2}
    assert notes["vae"] == {"groups": 8, "scaling": 0.5}
    assert notes["tokenizer"]["vocab_json"] == (folder / "tokenizer/vocab.json").read_text()
    for config in ("unet_config", "vae_config", "text_config"):
        assert getattr(Checkpoint(single), config)() == getattr(Checkpoint(folder), config)()


@torch.no_grad()
def test_diffusers_and_transformers_compute_the_same_from_it(folder, back):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer
    g = torch.Generator().manual_seed(1)
    z, text, x = torch.randn(1, 4, 8, 8, generator=g), torch.randn(1, 77, 32, generator=g), torch.randn(1, 3, 32, 32, generator=g)
    ids = torch.randint(0, 300, (1, 77), generator=g)
    tokenizers = [CLIPTokenizer.from_pretrained(str(f / "tokenizer")) for f in (folder, back)]
    for run, cls, where in [(lambda m: m(z, 100, text).sample, UNet2DConditionModel, "unet"),
                            (lambda m: m.decode(z + m.encode(x).latent_dist.mean.mean()).sample, AutoencoderKL, "vae"),
                            (lambda m: m(input_ids=ids).last_hidden_state, CLIPTextModel, "text_encoder")]:
        models = [cls.from_pretrained(str(f / where), local_files_only=True).eval() for f in (folder, back)]
        assert torch.equal(*map(run, models)), where
    assert models[0].config.num_attention_heads == models[1].config.num_attention_heads == 2
    assert tokenizers[0]("a red cat")["input_ids"] == tokenizers[1]("a red cat")["input_ids"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_number_types(folder, tmp_path, dtype):
    target = tmp_path / "half.safetensors"
    assert weights.main(["convert", str(folder), str(target), "--dtype", dtype]) == 0
    before, after = contents(folder), contents(target)
    for key, tensor in before.items():
        tensor = tensor[:, :, None, None] if tensor.ndim == 2 and after[key].ndim == 4 else tensor
        assert torch.equal(after[key], tensor.to(getattr(torch, dtype))), key


def test_numbers_too_large_for_float16_are_refused(folder, tmp_path, capsys):
    bad = tmp_path / "bad"
    shutil.copytree(folder, bad)
    tensors = load_file(bad / "vae/diffusion_pytorch_model.safetensors")
    tensors["quant_conv.bias"][0] = 1e6
    save_file(tensors, bad / "vae/diffusion_pytorch_model.safetensors", {"format": "pt"})
    for target in ("out.safetensors", "out"):
        command = ["convert", str(bad), str(tmp_path / target), "--dtype", "float16"]
        assert weights.main(command) == 1
        assert "quant_conv.bias has numbers too large for float16" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["bad"]


def test_notes_beyond_sizes_survive_the_trip(single, tmp_path):
    tensors = load_file(single)
    with safe_open(single, "pt") as file:
        notes = json.loads(file.metadata()["minifaseg"]) | {"words": ["cat"], "trained": "an hour"}
    save_file(tensors, tmp_path / "a.safetensors", {"minifaseg": json.dumps(notes)})
    assert weights.main(["convert", str(tmp_path / "a.safetensors"), str(tmp_path / "b")]) == 0
    assert weights.main(["convert", str(tmp_path / "b"), str(tmp_path / "c.safetensors")]) == 0
    assert Checkpoint(tmp_path / "c.safetensors").notes == notes


def test_a_standard_vocabulary_goes_beside_the_file_once(folder, tmp_path, capsys):
    big = tmp_path / "big"
    shutil.copytree(folder, big)
    text = load_file(big / "text_encoder/model.safetensors")
    key = next(k for k in text if k.endswith("token_embedding.weight"))
    text[key] = torch.zeros(49408, 32)
    save_file(text, big / "text_encoder/model.safetensors", {"format": "pt"})
    assert weights.main(["convert", str(big), str(tmp_path / "one.safetensors")]) == 0
    assert f"{tmp_path / 'tokenizer'}: " in capsys.readouterr().out
    assert (tmp_path / "tokenizer/merges.txt").read_bytes() == (folder / "tokenizer/merges.txt").read_bytes()
    (tmp_path / "tokenizer/merges.txt").write_text("mine")
    assert weights.main(["convert", str(big), str(tmp_path / "two.safetensors")]) == 0
    assert (tmp_path / "tokenizer/merges.txt").read_text() == "mine"
    assert Checkpoint(tmp_path / "two.safetensors").tokenizer()("a red cat").input_ids == \
        Checkpoint(big).tokenizer()("a red cat").input_ids            # not those of `mine`


# ---- what convert refuses ------------------------------------------------------------------------------------------------------
def test_overwriting_needs_force(single, tmp_path, capsys):
    file, folder, other = tmp_path / "x.safetensors", tmp_path / "x", tmp_path / "photos"
    file.write_bytes(b"mine")
    other.mkdir()
    (other / "cat.jpg").write_bytes(b"mine")
    assert weights.main(["convert", str(single), str(file)]) == 1
    assert "exists already; --force replaces it" in capsys.readouterr().err and file.read_bytes() == b"mine"
    assert weights.main(["convert", str(single), str(file), "--force"]) == 0 and len(contents(file)) > 100
    assert weights.main(["convert", str(single), str(folder)]) == 0
    assert weights.main(["convert", str(single), str(folder)]) == 1
    (folder / "unet/old.txt").write_text("old")
    assert weights.main(["convert", str(single), str(folder), "--force"]) == 0
    assert not (folder / "unet/old.txt").exists() and len(contents(folder)) > 100
    assert weights.main(["convert", str(single), str(other), "--force"]) == 1                # not a folder of weights: never
    assert os.listdir(other) == ["cat.jpg"]
    assert weights.main(["convert", str(folder), str(folder), "--force"]) == 1
    inside = folder / "inside.safetensors"
    shutil.copy(single, inside)
    assert weights.main(["convert", str(inside), str(folder), "--force"]) == 1 and inside.exists()
    assert sorted(os.listdir(tmp_path)) == ["photos", "x", "x.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("target", ["out.safetensors", "out"])
@pytest.mark.parametrize("old", [False, True])
def test_a_failed_write_leaves_nothing_and_keeps_the_old(single, tmp_path, target, old, capsys):
    """A file-size limit of the operating system stands in for a full disk."""
    if old:
        assert weights.main(["convert", str(single), str(tmp_path / target)]) == 0
        before = contents(tmp_path / target)
    import resource  # POSIX only
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    capsys.readouterr()
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        code = weights.main(["convert", str(single), str(tmp_path / target), "--force"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    err = capsys.readouterr().err
    assert code == 1 and "cannot be written" in err and "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert os.listdir(tmp_path) == [target] * old
    if old:
        assert all(torch.equal(v, before[k]) for k, v in contents(tmp_path / target).items())


@pytest.mark.parametrize("target", ["nowhere/out.safetensors", "nowhere/out", "file/out.safetensors", "file/out"])
def test_no_such_place(single, tmp_path, target, capsys):
    (tmp_path / "file").write_text("")
    assert weights.main(["convert", str(single), str(tmp_path / target)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("weights.py: ") and len(err.splitlines()) == 1


# ---- inspect -------------------------------------------------------------------------------------------------------------------
def test_inspect_good(folder, single, capsys):
    for path, layout in ((folder, "diffusers folder"), (single, "single file")):
        assert weights.main(["inspect", str(path)]) == 0
        out = capsys.readouterr().out
        assert layout in out and out.endswith("loads\n") and "missing" not in out and "surplus" not in out
        unet, vae, text = out.splitlines()[1:4]
        assert unet.startswith("unet") and "684 tensors" in unet and "float32" in unet
        assert "widths 32/64/64/64, blocks 2, attention 1/1/1/0, context 32, latent 4, heads 4, groups 8" in unet
        assert "244 tensors" in vae and "scaling 0.5" in vae and "36 tensors" in text and "heads 2" in text


def damaged(single, tmp_path, change):
    tensors = load_file(single)
    with safe_open(single, "pt") as file:
        metadata = file.metadata()
    change(tensors)
    save_file(tensors, tmp_path / "damaged.safetensors", metadata)
    return str(tmp_path / "damaged.safetensors")


def test_inspect_lists_what_is_missing_surplus_or_misshapen(single, tmp_path, capsys):
    def change(tensors):
        for name in ("input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight", "out.2.bias"):
            del tensors["model.diffusion_model." + name]
        tensors["model.diffusion_model.extra.weight"] = torch.zeros(3)
        tensors["model.diffusion_model.out.0.bias"] = torch.zeros(7)
        tensors["first_stage_model.quant_conv.bias"] = torch.zeros(8, dtype=torch.int64)
    path = damaged(single, tmp_path, change)
    assert weights.main(["inspect", path]) == 1
    out = capsys.readouterr().out
    for line in ("missing input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight", "missing out.2.bias", "surplus extra.weight",
                 "out.0.bias is (7,), not (32,)", "quant_conv.bias is I64, not a floating-point type", "does not load"):
        assert line in out.splitlines() or "  " + line in out.splitlines(), line
    assert weights.main(["convert", path, str(tmp_path / "no")]) == 1 and os.listdir(tmp_path) == ["damaged.safetensors"]


def test_inspect_when_a_part_is_gone_or_its_size_unreadable(single, tmp_path, capsys):
    def change(tensors):
        for key in [k for k in tensors if k.startswith("first_stage_model.") or k.endswith("middle_block.1.proj_in.weight")]:
            del tensors[key]
    assert weights.main(["inspect", damaged(single, tmp_path, change)]) == 1
    out = capsys.readouterr().out
    assert "vae       0 tensors" in out and "missing middle_block.1.proj_in.weight" in out and "text" in out
    assert "out.0.bias is" not in out                    # nothing is known of the sizes, so none is called wrong


def test_a_missing_decoder_is_no_obstacle(single, tmp_path, capsys):
    def change(tensors):
        for key in [k for k in tensors if k.startswith(("first_stage_model.decoder.", "first_stage_model.post_quant_conv."))]:
            del tensors[key]
    path = damaged(single, tmp_path, change)
    assert weights.main(["inspect", path]) == 0
    assert "only for painting, not for segmenting" in capsys.readouterr().out
    assert weights.main(["convert", path, str(tmp_path / "folder")]) == 0
    assert Checkpoint(tmp_path / "folder").vae().config.groups == 8


def test_inspect_is_about_what_load_does(folder, single, tmp_path):
    """The two judge alike: what inspect passes loads, what it fails does not."""
    def drop(tensors):
        del tensors["model.diffusion_model.out.2.bias"]
    bad = Checkpoint(damaged(single, tmp_path, drop))
    with pytest.raises(ValueError, match="out.2.bias"):
        bad.unet()
    for path in (folder, single):
        file = Checkpoint(path)
        assert file.unet() and file.vae(decoder=True) and file.text()


@pytest.mark.parametrize("content, says", [
    (b"", "an empty file"), (b"<!DOCTYPE html><html>sign in</html>", "a web page"), (b"PK\x03\x04" + b"\0" * 50, "a pickle"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer"),
    (b"just some text, long enough", "not a safetensors file")])
def test_not_a_checkpoint(tmp_path, capsys, content, says):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    for command in (["inspect", str(path)], ["convert", str(path), str(tmp_path / "out")]):
        assert weights.main(command) == 1
        err = capsys.readouterr().err
        assert says in err and str(path) in err and len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == ["x.safetensors"]


def test_other_models_and_places(folder, single, tmp_path, capsys):
    save_file({"lora_unet_down.lora_down.weight": torch.zeros(2)}, tmp_path / "lora.safetensors")
    assert weights.main(["inspect", str(tmp_path / "lora.safetensors")]) == 1
    out, err = capsys.readouterr()
    assert "a LoRA" in err and "1 x lora_unet_down.*" in out
    (tmp_path / "cut.safetensors").write_bytes(single.read_bytes()[:-100])
    assert weights.main(["inspect", str(tmp_path / "cut.safetensors")]) == 1
    assert "truncated" in capsys.readouterr().err
    shutil.copytree(folder, tmp_path / "half")
    shutil.rmtree(tmp_path / "half/vae")
    assert weights.main(["inspect", str(tmp_path / "half")]) == 1
    out, err = capsys.readouterr()
    assert "no vae/diffusion_pytorch_model.safetensors" in err and "text_encoder" in out and "unet" in out
    assert weights.main(["inspect", str(tmp_path / "nowhere")]) == 1
    shutil.rmtree(tmp_path / "half")
    shutil.copytree(folder, tmp_path / "half")
    (tmp_path / "half/tokenizer/vocab.json").write_text("{")
    assert weights.main(["inspect", str(tmp_path / "half")]) == 1
    assert "tokenizer" in capsys.readouterr().out


def test_usage_errors_are_argparses(capsys):
    for command in ([], ["convert", "a"], ["convert", "a", "b", "--dtype", "int8"], ["download", "--half", "--tokenizer"]):
        with pytest.raises(SystemExit) as e:
            weights.main(command)
        assert e.value.code == 2
