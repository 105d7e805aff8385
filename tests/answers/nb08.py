ANSWERS = {
    "8.1": {
        "second": '''
def raise_word(z, z_empty, span, weight):
    chosen = torch.zeros(len(z), 1, dtype=torch.bool, device=z.device)
    chosen[span] = True
    return torch.where(chosen, (1 - weight) * z_empty + weight * z, z)
''',
        "third": '''
def raise_word(z, z_empty, span, weight):
    w = torch.ones(len(z), 1)
    w[span] = weight
    return torch.lerp(z_empty, z, w)
''',
        "wrong": {
            "in place": '''
def raise_word(z, z_empty, span, weight):
    z[span] = z_empty[span] + weight * (z[span] - z_empty[span])
    return z
''',
            "all tokens": '''
def raise_word(z, z_empty, span, weight):
    return z_empty + weight * (z - z_empty)
''',
            "scaled, as in iSeg": '''
def raise_word(z, z_empty, span, weight):
    z = z.clone()
    z[span] = weight * z[span]
    return z
''',
            "added to z": '''
def raise_word(z, z_empty, span, weight):
    z = z.clone()
    z[span] = z[span] + weight * (z[span] - z_empty[span])
    return z
''',
            "a range from first to last": '''
def raise_word(z, z_empty, span, weight):
    z = z.clone()
    i = slice(span[0], span[-1] + 1)
    z[i] = z_empty[i] + weight * (z[i] - z_empty[i])
    return z
''',
            "first token of the empty prompt": '''
def raise_word(z, z_empty, span, weight):
    z = z.clone()
    z[span] = z_empty[0] + weight * (z[span] - z_empty[0])
    return z
''',
            "a view is no copy": '''
def raise_word(z, z_empty, span, weight):
    out = z[:]
    out[span] = z_empty[span] + weight * (z[span] - z_empty[span])
    return out
''',
            "times the weight": '''
def raise_word(z, z_empty, span, weight):
    out = z.clone()
    out[span] = weight * z[span]
    return out
''',
            "weight too large": '''
def raise_word(z, z_empty, span, weight):
    out = z.clone()
    out[span] += weight * (z[span] - z_empty[span])
    return out
''',
            "first token": '''
def raise_word(z, z_empty, span, weight):
    out, i = z.clone(), span[0]
    out[i] = z_empty[i] + weight * (z[i] - z_empty[i])
    return out
''',
            "from first to last": '''
def raise_word(z, z_empty, span, weight):
    out = z.clone()
    part = slice(span[0], span[-1] + 1)
    out[part] = z_empty[part] + weight * (z[part] - z_empty[part])
    return out
''',
            "other tokens emptied": '''
def raise_word(z, z_empty, span, weight):
    out = z_empty.clone()
    out[span] = z_empty[span] + weight * (z[span] - z_empty[span])
    return out
''',
            "mean direction": '''
def raise_word(z, z_empty, span, weight):
    out = z.clone()
    out[span] = z_empty[span] + weight * (z[span] - z_empty[span]).mean(0)
    return out
''',
            "twice": '''
def raise_word(z, z_empty, span, weight):
    out = z.clone()
    out[span] = 2 * z[span] - z_empty[span]
    return out
''',
            "empty state of one token": '''
def raise_word(z, z_empty, span, weight):
    out, empty = z.clone(), z_empty[0]
    out[span] = empty + weight * (z[span] - empty)
    return out
''',
            "span shifted": '''
def raise_word(z, z_empty, span, weight):
    out = z.clone()
    places = [i + 1 for i in span]
    out[places] = z_empty[places] + weight * (z[places] - z_empty[places])
    return out
''',
            "interpolated the other way": '''
def raise_word(z, z_empty, span, weight):
    out = z.clone()
    out[span] = z[span] + weight * (z_empty[span] - z[span])
    return out
''',
        },
    },
    "8.2": {
        "second": '''
def reduce_entropy(A, lam):
    scaled = A / A.max(dim=0).values
    logs = torch.log10(math.e * scaled.clamp_min(1e-30))
    kept = torch.where(scaled > 0, scaled + lam * logs, torch.zeros_like(scaled)).relu()
    rows = []
    for i, row in enumerate(kept):
        if row.sum() > 0:
            rows.append(row / row.sum())
        else:
            own = torch.zeros_like(row)
            own[i] = 1
            rows.append(own)
    return torch.stack(rows)
''',
        "third": '''
def reduce_entropy(A, lam):
    P = A / A.max(0, keepdim=True).values
    step = 1 / math.log(10) + P.log10()
    P = torch.where(P > 0, P + lam * step, 0).clamp(min=0)
    empty = P.sum(1) == 0
    P[empty] = torch.eye(len(P))[empty]
    return P / P.sum(1, keepdim=True)
''',
        "wrong": {
            "maximum of the row": '''
def reduce_entropy(A, lam):
    A = A / A.amax(1, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "natural logarithm": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "logarithm without e": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * A.log10()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "no clamp": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    A = A + lam * (math.e * A.clamp_min(1e-30)).log10()
    return A / A.sum(1, keepdim=True)
''',
            "step in the other direction": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    A = (A - lam * (math.e * A.clamp_min(1e-30)).log10()).clamp_min(0)
    return A / A.sum(1, keepdim=True)
''',
            "columns sum to 1": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    return A / A.sum(0, keepdim=True)
''',
            "emptied row is NaN": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    return A / A.sum(1, keepdim=True)
''',
            "emptied row is 0": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    return A / A.sum(1, keepdim=True).clamp_min(1e-20)
''',
            "emptied row looks everywhere": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.full_like(A, 1 / len(A)))
''',
            "0 times minus infinity": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    A = (A + lam * (math.e * A).log10()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "in place": '''
def reduce_entropy(A, lam):
    A /= A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "one maximum": '''
def reduce_entropy(A, lam):
    A = A / A.max()
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "natural logarithm, again": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (1 + A.log())).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "not clamped": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = torch.where(A > 0, A + lam * (math.e * A.clamp_min(1e-30)).log10(), 0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "empty row uniform": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), 1 / len(A))
''',
            "columns sum to 1, again": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    return A / A.sum(0, keepdim=True).clamp_min(1e-20)
''',
            "rows not normalised": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    return A
''',
            "subtracted": '''
def reduce_entropy(A, lam):
    A = A / A.amax(0, keepdim=True)
    if lam:
        A = (A - lam * (math.e * A.clamp_min(1e-30)).log10()).clamp_min(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "before the column scaling": '''
def reduce_entropy(A, lam):
    if lam:
        A = (A + lam * (math.e * A).log10()).clamp_min(0)
    A = A / A.amax(0, keepdim=True).clamp_min(1e-20)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "in place, again": '''
def reduce_entropy(A, lam):
    A /= A.amax(0, keepdim=True)
    if lam:
        A += lam * (math.e * A).log10()
        A.clamp_min_(0)
    total = A.sum(1, keepdim=True)
    return torch.where(total > 0, A / total.clamp_min(1e-20), torch.eye(len(A)))
''',
            "package reduce_entropy": '''
def reduce_entropy(A, lam):
    from minifaseg.rivals import iseg
    return iseg.reduce_entropy(A, lam)
''',
        },
    },
    "8.3": {
        "second": '''
def iterate(P, x, n):
    maps = list(x.T)
    for _ in range(n):
        maps = [torch.mv(P, m) for m in maps]
        maps = [m - m.min() for m in maps]
        maps = [m / m.sum() for m in maps]
    return torch.stack(maps, dim=1)
''',
        "third": '''
def iterate(P, x, n):
    if n == 0:
        return x
    y = torch.einsum("ij,jk->ik", P, x)
    y = y - torch.amin(y, dim=0, keepdim=True)
    return iterate(P, y / torch.sum(y, dim=0, keepdim=True), n - 1)
''',
        "wrong": {
            "minimum of all maps": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P @ x
        y = y - y.min()
        x = y / y.sum(0)
    return x
''',
            "over the classes": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P @ x
        y = y - y.min(1, keepdim=True).values
        x = y / y.sum(1, keepdim=True)
    return x
''',
            "sum of all maps": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P @ x
        y = y - y.min(0).values
        x = y / y.sum()
    return x
''',
            "transposed": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P.T @ x
        y = y - y.min(0).values
        x = y / y.sum(0)
    return x
''',
            "always from the first x": '''
def iterate(P, x, n):
    z = x
    for _ in range(n):
        y = P @ x
        y = y - y.min(0).values
        z = y / y.sum(0)
    return z
''',
            "normalised before the first round, too": '''
def iterate(P, x, n):
    for i in range(n + 1):
        y = P @ x if i else x
        y = y - y.min(0).values
        x = y / y.sum(0)
    return x
''',
            "divided by the largest": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P @ x
        y = y - y.min(0).values
        x = y / y.max(0).values
    return x
''',
            "in place": '''
def iterate(P, x, n):
    for _ in range(n):
        x.copy_(P @ x)
        x -= x.min(0).values
        x /= x.sum(0)
    return x
''',
            "over classes": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P @ x
        y = y - y.min(0).values
        x = y / y.sum(1, keepdim=True).clamp_min(1e-20)
    return x
''',
            "leaves in the first round": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P @ x
        y = y - y.min(0).values
        x = y / y.sum(0)
        return x
''',
            "always the first x": '''
def iterate(P, x, n):
    result = x
    for _ in range(n):
        y = P @ x
        y = y - y.min(0).values
        result = y / y.sum(0)
    return result
''',
            "minimum of x": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P @ x
        y = y - x.min(0).values
        x = y / y.sum(0)
    return x
''',
            "minimum first": '''
def iterate(P, x, n):
    for _ in range(n):
        x = x - x.min(0).values
        x = P @ x
        x = x / x.sum(0)
    return x
''',
            "normalised first": '''
def iterate(P, x, n):
    x = x - x.min(0).values
    x = x / x.sum(0)
    for _ in range(n):
        y = P @ x
        y = y - y.min(0).values
        x = y / y.sum(0)
    return x
''',
            "power of P": '''
def iterate(P, x, n):
    for i in range(1, n + 1):
        y = torch.linalg.matrix_power(P, i) @ x
        y = y - y.min(0).values
        x = y / y.sum(0)
    return x
''',
            "no minimum": '''
def iterate(P, x, n):
    for _ in range(n):
        y = P @ x
        x = y / y.sum(0)
    return x
''',
            "one round more": '''
def iterate(P, x, n):
    for _ in range(n + 1):
        y = P @ x
        y = y - y.min(0).values
        x = y / y.sum(0)
    return x
''',
        },
    },
    "8.4": {
        "second": '''
def three_way(best, k, certain, threshold):
    labels = torch.zeros(best.shape, dtype=torch.uint8)
    labels[best >= threshold] = 255
    sure = best >= certain
    labels[sure] = (k[sure] + 1).to(torch.uint8)
    return labels
''',
        "third": '''
def three_way(best, k, certain, threshold):
    reached = (best >= threshold).long() + (best >= certain).long()     # 0, 1 or 2 thresholds
    return torch.stack([torch.zeros_like(k), torch.full_like(k, 255), k + 1]).gather(0, reached[None])[0]
''',
        "wrong": {
            "indices as labels": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best >= certain, k, 255)
    return torch.where(best >= threshold, labels, 0)
''',
            "above, not from": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best > certain, k + 1, 255)
    return torch.where(best > threshold, labels, 0)
''',
            "unsure is background": '''
def three_way(best, k, certain, threshold):
    return torch.where(best >= certain, k + 1, 0)
''',
            "background is unsure": '''
def three_way(best, k, certain, threshold):
    return torch.where(best >= certain, k + 1, 255)
''',
            "thresholds swapped": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best >= threshold, k + 1, 255)
    return torch.where(best >= certain, labels, 0)
