"""Answers to 05, HARD."""

ANSWERS = {
    "5.1": {
        "second": '''
def minmax(y):
    out = torch.zeros_like(y)
    for c in range(y.shape[1]):
        low, high = y[:, c].min(), y[:, c].max()
        if high > low:
            out[:, c] = (y[:, c] - low) / (high - low)
    return out
''',
        "third": '''
def minmax(y):
    y = y - y.min(dim=0, keepdim=True).values
    top = y.max(dim=0, keepdim=True).values
    return torch.where(top > 0, y / torch.where(top > 0, top, torch.ones_like(top)), 0)
''',
        "wrong": {
            "one range for all classes": '''
def minmax(y):
    return (y - y.min()) / (y.max() - y.min())
''',
            "over the classes": '''
def minmax(y):
    low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
    return (y - low) / (high - low).clamp_min(1e-30)
''',
            "constant map gives NaN": '''
def minmax(y):
    return (y - y.amin(0)) / (y.amax(0) - y.amin(0))
''',
            "epsilon too large for small ranges": '''
def minmax(y):
    return (y - y.amin(0)) / (y.amax(0) - y.amin(0) + 1e-6)
''',
            "divided by the maximum only": '''
def minmax(y):
    return torch.nan_to_num(y / y.amax(0))
''',
            "in place": '''
def minmax(y):
    y -= y.amin(0)
    y /= y.amax(0).clamp_min(1e-30)
    return y
''',
            "one range for all": '''
def minmax(y):
    low, high = y.min(), y.max()
    return (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
''',
            "over classes": '''
def minmax(y):
    low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
    return (y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)
''',
            "epsilon added": '''
def minmax(y):
    low, high = y.amin(0), y.amax(0)
    return (y - low) / (high - low + 1e-6)
''',
            "floor too high": '''
def minmax(y):
    low, high = y.amin(0), y.amax(0)
    return (y - low) / (high - low).clamp_min(1e-5)
''',
            "small is constant": '''
def minmax(y):
    low, high = y.amin(0), y.amax(0)
    spread = high - low
    return torch.where(spread < 1e-4, torch.zeros_like(y), (y - low) / spread.clamp_min(1e-30))
''',
            "divided by the maximum": '''
def minmax(y):
    low, high = y.amin(0), y.amax(0)
    return torch.where(high > low, (y - low) / high, 0)
''',
            "NaN": '''
def minmax(y):
    low, high = y.amin(0), y.amax(0)
    return (y - low) / (high - low)
''',
            "negative values": '''
def minmax(y):
    low, high = y.amin(0).clamp_min(0), y.amax(0)
    return ((y - low) / (high - low).clamp_min(torch.finfo(y.dtype).tiny)).clamp(0, 1)
''',
            "rounded range": '''
def minmax(y):
    low, high = y.amin(0), y.amax(0)
    constant = torch.isclose(low, high)
    return torch.where(constant, 0, (y - low) / (high - low).clamp_min(1e-30))
''',
            "rank": '''
def minmax(y):
    order = y.argsort(0).argsort(0).float()
    constant = y.amax(0) == y.amin(0)
    return torch.where(constant, 0, order / max(1, len(y) - 1))
''',
            "package minmax": '''
def minmax(y):
    from minifaseg import hard
    return hard.minmax(y[None])[0]
''',
        },
    },
    "5.2": {
        "second": '''
def fuse(maps, weights, full):
    out = torch.zeros(*full, maps[0].shape[2])
    for m, w in zip(maps, weights):
        up = F.interpolate(m.permute(2, 0, 1)[None], size=full, mode="nearest")[0]
        out += w * up.permute(1, 2, 0)
    return out
''',
        "third": '''
def fuse(maps, weights, full):
    H, W = full
    rows, columns = torch.arange(H)[:, None], torch.arange(W)
    return torch.stack([w * m[rows * m.shape[0] // H, columns * m.shape[1] // W] for m, w in zip(maps, weights)]).sum(0)
''',
        "wrong": {
            "bilinear": '''
def fuse(maps, weights, full):
    return sum(w * F.interpolate(m.permute(2, 0, 1)[None], size=full, mode="bilinear")[0].permute(1, 2, 0) for m, w in zip(maps, weights))
''',
            "tiled": '''
def fuse(maps, weights, full):
    return sum(w * m.repeat(full[0] // m.shape[0], full[1] // m.shape[1], 1) for m, w in zip(maps, weights))
''',
            "weights made to sum to 1": '''
def fuse(maps, weights, full):
    up = [F.interpolate(m.permute(2, 0, 1)[None], size=full)[0].permute(1, 2, 0) for m in maps]
    return sum(w / sum(weights) * m for m, w in zip(up, weights))
''',
            "reshape for permute": '''
def fuse(maps, weights, full):
    K = maps[0].shape[2]
    return sum(w * F.interpolate(m.reshape(1, K, *m.shape[:2]), size=full)[0].permute(1, 2, 0) for m, w in zip(maps, weights))
''',
            "no weights": '''
def fuse(maps, weights, full):
    return sum(F.interpolate(m.permute(2, 0, 1)[None], size=full)[0].permute(1, 2, 0) for m in maps)
''',
            "one factor for both sides": '''
def fuse(maps, weights, full):
    f = [full[0] // m.shape[0] for m in maps]
    return sum(w * m.repeat_interleave(n, 0).repeat_interleave(n, 1)[:full[0], :full[1]] for m, w, n in zip(maps, weights, f))
''',
            "classes first": '''
def fuse(maps, weights, full):
    return sum(w * F.interpolate(m.permute(2, 0, 1)[None], size=full)[0] for m, w in zip(maps, weights))
''',
            "weights reversed": '''
def fuse(maps, weights, full):
    H, W = full
    out = 0
    for m, w in zip(maps, weights[::-1]):
        out = out + w * m.repeat_interleave(H // m.shape[0], 0).repeat_interleave(W // m.shape[1], 1)
    return out
''',
            "weights normalised": '''
def fuse(maps, weights, full):
    H, W = full
    total = sum(weights)
    out = 0
    for m, w in zip(maps, weights):
        out = out + w / total * m.repeat_interleave(H // m.shape[0], 0).repeat_interleave(W // m.shape[1], 1)
    return out
''',
            "bilinear, again": '''
def fuse(maps, weights, full):
    out = 0
    for m, w in zip(maps, weights):
        up = F.interpolate(m.permute(2, 0, 1)[None], size=full, mode="bilinear", align_corners=False)
        out = out + w * up[0].permute(1, 2, 0)
    return out
''',
            "one factor": '''
def fuse(maps, weights, full):
    out = 0
    for m, w in zip(maps, weights):
        f = full[0] // m.shape[0]
        out = out + w * m.repeat_interleave(f, 0).repeat_interleave(f, 1)
    return out
''',
            "mean of levels": '''
def fuse(maps, weights, full):
    H, W = full
    out = 0
    for m, w in zip(maps, weights):
        out = out + w * m.repeat_interleave(H // m.shape[0], 0).repeat_interleave(W // m.shape[1], 1)
    return out / len(maps)
''',
            "tiled, again": '''
def fuse(maps, weights, full):
    H, W = full
    out = 0
    for m, w in zip(maps, weights):
        out = out + w * m.repeat(H // m.shape[0], W // m.shape[1], 1)
    return out
''',
            "two levels": '''
def fuse(maps, weights, full):
    H, W = full
    up = [m.repeat_interleave(H // m.shape[0], 0).repeat_interleave(W // m.shape[1], 1) for m in maps]
    return weights[0] * up[0] + weights[1] * up[1]
''',
            "weights left out": '''
def fuse(maps, weights, full):
    H, W = full
    return sum(m.repeat_interleave(H // m.shape[0], 0).repeat_interleave(W // m.shape[1], 1) for m in maps)
''',
            "channels first": '''
def fuse(maps, weights, full):
    out = 0
    for m, w in zip(maps, weights):
        out = out + w * F.interpolate(m.permute(2, 0, 1)[None], size=full, mode="nearest")[0]
    return out
''',
            "each map normalised": '''
def fuse(maps, weights, full):
    H, W = full
    out = 0
    for m, w in zip(maps, weights):
        m = m / m.amax((0, 1)).clamp_min(1e-12)
        out = out + w * m.repeat_interleave(H // m.shape[0], 0).repeat_interleave(W // m.shape[1], 1)
    return out
''',
            "same grid assumed for the last": '''
def fuse(maps, weights, full):
    H, W = maps[-1].shape[:2]
    out = 0
    for m, w in zip(maps, weights):
        out = out + w * m.repeat_interleave(H // m.shape[0], 0).repeat_interleave(W // m.shape[1], 1)
    return out
''',
            "first class": '''
def fuse(maps, weights, full):
    H, W = full
    out = torch.zeros(H, W, 1)
    for m, w in zip(maps, weights):
        out += w * m.repeat_interleave(H // m.shape[0], 0).repeat_interleave(W // m.shape[1], 1).sum(2, keepdim=True)
    return out
''',
            "package fuse_cross": '''
def fuse(maps, weights, full):
    from types import SimpleNamespace
    from minifaseg import hard
    grids = [tuple(m.shape[:2]) for m in maps]
    same = grids[-1] == tuple(full)
    if not same:
        grids = grids + [tuple(full)]
        maps = list(maps) + [torch.zeros(*full, maps[0].shape[2])]
        weights = list(weights) + [0]
    cross = dict(zip(grids, (m.flatten(0, 1)[None, None] for m in maps)))
    captured = SimpleNamespace(grids=grids, cross_map=lambda grid, states: cross[grid])
    lookup = SimpleNamespace(states=None, spans=[(0, [k]) for k in range(maps[0].shape[2])])
    return hard.fuse_cross(captured, lookup, weights)[0].unflatten(0, tuple(full))
''',
        },
    },
    "5.3": {
        "second": '''
def power_times(A, x, tau):
    return x.clone() if tau == 0 else torch.matmul(A, power_times(A, x, tau - 1))
''',
        "third": '''
def power_times(A, x, tau):
    columns = []
    for column in x.T:
        for _ in range(tau):
            column = A.mv(column)
        columns.append(column)
    return torch.stack(columns, dim=1)
''',
        "wrong": {
            "matrix power": '''
def power_times(A, x, tau):
    return torch.linalg.matrix_power(A, tau) @ x
''',
            "product of the maps first": '''
def power_times(A, x, tau):
    P = torch.eye(len(A))
    for _ in range(tau):
        P = P @ A
    return P @ x
''',
            "read from left to right": '''
def power_times(A, x, tau):
    if tau == 0:
        return x
    P = A
    for _ in range(tau - 1):
        P = P @ A
    return P @ x
''',
            "power of the entries": '''
def power_times(A, x, tau):
    return A ** tau @ x
''',
            "transposed": '''
def power_times(A, x, tau):
    for _ in range(tau):
        x = A.T @ x
    return x
''',
            "one step too many": '''
def power_times(A, x, tau):
    y = A @ x
    for _ in range(tau):
        y = A @ y
    return y
''',
            "in place": '''
def power_times(A, x, tau):
    for _ in range(tau):
        x[:] = A @ x
    return x
''',
            "eigenvectors": '''
def power_times(A, x, tau):
    values, vectors = torch.linalg.eig(A)
    return (vectors @ torch.diag(values ** tau) @ torch.linalg.inv(vectors) @ x.to(values.dtype)).real
''',
            "reduce": '''
def power_times(A, x, tau):
    from functools import reduce
    return reduce(torch.matmul, [A] * tau + [x])
''',
            "eigenvectors, again": '''
def power_times(A, x, tau):
    values, vectors = torch.linalg.eig(A)
    coordinates = torch.linalg.solve(vectors, x.to(vectors.dtype))
    return (vectors @ (values[:, None] ** tau * coordinates)).real.to(x.dtype)
''',
            "at least once": '''
def power_times(A, x, tau):
    y = A @ x
    for _ in range(tau - 1):
        y = A @ y
    return y
''',
            "None for 0": '''
def power_times(A, x, tau):
    for i in range(tau):
        x = A @ x
        if i == tau - 1:
            return x
''',
            "three times": '''
def power_times(A, x, tau):
    if tau == 0:
        return x
    return A @ (A @ (A @ x))
''',
            "normalised": '''
def power_times(A, x, tau):
    for _ in range(tau):
        x = A @ x
        x = x / x.sum(0)
    return x
''',
        },
    },
    "5.4": {
        "second": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    image = x.T.reshape(1, K, full, full)
    sums = F.avg_pool2d(image, f).flatten(2)[0] * f * f                 # (K, r*r)
    small = (sums @ A.T).reshape(1, K, r, r)
    return F.interpolate(small, scale_factor=f, mode="bicubic").flatten(2)[0].T
''',
        "third": '''
def coarse_refine(A, x, r, full):
    f = full // r
    cell = torch.arange(full) // f
    block = (cell[:, None] * r + cell).flatten()                # coarse cell of every fine one
    sums = torch.zeros(r * r, x.shape[1]).index_add_(0, block, x)
    images = (A @ sums).unflatten(0, (r, r)).permute(2, 0, 1)[None]
    return F.interpolate(images, scale_factor=f, mode="bicubic")[0].permute(1, 2, 0).flatten(0, 1)
''',
        "wrong": {
            "means of the blocks": '''
def coarse_refine(A, x, r, full):
    K = x.shape[1]
    mean = F.avg_pool2d(x.T.reshape(1, K, full, full), full // r).flatten(2)[0].T
    return F.interpolate((A @ mean).T.reshape(1, K, r, r), size=(full, full), mode="bicubic").flatten(2)[0].T
''',
            "times f instead of f squared": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    sums = F.avg_pool2d(x.T.reshape(1, K, full, full), f).flatten(2)[0].T * f
    return F.interpolate((A @ sums).T.reshape(1, K, r, r), size=(full, full), mode="bicubic").flatten(2)[0].T
''',
            "queries repeated": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    sums = F.avg_pool2d(x.T.reshape(1, K, full, full), f).flatten(2)[0].T * f * f
    return F.interpolate((A @ sums).T.reshape(1, K, r, r), size=(full, full)).flatten(2)[0].T
''',
            "bilinear": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    sums = F.avg_pool2d(x.T.reshape(1, K, full, full), f).flatten(2)[0].T * f * f
    return F.interpolate((A @ sums).T.reshape(1, K, r, r), size=(full, full), mode="bilinear").flatten(2)[0].T
''',
            "corners aligned": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    sums = F.avg_pool2d(x.T.reshape(1, K, full, full), f).flatten(2)[0].T * f * f
    return F.interpolate((A @ sums).T.reshape(1, K, r, r), size=(full, full), mode="bicubic", align_corners=True).flatten(2)[0].T
''',
            "reshape for transpose": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    sums = F.avg_pool2d(x.reshape(1, K, full, full), f).flatten(2)[0].T * f * f
    return F.interpolate((A @ sums).T.reshape(1, K, r, r), size=(full, full), mode="bicubic").flatten(2)[0].T
''',
            "transposed": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    sums = F.avg_pool2d(x.T.reshape(1, K, full, full), f).flatten(2)[0].T * f * f
    return F.interpolate((A.T @ sums).T.reshape(1, K, r, r), size=(full, full), mode="bicubic").flatten(2)[0].T
''',
            "one cell of each block": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    some = x.T.reshape(1, K, full, full)[..., ::f, ::f].flatten(2)[0].T
    return F.interpolate((A @ some).T.reshape(1, K, r, r), size=(full, full), mode="bicubic").flatten(2)[0].T
''',
            "keys bicubic too": '''
def coarse_refine(A, x, r, full):
    K, f = x.shape[1], full // r
    small = F.interpolate(x.T.reshape(1, K, full, full), size=(r, r), mode="bicubic").flatten(2)[0].T * f * f
    return F.interpolate((A @ small).T.reshape(1, K, r, r), size=(full, full), mode="bicubic").flatten(2)[0].T
''',
            "mean": '''
def coarse_refine(A, x, r, full):
    K = x.shape[1]
    image = x.T.reshape(1, K, full, full)
    means = F.avg_pool2d(image, full // r)
    small = (A @ means.reshape(K, r * r).T).T.reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=False).reshape(K, -1).T
''',
            "nearest": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(r, f, r, f, K).sum((1, 3)).reshape(r * r, K)
    y = (A @ sums).reshape(r, r, K)
    return y.repeat_interleave(f, 0).repeat_interleave(f, 1).reshape(full * full, K)
''',
            "bilinear, again": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(r, f, r, f, K).sum((1, 3)).reshape(r * r, K)
    small = (A @ sums).T.reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bilinear", align_corners=False).reshape(K, -1).T
''',
            "corners aligned, again": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(r, f, r, f, K).sum((1, 3)).reshape(r * r, K)
    small = (A @ sums).T.reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=True).reshape(K, -1).T
''',
            "strided instead of blocks": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(f, r, f, r, K).sum((0, 2)).reshape(r * r, K)
    small = (A @ sums).T.reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=False).reshape(K, -1).T
''',
            "runs instead of blocks": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(r * r, f * f, K).sum(1)
    small = (A @ sums).T.reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=False).reshape(K, -1).T
''',
            "A transposed": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(r, f, r, f, K).sum((1, 3)).reshape(r * r, K)
    small = (A.T @ sums).T.reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=False).reshape(K, -1).T
''',
            "classes mixed going in": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(r, f, r, f, K).sum((1, 3)).reshape(r * r, K)
    small = (A @ sums).reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=False).reshape(K, -1).T
