"""Runs the notebooks from a clean kernel and keeps their outputs: python tutorial/execute.py [05 07 ...]

Metadata that only churns (times, versions, widgets) is dropped, so that a change of a notebook is a change of what it says. The output
of a cell tagged "thumbnail" becomes figures/05.png, for README.md.
"""
import base64
import io
import sys
import time
from pathlib import Path

import made_from
import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent


def execute(path):
    notebook = nbformat.read(path, as_version=4)
    start = time.time()
    NotebookClient(notebook, timeout=600, kernel_name="python3", coalesce_streams=True, resources={"metadata": {"path": str(path.parent)}}).execute()
    seconds = time.time() - start
    clean(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    for cell in notebook.cells:
        if "thumbnail" in cell.metadata.get("tags", []):
            data = next(o["data"]["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
            picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
            picture.thumbnail((720, 300), Image.LANCZOS)
            picture.save(HERE / "figures" / f"{path.name[:2]}.png", optimize=True)
    made_from.note({path.name: made_from.now(())})
    print(f"{path.name}: {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB", flush=True)


def clean(notebook):
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "nbgrader")}
        for output in cell.get("outputs", []):
            output.pop("metadata", None)
            if output.output_type in ("display_data", "execute_result"):
                output["metadata"] = {}
                if "image/png" in output.data:                              # else also the text "<Figure size 640x480 with 4 Axes>"
                    output.data.pop("text/plain", None)


if __name__ == "__main__":
    asked = sys.argv[1:]
    for path in sorted(HERE.glob("[0-9]*.ipynb")):
        if not asked or path.name[:2] in asked:
            execute(path)
