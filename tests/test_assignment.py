"""The course as a package: it is what the script writes, fails on the stubs, passes on the solutions, and rejects wrong answers."""
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

TUTORIAL = Path(__file__).parent.parent / "tutorial"
sys.path[:0] = [str(TUTORIAL), str(Path(__file__).parent)]
import make_assignment  # noqa: E402  (found by the line above)

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
    """({exercise: points reached}, [(test, message) that failed], whole output) of the assignment's own tests."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--junitxml=report.xml", *options], cwd=folder, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(TUTORIAL.parent), "PYTHONDONTWRITEBYTECODE": "1"})
    failed = [(case.get("name"), found.get("message")) for case in ElementTree.parse(folder / "report.xml").iter("testcase") for found in case if found.tag in ("failure", "error")]
    lines = [line.split() for line in done.stdout.partition(" points ")[2].splitlines() if " of " in line]
    assert done.returncode == bool(failed), done.stdout[-2000:] + done.stderr[-2000:]
    return {number: int(got) for number, *_, got, _, _ in lines if number != "total"}, failed, done.stdout
