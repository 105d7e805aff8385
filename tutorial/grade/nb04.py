"""04, prompts."""
import torch

from minifaseg import attention, prompts
from minifaseg.attention import QK, Attention, mean_map

from . import close, is_tensor, meaning, write_it_yourself

START, COMMA, END = 90, 8, 91


@write_it_yourself(prompts.find_spans)
def check_4_1(student):
    def told(ids, name):
        before = list(ids), list(name)
        try:
            got = student.find_span(ids, name)
        except (ValueError, IndexError) as e:
            if prompts.find_spans(ids, [name]) == [None]:
                raise AssertionError(f"{name} does not stand in {ids}: return None; yours raises {type(e).__name__}, {e}") from None
            raise
        assert (ids, name) == before, "leave `ids` and `name` as they are"
        return got

    def first_place(ids, name):
        """Of each piece by itself."""
        return [ids.index(piece, 1) for piece in name] if len(name) > 1 and all(piece in ids[1:] for piece in name) else ()

    row = [START, 4, COMMA, 3, 5, COMMA, 6, 7, 2, END, END]
    for name, at in (([4], 1), ([3, 5], 3), ([6, 7, 2], 6)):
        got = told(row, name)
        want = list(range(at, at + len(name)))
        case = f"the name {name} in {row}: yours is {got}"
        assert got is not None, f"{name} stands in {row}; yours says None. Is there a `return` where it is found?"
        assert not isinstance(got, bool), f"{case}: return where the name stands, not whether it does"
        assert not isinstance(got, int), f"{case}: the indices of all pieces in a list, not only that of the first"
        assert isinstance(got, list), f"return a list of indices; yours is of type {type(got).__name__}"
        assert got != [i - 1 for i in want], f"{case}, one too small: the start token at index 0 counts, too"
        assert got != [i + 1 for i in want], f"{case}, one too large: the start token has index 0"
        assert got != name, f"{case}: those are the ids themselves; return where they stand"
        assert len(name) == 1 or got != [at, at + len(name)], f"{case}: start and end of the span; return one index for each piece"
        assert len(name) == 1 or got != [at, at + len(name) - 1] or got == want, f"{case}: first and last index; return one index for each piece"
        assert len(name) == 1 or got != want[:-1], f"{case}: the last piece is lost; range(start, start + len(name)) ends before its end"
        assert len(name) == 1 or got != [at], f"{case}: one index for each piece, not only for the first"
        assert got != [*want, want[-1] + 1], f"{case}: one index too many"
        assert got == want, f"{case}: one index for each piece, counted from the start token at 0"
    first, second = told([START, 4, 6, END], [6]), told([START, 6, 4, END], [6])
    assert second != first or second == [1], f"[6] stands at different places in two lists; yours says {second} both times: does it remember the call before? A default value is made once"
    got = told([START, 3, COMMA, 3, 5, END], [3, 5])
    assert got != [1, 4], f"the name [3, 5] in {[START, 3, COMMA, 3, 5, END]}: yours is {got}: each piece is looked for by itself, but they have to stand one behind the other"
    assert got == [3, 4], f"the name [3, 5] in {[START, 3, COMMA, 3, 5, END]}: yours is {got}: a lone 3 is not the name, so go on after it, with all pieces again"
    got = told([START, 3, 3, 5, END], [3, 5])
    assert got == [2, 3], f"the name [3, 5] in {[START, 3, 3, 5, END]}: yours is {got}: after a false start, try again from the next index"
    got = told([START, 5, COMMA, 5, END], [5])
    assert got != [3], f"where a name stands twice, the first place counts; yours is {got}, the last"
    assert got == [1], f"where a name stands twice, the first place counts; yours is {got}"
    got = told([START, 4, 4, END], [4, 4])
    assert got == [1, 2], f"the name [4, 4] in {[START, 4, 4, END]}: yours is {got}: a piece may come twice in a name"
    got = told([START, 6, 3, 5], [3, 5])
    assert got == [2, 3], f"a name may end with the last token, as [3, 5] does in {[START, 6, 3, 5]}; yours is {got}"
    got = told([START, 3, END], [3])
    assert got == [1], f"index 1 is the first place that is tried, for [3] in {[START, 3, END]}; yours is {got}"
    for ids, name, why in (([START, 4, 6, END], [5], "none of it is there"), ([START, 5, COMMA, 3, END], [3, 5], "its pieces stand in another order, and not one behind the other"),
                           ([START, 5, 3, END], [3, 5], "its pieces stand in another order"), ([START, 3, COMMA, 5, END], [3, 5], "its pieces do not stand one behind the other"),
                           ([START, 3], [3, 5, 6], "the ids end before it is complete"), ([START, 6, 3, END], [3, 5], "only its first piece is there"),
                           ([START, 6, 5, END], [3, 5], "only its last piece is there"), ([START, 3, 4, 7, END], [3, 5, 7], "its middle piece is another")):
        got = told(ids, name)
        assert got != [], f"{name} does not stand in {ids}: return None; yours is an empty list"
        assert got != -1 and got is not False, f"{name} does not stand in {ids}: return None; yours is {got}"
        assert got != first_place(ids, name), f"{name} does not stand in {ids}: {why}; so None, yours is {got}: each piece is looked for by itself, but they have to stand one behind the other, in order"
        assert got is None, f"{name} does not stand in {ids}: {why}; so None, yours is {got}. All pieces have to stand one behind the other, in order"
    got = told([4, 6, 4, END], [4])
    assert got == [2], f"in [4, 6, 4, {END}] index 0 is the start token, never part of a name: [4] stands later; yours says {got}"
    got = told([4, 6, END], [4, 6])
    assert got is None, f"in [4, 6, {END}] index 0 is the start token, never part of a name: [4, 6] is not there; yours says {got}"
    for ids, name, found in (([START, 135, COMMA, 5, END], [5], [3]), ([START, 51, COMMA, 5, END], [5], [3]), ([START, 13, 5, COMMA, 3, 5, END], [3, 5], [4, 5]),
                             ([START, 3, 51, COMMA, 3, 5, END], [3, 5], [4, 5]), ([START, 135, 8, 91], [5], None), ([START, 1, 2, END], [12], None),
                             ([START, 12, 3, END], [1, 23], None)):
        got = told(ids, name)
        assert got == found, f"the name {name} in {ids}: yours is {got}: ids are whole numbers and not digits, so compare lists, not text that they are joined to"
    generator = torch.Generator().manual_seed(41)
    for _ in range(200):
        ids = [START, *torch.randint(3, (9,), generator=generator).tolist()]
        name = torch.randint(3, (int(torch.randint(1, 4, (), generator=generator)),), generator=generator).tolist()
        got, want = told(ids, name), prompts.find_spans(ids, [name])[0]
        assert got == want, f"the name {name} in {ids}: yours is {got}, which is not its first place"


