"""Wrong checkpoints: whatever is wrong with the files, loading ends in one line that says what, which file and what to do."""
import io
import json
import math
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_diffusers, save_folder
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import minifaseg
import weights
from minifaseg import InputError
from minifaseg.cartoon.words import tokenizer_files
from minifaseg.checkpoints.checkpoint import PREFIX, Checkpoint
from minifaseg.checkpoints.safe_opening import open_file
from minifaseg.errors import shown

SIZES = dict(widths=(8, 16, 16, 16), context=8, heads=2, groups=4, vae_widths=(8, 8, 8, 8), text_layers=1, text_heads=2, text_mlp=8, vae_groups=4)
STEMS = {"unet": "unet/diffusion_pytorch_model", "vae": "vae/diffusion_pytorch_model", "text": "text_encoder/model"}
UNET, VAE, TEXT = PREFIX.values()
POSIX = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and any bytes in names")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A good checkpoint as a diffusers folder, as small as the plan allows."""
    path = tmp_path_factory.mktemp("good")
    (path / "words").mkdir()
    for name, content in zip(("vocab.json", "merges.txt"), tokenizer_files()):
        (path / "words" / name).write_text(content, encoding="utf-8")
    size = len(json.loads(tokenizer_files()[0]))
    models = make_diffusers(**SIZES, vocab_size=size, bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1)
    return save_folder(path, models, path / "words")


@pytest.fixture(scope="module")
def single(folder):
    """The same as a single file, its tokenizer inside."""
    path = folder.parent / "good.safetensors"
    assert weights.main(["convert", str(folder), str(path), "--dtype", "keep", "--force"]) == 0
    return path


def refused(path, *words, named=None):
    with pytest.raises(InputError) as e:
        minifaseg.load(path, device="cpu")
    message = str(e.value)
    assert shown(named or path) in message and message.isprintable() and len(message) < 1000, message
    assert all(word in message for word in words), message


def unpacked(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), data[8 + size:]


def packed(path, header, body=b"", size=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(header) if size is None else size) + header + body)
    return path


def with_notes(single, path, **notes):
    header, body = unpacked(single)
    header["__metadata__"]["minifaseg"] = json.dumps(json.loads(header["__metadata__"]["minifaseg"]) | notes)
    return packed(path, header, body)


