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
        },
    },
    "6.3": {
        "second": '''
def confusion(truth, labels, n):
    rows = [[((truth == i) & (labels == j)).sum() for j in range(n)] for i in range(n)]
    return torch.tensor(rows)
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
        },
    },
}
