"""Every exercise in a process of its own: what hangs, prints, exits or raises there harms no other."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def test_exercise(path, exercise, scores, tmp_path, pytestconfig):
    told = grade(path, exercise.number, tmp_path / "verdict.json", pytestconfig.getoption("seconds"), pytestconfig.getoption("variant"))
    scores.append((exercise, told))
    if told:
        pytest.fail(told, pytrace=False)


def grade(path, number, out, seconds=30.0, variant=None):
    """None, or what is wrong. out: where the child leaves its verdict, which no print of the student reaches."""
    tutorial = Path(__file__).parent.parent
    child = subprocess.Popen([sys.executable, "-m", "grade", Path(path).absolute(), number, out, *([] if variant is None else [str(variant)])], cwd=tutorial, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return f"not finished after {seconds:g} seconds; does a loop never end?"
    finally:
        stop(child)
    return json.loads(out.read_text()) if out.exists() else f"your code ended the process (exit code {child.returncode})"


def stop(child):
    """The child and whatever it has started."""
    try:
        os.killpg(child.pid, signal.SIGKILL) if hasattr(os, "killpg") else child.kill()
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()
