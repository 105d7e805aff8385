"""Notebook 09: bytes of attention maps, reduce_zero_label, the paired bootstrap."""
import numpy as np

from minifaseg.evaluate import bootstrap

from . import is_number, meaning, write_it_yourself


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


def miou_of(M):
    """mIoU of one confusion matrix (C, C), without labels that do not occur."""
    hit, union = np.diag(M), M.sum(0) + M.sum(1) - np.diag(M)
    return (hit[union > 0] / union[union > 0]).mean()


def differences(a, b, seed, apart=False, size=None, draws=2000):
    """mIoU of a less that of b on resampled pictures; apart: each method draws its own; size: how many pictures are drawn."""
    generator, n = np.random.default_rng(seed), len(a)
    draw = lambda: generator.multinomial(size or n, np.full(n, 1 / n), draws)          # how often each picture comes
    times = draw()
    totals = [np.tensordot(times, a, 1), np.tensordot(draw() if apart else times, b, 1)]
    hit = [M.diagonal(axis1=1, axis2=2) for M in totals]                                # every class occurs here
    miou_a, miou_b = [(h / (M.sum(1) + M.sum(2) - h)).mean(1) for M, h in zip(totals, hit)]
    return miou_a - miou_b


def two_pictures(rule):
    """The values that a rule (a matrix -> a number) takes on the three data sets that two pictures make."""
    return lambda M: np.array([rule(M[places].sum(0)) for places in ([0, 0], [0, 1], [1, 1])])


