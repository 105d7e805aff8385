"""Makes the course as pages: a folder of HTML that opens from the disk and needs no network.

    python tutorial/make_site.py OUT/                               # for students
    python tutorial/make_site.py OUT/ --solutions --instructor      # for a lecturer

The pages are the notebooks, README.md, the explorer, and what these link to in this folder.
Students' pages hold what students' notebooks hold (make_student.py), and the outputs of all cells
that are no exercise. What came out where a notebook says "Predict before you run" is folded.
site_text.py makes HTML of Markdown, site.css has the layout, in the explorer's colours.
"""
import argparse
import base64
import html
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from make_student import (
    HERE,
    INSTRUCTOR,
    LINK,
    files_for_students,
    markdown_of,
    number_of,
    relative_links,
    student,
    student_links,
)

try:
    import ziamath
    from site_text import Page, address_on_site, coloured, image, plain
except ImportError as e:
    sys.exit(f'make_site: {e}; pip install -e ".[tutorial]" brings it')

ROOT = HERE.parent
EXPLORER = HERE / "explorer.html"
COLOURS = ROOT / "minifaseg" / "explore" / "style.css"
FONT = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"    # of formulas
MANIFEST = "site.txt"                         # the files of a site, for the next one in its place
PREDICT = "**Predict before you run.**"
POINTS = re.compile(r" \(\d+ points?\b[^()]*\)$")             # of an exercise's heading
LONGEST_TOC = 45                              # with more headings, only those of sections

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{description}">
<title>{title} · the minifaseg course</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="site.css">
</head>
<body>
<header class="bar">
<a href="index.html">The minifaseg course</a> <a href="#contents">Contents</a>
</header>
<main>
{body}
<p class="turn">{turn}</p>
</main>
<nav id="contents" aria-label="Contents">
<p><a href="index.html">The minifaseg course</a></p>
{contents}
</nav>
</body>
</html>
"""


# A notebook


def notebook_body(path: Path, files: set[Path], solutions: bool, page: Page, site: dict) -> str:
    """All cells of a notebook as HTML; site gains its figures."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    own = notebook["cells"]
    shown = own if solutions else student(notebook, path.name, files)["cells"][1:]
    parts, predict = [f'<p class="kicker">Notebook {path.name}. To work in it, open it in Jupyter.'
                      "</p>\n"], False
    for cell, theirs in zip(own, shown):
        text = "".join(theirs["source"])
        if cell["cell_type"] == "markdown":
            parts.append(page.html(site_links(text, files)))
            predict = PREDICT in text
        elif text.strip():
            is_exercise = "nbgrader" in cell["metadata"]
            outputs = [] if is_exercise and not solutions else cell["outputs"]
            out = "".join(output_html(o, path, page, site) for o in outputs)
            parts.append(cell_html(cell, text, out, predict and not solutions, solutions))
            predict = False
    return "".join(parts)


def cell_html(cell: dict, code: str, out: str, folded: bool, solutions: bool) -> str:
    """A code cell and below it what came out."""
    nbgrader, number = cell["metadata"].get("nbgrader", {}), number_of(cell)
    kind, label = "", ""
    if nbgrader.get("solution"):
        kind, label = " exercise", "a solution" if solutions else "yours to write"
    elif nbgrader.get("grade"):
        kind, label = " tests", "its tests"
    if label:
        label = f'<p class="label">Exercise {number}: {label}</p>\n'
    if out and folded:
        out = f"<details><summary>What came out (predict first)</summary>\n{out}</details>\n"
    if out:
        out = f'<div class="out">\n{out}</div>\n'
    return f'<div class="cell{kind}">\n{label}{coloured(code, "python")}{out}</div>\n'


def output_html(out: dict, path: Path, page: Page, site: dict) -> str:
    """One output of a cell. A widget has no kernel here; its still picture stands beside it."""
    data = out.get("data", {})
    if "image/png" in data:
        number = path.name.partition("_")[0]
        n = 1 + sum(name.startswith(f"figures/{number}-") for name in site)
        name = f"figures/{number}-{n}.png"
        site[name] = base64.b64decode(data["image/png"])
        alt = f"Figure {n} of this notebook, drawn by the code above"
        return f'<div class="wide figure">{image(name, alt, site[name])}</div>\n'
    if "application/vnd.jupyter.widget-view+json" in data:
        return ""
    if "text/markdown" in data:
        return page.html("".join(data["text/markdown"]))
    text = "".join(out.get("text", data.get("text/plain", "\n".join(out.get("traceback", [])))))
    text = re.sub(r"\x1b\[[\d;]*m", "", text)                     # colours of a terminal
    return f'<pre class="printed">{html.escape(text)}</pre>\n'


# All pages


