"""The dual prompt: P paints, P' is only looked up.

    P  = "<caption> ; <class 1>, <class 2>, ..."    its keys and values drive the picture through the UNet, as any prompt does
    P' = "<class 1>, <class 2>, ..."                meets the picture's queries once, by its keys:  C' = softmax(Q K'^T / sqrt(d))

P' has no values and no way into the picture (FA-Seg release: StoredAttnClassPromptsProcessor). So it costs one matrix product,
and a class list longer than 77 tokens is simply split over several P' without another UNet pass.
"""
import unicodedata
import warnings
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


def class_prompts(text, classes: tuple[str, ...], alone=False, between=",") -> Lookup:
    """P' for these classes: as few prompts as hold all names, or with `alone` one prompt per class.

    Alone, no name can leak into the next through the causal text encoder; both cost no UNet pass (`alone` is ours, not the paper's).
    """
    room, comma = text.config.tokens - 2, text.pieces(between)
    names = [text.pieces(c) for c in classes]
    groups = []                                                             # indices of the classes in each prompt
    used = room + 1
    for i, pieces in enumerate(names):
        if len(pieces) > room:
            raise InputError(f"class {classes[i][:40]!r}... is {len(pieces)} tokens long; a prompt holds {room}")
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
            spans[i] = (g, list(range(1 + len(pieces), 1 + len(pieces) + len(names[i]))))      # 1: the start token
            pieces += names[i]
        rows.append(text.ids(pieces))
    return Lookup(text.states(torch.stack(rows)), spans)


def image_prompt(text, classes: tuple[str, ...], caption: str | None = None, between=",") -> Lookup:
    """P, and where the names stand in it (needed only to look them up in P itself, the single-prompt ablation).

    What does not fit into T tokens is cut off, with a warning if it is the caption's fault.
    """
    names = f"{between} ".join(classes)
    check_text(caption or "", "the caption")
    pieces = text.pieces(f"{caption} ; {names}" if caption else names)
    if caption and len(pieces) > text.config.tokens - 2:
        warnings.warn(f"caption and classes make {len(pieces)} tokens; the picture is seen under the first {text.config.tokens - 2} of them")
    ids = text.ids(pieces)
    spans = find_spans(ids.tolist(), [text.pieces(c) for c in classes])
    return Lookup(text.states(ids[None]), [span and (0, span) for span in spans])


def class_maps(cross: Tensor, lookup: Lookup) -> Tensor:
    """(B, G, N, T) cross-attention -> (B, N, K): the mean over the tokens of each class's name."""
    if None in lookup.spans:
        raise InputError("the prompt is too long to hold every class name; use the dual prompt (dual=True) or fewer classes")
    return torch.stack([cross[:, g, :, tokens].mean(-1) for g, tokens in lookup.spans], dim=-1)
