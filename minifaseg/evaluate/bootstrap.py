"""How far would a mIoU move on other pictures of the same kind? The bootstrap over pictures.

As many pictures as there are, drawn with replacement, make another data set; its mIoU is computed
as the first one's was, from one confusion matrix over all. The middle 95 % of 2,000 such values is
the interval (percentile method; Efron and Tibshirani, An Introduction to the Bootstrap, chapter
13). Two methods see the same draws, so the interval of their difference leaves out what makes all
of them better or worse alike.
"""
import numpy as np

DRAWS, SEED, SHARE = 2000, 0, 0.95


def counts(matrix):
    """(n, n + 1) confusion matrix -> (3, n): pixels found, true and predicted of every label."""
    return np.stack([np.diag(matrix), matrix.sum(1), matrix[:, :-1].sum(0)])


def miou(counted):
    """(..., 3, n) -> (...): the mean over labels that occur, NaN where none does."""
    found, true, predicted = np.moveaxis(counted, -2, 0)
    union = true + predicted - found
    each = np.divide(found, union, out=np.zeros(union.shape), where=union > 0)
    occur = (union > 0).sum(-1)
    return np.divide(each.sum(-1), occur, out=np.full(occur.shape, np.nan), where=occur > 0)


def resampled(each, draws=DRAWS, seed=SEED):
    """(S, 3, n) counts of S pictures -> (draws,) mIoU of data sets drawn from them; the same
    pictures for equal S and seed."""
    S = len(each)
    drawn = np.random.default_rng(seed).multinomial(S, np.full(S, 1 / S), draws)    # (draws, S)
    totals = drawn.astype(float) @ each.reshape(S, -1)                              # exact: < 2^53
    return miou(totals.reshape(draws, *each.shape[1:]))


def interval(values, share=SHARE):
    """[low, high]: the middle `share` of the values."""
    tail = (1 - share) / 2
    return [float(v) for v in np.nanquantile(values, (tail, 1 - tail))]


def confidence(counted, background=True):
    """{row: (S, 3, n)} -> {row: {"ci": [low, high], "difference": {"row": the first, "miou": how
    much higher than that, "ci": [low, high]}}}; the first has no difference, and nobody has
    anything where there are fewer than two pictures.

    Pictures that count no pixel in the first row are left out. background: is label 0 a class?
    """
    first = next(iter(counted))
    kept = counted[first][:, 1].sum(1) > 0
    if kept.sum() < 2:
        return {row: {} for row in counted}
    labels = slice(0 if background else 1, None)
    each = {row: c[kept][:, :, labels] for row, c in counted.items()}
    drawn = {row: resampled(c) for row, c in each.items()}
    found = {row: {"ci": interval(values)} for row, values in drawn.items()}
    for row in list(counted)[1:]:
        higher = miou(each[row].sum(0)) - miou(each[first].sum(0))
        found[row]["difference"] = {"row": first, "miou": float(higher),
                                    "ci": interval(drawn[row] - drawn[first])}
    return found
