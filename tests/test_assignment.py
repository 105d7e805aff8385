"""The course as a package: it is what the script writes, fails on the stubs, passes on the solutions, and rejects wrong answers."""
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

TUTORIAL = Path(__file__).parent.parent / "tutorial"
FOLDER = TUTORIAL / "assignment"
sys.path[:0] = [str(TUTORIAL), str(Path(__file__).parent)]
import make_assignment  # noqa: E402  (found by the line above)
from assignment_cases import CASES  # noqa: E402

COURSE = make_assignment.read_course()
EXERCISES = {e.number: e for chapter in COURSE for e in chapter.exercises}
POINTS = {number: e.points for number, e in EXERCISES.items()}


def fill(folder, code):
    """Hands the assignment out, with solutions, and this code {number: function} in place of some of them."""
    make_assignment.hand_out(folder)
    for chapter in COURSE:
        theirs = {e.number: code.get(e.number, e.solution).strip() for e in chapter.exercises}
        (folder / "segmenter" / f"{chapter.module}.py").write_text(make_assignment.module_text(chapter, theirs))


def run(folder, *options):
    """({exercise: points reached}, [(test, message) of what failed], output) of the assignment's own tests."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--junitxml=report.xml", *options], cwd=folder, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(TUTORIAL.parent), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    cases = list(ElementTree.parse(folder / "report.xml").iter("testcase"))
    failed = [(case.get("name"), bad.get("message")) for case in cases for bad in case if bad.tag in ("failure", "error")]
    assert cases and done.returncode == bool(failed), done.stdout[-2000:] + done.stderr[-2000:]
    table = re.findall(r"^ *(\d+\.\d+|total) .* (\d+) of (\d+)$", done.stdout.partition(" points ")[2], re.M)
    points = {number: int(reached) for number, reached, _ in table}
    assert points.pop("total") == sum(points.values())
    assert {number: int(asked) for number, _, asked in table if number != "total"}.items() <= POINTS.items()
    return points, failed, done.stdout


def wrong_answers(turn):
    """{exercise: (name, wrong answer)}, one for each chapter: in turn 0 that of its first exercise, in turn 1 that of its second, ..."""
    found = {}
    for chapter in COURSE:
        e = chapter.exercises[turn % len(chapter.exercises)]
        answers = import_module(f"answers.nb{chapter.name[:2]}").ANSWERS[e.number]["wrong"]
        found[e.number] = list(answers.items())[turn // len(chapter.exercises) % len(answers)]
    return found


def test_the_folder_is_what_the_script_writes():
    """And nothing of a solution is in it."""
    texts = make_assignment.derived_texts(COURSE)
    for name, text in texts.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: run python tutorial/make_assignment.py"
        assert "SOLUTION" not in text
    assert {path.name for path in (FOLDER / "segmenter").glob("*.py")} == {Path(name).name for name in texts if name.startswith("segmenter/")}
    with np.load(FOLDER / "tests/arrays.npz") as kept:
        made = make_assignment.make_arrays(COURSE)
        assert set(kept) == set(made)
        assert json.loads(str(kept["structure"])).keys() == json.loads(str(made["structure"])).keys()
        for name in set(kept) - {"structure"}:
            assert kept[name].dtype == made[name].dtype and np.allclose(kept[name], made[name], rtol=1e-4, atol=1e-5), f"{name}: run python tutorial/make_assignment.py"


def test_every_exercise_is_tested_for_its_points():
    """Marked with the points of the notebook; reached through an adapter of one line."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "tests").glob("test_*.py")}
    marks = re.findall(r'exercise\("([\d.]+)", points=(\d+)\)', "".join(texts.values()))
    assert {number: int(points) for number, points in marks} == POINTS
    adapters = ast.parse((FOLDER / "tests/adapters.py").read_text()).body[2:]
    assert [f.name for f in adapters] == [f"run_{e.name}" for e in EXERCISES.values()]
    assert len({e.name for e in EXERCISES.values()}) == len(EXERCISES) and all(len(f.body) == 1 for f in adapters)
    for chapter in COURSE:
        text, = (text for name, text in texts.items() if name.startswith(f"test_{chapter.name[:2]}"))
        assert all(f"run_{e.name}" in text for e in chapter.exercises)


def test_determined_exercises_have_three_cases_or_more():
    assert set(CASES) <= set(EXERCISES)
    assert all(len(make()) >= 3 for make in CASES.values())


