"""Notebook 09: second right solutions, and what is easily got wrong."""
ANSWERS = {
    "9.1": {"second": '''
def map_bytes(side, factor, layers, heads, size=4):
    total = 0
    for divisor in layers:
        cells = side // (factor * divisor)
        total += layers[divisor] * heads * cells ** 4
    return total * size
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
'''}},
    "9.2": {"second": '''
def reduce_zero_label(labels):
    out = labels.copy()
    out[out == 0] = 255
    out -= 1
    out[labels == 0] = 255
    out[labels == 255] = 255
    return out
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
'''}},
}
