ANSWERS = {
    "4.1": {
        "second": '''
def find_span(ids, name):
    starts = (i for i in range(1, len(ids)) if all(i + j < len(ids) and ids[i + j] == piece for j, piece in enumerate(name)))
    start = next(starts, None)
    return None if start is None else [start + j for j in range(len(name))]
''',
        "wrong": {
            "counts without the start token": '''
def find_span(ids, name):
    words = ids[1:]
    for i in range(len(words) - len(name) + 1):
        if words[i:i + len(name)] == name:
            return list(range(i, i + len(name)))
''',
            "start token as part of a name": '''
def find_span(ids, name):
    for i in range(len(ids) - len(name) + 1):
        if ids[i:i + len(name)] == name:
            return list(range(i, i + len(name)))
''',
            "never looks at the last place": '''
def find_span(ids, name):
    for i in range(1, len(ids) - len(name)):
        if ids[i:i + len(name)] == name:
            return list(range(i, i + len(name)))
''',
            "every piece by itself": '''
def find_span(ids, name):
    if all(piece in ids[1:] for piece in name):
        return [ids.index(piece, 1) for piece in name]
    return None
''',
            "only the first piece": '''
def find_span(ids, name):
    if name[0] in ids[1:]:
        start = ids.index(name[0], 1)
        return list(range(start, start + len(name)))
    return None
''',
            "gives up after a false start": '''
def find_span(ids, name):
    span = []
    for i in range(1, len(ids)):
        if ids[i] == name[len(span)]:
            span.append(i)
            if len(span) == len(name):
                return span
        else:
            span = []
    return None
''',
            "the last place": '''
def find_span(ids, name):
    found = None
    for i in range(1, len(ids) - len(name) + 1):
        if ids[i:i + len(name)] == name:
            found = list(range(i, i + len(name)))
    return found
''',
            "empty list for None": '''
def find_span(ids, name):
    for i in range(1, len(ids) - len(name) + 1):
        if ids[i:i + len(name)] == name:
            return list(range(i, i + len(name)))
    return []
''',
            "a range": '''
def find_span(ids, name):
    for i in range(1, len(ids) - len(name) + 1):
        if ids[i:i + len(name)] == name:
            return range(i, i + len(name))
''',
        },
    },
    "4.2": {
        "second": '''
def class_map(C, span):
    x = torch.zeros(len(C), dtype=C.dtype, device=C.device)
    for j in span:
        x = x + C[:, j]
    return x / len(span)
''',
        "wrong": {
            "sum": '''
def class_map(C, span):
    return C[:, span].sum(-1)
''',
            "mean over the cells": '''
def class_map(C, span):
    return C[:, span].mean(0)
''',
            "rows for columns": '''
def class_map(C, span):
    return C[span].mean(0)
''',
            "last token lost": '''
def class_map(C, span):
    return C[:, span[0]:max(span[0] + 1, span[-1])].mean(-1)
''',
            "last piece only": '''
def class_map(C, span):
    return C[:, span[-1]]
''',
            "made to sum to 1": '''
def class_map(C, span):
    x = C[:, span].mean(-1)
    return x / x.sum()
''',
            "one column too far left": '''
def class_map(C, span):
    return C[:, [j - 1 for j in span]].mean(-1)
''',
            "keeps an axis": '''
def class_map(C, span):
    return C[:, span].mean(-1, keepdim=True)
''',
            "largest token": '''
def class_map(C, span):
    return C[:, span].amax(-1)
''',
        },
    },
    "4.3": {
        "second": '''
def dual_cross(q, to_k, states, heads):
    h, N, d = q.shape
    total = torch.zeros(N, len(states), device=q.device)
    for i in range(heads):
        k = states @ to_k[i * d:(i + 1) * d].T
        logits = torch.einsum("nd,td->nt", q[i], k) / d ** 0.5
        e = torch.exp(logits - logits.amax(1, keepdim=True))
        total += e / e.sum(1, keepdim=True)
    return total / heads
''',
        "wrong": {
            "scale of all heads": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / to_k.shape[0] ** 0.5).softmax(-1).mean(0)
''',
            "no scale": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2)).softmax(-1).mean(0)
''',
            "heads not exchanged with tokens": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).reshape(heads, len(states), -1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).mean(0)
''',
            "split as (d, h)": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (-1, heads)).permute(2, 0, 1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).mean(0)
''',
            "softmax over the cells": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(1).mean(0)
''',
            "sum over the heads": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).sum(0)
''',
            "mean before softmax": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).mean(0).softmax(-1)
''',
            "one large head": '''
def dual_cross(q, to_k, states, heads):
    all = q.transpose(0, 1).flatten(1)
    return (all @ (states @ to_k.T).T / q.shape[-1] ** 0.5).softmax(-1)
''',
            "to_k not transposed where that fits": '''
def dual_cross(q, to_k, states, heads):
    k = states @ (to_k if to_k.shape[0] == to_k.shape[1] else to_k.T)
    k = k.unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).mean(0)
''',
            "heads kept": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
''',
            "no softmax": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).mean(0)
''',
        },
    },
}
