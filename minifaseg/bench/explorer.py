"""The explorer in a real browser: how large, how fast, how equal to Python.

    python -m minifaseg.bench.explorer                       # the cartoon model
    python -m minifaseg.bench.explorer --weights sd15 --bits 16

Makes the page of a painted scene, opens it in Chromium and prints a table: bytes, seconds until the
first mask, milliseconds that a slider's answer takes, and how far scores and labels are from those
of `method.scores`. Needs Playwright and a browser that is installed (apt-get install chromium).
"""
import argparse
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import minifaseg

from ..cartoon.painter import paint
from ..errors import InputError
from ..evaluate.markdown import table_lines
from ..explore.__main__ import main as explore
from ..labelling import label
from ..machine import machine

SCENE = 159, 512                                         # seed, pixels
CLASSES = ("cat", "dog", "grass")
RUN = """async (changes) => {
  const {data, method} = window.explorer;
  const begun = performance.now(), result = await method.run({...data.own, ...changes});
  return {milliseconds: performance.now() - begun, scores: [...result.scores],
          labels: [...result.labels]};
}"""

MOVES = (("threshold", 0.4), ("threshold", 0.35), ("tau", 2), ("tau", 1), ("weight", 0.5))
# From the hand on a slider to the drawn page.
MOVE = """async ([name, value]) => {
  const slider = document.querySelector(`input[type=range][aria-label^="${name}"]`);
  const before = window.explorer.result, begun = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
  while (window.explorer.result === before) await new Promise((next) => setTimeout(next));
  await new Promise(requestAnimationFrame);
  return performance.now() - begun;
}"""


def launch(playwright: Any) -> Any:
    """The browser of this machine, without a window. Raises InputError if there is none."""
    path = browser_path()
    if path is None:
        raise InputError("no browser here: apt-get install chromium")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def browser_path() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def open_page(browser: Any, file: Path, **options: Any) -> Any:
    """A page of the explorer that has drawn its first mask. options: of Playwright's new_page.

    Playwright's own way of waiting is forbidden by the page's Content-Security-Policy.
    """
    page = browser.new_page(**options)
    page.goto(file.absolute().as_uri())
    while not page.evaluate("Boolean(window.explorer && window.explorer.result)"):
        time.sleep(0.01)
    return page


def settings_of(levels: int) -> dict[str, dict[str, Any]]:
    """What is moved, by name."""
    only = [tuple(float(i == level) for i in range(levels)) for level in range(levels)]
    return {"the method's own numbers": {}, "tau = 0": {"tau": 0}, "tau = 1": {"tau": 1},
            "tau = 2": {"tau": 2}, "tau = 4": {"tau": 4}, "finest level only": {"levels": only[-1]},
            "second finest only": {"levels": only[-2]}, "no flip": {"flip": False}}


def measure(model: Any, image: Any, page: Any) -> list[tuple[str, float, float, float]]:
    """Of an open page, for each setting: its name, by how much scores differ at most, the share of
    labels that are alike, and milliseconds.
    """
    method, captures, rows = minifaseg.make_method("faseg", model), {}, []
    for name, changes in settings_of(len(page.evaluate("window.explorer.data.grids"))).items():
        theirs = replace(method, **changes)
        if theirs.flip not in captures:
            captures[theirs.flip] = theirs.capture(model, image, CLASSES)
        expected = theirs.scores(captures[theirs.flip]).cpu()
        ours = page.evaluate(RUN, {k: list(v) if isinstance(v, tuple) else v
                                   for k, v in changes.items()})
        K, h, w = expected.shape
        scores = np.array(ours["scores"]).reshape(h, w, K).transpose(2, 0, 1)
        labels = label(expected, image.size, theirs.threshold).ravel()
        alike = (labels == np.array(ours["labels"])).mean()
        apart = np.abs(scores - expected.numpy()).max()
        rows.append((name, apart, alike, ours["milliseconds"]))
    return rows


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--weights", default="cartoon")
    p.add_argument("--bits")
    a = p.parse_args()

    from playwright.sync_api import sync_playwright
    with tempfile.TemporaryDirectory() as folder:
        image = paint(*SCENE, things=CLASSES[:2], ground=CLASSES[2]).image
        picture, file = Path(folder, "scene.png"), Path(folder, "scene.html")
        image.save(picture)
        options = ["--weights", a.weights, "-o", str(file), *(["--bits", a.bits] if a.bits else [])]
        if explore([str(picture), *CLASSES, *options]):
            raise SystemExit(1)
        with sync_playwright() as playwright:
            browser = launch(playwright)
            begun = time.perf_counter()
            page = open_page(browser, file)
            opened = time.perf_counter() - begun
            model = minifaseg.load(a.weights)
            rows = [(name, f"{apart:.4f}", f"{100 * alike:.2f} %", f"{milliseconds:.0f}")
                    for name, apart, alike, milliseconds in measure(model, image, page)]
            moved = {f"{name} = {value}": page.evaluate(MOVE, [name, str(value)])
                     for name, value in MOVES}
            version = browser.version
            browser.close()
        size = file.stat().st_size / 1e6
    print(f"{machine(str(model.device))}; Chromium {version}; {model.source}\n\n"
          f"{size:.1f} MB, first mask after {opened:.2f} s\n")
    print("Slider to picture, a frame of the screen included: " +
          ", ".join(f"{name} {ms:.0f} ms" for name, ms in moved.items()) + "\n")
    titles = ["setting", "scores differ by at most", "labels alike", "milliseconds"]
    print("\n".join(table_lines(titles, rows)))


if __name__ == "__main__":
    main()
