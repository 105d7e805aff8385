"""00, the whole at a glance."""
import pytest
from adapters import run_pixel_accuracy


@pytest.mark.exercise("0.1", points=1)
def test_pixel_accuracy(case):
    case.run(run_pixel_accuracy)