@write_it_yourself(bootstrap.confidence, bootstrap.resampled)
def check_9_3(student):
    def interval(a, b, seed=0, **options):
        a, b = a.copy(), b.copy()
        a.flags.writeable = b.flags.writeable = False
        generator = np.random.default_rng(seed)
        state = generator.bit_generator.state
        with meaning("read-only", "your function writes into the matrices, which belong to whoever called it; make a copy first", ValueError), \
                meaning("output array is read-only", "your function writes into the matrices, which belong to whoever called it", ValueError):
            got = student.is_better(a, b, generator, **options)
        assert got is not None, "nothing is returned; return the two ends of the interval"
        assert not isinstance(got, (bool, np.bool_)), "the interval is asked for, (low, high), not whether a is better"
        assert np.ndim(got) == 1 and len(got) == 2, "return two numbers, (low, high)"
        low, high = float(got[0]), float(got[1])
        assert low == low and high == high, "an end of your interval is NaN: a class that is in neither truth nor prediction of a draw has 0 / 0, and is left out of the mean"
        return low, high, generator.bit_generator.state != state

    # Equal methods: whatever is drawn, the difference is 0.
    draw = np.random.default_rng(93)
    some = draw.integers(1, 90, (6, 3, 3)) + 200 * np.eye(3, dtype=int)
    low, high, _ = interval(some, some)
    assert (low, high) == (0, 0), "the two methods are equal, so each difference is 0 and the interval 0 to 0; yours is not. Is it a difference of the two, with the same pictures for both in each draw?"

    # All pictures alike: nothing is left to chance.
    good, poor = np.array([[90, 10, 0], [10, 60, 0], [0, 0, 30]]), np.array([[60, 30, 10], [20, 50, 0], [5, 5, 20]])
    want = miou_of(good) - miou_of(poor)
    recall = lambda M: (np.diag(M) / M.sum(1)).mean()
    precision = lambda M: (np.diag(M) / M.sum(0)).mean()
    accuracy = lambda M: np.trace(M) / M.sum()
    double = lambda M: (np.diag(M) / (M.sum(0) + M.sum(1))).mean()
    things = lambda M: (np.diag(M) / (M.sum(0) + M.sum(1) - np.diag(M)))[1:].mean()
    low, high, _ = interval(np.stack([good] * 4), np.stack([poor] * 4))
    for said, rule in {"a row of the matrix is the truth alone; IoU divides by truth or prediction, their union: yours is the mean recall": recall,
                       "a column of the matrix is the prediction alone; IoU divides by truth or prediction, their union": precision,
                       "yours is the difference of the pixel accuracies; mIoU is asked for": accuracy,
                       "the union counts the pixels in both once: subtract the diagonal": double,
                       "class 0 is a class like the others and counts": things}.items():
        wrong = rule(good) - rule(poor)
        assert max(abs(low - wrong), abs(high - wrong)) > 1e-9, said
    assert max(abs(low + want), abs(high + want)) > 1e-9, "the sign is turned: mIoU of a less that of b; a comes first, and is the better one here"
    assert max(abs(low - 100 * want), abs(high - 100 * want)) > 1e-6, "the mIoU goes from 0 to 1; yours is in percent"
    assert abs(high - low) < 1e-9, "all pictures are alike, so all draws give one difference and the interval is a point; yours is not. Are whole pictures drawn, and as many as there are?"
    assert abs(low - want) < 1e-9, f"four pictures that are all alike: the interval is their difference, whatever is drawn; yours begins at {low:.4f}"

    # Two pictures make three data sets: the first twice (a quarter of the draws), each once (half), the second twice. So the ends are the extremes.
    # Made so that the data set of both lies outside the other two, and class 3 occurs in the second picture alone.
    a = np.array([[[0, 3, 0, 0], [2, 18, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], [[60, 0, 90, 0], [0, 0, 0, 0], [30, 0, 90, 20], [70, 0, 10, 150]]])
    b = np.array([[[3, 0, 0, 0], [20, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], [[33, 0, 43, 74], [0, 0, 0, 0], [98, 0, 36, 6], [45, 0, 182, 3]]])
    of = two_pictures(miou_of)
    value_a, value_b = of(a), of(b)
    d = value_a - value_b
    want = d.min(), d.max()
    low, high, _ = interval(a, b, draws=400)
    alone = np.array([miou_of(a[i]) - miou_of(b[i]) for i in (0, 1)])
    zero = two_pictures(lambda M: np.divide(np.diag(M), M.sum(0) + M.sum(1) - np.diag(M), out=np.zeros(4), where=M.sum(0) + M.sum(1) > 0).mean())
    d0 = zero(a) - zero(b)
    share = two_pictures(lambda M: M)(a / a.sum((1, 2), keepdims=True)), two_pictures(lambda M: M)(b / b.sum((1, 2), keepdims=True))
    d1 = np.array([miou_of(x) - miou_of(y) for x, y in zip(*share)])
    for said, wrong in {
            "each method draws pictures of its own in yours; the comparison is paired: the same places for both": (value_a.min() - value_b.max(), value_a.max() - value_b.min()),
            "yours subtracts the ends of two intervals; take the difference in each draw, then its quantiles": (value_a.min() - value_b.min(), value_a.max() - value_b.max()),
            "the mIoU of a data set comes from one matrix, the sum of n drawn pictures'; the ends of yours are those of single pictures: is a mean of their own mIoUs taken, or fewer than n drawn?": (alone.min(), alone.max()),
            "the low end comes first; yours are the other way round": want[::-1],
            "a class that is in neither truth nor prediction of a draw is left out of the mean; yours counts it as 0": (d0.min(), d0.max()),
            "counts are summed as they are, a large picture counts more; yours makes each picture's matrix sum to 1": (d1.min(), d1.max()),
            "yours is the interval of method a alone; the difference of both is asked for": (value_a.min(), value_a.max()),
            "yours is the interval of method b alone; the difference of both is asked for": (value_b.min(), value_b.max()),
            "every draw of yours has each picture once: draw with replacement": (d[1], d[1]),
            "both ends are the smallest difference: np.percentile takes percent, 2.5 and 97.5, and np.quantile shares, 0.025 and 0.975": (d.min(), d.min())}.items():
        assert not (abs(low - wrong[0]) < 1e-9 and abs(high - wrong[1]) < 1e-9) or np.allclose(wrong, want, rtol=0, atol=1e-9), said
    spread = np.sort([abs(low - want[0]), abs(high - want[1])])
    assert spread[1] < 1e-9, ("two pictures make three data sets, and each is at least a quarter of the draws: the ends are the smallest and the largest of three differences; "
                              "yours are others. Are whole pictures drawn, n of n, with replacement, and quantiles taken, not a mean and a deviation?")

    # Many pictures, some hard for both methods: a small gain in each. Widths against our own draws; 2,000 of them leave about 2 percent of chance, 12 are allowed.
    n = 60
    hard = draw.beta(0.6, 2, (n, 1, 1))
    mixed = draw.dirichlet(np.ones(4) * 2, (n, 4)) * 1000
    base = (1 - hard) * 1000 * np.eye(4) + hard * mixed
    b = np.rint(base * draw.gamma(2, 1, (n, 4, 1))).astype(int)
    moved = (b * (1 - np.eye(4, dtype=int))) // 5                                   # a fifth of what is wrong becomes right
    a = b - moved + moved.sum(2)[:, :, None] * np.eye(4, dtype=int)
    values = differences(a, b, 1)
    ends = np.quantile(values, (0.025, 0.975))
    width = ends[1] - ends[0]
    low, high, used = interval(a, b, seed=2, draws=2000)
    ratio = (high - low) / width
    about = lambda values, share=0.95: abs(ratio / (np.diff(np.quantile(values, ((1 - share) / 2, (1 + share) / 2)))[0] / width) - 1) < 0.1
    assert not about(differences(a, b, 3, apart=True)), "each method draws pictures of its own in yours, so the interval is far too wide; the comparison is paired"
    if not 0.88 < ratio < 1.12:
        assert not about(values, 0.90), "yours holds the middle 90 % of the draws; for the middle 95 % cut off 2.5 % at each end"
        assert not about(values, 0.99), "yours holds the middle 99 % of the draws; for the middle 95 % cut off 2.5 % at each end"
        assert not about(differences(a, b, 4, size=n // 2)), "yours draws half of the pictures, which makes the interval too wide; draw n of n"
        raise AssertionError(f"60 pictures: your interval is {ratio:.2f} times as wide as it should be. Are n of n pictures drawn, with replacement, and the 2.5 % and 97.5 % quantiles taken?")
    assert low > 0, "a is a little better on every picture, so the interval lies above 0; yours does not"
    off = abs((low + high) / 2 - ends.mean()) / width
    assert off < 0.12, "60 pictures: the width is right, but the interval lies elsewhere than it should"
    assert used, "draw with the generator that is given; yours was not asked, so nobody can repeat or vary your draws"
    assert interval(a, b, seed=2, draws=200)[:2] == interval(a, b, seed=2, draws=200)[:2], \
        "the same generator has to give the same interval; yours draws by another source, too"
    assert interval(a, b, seed=5, draws=50)[:2] != interval(a, b, seed=6, draws=50)[:2], "another generator draws other pictures; yours gives the same interval for each. Is a seed fixed inside?"
    low, high, _ = interval(a, b, draws=1)
    assert low == high, "`draws` is how many data sets are drawn; with one the interval is a point. Yours takes another number"
