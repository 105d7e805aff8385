"""The course kit: the grader accepts every right answer and catches every wrong one; students' notebooks hold no solutions; nbgrader takes ours."""
import ast
import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent.parent / "tutorial"
sys.path[:0] = [str(TUTORIAL), str(Path(__file__).parent)]
import make_student  # noqa: E402  (found by the line above)
from grade import exercises, verdict  # noqa: E402
from grade.test_exercises import grade  # noqa: E402
from make_student import markdown_of, relative_links  # noqa: E402

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
    """At least 45 exercises and 110 points, at least three wrong answers to each, all answers belong to an exercise."""
    assert len(EXERCISES) >= 45 and sum(e.points for _, e in EXERCISES) >= 110
    for path in NOTEBOOKS:
        numbers = [e.number for e in exercises(path)]
        assert numbers and numbers == list(answers(path)), path.name
        assert all(len(a["wrong"]) >= 3 for a in answers(path).values()), path.name


HEADING = r"### Exercise (\d+\.\d) · .+ \((\d+) points?, (easy|medium|hard)(, an idea of your own)?\)"
HINT = "<details><summary>Hint"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_each_exercise_says_its_points_and_its_level_and_has_a_folded_hint(path):
    found = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if heading := re.search(HEADING, text):
            assert text[heading.end():].count(HINT) >= 1 and text.count("<details>") == text.count("</details>"), heading[0]
            found[heading[1]] = int(heading[2])
    assert found == {e.number: e.points for e in exercises(path)}


def test_the_instructors_table_is_true():
    """A row for each notebook with its exercises, points and minutes; a row for each exercise with what students get wrong; the sums."""
    page = (TUTORIAL / "INSTRUCTOR.md").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        row, = re.findall(rf"^\| \[{path.stem}\]\({path.name}\) \|.*\| (\d+) \| (.*) \|$", page, re.M)
        assert row[1] == ", ".join(f"{e.number} ({e.points})" for e in exercises(path))
        assert f"· {row[0]} minutes to read and run" in markdown_of(path), f"{path.name} does not say {row[0]} minutes"
    assert f"{len(EXERCISES)} exercises worth {sum(e.points for _, e in EXERCISES)} points" in page
    assert re.findall(r"^\| (\d+\.\d `\w+`) \|", page, re.M) == [f"{e.number} `{e.name}`" for _, e in EXERCISES]


def test_the_ladder_has_all_its_steps():
    """Easy ones, medium ones, hard ones, and enough that need an idea of one's own."""
    text = "".join(markdown_of(path) for path in NOTEBOOKS)
    levels = [(level, bool(own)) for _, _, level, own in re.findall(HEADING, text)]
    assert min([level for level, _ in levels].count(level) for level in ("easy", "medium", "hard")) >= 10
    assert sum(own for _, own in levels) >= 8


