"""From label maps to numbers: one confusion matrix over a whole split, and what can be read off it.

A matrix is (n, n + 1), n = background and K classes; rows: true label, columns: predicted, the last one: no class at all ("uncertain"
pixels, segments without a partner), which is wrong for the true class and held against no other.
"""
import numpy as np

from ..errors import InputError
from .datasets import IGNORE


def confusion(truth, prediction, n):
    """(n, n + 1) counts of two (H, W) label maps; pixels whose truth is 255 do not count,
    predictions from n on are no class.

    Raises InputError for maps of different shapes, and for what are no labels: fractions, numbers
    below 0, a truth from n on.
    """
    truth, prediction = check_maps(truth, prediction, n)
    kept = truth != IGNORE
    t, p = truth[kept].astype(np.int64), np.minimum(prediction[kept].astype(np.int64), n)
    return np.bincount(t * (n + 1) + p, minlength=n * (n + 1)).reshape(n, n + 1)


def check_maps(truth, other, n):
    """Both as arrays, if they can be compared pixel by pixel."""
    truth, other = np.asarray(truth), np.asarray(other)
    if truth.shape != other.shape:
        raise InputError(f"label maps of {by(truth.shape)} and {by(other.shape)}; they must be of "
                         "one shape (H, W), the prediction at the size of the truth")
    for name, labels in (("truth", truth), ("prediction", other)):
        if labels.dtype.kind not in "uib":
            raise InputError(f"a {name} of {labels.dtype}; labels are whole numbers")
        if labels.size and labels.min() < 0:
            raise InputError(f"a {name} with the label {labels.min()}; labels begin at 0")
    known = truth[truth != IGNORE]
    if known.size and known.max() >= n:
        raise InputError(f"a truth with the label {known.max()}; with the background there are "
                         f"{n}, 0 to {n - 1}, and {IGNORE} does not count")
    return truth, other


def by(shape):
    return " x ".join(map(str, shape))


def match(truth, segments, n):
    """Nameless segments 1..P (H, W) -> labels: each takes the class with which it shares most, one to one, so that the pixels that
    agree are most (Hungarian matching per picture, as DiffSeg is scored); segments left over become n, no class."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise InputError('matching segments to classes needs scipy: pip install "minifaseg[evaluate]"') from None
    truth, segments = check_maps(truth, segments, n)
    kept = truth != IGNORE
    P = int(segments.max()) + 1
    shared = np.bincount(segments[kept].astype(np.int64) * n + truth[kept], minlength=P * n).reshape(P, n)
    names = np.full(P, n, np.uint8)
    rows, columns = linear_sum_assignment(-shared)
    agree = shared[rows, columns] > 0
    names[rows[agree]] = columns[agree]
    return names[segments]


def iou(matrix):
    """(n,) intersection over union per label; NaN where neither truth nor prediction has it."""
    hit = np.diag(matrix).astype(float)
    with np.errstate(invalid="ignore"):
        return hit / (matrix.sum(1) + matrix[:, :-1].sum(0) - hit)


def summary(matrix, dataset):
    """The numbers of one method on one data set, all from 0 to 1; NaN (JSON: null) where there is nothing to count.

    miou drops classes that occur in neither truth nor prediction (mmsegmentation's rule); miou_absent_zero counts them as 0 (the rule
    of FA-Seg's release); things: the mean over countable objects.
    """
    n = len(dataset.classes) + 1
    if matrix.shape != (n, n + 1):
        raise InputError(f"a matrix of {by(matrix.shape)} for {n - 1} classes, "
                         f"which need {n} x {n + 1}")
    first = 0 if dataset.background else 1
    names = ("background", *dataset.classes)[first:]
    each = iou(matrix)[first:]
    mean = lambda x: float(np.nanmean(x)) if np.isfinite(x).any() else float("nan")
    pixels, hits = matrix.sum(), np.diag(matrix).sum()
    absent_zero = float(np.nan_to_num(each).mean()) if pixels else float("nan")
    accuracy = float(hits / pixels) if pixels else float("nan")
    return {"miou": mean(each), "miou_absent_zero": absent_zero, "pixel_accuracy": accuracy,
            "things": mean(np.array([v for name, v in zip(names, each) if name in dataset.things] or [np.nan])),
            "per_class": dict(zip(names, each.tolist()))}
