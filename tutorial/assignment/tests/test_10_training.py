"""10, train one yourself."""
from functools import partial

import objects
import pytest
import scenes
import tiny
import torch
from adapters import run_better_maps, run_pointing, run_word_gain


@pytest.mark.exercise("10.1", points=2)
def test_word_gain(case):
    case.run(partial(objects.call_word_gain, run_word_gain))


@pytest.mark.exercise("10.2", points=2)
def test_pointing(case):
    case.run(partial(objects.call_pointing, run_pointing))


@pytest.mark.exercise("10.3", points=4)
@pytest.mark.scored
def test_better_maps():
    """Mean IoU of 48 scenes."""
    network, hidden, truth = scenes.tiny_scenes()
    with torch.no_grad():
        got = run_better_maps(network, hidden)
    assert got.shape == (len(hidden), 256, tiny.TOKENS), "maps (n, 256, 5) are asked for"
    assert bool(got.isfinite().all()), "maps are NaN or infinite"
    reached = tiny.mean_iou(tiny.segment(got.float(), hidden), truth)
    assert reached >= 0.70, f"mean IoU {reached:.3f}, 0.70 is asked for"
