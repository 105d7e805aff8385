"""The floor: operations that any exact implementation has to do, over the rate at which this machine multiplies matrices.

Counted: both UNet calls on two views and the VAE's encoder on two, convolutions, matrix products and attention, two operations for each
multiply-add. Not counted: text, norms, activations, softmax, HARD, reading the weights. So no implementation reaches it.
"""
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..unet import UNet
from ..vae import VAE


def operations(side, unet_config, vae_config, unet_calls=2, views=2) -> dict[str, int]:
    """{"unet": ..., "vae": ..., "total": ...} of one picture of side x side pixels, counted on shapes alone."""
    cells = side // 2 ** (len(vae_config.widths) - 1)
    with torch.device("meta"):
        unet, vae = UNet(unet_config), VAE(vae_config, decoder=False)
        z, text, x = torch.empty(views, 4, cells, cells), torch.empty(views, 77, unet_config.context), torch.empty(views, 3, side, side)
    count = {}
    for name, run in (("unet", lambda: unet(z, torch.zeros(1, device="meta"), text)), ("vae", lambda: vae.moments(x))):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run()
        count[name] = counter.get_total_flops()
    return count | {"total": unet_calls * count["unet"] + count["vae"]}


def rate(device, dtype, n=None, times=10) -> float:
    """Operations per second of n x n matrix products, the median of `times` of them."""
    n = n or (8192 if torch.device(device).type == "cuda" else 2048)
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(times + 3):
        start = time.perf_counter()
        a @ b
        if a.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * n ** 3 / sorted(seconds[3:])[times // 2]
