"""The explorer's page in a real browser: equal to Python, by pointer and by keys, narrow and dark, hostile names."""
import html
import re
import shlex
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from explorer_page import HOSTILE, MEADOW, WORDS, array_of, explore, facts_of, meadow, model, scene
from PIL import Image

import minifaseg
from minifaseg.__main__ import main as segment_command
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES
from minifaseg.evaluate.metrics import confusion, iou
from minifaseg.explore.__main__ import main as explore_command
from minifaseg.labelling import label, upsample
from minifaseg.prompts import class_prompts

pytestmark = pytest.mark.browser


class Page:
    """A page in the browser, and all that went wrong in it."""

    def __init__(self, browser, file, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.troubles, self.requests = [], []
        self.page.on("console", lambda m: self.troubles.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.troubles.append(str(e)))
        self.page.on("dialog", lambda d: self.troubles.append(d.message))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(file.as_uri())
        self.until("Boolean(window.explorer && window.explorer.result)")

    def ask(self, script, *argument):
        return self.page.evaluate(script, *argument)

    def until(self, script, *argument, seconds=30):
        """Waits until this is true; Playwright's own way is forbidden by the page's policy."""
        end = time.monotonic() + seconds
        while not self.ask(script, *argument):
            assert time.monotonic() < end, f"never: {script}"
            time.sleep(0.02)

    def settled(self):
        """Waits for two frames and the workers."""
        self.ask("() => new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 120))")

    def set(self, id, value):
        """Moves a slider as a hand does: it says `input`."""
        self.ask("([id, value]) => { const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event('input', {bubbles: true})); }",
                 [id, str(value)])
        self.settled()

    def run(self, **changes):
        """(scores (K, h, w), labels (H, W)) that the page computes at these settings."""
        found = self.ask("""async (changes) => {
            const {data, method} = window.explorer;
            const result = await method.run({...data.own, ...changes});
            return {scores: [...result.scores], labels: [...result.labels], data: {grid: data.grids.at(-1), K: result.classes.length,
                    size: [data.height, data.width]}};
        }""", changes)
        facts = found["data"]
        scores = np.array(found["scores"]).reshape(*facts["grid"], facts["K"]).transpose(2, 0, 1)
        return scores, np.array(found["labels"], np.uint8).reshape(facts["size"])

    @property
    def labels(self):
        """What the page shows now."""
        found = self.ask("() => ({labels: [...window.explorer.result.labels], size: [window.explorer.data.height, window.explorer.data.width]})")
        return np.array(found["labels"], np.uint8).reshape(found["size"])

    @property
    def settings(self):
        return self.ask("() => structuredClone(window.explorer.settings)")

    def hover(self, x, y):
        """The pointer over a place of the picture, in parts of its sides."""
        box = self.page.locator("#stage").bounding_box()
        self.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        self.settled()

    def text(self, selector):
        return self.page.locator(selector).inner_text()


@pytest.fixture
def opened(browser):
    """Opens pages; at the end none has had an error or asked for anything outside itself."""
    pages = []

    def open(file, **options):
        pages.append(Page(browser, file, **{"viewport": {"width": 1280, "height": 900}} | options))
        return pages[-1]
    yield open
    for page in pages:
        assert page.troubles == []
        assert [url for url in page.requests if not url.startswith(("file:", "blob:", "data:"))] == []
        page.context.close()


SETTINGS = [{}, {"tau": 0}, {"tau": 1}, {"tau": 4}, {"levels": [0, 0, 1, 0]}, {"levels": [1, 0, 0, 0]}, {"levels": [0, 1, 0, 0]}, {"flip": False},
            {"cross": [0.15, 0.7, 0.15, 0], "levels": [0.1, 0.1, 0.5, 0.3], "tau": 2, "threshold": 0.55}]


@pytest.mark.parametrize("name", ["meadow", "scene"])
def test_equal_to_python(name, request, opened, model):
    """Scores within 0.01 and 99.5 % of the labels, at the method's own numbers and at eight other settings."""
    page = opened(request.getfixturevalue(name))
    image, classes = (Image.open(MEADOW).convert("RGB"), WORDS) if name == "meadow" else (paint(7, 128).image, paint(7, 128).classes)
    method = minifaseg.make_method("faseg", model)
    for changes in SETTINGS:
        theirs = replace(method, **{k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()})
        captured = theirs.capture(model, image, classes)
        expected = theirs.scores(captured)
        scores, labels = page.run(**changes)
        assert np.abs(scores - expected.numpy()).max() <= 0.01, changes
        assert (labels == label(expected, image.size, theirs.threshold)).mean() >= 0.995, changes


def test_scores_at_a_pixel_are_those_of_the_enlarged_maps(meadow, opened):
    page = opened(meadow)
    found = page.ask("""() => { const {method, result} = window.explorer;
        return {scores: [...result.scores], at: [[0, 0], [511, 511], [130, 300], [7, 250]].map(([x, y]) => [x, y, ...method.pixel(result, x, y)])}; }""")
    maps = torch.tensor(found["scores"]).view(32, 32, 3).permute(2, 0, 1)
    large = upsample(maps, (512, 512))
    for x, y, *scores in found["at"]:
        np.testing.assert_allclose(scores, large[:, y, x], atol=1e-4)


def test_where_a_cell_looks_and_who_looks_at_it(meadow, opened, model):
    captured = minifaseg.make_method("faseg", model).capture(model, Image.open(MEADOW).convert("RGB"), WORDS)
    page = opened(meadow)
    for level, cell in ((3, 17 * 32 + 9), (2, 40)):
        A = captured.self_map(captured.grids[level])[0]
        for direction, expected in (("row", A[cell]), ("column", A[:, cell])):
            found = page.ask("""async ([level, cell, direction]) => { const {method, settings} = window.explorer;
                return [...await method.attention(settings, 0, level, cell, direction)]; }""", [level, cell, direction])
            assert np.abs(np.array(found) - expected.numpy()).max() <= 0.01 * A.max().item()


def test_hover_and_bars(meadow, opened):
    """The bars' numbers are the scores of the pixel under the pointer, and the first line says who wins."""
    page = opened(meadow)
    page.hover(0.3, 0.55)
    x, y = int(0.3 * 512), int(0.55 * 512)
    scores = page.ask("([x, y]) => [...window.explorer.method.pixel(window.explorer.result, x, y)]", [x, y])
    shown = [float(t) for t in page.page.locator(".score-here").all_inner_texts() if t.strip()]
    np.testing.assert_allclose(shown, scores, atol=0.03)            # the pointer may stand on the next pixel
    assert "cat wins" in page.text("#verdict")
    page.hover(0.3, 0.95)
    assert "grass wins" in page.text("#verdict")


def test_legend_shows_shares_and_switches_classes_off(meadow, opened):
    page = opened(meadow)
    shares = [(page.labels == i).mean() * 100 for i in (1, 2, 3, 0)]
    shown = [float(t.partition("%")[0]) for t in page.page.locator(".word:not([hidden]) .share").all_inner_texts() if "%" in t]
    np.testing.assert_allclose(shown, shares, atol=0.06)
    before = page.page.locator("#mask").evaluate("c => c.toDataURL()")
    page.page.locator(".word .swatch input").first.uncheck(force=True)
    page.settled()
    assert page.page.locator("#mask").evaluate("c => c.toDataURL()") != before


def test_pins(meadow, opened):
    """A click pins, another click moves the pin, Shift adds one, Esc lets all go."""
    page = opened(meadow)
    page.hover(0.3, 0.55)
    pins = page.page.locator("#pins .pin")
    page.page.mouse.down()
    page.page.mouse.up()
    page.settled()
    assert pins.count() == 1 and pins.locator("canvas").count() >= 8        # two directions at four levels
    page.hover(0.8, 0.6)
    page.page.keyboard.down("Shift")
    page.page.mouse.down()
    page.page.mouse.up()
    page.page.keyboard.up("Shift")
    page.settled()
    assert pins.count() == 2
    page.page.keyboard.press("Escape")
    page.settled()
    assert pins.count() == 0


def test_keyboard(meadow, opened):
    """All of it without a pointer: the cell cursor, what it says, a pin, an enlarged stage, Esc."""
    page = opened(meadow)
    page.page.locator("#stage").focus()
    for _ in range(3):
        page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("ArrowRight")
    page.settled()
    said = page.ask("() => document.getElementById('said').textContent")
    assert all(word in said for word in WORDS) and re.search(r"row|cell", said)
    page.page.keyboard.press("Enter")
    page.settled()
    assert page.page.locator("#pins .pin").count() == 1
    page.page.keyboard.press("Escape")
    page.settled()
    assert page.page.locator("#pins .pin").count() == 0

    page.page.locator("#strip .map").nth(3).focus()
    page.page.keyboard.press("Enter")
    page.settled()
    assert page.page.locator("#enlarged").is_visible() and page.page.locator("#heat").is_visible()
    page.page.keyboard.press("Escape")
    page.settled()
    assert not page.page.locator("#enlarged").is_visible()


def sliders(page):
    """The labels and values of all sliders, as a screen reader has them."""
    return page.ask("""() => [...document.querySelectorAll('input[type=range]')].map((e) => (
        {name: e.getAttribute('aria-label') || (e.labels[0] && e.labels[0].textContent), text: e.getAttribute('aria-valuetext'), value: e.value}))""")


def test_every_control_has_a_name_and_a_value(meadow, opened):
    page = opened(meadow)
    found = sliders(page)
    assert len(found) >= 4 + 4 + 1 + 1 + 1 and all((s["name"] or "").strip() for s in found)      # weights, tau, threshold, opacity
    nameless = page.ask("""() => [...document.querySelectorAll('button, input, [tabindex="0"], select')].filter((e) => !(
        e.textContent.trim() || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.title || (e.labels && e.labels.length)))
        .map((e) => e.outerHTML)""")
    assert nameless == []


def test_sliders_change_the_mask_and_reset_brings_it_back(meadow, opened):
    """Every number of the method by its slider, moved with the keyboard."""
    page = opened(meadow)
    own, before = page.settings, page.labels
    count = page.page.locator("#main input[type=range]").count()
    moved = set()
    for i in range(count):
        slider = page.page.locator("#main input[type=range]").nth(i)
        if not slider.is_visible():
            continue
        slider.focus()
        page.page.keyboard.press("End" if float(slider.input_value()) < float(slider.get_attribute("max")) else "Home")
        page.settled()
        moved |= {key for key, value in page.settings.items() if value != own[key]}
    assert moved >= {"tau", "cross", "levels", "threshold"}
    page.page.locator("#reset").click()
    page.settled()
    assert page.settings == own and np.array_equal(page.labels, before)


def changed(page, **settings):
    """The page at other settings, as if by its sliders."""
    page.ask("(changes) => Object.assign(window.explorer.settings, changes)", settings)
    page.page.locator("input[type=range][aria-label=threshold]").first.focus()
    page.page.keyboard.press("ArrowRight")                                  # the page takes all of it with the next change
    page.settled()
    page.settled()


def test_the_command_and_the_call_reproduce_the_page(meadow, opened, tmp_path, model):
    """The text under "in the shell" is run: its mask is the page's; so is the Python call's."""
    page = opened(meadow)
    changed(page, tau=3, levels=[0, 0, 0.5, 0.5], flip=False)
    command = shlex.split(page.text("#command"))
    assert command[:3] == ["python", "-m", "minifaseg"] and any("tau=3" in part for part in command)
    assert segment_command([*command[3:], "--device", "cpu", "-o", str(tmp_path / "mask.png"), "--no-overlay"]) == 0
    mask = np.array(Image.open(tmp_path / "mask.png"))
    assert (mask == page.labels).mean() > 0.995
    result = eval(page.text("#python"), {"minifaseg": minifaseg, "model": model})
    assert np.array_equal(result.labels, mask)


def test_truth_and_live_miou(scene, opened):
    """By metrics.py's confusion, over the labels that occur."""
    page = opened(scene)
    painted = paint(7, 128)
    classes = facts_of(scene)["classes"]["own"]
    truth = np.zeros((128, 128), np.uint8)
    for i, name in enumerate(classes, start=1):
        truth[painted.labels == CLASSES.index(name) + 1] = i
    assert np.array_equal(array_of(scene, "truth"), truth)
    expected = 100 * np.nanmean(iou(confusion(truth, page.labels, len(classes) + 1)))
    shown = float(re.search(r"[\d.]+", page.text("#miou"))[0])
    assert min(abs(shown - expected), abs(100 * shown - expected)) < 0.06
    changed(page, tau=8)
    expected = 100 * np.nanmean(iou(confusion(truth, page.labels, len(classes) + 1)))
    shown = float(re.search(r"[\d.]+", page.text("#miou"))[0])
    assert min(abs(shown - expected), abs(100 * shown - expected)) < 0.06
    before = page.page.locator("#mask").evaluate("c => c.toDataURL()")
    page.page.locator("input[name=show][value=errors]").check(force=True)
    page.settled()
    assert page.page.locator("#mask").evaluate("c => c.toDataURL()") != before
    page.page.locator("#next-error").click()
    page.settled()
    assert page.text("#verdict").strip()


@pytest.mark.real_size
@pytest.mark.parametrize("bits, share", [(None, 0.98), (16, 0.995)])
def test_equal_to_python_at_real_size(bits, share, opened, tmp_path_factory):
    """Random weights, whose flat maps magnify every rounding."""
    from minifaseg.bench.explorer import measure
    from minifaseg.bench.random_weights import random_sd15
    folder = tmp_path_factory.getbasetemp() / "sd15"
    weights = random_sd15(folder / "random.safetensors")
    image = Image.open(MEADOW).convert("RGB")
    command = [MEADOW, *WORDS, "--weights", weights, "-o", folder / "x.html", "--force", *(["--bits", bits] if bits else [])]
    assert explore_command([*map(str, command)]) == 0
    assert (folder / "x.html").stat().st_size <= (50e6 if bits is None else 100e6)
    page = opened(folder / "x.html")
    for name, apart, alike, _ in measure(minifaseg.load(weights, "cpu"), image, page.page):
        assert apart <= 0.01 and alike >= share, name


def test_the_saved_mask_is_the_commands(meadow, opened, tmp_path):
    """An indexed PNG: the labels, and the colours of the file that the command writes."""
    page = opened(meadow)
    saved = download(page, "#save-mask", tmp_path)
    assert segment_command([str(MEADOW), *WORDS, "--weights", "cartoon", "--device", "cpu", "-o", str(tmp_path / "mask.png"), "--no-overlay"]) == 0
    commands = Image.open(tmp_path / "mask.png")
    assert saved.mode == commands.mode == "P" and saved.palette.palette == commands.palette.palette
    assert np.array_equal(saved, page.labels) and (np.array(saved) == np.array(commands)).mean() > 0.995


def test_the_saved_view_has_the_marks(meadow, opened, tmp_path):
    page = opened(meadow)
    plain = np.array(download(page, "#save-view", tmp_path).convert("RGB")).astype(int)
    page.ask("() => scrollTo({top: 0, behavior: 'instant'})")
    pin(page, PINNED[:1])
    marked = np.array(download(page, "#save-view", tmp_path).convert("RGB")).astype(int)
    rows, columns = np.nonzero(np.abs(marked - plain).sum(2) > 100)
    side = len(plain) / 32
    assert rows.size and abs(rows.mean() / side - 24.5) < 0.5 and abs(columns.mean() / side - 9.5) < 0.5


def test_a_page_without_flip_has_no_flip(tmp_path, opened):
    assert explore(tmp_path / "x.html", "--scene", 1, "--method", "faseg:flip=False;tau=2") == 0
    page = opened(tmp_path / "x.html")
    assert page.settings["tau"] == 2 and page.settings["flip"] is False and facts_of(tmp_path / "x.html")["views"] == 1
    assert "tau" not in page.text("#command") or "tau=2" in page.text("#command")


def test_several_timesteps_can_be_chosen(tmp_path, opened):
    assert explore(tmp_path / "x.html", "--scene", 1, "--timesteps", "10,200") == 0
    page = opened(tmp_path / "x.html")
    one, _ = page.run()
    other, _ = page.run(timestep=200)
    assert np.abs(one - other).max() > 0.05


def test_a_level_that_is_not_in_the_page(tmp_path, opened):
    assert explore(tmp_path / "x.html", "--scene", 1, "--levels", "8,16") == 0
    page = opened(tmp_path / "x.html")
    assert page.ask("() => window.explorer.result.refined[0].map((y) => y === null)") == [True, False, False, True]


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_and_wide_light_and_dark(meadow, opened, width, scheme):
    """Nothing sticks out sideways, text has its colour, and the picture is there."""
    page = opened(meadow, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.ask("() => document.documentElement.scrollWidth <= window.innerWidth")
    colours = page.ask("() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]; }")
    text, ground = (sum(map(float, re.findall(r"[\d.]+", c)[:3])) for c in colours)
    assert (text < ground) == (scheme == "light")
    assert page.page.locator("#stage").bounding_box()["width"] > 250
    page.page.set_viewport_size({"width": 700, "height": 700})
    page.settled()
    assert page.ask("() => document.documentElement.scrollWidth <= window.innerWidth")


def test_hostile_names_are_shown_and_never_run(tmp_path, opened, monkeypatch):
    """Tags, quotes, right-to-left and emoji in a file name, a caption and class names."""
    from minifaseg.explore import __main__ as command
    names = ("cat", "dog")
    hostile = (HOSTILE, '"><img src=x onerror=alert(1)> \u202eright \U0001f408')
    shutil.copy(MEADOW, tmp_path / "a.png")
    pack = command.pack

    def packed(*arguments):
        facts, arrays = pack(*arguments)
        return facts | {"classes": dict.fromkeys(facts["classes"], hostile)}, arrays                         # the model knows no such words: they come in here
    monkeypatch.setattr(command, "pack", packed)
    monkeypatch.setattr(command, "calls", lambda *_: {"command": f"python {HOSTILE}", "python": HOSTILE, "numbers": {}, "recommended": {}})
    file = tmp_path / "x.html"
    strange = tmp_path / '<img src=x onerror=alert(2)>".png'
    (tmp_path / "a.png").rename(strange)
    assert explore(file, strange, *names) == 0
    page = opened(file)
    assert page.ask("() => document.title") == f"{strange.name} - minifaseg explorer"
    shown = page.ask("() => document.body.innerText")
    assert HOSTILE in shown and strange.name in shown and "\U0001f408" in shown
    assert page.ask("() => [...document.querySelectorAll('img')].map((e) => e.src.slice(0, 11))") == ["data:image/"]
    page.hover(0.3, 0.5)
    assert page.ask("() => document.title") != "owned"
    assert html.escape(strange.name) in file.read_text(encoding="utf-8")


def test_the_policy_forbids_all_else(meadow, browser):
    """A script put into the page's text does not run."""
    text = meadow.read_text(encoding="utf-8")
    harmed = meadow.with_name("harmed.html")
    harmed.write_text(text.replace("</body>", "<script>document.title = 'owned'</script></body>"), encoding="utf-8")
    page = Page(browser, harmed)
    assert page.ask("() => document.title") != "owned" and any("Content Security Policy" in t for t in page.troubles)
    page.troubles.clear()
    assert page.ask("() => fetch('https://example.org').then(() => 'went out', () => 'refused')") == "refused"
    page.context.close()


# ---- masks without words, other methods, controls, the tour ---------------------------------------
def array_on_page(page, script):
    """(height, width) labels that a script gives."""
    height, width = page.ask("() => [data.height, data.width]")
    return np.array(page.ask(f"() => [...{script}]"), np.uint8).reshape(height, width)


def pin(page, cells):
    """Pins these cells of the finest grid, by clicks."""
    for i, (row, column) in enumerate(cells):
        page.hover((column + 0.5) / 32, (row + 0.5) / 32)
        page.page.keyboard.down("Shift")
        page.page.mouse.down()
        page.page.mouse.up()
        page.page.keyboard.up("Shift")
        page.until(f"view.pins.length === {i + 1} && Boolean(view.pins[{i}].maps)")
    page.settled()


def rows_of_a_walk(A, cells, tau):
    """(pins, n): rows of A^tau, each divided by its maximum, by a matrix power."""
    side = int(len(A) ** 0.5)
    places = [row * side // 32 * side + column * side // 32 for row, column in cells]
    rows = torch.linalg.matrix_power(A.double(), tau)[places]
    return rows / rows.amax(1, keepdim=True)


PINNED = [(24, 9), (22, 24)]                                                # the cat's belly, the dog


@pytest.mark.parametrize("level, tau, threshold", [(3, 2, 0.2), (3, 5, 0.4), (2, 1, 0.15)])
def test_a_segment_from_pins(meadow, opened, model, tmp_path, level, tau, threshold):
    """Rows of A^tau, thresholded at the picture's size; together, or each pin for itself; saved with its labels."""
    captured = minifaseg.make_method("faseg", model).capture(model, Image.open(MEADOW).convert("RGB"), WORDS)
    side = captured.grids[level][0]
    maps = rows_of_a_walk(captured.self_map(captured.grids[level])[0], PINNED, tau).view(2, side, side)
    expected = label(maps.float(), (512, 512), threshold)
    page = opened(meadow)
    pin(page, PINNED)
    page.page.select_option("#segment-level", str(level))
    page.set("steps", tau)
    page.set("reach", threshold)
    page.until("view.show === 'pins'")
    assert (array_on_page(page, "segment.labels") == (expected > 0)).mean() > 0.995
    page.page.locator("[data-segment=apart] input").check()
    page.settled()
    apart = array_on_page(page, "segment.labels")
    assert (apart == expected).mean() > 0.995 and set(np.unique(apart)) == {0, 1, 2}
    assert f"{100 * (apart > 0).mean():.1f}" in page.text("#segment-said")
    saved = download(page, "#save-segment", tmp_path)
    assert saved.mode == "P" and np.array_equal(saved, apart)
    page.page.keyboard.press("Escape")                                      # no pin, no segment: the mask is back
    page.settled()
    assert page.ask("() => view.show") == "mask" and not page.page.locator("#pins").is_visible()


def download(page, button, folder):
    with page.page.expect_download() as waiting:
        page.page.locator(button).click()
    waiting.value.save_as(folder / "saved.png")
    return Image.open(folder / "saved.png")


def test_where_attention_lies_is_said(meadow, opened, model):
    """By the truth: 72 % of the belly's row is on the cat."""
    captured = minifaseg.make_method("faseg", model).capture(model, Image.open(MEADOW).convert("RGB"), WORDS)
    truth = np.array(Image.open(MEADOW.with_name("meadow_truth.png")))
    on_cat = (truth == 1).reshape(32, 16, 32, 16).mean((1, 3)).ravel()
    A = captured.self_map(captured.grids[3])[0].numpy()
    cell = PINNED[0][0] * 32 + PINNED[0][1]
    page = opened(meadow)
    pin(page, PINNED[:1])
    for place, values in zip(page.page.locator(".pin .direction p").all_inner_texts(), (A[cell], A[:, cell])):
        share = 100 * (values * on_cat).sum() / values.sum()
        assert float(re.search(r"([\d.]+)\s% on cat", place)[1]) == pytest.approx(share, abs=0.3)


def test_other_methods_can_be_switched_to(tmp_path, opened, model):
    specs = ["iseg", "datasetdiffusion", "diffseg", "invseg"]
    assert explore(tmp_path / "x.html", MEADOW, *WORDS, "--method", ",".join(specs)) == 0
    page = opened(tmp_path / "x.html")
    own = page.page.locator("#mask").evaluate("c => c.toDataURL()")
    for spec in specs:
        page.page.locator("#methods label", has_text=spec).click()
        page.hover(0.3, 0.55)
        x, y = page.ask("() => [view.cell.x, view.cell.y]")
        result = minifaseg.segment(MEADOW, WORDS, model, method=spec)
        assert np.array_equal(array_on_page(page, "shown().labels"), result.labels)
        shown = [float(t) for t in page.page.locator(".word:not([hidden]) .score-here").all_inner_texts() if t.strip()]
        np.testing.assert_allclose(shown, result.scores[:, y, x], atol=0.012)
        assert page.page.locator("#mask").evaluate("c => c.toDataURL()") != own and page.page.locator("#other-note").is_visible()
        assert result.classes[result.scores[:, y, x].argmax()] in page.text("#verdict")
    page.page.locator("#methods label", has_text="FA-Seg").click()
    page.settled()
    assert page.page.locator("#mask").evaluate("c => c.toDataURL()") == own and not page.page.locator("#other-note").is_visible()


def test_a_page_of_one_method_has_no_switch(meadow, opened):
    assert not opened(meadow).page.locator("#methods").is_visible()


def press(page, control):
    page.page.locator(f"[data-control={control}] button").click()
    page.ask("() => last")                                                  # the promise of what was begun
    page.settled()


def test_controls_that_ask_other_words(meadow, opened, model):
    """Labels as Python has them with these words in P'; what the page says about them is counted anew here."""
    method = minifaseg.make_method("faseg", model)
    captured = method.capture(model, Image.open(MEADOW).convert("RGB"), WORDS)
    truth = np.array(Image.open(MEADOW.with_name("meadow_truth.png")))
    page = opened(meadow)
    own, command = page.labels, page.text("#command")
    for control, words in (("absent", (*WORDS, "bus")), ("twice", (*WORDS, "cat")), ("reversed", WORDS[::-1])):
        press(page, control)
        expected = label(method.scores(captured, class_prompts(model.text, words)), (512, 512), method.threshold)
        same = {"reversed": [0, 3, 2, 1], "twice": [0, 1, 2, 3, 1]}.get(control, range(5))      # both cats are one
        labels = np.array(same, np.uint8)[page.labels] if control == "twice" else page.labels
        assert (labels == np.array(same, np.uint8)[expected]).mean() > 0.995, control
        said = page.text(f"[data-control={control}] output")
        changed = 100 * (labels != own).mean()
        assert said.startswith(f"{changed:.1f}")
        if control == "absent":
            assert f"The new word has {100 * (labels == 4).mean():.1f}" in said
        if control == "twice":
            scores = method.scores(captured, class_prompts(model.text, words))
            apart = (scores[0] - scores[3]).abs().max().item()
            assert abs(float(re.search(r"by at most (\d\.\d+)", said)[1]) - apart) < 0.002
        miou = np.nanmean(iou(confusion(truth, labels, len(words) + 1)))
        assert f"→ {miou:.3f}" in said
        assert ("is false here" in said) == (changed >= 0.5) and ("holds here" in said) == (changed < 0.5)
        assert page.page.locator(".word:not([hidden])").count() == 2 + len(words)   # a head and the background, too
        assert page.page.locator("#pressed").is_visible() and page.page.locator("#beyond").is_visible()
        assert page.text("#command") == command
    press(page, "reversed")                                                 # once more: as before
    assert np.array_equal(page.labels, own) and not page.page.locator("#pressed").is_visible()
    assert [page.text(f"[data-control={c}] output")[-14:] for c in ("absent", "twice", "reversed")] == ["is false here.", "im holds here.", "im holds here."]


def test_controls_of_self_attention_and_levels(meadow, opened, model, tmp_path):
    """Uniform: every map is constant, so nothing is found. Levels left out: the command that the page names gives the same."""
    page = opened(meadow)
    own = page.labels
    press(page, "uniform")
    assert not page.labels.any() and "holds here" in page.text("[data-control=uniform] output")
    press(page, "fine")                                                     # releases the other
    assert page.settings["levels"] == [0.5, 0.5, 0, 0] and page.settings["uniform"] is False
    assert not page.page.locator("#beyond").is_visible()
    result = eval(page.text("#python"), {"minifaseg": minifaseg, "model": model})
    assert (result.labels == page.labels).mean() > 0.995
    press(page, "coarse")                                                   # the cartoon model gives coarse levels no weight
    assert page.settings["levels"] == [0, 0, 0, 1] and np.array_equal(page.labels, own)
    assert "is false here" in page.text("[data-control=coarse] output")
    page.set("theta", 0.5)                                                  # a number that is moved meanwhile stays
    page.page.locator("#release").click()
    page.ask("() => last")
    page.settled()
    assert page.settings["threshold"] == 0.5 and page.settings["levels"] == [0, 0, 0, 1]
    page.page.locator("#reset").click()
    page.settled()
    assert np.array_equal(page.labels, own)


def test_levels_left_out_keep_the_sum_of_weights(tmp_path, opened):
    """So that the threshold means the same."""
    assert explore(tmp_path / "x.html", "--scene", 1, "--method", "faseg:levels=(0.1,0.1,0.5,0.3)") == 0
    page = opened(tmp_path / "x.html")
    for control, expected in (("coarse", [0, 0, 0.625, 0.375]), ("fine", [0.5, 0.5, 0, 0])):
        press(page, control)
        np.testing.assert_allclose(page.settings["levels"], expected)


def step(page):
    page.ask("() => last")
    page.settled()
    assert page.page.locator("#tour li:visible").count() == 1
    return int(page.text("#step").partition(" of ")[0])


def test_the_tour(meadow, opened):
    """Eight steps by keys and by buttons: each shows its place and sets the sliders; Esc gives the reader's numbers back."""
    page = opened(meadow, reduced_motion="reduce")
    page.set("theta", 0.42)
    mine, keys, button = page.settings, page.page.keyboard, page.page.locator("#next")
    page.page.locator("#start-tour").click()
    texts, settings = [], []
    for number in range(1, 9):
        assert step(page) == number
        texts.append(page.text("#tour li:visible"))
        settings.append(page.settings)
        toured = page.page.locator(".toured")
        assert toured.count() == 1
        box = toured.bounding_box()
        assert box["y"] < 300 and box["y"] + box["height"] > 300            # it can be seen
        assert page.text("#question").endswith("?") if number < 8 else page.text("#question") == ""
        button.click() if number % 2 else keys.press("ArrowRight")
    assert step(page) == 8 and len(set(texts)) == 8                         # there is no ninth
    assert [s["tau"] for s in settings] == [1, 1, 1, 0, 8, 1, 1, 1] and [s["flip"] for s in settings].index(False) == 5
    assert {s["threshold"] for s in settings} == {0.3} and settings[6]["question"] == "absent" and settings[7]["question"] == "own"
    keys.press("ArrowLeft")
    assert step(page) == 7
    keys.press("Escape")
    page.ask("() => last")
    page.settled()
    assert page.settings == mine and not page.page.locator("#tour").is_visible() and page.page.locator(".toured").count() == 0
    assert page.ask("() => document.activeElement.id") == "start-tour"


def test_the_tour_leaves_the_readers_keys_alone(meadow, opened):
    """On a slider and on the picture arrow keys do what they always do; after a click into the picture they are the tour's."""
    page = opened(meadow)
    page.page.locator("#start-tour").click()
    assert step(page) == 1
    page.page.locator("#theta").focus()
    page.page.keyboard.press("ArrowRight")
    page.page.locator("#stage").focus()
    page.page.keyboard.press("ArrowRight")
    assert step(page) == 1 and page.settings["threshold"] == 0.31
    page.page.locator("#stage").click(position={"x": 60, "y": 60})
    page.page.keyboard.press("ArrowRight")
    assert step(page) == 2
    for _ in range(9):                                                      # faster than it computes
        page.page.keyboard.press("ArrowRight")
    assert step(page) == 8


def test_a_tour_leaves_out_what_the_page_cannot_show(tmp_path, opened):
    """Without a mirror image, and without P', in which absent words are looked up."""
    assert explore(tmp_path / "x.html", "--scene", 1, "--method", "faseg:flip=False;dual=False") == 0
    page = opened(tmp_path / "x.html")
    assert page.page.locator("#claims li:visible").count() == 3
    page.page.locator("#start-tour").click()
    titles = []
    for _ in range(6):
        step(page)
        titles.append(page.text("#tour h2:visible"))
        page.page.keyboard.press("ArrowRight")
    assert page.text("#step") == "6 of 6" and len(set(titles)) == 6 and not any("mirror" in t or "claim" in t for t in titles)
    assert page.settings["tau"] == facts_of(tmp_path / "x.html")["own"]["tau"]


@pytest.mark.parametrize("with_truth", [True, False])
def test_the_tours_last_question_has_an_answer(meadow, tmp_path, opened, with_truth):
    """Of a pixel that is wrong; where no truth is known, of the least sure one."""
    if not with_truth:
        assert explore(tmp_path / "x.html", MEADOW, *WORDS) == 0
    file = meadow if with_truth else tmp_path / "x.html"
    facts, page = facts_of(file), opened(file)
    page.page.goto(file.as_uri() + "#tour")                                 # an address that begins with the tour
    page.page.reload()
    page.until("Boolean(window.explorer && window.explorer.result)")
    for _ in range(7):
        page.page.keyboard.press("ArrowRight")
    assert step(page) == 8
    x, y = facts["tour"]["why"]
    assert page.ask("() => [view.pins.length, view.pins[0].cell.x, view.pins[0].cell.y]") == [1, x, y]
    page.page.locator("#tour summary").click()
    answer, names = page.text("#answer"), ["background", *WORDS]
    assert re.search(r"lies [\d.]+\s% on (background|cat|dog|grass), ", answer)
    if with_truth:
        truth, labels = array_of(file, "truth"), page.labels
        assert labels[y, x] != truth[y, x] and f"Wrong. Truth: {names[truth[y, x]]}." in answer
        assert names[labels[y, x]] in answer and "why this pixel is wrong" in page.text("#tour")
    else:
        assert "Wrong" not in answer and "why this pixel has its label" in page.text("#tour") and "is wrong" not in page.text("#tour")
