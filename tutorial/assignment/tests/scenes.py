"""Painted scenes, and what the cartoon model captures of them, for exercises with a score.

Everything is made once. The seeds are public, so a rule that is fitted to these scenes alone is not
worth much; whoever grades may take others.
"""
from dataclasses import replace
from functools import cache

import numpy as np
import tiny
import torch
import torch.nn.functional as F

import minifaseg
from minifaseg import hard, labelling, ttf
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.things import THINGS
from minifaseg.cartoon.twins import TWIN_CLASSES, twins
from minifaseg.cartoon.words import CLASSES
from minifaseg.evaluate.metrics import confusion, iou

SIDE = 128


@cache
def model():
    return minifaseg.load("cartoon", "cpu", "float32")


@cache
def faseg(flip: bool = True):
    return minifaseg.make_method("faseg", model(), flip=flip)


def captured_of(scene, names, flip=True):
    with torch.no_grad():
        return faseg(flip).capture(model(), scene.image, tuple(names))


def as_places(labels, names):
    """Labels of the painter, numbers of CLASSES from 1, as places in `names` from 1; else 0."""
    numbers = np.zeros(256, int)
    for place, name in enumerate(names, start=1):
        numbers[CLASSES.index(name) + 1] = place
    return numbers[labels]


def mean_iou(labels, truths) -> float:
    """Of the label maps of several pictures, each with its own names: the mean of their mIoUs."""
    each = [np.nanmean(iou(confusion(t, found, 30))) for found, t in zip(labels, truths)]
    return float(np.mean(each))


# 2.7: pictures and captions

QUESTIONS = (                           # seed, what all captions say, words of which one is true
    (8701, "boat, {}", ("grass", "water", "road"), 1),
    (8702, "{}, floor", ("cow", "dog", "bird"), 2),
    (8703, "house, {}", ("grass", "snow", "water"), 1),
    (8704, "{}, road", ("house", "tree", "car"), 1),
    (8705, "bird, {}", ("road", "grass", "sand"), 1),
    (8706, "{}, sand", ("cow", "dog", "bird"), 1),
    (8707, "{}, water", ("house", "tree", "car"), 0),
    (8708, "house, {}", ("sand", "snow", "water"), 2),
    (8709, "car, {}", ("snow", "water", "sand"), 1),
    (8710, "{}, sand", ("cow", "dog", "bird"), 2))


@cache
def questions():
    """[(picture, captions, index of the true one)]"""
    found = []
    for seed, common, words, true in QUESTIONS:
        thing, ground = common.format(words[true]).split(", ")
        image = paint(seed, SIDE, things=(thing,), ground=ground).image
        found.append((image, [common.format(word) for word in words], true))
    return found


class Thrifty:
    """The cartoon model, whose UNet takes so many latents and no more."""

    def __init__(self, latents: int):
        self.latents = latents

    def __getattr__(self, name):
        return getattr(model(), name)

    def unet(self, z, t, text, record=None):
        self.latents -= len(z)
        assert self.latents >= 0, "too many latents went through the UNet for one question"
        with torch.no_grad():
            return model().unet(z, t, text)


# 4.4: names that are there, and others


@cache
def lists_of_names():
    """[(captured, which of its names are in the picture)]"""
    found = []
    for seed in range(8000, 8030):
        scene, chance = paint(seed, SIDE), np.random.default_rng(seed)
        others = [name for name in CLASSES if name not in scene.classes]
        more = chance.permutation(others)[:chance.integers(1, 6)].tolist()
        names = tuple(chance.permutation([*scene.classes, *more]).tolist())
        there = [name in scene.classes for name in names]
        found.append((captured_of(scene, names, flip=False), there))
    return found


# 5.8: clicks on things whose names the network is not told


@cache
def clicks():
    """[(captured, clicked cell, truth (32, 32))]"""
    kinds, found = sorted(THINGS), []
    for n, seed in enumerate(range(8100, 8112)):
        things = kinds[n % len(kinds)], kinds[(n + 3) % len(kinds)]
        scene, chance = paint(seed, SIDE, things=things), np.random.default_rng(seed)
        captured = captured_of(scene, ("picture",), flip=False)
        for name in things:
            pixels = torch.tensor(scene.labels == CLASSES.index(name) + 1).float()
            truth = F.avg_pool2d(pixels[None, None], 4)[0, 0] >= 0.5
            inner = F.avg_pool2d(truth[None, None].float(), 3, 1, 1)[0, 0] > 0.99
            places = inner.nonzero().tolist()
            if len(places) >= 10:
                found.append((captured, tuple(places[chance.integers(len(places))]), truth))
    return found


# 6.4: pictures in which everything, or not everything, is named


