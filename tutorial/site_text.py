"""Markdown as HTML for make_site.py: headings with anchors, links between pages, coloured code,
formulas as MathML, and what is wider than a page in a box that scrolls by itself."""
import html
import re
import struct
import unicodedata

import mistune
from latex2mathml.converter import convert
from make_student import HERE
from mistune.plugins.table import table
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

FORMULA = r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$\n]+?(?:\n[^$\n]+?)?)\$"
LONGEST_FORMULA = 24                          # characters, on one line of a phone
DPI = 160 / 96                                # pixels of a figure (plots.py) to one of a page

# LaTeX that the converter does not know, or spaces otherwise than TeX.
LATEX = (
    (r"\\(?:mathrm|operatorname)\{([^{}]*)\}", r"\\text{\1}"),
    (r"\\arg\b", r"\\text{arg}\\,"),
    (r"\\setminus\b", "∖"),
    (r"(?<=[\w}]) ?\\(ln|log)(?![a-z])", r"\\,\\\1"),
    (r"\\ln (?=[\w\\])", r"\\ln\\,"),
)
# MathML that browsers do not know, since they draw MathML Core, or that they space otherwise.
MATHML = (
    ("<mover>", '<mover accent="true">'),
    ('<mo accent="true">&#x02015;</mo>', '<mo stretchy="true">&#x0203E;</mo>'),       # \overline
    (r"<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>"),                                    # \sim
    (r"<mo>(/|&#x0002F;|&#x0221E;|&#x02202;|&#x02205;)</mo>", r"<mi>\1</mi>"),        # no spaces
    (r"<mo>(max|min)</mo>", r'<mo lspace="0.17em" rspace="0.17em">\1</mo>'),
    # A minus with no number before it is a sign.
    (r"(<math[^>]*>|<mrow>|<mspace[^>]*>|<mo[^>]*>(?:\(|\[|=|&#x00028;|&#x0003D;|&#x0002C;)</mo>)"
     r"((?:<mrow>)*)<mo>&#x02212;", r'\1\2<mo form="prefix">&#x02212;'),
)
STYLED = re.compile(
    r'<(m[in]) mathvariant="(double-struck|script|bold|bold-italic)">(&#x\w+;|[^<])<')
UNKNOWN = re.compile(r">(\\\w+)<|mathvariant=\"((?!normal|monospace)[\w-]+)")


def mathml(latex: str, display: str) -> str:
    """A formula as MathML. display: "block" or "inline"."""
    for pattern, other in LATEX:
        latex = re.sub(pattern, other, latex)
    made = STYLED.sub(styled, convert(latex, display=display))
    for pattern, other in MATHML:
        made = re.sub(pattern, other, made)
    unknown = UNKNOWN.search(made)
    if unknown:
        raise ValueError(f"no MathML for {unknown[1] or unknown[2]} in {latex}")
    return made


def styled(letter: re.Match) -> str:
    """A bold 1 as the character of its own that Unicode has for it. MathML Core has no styles."""
    tag, style, character = letter.groups()
    style = style.replace("bold-", "bold ")
    name = re.sub("LATIN |GREEK |LETTER ", "", unicodedata.name(html.unescape(character)))
    try:
        found = unicodedata.lookup(f"MATHEMATICAL {style} {name}")
    except KeyError:                                              # older ones: ℝ, ℒ
        found = unicodedata.lookup(f"{style} {name}")
    return f"<{tag}>{found}<"


def formulas(md: mistune.Markdown) -> None:
    """Plugin of mistune: $...$ and $$...$$, also over two lines, anywhere in a text."""
    def parse(inline, match, state):
        display = "block" if match["display"] else "inline"
        state.append_token({"type": "formula", "raw": match["display"] or match["inline"],
                            "attrs": {"display": display}})
        return match.end()
    md.inline.register("formula", f"(?s:{FORMULA})", parse, before="link")


