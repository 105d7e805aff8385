"""What would perfect maps on coarse cells reach? The ceiling of every method that reads attention
of so many cells and up-samples it."""
import numpy as np
import torch
import torch.nn.functional as F

from ..labelling import upsample
from .bootstrap import confidence, counts
from .metrics import confusion, summary


def perfect_labels(truth, cells):
    """(H, W) labels -> (H, W): the share of every label in each of cells x cells, up-sampled as
    FA-Seg's scores are (bicubic), and the label with most.

    Background is a map like the others. Labels that occur nowhere cannot be chosen.
    """
    labels = np.unique(truth)
    maps = torch.from_numpy(truth[None] == labels[:, None, None]).float()                # (L, H, W)
    shares = F.adaptive_avg_pool2d(maps, cells)
    fine = upsample(shares, truth.shape[::-1])
    return labels[fine.argmax(0).numpy()]


def ceiling(dataset, cells):
    """The summary (see metrics.py) of perfect maps on a data set without ignored pixels, and their
    "ci" (see bootstrap.py)."""
    n, each = len(dataset.classes) + 1, []
    total = np.zeros((n, n + 1), np.int64)
    for id in dataset.ids:
        _, truth = dataset.read(id)
        matrix = confusion(truth, perfect_labels(truth, cells), n)
        total += matrix
        each.append(counts(matrix))
    found = confidence({"ceiling": np.stack(each)}, dataset.background)["ceiling"]
    return summary(total, dataset) | found
