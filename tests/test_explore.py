"""The explorer: what its page holds, and its command. The page in a browser: test_explore_browser."""
import io
import json
import re
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from explorer_page import (
    HOSTILE,
    MEADOW,
    ROOT,
    WORDS,
    array_of,
    block,
    explore,
    facts_of,
    meadow,
    model,
    scene,
)
from PIL import Image

import minifaseg
from minifaseg.cartoon.painter import paint
from minifaseg.explore.__main__ import main
from minifaseg.explore.pack import encode, grids_of
from minifaseg.explore.page import SCRIPTS, as_data
from minifaseg.methods import parse_method
from minifaseg.prompts import class_maps, class_prompts


# ---- what the page holds -------------------------------------------------------------------------
def test_the_page_holds_every_level_of_both_views(meadow, model):
    """Class maps in 16 bits, self-attention within a code's half step."""
    image = Image.open(MEADOW).convert("RGB")
    captured = minifaseg.make_method("faseg", model).capture(model, image, WORDS)
    facts = facts_of(meadow)
    assert facts["grids"] == [[4, 4], [8, 8], [16, 16], [32, 32]] and facts["views"] == 2 and facts["classes"]["own"] == list(WORDS)
    for r, grid in enumerate(captured.grids):
        C = class_maps(captured.cross_map(grid, captured.lookup.states), captured.lookup)
        A = captured.self_map(grid)
        for v in (0, 1):
            np.testing.assert_allclose(class_maps_in(meadow, f"cross/own/0/{v}/{r}"), C[v], atol=1e-5 * C[v].max().item())
            codes = array_of(meadow, f"self/0/{v}/{r}").astype(np.uint64).cumsum(1).cumsum(0) % 256
            ours = codes.astype(float) ** 2 * array_of(meadow, f"scale/0/{v}/{r}")[:, None]
            assert np.abs(ours.sum(1) - 1).max() < 1e-5
            largest = 127 if grid == captured.grids[-1] else 255
            step = 2 * np.sqrt(A[v].numpy() * A[v].amax(1, keepdim=True).numpy()) / largest + 1e-3 * A[v].amax(1, keepdim=True).numpy()
            assert (np.abs(ours - A[v].numpy()) <= step).all()


def class_maps_in(page, name):
    return array_of(page, name) * facts_of(page)["arrays"][name]["scale"]


def test_the_page_holds_what_its_controls_ask(meadow, scene, model):
    """Other words in P', by the package's own functions; `reversed` in the order of the classes."""
    image = Image.open(MEADOW).convert("RGB")
    method = minifaseg.make_method("faseg", model)
    captured = method.capture(model, image, WORDS)
    asked = {"absent": (*WORDS, "bus"), "twice": (*WORDS, "cat"), "reversed": WORDS[::-1]}
    classes = facts_of(meadow)["classes"]
    assert {name: tuple(found) for name, found in classes.items()} == asked | {"own": WORDS, "reversed": WORDS}
    for name, words in asked.items():
        for r, grid in enumerate(captured.grids):
            lookup = class_prompts(model.text, words)
            C = class_maps(captured.cross_map(grid, lookup.states), lookup)
            if name == "reversed":
                C = C.flip(-1)
            for v in (0, 1):
                np.testing.assert_allclose(class_maps_in(meadow, f"cross/{name}/0/{v}/{r}"), C[v], atol=1e-5 * C[v].max().item())
    assert facts_of(scene)["classes"]["absent"][-1] not in paint(7, 128).classes


def test_controls_that_a_page_cannot_have(tmp_path):
    """One class has no other order; in a single prompt names are part of P, which was captured."""
    assert explore(tmp_path / "a.html", MEADOW, "cat", "--absent", "boat") == 0
    assert facts_of(tmp_path / "a.html")["classes"] == {"own": ["cat"], "absent": ["cat", "boat"], "twice": ["cat", "cat"]}
    assert explore(tmp_path / "b.html", MEADOW, "cat", "dog", "--method", "faseg:dual=False") == 0
    assert list(facts_of(tmp_path / "b.html")["classes"]) == ["own"]


