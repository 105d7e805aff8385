"""The dual prompt: P drives the picture through the UNet, in P' the names are only looked up.

    P  = "<caption> ; <class 1>, <class 2>, ..."    keys and values of every cross-attention layer
    P' = "<class 1>,<class 2>,..."                  keys only:  C' = softmax(Q K'^T / sqrt(d))

The queries Q were recorded under P. P' has no values and no way into the picture (FA-Seg's release:
StoredAttnClassPromptsProcessor). So a class list of more than 75 tokens (77 less start and end) is
split over several P', without another UNet pass.
"""
import unicodedata
import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from .errors import InputError
from .text import Text

Classes = str | Sequence[str]                               # names, or one string with commas
Span = tuple[int, list[int]]                                # (prompt, token indices of a name)


class Lookup(NamedTuple):
    """G prompts, and where the names of K classes are in them.

    states: (G, T, c) text states of the prompts. spans: for each class its prompt and the token
    indices of its name; None where the name was cut off.
    """
    states: Tensor
    spans: Sequence[Span | None]


def clean_classes(classes: Classes) -> tuple[str, ...]:
    """Class names with blanks tidied.

    Raises InputError for no class at all, for an empty or repeated one, for one that is no text,
    and for more than a uint8 can number. Names that look the same are the same: case, letter forms
    (NFKC) and zero-width characters make no new class.
    """
    if isinstance(classes, str):
        classes = classes.split(",")
    names = tuple(" ".join(str(c).split()) for c in classes)
    if not names:
        raise InputError("no class to look for; give at least one name, such as: cat dog grass")
    if len(names) > 254:
        raise InputError(f"{len(names)} classes; a mask holds at most 254 "
                         "(0 is background, 255 is kept free)")

    known = set()
    for i, name in enumerate(names, start=1):
        check_text(name, f"class {i} of {len(names)}")
        folded = unicodedata.normalize("NFKC", name).casefold()
        visible = "".join(c for c in folded if unicodedata.category(c) != "Cf")
        if not visible.strip():
            raise InputError(f"class {i} of {len(names)} is empty; give every class a name")
        if visible in known:
            raise InputError(f"class {name[:40]!r} is given twice; name every class once")
        known.add(visible)
    return names


def check_text(text: str, what: str) -> None:
    """Raises InputError for control characters and for bytes that were no UTF-8 (surrogates)."""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise InputError(f"{what} holds {character!r}, which is no text; "
                             "write it in UTF-8, without control characters")


# ---- a name's tokens in a prompt -----------------------------------------------------------------

def find_spans(ids: list[int], names: list[list[int]]) -> list[list[int] | None]:
    """Where the tokens of each name are among `ids`: token indices, or None.

    ids: the tokens to search, start token included. Longer names come first and no token is used
    twice, so that "dog" is not found inside "hot dog". Only captions, which are free text, are
    searched; in a list of names, `tokens_and_spans` knows where each one is.
    """
    taken: set[int] = set()
    spans: list[list[int] | None] = [None] * len(names)
    for i in sorted(range(len(names)), key=lambda i: -len(names[i])):
        n = len(names[i])
        for start in range(1, len(ids) - n + 1):
            span = range(start, start + n)
            if ids[start:start + n] == names[i] and taken.isdisjoint(span):
                spans[i] = list(span)
                taken.update(span)
                break
    return spans


def tokens_and_spans(text: Text, names: Sequence[str], between: str = ", ", before: str = "",
                     after: str = "") -> tuple[list[int], list[list[int] | None]]:
    """Tokens of the prompt "before name between name ... after", and each name's token indices.

    A name that is cut off has None instead. The indices count the start token, the tokens do not
    hold it. A name gets the tokens that hold its letters, counted from the prompt's first letter
    on, in bytes and without blanks: of "cat, teddy bear", with tokens cat|,|teddy|bear that end
    after 3, 4, 9 and 13 letters, "teddy bear" has the letters from 4 to 13. To search for the
    name's own tokens would fail where CLIP joins punctuation into one run: "C++" is c|++, but "C++,
    dog" is c|+|+,|dog. And it would find a class "photograph" in the template's words.
    """
    tokens = text.pieces(before + between.join(names) + after)
    ends = list(accumulate(letter_counts(text, tokens)))                    # letters up to a token
    starts = [0, *ends[:-1]]

    spans: list[list[int] | None] = []
    prefix = before                                                         # the prompt so far
    for name in names:
        name_tokens(text, name)                                             # raises
        first = sum(letter_counts(text, text.pieces(prefix)))
        last = sum(letter_counts(text, text.pieces(prefix + name)))
        last = max(first + 1, last)              # a name has at least one token
        span = [i for i in range(len(tokens)) if starts[i] < last and ends[i] > first]
        if span[-1] >= room(text):                                          # cut off, like the rest
            break
        spans.append([1 + i for i in span])                                 # 1: the start token
        prefix += name + between
    return tokens, spans + [None] * (len(names) - len(spans))


