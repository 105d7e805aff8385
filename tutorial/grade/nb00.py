"""Notebook 00: pixel accuracy."""
import numpy as np

from minifaseg.evaluate import metrics

from . import is_number, write_it_yourself


@write_it_yourself(metrics.summary)
def check_0_1(student):
    def accuracy(labels, truth):
        labels, truth = (np.array(a, dtype=np.uint8) for a in (labels, truth))
        kept = labels.copy(), truth.copy()
        got = student.pixel_accuracy(labels, truth)
        assert np.array_equal(kept[0], labels) and np.array_equal(kept[1], truth), "your function changes its inputs; work on copies, or better, on masks"
        assert got is not None, "nothing is returned; return the share"
        assert isinstance(got, float), f"return a Python float, with float(...); yours is of type {type(got).__name__}"
        return got

    rng = np.random.default_rng(1)
    for shape in ((7, 12), (31, 5), (1, 40), (40, 50)):
        truth = rng.choice([0, 1, 2, 3, 255], size=shape, p=[.4, .3, .1, .05, .15])
        labels = np.where(rng.random(shape) < .6, truth, rng.integers(0, 4, shape))
        hit, known, foreground = labels == truth, truth != 255, (truth != 0) & (truth != 255)
        right = int((hit & known).sum())
        each = [hit[truth == c].mean() for c in (0, 1, 2, 3) if (truth == c).any()]
        union = [(hit & (truth == c)).sum() / (((labels == c) | (truth == c)) & known).sum() for c in (0, 1, 2, 3)]
        want, got = right / int(known.sum()), accuracy(labels, truth)
        is_number(got, want, f"on random labels of shape {shape} the share is another; yours says {got:.4f}", {
            "pixels whose truth is 255 must also leave the denominator: divide by the number of pixels that count, not by all": right / truth.size,
            "a pixel of truth 255 is not right either, even where the label is 255, too: it counts in neither number": hit.mean(),
            "a pixel of truth 255 is not right either: yours counts all of them as right": (hit | ~known).mean(),
            "a pixel of truth 255 is not right either: where the label is 255, too, yours counts it above the line but not below": hit.sum() / known.sum(),
            "it is the truth that decides what counts; yours leaves out pixels whose label is 255": hit[labels != 255].mean(),
            "it is the truth alone that decides what counts: a pixel labelled 255 counts, and is wrong; yours leaves it out": hit[known & (labels != 255)].mean(),
            "background counts as any label does; yours leaves out the pixels whose truth is 0": hit[foreground].mean(),
            "background counts as any label does, and 255 does not; yours leaves out pixels whose truth is 0, and keeps 255": hit[truth != 0].mean(),
            "background counts as any label does; yours leaves out the pixels whose label is 0": hit[known & (labels != 0)].mean(),
            "background counts as any label does; yours leaves out the pixels that are 0 in either map": hit[foreground & (labels != 0)].mean(),
            "every pixel counts alike; yours is the mean of each class's accuracy": np.mean(each),
            "every pixel counts alike; yours is the mean of each row's accuracy": np.mean([h[k].mean() for h, k in zip(hit, known) if k.any()]),
            "this is mIoU; here every pixel counts alike, right or wrong": np.mean(union),
            "a picture need not be square: yours looks at its first columns only, as many as it has rows": (hit & known)[:, :shape[0]].sum() / known[:, :shape[0]].sum(),
            "the count runs over at 256, as a uint8 does: count in a larger type": right % 256 / int(known.sum()),
            "that is the share of wrong pixels": 1 - want,
            "a share lies between 0 and 1; yours is in percent": 100 * want,
            "a number of pixels, not their share: divide by how many count": right,
            "do not round: the share is a number with all its digits": round(want, 2)}, 1e-5)
    for labels, truth, want, why in (
            ([[1, 1, 2, 2]], [[1, 1, 255, 255]], 1, "pixels of truth 255 do not count at all"),
            ([[1, 255]], [[1, 2]], 0.5, "the second pixel counts, and is wrong; it is the truth that decides what counts"),
            ([[1, 255, 3]], [[2, 255, 3]], 0.5, "a pixel of truth 255 is not right either, whatever its label is"),
            ([[0, 0, 0, 1]], [[0, 0, 0, 2]], 0.75, "background counts as any label does, every pixel alike"),
            ([[1, 2, 3]], [[3, 1, 2]], 0, "nothing is right here"),
            ([[254, 3]], [[254, 4]], 0.5, "254 is a label like any other")):
        got = accuracy(labels, truth)
        is_number(got, want, f"labels {labels[0]}, truth {truth[0]}: yours says {got:.4g}. {why[0].upper()}{why[1:]}")
