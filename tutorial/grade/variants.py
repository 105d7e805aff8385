"""Variants of the course, since the solutions of the original exercises are public.

    python tutorial/make_student.py OUT --variant 7
    python -m pytest tutorial/grade --notebook PATH/05_hard.ipynb --variant 7

A number chooses for each exercise of alternatives.py one of its alternatives, never the original.
The students' notebooks say it in text, docstrings and visible tests; the grader calls the
student's function through an adapter (changes.py).
"""
import copy
import hashlib
import re

from .alternatives import VARIABLE
from .changes import Change, pattern, reordered, replaced

KEY = "minifaseg_variant"             # in a notebook's metadata


def choice(exercise: str, variant: int) -> int:
    """Which alternative of an exercise "5.2" a variant has, counted from 0."""
    digest = hashlib.sha256(f"variant {variant}, exercise {exercise}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % len(VARIABLE[exercise].alternatives())


def changes_of(exercise: str, variant: int | None) -> list[Change]:
    """What a variant changes in an exercise: nothing in the original and in some exercises."""
    if variant is None or exercise not in VARIABLE:
        return []
    return VARIABLE[exercise].alternatives()[choice(exercise, variant)]


def changed(notebook: dict, variant: int) -> dict:
    """A notebook of the lecturer's, as read from its JSON, with the exercises of a variant.

    Solutions are changed with the rest, and the hidden tests are told the number.
    """
    notebook = copy.deepcopy(notebook)
    notebook["metadata"][KEY] = variant
    for number in VARIABLE:
        if cells_of(notebook, number):
            change_exercise(notebook, number, changes_of(number, variant))
            tell_hidden_test(notebook, number, variant)
    return notebook


def change_exercise(notebook: dict, number: str, changes: list[Change]) -> None:
    """Changes an exercise's cells in place. ValueError if a text is not found."""
    cells = cells_of(notebook, number)
    for change in changes:
        before = "\n".join("".join(cell["source"]) for cell in cells)
        for old in change.text:
            if not re.search(pattern(old), before):
                raise ValueError(f"exercise {number}: its cells do not say {old!r} any more")
        for cell in cells:
            write(cell, replaced("".join(cell["source"]), change.text))
    for change in changes:
        for cell in cells:
            if change.order and cell["cell_type"] == "code":
                write(cell, reordered("".join(cell["source"]), VARIABLE[number], change.order))


def cells_of(notebook: dict, number: str) -> list[dict]:
    """Markdown, solution and tests of an exercise."""
    name = number.replace(".", "-")
    return [cell for cell in notebook["cells"]
            if f"### Exercise {number} ·" in "".join(cell["source"])
            or cell["metadata"].get("nbgrader", {}).get("grade_id") in (f"ex-{name}", f"test-{name}")]


def tell_hidden_test(notebook: dict, number: str, variant: int) -> None:
    old = f'hidden("{number}", globals())'
    for cell in cells_of(notebook, number):
        source = "".join(cell["source"])
        write(cell, source.replace(old, f'hidden("{number}", globals(), variant={variant})'))


def write(cell: dict, source: str) -> None:
    cell["source"] = source.splitlines(keepends=True)


def mismatch(notebook: dict, variant: int | None) -> str | None:
    """None, or why a notebook should not be graded as this variant."""
    made = notebook.get("metadata", {}).get(KEY)
    if made is None or made == variant:
        return None
    asked = "the original" if variant is None else f"variant {variant}"
    return f"was made as variant {made} and would be graded as {asked}; grade it with --variant {made}"