def letter_counts(text: Text, tokens: list[int]) -> list[int]:
    """The letters in each token: bytes of UTF-8, without blanks, which no token holds."""
    pieces = text.tokenizer.convert_ids_to_tokens(tokens)
    return [len(piece.removesuffix("</w>")) for piece in pieces]


def name_tokens(text: Text, name: str) -> list[int]:
    """Tokens of a name. Raises InputError if it has none: older tokenizers drop some signs."""
    tokens = text.pieces(name)
    if not tokens:
        raise InputError(f"class {name[:40]!r} has no letter that the model's tokenizer takes; "
                         "give it another name")
    return tokens


def phrase_tokens(text: Text, name: str, before: str = "",
                  after: str = "") -> tuple[list[int], list[int]]:
    """Tokens of the phrase "before name after", and which of them (from 0) are the name's.

    Raises InputError if no prompt can hold the phrase.
    """
    tokens, (span,) = tokens_and_spans(text, [name], before=before, after=after)
    if span is None or len(tokens) > room(text):
        refuse_long(text, name, before + after)
    return tokens, [i - 1 for i in span]


# ---- how much fits into a prompt -----------------------------------------------------------------

def room(text: Text) -> int:
    """How many tokens a prompt holds beside its start and its end token."""
    return text.config.tokens - 2


def template_halves(template: str, what: str = "template") -> tuple[str, str]:
    """What a template says before and after the names, which stand at its {}.

    Raises InputError, which calls the template `what`, unless there is exactly one {}.
    """
    check_text(template, f"the {what}")
    if template.count("{}") != 1:
        raise InputError(f"{what} {template[:60]!r}: put one {{}} where the names go, "
                         "as in 'a photograph of {}'")
    before, _, after = template.partition("{}")
    return before, after


def split_to_fit(text: Text, names: Sequence[str], between: str = ", ", before: str = "",
                 after: str = "") -> list[tuple[str, ...]]:
    """The names in as few lists as fit, each into a prompt "before name between name ... after".

    For P and the rivals' prompts; see `class_prompts` for P'. No names make one empty list. Raises
    InputError for a name that does not even fit alone.
    """
    def fits(names: tuple[str, ...]) -> bool:
        return len(text.pieces(before + between.join(names) + after)) <= room(text)

    lists: list[tuple[str, ...]] = [()]
    for name in names:
        if fits((*lists[-1], name)):
            lists[-1] = (*lists[-1], name)
        elif lists[-1] and fits((name,)):
            lists.append((name,))
        else:
            refuse_long(text, name, before + after)
    return lists


def refuse_long(text: Text, name: str, around: str = "") -> NoReturn:
    """Raises the InputError for a name that fits into no prompt, with the words `around` it."""
    around = " ".join(around.split())
    length = f"{len(text.pieces(name))} tokens long"
    limit = f"a prompt holds {room(text)}"
    if around:
        whole = len(text.pieces(f"{around} {name}"))
        raise InputError(f"class {name[:40]!r} is {length}, {whole} with {around[:40]!r} around "
                         f"it; {limit}; shorten either")
    raise InputError(f"class {name[:40]!r} is {length}; {limit}; shorten it")


# ---- P' and P ------------------------------------------------------------------------------------

