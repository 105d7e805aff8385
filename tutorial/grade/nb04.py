import torch

from minifaseg import prompts
from minifaseg.attention import QK, Attention, mean_map

from . import close

START, COMMA, END = 90, 8, 91


def check_4_1(student):
    def told(ids, name):
        before = list(ids), list(name)
        got = student.find_span(ids, name)
        assert (ids, name) == before, "leave `ids` and `name` as they are"
        return got

    row = [START, 4, COMMA, 3, 5, COMMA, 6, 7, 2, END, END]
    for name, at in (([4], 1), ([3, 5], 3), ([6, 7, 2], 6)):
        got = told(row, name)
        want = list(range(at, at + len(name)))
        off = [i - 1 for i in want]
        assert got != off, f"find_span({row}, {name}) should be {want}; yours is {got}, one too small: the start token at index 0 counts, too"
        assert got is not None, f"{name} stands in {row} at the indices {want}; yours says None"
        assert isinstance(got, list), f"return a list of indices; yours is of type {type(got).__name__}"
        assert got == want, f"find_span({row}, {name}) should be {want}; yours is {got}: one index for each piece, counted from the start token at 0"
    got = told([4, 6, 4, END], [4])
    assert got == [2], f"in [4, 6, 4, {END}] index 0 is the start token, never part of a name: [4] stands at [2]; yours says {got}"
    got = told([4, 6, END], [4, 6])
    assert got is None, f"in [4, 6, {END}] index 0 is the start token, never part of a name: [4, 6] is not there; yours says {got}"
    for ids, name in (([START, 4, 6, END], [5]), ([START, 5, COMMA, 3, END], [3, 5]), ([START, 3, COMMA, 5, END], [3, 5]), ([START, 3], [3, 5, 6])):
        got = told(ids, name)
        assert got is None, f"{name} does not stand in {ids}, all pieces one behind the other and in order: None; yours is {got}"
    got = told([START, 3, COMMA, 3, 5, END], [3, 5])
    assert got == [3, 4], f"in {[START, 3, COMMA, 3, 5, END]} the name [3, 5] stands at [3, 4]; yours is {got}: a lone 3 is not the name"
    got = told([START, 3, 3, 5, END], [3, 5])
    assert got == [2, 3], f"in {[START, 3, 3, 5, END]} the name [3, 5] stands at [2, 3]; yours is {got}: after a false start, try again from the next index"
    got = told([START, 5, COMMA, 5, END], [5])
    assert got == [1], f"where a name stands twice, the first place counts: [1]; yours is {got}"
    got = told([START, 6, 3, 5], [3, 5])
    assert got == [2, 3], f"a name may end with the last token: [2, 3] in {[START, 6, 3, 5]}; yours is {got}"
    generator = torch.Generator().manual_seed(41)
    for _ in range(200):
        ids = [START, *torch.randint(3, (9,), generator=generator).tolist()]
        name = torch.randint(3, (int(torch.randint(1, 4, (), generator=generator)),), generator=generator).tolist()
        got, want = told(ids, name), prompts.find_spans(ids, [name])[0]
        assert got == want, f"find_span({ids}, {name}) should be {want}; yours is {got}"


def check_4_2(student):
    generator = torch.Generator().manual_seed(42)
    C = torch.rand(10, 7, generator=generator).softmax(-1)
    before = C.clone()
    for span in ([2, 3], [4], [1, 2, 3], [5, 6]):
        got = student.class_map(C, list(span))
        assert torch.equal(C, before), "leave C as it is; yours writes into it"
        assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
        assert got.shape == (10,), f"10 cells, 7 tokens, span {span}: the map should have the shape (10,); yours is {tuple(got.shape)}: the mean goes over the span's tokens"
        assert len(span) == 1 or not torch.allclose(got, C[:, span].sum(-1)), "yours is the sum over the tokens; a name of two pieces would count twice: take the mean"
        lookup = prompts.Lookup(torch.zeros(1, 7, 1), [(0, span)])
        close(got, prompts.class_maps(C[None, None], lookup)[0, :, 0], f"the mean of the columns {span} of C, no more and no fewer, neither stretched nor made to sum to 1")
    square = torch.rand(4, 4, generator=generator)
    close(student.class_map(square, [1, 2]), (square[:, 1] + square[:, 2]) / 2, "tokens are the columns of C; its rows are cells")
    close(student.class_map(torch.eye(3), [2]), torch.tensor([0., 0., 1.]), "a cell that gives the name nothing has the value 0, not NaN")