''',
            "classes mixed coming out": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(r, f, r, f, K).sum((1, 3)).reshape(r * r, K)
    small = (A @ sums).T.reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=False).reshape(full * full, K)
''',
            "factor 3": '''
def coarse_refine(A, x, r, full):
    K = x.shape[1]
    sums = x.reshape(r, 3, r, 3, K).sum((1, 3)).reshape(r * r, K)
    small = (A @ sums).T.reshape(1, K, r, r)
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=False).reshape(K, -1).T
''',
            "no attention": '''
def coarse_refine(A, x, r, full):
    f, K = full // r, x.shape[1]
    sums = x.reshape(r, f, r, f, K).sum((1, 3))
    small = sums.permute(2, 0, 1)[None]
    return F.interpolate(small, size=(full, full), mode="bicubic", align_corners=False).reshape(K, -1).T
''',
            "package refine_level": '''
def coarse_refine(A, x, r, full):
    from types import SimpleNamespace
    from minifaseg import hard
    captured = SimpleNamespace(grids=[(r, r), (full, full)], apply_self_attention=lambda grid, x: A @ x)
    return hard.refine_level(captured, (r, r), x[None], 1)[0]
''',
        },
    },
    "5.5": {
        "second": '''
def random_walk_with_restart(A, x, alpha, steps):
    term, total = x, torch.zeros_like(x)                                # the walks of every length, each with its chance
    for _ in range(steps):
        total = total + (1 - alpha) * term
        term = alpha * A @ term
    return total + term
''',
        "third": '''
def random_walk_with_restart(A, x, alpha, steps):
    walk, y = alpha * A, x                                      # a scaled copy of A, N^2 work, is let pass
    for _ in range(steps):
        y = torch.addmm((1 - alpha) * x, walk, y)
    return y
''',
        "wrong": {
            "alpha and 1 - alpha exchanged": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps):
        y = (1 - alpha) * (A @ y) + alpha * x
    return y
''',
            "returns to y": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps):
        y = alpha * (A @ y) + (1 - alpha) * y
    return y
''',
            "the start overwritten": '''
def random_walk_with_restart(A, x, alpha, steps):
    for _ in range(steps):
        x = alpha * (A @ x) + (1 - alpha) * x
    return x
''',
            "starts one step late": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = torch.zeros_like(x)
    for _ in range(steps):
        y = alpha * (A @ y) + (1 - alpha) * x
    return y
''',
            "transposed": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps):
        y = alpha * (A.T @ y) + (1 - alpha) * x
    return y
''',
            "the limit whatever the steps": '''
def random_walk_with_restart(A, x, alpha, steps):
    return (1 - alpha) * torch.linalg.solve(torch.eye(len(A)) - alpha * A, x)
''',
            "one step too many": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps + 1):
        y = alpha * (A @ y) + (1 - alpha) * x
    return y
