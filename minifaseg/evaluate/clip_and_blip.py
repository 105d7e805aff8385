"""Two models of transformers: CLIP says which classes a picture shows, BLIP writes its caption."""
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ..devices import pick_device
from ..errors import InputError, one_line
from ..origin import transformers_digest


class ClipTagger:
    """Classes by CLIP image-text similarity.

    Plain CLIP, not TagCLIP: one vector of the whole picture, no patches, no masks.

    The similarities s_c = cos(image, template with c) of the K classes are cut at the relative
    threshold that iSeg applies to TagCLIP's scores (its release: ovs/predict_labels.py):

        keep c where s_c > mi + share (ma - mi),    mi and ma the least and greatest of them,

    and the best class in any case. So some class is always found, and `share` (0 to 1) says how
    many come with it. path: a folder saved by transformers, or a hub name (CLIPModel with its
    processor); classes: names, whose order is kept.
    """

    def __init__(self, path: str | Path, classes: Iterable[str],
                 device: str | torch.device = "cpu", template: str = "a photo of a {}",
                 share: float = 0.5) -> None:
        from transformers import CLIPModel, CLIPProcessor  # here, because it takes seconds
        if not 0 <= share <= 1:
            raise InputError(f"share {share}: give a number from 0 (nearly all classes) to 1 "
                             "(the best one only)")
        check_template(template)
        self.classes, self.template, self.share = tuple(classes), template, share
        self.model, self.processor = load(path, "CLIP", CLIPModel, CLIPProcessor, device,
                                          "openai/clip-vit-base-patch16")
        self.texts = self.embed_texts([template.replace("{}", c) for c in self.classes])

    @cached_property
    def origin(self) -> list:
        """What decides on its classes, as plain values."""
        model = transformers_digest(self.model, self.processor)
        return [self.classes, self.template, self.share, model]

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """(K, width): CLIP's text embeddings, each of length 1."""
        x = self.processor.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        x = x.to(self.model.device)
        x = self.model.text_model(input_ids=x["input_ids"], attention_mask=x["attention_mask"])
        x = self.model.text_projection(x.pooler_output)
        return torch.nn.functional.normalize(x, dim=-1)

    @torch.no_grad()
    def similarities(self, image: Image.Image) -> torch.Tensor:
        """Picture -> (K,) cosines on the CPU."""
        x = self.processor.image_processor(image.convert("RGB"), return_tensors="pt")
        x = self.model.vision_model(pixel_values=x["pixel_values"].to(self.model.device))
        x = self.model.visual_projection(x.pooler_output)                   # (1, width)
        return (self.texts @ torch.nn.functional.normalize(x[0], dim=0)).cpu()

    def __call__(self, image: Image.Image) -> tuple[str, ...]:
        """The names of the classes in a picture."""
        s = self.similarities(image)
        kept = s > s.min() + self.share * (s.max() - s.min())
        kept[s.argmax()] = True
        return tuple(c for c, keep in zip(self.classes, kept) if keep)


class Captioner:
    """BLIP's caption of a picture.

    Greedy, at most `length` tokens after the prefix, so the same picture gives the same words.
    path: a folder saved by transformers, or a hub name (BlipForConditionalGeneration with its
    processor).
    """
    length = 20

    def __init__(self, path: str | Path, device: str | torch.device = "cpu") -> None:
        from transformers import BlipForConditionalGeneration, BlipProcessor
        self.model, self.processor = load(path, "BLIP", BlipForConditionalGeneration, BlipProcessor,
                                          device, "Salesforce/blip-image-captioning-base")

    @cached_property
    def origin(self) -> list:
        """What decides on its words, as plain values."""
        return [self.length, transformers_digest(self.model, self.processor)]

    @torch.no_grad()
    def __call__(self, image: Image.Image, prefix: str = "") -> str:
        """The caption of a picture.

        With a prefix BLIP goes on from it, and the text begins with the prefix as it is written
        here (BLIP itself knows lower case only).
        """
        prefix = " ".join(prefix.split())
        inputs = self.processor(images=image.convert("RGB"), text=prefix or None,
                                return_tensors="pt")
        inputs = inputs.to(self.model.device)
        ids = self.model.generate(**inputs, max_new_tokens=self.length, do_sample=False,
                                  num_beams=1)[0]
        text = self.processor.decode(ids, skip_special_tokens=True)
        if not prefix:
            return text
        start = self.processor.decode(inputs["input_ids"][0], skip_special_tokens=True)
        return prefix + text[len(start):]


def check_template(template: str) -> None:
    """Raises InputError if there is no place for the class."""
    if "{}" not in template:
        raise InputError(f"template {template!r}: put {{}} where the class goes, as in "
                         "'a photo of a {}'")


def load(path: str | Path, kind: str, model_class: Any, processor_class: Any,
         device: str | torch.device, example: str) -> tuple[Any, Any]:
    """(model in float32 on the device, processor).

    path: a local folder, else a name in the hub's cache, else on the hub (not with
    HF_HUB_OFFLINE=1); kind: "CLIP" or "BLIP"; example: a hub name to suggest. Raises InputError.
    """
    from transformers import logging
    device = pick_device(device)
    advice = f"give a folder saved by transformers, or a hub name such as {example}"
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()           # it reports every odd tensor; this function checks them
    try:
        check_kind(path, kind, model_class, advice)
        model, report = model_class.from_pretrained(str(path), output_loading_info=True)
        processor = processor_class.from_pretrained(str(path))
    except InputError:
        raise
    except Exception as e:                  # of transformers: OSError, ValueError, KeyError, ...
        why = one_line(e).split(". ")[0][:200]
        raise InputError(f"{path}: no {kind} model can be read there ({why}); {advice}") from None
    finally:
        logging.set_verbosity(verbosity)
    if report["missing_keys"]:              # transformers fills these with random numbers
        missing = sorted(report["missing_keys"])
        raise InputError(f"{path}: not a whole {kind} model: {len(missing)} tensors are missing, "
                         f"such as {missing[0]}; {advice}")
    return model.float().to(device).eval(), processor


def check_kind(path: str | Path, kind: str, model_class: Any, advice: str) -> None:
    """Raises InputError if a folder's config.json is not of this kind of model."""
    config, _ = model_class.config_class.get_config_dict(str(path))
    found = config.get("model_type")
    if found != kind.lower():
        what = f"a {found} model" if found else "no config.json of a model"
        raise InputError(f"{path}: {what}, not {kind}; {advice}")