def test_stubs_fail_with_not_implemented_error(tmp_path):
    """Each test, and with nothing else; exercises with a score are in the slow test below."""
    make_assignment.hand_out(tmp_path)
    points, failed, out = run(tmp_path, "-m", "not scored")
    assert set(points.values()) == {0} and set(points) >= set(CASES)
    assert all(re.fullmatch(r"Failed: NotImplementedError: Exercise \d+\.\d+", told) for _, told in failed)
    assert " passed" not in out


def test_wrong_answers_are_rejected_in_their_own_exercise(tmp_path):
    reject(tmp_path, (0,), "-m", "not scored")


def reject(tmp_path, turns, *options):
    """Everything else passes; and nothing that is told prints an array."""
    for turn in turns:
        wrong = wrong_answers(turn)
        folder = tmp_path / str(turn)
        fill(folder, {number: text for number, (_, text) in wrong.items()})
        points, failed, _ = run(folder, *options)
        for number, reached in points.items():
            assert reached == (0 if number in wrong else POINTS[number]), f"turn {turn}, {number}: {wrong.get(number, ['right'])[0]}"
        assert not any(re.search(r"tensor\(|array\(", told) for _, told in failed), failed


def test_a_package_of_ones_own_is_reached_through_the_adapters(tmp_path):
    """Of another name, all in one module, and one function has other arguments."""
    chapter = next(c for c in COURSE if c.module == "hard")
    fill(tmp_path, {})
    (tmp_path / "mine.py").write_text((tmp_path / "segmenter/hard.py").read_text().replace("def power_times(A, x, tau)", "def power(x, A, *, tau)"))
    (tmp_path / "segmenter/hard.py").unlink()
    adapters = tmp_path / "tests/adapters.py"
    text = adapters.read_text().replace("    hard,\n", "").replace("from segmenter", "import mine\nfrom segmenter", 1)
    text = text.replace("hard.power_times(A, x, tau)", "mine.power(x, A, tau=tau)")
    adapters.write_text(text.replace("return hard.", "return mine."))
    points, failed, _ = run(tmp_path, "tests/test_05_hard.py", "-m", "not scored")
    assert not failed and points == {e.number: e.points for e in chapter.exercises if e.number in points} and len(points) >= 6


def test_nothing_is_replaced_unasked(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text("a student's work")
    monkeypatch.setattr(sys, "argv", ["make_assignment.py", str(tmp_path)])
    assert make_assignment.main() == 2 and "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_it_is_not_collected_with_the_tests_of_the_project(pytestconfig):
    assert pytestconfig.getini("testpaths") == ["tests"]


@pytest.mark.slow
def test_all_stubs_fail_and_all_solutions_pass(tmp_path):
    """With the exercises that have a score."""
    make_assignment.hand_out(tmp_path / "stubs")
    points, failed, out = run(tmp_path / "stubs")
    assert points == dict.fromkeys(POINTS, 0) and " passed" not in out
    assert all("NotImplementedError: Exercise" in told for _, told in failed)
    for kind in ("solution", "second", "third"):
        answers = {} if kind == "solution" else {number: import_module(f"answers.nb{int(number.partition('.')[0]):02}").ANSWERS[number][kind] for number in EXERCISES}
        fill(tmp_path / kind, answers)
        points, failed, _ = run(tmp_path / kind)
        assert not failed and points == POINTS


@pytest.mark.slow
def test_more_wrong_answers_are_rejected_in_their_own_exercise(tmp_path):
    """Those of exercises with a score among them."""
    reject(tmp_path, (2, 3, 4, 6, 7))


@pytest.mark.slow
def test_every_wrong_answer_of_the_course_is_rejected(tmp_path):
    """All exercises are wrong at a time, each with its n-th wrong answer; when it has no more, with its first."""
    answers = {e.number: list(import_module(f"answers.nb{chapter.name[:2]}").ANSWERS[e.number]["wrong"].values()) for chapter in COURSE for e in chapter.exercises}
    for n in range(max(len(answers[number]) for number in CASES)):
        fill(tmp_path / str(n), {number: texts[n if n < len(texts) else 0] for number, texts in answers.items()})
        points, *_ = run(tmp_path / str(n), "-m", "not scored")
        assert not any(points.values()), f"answer {n}: {[number for number, reached in points.items() if reached]}"
        shutil.rmtree(tmp_path / str(n))
