"""03, attention."""
import torch
from torch.distributions import Categorical, Distribution

from minifaseg import attention, layers

from . import close, is_tensor, write_it_yourself


@write_it_yourself(attention.mean_map)
def check_3_1(student):
    q, k = torch.randn(3, 6, 8), torch.randn(3, 9, 8)
    kept = q.clone(), k.clone()
    A = student.attention_map(q, k)
    assert torch.equal(q, kept[0]) and torch.equal(k, kept[1]), "your function changes q or k; make new tensors"
    is_tensor(A)
    logits = q @ k.transpose(1, 2)                                          # (h, N, M)
    scaled = logits / 8 ** 0.5
    maps, exp = scaled.softmax(-1), scaled.exp()
    over = lambda x, dim: x / x.sum(dim, keepdim=True)
    close(A, maps.mean(0), "not the mean of the heads' maps; every head has its own softmax of QK^T / sqrt(d) over the keys, the mean comes after it", mistakes={
        "QK^T has to be divided by sqrt(d) before the softmax; the scale is missing": logits.softmax(-1).mean(0),
        "d is the number of channels of ONE head, not of all heads together": (logits / 24 ** 0.5).softmax(-1).mean(0),
        "the scale is sqrt(d); yours divides by d, the root is missing": (logits / 8).softmax(-1).mean(0),
        "d is the number of channels; yours takes the number of keys": (logits / 9 ** 0.5).softmax(-1).mean(0),
        "d is the number of channels; yours takes the number of queries": (logits / 6 ** 0.5).softmax(-1).mean(0),
        "d is the number of channels; yours takes the number of heads": (logits / 3 ** 0.5).softmax(-1).mean(0),
        "divide by sqrt(d); yours multiplies": (logits * 8 ** 0.5).softmax(-1).mean(0),
        "the scale belongs inside the softmax; yours divides its result": logits.softmax(-1).mean(0) / 8 ** 0.5,
        "rows should sum to 1: the softmax is over the keys, the last axis; yours is over the queries": scaled.softmax(1).mean(0),
        "rows should sum to 1: the softmax is over the keys; yours is over the heads": scaled.softmax(0).mean(0),
        "rows should sum to 1: the softmax is over the keys of each row; yours is over queries and keys together": scaled.flatten(1).softmax(1).reshape(maps.shape).mean(0),
        "rows should sum to 1: take the mean over the heads; yours is their sum": maps.sum(0),
        "rows should sum to 1: the mean over the heads; yours takes the largest of them": maps.amax(0),
        "every head has its own softmax, the mean comes after it; yours averages before the softmax": scaled.mean(0).softmax(-1),
        "every head has its own softmax; yours adds up the heads before it, which is what joining them does": scaled.sum(0).softmax(-1),
        "every head has its own softmax, the mean comes after it; yours averages queries and keys over the heads": (q.mean(0) @ k.mean(0).T / 8 ** 0.5).softmax(-1),
        "the mean over all heads; yours is the first head's map": maps[0],
        "the mean over all heads; yours is the last head's map": maps[-1],
        "the mean over the heads is missing: one map (N, M) for all heads is asked for": maps,
        "the softmax is missing: rows should sum to 1": scaled.mean(0),
        "a softmax takes exp before it divides by the sum; yours divides QK^T itself": over(scaled, -1).mean(0),
        "exp is not yet a softmax: divide every row by its sum": exp.mean(0),
        "the mean over the heads; yours takes the largest of them, divided by its sum": over(maps.amax(0), -1),
        "every head's row is divided by its own sum; yours divides after the mean over the heads": over(exp.mean(0), -1),
        "rows are queries, columns are keys: yours is transposed": maps.mean(0).T,
        "queries and keys are exchanged, softmax(K Q^T): rows are the cells that ask": (k @ q.transpose(1, 2) / 8 ** 0.5).softmax(-1).mean(0),
        "heads, queries and keys: the mean is over the heads, the first axis; yours is over the queries": maps.mean(1),
        "heads, queries and keys: the mean is over the heads, the first axis; yours is over the keys": maps.mean(2)})
    big = torch.full((2, 3, 4), 60.0)
    A = student.attention_map(big, big)
    is_tensor(A)
    overflow = "large numbers overflow in exp: use a softmax that subtracts the maximum, such as torch.softmax"
    assert A.isfinite().all(), overflow
    close(A, torch.full((3, 3), 1 / 3), overflow)
    q, k = torch.randn(1, 4, 2), torch.randn(1, 4, 2)
    close(student.attention_map(q, k), (q[0] @ k[0].T / 2 ** 0.5).softmax(-1), "wrong for a single head with as many keys as queries")


