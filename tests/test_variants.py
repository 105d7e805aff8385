"""Variants of the course: the number changes most exercises, the public solutions fail, those of the variant pass; and no message tells an expected number."""
import ast
import copy
import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

TUTORIAL = Path(__file__).parent.parent / "tutorial"
sys.path[:0] = [str(TUTORIAL), str(Path(__file__).parent)]
import grade  # noqa: E402  (found by the line above)
import make_student  # noqa: E402
from grade import conftest, exercises, variants, verdict  # noqa: E402
from grade.changes import Variable, reordered, replaced, reworded  # noqa: E402
from grade.test_exercises import grade as grade_apart  # noqa: E402
from grade.variants import KEY, VARIABLE, change_exercise, changed, changes_of, choice, mismatch  # noqa: E402

NOTEBOOKS = sorted(TUTORIAL.glob("[0-9]*.ipynb"))
EXERCISES = {e.number: (path, e) for path in NOTEBOOKS for e in exercises(path)}
SLOW = {"8.7", "8.8"}                                         # their hidden tests capture scenes
WAYS = [(number, n) for number in VARIABLE for n in range(len(VARIABLE[number].alternatives()))]


@pytest.fixture(autouse=True)
def in_tutorial(monkeypatch):
    monkeypatch.chdir(TUTORIAL)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def as_read(path):
    return read(path)


def sources(notebook, number):
    """Texts of (solution cell, visible tests, markdown) of an exercise."""
    name = number.replace(".", "-")
    by_id = {c["metadata"].get("nbgrader", {}).get("grade_id"): "".join(c["source"]) for c in notebook["cells"]}
    text = "".join("".join(c["source"]) for c in notebook["cells"] if f"### Exercise {number} ·" in "".join(c["source"]))
    return by_id[f"ex-{name}"], by_id[f"test-{name}"].partition("### BEGIN HIDDEN TESTS")[0], text


@cache
def cells_of_way(number, n):
    notebook = {"cells": copy.deepcopy(variants.cells_of(as_read(EXERCISES[number][0]), number))}
    change_exercise(notebook, number, VARIABLE[number].alternatives()[n])
    return sources(notebook, number)


def told(monkeypatch, number, n, solution):
    """The verdict on a solution of one of the alternatives."""
    with monkeypatch.context() as m:
        m.setattr(variants, "changes_of", lambda *_: VARIABLE[number].alternatives()[n])
        return verdict(replace(EXERCISES[number][1], solution=solution), 1)


def is_of_the_student(said):
    """No crash of the grader: an exception comes from a line of the student's cell."""
    return said and said != "not done yet" and (not said.startswith("your code raised") or len(said) > 300 or "of your cell" in said)


# ---- which exercises, and how many ----------------------------------------------------------------

def test_any_two_variants_differ_in_ten_exercises():
    """And each changes all that can be changed: no choice is the original."""
    chosen = [{number: choice(number, variant) for number in VARIABLE} for variant in range(1, 51)]
    assert min(sum(a[number] != b[number] for number in VARIABLE) for a, b in combinations(chosen, 2)) >= 10
    assert sum(len(v.alternatives()) >= 3 for v in VARIABLE.values()) >= 14
    assert all(changes_of(number, variant) for number in VARIABLE for variant in range(1, 51))
    assert all(number in EXERCISES and EXERCISES[number][1].name == v.name for number, v in VARIABLE.items())
    assert changes_of("5.2", None) == changes_of("99.9", 7) == []


def test_a_number_always_means_the_same():
    """Notebooks that students have are graded by the same choice; further exercises do not matter."""
    assert [choice(number, 7) for number in ("1.1", "2.3", "5.5", "6.1")] == CHOICES_OF_7


CHOICES_OF_7 = [1, 3, 3, 0]


# ---- the text --------------------------------------------------------------------------------------

def handed_on(code, name):
    """Whether a function is named without being called."""
    tree = list(ast.walk(ast.parse(code)))
    called = [node.func for node in tree if isinstance(node, ast.Call)]
    return any(isinstance(node, ast.Name) and node.id == name and node not in called for node in tree)


