"""Pages of the explorer, and what stands in them, for its tests."""
import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

import minifaseg
from minifaseg.explore.__main__ import main

ROOT = Path(__file__).parents[1]
MEADOW = ROOT / "tutorial/figures/meadow.png"
WORDS = ("cat", "dog", "grass")
HOSTILE = '</script><script>document.title="owned"</script>'


@pytest.fixture(scope="module")
def model():
    return minifaseg.load("cartoon", "cpu")


def explore(out, *arguments):
    return main([*map(str, arguments), "--weights", "cartoon", "--device", "cpu", "-o", str(out)])


@pytest.fixture(scope="module")
def meadow(tmp_path_factory):
    """The page of the README's picture, with its truth."""
    out = tmp_path_factory.mktemp("explore") / "meadow.html"
    assert explore(out, MEADOW, *WORDS, "--truth", ROOT / "tutorial/figures/meadow_truth.png") == 0
    return out


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    out = tmp_path_factory.mktemp("explore") / "scene.html"
    assert explore(out, "--scene", "7") == 0
    return out


def block(page, id):
    """What stands in a script element of a page."""
    return re.search(rf'<script[^>]* id="{id}">(.*?)</script>', page.read_text(encoding="utf-8"), flags=re.S)[1]


def facts_of(page):
    return json.loads(block(page, "data"))


def array_of(page, name):
    """An array of the page, read by NumPy."""
    facts = facts_of(page)
    content = gzip.decompress(base64.b64decode(block(page, "maps")))
    place = facts["arrays"][name]
    return np.frombuffer(content, {"f4": "<f4", "u1": "u1", "u2": "<u2"}[place["type"]], int(np.prod(place["shape"])),
                         place["offset"]).reshape(place["shape"])
