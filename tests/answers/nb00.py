"""Notebook 00: second right solutions, and what is easily got wrong."""
ANSWERS = {
    "0.1": {
        "second": '''
def pixel_accuracy(labels, truth):
    right = total = 0
    for l, t in zip(labels.ravel().tolist(), truth.ravel().tolist()):
        if t != 255:
            total += 1
            right += l == t
    return right / total
''',
        "third": '''
def pixel_accuracy(labels, truth):
    from minifaseg.evaluate.metrics import confusion            # counting by the package is allowed
    counts = confusion(truth, labels, 255)
    return float(np.trace(counts) / counts.sum())
''',
        "wrong": {
            "255 counts as wrong": '''
def pixel_accuracy(labels, truth):
    return float((labels == truth).mean())
''',
            "divides by all pixels": '''
def pixel_accuracy(labels, truth):
    return float(((labels == truth) & (truth != 255)).sum() / truth.size)
''',
            "pixels that are not labelled do not count": '''
def pixel_accuracy(labels, truth):
    kept = labels != 255
    return float((labels == truth)[kept].mean())
''',
            "neither map may be 255": '''
def pixel_accuracy(labels, truth):
    kept = (labels != 255) & (truth != 255)
    return float((labels == truth)[kept].mean())
''',
            "255 counts as right": '''
def pixel_accuracy(labels, truth):
    return float(((labels == truth) | (truth == 255)).mean())
''',
            "background does not count": '''
def pixel_accuracy(labels, truth):
    kept = (truth != 255) & (truth != 0)
    return float((labels == truth)[kept].mean())
''',
            "mean over classes": '''
def pixel_accuracy(labels, truth):
    classes = [c for c in np.unique(truth) if c != 255]
    return float(np.mean([(labels == truth)[truth == c].mean() for c in classes]))
''',
            "percent": '''
def pixel_accuracy(labels, truth):
    return 100 * float((labels == truth)[truth != 255].mean())
''',
            "writes into the truth": '''
def pixel_accuracy(labels, truth):
    kept = truth != 255
    labels[~kept] = 0
    truth[~kept] = 1
    return float((labels == truth).sum() / kept.sum())
''',
            "divides by all pixels, again": '''
def pixel_accuracy(labels, truth):
    hits = (labels == truth) & (truth != 255)
    return float(hits.sum() / truth.size)
''',
            "255 of the labels": '''
def pixel_accuracy(labels, truth):
    counts = labels != 255
    return float((labels == truth)[counts].mean())
''',
            "255 counts as right, again": '''
def pixel_accuracy(labels, truth):
    right = np.where(truth == 255, True, labels == truth)
    return float(right.mean())
''',
            "background left out": '''
def pixel_accuracy(labels, truth):
    counts = (truth != 255) & (truth != 0)
    return float((labels == truth)[counts].mean())
''',
            "percent, again": '''
def pixel_accuracy(labels, truth):
    counts = truth != 255
    return 100.0 * float((labels == truth)[counts].mean())
''',
            "hits in uint8": '''
def pixel_accuracy(labels, truth):
    counts = truth != 255
    hits = ((labels == truth) & counts).sum(dtype=np.uint8)
    return float(hits) / float(counts.sum())
''',
            "mean of rows": '''
def pixel_accuracy(labels, truth):
    rows = [(l == t)[t != 255].mean() for l, t in zip(labels, truth)]
    return float(np.mean(rows))
''',
            "square loop": '''
def pixel_accuracy(labels, truth):
    right = total = 0
    for i in range(len(truth)):
        for j in range(len(truth)):
            if truth[i, j] != 255:
                total += 1
                right += int(labels[i, j] == truth[i, j])
    return right / total
''',
            "accuracy of classes": '''
def pixel_accuracy(labels, truth):
    each = [(labels == truth)[truth == c].mean() for c in np.unique(truth) if c != 255]
    return float(np.mean(each))
''',
        },
    },
}