@write_it_yourself(layers.attend, attention.Attention.forward)
def check_3_2(student):
    q, k, v = torch.randn(4, 7, 6), torch.randn(4, 5, 6), torch.randn(4, 5, 6)
    kept = q.clone(), k.clone(), v.clone()
    out = student.attend(q, k, v)
    assert all(map(torch.equal, (q, k, v), kept)), "your function changes q, k or v; make new tensors"
    is_tensor(out)
    logits = q @ k.transpose(1, 2)                                          # (h, N, M)
    maps = (logits / 6 ** 0.5).softmax(-1)
    heads = maps @ v                                                        # (h, N, d)
    beside = lambda x: torch.cat(list(x), 1)
    close(out, beside(heads), "not the heads' weighted values side by side; are the weights a softmax of QK^T / sqrt(d) over the keys?", mistakes={
        "flattening (h, N, d) mixes cells with heads: bring the cells to the front first, then flatten": heads.reshape(7, 24),
        "head 0 belongs in the first d columns; yours are interleaved channel by channel": heads.permute(1, 2, 0).flatten(1),
        "head 0 comes first; yours has the heads in reversed order": beside(heads.flip(0)),
        "heads are laid side by side, (N, h*d); yours is the mean over them": heads.mean(0),
        "heads are laid side by side, (N, h*d); yours is the sum over them": heads.sum(0),
        "every head keeps its own d columns; yours repeats the mean of all heads": heads.mean(0).repeat(1, 4),
        "heads are laid side by side, (N, h*d); yours are still one behind the other, (h, N, d)": heads,
        "cells come first, then their h*d numbers in one row: flatten heads and channels": heads.transpose(0, 1),
        "heads are laid side by side, (N, h*d); yours one below the other, (h*N, d)": heads.flatten(0, 1),
        "every head has a map of its own; yours mixes all values by the heads' mean map": beside(maps.mean(0) @ v),
        "every head has a map of its own; yours mixes all values by the first head's": beside(maps[0] @ v),
        "every head mixes its own values; yours mixes the first head's": beside(maps @ v[:1]),
        "every head mixes its own values; yours mixes the mean of all heads' values": beside(maps @ v.mean(0)),
        "QK^T has to be divided by sqrt(d) before the softmax; the scale is missing": beside(logits.softmax(-1) @ v),
        "the scale is sqrt(d); yours divides by d, the root is missing": beside((logits / 6).softmax(-1) @ v),
        "divide by sqrt(d); yours multiplies": beside((logits * 6 ** 0.5).softmax(-1) @ v),
        "d is the number of channels of ONE head, not of all heads together": beside((logits / 24 ** 0.5).softmax(-1) @ v),
        "d is the number of channels; yours takes the number of keys": beside((logits / 5 ** 0.5).softmax(-1) @ v),
        "d is the number of channels; yours takes the number of cells": beside((logits / 7 ** 0.5).softmax(-1) @ v),
        "d is the number of channels; yours takes the number of heads": beside((logits / 2).softmax(-1) @ v),
        "weights of a query sum to 1 over the keys; your softmax is over the queries": beside((logits / 6 ** 0.5).softmax(1) @ v),
        "weights of a query sum to 1 over the keys; your softmax is over the heads": beside((logits / 6 ** 0.5).softmax(0) @ v),
        "the softmax is missing: weights of a query should sum to 1": beside(logits / 6 ** 0.5 @ v),
        "all heads, as many as q has; yours takes two": beside(heads[:2]),
        "the values are missing: it is the keys that you mix": beside(maps @ k),
        "one softmax per head: yours forms one map from all heads' channels": (beside(q) @ beside(k).T / 6 ** 0.5).softmax(-1) @ beside(v),
        "one softmax per head: yours forms one map from all heads' channels, scaled by all of them": (beside(q) @ beside(k).T / 24 ** 0.5).softmax(-1) @ beside(v)})
    q, k, v = torch.randn(3, 4, 2), torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    close(student.attend(q, k, v), beside((q @ k.transpose(1, 2) / 2 ** 0.5).softmax(-1) @ v), "wrong where there are as many keys as cells")


