"""Each network equals the field's own implementation on the same random weights."""
import copy
import json
import sys
import warnings
from importlib import import_module

import pytest
import torch
from conftest import relative_error, save_folder, skip_text_in_float64
from PIL import Image
from safetensors.torch import load_file, save_file

from minifaseg import InputError
from minifaseg.checkpoints.checkpoint import Checkpoint, write_single
from minifaseg.model import load
from minifaseg.unet import UNet, UNetConfig
from minifaseg.vae import VAE, VAEConfig

BOUND = {torch.float64: 1e-9, torch.float32: 1e-4}
precisions = pytest.mark.parametrize("dtype", BOUND)


@precisions
@torch.no_grad()
def test_unet_equals_diffusers(folder, authority, dtype):
    theirs, ours = authority[0].to(dtype), Checkpoint(folder).unet(dtype)
    torch.manual_seed(1)
    z, text, t = torch.randn(3, 4, 32, 32, dtype=dtype), torch.randn(3, 77, 32, dtype=dtype), torch.tensor([1, 300, 999])
    assert relative_error(ours(z, t, text), theirs(z, t, text).sample) <= BOUND[dtype]
    assert relative_error(ours(z[..., :16], 7, text), theirs(z[..., :16], 7, text).sample) <= BOUND[dtype]         # not square
    authority[0].float()


@precisions
@torch.no_grad()
def test_vae_equals_diffusers(folder, authority, dtype):
    theirs, ours = authority[1].to(dtype), Checkpoint(folder).vae(decoder=True, dtype=dtype)
    torch.manual_seed(1)
    x = torch.rand(2, 3, 64, 64, dtype=dtype) * 2 - 1
    q = theirs.encode(x).latent_dist
    mean, logvar = ours.moments(x)
    assert relative_error(mean, q.mean) <= BOUND[dtype] and relative_error(logvar, q.logvar) <= BOUND[dtype]
    z = torch.randn(2, 4, 8, 8, dtype=dtype)
    assert relative_error(ours.decode(z), theirs.decode(z / theirs.config.scaling_factor).sample) <= BOUND[dtype]
    noise = torch.randn_like(mean)
    assert torch.allclose(ours.encode(x, noise), 0.18215 * (q.mean + q.std * noise), atol=1e-5)
    assert torch.equal(ours.encode(x), 0.18215 * mean)
    authority[1].float()


