"""README and the pages of the tutorial: links, code names, commands and numbers are what is there."""
import io
import re
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from runpy import run_module, run_path

import pytest
import torch
from PIL import Image, ImageChops, ImageStat

from minifaseg import hard
from minifaseg.unet import UNet, UNetConfig

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "tutorial"
FIGURES = TUTORIAL / "figures"
README = ROOT / "README.md"
PAGES = [README, *sorted(TUTORIAL.glob("*.md"))]
BY_NAME = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.S)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", without_code(text), flags=re.M):
        words = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(words.replace(" ", "-"))
    return found


def commands(text: str) -> list[str]:
    """The lines of a page's shell blocks, without comments; two joined by && are two."""
    lines = []
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.S):
        for line in block.splitlines():
            lines += line.partition(" #")[0].split("&&")
    return [line.strip() for line in lines if line.strip()]


@BY_NAME
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(read(page))):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), f"{target} leads nowhere"
        if anchor and place.suffix == ".md":
            assert anchor in anchors(read(place)), f"{target}: no such heading"


def test_every_page_is_linked():
    linked = read(TUTORIAL / "README.md")
    assert [p.name for p in TUTORIAL.glob("[a-z]*.md") if f"({p.name})" not in linked] == []


def test_readme_is_short_and_has_two_commands_to_begin_with():
    text = read(README)
    assert len(text) <= 8000
    block = text.partition("<!-- ci -->")[2].partition("```sh\n")[2].partition("```")[0]
    assert len(block.splitlines()) == 2


def test_the_badge_names_the_python_versions():
    oldest = re.search(r'requires-python = ">=([\d.]+)"', read(ROOT / "pyproject.toml"))[1]
    assert f"python-{oldest}%2B-" in read(README) and f"Python {oldest} or newer" in read(README)


def test_the_numbers_of_readme_are_in_measured():
    table = read(README).partition("| what | measured |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) > 3
    for what, measured in rows:
        for number in re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", measured):
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)",
                             read(TUTORIAL / "measured.md")), f"{what}: {number}"


@BY_NAME
def test_code_named_beside_a_file_is_in_it(page):
    """In tables: [`hard.py`](...): `refine`."""
    for path, name in re.findall(r"\]\(([^)\s]+\.py)\): `(\w+)`", read(page)):
        assert re.search(rf"^\s*(def|class) {name}\b", read(page.parent / path), flags=re.M), name


@cache
def help_of(command: tuple[str, ...]) -> str:
    """What `python -m minifaseg ... --help` or `python weights.py ... --help` prints, run in this process."""
    first, *words = command
    run, what, *words = [run_module, *words] if first == "-m" else [run_path, str(ROOT / first), *words]
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told):
        patch.setattr(sys, "argv", [what, *words, "--help"])
        with pytest.raises(SystemExit) as end:
            run(what, run_name="__main__")
    assert not end.value.code
    return told.getvalue()


def options_shown() -> set[tuple[tuple[str, ...], str]]:
    """Every option of every command shown, with the program that it is given to."""
    found = set()
    for page in PAGES:
        for command in commands(read(page)):
            run = re.search(r"(-m minifaseg[\w.]*(?: reproduce)?|weights\.py \w+)(.*)", command)
            if run:
                for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", run[2]):
                    found.add((tuple(run[1].split()), option))
    return found


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_options_of_the_commands_exist():
    shown = options_shown()
    assert len(shown) > 25
    for program, option in sorted(shown):
        words = f"{' '.join(program)} {option}"
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", help_of(program)), words


@pytest.mark.parametrize("blocks", [1, 2])
@torch.no_grad()
def test_the_picture_of_the_architecture_counts_what_is_recorded(blocks, monkeypatch):
    """At each level: self-attention on the way down, in the middle block, and on the way up."""
    monkeypatch.syspath_prepend(str(TUTORIAL))
    pytest.importorskip("matplotlib")
    import diagram_unet

    config = UNetConfig((8, 16, 16, 16), blocks, context=8, heads=2, groups=4)
    record = {}
    UNet(config)(torch.zeros(1, 4, 16, 16), 1, torch.zeros(1, 5, 8), record)
    for level in diagram_unet.levels_of(config, 16):
        paths = [path for path, qk in record.items()
                 if qk.grid == (level.cells, level.cells) and path.endswith("attn1")]
        ways = [path.partition(".")[0] for path in paths]
        expected = {"input_blocks": level.down, "middle_block": level.middle,
                    "output_blocks": level.up}
        assert {way: ways.count(way) for way in expected} == expected


def small(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB").resize((100, 60), Image.Resampling.BOX)


def test_the_diagrams_are_of_today(tmp_path, monkeypatch):
    """Drawn anew, each is like the one shown, but for what another font or a rounding changes.

    What this cannot see, other words or another hyperparameter, the record tells (made_from.py).
    """
    monkeypatch.syspath_prepend(str(TUTORIAL))
    pytest.importorskip("matplotlib")
    import diagrams
    import made_from

    assert set(diagrams.DIAGRAMS) == set(made_from.DIAGRAMS)
    diagrams.main(["--folder", str(tmp_path)])
    for name in diagrams.DIAGRAMS:
        shown, anew = FIGURES / f"{name}.png", tmp_path / f"{name}.png"
        assert 20_000 < shown.stat().st_size < 250_000
        assert Image.open(shown).size == Image.open(anew).size, name
        difference = ImageStat.Stat(ImageChops.difference(small(shown), small(anew)))
        assert max(difference.mean) < 0.5, f"python tutorial/diagrams.py {name}"


def test_the_architecture_is_drawn_for_the_cartoon_model(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(TUTORIAL))
    pytest.importorskip("matplotlib")
    import diagrams

    diagrams.main(["architecture", "--model", "cartoon", "--folder", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["architecture.png"]
    drawn = small(tmp_path / "architecture.png")
    assert ImageChops.difference(drawn, small(FIGURES / "architecture.png")).getbbox()
    with pytest.raises(SystemExit):
        diagrams.main(["nothing", "--folder", str(tmp_path)])
    assert "no diagram 'nothing'; there are: pipeline" in capsys.readouterr().err


@pytest.mark.parametrize("level", range(4))
def test_the_steps_drawn_are_those_of_the_package(level, monkeypatch):
    """U A R of refinement.png is hard.refine_level."""
    monkeypatch.syspath_prepend(str(TUTORIAL))
    pytest.importorskip("matplotlib")
    import diagram_attention
    import diagram_parts

    drawn = diagram_parts.meadow()
    grid, finest = drawn.captured.grids[level], drawn.captured.grids[-1]
    x = drawn.method.class_maps(drawn.captured, drawn.captured.lookup)
    Rx = diagram_attention.sum_cells(x, finest, finest[0] // grid[0])
    y = hard.resize_maps(drawn.captured.self_map(grid) @ Rx, grid, finest, "bicubic")
    torch.testing.assert_close(y, hard.refine_level(drawn.captured, grid, x, 1))


def test_the_reading_assignment_names_the_lines_that_answer():
    rows = re.findall(r"^\| \d+ \| .*?\[`(.+?):(\d+)`\]\((.+?)#L(\d+)\) `(.+?)` \|",
                      read(TUTORIAL / "INSTRUCTOR.md"), flags=re.M)
    assert len(rows) == 20
    for name, number, link, anchor, code in rows:
        lines = read(ROOT / "minifaseg" / name).splitlines()
        where = [i for i, line in enumerate(lines, start=1) if code in line]
        assert where == [int(number)] == [int(anchor)], f"{name}: {code!r} stands in line {where}"
        assert link == f"../minifaseg/{name}"
