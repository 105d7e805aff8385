"""Trains the cartoon model's UNet and text encoder together, by noise prediction on captions.

train.py is the command. The autoencoder is trained before (train_vae.py).
"""
import copy
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints.checkpoint import write_single
from ..checkpoints.tokenizer import make_tokenizer
from ..ddim import ABAR, STEPS, add_noise
from ..text import Text, TextConfig
from ..unet import UNet, UNetConfig
from ..vae import VAE
from .muon import Muon
from .stream import Captions, Scenes, Speller
from .train_vae import SIZE, VAE_SIZES, on_device, say
from .words import WORDS, tokenizer_files

UNET_SIZES = UNetConfig(widths=(48, 96, 160, 192), blocks=1, context=128, heads=2, groups=16)
VOCABULARY = json.loads(tokenizer_files()[0])            # token -> id
TEXT_SIZES = TextConfig(width=128, layers=2, mlp=512, tokens=48, vocabulary=len(VOCABULARY),
                        heads=4)
PLAIN = ("embedding", "input_blocks.0.", "unet.out.")    # matrices that AdamW takes, not Muon
COARSE = 0.25                                            # weight of the error's coarse scales


def speller() -> Speller:
    return Speller(VOCABULARY, TEXT_SIZES.tokens)


def open_scenes(vae_state: dict, device: str, painters: int, **options) -> Scenes:
    """The stream of training scenes, encoded by this VAE."""
    vae = VAE(replace(VAE_SIZES, scaling=vae_state["scaling"]))
    vae.load_state_dict(vae_state["vae"])
    return Scenes(on_device(vae, device), device, SIZE, speller(), painters, **options)


def states_one_by_one(text: Text, table: Tensor, captions: Captions) -> Tensor:
    """(B, T, c) text states in which every phrase was encoded by itself.

    Start and padding have the empty prompt's states. table (U, L + 2): ids of all phrases, each as
    a prompt.

    Why: a text encoder that is trained freely with its UNet writes the whole caption into the
    padding after it, and the UNet reads only there. Words then decide what is painted, but no word
    decides where. Here each phrase has nothing but its own words.
    """
    has_no_phrase = captions.phrase < 0                             # start and padding
    row = captions.phrase.clamp_min(0)                              # (B, T)
    if row.numel() < len(table):                                    # a small batch needs few rows
        used, row = row.unique(return_inverse=True)
        table = table[used]
    place = captions.place.clamp_max(table.shape[1] - 1)            # (B, T)
    states = text.states(table)[row, place]                         # (u, L + 2, c) -> (B, T, c)
    empty = text([""])[0]                                           # (T, c)
    return torch.where(has_no_phrase[..., None], empty, states)


@torch.no_grad()
def worth_of_words(unet: nn.Module, text: Text, scenes: Scenes, t: int = 700,
                   batch: int = 64) -> float:
    """By how much the error grows, as a share, when every picture gets its neighbour's caption.

    0 until words begin to matter.
    """
    generator = torch.Generator(scenes.device).manual_seed(0)
    z0, captions = scenes.draw(batch, generator)
    eps = torch.randn(z0.shape, generator=generator, device=z0.device)
    z = add_noise(z0, t, eps)
    states = text.states(captions.ids)
    right = (unet(z, t, states) - eps).square().mean()
    wrong = (unet(z, t, states.roll(1, 0)) - eps).square().mean()
    return (wrong / right - 1).item()


def by_scale(error: Tensor, coarse: float = COARSE) -> Tensor:
    """(B,) mean squared error, plus `coarse` times that of its means over 2 x 2 and 4 x 4 cells.

    The means are scaled so that white noise has the same error at every scale. Words decide the
    colour of whole regions, which is an error of coarse scale. Source: the multiscale loss of
    Hoogeboom et al. 2023, arXiv 2301.11093.
    """
    total = error.square().mean((1, 2, 3))
    for cells in (2, 4):
        pooled = F.avg_pool2d(error, cells) * cells
        total = total + coarse * pooled.square().mean((1, 2, 3))
    return total


def rate(lr: float, share: float) -> float:
    """The learning rate after this share of a training: constant for two fifths, then down to 0."""
    return lr * min(1.0, (1 - share) / 0.6)


def warm_up(step: int) -> float:
    """The factor on the learning rate: up to 1 in the first 50 steps."""
    return min(1, (step + 1) / 50)


class Predict(nn.Module):
    """The UNet, in bfloat16 where that is faster. As a module, for CUDA graphs to be made of."""

    def __init__(self, unet: nn.Module, half: bool) -> None:
        super().__init__()
        self.unet = unet
        self.in_bfloat16 = half

    def forward(self, z: Tensor, t: Tensor, states: Tensor) -> Tensor:
        device = z.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.in_bfloat16,
                            cache_enabled=False):
            return self.unet(z, t, states).float()

    def fastest(self, batch: int, device: str, text_learns: bool = False) -> Callable:
        """On a GPU the same as CUDA graphs, elsewhere the module itself.

        A step has thousands of small kernels, slow to start singly.
        """
        if not device.startswith("cuda"):
            return self
        side = SIZE // 4
        z = torch.randn(batch, VAE_SIZES.latent, side, side, device=device)
        z = z.contiguous(memory_format=torch.channels_last)
        t = torch.ones(batch, device=device, dtype=torch.long)
        states = torch.randn(batch, TEXT_SIZES.tokens, TEXT_SIZES.width, device=device)
        return torch.cuda.make_graphed_callables(self, (z, t, states.requires_grad_(text_learns)))


