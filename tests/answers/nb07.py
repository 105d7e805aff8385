"""Notebook 07: second right answers, and wrong ones that the grader must catch."""
ANSWERS = {
    "7.1": {
        "second": '''
def miou(matrix, absent="drop"):
    each = []
    for i in range(len(matrix)):
        hit = int(matrix[i, i])
        union = int(matrix[i].sum()) + int(matrix[:, i].sum()) - hit
        if union or absent == "zero":
            each.append(hit / union if union else 0.0)
    return sum(each) / len(each)
''',
        "third": '''
def miou(matrix, absent="drop"):
    M = matrix.numpy().astype(float)
    hit = np.diag(M)
    with np.errstate(invalid="ignore"):
        iou = hit / (M.sum(0) + M.sum(1) - hit)
    return float(np.nanmean(iou) if absent == "drop" else np.nan_to_num(iou).mean())
''',
        "wrong": {
            "absent classes give NaN": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().float()
    return (hit / (matrix.sum(0) + matrix.sum(1) - hit)).mean().item()
''',
            "background left out": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()[1:]
    union = (matrix.sum(0) + matrix.sum(1))[1:] - hit
    iou = hit / union.clamp_min(1)
    return (iou[union > 0] if absent == "drop" else iou).mean().item()
''',
            "dropped where the truth has none": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = hit / union.clamp_min(1)
    return (iou[matrix.sum(1) > 0] if absent == "drop" else iou).mean().item()
''',
            "dropped where nothing is predicted": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = hit / union.clamp_min(1)
    return (iou[matrix.sum(0) > 0] if absent == "drop" else iou).mean().item()
''',
            "dropped where nothing is hit": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = hit / union.clamp_min(1)
    return (iou[hit > 0] if absent == "drop" else iou).mean().item()
''',
            "hits counted twice in the union": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = (matrix.sum(0) + matrix.sum(1)).double()
    iou = hit / union.clamp_min(1)
    return (iou[union > 0] if absent == "drop" else iou).mean().item()
''',
            "accuracy per class": '''
def miou(matrix, absent="drop"):
    there = matrix.sum(1)
    each = matrix.diagonal() / there.clamp_min(1)
    return (each[there > 0] if absent == "drop" else each).mean().item()
''',
            "zero is the default": '''
def miou(matrix, absent="zero"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = hit / union.clamp_min(1)
    return (iou[union > 0] if absent == "drop" else iou).mean().item()
''',
            "a tensor": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = hit / union.clamp_min(1)
    return (iou[union > 0] if absent == "drop" else iou).mean()
''',
            "intersection counted twice": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1)
    iou = hit / union.clamp_min(1)
    return (iou[union > 0] if absent == "drop" else iou).mean().item()
''',
            "zero IoU dropped": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = hit / union.clamp_min(1)
    return (iou[iou > 0] if absent == "drop" else iou).mean().item()
''',
            "recall": '''
def miou(matrix, absent="drop"):
    hit, total = matrix.diagonal().double(), matrix.sum(1)
    share = hit / total.clamp_min(1)
    return (share[total > 0] if absent == "drop" else share).mean().item()
''',
            "background left out, again": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = (hit / union.clamp_min(1))[1:]
    return (iou[union[1:] > 0] if absent == "drop" else iou).mean().item()
''',
            "Dice": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    total = matrix.sum(0) + matrix.sum(1)
    dice = 2 * hit / total.clamp_min(1)
    return (dice[total > 0] if absent == "drop" else dice).mean().item()
''',
            "rules exchanged": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = hit / union.clamp_min(1)
    return (iou[union > 0] if absent == "zero" else iou).mean().item()
''',
            "always dropped": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    return (hit / union).nanmean().item()
''',
            "NaN": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    iou = hit / (matrix.sum(0) + matrix.sum(1) - hit)
    return (iou.nanmean() if absent == "drop" else iou.mean()).item()
''',
            "pooled": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    return (hit.sum() / union.sum()).item()
''',
            "weighted by frequency": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    share = matrix.sum(1) / matrix.sum()
    return (share * hit / union.clamp_min(1)).sum().item()
''',
            "one added": '''
def miou(matrix, absent="drop"):
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - hit
    iou = hit / (union + 1)
    return (iou[union > 0] if absent == "drop" else iou).mean().item()
''',
            "package iou": '''
def miou(matrix, absent="drop"):
    from minifaseg.evaluate import metrics
    padded = np.hstack([matrix.numpy(), np.zeros((len(matrix), 1), int)])
    each = metrics.iou(padded)
    return float(np.nanmean(each) if absent == "drop" else np.nan_to_num(each).mean())
''',
        },
    },
    "7.2": {
        "second": '''
def faseg_scores(x, maps, weights, tau, grid):
    H, W = grid
    K = x.shape[2]
    out = torch.zeros(K, H, W, dtype=x.dtype)
    for view in range(2):
        for k in range(K):
            total = torch.zeros(H, W, dtype=x.dtype)
            for A, w in zip(maps, weights):
                y = torch.linalg.matrix_power(A[view], tau) @ x[view, :, k]
                spread = y.max() - y.min()
                if spread > 0:
                    total += w * ((y - y.min()) / spread).view(H, W)
            out[k] += 0.5 * (torch.flip(total, [1]) if view else total)
    return out
''',
        "third": '''
def faseg_scores(x, maps, weights, tau, grid):
    S = torch.zeros_like(x).transpose(1, 2).reshape(2, -1, *grid)
    for A, w in zip(maps, weights):
        y = x.clone()
        for _ in range(tau):
            y = torch.einsum("vij,vjk->vik", A, y)
        y = y.permute(0, 2, 1)                                  # (2, K, N)
        y = y - y.min(-1, keepdim=True).values
        top = y.max(-1, keepdim=True).values
        y = torch.where(top > 0, y / top, 0)
        S += w * y.reshape(S.shape)
    S[1] = torch.flip(S[1], dims=[-1])
    return torch.mean(S, 0)
''',
        "wrong": {
            "mirror view not turned back": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(1e-12)
    return s.mean(0).T.unflatten(1, grid)
''',
            "reshaped instead of transposed": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(1e-12)
    s = s.reshape(2, -1, *grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "min-max over both views": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin((0, 1), keepdim=True), y.amax((0, 1), keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(1e-12)
    s = s.transpose(1, 2).unflatten(2, grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "min-max over the classes": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(-1, keepdim=True), y.amax(-1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(1e-12)
    s = s.transpose(1, 2).unflatten(2, grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "min-max after the sum": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        s = s + w * y
    low, high = s.amin(1, keepdim=True), s.amax(1, keepdim=True)
    s = ((s - low) / (high - low).clamp_min(1e-12)).transpose(1, 2).unflatten(2, grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "level refines what the last level left": '''
def faseg_scores(x, maps, weights, tau, grid):
    s, y = 0, x
    for A, w in zip(maps, weights):
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(1e-12)
    s = s.transpose(1, 2).unflatten(2, grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "transposed map": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A.transpose(1, 2) @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(1e-12)
    s = s.transpose(1, 2).unflatten(2, grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "power of the entries": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = A ** tau @ x
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(1e-12)
    s = s.transpose(1, 2).unflatten(2, grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "constant map becomes NaN": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low)
    s = s.transpose(1, 2).unflatten(2, grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "tau ignored": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = A @ x
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(1e-12)
    s = s.transpose(1, 2).unflatten(2, grid)
    return (s[0] + s[1].flip(-1)) / 2
''',
            "mirror turned back first": '''
def faseg_scores(x, maps, weights, tau, grid):
    x = torch.stack([x[0], x[1].unflatten(0, grid).flip(1).flatten(0, 1)])
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    return s.transpose(1, 2).unflatten(2, grid).mean(0)
''',
            "not turned back": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    return s.transpose(1, 2).unflatten(2, grid).mean(0)
''',
            "upside down": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-2)) / 2
''',
            "cells reversed": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    merged = (s[0] + s[1].flip(0)) / 2
    return merged.T.unflatten(1, grid)
''',
            "min-max of both views": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin((0, 1), keepdim=True), y.amax((0, 1), keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "min-max of all classes": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin((1, 2), keepdim=True), y.amax((1, 2), keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "min-max after the sum, again": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        s = s + w * y
    low, high = s.amin(1, keepdim=True), s.amax(1, keepdim=True)
    s = (s - low) / (high - low).clamp_min(torch.finfo(s.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "weights normalised": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w / sum(weights) * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "weights reversed": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, list(weights)[::-1]):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "levels one after another": '''
def faseg_scores(x, maps, weights, tau, grid):
    s, y = 0, x
    for A, w in zip(maps, weights):
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "rows normalised": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        A = A / A.sum(-1, keepdim=True)
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "A transposed": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A.transpose(1, 2) @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "tau at least 1": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = A @ x
        for _ in range(tau - 1):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "tau 0 not stretched": '''
def faseg_scores(x, maps, weights, tau, grid):
    if tau == 0:
        picture, mirrored = x.transpose(1, 2).unflatten(2, grid)
        return (picture + mirrored.flip(-1)) / 2
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "min-max after every step": '''
def faseg_scores(x, maps, weights, tau, grid):
    def stretch(y):
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        return (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    s = 0
    for A, w in zip(maps, weights):
        y = stretch(x)
        for _ in range(tau):
            y = stretch(A @ y)
        s = s + w * y
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "epsilon": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low + 1e-6)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "NaN": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low)
    picture, mirrored = s.transpose(1, 2).unflatten(2, grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "reshaped without transposing": '''
def faseg_scores(x, maps, weights, tau, grid):
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        s = s + w * (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
    picture, mirrored = s.reshape(2, -1, *grid)
    return (picture + mirrored.flip(-1)) / 2
''',
            "package refine": '''
def faseg_scores(x, maps, weights, tau, grid):
    from types import SimpleNamespace
    from minifaseg import hard, ttf
    s = 0
    for A, w in zip(maps, weights):
        captured = SimpleNamespace(grids=[grid], apply_self_attention=lambda grid, y, A=A: A @ y)
        s = s + w * hard.refine(captured, x, [1.0], tau)
    return ttf.merge(hard.as_image(s, grid))
''',
            "package minmax": '''
def faseg_scores(x, maps, weights, tau, grid):
    from minifaseg import hard, ttf
    s = 0
    for A, w in zip(maps, weights):
        y = x
        for _ in range(tau):
            y = A @ y
        s = s + w * hard.minmax(y)
    return ttf.merge(hard.as_image(s, grid))
''',
        },
    },
    "7.3": {
        "second": '''
def trust(s, x):
    factors = []
    for s_c, x_c in zip(s.flatten(1), x.flatten(1)):            # does the score say what the raw attention said?
        a, b = s_c - s_c.mean(), x_c - x_c.mean()
        factors.append(((a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-12)).clamp(0, 1))
    return torch.stack(factors)
''',
        "third": '''
def trust(s, x):
    s, x = s.flatten(1), x.flatten(1)
    claim = s.clamp_min(0) ** 8
    heard = claim @ x.T                                         # (claiming class, heard class)
    own = heard.diagonal()
    return (own / heard.amax(1).clamp_min(1e-12)).clamp(0, 1) ** 0.5
''',
        "wrong": {
            "all trusted": '''
def trust(s, x):
    return torch.ones(len(s))
''',
            "all trusted by half": '''
def trust(s, x):
    return torch.full((len(s),), 0.5)
''',
            "compares over the wrong axis": '''
def trust(s, x):
    heard = torch.einsum("chw,khw->ck", s.clamp_min(0) ** 4, x)
    return (heard.diagonal() / heard.amax(0).clamp_min(1e-12)) ** 0.5
''',
            "asks the scores, which min-max has made alike": '''
def trust(s, x):
    heard = torch.einsum("chw,khw->ck", s.clamp_min(0) ** 4, s)
    return (heard.diagonal() / heard.amax(1).clamp_min(1e-12)).clamp(0, 1) ** 0.5
''',
            "largest score": '''
def trust(s, x):
    return s.amax((1, 2)).clamp(0, 1)
''',
            "mean score": '''
def trust(s, x):
    mean = s.clamp_min(0).mean((1, 2))
    return mean / mean.max().clamp_min(1e-12)
''',
            "area won": '''
def trust(s, x):
    best = s.argmax(0)
    return torch.stack([(best == k).float().mean() for k in range(len(s))])
''',
            "loud on average": '''
def trust(s, x):
    mean = x.mean((1, 2))
    return mean / mean.max()
''',
            "as loud as the bench's own rule": '''
def trust(s, x):
    return x.amax((1, 2)) / x.max()
''',
            "upside down": '''
def trust(s, x):
    heard = torch.einsum("chw,khw->ck", s.clamp_min(0) ** 4, x)
    return 1 - (heard.diagonal() / heard.amax(1).clamp_min(1e-12)) ** 0.5
''',
            "not in [0, 1]": '''
def trust(s, x):
    heard = torch.einsum("chw,khw->ck", s.clamp_min(0) ** 4, x)
    return heard.diagonal() / heard.mean(1).clamp_min(1e-12)
''',
            "NaN where a class scores 0": '''
def trust(s, x):
    heard = torch.einsum("chw,khw->ck", s.clamp_min(0) ** 4, x)
    return (heard.diagonal() / heard.amax(1)) ** 0.5
''',
            "trusts those asked first": '''
def trust(s, x):
    heard = torch.einsum("chw,khw->ck", s.clamp_min(0) ** 4, x)
    f = (heard.diagonal() / heard.amax(1).clamp_min(1e-12)) ** 0.5
    return f * torch.linspace(1, 0.9, len(s))
''',
            "scores alone": '''
def trust(s, x):
    return s.mean((1, 2)) / s.mean((1, 2)).max().clamp_min(1e-12)
''',
            "order": '''
def trust(s, x):
    loud = x.amax((1, 2)) / x.max()
    return loud * torch.linspace(1, 0.5, len(s))
''',
            "empty claim": '''
def trust(s, x):
    claim = s.clamp_min(0) ** 4
    heard = torch.einsum("chw,khw->ck", claim, x)
    return (heard.diagonal() / heard.amax(1)) ** 0.5
''',
            "above 1": '''
def trust(s, x):
    loud = x.mean((1, 2))
    return loud / loud.mean()
''',
            "not a vector": '''
def trust(s, x):
    return (x.amax((1, 2), keepdim=True) / x.max())
''',
            "the two quietest": '''
def trust(s, x):
    loud = x.amax((1, 2))
    factors = torch.ones(len(s))
    factors[loud.argsort()[:2]] = 0
    return factors
''',
            "random": '''
def trust(s, x):
    return torch.rand(len(s))
''',
            "changes the scores": '''
def trust(s, x):
    s *= (x.amax((1, 2)) / x.max())[:, None, None]
    return torch.ones(len(s))
''',
            "alone": '''
def trust(s, x):
    claim = s.clamp_min(0) ** 4
    heard = (claim * x).sum((1, 2))
    return heard / heard.max().clamp_min(1e-12)
''',
        },
    },
}
