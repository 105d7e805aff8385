"""Writes from the notebooks what is derived in assignment/, the course as a package.

    python tutorial/make_assignment.py              # brings tutorial/assignment up to date
    python tutorial/make_assignment.py OUT/         # a copy to hand out, with tiny.py beside it

Derived are the stubs in segmenter/ (signatures and docstrings of the exercises), tests/adapters.py,
tests/arrays.npz (arguments from assignment_cases.py, and what the solutions make of them), and the
table of points in README.md. The tests themselves are written by hand.
"""
import argparse
import ast
import inspect
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "assignment"
sys.path[:0] = [str(HERE), str(FOLDER / "tests")]

import objects  # noqa: E402  (found by the line above)
from assignment_cases import CASES  # noqa: E402
from cases import pack  # noqa: E402
from grade import check_of, exercises  # noqa: E402
from make_student import number_of, student_code  # noqa: E402

# The module in which the exercises of a notebook are written.
MODULES = {"00": "whole", "01": "latents", "02": "ddim", "03": "attention", "04": "prompts",
           "05": "hard", "06": "flipping", "07": "algorithm", "08": "rivals", "09": "evaluation",
           "10": "training"}
# Exercises whose function is called with something that is no array.
CALLS = {"2.4": objects.call_invert, "2.5": objects.call_training_loss,
         "8.8": objects.call_merge_maps, "8.9": objects.call_inversion_loss,
         "10.1": objects.call_word_gain, "10.2": objects.call_pointing}

GENERAL = {"np", "torch", "F"}                  # imported in a stub wherever its notebook does
HEADING = re.compile(r"^### (Exercise (\d+\.\d+) · .*)$", re.M)
TABLE = re.compile(r"(?<=<!-- points -->\n).*?(?=<!-- end -->)", re.S)
ADAPTERS = '''\
"""The tests call your functions through this file, and through nothing else.

As it is, it calls the package segmenter/. If you write your functions elsewhere, under other names
or with other arguments, change the imports and the bodies here, not the tests.
"""'''


@dataclass(frozen=True)
class Chapter:
    """What the package takes from a notebook. Dicts have the number of an exercise as key."""
    name: str                                   # "05_hard.ipynb"
    title: str                                  # "05 · HARD"
    module: str                                 # "hard"
    exercises: list                             # grade.Exercise
    headings: dict                              # "Exercise 5.2 · Fuse the levels (2 points, easy)"
    stubs: dict                                 # the functions as students get them


def read_chapter(path: Path) -> Chapter:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    title = re.match("# (.*)", texts[0])[1]
    headings = {number: whole for whole, number in HEADING.findall("\n".join(texts))}
    stubs = {number_of(cell): student_code(cell).strip() for cell in cells
             if cell["metadata"].get("nbgrader", {}).get("solution")}
    return Chapter(path.name, title, MODULES[path.name[:2]], exercises(path), headings, stubs)


def read_course() -> list[Chapter]:
    return [read_chapter(path) for path in sorted(HERE.glob("[0-9]*.ipynb"))]


# The modules of the package


def module_text(chapter: Chapter, code: dict, needed: set[str] | None = None) -> str:
    """A module with this code {number: function}, and the imports that are needed, or all."""
    parts = [f'"""{chapter.title}. The lesson is {chapter.name} of the course."""\n'
             + imports_of(chapter.exercises[0].setup, needed)]
    for number, text in code.items():
        where = f"# Formula and hint: {chapter.name}, exercise {number}"
        parts.append(f"# {chapter.headings[number]}\n{where}\n{text}\n")
    return "\n\n".join(parts)


def stub_text(chapter: Chapter) -> str:
    """The module as students get it: it imports what the notebook's own solutions need."""
    needed = GENERAL.union(*(names_in(e.solution) for e in chapter.exercises))
    return module_text(chapter, chapter.stubs, needed)