def test_other_methods_come_finished(tmp_path, model):
    """Labels as `segment` gives them, scores within a step of 8 bits."""
    specs = "iseg,datasetdiffusion:certain=0.5", "diffseg", "invseg", "goca"
    assert explore(tmp_path / "x.html", MEADOW, *WORDS, "--method", "faseg:tau=3," + ",".join(specs)) == 0
    facts = facts_of(tmp_path / "x.html")
    assert facts["own"]["tau"] == 3 and [o["spec"] for o in facts["others"]] == ",".join(specs).split(",")
    for other in facts["others"]:
        name, hyperparameters = parse_method(other["spec"])
        result = minifaseg.segment(MEADOW, WORDS, model, method=name, **hyperparameters)
        assert np.array_equal(array_of(tmp_path / "x.html", f"labels/{other['spec']}"), result.labels)
        maps, _ = result.method.upsampling(result.captured, result.grid_scores)
        step = (other["high"] - other["low"]) / 255
        ours = other["low"] + array_of(tmp_path / "x.html", f"scores/{other['spec']}") * step
        np.testing.assert_allclose(ours.transpose(2, 0, 1), maps.float(), atol=0.51 * step)
        assert other["threshold"] == result.method.threshold


def test_the_tours_pixels(meadow, scene, tmp_path, model):
    """The first word's best pixel, and a wrong one: nothing is surer of itself in its cell, and no cell is wronger."""
    for page, image, classes in ((meadow, MEADOW, WORDS), (scene, paint(7, 128).image, paint(7, 128).classes)):
        result, truth, tour = minifaseg.segment(image, classes, model), array_of(page, "truth"), facts_of(page)["tour"]
        x, y = tour["best"]
        assert result.scores[0, y, x] == result.scores[0].max()
        values = np.concatenate([np.full_like(result.scores[:1], result.method.threshold), result.scores])
        lead = values.max(0) - np.take_along_axis(values, truth[None].astype(int), 0)[0]
        side = len(truth) // 32
        cells = lead.reshape(32, side, 32, side).sum((1, 3))
        x, y = tour["why"]
        assert result.labels[y, x] != truth[y, x] and cells[y // side, x // side] == pytest.approx(cells.max())
        cell = lead[y // side * side:, x // side * side:][:side, :side]
        assert lead[y, x] == cell.max()
    assert explore(tmp_path / "x.html", MEADOW, *WORDS) == 0                 # no truth: the least sure pixel
    result, (x, y) = minifaseg.segment(MEADOW, WORDS, model), facts_of(tmp_path / "x.html")["tour"]["why"]
    first, second = np.sort(np.concatenate([np.full_like(result.scores[:1], result.method.threshold), result.scores]), 0)[[-1, -2]]
    assert first[y, x] - second[y, x] == (first - second).min()


@pytest.mark.parametrize("bits, error", [(7, 1e-2), (8, 5e-3), (16, 2e-5)])
def test_codes_keep_rows(bits, error):
    A = torch.randn(40, 40, generator=torch.Generator().manual_seed(0)).mul(3).softmax(1)
    codes, scale = encode(A, bits)
    found = codes.astype(float) ** 2 * scale[:, None]
    assert codes.max() == 2 ** bits - 1 and np.abs(found - A.numpy()).max() < error * A.max().item()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


def test_grids_are_those_that_are_captured(model):
    captured = minifaseg.make_method("faseg", model).capture(model, paint(0, 128).image, ("cat",))
    assert [[n, n] for n in grids_of(model)] == [list(grid) for grid in captured.grids]


def test_small_enough_and_whole(meadow, scene):
    for page in (meadow, scene):
        text = page.read_text(encoding="utf-8")
        assert len(text) <= 2_000_000 and "{{" not in re.sub(r"<script.*?</script>", "", text, flags=re.S)
        assert not re.search(r"(src|href)=(?![\"']?(data:|#))|https?://|@import", re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.S))
    lines = [(ROOT / f"minifaseg/explore/{name}.js").read_text(encoding="utf-8").splitlines() for name in ("method", *SCRIPTS)]
    assert {path.stem for path in (ROOT / "minifaseg/explore").glob("*.js")} == {"method", *SCRIPTS}
    assert sum(map(len, lines)) <= 1300 and max(len(line) for file in lines for line in file) <= 100


def test_timesteps_levels_and_bits(tmp_path):
    assert explore(tmp_path / "x.html", "--scene", 3, "--timesteps", "5,20", "--levels", "8,16", "--bits", 16) == 0
    facts = facts_of(tmp_path / "x.html")
    assert [c["timestep"] for c in facts["captures"]] == [5, 20] and facts["own"]["timestep"] == 5
    assert facts["refinable"] == [False, True, True, False] and facts["bits"] == [16, 16]
    assert facts["arrays"]["self/1/0/2"]["type"] == "u2" and "self/0/0/3" not in facts["arrays"]
    assert not np.array_equal(array_of(tmp_path / "x.html", "cross/own/0/0/2"), array_of(tmp_path / "x.html", "cross/own/1/0/2"))


def test_a_large_picture_is_shown_smaller(tmp_path):
    Image.new("RGB", (3000, 1500), (90, 160, 60)).save(tmp_path / "x.png")
    assert explore(tmp_path / "x.html", tmp_path / "x.png", "grass") == 0
    facts = facts_of(tmp_path / "x.html")
    assert (facts["width"], facts["height"], facts["full"]) == (1024, 512, [3000, 1500])


def test_data_cannot_end_its_element():
    text = as_data({"a": HOSTILE + "\u2028 &amp; <!-- 猫"})
    assert not re.search(r"[<>&]", text) and text.isascii() and json.loads(text) == {"a": HOSTILE + "\u2028 &amp; <!-- 猫"}


# ---- the command ---------------------------------------------------------------------------------
def test_the_page_goes_beside_the_picture_and_is_not_overwritten(tmp_path, monkeypatch, capsys):
    shutil.copy(MEADOW, tmp_path / "x.png")
    monkeypatch.chdir(tmp_path)
    arguments = ["x.png", "cat", "--weights", "cartoon", "--device", "cpu"]
    assert main(arguments) == 0
    page = tmp_path / "x_explore.html"
    before = page.read_bytes()
    assert re.search(r"x_explore\.html: [\d.]+ MB", capsys.readouterr().out)
    assert main([*arguments, "dog"]) == 2 and "x_explore.html exists; --force overwrites" in capsys.readouterr().err
    assert page.read_bytes() == before
    assert main([*arguments, "dog", "--force"]) == 0 and page.read_bytes() != before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.png", "x_explore.html"]


@pytest.mark.parametrize("arguments, code, words", [
    ([], 2, "no picture; give one and class names, or --scene N"),
    (["none.png", "cat"], 1, "none.png"),
    ([MEADOW], 2, "no class names"),
    ([MEADOW, "zebra"], 1, "does not know 'zebra'"),
    ([MEADOW, "cat", "--method", "isig"], 2, "no method 'isig'"),
    ([MEADOW, "cat", "--method", "iseg:gama=1"], 2, "no number called gama"),
    ([MEADOW, "cat", "--method", "iseg,goca,iseg"], 2, "iseg is there twice"),
    ([MEADOW, "cat", "--absent", "Cat"], 2, "'Cat' is given twice"),
    ([MEADOW, "cat", "--absent", "zebra"], 1, "does not know 'zebra'"),
    ([MEADOW, "cat", "--method", "faseg:tua=1"], 2, "no number called tua"),
    ([MEADOW, "cat", "--levels", "5"], 2, "no level of 5 x 5 cells; there is: 4, 8, 16, 32"),
    ([MEADOW, "cat", "--timesteps", "a"], 2, "give whole numbers"),
    ([MEADOW, "cat", "--timesteps", "5000"], 1, "timestep"),
    (["--scene", "-1"], 2, "scenes count from 0"),
    ([MEADOW, "cat", "--truth", MEADOW], 1, "of mode RGB"),
    ([MEADOW, "cat", "--truth", ROOT / "tutorial/figures/meadow_truth.png"], 1, "label 3, but there are 1 classes")])
def test_bad_requests_are_one_line(tmp_path, capsys, arguments, code, words):
    assert explore(tmp_path / "x.html", *arguments) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("weights:")]
    assert len(lines) == 1 and lines[0].startswith("minifaseg: ") and words in lines[0], lines
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_half_written(tmp_path, capsys):
    """A folder that is a file: the page has no place to go."""
    (tmp_path / "folder").write_text("")
    assert explore(tmp_path / "folder/x.html", "--scene", 0) == 1
    assert "cannot be written" in capsys.readouterr().err and [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_as_a_module(tmp_path, monkeypatch):
    """`python -m minifaseg.explore`, in this process."""
    monkeypatch.setattr(sys, "argv", ["explore", "--scene", "2", "--weights", "cartoon", "-o", str(tmp_path / "x.html")])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("minifaseg.explore", run_name="__main__")
    assert not end.value.code and (tmp_path / "x.html").stat().st_size > 100_000


@pytest.mark.slow
def test_as_a_process(tmp_path):
    command = [sys.executable, "-m", "minifaseg.explore", "--scene", "2", "--weights", "cartoon", "-o", tmp_path / "x.html"]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "x.html").stat().st_size > 100_000, done.stderr


