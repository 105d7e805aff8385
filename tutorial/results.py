"""Measures everything in results.md and writes it anew: python tutorial/results.py; or some of it: python tutorial/results.py methods bench

Each experiment is one command of the bench, shown above its table. Results are kept under
runs/results picture by picture, so that a stopped run goes on where it was; what was made by other
code, weights or captions is made anew. One process per core; about an hour and a half on two, and
another hour for the benchmark of speed.
"""
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

import minifaseg
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES
from minifaseg.evaluate.command import parser, run
from minifaseg.evaluate.rows import split
from minifaseg.images import mask_image
from minifaseg.origin import code_digest, digest, file_digest, weights_digest

HERE, RUNS = Path(__file__).parent, Path("runs/results")
HELD_OUT = "--seeds 1000:1200 --shuffle-classes 0"
OWN = "--thresholds 5000:5060"                            # every row with its own best threshold, found on scenes that no table uses
METHODS = "faseg,diffsegmenter,iseg,invseg,datasetdiffusion,diffseg,leaveout"

EXPERIMENTS = {
    "methods": f"{HELD_OUT} --method {METHODS}",
    "segments": f"{HELD_OUT} --unsupervised --method diffseg,iseg:merge_tau=0.1",
    "invseg": f"--seeds 1000:1060 --shuffle-classes 0 {OWN} --method invseg:steps=0,invseg,invseg:repel=1.0",
    "steps": f'{HELD_OUT} {OWN} --method "faseg:tau=0;flip=False,faseg:flip=False,faseg:tau=0,faseg"',
    "ablation": f'{HELD_OUT} {OWN} --method "faseg,faseg:dual=False,faseg:alone=True,faseg:sample=True,faseg:levels=(1,0,0,0),'
                'faseg:levels=(0,1,0,0),faseg:levels=(0,0,1,0),faseg:levels=(0,0,0,1),faseg:cross=(1,0,0,0),faseg:cross=(0,1,0,0),'
                'faseg:cross=(0,0,1,0),faseg:cross=(0,0,0,1),faseg:cross=(.15,.7,.15,0);levels=(.1,.1,.5,.3);tau=2"',
    "captions": f"{HELD_OUT} --captions {RUNS}/captions.json --method faseg,faseg:dual=False",
    "tau": f"{HELD_OUT} {OWN} --sweep tau=1:4:1",
    "timestep": f'{HELD_OUT} {OWN} --method "' + ",".join(f"faseg:timestep={t}" for t in (1, 5, 10, 20, 50, 100, 200, 400, 600)) + '"',
    "inversion": f'--seeds 1000:1060 --shuffle-classes 0 --method "faseg:noise=False;steps=1;timestep=1,' + ",".join(
        f"faseg:noise=False;timestep=50;steps={n}" for n in (0, 1, 2, 5, 10, 50)) + '"',
    "onecall": f'{HELD_OUT} {OWN} --method "faseg:noise=False;timestep=1;steps=1,faseg:noise=False;timestep=1;steps=0"',
    "threshold": f"{HELD_OUT} --method faseg,diffsegmenter,iseg,datasetdiffusion --sweep threshold=0.1:0.9:0.1",
    **{f"order-{s}": f"--seeds 1000:1100 --shuffle-classes {s} --method faseg,iseg,datasetdiffusion" for s in range(1, 5)},
    **{f"distractors-{n}": f"--seeds 1000:1060 --shuffle-classes 0 --method faseg,diffsegmenter,datasetdiffusion,leaveout --candidates {how}"
       for n, how in (("0", "gt"), ("2", "gt+2"), ("5", "gt+5"), ("all", "all"))},
    **{f"spread-{a}": f"--seeds {a}:{a + 100} --shuffle-classes 0 --method faseg,iseg,datasetdiffusion,leaveout" for a in range(2000, 2400, 100)},
}


def write_captions():
    """The painter's own captions, for the experiment that has some."""
    RUNS.mkdir(parents=True, exist_ok=True)
    (RUNS / "captions.json").write_text(json.dumps({str(seed): paint(seed, 128).caption for seed in range(1000, 1200)}, indent=1))


def command(name):
    return f"cartoon --weights cartoon {EXPERIMENTS[name]}"


def measure(name):
    """The report of one experiment, as `python -m minifaseg.evaluate cartoon ...` writes it."""
    folder = RUNS / name
    made = folder / "made_from.txt"                # written last: tells that the table is finished
    weights = weights_digest(minifaseg.load("cartoon"))
    origin = digest(command(name), code_digest(), weights, file_digest(RUNS / "captions.json"))
    if not made.exists() or made.read_text() != origin:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run(parser().parse_args([*shlex.split(command(name)), "--out", str(folder)]))
        made.write_text(origin)
    return json.loads((folder / "table.json").read_text())