def class_prompts(text: Text, classes: Sequence[str], alone: bool = False, between: str = ",",
                  wording: str = "{}") -> Lookup:
    """P' for these classes: as few prompts as hold all names, or with `alone` one for each class.

    The span of a name holds all its tokens. A name is never cut off: if a P' with a comma and this
    name would have more than 75 tokens, a new P' begins; if the name alone has more, InputError is
    raised. Each P' costs one row in the batch of the text encoder and, in each layer, its keys and
    one product Q K'^T; no UNet pass.

    alone: no name can reach the next one through the causal text encoder (ours, not the paper's).
    wording: what is said instead of each name, such as "red {}"; its span is the name's in it.
    """
    separator = text.pieces(between)
    before, after = template_halves(wording, "wording")

    tokens: list[list[int]] = []                                            # of each prompt
    spans = []
    for name in classes:
        phrase, name_indices = phrase_tokens(text, name, before, after)
        fits = tokens and len(tokens[-1]) + len(separator) + len(phrase) <= room(text)
        if fits and not alone:
            tokens[-1] += separator
        else:                                                               # a new prompt begins
            tokens.append([])
        start = 1 + len(tokens[-1])                                         # 1: the start token
        spans.append((len(tokens) - 1, [start + i for i in name_indices]))
        tokens[-1] += phrase
    return Lookup(text.states(torch.stack([text.ids(prompt) for prompt in tokens])), spans)


def image_prompt(text: Text, classes: Sequence[str], caption: str | None = None,
                 between: str = ",") -> Lookup:
    """P, and where the names are in it.

    The spans are needed only to look the names up in P itself (the single-prompt ablation). A name
    has its tokens in the caption, if they are there, else in the list after it. Of the classes dog
    and hot dog, with the caption "a hot dog", "hot dog" has two tokens of the caption, "dog" has
    its own in the list. What does not fit into T tokens is cut off, with a warning if there is a
    caption.
    """
    check_text(caption or "", "the caption")
    tokens, in_list = tokens_and_spans(text, classes, f"{between} ", caption_prefix(caption))
    if caption and len(tokens) > room(text):
        warnings.warn(f"caption and classes make {len(tokens)} tokens; the picture is seen under "
                      f"the first {room(text)} of them", stacklevel=2)

    ids = text.ids(tokens)
    end_of_caption = 1 + len(text.pieces(caption or ""))                    # 1: the start token
    searched = ids[:min(end_of_caption, len(ids) - 1)].tolist()             # without the end token
    in_caption = find_spans(searched, [text.pieces(c) for c in classes])
    spans: list[Span | None] = []
    for caption_span, list_span in zip(in_caption, in_list):
        span = caption_span or list_span
        spans.append((0, span) if span else None)
    return Lookup(text.states(ids[None]), spans)


def image_prompts(text: Text, classes: Sequence[str], caption: str | None = None) -> Lookup:
    """As many P as it takes to hold every name, each with the caption and a part of the names."""
    lists = split_to_fit(text, classes, before=caption_prefix(caption))
    return concatenate([image_prompt(text, names, caption) for names in lists])


def caption_prefix(caption: str | None) -> str:
    """What stands before the names in P."""
    return f"{caption} ; " if caption else ""


def concatenate(lookups: list[Lookup]) -> Lookup:
    """Several lookups as one, with all their prompts and all their classes."""
    spans: list[Span | None] = []
    before = 0                                                              # prompts before these
    for lookup in lookups:
        for span in lookup.spans:
            spans.append((before + span[0], span[1]) if span else None)
        before += len(lookup.states)
    return Lookup(torch.cat([lookup.states for lookup in lookups]), spans)


def class_maps(cross: Tensor, lookup: Lookup) -> Tensor:
    """Cross-attention (B, G, N, T) -> class maps (B, N, K): the mean over all tokens of each name.

    Raises InputError if a name was cut off. This happens only in one P that is too long
    (`image_prompt`); `class_prompts` makes several P', `image_prompts` several P instead.
    """
    maps = []
    for span in lookup.spans:
        if span is None:
            raise InputError("the prompt is too long to hold every class name; "
                             "use the dual prompt (dual=True) or fewer classes")
        prompt, tokens = span
        maps.append(cross[:, prompt, :, tokens].mean(-1))                   # (B, N)
    return torch.stack(maps, dim=-1)
