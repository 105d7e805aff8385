"""Writes the cartoon model's card, minifaseg/cartoon/README.md.

    python tutorial/card.py

The card has the form that the Hugging Face hub reads. Scores come from results.csv, sizes and the
last training run from the weights file itself, and what is known of the training before it from
words.md and measured.md. results.py writes the card, too, after the tables.
"""
import math
import re
from collections import Counter
from pathlib import Path

import made_from
import results_csv

from minifaseg.cartoon.stream import PLAIN
from minifaseg.cartoon.things import THINGS
from minifaseg.cartoon.words import BACKDROPS, CLASSES, COLOURS, GROUNDS, NOUNS
from minifaseg.checkpoints.checkpoint import Checkpoint
from minifaseg.checkpoints.examine import DECODER
from minifaseg.evaluate.markdown import table_lines
from minifaseg.writing import write_text

HERE = Path(__file__).parent
METHODS = {"faseg": "FA-Seg", "wordings": "wordings", "leaveout": "leave-out"}

# Rows of the table of scores: (what is measured, experiment, its row).
SCORES = [
    ("FA-Seg's cross-attention alone", "steps", "faseg:tau=0;flip=False"),
    ("FA-Seg", "methods", "faseg"),
    ("wordings", "methods", "wordings"),
    ("leave-out", "methods", "leaveout"),
    ("FA-Seg, further scenes that no search has used", "spread", "faseg"),
    ("leave-out, the same further scenes", "spread", "leaveout"),
    ("FA-Seg, two absent names in every list", "absent2", "faseg"),
    ("leave-out, two absent names in every list", "absent2", "leaveout"),
    ("FA-Seg, all {classes} names in every list", "allnames", "faseg"),
    ("leave-out, all {classes} names in every list", "allnames", "leaveout"),
]

