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
        "third": '''
def attention_map(q, k):
    M = k.shape[1]
    return F.scaled_dot_product_attention(q, k, torch.eye(M).expand(len(q), M, M)).mean(0)
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
            "mean before softmax": '''
def attention_map(q, k):
    logits = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    return logits.mean(0).softmax(-1)
''',
            "width of all heads": '''
def attention_map(q, k):
    h, N, d = q.shape
    return (q @ k.transpose(1, 2) / (h * d) ** 0.5).softmax(-1).mean(0)
''',
            "scale N": '''
def attention_map(q, k):
    return (q @ k.transpose(1, 2) / q.shape[1] ** 0.5).softmax(-1).mean(0)
''',
            "transposed": '''
def attention_map(q, k):
    return (k @ q.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).mean(0)
''',
            "first head": '''
def attention_map(q, k):
    return (q[0] @ k[0].T / q.shape[-1] ** 0.5).softmax(-1)
''',
            "heads joined": '''
def attention_map(q, k):
    d = q.shape[-1]
    q, k = q.transpose(0, 1).flatten(1), k.transpose(0, 1).flatten(1)
    return (q @ k.T / d ** 0.5).softmax(-1)
''',
            "sum of heads renormalised": '''
def attention_map(q, k):
    A = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
    A = A.amax(0)
    return A / A.sum(-1, keepdim=True)
''',
            "package mean_map": '''
def attention_map(q, k):
    from minifaseg import attention
    return attention.mean_map([attention.QK(q[None], k[None], (q.shape[1], 1))])[0]
''',
        },
    },
    "3.2": {
        "second": '''
def attend(q, k, v):
    return torch.cat([F.scaled_dot_product_attention(q[h][None], k[h][None], v[h][None])[0] for h in range(len(q))], dim=1)
''',
        "third": '''
