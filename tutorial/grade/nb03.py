"""03, attention."""
import torch

from . import close


def check_3_1(student):
    q, k = torch.randn(3, 6, 8), torch.randn(3, 9, 8)
    A = student.attention_map(q.clone(), k.clone())
    assert isinstance(A, torch.Tensor) and A.shape == (6, 9), f"6 cells and 9 keys make a map of (6, 9); yours is {tuple(getattr(A, 'shape', ()))}"
    rows = A.sum(1)
    assert torch.allclose(rows, torch.ones(6), atol=1e-4), (
        f"rows of A should sum to 1; yours sum to {rows[0]:.3g}: is the softmax over the keys, and is it a mean over the heads, not a sum?")
    plain = sum((q[h] @ k[h].T).softmax(-1) for h in range(3)) / 3
    assert not torch.allclose(A, plain, atol=1e-4), "QK^T has to be divided by sqrt(d) before the softmax"
    wide = sum((q[h] @ k[h].T / 24 ** 0.5).softmax(-1) for h in range(3)) / 3
    assert not torch.allclose(A, wide, atol=1e-4), "d is the number of channels of ONE head, not of all heads together"
    close(A, sum((q[h] @ k[h].T / 8 ** 0.5).softmax(-1) for h in range(3)) / 3,
          "not the mean of the heads' maps; every head has its own softmax, the mean comes after it")
    big = torch.full((2, 3, 4), 60.0)
    close(student.attention_map(big, big), torch.full((3, 3), 1 / 3), "large numbers overflow: use a softmax that subtracts the maximum, such as torch.softmax")


def check_3_2(student):
    q, k, v = torch.randn(4, 7, 6), torch.randn(4, 5, 6), torch.randn(4, 5, 6)
    out = student.attend(q.clone(), k.clone(), v.clone())
    assert isinstance(out, torch.Tensor) and out.shape == (7, 24), f"7 cells, 4 heads of 6 channels make (7, 24); yours is {tuple(getattr(out, 'shape', ()))}"
    heads = [(q[h] @ k[h].T / 6 ** 0.5).softmax(-1) @ v[h] for h in range(4)]
    scrambled = torch.stack(heads).reshape(7, 24)
    assert not torch.allclose(out, scrambled, atol=1e-4), "flattening (h, N, d) mixes cells with heads: bring the cells to the front first, then flatten"
    assert not torch.allclose(out, torch.stack(heads, -1).flatten(1), atol=1e-4), "head 0 belongs in the first d columns; yours are interleaved channel by channel"
    close(out, torch.cat(heads, 1), "not the heads' weighted values side by side; are the weights a softmax of QK^T / sqrt(d) over the keys?")


def check_3_3(student):
    A = torch.rand(15, 15)
    seen = student.sees(A.clone(), (3, 5), 2, 1)
    assert isinstance(seen, torch.Tensor) and seen.shape == (3, 5), f"on a grid of 3 x 5 the answer is (3, 5); yours is {tuple(getattr(seen, 'shape', ()))}"
    assert not torch.equal(seen, A[:, 11].reshape(3, 5)), "a column says who looks at the cell; what the cell sees is its row"
    assert not torch.equal(seen, A[2 + 3 * 1].reshape(3, 5)), "cells are numbered row by row: y * W + x"
    close(seen, A[11].reshape(3, 5), "cells are numbered row by row, from the upper left: y * W + x, on a grid that need not be square")
