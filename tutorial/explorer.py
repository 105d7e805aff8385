"""The explorer's page of the README's picture, made by the shipped model, and a picture of it.

    python tutorial/explorer.py

explorer.html is what this writes:

    python -m minifaseg.explore tutorial/figures/meadow.png cat dog grass \\
        --truth tutorial/figures/meadow_truth.png --method iseg,datasetdiffusion,diffsegmenter \\
        --weights cartoon -o tutorial/explorer.html

figures/explorer.png is drawn by a browser: Chromium, by Playwright (the extra `test`).
"""
import io
import os
import time
from pathlib import Path

import made_from
from PIL import Image

from minifaseg.bench.explorer import launch, open_page
from minifaseg.explore.__main__ import main as explore

HERE = Path(__file__).parent
PICTURE = HERE / "figures" / "meadow.png"
TRUTH = HERE / "figures" / "meadow_truth.png"
CLASSES = ("cat", "dog", "grass")
OTHERS = "iseg,datasetdiffusion,diffsegmenter"           # methods whose masks the page has, too
WIDE, HIGH = 1240, 1010                                  # of the picture, in pixels
HOVERED = 0.3, 0.55                                      # where the pointer is: on the cat


def write_page(out: Path = HERE / "explorer.html") -> Path:
    """Writes the page. Its text names the picture from the project's folder."""
    before = Path.cwd()
    os.chdir(HERE.parent)
    try:
        picture, truth = (str(path.relative_to(HERE.parent)) for path in (PICTURE, TRUTH))
        code = explore([picture, *CLASSES, "--truth", truth, "--method", OTHERS,
                        "--weights", "cartoon", "--device", "cpu", "--dtype", "float32",
                        "-o", str(out), "--force"])
    finally:
        os.chdir(before)
    if code:
        raise SystemExit(code)
    return out


def photograph(page_file: Path, out: Path) -> None:
    """What a browser shows of the page, with the pointer on the cat and a cell pinned."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = open_page(browser, page_file, viewport={"width": WIDE, "height": HIGH})
        box = page.locator("#stage").bounding_box()
        x, y = (box[start] + share * box[size] for start, share, size in
                (("x", HOVERED[0], "width"), ("y", HOVERED[1], "height")))
        page.mouse.click(x, y)
        time.sleep(1)                                    # the pinned cell's maps are drawn
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(128).save(out, optimize=True)


if __name__ == "__main__":
    photograph(write_page(), HERE / "figures" / "explorer.png")
    made_from.note({"explorer.html": made_from.now({"faseg"})})
