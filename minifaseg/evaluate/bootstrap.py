"""How far would a mIoU move on other pictures of the same kind? The bootstrap over pictures.

From S pictures, S are drawn with replacement: they make another data set. Its mIoU is computed as
the first one's was, from one confusion matrix over all its pictures. The middle 95 % of 2,000 such
values is the interval (percentile method; Efron and Tibshirani, An Introduction to the Bootstrap,
chapter 13). Two methods are scored on the same draws, so the interval of their difference leaves
out what makes all methods better or worse alike.
"""
import numpy as np

DRAWS = 2000
SEED = 0
SHARE = 0.95


def counts(matrix: np.ndarray) -> np.ndarray:
    """(n, n + 1) confusion matrix -> (3, n): pixels found, true and predicted of every label."""
    return np.stack([np.diag(matrix), matrix.sum(1), matrix[:, :-1].sum(0)])


def miou(counted: np.ndarray) -> np.ndarray:
    """(..., 3, n) -> (...): the mean over labels that occur, NaN where none does."""
    found, true, predicted = np.moveaxis(counted, -2, 0)
    union = true + predicted - found
    iou = np.divide(found, union, out=np.zeros(union.shape), where=union > 0)
    occurring = (union > 0).sum(-1)
    nothing = np.full(occurring.shape, np.nan)
    return np.divide(iou.sum(-1), occurring, out=nothing, where=occurring > 0)


def resampled(each: np.ndarray, draws: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """(S, 3, n) counts of S pictures -> (draws,) mIoU of data sets drawn from them.

    Equal S and seed draw the same pictures.
    """
    S = len(each)
    drawn = np.random.default_rng(seed).multinomial(S, np.full(S, 1 / S), draws)    # (draws, S)
    totals = drawn.astype(float) @ each.reshape(S, -1)                              # exact: < 2^53
    return miou(totals.reshape(draws, *each.shape[1:]))


def interval(values: np.ndarray, share: float = SHARE) -> list[float]:
    """[low, high]: the middle `share` of the values."""
    tail = (1 - share) / 2
    return np.nanquantile(values, (tail, 1 - tail)).tolist()


def confidence(counted: dict[str, np.ndarray], background: bool = True) -> dict[str, dict]:
    """The interval of every row's mIoU, and of its difference to the first row.

    counted: {row: (S, 3, n)}; background: is label 0 a class? Returns {row: {"ci": [low, high],
    "difference": {"row": the first, "miou": how much higher than that, "ci": [low, high]}}}. The
    first row has no difference. With fewer than two pictures every row's dict is empty. Pictures
    that count no pixel in the first row are left out.
    """
    first, *others = counted
    kept = counted[first][:, 1].sum(1) > 0
    if kept.sum() < 2:
        return {row: {} for row in counted}

    labels = slice(0 if background else 1, None)
    each = {row: c[kept][:, :, labels] for row, c in counted.items()}
    drawn = {row: resampled(c) for row, c in each.items()}
    found: dict[str, dict] = {row: {"ci": interval(values)} for row, values in drawn.items()}
    for row in others:
        higher = miou(each[row].sum(0)) - miou(each[first].sum(0))
        found[row]["difference"] = {"row": first, "miou": float(higher),
                                    "ci": interval(drawn[row] - drawn[first])}
    return found
