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
        },
    },
}
