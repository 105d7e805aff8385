"""The course as pages: no dead link, nothing from a network, no solution where none belongs, and every page in a real browser."""
import html
import json
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent.parent / "tutorial"
sys.path.insert(0, str(TUTORIAL))
for needed in ("latex2mathml", "mistune", "ziamath"):
    pytest.importorskip(needed, reason=f'needs pip install "minifaseg[tutorial]": {needed}')
import make_site  # noqa: E402  (found by the line above)
import make_student  # noqa: E402
import site_text  # noqa: E402

NOTEBOOKS = sorted(TUTORIAL.glob("[0-9]*.ipynb"))
VOID = {"img", "meta", "link", "br", "hr", "input", "mspace"}


class Parsed(HTMLParser):
    """Ids, addresses and words of a page; whether its elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loaded, self.open, self.code, self.words = [], [], [], [], [], []
        self.tags = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if attrs.get("id") else []
        if tag == "a":
            self.links.append(attrs["href"])
        else:
            self.loaded += [attrs[name] for name in ("src", "href", "srcset", "data", "poster") if attrs.get(name)]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "pre":
            self.code.append("")

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> in the wrong place"

    def handle_data(self, data):
        if "pre" in self.open:
            self.code[-1] += data
        elif not {"code", "script", "style"} & set(self.open):
            self.words.append(data)


@cache
def site(solutions=False, instructor=False):
    return make_site.make(NOTEBOOKS, solutions, instructor)


@cache
def pages(solutions=False, instructor=False):
    """Those that are ours; the explorer's has tests of its own."""
    return {name: Parsed(content.decode()) for name, content in site(solutions, instructor).items()
            if name.endswith(".html") and name != "explorer.html"}


