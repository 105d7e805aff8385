"""What would perfect maps on coarse cells reach?

That is the ceiling of every method that reads attention of so many cells and up-samples it.
"""
import numpy as np
import torch
import torch.nn.functional as F

from ..labelling import upsample
from .bootstrap import confidence, counts
from .datasets import Dataset
from .metrics import confusion, summary


def perfect_labels(truth: np.ndarray, cells: int) -> np.ndarray:
    """Labels (H, W) -> (H, W), as the best possible maps of cells x cells would give them.

    Each label's map holds its share of every cell. The maps are up-sampled as FA-Seg's scores are
    (bicubic), and each pixel takes the label with the highest value. Background is a map like the
    others. Labels that do not occur cannot be chosen.
    """
    labels = np.unique(truth)
    maps = torch.from_numpy(truth[None] == labels[:, None, None]).float()                # (L, H, W)
    shares = F.adaptive_avg_pool2d(maps, cells)                                  # (L, cells, cells)
    fine = upsample(shares, truth.shape[::-1])                                           # (L, H, W)
    return labels[fine.argmax(0).numpy()]


def ceiling(dataset: Dataset, cells: int) -> dict:
    """The summary (metrics.py) of perfect maps, and their "ci" (bootstrap.py).

    The data set must have no ignored pixels.
    """
    n = len(dataset.classes) + 1
    matrices = []
    for id in dataset.ids:
        _, truth = dataset.read(id)
        matrices.append(confusion(truth, perfect_labels(truth, cells), n))
    each = np.stack([counts(matrix) for matrix in matrices])
    found = confidence({"ceiling": each}, dataset.background)["ceiling"]
    return summary(np.sum(matrices, axis=0), dataset) | found
