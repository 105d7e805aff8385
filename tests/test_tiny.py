"""The tiny network of notebook 10: its measures against scipy and torchmetrics, what is shipped, and its training."""
import json
import sys
from pathlib import Path

import pytest
import torch

TUTORIAL = Path(__file__).parent.parent / "tutorial"
sys.path[:0] = [str(TUTORIAL)]
import tiny  # noqa: E402  (found by the line above)


@pytest.fixture(scope="module")
def held_out():
    return tiny.paint_scenes(range(500, 596))


@pytest.mark.parametrize("seed", range(3))
def test_pointing_is_mann_and_whitneys(seed):
    from scipy.stats import mannwhitneyu
    dice = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 20, (256,), generator=dice).float()           # with ties
    inside = torch.rand(256, generator=dice) < 0.2
    U = mannwhitneyu(values[inside].numpy(), values[~inside].numpy()).statistic
    assert abs(tiny.pointing(values, inside) - U / (inside.sum() * (~inside).sum()).item()) < 1e-6


def test_mean_iou_is_torchmetrics():
    from torchmetrics.classification import MulticlassJaccardIndex
    dice = torch.Generator().manual_seed(0)
    n = len(tiny.WORDS)
    truth = torch.randint(0, n, (4, 32, 32), generator=dice)
    labels = torch.where(torch.rand(truth.shape, generator=dice) < 0.5, truth, torch.randint(1, n, truth.shape, generator=dice))
    theirs = MulticlassJaccardIndex(n, average="none", ignore_index=0)(labels, truth)
    assert abs(tiny.mean_iou(labels, truth) - theirs[1:].mean().item()) < 1e-6


def test_captions_name_what_is_there(held_out):
    """Every word of a caption has its pixels, every labelled pixel has its word, in the scene that the package paints."""
    for labels, caption in zip(held_out.labels, held_out.captions):
        assert set(labels.unique().tolist()) - {0} == set(caption.tolist()) - {0} and caption[0] == 0
    assert held_out.captions.shape == (96, tiny.TOKENS) and held_out.pictures.abs().max() <= tiny.LOUDNESS
    assert set(held_out.captions.flatten().tolist()) == set(range(len(tiny.WORDS)))


def test_the_shipped_network_is_the_one_that_was_measured(held_out):
    """What its log says at the last look is what it does now; float16 costs a little."""
    network, logs = tiny.load()
    said, now = logs["true captions"]["looks"][-1], tiny.probe(network, held_out)
    assert abs(said["loss"] - now["loss"]) < 2e-4 and abs(said["exchanged"] - now["exchanged"]) < 2e-4
    assert abs(said["miou"] - now["miou"]) < 0.01 and abs(said["pointing"] - now["pointing"]) < 0.01


@pytest.mark.slow
def test_attention_lights_up_and_under_other_captions_it_does_not(held_out):
    """The notebook's own loop, 120 steps each: as many as it takes to see the difference."""
    cells = json.loads((TUTORIAL / "10_train.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    loop = next(s for s in sources if "def train(steps" in s)
    namespace = {"torch": torch, "F": torch.nn.functional, "tiny": tiny, "held_out": held_out, "word_maps": lambda network: {},
                 "scenes": tiny.paint_scenes(range(100_000, 101_500))}
    exec("from minifaseg.cartoon.muon import Muon\n" + loop, namespace)
    found = {}
    for exchange in (False, True):
        _, log = namespace["train"](120, (0, 120), exchange)
        before, found[exchange] = log["looks"]
        assert found[exchange]["loss"] < 0.06 < before["loss"]
    assert found[False]["miou"] > 0.35 and found[True]["miou"] < 0.28
    assert found[False]["exchanged"] > 1.05 * found[False]["loss"] and abs(found[True]["exchanged"] / found[True]["loss"] - 1) < 0.01
