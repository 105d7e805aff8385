"""What results.md measures: each experiment is one command of the bench, shown above its table."""
import shlex

import minifaseg
from minifaseg.evaluate.command import parser
from minifaseg.methods import split_specs

RUNS = "runs/results"
HELD_OUT = "--seeds 1000:1200 --shuffle-classes 0"
FIRST_60 = "--seeds 1000:1060 --shuffle-classes 0"
THRESHOLDS = "--thresholds 5000:5060"         # each row's best threshold, from scenes of no table
SLOW = ("invseg", "leaveout")                             # ten times as slow as the others
EVERY = ",".join(minifaseg.METHODS)
ORDERS = (1, 2, 3, 4)
FOUR = "faseg,iseg,datasetdiffusion,wordings"
QUICK = ",".join(m for m in minifaseg.METHODS if m not in SLOW)
MARGINS = [m for m in minifaseg.METHODS if hasattr(minifaseg.make_method(m), "MARGINS")]
FROM_0_TO_1 = ",".join(m for m in minifaseg.METHODS if m not in (*SLOW, *MARGINS))


def levels(field):
    """FA-Seg with one level of a field at a time, then with all levels alike."""
    weights = ["(1,0,0,0)", "(0,1,0,0)", "(0,0,1,0)", "(0,0,0,1)", "(0.25,0.25,0.25,0.25)"]
    return [f"faseg:{field}={value}" for value in weights]


STEPS = ["faseg:tau=0;flip=False", "faseg:flip=False", "faseg:tau=0", "faseg"]
PARTS = ["faseg", "faseg:dual=False", "faseg:alone=True", "faseg:sample=True",
         "faseg:levels=(0,0,.5,.5)", *levels("levels"), *levels("cross"),
         "faseg:cross=(.15,.7,.15,0);levels=(.1,.1,.5,.3);tau=2"]
TIMESTEPS = [f"faseg:timestep={t}" for t in (1, 5, 10, 20, 50, 100, 200, 400, 600)]
ONE_CALL = [f"faseg:noise=False;timestep=1;steps={n}" for n in (1, 0)]
TWINS = [*split_specs(QUICK), "faseg:tau=0", "faseg:alone=True"]
SOFT = ["faseg", "wordings", "leaveout", *(f"leaveout:softness={w}" for w in (.2, .1, .05, .02))]
ONE_STEP = "noise=False;timestep=50;steps=1"
ONE_STEP_EACH = [spec for m in ("faseg", "wordings") for spec in (m, f"{m}:{ONE_STEP}")]
INVERTED = ["faseg", "faseg:noise=False;steps=1;timestep=1",
            *(f"faseg:noise=False;timestep=50;steps={n}" for n in (0, 1, 2, 5, 10, 50))]

EXPERIMENTS = {
    "methods": f"{HELD_OUT} --method {EVERY},iseg:inner=True,goca:normalise=False",
    "absent2": f"{HELD_OUT} --method {EVERY} --candidates gt+2",
    "absent5": f"{FIRST_60} --method {QUICK},leaveout --candidates gt+5",
    "allnames": f"{FIRST_60} --method {QUICK},leaveout --candidates all",
    "segments": f"{HELD_OUT} --unsupervised --method diffseg,iseg:merge_tau=0.1",
    "invseg": f"{FIRST_60} {THRESHOLDS} "
              "--method invseg:steps=0,invseg,invseg:repel=0.0,invseg:entropy=0.0",
    "steps": f'{HELD_OUT} {THRESHOLDS} --method "{",".join(STEPS)}"',
    "ablation": f'{HELD_OUT} {THRESHOLDS} --method "{",".join(PARTS)}"',
    "captions": f"{HELD_OUT} {THRESHOLDS} --captions {RUNS}/captions.json "
                "--method faseg,faseg:dual=False",
    "tau": f"{HELD_OUT} {THRESHOLDS} --sweep tau=1:4:1",
    "timestep": f'{HELD_OUT} {THRESHOLDS} --method "{",".join(TIMESTEPS)}"',
    "inversion": f'{FIRST_60} {THRESHOLDS} --method "{",".join(INVERTED)}"',
    "onestep": f'{HELD_OUT} {THRESHOLDS} --method "{",".join(ONE_STEP_EACH)}"',
    "onecall": f'{HELD_OUT} {THRESHOLDS} --method "{",".join(ONE_CALL)}"',
    "threshold": f"{HELD_OUT} --method {FROM_0_TO_1} --sweep threshold=0.1:0.9:0.1",
    **{f"order-{s}": f"--seeds 1000:1100 --shuffle-classes {s} --method {FOUR}" for s in ORDERS},
    "soft0": f"{FIRST_60} --method {','.join(SOFT)}",
    "soft2": f"{FIRST_60} --method {','.join(SOFT)} --candidates gt+2",
    "twins": f'{FIRST_60} {THRESHOLDS} --method "{",".join(TWINS)}"',
    "spread": f"--seeds 2000:2400 --shuffle-classes 0 --method {FOUR},leaveout",
}
DATA = {"twins": "cartoon-twins"}                         # the others: cartoon
# Tables that stand several experiments side by side: {title of the column: experiment}.
SIDE_BY_SIDE = {
    "distractors": {"0": "methods", "2": "absent2", "5": "absent5", "all": "allnames"},
    "softness": {"exact names": "soft0", "two absent": "soft2"},
    "order": {str(s): f"order-{s}" for s in ORDERS},
}
# No table of their own: a plot shows them, or a table that stands several side by side.
WITHOUT_TABLE = {"threshold", "absent5", "soft0", "soft2", *SIDE_BY_SIDE["order"].values()}
TABLES = [*(e for e in EXPERIMENTS if e not in WITHOUT_TABLE), *SIDE_BY_SIDE]
PLOTS = {"timestep": "timestep t", "threshold": "threshold"}   # experiment: what its curve is over

# A network of the same size, trained on labels: python tutorial/yardstick.py --pictures 20000
YARDSTICK = {"a network trained on labels, told the classes": {"miou": 0.907, "things": 0.858},
             "a network trained on labels, not told": {"miou": 0.903, "things": 0.850}}


def command(name):
    """The arguments of an experiment for python -m minifaseg.evaluate."""
    return f"{DATA.get(name, 'cartoon')} --weights cartoon {EXPERIMENTS[name]}"


def needed(table):
    """The experiments that a table or a plot shows."""
    return list(SIDE_BY_SIDE[table].values()) if table in SIDE_BY_SIDE else [table]


def arguments(name):
    """The same as the bench reads them."""
    return parser().parse_args(shlex.split(command(name)))


def methods_of(name):
    """The methods whose hyperparameters an experiment depends on."""
    return {spec.partition(":")[0] for spec in split_specs(arguments(name).method)}
