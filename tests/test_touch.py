"""Sliders in the notebooks: what they show is the package's own mask; without them stays a still picture."""
import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import minifaseg
from minifaseg.cartoon.painter import paint
from minifaseg.prompts import class_prompts

ipywidgets = pytest.importorskip("ipywidgets")
TUTORIAL = Path(__file__).parent.parent / "tutorial"
NOTEBOOKS = sorted(TUTORIAL.glob("*.ipynb"))
VIEW = "application/vnd.jupyter.widget-view+json"
NAMES = ("cat", "dog", "grass")


class Screen(list):
    """What a cell displays, instead of IPython.display.display; a figure is exchanged by its handle's update."""

    def __call__(self, thing, display_id=None):
        self.append(thing)
        return self if display_id else None

    def update(self, figure):
        (i,) = [i for i, thing in enumerate(self) if isinstance(thing, Figure)]
        self[i] = figure

    @property
    def panels(self):
        (figure,) = [thing for thing in self if isinstance(thing, Figure)]
        return [axis for axis in figure.axes if axis.images]

    @property
    def controls(self):
        (box,) = [thing for thing in self if isinstance(thing, ipywidgets.Widget)]
        return box.children

    def shows(self, labels, scores, names):
        """Whether mask, score maps and titles on the screen are these, to the last bit."""
        import plots
        colours = np.array([to_rgb(plots.label_colour(i)) for i in range(256)])
        mask, *maps = [np.asarray(axis.images[0].get_array()) for axis in self.panels[1:]]
        titles = [axis.get_title().partition(",")[0] for axis in self.panels[2:]]
        return (np.array_equal(mask, colours[labels]) and len(maps) == len(scores) and titles == [f'"{name}"' for name in names]
                and all(np.array_equal(shown, score.numpy()) for shown, score in zip(maps, scores)))


@pytest.fixture
def touch(monkeypatch):
    monkeypatch.syspath_prepend(str(TUTORIAL))
    import touch
    monkeypatch.setattr(touch, "display", Screen())
    return touch


@pytest.fixture(scope="module")
def seen():
    """(model, method, scene, captured)."""
    model = minifaseg.load("cartoon", "cpu", "float32")
    method = minifaseg.make_method("faseg", model, flip=False)
    scene = paint(6001, 64, things=("cat", "dog"), ground="grass")
    return model, method, scene, method.capture(model, scene.image, NAMES)


def running(touch, monkeypatch):
    monkeypatch.setattr(touch, "get_ipython", lambda: type("Shell", (), {"kernel": "runs"}))
    return touch.display


def test_sliders_give_the_mask_of_the_package(touch, monkeypatch, seen):
    model, method, scene, captured = seen
    screen = running(touch, monkeypatch)
    touch.sliders(method, captured, scene.image, NAMES)
    plain = minifaseg.segment(scene.image, NAMES, model, flip=False)
    assert screen.shows(plain.labels, plain.grid_scores, NAMES)
    tau, threshold, told = screen.controls
    assert (tau.value, tau.min, tau.max) == (method.tau, 0, 8) and (threshold.value, threshold.min, threshold.max) == (method.threshold, 0, 1)

    masks = [plain.labels]
    for t, theta in ((0, 0.3), (8, 0.3), (8, 0.71), (3, 0.0), (3, 1.0)):
        tau.value, threshold.value = t, theta
        scores = minifaseg.make_method("faseg", model, flip=False, tau=t).scores(captured)
        masks.append(minifaseg.label(scores, captured.size, theta))
        assert screen.shows(masks[-1], scores, NAMES)
    assert len({mask.tobytes() for mask in masks}) == len(masks) and told.value == ""
    assert captured.lookup is seen[3].lookup and method == minifaseg.make_method("faseg", model, flip=False)


def test_names_are_looked_up_without_another_pass(touch, monkeypatch, seen):
    model, method, scene, captured = seen
    screen, passes = running(touch, monkeypatch), []
    hook = model.unet.register_forward_hook(lambda *_: passes.append(1))
    try:
        touch.names(method, model, scene.image, "cat,  dog, grass")
        plain = minifaseg.segment(scene.image, NAMES, model, flip=False)
        assert screen.shows(plain.labels, plain.grid_scores, NAMES)
        passes.clear()
        box, told = screen.controls
        assert box.value == "cat, dog, grass"
        for text in ("cat, dog, grass, bus", "grass,red car", "dog"):
            box.value = text
            names = minifaseg.clean_classes(text)
            scores = method.scores(captured, class_prompts(model.text, names))
            assert screen.shows(minifaseg.label(scores, captured.size, method.threshold), scores, names) and told.value == ""
        assert not passes
    finally:
        hook.remove()


