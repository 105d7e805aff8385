"""Hidden tests of the exercises: python -m pytest tutorial/grade --notebook 05, or --notebook path/to/a/student's/05_hard.ipynb;
with --variant 7 if it was made so (variants.py)

One module per notebook, nb05.py, with one function per exercise, check_5_2(student): it calls what the student wrote and asserts, each
time with a message that teaches, and that never holds the expected number or list of a hidden case. Where the package has the very function that is asked for, the check is marked with
`write_it_yourself`. Right solutions, more right ones and wrong ones that must be caught are in tests/answers.
"""
import json
import re
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import unwrap
from pathlib import Path

import torch

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"

# What Python and torch say, and what it means here.
EXPLAINED = {
    "Boolean value of Tensor": "a whole tensor is neither true nor false; to see whether something was given at all, ask `is None`",
    "truth value of an array": "a whole array is neither true nor false; & and | work on masks, `and` and `or` do not",
    "object is not subscriptable": "what stands before the [ ] cannot be indexed",
    "size of tensor": "two tensors do not fit together; print their shapes in a cell of your own",
    "shapes cannot be multiplied": "the inner sides of a product differ; print both shapes in a cell of your own",
    "is invalid for input of size": "a reshape keeps the number of entries; are all of its sizes taken from the arguments?",
    "step must be greater than zero": "tensors know no negative step, [::-1]; flip(-1) reverses the last axis",
    "a leaf Variable": "make a new tensor instead of writing into one that was given",
}


@dataclass(frozen=True)
class Exercise:
    """number: "5.2"; name: the function to write; setup, solution: source of the notebook's imports and of the student's cell; points."""
    number: str
    name: str
    setup: str
    solution: str
    points: int


def exercises(path) -> list[Exercise]:
    """Those of a notebook, in its order: cells that nbgrader knows as solutions "ex-5-2", and as tests "test-5-2"."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    text = lambda cell: "".join(cell["source"])
    setup = "\n".join(text(c) for c in cells if "setup" in c["metadata"].get("tags", []))
    meta = {c["metadata"]["nbgrader"]["grade_id"]: (c["metadata"]["nbgrader"], text(c)) for c in cells if "nbgrader" in c["metadata"]}
    found = []
    for id, (_, solution) in meta.items():
        if match := re.fullmatch(r"ex-(\d+)-(\d+)", id):
            points = meta.get(id.replace("ex-", "test-"), ({}, ""))[0].get("points", 1)
            name = re.search(r"^(?:def|class) (\w+)", solution, re.M)
            found.append(Exercise(f"{match[1]}.{match[2]}", name[1] if name else "?", setup, solution, points))
    return found


# ---- the student's code --------------------------------------------------------------------------

def check_of(number):
    """The check of exercise "5.2"."""
    chapter, _, n = number.partition(".")
    return getattr(import_module(f"grade.nb{int(chapter):02}"), f"check_{chapter}_{n}")


def hidden(number, namespace, variant=None):
    """Runs the hidden tests of exercise "5.2" on a notebook's globals(); raises AssertionError with what is wrong.

    variant: number of the variant that the notebook was made as (variants.py).
    """
    from .changes import reworded
    from .variants import VARIABLE, changes_of
    check, changes = check_of(number), changes_of(number, variant)
    torch.manual_seed(0)
    try:
        check(Student(namespace, getattr(check, "refused", ()), VARIABLE.get(number), changes))
    except AssertionError as e:
        said_here = Path(traceback.extract_tb(e.__traceback__)[-1].filename).parent == Path(__file__).parent
        if changes and said_here:
            e.args = (reworded(str(e), changes),)
        raise


class Student:
    """What the student wrote, by name. While it runs, the functions in `refused` cannot be called.

    changes: how the exercise differs from the original `variable` that the hidden tests know.
    """

    def __init__(self, namespace, refused, variable=None, changes=()):
        self._namespace, self._refused = namespace, refused
        self._variable, self._changes = variable, changes

    def __getattr__(self, name):
        from .changes import adapted
        assert name in self._namespace, f"your cell defines no `{name}`; keep the name of the function"
        call = refusing(self._refused, self._namespace[name])
        return adapted(call, self._variable, self._changes) if self._changes and name == self._variable.name else call


def write_it_yourself(*functions):
    """Marks a check: these functions of the package are what its exercise asks for."""
    def mark(check):
        check.refused = functions
        return check
    return mark


def refusing(functions, call):
    """`call`, and while it runs, the functions raise. Their code is exchanged for one that does: every name under which a function is
    known, every import and every bound method leads to the same code. Afterwards they have their own again."""
    def guarded(*args, **kwargs):
        own = [(f, f.__code__) for f in map(unwrap, functions)]             # unwrap: below torch.no_grad()
        try:
            for f, _ in own:
                f.__code__ = refusal(f)
            return call(*args, **kwargs)
        finally:
            for f, code in own:
                f.__code__ = code
    return guarded


def refusal(function):
    """Code that raises, to stand in for the function's own."""
    name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
    scope = {}
    exec(f"def refuse(*args, **kwargs): raise AssertionError('write it yourself: this exercise asks for what {name} does')", scope)
    return scope["refuse"].__code__


