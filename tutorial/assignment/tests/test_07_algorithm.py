"""07, the algorithm."""
from dataclasses import replace

import numpy as np
import pytest
import scenes
import torch
from adapters import run_faseg_scores, run_miou, run_own_scores, run_trust, run_twin_scores
from cases import by_oneself


@pytest.mark.exercise("7.1", points=2)
def test_miou(case):
    case.run(run_miou)


@pytest.mark.exercise("7.2", points=4)
def test_faseg_scores(case):
    case.run(run_faseg_scores)


@pytest.mark.exercise("7.3", points=5)
@pytest.mark.scored
def test_trust():
    """Pixel accuracy with factors, against no factors and against the loudness of the words."""
    cases = scenes.lists_with_absent_names()
    given = [(s.clone(), x.clone()) for s, x, _ in cases]
    factors = [run_trust(s, x) for s, x in given]
    for f, (s, x, _), (s_after, x_after) in zip(factors, cases, given):
        assert torch.equal(s, s_after) and torch.equal(x, x_after), "an argument has changed"
        assert f.shape == (len(s),), "one factor for each class is asked for"
        assert bool(((f >= 0) & (f <= 1 + 1e-6)).all()), "factors lie in [0, 1]"
    reached = scenes.trusted_accuracy(factors)
    ones = scenes.trusted_accuracy([torch.ones(len(s)) for s, _, _ in cases])
    loud = scenes.trusted_accuracy([x.amax((1, 2)) / x.max() for _, x, _ in cases])
    told = f"pixel accuracy {reached:.3f}, all trusted {ones:.3f}, the loudest trusted {loud:.3f}"
    assert reached >= ones + 0.06 and reached >= loud + 0.015, f"{told}: 0.06 and 0.015 more"
    s, x, _ = cases[0]
    turned = run_trust(s.flip(0), x.flip(0)).flip(0)
    assert torch.allclose(turned, factors[0], atol=1e-4), "the order of the classes matters"
    s, x = torch.cat([s, 0 * s[:1]]), torch.cat([x, x[:1]])
    assert bool(run_trust(s, x).isfinite().all()), "NaN for a class without scores"


@pytest.mark.exercise("7.4", points=6)
@pytest.mark.scored
def test_own_scores():
    """Mean IoU, against cross-attention alone; and it is none of the methods that are known."""
    method = scenes.faseg()

    def own(captured):
        with by_oneself("7.4"):
            return run_own_scores(method, captured).float()

    labels = scenes.labels_of(own)
    known = [scenes.labels_of(replace(method, tau=tau).scores) for tau in (0, 1, 2, 3)]
    cross, reached = scenes.named_miou(known[0]), scenes.named_miou(labels)
    for other in known:
        same = np.mean([(a == b).mean() for a, b in zip(labels, other)])
        assert same < 0.999, "the labels are those of FA-Seg with another tau"
    again = scenes.labels_of(own)
    assert all(map(np.array_equal, again, labels)), "two calls differ: nothing should be drawn"
    told = f"mean IoU {reached:.3f}, cross-attention alone {cross:.3f}"
    assert reached >= cross + 0.05, f"{told}; {cross + 0.05:.3f} is asked for"


@pytest.mark.exercise("7.5", points=4)
@pytest.mark.scored
def test_twin_scores():
    """IoU of two of a kind that differ in colour, against FA-Seg as it is."""
    method, text, maps, plain = scenes.faseg(), scenes.model().text, [], []
    for names, captured, _ in scenes.twin_scenes():
        got = run_twin_scores(method, captured, names, text).float()
        assert got.shape == (len(names), *captured.grids[-1]), "a map is asked for, for each name"
        assert bool(got.isfinite().all()), "scores are NaN or infinite"
        maps.append(got)
        plain.append(method.scores(captured))
    reached, before = scenes.twin_iou(maps), scenes.twin_iou(plain)
    told = f"IoU of the twins {reached:.3f}, asked plainly {before:.3f}"
    assert reached >= before + 0.05, f"{told}; {before + 0.05:.3f} is asked for"