def rows(report):
    """One line per row: mIoU, things, pixel accuracy, threshold."""
    lines = ["| row | mIoU | things | pixel accuracy | threshold |", "|---|---|---|---|---|"]
    for name, m in report["methods"].items():
        lines.append(f"| `{name}` | {m['miou']:.3f} | {m['things']:.3f} | {m['pixel_accuracy']:.3f} | {m['numbers']['threshold']:.2f} |")
    return lines


def side_by_side(reports, titles, alike):
    """mIoU of each row in several experiments; if they are alike but for chance, also the mean and the distance from lowest to highest."""
    titles = [*titles, *(["mean", "spread"] if alike else [])]
    lines = [f"| row | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name in reports[0]["methods"]:
        values = [r["methods"][name]["miou"] for r in reports]
        values += [np.mean(values), max(values) - min(values)] if alike else []
        lines.append(f"| `{name}` | {' | '.join(f'{v:.3f}' for v in values)} |")
    return lines


def table(name, measured):
    """Markdown of the experiment `name`, or of the group `name-...`."""
    group = [e for e in EXPERIMENTS if e.rpartition("-")[0] == name]
    said = command((group or [name])[0]) + (f"   # and so on: {', '.join(group)}" if group else "")
    lines = side_by_side([measured[e] for e in group], [e.rpartition("-")[2] for e in group], name != "distractors") if group else rows(measured[name])
    return "\n".join(["```sh", f"python -m minifaseg.evaluate {said}", "```", "", *lines])


def curves(report, field, file):
    """mIoU over a number that is the last of each row's name: one curve per method -> figures/`file`."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes, lines = figure.subplots(), {}
    for row, m in report["methods"].items():
        lines.setdefault(row.partition(":")[0], []).append((float(row.rpartition("=")[2]), m["miou"]))
    for (method, points), marker in zip(lines.items(), "os^vDPX"):
        axes.plot(*zip(*points), marker=marker, markersize=5, label=method)
    axes.set(xlabel=field, ylabel="mIoU", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) > 1:
        axes.legend(frameon=False)
    figure.savefig(HERE / "figures" / file, dpi=110)


def gallery(file, seeds=range(1000, 1004), side=150):
    """The first held-out scenes, one per line: the picture, its truth, and the mask of every method -> figures/`file`."""
    model, methods = minifaseg.load("cartoon"), split(METHODS)
    page = Image.new("RGB", ((side + 8) * (2 + len(methods)), (side + 8) * len(seeds) + 24), "white")
    for x, title in enumerate(("picture", "truth", *methods)):
        ImageDraw.Draw(page).text((x * (side + 8) + side / 2, 12), title, (30, 30, 34), ImageFont.load_default(14), anchor="mm")
    for y, seed in enumerate(seeds):
        scene = paint(seed, model.side)
        own = np.zeros(256, np.uint8)
        own[[CLASSES.index(c) + 1 for c in scene.classes]] = range(1, len(scene.classes) + 1)
        masks = [own[scene.labels], *(minifaseg.segment(scene.image, scene.classes, model, method=m).labels for m in methods)]
        pictures = [paint(seed, 2 * side).image, *(mask_image(m).convert("RGB") for m in masks)]
        for x, picture in enumerate(pictures):
            page.paste(picture.resize((side, side), Image.LANCZOS if x == 0 else Image.NEAREST), (x * (side + 8), 24 + y * (side + 8)))
    page.save(HERE / "figures" / file)


def bench():
    """The tables of `python -m minifaseg.bench`, each below the page's own headings; its plot -> figures/results-bench.png."""
    subprocess.run([sys.executable, "-m", "minifaseg.bench"], check=True, stdout=subprocess.DEVNULL)
    shutil.copy("runs/bench/plot.png", HERE / "figures/results-bench.png")
    return "```sh\npython -m minifaseg.bench\n```\n\n" + Path("runs/bench/report.md").read_text(encoding="utf-8").rstrip()


def main(only):
    text = (HERE / "results.md").read_text(encoding="utf-8")
    asked = [e for e in EXPERIMENTS if not only or {e, e.rpartition("-")[0]} & only]
    write_captions()
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        measured = {}
        for name, report in zip(asked, pool.map(measure, asked)):
            measured[name] = report
            print(name, "measured", flush=True)
    for name in re.findall(r"<!-- (\w+) -->", text):
        if not only or name in only:
            new = bench() if name == "bench" else table(name, measured)
            text = re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _: f"<!-- {name} -->\n{new}\n<!-- /{name} -->", text, flags=re.S)
    (HERE / "results.md").write_text(text, encoding="utf-8")
    for name, number in (("timestep", "timestep t"), ("threshold", "threshold")):
        if name in measured:
            curves(measured[name], number, f"results-{name}.png")
    if "methods" in measured:
        gallery("results-methods.png")


if __name__ == "__main__":
    main(set(sys.argv[1:]))
