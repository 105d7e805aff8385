"""The floor: the least time that any exact implementation needs on this machine.

It is the number of operations that cannot be avoided, over the rate at which the machine multiplies
matrices. Counted: both UNet calls and the VAE's encoder, each on two views, with convolutions,
matrix products and attention; a multiply-add counts as two operations. Not counted: text, norms,
activations, softmax, HARD, reading the weights. So no implementation reaches the floor.
"""
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..layers import linear
from ..unet import UNet, UNetConfig
from ..vae import VAE, VAEConfig


def operations(side: int, unet_config: UNetConfig, vae_config: VAEConfig, unet_calls: int = 2,
               views: int = 2) -> dict[str, int]:
    """{"unet": ..., "vae": ..., "total": ...} of one picture of side x side pixels.

    "unet" is one call on all views. Counted on shapes alone, without weights.
    """
    cells = side // 2 ** (len(vae_config.widths) - 1)
    with torch.device("meta"):
        unet = UNet(unet_config)
        vae = VAE(vae_config, decoder=False)
        z = torch.empty(views, 4, cells, cells)
        t = torch.zeros(1)
        text = torch.empty(views, 77, unet_config.context)
        x = torch.empty(views, 3, side, side)

    with FlopCounterMode(display=False) as unet_counter, torch.no_grad():
        unet(z, t, text)
    with FlopCounterMode(display=False) as vae_counter, torch.no_grad():
        vae.moments(x)
    unet_count = unet_counter.get_total_flops()
    vae_count = vae_counter.get_total_flops()
    total = unet_calls * unet_count + vae_count
    return {"unet": unet_count, "vae": vae_count, "total": total}


@torch.no_grad()
def rate(device: str, dtype: torch.dtype, n: int | None = None, times: int = 10) -> float:
    """Operations per second of n x n matrix products: the median of `times`, after three more.

    By the faster of the two libraries that the networks use (layers.py).
    """
    n = n or (8192 if torch.device(device).type == "cuda" else 2048)
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(times + 3):
        start = time.perf_counter()
        linear(a, b)
        if a.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * n ** 3 / statistics.median_high(seconds[3:])