def check_3_3(student):
    A = torch.rand(24, 24)
    kept = A.clone()
    seen = student.sees(A, (3, 8), 1, 2)
    assert torch.equal(A, kept), "your function changes A; make a new tensor"
    is_tensor(seen)
    row, column = lambda i: A[i].reshape(3, 8), lambda i: A[:, i].reshape(3, 8)
    counted = "cells are numbered row by row, from the upper left: y * W + x"
    square = "the grid need not be square: W is in `grid`; yours takes the root of N for it"
    from_0 = "cells, rows and columns are counted from 0; yours counts from 1"
    close(seen, row(10), f"{counted}, on a grid that need not be square", mistakes={
        "a column says who looks at the cell; what the cell sees is its row": column(10),
        "the mean of row and column; what the cell sees is its row alone": (row(10) + column(10)) / 2,
        f"{counted}; yours is x * H + y, column by column": row(7), f"{counted}; yours is x * W + y, with x and y exchanged": row(17),
        f"{counted}; yours is y * H + x, with the height in place of the width": row(5),
        f"{counted}; yours is x * W + y, and of the column": column(17), f"{counted}; yours is x * H + y, and of the column": column(7),
        f"{counted}; yours is y * H + x, and of the column": column(5),
        square: A[6].reshape(4, 6), f"{square}, to find the cell": row(6), f"{square}, to lay it out": A[10].reshape(4, 6),
        from_0: row(9), f"{from_0}, or adds 1": row(11), f"{from_0}, rows and columns": row(1), f"{from_0}, or is one row and column ahead": row(19),
        f"{from_0}, rows": row(2), f"{from_0}, or is one row ahead": row(18),
        "the row belongs to the picture row by row; yours is filled column by column, as a transposed picture": A[10].reshape(8, 3).T,
        "grid = (H, W): the answer is (3, 8); yours has height and width exchanged": A[10].reshape(8, 3),
        "the answer is a picture, (H, W): reshape the row to the grid": A[10], "upside down: the row begins at the upper left": row(10).flip(0),
        "mirrored: the row begins at the upper left": row(10).flip(1), "turned by 180 degrees: the row begins at the upper left": row(10).flip(0, 1),
        "leave the numbers as they are; yours are divided by the largest": row(10) / A[10].max(),
        "leave the numbers as they are; yours are divided by their sum": row(10) / A[10].sum(),
        "leave the numbers as they are; yours are stretched from 0 to 1": (row(10) - A[10].min()) / (A[10].max() - A[10].min())})
    for y, x in ((0, 0), (0, 7), (2, 7)):
        close(student.sees(A, (3, 8), y, x), row(y * 8 + x), f"wrong for the cell in row {y}, column {x}: {counted}")
    A = torch.rand(12, 12)
    close(student.sees(A, (6, 2), 4, 1), A[9].reshape(6, 2), f"wrong on a grid that is higher than wide: {counted}, with W from `grid`")