@pytest.mark.parametrize("text, says", [("cat, zebra", "does not know &#x27;zebra&#x27;"), ("cat, cat", "given twice"), ("cat,,dog", "is empty"),
                                        ("", "is empty"), ("cat, <b>", "&lt;b&gt;"), ("cat, " + "dog " * 90, "shorten"),
                                        (", ".join(f"{c} cat" for c in "abcdefghij" * 30), "at most 254")])
def test_a_bad_list_gives_one_line_and_leaves_the_picture(touch, monkeypatch, seen, capsys, text, says):
    model, method, scene, _ = seen
    screen = running(touch, monkeypatch)
    touch.names(method, model, scene.image, NAMES)
    box, told = screen.controls
    before = list(screen)
    box.value = text
    assert says in told.value and "\n" not in told.value and all(a is b for a, b in zip(screen, before))
    box.value = "dog, cat"
    assert told.value == "" and len(screen.panels) == 4
    assert capsys.readouterr() == ("", "")


def test_long_lists_wrap_and_draw_the_first_maps(touch, monkeypatch, seen):
    model, method, scene, _ = seen
    words = "cat, dog, grass, sky, bus, car, tree, house, snow, sea, wall, floor"
    touch.names(method, model, scene.image, words)
    assert len(touch.display.panels) == 2 + touch.MAPS


@pytest.mark.parametrize("kernel", [False, True])
def test_without_widgets_stays_the_still_picture(touch, monkeypatch, seen, capsys, kernel):
    """In a script there is nobody to tell; in a notebook without ipywidgets one line says how to get them."""
    model, method, scene, captured = seen
    if kernel:
        running(touch, monkeypatch)
        monkeypatch.setattr(touch, "ipywidgets", None)
    touch.sliders(method, captured, scene.image, NAMES)
    touch.names(method, model, scene.image, NAMES)
    assert [type(thing) for thing in touch.display] == [Figure, Figure]
    told = capsys.readouterr().out
    assert told == (2 * f"{touch.NO_SLIDERS}\n" if kernel else "") and "pip install" in touch.NO_SLIDERS


def test_clean_drops_views_of_widgets_and_their_state(monkeypatch):
    monkeypatch.syspath_prepend(str(TUTORIAL))
    import execute
    import nbformat.v4 as nb
    picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
    outputs = [nb.new_output("stream", text="a line\n"), nb.new_output("display_data", {"image/png": picture, "text/plain": "<Figure>"}),
               nb.new_output("display_data", {VIEW: {"model_id": "1"}, "text/plain": "VBox(children=(IntSlider(value=1),))"}),
               nb.new_output("execute_result", {VIEW: {"model_id": "2"}, "text/plain": "interactive(children=())"}, execution_count=1)]
    notebook = nb.new_notebook(cells=[nb.new_markdown_cell("text"), nb.new_code_cell("touch", outputs=outputs, execution_count=1)],
                               metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {}}}})
    execute.clean(notebook)
    assert [o.output_type for o in notebook.cells[1].outputs] == ["stream", "display_data"]
    assert list(notebook.cells[1].outputs[1].data) == ["image/png"] and "widgets" not in notebook.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_widget_is_stored(path):
    """A cell that calls `touch` has one output, its still picture; no widget's view, text or state is in any notebook."""
    text = path.read_text(encoding="utf-8")
    assert "jupyter.widget" not in text and not re.search(r"\(children=", text)
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code" and "touch." in "".join(cell["source"]):
            (output,) = cell["outputs"]
            assert list(output["data"]) == ["image/png"]


def test_three_notebooks_have_a_question_to_move_for(touch):
    """The markdown above asks a question, answers it folded, and links to the explorer; students get the module."""
    found = []
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for above, cell in zip(cells, cells[1:]):
            if cell["cell_type"] == "code" and (call := re.search(r"touch\.\w+", "".join(cell["source"]))):
                words = "".join(above["source"])
                assert re.search(r"^##+ Touch ", words) and "**Question.**" in words and "<summary>An answer</summary>" in words and "](explorer.html)" in words
                found.append((path.name[:2], call[0]))
    assert found == [("04", "touch.names"), ("05", "touch.sliders"), ("06", "touch.sliders")]
    import make_student
    assert "touch.py" in make_student.MODULES
