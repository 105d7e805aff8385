"""Notebook 09: second right solutions, and what is easily got wrong."""
ANSWERS = {
    "9.1": {"second": '''
def map_bytes(side, factor, layers, heads, size=4):
    total = 0
    for divisor in layers:
        cells = side // (factor * divisor)
        total += layers[divisor] * heads * cells ** 4
    return total * size
''', "third": '''
def map_bytes(side, factor, layers, heads, size=4):
    latent = side // factor
    numbers = 0
    for divisor, n in layers.items():
        level = latent // divisor
        N = level * level
        numbers += n * heads * N * N
    return int(numbers * size)
''', "wrong": {
        "cells instead of pairs of cells": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 2 * size for divisor, n in layers.items())
''', "pixels instead of latent cells": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // divisor) ** 4 * size for divisor, n in layers.items())
''', "one map for all heads": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * (side // factor // divisor) ** 4 * size for divisor, n in layers.items())
''', "one layer at each level": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(heads * (side // factor // divisor) ** 4 * size for divisor in layers)
''', "the divisor divides the cells": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * ((side // factor) ** 2 // divisor) ** 2 * size for divisor, n in layers.items())
''', "always float32": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 4 * 4 for divisor, n in layers.items())
''', "only the finest level": '''
def map_bytes(side, factor, layers, heads, size=4):
    for divisor, n in layers.items():
        return n * heads * (side // factor // divisor) ** 4 * size
''', "Stable Diffusion's factor": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // 8 // divisor) ** 4 * size for divisor, n in layers.items())
''', "float": '''
def map_bytes(side, factor, layers, heads, size=4):
    total = 0
    for divisor, n in layers.items():
        N = (side / factor / divisor) ** 2
        total += n * heads * N ** 2 * size
    return total
''', "NumPy's int": '''
def map_bytes(side, factor, layers, heads, size=4):
    return np.sum([n * heads * (side // factor // d) ** 4 * size for d, n in layers.items()])
''', "divisor of the cells": '''
def map_bytes(side, factor, layers, heads, size=4):
    cells = (side // factor) ** 2
    return sum(n * heads * (cells // divisor) ** 2 * size for divisor, n in layers.items())
''', "keys and values exchanged": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 4 * size for n, divisor in layers.items())
''', "heads left out": '''
def map_bytes(side, factor, layers, heads, size=4):
    return 2 * sum(n * (side // factor // divisor) ** 4 * size for divisor, n in layers.items())
''', "two views": '''
def map_bytes(side, factor, layers, heads, size=4):
    return 2 * sum(n * heads * (side // factor // divisor) ** 4 * size for divisor, n in layers.items())
''', "GiB": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 4 * size for divisor, n in layers.items()) / 2 ** 30
''', "cross-attention": '''
def map_bytes(side, factor, layers, heads, size=4):
    return sum(n * heads * (side // factor // divisor) ** 2 * 77 * size for divisor, n in layers.items())
''', "int32": '''
def map_bytes(side, factor, layers, heads, size=4):
    total = np.int32(0)
    for divisor, n in layers.items():
        N = np.array((side // factor // divisor) ** 2, np.int32)
        total = total + (np.array(n * heads * size, np.int32) * N * N)
    return int(total)
'''}},
    "9.2": {"second": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[out == 0] = 255
    out -= 1
    out[labels == 0] = 255
    out[labels == 255] = 255
    return out
''', "third": '''
def reduce_zero_label(labels):
    table = np.arange(-1, 255)                                  # 0..255 -> -1..254
    table[[0, 255]] = 255
    return table.astype(np.uint8)[labels]
''', "wrong": {
        "255 wraps to 254": '''
def reduce_zero_label(labels):
    return labels - np.uint8(1)
''', "zero first, then the shift": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[out == 0] = 255
    out -= 1
    return out
''', "shift first, then zero": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[labels != 255] -= 1
    out[out == 0] = 255
    return out
''', "in place": '''
def reduce_zero_label(labels):
    ignored = (labels == 0) | (labels == 255)
    labels -= 1
    labels[ignored] = 255
    return labels
''', "clipped at 0": '''
def reduce_zero_label(labels):
    out = np.clip(labels.astype(int) - 1, 0, 255)
    out[labels == 255] = 255
    return out.astype(np.uint8)
''', "signed integers": '''
def reduce_zero_label(labels):
    out = labels.astype(np.int64) - 1
    out[(labels == 0) | (labels == 255)] = 255
    return out
''', "zeros kept": '''
def reduce_zero_label(labels):
    return np.where((labels > 0) & (labels < 255), labels - 1, labels).astype(np.uint8)
''', "all of 254 and more ignored": '''
def reduce_zero_label(labels):
    out = labels - np.uint8(1)
    out[out >= 253] = 255
    return out
''', "in place, again": '''
def reduce_zero_label(labels):
    labels[labels == 0] = 255
    labels -= 1
    labels[labels == 254] = 255
    return labels
''', "subtracted first": '''
def reduce_zero_label(labels):
    out = labels - np.uint8(1)
    out[out == 0] = 255
    return out
''', "int64": '''
def reduce_zero_label(labels):
    out = labels.astype(int) - 1
    out[(labels == 0) | (labels == 255)] = 255
    return out
''', "0 stays": '''
def reduce_zero_label(labels):
    out = labels.astype(int) - 1
    out[labels == 255] = 255
    return np.clip(out, 0, 255).astype(np.uint8)
''', "nothing to do without a 0": '''
def reduce_zero_label(labels):
    if not (labels == 0).any():
        return labels.copy()
    return np.where((labels == 0) | (labels == 255), 255, labels - 1).astype(np.uint8)
''', "254 lost": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[out == 0] = 255
    out = out - np.uint8(1)
    out[out >= 253] = 255
    return out
''', "ADE20K's 150": '''
def reduce_zero_label(labels):
    out = np.full_like(labels, 255)
    known = (labels >= 1) & (labels <= 150)
    out[known] = labels[known] - 1
    return out
''', "a list": '''
def reduce_zero_label(labels):
    return [[255 if v in (0, 255) else int(v) - 1 for v in row] for row in labels]
''', "a tensor": '''
def reduce_zero_label(labels):
    t = torch.from_numpy(labels).long()
    return torch.where((t == 0) | (t == 255), 255, t - 1).to(torch.uint8)
''', "added": '''
def reduce_zero_label(labels):
    return np.where((labels == 0) | (labels == 255), 255, labels + 1).astype(np.uint8)
''', "255 taken along": '''
def reduce_zero_label(labels):
    return np.where(labels == 0, 255, labels - 1).astype(np.uint8)
'''}},
}
