"""Makes the students' version of the notebooks.

    python tutorial/make_student.py OUT/

Below its docstring, a solution becomes NotImplementedError("Exercise 5.2"). Hidden tests and
outputs are left out. plots.py and the figures are copied, too.
"""
import argparse
import json
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOLUTION = re.compile(
    r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION", re.M | re.S)
HIDDEN = re.compile(
    r"\n*^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS", re.M | re.S)


def student_code(cell: dict) -> str:
    """The source of a code cell without solution and hidden tests."""
    grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
    number = grade_id.removeprefix("ex-").replace("-", ".")
    text = "".join(cell["source"])
    text = SOLUTION.sub(rf'\1raise NotImplementedError("Exercise {number}")', text)
    return HIDDEN.sub("", text)


def student(notebook: dict) -> dict:
    """A notebook as read from its JSON, without what students should not see."""
    cells = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            text = student_code(cell)
            cell = cell | {"outputs": [], "execution_count": None}
        cells.append(cell | {"source": text.splitlines(keepends=True)})
    return notebook | {"cells": cells}


def write_notebooks(notebooks: list[Path], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for path in notebooks:
        theirs = student(json.loads(path.read_text(encoding="utf-8")))
        text = json.dumps(theirs, indent=1, ensure_ascii=False) + "\n"
        (out / path.name).write_text(text, encoding="utf-8")
    shutil.copy(HERE / "plots.py", out)
    shutil.copytree(HERE / "figures", out / "figures", dirs_exist_ok=True)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=Path)
    p.add_argument("--force", action="store_true",
                   help="replace notebooks that are already there")
    a = p.parse_args()
    notebooks = sorted(HERE.glob("[0-9]*.ipynb"))
    existing = [a.out / path.name for path in notebooks if (a.out / path.name).exists()]
    if existing and not a.force:
        print(f"make_student: {existing[0]} exists; give an empty folder, "
              "or --force to replace it", file=sys.stderr)
        return 2
    try:
        write_notebooks(notebooks, a.out)
    except OSError as e:
        print(f"make_student: {a.out}: {e.strerror}", file=sys.stderr)
        return 1
    print(f"{len(notebooks)} notebooks in {a.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
