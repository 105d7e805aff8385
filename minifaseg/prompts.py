"""The dual prompt: P paints, P' is only looked up.

    P  = "<caption> ; <class 1>, <class 2>, ..."    its keys and values drive the picture through the UNet, as any prompt does
    P' = "<class 1>, <class 2>, ..."                meets the picture's queries once, by its keys:  C' = softmax(Q K'^T / sqrt(d))

P' has no values and no way into the picture (FA-Seg release: StoredAttnClassPromptsProcessor). So it costs one matrix product,
and a class list longer than 77 tokens is simply split over several P' without another UNet pass.
"""
import unicodedata
import warnings
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from .errors import InputError


class Lookup(NamedTuple):
    """Prompts and the names in them: states (G, T, c) of G prompts; spans: per class (prompt, token indices of its name)."""
    states: Tensor
    spans: list[tuple[int, list[int]] | None]


def clean_classes(classes) -> tuple[str, ...]:
    """Names with blanks tidied. Raises InputError for no class, an empty or a repeated one, one that is no text, or more than a uint8
    can number. Names that look the same are the same: case, letter forms (NFKC) and zero-width characters make no new class."""
    if isinstance(classes, str):
        classes = classes.split(",")
    names = tuple(" ".join(str(c).split()) for c in classes)
    if not names:
        raise InputError("no class to look for; give at least one name, such as: cat dog grass")
    seen = set()
    for i, name in enumerate(names, start=1):
        check_text(name, f"class {i} of {len(names)}")
        look = "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if unicodedata.category(c) != "Cf")
        if not look.strip():
            raise InputError(f"class {i} of {len(names)} is empty; give every class a name")
        if look in seen:
            raise InputError(f"class {name[:40]!r} is given twice; name every class once")
        seen.add(look)
    if len(names) > 254:
        raise InputError(f"{len(names)} classes; a mask holds at most 254 (0 is background, 255 is kept free)")
    return names


def check_text(text: str, what: str) -> None:
    """Refuses control characters, which a terminal obeys, and half characters, which stand for bytes that are no UTF-8."""
    bad = next((c for c in text if unicodedata.category(c) in ("Cc", "Cs")), None)
    if bad:
        raise InputError(f"{what} holds {bad!r}, which is no text; write it in UTF-8, without control characters")


def find_spans(ids: list[int], names: list[list[int]]) -> list[list[int] | None]:
    """Where each name's pieces stand among the ids of a prompt: token indices per name, None where it is not there.

    Longest names first, and no token twice, so that "dog" is not found inside "hot dog". ids: the whole prompt, start token included.
    """
    taken, spans = set(), [None] * len(names)
    for i in sorted(range(len(names)), key=lambda i: -len(names[i])):
        n = len(names[i])
        for start in range(1, len(ids) - n + 1):
            span = range(start, start + n)
            if ids[start:start + n] == names[i] and taken.isdisjoint(span):
                spans[i] = list(span)
                taken.update(span)
                break
    return spans


def tokens_and_spans(text, names, between=", ", before="", after=""):
    """A prompt "before name between name ... after": its pieces, and the token indices of each
    name, None for one that is cut off.

    The pieces are the tokenizer's own of the whole text. A name has the pieces that hold its
    letters, counted from the prompt's first letter on. A search for its own pieces would fail where
    CLIP takes punctuation in one run, whatever it belongs to: "C++" is c|++, but "C++, dog" is
    c|+|+,|dog. And for a class "photograph" it would find the template's word.
    """
    pieces = text.pieces(before + between.join(names) + after)
    ends = list(accumulate(letter_counts(text, pieces)))                          # the letters up to each
    starts, spans, said = [0, *ends[:-1]], [], before
    for name in names:
        name_pieces(text, name)                                             # raises
        first = sum(letter_counts(text, text.pieces(said)))
        last = max(first + 1, sum(letter_counts(text, text.pieces(said + name))))
        span = [i for i in range(len(pieces)) if starts[i] < last and ends[i] > first]
        if span[-1] >= text.config.tokens - 2:                          # cut off, as is the rest
            break
        spans.append([1 + i for i in span])                                 # 1: the start token
        said += name + between
    return pieces, spans + [None] * (len(names) - len(spans))


def letter_counts(text, pieces: list[int]) -> list[int]:
    """How many letters each piece holds: bytes of UTF-8, without blanks, which no piece holds."""
    return [len(piece.removesuffix("</w>"))
            for piece in text.tokenizer.convert_ids_to_tokens(pieces)]


def name_pieces(text, name: str) -> list[int]:
    """A name's own pieces. Raises InputError if it has none: older tokenizers drop some signs."""
    pieces = text.pieces(name)
    if not pieces:
        raise InputError(f"class {name[:40]!r} has no letter that the model's tokenizer takes; "
                         "give it another name")
    return pieces


def template_halves(template: str, what="template") -> tuple[str, str]:
    """What a template says before and after the names; it has one place for them, or InputError,
    which calls it `what`."""
    check_text(template, f"the {what}")
    if template.count("{}") != 1:
        raise InputError(f"{what} {template[:60]!r}: put one {{}} where the names go, "
                         "as in 'a photograph of {}'")
    before, _, after = template.partition("{}")
    return before, after