@pytest.mark.parametrize("number", VARIABLE)
def test_all_texts_apply(number):
    """Every string that is to be changed is there; signature and tests are valid code of at most 100 columns, and not the original's."""
    before = sources(as_read(EXERCISES[number][0]), number)
    seen = {before[:2]}
    for n in range(len(VARIABLE[number].alternatives())):
        solution, tests, text = cells_of_way(number, n)
        assert (solution, tests) not in seen
        seen.add((solution, tests))
        assert not handed_on(tests, VARIABLE[number].name), "something else calls it, as the original is called"
        compile(solution, "", "exec"), compile(tests, "", "exec")
        assert all(len(line) <= 100 for line in (solution + "\n" + tests).splitlines()), solution + tests
        for change in VARIABLE[number].alternatives()[n]:
            for old, new in change.text.items():
                if old not in new and old not in change.text.values():
                    assert not re.search(variants.pattern(old), "\n".join((solution, tests, text))), f"{old!r} is left"


def test_a_changed_notebook_is_noticed():
    notebook = copy.deepcopy(as_read(EXERCISES["5.5"][0]))
    cell = next(c for c in variants.cells_of(notebook, "5.5") if c["cell_type"] == "markdown")
    cell["source"] = [line.replace(r"1 - \alpha", r"1 - a") for line in cell["source"]]
    home = next(ch for way in VARIABLE["5.5"].alternatives() for ch in way if ch.text)
    with pytest.raises(ValueError, match=r"exercise 5.5: its cells do not say .*alpha"):
        change_exercise(notebook, "5.5", [home])


def test_arguments_in_another_order_and_words_exchanged():
    two = Variable("f", "a b c", ())
    assert reordered("def f(a, b, c=3):\n    return f(1, [2,\n 3], 4)  # é f(a, b)", two, "b a c") == "def f(b, a, c=3):\n    return f([2,\n 3], 1, 4)  # é f(a, b)"
    assert reordered("x.f(1, 2); g(f('ä', b))", two, "b a c") == "x.f(1, 2); g(f(b, 'ä'))"
    assert replaced("rows are\ncolumns", {"rows are columns": "yes"}) == "yes" and replaced("a b", {"a": "b", "b": "a"}) == "b a"
    assert replaced("0.255, 255, x255, 2550", {"255": "99"}, whole=True) == "0.255, 99, x255, 2550"


def test_messages_are_true_for_the_variant(monkeypatch):
    home = [n for n, way in enumerate(VARIABLE["5.5"].alternatives()) if len(way) == 1 and way[0].text][0]
    assert told(monkeypatch, "5.5", home, EXERCISES["5.5"][1].solution) == \
        "(1 - alpha) and alpha are exchanged: (1 - alpha) is the chance to walk on, alpha the chance to return"
    changes = VARIABLE["5.5"].alternatives()[home]
    assert reworded("with alpha = 1 nobody returns; (1 - alpha) (I - alpha A)^-1 x", changes) == "with alpha = 0 nobody returns; alpha (I - (1 - alpha) A)^-1 x"
    assert told(monkeypatch, "4.2", 1, EXERCISES["4.2"][1].solution) == "tokens are the rows of C; its columns are cells"
    writes = "def class_map(C, span):\n    C *= 1.5\n    return C[span].mean(0)"
    assert told(monkeypatch, "4.2", 1, writes) == "your function changes its inputs; make new ones instead"


# ---- right and wrong solutions ---------------------------------------------------------------------

def slow_unless_7(way):
    number, n = way
    return way if n == choice(number, 7) and number not in SLOW else pytest.param(way, marks=pytest.mark.slow)


