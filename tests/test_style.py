"""The habits that keep the code readable: ruff and mypy, with the settings of pyproject.toml."""
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("checker", [
    pytest.param(["ruff", "check", "."], id="ruff"),
    pytest.param(["mypy"], id="mypy", marks=pytest.mark.slow)])    # reads torch's types, too: most of a minute without its cache
def test_checkers_find_nothing(checker):
    run = subprocess.run([sys.executable, "-m", *checker], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