def split_to_fit(text, names, between=", ", before="", after="") -> list[tuple[str, ...]]:
    """The names in as few lists as fit each into a prompt "before name between name ... after"."""
    room, split, part = text.config.tokens - 2, [], ()
    for name in names:
        if part and len(text.pieces(before + between.join((*part, name)) + after)) <= room:
            part = (*part, name)
            continue
        if len(text.pieces(before + name + after)) > room:
            refuse_long(text, name, before + after)
        if part:
            split.append(part)
        part = (name,)
    return [*split, part]


def refuse_long(text, name, around=""):
    """Raises the InputError for a name that fits into no prompt."""
    long, around = f"{len(text.pieces(name))} tokens long", " ".join(around.split())
    if around:
        long = (f"{long}, {len(text.pieces(f'{around} {name}'))} with {around[:40]!r} around it; "
                f"a prompt holds {text.config.tokens - 2}; shorten either")
    else:
        long = f"{long}; a prompt holds {text.config.tokens - 2}; shorten it"
    raise InputError(f"class {name[:40]!r} is {long}")


def concatenate(lookups: list[Lookup]) -> Lookup:
    """Several lookups as one, with all their prompts."""
    spans, prompts = [], 0
    for lookup in lookups:
        spans += [span and (prompts + span[0], span[1]) for span in lookup.spans]
        prompts += len(lookup.states)
    return Lookup(torch.cat([lookup.states for lookup in lookups]), spans)


def class_prompts(text, classes: tuple[str, ...], alone=False, between=",",
                  wording="{}") -> Lookup:
    """P' for these classes: as few prompts as hold all names, or with `alone` one prompt per class.

    Alone, no name can leak into the next through the causal text encoder; both cost no UNet pass (`alone` is ours, not the paper's).
    wording: what is said instead of each name, such as "red {}"; the spans are the name's own.
    """
    room, comma = text.config.tokens - 2, text.pieces(between)
    before, after = template_halves(wording, "wording")
    phrases = [phrase_tokens(text, c, before, after) for c in classes]
    groups = []                                                             # indices of the classes in each prompt
    used = room + 1
    for i, (pieces, _) in enumerate(phrases):
        if alone or used + len(comma) + len(pieces) > room:
            groups.append([])
            used = -len(comma)
        groups[-1].append(i)
        used += len(comma) + len(pieces)
    rows, spans = [], [None] * len(classes)
    for g, group in enumerate(groups):
        pieces = []
        for i in group:
            pieces += comma * bool(pieces)
            said, own = phrases[i]
            spans[i] = (g, [1 + len(pieces) + j for j in own])              # 1: the start token
            pieces += said
        rows.append(text.ids(pieces))
    return Lookup(text.states(torch.stack(rows)), spans)


def phrase_tokens(text, name: str, before="", after="") -> tuple[list[int], list[int]]:
    """The pieces of "before name after", and the indices of the name's own. Raises InputError if no
    prompt can hold them."""
    pieces = name_pieces(text, name)
    own = list(range(len(pieces)))
    if before or after:
        pieces, (span,) = tokens_and_spans(text, [name], before=before, after=after)
        own = span and [i - 1 for i in span]
    if len(pieces) > text.config.tokens - 2:
        refuse_long(text, name, before + after)
    return pieces, own


def image_prompt(text, classes: tuple[str, ...], caption: str | None = None, between=",") -> Lookup:
    """P, and where the names stand in it (needed only to look them up in P itself, the
    single-prompt ablation): in the caption if it says them, else in the list, None where that is
    cut off before.

    What does not fit into T tokens is cut off, with a warning if it is the caption's fault.
    """
    check_text(caption or "", "the caption")
    pieces, own = tokens_and_spans(text, classes, f"{between} ", caption_prefix(caption))
    if caption and len(pieces) > text.config.tokens - 2:
        warnings.warn(f"caption and classes make {len(pieces)} tokens; the picture is seen under the first {text.config.tokens - 2} of them")
    ids = text.ids(pieces)
    said = ids[:-1][:1 + len(text.pieces(caption or ""))].tolist()          # start and caption
    spans = [a or b for a, b in zip(find_spans(said, [text.pieces(c) for c in classes]), own)]
    return Lookup(text.states(ids[None]), [span and (0, span) for span in spans])


def image_prompts(text, classes: tuple[str, ...], caption: str | None = None) -> Lookup:
    """As many P as it takes to hold every name, each with the caption and a part of the names."""
    return concatenate([image_prompt(text, part, caption)
                 for part in split_to_fit(text, classes, before=caption_prefix(caption))])


def caption_prefix(caption: str | None) -> str:
    """What stands before the names in P."""
    return f"{caption} ; " if caption else ""


def class_maps(cross: Tensor, lookup: Lookup) -> Tensor:
    """(B, G, N, T) cross-attention -> (B, N, K): the mean over the tokens of each class's name."""
    if None in lookup.spans:
        raise InputError("the prompt is too long to hold every class name; use the dual prompt (dual=True) or fewer classes")
    return torch.stack([cross[:, g, :, tokens].mean(-1) for g, tokens in lookup.spans], dim=-1)
