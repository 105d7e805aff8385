"""03, capturing attention."""
import pytest
from adapters import run_attend, run_attention_map, run_cells_looked_at, run_sees


@pytest.mark.exercise("3.1", points=2)
def test_attention_map(case):
    case.run(run_attention_map)


@pytest.mark.exercise("3.2", points=2)
def test_attend(case):
    case.run(run_attend)


@pytest.mark.exercise("3.3", points=1)
def test_sees(case):
    case.run(run_sees)


@pytest.mark.exercise("3.4", points=2)
def test_cells_looked_at(case):
    case.run(run_cells_looked_at)
