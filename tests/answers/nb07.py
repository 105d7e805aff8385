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
        },
    },
}
