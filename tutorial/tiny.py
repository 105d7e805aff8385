"""The small world of notebook 10: nine words, pictures of 32 x 32 pixels, and their denoiser.

    scenes = paint_scenes(range(100))
    network = Network()
    predicted = network(noised(scenes.pictures, noise, t), t, scenes.captions)

It is the package's UNet at another size, on pixels instead of latents. Its text encoder is a
table: one vector for each word. The loop that trains it stands in the notebook. tiny.safetensors
holds a network that this loop has trained, and what was measured meanwhile.
"""
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from minifaseg.attention import QK, mean_map
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES
from minifaseg.ddim import ABAR
from minifaseg.unet import UNet, UNetConfig

THINGS = ("cat", "dog", "car", "tree")
GROUNDS = ("grass", "sand", "snow")
BACKDROPS = ("sky", "wall")
NOTHING = "(none)"                      # the first token of a caption, and what fills it up
WORDS = (NOTHING, *THINGS, *GROUNDS, *BACKDROPS)
TOKENS = 5                              # of a caption: nothing, two things, ground, backdrop

SIZE = 32                               # pixels of a side
LOUDNESS = 0.5                          # pixels go from -0.5 to 0.5: noise hides them sooner
SMALLEST = 8                            # a thing of fewer pixels is not named
GRID = (16, 16)                         # the level at which words are looked up
SIZES = UNetConfig(widths=(32, 48, 64), blocks=1, attention=(False, True, True), context=64,
                   latent=3, heads=2, groups=8)
SAVED = Path(__file__).parent / "tiny.safetensors"


@dataclass(frozen=True)
class Scenes:
    """pictures (n, 3, 32, 32) in [-0.5, 0.5]; labels (n, 32, 32), numbers of words, 0 where none;
    captions (n, 5), numbers of words."""
    pictures: Tensor
    labels: Tensor
    captions: Tensor

    def __len__(self) -> int:
        return len(self.pictures)

    def words(self, i: int) -> list[int]:
        """The places in the caption of scene i that hold a word, 1 to 4."""
        return [place for place in range(1, TOKENS) if self.captions[i, place] > 0]


def paint_one(seed: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """One or two things on a ground before a backdrop, or before plain paper, which has no word.

    Returns picture (32, 32, 3) uint8, labels (32, 32), caption (5 numbers).
    """
    rng = np.random.default_rng([seed, 10])
    things = tuple(rng.permutation(THINGS)[:rng.integers(1, 3)].tolist())
    ground, backdrop = str(rng.choice(GROUNDS)), str(rng.choice((*BACKDROPS, "")))
    scene = paint(seed, SIZE, things=things, ground=ground, backdrop=backdrop)

    labels = np.zeros((SIZE, SIZE), np.uint8)
    caption = [0]
    for name in scene.classes:
        where = scene.labels == CLASSES.index(name) + 1
        if where.sum() >= SMALLEST:
            labels[where] = WORDS.index(name)
            caption.append(WORDS.index(name))
    caption += [0] * (TOKENS - len(caption))
    return np.asarray(scene.image), labels, caption


def paint_scenes(seeds) -> Scenes:
    """The scenes of these seeds."""
    pictures, labels, captions = zip(*(paint_one(seed) for seed in seeds))
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)       # (n, 3, 32, 32)
    pixels = (pixels / 127.5 - 1) * LOUDNESS
    return Scenes(pixels, torch.from_numpy(np.stack(labels)).long(), torch.tensor(captions))


