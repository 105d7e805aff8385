"""05, HARD."""
import pytest
import scenes
import torch
from adapters import (
    run_coarse_refine,
    run_fuse,
    run_minmax,
    run_power_times,
    run_random_walk_with_restart,
    run_segment_from_click,
    run_stationary,
    run_walkers,
)
from objects import counted, watched


@pytest.mark.exercise("5.1", points=1)
def test_minmax(case):
    case.run(run_minmax)


@pytest.mark.exercise("5.2", points=2)
def test_fuse(case):
    case.run(run_fuse)


@pytest.mark.exercise("5.3", points=2)
def test_power_times(case):
    case.run(watched(run_power_times))


@pytest.mark.exercise("5.4", points=3)
def test_coarse_refine(case):
    case.run(run_coarse_refine)


@pytest.mark.exercise("5.5", points=4)
def test_random_walk_with_restart(case):
    case.run(watched(run_random_walk_with_restart))


@pytest.mark.exercise("5.6", points=1)
def test_walkers(case):
    case.run(watched(run_walkers))


STAR = torch.zeros(6, 6)                # in the middle one, around it five: all walkers swing
STAR[0, 1:], STAR[1:, 0] = torch.tensor([0.1, 0.3, 0.2, 0.1, 0.3]), 1
RING = torch.eye(5).roll(1, 1)
BRIDGE = torch.tensor([[0.4995, 0.5, 0.0005, 0], [0.5, 0.5, 0, 0],      # a slow walk
                       [0.001, 0, 0.499, 0.5], [0, 0, 0.5, 0.5]])
RANDOM = (2 * torch.randn(7, 7, generator=torch.Generator().manual_seed(57)).double()).softmax(1)


@pytest.mark.exercise("5.7", points=3)
@pytest.mark.parametrize("A, tolerance", [
    (RANDOM.float(), 1e-5), (RANDOM, 1e-10), (STAR, 1e-4), (RING, 1e-4), (BRIDGE, 1e-5)],
    ids=["random", "float64", "star", "ring", "two parts and a bridge"])
def test_stationary(A, tolerance):
    pi = torch.as_tensor(run_stationary(counted(A), tolerance)).as_subclass(torch.Tensor)
    assert pi.shape == (len(A),), "one number for each cell is asked for"
    assert not pi.is_complex() and bool(pi.isfinite().all()), "numbers are complex, NaN or infinite"
    pi = pi.double()
    assert abs(pi.sum().item() - 1) < 1e-4 and pi.min().item() > -1e-6, "pi is no distribution"
    off = (pi @ A.double() - pi).abs().sum().item()
    assert off <= tolerance * 1.001 + 1e-7 * (A.dtype == torch.float32), "pi A is not pi"


@pytest.mark.exercise("5.8", points=4)
@pytest.mark.scored
def test_segment_from_click():
    """Mean IoU of masks, one click each, on things of which the network is not told."""
    reached = []
    for captured, cell, truth in scenes.clicks():
        mask = run_segment_from_click(captured, cell)
        assert mask.shape == truth.shape, "the mask is as large as the finest grid"
        assert mask.dtype == torch.bool, "the mask holds True and False"
        reached.append(((mask & truth).sum() / (mask | truth).sum()).item())
    mean = sum(reached) / len(reached)
    assert mean >= 0.55, f"mean IoU {mean:.3f}, 0.55 is asked for"