# ---- the page in the tutorial --------------------------------------------------------------------
def test_the_tutorials_page_is_of_today(tmp_path, monkeypatch):
    """python tutorial/explorer.py: its code and data are today's; maps up to what another processor rounds."""
    monkeypatch.syspath_prepend(str(ROOT / "tutorial"))
    import explorer
    stored, today = ROOT / "tutorial/explorer.html", explorer.write_page(tmp_path / "x.html")
    assert stored.stat().st_size <= 2_000_000
    for id in ("method",):
        assert block(stored, id) == block(today, id)
    without = lambda page: re.sub(r'<script type="(application/json|text/plain)".*?</script>', "", page.read_text(encoding="utf-8"), flags=re.S)
    assert without(stored) == without(today)
    facts, facts_today = facts_of(stored), facts_of(today)
    for found in (facts, facts_today):                                       # numbers that are rounded
        found["scales"] = [place.pop("scale") for place in found["arrays"].values() if "scale" in place]
        found["ranges"] = [other.pop(end) for other in found["others"] for end in ("low", "high")]
    assert {k: v for k, v in facts.items() if k not in ("scales", "ranges")} == {k: v for k, v in facts_today.items() if k not in ("scales", "ranges")}
    for numbers in ("scales", "ranges"):
        np.testing.assert_allclose(facts[numbers], facts_today[numbers], rtol=2e-2, atol=1e-3)
    for name in facts["arrays"]:
        a, b = array_of(stored, name), array_of(today, name)
        if name.startswith("cross/"):
            np.testing.assert_allclose(class_maps_in(stored, name), class_maps_in(today, name), rtol=2e-2, atol=1e-4)
        elif name.startswith("scale/"):
            np.testing.assert_allclose(a, b, rtol=2e-2, atol=1e-4)
        elif name.startswith(("labels/", "truth")):
            assert (a == b).mean() > 0.998, name
        else:                                                                # codes: those of self-attention are differences of four
            gap = np.abs(a.astype(int) - b)
            assert np.minimum(gap, 256 - gap).max() <= 4, name


def test_the_picture_of_the_page_is_a_picture():
    image = Image.open(ROOT / "tutorial/figures/explorer.png")
    assert image.width > 1000 and len(io.BytesIO((ROOT / "tutorial/figures/explorer.png").read_bytes()).getvalue()) < 600_000