def with_tensors(single, path, **change):
    """The good file with other tensors, by stored name; None takes one away."""
    with safe_open(single, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(single) | change
    save_file({k: v for k, v in tensors.items() if v is not None}, path, metadata)
    return path


# ---- bytes ---------------------------------------------------------------------------------------------------------------------
def test_a_file_cut_anywhere(folder, single, tmp_path):
    data, r = single.read_bytes(), random.Random(0)
    header = 8 + struct.unpack("<Q", data[:8])[0]
    for size in [*(r.randrange(len(data)) for _ in range(50)), *(r.randrange(header) for _ in range(50)), 0, 7, 8, 9, header, len(data) - 1]:
        path = tmp_path / "cut.safetensors"
        path.write_bytes(data[:size])
        refused(path, "download it again" if size > 8 else "")
    for stem in STEMS.values():
        shutil.copytree(folder, tmp_path / "sd", dirs_exist_ok=True)
        path = tmp_path / "sd" / f"{stem}.safetensors"
        os.truncate(path, r.randrange(path.stat().st_size))
        refused(tmp_path / "sd", "download it again", named=path)


A, B = UNET + "out.2.bias", UNET + "time_embed.2.weight"


@pytest.mark.parametrize("change", [
    lambda h: h[B].update(data_offsets=h[A]["data_offsets"]),                                   # overlap
    lambda h: h.pop(B),                                                                         # a gap
    lambda h: h[A].update(data_offsets=[0, 10**12]),
    lambda h: h[A].update(data_offsets=h[A]["data_offsets"][::-1]),
    lambda h: h[A].update(data_offsets=[-4, 0]),
    lambda h: h[A].update(data_offsets=[0.5, 1.5]),
    lambda h: h[A].update(data_offsets=None),
    lambda h: h[A].update(shape=[2**62, 2**62]),
    lambda h: h[A].update(shape=[2**64]),
    lambda h: h[A].update(shape=[-1]),
    lambda h: h[A].update(shape="x"),
    lambda h: h[A].update(dtype="F99"),
    lambda h: h[A].update(dtype="F16"),                                                         # not the size of its bytes
    lambda h: h.update({A: None}),
    lambda h: h.update(__metadata__={"minifaseg": 5}),
    lambda h: h.update(__metadata__=[1]),
    lambda h: h["__metadata__"].update(minifaseg="{"),
    lambda h: h["__metadata__"].update(minifaseg="[]"),
    lambda h: h["__metadata__"].update(minifaseg="[" * 100_000),
    lambda h: h["__metadata__"].update(minifaseg='{"side": ' + "9" * 5000 + "}")])
def test_headers_that_lie(single, tmp_path, change):
    header, body = unpacked(single)
    change(header)
    refused(packed(tmp_path / "x.safetensors", header, body), "download it again")


@pytest.mark.parametrize("header, size", [
    (b"{", 200_000_000), (b"{", 2**63), (b"{", 2**64 - 1), (b"{}", 15_000_000), (b"", 0), (b"{}", None), (b"[1]", None), (b"null", None),
    (b"{hello", None), (b'{"\xff":1}', None), (b'{"a":' + b"[" * 1_000_000, None), (bytes(1000), None)])
def test_headers_that_are_none(tmp_path, header, size):
    refused(packed(tmp_path / "x.safetensors", header, size=size))


def test_a_key_twice_is_read_once_or_refused(single, tmp_path):
    header, body = unpacked(single)
    text, again = json.dumps(header)[:-1], json.dumps(header[A])
    minifaseg.load(packed(tmp_path / "same.safetensors", f'{text}, "{A}": {again}}}'.encode(), body), device="cpu")
    other = json.dumps(header[A] | {"shape": [2, 2]})
    refused(packed(tmp_path / "other.safetensors", f'{text}, "{A}": {other}}}'.encode(), body), A)


@POSIX
def test_memory_is_bounded(tmp_path):
    """A header of 200 MB is not read; one of 15 MB, nearly the largest that is, takes ten times its size."""
    packed(tmp_path / "text", b'{"__metadata__":{"a":"' + b"x" * 200_000_000 + b'"}}')
    packed(tmp_path / "keys", b"{" + b",".join(b'"k%06d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i for i in range(240_000)) + b"}")
    code = """if 1:
        import resource, sys, minifaseg.model
        most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform == "linux" else 2**20)
        for path in sys.argv[1:]:
            before = most()
            try: minifaseg.load(path, device="cpu")
            except minifaseg.InputError: print(most() - before)"""
    run = subprocess.run([sys.executable, "-c", code, *(tmp_path / name for name in ("text", "keys"))], capture_output=True, text=True,
                         cwd=Path(__file__).parents[1])
    text, keys = map(float, run.stdout.split())
    assert text < 20 and keys < 300, f"{text}, {keys} MiB more"


# ---- tensors -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("key, tensor", [
    (A, torch.zeros(4, dtype=torch.int8)), (A, torch.zeros(4, dtype=torch.bool)),
    (A, torch.zeros(4).to(torch.float8_e4m3fn)), (VAE + "quant_conv.bias", torch.zeros(8, dtype=torch.int64)),
    (UNET + "input_blocks.0.0.weight", torch.zeros(8)), (UNET + "input_blocks.0.0.weight", torch.zeros(())),
    (UNET + "out.2.weight", torch.zeros(4, 8, 3, 3, 3)), (UNET + "middle_block.1.transformer_blocks.0.attn2.to_k.weight", torch.zeros(16, 9)),
    (UNET + "input_blocks.4.0.out_layers.3.weight", torch.zeros(10**12, 0, 3, 3)), (UNET + "input_blocks.x.0.op.weight", torch.zeros(2, 2)),
    (UNET + "input_blocks.999999999.0.op.weight", torch.zeros(2, 2)), (UNET + f"input_blocks.{'9' * 5000}.0.op.weight", torch.zeros(2, 2)),
    (VAE + "quant_conv.weight", torch.zeros(1, 1)), (VAE + "encoder.down.0.block.999999999.conv1.weight", torch.zeros(2, 2)),
    (VAE + "encoder.down.999999999.block.0.conv2.weight", torch.zeros(2, 2)), (TEXT + "encoder.layers.999999999.mlp.fc1.weight", torch.zeros(2, 2)),
    (TEXT + "embeddings.token_embedding.weight", torch.zeros(3)), (TEXT + "embeddings.token_embedding.weight", torch.zeros(9, 8)),
    (TEXT + "embeddings.position_embedding.weight", torch.zeros(10**12, 0))], ids=lambda x: x[:60] if isinstance(x, str) else str(x.shape))
def test_tensors_of_wrong_kind_or_size(single, tmp_path, key, tensor):
    """Sizes are read off shapes and layers counted by names: neither may ask for what the file does not hold."""
    refused(with_tensors(single, tmp_path / "x.safetensors", **{key: tensor}))


def test_swapped_layers(single, tmp_path):
    """Of different shapes; two of one shape nobody can tell apart."""
    tensors = load_file(single)
    refused(with_tensors(single, tmp_path / "x.safetensors", **{A: tensors[B], B: tensors[A]}), A, B)


def test_float64_is_fine(single, tmp_path):
    path = with_tensors(single, tmp_path / "x.safetensors", **{k: v.double() for k, v in load_file(single).items()})
    assert minifaseg.load(path, device="cpu").dtype == torch.float32


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("key, value, method", [
    ("input_blocks.1.0.in_layers.2.weight", math.nan, "faseg"), ("output_blocks.11.1.transformer_blocks.0.attn2.to_k.weight", math.inf, "faseg"),
    ("encoder.conv_in.bias", math.inf, "faseg"), ("encoder.layers.0.mlp.fc1.bias", -math.inf, "faseg"),
    ("encoder.layers.0.mlp.fc1.bias", math.nan, "invseg"), ("out.2.bias", math.nan, "leaveout")])
def test_weights_that_are_no_numbers(single, tmp_path, key, value, method):
    """Named when the first result is not finite; loading does not look, for that would be a pass over 4 GB."""
    stored = next(prefix + key for prefix in PREFIX.values() if prefix + key in load_file(single))
    tensor = load_file(single)[stored]
    tensor.view(-1)[0] = value
    model = minifaseg.load(with_tensors(single, tmp_path / "x.safetensors", **{stored: tensor}), device="cpu")
    model.notes["side"] = 64
    with pytest.raises(InputError, match=f"x.safetensors: .*{key} holds NaN or infinite") as e:
        minifaseg.segment(PICTURE, ["cat"], model, method=method)
    assert "download it again" in str(e.value)


def test_numbers_that_overflow_and_a_decoder_that_nobody_asks(single, tmp_path):
    tensor = load_file(single)[VAE + "encoder.conv_in.weight"]
    change = {VAE + "encoder.conv_in.weight": tensor * 1e38, VAE + "encoder.conv_out.weight": load_file(single)[VAE + "encoder.conv_out.weight"] * 1e38}
    model = minifaseg.load(with_tensors(single, tmp_path / "x.safetensors", **change), device="cpu")
    model.notes["side"] = 64
    with pytest.raises(InputError, match="every weight is a number, but what it computes is not"):
        minifaseg.segment(PICTURE, ["cat"], model)
    nan = torch.full_like(load_file(single)[VAE + "decoder.conv_in.bias"], math.nan)
    model = minifaseg.load(with_tensors(single, tmp_path / "y.safetensors", **{VAE + "decoder.conv_in.bias": nan}), device="cpu")
    model.notes["side"] = 64
    assert np.isfinite(minifaseg.segment(PICTURE, ["cat"], model).scores).all()


# ---- what a checkpoint says of itself ------------------------------------------------------------------------------------------
VOCABULARY = dict(zip(("vocab_json", "merges_txt"), tokenizer_files()))


@pytest.mark.parametrize("notes", [
    *({"words": v} for v in (5, "cat", [5], [[]], {"cat": 1})),
    *({"side": v} for v in ("x", None, True, 64.0, math.nan, -64, 0, 100, 10**9)),
    *({"unet": v} for v in (None, 5, [], {"context": 8}, {"heads": 2, "groups": 3})),
    *({"unet": {"heads": v, "groups": 4}} for v in (0, -1, 3, 10**9, 10**400, 2.0, True, "2", [2], math.nan, math.inf)),
    *({"unet": {"heads": 2, "groups": v}} for v in (0, -4, 4.0, math.nan)),
    *({"vae": {"groups": 4, "scaling": v}} for v in (0, -1, "x", math.nan, math.inf, 10**400)), {"vae": {"groups": 0}},
    *({"text": {"heads": v}} for v in (0, -2, 3, 2.0, True)),
    *({"tokenizer": v} for v in (5, [], {}, VOCABULARY | {"x": ""}, VOCABULARY | {"vocab_json": 5}, VOCABULARY | {"vocab_json": "{"},
                                 VOCABULARY | {"vocab_json": "[]"}, VOCABULARY | {"vocab_json": "{}"}, VOCABULARY | {"vocab_json": "\ud800"},
                                 VOCABULARY | {"vocab_json": VOCABULARY["vocab_json"].replace(": 300", ": 10000000")}))], ids=lambda v: str(v)[:60])
def test_notes_of_a_wrong_kind(single, tmp_path, notes):
    refused(with_notes(single, tmp_path / "x.safetensors", **notes))


@pytest.mark.parametrize("numbers", [5, {"nosuch": 1}, {"tau": "x"}, {"tau": None}, {"cross": 5}, {"cross": ["a"]}, {"flip": 1}, {"seed": 10**30},
                                     {"threshold": math.nan}], ids=str)
def test_numbers_of_a_wrong_kind(single, tmp_path, numbers):
    model = minifaseg.load(with_notes(single, tmp_path / "x.safetensors", faseg=numbers), device="cpu")
    with pytest.raises(InputError, match="x.safetensors recommends.* faseg"):
        minifaseg.segment(PICTURE, ["cat"], model)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"faseg": 5}', b'{"faseg": []}', b'{"nosuch": {}}',
                                     b'{"side": {}}'])
