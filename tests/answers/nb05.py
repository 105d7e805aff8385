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
        },
    },
    "5.3": {
        "second": '''
def power_times(A, x, tau):
    return x.clone() if tau == 0 else torch.matmul(A, power_times(A, x, tau - 1))
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
        },
    },
}