''',
            "returns only at the end": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps):
        y = A @ y
    return alpha * y + (1 - alpha) * x
''',
            "with matrix powers": '''
def random_walk_with_restart(A, x, alpha, steps):
    P = torch.linalg.matrix_power
    return P(alpha * A, steps) @ x + sum((1 - alpha) * (P(alpha * A, i) @ x) for i in range(steps))
''',
            "steps ignored": '''
def random_walk_with_restart(A, x, alpha, steps):
    I = torch.eye(len(A), dtype=A.dtype)
    return (1 - alpha) * torch.linalg.solve(I - alpha * A, x)
''',
            "in place": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps):
        y[:] = alpha * (A @ y) + (1 - alpha) * x
    return y
''',
            "restart weight left out": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps):
        y = alpha * (A @ y) + x
    return y
''',
            "restart before the step": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps):
        y = A @ (alpha * y + (1 - alpha) * x)
    return y
''',
            "begins at 0": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = torch.zeros_like(x)
    for _ in range(steps + 1):
        y = alpha * (A @ y) + (1 - alpha) * x
    return y
''',
            "one step less": '''
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(1, steps):
        y = alpha * (A @ y) + (1 - alpha) * x
    return y
''',
        },
    },
    "5.6": {
        "second": '''
def walkers(A, cell, tau):
    p = torch.zeros_like(A[0])
    p[cell] = 1
    for _ in range(tau):
        p = torch.einsum("i,ij->j", p, A)
    return p
''',
        "third": '''
def walkers(A, cell, tau):
    p = torch.zeros(len(A), 1, dtype=A.dtype, device=A.device)
    p[cell] = 1
    for _ in range(tau):
        p = A.T @ p
    return p[:, 0]
''',
        "wrong": {
            "the column": '''
def walkers(A, cell, tau):
    p = torch.eye(len(A), dtype=A.dtype)[cell]
    for _ in range(tau):
        p = A @ p
    return p
''',
            "starts with a step": '''
def walkers(A, cell, tau):
    p = A[cell]
    for _ in range(tau):
        p = p @ A
    return p
''',
            "row of the powers of entries": '''
def walkers(A, cell, tau):
    return A[cell] ** tau
''',
            "matrix power": '''
def walkers(A, cell, tau):
    return torch.linalg.matrix_power(A, tau)[cell]
''',
            "starts everywhere": '''
def walkers(A, cell, tau):
    p = torch.full((len(A),), 1 / len(A))
    for _ in range(tau):
        p = p @ A
    return p
''',
            "one step for tau 0": '''
def walkers(A, cell, tau):
    p = A[cell]
    for _ in range(tau - 1):
        p = p @ A
    return p
''',
            "row kept as a matrix": '''
def walkers(A, cell, tau):
    p = torch.zeros(1, len(A))
    p[0, cell] = 1
    for _ in range(tau):
        p = p @ A
    return p
''',
            "stretched": '''
def walkers(A, cell, tau):
    p = torch.zeros(len(A))
    p[cell] = 1
    for _ in range(tau):
        p = p @ A
        p = p / p.max()
    return p
''',
            "float32 only": '''
def walkers(A, cell, tau):
    p = torch.zeros(len(A))
    p[cell] = 1
    for _ in range(tau):
        p = p @ A
    return p
''',
        },
    },
    "5.7": {
        "second": '''
def stationary(A, tolerance):
    N = len(A)
    equations = torch.cat([A.T - torch.eye(N, dtype=A.dtype), torch.ones(1, N, dtype=A.dtype)])     # pi A = pi, sum 1
    right = torch.zeros(N + 1, 1, dtype=A.dtype)
    right[-1] = 1
    return torch.linalg.lstsq(equations, right).solution[:, 0]
''',
        "third": '''
def stationary(A, tolerance):
    values, vectors = torch.linalg.eig(A.T)
    pi = vectors[:, (values - 1).abs().argmin()].real
    return pi / pi.sum()
''',
        "wrong": {
            "right eigenvector": '''
def stationary(A, tolerance):
    pi = torch.full_like(A[0], 1 / len(A))
    while (A @ pi - pi).abs().sum() > tolerance:
        pi = A @ pi
    return pi
''',
            "all move at once": '''
def stationary(A, tolerance):
    pi = torch.full_like(A[0], 1 / len(A))
    while True:
        after = pi @ A
        if (after - pi).abs().sum() <= tolerance:
            return after
        pi = after
''',
            "a hundred steps": '''
def stationary(A, tolerance):
    pi = torch.full_like(A[0], 1 / len(A))
    for _ in range(100):
        pi = (pi + pi @ A) / 2
    return pi
''',
            "sums of the columns": '''
def stationary(A, tolerance):
    return A.sum(0) / A.sum()
''',
            "the tolerance asked of half a step": '''
def stationary(A, tolerance):
    pi = torch.full_like(A[0], 1 / len(A))
    while True:
        after = (pi + pi @ A) / 2
        if (after - pi).abs().sum() <= tolerance:
            return pi
        pi = after
''',
            "counts, not shares": '''
def stationary(A, tolerance):
    pi = torch.ones_like(A[0])
    while (pi @ A - pi).abs().sum() > tolerance:
        pi = (pi + pi @ A) / 2
    return pi
''',
            "complex": '''
def stationary(A, tolerance):
    values, vectors = torch.linalg.eig(A.T)
    pi = vectors[:, values.real.argmax()]
    return pi / pi.sum()
''',
            "eigenvector of A": '''
def stationary(A, tolerance):
    values, vectors = torch.linalg.eig(A)
    pi = vectors[:, values.real.argmax()].real
    return pi / pi.sum()
''',
            "of length 1": '''
def stationary(A, tolerance):
    values, vectors = torch.linalg.eig(A.T)
    return vectors[:, values.real.argmax()].real.abs()
''',
            "a row of a high power": '''
def stationary(A, tolerance):
    return torch.linalg.matrix_power(A, 1000)[0]
''',
            "float32 only": '''
def stationary(A, tolerance):
    pi = torch.ones(len(A)) / len(A)
    while (pi @ A - pi).abs().sum() > tolerance:
        pi = (pi + pi @ A) / 2
    return pi
''',
        },
    },
    "5.8": {
        "second": '''
def segment_from_click(captured, cell):
    """The nine cells around the click start; where they are after two steps, as far as it hangs together."""
    from scipy import ndimage
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    y, x = cell
    near = torch.arange(H * W).reshape(H, W)[max(y - 2, 0):y + 3, max(x - 2, 0):x + 3].flatten()
    p = (A[near].mean(0) @ A).reshape(H, W)
    parts, _ = ndimage.label((p >= 0.2 * p.max()).cpu().numpy())
    return torch.tensor(parts == parts[y, x]) if parts[y, x] else p >= 0.2 * p.max()
''',
        "third": '''
def segment_from_click(captured, cell):
    """Cells whose walks are like those of the cells around the click, by cosine, at two levels."""
    H, W = captured.grids[-1]
    y, x = cell
    near = torch.arange(H * W).reshape(H, W)[max(y - 1, 0):y + 2, max(x - 1, 0):x + 2].flatten()
    A = captured.self_map((H, W))[0]
    coarse = captured.self_map((H // 2, W // 2))[0]
    coarse = coarse.reshape(H // 2, W // 2, -1).repeat_interleave(2, 0).repeat_interleave(2, 1).flatten(0, 1)
    score = 0
    for rows in (A @ A, coarse):
        rows = F.normalize(rows - rows.mean(0), dim=1)
        score = score + (rows @ rows[near].T).mean(1)
    return (score >= 0.4 * score.max()).reshape(H, W)
''',
        "wrong": {
            "row of A": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    p = captured.self_map((H, W))[0][cell[0] * W + cell[1]]
    return (p >= 0.1 * p.max()).reshape(H, W)
''',
            "row of A squared": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    p = A[cell[0] * W + cell[1]] @ A
    return (p >= 0.1 * p.max()).reshape(H, W)
''',
            "column of A": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    p = captured.self_map((H, W))[0][:, cell[0] * W + cell[1]]
    return (p >= 0.1 * p.max()).reshape(H, W)
''',
            "eight steps": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    p = A[cell[0] * W + cell[1]]
    for _ in range(7):
        p = p @ A
    return (p >= 0.1 * p.max()).reshape(H, W)
''',
            "a disc": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    down, right = torch.arange(H)[:, None] - cell[0], torch.arange(W) - cell[1]
    return down ** 2 + right ** 2 <= 49
''',
            "row and column exchanged": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    x, y = cell
    near = torch.arange(H * W).reshape(H, W)[max(y - 2, 0):y + 3, max(x - 2, 0):x + 3].flatten()
    p = (A[near].mean(0) @ A).reshape(H, W)
    return p >= 0.2 * p.max()
''',
            "scores instead of a mask": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    return (A[cell[0] * W + cell[1]] @ A).reshape(H, W)
''',
            "in place": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    A -= A.mean(0)
    A /= A.norm(dim=1, keepdim=True)
    score = (A @ A[cell[0] * W + cell[1]]).reshape(H, W)
    return score >= 0.3 * score.max()
''',
            "flat": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    p = A[cell[0] * W + cell[1]] @ A
    return p >= 0.1 * p.max()
''',
            "the loudest cell whatever is clicked": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    p = A[A.sum(0).argmax()] @ A
    return (p >= 0.1 * p.max()).reshape(H, W)
''',
            "alike without the mean taken off": '''
def segment_from_click(captured, cell):
    H, W = captured.grids[-1]
    A = captured.self_map((H, W))[0]
    B = F.normalize(A @ A, dim=1)
    return (B @ B[cell[0] * W + cell[1]] >= 0.6).reshape(H, W)
''',
        },
    },
}
