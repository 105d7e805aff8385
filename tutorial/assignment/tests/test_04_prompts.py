"""04, dual prompts."""
import pytest
import scenes
from adapters import run_class_map, run_dual_cross, run_find_span, run_is_there
from cases import by_oneself


@pytest.mark.exercise("4.1", points=2)
def test_find_span(case):
    case.run(run_find_span)


@pytest.mark.exercise("4.2", points=1)
def test_class_map(case):
    case.run(run_class_map)


@pytest.mark.exercise("4.3", points=3)
def test_dual_cross(case):
    case.run(run_dual_cross)


@pytest.mark.exercise("4.4", points=4)
@pytest.mark.scored
def test_is_there():
    """Balanced accuracy on thirty pictures with lists of names."""
    said, truth = [], []
    for captured, there in scenes.lists_of_names():
        with by_oneself("4.4"):
            got = run_is_there(captured)
        assert len(got) == len(there), "one answer is asked for, for each name"
        assert all(answer in (True, False) for answer in got), "True or False for each name"
        said += [bool(answer) for answer in got]
        truth += there
    found = sum(s and t for s, t in zip(said, truth)) / sum(truth)
    refused = sum(not (s or t) for s, t in zip(said, truth)) / (len(truth) - sum(truth))
    accuracy = (found + refused) / 2
    assert accuracy >= 0.77, f"balanced accuracy {accuracy:.3f}, 0.77 is asked for"
