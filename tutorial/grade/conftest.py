import json
from pathlib import Path

import pytest

from grade import exercises
from grade.variants import mismatch

TUTORIAL = Path(__file__).parent.parent
SCORES = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption("--notebook", action="append", metavar="NN", help="number of a notebook in tutorial/, or the path of a student's; may be repeated")
    parser.addoption("--seconds", type=float, default=30, help="time for one exercise (default 30)")
    parser.addoption("--variant", metavar="N", help="number of the variant that the notebooks were made as, by make_student.py --variant N")


def pytest_configure(config):
    config.stash[SCORES] = []
    variant = config.option.variant
    if variant is not None:
        if not (variant.isascii() and variant.isdigit() and int(variant) > 0):
            raise pytest.UsageError(f"--variant {variant}: give the number of a variant, 1 or more")
        config.option.variant = int(variant)
    for path in map(notebook, config.option.notebook or []):
        try:
            why = mismatch(json.loads(path.read_text(encoding="utf-8")), config.option.variant)
        except (ValueError, AttributeError):              # no notebook; said where its exercises are asked for
            continue
        if why:
            raise pytest.UsageError(f"{path.name} {why}")


def notebook(name):
    """"05" -> tutorial/05_hard.ipynb; a path stays what it is."""
    path = next(TUTORIAL.glob(f"{int(name):02}_*.ipynb"), None) if name.isdigit() else Path(name)
    if path is None or not path.is_file():
        raise pytest.UsageError(f"--notebook {name}: no such notebook; give a number such as 05, or the path of an .ipynb file")
    return path


def pytest_generate_tests(metafunc):
    asked = metafunc.config.getoption("notebook")
    if not asked:
        raise pytest.UsageError("say which notebook to grade: python -m pytest tutorial/grade --notebook 05")
    try:
        found = [(path, e) for path in map(notebook, asked) for e in exercises(path)]
    except (ValueError, KeyError, TypeError):
        raise pytest.UsageError(f"--notebook {' '.join(asked)}: not a notebook in Jupyter's format") from None
    metafunc.parametrize("path, exercise", found, ids=[f"{e.number}-{e.name}" for _, e in found])


@pytest.fixture
def scores(request):
    return request.config.stash[SCORES]


def pytest_terminal_summary(terminalreporter, config):
    scores = config.stash[SCORES]
    if not scores:
        return
    terminalreporter.section("scores")
    for exercise, told in scores:
        terminalreporter.line(f"{exercise.number:>5}  {exercise.name:<24} {0 if told else exercise.points} / {exercise.points}  {told or 'right'}")
    got, all = (sum(e.points for e, told in scores if whole or not told) for whole in (False, True))
    terminalreporter.line(f"{'':5}  {'total':<24} {got} / {all}")
