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
SCRIPTS = ("views", "pins", "controls", "tour", "save", "start")             # one after the other


def make_page(facts: dict[str, Any], arrays: str, title: str) -> str:
    """The page's text. facts, arrays: see pack.pack, with what __main__ adds to the facts."""
    style, method = read("style.css"), read("method.js")    # the workers run method.js, too
    views = "\n\n".join(read(f"{name}.js") for name in SCRIPTS)
    parts = {name: html.escape(text) for name, text in texts(facts, title).items()}
    parts |= {"csp": policy([method, views], style), "style": style, "data": as_data(facts),
              "maps": arrays, "method": method, "views": views}
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], read("page.html"))


def texts(facts: dict[str, Any], title: str) -> dict[str, str]:
    """What the page says about itself, in words."""
    (full_width, full_height), bits = facts["full"], sorted(set(facts["bits"]))
    return {"title": title, "name": facts["name"], "caption": facts["caption"] or "",
            "full": f"{full_width} \u00d7 {full_height}", "weights": facts["weights"],
            "size": f"{facts['width']} \u00d7 {facts['height']}", "side": str(facts["side"]),
            "bits": " or ".join(map(str, bits))}


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
