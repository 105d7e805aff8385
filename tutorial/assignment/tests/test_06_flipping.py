"""06, flipping, scores, thresholds."""
import math

import numpy as np
import pytest
import scenes
import torch
from adapters import run_choose_threshold, run_confusion, run_label, run_merge


@pytest.mark.exercise("6.1", points=1)
def test_merge(case):
    case.run(run_merge)


@pytest.mark.exercise("6.2", points=2)
def test_label(case):
    case.run(run_label)


@pytest.mark.exercise("6.3", points=2)
def test_confusion(case):
    case.run(run_confusion)


@pytest.mark.exercise("6.4", points=5)
@pytest.mark.scored
def test_choose_threshold():
    """Mean IoU, with a threshold chosen for each picture, against 0.3 for all."""
    def miou(thresholds):
        pictures = scenes.thresholded()
        labels = [np.where(best >= t, k, 0) for t, (_, _, best, k) in zip(thresholds, pictures)]
        return scenes.mean_iou(labels, [truth for _, truth, _, _ in pictures])

    given = [scores.clone() for scores, *_ in scenes.thresholded()]
    chosen = [run_choose_threshold(scores) for scores in given]
    untouched = [scores for scores, *_ in scenes.thresholded()]
    assert all(map(torch.equal, given, untouched)), "the scores have changed"
    assert all(isinstance(t, (int, float)) and math.isfinite(t) for t in chosen), "not a number"
    fixed, reached = miou([0.3] * len(chosen)), miou(chosen)
    told = f"mean IoU {reached:.3f}, with 0.3 for all {fixed:.3f}"
    assert reached >= fixed + 0.035, f"{told}; {fixed + 0.035:.3f} is asked for"
    for flat in (torch.full((2, 4, 4), 0.5), torch.tensor([[[0.2]]])):
        assert math.isfinite(run_choose_threshold(flat)), "not a number where all scores are alike"