def cells(path):
    return [(c, "".join(c["source"])) for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def graded(cell, kind):
    return cell["metadata"].get("nbgrader", {}).get(kind, False)


FOR_STUDENTS = make_student.files_for_students([path.resolve() for path in NOTEBOOKS])
PASSES = "the tests in this cell pass; the grader's are stricter"


def student_version(path):
    return make_student.student(json.loads(path.read_text(encoding="utf-8")), path.name, FOR_STUDENTS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_student_version_lacks_the_exercises_and_nothing_else(path):
    """Docstrings and visible tests stay, solutions and hidden tests go; no cell but its own test needs what an exercise defines."""
    theirs = student_version(path)
    text = json.dumps(theirs)
    assert "SOLUTION" not in text and "HIDDEN" not in text and "hidden(" not in text
    for cell, (_, before) in zip([c for c in theirs["cells"] if c["cell_type"] == "code"], cells(path), strict=True):
        source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        number = cell["metadata"].get("nbgrader", {}).get("grade_id", "").partition("-")[2].replace("-", ".")
        assert ("raises-exception" in tags) == graded(cell, "solution")
        if graded(cell, "solution"):
            function = ast.parse(source).body[-1]
            assert ast.get_docstring(function) and ast.unparse(function.body[-1]) == f"raise NotImplementedError('Exercise {number}')"
            assert "# your code here" in source.splitlines()[-2] and "raise NotImplementedError" in source.splitlines()[-1]
            exercise = next(e for e in exercises(path) if e.number == number)
            assert verdict(replace(exercise, solution=source)) == "not done yet"
        elif graded(cell, "grade"):
            block, = ast.parse(source).body
            visible = before.partition("### BEGIN HIDDEN TESTS")[0]
            assert ast.unparse(block.items[0]) == f"exercise('{number}')" and ast.dump(ast.Module(block.body, [])) == ast.dump(ast.parse(visible))
        else:
            assert source == ("from exercise import exercise          # prints how an exercise stands\n" if "setup" in tags else "") + before
    defined, used = set(), set()
    for cell, source in cells(path):
        for node in ast.walk(ast.parse(source)):
            if graded(cell, "solution") and isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                defined.add(node.name)
            elif not graded(cell, "solution") and not graded(cell, "grade") and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
    assert not {e.name for e in exercises(path)} & used and {e.name for e in exercises(path)} <= defined


def test_tests_are_indented_and_their_strings_are_not():
    code = 'def f():\n    """Two\n    lines."""\n\nx = f"""a\n  {1 +\n1} b\n"""; y = ("c"\n     "d")\nif x:\n    y = 2'
    block, = ast.parse("with a:\n" + make_student.indented(code)).body
    assert ast.dump(ast.Module(block.body, [])) == ast.dump(ast.parse(code))
    hidden_only = {"metadata": {"nbgrader": {"grade": True, "grade_id": "test-1-1"}},
                   "source": ["### BEGIN HIDDEN TESTS\n", "hidden('1.1', globals())\n", "### END HIDDEN TESTS"]}
    assert make_student.student_code(hidden_only) == ""


@cache
def named_cells(path):
    """Source of the student version's cells that the grader knows: "setup", "ex-1-1", "test-1-1", ..."""
    return {c["metadata"].get("nbgrader", {}).get("grade_id") or "".join(c["metadata"].get("tags", [])): "".join(c["source"])
            for c in student_version(path)["cells"]}


@pytest.mark.parametrize("text, theirs", [
    ("see [`hard.py`](../minifaseg/hard.py#L3)", "see `minifaseg/hard.py`"), ("[`hard.py`, line 3](../minifaseg/hard.py#L3)", "`minifaseg/hard.py`, line 3"),
    ("[line 3](../minifaseg/hard.py#L3)", "line 3, `minifaseg/hard.py`"), ("[an answer](INSTRUCTOR.md#x)", "an answer (your instructor has it)"),
    ("[a script](execute.py)", "a script, `tutorial/execute.py`"), ("```\n[code](no.md)\n```", "```\n[code](no.md)\n```"),
    *[(kept, kept) for kept in ("[a page](results.md#x)", "[there](https://arxiv.org/abs/2506.23323)", "[here](#notation)", "[`tutorial/explorer.html`](explorer.html)")],
    ("open `tutorial/explorer.html`", "open [explorer.html](explorer.html)")])
def test_links_of_the_student_version(text, theirs):
    assert make_student.student_links(text, FOR_STUDENTS) == theirs


def told_below(path, number, solution, capsys):
    """The last line that the tests of an exercise print in the student version, below this solution."""
    found = named_cells(path)
    name = number.replace(".", "-")
    namespace = {"__name__": "student"}
    capsys.readouterr()
    for text in (found["setup"], solution or found[f"ex-{name}"], found[f"test-{name}"]):
        exec(compile(text, f"exercise {number}", "exec"), namespace)
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_each_exercise_says_how_it_stands(path, capsys):
    """Not done, done in two ways, done wrong in the ways that the grader knows: one line each, and nothing is raised."""
    for e, solutions in right(path):
        assert told_below(path, e.number, None, capsys) == f"Exercise {e.number}: not done yet"
        for solution in solutions:
            assert told_below(path, e.number, solution, capsys) == f"Exercise {e.number}: {PASSES}", solution
    told = [told_below(path, e.number, text, capsys) for e, _, text in wrong(path)]
    assert all(re.match(r"Exercise \d+\.\d: (not right yet: .|your code raised .|the tests c|the tests in this cell pass)", line) for line in told), told
    assert any("not right yet" in line for line in told)


@pytest.mark.parametrize("solution, told", [
    ("def attention_map(q, k): return (q @ k.transpose(1, 2)).softmax(1).mean(0)", "not right yet: every row should sum to 1"),
    ("def attention_map(q, k): return 1 / 0", "your code raised ZeroDivisionError: division by zero"),
    ("def attention_map(q, k): return torch.ones(2).unflatten(0, (3, 4))", "your code raised RuntimeError: "),
    ("def attention_map(q, k): assert 1 > 2", "your code raised AssertionError"),
    ("def attention_map(q, k): return scores", "your code raised NameError: name 'scores' is not defined"),
    ("def attention_map(q, k): (q @ k.transpose(1, 2)).softmax(-1).mean(0)", "not right yet: your code returns None; is a return missing?"),
    ("def attention_map(q): return q", "the tests cannot work with"), ("attention_map = 5", "the tests cannot work with"),
    ("def attention(q, k): return q", "attention_map is not defined; run the cells above"),
    ("def attention_map(q, k): raise NotImplementedError", "not done yet"),
    ("def attention_map(q, k): raise NotImplementedError('Exercise 1.2')", "your code calls the function of exercise 1.2, which is not done yet"),
    ("def attention_map(q, k): raise NotImplementedError('softmax of integers')", "your code raised NotImplementedError: softmax of integers"),
    ("def attention_map(q, k): raise SystemExit", "your code raised SystemExit"),
    ("def attention_map(q, k): return attention_map(q, k)", "your code raised RecursionError")])
def test_what_is_not_right_is_said_in_one_line(solution, told, capsys):
    assert told_below(NB03, "3.1", solution, capsys).startswith(f"Exercise 3.1: {told}")


def test_the_stop_button_stops():
    with pytest.raises(KeyboardInterrupt), import_module("exercise").exercise("1.1"):
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """What students get."""
    folder = tmp_path_factory.mktemp("course")
    subprocess.run([sys.executable, TUTORIAL / "make_student.py", folder], check=True, capture_output=True)
    return folder


def run_all(path):
    """Runs a notebook as Run All does, to its end or to the first cell that stops it; (what each exercise says, ids of cells with an error)."""
    import nbformat
    from nbclient import NotebookClient
    text = path.read_text(encoding="utf-8").replace("TRAIN = True ", "TRAIN = False ")      # 10: minutes
    notebook = nbformat.reads(text, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [(c.metadata.get("nbgrader", {}).get("grade_id"), o) for c in notebook.cells for o in c.get("outputs", [])]
    told = "".join(o.text for id, o in outputs if id and id.startswith("test-") and o.output_type == "stream" and o.name == "stdout")
    return re.findall("^Exercise .*", told, re.M), [id for id, o in outputs if o.output_type == "error"]


def quickly_03(path):
    return path if path.name.startswith("03") else pytest.param(path, marks=pytest.mark.slow)


@pytest.mark.parametrize("path", [quickly_03(path) for path in NOTEBOOKS], ids=lambda p: p.stem)
def test_student_version_runs_to_its_end_unsolved(path, course):
    assert run_all(course / path.name) == ([f"Exercise {e.number}: not done yet" for e in exercises(path)], [])


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_student_version_runs_to_its_end_solved(path, course):
    solved = with_answers(course / path.name, [e.solution for e in exercises(path)], course / f"solved_{path.name}")
    assert run_all(solved) == ([f"Exercise {e.number}: {PASSES}" for e in exercises(path)], [])


def test_student_version_runs_to_its_end_with_wrong_answers(course):
    """One is wrong, one is right, one is no Python: its cell shows Python's error, and Jupyter goes on for its tag.

    Only the setup and the exercises are run.
    """
    wrong_answers = ["def attention_map(q, k):\n    weights = q @ k\n    return weights", RIGHT, "def sees(A, grid, y, x:"]
    wrong = with_answers(course / NB03.name, wrong_answers, course / "wrong.ipynb")
    notebook = json.loads(wrong.read_text(encoding="utf-8"))
    notebook["cells"] = [c for c in notebook["cells"] if "setup" in c["metadata"].get("tags", []) or "nbgrader" in c["metadata"]]
    wrong.write_text(json.dumps(notebook), encoding="utf-8")            # the other cells: test_student_version_runs_to_its_end_unsolved
    told, errors = run_all(wrong)
    assert re.fullmatch(r"Exercise 3.1: your code raised RuntimeError: .*, in the line: weights = q @ k", told[0])
    assert told[1] == f"Exercise 3.2: {PASSES}" and told[2].startswith("Exercise 3.3: sees is not defined; run the cells above") and errors == ["ex-3-3"]


def test_files_that_the_student_version_links_to_are_there(course):
    """Links that lead out of the folder or to the instructor's page are words: neither is handed out."""
    for page in [*course.glob("*.ipynb"), *course.glob("*.md")]:
        for target in relative_links(markdown_of(page)):
            assert (course / target).exists(), f"{page.name}: {target} leads nowhere"
    for path in NOTEBOOKS:
        for target in relative_links(markdown_of(path)):
            assert (course / target).exists() or target == "INSTRUCTOR.md" or target.startswith("../"), f"{path.name}: {target} is not handed out"
    names = {path.name for path in course.iterdir()}
    assert {"README.md", "results.md", "measured.md", "explorer.html", "plots.py", "exercise.py", "figures"} <= names
    assert not {"INSTRUCTOR.md", "make_student.py", "grade"} & names
    assert "`minifaseg/leaveout.py`" in markdown_of(course / "07_algorithm.ipynb") and "## Notation" in markdown_of(course / "README.md")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_student_version_begins_with_how_to_work(path, course, tmp_path):
    """Where to write, how to see whether it is right, what the grader runs and how to run it; and it is so."""
    first, *others = json.loads((course / path.name).read_text(encoding="utf-8"))["cells"]
    text = "".join(first["source"])
    assert all(words in text for words in ("`# your code here`", "Run your cell and the one below", "first code cell", f"pytest tutorial/grade --notebook PATH/{path.name}`"))
    code = [c for c in others if c["cell_type"] == "code"]
    assert code[0]["metadata"]["tags"] == ["setup"]
    for before, after in zip(code, code[1:]):
        assert graded(before, "solution") == graded(after, "grade")
    assert [e.number for e in exercises(course / path.name)] == [e.number for e in exercises(path)]


def test_the_grader_reads_a_solved_student_version(course, tmp_path):
    """A helper in the exercise's cell is seen, one in another cell is not."""
    helper, rest = "def weights(q, k):\n    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)\n\n", "def attend(q, k, v):\n    return (weights(q, k) @ v).transpose(0, 1).flatten(1)"
    theirs = with_answers(course / NB03.name, [helper, helper + rest, "def sees():\n    pass"], tmp_path / "solved.ipynb")
    assert grade(theirs, "3.2", tmp_path / "1.json") is None
    theirs = with_answers(course / NB03.name, [helper, rest, "def sees():\n    pass"], tmp_path / "solved.ipynb")
    assert "NameError: name 'weights'" in grade(theirs, "3.2", tmp_path / "2.json")


def test_make_student_replaces_nothing_unasked(tmp_path):
    def make(*more):
        command = [sys.executable, TUTORIAL / "make_student.py", tmp_path, *more]
        return subprocess.run(command, capture_output=True, text=True)
    page = tmp_path / "README.md"
    page.write_text("a page of the course")
    assert "left as they were (--force replaces them): README.md" in make().stdout and page.read_text() == "a page of the course"
    assert sorted(p.name for p in tmp_path.glob("[0-9]*.ipynb")) == [p.name for p in NOTEBOOKS]
    first = tmp_path / NOTEBOOKS[0].name
    first.write_text("a student's work")
    again = make()
    assert again.returncode == 2 and "--force" in again.stderr and first.read_text() == "a student's work"
    assert make("--force").returncode == 0 and "NotImplementedError" in first.read_text() and "## Notation" in page.read_text()


def with_answers(path, texts, out):
    """A copy of a notebook in which the exercises, in order, have these texts."""
    notebook, texts = json.loads(path.read_text(encoding="utf-8")), iter(texts)
    for cell in notebook["cells"]:
        if graded(cell, "solution"):
            cell["source"] = next(texts, cell["source"])
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
    assert lines[4] == ["total", "4", "/", "7"]


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


@pytest.mark.slow
@pytest.mark.parametrize("asked, told", [
    ("no.ipynb", "not a notebook"), ("", "which notebook"), ("77", "no such notebook")])
def test_the_grader_says_what_it_needs(tmp_path, asked, told):
    (tmp_path / "no.ipynb").write_text("no notebook")
    options = ["--notebook", tmp_path / asked if asked == "no.ipynb" else asked] if asked else []
    done = subprocess.run([*GRADER, *options], capture_output=True, text=True)
    assert done.returncode != 0 and told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
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