@pytest.mark.parametrize("way", [slow_unless_7(way) for way in WAYS], ids="{0[0]}-{0[1]}".format)
def test_the_variant_s_solution_passes_and_the_public_one_fails(way, monkeypatch):
    """Both the visible and the hidden tests."""
    number, n = way
    path, exercise = EXERCISES[number]
    solution, tests, _ = cells_of_way(number, n)
    assert told(monkeypatch, number, n, solution) is None
    namespace = {"__name__": "student"}
    exec(exercise.setup, namespace)
    exec(solution, namespace)
    exec(tests, namespace)
    assert is_of_the_student(told(monkeypatch, number, n, exercise.solution))
    if all(change.order and not change.text for change in VARIABLE[number].alternatives()[n]):
        answers = import_module(f"answers.nb{path.name[:2]}").ANSWERS[number]
        order = VARIABLE[number].alternatives()[n][0].order
        for text in (answers["second"], answers["third"]):
            if f"def {exercise.name}(" in text:
                assert told(monkeypatch, number, n, reordered(text, VARIABLE[number], order)) is None, text
            assert is_of_the_student(told(monkeypatch, number, n, text)), text


def way_of(number, *texts):
    """The alternative whose only change has these texts in its new ones."""
    ways = [n for n, way in enumerate(VARIABLE[number].alternatives())
            if len(way) == 1 and all(any(text in new for new in way[0].text.values()) for text in texts)]
    assert len(ways) == 1, (number, texts)
    return ways[0]


BY_HAND = [
    ("0.1", ("254",), "def pixel_accuracy(labels, truth):\n    known = truth != 254\n    return float((labels[known] == truth[known]).mean())"),
    ("1.2", ("[0, 255]",), "def psnr(a, b):\n    return -10 * torch.log10(((a - b) / 255).square().mean((1, 2, 3)))"),
    ("1.2", ("[0, 1]",), "def psnr(a, b):\n    return -10 * torch.log10((a - b).square().mean((1, 2, 3)))"),
    ("2.4", ("predict(t, z)",), """
def invert(predict, z, abars, ts):
    before, latents = 0, []
    for t in ts:
        a, b = float(abars[before]), float(abars[t])
        noise = predict(t, z)
        z0 = (z - (1 - a) ** 0.5 * noise) / a ** 0.5
        z = b ** 0.5 * z0 + (1 - b) ** 0.5 * noise
        latents.append(z)
        before = t
    return latents"""),
    ("3.1", ("q (N, h, d)",), "def attention_map(q, k):\n    return (torch.einsum('nhd,mhd->hnm', q, k) / q.shape[2] ** 0.5).softmax(-1).mean(0)"),
    ("3.1", ("q (h, d, N)",), "def attention_map(q, k):\n    return (torch.einsum('hdn,hdm->hnm', q, k) / q.shape[1] ** 0.5).softmax(-1).mean(0)"),
    ("4.2", ("Attention C (T, N)",), "def class_map(C, span):\n    return sum(C[j] for j in span) / len(span)"),
    ("5.1", ("(K, N)",), "def minmax(y):\n    z = y - y.min(1, keepdim=True).values\n    top = z.max(1, keepdim=True).values\n    return torch.where(top > 0, z / top, 0)"),
    ("5.1", ("(H, W, K)",), "def minmax(y):\n    z = y - y.amin((0, 1))\n    top = z.amax((0, 1))\n    return torch.where(top > 0, z / top, 0)"),
    ("5.1", ("(K, H, W)",), "def minmax(y):\n    z = y - y.amin((1, 2))[:, None, None]\n    top = z.amax((1, 2))[:, None, None]\n    return torch.where(top > 0, z / top, 0)"),
    ("5.5", (r"probability $\alpha$",), """
def random_walk_with_restart(A, x, alpha, steps):
    y = x
    for _ in range(steps):
        y = A @ y + alpha * (x - A @ y)
    return y"""),
    ("6.1", ("`scores[:, 0]`", "picture, mirrored"), "def merge(scores):\n    return (scores[:, 0] + scores[:, 1].flip(2)) / 2"),
    ("6.1", ("of a mirror image, `scores[0]`",), "def merge(scores):\n    return (scores[1] + scores[0].flip(2)) / 2"),
    ("6.1", ("of a mirror image, `scores[:, 0]`",), "def merge(scores):\n    return (scores[:, 1] + scores[:, 0].flip(2)) / 2"),
    ("6.2", ("(H, W, K)",), "def label(scores, threshold):\n    k = scores.argmax(2) + 1\n    k[scores.amax(2) < threshold] = 0\n    return k"),
    ("6.3", ("rows label",), """
def confusion(truth, labels, n):
    matrix = torch.zeros(n, n, dtype=torch.long)
    for t, p in zip(truth.flatten().tolist(), labels.flatten().tolist()):
        if t != 255:
            matrix[p, t] += 1
    return matrix"""),
]


