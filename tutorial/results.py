"""Measures everything in results.md and writes it anew: python tutorial/results.py

Each experiment is one command of the bench, shown above its table. Results are kept under runs/results picture by picture, so that a
stopped run goes on where it was. About an hour and a half on two CPU cores.
"""
import contextlib
import io
import json
import shlex
import sys
from pathlib import Path

from matplotlib.figure import Figure

from minifaseg.evaluate.command import parser, run

HERE, RUNS = Path(__file__).parent, Path("runs/results")
HELD_OUT = "--seeds 1000:1200 --shuffle-classes 0"
OWN = "--thresholds 5000:5060"                            # every row with its own best threshold, found on scenes that no table uses
METHODS = "faseg,diffsegmenter,iseg,invseg,datasetdiffusion,diffseg"
BASE = "faseg:alone=False"

EXPERIMENTS = {
    "methods": f"{HELD_OUT} --method {METHODS}",
    "segments": f"{HELD_OUT} --unsupervised --method diffseg,iseg",
    "steps": f'{HELD_OUT} {OWN} --method "faseg:tau=0;flip=False,faseg:flip=False,faseg:tau=0,faseg"',
    "ablation": f'{HELD_OUT} {OWN} --method "faseg,faseg:dual=False,faseg:alone=True,faseg:levels=(1,0,0,0),faseg:levels=(0,1,0,0),'
                'faseg:levels=(0,0,1,0),faseg:levels=(0,0,0,1),faseg:cross=(1,0,0,0),faseg:cross=(0,1,0,0),faseg:cross=(0,0,1,0),faseg:cross=(0,0,0,1),'
                'faseg:sample=True,faseg:cross=(.15,.7,.15,0);levels=(.1,.1,.5,.3);tau=2"',
    "tau": f"{HELD_OUT} {OWN} --sweep tau=1:4:1",
    "timestep": f'{HELD_OUT} {OWN} --method "faseg:timestep=1,faseg:timestep=5,faseg:timestep=10,faseg:timestep=20,faseg:timestep=50,'
                'faseg:timestep=100,faseg:timestep=200,faseg:timestep=400,faseg:timestep=600"',
    "inversion": f'{HELD_OUT} {OWN} --method "faseg:noise=False;steps=1;timestep=1,' + ",".join(
        f"faseg:noise=False;timestep=50;steps={n}" for n in (0, 1, 2, 5, 10, 25, 50)) + '"',
    "threshold": f"{HELD_OUT} --method {METHODS} --sweep threshold=0.1:0.9:0.1",
    **{f"order-{s}": f'--seeds 1000:1200 --shuffle-classes {s} --method "faseg,faseg:alone=True,iseg"' for s in range(1, 6)},
    **{f"distractors-{n}": f"{HELD_OUT} --method faseg,diffsegmenter,invseg,datasetdiffusion --candidates {how}"
       for n, how in (("0", "gt"), ("2", "gt+2"), ("5", "gt+5"), ("all", "all"))},
    **{f"spread-{a}": f"--seeds {a}:{a + 200} --shuffle-classes 0 --method faseg,iseg,diffsegmenter" for a in (2000, 2200, 2400, 2600)},
}


def measure(name):
    """The report of one experiment, as `python -m minifaseg.evaluate cartoon ...` writes it."""
    folder = RUNS / name
    command = f"cartoon --weights cartoon {EXPERIMENTS[name]}"
    if not (folder / "table.json").exists() or json.loads((folder / "command.json").read_text()) != command:
        with contextlib.redirect_stdout(io.StringIO()):
            run(parser().parse_args([*shlex.split(command), "--out", str(folder)]))
        (folder / "command.json").write_text(json.dumps(command))
    return command, json.loads((folder / "table.json").read_text())


def main():
    for name in sys.argv[1:] or EXPERIMENTS:
        command, report = measure(name)
        print(f"\n{name}: python -m minifaseg.evaluate {command}", flush=True)
        for row, m in report["methods"].items():
            print(f"    {row:60s} {m['miou']:.3f}  {m['pixel_accuracy']:.3f}", flush=True)


if __name__ == "__main__":
    main()
