"""From label maps to numbers: one confusion matrix over a whole split, and what is read off it.

A matrix is (n, n + 1), where n counts the background and the K classes. Rows: true label. Columns:
predicted label; the last column is no class at all ("uncertain" pixels, segments without a
partner), which is wrong for the true class and counts against no other.
"""
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .datasets import IGNORE, Dataset


def confusion(truth: np.ndarray, prediction: np.ndarray, n: int) -> np.ndarray:
    """(n, n + 1) counts of two (H, W) label maps.

    Pixels whose truth is 255 do not count; predictions from n on are no class. Raises InputError
    for maps of different shapes, and for what are no labels: fractions, numbers below 0, a truth
    from n on.
    """
    truth, prediction = check_maps(truth, prediction, n)
    kept = truth != IGNORE
    t = truth[kept].astype(np.int64)
    p = np.minimum(prediction[kept].astype(np.int64), n)
    return np.bincount(t * (n + 1) + p, minlength=n * (n + 1)).reshape(n, n + 1)


def check_maps(truth: np.ndarray, prediction: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays; raises InputError if they cannot be compared pixel by pixel."""
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape:
        raise InputError(f"label maps of {by(truth.shape)} and {by(prediction.shape)}; they must "
                         "be of one shape (H, W), the prediction at the size of the truth")
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if labels.dtype.kind not in "uib":
            raise InputError(f"a {name} of {labels.dtype}; labels are whole numbers")
        if labels.size and labels.min() < 0:
            raise InputError(f"a {name} with the label {labels.min()}; labels begin at 0")
    known = truth[truth != IGNORE]
    if known.size and known.max() >= n:
        raise InputError(f"a truth with the label {known.max()}; with the background there are "
                         f"{n}, 0 to {n - 1}, and {IGNORE} does not count")
    return truth, prediction


def by(shape: Sequence[int]) -> str:
    """(2, 3) -> "2 x 3"."""
    return " x ".join(map(str, shape))


def match(truth: np.ndarray, segments: np.ndarray, n: int) -> np.ndarray:
    """Nameless segments 1..P (H, W) -> labels (H, W), by Hungarian matching in one picture.

    Each segment takes one class, each class at most one segment, so that as many pixels as possible
    agree (as DiffSeg is scored). Segments that are left over become n, no class. Needs scipy.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise InputError("matching segments to classes needs scipy: "
                         'pip install "minifaseg[evaluate]"') from None
    truth, segments = check_maps(truth, segments, n)
    kept = truth != IGNORE
    P = int(segments.max()) + 1
    pairs = segments[kept].astype(np.int64) * n + truth[kept]
    shared = np.bincount(pairs, minlength=P * n).reshape(P, n)              # pixels in common
    labels = np.full(P, n, np.uint8)
    rows, columns = linear_sum_assignment(-shared)
    agree = shared[rows, columns] > 0
    labels[rows[agree]] = columns[agree]
    return labels[segments]


def iou(matrix: np.ndarray) -> np.ndarray:
    """(n,) intersection over union per label; NaN where neither truth nor prediction has it."""
    hit = np.diag(matrix).astype(float)
    with np.errstate(invalid="ignore"):
        return hit / (matrix.sum(1) + matrix[:, :-1].sum(0) - hit)


def summary(matrix: np.ndarray, dataset: Dataset) -> dict:
    """The measures of one method on one data set, all from 0 to 1.

    NaN (JSON: null) where there is nothing to count. miou: without the absent classes, those that
    occur in neither truth nor prediction (mmsegmentation's rule); miou_absent_zero: absent classes
    count as 0 (the rule of FA-Seg's release); things: the mean over countable objects; per_class:
    {class: IoU}. Raises InputError for a matrix of another number of classes.
    """
    n = len(dataset.classes) + 1
    if matrix.shape != (n, n + 1):
        raise InputError(f"a matrix of {by(matrix.shape)} for {n - 1} classes, "
                         f"which need {n} x {n + 1}")
    first = 0 if dataset.background else 1
    names = ("background", *dataset.classes)[first:]
    each = iou(matrix)[first:]
    counted = bool(matrix.any())
    return {"miou": mean(each),
            "miou_absent_zero": float(np.nan_to_num(each).mean()) if counted else float("nan"),
            "pixel_accuracy": float(np.trace(matrix) / matrix.sum()) if counted else float("nan"),
            "things": mean(each[np.isin(names, dataset.things)]),
            "per_class": dict(zip(names, each.tolist()))}


def mean(values: np.ndarray) -> float:
    """The mean of those that are not NaN; NaN if there is none."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