@precisions
@torch.no_grad()
def test_text_equals_transformers(folder, authority, clip_vocabulary, dtype):
    from transformers import CLIPTokenizer
    skip_text_in_float64(dtype)
    theirs, ours = authority[2].to(dtype), Checkpoint(folder).text(dtype)
    texts = ["a photo of a cat", "teddy bear, surfboard; aeroplane", "", "many words " * 60]
    ids = CLIPTokenizer.from_pretrained(clip_vocabulary)(texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    assert torch.equal(torch.stack([ours.ids(ours.pieces(t)) for t in texts]), ids)
    assert relative_error(ours(texts), theirs(ids).last_hidden_state) <= BOUND[dtype]
    authority[2].float()


def test_sd15_sizes_are_the_defaults():
    with torch.device("meta"):
        count = lambda net: sum(p.numel() for p in net.parameters())
        assert count(UNet()) == 859_520_964 and count(VAE()) == 83_653_863


def all_tensors(checkpoint):
    parts = {"unet": checkpoint.unet(), "vae": checkpoint.vae(decoder=True), "text": checkpoint.text()}
    return {f"{part}.{k}": v for part, net in parts.items() for k, v in net.state_dict().items()}


def as_single(checkpoint, path, **notes):
    write_single(path, {"unet": checkpoint.unet().state_dict(), "vae": checkpoint.vae(decoder=True).state_dict(),
                        "text": checkpoint.text().model.state_dict()}, notes or None)
    return path


NOTES = {"unet": {"heads": 4, "groups": 8}, "vae": {"groups": 8}, "text": {"heads": 4}}


@pytest.fixture(scope="module")
def single(folder, clip_vocabulary, tmp_path_factory):
    path = tmp_path_factory.mktemp("single") / "model.safetensors"
    save_folder(path.parent, [], clip_vocabulary)                     # the tokenizer stands beside the file
    return as_single(Checkpoint(folder), path, **NOTES)


def test_both_layouts_load_to_identical_tensors(folder, single):
    a, b = all_tensors(Checkpoint(folder)), all_tensors(Checkpoint(single))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert Checkpoint(folder).unet_config() == Checkpoint(single).unet_config() == UNetConfig(widths=(32, 64, 96, 96), context=32, heads=4, groups=8)
    assert Checkpoint(single).vae_config() == VAEConfig(widths=(16, 32, 48, 48), groups=8)


@torch.no_grad()
def test_diffusers_loads_our_single_file(folder, single, authority, tmp_path):
    """Their single-file loader, told the thin sizes by a config folder, gives their own outputs back."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    unet = UNet2DConditionModel.from_single_file(str(single), config=str(folder), subfolder="unet", local_files_only=True)
    vae = AutoencoderKL.from_single_file(str(single), config=str(folder), subfolder="vae", local_files_only=True)
    torch.manual_seed(2)
    z, text, x = torch.randn(1, 4, 16, 16), torch.randn(1, 77, 32), torch.rand(1, 3, 32, 32)
    assert torch.equal(unet(z, 5, text).sample, authority[0](z, 5, text).sample)
    assert torch.equal(vae.encode(x).latent_dist.mean, authority[1].encode(x).latent_dist.mean)
    assert torch.equal(vae.decode(z).sample, authority[1].decode(z).sample)


def test_half_variant_and_old_vae_names(authority, clip_vocabulary, folder, tmp_path):
    old = save_folder(tmp_path / "old", [copy.deepcopy(m).half() for m in authority], clip_vocabulary, variant="fp16")
    path = old / "vae" / "diffusion_pytorch_model.fp16.safetensors"
    rename = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    state = load_file(path)
    for new, older in rename.items():
        state = {k.replace(new, older) if "attentions" in k else k: v for k, v in state.items()}
    save_file(state, path)
    a, b = all_tensors(Checkpoint(folder)), all_tensors(Checkpoint(old))
    assert a.keys() == b.keys() and all(torch.equal(a[k].half(), b[k]) for k in a if a[k].is_floating_point())
    model = load(old, device="cpu", dtype="bfloat16")
    assert model.dtype == torch.bfloat16 and model.unet.out[2].weight.dtype == torch.bfloat16
    assert load(old, device="cpu").dtype == torch.float32


@torch.no_grad()
def test_decoder_is_read_on_demand(single):
    model = load(single, device="cpu")
    assert not hasattr(model.vae, "decoder")
    z = torch.randn(1, 4, 8, 8)
    assert torch.equal(model.decode(z), Checkpoint(single).vae(decoder=True).decode(z))


def damaged(folder, tmp_path, change):
    state = load_file(as_single(Checkpoint(folder), tmp_path / "ok.safetensors", **NOTES))
    change(state)
    save_file(state, tmp_path / "bad.safetensors", {"minifaseg": json.dumps(NOTES)})
    return tmp_path / "bad.safetensors"


@pytest.mark.parametrize("change, words", [
    (lambda s: s.pop("model.diffusion_model.out.2.bias"), ["unet", "missing", "out.2.bias"]),
    (lambda s: s.update({"model.diffusion_model.out.9.bias": torch.zeros(1)}), ["unet", "surplus", "out.9.bias"]),
    (lambda s: s.update({"first_stage_model.quant_conv.bias": torch.zeros(3)}), ["vae", "quant_conv.bias", "(3,)", "(8,)"]),
    (lambda s: s.update({"cond_stage_model.transformer.text_model.final_layer_norm.bias": torch.zeros(32, dtype=torch.int64)}), ["text", "I64"]),
    (lambda s: s.update({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(32, 9, 3, 3)}), ["inpainting", "9"]),
    (lambda s: [s.pop(k) for k in list(s) if k.startswith("first_stage")], ["vae"]),
])
def test_loading_is_strict(folder, clip_vocabulary, tmp_path, change, words):
    path = damaged(folder, tmp_path, change)
    save_folder(tmp_path, [], clip_vocabulary)
    with pytest.raises(InputError) as e:
        load(path, device="cpu")
    message = str(e.value)
    assert "bad.safetensors" in message and "\n" not in message and all(w in message for w in words), message


def test_position_ids_and_schedule_buffers_are_not_surplus(folder, clip_vocabulary, tmp_path):
    def change(s):
        s["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
        s["betas"], s["model_ema.decay"] = torch.zeros(1000), torch.zeros(1)
    path = damaged(folder, tmp_path, change)
    save_folder(tmp_path, [], clip_vocabulary)
    load(path, device="cpu")


def test_no_tokenizer_is_a_clear_error(folder, tmp_path, empty_hub_cache, no_clip_package):
    path = as_single(Checkpoint(folder), tmp_path / "alone.safetensors", **NOTES)
    with pytest.raises(InputError, match="tokenizer.*download"):
        load(path, device="cpu")


@pytest.mark.parametrize("content, words", [
    (b"", "empty"), (b"<!DOCTYPE html><html>login</html>", "web page"), (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
    (b"PK\x03\x04 archive/data.pkl", "pickle"), (b"\x80\x02}q\x00.", "pickle"), (b"nonsense" * 9, "not a safetensors")])
def test_files_that_are_no_weights(tmp_path, content, words):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as e:
        load(path, device="cpu")
    assert str(path) in str(e.value) and "\n" not in str(e.value)


def test_truncated_file(single, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(single.read_bytes()[:-1000])
    with pytest.raises(InputError, match="truncated"):
        load(path, device="cpu")


def test_lora_is_recognised(tmp_path):
    save_file({"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(4, 4)}, tmp_path / "lora.safetensors")
    with pytest.raises(InputError, match="LoRA"):
        load(tmp_path / "lora.safetensors", device="cpu")


def test_devices_and_dtypes_are_refused_early(single):
    with pytest.raises(InputError, match="float16"):
        load(single, device="cpu", dtype="float16")
    with pytest.raises(InputError, match="dtype"):
        load(single, device="cpu", dtype="int8")


# "cuda:99" and those of other makers are known to torch by name, but not to this machine
@pytest.mark.parametrize("device", ["abacus", "hpu", "meta", "xla", "privateuseone", "ipu", "mkldnn",
                                    "cuda:99", "cuda:x", "CPU", "", None, torch.device("meta")],
                         ids=str)
def test_a_device_that_cannot_compute_is_one_line(device):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="cannot be used here .*; there is: cpu") as e:
            load("no such file", device=device)
    assert "\n" not in str(e.value) and len(str(e.value)) < 220


@pytest.mark.parametrize("device", ["hpu", "meta", ""])
@pytest.mark.parametrize("command", ["minifaseg.__main__", "minifaseg.evaluate.command"])
def test_the_commands_refuse_a_device_in_one_line(command, device, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30)).save("x.png")
    things = ["cartoon", "--seeds", "7:8"] if "evaluate" in command else ["x.png", "cat"]
    with pytest.raises(SystemExit) as e:
        sys.exit(import_module(command).main([*things, "--device", device]))
    out, err = capsys.readouterr()
    assert e.value.code == 1 and out == "" and len(err.splitlines()) == 1
    assert f"device {device!r} cannot be used here" in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