''',
            "in place": '''
def three_way(best, k, certain, threshold):
    k += 1
    k[best < certain] = 255
    k[best < threshold] = 0
    return k
''',
            "floats": '''
def three_way(best, k, certain, threshold):
    labels = torch.zeros_like(best)
    labels[best >= threshold] = 255
    labels[best >= certain] = (k[best >= certain] + 1).float()
    return labels
''',
            "background strict": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best >= certain, k + 1, 255)
    return torch.where(best > threshold, labels, 0)
''',
            "certain strict": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best > certain, k + 1, 255)
    return torch.where(best >= threshold, labels, 0)
''',
            "255 and 0 exchanged": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best >= certain, k + 1, 0)
    return torch.where(best >= threshold, labels, 255)
''',
            "overwritten": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best >= threshold, k + 1, 0)
    labels[best < certain] = 255
    return labels
''',
            "numbers of the example": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best >= 0.5, k + 1, 255)
    return torch.where(best >= 0.25, labels, 0)
''',
            "relative": '''
def three_way(best, k, certain, threshold):
    best = best / best.max()
    labels = torch.where(best >= certain, k + 1, 255)
    return torch.where(best >= threshold, labels, 0)
''',
            "loop over a square": '''
def three_way(best, k, certain, threshold):
    labels = torch.zeros_like(k)
    for y in range(len(best)):
        for x in range(len(best)):
            if best[y, x] >= certain:
                labels[y, x] = k[y, x] + 1
            elif best[y, x] >= threshold:
                labels[y, x] = 255
    return labels
''',
            "two ways": '''
def three_way(best, k, certain, threshold):
    return torch.where(best >= certain, k + 1, torch.where(best > 0, 255, 0))
''',
            "signed bytes": '''
def three_way(best, k, certain, threshold):
    labels = torch.where(best >= certain, k + 1, -1)
    return torch.where(best >= threshold, labels, 0).to(torch.int8)
''',
            "package label": '''
def three_way(best, k, certain, threshold):
    from minifaseg import labelling
    H, W = best.shape
    maps = torch.zeros(int(k.max()) + 1, H, W).scatter_(0, k[None], best[None])
    return torch.from_numpy(labelling.label(maps, (W, H), threshold, certain))
''',
        },
    },
    "8.5": {
        "second": '''
def symmetric_kl(X, Y):
    rows = []
    for x in X:
        rows.append(((x - Y) * (x.log() - Y.log())).sum(1) / 2)
    return torch.stack(rows)
''',
        "third": '''
def symmetric_kl(X, Y):
    difference = X[:, None] - Y[None]                           # larger than need be, and right
    return (difference * (X.log()[:, None] - Y.log()[None])).sum(-1) / 2
''',
        "wrong": {
            "one direction": '''
def symmetric_kl(X, Y):
    return (X * X.log()).sum(1)[:, None] - X @ Y.log().T
''',
            "not halved": '''
def symmetric_kl(X, Y):
    lX, lY = X.log(), Y.log()
    return (X * lX).sum(1)[:, None] + (Y * lY).sum(1) - X @ lY.T - lX @ Y.T
''',
            "transposed": '''
def symmetric_kl(X, Y):
    lX, lY = X.log(), Y.log()
    return ((X * lX).sum(1)[:, None] + (Y * lY).sum(1) - X @ lY.T - lX @ Y.T).T / 2
''',
            "sign turned": '''
def symmetric_kl(X, Y):
    lX, lY = X.log(), Y.log()
    return (X @ lY.T + lX @ Y.T - (X * lX).sum(1)[:, None] - (Y * lY).sum(1)) / 2
''',
            "mean over the entries": '''
def symmetric_kl(X, Y):
    return ((X[:, None] - Y) * (X[:, None].log() - Y.log())).mean(-1) / 2
''',
            "base 10": '''
def symmetric_kl(X, Y):
    return ((X[:, None] - Y) * (X[:, None].log10() - Y.log10())).sum(-1) / 2
''',
            "one cross term twice": '''
def symmetric_kl(X, Y):
    lX, lY = X.log(), Y.log()
    return ((X * lX).sum(1)[:, None] + (Y * lY).sum(1) - 2 * X @ lY.T) / 2
''',
            "broadcast": '''
def symmetric_kl(X, Y):
    lX, lY = X.log(), Y.log()
    return ((X * lX).sum(1) + (Y * lY).sum(1) - X @ lY.T - lX @ Y.T) / 2
''',
            "row with row": '''
def symmetric_kl(X, Y):
    return torch.stack([((x - y) * (x.log() - y.log())).sum() / 2 for x, y in zip(X, Y)])
''',
            "base 2": '''
def symmetric_kl(X, Y):
    lX, lY = X.log2(), Y.log2()
    return ((X * lX).sum(1)[:, None] + (Y * lY).sum(1) - X @ lY.T - lX @ Y.T) / 2
''',
            "rows normalised": '''
def symmetric_kl(X, Y):
    X, Y = X / X.sum(1, keepdim=True), Y / Y.sum(1, keepdim=True)
    lX, lY = X.log(), Y.log()
    return ((X * lX).sum(1)[:, None] + (Y * lY).sum(1) - X @ lY.T - lX @ Y.T) / 2
''',
            "clamped": '''
def symmetric_kl(X, Y):
    lX, lY = X.clamp_min(1e-2).log(), Y.clamp_min(1e-2).log()
    return ((X * lX).sum(1)[:, None] + (Y * lY).sum(1) - X @ lY.T - lX @ Y.T) / 2
''',
            "transposed, again": '''
def symmetric_kl(X, Y):
    lX, lY = X.log(), Y.log()
    return (((X * lX).sum(1)[:, None] + (Y * lY).sum(1) - X @ lY.T - lX @ Y.T) / 2).T
''',
            "Jensen-Shannon": '''
def symmetric_kl(X, Y):
    out = []
    for x in X:
        M = (x + Y) / 2
        out.append(((x * (x / M).log()).sum(1) + (Y * (Y / M).log()).sum(1)) / 2)
    return torch.stack(out)
''',
            "package symmetric_kl": '''
def symmetric_kl(X, Y):
    from minifaseg.rivals import diffseg
    return diffseg.symmetric_kl(X, Y)
''',
        },
    },
    "8.6": {
        "second": '''
def cluster_distance(S, M):
    weights = M / M.sum(dim=0, keepdim=True)
    return torch.einsum("pq,qc->pc", S, weights)
''',
        "third": '''
def cluster_distance(S, M):
    columns = []
    for m in M.unbind(1):
        columns.append((S @ m) / m.sum())
    return torch.stack(columns, dim=-1)
''',
        "wrong": {
            "not divided": '''
def cluster_distance(S, M):
    return S @ M
''',
            "divided by the number of cells": '''
def cluster_distance(S, M):
    return S @ M / len(M)
''',
            "sum over the classes": '''
def cluster_distance(S, M):
    return S @ M / M.sum(1, keepdim=True)
''',
            "hard membership": '''
def cluster_distance(S, M):
    own = F.one_hot(M.argmax(1), M.shape[1]).to(S)
    return S @ own / own.sum(0).clamp_min(1)
''',
            "classes first": '''
def cluster_distance(S, M):
    return (S @ M / M.sum(0)).T
''',
            "softmax instead of the sum": '''
def cluster_distance(S, M):
    return S @ M.softmax(0)
''',
            "sum at least 1": '''
def cluster_distance(S, M):
    return S @ M / M.sum(0).clamp_min(1)
''',
            "two classes": '''
def cluster_distance(S, M):
    first = (S * M[:, 0]).sum(1) / M[:, 0].sum()
    second = (S * M[:, 1]).sum(1) / M[:, 1].sum()
    return torch.stack([first, second], dim=1)
''',
            "over cells": '''
def cluster_distance(S, M):
    return S @ M / len(S)
''',
            "one sum": '''
def cluster_distance(S, M):
    return S @ M / M.sum()
''',
            "members counted": '''
def cluster_distance(S, M):
    return S @ M / (M > 0).sum(0)
''',
            "hard membership, again": '''
def cluster_distance(S, M):
    hard = F.one_hot(M.argmax(1), M.shape[1]).to(S.dtype)
    return S @ hard / hard.sum(0).clamp_min(1)
''',
            "transposed": '''
def cluster_distance(S, M):
    return M.T @ S / M.sum(0)[:, None]
''',
            "nearest": '''
def cluster_distance(S, M):
    far = torch.where(M > 0, 0, torch.inf)
    return (S[:, :, None] + far).amin(1)
''',
            "without itself": '''
def cluster_distance(S, M):
    others = M.sum(0) - M
    return S @ M / others.clamp_min(1e-12)
''',
            "squared weights": '''
def cluster_distance(S, M):
    return S @ (M * M) / M.sum(0)
''',
        },
    },
    "8.7": {
        "second": '''
def class_attention(levels, A, weights, size):
    finest = levels[-1].shape[-2:]

    def minmax(maps):
        """Every map (..., h, w) to 0 to 1."""
        flat = maps.flatten(-2)
        flat = flat - flat.min(-1, keepdim=True).values
        return (flat / flat.max(-1, keepdim=True).values).unflatten(-1, maps.shape[-2:])

    refined = []
    for C, w in zip(levels, weights):
        x = w * minmax(F.interpolate(C, finest, mode="bilinear", align_corners=False))
        refined.append(torch.einsum("tkpq,tkq->tkp", A, x.flatten(2)))      # A is linear
    y = sum(refined).mean(0).unflatten(-1, finest)
    return minmax(F.interpolate(y[None], size, mode="bilinear", align_corners=False)[0])
''',
        "third": '''
def class_attention(levels, A, weights, size):
    maps = []
    for k in range(A.shape[1]):
        total = 0
        for t in range(len(A)):
            x = torch.zeros(A.shape[-1])
            for C, w in zip(levels, weights):
                c = labelling.upsample(C[t, k:k + 1], levels[-1].shape[:1:-1], "bilinear").flatten()
                x += w * (c - c.min()) / (c.max() - c.min())
            total = total + A[t, k] @ x
        m = labelling.upsample((total / len(A)).reshape(1, *levels[-1].shape[2:]), size[::-1], "bilinear")[0]
        maps.append((m - m.min()) / (m.max() - m.min()))
    return torch.stack(maps)
''',
        "wrong": {
            "levels as they are": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * C
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "min-max before enlarging": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        C = (C - low) / (high - low)
        x = x + weight * F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "one range for all classes": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((1, 2, 3), keepdim=True), C.amax((1, 2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "means before the product": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = A.mean(0) @ x.mean(0).flatten(1)[..., None]
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "A of all classes": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A.mean(1, keepdim=True) @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "transposed": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A.mT @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "not applied": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = x.mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "min-max over the cells": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None]).mean(0).reshape(-1, h, w)
    low, high = y.amin((1, 2), keepdim=True), y.amax((1, 2), keepdim=True)
    return F.interpolate(((y - low) / (high - low))[None], size=size, mode="bilinear", align_corners=False)[0]
''',
            "cells, not pixels": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = y[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "weights turned": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, reversed(weights)):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "nearest": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="nearest")
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "bicubic": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bicubic", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "squares alone": '''
def class_attention(levels, A, weights, size):
    h = w = int(A.shape[-1] ** 0.5)
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "first noise level": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None])[0]
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "min-max in place": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        if C.shape[-2:] != (h, w):
            C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        C -= C.amin((2, 3), keepdim=True)
        C /= C.amax((2, 3), keepdim=True)
        x = x + weight * C
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    low, high = M.amin((1, 2), keepdim=True), M.amax((1, 2), keepdim=True)
    return (M - low) / (high - low)
