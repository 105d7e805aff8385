"""Which classes are looked for in a picture, and what caption goes with it.

Every method here asks "which of these classes is this pixel?", so somebody has to say first which
classes there are. A candidate that is not in the picture nearly always paints something, and one
that is left out cannot be found: published numbers depend on this list. The FA-Seg release reads
candidates and captions from JSON files; the same files are read here, or both are made anew.
"""
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError, one_line
from .clip_and_blip import ClipTagger, check_template
from .datasets import IGNORE, Dataset


def tidy(name: Any) -> str:
    """What names are compared by: case and blanks do not count."""
    return " ".join(str(name).casefold().split())


def generator(*seed: int | str) -> np.random.Generator:
    """Random numbers that depend on the seed alone: an image id, or a number and an id.

    They are the same on every machine and in every run.
    """
    entropy: list[int] = []
    for part in seed:
        entropy += [part] if isinstance(part, int) else str(part).encode()
    return np.random.default_rng(entropy)


class Listing:
    """A JSON file with one object: image id -> something.

    An id may carry a picture's suffix ("2007_000033.jpg"). parse(id, value) checks a value and
    returns what `listing[id]` is to give. Raises InputError, naming the file, if it cannot be read,
    is no such object or has an image twice; `listing[id]` raises one, naming file and id, if the
    image is not listed.
    """

    def __init__(self, path: str | Path, parse: Callable[[str, Any], Any]) -> None:
        self.path = path
        self.entries: dict[str, Any] = {}
        for key, value in read_object(path).items():
            id = self.stem(key)
            if id in self.entries:
                raise InputError(f"{path}: image {id!r} is listed twice; keep one entry for it")
            self.entries[id] = value
        for id, value in self.entries.items():
            self.entries[id] = parse(id, value)

    @staticmethod
    def stem(id: str) -> str:
        return re.sub(r"\.(jpe?g|png|bmp|tiff?|webp)$", "", str(id), flags=re.IGNORECASE)

    def __getitem__(self, id: str) -> Any:
        try:
            return self.entries[self.stem(id)]
        except KeyError:
            raise InputError(f"{self.path}: no entry for image {id!r}; "
                             "every image needs one") from None


def read_object(path: str | Path) -> dict:
    """The one object of a JSON file."""
    wanted = "one object with an entry for every image id"
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror}); give a JSON file with an entry "
                         "for every image id") from None
    except ValueError as e:
        raise InputError(f"{path}: not valid JSON ({one_line(e)}); it must hold {wanted}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: JSON, but not an object; it must hold {wanted}")
    return content


