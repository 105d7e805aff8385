"""Puts the page together: one file, which needs nothing else and asks for nothing else.

Its Content-Security-Policy lets no script, style or address in but those that stand in it: scripts
and style by their SHA-256. Class names, captions and file names are data and are never markup.
"""
import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def make_page(facts: dict[str, Any], arrays: str, title: str) -> str:
    """The page's text. facts, arrays: see pack.pack, with what __main__ adds to the facts."""
    style, method, views = map(read, ("style.css", "method.js", "views.js"))
    parts = {"title": html.escape(title), "csp": policy([method, views], style), "style": style,
             "data": as_data(facts), "maps": arrays, "method": method, "views": views}
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], read("page.html"))


def read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


def as_data(value: Any) -> str:
    """JSON in which nothing can end its <script> element."""
    text = json.dumps(value)                                # ASCII only
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(scripts: list[str], style: str) -> str:
    """Only these scripts and this style, pictures that stand in the page, workers made by it."""
    allowed = " ".join(map(hash_source, scripts))
    return (f"default-src 'none'; script-src {allowed}; style-src {hash_source(style)}; "
            "img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'")


def hash_source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
