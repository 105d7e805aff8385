"""Notebook 09: bytes of attention maps, reduce_zero_label."""
import numpy as np


def check_9_1(student):
    bytes_of = student.map_bytes
    one = bytes_of(32, 8, {1: 1}, 1, 1)                                     # 4 x 4 cells: one map of 16 x 16 numbers
    assert one is not None, "nothing is returned; return the number of bytes"
    assert one != 16, "16 is the number of cells N; a map holds N x N numbers, one for each pair of cells"
    assert one != 32 ** 4, "the cells are those of the latent, whose side is side / factor, not the picture's pixels"
    assert one != 4 * 256, "size is the bytes of a number, 1 was asked for; yours counts 4 whatever it is"
    assert one == 256, f"32 pixels, factor 8: 4 x 4 cells, N = 16, one map of 16 x 16 = 256 numbers of 1 byte; yours gives {one}"
    assert bytes_of(32, 8, {1: 1}, 3, 1) == 3 * 256, "every head has a map of its own: three heads, three times the bytes"
    assert bytes_of(32, 8, {1: 5}, 1, 1) == 5 * 256, "every layer has maps of its own: five layers, five times the bytes"
    assert bytes_of(32, 8, {1: 1}, 1, 2) == 2 * 256, "size is the bytes of a number: 2 for float16"
    assert bytes_of(32, 8, {1: 1}, 1) == 4 * 256, "without size, a number has 4 bytes"
    half = bytes_of(32, 8, {2: 1}, 1, 1)
    assert half != 64, "a divisor of 2 halves the side, so N becomes a quarter and N x N a sixteenth: 16, not 64"
    assert half == 16, f"a divisor of 2: 2 x 2 cells, N = 4, 16 numbers; yours gives {half}"
    assert bytes_of(32, 8, {1: 2, 2: 3}, 1, 1) == 2 * 256 + 3 * 16, "two layers at the finest level and three below: 2 x 256 + 3 x 16 numbers; are all levels added up?"
    assert bytes_of(128, 4, {1: 3, 2: 3, 4: 3, 8: 1}, 2) == 4 * 2 * (3 * 1024 ** 2 + 3 * 256 ** 2 + 3 * 64 ** 2 + 16 ** 2), \
        "the cartoon model: factor 4, 2 heads; are factor and heads taken from the arguments?"
    want = 4 * 8 * (5 * 4096 ** 2 + 5 * 1024 ** 2 + 5 * 256 ** 2 + 64 ** 2)
    got = bytes_of(512, 8, {1: 5, 2: 5, 4: 5, 8: 1}, 8)
    assert got == want, f"Stable Diffusion 1.5 at 512 pixels: {want:,} bytes, yours gives {got:,}"
    layers = {8: 1, 1: 5}
    bytes_of(512, 8, layers, 8)
    assert layers == {8: 1, 1: 5}, "your function changed the dict of layers, which belongs to whoever called it"


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
    assert isinstance(got, np.ndarray), f"return a NumPy array; yours is of type {type(got).__name__}"
    assert got.shape == before.shape, f"the shape should stay {before.shape}; yours is {got.shape}"
    assert got[0, 1] != 254, "255 has become 254: what is ignored must stay ignored"
    assert got[0, 0] != 0, "0 is still 0; without a background class it becomes 255, ignored"
    assert got[0, 0] == 255, f"0 should become 255; yours is {got[0, 0]}"
    assert got[0, 1] == 255, f"255 should stay 255; yours is {got[0, 1]}"
    assert got[0, 2] != 255, "1 is the first class and becomes 0, which is a class from now on; yours is 255. Is 0 made 255 after the shift instead of before?"
    assert got[0, 3] == 253, f"254 is a class and becomes 253; yours is {got[0, 3]}. Are 254 and 255 kept apart?"
    assert got.dtype == np.uint8, f"the type should be uint8, as label files have; yours is {got.dtype}"
    want = np.array([255, *range(254), 255], np.uint8)[before]
    assert np.array_equal(got, want), f"{(got != want).sum()} of {want.size} labels are wrong; i should become i - 1 for i = 1 .. 254"
    again = before.copy()
    student.reduce_zero_label(again)
    assert np.array_equal(again, before), "your function changed its input; make a copy first"
    nothing = np.full((2, 3), 255, np.uint8)
    assert (student.reduce_zero_label(nothing) == 255).all(), "a map of 255 alone stays as it is"
