"""float16, a GPU's default, where activations leave its range (65,504): on a CPU, which computes in it as well."""
import copy
import json
import warnings

import numpy as np
import pytest
import torch
from conftest import relative_error

import minifaseg
from minifaseg.__main__ import main
from minifaseg.cartoon.painter import paint
from minifaseg.errors import WeightsError
from minifaseg.evaluate import command
from minifaseg.origin import weights_digest
from minifaseg.vae import VAE, VAEConfig, encode_in_parts

SAID = "float16 is too small for the VAE's encoder"


@pytest.fixture
def pictures():
    random = torch.Generator().manual_seed(1)
    return torch.rand(2, 3, 32, 32, generator=random) * 2 - 1


def small_vae(factor=1.0):
    """A random VAE whose first layer makes `factor` times what it made; norms take the factor out again."""
    torch.manual_seed(0)
    vae = VAE(VAEConfig((8, 16, 16, 16), groups=4)).eval().requires_grad_(False)
    vae.encoder.conv_in.weight *= factor
    return vae


@pytest.fixture
def overflowing():
    return small_vae(3e5).half()


def load():
    """The cartoon model at half its side, a quarter of the work: a CPU is slow in float16."""
    model = minifaseg.load("cartoon", device="cpu")
    model.notes["side"] = 64
    return model


def model_in_float16():
    model = load()
    for network in (model.unet, model.vae, model.text):
        network.half()
    return model


@pytest.fixture
def model():
    """The cartoon model in float16, its VAE's encoder beyond that range."""
    model = model_in_float16()
    model.vae.encoder.conv_in.weight *= 1e5
    return model


def refuse(*_):
    raise AssertionError("not to be called")


# ---- the encoder ---------------------------------------------------------------------------------
def test_an_encoder_that_overflows_computes_in_float32(overflowing, pictures):
    x = pictures.half()
    assert not encode_in_parts(x, overflowing.encoder, overflowing.quant_conv).isfinite().all()
    with pytest.warns(UserWarning, match=SAID) as said:
        mean, logvar = overflowing.moments(x)
    assert len(said) == 1 and "\n" not in str(said[0].message)

    expected = copy.deepcopy(overflowing).float().moments(x.float())
    assert mean.dtype == logvar.dtype == torch.float16
    assert torch.equal(mean, expected[0].half()) and torch.equal(logvar, expected[1].half())
    true_mean, true_logvar = small_vae(3e5).moments(pictures)           # no number rounded
    assert relative_error(mean, true_mean) < 0.02 and relative_error(logvar, true_logvar) < 0.02


