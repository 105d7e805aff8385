"""Writes published.md: the figures of minifaseg/evaluate/published.csv, grouped by protocol.

    python tutorial/published.py
"""
from pathlib import Path
from statistics import mean

from minifaseg.evaluate.markdown import table_lines
from minifaseg.evaluate.published import figures, kind, miou
from minifaseg.writing import write_text

PAGE = Path(__file__).with_name("published.md")
COLUMNS = ["data", "split", "method", "metric", "value", "classes", "threshold", "used", "source"]
TITLES = ["data set", "split", "method", "figure", "%", *COLUMNS[5:]]
BENCHMARKS = ["voc", "context60", "coco-object"]
TABLES = {
    "open-vocabulary": """Open vocabulary

A method is given class names as text and labels every pixel with one of them, or as background.
The column `used` says what was trained, and which other models took part. "No training" means
that no weights were changed for segmentation; the models that took part were trained before, most
of them on image-text pairs, SAM on masks. No source names a row that was trained on pixel labels of
these data sets. Image labels are used where the classes are "true classes": they are labels of the
very picture that is segmented.""",
    "pseudo-masks": """Pseudo-masks from image labels

Weakly supervised segmentation. The labels of every training picture are given, a method turns
them into masks of these same pictures, and the masks later train a network. The figures below are
of the masks on training pictures. All rows use image labels; so nothing here says whether a method
finds out which classes are in a picture.""",
    "unsupervised": """Unsupervised

No class name is given. A method cuts a picture into segments without names, and each segment or
cluster takes the class with which it agrees most. So the truth chooses the names. "acc / mIoU" is
pixel accuracy and mIoU. No row uses labels, but two use CLIP, which knows class names."""}
# (table, classes, threshold): what such rows have in common.
GROUPS = {
    ("open-vocabulary", "predicted", "fixed"):
        """A model chooses the classes of every picture, and the threshold stands in the code. What
is measured is the segmenter together with the model that chooses: where that model misses a class,
all pixels of the class are wrong. Thresholds differ by data set, and how they were found is not
stated. GroupViT, SegCLIP and OVSegmentor were trained on image-text pairs; the others changed no
weights, but use CLIP or Stable Diffusion or both. FA-Seg reports only the mean of its three data
sets.""",
    ("open-vocabulary", "predicted", "tuned"):
        """A model chooses the classes; of many thresholds the one with the best mIoU on these same
pictures is reported. That is an upper bound of what a threshold chosen beforehand can reach. No
training; BLIP and CLIP choose the classes, Stable Diffusion segments.""",
    ("open-vocabulary", "predicted", "background class"):
        """A model chooses the classes; the background is a class of the prompt like any other, so
there is no threshold. InvSeg has no training set, but optimises the text embeddings for each
picture.""",
    ("open-vocabulary", "not stated", "not stated"):
        """Figures from tables of other papers. Who chose classes and threshold is not stated
there, and was not found. Most of these methods were trained on image-text pairs. DiffSeg has no
class names at all; how its segments were named for this table is not stated. The second report on
GoCA stands here because its protocol is not known.""",
    ("open-vocabulary", "not stated", "background class"):
        """OVDiff lets Stable Diffusion paint support pictures of every class. Their features are
prototypes, those of their backgrounds too. No weights are trained; the rows differ in the feature
extractors that are added. Who chose the classes was not found.""",
    ("open-vocabulary", "true classes", "tuned"):
        """The classes that are in the truth of a picture are given, and the best of nine offsets
on the same pictures is taken. VOC and Context are measured on the *training* pictures. These are
second-hand figures, and one of them is contradicted by another report (54.5 instead of 60.7). No
training; a language model writes the rest of the prompt.""",
    ("open-vocabulary", "true classes", "none"):
        """The classes that are in the truth of a picture are given, and there is no background:
pixels of the background are not counted. On VOC, where many pictures hold one class, such a picture
is right wherever it counts, whatever the method does. No training, no further models.""",
    ("pseudo-masks", "true classes", "not stated"):
        """Who chose the threshold is not stated. Where `used` says training, a network was
trained on the image labels. Other hyperparameters of iSeg were compared on VOC's training pictures
too, and its 75.2 is the best value of each comparison.""",
    ("pseudo-masks", "true classes", "tuned"):
        """The released code tries exponents of the background's score on the same pictures and
reports the better one. No training; it uses CLIP.""",
    ("pseudo-masks", "true classes", "fixed"):
        """The threshold stands in the released code. No training.""",
    ("unsupervised", "no classes, matching not stated", "none"):
        """How segments were matched to classes is not stated in the table. iSeg released no code
for it. MDC, IIC and PiCIE were trained, without labels.""",
    ("unsupervised", "no classes, matched once for all pictures", "none"):
        """Clusters of the whole data set are matched to classes once, so a cluster must mean the
same everywhere. STEGO was trained without labels, on features of DINO.""",
    ("unsupervised", "not stated", "not stated"):
        """MaskCLIP and ReCo use CLIP, so they know class names. How they and ACSeg were scored is
not stated; the table says that all three were trained.""",
    ("unsupervised", "no classes, matched per picture", "none"):
        """Segments are matched to classes anew in every picture. This is easier than one matching
for all pictures, since a segment need not mean the same elsewhere. No training."""}

