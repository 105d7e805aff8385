"""Which classes are looked for in a picture, and what caption goes with it.

Every method here asks "which of these classes is this pixel?", so somebody has to say first which classes there are. A candidate that
is not in the picture nearly always paints something, and one that is left out cannot be found: published numbers depend on this list.
The FA-Seg release reads candidates and captions from JSON files; the same files are read here, or both are made anew.
"""
import json
import re
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError, one_line
from ..model import pick_device
from ..origin import transformers_digest


def tidy(name) -> str:
    """What names are compared by: case and blanks do not count."""
    return " ".join(str(name).casefold().split())


def generator(*seed) -> np.random.Generator:
    """Random numbers that depend on the seed alone: an image id, or a number and an id. The same on every machine and in every run."""
    return np.random.default_rng([part for s in seed for part in ([s] if isinstance(s, int) else str(s).encode())])


class Listing:
    """A JSON file with one object: image id -> something. An id may carry a picture's suffix ("2007_000033.jpg").

    Raises InputError, naming the file, if it cannot be read, is no such object or tells of an image twice; `listing[id]` raises one
    naming file and id if the image is not listed.
    """
    def __init__(self, path):
        self.path, self.entries = path, {}
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        except OSError as e:
            raise InputError(f"{path}: cannot be read ({e.strerror}); give a JSON file with an entry for every image id") from None
        except ValueError as e:
            raise InputError(f"{path}: not valid JSON ({one_line(e)}); it must hold one object with an entry for every image id") from None
        if not isinstance(content, dict):
            raise InputError(f"{path}: JSON, but not an object; it must hold one object with an entry for every image id")
        for key, value in content.items():
            if self.stem(key) in self.entries:
                raise InputError(f"{path}: image {self.stem(key)!r} is listed twice; keep one entry for it")
            self.entries[self.stem(key)] = value

    @staticmethod
    def stem(id) -> str:
        return re.sub(r"\.(jpe?g|png|bmp|tiff?|webp)$", "", str(id), flags=re.IGNORECASE)

    def __getitem__(self, id):
        try:
            return self.entries[self.stem(id)]
        except KeyError:
            raise InputError(f"{self.path}: no entry for image {id!r}; every image needs one") from None


# ---- classes ------------------------------------------------------------------------------------------------------------------------
class Candidates:
    """The classes to look for in a picture, out of those of the data set.

    how: "gt" (image-level labels read off the truth map), "gt+N" (those and N absent classes, drawn with a generator seeded by the
    image id; of the N + 1 drawn, N are those drawn before), "all", "clip" (asks `tagger`, a ClipTagger), or a JSON file: image id ->
    list of names, or one string with commas. Names there may be the prompt's wording or the data set's own spelling, in any case.
    dataset: has `classes` (wordings; label i is classes[i - 1]), `file_names` (the data set's spellings, same order) and `ids`.
    shuffle: None for the data set's order, or a number S: an order seeded by (S, id). It is an order of all classes, so which of two
    comes first does not depend on what else is looked for.
    Raises InputError for another `how`, and, at once, for a file with an unknown name or without one of the data set's ids.
    """
    def __init__(self, how, dataset, tagger=None, shuffle=None):
        self.how, self.classes, self.tagger, self.shuffle = str(how), tuple(dataset.classes), tagger, shuffle
        self.number = {tidy(name): i for names in (dataset.file_names, dataset.classes) for i, name in enumerate(names)}
        truth = re.fullmatch(r"gt(?:\+(\d+))?", self.how)
        self.absent, self.listing = int(truth[1] or 0) if truth else None, None
        if shuffle is not None and shuffle < 0:
            raise InputError(f"shuffle {shuffle}: give a number from 0 on, or none for the data set's order")
        if self.how == "clip" and tagger is None:
            raise InputError("candidates 'clip' need a CLIP model; name its folder, or a hub name such as openai/clip-vit-base-patch16")
        if not truth and self.how not in ("all", "clip"):
            if not Path(how).exists():
                raise InputError(f"candidates {self.how!r}: no such file; give gt, gt+N (such as gt+5), all, clip or a JSON file")
            self.listing = Listing(how)
            self.listing.entries = {id: self._numbers(id, names) for id, names in self.listing.entries.items()}
            for id in dataset.ids:
                self.listing[id]

    def __call__(self, id, image, truth) -> tuple[str, ...]:
        """image: an RGB picture (only "clip" looks at it); truth: (H, W) uint8, 0 background, 255 ignore (only "gt" looks at it).
        Returns names out of dataset.classes, each once; () if there is nothing to look for."""
        order = range(len(self.classes))
        if self.absent is not None:
            found = self._seen(id, truth)
            found += [int(i) for i in generator(id).permutation(len(order)) if i not in found][:self.absent]
        elif self.how == "all":
            found = order
        elif self.how == "clip":
            found = [self.number[tidy(name)] for name in self.tagger(image)]
        else:
            found = self.listing[id]
        if self.shuffle is not None:
            order = generator(self.shuffle, id).permutation(len(order))
        return tuple(self.classes[i] for i in order if i in found)

    def origin(self, id) -> list:
        """What decides on an image's classes, as plain values: equal for two lists that say the
        same of it. The truth is not in it."""
        if self.how == "clip":
            return ["clip", self.tagger.origin, self.shuffle]
        if self.listing:
            return ["listed", sorted(self.listing[id]), self.shuffle]
        return [self.how, self.shuffle]

    def _seen(self, id, truth) -> list[int]:
        labels = [int(v) for v in np.unique(truth) if v not in (0, 255)]
        if labels and labels[-1] > len(self.classes):
            raise InputError(f"{id}: the truth map holds label {labels[-1]}, but the data set has {len(self.classes)} classes; "
                             "is it of another data set?")
        return [v - 1 for v in labels]

    def _numbers(self, id, names) -> set[int]:
        """What a file says of one image -> class numbers from 0."""
        path = self.listing.path
        if isinstance(names, str):
            names = [name for name in names.split(",") if name.strip()]
        if not isinstance(names, list):
            raise InputError(f"{path}: image {id!r} has neither a list of names nor one string with commas")
        for name in names:
            if tidy(name) not in self.number:
                raise InputError(f"{path}: image {id!r} names {name!r}, which is none of the data set's classes: {', '.join(self.classes)}")
        return {self.number[tidy(name)] for name in names}