class Network(nn.Module):
    """The UNet, and a vector for each word in the place of a text encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet(SIZES)
        self.words = nn.Embedding(len(WORDS), SIZES.context)
        nn.init.zeros_(self.unet.out[2].weight)          # at first it predicts no noise at all
        nn.init.zeros_(self.unet.out[2].bias)

    def forward(self, z: Tensor, t: Tensor, captions: Tensor,
                record: dict[str, QK] | None = None) -> Tensor:
        """Predicted noise of z (n, 3, 32, 32) at t (n,) under captions (n, 5)."""
        return self.unet(z, t, self.words(captions), record)


def noised(pictures: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """sqrt(abar_t) x + sqrt(1 - abar_t) noise, with a timestep t (n,) for each picture."""
    abar = ABAR.to(pictures)[t][:, None, None, None]
    return abar.sqrt() * pictures + (1 - abar).sqrt() * noise


@torch.no_grad()
def maps(network: Network, scenes: Scenes, t: int = 300, kind: str = "attn2") -> Tensor:
    """Attention at 16 x 16 cells, mean over heads and layers, of the scenes noised to t.

    kind: "attn2", cross-attention (n, 256, 5) to the tokens of the caption, or "attn1",
    self-attention (n, 256, 256). The noise is the same at every call.
    """
    noise = torch.randn(scenes.pictures.shape, generator=torch.Generator().manual_seed(1))
    times = torch.full((len(scenes),), t)
    record: dict[str, QK] = {}
    network(noised(scenes.pictures, noise, times), times, scenes.captions, record)
    return mean_map([qk for path, qk in record.items() if path.endswith(kind) and qk.grid == GRID])


def pointing(values: Tensor, inside: Tensor) -> float:
    """The probability that a cell inside has a larger value than a cell outside; ties are half.

    values (N,), inside (N,) bool. 1: all cells inside are above all others; 0.5: chance. It is the
    area under the ROC curve.
    """
    within, without = values[inside][:, None], values[~inside][None]
    return ((within > without).float() + (within == without).float() / 2).mean().item()


def segment(attention: Tensor, scenes: Scenes) -> Tensor:
    """Labels (n, 32, 32): the word of the caption with the largest map, each map stretched to 0..1.

    attention (n, 256, 5), or any maps of that shape.
    """
    labels = []
    for i, values in enumerate(attention):
        places = scenes.words(i)
        x = values[:, places]                                               # (256, words)
        x = (x - x.amin(0)) / (x.amax(0) - x.amin(0)).clamp_min(1e-12)
        x = F.interpolate(x.T.reshape(1, -1, *GRID), size=(SIZE, SIZE), mode="bilinear")
        labels.append(scenes.captions[i, places][x[0].argmax(0)])
    return torch.stack(labels)


def mean_iou(labels: Tensor, truth: Tensor) -> float:
    """Mean over the words; pixels without a word in the truth do not count."""
    labels = labels.where(truth > 0, 0)
    ious = []
    for word in range(1, len(WORDS)):
        either = (labels == word) | (truth == word)
        if either.any():
            both = (labels == word) & (truth == word)
            ious.append((both.sum() / either.sum()).item())
    return sum(ious) / len(ious)


@torch.no_grad()
def probe(network: Network, scenes: Scenes) -> dict[str, float]:
    """What the network does on these scenes; nothing is learnt from it.

    loss: of predicted noise, timesteps spread evenly; exchanged: the loss when each picture has the
    caption of the next one; pointing: of a thing's word at the thing, mean over the things; others:
    of the words for ground and backdrop at the thing; miou: of the cross-attention alone.
    """
    n = len(scenes)
    noise = torch.randn(scenes.pictures.shape, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(2))
    t = torch.linspace(10, 990, n).long()[order]
    z = noised(scenes.pictures, noise, t)
    loss = F.mse_loss(network(z, t, scenes.captions), noise)
    exchanged = F.mse_loss(network(z, t, scenes.captions.roll(1, 0)), noise)

    attention = maps(network, scenes)
    own, others = [], []
    for i in range(n):
        words = scenes.captions[i].tolist()
        cells = scenes.labels[i, ::2, ::2].flatten()                        # (256,)
        for thing in words:
            if WORDS[thing] not in THINGS or not (cells == thing).any():
                continue
            for place in scenes.words(i):
                at_thing = pointing(attention[i, :, place], cells == thing)
                if words[place] == thing:
                    own.append(at_thing)
                elif WORDS[words[place]] not in THINGS:
                    others.append(at_thing)
    return {"loss": loss.item(), "exchanged": exchanged.item(),
            "pointing": sum(own) / len(own), "others": sum(others) / len(others),
            "miou": mean_iou(segment(attention, scenes), scenes.labels)}


def save(path: Path, network: Network, log: dict) -> None:
    """The network in float16, and what was measured while it was trained."""
    state = {name: p.half().contiguous() for name, p in network.state_dict().items()}
    save_file(state, path, metadata={"log": json.dumps(log)})


def load(path: Path = SAVED) -> tuple[Network, dict]:
    """(network, log) as saved."""
    network = Network()
    network.load_state_dict({name: p.float() for name, p in load_file(path).items()})
    with safe_open(path, "pt") as file:
        log = json.loads(file.metadata()["log"])
    return network.eval(), log
