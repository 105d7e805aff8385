"""Makes the students' version of the notebooks.

    python tutorial/make_student.py OUT/
    python tutorial/make_student.py OUT/ --variant 7 --solutions FOLDER/

The solutions of these notebooks are public. A variant, any number from 1 on, changes most exercises
(grade/variants.py): students get other notebooks, and the grader takes the same --variant. Into
FOLDER go the lecturer's own notebooks of that variant, with solutions and hidden tests.

Below its docstring, a solution becomes "# your code here" and NotImplementedError("Exercise 5.2").
Hidden tests and outputs are left out. The tests that stay are put into `with exercise("5.2"):`
(exercise.py), which prints how the exercise stands: a notebook runs to its end, solved or not.
Each notebook begins with a cell that says how to work with it. plots.py, touch.py, the figures and
the pages that the notebooks link to are copied, too.
"""
import argparse
import ast
import json
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = ("plots.py", "exercise.py", "touch.py", "tiny.py", "tiny.safetensors")
# Where the collection of pages begins: notation, and the page that the notebooks ask to open.
FIRST_PAGES = ("README.md", "explorer.html")
PAGE_TYPES = {".md", ".ipynb", ".html", ".csv", ".png"}
INSTRUCTOR = "INSTRUCTOR.md"                  # holds answers