@pytest.mark.parametrize("number, texts, solution", BY_HAND, ids=[f"{number}-{texts[0]}" for number, texts, _ in BY_HAND])
def test_solutions_written_by_hand_for_the_variant(number, texts, solution, monkeypatch):
    """The original does not take them."""
    n = way_of(number, *texts)
    assert told(monkeypatch, number, n, solution) is None
    assert verdict(replace(EXERCISES[number][1], solution=solution))
    tests = cells_of_way(number, n)[1]
    namespace = {"__name__": "student"}
    exec(EXERCISES[number][1].setup, namespace)
    exec(solution, namespace)
    exec(tests, namespace)


# ---- notebooks -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Students' and lecturer's notebooks of variant 7."""
    folder = tmp_path_factory.mktemp("variant")
    with pytest.MonkeyPatch.context() as m:
        m.setattr(sys, "argv", ["make_student.py", str(folder / "students"), "--variant", "7", "--solutions", str(folder / "lecturer")])
        assert make_student.main() == 0
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_of_a_variant(path, course):
    """Students: text, signature and visible tests of the variant, no solution; lecturers: solutions, and hidden tests that know the number."""
    theirs, ours = read(course / "students" / path.name), read(course / "lecturer" / path.name)
    assert theirs["metadata"][KEY] == ours["metadata"][KEY] == 7
    text = json.dumps(theirs)
    assert "SOLUTION" not in text and "hidden(" not in text
    assert f"--notebook PATH/{path.name} --variant 7`" in "".join(theirs["cells"][0]["source"])
    assert all(cell["outputs"] == [] for cell in ours["cells"] if cell["cell_type"] == "code")
    original = read(path)
    for e in exercises(path):
        same = e.number not in VARIABLE
        name = e.number.replace(".", "-")
        hidden = next("".join(c["source"]) for c in ours["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == f"test-{name}")
        assert (f'hidden("{e.number}", globals())' if same else f'hidden("{e.number}", globals(), variant=7)') in hidden
        assert (sources(ours, e.number) == sources(original, e.number)) == same
        solution, tests, words = sources(ours, e.number)
        head = solution.partition("### BEGIN SOLUTION")[0].strip()
        assert sources(theirs, e.number)[0].startswith(head)
        assert make_student.student_links(words, FOR_STUDENTS) == sources(theirs, e.number)[2]


FOR_STUDENTS = make_student.files_for_students([path.resolve() for path in NOTEBOOKS])


def test_without_a_number_all_is_as_before():
    for path in NOTEBOOKS:
        theirs = make_student.student(as_read(path), path.name, FOR_STUDENTS)
        assert theirs["metadata"] == as_read(path)["metadata"] and "--variant" not in json.dumps(theirs["cells"][0])
        assert make_student.read(path, None) == as_read(path)


# Those in which conventions change, not only orders of arguments. In the others a kernel would run what test_course runs.
IN_A_KERNEL = [path for path in NOTEBOOKS if path.name[:2] in ("02", "03", "05", "06")]


@pytest.mark.slow
@pytest.mark.parametrize("path", IN_A_KERNEL, ids=lambda p: p.stem)
def test_a_variant_runs_to_its_end_unsolved(path, course):
    from test_course import run_all
    assert run_all(course / "students" / path.name) == ([f"Exercise {e.number}: not done yet" for e in exercises(path)], [])


@pytest.mark.slow
@pytest.mark.parametrize("path", IN_A_KERNEL, ids=lambda p: p.stem)
def test_the_lecturer_s_notebooks_run_with_their_hidden_tests(path, course, monkeypatch):
    """As nbgrader runs them: hidden("5.2", globals(), variant=7)."""
    from nbmake.nb_run import NotebookRun
    monkeypatch.setenv("MINIFASEG_WEIGHTS", "cartoon")
    monkeypatch.setenv("PYTHONPATH", f"{TUTORIAL.parent}:{TUTORIAL}")
    result = NotebookRun(course / "lecturer" / path.name, default_timeout=600).execute()
    assert result.error is None, f"{result.error.failing_cell_index}: {result.error.summary}"


@pytest.mark.slow
def test_the_grader_takes_the_number(course, tmp_path):
    """In the process that it starts for each exercise."""
    path = course / "lecturer" / next(p.name for p in NOTEBOOKS if p.name.startswith("02"))
    assert grade_apart(path, "2.3", tmp_path / "1.json", variant=7) is None


# ---- what is refused -------------------------------------------------------------------------------

@pytest.mark.parametrize("options, told", [
    (["--variant", "x"], "'x' is not the number of a variant, 1 or more"), (["--variant", "0"], "'0' is not the number of a variant"),
    (["--variant", "-3"], "-3"), (["--variant", "1.5"], "'1.5' is not the number"), (["--variant"], "expected one argument"),
    (["--solutions", "other"], "--solutions goes with --variant"), (["--variant", "7", "--solutions", "OUT"], "--solutions needs a folder of its own"),
    (["--variant", "7", "--solutions", str(TUTORIAL)], "--solutions needs a folder of its own")])
def test_make_student_refuses(options, told, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make_student.py", str(tmp_path / "OUT"), *(str(tmp_path / "OUT") if o == "OUT" else o for o in options)])
    with pytest.raises(SystemExit):
        make_student.main()
    assert told in capsys.readouterr().err.splitlines()[-1] and not (tmp_path / "OUT").exists()


@pytest.mark.parametrize("variant", ["x", "0", "-3", "1.5", "", "７"])
def test_the_grader_refuses_what_is_no_number(variant):
    with pytest.raises(pytest.UsageError, match="give the number of a variant, 1 or more"):
        configure(variant=variant)


def configure(**options):
    conftest.pytest_configure(SimpleNamespace(option=SimpleNamespace(**options), stash={}))


def test_another_number_than_the_notebook_s_is_refused(course):
    made = read(course / "students" / NOTEBOOKS[0].name)
    assert mismatch(made, 7) is None
    assert mismatch(made, 8) == "was made as variant 7 and would be graded as variant 8; grade it with --variant 7"
    assert mismatch(made, None) == "was made as variant 7 and would be graded as the original; grade it with --variant 7"
    for metadata in ({}, {"metadata": {}}):                   # edited: the option decides
        assert mismatch(metadata, 8) is mismatch(metadata, None) is None
    theirs = str(course / "students" / NOTEBOOKS[0].name)
    configure(variant="7", notebook=[theirs])
    with pytest.raises(pytest.UsageError, match=f"{NOTEBOOKS[0].name} was made as variant 7 and would be graded as variant 8"):
        configure(variant="8", notebook=["03", theirs])


@pytest.mark.slow
def test_it_is_refused_in_one_line(course):
    path = course / "students" / NOTEBOOKS[0].name
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:xdist", TUTORIAL / "grade", "--notebook", path], capture_output=True, text=True)
    lines = (done.stdout + done.stderr).split("\n\n")[0].splitlines()
    assert done.returncode == 4 and lines == [f"ERROR: {path.name} was made as variant 7 and would be graded as the original; grade it with --variant 7"]


@pytest.mark.slow
def test_a_variant_graded_as_a_teacher_does(course):
    """All right with the lecturer's notebook; with the public solutions all wrong that can be changed."""
    name = next(p.name for p in NOTEBOOKS if p.name.startswith("01"))
    run = [sys.executable, "-m", "pytest", "-p", "no:xdist", TUTORIAL / "grade", "--variant", "7", "--notebook"]
    assert subprocess.run([*run, course / "lecturer" / name], capture_output=True).returncode == 0
    done = subprocess.run([*run, TUTORIAL / name], capture_output=True, text=True)
    assert done.returncode == 1 and all(re.search(rf"^ +{n} +\w+ +0 / ", done.stdout, re.M) for n in VARIABLE if n.startswith("1."))


# ---- feedback never tells an expected number -------------------------------------------------------

NUMBER = re.compile(r"(?<![\w.])-?\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")
MANY = 200                                                    # of so many numbers one or the other is like any number


def numbers_in(text):
    """Those of two or more digits, as they are written."""
    found = [n.replace(",", "") for n in NUMBER.findall(text)]
    return [n for n in found if len(n.partition("e")[0].replace(".", "").lstrip("-0")) > 1]


def values(result):
    if isinstance(result, (torch.Tensor, np.ndarray)):
        return torch.as_tensor(result).detach().double().flatten().tolist()
    if isinstance(result, (list, tuple)):
        return [v for part in result for v in values(part)]
    return [float(result)] if isinstance(result, (int, float)) and not isinstance(result, bool) else []


def told_numbers(message, results, text):
    """Numbers in a message that round as a result does, and are not in the exercise's text."""
    message = re.sub(r"\(line \d+ of your cell.*", "", message)
    expected = [v for result in results if len(values(result)) < MANY for v in values(result)]
    found = []
    for n in set(numbers_in(message)) - set(numbers_in(text)):
        digits, _, power = n.partition("e")
        unit = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
        if any(abs(v - float(n)) <= unit * 0.50001 for v in expected):
            found.append(n)
    return found


def test_the_test_finds_an_expected_number():
    assert told_numbers("it should be 0.7714; yours says 0.8", [0.77143], "") == ["0.7714"]
    assert told_numbers("81,596,160 bytes", [81596160], "") == ["81596160"] and told_numbers("-1.5", [torch.tensor([2, -1.5])], "") == ["-1.5"]
    assert not told_numbers("it is 0.7714", [0.77143], "0.7714 as in the text") and not told_numbers("3 of 4, 0.5", [3, 0.5], "")


class Calls:
    """Records what the student's function returns; spoils the result of one call."""

    def __init__(self, monkeypatch):
        self.results, self.spoiled = [], None
        plain = grade.Student.__getattr__

        def recorded(student, name):
            call = plain(student, name)

            def recording(*args, **named):
                i = len(self.results)
                self.results.append(None)
                self.results[i] = got = call(*args, **named)
                return spoil(got) if i == self.spoiled else got
            return recording
        monkeypatch.setattr(grade.Student, "__getattr__", recorded)

    def of(self, exercise):
        self.results = []
        return verdict(exercise), self.results


def spoil(result):
    """Not quite what it was."""
    if isinstance(result, torch.Tensor):
        return result * 1.037 + 0.013 if result.is_floating_point() else ~result if result.dtype == torch.bool else result + 1
    if isinstance(result, np.ndarray):
        return result + result.dtype.type(1)
    if isinstance(result, (list, tuple)):
        return type(result)(map(spoil, result))
    if isinstance(result, float):
        return result * 1.037 + 0.013
    return result + 1 if isinstance(result, int) else [3, 4]


def quickly_without_scenes(path):
    return path if path.name[:2] in ("00", "01", "03") else pytest.param(path, marks=pytest.mark.slow)


@pytest.mark.parametrize("path", [quickly_without_scenes(p) for p in NOTEBOOKS], ids=lambda p: p.stem)
def test_no_message_tells_the_expected_number(path, monkeypatch):
    """On every wrong answer, and on the right one with one of its results spoiled, whichever."""
    calls = Calls(monkeypatch)
    answers = import_module(f"answers.nb{path.name[:2]}").ANSWERS
    for exercise in exercises(path):
        text = "\n".join("".join(c["source"]) for c in variants.cells_of(as_read(path), exercise.number))
        calls.spoiled = None
        message, right = calls.of(exercise)
        assert message is None
        for name, wrong in answers[exercise.number]["wrong"].items():
            message, got = calls.of(replace(exercise, solution=wrong))
            last = max(0, len(got) - 1)
            assert not told_numbers(message, right[last:last + 1], text), f"{exercise.number}, {name}: {message}"
        if len(right) > 1 and any(len(values(result)) >= 10 * MANY for result in right):
            continue                                          # scored on scenes
        for i in range(min(40, len(right))):
            calls.spoiled = i
            message, _ = calls.of(exercise)
            assert message is None or not told_numbers(message, right[i:i + 1], text), f"{exercise.number}, call {i}: {message}"
