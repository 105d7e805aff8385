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
from minifaseg.bench.explorer import browser_path, launch
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES
from minifaseg.evaluate.metrics import confusion, iou
from minifaseg.explore.__main__ import main as explore_command
from minifaseg.labelling import label, upsample

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
            return {scores: [...result.scores], labels: [...result.labels], data: {grid: data.grids.at(-1), K: data.classes.length,
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


@pytest.fixture(scope="module")
def browser():
    if browser_path() is None:
        pytest.skip("needs a browser: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    with playwright.sync_playwright() as p:
        launched = launch(p)
        yield launched
        launched.close()


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
    shown = [float(t.partition("%")[0]) for t in page.page.locator(".share").all_inner_texts() if "%" in t]
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
    classes = facts_of(scene)["classes"]
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


def test_mask_is_saved_as_it_is(meadow, opened, tmp_path):
    """The file that the page hands out shows the labels' areas."""
    page = opened(meadow)
    with page.page.expect_download() as waiting:
        page.page.locator("#save-mask").click()
    waiting.value.save_as(tmp_path / "mask.png")
    saved = np.array(Image.open(tmp_path / "mask.png").convert("RGB"))
    labels = page.labels
    assert saved.shape[:2] == labels.shape
    colours = {i: np.unique(saved[labels == i].reshape(-1, 3), axis=0) for i in np.unique(labels)}
    assert all(len(c) == 1 for c in colours.values()) and len({tuple(c[0]) for c in colours.values()}) == len(colours)


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
        return facts | {"classes": hostile}, arrays                         # the model knows no such words: they come in here
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
    assert page.ask("() => document.querySelectorAll('img').length") == 0
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