SOLUTION = re.compile(
    r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION", re.M | re.S)
HIDDEN = re.compile(
    r"\n*^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS", re.M | re.S)
FENCED = re.compile(r"(```.*?```)", re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
EXPLORER = re.compile(r"(?<!\[)`tutorial/explorer.html`")        # no link yet; beside the notebooks
IMPORT = "from exercise import exercise          # prints how an exercise stands\n"

HOW_TO_WORK = """\
**How to work with this notebook.** *Run All* reaches its end at any time, whether the exercises
are solved or not.

- **Write** below `# your code here`, in place of the line that raises `NotImplementedError`.
- **Is it right?** Run your cell and the one below it, after the cells above them, at least the
  first code cell. It prints one line: *not done yet*, or what is not right, or that its tests pass.
  These tests are few; the grader's are stricter.
- **The grader** runs two cells, each exercise by itself: the first code cell of the notebook, with
  the imports, and your cell of that exercise. It runs nothing else. Helper functions and further
  imports therefore belong into the cell of the exercise.
- **To grade yourself**, save the notebook. If you have the project, run in its folder, with the
  path of your notebook:

  `python -m pytest tutorial/grade --notebook PATH/{name}{variant}`

  If you do not have it, the tests that you see are all there is: hand in when they pass.

Symbols are explained in [README.md](README.md#notation)."""


# What becomes of the cells


def number_of(cell: dict) -> str:
    """"5.2" for the cells "ex-5-2" and "test-5-2"."""
    grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
    return grade_id.partition("-")[2].replace("-", ".")


def student_code(cell: dict) -> str:
    """The source of a code cell without solution and hidden tests, its tests in `exercise`."""
    number = number_of(cell)
    nbgrader = cell["metadata"].get("nbgrader", {})
    text = "".join(cell["source"])
    todo = r"\1# your code here, in place of the next line" + "\n"
    text = SOLUTION.sub(todo + rf'\1raise NotImplementedError("Exercise {number}")', text)
    text = HIDDEN.sub("", text)
    if nbgrader.get("grade") and ast.parse(text).body:
        text = f'with exercise("{number}"):\n{indented(text)}'
    if "setup" in cell["metadata"].get("tags", []):
        text = IMPORT + text
    return text


def indented(code: str) -> str:
    """The code four columns to the right, but for lines that begin inside of a string."""
    inside = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            inside.update(range(node.lineno + 1, node.end_lineno + 1))
    lines = code.splitlines(keepends=True)
    return "".join(line if n in inside or not line.strip() else "    " + line
                   for n, line in enumerate(lines, start=1))


def student_metadata(cell: dict) -> dict:
    """A cell that a student writes may raise, a SyntaxError for example: Jupyter goes on."""
    metadata = cell["metadata"]
    if metadata.get("nbgrader", {}).get("solution"):
        metadata = metadata | {"tags": [*metadata.get("tags", []), "raises-exception"]}
    return metadata


def student(notebook: dict, name: str, files: set[Path], variant: int | None = None) -> dict:
    """A notebook as read from its JSON, without what students should not see.

    name: of its file; files: those that students get; variant: its number, if it is one.
    """
    option = "" if variant is None else f" --variant {variant}"
    first = {"cell_type": "markdown", "id": "how-to-work", "metadata": {},
             "source": HOW_TO_WORK.format(name=name, variant=option).splitlines(keepends=True)}
    cells = [first]
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            text = student_code(cell)
            cell = cell | {"outputs": [], "execution_count": None,
                           "metadata": student_metadata(cell)}
        elif cell["cell_type"] == "markdown":
            text = student_links(text, files)
        cells.append(cell | {"source": text.splitlines(keepends=True)})
    return notebook | {"cells": cells}


# Links, and the files that they lead to


def relative_links(text: str) -> list[str]:
    """What a Markdown text links to beside itself, without anchors."""
    targets = [target.partition("#")[0] for _, _, target in LINK.findall(FENCED.sub("", text))]
    return [target for target in targets if target and ":" not in target]


def student_links(text: str, files: set[Path]) -> str:
    """A Markdown text whose links to files that students do not get are words."""
    def replaced(link: re.Match) -> str:
        bang, words, target = link.groups()
        path = (HERE / target.partition("#")[0]).resolve()
        if not relative_links(link[0]) or path in files:
            return link[0]
        if path.name == INSTRUCTOR:
            return f"{words} (your instructor has it)"
        root = HERE.parent
        place = path.relative_to(root).as_posix() if path.is_relative_to(root) else target
        if place.endswith(words.strip("`/")):
            return f"`{place}`"
        if f"`{path.name}`" in words:
            return words.replace(f"`{path.name}`", f"`{place}`")
        return f"{words}, `{place}`"

    parts = FENCED.split(text)                            # every second one is fenced
    parts[::2] = [LINK.sub(replaced, part) for part in parts[::2]]
    return EXPLORER.sub("[explorer.html](explorer.html)", "".join(parts))


def markdown_of(path: Path) -> str:
    """The Markdown of a page or of a notebook; of other files none."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return ""


def files_for_students(notebooks: list[Path]) -> set[Path]:
    """The notebooks, what they and README.md link to in this folder, what that links to, ...

    Not the instructor's page, and no scripts: these run in the project's folder only.
    """
    found: set[Path] = set()
    waiting = [*notebooks, *(HERE / name for name in FIRST_PAGES)]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for target in relative_links(markdown_of(path)):
            linked = (path.parent / target).resolve()
            is_page = linked.suffix in PAGE_TYPES and linked.name != INSTRUCTOR
            handed_out = linked.parent in (HERE, HERE / "figures")
            if is_page and handed_out and linked.is_file():
                waiting.append(linked)
    return found


# Writing


def as_json(notebook: dict) -> bytes:
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def page(path: Path, files: set[Path]) -> bytes:
    """What students get of a file that is no lesson."""
    if path.suffix == ".md":
        return student_links(markdown_of(path), files).encode()
    if path.suffix == ".ipynb":
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                text = student_links("".join(cell["source"]), files)
                cell["source"] = text.splitlines(keepends=True)
        return as_json(notebook)
    return path.read_bytes()


def read(path: Path, variant: int | None) -> dict:
    """A lecturer's notebook, in a variant if one is asked for."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if variant is None:
        return notebook
    from grade.variants import changed  # loads torch
    return changed(notebook, variant)


def write_beside(folder: Path) -> None:
    """What notebooks import, and their figures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        shutil.copy(HERE / name, folder)
    shutil.copytree(HERE / "figures", folder / "figures", dirs_exist_ok=True)


def write_solutions(notebooks: list[Path], folder: Path, variant: int) -> None:
    """The lecturer's notebooks of a variant, and what they need beside themselves to run.

    Outputs are left out, for they are the original's.
    """
    write_beside(folder)
    for path in notebooks:
        notebook = read(path, variant)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell |= {"outputs": [], "execution_count": None}
        (folder / path.name).write_bytes(as_json(notebook))


def write_notebooks(notebooks: list[Path], out: Path, force: bool,
                    variant: int | None = None) -> list[str]:
    """Writes all files; returns the pages that were there before and are kept without force."""
    files = files_for_students(notebooks)
    write_beside(out)
    for path in notebooks:
        theirs = student(read(path, variant), path.name, files, variant)
        (out / path.name).write_bytes(as_json(theirs))

    left = []
    for path in sorted(files - set(notebooks)):
        if path.parent != HERE:                           # among the figures
            continue
        text, target = page(path, files), out / path.name
        if target.exists() and target.read_bytes() != text and not force:
            left.append(path.name)
        else:
            target.write_bytes(text)
    return left


def variant_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a variant, 1 or more")
    return int(text)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=Path)
    p.add_argument("--force", action="store_true",
                   help="replace notebooks and pages that are already there")
    p.add_argument("--variant", type=variant_number, metavar="N",
                   help="with other exercises, by this number; grade with the same --variant")
    p.add_argument("--solutions", type=Path, metavar="FOLDER",
                   help="where the lecturer's notebooks of the variant go")
    a = p.parse_args()
    if a.solutions and a.variant is None:
        p.error("--solutions goes with --variant; those of the original are in tutorial/")
    if a.solutions and a.solutions.resolve() in (HERE, a.out.resolve()):
        p.error("--solutions needs a folder of its own")
    notebooks = sorted(HERE.glob("[0-9]*.ipynb"))
    folders = [a.out, a.solutions] if a.solutions else [a.out]
    existing = [folder / path.name for folder in folders for path in notebooks
                if (folder / path.name).exists()]
    if existing and not a.force:
        print(f"make_student: {existing[0]} exists; give an empty folder, "
              "or --force to replace it", file=sys.stderr)
        return 2
    try:
        left = write_notebooks(notebooks, a.out, a.force, a.variant)
        if a.solutions:
            write_solutions(notebooks, a.solutions, a.variant)
    except OSError as e:
        print(f"make_student: {a.out}: {e.strerror}", file=sys.stderr)
        return 1
    print(f"{len(notebooks)} notebooks in {a.out}"
          + (f", their solutions in {a.solutions}" if a.solutions else ""))
    if left:
        print(f"left as they were (--force replaces them): {', '.join(left)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