def test_numbers_beside_a_file(single, tmp_path, content):
    shutil.copy(single, tmp_path / "x.safetensors")
    (tmp_path / "x.json").write_bytes(content)
    refused(tmp_path / "x.safetensors", named=tmp_path / "x.json")


@pytest.mark.parametrize("name, content", [
    *((f"{part}/config.json", c) for part in ("unet", "vae", "text_encoder") for c in (b"", b"{", b"[]", b"\xff", b"[" * 100_000)),
    *(("unet/config.json", json.dumps({"attention_head_dim": v, "norm_num_groups": 4}).encode()) for v in (0, -1, 3, 2.5, True, "2", [2, 2], {})),
    *(("unet/config.json", json.dumps({"attention_head_dim": 2, "norm_num_groups": v}).encode()) for v in (0, -4, 3, "x")),
    *(("vae/config.json", json.dumps({"norm_num_groups": 4, "scaling_factor": v}).encode()) for v in (0, "x", [], math.nan)),
    *(("text_encoder/config.json", json.dumps({"num_attention_heads": v}).encode()) for v in (0, 3, "x")),
    ("text_encoder/config.json", b'{"num_attention_heads": 2, "hidden_act": 5}'), ("scheduler/scheduler_config.json", b"["),
    ("minifaseg.json", b"[]"), ("minifaseg.json", b"\xff"), ("minifaseg.json", b'{"side": "x"}'),
    ("tokenizer/vocab.json", b"{"), ("tokenizer/merges.txt", b"a b c d\n\xff")], ids=lambda v: str(v)[:60])
