"""Every notebook runs from a clean kernel; what is committed is executed, small, clean, and reads without eyes."""
import ast
import json
import os
import re
from pathlib import Path

import pytest
from nbmake.nb_run import NotebookRun

TUTORIAL = Path(__file__).parent.parent / "tutorial"
NOTEBOOKS = sorted(TUTORIAL.glob("*.ipynb"))
COLAB = TUTORIAL / "sd15_colab.ipynb"          # no lesson: real weights on a GPU, here with the cartoon model
BY_NAME = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


@pytest.mark.slow
@BY_NAME
def test_runs_from_a_clean_kernel(path, monkeypatch, tmp_path):
    """Its own assertions are the test. 10 goes on with the network that it has trained before; test_tiny trains one.

    In every run: 03 as students get it, in a kernel, and the exercises of all of them, in test_course.
    """
    monkeypatch.setenv("MINIFASEG_WEIGHTS", "cartoon")
    text = path.read_text(encoding="utf-8")
    if path.stem.startswith("10"):
        assert text.count("TRAIN = True ") == 1
        text, path = text.replace("TRAIN = True ", "TRAIN = False "), tmp_path / path.name
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(TUTORIAL), prepend=os.pathsep)
    result = NotebookRun(path, default_timeout=600).execute()
    assert result.error is None, f"{result.error.failing_cell_index}: {result.error.summary}\n{result.error.trace}"


@BY_NAME
def test_is_committed_executed_small_and_clean(path):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert len(text) < 1_000_000
    assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1))
    assert not any(o["output_type"] == "error" for c in code for o in c["outputs"])
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert all(set(c["metadata"]) <= {"tags", "nbgrader"} for c in notebook["cells"])
    if path == COLAB:
        assert [c["metadata"].get("tags") for c in code].count(["parameters"]) == 1
        return
    assert any("Predict before you run" in "".join(c["source"]) for c in notebook["cells"])
    assert [c["metadata"].get("tags") for c in code].count(["setup"]) == 1 and sum("thumbnail" in c["metadata"].get("tags", []) for c in code) == 1


def test_the_notebook_for_real_weights_shows_what_the_cartoon_model_did():
    """It says so itself, it names no place of the machine that ran it, and its source is the project's address."""
    text = COLAB.read_text(encoding="utf-8")
    assert "weights: the built-in cartoon model" in text and "**arithmetic, not measured**" in text
    assert not re.search(r"/(home|tmp|root|Users)/", text)
    address = re.search(r'^address = "(.*?)"', (TUTORIAL.parent / "pyproject.toml").read_text(encoding="utf-8"), flags=re.M)[1]
    assert f'SOURCE = \\"{address}\\"\\n' in text
    assert address or "has no public address yet" in text


@pytest.mark.parametrize("path", [*NOTEBOOKS, *TUTORIAL.glob("*.md"), TUTORIAL.parent / "README.md"], ids=lambda p: p.name)
def test_figures_have_words_and_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
    text = re.sub(r"```.*?```|\$\$.*?\$\$", "", text, flags=re.S)
    for bang, words, target in re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", text):
        assert not bang or len(words) > 20, f"{target}: say what the figure shows"
        assert re.match(r"https?://|#", target) or (path.parent / target.partition("#")[0]).exists(), f"{target} leads nowhere"


LESSONS = [path for path in NOTEBOOKS if path != COLAB]
BY_LESSON = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)


def cells(path, kind):
    return ["".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


@BY_LESSON
def test_says_where_it_stands_and_what_it_costs(path):
    """Under the title: the neighbours, the glossary, the bibliography, minutes; at the end, what comes next."""
    first, i = cells(path, "markdown")[0], LESSONS.index(path)
    before = f"[← {LESSONS[i - 1].name[:2]}]({LESSONS[i - 1].name}) · " if i else ""
    after = f" · [{LESSONS[i + 1].name[:2]} →]({LESSONS[i + 1].name})" if path != LESSONS[-1] else ""
    expected = f"{before}**{path.name[:2]}**{after} · [glossary](glossary.md) · [bibliography](bibliography.md) · "
    assert expected in first, f"no line {expected!r}"
    assert re.search(r"\d+ minutes to read and run, \d+ for the exercises?", first.partition(expected)[2])


@BY_LESSON
def test_a_control_could_break_its_claim(path):
    """A cell tagged "control" ends with an assertion of what came out; above it, the claim and a prediction."""
    notebook = json.loads(path.read_text(encoding="utf-8"))["cells"]
    controls = [i for i, cell in enumerate(notebook) if "control" in cell["metadata"].get("tags", [])]
    assert controls
    for i in controls:
        before = [c for c in notebook[:i] if c["cell_type"] == "markdown"][-1]
        assert re.search(r"^### Control: ", "".join(before["source"]), re.M) and "**Predict before you run.**" in "".join(before["source"])
        last = ast.parse("".join(notebook[i]["source"])).body[-1]
        assert any(isinstance(node, ast.Assert) for node in ast.walk(last))


@BY_LESSON
def test_lines_can_be_read_without_scrolling(path):
    for source in cells(path, "code"):
        for line in source.splitlines():
            assert len(line) <= 100, f"{len(line)} columns: {line}"


@BY_LESSON
def test_no_code_stands_above_the_exercise_that_asks_for_it(path, monkeypatch):
    """plots.source of the function that the grader forbids comes after its exercise."""
    monkeypatch.syspath_prepend(str(TUTORIAL))
    from grade import check_of
    shown = ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if number := re.fullmatch(r"ex-(\d+)-(\d+)", cell["metadata"].get("nbgrader", {}).get("grade_id", "")):
            for function in getattr(check_of(".".join(number.groups())), "refused", ()):
                assert not re.search(rf"plots\.source\([^)]*\b{function.__name__}\b", shown), f"{function.__name__} is shown above {number[0]}"
        shown += source