CARD = """\
---
license: mit
language: en
library_name: minifaseg
pipeline_tag: image-segmentation
tags:
- open-vocabulary-segmentation
- training-free-segmentation
- attention
- latent-diffusion
- text-to-image
- synthetic-data
- education
model-index:
- name: minifaseg cartoon
  results:
  - task:
      type: image-segmentation
    dataset:
      type: minifaseg-cartoon
      name: painted scenes, seeds 1000 to 1199, the classes of each scene given
    metrics:
    - type: mean_iou
      value: {miou}
      name: mIoU of FA-Seg over {classes} classes and the background
    - type: pixel_accuracy
      value: {accuracy}
      name: pixel accuracy of FA-Seg
---
<!-- Written by tutorial/card.py: change it there. -->

# The cartoon model of minifaseg

A small text-to-image diffusion model. It has the architecture of Stable Diffusion 1.5 and paints
cartoon scenes of {side} x {side} pixels. It was made so that every command, test and lesson of
minifaseg does real work on any machine, without a download. minifaseg reads the model's attention
to find things in a picture by their names (FA-Seg, https://arxiv.org/abs/2506.23323).

**No mask was used to train it.** It learnt from painted pictures and their captions only.
It knows {words} words, on painted scenes of {side} x {side} pixels. On photographs it is useless.

## What it is

- One file, `cartoon.safetensors`: {megabytes} MB, float16, tensors under the names of Stable
  Diffusion 1.5's original single file. Tokenizer, words and sizes stand in its metadata.
- UNet: {unet} million parameters, widths {widths}, one block a level, cross-attention to text
  states of {context} numbers.
- Text encoder: {text} million parameters, CLIP's architecture, {layers} layers.
- VAE: {vae} million parameters, its decoder among them. A latent has 1 / {factor} of the
  picture's side, and {channels} channels.
- In all {total} million parameters. Segmentation needs {used} million: all but the VAE's decoder.
- `cartoon.json`: the hyperparameters of every method for this model.

```sh
python -m minifaseg picture.png cat dog grass --weights cartoon
```

## Data

Pictures are painted by a program (`minifaseg/cartoon/painter.py`): one to three things on a ground
before a backdrop. There are {things} things, {grounds} grounds, {backdrops} backdrops and
{colours} colours. The {words} words are {nouns} nouns (synonyms too), the colours, and words such
as "a", "with" and "behind". In the last part of the training {wild} of the scenes were wild: up to
five things, near and far, with tints, stripes or spots that no caption names.

A caption names what fills more than 1.5 % of the picture. The painter's label maps serve to count
that, and for nothing else in training. Scenes to train on have seeds from 10,000,000 on. Scenes
that are scored have seeds 1000 to 1199 and 2000 to 2399, scenes to choose on 5000 to 5059.

## Training

The VAE was trained first. Then the UNet and the text encoder were trained together, by noise
prediction on latents, in the last part with the optimiser Muon. Every phrase of a caption is
encoded by itself, so that no word can hide in the padding. Code: `minifaseg/cartoon/train.py`.

- The last run: {steps} steps of {batch} pictures, drawn from {scenes} scenes
  (recorded in the file's metadata).
- The last part of the training, from mIoU {before} to {after}:
  about {time}.
- In all it saw about {pictures} pictures.
- How long the training before the last part took, and on which machine, was not recorded.

## Intended use

- Lessons and experiments on attention, diffusion and segmentation by words.
- Tests of code that is meant for Stable Diffusion 1.5: it loads and runs alike.
- Comparing methods on scenes whose truth is exact.

Not intended: photographs, pictures to be published, or any decision about people. There are no
people in its world.

## Limits

- It knows {words} words. Any other word is refused, with the list of those it knows.
- A picture is brought to {side} x {side} pixels. It has seen no photograph.
- Its scores say nothing about Stable Diffusion 1.5 on photographs.
- It finds a name that is not in the picture, too, and finds it somewhere: with two absent names in
  the list FA-Seg falls from {miou} to {absent}.
- It is best where things have the usual colour of their kind. The weakest classes of FA-Seg are
  {weakest}.
- 95 % intervals say how far a figure would move on other scenes of this world. They do not cover
  another training: there was one.
- Masks of scenes 5000 to 5059 were used to watch the training, to choose between ways of
  training, and to choose the methods' hyperparameters. No network was trained on them.

## Scores

The scenes were held out from training. Brackets hold 95 % intervals. *Things* leaves out grounds,
backdrops and the background.

{scores}

A network of the same size that is trained on the labels of 20,000 pictures reaches mIoU
{yardstick} with the classes given.

## Scores by class

IoU on {count} held-out scenes, classes given. FA-Seg is the paper's method, the two others are
minifaseg's own.

{by_class}

## How it was measured

```sh
{command}
```

mIoU is the mean over {classes} classes and the background, from one confusion matrix over all
scenes. The intervals are the bootstrap over scenes, 2,000 draws. Thresholds and the other
hyperparameters were chosen on 60 other scenes, seeds 5000 to 5059. The row of cross-attention
alone has its own threshold, chosen on the same 60 scenes. The other commands and all figures:
`tutorial/results.md` and `tutorial/results.csv` of the source.

## Licence

MIT, like the code. The pictures that it learnt from were painted by this code.
"""


def recorded(page: str, pattern: str) -> tuple[str, ...]:
    """The groups of a pattern in a page of the tutorial; raises LookupError if it says no such."""
    text = " ".join((HERE / page).read_text(encoding="utf-8").split())
    found = re.search(pattern, text)
    if not found:
        raise LookupError(f"{page} says nothing like {pattern!r}; the card needs it")
    return found.groups()


def training_facts(notes: dict) -> dict:
    """What is recorded of the training: in the weights file and in the tutorial's pages."""
    training = notes["training"]
    before, after = recorded("words.md", r"took it from ([\d.]+) to ([\d.]+) on the held-out")
    (time,) = recorded("words.md", r"in about ([^.]+ of an H100)")
    (pictures,) = recorded("measured.md", r"cartoon model saw about ([\d,]+) pictures")
    return {"steps": f"{training['steps']:,}", "batch": training["batch"],
            "scenes": f"{training['scenes']:,}", "before": before, "after": after, "time": time,
            "pictures": pictures}


