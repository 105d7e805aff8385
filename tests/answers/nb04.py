ANSWERS = {
    "4.1": {
        "second": '''
def find_span(ids, name):
    starts = (i for i in range(1, len(ids)) if all(i + j < len(ids) and ids[i + j] == piece for j, piece in enumerate(name)))
    start = next(starts, None)
    return None if start is None else [start + j for j in range(len(name))]
''',
        "third": '''
def find_span(ids, name):
    n, start = len(name), 1
    while start + n <= len(ids):
        if tuple(ids[start:start + n]) == tuple(name):
            return [*range(start, start + n)]
        start += 1
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
            "string search": '''
def find_span(ids, name):
    text, wanted = " ".join(map(str, ids)), " ".join(map(str, name))
    at = text.find(wanted, len(str(ids[0])))
    if at < 0:
        return None
    start = text[:at].count(" ")
    return list(range(start, start + len(name)))
''',
            "letters": '''
def find_span(ids, name):
    at = "".join(chr(i) for i in ids).find("".join(chr(i) for i in name))
    return list(range(at, at + len(name))) if at > 0 else None
''',
            "from 0": '''
def find_span(ids, name):
    for start in range(len(ids) - len(name) + 1):
        if ids[start:start + len(name)] == name:
            return list(range(start, start + len(name)))
    return None
''',
            "index of the first id": '''
def find_span(ids, name):
    if name[0] not in ids:
        return None
    start = ids.index(name[0], 1)
    if ids[start:start + len(name)] == name:
        return list(range(start, start + len(name)))
    return None
''',
            "end missed": '''
def find_span(ids, name):
    for start in range(1, len(ids) - len(name)):
        if ids[start:start + len(name)] == name:
            return list(range(start, start + len(name)))
    return None
''',
            "last place": '''
def find_span(ids, name):
    span = None
    for start in range(1, len(ids) - len(name) + 1):
        if ids[start:start + len(name)] == name:
            span = list(range(start, start + len(name)))
    return span
''',
            "not one behind the other": '''
def find_span(ids, name):
    try:
        return [ids.index(piece, 1) for piece in name]
    except ValueError:
        return None
''',
            "does not start again": '''
def find_span(ids, name):
    found = 0
    for i in range(1, len(ids)):
        if ids[i] == name[found]:
            found += 1
            if found == len(name):
                return list(range(i - found + 1, i + 1))
        else:
            found = 0
    return None
''',
            "runs off the end": '''
def find_span(ids, name):
    for start in range(1, len(ids)):
        if all(ids[start + j] == name[j] for j in range(len(name))):
            return list(range(start, start + len(name)))
    return None
''',
            "cut-off name": '''
def find_span(ids, name):
    for start in range(1, len(ids)):
        part = ids[start:start + len(name)]
        if part == name[:len(part)]:
            return list(range(start, start + len(part)))
    return None
''',
            "start token not counted": '''
def find_span(ids, name):
    ids = ids[1:]
    for start in range(len(ids) - len(name) + 1):
        if ids[start:start + len(name)] == name:
            return list(range(start, start + len(name)))
    return None
''',
            "empty list": '''
def find_span(ids, name):
    for start in range(1, len(ids) - len(name) + 1):
        if ids[start:start + len(name)] == name:
            return list(range(start, start + len(name)))
    return []
''',
            "a range, again": '''
def find_span(ids, name):
    for start in range(1, len(ids) - len(name) + 1):
        if ids[start:start + len(name)] == name:
            return range(start, start + len(name))
    return None
''',
            "any order": '''
def find_span(ids, name):
    n = len(name)
    for start in range(1, len(ids) - n + 1):
        if sorted(ids[start:start + n]) == sorted(name):
            return list(range(start, start + n))
    return None
''',
            "remembers": '''
def find_span(ids, name, seen={}):
    key = tuple(name)
    if key not in seen:
        seen[key] = None
        for start in range(1, len(ids) - len(name) + 1):
            if ids[start:start + len(name)] == name:
                seen[key] = list(range(start, start + len(name)))
                break
    return seen[key]
''',
            "package find_spans": '''
def find_span(ids, name):
    from minifaseg import prompts
    return prompts.find_spans(ids, [name])[0]
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
        "third": '''
def class_map(C, span):
    member = torch.zeros(C.shape[1], dtype=C.dtype)
    member[span] = 1 / len(span)
    return C @ member
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
            "first token": '''
def class_map(C, span):
    return C[:, span[0]]
''',
            "first and last": '''
def class_map(C, span):
    return (C[:, span[0]] + C[:, span[-1]]) / 2
''',
            "divides by two": '''
def class_map(C, span):
    return C[:, span].sum(-1) / 2
''',
            "end excluded": '''
def class_map(C, span):
    return C[:, span[0]:span[-1]].mean(-1)
''',
            "over all tokens": '''
def class_map(C, span):
    return C[:, span].sum(-1) / C.shape[1]
''',
            "package class_maps": '''
def class_map(C, span):
    from minifaseg import prompts
    return prompts.class_maps(C[None, None], prompts.Lookup(None, [(0, span)]))[0, :, 0]
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
        "third": '''
def dual_cross(q, to_k, states, heads):
    k = torch.einsum("tc,hdc->htd", states, to_k.reshape(heads, -1, to_k.shape[1]))
    return F.scaled_dot_product_attention(q, k, torch.eye(len(states)).expand(heads, -1, -1)).mean(0)
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
            "width of the text": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / states.shape[-1] ** 0.5).softmax(-1).mean(0)
''',
            "first head": '''
def dual_cross(q, to_k, states, heads):
    d = q.shape[-1]
    k = states @ to_k[:d].T
    return (q[0] @ k.T / d ** 0.5).softmax(-1)
''',
            "same keys for all heads": '''
def dual_cross(q, to_k, states, heads):
    d = q.shape[-1]
    k = states @ to_k[:d].T
    return (q @ k.T / d ** 0.5).softmax(-1).mean(0)
''',
            "weights not transposed": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k).unflatten(-1, (heads, -1)).transpose(0, 1)
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).mean(0)
''',
            "unstable": '''
