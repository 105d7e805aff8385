"""The students' version of the notebooks: python tutorial/make_student.py OUT/

Solutions become NotImplementedError("Exercise 5.2") below their docstrings, hidden tests and outputs go. plots.py comes along.
"""
import argparse
import json
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION", re.M | re.S)
HIDDEN = re.compile(r"\n*^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS", re.M | re.S)


def student(notebook: dict) -> dict:
    """A notebook as read from its JSON, without what students should not see."""
    cells = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell = cell | {"outputs": [], "execution_count": None}
            number = cell["metadata"].get("nbgrader", {}).get("grade_id", "").removeprefix("ex-").replace("-", ".")
            text = HIDDEN.sub("", SOLUTION.sub(rf'\1raise NotImplementedError("Exercise {number}")', text))
        cells.append(cell | {"source": text.splitlines(keepends=True)})
    return notebook | {"cells": cells}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=Path)
    p.add_argument("--force", action="store_true", help="replace notebooks that are already there")
    a = p.parse_args()
    notebooks = sorted(HERE.glob("[0-9]*.ipynb"))
    there = [a.out / path.name for path in notebooks if (a.out / path.name).exists()]
    if there and not a.force:
        print(f"make_student: {there[0]} exists; give an empty folder, or --force to replace it", file=sys.stderr)
        return 2
    try:
        a.out.mkdir(parents=True, exist_ok=True)
        for path in notebooks:
            text = json.dumps(student(json.loads(path.read_text(encoding="utf-8"))), indent=1, ensure_ascii=False) + "\n"
            (a.out / path.name).write_text(text, encoding="utf-8")
        shutil.copy(HERE / "plots.py", a.out)
        shutil.copytree(HERE / "figures", a.out / "figures", dirs_exist_ok=True)
    except OSError as e:
        print(f"make_student: {a.out}: {e.strerror}", file=sys.stderr)
        return 1
    print(f"{len(notebooks)} notebooks in {a.out}")


if __name__ == "__main__":
    sys.exit(main())
