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
    "7.4": {
        "second": '''
def own_scores(method, captured):
    A = captured.self_map(captured.grids[-1]) ** 1.5                # like listens to like, and less to the rest
    A = A / A.sum(-1, keepdim=True)
    y = A @ method.class_maps(captured, captured.lookup)
    low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
    y = (y - low) / (high - low).clamp_min(1e-9)
    picture, mirrored = y.transpose(1, 2).unflatten(2, captured.grids[-1])
    return (picture + mirrored.flip(-1)) / 2
''',
        "third": '''
def stretched(y):
    low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
    return (y - low) / (high - low).clamp_min(1e-9)

def own_scores(method, captured):
    grid = captured.grids[-1]
    x = method.class_maps(captured, captured.lookup)
    refined = captured.apply_self_attention(grid, x)
    y = (stretched(x) + 2 * stretched(refined)) / 3                 # part of it stays where it was
    return ttf.merge(hard.as_image(y, grid))
''',
        "wrong": {
            "package scores": '''
def own_scores(method, captured):
    return method.scores(captured)
''',
            "package refine": '''
def own_scores(method, captured):
    x = method.class_maps(captured, captured.lookup)
    s = hard.refine(captured, x, method.levels, 2)
    return ttf.merge(hard.as_image(s, captured.grids[-1]))
''',
            "FA-Seg written out": '''
def own_scores(method, captured):
    grid = captured.grids[-1]
    y = captured.self_map(grid) @ method.class_maps(captured, captured.lookup)
    return ttf.merge(hard.as_image(hard.minmax(y), grid))
''',
            "cross-attention alone": '''
def own_scores(method, captured):
    x = method.class_maps(captured, captured.lookup)
    return ttf.merge(hard.as_image(hard.minmax(x), captured.grids[-1]))
''',
            "blurred, which knows no edges": '''
def own_scores(method, captured):
    x = hard.as_image(hard.minmax(method.class_maps(captured, captured.lookup)), captured.grids[-1])
    return ttf.merge(F.avg_pool2d(x, 3, stride=1, padding=1))
''',
            "mirror view not turned back": '''
def own_scores(method, captured):
    grid = captured.grids[-1]
    y = captured.self_map(grid) @ method.class_maps(captured, captured.lookup)
    return hard.as_image(hard.minmax(y), grid).mean(0)
''',
            "raw attention, not stretched": '''
def own_scores(method, captured):
    grid = captured.grids[-1]
    return ttf.merge(hard.as_image(captured.self_map(grid) @ method.class_maps(captured, captured.lookup), grid))
''',
            "both views": '''
def own_scores(method, captured):
    return hard.as_image(hard.minmax(method.class_maps(captured, captured.lookup)), captured.grids[-1])
''',
            "NaN": '''
def own_scores(method, captured):
    grid = captured.grids[-1]
    x = hard.minmax(method.class_maps(captured, captured.lookup))
    y = captured.self_map(grid) @ x
    return ttf.merge(hard.as_image((y - y) / (x - x), grid))
''',
            "noise on top": '''
def own_scores(method, captured):
    grid = captured.grids[-1]
    y = captured.self_map(grid) @ method.class_maps(captured, captured.lookup)
    s = ttf.merge(hard.as_image(hard.minmax(y), grid))
    return s + 0.05 * torch.rand_like(s)
''',
        },
    },
    "7.5": {
        "second": '''
def twin_scores(method, captured, names, text):
    s = method.scores(captured)
    plain = minifaseg.make_method("faseg", tau=0, cross=method.cross, levels=method.levels)
    ahead = plain.scores(captured)[:2].diff(dim=0)                  # (1, h, w): second minus first
    both = s[:2].amax(0, keepdim=True)
    votes = F.avg_pool2d(ahead * both, 9, stride=1, padding=4)      # the neighbours decide, too
    whose = torch.cat([votes <= 0, votes > 0]).float()
    return torch.cat([both * whose, s[2:]])
''',
        "third": '''
def twin_scores(method, captured, names, text):
    s = method.scores(captured)
    one, other = (name.split() for name in names[:2])
    noun = method.scores(captured, prompts.class_prompts(text, (one[-1], *names[2:])))
    where = noun[0]                                                 # the noun says where
    colours = method.scores(captured, prompts.class_prompts(text, (one[0], other[0])))
    x = torch.arange(s.shape[2])
    ahead = (colours[0] - colours[1]) * where ** 4
    middle = [(side.clamp_min(0).sum(0) * x).sum() / side.clamp_min(0).sum() for side in (ahead, -ahead)]
    near = ((x - middle[0]).abs() < (x - middle[1]).abs()).float()
    both = torch.maximum(s[:2].amax(0), where)
    return torch.cat([(both * near)[None], (both * (1 - near))[None], s[2:]])
''',
        "wrong": {
            "asked plainly": '''
def twin_scores(method, captured, names, text):
    return method.scores(captured)
''',
            "the noun for both": '''
def twin_scores(method, captured, names, text):
    noun = names[0].split()[-1]
    s = method.scores(captured, prompts.class_prompts(text, (noun, *names[2:])))
    return torch.cat([s[:1], s])
''',
            "colour words alone": '''
def twin_scores(method, captured, names, text):
    colours = [name.split()[0] for name in names[:2]]
    s = method.scores(captured, prompts.class_prompts(text, colours))
    return torch.cat([s, method.scores(captured)[2:]])
''',
            "noun times colour": '''
def twin_scores(method, captured, names, text):
    s = method.scores(captured)
    colours = method.scores(captured, prompts.class_prompts(text, [name.split()[0] for name in names[:2]]))
    noun = method.scores(captured, prompts.class_prompts(text, [names[0].split()[-1]]))
    return torch.cat([noun * colours, s[2:]])
''',
            "raised": '''
def twin_scores(method, captured, names, text):
    s = method.scores(captured)
    return torch.cat([1.3 * s[:2], s[2:]])
''',
            "exchanged": '''
def twin_scores(method, captured, names, text):
    s = method.scores(captured)
    return torch.cat([s[:2].flip(0), s[2:]])
''',
            "the first is on the left": '''
def twin_scores(method, captured, names, text):
    s = method.scores(captured)
    left = (torch.arange(s.shape[2]) < s.shape[2] / 2).float()
    both = s[:2].amax(0, keepdim=True)
    return torch.cat([both * left, both * (1 - left), s[2:]])
''',
            "unrefined": '''
def twin_scores(method, captured, names, text):
    plain = minifaseg.make_method("faseg", tau=0, cross=method.cross, levels=method.levels)
    return plain.scores(captured)
''',
            "each in a prompt of its own": '''
def twin_scores(method, captured, names, text):
    return method.scores(captured, prompts.class_prompts(text, names, alone=True))
''',
            "the larger one takes all": '''
def twin_scores(method, captured, names, text):
    s = method.scores(captured)
    both = s[:2].amax(0, keepdim=True)
    return torch.cat([both * (s[:1] >= s[1:2]), both * (s[:1] < s[1:2]), s[2:]])
''',
            "the twins' maps alone": '''
def twin_scores(method, captured, names, text):
    return method.scores(captured)[:2]
''',
            "NaN": '''
def twin_scores(method, captured, names, text):
    s = method.scores(captured)
    share = (s[:2] - 1).clamp_min(0)
    return torch.cat([s[:2] * share / share.sum(0, keepdim=True), s[2:]])
''',
        },
    },
}