class ClipTagger:
    """Classes by CLIP image-text similarity. Plain CLIP, not TagCLIP: one vector of the whole picture, no patches, no masks.

    The similarities s_c = cos(image, template with c) of the K classes are cut at the relative threshold that iSeg applies to TagCLIP's
    scores (its release: ovs/predict_labels.py):  keep c where s_c > mi + share (ma - mi),  mi and ma the least and greatest of them,
    and the best class in any case. So some class is always found, and `share` (0 to 1) says how many come with it.
    path: a folder saved by transformers, or a hub name (CLIPModel with its processor). classes: names; their order is kept.
    """
    def __init__(self, path, classes, device="cpu", template="a photo of a {}", share=0.5):
        from transformers import (  # seconds of import, only when one is made
            CLIPModel,
            CLIPProcessor,
        )
        if not 0 <= share <= 1:
            raise InputError(f"share {share}: give a number from 0 (nearly all classes) to 1 (the best one only)")
        check_template(template)
        self.classes, self.share = tuple(classes), share
        self.model, self.processor = load(path, "CLIP", CLIPModel, CLIPProcessor, device, "openai/clip-vit-base-patch16")
        with torch.no_grad():
            prompts = [template.replace("{}", c) for c in self.classes]
            x = self.processor.tokenizer(prompts, padding=True, truncation=True, return_tensors="pt").to(self.model.device)
            x = self.model.text_model(input_ids=x["input_ids"], attention_mask=x["attention_mask"]).pooler_output
            self.texts = torch.nn.functional.normalize(self.model.text_projection(x), dim=-1)                            # (K, width)
        self.template = template

    @cached_property
    def origin(self) -> list:
        """What decides on its classes, as plain values."""
        model = transformers_digest(self.model, self.processor)
        return [self.classes, self.template, self.share, model]

    @torch.no_grad()
    def similarities(self, image) -> torch.Tensor:
        """Picture -> (K,) cosines on the CPU."""
        x = self.processor.image_processor(image.convert("RGB"), return_tensors="pt")["pixel_values"].to(self.model.device)
        x = self.model.visual_projection(self.model.vision_model(pixel_values=x).pooler_output)
        return (self.texts @ torch.nn.functional.normalize(x[0], dim=0)).cpu()

    def __call__(self, image) -> tuple[str, ...]:
        s = self.similarities(image)
        kept = s > s.min() + self.share * (s.max() - s.min())
        kept[s.argmax()] = True
        return tuple(c for c, keep in zip(self.classes, kept) if keep)


