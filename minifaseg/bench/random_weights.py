"""A checkpoint of SD 1.5's real sizes with random weights: speed and memory do not ask what the weights are."""
from pathlib import Path

import torch

from ..cartoon.words import tokenizer_files
from ..checkpoints.checkpoint import write_single
from ..text import Text
from ..unet import UNet
from ..vae import VAE


def random_sd15(path, seed=0) -> Path:
    """Writes it (4.3 GB, half a minute) unless it is there. Its tokenizer knows the cartoon world's words, one token each."""
    path = Path(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        unet = UNet()
        with torch.no_grad():                                               # random attention is nearly uniform; make it choose
            for name, p in unet.named_parameters():
                if ".to_q." in name or ".to_k." in name:
                    p *= 4
        vocab_json, merges_txt = tokenizer_files()
        write_single(path, {"unet": unet.state_dict(), "vae": VAE().state_dict(), "text": Text().build().state_dict()},
                     {"tokenizer": {"vocab_json": vocab_json, "merges_txt": merges_txt}})
    return path
