"""Hidden tests of notebook 06: flipping, labels, confusion matrix."""
import torch

from minifaseg import ttf

from . import close


def check_6_1(student):
    scores = torch.rand(2, 3, 4, 5)
    kept = scores.clone()
    got, want = student.merge(scores), ttf.merge(kept)
    assert torch.equal(scores, kept), "merge changed the scores it was given; return a new tensor"
    assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
    assert got.shape == (3, 4, 5), f"two views (2, K, H, W) in, one answer (K, H, W) out; yours is {tuple(got.shape)}"
    same = lambda x: torch.allclose(got, x, atol=1e-5)
    assert not same(kept.mean(0)), "the mirror view was not turned back: its left is the picture's right"
    assert not same((kept[0] + kept[1].flip(-2)) / 2, ), "you turned the mirror view upside down; left and right are along the last axis, W"
    assert not same((kept[0] + kept[1].flip(0)) / 2), "you reversed the order of the classes; left and right are along the last axis, W"
    assert not same((kept[0] + kept[1]).flip(-1) / 2) and not same(kept.mean(0).flip(-1)), "turn the mirror view alone, before the mean"
    assert not same(want.flip(-1)), "you turned the picture's view; the answer should lie as the picture does, so turn the mirror's"
    assert not same(2 * want), "take the mean of the two views, not the sum: scores should stay in [0, 1]"
    close(got, want, "T = (S(x) + mirror of S(mirror of x)) / 2")
    for shape in ((2, 1, 7, 2), (2, 5, 1, 6), (2, 2, 3, 1)):
        scores = torch.randn(shape)
        close(student.merge(scores), ttf.merge(scores), f"wrong for scores of shape {shape}")
    x = torch.rand(1, 3, 8)
    close(student.merge(torch.stack([x, x.flip(-1)])), x, "two views that agree should give just that answer")


def check_6_2(student):
    scores = torch.tensor([[[.875, .25, .5], [.125, .375, .25]],
                           [[.5, .75, .25], [.125, .25, .625]],
                           [[.25, .5, .375], [.25, .125, .5]]])                     # (3, 2, 3)
    kept = scores.clone()
    got = student.label(scores, 0.375)
    assert torch.equal(scores, kept), "label changed the scores it was given; return a new tensor"
    assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
    assert got.shape == (2, 3), f"score maps (3, 2, 3) should give labels (2, 3): one for each pixel; yours are {tuple(got.shape)}"
    assert not got.is_floating_point() and got.dtype != torch.bool, f"labels are integers; yours are {got.dtype}"
    at_tie = got[1, 1].item()
    assert got.tolist() != [[0, 1, 0], [0, 0, 1]], "the classes count from 1; 0 is kept for the background"
    assert got[0, 0] != 0 or got[1, 0] != 3, "background is where the best score is below the threshold; yours is where it is above"
    assert got[1, 0] == 0, "where even the best score is below the threshold, the label should be 0, background"
    assert at_tie == 1, "a score equal to the threshold is not background: >=, not >"
    assert got.tolist() == [[1, 2, 1], [0, 1, 2]], f"the labels should be [[1, 2, 1], [0, 1, 2]]; yours are {got.tolist()}"
    assert student.label(kept, 2.0).tolist() == [[0] * 3] * 2, "with a threshold above every score all is background"
    assert (student.label(kept - 1, -5.0) > 0).all(), "scores may be negative (bicubic curves overshoot): with a low threshold nothing is background"
    for K, H, W, threshold in ((1, 4, 3, .5), (5, 3, 7, .75), (30, 6, 2, .9)):
        scores = torch.rand(K, H, W)
        want = (scores.argmax(0) + 1) * (scores.amax(0) >= threshold)
        got = student.label(scores, threshold)
        assert got.shape == want.shape, f"{K} classes on {H} x {W} pixels should give labels {(H, W)}; yours are {tuple(got.shape)}"
        wrong = (got != want).sum().item()
        assert wrong == 0, f"{wrong} of {H * W} labels are wrong for {K} classes and threshold {threshold}"


def check_6_3(student):
    def counted(truth, labels, n):
        want = torch.zeros(n, n, dtype=torch.long)
        for t, p in zip(truth.flatten().tolist(), labels.flatten().tolist()):
            if t != 255:
                want[t, p] += 1
        return want

    truth = torch.tensor([[0, 1, 1, 255], [2, 2, 2, 255]])
    labels = torch.tensor([[1, 1, 0, 0], [2, 1, 1, 2]])
    copies = truth.clone(), labels.clone()
    got, want = student.confusion(truth, labels, 5), counted(truth, labels, 5)
    assert torch.equal(truth, copies[0]) and torch.equal(labels, copies[1]), "confusion changed the maps it was given"
    assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
    assert got.shape == (5, 5), f"n = 5 should give (5, 5), also when fewer classes occur; yours is {tuple(got.shape)}"
    assert not got.is_floating_point() and got.dtype != torch.bool, f"counts are integers; yours are {got.dtype}"
    assert got.sum() <= 6, f"pixels whose truth is 255 should not be counted: 6 of 8 remain, you counted {got.sum()}"
    assert not torch.equal(got, want.T), "rows are the truth and columns the labels; yours is transposed"
    assert got.max() == want.max(), f"two pixels are 2 in truth and 1 by label, so the largest count is 2; yours is {got.max()}. Do repeated pairs add up?"
    assert torch.equal(got, want), f"for truth {truth.tolist()} and labels {labels.tolist()}, n = 5, the counts should be {want.tolist()}; yours: {got.tolist()}"
    for n, shape in ((1, (2, 3)), (4, (9, 2)), (27, (16, 20))):
        truth, labels = torch.randint(n, shape), torch.randint(n, shape)
        truth[torch.rand(shape) < .2] = 255
        got, want = student.confusion(truth, labels, n), counted(truth, labels, n)
        assert torch.equal(got.long(), want), f"wrong for maps of shape {shape} and n = {n}: {int((got - want).abs().sum())} pixels are miscounted"
    small = torch.full((20, 20), 20, dtype=torch.uint8)
    got = student.confusion(small, small, 30)
    assert got.shape == (30, 30) and got[20, 20] == 400, "uint8 maps should work, too: 20 * 30 does not fit into 8 bits, so convert with .long() first"
    nothing = student.confusion(torch.full((2, 2), 255), torch.zeros(2, 2, dtype=torch.long), 3)
    assert nothing.shape == (3, 3) and nothing.sum() == 0, "where no pixel's truth is known, all counts are 0"