@write_it_yourself(prompts.class_maps)
def check_4_2(student):
    generator = torch.Generator().manual_seed(42)
    C = torch.rand(10, 7, generator=generator).softmax(-1)
    before = C.clone()
    for span in ([1, 2, 3], [2, 3], [4], [5, 6]):
        given = list(span)
        got = student.class_map(C, given)
        assert torch.equal(C, before) and given == span, "leave C and span as they are; yours writes into one of them"
        is_tensor(got)
        x, mean = C[:, span], C[:, span].mean(-1)
        lookup = prompts.Lookup(torch.zeros(1, 7, 1), [(0, span)])
        want = prompts.class_maps(C[None, None], lookup)[0, :, 0]
        left, right, longer = ([max(0, j - 1) for j in span], [min(6, j + 1) for j in span], [*span, min(6, span[-1] + 1)])
        close(got, want, f"the mean of the columns {span} of C, no more and no fewer, neither stretched nor made to sum to 1", mistakes={
            "yours is the sum over the tokens; a name of two pieces would count twice: take the mean": x.sum(-1),
            "one number for each cell: the mean goes over the span's tokens; yours goes over the cells": x.mean(0),
            "one number for each cell: the mean goes over the span's tokens only; yours is one number for all": x.mean(),
            "tokens are the columns of C; its rows are cells": C[span].mean(0),
            "tokens are the columns of C, and the mean goes over them; yours takes rows": C[span].mean(-1),
            "the mean over the span's tokens is missing: (N,), one number for each cell": x,
            "(N,): one number for each cell, without a last axis of length 1": mean[:, None],
            "(N,): one number for each cell, without a first axis of length 1": mean[None],
            "the first token of the name alone; take the mean over all of its tokens": x[:, 0],
            "the first and the last token alone; take the mean over all of the name's tokens": (x[:, 0] + x[:, -1]) / 2,
            "divide by the number of the span's tokens; yours divides by 2 whatever it is": x.sum(-1) / 2,
            "the last token of the name alone; take the mean over all of its tokens": x[:, -1],
            "the last token is lost: a slice ends before its end": x[:, :-1].mean(-1) if len(span) > 1 else mean,
            "the first token is lost": x[:, 1:].mean(-1) if len(span) > 1 else mean,
            "the largest of the tokens; take their mean": x.amax(-1),
            "the smallest of the tokens; take their mean": x.amin(-1),
            "the product of the tokens; take their mean": x.prod(-1),
            "the geometric mean; take the arithmetic one, a sum divided by the number of tokens": x.prod(-1) ** (1 / len(span)),
            "the median of the tokens; take their mean": x.median(-1).values,
            "one column too far left: indices count the start token already": C[:, left].mean(-1),
            "one column too far right: indices count the start token already": C[:, right].mean(-1),
            "one column too many: a slice from first to last ends at last + 1, no further": C[:, longer].mean(-1),
            "the sum is divided by all T tokens; divide by those of the span": x.sum(-1) / 7,
            "divide by the number of the span's tokens; yours divides by the number of cells": x.sum(-1) / 10,
            "all columns; only those of the span count": C.mean(-1),
            "leave the values as they are; yours are made to sum to 1 over the cells": mean / mean.sum(),
            "leave the values as they are; yours are divided by the largest": mean / mean.max(),
            "leave the values as they are; yours are stretched from 0 to 1 (that comes later)": (mean - mean.min()) / (mean.max() - mean.min()),
            "leave the values as they are; yours go through a softmax over the cells": mean.softmax(0),
            "leave the values as they are; yours go through another softmax": C.softmax(-1)[:, span].mean(-1)})
    for span in ([1, 4], [6, 2, 3]):
        between = C[:, min(span):max(span) + 1].mean(-1)
        close(student.class_map(C, list(span)), C[:, span].mean(-1), f"a span is a list of indices, here {span}: the mean over just these columns", mistakes={
            "a span is a list of indices, here with a gap: yours takes all columns from the first to the last": between,
            "a span is a list of indices: yours takes the columns from the first in the list to the last in the list": C[:, span[0]:span[-1] + 1].mean(-1)})
    square = torch.rand(4, 4, generator=generator)
    close(student.class_map(square, [1, 2]), (square[:, 1] + square[:, 2]) / 2, "tokens are the columns of C; its rows are cells")
    close(student.class_map(torch.eye(3), [2]), torch.tensor([0., 0., 1.]), "a cell that gives the name nothing has the value 0, not NaN")