def test_it_stays_in_float32(overflowing, pictures, monkeypatch):
    """Without a second look at float16, and without a second warning."""
    x = pictures.half()
    with pytest.warns(UserWarning, match=SAID):
        first = overflowing.moments(x)
    monkeypatch.setattr(overflowing.encoder, "forward", refuse)
    monkeypatch.setattr(torch.Tensor, "isfinite", refuse)
    monkeypatch.setattr(copy, "deepcopy", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = overflowing.moments(x)
        one = overflowing.encode(x[:1], torch.zeros_like(first[0][:1]))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert torch.allclose(one, 0.18215 * first[0][:1], rtol=2e-3, atol=1e-4)


def test_its_parameters_stay_as_they_were(overflowing, pictures):
    before = {name: tensor.clone() for name, tensor in overflowing.state_dict().items()}
    with pytest.warns(UserWarning, match=SAID):
        overflowing.moments(pictures.half())
    after = overflowing.state_dict()
    assert before.keys() == after.keys()
    assert all(before[name].dtype == after[name].dtype and torch.equal(before[name], after[name]) for name in before)


def test_an_encoder_that_does_not_overflow_stays_in_float16(pictures):
    vae = small_vae().half()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean, logvar = vae.moments(pictures.half())
    h = vae.quant_conv(vae.encoder(pictures.half()))
    assert torch.equal(torch.cat([mean, logvar], 1), h) and not vae.float32_layers


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_number_types_are_not_looked_at(pictures, dtype, monkeypatch):
    """To look would let a CPU wait for its GPU."""
    vae = small_vae(3e5).to(dtype)
    vae.encoder.conv_in.bias[0] = torch.nan
    monkeypatch.setattr(torch.Tensor, "isfinite", refuse)
    monkeypatch.setattr(copy, "deepcopy", refuse)
    mean, _ = vae.moments(pictures.to(dtype))
    assert mean.isnan().all() and mean.dtype == dtype


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_float32_cannot_hold_is_not_hidden(pictures, value):
    vae = small_vae().half()
    vae.quant_conv.bias[0] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")                   # float16 is not to blame
        mean, _ = vae.moments(pictures.half())
    assert not mean.isfinite().all() and not vae.float32_layers


def test_a_mean_beyond_float16_is_not_hidden(pictures):
    vae = small_vae()
    vae.quant_conv.weight *= 1e6
    assert vae.moments(pictures)[0].isfinite().all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not vae.half().moments(pictures.half())[0].isfinite().all()


# ---- a model -------------------------------------------------------------------------------------
def scene():
    return paint(1000, 128)


def mask(model, method="faseg"):
    quick = dict(flip=False, steps=0) if method == "faseg" else {}
    return minifaseg.segment(scene().image, scene().classes, model, method=method, **quick).labels


def in_float32(model):
    """Another model with the same weights."""
    other = load()
    other.unet.load_state_dict(model.unet.state_dict())
    other.vae.load_state_dict(model.vae.state_dict())
    other.text.load_state_dict(model.text.state_dict())
    return other


@pytest.mark.parametrize("method", ["faseg", "diffsegmenter"])       # encode themselves, and by rivals.capture
def test_masks_as_in_float32(model, method):
    """The same weights, all in float32. Said once for two pictures; the origin of a result stays."""
    origin = weights_digest(model)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        first, second = mask(model, method), mask(model, method)
    assert [str(w.message)[:len(SAID)] for w in said] == [SAID]
    assert np.array_equal(first, second) and weights_digest(model) == origin

    assert (mask(in_float32(model), method) == first).mean() > 0.97


def test_decoding_does_not_forget_it(model):
    x = model.pixels(scene().image)
    with pytest.warns(UserWarning, match=SAID):
        z = model.vae.encode(x)
    assert model.decode(z).isfinite().all() and model.vae.float32_layers
    assert torch.equal(model.vae.encode(x), z)


@pytest.mark.parametrize("tensor, value", [("encoder.mid.attn_1.q.weight", torch.nan), ("quant_conv.bias", torch.inf)])
def test_broken_weights_of_the_vae_are_named(tensor, value):
    model = model_in_float16()
    model.vae.get_parameter(tensor).view(-1)[0] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(WeightsError, match=rf"vae tensor {tensor} holds NaN .*in torch.float16.*--dtype float32"):
            mask(model)


def test_a_unet_that_overflows_is_told_what_to_do():
    """Every weight is a number, and --dtype float32 does."""
    model = model_in_float16()
    first = model.unet.input_blocks[0][0]
    first.weight *= 5e4 / first.weight.abs().max().item()
    with pytest.raises(WeightsError, match=r"every weight is a number, .*in torch.float16.*try --dtype float32"):
        mask(model)
    assert not model.vae.float32_layers
    assert mask(in_float32(model)).shape == (128, 128)


# ---- the command lines ---------------------------------------------------------------------------
def test_the_command_says_it_in_one_line(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(minifaseg, "load", lambda *_, **__: model)
    for name in ("a.png", "b.png"):
        scene().image.save(tmp_path / name)
    assert main([str(tmp_path / "a.png"), str(tmp_path / "b.png"), *scene().classes, "--batch", "1"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "float16" in line]
    assert lines == [f"minifaseg: {SAID} with these weights; the encoder computes in float32, all else in float16"]


def test_an_evaluation_says_it_in_one_line(model, monkeypatch, capsys):
    monkeypatch.setattr(minifaseg, "load", lambda *_, **__: model)
    with pytest.raises(SystemExit) as end:
        command.main(["cartoon", "--seeds", "1000:1002"])
    assert not end.value.code
    lines = [line for line in capsys.readouterr().err.splitlines() if "float16" in line]
    assert len(lines) == 1 and lines[0].startswith(f"minifaseg: {SAID}")