def cells(path, kind="code"):
    return [(c, "".join(c["source"])) for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


def page_of(path, **options):
    return pages(**options)[path.stem + ".html"]


BOTH = pytest.mark.parametrize("options", [{}, {"solutions": True, "instructor": True}], ids=["student", "lecturer"])


@BOTH
def test_links_and_anchors_lead_somewhere(options):
    whole, ours = site(**options), pages(**options)
    for name, page in ours.items():
        assert page.open == [] and len(page.ids) == len(set(page.ids)), name
        for target in page.links + page.loaded:
            if re.match("https?://|data:,$", target):
                continue
            path, _, anchor = target.partition("#")
            assert (path or name) in whole, f"{name}: {target} leads nowhere"
            if anchor and path != "explorer.html":
                assert anchor in ours[path or name].ids, f"{name}: {target} has no such anchor"


@BOTH
def test_nothing_is_loaded_from_outside(options):
    for name, content in site(**options).items():
        if name.endswith(".css"):
            assert re.findall(r'url\("?([^")]*)', content.decode()) == [make_site.FONT.name] and "@import" not in content.decode()
        if name in pages(**options):
            text = content.decode()
            assert not re.search(r"<(script|iframe|object|embed|base|form)\b|\bstyle=\"[^\"]*url|http-equiv", text), name
            assert not [t for t in pages(**options)[name].loaded if re.match("//|\\w+:(?!,$)", t)], name


def test_every_page_says_what_it_is():
    seen = set()
    for name, content in site().items():
        if name.endswith(".html"):
            text = content.decode()
            assert text.startswith('<!doctype html>\n<html lang="en">') and '<meta charset="utf-8">' in text, name
            assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text, name
            title, said = re.search("<title>(.+?)</title>", text)[1], re.search('<meta name="description" content="(.+?)">', text)[1]
            assert 20 < len(said) < 300 and '"' not in said, name
            seen |= {title, said}
    assert len(seen) == 2 * len([name for name in site() if name.endswith(".html")])


def test_the_pages_are_those_that_the_course_links_to():
    expected = {"index.html", "explorer.html", "glossary.html", "bibliography.html", "reading.html", "usage.html", "published.html",
                "results.html", "measured.html", "differences.html", "words.html", *(path.stem + ".html" for path in NOTEBOOKS)}
    assert expected <= set(site()) and "INSTRUCTOR.html" not in site() and "INSTRUCTOR.html" in site(instructor=True)
    assert b"your instructor has it" in site()["index.html"] and b'href="INSTRUCTOR.html"' in site(instructor=True)["index.html"]


def test_one_can_read_from_the_first_page_to_the_last():
    name, read = "index.html", []
    while name and name not in read:
        read.append(name)
        following = [a["href"] for tag, a in pages()[name].tags if tag == "a" and a.get("rel") == "next"]
        name = following[0] if following else None
    assert set(read) == set(pages()) and read[1:len(NOTEBOOKS) + 1] == [path.stem + ".html" for path in NOTEBOOKS]
    for name, page in pages().items():
        assert {*pages(), "explorer.html"} <= set(page.links), f"{name} does not list all pages"


# ---- what students may see -------------------------------------------------------------------------
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_students_see_no_solution_and_lecturers_all(path):
    theirs, ours = "\n".join(page_of(path).code), "\n".join(page_of(path, solutions=True).code)
    everything = site()[path.stem + ".html"].decode()
    for cell, text in cells(path):
        number = make_student.number_of(cell)
        if make_student.SOLUTION.search(text):
            solution = make_student.SOLUTION.search(text)[0]
            assert solution in ours and f'raise NotImplementedError("Exercise {number}")' in theirs
            body = "\n".join(line.strip() for line in solution.splitlines()[1:-1])
            assert body and body not in "\n".join(line.strip() for line in theirs.splitlines()), number
        elif make_student.HIDDEN.search(text):
            assert make_student.HIDDEN.search(text)[0].strip("\n") in ours, number
    for word in ("BEGIN SOLUTION", "BEGIN HIDDEN", "from grade import", "hidden("):
        assert word not in html.unescape(re.sub("<[^>]*>", "", everything)), word


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_outputs_of_all_cells_that_are_no_exercise(path):
    """What came out where the text asks for a prediction is folded, on students' pages only."""
    pictures, folded, predict = [], 0, False
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            predict = make_site.PREDICT in "".join(cell["source"])
        else:
            if "nbgrader" not in cell["metadata"]:
                pictures += [o for o in cell["outputs"] if "image/png" in o.get("data", {})]
                folded += bool(predict and cell["outputs"])
            predict = False
    names = [a["src"] for tag, a in page_of(path).tags if tag == "img" and re.match(rf"figures/{path.stem[:2]}-", a["src"])]
    assert len(names) == len(set(names)) == len(pictures)
    page = site()[path.stem + ".html"].decode()
    assert page.count("<summary>What came out") == folded
    assert "<summary>What came out" not in site(True, True)[path.stem + ".html"].decode()
    assert all(a["alt"] and a["width"] and a["height"] for tag, a in page_of(path).tags if tag == "img")


@pytest.mark.parametrize("solutions", [False, True])
def test_what_an_exercise_printed_is_seen_by_lecturers_only(tmp_path, solutions):
    def cell(text, printed, **nbgrader):
        metadata = {"nbgrader": {"grade_id": "ex-5-2", **nbgrader}} if nbgrader else {}
        return {"cell_type": "code", "source": [text], "metadata": metadata, "outputs": [{"output_type": "stream", "text": [printed]}]}
    path = tmp_path / "05_x.ipynb"
    path.write_text(json.dumps({"cells": [cell("print(1)", "shown"), cell("print(2)", "answer", solution=True, grade=False),
                                          cell("print(3)", "tested", solution=False, grade=True)]}))
    made = make_site.notebook_body(path, set(), solutions, site_text.Page(), {})
    assert "shown" in made and ("answer" in made) == ("tested" in made) == solutions
    assert made.count('class="cell exercise"') == made.count('class="cell tests"') == 1


# ---- text ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["index.html", "glossary.html", *(path.stem + ".html" for path in NOTEBOOKS)])
def test_formulas_are_mathml(name):
    """As many as in the source, and no dollar or backslash is left in a text."""
    source = TUTORIAL / name.replace("index", "README").replace(".html", ".md")
    source = source if source.exists() else source.with_suffix(".ipynb")
    texts = [make_student.markdown_of(source)]
    if source.suffix == ".ipynb":
        outputs = [o for cell, _ in cells(source) if "nbgrader" not in cell["metadata"] for o in cell["outputs"]]
        texts += ["".join(o["data"]["text/markdown"]) for o in outputs if "text/markdown" in o.get("data", {})]
    text = re.sub(r"```.*?```|`(?:[^`\n]|\n(?!\n))+`", "", "\n\n".join(texts), flags=re.S)
    expected = len(re.findall(site_text.FORMULA, text, re.S))
    assert sum(tag == "math" for tag, _ in pages()[name].tags) == expected
    assert not re.search(r"[$\\]", "".join(pages()[name].words)), name


@pytest.mark.parametrize("latex, made", [
    (r"\bar\alpha_t", "<mover accent=\"true\"><mi>&#x003B1;</mi>"), (r"\mathbb R^{N}", "<mi>ℝ</mi>"), (r"\mathbb E", "<mi>𝔼</mi>"), (r"\mathcal L", "<mi>ℒ</mi>"), (r"\mathbf 1", "<mn>𝟏</mn>"), (r"\boldsymbol\mu", "<mi>𝝁</mi>"),
    ("(1, -1)", '<mo form="prefix">&#x02212;</mo><mn>1</mn>'),
    ("a - b", "<mo>&#x02212;</mo>"), (r"\arg\max_c", "<mtext>arg</mtext>"), (r"\mathrm{softmax}_j", "<mtext>softmax</mtext>"), (r"x \sim y", "<mo>&#x0223C;</mo>")])
def test_what_browsers_do_not_know_is_said_in_other_words(latex, made):
    assert made in site_text.mathml(latex, "inline")


@pytest.mark.parametrize("latex", [r"\nosuchthing x", r"\mathfrak A"])
def test_a_formula_that_cannot_be_drawn_is_an_error(latex):
    with pytest.raises(ValueError, match="no MathML"):
        site_text.mathml(latex, "inline")


def test_headings_have_the_anchors_of_github():
    page = site_text.Page()
    page.html("# A `b` c, d!\n\n## Same\n\n## Same\n\n### Exercise 5.2 · Fuse $A_r$\n")
    assert [slug for _, slug, _ in page.headings][:3] == ["a-b-c-d", "same", "same-1"] and page.title == "A b c, d!"


@pytest.mark.parametrize("target, there", [("README.md#notation", "index.html#notation"), ("05_hard.ipynb", "05_hard.html"), ("#a", "#a"),
                                           ("results.csv", "results.csv"), ("https://a.b/README.md", "https://a.b/README.md")])
def test_addresses_on_the_site(target, there):
    assert site_text.address_on_site(target) == there


def test_code_is_named_or_linked_where_the_project_has_an_address(monkeypatch):
    files = make_student.files_for_students(NOTEBOOKS)
    text = "See [`hard.py`](../minifaseg/hard.py#L3), [here](glossary.md), [it](INSTRUCTOR.md), [out](https://a.b)."
    assert make_site.site_links(text, files).startswith("See `minifaseg/hard.py`, [here](glossary.md), it (your instructor")
    monkeypatch.setattr(make_site, "public_address", lambda: "https://example.org/x")
    linked = make_site.site_links(text, files)
    assert "[`hard.py`](https://example.org/x/blob/HEAD/minifaseg/hard.py#L3), [here](glossary.md), it (your" in linked


def test_table_cells_and_details():
    page = site_text.Page()
    made = page.html("| a | b |\n|---|---:|\n| 0.85 [0.84, 0.87] | $A \\,\\vert\\, b$ |\n\n<details><summary>Hint</summary>\n\nA *text*.\n\n</details>\n")
    assert '<td class="number">0.85 [0.84, 0.87]</td>' in made and "<math" in made and '<div class="wide"><table>' in made
    assert "<details><summary>Hint</summary>" in made and "<em>text</em>" in made and made.rstrip().endswith("</details>")


def test_a_long_formula_scrolls_and_keeps_its_comma():
    made = site_text.Page().html("So $x$, and $a = b + c + d + e + f + g + h + i + j + k + l + m + n$, too.")
    assert made.count('class="together"') == 2 and made.count('class="long"') == 1 and made.index('class="long"') > made.index("and")


def test_widgets_show_what_stands_beside_them():
    widget = {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Box()"}}
    assert make_site.output_html(widget, NOTEBOOKS[0], site_text.Page(), {}) == ""
    error = {"output_type": "error", "traceback": ["\x1b[31mNameError\x1b[0m: <x>"]}
    assert "NameError: &lt;x&gt;" in make_site.output_html(error, NOTEBOOKS[0], site_text.Page(), {})


# ---- the command -----------------------------------------------------------------------------------
def run(*arguments):
    return subprocess.run([sys.executable, TUTORIAL / "make_site.py", *arguments], capture_output=True, text=True)


def test_the_command_replaces_nothing_unasked(tmp_path):
    out = tmp_path / "site"
    first = run(out, "--instructor")
    assert first.returncode == 0 and first.stdout == f"open {out / 'index.html'}\n" and (out / "INSTRUCTOR.html").exists()
    (out / "mine.txt").write_text("a lecturer's")
    (out / "index.html").write_text("old")
    again = run(out)
    assert again.returncode == 2 and again.stderr.count("\n") == 1 and "--force" in again.stderr and (out / "index.html").read_text() == "old"
    assert run(out, "--force").returncode == 0
    assert "The tutorial" in (out / "index.html").read_text() and (out / "mine.txt").exists()
    assert not (out / "INSTRUCTOR.html").exists()                           # it was the older site's, and holds answers
    assert {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} == {*site(), make_site.MANIFEST, "mine.txt"}
    assert [p.name for p in tmp_path.iterdir()] == ["site"]
    blocked = run(out / "mine.txt", "--force")
    assert blocked.returncode == 1 and blocked.stderr.count("\n") == 1 and run(out / "mine.txt").returncode == 2


def test_nothing_half_written_on_an_error(tmp_path, monkeypatch):
    with pytest.raises(TypeError):
        make_site.write({"index.html": b"new", "other.html": None}, tmp_path / "site")
    assert [p.name for p in tmp_path.rglob("*")] == []


def test_a_manifest_removes_nothing_outside(tmp_path):
    out = tmp_path / "site"
    out.mkdir()
    (tmp_path / "outside.txt").write_text("")
    (out / make_site.MANIFEST).write_text("../outside.txt\ngone.html\n\n.")
    make_site.write({"index.html": b"new"}, out)
    assert (tmp_path / "outside.txt").exists() and (out / "index.html").exists()


# ---- in a browser ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    make_site.write(site(), out)
    return out


@pytest.fixture
def opened(browser, folder):
    """Opens pages; at the end none has complained, missed a file or asked for one outside the folder."""
    troubles, contexts = [], []

    def new(width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: troubles.append(str(e)))
        page.on("requestfailed", lambda r: troubles.append(r.url))
        page.on("request", lambda r: None if r.url.startswith((folder.as_uri(), "data:", "blob:")) else troubles.append(r.url))
        return page
    yield new
    for context in contexts:
        context.close()
    assert troubles == []


CONTRAST = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    const light = (colour) => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c; } };
    const found = {};
    for (const e of document.querySelectorAll('main *, nav *, header *')) {
        if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
        const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) found[e.tagName + '.' + e.className] = e.textContent.slice(0, 40);
    }
    return found;
}"""
WIDER = """() => [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1
    && !e.parentElement.closest('.wide, pre, math')).map((e) => e.outerHTML.slice(0, 120))"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_in_a_browser(opened, folder, width, scheme):
    """No complaint, no sideways scrolling, text that can be told from its ground, and formulas with a height."""
    page = opened(width, scheme)
    for name in sorted(n for n in site() if n.endswith(".html")):
        page.goto((folder / name).as_uri())
        page.evaluate("() => document.fonts.ready")
        page.evaluate("() => document.querySelectorAll('details').forEach((e) => { e.open = true; })")
        if name == "explorer.html":
            page.wait_for_timeout(1500)
            assert page.evaluate("() => Boolean(window.explorer && window.explorer.result)")
            continue
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (name, page.evaluate(WIDER))
        assert page.evaluate(CONTRAST) == {}, name
        dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor") != "rgb(253, 252, 250)"
        assert dark == (scheme == "dark"), name
        heights = page.evaluate("() => [...document.querySelectorAll('math')].map((e) => e.getBoundingClientRect().height)")
        assert all(h > 4 for h in heights), name
        if heights:
            assert page.evaluate("() => document.fonts.check('16px Formulas') && [...document.fonts].every((f) => f.status === 'loaded')"), name
        broken = page.evaluate("""async () => { const all = [...document.images]; all.forEach((i) => { i.loading = 'eager'; });
            await Promise.all(all.map((i) => i.decode().catch(() => 0))); return all.filter((i) => !i.naturalWidth).map((i) => i.src); }""")
        assert broken == [], name