def attend(q, k, v):
    weights = torch.softmax(torch.einsum("hnd,hmd->hnm", q, k) * q.size(-1) ** -0.5, dim=2)
    return torch.einsum("hnm,hmd->nhd", weights, v).reshape(q.size(1), -1)
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
            "reshaped without transposing": '''
def attend(q, k, v):
    out = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v
    return out.reshape(out.shape[1], -1)
''',
            "heads reversed": '''
def attend(q, k, v):
    out = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v
    return out.flip(0).transpose(0, 1).flatten(1)
''',
            "mean of heads": '''
def attend(q, k, v):
    return ((q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v).mean(0)
''',
            "scale of all heads": '''
def attend(q, k, v):
    h, N, d = q.shape
    out = (q @ k.transpose(1, 2) / (h * d) ** 0.5).softmax(-1) @ v
    return out.transpose(0, 1).reshape(N, h * d)
''',
            "two heads of four": '''
def attend(q, k, v):
    out = (q @ k.transpose(1, 2) / 2).softmax(-1) @ v
    return torch.cat([out[0], out[1]], dim=1)
''',
            "keys handed on": '''
def attend(q, k, v):
    out = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ k
    return out.transpose(0, 1).flatten(1)
''',
            "package attend": '''
def attend(q, k, v):
    from minifaseg import layers
    return layers.attend(q[None], k[None], v[None])[0].transpose(0, 1).flatten(1)
''',
        },
    },
    "3.3": {
        "second": '''
def sees(A, grid, y, x):
    H, W = grid
    return A.unflatten(0, (H, W))[y, x].unflatten(0, (H, W))
''',
        "third": '''
def sees(A, grid, y, x):
    cells = torch.arange(grid[0] * grid[1]).reshape(grid)
    return A[cells[y, x]][cells]
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
            "column by column": '''
def sees(A, grid, y, x):
    H, W = grid
    return A[x * H + y].reshape(grid)
''',
            "times the height": '''
def sees(A, grid, y, x):
    H, W = grid
    return A[y * H + x].reshape(H, W)
''',
            "column of A": '''
def sees(A, grid, y, x):
    H, W = grid
    return A[:, y * W + x].reshape(H, W)
''',
            "reshaped as (W, H)": '''
def sees(A, grid, y, x):
    H, W = grid
    return A[y * W + x].reshape(W, H).T
''',
            "stretched": '''
def sees(A, grid, y, x):
    row = A[y * grid[1] + x]
    return (row / row.max()).reshape(grid)
''',
            "x and y exchanged, again": '''
def sees(A, grid, y, x):
    return A[x * grid[1] + y].reshape(grid)
''',
            "square root of N": '''
def sees(A, grid, y, x):
    side = int(len(A) ** 0.5)
    return A[y * side + x].reshape(side, -1)
''',
            "counted from 1": '''
def sees(A, grid, y, x):
    return A[y * grid[1] + x - 1].reshape(grid)
''',
            "symmetrised": '''
def sees(A, grid, y, x):
    i = y * grid[1] + x
    return ((A[i] + A[:, i]) / 2).reshape(grid)
''',
        },
    },
    "3.4": {
        "second": '''
def cells_looked_at(A):
    bits = -(A * (A + 1e-30).log2()).sum(-1)
    return 2 ** bits
''',
        "third": '''
def cells_looked_at(A):
    n = torch.zeros(len(A))
    for i, row in enumerate(A):
        p = row[row > 0]
        n[i] = torch.prod(p ** -p)
    return n
''',
        "wrong": {
            "entropy without exp": '''
def cells_looked_at(A):
    return torch.special.entr(A).sum(1)
''',
            "no minus": '''
def cells_looked_at(A):
    return (A * (A + 1e-12).log()).sum(1).exp()
''',
            "columns": '''
def cells_looked_at(A):
    return torch.special.entr(A).sum(0).exp()
''',
            "mean for sum": '''
def cells_looked_at(A):
    return torch.special.entr(A).mean(1).exp()
''',
            "NaN at zeros": '''
def cells_looked_at(A):
    return (-(A * A.log()).sum(1)).exp()
''',
            "bits and e": '''
def cells_looked_at(A):
    return (-(A * (A + 1e-12).log2()).sum(1)).exp()
''',
            "nats and 2": '''
def cells_looked_at(A):
    return 2 ** torch.special.entr(A).sum(1)
''',
            "whole map": '''
def cells_looked_at(A):
    return torch.special.entr(A).sum().exp()
''',
            "inverse of the sum of squares": '''
def cells_looked_at(A):
    return 1 / A.square().sum(1)
''',
            "counts what is not zero": '''
def cells_looked_at(A):
    return (A > 0).sum(1).float()
''',
            "zeros kept away too far": '''
def cells_looked_at(A):
    p = A.clamp_min(1e-3)
    return (-(p * p.log()).sum(1)).exp()
''',
            "small entries dropped": '''
def cells_looked_at(A):
    logs = torch.where(A > 1e-4, A, torch.ones_like(A)).log()
    return (-(A * logs).sum(1)).exp()
''',
            "mean of all cells": '''
def cells_looked_at(A):
    return torch.special.entr(A).sum(1).exp().mean()
''',
            "softmax again": '''
def cells_looked_at(A):
    p = A.softmax(1)
    return (-(p * p.log()).sum(1)).exp()
''',
            "keeps an axis": '''
def cells_looked_at(A):
    return torch.special.entr(A).sum(1, keepdim=True).exp()
''',
            "exp of each summand": '''
def cells_looked_at(A):
    return torch.special.entr(A).exp().sum(1)
''',
            "writes into A": '''
def cells_looked_at(A):
    A[A == 0] = 1
    return (-(A * A.log()).sum(1)).exp()
''',
            "package perplexity": '''
def cells_looked_at(A):
    return torch.distributions.Categorical(probs=A).perplexity()
''',
        },
    },
}
