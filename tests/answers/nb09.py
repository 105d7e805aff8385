"""Notebook 09: second right solutions, and what is easily got wrong."""

# The solution of 9.3, of which most of the wrong answers differ in one line.
BOOTSTRAP = '''
def is_better(matrices_a, matrices_b, generator, draws=1000):
    n = len(matrices_a)
    differences = []
    for _ in range(draws):
        places = generator.integers(n, size=n)
        miou = []
        for matrices in (matrices_a, matrices_b):
            M = matrices[places].sum(0)
            hit = np.diag(M)
            union = M.sum(0) + M.sum(1) - hit
            miou.append((hit[union > 0] / union[union > 0]).mean())
        differences.append(miou[0] - miou[1])
    low, high = np.quantile(differences, (0.025, 0.975))
    return float(low), float(high)
'''

ANSWERS = {
    "9.1": {"second": '''
def map_bytes(side, factor, layers, heads, size=4):
    total = 0
    for divisor in layers:
        cells = side // (factor * divisor)
        total += layers[divisor] * heads * cells ** 4
    return total * size
''', "third": '''
def map_bytes(side, factor, layers, heads, size=4):
    latent = side // factor
    numbers = 0
    for divisor, n in layers.items():
        level = latent // divisor
        N = level * level
        numbers += n * heads * N * N
    return int(numbers * size)
''', "wrong": {
        "cells instead of pairs of cells": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 2 * size for divisor, n in layers.items())
''', "pixels instead of latent cells": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // divisor) ** 4 * size for divisor, n in layers.items())
''', "one map for all heads": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * (side // factor // divisor) ** 4 * size for divisor, n in layers.items())
''', "one layer at each level": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(heads * (side // factor // divisor) ** 4 * size for divisor in layers)
''', "the divisor divides the cells": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * ((side // factor) ** 2 // divisor) ** 2 * size for divisor, n in layers.items())
''', "always float32": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 4 * 4 for divisor, n in layers.items())
''', "only the finest level": '''
def map_bytes(side, factor, layers, heads, size=4):
    for divisor, n in layers.items():
        return n * heads * (side // factor // divisor) ** 4 * size
''', "Stable Diffusion's factor": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // 8 // divisor) ** 4 * size for divisor, n in layers.items())
''', "float": '''
def map_bytes(side, factor, layers, heads, size=4):
    total = 0
    for divisor, n in layers.items():
        N = (side / factor / divisor) ** 2
        total += n * heads * N ** 2 * size
    return total
''', "NumPy's int": '''
def map_bytes(side, factor, layers, heads, size=4):
    return np.sum([n * heads * (side // factor // d) ** 4 * size for d, n in layers.items()])
''', "divisor of the cells": '''
def map_bytes(side, factor, layers, heads, size=4):
    cells = (side // factor) ** 2
    return sum(n * heads * (cells // divisor) ** 2 * size for divisor, n in layers.items())
''', "keys and values exchanged": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 4 * size for n, divisor in layers.items())
''', "heads left out": '''
def map_bytes(side, factor, layers, heads, size=4):
    return 2 * sum(n * (side // factor // divisor) ** 4 * size for divisor, n in layers.items())
''', "two views": '''
def map_bytes(side, factor, layers, heads, size=4):
    return 2 * sum(n * heads * (side // factor // divisor) ** 4 * size for divisor, n in layers.items())
''', "GiB": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 4 * size for divisor, n in layers.items()) / 2 ** 30
''', "cross-attention": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 2 * 77 * size for divisor, n in layers.items())
''', "int32": '''
def map_bytes(side, factor, layers, heads, size=4):
    total = np.int32(0)
    for divisor, n in layers.items():
        N = np.array((side // factor // divisor) ** 2, np.int32)
        total = total + (np.array(n * heads * size, np.int32) * N * N)
    return int(total)
'''}},
    "9.2": {"second": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[out == 0] = 255
    out -= 1
    out[labels == 0] = 255
    out[labels == 255] = 255
    return out
''', "third": '''
def reduce_zero_label(labels):
    table = np.arange(-1, 255)                                  # 0..255 -> -1..254
    table[[0, 255]] = 255
    return table.astype(np.uint8)[labels]
''', "wrong": {
        "255 wraps to 254": '''
def reduce_zero_label(labels):
    return labels - np.uint8(1)
''', "zero first, then the shift": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[out == 0] = 255
    out -= 1
    return out
''', "shift first, then zero": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[labels != 255] -= 1
    out[out == 0] = 255
    return out
''', "in place": '''
def reduce_zero_label(labels):
    ignored = (labels == 0) | (labels == 255)
    labels -= 1
    labels[ignored] = 255
    return labels
''', "clipped at 0": '''
def reduce_zero_label(labels):
    out = np.clip(labels.astype(int) - 1, 0, 255)
    out[labels == 255] = 255
    return out.astype(np.uint8)
''', "signed integers": '''
def reduce_zero_label(labels):
    out = labels.astype(np.int64) - 1
    out[(labels == 0) | (labels == 255)] = 255
    return out
''', "zeros kept": '''
def reduce_zero_label(labels):
    return np.where((labels > 0) & (labels < 255), labels - 1, labels).astype(np.uint8)
''', "all of 254 and more ignored": '''
def reduce_zero_label(labels):
    out = labels - np.uint8(1)
    out[out >= 253] = 255
    return out
''', "in place, again": '''
def reduce_zero_label(labels):
    labels[labels == 0] = 255
    labels -= 1
    labels[labels == 254] = 255
    return labels
''', "subtracted first": '''
def reduce_zero_label(labels):
    out = labels - np.uint8(1)
    out[out == 0] = 255
    return out
''', "int64": '''
def reduce_zero_label(labels):
    out = labels.astype(int) - 1
    out[(labels == 0) | (labels == 255)] = 255
    return out
''', "0 stays": '''
def reduce_zero_label(labels):
    out = labels.astype(int) - 1
    out[labels == 255] = 255
    return np.clip(out, 0, 255).astype(np.uint8)
''', "nothing to do without a 0": '''
def reduce_zero_label(labels):
    if not (labels == 0).any():
        return labels.copy()
    return np.where((labels == 0) | (labels == 255), 255, labels - 1).astype(np.uint8)
''', "254 lost": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[out == 0] = 255
    out = out - np.uint8(1)
    out[out >= 253] = 255
    return out
''', "ADE20K's 150": '''
def reduce_zero_label(labels):
    out = np.full_like(labels, 255)
    known = (labels >= 1) & (labels <= 150)
    out[known] = labels[known] - 1
    return out
''', "a list": '''
def reduce_zero_label(labels):
    return [[255 if v in (0, 255) else int(v) - 1 for v in row] for row in labels]
''', "a tensor": '''
def reduce_zero_label(labels):
    t = torch.from_numpy(labels).long()
    return torch.where((t == 0) | (t == 255), 255, t - 1).to(torch.uint8)
''', "added": '''
def reduce_zero_label(labels):
    return np.where((labels == 0) | (labels == 255), 255, labels + 1).astype(np.uint8)
''', "255 taken along": '''
def reduce_zero_label(labels):
    return np.where(labels == 0, 255, labels - 1).astype(np.uint8)
'''}},
    "9.3": {"second": '''
def is_better(matrices_a, matrices_b, generator, draws=1000):
    n = len(matrices_a)
    times = generator.multinomial(n, np.full(n, 1 / n), draws)              # how often each picture comes
    def miou(matrices):
        M = np.einsum("dn,nij->dij", times, matrices)
        hit = M.diagonal(axis1=1, axis2=2)
        union = M.sum(1) + M.sum(2) - hit
        iou = np.where(union > 0, hit / np.maximum(union, 1), np.nan)
        return np.nanmean(iou, axis=1)
    d = miou(matrices_a) - miou(matrices_b)
    return np.percentile(d, 2.5), np.percentile(d, 97.5)
''', "third": '''
def is_better(matrices_a, matrices_b, generator, draws=1000):
    def mean_iou(M):
        wide = np.pad(M, ((0, 0), (0, 1)))                                  # metrics.iou wants a column for no class
        return np.nanmean(metrics.iou(wide))
    d = []
    for places in generator.choice(len(matrices_a), (draws, len(matrices_a))):
        d.append(mean_iou(matrices_a[places].sum(0)) - mean_iou(matrices_b[places].sum(0)))
    return np.quantile(d, [0.025, 0.975])
''', "wrong": {
        "each method draws its own": BOOTSTRAP.replace(
            "        for matrices in (matrices_a, matrices_b):\n", "        for matrices in (matrices_a, matrices_b):\n            places = generator.integers(n, size=n)\n"),
        "mean of the pictures' own mIoU": '''
def is_better(matrices_a, matrices_b, generator, draws=1000):
    def miou(M):
        hit = np.diag(M)
        union = M.sum(0) + M.sum(1) - hit
        return (hit[union > 0] / union[union > 0]).mean()
    each = np.array([miou(a) - miou(b) for a, b in zip(matrices_a, matrices_b)])
    n = len(each)
    d = [each[generator.integers(n, size=n)].mean() for _ in range(draws)]
    return np.quantile(d, 0.025), np.quantile(d, 0.975)
''', "absent classes give NaN": BOOTSTRAP.replace("(hit[union > 0] / union[union > 0]).mean()", "(hit / union).mean()"),
        "absent classes count as 0": BOOTSTRAP.replace("(hit[union > 0] / union[union > 0]).mean()", "(hit / np.maximum(union, 1)).mean()"),
        "without replacement": BOOTSTRAP.replace("generator.integers(n, size=n)", "generator.choice(n, size=n, replace=False)"),
        "half of the pictures": BOOTSTRAP.replace("generator.integers(n, size=n)", "generator.integers(n, size=max(1, n // 2))"),
        "percent for shares": BOOTSTRAP.replace("np.quantile", "np.percentile"),
        "the middle 90 %": BOOTSTRAP.replace("(0.025, 0.975)", "(0.05, 0.95)"),
        "ends subtracted": '''
def is_better(matrices_a, matrices_b, generator, draws=1000):
    n = len(matrices_a)
    drawn = [generator.integers(n, size=n) for _ in range(draws)]
    ends = []
    for matrices in (matrices_a, matrices_b):
        values = []
        for places in drawn:
            M = matrices[places].sum(0)
            union = M.sum(0) + M.sum(1) - np.diag(M)
            values.append((np.diag(M)[union > 0] / union[union > 0]).mean())
        ends.append(np.quantile(values, (0.025, 0.975)))
    return tuple(ends[0] - ends[1])
''', "b less a": BOOTSTRAP.replace("miou[0] - miou[1]", "miou[1] - miou[0]"),
        "1.96 deviations": BOOTSTRAP.replace("    low, high = np.quantile(differences, (0.025, 0.975))\n",
                                             "    m, s = np.mean(differences), np.std(differences)\n    low, high = m - 1.96 * s, m + 1.96 * s\n"),
        "standard error of the draws": BOOTSTRAP.replace("    low, high = np.quantile(differences, (0.025, 0.975))\n",
                                                         "    m, s = np.mean(differences), np.std(differences) / draws ** 0.5\n    low, high = m - 1.96 * s, m + 1.96 * s\n"),
        "pixels drawn": '''
def is_better(matrices_a, matrices_b, generator, draws=1000):
    def miou(M):
        union = M.sum(0) + M.sum(1) - np.diag(M)
        return (np.diag(M)[union > 0] / union[union > 0]).mean()
    A, B = matrices_a.sum(0), matrices_b.sum(0)
    d = []
    for _ in range(draws):
        a = generator.multinomial(A.sum(), (A / A.sum()).ravel()).reshape(A.shape)
        b = generator.multinomial(B.sum(), (B / B.sum()).ravel()).reshape(B.shape)
        d.append(miou(a) - miou(b))
    return np.quantile(d, 0.025), np.quantile(d, 0.975)
''', "pictures made equally large": BOOTSTRAP.replace("matrices[places].sum(0)", "(matrices / matrices.sum((1, 2), keepdims=True))[places].sum(0)"),
        "global random numbers": BOOTSTRAP.replace("generator.integers(n, size=n)", "np.random.randint(n, size=n)"),
        "a seed of its own": BOOTSTRAP.replace("    differences = []\n", "    differences = []\n    generator = np.random.default_rng(0)\n"),
        "always 1000": BOOTSTRAP.replace("range(draws)", "range(1000)"),
        "yes or no": BOOTSTRAP.replace("return float(low), float(high)", "return bool(low > 0)"),
        "union counts the pixels in both twice": BOOTSTRAP.replace("M.sum(0) + M.sum(1) - hit", "M.sum(0) + M.sum(1)"),
        "recall": BOOTSTRAP.replace("M.sum(0) + M.sum(1) - hit", "M.sum(1)"),
        "accuracy": BOOTSTRAP.replace("(hit[union > 0] / union[union > 0]).mean()", "hit.sum() / M.sum()"),
        "without class 0": BOOTSTRAP.replace("miou.append((hit[union > 0] / union[union > 0]).mean())", "hit, union = hit[1:], union[1:]\n            miou.append((hit[union > 0] / union[union > 0]).mean())"),
        "percent": BOOTSTRAP.replace("miou[0] - miou[1]", "100 * (miou[0] - miou[1])"),
        "only method a": BOOTSTRAP.replace("miou[0] - miou[1]", "miou[0]"),
        "leave one out": BOOTSTRAP.replace("generator.integers(n, size=n)", "np.delete(np.arange(n), generator.integers(n))"),
        "nothing returned": BOOTSTRAP.replace("    return float(low), float(high)\n", "    float(low), float(high)\n"),
        "in place": BOOTSTRAP.replace("    n = len(matrices_a)\n", "    n = len(matrices_a)\n    matrices_a -= matrices_b\n"),
        "package": '''
def is_better(matrices_a, matrices_b, generator, draws=1000):
    counted = {}
    for name, matrices in (("b", matrices_b), ("a", matrices_a)):
        wide = np.pad(matrices, ((0, 0), (0, 0), (0, 1)))
        counted[name] = np.stack([bootstrap.counts(M) for M in wide])
    return bootstrap.confidence(counted)["a"]["difference"]["ci"]
''', "package, its draws": '''
def is_better(matrices_a, matrices_b, generator, draws=1000):
    drawn = []
    for matrices in (matrices_a, matrices_b):
        each = np.stack([bootstrap.counts(np.pad(M, ((0, 0), (0, 1)))) for M in matrices])
        drawn.append(bootstrap.resampled(each, draws))
    return bootstrap.interval(drawn[0] - drawn[1])
'''}},
}