def test_config_files_of_a_wrong_kind(folder, tmp_path, name, content):
    shutil.copytree(folder, tmp_path / "sd")
    (tmp_path / "sd" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "sd" / name).write_bytes(content)
    refused(tmp_path / "sd")


def test_parts_of_different_models(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "sd")
    text = make_diffusers(**SIZES | {"context": 12}, vocab_size=397, bos_token_id=395, eos_token_id=396, pad_token_id=396)[2]
    text.save_pretrained(tmp_path / "sd" / "text_encoder")
    refused(tmp_path / "sd", "parts of different models", "8 channels", "12")


# ---- other kinds of model ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("keys, name", [
    ("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight model.diffusion_model.out.2.bias", "Stable Diffusion 2.x"),
    ("conditioner.embedders.1.model.ln_final.weight model.diffusion_model.label_emb.0.0.weight", "Stable Diffusion XL"),
    ("model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight model.diffusion_model.x_embedder.proj.weight", "Stable Diffusion 3"),
    ("double_blocks.0.img_attn.qkv.weight single_blocks.0.linear1.weight", "Flux"),
    ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "Flux"),
    ("lora_te_text_model_encoder_layers_0_mlp_fc1.alpha", "LoRA"),                              # kohya
    ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora.down.weight", "LoRA"),                               # diffusers
    ("down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight", "LoRA"),                          # its first
    ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", "LoRA"),                                  # peft
    ("base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", "LoRA"),
    ("control_model.input_hint_block.0.weight control_model.input_blocks.0.0.weight", "ControlNet"),
    ("controlnet_cond_embedding.conv_in.weight down_blocks.0.resnets.0.conv1.weight", "ControlNet"),
    ("encoder.conv_in.weight decoder.conv_in.weight quant_conv.weight", "VAE alone"),
    ("text_model.embeddings.token_embedding.weight text_model.encoder.layers.0.mlp.fc1.weight", "text encoder alone"),
    ("emb_params", "textual inversion"), ("<cat-toy>", "textual inversion"), ("clip_g clip_l", "textual inversion")])
