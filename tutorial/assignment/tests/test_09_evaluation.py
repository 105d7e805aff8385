"""09, Stable Diffusion 1.5."""
import numpy as np
import pytest
from adapters import run_is_better, run_map_bytes, run_reduce_zero_label
from cases import by_oneself


@pytest.mark.exercise("9.1", points=2)
def test_map_bytes(case):
    case.run(run_map_bytes)


@pytest.mark.exercise("9.2", points=2)
def test_reduce_zero_label(case):
    case.run(run_reduce_zero_label)


GOOD = np.array([[90, 10, 0], [10, 60, 0], [0, 0, 30]])
POOR = np.array([[60, 30, 10], [20, 50, 0], [5, 5, 20]])


def miou(matrix):
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return (np.diag(matrix)[union > 0] / union[union > 0]).mean()


def interval(a, b, seed=0, **options):
    with by_oneself("9.3"):
        low, high = run_is_better(a.copy(), b.copy(), np.random.default_rng(seed), **options)
    return float(low), float(high)


@pytest.mark.exercise("9.3", points=3)
def test_is_better():
    """All pictures are alike: the interval is a point."""
    want = miou(GOOD) - miou(POOR)
    got = interval(np.stack([GOOD] * 3), np.stack([POOR] * 3), draws=50)
    assert np.allclose(got, want, atol=1e-9), "the interval is no point at the difference"


@pytest.mark.exercise("9.3", points=3)
def test_two_pictures():
    """Three data sets can be drawn, so the ends are the extremes of three differences.

    The first picture is small, and the third class is in the second alone.
    """
    a = np.array([[[2, 0, 0], [3, 0, 0], [0, 0, 0]], [[42, 0, 0], [0, 6, 0], [54, 0, 24]]])
    b = np.array([[[0, 2, 0], [3, 0, 0], [0, 0, 0]], [[30, 0, 12], [6, 0, 0], [0, 0, 78]]])
    drawn = [miou(a[i] + a[j]) - miou(b[i] + b[j]) for i, j in ((0, 0), (0, 1), (1, 1))]
    got = interval(a, b, draws=400)
    assert np.allclose(got, (min(drawn), max(drawn)), atol=1e-9), "the ends are others"


@pytest.mark.exercise("9.3", points=3)
def test_sixty_pictures():
    """Some are hard for both methods; a is a little better on each."""
    dice = np.random.default_rng(93)
    hard = dice.beta(0.6, 2, (60, 1, 1))
    b = (1 - hard) * 1000 * np.eye(4) + hard * dice.dirichlet(np.ones(4) * 2, (60, 4)) * 1000
    b = np.rint(b).astype(int)
    moved = b * (1 - np.eye(4, dtype=int)) // 5
    a = b - moved + moved.sum(2)[:, :, None] * np.eye(4, dtype=int)
    low, high = interval(a, b, draws=2000)
    drawn = dice.integers(60, size=(2000, 60))
    values = [miou(a[places].sum(0)) - miou(b[places].sum(0)) for places in drawn]
    ends = np.quantile(values, (0.025, 0.975))
    ratio, off = (high - low) / np.ptp(ends), (low + high) / 2 - ends.mean()
    assert 0.88 < ratio < 1.12, f"the interval is {ratio:.2f} times as wide as it should be"
    assert abs(off) < 0.12 * np.ptp(ends), "the interval lies elsewhere"


@pytest.mark.exercise("9.3", points=3)
def test_what_is_drawn():
    pictures = np.random.default_rng(94).integers(1, 90, (2, 9, 3, 3))
    first, again, other = (interval(*pictures, seed=seed, draws=60) for seed in (1, 1, 2))
    assert first == again and first != other, "draw by the generator that is given"
    low, high = interval(*pictures, draws=1)
    assert low == high, "`draws` is how many data sets are drawn"
