"""Scenes to train on, painted ahead of the training by processes of their own.

    scenes = Scenes(vae, device, 128, speller, painters=1)
    scenes.refill(16)                          # now and then
    z0, captions = scenes.draw(16)             # latents (16, 4, 32, 32), captions as token ids

A scene is encoded once, plain and mirrored, and kept with several captions. Painting goes on while
the networks learn, so that few scenes are drawn twice.
"""
import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..vae import VAE
from .painter import Scene, areas, paint
from .train_vae import pixels
from .wild import wild
from .words import describe, phrases, units

PLAIN = 0.5                                # share of scenes like those that are scored
CAPTIONS = 4                               # captions of each scene
CHUNK = 64                                 # scenes that a painter hands over at once
USES = 4                                   # of a scene, about, before the next is taken
FIRST_SEED = 20_000_000                    # far from the scenes that are scored


class Captions(NamedTuple):
    """Captions as integers, each (B, T)."""
    ids: Tensor                            # token ids of the whole prompt
    phrase: Tensor                         # index into `phrases()`; -1 for start and padding
    place: Tensor                          # which token of its phrase it is, from 1 on;
                                           # for start and padding the place in the prompt


class Speller:
    """Captions -> token ids, by looking words up: in this world every word is one token."""

    def __init__(self, tokens: dict[str, int], length: int) -> None:
        self.tokens = tokens
        self.length = length
        self.phrases = {phrase: i for i, phrase in enumerate(phrases())}

    def token(self, word: str) -> int:
        return self.tokens[f"{word}</w>"]

    def prompt(self, words: list[str], length: int) -> list[int]:
        """(length,) ids: start, words, and the end token up to the length."""
        row = [self.tokens["<|startoftext|>"], *map(self.token, words)][:length - 1]
        return row + [self.tokens["<|endoftext|>"]] * (length - len(row))

    def table(self) -> Tensor:
        """(U, L + 2) ids of all phrases, each as a prompt of its own."""
        longest = max(len(phrase.split()) for phrase in self.phrases)
        return torch.tensor([self.prompt(phrase.split(), longest + 2) for phrase in self.phrases])

    def __call__(self, captions: list[str]) -> np.ndarray:
        """(3, B, T) int16: ids, phrase, place, as in `Captions`."""
        rows = []
        for caption in captions:
            words: list[str] = []
            phrase, place = [-1], [0]
            for unit in units(caption):
                unit_words = unit.split()
                words += unit_words
                phrase += [self.phrases[unit]] * len(unit_words)
                place += range(1, 1 + len(unit_words))
            phrase, place = phrase[:self.length - 1], place[:self.length - 1]
            padding = range(len(phrase), self.length)
            phrase += [-1] * len(padding)
            place += padding
            rows.append((self.prompt(words, self.length), phrase, place))
        return np.array(rows, np.int16).transpose(1, 0, 2)


def captioned_scene(seed: int, size: int) -> tuple[Scene, list[str]]:
    """A scene and its captions. Half of all scenes are like those that are scored, the others wild.

    Captions name what fills more than 1.5 % of the picture.
    """
    rng = np.random.default_rng([seed, 1])
    loose = None if rng.random() < PLAIN else wild(rng)
    scene = paint(seed, size, loose=loose)
    large = [name for name, area in areas(scene.labels).items() if area > 0.015 * size * size]
    return scene, [describe(large, scene.words, rng) for _ in range(CAPTIONS)]


def training_scene(seed: int, speller: Speller, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (size, size, 3) uint8 and captions (3, CAPTIONS, T) of a scene."""
    scene, captions = captioned_scene(seed, size)
    return np.asarray(scene.image), speller(captions)


def paint_for_ever(queue, scene: Callable, seed: int, step: int, details: tuple) -> None:
    """A painter's work: chunks of scenes from this seed on, every `step`-th, as stacked arrays."""
    while True:
        chunk = [scene(seed + i * step, *details) for i in range(CHUNK)]
        seed += CHUNK * step
        queue.put(tuple(np.stack(parts) for parts in zip(*chunk)))


def start_painters(painters: int, scene: Callable, first: int, *details):
    """(queue, processes): chunks of scene(seed, *details) for seeds from `first` on.

    Processes of their own paint them, a few chunks ahead. `scene` returns arrays.
    """
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue(2 * painters)
    processes: list[BaseProcess] = []
    for i in range(painters):
        work = (queue, scene, first + i, painters, details)
        painter = spawn.Process(target=paint_for_ever, args=work, daemon=True)
        painter.start()
        processes.append(painter)
    return queue, processes


class Scenes:
    """Latents and captions of painted scenes; at `capacity` the oldest are replaced."""

    def __init__(self, vae: VAE, device: str, size: int, speller: Speller, painters: int = 1,
                 capacity: int = 60_000, first: int = FIRST_SEED) -> None:
        self.vae = vae
        self.device = device
        self.capacity = capacity
        self.painted = 0
        self.drawn = 0
        grid = size // vae.factor
        self.latents = torch.empty(capacity, 2, vae.config.latent, grid, grid, device=device)
        shape = (3, capacity, CAPTIONS, speller.length)
        self.captions = torch.empty(shape, dtype=torch.int16, device=device)
        work = (training_scene, first, speller, size)
        self.queue, self.painters = start_painters(painters, *work)

    def close(self) -> None:
        for painter in self.painters:
            painter.kill()

    def __len__(self) -> int:
        return min(self.painted, self.capacity)

    def refill(self, enough: int) -> None:
        """Takes the next chunk if one is due and finished; waits for `enough` scenes."""
        if self.drawn > USES * self.painted and not self.queue.empty():
            self.add(*self.queue.get())
        while len(self) < enough:
            self.add(*self.queue.get())

    @torch.no_grad()
    def add(self, pictures: np.ndarray, captions: np.ndarray) -> None:
        """pictures (n, H, W, 3) uint8, captions (n, 3, CAPTIONS, T) int16."""
        x = pixels(pictures, self.device)
        with torch.autocast("cuda", torch.bfloat16, enabled=x.is_cuda):
            z = self.vae.encode(torch.cat([x, x.flip(-1)])).float()         # (2 n, 4, h, w)
        z = z.unflatten(0, (2, -1)).transpose(0, 1)         # (n, plain and mirrored, 4, h, w)
        places = (self.painted + torch.arange(len(x), device=self.device)) % self.capacity
        self.latents[places] = z
        self.captions[:, places] = torch.from_numpy(captions).to(self.device).transpose(0, 1)
        self.painted += len(x)

    def draw(self, batch: int, generator: torch.Generator | None = None) -> tuple[Tensor, Captions]:
        """Latents (B, 4, h, w), about half of them mirrored, and one caption of each."""
        def indices(n: int) -> Tensor:
            return torch.randint(n, (batch,), generator=generator, device=self.device)

        self.drawn += batch
        scenes = indices(len(self))
        captions = self.captions[:, scenes, indices(CAPTIONS)].long()       # (3, B, T)
        return self.latents[scenes, indices(2)], Captions(*captions)