HEAD = """# Published figures

This page is made by `python tutorial/published.py` from
[`published.csv`](../minifaseg/evaluate/published.csv); edit that file, not this page.

It holds what papers and talks report. **Nothing on this page was measured here.** No weights of
Stable Diffusion 1.5 were at hand, so no method of this project has been measured on these data
sets; [results.md](results.md) holds the cartoon world only. With weights and data, these commands
measure the rows that may stand beside published ones:

```sh
# FA-Seg, DiffSegmenter and iSeg by their own protocols, with every condition that differs
python -m minifaseg.evaluate reproduce --root data --releases releases
# classes chosen by CLIP, thresholds fixed
python -m minifaseg.evaluate voc --root data/VOCdevkit --weights sd15 --candidates clip \\
    --clip openai/clip-vit-base-patch16 --method faseg,iseg --out runs/voc
# the same, thresholds tuned on the same pictures
python -m minifaseg.evaluate voc --root data/VOCdevkit --weights sd15 --candidates clip \\
    --clip openai/clip-vit-base-patch16 --method diffsegmenter --sweep threshold=0.3:0.74:0.01
# true classes given, no background
python -m minifaseg.evaluate context59 --root data/VOCdevkit --weights sd15 --candidates gt \\
    --method faseg,iseg --out runs/context59
# no classes, segments matched per picture
python -m minifaseg.evaluate cocostuff27 --root data/coco_stuff164k --weights sd15 \\
    --unsupervised --method diffseg,iseg --out runs/cocostuff27
```

The command prints, beside its own rows, the published rows of the same data set, split and
protocol, and says how many others there are.

## Why rows of different protocols must not be compared

A figure is the result of a method *and* of a protocol. Three columns explain most differences:

- **split**: which pictures, and whether the background counts as a class.
- **classes**: who chose the classes that are looked for in a picture. If the true classes are
  given, a method cannot find a class that is not there. If a model chooses, its mistakes count.
  What is not in the list cannot be found.
- **threshold**: who chose where the background begins. If it was tuned on the pictures that are
  measured, the figure is too good. Without a background class the question does not arise.

"Not stated" means that the sources at hand do not say it; nothing was guessed. What was read off
released code may differ from what the paper did. Even rows of one group differ in weights, in the
model that chose the classes and in details such as whether a class that never occurs counts as 0.
A difference inside a group is a hint, one between two groups is none.
"""


def page() -> str:
    parts = [HEAD, worked_example(), averages()]
    for table, text in TABLES.items():
        title, _, about = text.partition("\n\n")
        parts.append(f"## {title}\n\n{about}\n")
        parts += [group(*key) for key in GROUPS if key[0] == table]
    return "\n".join(parts)


def group(table: str, classes: str, threshold: str) -> str:
    """One protocol: what its rows have in common, and the rows, those of one data set together."""
    rows = rows_of(table, classes, threshold)
    data_sets = list(dict.fromkeys(row["data"] for row in rows))
    rows.sort(key=lambda row: data_sets.index(row["data"]))
    lines = markdown(TITLES, [[row[column] for column in COLUMNS] for row in rows])
    return f"### {heading(classes, threshold)}\n\n{GROUPS[table, classes, threshold]}\n\n{lines}\n"