@write_it_yourself(attention.CapturedAttention.cross_map, attention.mean_map, attention.Attention.keys)
def check_4_3(student):
    generator = torch.Generator().manual_seed(43)
    for h, N, d, T, c in ((3, 6, 4, 9, 5), (2, 9, 8, 7, 16), (1, 4, 3, 5, 8), (4, 5, 2, 5, 8)):
        q, to_k, states = (torch.randn(*shape, generator=generator) for shape in ((h, N, d), (h * d, c), (T, c)))
        before = q.clone(), to_k.clone(), states.clone()
        with meaning("shapes cannot be multiplied", "is to_k turned? It is (h*d, c) and states is (T, c), so the keys are states @ to_k.T"):
            got = student.dual_cross(q, to_k, states, h)
        assert all(torch.equal(a, b) for a, b in zip(before, (q, to_k, states))), "leave q, to_k and states as they are; yours writes into them"
        layer = Attention("x.attn2", h * d, h, c).requires_grad_(False)
        layer.to_k.weight.copy_(to_k)
        k = layer.keys(states[None])                                                # (1, h, T, d)
        want = mean_map([QK(q[None], k, (1, N))])[0]
        is_tensor(got)

        logits = q @ k[0].transpose(1, 2)                                           # (h, N, T), not scaled
        scaled = logits / d ** 0.5
        by = lambda k: (q @ k.transpose(1, 2) / d ** 0.5).softmax(-1).mean(0)
        flat = states @ to_k.T                                                      # (T, h*d)
        all_heads = q.transpose(0, 1).flatten(1) @ flat.T
        mistakes = {
            "the scale 1 / sqrt(d) is missing": logits.softmax(-1).mean(0),
            "the scale is 1 / sqrt(d) with the channels of one head, not of all heads together": (logits / (h * d) ** 0.5).softmax(-1).mean(0),
            "the scale is 1 / sqrt(d), not 1 / d": (logits / d).softmax(-1).mean(0),
            "the scale is 1 / sqrt(d), d the channels of a head; yours takes those of the text states, c": (logits / c ** 0.5).softmax(-1).mean(0),
            "the scale is 1 / sqrt(d), d the channels of a head; yours takes the number of tokens": (logits / T ** 0.5).softmax(-1).mean(0),
            "the scale is 1 / sqrt(d), d the channels of a head; yours takes the number of heads": (logits / h ** 0.5).softmax(-1).mean(0),
            "divide by sqrt(d); yours multiplies": (logits * d ** 0.5).softmax(-1).mean(0),
            "softmax first, for each head, then the mean over the heads; yours averages before the softmax": scaled.mean(0).softmax(-1),
            "softmax first, for each head, then the mean over the heads; yours adds up before the softmax": scaled.sum(0).softmax(-1),
            "rows should sum to 1: the softmax is over the tokens; yours is over the cells": scaled.softmax(1).mean(0),
            "rows should sum to 1: the softmax is over the tokens; yours is over the heads": scaled.softmax(0).mean(0),
            "rows should sum to 1; yours sum to the number of heads: take their mean, not their sum": scaled.softmax(-1).sum(0),
            "the mean over the heads; yours takes the largest of them": scaled.softmax(-1).amax(0),
            "the mean over all heads; yours is the first head's map": scaled.softmax(-1)[0],
            "the mean over all heads; yours is the last head's map": scaled.softmax(-1)[-1],
            "the mean over the heads is missing: one map (N, T) is asked for": scaled.softmax(-1),
            "the softmax is missing: rows should sum to 1": scaled.mean(0),
            "each head has a softmax of its own; yours is one large head": (all_heads / d ** 0.5).softmax(-1),
            "each head has a softmax of its own; yours is one large head, scaled by all channels": (all_heads / (h * d) ** 0.5).softmax(-1),
            "head i takes d neighbouring rows of to_k, not every h-th one: split into (h, d), not (d, h)": by(flat.unflatten(-1, (d, h)).permute(2, 0, 1)),
            "a reshape from (T, h*d) to (h, T, d) mixes tokens with heads: split into (T, h, d) first, then exchange the axes": by(flat.reshape(h, T, d)),
            "head i takes rows i*d to (i+1)*d of to_k; your heads are in reversed order": by(k[0].flip(0)),
            "head i takes rows i*d to (i+1)*d of to_k; yours takes the first d rows for every head": by(k[0][:1].expand(h, -1, -1)),
            "rows are cells, columns are tokens: (N, T); yours is transposed": want.T}
        if h * d == c:
            mistakes["the keys are states @ to_k.T, as to_k is (h*d, c); yours takes states @ to_k"] = by((states @ to_k).unflatten(-1, (h, d)).transpose(0, 1))
        close(got, want, "this is not the mean over the heads of softmax(q k^T / sqrt(d))", mistakes=mistakes)
    q, to_k, states = 40 * torch.randn(2, 6, 4, generator=generator), torch.randn(8, 5, generator=generator), torch.randn(7, 5, generator=generator)
    got = student.dual_cross(q, to_k, states, 2)
    is_tensor(got, (6, 7))
    assert got.isfinite().all(), "large logits overflow in exp: use a softmax that subtracts the maximum, such as torch.softmax"
    k = (states @ to_k.T).unflatten(-1, (2, 4)).transpose(0, 1)
    close(got, (q @ k.transpose(1, 2) / 2).softmax(-1).mean(0), "wrong for large logits: use a softmax that subtracts the maximum, such as torch.softmax")
