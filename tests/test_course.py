"""The course kit: the grader accepts every right answer and catches every wrong one; students' notebooks hold no solutions; nbgrader takes ours."""
import ast
import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent.parent / "tutorial"
sys.path[:0] = [str(TUTORIAL), str(Path(__file__).parent)]
from grade import exercises, verdict  # noqa: E402  (found by the line above)
from grade.test_exercises import grade  # noqa: E402
from make_student import student  # noqa: E402

NOTEBOOKS = sorted(TUTORIAL.glob("[0-9]*.ipynb"))
EXERCISES = [(path, e) for path in NOTEBOOKS for e in exercises(path)]


def answers(path):
    return import_module(f"answers.nb{path.name[:2]}").ANSWERS


def right(path):
    """(exercise, its right solutions) of a notebook."""
    return [(e, [e.solution, answers(path)[e.number]["second"], answers(path)[e.number]["third"]]) for e in exercises(path)]


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
        assert not re.search(r"tensor\(|array\(", told), f"{exercise.number}, {name} prints an array: {told}"
        if name.startswith("package"):
            assert "write it yourself" in told or (exercise.number, name) == ("2.4", "package step"), f"{exercise.number}, {name}: {told}"


ALIASES = {                                                   # ways to call what the package has
    "by its module": "def merge(scores):\n    return ttf.merge(scores)",
    "the function itself": "merge = ttf.merge",
    "imported in the cell": "from minifaseg.ttf import merge",
    "imported inside": "def merge(scores):\n    from minifaseg.ttf import merge as other\n    return other(scores)",
    "imported by name": "def merge(scores):\n    import importlib\n    return importlib.import_module('minifaseg.ttf').merge(scores)",
    "kept under another name": "mean_of_views = ttf.merge\ndef merge(scores):\n    return mean_of_views(scores)",
    "as a default value": "def merge(scores, by=ttf.merge):\n    return by(scores)",
    "as a method": "class Merger:\n    by = staticmethod(ttf.merge)\ndef merge(scores):\n    return Merger().by(scores)",
    "with a part of its arguments": "import functools\nmerge = functools.partial(ttf.merge)",
    "by what calls it": "from minifaseg.rivals.invseg import InvSeg, merge as other\ndef merge(scores):\n    return other(scores)"}


@pytest.mark.parametrize("text", ALIASES.values(), ids=ALIASES)
def test_the_package_does_not_answer_for_the_student(text):
    """Whatever it is called by; and it works as before, for whoever comes next."""
    from minifaseg import ttf
    exercise, code = next(e for _, e in EXERCISES if e.number == "6.1"), ttf.merge.__code__
    assert verdict(replace(exercise, solution=text)) == "write it yourself: this exercise asks for what ttf.merge does"
    assert ttf.merge.__code__ is code and verdict(exercise) is None


def test_every_function_that_is_refused_is_refused():
    """Methods and those under torch.no_grad, too; outside the student's code each has its own code."""
    from grade import check_of, refusing
    for _, exercise in EXERCISES:
        for function in getattr(check_of(exercise.number), "refused", ()):
            code = inspect.unwrap(function).__code__
            with pytest.raises(AssertionError, match="write it yourself"):
                refusing([function], lambda f=function: f())()
            assert inspect.unwrap(function).__code__ is code


def test_there_is_enough_to_do():
    """At least twenty exercises, at least three wrong answers to each, all answers belong to an exercise."""
    assert len(EXERCISES) >= 20
    for path in NOTEBOOKS:
        numbers = [e.number for e in exercises(path)]
        assert numbers and numbers == list(answers(path)), path.name
        assert all(len(a["wrong"]) >= 3 for a in answers(path).values()), path.name