@pytest.mark.browser
def test_links_are_clicked(opened, folder):
    """From notebook to notation, back by the list, on by the arrow; on a phone by the link to the list."""
    page = opened()
    page.goto((folder / "glossary.html").as_uri())
    page.locator("main a", has_text="notation").first.click()
    assert page.url.endswith("index.html#notation") and abs(page.locator("#notation").bounding_box()["y"]) < 200
    page.locator("#contents a", has_text="05 · HARD").click()
    assert page.url.endswith("05_hard.html") and page.locator("#contents a[aria-current=page]").inner_text().startswith("05")
    page.locator("#contents .toc a", has_text="Scale alignment").click()
    assert page.locator("#scale-alignment").bounding_box()["y"] < 200
    page.locator("a[rel=next]").click()
    assert page.url.endswith("06_flipping.html")
    phone = opened(390)
    phone.goto((folder / "05_hard.html").as_uri())
    assert phone.locator("h1").bounding_box()["y"] < 300                    # it opens at its beginning
    phone.locator(".bar a", has_text="Contents").click()
    box = phone.locator("#contents").bounding_box()
    assert 0 <= box["y"] < 844
    phone.locator("#contents a", has_text="The explorer").click()
    phone.locator("a", has_text="The course").click()
    assert phone.url.endswith("index.html")


@pytest.mark.browser
def test_what_came_out_is_shown_when_asked(opened, folder):
    page = opened()
    page.goto((folder / "05_hard.html").as_uri())
    summary = page.locator("summary", has_text="What came out").nth(1)
    picture = summary.locator("xpath=..").locator("img").first
    assert not picture.is_visible()
    summary.click()
    assert picture.is_visible()
