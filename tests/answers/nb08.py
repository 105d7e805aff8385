ANSWERS = {
    "8.1": {
        "second": '''
def raise_word(z, z_empty, span, weight):
    chosen = torch.zeros(len(z), 1, dtype=torch.bool, device=z.device)
    chosen[span] = True
    return torch.where(chosen, (1 - weight) * z_empty + weight * z, z)
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
        },
    },
    "8.6": {
        "second": '''
def cluster_distance(S, M):
    weights = M / M.sum(dim=0, keepdim=True)
    return torch.einsum("pq,qc->pc", S, weights)
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
        },
    },
}