def test_other_kinds_of_single_file(tmp_path, keys, name):
    save_file({key: torch.zeros(2, 2) for key in keys.split()}, tmp_path / "x.safetensors")
    refused(tmp_path / "x.safetensors", name)


@pytest.mark.parametrize("part, name", [("unet", "a UNet alone"), ("vae", "a VAE alone"), ("text", "a text encoder alone")])
def test_one_part_alone(folder, single, tmp_path, part, name):
    refused(folder / f"{STEMS[part]}.safetensors", name, "full checkpoint")
    refused((folder / STEMS[part]).parent, {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "text": "CLIPTextModel"}[part])
    others = {k: None for k in load_file(single) if not k.startswith(PREFIX[part])}
    refused(with_tensors(single, tmp_path / "x.safetensors", **others), "full checkpoint")


@pytest.mark.parametrize("change, name", [
    (dict(in_channels=9), "inpainting"), (dict(in_channels=8), "instruct-pix2pix"),
    (dict(cross_attention_dim=1024, use_linear_projection=True, attention_head_dim=(2, 2, 2, 2)), "Stable Diffusion 2.x"),
    (dict(addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=32), "Stable Diffusion XL")])
def test_other_kinds_of_folder(folder, tmp_path, change, name):
    """What diffusers itself writes for them."""
    from diffusers import UNet2DConditionModel
    shutil.copytree(folder, tmp_path / "sd")
    plain = dict(sample_size=8, block_out_channels=SIZES["widths"], cross_attention_dim=8, attention_head_dim=2, norm_num_groups=4)
    UNet2DConditionModel(**plain | change).save_pretrained(tmp_path / "sd" / "unet")
    refused(tmp_path / "sd", name)
    if len(change) == 1:
        assert weights.main(["convert", str(tmp_path / "sd"), str(tmp_path / "x.safetensors")]) == 1


