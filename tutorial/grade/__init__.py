"""Hidden tests of the exercises: python -m pytest tutorial/grade --notebook 05, or --notebook path/to/a/student's/05_hard.ipynb

One module per notebook, nb05.py, with one function per exercise, check_5_2(student): it calls what the student wrote and asserts, each
time with a message that teaches. Right solutions, second right ones and wrong ones that must be caught are in tests/answers.
"""
import json
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import torch

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


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


def hidden(number, namespace):
    """Runs the hidden tests of exercise "5.2" on a notebook's globals(); raises AssertionError with what is wrong."""
    chapter, _, n = number.partition(".")
    check = getattr(import_module(f"grade.nb{int(chapter):02}"), f"check_{chapter}_{n}")
    torch.manual_seed(0)
    check(SimpleNamespace(**{k: v for k, v in namespace.items() if not k.startswith("__")}))


def verdict(exercise) -> str | None:
    """None if the exercise is right, else one line that says what is not. Whatever the student's code raises stays in here."""
    namespace = {"__name__": "student"}
    try:
        for what in (exercise.setup, exercise.solution):
            exec(compile(what, f"exercise {exercise.number}", "exec"), namespace)
        hidden(exercise.number, namespace)
    except NotImplementedError:
        return "not done yet"
    except AssertionError as e:
        return one_line(e) or "an assertion fails"
    except BaseException as e:                            # SystemExit and KeyboardInterrupt, too
        return f"your code raised {type(e).__name__}: {one_line(e)}"


def one_line(e):
    return " ".join(str(e).split())[:300]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def close(got, want, message, tolerance=1e-5):
    """Asserts that a student's tensor is as it should be: type, shape, finite, then values within `tolerance` of the largest one."""
    assert isinstance(got, torch.Tensor), f"return a tensor; yours is of type {type(got).__name__}"
    assert got.shape == want.shape, f"the shape should be {tuple(want.shape)}; yours is {tuple(got.shape)}"
    assert got.isfinite().all(), "your result holds NaN or infinite numbers"
    error = (got.double() - want.double()).abs().max().item() if want.numel() else 0
    assert error <= tolerance * max(1, want.abs().max().item() if want.numel() else 1), f"{message} (largest difference: {error:.3g})"