# ---- captions -----------------------------------------------------------------------------------------------------------------------
class Captioner:
    """BLIP's caption of a picture: greedy, at most `length` tokens after the prefix, so the same picture gives the same words.

    path: a folder saved by transformers, or a hub name (BlipForConditionalGeneration with its processor).
    """
    length = 20

    def __init__(self, path, device="cpu"):
        from transformers import BlipForConditionalGeneration, BlipProcessor
        self.model, self.processor = load(path, "BLIP", BlipForConditionalGeneration, BlipProcessor, device,
                                          "Salesforce/blip-image-captioning-base")

    @cached_property
    def origin(self) -> list:
        """What decides on its words, as plain values."""
        return [self.length, transformers_digest(self.model, self.processor)]

    @torch.no_grad()
    def __call__(self, image, prefix="") -> str:
        """With a prefix BLIP goes on from it, and the text begins with it as it is written here (BLIP itself knows lower case only)."""
        prefix = " ".join(prefix.split())
        inputs = self.processor(images=image.convert("RGB"), text=prefix or None, return_tensors="pt").to(self.model.device)
        ids = self.model.generate(**inputs, max_new_tokens=self.length, do_sample=False, num_beams=1)[0]
        text = self.processor.decode(ids, skip_special_tokens=True)
        head = self.processor.decode(inputs["input_ids"][0], skip_special_tokens=True) if prefix else ""
        return prefix + text[len(head):]


class Captions:
    """The caption of a picture, or one per class.

    how: None or "none", a JSON file (image id -> text, or image id -> {class: text} as DiffSegmenter wants), or a Captioner.
    Raises InputError for a file that holds anything else, and when an image or a class is not in it.
    """
    def __init__(self, how=None):
        self.listing = self.captioner = None
        if callable(how):
            self.captioner = how
        elif how is not None and str(how) != "none":
            self.listing = Listing(how)
            for id, told in self.listing.entries.items():
                if not all(isinstance(text, str) for text in (told.values() if isinstance(told, dict) else [told])):
                    raise InputError(f"{how}: image {id!r} has neither a text nor an object with a text per class")

    def __call__(self, id, image) -> str | None:
        """One text for the picture; None without captions, and where the file holds one per class."""
        told = self.captioner(image) if self.captioner else self.listing[id] if self.listing else None
        return told if isinstance(told, str) else None

    def told(self, how, id, image, classes):
        """What the method `how` is told of a picture: a text, or one per class where that is its
        way."""
        if getattr(how, "CONTINUES", False):
            return self.continuations(id, image, classes, how.template)
        return self(id, image)

    def origin(self, id):
        """What decides on an image's caption, as plain values: equal for two files that say the
        same of it."""
        if self.captioner:
            return self.captioner.origin
        return self.listing[id] if self.listing else None

    def continuations(self, id, image, classes, template="a photograph of {}") -> dict[str, str] | None:
        """{class: text}: DiffSegmenter's one caption per class, BLIP going on from the template. None where nobody can make them:
        without captions, and where the file holds one text for the picture."""
        if self.captioner:
            check_template(template)
            return {c: self.captioner(image, template.replace("{}", c)) for c in classes}
        told = self.listing[id] if self.listing else None
        if not isinstance(told, dict):
            return None
        told = {tidy(c): text for c, text in told.items()}
        for c in classes:
            if tidy(c) not in told:
                raise InputError(f"{self.listing.path}: image {id!r} has no text for class {c!r}; add one")
        return {c: told[tidy(c)] for c in classes}


def check_template(template):
    if "{}" not in template:
        raise InputError(f"template {template!r}: put {{}} where the class goes, as in 'a photo of a {{}}'")


def load(path, kind, model_class, processor_class, device, example):
    """(model in float32 on the device, processor): a local folder, else the hub's cache, else the hub (not with HF_HUB_OFFLINE=1)."""
    from transformers import logging
    device, advice = pick_device(device), f"give a folder saved by transformers, or a hub name such as {example}"
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()             # it reports every odd tensor; what matters is checked here
    try:
        found = model_class.config_class.get_config_dict(str(path))[0].get("model_type")
        if found != kind.lower():
            raise InputError(f"{path}: {f'a {found} model' if found else 'no config.json of a model'}, not {kind}; {advice}")
        model, report = model_class.from_pretrained(str(path), output_loading_info=True)
        processor = processor_class.from_pretrained(str(path))
    except InputError:
        raise
    except Exception as e:                    # whatever transformers stumbles upon: OSError, ValueError, KeyError, SafetensorError ...
        raise InputError(f"{path}: no {kind} model can be read there ({one_line(e).split('. ')[0][:200]}); {advice}") from None
    finally:
        logging.set_verbosity(verbosity)
    if report["missing_keys"]:                # transformers fills these with random numbers
        missing = sorted(report["missing_keys"])
        raise InputError(f"{path}: not a whole {kind} model: {len(missing)} tensors are missing, such as {missing[0]}; {advice}")
    return model.float().to(device).eval(), processor