def cells(path):
    return [(c, "".join(c["source"])) for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def graded(cell, kind):
    return cell["metadata"].get("nbgrader", {}).get(kind, False)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_student_version_lacks_the_exercises_and_nothing_else(path):
    """Docstrings stay, solutions and hidden tests go; no cell but its own test needs what an exercise defines."""
    theirs = student(json.loads(path.read_text(encoding="utf-8")))
    text = json.dumps(theirs)
    assert "SOLUTION" not in text and "HIDDEN" not in text and "hidden(" not in text
    for cell, before in zip([c for c in theirs["cells"] if c["cell_type"] == "code"], cells(path)):
        source = "".join(cell["source"])
        if graded(cell, "solution"):
            number = cell["metadata"]["nbgrader"]["grade_id"].removeprefix("ex-").replace("-", ".")
            function = ast.parse(source).body[-1]
            assert ast.get_docstring(function) and ast.unparse(function.body[-1]) == f"raise NotImplementedError('Exercise {number}')"
            exercise = next(e for e in exercises(path) if e.number == number)
            assert verdict(replace(exercise, solution=source)) == "not done yet"
        elif not graded(cell, "grade"):
            assert source == before[1]
    defined, used = set(), set()
    for cell, source in cells(path):
        for node in ast.walk(ast.parse(source)):
            if graded(cell, "solution") and isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                defined.add(node.name)
            elif not graded(cell, "solution") and not graded(cell, "grade") and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
    assert not {e.name for e in exercises(path)} & used and {e.name for e in exercises(path)} <= defined


def run_student_version(path, folder):
    """Grade ids of the cells that fail, None for a cell that is no exercise."""
    import nbformat
    from nbclient import NotebookClient
    notebook = nbformat.reads(json.dumps(student(json.loads(path.read_text(encoding="utf-8")))), as_version=4)
    NotebookClient(notebook, timeout=600, allow_errors=True, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return [c.metadata.get("nbgrader", {}).get("grade_id") for c in notebook.cells
            if any(o.output_type == "error" for o in c.get("outputs", []))]


@pytest.mark.parametrize("path", [p if p.name.startswith("03") else pytest.param(p, marks=pytest.mark.slow) for p in NOTEBOOKS], ids=lambda p: p.stem)
def test_student_version_fails_at_the_exercises_only(path, tmp_path):
    subprocess.run([sys.executable, TUTORIAL / "make_student.py", tmp_path], check=True, capture_output=True)
    assert run_student_version(path, tmp_path) == [f"test-{e.number.replace('.', '-')}" for e in exercises(path)]


def test_make_student_replaces_nothing_unasked(tmp_path):
    def make(*more):
        command = [sys.executable, TUTORIAL / "make_student.py", tmp_path, *more]
        return subprocess.run(command, capture_output=True, text=True)
    assert make().returncode == 0 and sorted(p.name for p in tmp_path.glob("*.ipynb")) == [p.name for p in NOTEBOOKS]
    first = tmp_path / NOTEBOOKS[0].name
    first.write_text("a student's work")
    again = make()
    assert again.returncode == 2 and "--force" in again.stderr and first.read_text() == "a student's work"
    assert make("--force").returncode == 0 and "NotImplementedError" in first.read_text()


def with_answers(path, texts, out):
    """A copy of a notebook in which the exercises, in order, have these texts."""
    notebook, texts = json.loads(path.read_text(encoding="utf-8")), iter(texts)
    for cell in notebook["cells"]:
        if graded(cell, "solution"):
            cell["source"] = next(texts)
    out.write_text(json.dumps(notebook), encoding="utf-8")
    return out


# Students have no xdist.
GRADER = [sys.executable, "-m", "pytest", "-p", "no:xdist", TUTORIAL / "grade"]
NB03 = next(p for p in NOTEBOOKS if p.name.startswith("03"))
RIGHT = next(e.solution for e in exercises(NB03) if e.number == "3.2")
HANGS = "def attention_map(q, k):\n    while True:\n        pass"
EXITS = "import os\ndef sees(A, grid, y, x):\n    print('right ' * 1000)\n    os._exit(0)"


@pytest.mark.slow
def test_a_table_with_a_line_for_each_exercise(tmp_path):
    """One hangs, one prints and ends the process, one is right; run as a teacher runs it."""
    theirs = with_answers(NB03, [HANGS, RIGHT, EXITS], tmp_path / "student.ipynb")
    done = subprocess.run([*GRADER, "--notebook", theirs, "--seconds", "15"],
                          capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines() if re.match(r" +\d\.\d ", line) or "total" in line]
    assert done.returncode == 1 and [line[:5] for line in lines[:3]] == [["3.1", "attention_map", "0", "/", "2"], ["3.2", "attend", "2", "/", "2"], ["3.3", "sees", "0", "/", "1"]]
    assert "not finished after 15 seconds" in done.stdout and "ended the process" in done.stdout and "right right" not in done.stdout
    assert lines[3] == ["total", "2", "/", "5"]


def test_what_students_do_harms_only_its_own_exercise(tmp_path):
    """One hangs, one ends the process, one raises, one is no Python, one is right."""
    theirs = with_answers(NB03, [HANGS, RIGHT, EXITS], tmp_path / "student.ipynb")
    assert "not finished after 3 seconds" in grade(theirs, "3.1", tmp_path / "1.json", seconds=3)
    assert grade(theirs, "3.2", tmp_path / "2.json") is None
    assert "ended the process" in grade(theirs, "3.3", tmp_path / "3.json")
    raises, no_python = "def attention_map(q, k):\n    return undefined", "def sees(A, grid, y, x:"
    theirs = with_answers(NB03, [raises, RIGHT, no_python], tmp_path / "student.ipynb")
    assert "NameError" in grade(theirs, "3.1", tmp_path / "4.json")
    assert "SyntaxError" in grade(theirs, "3.3", tmp_path / "5.json")


@pytest.mark.parametrize("asked, told", [
    ("no.ipynb", "not a notebook"), pytest.param("", "which notebook", marks=pytest.mark.slow),
    pytest.param("77", "no such notebook", marks=pytest.mark.slow)])
def test_the_grader_says_what_it_needs(tmp_path, asked, told):
    (tmp_path / "no.ipynb").write_text("no notebook")
    options = ["--notebook", tmp_path / asked if asked == "no.ipynb" else asked] if asked else []
    done = subprocess.run([*GRADER, *options], capture_output=True, text=True)
    assert done.returncode != 0 and told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_nbgrader_takes_the_notebooks_as_they_stand(tmp_path):
    """nbgrader generate_assignment: its checks of the metadata pass, and what it releases holds no solution."""
    source = tmp_path / "source" / "minifaseg"
    source.mkdir(parents=True)
    for path in NOTEBOOKS:
        (source / path.name).write_bytes(path.read_bytes())
    done = subprocess.run([sys.executable, "-m", "nbgrader", "generate_assignment", "minifaseg", "--course", "cv", "--create",
                           f"--CourseDirectory.root={tmp_path}"], cwd=tmp_path, capture_output=True, text=True,
                          env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})      # it calls alembic
    assert done.returncode == 0, done.stderr[-2000:]
    for path in NOTEBOOKS:
        released = (tmp_path / "release" / "minifaseg" / path.name).read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in released and "HIDDEN" not in released and released.count("raise NotImplementedError()") == len(exercises(path))
