"""The same seed, the same mask: on one thread or two, alone or in a batch, in this process or in another."""
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import minifaseg
from minifaseg.cartoon.painter import paint

SCENES = [paint(seed) for seed in range(1000, 1016)]
CLASSES = ("cat", "dog", "grass", "wall")
BOUND = 1e-5                # of a score: another order of summation in the last bits of float32, stretched by min-max


def load(**options):
    """The cartoon model at half its side: a quarter of the work, the same code."""
    model = minifaseg.load("cartoon", device="cpu", **options)
    model.notes["side"] = 64
    return model


@pytest.fixture(scope="module")
def model():
    return load()


@pytest.fixture(scope="module")
def alone(model):
    return [minifaseg.segment(scene.image, CLASSES, model) for scene in SCENES]


def test_the_same_again(model, alone):
    again = minifaseg.segment(SCENES[0].image, CLASSES, model)
    assert torch.equal(again.grid_scores, alone[0].grid_scores) and (again.labels == alone[0].labels).all()


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="needs pytest -n auto")
def test_a_worker_has_the_threads_it_hands_on():
    """One, unless somebody asked for more: what a worker starts reads the same variable."""
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])


def differences(results, alone):
    """Largest difference of a score, share of pixels with another label."""
    return (max((a.grid_scores - b.grid_scores).abs().max().item() for a, b in zip(results, alone)),
            float(np.mean([a.labels != b.labels for a, b in zip(results, alone)])))


@pytest.mark.parametrize("size", [2, 5, 16])
def test_in_a_batch(model, alone, size):
    together = []
    for i in range(0, len(SCENES), size):
        together += minifaseg.segment_many([scene.image for scene in SCENES[i:i + size]], CLASSES, model)
    scores, labels = differences(together, alone)
    assert scores <= BOUND and labels <= 1e-4


def test_on_one_thread(model, alone):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        results = [minifaseg.segment(scene.image, CLASSES, model) for scene in SCENES[:2]]
        scores, labels = differences(results, alone)
    finally:
        torch.set_num_threads(threads)
    assert scores <= BOUND and labels <= 1e-4


THERE = """
import sys, torch, minifaseg
from minifaseg.cartoon.painter import paint
torch.set_num_threads(int(sys.argv[2]))
model, image = minifaseg.load("cartoon", device="cpu"), paint(1000).image
model.notes["side"] = 64
results = {method: minifaseg.segment(image, sys.argv[3:], model, method=method) for method in minifaseg.METHODS}
torch.save({method: (r.grid_scores, torch.from_numpy(r.labels)) for method, r in results.items()}, sys.argv[1])
"""


@pytest.mark.slow
def test_in_another_process(model, tmp_path):
    """Bit for bit, every method, whatever order Python's sets have there."""
    subprocess.run([sys.executable, "-c", THERE, tmp_path / "there.pt", str(torch.get_num_threads()), *CLASSES], check=True)
    for method, (scores, labels) in torch.load(tmp_path / "there.pt").items():
        here = minifaseg.segment(SCENES[0].image, CLASSES, model, method=method)
        assert torch.equal(here.grid_scores, scores) and (here.labels == labels.numpy()).all(), method


def test_the_picture_behind_another_in_a_batch_changes_nothing(model):
    """Noise and posterior sample are drawn per picture, by the seed, not by its place."""
    options = {"noise": False, "steps": 1, "timestep": 1, "sample": True}
    one = minifaseg.segment(SCENES[0].image, CLASSES, model, **options)
    first, _, last = minifaseg.segment_many([SCENES[i].image for i in (0, 1, 0)], CLASSES, model, **options)
    assert (first.grid_scores - last.grid_scores).abs().max() <= BOUND and (first.grid_scores - one.grid_scores).abs().max() <= BOUND


@pytest.mark.slow
def test_compiled(alone):
    """torch.compile makes other kernels of the same network: a minute or two of compiling."""
    compiled = load(compile=True)
    scores, labels = differences([minifaseg.segment(scene.image, CLASSES, compiled) for scene in SCENES[:4]], alone)
    assert scores <= BOUND and labels <= 1e-4
