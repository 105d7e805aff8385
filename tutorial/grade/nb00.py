"""Notebook 00: pixel accuracy."""
import numpy as np


def check_0_1(student):
    def accuracy(labels, truth):
        labels, truth = (np.array(a, dtype=np.uint8) for a in (labels, truth))
        kept = labels.copy(), truth.copy()
        got = student.pixel_accuracy(labels, truth)
        assert np.array_equal(kept[0], labels) and np.array_equal(kept[1], truth), "your function changes its inputs; work on copies, or better, on masks"
        assert isinstance(got, float), f"return a Python float, with float(...); yours is of type {type(got).__name__}"
        return got

    got = accuracy([[1, 1, 2, 2]], [[1, 1, 255, 255]])
    assert abs(got - 0.5) > 1e-6, "2 right pixels and 2 whose truth is 255: that is 1.0, yours says 0.5. Pixels of truth 255 must also leave the denominator"
    assert abs(got - 1) < 1e-6, f"labels 1 1 2 2, truth 1 1 255 255: that is 1.0, a share; yours says {got:.4g}"
    got = accuracy([[1, 255]], [[1, 2]])
    assert abs(got - 0.5) < 1e-6, f"labels 1 255, truth 1 2: the second pixel counts, and is wrong, so 0.5; yours says {got:.4g}. It is the truth that decides what counts"
    got = accuracy([[1, 255, 3]], [[2, 255, 3]])
    assert abs(got - 0.5) < 1e-6, f"labels 1 255 3, truth 2 255 3: a pixel of truth 255 is not right either, so 0.5; yours says {got:.4g}"
    got = accuracy([[0, 0, 0, 1]], [[0, 0, 0, 2]])
    assert abs(got - 0.75) < 1e-6, f"labels 0 0 0 1, truth 0 0 0 2: background counts as any label does, every pixel alike, so 0.75; yours says {got:.4g}"
    rng = np.random.default_rng(1)
    for shape in ((7, 12), (31, 5), (1, 40)):
        truth = rng.choice([0, 1, 2, 3, 255], size=shape, p=[.4, .3, .1, .05, .15])
        labels = np.where(rng.random(shape) < .6, truth, rng.integers(0, 4, shape))
        right = sum(int(label == t) for label, t in zip(labels.ravel(), truth.ravel()) if t != 255)
        want, got = right / int((truth != 255).sum()), accuracy(labels, truth)
        assert abs(got - want) < 1e-5, f"on random labels of shape {shape} it should be {want:.4f}; yours says {got:.4f}"
