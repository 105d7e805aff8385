"""Notebook 06: second right answers, and wrong ones that the grader must catch."""
ANSWERS = {
    "6.1": {
        "second": '''
def merge(scores):
    W = scores.shape[-1]
    out = torch.empty_like(scores[0])
    for j in range(W):
        out[..., j] = 0.5 * scores[0, ..., j] + 0.5 * scores[1, ..., W - 1 - j]
    return out
''',
        "third": '''
def merge(scores):
    both = torch.stack([scores[0], torch.fliplr(scores[1].movedim(0, -1)).movedim(-1, 0)])
    return both.mean(dim=0)
''',
        "wrong": {
            "flip forgotten": '''
def merge(scores):
    return scores.mean(0)
''',
            "flipped upside down": '''
def merge(scores):
    return (scores[0] + scores[1].flip(-2)) / 2
''',
            "flipped over the classes": '''
def merge(scores):
    return (scores[0] + scores[1].flip(0)) / 2
''',
            "flipped after the mean": '''
def merge(scores):
    return scores.mean(0).flip(-1)
''',
            "the picture's view turned": '''
def merge(scores):
    return (scores[0].flip(-1) + scores[1]) / 2
''',
            "sum instead of mean": '''
def merge(scores):
    return scores[0] + scores[1].flip(-1)
''',
            "changes its input": '''
def merge(scores):
    scores[1] = scores[1].flip(-1)
    return scores.mean(0)
''',
            "keeps the axis of views": '''
def merge(scores):
    return (scores[:1] + scores[1:].flip(-1)) / 2
''',
            "half turn": '''
def merge(scores):
    return (scores[0] + scores[1].flip(-1, -2)) / 2
''',
            "classes flipped, too": '''
def merge(scores):
    picture, mirrored = scores
    return (picture + torch.flip(mirrored, (0, 2))) / 2
''',
            "larger": '''
def merge(scores):
    return torch.maximum(scores[0], scores[1].flip(-1))
''',
            "precedence": '''
def merge(scores):
    return scores[0] + scores[1].flip(-1) / 2
''',
            "classes last": '''
def merge(scores):
    picture, mirrored = scores
    return ((picture + mirrored.flip(-1)) / 2).permute(1, 2, 0)
''',
            "NumPy's step": '''
def merge(scores):
    return (scores[0] + scores[1][..., ::-1]) / 2
''',
            "package merge": '''
def merge(scores):
    from minifaseg import ttf
    return ttf.merge(scores)
''',
            "package merge by name": '''
def merge(scores):
    from minifaseg.ttf import merge as together
    return together(scores)
''',
        },
    },
    "6.2": {
        "second": '''
def label(scores, threshold):
    out = torch.zeros(scores.shape[1:], dtype=torch.int64)
    best = torch.full(scores.shape[1:], float("-inf"))
    for i, s in enumerate(scores):
        better = (s >= threshold) & (s > best)
        out[better] = i + 1
        best = torch.maximum(best, s)
    return out
''',
        "third": '''
def label(scores, threshold):
    background = torch.full_like(scores[:1], -torch.inf)
    kept = torch.where(scores >= threshold, scores, -torch.inf)
    best = torch.cat([background, kept])
    return torch.where((scores >= threshold).any(0), best.argmax(0), 0)
''',
        "wrong": {
            "strictly above the threshold": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return (k + 1) * (best > threshold)
''',
            "classes from 0": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return k * (best >= threshold)
''',
            "background where it is above": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return (k + 1) * (best < threshold)
''',
            "no threshold": '''
def label(scores, threshold):
    return scores.argmax(0) + 1
''',
            "the last class above the threshold": '''
def label(scores, threshold):
    out = torch.zeros(scores.shape[1:], dtype=torch.long)
    for i, s in enumerate(scores):
        out[s >= threshold] = i + 1
    return out
''',
            "floats": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return (k + 1.0) * (best >= threshold)
''',
            "best along the wrong axis": '''
def label(scores, threshold):
    best, k = scores.max(-1)
    return (k + 1) * (best >= threshold)
''',
            "background as a class of score threshold, but below 0 never": '''
def label(scores, threshold):
    kept = torch.where(scores >= threshold, scores, torch.zeros(()))
    best, k = kept.max(0)
    return (k + 1) * (best > 0)
''',
            "above the threshold": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return torch.where(best > threshold, k + 1, 0)
''',
            "counted from 0": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return torch.where(best >= threshold, k, 0)
''',
            "first that reaches": '''
def label(scores, threshold):
    labels = torch.zeros(scores.shape[1:], dtype=torch.long)
    for c, score in enumerate(scores):
        labels[(score >= threshold) & (labels == 0)] = c + 1
    return labels
''',
            "last that reaches": '''
def label(scores, threshold):
    labels = torch.zeros(scores.shape[1:], dtype=torch.long)
    for c, score in enumerate(scores):
        labels[score >= threshold] = c + 1
    return labels
''',
            "background first": '''
def label(scores, threshold):
    background = torch.full_like(scores[:1], threshold)
    return torch.cat([background, scores]).argmax(0)
''',
            "two classes": '''
def label(scores, threshold):
    k = torch.where(scores[0] >= scores[1], 1, 2)
    return torch.where(scores.amax(0) >= threshold, k, 0)
''',
            "sum of scores": '''
def label(scores, threshold):
    return torch.where(scores.sum(0) >= threshold, scores.argmax(0) + 1, 0)
''',
            "0.5": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return torch.where(best >= 0.5, k + 1, 0)
''',
            "zero is background": '''
def label(scores, threshold):
    kept = torch.where(scores >= threshold, scores, 0)
    return torch.where(kept.amax(0) > 0, kept.argmax(0) + 1, 0)
''',
            "along the width": '''
def label(scores, threshold):
    best, k = scores.max(-1)
    return torch.where(best >= threshold, k + 1, 0)
''',
            "relative threshold": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return torch.where(best >= threshold * best.max(), k + 1, 0)
''',
            "uint8 numpy": '''
def label(scores, threshold):
    best, k = scores.max(0)
    return torch.where(best >= threshold, k + 1, 0).numpy()
''',
            "package label": '''
def label(scores, threshold):
    from minifaseg import labelling
    K, H, W = scores.shape
    return torch.from_numpy(labelling.label(scores, (W, H), threshold)).long()
''',
        },
    },
    "6.3": {
        "second": '''
def confusion(truth, labels, n):
    rows = [[((truth == i) & (labels == j)).sum() for j in range(n)] for i in range(n)]
    return torch.tensor(rows)
''',
        "third": '''
def confusion(truth, labels, n):
    truth, labels = truth.flatten().long(), labels.flatten().long()
    M = torch.zeros(256, n, dtype=torch.int64)
    M.index_put_((truth, labels), torch.ones_like(truth), accumulate=True)
    return M[:n]
''',
        "wrong": {
            "transposed": '''
def confusion(truth, labels, n):
    known = truth != 255
    return torch.bincount(labels[known].long() * n + truth[known].long(), minlength=n * n).reshape(n, n)
''',
            "255 counted as class 0": '''
def confusion(truth, labels, n):
    truth = torch.where(truth == 255, 0, truth.long())
    return torch.bincount((truth * n + labels.long()).flatten(), minlength=n * n).reshape(n, n)
''',
            "repeated pairs count once": '''
def confusion(truth, labels, n):
    known = truth != 255
    M = torch.zeros(n, n, dtype=torch.long)
    M[truth[known].long(), labels[known].long()] += 1
    return M
''',
            "no minlength": '''
def confusion(truth, labels, n):
    known = truth != 255
    counts = torch.bincount(truth[known].long() * n + labels[known].long())
    side = int(len(counts) ** 0.5)
    return counts[:side * side].reshape(side, side)
''',
            "8 bits run over": '''
def confusion(truth, labels, n):
    known = truth != 255
    pairs = truth[known] * n + labels[known]
    return torch.bincount(pairs, minlength=n * n)[:n * n].reshape(n, n)
''',
            "shares instead of counts": '''
def confusion(truth, labels, n):
    known = truth != 255
    M = torch.bincount(truth[known].long() * n + labels[known].long(), minlength=n * n).reshape(n, n)
    return M / M.sum()
''',
            "only labels other than 255 count": '''
def confusion(truth, labels, n):
    known = labels != 255
    M = torch.zeros(256, 256, dtype=torch.long)
    for t, p in zip(truth[known].tolist(), labels[known].tolist()):
        M[min(t, n - 1), p] += 1
    return M[:n, :n]
''',
            "transposed, again": '''
def confusion(truth, labels, n):
    known = truth != 255
    pairs = labels[known].long() * n + truth[known].long()
    return torch.bincount(pairs, minlength=n * n).reshape(n, n)
''',
            "255 counted": '''
def confusion(truth, labels, n):
    pairs = truth.clamp_max(n - 1).long() * n + labels.long()
    return torch.bincount(pairs.flatten(), minlength=n * n).reshape(n, n)
''',
            "255 as background": '''
def confusion(truth, labels, n):
    truth = torch.where(truth == 255, 0, truth)
    pairs = truth.long() * n + labels.long()
    return torch.bincount(pairs.flatten(), minlength=n * n).reshape(n, n)
''',
            "255 of the labels": '''
def confusion(truth, labels, n):
    known = labels != 255
    pairs = truth[known].long() * n + labels[known].long()
    return torch.bincount(pairs, minlength=n * n).reshape(n, n)
''',
            "no minlength, again": '''
def confusion(truth, labels, n):
    known = truth != 255
    pairs = truth[known].long() * n + labels[known].long()
    return torch.bincount(pairs).reshape(n, n)
''',
            "counts in uint8": '''
def confusion(truth, labels, n):
    known = truth != 255
    M = torch.zeros(n, n, dtype=torch.uint8)
    M.index_put_((truth[known].long(), labels[known].long()), torch.tensor(1, dtype=torch.uint8), accumulate=True)
    return M
''',
            "floats": '''
def confusion(truth, labels, n):
    known = truth != 255
    M = torch.zeros(n, n)
    M.index_put_((truth[known].long(), labels[known].long()), torch.tensor(1.0), accumulate=True)
    return M
''',
            "adds up": '''
def confusion(truth, labels, n, matrices={}):
    known = truth != 255
    pairs = truth[known].long() * n + labels[known].long()
    M = matrices.setdefault(n, torch.zeros(n, n, dtype=torch.long))
    M += torch.bincount(pairs, minlength=n * n).reshape(n, n)
    return M
''',
            "shares": '''
def confusion(truth, labels, n):
    known = truth != 255
    pairs = truth[known].long() * n + labels[known].long()
    M = torch.bincount(pairs, minlength=n * n).reshape(n, n)
    return M / M.sum(1, keepdim=True).clamp_min(1)
''',
            "background left out": '''
def confusion(truth, labels, n):
    known = (truth != 255) & (truth != 0)
    pairs = truth[known].long() * n + labels[known].long()
    return torch.bincount(pairs, minlength=n * n).reshape(n, n)
''',
            "square loop": '''
def confusion(truth, labels, n):
    M = torch.zeros(n, n, dtype=torch.long)
    for y in range(truth.shape[0]):
        for x in range(truth.shape[0]):
            if truth[y, x] != 255:
                M[truth[y, x], labels[y, x]] += 1
    return M
''',
            "package confusion": '''
def confusion(truth, labels, n):
    from minifaseg.evaluate import metrics
    return torch.from_numpy(metrics.confusion(truth.numpy(), labels.numpy(), n)[:, :n].copy())
''',
        },
    },
    "6.4": {
        "second": '''
def choose_threshold(scores):
    best = scores.amax(0).flatten().sort().values                   # Otsu: the cut between two groups that differ most
    n = len(best)
    if n < 2:
        return 0.0
    below = torch.arange(1, n)
    low = best.cumsum(0)[:-1] / below
    high = (best.sum() - best.cumsum(0)[:-1]) / (n - below)
    i = (below * (n - below) * (high - low) ** 2).argmax()
    if low[i] > high[i] / 2:                                        # the lower group is not low: nothing to reject
        return 0.0
    return ((best[i] + best[i + 1]) / 2).item()
''',
        "third": '''
def choose_threshold(scores):
    best = scores.amax(0)
    share = (best < 0.25).float().mean().item()                     # a share of the area that nobody claims
    return 0.4 if share > 0.05 else 0.0
''',
        "wrong": {
            "a constant": '''
def choose_threshold(scores):
    return 0.3
''',
            "a constant, the best of its kind": '''
def choose_threshold(scores):
    return 0.2
''',
            "Otsu, always two groups": '''
def choose_threshold(scores):
    best = scores.amax(0).flatten().sort().values
    n = len(best)
    if n < 2:
        return 0.0
    below = torch.arange(1, n)
    low = best.cumsum(0)[:-1] / below
    high = (best.sum() - best.cumsum(0)[:-1]) / (n - below)
    i = (below * (n - below) * (high - low) ** 2).argmax()
    return ((best[i] + best[i + 1]) / 2).item()
''',
            "Otsu over the scores of all classes": '''
def choose_threshold(scores):
    best = scores.flatten().sort().values
    n = len(best)
    if n < 2:
        return 0.0
    below = torch.arange(1, n)
    low = best.cumsum(0)[:-1] / below
    high = (best.sum() - best.cumsum(0)[:-1]) / (n - below)
    i = (below * (n - below) * (high - low) ** 2).argmax()
    return ((best[i] + best[i + 1]) / 2).item()
''',
            "largest gap": '''
def choose_threshold(scores):
    best = scores.amax(0).flatten().sort().values
    if len(best) < 2:
        return 0.0
    i = best.diff().argmax()
    return ((best[i] + best[i + 1]) / 2).item()
''',
            "a share of the highest score, which is about 1 everywhere": '''
def choose_threshold(scores):
    return 0.3 * scores.max().item()
''',
            "half of the mean": '''
def choose_threshold(scores):
    return scores.amax(0).mean().item() / 2
''',
            "a fixed share of the area": '''
def choose_threshold(scores):
    return scores.amax(0).quantile(0.3).item()
''',
            "upside down": '''
def choose_threshold(scores):
    return 0.4 if (scores.amax(0) < 0.25).float().mean() < 0.05 else 0.0
''',
            "the first class alone": '''
def choose_threshold(scores):
    return 0.4 if (scores[0] < 0.25).float().mean() > 0.05 else 0.0
''',
            "a tensor": '''
def choose_threshold(scores):
    return scores.amax(0).min()
''',
            "random": '''
def choose_threshold(scores):
    return torch.rand(()).item()
''',
            "an empty group": '''
def choose_threshold(scores):
    best = scores.amax(0)
    low = best[best < best.mean()].mean().item()
    return low if low < 0.4 else 0.0
''',
            "writes into the scores": '''
def choose_threshold(scores):
    scores[scores < 0.25] = 0
    return 0.4 if (scores.amax(0) == 0).float().mean() > 0.05 else 0.0
''',
        },
    },
}
