"""Notebook 09: bytes of attention maps, reduce_zero_label."""
import numpy as np

from . import is_number


def check_9_1(student):
    def bytes_of(*args):
        got = student.map_bytes(*args)
        assert got is not None, "nothing is returned; return the number of bytes"
        assert not isinstance(got, float) or not 0 < got < 16, "bytes are asked for, in an int; yours are GiB or MiB"
        assert isinstance(got, int) and not isinstance(got, bool), \
            f"bytes are counted: return a Python int; yours is of type {type(got).__name__}. Divide by //, not by /; NumPy's and torch's numbers run over, an int() of Python does not"
        return got

    layers = {8: 1, 1: 5, 2: 3}
    side, factor, heads, size = 128, 4, 5, 3
    n = {d: side // factor // d for d in layers}                            # cells along a side: 4, 32, 16
    total = lambda numbers, heads=heads, size=size: sum(k * heads * size * numbers(d) for d, k in layers.items())
    want = total(lambda d: n[d] ** 4)
    got = bytes_of(side, factor, layers, heads, size)
    assert layers == {8: 1, 1: 5, 2: 3}, "your function changed the dict of layers, which belongs to whoever called it"
    is_number(got, want, f"{side} pixels, factor {factor}, layers {layers}, {heads} heads, numbers of {size} bytes: yours gives {got:,} bytes", {
        "N is the number of cells; a map holds N x N numbers, one for each pair of cells": total(lambda d: n[d] ** 2),
        "N is the square of a level's side, and a map holds N x N numbers: the side to the power of 4; yours is to the power of 3": total(lambda d: n[d] ** 3),
        "a map holds N x N numbers, with N the number of cells: the side to the power of 4; yours is to the power of 8": total(lambda d: n[d] ** 8),
        "a map holds N x N numbers; yours counts each pair of cells once": total(lambda d: n[d] ** 2 * (n[d] ** 2 + 1) // 2),
        "the cells are those of the latent, whose side is side / factor, not the picture's pixels": total(lambda d: (side // d) ** 4),
        "`factor` is an argument; yours divides by Stable Diffusion's 8": total(lambda d: (side // 8 // d) ** 4),
        "every head has a map of its own: multiply by the heads": total(lambda d: n[d] ** 4, heads=1),
        "every head has a map of its own: multiply by the heads; yours takes two, or counts two views": total(lambda d: n[d] ** 4, heads=2),
        "every head has a map of its own: multiply by the heads; yours takes Stable Diffusion's 8": total(lambda d: n[d] ** 4, heads=8),
        "N x 77 is the cross-attention, of cells to tokens; self-attention has N x N": total(lambda d: 77 * n[d] ** 2),
        "every head has a map, N x N: heads come once, not squared": total(lambda d: n[d] ** 4, heads=heads ** 2),
        "every layer has maps of its own: multiply each level by its number of layers": sum(heads * size * n[d] ** 4 for d in layers),
        "`size` is the bytes of a number, 3 was asked for; yours counts 4 whatever it is": total(lambda d: n[d] ** 4, size=4),
        "`size` is the bytes of a number: multiply by it": total(lambda d: n[d] ** 4, size=1),
        "a number has `size` bytes; yours counts bits": total(lambda d: n[d] ** 4, size=24),
        "the divisor divides a level's side: N becomes a quarter for 2, N x N a sixteenth; yours divides the number of cells": total(lambda d: ((side // factor) ** 2 // d) ** 2),
        "the divisor divides a level's side: N becomes a quarter for 2, N x N a sixteenth; yours divides N x N": total(lambda d: (side // factor) ** 4 // d),
        "the divisor divides a level's side: N becomes a quarter for 2, N x N a sixteenth; yours divides N x N by its square": total(lambda d: (side // factor) ** 4 // d ** 2),
        "every level has a side of its own: divide by its divisor; yours takes the finest side for all": total(lambda d: (side // factor) ** 4),
        "the divisor is not an exponent: a level's side is the latent's divided by it": total(lambda d: (side // factor // 2 ** d) ** 4),
        "the dict has {divisor: number of layers}; yours exchanges the two": sum(d * heads * size * (side // factor // k) ** 4 for d, k in layers.items()),
        "all levels are added up; yours is the first in the dict alone": heads * size * n[8] ** 4,
        "all levels are added up; yours is the last in the dict alone": 3 * heads * size * n[2] ** 4,
        "all levels are added up; yours is the finest alone": 5 * heads * size * n[1] ** 4,
        "all levels are added up; yours is the largest of them": max(k * heads * size * n[d] ** 4 for d, k in layers.items()),
        "each level has its own N x N; yours adds up all cells first and squares then": heads * size * sum(k * n[d] ** 2 for d, k in layers.items()) ** 2,
        "maps of one view are asked for; yours counts two views": 2 * want,
        "bytes are asked for; yours are KiB": want // 1024, "bytes are asked for; yours are MiB": want // 2 ** 20,
        "queries and keys are no maps: a map has N x N numbers": total(lambda d: 2 * n[d] ** 2)}, tolerance=0)
    got = bytes_of(32, 8, {1: 1}, 1)
    assert got == 4 * 256, f"without size, a number has 4 bytes: 32 pixels, factor 8, one layer and head: yours gives {got}"
    got, want = bytes_of(512, 8, {1: 5, 2: 5, 4: 5, 8: 1}, 8), 4 * 8 * (5 * 4096 ** 2 + 5 * 1024 ** 2 + 5 * 256 ** 2 + 64 ** 2)
    assert got != want - 2 ** 32, f"yours gives {got:,} bytes for Stable Diffusion 1.5: the number runs over in 32 bits; Python's own ints do not"
    assert got == want, f"Stable Diffusion 1.5 at 512 pixels: yours gives {got:,} bytes"
    assert bytes_of(512, 8, {}, 8) == 0, "a network without layers needs 0 bytes"


def check_9_2(student):
    labels = np.random.default_rng(9).integers(0, 256, (7, 5), dtype=np.uint8)
    labels[0] = 0, 255, 1, 254, 59
    before = labels.copy()
    labels.flags.writeable = False                                          # as np.asarray of a picture is
    try:
        got = student.reduce_zero_label(labels)
    except ValueError as e:
        assert "read-only" not in str(e), "your function writes into its input, which belongs to whoever called it; make a copy first"
        raise
    except OverflowError as e:
        raise AssertionError(f"a uint8 holds 0 to 255 and no -1 or 256 ({e}): decide by masks, or count in a larger type and return to uint8") from None
    assert got is not None, "nothing is returned; return the new array"
    assert isinstance(got, np.ndarray), f"return a NumPy array; yours is of type {type(got).__name__}"
    assert got.shape == before.shape, f"the shape should stay {before.shape}; yours is {got.shape}"
    want = np.array([255, *range(254), 255], np.uint8)[before]
    i = before.astype(int)
    for said, wrong in {
            "255 has become 254: what is ignored must stay ignored": np.where(i == 0, 255, i - 1),
            "nothing is shifted: i becomes i - 1 for i = 1 .. 254": np.where(i == 0, 255, i),
            "0 is still 0; without a background class it becomes 255, ignored": np.where((i > 0) & (i < 255), i - 1, i),
            "0 becomes 255, ignored; yours is 254, as the shift came after it": np.where((i == 0) | (i == 255), 254, i - 1),
            "1 is the first class and becomes 0, which is a class from now on; yours is 255. Is 0 made 255 after the shift instead of before?": np.where((i <= 1) | (i == 255), 255, i - 1),
            "255 is still 254, and 0 is looked for after the subtraction, when 1 has become 0: decide by the labels that were given": np.where(i <= 1, 255, i - 1),
            "all labels from 1 to 254 are classes; yours takes ADE20K's 150 alone": np.where((i == 0) | (i > 150), 255, i - 1),
            "254 is a class and becomes 253; yours is 255": np.where((i == 0) | (i >= 254), 255, i - 1),
            "254 is a class and becomes 253; yours stays": np.where(i == 0, 255, np.where(i >= 254, i, i - 1)),
            "the shift goes the wrong way: i becomes i - 1, yours i + 1": np.where((i == 0) | (i == 255), 255, i + 1),
            "labels below 0 are cut off at 0, where the first class is now: 0 becomes 255": np.where(i == 255, 255, np.maximum(i - 1, 0)),
            "0 becomes 255, ignored; and 255 stays 255, yours is 254": np.maximum(i - 1, 0),
            "255 becomes 0 in yours; it stays 255": np.where(i == 255, 0, np.where(i == 0, 255, i - 1))}.items():
        assert not np.array_equal(got.astype(int), wrong), said
    assert got[0, 0] != 0, "0 is still 0; without a background class it becomes 255, ignored"
    assert got[0, 0] == 255, f"0 should become 255; yours is {got[0, 0]}"
    assert got[0, 1] == 255, f"255 should stay 255; yours is {got[0, 1]}: what is ignored must stay ignored"
    assert got[0, 2] == 0, f"1 is the first class and becomes 0; yours is {got[0, 2]}"
    assert got[0, 3] == 253, f"254 is a class and becomes 253; yours is {got[0, 3]}. Are 254 and 255 kept apart?"
    assert got.dtype == np.uint8, f"the type should be uint8, as label files have; yours is {got.dtype}"
    assert np.array_equal(got, want), f"{(got != want).sum()} of {want.size} labels are wrong; i should become i - 1 for i = 1 .. 254"
    again = before.copy()
    other = student.reduce_zero_label(again)
    assert np.array_equal(again, before), "your function changed its input; make a copy first"
    assert not np.shares_memory(other, again), "your function returns its input, or a view of it; make a copy first"
    some = np.array([[1, 2, 255], [254, 7, 1]], np.uint8)
    got = student.reduce_zero_label(some)
    assert got.tolist() == [[0, 1, 255], [253, 6, 0]], "a map without a 0 is shifted, too: i becomes i - 1 for i = 1 .. 254" if np.array_equal(got, some) else \
        "a map without a 0, or one without the other labels, is shifted all the same: i becomes i - 1 for i = 1 .. 254, 255 stays"
    nothing = np.full((2, 3), 255, np.uint8)
    assert (student.reduce_zero_label(nothing) == 255).all(), "a map of 255 alone stays as it is"