def plain(marked: str) -> str:
    """The words of a piece of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", marked))


def address_on_site(target: str) -> str:
    """Of a link in the tutorial's folder: README.md#notation is index.html#notation."""
    path, _, anchor = target.partition("#")
    if ":" not in path:
        path = re.sub(r"\.(md|ipynb)$", ".html", re.sub(r"^README\.md$", "index.md", path))
    return f"{path}#{anchor}" if anchor else path


def coloured(code: str, language: str) -> str:
    """Code with its words in classes that site.css colours."""
    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    text = highlight(code.rstrip() + "\n", lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="code"><code>{text}</code></pre>\n'


def image(source: str, alt: str, png: bytes) -> str:
    """An <img> as large as it was drawn; its place is kept until it is loaded."""
    width, height = (round(n / DPI) for n in struct.unpack(">II", png[16:24]))
    return (f'<img src="{html.escape(source)}" alt="{html.escape(alt)}" width="{width}" '
            f'height="{height}" loading="lazy">')


class Renderer(mistune.HTMLRenderer):
    """Markdown of one page as HTML. headings: (level, id, words) of those so far."""

    def __init__(self):
        super().__init__(escape=False)
        self.headings: list[tuple[int, str, str]] = []

    def heading(self, text: str, level: int, **attrs) -> str:
        """Its id is GitHub's: small letters, dashes for spaces, a number where there are two."""
        words = plain(text)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        taken, first, n = {id for _, id, _ in self.headings}, slug, 0
        while slug in taken:
            n += 1
            slug = f"{first}-{n}"
        self.headings.append((level, slug, words))
        kind = re.match("Exercise|Control", words)
        marked = f' class="{kind[0].lower()}"' if kind else ""
        return f'<h{level} id="{slug}"{marked}>{text}</h{level}>\n'

    def formula(self, text: str, display: str) -> str:
        """In a box that scrolls, if it may be wider than a phone."""
        made = mathml(text, display)
        kind = "wide formula" if display == "block" else "long"
        short = display == "inline" and len(plain(made)) <= LONGEST_FORMULA
        return made if short else f'<span class="{kind}">{made}</span>'

    def link(self, text: str, url: str, title=None) -> str:
        return f'<a href="{html.escape(address_on_site(url))}">{text}</a>'

    def image(self, text: str, url: str, title=None) -> str:
        return image(url, plain(text), (HERE / url).read_bytes())

    def paragraph(self, text: str) -> str:
        """A figure alone is none. A formula and the comma behind it stay on one line."""
        if re.fullmatch("<img [^>]*>", text):
            return f'<div class="wide figure">{text}</div>\n'
        return f"<p>{together(text)}</p>\n"

    def block_text(self, text: str) -> str:
        return together(text)

    def table(self, text: str) -> str:
        return f'<div class="wide"><table>\n{text}</table></div>\n'

    def table_cell(self, text: str, align=None, head=False) -> str:
        """Numbers with their interval stay on one line."""
        tag = "th" if head else "td"
        style = f' style="text-align: {align}"' if align else ""
        number = ' class="number"' if re.fullmatch(r"[-+\d.,%\[\] ]+", plain(text)) else ""
        return f"<{tag}{style}{number}>{together(text)}</{tag}>\n"

    def block_code(self, code: str, info=None) -> str:
        return coloured(code, (info or "").split(" ")[0])


def together(text: str) -> str:
    """Binds the comma behind a formula to it."""
    formula = r'(?:<span class="long">)?<math [^>]*>(?:(?!</math>).)*</math>(?:</span>)?'
    return re.sub(f"({formula}[.,:;?!)]+)", r'<span class="together">\1</span>', text)


class Page:
    """The text of one page: html() of its parts in their order, then headings."""

    def __init__(self):
        self.renderer = Renderer()
        self.html = mistune.create_markdown(renderer=self.renderer, plugins=[table, formulas])

    @property
    def headings(self) -> list[tuple[int, str, str]]:
        return self.renderer.headings

    @property
    def title(self) -> str:
        return next(words for level, _, words in self.headings if level == 1)


