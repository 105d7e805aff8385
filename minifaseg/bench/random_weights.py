"""A checkpoint of SD 1.5's real sizes with random weights.

Speed and memory do not depend on the values of the weights.
"""
from pathlib import Path

import torch

from ..cartoon.words import tokenizer_files
from ..checkpoints.checkpoint import write_single
from ..text import Text
from ..unet import UNet
from ..vae import VAE


def random_sd15(path, seed: int = 0) -> Path:
    """Writes the checkpoint (4.3 GB, half a minute) unless it is there, and returns its path.

    Its tokenizer knows the words of the cartoon world, each as one token.
    """
    path = Path(path)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    unet = UNet()
    # Attention with random weights is nearly uniform. Larger queries and keys make it choose.
    with torch.no_grad():
        for name, p in unet.named_parameters():
            if ".to_q." in name or ".to_k." in name:
                p.mul_(4)

    networks = {"unet": unet, "vae": VAE(), "text": Text().build()}
    states = {part: network.state_dict() for part, network in networks.items()}
    vocab_json, merges_txt = tokenizer_files()
    notes = {"tokenizer": {"vocab_json": vocab_json, "merges_txt": merges_txt}}
    write_single(path, states, notes)
    return path
