"""The methods by name, and their numbers: defaults, recommended by a model's file, or asked for.

On a command line numbers are written after the method's name:

    faseg:tau=0                             one number changed
    "faseg:levels=(0,0,0,1);flip=False"     several
    "wordings:wordings=('{}','red {}')"     several texts are numbers, too
"""
import ast
from dataclasses import fields
from importlib import import_module
from numbers import Integral, Real

from .errors import InputError

METHODS = {"faseg": ("minifaseg.faseg", "FASeg"),          # name -> (module, its dataclass of numbers with capture() and scores())
           "diffsegmenter": ("minifaseg.rivals.diffsegmenter", "DiffSegmenter"),
           "iseg": ("minifaseg.rivals.iseg", "ISeg"),
           "invseg": ("minifaseg.rivals.invseg", "InvSeg"),
           "datasetdiffusion": ("minifaseg.rivals.datasetdiffusion", "DatasetDiffusion"),
           "diffseg": ("minifaseg.rivals.diffseg", "DiffSeg"),
           "goca": ("minifaseg.rivals.goca", "GoCA"),
           "wordings": ("minifaseg.wordings", "Wordings"),
           "leaveout": ("minifaseg.leaveout", "LeaveOut")}
UNSUPERVISED = ("diffseg", "iseg")                         # these also run without classes


def parse_method(spec: str) -> tuple[str, dict]:
    """"faseg:tau=0;flip=False" -> ("faseg", {"tau": 0, "flip": False}).

    Raises InputError for a name that is not in METHODS, and for what is not written as name=value;
    make_method checks the numbers themselves.
    """
    name, _, changes = (part.strip() for part in spec.partition(":"))
    check_name(name)
    numbers = {}
    for change in filter(None, changes.split(";")):
        field, equals, value = (part.strip() for part in change.partition("="))
        if not equals:
            raise InputError(f"method {spec!r}: write numbers as name=value, several with ; "
                             "between, such as faseg:tau=1;flip=False")
        numbers[field] = parse_value(value)
    return name, numbers


def parse_value(text: str):
    """A number, True, False, or several in brackets, as in Python; anything else is text."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text                                      # these are all that literal_eval raises
    return text if value is None else value              # None would mean: not given


def check_name(name):
    if name not in METHODS:
        raise InputError(f"no method {name!r}; there is: {', '.join(METHODS)}")


def make_method(name="faseg", model=None, /, **numbers):
    """A method with its numbers: its own defaults, then what the model's file recommends, then
    `numbers` (None = not given)."""
    check_name(name)
    module, cls = METHODS[name]
    cls = getattr(import_module(module), cls)
    recommended, defaults = model.notes.get(name, {}) if model else {}, {f.name: f.default for f in fields(cls)}
    if not isinstance(recommended, dict):
        raise InputError(f"{model.source} recommends for {name} {str(recommended)[:40]!r}, not numbers and their names; download it again")
    chosen = recommended | {k: v for k, v in numbers.items() if v is not None}
    for key, value in chosen.items():
        who = f"{model.source} recommends: " if numbers.get(key) is None else ""
        if key not in defaults:
            raise InputError(f"{who}{name} has no number called {key}; it has: {', '.join(defaults)}")
        if not _alike(value, defaults[key]):
            raise InputError(f"{who}{name} with {key} {str(value)[:40]!r}; it must be like {defaults[key]!r}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items()})          # JSON has no tuples


def _alike(value, default) -> bool:
    """Is `value` of a kind that can stand for `default`: truth, text, whole number, number, several
    texts, or several numbers?"""
    if isinstance(default, tuple):
        kind = "" if isinstance(next(iter(default), None), str) else 0.0
        return isinstance(value, (list, tuple)) and all(_alike(v, kind) for v in value)
    if isinstance(default, (bool, str)) or isinstance(value, bool):
        return type(value) is type(default)
    return isinstance(value, Integral if isinstance(default, int) else Real) and abs(value) < 2 ** 63
