"""The products of layers.py against torch's own, in the shapes and layouts that the networks use."""
import pytest
import torch
import torch.nn.functional as F

import minifaseg
from minifaseg import layers
from minifaseg.attention import QK, mean_map
from minifaseg.layers import COARSE, LONG, Conv1x1, Conv3x3, Linear, attend, fastest_layout
from minifaseg.unet import TransformerBlock


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def drawn(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def deviation(a, b):
    """The largest difference, over the deviation of b."""
    return ((a.double() - b.double()).abs().max() / b.double().std()).item()


@pytest.mark.parametrize("dtype, limit", [(torch.float32, 1e-5), (torch.float64, 0),
                                          (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(dtype, limit, bias):
    layer = Linear(320, 96, bias=bias).to(dtype)
    for x in (drawn(2, 50, 320, dtype=dtype), drawn(2, 320, 50, dtype=dtype).transpose(1, 2)):
        assert deviation(layer(x), F.linear(x, layer.weight, layer.bias)) <= limit


@pytest.mark.parametrize("N, M", [(LONG, LONG), (300, LONG + 7), (64, 77)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_attention_is_no_further_from_the_truth_than_torch(N, M, dtype):
    """The truth: softmax(Q K^T / sqrt(d)) V in float64, of the same numbers."""
    q, k, v = (drawn(2, n, 3 * 40, dtype=dtype, seed=i).unflatten(-1, (3, 40)).transpose(1, 2)
               for i, n in enumerate((N, M, M)))
    truth = (q.double() @ k.double().mT / 40 ** 0.5).softmax(-1) @ v.double()
    ours, theirs = attend(q, k, v), F.scaled_dot_product_attention(q, k, v)
    assert ours.shape == theirs.shape and ours.dtype == dtype
    assert deviation(ours, truth) <= 1.5 * deviation(theirs, truth) + 3e-5


@pytest.mark.parametrize("side", [1, 5, 16, 17])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype, limit", [(torch.float32, 1e-5), (torch.float64, 1e-12),
                                          (torch.bfloat16, 0.03)])
def test_convolution(side, layout, dtype, limit):
    assert 16 * 16 == COARSE
    layer = Conv3x3(48, 24).to(dtype).to(memory_format=layout)
    x = drawn(2, 48, side, side + 3, dtype=dtype)
    for given in (x, x.to(memory_format=torch.channels_last)):
        out = layer(given)
        assert out.shape == (2, 24, side, side + 3)
        assert deviation(out, F.conv2d(x, layer.weight, layer.bias, padding=1)) <= limit


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype, limit", [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_convolution_of_cells(layout, dtype, limit):
    layer = Conv1x1(48, 24).to(dtype).to(memory_format=layout)
    x = drawn(2, 48, 5, 7, dtype=dtype)
    out = layer(x.flatten(2).transpose(1, 2))                               # (B, N, 24)
    want = F.conv2d(x, layer.weight, layer.bias).flatten(2).transpose(1, 2)
    assert deviation(out, want) <= limit


def test_gradients_are_torchs():
    with torch.enable_grad():
        layer, conv = Linear(8, 4), Conv3x3(4, 4)
        x = drawn(1, 16, 8).requires_grad_()
        y = conv(layer(x).transpose(1, 2).unflatten(2, (4, 4)))
        y.square().sum().backward()
        theirs = drawn(1, 16, 8).requires_grad_()
        z = F.linear(theirs, layer.weight, layer.bias).transpose(1, 2).unflatten(2, (4, 4))
        F.conv2d(z, conv.weight, conv.bias, padding=1).square().sum().backward()
    assert torch.allclose(x.grad, theirs.grad, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_mean_maps(dtype):
    layers = [QK(drawn(2, 3, 64, 20, dtype=dtype, seed=i), drawn(2, 3, 77, 20, dtype=dtype, seed=i + 9),
                 (8, 8)) for i in range(2)]
    want = sum((q.double() @ k.double().mT / 20 ** 0.5).softmax(-1).mean(1) for q, k, _ in layers) / 2
    got = mean_map(layers)
    assert got.dtype == torch.promote_types(dtype, torch.float32)
    assert (got - want).abs().max() < (1e-12 if dtype == torch.float64 else 1e-6)


@pytest.mark.parametrize("dtype, has_bfloat16, want", [
    (torch.float32, True, torch.contiguous_format), (torch.bfloat16, False, torch.contiguous_format),
    (torch.bfloat16, True, torch.channels_last), (torch.float16, True, torch.contiguous_format)])
def test_layout_is_chosen_by_the_machine(dtype, has_bfloat16, want, monkeypatch):
    monkeypatch.setattr(layers, "HAS_BFLOAT16", has_bfloat16)
    assert fastest_layout(torch.device("cpu"), dtype) == want
    assert fastest_layout(torch.device("meta"), dtype) == torch.contiguous_format


@pytest.mark.skipif(not layers.HAS_BFLOAT16, reason="this CPU does not compute in bfloat16")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_loaded_model_has_the_fastest_layout(dtype):
    model = minifaseg.load("cartoon", "cpu", dtype)
    for conv in (model.unet.input_blocks[0][0], model.vae.encoder.conv_in):
        last = conv.weight.is_contiguous(memory_format=torch.channels_last)
        assert last == (dtype == "bfloat16")


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_exporters_see_torchs_own_operations():
    """torch.jit.trace knows no operation of oneDNN; a traced network gives the same."""
    net = TransformerBlock("x", 32, 2, 24).requires_grad_(False)
    x, text = drawn(1, LONG, 32), drawn(1, 77, 24)
    traced = torch.jit.trace(lambda x, text: net(x, text, (32, 32), None), (x, text))
    assert "mkldnn" not in str(traced.graph)
    assert deviation(traced(x, text), net(x, text, (32, 32), None)) <= 1e-5
