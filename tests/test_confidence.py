"""Intervals and ceilings: against loops, scipy and exact truth."""

import json

import numpy as np
import pytest

from minifaseg.evaluate.bootstrap import confidence, counts, interval, miou, resampled
from minifaseg.evaluate.ceiling import ceiling, perfect_labels
from minifaseg.evaluate.command import main
from minifaseg.evaluate.datasets import Dataset, open_dataset
from minifaseg.evaluate.metrics import confusion, summary
from minifaseg.evaluate.table import as_json, markdown

WORLD = Dataset("toy", tuple("abcd"), tuple("abcd"), True, ("a",), (), None)


def matrices(S=12, n=5, seed=0, right=0.8):
    """Confusion matrices of S pictures; label n - 1 is in the first one only."""
    rng, found = np.random.default_rng(seed), []
    for i in range(S):
        truth = rng.integers(0, n if i == 0 else n - 1, (20, 30), dtype=np.uint8)
        other = rng.integers(0, n - 1, truth.shape, dtype=np.uint8)
        prediction = np.where(rng.random(truth.shape) < right, truth, other)
        truth[rng.random(truth.shape) < 0.1] = 255
        found.append(confusion(truth, prediction, n))
    return np.array(found)


def counted(several):
    return np.array([counts(m) for m in several])


@pytest.mark.parametrize("background", [True, False])
def test_miou_of_counts_is_that_of_the_table(background):
    data = Dataset("toy", WORLD.classes, WORLD.classes, background, ("a",), (), None)
    for total in (matrices().sum(0), matrices()[1:].sum(0)):  # with every label, and without one
        ours = miou(counts(total)[:, 0 if background else 1 :])
        assert ours == pytest.approx(summary(total, data)["miou"], abs=1e-12)


def test_bootstrap_equals_a_plain_loop():
    """Each draw as a data set of its own, scored as the table scores one."""
    several = matrices()
    drawn = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 50)
    plain = []
    for times in drawn:
        total = sum(t * m for t, m in zip(times, several))
        plain.append(summary(total, WORLD)["miou"])
    assert resampled(counted(several), draws=50) == pytest.approx(plain, abs=1e-12)
    assert len({*plain}) > 40
    found = confidence({"a": counted(several)})["a"]["ci"]
    assert found == interval(resampled(counted(several), draws=2000))


def test_bootstrap_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    several = counted(matrices(S=60))[:, :, :4]

    def statistic(index, axis):
        return miou(several[index.astype(int)].sum(-3))  # (..., S, 3, n)

    theirs = stats.bootstrap(
        (np.arange(60),),
        statistic,
        n_resamples=4000,
        vectorized=True,
        method="percentile",
        random_state=np.random.default_rng(1),
    )
    low, high = theirs.confidence_interval
    width = high - low
    ours = interval(resampled(several, draws=4000))
    assert width > 0 and ours == pytest.approx([low, high], abs=0.1 * width)


def test_pictures_that_are_all_alike_leave_no_doubt():
    one = counted(matrices(S=1))
    other = counted(matrices(S=1, right=0.9, seed=1))
    found = confidence({"a": one.repeat(9, 0), "b": other.repeat(9, 0)})
    assert found["a"]["ci"] == pytest.approx([float(miou(one[0]))] * 2, abs=1e-12)
    higher = float(miou(other[0]) - miou(one[0]))
    assert found["b"]["difference"]["ci"] == pytest.approx([higher] * 2, abs=1e-12)
    assert found["b"]["difference"]["miou"] == pytest.approx(higher, abs=1e-12)
    assert "difference" not in found["a"]


def test_differences_are_of_the_same_draws():
    """A row equal to the first differs by nothing, surely, though both are uncertain; left-out
    pictures (no counts) change nothing, and one picture tells nothing."""
    a = counted(matrices())
    found = confidence({"a": a, "b": a.copy()})
    assert found["b"]["difference"] == {"row": "a", "miou": 0.0, "ci": [0.0, 0.0]}
    assert found["a"]["ci"][1] - found["a"]["ci"][0] > 0.005
    with_gap = np.concatenate([a[:5], np.zeros_like(a[:1]), a[5:]])
    assert confidence({"a": with_gap})["a"] == found["a"]
    assert confidence({"a": a[:1]}) == {"a": {}}


def test_intervals_reach_table_and_json(tmp_path, capsys):
    """They are those of the pictures' own lines, as the run keeps them."""
    arguments = ["cartoon", "--weights", "cartoon", "--device", "cpu", "--seeds", "1000:1003"]
    more = ["--method", "datasetdiffusion,datasetdiffusion:tau=0", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as end:
        main([*arguments, *more])
    printed = capsys.readouterr().out
    assert not end.value.code
    methods = json.loads((tmp_path / "table.json").read_text())["methods"]
    lines = map(json.loads, (tmp_path / "part-0.jsonl").read_text().splitlines())
    data = open_dataset("cartoon", seeds=range(1000, 1003))
    n, kept = len(data.classes) + 1, {name: [] for name in methods}
    for line in sorted(lines, key=lambda line: line["id"]):
        for name, entries in line["rows"].items():
            m = np.zeros((n, n + 1), int)
            for i, j, count in entries:
                m[i, j] = count
            kept[name].append(m)
    found = confidence({name: counted(several) for name, several in kept.items()})
    first, second = methods
    assert methods[first]["ci"] == found[first]["ci"] and "difference" not in methods[first]
    assert methods[second]["difference"] == found[second]["difference"]
    (low, high), value = methods[first]["ci"], methods[first]["miou"]
    assert f"| {first} | {100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}] |  |" in printed
    assert f"| method | mIoU | against {first} |" in printed
    assert f"| {100 * methods[second]['difference']['miou']:+.1f} [" in printed


def test_an_interval_of_nothing_is_null():
    nothing = summary(np.zeros((5, 6), np.int64), WORLD) | {"ci": [float("nan")] * 2}
    report = {
        "dataset": "toy",
        "weights": "x",
        "candidates": "gt",
        "pictures": 0,
        "failed": 0,
        "methods": {"faseg": nothing},
    }
    assert json.loads(as_json(report))["methods"]["faseg"]["ci"] == [None, None]
    assert "| faseg | - [-, -] | - |" in markdown(report)


# ---- ceilings -----------------------------------------------------------------------------------
def test_perfect_maps_lose_only_what_cells_cannot_hold():
    """Exact where nothing is finer than a cell can say: pixels of their own, one label, an edge
    between two halves. A thing much smaller than a cell is gone."""
    noise = np.random.default_rng(0).integers(0, 5, (32, 32)).astype(np.uint8)
    assert np.array_equal(perfect_labels(noise, 32), noise)
    assert np.array_equal(perfect_labels(np.full((32, 32), 3, np.uint8), 4), np.full((32, 32), 3))
    halves = np.repeat(np.array([2, 4], np.uint8), 16)[None].repeat(32, 0)
    for cells in (2, 4, 16):
        assert np.array_equal(perfect_labels(halves, cells), halves)
    dot = np.zeros((32, 32), np.uint8)
    dot[8, 8] = 1
    assert not perfect_labels(dot, 4).any()


def test_ceilings_rise_with_the_cells():
    data = open_dataset("cartoon", seeds=range(1000, 1006))
    found = [ceiling(data, cells) for cells in (8, 16, 32, 128)]
    values = [f["miou"] for f in found]
    assert values == sorted(values) and values[-1] == 1 and 0.5 < values[0] < values[2] < 1
    assert found[1]["ci"][0] < values[1] and found[3]["ci"] == [1, 1]
