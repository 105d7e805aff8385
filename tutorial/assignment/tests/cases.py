"""Cases of the exercises: arguments, and what is right for them, kept in arrays.npz.

In the file, the tensors of all cases lie one by one, and beside them a text that says how they are
put together to arguments and results.
"""
import inspect
import json
import pkgutil
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

FILE = Path(__file__).with_name("arrays.npz")


@dataclass(frozen=True)
class Case:
    """One call of the function of an exercise."""
    number: str
    name: str
    arguments: dict         # as `pack` makes it
    expected: dict
    refused: list           # functions that do what the exercise asks for: "minifaseg.hard:minmax"

    def run(self, function) -> None:
        """Calls the function, and fails if its result is not right or an argument has changed."""
        arguments, untouched = unpack(self.arguments), unpack(self.arguments)
        with refusing(self.refused):
            got = function(*arguments)
        wrong = difference(got, unpack(self.expected))
        if wrong is None and difference(arguments, untouched):
            wrong = "an argument has changed; make new tensors"
        if wrong:
            fail(f"{self.number}, {self.name}: {wrong}")


@contextmanager
def refusing(names):
    """Inside it, these functions raise: they are to be written, not called."""
    functions = [inspect.unwrap(pkgutil.resolve_name(name)) for name in names]
    own = [function.__code__ for function in functions]
    try:
        for function, name in zip(functions, names):
            function.__code__ = refusal(name)
        yield
    finally:
        for function, code in zip(functions, own):
            function.__code__ = code


def by_oneself(number: str):
    """Inside it, functions of the package that do what this exercise asks for raise."""
    return refusing(structure()[number]["refused"])


def refusal(name: str):
    """Code of a function that raises."""
    scope: dict = {}
    exec(f"def f(*args, **kwargs): raise AssertionError('write it yourself: {name}')", scope)
    return scope["f"].__code__


def fail(message: str) -> None:
    pytest.fail(message, pytrace=False)


def difference(got, want) -> str | None:
    """None if `got` is as it should be, else what is not, in a few words."""
    if isinstance(want, (torch.Tensor, np.ndarray)):
        return array_difference(got, want)
    if isinstance(want, (list, tuple)):
        if not isinstance(got, type(want) if isinstance(want, list) else (list, tuple)):
            return f"a {type(want).__name__} is asked for, not {type(got).__name__}"
        if len(got) != len(want):
            return f"{len(want)} values are asked for, not {len(got)}"
        found = (difference(g, w) for g, w in zip(got, want))
        return next((wrong for wrong in found if wrong), None)
    if isinstance(want, float):
        return number_difference(got, want)
    if want is None or isinstance(want, (bool, str)):
        return None if got is want or got == want else f"{want} is right, not {got}"[:80]
    if isinstance(want, int):
        same = got == want and not isinstance(got, (bool, float))
        return None if same else "a whole number is wrong"
    return None if got == want else "not equal"


def array_difference(got, want, tolerance: float = 1e-4) -> str | None:
    kind = type(want)
    if not isinstance(got, kind):
        return f"a {kind.__name__} is asked for, not {type(got).__name__}"
    if got.shape != want.shape:
        return f"the shape is {tuple(got.shape)}, and should be {tuple(want.shape)}"
    got, want = torch.as_tensor(got).detach(), torch.as_tensor(want)
    if not want.is_floating_point():
        bools = torch.bool in (got.dtype, want.dtype) and got.dtype != want.dtype
        whole = not got.is_floating_point() and not bools
        if not whole or (kind is np.ndarray and got.dtype != want.dtype):
            return f"the values have the type {got.dtype}, and should have {want.dtype}"
        wrong = int((got != want).sum())
        return f"{wrong} of {want.numel()} values are wrong" if wrong else None
    if not got.isfinite().all():
        return "values are NaN or infinite"
    largest = (got.double() - want.double()).abs().max().item() if want.numel() else 0
    limit = tolerance * max(1, want.abs().max().item() if want.numel() else 1)
    return f"the values differ, by up to {largest:.2g}" if largest > limit else None


def number_difference(got, want: float, tolerance: float = 2e-5) -> str | None:
    if not isinstance(got, (int, float)):
        return f"a number is asked for, not {type(got).__name__}"
    off = abs(got - want)
    return None if off <= tolerance * max(1, abs(want)) else f"the number is off by {off:.2g}"


# The file


def pack(value, name: str, arrays: dict):
    """What JSON can hold; tensors and arrays go into `arrays`, their names begin with `name`."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        array = np.asarray(value.detach() if isinstance(value, torch.Tensor) else value)
        same = (n for n, a in arrays.items() if a.dtype == array.dtype and np.array_equal(a, array))
        name = next(same, name)                                # kept once
        arrays[name] = array
        return {"tensor" if isinstance(value, torch.Tensor) else "array": name}
    if isinstance(value, (list, tuple)):
        inside = [pack(v, f"{name}.{i}", arrays) for i, v in enumerate(value)]
        return {type(value).__name__: inside}
    if isinstance(value, dict):
        return {"dict": list(value.items())}
    return value


def unpack(packed):
    """New tensors each time: what a function writes into them harms nobody."""
    if not isinstance(packed, dict):
        return packed
    (kind, value), = packed.items()
    if kind == "tensor":
        return torch.from_numpy(arrays()[value].copy())
    if kind == "array":
        return arrays()[value].copy()
    if kind == "dict":
        return dict(value)
    return {"list": list, "tuple": tuple}[kind](unpack(v) for v in value)


@cache
def arrays() -> dict:
    with np.load(FILE) as file:
        return dict(file)


@cache
def structure() -> dict:
    """{exercise: {"refused": [...], "cases": {name: {"arguments": ..., "expected": ...}}}}"""
    return json.loads(str(arrays()["structure"]))


def cases_of(number: str) -> list[Case]:
    found = structure()[number]
    return [Case(number, name, case["arguments"], case["expected"], found["refused"])
            for name, case in found["cases"].items()]