@pytest.mark.parametrize("name, content, says", [
    ("scheduler/scheduler_config.json", {"prediction_type": "v_prediction"}, "v_prediction"),
    ("model_index.json", {"_class_name": "StableDiffusion3Pipeline"}, "StableDiffusion3Pipeline")])
def test_folders_that_say_what_they_are(folder, tmp_path, name, content, says):
    shutil.copytree(folder, tmp_path / "sd")
    (tmp_path / "sd" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "sd" / name).write_text(json.dumps(content))
    if name == "model_index.json":
        (tmp_path / "sd/unet").rename(tmp_path / "sd/transformer")
    refused(tmp_path / "sd", says)


# ---- paths ---------------------------------------------------------------------------------------------------------------------
@POSIX
def test_what_is_no_file(tmp_path):
    """A pipe is never opened: nobody writes into it, and reading would wait for ever."""
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "a.safetensors").symlink_to(tmp_path / "b.safetensors")
    (tmp_path / "b.safetensors").symlink_to(tmp_path / "a.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    refused(tmp_path / "pipe.safetensors", "a pipe or a device")
    for device in ("/dev/zero", "/dev/null", "/dev/tty"):
        refused(device, "a pipe or a device")
    refused(tmp_path / "a.safetensors", "no such file")
    refused(tmp_path / "folder.safetensors", "is it a diffusers folder")
    for path in ("nul\0nul", "x" * 300, "no/where"):
        refused(path, "no such file")


@POSIX
@pytest.mark.parametrize("name", ["with blank", "two\nlines", "\x1b[31mred", "ünï", os.fsdecode(b"no text \xff")])
def test_names_that_are_hard_to_print(single, tmp_path, name):
    path = tmp_path / f"{name}.safetensors"
    shutil.copy(single, path)
    if "no text" in name:
        refused(path, "not UTF-8", "rename it")                       # safetensors opens no such name
    else:
        minifaseg.load(path, device="cpu")
    path.write_bytes(b"rubbish" * 99)
    refused(path)


def test_read_only_and_vanished_files(single, tmp_path):
    path = tmp_path / "x.safetensors"
    shutil.copy(single, path)
    path.chmod(0o444)
    file = Checkpoint(path)
    path.unlink()
    assert file.unet() and file.text()                                # an open file stays readable after its name has gone
    with pytest.raises(InputError, match="x.safetensors: cannot be read"):
        open_file(path)


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.getuid() == 0, reason="root may read everything")
def test_unreadable_files(single, tmp_path):
    shutil.copy(single, tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").chmod(0)
    refused(tmp_path / "x.safetensors", "cannot be read")


# ---- pickles -------------------------------------------------------------------------------------------------------------------
class Payload:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt", ".bin", ""])
def test_pickles_are_refused_by_content_and_never_run(tmp_path, suffix):
    path, marker = tmp_path / f"x{suffix}", tmp_path / "executed"
    content = {"state_dict": Payload(marker), "weight": torch.zeros(2)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(content, protocol))
        refused(path, "a pickle", "never opened")
    for zipped in (True, False):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        refused(path, "a pickle", "never opened")
        assert weights.main(["inspect", str(path)]) == 1
    assert not marker.exists()
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)     # the payload works
    assert marker.exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".bin", ".pt", ""])
def test_safetensors_under_another_name(single, tmp_path, suffix):
    shutil.copy(single, tmp_path / f"x{suffix}")
    minifaseg.load(tmp_path / f"x{suffix}", device="cpu")
