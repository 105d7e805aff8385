"""Matrix products and attention, by the library that is fastest for them on this CPU.

torch multiplies float32 matrices by MKL, which uses AVX-512 on Intel's CPUs only. oneDNN, which
torch has for convolutions, uses it on every CPU. So on a CPU with AVX-512 the products of this file
go to oneDNN; everywhere else, and where gradients are wanted, to torch as usual.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 1 << 21                # numbers of a map that are formed at a time: 8 MiB, a CPU's cache
CUDA_BLOCK = 1 << 24           # on a GPU: starting a small product takes longer than making it
LONG = 1024                    # keys from which on attention in blocks is faster
COARSE = 256                   # cells up to which a convolution is one product: 16 x 16

HAS_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
HAS_BFLOAT16 = HAS_AVX512 and torch.cpu._is_avx512_bf16_supported()
HAS_AMX = HAS_AVX512 and torch.cpu._is_amx_tile_supported()


def use_onednn(x: Tensor) -> bool:
    """Whether the products of this file go to oneDNN.

    It has none in float64. torch.compile chooses for itself, and exporters read torch's operations.
    """
    if x.device.type != "cpu" or x.dtype == torch.float64 or torch.is_grad_enabled():
        return False
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return HAS_AVX512 and HAS_ONEDNN


def fastest_layout(device: torch.device, dtype: torch.dtype) -> torch.memory_format:
    """The order of a network's numbers in memory.

    In bfloat16, on a CPU that computes in it, channels_last: convolutions then copy nothing, and
    the VAE takes 0.88 of the time. In float32 it would take 0.92 of the time, but convolutions and
    group norms would round 2 to 200 times as much as in the usual layout, which stays.
    """
    if device.type == "cpu" and dtype == torch.bfloat16 and HAS_BFLOAT16:
        return torch.channels_last
    return torch.contiguous_format


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: (..., in) -> (..., out)."""
    if use_onednn(x) and x.dtype == torch.float32:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """nn.Linear by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class Conv1x1(nn.Conv2d):
    """A 1 x 1 convolution on cells in a row: (B, N, cin) -> (B, N, cout)."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(cin, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight.flatten(1), self.bias)


class Conv3x3(nn.Conv2d):
    """A 3 x 3 convolution that keeps the size: (B, cin, H, W) -> (B, cout, H, W).

    On a coarse grid the weights are far larger than what they are applied to, and oneDNN would
    reorder them at every call. One product of all patches takes them as they are.
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(cin, cout, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        if H * W > COARSE or not use_onednn(x):
            return super().forward(x)

        padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)                 # (B, H + 2, W + 2, C)
        shifted = [padded[:, i:i + H, j:j + W] for i in range(3) for j in range(3)]
        if self.weight.is_contiguous():                                     # (cout, C, 3, 3)
            patches = torch.stack(shifted, dim=-1)                          # (B, H, W, C, 9)
            weight = self.weight
        else:                                                               # channels last
            patches = torch.stack(shifted, dim=-2)                          # (B, H, W, 9, C)
            weight = self.weight.permute(0, 2, 3, 1)
        out = linear(patches.flatten(3), weight.flatten(1), self.bias)      # (B, H, W, cout)
        return out.permute(0, 3, 1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V: q (B, h, N, d), k and v (B, h, M, d) -> (B, h, N, d).

    By oneDNN a head and a few rows (queries) at a time, in float32. Only a CPU whose bfloat16
    products are many times faster than those in float32 (AMX) is left to torch there.
    """
    (B, h, N, d), M = q.shape, k.shape[2]
    half_by_amx = HAS_AMX and q.dtype == torch.bfloat16
    if M < LONG or half_by_amx or not use_onednn(q):
        return F.scaled_dot_product_attention(q, k, v)

    queries = q.float().contiguous()
    keys = (k.float() / d ** 0.5).contiguous()
    values = v.float().mT.contiguous()                                      # (B, h, d, M)
    out = torch.empty(B, N, h, d, dtype=q.dtype)                            # heads side by side
    rows = max(1, BLOCK // M)
    for b in range(B):
        for head in range(h):
            for i in range(0, N, rows):
                logits = linear(queries[b, head, i:i + rows], keys[b, head])
                out[b, i:i + rows, head] = linear(logits.softmax(-1), values[b, head])
    return out.transpose(1, 2)