# ---- classes ------------------------------------------------------------------------------------
class Candidates:
    """The classes to look for in a picture, out of those of the data set.

    source: one of
        "gt": the classes in the picture, read off its truth map
        "gt+N": those, and N distractors: classes that are not in the picture, drawn with a
            generator seeded by the image id; of N + 1 distractors, N are those drawn before
        "all": every class
        "clip": asks `tagger`, a ClipTagger
        a JSON file: image id -> list of names, or one string with commas; names may be the prompt's
            wording or the data set's own spelling, in any case
    dataset: has `classes` (wordings; label i is classes[i - 1]), `file_names` (the data set's
        spellings, same order) and `ids`
    shuffle: None for the data set's order, or a number S: an order seeded by (S, id). It is an
        order of all classes, so which of two comes first does not depend on what else is looked for

    Raises InputError for another `source`, and, at once, for a file with an unknown name or without
    one of the data set's ids.
    """

    def __init__(self, source: str | Path, dataset: Dataset, tagger: ClipTagger | None = None,
                 shuffle: int | None = None) -> None:
        self.source, self.shuffle = str(source), shuffle
        self.tagger = tagger if self.source == "clip" else None
        self.classes = tuple(dataset.classes)
        self.number = {tidy(name): i for i, name in enumerate(dataset.file_names)}
        self.number |= {tidy(name): i for i, name in enumerate(self.classes)}
        self.listing: Listing | None = None
        if shuffle is not None and shuffle < 0:
            raise InputError(f"shuffle {shuffle}: give a number from 0 on, or none for the data "
                             "set's order")

        from_truth = re.fullmatch(r"gt(?:\+(\d+))?", self.source)
        if from_truth:
            self.distractors = int(from_truth[1] or 0)
        elif self.source == "clip":
            if not tagger:
                raise InputError("candidates 'clip' need a CLIP model; name its folder, or a hub "
                                 "name such as openai/clip-vit-base-patch16")
        elif self.source != "all":
            if not Path(source).exists():
                raise InputError(f"candidates {self.source!r}: no such file; give gt, gt+N (such "
                                 "as gt+5), all, clip or a JSON file")
            self.listing = Listing(source, self._parse)
            for id in dataset.ids:
                self.listing[id]

    def __call__(self, id: str, image: Image.Image, truth: np.ndarray) -> tuple[str, ...]:
        """Names out of dataset.classes, each once; () if there is nothing to look for.

        image: an RGB picture (only "clip" reads it); truth: (H, W) uint8, 0 background, 255 ignore
        (only "gt" reads it).
        """
        chosen = self._chosen(id, image, truth)
        order: Iterable[int] = range(len(self.classes))
        if self.shuffle is not None:
            order = generator(self.shuffle, id).permutation(len(self.classes))
        return tuple(self.classes[i] for i in order if i in chosen)

    def origin(self, id: str) -> list:
        """What decides on an image's classes, as plain values: equal for two equal lists.

        The truth is not in it.
        """
        if self.tagger:
            return ["clip", self.tagger.origin, self.shuffle]
        if self.listing:
            return ["listed", sorted(self.listing[id]), self.shuffle]
        return [self.source, self.shuffle]

    def _chosen(self, id: str, image: Image.Image, truth: np.ndarray) -> set[int]:
        """The numbers, from 0, of the classes to look for."""
        if self.source == "all":
            return set(range(len(self.classes)))
        if self.tagger:
            return {self.number[tidy(name)] for name in self.tagger(image)}
        if self.listing:
            return self.listing[id]
        present = self._present(id, truth)
        drawn = generator(id).permutation(len(self.classes)).tolist()
        distractors = [i for i in drawn if i not in present]
        return {*present, *distractors[:self.distractors]}

    def _present(self, id: str, truth: np.ndarray) -> set[int]:
        """The numbers of the classes in a truth map."""
        labels = {int(v) for v in np.unique(truth)} - {0, IGNORE}
        if labels and max(labels) > len(self.classes):
            raise InputError(f"{id}: the truth map holds label {max(labels)}, but the data set has "
                             f"{len(self.classes)} classes; is it of another data set?")
        return {label - 1 for label in labels}

    def _parse(self, id: str, names: Any) -> set[int]:
        """What a file says of one image -> class numbers from 0."""
        if isinstance(names, str):
            names = [name for name in names.split(",") if name.strip()]
        if not isinstance(names, list):
            raise InputError(f"{self.source}: image {id!r} has neither a list of names nor one "
                             "string with commas")
        for name in names:
            if tidy(name) not in self.number:
                raise InputError(f"{self.source}: image {id!r} names {name!r}, which is none of "
                                 f"the data set's classes: {', '.join(self.classes)}")
        return {self.number[tidy(name)] for name in names}


# ---- captions -----------------------------------------------------------------------------------
class Captions:
    """The caption of a picture, or one per class.

    source: None or "none", a Captioner, or a JSON file: image id -> text, or image id ->
    {class: text} as DiffSegmenter wants. Raises InputError for a file that holds anything else, and
    when an image or a class is not in it.
    """

    def __init__(self, source: Any = None) -> None:
        self.source = source
        self.captioner = source if callable(source) else None
        self.listing: Listing | None = None
        if not callable(source) and source is not None and str(source) != "none":
            self.listing = Listing(source, self._parse)

    def __call__(self, id: str, image: Image.Image) -> str | None:
        """One text for the picture; None without captions, and where the file has one per class."""
        if self.captioner:
            return self.captioner(image)
        entry = self._entry(id)
        return entry if isinstance(entry, str) else None

    def for_method(self, method: Any, id: str, image: Image.Image,
                   classes: Iterable[str]) -> str | dict[str, str] | None:
        """The caption that a method takes: one text, or one per class for DiffSegmenter."""
        if getattr(method, "CONTINUES", False):
            return self.continuations(id, image, classes, method.template)
        return self(id, image)

    def continuations(self, id: str, image: Image.Image, classes: Iterable[str],
                      template: str = "a photograph of {}") -> dict[str, str] | None:
        """{class: text}: DiffSegmenter's one caption per class; BLIP goes on from the template.

        None where nobody can make them: without captions, and where the file holds one text for the
        picture.
        """
        if self.captioner:
            check_template(template)
            return {c: self.captioner(image, template.replace("{}", c)) for c in classes}
        entry = self._entry(id)
        if not isinstance(entry, dict):
            return None
        texts = {tidy(c): text for c, text in entry.items()}
        for c in classes:
            if tidy(c) not in texts:
                raise InputError(f"{self.source}: image {id!r} has no text for class {c!r}; "
                                 "add one")
        return {c: texts[tidy(c)] for c in classes}

    def origin(self, id: str) -> Any:
        """What decides on an image's caption, as plain values: equal for two equal entries."""
        return self.captioner.origin if self.captioner else self._entry(id)

    def _entry(self, id: str) -> str | dict[str, str] | None:
        return self.listing[id] if self.listing else None

    def _parse(self, id: str, entry: Any) -> str | dict[str, str]:
        texts = entry.values() if isinstance(entry, dict) else [entry]
        if not all(isinstance(text, str) for text in texts):
            raise InputError(f"{self.source}: image {id!r} has neither a text nor an object with "
                             "a text per class")
        return entry
