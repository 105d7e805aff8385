"""Scenes to train on, painted by processes of their own, ahead of the training.

    scenes = Scenes(vae, device, 128, speller, painters=1)
    scenes.refill(16)                          # now and then
    z0, captions = scenes.draw(16)             # latents (16, 4, 32, 32), captions as numbers

A scene is encoded once, plain and mirrored, and kept with several captions; painting goes on while
the networks learn, so that few scenes are seen twice.
"""
import multiprocessing
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .painter import paint
from .train_vae import pixels
from .wild import wild
from .words import CLASSES, describe, phrases, units

PLAIN = 0.5                                # share of scenes like those that are scored
CAPTIONS = 4                               # wordings of each scene
CHUNK = 64                                 # scenes that a painter hands over at once
USES = 4                                   # of a scene, about, before the next is taken
FIRST_SEED = 20_000_000                    # far from the scenes that are scored


class Captions(NamedTuple):
    """Captions as numbers.

    ids (B, T): of the whole prompt; phrase (B, T): the phrase that each token belongs to, as its
    place in `phrases()`, -1 for start and padding; place (B, T): which token of its phrase it is,
    from 1 on; for start and padding its place in the prompt.
    """
    ids: Tensor
    phrase: Tensor
    place: Tensor


class Speller:
    """Captions -> numbers, by looking words up: in this world every word is one token."""

    def __init__(self, tokens: dict[str, int], length: int):
        self.tokens, self.length = tokens, length
        self.phrases = {phrase: i for i, phrase in enumerate(phrases())}

    def token(self, word):
        return self.tokens[f"{word}</w>"]

    def prompt(self, words, length):
        """(length,) ids: start, words, end to the end."""
        row = [self.tokens["<|startoftext|>"], *map(self.token, words)][:length - 1]
        return row + [self.tokens["<|endoftext|>"]] * (length - len(row))

    def table(self) -> Tensor:
        """(U, L + 2) ids of all phrases, each as a prompt of its own."""
        longest = max(len(phrase.split()) for phrase in self.phrases)
        return torch.tensor([self.prompt(phrase.split(), longest + 2) for phrase in self.phrases])

    def __call__(self, captions) -> np.ndarray:
        """(3, B, T) int16: ids, phrase, place, as in `Captions`."""
        rows = []
        for caption in captions:
            words, phrase, place = [], [-1], [0]
            for unit in units(caption):
                said = unit.split()
                words += said
                phrase += [self.phrases[unit]] * len(said)
                place += range(1, 1 + len(said))
            phrase, place = phrase[:self.length - 1], place[:self.length - 1]
            left = range(len(phrase), self.length)
            phrase += [-1] * len(left)
            rows.append((self.prompt(words, self.length), phrase, [*place, *left]))
        return np.array(rows, np.int16).transpose(1, 0, 2)


def training_scene(seed, speller, size):
    """Pixels (size, size, 3) uint8 and captions (3, CAPTIONS, T) of a scene, as arrays."""
    scene, told = told_scene(seed, size)
    return np.asarray(scene.image), speller(told)


def told_scene(seed, size):
    """(scene, its captions). Half of all scenes are like those that are scored, the others wild.
    Captions name what fills more than 1.5 % of the picture."""
    rng = np.random.default_rng([seed, 1])
    loose = None if rng.random() < PLAIN else wild(rng)
    scene = paint(seed, size, loose=loose)
    area = np.bincount(scene.labels.ravel(), minlength=len(CLASSES) + 1)[1:]
    seen = [c for c, n in zip(CLASSES, area) if n > 0.015 * size * size]
    return scene, [describe(seen, scene.words, rng) for _ in range(CAPTIONS)]


def paint_for_ever(queue, scene, seed, step, details):
    """A painter's work: chunks of scenes from this seed on, every `step`-th, as stacked arrays."""
    while True:
        chunk = [scene(seed + i * step, *details) for i in range(CHUNK)]
        seed += CHUNK * step
        queue.put(tuple(np.stack(parts) for parts in zip(*chunk)))


def start_painters(painters, scene, first, *details):
    """(queue, processes): chunks of scene(seed, *details) for seeds from `first` on, painted by
    processes of their own, a few chunks ahead; `scene` returns arrays."""
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue(2 * painters)
    processes = []
    for i in range(painters):
        work = (queue, scene, first + i, painters, details)
        processes.append(spawn.Process(target=paint_for_ever, args=work, daemon=True))
        processes[-1].start()
    return queue, processes


class Scenes:
    """Latents and captions of painted scenes; at `capacity` the oldest are replaced."""

    def __init__(self, vae, device, size, speller, painters=1, capacity=60_000, first=FIRST_SEED):
        self.vae, self.device, self.capacity = vae, device, capacity
        self.painted = self.drawn = 0
        grid = size // vae.factor
        self.latents = torch.empty(capacity, 2, vae.config.latent, grid, grid, device=device)
        shape = (3, capacity, CAPTIONS, speller.length)
        self.captions = torch.empty(shape, dtype=torch.int16, device=device)
        work = (training_scene, first, speller, size)
        self.queue, self.painters = start_painters(painters, *work)

    def close(self) -> None:
        for painter in self.painters:
            painter.kill()

    def __len__(self):
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
            z = self.vae.encode(torch.cat([x, x.flip(-1)])).float()
        z = z.unflatten(0, (2, -1)).transpose(0, 1)         # (n, plain and mirrored, 4, h, w)
        places = (self.painted + torch.arange(len(x), device=self.device)) % self.capacity
        self.latents[places] = z
        self.captions[:, places] = torch.from_numpy(captions).to(self.device).transpose(0, 1)
        self.painted += len(x)

    def draw(self, batch: int, generator=None) -> tuple[Tensor, Captions]:
        """Latents (B, 4, h, w), every other one of a mirrored scene, and one caption of each."""
        def some(high):
            return torch.randint(high, (batch,), generator=generator, device=self.device)
        self.drawn += batch
        chosen = some(len(self))
        captions = self.captions[:, chosen, some(CAPTIONS)].long()
        return self.latents[chosen, some(2)], Captions(*captions)