def names_in(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def imports_of(setup: str, needed: set[str] | None) -> str:
    """The imports of a notebook's first code cell, sorted, as lines; only names that are needed.

    Without plots.py and IPython, which are for notebooks.
    """
    sections: dict[int, list[tuple]] = {0: [], 1: [], 2: []}
    for node in ast.parse(setup).body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        names = [a for a in node.names if needed is None or (a.asname or a.name) in needed]
        top = module.partition(".")[0]
        if not names or top in ("plots", "IPython"):
            continue
        section = 0 if top in sys.stdlib_module_names else 2 if top == "minifaseg" else 1
        node.names = sorted(names, key=lambda a: (not a.name.isupper(), a.name.islower(), a.name))
        is_from = isinstance(node, ast.ImportFrom)
        sections[section].append((is_from, module.lower(), ast.unparse(node)))
    blocks = ["\n".join(line for *_, line in sorted(lines)) for lines in sections.values() if lines]
    return "\n\n".join(blocks) + "\n" if blocks else ""


# Adapters, arrays, points


def adapters_text(course: list[Chapter]) -> str:
    modules = sorted(chapter.module for chapter in course)
    lines = [ADAPTERS, "from segmenter import (", *(f"    {name}," for name in modules), ")"]
    for chapter in course:
        for e in chapter.exercises:
            arguments = ast.parse(e.solution).body[0].args
            given = ast.unparse(arguments)
            if arguments.defaults:                          # yours, not the adapter's
                given = "*arguments, **options"
            lines += ["", "", f"def run_{e.name}({given}):",
                      f"    return {chapter.module}.{e.name}({given})"]
    return "\n".join(lines) + "\n"


def make_arrays(course: list[Chapter]) -> dict[str, np.ndarray]:
    """What is kept in arrays.npz, see assignment/tests/cases.py."""
    arrays: dict[str, np.ndarray] = {}
    structure: dict[str, dict] = {}
    for chapter in course:
        for e in chapter.exercises:
            cases = packed_cases(e, chapter, arrays) if e.number in CASES else {}
            structure[e.number] = {"refused": refused_in(e.number), "cases": cases}
    return arrays | {"structure": np.array(json.dumps(structure))}


def packed_cases(e, chapter: Chapter, arrays: dict) -> dict:
    namespace: dict = {}
    exec(module_text(chapter, {e.number: e.solution}), namespace)
    solution, call = namespace[e.name], CALLS.get(e.number)
    found = {}
    for name, arguments in CASES[e.number]().items():
        with torch.no_grad() if call is None else torch.enable_grad():
            result = call(solution, *arguments) if call else solution(*arguments)
        found[name] = {"arguments": pack(arguments, f"{e.number}/{name}/given", arrays),
                       "expected": pack(result, f"{e.number}/{name}/right", arrays)}
    return found


def refused_in(number: str) -> list[str]:
    """Functions of the package that do what the exercise asks for, "minifaseg.hard:minmax"."""
    functions = map(inspect.unwrap, getattr(check_of(number), "refused", ()))
    return [f"{f.__module__}:{f.__qualname__}" for f in functions]


def points_table(course: list[Chapter]) -> str:
    lines = ["| chapter | module | exercises | points |", "|---|---|---|---|"]
    for chapter in course:
        numbers = ", ".join(f"{e.number} ({e.points})" for e in chapter.exercises)
        points = sum(e.points for e in chapter.exercises)
        lines.append(f"| {chapter.title} | `{chapter.module}.py` | {numbers} | {points} |")
    all_exercises = [e for chapter in course for e in chapter.exercises]
    total = sum(e.points for e in all_exercises)
    return "\n".join([*lines, f"| total | | {len(all_exercises)} | {total} |"]) + "\n"


# Writing


def derived_texts(course: list[Chapter]) -> dict[str, str]:
    """{path in assignment/: its text}, without the arrays."""
    texts = {f"segmenter/{chapter.module}.py": stub_text(chapter) for chapter in course}
    texts["segmenter/__init__.py"] = ""
    texts["tests/adapters.py"] = adapters_text(course)
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    texts["README.md"] = TABLE.sub(lambda _: points_table(course), readme)
    return texts


def write(course: list[Chapter]) -> None:
    (FOLDER / "segmenter").mkdir(exist_ok=True)
    for name, text in derived_texts(course).items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    np.savez_compressed(FOLDER / "tests/arrays.npz", **make_arrays(course))


def hand_out(out: Path) -> None:
    """Copies the folder, and what the tests of chapter 10 need beside it."""
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(FOLDER, out, ignore=ignored, dirs_exist_ok=True)
    for name in ("tiny.py", "tiny.safetensors"):
        shutil.copy(HERE / name, out)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=Path, nargs="?", help="an empty folder, for a copy to hand out")
    a = p.parse_args()
    if a.out is None:
        write(read_course())
        print(f"{FOLDER.relative_to(HERE.parent)} is up to date")
        return 0
    if a.out.exists() and any(a.out.iterdir()):
        print(f"make_assignment: {a.out} is not empty", file=sys.stderr)
        return 2
    hand_out(a.out)
    print(f"the assignment in {a.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
