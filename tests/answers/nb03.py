ANSWERS = {
    "3.1": {
        "second": '''
def attention_map(q, k):
    d = q.shape[-1]
    maps = []
    for Q, K in zip(q, k):
        logits = torch.einsum("nd,md->nm", Q, K) / d ** 0.5
        e = (logits - logits.amax(1, keepdim=True)).exp()
        maps.append(e / e.sum(1, keepdim=True))
    return torch.stack(maps).mean(0)
''',
        "wrong": {
            "softmax over the queries": '''
def attention_map(q, k):
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(1).mean(0)
''',
            "missing scale": '''
def attention_map(q, k):
    return (q @ k.transpose(1, 2)).softmax(-1).mean(0)
''',
            "scale of all heads": '''
def attention_map(q, k):
    return (q @ k.transpose(1, 2) / (q.shape[0] * q.shape[-1]) ** 0.5).softmax(-1).mean(0)
''',
            "sum over heads": '''
def attention_map(q, k):
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).sum(0)
''',
            "mean before the softmax": '''
def attention_map(q, k):
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).mean(0).softmax(-1)
''',
            "divided by d": '''
def attention_map(q, k):
    return (q @ k.transpose(1, 2) / q.shape[-1]).softmax(-1).mean(0)
''',
            "exp that overflows": '''
def attention_map(q, k):
    e = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).exp()
    return (e / e.sum(-1, keepdim=True)).mean(0)
''',
        },
    },
    "3.2": {
        "second": '''
def attend(q, k, v):
    return torch.cat([F.scaled_dot_product_attention(q[h][None], k[h][None], v[h][None])[0] for h in range(len(q))], dim=1)
''',
        "wrong": {
            "heads not brought to the back": '''
def attend(q, k, v):
    out = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v
    return out.reshape(q.shape[1], -1)
''',
            "channels interleaved": '''
def attend(q, k, v):
    out = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v
    return out.permute(1, 2, 0).flatten(1)
''',
            "mean of the heads": '''
def attend(q, k, v):
    out = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v
    return out.mean(0).repeat(1, len(q))
''',
            "one map for all heads": '''
def attend(q, k, v):
    A = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).mean(0)
    return (A @ v).transpose(0, 1).flatten(1)
''',
            "missing scale": '''
def attend(q, k, v):
    return ((q @ k.transpose(1, 2)).softmax(-1) @ v).transpose(0, 1).flatten(1)
''',
        },
    },
    "3.3": {
        "second": '''
def sees(A, grid, y, x):
    H, W = grid
    return A.unflatten(0, (H, W))[y, x].unflatten(0, (H, W))
''',
        "wrong": {
            "the column": '''
def sees(A, grid, y, x):
    return A[:, y * grid[1] + x].reshape(grid)
''',
            "x and y exchanged": '''
def sees(A, grid, y, x):
    return A[x * grid[0] + y].reshape(grid)
''',
            "height instead of width": '''
def sees(A, grid, y, x):
    return A[y * grid[0] + x].reshape(grid)
''',
            "picture transposed": '''
def sees(A, grid, y, x):
    return A[y * grid[1] + x].reshape(grid[1], grid[0]).T
''',
        },
    },
}