def noised(z0: Tensor, abar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(z_t, t, eps) of clean latents (B, 4, h, w).

    Four in five have t = 200 to 999, where the network needs words to recognise anything; the
    others have a smaller t.
    """
    t = torch.randint(STEPS, (len(z0),), device=z0.device)
    large = torch.rand(t.shape, device=z0.device) < 0.8
    t = torch.where(large, 200 + t * 800 // 1000, t // 5)
    a = abar[t][:, None, None, None]
    eps = torch.randn_like(z0)
    return a.sqrt() * z0 + (1 - a).sqrt() * eps, t, eps


def make_nets(start: dict | None, device: str) -> tuple[nn.ModuleDict, Text]:
    """(UNet and text encoder, Text): new, or with the weights of `start`."""
    text = Text(TEXT_SIZES, make_tokenizer(*tokenizer_files()), WORDS)
    encoder = text.build()
    text.model = encoder
    nets = nn.ModuleDict({"unet": UNet(UNET_SIZES), "text": encoder})
    if start:
        nets.load_state_dict(start)
    return on_device(nets, device), text


def train_unet(run: Path, scenes: Scenes, start: dict | None, vae_state: dict, device: str,
               steps: int, minutes: float = float("inf"), batch: int = 16, lr: float = 1e-3,
               half: bool = False, probe_every: int = 500,
               probe: Callable[[Path], str] | None = None) -> None:
    """eps-prediction with loss weight min(1 / abar_t, 20).

    The UNet is trained on states of phrases encoded one by one. Later every prompt goes through the
    plain text encoder, so that its states are drawn towards those.

    start: the networks to go on from, or None. Ends after `steps` or `minutes`, whichever comes
    first. Writes run/cartoon.safetensors, the moving average of the weights, every `probe_every`
    steps; what `probe` says of that file goes into the log.
    """
    torch.manual_seed(scenes.painted)
    nets, text = make_nets(start, device)
    mean_nets = copy.deepcopy(nets).requires_grad_(False)
    parameters: list[Tensor] = list(nets.parameters())
    averages: list[Tensor] = list(mean_nets.parameters())
    optimizer = Muon(list(nets.named_parameters()), PLAIN)
    predict = Predict(nets["unet"], half).fastest(batch, device, text_learns=True)
    table = speller().table().to(device)
    abar = ABAR.to(device)
    weight = (1 / abar).clamp(max=20)

    begin = time.time()
    step, share = 0, 0.0
    bad_steps: int | Tensor = 0
    mean_loss = None
    while share < 1:
        scenes.refill(batch)
        z0, captions = scenes.draw(batch)
        z, t, eps = noised(z0.contiguous(memory_format=torch.channels_last), abar)
        states = states_one_by_one(text, table, captions)           # (B, T, c)
        error = predict(z, t, states) - eps                         # (B, 4, h, w)
        apart = (text.states(captions.ids) - states.detach()).square().mean()
        loss = (weight[t] * by_scale(error)).mean() + 0.1 * apart
        optimizer.zero_grad()
        loss.backward()

        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        bad_steps = bad_steps + ~norm.isfinite()
        for p in parameters:                                        # one of them must not end a run
            if p.grad is not None:
                p.grad.nan_to_num_(0.0, 0.0, 0.0)
        optimizer.step(rate(lr, share) * warm_up(step))
        step += 1
        share = max(step / steps, (time.time() - begin) / 60 / minutes)
        decay = min(0.998, step / (step + 40))
        torch._foreach_lerp_(averages, parameters, 1 - decay)

        now = error.detach().square().mean().nan_to_num()
        mean_loss = now if mean_loss is None else mean_loss + 0.01 * (now - mean_loss)
        if step % 100 == 0 or share >= 1:
            speed = step * batch / (time.time() - begin)
            bad = f"  {int(bad_steps)} steps without a finite gradient" if bad_steps else ""
            say(run, f"unet {step} ({share:.0%})  loss {mean_loss.item():.4f}  "
                     f"text {apart.item():.4f}  {speed:.1f} pictures/s{bad}")
        if step % probe_every == 0 or share >= 1:
            path = run / "cartoon.safetensors"
            facts = {"steps": step, "batch": batch, "lr": lr, "scenes": scenes.painted}
            export(path, vae_state, mean_nets, facts)
            worth = worth_of_words(nets["unet"], text, scenes)
            found = probe(path) if probe else f"{path} written"
            say(run, f"{found}  wrong caption at t = 700: {worth:+.1%}")


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The floating-point tensors of a state dict, as float16 on the CPU."""
    floating = {key: tensor for key, tensor in state.items() if tensor.is_floating_point()}
    return {key: tensor.half().cpu().contiguous() for key, tensor in floating.items()}


def export(path: Path, vae_state: dict, nets: nn.ModuleDict, facts: dict) -> None:
    """Writes one float16 single file, under SD 1.5's names.

    Its metadata hold all that a loader cannot read off shapes.
    """
    vocab_json, merges_txt = tokenizer_files()
    notes = {
        "unet": {"heads": UNET_SIZES.heads, "groups": UNET_SIZES.groups},
        "text": {"heads": TEXT_SIZES.heads},
        "vae": {"groups": VAE_SIZES.groups, "scaling": vae_state["scaling"]},
        "side": SIZE,
        "words": WORDS,
        "training": facts,
        "tokenizer": {"vocab_json": vocab_json, "merges_txt": merges_txt},
    }
    states = {part: halved(nets[part].state_dict()) for part in ("unet", "text")}
    write_single(path, states | {"vae": halved(vae_state["vae"])}, notes)
