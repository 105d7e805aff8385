"""What the search of tune.py may choose: about six values of everything, for every method.

A value is one hyperparameter of a method, or several that only make sense together, by name. The
search starts at the first value of each. A method takes every value of COMMON for which it has a
hyperparameter, so a new method needs an entry in SPECIFIC only for those of its own.
"""
from dataclasses import fields
from importlib import import_module
from typing import Any

from ..methods import METHODS, make_method
from ..wordings import COLOURS

# Not searched: the cartoon model knows no word "photograph", and its VAE's mean serves as well
# as a sample. GoCA's weights as released drown this model's words in its coarsest level.
FIXED = {"sample": False, "template": "a picture of {}", "normalise": True}

Hyperparameters = dict[str, Any]

TIMES = (10, 5, 20, 50, 100, 200)
NOISED = [{"timestep": t, "noise": True, "steps": 0} for t in TIMES]
CLEAN = [{"timestep": t, "noise": False, "steps": 0} for t in (20, 50)]
COMMON: dict[str, list] = {
    "latent": [*NOISED, *CLEAN],                        # the timestep, and a noised or clean latent
    "timestep": [*TIMES],
    "timesteps": [(10,), (5,), (20,), (50,), (100,), (10, 20, 50, 100)],
    "cross": [(0, 0, 1, 0), (0, 0, .8, .2), (0, .1, .7, .2), (0, .2, .8, 0), (0, 0, .6, .4),
              (0, .1, .5, .4), (0, 0, 0, 1), (.15, .7, .15, 0)],
    "levels": [(0, 0, .5, .5), (0, 0, 0, 1), (0, 0, .3, .7), (0, 0, .7, .3), (0, 0, 1, 0),
               (0, .1, .5, .4), (.1, .1, .5, .3)],
    "tau": [1, 0, 2, 3, 4, 6],
}
# Beside the plain name, in words that the cartoon model knows.
SENTENCES = ("a {}", "the {}", "a photo of a {}", "a picture of the {}")
WORDINGS = [COLOURS, COLOURS[:5], SENTENCES, (*COLOURS, *SENTENCES), (*COLOURS, "{}"),
            tuple(f"a {colour}" for colour in COLOURS)]
SPECIFIC: dict[str, dict[str, list]] = {
    "wordings": {"wordings": WORDINGS, "share": [.5, 1.0, .75, .6, .4, .25]},
    "leaveout": {"wordings": [COLOURS, COLOURS[:5], ("{}",)],
                 "softness": [.05, .01, .02, .1, .2, .5],
                 "times": [(100, 200, 300), (50, 100, 200), (200,), (400,), (200, 300, 400),
                           (300, 500, 700)]},
    "diffsegmenter": {"weight": [1.21, 1.0, 1.1, 1.5, 2.0, 3.0]},
    "iseg": {"inner": [False, True], "iterations": [1, 2, 3, 4, 6, 8],
             "lam": [.002, .0005, .015, .05, .1, .2],
             "layers": [(), (-1,), (-2,), (-3,)], "gamma": [1.0, 1.15, 1.3, 1.6, 2.0, 2.5]},
    "invseg": {"rate": [.02, .002, .005, .01, .05, .1], "beta": [8.0, 1.0, 2.0, 4.0, 16.0, 32.0],
               "entropy": [.5, 0.0, .25, 1.0, 2.0, 4.0], "repel": [1.0, 0.0, .25, .5, 2.0, 4.0]},
    "datasetdiffusion": {"level": [3, 2, 1], "cross": [2, 1, 3], "tau": [1, 0, 2, 3, 4, 6]},
    "goca": {"blur": [1.1, 0.0, .5, .8, 1.6, 2.4]},
    "diffseg": {"latent": [*({"timestep": t, "noise": True} for t in TIMES),
                           *({"timestep": t, "noise": False} for t in (50, 300))],
                "tau": [(tau, tau, tau) for tau in (.5, .2, .3, .7, .9, 1.1)]},
}


def defaults(name: str) -> Hyperparameters:
    """{hyperparameter: its default} of a method."""
    module, cls = METHODS[name]
    return {field.name: field.default for field in fields(getattr(import_module(module), cls))}


def choices(name: str) -> dict[str, list[Hyperparameters]]:
    """{what is chosen: [{hyperparameter: value, ...}, ...]} of a method, in the order of search."""
    known = set(defaults(name))
    found = {}
    for choice, values in (COMMON | SPECIFIC.get(name, {})).items():
        several = [v if isinstance(v, dict) else {choice: v} for v in values]
        if set(several[0]) <= known:
            found[choice] = several
    if "latent" in found:                               # it sets the timestep, too
        found.pop("timestep", None)
    return found


def start(name: str) -> Hyperparameters:
    """The hyperparameters at which the search starts; raises InputError if a value does not fit."""
    known = defaults(name)
    first = {key: value for key, value in FIXED.items() if key in known}
    for values in choices(name).values():
        first |= values[0]
    make_method(name, **first)
    return first