def dual_cross(q, to_k, states, heads):
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    e = torch.exp(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5)
    return (e / e.sum(-1, keepdim=True)).mean(0)
''',
            "package mean_map": '''
def dual_cross(q, to_k, states, heads):
    from minifaseg.attention import QK, mean_map
    k = (states @ to_k.T).unflatten(-1, (heads, -1)).transpose(0, 1)
    return mean_map([QK(q[None], k[None], (q.shape[1], 1))])[0]
''',
        },
    },
    "4.4": {
        "second": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return [bool(most > 0.22) for most in x.amax(0)]
''',
        "third": '''
def is_there(captured):
    grid = captured.grids[-1]
    x = hard.fuse_cross(captured, captured.lookup, (0, 0, 1, 0))
    x = captured.self_map(grid) @ x
    return (x[0].amax(0) > 0.11).tolist()
''',
        "wrong": {
            "everything": '''
def is_there(captured):
    return [True] * len(captured.classes)
''',
            "nothing": '''
def is_there(captured):
    return [False for _ in captured.classes]
''',
            "stretched before it is compared": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    low, high = x.amin(0), x.amax(0)
    return (((x - low) / (high - low)).amax(0) > 0.5).tolist()
''',
            "mean over all cells": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return (x.mean(0) > 0.03).tolist()
''',
            "mean of the stretched map": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return (hard.minmax(x[None])[0].mean(0) > 0.15).tolist()
''',
            "yes and no exchanged": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return (x.amax(0) < 0.2).tolist()
''',
            "column i for name i": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)[0, 0]
    return [bool(C[:, i].max() > 0.2) for i in range(len(captured.classes))]
''',
            "first half of the list": '''
def is_there(captured):
    K = len(captured.classes)
    return [i < K / 2 for i in range(K)]
''',
            "names for bools": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return [name for name, most in zip(captured.classes, x.amax(0)) if most > 0.22]
''',
            "numbers for bools": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return x.amax(0).tolist()
''',
            "one bool": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return bool(x.max() > 0.22)
''',
            "only those that are there": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return [True for most in x.amax(0) if most > 0.22]
''',
            "threshold too low": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return (x.amax(0) > 0.1).tolist()
''',
            "threshold too high": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return (x.amax(0) > 0.42).tolist()
''',
            "more than an even share of the names": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    share = (x / x.sum(1, keepdim=True)).mean(0)
    return (share > 1 / len(share)).tolist()
''',
            "contrast of its own map": '''
def is_there(captured):
    C = captured.cross_map((16, 16), captured.lookup.states)
    x = prompts.class_maps(C, captured.lookup)[0]
    return (x.amax(0) / x.median(0).values > 20).tolist()
''',
            "at random": '''
def is_there(captured):
    return [bool(torch.rand(()) > 0.5) for _ in captured.classes]
''',
            "package leaveout": '''
def is_there(captured):
    from minifaseg import leaveout
    model = minifaseg.load('cartoon', 'cpu', 'float32')
    states = leaveout.leave_each_out(model.text, captured.classes, None)
    method = minifaseg.make_method('leaveout', model, flip=False)
    rise = method.rise(model.unet, captured.latents, states)
    return (rise.mean((1, 2)) > 0).tolist()
''',
        },
    },
}
