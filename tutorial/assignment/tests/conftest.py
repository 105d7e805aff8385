"""Gives the tests their cases, and counts points.

A test that asks for `case` runs once for each case of its exercise in arrays.npz. An exercise has
its points when all of its tests pass.
"""
import pytest
from cases import cases_of

FOUND = pytest.StashKey[dict]()         # exercise: [function, points, whether all tests passed]


def pytest_configure(config):
    config.stash[FOUND] = {}
    config.addinivalue_line("markers", "exercise(number, points): what the test belongs to")
    config.addinivalue_line("markers", "scored: on pictures, takes seconds")


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        number = metafunc.definition.get_closest_marker("exercise").args[0]
        cases = cases_of(number)
        metafunc.parametrize("case", cases, ids=[case.name for case in cases])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """What is not written yet fails in one line."""
    try:
        return (yield)
    except NotImplementedError as error:
        if not str(error).startswith("Exercise"):
            raise                                                       # PyTorch has its own
        pytest.fail(f"NotImplementedError: {error}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    marker = item.get_closest_marker("exercise")
    if marker and (report.when == "call" or report.failed):
        name = item.originalname.removeprefix("test_")
        entry = [name, marker.kwargs["points"], True]
        entry = item.config.stash[FOUND].setdefault(marker.args[0], entry)
        entry[2] = entry[2] and report.passed
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    found = config.stash[FOUND]
    if not found:
        return
    terminalreporter.section("points")
    for number, (name, points, right) in found.items():
        terminalreporter.line(f"{number:>5}  {name:<26} {points if right else 0} of {points}")
    reached = sum(points for _, points, right in found.values() if right)
    asked = sum(points for _, points, _ in found.values())
    terminalreporter.line(f"{'':5}  {'total':<26} {reached} of {asked}")
