"""A whole pipeline as the installed diffusers and transformers save it, and what to ask a copy."""
import copy
import json
import struct

import pytest
import torch
from conftest import make_diffusers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import weights
from minifaseg.cartoon.words import tokenizer_files
from minifaseg.checkpoints.checkpoint import Checkpoint

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
SIZES = dict(widths=(8, 16, 16, 16), context=8, heads=2, groups=4, vae_widths=(8, 8, 8, 8),
             text_layers=1, text_heads=2, text_mlp=8, vae_groups=4)
PROMPT = "a red cat near <my-cat>, under a tree"


def make_pipeline(words, size):
    """A whole StableDiffusionPipeline of diffusers, as thin as the plan allows."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline
    ids = dict(bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1)
    unet, vae, text = make_diffusers(**SIZES, vocab_size=size, **ids)
    scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                              skip_prk_steps=True, steps_offset=1)
    clip = transformers.CLIPTokenizer.from_pretrained(str(words), model_max_length=77)
    return StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=clip, unet=unet,
                                   scheduler=scheduler, safety_checker=None,
                                   feature_extractor=None, requires_safety_checker=False)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The cartoon world's vocab.json and merges.txt: 397 tokens."""
    folder = tmp_path_factory.mktemp("words")
    for name, content in zip(("vocab.json", "merges.txt"), tokenizer_files()):
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pipeline(words):
    return make_pipeline(words, 397)


@pytest.fixture(scope="module")
def saved(pipeline, tmp_path_factory):
    """What the installed diffusers and transformers write."""
    path = tmp_path_factory.mktemp("saved") / "sd"
    pipeline.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def single(saved):
    path = saved.parent / "single.safetensors"
    assert weights.main(["convert", str(saved), str(path)]) == 0
    return path


def tensors(path):
    """Every tensor that we read, under our names; the VAE's 1 x 1 kernels as matrices."""
    return {(part, key): file.get_tensor(stored).squeeze()
            for part, keys in Checkpoint(path).keys.items()
            for key, (stored, file) in keys.items()}


def same_tensors(a, b):
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    for key in a:
        assert a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]), key
    return True


def ids(tokenizer, prompt=PROMPT):
    return tokenizer(prompt, add_special_tokens=False)["input_ids"]


@torch.no_grad()
def same_words(path, pipeline):
    """The same ids and the same text states as the pipeline's own tokenizer and encoder make."""
    text = Checkpoint(path).text()
    assert text.pieces(PROMPT) == ids(pipeline.tokenizer)
    theirs = pipeline.tokenizer(PROMPT, padding="max_length", max_length=77, truncation=True,
                                return_tensors="pt").input_ids
    assert torch.equal(text.ids(text.pieces(PROMPT)), theirs[0])
    expected = pipeline.text_encoder.eval()(input_ids=theirs).last_hidden_state
    assert torch.allclose(text([PROMPT]), expected, atol=1e-5)
    return True


def inspected(path, capsys, code=0):
    capsys.readouterr()
    assert weights.main(["inspect", str(path)]) == code
    out, err = capsys.readouterr()
    return out + err


def changed(single, path, change=None, metadata=None):
    """The good single file with other tensors and other metadata."""
    state = load_file(single)
    with safe_open(single, "pt") as file:
        says = file.metadata() | (metadata or {})
    state = change(state) or state if change else state
    save_file(state, path, says)
    return path


def metadata_of(path):
    with safe_open(path, "pt") as file:
        return file.metadata()


def unpacked(path):
    """(header, bytes of all tensors); safetensors writes metadata in any order."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), data[8 + size:]


def round_trip(folder, pipe, tmp_path):
    """Folder -> single file -> folder -> single file: the same words and bits everywhere."""
    one, back, two = tmp_path / "one.safetensors", tmp_path / "back", tmp_path / "two.safetensors"
    for source, target in ((folder, one), (one, back), (back, two)):
        assert weights.main(["convert", str(source), str(target)]) == 0
        assert same_tensors(source, target) and same_words(target, pipe)
    assert unpacked(one) == unpacked(two)


def with_inversion(pipeline):
    """A textual inversion loaded by diffusers itself: one more token, one more embedding."""
    pipe = copy.deepcopy(pipeline)
    pipe.load_textual_inversion({"<my-cat>": torch.randn(8)}, token="<my-cat>")
    return pipe