def count_parameters(file: Checkpoint) -> Counter:
    """{part: numbers in its tensors}, and of "decoder", which is a part of the VAE."""
    found: Counter = Counter()
    for part, tensors in file.keys.items():
        for name, (stored, opened) in tensors.items():
            size = math.prod(opened.get_slice(stored).get_shape())
            found[part] += size
            if name.startswith(DECODER):
                found["decoder"] += size
    return found


def sizes(weights: Path) -> dict:
    """What the file says of itself."""
    file = Checkpoint(weights)
    unet, vae, text = file.unet_config(), file.vae_config(), file.text_config()
    count = count_parameters(file)
    total = sum(count[part] for part in file.keys)
    numbers = {**count, "total": total, "used": total - count["decoder"]}
    return {
        **{name: f"{number / 1e6:.1f}" for name, number in numbers.items()},
        **training_facts(file.notes),
        "megabytes": f"{weights.stat().st_size / 1e6:.1f}",
        "side": file.notes["side"],
        "words": len(file.words()),
        "widths": ", ".join(map(str, unet.widths)),
        "context": unet.context,
        "layers": text.layers,
        "channels": vae.latent,
        "factor": 2 ** (len(vae.widths) - 1),
    }


def world() -> dict:
    """How many things, words and classes the painted world has."""
    return {"classes": len(CLASSES), "things": len(THINGS), "grounds": len(GROUNDS),
            "backdrops": len(BACKDROPS), "colours": len(COLOURS), "nouns": len(NOUNS),
            "wild": f"{100 * (1 - PLAIN):.0f} %"}


def points(cell: str) -> str:
    """A figure of results.csv with three digits, as on the page."""
    return f"{float(cell):.3f}"


def score_table(rows: dict) -> str:
    """Markdown of SCORES. rows: {(experiment, row): cells}."""
    lines = []
    for title, *which in SCORES:
        m = rows[tuple(which)]
        interval = f"[{points(m['miou_low'])}, {points(m['miou_high'])}]"
        lines.append([title.format(classes=len(CLASSES)), m["pictures"],
                      f"{points(m['miou'])} {interval}", points(m["things"]),
                      points(m["pixel_accuracy"])])
    head = ["what", "scenes", "mIoU [95 %]", "things", "pixel accuracy"]
    return "\n".join(table_lines(head, lines))


def class_table(rows: dict) -> str:
    """Markdown of every class, by three methods."""
    kinds = {**dict.fromkeys(THINGS, "thing"), **dict.fromkeys(GROUNDS, "ground"),
             **dict.fromkeys(BACKDROPS, "backdrop"), "background": "no name"}
    lines = []
    for name, kind in kinds.items():
        ious = [points(rows["methods", method][name]) for method in METHODS]
        lines.append([name, kind, *ious])
    return "\n".join(table_lines(["class", "kind", *METHODS.values()], lines))


def card(table: Path, weights: Path) -> str:
    """The text of the card. table: a results.csv; weights: the file that it is about."""
    rows = {}
    for experiment, its_rows in results_csv.read(table).items():
        rows |= {(experiment, row["row"]): row for row in its_rows}
    faseg = rows["methods", "faseg"]
    by_iou = sorted(CLASSES, key=lambda name: float(faseg[name]))
    weakest = [f"{name} ({points(faseg[name])})" for name in by_iou[:3]]
    yardstick = rows["yardstick", "a network trained on labels, told the classes"]
    return CARD.format(
        **sizes(weights), **world(),
        miou=points(faseg["miou"]), accuracy=points(faseg["pixel_accuracy"]),
        absent=points(rows["absent2", "faseg"]["miou"]),
        weakest=f"{weakest[0]}, {weakest[1]} and {weakest[2]}",
        yardstick=points(yardstick["miou"]), count=faseg["pictures"], command=faseg["command"],
        scores=score_table(rows), by_class=class_table(rows))


def write_card(table: Path, weights: Path) -> None:
    """Writes the card beside the weights."""
    write_text(weights.with_name("README.md"), card(table, weights))


if __name__ == "__main__":
    write_card(HERE / "results.csv", made_from.WEIGHTS)
