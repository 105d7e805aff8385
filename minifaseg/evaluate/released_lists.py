"""The class lists and captions that FA-Seg and DiffSegmenter released.

A published figure depends on who chose the classes of a picture. Both releases hold that choice as
files, in forms of their own:

- FA-Seg, json/candidate_classes_*.json: picture -> names with blanks between them, so "potted plant
  cat" is two names. json/caption_*_blip1.json: picture -> caption by BLIP.
- DiffSegmenter, dataset/*/predict_syn_txt_0.8_img_0.97.json: {way of choosing: {path of a picture:
  names}}, of which its benchmark takes image_similarity and text_similarity together.

What was read is written as a file that `--candidates` takes. Nothing is dropped in silence: what a
list lacks, or calls by a name that is no class, is counted.
"""
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, first_few
from ..writing import write_text
from .candidates import Listing, read_object, tidy
from .datasets import Dataset

PLACES = {                              # (whose, data set) -> file below the folder of repositories
    ("faseg", "voc"): "FA-Seg/json/candidate_classes_voc.json",
    ("faseg", "context60"): "FA-Seg/json/candidate_classes_context.json",
    ("faseg", "coco-object"): "FA-Seg/json/candidate_classes_coco.json",
    ("diffsegmenter", "voc"): "DiffSegmenter/dataset/voc12/predict_syn_txt_0.8_img_0.97.json",
    ("diffsegmenter", "context60"):
        "DiffSegmenter/dataset/voc10/predict_syn_txt_0.8_img_0.97.json",
    ("diffsegmenter", "coco-object"):
        "DiffSegmenter/dataset/coco/predict_syn_txt_0.8_img_0.97.json"}
CAPTIONS = {"voc": "FA-Seg/json/caption_voc_blip1.json",
            "context60": "FA-Seg/json/caption_context_blip1.json",
            "coco-object": "FA-Seg/json/caption_coco_blip1.json"}
WAYS = ("image_similarity", "text_similarity")

# Names in the lists -> the class that is meant, for a data set that has no class of that name.
ALIASES = {"plane": "aeroplane", "airplane": "aeroplane", "people": "person", "buses": "bus",
           "monitor": "tvmonitor", "plant": "pottedplant", "table": "diningtable", "sofa": "couch",
           "motorbike": "motorcycle", "toothbrus": "toothbrush"}


@dataclass
class ReleasedList:
    """A list as it was read.

    place: below the folder of repositories. names: picture -> file names of classes, each once.
    unlisted: pictures of the data set that the list lacks; nothing is looked for in them. no_class:
    how often it has a word that is no class.
    """
    place: str
    names: dict[str, list[str]]
    unlisted: list[str]
    no_class: Counter[str] = field(default_factory=Counter)

    def remarks(self) -> list[str]:
        """What the list lacks, and what in it is no class."""
        found = []
        if self.unlisted:
            found.append(f"{len(self.unlisted)} pictures are not listed, so nothing is looked for "
                         f"in them: {first_few(self.unlisted)}")
        if self.no_class:
            words = [f"{word!r} ({n} times)" for word, n in self.no_class.most_common()]
            found.append(f"words that are no class, left out: {first_few(words)}")
        return found

    def save(self, path: Path) -> Path:
        """Writes it as a file that `--candidates` takes."""
        write_text(path, json.dumps(self.names, indent=0))
        return path


def read(whose: str, dataset: Dataset, releases: Path) -> ReleasedList | None:
    """A released list, for the pictures of this data set; None if its file is not there.

    Raises InputError for a file that is something else.
    """
    place = PLACES.get((whose, dataset.name), "")
    path = releases / place
    if not path.is_file():
        return None
    known = class_names(dataset)
    no_class: Counter[str] = Counter()
    content = of_faseg(path) if whose == "faseg" else of_diffsegmenter(path)
    names, unlisted = {}, []
    for id in dataset.ids:
        if id not in content:
            unlisted.append(id)
        found, unknown = classes_in(content.get(id, []), known)
        names[id] = found
        no_class.update(unknown)
    if len(unlisted) == len(dataset.ids):
        raise InputError(f"{path}: lists none of the {len(unlisted)} pictures of {dataset.name}; "
                         "is it of another data set?")
    return ReleasedList(place, names, unlisted, no_class)


def of_faseg(path: Path) -> dict[str, list[str]]:
    """{picture: [all its names in one text]}"""
    def as_text(id: str, value: object) -> list[str]:
        if not isinstance(value, str):
            raise InputError(f"{path}: picture {id!r} has no text of names")
        return [value]
    return Listing(path, as_text).entries


def of_diffsegmenter(path: Path) -> dict[str, list[str]]:
    """{picture: names of both ways of choosing}. The file's keys are paths on another machine."""
    content = read_object(path)
    found: dict[str, list[str]] = {}
    for way in WAYS:
        chosen = content.get(way)
        if not isinstance(chosen, dict):
            raise InputError(f"{path}: has no list {way!r}; is it DiffSegmenter's?")
        for picture, names in chosen.items():
            found.setdefault(Listing.stem(picture.rpartition("/")[2]), []).extend(names)
    return found


def class_names(dataset: Dataset) -> dict[str, str]:
    """{name as a list may have it: the class's name in the data set's files}"""
    known = {tidy(name): name for name in dataset.file_names}
    known |= {tidy(wording): name for wording, name in zip(dataset.classes, dataset.file_names)}
    for alias, name in ALIASES.items():
        if name in known:
            known.setdefault(alias, known[name])
    return known


def classes_in(texts: list[str], known: dict[str, str]) -> tuple[list[str], list[str]]:
    """(the classes named in some texts, words that are none), each in order.

    Where several names fit, the longest is meant: "teddy bear" is no "bear".
    """
    found, unknown = [], []
    longest = max(len(name.split()) for name in known)
    for text in texts:
        words = tidy(text).replace(",", " ").split()
        while words:
            spans = [" ".join(words[:n]) for n in range(longest, 0, -1)]
            name = next((span for span in spans if span in known), None)
            if name is None:
                unknown.append(words[0])
            else:
                found.append(known[name])
            words = words[len(name.split()) if name else 1:]
    return list(dict.fromkeys(found)), unknown