def heading(classes: str, threshold: str) -> str:
    shared = "not stated" if classes == "not stated" else classes.removeprefix("no classes, ")
    return f"Classes: {shared}; threshold: {threshold}"


def rows_of(table: str, classes: str, threshold: str) -> list[dict[str, str]]:
    key = table, classes, threshold
    return [row for row in figures() if protocol(row) == key]


def protocol(row: dict[str, str]) -> tuple[str, str, str]:
    return row["table"], kind(row["classes"]), kind(row["threshold"])


def markdown(titles: list[str], rows: list[list[str]]) -> str:
    return "\n".join(table_lines(titles, rows))


def figure(method: str, data: str) -> dict[str, str]:
    """The one open-vocabulary row of a method on a data set."""
    (row,) = [row for row in figures() if row["table"] == "open-vocabulary"
              and row["method"] == method and row["data"] == data]
    return row


def worked_example() -> str:
    """iSeg in its own paper and in Seg4Diff's table."""
    pairs = list(zip(BENCHMARKS, ["voc20", "context59", "coco-object80"]))
    rows = []
    for own, other in pairs:
        ours, theirs = miou(figure("iSeg", own)), miou(figure("iSeg, by Seg4Diff", other))
        rows.append([own, f"{ours:.1f}", other, f"{theirs:.1f}", f"{theirs - ours:+.1f}"])
    own, other = figure("iSeg", "voc"), figure("iSeg, by Seg4Diff", "voc20")
    differences = [[name, own[name], other[name]]
                   for name in ("split", "classes", "threshold", "used")]
    return f"""### A worked example: one method, {own['value']} and {other['value']}

iSeg reports {own['value']} on VOC in its own paper.
In Seg4Diff's table the same method stands with {other['value']}. Neither is wrong:

{markdown(["on VOC", "in iSeg's paper", "in Seg4Diff's table"], differences)}

In the second protocol nobody has to find out which classes are there, and no pixel can be
mistaken for background or the other way round. The weights differ, too. How much of the difference
is due to which of these cannot be told from the two figures. On all three data sets:

{markdown(["data set", "iSeg's paper", "data set", "Seg4Diff's table", "difference"], rows)}

So Seg4Diff's {figure('Seg4Diff with SD 3', 'voc20')['value']} may be set against {other['value']},
from the same table. Set against {own['value']}, most of the difference could be the protocol's.
"""


def averages() -> str:
    """Means over the three benchmarks, of training-free methods that report all of them.

    Rows that were given the true classes are left out.
    """
    found: dict[str, dict[str, float]] = {}
    for row in figures():
        true_classes = kind(row["classes"]) == "true classes"
        if row["type"] == "training-free" and row["data"] in BENCHMARKS and not true_classes:
            found.setdefault(row["method"], {})[row["data"]] = miou(row)
    means = {name: mean(values.values()) for name, values in found.items() if len(values) == 3}
    faseg = miou(figure("FA-Seg", "mean of the three"))
    rows = []
    for name, value in means.items():
        parts = " + ".join(f"{found[name][data]:.1f}" for data in BENCHMARKS)
        rows.append([name, f"({parts}) / 3", f"{value:.1f}"])
    rows.append(["FA-Seg", "reported as a mean", f"{faseg:.1f}"])
    rows.sort(key=lambda cells: -float(cells[-1]))
    return f"""### FA-Seg is not the highest of them

FA-Seg reports a mean of {faseg:.1f} over VOC, Context and COCO-Object.
The three figures that iSeg reports for itself average {means['iSeg']:.1f}.
Here are all training-free methods of the tables below that have all three figures, but for those
that were given the true classes. They do *not* share a protocol, so this is no ranking; it only
shows that FA-Seg cannot be called the best by these figures.

{markdown(["method", "VOC, Context, COCO-Object", "mean"], rows)}
"""


if __name__ == "__main__":
    write_text(PAGE, page())