def check_4_3(student):
    generator = torch.Generator().manual_seed(43)
    for h, N, d, T, c in ((3, 6, 4, 9, 5), (2, 9, 8, 7, 16), (1, 4, 3, 5, 8), (4, 5, 2, 5, 8)):
        q, to_k, states = (torch.randn(*shape, generator=generator) for shape in ((h, N, d), (h * d, c), (T, c)))
        before = q.clone(), to_k.clone(), states.clone()
        got = student.dual_cross(q, to_k, states, h)
        assert all(torch.equal(a, b) for a, b in zip(before, (q, to_k, states))), "leave q, to_k and states as they are; yours writes into them"
        layer = Attention("x.attn2", h * d, h, c).requires_grad_(False)
        layer.to_k.weight.copy_(to_k)
        k = layer.keys(states[None])                                                # (1, h, T, d)
        want = mean_map([QK(q[None], k, (1, N))])[0]
        assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
        assert got.shape == (N, T), f"{h} heads, {N} cells, {T} tokens: the map should have the shape {(N, T)}; yours is {tuple(got.shape)}"
        total = got.sum(-1).mean().item()
        assert abs(total - h) > 1e-4 or h == 1, f"rows should sum to 1; yours sum to {h}, the number of heads: take their mean, not their sum"
        assert abs(total - 1) < 1e-4 and torch.allclose(got.sum(-1), torch.ones(N), atol=1e-4), f"rows should sum to 1; yours sum to {total:.3f} on average: is the softmax over the tokens, before the mean over the heads?"

        logits = q @ k[0].transpose(1, 2)                                           # (h, N, T), not scaled
        swapped = (states @ to_k.T).unflatten(-1, (d, h)).permute(2, 0, 1)
        for wrong, why in ((logits.softmax(-1).mean(0), "the scale 1 / sqrt(d) is missing"),
                           ((logits / (h * d) ** 0.5).softmax(-1).mean(0), "the scale is 1 / sqrt(d) with the channels of one head, not of all heads together"),
                           ((logits / d).softmax(-1).mean(0), "the scale is 1 / sqrt(d), not 1 / d"),
                           ((logits.mean(0) / d ** 0.5).softmax(-1), "softmax first, for each head, then the mean over the heads"),
                           ((q @ swapped.transpose(1, 2) / d ** 0.5).softmax(-1).mean(0), "head i takes d neighbouring rows of to_k, not every h-th one: split into (h, d), not (d, h)"),
                           ((q @ (states @ to_k.T).reshape(h, T, d).transpose(1, 2) / d ** 0.5).softmax(-1).mean(0),
                            "a reshape from (T, h*d) to (h, T, d) mixes tokens with heads: split into (T, h, d) first, then exchange the axes")):
            assert torch.allclose(want, wrong, atol=1e-4) or not torch.allclose(got, wrong, atol=1e-5), why
        if h * d == c:
            turned = (q @ (states @ to_k).unflatten(-1, (h, d)).transpose(0, 1).transpose(1, 2) / d ** 0.5).softmax(-1).mean(0)
            assert not torch.allclose(got, turned, atol=1e-5), "the keys are states @ to_k.T, as to_k is (h*d, c); yours takes states @ to_k"
        close(got, want, "this is not the mean over the heads of softmax(q k^T / sqrt(d))")
