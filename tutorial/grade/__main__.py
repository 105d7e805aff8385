"""The child process of test_exercises.py: python -m grade NOTEBOOK NUMBER OUT [VARIANT] writes the verdict of one exercise to OUT, as JSON."""
import json
import os
import sys
from pathlib import Path

from . import exercises, verdict

path, number, out, *variant = sys.argv[1:]
told = verdict(next(e for e in exercises(path) if e.number == number), *map(int, variant))
Path(out + ".part").write_text(json.dumps(told))
os.replace(out + ".part", out)
os._exit(0)                                               # threads that the student has left running do not matter
