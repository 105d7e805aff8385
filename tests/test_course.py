"""The course kit: the grader accepts every right answer and catches every wrong one; students' notebooks hold no solutions; nbgrader takes ours."""
import ast
import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent.parent / "tutorial"
sys.path[:0] = [str(TUTORIAL), str(Path(__file__).parent)]
from grade import exercises, verdict
from grade.test_exercises import grade
from make_student import student

NOTEBOOKS = sorted(TUTORIAL.glob("[0-9]*.ipynb"))
EXERCISES = [(path, e) for path in NOTEBOOKS for e in exercises(path)]


def answers(path):
    return import_module(f"answers.nb{path.name[:2]}").ANSWERS


def right(path):
    """(exercise, its right solutions) of a notebook."""
    return [(e, [e.solution, answers(path)[e.number]["second"]]) for e in exercises(path)]


def wrong(path):
    return [(e, name, text) for e in exercises(path) for name, text in answers(path)[e.number]["wrong"].items()]


@pytest.fixture(autouse=True)
def in_tutorial(monkeypatch):
    monkeypatch.chdir(TUTORIAL)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"nb{p.name[:2]}")
def test_right_solutions_are_accepted(path):
    for exercise, solutions in right(path):
        for solution in solutions:
            assert (told := verdict(replace(exercise, solution=solution))) is None, f"{exercise.number}: {told}\n{solution}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"nb{p.name[:2]}")
def test_wrong_solutions_are_caught(path):
    """By a message about the mistake, not by a typing error in the wrong solution itself."""
    for exercise, name, text in wrong(path):
        told = verdict(replace(exercise, solution=text))
        assert told and told != "not done yet" and not re.search("NameError|SyntaxError|ImportError", told), f"{exercise.number}, {name}: {told}"
