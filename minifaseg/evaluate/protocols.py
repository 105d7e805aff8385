"""What each published row did, as far as it is known, so that it can be done again.

A protocol is more than a method: who chose the classes, which captions, whose threshold, which
weights. The published figures themselves stand in published.csv, with their sources.
"""
from dataclasses import dataclass

from .published import figures, miou

DATA_SETS = ("voc", "context60", "coco-object")
MEAN = "mean of the three"
# Points of mIoU that ours may be off where all conditions are the same. Our choice: no release is
# known to have been run twice, and iSeg's own two reports of VOC (paper and README) are 0.4 apart.
TOLERANCE = 1.0


@dataclass(frozen=True)
class Protocol:
    """One published row, or our own defaults.

    name: what it is asked for by. figure: the method's name in published.csv; "" for none. spec:
    {data set: method as methods.py reads it}, "" for the others. lists: whose released classes.
    captions: "faseg", the released file; "blip", a captioner; "" for none. sweep: thresholds of
    which the best is reported. The rest is for the reader: what the published run had.
    """
    name: str
    title: str
    figure: str
    spec: dict[str, str]
    lists: str
    captions: str
    sweep: str
    classes: str
    captions_said: str
    threshold: str
    weights: str
    resolution: str
    resolution_here: str = "the same"

    def method(self, dataset: str) -> str:
        return self.spec.get(dataset, self.spec[""])

    def published(self, dataset: str) -> float | None:
        """The published mIoU on a data set, or MEAN, in percent; None if there is none."""
        if not self.figure:
            return None
        found = [miou(figure) for figure in figures()
                 if (figure["method"], figure["data"]) == (self.figure, dataset)]
        return found[0] if found else None


SCORES = "scores of 64 x 64 cells, brought to the picture's size, then the argmax"

PROTOCOLS = {protocol.name: protocol for protocol in (
    Protocol(
        "faseg", "FA-Seg, as its release does it", "FA-Seg", {"": "faseg"},
        lists="faseg", captions="faseg", sweep="",
        classes="predicted: TagCLIP and BLIP, released as lists",
        captions_said="BLIP, released as a file",
        threshold="0.55 VOC, 0.50 Context, 0.60 Object",
        weights="XCLIU/2_rectified_flow_from_sd_1_5, a 2-rectified-flow finetune of SD 1.5, in "
                "float16; not SD 1.5 itself",
        resolution="the mask of 512 x 512, brought to the picture's size by nearest neighbour",
        resolution_here=SCORES),
    Protocol(
        "diffsegmenter", "DiffSegmenter", "DiffSegmenter",
        {"": "diffsegmenter:template=a photography of {}", "voc": "diffsegmenter"},
        lists="diffsegmenter", captions="blip", sweep="threshold=0.3:0.74:0.01",
        classes="predicted: BLIP caption and CLIP, released as lists",
        captions_said="BLIP (large), one for each class",
        threshold="the best of 0.30 to 0.74 on the same pictures",
        weights="Stable Diffusion 1.5 in float16, noise without a seed",
        resolution="class maps brought to the picture's size, then the argmax"),
    Protocol(
        "iseg", "iSeg", "iSeg", {"": "iseg"},
        lists="faseg", captions="", sweep="",
        classes="predicted: TagCLIP at run time; no list released (the nearest: FA-Seg's lists, "
                "which are of TagCLIP and BLIP)",
        captions_said="none",
        threshold="(1 - max)^2 as the background's score on VOC and Context, 0.45 on Object",
        weights="Stable Diffusion 2.1-base, which this package does not load: other text encoder, "
                "other heads",
        resolution="class maps brought to the picture's size, then the argmax"),
    Protocol(
        "ours", "FA-Seg with this package's defaults", "", {"": "faseg"},
        lists="", captions="", sweep="",
        classes="true classes", captions_said="none",
        threshold="0.55 VOC, 0.50 Context, 0.60 Object", weights="any", resolution=SCORES))}