''',
            "no last min-max": '''
def class_attention(levels, A, weights, size):
    h, w = levels[-1].shape[-2:]
    x = 0
    for C, weight in zip(levels, weights):
        C = F.interpolate(C, size=(h, w), mode="bilinear", align_corners=False)
        low, high = C.amin((2, 3), keepdim=True), C.amax((2, 3), keepdim=True)
        x = x + weight * (C - low) / (high - low)
    y = (A @ x.flatten(2)[..., None]).mean(0)
    y = y.reshape(1, -1, h, w)
    M = F.interpolate(y, size=size, mode="bilinear", align_corners=False)[0]
    return M
''',
        },
    },
    "8.8": {
        "second": '''
def merge_maps(maps, grid, tau, anchors):
    def places(n):
        step = max(1, n // anchors)
        return [(step - 1) // 2 + i * step for i in range(anchors) if (step - 1) // 2 + i * step < n]

    start = maps.unflatten(0, tuple(grid))[places(grid[0])][:, places(grid[1])].flatten(0, 1)
    near = (diffseg.symmetric_kl(start, maps) < tau[0]).to(maps)
    count = near.sum(1, keepdim=True)
    proposals = torch.where(count > 0, near @ maps / count.clamp_min(1), start)
    for limit in tau[1:]:
        near = diffseg.symmetric_kl(proposals, proposals) < limit
        near = near | torch.eye(len(near), dtype=torch.bool)
        waiting, means = list(range(len(near))), []
        while waiting:
            i = waiting[0]
            means.append((near[i].to(maps) @ proposals) / near[i].sum())
            waiting = [j for j in waiting if not near[i, j]]
        proposals = torch.stack(means)
    return proposals.max(0).indices.unflatten(0, tuple(grid))
''',
        "third": '''
def merge_maps(maps, grid, tau, anchors):
    (h, w), log = grid, maps.clamp_min(1e-20).log()
    ys, xs = [], []
    for n, out in ((h, ys), (w, xs)):
        step = max(1, n // anchors)
        out.extend(range((step - 1) // 2, min(n, step * anchors), step))
    proposals = []
    for cell in torch.cartesian_prod(torch.tensor(ys), torch.tensor(xs)) @ torch.tensor([w, 1]):
        distance = ((maps[cell] - maps) * (log[cell] - log)).sum(1) / 2     # written out
        members = maps[distance < tau[0]]
        proposals.append(members.mean(0) if len(members) else maps[cell])
    for limit in tau[1:]:
        kept, taken = [], set()
        for i, p in enumerate(proposals):
            if i in taken:
                continue
            group = {i}
            for j, q in enumerate(proposals):
                if diffseg.symmetric_kl(p[None], q[None]).item() < limit:
                    group.add(j)
            taken |= group
            kept.append(sum(proposals[j] for j in group) / len(group))
        proposals = kept
    labels, best = torch.zeros(h * w, dtype=torch.long), torch.full((h * w,), -1.0).to(maps)
    for name, p in enumerate(proposals, start=1):
        labels = torch.where(p > best, name, labels)
        best = torch.maximum(p, best)
    return 5 * labels.reshape(h, w)
''',
        "wrong": {
            "one pass": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in ():
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "anchors only": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, first) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(first[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "from the corner": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange(0, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "taken ones left out": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row & ~taken].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "none is taken": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                pass
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "one limit": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < tau[0]
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "all passes with the first limit, too": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "one direction": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid

    def kl(x, y):
        return (x * x.log()).sum(1)[:, None] - x @ y.log().T

    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "nearest proposal": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return diffseg.symmetric_kl(torch.stack(proposals), maps).argmin(0).reshape(h, w)
''',
            "not the mean": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[i])
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "sum": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].sum(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "every cell an anchor": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "flat": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0)
''',
            "the proposals": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).reshape(-1, h, w)
''',
            "0 / 0": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0))
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "rows only": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, h // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "chain": '''
def merge_maps(maps, grid, tau, anchors):
    h, w = grid
    cells = torch.arange(h * w).reshape(h, w)
    for axis in (0, 1):
        step = max(1, grid[axis] // anchors)
        where = torch.arange((step - 1) // 2, grid[axis], step)[:anchors]
        cells = cells.index_select(axis, where)
    first = maps[cells.flatten()]
    near = diffseg.symmetric_kl(first, maps) < tau[0]
    proposals = []
    for anchor, row in zip(first, near):
        proposals.append(maps[row].mean(0) if row.any() else anchor)
    for limit in tau[1:]:
        P = torch.stack(proposals)
        near = diffseg.symmetric_kl(P, P) < limit
        for _ in range(len(P)):
            near = (near.double() @ near.double()) > 0
        proposals, taken = [], torch.zeros(len(P), dtype=torch.bool)
        for i, row in enumerate(near):
            if not taken[i]:
                row[i] = True
                proposals.append(P[row].mean(0))
                taken |= row
    return torch.stack(proposals).argmax(0).reshape(h, w)
''',
            "package merge": '''
def merge_maps(maps, grid, tau, anchors):
    return diffseg.merge(maps, grid, tau, anchors).argmax(0)
''',
        },
    },
    "8.9": {
        "second": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    C = M.shape[2]
    D = torch.einsum("bpq,bqc->bpc", S, M / M.sum(1, keepdim=True))
    sure = M * (M >= anchor)
    a = sure / (sure.sum(1, keepdim=True) + 1e-12)
    away = D @ (torch.ones(C, C).to(M) - torch.eye(C).to(M)) / (C - 1)
    clustering = torch.mean(torch.sum(a * D - repel * a * away, dim=1))
    views = list(M.unflatten(1, grid).unbind(0))                        # (h, w, C) each
    views[1:] = [view.flip(1) for view in views[1:]]
    mean = torch.stack(views).mean(0)
    log = torch.where(mean > 1e-12, mean, 1e-12).log()
    return clustering - weight * (mean * log).sum() / (grid[0] * grid[1])
''',
        "third": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    (h, w), classes, loss = grid, range(M.shape[-1]), 0
    for s, m in zip(S, M):
        far = [(s * m[:, c]).sum(1) / m[:, c].sum() for c in classes]   # D(p, M^c)
        for c in classes:
            sure = m[:, c] >= anchor
            if sure.any():
                a = m[sure, c] / m[sure, c].sum()
                rest = sum(far[other] for other in classes if other != c) / (len(classes) - 1)
                loss = loss + (a * (far[c] - repel * rest)[sure]).sum() / len(classes) / len(M)
    mean = M[0].reshape(h, w, -1)
    if len(M) > 1:
        mean = 0.5 * mean + 0.5 * M[1].reshape(h, w, -1).flip(1)
    mean = mean[mean > 0]                                               # 0 ln 0 is 0
    return loss - weight * (mean * mean.log()).sum() / (h * w)
''',
        "wrong": {
            "a detached": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0).detach()
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "D detached": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = (S @ M / M.sum(1, keepdim=True)).detach()
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "a number": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return (clustering + weight * entropy).item()
''',
            "a new tensor": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return torch.tensor((clustering + weight * entropy).item(), dtype=M.dtype)
''',
            "mirror not turned": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1]) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "upside down": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-2)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "mean of the entropies": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    entropy = -(M * M.clamp_min(1e-8).log()).sum(2).mean()
    return clustering + weight * entropy
''',
            "entropy summed": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum()
    return clustering + weight * entropy
''',
            "entropy raised": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = (mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "ln 0": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "infinite slope": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = torch.special.entr(mean).sum(0).mean()
    return clustering + weight * entropy
''',
            "0 / 0": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "a not divided": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "anchors alike": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = (M >= anchor).to(M)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "above": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M > anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "every cell": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = M
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "with itself": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = D.mean(2, keepdim=True)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "attracted": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D + repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "mean of everything": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "summed over the classes": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(2).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "in place": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    M /= M.sum(2, keepdim=True)
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = views[0]
    if B == 2:
        mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "for two views alone": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    B, N, C = M.shape
    D = S @ M / M.sum(1, keepdim=True)
    a = torch.where(M >= anchor, M, 0)
    a = a / a.sum(1, keepdim=True).clamp_min(1e-8)
    others = (D.sum(2, keepdim=True) - D) / (C - 1)
    clustering = (a * (D - repel * others)).sum(1).mean()
    views = M.transpose(1, 2).reshape(B, C, *grid)
    mean = (views[0] + views[1].flip(-1)) / 2
    entropy = -(mean * mean.clamp_min(1e-8).log()).sum(0).mean()
    return clustering + weight * entropy
''',
            "package loss": '''
def inversion_loss(S, M, grid, anchor, repel, weight):
    return invseg.InvSeg(anchor=anchor, repel=repel, entropy=weight).loss(S, M, grid)
''',
        },
    },
}
