"""The methods by name, and their hyperparameters: by default, by a model's file, or as given.

On a command line hyperparameters are written after the method's name:

    faseg:tau=0                             one is changed
    "faseg:levels=(0,0,0,1);flip=False"     several are changed
    "wordings:wordings=('{}','red {}')"     texts are hyperparameters, too
    "iseg,faseg:tau=0"                      several methods (split_specs)
"""
import ast
import re
from dataclasses import fields
from importlib import import_module
from numbers import Integral, Real
from typing import Any

from .errors import InputError

# name -> (module, its dataclass of hyperparameters, with capture(), scores() and upsampling())
METHODS = {"faseg": ("minifaseg.faseg", "FASeg"),
           "diffsegmenter": ("minifaseg.rivals.diffsegmenter", "DiffSegmenter"),
           "iseg": ("minifaseg.rivals.iseg", "ISeg"),
           "invseg": ("minifaseg.rivals.invseg", "InvSeg"),
           "datasetdiffusion": ("minifaseg.rivals.datasetdiffusion", "DatasetDiffusion"),
           "diffseg": ("minifaseg.rivals.diffseg", "DiffSeg"),
           "goca": ("minifaseg.rivals.goca", "GoCA"),
           "wordings": ("minifaseg.wordings", "Wordings"),
           "leaveout": ("minifaseg.leaveout", "LeaveOut")}
UNSUPERVISED = ("diffseg", "iseg")                         # these also run without classes


def split_specs(text: str) -> list[str]:
    """"iseg,faseg:levels=(0,1)" -> the methods, split at the commas that are outside brackets."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", text) if part.strip()]


def parse_method(spec: str) -> tuple[str, dict[str, Any]]:
    """"faseg:tau=0;flip=False" -> ("faseg", {"tau": 0, "flip": False}).

    Raises InputError for a name that is not in METHODS, and for what is not written as name=value.
    The hyperparameters themselves are checked by `make_method`.
    """
    name, _, changes = spec.partition(":")
    name = name.strip()
    check_name(name)

    hyperparameters = {}
    for change in changes.split(";"):
        if not change.strip():
            continue
        field, equals, value = change.partition("=")
        if not equals:
            raise InputError(f"method {spec!r}: write numbers as name=value, several with ; "
                             "between, such as faseg:tau=1;flip=False")
        hyperparameters[field.strip()] = parse_value(value.strip())
    return name, hyperparameters


def parse_value(text: str) -> Any:
    """A number, True, False, or several in brackets, as in Python; anything else is text."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text                                      # these are all that literal_eval raises
    return text if value is None else value              # None would mean: not given


def check_name(name: str) -> None:
    """Raises InputError for a name that is not in METHODS."""
    if name not in METHODS:
        raise InputError(f"no method {name!r}; there is: {', '.join(METHODS)}")


def make_method(name: str = "faseg", model: Any = None, /, **hyperparameters: Any) -> Any:
    """A method: its own defaults, then what the model's file recommends, then `hyperparameters`.

    model: a Model (model.py), or None. A hyperparameter that is None counts as not given. Raises
    InputError for a hyperparameter that the method does not have, and for a value of another kind
    than its default's.
    """
    check_name(name)
    module, class_name = METHODS[name]
    cls = getattr(import_module(module), class_name)
    defaults = {f.name: f.default for f in fields(cls)}

    given = {key: value for key, value in hyperparameters.items() if value is not None}
    recommended = model.notes.get(name, {}) if model else {}
    source = f"{model.source} recommends" if model else ""
    if not isinstance(recommended, dict):
        raise InputError(f"{source} for {name} {str(recommended)[:40]!r}, "
                         "not numbers and their names; download it again")

    chosen = {}
    for key, value in (recommended | given).items():
        who = name if key in given else f"{source}: {name}"
        if key not in defaults:
            raise InputError(f"{who} has no number called {key}; it has: {', '.join(defaults)}")
        if not _same_kind(value, defaults[key]):
            raise InputError(f"{who} with {key} {str(value)[:40]!r}; "
                             f"it must be like {defaults[key]!r}")
        chosen[key] = tuple(value) if isinstance(value, list) else value    # JSON has no tuples
    return cls(**chosen)


def _same_kind(value: Any, default: Any) -> bool:
    """Whether both are true or false, texts, whole numbers, numbers, several texts or numbers."""
    if isinstance(default, tuple):
        element = "" if default and isinstance(default[0], str) else 0.0
        return isinstance(value, (list, tuple)) and all(_same_kind(v, element) for v in value)
    if isinstance(default, (bool, str)) or isinstance(value, bool):
        return type(value) is type(default)
    number = Integral if isinstance(default, int) else Real
    return isinstance(value, number) and abs(value) < 2 ** 63  # type: ignore[operator]