def public_address() -> str:
    """Where the project can be found; "" as long as it cannot."""
    return re.search(r'^address = "(.*?)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]


def site_links(text: str, files: set[Path]) -> str:
    """Links to what the site lacks lead to the project's address, or are words without one."""
    address = public_address()

    def at_address(link: re.Match) -> str:
        target, hash, anchor = link[3].partition("#")
        path = (HERE / target).resolve()
        is_ours = path.exists() and path.is_relative_to(ROOT) and path.name != INSTRUCTOR
        if path in files or not relative_links(link[0]) or not is_ours:
            return link[0]
        return f"[{link[2]}]({address}/blob/HEAD/{path.relative_to(ROOT).as_posix()}{hash}{anchor})"

    return student_links(LINK.sub(at_address, text) if address else text, files)


def name_on_site(path: Path) -> str:
    return address_on_site(path.relative_to(HERE).as_posix())


def in_order(files: set[Path], notebooks: list[Path]) -> list[Path]:
    """README, the notebooks, the other pages as README names them, and what it does not name."""
    readme = HERE / "README.md"
    named = [HERE / target for target in relative_links(markdown_of(readme))]
    pages = [path for path in [readme, *notebooks, *named, *sorted(files)]
             if path in files and path.suffix in (".md", ".ipynb")]
    return list(dict.fromkeys(pages))


def contents(titles: dict[Path, str], here: Path, headings: list) -> str:
    """The list of all pages; below this one its headings."""
    toc = [heading for heading in headings if heading[0] in (2, 3)]
    if len(toc) > LONGEST_TOC:
        toc = [heading for heading in toc if heading[0] == 2]
    toc = [f'<li class="h{level}"><a href="#{slug}">{html.escape(POINTS.sub("", words))}</a></li>'
           for level, slug, words in toc]
    lessons, pages = [], []
    for i, (path, title) in enumerate(titles.items()):
        current = ' aria-current="page"' if path == here else ""
        below = ['<ol class="toc">', *toc, "</ol>"] if path == here and toc else []
        link = f'<a href="{name_on_site(path)}"{current}>{html.escape(title)}</a>'
        lines = lessons if i == 0 or path.suffix == ".ipynb" else pages
        lines += [f"<li>{link}", *below, "</li>"]
    pages.append(f'<li><a href="{EXPLORER.name}">The explorer</a></li>')
    return "\n".join(["<ol>", *lessons, "</ol>", "<ol>", *pages, "</ol>"])


def description(body: str) -> str:
    """The first paragraph of some length that is no line of links, cut after a word."""
    paragraphs = (" ".join(plain(p).split()) for p in re.findall(r"<p>(.*?)</p>", body, re.S))
    words = next((p for p in paragraphs if len(p) > 40 and not re.search("[←→]", p)), "A page.")
    return words if len(words) <= 200 else words[:200].rpartition(" ")[0] + " ..."


def link_to(titles: dict[Path, str], i: int, way: str, before="", after="") -> str:
    if not 0 <= i < len(titles):
        return ""
    path, title = list(titles.items())[i]
    words = f"{before}{html.escape(title)}{after}"
    return f'<a rel="{way}" href="{name_on_site(path)}">{words}</a>'


def make(notebooks: list[Path], solutions: bool, instructor: bool) -> dict[str, bytes]:
    """The whole site, {name: content}."""
    files = files_for_students([*notebooks, *([HERE / INSTRUCTOR] if instructor else [])])
    site: dict[str, bytes] = {}
    bodies, pages, titles = {}, {}, {}
    for path in in_order(files, notebooks):
        page = pages[path] = Page()
        if path.suffix == ".ipynb":
            bodies[path] = notebook_body(path, files, solutions, page, site)
        else:
            bodies[path] = page.html(site_links(markdown_of(path), files))
        titles[path] = page.title

    for i, (path, body) in enumerate(bodies.items()):
        turn = link_to(titles, i - 1, "prev", "← "), link_to(titles, i + 1, "next", "", " →")
        site[name_on_site(path)] = PAGE.format(
            title=html.escape(titles[path]), description=html.escape(description(body)), body=body,
            turn="\n".join(turn), contents=contents(titles, path, pages[path].headings)).encode()
    for path in files - set(pages) - {EXPLORER}:                  # figures and tables
        site[path.relative_to(HERE).as_posix()] = path.read_bytes()
    site[EXPLORER.name] = explorer()
    colours = re.search(r":root \{.*?\n\}", COLOURS.read_text(encoding="utf-8"), re.S)[0]
    site["site.css"] = f"{colours}\n{(HERE / 'site.css').read_text(encoding='utf-8')}".encode()
    site[FONT.name] = FONT.read_bytes()
    return site


def explorer() -> bytes:
    """The explorer's page with a description and a way back to the course."""
    described = ('<meta name="description" content="Every map of FA-Seg on one picture, '
                 'with its numbers as sliders.">\n<title>')
    back = '<body>\n<nav class="note"><a class="note" href="index.html">← The course</a></nav>'
    text = EXPLORER.read_text(encoding="utf-8").replace("<title>", described, 1)
    return text.replace("<body>", back, 1).encode()


# Writing


def write(site: dict[str, bytes], out: Path) -> None:
    """All is written beside OUT, then moved into it; what only the site before had is removed."""
    manifest = out / MANIFEST
    before = set(manifest.read_text().split("\n")) if manifest.is_file() else set()
    site = site | {MANIFEST: "\n".join(sorted(site)).encode()}
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".site-", dir=out.parent))
    try:
        for name, content in site.items():
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_bytes(content)
        for name in site:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(new / name, out / name)
    finally:
        shutil.rmtree(new)
    for name in before - set(site):
        old = (out / name).resolve()
        if old.is_file() and old.is_relative_to(out):
            old.unlink()


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=Path)
    p.add_argument("--solutions", action="store_true", help="with solutions and hidden tests")
    p.add_argument("--instructor", action="store_true", help=f"with {INSTRUCTOR}")
    p.add_argument("--force", action="store_true", help="replace pages that are already there")
    a = p.parse_args()
    try:
        if a.out.exists() and not a.force and (not a.out.is_dir() or any(a.out.iterdir())):
            print(f"make_site: {a.out} exists; give an empty folder, or --force to replace it",
                  file=sys.stderr)
            return 2
        write(make(sorted(HERE.glob("[0-9]*.ipynb")), a.solutions, a.instructor), a.out)
    except OSError as e:
        print(f"make_site: {a.out}: {e.strerror}", file=sys.stderr)
        return 1
    print(f"open {a.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