def verdict(exercise, variant=None) -> str | None:
    """None if the exercise is right, else one line that says what is not. variant: number of the notebook's variant. Whatever the student's code raises stays in here."""
    namespace = {"__name__": "student"}
    cell = f"exercise {exercise.number}"
    try:
        exec(compile(exercise.setup, f"setup of {cell}", "exec"), namespace)
        exec(compile(exercise.solution, cell, "exec"), namespace)
        hidden(exercise.number, namespace, variant)
    except NotImplementedError:
        return "not done yet"
    except BaseException as e:                            # SystemExit and KeyboardInterrupt, too
        frames = traceback.extract_tb(e.__traceback__)
        if isinstance(e, AssertionError) and frames[-1].filename != cell:
            return one_line(e) or "an assertion fails"
        lines = exercise.solution.splitlines()
        where = next((f" (line {f.lineno} of your cell: {lines[f.lineno - 1].strip()})" for f in reversed(frames) if f.filename == cell), "")
        if isinstance(e, AssertionError):
            return f"an assert of your own fails{where}: {one_line(e)}".rstrip(": ")
        means = next((f": {meaning}" for said, meaning in EXPLAINED.items() if said in str(e)), "")
        return f"your code raised {type(e).__name__}: {one_line(e)}{means}{where}"


def one_line(e):
    return " ".join(str(e).split())[:400]


# ---- for the checks ------------------------------------------------------------------------------

@contextmanager
def meaning(said, why, error=RuntimeError):
    """Inside it, an error of the student's code whose text holds `said` is told as `why`."""
    try:
        yield
    except error as e:
        if said not in str(e):
            raise
        raise AssertionError(f"{why} ({type(e).__name__}: {one_line(e)})") from None


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def is_tensor(got, shape=None):
    """Asserts that a student's result is a tensor, and of this shape."""
    assert got is not None, "nothing is returned; is there a `return` at the end of your function?"
    assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
    assert shape is None or got.shape == torch.Size(shape), f"the shape should be {tuple(shape)}; yours is {tuple(got.shape)}"


def close(got, want, message, tolerance=1e-5, mistakes=None):
    """Asserts that a student's tensor is as it should be: type, shape, finite, then values within `tolerance` of the largest one.

    mistakes: {what to say: the tensor that a known mistake gives}. Only a wrong result is compared with them.
    """
    is_tensor(got)
    limit = tolerance * max(1, want.abs().max().item() if want.numel() else 1)
    same = lambda other: got.shape == other.shape and torch.allclose(got.double(), other.double(), rtol=0, atol=limit, equal_nan=True)
    if same(want) and got.isfinite().all():
        return
    for said, wrong in (mistakes or {}).items():
        assert not same(wrong) or same(want), said
    is_tensor(got, want.shape)
    assert got.isfinite().all(), "your result holds NaN or infinite numbers"
    raise AssertionError(message + apart(got, want))


def apart(got, want):
    """How far apart two tensors are, in one digit; of a single number nothing, as it would tell the expected one."""
    if want.numel() < 2:
        return ""
    difference = (got.double() - want.double()).abs().max().item()
    return f" (largest difference: about {float(f'{difference:.0e}'):g})"


def is_number(got, want, message, mistakes=None, tolerance=1e-6):
    """Asserts that a student's number is as it should be; mistakes: {what to say: the number that a known mistake gives}.

    message: what is wrong, without the number that is expected: a message may show the student's number only.
    """
    if abs(got - want) <= tolerance:
        return
    for said, wrong in (mistakes or {}).items():
        assert abs(got - wrong) > tolerance or abs(wrong - want) <= tolerance, said
    raise AssertionError(message)