@cache
def thresholded():
    """[(scores (K, h, w), truth (H, W) as places in the names, best score (H, W), its place)]"""
    found = []
    for seed in range(8200, 8215):
        kind = ("everything", "everything", "paper", "one", "one")[seed % 5]
        scene = paint(seed, SIDE, backdrop="" if kind == "paper" else None)
        names = tuple(scene.classes)
        if kind == "one":
            names = tuple(name for name in names if name in THINGS)[:1]
        scores = faseg().scores(captured_of(scene, names))
        best, k = labelling.upsample(scores, (SIDE, SIDE)).max(0)
        truth = as_places(scene.labels, names)
        found.append((scores, truth, best.numpy(), (k + 1).numpy()))
    return found


# 7.3: which class is to be trusted

# Of 8300 to 8355, picked so that comparing words gains more than their loudness does.
TRUST_SEEDS = (8301, 8303, 8304, 8316, 8320, 8324, 8332, 8355)


@cache
def lists_with_absent_names():
    """[(scores s (K, h, w), raw fused attention x (K, h, w), truth as places)], two are absent"""
    found = []
    for seed in TRUST_SEEDS:
        scene, chance = paint(seed, SIDE), np.random.default_rng(seed)
        others = [name for name in CLASSES if name not in scene.classes]
        names = chance.permutation([*scene.classes, *chance.permutation(others)[:2]]).tolist()
        captured = captured_of(scene, names)
        x = faseg().class_maps(captured, captured.lookup)
        x = ttf.merge(hard.as_image(x, captured.grids[-1]))
        found.append((faseg().scores(captured), x, as_places(scene.labels, names)))
    return found


def trusted_accuracy(factors) -> float:
    """Pixel accuracy when scores are multiplied by the factors, at the best of 20 thresholds."""
    right = np.zeros(20)
    for f, (s, _, truth) in zip(factors, lists_with_absent_names()):
        best, k = labelling.upsample(s * f[:, None, None], (SIDE, SIDE)).max(0)
        best, k = best.numpy(), k.numpy()
        right += [(np.where(best >= i / 20, k + 1, 0) == truth).mean() for i in range(20)]
    return right.max() / len(factors)


# 7.4: a method of one's own


@cache
def named_scenes():
    """[(captured, labels (H, W), numbers of CLASSES from 1)]"""
    scenes = [paint(seed, SIDE) for seed in range(8400, 8412)]
    return [(captured_of(scene, scene.classes), scene.labels) for scene in scenes]


def labels_of(scores_of) -> list:
    """Label maps of all named scenes, places in their names; scores_of(captured) is (K, h, w)."""
    size, threshold = (SIDE, SIDE), faseg().threshold
    scores = (scores_of(captured) for captured, _ in named_scenes())
    return [minifaseg.label(s, size, threshold) for s in scores]


def named_miou(labels) -> float:
    """Over the classes, all scenes together."""
    matrix = 0
    for found, (captured, truth) in zip(labels, named_scenes()):
        numbers = np.array([0, *(CLASSES.index(name) + 1 for name in captured.classes)])
        matrix = matrix + confusion(truth, numbers[found], len(CLASSES) + 1)
    return float(np.nanmean(iou(matrix)))


# 7.5: two of a kind in two colours

# Those of 8500 to 8535 that FA-Seg mixes up most.
TWIN_SEEDS = (8500, 8502, 8505, 8509, 8512, 8514, 8517, 8518, 8520, 8522, 8523, 8525)


@cache
def twin_scenes():
    """[(names, the twins' first, captured, truth as places)]"""
    found = []
    for seed in TWIN_SEEDS:
        scene = twins(seed, SIDE)
        names = (*scene.classes[:2][::-1 if seed % 2 else 1], *scene.classes[2:])
        numbers = np.zeros(len(TWIN_CLASSES) + 1, int)
        for place, name in enumerate(names, start=1):
            numbers[TWIN_CLASSES.index(name) + 1] = place
        found.append((names, captured_of(scene, names), numbers[scene.labels]))
    return found


def twin_iou(maps) -> float:
    """IoU of the twins, all scenes together, of score maps (K, h, w), one for each scene."""
    hit = union = 0
    for scores, (_, _, truth) in zip(maps, twin_scenes()):
        labels = minifaseg.label(scores, (SIDE, SIDE), faseg().threshold)
        for own in (1, 2):
            hit += ((labels == own) & (truth == own)).sum()
            union += ((labels == own) | (truth == own)).sum()
    return hit / union


# 10.3: scenes for the tiny network


@cache
def tiny_scenes():
    """(network, scenes without labels, labels)"""
    network, _ = tiny.load()
    scenes = tiny.paint_scenes(range(8600, 8648))
    return network, replace(scenes, labels=torch.zeros_like(scenes.labels)), scenes.labels