@write_it_yourself(Distribution.perplexity, Categorical.entropy)
def check_3_4(student):
    A = torch.randn(7, 7).softmax(1)                                        # no zeros, nothing near zero
    kept = A.clone()
    got = student.cells_looked_at(A)
    assert torch.equal(A, kept), "your function changes A; make a new tensor"
    is_tensor(got)
    entropy = torch.special.entr(A).sum(1)
    columns = torch.special.entr(A).sum(0)
    again = A.softmax(1)
    close(got, entropy.exp(), "not exp of the entropy of each row, -sum p ln p over the row", mistakes={
        "this is the entropy; the number of cells is e to the power of it": entropy,
        "this is the negative entropy: the minus is missing, and exp": -entropy,
        "the minus before the sum is missing: yours is 1 over the number of cells": (-entropy).exp(),
        "yours is the number for each column, who looks at a cell; sum over the row, the last axis": columns.exp(),
        "this is the entropy of the columns; sum over the row, the last axis, then exp": columns,
        "the entropy is a sum over the row's cells; yours is their mean": (entropy / 7).exp(),
        "ln and exp belong together; yours takes exp of an entropy in bits (log2); with log2 it is 2 to the power": (entropy / torch.tensor(2.0).log()).exp(),
        "ln and exp belong together; yours takes 2 to the power of an entropy with ln": 2 ** entropy,
        "ln and exp belong together; yours takes exp of an entropy with log10": (entropy / torch.tensor(10.0).log()).exp(),
        "yours is 1 / sum of p^2, another measure of the same thing; take exp of the entropy": 1 / A.square().sum(1),
        "yours is 1 / the largest entry, which knows of one cell only; take exp of the entropy": 1 / A.amax(1),
        "yours is the entropy divided by that of an even row; take exp of it": entropy / torch.tensor(7.0).log(),
        "yours counts the cells that are not zero; a cell that gets little should count little": (A > 0).sum(1).float(),
        "yours counts the cells that get more than an even share; take exp of the entropy": (A > 1 / 7).sum(1).float(),
        "exp comes last, once for the whole sum; yours takes it of every summand": torch.special.entr(A).exp().sum(1),
        "the rows sum to 1 already; yours go through another softmax": torch.special.entr(again).sum(1).exp(),
        "one number for each row, (N,); yours is one for the whole map": torch.special.entr(A).sum().exp(),
        "one number for each row, (N,); yours is their mean": entropy.exp().mean(),
        "one number for each row, (N,); yours is exp of the mean entropy": entropy.mean().exp(),
        "(N,): without a last axis of length 1": entropy.exp()[:, None],
        "p is missing before the logarithm: -sum p ln p": (-A.log().sum(1)).exp()})
    even = torch.zeros(6, 6)
    for i in range(6):
        even[i, :i + 1] = 1 / (i + 1)                                       # row i: even over i + 1 cells
    kept = even.clone()
    got = student.cells_looked_at(even)
    assert torch.equal(even, kept), "your function changes A, where it holds zeros; make a new tensor"
    is_tensor(got, (6,))
    assert not got.isnan().any(), "NaN where a row holds zeros: 0 ln 0 counts as 0, but 0 * log(0) is NaN in PyTorch"
    assert got.isfinite().all(), "an infinite number where a row holds zeros: 0 ln 0 counts as 0"
    counted = torch.arange(1.0, 7.0)
    close(got, counted, "a row that is even over n cells and zero elsewhere looks at n; is what you do about zeros small enough?", tolerance=1e-4)
    fine = torch.full((2, 4096), 1e-6)                                      # many cells that get little
    fine[:, 0] += 1 - fine.sum(1)
    close(student.cells_looked_at(fine), torch.special.entr(fine).sum(1).exp(), "a cell of a large map may get a millionth and has to be counted; is what you do about zeros small enough?", tolerance=1e-4)
    same = torch.full((2, 2), 0.5)
    close(student.cells_looked_at(same), torch.tensor([2.0, 2.0]), "two cells, even: each looks at 2")
